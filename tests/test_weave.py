"""Chapters and outputs in, Markdown out."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from nbformat import NotebookNode, v4
from PIL import Image

from literate.chapter import BookError, Chapter, Place
from literate.reader import read_chapter
from literate.tangle.module import Module, tangle
from literate.weave import backmatter, panels
from literate.weave.figures import colours, drawn, figure, with_short_names
from literate.weave.katex import search_text, with_formulas
from literate.weave.notebook import notebook, saved, tidy
from literate.weave.pages import Book, link_labels, page
from literate.weave.pytorch import Pair, Table, pytorch
from literate.weave.reference import module_reference
from tests.books import chapter_text, core_book, write_book

SVG = (
    '<?xml version="1.0"?>\n<svg xmlns:xlink="x" width="360pt" height="180pt" viewBox="0 0 360 180">\n'
    '<metadata>m</metadata>\n<defs><style type="text/css">*{a}</style></defs>\n<!-- text -->\n'
    '<g id="a"><use href="#b" style="fill: #000000; stroke: #0072b2; clip-path: url(#c)"/></g>\n'
    "</svg>\n"
)
IMAGE = v4.new_output("display_data", data={"image/svg+xml": SVG})


def output(text: str) -> NotebookNode:
    return v4.new_output("stream", name="stdout", text=text)


def executed(chapter: Chapter, *outputs: NotebookNode) -> NotebookNode:
    """As if the chapter had run, with these outputs of its last cell."""
    cells = [v4.new_code_cell(cell.source.rstrip("\n")) for cell in chapter.python]
    cells[-1].outputs = list(outputs)
    return v4.new_notebook(cells=cells)


def one_chapter(folder: Path, body: str) -> Chapter:
    path = folder / "01-cell.md"
    path.write_text(chapter_text(body, title="Cell"), encoding="utf-8")
    return read_chapter(path)


def woven(folder: Path, body: str, *outputs: NotebookNode) -> str:
    """What becomes of the text below the import cell."""
    one = one_chapter(folder, body)
    text = page(Book([one], Module("", {}, "d" * 64)), one, executed(one, *outputs))
    return text.split("{.python}\nimport numpy as np\n```\n")[1].strip()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    write_book(tmp_path)
    chapters = [read_chapter(path) for path in sorted(tmp_path.glob("0*.md"))]
    cells = [cell for chapter in chapters for cell in chapter.core]
    places = {number: Place(cell.place.path, cell.place.line) for number, cell in enumerate(cells, 10)}
    return Book(chapters, Module(tangle(chapters).text, places, "d" * 64))


# -- pages ------------------------------------------------------------------------


def test_a_page_begins_with_its_number_and_its_notebook(book: Book) -> None:
    text = page(book, book.chapters[0], executed(book.chapters[0]))
    assert text.lstrip().startswith(
        '<p class="above">Chapter 1<span><a href="notebooks/01-one.html">Open as notebook</a>'
        '<a href="notebooks/01-one.ipynb" download>Download</a></span></p>\n\n# One\n'
    )


def test_references_are_numbers_with_links(book: Book) -> None:
    text = page(book, book.chapters[0], executed(book.chapters[0]))
    assert (
        "Twice is [(1.1)](01-one.md#eq-twice){.eqref} and [(2.1)](02-two.md#eq-thrice){.eqref} comes" in text
    )


def test_a_display_has_its_number_outside_of_the_formula(tmp_path: Path) -> None:
    assert woven(tmp_path, '$$\na < b\n$$ {#eq:less unchecked="an order"}\n') == (
        '<div class="eq" id="eq-less"><div class="arithmatex">\\[a &lt; b\\]</div>'
        '<span><a class="eqno" href="#eq-less" aria-label="Equation 1.1">(1.1)</a></span></div>'
    )
    assert woven(tmp_path, '$$\na\n$$ {unchecked="a name"}\n') == (
        '<div class="eq"><div class="arithmatex">\\[a\\]</div><span></span></div>'
    )


def test_no_line_begins_with_the_comma_behind_a_formula_or_ends_within_a_number(tmp_path: Path) -> None:
    page = '<span class="arithmatex">\\(x\\)</span>'
    done = {("x", False): "<b>x</b>"}
    assert with_formulas(f"{page}, {page} and {page}.", done) == (
        '<span class="nb"><b>x</b>,</span> <b>x</b> and <span class="nb"><b>x</b>.</span>'
    )
    number = "<!-- = f'{1:.0e}' -->"
    assert woven(tmp_path, f"a 1e-11{number} and 1e+11{number}, 0.5{number}") == (
        'a <span class="nb">1e-11</span> and 1e+11, 0.5'
    )


def test_a_mark_stands_beside_the_number(book: Book) -> None:
    book.marks = {"eq:twice": ("checked, gradient included", "checked")}
    text = page(book, book.chapters[0], executed(book.chapters[0]))
    assert (
        '<span class="mark checked" role="img" title="checked, gradient included"></span><a class="eqno"'
    ) in text


def test_computed_numbers_lose_their_comment(book: Book) -> None:
    assert ", 4 is 4.\n" in page(book, book.chapters[1], executed(book.chapters[1]))


def test_code_and_references_in_backticks_are_left_alone(tmp_path: Path) -> None:
    body = 'Write `@eq:a` for @eq:a.\n\n$$\na\n$$ {#eq:a unchecked="a name"}\n\n```text\n@eq:a\n```\n'
    text = woven(tmp_path, body)
    assert text.startswith("Write `@eq:a` for [(1.1)](01-cell.md#eq-a){.eqref}.")
    assert text.endswith("```text\n@eq:a\n```")


def test_a_notation_row_links_to_the_equation_that_defines_its_symbol(tmp_path: Path) -> None:
    table = (
        "| Symbol | Meaning | Set | In code |\n|---|---|---|---|\n| $y$ | height | $\\mathbb{R}$ | `eq:a` |\n"
    )
    text = woven(tmp_path, table + '\n$$\ny = 1\n$$ {#eq:a unchecked="a name"}\n')
    assert '| $y$ | height | <span class="set">ℝ</span> | [(1.1)](01-cell.md#eq-a){.eqref} |' in text


# -- cells ------------------------------------------------------------------------


def test_a_core_cell_says_where_it_goes_and_comes_from(book: Book) -> None:
    first = page(book, book.chapters[0], executed(book.chapters[0]))
    assert (
        '<div id="code-double" markdown>\n\n```{.python .core title="backprop_core.py · lines 10–10"}\n'
        in first
    )
    assert (
        "\n`Double` is continued [double-backward, chapter 2](02-two.md#code-double-backward)"
        " · used in chapter [2](02-two.md)\n{.thread}\n"
    ) in first
    second = page(book, book.chapters[1], executed(book.chapters[1]))
    assert "Continues `Double` from [double, chapter 1](01-one.md#code-double)\n{.thread}\n" in second


def test_outputs_stand_quietly_under_their_cell(tmp_path: Path) -> None:
    assert woven(tmp_path, "```python\nprint(1)\n```\n", output("1\n")) == (
        "```{.python}\nprint(1)\n```\n\n```{.text .output}\n1\n```"
    )


def test_an_output_with_backticks_stays_whole(tmp_path: Path) -> None:
    text = woven(tmp_path, "```python\nprint()\n```\n", output("```\nx\n"))
    assert text.endswith("````{.text .output}\n```\nx\n````")


def test_a_declared_error_shows_its_last_line(tmp_path: Path) -> None:
    error = v4.new_output("error", ename="ValueError", evalue="no", traceback=["long"])
    text = woven(tmp_path, '```python raises="ValueError: ."\nf(1)\n```\n', error)
    assert text.endswith("```{.text .output .raised}\nValueError: no\n```")


def test_a_figure_comes_before_its_folded_code(tmp_path: Path) -> None:
    text = woven(tmp_path, '```python tags=["hide-input"] alt="A <line>."\ndraw()\n```\n', IMAGE)
    assert text.startswith('<figure class="figure"><img src="assets/figures/')
    assert text.count('loading="lazy" alt="A &lt;line&gt;."></figure>') == 1
    assert text.endswith(
        '</figure>\n\n<details class="folded hide-input" data-search-exclude="true" markdown>\n'
        "<summary>Show the code</summary>\n\n"
        "```{.python}\ndraw()\n```\n\n</details>"
    )


def test_figures_of_one_cell_are_a_strip_that_is_described_once(tmp_path: Path) -> None:
    text = woven(tmp_path, '```python tags=["hide-input"] alt="A <line>."\ndraw()\n```\n', IMAGE, IMAGE)
    strip = text.partition("</div>")[0]
    assert strip.startswith(
        '<div class="steps" role="group" tabindex="0" aria-label="A &lt;line&gt;. Step by step, 2 figures.">'
    )
    assert re.findall(r'<img [^>]*alt="([^"]*)"', strip) == ["1 of 2", "2 of 2"]


def test_a_figure_needs_an_alt(tmp_path: Path) -> None:
    with pytest.raises(BookError) as caught:
        woven(tmp_path, "```python\ndraw()\n```\n", IMAGE)
    assert str(caught.value) == (
        f'{tmp_path}/01-cell.md:16: this cell draws a figure: add alt="…" and say what one sees in it'
    )


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    widget = v4.new_output("display_data", data={"text/html": "<b>"})
    with pytest.raises(BookError, match=r"01-cell\.md:16: cannot show text/html; print text or draw"):
        woven(tmp_path, "```python\nshow()\n```\n", widget)


def test_an_aside_is_folded_with_its_thread(tmp_path: Path) -> None:
    one = one_chapter(
        tmp_path, '```python tags=["core", "aside"] name="half"\ndef half(x):\n    return x / 2\n```\n'
    )
    book = Book([one], Module("", {10: one.core[0].place, 11: Place(one.path, 0)}, "d" * 64))
    text = page(book, one, executed(one))
    assert '<div id="code-half" markdown>\n\n<details class="folded aside" markdown>\n' in text
    assert "<summary>For the library: <code>half</code></summary>\n\n```{.python .core" in text
    assert text.index("return x / 2") < text.index("</details>")


def test_symbols_in_code_are_open_or_an_aside(tmp_path: Path) -> None:
    for tags, folded in (('"notation"', False), ('"notation", "aside"', True)):
        one = one_chapter(tmp_path, f"```python tags=[{tags}]\nhalf = 0.5\n```\n")
        text = page(Book([one], Module("", {}, "d" * 64)), one, executed(one))
        assert ("<summary>The symbols in code</summary>" in text) == folded
        assert '```{.python .notation title="notation"}\nhalf = 0.5\n```' in text


def test_the_first_page_folds_its_imports_however_short(tmp_path: Path) -> None:
    path = tmp_path / "index.md"
    path.write_text(chapter_text("Text.\n", title="Book"), encoding="utf-8")
    first = read_chapter(path)
    text = page(Book([first], Module("", {}, "d" * 64)), first, executed(first))
    assert '<details class="folded imports" markdown>\n<summary>What this page imports</summary>' in text


def test_long_imports_are_folded(tmp_path: Path) -> None:
    one = one_chapter(tmp_path, "```python\n1\n```\n")
    assert "folded imports" not in page(Book([one], Module("", {}, "d" * 64)), one, executed(one))
    path = one.path
    path.write_text(
        path.read_text().replace("import numpy as np\n", "import numpy as np\n" + "import math\n" * 7)
    )
    one = read_chapter(path)
    text = page(Book([one], Module("", {}, "d" * 64)), one, executed(one))
    assert '<details class="folded imports" markdown>\n<summary>What this chapter imports</summary>' in text


def test_sets_and_code_of_a_notation_table_fold_away(tmp_path: Path) -> None:
    table = "| Symbol | Meaning | Set | In code |\n|---|---|---|---|\n| $x$ | any | $\\mathbb{R}$ | `x` |\n"
    text = woven(tmp_path, table)
    table = table.replace("$\\mathbb{R}$", '<span class="set">ℝ</span>')
    assert f"<summary>Sets and code</summary></details>\n\n{table}".strip() in text


def test_labels_in_highlighted_code_become_links(book: Book) -> None:
    html = '<p>eq:twice</p><pre><span class="c1"># eq:twice, eq:other</span></pre>'
    assert link_labels(html, book, lambda path: f"../{path.stem}.html") == (
        '<p>eq:twice</p><pre><span class="c1"># '
        '<a class="label" href="../01-one.html#eq-twice" title="equation 1.1">eq:twice</a>'
        ", eq:other</span></pre>"
    )


def test_a_figure_follows_light_and_dark() -> None:
    assert drawn(SVG).split("\n")[1:] == [
        '<g><use href="#f0" style="fill: currentColor; stroke: var(--figure-1); clip-path: url(#f1)"/></g>',
        "</svg>",
    ]
    with pytest.raises(ValueError, match="not a figure saved by Matplotlib"):
        figure("<svg></svg>", "alt", "")


def test_a_number_in_parentheses_has_one_pair(tmp_path: Path) -> None:
    text = woven(tmp_path, 'As (@eq:a) and @eq:a say.\n\n$$\na\n$$ {#eq:a unchecked="a name"}\n')
    link = "[(1.1)](01-cell.md#eq-a){.eqref}"
    assert f"As {link} and {link} say." in text


# -- notebooks -----------------------------------------------------------------------


def test_a_notebook_reads_well_in_jupyter(tmp_path: Path) -> None:
    body = (
        "See @eq:a[^1], [next](02-two.md#x), [names](names.md), [task](exercises/a.md#c), "
        "[text](data/a.txt).\n\n"
        '!!! note "Mind"\n    The sign.\n\n'
        '[^1]: Below.\n\n$$\na\n$$ {#eq:a unchecked="a name"}\n\n```python\nprint(1)\n```\n'
    )
    one = one_chapter(tmp_path, body)
    result = notebook(Book([one], Module("", {}, "dd")), one, executed(one, output("1\n")), "The end.\n")
    title, imports, text, code, end = result.cells
    assert (title.source, imports.source) == ("# Cell", "import numpy as np")
    assert text.source == (
        "See (1.1)<sup>1</sup>, [next](02-two.ipynb), names, [task](../exercises/a.html#c), "
        "[text](../data/a.txt).\n\n"
        "<!-- -->\n\n> **Mind**\n>\n> The sign.\n>\n\n"
        "<sup>1</sup> Below.\n\n$$\na\n\\tag{1.1}\n$$"
    )
    assert code.outputs == [output("1\n")] and end.source == "The end."
    assert result.metadata.backprop_core.digest == "dd"


def test_run_all_goes_on_after_an_error_that_is_shown(tmp_path: Path) -> None:
    one = one_chapter(tmp_path, '```python raises="ValueError: ."\nf(1)\n```\n\n```python\nf(2)\n```\n')
    *_, error, other = notebook(Book([one], Module("", {}, "")), one, executed(one)).cells
    assert error.metadata == {"tags": ["raises-exception"]} and other.metadata == {}


def test_the_page_of_a_notebook_loses_what_mkdocs_jupyter_brings(tmp_path: Path) -> None:
    one = one_chapter(tmp_path, '```python alt="5 $, $x$."\ndraw()\n```\n')
    _, shown = saved(Book([one], Module("", {}, "")), one, executed(one, IMAGE), "")
    ((figure,),) = json.loads(shown)["cells"][-1]["outputs"][0]["data"].values()
    assert re.fullmatch(
        r'<figure class="figure"><img src="../assets/figures/[^>]* alt="5 \$, \$x\$."></figure>', figure
    )
    html = (
        '<style>x</style><script src="https://cdn"></script><div class="jp-Cell" id="cell-id=x" tabindex="0">'
        '<p>$$\na &lt; b\n\\tag{1.1}\n$$</p><p>so $x$, <code>$y</code> <a href="02-two.ipynb">next</a></p>'
        f"{figure}</div>"
    )
    assert tidy(html, one) == (
        '<p class="above">Chapter 1, as a notebook<span><a href="../01-cell.html">Back to the chapter</a>'
        '<a href="01-cell.ipynb" download>Download</a></span></p>'
        '<div class="jp-Cell"><div class="eq"><div class="arithmatex">\\[\na &lt; b\n\\]</div>'
        "<span>(1.1)</span></div>"
        '<p>so <span class="arithmatex">\\(x\\)</span>, <code>$y</code> <a href="02-two.html">next</a></p>'
        f"{figure}</div>"
    )


# -- back matter ------------------------------------------------------------------------


def test_the_index_of_names(book: Book) -> None:
    assert backmatter.names(book).split("\n")[-2] == (
        "| `Double`<br><small>Twice, [(1.1)](01-one.md#eq-twice){.eqref}.</small> "
        "| [1](01-one.md#code-double) | [2](02-two.md#code-double-backward) | [2](02-two.md) |"
    )


def test_the_index_of_equations(book: Book) -> None:
    index = backmatter.equations(book)
    assert "## 2. Two\n\n[With their formulas](equations-02-two.md)\n\n" in index
    assert "- [(2.1)](02-two.md#eq-thrice){.eqref} `eq:thrice`\n" in index
    assert "arithmatex" not in index


def test_the_equations_of_a_chapter_are_a_page(book: Book) -> None:
    pages = panels.pages(book)
    assert list(pages) == ["equations-01-one.md", "equations-02-two.md"]
    assert '<div class="entry" id="eq-thrice" markdown>' in pages["equations-02-two.md"]
    assert "y = 3x" in pages["equations-02-two.md"] and "y = 2x" not in pages["equations-02-two.md"]


def test_the_first_page_shows_slips_and_what_the_book_costs(book: Book) -> None:
    slips = [["A sign", "a", "-a", "they differ\nby <2>"], ["A factor", r"\frac2n", "1", "no"]]
    checks = {**book.checks, "slips": slips}
    page = "<!-- generated: slips -->\n\n<!-- generated: hours -->\n\n<!-- generated: map -->"
    text = backmatter.generated(page, Book(book.chapters, book.module, checks))
    assert "<summary>A sign: <code>a</code> becomes <code>-a</code></summary>" in text
    assert r'A factor: <span class="arithmatex">\(\frac2n\)</span> becomes <span' in text
    assert text.count('<details class="slip" name="slip">') == 2  # opening one closes the other
    assert "<pre><code>they differ\nby &lt;2&gt;</code></pre>" in text
    assert (
        "The 2 chapters have about 0 words of text. Allow one to two hours for each, code and pencil "
        "included, and more for its exercises (0 in all; the book marks 0 of them)." in text
    )
    assert "generated:" not in text


def test_the_map_draws_who_takes_from_whom(book: Book) -> None:
    text = backmatter.map_of(book)
    assert text.count("<path") == 1 and text.count("<circle") == 2
    assert '- [2. Two](02-two.md) <span class="uses">uses <code>Double</code> from 1</span>' in text


def test_the_map_leaves_out_what_other_arcs_imply() -> None:
    chapters = core_book(
        "def one(): ...\n===\nfrom backprop_core import one\n---\ndef _two(): one()\n"
        "===\nfrom backprop_core import one, _two\n---\ndef three(): one(), _two()\n"
        "===\nfrom backprop_core import _two\n---\ndef four(): _two()\n"
    )
    text = backmatter.map_of(Book(chapters, Module("", {}, "d" * 64)))
    assert text.count("<path") == 3  # to 2, 3 and 4, but not from 1 to 3
    assert re.findall(r'"uses">(.*)</span>', text) == [
        "starts from nothing",
        "uses <code>one</code> from 1",
        "uses <code>one</code> from 1",
        "goes on from 2",
    ]


def test_the_colophon_holds_the_digest(book: Book) -> None:
    assert "d" * 64 in backmatter.colophon(book)


def test_a_figure_has_no_more_digits_than_one_sees() -> None:
    svg = SVG.replace(
        "<use", '<path d="M 412.345678 0.123456 L -0.001 7.00005" style="opacity: 0.333"/><use', 1
    )
    svg = svg.replace("<use", '<g transform="translate(10.256 0) scale(0.015625 -0.015625)"/><use', 1)
    body = drawn(svg)
    assert 'd="M 412.3 0.12 L 0 7" style="opacity: 0.333"' in body
    assert 'transform="translate(10.3 0) scale(0.015625 -0.015625)"' in body


def test_a_picture_within_a_figure_has_few_colours() -> None:
    every = np.random.default_rng(0).integers(256, size=(40, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(every).save(file, "png")
    png = base64.b64encode(file.getvalue()).decode()
    body = drawn(SVG.replace("<use", f'<image href="data:image/png;base64,{png}"/><use'))
    found = re.search(r"base64,([^\"]*)", body)
    assert found and len(found[1]) < len(png) / 2
    small = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB"), int)
    assert np.abs(small - every).mean() < 20


def test_parts_of_figures_have_names_only_where_they_are_used() -> None:
    svg = (
        '<g id="axes_1"><path id="m.b-1" d="M 0 0"/><use href="#m.b-1" '
        'style="clip-path: url(#p2)"/></g><clipPath id="p2"/>'
    )
    assert with_short_names(svg) == (
        '<g><path id="f0" d="M 0 0"/><use href="#f0" style="clip-path: url(#f1)"/></g><clipPath id="f1"/>'
    )


PALETTES = (
    '[data-md-color-scheme="default"] { --ink: #111; --ink-soft: #222; --paper: #fff; --figure-1: #00f; }\n'
    '[data-md-color-scheme="slate"] { --ink: #eee; --ink-soft: #ddd; --paper: #000; --figure-1: #88f; }\n'
)


def test_a_figure_is_a_file_that_is_asked_for_late() -> None:
    one = figure(SVG.replace("#c", "#b"), "A &lt;line&gt;", colours(PALETTES))
    assert one.image("../figures/") == (
        f'<figure class="figure"><img src="../figures/{one.name}" width="480" height="240" '
        'style="min-width: 278px" loading="lazy" alt="A &amp;lt;line&amp;gt;"></figure>'
    )
    assert 'alt="1 of 2"' in one.image("", "1 of 2")
    assert figure(SVG.replace("#c", "#b"), "Other words", colours(PALETTES)).name == one.name
    assert figure(SVG, "A &lt;line&gt;", colours(PALETTES.replace("#00f", "#00e"))).name != one.name
    assert one.text.startswith(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 180" fill="currentColor" '
    )
    assert f"<style>{colours(PALETTES)}</style>" in one.text
    assert (
        '<use href="#f0" style="fill: currentColor; stroke: var(--figure-1); clip-path: url(#f0)"' in one.text
    )


def test_the_colours_of_figures_are_those_of_the_book() -> None:
    assert colours(PALETTES) == (
        "svg{color:#111;--figure-paper:#fff;--figure-grey:#222;--figure-1:#00f}"
        "@media(prefers-color-scheme:dark){svg{color:#eee;--figure-paper:#000;--figure-grey:#ddd;--figure-1:#88f}}"
    )


def one_class(folder: Path, source: str) -> Book:
    path = folder / "01-cell.md"
    path.write_text(
        chapter_text(f'```python tags=["core"] name="x"\n{source}\n```\n', title="Cell"), encoding="utf-8"
    )
    chapters = [read_chapter(path)]
    return Book(chapters, tangle(chapters))


CLASSES = '''\
class Base:
    def __init__(self, size: int, *, bias: bool = True) -> None:
        pass


class Half(Base):
    """A half of ``x``, not *that*.

    >>> Half(1)
    """

    def to(self, dtype):
        """Convert."""

    def _own(self):
        """Private."""


def _hidden():
    pass'''


def test_the_reference_has_signature_text_and_inherited_options(tmp_path: Path) -> None:
    text = module_reference(one_class(tmp_path, CLASSES))
    assert '## 1. [Cell](01-cell.md)\n\n### <code id="Base">Base</code>\n' in text
    assert (
        "```{.python .signature}\nHalf(size, *, bias=True)\n```\n\nA half of `x`, not \\*that\\*.\n" in text
    )
    assert "```{.pycon}\n>>> Half(1)\n```\n" in text and "\nto(dtype)\n```\n\nConvert.\n" in text
    assert "Private" not in text and "hidden" not in text


def test_the_table_of_pytorch_names_shows_what_is_shared_and_what_differs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    book = one_class(tmp_path, "class Half:\n    def __init__(self, axis, bias, rng):\n        pass")
    pair = Pair(
        "torch.nn.Half",
        "Half",
        renamed={"dim": "axis"},
        own={"rng": "draws"},
        without={"out": "no"},
        note="a | b",
    )
    monkeypatch.setattr(
        "literate.weave.pytorch.table", lambda _: Table([pair], {"device": "one"}, {"A|B": "more"})
    )
    text = pytorch(book)
    assert "\n## torch.nn\n" in text
    row = "| `Half` | [`Half`](01-cell.md#code-x) | `bias` |"
    assert f"{row} a \\| b; `dim` is `axis`; `rng`: draws; `out`: no |" in text
    assert "| `device` | one |" in text and "| `A`, `B` | more |" in text
    pair = Pair("torch.nn.Half", "Quarter")
    monkeypatch.setattr("literate.weave.pytorch.table", lambda _: Table([pair], {}, {}))
    with pytest.raises(BookError, match=r"pytorch\.toml: Quarter is not a name of the module"):
        pytorch(book)


def test_code_that_looks_like_a_formula_stays_in_the_search(tmp_path: Path) -> None:
    index = tmp_path / "search_index.json"
    index.write_text(json.dumps({"docs": [{"title": "", "text": r"re.sub(r'\([^)]*\)', '') and \[y\]"}]}))
    search_text(index, {("y", True): "<math>y<annotation>y</annotation></math>"})
    assert json.loads(index.read_text())["docs"][0]["text"] == r"re.sub(r'\([^)]*\)', '') and y"
