"""Run the chapters: python cells in, executed notebooks out, each from a cache that cannot be stale.

Each chapter runs in a fresh kernel, with warnings as errors, on the module of the chapters *before* it.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import os
import platform
import re
import signal
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import fields
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, v4
from traitlets.config import Config

from literate import limits
from literate.chapter import MODULE_NAME, ROOT, BookError, Cell, Chapter, Place, together
from literate.files import read_text, scratch, write_atomically
from literate.kept import across_builds, name_of
from literate.reader import data_files
from literate.run.kernels import CLIENT, ENVIRONMENT, prepare
from literate.tangle.module import Module, before, prefix
from literate.tangle.reach import Source, digest_of

T = TypeVar("T")

CACHE = ROOT / ".cache" / "chapters"
SETUP = Path(__file__).with_name("startup.py")
PACKAGES = ("numpy", "matplotlib", "ipykernel", "nbclient", "scikit-learn")
READS_DOCSTRINGS = re.compile(r"__doc__|\bhelp\(|getdoc|getsource")
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


# -- the cache ----------------------------------------------------------------


async def _run(chapters: Sequence[Chapter], cache: Path) -> dict[Path, NotebookNode]:
    free = asyncio.Semaphore(max(2, os.cpu_count() or 1))
    failures: list[BookError] = []
    entries = _entries(chapters, cache)
    found = {chapter.path: _kept(entries[chapter.path], chapter) for chapter in chapters}
    missing = [chapter for chapter in chapters if not found[chapter.path]]
    done = itertools.count(1)

    async def one(chapter: Chapter) -> None:
        async with free:
            start, what = time.monotonic(), "executed in"
            try:
                notebook = await _execute(chapter, prefix(chapters, chapter.number))
                _keep(entries[chapter.path], nbformat.writes(notebook))
            except BookError as error:
                failures.append(error)
                what = "failed after"
            seconds = time.monotonic() - start
            count = f"{next(done)} of {len(missing)}"
            print(f"{chapter.path.stem:<20}   {what} {seconds:.1f} s ({count})", flush=True)

    if missing:
        prepare()
    # The later and the longer a chapter, the longer it takes: those start first.
    missing.sort(key=lambda one: one.number * sum(len(cell.source) for cell in one.python), reverse=True)
    await asyncio.gather(*map(one, missing))
    if failures:
        raise together(sorted(failures, key=str))
    return {path: found[path] or v4.reads(read_text(entry)) for path, entry in entries.items()}


def _kept(entry: Path, chapter: Chapter) -> NotebookNode | None:
    """What the cache has under this name, if nothing has broken it."""
    with contextlib.suppress(Exception):
        notebook = v4.reads(read_text(entry))
        if len(notebook.cells) == len(chapter.python):
            return notebook
    return None


def _entries(chapters: Sequence[Chapter], cache: Path) -> dict[Path, Path]:
    """Where the cache keeps each chapter as it stands."""
    return {
        chapter.path: cache / f"{chapter.path.stem}-{_key(chapter, before(chapters, chapter.number))}.ipynb"
        for chapter in chapters
    }


def latest(chapters: Sequence[Chapter], cache: Path) -> tuple[dict[Path, NotebookNode], tuple[Path, ...]]:
    """What the cache has, at once: notebooks, and the entries that are missing.

    A cell that no kernel has run as it stands keeps the outputs of its last run, or has none.
    """
    found, missing = {}, []
    for chapter, (path, entry) in zip(chapters, _entries(chapters, cache).items(), strict=True):
        if notebook := _kept(entry, chapter):
            found[path] = notebook
            continue
        missing.append(entry)
        outputs = {}
        for old in sorted(cache.glob(f"{path.stem}-*.ipynb"), key=lambda file: file.stat().st_mtime)[-1:]:
            with contextlib.suppress(Exception):
                outputs = {cell.source: cell.outputs for cell in v4.reads(read_text(old)).cells}
        sources = [cell.source.rstrip("\n") for cell in chapter.python]
        cells = [v4.new_code_cell(source, outputs=outputs.get(source, [])) for source in sources]
        found[path] = plain(v4.new_notebook(cells=cells))
    return found, tuple(missing)


def _keep(entry: Path, text: str) -> None:
    """Put an executed chapter into the cache and drop its oldest versions."""
    write_atomically(entry, text)
    name = re.sub(r"-[0-9a-f]+$", "", entry.stem)
    others = entry.parent.glob(f"{name}-*.ipynb")
    with contextlib.suppress(FileNotFoundError):  # another build has just removed them
        for path in sorted(others, key=lambda file: file.stat().st_mtime)[:-KEPT]:
            path.unlink()


_placeless = attrgetter(*(field.name for field in fields(Cell)[1:]))  # all but the first, its place


def _seen_by(chapter: Chapter, earlier: Sequence[Chapter]) -> tuple[object, ...]:
    """What a chapter may use, more than it does: all cells until there, and its data."""
    return list(map(_cells, [*earlier, chapter])), _texts(chapter)


@functools.lru_cache(maxsize=256)
def _cells(chapter: Chapter) -> str:
    """A name for all that a chapter runs: each of the later ones asks for it."""
    return name_of(chapter.number, chapter.title, list(map(_placeless, chapter.python)))


@across_builds(_seen_by)
def _key(chapter: Chapter, earlier: Sequence[Chapter]) -> str:
    """Everything the outputs depend on, except for where the cells stand in the file."""
    cells = list(map(_placeless, chapter.python))
    versions = [platform.python_version(), *map(version, PACKAGES)]
    tools = [path for stage in ("run", "tangle") for path in sorted(SETUP.parents[1].glob(f"{stage}/*.py"))]
    sources = [read_text(path) for path in [*tools, Path(limits.__file__)]]
    run = [cell.source for cell in [*(cell for other in earlier for cell in other.core), *chapter.python]]
    source = Source(earlier, docstrings=any(map(READS_DOCSTRINGS.search, run)))
    return digest_of([cells, source.reached_by(chapter), versions, sources, _texts(chapter)])


def _texts(chapter: Chapter) -> list[str]:
    return [read_text(path) for path in data_files(chapter).values()]


# -- one kernel ---------------------------------------------------------------


async def _execute(chapter: Chapter, module: Module) -> NotebookNode:
    prepare()
    figures = any("matplotlib" in cell.source for cell in chapter.python)
    setup = f"__import__('runpy').run_path({str(SETUP)!r}, {{'figures': {figures}}});"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(setup), *map(_padded, chapter.python)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with scratch() as folder:
        module_path, neutral = Path(folder, "module", f"{MODULE_NAME}.py"), Path(folder, "cwd")
        write_atomically(module_path, module.text)
        temporary = Path(folder, "temporary")
        neutral.mkdir()
        temporary.mkdir()
        for name, path in data_files(chapter).items():
            write_atomically(neutral / name, read_text(path))
        environment = os.environ | ENVIRONMENT
        environment |= {"PYTHONPATH": str(module_path.parent), "IPYTHONDIR": str(Path(folder, "ipython"))}
        environment["TMPDIR"] = str(temporary)
        # Sockets in a folder of the kernel's own: the default ones collide when two kernels start.
        manager = {"transport": "ipc", "ip": str(Path(folder, "kernel")), "client_class": CLIENT}
        client = _Client(
            notebook,
            timeout=int(limits.seconds()) + limits.GRACE,
            coalesce_streams=True,  # how a text is cut into messages is a matter of luck
            config=Config({"KernelManager": manager}),
        )
        try:
            await client.async_execute(env=environment, cwd=str(neutral))
        except CellExecutionError:
            pass  # reported below, with its place in the book
        except CellTimeoutError:
            raise BookError(client.cell(chapter).place, f"the cell {limits.late()}") from None
        except DeadKernelError:
            raise BookError(client.cell(chapter).place, "the process ended while this cell ran") from None
        except Exception as error:  # of the machinery that the cell has broken
            what = str(error) if isinstance(error, _TooMuch) else f"breaks what runs it ({error!r:.100})"
            raise BookError(client.cell(chapter).place, f"the cell {what}") from None
        finally:
            client.end()
    if any(output.output_type == "error" for output in notebook.cells[0].outputs):
        raise RuntimeError("\n".join(map(str, notebook.cells[0].outputs)))
    del notebook.cells[0]
    for cell, executed in zip(chapter.python, notebook.cells, strict=True):
        check(chapter, cell, executed, module)
        executed.source = cell.source.rstrip("\n")
    return plain(notebook)


class _TooMuch(Exception):
    """More output than a page can hold."""


class _Client(NotebookClient):
    """Knows at which cell it is, stops a flood of output, and ends all processes of its kernel."""

    at, group, size = 0, 0, 0

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *how: Any, **more: Any) -> Any:
        self.at, self.size = cell_index, 0
        self.group = getattr(self.km and self.km.provisioner, "pid", None) or 0
        return await super().async_execute_cell(cell, cell_index, *how, **more)

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        text = msg["content"].get("text", "")
        self.size += len(text)
        if self.size > limits.OUTPUT or max(map(len, text.split("\n"))) > limits.LINE:
            raise _TooMuch(f"prints more than {limits.OUTPUT:,} characters")
        return super().process_message(msg, cell, cell_index)

    def cell(self, chapter: Chapter) -> Cell:
        return chapter.python[max(0, self.at - 1)]

    def end(self) -> None:
        if self.group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)


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
        said = error.evalue if error.ename == "Misbehaved" else f"{error.ename}: {error.evalue}"
        raise BookError(places[-1], f"{said}{trace}")
    if cell.raises and not error:
        raise BookError(cell.place, f"this cell says raises={json.dumps(cell.raises)} but raises nothing")
    if cell.alt and not any("image/svg+xml" in output.get("data", {}) for output in executed.outputs):
        raise BookError(cell.place, "this cell has alt=… but draws no figure")
    for output in executed.outputs:
        if cell.alt and output.output_type == "execute_result" and "image/svg+xml" not in output.data:
            shown = output.data["text/plain"].partition("\n")[0][:80]
            message = f"above its figure this cell shows {shown}, the value of its last line; end it with ;"
            raise BookError(cell.place, message)
        if output.output_type == "stream" and output.name == "stderr":
            raise BookError(cell.place, f"the cell writes to stderr: {output.text.strip()}")
        if len(output.get("data", ())) > 1:
            continue  # the repr beside a figure is never shown
        text = output.get("text") or output.get("data", {}).get("text/plain", "") or output.get("evalue", "")
        if what := limits.unprintable(text):
            raise BookError(cell.place, f"the cell {what}")


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


def plain(notebook: NotebookNode) -> NotebookNode:
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
