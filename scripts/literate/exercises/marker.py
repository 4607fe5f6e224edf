"""Mark readers' answers: in a process of their own, with limits on time and output."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from equations.book import Book
from literate.chapter import ROOT, BookError, Chapter, shown_path
from literate.tangle.module import Module, tangle

from . import pencil
from .sheets import FORMS, Exercise, Sheet, read_sheets
from .stubs import Core, Equations, stub

OUTPUT = 1_000_000  # characters that an answer may print
SHOWN = 600  # of what it printed, in a message
START = 60  # seconds in which the process must come up
WIDEST = 100
_OURS = Path(sys.prefix) == ROOT / ".venv"
COMMAND = f"{'.venv/bin/' if _OURS else ''}python scripts/exercises.py"  # as the reader can give it


@dataclass(frozen=True)
class Verdict:
    state: str  # "passed", "failed", "todo" or "open"
    message: str = ""


@dataclass(frozen=True)
class Answer:
    """An exercise as some file answers it."""

    sheet: Sheet
    exercise: Exercise
    path: Path
    source: str


@dataclass
class Marker:
    """What is needed to mark: the book, its module, its exercises."""

    chapters: Sequence[Chapter]
    sheets: list[Sheet] = field(init=False)

    def __post_init__(self) -> None:
        self.sheets = read_sheets(self.chapters)
        self.module: Module = tangle(self.chapters)
        self.core = Core(self.module.text)
        self.equations = Equations.of(self.chapters)

    @cached_property
    def book(self) -> Book:
        """For what is written with pencil."""
        texts = [*self.chapters, *(sheet.text for sheet in self.sheets)]
        return Book(texts, self.module.namespace())

    def sheet(self, name: str) -> Sheet:
        """The sheet of a chapter's key, number, or reader's file."""
        stem = Path(name).stem
        for sheet in self.sheets:
            if stem in (
                sheet.key,
                str(sheet.chapter.number),
                f"{sheet.chapter.number:02}",
                Path(sheet.file).stem,
            ):
                return sheet
            if re.sub(r"^\d\d_", "", stem) == sheet.key.replace(
                "-", "_"
            ):  # the chapter has another number now
                return sheet
        keys = ", ".join(sheet.key for sheet in self.sheets)
        raise BookError(Path(name), f"no chapter with exercises is called so; there are {keys}")

    # -- marking -----------------------------------------------------------------

    def mark(
        self, answers: Sequence[Answer], course: dict[str, tuple[Path, str]] | None = None
    ) -> Iterator[Verdict]:
        """A verdict for each. ``course`` has the reader's files by chapter, for a module made of all."""
        answers = list(answers)
        left = [answer for answer in answers if answer.exercise.is_marked]
        found = self._run(left, course or {})
        for answer in answers:
            yield next(found) if answer.exercise.is_marked else Verdict("open")

    def _run(self, answers: list[Answer], course: dict[str, tuple[Path, str]]) -> Iterator[Verdict]:
        """Run a process; where an answer ends it, go on with another."""
        while answers:
            with _Process(self._job(answers, course)) as process:
                for answer in list(answers):
                    result = process.result(answer)
                    if result is None:  # what an earlier answer left behind has ended the process
                        break
                    answers.pop(0)
                    yield self._verdict(answer, result, process)
                    if process.ended:
                        break

    def _verdict(self, answer: Answer, result: dict[str, Any], process: _Process) -> Verdict:
        state, message = result["state"], result.get("message", "")
        if state == "text":
            message = pencil.complaint(self.book, answer.sheet.text, answer.exercise, result["text"])
            state = "failed" if message else "passed"
        if state == "failed" and self._is_untouched(answer):
            return Verdict("todo")  # the planted mistake is still there, and nothing else
        if state == "failed":
            if label := result.get("label"):
                lines = self.equations.lines(label) if label in self.equations.displays else []
                head = f"equation {self.equations.number(label)} {label}"
                message = "\n".join([message, head, *(f"    {line}" for line in lines)])
            if text := process.printed():
                message += f"\nIt printed:\n{text}"
        return Verdict(state, message)

    def _is_untouched(self, answer: Answer) -> bool:
        """Whether the file has the stub as it was, and what it defines nowhere else."""
        text = stub(answer.exercise, self.core, self.equations)
        if text.strip() not in answer.source:
            return False
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            names = [getattr(node, "name", "") for node in ast.parse(answer.source).body]
            return max(map(names.count, answer.exercise.names)) < 2
        return False

    def heading(self, answer: Answer) -> str:
        exercise = answer.exercise
        number = answer.sheet.number(exercise)
        return f"{number} {exercise.name} · {FORMS[exercise.form]} · {exercise.title}"

    def _job(self, answers: list[Answer], course: dict[str, tuple[Path, str]]) -> dict[str, Any]:
        parts = [
            {
                "path": str(course[sheet.key][0]),
                "shown": shown_path(course[sheet.key][0]),
                "source": course[sheet.key][1],
                "blanks": [name for exercise in sheet.exercises for name in exercise.blanks],
                "without": [name for exercise in sheet.exercises for name in exercise.without],
            }
            for sheet in self.sheets
            if sheet.key in course and any(exercise.blanks for exercise in sheet.exercises)
        ]
        return {
            "module": self.module.text,
            "module_path": str(ROOT / "backprop_core.py"),
            "course": parts,
            "tasks": [self._task(answer) for answer in answers],
        }

    def _task(self, answer: Answer) -> dict[str, Any]:
        exercise = answer.exercise
        tree = _methods(stub(exercise, self.core, self.equations))
        check = exercise.check
        return {
            "path": str(answer.path),
            "shown": shown_path(answer.path),
            "source": answer.source,
            "form": exercise.form,
            "variable": exercise.variable,
            "needs": {name: tree.get(name, []) for name in exercise.names},
            "hidden": [*exercise.blanks, *exercise.without],
            "restore": f"{COMMAND} --stub {exercise.name} prints the stub",
            "check": check.source if check else "",
            "check_path": str(check.place.path) if check else "",
            "check_line": check.place.line if check else 1,
        }


def _methods(source: str) -> dict[str, list[str]]:
    """Class -> its methods, as the stub has them."""
    return {
        node.name: [member.name for member in node.body if isinstance(member, ast.FunctionDef)]
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


class _Process:
    """The process in which answers run."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.ended = self.served = False

    def __enter__(self) -> _Process:
        handle, self.trace = tempfile.mkstemp(prefix="exercises-")
        os.close(handle)
        reading, writing = os.pipe()
        path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "literate.exercises.child", str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            start_new_session=True,
            env={**threads, **os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
        )
        os.close(writing)
        self.results, self.buffer, self.output, self.count = reading, b"", b"", 0
        self.watched = selectors.DefaultSelector()
        assert self.child.stdin and self.child.stdout
        for stream in (reading, self.child.stdout.fileno()):
            os.set_blocking(stream, False)
            self.watched.register(stream, selectors.EVENT_READ)
        try:
            self.child.stdin.write(json.dumps({**self.job, "trace": self.trace}).encode())
            self.child.stdin.close()
        except BrokenPipeError:
            self.ended = True
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)  # with all that the answers have started
        self.child.wait()
        self.watched.close()
        os.close(self.results)
        assert self.child.stdout
        self.child.stdout.close()
        os.unlink(self.trace)

    def result(self, answer: Answer) -> dict[str, Any] | None:
        """What came of an answer; None if the process ended before its turn."""
        self.output, self.count = b"", 0
        if self._line(START) != "begin":
            return (
                None
                if self.served
                else self._end(f"the marker does not start: {self.printed()}", answer, abort=False)
            )
        self.served = True
        seconds = answer.exercise.seconds
        line = self._line(seconds)
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        if self.count > OUTPUT:
            return self._end(f"printed more than {OUTPUT:,} characters and was ended", answer)
        if line is None:
            return self._end(f"has not ended after {seconds:g} s, the limit of this exercise", answer)
        return self._end("ended the process that ran it", answer, abort=False)

    def _line(self, seconds: float) -> str | None:
        """The next line of the results; None when time is up, "" when there is none."""
        limit = time.monotonic() + seconds
        assert self.child.stdout
        out = self.child.stdout.fileno()
        while True:
            if b"\n" in self.buffer:
                line, _, self.buffer = self.buffer.partition(b"\n")
                self._drain(out)
                return line.decode()
            wait = limit - time.monotonic()
            if wait <= 0:
                return None
            ready = [key.fd for key, _ in self.watched.select(wait)]
            if out in ready and not self._drain(out):
                self.watched.unregister(out)
            if self.count > OUTPUT:
                return ""
            if self.results in ready:
                chunk = os.read(self.results, 65536)
                if not chunk:
                    return ""
                self.buffer += chunk

    def _drain(self, out: int) -> bool:
        """Keep the beginning of what was printed. False at its end."""
        while self.count <= OUTPUT:
            try:
                chunk = os.read(out, 65536)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self.count += len(chunk)
            self.output += chunk[: max(0, 4 * SHOWN - len(self.output))]
        return True

    def _end(self, message: str, answer: Answer, abort: bool = True) -> dict[str, Any]:
        """End the process, or what is left of it; it says where it was."""
        self.ended = True
        if abort:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, signal.SIGABRT)
            self._wait(2)
        trace = Path(self.trace).read_text("utf-8", "replace")
        found = re.search(rf'File "{re.escape(str(answer.path))}", line (\d+)', trace)
        where = f"{shown_path(answer.path)}:{found[1]}: " if found else ""
        return {"state": "failed", "message": f"{where}it {message}"}

    def _wait(self, seconds: float) -> None:
        """Until all have ended that could write results."""
        limit = time.monotonic() + seconds
        with selectors.DefaultSelector() as watched:
            watched.register(self.results, selectors.EVENT_READ)
            while watched.select(max(0, limit - time.monotonic())) and os.read(self.results, 65536):
                pass

    def printed(self) -> str:
        text = self.output.decode(errors="replace").strip()
        text = "".join(sign if sign.isprintable() or sign == "\n" else "·" for sign in text)
        lines = [line if len(line) <= WIDEST else f"{line[:WIDEST]}…" for line in text.split("\n")]
        short = "\n".join(lines)[:SHOWN]
        more = f"\n    … ({self.count:,} characters)" if self.count > len(short) + 1 else ""
        return f"    {short.replace(chr(10), chr(10) + '    ')}{more}" if short else ""
