"""Mistakes planted in right chapters are noticed: a sample. All of them: tests/proofs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from equations.book import Book
from equations.check import check_chapter, checked_displays
from equations.guards import guard_table
from equations.mutate import mutants
from equations.mutation_score import score
from literate.chapter import Chapter
from literate.reader import parse_chapter

Sample = Callable[..., tuple[Book, Chapter]]
EVERY = 9


@pytest.mark.parametrize("name", ["cross-entropy", "normalise"])
def test_most_mutants_of_a_right_chapter_die(sample: Sample, name: str) -> None:
    book, chapter = sample(name)
    results = list(check_chapter(book, chapter))
    assert [str(result.finding) for result in results if result.finding] == []
    assert [one for table in chapter.tables for one in guard_table(book, chapter, table, results)] == []
    scores = [score(book, chapter, display, results, EVERY) for display in checked_displays(chapter)]
    assert all(one.is_enough for one in scores)
    assert sum(one.total for one in scores) > 30


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["cross-entropy", "normalise"])
def test_no_seed_gives_a_false_alarm(sample: Sample, name: str, seed: int) -> None:
    book, chapter = sample(name, seed)
    assert [str(result.finding) for result in check_chapter(book, chapter) if result.finding] == []


def test_a_hollow_chapter_falls_below_the_floor(sample: Sample) -> None:
    """With targets equal to predictions a wrong sign is not seen."""
    book, chapter = sample("hollow")
    results = list(check_chapter(book, chapter))
    assert [str(result.finding) for result in results if result.finding] == []
    (display,) = checked_displays(chapter)
    found = score(book, chapter, display, results)
    assert not found.is_enough


def test_a_hidden_assumption_comes_out(sample: Sample) -> None:
    """One line of the derivation needs targets that sum to one."""
    book, chapter = sample("cross-entropy")
    text = chapter.text.replace(" one-hot |", " |", 1)
    loose = parse_chapter(text, chapter.path)
    found = [str(r.finding) for r in check_chapter(Book([loose], book.module), loose) if r.finding]
    assert [one.split(": ")[1] for one in found] == ["eq:ce-grad", r"\frac{\partial L}{\partial z}"]
    assert r"   =  \frac{1}{N}(p_{nk}-y_{nk})" in found[0]


MUTANTS = [
    (r"a=b+c", {"a=b-c", "a=-b+c", "a=b+b", "a=c+c", "b=b+c", "c=b+c", "a=a+c", "a=b+a"}),
    (r"a=b_{ij}", {"a=-b_{ij}", "a=b_{ii}", "a=b_{jj}", "a=b_{ji}", "a=a_{ij}", "b=b_{ij}"}),
    (r"a=X^\top Y", {"a=-X^\\topY", "a=XY", "a=X^\\topY^{\\top}", "a=YX^\\top"}),
    (r"a=\sum_i\sqrt{2}", {"a=\\prod_i\\sqrt{2}", "a=\\sqrt{2}", "a=\\sum_i{2}", "a=\\sum_i\\sqrt{{3}}"}),
    (r"a=\frac12", {"a=\\frac{2}{1}", "a=1", "a=\\frac{2}2", "a=\\frac1{3}", "a=-\\frac12"}),
    (r"a=\frac bc", {"a=\\frac{c}{b}", "a={(b)}"}),
    (r"a=\hat b'\odot f^2", {"a=b'\\odotf^2", "a=\\hatb\\odotf^2", "a=\\hatb'f^2", "a=\\hatb'\\odotf"}),
    (r"a=\exp b[c<b]", {"a=\\logb[c<b]", "a=\\expb[c>b]"}),
]


@pytest.mark.parametrize(("tex", "expected"), MUTANTS)
def test_the_mutants_of_a_formula(tex: str, expected: set[str]) -> None:
    assert expected <= {"".join(mutant.tex.split()) for mutant in mutants(tex)}
