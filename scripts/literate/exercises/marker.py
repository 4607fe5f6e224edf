"""Mark readers' answers, which run in a process of their own."""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from equations.book import Book
from equations.slicing import definitions
from literate.chapter import ROOT, BookError, Chapter, equations_of, shown_path
from literate.tangle.module import Module, tangle

from . import pencil
from .sheets import FORMS, Exercise, Sheet, read_sheets
from .stubs import Core, stub

SHOWN = 600  # of what it printed, in a message
START = 60  # seconds in which the process must come up, or say what came of an answer
WIDEST = 100
_OURS = Path(sys.prefix) == ROOT / ".venv"
COMMAND = f"{'.venv/bin/' if _OURS else ''}python scripts/exercises.py"  # as the reader can give it


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """The nearest of the names, as a question; "" if none is near."""
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""


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
    _process: _Process | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.sheets = read_sheets(self.chapters)

    @cached_property
    def module(self) -> Module:
        return tangle(self.chapters)

    @cached_property
    def namespace(self) -> dict[str, Any]:
        """What the module defines and imports."""
        return self.module.namespace()

    @cached_property
    def core(self) -> Core:
        return Core(self.module.text, equations_of(self.chapters))

    @cached_property
    def book(self) -> Book:
        """For what is written with pencil."""
        texts = [*self.chapters, *(sheet.text for sheet in self.sheets)]
        return Book(texts, self.namespace)

    def sheet(self, name: str) -> Sheet:
        """The sheet of a chapter's key, number, or reader's file."""
        stem = Path(name).stem.lower()
        file = re.sub(r"^\d\d_", "", stem)  # the chapter may have another number now
        for sheet in self.sheets:
            number = sheet.chapter.number
            names = [name for one in sheet.exercises for name in (one.name, sheet.number(one))]
            if stem in (sheet.key, str(number), f"{number:02}", *names) or file == sheet.key.replace(
                "-", "_"
            ):
                return sheet
        keys = [sheet.key for sheet in self.sheets]
        meant = did_you_mean(stem.replace("_", "-"), keys)
        raise BookError(
            Path(name), f"no chapter with exercises is called so{meant}; there are {', '.join(keys)}"
        )

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
        """The process stays for the next time, unless an answer or Ctrl-C has ended it."""
        while answers:
            process = self._process = self._process or _Process(self.module.text)
            whole = False
            try:
                process.send(self._job(answers, course))
                while answers and not process.ended:
                    verdict = self._verdict(answers[0], process.judged(answers[0]), process)
                    answers.pop(0)
                    whole = not answers and not process.ended  # nobody need ask for more
                    yield verdict
            finally:
                if not whole:
                    process.close()
                    self._process = None

    def _verdict(self, answer: Answer, result: dict[str, Any], process: _Process) -> Verdict:
        state, message = result["state"], result.get("message", "")
        if state == "text":
            message = pencil.complaint(self.book, answer.sheet.text, answer.exercise, result["text"])
            state = "failed" if message else "passed"
        if state in ("failed", "todo") and self._is_untouched(answer):
            return Verdict("todo")  # the planted mistake is still there, and nothing else
        if state == "failed":
            if label := result.get("label"):
                head = f"equation {self.core.number(label)} {label}"
                lines = (f"    {line}" for line in self.core.lines(label))
                message = "\n".join([message, head, *lines])
            if text := process.printed():
                message += f"\nIt printed:\n{text}"
        return Verdict(state, message)

    def _is_untouched(self, answer: Answer) -> bool:
        """Whether the file has the stub as it was, in whichever layout, and what it defines nowhere else."""
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            body = ast.parse(answer.source).body
            names = [getattr(node, "name", "") for node in body]
            bare = ast.parse(stub(answer.exercise, self.core)).body
            parts = {_plain(node) for node in bare if not isinstance(node, ast.Import | ast.ImportFrom)}
            return parts <= set(map(_plain, body)) and max(map(names.count, answer.exercise.names)) < 2
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
        return {"course": parts, "tasks": [self._task(answer) for answer in answers]}

    def _returning(self, exercise: Exercise) -> list[str]:
        """The functions and methods that return something in the solution."""
        asked = [(name, self.core.find(name, exercise)) for name in exercise.blanks]
        own = _functions(exercise.solution.source) if exercise.solution else ()
        return [name for name, node in [*asked, *own] if isinstance(node, ast.FunctionDef) and _gives(node)]

    def _task(self, answer: Answer) -> dict[str, Any]:
        exercise = answer.exercise
        asked = [name for name, _ in _functions(stub(exercise, self.core))]
        check = exercise.check
        return {
            "path": str(answer.path),
            "shown": shown_path(answer.path),
            "source": answer.source,
            "form": exercise.form,
            "variable": exercise.variable,
            "needs": {
                name: [one.removeprefix(f"{name}.") for one in asked if one.startswith(f"{name}.")]
                for name in exercise.names
            },
            "returns": self._returning(exercise),
            "hidden": [*exercise.blanks, *exercise.without],
            "restore": f"{COMMAND} --stub {exercise.name} prints the stub",
            "check": check.source if check else "",
            "check_path": str(check.place.path) if check else "",
            "check_line": check.place.line if check else 1,
            "seconds": exercise.seconds,
        }


def _plain(node: ast.AST) -> str:
    """What stands there, without the layout of code and docstrings."""
    return re.sub(r"\\[nt]|\s", "", ast.dump(node))


def _gives(function: ast.FunctionDef) -> bool:
    """Whether it returns a value, whichever way it ends."""
    found: list[bool] = []
    inside: list[ast.AST] = [*function.body]
    while inside:
        node = inside.pop()
        if isinstance(node, ast.Return):
            found.append(node.value is not None)
        elif not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.expr):
            inside += ast.iter_child_nodes(node)
    return bool(found) and all(found)


def _functions(source: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    found = definitions(ast.parse(source).body)
    return ((name, node) for name, node in found if isinstance(node, ast.FunctionDef))


class _Process:
    """The process in which answers run, each in a copy of it. It says in JSON what came of them."""

    def __init__(self, module: str) -> None:
        self.ended = self.served = False
        self.said: dict[str, Any] = {}  # of the last answer
        self.heard = [b"", b""]  # the last whole line, and what follows it
        self.crash = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process
        path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "literate.exercises.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.crash,
            start_new_session=True,
            env={**threads, **os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
        )
        self.close = weakref.finalize(self, _closed, self.child, self.heard, self.crash)
        self.send({"module": module, "module_path": str(ROOT / "backprop_core.py")})

    def send(self, job: dict[str, Any]) -> None:
        assert self.child.stdin
        with contextlib.suppress(BrokenPipeError):  # judged() says what is wrong
            self.child.stdin.write(json.dumps(job).encode() + b"\n")
            self.child.stdin.flush()

    def judged(self, answer: Answer) -> dict[str, Any]:
        """What came of an answer."""
        begun = self._line(START)
        self.served = self.served or bool(begun)
        self.said = (begun and self._line(answer.exercise.seconds + START)) or {}
        if self.said:
            return self.said["answer"]
        self.ended = True
        message = "it ended the process that ran it"
        if not self.served:
            self.crash.seek(0)
            crash = self.crash.read()
            message = f"the marker does not start:\n{_shortened(crash.decode(errors='replace'), len(crash))}"
        return {"state": "failed", "message": message}

    def _line(self, seconds: float) -> Any:
        """The next line; None when there is none, or none in time."""
        assert self.child.stdout
        limit = time.monotonic() + seconds
        while b"\n" not in self.heard[1]:
            wait = max(0, limit - time.monotonic())
            ready, _, _ = select.select([self.child.stdout], [], [], wait)
            chunk = os.read(self.child.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                return None
            self.heard[1] += chunk
        self.heard[0], _, self.heard[1] = self.heard[1].partition(b"\n")
        return json.loads(self.heard[0])

    def printed(self) -> str:
        """The beginning of what the answer has printed."""
        return _shortened(self.said.get("printed", ""), self.said.get("size", 0))


def _shortened(text: str, size: int) -> str:
    text = "".join(sign if sign.isprintable() or sign == "\n" else "·" for sign in text.strip())
    lines = [line if len(line) <= WIDEST else f"{line[:WIDEST]}…" for line in text.split("\n")]
    short = "\n".join(lines)[:SHOWN]
    more = f"\n    … ({size:,} characters)" if size > len(short) + 1 else ""
    return textwrap.indent(short, "    ", lambda _: True) + more if short else ""


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _closed(child: subprocess.Popen[bytes], heard: list[bytes], crash: IO[bytes]) -> None:
    """End the process and all that it has started."""
    assert child.stdin and child.stdout
    _end(child.pid)
    child.wait()
    lines = (heard[0] + b"\n" + heard[1] + child.stdout.read()).splitlines()
    if lines[-1].isdigit():  # a copy has begun, and nothing was said of its end
        _end(int(lines[-1]))
    for stream in (child.stdin, child.stdout, crash):
        with contextlib.suppress(OSError):
            stream.close()
