"""What a text states beside its displays: formulas in sentences, defaults, meanings of symbols, references.

Held against the code, or against the lists book/unbound.toml, symbols.toml and references.toml.
"""

from collections.abc import Sequence

from equations.book import Book
from equations.defaults import wrong_defaults
from equations.errors import Finding
from equations.inline import Inline, complaints, denied, relations
from literate.chapter import Chapter
from literate.prove.numbers import prose
from literate.prove.references import link_findings, reference_findings
from literate.prove.symbols import symbol_findings
from literate.prove.unbound import listed_here


def text_findings(book: Book, chapter: Chapter) -> list[Finding]:
    """What a chapter says beside its displays that does not hold, or that nothing holds to account."""
    others = (find(chapter) for find in (link_findings, symbol_findings, reference_findings))
    return [*inline_findings(book, chapter), *(one for found in others for one in found)]


def inline_findings(book: Book, chapter: Chapter) -> list[Finding]:
    """What the running text of a chapter states without anything to hold it to account."""
    reasons = listed_here(chapter)
    lines = prose(chapter, tables=True)
    found = complaints(book, chapter, lines, reasons)
    findings = [Finding(inline.place, "inline", message) for inline, message in found]
    stated = list(enumerate(lines, 1))
    for cell in chapter.core:
        stated += enumerate(cell.source.split("\n"), cell.place.line)
    wrong = wrong_defaults(book.module, stated)
    return findings + [Finding(chapter.place(line), "default", message) for line, message in wrong]


def task_findings(book: Book, sheet: Chapter) -> list[Finding]:
    """Formulas of tasks, hints and solutions that the table of their exercise denies."""
    found = ((one, denied(book, sheet, one)) for one in stated(sheet))
    return [
        Finding(one.place, "inline", f"${one.shown}$ does not hold ({reason})")
        for one, reason in found
        if reason
    ]


def count(chapters: Sequence[Chapter]) -> tuple[int, int]:
    """How many such formulas there are, and how many of them are listed."""
    known = {chapter: listed_here(chapter) for chapter in chapters}
    found = [one.shown in known[chapter] for chapter in chapters for one in stated(chapter)]
    return len(found), sum(found)


def stated(chapter: Chapter) -> list[Inline]:
    """The formulas of its sentences and tables that state something."""
    return list(relations(chapter, prose(chapter, tables=True)))
