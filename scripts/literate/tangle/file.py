"""The module's file: written from the book, never over somebody's edit, and carried back into it."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from literate.chapter import BookError, Chapter, shown_path
from literate.files import alone, finish, read_text, sweep, write_all, write_atomically
from literate.reader import book_files

from .module import DIGEST, Module, digest_of, tangle
from .untangle import untangle


class Refused(Exception):
    """Something about the module that only its owner can decide."""


def edited(text: str) -> bool:
    """Whether somebody changed the module since it was written."""
    above, _, digest = text.rpartition(DIGEST)
    return digest != f"{digest_of(above)}\n"


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
        "carry the edit into the book:  .venv/bin/python scripts/tangle.py --untangle\n"
        f"or discard it:                 git checkout {name}"
    )


def write(path: Path, module: Module) -> None:
    """Write the module unless the file is the same already; never over somebody's edit."""
    text = _read(path)
    sweep(path.parent)
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
    if line in module.places:
        return str(module.places[line])
    below = min((one for one in module.places if one > line), default=None)
    rest = f"; the next cell begins at {module.places[below]}" if below else " of the book"
    return f"{shown_path(path)}:{line} comes from no cell{rest}"


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
    write_all({chapter.path: chapter.text for chapter in changed} | {path: again.text}, _journal(path))
    return [chapter.path for chapter in changed]


@contextlib.contextmanager
def undisturbed(path: Path, book: Path) -> Iterator[None]:
    """Alone with the module at ``path`` and the book, after ending what a killed ``carry_back`` began."""
    with alone(path.parent, "another run of scripts/tangle.py"):
        finish(_journal(path), [*book_files(book), path])
        yield


def _journal(path: Path) -> Path:
    return path.with_name(f".{path.name}.journal")


def _read(path: Path) -> str | None:
    try:
        return read_text(path) if os.path.lexists(path) else None
    except BookError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise Refused(f"{error}: it was edited; git checkout {shown_path(path)}") from None
        raise
