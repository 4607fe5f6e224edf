"""Carry edits made in the module back into the chapters, each to the cell that its chunk comes from."""

from collections.abc import Sequence
from pathlib import Path

from literate.chapter import BookError, Chapter, Place
from literate.reader import parse_chapter
from literate.rules import check_book
from literate.tangle.merge import Chunk, chunks

BLANK_AT_END = 2  # blank lines between the last chunk and the digest


def untangle(path: Path, text: str, chapters: Sequence[Chapter]) -> list[Chapter]:
    """The chapters with their core cells as the module's text has them. ``text`` is without its last line."""
    found = _chunk_lines(path, text.split("\n")[:-1], chunks(chapters))
    changed = [_with_cells(chapter, found) for chapter in chapters]
    check_book(changed)
    return changed


def _chunk_lines(path: Path, lines: list[str], pieces: list[Chunk]) -> dict[Chunk, list[str]]:
    """The lines that stand below each chunk's comment."""
    starts = [_comment_line(path, lines, piece) for piece in pieces]
    if starts != sorted(starts):
        raise BookError(path, "chunks have changed places; move the cells in the book instead")
    ends = [start - piece.blank for start, piece in zip(starts[1:], pieces[1:], strict=True)]
    ends.append(len(lines) - BLANK_AT_END)
    found = {}
    for piece, start, end, below in zip(pieces, starts, ends, [*starts[1:], len(lines)], strict=False):
        if any(lines[end:below]) or end <= start:
            raise BookError(
                Place(path, end + 1), f"the blank lines below '{piece.comment.strip()}' must stay"
            )
        found[piece] = lines[start + 1 : end]
    return found


def _comment_line(path: Path, lines: list[str], piece: Chunk) -> int:
    if lines.count(piece.comment) != 1:
        raise BookError(path, f"the line '{piece.comment}' must stand in it exactly once")
    return lines.index(piece.comment)


def _with_cells(chapter: Chapter, found: dict[Chunk, list[str]]) -> Chapter:
    lines = chapter.text.split("\n")
    own = [piece for piece in found if piece.cell in chapter.core]
    for piece in sorted(own, key=lambda piece: piece.first, reverse=True):
        start = piece.first - 1
        lines[start : start + len(piece.lines)] = found[piece]
    text = "\n".join(lines)
    return chapter if text == chapter.text else parse_chapter(text, chapter.path)
