"""What the subset can say beyond plain formulas; each right and then wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

TABLE = "| Symbol | Meaning | Set | In code |\n|---|---|---|---|\n"
COMMON = r"""| $N$ | | $\mathbb{N}$ | `N` |
| $K$ | | $\mathbb{N}$ | `K` |
| $x$ | | $\mathbb{R}^{N}$ | `x` |
| $u$ | | $\mathbb{R}$ | `u` |
| $h$ | | $(0,1)$ | `h` |
| $z$ | | $\mathbb{R}^{N\times K}$ | `z` |
| $p$ | | $\mathbb{R}^{N\times K}$ | `p = softmax(z)` |
| $f$ | | $\mathbb{R}\to\mathbb{R}$ | `any_function` |
| $\sigma$ | | $\mathbb{R}\to\mathbb{R}$ | `sigmoid` |
| $\operatorname{ReLU}$ | | $\mathbb{R}\to\mathbb{R}$ | `relu` |
| $\delta$ | | $\{0,1\}$ | `kronecker` |
"""
# a right equation with its rows, and the same with one mistake
CASES: list[tuple[str, str, str]] = [
    (
        "",
        r"\operatorname{ReLU}(u) = \begin{cases} u & \text{if } u > 0 \\ 0 & \text{otherwise} \end{cases}",
        r"\operatorname{ReLU}(u) = \begin{cases} u & \text{if } u > 0 \\ 1 & \text{otherwise} \end{cases}",
    ),
    ("", r"\operatorname{ReLU}(u) = u\,\mathbf 1[u > 0]", r"\operatorname{ReLU}(u) = u\,\mathbf 1[u < 0]"),
    ("", r"\operatorname{ReLU}'(x) = \mathbf 1\{x > 0\}", r"\operatorname{ReLU}'(x) = \mathbf 1\{x > 1\}"),
    ("", r"\operatorname{ReLU}(x_n) = \max(0, x_n)", r"\operatorname{ReLU}(x_n) = \min(0, x_n)"),
    (
        "",
        r"\operatorname{ReLU}(x) = \frac{x + \lvert x\rvert}{2}",
        r"\operatorname{ReLU}(x) = \frac{x + x}{2}",
    ),
    ("", r"\sigma'(u) = \sigma(u)(1-\sigma(u))", r"\sigma'(u) = \sigma(u)(1+\sigma(u))"),
    ("", r"\frac{d\sigma}{du} = \sigma(u)(1-\sigma(u))", r"\frac{d\sigma}{du} = \sigma(u)"),
    ("", r"\frac{\partial}{\partial u} f(2u) = 2f'(2u)", r"\frac{\partial}{\partial u} f(2u) = f'(2u)"),
    ("", r"\sigma(u) = \frac12(1+\tanh\frac u2)", r"\sigma(u) = \frac12(1+\tanh u)"),
    ("", r"\sum_k p_{nk} = 1", r"\sum_n p_{nk} = 1"),
    ("", r"p\,\mathbf 1_K = \mathbf 1_N", r"p^\top\mathbf 1_N = \mathbf 1_K"),
    ("", r"\log p_{nk} = z_{nk} - \log\sum_j e^{z_{nj}}", r"\log p_{nk} = z_{nk} - \log\sum_j z_{nj}"),
    (
        "",
        r"\frac{\partial p_{nk}}{\partial z_{mj}} = \delta_{nm} p_{nk}(\delta_{kj}-p_{nj})",
        r"\frac{\partial p_{nk}}{\partial z_{mj}} = p_{nk}(\delta_{kj}-p_{nj})",
    ),
    ("", r"\sum_{j\ne k} p_{nj} = 1-p_{nk}", r"\sum_{j\ne k} p_{nj} = p_{nk}"),
    (
        "| $c$ | the right class | $\\{1,\\dots,K\\}^{N}$ | `c` |\n"
        "| $L$ | | $\\mathbb{R}$ | `L = cross_entropy(p, np.eye(K)[c - 1])` |\n",
        r"L = -\frac1N\sum_n \log p_{n,c_n}",
        r"L = -\frac1N\sum_n \log p_{n,n}",
    ),
    (
        "| $D$ | | $\\mathbb{R}$ | `(any_function(u + h) - any_function(u - h)) / (2 * h)` |\n",
        r"D = \frac{f(u+h)-f(u-h)}{2h}",
        r"D = \frac{f(u+h)-f(u)}{h}",
    ),
    (
        "| $h$ | small | $(0.001,0.002)$ | `h` |\n",
        r"f'(u) \approx \frac{f(u+h)-f(u-h)}{2h}",
        r"f'(u) \approx \frac{f(u+h)-f(u-h)}{h}",
    ),
    (
        "| $i$ | | $\\mathbb{C}$ | `1j` |\n| $s$ | | $\\mathbb{R}$ | `any_function(u + 1j * h).imag / h` |\n",
        r"s = \frac{\operatorname{Im} f(u+ih)}{h}",
        r"s = \frac{\operatorname{Re} f(u+ih)}{h}",
    ),
    (
        "| $y$ | | $\\mathbb{R}$ | `y = any_function(u)` |\n",
        r"\frac{d^2y}{du^2} = f''(u)",
        r"\frac{d^2y}{du^2} = f'(u)",
    ),
    (
        "| $\\theta$ | | $\\mathbb{R}^{N}$ | `theta` |\n| $m$ | | $\\mathbb{R}^{N}$ | `m` |\n"
        "| $v$ | | $\\mathbb{R}_{>0}^{N}$ | `v` |\n"
        "| $\\theta\\leftarrow$ | | $\\mathbb{R}^{N}$ | `adam_step(theta, m, v, x, 1, h, 0, 0, 0.5)[0]` |\n",
        r"\theta \leftarrow \theta - h\frac{x}{\sqrt{x^2} + \frac12}",
        r"\theta \leftarrow \theta + h\frac{x}{\sqrt{x^2} + \frac12}",
    ),
    (
        "| $y$ | | $\\mathbb{R}^{N}$ | `y = sigmoid(x)` |\n",
        r"\frac{\partial y}{\partial x} = \operatorname{diag}(y\odot(1-y))",
        r"\frac{\partial y}{\partial x} = \operatorname{diag}(y)\odot(1-y)",
    ),
    (
        "| $L$ | | $\\mathbb{R}$ | `L = any_loss(p)` |\n",
        r"\nabla_z L = p\odot\left(\nabla_p L - (p\odot\nabla_p L)\mathbf 1_K \mathbf 1_K^T\right)",
        r"\nabla_z L = p\odot\left(\nabla_p L - (p\odot\nabla_p L)\mathbf 1_K\right)",
    ),
    (
        "| $s$ | | $\\mathbb{R}$ | `mse(x, 0 * x)` |\n",
        r"s = \frac{\lVert x\rVert_2^2}{N} = \frac{x^\top x}{N} = \frac{x\cdot x}{N}",
        r"s = \frac{\lVert x\rVert_1^2}{N} = \frac{x^\top x}{N} = \frac{x\cdot x}{N}",
    ),
]

CONVOLUTION = (
    TABLE
    + r"""| $H$ | | $\mathbb{N}$ | `H` |
| $B$ | | $\mathbb{N}$ | `B` |
| $q$ | | $\mathbb{N}$ | `q` |
| $x$ | | $\mathbb{R}^{(H+q-1)\times(B+q-1)}$ | `x` |
| $w$ | | $\mathbb{R}^{q\times q}$ | `w` |
| $Y$ | | $\mathbb{R}^{H\times B}$ | `Y = convolve(x, w)` |
| $L$ | | $\mathbb{R}$ | `L = any_loss(Y)` |
| $G$ | gradient from above | $\mathbb{R}^{H\times B}$, zero outside | `eq:from-above` |
| $\frac{\partial L}{\partial Y}$ | | $\mathbb{R}^{H\times B}$ | `dY` |
| $\frac{\partial L}{\partial x}$ | | $\mathbb{R}^{(H+q-1)\times(B+q-1)}$ | `convolve_backward(dY, x, w)[0]` |
| $\frac{\partial L}{\partial w}$ | | $\mathbb{R}^{q\times q}$ | `convolve_backward(dY, x, w)[1]` |

$$
Y_{ij} = \sum_{u=1}^{q}\sum_{v=1}^{q} x_{i+u-1,j+v-1}\,w_{uv}
$$ {#eq:convolution}

$$
G_{ij} = \frac{\partial L}{\partial Y_{ij}}
$$ {#eq:from-above}

$$
\frac{\partial L}{\partial w_{uv}} = \sum_i\sum_j G_{ij}\,x_{i+u-1,j+v-1}, \qquad
\frac{\partial L}{\partial x_{ab}} = \sum_u\sum_v G_{a-u+1,b-v+1}\,w_{uv}
$$ {#eq:convolution-backward}
"""
)
RECURRENCE = (
    TABLE
    + r"""| $T$ | | $\mathbb{N}$ | `T` |
| $D$ | | $\mathbb{N}$ | `D` |
| $H$ | | $\mathbb{N}$ | `H` |
| $x$ | | $\mathbb{R}^{T\times D}$ | `x` |
| $h$ | states, from $h_0$ on | $\mathbb{R}^{(T+1)\times H}$, from 0 | `recurrent(x, start, W, U)` |
| $s$ | | $\mathbb{R}^{H}$ | `start` |
| $W$ | | $\mathbb{R}^{D\times H}$ | `W` |
| $U$ | | $\mathbb{R}^{H\times H}$ | `U` |

$$
h_0 = s, \qquad h_t = \tanh(W^\top x_t + U^\top h_{t-1})
$$ {#eq:recurrence}

$$
h_{tk} = \tanh\Bigl(\sum_j W_{jk}x_{tj} + \sum_j U_{jk} h_{t-1,j}\Bigr)
$$ {#eq:recurrence-indices}
"""
)
SHIFTED = [
    (CONVOLUTION, "w_{uv}\n$$ {#eq:convolution}", "w_{vu}\n$$ {#eq:convolution}"),
    (CONVOLUTION, "G_{a-u+1,b-v+1}", "G_{a+u-1,b+v-1}"),
    (CONVOLUTION, r"G_{ij}\,x_{i+u-1,j+v-1}", r"G_{ij}\,x_{i+u,j+v-1}"),
    (RECURRENCE, "U^\\top h_{t-1}", "U h_{t-1}"),
    (RECURRENCE, "h_{t-1}", "h_{t}"),
    (RECURRENCE, "h_0 = s", "h_1 = s"),
    (RECURRENCE, "x_{tj}", "x_{t-1,j}"),
]

Findings = Callable[..., list[str]]


def noticed(found: list[str]) -> bool:
    """Whether the text is blamed for what it claims, not for how it is written."""
    reasons = "the two sides differ|of shapes|runs over|lies outside the|stands on both sides"
    return bool(found) and all(re.search(reasons, one) for one in found)


@pytest.mark.parametrize(("rows", "right", "wrong"), CASES)
def test_the_right_passes_and_the_wrong_does_not(
    findings: Findings, rows: str, right: str, wrong: str
) -> None:
    table = TABLE + COMMON + rows
    assert findings(f"{table}\n$$\n{right}\n$$ {{#eq:x}}\n") == []
    assert noticed(findings(f"{table}\n$$\n{wrong}\n$$ {{#eq:x}}\n"))


@pytest.mark.parametrize("chapter", [CONVOLUTION, RECURRENCE])
def test_shifts_pass(findings: Findings, chapter: str) -> None:
    assert findings(chapter) == []


@pytest.mark.parametrize(("chapter", "right", "wrong"), SHIFTED)
def test_wrong_shifts_do_not(findings: Findings, chapter: str, right: str, wrong: str) -> None:
    assert right in chapter
    assert noticed(findings(chapter.replace(right, wrong)))


def test_no_derivative_is_taken_of_what_the_text_calls_a_derivative(findings: Findings) -> None:
    right, wrong = (rf"\frac{{\partial {top}}}{{\partial w_{{uv}}}} = \sum" for top in "LG")
    nested = CONVOLUTION.replace(right, wrong)
    assert nested != CONVOLUTION
    assert "G rests on G, a derivative; derivatives of those are not taken" in " ".join(findings(nested))
