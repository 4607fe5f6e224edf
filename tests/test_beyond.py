"""Forward mode, Hessian-vector products, checkpoints: against complex steps, each other and known answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from backprop_core import Tensor, checkpoint, gradients, hvp, jvp

rng = np.random.default_rng(7)
X, V, W = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum and difference": lambda x: 1.5 - x + 2 * x,
    "quotient": lambda x: 1 / (2 + x * x),
    "powers": lambda x: x**3 + x**2.0 + x**0,
    "exponential": np.exp,
    "logarithm and root": lambda x: np.sqrt(1 + np.log(2 + x * x)),
    "tanh": np.tanh,
    "matrix product": lambda x: np.tanh(x @ W),
    "product with itself": lambda x: x.T @ x,
    "sums": lambda x: x.sum() + np.sum(x, axis=0) * x.mean(axis=-1, keepdims=True)[0],
    "shapes": lambda x: np.transpose(x.reshape(2, 6)) * 2,
    "parts": lambda x: x[[0, 0, 2], [1, 1, 3]] ** 2 + x[1, :3],
}
REAL: dict[str, Callable[[Any], Any]] = {
    "where": lambda x: np.where(x > 0, x * x, -x),
    "maximum": lambda x: np.maximum(x, 0.1) + np.minimum(x, -0.2),
    "absolute": np.abs,
    "logaddexp": lambda x: np.logaddexp(x, 2 * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_going_forwards_is_the_complex_step(name: str) -> None:
    f = FUNCTIONS[name]
    y, slope = jvp(f, (X,), (V,))
    assert slope.flags.writeable
    np.testing.assert_array_equal(y, f(X))
    np.testing.assert_allclose(slope, np.imag(f(X + 1e-20j * V)) / 1e-20, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [*FUNCTIONS, *REAL])
def test_forwards_and_backwards_are_dual(name: str) -> None:
    f = (FUNCTIONS | REAL)[name]
    y, slope = jvp(f, (X,), (V,))
    u, start = rng.normal(size=y.shape), Tensor(X)
    (pulled,) = gradients(f(start), [start], u)
    assert np.sum(u * slope) == pytest.approx(np.sum(pulled * V), rel=1e-12, abs=1e-12)


def test_several_inputs() -> None:
    d = rng.normal(size=W.shape)
    _, slope = jvp(lambda x, w: x @ w, (X, W), (V, d))
    np.testing.assert_allclose(slope, V @ W + X @ d, rtol=1e-13)


def test_several_outputs() -> None:
    values, slopes = jvp(lambda x: np.split(x * x, 3), (X,), (V,))
    np.testing.assert_array_equal(np.concatenate(values), X * X)
    np.testing.assert_allclose(np.concatenate(slopes), 2 * X * V, rtol=1e-14)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "direction": (lambda: jvp(np.tanh, (X,), (V[0],)), ValueError, r"shape \(3, 4\), got \(4,\)"),
    "too many": (
        lambda: jvp(np.tanh, (X,), (V, V)),
        ValueError,
        "one direction for each input, 1 in all, got 2",
    ),
    "no rule": (lambda: jvp(np.spacing, (X,), (V,)), TypeError, "spacing has no rule"),
    "no function": (lambda: jvp(np.linalg.pinv, (X,), (V,)), TypeError, "pinv has no rule"),
    "conversion": (lambda: jvp(np.asarray, (X,), (V,)), TypeError, "this takes no Tensor"),
    "second direction": (lambda: hvp(np.sum, X, V[0]), ValueError, r"got \(4,\)"),
    "two numbers": (lambda: hvp(lambda x: x, [1.0, 2.0], [1.0, 0.0]), ValueError, r"hvp: .*got shape \(2,\)"),
    "hidden input": (
        lambda: checkpoint(lambda x: x * Tensor(1.0), Tensor(2.0)),
        ValueError,
        "a Tensor that is no input",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    act, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        act()


def rosenbrock(x: Any) -> Any:
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize(("a", "b"), [(-1.0, 2.0), (1.0, 1.0), (3.0, -2.0)])
def test_rosenbrocks_hessian(a: float, b: float) -> None:
    found = np.stack([hvp(rosenbrock, [a, b], e) for e in np.eye(2)], axis=1)
    assert found.tolist() == [[1200 * a * a - 400 * b + 2, -400 * a], [-400 * a, 200]]


def test_hvp_is_the_difference_of_gradients() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.tanh(x @ W) ** 2) + np.log(np.sum(np.exp(x)))

    def slope(x: np.ndarray) -> np.ndarray:
        start = Tensor(x)
        return gradients(f(start), [start])[0]

    measured = (slope(X + 1e-5 * V) - slope(X - 1e-5 * V)) / 2e-5
    np.testing.assert_allclose(hvp(f, X, V), measured, rtol=1e-7, atol=1e-8)
    assert not hvp(np.sum, X, V).any()
    assert hvp(lambda x: np.sum(x * x), np.float32(X), V).dtype == np.float32
    assert hvp(np.sum, X, V).flags.writeable and hvp(f, X, V).flags.writeable
    assert np.allclose(hvp(np.linalg.norm, [3.0, 0.0], [0.0, 1.0]), [0, 1 / 3])  # beside an entry of 0


def block(x: Any, first: Any, second: Any, keep: np.ndarray) -> Any:
    return np.tanh((np.tanh(x @ first) * keep) @ second)


def test_checkpoints_give_the_same_bits() -> None:
    inputs = Tensor(X), Tensor(rng.normal(size=(4, 5))), Tensor(rng.normal(size=(5, 2)))
    keep = rng.random((3, 5)) > 0.5
    plain = gradients(np.sum(block(*inputs, keep) ** 2), inputs)
    again = gradients(np.sum(checkpoint(block, *inputs, keep) ** 2), inputs)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_change_before_the_slope_is_pushed_forwards_is_found() -> None:
    factor = np.ones(2)

    def changes(x: Any) -> Any:
        y = x * factor
        factor[0] = 5.0
        return y

    with pytest.raises(RuntimeError, match=r"multiply: an array of shape \(2,\) was changed after"):
        jvp(changes, [[1.0, 2.0]], [[1.0, 1.0]])


def test_a_checkpoint_computes_twice_and_keeps_only_what_went_in() -> None:
    calls = []

    def counted(a: Any, b: Any) -> Any:
        calls.append(1)
        return np.tanh(a * b)

    x = Tensor([2.0, 3.0])
    y = checkpoint(counted, x, x)
    assert y._parents == (x, x)
    np.sum(y).backward()
    assert len(calls) == 2
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, 2 * x.data * (1 - np.tanh(x.data**2) ** 2))


def test_second_derivatives_through_a_checkpoint() -> None:
    x = rng.normal(size=3)
    found = hvp(lambda x: checkpoint(lambda x: np.sum(x * x * x), x), x, np.ones(3))
    np.testing.assert_allclose(found, 6 * x)
    start = Tensor([0.0, 1.0])  # what is no number twice is the same twice
    checkpoint(lambda x: x * np.array([np.nan, 2.0]), start).backward(np.ones(2))
    np.testing.assert_array_equal(start.grad, [np.nan, 2.0])


def test_a_checkpoint_notices_changed_inputs() -> None:
    x = Tensor([1.0, 2.0])
    y = np.sum(checkpoint(np.tanh, x))
    x.data[0] = 5.0
    with pytest.raises(RuntimeError, match="was changed after"):
        y.backward()


OTHER_BITS: dict[str, Callable[[Any], Any]] = {  # on arrays NumPy rounds otherwise than our rules do
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "logaddexp2": lambda x: np.logaddexp2(x, 2 * x),
    "power": lambda x: np.float_power(np.abs(x), 2.5),
    "constant": lambda x: np.linalg.vecdot(x, Tensor(np.ones(40), requires_grad=False)),
}


@pytest.mark.parametrize("name", OTHER_BITS)
def test_a_checkpoint_of_whatever_the_tape_computes(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(30, 40))
    a, b = Tensor(x), Tensor(x)
    checkpoint(OTHER_BITS[name], a).sum().backward()
    OTHER_BITS[name](b).sum().backward()
    np.testing.assert_array_equal(a.grad, b.grad)


def test_a_checkpoint_that_does_something_else_the_second_time_is_refused() -> None:
    x = Tensor(np.ones(8))
    y = checkpoint(lambda x: x * rng.normal(size=8), x)
    with pytest.raises(RuntimeError, match="another result the second time"):
        np.sum(y).backward()


def test_a_checkpoint_goes_back_under_no_grad_and_names_what_it_does_not_know() -> None:
    x = Tensor([2.0])
    y = checkpoint(lambda x: x * x, x)
    with bp.no_grad():
        y.backward()
    assert x.grad is not None and x.grad.tolist() == [4.0]
    with pytest.raises(ValueError, match="a Tensor that is no input"):
        checkpoint(lambda: x * x)


def test_slopes_forward_refuse_what_they_would_get_wrong() -> None:
    with pytest.raises(TypeError, match="no rule"):
        jvp(lambda x: np.sum(x, initial=5.0), [X], [X])
    with pytest.raises(TypeError, match="inputs is a list"):
        jvp(np.tanh, X, X)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="real numbers"):
        jvp(np.abs, [np.array([1j])], [np.ones(1)])
    y, slope = jvp(lambda x: x if x else -x, [0.0], [1.0])
    assert y == 0 and slope == -1


def test_gradients_of_shards_add_up() -> None:
    net = bp.Network(bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss())
    labels = rng.integers(3, size=len(X))

    def gradient(part: slice) -> np.ndarray:
        net.loss(X[part], labels[part])
        net.zero_grad()
        net.accumulate()
        return np.concatenate([p.grad.ravel() for p in net.parameters()])

    shards = gradient(slice(0, 1)) / 3 + gradient(slice(1, 3)) * 2 / 3
    np.testing.assert_allclose(shards, gradient(slice(None)), rtol=1e-13, atol=1e-16)
