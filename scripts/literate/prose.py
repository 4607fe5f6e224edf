"""What must not stand in prose, because the page would hide it, lose it, or show it and nobody run it."""

from __future__ import annotations

import re

CODE = re.compile(r"(?<!`)(`+)(?!`)(?:.*?[^`])\1(?!`)")
COMMENT = re.compile(r"<!--(?:(?!-->).)*-->")
FORMULA = re.compile(r"(?<!\\)\$(?=\S)[^$]*(?<=[^\s\\])\$(?!\d)")
LOOSE = re.compile(r"(?<!\\)\$[^\s\d$]\S{0,20}|\S{0,20}[^\s\\$]\$(?!\d)")  # $5 is money
LEAD = re.compile(r"^(?:[ \t>]|[-*+:](?=[ \t])|\d{1,9}[.)](?=[ \t])|\[\^[^\]]*\]:)*")
SEPARATOR = re.compile(r"[ \t>]*+\|?(?:[ \t]*:?-+:?[ \t]*\|)+(?:[ \t]*:?-+:?[ \t]*)?")
TAGS = (
    "a abbr b blockquote br code dd del details div dl dt em figcaption figure h2 h3 h4 h5 h6 hr i img ins "
    "kbd wbr li mark ol p q s samp small span strong sub summary sup "
    "table tbody td tfoot th thead tr u ul var"
)
_ATTRIBUTE = r"""(?:[a-z-]+=(?:"[^"<>]*"|'[^'<>]*')|markdown|open|download)"""
_NAME = "|".join(TAGS.split())
TAG = re.compile(rf"</?(?:{_NAME})(?: +{_ATTRIBUTE})* *(?:/ ?)?>|<(?:https?://|mailto:)[^<>\s]+>")


class Prose:
    """Looks at the lines of a chapter that are neither in a fence nor in a display, one after the other."""

    def __init__(self) -> None:
        self.columns = 0  # of the table that we are in
        self.above = ""

    def complaint(self, line: str) -> str | None:
        """What is wrong with the next line."""
        lead = LEAD.match(line)
        rest = line[lead.end() :] if lead else line
        if rest.startswith(("```", "~~~")):
            what = repr(line[: len(line) - len(rest)])
            return f"a fence behind {what} is shown and never run; begin the line with the fence"
        text = CODE.sub("`code`", line)  # a | in code does not split a row
        bare = COMMENT.sub("", text)
        if "<!--" in bare:
            return "a comment ends with --> on the line where it begins; what follows would run, hidden"
        if "$$" in bare or re.search(r"\\[\[(]|\\begin\{(?!cases|aligned)", bare):
            return "a display that is not at the margin is shown and never checked; begin the line with $$"
        rows = [bare]
        if SEPARATOR.fullmatch(bare):
            self.columns, rows = _columns(bare), [self.above, bare]
        elif not bare.strip():
            self.columns = 0
        self.above = bare
        for row in rows if self.columns else ():
            if any(re.search(r"(?<!\\)\|", formula) for formula in FORMULA.findall(row)):
                return r"a | inside a formula splits the cell of a table: write \lvert, \rvert or \mid"
            if _columns(row) > self.columns:
                return f"this row has {_columns(row)} cells, its table {self.columns}; the last would be lost"
        bare = TAG.sub("", FORMULA.sub("", bare))
        if found := LOOSE.search(re.sub(r"\]\([^)]*\)", "]", bare)):
            where = found[0].strip()
            return f"the $ of '{where}' opens or closes no formula of its line; for a dollar, write \\$"
        if found := re.search(r"<[A-Za-z/!?][^<>]{0,30}>?", bare):
            what = found[0].strip()
            return f"'{what}' would vanish from the page as a tag; write &lt; or put it in backticks"
        return None


def _columns(row: str) -> int:
    """How many cells Python-Markdown sees."""
    row = row.strip(" \t>").removeprefix("|")
    return len(re.findall(r"(?<!\\)\|", re.sub(r"(?<!\\)\|$", "", row))) + 1
