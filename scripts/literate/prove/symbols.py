"""What the symbols mean: book/symbols.toml says it once more, sense by sense, for the whole book.

Most Meanings are words that no code can be asked about. They are held by being written twice: a Meaning that
says something else than the list is a finding, and so is a symbol that gets a further sense unawares. The
same holds for a set that is narrower than the real numbers: a table that draws from too few numbers
would try its equations on too little. 'share that is spread, in (0,1)' has both.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from equations.errors import Finding, MathError
from equations.sets import parse_set
from literate.chapter import BOOK, BookError, Chapter, Row
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


def said(row: Row) -> str:
    """Its Meaning, and its set without the sizes where that is not all real numbers."""
    try:
        set_ = parse_set(row.set)
    except MathError:
        return f"{row.meaning}, in {row.set}"  # which the check of the table refuses
    base = re.sub(r"\\(?:mathbb)?", "", set_.base.replace(r"\dots", "…")) + "_{>0}" * set_.positive
    words = " ".join(sorted(set_.words))
    inside = "" if base == "R" else f", in {base}"
    return f"{row.meaning}{inside}{words and ', '}{words}"


def symbol_findings(chapter: Chapter) -> Iterator[Finding]:
    """Rows whose Meaning is not what the list says of their symbol; none in a chapter that is not on it."""
    listed, number = senses(chapter.path.parent), chapter.number
    if not any(at[number] for found in listed.values() for sense in found for at in sense.values()):
        return
    met = Counter[tuple[str, str]]()
    for row in (row for table in chapter.tables for row in table.rows):
        meaning = said(row)
        met[row.symbol, meaning] += 1
        wordings = {w: at[number] for sense in listed.get(row.symbol, []) for w, at in sense.items()}
        if met[row.symbol, meaning] > wordings.get(meaning, 0):
            known = " and ".join(repr(w) for w, count in wordings.items() for _ in range(count)) or "nothing"
            message = (
                f"it means {meaning!r} here, but book/{SYMBOLS} has {known} for chapter {number}; "
                "change the one that is wrong, or add the wording to its sense there"
            )
            yield Finding(row.place, row.symbol, message)
