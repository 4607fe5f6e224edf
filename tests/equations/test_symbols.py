"""What the symbols mean: the tables and book/symbols.toml agree, and no symbol gets a further sense."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from literate.chapter import BookError, Chapter
from literate.prove.symbols import Sense, said, senses, symbol_findings
from literate.reader import parse_chapter, read_book
from tests.books import saying

SEVERAL = 29  # symbols with more than one sense in the book; the number may only fall
# Letters that two fields have settled on, each for its own purpose: a reader who goes on to read papers
# will meet them like this. A letter that only ever counts has one sense: how many.
SETTLED = {
    r"\delta": "Kronecker's delta, and what arrives at a layer's sums, as wherever BPTT is derived",
    r"\mu": "momentum, as in PyTorch, and a mean",
    "v_t": "velocity of momentum, and Adam's average square, as its authors have it",
    "y": "the outputs of a function or layer, and the true ones",
    "i": "the imaginary unit, an LSTM's input gate, and numbers that pick a row",
}

MISTAKES = [  # what a table says, and something else
    ("| where its lowest point is |", "| where its highest point is |"),
    ("| the larger one |", "| the smaller one |"),
    ("| 1 where an entry is kept, otherwise 0 |", "| 1 where an entry is dropped, otherwise 0 |"),
    ("| curvature along each axis |", "| slope along each axis |"),
    ("| rectified linear unit |", "| exponential linear unit |"),
    ("| mean of each row |", "| mean of each column |"),
    ("| examples of the first worker |", "| examples of the second worker |"),
    ("| $q$ | height and width", "| $r$ | height and width"),
    # sets from which less is drawn, though nothing that is drawn lies outside
    ("$\\mathbb{R}^{N\\times H}$ | `Z` |", "$(-50,50)^{N\\times H}$ | `Z` |"),
    ("| learning rate | $(0,1)$", "| learning rate | $(0.2,0.4)$"),
    ("one example per row | $\\mathbb{R}^{N\\times D}$", "one example per row | $(0,1)^{N\\times D}$"),
    ("| predictions | $\\mathbb{R}^{n}$", "| predictions | $\\mathbb{R}_{>0}^{n}$"),
    ("| probability that an entry is dropped | $(0,1)$", "| probability that an entry is dropped | $[0,1)$"),
    ("\\mathbb{R}\\to\\mathbb{R}$ | `Tanh()`", "\\mathbb{R}\\to[-1,1]$ | `Tanh()`"),
    ("$\\{0,1\\}^{N\\times K}$ one-hot |", "$\\{0,1\\}^{N\\times K}$ one-hot, hard |"),
]


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return read_book()


def test_tables_and_list_agree(chapters: list[Chapter]) -> None:
    assert [str(one) for chapter in chapters for one in symbol_findings(chapter)] == []
    rows = [(c.number, row) for c in chapters for table in c.tables for row in table.rows]
    told = Counter((row.symbol, said(row), number) for number, row in rows)
    listed = [
        (symbol, wording, number)
        for symbol, found in senses().items()
        for sense in found
        for wording, numbers in sense.items()
        for number in numbers.elements()
    ]
    idle = Counter(listed) - told
    assert not idle, f"no table says this any more; take it out of book/symbols.toml: {idle}"
    new = told - Counter(listed)
    assert not new, f"add to book/symbols.toml: {new}"


def counts(found: list[Sense]) -> bool:
    """Whether a symbol is a size in each of its senses."""
    return all(wording.endswith(", in N") for sense in found for wording in sense)


def test_no_further_symbol_has_several_senses() -> None:
    several = {symbol for symbol, found in senses().items() if len(found) > 1 and not counts(found)}
    assert SETTLED.keys() <= several, "one sense only: take it off SETTLED"
    several -= SETTLED.keys()
    assert len(several) <= SEVERAL, "give the new thing a letter of its own"
    assert len(several) == SEVERAL, "fewer than before: lower SEVERAL"


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_another_meaning_is_found(chapters: list[Chapter], right: str, wrong: str) -> None:
    chapter = saying(right, chapters)
    found = list(symbol_findings(parse_chapter(chapter.text.replace(right, wrong, 1), chapter.path)))
    assert found and all("book/symbols.toml has" in str(one) for one in found)


def test_a_chapter_that_is_not_on_the_list_is_left_alone(chapters: list[Chapter]) -> None:
    text = saying("| curvature along each axis |", chapters).text
    text = text.replace("| curvature along each axis |", "| slope along each axis |")
    assert not list(symbol_findings(parse_chapter(text, chapters[0].path.with_stem("99-yours"))))


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert senses(tmp_path) == {}
    for text, complaint in [("'x' = [['input']]", "does not end with its chapters"), ("'x' = ", "not TOML")]:
        (tmp_path / "symbols.toml").write_text(text, encoding="utf-8")
        with pytest.raises(BookError, match=complaint):
            senses(tmp_path)
