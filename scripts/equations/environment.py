"""One draw: a value for every symbol of a notation, with overrides for derivatives."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import differences
from .errors import MathError, RowError
from .notation import Definition, Notation
from .sets import Set, check_member, draw, layers_of
from .slicing import Slice
from .syntax import substituted


class Environment:
    """Values by id: a code name, or $symbol$ for a row whose code has no name."""

    def __init__(self, notation: Notation, seed: int, avoid: frozenset[int] = frozenset()) -> None:
        self.notation = notation
        self.seed = seed
        self.avoid = avoid
        self.overrides: dict[str, Any] = {}
        self.cache: dict[str, Any] = {}
        self.jacobians: dict[tuple[str, str], Any] = {}  # by what is differentiated, and by what
        self.sizes = self._sizes()
        self.drawn: dict[str, Any] = {}  # shared with the copies that override makes
        self.asked: list[str] = []  # what is being computed, to find circles

    def override(self, id_: str, value: Any) -> Environment:
        """The same draw, but for one value and all that depends on it."""
        child = object.__new__(Environment)
        child.__dict__.update(self.__dict__)
        closure = self.notation.closure
        child.overrides = {**self.overrides, id_: value}
        child.cache = {one: kept for one, kept in self.cache.items() if id_ not in closure(one)}
        child.jacobians = {}
        child.asked = []
        return child

    # -- symbols ---------------------------------------------------------------

    def value(self, key: str) -> Any:
        """The value of a symbol of the table."""
        definition = self.notation.rows[key]
        found = self._value(definition.id, lambda: self._compute(definition))
        if definition.kind in ("function", "indexed"):
            return found
        return self._checked(definition, found)

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
            return self._by_text(definition)
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
            return self.gradient(*pair)
        if row is None:
            raise MathError(f"`{name}` is neither in the module nor set by a row or a notation cell")
        if name not in self.drawn:
            self.drawn[name] = self._draw(row)
        return self.drawn[name]

    def _run(self, slice_: Slice, row: Definition | None) -> Any:
        values = dict(self.notation.constants)
        for name in sorted(slice_.reads):
            if name not in values or name in self.notation.named:
                values[name] = self._argument(name, slice_, row)
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
        return found.copy() if isinstance(found, np.ndarray) and found.ndim else _plain(found)

    # -- draws -------------------------------------------------------------------

    def _sizes(self) -> Iterator[int]:
        """Distinct sizes, the small ones first, in an order that depends on the seed."""
        rng = np.random.default_rng([self.seed, 1])
        free = [size for size in range(2, 40) if size not in self.avoid]
        for start in range(0, len(free), 4):
            yield from (int(size) for size in rng.permutation(free[start : start + 4]))

    def _draw(self, row: Definition) -> Any:
        if row.kind == "function":
            raise RowError(row.place, f"`{row.name}` is not in the module; a function cannot be drawn")
        rng = np.random.default_rng([self.seed, zlib.crc32(row.key.encode())])
        try:
            if row.set.layers:
                return [self._draw_one(row.set, rng, layer) for layer in layers_of(row.set)]
            return self._draw_one(row.set, rng, None)
        except RowError:
            raise
        except MathError as error:
            raise RowError(row.place, str(error)) from None

    def _draw_one(self, set_: Set, rng: np.random.Generator, layer: int | None) -> Any:
        if set_.base == r"\mathbbN" and not set_.sizes:
            return next(self.sizes)
        return draw(set_, self.shape(set_, layer), rng, self.number)

    def shape(self, set_: Set, layer: int | None = None) -> tuple[int, ...]:
        letter = set_.layers[0] if set_.layers else ""
        return tuple(
            round(self.number(size, {letter: layer} if layer is not None else {})) for size in set_.sizes
        )

    def number(self, tex: str, layers: Mapping[str, int] | None = None) -> float:
        from .evaluate import evaluate_number

        node = self.notation.read_number(tex)
        for letter, layer in (layers or {}).items():
            node = substituted(node, letter, layer)
        return evaluate_number(node, self)

    def _checked(self, definition: Definition, found: Any) -> Any:
        """A value in the shape and the set that its row claims; of a layered symbol all its values."""
        if definition.set.layers is None:
            return self._checked_one(definition, found, None)
        wanted = layers_of(definition.set)
        if not isinstance(found, list) or len(found) != len(wanted):
            raise RowError(definition.place, f"`{definition.row.code}` is no list of {len(wanted)} arrays")
        return [self._checked_one(definition, one, layer) for one, layer in zip(found, wanted, strict=True)]

    def _checked_one(self, definition: Definition, found: Any, layer: int | None) -> np.ndarray:
        try:
            array = np.asarray(found)
        except ValueError:
            array = np.asarray(None)
        if array.dtype.kind not in "biufc":
            raise RowError(definition.place, f"`{definition.row.code}` is no array of numbers: {found!r:.60}")
        wanted = self.shape(definition.set, layer)
        if array.shape != wanted:
            where = f"{definition.row.symbol}: `{definition.row.code}` has shape {array.shape}"
            raise RowError(definition.place, f"{where}, its set says {wanted}")
        if definition.id not in self.overrides and array.dtype.kind != "c":
            try:
                check_member(definition.set, array, self.number)
            except RowError:
                raise
            except MathError as error:
                raise RowError(definition.place, f"{definition.row.symbol}: {error}") from None
        return array.astype(float) if array.dtype.kind in "biu" and definition.kind != "number" else array

    # -- text and derivatives ------------------------------------------------------

    def _by_text(self, definition: Definition) -> np.ndarray:
        from .evaluate import evaluate_definition

        return evaluate_definition(self.notation.text(definition), self, self.shape(definition.set))

    def gradient(self, top: str, bottom: str) -> Any:
        """∂top/∂bottom of two symbols, numerically, through the code's forward."""
        if (top, bottom) not in self.jacobians:
            rows = self.notation.rows
            for key in (top, bottom):
                if key not in rows:
                    raise MathError(f"{key} is not in the notation table")
            if rows[bottom].id not in self.notation.closure(rows[top].id):
                raise MathError(f"{top} does not depend on {bottom} in the code")
            if slope := self.notation.slope_within(rows[top].id):
                raise MathError(f"{top} rests on {slope}, a derivative; derivatives of those are not taken")
            self.jacobians[top, bottom] = self._gradient(top, rows[bottom])
        return self.jacobians[top, bottom]

    def _gradient(self, top: str, bottom: Definition) -> Any:
        def value(child: Environment) -> np.ndarray:
            return np.asarray(child.value(top))

        if bottom.set.layers is None:
            return self.jacobian(value, bottom.key)
        return [self.jacobian(value, bottom.key, layer) for layer in layers_of(bottom.set)]

    def jacobian(
        self, value: Callable[[Environment], np.ndarray], bottom: str, layer: int | None = None
    ) -> np.ndarray:
        """The derivative of a value by a symbol, or by one layer of it."""
        row = self.notation.rows[bottom]
        start = self.value(bottom)
        at = 0 if layer is None else layer - layers_of(row.set)[0]

        def replaced(x: np.ndarray) -> Any:
            return x if layer is None else [*start[:at], x, *start[at + 1 :]]

        one = start if layer is None else start[at]
        if one.dtype.kind == "c":
            raise MathError(f"{bottom} is complex; derivatives are taken by real numbers")
        return differences.jacobian(lambda x: value(self.override(row.id, replaced(x))), one)


def _plain(value: Any) -> Any:
    """A single number as Python has it: sizes must be usable in range()."""
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
        return (
            value.item()
            if np.asarray(value).dtype.kind in "biu"
            else float(value)
            if np.isrealobj(value)
            else complex(value)
        )
    return value
