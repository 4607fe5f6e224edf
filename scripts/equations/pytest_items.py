"""One test for each equation and each notation table of a chapter."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from .book import Book
from .check import check_display, check_rows, checked_displays
from .errors import Finding
from .exact import exact_book, prove
from .guards import guard_table
from .text import Display, Table, Text

Item = tuple[int, str, Callable[[], None]]  # its line, its name, what checks it


class Wrong(AssertionError):
    """What a check found; the message says it all."""


def equation_items(
    chapter: Text,
    module: Callable[[], Mapping[str, Any]],
    others: Sequence[Text] = (),
    source: Callable[[], str] | None = None,
    proved: Collection[str] = (),
) -> list[Item]:
    """What to test in a chapter: (line, label, check that raises Wrong).

    ``module`` gives the names that the chapter's tables call, when the first check runs. ``others``
    are chapters whose equations its tables refer to, and the page of notation. The displays in
    ``proved`` must hold exactly, too, on the module of this ``source``.
    """
    texts, displays = [*others, chapter], checked_displays(chapter)
    book = functools.cache(lambda: Book(texts, module()))
    exact = functools.cache(lambda: exact_book(texts, source() if source else ""))
    result = functools.cache(lambda display: check_display(book(), chapter, display))

    def check(display: Display) -> None:
        _report([result(display).finding])
        if display.label in proved and (reason := prove(exact(), chapter, display)):
            raise Wrong(
                f"{display.place}: {display.label}: it holds for random numbers, but not exactly: {reason}"
            )

    def guard(table: Table) -> None:
        """Its gradient rows hold, and none of its rows stands idle."""
        _report([row.finding for row in check_rows(book(), chapter, table)])
        results = [result(display) for display in displays]
        if not any(one.finding for one in results):
            _report(guard_table(book(), chapter, table, results))

    items: list[Item] = [(one.place.line, str(one.label), partial(check, one)) for one in displays]
    for table in chapter.tables:
        items.append((table.place.line, f"notation at line {table.place.line}", partial(guard, table)))
    return items


def _report(findings: Sequence[Finding | None]) -> None:
    if messages := [str(finding) for finding in findings if finding]:
        raise Wrong("\n".join(messages))
