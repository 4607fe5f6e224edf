"""Parse tokens into a raw tree with the grammar of grammar.lark."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lark

from .errors import MathError
from .tokens import BRACKETS, Token

Raw = Any  # a lark.Tree, or a lark.Token as its leaf
STRUCTURE = {*BRACKETS.values(), "SUP", "SUB", "FRAC", "SQRT", "AMP", "NEWLINE"}


class _Hand(lark.lexer.Lexer):
    """Hand lark our own tokens."""

    def __init__(self, _: object) -> None:
        pass

    def lex(self, found: tuple[tuple[str, str], ...]) -> Iterator[lark.Token]:  # type: ignore[override]
        for kind, text in found:
            yield lark.Token(f"_{kind}" if kind in STRUCTURE else kind, text)


@functools.cache
def _parser() -> lark.Lark:
    """Made when the first formula is read: to work out its tables takes a while."""
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", start="list", lexer=_Hand)


def parse(found: list[Token]) -> lark.Tree:
    """The raw tree of one side of an equation, or of a symbol."""
    return _parse(tuple((token.kind, token.text) for token in found))


@functools.lru_cache(maxsize=4096)
def _parse(found: tuple[tuple[str, str], ...]) -> lark.Tree:
    """A side stands in many mutants of its equation, a symbol in many tables: each is parsed once."""
    try:
        return _parser().parse(found)
    except lark.UnexpectedToken as error:
        raise MathError(_explain(error)) from None


def _explain(error: lark.UnexpectedToken) -> str:
    token = error.token
    if token.type == "$END":
        return "the formula breaks off"
    if token.type == "SIGN":
        return f"the sign {token} has no left side; put the signed term in brackets"
    if token.type in ("DOT", "COLON", "TO", "QUAD", "LAYOUT"):
        return f"{token} cannot stand here"
    return f"unexpected {token}"


def raw(tree: Raw) -> str:
    """The tree as LaTeX in one fixed spelling, which serves as a symbol's key."""
    return re.sub(r"(\\[A-Za-z]+)~(?![A-Za-z])", r"\1", _raw(tree)).replace("~", " ").strip()


def _raw(tree: Raw) -> str:
    if isinstance(tree, lark.Token):
        text = {r"\widehat": r"\hat", r"\widetilde": r"\tilde"}.get(tree, str(tree))
        return text + "~" if re.fullmatch(r"\\[A-Za-z]+", text) else text
    if tree.data == "factor":
        scripts = sorted((_raw(script) for script in tree.children[1:]), key=lambda text: text[0] != "_")
        return _raw(tree.children[0]) + "".join(scripts)
    inner = [_raw(child) for child in tree.children]
    left, right = _AROUND.get(tree.data, ("", ""))
    if tree.data == "accent":
        return f"{inner[0].strip('~')}{{{inner[1]}}}"
    if tree.data == "fraction":
        return f"\\frac{{{inner[0]}}}{{{inner[1]}}}"
    if tree.data == "prime":
        return "^{'}"
    return left + "".join(inner) + right


_AROUND = {
    "sup": ("^{", "}"),
    "sub": ("_{", "}"),
    "root": (r"\sqrt{", "}"),
    "round": ("(", ")"),
    "square": ("[", "]"),
    "curly": (r"\{", r"\}"),
    "size": (r"\lvert ", r"\rvert "),
    "norm": (r"\lVert ", r"\rVert "),
}
