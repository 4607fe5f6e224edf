"""Pytest plugin: a chapter is a test file.

``pytest book/04-linear.md`` has one item for each cell, transcript, docstring with examples,
computed number, equation and notation table. The cells share one namespace and run in
reading order; an item chosen alone (``-k``, a node id) first runs the cells above it.
Files of exercises, and readers' answers to them, are marked by ``literate.exercises``.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from equations.book import Book
from equations.pytest_items import Wrong, equation_items
from equations.slicing import definitions
from literate.chapter import BookError, Cell, Place
from literate.exercises import pytest_items as exercises
from literate.limits import leave, witnessed
from literate.prove.checks import read_counts
from literate.prove.claims import stated, text_findings
from literate.prove.numbers import check_typed
from literate.prove.references import link_findings
from literate.prove.session import Failure, NotRun, Session
from literate.reader import book_files
from literate.tangle.module import tangle

Subject = TypeVar("Subject")
STATUS = pytest.StashKey[int]()
Claim = tuple[int, str, Callable[[], None]]  # its line, its name, what checks it


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    if exercises.is_sheet(file_path):
        return ExercisesFile.from_parent(parent, path=file_path)
    if exercises.is_reader_file(file_path) and not parent.session.isinitpath(file_path):
        return ExercisesFile.from_parent(parent, path=file_path)
    if file_path.suffix == ".md" and file_path in book_files(file_path.parent):
        return ChapterFile.from_parent(parent, path=file_path)
    return None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """A reader's file that is named on the command line is no module of tests."""
    if exercises.is_reader_file(module_path):
        return ExercisesFile.from_parent(parent, path=module_path)
    return None


def pytest_configure() -> None:
    witnessed(os.dup(2))  # before pytest redirects it


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    leave(config.stash.get(STATUS, 0))


class ExercisesFile(pytest.File):
    """A reader's answers, or the book's own exercises."""

    def claims(self) -> Iterable[Claim]:
        find = exercises.sheet_items if exercises.is_sheet(self.path) else exercises.reader_items
        return find(self.path)

    def collect(self) -> Iterator[ChapterItem]:
        try:
            claims = sorted(self.claims(), key=lambda claim: claim[0])
        except BookError as error:
            raise self.CollectError(str(error)) from None
        for line, name, check in claims:
            yield ChapterItem.from_parent(self, name=name, line=line, check=check)


class ChapterFile(ExercisesFile):
    def claims(self) -> Iterable[Claim]:
        self.chapter = Session.of(self.path)
        self.tangle()
        check_typed(self.chapter.chapter)
        return [*_claims(self.chapter), *_equations(self.chapter)]

    def tangle(self) -> None:
        """Refuse once, and not in each item, what this chapter gives to the module."""
        try:
            tangle([*self.chapter.before, self.chapter.chapter])
        except BookError as error:
            if getattr(error.place, "path", error.place) == self.chapter.chapter.path:
                raise

    def setup(self) -> None:
        with _reported():
            self.stack = contextlib.ExitStack()
            self.stack.enter_context(self.chapter)

    def teardown(self) -> None:
        self.stack.close()


class ChapterItem(pytest.Item):
    def __init__(self, *, line: int, check: Callable[[], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.line = line
        self.check = check

    def runtest(self) -> None:
        with _reported():
            self.check()

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line - 1, f"{self.path.name}: {self.name}"


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """The line of the book and the error, without the frames of the test runner."""
    try:
        yield
    except NotRun as reason:
        raise pytest.skip.Exception(str(reason), _use_item_location=True) from None
    except (BookError, Failure, Wrong) as failure:
        raise pytest.fail.Exception(str(failure), pytrace=False) from None


def _claims(session: Session) -> Iterator[Claim]:
    for end, cell in enumerate(session.chapter.cells, 1):
        line = cell.place.line
        if cell.kind == "pycon":
            transcript = _examples(cell.source, cell, line, f"transcript at line {line}")
            if not transcript.examples:
                raise BookError(cell.place, "a transcript without >>> tests nothing; write ```text instead")
            for one in transcript.examples:
                if doctest.SKIP in one.options:
                    place = session.chapter.place(line + one.lineno)
                    raise BookError(place, "a line that is skipped tests nothing; write ```text instead")
            yield line, transcript.name, partial(_after, session, end, session.check_examples, transcript)
        if cell.kind != "python":
            continue
        yield line, cell.name or f"cell at line {line}", partial(session.run_to, end)
        for test in _docstrings(cell):
            yield line, test.name, partial(_after, session, end, session.check_examples, test)
    for number in session.chapter.numbers:
        line = number.place.line
        name = f"number {number.shown} at line {line}"
        yield line, name, partial(_after, session, number.cells_before, session.check_number, number)


def _after(session: Session, end: int, check: Callable[[Subject], None], subject: Subject) -> None:
    session.run_to(end)
    check(subject)


def _equations(session: Session) -> Iterator[Claim]:
    """The equations and tables, held against the module as it is after this chapter."""

    chapter, before = session.chapter, session.before
    texts = [*before, chapter]

    def limited(line: int, check: Callable[[], None]) -> None:
        with session.bounded(chapter.place(line)):
            check()

    def what_the_text_says() -> None:
        if findings := text_findings(Book(texts, tangle(texts).namespace()), chapter):
            raise Wrong("\n".join(map(str, findings)))

    if chapter.displays or chapter.tables:
        counts = read_counts(chapter.path.parent)
        proved = {label for label, count in counts.items() if count["proved"]}
        items = equation_items(
            chapter, lambda: tangle(texts).namespace(), before, lambda: tangle(texts).text, proved
        )
        for line, name, check in items:
            yield line, name, partial(limited, line, check)
    places = [one.place for one in stated(chapter)]
    places += [table.place for table in chapter.tables]
    places += [reference.place for reference in chapter.references]
    places += [finding.place for finding in link_findings(chapter)]
    for line in sorted(place.line for place in places)[:1]:
        yield line, "what the text says", partial(limited, line, what_the_text_says)


def _docstrings(cell: Cell) -> Iterator[doctest.DocTest]:
    for name, node in definitions(cell.tree.body):
        if text := ast.get_docstring(node, clean=False):
            line = cell.at(node.body[0]).line
            test = _examples(text, cell, line, f"docstring of {name}")
            if test.examples:
                yield test


def _examples(text: str, cell: Cell, line: int, name: str) -> doctest.DocTest:
    """The examples of ``text``, which begins at ``line``."""
    try:
        return doctest.DocTestParser().get_doctest(text, {}, name, str(cell.place.path), line - 1)
    except ValueError as error:  # "line 3 of the docstring for NAME lacks blank after >>>"
        where, _, complaint = str(error).partition(f" {name} ")
        raise BookError(Place(cell.place.path, line + int(where.split()[1]) - 1), complaint) from None
