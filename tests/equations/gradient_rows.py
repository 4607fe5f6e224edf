"""Prove gradient rows: in exact arithmetic, too, the module's backward is the derivative of its forward."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equations.book import Book
from equations.compare import exact_difference
from equations.derivatives import gradient
from equations.errors import Redraw, RowError
from equations.exact import NOT_EXACT, REFUSED, draws
from equations.field import elements
from equations.notation import Definition, Notation

DRAWS = 3


def prove_row(book: Book, notation: Notation, pair: tuple[str, str], row: Definition) -> str:
    """The same of a gradient row: the module's backward is the derivative of its forward.

    The forward carries a derivative in a random direction; a wrong entry of the gradient shows in it but
    for a probability below 1e-15.
    """
    top = notation.rows.get(pair[0])
    needed = notation.closure(row.id) | (notation.closure(top.id) if top else frozenset())
    good, reason = 0, ""
    for attempt, fresh in enumerate(draws(book, notation, row.row.code, needed)):
        try:
            env = fresh()
            expected, computed = gradient(*pair, env), np.asarray(env.computed(row))
            if expected.shape != computed.shape or exact_difference(elements(expected), elements(computed)):
                return "the backward is not the derivative of the forward"
            good += 1
        except (Redraw, RowError) as error:
            reason = str(error)
            is_refusal = isinstance(error, RowError) and "NoRoot" not in reason
            if is_refusal and attempt - good + 1 > REFUSED:
                return reason
        except NOT_EXACT as error:
            return f"{type(error).__name__}: {error}"
        if good == DRAWS:
            return ""
    return reason


def gradient_rows(book: Book) -> Iterator[tuple[Notation, tuple[str, str], Definition]]:
    """Every row of a gradient that code computes."""
    for chapter in book.chapters:
        for table in chapter.tables:
            notation = book.notation_of(chapter, table)
            for pair, row in notation.gradients_at(row.place for row in table.rows):
                yield notation, pair, row
