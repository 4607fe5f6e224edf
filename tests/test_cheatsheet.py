"""The cheat sheet has every layer, loss and optimizer, with the equations that its docstring names."""

from __future__ import annotations

import inspect
import re

import pytest

import backprop_core
from literate.chapter import BOOK, LABEL
from literate.reader import read_book
from literate.tangle.module import tangle
from literate.weave.cheatsheet import cheatsheet, ends, listed
from literate.weave.pages import Book

KINDS = (backprop_core.Layer, backprop_core.Loss, backprop_core.Optimizer)
ELSEWHERE = {"Layer", "Network", "Optimizer"}  # what the others have in common


@pytest.fixture(scope="module")
def book() -> Book:
    chapters = read_book(BOOK)
    return Book(chapters, tangle(chapters))


def test_whatever_implements_an_equation_is_on_it(book: Book) -> None:
    sheet = {name: labels for entries in listed(book).values() for name, labels in entries.items()}
    for name, thing in vars(backprop_core).items():
        if inspect.isclass(thing) and issubclass(thing, KINDS) and name not in ELSEWHERE:
            named = re.findall(LABEL, thing.__doc__ or "") if name[0] != "_" else []
            assert not named or name in sheet, name


def test_a_gradient_stands_beside_each_layer_and_loss(book: Book) -> None:
    for group in ("Layers", "Losses", "Normalisation"):
        for name, labels in listed(book)[group].items():
            derivatives = [label for label in labels if r"\partial" in book.equations[label].display.tex]
            assert derivatives or name == "ConvTranspose2d", name


def test_the_formulas_are_those_of_the_chapters(book: Book) -> None:
    page = cheatsheet(book)
    assert book.equations["eq:linear-dw"].display.tex.replace("&", "&amp;") in page
    shown = [label for entries in listed(book).values() for labels in entries.values() for label in labels]
    assert page.count('class="eq"') == len(shown) == len(set(shown))


def test_of_a_chain_the_ends_are_shown() -> None:
    chain = "\\begin{aligned}\na &= b \\\\\n  &= c \\\\\n  &= d\n\\end{aligned}"
    assert ends(chain) == "a = d"
    for other in ("a = b = c", chain.replace("  &= c", "e &= c"), r"\begin{aligned} a &= b \end{aligned}"):
        assert ends(other) == other
