"""Nest the tokens of a side of an equation: factors, with what they enclose and with their scripts.

What stands side by side (a call, a product, a sum's reach) is settled by reader.py with the notation
table, because LaTeX alone does not say it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .errors import MathError
from .tokens import ARGUMENTS, OPENING, Token

CLOSED_BY = {kind: f"R{kind[1:]}" for kind in OPENING - {"LCASES"}}
ATOMS = OPENING | set("NUMBER LETTER WORD TEXT ACCENT FRAC SQRT FUNCTION BIG PARTIAL NABLA TOP".split())
JOINS = ("EQUALS", "COMPARE", "COMMA")  # what a sign may follow
GROUPS = ("LPAR", "LSQB", "LSET")
AROUND = {  # in the one spelling
    **{"FRAC": (r"\frac{", "}{", "}"), "SQRT": (r"\sqrt{", "", "}"), "LBRACE": ("", "", "")},
    **{"LPAR": ("(", "", ")"), "LSQB": ("[", "", "]"), "LSET": (r"\{", "", r"\}"), "LCASES": ("", "", "")},
    **{"LVERT": (r"\lvert ", "", r"\rvert "), "LNORM": (r"\lVert ", "", r"\rVert ")},
}


@dataclass(frozen=True)
class Item:
    """A factor, that is a token or what it opens, with its scripts; or a sign or relation between factors."""

    kind: str  # of the token
    text: str
    parts: tuple[Group, ...] = ()  # what it encloses; of cases each value and its condition
    sub: Group | None = None
    sup: Group | None = None
    primes: int = 0

    @property
    def alone(self) -> Item:
        """Without its scripts."""
        return replace(self, sub=None, sup=None, primes=0)

    @property
    def bare(self) -> Item:
        """``{x}_t`` is ``x_t``."""
        match self:
            case Item("LBRACE", _, ((Item(sub=None, sup=None, primes=0) as inner,),)):
                return replace(inner, sub=self.sub, sup=self.sup, primes=self.primes)
        return self


Group = tuple[Item, ...]


def parse(found: Iterable[Token]) -> Group:
    """One side of an equation, or a symbol."""
    return _Parser(deque(found)).group("")


class _Parser:
    def __init__(self, rest: deque[Token]) -> None:
        self.rest = rest
        self.ended = ""  # the kind of token that ended the last group

    def group(self, *ends: str) -> Group:
        """Everything up to a token that ends it."""
        items: list[Item] = []
        while True:
            token = self.rest.popleft() if self.rest else Token("", "", 0, 0)
            before = items[-1].kind if items else "COMMA"
            if token.kind in ATOMS:
                items.append(self.factor(token))
            elif token.kind == "TIMES" or (token.kind == "SIGN" and before != "SIGN"):
                items.append(Item(token.kind, token.text))
            elif token.kind not in (*ends, *JOINS) or before in (*JOINS, "SIGN"):
                raise MathError(_unexpected(token))
            elif token.kind in ends:
                self.ended = token.kind
                return tuple(items)
            else:
                items.append(Item(token.kind, token.text))

    def factor(self, token: Token) -> Item:
        parts: list[Group] = []
        if token.kind in CLOSED_BY:
            parts.append(self.group(CLOSED_BY[token.kind]))
        for _ in range(ARGUMENTS.get(token.kind, 0)):
            parts.append(self.braced())
        while token.kind == "LCASES" and self.ended != "RCASES":
            parts += [self.group("AMP"), self.group("NEWLINE", "RCASES")]
            if self.ended == "NEWLINE" and self.rest and self.rest[0].kind == "RCASES":
                self.ended = self.rest.popleft().kind
        self.ended = ""
        made = Item(token.kind, token.text, tuple(parts))
        while self.rest and self.rest[0].kind in ("SUB", "SUP", "PRIME"):
            mark = self.rest.popleft()
            if mark.kind == "PRIME":
                made = replace(made, primes=made.primes + 1)
                continue
            script, inside = mark.kind.lower(), self.braced()
            if getattr(made, script):
                both = f"{raw(made)}{mark.text}{{{raw(inside)}}}"
                raise MathError(f"two scripts of one kind at {both}; add brackets")
            made = replace(made, sub=inside) if script == "sub" else replace(made, sup=inside)
        if made.primes and made.sup:
            raise MathError(f"prime and exponent at {raw(made)}: write (f')^2")
        return made

    def braced(self) -> Group:
        self.rest.popleft()
        return self.group("RBRACE")


def _unexpected(token: Token) -> str:
    if not token.kind:
        return "the formula breaks off"
    if token.kind == "SIGN":
        return f"the sign {token.text} has no left side; put the signed term in brackets"
    if token.kind in ("DOT", "COLON", "TO", "QUAD", "LAYOUT"):
        return f"{token.text} cannot stand here"
    return f"unexpected {token.text}"


def split(items: Iterable[Item], *kinds: str) -> list[tuple[str, Group]]:
    """The runs between items of these kinds, each with the text of the one before it."""
    runs: list[tuple[str, Group]] = [("", ())]
    for item in items:
        if item.kind in kinds:
            runs.append((item.text, ()))
        else:
            runs[-1] = runs[-1][0], (*runs[-1][1], item)
    return runs


def listed(items: Iterable[Item]) -> list[Group]:
    """What stands between commas."""
    return [part for _, part in split(items, "COMMA") if part]


def is_product(items: Iterable[Item]) -> bool:
    return not any(item.kind in ("SIGN", *JOINS) for item in items)


def leaves(items: Iterable[Item]) -> Iterator[Item]:
    """All items, and those in them."""
    for item in items:
        yield item
        for inner in (*item.parts, item.sub, item.sup):
            yield from leaves(inner or ())


def letters(items: Iterable[Item]) -> list[str]:
    return [item.text for item in leaves(items) if item.kind == "LETTER"]


def raw(what: Item | Sequence[Item]) -> str:
    """LaTeX in one fixed spelling, which serves as a symbol's key."""
    return re.sub(r"(\\[A-Za-z]+)~(?![A-Za-z])", r"\1", _raw(what)).replace("~", " ").strip()


def _raw(what: Item | Sequence[Item]) -> str:
    if not isinstance(what, Item):
        return "".join(map(_raw, what))
    text = {r"\widehat": r"\hat", r"\widetilde": r"\tilde"}.get(what.text, what.text)
    if what.parts:
        left, between, right = AROUND.get(what.kind, (text + "{", "", "}"))
        text = left + between.join(map(_raw, what.parts)) + right
    elif re.fullmatch(r"\\[A-Za-z]+", text):
        text += "~"
    below, above = (
        f"{mark}{{{_raw(one)}}}" if one else "" for mark, one in (("_", what.sub), ("^", what.sup))
    )
    return text + below + "^{'}" * what.primes + above
