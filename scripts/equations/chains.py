"""Split a display into its equations, and each equation into its sides."""

from collections.abc import Callable
from dataclasses import dataclass

from .errors import MathError
from .tokens import CLOSING, COMPARE, OPENING, Token, tokens

INEQUALITY = 'only equations are checked; give the display {unchecked="an inequality"}'


@dataclass(frozen=True)
class Side:
    relation: str  # what stands before it: "", "=", "≈", "←" or "∈"
    tokens: tuple[Token, ...]
    tex: str

    @property
    def shown(self) -> str:
        return " ".join(self.tex.replace("&", " ").replace("\\\\", " ").split())


@dataclass(frozen=True)
class Equation:
    sides: tuple[Side, ...]
    shape: Side | None  # the set of a trailing \\in


def equations(tex: str) -> list[Equation]:
    """The equations of a display: chains of sides, by lines, \\quad and commas."""
    found: list[list[Token]] = []
    for row in _rows(tokens(tex)):
        for number, piece in enumerate(_pieces(row)):
            if found and number == 0 and piece[0].kind in ("EQUALS", "SIGN"):
                found[-1].extend(piece)
            elif any(depth == 0 and token.kind == "EQUALS" for token, depth in _depths(piece)):
                found.append(piece)
            else:
                raise MathError(_lost(piece))
    if not found:
        raise MathError("nothing but layout")
    return [_equation(piece, tex) for piece in found]


def _lost(piece: list[Token]) -> str:
    words = [token.text for token in piece if token.kind == "TEXT"]
    if words and words[0] != r"\text{and}":
        return f"{words[0]} is not read; conditions belong in the prose, or write cases"
    if any(token.kind == "COMPARE" for token in piece):
        return INEQUALITY
    shown = "".join(token.text for token in piece[:6])
    return f"the part beginning {shown} is no equation: it has no = of its own and does not begin with one"


def _rows(found: list[Token]) -> list[list[Token]]:
    if sum((token.kind in OPENING) - (token.kind in CLOSING) for token in found):
        raise MathError("the brackets do not match")
    rows = _split([token for token in found if token.kind != "LAYOUT"], lambda token: token.kind == "NEWLINE")
    for row in rows:
        content = [token for token in row if token.kind not in ("AMP", "QUAD")]
        if row[0].kind == "AMP" and content and content[0].kind not in ("EQUALS", "SIGN"):
            shown = "".join(token.text for token in content[:6])
            raise MathError(f"the line beginning {shown} has lost its =")
    return rows


def _pieces(row: list[Token]) -> list[list[Token]]:
    """The parts of a line between \\quad, \\text{and} and commas."""
    plain = [token for token, depth in _depths(row) if token.kind != "AMP" or depth]
    return _split(plain, lambda token: token.kind in ("QUAD", "COMMA") or token.text == r"\text{and}")


def _split(found: list[Token], ends: Callable[[Token], bool]) -> list[list[Token]]:
    """The runs between tokens that stand outside of brackets."""
    runs: list[list[Token]] = [[]]
    for token, depth in _depths(found):
        if depth == 0 and ends(token):
            runs.append([])
        else:
            runs[-1].append(token)
    return [run for run in runs if run]


def _depths(found: list[Token]) -> list[tuple[Token, int]]:
    depth, result = 0, []
    for token in found:
        depth -= token.kind in CLOSING
        result.append((token, depth))
        depth += token.kind in OPENING
    return result


def _equation(found: list[Token], tex: str) -> Equation:
    while found and found[-1].kind in ("DOT", "COMMA"):
        found = found[:-1]
    parts: list[tuple[str, int, list[Token]]] = [("", found[0].start if found else 0, [])]
    for token, depth in _depths(found):
        if depth == 0 and token.kind == "EQUALS":
            parts.append((token.text, token.end, []))
        elif depth == 0 and token.text in COMPARE:
            raise MathError(INEQUALITY)
        else:
            parts[-1][-1].append(token)
    sides = []
    for relation, start, part in parts:
        if not part:
            raise MathError(f"a side of the equation is empty, next to {relation or '='}")
        sides.append(Side(relation, tuple(part), tex[start : part[-1].end].strip()))
    shape = sides.pop() if sides[-1].relation == "∈" else None
    if len(sides) < 2 or any(side.relation == "∈" for side in sides):
        raise MathError("an equation needs two sides joined by =")
    return Equation(tuple(sides), shape)
