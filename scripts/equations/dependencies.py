"""What the check of a display or a table rests on, so that it can be kept until one of these changes."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from .book import Book, read_display
from .notation import Notation
from .syntax import show
from .text import Display, Table, Text


@dataclass(frozen=True)
class Dependencies:
    texts: tuple[str, ...]  # LaTeX, rows of tables, statements of cells
    names: frozenset[str]  # of the module


def of_display(book: Book, chapter: Text, display: Display) -> Dependencies:
    notation = book.notation(chapter, display.place.line)
    reads = read_display(display.tex, notation)
    ids = {id_ for read in reads for id_ in read.ids(notation)}
    pairs = set[tuple[str, str]]().union(*(read.pairs() for read in reads))
    gradients = (row for pair, row in notation.gradients.items() if pair in pairs)
    return _dependencies(notation, ids.union(*(notation.closure(row.id) for row in gradients)), [display.tex])


def of_table(book: Book, chapter: Text, table: Table) -> Dependencies:
    """The gradient rows of a table."""
    notation = book.notation_of(chapter, table)
    ids: set[str] = set()
    for (top, _), row in notation.gradients.items():
        if row.row in table.rows and top in notation.rows:
            ids |= notation.closure(row.id) | notation.closure(notation.rows[top].id)
    return _dependencies(notation, ids, [])


def _dependencies(notation: Notation, ids: Iterable[str], texts: list[str]) -> Dependencies:
    names: set[str] = set()
    texts = [*texts, str(sorted(notation.literals))] if ids else texts
    for id_ in sorted(ids):
        names |= {id_} & notation.module.keys()
        if row := notation.by_id.get(id_):
            texts.append(" | ".join((row.row.symbol, row.row.set, row.row.code)))
            if row.label:
                texts.append(show(notation.text(row)))
        if slice_ := notation.slice_for(id_):
            texts += map(ast.unparse, slice_.nodes)
            names |= slice_.names & notation.module.keys()
    return Dependencies(tuple(texts), frozenset(names))
