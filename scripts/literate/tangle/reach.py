"""How much of the module names reach: what a result rests on, so that it can be kept until that changes."""

import ast
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from equations.slicing import reachable
from literate.chapter import MODULE_NAME, Cell, Chapter
from literate.tangle.module import tangle


def digest_of(parts: object) -> str:
    """A short name for what can be written as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


class Statement(NamedTuple):
    source: str
    silent: str  # without docstrings
    binds: list[str]
    uses: set[str]
    acts: bool  # when the module is imported


class Source:
    """The statements of these chapters' module (without docstrings, if asked), and how much names reach."""

    def __init__(self, chapters: Sequence[Chapter], docstrings: bool = True) -> None:
        self.whole = tangle(chapters).text
        self.always = [self.whole.partition("__version__")[0]]  # its imports, and what acts at import
        self.acting: set[str] = set()  # the names in that
        self.text: dict[str, list[str]] = {}  # what binds a name
        self.uses: dict[str, set[str]] = {}
        for statement in (one for chapter in chapters for cell in chapter.core for one in statements(cell)):
            source = statement.source if docstrings else statement.silent
            if statement.acts:
                self.always.append(source)
                self.acting |= statement.uses
            for name in statement.binds:
                self.text.setdefault(name, []).append(source)
                self.uses.setdefault(name, set()).update(statement.uses)

    def reached(self, names: Iterable[str]) -> str:
        """A digest of all that these names run."""
        seen = reachable([*names, *self.acting], lambda name: self.uses.get(name, ()))
        return digest_of([self.always, [self.text[name] for name in sorted(seen & self.text.keys())]])

    def reached_by(self, chapter: Chapter) -> str:
        """The same for a chapter's cells; the whole, if they speak of the module other than to import."""
        nodes = [node for cell in chapter.python for node in cell.tree.body]
        imports = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == MODULE_NAME]
        if sum(cell.source.count(MODULE_NAME) for cell in chapter.python) > len(imports):
            return digest_of(self.whole)
        return self.reached(alias.name for node in imports for alias in node.names)


@functools.cache
def statements(cell: Cell) -> list[Statement]:
    found = []
    for node in cell.tree.body:
        leaves = [leaf for leaf in ast.walk(node) if isinstance(leaf, ast.Name)]
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            binds, acts = [node.name], bool(node.decorator_list)
        else:
            binds, acts = [leaf.id for leaf in leaves if isinstance(leaf.ctx, ast.Store)], True
        source = ast.unparse(node)
        found.append(Statement(source, _silent(source), binds, {leaf.id for leaf in leaves}, acts))
    return found


def _silent(source: str) -> str:
    """The same code without its docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
