"""The eighth digit of a constant in displays that exact arithmetic cannot reach."""

from __future__ import annotations

import pytest

from equations.book import Book
from equations.check import check_display
from literate.chapter import Chapter
from literate.reader import parse_chapter, read_book
from literate.tangle.module import tangle

DIGITS = [
    (
        "complex-step",
        r"\frac{\operatorname{Im} f(x+ih)}{h}",
        r"1.00000001\frac{\operatorname{Im} f(x+ih)}{h}",
    ),
    ("likelihood-mse", r"\frac n2\,E_2", r"0.50000001\,n\,E_2"),
    ("likelihood-l1", r"\frac12\,e^{", r"0.50000001\,e^{"),
    ("pair-sum", r"1+\mu-\eta a", r"1.00000001+\mu-\eta a"),
    ("pair-product", r"= \mu", r"= 1.00000001\mu"),
    ("two-softmax", r"K-1)-1", r"K-1)-1.00000001"),
    ("block", "x + a + m", "x + a + 1.00000001m"),
    ("jvp", r"\sum_i \frac", r"1.00000001\sum_i \frac"),
    ("duality", r"\sum_i p_i", r"1.00000001\sum_i p_i"),
    ("hvp", r"\sum_j \frac", r"1.00000001\sum_j \frac"),
]


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return read_book()


@pytest.mark.parametrize(("label", "right", "wrong"), DIGITS)
def test_an_eighth_digit_is_noticed(chapters: list[Chapter], label: str, right: str, wrong: str) -> None:
    at = next(i for i, one in enumerate(chapters) if f"{{#eq:{label}}}" in one.text)
    before, tag, after = chapters[at].text.partition(f"{{#eq:{label}}}")
    start = before.rindex(right)
    changed = parse_chapter(
        f"{before[:start]}{wrong}{before[start + len(right) :]}{tag}{after}", chapters[at].path
    )
    book = Book([*chapters[:at], changed, *chapters[at + 1 :]], tangle(chapters).namespace())
    display = next(one for one in changed.displays if one.label == f"eq:{label}")
    found = check_display(book, changed, display).finding
    assert found and "the two sides differ" in found.message
