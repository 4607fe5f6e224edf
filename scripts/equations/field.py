"""Numbers of the field GF(2^61 - 1), each with a derivative: arithmetic without rounding.

An identity between rational functions that holds at a random point of the field holds everywhere, but
for a probability of degree / 2^61 (Schwartz and Zippel). exp, tanh, log, sin, cos, erf and the functions
that stand for any other are unknown numbers for each argument, with the rules for their derivatives;
exp(a + b) = exp(a) exp(b) is known where the sum was taken.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np

from .errors import Redraw

P = 2**61 - 1
FINEST = 12  # exponents are multiples of a twelfth
SIMPLE = 4096  # denominators that a computed float is taken to have meant
TYPED = 12  # digits that somebody may have typed
LONGEST = 64  # terms of a sum whose exponential is known
WHOLE = bool, np.bool_, int, np.integer
REAL = int, float, np.number, np.bool_
Coefficient = int | Fraction  # whole numbers are added many times faster
RELATED: list[tuple[int, Coefficient]] = [  # 1 / factor in the field, factor
    (factor.denominator * pow(factor.numerator, -1, P) % P, factor)
    for factor in (Fraction(1, 2), 2, -1, Fraction(-1, 2), -2)
]


class NoRoot(Redraw):
    """Half of the numbers have no square root: take another draw."""


class World:
    """What one draw fixes: the values of unknown functions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.values: dict[tuple[Any, ...], int] = {}
        self.sums: dict[int, dict[int, Coefficient]] = {0: {}}  # number -> drawn numbers with coefficients
        self.bases: dict[int, int] = {}  # drawn number g -> e^(g / FINEST)
        self.exponents: dict[int, int] = {1: 0}  # e^x -> x
        self.logs: dict[int, int] = {}
        self.signs: dict[int, bool] = {}  # whether a number counts as positive

    def unknown(self, *key: Any) -> int:
        if key not in self.values:
            self.values[key] = self.random.randrange(2, P)
        return self.values[key]

    def draw(self) -> Element:
        value = self.random.randrange(1, P)
        self.sums[value] = {value: 1}
        return Element(value)

    def terms(self, value: int) -> dict[int, Coefficient]:
        """The sum that a number is known to be: a multiple of one met before, or itself."""
        if value not in self.sums:
            self.sums[value] = {value: 1}
            for inverse, factor in RELATED:
                known = value * inverse % P
                if known in self.sums and known != value:
                    self.sums[value] = {drawn: factor * c for drawn, c in self.sums[known].items()}
                    break
        return self.sums[value]

    def power(self, value: int, times: int = 1) -> int | None:
        """e^(times * value), where value is a sum of numbers met before."""
        found = self.terms(value)
        result = 1
        for drawn, coefficient in found.items():
            exponent = coefficient * times * FINEST
            if exponent.denominator != 1:
                return None
            base = self.bases.setdefault(drawn, self.random.randrange(2, P))
            result = result * pow(base, int(exponent), P) % P
        return result

    def sign(self, value: int, positive: bool) -> None:
        self.signs.setdefault(value, positive)
        self.signs.setdefault(P - value, not positive)

    def log(self, value: int) -> int:
        """A number whose logarithm is known from e^x, or from a logged number times e^x, or new."""
        if value in self.exponents:
            return self.exponents[value]
        if value not in self.logs:
            self.logs[value] = self._related(value)
        return self.logs[value]

    def _related(self, value: int) -> int:
        for other, log in self.logs.items():
            if (ratio := value * pow(other, -1, P) % P) in self.exponents:
                return (log + self.exponents[ratio]) % P
            if (ratio := other * pow(value, -1, P) % P) in self.exponents:
                return (log - self.exponents[ratio]) % P
            if (product := value * other % P) in self.exponents:
                return (self.exponents[product] - log) % P
        return self.random.randrange(2, P)

    def add(self, result: int, a: int, b: int, sign: int = 1) -> None:
        if result not in self.sums:
            one, other = self.terms(a), self.terms(b)
            total = dict(one)
            for drawn, coefficient in other.items():
                total[drawn] = total.get(drawn, 0) + sign * coefficient
            total = {drawn: coefficient for drawn, coefficient in total.items() if coefficient}
            if len(total) <= LONGEST:
                self.sums[result] = total

    def scale(self, result: int, a: int, factor: Coefficient) -> None:
        if result not in self.sums:
            one = self.terms(a)
            self.sums[result] = {drawn: factor * coefficient for drawn, coefficient in one.items()}


world = World(0)


def begin(seed: int) -> World:
    """A new draw: everything unknown is drawn again."""
    global world
    world = World(seed)
    return world


SMALL: dict[int, Coefficient] = {
    numerator * pow(denominator, -1, P) % P: Fraction(numerator, denominator)
    for denominator in (4, 3, 2)
    for numerator in range(-6, 7)
    if numerator
} | {number % P: number for number in range(-6, 7) if number}


def element(x: Any) -> Element:
    """A number as an element; decimals are taken as they are written, 0.1 as one tenth."""
    if isinstance(x, Element):
        return x
    if isinstance(x, np.ndarray):
        return element(x.item())
    if isinstance(x, WHOLE):
        return Element(int(x) % P)
    if not math.isfinite(x):
        raise TypeError("the field has no infinite numbers")
    number, root = recognised(float(x))
    return number.sqrt() if root else number


@functools.lru_cache(maxsize=4096)
def recognised(x: float) -> tuple[Element, bool]:
    """What a float was meant to be, and whether its root is: 1/3, 0.044715, 2 / pi, sqrt(2), sqrt(2 / pi)."""
    if (simple := _simple(x)) is not None and float(simple) == x:
        return _rational(simple), False
    decimal = Fraction(repr(x))
    if len(repr(x).strip("-0.").replace(".", "")) > TYPED:
        for root in (False, True):
            for base, times in ((1.0, Element(1)), (math.pi, PI), (1 / math.pi, PI.inverse())):
                power = (x * x if root else x) / base
                near = _simple(power) if x > 0 else None
                if near is not None and abs(float(near) - power) <= 4e-16 * abs(power):
                    return _rational(near) * times, root
    return _rational(decimal), False


def _simple(x: float) -> Fraction | None:
    """The nearest fraction with a small denominator; None where none is as near as rounding leaves it."""
    above, below, before = 1, 0, (0, 1)  # a convergent of x, and that before it: only these are so near
    rest = x
    while 1e-6 < abs(x) < 1e6:
        whole = math.floor(rest)
        above, below, before = whole * above + before[0], whole * below + before[1], (above, below)
        if below > SIMPLE:
            return None
        if rest == whole or abs(x * below - above) <= 1e-15 * abs(x * below):
            break
        rest = 1 / (rest - whole)
    return Fraction(x).limit_denominator(SIMPLE)


def _rational(fraction: Fraction) -> Element:
    return Element(fraction.numerator * pow(fraction.denominator, -1, P) % P)


def _operand(x: Any) -> Element | None:
    if isinstance(x, Element):  # nearly always: it is asked first
        return x
    return element(x) if isinstance(x, REAL) else None


@Real.register
class Element:
    """A number and its derivative by whatever is being varied."""

    __slots__ = ("d", "v")
    __hash__ = None  # type: ignore[assignment]
    shape: tuple[int, ...] = ()
    ndim, size = 0, 1
    dtype = np.dtype(object)

    def __init__(self, v: int, d: int = 0) -> None:
        self.v, self.d = v, d

    def __repr__(self) -> str:
        return f"Element({self.v}, {self.d})"

    # -- arithmetic --------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if (b := _operand(other)) is None:
            return NotImplemented
        v = (self.v + b.v) % P
        world.add(v, self.v, b.v)
        return Element(v, (self.d + b.d) % P)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if (b := _operand(other)) is None:
            return NotImplemented
        v = (self.v - b.v) % P
        world.add(v, self.v, b.v, -1)
        return Element(v, (self.d - b.d) % P)

    def __rsub__(self, other: Any) -> Any:
        return element(other) - self

    def __neg__(self) -> Element:
        v = -self.v % P
        world.scale(v, self.v, -1)
        return Element(v, -self.d % P)

    def __mul__(self, other: Any) -> Any:
        if (b := _operand(other)) is None:
            return NotImplemented
        v = self.v * b.v % P
        if b.v in SMALL:
            world.scale(v, self.v, SMALL[b.v])
        if self.v in SMALL:
            world.scale(v, b.v, SMALL[self.v])
        return Element(v, (self.v * b.d + self.d * b.v) % P)

    __rmul__ = __mul__

    def inverse(self) -> Element:
        if self.v == 0:
            raise Redraw("a division by zero")
        inverse = pow(self.v, -1, P)
        return Element(inverse, -self.d * inverse * inverse % P)

    def __truediv__(self, other: Any) -> Any:
        if (b := _operand(other)) is None:
            return NotImplemented
        return self * b.inverse()

    def __rtruediv__(self, other: Any) -> Any:
        return element(other) * self.inverse()

    def __pow__(self, exponent: Any) -> Element:
        number = exponent if not isinstance(exponent, Element) else SMALL.get(exponent.v)
        if isinstance(exponent, Element) and exponent.v == 0:
            number = 0
        if number is None or Fraction(number).limit_denominator(2) != Fraction(number):
            raise TypeError("only powers by halves of whole numbers are exact")
        half = Fraction(number) * 2
        base = self.sqrt() if half % 2 else self
        times = int(half) if half % 2 else int(number)
        result = Element(1)
        for _ in range(abs(times)):
            result = result * base
        return result.inverse() if times < 0 else result

    def sqrt(self) -> Element:
        root = pow(self.v, (P + 1) // 4, P)
        if root * root % P != self.v or root == 0:
            raise NoRoot("a number without a square root")
        return Element(root, self.d * pow(2 * root, -1, P) % P)

    # -- unknown functions ---------------------------------------------------------

    def unknown(self, name: str, slope: Callable[[int], int]) -> Element:
        """f(self), where f' is given in terms of the value of f."""
        value = world.unknown(name, self.v)
        return Element(value, self.d * slope(value) % P)

    def exp(self) -> Element:
        value = world.power(self.v)
        if value is None:
            value = world.unknown("exp", self.v)
        world.exponents.setdefault(value, self.v)
        world.sign(value, True)
        world.sign((value - 1) % P, self.is_positive())  # exp(x) > 1 where x > 0
        return Element(value, self.d * value % P)

    def expm1(self) -> Any:
        return self.exp() - 1

    def tanh(self) -> Element:
        power = world.power(self.v, 2)
        if power is None or power == P - 1:
            return self.unknown("tanh", lambda t: 1 - t * t)
        t = (power - 1) * pow(power + 1, -1, P) % P
        return Element(t, self.d * (1 - t * t) % P)

    def hypot(self, *others: Any) -> Element:
        root: Element = sum((element(other) ** 2 for other in others), self * self)
        return root.sqrt()

    def log(self) -> Element:
        if self.v == 0:
            raise Redraw("the logarithm of zero")
        return Element(world.log(self.v), self.d * pow(self.v, -1, P) % P)

    def sin(self) -> Element:
        return self.unknown("sin", lambda _: world.unknown("cos", self.v))

    def cos(self) -> Element:
        return self.unknown("cos", lambda _: -world.unknown("sin", self.v))

    def erfc(self) -> Any:
        return 1 - self.erf()

    def erf(self) -> Element:
        density = 2 * (PI.sqrt()).inverse() * (-(self * self)).exp()
        return self.unknown("erf", lambda _: density.v)

    # -- an order, for branches: no law of arithmetic holds for it -------------------

    def is_positive(self) -> bool:
        """By lot, but -x is positive where x is not."""
        if self.v in SMALL:  # the numbers that bounds are made of keep their order
            return SMALL[self.v] > 0
        if self.v in world.signs:
            return world.signs[self.v]
        low = min(self.v, P - self.v)
        coin = hashlib.blake2b(low.to_bytes(8, "big"), digest_size=1).digest()[0] & 1
        return self.v != 0 and (self.v == low) == bool(coin)

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, float) and math.isinf(other):
            return other > 0
        return _is_positive(element(other), self)

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, float) and math.isinf(other):
            return other < 0
        return _is_positive(self, element(other))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, float) and not math.isfinite(other):
            return False
        b = _operand(other)
        return b is not None and self.v == b.v

    def __le__(self, other: Any) -> bool:
        return self < other or self == other

    def __ge__(self, other: Any) -> bool:
        return self > other or self == other

    def __bool__(self) -> bool:
        return self.v != 0

    def __abs__(self) -> Element:
        return -self if self < 0 else self

    # -- what NumPy's scalars can ------------------------------------------------------

    def item(self) -> Element:
        return self

    def astype(self, *_: Any, **__: Any) -> Element:
        return self

    def conjugate(self) -> Element:
        return self

    def reshape(self, *shape: Any) -> np.ndarray:
        return elements(self).reshape(*shape)


def _is_positive(a: Element, b: Element) -> bool:
    """Whether a - b is; x - (-x) is where x is."""
    return (a if (a.v + b.v) % P == 0 else a - b).is_positive()


PI = Element(
    2 * 314159265358979**2 % P
)  # any number will do; of this one, its double and 2/PI there are roots


def elements(x: Any) -> np.ndarray:
    """An array of elements."""
    array: Any = np.asarray(x) if not isinstance(x, Element) else np.array(x, object)
    if array.dtype == object and all(isinstance(one, Element) for one in array.flat):
        return array
    return _each(array, element)


def slopes(y: Any) -> np.ndarray:
    """The derivatives of elements, as elements."""
    return _each(elements(y), lambda one: Element(one.d))


def _each(array: np.ndarray, change: Callable[[Any], Element]) -> np.ndarray:
    made = np.empty(array.shape, object)
    for place in np.ndindex(*array.shape):
        made[place] = change(array[place])
    return made


def varied(x: np.ndarray, along: Mapping[tuple[int, ...], int]) -> np.ndarray:
    """x with these derivatives at their places."""
    made = elements(x).copy()
    for place, step in along.items():
        made[place] = Element(made[place].v, step)
    return made
