"""Weave chapters and their outputs into the Markdown of the pages. Pure functions: text in, text out."""

import html
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from literate.chapter import (
    CODE_REFERENCE,
    LABEL,
    MODULE_NAME,
    NUMBER,
    REFERENCE,
    BookError,
    Cell,
    Chapter,
    Display,
    Place,
    defined_names,
    equations_of,
)
from literate.exercises.stubs import Core
from literate.tangle.imports import imported_names as imports
from literate.tangle.module import Module
from literate.weave import light
from literate.weave.figures import Figure, figure

Segment = tuple[Cell | Display | None, str]  # None: prose
NOTATION = re.compile(r"(?m)^\| *Symbol *\| *Meaning *\| *Set *\| *In code *\|$")
SETS = '<details class="folded sets"><summary>Sets and code</summary></details>'
UNSEARCHED = ' data-search-exclude="true"'  # what a reader opens on purpose, the search must not tell
FIGURES = "assets/figures/"
SHORT = 6  # lines of imports that a chapter need not fold


@dataclass
class Book:
    """What a page must know about the others."""

    chapters: Sequence[Chapter]
    module: Module
    checks: Mapping[str, Any] = field(
        default_factory=lambda: {"marks": {}, "mutants": [0, 0], "proved": 0, "slips": [], "examples": {}}
    )
    palette: str = ""  # the colours of figures
    figures: dict[str, str] = field(default_factory=dict)  # the files of those that were shown

    def __post_init__(self) -> None:
        self.folder = self.chapters[0].path.parent
        self.marks: Mapping[str, Sequence[str]] = self.checks["marks"]  # label -> title and class
        self.equations = equations_of(self.chapters)
        self.pieces: dict[str, list[tuple[Chapter, Cell]]] = {}  # of each name, in reading order
        for chapter in self.chapters:
            for cell in chapter.core:
                for name in defined_names(cell):
                    self.pieces.setdefault(name, []).append((chapter, cell))

    @cached_property
    def users(self) -> Mapping[str, list[Chapter]]:
        """The chapters that import each name from the module."""
        found = defaultdict[str, list[Chapter]](list)
        for chapter in self.chapters:
            for name in dict.fromkeys(imported_names(chapter)):
                found[name].append(chapter)
        return found

    @cached_property
    def named(self) -> Mapping[str, list[tuple[Chapter, Cell]]]:
        """The core cells that name each equation, by its label."""
        found = defaultdict[str, list[tuple[Chapter, Cell]]](list)
        for chapter in self.chapters:
            for cell in chapter.core:
                for label in {*CODE_REFERENCE.findall(cell.source)}:
                    found[label].append((chapter, cell))
        return found

    @cached_property
    def core(self) -> Core:
        return Core(self.module.text, self.equations)

    def lines(self, cell: Cell) -> tuple[int, int]:
        """The lines of the module that come from ``cell``."""
        own = (Place(cell.place.path, line) for line in range(cell.place.line, cell.end))
        lines = [self.module_lines[place] for place in own if place in self.module_lines]
        return min(lines), max(lines)

    @cached_property
    def module_lines(self) -> dict[Place, int]:
        """The module's line for each line of the book that stands in it."""
        return {place: line for line, place in self.module.places.items()}


def text_of(page: str) -> str:
    """A page as it is written beside this file, with {places} for what is computed."""
    return Path(__file__).with_name(f"{page}.md").read_text(encoding="utf-8")


def imported_names(chapter: Chapter) -> list[str]:
    """What the chapter takes from the earlier ones."""
    return [str(item.name) for item in imports(chapter).values() if item.module == MODULE_NAME]


# -- the parts of a chapter -----------------------------------------------------


def segments(chapter: Chapter, start: int = 0, end: int | None = None) -> Iterator[Segment]:
    """The chapter below its header, or the lines from start to end, cut into prose, fences and displays."""
    lines = chapter.text.split("\n")[:end]
    spans: list[tuple[int, int, Cell | Display]] = [(d.place.line - 1, d.end, d) for d in chapter.displays]
    for cell in chapter.cells:
        spans.append((cell.place.line - 2, cell.end, cell))
    at = start or lines.index("---", 1) + 1
    for first, last, item in sorted(spans, key=lambda span: span[0]):
        if at <= first < len(lines):
            yield None, "\n".join(lines[at:first])
            yield item, "\n".join(lines[first:last])
            at = last
    yield None, "\n".join(lines[at:])


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """``change`` applied to the text that does not stand in backticks."""
    parts = re.split(r"(`[^`\n]*`)", text)
    return "".join(part if part.startswith("`") else change(part) for part in parts)


# -- a page -----------------------------------------------------------------------


def page(book: Book, chapter: Chapter, executed: NotebookNode) -> str:
    outputs = {cell.place: run.outputs for cell, run in zip(chapter.python, executed.cells, strict=True)}
    woven = []
    for item, text in segments(chapter):
        if item is None:
            woven.append(NOTATION.sub(rf"{SETS}\n\n\g<0>", light.sets(prose(book, text))))
        elif isinstance(item, Display):
            woven.append(display(book, item))
        elif item.kind == "python":
            woven.append(python(book, chapter, item, outputs[item.place]))
        else:
            woven.append(text)
    text = "\n".join(woven)
    if chapter.number:
        stem = chapter.path.stem
        above = (
            f'<p class="above">Chapter {chapter.number}<span>'
            f'<a href="notebooks/{stem}.html">Open as notebook</a>'
            f'<a href="notebooks/{stem}.ipynb" download>Download</a></span></p>\n\n# '
        )
        text = re.sub(r"^# ", lambda _: above, text, count=1, flags=re.M)
    return text


def prose(book: Book, text: str) -> str:
    def resolve(part: str) -> str:
        return with_references(part, lambda label: reference(book, label))

    text = NUMBER.sub(lambda found: unbroken(found["shown"]), text)
    # A notation row may name the equation that defines its symbol.
    text = re.sub(rf"(?m)^(\|.*)`({LABEL})`( *\|)$", lambda m: m[1] + reference(book, m[2]) + m[3], text)
    return outside_code(text, resolve)


def unbroken(number: str) -> str:
    """No line ends behind the hyphen of 1e-11."""
    return f'<span class="nb">{number}</span>' if re.search(r"\de-\d", number) else number


def with_references(text: str, show: Callable[[str], str]) -> str:
    """@eq:… as ``show`` writes it. The number brings its own parentheses."""
    text = re.sub(rf"\((@{LABEL})\)", r"\1", text)
    return REFERENCE.sub(lambda found: show(found[1]), text)


def reference(book: Book, label: str) -> str:
    equation = book.equations[label]
    return f"[({equation.number})]({equation.link}){{.eqref}}"


def display(book: Book, item: Display) -> str:
    if not item.label:
        return f'<div class="eq">{displayed(item.tex)}<span></span></div>\n'
    equation = book.equations[item.label]
    mark = ""
    if item.label in book.marks:
        title, kind = book.marks[item.label]
        title = title.replace(f"{MODULE_NAME}.", "")
        mark = f'<span class="mark {kind}" role="img" title="{title}"></span>'
    number = f'aria-label="Equation {equation.number}">({equation.number})'
    link = f'<a class="eqno" href="#{equation.anchor}" {number}</a>'
    return f'<div class="eq" id="{equation.anchor}">{displayed(item.tex)}<span>{mark}{link}</span></div>\n'


def displayed(tex: str) -> str:
    return f'<div class="arithmatex">\\[{html.escape(tex, quote=False)}\\]</div>'


def python(book: Book, chapter: Chapter, cell: Cell, outputs: list[NotebookNode]) -> str:
    drawn = [drawing(book, cell, item) for item in outputs if is_figure(item)]
    if len(drawn) > 1 and len(drawn) == len(outputs):
        shown = steps(cell, drawn)
    else:
        shown = "\n\n".join(output(book, cell, item) for item in outputs)
    match cell.tag:
        case "core":
            first, last = book.lines(cell)
            title = f"{MODULE_NAME}.py · lines {first}–{last}"
            code = f"{fence(cell, 'core', title)}\n\n{thread(book, chapter, cell)}"
            if cell.aside:
                code = fold("aside", f"For the library: <code>{cell.name}</code>", code)
            return f'<div id="code-{cell.name}" markdown>\n\n{code}\n\n</div>\n'
        case "hide-input":
            return f"{shown}\n\n{fold('hide-input', 'Show the code', fence(cell), UNSEARCHED)}\n"
        case "notation":
            code = fence(cell, "notation", "notation")
            if cell.aside:
                code = fold("notation", "The symbols in code", code)
            return f"{code}\n\n{shown}\n"
        case _ if cell is chapter.python[0] and (not chapter.number or cell.source.count("\n") > SHORT):
            title = f"What this {'chapter' if chapter.number else 'page'} imports"
            return f"{fold('imports', title, fence(cell))}\n\n{shown}\n"
        case _:
            return f"{fence(cell)}\n\n{shown}\n"


def fence(cell: Cell, kind: str = "", title: str = "") -> str:
    attributes = f"{' .' * bool(kind)}{kind}" + (f' title="{title}"' if title else "")
    return f"```{{.python{attributes}}}\n{cell.source}```"


def fold(kind: str, summary: str, text: str, attributes: str = "") -> str:
    """A fold that is shut."""
    start = f'<details class="folded {kind}"{attributes} markdown>'
    return f"{start}\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def thread(book: Book, chapter: Chapter, cell: Cell) -> str:
    """Where the names of a core cell come from and go to."""
    names = defined_names(cell)
    parts = []
    for name in names:
        pieces = book.pieces[name]
        at = [piece for _, piece in pieces].index(cell)
        if at > 0:
            parts.append(f"continues `{name}` from {piece_link(pieces[at - 1], chapter, 'above')}")
        if at + 1 < len(pieces):
            parts.append(f"`{name}` is continued {piece_link(pieces[at + 1], chapter, 'below')}")
    others = [other for other in book.chapters if other is not chapter]
    if users := [other for other in others if any(other in book.users[name] for name in names)]:
        links = ", ".join(f"[{user.number}]({user.path.name})" for user in users)
        parts.append(f"used in chapter{'s' * (len(users) > 1)} {links}")
    line = " · ".join(parts)
    return f"{line[0].upper()}{line[1:]}\n{{.thread}}" if line else ""


def piece_link(piece: tuple[Chapter, Cell], seen_from: Chapter, here: str) -> str:
    chapter, cell = piece
    where = here if chapter is seen_from else f"chapter {chapter.number}"
    return f"[{cell.name}, {where}]({chapter.path.name}#code-{cell.name})"


def output(book: Book, cell: Cell, item: NotebookNode) -> str:
    """What a cell printed, returned, drew or raised."""
    if item.output_type == "error":
        return quiet(f"{item.ename}: {item.evalue}", "raised")
    if item.output_type == "stream":
        return quiet(item.text)
    if is_figure(item):
        return drawing(book, cell, item).image(FIGURES)
    if "text/plain" not in item.data:
        raise BookError(cell.place, f"cannot show {', '.join(item.data)}; print text or draw with Matplotlib")
    return quiet(item.data["text/plain"])


def is_figure(item: NotebookNode) -> bool:
    return "image/svg+xml" in item.get("data", {})


def drawing(book: Book, cell: Cell, item: NotebookNode) -> Figure:
    if not cell.alt:
        raise BookError(cell.place, 'this cell draws a figure: add alt="…" and say what one sees in it')
    found = figure(item.data["image/svg+xml"], cell.alt, book.palette)
    book.figures[found.name] = found.text
    return found


def steps(cell: Cell, figures: list[Figure]) -> str:
    """Several figures of one cell: a strip that keys, a finger or the buttons of book.js move."""
    label = html.escape(f"{cell.alt} Step by step, {len(figures)} figures.")
    own = [one.image(FIGURES, f"{number} of {len(figures)}") for number, one in enumerate(figures, 1)]
    return f'<div class="steps" role="group" tabindex="0" aria-label="{label}">{"".join(own)}</div>'


def quiet(text: str, kind: str = "") -> str:
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{{.text .output{' .' * bool(kind)}{kind}}}\n{text.rstrip()}\n{ticks}"


# -- the finished HTML ----------------------------------------------------------------


def labels(text: str, book: Book) -> list[tuple[str, str, str]]:
    """The equations that a text names by their labels, as ``link_labels`` would show them."""
    named = sorted({*CODE_REFERENCE.findall(text)} & book.equations.keys())
    return [(label, book.equations[label].number, book.equations[label].link) for label in named]


def link_labels(page_html: str, book: Book, url: Callable[[Path], str]) -> str:
    """Make every ``eq:…`` in highlighted code a link to its equation. ``url`` gives a chapter's address."""

    def link(found: re.Match[str]) -> str:
        equation = book.equations.get(found[1])
        if not equation:
            return found[0]
        address = f"{url(equation.chapter.path)}#{equation.anchor}"
        return f'<a class="label" href="{address}" title="equation {equation.number}">{found[1]}</a>'

    return re.sub(r"<pre>.*?</pre>", lambda pre: CODE_REFERENCE.sub(link, pre[0]), page_html, flags=re.S)
