"""Hold two arrays against each other and say where and how they differ."""

import numpy as np

from .arrays import Array, Ranges
from .errors import Differ, MathError, Redraw
from .field import element
from .syntax import plain

LIMIT = 3e-9  # largest difference over largest entry, where differences give a slope
CLOSELY = 1e-10  # the same, where nothing but rounding keeps the sides apart
ROUNDED = 1e-6  # the same for slopes of slopes, and at corners, where differences have little to hold on to
ROUGHLY = 1e-2  # the same, for ≈
FLOOR = 1e-9  # smaller differences are rounding; at corners those below ROUNDED


def compare(
    left: Array, right: Array, ranges: Ranges, relation: str, right_is_number: bool, corner: str, limit: float
) -> None:
    """Raise Differ where the two sides differ.

    What is defined on neither side is left out at a corner; what one side defines the other must, too.
    """
    order = ranges.order
    left, right = _matched(left, right, right_is_number)
    first, second = np.broadcast_arrays(left.data, right.data)
    if is_exact(first) or is_exact(second):
        found = exact_difference(first, second)
    else:
        first, second = _with_values(first, second, bool(corner))
        floor = ROUNDED if corner else min(FLOOR, limit)
        found = difference(first, second, ROUGHLY if relation == "≈" else limit, floor)
    if not found:
        return
    at, message = found
    axes = [(axis, name) for axis, name in enumerate(order) if first.shape[axis] > 1]
    where = [f"{plain(name)}={ranges.values[name][at[axis]]}" for axis, name in axes]
    if entry := at[len(order) :]:
        where.append(f"entry {tuple(place + 1 for place in entry)}")
    if corner:
        message += f"  (at a corner: {corner.split()[0]})"
    raise Differ(f"the two sides differ{' at ' + ', '.join(where) if where else ''}: {message}")


def _with_values(first: np.ndarray, second: np.ndarray, at_corner: bool) -> tuple[np.ndarray, np.ndarray]:
    """The two sides, with 0 for what has no value on either."""
    lacks = ~np.isfinite(first), ~np.isfinite(second)
    both, one = lacks[0] | lacks[1], lacks[0] ^ lacks[1]
    if np.any(one):
        side = "left" if np.any(lacks[0] & one) else "right"
        raise Differ(f"the {side} side is not a number where the other is; write what is defined there, too")
    if np.all(both) or (np.any(both) and not at_corner):
        raise Redraw("a side is not a finite number")
    if np.any(both):
        return np.where(both, 0, first), np.where(both, 0, second)
    return first, second


def is_exact(array: np.ndarray) -> bool:
    return array.dtype == object


def is_finite(array: np.ndarray) -> bool:
    if is_exact(array):
        return all(not isinstance(one, float) or np.isfinite(one) for one in array.flat)
    return bool(np.all(np.isfinite(array)))


def exact_difference(first: np.ndarray, second: np.ndarray) -> tuple[tuple[int, ...], str] | None:
    """Where two arrays of elements differ, at all."""
    for at in np.ndindex(*first.shape):
        if element(first[at]).v != element(second[at]).v:
            return at, "they are not the same number"
    return None


def difference(
    first: np.ndarray, second: np.ndarray, limit: float = LIMIT, floor: float = FLOOR
) -> tuple[tuple[int, ...], str] | None:
    """Where two arrays differ most, and the values there; None where they agree."""
    gap = np.abs(first - second)
    scale = max(np.max(np.abs(first), initial=0.0), np.max(np.abs(second), initial=0.0))
    if np.max(gap, initial=0.0) <= limit * scale + floor:
        return None
    at = tuple(int(place) for place in np.unravel_index(np.argmax(gap), gap.shape))
    return at, f"{_shown(first[at])} against {_shown(second[at])}{_ratio(first, second)}"


def _ratio(first: np.ndarray, second: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        ratios = (first / second)[(np.abs(second) > 1e-12) | (np.abs(first) > 1e-12)]
    ratio = ratios.flat[0]
    if not np.all(np.isfinite(ratios)) or not np.allclose(ratios, ratio, rtol=1e-6):
        return ""
    return f"  (off by the factor {ratio:g} everywhere)" if first.size > 1 else f"  (ratio {ratio:g})"


def _shown(value: complex) -> str:
    return f"{value:g}" if abs(value.imag) > 1e-12 else f"{value.real:g}"


def _matched(left: Array, right: Array, right_is_number: bool) -> tuple[Array, Array]:
    left, right = _as_vector(left, right), _as_vector(right, left)
    if right.rank == 0 and left.rank and right_is_number:
        right = Array(right.data.reshape(right.data.shape + (1,) * left.rank), left.rank)
    elif left.shape != right.shape:
        shapes = ["x".join(map(str, side.shape)) or "a number" for side in (left, right)]
        raise MathError(f"shapes differ: {shapes[0]} and {shapes[1]}")
    return left, right


def _as_vector(side: Array, other: Array) -> Array:
    """A row and the vector of the same entries are compared entry by entry."""
    if side.rank == 2 and other.rank == 1 and side.shape[0] == 1:
        return Array(side.data[..., 0, :], 1)
    return side
