"""How long the book takes: to build, to test, to check; and how that grows with its chapters.

python benchmarks/book.py            the two commands and their parts, on a fresh clone
python benchmarks/book.py --growth   the same work with 1, 2 and 4 times the chapters

Seconds say as much about the machine as about the book: measure on an idle one and compare with its own past.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from literate.chapter import BOOK, LABEL, MODULE_NAME, ROOT, Chapter, defined_names
from literate.reader import read_book

PYTHON = sys.executable
SENTENCE = ("book/04-linear.md", "A neuron takes a weighted sum.", "A neuron takes one weighted sum.")
EQUATION = ("book/04-linear.md", "\nY = XW + b\n", "\nY = (XW) + b\n")
CELL = ("book/22-beyond.md", "    return y\n```", "    return (y)\n```")  # in the last core cell that has it


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print wall-clock and processor seconds, those of child processes included."""
    start, before = time.perf_counter(), _cpu()
    yield
    print(f"{what:<44} {time.perf_counter() - start:7.1f} s {_cpu() - before:8.1f} CPU-s", flush=True)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


@contextmanager
def clone() -> Iterator[Path]:
    """A fresh clone that uses this tree's installed packages: setting up is counted apart."""
    with tempfile.TemporaryDirectory() as folder:
        run(ROOT, "git", "clone", "--quiet", str(ROOT), folder)
        for name in (".venv", "node_modules"):
            (Path(folder) / name).symlink_to(ROOT / name)
        yield Path(folder)


def change(folder: Path, edit: tuple[str, str, str]) -> None:
    file, old, new = edit
    path = folder / file
    text = path.read_text(encoding="utf-8")
    before, found, after = text.rpartition(old)
    if not found:
        raise SystemExit(f"{file} does not contain {old!r}: change it in benchmarks/book.py")
    path.write_text(before + new + after, encoding="utf-8")


def commands() -> None:
    """The table of the two commands."""
    site = (PYTHON, "scripts/build_site.py")
    tests = (PYTHON, "-m", "pytest", "-q", "-n", "auto", "--maxprocesses", "8", "--dist", "loadfile")
    with clone() as folder:
        with measured("make site, cold"):
            printed = run(folder, *site)
        for name, seconds in sorted(re.findall(r"^(\S+) +executed in ([\d.]+)", printed, re.M)):
            print(f"    {name:<40} {float(seconds):7.1f} s")
        with measured("make site, nothing changed"):
            run(folder, *site)
        for what, edit in (
            ("one sentence", SENTENCE),
            ("one equation", EQUATION),
            ("a late core cell", CELL),
        ):
            change(folder, edit)
            run(folder, PYTHON, "scripts/tangle.py")
            with measured(f"make site, {what} changed"):
                run(folder, *site)
    with clone() as folder:
        with measured("check of all equations"):
            run(folder, PYTHON, "scripts/check_equations.py")
        with measured("all LaTeX mutants"):
            run(folder, PYTHON, "scripts/check_equations.py", "--mutants")
        with measured("pytest book/04-linear.md"):
            run(folder, PYTHON, "-m", "pytest", "-q", "book/04-linear.md")
        with measured("make test"):
            run(folder, *tests)


def growth() -> None:
    """The same work on copies of the chapters."""
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, 2, 4):
            book = Path(folder, f"book-{times}", "book")
            copies(book, times)
            print(f"{times} × the chapters")
            for what, work in WORK.items():
                with measured(f"    {what}"):
                    run(book.parent, PYTHON, "-c", f"{PRELUDE}{work}")


PRELUDE = f"""
import sys; sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from literate.reader import read_book
from literate.tangle.module import prefix, tangle
chapters = read_book(Path("book"))
"""
WORK = {
    "read": "",
    "and tangle each prefix": "[prefix(chapters, chapter.number) for chapter in chapters]",
    "and collect the tests": "import pytest; pytest.main(['--collect-only', '-q', 'book', '-p', "
    "'literate.prove.pytest_plugin', '-p', 'no:cacheprovider', '--import-mode=importlib'])",
    "and check the equations": "from literate.weave.marks import checks; checks(chapters, Path('cache'))",
}


def copies(folder: Path, times: int) -> None:
    """The chapters, and then copies of them that import what the originals define."""
    shutil.copytree(BOOK, folder)
    chapters = [chapter for chapter in read_book() if chapter.number]
    for turn in range(1, times):
        for chapter in chapters:
            number = chapter.number + turn * len(chapters)
            name = f"{number:02}{chapter.path.name[2:]}"
            (folder / name).write_text(copy(chapter, turn), encoding="utf-8")


def copy(chapter: Chapter, turn: int) -> str:
    lines = chapter.text.split("\n")
    for cell in reversed(chapter.cells):
        start, end = cell.place.line - 2, cell.place.line + cell.source.count("\n")
        if cell.tag == "core":
            del lines[start:end]
        elif cell.name:
            lines[start] = lines[start].replace(f'name="{cell.name}"', f'name="{cell.name}-{turn}"')
        elif cell is chapter.python[0]:
            names = sorted({name for core in chapter.core for name in defined_names(core)})
            imports = [f"from {MODULE_NAME} import {name}" for name in names]
            lines[end - 1 : end - 1] = imports
    lines += [f"@{display.label}" for display in chapter.displays if display.label]  # core cells named them
    return re.sub(rf"({LABEL})", rf"\1-copy{turn}", "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--growth", action="store_true", help="copies of the chapters instead of commands")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    what: Callable[[], None] = growth if options.growth else commands
    what()


if __name__ == "__main__":
    main()
