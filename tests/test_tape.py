"""The tapes: gradients of every rule, twice if asked, and no wrong gradient without a word."""

from __future__ import annotations

import array
import copy
import gc
import math
import operator
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backprop_core as bp
from backprop_core import Tensor, Value, gradients, no_grad

rng = np.random.default_rng(7)
X = rng.normal(size=(3, 4))
W, ROW = rng.normal(size=(4, 3)), rng.normal(size=4)
Function = Callable[[Any], Any]

# Functions that can also be computed with complex numbers.
ANALYTIC: dict[str, Function] = {
    "add itself": lambda x: x + x,
    "add a stretched row": lambda x: x + x[0],
    "subtract": lambda x: 1.5 - x - x[:, :1],
    "negative": operator.neg,
    "positive": lambda x: +x * x,
    "square": lambda x: np.square(x) * x,
    "multiply by a constant row": lambda x: ROW * x * 2,
    "divide": lambda x: 1 / (2 + x * x),
    "divide by a column": lambda x: x / (2 + x[:, :1]),
    "power": lambda x: x**3 + x**2.0 + (2 + x * x) ** -1,
    "power of an array": lambda x: x ** np.array([0, 1, 2, 3]),
    "power stretches": lambda x: x ** np.array([[[2]], [[3]]]),
    "exp": np.exp,
    "log": lambda x: np.log(2 + x * x),
    "sqrt": lambda x: np.sqrt(1 + x * x),
    "tanh": np.tanh,
    "sine": np.sin,
    "cosine": np.cos,
    "sum": lambda x: (x * x).sum(),
    "sum over an axis": lambda x: (x * x).sum(axis=0),
    "sum over the last, kept": lambda x: x.sum(axis=-1, keepdims=True) * x,
    "sum over a tuple": lambda x: np.sum(x * x, axis=(0, -1)),
    "sum over no axis": lambda x: np.sum(x * x, axis=()),
    "mean": lambda x: (x * x).mean(),
    "mean over an axis by position": lambda x: np.mean(x * x, 1),
    "mean over a tuple, kept": lambda x: np.mean(x * x, axis=(0, 1), keepdims=True),
    "reshape": lambda x: x.reshape(2, -1) * x.reshape((2, 6)),
    "transpose": lambda x: x.T * x.T,
    "transpose of three": lambda x: np.transpose(x[None] * x, (2, 0, -2)),
    "mT of a stack": lambda x: (x[None] * x[:, None, :]).mT * x[:, 0],
    "swapaxes": lambda x: np.swapaxes(x[None] * x, 0, -1),
    "expand_dims": lambda x: np.expand_dims(x * x, (0, 2)),
    "expand_dims of a list": lambda x: np.expand_dims(x * x, [0, 2]),
    "tuples as a matrix": lambda x: ((1, 2, 3), (4, 5, 6)) @ (x * x),
    "broadcast_to": lambda x: np.broadcast_to(x, (5, 3, 4)) ** 2,
    "matrix product": lambda x: x @ W,
    "matrix product with itself": lambda x: x.T @ x,
    "slice": lambda x: x[1:, ::-2] * x[:-1, ::-2],
    "row": lambda x: x[1] * x[-1],
    "number": lambda x: x[1, 2] * x[-1, 0],
    "ellipsis": lambda x: x[..., 1] ** 2,
    "None": lambda x: x[:, None, :] * x[None],
    "lists with repetition": lambda x: x[[0, 0, 2], [1, 1, 3]] ** 2,
    "any sequence with repetition": lambda x: x[array.array("l", [0, 0, 2])] ** 2,
    "array with repetition": lambda x: x[np.array([[0, 0], [2, -1]])] ** 2,
    "list and slice": lambda x: x[1:, [0, 0, 3]] ** 2,
    "booleans": lambda x: x[np.array([True, False, True])] ** 2,
    "booleans of a list": lambda x: x[:, [True, False, True, True]] ** 2,
    "booleans of two axes": lambda x: x[X > 0] ** 2,
    "nothing": lambda x: x[()] * x,
}
REAL: dict[str, Function] = {
    "max": lambda x: x.max(),
    "max over an axis": lambda x: x.max(axis=1) ** 2,
    "max over a tuple, kept": lambda x: np.max(x, axis=(0, -1), keepdims=True) * x,
    "min over an axis": lambda x: x.min(axis=1) ** 2,
    "maximum": lambda x: np.maximum(x, x[0, 0]) ** 2,
    "minimum": lambda x: np.minimum(0.3, x) ** 2,
    "abs": lambda x: abs(x) * x,
    "sign": lambda x: np.sign(x) * x,
    "where": lambda x: np.where(x > 0, x * x, -x),
    "where stretches": lambda x: np.where([[True], [False], [True]], x[0], x[:, 1:2]) ** 2,
    "logaddexp": lambda x: np.logaddexp(x, 2 * x[0]),
    "remainders of negative numbers": lambda x: (
        np.mod(3 * x, 1.7 + x[0] ** 2) + np.fmod(3 * x, 1.7 + x[0] ** 2)
    ),
    "variance with two degrees less": lambda x: x.var(axis=1, ddof=2) + np.std(x, ddof=3),
}


def gradient(function: Function, x: np.ndarray, grad_output: Any = None) -> np.ndarray:
    tensor = Tensor(x)
    return gradients(function(tensor), [tensor], grad_output)[0]


def upstream(y: Any) -> np.ndarray:
    return np.asarray(np.random.default_rng(3).normal(size=getattr(y, "shape", ())))


@pytest.mark.parametrize("name", ANALYTIC)
def test_gradient_to_rounding(name: str) -> None:
    function = ANALYTIC[name]
    grad = upstream(function(X))
    expected = bp.complex_step_gradient(function, X, grad)
    assert bp._relative_error(gradient(function, X, grad), expected, 1e-3) < 1e-13


@pytest.mark.parametrize("name", REAL)
def test_gradient_where_there_are_kinks(name: str) -> None:
    function = REAL[name]
    grad = upstream(function(X))
    expected = bp.numerical_gradient(function, X, grad)
    assert bp._relative_error(gradient(function, X, grad), expected, 1e-2) < 1e-8


@pytest.mark.parametrize("name", [*ANALYTIC, *REAL])
def test_the_value_is_numpys(name: str) -> None:
    function = (ANALYTIC | REAL)[name]
    assert np.array_equal(function(Tensor(X)).data, function(X))


@pytest.mark.parametrize("name", [*ANALYTIC, *REAL])
def test_second_order(name: str) -> None:
    function = (ANALYTIC | REAL)[name]
    grad, direction = upstream(function(X)), rng.normal(size=X.shape)
    x = Tensor(X)
    (slope,) = gradients(function(x), [x], grad, create_graph=True)
    assert np.allclose(slope.data, gradient(function, X, grad), rtol=1e-14, atol=0)
    expected = bp.numerical_gradient(lambda v: gradient(function, v, grad), X, direction)
    if slope.requires_grad:
        (second,) = gradients(slope, [x], direction)
        assert bp._relative_error(second, expected, 1e-2) < 1e-7
    else:
        assert not expected.any(), "a slope that is constant"


def test_every_rule_is_used_by_these_functions() -> None:
    used = set()
    for function in (ANALYTIC | REAL).values():
        x = Tensor(X)
        (slope,) = gradients(y := function(x), [x], upstream(function(X)), create_graph=True)
        used |= {node._record.rule.name for last in (y, slope) for node in bp._order(last) if node._record}
    assert used


# Both factors of a matrix product.
@pytest.mark.parametrize(
    "a, b",
    [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((2, 3), (6, 3, 4)),
        ((1, 2, 3), (6, 3, 4)),
    ],
)
def test_matrix_products(a: tuple, b: tuple) -> None:
    left, right = rng.normal(size=a), rng.normal(size=b)
    grad = upstream(left @ right)
    tensors = Tensor(left), Tensor(right)
    d_left, d_right = gradients(operator.matmul(*tensors), tensors, grad)
    expected = bp.complex_step_gradient(lambda v: v @ right, left, grad)
    assert bp._relative_error(d_left, expected, 1e-3) < 1e-13
    expected = bp.complex_step_gradient(lambda v: left @ v, right, grad)
    assert bp._relative_error(d_right, expected, 1e-3) < 1e-13


@pytest.mark.parametrize(
    "a, b", [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((4, 2, 0), (0, 3)), ((4, 2, 3), (3, 0)), ((0,), (0, 2))]
)
def test_matrix_products_of_nothing(a: tuple, b: tuple) -> None:
    tensors = Tensor(np.ones(a)), Tensor(np.ones(b))
    y = operator.matmul(*tensors)
    for tensor, found in zip(tensors, gradients(y, tensors, np.ones(y.shape)), strict=True):
        assert found.shape == tensor.shape and not found.any()


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_reductions_of_nothing(name: str) -> None:
    x = Tensor(np.ones((0, 3)))
    y = getattr(np, name)(x, axis=1)
    assert gradients(y, [x], np.ones(0))[0].shape == (0, 3)


FACTORS = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)


@settings(deadline=None, max_examples=60)
@given(FACTORS, st.sampled_from([np.add, np.subtract, np.multiply, np.divide, np.logaddexp]))
def test_stretching_is_undone(shapes: Any, function: Callable) -> None:
    a, b = (np.random.default_rng(0).uniform(1, 2, size=shape) for shape in shapes.input_shapes)
    tensors = Tensor(a), Tensor(b)
    y = function(*tensors)
    assert y.shape == shapes.result_shape
    for tensor, found in zip(tensors, gradients(y, tensors, np.ones(y.shape)), strict=True):
        one = [t if t is tensor else t.data for t in tensors]
        whole = Tensor(np.broadcast_to(tensor.data, y.shape).copy())
        stretched = function(*(whole if t is tensor else t for t in one))
        (large,) = gradients(stretched, [whole], np.ones(y.shape))
        assert found.shape == tensor.shape and np.isclose(found.sum(), large.sum())


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_picking_is_undone(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    key: Any = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | hnp.integer_array_indices(shape)
        | hnp.arrays(bool, shape)
    )
    x = Tensor(np.arange(math.prod(shape), dtype=float).reshape(shape))
    picked = x[key]
    grad = np.asarray(np.random.default_rng(0).integers(1, 9, size=picked.shape), dtype=float)
    expected = np.zeros(x.size)
    np.add.at(expected, picked.data.astype(int), grad)
    assert np.array_equal(gradients(picked, [x], grad)[0].ravel(), expected)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_shares_of_a_maximum_add_up_to_one(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    x = data.draw(hnp.arrays(float, shape, elements=st.sampled_from([0.0, 1.0])))
    axes = data.draw(hnp.valid_tuple_axes(len(shape), min_size=1))
    y = Tensor(x).max(axis=axes)
    share = gradient(lambda v: v.max(axis=axes), x, np.ones(y.shape))
    assert np.allclose(share.sum(axis=axes), 1)
    assert not share[x < np.max(x, axis=axes, keepdims=True)].any()


TIES: dict[str, tuple[Function, list[float], list[float]]] = {
    "max": (lambda x: x.max(), [2, 2, 1], [0.5, 0.5, 0]),
    "maximum": (lambda x: np.maximum(x, 0).sum(), [0, 1, -1], [0.5, 1, 0]),
    "maximum with itself": (lambda x: np.maximum(x, x).sum(), [0, 1], [1, 1]),
    "minimum": (lambda x: np.minimum(x, 0).sum(), [0, 1, -1], [0.5, 0, 1]),
    "fmax of two that are no numbers": (lambda x: np.fmax(x, [np.nan, 1]).sum(), [np.nan, 2], [0.5, 1]),
    "where": (lambda x: np.where(x > 0, x, 0).sum(), [0, 1], [0, 1]),
    "abs": (lambda x: np.abs(x).sum(), [0, -2], [0, -1]),
    "clip": (lambda x: np.clip(x, 0, 1).sum(), [0, 1, 2, -1], [1, 1, 0, 0]),
    "powers": (lambda x: (x**0 + x**1 + x**2).sum(), [0, 2], [1, 5]),
    "max of infinities": (lambda x: x.max(), [-np.inf, 1], [0, 1]),
    "logaddexp of minus infinity": (lambda x: np.logaddexp(x, 0).sum(), [-np.inf, 0], [0, 0.5]),
}


@pytest.mark.parametrize("name", TIES)
def test_kinks_and_edges(name: str) -> None:
    function, x, expected = TIES[name]
    assert gradient(function, np.array(x, dtype=float)).tolist() == expected


def test_gradients_add_up_over_calls() -> None:
    x = Tensor([1.0, 2.0])
    (2 * x).sum().backward()
    (3 * x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [5, 5]


@pytest.mark.parametrize("kind", [Value, Tensor])
def test_a_second_backward_does_not_use_what_is_left_of_the_first(kind: Any) -> None:
    x = kind(3.0)
    y = x * x
    z = y * y
    z.backward()
    z.backward()
    assert x.grad == 216
    assert y.grad == (18 if kind is Value else None)


@pytest.mark.parametrize("kind", [Value, Tensor])
def test_sixty_diamonds(kind: Any) -> None:
    x = y = kind(1.0)
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


@pytest.mark.parametrize("kind", [Value, Tensor])
def test_depth(kind: Any, depth: int = 40_000) -> None:
    x = y = kind(1.0)
    for _ in range(depth):  # recursion ends at a thousand, in C at some ten thousand
        y = y + 1e-3
    y.backward()
    assert x.grad == 1
    del y
    gc.collect()


def test_a_graph_is_gone_with_its_last_tensor() -> None:
    gc.collect()
    gc.disable()
    try:
        x = Tensor(np.ones(3))
        y = np.tanh(x * x).sum()
        y.backward()
        del y
        assert not [one for one in gc.get_objects() if isinstance(one, Tensor) and one._record]
    finally:
        gc.enable()


def test_beginnings_and_what_lies_between() -> None:
    a, b = Tensor([1.0]), Tensor([1.0, 2.0])
    h = a * 3
    dh, db = gradients((h * h).sum(), [h, b])
    assert dh == 6 and db.tolist() == [0, 0] and a.grad is None


def test_losses_that_share_a_graph_all_reach_the_leaves() -> None:
    x = Tensor([0.5, -2.0])
    h: Any = np.tanh(x)
    losses: list[Any] = [np.sum(h * 3.0), np.sum(h * h)]
    slope = 1 - h.data**2
    for loss, expected in zip(losses, (3 * slope, (3 + 2 * h.data) * slope), strict=True):
        loss.backward()
        assert x.grad is not None and np.allclose(x.grad, expected, rtol=1e-14)


def test_an_array_that_was_replaced_or_given_by_keyword_is_found() -> None:
    scale = bp.primitive(lambda g, y, x, w: g * w)(lambda x, w: x * w)
    x, w = Tensor([0.0, 1.0]), np.array([2.0, 3.0])
    between: Any = np.exp(x)
    for y in (np.sum(between * between), np.sum(scale(x, w=w))):
        w[...], between.data = 0, between.data * 0
        with pytest.raises(RuntimeError, match="was changed after"):
            y.backward()


@pytest.mark.parametrize("change", [np.fill_diagonal, lambda x, new: np.place(x, np.array([[True]]), [new])])
def test_what_writes_into_its_argument_is_refused_before_it_does(change: Callable) -> None:
    x = Tensor(np.ones((2, 2)))
    with pytest.raises((TypeError, ValueError)):
        change(x, 5.0)
    assert (x.data == 1).all() and np.shape(x) == (2, 2) and np.shape(Tensor(1.0)) == ()


def test_a_rule_of_a_wrong_shape_is_named() -> None:
    wrong = bp.primitive(lambda g, y, x: np.ones(3))(np.copy)
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\) for an argument of shape \(2,\)"):
        wrong(Tensor([1.0, 2.0])).backward([1.0, 1.0])


def test_gradients_of_what_is_no_tensor() -> None:
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        gradients(5.0, [Tensor(1.0)])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a list of Tensors"):
        gradients(Tensor(1.0), [np.ones(2)])  # type: ignore[list-item]


def test_gradients_of_gradients_in_a_direction_that_is_a_tensor() -> None:
    x, direction = Tensor([1.0, 2.0]), Tensor([0.5, 3.0])
    (slope,) = gradients(x**3, [x], direction, create_graph=True)
    assert np.allclose(gradients(slope.sum(), [direction])[0], [3, 12])


# What changes an array between computing and going back.
CHANGES: dict[str, tuple[str, Callable[[dict[str, np.ndarray]], Any]]] = {
    "one bit of a weight": ("multiply", lambda a: a["weight"].__setitem__(0, 1 + 2**-52)),
    "a constant": ("multiply", lambda a: a["constant"].sort()),
    "what a view shows": ("multiply", lambda a: a["seen"].fill(0)),
    "an index": ("_pick", lambda a: a["index"].fill(0)),
    "a condition": ("where", lambda a: a["condition"].fill(False)),
    "an exponent": ("power", lambda a: a["exponent"].fill(3)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_place_is_found(name: str) -> None:
    function, change = CHANGES[name]
    arrays = {
        "weight": np.ones(3),
        "constant": np.array([3.0, 2.0, 1.0]),
        "seen": np.ones(1),
        "index": np.array([0, 1, 1]),
        "condition": np.array([True, False, True]),
        "exponent": np.array([1, 2, 2]),
    }
    x = Tensor(arrays["weight"]) * arrays["constant"] * np.broadcast_to(arrays["seen"], 3)
    other = Tensor([2.0])
    y = np.where(arrays["condition"], x[arrays["index"]] ** arrays["exponent"], other * 2).sum()
    change(arrays)
    with pytest.raises(RuntimeError, match=rf"{function}: an array of shape \(.,\) was changed after it"):
        y.backward()
    assert other.grad is None, "nothing was added before it was found"


def test_a_list_that_is_changed_later_is_what_it_was() -> None:
    factor, index = [2.0, 3.0], [0, 0]
    x = Tensor([1.0, 1.0])
    y = (factor * x)[index].sum()  # type: ignore[call-overload]
    factor[0], index[0] = 9.0, 1
    y.backward()
    assert x.grad is not None and x.grad.tolist() == [4, 0]


def test_nan_is_not_a_change() -> None:
    x = Tensor([np.nan, 1.0])
    (x * x).sum().backward()
    assert x.grad is not None and np.isnan(x.grad[0])


def test_results_are_read_only_and_the_users_arrays_are_not() -> None:
    array = np.ones((2, 2))
    x = Tensor(array)
    for y in (x * x, x.reshape(4), x.T, x[0], bp.primitive(lambda g, y, x: g)(lambda x: x)(x)):
        with pytest.raises(ValueError, match="read-only"):
            y.data[...] = 1
    assert x.data is array and array.flags.writeable


def test_a_rule_that_fails_leaves_no_gradient_behind() -> None:
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError

    a, b = Tensor(1.0), Tensor(2.0)
    broken = bp.primitive(fails)(np.copy)
    y = a + broken(b * 1)
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert a.grad is None and b.grad is None


def test_a_rule_cannot_change_the_gradient_that_others_get() -> None:
    def doubles(g: Any, y: Any, x: Any) -> Any:
        g *= 2
        return g

    x = Tensor([1.0, 2.0])
    y = x * 1
    with pytest.raises(ValueError, match="read-only"):
        (bp.primitive(doubles)(np.copy)(y) + y).backward([1, 1])


def test_inputs_may_come_one_after_the_other() -> None:
    x, y = Tensor(2.0), Tensor(3.0)
    assert gradients(x * y, iter([x, y])) == [3, 2]  # type: ignore[arg-type]
    for odd in (None, 3, [], x, [1.0]):
        with pytest.raises(TypeError, match="inputs is a list of Tensors"):
            gradients(x * y, odd)  # type: ignore[arg-type]


def test_results_do_not_share_memory() -> None:
    a, b, grad = Tensor([1.0, 2.0]), Tensor([1.0, 2.0]), np.ones(2)
    (a + b).backward(grad)
    assert a.grad is not None and b.grad is not None
    a.grad[0] = 9
    assert b.grad[0] == 1 and grad[0] == 1
    da, db = gradients(a + b, [a, b], grad)
    da[0] = 9
    assert db[0] == 1 and grad[0] == 1


def test_a_rule_may_keep_what_it_gives() -> None:
    kept, x = np.ones(2), Tensor([1.0, 2.0])
    own = bp.primitive(lambda g, y, x: kept)(np.copy)
    (found,) = gradients(own(x), [x], [1, 1])
    own(x).backward([1, 1])
    assert x.grad is not None
    found[0] = x.grad[1] = 9
    assert kept.tolist() == [1, 1]


def test_gradients_are_apart_from_each_other() -> None:
    x = Tensor([1.0, 2.0])
    y = x * 3
    for inputs in ([y, x], [x, y], [x, x]):
        first, second = gradients(np.tanh(y) + 0 * x, inputs, np.ones(2))
        before = second.copy()
        first[...] = 9
        assert np.array_equal(second, before)


def test_no_grad_in_a_block() -> None:
    x = Tensor([1.0])
    with no_grad():
        assert not (x * x).requires_grad
        with bp.detect_changes():
            assert (x * x).requires_grad
        assert not (x * x).requires_grad  # as before the inner block
    assert (x * x).requires_grad


def test_a_tape_layer_has_no_way_back_without_a_tape() -> None:
    layer = bp.TapeLayer(lambda x, w: x * w, bp.Parameter([2.0]))
    net = bp.Network(bp.Linear(1, 1, rng=0), layer, loss=bp.MSELoss())
    with no_grad():
        net.loss([[1.0]], [[3.0]])
    with pytest.raises(RuntimeError, match="forward has run under no_grad"):
        net.backward()
    net.loss([[1.0]], [[3.0]])
    net.backward()
    assert all(p.grad.any() for p in net.parameters())


def test_the_output_of_a_tape_layer_may_be_written_to() -> None:
    layer = bp.TapeLayer(lambda x, w: np.exp(x * w), bp.Parameter([2.0]))
    y = layer.forward([[1.0]])
    y[...] = 0.0
    assert layer.backward([[1.0]]) == pytest.approx(2 * np.exp(2))


def test_no_grad_as_a_decorator() -> None:
    x = Tensor([1.0])

    @no_grad()
    def squared() -> Tensor:
        return x * x

    assert not squared().requires_grad and not squared().requires_grad and (x * x).requires_grad


def test_no_grad_ends_with_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (Tensor(1.0) * 2).requires_grad


def test_no_grad_holds_in_its_own_thread_only() -> None:
    x, seen = Tensor([1.0]), []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_one_may_go_back_while_nothing_is_recorded() -> None:
    x = Tensor(3.0)
    y = x * x
    with no_grad():
        y.backward()
        (slope,) = gradients(y, [x], create_graph=True)
    assert x.grad == 6 and slope.item() == 6 and not slope.requires_grad


def test_threads_share_a_tensor() -> None:
    x = Tensor(rng.normal(size=(30, 30)))
    found: list[np.ndarray] = []
    work = [
        threading.Thread(target=lambda: found.append(gradients(np.tanh(x @ x).sum(), [x])[0]))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(one, found[0]) for one in found)


@pytest.mark.parametrize("name", [*ANALYTIC, *REAL])
def test_numbers_of_32_bits_stay_so(name: str) -> None:
    function, x = (ANALYTIC | REAL)[name], Tensor(np.float32(X))
    y = function(x)
    assert y.dtype == function(x.data).dtype
    assert gradients(y, [x], upstream(y))[0].dtype == np.float32


@pytest.mark.parametrize("given_", [[1, 2], np.array([True, False]), 3])
def test_whole_numbers_become_floating(given_: Any) -> None:
    assert Tensor(given_).dtype == np.float64


LEFT: dict[str, tuple[Function, Any]] = {
    "array times": (lambda x: np.ones(2) * x, [1, 2]),
    "number of NumPy times": (lambda x: np.float64(2) * x, [2, 4]),
    "list minus": (lambda x: [0, 1] - x, [-1, -1]),
    "one minus": (lambda x: 1 - x, [0, -1]),
    "two by": (lambda x: np.float64(2) / x, [2, 1]),
    "matrix times": (lambda x: np.ones((3, 2)) @ x, [3, 3, 3]),
    "lists times": (lambda x: [[1, 2], [3, 4]] @ x, [5, 11]),
}


@pytest.mark.parametrize("name", LEFT)
def test_the_tensor_may_stand_on_the_right(name: str) -> None:
    function, expected = LEFT[name]
    y = function(x := Tensor([1.0, 2.0]))
    assert isinstance(y, Tensor) and y.data.tolist() == expected
    (found,) = gradients(y, [x], np.ones(y.shape))
    assert np.allclose(found, bp.complex_step_gradient(function, x.data, np.ones(y.shape)))


def test_comparisons_and_counting_give_what_numpy_gives() -> None:
    x = Tensor([[1.0, 0.0], [3.0, 2.0]])
    assert isinstance(x > 1, np.ndarray) and isinstance(x == x, np.ndarray)
    assert np.shape(x) == (2, 2) and np.argmax(x) == 2 and not np.isnan(x).any()
    assert x[np.nonzero(x)].data.tolist() == [1, 3, 2]
    assert isinstance(x.astype(int), np.ndarray)


def test_a_tensor_is_used_like_an_array() -> None:
    x = Tensor([1.0, 2.0])
    assert len(x) == 2 and [part.item() for part in x] == [1, 2] and x in {x}
    assert (x.shape, x.ndim, x.size, x.dtype) == ((2,), 1, 2, np.float64)
    assert repr(x) == "Tensor([1., 2.])" and x.detach().data is x.data
    assert bool(Tensor(2.0)) and not Tensor([0.0])


x = Tensor([1.0, 2.0])
# What is refused, with which error, and which part of its message.
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "complex": (lambda: Tensor(np.array([1j])), TypeError, "expected real numbers, got complex128"),
    "words": (lambda: Tensor(np.array(["a"])), TypeError, "expected numbers"),
    "None": (lambda: Tensor(None), TypeError, "expected numbers"),  # type: ignore[arg-type]
    "Tensors in a list": (lambda: Tensor([x, x]), TypeError, "this takes no Tensor"),
    "an array of it": (lambda: np.array(x), TypeError, "the array in it is .data"),
    "no rule": (lambda: np.spacing(x), TypeError, "spacing has no rule for Tensors; make it of functions"),
    "no rule in another module": (lambda: np.linalg.pinv(np.eye(2) * x), TypeError, "pinv has no rule"),
    "several results without a rule": (lambda: np.linalg.svd(np.eye(2) * x), TypeError, "svd has no rule"),
    "results of different lengths": (lambda: np.histogram(x), TypeError, "histogram has no rule"),
    "no rule for the condition": (lambda: np.where(x, x, 0), TypeError, "where has no rule"),
    "more Tensors than rules": (
        lambda: bp.primitive(lambda g, y, a, b: g)(np.add)(x, x),
        TypeError,
        "add has no rule",
    ),
    "a list without a rule": (
        lambda: np.lexsort([x, np.cov(x)]),  # type: ignore[arg-type]
        TypeError,
        "cov has no rule",
    ),
    "a Tensor by keyword": (lambda: np.sum(a=x), TypeError, r"Tensors take sum\(x, axis, keepdims\)"),
    "a reduction": (lambda: np.add.reduce(x), TypeError, "add has no rule for reduce"),
    "an outer comparison": (lambda: np.less.outer(x, x), TypeError, "less has no rule for outer"),
    "at": (lambda: np.add.at(np.zeros(2), [0], x), TypeError, "do not change in place"),
    "where= of a ufunc": (
        lambda: np.add(x, 1, where=[True, False]),
        TypeError,
        "add has no rule for where; write np.where$",
    ),
    "dtype= of a ufunc": (
        lambda: np.add(x, 1, dtype=np.float32),
        TypeError,
        r"add has no rule for dtype; write x.astype\(dtype\)$",
    ),
    "another option of a ufunc": (
        lambda: np.add(x, 1, casting="no"),
        TypeError,
        "add has no rule for casting; make it of functions",
    ),
    "a reduction with an option": (
        lambda: np.add.reduce(x, dtype=float),
        TypeError,
        "add has no rule for reduce, dtype; make it of functions",
    ),
    "out of a ufunc": (lambda: np.add(x, 1, out=np.zeros(2)), TypeError, "do not change in place"),
    "out of a sum": (lambda: np.sum(x, out=np.zeros(())), TypeError, "sum has no rule for this call"),
    "+=": (lambda: operator.iadd(x, 1), TypeError, r"write a = a \+ b"),
    "+= on an array": (lambda: operator.iadd(np.ones(2), x), TypeError, r"write a = a \+ b"),
    "an entry": (lambda: np.ones(2).__setitem__(slice(2), x), TypeError, "this takes no Tensor"),
    "a Tensor as index": (lambda: x[x], TypeError, "a constant there, as .data"),
    "shapes": (lambda: x @ Tensor(np.ones((3, 2))), ValueError, "size 3 is different from 2"),
    "a weight for each": (lambda: (x * x).backward(), ValueError, r"shape \(2,\) needs grad_output"),
    "another shape": (lambda: (x * x).backward([1, 1, 1]), ValueError, r"\(2,\), got \(3,\)"),
    "a Tensor of another shape": (
        lambda: gradients(x * x, [x], Tensor([1.0]), create_graph=True),
        ValueError,
        r"grad_output of shape \(2,\), got \(1,\)",
    ),
    "nothing recorded": (lambda: x.detach().backward(), RuntimeError, "nothing was recorded"),
    "one input, no list": (lambda: gradients(x.sum(), x), TypeError, "a list of Tensors"),  # type: ignore[arg-type]
    "an input that is constant": (
        lambda: gradients((x * (c := x.detach())).sum(), [c]),
        TypeError,
        "that require a gradient",
    ),
    "several numbers as one": (lambda: bool(x), ValueError, "ambiguous"),
    "a number as several": (lambda: list(Tensor(1.0)), TypeError, "unsized"),
    "a dtype for the sum": (
        lambda: np.sum(Tensor(np.eye(2)), 1, np.float32),
        TypeError,
        r"take sum\(x, axis, keepdims\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    act, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        act()
    assert x.data.tolist() == [1, 2] and x.grad is None


def test_a_primitive_has_its_own_rule() -> None:
    through = bp.primitive(lambda g, y, x: g)(np.round)
    assert gradient(lambda v: through(v * 2), np.array([0.3, 0.8]), [1, 1]).tolist() == [2, 2]
    assert through(0.8) == 1.0 and through.__name__ == "round"


def test_a_primitive_refuses_a_tensor_by_keyword() -> None:
    @bp.primitive(lambda g, y, value: 7 * g)
    def same(value: Any) -> Any:
        return value

    with pytest.raises(TypeError, match="same takes a Tensor by its place"):
        same(value=Tensor(1.0))


def test_a_primitive_takes_a_subclass() -> None:
    class Weight(Tensor):
        pass

    weight = Weight([1.0, 2.0])
    weight[1].backward()
    assert weight.grad is not None and weight.grad.tolist() == [0, 1]


def test_a_copy_has_its_own_array() -> None:
    x = Tensor([1.0, 2.0])
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        other.data[0] = 5
        assert x.data[0] == 1 and (other * other).requires_grad


def scaled(x: Any, weight: Any, bias: Any) -> Any:
    return np.tanh(x @ weight) + bias


def tape_network() -> bp.Network:
    start = np.random.default_rng(0)
    weights = bp.Parameter(start.normal(size=(4, 4))), bp.Parameter(np.zeros(4))
    return bp.Network(bp.Linear(4, 4, rng=1), bp.TapeLayer(scaled, *weights), loss=bp.MSELoss())


def test_gradcheck_of_a_tape_layer() -> None:
    assert bp.gradcheck(tape_network(), X, rng=0) < 1e-7


def test_a_tape_layer_learns_among_others() -> None:
    net, target = tape_network(), np.tanh(X[:, ::-1])
    optimizer = bp.Adam(net.parameters(), lr=0.05)
    first = net.loss(X, target)
    for _ in range(60):
        last = net.loss(X, target)
        net.zero_grad()
        net.backward()
        optimizer.step()
    assert len(net.parameters()) == 4 and last < first / 10


def test_a_step_between_forward_and_backward_is_found() -> None:
    net = tape_network()
    optimizer = bp.SGD(net.parameters(), lr=0.1)
    net.loss(X, X)
    net.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="was changed after"):
        net.backward()


def test_a_copied_tape_layer_has_its_own_weights_and_no_tape() -> None:
    net = tape_network()
    net.forward(X)
    other = copy.deepcopy(net)
    other.parameters()[-1].data += 1
    assert net.parameters()[-1].data.max() == 0
    with pytest.raises(RuntimeError, match="forward"):
        other.backward(X)


def test_a_tape_layer_refuses_a_gradient_of_another_shape() -> None:
    layer = bp.TapeLayer(np.tanh)
    layer.forward(X)
    with pytest.raises(ValueError, match=r"expected grad_output of shape \(3, 4\)"):
        layer.backward(np.ones(4))


def test_a_parameter_that_serves_twice_gets_both_shares() -> None:
    weight = bp.Parameter([2.0])
    layer = bp.TapeLayer(lambda x, a, b: x * a * b, weight, weight)
    layer.forward([3.0])
    layer.backward([1.0])
    assert weight.grad == 12


# Arithmetic that Value and plain numbers share.
ARITHMETIC: dict[str, Function] = {
    "two plus": lambda v: 2 + v,
    "plus itself": lambda v: v + v,
    "two minus": lambda v: 2 - v,
    "minus two of itself": lambda v: v - 2 * v,
    "negative": lambda v: -v,
    "times a number of NumPy": lambda v: np.float64(3) * v * 2,
    "two by": lambda v: 2 / v,
    "by four": lambda v: v / 4,
    "by itself": lambda v: v / v,
    "to the 0": lambda v: v**0,
    "to the 3": lambda v: v**3,
    "to the -0.5": lambda v: v**-0.5,
    "two to the": lambda v: 2**v,
    "to itself": lambda v: v**v,
    "sum": lambda v: sum([v, v * v]),
}
# Value's functions, with their values and slopes from math.
METHODS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "exp": (math.exp, math.exp),
    "log": (math.log, lambda x: 1 / x),
    "tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "relu": (lambda x: x, lambda x: 1),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_of_numbers(name: str) -> None:
    function, x = ARITHMETIC[name], Value(0.7)
    y = function(x)
    y.backward()
    expected = bp.complex_step_gradient(function, 0.7)
    assert y.data == pytest.approx(function(0.7), rel=1e-15)
    assert x.grad == pytest.approx(float(expected), rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("name", METHODS)
def test_functions_of_numbers(name: str) -> None:
    value, slope = METHODS[name]
    x = Value(0.7)
    y = getattr(x, name)()
    y.backward()
    assert y.data == value(0.7) and x.grad == pytest.approx(slope(0.7), rel=1e-14)


def test_relu_of_a_negative_number() -> None:
    for number in (-0.7, 0.0):
        x = Value(number)
        y = x.relu()
        y.backward()
        assert y.data == 0 and x.grad == 0


@settings(deadline=None)
@given(st.data())
def test_both_tapes_agree(data: st.DataObject) -> None:
    start = data.draw(st.lists(st.floats(0.5, 2), min_size=2, max_size=4))
    values: list[Any] = [Value(number) for number in start]
    tensors: list[Any] = [Tensor(number) for number in start]
    binary = [operator.add, operator.sub, operator.mul, operator.truediv]
    steps: Any = st.tuples(st.sampled_from(binary), st.integers(0, 99), st.integers(0, 99))
    for function, i, j in data.draw(st.lists(steps, min_size=1, max_size=8)):
        for numbers in (values, tensors):
            one, other = numbers[i % len(numbers)], numbers[j % len(numbers)]
            result = function(one, other * other + 1)
            numbers.append(result.tanh() if isinstance(result, Value) else np.tanh(result))
    values[-1].backward()
    found = gradients(tensors[-1], tensors[: len(start)])
    assert values[-1].data == pytest.approx(tensors[-1].item(), rel=1e-12, abs=1e-12)
    for value, gradient_ in zip(values, found, strict=False):
        assert value.grad == pytest.approx(float(gradient_), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("n", "slope"), [(0, 0), (0.5, math.inf), (1, 1), (2, 0)])
def test_powers_of_zero(n: float, slope: float) -> None:
    x = Value(0.0)
    y = x**n
    y.backward()
    assert y.data == 0.0**n and x.grad == slope
    exponent = Value(2.0)
    (Value(0.0) ** exponent).backward()
    assert exponent.grad == 0
    assert (0 / Value(2.0)).data == 0


def test_products_of_few_and_of_none() -> None:
    for length in range(6):
        x = Tensor(np.arange(1.0, 1 + 2 * length).reshape(length, 2))
        assert np.prod(x, axis=0).data.tolist() == np.prod(x.data, axis=0).tolist()
    assert np.prod(Tensor(np.ones(0))).item() == 1 and np.prod(Tensor(np.ones((2, 0)))).item() == 1


def test_sorting_takes_the_last_axis_unless_told_otherwise() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    x, g = Tensor(values), np.random.default_rng(1).normal(size=(3, 4, 5))
    for axes in ((), (-1,), (0,), (1,)):
        y: Any = np.sort(x, *axes)
        (slope,) = gradients(y, [x], g)
        assert np.array_equal(y.data, np.sort(values, *axes))
        back = np.argsort(np.argsort(values, *axes), *axes)
        assert np.array_equal(slope, np.take_along_axis(g, back, *(axes or (-1,))))


def test_the_slope_of_sinc_near_zero_loses_no_digit() -> None:
    x = Tensor(at := np.array([1e-9, 1e-5, 1e-3]))
    y: Any = np.sinc(x)
    (slope,) = gradients(y, [x], np.ones(3))
    assert np.allclose(slope, math.pi**4 * at**3 / 30 - math.pi**2 * at / 3, rtol=1e-9, atol=0)


def test_powers_of_zero_in_arrays() -> None:
    x, n = Tensor([0.0, 0.0, 2.0]), Tensor([0.0, 2.0, 3.0])
    of_x, of_n = gradients(x**n, [x, n], np.ones(3))
    assert of_x.tolist() == [0, 0, 12]
    assert np.allclose(of_n, [0, 0, 8 * math.log(2)])


@pytest.mark.parametrize("root", [np.sqrt, np.cbrt])
def test_roots_are_infinitely_steep_at_zero(root: Any) -> None:
    x = Tensor([0.0, 64.0])
    with np.errstate(divide="ignore"):
        (slope,) = gradients(root(x), [x], np.ones(2))
    assert slope[0] == math.inf and slope[1] == pytest.approx({np.sqrt: 1 / 16, np.cbrt: 1 / 48}[root])


def test_numbers_that_are_none_pass_through() -> None:
    x = Value(math.nan)
    y = x.relu()
    y.backward()
    assert math.isnan(y.data) and Value(-math.inf).relu().data == 0


def test_a_negative_base_has_a_slope_and_none_in_its_exponent() -> None:
    base, exponent = Value(-2.0), Value(2.0)
    y = base**exponent
    y.backward()
    assert (y.data, base.grad) == (4.0, -4.0) and math.isnan(exponent.grad)
    with pytest.raises(ValueError, match=r"a negative number, -2, has no power 0\.5"):
        base**0.5


WRONG_NUMBERS: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "a text": (lambda: Value(1.0) * "2", TypeError),  # type: ignore[operator]
    "a text alone": (lambda: Value("3"), TypeError),  # type: ignore[arg-type]
    "nothing": (lambda: Value(None), TypeError),  # type: ignore[arg-type]
    "an array": (lambda: Value(1.0) * np.ones(3), TypeError),  # type: ignore[operator]
    "a Tensor": (lambda: Value(1.0) + Tensor(1.0), TypeError),
    "a Tensor first": (lambda: Tensor(1.0) + Value(1.0), TypeError),
    "root of a negative number": (lambda: Value(-1.0) ** 0.5, ValueError),
    "logarithm of zero": (lambda: Value(0.0).log(), ValueError),
    "division by zero": (lambda: 1 / Value(0.0), ZeroDivisionError),
}


@pytest.mark.parametrize("name", WRONG_NUMBERS)
def test_what_numbers_refuse(name: str) -> None:
    act, error = WRONG_NUMBERS[name]
    with pytest.raises(error):
        act()


def _in_a_loop(x: Tensor) -> np.ndarray:
    out = np.zeros(3)
    for i in range(3):
        out[i] = np.exp(x[i])
    return out


BARE: dict[str, Callable[[Tensor], Any]] = {
    "float": lambda x: [float(x[0]), float(x[1]), float(x[2])],
    "math": lambda x: [math.log(part) for part in x],
    "loop": _in_a_loop,
}


@pytest.mark.parametrize("way", BARE)
def test_whoever_takes_the_bare_number_is_warned_at_his_own_line(way: str) -> None:
    x = Tensor([1.0, 2.0, 3.0])
    with pytest.warns(UserWarning, match=r"a float carries no gradient; .*\.item\(\)") as said:
        value = BARE[way](x)
    assert len(said) == 3 and {one.filename for one in said} == {__file__}
    assert np.allclose(value, {"float": x.data, "math": np.log(x.data), "loop": np.exp(x.data)}[way])


@pytest.mark.parametrize("way", BARE)
def test_where_no_gradient_is_wanted_a_float_is_silent(way: str) -> None:
    """Warnings are errors here."""
    BARE[way](Tensor([1.0, 2.0, 3.0], requires_grad=False))
    BARE[way](Tensor([1.0, 2.0, 3.0]).detach())
    with no_grad():
        BARE[way](Tensor([1.0, 2.0, 3.0]))
    x = Tensor(2.0)
    assert f"{x:.1f} {x}" == f"2.0 {x!r}" and x.item() == 2.0


def test_methods_that_differ_from_the_function_of_their_name_are_refused() -> None:
    """``a.compress(mask)`` is ``np.compress(mask, a)``; ``a.resize`` and ``a.sort`` work in place."""
    for name in ("compress", "resize", "sort"):
        with pytest.raises(AttributeError, match=f"a Tensor has no {name}"):
            getattr(Tensor([1.0, 2.0, 3.0]), name)
    assert np.compress([True, False, True], Tensor([1.0, 2.0, 3.0])).data.tolist() == [1.0, 3.0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_flattening_in_either_order(order: Any) -> None:
    for held in (X, np.asfortranarray(X), X[::2, ::-1], X[:0], X[0, 0], X.reshape(2, 2, 3)):
        for flat in (lambda a: a.flatten(order), lambda a: np.ravel(a, order), lambda a: a.ravel(order)):
            x = Tensor(np.array(held, order="K"))
            assert np.array_equal(flat(x).data, flat(x.data))
            weights = np.arange(x.size, dtype=float)
            (dx,) = gradients((flat(x) * weights).sum(), [x])
            assert np.array_equal(flat(dx), weights)


def test_an_order_of_the_memory_is_refused() -> None:
    """Which it is would depend on how the array came to be; so it is said, before anything is wrong."""
    for order in ("K", "A", None):
        with pytest.raises(ValueError, match=f"ravel: order is 'C' or 'F', got {order!r}"):
            np.ravel(Tensor(np.asfortranarray(X)), order)
    with pytest.raises(
        TypeError, match=r"reshape has no rule for this call; Tensors take reshape\(x, shape\)"
    ):
        Tensor(X).reshape(4, 3, order="F")


def test_a_determinants_logarithm_has_numpys_names() -> None:
    x = Tensor(2 * np.eye(3) + 0.1)
    found = np.linalg.slogdet(x)
    assert found.sign == 1 and found.logabsdet is found[1]
    assert np.allclose(gradients(found.logabsdet, [x])[0], np.linalg.inv(x.data).T)


def test_both_names_of_a_matrix_transposed() -> None:
    for function in (np.matrix_transpose, np.linalg.matrix_transpose):
        x = Tensor(X.reshape(2, 2, 3))
        assert np.array_equal(gradients(function(x)[0, 2, 1], [x])[0] != 0, x.data == x.data[0, 1, 2])
