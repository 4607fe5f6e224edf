"""Python in the book: which statements compute a name, and what they read."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from .errors import told_at
from .text import Code, Place

BUILTINS = frozenset(dir(builtins))
Definition = ast.FunctionDef | ast.ClassDef
SCOPES = (ast.Lambda, ast.FunctionDef, ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)


@dataclass(frozen=True)
class Statement:
    node: ast.stmt
    place: Place

    def __str__(self) -> str:
        return ast.unparse(self.node)

    @staticmethod
    def all_of(cell: Code) -> list[Statement]:
        return [
            Statement(node, Place(cell.place.path, cell.place.line + node.lineno - 1))
            for node in cell.tree.body
        ]


@dataclass(frozen=True)
class Slice:
    """Statements that compute ``name`` when run in order, and the names they read from outside."""

    name: str
    statements: tuple[Statement, ...]
    reads: frozenset[str]

    @property
    def nodes(self) -> list[ast.stmt]:
        return [statement.node for statement in self.statements]

    @property
    def names(self) -> set[str]:
        """All names in its code."""
        return names_in(self.nodes)

    @property
    def stores(self) -> frozenset[str]:
        return frozenset(name for node in self.nodes for name in stored_names(node))

    @staticmethod
    def of_expression(expression: ast.expr, name: str, place: Place) -> Slice:
        target = ast.Name(name, ast.Store())
        node = ast.fix_missing_locations(ast.Assign([target], expression, lineno=1))
        return Slice(name, (Statement(node, place),), free_names(expression))

    @staticmethod
    def of_cell(statements: list[Statement], name: str, given: frozenset[str], classes: set[str]) -> Slice:
        """Backwards from the last assignment: whatever sets or changes something that is needed."""
        last = max(at for at, statement in enumerate(statements) if name in stored_names(statement.node))
        kept = [statements[last]]
        needed = set(free_names(statements[last].node)) - given
        outside = set(free_names(statements[last].node))
        for statement in reversed(statements[:last]):
            stored = stored_names(statement.node)
            family = _family(needed, statements[:last], classes)
            if not (stored & needed or changed_names(statement.node) & family):
                continue
            kept.append(statement)
            if isinstance(statement.node, ast.Assign | ast.FunctionDef):
                outside -= stored
            needed |= free_names(statement.node) - given
            outside |= free_names(statement.node)
        return Slice(name, tuple(reversed(kept)), frozenset(outside))

    def run(self, values: dict[str, Any], given: dict[str, Any]) -> Any:
        """Run in a namespace; names that are given keep their given values."""
        scope = dict(values)
        with np.errstate(all="ignore"):
            for statement in self.statements:
                with told_at(statement.place, statement):
                    exec(_compiled(statement.node, str(statement.place.path)), scope)
                if given:
                    scope.update((name, given[name]) for name in stored_names(statement.node) & given.keys())
        return scope[self.name]


@cache
def _compiled(node: ast.stmt, path: str) -> CodeType:
    return compile(ast.Module([node], []), path, "exec")


def _family(needed: set[str], statements: Iterable[Statement], classes: set[str]) -> set[str]:
    """The needed names and the objects built around them: SGD([theta]) changes theta."""
    family = set(needed)
    for statement in statements:
        for built, parts in _constructed(statement.node, classes):
            if parts & family or built in family:
                family |= parts | {built}
    return family


def _constructed(node: ast.stmt, classes: set[str]) -> list[tuple[str, set[str]]]:
    match node:
        case ast.Assign(
            [ast.Name(built), *_], ast.Call(ast.Name(called) | ast.Attribute(attr=called)) as call
        ) if called in classes:
            return [(built, set(free_names(call)) - {called})]
    return []


@cache
def stored_names(node: ast.AST) -> frozenset[str]:
    """Names that a statement binds."""
    if isinstance(node, ast.FunctionDef):
        return frozenset([node.name])
    names = (leaf for leaf in _own(node) if isinstance(leaf, ast.Name))
    return frozenset(name.id for name in names if isinstance(name.ctx, ast.Store))


@cache
def changed_names(node: ast.AST) -> frozenset[str]:
    """Names whose object a statement may change: x.a = …, x[i] = …, x.method(…), fill_(x)."""
    found = set(free_names(node)) if isinstance(node, ast.Expr) and not _is_print(node) else set()
    for leaf in _own(node):
        is_stored = isinstance(leaf, ast.Attribute | ast.Subscript) and isinstance(leaf.ctx, ast.Store)
        is_method = isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Attribute)
        if is_stored or is_method:
            found.add(_root(leaf))
    return frozenset(found)


def _is_print(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _own(node: ast.AST) -> Iterable[ast.AST]:
    """The nodes of a statement without the insides of lambdas and comprehensions."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        if one is node or not isinstance(one, SCOPES):
            todo.extend(ast.iter_child_nodes(one))


@cache
def free_names(node: ast.AST) -> frozenset[str]:
    """Names that are read from outside, builtins apart."""
    return frozenset(_free(node) - BUILTINS)


def _free(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return _free(node.value) | {node.target.id}
    inner = {name for child in ast.iter_child_nodes(node) for name in _free(child)}
    if isinstance(node, ast.Lambda | ast.FunctionDef):
        arguments = node.args
        inner -= {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
        lines = node.body if isinstance(node, ast.FunctionDef) else []
        return inner - {name for line in lines for name in stored_names(line)}
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
        targets = {name for part in node.generators for name in stored_names(part.target)}
        return inner - targets
    return inner


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """All names in code, whatever becomes of them."""
    return {leaf.id for node in nodes for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}


def definitions(body: Iterable[ast.AST], owner: str = "") -> Iterator[tuple[str, Definition]]:
    """Functions, classes and methods by their full names: Linear, Linear.backward."""
    for node in body:
        if isinstance(node, Definition):
            yield f"{owner}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from definitions(node.body, f"{owner}{node.name}.")


def reachable(start: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """These names, and all that follow from them."""
    found, todo = set[str](), set(start)
    while todo:
        found |= todo
        todo = set[str]().union(*map(following, todo)) - found
    return found


def called_names(nodes: Iterable[ast.stmt], module: Collection[str]) -> set[str]:
    """What of the module statements use: softmax, Linear.forward."""
    found: set[str] = set()
    classes: dict[str, str] = {}
    for statement in nodes:
        for node in ast.walk(statement):
            match node:
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name(called))) if called in module:
                    classes[name] = called
                case ast.Call(ast.Attribute(ast.Name(name), method)) if name in classes:
                    found.add(f"{classes[name]}.{method}")
                case ast.Call(ast.Attribute(ast.Call(ast.Name(called)), method)) if called in module:
                    found.add(f"{called}.{method}")
                case ast.Name(called) if called in module:
                    found.add(called)
    methods = {name.split(".")[0] for name in found if "." in name}
    return found - methods


def pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What is assigned to what, in ``a, b = c, d`` too."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=False))
    return [(target, value)]


def parameters(value: object) -> Mapping[str, inspect.Parameter]:
    """Those of a function or class, where they are known."""
    try:
        return inspect.signature(value).parameters if callable(value) else {}
    except (TypeError, ValueError):
        return {}


def computes(nodes: Iterable[ast.stmt]) -> bool:
    """Whether statements calculate, rather than pick entries of what is there."""
    parts = (part for node in nodes for part in ast.walk(node))
    return any(isinstance(part, ast.BinOp | ast.UnaryOp | ast.Compare | ast.Call) for part in parts)
