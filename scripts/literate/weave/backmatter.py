"""Pages computed from the book: indexes of names and equations, notation, colophon, and the map."""

from __future__ import annotations

import ast
import re

from literate.chapter import MODULE_NAME, Chapter
from literate.exercises.sheets import read_sheets
from literate.prove.claims import count, stated
from literate.prove.unbound import listed_here
from literate.weave import light, panels
from literate.weave.cheatsheet import cheatsheet
from literate.weave.pages import Book, imported_names, prose, reference
from literate.weave.pytorch import pytorch
from literate.weave.reference import definitions, module_reference, paragraph

ROW, GUTTER = 64, 64  # of the map, in units of 1/16 rem


CHECKS = """\
# How the equations are checked

The formulas of this book are LaTeX. A program reads the same LaTeX that you read, works out both sides of
each equation on random numbers, and compares them. {checked} of the {displays} displays are checked in this
way; the [index of equations](equations.md) lists them all.

A green mark beside an equation's number says against what it was checked, whether it is proved (a full dot)
or sampled (a ring), and how many planted mistakes were noticed; rest the pointer on it to read it.

## One equation

Take $Y=XW+b$ in chapter 4, and the row for $Y$ in the table above it. The sets in the table say from where
$X$, $W$ and $b$ are drawn, and with which shapes: sizes that differ from one another, so that a swapped
index does not fit. The column *In code* says that $Y$ is what the module's `Linear` makes of them. So the
left side of the equation is what the *module* computes, the right side what the *formula* says. Nothing is
checked against a copy.

A derivative such as $\\frac{{\\partial L}}{{\\partial W}}$ is measured, as in chapter 2: the code's forward
is run with a slightly changed $W$. Three values have to agree: the measured slope, the formula, and what
`backward` returns. A derivation of several lines is checked line by line.

## Mistakes, planted

Could such a check pass although the equation is wrong? To find out, the program makes mistakes on purpose:
it flips a sign, swaps an index, drops a transpose, changes a constant, in every equation, one at a time. Of
{planted:,} such mistakes the checks notice {noticed:,}. The others are no mistakes: what they say happens
to be true as well.

## Corners

Random numbers never coincide. So each equation is held against the code at corners as well:

- at zero, where numbers tie, where all of them are equal;
- with one example only, with targets that are shares instead of 0 and 1;
- where a form claims not to overflow, with numbers in the thousands.

Each case behind a brace and each argument of a maximum must have had its turn. What neither side defines at
a corner is left out there.

## Proofs

Random numbers show ten digits, and eight where a slope is measured. So {proved} of the equations are also
*proved*: the module's own code runs once more, on numbers without rounding, those of the finite field with
$2^{{61}}-1$ elements, with a derivative beside each. There an identity that holds at a random point holds
everywhere, but for a probability below $10^{{-15}}$ (Schwartz and Zippel).

Of `exp`, `tanh` and their like the proof uses the rules of their derivatives, and that $e^{{a+b}}=e^ae^b$.
The gradients that the code computes are proved in the same way, against the derivative of their forward.

## Tables and sentences

The tables are held to their word, too:

- A computed value lies in the set of its row.
- A cell may not work out the mathematics itself: with the module's backward made wrong its value has to
  change.
- Where *Meaning* has a word that can be tested, it is: a variance grows fourfold when the numbers double, a
  mean moves with them.
- A label in the module's comments stands at code that its equation is held against.

A number in a sentence is computed, or a setting that the code of its section has. Of the {stated} formulas
in running text that state something, {bound} are bound to the code of their section, or to the table; the
others are listed below.

The rest stands once more on lists: the meanings of symbols, the references from sentences to equations,
words that would turn a sentence around, the expressions behind numbers, the ends of links, comments, and
what code prints or writes into a figure. There each change is seen; whether it is true is not.
"""
SLIPS = """\
These messages are real: the mistakes were made when this page was built, one after the other, and
the checker said this."""
UNCHECKED = """\
Some displays are not equations between numbers. The check leaves them out, and each says why. The book's
tests try them in other ways: a series at smaller and smaller steps, an average over all cases."""

UNBOUND = """\
Formulas in running text that no code is held against. A change of any of them is asked about."""


EQUATIONS = """\
Every numbered equation, its label in the source and in the module's comments, and against
what it was checked."""


EVERY_CODE = re.compile(r"(?ms)^```.*?^```$|^\$\$.*?^\$\$.*?$|^---$.*?^---$|<!--.*?-->")


def pages(book: Book) -> dict[str, str]:
    return {
        "notation.md": panels.EXCLUDED + notation(book),
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
    lines = [
        "# Index of names",
        "",
        f"Every public name of `{MODULE_NAME}`, with the chapters where it is defined, continued and used.",
        "",
        "| Name | Defined | Continued | Used |",
        "|---|---|---|---|",
    ]
    for name in sorted((name for name in book.pieces if name[0] != "_"), key=str.lower):
        (chapter, cell), *later = book.pieces[name]
        continued = ", ".join(chapter_link(c, f"#code-{piece.name}") for c, piece in later)
        used = ", ".join(chapter_link(user) for user in book.users[name])
        first = (next(map(ast.get_docstring, definitions(book, name)), None) or "").split("\n")[0]
        summary = f"<br><small>{paragraph(book, first)}</small>"
        defined = chapter_link(chapter, f"#code-{cell.name}")
        lines.append(f"| `{name}`{summary} | {defined} | {continued} | {used} |")
    return "\n".join(lines) + "\n"


def equations(book: Book) -> str:
    lines = ["# Index of equations", "", EQUATIONS, ""]
    chapter = None
    for label, equation in book.equations.items():
        if equation.chapter is not chapter:
            chapter = equation.chapter
            page = panels.page_name(chapter)
            lines += [f"\n## {chapter.number}. {chapter.title}", "", f"[With their formulas]({page})", ""]
        lines.append(f"- {reference(book, label)} `{label}`{panels.mark(book, label)}")
    return "\n".join(lines) + "\n"


def checks(book: Book) -> str:
    noticed, planted = book.checks["mutants"]
    unchecked = [(chapter, one) for chapter in book.chapters for one in chapter.displays if one.unchecked]
    displays = sum(len(chapter.displays) for chapter in book.chapters)
    checked = displays - len(unchecked)
    total, unbound = count(book.chapters)
    lines = [
        CHECKS.format(
            checked=checked,
            displays=displays,
            noticed=noticed,
            planted=planted,
            proved=book.checks["proved"],
            stated=total,
            bound=total - unbound,
        )
    ]
    lines += ["## What it says when something is wrong", "", SLIPS, ""]
    for what, before, after, message in book.checks["slips"]:
        lines += [f"**{what}:** `{before}` becomes `{after}`.", "", "```text", message, "```", ""]
    lines += ["## What is not checked", "", UNCHECKED, "", "| Where | Why |", "|---|---|"]
    for chapter, item in unchecked:
        where = reference(book, item.label) if item.label else chapter_link(chapter)
        lines.append(f"| {where} | {item.unchecked} |")
    lines += ["", UNBOUND, "", "| Formula | Chapter | Why |", "|---|---|---|"]
    for chapter in book.chapters:
        reasons = listed_here(chapter)
        for tex in dict.fromkeys(one.shown for one in stated(chapter)):
            if tex in reasons:
                lines.append(f"| ${tex}$ | {chapter_link(chapter)} | {reasons[tex]} |")
    return "\n".join(lines) + "\n"


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
    lines = [
        "# Notation",
        "",
        "The tables of all chapters. The last column is the code that computes the symbol.",
        "",
    ]
    for chapter in book.chapters:
        if chapter.tables:
            lines += [f"## {chapter.number}. {chapter.title}", ""]
        for table in chapter.tables:
            start = table.place.line - 1
            rows = chapter.text.split("\n")[start : start + 2 + len(table.rows)]
            lines += [light.sets(prose(book, "\n".join(rows))), ""]
    return "\n".join(lines)


def colophon(book: Book) -> str:
    return f"""# Colophon

The chapters are the only source of this book. Its Python module, these pages, their outputs and
figures, the notebooks and the indexes are all made from them.

Each chapter ran in a process of its own, with warnings as errors, on the module made from the chapters
before it. What stands under a cell is what that run printed or drew.

The module made from this text is `{MODULE_NAME}.py`. Its digest is

```text
{book.module.digest}
```

The same digest stands at the end of the module, in the footer of every page and in the metadata of
every notebook. Where two of them differ, they come from different versions of the book.

The text is set in Source Serif 4 and Source Sans 3, the code in Source Code Pro, the mathematics with
KaTeX, the figures with Matplotlib; the pages are made with Material for MkDocs.
"""


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
