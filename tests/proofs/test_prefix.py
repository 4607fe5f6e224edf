"""A chapter shows the same on the module of the earlier chapters as on the finished one."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat import NotebookNode

from literate.chapter import BOOK, Chapter
from literate.prove.numbers import recomputed
from literate.reader import book_files, read_book
from literate.run.notebooks import differences, execute, run
from literate.tangle.module import tangle

CHAPTERS = read_book()


@pytest.fixture(scope="module")
def shown() -> dict[Path, NotebookNode]:
    """What the site shows: each chapter on the module of the earlier ones, as the last build has run it."""
    return run(CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.name)
def test_outputs_agree(chapter: Chapter, shown: dict[Path, NotebookNode]) -> None:
    full = execute(chapter, tangle(CHAPTERS))
    assert list(differences(chapter, shown[chapter.path], full)) == []


@pytest.mark.parametrize("path", book_files(BOOK), ids=lambda path: path.name)
def test_numbers_in_prose_do_not_depend_on_transcripts(path: Path) -> None:
    """Jupyter runs only the cells; the chapter's tests run transcripts, docstrings and stubs between them."""
    _, changes = recomputed(path)
    assert changes == []
