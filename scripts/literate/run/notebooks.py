"""Run the chapters: python cells in, executed notebooks out, each from a cache that cannot be stale.

Each chapter runs in a fresh kernel, with warnings as errors, on the module of the chapters *before* it.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, v4
from traitlets.config import Config

from literate.chapter import MODULE_NAME, ROOT, BookError, Cell, Chapter, Place
from literate.files import write_atomically
from literate.reader import book_files
from literate.run.kernels import ENVIRONMENT, prepare
from literate.tangle.module import Module, prefix

T = TypeVar("T")

CACHE = ROOT / ".cache" / "chapters"
SETUP = Path(__file__).with_name("startup.py")
PACKAGES = ("numpy", "matplotlib", "ipykernel", "nbclient", "scikit-learn")
CELL_SECONDS = 600
KEPT = 5  # executed versions of a chapter that stay in the cache


def run(chapters: Sequence[Chapter], cache: Path = CACHE) -> dict[Path, NotebookNode]:
    """The executed notebooks, in the order of the chapters. What succeeds is cached, whatever fails."""
    return _await(_run(chapters, cache))


def execute(chapter: Chapter, module: Module) -> NotebookNode:
    """Run one chapter on ``module``, whatever the cache says."""
    return _await(_execute(chapter, module))


class _Loop(asyncio.SelectorEventLoop):
    """Keeps nbclient from taking over Ctrl-C, which would then stop one kernel and not the build."""

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        raise RuntimeError


def _await(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


def differences(chapter: Chapter, first: NotebookNode, second: NotebookNode) -> Iterator[str]:
    """Where two executions of a chapter show different outputs."""
    for cell, a, b in zip(chapter.python, first.cells, second.cells, strict=True):
        if a.outputs != b.outputs:
            yield f"{cell.place}: the outputs differ:\n{_summary(a)}\n--- and ---\n{_summary(b)}"


def _summary(cell: NotebookNode) -> str:
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(text.rstrip() for text in texts)


# -- the cache ----------------------------------------------------------------


async def _run(chapters: Sequence[Chapter], cache: Path) -> dict[Path, NotebookNode]:
    free = asyncio.Semaphore(max(2, os.cpu_count() or 1))
    failures: list[BookError] = []
    modules = {chapter.path: prefix(chapters, chapter.number) for chapter in chapters}
    entries = {c.path: cache / f"{c.path.stem}-{_key(c, modules[c.path])}.ipynb" for c in chapters}
    missing = [chapter for chapter in chapters if not entries[chapter.path].exists()]
    done = itertools.count(1)

    async def one(chapter: Chapter) -> None:
        async with free:
            start, what = time.monotonic(), "executed in"
            try:
                notebook = await _execute(chapter, modules[chapter.path])
                _keep(entries[chapter.path], nbformat.writes(notebook))
            except BookError as error:
                failures.append(error)
                what = "failed after"
            seconds = time.monotonic() - start
            count = f"{next(done)} of {len(missing)}"
            print(f"{chapter.path.stem:<20}   {what} {seconds:.1f} s ({count})", flush=True)

    if missing:
        prepare()
    await asyncio.gather(*map(one, sorted(missing, key=_work, reverse=True)))
    if failures:
        failures.sort(key=str)
        failures[0].args = ("\n".join(map(str, failures)),)
        raise failures[0]
    return {path: nbformat.read(entry, as_version=4) for path, entry in entries.items()}


def _work(chapter: Chapter) -> int:
    """About how long a chapter takes: the later and the longer, the more. The longest start first."""
    return chapter.number * sum(len(cell.source) for cell in chapter.python)


def _keep(entry: Path, text: str) -> None:
    """Put an executed chapter into the cache and drop its oldest versions."""
    write_atomically(entry, text)
    name = re.sub(r"-[0-9a-f]+$", "", entry.stem)
    old = sorted(entry.parent.glob(f"{name}-*.ipynb"), key=lambda path: path.stat().st_mtime)[:-KEPT]
    for path in old:
        path.unlink(missing_ok=True)


def _key(chapter: Chapter, module: Module) -> str:
    """Everything the outputs depend on, except for where the cells stand in the file."""
    cells = [astuple(cell)[1:] for cell in chapter.python]
    versions = [platform.python_version(), *map(version, PACKAGES)]
    texts = [path.read_text(encoding="utf-8") for path in _corpus(chapter)]
    sources = [path.read_text(encoding="utf-8") for path in sorted(SETUP.parent.glob("*.py"))]
    parts = [cells, module.text, versions, sources, texts]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _corpus(chapter: Chapter) -> list[Path]:
    """The chapters before this one, if it reads them as a text: it finds them in a folder "book"."""
    if not any('Path("book")' in cell.source for cell in chapter.python):
        return []
    return [path for path in book_files(chapter.path.parent) if path.name < chapter.path.name]


# -- one kernel ---------------------------------------------------------------


async def _execute(chapter: Chapter, module: Module) -> NotebookNode:
    prepare()
    figures = any("matplotlib" in cell.source for cell in chapter.python)
    setup = f"__import__('runpy').run_path({str(SETUP)!r}, {{'figures': {figures}}});"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(setup), *map(_padded, chapter.python)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        module_path, neutral = Path(folder, "module", f"{MODULE_NAME}.py"), Path(folder, "cwd")
        write_atomically(module_path, module.text)
        neutral.mkdir()
        for path in _corpus(chapter):
            write_atomically(neutral / "book" / path.name, path.read_text(encoding="utf-8"))
        environment = os.environ | ENVIRONMENT
        environment |= {"PYTHONPATH": str(module_path.parent), "IPYTHONDIR": str(Path(folder, "ipython"))}
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            coalesce_streams=True,  # how a text is cut into messages is a matter of luck
            # Sockets in a folder of the kernel's own: the default ones collide when two kernels start.
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder, "kernel"))}}),
        )
        try:
            await client.async_execute(env=environment, cwd=str(neutral))
        except CellExecutionError:
            pass  # reported below, with its place in the book
        except (CellTimeoutError, DeadKernelError) as error:
            cell = chapter.python[max(0, client.code_cells_executed - 1)]
            raise BookError(cell.place, str(error).strip().splitlines()[0]) from None
    if any(output.output_type == "error" for output in notebook.cells[0].outputs):
        raise RuntimeError("\n".join(map(str, notebook.cells[0].outputs)))
    del notebook.cells[0]
    for cell, executed in zip(chapter.python, notebook.cells, strict=True):
        check(chapter, cell, executed, module)
        executed.source = cell.source.rstrip("\n")
    return _plain(notebook)


def _padded(cell: Cell) -> NotebookNode:
    """The cell as Jupyter runs it: moved down, so that the lines of its traceback are those of the book."""
    padded = v4.new_code_cell("#\n" * (cell.place.line - 1) + cell.source)
    padded.metadata.tags = ["raises-exception"] if cell.raises else []
    return padded


def check(chapter: Chapter, cell: Cell, executed: NotebookNode, module: Module) -> None:
    """Refuse what a cell of the book must not raise or print."""
    error = next((output for output in executed.outputs if output.output_type == "error"), None)
    if error and error.ename != cell.raises:
        frames = list(_frames(error.traceback, chapter, module))
        places = [place for place in frames if place.path == chapter.path] or [cell.place]
        trace = "".join(f"\n  {place}: {_line(place)}" for place in frames)
        raise BookError(places[-1], f"{error.ename}: {error.evalue}{trace}")
    if cell.raises and not error:
        raise BookError(cell.place, f"this cell says raises={json.dumps(cell.raises)} but raises nothing")
    if cell.alt and not any("image/svg+xml" in output.get("data", {}) for output in executed.outputs):
        raise BookError(cell.place, "this cell has alt=… but draws no figure")
    for output in executed.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            raise BookError(cell.place, f"the cell writes to stderr: {output.text.strip()}")
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if address := re.search(r"<.* at 0x[0-9a-f]+>", text):
            if "data" in output and len(output.data) > 1:
                continue  # the repr beside a figure is never shown
            raise BookError(cell.place, f"an address in the output changes with every run: {address[0]}")


def _frames(traceback: list[str], chapter: Chapter, module: Module) -> Iterator[Place]:
    """The lines of the book that a traceback passes through, outermost first."""
    for frame in traceback:
        filename, _, line = frame.partition("\n")
        if "ipykernel_" in filename:
            yield chapter.place(int(line))
        elif Path(filename).name == f"{MODULE_NAME}.py" and int(line) in module.places:
            yield module.places[int(line)]


def _line(place: Place) -> str:
    return place.path.read_text(encoding="utf-8").split("\n")[place.line - 1].strip()


def _plain(notebook: NotebookNode) -> NotebookNode:
    """Without times, random ids and machine paths: the same chapter gives the same file."""
    notebook.metadata.pop("language_info", None)
    for number, cell in enumerate(notebook.cells, 1):
        cell.update(id=f"cell-{number}", metadata={}, execution_count=number)
        for output in cell.outputs:
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
            if "execution_count" in output:
                output.execution_count = number
            if "data" in output and len(output.data) > 1:
                output.data.pop("text/plain", None)
    return notebook
