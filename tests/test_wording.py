"""Words that turn a sentence around: each page and book/wording.toml agree; another word is found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest

from equations.errors import Finding
from literate.chapter import BOOK, BookError, Chapter
from literate.exercises.sheets import FOLDER, parse_sheet
from literate.prove.wording import WORDING, changes, key, listed_wording, pages, wording, written
from literate.reader import parse_chapter
from tests.books import chapter_text

LISTED = listed_wording()
MISTAKES = [  # what the book says, and what turns it around
    ("the ground rises to the right, so we go left", "the ground rises to the right, so we go right"),
    ("their product is largest where", "their product is smallest where"),
    ("never half of one", "or half of one"),
    ("A wrong derivative rarely crashes", "A wrong derivative typically crashes"),
    ("Adam spares the one and", "Adagrad spares the one and"),
    ("would underflow to zero", "would overflow to zero"),
    ("plus half its second derivative", "plus twice its second derivative"),
    ("found twice counts once", "found once counts twice"),
    ("The error of a mean falls with", "The error of a mean rises with"),
    ("so the larger one decides", "so the smaller one decides"),
    ("so in *all* layers", "so in *no* layers"),
    ("of chapter 7 tries it out", "of chapter 8 tries it out"),
    ("Chapter 21 normalises", "Chapter 20 normalises"),
    ("chapter 1's walk", "chapter 3's walk"),
    ("With `restore_best=True`", "With `restore_best=False`"),
    ("`_correlate` is the product forwards", "`_spread` is the product forwards"),
    ("**AdamW** multiplies, as plain", "**RMSprop** multiplies, as plain"),
    ("and by $U$, the same $U$", "and by $W$, the same $U$"),
    (
        r"gives $a-\lambda$; for a negative one we get $a+\lambda$",
        "gives $a+\\lambda$; for a negative one we get $a-\\lambda$",
    ),
    ("use unequal sizes when you debug", "use equal sizes when you debug"),
    ("Multiply along each, add over all", "Add along each, multiply over all"),
    ("gives zeros for an unused input", "gives ones for an unused input"),
    (r"$\ln p$", r"$\frac1p$"),
    (r"$\pm\frac{1}{\sqrt D}$", r"$\beta/\sqrt3$"),
    # what a docstring or an error of the module says
    ("must be a whole number of at least", "must be a whole number of at most"),
    ("targets between 0 and 1", "targets between 0 and 2"),
    ("Expect below 1e-7, or 1e-12 with", "Expect below 1e-7, or 1e-9 with"),
    ("off by up to 5e-4", "off by up to 5e-5"),
    ("4 * embed_dim unless given", "2 * embed_dim unless given"),
    ("in the order i, f, g, o", "in the order i, f, o, g"),
    ("(divided by N-1)", "(divided by N)"),
    ("Source: Ba, Kiros and Hinton, 2016", "Source: Ba, Kiros and Bengio, 2016"),
    ("(chapter 12, eq:label-smoothing)", "(chapter 13, eq:label-smoothing)"),
    ("expected float32 or float64, got", "expected float16 or float32, got"),
    # a word of the field that has a sibling
    ("Cure: shuffle.", "Cure: sort."),
    ("of the cell state is kept |", "of the cell state is forgotten |"),
    ("is summed on the way back", "is averaged on the way back"),
    ("`True` hides, here and in", "`True` shows, here and in"),
    ("draws the first query to", "draws the first key to"),
    ("subtract the mean of the training targets", "subtract the median of the training targets"),
    ("their product is the determinant", "their product is the trace"),
    ("the walk creeps, on the long flat line it swings", "the walk swings, on the long flat line it creeps"),
    ("restores a picture's size, not its pixels", "restores a picture's pixels, not its size"),
    ("they shift an answer, but do not enlarge", "they enlarge an answer, but do not shift"),
    # how a number is computed
    ('73,000<!-- = f"{2**61', '73,000<!-- = f"{2**60'),
    ('0.58<!-- = f"{3**-0.5:.2f}" -->', '0.71<!-- = f"{2**-0.5:.2f}" -->'),
    ('312<!-- = f"{ink.mean():.0f}" -->', '93<!-- = f"{ink.std():.0f}" -->'),
    # where a link leads
    ("](18-every-layer.md#slopes-that-deceive)", "](18-every-layer.md#planted-mistakes)"),
    ("google/objax/pull/94", "google/objax/pull/49"),
    ("](exercises/diagnose.md#diagnose-double)", "](exercises/diagnose.md)"),
    # a display that is not checked
    (r"\underbrace{J_1}_{1000\times1000}", r"\underbrace{J_1}_{1000\times100}"),
    (r"f'(x) - \frac{h^2}{2}f''(x) - \dots", r"f'(x) + \frac{h^2}{2}f''(x) - \dots"),
    (r"\overline{y^2} = D\,", r"\overline{y^2} = (D-1)\,"),
    # a comment in code
    ("# -inf hides a key", "# -inf shows a key"),
    ("@ values.T  # eq:attention-dp", "@ values.T  # eq:attention-dv"),
    ("# slopes of sigmoids", "# slopes of tanh"),
    ("# eq:sgd, at a rate of 1", "# eq:momentum, at a rate of 1"),
    # what code prints, and what stands in a figure
    ('print(f"by machine {slope_a', 'print(f"by hand {slope_a'),
    ("{before:.0%} before, {after:.0%} after", "{before:.0%} after, {after:.0%} before"),
    ('("without", 1), ("with", 400**0.5)', '("with", 1), ("without", 400**0.5)'),
    ('(axes[0], "at once, everything it has"', '(axes[0], "once, when everything is there"'),
    ('label="gradients, hand against tape"', 'label="gradients, hand against differences"'),
    ('ax.set_ylabel("peak memory, MB")', 'ax.set_ylabel("peak time, s")'),
    # what a figure's text says
    ("function in blue and its slope in orange", "function in orange and its slope in blue"),
    ("in a straight line from a fifth to 1", "in a straight line from a tenth to 1"),
    ("dashed, run against the black ones", "dashed, run along the black ones"),
    ("u and b 4, x -4 and w 12", "u and b 4, x 12 and w -4"),
    # of which values a figure says it
    ('plot(epochs, grown, color="C2", label="cor', 'plot(epochs, longer, color="C2", label="cor'),
    ("np.diff(walked)[[0, 9, 39]]", "np.diff(walked)[[0, 19, 39]]"),
    # a word that says neither how much nor which way
    ("It fails where a layer mixes", "It works where a layer mixes"),
    ("helps only where it is open", "helps only where it is closed"),
    ("Each arrow is tangent to", "Each arrow is perpendicular to"),
    ("is that of what is old", "is that of what is new"),
    ("The first two take minutes", "The first two take hours"),
    ("Left, the loss: on the training", "Left, the accuracy: on the training"),
    ("It returns nothing, and afterwards", "It returns the loss, and afterwards"),
    ("To preserve the signal, then", "To amplify the signal, then"),
    # what is shown as it is
    ("does every parameter move?    no: patient 11", "does every parameter move?    no: patient 10"),
    ("1309,  0.0103])", "1309,  0.0130])"),
    ("the weights of each neuron, then the biases\n", "the biases of each neuron, then the weights\n"),
    # a page beside the chapters
    ("a variance grows fourfold when", "a variance grows twofold when"),
    ("it fills two sides", "it fills four sides"),
    ("the same name and the same default", "the same name and another default"),
    ("needed only for the slow proofs", "needed also for the slow proofs"),
    ("`weight` is (in_features, out_features), the tr", "`weight` is (out_features, in_features), the tr"),
    # literature
    ("Record* 4 (1960), pages 96–104", "Record* 4 (1960), pages 69–104"),
    ("*EMNLP* (2014), pages 1724", "*ICLR* (2014), pages 1724"),
    # what an exercise says
    ("these are the sums along the other axis", "these are the sums across the other axis"),
    ("in *and* out are equal", "in *or* out are equal"),
    ("As in PyTorch, the first in reading order", "Unlike PyTorch, the first in reading order"),
    ("quadruples the other", "doubles the other"),
    (
        "The results are @eq:linear-dw, @eq:linear-db and @eq:linear-dx",
        "The results are @eq:linear-dx, @eq:linear-db and @eq:linear-dw",
    ),
    ("with the rules of chapter 4 for each", "with the rules of chapter 5 for each"),
    (r"The slope of the sigmoid is $p(1-p)$", r"The slope of the sigmoid is $p(1+p)$"),
    ('"dQ" + size, "eq:attention-dq"', '"dQ" + size, "eq:attention-dk"'),
    ('spreads more than one of them": 1.0', 'spreads more than one of them": 2.0'),
    ('the root of d, not d": 1 / 8', 'the root of d, not d": 1 / 4'),
    ('"the root of d is missing": root * right[0]', '"the root of d is missing": right[0] / root'),
    ("Subtract the largest logit of each row", "Subtract the smallest logit of each row"),
]


def wording_findings(page: Chapter) -> Iterator[Finding]:
    """The first word that differs from the list; none in a page that is not on it."""
    wanted = LISTED.get(key(page))
    if wanted is None:
        return
    for at, (found, word) in enumerate(zip_longest(wording(page), wanted)):
        if found is None or found[1] != word:
            line, here = found or (1, "nothing more")
            after = f"after {wanted[at - 1]!r} " if at else ""
            message = (
                f"{here!r} stands here, but {after}book/{WORDING} has {word!r}; if the sentence is right, "
                "`make wording` writes the list anew"
            )
            yield Finding(page.place(line), "wording", message)
            return


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return pages()


def test_pages_and_list_agree(chapters: list[Chapter]) -> None:
    assert [str(one) for chapter in chapters for one in wording_findings(chapter)] == []
    assert listed_wording().keys() == {key(chapter) for chapter in chapters}
    assert written(chapters) == (BOOK / WORDING).read_text(encoding="utf-8")


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_a_sentence_that_is_turned_around_is_found(chapters: list[Chapter], right: str, wrong: str) -> None:
    at = re.compile(re.escape(right), re.I)
    chapter = next(one for one in chapters if at.search(one.text))
    changed = at.sub(lambda _: wrong, chapter.text, count=1)
    if chapter.path.parent.name == FOLDER:
        page = parse_sheet(changed, chapter.path, chapter.number)
    else:
        page = parse_chapter(changed, chapter.path) if chapter.cells else replace(chapter, text=changed)
    (found,) = wording_findings(page)
    assert "stands here, but after" in str(found) and "`make wording` writes" in str(found)


def test_what_changed_is_said(tmp_path: Path) -> None:
    chapter = parse_chapter(chapter_text("It never falls.\n\nTwice as large.\n"), tmp_path / "01-sample.md")
    *header, never, falls, _, large = [word for line, word in wording(chapter)]
    assert list(changes(chapter, [*header, never, falls, "half", large, "first"])) == [
        f"{tmp_path}/01-sample.md:17: half has become twice",
        f"{tmp_path}/01-sample.md:17: first has become nothing",
    ]


def test_of_what_is_computed_only_the_expression_is_listed(tmp_path: Path) -> None:
    body = (
        'It is 0.5<!-- = f"{0.5}" --> and larger<!-- = "larger" -->, by @eq:one.[^b]\n\n'
        "[^b]: First Last, [Two](references.md#b), 1999.\n"
    )
    chapter = parse_chapter(chapter_text(body), tmp_path / "01-sample.md")
    words = [word for line, word in wording(chapter) if line > 14]
    assert words == ['= f"{0.5}"', '= "larger"', "references.md#b", "first", "last", "two", "1999"]


def test_strings_that_set_a_style_are_left_alone(tmp_path: Path) -> None:
    code = 'print("a  b", f"{1:.2f}", f"x is {1:{2}}", "C0", "o-")\nplot(y, label="c d", color="red")  # why'
    chapter = parse_chapter(chapter_text(f"```python\n{code}\n```\n"), tmp_path / "01-sample.md")
    words = [word for line, word in wording(chapter) if line > 14]
    assert words == ['"a b"', 'f"x is {1:{2}}"', "# why", '"c d"', "y"]


def test_the_list_may_be_missing_but_not_broken(tmp_path: Path) -> None:
    assert listed_wording(tmp_path) == {}
    for text, said in [("04 = ", "not TOML"), ("04 = 3", "not a table of texts")]:
        (tmp_path / WORDING).write_text(text, encoding="utf-8")
        with pytest.raises(BookError, match=said):
            listed_wording(tmp_path)
