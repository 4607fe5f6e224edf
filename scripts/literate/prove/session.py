"""Run a chapter in this process, against a module tangled from the earlier chapters only."""

from __future__ import annotations
import __future__

import ast
import asyncio
import contextlib
import doctest
import importlib.util
import io
import linecache
import locale
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import CodeType, ModuleType
from unittest import mock

import numpy as np

from literate.chapter import MODULE_NAME, BookError, Cell, Chapter, Number, Place
from literate.files import read_text, scratch, write_atomically
from literate.limits import Limits, Misbehaved, Output, unprintable
from literate.prove.alternatives import drawn, figures, untold
from literate.reader import book_files, data_files, read_chapter
from literate.rules import check_prefix
from literate.tangle.module import Module, importable, tangle

FUTURE_FLAGS = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
LONGEST_TRACE = 20
SILENT = re.compile(r";\s*(?:#.*)?\s*\Z")  # Jupyter does not show the value of such a line


class Failure(Exception):
    """Something a chapter says does not hold. The message begins with its place."""


class NotRun(Failure):
    """A cell above failed, or a stub is as it was, so nothing can be said."""


class Session:
    """One chapter and its namespace. Inside its ``with``, backprop_core means the earlier chapters."""

    def __init__(self, chapter: Chapter, before: Sequence[Chapter]) -> None:
        self.chapter = chapter
        self.before = before
        self.main = ModuleType("__main__")
        self.namespace = vars(self.main)
        self.flags = 0
        self.done = 0
        self.failed: Place | None = None
        self.handlers: list[logging.Handler] = []  # of the chapter's own log

    @classmethod
    def of(cls, path: Path) -> Session:
        """The session of the chapter at ``path``, after those that stand before it in its folder."""
        path = path.absolute()  # cells run in a folder of their own
        paths = book_files(path.parent)
        if path not in paths:
            raise BookError(path, "not a chapter: expected a file like 04-linear.md")
        chapters = [read_chapter(path) for path in paths[: paths.index(path) + 1]]
        check_prefix(chapters)
        return cls(chapters[-1], chapters[:-1])

    @cached_property
    def earlier(self) -> Module:
        """The module of the chapters before this one."""
        return tangle(self.before)

    def __enter__(self) -> Session:
        import IPython.lib.pretty  # here, because most of those who import this file run nothing
        import matplotlib
        import matplotlib.font_manager  # it builds its list of fonts now, not in a cell

        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(scratch())
            (folder / "temporary").mkdir()
            for name, path in data_files(self.chapter).items():
                write_atomically(folder / "cwd" / name, read_text(path))
            (folder / "cwd").mkdir(exist_ok=True)
            file = folder / f"{MODULE_NAME}.py"
            write_atomically(file, self.earlier.text)
            module = _unread(file)
            self.limits = Limits(folder / "cwd", folder / "temporary", matplotlib.get_cachedir())
            stack.enter_context(_as_before())
            stack.enter_context(np.errstate())
            stack.enter_context(np.printoptions())
            stack.enter_context(matplotlib.rc_context())
            matplotlib.use("agg")
            self.pretty = IPython.lib.pretty.pretty
            stack.enter_context(importable(module))
            stack.enter_context(importable(self.main))
            with self.explained(self.chapter.place(1)), self.bounded(self.chapter.place(1)):
                module.__loader__.exec_module(module)  # type: ignore[union-attr]  # _unread gave it one
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with warnings.catch_warnings(action="ignore"):  # what cells left open is closed here
            for name in [*self.namespace][::-1]:  # what was made last may need what is older
                del self.namespace[name]
        self.stack.close()

    # -- what a chapter claims -------------------------------------------------

    def run_to(self, end: int) -> None:
        """Run ``chapter.cells[:end]``, those that have not run yet."""
        if self.failed:
            raise NotRun(f"{self.failed.path.name}:{self.failed.line} failed")
        while self.done < end:
            cell = self.chapter.cells[self.done]
            self.done += 1
            if cell.kind == "python":
                try:
                    self.run_cell(cell)
                except Failure:
                    self.failed = cell.place
                    raise

    def run_cell(self, cell: Cell) -> None:
        with self.explained(cell.place):
            try:
                self.execute(cell)
            except Exception as error:
                if type(error).__name__ != cell.raises:
                    raise
                if not re.search(cell.saying or "", str(error)):
                    raise Failure(
                        f"{cell.place}: the cell is to say {cell.saying!r}, but says {str(error)!r}"
                    ) from None
                if what := unprintable(str(error)):
                    raise Failure(f"{cell.place}: the cell {what}") from None
            else:
                if cell.raises:
                    raise Failure(f"{cell.place}: the cell is to raise {cell.raises}, but raised nothing")

    def check_examples(self, test: doctest.DocTest) -> None:
        """Examples have a copy of the namespace: Jupyter does not run them, so no cell may depend on them."""
        test.globs = dict(self.namespace)
        try:
            with self.strictly(self.chapter.place((test.lineno or 0) + 1)):
                runner = doctest.DebugRunner(verbose=False)
                runner._fakeout = Output(runner._fakeout, self.limits, lambda _: None)  # type: ignore[attr-defined]
                runner.run(test)
        except doctest.DocTestFailure as failure:
            place = self.example_place(failure)
            difference = doctest.OutputChecker().output_difference(failure.example, failure.got, 0)
            raise Failure(f"{place}: {failure.example.source}{difference}".rstrip()) from None
        except doctest.UnexpectedException as failure:
            error = failure.exc_info[1]
            raise self.failure(error, [self.example_place(failure), *self.trace(error)]) from None

    def example_place(self, failure: doctest.DocTestFailure | doctest.UnexpectedException) -> Place:
        return self.chapter.place((failure.test.lineno or 0) + failure.example.lineno + 1)

    def check_number(self, number: Number) -> None:
        value = self.value(number)
        if value != number.shown:
            raise Failure(
                f"{number.place}: the text says {number.shown}, but {number.expression} is {value}; "
                "`make numbers` writes it"
            )

    def value(self, number: Number) -> str:
        with self.explained(number.place), self.strictly(number.place):
            return str(eval(self.compiled(number.expression, number.place, "eval"), self.namespace))

    # -- how it is run ---------------------------------------------------------

    def execute(self, cell: Cell) -> None:
        with self.strictly(cell.place), self.as_in_jupyter():
            self.check_shown(cell, self.run_lines(cell))
            missing = cell.alt and untold(self.chapter, cell, "")  # to look into a figure takes time
            if missing and (numbers := untold(self.chapter, cell, drawn())):
                raise Failure(
                    f"{cell.place}: the alternative text says {', '.join(numbers)}, which neither the figure "
                    "nor the code of its section has; correct it, or list it in book/unbound.toml"
                )

    @contextlib.contextmanager
    def as_in_jupyter(self) -> Iterator[None]:
        """There a loop runs around each cell, and pytest does not catch what is logged."""
        loop, root, others = asyncio.new_event_loop(), logging.getLogger(), logging.getLogger().handlers
        root.handlers = self.handlers
        asyncio._set_running_loop(loop)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)
            loop.close()
            root.handlers = others

    def run_lines(self, cell: Cell) -> object:
        """Return what Jupyter shows of the last one."""
        *body, last = ast.parse("\n" * (cell.place.line - 1) + cell.source).body
        shown = last.value if isinstance(last, ast.Expr) and not SILENT.search(cell.source) else None
        lines = ast.Module(body if shown else [*body, last], [])
        exec(self.compiled(lines, cell.place, "exec"), self.namespace)
        if shown is None:
            return None
        return eval(self.compiled(ast.Expression(shown), cell.place, "eval"), self.namespace)

    def check_shown(self, cell: Cell, value: object) -> None:
        """Refuse what the site would not show."""
        drawn = figures()
        if type(value).__name__ == "Figure":
            drawn, value = [value], None
        if drawn and not cell.alt:
            raise Failure(f'{cell.place}: this cell draws a figure: add alt="…" and say what one sees in it')
        if cell.alt and not drawn and "show(" not in cell.source:
            raise Failure(f"{cell.place}: this cell has alt=… but draws no figure")
        if value is None:
            return
        text = self.pretty(value)
        if cell.alt:
            what = f"{text.partition(chr(10))[0][:80]}, the value of its last line; end it with ;"
            raise Failure(f"{cell.place}: above its figure this cell shows {what}")
        Output(io.StringIO(), self.limits).write(text)

    def compiled(self, source: str | ast.Module | ast.Expression, place: Place, mode: str) -> CodeType:
        """Padded and under the chapter's path: a traceback then shows the lines of the book."""
        if isinstance(source, str):
            source = "\n" * (place.line - 1) + source
        code: CodeType = compile(source, place.path, mode, flags=self.flags, dont_inherit=True)
        self.flags |= code.co_flags & FUTURE_FLAGS
        return code

    @contextlib.contextmanager
    def bounded(self, place: Place) -> Iterator[None]:
        try:
            with self.limits(place):
                yield
        except Misbehaved as error:
            raise self.failure(error, self.trace(error) or [place]) from None

    @contextlib.contextmanager
    def strictly(self, place: Place) -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                with self.bounded(place):
                    yield
            finally:
                if "matplotlib.pyplot" in sys.modules:
                    sys.modules["matplotlib.pyplot"].close("all")

    # -- what is said when it fails ----------------------------------------------

    @contextlib.contextmanager
    def explained(self, place: Place) -> Iterator[None]:
        """Report an exception with the lines of the book it went through, or ``place`` if there are none."""
        try:
            yield
        except (Failure, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise self.failure(error, self.trace(error) or [place]) from None

    def trace(self, error: BaseException) -> list[Place]:
        places = []
        for frame, line in traceback.walk_tb(error.__traceback__):
            file = frame.f_code.co_filename
            if file == str(self.chapter.path):
                places.append(self.chapter.place(line))
            elif Path(file).name == f"{MODULE_NAME}.py" and self.earlier.places.get(line):
                places.append(self.earlier.places[line])
        return places

    def failure(self, error: BaseException, places: list[Place]) -> Failure:
        told = traceback.format_exception_only(error)
        said = (told[-1] if isinstance(error, SyntaxError) else "".join(told)).strip()  # with its notes
        if isinstance(error, Misbehaved):
            said = str(error) or f"the cell {self.limits.complaint}"
        half = LONGEST_TRACE // 2
        ends = [*places[:half], None, *places[-half:]] if len(places) > LONGEST_TRACE else places
        lines = [
            f"    {place}  {linecache.getline(str(place.path), place.line).strip()}" if place else "    …"
            for place in ends
        ]
        return Failure("\n".join([f"{places[0]}: {said}", *lines]))


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """What a chapter sets for its process is not set for the next one."""
    path, deep, language = [*sys.path], sys.getrecursionlimit(), locale.setlocale(locale.LC_ALL)
    with mock.patch.dict(os.environ):
        try:
            yield
        finally:
            sys.path = path
            sys.setrecursionlimit(deep)
            locale.setlocale(locale.LC_ALL, language)


def _unread(file: Path) -> ModuleType:
    """backprop_core of this file, whatever else is installed; nothing of it has run yet."""
    spec = importlib.util.spec_from_file_location(MODULE_NAME, file)
    assert spec and spec.loader
    return importlib.util.module_from_spec(spec)
