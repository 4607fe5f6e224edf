"""Words that turn a sentence around: book/wording.toml has them once more, in reading order.

Whether it should say "never larger" or "always larger", chapter 8 or chapter 9, no program can tell. So words
of degree, direction and number, names, code and formulas of the text are written twice. Whoever changes one
has the list written anew, and a review of the list shows what became of it: larger is now smaller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap

from equations.errors import Finding
from literate.chapter import BOOK, NUMBER, BookError, Chapter
from literate.prove.numbers import prose
from literate.prove.unbound import read_list

WORDING = "wording.toml"
HEADER = """\
# Words of degree, direction and number, names, code and formulas of the text, in reading order.
# `make wording` writes this list; read what it changes, for each change may turn a sentence around.
"""
WORDS = """
    all always every never no nobody none nor not nothing only neither unless without cannot
    once twice half quarter double two three four five six seven eight nine ten eleven twelve twenty thirty
    forty fifty sixty hundred thousand million most least more less fewer many few same different opposite
    first last before after above below left right up down upwards downwards forwards backwards
    inside outside positive negative good better best bad worse worst
    closer closest large small high low fast slow long short cheap strong weak steep flat deep easy hard
    (?:large|small|great|bigg|high|low|long|short|fast|slow|cheap|strong|weak|steep|flatt|deep|wid)(?:er|est)
    (?:narrow|near|hard|easi|simpl|earli|lat|saf|rough|quick|old|young|new|sharp|thin|thick)(?:er|est)
    (?:rise|fall|grow|shrink|increase|decrease|vanish|explode|gain|lose)(?:s|es)?
    (?:ris|fall|grow|shrink)ing rows? columns? inputs? outputs? minimum maximum forward backward
    zeros? ones plus minus sums? products? differences? quotients? roots? squared? variance average
    (?:add|subtract)(?:s|ed|ing)? multiply multiplies multiplied divide[sd]? lower(?:s|ed)? raise[sd]?
    into out agree differ training evaluation correlation convolution easily hardly even both either
""".split()
TOKEN = re.compile(
    r"`[^`]+`|(?<![\\$])\$[^$]+\$|(?<![\w.])\d[\d,.]*\b%?"  # code, formulas, numbers
    r"|\b\w*[a-z]\w*[A-Z]\w*|\b[A-Z][A-Z\d]\w*|(?<=[a-z,;)] )[A-Z]\w+"  # names
    rf"|\b(?i:{'|'.join(WORDS)})\b"
)
APART = re.compile(r"\]\([^)]*\)|\]\[\w+\]|\[\^[\w-]+\]|\{[:#][^}]*\}|@eq:[\w-]+|https?://\S+")


def wording(chapter: Chapter) -> Iterator[tuple[int, str]]:
    """Each such word with its line, those of tables and alternative texts included."""
    lines = dict(enumerate(prose(chapter, tables=True), 1))
    lines |= {cell.place.line: cell.alt for cell in chapter.cells if cell.alt}
    for line, text in sorted(lines.items()):
        if re.match(r"\[\^.*\(references\.md#", text):  # names and years of literature
            continue
        for word in TOKEN.findall(APART.sub(" ", NUMBER.sub(" ", text))):
            is_plain = word[0].isalpha() and word.istitle()  # it may begin a sentence
            yield line, word.lower() if is_plain else " ".join(word.split())


def listed_wording(folder: Path = BOOK) -> dict[str, list[str]]:
    """{chapter: its words}"""
    file = folder / WORDING
    try:
        return {
            chapter: [word for word in re.split(r" {2,}|\n", words) if word]
            for chapter, words in read_list(file).items()
        }
    except TypeError as error:
        raise BookError(file, f"not a table of texts: {error}") from None


def wording_findings(chapter: Chapter) -> Iterator[Finding]:
    """The first word that differs from the list; none in a chapter that is not on it."""
    wanted = listed_wording(chapter.path.parent).get(chapter.path.stem)
    if wanted is None:
        return
    for at, (found, word) in enumerate(zip_longest(wording(chapter), wanted)):
        if found is None or found[1] != word:
            line, here = found or (1, "nothing more")
            after = f"after {wanted[at - 1]!r} " if at else ""
            message = (
                f"{here!r} stands here, but {after}book/{WORDING} has {word!r}; if the sentence is right, "
                "`make wording` writes the list anew"
            )
            yield Finding(chapter.place(line), "wording", message)
            return


def written(chapters: Iterable[Chapter]) -> str:
    """The list as the chapters would have it: each section begins a new line."""
    blocks = [HEADER]
    for chapter in chapters:
        sections: dict[int, list[str]] = {}
        for line, word in wording(chapter):
            sections.setdefault(chapter.sections[line - 1], []).append(word.replace(" ", "\0"))
        rows = [
            row
            for words in sections.values()
            for row in wrap("  ".join(words), 118, break_long_words=False, break_on_hyphens=False)
        ]
        blocks.append("\n".join([f"{chapter.path.stem} = '''", *rows, "'''"]).replace("\0", " "))
    return "\n".join(blocks) + "\n"
