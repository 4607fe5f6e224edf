"""A chapter shows the same on the module of the earlier chapters as on the finished one."""

from __future__ import annotations

from pathlib import Path

import pytest

from literate.chapter import BOOK
from literate.prove.numbers import recomputed
from literate.reader import book_files, read_book
from literate.run.notebooks import differences, execute
from literate.tangle.module import tangle

CHAPTERS = read_book()


@pytest.mark.parametrize("position", range(len(CHAPTERS)), ids=[chapter.path.name for chapter in CHAPTERS])
def test_outputs_agree(position: int) -> None:
    chapter = CHAPTERS[position]
    earlier = execute(chapter, tangle(CHAPTERS[:position]))
    full = execute(chapter, tangle(CHAPTERS))
    assert list(differences(chapter, earlier, full)) == []


@pytest.mark.parametrize("path", book_files(BOOK), ids=lambda path: path.name)
def test_numbers_in_prose_do_not_depend_on_transcripts(path: Path) -> None:
    """Jupyter runs only the cells; the chapter's tests run transcripts, docstrings and stubs between them."""
    _, changes = recomputed(path)
    assert changes == []
