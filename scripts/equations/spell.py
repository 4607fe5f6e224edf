"""How an entry is computed, spelled out with numbers: 1 · 2 + 3 · (−1) = 2 + (−3) = −1."""

import html
import re
from collections.abc import Sequence

from .arrays import REDUCE
from .lower import RELATIONS, Expression, Indices, Table, run, steps

MOST = 6  # terms of a sum that are written
LONGEST = 260  # characters of a line
SUM, PRODUCT, ATOM = 1, 2, 3
BETWEEN = {  # what stands between two parts, how these must bind, and how the whole does
    "+": ("+", SUM, PRODUCT, SUM),
    "-": ("−", SUM, PRODUCT, SUM),
    "*": ("·", PRODUCT, PRODUCT, PRODUCT),
    "/": ("/", ATOM, ATOM, PRODUCT),
}
JOINED = {"sum": " + ", "prod": " · "}
SHOWN = {"!=": "≠", "<=": "≤", ">=": "≥", "<": "&lt;", ">": "&gt;", "=": "="}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Four digits, with a true minus sign."""
    if abs(value) < 1e-12:
        return "0"
    if abs(value - round(value)) < 1e-9 and abs(value) < 1e6:
        return str(round(value)).replace("-", "−")
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    power = f" · 10{str(int(exponent)).translate(SUPERSCRIPT)}" if exponent else ""
    return f"{mantissa}{power}".replace("-", "−")


def stages(expression: Expression, tables: Sequence[Table], indices: Indices) -> list[str]:
    """The entry with its numbers put in, with each term worked out, and its value."""
    value = number(run(expression, tables, indices))
    found: list[str] = []
    for depth in (0, 1):
        text = _Speller(tables, depth).say(expression, indices, SUM)[0]
        if len(html.unescape(re.sub("</?sup>", "", text))) <= LONGEST and text not in (value, *found):
            found.append(text)
    return [*found, value]


class _Speller:
    def __init__(self, tables: Sequence[Table], depth: int) -> None:
        self.tables = tables
        self.depth = depth

    def say(self, expression: Expression, indices: Indices, level: int, sums: int = 0) -> tuple[str, int]:
        """The text of an expression, in brackets if it binds less than ``level``; and how it binds."""
        text, own = self.bare(expression, indices, sums)
        return (f"({text})", ATOM) if own < level else (text, own)

    def value(self, expression: Expression, indices: Indices) -> tuple[str, int]:
        found = run(expression, self.tables, indices)
        return number(found), SUM if found < 0 else ATOM

    def bare(self, expression: Expression, indices: Indices, sums: int) -> tuple[str, int]:
        if not isinstance(expression, list) or expression[0] == "x":
            return self.value(expression, indices)
        kind, *parts = expression
        if kind in JOINED and len(parts) == 5:
            return self.reduced(expression, indices, sums)
        if self.depth and kind not in "+-":
            return self.value(expression, indices)
        if kind in REDUCE and len(parts) == 5:
            return self.reduced(expression, indices, sums)
        if kind in BETWEEN:
            sign, before, behind, own = BETWEEN[kind]
            left = self.say(parts[0], indices, before, sums)[0]
            right = self.say(parts[1], indices, behind, sums)[0]
            return f"{left} {sign} {right}", own
        if kind == "^":
            below = self.say(parts[0], indices, ATOM, sums)[0]
            return f"{below}<sup>{self.say(parts[1], indices, SUM, sums)[0]}</sup>", ATOM
        if kind == "neg":
            return f"−{self.say(parts[0], indices, PRODUCT, sums)[0]}", SUM
        return self.function(kind, parts, indices, sums)

    def function(
        self, kind: str, parts: Sequence[Expression], indices: Indices, sums: int
    ) -> tuple[str, int]:
        if kind in RELATIONS:
            left, right = (self.say(part, indices, SUM, sums)[0] for part in parts)
            return f"[{left} {SHOWN[kind]} {right}]", ATOM
        if kind == "cases":
            for condition, value in zip(parts[::2], parts[1::2], strict=True):
                if condition is None or run(condition, self.tables, indices):
                    return self.bare(value, indices, sums)
        if kind == "call":
            name, _, _, *arguments = parts
        elif kind == "and":
            return self.value([kind, *parts], indices)
        else:
            name, arguments = {"abs": "", "sqrt": "√"}.get(kind, kind), list(parts)
        inside = ", ".join(self.say(one, indices, SUM, sums)[0] for one in arguments)
        if kind == "abs":
            return f"|{inside}|", ATOM
        return f"{html.escape(_letter(name), quote=False)}({inside})", ATOM

    def reduced(self, expression: Expression, indices: Indices, sums: int) -> tuple[str, int]:
        """A sum term by term; a sum within it is one number."""
        kind, body = expression[0], expression[5]
        every = list(steps(expression, self.tables, indices))
        if sums or not every:
            return self.value(expression, indices)
        if len(every) == 1:
            return self.bare(body, every[0], sums)
        level = PRODUCT if kind in JOINED else SUM
        shown = every if len(every) <= MOST else [*every[: MOST - 2], every[-1]]
        terms = [self.say(body, inner, level if at else SUM, sums + 1)[0] for at, inner in enumerate(shown)]
        if len(shown) < len(every):
            terms.insert(-1, "…")
        if kind in JOINED:
            return JOINED[kind].join(terms), SUM if kind == "sum" else PRODUCT
        return f"{kind}({', '.join(terms)})", ATOM


def _letter(name: str) -> str:
    """σ of \\sigma, Tanh′ of \\operatorname{Tanh}^{'}; other names as they are."""
    primes = "′" * name.count("'")
    bare = re.sub(r"\^?\{?'+\}?", "", name)
    bare = re.sub(r"\\(operatorname|mathrm|text)\{(.*)\}", r"\2", bare)
    return GREEK.get(bare, bare.replace("\\", "")) + primes


GREEK = {r"\sigma": "σ", r"\varphi": "φ", r"\phi": "φ", r"\psi": "ψ", r"\Phi": "Φ", r"\rho": "ρ"}
