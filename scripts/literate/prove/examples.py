"""Each checked display in words, on small numbers, and what the checker says of one slip."""

from typing import Any

import numpy as np

from equations.book import Book, read_display
from equations.check import check_display
from equations.errors import MathError
from equations.mutate import Mutant, mutants
from equations.notation import Definition, Notation
from equations.spell import stages
from equations.syntax import Apply, Derivative, Node, Symbol, base_of, plain
from equations.worked import Unshown, Worked, work_out
from literate.chapter import Chapter, Display

DIGITS = 10  # of a table's numbers that are no whole ones
TRIES = 8  # mistakes on either side that are planted to find one with a good message
Example = dict[str, Any]


def example(book: Book, chapter: Chapter, display: Display) -> Example:
    """{"equations": …, "why": …, "slip": …}"""
    notation = book.notation(chapter, display.place.line)
    found: Example = {"equations": [], "why": ""}
    try:
        found["equations"] = [as_data(worked, notation) for worked in work_out(book, chapter, display)]
    except Unshown as error:
        found["why"] = str(error)
    found["slip"] = slip(book, chapter, display)
    return found


# -- in words ---------------------------------------------------------------------------


def symbols(book: Book, chapter: Chapter, display: Display) -> list[list[str]]:
    """The rows of the symbols of a display, in the order in which they appear."""
    notation = book.notation(chapter, display.place.line)
    rows: dict[str, Definition] = {}
    for read in read_display(display.tex, notation):
        for node in read.walk():
            if row := _row(node, notation):
                rows.setdefault(row.row.symbol, row)
    return [[row.row.symbol, row.row.meaning, row.row.set, row.row.code] for row in rows.values()]


def _row(node: Node, notation: Notation) -> Definition | None:
    if isinstance(node, Derivative):
        return notation.gradients.get(node.pair)
    key = node.function if isinstance(node, Apply) else getattr(node, "key", "")
    return notation.rows.get(key)


# -- with numbers --------------------------------------------------------------------------


def as_data(worked: Worked, notation: Notation) -> Example:
    """What the page needs: tables, sides and one entry spelled out."""
    place = _telling(worked)
    tables = [
        {
            "tex": tex_of(table.node, notation),
            "kind": kind,
            "first": list(table.first),
            "shape": list(table.data.shape),
            "values": [_short(value) for value in table.data.reshape(-1)],
            "zero": table.zero_outside,
            "follows": follows,
        }
        for table, kind, follows in zip(worked.tables, worked.given, worked.follows, strict=True)
    ]
    return {
        "tables": tables,
        "shown": worked.shown,
        "sides": worked.sides,
        "axes": [[axis.name, axis.low, axis.high] for axis in worked.axes],
        "values": [[_short(value) for value in side.reshape(-1)] for side in worked.values],
        "at": [[plain(name), value] for name, value in place.items()],
        "stages": [stages(side, worked.tables, place) for side in worked.sides],
    }


def _short(value: float) -> float | int:
    short = float(f"{float(value):.{DIGITS}g}")
    return int(short) if short == int(short) else short


def _telling(worked: Worked) -> dict[str, int]:
    """An entry that is not zero and lies off the diagonal, if there is one."""
    values = worked.values[0]
    places = np.ndindex(*values.shape)
    choice = max(places, key=lambda at: (bool(values[at] != 0), len(set(at)) == len(at)))
    return {axis.name: axis.low + at for axis, at in zip(worked.axes, choice, strict=True)}


def tex_of(node: Node, notation: Notation) -> str:
    """The symbol as the chapter writes it; nothing for the values of a function."""
    if isinstance(node, Symbol):
        return notation.rows[node.key].row.symbol.removesuffix(r"\leftarrow").strip()
    if isinstance(node, Derivative) and isinstance(base_of(node.top), Symbol):
        above, below = (notation.rows[key].row.symbol for key in node.pair)
        return rf"\frac{{\partial {above}}}{{\partial {below}}}"
    return ""


# -- how it was checked ----------------------------------------------------------------------


def slip(book: Book, chapter: Chapter, display: Display) -> list[str]:
    """[what, LaTeX with the slip, message] of a mistake that is noticed when its sides are compared."""
    fallback: list[str] = []
    for mutant in _telling_first(display.tex):
        try:
            finding = check_display(
                book.replacing(str(display.label), mutant.tex, fresh=False), chapter, display
            ).finding
        except MathError:
            continue
        if finding:
            one = [mutant.what, mutant.tex, finding.message]
            if finding.message.startswith("the two sides differ"):
                return one
            fallback = fallback or one
    return fallback


def _telling_first(tex: str) -> list[Mutant]:
    """Some mistakes: first those that leave the left side as it is."""
    left = tex.partition("=")[0]
    inside = [mutant for mutant in mutants(tex) if mutant.tex.startswith(left)]
    others = [mutant for mutant in mutants(tex) if not mutant.tex.startswith(left)]
    return inside[:TRIES] + others[:TRIES]
