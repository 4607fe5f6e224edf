"""What the site says of the equations' checks: a mark beside each number, and what a slip would bring.

Planting all mutants takes some seconds, so what was found is kept until an equation, a table, the
module or the checker changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import equations
from equations.book import Book
from equations.check import Result, check_chapter, check_display, check_rows, checked_displays
from equations.mutation_score import score
from literate.chapter import MODULE_NAME, BookError, Chapter
from literate.files import write_atomically
from literate.tangle.module import namespace_of, tangle

SOURCES = sorted(Path(equations.__file__).parent.glob("*"))
# What a slip of the pen is, in which equation, and what it turns into what.
SLIPS = [
    ("A sign is flipped", "eq:sigmoid-slope", r"(1-\sigma(x))", r"(1+\sigma(x))"),
    ("A factor is lost", "eq:mse-grad", r"\frac2n", r"\frac1n"),
    ("Two indices are swapped", "eq:linear-dw-index", r"\sum_n X_{ni}", r"\sum_n X_{in}"),
    ("A transpose is dropped", "eq:linear-dw", r"X^\top", "X"),
]
CODE_SLIP = ("_sum(grad.T)", "_sum(grad.T) / len(grad)", r"\frac{\partial L}{\partial b}")


def checks(chapters: Sequence[Chapter], cache: Path) -> dict[str, Any]:
    """How each equation was checked; a BookError if one does not hold.

    {"marks": {label: [title, class]}, "mutants": [noticed, planted],
     "slips": [[what, before, after, message], …]}
    """
    module = tangle(chapters).text
    entry = cache / f"checks-{_key(chapters, module)}.json"
    if not entry.exists():
        print("checking the equations", flush=True)
        found = _checks(Book(list(chapters), namespace_of(module)), module)
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob("checks-*.json"):
            old.unlink()
        write_atomically(entry, json.dumps(found))
    found = json.loads(entry.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _key(chapters: Sequence[Chapter], module: str) -> str:
    parts: list[Any] = [module, *(path.read_text(encoding="utf-8") for path in SOURCES if path.is_file())]
    for chapter in chapters:
        parts += [[display.label, display.tex, display.unchecked] for display in chapter.displays]
        parts += [[row.symbol, row.set, row.code] for table in chapter.tables for row in table.rows]
        parts += [cell.source for cell in chapter.cells if cell.tag == "notation"]
    parts.append(Path(__file__).read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _checks(book: Book, module: str) -> dict[str, Any]:
    results = [result for chapter in book.chapters for result in check_chapter(book, chapter)]
    if wrong := [result.finding for result in results if result.finding]:
        said = "\n".join(map(str, wrong)).removeprefix(f"{wrong[0].place}: ")
        raise BookError(wrong[0].place, said)
    by_label = {result.name: result for result in results}
    marks, noticed, planted = {}, 0, 0
    for chapter in book.chapters:
        for display in chapter.displays:
            if display.unchecked and display.label:
                marks[display.label] = [f"not checked: {display.unchecked}", "unchecked"]
        for display in checked_displays(chapter):
            mutants = score(book, chapter, display, results)
            noticed, planted = noticed + mutants.killed, planted + mutants.total
            against = _against(by_label[mutants.label])
            title = f"{against}, {mutants.killed} of {mutants.total} mutants noticed"
            marks[mutants.label] = [title, "checked"]
    return {"marks": marks, "mutants": [noticed, planted], "slips": list(_slips(book, module))}


def _against(result: Result) -> str:
    names = ", ".join(f"{MODULE_NAME}.{name}" for name in result.against) or "the equations that it rests on"
    return f"checked against {names}: {result.draws} draws"


def _slips(book: Book, module: str) -> Iterator[list[str]]:
    """[what, before, after, message] for mistakes in text and in code."""
    for what, label, before, after in SLIPS:
        if label not in book.displays:
            continue
        chapter, display = book.displays[label]
        if before not in display.tex:
            raise BookError(display.place, f"{before} is not in {label}: change the slip in checked.py")
        changed = book.replacing(label, display.tex.replace(before, after), fresh=False)
        yield [what, before, after, _message(check_display(changed, chapter, display))]
    before, after, symbol = CODE_SLIP
    wrong = Book(book.chapters, namespace_of(module.replace(before, after)))
    for chapter in wrong.chapters:
        for table in chapter.tables:
            for result in check_rows(wrong, chapter, table):
                if result.finding and symbol in str(result.finding):
                    yield ["The code is wrong, not the text", before, after, _message(result)]
                    return


def _message(result: Result) -> str:
    if not result.finding:
        raise BookError(result.place, f"{result.name} is expected to fail with a slip in it, and holds")
    return str(result.finding)
