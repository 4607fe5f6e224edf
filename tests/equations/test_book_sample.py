"""The book's equations: what they leave out, and a sample of the mistakes that can be planted in them."""

from __future__ import annotations

import check_equations
from equations.book import Book
from equations.check import check_chapter, checked_displays
from equations.mutation_score import score
from literate.reader import read_book
from literate.tangle.module import tangle

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
EVERY = 60  # of a display's mutants, the first and each 60th after it


def test_planted_mistakes_are_noticed() -> None:
    chapters = read_book()
    book = Book(chapters, tangle(chapters).namespace())
    results = [result for chapter in chapters for result in check_chapter(book, chapter)]
    assert [str(result.finding) for result in results if result.finding] == []
    scores = [
        score(book, chapter, display, results, EVERY)
        for chapter in chapters
        for display in checked_displays(chapter)
    ]
    assert sum(one.total for one in scores) >= len(scores) > 80
    assert set(check_equations.untouched(book, results)) == NO_MATHEMATICS
    survivors = [mutant.tex for one in scores for mutant in one.survivors]
    assert len(survivors) <= 0.02 * sum(one.total for one in scores), survivors
