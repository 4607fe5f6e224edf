"""The numbers in the prose: ``0.0312<!-- = f"{loss:.4f}" -->`` is computed.

A decimal, a percentage or a "7 times" that is typed claims a result that nobody computes. It is
refused, unless it stands in the chapter's code: then it is a setting that the prose speaks of. A
comparison in words ("half the time", "ten times smaller") is refused as well, unless the word is computed
or the phrase is listed in book/unbound.toml with its reason.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from literate.chapter import NUMBER, BookError, Chapter, Number

from .alternatives import TYPED
from .session import Session
from .unbound import listed

RESULT = re.compile(r"(?<![\w.])(\d+\.\d+|\d+e-?\d+|\d+(?= ?%| per cent| percent| times\b))")
QUOTED = re.compile(r"`[^`]*`|\$[^$]*\$|\]\([^)\]]*\)")
_MANY = (
    "(?:(?:a|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty) )?"
    "(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty"
    "|hundred|thousand|million|dozen)"
)
_PART = "(?:half|(?:a|two|three) (?:third|quarter|fifth|tenth|hundredth|thousandth)s?)"
_MORE = (
    r"(?:as \w+|too \w+|(?:small|fast|slow|long|short|cheap|high|low|strong|weak|bigg)er|larger"
    "|more|less|fewer|better|worse)"
)
_ABOUT = "(?:about|almost|nearly|roughly|(?:little |hardly )?(?:more|less) than|at most|at least|up to)"
_THING = "(?:runs|(?:forward )?passes|times|digits|per ?cent|seconds|minutes|steps|lines)"
COMPARISON = re.compile(
    rf"\b(?:{_MANY} times {_MORE}|twice {_MORE}"
    rf"|{_PART} (?:as \w+|the (?:time|memory|cost|price|size|length|error))"
    rf"|{_ABOUT} (?:{_MANY} {_THING}|{_PART}(?: (?:of|the|as)(?: the)? \w+)?|twice)"
    rf"|(?:two|three|four|five|ten|hundred|thousand)fold"
    rf"|by {_PART}|{_MANY} per ?cent|{_PART} of (?:it|them|the (?:time|memory|cost|error)))\b",
    re.I,
)


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
    """Refuse a number, in figures or in words, that claims a result and is not computed."""
    numbers = [number.expression for number in chapter.numbers]
    code = set(TYPED.findall("\n".join([*numbers, *(cell.source for cell in chapter.cells)])))
    for line, text in enumerate(prose(chapter), 1):
        for found in RESULT.finditer(QUOTED.sub("", NUMBER.sub("", text))):
            if found[0] not in code:
                raise BookError(
                    chapter.place(line),
                    f"{found[0]} claims a result; write {found[0]}<!-- = expression --> to have it computed",
                )

    known = listed(chapter.path.parent)
    for line, text in enumerate(prose(chapter), 1):
        for found in COMPARISON.finditer(QUOTED.sub("", NUMBER.sub("", text))):
            if (phrase := " ".join(found[0].lower().split())) not in known:
                raise BookError(
                    chapter.place(line),
                    f"'{phrase}' compares, and nothing computes it; write a computed number, "
                    '3.9<!-- = f"{a / b:.1f}" --> times, or a computed word, '
                    'half<!-- = "half" if 0.4 < a / b < 0.6 else a / b -->, or say it without a number. What '
                    "only an equation or an example says is listed in book/unbound.toml with its reason",
                )


def prose(chapter: Chapter, tables: bool = False) -> list[str]:
    """The chapter's lines; header, fences, displays and tables (or only those of notation) are left blank."""
    lines = chapter.text.split("\n")
    blocks = [range(0, lines.index("---", 1))]
    for cell in chapter.cells:
        blocks.append(range(cell.place.line - 2, cell.place.line + cell.source.count("\n")))
    blocks += [range(display.place.line - 1, display.end) for display in chapter.displays]
    if tables:
        rows = (row.place.line for table in chapter.tables for row in table.rows)
        blocks += [range(line - 1, line) for line in rows]
    for at in (number for block in blocks for number in block):
        lines[at] = ""
    return lines if tables else ["" if line.startswith("|") else line for line in lines]


def rewritten(line: str, number: Number, value: str) -> str:
    def new(found: re.Match[str]) -> str:
        same = found["expression"] == number.expression
        return f"{value}<!-- = {number.expression} -->" if same else found[0]

    return NUMBER.sub(new, line)
