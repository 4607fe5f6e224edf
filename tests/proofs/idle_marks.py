"""References in code: what stands beside ``eq:name`` has a part in what that equation is held against.

A statement with ``# eq:name`` behind it is made to give something else, and the check of its equation must
notice. A function or class whose docstring names an equation must run while that equation is checked. Two
labels that changed places are found this way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equations.book import Book
from equations.check import Result, Subject, check_display, check_row
from equations.mutation_score import find_users
from equations.slicing import names_in
from equations.text import Table, Text
from tests.equations.code_mutants import traced

FACTOR = 1.37
FILE = "the module with marks"


@dataclass(frozen=True)
class Mark:
    """A label in the module's source, behind a statement or in a docstring."""

    line: int  # of the module
    label: str
    owner: str  # the function or class around it: Linear, Linear.backward
    is_said: bool  # in its docstring


def marks_of(source: str, lines: Iterable[tuple[int, str]]) -> list[Mark]:
    """Marks from (line of the module, label)."""
    tree = ast.parse(source)
    owner: dict[int, str] = {}
    said: set[int] = set()
    for name, node in _owners(tree, ""):  # inner ones come later
        owner.update(dict.fromkeys(_lines(node), name))
        if ast.get_docstring(node):
            said.update(_lines(node.body[0]))
    return [Mark(line, label, owner.get(line, ""), line in said) for line, label in lines]


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _owners(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield prefix + child.name, child
            yield from _owners(child, f"{prefix}{child.name}.")


def idle_marks(
    chapters: Sequence[Text], source: str, marks: Sequence[Mark], results: Iterable[Result]
) -> Iterator[Mark]:
    """The marks that have no part in their equations. ``results`` are those of the book."""
    results = list(results)
    active: list[int] = []
    book = Book(chapters, _instrumented(source, marks, active))
    ran: dict[str, set[str]] = {}
    owners = dict(_owners(ast.parse(source), ""))
    against = {one.name: {name.split(".")[0] for name in one.against} for one in results}
    for number, mark in enumerate(marks):
        if book.displays[mark.label][1].unchecked:
            continue
        active[:] = [number]
        fresh = book.replacing("", "", fresh=True)
        if any(result.finding for result in _checks(fresh, mark.label, results)):
            continue
        if mark.is_said:
            active[:] = []
            if mark.label not in ran:
                ran[mark.label] = _functions_run(book.replacing("", "", fresh=True), mark.label, results)
            runs = any(f"{name}.".startswith(f"{mark.owner}.") for name in ran[mark.label])
            if not runs and names_in(_acts(owners[mark.owner])) & ran[mark.label]:
                continue  # it calls what the equation is held against
            if mark.owner in against.get(mark.label, ()) and not _acts(owners[mark.owner]):
                continue
        yield mark


def _checks(book: Book, label: str, results: Sequence[Result]) -> Iterator[Result]:
    """The check of a display, of the gradient rows it rests on, and of those who use what it defines."""
    subjects: list[tuple[Text, Subject]] = [book.displays[label], *find_users(book, label, results)]
    for chapter, one in subjects:
        if isinstance(one, Table):
            notation, places = book.notation_of(chapter, one), frozenset(row.place for row in one.rows)
        else:
            result = check_display(book, chapter, one, quickly=True)
            yield result
            notation, places = book.notation(chapter, one.place.line), result.rows
        for pair, row in notation.gradients_at(places):
            yield check_row(book, notation, pair, row)


def _acts(owner: ast.FunctionDef | ast.ClassDef) -> list[ast.stmt | ast.Lambda]:
    """What a function, or the methods of a class, work out; a class that only arranges others has nothing."""
    inner = [node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name != "__init__"]
    nodes = [
        node for one in (inner if isinstance(owner, ast.ClassDef) else [owner]) for node in ast.walk(one)
    ]
    kinds = ast.Return | ast.Assign | ast.AugAssign
    of_init = ast.walk(owner)  # a schedule is a lambda there
    return [node for node in nodes if isinstance(node, kinds)] or [
        node for node in of_init if isinstance(node, ast.Lambda)
    ]


def _functions_run(book: Book, label: str, results: Sequence[Result]) -> set[str]:
    with traced(FILE) as found:
        list(_checks(book, label, results))
    return found


# -- the module, with a switch beside each mark ------------------------------------------


def _instrumented(source: str, marks: Sequence[Mark], active: list[int]) -> dict[str, Any]:
    tree = ast.parse(source)
    owners = dict(_owners(tree, ""))
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    for number, mark in enumerate(marks):
        if not mark.is_said:
            _wrap(_statement_at(statements, mark.line), number)
            continue
        for node in _acts(owners[mark.owner]):
            _wrap(node, number)
    ast.fix_missing_locations(tree)

    def changed(number: int, value: Any) -> Any:
        return _other(value) if active == [number] else value

    found: dict[str, Any] = {"__name__": "module", "_changed": changed}
    exec(compile(tree, FILE, "exec"), found)
    return found


def _statement_at(nodes: Sequence[ast.stmt], line: int) -> ast.stmt:
    """The innermost statement that stands on a line."""
    around = [node for node in nodes if node.lineno <= line <= (node.end_lineno or 0)]
    return max(around, key=lambda node: (node.lineno, -(node.end_lineno or 0)))


def _wrap(node: ast.stmt | ast.Lambda, number: int) -> None:
    def switch(value: ast.expr) -> ast.expr:
        name, place = ast.Name("_changed", ast.Load()), ast.Constant(number)
        return ast.Call(name, [place, value], [])

    match node:
        case ast.Expr(ast.Call() as call):
            call.args = [switch(one) for one in call.args if not isinstance(one, ast.Starred)]
        case ast.Assign() | ast.AugAssign() | ast.Return() | ast.AnnAssign() if node.value:
            node.value = switch(node.value)
        case ast.Lambda():
            node.body = switch(node.body)


def _other(value: Any, factor: float = FACTOR) -> Any:
    kind = value.dtype.kind if isinstance(value, np.ndarray | np.generic) else ""
    if kind and kind in "fc":
        return value * factor
    if kind == "b":
        return np.logical_not(value)
    if isinstance(value, float) and not isinstance(value, bool):
        return value * factor
    if type(value) in (tuple, list):  # each by a factor of its own, or their ratios would stay
        return type(value)(_other(one, factor + at) for at, one in enumerate(value))
    return value
