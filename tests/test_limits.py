"""What a cell must not do, in the tests of a chapter and in the kernels of the site; what is then said."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from literate import limits
from literate.chapter import ROOT, BookError
from literate.prove import pytest_plugin
from literate.prove.session import Failure, Session
from literate.run.kernels import prepare
from literate.run.notebooks import execute
from literate.tangle.module import Module
from tests.books import chapter, fence

IMPORTS = """\
import asyncio
import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path"""
LATE = "the cell has not ended after {SECONDS} s, the limit (BOOK_CELL_SECONDS sets another)"
MUCH = "the cell prints more than 1,000,000 characters"
OUTSIDE = "the cell writes outside of its folder ({})"
IGNORED = "the cell raises what Python can only ignore"
ADDRESS = "the cell prints an address, which changes with every run:"
GONE = "the cell removes or replaces modules of Python, like {}"
STREAM = "the cell closes or redirects the file {}, its standard output"

MISBEHAVING = {  # the cell, the message; <1> is the line that is named, else it is the cell's first
    "loops": ("x = 1\nwhile True:  # <1>\n    pass", LATE),
    "sleeps": ("time.sleep(99)", LATE),
    "loops and catches all": (
        "x = 1\ntry:\n    time.sleep(99)\nexcept BaseException:\n    pass\nx = 2",
        LATE,
    ),
    "waits for a lock": ("lock = threading.Lock()\nlock.acquire()\nlock.acquire()  # <1>", LATE),
    "prints much at once": ("x = 1\nprint('x' * 200_000_000)  # <1>", MUCH),
    "prints much in pieces": ("while True:\n    print('x' * 1000)  # <1>", MUCH),
    "prints a long line": (
        "for i in range(30):\n    print('x' * 1000, end='')  # <1>",
        "the cell prints a line of more than 20,000 characters",
    ),
    "writes many lines": ("sys.stdout.writelines(['x' * 1000 + '\\n'] * 2000)", MUCH),
    "prints half a character": (
        "print('\\ud800')",
        "the cell prints the character U+D800, which a page cannot show",
    ),
    "prints a bar of progress": (
        "for i in range(3):\n    print(f'\\r{i}', end='')  # <1>",
        "the cell prints the character U+000D, which a page cannot show; print the last state only",
    ),
    "goes back": (
        "print('a\\bb')",
        "the cell prints the character U+0008, which a page cannot show; print the last state only",
    ),
    "prints colours": (
        "print('\\x1b[31mred\\x1b[0m')",
        "the cell prints the character U+001B, which a page cannot show",
    ),
    "prints an address": (
        "x = 1\nprint('a', '<f <locals> at 0x12>')  # <1>",
        f"{ADDRESS} <f <locals> at 0x12>",
    ),
    "shows an address": (
        "class A:\n    def __repr__(self):\n        return '<A at 0x12>'\nA()",
        f"{ADDRESS} <A at 0x12>",
    ),
    "shows a long line": ("'x' * 30_000", "the cell prints a line of more than 20,000 characters"),
    "ends": ("x = 1\nexit()  # <1>", "SystemExit: None"),
    "writes to stderr": ("x = 1\nprint('oh', file=sys.stderr)  # <1>", "the cell writes to stderr: oh"),
    "logs": (
        "x = 1\n__import__('logging').warning('oh')  # <1>",
        "the cell writes to stderr: WARNING:root:oh",
    ),
    "runs a loop": (
        "f = asyncio.sleep(0)\ntry:\n    asyncio.run(f)  # <1>\nfinally:\n    f.close()",
        "RuntimeError: asyncio.run() cannot be called from a running event loop",
    ),
    "closes stdout": ("x = 1\nsys.stdout.close()  # <1>", "the cell closes stdout"),
    "removes stdout": ("del sys.stdout", "the cell removes or replaces sys.stdout"),
    "has no stdout": ("sys.stdout = None", "the cell removes or replaces sys.stdout"),
    "replaces stderr": (
        "sys.stderr = __import__('io').StringIO()",
        "the cell removes or replaces sys.stderr",
    ),
    "closes the file of stdout": ("os.close(1)", STREAM.format(1)),
    "redirects the file of stderr": (
        "other = os.open(os.devnull, os.O_RDWR)\nos.dup2(other, 2)\nos.close(other)",
        STREAM.format(2),
    ),
    "changes json": ("json.dumps = None", "the cell changes json.dumps, which others use"),
    "changes the encoder of json": (
        "json.JSONEncoder.encode = None",
        "the cell changes JSONEncoder.encode, which others use",
    ),
    "removes os.getpid": ("del os.getpid", "the cell changes os.getpid, which others use"),
    "changes print": (
        "import builtins\nbuiltins.print = None",
        "the cell changes builtins.print, which others use",
    ),
    "asks": ("x = 1\ninput()  # <1>", "the cell asks for input, which nobody can give"),
    "asks and catches all": (
        "try:\n    input()\nexcept BaseException:\n    pass",
        "the cell asks for input, which nobody can give",
    ),
    "removes all modules": ("sys.modules.clear()", GONE.format("sys")),
    "has other modules": ("sys.modules = {}", GONE.format("sys")),
    "replaces a module": ("sys.modules['json'] = None", GONE.format("json")),
    "leaves a file open": (
        "open('x', 'w')\nx = 1",
        f"{IGNORED} (ResourceWarning: unclosed file <_io.TextIOWrapper name='x' mode='w' encoding='UTF-8'>)",
    ),
    "forgets to await": (
        "async def f():\n    pass\nf()\nx = 1",
        f"{IGNORED} (RuntimeWarning: coroutine 'f' was never awaited)",
    ),
    "fails in a thread": (
        "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()",
        f"{IGNORED} (ZeroDivisionError: division by zero)",
    ),
    "leaves a thread": (
        "thread = threading.Thread(target=time.sleep, args=(3,), name='idle')\nthread.start()",
        "the cell leaves a thread that runs on (idle)",
    ),
    "leaves a process": (
        "process = subprocess.Popen(['sleep', '99'])",
        "the cell leaves a process that runs on (sleep)",
    ),
    "leaves a session": (
        "process = subprocess.Popen(['sleep', '99'], start_new_session=True)",
        "the cell leaves a process that runs on (sleep)",
    ),
    "leaves a shell": (  # which has had time to become what it runs
        "os.system('sleep 99 & sleep 0.5')",
        "the cell leaves a process that runs on (sleep)",
    ),
    "ends the process": ("x = 1\nos._exit(0)  # <1>", "the cell ends the process that runs it"),
    "becomes another": (
        "x = 1\nos.execvp('true', ['true'])  # <1>",
        "the cell ends the process that runs it",
    ),
    "writes into the book": (
        "x = 1\nPath('{ROOT}/book/x.md').write_text('x')  # <1>",
        OUTSIDE.format("{ROOT}/book/x.md"),
    ),
    "writes above": ("Path('../x').write_text('x')", OUTSIDE.format("../x")),
    "writes into the home": ("Path('~/x').expanduser().open('a')", OUTSIDE.format(Path("~/x").expanduser())),
    "writes into /tmp": ("os.open('/tmp/x', os.O_CREAT)", OUTSIDE.format("/tmp/x")),
    "makes a folder": ("Path('/tmp/x/y').mkdir(parents=True)", OUTSIDE.format("/tmp/x/y")),
    "removes a file": ("Path('{ROOT}/README.md').unlink()", OUTSIDE.format("{ROOT}/README.md")),
    "removes a tree": ("__import__('shutil').rmtree('{ROOT}/book')", OUTSIDE.format("{ROOT}/book")),
    "renames a file": ("Path('x').write_text('')\nPath('x').rename('../x')  # <1>", OUTSIDE.format("../x")),
    "writes outside and catches all": (
        "try:\n    open('../x', 'w')\nexcept BaseException:\n    pass",
        OUTSIDE.format("../x"),
    ),
}
FORK = "if os.fork() == 0:\n    time.sleep(99)", "the cell leaves a process that runs on ("

BEHAVING = """
print("δ → 🙂", flush=True)
Path("x").write_text("x")
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "x").write_text("x")
with open(os.devnull, "w") as nothing:
    nothing.write("x")
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(sum(pool.map(abs, range(3))))
print(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout)
fork = multiprocessing.get_context("fork")
with multiprocessing.Pool(1) as workers:
    print(workers.map(abs, [-1]))
process = fork.Process(target=abs, args=(1,))
process.start()
process.join()
process.close()
print("\\n".join(["x" * 80] * 9000))
"""


def cell(body: str, folder: Path, message: str) -> tuple[Session, str]:
    """A chapter with this cell, and what is to be said of it."""
    seconds = os.environ["BOOK_CELL_SECONDS"] = "0.2" if message == LATE else "1"
    body, message = (text.replace("{ROOT}", str(ROOT)) for text in (body, message))
    message = message.replace("{SECONDS}", seconds)
    item = chapter(fence(body), imports=IMPORTS, folder=folder)
    item.path.write_text(item.text, encoding="utf-8")
    line = next((n for n, text in enumerate(item.text.split("\n"), 1) if text.endswith("# <1>")), 0)
    return Session(item, []), f"{item.path}:{line or item.python[1].place.line}: {message}"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_CELL_SECONDS", "1")


@pytest.fixture(autouse=True, scope="module")
def kernels() -> Iterator[None]:
    """Those that fork kernels start before children are counted; what tests leave is collected here.

    What stands in the memory already need not be looked at each time.
    """
    prepare()
    gc.freeze()
    yield
    gc.unfreeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    gc.freeze()


def children() -> list[psutil.Process]:
    found = psutil.Process().children(recursive=True)
    return [child for child in found if child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    """What a stopped cell left open warns in its own test, where that is ignored, not in a later one."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("body", "message"), MISBEHAVING.values(), ids=MISBEHAVING)
def test_in_the_tests(body: str, message: str, tmp_path: Path) -> None:
    before, stdout, dumps, directory = children(), sys.stdout, json.dumps, os.getcwd()
    session, expected = cell(body, tmp_path, message)
    with session, pytest.raises(Failure) as caught:
        session.run_to(2)
    said = str(caught.value).split("\n")[0].replace("(sh)", "(sleep)")  # a shell that is about to become it
    assert said == expected
    assert (children(), sys.stdout, json.dumps, os.getcwd()) == (before, stdout, dumps, directory)


def test_a_forked_child_in_the_tests(tmp_path: Path) -> None:
    session, expected = cell(*FORK[:1], tmp_path, FORK[1])
    with session, pytest.raises(Failure) as caught:
        session.run_to(2)
    assert str(caught.value).startswith(expected)
    assert "sleep" not in [child.name() for child in children()]


def test_what_is_allowed(tmp_path: Path) -> None:
    session, _ = cell(BEHAVING, tmp_path, "")
    with session:
        session.run_to(2)
    session, _ = cell(BEHAVING, tmp_path, "")
    execute(session.chapter, Module("", {}, ""))


# -- in the kernels of the site -----------------------------------------------------------

IN_KERNELS = MISBEHAVING | {
    "kills itself": ("x = 1\nos.kill(os.getpid(), 9)", "the process ended while this cell ran"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "the process ended while this cell ran"),
    "forks": FORK,
    "ends": ("x = 1\nexit()  # <1>", "NameError: name 'exit' is not defined"),
    "removes stdout": ("del sys.stdout", "AttributeError: module 'sys' has no attribute 'stdout'"),
}
SOME = ("loops", "leaves a process", "kills itself")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", SOME)
def test_in_a_kernel(name: str, tmp_path: Path) -> None:  # the others: tests/proofs/test_limits_long.py
    body, message = IN_KERNELS[name]
    before = children()
    session, expected = cell(body, tmp_path, message)
    with pytest.raises(BookError) as caught:
        execute(session.chapter, Module("", {}, ""))
    assert str(caught.value).split("\n")[0].startswith(expected)
    assert children() == before


# -- what nothing in the process can prevent ------------------------------------------------

DYING = {
    "kills itself": "os.kill(os.getpid(), 9)",
    "crashes": "__import__('ctypes').string_at(0)",
    "aborts": "os.abort()",
    "is deaf": "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\nwhile True:\n    pass",
}


def run_tests(path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plugins = "-p", "literate.prove.pytest_plugin", "-p", "no:hypothesispytest"  # see pyproject.toml
    command = [sys.executable, "-m", "pytest", *plugins, *options, path.name]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "scripts")} | environment
    return subprocess.run(command, cwd=path.parent, env=variables, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "options"),
    [("kills itself", ()), ("is deaf", ()), ("crashes", ("-n", "1", "--max-worker-restart=0"))],
)
def test_a_death_is_told_with_its_place(  # the others: tests/proofs/test_limits_long.py
    name: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = DYING[name]
    monkeypatch.setattr(limits, "GRACE", 0.2)
    session, expected = cell(body, tmp_path, "the process ended while this ran")
    site = tmp_path / "sitecustomize.py"
    site.write_text("import literate.limits\nliterate.limits.GRACE = 0.2\n")
    path = f"{ROOT / 'scripts'}{os.pathsep}{tmp_path}"
    result = run_tests(session.chapter.path, *options, PYTHONPATH=path)
    for _ in range(300):  # the witness speaks when the process is dead
        if expected in result.stderr:
            break
        time.sleep(0.1)
    assert result.returncode != 0
    assert expected in result.stderr
    if options:
        assert (
            f"crashed while running '01-sample.md::cell at line {session.chapter.python[1].place.line}'"
            in (result.stdout)
        )


def test_a_thread_does_not_keep_the_run_from_its_end(tmp_path: Path) -> None:
    body = "threading.Thread(target=time.sleep, args=(99,), name='idle').start()"
    session, expected = cell(body, tmp_path, "the cell leaves a thread that runs on (idle)")
    started = time.monotonic()
    result = run_tests(session.chapter.path)
    assert (result.returncode, time.monotonic() - started < 30) == (1, True)
    assert expected in result.stdout


def test_the_limit_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("x", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("BOOK_CELL_SECONDS", given)
        with pytest.raises(SystemExit, match="BOOK_CELL_SECONDS is a number of seconds above 0, got"):
            limits.seconds()


@pytest.mark.parametrize("subject", ["transcript", "number", "definition"])
def test_in_other_places(subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_CELL_SECONDS", "0.2")
    body = {
        "transcript": "```pycon\n>>> time.sleep(9)\n```\n",
        "number": "Here is 1<!-- = time.sleep(9) -->.\n",
        "definition": fence("x = any(i for i in iter(int, 1))", 'tags=["core"] name="x"'),
    }[subject]
    item = chapter(body, imports=IMPORTS, folder=tmp_path)
    item.path.write_text(item.text, encoding="utf-8")
    session = Session(item, [])
    with session, pytest.raises(Failure) as caught:
        for _, _, check in sorted(pytest_plugin._claims(session), key=lambda claim: claim[0]):
            check()
    assert f": {LATE.replace('{SECONDS}', '0.2')}" in str(caught.value)


def test_what_comes_late_once_a_cell_has_ended_is_not_its_own(tmp_path: Path) -> None:
    """Putting things back takes time, too, and nothing may interrupt it."""
    cell = limits.Limits(tmp_path, tmp_path)
    with pytest.raises(limits.Misbehaved, match="has not ended after"), cell():
        cell._late()
    cell._late()


def test_what_a_chapter_left_may_be_cleared_while_a_later_one_runs() -> None:
    keeps = "folder = tempfile.mkdtemp()\nprint(len(folder))"
    with Session(chapter(fence(keeps), imports=IMPORTS), []) as first:
        first.run_to(len(first.chapter.cells))
        folder = first.namespace["folder"]
    clears = f"import shutil\nshutil.rmtree({folder!r}, ignore_errors=True)\nprint(1)"
    with Session(chapter(fence(clears)), []) as second:
        second.run_to(len(second.chapter.cells))
    with (
        Session(chapter(fence(f"open({folder!r}, 'w')\nprint(1)")), []) as third,
        pytest.raises(Failure) as error,
    ):
        third.run_to(len(third.chapter.cells))
    assert OUTSIDE.format(folder) in str(error.value)
