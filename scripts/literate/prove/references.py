"""The references of the prose: book/references.toml has them once more, chapter by chapter, in reading order.

Whether a sentence means the equation that it names, no program can tell. So a reference is written twice:
one that names another equation by mistake, or two that changed places, do not agree with the list.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from urllib.parse import unquote

from markdown.extensions.toc import slugify, unique

from equations.errors import Finding
from literate.chapter import BOOK, ROOT, Chapter
from literate.files import read_text
from literate.prose import bare
from literate.prove.unbound import read_texts

REFERENCES = "references.toml"
LINK = re.compile(r"(?:\]\(|^ {0,3}\[[^\]^]+\]: *)<?(?![a-z]+:|//)([^)\s#>]*)(?:#([^)\s>]*))?")


def listed_references(folder: Path = BOOK) -> dict[str, list[str]]:
    """{chapter: its labels, without eq:}"""
    return {chapter: labels.split() for chapter, labels in read_texts(folder / REFERENCES).items()}


def link_findings(chapter: Chapter) -> Iterator[Finding]:
    """Links that lead nowhere, or to another chapter than they say: [Chapter 9](08-signal.md)."""
    settings = read_text(ROOT / "mkdocs.yml")  # where the pages stand that are generated
    for line, text in chapter.prose:
        for said, number in re.findall(r"\[(?:[Cc]hapter )?(\d+)\]\((\d+)-[^)]*\.md", text):
            if int(said) != int(number):
                message = f"the link says chapter {said} and leads to chapter {int(number)}"
                yield Finding(chapter.place(line), "link", message)
        for name, anchor in LINK.findall(bare(text)):
            path = chapter.path.parent / unquote(name) if name else chapter.path
            message = ""
            if not path.is_file():
                message = "" if f" {name}\n" in settings else f"there is no file {name} to link to"
            elif anchor and path.suffix == ".md" and anchor not in anchors(read_text(path)):
                message = f"{path.name} has no heading or label that makes #{anchor}"
            if message:
                yield Finding(chapter.place(line), "link", message)


@lru_cache(maxsize=64)
def anchors(text: str) -> set[str]:
    """The places of a page that a link can lead to."""
    named = [name.replace(":", "-") for name in re.findall(r"\{[^}\n]*#([\w:.-]+)", text)]
    cells = re.findall(r'^```python .*\bname="([\w-]+)"', text, re.M)
    found = {*named, *cells, *(f"code-{name}" for name in cells)}
    for title in re.findall(r"^#+ +(.*)", text, re.M):
        unique(slugify(re.sub(r"\]\([^)]*\)| \{#.*", "", title), "-"), found)
    return found


def reference_findings(chapter: Chapter) -> Iterator[Finding]:
    """The first reference that differs from the list; none in a chapter that is not on it."""
    wanted = listed_references(chapter.path.parent).get(chapter.path.stem)
    if wanted is None:
        return
    for at, (reference, label) in enumerate(zip_longest(chapter.references, wanted)):
        if reference is None or reference.label != f"eq:{label}":
            place = reference.place if reference else chapter.place(1)
            here = reference.label if reference else "no further reference"
            after = f"after eq:{wanted[at - 1]} " if at else ""
            there = f"eq:{label}" if label else "none"
            message = (
                f"{here} stands here, but {after}book/{REFERENCES} has {there} as reference {at + 1} of "
                f"{chapter.path.stem}; change the one that is wrong"
            )
            yield Finding(place, "reference", message)
            return
