"""What a cell may do, in the tests and in the kernels of the site: for how long, how much, and where.

The kernels load this file by its path, so it needs nothing of its package.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import faulthandler
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

OUTPUT, LINE = 1_000_000, 20_000  # characters of a cell's output, and of a line of it
GRACE = 10  # seconds from the time limit until the process is ended that does not heed it
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
ROOT = re.escape(str(Path(__file__).resolve().parents[2]))
ADDRESS = re.compile(
    rf"<.{{1,200}}? at 0x[0-9a-f]+>|\w\) at 0x[0-9A-F]{{8,}}|{ROOT}[^'\s]*|/book-\d+-\w+"
)  # or a folder
SHARED: Any = (builtins, io, json, json.JSONDecoder, json.JSONEncoder, os, threading, time)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.rename": 2, "shutil.move": 2}  # how many of the event's arguments are paths it changes
CLEARS = "os.remove", "os.rmdir", "shutil.rmtree"
CHANGES |= dict.fromkeys(("os.chmod", "os.mkdir", "os.truncate", *CLEARS), 1)
STARTS = {*"os.exec os.fork os.forkpty os.posix_spawn os.spawn os.system subprocess.Popen".split()}
WATCHED = {"open", "builtins.input", *CHANGES, *STARTS}
WITNESS = """
import sys
last = ""
for line in sys.stdin.buffer:
    last = line.decode().strip()
if last:
    sys.stderr.buffer.write(f"\\n{last}: the process ended while this ran\\n".encode())
"""

left: list[threading.Thread] = []  # by cells; Python would wait for them at its end
_active: Limits | None = None
_temporary = set[str]()  # folders of cells: what a chapter left there may be cleared during a later one


class Misbehaved(BaseException):
    """What a cell did that it must not. No ``except Exception`` in the cell catches it."""


def seconds() -> float:
    """How long a cell may run."""
    given = os.environ.get("BOOK_CELL_SECONDS", "120")
    with contextlib.suppress(ValueError):
        if 0 < float(given) < 1e6:
            return float(given)
    raise SystemExit(f"BOOK_CELL_SECONDS is a number of seconds above 0, got {given!r}")


def late() -> str:
    return f"has not ended after {seconds():g} s, the limit (BOOK_CELL_SECONDS sets another)"


def unprintable(text: str) -> str | None:
    """What a page cannot show of this text, or not in each run alike."""
    if found := CONTROL.search(text):
        hint = "; print the last state only" if found[0] in "\b\r" else ""
        return f"prints the character U+{ord(found[0]):04X}, which a page cannot show{hint}"
    if max(map(len, text.split("\n"))) > LINE:
        return f"prints a line of more than {LINE:,} characters"
    if found := ADDRESS.search(text):
        return f"prints an address, which changes with every run: {found[0]}"
    return None


def _told(text: str) -> str | None:
    return f"writes to stderr: {text.strip()[:200]}" if text.strip() else None


class Output:
    """A stream with a limit. ``what`` says what a page cannot show of a text."""

    def __init__(
        self, stream: TextIO, limits: Limits, what: Callable[[str], str | None] = unprintable
    ) -> None:
        self.stream, self.limits, self.what, self.count, self.line = stream, limits, what, 0, 0

    def write(self, text: str) -> int:
        if isinstance(text, str):
            self.count += len(text)
            if self.count > OUTPUT:
                self.limits.refuse(f"prints more than {OUTPUT:,} characters")
            first, *others = text.split("\n")
            longest = max(map(len, [" " * self.line + first, *others]))
            self.line = len(others[-1]) if others else longest
            if longest > LINE:
                self.limits.refuse(f"prints a line of more than {LINE:,} characters")
            if what := self.what(text):
                self.limits.refuse(what)
        return self.stream.write(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def close(self) -> None:
        self.limits.refuse("closes stdout")

    detach = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Limits:
    """Cells may write in ``folder``, which becomes their directory, in ``temporary``, and nowhere else."""

    def __init__(self, folder: Path, temporary: Path, *others: str) -> None:
        self.folder, self.temporary = str(folder), str(temporary)
        allowed = self.folder, self.temporary, *others, "/dev"
        self.allowed = [os.path.realpath(path) + os.sep for path in allowed]
        self.seconds = seconds()
        self.complaint: str | None = None
        self.over = False  # the cell: what is put back after it takes its time
        if not _hooked:
            sys.addaudithook(_watch)
            _hooked.append(True)
            if sys.platform == "linux":  # the children of an ended child become ours, not the system's
                ctypes.CDLL(None).prctl(36, 1)

    @contextlib.contextmanager
    def __call__(self, place: object = "") -> Iterator[None]:
        """Run a cell under these limits; raise Misbehaved when it has left something behind."""
        self.begin(place)
        try:
            yield
        except BaseException:
            self.end()
            raise
        if what := self.end():
            raise Misbehaved(f"the cell {what}")

    def begin(self, place: object = "") -> None:
        global _active
        _temporary.add(self.allowed[1])
        self.complaint, self.process, self.over = None, os.getpid(), False
        self.children: set[Any] | None = None  # before the cell, if it starts some
        self.before = os.getcwd(), tempfile.tempdir, os._exit
        tempfile.tempdir, os._exit = self.temporary, self._exit
        self.threads = set(threading.enumerate())
        self.modules = sys.modules, dict(sys.modules)
        self.hooks = sys.unraisablehook, threading.excepthook
        sys.unraisablehook = threading.excepthook = self._ignored
        self.shared = [dict(vars(owner)) for owner in SHARED]
        self.pairs = [pair for pair in zip(SHARED, self.shared, strict=True) if not isinstance(pair[0], type)]
        self.streams = sys.stdin, sys.stdout, sys.stderr
        self.copies = [os.dup(number) for number in (1, 2)]
        sys.stdout, sys.stderr = Output(sys.stdout, self), Output(sys.stderr, self, _told)
        self.ours = sys.stdin, sys.stdout, sys.stderr
        os.chdir(self.folder)
        _say(place)
        _active = self
        self._arm()

    def end(self) -> str | None:
        """Put everything back. Return what the cell has done that it must not, if it did."""
        global _active
        self.over = True
        changed = [owner.__dict__.copy() for owner in SHARED]
        for owner, before in self.pairs:  # first of all, and without a function that may have been changed
            owner.__dict__.update(before)
        found, (sys.modules, modules) = sys.modules, self.modules
        gone = [name for name in modules if found.get(name, self) is not modules[name]]
        sys.modules.update(modules)
        sys.unraisablehook, threading.excepthook = self.hooks
        self._disarm()
        directory, tempfile.tempdir, leave = self.before
        if os.getpid() != self.process:
            leave(1)  # a child that was forked in the cell has come this far; the rest is not its own
        _active = None
        lost = [f"removes or replaces modules of Python, like {gone[0]}"] if gone else []
        what = [self.complaint, *lost, *self._restored(changed), *self._left()]
        os._exit = leave
        os.chdir(directory)
        _say("")
        return next(filter(None, what), None)

    def refuse(self, what: str) -> NoReturn:
        self.complaint = what
        raise Misbehaved(f"the cell {what}")

    def asked(self, *_: object) -> NoReturn:
        self.refuse("asks for input, which nobody can give")

    def _ignored(self, what: Any) -> None:
        said = traceback.format_exception_only(what.exc_type, what.exc_value)[-1].strip()
        self.complaint = self.complaint or f"raises what Python can only ignore ({said})"

    def _exit(self, status: int) -> NoReturn:
        if os.getpid() == self.process:
            self.refuse("ends the process that runs it")
        self.before[2](status)

    # -- its time ------------------------------------------------------------------

    def _arm(self) -> None:
        self.handler = signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, self.seconds, 1)
        if _witness:  # for what neither Python nor a signal can stop
            faulthandler.dump_traceback_later(self.seconds + GRACE, exit=True, file=_witness[1])

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.handler)
        if _witness:
            faulthandler.cancel_dump_traceback_later()

    def _late(self, *_: object) -> None:
        if not self.over:
            self.refuse(late())

    # -- what it has changed ---------------------------------------------------------

    def _restored(self, changed: list[dict[str, Any]]) -> Iterator[str]:
        names = "stdin", "stdout", "stderr"
        for name, stream, own in zip(names, self.streams, self.ours, strict=True):
            if sys.__dict__.get(name) is not own:
                yield f"removes or replaces sys.{name}"
            setattr(sys, name, stream)
        for number, copy in zip((1, 2), self.copies, strict=True):
            same = False
            with contextlib.suppress(OSError):
                same = os.path.samestat(os.fstat(number), os.fstat(copy))
            if not same:
                os.dup2(copy, number)
                yield f"closes or redirects the file {number}, its standard output"
            os.close(copy)
        for owner, before, now in zip(SHARED, self.shared, changed, strict=True):
            for name in before.keys() - {"_"}:
                if now.get(name, self) is not before[name]:
                    if isinstance(owner, type):
                        setattr(owner, name, before[name])
                    yield f"changes {owner.__name__}.{name}, which others use"

    def _left(self) -> Iterator[str]:
        for thread in set(threading.enumerate()) - self.threads:
            if not thread.daemon:
                thread.join(0.2)
                if thread.is_alive():
                    left.append(thread)
                    yield f"leaves a thread that runs on ({thread.name})"
        for child in _children() - self.children if self.children is not None else ():
            with contextlib.suppress(Exception):  # it may just have ended
                name, zombie = child.name(), child.status() == "zombie"
                child.kill()
                child.wait(1)
                if not zombie:
                    yield f"leaves a process that runs on ({name})"


@contextlib.contextmanager
def timely() -> Iterator[None]:
    """Raise Misbehaved when this takes longer than a cell may; it may do all else."""
    limits = Limits(Path(), Path())
    limits.over = False
    limits._arm()
    try:
        yield
    finally:
        limits.over = True
        limits._disarm()
    if limits.complaint:  # which what ran has caught
        raise Misbehaved(limits.complaint)


def _children() -> set[Any]:
    """The processes that have been started here, without the one that Python itself starts."""
    import psutil  # only where a cell starts processes

    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    children = psutil.Process().children(recursive=True)
    return {child for child in children if child.pid != getattr(tracker, "_pid", None)}


_hooked: list[bool] = []
_witness: list[Any] = []  # a process, and the number of the file to which it writes


def _watch(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what a cell would change outside of its folders; notice that it starts processes."""
    limits = _active
    if limits is None or event not in WATCHED:
        return
    if event == "builtins.input":
        limits.asked()
    if event in STARTS:
        if event == "os.exec" and os.getpid() == limits.process:
            limits.refuse("ends the process that runs it")
        if limits.children is None:
            limits.children = _children()
        return
    count = CHANGES.get(event, 1 if event == "open" and args[2] & WRITING else 0)
    for path in args[:count]:
        if isinstance(path, (str, bytes, os.PathLike)):
            real = os.path.realpath(os.fsdecode(path))
            allowed = *limits.allowed, *(_temporary if event in CLEARS else ())
            if not (real + os.sep).startswith(allowed) and "__pycache__" not in real:
                limits.refuse(f"writes outside of its folder ({os.fsdecode(path)})")


def witnessed(error_file: int) -> None:
    """Have the death of this process told, with the place of the cell that ran."""
    if not _witness:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WITNESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=error_file,
            start_new_session=True,
        )
        _witness.extend([process, error_file])
        atexit.register(process.communicate)


def _say(place: object) -> None:
    if _witness:
        with contextlib.suppress(OSError):
            _witness[0].stdin.write(f"{place}\n".encode())
            _witness[0].stdin.flush()


def leave(status: int) -> None:
    """Do not wait for threads that cells have left."""
    if any(thread.is_alive() for thread in left):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
