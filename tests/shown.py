"""Code of another library that a chapter shows: a ```py fence, and a ```text fence of what it prints.

Such a fence sees what the cells above it have set and what earlier such fences have set. Nothing of it
runs in the notebook; the slow proofs run it where the library is installed.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import dedent
from typing import Any

from literate.chapter import Cell, Chapter, Place, compiled
from literate.prove.session import Session
from literate.tangle.scopes import bound_names, used_names

QUOTED = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True)
class Shown:
    cell: Cell
    at: int  # how many cells of the chapter stand above it
    expected: str | None  # what it is to print


def shown(chapter: Chapter, library: str) -> list[Shown]:
    """The fences of a chapter that mention a library."""
    found = []
    for at, cell in enumerate(chapter.cells):
        if cell.kind == "py" and re.search(rf"\b{library}\b", cell.source):
            after = chapter.cells[at + 1] if at + 1 < len(chapter.cells) else None
            found.append(Shown(cell, at, after.source if after and _is_next(chapter, cell, after) else None))
    return found


def _is_next(chapter: Chapter, cell: Cell, after: Cell) -> bool:
    end = cell.place.line + cell.source.count("\n")  # the line of the closing backticks
    between = chapter.text.split("\n")[end : after.place.line - 2]
    return after.kind == "text" and not any(line.strip() for line in between)


def complaints(session: Session, library: str) -> Iterator[str]:
    """What of the shown code does not run, or prints something else. Inside the session's ``with``."""
    own: dict[str, Any] = {}
    for one in shown(session.chapter, library):
        cell, output = replace(one.cell, source=dedent(one.cell.source)), io.StringIO()
        above = (done for done in session.chapter.cells[: one.at] if done.kind == "python")
        try:
            if (_takes(cell) - own.keys()) & {
                name for done in above for name in bound_names(done, compiled(done))
            }:
                session.run_to(one.at)  # nothing else of what stands above can matter
            scope = {**session.namespace, **own}
            with contextlib.redirect_stdout(output):
                exec(session.compiled(cell.source, cell.place, "exec"), scope)
        except Exception as error:
            yield f"{one.cell.place}: {type(error).__name__}: {error}"
            continue
        before = session.namespace
        own |= {name: value for name, value in scope.items() if before.get(name, own) is not value}
        if one.expected is None and output.getvalue():
            yield f"{one.cell.place}: it prints something; show it in a ```text fence directly after"
        if one.expected is not None and _lines(one.expected) != _lines(output.getvalue()):
            yield f"{one.cell.place}: the text shows\n{one.expected}but it prints\n{output.getvalue()}"


def _takes(cell: Cell) -> set[str]:
    """What the code of a fence uses before it has set it."""
    own = bound_names(cell, compiled(cell))
    return {name for name, place in used_names(cell).items() if place <= own.get(name, place)}


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in dedent(text).strip("\n").split("\n")]


def names(chapter: Chapter, library: str) -> Iterator[tuple[Place, str]]:
    """Expressions in backticks that begin with the library's name: torch.nn.Linear(3, 2, bias=False)."""
    for number, line in enumerate(chapter.text.split("\n"), 1):
        for quoted in QUOTED.findall(line):
            if re.match(rf"{library}\.\w", quoted):
                yield chapter.place(number), quoted


def resolve(expression: str, scope: dict[str, Any]) -> None:
    """Look a dotted name up, and see whether a call fits its signature; raise what Python raises."""
    tree = ast.parse(expression.replace("…", "").replace("(, ", "("), mode="eval").body
    call = tree if isinstance(tree, ast.Call) else None
    target = call.func if call else tree
    value = eval(compile(ast.Expression(target), "<shown>", "eval"), scope)
    for keyword in call.keywords if call else ():
        accepted = _parameters(value)
        if accepted and keyword.arg not in accepted:
            raise TypeError(f"{ast.unparse(target)} has no parameter {keyword.arg}")


def _parameters(value: Any) -> set[str]:
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError):
        return set()
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return set()
    return set(parameters)
