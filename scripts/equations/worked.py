"""A display worked out on a few small numbers: what it reads, and each side as plain data."""

import itertools
import re
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import check
from .arrays import Array
from .book import Book, Read, read_display
from .chains import Side
from .environment import Environment
from .errors import MathError, Redraw, RowError
from .evaluate import Branch, Calculus, Evaluator, ranges_of
from .lower import Expression, Lowering, Table, run
from .notation import Notation
from .sets import Evaluate, Set, draw
from .syntax import Cases, Symbol, free_indices
from .text import Display, Text

TRIES = 24
WHOLE = 12  # tries with whole numbers; the later ones have a decimal


class Readable(Calculus):
    """Numbers that one can follow in one's head. They need not tell a right equation from a wrong one."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt

    def draw(
        self, set_: Set, shape: tuple[int, ...], rng: np.random.Generator, number: Evaluate
    ) -> np.ndarray:
        if "one-hot" in set_.words or set_.base.startswith((r"\{", r"\mathbbN", r"\mathbbZ")):
            return draw(set_, shape, rng, number)
        if "rows sum to 1" in set_.words:
            return _tenths_that_sum_to_one(shape, rng)
        if set_.base == r"\mathbbR":
            low, high, scale = (-3, 4, 1) if self.attempt < WHOLE else (-9, 12, 10)
            if "distinct" in set_.words:
                low, high = low - int(np.prod(shape)) // 2, high + int(np.prod(shape)) // 2
            pool = np.arange(1 if set_.positive else low, high + 1) / scale
        elif set_.base[0] in "([":
            ends = [draw(set_, (200,), rng, number).min(), draw(set_, (200,), rng, number).max()]
            pool = np.arange(np.ceil(ends[0] * 10), np.floor(ends[1] * 10) + 1) / 10
        else:
            return np.round(draw(set_, shape, rng, number), 1)
        pool = pool[pool != 0]
        count = int(np.prod(shape, dtype=int))
        return np.asarray(rng.choice(pool, count, replace=count > len(pool)).reshape(shape))

    def sizes(self, free: list[int], count: int, rng: np.random.Generator) -> list[int]:  # type: ignore[override]
        """Twos and threes, neighbours different; where code wants more, more."""
        small = [2, 3] if self.attempt < WHOLE else [2, 3, 4]
        turn = itertools.islice(itertools.cycle(rng.permutation(small)), count)
        return [int(size) for size in turn]


def _tenths_that_sum_to_one(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    rows = np.ones((int(np.prod(shape[:-1], dtype=int)), shape[-1]))
    for _ in range(10 - shape[-1]):
        rows[np.arange(len(rows)), rng.integers(shape[-1], size=len(rows))] += 1
    return rows.reshape(shape) / 10


@dataclass
class Axis:
    """An index of a side, or a place in its array."""

    name: str
    low: int
    high: int


@dataclass
class Worked:
    """One equation of a display, worked out."""

    sides: list[Expression]
    shown: list[str]  # LaTeX
    axes: list[Axis]  # of every side
    tables: list[Table]
    given: list[str]  # per table: "given", "size", "module" (its code computes it), "text" (an equation does)
    follows: list[list[int]]  # per table: the tables that it was computed from

    @cached_property
    def values(self) -> list[np.ndarray]:
        """The sides' arrays, from the data alone."""
        sizes = [axis.high - axis.low + 1 for axis in self.axes]
        names = [axis.name for axis in self.axes]
        places = itertools.product(*(range(axis.low, axis.high + 1) for axis in self.axes))
        at = [dict(zip(names, place, strict=True)) for place in places]
        every = [[run(side, self.tables, indices) for indices in at] for side in self.sides]
        return [np.array(found).reshape(sizes) for found in every]


class Unshown(Exception):
    """Why a display cannot be worked out on small numbers."""


def work_out(book: Book, chapter: Text, display: Display) -> list[Worked]:
    """All equations of a display, on one draw."""
    notation = book.notation(chapter, display.place.line)
    reads = read_display(display.tex, notation)
    ids = frozenset().union(*(read.ids(notation) for read in reads))
    rows = {one for read in reads for one in check.rows_and_arguments(read) if isinstance(one[0], Cases)}
    best: tuple[tuple[int, int], list[Worked]] | None = None
    reason = "no draw"
    for attempt in range(TRIES):
        seed = zlib.crc32(f"{display.label} worked {attempt}".encode())
        try:
            env = Environment(notation, Readable(attempt), seed, frozenset(), ids)
            reached: set[Branch] = set()
            found = []
            for read in reads:
                first = 1 if check.is_definition(read, notation, display) else 0
                check.compare_sides(read, first, reached, env)  # it holds here too
                found.append(lowered(read, env))
        except (MathError, RowError, Redraw) as error:
            reason = str(error)
            continue
        score = len(reached), -sum(map(_coincidences, found))
        if best is None or score > best[0]:
            best = score, found
        if score == (len(rows), 0):
            break
    if best is None:
        raise Unshown(reason)
    return best[1]


def _coincidences(worked: Worked) -> int:
    """How often two symbols happen to have the same entry, or a side is zero where its tables are not."""
    given = [t.data for t, origin in zip(worked.tables, worked.given, strict=True) if origin == "given"]
    arrays = [data for data in given if data.ndim and len(np.unique(data)) > 2]
    pairs = [(a, b) for a, b in itertools.combinations(arrays, 2) if a.shape == b.shape]
    return sum(int(np.sum(a == b)) for a, b in pairs) + int(not np.any(worked.values[0]))


def lowered(read: Read, env: Environment) -> Worked:
    """The sides of an equation as data, on this draw."""
    notation = env.notation
    ranges = ranges_of(read.sides, env)
    values = [Evaluator(env, ranges)(side) for side in read.sides]
    widest = max(values, key=lambda value: (value.rank == values[0].rank, value.rank))
    free = [name for name in ranges.order if name in free_indices(read.sides[0])]
    axes = [Axis(name, int(ranges.values[name][0]), int(ranges.values[name][-1])) for name in free]
    shape = widest.shape[1:] if widest.rank == 2 and values[-1].rank == 1 else widest.shape
    places = [Axis(f"p{number}", 1, size) for number, size in enumerate(shape)]
    lower = Lowering(env, ranges)
    sides = []
    for side, value in zip(read.sides, values, strict=True):
        at: tuple[Expression, ...] = tuple(place.name for place in places)
        if value.rank == 0:
            at = ()
        elif value.rank == 2 and len(at) == 1:
            at = (1, *at)
        sides.append(lower(side, at))
    arrays = [value.data for value in values] + [table.data for table in lower.tables]
    if any(np.any(np.imag(data)) for data in arrays):
        raise MathError("its numbers are complex")
    worked = Worked(
        sides,
        [_standing_alone(side) for side in read.equation.sides],
        axes + places,
        lower.tables,
        [_origin(table, notation) for table in lower.tables],
        [_follows(table, lower.tables, notation) for table in lower.tables],
    )
    _confirm(worked, values, ranges.order)
    return worked


def _standing_alone(side: Side) -> str:
    """The LaTeX of a side without its neighbours: brackets that grow lose their other half."""
    tex = side.tex if r"\begin" in side.tex else side.shown
    if tex.count(r"\left") != tex.count(r"\right"):
        tex = re.sub(r"\\(left|right)(?![A-Za-z])\.?", "", tex)
    return tex.strip()


def _confirm(worked: Worked, values: list[Array], order: list[str]) -> None:
    """The data says what the evaluator says; otherwise nothing is shown."""
    free = [axis.name for axis in worked.axes if axis.name in order]
    for position, value in enumerate(values):
        data = np.moveaxis(value.data, [order.index(name) for name in free], range(len(free)))
        data = data.reshape(data.shape[: len(free)] + value.shape) if value.rank else data
        mine = worked.values[position]
        data = data.reshape([n for n in data.shape if n > 1])
        squeezed = mine.reshape([n for n in mine.shape if n > 1])
        if not np.allclose(data, squeezed, rtol=1e-9, atol=1e-9):
            raise AssertionError(f"{worked.shown[position]}: the data differs from the evaluator")


def _origin(table: Table, notation: Notation) -> str:
    if not isinstance(table.node, Symbol):
        return "module"
    row = notation.rows[table.node.key]
    if row.label:
        return "text"
    if row.kind == "number":
        return "size"  # the shapes of the tables hang on it
    return "given" if row.name and not notation.slice_of(row.name) else "module"


def _follows(table: Table, tables: list[Table], notation: Notation) -> list[int]:
    below = notation.ids(table.node)  # what it is computed from
    if isinstance(table.node, Symbol):
        below -= {notation.rows[table.node.key].id}
    symbols = [(at, one.node) for at, one in enumerate(tables) if isinstance(one.node, Symbol)]
    return [at for at, symbol in symbols if notation.rows[symbol.key].id in below]
