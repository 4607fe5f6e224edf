"""The page of references: what a chapter cites has an entry there, which names the chapters that cite it."""

from __future__ import annotations

import re
import unicodedata

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
    return {*LINK.findall(chapter.text), *sources(chapter)}


def sources(chapter: Chapter) -> list[str]:
    """The keys of the sources that its docstrings name."""
    named = map(AUTHOR_AND_YEAR.match, ";".join(SOURCE.findall(chapter.text)).split(";"))
    return [f"{one[1].lower()}-{one[2]}" for one in named if one]


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


LINKED = re.compile(r"\[([^\[\]]*)\]\(references\.md#([\w-]+)\)")
AUTHORS = re.compile(r"((?:(?:[A-Z][\w’'-]+)(?:, | and ))*[A-Z][\w-]{2,}) \(?$")


def bare(text: str) -> str:
    """Lower case, without accents, emphasis, quotation marks, and in single spaces."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.sub(r"[*\"]", "", letters).split())


def told_otherwise(chapter: Chapter) -> list[str]:
    """What a paragraph says of a source, and its entry does not: author, year, title."""
    entries = {entry["key"]: bare(entry["text"]) for entry in ENTRY.finditer(PAGE)}
    lines = ["\n\n" + line if line.startswith("[^") else line for line in prose(chapter)]
    found = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        for link in LINKED.finditer(paragraph):
            entry, (surname, year) = entries[link[2]], link[2].split("-")[:2]
            authors = AUTHORS.search(paragraph[: link.start()].replace("\n", " "))
            title = [link[1]] if link[1][:1] in '*"' else []
            named = re.split(", | and ", authors[1]) if title and authors else []
            missing = [word for word in (*title, *named) if bare(word) not in entry]
            said = [word for word in (surname, year) if word in bare(LINKED.sub(r"\1", paragraph))]
            own = re.search(rf"class {re.escape(link[1])}\b.*?{SOURCE.pattern}", chapter.text, re.DOTALL)
            if title or not (said or (own and surname in bare(own[1]) and year in own[1])):
                missing += [word for word in (surname, year) if word not in said]
            found += [f"{link[2]}: {word}" for word in missing]
    return found


WRONG = [
    ("references.md#pascanu-2013", "references.md#elman-1990", "elman"),
    ("*Achieving logarithmic growth", "*Achieving linear growth", "Achieving linear"),
    ("Chen, Xu, Zhang and Guestrin", "Chen, Wu, Zhang and Guestrin", "Wu"),
    ("references.md#chen-2016), 2016)", "references.md#chen-2016), 2017)", "2016"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG)
def test_a_source_told_otherwise_than_its_entry_is_noticed(right: str, wrong: str, said: str) -> None:
    chapter = next(one for one in CHAPTERS if right in one.text)
    (found, *_) = told_otherwise(parse_chapter(chapter.text.replace(right, wrong), chapter.path))
    assert said in found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_a_source_is_told_as_its_entry_has_it(chapter: Chapter) -> None:
    assert told_otherwise(chapter) == []


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
        (" curve[^squire]", " curve, which Fermat in 1638 and others knew[^squire]"),
        ("](references.md#lyness-1967)", "]"),
        ("](references.md#squire-1998)", "]"),
    ):
        assert old in chapter.text
        text = chapter.text.replace(old, new)
        chapter = parse_chapter(text, chapter.path)
    assert [text[:9] for text in without_source(chapter)] == ["[^squire]", "[^lyness]"]
    renamed = parse_chapter(chapter.text.replace("Source: Lyness", "Source: Nobody"), chapter.path)
    assert "nobody-1967" in cited(renamed) - cited(chapter)
