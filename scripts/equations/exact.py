"""Prove equations: text and module evaluated on random numbers of a field, without rounding.

The module's own source runs on object arrays of field elements; its NumPy, its ``float`` and its
``math`` are stood in for where they insist on floating-point numbers. One draw at which both sides
agree proves an identity but for a probability below 1e-15; of an equation with branches one for each.
"""

import builtins
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import field
from .book import Book, Read, read_display
from .check import compare_sides, has_conditions, is_definition, rows_and_arguments
from .differences import Function
from .environment import Environment
from .errors import MathError, Redraw, RowError
from .evaluate import Branch, Calculus
from .field import Element, element, elements, slopes, varied
from .notation import Notation
from .sets import Evaluate, Set, draw, limits
from .text import Display, Text

TRIES = 400
REFUSED = 24  # draws that the module refuses, because the field knows no order
DIFFERENT = 6  # draws at which the sides differ before nothing is claimed
BRANCHES = 16  # good draws of an equation whose branches cannot be listed
SQUARES = [4, 9, 16, 25, 36]  # sizes whose roots are whole
NOT_EXACT = (MathError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError)
TRANSCENDENTAL = ("exp", "expm1", "log", "log1p", "tanh", "sqrt", "sin", "cos", "minimum", "maximum")
MAKING = "zeros ones full eye zeros_like ones_like empty empty_like".split()


# -- the module on elements -----------------------------------------------------------


class _NumPy:
    """NumPy whose functions take and make elements."""

    __name__ = "numpy"
    pi = field.PI

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name.replace("empty", "zeros"))
        if name in TRANSCENDENTAL:
            return _Function(found, _on_elements)
        return _Function(found, _made) if name in MAKING else found

    def isfinite(self, x: Any) -> Any:
        return np.ones(np.shape(x), bool)[()]

    def isnan(self, x: Any) -> Any:
        return np.zeros(np.shape(x), bool)[()]

    def logaddexp(self, a: Any, b: Any) -> Any:
        return np.log(np.exp(elements(a)) + np.exp(elements(b)))

    def finfo(self, dtype: Any) -> np.finfo:
        return np.finfo(float if np.dtype(dtype) == object else dtype)

    def cbrt(self, x: Any) -> Any:
        raise TypeError("cube roots are not exact")

    def sign(self, x: Any) -> Any:
        return elements(np.sign(elements(x)))

    def vectorize(self, function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        return lambda x: np.frompyfunc(function, 1, 1)(elements(x))


class _Function:
    """A function of NumPy, called in another way."""

    def __init__(self, function: Any, call: Callable[..., Any]) -> None:
        self.function, self.call = function, call

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.call(self.function, *arguments, **options)


def _on_elements(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """All that it is given is turned into elements, unless that is whole numbers."""
    arrays = [x if isinstance(x, Element) else np.asarray(x) for x in arguments]
    if len(arrays) > 1 and all(x.dtype.kind in "biu" for x in arrays):
        return function(*arguments, **options)
    return function(*map(elements, arrays), **options)


def _made(make: Callable[..., np.ndarray], *arguments: Any, **options: Any) -> np.ndarray:
    """A new array of elements; of whole numbers or truth values where NumPy makes these."""
    array = make(*arguments, **options)
    return array if array.dtype.kind in "biu" else elements(array)


class _Math:
    """math for elements."""

    pi = field.PI

    def __getattr__(self, name: str) -> Any:
        if not callable(found := getattr(math, name)):
            return found

        def called(*values: Any) -> Any:
            if any(isinstance(value, Element) for value in values):
                return getattr(element(values[0]), name)(*values[1:])
            return found(*values)

        return called

    def sqrt(self, x: Any) -> Any:
        if isinstance(x, Element | np.ndarray):
            return element(x).sqrt()
        root = math.sqrt(x)
        return root if root.is_integer() else element(x).sqrt()


class _Float(float):
    """float() that leaves elements alone."""

    def __new__(cls, x: Any = 0.0) -> Any:
        value = x.item() if isinstance(x, np.ndarray) else x
        return value if isinstance(value, Element) else builtins.float(value)


PROXIES: dict[str, Any] = {"numpy": _NumPy(), "math": _Math()}


def _import(
    name: str, scope: Any = None, local: Any = None, names: Sequence[str] = (), level: int = 0
) -> Any:
    """Imports of the module; ``from math import pi`` works as well."""
    return PROXIES.get(name) or builtins.__import__(name, scope, local, names, level)


def namespace(source: str) -> dict[str, Any]:
    """What a module of this source defines, running on elements."""
    found: dict[str, Any] = {
        "__name__": "exact",
        "__builtins__": {**vars(builtins), "__import__": _import, "float": _Float},
    }
    exec(compile(source, "exact.py", "exec"), found)
    found |= {name: guard for name, guard in GUARDS.items() if name in found}
    return found


GUARDS: dict[str, Callable[..., Any]] = {
    "_floating": elements,
    "_demand": lambda *_, **__: None,
    "_real": elements,
    "_probabilities": lambda rows: rows,
}


# -- functions that stand for any other ------------------------------------------------


def _any(name: str) -> Callable[[Any], Any]:
    def one(x: Element) -> Element:
        return x.unknown(name, lambda _: field.world.unknown(f"{name}'", x.v))

    return PROXIES["numpy"].vectorize(one)


def _any_loss(*arrays: Any) -> Element:
    entries: list[Any] = [entry for array in arrays for entry in elements(array).flat]
    key = tuple(entry.v for entry in entries)
    slope = sum(
        entry.d * field.world.unknown("loss", place, key) for place, entry in enumerate(entries) if entry.d
    )
    return Element(field.world.unknown("loss", key), slope % field.P)


STAND_INS: dict[str, Any] = {
    "np": PROXIES["numpy"],
    "any_function": _any("f"),
    "any_derivative": _any("f'"),
    "any_other_function": _any("g"),
    "any_other_derivative": _any("g'"),
    "any_loss": _any_loss,
}


# -- the calculus ------------------------------------------------------------------------


class _Duals:
    """Derivatives by the derivative parts of elements."""

    def jacobian(self, function: Function, x: np.ndarray) -> np.ndarray:
        columns = [slopes(function(varied(x, {place: 1}))) for place in np.ndindex(*np.shape(x))]
        return np.stack(columns, axis=-1).reshape((*columns[0].shape, *np.shape(x)))

    def derivative(self, function: Function, x: np.ndarray, order: int) -> np.ndarray:
        if order > 1:
            raise MathError("second derivatives are not exact")
        x, along = elements(x), dict.fromkeys(np.ndindex(*np.shape(x)), 1)
        return slopes(function(varied(x, along))) if order else np.asarray(function(x))

    def confirmed(self, function: Function, x: np.ndarray, gradient: np.ndarray, seed: int) -> bool:
        """One random direction: a wrong entry shows but for a probability below 1e-15."""
        if gradient.shape != x.shape:
            return False
        along = {place: field.world.random.randrange(1, field.P) for place in np.ndindex(*x.shape)}
        slope = element(function(varied(x, along))).d
        return slope == sum(element(gradient[place]).v * step for place, step in along.items()) % field.P


class Exact(Calculus):
    """The same on elements."""

    kinds = "biufO"
    differences = _Duals()

    @staticmethod
    def constant(value: float) -> np.ndarray:
        return np.asarray(value) if float(value).is_integer() else elements(value)

    @staticmethod
    def sizes(free: list[int], count: int, rng: np.random.Generator) -> list[int]:
        """Distinct ones, small or with whole roots."""
        pool = free if rng.random() < 0.5 else SQUARES
        return [int(size) for size in rng.permutation(pool[: count + 1])[:count]]

    @staticmethod
    def draw(set_: Set, shape: tuple[int, ...], rng: np.random.Generator, number: Evaluate) -> np.ndarray:
        if "one-hot" in set_.words or set_.is_integer or set_.base.startswith(r"\{"):
            return draw(set_, shape, rng, number)
        if set_.base == r"\mathbbC":
            raise MathError("complex numbers are not exact")
        array = np.empty(shape, object)
        for place in np.ndindex(*shape):
            array[place] = _member(set_, number)
        if "rows sum to 1" in set_.words:
            array[..., -1] = 1 - np.sum(array[..., :-1], axis=-1)
        return array


def _member(set_: Set, number: Evaluate) -> Element:
    """A random element on the right side of the bounds of its set, in the field's order."""
    low, high = (0.0, math.inf) if set_.positive else (-math.inf, math.inf)
    if set_.base[0] in "([":
        low, high = limits(set_.base, number)
    while True:
        drawn = field.world.draw()
        if drawn > low and drawn < high:
            return drawn


def exact_book(chapters: Sequence[Text], source: str) -> Book:
    """A book held against its module on elements."""
    book = Book(chapters, namespace(source))
    book.module = {**book.module, **STAND_INS}
    book.calculus = Exact()
    return book


def prove(book: Book, chapter: Text, display: Display) -> str:
    """Empty where a display is proved, else why it is not; ``book`` is an exact_book."""
    try:
        notation = book.notation(chapter, display.place.line)
        for read in read_display(book.replaced.get(str(display.label), display.tex), notation):
            if reason := _unproved(book, notation, display, read):
                return reason
    except NOT_EXACT as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _unproved(book: Book, notation: Notation, display: Display, read: Read) -> str:
    first = 1 if is_definition(read, notation, display) else 0
    branches = set(rows_and_arguments(read))
    wanted = BRANCHES if branches or has_conditions(read, notation) else 1
    seen: set[Branch] = set()
    good = different = refused = 0
    reason = ""
    for fresh in draws(book, notation, str(display.label), read.ids(notation)):
        reached: set[Branch] = set()
        try:
            compare_sides(read, first, reached, fresh())
            good, seen = good + 1, seen | reached
        except Redraw as error:
            reason = reason or str(error)
        except RowError as error:
            reason = str(error)
            refused += "NoRoot" not in reason
        except MathError as error:
            reason = str(error)
            different += 1
        if good >= wanted and seen >= branches:
            return ""
        if (wanted == 1 and different == DIFFERENT) or refused == REFUSED:
            break
    return reason or "a branch was not reached"


def draws(
    book: Book, notation: Notation, name: str, needed: frozenset[str]
) -> Iterator[Callable[[], Environment]]:
    """Draws on elements, each in a world of its own."""
    for attempt in range(TRIES):
        field.begin(attempt)
        book._draws.clear()
        yield partial(book.draw, notation, name, attempt, frozenset(), needed)
