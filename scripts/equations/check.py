"""Check labelled displays and gradient rows against the module."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

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
from .syntax import Apply, Call, Cases, Compare, Derivative, Index, Indicator, Node, Number, Symbol, show
from .text import Display, Place, Table, Text

DRAWS = 5
DRAWS_OF_CASES = 16  # every row must have held in one of them
ENOUGH = 3  # good draws; with fewer nothing is claimed
TRIES = 30
Subject = Display | Table


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
    for subject in subjects_of(chapter):
        yield from check_subject(book, chapter, subject)


def subjects_of(chapter: Text) -> list[Subject]:
    """What there is to check."""
    return [*checked_displays(chapter), *chapter.tables]


def checked_displays(chapter: Text) -> list[Display]:
    return [display for display in chapter.displays if display.label and not display.unchecked]


def check_subject(book: Book, chapter: Text, subject: Subject, quickly: bool = False) -> Iterator[Result]:
    """Check a display, or the gradient rows of a table."""
    if isinstance(subject, Display):
        yield check_display(book, chapter, subject, quickly)
    else:
        yield from check_rows(book, chapter, subject)


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
    ids = read.ids(notation)
    result.used |= ids
    result.rows |= _rows(notation, ids, read)
    rows = {row.id for row in notation.gradients.values() if row.place in result.rows}
    result.notation, result.calls = notation, result.used | rows
    first = 1 if is_definition(read, notation, display) else 0
    _refuse_hollow(read, notation, first)
    branches = {*rows_and_arguments(read), *_meetings(read, notation)}
    reached: set[Branch] = set()
    wanted = DRAWS_OF_CASES if branches or has_conditions(read, notation) else DRAWS
    draw = partial(book.draw, notation, result.name, avoid=avoid, needed=ids)
    once = partial(compare_sides, read, first, reached)
    result.draws = _repeat(draw, wanted, once)
    if quickly:
        return
    words = [row.set.words for row in notation.rows.values() if row.id in ids]
    has_soft = any("one-hot" in one and "hard" not in one for one in words)
    _at_corners(result, draw, once, has_soft, branches, reached)
    brackets = (node for node in read.walk() if isinstance(node, Indicator))  # each must have been 0, and 1
    if missed := branches.union((node, held) for node in brackets for held in (0, 1)) - reached:
        raise MathError(_unreached(min(missed, key=lambda one: one[1]), result.draws))
    result.steps += len(read.sides) - 1 - first


def _at_corners(
    result: Result,
    draw: Callable[..., Environment],
    once: Callable[[Environment], None],
    has_soft: bool,
    branches: set[Branch],
    reached: set[Branch],
) -> None:
    """Check at ties, zeros and the like; count those that say something."""
    is_stable = result.name.endswith(STABLE)
    for corner in (*CORNERS, *(OF_BRANCHES + MORE if branches else ())):
        kind = corner.split()[0]
        if corner in MORE and branches <= reached:
            break
        if (kind == "soft" and not has_soft) or (kind == "large" and not is_stable):
            continue
        try:
            once(draw(0, corner=corner))
            result.draws += 1
        except Differ:
            raise
        except (MathError, Redraw) as error:  # what the code refuses there, and what is no number
            if kind == "large":
                said = f"{result.name} claims to be stable; of numbers like 1000: {error}"
                raise MathError(said) from None


def rows_and_arguments(read: Read) -> Iterator[Branch]:
    """The rows of cases and the arguments of maxima and minima: each must be seen."""
    for node in read.walk():
        if isinstance(node, Cases):
            yield from ((node, row) for row in range(len(node.values)))
        elif isinstance(node, Call) and node.name in ("max", "min"):
            yield from ((node, number) for number in range(len(node.arguments)))


def _meetings(read: Read, notation: Notation) -> Iterator[Branch]:
    """Where cases meet: this must be seen, too."""
    conditions = (one for node in read.walk() if isinstance(node, Cases) for one in node.conditions if one)
    for part in (part for condition in conditions for part in condition.walk()):
        if isinstance(part, Compare) and part.op != "≠" and _compares_values(part, notation):
            yield part, 0


def _unreached(branch: Branch, draws: int) -> str:
    node, number = branch
    if isinstance(node, Indicator):
        return f"{show(node)} was {number} in none of {draws} draws"
    if isinstance(node, Cases):
        return f"row {number + 1} of cases held in none of {draws} draws: {show(node.conditions[number])}"
    if isinstance(node, Call):
        which = "largest" if node.name == "max" else "smallest"
        return f"argument {number + 1} of {show(node)} was the {which} in none of {draws} draws"
    return f"the two sides of {show(node)} were equal in none of {draws} draws: is there a row for that?"


def has_conditions(read: Read, notation: Notation) -> bool:
    """Whether a single draw may see one branch only: of what is compared by values, not by indices."""
    calls = ("max", "min", "abs", "sign")
    tests = [n for n in read.walk() if isinstance(n, Compare) or (isinstance(n, Call) and n.name in calls)]
    return any(_compares_values(test, notation) for test in tests)


def _compares_values(test: Node, notation: Notation) -> bool:
    parts = list(test.walk())
    keys = [part.key for part in parts if isinstance(part, Symbol)]
    by_index = any(isinstance(part, Index) for part in parts)
    is_value = any(notation.rows[key].kind != "number" for key in keys)
    return is_value or not by_index or any(isinstance(part, Apply) for part in parts)


def _rows(notation: Notation, ids: frozenset[str], read: Read | None = None) -> frozenset[Place]:
    """Where the rows stand that ids rest on, and those of the gradients in an equation."""
    found = {notation.by_id[id_].place for id_ in ids if id_ in notation.by_id}
    pairs = read.pairs() & notation.gradients.keys() if read else ()
    return frozenset(found | {notation.gradients[pair].place for pair in pairs})


def is_definition(read: Read, notation: Notation, display: Display) -> bool:
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


def _repeat(draw: Callable[[int], Environment], wanted: int, once: Callable[[Environment], None]) -> int:
    """Check on several draws; one next to a kink is replaced by another."""
    good, reason = 0, ""
    for attempt in range(TRIES):
        try:
            once(draw(attempt))
            good += 1
        except Redraw as redraw:
            reason = str(redraw)
        if good == wanted:
            break
    if good < ENOUGH:
        raise MathError(f"only {good} of {TRIES} draws could be used: {reason}")
    return good


def compare_sides(read: Read, first: int, reached: set[Branch], env: Environment) -> None:
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
    rows = (row for row in notation.rows.values() if row.label and row.id in result.used)
    found = sorted(f"{row.row.symbol} ({row.label})" for row in rows if row.label != result.name)
    return f"\n   or the definition of {', '.join(found)} is wrong" if found else ""


# -- gradient rows -------------------------------------------------------------


def check_row(book: Book, notation: Notation, pair: tuple[str, str], definition: Definition) -> Result:
    """Hold the code of a gradient row against the derivative of the code's forward."""
    result = Result(f"row:{definition.place.line}:{definition.row.code}", definition.place)
    try:
        top = notation.rows.get(pair[0])
        result.used = notation.closure(definition.id) | (notation.closure(top.id) if top else frozenset())
        result.rows = _rows(notation, result.used)
        result.notation, result.calls = notation, result.used
        code, avoid = definition.row.code, notation.literals
        draw = partial(book.draw, notation, code, avoid=avoid, needed=result.used)
        result.draws = _repeat(draw, DRAWS, partial(_compare_row, pair, definition))
        result.steps = 1
    except RowError as error:
        result.finding = Finding(error.place, definition.row.symbol, str(error))
    except MathError as error:
        message = f"`{definition.row.code}` is not the derivative of the code: {error}"
        result.finding = Finding(definition.place, definition.row.symbol, message)
    return result


def _compare_row(pair: tuple[str, str], definition: Definition, env: Environment) -> None:
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
        notation = book.notation_of(chapter, table)
    except RowError as error:
        yield Result("notation", error.place, finding=Finding(error.place, "notation", str(error)))
        return
    for pair, definition in notation.gradients_at(row.place for row in table.rows):
        yield check_row(book, notation, pair, definition)
