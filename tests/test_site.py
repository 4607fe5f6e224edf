"""The site is built whole or not at all, and a mistake is told at its line of the book."""

from __future__ import annotations

import errno
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from jinja2 import FileSystemLoader
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs_jupyter import convert
from nbconvert.exporters import html

import build_site
from build_site import CONFIG, BookLines, build
from literate import kept
from literate.chapter import BookError
from literate.reader import read_book
from literate.weave import katex, render, site_hook
from literate.weave.notebook import tidy
from literate.weave.spared import Unparsed, listed
from tests.books import ONE, TWO, line_of, write_book

BACK = [
    "cheatsheet.md",
    "notation.md",
    "equations.md",
    "checks.md",
    "names.md",
    "module.md",
    "pytorch.md",
    "colophon.md",
]
NAV = ["index.md", "01-one.md", "02-two.md", *BACK]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with book/ and the site/ built from it, whose pages several processes render."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "MANY", 1)
        built(folder)
    return folder


def built(folder: Path, one: str = ONE, two: str = TWO) -> Path:
    templates, compiled = folder / ".cache" / "templates", folder.parent / "templates"
    if not templates.exists():  # what Jinja has made of Material's serves all builds
        compiled.mkdir(exist_ok=True)
        templates.parent.mkdir(parents=True, exist_ok=True)
        templates.symlink_to(compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the cache stands there
        patch.setattr(FileSystemLoader, "list_templates", listed)  # as in the process of a build
        build(write_book(folder / "book", one, two), folder / "site", nav=NAV)
    return folder / "site"


def refusal(folder: Path, one: str = ONE, two: str = TWO) -> str:
    """What a failing build says; it must leave the last good site as it was."""
    before = contents(folder / "site")
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(BookLines(folder / "book").format(record))  # type: ignore[method-assign]
    logging.getLogger("mkdocs").addHandler(handler)
    with pytest.raises(MkDocsException) as caught:
        built(folder, one, two)
    logging.getLogger("mkdocs").removeHandler(handler)
    assert contents(folder / "site") == before
    assert sorted(path.name for path in folder.iterdir()) == [".cache", "book", "site"]
    return "\n".join([*said, str(caught.value)]).replace(f"{folder}/", "")


def contents(site: Path) -> dict[str, bytes]:
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_the_site_has_all_its_pages(place: Path) -> None:
    assert sorted(str(path.relative_to(place / "site")) for path in place.glob("site/**/*.html")) == sorted(
        [
            "404.html",
            "equations-01-one.html",
            "equations-02-two.html",
            "notebooks/01-one.html",
            "notebooks/02-two.html",
            *(name.replace(".md", ".html") for name in NAV),
        ]
    )


def test_the_scripts_of_the_theme_are_there(place: Path) -> None:
    text = (place / "site" / "index.html").read_text(encoding="utf-8")
    asked = set(re.findall(r"assets/javascripts/[\w./-]+\.js", text))
    assert len(asked) > 1 and [name for name in asked if not (place / "site" / name).is_file()] == []


def test_two_builds_are_the_same_to_the_byte(place: Path, tmp_path: Path) -> None:
    second = contents(built(tmp_path))
    assert second == contents(place / "site")


# Chapter 2 names an equation in code alone.
NAMED = f"{TWO}\n```python\nprint(Double().forward(1))  # as eq:twice says\n```\n"
EDITS = {
    "a sentence": (ONE.replace("comes later", "comes afterwards"), TWO),
    "a longer chapter, a docstring": (f"One sentence.\n\n{ONE.replace('Twice, eq', 'Double, eq')}", TWO),
    "an equation": (ONE.replace("y = 2x", "y = x + x"), TWO),
    "a core cell": (ONE.replace("2 * x  #", "x + x  #"), TWO),
    "a later core cell": (ONE, TWO.replace("2 * g", "g + g")),
    "a label in code": (ONE, NAMED.replace("By @eq:twice, 4", "4")),
    "what a later chapter prints": (
        ONE.replace("2 * x  #", "3 * x  #"),
        NAMED.replace("By @eq:twice, 4", "4"),
    ),
    "the number of an equation": (
        f'By @eq:x.\n\n$$\nx\n$$ {{#eq:x unchecked="a sample"}}\n{ONE}',
        NAMED.replace("By @eq:twice, 4", "4"),
    ),
}


@pytest.fixture(scope="module")
def worn(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is built again and again."""
    return Path(shutil.copytree(place, tmp_path_factory.mktemp("worn") / "site"))


@pytest.mark.parametrize("edit", EDITS)
def test_a_build_after_an_edit_is_the_one_that_begins_with_nothing(
    worn: Path, tmp_path: Path, edit: str
) -> None:
    before = contents(worn / "site")
    after = contents(built(worn, *EDITS[edit]))
    assert after == contents(built(tmp_path, *EDITS[edit])) != before


def test_few_pages_are_made_anew(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    changed = render._changed

    def noted(page: Page, do: Callable[[], None]) -> render.Found:
        made.append(page.file.src_uri)
        return changed(page, do)

    monkeypatch.setattr(render, "_changed", noted)
    shutil.copytree(place, tmp_path / "edited")
    built(tmp_path / "edited")
    assert made == []
    built(tmp_path / "edited", ONE.replace("comes later", "comes afterwards"))
    assert sorted(made) == ["01-one.md", "notebooks/01-one.ipynb"]
    made.clear()
    monkeypatch.setattr(kept, "TOOLS", "others")
    built(tmp_path / "edited")
    assert len(made) == len(NAV) + 4


def test_a_page_is_named_by_all_that_it_is_made_from(tmp_path: Path) -> None:
    settings = tmp_path / "mkdocs.yml"
    config = load_config(str(CONFIG))
    config.config_file_path = str(settings)

    def name(source: str, rests_on: object, others: list[str], text: str) -> str:
        settings.write_text(text)
        files = Files([File(one, str(tmp_path), str(tmp_path), False) for one in [source, *others]])
        found = render.Renderer(kept.Kept(tmp_path / "kept"), config, files, lambda _: rests_on).names
        return found[source]

    found = [
        name("a.md", ["text"], ["b.md", "c.png"], "settings"),
        name("d.md", ["text"], ["b.md", "c.png"], "settings"),
        name("a.md", ["other"], ["b.md", "c.png"], "settings"),
        name("a.md", ["text"], ["b.md"], "settings"),
        name("a.md", ["text"], ["b.md", "c.png"], "others"),
    ]
    assert len({*found}) == len(found)
    assert found[0] == name("a.md", ["text"], ["c.png", "b.md"], "settings")


def test_what_nbconvert_is_spared_is_on_no_page(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    one = read_book(place / "book")[1]
    whole = convert.nb2html(str(place / "site" / "notebooks" / "01-one.ipynb"))
    monkeypatch.setattr(html, "BeautifulSoup", Unparsed)
    spared = convert.nb2html(str(place / "site" / "notebooks" / "01-one.ipynb"))
    first, second = (str(BeautifulSoup(tidy(page, one), "html.parser")) for page in (spared, whole))
    assert first == second and 'tabindex="0"' in whole and 'tabindex="0"' not in spared


def test_the_digest_is_on_every_page_and_in_every_notebook(place: Path) -> None:
    colophon = (place / "site" / "colophon.html").read_text(encoding="utf-8")
    digest = re.search(r"\b[0-9a-f]{64}\b", colophon)
    assert digest
    for path in place.glob("site/**/*.html"):
        assert f"Made from source {digest[0][:12]}" in path.read_text(encoding="utf-8"), path
    for path in place.glob("site/notebooks/*.ipynb"):
        assert (
            json.loads(path.read_text(encoding="utf-8"))["metadata"]["backprop_core"]["digest"] == digest[0]
        )


def test_formulas_are_set_and_found_by_the_search_as_plain_signs(place: Path) -> None:
    page = (place / "site" / "01-one.html").read_text(encoding="utf-8")
    assert "class=katex-display" in page and "\\[" not in page
    index = json.loads((place / "site" / "search" / "search_index.json").read_text(encoding="utf-8"))
    texts = " ".join(entry["text"] for entry in index["docs"])
    assert "y=2x" in texts and "katex" not in texts and "\\" not in texts


def test_every_page_has_a_policy_for_its_scripts(place: Path) -> None:
    for path in place.glob("site/**/*.html"):
        text = path.read_text(encoding="utf-8")
        assert text.count("script-src 'self' file: 'sha256-") == 1 and "unsafe-inline" not in text, path


def test_labels_in_code_are_links(place: Path) -> None:
    page = (place / "site" / "01-one.html").read_text(encoding="utf-8")
    assert page.count('<a class="label" href="01-one.html#eq-twice" title="equation 1.1">eq:twice</a>') == 2


def test_a_warning_is_given_at_each_build(place: Path) -> None:
    first, second = (refusal(place, two=f"{TWO}\nSee [three](three.md).\n") for _ in range(2))
    assert first == second and "contains a link 'three.md', but" in first


def test_a_broken_link(place: Path) -> None:
    message = refusal(place, two=f"{TWO}\nSee [three](three.md).\n")
    line = line_of(place / "book" / "02-two.md", "three.md")
    assert f"book/02-two.md:{line}: Doc file '02-two.md' contains a link 'three.md', but" in message


def test_a_broken_anchor(place: Path) -> None:
    message = refusal(place, two=f"{TWO}\nSee [one](01-one.md#nowhere).\n")
    line = line_of(place / "book" / "02-two.md", "#nowhere")
    assert f"book/02-two.md:{line}: Doc file '02-two.md' contains a link '01-one.md#nowhere', but" in message


def test_an_undefined_reference(place: Path) -> None:
    message = refusal(place, two=f"{TWO}\nBy @eq:nothing.\n")
    line = line_of(place / "book" / "02-two.md", "@eq:nothing")
    assert message == f"book/02-two.md:{line}: eq:nothing is not the label of any equation"


def test_a_failing_cell(place: Path) -> None:
    message = refusal(place, two=f"{TWO}\n```python\nnothing\n```\n")
    line = line_of(place / "book" / "02-two.md", "nothing")
    assert message.startswith(f"book/02-two.md:{line}: NameError: name 'nothing' is not defined")


def test_a_formula_that_katex_does_not_read(place: Path) -> None:
    message = refusal(place, two=f"{TWO}\nHere $\\frac{{1}}$ is wrong,\nand $\\nosuch{{1}}$.\n")
    line = line_of(place / "book" / "02-two.md", "Here")
    first, second = message.split("\n")
    assert first.startswith(f"book/02-two.md:{line}: KaTeX parse error: Unexpected end of input")
    assert second.startswith(
        f"book/02-two.md:{line + 1}: KaTeX parse error: Undefined control sequence: \\nosuch"
    )


def test_node_is_asked_for_when_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(katex.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(BookError, match=r"package\.json: Node\.js is missing: install it, or pip install"):
        katex.node()
    (tmp_path / "node").touch()
    assert katex.node() == str(tmp_path / "node")


def test_katex_is_asked_for_when_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "Cannot find package 'katex'")
    monkeypatch.setattr(katex.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(BookError, match="npm ci --ignore-scripts\nCannot find package"):
        katex.typeset([("x", False)], [], tmp_path / "formulas.pickle", "")


def test_only_new_formulas_are_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[katex.Formula]] = []

    def set_by_katex(formulas: list[katex.Formula], _: object) -> list[str]:
        asked.append(formulas)
        return [f"<b>{tex}</b>" for tex, _ in formulas]

    monkeypatch.setattr(katex, "_katex", set_by_katex)
    version, cache = tmp_path / "package.json", tmp_path / "formulas.pickle"
    monkeypatch.setattr(katex, "VERSION", version)
    version.write_text("1", encoding="utf-8")
    x, y = ("x", False), ("y", True)
    assert katex._kept([x], [], cache) == katex._kept([x], [], cache) == ["<b>x</b>"]
    assert katex._kept([x, y], [], cache) == ["<b>x</b>", "<b>y</b>"]
    assert katex._kept([("x", True)], [], cache) == ["<b>x</b>"]
    assert asked == [[x], [y], [("x", True)]]
    version.write_text("2", encoding="utf-8")
    katex._kept([y], [], cache)
    assert asked[3:] == [[y]]


def test_serving_shows_pages_at_once_and_again_when_the_chapters_have_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook: Any = site_hook
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache").mkdir()
    chapters = read_book(write_book(tmp_path / "book"))
    monkeypatch.setattr(hook, "serving", True)
    monkeypatch.setattr(kept, "store", kept.Kept(tmp_path / ".cache" / "site.pickle"))
    first, checked = hook.executed_or_latest(chapters)
    assert checked == {}
    assert [cell.outputs for notebook in first.values() for cell in notebook.cells if cell.outputs] == []
    begun = hook.behind
    monkeypatch.setattr(hook, "behind", None)
    assert hook.executed_or_latest(chapters)[1] == {} and not hook.behind  # still running
    assert begun
    begun.run()
    assert (tmp_path / ".cache/ran").exists()
    second, checked = hook.executed_or_latest(chapters)
    assert checked["marks"] and any(cell.outputs for cell in second[chapters[1].path].cells)
    failing = read_book(write_book(tmp_path / "book", two=f"{TWO}\n```python\nprint(nothing)\n```\n"))
    stale, _ = hook.executed_or_latest(failing)
    outputs = [cell.outputs for cell in stale[chapters[2].path].cells]
    assert outputs == [*(cell.outputs for cell in second[chapters[2].path].cells), []]
    assert hook.behind
    hook.behind.run()
    with pytest.raises(BookError, match="name 'nothing' is not defined"):
        hook.executed_or_latest(failing)


@pytest.mark.parametrize("missing", ["katex/dist", "@fontsource/source-sans-3/400.css"])
def test_packages_of_which_some_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    packages = tmp_path / "node_modules"
    shutil.copytree(site_hook.PACKAGES, packages)
    (packages / missing).rename(tmp_path / "away")
    monkeypatch.setattr(site_hook, "PACKAGES", packages)
    with pytest.raises(BookError, match=r"^package.json: its packages .*is missing\); run npm ci"):
        site_hook.copy_assets(tmp_path / "assets")


def test_a_port_that_is_taken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def taken(_: str) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.chdir(tmp_path)  # and back
    monkeypatch.setattr("sys.argv", ["build_site.py", "--serve"])
    for name, function in (("serve", taken), ("spare", lambda: None), ("tell", lambda *_: None)):
        monkeypatch.setattr(build_site, name, function)
    assert build_site.main() == 1
    assert capsys.readouterr().err == "http://127.0.0.1:8000: Address already in use\n"
