"""What core cells take from outside: the imports that the module needs, and the names they must not use."""

import ast
import builtins
import functools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from literate.chapter import MODULE_NAME, BookError, Chapter, Place, compiled, defined_names, definitions
from literate.tangle.scopes import bound_names, in_module, used_at_definition, used_names

NUMPY = "numpy"
BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Import:
    """One name that an import cell binds. Equal where it is the same thing, wherever it stands."""

    module: str
    name: str | None  # None: the module itself
    alias: str | None
    place: Place = field(compare=False)

    @property
    def bound(self) -> str:
        return self.alias or self.name or self.package

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def import_lines(chapters: Sequence[Chapter]) -> list[str]:
    """The imports of the module: the standard library, then NumPy, with a blank line above each."""
    needed = needed_imports(chapters)
    standard = _written(item for item in needed if item.package != NUMPY)
    numpy = _written(item for item in needed if item.package == NUMPY)
    return [line for group in (standard, numpy) if group for line in ["", *group]]


def needed_imports(chapters: Sequence[Chapter]) -> list[Import]:
    """What core cells use from their chapters' import cells. Refuse a name that they cannot use."""
    return list(_needed(tuple(chapters))[0].values())


@functools.lru_cache(maxsize=64)
def _needed(chapters: tuple[Chapter, ...]) -> tuple[dict[str, Import], dict[str, Place]]:
    """That, and what the chapters define. A longer book begins with the same chapters."""
    needed: dict[str, Import] = {}
    defined: dict[str, Place] = {}
    if chapters:
        *earlier, chapter = chapters
        known = _needed(tuple(earlier))
        needed, defined = known[0].copy(), known[1].copy()
        imported = imported_names(chapter)
        own = {name: place for cell in chapter.core for name, place in reversed(definitions(cell))}
        for name, place in own.items():
            _check_definition(name, place)
        _check_rebinding(chapter)
        above: set[str] = set()
        for cell in chapter.core:
            above.update(defined_names(cell))
            for name, place in used_at_definition(cell, in_module(cell)).items():
                if name in own and name not in above:
                    raise BookError(place, f"{name} is needed here, but is defined only at {own[name]}")
            for name, place in used_names(cell).items():
                item = imported.get(name)
                if item and item.package != MODULE_NAME:
                    _check_import(item, place)
                    first = needed.setdefault(name, item)
                    if item != first:
                        raise BookError(item.place, f"{name} is another thing at {first.place}; rename one")
                elif item and item.bound != item.name:
                    raise BookError(
                        place, f"{name} is named {item.name} in the module; import it under its own name"
                    )
                elif name in defined and not item:
                    raise BookError(
                        place,
                        f"{name} is defined at {defined[name]}; "
                        f"write in the chapter's first cell: from {MODULE_NAME} import {name}",
                    )
                elif name not in defined and name not in own and name not in BUILTINS:
                    raise BookError(
                        place,
                        f"{name} comes neither from a core cell nor from the chapter's first cell; "
                        "define or import it there",
                    )
        defined = own | defined
        for name in needed.keys() & defined.keys():
            raise BookError(
                needed[name].place, f"{name} is also defined at {defined[name]}; import it under another name"
            )
    return needed, defined


def imported_names(chapter: Chapter) -> dict[str, Import]:
    """What the chapter's import cell binds."""
    found: dict[str, Import] = {}
    for cell in chapter.python[:1]:
        for node in cell.tree.body:
            if isinstance(node, ast.Import):
                items = [Import(alias.name, None, alias.asname, cell.at(node)) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                items = [Import(module, alias.name, alias.asname, cell.at(node)) for alias in node.names]
            for item in items:
                if item != (first := found.setdefault(item.bound, item)):
                    raise BookError(
                        item.place,
                        f"{item.bound} is another thing at {first.place}; import one under another name",
                    )
    return found


def _check_definition(name: str, place: Place) -> None:
    if name.startswith("__") and name.endswith("__"):
        raise BookError(place, f"{name} belongs to Python and the tangler; take another name")
    if name in BUILTINS:
        raise BookError(place, f"{name} would hide Python's own {name} from all cells; take another name")


def _check_rebinding(chapter: Chapter) -> None:
    """What a chapter runs is what the module holds: only core cells bind the names that core cells use."""
    used = {name: place for cell in chapter.core for name, place in used_names(cell).items()}
    known: set[str] = set()
    for cell in chapter.python:
        bound = bound_names(cell, compiled(cell))
        if not known or cell.tag == "core":
            known.update(bound)
        elif changed := bound.keys() & known & used.keys():
            name = min(changed)
            raise BookError(
                bound[name],
                f"{name} would now be another in the core cell that uses it at {used[name]}; rename this",
            )


def _check_import(item: Import, place: Place) -> None:
    if item.package != NUMPY and item.package not in sys.stdlib_module_names:
        raise BookError(
            place,
            f"a core cell uses {item.bound} from {item.module}; "
            "the module needs NumPy and the standard library, nothing else",
        )
    if item.bound in BUILTINS:
        raise BookError(
            item.place, f"{item.bound} would hide Python's own {item.bound}; import it under another name"
        )


def _written(items: Iterable[Import]) -> list[str]:
    plain: list[str] = []
    members: dict[str, list[str]] = {}
    for item in items:
        alias = f" as {item.alias}" if item.alias else ""
        if item.name:
            members.setdefault(item.module, []).append(item.name + alias)
        else:
            plain.append(f"import {item.module}{alias}")
    named = [f"from {module} import {', '.join(sorted(names))}" for module, names in members.items()]
    return sorted(plain) + sorted(named)
