"""Read the exercises: ``book/exercises/linear.md`` belongs to the chapter whose file ends in ``-linear.md``.

A sheet is written in the vocabulary of the chapters, with tags of its own. Each section is an exercise.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from literate.chapter import BookError, Cell, Chapter, Display, Place, code_references, defined_names
from literate.files import read_text
from literate.kept import across_builds
from literate.reader import Reader

FOLDER = "exercises"  # beside the chapters
FORMS = {
    "predict": "Predict the number",
    "pencil": "With pencil",
    "write": "Write it",
    "bug": "Find the bug",
    "experiment": "Experiment",
    "open": "Open",
}
LEVELS = ("1", "2", "3")
HINT = '??? hint "Hint"'
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SECONDS = 10  # for which an answer may run, unless the exercise says otherwise
FEWEST_WRONG = 3


class SheetReader(Reader):
    tags = ("exercise", "solution", "check", "wrong", "notation")
    attributes = ("tags", "name", "form", "level", "stub", "without", "seconds", "says")
    named = ("exercise", "solution", "check", "wrong")

    def check_import_cell(self) -> None:
        """Each cell imports what it needs."""


@dataclass(frozen=True)
class Exercise:
    name: str
    title: str
    place: Place  # of its heading
    end: int  # the last line of its section
    form: str
    level: int
    stub: Cell
    blanks: tuple[str, ...]  # functions and methods of the module that the reader writes
    without: tuple[str, ...]  # methods that the reader's class goes without
    seconds: float
    labels: tuple[str, ...]  # the equations that the task names
    answer: Display | None  # of a pencil exercise
    solution: Cell | None
    check: Cell | None
    wrong: tuple[Cell, ...]

    @property
    def variable(self) -> str:
        """What the reader's answer is called where it is a text or a number."""
        return self.name.replace("-", "_")

    @property
    def is_marked(self) -> bool:
        return self.form != "open"

    @cached_property
    def names(self) -> list[str]:
        """What the reader's file must define, in order."""
        blank = [name.partition(".")[0] for name in self.blanks]
        return list(dict.fromkeys([*defined_names(self.stub), *blank]))


@dataclass(frozen=True)
class Sheet:
    """The exercises of one chapter."""

    chapter: Chapter
    text: Chapter  # the file of exercises, read
    exercises: tuple[Exercise, ...]

    @property
    def key(self) -> str:
        return self.text.path.stem

    @property
    def file(self) -> str:
        """The name of the reader's file."""
        return f"{self.chapter.number:02}_{self.key.replace('-', '_')}.py"

    def number(self, exercise: Exercise) -> str:
        return f"{self.chapter.number}{LETTERS[self.exercises.index(exercise)]}"


def read_sheets(chapters: Sequence[Chapter]) -> list[Sheet]:
    """The exercises of these chapters, in the order of the book."""
    # The number of a chapter may change, so it is no part of the name.
    by_key = {re.sub(r"^\d\d-", "", one.path.stem): one for one in chapters if one.number}
    paths = sorted((chapters[0].path.parent / FOLDER).glob("*.md")) if chapters else []
    for path in paths:
        if path.stem not in by_key:
            raise BookError(
                path, f"no chapter is called NN-{path.name}; exercises are named like their chapter"
            )
    sheets = [read_sheet(path, by_key[path.stem], chapters) for path in paths]
    names: dict[str, Place] = {}
    for exercise in (exercise for sheet in sheets for exercise in sheet.exercises):
        if exercise.name in names:
            raise BookError(
                exercise.place, f"{exercise.name!r} is already an exercise at {names[exercise.name]}"
            )
        names[exercise.name] = exercise.place
    return sorted(sheets, key=lambda sheet: sheet.chapter.number)


@functools.lru_cache(maxsize=256)
@across_builds(lambda text, path, number: (text, str(path), number))
def parse_sheet(text: str, path: Path, number: int) -> Chapter:
    """Read a sheet's text; the same text gives the same object, so nothing may change it."""
    sheet = Chapter(path, text, number)
    SheetReader(sheet).read()
    return sheet


def read_sheet(path: Path, chapter: Chapter, chapters: Sequence[Chapter]) -> Sheet:
    text = parse_sheet(read_text(path), path, chapter.number)
    known = {display.label for one in [*chapters, text] for display in one.displays}
    in_code = [reference for cell in text.python for reference in code_references(cell)]
    for reference in text.references + in_code:
        if reference.label not in known:
            raise BookError(reference.place, f"{reference.label} is not the label of any equation")
    for cell in text.python:
        if cell.tag is None:
            raise BookError(
                cell.place, f"a python cell here has one of the tags {', '.join(SheetReader.tags)}"
            )
    exercises = tuple(_exercise(text, *section) for section in _sections(text))
    if not exercises:
        raise BookError(path, "no exercises: begin one with '## Title'")
    if len(exercises) > len(LETTERS):
        raise BookError(exercises[-1].place, f"more than {len(LETTERS)} exercises in a chapter")
    return Sheet(chapter, text, exercises)


def _sections(text: Chapter) -> Iterator[tuple[str, int, int]]:
    """(title, first line, last line) of each section."""
    lines = text.text.split("\n")
    inside = [range(one.place.line, one.end) for one in text.cells]
    code = {line for block in inside for line in block}
    starts = [at for at, line in enumerate(lines, 1) if line.startswith("## ") and at not in code]
    for start, end in zip(starts, [*(start - 1 for start in starts[1:]), len(lines)], strict=True):
        yield lines[start - 1].removeprefix("## ").strip(), start, end


def _exercise(text: Chapter, title: str, start: int, end: int) -> Exercise:
    place = text.place(start)

    def refuse(message: str, at: Place = place) -> BookError:
        return BookError(at, message)

    cells = [cell for cell in text.python if start < cell.place.line <= end and cell.name]
    tags = [cell.tag for cell in cells]
    if tags.count("exercise") != 1 or tags[0] != "exercise":
        raise refuse(f"the exercise {title!r} needs exactly one exercise cell, before its other cells")
    stub = cells[0]
    more: Mapping[str, str] = dict(stub.more)
    form = more.get("form", "")
    if form not in FORMS:
        raise refuse(f"form={form!r} is unknown; write one of {', '.join(FORMS)}", stub.place)
    if more.get("level") not in LEVELS:
        raise refuse(f"level={more.get('level')!r} is unknown; write one of {', '.join(LEVELS)}", stub.place)
    if strange := [cell for cell in cells if cell.name != stub.name]:
        raise refuse(
            f"this cell belongs to {strange[0].name!r}, the section to {stub.name!r}", strange[0].place
        )
    displays = [display for display in text.displays if start < display.place.line <= end]
    answer = displays[0] if form == "pencil" and len(displays) == 1 else None
    if form == "pencil" and (not answer or not answer.label or answer.unchecked):
        raise refuse("a pencil exercise has one display, its solution, with a label")
    if form != "pencil" and displays:
        raise refuse("only the solution of a pencil exercise is displayed", displays[0].place)
    wanted = ["check"] if "stub" in more else ["solution", "check"]
    wanted = [] if form in ("open", "pencil") else wanted
    if [tag for tag in tags if tag in ("solution", "check")] != wanted:
        listed = (
            f"a {' and a '.join(wanted)} cell, in this order" if wanted else "neither solution nor check cell"
        )
        raise refuse(f"the exercise {stub.name!r} has {listed}")
    wrong = tuple(cell for cell in cells if cell.tag == "wrong")
    if silent := [cell for cell in wrong if not dict(cell.more).get("says")]:
        raise refuse('a wrong answer needs says="…": what the marker answers to it', silent[0].place)
    if form != "open" and len(wrong) < FEWEST_WRONG:
        raise refuse(f"{stub.name!r} has {len(wrong)} wrong answers, at least {FEWEST_WRONG} are wanted")
    if form != "open" and HINT not in text.text.split("\n")[start:end]:
        raise refuse(f"{stub.name!r} has no hint: write {HINT}")
    seconds = more.get("seconds", str(SECONDS))
    if not re.fullmatch(r"\d+(\.\d+)?", seconds) or not 0 < float(seconds) < 3600:
        raise refuse(f"seconds={seconds!r} is no number of seconds from 0 to 3600", stub.place)
    first = {cell.tag: cell for cell in reversed(cells)}
    task = range(start, stub.place.line)
    labels = [reference.label for reference in text.references if reference.place.line in task]
    exercise = Exercise(
        name=str(stub.name),
        title=title,
        place=place,
        end=end,
        form=form,
        level=int(more["level"]),
        stub=stub,
        blanks=tuple(more.get("stub", "").split()),
        without=tuple(more.get("without", "").split()),
        seconds=float(seconds),
        labels=tuple(dict.fromkeys(labels)),
        answer=answer,
        solution=first.get("solution"),
        check=first.get("check"),
        wrong=wrong,
    )
    if form in ("pencil", "open") and exercise.names != [exercise.variable]:
        raise refuse(f"the answer is a text called {exercise.variable}", stub.place)
    return exercise
