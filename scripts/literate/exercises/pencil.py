"""Hold the reader's LaTeX against the code, as the book's own equations are."""

import contextlib
import re
from collections.abc import Iterator

from equations.book import Book, Read, read_display
from equations.check import check_display
from equations.errors import MathError
from equations.notation import Notation
from equations.syntax import Derivative, Index, Node, Reduce, Symbol, base_of, show
from equations.tokens import COMPARE, EQUALS
from literate.chapter import Chapter, Display

from .sheets import Exercise

ONE = r"\\partial\s*(\\?[A-Za-z]+(?:_(?:\w|\{[^{}]*\}))?)"
OTHERWISE = {  # what readers write, and what the book writes for it
    r"(?s)^\s*(?:\$\$?|\\[\[(])(.*?)(?:\$\$?|\\[\])])\s*$": r"\1",
    r"\\(?:begin|end)\{(?:equation|displaymath|math)\*?\}|\\label\{[^{}]*\}": "",
    r"\^\{?(?:\\prime)\}?": "'",
    r"([A-Z)])'(?!\s*[(:=])": r"\1^{\\top}",
    r"\\text\{(sign|sgn)\}|\\(sgn)\b": r"\\operatorname{\1\2}",
    r"\{([^{}]*)\\over\b([^{}]*)\}": r"\\frac{\1}{\2}",
    r"(?<!\\)\|([^|]*)\|": r"\\lvert \1\\rvert ",
    rf"{ONE}\s*/\s*{ONE}": r"\\frac{\\partial \1}{\\partial \2}",
}


def complaint(book: Book, sheet: Chapter, exercise: Exercise, tex: str) -> str:
    """What is wrong with this answer, or ""."""
    wanted = exercise.answer
    assert wanted and wanted.label
    for theirs, ours in OTHERWISE.items():
        tex = re.sub(theirs, ours, tex)
    notation = book.notation(sheet, wanted.place.line)
    (right,) = read_display(wanted.tex, notation)
    left = right.equation.sides[0].shown
    signs = "|".join(map(re.escape, (*EQUALS, *COMPARE)))
    if not re.search(rf"(?:{signs})(?![A-Za-z])", tex):  # \left is no \le
        return f"there is no = in it: write {left} =, and behind it what it is"
    try:
        mine = read_display(tex, notation)
        said = _misses(right, mine)
        answer = Display(wanted.place, tex, wanted.label, None, wanted.end)
        if not said:
            finding = check_display(book.replacing(wanted.label, tex, fresh=False), sheet, answer).finding
            said = finding.message if finding else _detour(right, mine[0], notation)
    except MathError as error:
        said = f"cannot be read: {error}"
        theirs, _, rest = tex.replace(":=", "=").partition("=")
        if "%" not in theirs and _is_read(rest, notation) and not _is_read(theirs, notation):
            said = f"the left side is {theirs.strip() or 'empty'}, and must be {left}"
    rows = [row for row in notation.rows.values() if row.place.path == exercise.place.path]
    symbols = [row.row.symbol for row in rows if exercise.place.line < row.place.line < exercise.end]
    said = said.partition("; give the display")[0]  # that is for authors
    return said.replace("in the notation table", f"one of the symbols here, {', '.join(symbols)}")


def _is_read(tex: str, notation: Notation) -> bool:
    """Can this side be read, beside a number?"""
    with contextlib.suppress(MathError):
        return bool(read_display(f"{tex} = 1", notation))
    return False


def _misses(right: Read, mine: tuple[Read, ...]) -> str:
    """What keeps it from being an answer to this task, or ""."""
    left, shown = right.sides[0], right.equation.sides[0].shown
    if len(mine) != 1:
        return f"expected one equation, got {len(mine)}"
    first, *others = mine[0].equation.sides
    if _what(mine[0].sides[0]) != _what(left):
        return f"the left side is {first.shown}, and must be {shown}"
    if strange := [side.relation for side in others if side.relation != "="]:
        return f"it has {strange[0]} where = belongs"
    allowed = {_pair(node) for side in right.sides for node in _derivatives(side)}
    for node in _derivatives(mine[0].sides[-1]):
        if _pair(node) not in allowed:
            return f"{show(node)} is still to be worked out"
    return ""


def _detour(right: Read, mine: Read, notation: Notation) -> str:
    """What an answer that holds says in more words than the task allows, or ""."""
    end, ours = mine.sides[-1], [node for side in right.sides[1:] for node in side.walk()]
    needed = {node.key for node in ours if isinstance(node, Symbol)}
    more = {node.key for node in end.walk() if isinstance(node, Symbol)} - needed
    if more := {key for key in more if notation.rows[key].kind == "value"}:
        shown = " and ".join(sorted(notation.rows[key].row.symbol for key in more))
        return f"it holds, and can be written without {shown}"
    is_whole = not any(isinstance(node, Index) for node in mine.sides[0].walk())
    kinds = {node.kind for node in end.walk() if isinstance(node, Reduce)}
    if is_whole and kinds and not any(isinstance(node, Reduce) for node in ours):
        return "it holds, and can be written without \\" + kinds.pop()
    return ""


def _derivatives(node: Node) -> Iterator[Derivative]:
    return (part for part in node.walk() if isinstance(part, Derivative))


def _what(node: Node) -> tuple[str, ...]:
    """What a side stands for, with or without indices."""
    return _pair(node) if isinstance(node, Derivative) else (show(base_of(node)),)


def _pair(node: Derivative) -> tuple[str, str]:
    return show(base_of(node.top)), show(base_of(node.bottom))
