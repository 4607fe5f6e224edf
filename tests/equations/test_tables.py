"""Mistakes in the tables of the book: Set, Meaning, and cells that work out what the module should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from equations.book import Book
from equations.check import Result, check_chapter
from equations.guards import guard_table
from literate.chapter import ROOT, Chapter
from literate.reader import parse_chapter, read_book
from literate.tangle.module import tangle

OUTSIDE = "lies outside its set"
SETS = [  # what stands in the book, the mistake, what is said
    (r"$\mathbb{R}^{N\times H}$ | `Z` |", r"$\mathbb{N}^{N\times H}$ | `Z` |", OUTSIDE),
    (
        r"$\mathbb{R}^{N\times K}$ | `p = S",
        r"$\mathbb{R}^{N\times K}$ one-hot | `p = S",
        "not one-hot",
    ),
    (
        r"$\mathbb{R}^{N\times K}$ | `S` |",
        r"$\mathbb{R}^{N\times K}$ rows sum to 1 | `S` |",
        "not sum to 1",
    ),
    (r"\mathbb{R}\to\mathbb{R}$ | `Tanh()`", r"\mathbb{R}\to(0,1)$ | `Tanh()`", OUTSIDE),
    (
        r"\mathbb{R}\to\mathbb{R}$ | `ReLU()`",
        r"\mathbb{R}\to\mathbb{R}_{>0}$ | `ReLU()`",
        "lies outside its set",
    ),
    (r"$\mathbb{R}^{D}$ | `eq:bn-mean`", r"$\mathbb{R}_{>0}^{D}$ | `eq:bn-mean`", OUTSIDE),
    (r"A = \tanh(Z)", r"A = \tanh(Z) \in (0,1)^{N\times H}", OUTSIDE),
]
MEANINGS = [
    ("probability that an entry is dropped", "probability that an entry is kept", "'kept'"),
    ("its variance", "its standard deviation", "grows 4 times"),
    ("mean of each column", "variance of each column", "grows 2 times"),
    ("what the column is multiplied by", "what the column is divided by", "multiply by it"),
    ("mean of each column", "sum of the squares of each column", "grows 2 times"),
    ("| input gate |", "| forget gate |", "takes block 1"),
    ("update gate |", "reset gate |", "takes block 2"),
    ("| features in |", "| features out |", "the code speaks of 'in'"),
    (
        "| weights, one neuron per column |",
        "| biases, one neuron per column |",
        "the code speaks of 'weight'",
    ),
    ("running mean after this batch", "running mean so far", "it is computed"),
    ("| mean absolute error |", "| mean squared error |", "grows 2 times"),
    ("after RMSprop's step", "after Adam's step", "names Adam"),
    ("| largest number of each window |", "| smallest number of each window |", "it is not that of"),
    ("Glorot's standard deviation", "Kaiming He's standard deviation", "'xavier'"),
    ("gradient of the queries", "gradient of the keys", "speaks of what the table calls"),
    ("| rows of the output |", "| columns of the output |", "counts the other axis"),
    (
        r"mean of each row | $\mathbb{R}^{N}$",
        r"mean of each column | $\mathbb{R}^{N}$",
        "counts the other axis",
    ),
    ("| one number for each column |", "| one number for each row |", "counts the other axis"),
    (r"| columns | $\mathbb{N}$ | `D`", r"| rows | $\mathbb{N}$ | `D`", "counts the other axis"),
    ("| $m$ | the larger one |", "| $m$ | the smaller one |", "not the smaller one"),
    ("the batch, one example per row", "the batch, one example per column", "along the other axis"),
    ("the batch, one example per row", "the batch, one feature per row", "along the other axis"),
    ("queries, one per row", "queries, one per column", "along the other axis"),
]
CELLS = [
    ("dW, db = layer.weight.grad, layer.bias.grad", "dW, db = X.T @ dY, layer.bias.grad"),
    ("dW, db = layer", "layer.weight.grad[...] = X.T @ dY\ndW, db = layer"),
    ("dX = layer.backward(dY)", "dX = layer.backward(dY) * 0 + dY @ W.T"),
    ("dW, db = layer.weight.grad,", "dW, db = np.einsum('ni,nj->ij', X, dY),"),
    ("dW, db = layer.weight", "np.matmul(X.T, dY, out=layer.weight.grad)\ndW, db = layer.weight"),
    ("dz = layer.backward(dp)", "layer.backward(dp)\ndz = p * (dp - np.sum(p * dp))"),
    ("dgamma, dbeta = ", "layer.bias.grad[...] = dy.sum(axis=0)\ndgamma, dbeta = "),
    (
        "dQ, dK, dV = _attend_backward(dY, Q, K, V, P)",
        "dQ, dK, _ = _attend_backward(dY, Q, K, V, P)\ndV = P.T @ dY",
    ),
]


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return read_book()


def changed_at(chapters: list[Chapter], right: str, wrong: str) -> tuple[Book, Chapter]:
    """The book with one change, in the first chapter in which this stands; and that chapter."""
    at = next(place for place, chapter in enumerate(chapters) if chapter.number and right in chapter.text)
    changed = parse_chapter(chapters[at].text.replace(right, wrong, 1), chapters[at].path)
    assert [cell.source for cell in changed.core] == [cell.source for cell in chapters[at].core]
    return Book([*chapters[:at], changed, *chapters[at + 1 :]], tangle(chapters).namespace()), changed


def of_equations(chapters: list[Chapter], right: str, wrong: str) -> Iterator[str]:
    """What the chapter's equations find."""
    return (str(result.finding) for result in check_chapter(*changed_at(chapters, right, wrong)))


def of_tables(chapters: list[Chapter], right: str, wrong: str) -> str:
    """What its tables are blamed for, were all of their rows used."""
    book, changed = changed_at(chapters, right, wrong)
    rows = frozenset(row.place for table in changed.tables for row in table.rows)
    used = [Result("every row", changed.tables[0].place, rows=rows)]
    return "\n".join(str(one) for table in changed.tables for one in guard_table(book, changed, table, used))


@pytest.mark.parametrize(("right", "wrong", "said"), SETS)
def test_a_wrong_set_is_found(chapters: list[Chapter], right: str, wrong: str, said: str) -> None:
    assert any(said in finding for finding in of_equations(chapters, right, wrong))


@pytest.mark.parametrize(("right", "wrong", "said"), MEANINGS)
def test_a_wrong_meaning_is_found(chapters: list[Chapter], right: str, wrong: str, said: str) -> None:
    found = of_tables(chapters, right, wrong)
    assert "its meaning" in found and said in found


RETYPED = [
    ("`numerical_gradient(any_function, x, h=h)`", "`(any_function(x + h) - any_function(x - h)) / (2 * h)`"),
    ("`CrossEntropyLoss()(np.eye(K), np.arange(K))`", "`np.log(np.e + K - 1) - 1`"),
    ("`y = any_function(x)`", "`y = np.sin(any_function(x))`"),
    ("Y2 = second.forward(first.forward(X))", "Y2 = second.forward(X @ W1 + b1)"),
    ("Y2 = second.forward(first.forward(X))", "Y2 = second.forward(np.dot(X, W1) + b1)"),
]


@pytest.mark.parametrize(("right", "wrong"), RETYPED)
def test_mathematics_that_a_row_does_itself_is_found(chapters: list[Chapter], right: str, wrong: str) -> None:
    found = of_tables(chapters, right, wrong)
    assert "retypes the mathematics" in found or "multiplies arrays of the table" in found


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, Any]:
    """What a process makes of the book in which no test has changed anything, and sets have other orders."""
    code = "import json, sys; from tests.equations import test_tables as t; json.dump(t.found(), sys.stdout)"
    path = os.pathsep.join((str(ROOT), str(ROOT / "scripts")))
    ours = os.environ.get("PYTHONHASHSEED")  # unset: a seed of its own for each process
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "2" if ours == "1" else "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def found() -> dict[str, Any]:
    """The module, and what is said of each of CELLS."""
    chapters = read_book()
    said = [of_tables(chapters, right, wrong) for right, wrong in CELLS]
    return {"module": tangle(chapters).text, "said": said}


@pytest.mark.parametrize("case", range(len(CELLS)), ids=[wrong for _, wrong in CELLS])
def test_a_cell_that_works_out_the_gradient_itself_is_found(elsewhere: dict[str, Any], case: int) -> None:
    assert "the cell computes it itself" in elsewhere["said"][case]


def test_the_module_is_the_same_in_every_process(elsewhere: dict[str, Any], chapters: list[Chapter]) -> None:
    assert elsewhere["module"] == tangle(chapters).text
