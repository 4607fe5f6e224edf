"""Exercises for pytest: a reader's file is marked, and a file of exercises proves itself.

``pytest exercises/04_linear.py`` has an item for each exercise. ``pytest book/exercises/linear.md`` has
one for each solution, which must pass, each stub, which must not, and each wrong answer, which must be
told what its cell says.
"""

import ast
import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from literate.chapter import BOOK, BookError, Cell, Place
from literate.prove.claims import task_findings
from literate.prove.session import Failure, NotRun
from literate.reader import read_book

from . import folder, variants
from .marker import Answer, Marker, Verdict
from .sheets import FOLDER, Exercise

Item = tuple[int, str, Callable[[], None]]  # its line, its name, what marks it


@functools.cache
def marker() -> Marker:
    return Marker(read_book())


def is_reader_file(path: Path) -> bool:
    return path.suffix == ".py" and path.parent.name == FOLDER and path.parent.parent == BOOK.parent


def is_sheet(path: Path) -> bool:
    return path.suffix == ".md" and path.parent == BOOK / FOLDER


def reader_items(path: Path) -> Iterator[Item]:
    """What to mark in a reader's file."""
    mark = marker()
    answers = folder.answers(mark, mark.sheet(path.name), path.parent)
    source = answers[0].source
    with warnings.catch_warnings(action="ignore"), contextlib.suppress(ValueError, MemoryError):
        try:  # of a backslash in a text there would be a warning; the marker tells of all else
            ast.parse(source)
        except SyntaxError as error:
            raise BookError(Place(path, error.lineno or 1), f"this does not parse: {error.msg}") from None
    lines = source.split("\n")

    @functools.cache
    def verdicts() -> list[Verdict]:
        return list(mark.mark(answers, folder.course(mark, path.parent)))

    def check(position: int, answer: Answer) -> None:
        verdict = verdicts()[position]
        if verdict.state == "todo":
            where = f"\n{verdict.message}" if verdict.message else ""
            raise NotRun(f"{mark.heading(answer)}: not written yet{where}")
        if verdict.state == "failed":
            raise Failure(f"{mark.heading(answer)}\n{verdict.message}")

    for position, answer in enumerate(answers):
        if answer.exercise.is_marked:
            heading = f"# ---- {answer.sheet.number(answer.exercise)} "
            line = next((at for at, text in enumerate(lines, 1) if text.startswith(heading)), 1)
            yield line, answer.exercise.name, functools.partial(check, position, answer)


def sheet_items(path: Path) -> Iterator[Item]:
    """What a file of exercises claims."""
    mark = marker()
    sheet = next((sheet for sheet in mark.sheets if sheet.text.path == path), None)
    if sheet is None:
        raise BookError(path, "no file of exercises")
    claims = list(variants.kinds(sheet))

    @functools.cache
    def verdicts() -> list[Verdict]:
        return list(mark.mark(variants.answers(mark, sheet), variants.course(mark)))

    def check(position: int, exercise: Exercise, cell: Cell | None, what: str) -> None:
        try:
            verdict = verdicts()[position]
        except BookError as error:
            raise Failure(str(error)) from None
        if complaint := misjudged(verdict, cell, what):
            raise Failure(f"{cell.place if cell else exercise.place}: {exercise.name}, {what}: {complaint}")

    def check_text() -> None:
        if found := task_findings(mark.book, sheet.text):
            raise Failure("\n".join(map(str, found)))

    yield 1, "what the text says", check_text
    for position, (exercise, cell, what) in enumerate(claims):
        line = cell.place.line if cell else exercise.place.line
        yield (
            line,
            f"exercise {exercise.name}: {what}",
            functools.partial(check, position, exercise, cell, what),
        )


def misjudged(verdict: Verdict, cell: Cell | None, what: str) -> str:
    """How a verdict differs from the one that is due, or ""."""
    if cell is None:
        state, wanted = verdict.state, "passed" if what == "solution" else "todo"
        return "" if state == wanted else f"it is {state}, not {wanted}\n{verdict.message}"
    says = dict(cell.more)["says"]
    if verdict.state != "failed":
        return f"it is {verdict.state}"
    return "" if says in verdict.message else f"the marker does not say {says!r}, but\n{verdict.message}"
