"""The page of references: what a chapter cites has an entry there, which names the chapters that cite it."""

from __future__ import annotations

import re
import unicodedata

import pytest

from literate.chapter import BOOK, Chapter
from literate.prove.numbers import prose
from literate.reader import parse_chapter, read_book
from tests.books import saying

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
NAME = r"(?:[A-Z][\w.’'-]* )*[A-Z][\w-]{1,}"
AUTHORS = re.compile(rf"((?:{NAME}(?:, | and ))*{NAME})(?: and others)?,? \(?$")
INITIALS = re.compile(r"\b(?:[A-Z]\w?\.|After) ?")
GIVEN = re.compile(r"\b([A-Z]\w?)\. (?:[A-Z]\. )*([A-Z][\w-]+)")
WHERE = re.compile(r"\*([^*]+)\*|(?<!\w)(\d+(?:–\d+)?)(?![\w/])")


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
            named = re.split(", | and ", INITIALS.sub("", authors[1])) if title and authors else []
            missing = [word for word in (*title, *named) if bare(word) not in entry]
            in_order = sorted(named, key=lambda name: entry.find(bare(name)))
            missing += [word for word, other in zip(named, in_order, strict=True) if word != other]
            for initial, name in GIVEN.findall(authors[1] if title and authors else ""):
                given = rf"\b{initial}\w*\.? (?:\w\. )*{name}\b"
                missing += [f"{initial}. {name}"] * (not re.search(given, entry, re.IGNORECASE))
            said = [word for word in (surname, year) if word in bare(LINKED.sub(r"\1", paragraph))]
            own = re.search(rf"class {re.escape(link[1])}\b.*?{SOURCE.pattern}", chapter.text, re.DOTALL)
            if paragraph.lstrip().startswith("[^"):  # where it appeared
                rest = re.split(r"[;<\[]|\. ", paragraph[link.end() :])[0]
                missing += [one for found in WHERE.findall(rest) if bare(one := "".join(found)) not in entry]
            if title or not (said or (own and surname in bare(own[1]) and year in own[1])):
                missing += [word for word in (surname, year) if word not in said]
            found += [f"{link[2]}: {word}" for word in missing]
    return found


def years_of_nobody(chapter: Chapter) -> list[str]:
    """Years that a paragraph which cites something gives to none of what it cites."""
    text = "\n".join(prose(chapter))
    notes = dict(re.findall(r"^\[\^(\w+)\]: (.*(?:\n(?=    ).*)*)", text, re.MULTILINE))
    found = []
    for paragraph in re.split(r"\n\s*\n", re.sub(r"^\[\^\w+\]:.*$", "", text, flags=re.MULTILINE)):
        cited = " ".join([paragraph, *(notes.get(one, "") for one in re.findall(r"\[\^(\w+)\]", paragraph))])
        plain = re.sub(r"`[^`]*`|\$[^$]*\$|<!--.*?-->|\]\([^)]*\)", "", paragraph)
        if keys := LINK.findall(cited):
            found += [year for year in YEAR.findall(plain) if year not in "".join(keys)]
    return found


PAIR = re.compile(r"([A-Z][\w-]+) and ([A-Z][\w-]+)")


def strangers(chapter: Chapter) -> list[str]:
    """Two names of which an entry that a paragraph cites has one, and none has both."""
    entries = {entry["key"]: bare(entry["text"]) for entry in ENTRY.finditer(PAGE)}
    text = "\n".join(prose(chapter))
    notes = dict(re.findall(r"^\[\^(\w+)\]: (.*)", text, re.MULTILINE))
    found = []
    for paragraph in re.split(r"\n\s*\n", re.sub(r"^\[\^\w+\]:.*$", "", text, flags=re.MULTILINE)):
        cited = " ".join([paragraph, *(notes.get(one, "") for one in re.findall(r"\[\^(\w+)\]", paragraph))])
        for pair in PAIR.findall(LINKED.sub("", paragraph)):
            named = [sum(bare(name) in entries[key] for name in pair) for key in LINK.findall(cited)]
            found += [" and ".join(pair)] * (max(named, default=0) == 1)
    return found


# What an entry says of a journal's volume, and of pages, must be possible.
VOLUME = re.compile(r"\*([A-Z][^*]+)\* (\d+) \((\d{4})\)")


def impossible(page: str) -> list[str]:
    """Volumes and years of one journal that do not go together, pages that run backwards, arXiv's dates."""
    begins: dict[str, set[int]] = {}
    for journal, volume, year in VOLUME.findall(page):
        begins.setdefault(journal, set()).add(int(year) - int(volume))
    found = [journal for journal, years in begins.items() if len(years) > 1]
    found += [f"{a}–{b}" for a, b in re.findall(r"pages (\d+)–(\d+)", page) if not 0 < int(b) - int(a) < 60]
    dates = re.findall(r"arXiv:(\d\d)(\d\d)\.\d{5} \((\d{4})\)", page)
    return found + [f"{y}{m}" for y, m, said in dates if f"20{y}" != said or not 1 <= int(m) <= 12]


IMPOSSIBLE = [
    ("*Neural Computation* 9 (1997)", "*Neural Computation* 6 (1997)"),
    ("Learning Research* 12 (2011)", "Learning Research* 21 (2011)"),
    ("pages 1735–1780", "pages 1780–1735"),
    ("pages 157–166", "pages 157–266"),
    ("arXiv:1607.06450", "arXiv:1706.06450"),
]


def test_the_page_says_nothing_impossible() -> None:
    assert impossible(PAGE) == []
    assert len(VOLUME.findall(PAGE)) > 15


@pytest.mark.parametrize(("right", "wrong"), IMPOSSIBLE)
def test_what_is_impossible_is_noticed(right: str, wrong: str) -> None:
    assert right in PAGE and impossible(PAGE.replace(right, wrong))


WRONG = [
    ("references.md#pascanu-2013", "references.md#elman-1990", "elman"),
    ("*Achieving logarithmic growth", "*Achieving linear growth", "Achieving linear"),
    ("Chen, Xu, Zhang and Guestrin", "Chen, Wu, Zhang and Guestrin", "Wu"),
    ("references.md#chen-2016), 2016)", "references.md#chen-2016), 2017)", "2016"),
    ("Zhang, Dauphin and Ma", "Zhang, Ma and Dauphin", "Ma"),
    ("Squire and Trapp, [", "Trapp and Squire, [", "Trapp"),
    ("Walter Baur and Volker", "Walter Bauer and Volker", "Walter Bauer"),
    ("*Theoretical Computer Science* 22", "*Theoretical Computer Science* 23", "23"),
    ("pages 1929–1958.", "pages 1929–1985.", "1929–1985"),
    ("NeurIPS* 2019", "ICLR* 2019", "ICLR"),
    ("X. Glorot and Y. Bengio", "X. Glorot and S. Bengio", "S. Bengio"),
    ("K. He, X. Zhang", "K. He, Y. Zhang", "Y. Zhang"),
    ("Yu. Nesterov", "Yo. Nesterov", "Yo. Nesterov"),
]
YEARS = [
    ("In 2010 Glorot and Bengio", "In 2011 Glorot and Bengio"),
    ("In 2015 Kaiming He", "In 2016 Kaiming He"),
]


@pytest.mark.parametrize(("right", "wrong"), YEARS)
def test_a_year_of_nothing_that_is_cited_is_noticed(right: str, wrong: str) -> None:
    chapter = saying(right, CHAPTERS)
    (year,) = years_of_nobody(parse_chapter(chapter.text.replace(right, wrong), chapter.path))
    assert year in wrong


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("Widrow and Hoff", "Widrow and Hopf"), ("Ioffe and Szegedy", "Ioffe and Hinton")],
)
def test_a_name_that_no_source_has_is_noticed(right: str, wrong: str) -> None:
    chapter = saying(right, CHAPTERS)
    (found,) = strangers(parse_chapter(chapter.text.replace(right, wrong), chapter.path))
    assert found == wrong


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG)
def test_a_source_told_otherwise_than_its_entry_is_noticed(right: str, wrong: str, said: str) -> None:
    chapter = saying(right, CHAPTERS)
    (found, *_) = told_otherwise(parse_chapter(chapter.text.replace(right, wrong), chapter.path))
    assert said in found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_a_source_is_told_as_its_entry_has_it(chapter: Chapter) -> None:
    assert told_otherwise(chapter) == []
    assert years_of_nobody(chapter) == []
    assert strangers(chapter) == []


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
