"""Draws where formulas have their corners: ties, zeros, equal entries, a single row, soft targets.

Random real numbers never meet: x = 0, a tie of a maximum, a third argument that is the largest. So each
display is held against the code on a few draws more, whose numbers are few and simple. What is not
defined on neither side (ln 0) is left out entry by entry; what one side defines the other must, too.
"""

import numpy as np

from .sets import Evaluate, Set, elements, limits, one_hot, shares

# Each kind of draw, in the order in which they are made.
LARGES = tuple(f"large {number}" for number in range(1, 7))
CORNERS = ("ties 1", "ties 2", "equal", "zero", "single 1", "single 2", "soft", *LARGES)
OF_BRANCHES = tuple(f"{kind} {number}" for number in range(3, 9) for kind in ("ties", "equal"))
MORE = tuple(f"ties {number}" for number in range(9, 60))  # while a branch has not been reached
FARS = tuple(f"far {number}" for number in range(1, 21))  # of inequalities: some hold near 1 only
LARGE = 4e3  # times numbers from 0.3 to 1.7, of either sign
STABLE = ("-safe", "-stable")  # ends of labels that claim it
REAL = np.array([-1.0, -0.25, 0.0, 0.5, 1.0])
POSITIVE = np.array([0.25, 1.0, 2.0])
SHARES = np.array([0.25, 0.5, 0.75])


def draw_corner(
    corner: str,
    set_: Set,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    number: Evaluate,
    ordinary: np.ndarray,
) -> np.ndarray:
    """An element of a set at a corner; ``ordinary`` where the corner means nothing for it."""
    kind = corner.split()[0]
    if "one-hot" in set_.words:
        return shares(shape, rng) if kind == "soft" and "hard" not in set_.words else ordinary
    if "rows sum to 1" in set_.words:
        return one_hot(shape, rng) if kind == "ties" else ordinary
    if set_.is_integer or set_.base == r"\mathbbC" or "distinct" in set_.words:
        return ordinary
    if kind == "far":
        return ordinary * 10.0 ** rng.integers(-3, 4) if set_.base == r"\mathbbR" else ordinary
    if kind == "large":
        if set_.base != r"\mathbbR" or set_.positive:
            return ordinary
        return LARGE * (ordinary if shape else abs(ordinary) * (1 if corner.endswith("1") else -1))
    if kind not in ("ties", "equal", "zero"):
        return ordinary
    values = simple(set_, number)
    if kind == "zero":
        return np.zeros(shape) if 0 in values else ordinary
    if kind == "equal" and shape:
        return np.full(shape, rng.choice(values))
    found = np.asarray(rng.choice(values, shape))
    if corner == "ties 1" and shape and 0 in values:  # at least one
        found.flat[rng.integers(found.size)] = 0
    return found


def simple(set_: Set, number: Evaluate) -> np.ndarray:
    """The few numbers of a set that are drawn at corners; all are whole in binary."""
    if set_.positive:
        return POSITIVE
    if set_.base == r"\mathbbR":
        return REAL
    if set_.base.startswith(r"\{"):
        return np.array(elements(set_.base, number), float)
    low, high = limits(set_.base, number)
    inside = low + (high - low) * SHARES
    ends = [low] * (set_.base[0] == "[") + [high] * (set_.base[-1] == "]")
    return np.array([*ends, *inside])
