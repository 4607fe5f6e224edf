"""Evaluate a formula on NumPy: every index owns an axis.

An array has one leading axis for each index of the equation, of length one
where it does not depend on it, then its positional axes: none for a number,
one for a vector (a column), two for a matrix.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import differences
from .arrays import COMPARE, ENTRYWISE, NORMS, PAIRWISE, REDUCE, Array, Ranges
from .derivatives import gradient, jacobian
from .environment import Environment
from .errors import MathError, Redraw, at_row, at_side, told_at
from .notation import Definition
from .sets import Set, check_member, draw, first_of
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
    plain,
    show,
)


def ranges_of(nodes: Sequence[Node], env: Environment) -> Ranges:
    """What each index runs over: its limits, or the axes on which it stands bare."""
    ranges = Ranges()
    for position, node in enumerate(nodes):
        with at_side(position):
            _Ranger(env, ranges).visit(node)
    ranges.trim(free_indices(nodes[0]))
    for position, node in enumerate(nodes):
        names = [part.name for part in node.walk() if isinstance(part, Index | Bound)]
        if unknown := [plain(name) for name in names if name not in ranges.values]:
            with at_side(position):
                raise MathError(
                    f"the range of index {unknown[0]} is unknown: it stands alone on no axis; "
                    f"give it limits, \\sum_{{{unknown[0]}=1}}^{{n}}"
                )
    return ranges


def _shift(index: Node) -> tuple[str, int] | None:
    """(t, -1) of t - 1."""
    match index:
        case Binary("+", Index(name), Number(value)):
            return name, int(value)
        case Binary("-", Index(name), Number(value)):
            return name, -int(value)
    return None


Branch = tuple[Cases | Call | Compare | Indicator, int]


class _Ranger:
    def __init__(self, env: Environment, ranges: Ranges) -> None:
        self.env = env
        self.ranges = ranges

    def visit(self, node: Node) -> None:
        if isinstance(node, Reduce):
            for bound in node.bounds:
                if bound.low is not None and bound.high is not None:
                    self.limits(bound)
        if isinstance(node, Entry):
            self.axes(node.indices, node.base)
        if isinstance(node, Derivative):
            self.axes(node.indices, node.bottom)
        for child in node.children():
            self.visit(child)

    def limits(self, bound: Bound) -> None:
        assert bound.low is not None and bound.high is not None
        for limit in (bound.low, bound.high):
            self.visit(limit)
        inner = Evaluator(self.env, self.ranges)
        low, high = (inner(limit).data for limit in (bound.low, bound.high))
        if np.any(low != np.round(low)) or np.any(high != np.round(high)):
            raise MathError(f"the limits of {plain(bound.name)} are no integers")
        values = np.arange(round(float(np.min(low))), round(float(np.max(high))) + 1)
        self.ranges.add(bound.name, values, f"its limits {show(bound.low)}..{show(bound.high)}")

    def axes(self, indices: tuple[Node, ...], base: Node) -> None:
        shape, what, words = self.shape(base), show(base), _words(base, self.env)
        if shape is None:
            return
        if len(indices) > len(shape):
            raise MathError(f"{what} has {len(shape)} axes, not {len(indices)}")
        for axis, index in enumerate(indices):
            first = first_of(axis, words)
            values = np.arange(first, first + shape[axis])
            name = index.name if isinstance(index, Index) else ""
            if name and not self.ranges.source.get(name, "").startswith("its limits"):
                self.ranges.add(name, values, f"{_nth(axis)} index of {what}")
            if "zero outside" not in words and (shift := _shift(index)):
                self.ranges.shifts.append((shift[0], values - shift[1]))

    def shape(self, node: Node) -> tuple[int, ...] | None:
        """The positional shape of what is indexed, if it can be known now."""
        if isinstance(node, Symbol):
            return self.env.shape(self.env.notation.rows[node.key].set)
        if free_indices(node):
            return None
        self.visit(node)
        return Evaluator(self.env, self.ranges)(node).shape


def _words(node: Node, env: Environment) -> frozenset[str]:
    return env.notation.rows[node.key].set.words if isinstance(node, Symbol) else frozenset()


class Evaluator:
    def __init__(self, env: Environment, ranges: Ranges) -> None:
        self.env = env
        self.ranges = ranges
        self.order = ranges.order
        self.outside = ""  # the first index that left its axis
        self.reached: set[Branch] = set()  # rows of cases that held somewhere, arguments that were extreme

    def __call__(self, node: Node) -> Array:
        try:
            with np.errstate(all="ignore", over="raise" if self.env.corner.startswith("large") else "ignore"):
                return self.value(node)
        except FloatingPointError:
            raise Redraw(f"{show(node)} overflows") from None

    def value(self, node: Node) -> Array:
        found: Array = getattr(self, type(node).__name__.lower())(node)
        return found

    # -- leaves ----------------------------------------------------------------

    def lift(self, value: np.ndarray) -> Array:
        """A value that depends on no index."""
        value = np.asarray(value)
        return Array(value.reshape((1,) * len(self.order) + value.shape), value.ndim)

    def number(self, node: Number) -> Array:
        return self.lift(self.env.calculus.constant(node.value))

    def symbol(self, node: Symbol) -> Array:
        return self.lift(self.env.value(node.key))

    def index(self, node: Index) -> Array:
        if node.name not in self.order:
            raise MathError(f"the range of index {plain(node.name)} is not known where it is used")
        shape = [1] * len(self.order)
        shape[self.order.index(node.name)] = -1
        return Array(self.ranges.values[node.name].reshape(shape), 0)

    # -- entries -----------------------------------------------------------------

    def entry(self, node: Entry) -> Array:
        return self.pick(self.value(node.base), node.indices, show(node.base), 0, _words(node.base, self.env))

    def pick(
        self,
        base: Array,
        indices: tuple[Node, ...],
        what: str,
        skip: int = 0,
        words: frozenset[str] = frozenset(),
    ) -> Array:
        """Entries of the axes after the first ``skip`` positional ones."""
        if len(indices) > base.rank - skip:
            raise MathError(f"{what} has {base.rank - skip} axes, not {len(indices)}")
        if not indices:
            return base
        lead = len(self.order)
        axes = range(lead + skip, lead + skip + len(indices))
        moved = np.moveaxis(base.data, list(axes), range(lead, lead + len(indices)))
        own: list[Any] = [
            np.arange(size).reshape([-1 if at == axis else 1 for at in range(lead)]) if size > 1 else 0
            for axis, size in enumerate(base.data.shape[:lead])
        ]
        places: list[Any] = []
        good = np.ones((1,) * lead, dtype=bool)
        for axis, index in enumerate(indices):
            size = moved.shape[lead + axis]
            place = self.place(index, axis, words)
            inside = (place >= 0) & (place < size)
            if not np.all(inside) and not self.outside:
                first = first_of(axis, words)
                self.outside = (
                    f"{show(index)} = {int(place[~inside].flat[0]) + first} lies outside the {_nth(axis)} "
                    f"index of {what}, {first}..{size - 1 + first}"
                )
            places.append(np.where(inside, place, 0))
            good = good & inside
        data = moved[(*own, *places)]
        if not np.all(good):
            good = good.reshape(good.shape + (1,) * (data.ndim - lead))
            data = np.where(good, data, 0.0 if "zero outside" in words else np.nan)
        return Array(data, base.rank - len(indices))

    def place(self, index: Node, axis: int, words: frozenset[str]) -> np.ndarray:
        value = self.value(index)
        if value.rank or np.any(value.data != np.round(value.data.real)):
            raise MathError(f"{show(index)} is no index: it must be an integer")
        return value.data.astype(int) - first_of(axis, words)

    # -- arithmetic ----------------------------------------------------------------

    def negative(self, node: Negative) -> Array:
        value = self.value(node.value)
        return Array(-value.data, value.rank)

    def binary(self, node: Binary) -> Array:
        left, right = self.value(node.left), self.value(node.right)
        match node.op:
            case "+" | "-":
                return self.add(node.op, left, right)
            case "⊙":
                return self.entrywise(np.multiply, left, right, r"\odot")
            case "/":
                return self.divide(left, right)
            case "^":
                return self.power(left, right, node)
            case "*":
                return self.product(left, right)
        return self.dot(node.op, left, right)

    def add(self, op: str, left: Array, right: Array) -> Array:
        if left.rank == 2 and right.rank == 1 and left.shape[1] == right.shape[0]:
            right = Array(right.data[..., None, :], 2)
            return Array(left.data + right.data if op == "+" else left.data - right.data, 2)
        return self.entrywise(np.add if op == "+" else np.subtract, left, right, op)

    def entrywise(self, function: np.ufunc, left: Array, right: Array, what: str) -> Array:
        if left.rank and right.rank and left.shape != right.shape:
            raise MathError(f"{what} of shapes {left.shape} and {right.shape}")
        rank = max(left.rank, right.rank)
        return Array(function(self.widen(left, rank), self.widen(right, rank)), rank)

    def widen(self, value: Array, rank: int) -> np.ndarray:
        """A number beside an array stands for every entry."""
        return value.data.reshape(value.data.shape + (1,) * (rank - value.rank))

    def divide(self, left: Array, right: Array) -> Array:
        if right.rank > 1:
            raise MathError("division by a matrix; write it with indices")
        return self.entrywise(np.divide, left, right, "quotient")

    def power(self, left: Array, right: Array, node: Binary) -> Array:
        if left.rank > 1:
            hint = r"; write X^\top for the transpose" if show(node.right) == "T" else ""
            raise MathError(f"powers of matrices are not read{hint}; write them with indices")
        if right.rank:
            raise MathError("an exponent must be a number")
        base = left.data
        if np.any(np.asarray(base) < 0) and np.any(right.data != np.round(right.data)):
            raise Redraw("a power of a negative number")
        if right.data.dtype.kind in "iu":
            right = Array(right.data.astype(float), 0)
        return Array(np.power(base * 1.0, self.widen(right, left.rank)), left.rank)

    def product(self, left: Array, right: Array) -> Array:
        """Side by side: scaling, or a matrix product."""
        if left.rank == 0 or right.rank == 0:
            return self.entrywise(np.multiply, left, right, "product")
        if left.rank == 1 and right.rank == 1:
            raise MathError(r"two vectors side by side: write a^\top b, a b^\top or a \odot b")
        if left.rank > 2 or right.rank > 2:
            raise MathError("a product of arrays with more than two axes: write it with indices")
        if left.rank == 1 and right.shape[0] != 1:
            raise MathError(r"a vector is a column: write x^\top W for a row times a matrix")
        if left.rank == 2 and left.shape[1] != right.shape[0]:
            raise MathError(f"matrix product of shapes {left.shape} and {right.shape}")
        columns = (one.data if one.rank == 2 else one.data[..., None] for one in (left, right))
        found = np.matmul(*columns)
        if left.rank == 2 and found.shape[-2:] == (1, 1):
            return Array(found[..., 0, 0], 0)
        return Array(found[..., 0], 1) if right.rank == 1 else Array(found, 2)

    def dot(self, op: str, left: Array, right: Array) -> Array:
        r"""``\cdot`` and ``\times`` as written."""
        if left.rank == 0 or right.rank == 0:
            return self.entrywise(np.multiply, left, right, "product")
        if op == "·" and left.rank == right.rank == 1:
            if left.shape != right.shape:
                raise MathError(f"dot product of shapes {left.shape} and {right.shape}")
            return Array(np.sum(left.data * right.data, axis=-1), 0)
        raise MathError(
            r"\cdot and \times join numbers; write AB for a matrix product, A \odot B entry by entry"
        )

    def transpose(self, node: Transpose) -> Array:
        value = self.value(node.value)
        if value.rank == 1:
            return Array(value.data[..., None, :], 2)
        if value.rank != 2:
            raise MathError(f"the transpose of something with {value.rank} axes")
        swapped = np.swapaxes(value.data, -1, -2)
        return Array(swapped[..., 0], 1) if swapped.shape[-1] == 1 else Array(swapped, 2)

    # -- functions -----------------------------------------------------------------

    def call(self, node: Call) -> Array:
        values = [self.value(argument) for argument in node.arguments]
        first = values[0]
        if node.name == "kronecker":
            return Array(np.equal(first.data, values[1].data).astype(float), 0)
        if node.name == "ones":
            return self.lift(np.ones(round(evaluate_number(node.arguments[0], self.env))))
        if node.name in PAIRWISE:
            for value in values[1:]:
                first = self.entrywise(PAIRWISE[node.name], first, value, node.name)
            if node.name != "and":
                self.note_extremes(node, values, first)
            return first
        if node.name in NORMS:
            axes = tuple(range(-first.rank, 0))
            return Array(NORMS[node.name](np.abs(first.data), axes), 0)
        if node.name == "diag":
            if first.rank != 1:
                raise MathError(r"\operatorname{diag} takes a vector")
            return Array(first.data[..., :, None] * np.eye(first.shape[0]), 2)
        if node.name == "tr":
            if first.rank != 2 or first.shape[0] != first.shape[1]:
                raise MathError(f"the trace of shape {first.shape}")
            return Array(np.trace(first.data, axis1=-2, axis2=-1), 0)
        return Array(ENTRYWISE[node.name](first.data), first.rank)

    def note_extremes(self, node: Call, values: list[Array], extreme: Array) -> None:
        """Which arguments alone are the largest, or the smallest, somewhere."""
        at = [np.equal(self.widen(value, extreme.rank), extreme.data) for value in values]
        for number, here in enumerate(at):
            others = [other for place, other in enumerate(at) if place != number]
            if np.any(here & ~np.logical_or.reduce(np.broadcast_arrays(*others))):
                self.reached.add((node, number))

    def apply(self, node: Apply) -> Array:
        definition = self.env.notation.rows[node.function]
        domain = definition.set.domain
        assert domain is not None
        values = [self.value(argument) for argument in node.arguments]
        if len(values) != len(domain):
            raise MathError(f"{node.function} takes {len(domain)} arguments, not {len(values)}")
        function = self.env.value(node.function)
        if not callable(function):
            raise MathError(f"`{definition.row.code}` is not a function")
        with told_at(definition.place, definition.row.code):
            if all(part.rank == 0 for part in domain) and definition.set.rank == 0:
                found = self.apply_entrywise(function, values, node.primes)
            else:
                found = self.apply_to_arrays(function, values, node, domain)
        if not node.primes and not self.env.corner and found.data.dtype.kind in "biuf":
            self.check_range(definition, found.data)
        return found

    def check_range(self, definition: Definition, values: np.ndarray) -> None:
        """What a function gives must lie where its row says. NaN is told of where sides are compared."""
        given = values[np.isfinite(values)] if definition.set.rank == 0 else values
        with at_row(definition.place, f"{definition.row.symbol}: of `{definition.row.code}` "):
            check_member(definition.set, given, self.env.number)

    def apply_entrywise(self, function: Callable[..., Any], values: list[Array], primes: int) -> Array:
        first = values[0]
        if len(values) == 1:
            found = self.env.calculus.differences.derivative(function, first.data.reshape(-1), primes)
            if found.shape != (first.data.size,):
                raise MathError(f"the function gives shape {found.shape} for {first.data.size} numbers")
            return Array(found.reshape(first.data.shape), first.rank)
        if primes:
            raise MathError("a prime needs a function of one argument")
        rank = max(value.rank for value in values)
        data = np.broadcast_arrays(*(self.widen(value, rank) for value in values))
        return Array(np.asarray(function(*data)), rank)

    def apply_to_arrays(
        self, function: Callable[..., Any], values: list[Array], node: Apply, domain: tuple[Set, ...]
    ) -> Array:
        """A function of vectors: once for each combination of indices."""
        for value, part in zip(values, domain, strict=True):
            if value.rank != part.rank:
                raise MathError(f"{node.function} takes {part.rank} axes, this has {value.rank}")
        if node.primes:
            raise MathError(
                f"write \\frac{{\\partial}}{{\\partial x}} {node.function}(x) for a derivative by a vector"
            )
        lead = np.broadcast_shapes(*(value.data.shape[: len(self.order)] for value in values))
        spread = [np.broadcast_to(value.data, lead + value.shape) for value in values]
        results = [
            np.asarray(function(*(np.array(data[place]) for data in spread))) for place in np.ndindex(*lead)
        ]
        data = np.stack(results).reshape(lead + results[0].shape)
        return Array(data, results[0].ndim)

    # -- sums --------------------------------------------------------------------------

    def reduce(self, node: Reduce) -> Array:
        body = self.value(node.body)
        axes = tuple(self.order.index(bound.name) for bound in node.bounds)
        shape = list(body.data.shape)
        for axis, bound in zip(axes, node.bounds, strict=True):
            shape[axis] = len(self.ranges.values[bound.name])
            if body.data.shape[axis] == 1 and bound.low is None and shape[axis] > 1:
                raise MathError(f"{plain(bound.name)} does not occur in what is summed")
        mask = self.mask(node)
        function, neutral = REDUCE[node.kind]
        mask = mask.reshape(mask.shape + (1,) * body.rank)
        lead = np.broadcast_shapes(tuple(shape), mask.shape)
        data = np.where(mask, np.broadcast_to(body.data, lead), neutral)
        return Array(function(data, axis=axes, keepdims=True), body.rank)

    def mask(self, node: Reduce) -> np.ndarray:
        """Where the limits and the condition hold."""
        mask = np.ones((1,) * len(self.order), dtype=bool)
        for bound in node.bounds:
            if bound.low is not None and bound.high is not None:
                value = self.index(Index(bound.name)).data
                mask = mask & (value >= self.value(bound.low).data) & (value <= self.value(bound.high).data)
        if node.condition is not None:
            mask = mask & self.truth(node.condition)
        return mask

    # -- conditions ----------------------------------------------------------------------

    def truth(self, node: Node) -> np.ndarray:
        value = self.value(node)
        if value.rank:
            raise MathError(f"the condition {show(node)} is about an array; write it for an entry")
        return value.data.astype(bool)

    def compare(self, node: Compare) -> Array:
        left, right = self.value(node.left), self.value(node.right)
        if np.any(np.equal(self.widen(left, right.rank), self.widen(right, left.rank))):
            self.reached.add((node, 0))
        return self.entrywise(COMPARE[node.op], left, right, node.op)

    def indicator(self, node: Indicator) -> Array:
        value = self.value(node.condition)
        if value.rank and free_indices(node.condition):
            raise MathError(f"{show(node)} is about an array and about entries; write it for an entry")
        self.reached |= {(node, int(held)) for held in np.unique(value.data)}
        return Array(value.data.astype(float), value.rank)

    def cases(self, node: Cases) -> Array:
        """Disjoint rows; 'otherwise' is where no other row holds."""
        values = [self.row(*row) for row in zip(node.values, node.conditions, strict=True)]
        rank = max(value.rank for value in values)
        taken, result = np.asarray(False), np.asarray(np.nan)
        for number, (value, condition) in enumerate(zip(values, node.conditions, strict=True)):
            here = self.widen(self.value(condition), rank).astype(bool) if condition else ~taken
            if np.any(taken & here):
                raise MathError("two rows of cases hold at once")
            if np.any(here):
                self.reached.add((node, number))
            taken = taken | here
            result = np.where(here, self.widen(value, rank), result)
        if not np.all(taken):
            raise MathError("no row of cases holds")
        return Array(result, rank)

    def row(self, value: Node, condition: Node | None) -> Array:
        """The value of a row of cases. Where it holds nowhere it may overflow."""
        if self.env.corner.startswith("large") and condition and not np.any(self.value(condition).data):
            return Array(np.asarray(np.nan), 0)
        return self.value(value)

    # -- derivatives -----------------------------------------------------------------------

    def derivative(self, node: Derivative) -> Array:
        top, indices = (node.top.base, node.top.indices) if isinstance(node.top, Entry) else (node.top, ())
        if free_indices(top):
            top, indices = node.top, ()
        found, rank = self.jacobian(top, node.bottom)
        return self.pick(self.pick(found, node.indices, show(node), rank), indices, show(top))

    def jacobian(self, top: Node, bottom: Node) -> tuple[Array, int]:
        """The derivative of all of top by all of bottom, and the rank of top."""
        assert isinstance(bottom, Symbol)
        if isinstance(top, Symbol):
            return self.lift(gradient(top.key, bottom.key, self.env)), np.ndim(self.env.value(top.key))
        if self.env.notation.rows[bottom.key].id not in self.env.notation.ids(top):
            raise MathError(f"{show(top)} does not depend on {show(bottom)} in the code")
        if free_indices(top):
            found = jacobian(lambda child: Evaluator(child, self.ranges)(top).data, bottom.key, self.env)
            return Array(found, found.ndim - len(self.order)), self.value(top).rank
        key = show(top), show(bottom)
        if key not in self.env.jacobians:
            one = Ranges()  # top has no free index, so its own sums are all that matters
            _Ranger(self.env, one).visit(top)
            lead = (0,) * len(one.order)
            self.env.jacobians[key] = jacobian(
                lambda child: Evaluator(child, one)(top).data[lead], bottom.key, self.env
            )
        return self.lift(self.env.jacobians[key]), self.value(top).rank


def evaluate_number(node: Node, env: Environment) -> float:
    """A formula without indices that is one number."""
    if isinstance(node, Number):
        return node.value
    value = env.value(node.key) if isinstance(node, Symbol) else Evaluator(env, Ranges())(node).data
    if np.size(value) != 1:
        raise MathError(f"{show(node)} is not one number")
    found: float = np.asarray(value).item()
    return found


def evaluate_definition(definition: Definition, env: Environment) -> np.ndarray:
    """A symbol that the text defines: its free indices are its axes, in the order of the left side."""
    node, shape = env.notation.text(definition), env.shape(definition.set)
    assert isinstance(node, Binary) and node.op == "="
    left, right = node.left, node.right
    indices = left.indices if isinstance(left, Entry) else ()
    if not all(isinstance(index, Index) for index in indices) or len(indices) > len(shape):
        raise MathError(f"{show(left)} cannot define a symbol: write plain indices")
    ranges = Ranges()
    for axis, index in enumerate(indices):
        assert isinstance(index, Index)
        ranges.add(index.name, np.arange(1, shape[axis] + 1), f"{_nth(axis)} index of {show(left)}")
    _Ranger(env, ranges).visit(right)
    value = Evaluator(env, ranges)(right)
    lead = [len(ranges.values[name]) if at < len(indices) else 1 for at, name in enumerate(ranges.order)]
    data = np.broadcast_to(value.data, (*lead, *value.shape))
    return data.reshape((*lead[: len(indices)], *value.shape))


class Calculus:
    """What environments ask of the evaluator, on floating-point numbers."""

    kinds = "biufc"  # of NumPy's types that a value may have
    differences: Any = differences

    @staticmethod
    def constant(value: float) -> np.ndarray:
        return np.asarray(value)

    draw = staticmethod(draw)
    number = staticmethod(evaluate_number)
    by_text = staticmethod(evaluate_definition)
    gradient = staticmethod(gradient)

    @staticmethod
    def sizes(free: list[int], count: int, rng: np.random.Generator) -> list[int]:
        """Distinct sizes, so that a swapped index does not fit."""
        return [int(size) for size in rng.permutation(free[: count + 1])[:count]]


def _nth(axis: int) -> str:
    """As a reader counts: NumPy's axis 0 is the first index."""
    names = ("first", "second", "third")
    return names[axis] if axis < len(names) else f"{axis + 1}th"
