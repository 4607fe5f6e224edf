"""Sections "For the library" are folded on the page, as a whole, and open in the book in one file."""

from __future__ import annotations

import re

from literate.weave.stretches import folded, stretched

WORDS = f"<p>{'word ' * 300}</p>\n"
CELL = '<div id="code-a">\n<div class="core highlight"><pre><code>a</code></pre></div>\n</div>\n'


LINK = '<a class="headerlink" href="#x" title="Permanent link">&para;</a>'


def h(level: int, text: str) -> str:
    return f'<h{level} id="{text}">{text}{LINK}</h{level}>'


def page(*parts: str) -> str:
    return f'<article class="x">{"".join(parts)}<p class="to-exercises">6</p></article><footer></footer>'


def inside(text: str) -> list[str]:
    return re.findall(r'<details class="library">(.*?)</details><!-- library -->', folded(text), re.S)


def test_a_section_reaches_to_the_next_heading_that_is_not_below_it() -> None:
    parts = h(2, "Idea"), "<p>1</p>", h(2, "For the library"), CELL, h(3, "More"), "<p>2</p>"
    (fold,) = inside(page(*parts, h(2, "What is missing"), "<p>3</p>"))
    title = parts[2].replace(LINK, "")  # it would be pressed in place of the summary
    assert fold.startswith(f"<summary>{title} <span>") and fold.endswith(CELL + h(3, "More") + "<p>2</p>")
    (fold,) = inside(page(h(2, "Idea"), h(3, "For the library: more"), CELL, h(3, "Next"), "<p>3</p>"))
    assert fold.endswith(CELL)
    (fold,) = inside(page(h(2, "Idea"), h(4, "For the library"), CELL, h(2, "Next"), "<p>3</p>"))
    assert fold.endswith(CELL)
    (fold,) = inside(page(h(2, "For the library"), CELL))  # the last section
    assert fold.endswith(CELL)


def test_several_are_folded_and_none_within_another() -> None:
    inner = h(3, "For the library: b")
    text = page(h(2, "For the library: a"), inner, CELL, h(2, "For the library: c"), CELL)
    folds = inside(text)
    assert len(folds) == 2 == folded(text).count("<details") and inner in folds[0]


def test_a_fold_says_what_is_in_it() -> None:
    def says(text: str) -> list[str]:
        return re.findall(r"</h\d> <span>(.*?)</span></summary>", folded(page(text)))

    assert says(h(2, "For the library") + CELL * 2) == ["options, checks, messages · 2 cells of the module"]
    assert says(h(2, "For the library: speed") + CELL) == ["1 cell of the module"]
    assert says(h(2, "For the library")) == ["options, checks, messages"]


def test_nothing_else_is_touched() -> None:
    text = page(h(2, "Idea"), WORDS, h(2, "For the library"), CELL, h(2, "Next"), WORDS)
    left = re.sub(r"</?details[^>]*>|</?summary>| <span>.*?</span>|<!-- library -->", "", folded(text))
    assert left == text.replace(h(2, "For the library"), h(2, "For the library").replace(LINK, ""))
    for other in (
        page(h(2, "Not For the library"), CELL, "<p>For the library</p>"),
        page(h(2, "For the library"), CELL).replace(' title="Permanent link"', ""),  # of a notebook
        page(h(2, "For the library"), CELL).replace("article", "section").replace("to-exercises", ""),
    ):
        assert folded(other) == other


def test_stretches_are_inside_of_a_fold_and_do_not_hold_it() -> None:
    text = page(h(2, "Idea"), WORDS, h(2, "For the library"), WORDS, h(3, "More"), WORDS, h(2, "Next"), WORDS)
    whole = stretched(folded(text))
    assert whole.count('<div class="stretch"') == 4
    before, fold = whole.split("</details>")[0].split('<details class="library">')
    for part in before, fold:
        assert part.count("<div") == part.count("</div>")
    assert re.search(rf"</div>{re.escape(h(3, 'More'))}<div", whole)
