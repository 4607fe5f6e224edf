"""All equations of the book at once: they hold, leave nothing out, and labels in code stand at their place.

The mistakes that can be planted in them are counted by tests/proofs/test_equations_long.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

import check_equations
from equations.book import Book
from equations.check import Result
from equations.references import Mark, idle_marks, marks_of
from literate.chapter import Chapter, code_references
from literate.tangle.module import Module

# Public names that stand in no equation, because they compute nothing of their own.
NO_MATHEMATICS = {
    *("Layer", "Activation", "Loss", "Optimizer", "Schedule"),  # bases of those that do
    *("Flatten", "Last", "DataLoader", "fit", "save", "load", "EarlyStopping"),  # they move things around
    *("no_grad", "primitive", "TapeLayer", "checkpoint"),  # they arrange what others compute
    "MultiHeadAttention",  # heads side by side; what one of them computes is checked
    *("gradcheck", "gradient_report", "GradientReport", "LayerStatistics"),  # they measure
    *("diagnose", "Diagnosis", "Finding", "detect_changes"),  # they look for mistakes
    *("StepLR", "BatchNorm2d"),  # a staircase; BatchNorm1d with longer rows
    # draws; the standard deviation is checked
    *("xavier_normal_", "xavier_uniform_", "kaiming_normal_", "kaiming_uniform_"),
}
# References whose equation is held against other code, and why they are right all the same.
ELSEWHERE = {
    ("eq:vjp", "Layer"): "what every layer does, held against functions that stand for any other",
    ("eq:elementwise", "Activation"): "what every activation does, held against one of them",
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
