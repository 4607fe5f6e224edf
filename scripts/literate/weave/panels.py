"""What opens at an equation: a page for the equations of each chapter."""

from __future__ import annotations

import re

from literate.chapter import Chapter
from literate.weave.pages import Book, Equation, display, reference

EXCLUDED = "---\nsearch:\n  exclude: true\n---\n"  # the chapter and the index are found instead


def page_name(chapter: Chapter) -> str:
    return f"equations-{chapter.path.name}"


def pages(book: Book) -> dict[str, str]:
    """The pages of equations, one a chapter."""
    found: dict[str, list[Equation]] = {}
    for equation in book.equations.values():
        found.setdefault(page_name(equation.chapter), []).append(equation)
    return {name: page(book, equations) for name, equations in found.items()}


def page(book: Book, equations: list[Equation]) -> str:
    chapter = equations[0].chapter
    title = f"{chapter.number}. {chapter.title}"
    lines = [EXCLUDED, f"# Equations of chapter {title}", ""]
    lines += [f"[The chapter]({chapter.path.name}) · [all chapters](equations.md)\n{{.entry}}", ""]
    for equation in equations:
        label = equation.display.label or ""
        lines += [f'<div class="entry" id="{equation.anchor}" markdown>\n']
        lines += [f"{reference(book, label)} `{label}`{mark(book, label)}\n\n</div>\n"]
        lines += [re.sub(r' id="[^"]*"|<span>.*</span>', "", display(book, equation.display)), ""]
    return "\n".join(lines)


def mark(book: Book, label: str) -> str:
    return f" · {book.marks[label][0]}" if label in book.marks else ""
