"""What must hold between chapters: numbers, labels, names, and code in tables."""

import re
from collections.abc import Sequence

from .chapter import (
    CODE_REFERENCE,
    MODULE_NAME,
    BookError,
    Cell,
    Chapter,
    Place,
    code_references,
    defined_names,
)
from .tangle.imports import imported_names

BELOW = "begins like a chapter, but stands in a folder of its own, where nobody reads it"
UNLIKE = "begins like a chapter, but is not called like one: 04-linear.md"


def check_book(chapters: Sequence[Chapter]) -> None:
    check_prefix(chapters)
    _check_references(chapters)
    _check_tables(chapters)


def check_prefix(chapters: Sequence[Chapter]) -> None:
    """What holds for the first chapters of a book without the later ones."""
    _check_numbers(chapters)
    _labels(chapters)
    _check_names(chapters)


def _check_numbers(chapters: Sequence[Chapter]) -> None:
    seen: dict[int, Chapter] = {}
    for chapter in chapters:
        if chapter.number and not re.fullmatch(r"\d\d-[\w-]+\.md", chapter.path.name, re.ASCII):
            raise BookError(chapter.path, UNLIKE)
        if chapter.number in seen:
            raise BookError(
                chapter.path, f"chapter {chapter.number} is already {seen[chapter.number].path.name}"
            )
        seen[chapter.number] = chapter


def _labels(chapters: Sequence[Chapter]) -> dict[str, Place]:
    """Where each label is defined, which is in one place."""
    defined: dict[str, Place] = {}
    for chapter in chapters:
        for display in chapter.displays:
            if display.label in defined:
                raise BookError(display.place, f"{display.label} is already at {defined[display.label]}")
            if display.label:
                defined[display.label] = display.place
    return defined


def _check_references(chapters: Sequence[Chapter]) -> None:
    defined = _labels(chapters)
    used = {}
    for chapter in chapters:
        in_code = [reference for cell in chapter.python for reference in code_references(cell)]
        for reference in chapter.references + in_code:
            if reference.label not in defined:
                raise BookError(reference.place, f"{reference.label} is not the label of any equation")
            used[reference.label] = reference
        # A notation row may say that an equation of the text defines its symbol.
        for row in (row for table in chapter.tables for row in table.rows):
            used.update(dict.fromkeys(CODE_REFERENCE.findall(row.code), row))
    for label, place in defined.items():
        if label not in used:
            raise BookError(place, f"{label} is never referred to; refer to it with @{label}")


def _check_names(chapters: Sequence[Chapter]) -> None:
    """Cell names are unique; what a chapter imports was defined before it."""
    cells: dict[str, Cell] = {}
    names: set[str] = set()
    for chapter in chapters:
        for item in imported_names(chapter).values():
            if item.module == MODULE_NAME and item.name not in names:
                raise BookError(item.place, f"{item.name} is not defined in an earlier chapter")
        for cell in chapter.python:
            if cell.name in cells:
                raise BookError(
                    cell.place, f"the name {cell.name!r} is already used at {cells[cell.name].place}"
                )
            if cell.name:
                cells[cell.name] = cell
        for cell in chapter.core:
            names.update(defined_names(cell))


def _check_tables(chapters: Sequence[Chapter]) -> None:
    """In the column "Here" of a table stands code that some chapter has; … stands for anything."""
    code = _spaced("\n".join(cell.source for chapter in chapters for cell in chapter.cells))
    for chapter in chapters:
        column: int | None = None
        lines = chapter.text.split("\n")
        for number, line in enumerate(lines, 1):
            if not line.startswith("|"):
                continue
            parts = [part.strip() for part in line.strip("|").split("|")]
            if not lines[number - 2].startswith("|"):
                column = parts.index("Here") if "Here" in parts else None
            for shown in re.findall(r"`([^`]+)`", parts[column] if column is not None else ""):
                head, *tail = re.escape(_spaced(re.sub(r"^\w+ = ", "", shown))).split("…")
                wanted = ".{1,80}?".join([rf"{head}(?<!\w{head})", *tail])  # text first is found fast
                if not re.search(rf"{wanted}(?!\w)", code):
                    raise BookError(chapter.place(number), f"`{shown}` stands in no code of the book")


def _spaced(code: str) -> str:
    return " ".join(code.split())
