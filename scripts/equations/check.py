"""Check labelled displays and gradient rows against the module."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .arrays import Array
from .book import Book, Read, read_display
from .compare import CLOSELY, LIMIT, ROUNDED, compare, difference, is_exact, is_finite
from .corners import CORNERS, MORE, OF_BRANCHES, STABLE
from .derivatives import gradient
from .environment import Environment
from .errors import Differ, Finding, MathError, Redraw, RowError, at_side
from .evaluate import Branch, Evaluator, ranges_of
from .notation import Definition, Notation
from .sets import check_member, parse_set
from .syntax import (
    Apply,
    Call,
    Cases,
    Compare,
    Derivative,
    Entry,
    Index,
    Indicator,
    Node,
    Number,
    Symbol,
    show,
)
from .text import Display, Place, Table, Text

DRAWS = 5
DRAWS_OF_CASES = 16  # every row must have held in one of them
ENOUGH = 3  # good draws; with fewer nothing is claimed
TRIES = 30


@dataclass
class Result:
    """What the check of one display or gradient row came to."""

    name: str  # its label, or row:code
    place: Place
    draws: int = 0
    steps: int = 0
    used: frozenset[str] = frozenset()  # ids of the notation
    rows: frozenset[Place] = frozenset()  # where the rows stand that it rests on
    finding: Finding | None = None
    notation: Notation | None = field(default=None, repr=False)
    calls: frozenset[str] = frozenset()  # ids whose code is asked for names of the module

    @cached_property
    def against(self) -> list[str]:
        """What of the module was held against the text."""
        return sorted(self.notation.module_names(self.calls)) if self.notation else []


def check_chapter(book: Book, chapter: Text) -> Iterator[Result]:
    """Check all labelled displays and gradient rows of a chapter."""
    for display in checked_displays(chapter):
        yield check_display(book, chapter, display)
    for table in chapter.tables:
        yield from check_rows(book, chapter, table)


def checked_displays(chapter: Text) -> list[Display]:
    return [display for display in chapter.displays if display.label and not display.unchecked]


# -- displays ------------------------------------------------------------------


def check_display(book: Book, chapter: Text, display: Display, quickly: bool = False) -> Result:
    """Check a labelled display; ``quickly`` on ordinary draws only."""
    result = Result(display.label or "", display.place)
    try:
        notation = book.notation(chapter, display.place.line)
        avoid = notation.literals | {int(number) for number in re.findall(r"\d+", display.tex)}
        for read in read_display(book.replaced.get(result.name, display.tex), notation):
            try:
                _check_equation(book, notation, display, read, result, avoid, quickly)
            except MathError as error:
                error.equation = read.equation
                raise
    except RowError as error:
        result.finding = Finding(error.place, result.name, str(error))
    except MathError as error:
        message = f"{error}{_sides(error)}{_suspects(result, notation)}"
        result.finding = Finding(display.place, result.name, message)
    return result


def _check_equation(
    book: Book,
    notation: Notation,
    display: Display,
    read: Read,
    result: Result,
    avoid: frozenset[int],
    quickly: bool,
) -> None:
    ids = frozenset(id_ for side in read.sides for id_ in notation.ids(side))
    result.used |= ids
    result.rows |= _rows(read.sides, notation, ids)
    rows = {row.id for row in notation.gradients.values() if row.place in result.rows}
    result.notation, result.calls = notation, result.used | rows
    first = 1 if _is_definition(read, notation, display) else 0
    _refuse_hollow(read, notation, first)
    branches = set(_branches(read, notation))
    reached: set[Branch] = set()
    wanted = DRAWS_OF_CASES if branches or _has_conditions(read, notation) else DRAWS
    once = lambda env: _draw(read, env, first, reached)  # noqa: E731
    result.draws = _repeat(book, notation, result.name, avoid, ids, wanted, once)
    if quickly:
        return
    result.draws += _at_corners(book, notation, result.name, avoid, ids, once, branches, reached)
    if missed := (branches | _brackets(read)) - reached:
        raise MathError(_unreached(min(missed, key=lambda one: one[1]), result.draws))
    result.steps += len(read.sides) - 1 - first


def _at_corners(
    book: Book,
    notation: Notation,
    name: str,
    avoid: frozenset[int],
    needed: frozenset[str],
    once: Callable[[Environment], None],
    branches: set[Branch],
    reached: set[Branch],
) -> int:
    """Check at ties, zeros and the like; how many of them say something."""
    good = 0
    is_stable = name.endswith(STABLE)
    for corner in (*CORNERS, *(OF_BRANCHES + MORE if branches else ())):
        kind = corner.split()[0]
        if corner in MORE and branches <= reached:
            break
        if (kind == "soft" and not _has_soft(notation, needed)) or (kind == "large" and not is_stable):
            continue
        try:
            once(book.draw(notation, name, 0, avoid, needed, corner))
            good += 1
        except Differ:
            raise
        except (MathError, Redraw) as error:  # what the code refuses there, and what is no number
            if kind == "large":
                raise MathError(f"{name} claims to be stable; of numbers like 1000: {error}") from None
    return good


def _has_soft(notation: Notation, ids: frozenset[str]) -> bool:
    rows = (row for row in notation.rows.values() if row.id in ids)
    return any("one-hot" in row.set.words and "hard" not in row.set.words for row in rows)


def _branches(read: Read, notation: Notation) -> Iterator[Branch]:
    """What must be seen: each row of cases, each argument of a maximum, and where cases meet."""
    for node in (node for side in read.sides for node in side.walk()):
        if isinstance(node, Cases):
            yield from ((node, row) for row in range(len(node.values)))
            tests = [part for one in node.conditions if one for part in one.walk()]
            comparisons = [part for part in tests if isinstance(part, Compare) and part.op != "≠"]
            yield from ((one, 0) for one in comparisons if _compares_values(list(one.walk()), notation))
        if isinstance(node, Call) and node.name in ("max", "min"):
            yield from ((node, number) for number in range(len(node.arguments)))


def _brackets(read: Read) -> set[Branch]:
    """A bracket like [a < b] must have been 1 somewhere, and 0."""
    nodes = [node for side in read.sides for node in side.walk()]
    return {(node, held) for node in nodes if isinstance(node, Indicator) for held in (0, 1)}


def _unreached(branch: Branch, draws: int) -> str:
    node, number = branch
    if isinstance(node, Indicator):
        return f"{show(node)} was {number} in none of {draws} draws"
    if isinstance(node, Cases):
        return f"row {number + 1} of cases held in none of {draws} draws: {show(node.conditions[number])}"
    if isinstance(node, Call):
        which = "largest" if node.name == "max" else "smallest"
        return f"argument {number + 1} of {show(node)} was the {which} in none of {draws} draws"
    return f"the two sides of {show(node)} were equal in none of {draws} draws"


def _has_conditions(read: Read, notation: Notation) -> bool:
    """Whether a single draw may see one branch only: of what is compared by values, not by indices."""
    calls = ("max", "min", "abs", "sign")
    nodes = [node for side in read.sides for node in side.walk()]
    tests = [n for n in nodes if isinstance(n, Compare) or (isinstance(n, Call) and n.name in calls)]
    return any(_compares_values(list(test.walk()), notation) for test in tests)


def _compares_values(parts: list[Node], notation: Notation) -> bool:
    keys = [part.key for part in parts if isinstance(part, Symbol)]
    by_index = any(isinstance(part, Index) for part in parts)
    is_value = any(notation.rows[key].kind != "number" for key in keys)
    return is_value or not by_index or any(isinstance(part, Apply) for part in parts)


def _rows(sides: Iterable[Node], notation: Notation, ids: frozenset[str]) -> frozenset[Place]:
    """Where the rows stand that a formula rests on, gradient rows included."""
    found = {notation.by_id[id_].place for id_ in ids if id_ in notation.by_id}
    for part in (part for side in sides for part in side.walk()):
        if isinstance(part, Derivative):
            pair = getattr(_base(part.top), "key", ""), getattr(part.bottom, "key", "")
            if row := notation.gradients.get(pair):
                found.add(row.place)
    return frozenset(found)


def _base(node: Node) -> Node:
    return node.base if isinstance(node, Entry) else node


def _is_definition(read: Read, notation: Notation, display: Display) -> bool:
    """Whether this very equation gives its left side its value."""
    row = notation.rows.get(read.defines or "")
    return row is not None and row.label == display.label


def _refuse_hollow(read: Read, notation: Notation, first: int) -> None:
    """Equations that cannot fail."""
    for position, side in enumerate(read.sides[1:], 1):
        with at_side(position):
            if show(side) == show(read.sides[position - 1]):
                raise MathError("both sides are the same")
            if any(part == read.sides[0] and not isinstance(part, Number) for part in side.walk()):
                raise MathError(f"{show(read.sides[0])} stands on both sides")
            if first and notation.rows[read.defines or ""].id in notation.ids(side):
                raise MathError(f"{read.defines} is defined by itself")


def _repeat(
    book: Book,
    notation: Notation,
    name: str,
    avoid: frozenset[int],
    needed: frozenset[str],
    wanted: int,
    once: Callable[[Environment], None],
) -> int:
    """Check on several draws; one next to a kink is replaced by another."""
    good, reason = 0, ""
    for attempt in range(TRIES):
        try:
            once(book.draw(notation, name, attempt, avoid, needed))
            good += 1
        except Redraw as redraw:
            reason = str(redraw)
        if good == wanted:
            break
    if good < ENOUGH:
        raise MathError(f"only {good} of {TRIES} draws could be used: {reason}")
    return good


def _draw(read: Read, env: Environment, first: int, reached: set[Branch]) -> None:
    """Hold neighbouring sides against each other on one draw."""
    sides = read.sides
    ranges = ranges_of(sides, env)
    values = []
    for position, side in enumerate(sides):
        with at_side(position):
            evaluator = Evaluator(env, ranges)
            values.append(evaluator(side))
            reached |= evaluator.reached
            if evaluator.outside and not is_finite(values[-1].data):
                raise MathError(evaluator.outside)
            if env.corner.startswith("large") and not is_finite(values[-1].data):
                raise Redraw(f"{read.equation.sides[position].shown} overflows")
    limit = ROUNDED if env.corner else limit_of(sides)
    for position in range(first + 1, len(sides)):
        relation = read.equation.sides[position].relation
        is_number = isinstance(sides[position], Number)
        with at_side(position):
            compare(values[position - 1], values[position], ranges, relation, is_number, env.corner, limit)
    if read.equation.shape:
        _check_shape(values[-1], read.equation.shape.tex, env)


def limit_of(sides: Sequence[Node]) -> float:
    """How far rounding and differences of differences may drive the sides apart."""
    parts = [part for side in sides for part in side.walk()]
    if any(isinstance(part, Apply) and part.primes > 1 for part in parts):
        return ROUNDED
    differs = any(isinstance(part, Derivative) or (isinstance(part, Apply) and part.primes) for part in parts)
    return LIMIT if differs else CLOSELY


def _check_shape(value: Array, set_tex: str, env: Environment) -> None:
    wanted = env.shape(parse_set(f"${set_tex}$"))
    if value.shape != wanted:
        raise MathError(f"the shape is {value.shape}, not {wanted}")
    if not is_exact(value.data):
        try:
            check_member(parse_set(f"${set_tex}$"), value.data, env.number)
        except MathError as error:
            raise Differ(str(error)) from None  # at a corner, too


def _sides(error: MathError) -> str:
    """The two sides next to a mistake."""
    if not error.equation or error.side is None:
        return ""
    sides = error.equation.sides
    at = max(error.side, 1)
    return f"\n      {sides[at - 1].shown}\n   {sides[at].relation}  {sides[at].shown}"


def _suspects(result: Result, notation: Notation) -> str:
    """Definitions by the text that could be to blame instead."""
    found = sorted(
        f"{row.row.symbol} ({row.label})"
        for row in notation.rows.values()
        if row.label and row.label != result.name and row.id in result.used
    )
    return f"\n   or the definition of {', '.join(found)} is wrong" if found else ""


# -- gradient rows -------------------------------------------------------------


def check_row(book: Book, notation: Notation, pair: tuple[str, str], definition: Definition) -> Result:
    """Hold the code of a gradient row against the derivative of the code's forward."""
    result = Result(f"row:{definition.place.line}:{definition.row.code}", definition.place)
    try:
        top = notation.rows.get(pair[0])
        result.used = notation.closure(definition.id) | (notation.closure(top.id) if top else frozenset())
        result.rows = _rows((), notation, result.used)
        result.notation, result.calls = notation, result.used
        once = lambda env: _draw_row(pair, definition, env)  # noqa: E731
        result.draws = _repeat(
            book, notation, definition.row.code, notation.literals, result.used, DRAWS, once
        )
        result.steps = 1
    except RowError as error:
        result.finding = Finding(error.place, definition.row.symbol, str(error))
    except MathError as error:
        message = f"`{definition.row.code}` is not the derivative of the code: {error}"
        result.finding = Finding(definition.place, definition.row.symbol, message)
    return result


def _draw_row(pair: tuple[str, str], definition: Definition, env: Environment) -> None:
    expected, computed = gradient(*pair, env), env.computed(definition)
    if computed.shape != expected.shape:
        raise MathError(f"its shape is {computed.shape}, that of the variable {expected.shape}")
    if found := difference(expected, computed):
        at, message = found
        entry = f" at entry {tuple(place + 1 for place in at)}" if at else ""
        raise MathError(f"the two differ{entry}: {message}")


def check_rows(book: Book, chapter: Text, table: Table) -> Iterator[Result]:
    """Check the rows of a table for gradients that code computes."""
    try:
        notation = book.notation(chapter, book.section_end(chapter, table.place.line))
    except RowError as error:
        yield Result("notation", error.place, finding=Finding(error.place, "notation", str(error)))
        return
    for pair, definition in notation.gradients.items():
        if definition.row in table.rows and notation.slice_for(definition.id):
            yield check_row(book, notation, pair, definition)
