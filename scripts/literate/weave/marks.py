"""What the site says of the equations' checks: a mark beside each number, and what a slip would bring.

The equations are checked at each build, those that changed; the counts of mutants are committed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from equations.book import Book
from equations.check import Result, check_display, check_rows
from literate.chapter import MODULE_NAME, BookError, Chapter
from literate.prove.checks import Found, check_all, count_of, read_counts
from literate.prove.examples import symbols
from literate.tangle.module import namespace_of, tangle
from literate.tangle.reach import Source

# What a slip of the pen is, in which equation, and what it turns into what.
SLIPS = [
    ("A sign is flipped in the slope of the sigmoid", "eq:sigmoid-slope", r"(1-\sigma(x))", r"(1+\sigma(x))"),
    ("A factor is lost in the gradient of the squared error", "eq:mse-grad", r"\frac2n", r"\frac1n"),
    (
        "Two indices are swapped in a gradient of the linear layer",
        "eq:linear-dw-index",
        r"\sum_n X_{ni}",
        r"\sum_n X_{in}",
    ),
    ("A transpose is dropped in the same gradient", "eq:linear-dw", r"X^\top", "X"),
]
CODE_SLIP = (
    "self.bias._add_product(grad.T, ones)",
    "self.bias._add_product(grad.T, ones / len(grad))",
    r"\frac{\partial L}{\partial b}",
)


def rest_on(chapters: Sequence[Chapter]) -> list[object]:
    """What these chapters' checks depend on: all but their prose."""
    parts = [
        (one.path, one.number, one.title, one.cells, one.displays, one.tables, one.sections)
        for one in chapters
    ]
    return [parts, read_counts(chapters[0].path.parent)]


def checks(chapters: Sequence[Chapter], cache: Path) -> dict[str, Any]:
    """How each equation was checked; a BookError if one does not hold.

    {"marks": {label: [title, class]}, "mutants": [noticed, planted], "proved": count,
     "slips": [[what, before, after, message], …], "examples": {label: …}}
    """
    module = tangle(chapters)
    book = Book(chapters, module.namespace())
    found = check_all(book, Source(chapters), cache)
    counts = read_counts(chapters[0].path.parent)
    marks: dict[str, list[str]] = {}
    examples: dict[str, Any] = {}
    total, proved = [0, 0], 0
    for chapter in chapters:
        for display in chapter.displays:
            if display.label in found:
                title, kind = _against(found[display.label]), "checked"
                words = {"symbols": symbols(book, chapter, display)}  # a Meaning is no part of a check
                examples[display.label] = words | found[display.label]["example"]
                if count := count_of(book, chapter, display, counts):
                    title += f", {count['noticed']} of {count['planted']} mutants noticed"
                    if count["proved"]:
                        title, kind = f"proved in exact arithmetic, and {title}", "proved"
                        proved += 1
                    total = [total[0] + count["noticed"], total[1] + count["planted"]]
                marks[display.label] = [title, kind]
            elif display.label:
                marks[display.label] = [f"not checked: {display.unchecked}", "unchecked"]
    return {
        "marks": marks,
        "mutants": total,
        "proved": proved,
        "slips": list(_slips(book, module.text)),
        "examples": examples,
    }


def _against(found: Found) -> str:
    names = ", ".join(f"{MODULE_NAME}.{name}" for name in found["against"])
    return f"checked against {names or 'the equations that it rests on'}: {found['draws']} draws"


def _slips(book: Book, module: str) -> Iterator[list[str]]:
    """[what, before, after, message] for mistakes in text and in code."""
    for what, label, before, after in SLIPS:
        if label not in book.displays:
            continue
        chapter, display = book.displays[label]
        if before not in display.tex:
            raise BookError(display.place, f"{before} is not in {label}: change the slip in marks.py")
        changed = book.replacing(label, display.tex.replace(before, after), fresh=False)
        yield [what, before, after, _message(check_display(changed, chapter, display))]
    before, after, symbol = CODE_SLIP
    wrong = Book(book.chapters, namespace_of(module.replace(before, after)))
    for chapter in wrong.chapters:
        for table in chapter.tables:
            for result in check_rows(wrong, chapter, table):
                if result.finding and symbol in str(result.finding):
                    yield ["In the code of that layer, a sum becomes a mean", before, after, _message(result)]
                    return


def _message(result: Result) -> str:
    if not result.finding:
        raise BookError(result.place, f"{result.name} is expected to fail with a slip in it, and holds")
    return str(result.finding)
