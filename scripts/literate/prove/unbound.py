"""What the text states and nothing holds to account: book/unbound.toml, by the reason why."""

from __future__ import annotations

import tomllib
from pathlib import Path

from literate.chapter import BOOK, BookError
from literate.files import read_text

UNBOUND = "unbound.toml"


def listed(folder: Path = BOOK) -> dict[str, str]:
    """{formula or phrase: the reason}"""
    file = folder / UNBOUND
    if not file.exists():
        return {}
    try:
        found = tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise BookError(file, f"not TOML: {error}") from None
    return {" ".join(one.split()): reason for reason, entries in found.items() for one in entries}
