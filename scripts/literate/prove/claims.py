"""Formulas in the running text: held against the code, or listed in book/unbound.toml with a reason."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from equations.book import Book
from equations.errors import Finding
from equations.inline import complaints, relations
from literate.chapter import BOOK, BookError, Chapter
from literate.files import read_text
from literate.prove.numbers import prose

UNBOUND = "unbound.toml"


@functools.cache
def listed(folder: Path = BOOK) -> dict[str, str]:
    """{formula: why nothing holds it to account}"""
    file = folder / UNBOUND
    if not file.exists():
        return {}
    try:
        found = tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise BookError(file, f"not TOML: {error}") from None
    return {" ".join(tex.split()): reason for reason, formulas in found.items() for tex in formulas}


def inline_findings(book: Book, chapter: Chapter) -> list[Finding]:
    """What the running text of a chapter states without anything to hold it to account."""
    reasons = listed(chapter.path.parent)
    found = complaints(book, chapter, prose(chapter), reasons)
    return [Finding(inline.place, "inline", message) for inline, message in found]


def count(chapters: list[Chapter]) -> tuple[int, int]:
    """How many such formulas there are, and how many of them are listed."""
    found = [one for chapter in chapters for one in relations(chapter, prose(chapter))]
    return len(found), sum(one.shown in listed(one.place.path.parent) for one in found)
