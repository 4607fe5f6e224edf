"""The names that code takes from outside of itself, as Python's own compiler finds them."""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Iterator
from types import CodeType

from chapter import Cell

LOADS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")


def used_names(cell: Cell) -> dict[str, int]:
    """The names a cell takes from outside, annotations included, each with the line of its first use."""
    code = compile("\n" * (cell.place.line - 1) + cell.source, str(cell.place.path), "exec", dont_inherit=True)
    found = list(_outside(code))
    for node in ast.walk(cell.tree):  # of a variable in a function, the compiler drops the annotation
        if isinstance(node, ast.AnnAssign):
            names = [leaf for leaf in ast.walk(node.annotation) if isinstance(leaf, ast.Name)]
            found += [(name.id, cell.place.line + name.lineno - 1) for name in names]
    return {name: line for name, line in sorted(found, key=lambda use: -use[1])}


def _outside(code: CodeType) -> Iterator[tuple[str, int]]:
    bound = {"__name__"}  # what a class body binds, it may use
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_NAME" and code.co_name != "<module>":
            bound.add(instruction.argval)
        elif instruction.opname in LOADS and instruction.argval not in bound:
            line = instruction.positions.lineno if instruction.positions else None
            yield instruction.argval, line or code.co_firstlineno
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _outside(constant)
