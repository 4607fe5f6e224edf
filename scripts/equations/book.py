"""Chapters, the notation that holds at each of their lines, and what their equations define."""

from __future__ import annotations

import copy
import functools
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from .chains import Equation, equations
from .environment import Environment
from .errors import MathError
from .evaluate import Calculus
from .notation import Notation, notation_at
from .reader import read_sides
from .syntax import Binary, Derivative, Node, Symbol, base_of
from .text import Display, Table, Text


@dataclass(frozen=True)
class Read:
    """An equation, read."""

    equation: Equation
    sides: tuple[Node, ...]

    @property
    def defines(self) -> str | None:
        """The symbol that stands alone on the left."""
        base = base_of(self.sides[0])
        return base.key if isinstance(base, Symbol) else None

    def walk(self) -> Iterator[Node]:
        """All parts of all sides."""
        return (part for side in self.sides for part in side.walk())

    def ids(self, notation: Notation) -> frozenset[str]:
        """Everything that it depends on."""
        return frozenset().union(*map(notation.ids, self.sides))

    def pairs(self) -> set[tuple[str, str]]:
        """(L, W) for each ∂L/∂W in it."""
        return {part.pair for part in self.walk() if isinstance(part, Derivative)}


def read_display(tex: str, notation: Notation) -> tuple[Read, ...]:
    """The equations of a display, read; what cannot be read is a MathError."""
    try:
        return _read_display(tex, notation.reading)
    except RecursionError:
        raise MathError("a formula that goes too deep; break it up") from None


@functools.lru_cache(maxsize=4096)
def _read_display(tex: str, kinds: frozenset[tuple[str, str]]) -> tuple[Read, ...]:
    """Read once; a display is met again in its mutants' score and by those who use its symbols."""
    found = []
    for equation in equations(tex):
        try:
            is_update = equation.sides[1].relation == "←"
            sides = read_sides([side.tokens for side in equation.sides], dict(kinds), is_update)
        except MathError as error:
            error.equation = equation
            raise
        found.append(Read(equation, tuple(sides)))
    return tuple(found)


def _is_foreign(name: str, value: object) -> bool:
    """What a module only imports: np, Callable."""
    home = str(getattr(value, "__module__", "")).split(".")[0]
    is_import = isinstance(value, ModuleType) or home == "numpy" or home in sys.stdlib_module_names
    return is_import or name.startswith("__")


class Book:
    """Chapters with the module that they are held against."""

    def __init__(self, chapters: Sequence[Text], module: Mapping[str, Any], seed: int = 0) -> None:
        self.chapters = chapters
        self.module = {name: value for name, value in module.items() if not _is_foreign(name, value)}
        self.seed = seed
        self.calculus = Calculus()
        self.replaced: dict[str, str] = {}  # label -> LaTeX to read in its place
        self._forget()

    def _forget(self) -> None:
        self._draws: dict[tuple[int, str, int | str], Environment] = {}
        self._notations: dict[tuple[str, int, int], Notation] = {}
        self._texts: dict[tuple[str, str], Node | None] = {}

    def replacing(self, label: str, tex: str, fresh: bool) -> Book:
        """The book with another display; ``fresh`` if others rest on what it defines."""
        changed = copy.copy(self)
        changed.replaced = {label: tex}
        if fresh:
            changed._forget()
        return changed

    @cached_property
    def displays(self) -> dict[str, tuple[Text, Display]]:
        """The displays that have a label, checked or not."""
        pairs = ((chapter, one) for chapter in self.chapters for one in chapter.displays if one.label)
        return {str(display.label): (chapter, display) for chapter, display in pairs}

    def notation(self, chapter: Text, line: int) -> Notation:
        """What holds at a line. Lines between the same tables and headings share it."""
        tables = sum(table.place.line < line for table in chapter.tables)
        key = str(chapter.path), chapter.sections[line - 1], tables
        if key not in self._notations:
            pages = [page for page in self.chapters if page.number == 0 and page is not chapter]
            self._notations[key] = notation_at(chapter, line, self.module, pages, self.text)
        return self._notations[key]

    def notation_of(self, chapter: Text, table: Table) -> Notation:
        """What holds at the end of a table's section."""
        where = chapter.sections
        here = where[table.place.line - 1]
        return self.notation(chapter, max(at for at, section in enumerate(where, 1) if section == here))

    def draw(
        self,
        notation: Notation,
        name: str,
        attempt: int,
        avoid: frozenset[int],
        needed: frozenset[str],
        corner: str = "",
    ) -> Environment:
        """A draw for a display. Its mutants share it, and what has been computed with it."""
        if self._draws and next(iter(self._draws))[:2] != (id(notation), name):
            self._draws.clear()
        key = id(notation), name, corner or attempt
        if key not in self._draws:
            seed = zlib.crc32(f"{name} {self.seed} {corner or attempt}".encode())
            self._draws[key] = Environment(notation, self.calculus, seed, avoid, needed, corner)
        return self._draws[key]

    def text(self, label: str, key: str) -> Node | None:
        """How a display defines a symbol, as left = right."""
        if (label, key) not in self._texts and label in self.displays:
            chapter, display = self.displays[label]
            try:
                tex = self.replaced.get(label, display.tex)
                reads = read_display(tex, self.notation(chapter, display.place.line))
            except MathError as error:
                raise MathError(f"{label}: {error}") from None
            found = (Binary("=", *read.sides[:2]) for read in reads if read.defines == key)
            self._texts[label, key] = next(found, None)
        return self._texts.get((label, key))
