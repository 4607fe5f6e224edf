"""Plant mistakes in the displays and count those that the check notices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .book import Book, read_display
from .check import Result, Subject, check_subject
from .equivalence import canonical
from .errors import MathError
from .mutate import Mutant, mutants
from .text import Display, Text

FLOOR = 0.9
User = tuple[Text, Subject]


@dataclass
class Score:
    """What became of a display's mutants."""

    label: str
    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.killed + len(self.survivors)

    @property
    def is_enough(self) -> bool:
        return self.killed >= FLOOR * self.total


def score(book: Book, chapter: Text, display: Display, results: Iterable[Result], every: int = 1) -> Score:
    """Check every mutant of a display, or every n-th. ``results`` are those of the book as it is."""
    found = Score(display.label or "")
    users = find_users(book, found.label, results)
    for mutant in different(book, chapter, display, every):
        if _is_killed(book, chapter, display, mutant, users):
            found.killed += 1
        else:
            found.survivors.append(mutant)
    return found


def different(book: Book, chapter: Text, display: Display, every: int = 1) -> Iterator[Mutant]:
    """The mutants, or every n-th, that say something else than the display."""
    notation = book.notation(chapter, display.place.line)

    def meaning(tex: str) -> list[list[str]] | None:
        try:
            return [[canonical(side) for side in read.sides] for read in read_display(tex, notation)]
        except MathError:
            return None

    original = meaning(display.tex)
    for mutant in list(mutants(display.tex))[::every]:
        if meaning(mutant.tex) != original:
            yield mutant


def _is_killed(book: Book, chapter: Text, display: Display, mutant: Mutant, users: list[User]) -> bool:
    """Asked at ordinary draws first, and those that rest on a definition before it: its two sides agree."""
    changed = book.replacing(display.label or "", mutant.tex, fresh=bool(users))
    subjects: list[User] = [*users, (chapter, display)]
    checks = (check_subject(changed, *one, quickly) for quickly in (True, False) for one in subjects)
    return any(result.finding for check in checks for result in check)


def find_users(book: Book, label: str, results: Iterable[Result]) -> list[User]:
    """The displays and tables that rest on a symbol which this display defines."""
    rows = {row.place for c in book.chapters for table in c.tables for row in table.rows if row.code == label}
    places = {result.place for result in results if result.name != label and result.rows & rows}
    found: list[User] = []
    for chapter in book.chapters:
        found += [(chapter, display) for display in chapter.displays if display.place in places]
        found += [
            (chapter, table) for table in chapter.tables if any(row.place in places for row in table.rows)
        ]
    return found
