"""Plant mistakes in the module and count those that the equations notice.

Only functions that run while the equations are checked take part, and in them
only what computes: guards that raise are the business of other tests.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from equations.book import Book
from equations.check import Subject, check_subject, subjects_of
from equations.errors import MathError
from equations.slicing import definitions
from equations.text import Text

FILE = "the module under test"
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
CALLS = {"sum": "mean", "mean": "sum", "maximum": "minimum", "minimum": "maximum", "max": "min", "exp": "log"}
# The statement of the module, function, its line, node, what, attribute, new value.
_Place = tuple[int, str, int, Any, str, str, Any]


@dataclass(frozen=True)
class CodeMutant:
    function: str
    line: int
    what: str
    source: str  # of the whole module, with the mistake

    def __str__(self) -> str:
        return f"survives: {self.function}, line {self.line} of the module: {self.what}"


def plant_in_module(
    chapters: Sequence[Text], source: str, report: Callable[[CodeMutant], None], slips: bool = False
) -> tuple[int, int]:
    """How many mutants were noticed, and how many there were; survivors are reported.

    With ``slips`` instead of wrong formulas: wrong defaults, dtypes, axes, one step less, += that overwrites.
    """
    equations = Equations(chapters, source)
    killed = total = 0
    for mutant in mutants_of(source, equations.users, slips):
        total += 1
        if equations.notice(mutant):
            killed += 1
        else:
            report(mutant)
    return killed, total


class Equations:
    """The checks of a book's equations, by the functions that run in them."""

    def __init__(self, chapters: Sequence[Text], source: str) -> None:
        self.chapters = chapters
        self.users = _users(Book(chapters, _namespace(source)))

    def notice(self, mutant: CodeMutant, most: int | None = None) -> bool:
        """Whether one of the checks that run the function notices it.

        With ``most`` only so many are asked, the quickest, and at ordinary draws alone.
        """
        book = Book(self.chapters, _namespace(mutant.source))
        subjects = self.users.get(mutant.function, [])[:most]
        checks = (check_subject(book, *subject, quickly=most is not None) for subject in subjects)
        return any(result.finding for check in checks for result in check)


def _namespace(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "module"}
    exec(compile(source, FILE, "exec"), found)
    return found


def _users(book: Book) -> dict[str, list[tuple[Text, Subject]]]:
    """Function -> the checks that run it, the quickest first."""
    timed: list[tuple[float, tuple[Text, Subject], set[str]]] = []
    for chapter in book.chapters:
        for one in subjects_of(chapter):
            start = time.perf_counter()
            with traced(FILE) as functions:
                results = list(check_subject(book, chapter, one))
            if wrong := [str(result.finding) for result in results if result.finding]:
                raise MathError(f"the unchanged book must pass: {wrong[0]}")
            seconds = time.perf_counter() - start
            timed.append((seconds, (chapter, one), {name.split(".<locals>")[0] for name in functions}))
    users: dict[str, list[tuple[Text, Subject]]] = {}
    for _, subject, functions in sorted(timed, key=lambda one: one[0]):
        for function in functions:
            users.setdefault(function, []).append(subject)
    return users


@contextlib.contextmanager
def traced(file: str) -> Iterator[set[str]]:
    """Collect the qualified names of a file's functions that run."""
    found: set[str] = set()

    def note(frame: FrameType, *_: object) -> None:
        if frame.f_code.co_filename == file:
            found.add(frame.f_code.co_qualname)

    sys.settrace(note)  # told of calls alone, and not of those of built-in functions
    try:
        yield found
    finally:
        sys.settrace(None)


def functions_of(source: str) -> list[str]:
    """The qualified names of all functions and methods."""
    return [name for name, _ in _functions(ast.parse(source).body)]


def mutants_of(source: str, functions: Collection[str], slips: bool) -> Iterator[CodeMutant]:
    """All mistakes of one sort in these functions."""
    tree = ast.parse(source)
    texts = [ast.unparse(statement) for statement in tree.body]
    for place in _places(tree, functions, slips):
        yield _planted(tree, texts, place)


def _places(tree: ast.Module, functions: Collection[str], slips: bool) -> Iterator[_Place]:
    for at, statement in enumerate(tree.body):
        for name, function in _functions([statement]):
            for node in _computing(function) if name in functions else ():
                for what, attribute, value in (_slips if slips else _changes)(node):
                    yield at, name, function.lineno, node, what, attribute, value


def _planted(tree: ast.Module, texts: list[str], place: _Place) -> CodeMutant:
    """Change one statement of the tree, write down what it is then, and change it back."""
    at, name, line, node, what, attribute, value = place
    before = getattr(node, attribute)
    setattr(node, attribute, value)
    shown, changed = ast.unparse(node), ast.unparse(tree.body[at])
    setattr(node, attribute, before)
    source = "\n".join([*texts[:at], changed, *texts[at + 1 :]])
    return CodeMutant(name, getattr(node, "lineno", line), f"{what} in {shown}", source)


def _functions(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.FunctionDef]]:
    return ((name, node) for name, node in definitions(body) if isinstance(node, ast.FunctionDef))


def _computing(function: ast.FunctionDef) -> Iterator[Any]:
    """Nodes of a function's body, without docstrings, annotations and guards that raise."""
    todo: list[ast.AST] = [function.args, *function.body]
    rests: list[ast.AST] = []  # the -1 of a reshape: any negative number means the same to NumPy
    while todo:
        node = todo.pop(0)
        is_guard = isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise) and not node.orelse
        if is_guard or isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
            continue
        yield node
        match node:
            case ast.Call(ast.Attribute(attr="reshape"), sizes):
                rests += [size for size in sizes if ast.unparse(size) == "-1"]
        if isinstance(node, ast.arguments) or node in rests:
            continue
        todo += [child for name, child in _children(node) if name not in ("annotation", "returns")]


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child


def _changes(node: Any) -> Iterator[tuple[str, str, Any]]:
    """(what, attribute, new value) for each mistake at this node."""
    match node:
        case ast.BinOp(left, ast.MatMult(), right):
            yield "factor replaced by the other", "left", right
            yield "factor replaced by the other", "right", left
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield "operator changed", "op", OPERATORS[type(op)]()
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            yield "comparison changed", "ops", [COMPARISONS[type(op)]()]
        case ast.Constant(bool() | str() | None):
            return
        case ast.Constant(int() | float() as number):
            yield "constant changed", "value", number + 1
        case ast.Attribute(attr=name) if name in CALLS:
            yield "function changed", "attr", CALLS[name]
        case ast.Attribute(attr="T"):
            yield "transpose dropped", "attr", "real"
        case ast.UnaryOp(op=ast.USub()):
            yield "sign dropped", "op", ast.UAdd()


def _slips(node: Any) -> Iterator[tuple[str, str, Any]]:
    """Mistakes that only some inputs show: of defaults, dtypes, axes, of the last step, of what adds up."""
    match node:
        case ast.AugAssign(target, ast.Add(), value):
            own = ast.parse(ast.unparse(target), mode="eval").body
            yield "overwritten, not added to,", "value", ast.BinOp(value, ast.Sub(), own)
        case ast.arguments(defaults=defaults) if defaults:
            for at, default in enumerate(defaults):
                if (other := _other_default(default)) is not None:
                    yield "default changed", "defaults", [*defaults[:at], other, *defaults[at + 1 :]]
        case ast.keyword("dtype"):
            yield "dtype changed", "value", ast.Constant("float16")
        case ast.keyword("axis", ast.UnaryOp()):
            yield "axis changed", "value", ast.Constant(0)
        case ast.Call(ast.Name("range"), [*others, last]):
            yield "one step less", "args", [*others, ast.BinOp(last, ast.Sub(), ast.Constant(1))]
        case ast.Call(ast.Attribute(attr="astype"), [_]):
            yield "dtype changed", "args", [ast.Constant("float16")]


def _other_default(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Constant(bool() as value):
            return ast.Constant(not value)
        case ast.Constant(int() | float() as number):
            return ast.Constant(2 * number or 1)
    return None
