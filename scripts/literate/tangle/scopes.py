"""The names that code takes from outside of itself, as Python's own compiler finds them."""

import __future__

import ast
import dis
import functools
import inspect
from collections.abc import Iterator
from types import CodeType

from literate.chapter import Cell, Place, compiled

GLOBAL = ("LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
NAMED = (*GLOBAL, "LOAD_NAME", "STORE_NAME")
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
IMPLICIT = ("__name__", "__annotations__")  # every module and class body has them


def in_module(cell: Cell) -> CodeType:
    """The cell as the module compiles it: annotations do not run."""
    return compiled(cell, __future__.annotations.compiler_flag)


@functools.cache
def used_names(cell: Cell) -> dict[str, Place]:
    """The names a cell takes from outside, annotations included, each with its first use."""
    found = list(_taken(cell, compiled(cell), called=True))
    for node in ast.walk(cell.tree):  # the compiler drops the annotations of local variables
        if isinstance(node, ast.AnnAssign):
            leaves = [leaf for leaf in ast.walk(node.annotation) if isinstance(leaf, ast.Name)]
            found += [(leaf.id, cell.at(leaf)) for leaf in leaves]
    return dict(sorted(found, key=lambda use: use[1], reverse=True))


@functools.lru_cache(maxsize=4096)
def used_at_definition(cell: Cell, code: CodeType) -> dict[str, Place]:
    """The names that code takes from outside when it is run, not when what it defines is called."""
    return dict(_taken(cell, code, called=False))


@functools.cache
def bound_names(cell: Cell, code: CodeType) -> dict[str, Place]:
    """The names that the body of a module or class binds, and where."""
    return {name: place for operation, name, place in _operations(cell, code) if operation == "STORE_NAME"}


def _taken(cell: Cell, code: CodeType, called: bool) -> Iterator[tuple[str, Place]]:
    bound = set(IMPLICIT)  # a class body may use what it has bound itself
    for operation, name, place in _operations(cell, code):
        if operation == "STORE_NAME" and code.co_name != "<module>":
            bound.add(name)
        elif operation in GLOBAL or (operation == "LOAD_NAME" and name not in bound):
            yield name, place
    for constant in code.co_consts:
        if inspect.iscode(constant) and (called or _runs_at_definition(constant)):
            yield from _taken(cell, constant, called)


def _runs_at_definition(code: CodeType) -> bool:
    """Whether this is the body of a class or a comprehension, not of a function."""
    return not code.co_flags & inspect.CO_NEWLOCALS or code.co_name in COMPREHENSIONS


def _operations(cell: Cell, code: CodeType) -> Iterator[tuple[str, str, Place]]:
    """What it does with names, as ``dis`` has it, which makes texts of all else."""
    high, numbers, lows = 0, code.co_code[::2], code.co_code[1::2]
    for number, low, (line, *_) in zip(numbers, lows, code.co_positions(), strict=True):
        operation, argument = dis.opname[number], high | low
        high = argument << 8 if operation == "EXTENDED_ARG" else 0
        if operation in NAMED:
            name = code.co_names[argument >> (operation == "LOAD_GLOBAL")]
            yield operation, name, Place(cell.place.path, line or code.co_firstlineno)
