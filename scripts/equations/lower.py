"""A formula as plain data: one entry of it, written with entries of tables, sums and indices alone.

Products of matrices, transposes and the like are written out, so that whoever evaluates the data needs to
know nothing of shapes; norms and traces are tables of their values. An expression is a number, the name of
an index, or a list:

    ["x", table, index, …]                          an entry of a table
    ["+", a, b], ["-", a, b], ["*", a, b], ["/", a, b], ["^", a, b], ["neg", a]
    ["exp", a], ["max", a, b], …                    functions that everybody knows
    ["sum", index, low, high, condition, body]      also prod, max and min; the condition may be null
    ["=", a, b], ["<", a, b], …, ["and", a, b]      1 or 0
    ["cases", condition, value, …]                  the condition null is "otherwise"
    ["call", name, table, [index, …], a, …]         a function of the book: its values are a table
"""

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import COMPARE, ENTRYWISE, PAIRWISE, REDUCE, Ranges
from .environment import Environment
from .evaluate import Evaluator
from .sets import first_of
from .syntax import (
    Apply,
    Binary,
    Bound,
    Call,
    Cases,
    Compare,
    Derivative,
    Entry,
    Index,
    Indicator,
    Negative,
    Node,
    Number,
    Reduce,
    Symbol,
    Transpose,
    free_indices,
    show,
)

Expression = Any  # a number, the name of an index, or a list of them
OPERATORS = {"⊙": "*", "·": "*", "×": "*"}
SIGNS = {"≠": "!=", "≤": "<=", "≥": ">="}


@dataclass
class Table:
    """Numbers that an expression reads: of a symbol, a derivative, or a function's values."""

    name: str  # what it stands for, as `show` prints it
    node: Node
    data: np.ndarray
    first: tuple[int, ...]  # where each axis begins to count
    zero_outside: bool = False

    def entry(self, place: Sequence[float]) -> float:
        """The number at a place, as the formula counts."""
        at = tuple(int(index) - first for index, first in zip(place, self.first, strict=True))
        if all(0 <= index < size for index, size in zip(at, self.data.shape, strict=True)):
            return float(np.real(self.data[at]))
        return 0.0 if self.zero_outside else math.nan


@dataclass
class Lowering:
    """Lowers the sides of an equation on one draw. Equal tables are kept once."""

    env: Environment
    ranges: Ranges
    tables: list[Table] = field(default_factory=list)
    fresh: Iterator[int] = field(default_factory=itertools.count)
    _ranks: dict[Node, tuple[int, ...]] = field(default_factory=dict)

    def __call__(self, node: Node, at: tuple[Expression, ...]) -> Expression:
        """The entry of ``node`` at the place ``at``, which counts from 1."""
        return getattr(self, f"_{type(node).__name__.lower()}")(node, at)

    def shape(self, node: Node) -> tuple[int, ...]:
        if node not in self._ranks:
            self._ranks[node] = Evaluator(self.env, self.ranges)(node).shape
        return self._ranks[node]

    def rank(self, node: Node) -> int:
        return len(self.shape(node))

    # -- tables --------------------------------------------------------------------

    def table(self, node: Node, data: np.ndarray, first: tuple[int, ...], zero: bool = False) -> int:
        name = show(node)
        for position, known in enumerate(self.tables):
            if known.name == name and known.first == first:
                return position
        self.tables.append(Table(name, node, np.asarray(data), first, zero))
        return len(self.tables) - 1

    def of_symbol(self, node: Symbol) -> int:
        row = self.env.notation.rows[node.key]
        data = np.asarray(self.env.value(node.key))
        words = row.set.words
        first = tuple(first_of(axis, words) for axis in range(data.ndim))
        return self.table(node, data, first, "zero outside" in words)

    def values(self, node: Node, at: tuple[Expression, ...]) -> tuple[int, list[Expression]]:
        """All values of a part that is not written out, and the place of one entry in them."""
        found = Evaluator(self.env, self.ranges)(node)
        order = self.ranges.order
        lead = [axis for axis in range(len(order)) if found.data.shape[axis] > 1]
        data = found.data.reshape([found.data.shape[axis] for axis in lead] + list(found.shape))
        first = [int(self.ranges.values[order[axis]][0]) for axis in lead] + [1] * found.rank
        return self.table(node, data, tuple(first)), [*(order[axis] for axis in lead), *at]

    # -- leaves ----------------------------------------------------------------------

    def _number(self, node: Number, at: tuple[Expression, ...]) -> Expression:
        return node.value

    def _index(self, node: Index, at: tuple[Expression, ...]) -> Expression:
        return node.name

    def _symbol(self, node: Symbol, at: tuple[Expression, ...]) -> Expression:
        table = self.of_symbol(node)
        first = self.tables[table].first
        return ["x", table, *(p if f else ["-", p, 1] for p, f in zip(at, first, strict=True))]

    def _entry(self, node: Entry, at: tuple[Expression, ...]) -> Expression:
        indices = tuple(self(index, ()) for index in node.indices)
        if isinstance(node.base, Symbol):
            return ["x", self.of_symbol(node.base), *indices, *at]
        return self(node.base, indices + at)

    def _derivative(self, node: Derivative, at: tuple[Expression, ...]) -> Expression:
        top, above = (node.top.base, node.top.indices) if isinstance(node.top, Entry) else (node.top, ())
        if free_indices(top):
            table, place = self.values(node, at)
            return ["x", table, *place]
        whole = Derivative(top, node.bottom, ())
        table, _ = self.values(whole, ())
        rest = self.rank(top) - len(above)
        over = [self(index, ()) for index in above]
        under = [self(index, ()) for index in node.indices]
        return ["x", table, *over, *at[:rest], *under, *at[rest:]]

    # -- arithmetic --------------------------------------------------------------------

    def _negative(self, node: Negative, at: tuple[Expression, ...]) -> Expression:
        return ["neg", self(node.value, at)]

    def wide(self, node: Node, at: tuple[Expression, ...]) -> Expression:
        """A number beside an array stands for every entry."""
        return self(node, at if self.rank(node) else ())

    def _binary(self, node: Binary, at: tuple[Expression, ...]) -> Expression:
        left, right = self.shape(node.left), self.shape(node.right)
        if node.op in "+-" and len(left) == 2 and len(right) == 1:
            return [node.op, self(node.left, at), self(node.right, at[1:])]
        if node.op == "·" and len(left) == len(right) == 1:
            return self.over(left[0], lambda k: ["*", self(node.left, (k,)), self(node.right, (k,))])
        if node.op == "*" and left and right:
            return self.product(node, left, right, at)
        return [OPERATORS.get(node.op, node.op), self.wide(node.left, at), self.wide(node.right, at)]

    def product(
        self, node: Binary, left: tuple[int, ...], right: tuple[int, ...], at: tuple[Expression, ...]
    ) -> Expression:
        row = at[0] if at and (left[0] > 1 or len(at) == 2) else 1
        if len(left) == 1:
            return ["*", self(node.left, at[:1]), self(node.right, (1, at[1]))]
        column: tuple[Expression, ...] = (at[-1] if len(at) == 2 else 1,) if len(right) == 2 else ()
        return self.over(left[1], lambda k: ["*", self(node.left, (row, k)), self(node.right, (k, *column))])

    def over(self, size: int, body: Any) -> Expression:
        name = f"k{next(self.fresh)}"
        return ["sum", name, 1, size, None, body(name)]

    def _transpose(self, node: Transpose, at: tuple[Expression, ...]) -> Expression:
        shape = self.shape(node.value)
        if len(shape) == 1:
            return self(node.value, at[1:])
        return self(node.value, (1, at[0]) if shape[0] == 1 else (at[1], at[0]))

    # -- functions -----------------------------------------------------------------------

    def _call(self, node: Call, at: tuple[Expression, ...]) -> Expression:
        first, *others = node.arguments
        if node.name == "kronecker":
            return ["=", self(first, ()), self(others[0], ())]
        if node.name == "ones":
            return 1
        if node.name in PAIRWISE:
            found = self.wide(first, at)
            for other in others:
                found = [node.name, found, self.wide(other, at)]
            return found
        if node.name in ENTRYWISE and node.name not in ("real", "imag"):
            return [node.name, self(first, at)]
        table, place = self.values(node, at)
        return ["x", table, *place]

    def _apply(self, node: Apply, at: tuple[Expression, ...]) -> Expression:
        table, place = self.values(node, at)
        arguments = [self.wide(argument, at) for argument in node.arguments]
        return ["call", node.function + "'" * node.primes, table, place, *arguments]

    # -- sums and conditions ---------------------------------------------------------------

    def _reduce(self, node: Reduce, at: tuple[Expression, ...]) -> Expression:
        assert node.kind in REDUCE
        found = self(node.body, at)
        condition = None if node.condition is None else self(node.condition, ())
        for bound in reversed(node.bounds):
            found = [node.kind, bound.name, *self.limits(bound), condition, found]
            condition = None
        return found

    def limits(self, bound: Bound) -> list[Expression]:
        values = self.ranges.values[bound.name]
        if bound.low is None or bound.high is None:
            return [int(values[0]), int(values[-1])]
        return [self(bound.low, ()), self(bound.high, ())]

    def _compare(self, node: Compare, at: tuple[Expression, ...]) -> Expression:
        return [SIGNS.get(node.op, node.op), self.wide(node.left, at), self.wide(node.right, at)]

    def _indicator(self, node: Indicator, at: tuple[Expression, ...]) -> Expression:
        return self(node.condition, at)

    def _cases(self, node: Cases, at: tuple[Expression, ...]) -> Expression:
        found: list[Expression] = ["cases"]
        for value, condition in zip(node.values, node.conditions, strict=True):
            found += [None if condition is None else self.wide(condition, at), self.wide(value, at)]
        return found


# -- evaluating ------------------------------------------------------------------------------

RELATIONS = {SIGNS.get(sign, sign): function for sign, function in COMPARE.items()}
OPERATIONS: dict[str, Callable[..., Any]] = {
    **ENTRYWISE,
    **RELATIONS,
    **PAIRWISE,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "^": np.power,
    "neg": operator.neg,
}
Indices = Mapping[str, float]


def run(expression: Expression, tables: Sequence[Table], at: Indices) -> float:
    """The number that an expression is, where its indices have these values."""
    with np.errstate(all="ignore"):
        return _run(expression, tables, at)


def _run(expression: Expression, tables: Sequence[Table], at: Indices) -> float:
    if isinstance(expression, str):
        return at[expression]
    if not isinstance(expression, list):
        return float(expression)
    kind, *parts = expression
    if kind in ("x", "call"):
        table, place = (parts[0], parts[1:]) if kind == "x" else (parts[1], parts[2])
        return tables[table].entry([_run(index, tables, at) for index in place])
    if kind in REDUCE and len(parts) == 5:
        function, neutral = REDUCE[kind]
        values = [_run(parts[4], tables, inner) for inner in steps(expression, tables, at)]
        return float(function(np.array(values), initial=neutral))
    if kind == "cases":
        rows = zip(parts[::2], parts[1::2], strict=True)
        held = (value for condition, value in rows if condition is None or _run(condition, tables, at))
        return _run(next(held, math.nan), tables, at)
    return float(OPERATIONS[kind](*(_run(part, tables, at) for part in parts)))


def steps(expression: Expression, tables: Sequence[Table], at: Indices) -> Iterator[Indices]:
    """The values that a sum's index takes."""
    _, name, low, high, condition, _ = expression
    for value in range(round(_run(low, tables, at)), round(_run(high, tables, at)) + 1):
        inner = {**at, name: value}
        if condition is None or _run(condition, tables, inner):
            yield inner
