"""Pages computed from the book: indexes of names and equations, notation, colophon, and the map."""

import ast
import re

from literate.chapter import MODULE_NAME, Chapter
from literate.exercises.sheets import read_sheets
from literate.prove.claims import count, stated
from literate.prove.unbound import listed_here
from literate.weave import light, panels
from literate.weave.cheatsheet import cheatsheet
from literate.weave.pages import Book, imported_names, prose, reference, text_of
from literate.weave.pytorch import pytorch
from literate.weave.reference import module_reference, paragraph

ROW, GUTTER = 64, 64  # of the map, in units of 1/16 rem


EVERY_CODE = re.compile(r"(?ms)^```.*?^```$|^\$\$.*?^\$\$.*?$|^---$.*?^---$|<!--.*?-->")


def pages(book: Book) -> dict[str, str]:
    return {
        "notation.md": notation(book),
        "equations.md": equations(book),
        "checks.md": checks(book),
        "names.md": names(book),
        "cheatsheet.md": cheatsheet(book),
        "module.md": module_reference(book),
        "pytorch.md": pytorch(book),
        "colophon.md": colophon(book),
        **panels.pages(book),
    }


def chapter_link(chapter: Chapter, anchor: str = "") -> str:
    return f"[{chapter.number}]({chapter.path.name}{anchor})"


def names(book: Book) -> str:
    lines = []
    for name in sorted((name for name in book.pieces if name[0] != "_"), key=str.lower):
        (chapter, cell), *later = book.pieces[name]
        continued = ", ".join(chapter_link(c, f"#code-{piece.name}") for c, piece in later)
        used = ", ".join(chapter_link(user) for user in book.users[name])
        node = book.core.named.get(name)
        first = ((node and ast.get_docstring(node)) or "").split("\n")[0]
        summary = f"<br><small>{paragraph(book, first)}</small>"
        defined = chapter_link(chapter, f"#code-{cell.name}")
        lines.append(f"| `{name}`{summary} | {defined} | {continued} | {used} |")
    return text_of("names").format(module=MODULE_NAME, rows="\n".join(lines))


def equations(book: Book) -> str:
    lines, chapter = [], None
    for label, equation in book.equations.items():
        if equation.chapter is not chapter:
            chapter = equation.chapter
            page = panels.page_name(chapter)
            lines += [f"\n## {chapter.number}. {chapter.title}", "", f"[With their formulas]({page})", ""]
        lines.append(f"- {reference(book, label)} `{label}`{panels.mark(book, label)}")
    return text_of("equations").format(equations="\n".join(lines))


def checks(book: Book) -> str:
    noticed, planted = book.checks["mutants"]
    displays = [(chapter, one) for chapter in book.chapters for one in chapter.displays]
    unchecked = [(chapter, one) for chapter, one in displays if one.unchecked]
    total, unbound = count(book.chapters)
    slips = [
        f"**{what}:** `{before}` becomes `{after}`.\n\n```text\n{message}\n```\n"
        for what, before, after, message in book.checks["slips"]
    ]
    without = []
    for chapter, item in unchecked:
        where = reference(book, item.label) if item.label else chapter_link(chapter)
        without.append(f"| {where} | {item.unchecked} |")
    loose = []
    for chapter in book.chapters:
        reasons = listed_here(chapter)
        for tex in dict.fromkeys(one.shown for one in stated(chapter)):
            if tex in reasons:
                loose.append(f"| ${tex}$ | {chapter_link(chapter)} | {reasons[tex]} |")
    return text_of("checks").format(
        checked=len(displays) - len(unchecked),
        displays=len(displays),
        noticed=noticed,
        planted=planted,
        proved=book.checks["proved"],
        stated=total,
        bound=total - unbound,
        slips="\n".join(slips),
        unchecked="\n".join(without),
        unbound="\n".join(loose),
    )


def generated(text: str, book: Book) -> str:
    """The page with what is computed for the first page in its places."""
    for name, compute in (("map", map_of), ("slips", slips), ("hours", hours)):
        place = f"<!-- generated: {name} -->"
        if place in text:
            text = text.replace(place, compute(book))
    return text


def hours(book: Book) -> str:
    """What the book costs: words of prose, and exercises."""
    chapters = [chapter for chapter in book.chapters if chapter.number]
    words = sum(len(EVERY_CODE.sub("", chapter.text).split()) for chapter in chapters)
    exercises = [one for sheet in read_sheets(book.chapters) for one in sheet.exercises]
    marked = sum(one.is_marked for one in exercises)
    return (
        f"**What it costs.** The {len(chapters)} chapters have about {round(words, -3):,} words of text. "
        "Allow one to two hours for each, code and pencil included, "
        f"and more for its exercises ({len(exercises)} in all; the book marks {marked} of them)."
    )


def slips(book: Book) -> str:
    """Each slip as a fold that opens on what the checker said of it, and closes the others."""
    parts = []
    for what, before, after, message in book.checks["slips"]:
        show = panels.formula if "\\" in before else panels.code
        said = f"<pre>{panels.code(message)}</pre>"
        summary = f"<summary>{what}: {show(before)} becomes {show(after)}</summary>"
        parts.append(f'<details class="slip" name="slip">{summary}{said}</details>')
    return "\n\n".join(parts)


def notation(book: Book) -> str:
    lines = []
    for chapter in book.chapters:
        if chapter.tables:
            lines += [f"## {chapter.number}. {chapter.title}", ""]
        for table in chapter.tables:
            start = table.place.line - 1
            rows = chapter.text.split("\n")[start : start + 2 + len(table.rows)]
            lines += [light.sets(prose(book, "\n".join(rows))), ""]
    return text_of("notation").format(tables="\n".join(lines))


def colophon(book: Book) -> str:
    return text_of("colophon").format(module=MODULE_NAME, digest=book.module.digest)


def map_of(book: Book) -> str:
    """The chapters as a list, with arcs beside it: who rests on whom; what other arcs imply is left out."""
    chapters = [chapter for chapter in book.chapters if chapter.number]
    home = {name: pieces[0][0] for name, pieces in book.pieces.items()}
    arcs, rows, below = [], [], list[set[int]]()
    for row, chapter in enumerate(chapters):
        taken: dict[int, list[str]] = {}
        for name in imported_names(chapter):
            if not name.startswith("_"):
                taken.setdefault(home[name].number, []).append(panels.code(name))
        needs = {chapters.index(home[name]) for name in imported_names(chapter)}
        below.append(needs.union(*(below[one] for one in needs)))
        direct = needs.difference(*(below[one] for one in needs))
        arcs += [_arc(source, row, len(chapters)) for source in sorted(direct)]
        uses = "; ".join(f"{', '.join(names)} from {number}" for number, names in sorted(taken.items()))
        goes_on = "goes on from " + ", ".join(f"{one + 1}" for one in sorted(direct))
        uses = f"uses {uses}" if uses else goes_on if direct else "starts from nothing"
        rows.append(
            f'- [{chapter.number}. {chapter.title}]({chapter.path.name}) <span class="uses">{uses}</span>'
        )
    dots = [f'<circle cx="{GUTTER - 8}" cy="{_y(row)}" r="4"/>' for row in range(len(chapters))]
    height = ROW * len(chapters)
    svg = (
        f'<svg viewBox="0 0 {GUTTER} {height}" style="height: {height / 16:g}rem" aria-hidden="true">'
        f"{''.join(arcs + dots)}</svg>"
    )
    lines = ['<div class="map" markdown>', f'<div markdown="0">{svg}</div>', "", *rows, "", "</div>"]
    return "\n".join(lines)


def _y(row: int) -> int:
    return ROW * row + 22


def _arc(source: int, target: int, rows: int) -> str:
    x, height = GUTTER - 8, (_y(target) - _y(source)) / 2
    width = (GUTTER - 16) * ((target - source) / max(rows - 1, 1)) ** 0.6
    return f'<path d="M{x} {_y(source)}A{width:.1f} {height:.1f} 0 0 0 {x} {_y(target)}"/>'
