"""What is printed stays short: the cells of each chapter, and its prose."""

from __future__ import annotations

import re

import pytest

from literate.chapter import WIDTH, Chapter
from literate.exercises.sheets import read_sheets
from literate.reader import read_book
from tests.books import chapter as sample
from tests.books import fence

LONG, LONGEST = 15, 25  # lines of nine of ten cells, and of any cell
WORDS = 2_000  # of prose, in a chapter
ROWS = 8  # of a notation table
TABLES = {"01-slope": 9}  # have more, and may only get shorter
FOLDED = ("hide-input", "check", "wrong")  # a reader sees their code at most on request
SHEETS = [sheet.text for sheet in read_sheets(read_book())]
APART = re.compile(r"(?ms)^```.*?^```$|^\$\$.*?^\$\$.*?$|\A---$.*?^---$|<!--.*?-->|^ *\|[^\n]*$|^\[\^[^\n]*$")


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


def wide(chapter: Chapter) -> list[str]:
    """Lines of code in print that are too wide. What a run prints is as wide as it is."""
    lines = [
        (chapter.place(number), line)
        for cell in chapter.cells
        if cell.kind != "text" and cell.tag not in FOLDED
        for number, line in enumerate(cell.source.split("\n"), cell.place.line)
        if cell.kind != "pycon" or line.startswith((">>> ", "... "))
    ]
    return [f"{place}: {len(line)} characters" for place, line in lines if len(line) > WIDTH]


@pytest.mark.parametrize("chapter", [*read_book(), *SHEETS], ids=lambda chapter: chapter.path.stem)
def test_lines_of_code_are_narrow(chapter: Chapter) -> None:
    found = wide(chapter)
    assert not found, f"code in print has lines of at most {WIDTH} characters: {found}"


def test_all_code_in_print_is_measured() -> None:
    fits, seen, folded = (
        "fits = 0  #".ljust(79, "-"),
        "seen = 0  #".ljust(80, "-"),
        "folded = 0  #".ljust(80, "-"),
    )
    body = [
        fence(fits),
        fence(seen),
        fence(seen, 'tags=["notation"]'),
        fence(folded, 'tags=["hide-input"] alt="A line."'),
        f"```py\n{seen}\n```\n",
        f"```text\n{folded}\n```\n",
        f"```pycon\n>>> for _ in range(1):\n...     {seen}\n>>> {seen}\n{folded}\n```\n",
    ]
    book = sample("\n".join(body))
    lines = [(n, line) for n, line in enumerate(book.text.split("\n"), 1) if "seen" in line]
    assert len(lines) == 5
    assert wide(book) == [f"{book.place(n)}: {len(line)} characters" for n, line in lines]


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
    tables = "| a | b |\n\n    | c | d |\n"
    around = f"---\na: b\n---\nOne.\n\n```python\nx = 1\n```\n\n{tables}\n$$\nx = y\n$$ {{#eq:x}}\n"
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
