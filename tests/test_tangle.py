"""The module made from the book, and the commands around it."""

from __future__ import annotations

import doctest
import sys
import tomllib
import types
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from literate.chapter import MODULE_NAME, ROOT, BookError, Chapter, Place
from literate.files import write_atomically
from literate.reader import read_book
from literate.tangle.merge import chunks
from literate.tangle.module import DOCSTRING, Module, prefix, tangle
from literate.tangle.untangle import untangle
from tangle import main
from tests.books import chapter, chapter_text, complaint, core, core_book, fence

SKETCH = '''
import math
import numpy as np
from collections.abc import Iterable, Callable
from numpy.typing import ArrayLike
---
def half(x: ArrayLike) -> float:
    local: Iterable = np.asarray(x)
    return local / 2


_TAU = 2 * math.pi
---
class Layer:
    """A layer."""

    def forward(self, x):
        return half(x)
===
from backprop_core import Layer
from collections.abc import Callable
import matplotlib.pyplot as plt
---
class Layer(Layer):
    def backward(self, f: Callable):
        return f(self)
---
ONE, TWO = 1, 2
'''

BODY = '''
from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

__version__ = "VERSION"

__all__ = [
    "half", "Layer", "ONE", "TWO",
]


# 01 Sample 1 · 1-1
def half(x: ArrayLike) -> float:
    local: Iterable = np.asarray(x)
    return local / 2


_TAU = 2 * math.pi


# 01 Sample 1 · 1-2
class Layer:
    """A layer."""

    def forward(self, x):
        return half(x)

    # 02 Sample 2 · 2-1
    def backward(self, f: Callable):
        return f(self)


# 02 Sample 2 · 2-2
ONE, TWO = 1, 2


'''


@pytest.fixture(scope="module")
def book() -> list[Chapter]:
    return read_book()


def imported(module: Module) -> types.ModuleType:
    result = types.ModuleType(MODULE_NAME)
    exec(compile(module.text, MODULE_NAME, "exec", dont_inherit=True), vars(result))
    return result


# -- the text ----------------------------------------------------------------------


def test_text() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    body = tangle(core_book(SKETCH)).text.removeprefix(DOCSTRING).rpartition("# digest")[0]
    assert body == BODY.replace("VERSION", version)


def test_no_cells() -> None:
    module = imported(tangle([]))
    assert module.__all__ == []


def test_prefix() -> None:
    first, second = core_book(SKETCH)
    assert prefix([first, second], 2) == tangle([first])


def check_lines(chapters: Sequence[Chapter]) -> None:
    """Every line of the module stands in one core cell, every core cell stands in the module."""
    module = tangle(chapters)
    lines = module.text.split("\n")
    book = {item.place(n): text for item in chapters for n, text in enumerate(item.text.split("\n"), 1)}
    assert {number: lines[number - 1] for number in module.places} == {
        n: book[p] for n, p in module.places.items()
    }
    wanted = [
        Place(cell.place.path, cell.place.line + line)
        for item in chapters
        for cell in item.core
        for line, text in enumerate(cell.source.splitlines())
        if not (line == 0 and text.startswith("class ") and text.endswith(f"({text[6:].partition('(')[0]}):"))
    ]
    assert sorted(module.places.values()) == sorted(wanted)
    generated = [
        text for n, text in enumerate(lines, 1) if n >= min(module.places) and n not in module.places
    ]
    comments = [chunk.comment for chunk in chunks(chapters)]
    assert [text for text in generated if text] == [*comments[1:], lines[-2]]


def test_lines_of_a_sample() -> None:
    check_lines(core_book(SKETCH))


def test_lines_of_the_book(book: list[Chapter]) -> None:
    check_lines(book)


def test_the_book_up_to_each_chapter(book: list[Chapter]) -> None:
    for item in book:
        module = imported(prefix(book, item.number + 1))
        assert set(module.__all__) <= set(vars(module))


def test_usage_example(book: list[Chapter], monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported(tangle(book))
    monkeypatch.setitem(sys.modules, MODULE_NAME, module)
    test = doctest.DocTestParser().get_doctest(module.__doc__ or "", {}, MODULE_NAME, None, None)
    assert doctest.DocTestRunner().run(test).failed == 0


# -- what core cells may use --------------------------------------------------------

UNKNOWN = "comes neither from a core cell nor from the chapter's first cell; define or import it there"
REFUSED = {
    "an unknown name": (
        "def f():\n    return g(x)  # <1>\n\n\ndef g(x):\n    return x",
        f"<1>: x {UNKNOWN}",
    ),
    "an unknown name in an annotation": (
        "def f(x):\n    y: Array = x  # <1>",
        f"<1>: Array {UNKNOWN}",
    ),
    "an unknown name in a class": (
        "class A:\n    k = 1\n    l = [k for _ in range(k)]  # <1>",
        f"<1>: k {UNKNOWN}",
    ),
    "a name of a later chapter": (
        "def f():\n    return g()  # <1>\n===\ndef g(): ...",
        f"<1>: g {UNKNOWN}",
    ),
    "a name that is imported for another chapter": (
        "import math\n---\ndef f():\n    return math.pi\n===\ndef g():\n    return math.pi  # <1>",
        f"<1>: math {UNKNOWN}",
    ),
    "a name that the chapter renames": (
        "def f(): ...\n===\nfrom backprop_core import f as h\n---\ndef g():\n    return h()  # <1>",
        "<1>: h is named f in the module; import it under its own name",
    ),
    "a name that is not imported from the module": (
        "def f(): ...  # <1>\n===\ndef g():\n    return f()  # <2>",
        "<2>: f is defined at <1>; write in the chapter's first cell: from backprop_core import f",
    ),
    "a package": (
        "import scipy.linalg as la  # <1>\n---\ndef f():\n    return la.inv  # <2>",
        "<2>: a core cell uses la from scipy.linalg; "
        "the module needs NumPy and the standard library, nothing else",
    ),
    "a relative import": (
        "from .x import la  # <1>\n---\ndef f():\n    return la.inv  # <2>",
        "<2>: a core cell uses la from .x; the module needs NumPy and the standard library, nothing else",
    ),
    "one name for two things": (
        "from math import exp  # <1>\n---\nX = exp(1)\n===\nfrom cmath import exp  # <2>\n---\nY = exp(1)",
        "<2>: exp is another thing at <1>; rename one",
    ),
    "a definition and an import": (
        "from math import exp  # <1>\n---\nX = exp(1)\n===\ndef exp(x): ...  # <2>",
        "<1>: exp is also defined at <2>; import it under another name",
    ),
    "an import and a definition": (
        "def exp(x): ...  # <2>\n===\nfrom math import exp  # <1>\n---\nX = exp(1)",
        "<1>: exp is also defined at <2>; import it under another name",
    ),
    "a definition over the chapter's own import": (
        "from math import exp  # <1>\n---\ndef exp(x):  # <2>\n    return exp(x)",
        "<1>: exp is also defined at <2>; import it under another name",
    ),
    "a builtin defined": (
        "def sum(x): ...  # <1>",
        "<1>: sum would hide Python's own sum from all cells; take another name",
    ),
    "a builtin imported": (
        "from math import pow  # <1>\n---\nX = pow(2, 3)",
        "<1>: pow would hide Python's own pow; import it under another name",
    ),
    "a name imported twice": (
        "from math import sqrt  # <1>\nfrom cmath import sqrt  # <2>\n---\ndef f(x):\n    return sqrt(x)",
        "<2>: sqrt is another thing at <1>; import one under another name",
    ),
    "a package imported in two parts": (
        "import xml.dom  # <1>\nimport xml.sax  # <2>\n---\ndef f(x):\n    return xml.sax.parseString(x)",
        "<2>: xml is another thing at <1>; import one under another name",
    ),
    "a constant that comes too early": (
        "A = B + 1  # <1>\n---\nB = 1  # <2>",
        "<1>: B is needed here, but is defined only at <2>",
    ),
    "a default that comes too early": (
        "def f(x=g()):  # <1>\n    return x\n---\ndef g():  # <2>\n    return f",
        "<1>: g is needed here, but is defined only at <2>",
    ),
    "a base that comes too early": (
        "class A(B):  # <1>\n    pass\n---\nclass B:  # <2>\n    pass",
        "<1>: B is needed here, but is defined only at <2>",
    ),
    "a dunder": ("__all__ = []  # <1>", "<1>: __all__ belongs to Python and the tangler; take another name"),
}


@pytest.mark.parametrize(("sketch", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(sketch: str, message: str) -> None:
    book = core_book(sketch)
    with pytest.raises(BookError) as error:
        tangle(book)
    assert complaint(error.value, book) == message


def test_a_module_that_does_not_run_names_the_line() -> None:
    book = core_book("def half(x):\n    return x / 2  # <1>\n---\nHALF = half(1)\n---\nBAD = half('a')\n")
    with pytest.raises(BookError) as error:
        tangle(book).namespace()
    assert (
        complaint(error.value, book) == "<1>: TypeError: unsupported operand type(s) for /: 'str' and 'int'"
    )


def test_a_dataclass_finds_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    book = core_book("from dataclasses import dataclass\n---\n@dataclass\nclass Point:\n    x: int = 1\n")
    for other in (None, types.ModuleType(MODULE_NAME)):
        if other:
            monkeypatch.setitem(sys.modules, MODULE_NAME, other)
        else:
            monkeypatch.delitem(sys.modules, MODULE_NAME, raising=False)
        assert repr(tangle(book).namespace()["Point"](2)) == "Point(x=2)"
        assert sys.modules.get(MODULE_NAME) is other


def test_unused_imports_stay_out() -> None:
    assert (
        "import"
        not in tangle(core_book("import torch\nimport math\n---\nX = 1")).text.split("annotations")[1]
    )


def test_rebinding_refused() -> None:
    cells = [core("def f(): return 1", "f"), core("def g(): return f()  # <1>", "g"), fence("f = len  # <2>")]
    book = [chapter("\n".join(cells))]
    with pytest.raises(BookError) as error:
        tangle(book)
    assert complaint(error.value, book) == (
        "<2>: f would now be another in the core cell that uses it at <1>; rename this"
    )


def test_rebinding_allowed() -> None:
    """A toy version above the definition; a name that core cells define but do not use."""
    toys = [fence("def f(): return 0\nf()"), core("def f(): return 1", "f"), core("def g(): return f()", "g")]
    tangle([chapter("\n".join([*toys, fence("g = 3")]))])


# -- the commands ---------------------------------------------------------------------

FIRST = core("def half(x):\n    return x / 2", "half")
SECOND = core("def third(x):\n    return half(x) / 1.5", "third")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book of two chapters and its module."""
    monkeypatch.setattr(Place, "base", tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book/01-a.md").write_text(chapter_text(FIRST))
    (tmp_path / "book/02-b.md").write_text(chapter_text(SECOND, 2, "from backprop_core import half"))
    assert command(tmp_path) == 0
    return tmp_path


def command(tree: Path, *arguments: str) -> int:
    return main(list(arguments), tree / "book", tree / "m.py")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def line_of(path: Path, text: str) -> int:
    return path.read_text().split("\n").index(text) + 1


EDITED = """\
m.py:{line} was edited; its source is book/01-a.md:{source}
carry the edit into the book:  .venv/bin/python scripts/tangle.py --untangle
or discard it:                 git checkout m.py
"""


def test_write(tree: Path) -> None:
    assert (tree / "m.py").read_text() == tangle(read_book(tree / "book")).text


def test_an_unchanged_file_is_left_alone(tree: Path) -> None:
    before = (tree / "m.py").stat()
    assert command(tree) == 0
    after = (tree / "m.py").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_stale_file_is_written_anew(tree: Path) -> None:
    replace(tree / "book/01-a.md", "x / 2", "0.5 * x")
    assert command(tree) == 0
    assert "0.5 * x" in (tree / "m.py").read_text()


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--where", "1"]])
def test_an_edited_file(tree: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    replace(tree / "m.py", "x / 2", "x / 3")
    before = (tree / "m.py").read_text()
    assert command(tree, *arguments) == 1
    line, source = (
        line_of(tree / "m.py", "    return x / 3"),
        line_of(tree / "book/01-a.md", "    return x / 2"),
    )
    assert capsys.readouterr().err == EDITED.format(line=line, source=source)
    assert (tree / "m.py").read_text() == before


def test_a_line_added_at_the_end_of_a_cell(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(tree / "m.py", "x / 2\n", "x / 2\n    # so\n")
    assert command(tree, "--check") == 1
    line, source = line_of(tree / "m.py", "    # so"), line_of(tree / "book/01-a.md", "    return x / 2")
    assert capsys.readouterr().err == EDITED.format(line=line, source=source)


def test_an_edited_header(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(tree / "m.py", "__version__ = ", "__version__  = ")
    assert command(tree) == 1
    line = next(
        n for n, text in enumerate((tree / "m.py").read_text().split("\n"), 1) if "__version__" in text
    )
    assert capsys.readouterr().err.startswith(f"m.py:{line} was edited; it comes from no cell of the book\n")


def test_a_file_that_was_never_tangled(tree: Path) -> None:
    (tree / "m.py").write_text("x = 1\n")
    assert command(tree) == 1
    assert (tree / "m.py").read_text() == "x = 1\n"


def test_a_file_that_is_no_text(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "m.py").write_bytes(b"\xff")
    assert command(tree, "--untangle") == 1
    assert capsys.readouterr().err == (
        "m.py:1: not UTF-8 (invalid start byte at byte 0): it was edited; git checkout m.py\n"
    )


def test_check(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tree, "--check") == 0
    replace(tree / "book/01-a.md", "x / 2", "x / 4")
    line, source = (
        line_of(tree / "m.py", "    return x / 2"),
        line_of(tree / "book/01-a.md", "    return x / 4"),
    )
    assert command(tree, "--check") == 1
    assert capsys.readouterr().err == (
        f"m.py is out of date (line {line}, book/01-a.md:{source}); write it with make tangle\n"
    )
    (tree / "m.py").unlink()
    assert command(tree, "--check") == 1
    assert capsys.readouterr().err == "m.py does not exist; write it with make tangle\n"


def test_a_mistake_in_the_book(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (tree / "m.py").read_text()
    replace(tree / "book/01-a.md", "return x / 2", "return y / 2")
    source = line_of(tree / "book/01-a.md", "    return y / 2")
    assert command(tree) == 1
    assert capsys.readouterr().err == (
        f"book/01-a.md:{source}: y comes neither from a core cell nor from the chapter's first cell; "
        "define or import it there\n"
    )
    assert (tree / "m.py").read_text() == before


def test_where(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, source = line_of(tree / "m.py", "def third(x):"), line_of(tree / "book/02-b.md", "def third(x):")
    assert command(tree, "--where", str(line)) == 0
    assert capsys.readouterr().out == f"book/02-b.md:{source}\n"
    assert command(tree, "--where", "1") == 0
    begins = line_of(tree / "book/01-a.md", "def half(x):")
    assert (
        capsys.readouterr().out
        == f"m.py:1 comes from no cell; the next cell begins at book/01-a.md:{begins}\n"
    )
    end = (tree / "m.py").read_text().count("\n")
    assert command(tree, "--where", str(end)) == 0
    assert capsys.readouterr().out == f"m.py:{end} comes from no cell of the book\n"
    assert command(tree, "--where", "999") == 1
    assert capsys.readouterr().err == "m.py has no line 999\n"


def test_upto(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tree, "--upto", "1") == 0
    chapters = read_book(tree / "book")
    assert capsys.readouterr().out == tangle(chapters[:1]).text
    assert command(tree, "--upto", "99") == 1
    assert capsys.readouterr().err == f"--upto 99: the last chapter is {len(chapters)}\n"


def test_writing_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o754)

    def fail(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch, pytest.raises(BookError, match="file: cannot be written"):
        patch.setattr(Path, "replace", fail)
        write_atomically(path, "new")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o754)


# -- carrying edits back ------------------------------------------------------------------


def test_untangle(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree / "m.py"
    replace(path, "    return x / 2\n", "    x = x / 2\n\n    return x\n")
    replace(path, "    return half(x) / 1.5\n", "    # two thirds\n    return half(x) / 1.5\n\n\n")
    after = path.read_text()
    assert command(tree, "--untangle") == 0
    assert capsys.readouterr().out == "changed book/01-a.md\nchanged book/02-b.md\n"
    assert (
        chapter_text(core("def half(x):\n    x = x / 2\n\n    return x", "half"))
        == (tree / "book/01-a.md").read_text()
    )
    assert path.read_text().split("# digest")[0] == after.split("# digest")[0]
    assert command(tree, "--check") == 0
    assert command(tree, "--untangle") == 0
    assert capsys.readouterr().out == ""


HALF, THIRD = "# 01 Sample 1 · half", "# 02 Sample 2 · third"
NOT_CARRIED = {
    "a comment edited": (THIRD, "# third", f"m.py: the line '{THIRD}' must stand in it exactly once"),
    "a comment twice": (
        THIRD,
        f"{THIRD}\n{THIRD}",
        f"m.py: the line '{THIRD}' must stand in it exactly once",
    ),
    "a blank line removed": (
        f"\n\n\n{THIRD}",
        f"\n\n{THIRD}",
        f"m.py:36: the blank lines below '{HALF}' must stay",
    ),
    "a line above the digest": (
        "\n\n\n# digest",
        "\nX = 1\n\n# digest",
        f"m.py:42: the blank lines below '{THIRD}' must stay",
    ),
    "a line above the first comment": (
        f"\n\n\n{HALF}",
        f"\n{HALF}",
        "m.py:32 comes from no cell; from the book this line is ''",
    ),
    "the usage example": (
        ">>> rng",
        ">>> my_rng",
        "m.py:8 comes from no cell; from the book this line is '>>> rng = np.random.default_rng(0)'",
    ),
    "a public name added": (
        "def half",
        "def double(x): ...\n\n\ndef half",
        'm.py:30 comes from no cell; from the book this line is \'    "double", "half", "third",\'',
    ),
    "a chunk emptied": ("def half(x):\n    return x / 2\n", "", "book/01-a.md:15: an empty python cell"),
    "a long line": (
        "x / 2",
        f"x / {'2' * 80}",
        "book/01-a.md:17: a core line has 95 characters, at most 79",
    ),
    "a fence": (
        "x / 2",
        'x / """\n```\n"""',
        "book/01-a.md:17: syntax error: unterminated triple-quoted string literal (detected at line 17)",
    ),
    "an unknown name": (
        "x / 2",
        "y / 2",
        "book/01-a.md:17: y comes neither from a core cell nor from the chapter's first cell; "
        "define or import it there",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), NOT_CARRIED.values(), ids=NOT_CARRIED)
def test_not_carried_back(
    tree: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    replace(tree / "m.py", old, new)
    before = contents(tree)
    assert command(tree, "--untangle") == 1
    assert capsys.readouterr().err == f"{message}\n"
    assert contents(tree) == before


def contents(tree: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in tree.rglob("*.*")}


def test_chunks_exchanged(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (tree / "m.py").read_text()
    (tree / "m.py").write_text(text.replace(HALF, "?").replace(THIRD, HALF).replace("?", THIRD))
    assert command(tree, "--untangle") == 1
    assert capsys.readouterr().err == "m.py: chunks have changed places; move the cells in the book instead\n"


@pytest.mark.parametrize("also", ["book", "digest"])
def test_nothing_is_carried_back_over_a_change(
    tree: Path, capsys: pytest.CaptureFixture[str], also: str
) -> None:
    replace(tree / "m.py", "x / 2", "x / 3")
    if also == "book":
        replace(tree / "book/02-b.md", "1.5", "1.25")
    else:
        replace(tree / "m.py", "# digest ", "# digest 0")
    before = contents(tree)
    assert command(tree, "--untangle") == 1
    assert capsys.readouterr().err == (
        "m.py was edited, and since it was written the book has changed too (or its last line is gone); "
        "undo one of the two, git diff shows them\n"
    )
    assert contents(tree) == before


INSERTED = (
    "",
    "# a comment",
    "    # indented",
    "    x = 1",
    "K = 1",
    "_K = 1",
    "```",
    "def f():",
    ")",
    THIRD,
    HALF,
)


EDITS = st.tuples(
    st.integers(34, 43) | st.integers(25, 45),  # most lines above and below are not the book's
    st.sampled_from([0, 0, 0, 1, 2]),
    st.sampled_from(INSERTED[:3]) | st.sampled_from(INSERTED),
)


def test_whatever_is_edited(tree: Path) -> None:
    """Either the module stays as it was edited, up to its digest, or nothing is written at all."""
    start, carried = contents(tree), []

    @settings(max_examples=60, deadline=None)
    @given(st.lists(EDITS, min_size=1, max_size=1) | st.lists(EDITS, min_size=2, max_size=3))
    @example([(36, 0, "    # indented")])
    @example([(24, 0, "# a comment")])
    def run(edits: list[tuple[int, int, str]]) -> None:
        lines = (tree / "m.py").read_text().split("\n")
        for at, removed, inserted in edits:
            lines[at : at + removed] = [inserted]
        (tree / "m.py").write_text("\n".join(lines))
        before = contents(tree)
        carried.append(command(tree, "--untangle") == 0)
        if carried[-1]:
            kept = "\n".join(lines).rpartition("# digest")[0]
            assert (tree / "m.py").read_text().rpartition("# digest")[0] == kept
            assert command(tree, "--check") == 0
        else:
            assert contents(tree) == before
        for path, content in start.items():
            path.write_bytes(content)

    run()
    assert {*carried} == {True, False}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_comments_always_come_back(data: st.DataObject) -> None:
    book = core_book(SKETCH)
    text = tangle(book).text.rpartition("# digest")[0]
    lines = text.split("\n")
    for number in sorted(tangle(book).places, reverse=True):
        if data.draw(st.booleans()):
            lines.insert(
                number, data.draw(st.sampled_from(["", "# left", "    # four", "            # twelve"]))
            )
    changed = tangle(untangle(Path("m.py"), "\n".join(lines), book))
    assert changed.text.rpartition("# digest")[0] == "\n".join(lines)
