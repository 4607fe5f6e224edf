r"""The Set column: what a symbol is, and how to draw it.

Sets: $\mathbb{N}$, $\mathbb{R}^{N\times K}$, $\mathbb{R}_{>0}^{N}$, $\mathbb{C}$, $(0,1)^{K}$,
$\{0,1\}^{N\times K}$, $\{1,\dots,K\}^{N}$; functions: $\mathbb{R}^{K}\to\mathbb{R}^{M}$. Words may follow:
one-hot; rows sum to 1; zero outside; from 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from .errors import MathError

WORDS = ("one-hot", "hard", "rows sum to 1", "zero outside", "from 0", "distinct")
BLACKBOARD = re.compile(r"\\mathbb\s*\{?\s*([NZRC])\s*\}?")
BASE = re.compile(r"\\mathbb[NZRC]|\\\{.*?\\\}|[\[(][^()\[\]]*,[^()\[\]]*[)\]]")
SCRIPTS = re.compile(
    r"""(?:_\s*(?P<before>\{[^{}]*\}|\S))?\s*(?:\^\s*(?P<power>\{.*\}|\\[A-Za-z]+|\S))?\s*
        (?:_\s*(?P<after>\{[^{}]*\}|\S))?""",
    re.X | re.S,
)
DOTS = re.compile(r"\\[lc]?dots")
Evaluate = Callable[[str], float]  # the number that a size or a bound is


@dataclass(frozen=True)
class Set:
    base: str  # as written, e.g. \mathbbR, (0,1) or \{0,1\}
    sizes: tuple[str, ...] = ()  # LaTeX of each axis
    positive: bool = False
    words: frozenset[str] = frozenset()
    domain: tuple[Set, ...] | None = None  # of a function; base and sizes are then its values'

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def is_integer(self) -> bool:
        return self.base in (r"\mathbbN", r"\mathbbZ") or bool(DOTS.search(self.base))


def first_of(axis: int, words: Collection[str]) -> int:
    """Where an axis begins to count."""
    return 0 if axis == 0 and "from 0" in words else 1


def parse_set(text: str) -> Set:
    formula = re.match(r"\$([^$]*)\$", text)
    if not formula:
        raise MathError(f"the set must begin with one formula in dollars, got {text!r}")
    after = text[formula.end() :].strip()
    rest = re.split(r"[,;]\s*", after.strip())
    words = frozenset(word.strip() for word in rest if word.strip())
    if unknown := words - set(WORDS):
        raise MathError(f"unknown words in the set: {sorted(unknown)[0]!r}; known are {', '.join(WORDS)}")
    plain = BLACKBOARD.sub(r"\\mathbb\1", formula[1]).strip()
    if r"\to" in plain:
        left, _, right = plain.partition(r"\to")
        domain = tuple(_simple(part, frozenset()) for part in _split(left))
        value = _simple(right, words)
        return Set(value.base, value.sizes, value.positive, words, domain)
    return _simple(plain, words)


def _simple(text: str, words: frozenset[str]) -> Set:
    text = text.strip()
    base = BASE.match(text)
    if not base:
        raise MathError(
            f"the set ${text}$ is not known; write e.g. $\\mathbb{{R}}^{{N\\times K}}$ or $(0,1)$"
        )
    scripts = SCRIPTS.fullmatch(text[base.end() :].strip())
    if not scripts:
        raise MathError(f"the set ${text}$ is not known: cannot read what follows {base[0]}")
    below = (scripts["before"] or scripts["after"] or "").strip("{} ").replace(" ", "")
    if below not in ("", ">0", "+"):
        raise MathError(f"the set ${text}$ is not known; positive numbers are $\\mathbb{{R}}_{{>0}}$")
    power = scripts["power"] or ""
    sizes = tuple(_split(power[1:-1] if power.startswith("{") else power)) if power else ()
    return Set(base[0], sizes, bool(below), words)


def _split(text: str) -> list[str]:
    r"""Split at each \times outside braces."""
    parts, depth = [""], 0
    for piece in re.split(r"(\\times|[{}])", text):
        depth += (piece == "{") - (piece == "}")
        if piece == r"\times" and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def draw(set_: Set, shape: tuple[int, ...], rng: np.random.Generator, number: Evaluate) -> np.ndarray:
    """A random element."""
    if "one-hot" in set_.words:
        return one_hot(shape, rng)
    if "rows sum to 1" in set_.words:
        return shares(shape, rng)
    if set_.base == r"\mathbbC":
        return _away_from_zero(rng, shape) + 1j * _away_from_zero(rng, shape)
    if set_.base in (r"\mathbbN", r"\mathbbZ"):
        return rng.integers(1, 9, shape)
    if set_.positive:
        return rng.uniform(0.3, 1.7, shape)
    if set_.base == r"\mathbbR":
        return _away_from_zero(rng, shape)
    if set_.base.startswith(r"\{"):
        return _varied(rng, np.array(elements(set_.base, number)), shape)
    low, high = limits(set_.base, number)
    return low + (high - low) * rng.uniform(0.1, 0.9, shape)


def one_hot(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return np.asarray(np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])])


def shares(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Rows that sum to 1."""
    weights = rng.uniform(0.3, 1.7, shape)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Of either sign, and large enough to divide by."""
    return rng.uniform(0.3, 1.7, shape) * rng.choice([-1.0, 1.0], shape)


def _varied(rng: np.random.Generator, allowed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Elements of a finite set, not all the same where that is possible."""
    allowed = np.unique(allowed)
    found = rng.choice(allowed, shape)
    if found.size > 1 and len(allowed) > 1 and np.all(found == found.flat[0]):
        found.flat[0] = allowed[allowed != found.flat[0]][0]
    return np.asarray(found)


def elements(base: str, number: Evaluate) -> list[float] | list[int]:
    inside = base[2:-2]
    parts = [part.strip() for part in inside.split(",")]
    if any(DOTS.fullmatch(part) for part in parts):
        return list(range(round(number(parts[0])), round(number(parts[-1])) + 1))
    return [number(part) for part in parts]


def limits(base: str, number: Evaluate) -> tuple[float, float]:
    low, high = base[1:-1].split(",")
    if high.strip() == r"\infty":
        return number(low), number(low) + 2
    return number(low), number(high)


def check_member(set_: Set, value: np.ndarray, number: Evaluate) -> None:
    """A computed value must lie in the set its row claims, words included."""
    if np.iscomplexobj(value) and set_.base != r"\mathbbC":
        raise MathError("the value is complex")
    outside = _outside(set_, value, number)
    if np.any(outside):
        raise MathError(f"the value {np.asarray(value)[outside].flat[0]:g} lies outside its set")
    is_hot = ((value == 0) | (value == 1)) & (value.sum(axis=-1, keepdims=True) == 1) if value.ndim else True
    if "one-hot" in set_.words and not np.all(is_hot):
        raise MathError("its rows are not one-hot")
    if value.ndim and "rows sum to 1" in set_.words and not np.allclose(value.sum(axis=-1), 1, rtol=1e-9):
        raise MathError(f"its rows do not sum to 1, but to {value.sum(axis=-1).flat[0]:g}")
    if "distinct" in set_.words and len(np.unique(value)) < value.size:
        raise MathError("some of its entries are equal")


def _outside(set_: Set, value: np.ndarray, number: Evaluate) -> np.ndarray:
    """Where a value lies outside; NaN lies nowhere, and is told of elsewhere."""
    if set_.base.startswith(r"\{"):
        return ~np.isin(value, elements(set_.base, number))
    if set_.base[0] in "([":
        low, high = limits(set_.base, number)
        above = value > high if set_.base[-1] == "]" else value >= high
        below = value < low if set_.base[0] == "[" else value <= low
        return below | (above & (not set_.base[:-1].endswith(r"\infty")))
    if set_.positive:
        return np.asarray(value <= 0)
    if set_.base == r"\mathbbN":
        return (value < 0) | (value != np.round(value))
    if set_.base == r"\mathbbZ":
        return np.asarray(value != np.round(value))
    return np.zeros(np.shape(value), bool)
