"""Equations as plain data: worked examples, and the same data in a browser's language.

Every eighth equation of the book; tests/proofs/test_worked_long.py takes all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from equations import worked as worked_out
from equations.book import Book, read_display
from equations.check import checked_displays
from equations.errors import MathError, Redraw
from equations.evaluate import Evaluator, ranges_of
from equations.lower import Lowering, Table, run
from equations.sets import parse_set
from equations.spell import number, stages
from equations.syntax import Symbol
from equations.text import Display, Text
from equations.worked import Readable, Unshown, Worked, lowered, work_out
from literate.chapter import BOOK, ROOT
from literate.reader import read_book
from literate.tangle.module import tangle
from literate.weave.katex import node

COMPLEX = {"eq:pair-sum", "eq:pair-product", "eq:pair-modulus"}
SCRIPT = ROOT / "book" / "assets" / "panel.js"
EVALUATE = """
require("vm").runInThisContext(require("fs").readFileSync(process.argv[1], "utf8"));
const all = JSON.parse(require("fs").readFileSync(0, "utf8"));
const plain = (value) => Number.isFinite(value) ? value : String(value);
const sides = (data) => data.s.map((side) => equation.sideValues(side, data).map(plain));
console.log(JSON.stringify(all.map(sides)));
"""


@pytest.fixture(scope="module")
def book() -> Book:
    chapters = read_book(BOOK)
    return Book(chapters, tangle(chapters).namespace())


def some(book: Book, step: int) -> list[tuple[Text, Display]]:
    """Every checked display, or one of ``step``."""
    return [(chapter, one) for chapter in book.chapters for one in checked_displays(chapter)][::step]


def drawn(book: Book, step: int) -> Iterator[tuple[str, Worked, list[np.ndarray]]]:
    """Equations on one of the checker's own draws: label, data, and what the evaluator says."""
    for chapter, display in some(book, step):
        notation = book.notation(chapter, display.place.line)
        for read in read_display(display.tex, notation):
            ids = frozenset(one for side in read.sides for one in notation.ids(side))
            for attempt in range(1, 9):
                env = book.draw(notation, str(display.label), attempt, notation.literals, ids)
                try:
                    ranges = ranges_of(read.sides, env)
                    values = [Evaluator(env, ranges)(side) for side in read.sides]
                    yield str(display.label), lowered(read, env), [v.data for v in values]
                except Redraw:
                    continue
                except MathError as error:
                    assert str(error) == "its numbers are complex"
                break


def in_node(every: list[dict[str, Any]]) -> list[list[list[float]]]:
    result = subprocess.run(
        [node(), "-e", EVALUATE, str(SCRIPT)],
        input=json.dumps(every),
        capture_output=True,
        text=True,
        check=True,
    )
    return [[[float(value) for value in side] for side in sides] for sides in json.loads(result.stdout)]


def as_json(worked: Worked) -> dict[str, Any]:
    tables = [
        [list(t.first), list(t.data.shape), t.data.reshape(-1).astype(float).tolist(), int(t.zero_outside)]
        for t in worked.tables
    ]
    return {"t": tables, "s": worked.sides, "a": [[axis.name, axis.low, axis.high] for axis in worked.axes]}


def test_the_page_computes_what_the_checker_computes(book: Book, step: int = 8) -> None:
    """Both sides of equations, on a random draw, in Node and in Python."""
    every = list(drawn(book, step))
    assert len({label for label, _, _ in every}) > 200 / step
    answers = in_node([as_json(worked) for _, worked, _ in every])
    for (label, worked, values), sides in zip(every, answers, strict=True):
        for position, (value, side) in enumerate(zip(values, sides, strict=True)):
            entries = worked.values[position].reshape(-1)
            np.testing.assert_allclose(side, entries, rtol=1e-9, atol=1e-9, err_msg=label)
            expected = np.sort(np.unique(np.round(value, 7)))
            np.testing.assert_allclose(np.unique(np.round(side, 7)), expected, atol=2e-7, err_msg=label)


def test_a_checked_display_has_a_worked_example(book: Book, step: int = 8) -> None:
    """On small numbers, with all entries finite."""
    for chapter, display in some(book, step):
        if display.label in COMPLEX:
            with pytest.raises(Unshown, match="its numbers are complex"):
                work_out(book, chapter, display)
            continue
        for worked in work_out(book, chapter, display):
            assert all(np.all(np.isfinite(side)) for side in worked.values)
            assert all(max(table.data.shape, default=0) <= 12 for table in worked.tables), display.label


def test_data_that_differs_from_the_evaluator_is_refused(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lowering, "_transpose", lambda self, node, at: self(node.value, at))
    chapter, display = book.displays["eq:linear-dw"]
    with pytest.raises((AssertionError, IndexError)):
        work_out(book, chapter, display)


def test_what_cannot_be_worked_out_says_why(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise Redraw("its numbers are too large")

    monkeypatch.setattr(worked_out.check, "compare_sides", never)
    with pytest.raises(Unshown, match="its numbers are too large"):
        work_out(book, *book.displays["eq:linear"])


X = Table("X", Symbol("X"), np.array([[1.0, 2.0], [-3.0, 0.5]]), (1, 1))
B = Table("b", Symbol("b"), np.array([4.0, 5.0]), (0,), zero_outside=True)
SUM = ["sum", "k", 1, 2, None, ["*", ["x", 0, "i", "k"], ["x", 0, "k", "i"]]]


def test_a_sum_is_spelled_term_by_term() -> None:
    assert stages(SUM, [X], {"i": 1}) == ["1 · 1 + 2 · (−3)", "1 + (−6)", "−5"]
    assert stages(["/", SUM, 2], [X], {"i": 2}) == ["((−3) · 2 + 0.5 · 0.5) / 2", "−2.875"]


def test_entries_outside_are_zero_where_the_table_says_so() -> None:
    assert run(["x", 1, -1], [X, B], {}) == 0
    assert run(["x", 1, 0], [X, B], {}) == 4
    assert np.isnan(run(["x", 0, 0, 1], [X, B], {}))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-3.0, "−3"),
        (0.123456, "0.1235"),
        (-1.25e-7, "−1.25 · 10⁻⁷"),
        (1e-13, "0"),
        (2.5e8, "2.5 · 10⁸"),
    ],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_readable_numbers_are_readable(book: Book) -> None:
    """Whole, or with one decimal; none is zero."""
    rng = np.random.default_rng(0)

    for tex in (r"$\mathbb{R}^{2\times3}$", r"$(0,1)^{K}$", r"$(0.5,2)$", r"$\mathbb{R}_{>0}^{K}$"):
        for attempt in (0, 20):
            drawn = Readable(attempt).draw(parse_set(tex), (2, 3), rng, float)
            np.testing.assert_allclose(drawn * 10, np.round(drawn * 10), atol=1e-9)
            assert np.all(drawn != 0)
    rows = Readable(0).draw(parse_set(r"$(0,1)^{N\times K}$ rows sum to 1"), (2, 3), rng, float)
    np.testing.assert_allclose(rows.sum(axis=1), 1)


def test_sizes_are_not_given(book: Book) -> None:
    """A reader who could change them would change the shapes of the tables."""
    (worked,) = work_out(book, *book.displays["eq:mse"])
    assert {t.name: kind for t, kind in zip(worked.tables, worked.given, strict=True)}["n"] == "size"


def test_the_page_knows_which_tables_a_side_reads() -> None:
    call = ["call", "f", 1, [["x", 2], "n"], ["x", 3, "n"]]
    side = json.dumps(["+", ["x", 0], call])
    code = f"{EVALUATE.splitlines()[1]}console.log([...equation.reads({side})].join())"
    told = subprocess.run([node(), "-e", code, str(SCRIPT)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "0,1,2,3"


def test_the_script_is_small() -> None:
    assert SCRIPT.stat().st_size <= 10_000
    assert "http" not in SCRIPT.read_text(encoding="utf-8")
