"""What the text states and nothing holds to account: book/unbound.toml, by the reason why."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from literate.chapter import BOOK, BookError
from literate.files import read_text

UNBOUND = "unbound.toml"


def read_list(file: Path) -> dict[str, Any]:
    """One of the lists beside the chapters; a book may do without."""
    if not file.exists():
        return {}
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise BookError(file, f"not TOML: {error}") from None


def listed(folder: Path = BOOK) -> dict[str, str]:
    """{formula or phrase: the reason}"""
    found = read_list(folder / UNBOUND)
    return {" ".join(one.split()): reason for reason, entries in found.items() for one in entries}
