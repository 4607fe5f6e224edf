"""Names for the tables that are no part of the module under test.

Fixed smooth functions stand for "any function": whatever holds for them and is
derived without their formula holds for others. None of their derivatives is
simple, none is symmetric in its arguments, and all are analytic, so that they
accept complex numbers too.
"""

import numpy as np


def kronecker(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """1 where i = j, else 0."""
    return np.equal(i, j).astype(float)


def any_function(x: np.ndarray) -> np.ndarray:
    """A smooth function of one number, entry by entry."""
    return np.sin(1.3 * x + 0.4) + 0.5 * np.cos(0.6 * x) + 0.7 * x


def any_derivative(x: np.ndarray) -> np.ndarray:
    """The derivative of any_function."""
    return 1.3 * np.cos(1.3 * x + 0.4) - 0.3 * np.sin(0.6 * x) + 0.7


def any_other_function(x: np.ndarray) -> np.ndarray:
    """A second smooth function of one number, entry by entry."""
    return np.cos(0.9 * x - 0.3) + 0.4 * np.sin(1.7 * x) + 1.1 * x


def any_other_derivative(x: np.ndarray) -> np.ndarray:
    """The derivative of any_other_function."""
    return -0.9 * np.sin(0.9 * x - 0.3) + 0.68 * np.cos(1.7 * x) + 1.1


def any_map(x: np.ndarray, size: int) -> np.ndarray:
    """A smooth map to vectors of this size; every output depends on every input."""
    inputs = np.ravel(x)
    rows = np.arange(1, size + 1)[:, None]
    columns = np.arange(1, inputs.size + 1)
    return np.sum(np.sin(0.7 * rows + 0.5 * columns + rows / columns * inputs) * (1 + 0.3 * columns), axis=1)


def any_loss(*arrays: np.ndarray) -> np.ndarray:
    """A smooth number that depends on every entry of every array."""
    total = np.zeros(())
    for number, array in enumerate(arrays, 1):
        entries = np.ravel(array)
        weights = 0.6 + 0.25 * np.arange(1, entries.size + 1) / number
        total = (
            total
            + np.sum(weights * np.sin(entries * 0.8 + 0.3 * number))
            + np.sum(weights * entries) ** 2 / 9
        )
    return total


def any_loss_gradient(*arrays: np.ndarray, by: int) -> np.ndarray:
    """The derivative of any_loss by the array at this position."""
    entries = np.ravel(arrays[by])
    number = by + 1
    weights = 0.6 + 0.25 * np.arange(1, entries.size + 1) / number
    slope = weights * (0.8 * np.cos(entries * 0.8 + 0.3 * number) + np.sum(weights * entries) * 2 / 9)
    return np.asarray(slope).reshape(np.shape(arrays[by]))


_OF_NUMBERS = any_function, any_derivative, any_other_function, any_other_derivative
HELPERS = {helper.__name__: helper for helper in (kronecker, *_OF_NUMBERS, any_map, any_loss)}
