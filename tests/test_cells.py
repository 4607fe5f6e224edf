"""What is printed stays short: the length of the cells of each chapter."""

from __future__ import annotations

import pytest

from literate.chapter import Chapter
from literate.reader import read_book

LONG, LONGEST = 15, 25  # lines of nine of ten cells, and of any cell

# Chapters that are not there yet: (cells over 15 lines, cells over 25). The numbers may only fall.
EXCESS: dict[str, tuple[int, int]] = {
    "depth": (2, 0),
}


def lengths(chapter: Chapter) -> list[tuple[int, str]]:
    """Lines and place of each cell; imports and the code of figures are folded away."""
    return [
        (cell.source.rstrip("\n").count("\n") + 1, str(cell.place))
        for cell in chapter.python[1:]
        if cell.tag != "hide-input"
    ]


@pytest.mark.parametrize("chapter", read_book(), ids=lambda chapter: chapter.path.stem)
def test_cells_are_short(chapter: Chapter) -> None:
    cells = lengths(chapter)
    long = [cell for cell in cells if cell[0] > LONG]
    longest = [cell for cell in cells if cell[0] > LONGEST]
    allowed = EXCESS.get(chapter.path.stem.split("-", 1)[-1], (len(cells) // 10, 0))
    assert len(long) <= allowed[0] and len(longest) <= allowed[1], (
        f"{len(long)} of {len(cells)} cells have more than {LONG} lines, {len(longest)} more than {LONGEST}; "
        f"at most {allowed} may: {long}"
    )


def test_no_chapter_is_excused_for_more_than_it_has() -> None:
    found = {chapter.path.stem.split("-", 1)[-1]: lengths(chapter) for chapter in read_book()}
    assert {
        name: (sum(n > LONG for n, _ in found[name]), sum(n > LONGEST for n, _ in found[name]))
        for name in EXCESS
    } == EXCESS


@pytest.mark.parametrize("chapter", read_book(), ids=lambda chapter: chapter.path.stem)
def test_each_error_is_shown_with_what_it_says(chapter: Chapter) -> None:
    assert [str(cell.place) for cell in chapter.python if cell.raises and not cell.saying] == []
