"""Chapters with one mistake each, and what is said about it."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

LINEAR = r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $N$ | examples | $\mathbb{N}$ | `N` |
| $D$ | features in | $\mathbb{N}$ | `D` |
| $M$ | features out | $\mathbb{N}$ | `M` |
| $X$ | input | $\mathbb{R}^{N\times D}$ | `X` |
| $W$ | weights | $\mathbb{R}^{D\times M}$ | `W` |
| $b$ | biases | $\mathbb{R}^{M}$ | `b` |
| $Y$ | output | $\mathbb{R}^{N\times M}$ | `Y` |
| $L$ | any function of $Y$ | $\mathbb{R}$ | `L = any_loss(Y)` |
| $\frac{\partial L}{\partial Y}$ | from above | $\mathbb{R}^{N\times M}$ | `dY` |
| $\frac{\partial L}{\partial W}$ | | $\mathbb{R}^{D\times M}$ | `dW` |
| $\frac{\partial L}{\partial b}$ | | $\mathbb{R}^{M}$ | `db` |
| $\frac{\partial L}{\partial X}$ | | $\mathbb{R}^{N\times D}$ | `dX` |

```python tags=["notation"]
layer = Linear(D, M)
layer.weight, layer.bias = W, b
Y = layer.forward(X)
dX = layer.backward(dY)
dW, db = layer.dw, layer.db
```

"""
RIGHT = {
    "eq:linear": "Y = XW + b",
    "eq:dw": r"\frac{\partial L}{\partial W} = X^\top\frac{\partial L}{\partial Y}",
    "eq:dw-ij": r"""\begin{aligned}
\frac{\partial L}{\partial W_{ij}}
 &= \sum_n\sum_k\frac{\partial L}{\partial Y_{nk}}\frac{\partial Y_{nk}}{\partial W_{ij}} \\
 &= \sum_n X_{ni}\frac{\partial L}{\partial Y_{nj}}
\end{aligned}""",
    "eq:db": r"\frac{\partial L}{\partial b} = \sum_n \frac{\partial L}{\partial Y_n}",
    "eq:dx": r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial Y}W^\top \in\mathbb{R}^{N\times D}",
}


def displays(**changes: str) -> str:
    """The right equations, but for those given (dashes written as underscores)."""
    wrong = {f"eq:{name.replace('_', '-')}": tex for name, tex in changes.items()}
    return "".join(f"$$\n{wrong.get(label, tex)}\n$$ {{#{label}}}\n\n" for label, tex in RIGHT.items())


Findings = Callable[..., list[str]]


def test_a_right_chapter_passes(findings: Findings) -> None:
    assert findings(LINEAR + displays(), guards=True) == []


@pytest.mark.parametrize("seed", range(1, 6))
def test_other_seeds_give_no_false_alarm(findings: Findings, seed: int) -> None:
    assert findings(LINEAR + displays(), seed=seed) == []


WRONG = [
    (
        {"linear": "Y = XW - b"},
        "book/01-test.md:41: eq:linear: the two sides differ at entry (1, 5): -1.89222 against 0.994519\n"
        "      Y\n   =  XW - b",
    ),
    (
        {"dw": r"\frac{\partial L}{\partial W} = 2X^\top\frac{\partial L}{\partial Y}"},
        "(off by the factor 0.5 everywhere)",
    ),
    (
        {"dw": r"\frac{\partial L}{\partial W} = X\frac{\partial L}{\partial Y}"},
        "eq:dw: matrix product of shapes",
    ),
    ({"dw": r"\frac{\partial L}{\partial W} = \frac{\partial L}{\partial Y}^\top X"}, "shapes differ: "),
    (
        {"dw_ij": RIGHT["eq:dw-ij"].replace("X_{ni}", "X_{in}")},
        "eq:dw-ij: index i runs over 2 (first index of W) but also over 3 (first index of X)",
    ),
    (
        {"db": r"\frac{\partial L}{\partial b_j} = \sum_n \frac{\partial L}{\partial Y_{nk}}"},
        "index k is free here",
    ),
    ({"dx": RIGHT["eq:dx"].replace(r"N\times D", r"D\times N")}, "eq:dx: the shape is"),
    ({"linear": "Y = XW + c"}, "c is not in the notation table"),
    ({"linear": "Y = Y"}, "both sides are the same"),
    ({"linear": "Y = Y + 0"}, "Y stands on both sides"),
    ({"db": r"\frac{\partial b}{\partial L} = X"}, "b does not depend on L in the code"),
    ({"linear": r"Y_{nj} = \sum_{i=1}^{D+1} X_{ni}W_{ij} + b_j"}, "lies outside the second index of X"),
    ({"linear": r"Y_{nj} = \sum_i X_{n,i+1}W_{1,j} + b_j"}, "the range of index i is unknown"),
    ({"linear": r"Y_{njk} = X_{nj}"}, "Y has 2 axes, not 3"),
    ({"linear": r"Y = X^2"}, "powers of matrices are not read"),
    ({"linear": r"Y = X\odot W"}, r"\odot of shapes"),
    ({"linear": r"Y = bW"}, "a vector is a column"),
    ({"linear": r"Y = bb"}, "two vectors side by side"),
    ({"linear": r"Y_{nj} = \sum_i b_j"}, "the range of index i is unknown"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_wrong_equation_is_found(findings: Findings, changes: dict[str, str], message: str) -> None:
    found = findings(LINEAR + displays(**changes))
    assert len(found) == 1
    assert message in found[0]


def test_the_ratio_of_two_numbers_is_shown(findings: Findings) -> None:
    body = r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $z$ | | $\mathbb{R}$ | `z` |
| $s$ | | $\mathbb{R}$ | `s = sigmoid(z)` |

$$
s = \frac{2}{1+e^{-z}}
$$ {#eq:s}
"""
    (found,) = findings(body)
    assert found.endswith("(ratio 0.5)\n      s\n   =  \\frac{2}{1+e^{-z}}")


def test_a_wrong_backward_is_found_at_its_row(findings: Findings, module: dict[str, Any]) -> None:
    base: Any = module["Linear"]

    class Averaged(base):
        def backward(self, dy: np.ndarray) -> np.ndarray:
            self.dw, self.db = self.x.T @ dy, dy.mean(axis=0)
            return np.asarray(dy @ self.weight.T)

    (found,) = findings(LINEAR + displays(), Linear=Averaged)
    assert found.startswith(r"book/01-test.md:30: \frac{\partial L}{\partial b}: `db` is not the derivative")
    assert "off by the factor" in found


def test_an_exception_of_the_module_is_found_at_its_line(findings: Findings, module: dict[str, Any]) -> None:
    base: Any = module["Linear"]

    class Broken(base):
        def forward(self, x: np.ndarray) -> np.ndarray:
            raise ValueError("no such shape")

    found = findings(LINEAR + displays(linear="Y = XW+b"), Linear=Broken)
    assert "book/01-test.md:36: eq:linear: `Y = layer.forward(X)` raises ValueError: no such shape" in found


@pytest.mark.parametrize("error", ["SystemExit", "GeneratorExit", "KeyError"])
def test_whatever_code_raises_is_found_at_its_line(findings: Findings, error: str) -> None:
    body = LINEAR.replace("Y = layer.forward(X)", f"Y = (_ for _ in ()).throw({error}(1))")
    found = findings(body + displays(), **{error: getattr(builtins, error)})
    assert any(f"`Y = (_ for _ in ()).throw({error}(1))` raises {error}: 1" in one for one in found)


@pytest.mark.parametrize(
    "tex, said",
    [
        ("b" + " + b" * 200, "a formula of 403 signs, at most 400; break it up"),
        (r"\exp " * 390 + "b", "a formula that goes too deep; break it up"),
        ("{" * 41 + "b" + "}" * 41, "brackets within brackets, more than 40 deep; break it up"),
    ],
)
def test_a_formula_that_is_too_much_is_told(findings: Findings, tex: str, said: str) -> None:
    assert any(said in one for one in findings(LINEAR + displays(linear=f"Y = {tex}")))


def test_an_exception_of_a_function_is_found_at_its_row(findings: Findings) -> None:
    def broken(x: np.ndarray) -> np.ndarray:
        raise TypeError("no such number")

    row = "| $s$ | | $\\mathbb{R}\\to\\mathbb{R}$ | `broken` |\n| $Y$ |"
    found = findings(LINEAR.replace("| $Y$ |", row) + "$$\nL = s(N)\n$$ {#eq:s}\n", broken=broken)
    assert "book/01-test.md:26: eq:s: `broken` raises TypeError: no such number" in found


def test_a_forgotten_row_is_named(findings: Findings) -> None:
    table = "".join(
        line for line in LINEAR.splitlines(keepends=True) if "$b$" not in line and "`db`" not in line
    )
    body = table + "$$\nY = XW\n$$ {#eq:linear}\n"
    assert any(
        "`b` is neither in the module nor set by a row or a notation cell" in one for one in findings(body)
    )


ADAM = r"""
| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $K$ | parameters | $\mathbb{N}$ | `K` |
| $t$ | step | $\mathbb{N}$ | `t` |
| $\theta_{t-1}$ | before | $\mathbb{R}^{K}$ | `theta` |
| $m_{t-1}$ | mean | $\mathbb{R}^{K}$ | `m` |
| $v_{t-1}$ | mean square | $\mathbb{R}_{>0}^{K}$ | `v` |
| $g$ | gradient | $\mathbb{R}^{K}$ | `g` |
| $\eta$ | learning rate | $(0,1)$ | `lr` |
| $\beta_1$ | | $(0,1)$ | `b1` |
| $\beta_2$ | | $(0,1)$ | `b2` |
| $\epsilon$ | | $(0,1)$ | `eps` |
| $\theta_t$ | after | $\mathbb{R}^{K}$ | `adam_step(theta, m, v, g, t, lr, b1, b2, eps)[0]` |
| $m_t$ | | $\mathbb{R}^{K}$ | `adam_step(theta, m, v, g, t, lr, b1, b2, eps)[1]` |
| $v_t$ | | $\mathbb{R}_{>0}^{K}$ | `adam_step(theta, m, v, g, t, lr, b1, b2, eps)[2]` |
| $\hat m_t$ | | $\mathbb{R}^{K}$ | `eq:hat` |
| $\hat v_t$ | | $\mathbb{R}_{>0}^{K}$ | `eq:hat` |

$$
m_t = \beta_1 m_{t-1} + (1-\beta_1) g, \qquad v_t = \beta_2 v_{t-1} + (1-\beta_2) g^2
$$ {#eq:mean}

$$
\hat m_t = \frac{m_t}{1-\beta_1^t}, \qquad \hat v_t = \frac{v_t}{1-\beta_2^t}
$$ {#eq:hat}

$$
\theta_t = \theta_{t-1} - \eta\frac{\hat m_t}{\sqrt{\hat v_t}+\epsilon}
$$ {#eq:adam}
"""


def test_symbols_that_the_text_defines(findings: Findings) -> None:
    assert findings(ADAM, guards=True) == []


def test_a_wrong_definition_is_among_the_suspects(findings: Findings) -> None:
    (found,) = findings(ADAM.replace(r"1-\beta_1^t", r"1-\beta_1"))
    assert "eq:adam: the two sides differ at entry" in found
    assert found.endswith(r"or the definition of \hat m_t (eq:hat), \hat v_t (eq:hat) is wrong")


def test_epsilon_inside_the_root_is_noticed(findings: Findings) -> None:
    (found,) = findings(ADAM.replace(r"\sqrt{\hat v_t}+\epsilon", r"\sqrt{\hat v_t+\epsilon}"))
    assert "eq:adam" in found


def test_a_symbol_defined_by_itself_is_refused(findings: Findings) -> None:
    found = findings(
        ADAM.replace(r"\hat m_t = \frac{m_t}", r"\hat m_t = \frac{m_t+0\hat v_t}").replace(
            r"\hat v_t = \frac{v_t}", r"\hat v_t = \frac{v_t+0\hat m_t}"
        )
    )
    assert any("is defined by itself" in one for one in found)


def test_a_gradient_that_no_code_computes_is_found(findings: Findings) -> None:
    body = LINEAR.replace("dW, db = layer.dw, layer.db", "dW = layer.dw") + displays()
    (found,) = findings(body, guards=True)
    assert "no code computes `db` and none reads it" in found


UNUSED = [
    ("| $K$ | unused | $\\mathbb{N}$ | `K` |", "K: no checked equation uses this row"),
    ("| $s$ | | $\\mathbb{R}$ | `s = np.mean(Y)` |", "retypes the mathematics; call the module"),
]


@pytest.mark.parametrize(("row", "message"), UNUSED)
def test_a_row_that_stands_idle_or_retypes_is_found(findings: Findings, row: str, message: str) -> None:
    tail = "$$\ns = \\frac{1}{NM}\\sum_n\\sum_j Y_{nj}\n$$ {#eq:s}\n" if "$s$" in row else ""
    body = LINEAR.replace("| $Y$ |", row + "\n| $Y$ |") + displays() + tail
    found = findings(body, guards=True)
    assert len(found) == 1
    assert message in found[0]


def test_a_definition_that_nothing_uses_is_found(findings: Findings) -> None:
    body = LINEAR.replace("| $Y$ |", "| $s$ | | $\\mathbb{R}$ | `eq:s` |\n| $Y$ |") + displays()
    found = findings(body + "$$\ns = \\sum_j b_j\n$$ {#eq:s}\n", guards=True)
    assert [one.split(": ", 1)[1] for one in found] == [
        "s: eq:s defines it and no other checked equation uses it"
    ]


ROWS = [
    ("| $s$ | | $\\mathbb{Q}$ | `s` |", "the set $\\mathbb{Q}$ is not known"),
    ("| $s$ | | numbers | `s` |", "the set must begin with one formula in dollars"),
    ("| $s$ | | $\\mathbb{R}$, big | `s` |", "unknown words in the set: 'big'"),
    ("| $s$ | | $\\mathbb{R}$ | `s = ` |", "is not Python"),
    ("| $s$ | | $\\mathbb{R}$ | `s += 1` |", "write a name, an expression, name = expression, or eq:label"),
    ("| $a+b$ | | $\\mathbb{R}$ | `s` |", "a+b is not one symbol"),
    ("| $\\frac{\\partial L}{\\partial W_{ij}}$ | | $\\mathbb{R}$ | `s` |", "without indices"),
    ("| $s$ | | $\\mathbb{R}^{N}$ | `s = any_loss(Y)` |", "has shape (), its set says ("),
    ("| $s$ | | $\\{0,1\\}$ | `s = any_loss(Y)` |", "lies outside its set"),
    ("| $s$ | | $\\mathbb{R}\\to\\mathbb{R}$ | `nothing` |", "`nothing` is not in the module"),
    ("| $s$ | | $\\mathbb{R}$ | `eq:linear` |", "eq:linear does not define s"),
]


@pytest.mark.parametrize(("row", "message"), ROWS)
def test_a_bad_row_is_found_at_its_line(findings: Findings, row: str, message: str) -> None:
    use = "s(N)" if r"\to" in row else "s"
    found = findings(LINEAR.replace("| $Y$ |", row + "\n| $Y$ |") + f"$$\nL = {use}\n$$ {{#eq:s}}\n")
    assert any(one.startswith("book/01-test.md:26: ") and message in one for one in found)
