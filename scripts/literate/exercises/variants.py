"""The exercises answered by the book: with the solution, with the bare stub, with each wrong answer."""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

from equations.slicing import names_in
from literate.chapter import Cell

from .marker import Answer, Marker
from .sheets import Exercise, Sheet
from .stubs import stub


def solution(marker: Marker, exercise: Exercise) -> str:
    """What solves an exercise: its own cell, its display, or the module's functions."""
    if exercise.answer:
        return f'{exercise.variable} = r"""{exercise.answer.tex}"""\n'
    if not exercise.blanks:
        return exercise.solution.source if exercise.solution else exercise.stub.source
    parts = [exercise.stub.source, _imports(marker, exercise)]
    groups: dict[str, list[str]] = {}
    for name in [*exercise.without, *exercise.blanks]:
        groups.setdefault(name.partition(".")[0], []).append(source_of(marker, name, exercise))
    for owner, pieces in groups.items():
        is_class = any(name.startswith(f"{owner}.") for name in exercise.blanks)
        text = "\n\n".join(pieces)
        parts.append(f"class {owner}({owner}):\n{textwrap.indent(text, '    ')}" if is_class else text)
    return "\n\n\n".join(parts) + "\n"


def source_of(marker: Marker, name: str, exercise: Exercise) -> str:
    """A function or method as it stands in the module."""
    node = marker.core.find(name, exercise)
    lines = marker.module.text.split("\n")[node.lineno - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _imports(marker: Marker, exercise: Exercise) -> str:
    """What those functions take from the rest of the module."""
    sources = [source_of(marker, name, exercise) for name in (*exercise.without, *exercise.blanks)]
    used = names_in(map(ast.parse, sources))
    names = sorted(used & marker.namespace.keys() - set(exercise.names))
    return f"from backprop_core import {', '.join(names)}" if names else ""


def solved(
    marker: Marker, sheet: Sheet, exercise: Exercise | None = None, text: str = "", brief: bool = False
) -> str:
    """A reader's file with all solutions; ``text`` stands in place of that of ``exercise``.

    A brief one leaves out what no other answer needs: experiments, which take their time.
    """
    parts = ["import numpy as np"]
    for one in sheet.exercises:
        if one is exercise:
            parts.append(text)
        elif one.blanks or not brief:
            parts.append(solution(marker, one))
    return "\n\n\n".join(parts)


def course(marker: Marker) -> dict[str, tuple[Path, str]]:
    """All the reader's files, solved, as far as they make a module."""
    return {sheet.key: (_path(sheet), solved(marker, sheet, brief=True)) for sheet in marker.sheets}


def _path(sheet: Sheet) -> Path:
    return sheet.text.path.parents[1] / "solved" / sheet.file


def kinds(sheet: Sheet) -> Iterator[tuple[Exercise, Cell | None, str]]:
    """(exercise, its wrong cell, what it is) for all that is tested."""
    for exercise in sheet.exercises:
        if exercise.is_marked:
            yield exercise, None, "solution"
            yield exercise, None, "stub"
            for position, cell in enumerate(exercise.wrong, 1):
                yield exercise, cell, f"wrong answer {position}"


def answers(marker: Marker, sheet: Sheet) -> list[Answer]:
    """The answer of each kind.

    A solution stands in a file with all others, as at a reader who has done everything; stubs and wrong
    answers stand in a brief one.
    """
    found = []
    for exercise, cell, what in kinds(sheet):
        text = stub(exercise, marker.core) if what == "stub" else solution(marker, exercise)
        text = f"{text}\n\n{cell.source}" if cell else text
        source = solved(marker, sheet, exercise, text, brief=what != "solution")
        found.append(Answer(sheet, exercise, _path(sheet), source))
    return found
