"""What a notation must not do: retype the code, or stand idle."""

import ast
import contextlib
from collections.abc import Iterable, Sequence

import numpy as np

from .book import Book
from .check import Result
from .environment import Environment
from .errors import Finding, Redraw
from .hollow import keeps_its_value
from .meanings import meaning_complaint
from .notation import Definition, Notation
from .slicing import computes
from .stand_ins import HELPERS
from .text import Place, Table, Text

PRODUCTS = tuple(f"np.{name}" for name in "matmul dot einsum tensordot inner outer kron".split())


def guard_table(book: Book, chapter: Text, table: Table, displays: Iterable[Result]) -> list[Finding]:
    """Findings about a table that can be read, given what the chapter's checked equations rest on."""
    displays = list(displays)
    used = {place for result in displays for place in result.rows}
    notation = book.notation_of(chapter, table)
    findings = []
    for row in notation.every_row():
        if row.row in table.rows and (message := _complaint(book, notation, row, used, displays)):
            findings.append(Finding(row.place, row.row.symbol, message))
    return findings


def _complaint(
    book: Book, notation: Notation, row: Definition, used: set[Place], displays: Sequence[Result]
) -> str | None:
    needed = notation.closure(row.id)
    is_gradient = row in notation.gradients.values()

    def draw(attempt: int) -> Environment:
        return book.draw(notation, f"meaning of {row.key}", attempt, notation.literals, needed)

    if message := meaning_complaint(notation, row, draw, is_gradient):
        return message
    if row.place not in used:
        return "no checked equation uses this row; remove it, or label the equation it is for"
    if row.label:
        is_tested = any(row.place in result.rows and result.name != row.label for result in displays)
        return None if is_tested else f"{row.label} defines it and no other checked equation uses it"
    if "from 0" in row.set.words and (message := _always_zero(book, notation, row)):
        return message
    slice_ = notation.slice_for(row.id)
    if is_gradient and slice_ is None and row.name not in notation.names_read:
        return (
            f"no code computes `{row.name}` and none reads it: nothing holds the module's gradient to account"
        )
    if row.kind in ("function", "indexed") or slice_ is None or not computes(slice_.nodes):
        return None
    if slice_.names & notation.module.keys():
        if message := _own_mathematics(book, notation, row, is_gradient):
            return message
        if any(_multiplies_rows(notation, part) for node in slice_.nodes for part in ast.walk(node)):
            return f"the cell of `{row.row.code}` multiplies arrays of the table itself; let the module do it"
        return None
    if not any(map(_calculates, slice_.nodes)):
        return None  # a function that stands for any other, of anything
    return f"`{row.row.code}` retypes the mathematics; call the module, or let an equation define it: `eq:…`"


def _multiplies_rows(notation: Notation, node: ast.AST) -> bool:
    """``X @ W``, ``np.einsum("ij,jk", X, W)``: a product of what the table draws."""
    match node:
        case ast.BinOp(left, ast.MatMult(), right):
            factors = [left, right]
        case ast.Call(function, arguments) if ast.unparse(function) in PRODUCTS:
            factors = arguments
        case _:
            return False
    plain = [one.value if isinstance(one, ast.Attribute) else one for one in factors]  # X.T
    rows = [notation.named.get(one.id) for one in plain if isinstance(one, ast.Name)]
    return sum(row is not None and notation.slice_for(row.id) is None for row in rows) > 1


def _calculates(node: ast.AST) -> bool:
    """Whether it does more than call the functions that stand for any other."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HELPERS:
        return False
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.Call):
        return True
    return any(map(_calculates, ast.iter_child_nodes(node)))


def _own_mathematics(book: Book, notation: Notation, row: Definition, is_gradient: bool) -> str | None:
    """What a cell works out itself keeps its value when the module is wrong."""
    names = notation.module_names(notation.closure(row.id))
    if row.set.base.startswith(r"\{") or not (is_gradient or names):
        return None
    needed = notation.closure(row.id)
    for attempt in range(4):
        env = book.draw(notation, f"poison of {row.key}", attempt, notation.literals, needed)
        with contextlib.suppress(Redraw):
            if not keeps_its_value(notation, row, env, is_gradient):
                return None
            what = "backward" if is_gradient else "code"
            return (
                f"`{row.row.code}` would keep its value if the module's {what} were wrong: the cell "
                "computes it itself. Take what the module gives, as in `dX = layer.backward(dY)` and "
                "`dW = layer.weight.grad`"
            )
    return None


def _always_zero(book: Book, notation: Notation, row: Definition) -> str | None:
    """What a start of zeros hides: terms that the equations leave out."""
    for attempt in range(2):
        env = book.draw(notation, f"start of {row.key}", attempt, notation.literals, notation.closure(row.id))
        if np.any(np.asarray(env.value(row.key))[0]):
            return None
    return (
        f"its first entry is 0 in every draw, so an equation that forgets it would hold; "
        f"let the code of `{row.name}` start from values that are drawn"
    )
