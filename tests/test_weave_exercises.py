"""Pages of exercises: what solves them is folded away, and wrong answers are not shown."""

from __future__ import annotations

import re

import pytest

from literate.exercises.pytest_items import marker
from literate.exercises.sheets import Sheet
from literate.weave import exercises
from literate.weave.pages import Book

FOLD = re.compile(r"<details class=.*?</details>", re.S)


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(marker().chapters, marker().module)


@pytest.fixture(scope="module")
def woven(book: Book) -> dict[str, str]:
    return exercises.pages(book, marker())


def page_of(woven: dict[str, str], sheet: Sheet) -> str:
    return woven[f"exercises/{sheet.text.path.name}"]


@pytest.mark.parametrize("sheet", marker().sheets, ids=lambda sheet: sheet.key)
def test_solutions_and_checks_are_folded_and_wrong_answers_left_out(
    woven: dict[str, str], sheet: Sheet
) -> None:
    page = page_of(woven, sheet)
    seen = FOLD.sub("", page)
    for exercise in sheet.exercises:
        for cell in exercise.wrong:
            assert dict(cell.more)["says"] not in seen
        for folded in (exercise.solution, exercise.check):
            assert not folded or (folded.source not in seen and folded.source in page)
        if exercise.answer:
            assert "\\[" not in seen
        assert f"{{#{exercise.name}}}" in seen and f'data-exercise="{exercise.name}"' in seen
    assert page.count("<details") == page.count("</details>")
    secret = re.findall(r'<details class="folded (?:solution|check)[^>]*>', page)
    assert secret and all('data-search-exclude="true"' in fold for fold in secret)
    assert len(re.findall("^## ", page, re.M)) == len(sheet.exercises)
    assert page.count('??? hint "Hint"') == sum(exercise.is_marked for exercise in sheet.exercises)


@pytest.mark.parametrize("sheet", marker().sheets, ids=lambda sheet: sheet.key)
def test_every_exercise_has_a_solution_to_unfold(woven: dict[str, str], sheet: Sheet) -> None:
    marked = sum(exercise.is_marked for exercise in sheet.exercises)
    assert page_of(woven, sheet).count("<summary>Solution</summary>") == marked


def test_the_books_own_answer_is_shown_with_its_place(woven: dict[str, str]) -> None:
    page = woven["exercises/linear.md"]
    (fold,) = [fold for fold in FOLD.findall(page) if "def backward(self, grad_output: ArrayLike)" in fold][
        :1
    ]
    assert re.search(r"\[[\w-]+\]\(\.\./\d\d-linear\.md#code-[\w-]+\)", fold)


def test_the_index_lists_all(woven: dict[str, str]) -> None:
    index = woven[exercises.INDEX]
    names = [exercise.name for sheet in marker().sheets for exercise in sheet.exercises]
    assert f"</span> of {len(names)} ticked" in index
    for name in names:
        assert f'data-tick="{name}"' in index and f"#{name})" in index


def test_a_chapter_leads_to_its_exercises() -> None:
    sheet = marker().sheets[0]
    text = exercises.linked('<p class="above">Chapter 1<span><a href="x">x</a></span></p>\n\n# One\n', sheet)
    assert text.count(f'href="exercises/{sheet.key}.html"') == 1
    assert f"({len(sheet.exercises)} " not in text
    assert f"[{len(sheet.exercises)} exercises](exercises/{sheet.key}.md)" in text


def test_a_notebook_ends_with_the_commands() -> None:
    for sheet in marker().sheets:
        text = exercises.at_the_end(sheet)
        assert f"[{len(sheet.exercises)} exercises](../exercises/{sheet.key}.html)" in text
        assert f"\n.venv/bin/pytest exercises/{sheet.file}\n" in text


def test_a_book_without_exercises_has_no_index(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker(), "sheets", [])
    assert exercises.pages(book, marker()) == {}
