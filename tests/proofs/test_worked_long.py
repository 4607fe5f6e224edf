"""All equations as plain data, of which the tests take every eighth."""

from __future__ import annotations

from equations.book import Book
from tests.equations import test_worked as some


def test_the_page_computes_what_the_checker_computes(book: Book) -> None:
    some.test_the_page_computes_what_the_checker_computes(book, step=1)


def test_every_checked_display_has_a_worked_example(book: Book) -> None:
    some.test_a_checked_display_has_a_worked_example(book, step=1)
