"""Small chapters, held against the functions of samples/functions.py."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equations.book import Book
from equations.check import check_chapter
from equations.guards import guard_table
from literate.chapter import ROOT, Chapter
from literate.reader import HEADER, parse_chapter, read_chapter

SAMPLES = Path(__file__).parent / "samples"
START = f"{HEADER}\n# Title\n\n```python\nimport numpy as np\n```\n"


@pytest.fixture(scope="session")
def module() -> dict[str, Any]:
    return runpy.run_path(str(SAMPLES / "functions.py"))


def chapter_of(body: str) -> Chapter:
    return parse_chapter(START + body, ROOT / "book" / "01-test.md")


@pytest.fixture
def make_chapter() -> Callable[[str], Chapter]:
    return chapter_of


@pytest.fixture
def findings(module: dict[str, Any]) -> Callable[..., list[str]]:
    """What a chapter's text is blamed for: its displays and gradient rows, then its tables."""

    def found(body: str, guards: bool = False, seed: int = 0, **names: Any) -> list[str]:
        chapter = chapter_of(body)
        book = Book([chapter], {**module, **names}, seed)
        results = list(check_chapter(book, chapter))
        messages = [str(result.finding) for result in results if result.finding]
        if guards:
            messages += [str(one) for t in chapter.tables for one in guard_table(book, chapter, t, results)]
        return messages

    return found


@pytest.fixture
def sample(module: dict[str, Any]) -> Callable[..., tuple[Book, Chapter]]:
    def load(name: str, seed: int = 0) -> tuple[Book, Chapter]:
        chapter = read_chapter(SAMPLES / f"{name}.md")
        return Book([chapter], module, seed), chapter

    return load
