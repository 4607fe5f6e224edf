"""The displays that the checker does not read: each is held to account here, from the text as it stands.

What has a limit or an endless series is tried at small steps, an average is taken over all cases.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable

import numpy as np
import pytest

import backprop_core as bp
from equations.arrays import Ranges
from equations.book import Book, read_display
from equations.evaluate import Evaluator
from literate.chapter import ROOT, Chapter
from literate.reader import HEADER, parse_chapter, read_book

TABLE = r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $f$ | any smooth function | $\mathbb{R}\to\mathbb{R}$ | `np.exp` |
| $f'$ | its slope | $\mathbb{R}\to\mathbb{R}$ | `np.exp` |
| $f''$ | its curvature | $\mathbb{R}\to\mathbb{R}$ | `np.exp` |
| $f'''$ | and once more | $\mathbb{R}\to\mathbb{R}$ | `np.exp` |
| $x$ | where | $(0.5,1)$ | `x` |
| $h$ | a step | $(0.01,0.02)$ | `h` |
| $i$ | the imaginary unit | $\mathbb{C}$ | `1j` |
"""


def gap(tex: str, step: float) -> float:
    """How far the two sides are apart, with steps between this and twice this."""
    table = TABLE.replace("(0.01,0.02)", f"({step},{2 * step})")
    start = f"{HEADER}\n# Title\n\n```python\nimport numpy as np\n```\n"
    chapter = parse_chapter(f"{start}{table}\n$$\n{tex}\n$$ {{#eq:x}}\n", ROOT / "book" / "01-test.md")
    book = Book([chapter], {})
    notation = book.notation(chapter, chapter.displays[0].place.line)
    (read,) = read_display(tex, notation)
    env = book.draw(notation, "x", 0, frozenset(), frozenset(notation.by_id))
    one, other = (Evaluator(env, Ranges())(side).data for side in read.sides)
    return float(abs(one - other)) / step


def approaches(tex: str, order: int) -> bool:
    """Whether the gap, for a step of a tenth, is smaller by ten to this power."""
    ratio = gap(tex, 0.1) / gap(tex, 0.01)
    return 0.5 * 10**order < ratio < 2 * 10**order


def limit(tex: str) -> bool:
    inside = tex.replace(r"\lim_{h\to 0}", "")
    return inside != tex and gap(inside, 1e-4) < 3


def first_order(tex: str) -> bool:
    return gap(tex.replace(r"\approx", "="), 1e-4) < 3


def series(terms: int) -> Callable[[str], bool]:
    def holds(tex: str) -> bool:
        begun = re.sub(r"[+-] \\dots$", "", tex.strip())
        return begun != tex.strip() and approaches(begun, terms - 1)

    return holds


def average(tex: str) -> bool:
    """Over all signs of three weights."""
    x = np.array([0.3, -1.2, 2.0])
    weights = 0.7 * np.array(list(itertools.product((-1, 1), repeat=3)))
    squares = {"y": np.mean((weights @ x) ** 2), "w": np.mean(weights**2), "x": np.mean(x**2), "D": 3}
    sides = [re.findall(r"\\overline\{(\w)\^2\}|(D)", side) for side in tex.split("=")]
    values = [math.prod(float(squares[a or b]) for a, b in side) for side in sides]
    rest = re.sub(r"\\overline\{\w\^2\}|D|\\,|\s|=", "", tex)
    return not rest and len(values) == 2 and math.isclose(*values, rel_tol=1e-12)


def shapes(tex: str) -> bool:
    """Each factor has as many columns as the next has rows."""
    found = re.findall(r"\\underbrace\{J_(\d)\}_\{(\d+)\\times(\d+)\}", tex)
    order = [int(number) for number, _, _ in found]
    fits = all(left[2] == right[1] for left, right in itertools.pairwise(found))
    return order == [3, 2, 1] and fits and found[0][1] == "1"


def matrix(tex: str) -> bool:
    """What it makes of velocity and distance is what a step of momentum makes of them."""
    blocks = re.findall(r"\\begin\{pmatrix\}(.*?)\\end\{pmatrix\}", tex, re.S)
    (after, step, before) = ([row.split("&") for row in block.split(r"\\")] for block in blocks)
    curvature, lr, mu, v, e = 1.3, 0.7, 0.6, 0.5, 2.0
    p = bp.Parameter(e)
    sgd = bp.SGD([p], lr=lr, momentum=mu)
    sgd.state["velocity"][...], p.grad = v, curvature * e
    sgd.step()
    values = {"v_{t+1}": sgd.state["velocity"].item(), "e_{t+1}": p.data.item(), "v_t": v, "e_t": e}
    values |= {r"\mu": mu, "a": curvature, r"-\eta\mu": -lr * mu, r"1-\eta a": 1 - lr * curvature}
    numbers = [
        np.array([[values.get(one.strip(), math.nan) for one in row] for row in rows])
        for rows in (after, step, before)
    ]
    return np.allclose(numbers[0], numbers[1] @ numbers[2], rtol=1e-12)


HELD: dict[str, Callable[[str], bool]] = {  # by label, or by the reason why it is not read
    "eq:derivative": limit,
    "eq:forward-difference": first_order,
    "eq:taylor": series(4),
    "eq:taylor-complex": series(3),
    "eq:variance-forward": average,
    "shows shapes only, states nothing": shapes,
    "the two equations above, side by side": matrix,
}
MISTAKES = [
    ("eq:derivative", "f(x+h)-f(x)", "f(x+h)-f(x-h)"),
    ("eq:derivative", r"h\to 0", r"h\to\infty"),
    ("eq:forward-difference", "f(x+h)-f(x)", "f(x)-f(x+h)"),
    ("eq:taylor", r"\frac{h^3}{6}", r"\frac{h^3}{3}"),
    ("eq:taylor", r"\frac{h^2}{2}", r"\frac{h^2}{3}"),
    ("eq:taylor-complex", r"- \frac{h^2}{2}", r"+ \frac{h^2}{2}"),
    ("eq:variance-forward", "D", "M"),
    ("eq:variance-forward", "D", r"\sqrt D"),
    ("shows shapes only, states nothing", r"1\times1000", r"1000\times1"),
    ("the two equations above, side by side", r"\mu & a", r"a & \mu"),
    ("the two equations above, side by side", r"-\eta\mu", r"\eta\mu"),
]


@pytest.fixture(scope="module")
def displays() -> dict[str, str]:
    chapters: list[Chapter] = read_book()
    found = [one for chapter in chapters for one in chapter.displays if one.unchecked]
    assert len(found) == len(HELD)
    return {str(one.label or one.unchecked): one.tex for one in found}


def test_each_is_held_to_account(displays: dict[str, str]) -> None:
    assert displays.keys() == HELD.keys(), "say here how a display is tried that the checker does not read"
    assert [label for label, holds in HELD.items() if not holds(displays[label])] == []


@pytest.mark.parametrize(("label", "right", "wrong"), MISTAKES)
def test_a_mistake_is_found(displays: dict[str, str], label: str, right: str, wrong: str) -> None:
    tex = displays[label]
    assert right in tex and not HELD[label](tex.replace(right, wrong, 1))
