"""Mistakes that show only at corners: a kink, a tie, a single row, a soft target, a large number."""

from __future__ import annotations

from typing import Any

import pytest

from equations.book import Book
from equations.check import check_chapter, check_display
from equations.guards import guard_table
from literate.reader import parse_chapter, read_book
from literate.tangle.module import tangle

# label, what stands in the book, the mistake, and what is said about it
MISTAKES = [
    ("eq:relu-slope", r"x > 0 \\ 0 & x \le 0", r"x \ge 0 \\ 0 & x < 0", "at a corner: zero"),
    ("eq:leaky-relu-slope", r"x > 0 \\ \alpha & x \le 0", r"x \ge 0 \\ \alpha & x < 0", "at a corner"),
    ("eq:elu-slope", r"x > 0 \\ \alpha e^x & x \le 0", r"x \ge 0 \\ \alpha e^x & x < 0", "at a corner"),
    ("eq:relative-error", r"\tau", r"\tau^2", "differ"),
    ("eq:relative-error", r"\;\tau", r"\;\frac{\tau}{90}", "differ"),
    ("eq:softmax-safe", r"\max_k", r"\min_k", "claims to be stable"),
    ("eq:softmax-safe", r"-\max_k z_k", "", "claims to be stable"),
    ("eq:softmax-safe", r"\max_k z_k", "z_1", "claims to be stable"),
    (
        "eq:l1-grad",
        r"\operatorname{sign}(w_i)",
        r"\frac{w_i}{\lvert w_i\rvert}",
        "is not a number where the other is",
    ),
    (
        "eq:soft-threshold",
        r"\operatorname{sign}(a_i)",
        r"\frac{a_i}{\lvert a_i\rvert}",
        "is not a number where the other is",
    ),
    ("eq:gelu", r"x\,\Phi", r"\frac{x^2}{x}\Phi", "is not a number where the other is"),
    ("eq:bce", r"t_n\ln", r"t_n^2\ln", "differ"),
    ("eq:bce-logits", r"t_n s_n", r"t_n^2 s_n", "differ"),
    ("eq:sigmoid-safe", r"e^{-\lvert x\rvert}} & x \ge 0", r"e^{-x}} & x \ge 0", None),
    (
        "eq:sigmoid-safe",
        r"\frac{e^{-\lvert x\rvert}}{1+e^{-\lvert x\rvert}}",
        r"\frac{1}{1+e^{-x}}",
        "overflows",
    ),
    ("eq:gelu", r"x\,\Phi", r"\sqrt x\sqrt x\,\Phi", "is not a number where the other is"),
    ("eq:silu", r"x\,\sigma", r"\exp(\ln x)\,\sigma", "is not a number where the other is"),
    ("eq:ce", r"y_{nk}", r"y_{nk}^2", "at a corner: soft"),
    ("eq:ce", r"y_{nk}", r"\lvert y_{nk}\rvert^3", "at a corner: soft"),
    ("eq:ce-grad", r"y_{nk}", r"y_{nk}^2", "at a corner: soft"),
    ("eq:lstm-dwu", r"\sum_t h_{t-1,j}", r"\sum_{t=2}^T h_{t-1,j}", "differ"),
    ("eq:lstm-da", r"c_{t-1,k}\,f", r"c_{t-1,k}\,[t>1]\,f", "differ"),
    ("eq:mse", r"\frac1n", r"\frac{1}{\max(n,2)}", "at a corner: single"),
    ("eq:mse", r"\frac1n", r"\frac{1}{\min(n,500)}", "was the smallest in none of"),
    # brackets that no draw reaches
    ("eq:mse", r"\frac1n", r"\frac1n[n<500]", "was 0 in none of"),
    ("eq:adam-geometric", r"\beta_1^s", r"\beta_1^s\,[s<50]", "was 0 in none of"),
    ("eq:warmup-lr", r"\left(1,\frac", r"\left(1,[t\ge1]\frac", "was 0 in none of"),
    ("eq:gate-slopes", r"}{2}", r"+[u>90]}{2}", "was 1 in none of"),
    ("eq:conv-stride-dx", "[k=s(i", "[k=X(i", "is about an array and about entries"),
    # what is an element only where nothing meets
    ("eq:mse", r"y_i-y_i)^2", r"y_i-y_i)^2 \in \mathbb{R}_{>0}", "the value 0 lies outside"),
    ("eq:l1-loss", r"y_i\rvert", r"y_i\rvert \in \mathbb{R}_{>0}", "the value 0 lies outside"),
    ("eq:grad-norm", r"g_i^2}", r"g_i^2} \in \mathbb{R}_{>0}", "the value 0 lies outside"),
]


@pytest.fixture(scope="module")
def book() -> Book:
    chapters = read_book()
    return Book(chapters, tangle(chapters).namespace())


def finding(book: Book, label: str, tex: str) -> str:
    chapter, display = book.displays[label]
    return str(check_display(book.replacing(label, tex, fresh=False), chapter, display).finding or "")


@pytest.mark.parametrize(("label", "right", "wrong", "said"), MISTAKES)
def test_a_mistake_at_a_corner_is_found(
    book: Book, label: str, right: str, wrong: str, said: str | None
) -> None:
    tex: Any = book.displays[label][1].tex
    assert right in tex
    found = finding(book, label, tex.replace(right, wrong))
    assert (said in found) if said else not found, found


def test_a_start_of_zeros_is_found() -> None:
    """It would hide every term that begins with the start."""
    chapters = read_book()
    place = next(at for at, one in enumerate(chapters) if "$c$ | cell states, from" in one.text)
    text = chapters[place].text.replace(", np.concatenate([s, s / 2])[None])[0]", ")[0]")
    assert text != chapters[place].text
    chapters[place] = chapter = parse_chapter(text, chapters[place].path)
    book = Book(chapters, tangle(chapters).namespace())
    results = list(check_chapter(book, chapter))
    found = [one for table in chapter.tables for one in guard_table(book, chapter, table, results)]
    assert [one.what for one in found] == ["h", "c"]
    assert all("its first entry is 0 in every draw" in one.message for one in found)


def test_ties_that_the_text_leaves_out_are_found() -> None:
    """The gradient of a maximum goes to one of equal numbers; the equation gives it to all of them."""
    chapters = read_book()
    place = next(at for at, one in enumerate(chapters) if ", distinct | `X` |" in one.text)
    text = chapters[place].text.replace(", distinct | `X` |", " | `X` |")
    chapters[place] = parse_chapter(text, chapters[place].path)
    book = Book(chapters, tangle(chapters).namespace())
    found = check_display(book, *book.displays["eq:max-pool-dx"]).finding
    assert found and "at a corner: ties" in found.message
