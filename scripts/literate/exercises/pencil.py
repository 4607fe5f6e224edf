"""Hold the reader's LaTeX against the code, as the book's own equations are."""

from __future__ import annotations

from collections.abc import Iterator

from equations.book import Book, read_display
from equations.check import check_display
from equations.errors import MathError
from equations.syntax import Derivative, Node, base_of, show
from literate.chapter import Chapter, Display

from .sheets import Exercise


def complaint(book: Book, sheet: Chapter, exercise: Exercise, tex: str) -> str:
    """What is wrong with this answer, or ""."""
    wanted = exercise.answer
    assert wanted and wanted.label
    answer = Display(wanted.place, tex, wanted.label, None, wanted.end)
    try:
        notation = book.notation(sheet, wanted.place.line)
        ours = read_display(wanted.tex, notation)
        theirs = read_display(tex, notation)
    except MathError as error:
        return f"cannot be read: {error}"
    left = ours[0].sides[0]
    if len(theirs) != 1:
        return f"expected one equation, got {len(theirs)}"
    if _what(theirs[0].sides[0]) != _what(left):
        return f"the left side is {show(theirs[0].sides[0])}, and must be {show(left)}"
    if len(theirs[0].sides) < 2:
        return f"there is nothing behind {show(left)}: write = and what it is"
    allowed = {_pair(node) for side in ours[0].sides for node in _derivatives(side)}
    for node in _derivatives(theirs[0].sides[-1]):
        if _pair(node) not in allowed:
            return f"{show(node)} is still to be worked out"
    result = check_display(book.replacing(wanted.label, tex, fresh=False), sheet, answer)
    return result.finding.message if result.finding else ""


def _derivatives(node: Node) -> Iterator[Derivative]:
    return (part for part in node.walk() if isinstance(part, Derivative))


def _what(node: Node) -> tuple[str, ...]:
    """What a side stands for, with or without indices."""
    return _pair(node) if isinstance(node, Derivative) else (show(base_of(node)),)


def _pair(node: Derivative) -> tuple[str, str]:
    return show(base_of(node.top)), show(base_of(node.bottom))
