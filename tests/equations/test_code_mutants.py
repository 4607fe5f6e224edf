"""Mistakes planted in a module, noticed through the equations alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from equations.errors import MathError
from literate.chapter import Chapter
from tests.equations.code_mutants import mutants_of, plant_in_module

SOURCE = """
def double(x):
    if x.ndim > 3:
        raise ValueError("not checked by an equation")
    return 2 * x


def shift(x):
    return x + 0 * x


def never_called(x):
    return x + 1
"""
BODY = r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $N$ | | $\mathbb{N}$ | `N` |
| $x$ | | $\mathbb{R}^{N}$ | `x` |
| $y$ | | $\mathbb{R}^{N}$ | `double(x)` |
| $z$ | | $\mathbb{R}^{N}$ | `shift(x)` |

$$
y = 2x
$$ {#eq:double}

$$
z_i - x_i = 0
$$ {#eq:shift}
"""


def test_every_change_of_what_computes_is_tried(make_chapter: Callable[[str], Chapter]) -> None:
    survivors: list[str] = []
    killed, total = plant_in_module([make_chapter(BODY)], SOURCE, lambda one: survivors.append(str(one)))
    where = "survives: shift, line 9 of the module: operator changed in"
    assert survivors == [f"{where} x - 0 * x"]  # it is true; 0 / x is no number at 0
    assert (killed, total) == (4, 5)


def test_a_book_that_fails_anyway_is_refused(make_chapter: Callable[[str], Chapter]) -> None:
    with pytest.raises(MathError, match=r"the unchanged book must pass: .*eq:double"):
        plant_in_module([make_chapter(BODY.replace("y = 2x", "y = 3x"))], SOURCE, print)


SLIPS = """
import numpy as np


def total(x, scale=1.0):
    found = np.zeros(x.shape[1:], dtype=x.dtype)
    for n in range(len(x)):
        found += scale * x[n]
    return found.astype(x.dtype)
"""
TOTAL = r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $N$ | | $\mathbb{N}$ | `N` |
| $K$ | | $\mathbb{N}$ | `K` |
| $x$ | | $\mathbb{R}^{N\times K}$ | `x` |
| $y$ | | $\mathbb{R}^{K}$ | `total(x)` |

$$
y_k = \sum_n x_{nk}
$$ {#eq:total}
"""


def test_slips_of_other_kinds(make_chapter: Callable[[str], Chapter]) -> None:
    """A default, a last step, an overwritten sum and half precision are noticed by six digits."""
    survivors: list[str] = []
    chapters = [make_chapter(TOTAL)]
    found = plant_in_module(chapters, SLIPS, lambda one: survivors.append(str(one)), slips=True)
    assert (survivors, found) == ([], (5, 5))


def test_what_reshape_leaves_open_has_no_other_number() -> None:
    """NumPy takes any negative number for the -1 of a reshape; that of a sum is a mistake."""
    source = "def f(x):\n    return x.reshape(2, -1).sum(-1)\n"
    found = [one.what for one in mutants_of(source, ["f"], slips=False)]
    assert sorted(found) == [
        "constant changed in 2",
        "constant changed in 3",
        "function changed in x.reshape(2, -1).mean",
        "sign dropped in +1",
        "sign dropped in +1",
    ]
