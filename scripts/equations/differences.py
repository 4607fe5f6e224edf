"""Derivatives of code by five-point central differences."""

from collections.abc import Callable

import numpy as np

from .errors import Redraw

Function = Callable[[np.ndarray], np.ndarray]
STEP = 1e-4  # relative to the entry
SMALLEST = 1e-3  # entries below this count as this large
CLOSE = 3e-7  # a confirmed slope lies this near, relative to the largest entry
DIRECTIONS = 3
KINK = 3e-7  # three- and five-point estimates may differ by this, relative to the largest


def jacobian(function: Function, x: np.ndarray) -> np.ndarray:
    """∂function/∂x with the shape of the value followed by the shape of x."""
    x = np.asarray(x, dtype=float)
    columns = [_column(function, x, at) for at in np.ndindex(x.shape)]
    fine = np.stack([five for five, _ in columns], axis=-1)
    coarse = np.stack([three for _, three in columns], axis=-1)
    if not np.all(np.isfinite(fine)):
        raise Redraw("its derivative is not a number")
    slack = KINK * np.max(np.abs(fine), initial=0.0) + 1e-8
    if np.max(np.abs(fine - coarse), initial=0.0) > slack:
        raise Redraw("the draws lie next to a kink")
    return fine.reshape((*fine.shape[:-1], *x.shape))


def _column(function: Function, x: np.ndarray, at: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The derivative by one entry, from five points and from three."""
    step = STEP * max(abs(x[at]), SMALLEST)

    def moved(count: int) -> np.ndarray:
        shifted = x.copy()
        shifted[at] += count * step
        return np.asarray(function(shifted), dtype=float)

    near, far, bend = _around(moved)
    # In the very middle of a kink all central differences agree, and mean nothing.
    if np.max(np.abs(bend), initial=0.0) > 0.05 * np.max(np.abs(near), initial=0.0) + 1e-6:
        raise Redraw("the draws lie on a kink")
    return (8 * near - far) / (12 * step), near / (2 * step)


def _around(moved: Callable[[int], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The differences of values one step and two steps around a place, and how their means differ."""
    inner, outer = (moved(1), moved(-1)), (moved(2), moved(-2))
    return inner[0] - inner[1], outer[0] - outer[1], outer[0] + outer[1] - inner[0] - inner[1]


def confirmed(function: Function, x: np.ndarray, gradient: np.ndarray, seed: int) -> bool:
    """Whether the gradient of a number agrees with differences in random directions.

    A wrong entry shows in nearly every direction, so a few of them stand for all entries.
    """
    if gradient.shape != x.shape or not np.all(np.isfinite(gradient)):
        return False
    rng = np.random.default_rng([seed, 2])
    largest = np.max(np.abs(gradient), initial=0.0)
    for _ in range(DIRECTIONS):
        along = rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1.0, 1.0], x.shape)
        along *= np.maximum(np.abs(x), SMALLEST)
        slope, coarse = _column(lambda step, v=along: function(x + step * v), np.zeros(()), ())  # type: ignore[misc]
        if abs(slope - coarse) > KINK * max(abs(slope), largest) + 1e-8:
            raise Redraw("the draws lie next to a kink")
        if abs(slope - np.vdot(gradient, along)) > CLOSE * largest + 1e-9:
            return False
    return True


def derivative(function: Function, x: np.ndarray, order: int = 1) -> np.ndarray:
    """The derivative of a function that works entry by entry."""
    if order == 0:
        return np.asarray(function(x))
    step = np.where(order == 1, STEP, 30 * STEP) * np.maximum(np.abs(x), 0.1)

    def moved(count: int) -> np.ndarray:
        return derivative(function, x + count * step, order - 1)

    near, far, bend = _around(moved)
    if order == 1 and np.any(np.abs(bend) > 0.05 * np.abs(near) + 1e-6):
        raise Redraw("the draws lie on a kink")
    return (8 * near - far) / (12 * step)
