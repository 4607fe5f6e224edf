"""Put the core cells in the order of the module, each class in one piece.

A cell ``class Linear(Linear):`` continues a class that stands further up. In a notebook it derives a
class from the piece before it. In the module its body is appended, as text, to the first piece.
Whatever would mean something else there is refused.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from chapter import BookError, Cell, Chapter, Place


@dataclass(frozen=True)
class Chunk:
    """A core cell as it stands in the module."""

    chapter: Chapter
    cell: Cell
    continued: str | None  # the class whose body it continues

    @property
    def comment(self) -> str:
        indent = "    " if self.continued else ""
        return f"{indent}# {self.chapter.number:02} {self.chapter.title} · {self.cell.name}"

    @property
    def lines(self) -> list[tuple[str, Place]]:
        """Its lines with their places: all but the ``class`` line of a continuation."""
        first = self.cell.place.line
        source = self.cell.source.removesuffix("\n").split("\n")
        lines = [(text, Place(self.cell.place.path, line)) for line, text in enumerate(source, first)]
        return lines[1:] if self.continued else lines


def chunks(chapters: list[Chapter]) -> list[Chunk]:
    """The core cells in the order of the module: each continuation follows the class it continues."""
    groups: list[list[Chunk]] = []
    growing: dict[str, list[Chunk]] = {}  # by the class at the end of a cell
    for chapter in chapters:
        for cell in chapter.core:
            name = continued(cell)
            chunk = Chunk(chapter, cell, name)
            if name is None:
                groups.append([chunk])
                last = cell.tree.body[-1]
                if isinstance(last, ast.ClassDef):
                    growing[last.name] = groups[-1]
            elif name in growing:
                growing[name].append(chunk)
            else:
                raise BookError(cell.place, f"{name} continues a class that no earlier core cell ends with")
    return [chunk for group in groups for chunk in group]


def continued(cell: Cell) -> str | None:
    """The class that a cell continues."""
    for node in cell.tree.body:
        if isinstance(node, ast.ClassDef) and cell.source.startswith(f"class {node.name}({node.name}):\n"):
            return node.name
    return None
