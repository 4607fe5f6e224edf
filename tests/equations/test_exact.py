"""Proofs: right equations hold on elements of the field, and the smallest mistake does not."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equations import field
from equations.book import Book
from equations.check import check_display
from equations.exact import exact_book, prove
from equations.field import Element, P, element
from literate.reader import read_book
from literate.tangle.module import tangle
from tests.equations.gradient_rows import gradient_rows, prove_row

# Mistakes that a limit on digits, distinct sizes or random draws do not show, and bigger ones.
MISTAKES = {
    "a last digit": ("eq:gelu-inner", "0.044715", "0.0447149999999", "eq:gelu-tanh"),
    "a constant": ("eq:mse-grad", r"\frac2n", r"\frac{2.0000001}{n}", "eq:mse-grad"),
    "a sign": ("eq:tanh-slope", "1-", "1+", "eq:tanh-slope"),
    "an index": ("eq:linear-dw-index", "X_{ni}", "X_{in}", "eq:linear-dw-index"),
    "an argument of a minimum": ("eq:clip", r"\frac{c}{r}", r"\frac{c}{r+10^{-9}}", "eq:clip"),
    "its other argument": ("eq:clip", "1,", "1.0000000001,", "eq:clip"),
    "an argument of a maximum": ("eq:relative-error", r"\tau", r"1.0000000001\tau", "eq:relative-error"),
    "one example less": ("eq:bn-variance", r"\frac1N", r"\frac1{N-1}", "eq:bn"),
}


@pytest.fixture(scope="module")
def book() -> Book:
    chapters = read_book()
    return exact_book(chapters, tangle(chapters).text)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_not_proved(book: Book, name: str) -> None:
    """In the equation itself, or in those that use what it defines."""
    label, right, wrong, user = MISTAKES[name]
    assert right in book.displays[label][1].tex
    assert not prove(book, *book.displays[user])
    assert prove(mistaken(book, label, right, wrong), *book.displays[user])


def mistaken(book: Book, label: str, right: str, wrong: str) -> Book:
    return book.replacing(label, book.displays[label][1].tex.replace(right, wrong), fresh=True)


def test_sampling_alone_would_let_the_last_digit_pass(book: Book) -> None:
    """Why proofs are worth having."""
    label, right, wrong, user = MISTAKES["a last digit"]
    sampled = mistaken(Book(book.chapters, tangle(read_book()).namespace()), label, right, wrong)
    assert check_display(sampled, *sampled.displays[user]).finding is None


# The same of the module's backwards, found in the gradient rows.
BACKWARDS = [
    ("dx = grad.dot(self.weight.data.T)", "dx = 1.0000001 * grad.dot(self.weight.data.T)", "dX"),
    ("return p * (grad - average)", "return p * (grad - 1.0000001 * average)", "dz"),
    ("_sum(g.reshape(len(g), -1))", "_sum(g[..., 1:].reshape(len(g), -1))", "db"),
]


@pytest.mark.parametrize(("right", "wrong", "name"), BACKWARDS)
def test_a_wrong_backward_is_not_proved(right: str, wrong: str, name: str) -> None:
    chapters = read_book()
    source = tangle(chapters).text
    assert source.count(right) == 1
    good, bad = exact_book(chapters, source), exact_book(chapters, source.replace(right, wrong))
    rows = [at for at, (_, _, row) in enumerate(gradient_rows(good)) if row.name == name]
    first, second = list(gradient_rows(good)), list(gradient_rows(bad))
    found = [at for at in rows if prove_row(bad, *second[at]) and not prove_row(good, *first[at])]
    assert found


fractions = st.fractions(max_denominator=50).filter(lambda x: x.numerator % P)


@given(fractions, fractions)
def test_the_field_computes_as_fractions_do(a: Fraction, b: Fraction) -> None:
    x, y = (Element(one.numerator * pow(one.denominator, -1, P) % P) for one in (a, b))
    for exact, found in ((a + b, x + y), (a - b, x - y), (a * b, x * y), (a / b, x / y), (a**-3, x**-3)):
        assert exact.numerator % P == found.v * exact.denominator % P


@given(st.integers(1, 2**59), st.integers(1, 2**59))  # their sum is no multiple of P
def test_derivatives_follow_their_rules(a: int, b: int) -> None:
    field.begin(a)
    x, y = Element(a, 1), Element(b)
    assert (x * y).d == b and (x / y).d == pow(b, -1, P) and (-x).d == P - 1
    assert (y / x).d == -b * pow(a, -2, P) % P
    assert (x**3).d == 3 * a * a % P
    assert x.exp().d == x.exp().v and x.log().d == pow(a, -1, P)
    assert x.tanh().d == (1 - x.tanh() ** 2).v
    assert x.exp().log().v == a and (x.exp() * y).log().v == (x + y.log()).v


@given(st.integers(0, 2**32))
def test_the_exponential_of_a_sum_is_a_product(seed: int) -> None:
    """Of drawn numbers: others may be fractions of one another, for which an exponential is unknown."""
    world = field.begin(seed)
    x, y = world.draw(), world.draw()
    assert (x + y).exp().v == (x.exp() * y.exp()).v
    assert (x - y / 2).exp().v * (y / 2).exp().v % P == x.exp().v


@pytest.mark.parametrize(
    ("number", "meant"), [(1 / 3, Fraction(1, 3)), (0.1, Fraction(1, 10)), (0.044715, Fraction("0.044715"))]
)
def test_a_float_is_what_it_was_meant_to_be(number: float, meant: Fraction) -> None:
    assert (element(number) * meant.denominator).v == meant.numerator


def test_roots_and_pi_are_recognised() -> None:
    assert (element(math.sqrt(2)) ** 2).v == 2
    assert (element(math.sqrt(2 / math.pi)) ** 2 * field.PI).v == 2
    assert element(math.pi).v == field.PI.v


def test_the_order_is_by_lot_but_has_two_directions() -> None:
    for value in (3, 5, 2**40, 12345678901):
        x = Element(value)
        assert (x > 0) != (-x > 0) and (x > 1) != (x < 1) and x >= x and not x > x
    assert np.max(np.array([Element(1), Element(3)], object)).v == 3
