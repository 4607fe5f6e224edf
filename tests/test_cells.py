"""What is printed stays short: the cells of each chapter, and its prose."""

from __future__ import annotations

import re

import pytest

from literate.chapter import Chapter
from literate.reader import read_book

LONG, LONGEST = 15, 25  # lines of nine of ten cells, and of any cell
WORDS = 2_000  # of prose, in a chapter
ROWS = 8  # of a notation table
TABLES = {"01-slope": 9}  # have more, and may only get shorter
APART = re.compile(r"(?ms)^```.*?^```$|^\$\$.*?^\$\$.*?$|\A---$.*?^---$|<!--.*?-->|^\|[^\n]*$|^\[\^[^\n]*$")


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
    assert len(long) <= len(cells) // 10 and not longest, (
        f"{len(long)} of {len(cells)} cells have more than {LONG} lines, {len(longest)} more than {LONGEST}; "
        f"one in ten may have more than {LONG}, none more than {LONGEST}: {long}"
    )


def words(text: str) -> int:
    """Words of prose: without code, displayed equations, tables and footnotes."""
    return len(APART.sub("", text).split())


@pytest.mark.parametrize("chapter", read_book(), ids=lambda chapter: chapter.path.stem)
def test_prose_is_short(chapter: Chapter) -> None:
    counted = words(chapter.text)
    assert counted <= WORDS, f"{counted} words of prose; at most {WORDS} are allowed"


@pytest.mark.parametrize("chapter", read_book(), ids=lambda chapter: chapter.path.stem)
def test_notation_tables_are_short(chapter: Chapter) -> None:
    most = TABLES.get(chapter.path.stem, ROWS)
    assert [str(table.place) for table in chapter.tables if len(table.rows) > most] == []


def test_only_prose_counts_as_prose() -> None:
    around = "---\na: b\n---\nOne.\n\n```python\nx = 1\n```\n\n| a | b |\n\n$$\nx = y\n$$ {#eq:x}\n"
    assert words(f"{around}\nTwo 3<!-- = x -->.[^a]\n\n[^a]: Note.\n") == 3


@pytest.mark.parametrize("chapter", read_book(), ids=lambda chapter: chapter.path.stem)
def test_each_error_is_shown_with_what_it_says(chapter: Chapter) -> None:
    assert [str(cell.place) for cell in chapter.python if cell.raises and not cell.saying] == []


@pytest.mark.parametrize("chapter", read_book(), ids=lambda chapter: chapter.path.stem)
def test_no_two_sections_of_a_chapter_share_a_heading(chapter: Chapter) -> None:
    """Pages and notebooks number the second one differently, and links to it break."""
    prose = re.sub(r"(?ms)^```.*?^```", "", chapter.text)
    headings = re.findall(r"(?m)^#+ (.*)$", prose)
    assert len(headings) == len(set(headings)) > 0
