"""The numbers in the prose: ``0.0312<!-- = f"{loss:.4f}" -->`` is computed.

A decimal, a percentage or a "7 times" that is typed claims a result that nobody computes. It is
refused, unless it stands in the chapter's code: then it is a setting that the prose speaks of.

python scripts/prose_numbers.py --check     say which of them are out of date
python scripts/prose_numbers.py --update    write what their expressions give

Both take chapters, as in ``--update book/04-linear.md``; without, the whole book.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

from chapter import NUMBER, BookError, Chapter, Number, book_files
from session import Failure, Session
from tangle import write_atomically

RESULT = re.compile(r"(?<![\w.])(\d+\.\d+|\d+e-?\d+|\d+(?= ?%| per cent| percent| times\b))")
QUOTED = re.compile(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The computed numbers in the prose.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="say which are out of date")
    what.add_argument("--update", action="store_true", help="rewrite them")
    parser.add_argument("chapters", nargs="*", type=Path, help="default: the whole book")
    options = parser.parse_args(arguments)
    complaints = 0
    for path in options.chapters or book_files():
        try:
            text, changes = recomputed(path)
        except (BookError, Failure) as error:
            print(error, file=sys.stderr)
            complaints += 1
            continue
        print(*changes, sep="\n", end="\n" if changes else "")
        if options.update:
            if changes:
                write_atomically(path, text)
        else:
            complaints += len(changes)
    return 1 if complaints else 0


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


if __name__ == "__main__":
    sys.exit(main())
