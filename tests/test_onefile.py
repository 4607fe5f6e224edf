"""The book in one file: every id is its own, every link leads somewhere in it, and nothing is left behind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pdf
from literate.chapter import ROOT
from literate.weave import light
from literate.weave.onefile import one_file

NAV: list[Any] = [
    {"Preface": "index.md"},
    {"Part I · By hand": ["01-one.md", "02-two.md"]},
    {"Back matter": ["exercises.md", "names.md"]},
]
HEAD = (
    '<title>{} - A &amp; B</title><link rel="stylesheet" href="assets/a.css">'
    '<article class="x">{}</article>Made from source 0123abc'
)
ONE = """\
<p class="above">Chapter 1<span><a href="notebooks/01-one.html">Open as notebook</a></span></p>
<h1 id="one">One<a class="headerlink" href="#one">&para;</a></h1>
<h2 id="same">Same</h2>
<a href="#eq-a">(1.1)</a> <a href="02-two.html#same">there</a> <a href="02-two.html">two</a>
<a href="exercises.html">lost</a> <a href="02-two.html#nowhere">lost, too</a> <a href="https://x.org/#y">out</a>
<a class="eqref" href="02-two.html#hidden">folded</a>
<div id="eq-a"><code>x = "<b id="eq-b">" href="#eq-a"</b></code></div>
<svg><clipPath id="p1"></clipPath><use xlink:href="#p1" clip-path="url(#p1)"/></svg>
<img src="assets/figures/f.svg" width="1" loading="lazy" alt="f">
<details class="folded aside"><summary>For the library</summary><pre><code>a<b>bc</b> = 1 &lt; 2
d</code></pre></details>
<details class="library"><summary><h2 id="more">More</h2></summary></details><!-- library -->
<details class="slip" name="slip"><summary>A sign</summary>differs</details>
<details class="folded opens" data-panel="eq-a"><summary>open</summary>panel</details>
<details class="folded sets"><summary>Sets</summary></details>
"""
TWO = '<h1 id="two">T</h1><h2 id="same">S</h2><details class="folded solution"><p id="hidden"></p></details>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "f.woff2").write_bytes(b"font")
    (tmp_path / "assets" / "figures").mkdir()
    (tmp_path / "assets" / "figures" / "f.svg").write_text("<svg/>")
    (tmp_path / "assets" / "a.css").write_text("@font-face{src:url(f.woff2),url(f.ttf)} a{fill:url(#g)}")
    for name, title, text in [
        ("index", "Welcome", '<h1 id="welcome">Welcome</h1>'),
        ("01-one", "1. One &quot;1&quot;", ONE),
        ("02-two", "2. Two", TWO),
        ("exercises", "Exercises", "<h1>E</h1>"),
        ("names", "Names", '<h1>N</h1><a href="01-one.html#eq-a">1</a>'),
    ]:
        (tmp_path / f"{name}.html").write_text(light.page(HEAD.format(title, text)))
    return tmp_path


@pytest.fixture
def book(site: Path) -> str:
    return one_file(site, NAV, "A & B")


def test_ids_are_unique_and_links_lead_to_them(book: str) -> None:
    ids = re.findall(r' id="([^"]*)"', book)
    assert len(ids) == len(set(ids))
    assert {"01-one/same", "02-two/same", "01-one/eq-a", "01-one/p1"} < set(ids)
    lost = {link for link in re.findall(r'href="([^"]*)"', book) if link.removeprefix("#") not in ids}
    assert lost == {"https://x.org/#y", "#eq-a"}  # the second is text of the code
    for one in (
        '<a href="#01-one/eq-a">(1.1)</a>',
        '<a href="#02-two/same">there</a>',
        '<a href="#02-two">two</a>',
        '<use xlink:href="#01-one/p1" clip-path="url(#01-one/p1)"/>',
        '<a href="#01-one/eq-a">1</a>',
    ):
        assert one in book


def test_a_link_to_what_is_not_in_the_file_is_text(book: str) -> None:
    for one in ("<a>lost</a>", "<a>lost, too</a>", "<a class=eqref>folded</a>"):
        assert one in book


def test_what_only_a_screen_can_use_is_left_out(book: str) -> None:
    for gone in ("notebook", "&para;", "panel", "solution", "hidden", "<script", "<h1>E"):
        assert gone not in book.partition("</style>")[2], gone
    assert '<details open class=library><summary><h2 aria-level="3" id="01-one/more">' in book
    assert '<details open class="folded aside">' in book
    assert "<details open class=slip><summary>" in book  # without a name, of which one alone would be open
    assert '<details class="folded sets">' in book  # folded, for it hides columns of the table below


def test_the_order_is_that_of_the_nav_and_headings_have_their_level(book: str) -> None:
    assert re.findall(r'<section id="([^"]*)"', book) == ["index", "01-one", "02-two", "names"]
    assert re.findall(r'class="part".*?>(.*?)<', book) == ["Part I · By hand", "Back matter"]
    assert '<h1 aria-level="1" id="index/welcome">Preface</h1>' in book
    assert '<h1 aria-level="2" id="02-two/two">2. Two</h1>' in book
    assert '<h2 aria-level="3" id="02-two/same">' in book
    assert '@page p1 { @top-right { content: "1. One \\"1\\"" } }' in book


def test_styles_and_fonts_are_inside(book: str) -> None:
    assert "src:url(data:font/woff2;base64,Zm9udA==),url(data:,)" in book
    assert "a{fill:url(#g)}" in book and "<link rel" not in book


def test_figures_are_inside_and_need_not_be_waited_for(book: str) -> None:
    assert '<img src="data:image/svg+xml;base64,PHN2Zy8+" width=1 alt=f>' in book


def test_a_block_of_code_says_how_wide_it_is(book: str) -> None:
    assert f'<pre style="--columns: {len("abc = 1 < 2")}">' in book


def test_without_a_browser_there_is_the_page_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], site: Path
) -> None:
    monkeypatch.setattr(pdf, "BROWSERS", ("no-such-browser",))
    monkeypatch.setattr(pdf, "load_config", lambda _: {"nav": NAV, "site_name": "A & B"})
    assert pdf.main(site) == 0
    assert "No PDF: none of no-such-browser is installed" in capsys.readouterr().out
    assert (site / "book.html").exists() and not (site / "book.pdf").exists()


@pytest.mark.parametrize("kind", ["no site", "a browser that fails"])
def test_what_goes_wrong_is_one_sentence(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], site: Path
) -> None:
    monkeypatch.setattr(pdf, "BROWSERS", ("false",))
    monkeypatch.setattr(pdf, "load_config", lambda _: {"nav": NAV, "site_name": "A & B"})
    if kind == "no site":
        (site / "02-two.html").unlink()
    assert pdf.main(site) == 1
    said = capsys.readouterr().err
    assert ("make site builds" if kind == "no site" else "did not print it") in said
    assert said.count("\n") == 1 and not (site / "book.pdf").exists()


def test_settings_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pdf, "ROOT", tmp_path)
    assert pdf.main(tmp_path / "site") == 1
    assert capsys.readouterr().err == f"Config file '{tmp_path}/mkdocs.yml' does not exist.\n"


def test_an_option_that_there_is_not_builds_nothing() -> None:
    for option, status in (("--help", 0), ("--nonsense", 2)):
        command = [sys.executable, str(ROOT / "scripts" / "pdf.py"), option]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, "usage: pdf.py" in result.stdout + result.stderr) == (status, True)


def test_what_differs_from_print_to_print_is_evened_out(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    prints = []
    for second, node in [(1, 98), (2, 99)]:
        text = (
            f"/CreationDate (D:2026112915000{second}) /ID (node{node:08}) (node{node + 7:08}) node{node:08}"
        )
        write = f'case $one in --print-to-pdf=*) echo "{text}" > "${{one#*=}}";; esac'
        browser.write_text(f"#!/bin/sh\nfor one; do {write}; done\n")
        browser.chmod(0o755)
        pdf.write_pdf(str(browser), tmp_path / "book.html", tmp_path / "book.pdf")
        prints.append((tmp_path / "book.pdf").read_bytes())
        assert (
            len(prints[-1]) == len(text) + 1 and b"(node00000000) (node00000001) node00000000" in prints[-1]
        )
    assert prints[0] == prints[1]
