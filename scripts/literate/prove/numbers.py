"""The numbers in the prose: ``0.0312<!-- = f"{loss:.4f}" -->`` is computed.

A decimal, a percentage or a "7 times" that is typed claims a result that nobody computes. It is refused,
unless the last cell before it or the first one after it has the number: then it is a setting that the prose
speaks of. The same holds for other numbers from 11 on, in figures or in words (batches of fifty), and for
those that count seeds, epochs, layers and the like. book/unbound.toml lists exceptions with their reasons.
A comparison in words ("half the time", "ten times smaller") is refused as well, unless the word is
computed or the phrase is listed there.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

from literate.chapter import NUMBER, BookError, Chapter, Number

from .alternatives import known_numbers
from .session import Session
from .unbound import listed

RESULT = re.compile(r"(?<![\w.])(\d+\.\d+|\d+e-?\d+|\d+(?= ?%| per cent| percent| times\b))")
QUOTED = re.compile(r"`[^`]*`|\$[^$]*\$|\]\([^)\]]*\)")
_MANY = (
    "(?:(?:a|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty) )?"
    "(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty"
    "|hundred|thousand|million|dozen)"
)
_PART = "(?:half|(?:a|one|two|three) (?:third|quarter|fifth|tenth|hundredth|thousandth)s?)"
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
    rf"|by {_PART}|{_MANY} per ?cent|{_PART} of (?:it|them)"
    rf"|(?:twice|half|{_MANY} times) (?:the|its|that|what)(?: \w+)?|{_PART} of (?:the|its)(?: \w+)?)\b",
    re.I,
)


_UP_TO_TEN = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))
_TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_LARGER = dict(zip(_TEENS.split(), range(11, 20), strict=True))
_LARGER |= dict(zip(_TENS.split(), range(20, 100, 10), strict=True))
_SMALL = {"a": 1} | _UP_TO_TEN | _LARGER
_EVERY = dict(
    zip("second third fourth fifth sixth seventh eighth ninth tenth".split(), range(2, 11), strict=True)
)
_SCALES = {"hundred thousand": 100_000, "hundred": 100, "thousand": 1000, "million": 1_000_000}
_COUNTED = (
    "seeds|epochs|steps|layers|blocks|heads|starts|trainings|splits|draws|workers|batches|positions|examples|scans"
    "|rows|columns|features|classes|units|letters|numbers|runs|places|pixels|points|towers|weights|networks"
    "|kernels|channels|neurons|keys|queries|values|times"
)
SETTING = re.compile(
    r"(?<![\w.,'’-])(?P<figures>\d[\d,]*\d)(?:st|nd|rd|th)?(?![\w.,°]*\w|°)"
    rf"|\b(?:(?P<units>{'|'.join(_SMALL)}) )?(?P<scale>{'|'.join(_SCALES)})\b"
    rf"|\b(?P<larger>{'|'.join(_LARGER)})\b"
    rf"|\bevery (?P<every>{'|'.join(_EVERY)})\b"
    rf"|\b(?P<few>{'|'.join([*_UP_TO_TEN][2:])}|[3-9]) (?:\w+ )?(?:{_COUNTED})\b",
    re.I,
)
# What counts chapters, patients or years.
APART = re.compile(r"\b(?:chapters?|patients?) \[?\d+(?:(?:, | and )\d+)*|\b1[5-9]\d\d\b|\b20[0-2]\d\b", re.I)


def settings(text: str) -> Iterator[tuple[str, float]]:
    """The settings that a line of prose says, as they stand there and as numbers: fifty, 61st, five seeds."""
    text = COMPARISON.sub("", APART.sub("", QUOTED.sub("", NUMBER.sub("", text))))
    for found in SETTING.finditer(text):
        if figures := found["figures"]:
            value = float(figures.replace(",", ""))
        elif found["every"]:
            value = _EVERY[found["every"].lower()]
        else:
            word = (found["units"] or found["larger"] or found["few"] or "a").lower()
            value = (_SMALL.get(word) or int(word)) * _SCALES.get((found["scale"] or "").lower(), 1)
        if value > 10 or found["few"] or found["every"]:
            yield found[0], value


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
    known, lines = listed(chapter.path.parent), prose(chapter, tables=True)
    for line, text in enumerate(lines, 1):
        for said, value in unbound_numbers(chapter, line, text):
            if (entry := f"{chapter.number}: {said} in a sentence") not in known:
                raise BookError(
                    chapter.place(line),
                    f"the code beside this sentence has no number {value:g}, so {said!r} claims a result; "
                    f"write {value:g}<!-- = expression --> to have it computed, or list {entry!r} in "
                    "book/unbound.toml with its reason",
                )
    for cell in chapter.cells:
        for phrase in compared(cell.alt or ""):
            if (entry := f"{chapter.number}: {phrase} in a figure") not in known:
                raise BookError(
                    cell.place,
                    f"the alternative text says {phrase!r}, which nothing computes; say it without a number, "
                    f"or list {entry!r} in book/unbound.toml with its reason",
                )
    for line, text in enumerate(lines, 1):
        for phrase in compared(text):
            if (entry := f"{chapter.number}: {phrase}") not in known:
                raise BookError(
                    chapter.place(line),
                    f"'{phrase}' compares, and nothing computes it; write a computed number, "
                    '3.9<!-- = f"{a / b:.1f}" --> times, or a computed word, '
                    'half<!-- = "half" if 0.4 < a / b < 0.6 else a / b -->, or say it without a number. What '
                    f"only an equation or an example says is listed, as {entry!r}, in book/unbound.toml with "
                    "its reason",
                )


def unbound_numbers(chapter: Chapter, line: int, text: str) -> Iterator[tuple[str, float]]:
    """The numbers of a line of prose that are neither computed nor set in the code beside it.

    Those of a table may be anywhere in the chapter's code; cells of mere numbers and links count nothing.
    """
    is_row = text.lstrip().startswith("|")
    text = re.sub(r"\|[\d,. ]+(?=\|)|\[[^]]*\]\([^)]*\)", "", text) if is_row else text
    claims = [(one[0], float(one[0])) for one in RESULT.finditer(QUOTED.sub("", NUMBER.sub("", text)))]
    claims += [] if text.startswith("[^") else settings(text)
    known = known_numbers(chapter, 1 if is_row else line, is_near=not is_row) if claims else set()
    yield from (claim for claim in claims if claim[1] not in known)


def compared(text: str) -> list[str]:
    """The comparisons in words of a line of prose that are not computed."""
    found = COMPARISON.finditer(QUOTED.sub("", NUMBER.sub("", text)))
    return [" ".join(one[0].lower().split()) for one in found]


def prose(chapter: Chapter, tables: bool = False) -> list[str]:
    """The chapter's lines; header, fences, displays and tables (or only those of notation) are left blank."""
    lines = chapter.text.split("\n")
    blocks = [range(0, lines.index("---", 1) if lines[0] == "---" else 0)]
    for cell in chapter.cells:
        blocks.append(range(cell.place.line - 2, cell.end))
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
