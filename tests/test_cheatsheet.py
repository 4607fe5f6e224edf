"""The cheat sheet has every layer, loss and optimizer, with the equations that its docstring names."""

from __future__ import annotations

import ast
import functools
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


@functools.cache
def labels_of_code() -> dict[str, tuple[set[str], set[str]]]:
    """Name -> the labels that its code names, and the names of what it derives from or calls."""
    source = inspect.getsource(backprop_core)
    pieces = {
        node.name: "\n".join(source.split("\n")[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    apart = {"Layer", "Activation", "Loss", "Optimizer"}
    return {
        name: (set(re.findall(LABEL, text)), set(re.findall(r"\w+", text)) & set(pieces) - apart)
        for name, text in pieces.items()
    }


def families(name: str) -> set[str]:
    """The first words of the labels that a class, and what it derives from or calls, names: conv, bn, ln."""
    own, others = labels_of_code()[name]
    found = own.union(*(labels_of_code()[other][0] for other in others))
    return {label.removeprefix("eq:").split("-")[0] for label in found}


def strangers(name: str, labels: list[str]) -> list[str]:
    return [label for label in labels if label.removeprefix("eq:").split("-")[0] not in families(name)]


def test_an_equation_stands_with_the_class_that_names_it(book: Book) -> None:
    for entries in listed(book).values():
        for name, labels in entries.items():
            assert strangers(name, labels) == [], name


@pytest.mark.parametrize(
    ("name", "label"),
    [("LSTM", "eq:gru-n"), ("Tanh", "eq:sigmoid-tanh"), ("Linear", "eq:conv-dw"), ("Adam", "eq:adamw")],
)
def test_an_equation_of_another_class_is_found(name: str, label: str) -> None:
    assert strangers(name, [label])


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
