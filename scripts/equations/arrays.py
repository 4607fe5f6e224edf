"""Arrays with an axis for each index, and what everybody's functions do to them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .errors import MathError
from .syntax import plain

LIKE_NUMPY = "exp log sin cos tan tanh sinh cosh sqrt abs sign real imag".split()
ENTRYWISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "erf": np.vectorize(math.erf, otypes=[float]),
    **{name: getattr(np, name) for name in LIKE_NUMPY},
}
NORMS: dict[str, Callable[[np.ndarray, tuple[int, ...]], np.ndarray]] = {
    "norm": lambda size, axes: np.sqrt(np.sum(size**2, axis=axes)),
    "norm1": lambda size, axes: np.sum(size, axis=axes),
    "norm∞": lambda size, axes: np.max(size, axis=axes),
}
REDUCE: dict[str, tuple[Callable[..., np.ndarray], float]] = {
    "sum": (np.sum, 0.0),
    "prod": (np.prod, 1.0),
    "max": (np.max, -np.inf),
    "min": (np.min, np.inf),
}
PAIRWISE = {"max": np.maximum, "min": np.minimum, "and": np.logical_and}
COMPARE = {
    "=": np.equal,
    "≠": np.not_equal,
    "<": np.less,
    "≤": np.less_equal,
    ">": np.greater,
    "≥": np.greater_equal,
}


@dataclass
class Array:
    data: np.ndarray
    rank: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape[self.data.ndim - self.rank :]


@dataclass
class Ranges:
    """The values that each index takes, in the order of the axes."""

    values: dict[str, np.ndarray] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    shifts: list[tuple[str, np.ndarray]] = field(default_factory=list)  # where t - 1 lies on its axis

    def add(self, name: str, values: np.ndarray, source: str) -> None:
        known = self.values.get(name)
        if known is None or _begins_at_zero(known, values):
            self.values[name] = values
            self.source[name] = source
        elif not np.array_equal(known, values) and not _begins_at_zero(values, known):
            raise MathError(
                f"index {plain(name)} runs over {len(known)} ({self.source[name]}) "
                f"but also over {len(values)} ({source})"
            )

    def trim(self, free: set[str]) -> None:
        """A recurrence holds for the t at which its t - 1 exists."""
        for name, values in self.shifts:
            if name in free and name in self.values:
                self.values[name] = np.intersect1d(self.values[name], values)
                if not self.values[name].size:
                    raise MathError(f"no value of {name} keeps every index on its axis")

    @property
    def order(self) -> list[str]:
        return list(self.values)


def _begins_at_zero(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether one has a 0 more than the other: the start of a recurrence."""
    return bool(one[0] == 0 < other[0]) and len(one) == len(other) + 1
