r"""Formulas in the running text that state something: $\mu=0.9$, $\tanh x=2\sigma(2x)-1$, $A\in(0,1)^{N}$.

A symbol that is a number is a setting: the code of its section must give it to that name, or it is a default
of what the line names. What the table in force can evaluate is held against it like a display. "Every step
multiplies the distance by $1-\eta a$" is a claim all the same: what has no relation is part of a display of
its chapter, or of a formula that is held to account. The rest (a condition, a name given in passing) is
listed with its reason, letter by letter, so that no change of it goes unseen.
"""

import ast
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from .arrays import Ranges
from .book import Book
from .chains import equations
from .check import DRAWS, check_display
from .corners import FARS
from .errors import MathError, Redraw, RowError
from .evaluate import Calculus, Evaluator, ranges_of
from .notation import Notation
from .reader import condition_of, read_sides
from .sets import Set, check_member, parse_set
from .slicing import pairs, parameters
from .syntax import Node
from .text import Display, Place, Text
from .tokens import tokens

FORMULA = re.compile(r"(?<![\\$])\$(?!\$)([^$]+)\$")
RELATION = re.compile(
    r"[=<>]|\\(?:l|g)(?:e|eq|eqslant|t|l|g)?\b(?!arrow)|\\ne(?:q)?\b|\\approx|\\in\b|\\equiv|\\leftarrow|\\sim|\\propto"
)

SYMBOL = re.compile(r"(?:\\(?:hat|bar|dot|tilde)\s*)?(?:[A-Za-z]|\\[a-z]+)(?:_(?:\w|\{\w+\}))?")

NOISE = re.compile(r"\\(?:[,;!: ]|left\b|right\b|cdot\b)|\s")
ARGUMENT = r"\s*(\\[a-zA-Z]+|[^\s{\\])"  # without braces
ATOM = r"(\d+|\\?[A-Za-z]|\\[A-Za-z]+|\\sqrt\{[^{}]*\})"
SLASH = re.compile(rf"(?<![\w}}\])]){ATOM}/{ATOM}(?![\w^_(\\{{])")
ONE = re.compile(  # a symbol with its marks, a number, a bracket of names like (N,T,D)
    r"-?\\?[A-Za-z]+(?:[_^'](?:\w|\\[a-z]+|\{[^{}]*\})?)*|\\(?:hat|bar|dot|tilde)\s*\w(?:_\w|_\{\w+\})?|-?\d+"
)


@dataclass(frozen=True)
class Inline:
    place: Place
    tex: str

    @property
    def shown(self) -> str:
        """In one spelling, as the list has it."""
        return " ".join(self.tex.split())

    @property
    def has_relation(self) -> bool:
        bare = re.sub(r"\\(?:left|right)\b", "", self.tex)
        return bool(RELATION.search(bare)) and r"\to " not in self.tex

    @property
    def is_term(self) -> bool:
        """Whether it is more than a symbol or a number, and states nothing by itself."""
        return not self.has_relation and not ONE.fullmatch(self.tex.strip())


def spelled(tex: str) -> str:
    """Without spaces, with braces in the same places, and fractions as such."""
    tex = re.sub(rf"(\\frac|\\sqrt){ARGUMENT}", r"\1{\2}", tex)
    tex = re.sub(rf"(\\frac\{{[^{{}}]*\}}){ARGUMENT}", r"\1{\2}", tex)
    tex = NOISE.sub("", re.sub(r"([_^])\{(\\?\w)\}", r"\1\2", tex))
    return SLASH.sub(r"\\frac{\1}{\2}", tex)


def formulas(chapter: Text, prose: Sequence[str]) -> Iterator[Inline]:
    """The formulas of sentences; ``prose`` are the chapter's lines, blank where there is none."""
    for line, text in enumerate(prose, 1):
        for tex in FORMULA.findall(re.sub(r"`[^`]*`|<!--.*?-->", "", text)):
            yield Inline(Place(chapter.path, line), tex)


def relations(chapter: Text, prose: Sequence[str]) -> Iterator[Inline]:
    """Those with a relation."""
    return (inline for inline in formulas(chapter, prose) if inline.has_relation)


def unbound(book: Book, chapter: Text, inline: Inline) -> str:
    """Empty where the formula is bound to the code; else why it is not."""
    try:
        notation = book.notation(chapter, inline.place.line)
        return _setting(book, chapter, inline) and _identity(book, chapter, inline, notation)
    except (MathError, RowError) as error:
        return str(error)


# -- settings ----------------------------------------------------------------------------


def _setting(book: Book, chapter: Text, inline: Inline) -> str:
    left, equals, right = inline.tex.partition("=")
    value = number_of(right) if equals else None
    if value is None or not SYMBOL.fullmatch(left.strip()):
        return "no setting"
    near = chapter.sections[inline.place.line - 1]
    cells = [cell for cell in chapter.cells if chapter.sections[cell.place.line - 1] == near]
    later = [cell for cell in chapter.cells if cell.place.line > inline.place.line][:1]
    names = _names_of(left.strip(), book.notation(chapter, inline.place.line))
    found = [number for cell in [*cells, *later] for number in _given(cell.source, names)]
    named = re.findall(r"[A-Z]\w+", chapter.text.split("\n")[inline.place.line - 1])
    found += [one for name in named for given in defaults_of(book.module.get(name)).values() for one in given]
    if any(math.isclose(value, one, rel_tol=1e-12) for one in found):
        return ""
    code = " or ".join(sorted(names))
    return (
        f"no code of this section has {code} = {right.strip()}, and it is no default of what the line names"
    )


def _names_of(symbol: str, notation: Notation) -> set[str]:
    """What the code may call a symbol: its letter or its row's name."""
    rows = [row for key, row in notation.rows.items() if key.replace(" ", "") == symbol.replace(" ", "")]
    return {re.sub(r"[\\{} ]", "", symbol), *(row.name for row in rows if row.name)}


def number_of(tex: str) -> float | None:
    """What a formula without symbols comes to."""
    try:
        (node,) = read_sides([tokens(tex)], {})
        return float(Evaluator(NO_DRAW, Ranges())(node).data)
    except (MathError, AttributeError, TypeError, ValueError):
        return None


NO_DRAW: Any = SimpleNamespace(corner="", calculus=Calculus)  # enough for a formula without symbols


def _given(source: str, names: Collection[str]) -> Iterator[float]:
    """The numbers that code gives to one of these names: assigned, as a keyword or a default, in a row."""
    lines = source.split("\n")
    if any(line.startswith(">>>") for line in lines):  # a transcript
        source = "\n".join(line[4:] for line in lines if line.startswith((">>>", "...")))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        for target, value in _pairs(node):
            if isinstance(target, ast.Name) and target.id in names:
                yield from _numbers(value)
            if isinstance(target, ast.Name) and isinstance(value, ast.Tuple):  # betas=(0.9, 0.999)
                for place, one in enumerate(value.elts, 1):
                    if f"{target.id.removesuffix('s')}_{place}" in names:
                        yield from _numbers(one)


def _pairs(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Assign(targets, value):
            for target in targets:
                yield from pairs(target, value)
        case ast.For(target, value):
            yield target, value
        case ast.keyword(str() as name, value):
            yield ast.Name(name), value
        case ast.arguments(args=arguments, defaults=defaults) if defaults:
            last = arguments[-len(defaults) :]
            yield from ((ast.Name(one.arg), value) for one, value in zip(last, defaults, strict=False))


def _numbers(value: ast.expr) -> Iterator[float]:
    negated = {id(node.operand) for node in ast.walk(value) if isinstance(node, ast.UnaryOp)}  # -3 is not 3
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and id(node) not in negated:
            yield float(str(node.value))
        if not isinstance(node, ast.BinOp | ast.UnaryOp):
            continue
        if not any(isinstance(leaf, ast.Name | ast.Call | ast.Attribute) for leaf in ast.walk(node)):
            try:
                yield float(eval(compile(ast.Expression(node), "", "eval"), {}))
            except (TypeError, ValueError, ArithmeticError):
                continue


def defaults_of(value: object) -> dict[str, list[float]]:
    """The numbers that each parameter of a function or class takes where none is given."""
    defaults = {name: one.default for name, one in parameters(value).items()}
    given = {name: one if isinstance(one, tuple) else (one,) for name, one in defaults.items()}
    return {name: [float(x) for x in values if type(x) in (int, float)] for name, values in given.items()}


def denied(book: Book, text: Text, inline: Inline) -> str:
    """Why a formula of an exercise does not hold for the table of its section; empty if nobody can tell."""
    left, _, right = inline.tex.partition("=")
    section = text.sections[inline.place.line - 1]
    if SYMBOL.fullmatch(left.strip()) and (number_of(right) is not None or SYMBOL.fullmatch(right.strip())):
        return ""  # a condition: at $p=1$
    if section not in {text.sections[table.place.line - 1] for table in text.tables}:
        return ""
    end = max(line for line, other in enumerate(text.sections, 1) if other == section)
    reason = unbound(book, text, Inline(Place(inline.place.path, end), inline.tex))
    told = re.match(r"the two sides differ|it does not hold|.*shapes |index \w+ runs", reason)
    return reason if told else ""


# -- what the table can evaluate -----------------------------------------------------------


def _identity(book: Book, chapter: Text, inline: Inline, notation: Notation) -> str:
    if r"\in" in inline.tex and "=" not in inline.tex:
        left, _, right = inline.tex.partition(r"\in")
        (node,), set_ = read_sides([tokens(left)], notation.kinds), parse_set(f"${right.strip()}$")
        return _on_draws(book, inline, notation, node, set_)
    if re.search(r"[<>]|\\(?:l|g)(?:e|eq)?\b|\\ne", inline.tex):
        return _on_draws(book, inline, notation, condition_of(tokens(inline.tex), notation.kinds))
    equations(inline.tex)
    display = Display(inline.place, inline.tex, f"inline {inline.shown}", None, inline.place.line)
    found = check_display(book, chapter, display).finding
    return found.message if found else ""


def _on_draws(book: Book, inline: Inline, notation: Notation, node: Node, set_: Set | None = None) -> str:
    """Whether values lie in a set, or a condition holds, also far from 1."""
    good, name, avoid, needed = 0, f"inline {inline.shown}", notation.literals, notation.ids(node)
    for attempt, corner in enumerate([*(() if set_ else FARS), *[""] * 3 * DRAWS]):
        env = book.draw(notation, name, attempt, avoid, needed, corner)
        try:
            value = Evaluator(env, ranges_of([node], env))(node).data
            if set_:
                check_member(set_, value, env.number)
            elif not np.all(value):
                return "it does not hold for all values of the table"
            good += not corner
        except Redraw:
            continue
        if good == DRAWS:
            return ""
    return "no draw could be used"


# -- complaints ------------------------------------------------------------------------------


def complaints(
    book: Book, chapter: Text, prose: Sequence[str], listed: Collection[str]
) -> Iterator[tuple[Inline, str]]:
    """The formulas that are neither held to account nor listed, and what to do about them."""
    known = {*map(spelled, listed)}
    wholes = [display.tex for display in chapter.displays]
    wholes += [inline.tex for inline in relations(chapter, prose)]
    wholes += [row.symbol for table in chapter.tables for row in table.rows]
    plain = [spelled(tex) for tex in wholes]
    for inline in formulas(chapter, prose):
        if (tex := spelled(inline.tex)) in known:
            continue
        if inline.has_relation and (reason := unbound(book, chapter, inline)):
            yield (
                inline,
                f"${inline.shown}$ states something that nothing holds to account ({reason}). Make it a "
                f"display with a label, or say it in words, or list it with its reason in "
                f"book/unbound.toml: \"a condition\" = ['{chapter.number}: {inline.shown}']",
            )
        if inline.is_term and not any(_is_part(tex, whole) for whole in plain):
            yield (
                inline,
                f"${inline.shown}$ is no part of any display of this chapter, so nothing holds it to "
                "account. Write it as a display does, or list it with its reason in book/unbound.toml",
            )


def _is_part(part: str, whole: str) -> bool:
    """Not of a power or a longer name: 1-e is no part of 1-e^2."""
    no_command = r"(?<!\\)" if part[0].isalpha() else ""
    return bool(re.search(rf"{no_command}{re.escape(part)}(?![\^_'!])", whole))
