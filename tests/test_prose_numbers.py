"""Numbers in prose: found when out of date, rewritten, and left alone when the chapter is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from literate.chapter import BookError
from literate.prove.numbers import check_typed, prose, settings, unbound_numbers
from literate.prove.unbound import listed
from literate.reader import parse_chapter, read_book
from prose_numbers import main
from tests.books import chapter_text, saying

HEADER = chapter_text("")
LOSS = """\
```python
loss = 0.5
print(loss)
```

It is 0.4<!-- = loss --> or **1.5<!-- = f"{loss + 1}" -->**, not 10.4<!-- = loss + 10 -->.

```python
loss = 0.25
print(loss)
```

| loss | 0.4<!-- = loss --> |
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "01-sample.md"


def test_check_says_what_is_out_of_date_and_writes_nothing(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(HEADER + LOSS, encoding="utf-8")
    assert main(["--check", str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:20: 0.4 is now 0.5",
        f"{path}:20: 10.4 is now 10.5",
        f"{path}:27: 0.4 is now 0.25",
    ]
    assert path.read_text(encoding="utf-8") == HEADER + LOSS


def test_update_writes_what_the_expressions_give(path: Path) -> None:
    path.write_text(HEADER + LOSS, encoding="utf-8")
    assert main(["--update", str(path)]) == 0
    expected = LOSS.replace("is 0.4<", "is 0.5<").replace("10.4<", "10.5<").replace("| 0.4<", "| 0.25<")
    assert path.read_text(encoding="utf-8") == HEADER + expected
    assert main(["--check", str(path)]) == 0


def test_update_leaves_a_right_chapter_alone(path: Path) -> None:
    path.write_text(f"{HEADER}It is 2<!-- = 1 + 1 -->.\n", encoding="utf-8")
    os.utime(path, (0, 0))
    assert main(["--update", str(path)]) == 0
    assert path.stat().st_mtime == 0


@pytest.mark.parametrize(
    "body, complaint",
    [
        ("It is 1<!-- = loss -->.", "15: NameError: name 'loss' is not defined"),
        ("Is 1<!-- = (1, 2) -->.", "15: (1, 2) gives '(1, 2)'; format it as one number"),
        ("```python\n1 / 0\n```\n\nNow 1<!-- = 2 -->.", "16: ZeroDivisionError: division by zero"),
        ("```bash\nls\n```", "15: Jupyter would execute a 'bash' fence; write ```console to show it"),
    ],
)
def test_a_mistake_in_the_chapter_is_told_and_nothing_written(
    path: Path, capsys: pytest.CaptureFixture[str], body: str, complaint: str
) -> None:
    path.write_text(f"{HEADER}{body}\n", encoding="utf-8")
    assert main(["--update", str(path)]) == 1
    assert capsys.readouterr().err.splitlines()[0] == f"{path}:{complaint}"
    assert path.read_text(encoding="utf-8") == f"{HEADER}{body}\n"


def test_a_file_that_is_no_chapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path / "notes.md")]) == 1
    assert "not a chapter: expected a file like 04-linear.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    "claim", ["It is 0.75 now.", "In 75 % of cases.", "It is 75 times faster.", "About 7e-5."]
)
def test_a_typed_result_is_refused(path: Path, claim: str, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(f"{HEADER}{claim}\n", encoding="utf-8")
    assert main(["--check", str(path)]) == 1
    assert " claims a result; write " in capsys.readouterr().err.partition(f"{path}:15: ")[2]


@pytest.mark.parametrize(
    "text",
    [
        "With a rate of 0.5 it works.\n\n```python\nrate = 0.5\nprint(rate)\n```",  # a setting of the code
        "It is $0.75$ and `0.75`, as [here](a-0.75.md), in 7 ways.",
        "It is 0.75<!-- = 3 / 4 -->.",
        "| 0.75 | a table |",
    ],
)
def test_settings_formulas_and_computed_numbers_are_not_claims(path: Path, text: str) -> None:
    path.write_text(f"{HEADER}{text}\n", encoding="utf-8")
    assert main(["--check", str(path)]) == 0


SETTINGS = [  # a sentence, or the code that it speaks of
    ("in batches of fifty", "in batches of sixty"),
    ("epochs=4, batch=50", "epochs=4, batch=40"),
    ("medians of five seeds", "medians of nine seeds"),
    ("and 400 numbers in each vector", "and 256 numbers in each vector"),
    ("through fifty blocks for three epochs", "through fifty blocks for seven epochs"),
    ("about every 61st number", "about every 59th number"),
    ("Take 400 of the handwritten digits", "Take 300 of the handwritten digits"),
    ("up to 256 random rows", "up to 512 random rows"),
    ("give every fourth a wrong label", "give every fifth a wrong label"),
    # another number of the same section, but not of the cells beside the sentence
    ("we take twenty networks", "we take ten networks"),
    ("measured from 20 to 100 steps back", "measured from 35 to 100 steps back"),
    ("With ten keys and 400 numbers", "With five keys and 400 numbers"),
    ("tanh within 0.02 of either end", "tanh within 0.05 of either end"),
    # in a table
    ("one batch of up to 256 rows", "one batch of up to 128 rows"),
    ("two hundred steps on the same", "nine hundred steps on the same"),
    ("gap in the middle and values near 255", "gap in the middle and values near 127"),
]


@pytest.mark.parametrize(("right", "wrong"), SETTINGS)
def test_a_setting_that_the_code_of_the_section_has_not(right: str, wrong: str) -> None:
    chapter = saying(right, read_book())
    check_typed(chapter)
    with pytest.raises(BookError, match="the code beside this sentence has no number"):
        check_typed(parse_chapter(chapter.text.replace(right, wrong, 1), chapter.path))


def test_numbers_in_words() -> None:
    text = (
        "Two thousand, 61st, a hundred thousand; fifty, 1,797 of 12; five seeds, 4 small layers, 3 ways, 1989"
    )
    assert [value for _, value in settings(text)] == [2000, 61, 100_000, 50, 1797, 12, 5, 4]


def test_the_list_has_no_number_that_no_sentence_says() -> None:
    said = {
        f"{chapter.number}: {said} in a sentence"
        for chapter in read_book()
        for line, text in enumerate(prose(chapter, tables=True), 1)
        for said, _ in unbound_numbers(chapter, line, text)
    }
    assert {one for one in listed() if one.endswith(" in a sentence")} <= said
