"""Mistakes that were published, replayed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

ROWS = r"""| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $N$ | | $\mathbb{N}$ | `N` |
| $D$ | | $\mathbb{N}$ | `D` |
| $M$ | | $\mathbb{N}$ | `M` |
| $h$ | | $\mathbb{R}^{D}$ | `h` |
| $H$ | a batch of rows | $\mathbb{R}^{N\times D}$ | `H` |
| $W$ | | $\mathbb{R}^{D\times M}$ | `W` |
| $b$ | | $\mathbb{R}^{M}$ | `b` |
| $f$ | | $\mathbb{R}\to\mathbb{R}$ | `any_function` |
| $A$ | | $\mathbb{R}^{N\times M}$ | `any_function(H @ W + b)` |
| $w$ | | $\mathbb{R}^{M}$ | `w = any_function(h @ W + b)` |
| $E$ | | $\mathbb{R}$ | `E = any_loss(w)` |
| $t$ | target | $\mathbb{R}$ | `t` |
| $o$ | output | $\mathbb{R}$ | `o` |
| $C$ | | $\mathbb{R}$ | `C = mse(o, t)` |
| $v$ | | $\mathbb{R}^{M}$ | `v` |
| $u$ | | $\mathbb{R}^{M}$ | `u` |
| $\eta$ | | $(0,1)$ | `lr` |
| $\theta$ | | $\mathbb{R}^{M}$ | `theta` |
| $g$ | | $\mathbb{R}^{M}$ | `g` |
| $\theta\leftarrow$ | | $\mathbb{R}^{M}$ | `adam_step(theta, 0 * g, 0 * g, g, 1, lr, 0.0, 0.0, 0.0)[0]` |
| $\sigma$ | | $\mathbb{R}\to\mathbb{R}$ | `sigmoid` |
| $s$ | a row with the weights in front | $\mathbb{R}^{N\times D}$ | `sigmoid(H)` |
"""
# published, what is said about it, and the right version
ERRATA = [
    ("A = f(WH+b)", "matrix product of shapes", "A = f(HW+b)"),  # W in front, where rows are examples
    (  # weight plus learning rate times gradient
        r"\theta \leftarrow \theta + \eta\frac{g}{\sqrt{g^2}}",
        "the two sides differ",
        r"\theta \leftarrow \theta - \eta\frac{g}{\sqrt{g^2}}",
    ),
    (  # the outer product the wrong way round
        r"\frac{\partial E}{\partial W} = \frac{\partial E}{\partial w}h^\top",
        "shapes differ",
        r"\frac{\partial E}{\partial W} = h\left(f'(W^\top h+b)\odot\nabla_w E\right)^\top",
    ),
    (r"v = \max(v, u)", "v stands on both sides", r"\max(v_j, u_j) = v_j[v_j > u_j] + u_j[v_j \le u_j]"),
    (  # a reader's wrong correction
        r"\frac{\partial C}{\partial o} = 2(t-o)o",
        "the two sides differ",
        r"\frac{\partial C}{\partial o} = -2(t-o)",
    ),
    (r"\sigma'(t) = \sigma(t)(1+\sigma(t))", "the two sides differ", r"\sigma'(t) = \sigma(t)(1-\sigma(t))"),
]


@pytest.mark.parametrize(("published", "message", "right"), ERRATA)
def test_a_published_mistake_is_caught(
    findings: Callable[..., list[str]], published: str, message: str, right: str
) -> None:
    (found,) = findings(f"{ROWS}\n$$\n{published}\n$$ {{#eq:x}}\n")
    assert message in found
    assert findings(f"{ROWS}\n$$\n{right}\n$$ {{#eq:x}}\n") == []
