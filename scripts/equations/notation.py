"""The rows and notation cells that hold at a line of a chapter.

A row holds from its table to the end of the chapter, a later row for the same
symbol replaces it, and the tables of the page of notation hold everywhere. A
cell tagged ``notation`` belongs to its section (a heading of level one or two)
and to all later ones.
"""

import ast
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .errors import MathError, RowError, at_row
from .grammar import parse, raw
from .reader import read_sides
from .sets import Set, parse_set
from .slicing import Slice, Statement, called_names, free_names, reachable, stored_names
from .stand_ins import HELPERS
from .syntax import Derivative, Node, Symbol
from .text import LABEL, Code, Place, Row, Text
from .tokens import tokens

GRADIENT = re.compile(r"\\[dt]?frac|\\nabla")
BUILTIN = {"np": np, "kronecker": HELPERS["kronecker"]}


@dataclass(frozen=True)
class Definition:
    """A row, read."""

    row: Row
    key: str
    set: Set
    kind: str
    name: str | None  # what the code is called, if it is a name
    expression: ast.expr | None  # what computes it, unless it is only a name
    label: str | None  # the equation that defines it
    section: int

    @property
    def place(self) -> Place:
        return self.row.place

    @property
    def id(self) -> str:
        """What the graph of dependencies calls it: the code's name, else the symbol."""
        return self.name or f"${self.key}$"


@dataclass
class Notation:
    """What holds at one place of the book."""

    module: Mapping[str, Any]
    section: int
    rows: dict[str, Definition] = field(default_factory=dict)
    gradients: dict[tuple[str, str], Definition] = field(default_factory=dict)
    cells: list[tuple[int, Code]] = field(default_factory=list)  # with their sections
    texts: Callable[[str, str], Node | None] = lambda label, key: None  # how an equation defines a symbol

    def __post_init__(self) -> None:
        """Work out each answer once."""
        self.slice_of = functools.cache(self._slice_of)
        self.slice_for = functools.cache(self._slice_for)
        self.reads = functools.cache(self._reads)
        self.closure = functools.cache(lambda id_: frozenset(reachable([id_], self.reads)))  # and all below
        self.read_number = functools.cache(self._read_number)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """What the reader knows of each symbol. An earlier section's number may serve as an index again."""
        return {
            key: "value" if row.kind == "number" and row.section != self.section else row.kind
            for key, row in self.rows.items()
        }

    @cached_property
    def constants(self) -> dict[str, Any]:
        return {**BUILTIN, **HELPERS, **self.module}

    def every_row(self) -> Iterator[Definition]:
        yield from self.rows.values()
        yield from self.gradients.values()

    # -- who defines a name ----------------------------------------------------

    @cached_property
    def named(self) -> dict[str, Definition]:
        """Code name -> the row that stands for it; a row that computes it before one that mentions it."""
        found: dict[str, Definition] = {}
        for definition in self.every_row():
            if definition.name and (definition.expression or definition.name not in found):
                found[definition.name] = definition
        return found

    @cached_property
    def assigned(self) -> dict[str, list[tuple[int, Code]]]:
        found: dict[str, list[tuple[int, Code]]] = {}
        for section, cell in self.cells:
            for name in stored_names(cell.tree):
                found.setdefault(name, []).append((section, cell))
        return found

    def cell_of(self, name: str) -> Code | None:
        """The notation cell that computes a name: the last one, unless a later section's row draws it."""
        cells = self.assigned.get(name, [])
        row = self.named.get(name)
        if not cells or (row and cells[-1][0] < row.section):
            return None
        return cells[-1][1]

    def _slice_of(self, name: str, given: frozenset[str] = frozenset()) -> Slice | None:
        """The statements that compute a name, or None if it is drawn or constant."""
        row = self.named.get(name)
        if row and row.expression:
            return Slice.of_expression(row.expression, name, row.place)
        if cell := self.cell_of(name):
            return Slice.of_cell(self._statements[cell.place], name, given, self._classes)
        return None

    def _slice_for(self, id_: str) -> Slice | None:
        """The statements behind an id, named or not."""
        row = self.by_id.get(id_)
        if row and row.expression and not row.name:
            return Slice.of_expression(row.expression, "value", row.place)
        return self.slice_of(id_)

    @cached_property
    def _statements(self) -> dict[Place, list[Statement]]:
        return {cell.place: Statement.all_of(cell) for _, cell in self.cells}

    @cached_property
    def _classes(self) -> set[str]:
        return {name for name, value in self.constants.items() if isinstance(value, type)}

    def gradient_of(self, name: str) -> tuple[str, str] | None:
        """The derivative that a bare name stands for: dY is ∂L/∂Y as handed to the code."""
        for pair, definition in self.gradients.items():
            if definition.name == name and definition.expression is None:
                return pair
        return None

    # -- what depends on what ----------------------------------------------------

    def _reads(self, id_: str) -> frozenset[str]:
        """What an id is computed from, directly."""
        definition = self.by_id.get(id_)
        if definition and definition.label:
            return self._ids(self.text(definition))
        if slice_ := self.slice_for(id_):
            return self._known(slice_.reads | slice_.stores - {slice_.name})
        if pair := self.gradient_of(id_):
            return frozenset(self.rows[key].id for key in pair if key in self.rows)
        if definition:
            sizes = definition.set.sizes
            return frozenset(one for size in sizes for one in self._ids(self.read_number(size)))
        return frozenset()

    def _known(self, names: frozenset[str]) -> frozenset[str]:
        return frozenset(name for name in names if self.slice_of(name) or name in self.named)

    def _ids(self, node: Node) -> frozenset[str]:
        ids = set()
        for part in node.walk():
            key = getattr(part, "key", None) or getattr(part, "function", None)
            if key in self.rows:
                ids.add(self.rows[key].id)
        return frozenset(ids)

    @cached_property
    def by_id(self) -> dict[str, Definition]:
        return {**{d.id: d for d in self.every_row()}, **self.named}

    def slope_within(self, id_: str) -> str:
        """A symbol on which this one rests and which the text defines as a derivative, if there is one."""
        below = (row for row in self.rows.values() if row.label and row.id in self.closure(id_))
        slopes = (row.key for row in below if any(isinstance(n, Derivative) for n in self.text(row).walk()))
        return next(slopes, "")

    def ids(self, node: Node) -> frozenset[str]:
        """Everything a formula depends on."""
        return frozenset(one for id_ in self._ids(node) for one in self.closure(id_))

    @cached_property
    def reading(self) -> frozenset[tuple[str, str]]:
        """All that reading a formula depends on."""
        return frozenset(self.kinds.items())

    def module_names(self, ids: Iterable[str]) -> set[str]:
        """What of the module these ids are computed with."""
        own = self.module.keys() - HELPERS.keys()
        found = set()
        for id_ in ids:
            if slice_ := self.slice_for(id_):
                found |= called_names(slice_.nodes, own)
            elif id_ in own:
                found.add(id_)
        return found

    @cached_property
    def names_read(self) -> frozenset[str]:
        """Every name that the code of a row or cell reads."""
        rows = [free_names(row.expression) for row in self.every_row() if row.expression]
        return frozenset().union(*rows, *(free_names(cell.tree) for _, cell in self.cells))

    @cached_property
    def literals(self) -> frozenset[int]:
        """Integers in the code and the sets; sizes avoid them."""
        texts = [text for row in self.every_row() for text in (row.row.code, row.row.set)]
        texts += [cell.source for _, cell in self.cells]
        return frozenset(
            int(number) for text in texts for number in re.findall(r"(?<![\w.])\d+(?![\w.])", text)
        )

    def gradients_at(self, places: Iterable[Place]) -> Iterator[tuple[tuple[str, str], Definition]]:
        """Those of the gradient rows at these places that code computes."""
        wanted = set(places)
        for pair, row in self.gradients.items():
            if row.place in wanted and self.slice_for(row.id):
                yield pair, row

    # -- text ----------------------------------------------------------------------

    def text(self, definition: Definition) -> Node:
        """How the text defines a symbol."""
        node = self.texts(definition.label or "", definition.key)
        if node is None:
            raise RowError(definition.place, f"{definition.label} does not define {definition.row.symbol}")
        return node

    def _read_number(self, tex: str) -> Node:
        """A size or a limit in the Set column."""
        return read_sides([tokens(tex)], {key: row.kind for key, row in self.rows.items()})[0]


@functools.cache
def read_row(row: Row, section: int) -> Definition:
    with at_row(row.place):
        set_ = parse_set(row.set)
        name, expression, label = _read_code(row.code)
        key = symbol_key(row.symbol)
    return Definition(row, key, set_, _kind(set_, row), name, expression, label, section)


@functools.cache
def symbol_key(tex: str) -> str:
    """A symbol in its one spelling; "θ \\leftarrow" is the new value of θ."""
    if tex.endswith(r"\leftarrow"):
        return symbol_key(tex.removesuffix(r"\leftarrow")) + " ←"
    found = parse(tokens(tex))
    if len(found) != 1:
        raise MathError(f"{tex} is not one symbol")
    return raw(found)


def _kind(set_: Set, row: Row) -> str:
    if row.code == "kronecker":
        return "indexed"
    if set_.domain is not None:
        return "function"
    if set_.is_integer and set_.rank == 0:
        return "number"
    return "value"


def _read_code(code: str) -> tuple[str | None, ast.expr | None, str | None]:
    """Name, expression and label of the last column."""
    if re.fullmatch(LABEL, code):
        return None, None, code
    try:
        body = ast.parse(code).body
    except SyntaxError as error:
        raise MathError(f"`{code}` is not Python: {error.msg}") from None
    match body:
        case [ast.Expr(ast.Name(name))]:
            return name, None, None
        case [ast.Expr(expression)]:
            return None, expression, None
        case [ast.Assign([ast.Name(name)], expression)]:
            return name, expression, None
    raise MathError(f"`{code}`: write a name, an expression, name = expression, or eq:label")


def gradient_pair(row: Row, kinds: Mapping[str, str]) -> tuple[str, str]:
    """(L, W) of the symbol ∂L/∂W."""
    with at_row(row.place):
        (node,) = read_sides([tokens(row.symbol)], kinds)
    match node:
        case Derivative(Symbol(top), Symbol(bottom), ()):
            return top, bottom
    written = r"\frac{\partial L}{\partial W}"
    raise RowError(row.place, f"{row.symbol}: a gradient row is {written}, without indices")


# -- where things stand --------------------------------------------------------------


def notation_at(
    chapter: Text,
    line: int,
    module: Mapping[str, Any],
    pages: Sequence[Text],
    texts: Callable[[str, str], Node | None],
) -> Notation:
    """The notation that holds at a line of a chapter."""
    where = chapter.sections
    here = where[line - 1]
    notation = Notation(module, here, texts=texts)
    tables = [(table, -1) for page in pages for table in page.tables]
    tables += [(table, where[table.place.line - 1]) for table in chapter.tables if table.place.line < line]
    rows = [(row, section) for table, section in tables for row in table.rows]
    for row, section in rows:
        if not GRADIENT.match(row.symbol):
            definition = read_row(row, section)
            notation.rows[definition.key] = definition
    for row, section in rows:
        if GRADIENT.match(row.symbol):
            pair = gradient_pair(row, notation.kinds)
            notation.gradients[pair] = read_row(row, section)
    for cell in chapter.cells:
        section = where[cell.place.line - 1]
        if cell.tag == "notation" and section <= here:
            notation.cells.append((section, cell))
    return notation
