"""A chapter shows the same on the module of the earlier chapters as on the finished one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from nbformat import NotebookNode

from literate.chapter import Cell, Chapter
from literate.reader import read_book
from literate.run.notebooks import execute, plain, run
from literate.tangle.module import tangle
from tests.test_run import differences

CHAPTERS = read_book()


@pytest.fixture(scope="module")
def shown() -> dict[Path, NotebookNode]:
    """What the site shows: each chapter on the module of the earlier ones, as the last build has run it."""
    return run(CHAPTERS)


def asking(chapter: Chapter) -> Chapter:
    """The chapter with a cell for each number of its prose, which prints it."""
    cells = list(chapter.cells)
    for number in reversed(chapter.numbers):
        cells.insert(number.cells_before, Cell(number.place, f"print(({number.expression}))\n", "python"))
    return replace(chapter, cells=cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.name)
def test_outputs_and_numbers_agree(chapter: Chapter, shown: dict[Path, NotebookNode]) -> None:
    """Its numbers, too: Jupyter runs only the cells, a chapter's tests also run what stands between."""
    asked = asking(chapter)
    full = execute(asked, tangle(CHAPTERS))
    own = set(chapter.cells)
    answers = [one for cell, one in zip(asked.python, full.cells, strict=True) if cell not in own]
    printed = ["".join(output.text for output in one.outputs).rstrip("\n") for one in answers]
    wrong = [
        f"{number.place}: the text says {number.shown}, here it is {text}"
        for number, text in zip(chapter.numbers, printed, strict=True)
        if text != number.shown
    ]
    assert wrong == []
    full.cells = [one for cell, one in zip(asked.python, full.cells, strict=True) if cell in own]
    assert list(differences(chapter, shown[chapter.path], plain(full))) == []
