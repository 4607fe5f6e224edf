"""What a chapter consists of: cells, displays, tables, references, each with its place."""

import ast
import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import CodeType
from typing import Any

from equations.text import LABEL, Display, Place, Row, Table, shown_path

__all__ = ["LABEL", "Display", "Place", "Row", "Table", "shown_path"]

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
MODULE_NAME = "backprop_core"
WIDTH = 79  # of the lines of core cells and of the module
Place.base = ROOT

REFERENCE = re.compile(rf"@({LABEL})")
FENCE = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|~{3,})(?P<info>.*)$")
CODE_REFERENCE = re.compile(rf"(?<![\w@])({LABEL})")
# Each of these is linear in the length of a line: it begins only where a run begins, and does not go back.
_SHOWN = r"[^\s<>|()$*`\[\]≈~]"
NUMBER = re.compile(rf"(?<!{_SHOWN})(?P<shown>{_SHOWN}+)<!-- = (?P<expression>(?:(?!<!--|-->).)*) -->")


class BookError(Exception):
    """A mistake in the book. The message begins with its place."""

    def __init__(self, place: Place | Path, message: str) -> None:
        where = place if isinstance(place, Place) else shown_path(place)
        super().__init__(f"{where}: {message}")
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        """It comes back whole from another process."""
        return type(self).__new__, (type(self),), {"args": self.args, "place": self.place}


def together(mistakes: Sequence[BookError]) -> BookError:
    """Several mistakes as one, at the place of the first."""
    mistakes[0].args = ("\n".join(map(str, mistakes)),)
    return mistakes[0]


@dataclass(frozen=True)
class Cell:
    """A fence that is run (``kind`` python), tested (pycon) or shown."""

    place: Place  # of the first line of its source
    source: str
    kind: str  # "python", "pycon", or a language that is only shown
    name: str | None = None
    tag: str | None = None  # one of TAGS
    alt: str | None = None
    raises: str | None = None  # the error's type
    saying: str | None = None  # a pattern for its message
    aside: bool = False  # a core or notation cell that the site folds away
    more: tuple[tuple[str, str], ...] = ()  # further attributes, of exercises

    @property
    def end(self) -> int:
        """The line behind the last one of its source."""
        return self.place.line + self.source.count("\n")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    def __getstate__(self) -> dict[str, Any]:
        """Without its tree, which is parsed in less time than it takes to read one that was kept."""
        return {name: value for name, value in vars(self).items() if name != "tree"}

    def at(self, node: ast.stmt | ast.expr) -> Place:
        """Where a node of ``tree`` stands in the book."""
        return Place(self.place.path, self.place.line + node.lineno - 1)


@cache
def compiled(cell: Cell, flags: int = 0) -> CodeType:
    """The cell under its chapter's path and moved down to its place: its lines are the book's."""
    padded = "\n" * (cell.place.line - 1) + cell.source
    code: CodeType = compile(padded, str(cell.place.path), "exec", flags=flags, dont_inherit=True)
    return code


@dataclass(frozen=True)
class Reference:
    place: Place
    label: str


@dataclass(frozen=True)
class Number:
    """A number in prose, followed by the expression that computes it."""

    place: Place
    shown: str
    expression: str
    cells_before: int  # how many cells stand above it


@dataclass(eq=False)
class Chapter:
    path: Path
    text: str
    number: int
    title: str = ""
    cells: list[Cell] = field(default_factory=list)
    displays: list[Display] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)

    @property
    def core(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.tag == "core"]

    @property
    def python(self) -> list[Cell]:
        """The cells that Jupyter runs, in order."""
        return [cell for cell in self.cells if cell.kind == "python"]

    def place(self, line: int) -> Place:
        return Place(self.path, line)

    @property
    def prose(self) -> list[tuple[int, str]]:
        """The lines that stand in no fence, with their numbers."""
        inside = {line for cell in self.cells for line in range(cell.place.line, cell.end)}
        return [one for one in enumerate(self.text.split("\n"), 1) if one[0] not in inside]

    @cached_property
    def sections(self) -> list[int]:
        """The section of each line: how many headings of level one or two stand above it."""
        count, found, fence = 0, [], ""
        for line in self.text.split("\n"):
            if mark := FENCE.match(line):
                fence = "" if fence and line.strip() == fence else fence or mark["mark"]
            elif not fence and re.match(r"##? ", line):
                count += 1
            found.append(count)
        return found


@dataclass(frozen=True)
class Equation:
    """A display with a label."""

    number: str
    chapter: Chapter
    display: Display

    @property
    def anchor(self) -> str:
        return str(self.display.label).replace(":", "-")

    @property
    def link(self) -> str:
        return f"{self.chapter.path.name}#{self.anchor}"


def equations_of(chapters: Sequence[Chapter]) -> dict[str, Equation]:
    """The equations by their labels, numbered in each chapter."""
    found = {}
    for chapter in chapters:
        labelled = [display for display in chapter.displays if display.label]
        for position, display in enumerate(labelled, 1):
            found[str(display.label)] = Equation(f"{chapter.number}.{position}", chapter, display)
    return found


def code_references(cell: Cell) -> list[Reference]:
    """The ``eq:…`` labels named in a cell's comments and docstrings."""
    return [
        Reference(Place(cell.place.path, number), label)
        for number, line in enumerate(cell.source.split("\n"), cell.place.line)
        for label in CODE_REFERENCE.findall(line)
    ]


def defined_names(cell: Cell) -> list[str]:
    """The top-level names a cell binds, in order."""
    return [name for name, _ in definitions(cell)]


def definitions(cell: Cell) -> list[tuple[str, Place]]:
    """The top-level names a cell binds, and where."""
    found = []
    for node in cell.tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.append((node.name, cell.at(node)))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                leaves = [leaf for leaf in ast.walk(target) if isinstance(leaf, ast.Name)]
                found += [(leaf.id, cell.at(leaf)) for leaf in leaves]
    return found


def parameters(function: ast.FunctionDef) -> str:
    """What it takes, without types."""
    arguments = copy.deepcopy(function.args)
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(arguments)
