"""Numbers in alternative texts: the figure, or the code of its section, has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from literate.chapter import BookError
from literate.prove.alternatives import NUMBER
from literate.prove.numbers import check_typed, compared
from literate.prove.session import Failure, Session
from literate.prove.unbound import listed
from literate.reader import parse_chapter, read_book
from tests.books import chapter_text, saying

FIGURE = """
```python tags=["hide-input"] alt="A line from 0 to 7, at whose end stands 0.46; below it minus 3."
fig, ax = plt.subplots()
ax.plot([0, 7])
ax.text(1, 7, f"{0.23 * 2:.2f}")
ax.set_title("−3");
```
"""
MISTAKES = [("stands 0.46", "stands 0.64"), ("to 7", "to 9"), ("minus 3", "minus 5")]


def ran(folder: Path, body: str) -> Session:
    path = folder / "01-sample.md"
    imports = "import matplotlib.pyplot as plt\nimport numpy as np"
    path.write_text(chapter_text(body).replace("import numpy as np", imports, 1), encoding="utf-8")
    with Session.of(path) as session:
        session.run_to(len(session.chapter.cells))
    return session


def test_numbers_that_are_drawn_or_set_pass(tmp_path: Path) -> None:
    ran(tmp_path, FIGURE)


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_a_number_that_is_nowhere_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    with pytest.raises(Failure, match=f"the alternative text says {wrong.split()[1]}, which neither"):
        ran(tmp_path, FIGURE.replace(right, wrong))


def test_a_number_on_the_list_passes_wherever_the_chapter_is_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unbound.toml").write_text("'a length' = ['1: 9 in a figure']\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ran(Path(), FIGURE.replace("to 7", "to 9"))
    with pytest.raises(Failure, match="the alternative text says 5, which neither"):
        ran(Path(), FIGURE.replace("minus 3", "minus 5"))


def test_the_list_has_no_number_that_no_figure_says() -> None:
    figures = [(chapter, cell.alt) for chapter in read_book() for cell in chapter.cells if cell.alt]
    said = {
        f"{c.number}: {number} in a figure"
        for c, alt in figures
        for number in [*NUMBER.findall(alt), *compared(alt)]
    }
    assert {one for one in listed() if one.endswith(" in a figure")} <= said


COMPARISONS = [
    ("about three times lower", "about ten times lower"),
    ("less than a third as far", "less than a tenth as far"),
    ("falls twice as steeply", "falls three times as steeply"),
]


@pytest.mark.parametrize(("right", "wrong"), COMPARISONS)
def test_another_comparison_is_found(right: str, wrong: str) -> None:
    chapter = saying(right, read_book())
    with pytest.raises(BookError, match="the alternative text says"):
        check_typed(parse_chapter(chapter.text.replace(right, wrong), chapter.path))
