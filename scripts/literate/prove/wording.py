"""Words that turn a sentence around: book/wording.toml has them once more, in reading order.

Whether it should say "never larger" or "always larger", chapter 8 or chapter 9, no program can tell. So all
words but a few that say nothing alone, names, code and formulas of the text are written twice. Whoever
changes one has the list written anew, and a review of that shows what became of it: larger is now smaller.
The same holds for what the module says (docstrings and errors), for the exercises, and for README.md and the
pages beside the chapters. Six more are on the list whole: where a link leads, how a number is computed,
displays that are not checked, comments in code, the values that exercises know as slips, and what code shows
to its reader, printed or in a figure, with the values that this is said of.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from textwrap import wrap

from literate.chapter import BOOK, NUMBER, ROOT, Cell, Chapter
from literate.exercises.sheets import FOLDER, read_sheets
from literate.prove.numbers import prose
from literate.prove.unbound import read_texts
from literate.reader import read_book

WORDING, WOVEN = "wording.toml", "scripts/literate/weave"
TELLING = "core", "check"  # cells whose texts are read by others
SHOWING = None, "hide-input"  # cells of which a reader sees what they print or draw
HEADER = """\
# The words of the text, but for the most common ones, its names, code and formulas, in reading order.
# `make wording` writes this list; read what it changes, for each change may turn a sentence around.
"""
SILENT = """
    a an the this that these those it its itself they them their theirs he him his she her we us our ours you
    your i who whom whose which what how why when where then than there here of to in for as by with at and
    but so just is are was were be been being am has have had having do does did doing will would also very
    such
""".split()
TOKEN = re.compile(
    r"`[^`]+`|(?<![\\$])\$[^$]+\$|(?<![\w.])-?\d[\d,.]*(?:e-?\d+)?\b%?"  # code, formulas, numbers
    r"|(?<![\w'’.])[b-zB-HJ-Z](?![\w'’]|\.\w)|[<>]=?|≤|≥"  # of shapes and conditions
    r"|\beq:[\w-]+|\b\w+_\w*|\b[a-z]+\d+\b|\"\w+\""  # labels, settings, their values
    r"|(?<!\*)\*\w+\*(?!\*)"  # what the author stresses
    rf"|\b(?!(?i:{'|'.join(SILENT)})\b)[^\W\d_][\w'’-]*"
)
LINK = re.compile(r"\]\(([^) ]+)")
STYLE = re.compile(r"C\d|[\W\d_]*\w?[\W\d_]*|{}")  # of lines and marks
SAYING = re.compile(r"\w*(?:label|title|text)")  # keywords whose values a figure shows
APART = re.compile(r"\]\([^)]*\)|\]\[\w+\]|\[\^[\w-]+\]|\{[:#][^}]*\}|@eq:[\w-]+|https?://\S+")


def pages() -> list[Chapter]:
    """All texts whose words are written twice: chapters, exercises, and what stands around them."""
    shown = BOOK / "pytorch.toml", BOOK / "references.md", ROOT / "README.md"
    chapters, around = read_book(), [*shown, *sorted((ROOT / WOVEN).glob("*.md"))]
    others = (Chapter(path, path.read_text(encoding="utf-8"), 0) for path in around)
    return [*chapters, *(sheet.text for sheet in read_sheets(chapters)), *others]


def key(page: Chapter) -> str:
    """What the list calls it."""
    return page.path.name.removesuffix(".md").replace(".", "-")


@lru_cache(maxsize=64)
def wording(page: Chapter) -> list[tuple[int, str]]:
    """Each such word with its line, those of tables, alternative texts, docstrings and errors included."""
    is_sheet = page.path.parent.name == FOLDER
    lines = enumerate(prose(page, tables=True), 1)
    found = [(line, word) for line, text in lines for word in _words(text, is_sheet)]
    found += [(one.place.line, one.tex) for one in page.displays if one.unchecked is not None]
    found += [one for cell in page.cells for one in _of_cell(cell, is_sheet)]
    found.sort(key=itemgetter(0))
    # Three quotes would end a text of the list.
    return [(line, " ".join(word.split()).replace("'''", "‴")) for line, word in found]


@lru_cache(maxsize=4096)
def _of_cell(cell: Cell, is_sheet: bool) -> list[tuple[int, str]]:
    lines = [(cell.place.line, cell.alt or ""), *(told(cell) if cell.tag in TELLING else ())]
    if cell.kind not in ("python", "py", "pycon"):  # shown as it is
        lines += enumerate(cell.source.split("\n"), cell.place.line)
    found = [(line, word) for line, text in lines for word in _words(text, is_sheet)]
    if cell.kind == "py":
        found += _comments(cell)
    if cell.kind == "python":
        found += [*_comments(cell), *_slips(cell), *(_shown(cell) if cell.tag in SHOWING else ())]
    return found


@lru_cache(maxsize=32768)
def _words(text: str, is_sheet: bool) -> list[str]:
    """What a line has that is written twice."""
    words: list[str] = LINK.findall(text)
    words += (f"= {number['expression']}" for number in NUMBER.finditer(text))
    if is_sheet:
        text = text.replace("@eq:", "eq:")  # references.toml has those of the chapters
    for word in TOKEN.findall(APART.sub(" ", NUMBER.sub(" ", text))):
        is_plain = word.isalpha() and word.istitle() and len(word) > 1  # it may begin a sentence
        words.append(word.lower() if is_plain else word)
    return words


def _segment(cell: Cell, node: ast.expr) -> str:
    """The code of a node. ``ast.get_source_segment`` would split the cell anew each time."""
    lines = cell.source.encode().split(b"\n")[node.lineno - 1 : node.end_lineno]
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return b"\n".join(lines).decode()


def _comments(cell: Cell) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(cell.source).readline):
        if token.type == tokenize.COMMENT:
            yield cell.place.line + token.start[0] - 1, token.string


def _slips(cell: Cell) -> Iterator[tuple[int, str]]:
    """The values that a check of an exercise knows as slips."""
    for node in ast.walk(cell.tree) if cell.tag == "check" else ():
        if isinstance(node, ast.keyword) and node.arg == "slips":
            for value in getattr(node.value, "values", ()):
                yield cell.place.line + value.lineno - 1, _segment(cell, value)


def _shown(cell: Cell) -> Iterator[tuple[int, str]]:
    """What a demonstration prints and a figure says, without what sets a style, and of which values."""
    calls = [node for node in ast.walk(cell.tree) if isinstance(node, ast.Call)]
    of_style = (one for call in calls for one in call.keywords if not SAYING.fullmatch(one.arg or ""))
    styles = {part for one in of_style for part in ast.walk(one.value)}
    said: set[ast.AST] = set()
    for node in (one for one in _strings(cell) if one not in styles):
        text = _segment(cell, node)
        bare = re.sub(r"\{[^{}]*\}", "", text.strip("rf'\""))
        if text.endswith(('"', "'")) and not STYLE.fullmatch(bare):
            said.add(node)
            yield cell.place.line + node.lineno - 1, text
    for one in (one for call in calls if not said.isdisjoint(ast.walk(call)) for one in call.args):
        if said.isdisjoint(ast.walk(one)) and any(isinstance(part, ast.Name) for part in ast.walk(one)):
            yield cell.place.line + one.lineno - 1, _segment(cell, one)


def _strings(cell: Cell) -> list[ast.Constant | ast.JoinedStr]:
    """The constants of a cell in reading order, but for what is filled into others."""
    nodes = list(ast.walk(cell.tree))
    values = (value for node in nodes if isinstance(node, ast.JoinedStr) for value in node.values)
    inside = {part for value in values for part in ast.walk(value)}
    found = [one for one in nodes if isinstance(one, ast.Constant | ast.JoinedStr) and one not in inside]
    return sorted(found, key=lambda one: (one.lineno, one.col_offset))


def told(cell: Cell) -> Iterator[tuple[int, str]]:
    """(line, text) of what code says to its users: docstrings, the messages of errors, answers to slips."""
    for node in _strings(cell):
        if " " in (text := _text(node)) or text.startswith("eq:"):
            for at, line in enumerate(text.split("\n"), cell.place.line + node.lineno - 1):
                if not line.lstrip().startswith(">>>"):
                    yield at, line.replace("``", "`")


def _text(node: ast.expr) -> str:
    """A string, with {} for what is filled in; another constant has no words."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) if isinstance(value, ast.Constant) else "{}" for value in node.values)
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def listed_wording(folder: Path = BOOK) -> dict[str, list[str]]:
    """{chapter, exercises or page: its words}"""
    texts = read_texts(folder / WORDING)
    return {name: [word for word in re.split(r" {2,}|\n", text) if word] for name, text in texts.items()}


def changes(page: Chapter, listed: list[str]) -> Iterator[str]:
    """Where the page has other words than the list, and which."""
    found = wording(page)
    matcher = SequenceMatcher(None, listed, [word for _, word in found], autojunk=False)
    for kind, start, stop, first, end in matcher.get_opcodes():
        if kind != "equal":
            line = found[min(first, len(found) - 1)][0] if found else 1
            before = ", ".join(listed[start:stop]) or "nothing"
            after = ", ".join(word for _, word in found[first:end]) or "nothing"
            yield f"{page.place(line)}: {before} has become {after}"


def written(pages: Iterable[Chapter]) -> str:
    """The list as the pages would have it: each section begins a new line."""
    blocks = [HEADER]
    for page in pages:
        sections: dict[int, list[str]] = {}
        for line, word in wording(page):
            sections.setdefault(page.sections[line - 1], []).append(word.replace(" ", "\0"))
        rows = [
            row
            for words in sections.values()
            for row in wrap("  ".join(words), 118, break_long_words=False, break_on_hyphens=False)
        ]
        blocks.append("\n".join([f"{key(page)} = '''", *rows, "'''"]).replace("\0", " "))
    return "\n".join(blocks) + "\n"
