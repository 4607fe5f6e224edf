"""Blind mutants: delete any one token, or swap any two neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from equations.book import Book, read_display
from equations.equivalence import canonical
from equations.errors import MathError
from equations.tokens import tokens
from literate.chapter import Chapter, Display


def blind_mutants(book: Book, chapter: Chapter, display: Display) -> Iterator[str]:
    """Those that are still read and say something else."""
    notation = book.notation(chapter, display.place.line)

    def meaning(tex: str) -> object:
        try:
            return [[canonical(side) for side in read.sides] for read in read_display(tex, notation)]
        except MathError:
            return None

    original = meaning(display.tex)
    for tex in _spliced(display.tex):
        if (found := meaning(tex)) is not None and found != original:
            yield tex


def _spliced(tex: str) -> Iterator[str]:
    found = [token for token in tokens(tex) if token.start < token.end]
    for token in found:
        yield f"{tex[: token.start]} {tex[token.end :]}"
    for one, two in pairwise(found):
        swapped = f"{tex[two.start : two.end]} {tex[one.end : two.start]} {tex[one.start : one.end]}"
        yield f"{tex[: one.start]} {swapped} {tex[two.end :]}"
