"""Pages are light, and look as if they were not."""

from __future__ import annotations

import re
from pathlib import Path

import material
import pytest
from material.plugins.search import plugin as search

from literate.chapter import BOOK, ROOT
from literate.reader import read_book
from literate.tangle.module import tangle
from literate.weave import backmatter, katex, light
from literate.weave.finish import finished
from literate.weave.pages import Book

KATEX = (ROOT / "node_modules" / "katex" / "dist" / "katex.min.css").read_text(encoding="utf-8")
HEAVIEST = 350_000  # bytes of a page of the back matter, its formulas set
HEAVIEST_SHEET = 500_000  # of the cheat sheet, which has all formulas on one page
HEAVIEST_CHAPTER = 300_000  # of a chapter's text, its formulas set: without outputs, figures and colours


@pytest.fixture(scope="module")
def book() -> Book:
    chapters = read_book(BOOK)
    return Book(chapters, tangle(chapters))


@pytest.fixture(scope="module")
def weights(book: Book) -> dict[str, int]:
    """The bytes of what the site says of each page's formulas."""
    texts = {chapter.path.name: chapter.text for chapter in book.chapters}
    texts |= backmatter.pages(book)
    found = {name: formulas_of(text) for name, text in texts.items()}
    every = sorted({formula for formulas in found.values() for formula in formulas})
    set_, _ = light.formulas(katex._katex(every, book.chapters), KATEX)
    size = dict(zip(every, map(len, set_), strict=True))
    return {name: len(texts[name]) + sum(size[one] for one in formulas) for name, formulas in found.items()}


def formulas_of(text: str) -> list[katex.Formula]:
    text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", text)
    shown = re.findall(r"\\\[(.*?)\\\]", text, flags=re.S) + re.findall(r"(?ms)^\$\$\n(.*?)\n\$\$", text)
    text = re.sub(r"(?ms)^\$\$.*?^\$\$", "", text)
    return [(katex.html.unescape(tex).strip(), True) for tex in shown] + [
        (tex, False) for tex in re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", light.sets(text))
    ]


def test_no_page_of_the_back_matter_is_heavy(weights: dict[str, int], book: Book) -> None:
    back = {name: weights[name] for name in backmatter.pages(book)}
    assert back.pop("cheatsheet.md") <= HEAVIEST_SHEET
    assert {name: weight for name, weight in back.items() if weight > HEAVIEST} == {}
    assert max(back.values()) > 50_000  # they were weighed


def test_no_chapter_is_heavy_with_formulas(weights: dict[str, int], book: Book) -> None:
    chapters = {chapter.path.name: weights[chapter.path.name] for chapter in book.chapters}
    assert {name: weight for name, weight in chapters.items() if weight > HEAVIEST_CHAPTER} == {}


FORMULA = (
    '<span class="katex"><span class="katex-mathml"><math xmlns="http://www.w3.org/1998/Math/MathML"><semantics>'
    '<mrow><mi>W</mi><mspace width="1em"></mspace><mrow><mo stretchy="false">+</mo></mrow>'
    '<mi mathvariant="normal">d</mi><mi mathvariant="bold">x</mi></mrow>'
    '<annotation encoding="application/x-tex">W</annotation></semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span class="katex-base">'
    '<span class="katex-strut" style="height:1em;top:2em;"></span>'
    '<span class="mord mathnormal" style="height:1em;top:2em;">W</span><span class="mord">1</span>'
    '<span class="vlist"><span class="mord">2</span></span></span></span></span>'
)
STYLE = ".katex .katex-strut{a:b}.katex .katex-base{}.katex .mathnormal{c:d}.katex .vlist>span{e:url(f.woff)}"


def test_formulas_have_short_names_and_no_boxes_that_nothing_tells_apart() -> None:
    (formula,), css = light.formulas([FORMULA], STYLE)
    assert light.page(formula) == (
        "<span class=katex><span class=katex-mathml>"
        "<math><mi>W</mi><mrow><mo>+</mo></mrow><mi>d</mi><mi mathvariant=bold>x</mi></math></span>"
        '<span class=katex-html aria-hidden=true><b class=_b><b class="_c _a"></b><b class="_d _a">W</b>1'
        "<b class=_e><b>2</b></b></b></span></span>"
    )
    assert css == (
        ".katex ._c{a:b}.katex ._b{}.katex ._d{c:d}.katex ._e>b{e:url(f.woff)}.katex b{font-weight:inherit}"
        "._a{height:1em!important;top:2em!important}"
    )


def test_a_letter_alone_is_text() -> None:
    letter = (
        '<span class="katex"><span class="katex-mathml"><math><mi>W</mi></math></span>'
        '<span class="katex-html" aria-hidden="true"><span class="katex-base"><span class="katex-strut" '
        'style="height:1em;"></span><span class="mord mathnormal"{}>W</span></span></span></span>'
    )
    pair, _ = light.formulas([letter.format(""), letter.format(' style="margin-right:1em;"')], STYLE)
    assert [re.sub("_.", "_", one) for one in pair] == ["<i class=katex>W</i>", '<i class="katex _">W</i>']
    assert katex._plain(pair[0]) == "W"


def test_no_class_of_katex_is_left_with_a_name_that_its_style_lost(book: Book) -> None:
    every = sorted({one for chapter in book.chapters for one in formulas_of(chapter.text)})
    set_, css = light.formulas(katex._katex(every, book.chapters), KATEX)
    used = {
        name
        for text in set_
        for names in re.findall(r'class=("[\w -]+"|[\w-]+)', text)
        for name in names.strip('"').split()
    }
    defined = set(re.findall(r"\.([A-Za-z_][\w-]*)(?=[^{}]*\{)", css))
    assert used - defined == set() and len(used) > 300
    assert not re.search(r'<b [^>]*style=|<span(?! class="?katex)', "".join(set_))
    assert "<span" not in light.CLASS.sub("", css) and ">span" not in css


def test_the_names_of_lengths_are_distinct_and_new() -> None:
    names = [light._letters(number) for number in range(2000)]
    assert len(set(names)) == 2000
    assert not re.search(r"\._[a-z]", KATEX)


def test_code_loses_marks_that_change_no_colour() -> None:
    before = (
        '<span></span><code><span class="n">x</span><span class="w"> </span><span class="o">+</span> '
        '<span class="ow">not</span> <span class="k">in</span> <span class="mi">1</span>'
        '<span class="kc">None</span>'
        '<span class="c1"># <a href="#a">a</a></span></code>'
    )
    assert light.code(f'<span class="n">a</span><pre>{before}</pre>') == (
        '<span class="n">a</span><pre><code>x + <i class=k>not in</i> 1None'
        '<span class="c1"># <a href="#a">a</a></span></code></pre>'
    )


def test_marks_that_become_one_have_one_colour() -> None:
    """Material's own style sheet, and ours for the one that we colour otherwise."""
    folder = Path(material.__file__).parent / "templates" / "assets" / "stylesheets"
    css = next(folder.glob("main.*.css")).read_text(encoding="utf-8")
    rules = re.findall(r"([^{}]*)\{color:var\(--md-code-hl-(\w+)-color\)\}", css)
    colour = {mark: name for marks, name in rules for mark in re.findall(r"\.highlight \.(\w+)", marks)}
    for marks in light.COLOURS:
        assert len({colour[mark] for mark in marks.split()} - {"operator"}) == 1, marks
    plain = {name for mark, name in colour.items() if mark not in {*light.COLOUR, "bp"}}
    assert plain == {"name", "variable", "operator", "punctuation", "number"}


def test_blanks_go_where_they_mean_nothing() -> None:
    page = "<p>a  b \n\n  c</p>\n<pre>  d\n\n</pre>\n\n<script>  e</script>  <i>f</i> <i>g\u00a0 </i>"
    assert light.page(page) == (
        "<p>a b\nc</p>\n<pre>  d\n\n</pre>\n<script>  e</script> <i>f</i> <i>g\u00a0 </i>"
    )


def test_quotes_go_where_html_can_do_without() -> None:
    page = """<div class="eq" id="a"><span class="b">c</span><p class="d"><pre><div class="g"></pre>"""
    page += """<div class="stretch" style="--high:9px"><a href="x.html" class="e">f="g" </a>"""
    page += """<li class="g h"><path d="M1"/><p data-x='{"a":"b"}'>"""
    assert light.page(page) == (
        """<div class=eq id=a><span class=b>c</span><p class=d><pre><div class="g"></pre>"""
        """<div class=stretch style=--high:9px><a href="x.html" class=e>f="g" </a><li class="g h">"""
        """<path d="M1"/><p data-x='{"a":"b"}'>"""
    )


def test_a_drawing_inside_a_page_needs_no_name_of_its_language() -> None:
    page = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0"/></svg>'
    assert light.page(page) == '<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>'


def test_what_looks_for_quotes_comes_before_they_go() -> None:
    link = '<a class="headerlink" href="#x" title="Permanent link">&para;</a>'
    heading = f'<article><h2 id="x">For the library: more{link}</h2><p class="a">text</p></article>'
    page = finished(f"<html><body>{heading}{link}</body></html>", {}, set(), "assets/")
    assert "<details class=library><summary><h2 id=x>" in page  # the fold found the heading by its link
    assert '<a class=headerlink href="#x"' in page


def test_a_set_is_plain_html() -> None:
    row = "| $X$ | a batch, of $N$ | $\\mathbb{R}^{N\\times D}$, zero outside | `x` |"
    plain = '<span class="set">ℝ<sup><i>N</i>×<i>D</i></sup></span>'
    assert light.sets(row) == f"| $X$ | a batch, of $N$ | {plain}, zero outside | `x` |"
    assert light.plain_set(r"\{1,\dots,K\}^{N}") == "{1, …, <i>K</i>}<sup><i>N</i></sup>"
    assert light.plain_set(r"\mathbb{R}_{>0}") == "ℝ<sub> &gt; 0</sub>"


def test_the_search_finds_the_same_as_with_all_marks() -> None:
    page = (
        '<h1 id="a">One</h1><p>See this.</p>\n'
        '<div><pre><span></span><code><span class="k">def</span><span class="w"> </span>f():\n'
        '    <span class="s">&quot;a &lt;b&gt;&quot;</span>\n</code></pre></div><h2 id="b">Two</h2>'
        "<p>No <span>code</span> here.</p>"
    )
    sections = []
    for parser in (search.Parser(), light.SearchParser()):
        parser.feed(page)
        parser.close()
        sections.append([(one.id, one.title, "".join(one.text)) for one in parser.data])
    assert sections[0] == sections[1] and len(sections[0]) == 2
    assert "def f():" in sections[1][0][2]


@pytest.mark.parametrize("tex", [r"\frac12", "R^2", "x}", "{x", r"\mathbb{R}^{", r"\alpha", "a!"])
def test_another_set_is_left_to_katex(tex: str) -> None:
    assert light.plain_set(tex) is None
    assert light.sets(f"| a | b | ${tex}$ | c |") == f"| a | b | ${tex}$ | c |"


def test_every_set_of_the_book_is_read_whole(book: Book) -> None:
    """Its letters and numbers stand on the page in the order of the source."""
    for row in (row for chapter in book.chapters for table in chapter.tables for row in table.rows):
        tex = row.set.split("$")[1]
        plain = light.plain_set(tex)
        assert plain is not None, row
        letters = re.sub(r"<[^>]*>|&\w+;|[ℝℕℂ]", "", plain)
        assert re.findall(r"\w", letters) == re.findall(r"\w", re.sub(r"\\mathbb\{.\}|\\[a-z]+|_", "", tex))
