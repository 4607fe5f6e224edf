"""The numbers in the prose: ``0.0312<!-- = f"{loss:.4f}" -->`` is computed.

A decimal, a percentage or a "7 times" that is typed claims a result that nobody computes. It is
refused, unless it stands in the chapter's code: then it is a setting that the prose speaks of.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from literate.chapter import NUMBER, BookError, Chapter, Number

from .session import Session

RESULT = re.compile(r"(?<![\w.])(\d+\.\d+|\d+e-?\d+|\d+(?= ?%| per cent| percent| times\b))")
QUOTED = re.compile(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)")


def recomputed(path: Path) -> tuple[str, list[str]]:
    """The chapter's text with its numbers as they should be, and what changes."""
    session = Session.of(path)
    lines = session.chapter.text.split("\n")
    changes: list[str] = []
    check_typed(session.chapter)
    with session, contextlib.redirect_stdout(io.StringIO()):
        for number in session.chapter.numbers:
            session.run_to(number.cells_before)
            value = session.value(number)
            if not re.fullmatch(NUMBER, f"{value}<!-- = {number.expression} -->"):
                raise BookError(number.place, f"{number.expression} gives {value!r}; format it as one number")
            if value != number.shown:
                changes.append(f"{number.place}: {number.shown} is now {value}")
                line = number.place.line - 1
                lines[line] = rewritten(lines[line], number, value)
    return "\n".join(lines), changes


def check_typed(chapter: Chapter) -> None:
    """Refuse a number that claims a result and is not computed."""
    numbers = [number.expression for number in chapter.numbers]
    code = "\n".join([*numbers, *(cell.source for cell in chapter.cells)])
    for line, text in enumerate(prose(chapter), 1):
        for found in RESULT.finditer(QUOTED.sub("", NUMBER.sub("", text))):
            if not re.search(rf"(?<![\w.]){re.escape(found[0])}(?![\w.])", code):
                raise BookError(
                    chapter.place(line),
                    f"{found[0]} claims a result; write {found[0]}<!-- = expression --> to have it computed",
                )


def prose(chapter: Chapter) -> list[str]:
    """The chapter's lines; header, fences, displays and tables are left blank."""
    lines = chapter.text.split("\n")
    blocks = [range(0, lines.index("---", 1))]
    for cell in chapter.cells:
        blocks.append(range(cell.place.line - 2, cell.place.line + cell.source.count("\n")))
    blocks += [range(display.place.line - 1, display.end) for display in chapter.displays]
    for at in (number for block in blocks for number in block):
        lines[at] = ""
    return ["" if line.startswith("|") else line for line in lines]


def rewritten(line: str, number: Number, value: str) -> str:
    def new(found: re.Match[str]) -> str:
        same = found["expression"] == number.expression
        return f"{value}<!-- = {number.expression} -->" if same else found[0]

    return NUMBER.sub(new, line)
