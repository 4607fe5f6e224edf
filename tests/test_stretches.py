"""A page in stretches: headings between them, nothing lost, and a height for each that is not far off."""

from __future__ import annotations

import re

from literate.weave.stretches import stretched

WORDS = "word " * 100
LONG = f"<p>{WORDS}<br>{WORDS}</p>\n"


def page(text: str) -> str:
    return f'<article class="x">{text}</article><p>after</p>'


def stretches(text: str) -> list[str]:
    """What stands in each stretch, as the parts between their beginnings."""
    return re.split(r'<div class="stretch" style="--high:\d+px">', stretched(page(text)))[1:]


def test_headings_stand_between_stretches() -> None:
    found = stretches(f'<h1 id="a">A</h1>\n{LONG}{LONG}<h2>B</h2>{LONG}<h3>C</h3><p>short</p>')
    assert len(found) == 2
    assert found[0].endswith("</p>\n</div><h2>B</h2>")
    assert found[1].endswith("</div><h3>C</h3><p>short</p></article><p>after</p>")


def test_nothing_is_lost_and_what_is_short_stays_as_it_is() -> None:
    text = f'<h1>A</h1>{LONG * 5}<div class="eq"><b>1</b></div><img src="a"><hr><h2>B</h2><p>short</p>'
    whole = stretched(page(text))
    left = re.sub(r'<div class="stretch" style="--high:\d+px">', "", whole)
    assert len(left) == len(page(text)) + whole.count("stretch") * len("</div>")
    assert stretched(page("<h1>A</h1><p>short</p>")) == page("<h1>A</h1><p>short</p>")
    assert stretched("<p>no article</p>") == "<p>no article</p>"


def test_a_stretch_ends_where_something_begins_that_needs_nothing_before_it() -> None:
    follows = f'<div class="output"><p>{WORDS * 4}</p></div>'
    found = stretches(LONG * 2 + follows + LONG * 2)
    assert len(found) == 2 and "output" in found[0] and found[1].startswith("<p>")


def test_a_height_counts_what_is_seen() -> None:
    def height(text: str) -> int:
        return int(re.findall(r"--high:(\d+)px", stretched(page(text)))[0])

    code = "<pre><code>" + "a = 1\n" * 200 + "</code></pre>"
    assert 3000 < height(code) < 4500
    assert height(f"<details><summary>more</summary>{code}</details>") < 100
    assert 300 < height(LONG * 2) < 1200
    figure = f'<figure><img src="a" height="300"></figure><p>{"<b></b>" * 200}</p>'
    assert 300 <= height(figure) < 400
    assert height(figure.replace("<p>", "<figure><img src='b' height=\"200\"></figure><p>")) < 400
