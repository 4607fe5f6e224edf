"""How LaTeX is read, and what is refused: golden readings."""

from __future__ import annotations

import pytest

from equations.chains import equations
from equations.errors import MathError
from equations.reader import read_sides
from equations.syntax import show

VALUES = (
    r"L W X Y Z p z y a b c h x v \hat{y} \mu \gamma \sigma^{2} \beta_{1} m_{t} m_{t-1} x^{\text{new}} \theta"
)
KINDS = {
    **dict.fromkeys(VALUES.split(), "value"),
    **dict.fromkeys("N K n T".split(), "number"),
    **dict.fromkeys(["f", r"\sigma", r"\operatorname{ReLU}"], "function"),
    **{r"\delta": "indexed"},
}


def reading(tex: str) -> str:
    found = []
    for equation in equations(tex):
        is_update = equation.sides[1].relation == "←"
        sides = read_sides([side.tokens for side in equation.sides], KINDS, is_update)
        found.append(" = ".join(map(show, sides)))
    return "; ".join(found)


READINGS = [
    (r"y = \frac1n x", r"((1 / n) * x)"),
    (r"y_i = \hat y_i^2", r"y[i] = (\hat{y}[i] ^ 2)"),
    (r"y = \beta_1 m_{t-1} + (1-\beta_1) x", r"((\beta_{1} * m_{t-1}) + ((1 - \beta_{1}) * x))"),
    (r"y_j = \sigma^2_j", r"y[j] = \sigma^{2}[j]"),
    (r"y_j = \sigma_j^2", r"y[j] = \sigma^{2}[j]"),
    (r"y = \sigma(x)", r"\sigma(x)"),
    (r"y = \gamma(1-x)", r"(\gamma * (1 - x))"),
    (r"y = a − b", r"(a - b)"),  # a minus sign is one, too
    (r"y = \operatorname{ReLU}(x)^2", r"(\operatorname{ReLU}(x) ^ 2)"),
    (r"y_{i} = x_{i+1,i}", r"y[i] = x[(i + 1), i]"),
    (r"y = \sum_n a_n b_n + c", r"(sum[n]((a[n] * b[n])) + c)"),
    ("y = " + "(" * 40 + "a" + ")" * 40, "a"),
    (r"y = \frac12\sum_i a_i \sum_j b_j", r"((1 / 2) * sum[i]((a[i] * sum[j](b[j]))))"),
    (r"y_i = \sum_{j\ne i} a_j", r"y[i] = sum[j if j ≠ i](a[j])"),
    (r"y_{i} = \sum_{0\le u,v<T} x_{i+u,v}", r"y[i] = sum[u=0..(T - 1), v=0..(T - 1)](x[(i + u), v])"),
    (r"y = \prod_{i=1}^{n} (1+a_i)", r"prod[i=1..n]((1 + a[i]))"),
    (r"y = \max_i a_i", r"max[i](a[i])"),
    (r"y = \max(a, b, 0)", r"max(a, b, 0)"),
    (r"y = \log\sum_j e^{z_j}", r"log(sum[j](exp(z[j])))"),
    (r"y = \log\sigma(x)", r"log(\sigma(x))"),
    (r"y = x \log p + a\ln b", r"((x * log(p)) + (a * log(b)))"),
    (r"y = \tanh^2 z", r"(tanh(z) ^ 2)"),
    (r"y_{ij} = \frac{\partial L}{\partial W_{ij}}", r"y[i, j] = d L / d W[i, j]"),
    (r"y_{ki} = \frac{\partial p_k}{\partial z_i}", r"y[k, i] = d p[k] / d z[i]"),
    (r"y = \frac{dy}{dx}", r"d y / d x"),
    (r"y = \frac{d f}{dx}", r"f'(x)"),
    (r"y = \frac{d^2 y}{dx^2}", r"d d y / d x / d x"),
    (r"y = \frac{\partial}{\partial x} f(x)", r"d f(x) / d x"),
    (r"y = \nabla_\theta L", r"d L / d \theta"),
    (r"y = f'(x) + f''(x)", r"(f'(x) + f''(x))"),
    (r"y = X^\top Y^{\mathsf T}", r"(Xᵀ * Yᵀ)"),
    (r"y := X^\intercal Y^{\intercal}", r"(Xᵀ * Yᵀ)"),
    (r"y_{ij} = (XW)_{ij}", r"y[i, j] = (X * W)[i, j]"),
    (r"y = \mathbf 1_N^\top X", r"(ones(N)ᵀ * X)"),
    (r"y = [x > 0]", r"1[x > 0]"),
    (r"y = \mathbf 1\{x\le b\}", r"1[x ≤ b]"),
    (r"y = \mathbf{1}[x = b]", r"1[x = b]"),
    (r"y_{ij} = \delta_{ij}", r"y[i, j] = kronecker(i, j)"),
    (
        r"y = \begin{cases} x & \text{if } x>0, \\ 0 & \text{otherwise.} \end{cases}",
        r"cases(x if x > 0; 0 otherwise)",
    ),
    (
        r"y = \lvert x\rvert + \lVert x\rVert_1^2 + \left\|v\right\|",
        r"((abs(x) + (norm1(x) ^ 2)) + norm(v))",
    ),
    (r"y = a \odot b c", r"(a ⊙ (b * c))"),
    (r"y = a \cdot b / c", r"((a · b) / c)"),
    (r"y = x^{\text{new}}", r"x^{\text{new}}"),
    (r"y = \operatorname{diag}(x)\operatorname{sign}(v)", r"(diag(x) * sign(v))"),
    (r"y = a, \quad z = b \text{ and } x = c", r"a; z = b; x = c"),
    (r"\begin{aligned} y &= a \\ &\quad + b \\ &= c \end{aligned}", r"(a + b) = c"),
    (r"y = -x^2", r"-(x ^ 2)"),
    (r"y = {x}^2 \pi e^{-x}", r"(((x ^ 2) * \pi) * exp(-x))"),
    (r"y = \operatorname{Im} f(x)", r"imag(f(x))"),
]


@pytest.mark.parametrize(("tex", "expected"), READINGS)
def test_it_is_read_as(tex: str, expected: str) -> None:
    assert reading(tex).removeprefix("y = ") == expected


REFUSALS = [
    (r"y = a/b c", r"a/b c is ambiguous: write \frac{a}{b}c or \frac{a}{bc}"),
    (r"y = a/b/c", r"a/b c is ambiguous: write \frac{a}{b}c or \frac{a}{bc}"),
    (r"y = a/\sum_i b_i", r"a/\sum is ambiguous: write \frac{a}{\sum …}"),
    (r"y = \log a b", r"\log a b is ambiguous: put its argument in brackets, \log(a) b or \log(a b)"),
    (r"y = \log(x)^2", r"\log(x)^2 is ambiguous: write (\log x)^2 or \log(x^2)"),
    (r"y = \log", r"\log has no argument"),
    (r"y = x 2", r"a number after a factor: write 2 first, or \cdot 2"),
    (r"y = x^12", r"a number after a factor: write 2 first, or \cdot 2"),
    (r"y = |x|", r"a bare | may open or close: write \lvert x \rvert"),
    (
        r"y = p(a\mid b)",
        r"write \lvert x \rvert for an absolute value; conditional probabilities are not read",
    ),
    (r"y = q", r"q is not in the notation table"),
    (r"y = Q_i", r"Q is not in the notation table"),
    (r"y = f", r"f is a function: write f(…), with scripts after the bracket"),
    (r"y = f x", r"f is a function: write f(…), with scripts after the bracket"),
    (r"y = f_i(x)", r"f is a function: write f(…), with scripts after the bracket"),
    (r"y = \sigma_i(x)", r"\sigma is a function: write \sigma(…), with scripts after the bracket"),
    (r"y = x'", r"a prime belongs to a function of the table: f'(x)"),
    (r"y = \sum a_i", r"\sum needs its index: \sum_i or \sum_{i=1}^{n}"),
    (r"y = \sum_{i=1} a_i", r"write \sum_i, \sum_{i=1}^{n}, \sum_{0\le i<n}, \sum_{j\ne i} or \sum_{j<i}"),
    ("y = " + "[" * 150 + "a" + "]" * 150, "brackets within brackets, more than 40 deep; break it up"),
    (r"y = \sum_{i\in n} a_i", r"write \sum_i, \sum_{i=1}^{n}, \sum_{0\le i<n}, \sum_{j\ne i} or \sum_{j<i}"),
    (r"y = \sum_{i}^{n} a_i", r"write \sum_{i=1}^{n} with one index and both limits"),
    (r"y = \sum_i", r"\sum_{i} has nothing to its right"),
    (r"y = \sum_i a_i \sum_i b_i", r"index i is bound twice; rename one"),
    (r"y_i = \sum_i a_i", r"index i is both summed over and free; rename the summed one"),
    (r"y_i = a_i + \sum_i b_i", r"index i is both summed over and free; rename the summed one"),
    (r"y = \sum_{12} a", r"12 cannot be summed over: an index is one letter"),
    (r"y = a_i", r"index i is free here but does not appear on the left"),
    (r"y_{i} = a_{2i}", r"put commas between the indices 2i"),
    (r"y = \frac{\partial L}{\partial}", r"\partial must be one differential, as \partial x_i"),
    (r"y = \frac{\partial}{\partial x}", r"\frac{\partial}{\partial x} has no argument"),
    (r"y = \frac{\partial a b}{\partial x}", r"put what is differentiated in brackets: \partial ab"),
    (r"y = \frac{\partial L}{\partial (x+y)}", r"a derivative by (x+y): give it a row in the table"),
    (
        r"y = \frac{\partial L}{\partial x \partial y}",
        r"\partial x\partial y must be one differential, as \partial x_i",
    ),
    (r"y = \frac{d^2 y}{dx}", r"a derivative of order 2 is written \frac{d^2y}{dx^2}"),
    (r"y = \nabla L", r"\nabla needs its variable: \nabla_\theta L"),
    (
        r"y = \mathbf 1^\top X",
        r"the vector of ones needs its length: write \mathbf 1_N; an indicator \mathbf 1[…]",
    ),
    (r"y = \delta", r"\delta is Kronecker's delta: write \delta_{ij}"),
    (r"y = \delta_i", r"\delta is Kronecker's delta: write \delta_{ij}"),
    (r"y = X_{ij}^\top", r"an entry has no transpose: write (W^\top)_{ij} for the entry of the transpose"),
    (
        r"y_{ij} = X_{ij}^\top",
        r"an entry has no transpose: write (W^\top)_{ij} for the entry of the transpose",
    ),
    (r"y = x^{(l)}", r"(l) numbers a layer; give each layer a symbol of its own, as in W_1"),
    ("% y = x", r"nothing but layout"),
    (r"\partial_x L = y", r"write a derivative as \frac{\partial L}{\partial x}"),
    (r"y = f(", r"the brackets do not match"),
    (r"y = (x", r"the brackets do not match"),
    (r"y = x + ", r"the formula breaks off"),
    (r"y = a \cdot -b", r"a product breaks off"),
    (r"y = \frac{a}", r"\frac has no argument"),
    (r"y = \sqrt[3]{x}", r"write a^{1/n} for an n-th root"),
    (r"y = a \pm b", r"\pm states two equations; write them both"),
    (r"y = a + \dots + b", r"dots cannot be evaluated; write \sum or \prod with bounds"),
    (r"y = \int x", r'integrals are not read; give the display {unchecked="reason"}'),
    (r"y \sim x", r'only equations are checked; give the display {unchecked="reason"}'),
    (r"y < x", r'only equations are checked; give the display {unchecked="an inequality"}'),
    (r"y = x \le b", r'only equations are checked; give the display {unchecked="an inequality"}'),
    (r"y + x", r"the part beginning y+x is no equation: it has no = of its own and does not begin with one"),
    (r"y =", r"a side of the equation is empty, next to ="),
    (r"= x", r"a side of the equation is empty, next to ="),
    (r"y = x, x > 0", r'only equations are checked; give the display {unchecked="an inequality"}'),
    (
        r"y = x \quad \text{if } x > 0",
        r"\text{if} is not read; conditions belong in the prose, or write cases",
    ),
    (r"\begin{aligned} y &= a \\ & b \\ &= c \end{aligned}", r"the line beginning b has lost its ="),
    (r"\begin{matrix} y \end{matrix} = 2", r"the environment matrix is not read; write aligned or cases"),
    (
        r"y = \begin{cases} x & \text{if } x \end{cases}",
        r"\text{if}x is no condition: write [a = b] or [a < b]",
    ),
    (
        r"y = \begin{cases} x & \text{otherwise} \\ 0 & x>0 \end{cases}",
        r"only the last row of cases can be 'otherwise'",
    ),
    (
        r"y = \begin{cases} x & \text{unless } x>0 \end{cases}",
        r"\text{unless} is not read; write \text{if } before a condition",
    ),
    (r"y = \lVert x\rVert_3", r"the norm with subscript 3 is not read; known are 1, 2, F and \infty"),
    (r"y = a*b", r"write \cdot for a product"),
    (r"y = a!", r"factorials are not read; write \prod with bounds"),
    (r"y = \mathrm{Foo}(x)", r"\operatorname{Foo} is not in the notation table"),
    (r"y = x_{i_j}", r"index i is free here but does not appear on the left"),
    (r"y = x^a^b", r"two scripts of one kind at x^{a}^{b}; add brackets"),
    (r"y = f'^2(x)", r"prime and exponent at f^{'}^{2}: write (f')^2"),
    (r"y = \max(x)", r"write \max(a, b) for the larger of two, \max_i a_i over an index"),
    (r"y = x \foo", r"\foo is not read"),
    (r"y = \frac{\partial\cdot L}{\partial x}", r"nothing to differentiate in \partial\cdot L"),
    (r"\theta \leftarrow a", r"the new value needs a row of its own, with the symbol $\theta \leftarrow$"),
]


@pytest.mark.parametrize(("tex", "message"), REFUSALS)
def test_it_is_refused_with_the_accepted_spelling(tex: str, message: str) -> None:
    with pytest.raises(MathError) as refused:
        reading(tex)
    assert str(refused.value) == message


def test_a_side_is_shown_as_it_is_written() -> None:
    (equation,) = equations(r"x = \left(a + b\right) c = & d \quad")
    assert [side.shown for side in equation.sides] == ["x", r"\left(a + b\right) c", "d"]
