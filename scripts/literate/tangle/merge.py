"""The core cells in the order of the module, each class in one piece.

A cell ``class Linear(Linear):`` continues a class that stands further up. In a notebook it derives a
class from the piece before it. In the module its body is appended, as text, to the first piece.
What would mean something else there is refused.
"""

import ast
import functools
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

from equations.slicing import names_in, reachable
from literate.chapter import BookError, Cell, Chapter, Place, definitions
from literate.tangle.scopes import bound_names, in_module, used_at_definition, used_names

INDENT = 4
BASES = ("object", "ABC", "NDArrayOperatorsMixin", "SimpleNamespace")  # that do not notice being derived from
HOOKS = ("__init_subclass__", "__subclasshook__", "__slots__")
INSIGHT = ("__mro__", "mro", "__bases__", "__base__", "__subclasses__", "__dict__", "__doc__")


@dataclass(frozen=True)
class Chunk:
    """A core cell as it stands in the module."""

    heading: str  # the chapter's number and title
    cell: Cell
    continues: str | None  # the class to whose body it belongs

    @property
    def comment(self) -> str:
        indent = " " * INDENT if self.continues else ""
        return f"{indent}# {self.heading} · {self.cell.name}"

    @property
    def blank(self) -> int:
        """How many blank lines stand above its comment."""
        return 1 if self.continues else 2

    @property
    def first(self) -> int:
        """The first line of the book that it takes: not the ``class`` line of a continuation."""
        return self.cell.place.line + (1 if self.continues else 0)

    @property
    def lines(self) -> list[str]:
        source = self.cell.source.removesuffix("\n").split("\n")
        return source[self.first - self.cell.place.line :]


_books: dict[tuple[int, Cell], int] = {}  # a number for each sequence of core cells: that of all but the last
_checked: set[int] = set()  # those whose last cell continues a class as it may


def chunks(chapters: Sequence[Chapter]) -> list[Chunk]:
    """The core cells, each continuation moved up to the class it continues."""
    groups: list[list[Chunk]] = []
    home: dict[str, list[Chunk]] = {}  # the group in which a name is defined
    defined: dict[str, Place] = {}
    cells: list[Cell] = []
    book = 0
    for chapter in chapters:
        for cell in chapter.core:
            cells.append(cell)
            book = _books.setdefault((book, cell), len(_books) + 1)
            name = _continues(cell)
            chunk = Chunk(f"{chapter.number:02} {chapter.title}", cell, name)
            if name:
                if name not in home:
                    raise BookError(cell.place, f"no core cell above defines {name}, which this continues")
                home[name].append(chunk)
                if book not in _checked:  # a longer one begins with the same cells
                    _Growth(name, home, cells).check()
                    _checked.add(book)
                continue
            groups.append([chunk])
            for name, place in definitions(cell):
                if name in defined:
                    raise BookError(
                        place,
                        f"{name} is already defined at {defined[name]}; define it once (a toy version is "
                        f"a demonstration, a class is continued with 'class {name}({name}):')",
                    )
                defined[name] = place
                home[name] = groups[-1]
    return [chunk for group in groups for chunk in group]


@functools.cache
def _continues(cell: Cell) -> str | None:
    classes = (node for node in cell.tree.body if isinstance(node, ast.ClassDef))
    return next((node.name for node in classes if node.name in map(ast.unparse, node.bases)), None)


def _class(cell: Cell, name: str) -> ast.ClassDef | None:
    """The class of that name that a cell defines or continues."""
    classes = (node for node in cell.tree.body if isinstance(node, ast.ClassDef))
    return next((node for node in classes if node.name == name), None)


@functools.lru_cache(maxsize=1024)
def _dumps(cell: Cell, name: str) -> list[str]:
    """What its body consists of."""
    node = _class(cell, name)
    return [ast.dump(statement) for statement in node.body] if node else []


def _body(cell: Cell, name: str) -> CodeType:
    """The compiled body of a class."""
    return next(code for code in in_module(cell).co_consts if inspect.iscode(code) and code.co_name == name)


def _bound(cell: Cell, name: str) -> dict[str, Place]:
    """What the body of a class binds."""
    bound = dict(bound_names(cell, _body(cell, name)))
    if "__eq__" in bound:  # Python then sets __hash__ too
        bound.setdefault("__hash__", bound["__eq__"])
    return bound


class _Growth:
    """A class and its pieces, the last of them new. Joined they must mean what the chain of pieces means."""

    def __init__(self, name: str, home: dict[str, list[Chunk]], cells: list[Cell]) -> None:
        self.name = name
        self.home = home
        self.cells = cells  # all core cells so far
        self.pieces = [chunk.cell for chunk in home[name]]
        self.start, self.new = self.pieces[0], self.pieces[-1]

    def check(self) -> None:
        self.check_start()
        self.check_new()
        self.check_ancestors(self.name)
        earlier = {
            member: place for piece in self.pieces[:-1] for member, place in _bound(piece, self.name).items()
        }
        self.check_members(earlier)
        self.check_definition_time(earlier)
        self.check_insight(self.start, {})
        self.check_insight(self.new, earlier)
        self.check_between()
        self.check_text()

    def refuse(self, message: str, place: Place | None = None) -> BookError:
        begins = self.start.at(self.node(self.start))
        place = place or self.new.place
        return BookError(place, f"{message} ({self.name} begins at {begins} and goes on at {self.new.place})")

    def node(self, piece: Cell) -> ast.ClassDef:
        node = _class(piece, self.name)
        if not node:
            raise BookError(self.new.place, f"{self.name} at {self.start.place} is no class to continue")
        return node

    # -- its form ------------------------------------------------------------

    def check_start(self) -> None:
        node = self.node(self.start)
        if node.lineno != self.start.tree.body[-1].lineno:
            raise self.refuse(
                f"something follows {self.name} in its first cell, so it cannot grow; divide that cell"
            )
        if node.decorator_list:
            raise self.refuse(f"{self.name} has a decorator, which would act on each piece")
        for name in used_at_definition(self.start, _body(self.start, self.name)):
            for chunk in self.home.get(name, []):
                if _class(chunk.cell, name) and "__set_name__" in _bound(chunk.cell, name):
                    raise self.refuse(f"{name}.__set_name__ would tell the pieces of {self.name} apart")

    def check_new(self) -> None:
        header = f"class {self.name}({self.name}):"
        if len(self.new.tree.body) > 1 or not self.new.source.startswith(header + "\n"):
            raise self.refuse(
                f"a cell that continues a class begins with '{header}' and holds nothing else: "
                "no decorator, no other base, no comment above"
            )
        for statement in self.node(self.new).body:
            if not isinstance(statement, ast.FunctionDef):
                raise self.refuse(
                    "a continuation holds methods only; docstring and state belong to the first piece",
                    self.new.at(statement),
                )
        for piece in (self.start, self.new):
            for statement in self.node(piece).body:
                if statement.col_offset != INDENT:
                    raise self.refuse(
                        f"a class that grows is indented by {INDENT} spaces", piece.at(statement)
                    )

    def check_ancestors(self, name: str) -> None:
        """Python must do nothing more than derive when a class is derived from this one."""
        nodes = [(chunk.cell, node) for chunk in self.home[name] if (node := _class(chunk.cell, name))]
        for cell, node in nodes:
            bound = _bound(cell, name)
            for hook in HOOKS:
                if hook in bound:
                    raise self.refuse(f"{name}.{hook} would act on each piece of {self.name}", bound[hook])
            if node.keywords:
                raise self.refuse(
                    f"{ast.unparse(node.keywords[0])} would act on each piece of {self.name}", cell.at(node)
                )
            for base in map(ast.unparse, node.bases):
                if base in self.home and base != name:
                    self.check_ancestors(base)
                elif base not in (*BASES, name):
                    raise self.refuse(
                        f"{base} is a base that may act on each piece of {self.name}", cell.at(node)
                    )
        if not nodes:
            raise self.refuse(f"{name} is no class of the book, it may act on each piece of {self.name}")

    def check_text(self) -> None:
        """The joined text holds the statements of the pieces, no more and no less."""
        text = "".join(f"{line}\n" for chunk in self.home[self.name] for line in chunk.lines)
        pieces = [text for piece in self.pieces for text in _dumps(piece, self.name)]
        try:
            joined = _dumps(Cell(self.start.place, text, "python"), self.name)
        except SyntaxError:
            joined = []
        if joined != pieces:
            raise self.refuse("the texts of the pieces cannot be joined")

    # -- its meaning -----------------------------------------------------------

    def check_members(self, earlier: dict[str, Place]) -> None:
        methods = {getattr(statement, "name", "") for statement in self.node(self.new).body} | {"__hash__"}
        for member, place in _bound(self.new, self.name).items():
            if member in methods and member in earlier:
                raise BookError(
                    place,
                    f"{self.name}.{member} is already defined at {earlier[member]}; "
                    "a method is written once, a toy version belongs in a demonstration",
                )

    def check_definition_time(self, earlier: dict[str, Place]) -> None:
        """Decorators and default values will be evaluated where the first piece stands."""
        for name, place in used_at_definition(self.new, _body(self.new, self.name)).items():
            cells = [chunk.cell for chunk in self.home.get(name, [])[:1]]
            acts = any(getattr(node, "name", "") == name for cell in cells for node in cell.tree.body)
            below = any(self.cells.index(cell) > self.cells.index(self.start) for cell in cells)
            if name in earlier or acts or below:
                message = f"{name} would be evaluated where the class begins; use it inside a method"
                raise self.refuse(message, place)

    def check_insight(self, piece: Cell, earlier: dict[str, Place]) -> None:
        """No method may notice how many pieces its class is made of."""
        harmless = set()
        for node in ast.walk(self.node(piece)):
            match node:
                case ast.Attribute(ast.Call(ast.Name("super"), [], []) as call, member):
                    harmless.add(call.func)
                    if member in earlier:
                        raise BookError(
                            piece.at(node),
                            f"super().{member} means an earlier piece of {self.name}, at {earlier[member]}; "
                            f"write self.{member}, in the module they are one class",
                        )
                case ast.Name("super" | "__class__") if node not in harmless:
                    raise self.refuse(
                        f"{node.id} means one piece of a class that grows; write super().name or type(self)",
                        piece.at(node),
                    )
            match node:
                case ast.Attribute(owner, member) if member in INSIGHT and ast.unparse(owner) != "self":
                    raise self.refuse(f"{member} shows the pieces of a class that grows", piece.at(node))
                case ast.Call(ast.Name("vars"), [owner]) if ast.unparse(owner) != "self":
                    raise self.refuse("vars() shows the pieces of a class that grows", piece.at(node))

    def check_between(self) -> None:
        """Nothing that runs between the first and the new piece may use the unfinished class."""
        for cell in self.cells[self.cells.index(self.start) + 1 :]:
            classes = (node for node in cell.tree.body if isinstance(node, ast.ClassDef))
            bases = names_in(base for node in classes for base in node.bases)
            for name, place in used_at_definition(cell, in_module(cell)).items():
                derived = name in bases  # deriving from a class runs none of its methods
                if cell not in self.pieces and (
                    name == self.name or (not derived and self.name in reachable([name], self.uses))
                ):
                    raise self.refuse(
                        f"{self.name} grows after it was used: {name} at {place}; move that below"
                    )

    def uses(self, name: str) -> Iterator[str]:
        """What may be used when a core name is called."""
        return (used for chunk in self.home.get(name, []) for used in used_names(chunk.cell))
