"""References in the prose: each chapter and book/references.toml agree; another label is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from literate.chapter import BookError, Chapter
from literate.prove.references import link_findings, listed_references, reference_findings
from literate.reader import parse_chapter, read_book
from tests.books import chapter, chapter_text, core, saying

MISTAKES = [  # what a sentence says, and a wrong label that exists, or a pair that changed places
    ("That takes @eq:linear-dx,", "That takes @eq:linear-dw,"),
    ("The sum @eq:adagrad-sum can", "The sum @eq:rmsprop-average can"),
    ("In @eq:lstm-dh", "In @eq:lstm-dcell"),
    (
        "the sum @eq:chain-many is the matrix product\n@eq:chain-matrix",
        "the sum @eq:chain-matrix is the matrix product\n@eq:chain-many",
    ),
    ("From @eq:lstm-da on", "From here on"),
    ("From @eq:lstm-da on", "From @eq:lstm-da and @eq:lstm-h on"),
]


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    return read_book()


def test_chapters_and_list_agree(chapters: list[Chapter]) -> None:
    assert [str(one) for chapter in chapters for one in reference_findings(chapter)] == []
    referring = {chapter.path.stem for chapter in chapters if chapter.references}
    apart = sorted(listed_references().keys() ^ referring)
    assert not apart, f"add to book/references.toml, or take out of it: {apart}"
    assert sum(map(len, listed_references().values())) > 250


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_another_reference_is_found(chapters: list[Chapter], right: str, wrong: str) -> None:
    chapter = saying(right, chapters)
    (found,) = reference_findings(parse_chapter(chapter.text.replace(right, wrong, 1), chapter.path))
    assert "change the one that is wrong" in str(found)


def test_a_chapter_that_is_not_on_the_list_is_left_alone(chapters: list[Chapter]) -> None:
    chapter = next(one for one in chapters if one.path.stem == "20-recurrence")
    text = chapter.text.replace("@eq:lstm-dh", "@eq:lstm-dcell")
    assert list(reference_findings(parse_chapter(text, chapter.path)))
    assert not list(reference_findings(parse_chapter(text, chapter.path.with_stem("99-yours"))))


def test_the_list_may_be_missing_but_not_broken(tmp_path: Path) -> None:
    assert listed_references(tmp_path) == {}
    for text, said in [("04 = ", "not TOML"), ("04 = 3", "not a table of texts")]:
        (tmp_path / "references.toml").write_text(text, encoding="utf-8")
        with pytest.raises(BookError, match=said):
            listed_references(tmp_path)


NOWHERE = {
    "[a](nothing.md)": "there is no file nothing.md to link to",
    "[a](data/nothing.txt)": "there is no file data/nothing.txt to link to",
    "[a](03-other.md#there)": "there is no file 03-other.md to link to",
    "[a][b], not `[c](04-d.md)`\n\n[b]: ./03-other.md": "there is no file ./03-other.md to link to",
    "[a](#nowhere)": "01-sample.md has no heading or label that makes #nowhere",
    "[a][b]\n\n[b]: 02-x.md#nowhere": "02-x.md has no heading or label that makes #nowhere",
    "[a](02-x.md#eq-none)": "02-x.md has no heading or label that makes #eq-none",
}
SOMEWHERE = """
[a](#two-words) [b](#two-words_1) [c](#own) [d](02-x.md#eq-x) [e](02-x.md#code-f) [f](data/x.txt)
[g](checks.md) [h](https://nowhere.org/x.md#y) `[i](nothing.md)` [j](mailto:a@b.org)

## Two *words*

## Two words

## Other {#own}
"""


def test_links_lead_somewhere(tmp_path: Path) -> None:
    def findings(body: str) -> list[str]:
        one = chapter(body, folder=tmp_path)
        one.path.write_text(one.text)
        return [finding.message for finding in link_findings(one)]

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").touch()
    (tmp_path / "02-x.md").write_text(chapter_text("$$\nx\n$$ {#eq:x}\n" + core("def f(): ...", "f")))
    assert findings(SOMEWHERE) == []
    for body, message in NOWHERE.items():
        assert findings(body) == [message]


LINKS = [
    ("[chapter 8](08-signal.md)", "[chapter 9](08-signal.md)"),
    ("[Chapter 16](16-tensor-tape.md)", "[Chapter 19](16-tensor-tape.md)"),
    ("[3](03-chain-rule.md)", "[4](03-chain-rule.md)"),
]


@pytest.mark.parametrize(("right", "wrong"), LINKS)
def test_a_link_that_says_another_chapter_is_found(chapters: list[Chapter], right: str, wrong: str) -> None:
    chapter = saying(right, chapters)
    assert not list(link_findings(chapter))
    (found,) = link_findings(parse_chapter(chapter.text.replace(right, wrong, 1), chapter.path))
    assert f"says chapter {wrong.split(']')[0].split()[-1].strip('[')} and leads to" in str(found)
