"""Words that turn a sentence around: book/wording.toml has them once more, in reading order.

Whether it should say "never larger" or "always larger", chapter 8 or chapter 9, no program can tell. So words
of degree, direction and number, names, code and formulas of the text are written twice. Whoever changes one
has the list written anew, and a review of the list shows what became of it: larger is now smaller.
The same holds for what the module says (docstrings and errors), and for the exercises.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from operator import itemgetter
from pathlib import Path
from textwrap import wrap

from equations.errors import Finding
from literate.chapter import BOOK, NUMBER, Cell, Chapter
from literate.exercises.sheets import FOLDER, read_sheets
from literate.prove.numbers import prose
from literate.prove.unbound import read_texts
from literate.reader import read_book

WORDING = "wording.toml"
TELLING = "core", "check"  # cells whose texts are read by others
HEADER = """\
# Words of degree, direction and number, names, code and formulas of the text, in reading order.
# `make wording` writes this list; read what it changes, for each change may turn a sentence around.
"""
WORDS = """
    all always every never no nobody none nor not nothing only neither unless without cannot
    once twice half quarter double two three four five six seven eight nine ten eleven twelve twenty thirty
    forty fifty sixty hundred thousand million most least more less fewer many few same different opposite
    first last before after above below left right up down upwards downwards forwards backwards
    inside outside front behind positive negative good better best bad worse worst
    closer closest large small high low fast slow long short cheap strong weak steep flat deep easy hard
    (?:large|small|great|bigg|high|low|long|short|fast|slow|cheap|strong|weak|steep|flatt|deep|wid)(?:er|est)
    (?:narrow|near|hard|easi|simpl|earli|lat|saf|rough|quick|old|young|new|sharp|thin|thick)(?:er|est)
    (?:rise|fall|grow|shrink|increase|decrease|vanish|explode|gain|lose)(?:s|es)?
    (?:ris|fall|grow|shrink)ing rows? columns? inputs? outputs? minimum maximum forward backward
    zeros? ones plus minus sums? products? differences? quotients? roots? squared? variance average
    (?:double|triple|quadruple|halve)[sd]? (?:swell|fade)(?:s|ing)? frequent(?:ly)? usual(?:ly)? common rare
    often seldom mostly strict lenient unlike solid dashed dotted straight curved round level
    black white grey blue orange red green along against towards away between across
    (?:third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|thousandth|billionth)s?
    (?:add|subtract)(?:s|ed|ing)? multiply multiplies multiplied divide[sd]? lower(?:s|ed)? raise[sd]?
    into out agree differ equal unequal training evaluation correlation convolution easily hardly even
    both either
""".split()
TOKEN = re.compile(
    r"`[^`]+`|(?<![\\$])\$[^$]+\$|(?<![\w.])-?\d[\d,.]*(?:e-?\d+)?\b%?"  # code, formulas, numbers
    r"|(?<![\w'’.])[b-zB-HJ-Z](?![\w'’]|\.\w)|[<>]=?|≤|≥"  # of shapes and conditions
    r"|\beq:[\w-]+|\b\w+_\w*|\b[a-z]+\d+\b|\"\w+\""  # labels, settings, their values
    r"|(?<!\*)\*\w+\*(?!\*)"  # what the author stresses
    r"|\b\w*[a-z]\w*[A-Z]\w*|\b[A-Z][A-Z\d]\w*|(?<=[a-z,;)] )[A-Z]\w+"  # names
    rf"|\b(?i:{'|'.join(WORDS)})\b"
)
APART = re.compile(r"\]\([^)]*\)|\]\[\w+\]|\[\^[\w-]+\]|\{[:#][^}]*\}|@eq:[\w-]+|https?://\S+")


def pages(folder: Path = BOOK) -> list[Chapter]:
    """All texts whose words are written twice: chapters and exercises."""
    chapters = read_book(folder)
    return [*chapters, *(sheet.text for sheet in read_sheets(chapters))]


def wording(page: Chapter) -> Iterator[tuple[int, str]]:
    """Each such word with its line, those of tables, alternative texts, docstrings and errors included."""
    lines = [*enumerate(prose(page, tables=True), 1)]
    lines += [(cell.place.line, cell.alt) for cell in page.cells if cell.alt]
    lines += [one for cell in page.cells if cell.tag in TELLING for one in told(cell)]
    for line, text in sorted(lines, key=itemgetter(0)):
        if re.match(r"\[\^.*\(references\.md#", text):  # names and years of literature
            continue
        if page.path.parent.name == FOLDER:
            text = text.replace("@eq:", "eq:")  # references.toml has those of the chapters
        text = APART.sub(" ", NUMBER.sub(" ", text)).replace("'''", "‴")  # which would end a text of the list
        for word in TOKEN.findall(text):
            is_plain = word.isalpha() and word.istitle() and len(word) > 1  # it may begin a sentence
            yield line, word.lower() if is_plain else " ".join(word.split())


def told(cell: Cell) -> Iterator[tuple[int, str]]:
    """(line, text) of what code says to its users: docstrings, the messages of errors, answers to slips."""
    nodes = list(ast.walk(ast.parse(cell.source)))
    filled = [one for one in nodes if isinstance(one, ast.JoinedStr)]
    inside = {part for one in filled for value in one.values for part in ast.walk(value)}
    strings = [one for one in nodes if isinstance(one, ast.Constant | ast.JoinedStr) and one not in inside]
    for node in sorted(strings, key=lambda one: (one.lineno, one.col_offset)):
        if " " in (text := _text(node)):
            for at, line in enumerate(text.split("\n"), cell.place.line + node.lineno - 1):
                if not line.lstrip().startswith(">>>"):
                    yield at, line.replace("``", "`")


def _text(node: ast.expr) -> str:
    """A string, with {} for what is filled in; another constant has no words."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) if isinstance(value, ast.Constant) else "{}" for value in node.values)
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def listed_wording(folder: Path = BOOK) -> dict[str, list[str]]:
    """{chapter or exercises: its words}"""
    texts = read_texts(folder / WORDING)
    return {name: [word for word in re.split(r" {2,}|\n", text) if word] for name, text in texts.items()}


def wording_findings(page: Chapter) -> Iterator[Finding]:
    """The first word that differs from the list; none in a page that is not on it."""
    folder = page.path.parent
    wanted = listed_wording(folder.parent if folder.name == FOLDER else folder).get(page.path.stem)
    if wanted is None:
        return
    for at, (found, word) in enumerate(zip_longest(wording(page), wanted)):
        if found is None or found[1] != word:
            line, here = found or (1, "nothing more")
            after = f"after {wanted[at - 1]!r} " if at else ""
            message = (
                f"{here!r} stands here, but {after}book/{WORDING} has {word!r}; if the sentence is right, "
                "`make wording` writes the list anew"
            )
            yield Finding(page.place(line), "wording", message)
            return


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
        blocks.append("\n".join([f"{page.path.stem} = '''", *rows, "'''"]).replace("\0", " "))
    return "\n".join(blocks) + "\n"
