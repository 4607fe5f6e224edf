"""The core cells of the chapters as one module."""

import contextlib
import functools
import hashlib
import re
import sys
import textwrap
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from literate.chapter import MODULE_NAME, ROOT, WIDTH, BookError, Chapter, Place, defined_names
from literate.files import read_toml
from literate.kept import across_builds

from .imports import import_lines
from .merge import Chunk, chunks

DIGEST = "# digest "
DOCSTRING = f'''\
"""Backpropagation in NumPy: the layers, losses and optimizers that the book derives.

Generated from book/*.md by scripts/tangle.py; edit the book, not this file. A comment
like "04 The linear layer · linear-forward" names the chapter and the cell that follow.

>>> import numpy as np
>>> from {MODULE_NAME} import SGD, CrossEntropyLoss, Linear, Network, ReLU
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(60, 4))
>>> labels = x[:, :3].argmax(axis=1)
>>> net = Network(
...     Linear(4, 16, rng=rng), ReLU(), Linear(16, 3, rng=rng),
...     loss=CrossEntropyLoss(),
... )
>>> optimizer = SGD(net.parameters(), lr=0.5)
>>> for step in range(200):
...     loss = net.loss(x, labels)
...     net.zero_grad()
...     grad = net.backward()
...     optimizer.step()
>>> loss < 0.05
True
"""
'''


@dataclass(frozen=True)
class Module:
    """The module's text, the book's line for each of its lines that has one, the digest in its last line."""

    text: str
    places: dict[int, Place]
    digest: str

    def namespace(self) -> dict[str, Any]:
        try:
            return namespace_of(self.text)
        except Exception as error:
            file = f"{MODULE_NAME}.py"
            frames = traceback.extract_tb(error.__traceback__)
            places = [self.places.get(one.lineno or 0) for one in frames if one.filename == file]
            place = next(filter(None, reversed(places)), ROOT / file)
            raise BookError(place, f"{type(error).__name__}: {error}") from None


def namespace_of(text: str) -> dict[str, Any]:
    """What a module of this text defines."""
    module = ModuleType(MODULE_NAME)
    with importable(module):
        exec(_compiled(text), vars(module))
    return vars(module)


@contextlib.contextmanager
def importable(module: ModuleType) -> Iterator[None]:
    """An import finds this module under its name, and so do dataclasses and pickle."""
    name = module.__name__
    before, sys.modules[name] = sys.modules.get(name), module
    try:
        yield
    finally:
        del sys.modules[name]
        if before:
            sys.modules[name] = before


@functools.lru_cache(maxsize=8)
def _compiled(text: str) -> CodeType:
    return compile(text, f"{MODULE_NAME}.py", "exec")


def tangle(chapters: Sequence[Chapter]) -> Module:
    """The module of these chapters."""
    return _tangle(tuple(chapters))


@functools.lru_cache(maxsize=64)
@across_builds(lambda chapters: [(one.number, one.title, str(one.path), one.python) for one in chapters])
def _tangle(chapters: tuple[Chapter, ...]) -> Module:
    pieces = chunks(chapters)
    lines = _header(chapters, pieces)
    places: dict[int, Place] = {}
    for chunk in pieces:
        lines += [""] * chunk.blank + [chunk.comment]
        for line, text in enumerate(chunk.lines, chunk.first):
            lines.append(text)
            places[len(lines)] = Place(chunk.cell.place.path, line)
    text = "\n".join([*lines, "", "", ""])
    digest = digest_of(text)
    return Module(f"{text}{DIGEST}{digest}\n", places, digest)


def before(chapters: Sequence[Chapter], number: int) -> list[Chapter]:
    return [chapter for chapter in chapters if chapter.number < number]


def prefix(chapters: Sequence[Chapter], number: int) -> Module:
    """The module as the chapter of this number finds it: tangled from the chapters before it."""
    return tangle(before(chapters, number))


def _header(chapters: Sequence[Chapter], pieces: Sequence[Chunk]) -> list[str]:
    version = _version(ROOT / "pyproject.toml")
    names = [name for chunk in pieces if not chunk.continues for name in defined_names(chunk.cell)]
    public = " ".join(f'"{name}",' for name in names if not name.startswith("_"))
    return [
        *DOCSTRING.splitlines(),
        "",
        "from __future__ import annotations",
        *import_lines(chapters),
        "",
        f'__version__ = "{version}"',
        "",
        "__all__ = [",
        *textwrap.wrap(public, WIDTH, initial_indent="    ", subsequent_indent="    "),
        "]",
    ]


def _version(path: Path) -> str:
    with contextlib.suppress(KeyError, TypeError):
        version = read_toml(path)["project"]["version"]
        if re.fullmatch(r"[\w.+!-]+", version):
            return str(version)
    raise BookError(path, 'it needs a version, as in [project] version = "1.0"')


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
