"""All equations of the book: they hold, leave nothing out, and notice what is planted in them; many seeds.

It is one file because a worker of pytest's takes a file, and to check the whole book once is enough.
"""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import check_equations
from equations.book import Book
from equations.check import Result, check_chapter, check_display, checked_displays
from equations.exact import exact_book, prove
from equations.mutation_score import score
from literate.chapter import BOOK, Chapter, code_references
from literate.prove.checks import read_counts
from literate.reader import book_files, read_chapter
from literate.tangle.module import Module, tangle
from tests.equations.gradient_rows import gradient_rows, prove_row
from tests.proofs.idle_marks import Mark, idle_marks, marks_of

SAMPLES = Path(__file__).parent.parent / "equations" / "samples"
blind_mutants = runpy.run_path(str(SAMPLES.parent / "blind.py"))["blind_mutants"]
FUNCTIONS: dict[str, Any] = runpy.run_path(str(SAMPLES / "functions.py"))
CHAPTERS = book_files()

# Displays with a mutant that is a true statement too, and why it is true.
TRUE = {
    "eq:gate-slopes": "a slope by itself is 1, as that of a sum by v is; the larger one beats v if u does",
    "eq:gate-slopes-v": "the same with u and v exchanged",
    "eq:linear-dw-index": "the slope of Y_nm by W_ij is zero unless m = j, so Y_nj may stand for Y_nm",
    "eq:linear-db-index": "the slope of Y_nm by b_j is zero unless m = j, so Y_nj may stand for Y_nm",
    "eq:softmax-jacobian": "the Kronecker delta makes i and j interchangeable beside it",
    "eq:batches": "a sum over all examples does not care which index is called batch",
    "eq:rnn-bptt": "the output at a time is the state at that time",
    "eq:max-pool-dx": "a sum does not care about the order of its indices; an equal number elsewhere is rare",
    "eq:avg-pool-dx": "a sum does not care about the order of its indices",
    "eq:ce-grad": "the probabilities of an example sum to one, as its targets do",
}

# Displays that exact arithmetic cannot reach, and why.
SAMPLED = {
    "eq:complex-step": "complex numbers",
    **dict.fromkeys(("eq:likelihood-mse", "eq:likelihood-l1"), "a logarithm that no rule takes apart"),
    "eq:block": "more square roots than a draw can have",
    **dict.fromkeys(("eq:jvp", "eq:duality", "eq:hvp"), "their cells call NumPy itself, not the module"),
    **dict.fromkeys(
        ("eq:pair-sum", "eq:pair-product", "eq:pair-modulus"), "eigenvalues, which NumPy computes"
    ),
    "eq:two-softmax": "powers of e itself, beside the logarithm of a sum",
}


def test_every_equation_is_proved_or_says_why_not(chapters: list[Chapter]) -> None:
    book = exact_book(chapters, tangle(chapters).text)
    reasons = {
        str(display.label): reason
        for chapter in chapters
        for display in checked_displays(chapter)
        if (reason := prove(book, chapter, display))
    }
    assert reasons.keys() == SAMPLED.keys(), reasons
    assert {label for label, count in read_counts(BOOK).items() if not count["proved"]} == SAMPLED.keys()


# Gradient rows that exact arithmetic cannot reach, and why.
SAMPLED_ROWS = {
    "numerical_gradient(lambda v: any_map(v, K), x, g)": "differences, which are no derivative",
    'GELU("tanh").slope(x)': "products of rounded constants",
    "L = CrossEntropyLoss()(np.log(p), y) by z": "the logarithm of a sum that the exponential takes back",
}


def test_every_gradient_row_is_proved_or_says_why_not(chapters: list[Chapter]) -> None:
    book = exact_book(chapters, tangle(chapters).text)
    rows = list(gradient_rows(book))
    sampled = {
        f"{notation.rows[pair[0]].row.code} by {pair[1]}" if row.name else row.row.code
        for notation, pair, row in rows
        if prove_row(book, notation, pair, row)
    }
    assert len(rows) > 40 and sampled == SAMPLED_ROWS.keys()


def sample(name: str, seed: int = 0) -> tuple[Book, Chapter]:
    chapter = read_chapter(SAMPLES / f"{name}.md")
    return Book([chapter], FUNCTIONS, seed), chapter


def test_all_mutants_of_the_samples() -> None:
    """The one survivor is true: the probabilities sum to one, as the targets do."""
    survivors, total = [], 0
    for name in ("cross-entropy", "normalise"):
        book, chapter = sample(name)
        results = list(check_chapter(book, chapter))
        for display in checked_displays(chapter):
            found = score(book, chapter, display, results)
            total += found.total
            survivors += [mutant.tex for mutant in found.survivors]
    assert total > 700
    assert [r"\sum_jp_{nj}" in "".join(tex.split()) for tex in survivors] == [True]


@pytest.mark.parametrize("name", ["cross-entropy", "normalise"])
def test_blind_mutants_of_the_samples(name: str) -> None:
    """Delete any token, swap any neighbours: whatever is still read is noticed."""
    book, chapter = sample(name)
    tried = 0
    for display in checked_displays(chapter):
        for tex in blind_mutants(book, chapter, display):
            tried += 1
            changed = book.replacing(str(display.label), tex, fresh=False)
            assert check_display(changed, chapter, display).finding, tex
    assert tried > 100


@pytest.mark.parametrize("seed", range(1, 21))
def test_no_seed_gives_a_false_alarm(seed: int) -> None:
    for name in ("cross-entropy", "normalise"):
        book, chapter = sample(name, seed)
        assert [str(result.finding) for result in check_chapter(book, chapter) if result.finding] == []


@pytest.mark.parametrize("seed", range(1, 3))
def test_no_seed_gives_a_false_alarm_in_the_book(chapters: list[Chapter], module: Module, seed: int) -> None:
    book = Book(chapters, module.namespace(), seed)
    results = [result for chapter in chapters for result in check_chapter(book, chapter)]
    assert [str(result.finding) for result in results if result.finding] == []


@pytest.fixture(scope="module")
def results(book: Book) -> list[Result]:
    return [result for chapter in book.chapters for result in check_chapter(book, chapter)]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_mutants_of_a_chapter(book: Book, results: list[Result], path: Path) -> None:
    """Each display notices nine of ten; what it does not notice is true, for a reason given above."""
    assert [str(result.finding) for result in results if result.finding] == []
    chapter = next(one for one in book.chapters if one.path == path)
    scores = [score(book, chapter, display, results) for display in checked_displays(chapter)]
    assert [one.label for one in scores if not one.is_enough] == []
    unexplained = [
        f"{one.label}: {m.what}: {m.tex}" for one in scores for m in one.survivors if one.label not in TRUE
    ]
    assert unexplained == []
    counts = {label: (count["noticed"], count["planted"]) for label, count in read_counts(BOOK).items()}
    assert {one.label: (one.killed, one.total) for one in scores} == {
        one.label: counts.get(one.label) for one in scores
    }, "make checks writes the counts that the site shows"


# Public names that stand in no equation, because they compute nothing of their own.
NO_MATHEMATICS = {
    *("Layer", "Activation", "Loss", "Optimizer", "Schedule"),  # bases of those that do
    *("Flatten", "Last", "DataLoader", "fit", "save", "load", "EarlyStopping"),  # they move things around
    *("no_grad", "primitive", "TapeLayer", "checkpoint"),  # they arrange what others compute
    *("gradcheck", "gradient_errors", "gradient_report", "GradientReport", "LayerStatistics"),  # they measure
    *("diagnose", "Diagnosis", "Finding", "detect_changes"),  # they look for mistakes
    *("StepLR", "BatchNorm2d"),  # a staircase; BatchNorm1d with longer rows
    # draws; the standard deviation is checked
    *("xavier_normal_", "xavier_uniform_", "kaiming_normal_", "kaiming_uniform_"),
}
# References whose equation is held against other code, and why they are right all the same.
ELSEWHERE = {
    ("eq:vjp", "Layer"): "what every layer does, held against functions that stand for any other",
    ("eq:elementwise", "Activation"): "what every activation does, held against one of them",
    ("eq:elementwise", "Activation.backward"): "the same",
    ("eq:net-ds", "Network"): "the first of a range of equations; those that follow use it",
    ("eq:chain", "Value.backward"): "the chain rule, held against functions that stand for any other",
    ("eq:paths", "Value.backward"): "the sum over paths, held against the same",
    ("eq:chain", "_pull"): "the same on arrays",
    ("eq:paths", "_pull"): "the same on arrays",
    ("eq:tanh-slope", "Value.tanh"): "held against the layer of chapter 5",
    (
        "eq:ce-grad",
        "CrossEntropyLoss.value_and_slope",
    ): "a branch for numbers of classes",
    ("eq:ce-logits", "CrossEntropyLoss.value_and_slope"): "the same branch",
    ("eq:momentum-velocity", "SGD._direction"): "it stands at the return, after the velocity has been kept",
}
SWAPS = [
    ("eq:linear-dw", "eq:linear-db"),
    ("eq:linear-dx", "eq:linear-dw"),
    ("eq:adagrad-sum", "eq:rmsprop-average"),
    ("eq:adam-m", "eq:momentum-velocity"),
    ("eq:conv-db", "eq:max-pool-dx"),
    ("eq:lstm-h", "eq:gru-n"),
    ("eq:attention-dv", "eq:attention-dq"),
    ("eq:mse", "eq:huber"),  # in docstrings
    ("eq:ln", "eq:rms"),
    ("eq:adagrad", "eq:adamw"),
    ("eq:exponential-lr", "eq:cosine-lr"),
    ("eq:warmup-lr", "eq:exponential-lr"),
]


@pytest.fixture(scope="module")
def marks(chapters: list[Chapter], module: Module) -> list[Mark]:
    line_of = {place: line for line, place in module.places.items()}
    references = [one for chapter in chapters for cell in chapter.core for one in code_references(cell)]
    return marks_of(module.text, [(line_of[one.place], one.label) for one in references])


def test_they_hold_and_leave_nothing_out(book: Book, results: list[Result]) -> None:
    assert [str(result.finding) for result in results if result.finding] == []
    assert set(check_equations.untouched(book, results)) == NO_MATHEMATICS


def test_every_reference_stands_at_its_code(
    chapters: list[Chapter], module: Module, marks: list[Mark], results: list[Result]
) -> None:
    idle = list(idle_marks(chapters, module.text, marks, results))
    assert len(marks) > 150
    wrong = [mark for mark in idle if (mark.label, mark.owner) not in ELSEWHERE]
    assert [f"{module.places[mark.line]}: {mark.label}" for mark in wrong] == [], (
        "the code there has no part in what that equation is held against; name the equation it computes, or "
        "say in ELSEWHERE why it is right"
    )


def test_labels_that_changed_places_are_found(
    chapters: list[Chapter], module: Module, marks: list[Mark], results: list[Result]
) -> None:
    swapped = {
        (one, other): [replace(mark, label=other) for mark in marks if mark.label == one]
        for one, other in SWAPS
    }
    planted = [mark for found in swapped.values() for mark in found]
    idle = set(idle_marks(chapters, module.text, planted, results))
    assert [pair for pair, found in swapped.items() if not idle & set(found)] == []
