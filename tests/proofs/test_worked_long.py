"""All equations as plain data, of which the tests take every eighth."""

from __future__ import annotations

import math

from equations.book import Book
from equations.check import checked_displays
from literate.chapter import ROOT, Chapter
from literate.prove.checks import check_all
from literate.tangle.reach import Source
from tests.equations import test_worked as some


def test_the_page_computes_what_the_checker_computes(book: Book) -> None:
    some.test_the_page_computes_what_the_checker_computes(book, step=1)


def test_every_checked_display_has_a_worked_example(book: Book, chapters: list[Chapter]) -> None:
    """As the site shows them: a build has worked them out."""
    checks = check_all(book, Source(chapters), ROOT / ".cache")
    found = {label: one["example"] for label, one in checks.items() if one}
    assert found.keys() == {one.label for chapter in chapters for one in checked_displays(chapter)}
    why = {label: one["why"] for label, one in found.items() if one["why"]}
    assert why == dict.fromkeys(some.COMPLEX, "its numbers are complex")
    equations = [(label, one) for label, example in found.items() for one in example["equations"]]
    assert {label for label, _ in equations} == found.keys() - some.COMPLEX
    for label, one in equations:
        assert all(math.isfinite(value) for side in one["values"] for value in side), label
        assert all(max(table["shape"], default=0) <= 12 for table in one["tables"]), label
