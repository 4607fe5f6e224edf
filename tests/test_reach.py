"""What a chapter rests on: the part of the module that its imports reach."""

from __future__ import annotations

import pytest

from literate.run.notebooks import _key
from literate.tangle.reach import Source
from tests.books import core_book, core_chapter

FIRST = """\
import math
import numpy as np
---
def inner(x):
    return math.sqrt(x)
---
def outer(x):
    return Table().of(inner(x))
---
TABLE = {"cube": lambda x: cube(x)}
---
def cube(x):
    return x**3
---
class Table:
    def of(self, x):
        return x
===
import numpy as np
from backprop_core import Table
---
class Table(Table):
    def back(self, x):
        return helper(x)
---
def helper(x):
    return np.cos(x)
---
def apart(x):
    return np.sin(x)
"""
USES = "import numpy as np\nfrom backprop_core import outer"
REACHED = [
    ("math.sqrt(x)", "math.cbrt(x)"),  # by a function that it calls
    ("of(self, x)", "of(self, x, y=1)"),  # by a class
    ("np.cos(x)", "np.tan(x)"),  # by what continues the class
    ("x**3", "x**4"),  # by what acts at import
    ("lambda x: cube(x)", "lambda x: cube(-x)"),
    ("import math\nimport numpy", "from math import nan as math\nimport numpy"),
]


def digest(sketch: str, cell: str = "outer(2)") -> str:
    chapter = core_chapter([f"def last():\n    return {cell}"], 3, USES)
    return Source(core_book(sketch)).reached_by(chapter)


@pytest.mark.parametrize(("right", "wrong"), REACHED)
def test_what_is_reached_counts(right: str, wrong: str) -> None:
    assert FIRST.count(right) == 1
    assert digest(FIRST.replace(right, wrong)) != digest(FIRST)


def test_what_is_not_reached_does_not() -> None:
    assert digest(FIRST.replace("np.sin(x)", "np.exp(x)")) == digest(FIRST)
    assert digest(f"{FIRST}---\ndef more(x):\n    return x\n") == digest(FIRST)


@pytest.mark.parametrize("cell", ["__import__('backprop_core').apart(2)", "'backprop_core'"])
def test_who_speaks_of_the_module_rests_on_all_of_it(cell: str) -> None:
    assert digest(FIRST.replace("np.sin(x)", "np.exp(x)"), cell=cell) != digest(FIRST, cell=cell)


def key(sketch: str, cell: str = "outer(2)") -> str:
    """That of the last chapter's executed notebook."""
    return _key(core_chapter([f"def last():\n    return {cell}"], 3, USES), core_book(sketch))


def test_a_docstring_runs_nothing() -> None:
    told = FIRST.replace("def inner(x):\n", 'def inner(x):\n    """The root."""\n')
    empty = FIRST.replace("class Table:\n", 'class Table:\n    """Of values."""\n')
    assert FIRST != told != empty != FIRST
    assert key(told) == key(FIRST) == key(empty)
    assert digest(told) != digest(FIRST) != digest(empty)  # which the checks of equations read


@pytest.mark.parametrize("cell", ["outer.__doc__", "help(outer)"])
def test_it_counts_for_who_reads_it(cell: str) -> None:
    told = FIRST.replace("def inner(x):\n", 'def inner(x):\n    """The root."""\n')
    assert key(told, cell) != key(FIRST, cell)
    assert key(told.replace("x**3", cell)) != key(FIRST.replace("x**3", cell))  # the module does


def test_a_function_that_registers_itself_counts() -> None:
    cells = ["def note(f):\n    return f", "@note\ndef seen(x):\n    return x", "def outer(x):\n    return x"]
    sketch = "\n---\n".join(cells)
    assert digest(sketch.replace("seen(x)", "seen(x, y)")) != digest(sketch)
