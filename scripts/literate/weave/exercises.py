"""The pages of exercises, their index, and the way from a chapter to its own. Text in, text out."""

import re
from collections.abc import Sequence

from literate.chapter import Cell, Display
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
    _, lines = reader_file(sheet, marker.core, marker.equations)
    woven = _Woven(book, marker, sheet, lines)
    for item, text in segments(sheet.text):
        woven.add(item, text)
    return woven.finished()


class _Woven:
    """A page that grows by the parts of its file; what solves an exercise is folded away."""

    def __init__(self, book: Book, marker: Marker, sheet: Sheet, lines: dict[str, int]) -> None:
        self.book, self.marker, self.sheet, self.lines = book, marker, sheet, lines
        self.parts: list[str] = []
        self.solution: list[str] | None = None  # what is in the fold that is open
        self.todo = list(sheet.exercises)
        self.now: Exercise | None = None

    def add(self, item: Cell | Display | None, text: str) -> None:
        if item is None:
            first, *sections = re.split(r"(?m)^(?=## )", text)
            self.put(self.prose(first))
            for section in sections:
                self.close()
                self.begin()
                self.put(self.prose(section.partition("\n")[2]))
        elif isinstance(item, Display):
            self.open()
            self.put(f'<div class="eq">{displayed(item.tex)}</div>\n')
        elif item.tag == "exercise":
            self.put(self.stub())
        elif item.tag == "solution":
            self.open()
            self.put(fence(item))
        elif item.tag == "check":
            self.close()
            if self.now and self.now.blanks:
                self.put(self.from_the_book(self.now))
            self.put(fold("check", "The check", fence(item), UNSEARCHED))
        elif item.tag == "wrong":
            self.close()

    def put(self, text: str) -> None:
        (self.parts if self.solution is None else self.solution).append(text)

    def open(self) -> None:
        if self.solution is None:
            self.solution = []

    def close(self) -> None:
        if self.solution is not None:
            text, self.solution = "\n\n".join(self.solution), None
            self.put(fold("solution", "Solution", text, UNSEARCHED))

    def finished(self) -> str:
        self.close()
        chapter = self.sheet.chapter
        stem = chapter.path.stem
        text = "\n\n".join(part for part in self.parts if part.strip())
        above = (
            f'<p class="above">Chapter {chapter.number}, exercises<span>'
            f'<a href="../{stem}.html">Back to the chapter</a>'
            f'<a href="../exercises.html">All exercises</a></span></p>\n\n# '
        )
        below = (
            f"\n\nWrite in `{FOLDER}/{self.sheet.file}`, which `make exercises` makes. "
            f'<span class="ticks" hidden>{KEPT}</span>\n'
        )
        text = re.sub(r"^# (.*)$", lambda m: f"{above}{m[1]}{below}", text, count=1, flags=re.M)
        return re.sub(r"\]\((\d\d-[\w-]+\.md)", r"](../\1", text)

    # -- the parts of an exercise ---------------------------------------------------

    def begin(self) -> None:
        self.now = exercise = self.todo.pop(0)
        number = self.sheet.number(exercise)
        where = f"<code>{FOLDER}/{self.sheet.file}</code>, line {self.lines[exercise.name]}"
        self.put(f"## {number} · {exercise.title} {{#{exercise.name}}}")
        self.put(
            f'<p class="task" data-exercise="{exercise.name}"><span>{FORMS[exercise.form]}</span>'
            f'<span role="img" aria-label="difficulty {exercise.level} of 3">{STARS[exercise.level]}</span>'
            f"<span>{where}</span></p>"
        )

    def prose(self, text: str) -> str:
        return NOTATION.sub(rf"{SETS}\n\n\g<0>", prose(self.book, text))

    def stub(self) -> str:
        assert self.now
        source = stub(self.now, self.marker.core, self.marker.equations)
        line = self.lines[self.now.name]
        return f'```{{.python .exercise title="{FOLDER}/{self.sheet.file} · line {line}"}}\n{source}```'

    def from_the_book(self, exercise: Exercise) -> str:
        """What the module has in that place, and where it is explained."""
        sources, links = [], []
        for name in (*exercise.without, *exercise.blanks):
            owner, _, method = name.partition(".")
            for chapter, cell in self.book.pieces.get(owner, ()):
                if re.search(rf"(?m)^ *def {method or owner}\(", cell.source):
                    links.append(f"[{cell.name}]({chapter.path.name}#code-{cell.name})")
            sources.append(source_of(self.marker, name, exercise))
        code = "\n\n\n".join(sources)
        where = ", ".join(dict.fromkeys(links))
        text = f"The book's own, from {where}:\n\n```{{.python}}\n{code}\n```"
        return fold("solution", "Solution", text, UNSEARCHED)


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
