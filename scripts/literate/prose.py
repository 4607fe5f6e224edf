"""What must not stand in prose, because the page would hide it, lose it, or show it and nobody run it."""

import functools
import re

CODE = re.compile(r"(?<!`)(`+)(?!`)(?:.*?[^`])\1(?!`)")
COMMENT = re.compile(r"<!--(?:(?!-->).)*-->")
FORMULA = re.compile(r"(?<!\\)\$(?=\S)[^$]*(?<=[^\s\\])\$(?!\d)")
LOOSE = re.compile(r"(?<!\\)\$[^\s\d$]\S{0,20}|\S{0,20}[^\s\\$]\$(?!\d)")  # $5 is money
LATEX = re.compile(r"(?<![\w:\\])\\[A-Za-z]{2,}(?![\w\\])")
LEAD = re.compile(r"^(?:[ \t\u00a0>]|[-*+:](?=[ \t])|\d{1,9}[.)](?=[ \t])|\[\^[^\]]*\]:)*")
SEPARATOR = re.compile(r"[ \t>]*+\|?(?:[ \t]*:?-+:?[ \t]*\|)+(?:[ \t]*:?-+:?[ \t]*)?")
INDENTING = re.compile(r"(?:[-*+:]|\d{1,9}[.)])[ \t]|>|\[\^|!!!|\?\?\?")  # an indented line may go on with it
OPENS = re.compile(r'(?:!!! ?|\?\?\?\+? ?)[\w-]+(?: +[\w-]+)*(?: +"[^"]*")? *')
ELSEWHERE = re.compile(r"!\[\]\(|!\[[^\]]*\]\([a-z]+:|\]\((?!https?:|mailto:)[a-z]+:")
NAMED = re.compile(r"^ {0,3}\[(?P<name>[^\]]+)\]:|(?:\[(?=\^)|\]\[)(?P<used>[^\]]+)\]")
FOREIGN = {  # how others write, and how we do
    r"^\+\+\+(?= |$)": "cells are fences here, so leave it out",
    r"^#+ *%%": "a cell is a ```python fence",
    "^%% ": "leave it out",
    r"^(?:%%?|!)[A-Za-z]\w*": "a notebook's magic is not run, so leave it out",
    r"^[> ]*(?::::+|///+|\[!\w+\])": "write !!! note, and below it its text, indented by four",
    "^[‘’“”´]{2,}": "a fence begins with three backticks",
    r"!?\[\[[^\]]*\]\]|\[-?@(?=\w)": "write [text](file.md)",
    r"\^(?=\[)": "write [^name], and below it [^name]: and the note",
    r"^\s*[-*+] \[[ xX]\](?= )|^-+8<-+|^\.\. (?=\w)|^\*\[\w+\]:|\{[{%]": "leave it out",
    r"~~(?=\S)|==(?=\w)|%%(?=\w)|\{(?:\+\+|--|>>)|(?<!\S):[a-z][a-z0-9_+-]*:(?!:)": "leave it out",
    r"\\$": "leave a line empty, and a new paragraph begins",
    r"(?<=\w)(?:~[^\s~]+~|\^[^\s^]+\^)": "write <sub>2</sub>, <sup>2</sup> or a formula",
    r"^[ \t>]*[•●◦▪‣]|^\d{1,2}\) +(?=\S)": "a list begins with -, or with 1.",
    r"\] \((?=https?:)|\(https?:[^\s)]*\)\[": "write [text](address)",
    r"^={1,6} +(?=\"|[^\W\d])": "a heading begins with #",
    r"^[ \t>]*(?:[-*+#]|\d+[.)])\u00a0": "write an ordinary space there",
    r"\\(?:eq)?ref\{|\{[a-z:]+\}(?=`)|(?!@eq:[a-z0-9])@ ?[Ee][Qq]\b": "write @eq:name",
}
TAGS = "abbr b br code del em i ins kbd mark q s samp small span strong sub sup u var wbr"
ALONE = ("br", "wbr")
BLOCKS = (
    "a center details dd div dl dt figure font h1 h2 h3 h4 h5 h6 hr img li ol p pre summary table td th tr ul"
)
_ATTRIBUTE = r"""[a-z-]+=(?:"[^"<>]*"|'[^'<>]*')"""
_NAME = "|".join(TAGS.split())
TAG = re.compile(rf"<(/?(?:{_NAME}))(?: +{_ATTRIBUTE})* *(?:/ ?)?>|<(?:https?://|mailto:)[^<>\s]+>")


def bare(line: str) -> str:
    """A line without code, comments and formulas."""
    return FORMULA.sub("", COMMENT.sub("", CODE.sub("", line)))


class Prose:
    """Looks at the lines of a chapter that are neither in a fence nor in a display, one after the other."""

    def __init__(self) -> None:
        self.columns = 0  # of the table that we are in
        self.above = ""
        self.indents = False  # an indented line belongs to a list, a note, an admonition

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
        above, self.above = self.above, bare
        return self._block(line, rest, above) or self._row(bare, above) or _unwanted(FORMULA.sub("", bare))

    def _block(self, line: str, rest: str, above: str) -> str | None:
        """What would become another thing than it looks like: a heading, code, no admonition."""
        if rest.startswith("#") and not re.match(r"#{1,6} +[^ ]", line):
            return (
                r"a heading is # to ######, a space and a title, at the margin; for a # in the text write \#"
            )
        if above.strip() and re.fullmatch("(?:=+|-+) *", line):
            return (
                f"{line[:3]} below a line makes a heading of that; write ## above it, or leave a line empty"
            )
        if above.startswith(("!!!", "???")) and line.strip() and not line.startswith(("    ", "\t")):
            return "the text of an admonition is indented by four; this line is not in it"
        if line.startswith(("!!!", "???")) and not OPENS.fullmatch(line):
            return f'an admonition begins like !!! note "Title" or ??? note "Title"; got {line[:60]}'
        if re.match(r"(?: {4})* {1,3}(?:[-*+]|\d+\.) ", line):
            return "a list begins at the margin, or four spaces further in than the list that it is part of"
        if re.match(r"(?:[-*+]|1[.)]) ", line) and above.strip() and above[0] != "#" and not self.indents:
            return "leave an empty line above the list; else the page makes it a part of the text"
        if INDENTING.match(line):
            self.indents = True
        elif line[:1].strip() and not above.strip():
            self.indents = False
        if (
            re.match("(?: {4}| {0,3}\t) *[^ ]", line)
            and not self.indents
            and (not above.strip() or above[0] == "#")
        ):
            return (
                "four spaces make code that is shown and never run; begin the line at the margin, or fence it"
            )
        return None

    def _row(self, bare: str, above: str) -> str | None:
        rows = [bare]
        if SEPARATOR.fullmatch(bare):
            self.columns, rows = _columns(bare), [above, bare]
        elif not bare.strip():
            self.columns = 0
        for row in rows if self.columns else ():
            if any(re.search(r"(?<!\\)\|", formula) for formula in FORMULA.findall(row)):
                return r"a | inside a formula splits the cell of a table: write \lvert, \rvert or \mid"
            if _columns(row) > self.columns:
                return f"this row has {_columns(row)} cells, its table {self.columns}; the last would be lost"
        if len(rows) == 2 and _columns(above) < self.columns:
            return f"this line has {self.columns} cells, the one above {_columns(above)}; so this is no table"
        return None


@functools.lru_cache(maxsize=1 << 14)
def _unwanted(text: str) -> str | None:
    """What is wrong with a line, wherever it stands: of a changed chapter, most lines are the same."""
    return _foreign(text) or _inline(text)


def _foreign(text: str) -> str | None:
    for pattern, advice in FOREIGN.items():
        if found := re.search(pattern, text):
            return f"{found[0].strip()!r} is of another format, and would be shown as it is; {advice}"
    return None


def _inline(text: str) -> str | None:
    if "`" in text.replace("`code`", ""):
        return "a ` of this line opens or closes no code of it; begin and end code on one line"
    if found := re.search(r"\]\([^)]*$", text):
        return f"the link that begins with '{found[0][:30]}' does not end on its line"
    if found := ELSEWHERE.search(text):
        return f"'{found[0]}' leads to what no reader of the page has, or says nothing to those who hear it"
    if found := LOOSE.search(re.sub(r"\]\([^)]*\)", "]", TAG.sub("", text))):
        where = found[0].strip()
        return f"the $ of '{where}' opens or closes no formula of its line; for a dollar, write \\$"
    if found := LATEX.search(text):
        return f"'{found[0]}' is shown as it is; write it between dollars, or in backticks"
    if found := re.search(r"<[A-Za-z/!?][^<>]{0,30}>?", TAG.sub("", text)):
        what = found[0].strip()
        if what.lstrip("</").split(" ")[0].rstrip("/>") in BLOCKS.split():
            return (
                f"'{what}' is HTML, in which no Markdown is read; ??? folds, !!! notes, ![] shows a picture"
            )
        return f"'{what}' would vanish from the page as a tag; write &lt; or put it in backticks"
    names = [found[1] for found in TAG.finditer(text) if found[1] and found[1] not in ALONE]
    for name in names:
        if names.count(name.strip("/")) != names.count(f"/{name.strip('/')}"):
            return f"'<{name}>' is not opened and closed on one line"
    return None


def _columns(row: str) -> int:
    """How many cells Python-Markdown sees."""
    row = row.strip(" \t>").removeprefix("|")
    return len(re.findall(r"(?<!\\)\|", re.sub(r"(?<!\\)\|$", "", row))) + 1
