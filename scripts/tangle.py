"""Tangle the chapters' core cells into the module backprop_core.py.

python scripts/tangle.py              write the module
python scripts/tangle.py --check      say whether it is what the book says
"""

from __future__ import annotations

import argparse
import ast
import builtins
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chapter import MODULE_NAME, ROOT, BookError, Cell, Chapter, Place, defined_names, read_book
from merge import chunks
from names import used_names

MODULE = ROOT / f"{MODULE_NAME}.py"
DIGEST = "# digest "
DOCSTRING = '''\
"""Backpropagation in NumPy: the layers, losses and optimizers that the book derives.

Generated from book/*.md by scripts/tangle.py; do not edit. Each comment like
"# 04 The linear layer · linear-forward" names the chapter and the cell that the code below it comes from.

>>> rng = np.random.default_rng(0)
>>> x, labels = rng.normal(size=(30, 4)), rng.integers(3, size=30)
>>> network = Network(Linear(4, 16, rng), ReLU(), Linear(16, 3, rng))
>>> loss = CrossEntropyLoss()
>>> optimizer = SGD(network.parameters(), lr=0.5)
>>> for step in range(200):
...     value = loss(network(x), labels)
...     network.zero_grad()
...     _ = network.backward(loss.backward())
...     optimizer.step()
>>> bool(value < 0.1)
True
"""
'''


@dataclass(frozen=True)
class Module:
    """The module's text; where its lines stand in the book, by line number; the digest in its last line."""

    text: str
    places: dict[int, Place]
    digest: str


def tangle(chapters: Sequence[Chapter]) -> Module:
    """The module of these chapters."""
    lines: list[tuple[str, Place | None]] = [(line, None) for line in _header(chapters)]
    for chunk in chunks(list(chapters)):
        blank = 1 if chunk.continued else 2
        lines += [("", None)] * blank + [(chunk.comment, None), *chunk.lines]
    lines += [("", None)] * 2
    text = "".join(f"{line}\n" for line, _ in lines)
    digest = hashlib.sha256(text.encode()).hexdigest()
    places = {number: place for number, (_, place) in enumerate(lines, 1) if place}
    return Module(f"{text}{DIGEST}{digest}\n", places, digest)


def prefix(chapters: Sequence[Chapter], number: int) -> Module:
    """The module as the chapter of this number finds it: tangled from those before it."""
    return tangle([chapter for chapter in chapters if chapter.number < number])


# -- the lines above the first cell -----------------------------------------------


def _header(chapters: Sequence[Chapter]) -> list[str]:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    defined = dict.fromkeys(name for chapter in chapters for cell in chapter.core for name in defined_names(cell))
    public = [f'    "{name}",' for name in defined if not name.startswith("_")]
    return [
        *DOCSTRING.splitlines(),
        "",
        "from __future__ import annotations",
        *_imports(chapters),
        "",
        f'__version__ = "{version}"',
        "",
        "__all__ = [",
        *public,
        "]",
    ]


@dataclass(frozen=True)
class Import:
    """One name that an import cell binds."""

    module: str
    name: str | None  # None: the module itself
    alias: str | None
    place: Place

    @property
    def binds(self) -> str:
        return self.alias or self.name or self.module.partition(".")[0]

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def what(self) -> tuple[str, str | None, str | None]:
        return self.module, self.name, self.alias


def _imported(chapter: Chapter) -> dict[str, Import]:
    """What the chapter's import cell binds."""
    found = {}
    for cell in chapter.python[:1]:
        for node in ast.walk(cell.tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                place = Place(cell.place.path, cell.place.line + node.lineno - 1)
                for alias in node.names:
                    if isinstance(node, ast.Import):
                        item = Import(alias.name, None, alias.asname, place)
                    else:
                        item = Import("." * node.level + (node.module or ""), alias.name, alias.asname, place)
                    found[item.binds] = item
    return found


def _imports(chapters: Sequence[Chapter]) -> list[str]:
    """The imports that core cells need, each once: the standard library, then NumPy."""
    hoisted: dict[str, Import] = {}
    defined: dict[str, Place] = {}
    for chapter in chapters:
        imported = _imported(chapter)
        own = {name: cell.place for cell in chapter.core for name in defined_names(cell)}
        for cell in chapter.core:
            for name, line in used_names(cell).items():
                place = Place(cell.place.path, line)
                if (item := imported.get(name)) and item.module != MODULE_NAME:
                    _check_package(item, place)
                    first = hoisted.setdefault(name, item)
                    if first.what != item.what:
                        raise BookError(item.place, f"{name} is something else at {first.place}; give it another name")
                elif name in defined and name not in imported:
                    raise BookError(
                        place,
                        f"{name} is defined at {defined[name]}; "
                        f"add it to the chapter's first cell: from {MODULE_NAME} import {name}",
                    )
                elif name not in defined and name not in own and not hasattr(builtins, name):
                    raise BookError(
                        place, f"{name} is not defined: not by a core cell, not by the chapter's first cell"
                    )
        defined = own | defined
    standard = [item for item in hoisted.values() if item.package != "numpy"]
    third = [item for item in hoisted.values() if item.package == "numpy"]
    return [line for group in (standard, third) if group for line in ["", *_import_lines(group)]]


def _check_package(item: Import, place: Place) -> None:
    if item.package != "numpy" and item.package not in sys.stdlib_module_names:
        raise BookError(
            place,
            f"a core cell uses {item.binds} from {item.module}; "
            "the module needs nothing but NumPy and the standard library",
        )


def _import_lines(items: list[Import]) -> list[str]:
    plain = sorted((item.module, item.alias) for item in items if item.name is None)
    lines = [f"import {module}" + f" as {alias}" * bool(alias) for module, alias in plain]
    for module in sorted({item.module for item in items if item.name}):
        names = sorted(
            f"{item.name}" + f" as {item.alias}" * bool(item.alias)
            for item in items
            if item.name and item.module == module
        )
        lines.append(f"from {module} import {', '.join(names)}")
    return lines


# -- the file ------------------------------------------------------------------------


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Tangle the book into its module.")
    parser.add_argument("--check", action="store_true", help="exit 1 when the module is not what the book says")
    options = parser.parse_args(arguments)
    try:
        module = tangle(read_book())
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    fresh = MODULE.exists() and MODULE.read_text(encoding="utf-8") == module.text
    if options.check and not fresh:
        print(f"{MODULE.name} is out of date: run make tangle", file=sys.stderr)
        return 1
    if not fresh:
        write_atomically(MODULE, module.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
