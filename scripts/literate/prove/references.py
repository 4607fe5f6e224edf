"""The references of the prose: book/references.toml has them once more, chapter by chapter, in reading order.

Whether a sentence means the equation that it names, no program can tell. So a reference is written twice:
one that names another equation by mistake, or two that changed places, do not agree with the list.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from equations.errors import Finding
from literate.chapter import BOOK, Chapter
from literate.prove.unbound import read_texts

REFERENCES = "references.toml"


def listed_references(folder: Path = BOOK) -> dict[str, list[str]]:
    """{chapter: its labels, without eq:}"""
    return {chapter: labels.split() for chapter, labels in read_texts(folder / REFERENCES).items()}


def link_findings(chapter: Chapter) -> Iterator[Finding]:
    """Links that say another chapter than the one they lead to: [Chapter 9](08-signal.md)."""
    for line, text in enumerate(chapter.text.split("\n"), 1):
        for said, number in re.findall(r"\[(?:[Cc]hapter )?(\d+)\]\((\d+)-[^)]*\.md", text):
            if int(said) != int(number):
                message = f"the link says chapter {said} and leads to chapter {int(number)}"
                yield Finding(chapter.place(line), "link", message)


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
