"""What opens at an equation: its symbols in words, a worked example, its code, and how it was checked.

The panels of a chapter stand on a page of their own and, for the chapter to fetch when a reader opens one,
in a script of that name: written into the chapters they would double what every reader loads.
"""

import ast
import html
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from equations.slicing import Definition
from equations.spell import number
from literate.chapter import CODE_REFERENCE, MODULE_NAME, Cell, Chapter, Equation
from literate.weave.light import plain_set
from literate.weave.pages import Book, displayed, reference

EXCLUDED = "---\nsearch:\n  exclude: true\n---\n"  # the chapter and the index are found instead
SLOT = re.compile(r'<div class="panel" data-label="(?P<label>[^"]*)"></div>')
EQUATION = re.compile(r'^<div class="eq" id="(?P<anchor>[\w-]+)">.*?</span></div>$', re.S | re.M)
PANEL = re.compile(
    r"<div class=panel data-label=(?P<anchor>[\w-]*)>(?P<inside>.*?)</div><!-- panel -->", re.S
)
CONTEXT = 2  # lines of code before the one that names an equation
KINDS = {"module": "computed by the module", "text": "by an equation of the text"}


def page_name(chapter: Chapter) -> str:
    return f"equations-{chapter.path.name}"


def pages(book: Book) -> dict[str, str]:
    """The pages of equations, one a chapter. Their panels come when mkdocs has made HTML of them."""
    found: dict[str, list[Equation]] = {}
    for equation in book.equations.values():
        found.setdefault(page_name(equation.chapter), []).append(equation)
    return {name: page(book, equations) for name, equations in found.items()}


def page(book: Book, equations: list[Equation]) -> str:
    chapter = equations[0].chapter
    title = f"{chapter.number}. {chapter.title}"
    lines = [EXCLUDED, f"# Equations of chapter {title}", ""]
    lines += [f"[The chapter]({chapter.path.name}) · [all chapters](equations.md)\n{{.entry}}", ""]
    for equation in equations:
        label = equation.display.label or ""
        lines += [f'<div class="entry" id="{equation.anchor}" markdown>\n']
        lines += [f"{reference(book, label)} `{label}`{mark(book, label)}\n\n</div>\n"]
        lines += [f'<div class="eq">{displayed(equation.display.tex)}</div>\n', ""]
        if label in book.checks["examples"]:
            lines += [f'<div class="panel" data-label="{label}"></div>', ""]
    return "\n".join(lines)


def mark(book: Book, label: str) -> str:
    return f" · {book.marks[label][0]}" if label in book.marks else ""


def with_openers(text: str, book: Book) -> str:
    """The chapter with a fold under each checked equation. Without scripts it leads to the panel."""
    known = {book.equations[label].anchor: label for label in book.checks["examples"]}

    def opener(found: re.Match[str]) -> str:
        label = known.get(found["anchor"])
        if not label:
            return found[0]
        equation = book.equations[label]
        target = f"{page_name(equation.chapter).removesuffix('.md')}.html#{equation.anchor}"
        inside = f'<p><a href="{target}">Equation {equation.number} in words, with numbers, in code</a></p>'
        name = f'<span class="of"> equation {equation.number}</span>'
        return (
            f'{found[0]}\n\n<details class="folded opens" data-panel="{equation.anchor}">'
            f"<summary>open{name}</summary>{inside}</details>\n"
        )

    return EQUATION.sub(opener, text)


def fill(page_html: str, book: Book) -> str:
    """The panels in the HTML of a page of equations."""

    def panel_of(found: re.Match[str]) -> str:
        equation = book.equations[found["label"]]
        inside = panel(book, equation, book.checks["examples"][found["label"]])
        return f'<div class="panel" data-label="{equation.anchor}">{inside}</div><!-- panel -->'

    return SLOT.sub(panel_of, page_html)


def write_scripts(site: Path) -> None:
    """The panels of each chapter, formulas set, as a script that hands them to panel.js."""
    folder = site / "assets" / "panels"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(site.glob("equations-*.html")):
        text = path.read_text(encoding="utf-8")
        found = {one["anchor"]: one["inside"] for one in PANEL.finditer(text)}
        if found:
            script = f"panels({json.dumps(found, ensure_ascii=False, separators=(',', ':'))})\n"
            name = path.stem.removeprefix("equations-")
            (folder / f"{name}.js").write_text(script, encoding="utf-8")


# -- one panel --------------------------------------------------------------------------


def panel(book: Book, equation: Equation, example: dict[str, Any]) -> str:
    parts = [
        ("In words", in_words(book, example)),
        ("With numbers", with_numbers(example)),
        ("In code", in_code(book, equation)),
        ("How it was checked", checked(book, equation, example)),
    ]
    return "".join(f'<p class="part">{title}</p>{text}' for title, text in parts if text)


def formula(tex: str) -> str:
    return f'<span class="arithmatex">\\({html.escape(tex, quote=False)}\\)</span>'


def code(text: str) -> str:
    return f"<code>{html.escape(text, quote=False)}</code>"


def inline(text: str) -> str:
    """Prose of a table's cell: formulas and code, nothing else."""
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", text)
    shown = {"$": formula, "`": code}
    made = (
        shown[one[0]](one[1:-1]) if one[0] in shown else html.escape(one, quote=False) for one in parts if one
    )
    return "".join(made)


def in_words(book: Book, example: dict[str, Any]) -> str:
    rows = []
    for symbol, meaning, set_, by in example["symbols"]:
        shape = re.sub(r"\$([^$]*)\$", lambda found: _set(found[1]), set_)
        shown = code(by)
        if other := book.equations.get(by):
            address = f"{other.chapter.path.stem}.html#{other.anchor}"
            shown = f'<a class="eqref" href="{address}">({other.number})</a>'
        cells = [formula(symbol), inline(meaning), shape, shown]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f'<div class="wide"><table class="words">{"".join(rows)}</table></div>' if rows else ""


def _set(tex: str) -> str:
    plain = plain_set(tex)
    return formula(tex) if plain is None else f'<span class="set">{plain}</span>'


# -- numbers -----------------------------------------------------------------------------


def with_numbers(example: dict[str, Any]) -> str:
    if example["why"]:
        return f"<p>No small example: {html.escape(example['why'])}.</p>"
    return "".join(worked(one) for one in example["equations"])


def worked(data: dict[str, Any]) -> str:
    compiled = {
        "t": [[t["first"], t["shape"], t["values"], int(t["zero"])] for t in data["tables"]],
        "s": data["sides"],
        "a": data["axes"],
        "k": [t["kind"] for t in data["tables"]],
        "f": [t["follows"] for t in data["tables"]],
    }
    text = html.escape(json.dumps(compiled, separators=(",", ":")), quote=False).replace("'", "&#39;")
    return (
        f"<div class=\"worked\" data-eq='{text}'>"
        f'<div class="tables">{"".join(tables(data))}</div>'
        f'<div class="sides">{"".join(sides(data))}</div>'
        f'<div class="votes">{votes(data)}</div></div>'
    )


def tables(data: dict[str, Any]) -> Iterator[str]:
    bare = {side[1] for side in data["sides"] if isinstance(side, list) and side[0] == "x"}
    for position, table in enumerate(data["tables"]):
        if not table["tex"] or (table["kind"] in KINDS and position in bare):
            continue
        note = f"<small>{KINDS[table['kind']]}</small>" if table["kind"] in KINDS else ""
        axes = [["", 1, size] for size in table["shape"]]
        name = html.escape(table["tex"])
        attributes = f'data-t="{position}" data-kind="{table["kind"]}" data-name="{name}"'
        body = matrix(table["values"], axes, attributes)
        yield f'<div class="table">{formula(table["tex"])} = {body}{note}</div>'


def sides(data: dict[str, Any]) -> Iterator[str]:
    if not data["axes"]:
        return
    for position, tex in enumerate(data["shown"]):
        body = matrix(data["values"][position], data["axes"], f'data-s="{position}"')
        source = _source(data, position)
        yield f'<div class="table">{formula(_tex(tex))} = {body}{source}</div>'


def _source(data: dict[str, Any], side: int) -> str:
    expression = data["sides"][side]
    if isinstance(expression, list) and expression[0] in ("x", "call"):
        kind = data["tables"][expression[1] if expression[0] == "x" else expression[2]]["kind"]
        if kind in KINDS:
            return f"<small>{KINDS[kind]}</small>"
    return "<small>by the formula</small>"


def _tex(tex: str) -> str:
    """One side of an aligned display, for a line of its own."""
    return tex.strip().rstrip(",.")


def matrix(values: Sequence[float], axes: Sequence[Sequence[Any]], attributes: str) -> str:
    """Numbers as a table; more than two axes as tables side by side."""
    sizes = [high - low + 1 for _, low, high in axes]
    height, width = [*sizes[-2:], 1, 1][:2]
    found = []
    for start in range(0, len(values), height * width):
        rows = (values[at : at + width] for at in range(start, start + height * width, width))
        text = "".join(f"<tr>{''.join(f'<td>{number(value)}</td>' for value in row)}</tr>" for row in rows)
        offset = f' data-from="{start}"' if start else ""
        found.append(f'<table class="mx" {attributes}{offset}>{text}</table>')
    return " ".join(found)


def votes(data: dict[str, Any]) -> str:
    """One entry of each side, term by term."""
    lines = []
    if data["at"]:
        lines.append(f"<p>At {_where(data['at'])}:</p>")
    for tex, stages in zip(data["shown"], data["stages"], strict=True):
        chain = "".join(f"<span> = {stage}</span>" for stage in stages)
        lines.append(f"<p>{formula(_tex(tex))}{chain}</p>")
    return "".join(lines)


def _where(at: Sequence[Sequence[Any]]) -> str:
    named = [f"<i>{html.escape(name)}</i> = {value}" for name, value in at if not _is_place(name)]
    places = [value for name, value in at if _is_place(name)]
    words = ("entry {}", "row {}, column {}") if len(places) < 3 else ()
    if places:
        named.append(words[len(places) - 1].format(*places) if words else f"entry {tuple(places)}")
    return ", ".join(named)


def _is_place(name: str) -> bool:
    return bool(re.fullmatch(r"p\d+", name))


# -- code and checks -----------------------------------------------------------------------


def in_code(book: Book, equation: Equation) -> str:
    """The lines of the module that name the equation, and the chapters that use what they stand in."""
    items = []
    users: list[Chapter] = []
    for chapter, cell in book.named[equation.display.label or ""]:
        for name, first, lines in implementing(cell, equation.display.label or ""):
            where = f"{chapter.path.stem}.html#code-{cell.name}"
            at = book.module_lines.get(chapter.place(cell.place.line + first - 1))
            line = f", line {at} of {MODULE_NAME}.py" if at else ""
            items.append(f'<p><a href="{where}"><code>{name}</code></a>{line}</p><pre>{code(lines)}</pre>')
            users += [user for user in book.users[name.split(".")[0]] if user not in users]
    if not items:
        return "<p>No comment in the module names this equation.</p>"
    links = ", ".join(f'<a href="{user.path.stem}.html">{user.number}</a>' for user in users)
    used = f"<p>Used in chapter{'s' * (len(users) > 1)} {links}.</p>" if users else ""
    return "".join(items) + used


def implementing(cell: Cell, label: str) -> Iterator[tuple[str, int, str]]:
    """The qualified name, first line and text of each statement whose comment names ``label``."""
    lines = cell.source.split("\n")
    for number_, line in enumerate(lines, 1):
        if label in CODE_REFERENCE.findall(line.partition("#")[2]):
            name, (first, last) = _home(cell.tree, number_)
            text = "\n".join(lines[_with_context(lines, first) : last])
            yield name, first, textwrap.dedent(text)


def _with_context(lines: Sequence[str], first: int) -> int:
    """Where to begin, so that up to CONTEXT lines of the same block come before."""

    def indent(line: str) -> int:
        return len(line) - len(line.lstrip()) if line.strip() else -1

    before = lines[max(0, first - 1 - CONTEXT) : first - 1][::-1]
    return first - 1 - len(list(takewhile(lambda line: indent(line) == indent(lines[first - 1]), before)))


def _home(tree: ast.Module, line: int) -> tuple[str, tuple[int, int]]:
    """Where a line stands: the names around it, and the first and last line of its statement."""
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    around = [node for node in statements if node.lineno <= line <= (node.end_lineno or 0)]  # outermost first
    name = ".".join(node.name for node in around if isinstance(node, Definition))
    is_inside = not around or hasattr(around[-1], "body")  # of what has lines of its own
    return name, (line, line) if is_inside else (around[-1].lineno, around[-1].end_lineno or line)


def checked(book: Book, equation: Equation, example: dict[str, Any]) -> str:
    label = equation.display.label or ""
    title = book.marks[label][0]
    text = f"<p>{html.escape(title[:1].upper() + title[1:], quote=False)}.</p>"
    if example["slip"]:
        what, tex, message = example["slip"]
        before, after = map(code, changed(equation.display.tex, tex))
        text += f"<p>To see it fail, {what}: {before} becomes {after}. The checker says:</p>"
        text += f"<pre>{code(message)}</pre>"
    return text


def changed(before: str, after: str) -> tuple[str, str]:
    """The words of two texts in which they differ, with a little around them."""
    one, two = (re.findall(r"\\[A-Za-z]+|\s+|.", text, flags=re.S) for text in (before, after))
    start = _shared(one, two)
    end = _shared(one[start:][::-1], two[start:][::-1])
    start, end = max(0, start - 3), max(0, end - 3)
    return tuple(
        " ".join("".join(words[start : len(words) - end]).replace("&", " ").split()) for words in (one, two)
    )  # type: ignore[return-value]


def _shared(one: Sequence[str], two: Sequence[str]) -> int:
    """How many words both begin with."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False))))
