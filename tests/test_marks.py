"""What the site says of the equations' checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import equations.check
from equations.book import Book
from equations.check import checked_displays
from equations.mutation_score import Score
from literate.chapter import BOOK, BookError, Place
from literate.prove import checks
from literate.reader import parse_chapter, read_book
from literate.weave import marks
from tests.books import chapter_text

CHAPTER = chapter_text(
    """\
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $x$ | a number | $\\mathbb{R}$ | `x` |
| $y$ | twice that | $\\mathbb{R}$ | `twice(x)` |

$$
y = 2x
$$ {#eq:twice}

```python tags=["core"] name="twice"
def twice(x):
    return 2 * x  # eq:twice
```
"""
)


def found(text: str, cache: Path) -> dict:
    return marks.checks([parse_chapter(text, cache / "01-twice.md")], cache)


def test_a_mark_says_against_what_an_equation_was_checked(tmp_path: Path) -> None:
    ((label, (title, kind)),) = found(CHAPTER, tmp_path)["marks"].items()
    assert (label, kind) == ("eq:twice", "checked")
    assert title == "checked against backprop_core.twice: 9 draws"


TRIED = {
    "nothing": ("", "", 0),
    "a meaning": ("that |", "it |", 0),
    "the equation": ("y = 2x", "y = x + x", 1),
    "its code": ("2 * x", "x + x", 1),
    "code that it does not run": ("return 2 * x", "return 2 * x\n\n\ndef half(x):\n    return x / 2", 0),
    "a row that it does not use": ("| $y$", "| $z$ | | $\\mathbb{R}$ | `z` |\n| $y$", 0),
    "the set of its row": (r"$\mathbb{R}$ | `x`", r"$\mathbb{R}_{>0}$ | `x`", 1),
}


@pytest.mark.parametrize("name", TRIED)
def test_an_equation_is_checked_again_when_what_it_rests_on_changes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(CHAPTER, tmp_path)
    checked: list[object] = []
    check = equations.check.check_display

    def counted(*what: Any) -> Any:
        checked.append(what)
        return check(*what)

    monkeypatch.setattr(equations.check, "check_display", counted)
    old, new, expected = TRIED[name]
    assert old in CHAPTER
    found(CHAPTER.replace(old, new, 1) if old else CHAPTER, tmp_path)
    assert len(checked) == expected


def test_a_meaning_that_changes_is_another_one_in_the_words_of_its_equations(tmp_path: Path) -> None:
    for meaning in ("twice that", "double that"):
        symbols = found(CHAPTER.replace("twice that", meaning), tmp_path)["examples"]["eq:twice"]["symbols"]
        assert [row[1] for row in symbols] == [meaning, "a number"]


def test_a_failed_check_is_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(BookError, match="the two sides differ"):
            found(CHAPTER.replace("y = 2x", "y = 3x"), tmp_path)


def test_a_wrong_equation_ends_the_build_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"01-twice.md:20: eq:twice: the two sides differ"):
        found(CHAPTER.replace("y = 2x", "y = 3x"), tmp_path)


def test_the_slips_on_the_page_are_noticed_for_the_stated_reason(tmp_path: Path) -> None:
    chapters = read_book()
    module = marks.tangle(chapters).text
    book = marks.Book(chapters, marks.namespace_of(module))
    said = [message for _, _, _, message in marks._slips(book, module)]
    reasons = ["(ratio", "the factor 2", "index i runs over", "matrix product of shapes", "`db` is not"]
    assert [reason in message for reason, message in zip(reasons, said, strict=True)] == [True] * 5


def stale(book: Book, counts: dict[str, checks.Found]) -> list[Place]:
    """Displays whose count is missing or of an earlier text."""
    displays: list[tuple[Any, Any]] = [(c, d) for c in book.chapters for d in checked_displays(c)]
    return [
        display.place for chapter, display in displays if not checks.count_of(book, chapter, display, counts)
    ]


def test_the_counts_of_mutants_are_those_of_the_book_as_it_stands() -> None:
    """``make checks`` writes them; the slow proofs count again."""
    chapters = read_book()
    book = Book(chapters, marks.tangle(chapters).namespace())
    assert [str(place) for place in stale(book, checks.read_counts(BOOK))] == []
    assert set(checks.read_counts(BOOK)) == {d.label for c in chapters for d in checked_displays(c)}


def test_a_count_of_another_text_is_stale(tmp_path: Path) -> None:
    for text in (CHAPTER, CHAPTER.replace("y = 2x", "y = x + x")):
        chapters = [parse_chapter(text, tmp_path / "01-twice.md")]
        book = Book(chapters, marks.tangle(chapters).namespace())
        if text == CHAPTER:
            checks.write_counts(tmp_path, book, {"eq:twice": Score("eq:twice", 3)}, {"eq:twice"})
            assert stale(book, checks.read_counts(tmp_path)) == []
    assert len(stale(book, checks.read_counts(tmp_path))) == 1
