"""One test for each equation and each notation table of a chapter."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from .book import Book
from .check import Result, check_display, check_rows, checked_displays
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
    checks = _Checks(chapter, [*others, chapter], module, source, proved)
    displays: list[Item] = [
        (display.place.line, str(display.label), partial(checks.display, display))
        for display in checked_displays(chapter)
    ]
    tables: list[Item] = [
        (table.place.line, f"notation at line {table.place.line}", partial(checks.table, table))
        for table in chapter.tables
    ]
    return displays + tables


@dataclass
class _Checks:
    chapter: Text
    texts: Sequence[Text]
    module: Callable[[], Mapping[str, Any]]
    source: Callable[[], str] | None
    proved: Collection[str]
    results: dict[str, Result] = field(default_factory=dict)

    @cached_property
    def book(self) -> Book:
        return Book(self.texts, self.module())

    @cached_property
    def exact(self) -> Book:
        assert self.source
        return exact_book(self.texts, self.source())

    def display(self, display: Display) -> None:
        _report([self.result(display).finding])
        if display.label in self.proved and (reason := prove(self.exact, self.chapter, display)):
            raise Wrong(
                f"{display.place}: {display.label}: it holds for random numbers, but not exactly: {reason}"
            )

    def result(self, display: Display) -> Result:
        label = str(display.label)
        if label not in self.results:
            self.results[label] = check_display(self.book, self.chapter, display)
        return self.results[label]

    def table(self, table: Table) -> None:
        """Its gradient rows hold, and none of its rows stands idle."""
        rows = list(check_rows(self.book, self.chapter, table))
        _report([row.finding for row in rows])
        displays = [self.result(display) for display in checked_displays(self.chapter)]
        if not any(result.finding for result in displays):
            _report(guard_table(self.book, self.chapter, table, displays))


def _report(findings: Sequence[Finding | None]) -> None:
    if messages := [str(finding) for finding in findings if finding]:
        raise Wrong("\n".join(messages))
