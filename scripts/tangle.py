"""Tangle the core cells of the chapters into the module backprop_core.py.

python scripts/tangle.py               write the module; refuses to overwrite one that was edited by hand
python scripts/tangle.py --check       exit 1 when the module is not what the book says
python scripts/tangle.py --where 212   the line of the book that line 212 of the module comes from
python scripts/tangle.py --upto 4      print the module of the chapters up to and including 4
python scripts/tangle.py --untangle    carry edits made in the module back into the chapters
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from chapter import BOOK, MODULE_NAME, ROOT, BookError, Chapter, Place, defined_names, read_book, shown_path
from imports import import_lines
from merge import Chunk, chunks
from untangle import untangle

MODULE = ROOT / f"{MODULE_NAME}.py"
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


class Refused(Exception):
    """Something about the module that only its owner can decide."""


def tangle(chapters: Sequence[Chapter]) -> Module:
    """The module of these chapters."""
    pieces = chunks(chapters)
    lines = _header(chapters, pieces)
    places: dict[int, Place] = {}
    for chunk in pieces:
        lines += [""] * chunk.blank + [chunk.comment]
        for line, text in enumerate(chunk.lines, chunk.first):
            lines.append(text)
            places[len(lines)] = Place(chunk.cell.place.path, line)
    text = "\n".join([*lines, "", "", ""])
    digest = _digest(text)
    return Module(f"{text}{DIGEST}{digest}\n", places, digest)


def prefix(chapters: Sequence[Chapter], number: int) -> Module:
    """The module as the chapter of this number finds it: tangled from the chapters before it."""
    return tangle([chapter for chapter in chapters if chapter.number < number])


def _header(chapters: Sequence[Chapter], pieces: Sequence[Chunk]) -> list[str]:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    names = [name for chunk in pieces if not chunk.continues for name in defined_names(chunk.cell)]
    return [
        *DOCSTRING.splitlines(),
        "",
        "from __future__ import annotations",
        *import_lines(chapters),
        "",
        f'__version__ = "{version}"',
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in names if not name.startswith("_")),
        "]",
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# -- the file -------------------------------------------------------------------


def write_atomically(path: Path, text: str) -> None:
    """Write all of the file or nothing."""
    path = path.resolve()
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(text.encode())
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def edited(text: str) -> bool:
    """Whether somebody changed the module since it was written."""
    above, _, digest = text.rpartition(DIGEST)
    return digest != f"{_digest(above)}\n"


def complaint(path: Path, text: str, module: Module) -> str:
    """How the file at ``path``, which holds ``text``, differs from the module, and what to do."""
    name = shown_path(path)
    pairs = zip_longest(text.split("\n"), module.text.split("\n"))
    line = next(number for number, (old, new) in enumerate(pairs, 1) if old != new)
    place = module.places.get(line) or module.places.get(line - 1)
    if not edited(text):
        return f"{name} is out of date (line {line}, {place or 'its header'}); write it with make tangle"
    source = f"its source is {place}" if place else "it comes from no cell of the book"
    return (
        f"{name}:{line} was edited; {source}\n"
        "carry the edit into the book:  python scripts/tangle.py --untangle\n"
        f"or discard it:                 git checkout {name}"
    )


def write(path: Path, module: Module) -> None:
    """Write the module unless the file is the same already; never over somebody's edit."""
    text = _read(path)
    if text != module.text:
        if text is not None and edited(text):
            raise Refused(complaint(path, text, module))
        write_atomically(path, module.text)


def check(path: Path, module: Module) -> None:
    text = _read(path)
    if text is None:
        raise Refused(f"{shown_path(path)} does not exist; write it with make tangle")
    if text != module.text:
        raise Refused(complaint(path, text, module))


def where(path: Path, module: Module, line: int) -> str:
    check(path, module)
    if not 0 < line <= module.text.count("\n"):
        raise Refused(f"{shown_path(path)} has no line {line}")
    return str(module.places.get(line) or f"{shown_path(path)}:{line} comes from no cell of the book")


def carry_back(path: Path, chapters: Sequence[Chapter]) -> list[Path]:
    """Write the edits of the file into the chapters. Return those that changed."""
    module, text = tangle(chapters), _read(path)
    if text is None or not edited(text):
        return []
    above, _, digest = text.rpartition(DIGEST)
    if digest != f"{module.digest}\n":
        raise Refused(
            f"{shown_path(path)} was edited, and since it was written the book has changed too (or its last "
            "line is gone); undo one of the two, git diff shows them"
        )
    after = untangle(path, above, chapters)
    again = tangle(after)
    if not again.text.startswith(above + DIGEST):
        pairs = zip_longest(above.split("\n"), again.text.split("\n"))
        line, got = next((line, got) for line, (old, got) in enumerate(pairs, 1) if old != got)
        raise Refused(f"{shown_path(path)}:{line} comes from no cell; from the book this line is {got!r}")
    changed = [new for old, new in zip(chapters, after, strict=True) if new is not old]
    for chapter in changed:
        write_atomically(chapter.path, chapter.text)
    write_atomically(path, again.text)
    return [chapter.path for chapter in changed]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else None
    except UnicodeDecodeError:
        raise Refused(
            f"{shown_path(path)} was edited and is no longer UTF-8; git checkout {shown_path(path)}"
        ) from None


# -- the command ------------------------------------------------------------------


def main(arguments: list[str] | None = None, book: Path = BOOK, path: Path = MODULE) -> int:
    parser = argparse.ArgumentParser(description=f"Tangle the book into {MODULE_NAME}.py.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="exit 1 when the module is not what the book says")
    what.add_argument(
        "--where", type=int, metavar="LINE", help="the line of the book for a line of the module"
    )
    what.add_argument(
        "--upto", type=int, metavar="N", help="print the module of the chapters up to and including number N"
    )
    what.add_argument(
        "--untangle", action="store_true", help="carry edits of the module back into the chapters"
    )
    options = parser.parse_args(arguments)
    try:
        chapters = read_book(book)
        if options.check:
            check(path, tangle(chapters))
        elif options.where is not None:
            print(where(path, tangle(chapters), options.where))
        elif options.upto is not None:
            print(prefix(chapters, options.upto + 1).text, end="")
        elif options.untangle:
            for changed in carry_back(path, chapters):
                print(f"changed {shown_path(changed)}")
        else:
            write(path, tangle(chapters))
    except (BookError, Refused) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
