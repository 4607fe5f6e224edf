"""What the text states and nothing holds to account: book/unbound.toml, by the reason why."""

from pathlib import Path
from typing import Any

from literate.chapter import BOOK, BookError, Chapter
from literate.files import read_toml

UNBOUND = "unbound.toml"


def read_list(file: Path) -> dict[str, Any]:
    """One of the lists beside the chapters; a book may do without."""
    return read_toml(file) if file.exists() else {}


def read_texts(file: Path) -> dict[str, str]:
    """Such a list with a text for each chapter."""
    found = read_list(file)
    if not all(isinstance(text, str) for text in found.values()):
        raise BookError(file, "not a table of texts")
    return found


def listed(folder: Path = BOOK) -> dict[str, str]:
    """{formula or phrase: the reason}"""
    found = read_list(folder / UNBOUND)
    return {" ".join(one.split()): reason for reason, entries in found.items() for one in entries}


def listed_here(chapter: Chapter) -> dict[str, str]:
    """{formula or number of this chapter: the reason}"""
    head = f"{chapter.number}: "
    found = listed(chapter.path.parent).items()
    return {one.removeprefix(head): reason for one, reason in found if one.startswith(head)}
