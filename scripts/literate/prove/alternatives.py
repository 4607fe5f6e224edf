"""The numbers in a figure's alternative text: drawn in the figure, set in the code of its section, or listed.

Who cannot see a figure has nothing but this text. A number that only a look at the curve tells is listed in
book/unbound.toml, by its chapter: '2: 1e-8 in a figure'.
"""

import re
import sys
from typing import Any

from literate.chapter import Cell, Chapter

from .unbound import listed

TYPED = re.compile(r"(?<![\w.])(?=(\d+\.\d+|\d+e-?\d+|\d+)(?![\w.]))")
NUMBER = re.compile(r"(?<![\w.])(?<!chapter )(\d+(?:[.,]\d+)?(?:e-?\d+)?)(?!\w)")


def figures() -> list[Any]:
    """Those that are open."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    return [pyplot.figure(number) for number in pyplot.get_fignums()] if pyplot else []


def drawn() -> str:
    """All that stands written in the figures that are open."""
    from matplotlib import text

    return "\n".join(one.get_text() for figure in figures() for one in figure.findobj(text.Text))


def untold(chapter: Chapter, cell: Cell, written: str) -> list[str]:
    """The numbers of a cell's alternative text that nothing else has."""
    known = known_numbers(chapter, cell.place.line, written)
    reasons = listed(chapter.path.parent)
    loose = (one for one in NUMBER.findall(cell.alt or "") if float(one.replace(",", "")) not in known)
    return [one for one in loose if f"{chapter.number}: {one} in a figure" not in reasons]


def known_numbers(chapter: Chapter, line: int, *more: str, is_near: bool = False) -> set[float]:
    """The numbers that the code of this line's section has; before the first section, that of all.

    ``is_near``: the last cell before the line and the first one after it; after a colon, the latter only.
    """
    where, cells = chapter.sections, chapter.cells
    here = where[line - 1]
    if is_near:
        after = sum(cell.place.line < line for cell in cells)
        announces = chapter.text.split("\n")[line - 1].endswith(":")
        cells = cells[after if announces else max(after - 1, 0) : after + 1]
    near = [one.source for one in cells if here == min(where) or where[one.place.line - 1] == here]
    texts = re.sub(r"(?<=\d)_(?=\d)", "", "\n".join([*near, *more]))  # 10_000
    return set(map(float, TYPED.findall(texts)))
