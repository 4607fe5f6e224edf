"""One draw: a value for every symbol of a notation, with overrides for derivatives.

Values come from code. What the text defines, derivatives and sizes written as formulas need the
evaluator; it is handed in as a calculus.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .corners import draw_corner
from .errors import MathError, Redraw, RowError, at_row
from .notation import Definition, Notation
from .sets import Set, check_member
from .slicing import Slice

if TYPE_CHECKING:
    from .evaluate import Calculus

BUDGET = 160  # entries of all arrays of a draw
ATTEMPTS = 8  # assignments of sizes that are looked at


class Environment:
    """Values by id: a code name, or $symbol$ for a row whose code has no name."""

    def __init__(
        self,
        notation: Notation,
        calculus: Calculus,
        seed: int,
        avoid: frozenset[int] = frozenset(),
        needed: frozenset[str] = frozenset(),
        corner: str = "",
    ) -> None:
        self.notation = notation
        self.calculus = calculus
        self.seed = seed
        self.corner = corner
        self.overrides: dict[str, Any] = {}
        self.cache: dict[str, Any] = {}
        self.checked: dict[str, np.ndarray] = {}  # by symbol: what of that has been looked at
        self.jacobians: dict[tuple[str, str], Any] = {}  # by what is differentiated, and by what
        self._shapes: dict[tuple[str, ...], tuple[int, ...]] = {}
        self.asked: list[str] = []  # what is being computed, to find circles
        self._free = [size for size in range(2, 40) if size not in avoid]
        self.drawn: dict[str, Any] = self._sizes(needed)  # shared with the copies that override makes

    def overriding(self, id_: str) -> Callable[[Any], Environment]:
        """Makes the same draw, but for one value and all that depends on it."""
        closure = self.notation.closure
        kept = {one: value for one, value in self.cache.items() if id_ not in closure(one)}

        def child(value: Any) -> Environment:
            made = object.__new__(Environment)
            made.__dict__.update(self.__dict__)
            made.overrides = {**self.overrides, id_: value}
            made.cache, made.jacobians, made.asked = dict(kept), {}, []
            return made

        return child

    # -- symbols ---------------------------------------------------------------

    def value(self, key: str) -> Any:
        """The value of a symbol of the table."""
        definition = self.notation.rows[key]
        found = self._value(definition.id, lambda: self._compute(definition))
        if definition.kind in ("function", "indexed"):
            return found
        if self.overrides:  # checked before, in the draw that this one changes
            return np.asarray(found)
        if key not in self.checked:
            self.checked[key] = self._checked(definition, found)
        return self.checked[key]

    def named(self, name: str) -> Any:
        """The value of a name of the code."""
        row = self.notation.named.get(name)
        return self._value(name, lambda: self._compute_name(name, row))

    def _value(self, id_: str, compute: Callable[[], Any]) -> Any:
        if id_ in self.overrides:
            return self.overrides[id_]
        if id_ not in self.cache:
            if id_ in self.asked:
                raise MathError(f"{id_} is computed from itself: {' → '.join([*self.asked, id_])}")
            self.asked.append(id_)
            try:
                self.cache[id_] = compute()
            finally:
                self.asked.pop()
        return self.cache[id_]

    def computed(self, definition: Definition) -> Any:
        """What the code of a gradient row gives."""
        return self._checked(definition, self._value(definition.id, lambda: self._compute(definition)))

    def _compute(self, definition: Definition) -> Any:
        if definition.label:
            return self.calculus.by_text(definition, self)
        if definition.name:
            return self._compute_name(definition.name, definition)
        slice_ = self.notation.slice_for(definition.id)
        assert slice_ is not None
        return self._run(slice_, definition)

    def _compute_name(self, name: str, row: Definition | None) -> Any:
        given = frozenset(self.overrides)
        if slice_ := self.notation.slice_of(name, given):
            return self._run(slice_, row)
        if name in self.notation.constants:
            return self.notation.constants[name]
        if pair := self.notation.gradient_of(name):
            if self.overrides:
                raise MathError(f"{name} is a derivative itself; derivatives of those are not taken")
            return self.calculus.gradient(*pair, self)
        if row is None:
            raise MathError(f"`{name}` is neither in the module nor set by a row or a notation cell")
        if name not in self.drawn:
            self.drawn[name] = self._draw(row)
        return self.drawn[name]

    def _run(self, slice_: Slice, row: Definition | None) -> Any:
        constants, named = self.notation.constants, self.notation.named
        values = {}
        for name in sorted(slice_.reads):
            is_constant = name in constants and name not in named
            values[name] = constants[name] if is_constant else self._argument(name, slice_, row)
        found = slice_.run(values, self.overrides)
        if not isinstance(found, np.ndarray | np.generic | float | int | complex | list | tuple):
            return found
        return [np.array(one) for one in found] if isinstance(found, list | tuple) else np.array(found)

    def _argument(self, name: str, slice_: Slice, row: Definition | None) -> Any:
        try:
            found = self.named(name)
        except RowError:
            raise
        except MathError as error:
            raise RowError(row.place if row else slice_.statements[-1].place, str(error)) from None
        return own(found)

    # -- draws -------------------------------------------------------------------

    def _sizes(self, needed: frozenset[str]) -> dict[str, int]:
        """Distinct sizes, so that a swapped index does not fit, under a budget for what hangs on them."""
        rows = [row for row in self.notation.rows.values() if row.id in needed]
        names = [
            row.name for row in rows if _is_size(row) and row.name and not self.notation.slice_of(row.name)
        ]
        arrays = [row.set for row in rows if row.kind == "value" and row.set.sizes]
        rng = np.random.default_rng([self.seed, 1])
        best, least = {}, math.inf
        if self.corner.startswith("single") and len(names) < int(self.corner.split()[1]):
            raise Redraw("there is no such size")
        for _ in range(ATTEMPTS if names else 0):
            self.drawn = dict(zip(names, self.calculus.sizes(self._free, len(names), rng), strict=True))
            if self.corner.startswith("single"):
                self.drawn[names[int(self.corner.split()[1]) - 1]] = 1
            self.cache, self.checked, self._shapes = {}, {}, {}
            entries = sum(math.prod(self.shape(set_)) for set_ in arrays)
            if entries < least:
                best, least = self.drawn, entries
            if entries <= BUDGET:
                break
        self.cache, self.checked, self._shapes = {}, {}, {}
        return best

    def _draw(self, row: Definition) -> Any:
        if row.kind == "function":
            raise RowError(row.place, f"`{row.name}` is not in the module; a function cannot be drawn")
        rng = np.random.default_rng([self.seed, zlib.crc32(row.key.encode())])
        with at_row(row.place):
            if _is_size(row):
                taken = {value for value in self.drawn.values() if isinstance(value, int)}
                return next(size for size in self._free if size not in taken)
            shape = self.shape(row.set)
            found = self.calculus.draw(row.set, shape, rng, self.number)
            return draw_corner(self.corner, row.set, shape, rng, self.number, found) if self.corner else found

    def shape(self, set_: Set) -> tuple[int, ...]:
        if set_.sizes not in self._shapes:
            self._shapes[set_.sizes] = tuple(round(self.number(size)) for size in set_.sizes)
        return self._shapes[set_.sizes]

    def number(self, tex: str) -> float:
        return self.calculus.number(self.notation.read_number(tex), self)

    def _checked(self, definition: Definition, found: Any) -> np.ndarray:
        """A value in the shape and the set that its row claims."""
        try:
            array = np.asarray(found)
        except ValueError:
            array = np.asarray(None)
        if array.dtype.kind not in self.calculus.kinds:
            raise RowError(definition.place, f"`{definition.row.code}` is no array of numbers: {found!r:.60}")
        wanted = self.shape(definition.set)
        if array.shape != wanted:
            where = f"{definition.row.symbol}: `{definition.row.code}` has shape {array.shape}"
            raise RowError(definition.place, f"{where}, its set says {wanted}")
        is_soft = self.corner == "soft" and "one-hot" in definition.set.words
        if definition.id not in self.overrides and array.dtype.kind not in "cO" and not is_soft:
            with at_row(definition.place, f"{definition.row.symbol}: "):
                check_member(definition.set, array, self.number)
        return array.astype(float) if array.dtype.kind in "biu" and definition.kind != "number" else array


def _is_size(row: Definition) -> bool:
    return row.kind == "number" and row.set.base == r"\mathbbN"


def own(value: Any) -> Any:
    """A copy that code may change; a single number as Python has it: sizes must be usable in range()."""
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
        if np.asarray(value).dtype.kind in "biuO":
            return value.item()
        return float(value) if np.isrealobj(value) else complex(value)
    return value.copy() if isinstance(value, np.ndarray) else value
