"""The page of references: what a chapter cites has an entry there, which names the chapters that cite it."""

from __future__ import annotations

import re

import pytest

from literate.chapter import BOOK, Chapter
from literate.prove.numbers import prose
from literate.reader import parse_chapter, read_book

PAGE = (BOOK / "references.md").read_text(encoding="utf-8")
ENTRY = re.compile(
    r"^- (?P<text>.*?)(?: Chapters? (?P<chapters>\[.*))?\n  \{: #(?P<key>[\w-]+) \}$", re.MULTILINE
)
LINK = re.compile(r"\]\(references\.md#([\w-]+)\)")
SOURCE = re.compile(r"Source: ([^.]*)\.")
AUTHOR_AND_YEAR = re.compile(r"\s*([A-Z][\w-]*)\D*(\d{4})")
YEAR = re.compile(r"(?<![\w.,])(?:1[5-9]\d\d|20[0-2]\d)(?![\w.,]\d)\b")

CHAPTERS = read_book()


def cited(chapter: Chapter) -> set[str]:
    """The keys of the entries that its prose links to, and of the sources that its docstrings name."""
    sources = ";".join(SOURCE.findall(chapter.text)).split(";")
    named = [found for source in sources if (found := AUTHOR_AND_YEAR.match(source))]
    return {*LINK.findall(chapter.text), *(f"{one[1].lower()}-{one[2]}" for one in named)}


def without_source(chapter: Chapter) -> list[str]:
    """Paragraphs and footnotes that name a year, but no entry; a footnote speaks for its paragraph."""
    lines = ["\n\n" + line if line.startswith("[^") else line for line in prose(chapter)]
    paragraphs = re.split(r"\n\s*\n", re.sub(r"`[^`]*`|\$[^$]*\$|<!--.*?-->", "", "\n".join(lines)))
    return [
        text.strip()
        for text in paragraphs
        if YEAR.search(LINK.sub("]", text))
        and not LINK.search(text)
        and not re.search(r"(?<=\S)\[\^\w+\]", text)
    ]


def test_entries_are_in_order_and_say_who_cites_them() -> None:
    entries = list(ENTRY.finditer(PAGE))
    assert len(entries) > 50
    assert len(entries) == PAGE.count("\n- ")  # none is written in another way
    keys = [entry["key"] for entry in entries]
    assert keys == sorted(keys)
    for entry in entries:
        citing = [
            f"[{chapter.number}]({chapter.path.name})"
            for chapter in CHAPTERS
            if entry["key"] in cited(chapter)
        ]
        assert citing and entry["chapters"] == ", ".join(citing) + ".", entry["key"]
        surname, year = entry["key"].split("-")[:2]
        assert re.search(rf"\b{surname}\b.*\b{year}\b", entry["text"], re.IGNORECASE), entry["key"]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_what_a_chapter_cites_has_an_entry(chapter: Chapter) -> None:
    assert cited(chapter) <= {entry["key"] for entry in ENTRY.finditer(PAGE)}
    assert without_source(chapter) == []


def test_a_citation_without_an_entry_is_noticed() -> None:
    chapter = next(one for one in CHAPTERS if one.path.stem == "02-checking")
    for old, new in (
        (" curve that has long", " curve that Fermat in 1638 has long"),
        ("](references.md#lyness-1967)", "]"),
        ("](references.md#squire-1998)", "]"),
    ):
        assert old in chapter.text
        text = chapter.text.replace(old, new)
        chapter = parse_chapter(text, chapter.path)
    assert len(without_source(chapter)) == 1
    renamed = parse_chapter(chapter.text.replace("Source: Lyness", "Source: Nobody"), chapter.path)
    assert "nobody-1967" in cited(renamed) - cited(chapter)
