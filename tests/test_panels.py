"""What opens at an equation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from literate.reader import parse_chapter
from literate.tangle.module import tangle
from literate.weave import light, marks, panels
from literate.weave.pages import Book, display
from tests.books import chapter_text

TEXT = chapter_text(
    r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $N$ | how many rows | $\mathbb{N}$ | `N` |
| $D$ | how many columns | $\mathbb{N}$ | `D` |
| $X$ | numbers, $N$ rows | $\mathbb{R}^{N\times D}$ | `X` |
| $w$ | weights | $\mathbb{R}^{D}$ | `w` |
| $y$ | sums | $\mathbb{R}^{N}$ | `weigh(X, w)` |

$$
y_n = \sum_i X_{ni} w_i
$$ {#eq:weigh}

$$
y = X
$$ {#eq:name unchecked="only a name"}

```python tags=["core"] name="weigh"
def weigh(x, w):
    if x is None:
        raise TypeError
    rows = x
    return rows @ w  # eq:weigh
```
"""
)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    folder = tmp_path_factory.mktemp("panels")
    chapters = [parse_chapter(TEXT, folder / "01-weigh.md")]
    return Book(chapters, tangle(chapters), checks=marks.checks(chapters, folder))


def filled(book: Book) -> str:
    return panels.fill('<div class="panel" data-label="eq:weigh"></div>', book)


def test_a_panel_has_the_symbols_in_words(book: Book) -> None:
    text = filled(book)
    assert '<td>numbers, <span class="arithmatex">\\(N\\)</span> rows</td>' in text
    assert '<span class="set">ℝ<sup><i>N</i>×<i>D</i></sup></span>' in text
    assert "<code>weigh(X, w)</code>" in text
    assert "how many rows" not in text  # N does not occur in the equation


def test_a_panel_works_an_entry_out(book: Book) -> None:
    text = filled(book)
    assert text.count(" · ") in (2, 3) and "At <i>n</i> = " in text
    assert 'data-kind="given"' in text and "computed by the module" in text


def test_a_panel_shows_the_code_with_the_lines_before(book: Book) -> None:
    text = filled(book)
    assert '<a href="01-weigh.html#code-weigh"><code>weigh</code></a>' in text
    assert "<pre><code>rows = x\nreturn rows @ w  # eq:weigh</code></pre>" in text


def test_a_panel_says_how_it_was_checked_and_shows_a_slip(book: Book) -> None:
    text = filled(book)
    assert "Checked against backprop_core.weigh: 11 draws." in text
    assert "To see it fail, " in text and "<pre><code>the two sides differ" in text


def test_only_checked_equations_open(book: Book) -> None:
    chapter = book.chapters[0]
    page = "\n".join(display(book, one) for one in chapter.displays)
    opened = panels.with_openers(page, book)
    assert opened.count("<details") == 1
    assert 'href="equations-01-weigh.html#eq-weigh"' in opened
    assert panels.pages(book)["equations-01-weigh.md"].count('<div class="panel"') == 1


def test_the_panels_are_handed_to_the_chapter_as_a_script(book: Book, tmp_path: Path) -> None:
    (tmp_path / "equations-01-weigh.html").write_text(
        light.page(f"<p>before</p>{filled(book)}<p>after</p>"), "utf-8"
    )
    panels.write_scripts(tmp_path)
    script = (tmp_path / "assets" / "panels" / "01-weigh.js").read_text("utf-8")
    assert script.startswith('panels({"eq-weigh":"<p class=part>In words') and "after" not in script


def test_an_equation_without_small_numbers_says_why() -> None:
    example: dict[str, Any] = {"why": "it needs <more>", "equations": []}
    assert panels.with_numbers(example) == "<p>No small example: it needs &lt;more&gt;.</p>"


def test_what_changed_is_shown_with_a_little_around_it() -> None:
    assert panels.changed("a + b = \\sum_k c", "a - b = \\sum_k c") == ("a + b", "a - b")
    assert panels.changed("y = XW", "y = WX") == ("= XW", "= WX")
