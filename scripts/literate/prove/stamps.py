"""A stamp for each section: what changes in a text is seen, in words, too, that wording.py does not list.

Four digits tell that something is new, not what: they send a review to the section. They stand for
sentences, tables, figures' texts, docstrings, errors, signatures, and for code that is shown or shows
something (with the stubs of exercises); not for computed numbers, nor for what becomes the module or marks
an answer, which tests hold. Pages that are no chapters are taken whole.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from equations.errors import Finding
from literate.chapter import BOOK, NUMBER, ROOT, Chapter
from literate.prove.numbers import prose
from literate.prove.unbound import read_texts
from literate.prove.wording import TELLING, told

STAMPS = "stamps.toml"
HEADER = (
    "# A stamp for each section. `make wording` writes them; look through each section whose stamp changes.\n"
)
SHOWN = None, "hide-input", "exercise"  # tags of cells
OTHERS = """
    README.md CONTRIBUTING.md mkdocs.yml benchmarks/README.md scripts/README.md scripts/equations/README.md
    book/references.md book/pytorch.toml book/cheatsheet.toml
""".split()


def others(root: Path = ROOT) -> list[Chapter]:
    """The pages that are no chapters."""
    return [Chapter(root / name, (root / name).read_text(encoding="utf-8"), 0) for name in OTHERS]


def stamps(page: Chapter) -> dict[int, str]:
    """{where a section begins: its stamp and its heading}"""
    texts: dict[int, list[str]] = {}
    for line, text in sorted(_texts(page), key=itemgetter(0)):
        texts.setdefault(page.sections[line - 1], []).append(NUMBER.sub("", text))
    lines = page.text.split("\n")
    whole = {page.sections.index(section): " ".join(parts).split() for section, parts in texts.items()}
    return {
        at + 1: f"{zlib.crc32(' '.join(words).encode()) % 10**4:04} {lines[at].lstrip('#- ')}"
        for at, words in whole.items()
        if at or not page.cells  # a chapter begins with its header
    }


def _texts(page: Chapter) -> Iterator[tuple[int, str]]:
    yield from enumerate(prose(page, tables=True) if page.cells else page.text.split("\n"), 1)
    for cell in page.cells:
        yield cell.place.line, cell.alt or ""
        if cell.tag in TELLING:
            yield from told(cell)
        if cell.tag == "core":
            functions = [node for node in ast.walk(cell.tree) if isinstance(node, ast.FunctionDef)]
            yield from ((cell.place.line, ast.unparse(one.args)) for one in functions)
        if cell.tag in SHOWN:
            yield cell.place.line, cell.source


def _name(page: Chapter) -> str:
    return page.path.stem if page.cells else page.path.relative_to(ROOT).as_posix()


def stamp_findings(page: Chapter, folder: Path = BOOK) -> Iterator[Finding]:
    """Sections whose text is not that of which the list has the stamp."""
    listed = read_texts(folder / STAMPS).get(_name(page), "").split("\n")
    for line, one in stamps(page).items():
        if one not in listed:
            message = f"{one[5:]!r} has changed; if it is right, `make wording` writes its stamp anew"
            yield Finding(page.place(line), "stamp", message)


def stamped(pages: Iterable[Chapter]) -> str:
    """The list as the pages would have it."""
    blocks = ["\n".join([f"'{_name(page)}' = '''", *stamps(page).values(), "'''"]) for page in pages]
    return "\n".join([HEADER, *blocks]) + "\n"
