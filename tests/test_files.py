"""Odd folders, full disks, kills and two runs at once: one clear line, nothing lost, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import build_site
import tangle as command
from literate import files
from literate.chapter import BOOK, ROOT, BookError
from literate.prove.numbers import check_typed
from literate.reader import book_files, parse_chapter
from literate.run import kernels
from literate.tangle import module
from tests.books import chapter_text, write_book

DEAD = 2**22 + 1  # more than Linux gives to a process


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book and its module."""
    monkeypatch.setattr("equations.text.Place.base", tmp_path)
    write_book(tmp_path / "book")
    assert run(tmp_path) == 0
    return tmp_path


def run(tree: Path, *arguments: str) -> int:
    return command.main(list(arguments), tree / "book", tree / "m.py")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def nowhere(path: Path) -> None:
    path.symlink_to("nothing/at/all")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (fifo, "not a file, but a pipe, a socket or a device"),
    "a device": (device, "not a file, but a pipe, a socket or a device"),
    "a folder": (Path.mkdir, "Is a directory"),
    "a loop": (loop, "Too many levels of symbolic links"),
    "a link to nothing": (nowhere, "a link that leads nowhere"),
    "a large file": (
        lambda path: path.write_text("x" * 10**7 + "x"),
        "a file of 10,000,001 bytes, at most 10,000,000",
    ),
    "no text": (
        lambda path: path.write_bytes(b"---\r\n\r\r\xe9"),
        "not UTF-8 (unexpected end of data at byte 7)",
    ),
}


@pytest.mark.parametrize("arguments", [(), ("--check",), ("--untangle",), ("--where", "1"), ("--upto", "1")])
@pytest.mark.parametrize(("make", "message"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", ["book/02-two.md", "book/index.md", "m.py"])
def test_odd_files(
    name: str,
    make: Callable[[Path], object],
    message: str,
    arguments: tuple[str, ...],
    tree: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name == "m.py" and "--upto" in arguments:
        return  # it does not look at the module
    (tree / name).unlink()
    make(tree / name)
    assert run(tree, *arguments) == 1
    said = capsys.readouterr().err
    line = ":4" if "UTF-8" in message else ""
    assert said.startswith(f"{name}{line}: {message}") and said.count("\n") == 1


PROJECTS = {
    "no TOML": ("[project\n", ":1: not TOML: "),
    "no version": ("[project]\n", ': it needs a version, as in [project] version = "1.0"'),
    "a number": ("[project]\nversion = 1", ": it needs a version"),
    "code": ("[project]\nversion = '1\"; import os'", ": it needs a version"),
    "a list": ("project = []", ": it needs a version"),
}


@pytest.mark.parametrize(("text", "message"), PROJECTS.values(), ids=PROJECTS)
def test_odd_projects(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(BookError) as caught:
        module._version(path)
    assert str(caught.value).startswith(f"{path}{message}")


FAILURES = [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO]


@pytest.mark.parametrize("number", FAILURES)
@pytest.mark.parametrize("where", ["write_bytes", "replace"])
def test_a_disk_that_fails(
    number: int, where: str, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(tree)
    before = contents(tree)

    def fail(self: Path, data: object) -> None:
        if where == "write_bytes":
            self.touch()
        raise OSError(number, os.strerror(number), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, where, fail)
        assert run(tree, "--untangle") == 1
    said = capsys.readouterr().err
    assert os.strerror(number) in said and "nothing was changed" in said and said.count("\n") == 1
    assert contents(tree) == before
    assert run(tree, "--untangle") == 0


def edit(tree: Path) -> None:
    """Change a cell of both chapters in the module."""
    path = tree / "m.py"
    path.write_text(
        path.read_text().replace("return 2 * x", "return x * 2").replace("return 2 * g", "return g * 2")
    )


def contents(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()
    }


MORTAL = """
import os, signal, sys
from pathlib import Path
import tangle
left = 0
def dying(change):
    def changed(*arguments, **options):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments, **options)
    return changed
for name in ("write_bytes", "replace", "unlink"):
    setattr(Path, name, dying(getattr(Path, name)))
for line in sys.stdin:
    if not os.fork():
        left, sys.stdout = int(line), sys.stderr
        sys.exit(tangle.main(["--untangle"], Path("book"), Path("m.py")))
    print(os.wait()[1], flush=True)
"""


@contextlib.contextmanager
def mortal(tree: Path) -> Iterator[Callable[[int], int]]:
    """--untangle, killed before it changes the folder for the ``at``-th time: how it ended."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", MORTAL]
    with subprocess.Popen(command, cwd=tree, env=environment, stdin=pipe, stdout=pipe, text=True) as process:

        def killed(at: int) -> int:
            assert process.stdin and process.stdout
            print(at, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield killed


def test_untangle_killed_anywhere_is_ended_by_the_next_run(tree: Path) -> None:
    original = contents(tree)
    edit(tree)
    edited = contents(tree)
    assert run(tree, "--untangle") == 0
    done = contents(tree)
    with mortal(tree) as killed:
        for at in itertools.count(1):
            for name in contents(tree):
                (tree / name).unlink()
            for name, data in edited.items():
                (tree / name).write_bytes(data)
            status = killed(at)
            if not status:
                break
            assert status == signal.SIGKILL
            assert run(tree, "--untangle") == 0
            assert contents(tree) == done, f"killed before change {at}"
    assert at > 8 and set(done) == set(original)


def test_an_edit_after_the_kill_is_not_overwritten(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(tree)
    plan = {tree / "book" / "01-one.md": "new", tree / "m.py": "new"}
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        files.write_all(plan, tree / ".m.py.journal")
    (tree / "book" / "01-one.md").write_text("mine")
    assert run(tree, "--untangle") == 1
    assert capsys.readouterr().err == (
        "book/01-one.md: it was changed after --untangle had been interrupted, which left "
        "book/.01-one.md.staged; keep one of the two as 01-one.md, remove the other, and .m.py.journal\n"
    )
    assert (tree / "book" / "01-one.md").read_text() == "mine"


def test_what_killed_runs_left_is_removed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.tempfile, "tempdir", str(tree))
    left = [tree / f".m.py.{DEAD}.new", tree / f"book-{DEAD}-abc"]
    kept = [tree / f".m.py.{os.getppid()}.new", tree / f"book-{os.getppid()}-abc", tree / "book-notes"]
    left[0].touch()
    left[1].mkdir()
    for path in kept:
        path.touch()
    assert run(tree) == 0
    assert [path.exists() for path in left + kept] == [False] * 2 + [True] * 3
    with files.scratch() as folder:
        assert folder.name.startswith(f"book-{os.getpid()}-")
    assert not folder.exists()


def test_one_run_at_a_time(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with files.alone(tree, "x"):
        assert run(tree, "--untangle") == 1
        assert run(tree, "--check") == 0
    assert capsys.readouterr().err == (
        ".: another run of scripts/tangle.py is running here; wait until it has ended, or stop it\n"
    )
    assert run(tree, "--untangle") == 0


def test_one_build_at_a_time(tree: Path) -> None:
    with files.alone(tree / ".cache", "x"), pytest.raises(BookError) as caught:
        build_site.build(tree / "book", tree / "site")
    assert str(caught.value) == (
        ".cache: another build of the site is running here; wait until it has ended, or stop it"
    )


def test_a_killed_run_leaves_no_lock(tree: Path) -> None:
    code = f"""
import time
from pathlib import Path
from literate.files import alone
with alone(Path({str(tree)!r}), "x"):
    print(1, flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"1\n"
        assert run(tree) == 1
        process.kill()
    assert run(tree) == 0


# -- how a program ends ---------------------------------------------------------------------

ENDS = {  # what it does, where its output goes, its status, what it says on stderr
    "nobody listens": ("print('x' * 10**6)", "| true", 1, ""),
    "nobody can": ("os.dup(1)", ">&- 2>&- <&-", 0, ""),
    "its output has no room": ("print('x')", "> /dev/full", 1, "standard output: No space left on device\n"),
    "a file is not there": ("open('no/x')", "", 1, "no/x: No such file or directory\n"),
    "signs that the terminal has not": ("print('δ → 🙂')", "| grep -c δ", 0, ""),
    "Ctrl-C": ("raise KeyboardInterrupt", "", 130, ""),
    "Ctrl-C while it is imported": ("0\nraise KeyboardInterrupt", "", 130, ""),
}


@pytest.mark.parametrize(("body", "output", "status", "said"), ENDS.values(), ids=ENDS)
def test_a_program_ends_without_a_traceback(body: str, output: str, status: int, said: str) -> None:
    code = f"import os\nfrom literate.files import command\ndef main():\n    {body}\ncommand(main)"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "PYTHONIOENCODING": "ascii"}
    shell = ["bash", "-c", f'"$0" -c "$1" {output}; exit ${{PIPESTATUS[0]}}', sys.executable, code]
    ran = subprocess.run(shell, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (status, said)


def test_a_folder_whose_name_is_too_long_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.tempfile, "tempdir", "/tmp/" + "x" * 60)
    with pytest.raises(BookError, match="too long a path for the kernels' sockets"):
        kernels.prepare.__wrapped__()


def test_the_folder_in_which_it_begins_may_be_gone(tmp_path: Path) -> None:
    shell = [
        "bash",
        "-c",
        'rmdir "$PWD"; exec "$0" "$1" --check',
        sys.executable,
        str(ROOT / "scripts/tangle.py"),
    ]
    assert subprocess.run(shell, cwd=tmp_path, capture_output=True, check=False).returncode == 0


# -- time ---------------------------------------------------------------------------------

PIECES = [
    "a",
    "0",
    "_",
    " ",
    "#",
    "-",
    "`",
    "$",
    "|",
    "<",
    ">",
    "[",
    "(",
    "](",
    "<!--",
    "<!-- = ",
    "-->",
    "$$",
    "{",
    "}",
]
PIECES += [
    "@eq:a-",
    "-a",
    "](](",
    "1.",
    "1e-",
    "0.5 ",
    "~",
    "*",
    "\\",
    "<b ",
    "a=",
    '"',
    "[^",
    "| ",
    ":-",
    "x<!-- = x -->",
    "é",
    "🙂",
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(book_files()), st.data())
def test_any_line_is_read_in_no_time(path: Path, data: st.DataObject) -> None:
    """Nothing but a chapter or a BookError with a line, within seconds of work."""
    lines = path.read_text(encoding="utf-8").split("\n")
    draw = data.draw
    for _ in range(draw(st.integers(1, 30))):
        pieces = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3))
        length = draw(st.sampled_from([100_000, 5_000, 4_900, 1_000]))
        start = draw(st.sampled_from(["", "# ", "| ", "$$", "```python "]))
        text = (start + "".join(pieces) * length)[:length]
        lines.insert(draw(st.integers(9, len(lines))), text)
    started = time.process_time()
    try:
        check_typed(parse_chapter.__wrapped__("\n".join(lines), path))
    except BookError as error:
        assert f"book/{path.name}:" in str(error)
    assert time.process_time() - started < 3  # quadratic reading takes minutes


@pytest.mark.parametrize("piece", PIECES)
def test_a_chapter_of_long_lines_is_read_in_no_time(piece: str) -> None:
    line = (piece * 5000)[:4999]
    started = time.process_time()
    try:
        check_typed(parse_chapter(chapter_text("\n\n".join([line] * 5)), BOOK / "01-sample.md"))
    except BookError as error:
        assert "book/01-sample.md:" in str(error)
    assert time.process_time() - started < 0.75  # quadratic reading takes many times as long
