"""The pages of exercises, their index, and the way from a chapter to its own. Text in, text out."""

import re
from collections.abc import Sequence

from literate.chapter import Display
from literate.exercises.marker import Marker
from literate.exercises.sheets import FOLDER, FORMS, Exercise, Sheet
from literate.exercises.stubs import STARS, reader_file, stub
from literate.exercises.variants import source_of
from literate.weave.pages import (
    NOTATION,
    SETS,
    UNSEARCHED,
    Book,
    displayed,
    fence,
    fold,
    prose,
    segments,
    text_of,
)

INDEX = "exercises.md"
KEPT = "Ticks are kept in this browser, and nowhere else."


def pages(book: Book, marker: Marker) -> dict[str, str]:
    """The pages by name; none without exercises."""
    found = {f"{FOLDER}/{sheet.text.path.name}": page(book, marker, sheet) for sheet in marker.sheets}
    return {**found, INDEX: index(marker.sheets)} if found else {}


# -- a page --------------------------------------------------------------------------


def page(book: Book, marker: Marker, sheet: Sheet) -> str:
    chapter = sheet.chapter
    _, lines = reader_file(sheet, marker.core)
    begin = sheet.exercises[0].place.line
    parts = [woven(book, text) for item, text in segments(sheet.text, end=begin - 1) if item is None]
    for exercise in sheet.exercises:
        parts += section(book, marker, sheet, exercise, lines[exercise.name])
    above = (
        f'<p class="above">Chapter {chapter.number}, exercises<span>'
        f'<a href="../{chapter.path.stem}.html">Back to the chapter</a>'
        f'<a href="../exercises.html">All exercises</a></span></p>\n\n# '
    )
    below = (
        f"\n\nWrite in `{FOLDER}/{sheet.file}`, which `make exercises` makes. "
        f'<span class="ticks" hidden>{KEPT}</span>\n'
    )
    text = "\n\n".join(part for part in parts if part.strip())
    text = re.sub(r"^# (.*)$", lambda m: f"{above}{m[1]}{below}", text, count=1, flags=re.M)
    return re.sub(r"\]\((\d\d-[\w-]+\.md)", r"](../\1", text)


def section(book: Book, marker: Marker, sheet: Sheet, exercise: Exercise, line: int) -> list[str]:
    """The parts of an exercise; what solves it is folded away, and wrong answers are left out."""
    file = f"{FOLDER}/{sheet.file}"
    task = [
        f"## {sheet.number(exercise)} · {exercise.title} {{#{exercise.name}}}",
        f'<p class="task" data-exercise="{exercise.name}"><span>{FORMS[exercise.form]}</span>'
        f'<span role="img" aria-label="difficulty {exercise.level} of 3">{STARS[exercise.level]}</span>'
        f"<span><code>{file}</code>, line {line}</span></p>",
    ]
    solution, below = list[str](), list[str]()
    here = task
    for item, text in segments(sheet.text, exercise.place.line, exercise.end):
        if isinstance(item, Display) or (item and item.tag == "solution"):
            here = solution
        elif item and item.tag in ("check", "wrong"):
            here = below
        if item is None:
            here.append(woven(book, text))
        elif isinstance(item, Display):
            here.append(f'<div class="eq">{displayed(item.tex)}</div>\n')
        elif item is exercise.stub:
            source = stub(exercise, marker.core)
            here.append(f'```{{.python .exercise title="{file} · line {line}"}}\n{source}```')
        elif item.tag == "check":
            here.append(fold("check", "The check", fence(item), UNSEARCHED))
        elif item.tag == "solution" or item.kind != "python":
            here.append(fence(item) if item.tag else text)
    if exercise.blanks:
        solution.append(from_the_book(book, marker, exercise))
    if solution:
        task.append(fold("solution", "Solution", "\n\n".join(solution), UNSEARCHED))
    return task + below


def woven(book: Book, text: str) -> str:
    return NOTATION.sub(rf"{SETS}\n\n\g<0>", prose(book, text))


def from_the_book(book: Book, marker: Marker, exercise: Exercise) -> str:
    """What the module has in that place, and where it is explained."""
    sources, links = [], []
    for name in (*exercise.without, *exercise.blanks):
        owner, _, method = name.partition(".")
        for chapter, cell in book.pieces.get(owner, ()):
            if re.search(rf"(?m)^ *def {method or owner}\(", cell.source):
                links.append(f"[{cell.name}]({chapter.path.name}#code-{cell.name})")
        sources.append(source_of(marker, name, exercise))
    code = "\n\n\n".join(sources)
    return f"The book's own, from {', '.join(dict.fromkeys(links))}:\n\n```{{.python}}\n{code}\n```"


# -- the index, and the chapters -------------------------------------------------------


def index(sheets: Sequence[Sheet]) -> str:
    count = sum(len(sheet.exercises) for sheet in sheets)
    lines = []
    for sheet in sheets:
        lines += [f"## {sheet.chapter.number}. {sheet.chapter.title}", ""]
        lines += ["| No. | Exercise | Kind | Difficulty |", "|---|---|---|---|"]
        for exercise in sheet.exercises:
            link = f"[{exercise.title}]({FOLDER}/{sheet.text.path.name}#{exercise.name})"
            tick = f'<span data-tick="{exercise.name}">{sheet.number(exercise)}</span>'
            stars = f'<span role="img" aria-label="{exercise.level} of 3">{STARS[exercise.level]}</span>'
            lines.append(f"| {tick} | {link} | {FORMS[exercise.form]} | {stars} |")
        lines.append("")
    return text_of("exercises").format(count=count, kept=KEPT, sheets="\n".join(lines))


def linked(text: str, sheet: Sheet) -> str:
    """A chapter's page with the way to its exercises."""
    page = f"{FOLDER}/{sheet.text.path.stem}.html"
    text = text.replace("</span></p>", f'<a href="{page}">Exercises</a></span></p>', 1)
    link = f"[{len(sheet.exercises)} exercises]({FOLDER}/{sheet.text.path.name})"
    return f"{text.rstrip()}\n\n{link} for this chapter are on a page of their own.\n{{.to-exercises}}\n"


def at_the_end(sheet: Sheet) -> str:
    """What stands at the end of a chapter's notebook."""
    mine = f"{FOLDER}/{sheet.file}"
    return f"""\
## Exercises

[{len(sheet.exercises)} exercises](../{FOLDER}/{sheet.key}.html) belong to this chapter. In the folder of
the book, the first of these commands writes `{mine}`, which has a stub for each; the second marks it.

```console
.venv/bin/python scripts/exercises.py
.venv/bin/pytest {mine}
```
"""
