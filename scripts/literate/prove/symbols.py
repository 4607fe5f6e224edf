"""What the symbols mean: book/symbols.toml says it once more, sense by sense, for the whole book.

Most Meanings are words that no code can be asked about. They are held by being written twice: a Meaning that
says something else than the list is a finding, and so is a symbol that gets a further sense unawares.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from equations.errors import Finding
from literate.chapter import BOOK, BookError, Chapter
from literate.prove.unbound import read_list

SYMBOLS = "symbols.toml"
WORDING = re.compile(r"(.+) \[(\d+(?:, \d+)*)\]", re.DOTALL)
Sense = dict[str, Counter[int]]  # {wording: how often each chapter has it}


def senses(folder: Path = BOOK) -> dict[str, list[Sense]]:
    """{symbol: its senses}"""
    file = folder / SYMBOLS
    listed = read_list(file)
    return {symbol: [_sense(file, symbol, sense) for sense in found] for symbol, found in listed.items()}


def _sense(file: Path, symbol: str, wordings: list[str]) -> Sense:
    found: Sense = {}
    for wording in wordings:
        if not (parts := WORDING.fullmatch(wording)):
            raise BookError(file, f"{symbol}: {wording!r} does not end with its chapters, as [7, 12]")
        found[parts[1]] = Counter(map(int, parts[2].split(", ")))
    return found


def symbol_findings(chapter: Chapter) -> Iterator[Finding]:
    """Rows whose Meaning is not what the list says of their symbol; none in a chapter that is not on it."""
    listed, number = senses(chapter.path.parent), chapter.number
    if not any(at[number] for found in listed.values() for sense in found for at in sense.values()):
        return
    met = Counter[tuple[str, str]]()
    for row in (row for table in chapter.tables for row in table.rows):
        met[row.symbol, row.meaning] += 1
        wordings = {w: at[number] for sense in listed.get(row.symbol, []) for w, at in sense.items()}
        if met[row.symbol, row.meaning] > wordings.get(row.meaning, 0):
            known = " and ".join(repr(w) for w, count in wordings.items() for _ in range(count)) or "nothing"
            message = (
                f"it means {row.meaning!r} here, but book/{SYMBOLS} has {known} for chapter {number}; "
                "change the one that is wrong, or add the wording to its sense there"
            )
            yield Finding(row.place, row.symbol, message)
