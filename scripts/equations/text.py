"""What the checker is given of a text: places, displays, tables of notation and cells of code.

Any reader of documents can make these; the checker knows nothing of files or formats.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

LABEL = r"eq:[a-z0-9]+(?:-[a-z0-9]+)*"


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, printed as ``book/04-linear.md:52``."""

    path: Path
    line: int
    base: ClassVar[Path] = Path()  # paths below it are printed without it

    def __str__(self) -> str:
        return f"{shown_path(self.path)}:{self.line}"


def shown_path(path: Path) -> str:
    """The path as a reader of the project writes it."""
    try:
        return (path.parent.resolve() / path.name).relative_to(Place.base).as_posix()
    except (ValueError, RuntimeError, OSError):  # elsewhere, or a link to itself
        return str(path)


@dataclass(frozen=True)
class Display:
    """A displayed equation. Exactly one of ``label`` and ``unchecked`` is set...

    ...or both, where an unchecked display is still numbered and referred to.
    """

    place: Place  # of the line that opens it
    tex: str
    label: str | None
    unchecked: str | None
    end: int  # the line that closes it


@dataclass(frozen=True)
class Row:
    """One row of a notation table: LaTeX without dollars, code without ticks."""

    place: Place
    symbol: str
    meaning: str
    set: str
    code: str


@dataclass(frozen=True)
class Table:
    place: Place
    rows: tuple[Row, ...]


class Code(Protocol):
    """A cell of code."""

    @property
    def place(self) -> Place: ...  # of its first line

    @property
    def source(self) -> str: ...

    @property
    def tag(self) -> str | None: ...  # "notation" where it gives values to symbols

    @property
    def tree(self) -> ast.Module: ...


class Text(Protocol):
    """A chapter. Number 0 is a page of notation, whose rows hold everywhere."""

    path: Path
    text: str
    number: int

    @property
    def sections(self) -> Sequence[int]: ...  # of each line, its section's number

    @property
    def displays(self) -> Sequence[Display]: ...

    @property
    def tables(self) -> Sequence[Table]: ...

    @property
    def cells(self) -> Sequence[Code]: ...
