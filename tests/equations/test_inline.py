"""Formulas in the running text: what they state holds, or is listed with its reason."""

from __future__ import annotations

import pytest

from equations.book import Book
from equations.inline import formulas
from literate.chapter import BookError, Chapter
from literate.exercises.sheets import parse_sheet, read_sheets
from literate.prove.claims import inline_findings, task_findings
from literate.prove.numbers import check_typed, compared, prose
from literate.prove.unbound import listed
from literate.reader import parse_chapter, read_book
from literate.tangle.module import tangle

MISTAKES = [  # what stands in the book, the mistake
    (r"$\tanh x=2\sigma(2x)-1$", r"$\tanh x=2\sigma(x)-1$"),
    (r"$\ln\sigma(s)=s-\ln(1+e^s)$", r"$\ln\sigma(s)=s-\ln(1-e^s)$"),
    (r"$\beta_2=0.999$", r"$\beta_2=0.99$"),
    (r"$\mu=0.9$", r"$\mu=0.95$"),
    (r"$0<\eta<\frac{2}{a}$", r"$0<\eta<\frac{1}{9a}$"),
    (r"$0<\eta<\frac{2}{a}$", r"$0<\eta<\frac{5}{a}$"),  # so it is where numbers near 1 are drawn
    (r"$\nu=0.1$", r"$\nu=0.15$"),
    (r"$(1-\rho)\cdot\frac{x}{1-\rho}+\rho\cdot0=x$", r"$(1-\rho)\cdot\frac{x}{1+\rho}+\rho\cdot0=x$"),
    (r"$x=2$", r"$x=3$"),  # another number of the section, which has another name there
    (r"$b=5$", r"$b=6$"),
    (r"$w=-1$", r"$w=1$"),
    (r"and $b=-3$", r"and $b=3$"),
    (r"$\beta_2=0.999$", r"$\beta_2=0.9$"),
    (r"$h=10^{-5}$", r"$h=10^{-6}$"),
    (r"$u=k-i+1$", r"$u=k+i-1$"),  # listed; its change is not
    (r"at $x=0$. Far out", r"at $x=1$. Far out"),  # listed for another chapter
    (r"$h=10^{-14}$", r"$h=10^{-13}$"),
    (r"at $x=1.5$?", r"at $x=1$?"),
    ("\n## One product\n", "\n## One product\n\nAnd so $Y = XW - b$.\n"),
]


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return read_book()


def where(chapters: list[Chapter], text: str) -> int:
    """The first chapter in which this stands."""
    return next(place for place, chapter in enumerate(chapters) if chapter.number and text in chapter.text)


def findings(chapters: list[Chapter], right: str, wrong: str) -> list[str]:
    at = where(chapters, right)
    changed = parse_chapter(chapters[at].text.replace(right, wrong, 1), chapters[at].path)
    book = Book([*chapters[:at], changed, *chapters[at + 1 :]], tangle(chapters).namespace())
    return [str(one) for one in inline_findings(book, changed)]


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_a_wrong_formula_in_the_text(chapters: list[Chapter], right: str, wrong: str) -> None:
    (found,) = findings(chapters, right, wrong)
    assert "Make it a display" in found and "book/unbound.toml" in found


SPELLINGS = [  # of what is listed
    (r"$0<\eta<\frac{2}{a}$", r"$0 < \eta < 2/a$"),
    (r"$\frac12(w-a)^2$", r"$\frac{1}{2}(w-a)^2$"),
    (r"$h=\varepsilon^{1/3}$", r"$h = \varepsilon^{1/3}$"),
    (r"$\frac{\eta}{\sqrt{1-\alpha}}$", r"$\eta/\sqrt{1-\alpha}$"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_another_spelling_is_the_same(chapters: list[Chapter], one: str, other: str) -> None:
    assert findings(chapters, one, other) == []


TASKS = [  # of exercises, whose tables stand below them
    (r"$Y=(XW)W^\top$", r"$Y=(XW)W$"),
    (r"$L=\frac12(p-t)^2$", r"$L=(p-t)^2$"),
    (r"$y_j=g_jx_j+(1-g_j)f_j$", r"$y_j=(1-g_j)x_j+g_jf_j$"),
    (r"$s_{nj}=x_{nj}c_n$", r"$s_{nj}=x_{nj}c_j$"),
    (r"$Y_t=\frac1T\sum_s V_s$", r"$Y_t=\sum_s V_s$"),
]


@pytest.mark.parametrize(("right", "wrong"), TASKS)
def test_a_wrong_formula_in_a_task(chapters: list[Chapter], right: str, wrong: str) -> None:
    sheet = next(one.text for one in read_sheets(chapters) if right in one.text.text)
    texts = [parse_sheet(sheet.text.replace(right, one, 1), sheet.path, 0) for one in (right, wrong)]
    found = [task_findings(Book([*chapters, text], tangle(chapters).namespace()), text) for text in texts]
    assert not found[0] and ["does not hold" in str(one) for one in found[1]] == [True]


TERMS = [  # formulas that state nothing by themselves
    (r"the same factor, $1-\eta a$", r"the same factor, $1+\eta a$"),
    (r"is $a$ everywhere", r"is $2a$ everywhere"),
    (r"$\frac{\eta}{\sqrt{1-\alpha}}$", r"$\frac{\eta}{1-\alpha}$"),
    (r"The slope of tanh is $1-e^2$", r"The slope of tanh is $1-e$"),
    (r"$\lfloor(H+2p-q)/s\rfloor+1$", r"$\lfloor(H+2p-q)/s\rfloor-1$"),
    (r"$N\cdot D\cdot M$", r"$N\cdot D\cdot D$"),
]


@pytest.mark.parametrize(("right", "wrong"), TERMS)
def test_a_wrong_term_in_the_text(chapters: list[Chapter], right: str, wrong: str) -> None:
    (found,) = findings(chapters, right, wrong)
    assert "is no part of any display" in found and "book/unbound.toml" in found


def test_the_list_has_nothing_that_its_chapter_has_not(chapters: list[Chapter]) -> None:
    numbers = " in a figure", " in an exercise", " in a sentence"
    others = {one for one in listed() if not one.endswith(numbers)}
    lines = {chapter: prose(chapter, tables=True) for chapter in chapters}
    stated = {
        f"{chapter.number}: {one.shown}"
        for chapter in chapters
        for one in formulas(chapter, lines[chapter])
        if one.has_relation or one.is_term
    }
    said = {
        f"{chapter.number}: {phrase}"
        for chapter in chapters
        for line in lines[chapter]
        for phrase in compared(line)
    }
    assert others - stated - said == set()


def test_a_wrong_membership(chapters: list[Chapter]) -> None:
    chapter = chapters[where(chapters, "$A$ | what they pass on")]
    last = chapter.text.rstrip().split("\n")[-1]
    right = findings(chapters, last, f"{last}\n\nHere $A \\in (-1,1)^{{N\\times H}}$.")
    (wrong,) = findings(chapters, last, f"{last}\n\nHere $A \\in (0,1)^{{N\\times H}}$.")
    assert right == [] and "lies outside its set" in wrong


def test_what_is_listed_has_a_reason() -> None:
    assert all(len(reason) > 10 for reason in listed().values())


HIDDEN = [
    r"so \(a = b\) holds",
    r"\[ a = b \]",
    r"so \begin{align} a &= b \end{align}",
    "    $$\n    a\n    $$",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_mathematics_that_is_not_read_is_refused(chapters: list[Chapter], text: str) -> None:
    with pytest.raises(BookError, match="shown and never checked"):
        parse_chapter(f"{chapters[1].text}\n{text}\n", chapters[1].path)


SENTENCES = [  # what the book says, and with another number
    ("out of the box, with $\\lambda=0.01$", "by default, with `alpha=0.02`"),
    ("0.1 by default", "0.01 by default"),
    (r"the default $\alpha=0.99$", r"the default $\alpha=0.999$"),
]


@pytest.mark.parametrize(("right", "wrong"), SENTENCES)
def test_a_wrong_default_in_a_sentence(chapters: list[Chapter], right: str, wrong: str) -> None:
    assert any("but the signatures have" in one for one in findings(chapters, right, wrong))


WORDS = [
    ("then moves ten times as fast as @eq:sgd", "then moves twenty times as fast as @eq:sgd"),
    ("about two forward passes", "about four forward passes"),
    ("The price is one more forward pass", "The price is a third of the time"),
    ("off by a third", "off by a quarter"),
    ("four times the sigmoid's", "twice the sigmoid's"),
    ("takes four times the memory", "takes eight times the memory"),
    ("half its second derivative", "twice its second derivative"),
    ("cuts off one half of its input", "cuts off one quarter of its input"),
    ("passes on a tenth of the usual", "passes on a fifth of the usual"),  # in tables
    ("each half of the kernels sees", "one quarter of the kernels sees"),
    ("must be twice what was kept", "must be half what was kept"),
]


@pytest.mark.parametrize(("right", "wrong"), WORDS)
def test_a_comparison_in_words_is_found(chapters: list[Chapter], right: str, wrong: str) -> None:
    chapter = chapters[where(chapters, right)]
    check_typed(chapter)
    with pytest.raises(BookError, match="compares, and nothing computes it"):
        check_typed(parse_chapter(chapter.text.replace(right, wrong, 1), chapter.path))


def test_a_comparison_is_listed_for_its_chapter_alone(chapters: list[Chapter]) -> None:
    def half_of_its_input(number: int) -> None:
        (chapter,) = [one for one in chapters if one.number == number]
        check_typed(parse_chapter(f"{chapter.text}\nIt takes half of its input.\n", chapter.path))

    half_of_its_input(19)
    with pytest.raises(BookError, match="is listed, as '18: half of its input', in"):
        half_of_its_input(18)


def test_a_comparison_that_is_computed_passes(chapters: list[Chapter]) -> None:
    chapter = chapters[1]
    word = 'It takes half<!-- = "half" if 0.4 < h < 0.6 else h --> the time.'
    check_typed(parse_chapter(f"{chapter.text}\n{word}\n", chapter.path))
    with pytest.raises(BookError, match="'half the time' compares"):
        check_typed(parse_chapter(f"{chapter.text}\nIt takes half the time.\n", chapter.path))
