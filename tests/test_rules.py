"""Every function in the table of rules, both ways and to second order; and what is refused."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from backprop_core import Tensor, checkpoint, gradients, hvp, jvp

rng = np.random.default_rng(5)
# Apart from each other, so that nothing ties; between 1 and 2, where all slopes are finite.
X = (1.04 + 0.9 * rng.permutation(12) / 12).reshape(3, 4)
Function = Callable[[Any], Any]
untyped: Any = np  # for calls that its annotations do not know


def first(y: Any) -> Any:
    """One result of a function that has several, or all in one."""
    return sum(np.sum(part * (i + 1)) for i, part in enumerate(y)) if isinstance(y, (list, tuple)) else y


HALF = {"arcsin", "arccos", "arctanh", "tan"}  # of numbers below 1
ODD: dict[str, list[Function]] = {
    "append": [lambda x: np.append(x, 3.0), lambda x: np.append(x, x, axis=1)],
    "average": [
        np.average,
        lambda x: np.average(x, 0, keepdims=True),
        lambda x: np.average(x, axis=-1, weights=[1.0, 2.0, 0.0, 3.0]),
        lambda x: np.average(x, 0, X * X),
        lambda x: np.average(X.T, weights=x.T, keepdims=True),
        lambda x: np.average(np.stack([x, X]), (2, 0), np.arange(8.0).reshape(4, 2)),
        lambda x: np.average([1.0, 5.0, 2.0], weights=x[:, 1]),
    ],
    "array_split": [lambda x: first(np.array_split(x, 3, axis=1))],
    "atleast_1d": [lambda x: np.atleast_1d(x[0, 0]), lambda x: first(np.atleast_1d(x, x[0]))],
    "atleast_3d": [np.atleast_3d],
    "block": [lambda x: np.block([[x, x], [np.ones((1, 8))]])],
    "broadcast_arrays": [lambda x: first(np.broadcast_arrays(x, x[:1]))],
    "broadcast_to": [lambda x: np.broadcast_to(x, (2, 3, 4))],
    "choose": [lambda x: np.choose([0, 2, 1, 0], [x[0], x[1], x[2]])],
    "clip": [
        lambda x: np.clip(x, 1.3, 1.7),
        lambda x: np.clip(x, max=1.5),
        lambda x: np.clip(X + 0.2, x - 0.1, x + 0.1),
    ],
    "column_stack": [lambda x: np.column_stack([x, x[:, 0]])],
    "compress": [lambda x: np.compress([True, False, True], x, axis=0)],
    "concatenate": [
        lambda x: np.concatenate([x, np.ones((1, 4)), x * x]),
        lambda x: np.concatenate((x, x), axis=-1),
        lambda x: np.concatenate([x, [1.0]], axis=None),
    ],
    "cross": [
        lambda x: np.cross(x[:, :3], x[:, 1:]),
        lambda x: np.cross(x, X[::-1], axis=0),
        lambda x: np.linalg.cross(x[0, :3], np.ones((2, 3))),
    ],
    "cumprod": [np.cumprod, lambda x: np.cumprod(x, 1), lambda x: np.cumprod(x - X[1, 0], axis=0)],
    "delete": [lambda x: np.delete(x, 1, axis=1)],
    "diag": [np.diag, lambda x: np.diag(x[0], 1)],
    "diagonal": [
        np.diagonal,
        lambda x: np.diagonal(x, -1, axis1=1, axis2=0),
        lambda x: np.linalg.diagonal(x[:, :, None] * x[:, None], offset=1),
    ],
    "diff": [np.diff, lambda x: np.diff(x, 2, axis=0), lambda x: x + np.diff(x, 9).sum()],
    "dot": [
        lambda x: np.dot(x, x.T),
        lambda x: np.dot(x, np.float32(2)),
        lambda x: np.dot(x[0], x[0]),
        lambda x: np.dot(x, np.ones((2, 4, 3))),
    ],
    "dsplit": [lambda x: first(np.dsplit(x[None], 2))],
    "dstack": [lambda x: np.dstack([x, x])],
    "einsum": [
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.einsum("ij,jk", x, x.T),
        lambda x: np.einsum("...j,j", x, x[0]),
        lambda x: np.einsum("ii->i", x[:, :3]),
        lambda x: np.einsum("ij->", x),
        lambda x: np.einsum("i...,...->i...", x, np.ones((2, 1))),
        lambda x: np.einsum("ij,jk,ik->k", x, np.ones((4, 2)), x[:, :2]),
        lambda x: np.einsum("ij,ij->ij", x[:1], np.ones((3, 4))),
    ],
    "expand_dims": [lambda x: np.expand_dims(x, (0, 2)), lambda x: np.expand_dims(x, axis=1)],
    "extract": [lambda x: np.extract(X > 1.4, x)],
    "flip": [np.flip, lambda x: np.flip(x, axis=(0, 1))],
    "fftshift": [np.fft.fftshift, lambda x: np.fft.fftshift(x, axes=1)],
    "floor_divide": [lambda x: np.floor_divide(x, 0.3) + x],
    "hsplit": [lambda x: first(np.hsplit(x, [1, 3]))],
    "hstack": [lambda x: np.hstack([x, x])],
    "inner": [lambda x: np.inner(x, x), lambda x: np.inner(np.float32(2), x)],
    "ifftshift": [np.fft.ifftshift],
    "insert": [lambda x: np.insert(x, 1, 5.0, axis=0), lambda x: np.insert(X, 1, x[0], axis=0)],
    "inv": [lambda x: np.linalg.inv(x[:, :3] + 3 * np.eye(3))],
    "det": [lambda x: np.linalg.det(x[:, :3] + 3 * np.eye(3))],
    "slogdet": [lambda x: np.linalg.slogdet(x[:, :3] - 3 * np.eye(3))[1]],
    "solve": [lambda x: np.linalg.solve(x[:, :3] + 3 * np.eye(3), x[:, 3])],
    "multi_dot": [lambda x: np.linalg.multi_dot([x, x.T, x])],
    "norm": [
        np.linalg.norm,
        lambda x: np.linalg.norm(x, axis=1),
        lambda x: np.linalg.norm(x, 3, axis=0, keepdims=True),
        lambda x: np.linalg.norm(x, np.inf, axis=-1),
        lambda x: np.linalg.norm(x, 1),
        lambda x: np.linalg.norm(x, -np.inf),
        lambda x: np.linalg.norm(x, "fro"),
    ],
    "matmul": [lambda x: x @ x.T, lambda x: x[0] @ x.T, lambda x: np.linalg.matmul(x, x.T)],
    "matrix_norm": [
        lambda x: np.linalg.matrix_norm(x[:, :, None] * x[:, None]),
        lambda x: np.linalg.matrix_norm(x, ord=1, keepdims=True),
    ],
    "matrix_power": [
        *(
            partial(lambda n, x: np.linalg.matrix_power(x[:, :3] - 3 * np.eye(3), n), n)
            for n in (3, 1, 0, -2)
        ),
        lambda x: np.linalg.matrix_power(x[:, :3] * np.ones((2, 1, 1)), 2),
    ],
    "matrix_transpose": [np.linalg.matrix_transpose],
    "mean": [np.mean, lambda x: np.mean(x, 0, keepdims=True)],
    "meshgrid": [lambda x: first(np.meshgrid(x[0], x[1]))],
    "moveaxis": [lambda x: np.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, source=1, destination=0)],
    "nan_to_num": [lambda x: np.nan_to_num(np.where(x > 1.5, np.nan, x), nan=2.0)],
    "nanmean": [np.nanmean, lambda x: np.nanmean(np.where(X > 1.5, np.nan, x), axis=0, keepdims=True)],
    "kron": [
        lambda x: np.kron(x[:2, :3], x[1:]),
        lambda x: np.kron(x[0], X[:, :2]),
        lambda x: np.kron(np.array([[[1.0], [-2.0]]]), x),
    ],
    "median": [
        np.median,
        lambda x: np.median(x, 0),
        lambda x: np.median(x[:, :3] * x[:, :3], axis=-1, keepdims=True),
        lambda x: np.median(x, keepdims=True),
    ],
    "nanmax": [np.nanmax, lambda x: np.nanmax(np.where(X > 1.5, np.nan, x * x), axis=1)],
    "nanmin": [np.nanmin, lambda x: np.nanmin(np.where(X < 1.3, np.nan, x), 0, keepdims=True)],
    "nanprod": [lambda x: np.nanprod(np.where(X > 1.5, np.nan, x), axis=1)],
    "nansum": [lambda x: np.nansum(np.where(X > 1.5, np.nan, x * x), axis=1)],
    "ones_like": [lambda x: np.ones_like(x) * x],
    "pad": [
        lambda x: np.pad(x, 1),
        lambda x: np.pad(x, 1, constant_values=2),
        lambda x: np.pad(x, 2, "reflect"),
    ],
    "power": [
        lambda x: 2**x,
        lambda x: x**x,
        lambda x: x**3,
        lambda x: x**0,
        lambda x: (x - 1) ** [0, 1, 2, 3],
    ],
    "prod": [np.prod, lambda x: np.prod(x, (0, -1), keepdims=True), lambda x: np.prod(x - X[0, 0], 1)],
    "repeat": [lambda x: np.repeat(x, [1, 0, 2], axis=0)],
    "ptp": [np.ptp, lambda x: np.ptp(x * x, axis=1, keepdims=True)],
    "reshape": [lambda x: np.reshape(x, (2, 6)), lambda x: np.reshape(x, shape=-1)],
    "resize": [lambda x: np.resize(x, (5, 3))],
    "roll": [lambda x: np.roll(x, 2), lambda x: np.roll(x, (1, -1), axis=(0, 1))],
    "rollaxis": [lambda x: np.rollaxis(x, 1)],
    "select": [lambda x: np.select([X > 1.5, X > 1.3], [x, 2 * x], 1.1)],
    "sort": [np.sort, lambda x: np.sort(x, axis=None), lambda x: np.sort(x, axis=0)],
    "split": [lambda x: first(np.split(x, 2, axis=1))],
    "squeeze": [lambda x: np.squeeze(x[None], 0)],
    "stack": [lambda x: np.stack([x, x * x], axis=1), lambda x: np.stack(list(x))],
    "std": [np.std, lambda x: np.std(x, axis=0, ddof=1)],
    "sum": [np.sum, lambda x: np.sum(x, axis=(0, 1)), lambda x: x[0, 0].sum(axis=-1)],
    "swapaxes": [lambda x: np.swapaxes(x, axis1=0, axis2=1)],
    "take": [lambda x: np.take(x, [0, 0, 5]), lambda x: np.take(x, 1, axis=1)],
    "take_along_axis": [lambda x: np.take_along_axis(x, np.array([[0], [2], [2]]), axis=1)],
    "tensordot": [
        lambda x: np.tensordot(x, x),
        lambda x: np.tensordot(x, x, axes=0),
        lambda x: np.tensordot(x, x, axes=([1], [-1])),
        lambda x: np.linalg.tensordot(x, x, axes=([1], [-1])),
    ],
    "tile": [lambda x: np.tile(x, (2, 1, 2))],
    "trace": [
        np.trace,
        lambda x: np.trace(x[:, :, None] * x[:, None], 1, axis1=1, axis2=2),
        lambda x: np.linalg.trace(x[:, :, None] * x[:, None], offset=-1),
    ],
    "transpose": [np.transpose, lambda x: np.transpose(x, axes=(-1, 0)), lambda x: x.transpose((1, 0))],
    "var": [np.var, lambda x: np.var(x, 1, ddof=1, keepdims=True)],
    "trapezoid": [
        np.trapezoid,
        lambda x: np.trapezoid(x, dx=0.3, axis=0),
        lambda x: np.trapezoid(x, x[0] * x[1]),
        lambda x: np.trapezoid(X, x + x, axis=0),
    ],
    "vdot": [lambda x: np.vdot(x, x)],
    "vecdot": [lambda x: np.vecdot(x, x), lambda x: untyped.linalg.vecdot(x, X, axis=0)],
    "vector_norm": [
        np.linalg.vector_norm,
        lambda x: untyped.linalg.vector_norm(x[:, :, None] * x[:, None], ord=3, axis=(0, 2)),
        lambda x: untyped.linalg.vector_norm(x, ord=-np.inf, keepdims=True),
    ],
    "vsplit": [lambda x: first(np.vsplit(x, 3))],
    "vstack": [lambda x: np.vstack([x, x[0]])],
    "where": [lambda x: np.where(X > 1.5, x, 1 / x)],
    "zeros_like": [lambda x: np.zeros_like(x) + x],
}
BY_TWO: list[Any] = [
    *(np.add, np.subtract, np.multiply, np.divide, np.fmod, np.remainder, np.logaddexp, np.logaddexp2),
    *(np.arctan2, np.hypot, np.maximum, np.minimum, np.fmax, np.fmin, np.float_power, np.outer, np.copysign),
]
TWO: dict[str, list[Function]] = {
    f.__name__: [
        partial(lambda f, x: f(x, 3 * x[::-1]), f),
        partial(lambda f, x: f(x, 0.7), f),
        partial(lambda f, x: f(0.7, x), f),
    ]
    for f in BY_TWO
}
NAMES = sorted({rule.name for rule in (bp._RULES | bp._FURTHER).values()})


def calls(name: str) -> list[Function]:
    if name in ODD:
        return ODD[name]
    if name in TWO:
        return TWO[name]
    function = getattr(np, name)
    return [lambda x: function(x / 2.5)] if name in HALF else [function]


CASES = [(name, i) for name in NAMES for i in range(len(calls(name)))]


def numeric(f: Function, x: np.ndarray, u: Any) -> np.ndarray:
    return bp.numerical_gradient(lambda x: np.asarray(f(x)), x, u)


@pytest.mark.parametrize(("name", "i"), CASES)
def test_value_gradient_and_slope(name: str, i: int) -> None:
    f, x, v = calls(name)[i], Tensor(X), np.cos(np.arange(12)).reshape(3, 4)
    y, expected = f(x), np.asarray(f(X))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-13)
    u = np.asarray(np.random.default_rng(1).normal(size=y.shape))
    (found,) = gradients(y, [x], u)
    np.testing.assert_allclose(found, numeric(f, X, u), rtol=1e-6, atol=1e-8)
    _, slope = jvp(f, [X], [v])
    assert np.sum(u * slope) == pytest.approx(np.sum(found * v), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(("name", "i"), CASES)
def test_second_order_in_every_mixture_of_directions(name: str, i: int) -> None:
    f, v = calls(name)[i], np.sin(1 + np.arange(12)).reshape(3, 4)
    u = np.asarray(np.random.default_rng(2).normal(size=np.shape(f(X))))

    def total(x: Any) -> Any:
        return np.sum(f(x) * u) + 0 * np.sum(x)

    def slope(x: Any) -> Any:
        inner = x[...]
        return gradients(total(inner), [inner], create_graph=True)[0]

    def plain(x: np.ndarray) -> np.ndarray:
        start = Tensor(x)
        return gradients(total(start), [start])[0]

    expected = (plain(X + 1e-5 * v) - plain(X - 1e-5 * v)) / 2e-5
    x = Tensor(X)
    forward_over_reverse = jvp(slope, [x], [v])[1].data
    reverse_over_forward = gradients(jvp(total, [x], [v])[1], [x])[0]
    for found in (hvp(total, X, v), forward_over_reverse, reverse_over_forward):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    twice = jvp(lambda x: jvp(total, [x], [v])[1], [x], [v])[1]
    assert twice.item() == pytest.approx(np.sum(expected * v), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "i"), CASES)
def test_precision_is_kept(name: str, i: int) -> None:
    f, x = calls(name)[i], Tensor(np.float32(X))
    y = f(x)
    assert y.dtype == np.asarray(f(np.float32(X))).dtype
    assert gradients(np.sum(y), [x])[0].dtype == np.float32


EDGES: dict[str, tuple[Function, list[float], list[float]]] = {
    "product with one zero": (np.prod, [0, 2, 3], [6, 0, 0]),
    "product with two": (np.prod, [0, 0, 3], [0, 0, 0]),
    "norm at 0": (np.linalg.norm, [0, 0], [0, 0]),
    "hypot at 0": (lambda x: np.hypot(x[0], x[1]), [0, 0], [0, 0]),
    "standard deviation of equals": (np.std, [1, 1], [0, 0]),
    "clip at its ends": (lambda x: np.clip(x, 0, 1).sum(), [-1, 0, 1, 2], [0, 1, 1, 0]),
    "exponents of zero": (lambda n: (0.0**n).sum(), [0, 1, 2], [0, 0, 0]),
    "sinc at 0": (lambda x: np.sinc(x).sum(), [0, 1], [0, -1]),
    "logaddexp, far": (
        lambda x: np.logaddexp(x[0], x[1]),
        [4988429, 4988430],
        [1 / (1 + np.e), np.e / (1 + np.e)],
    ),
    "logaddexp, infinite": (lambda x: np.logaddexp(x[0], x[1]), [np.inf, 0], [1, 0]),
    "fmax of nan": (lambda x: np.fmax(x, [np.nan, 2.0]).sum(), [1, 1], [1, 0]),
    "rounding": (lambda x: (np.round(x, 1) + np.floor(x) + np.fix(x)).sum(), [0.31, -2.5], [0, 0]),
    "nothing": (lambda x: np.stack([x, x]).sum() + np.prod(x), [], []),
    "running product with zeros": (lambda x: np.cumprod(x).sum(), [2, 0, 3, 0], [1, 8, 0, 0]),
    "copysign at 0": (lambda x: np.copysign(x, [-1, 1, -1]).sum(), [0, -2, 3], [0, -1, -1]),
    "lists beside Tensors": (
        lambda x: (np.hypot(x, [4, 0]) + np.logaddexp2(x, (3, 1))).sum(),
        [3, 1],
        [1.1, 1.5],
    ),
    "a truth value beside a Tensor": (lambda x: np.arctan2([True, False], x).sum(), [1, 1], [-0.5, 0]),
    "a pad around nothing": (lambda x: np.pad(x, 1).sum(), [], []),
    "nanmax of equals": (np.nanmax, [2, np.nan, 2], [0.5, 0, 0.5]),
    "nanmax of infinities": (lambda x: np.nanmax(x, 0), [-np.inf, np.inf, np.nan], [0, 1, 0]),
    "nanprod with a zero": (np.nanprod, [0, np.nan, 3], [3, 0, 0]),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges(name: str, dtype: Any) -> None:
    f, given, expected = EDGES[name]
    x = Tensor(np.array(given, dtype))
    with np.errstate(invalid="ignore"):
        (found,) = gradients(f(x), [x])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


BAD_SHAPES: dict[str, Callable[[], Any]] = {
    "a vector across": lambda: np.cross(Tensor(X[0]), X[0]),
    "a difference of order -1": lambda: np.diff(Tensor(X), -1),
    "a difference of a number": lambda: np.diff(Tensor(2.0)),
    "a power of a vector": lambda: np.linalg.matrix_power(Tensor(X[0]), 2),
}


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_numpy_says_what_it_always_says(name: str) -> None:
    with pytest.raises(ValueError, match=r"dimension|non-negative"):
        BAD_SHAPES[name]()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slopes_of_sinc_near_zero(dtype: Any) -> None:
    """All digits of them, although sin(πx) / (πx) loses all below 1e-8; beside exact fractions."""
    x = np.array([0.0, 1e-30, 1e-9, -1e-8, 1e-6, 1e-5, -1e-3, 0.01, 0.1, -0.299, 0.301, 0.5], dtype)
    square = [Fraction(float(z)) ** 2 * Fraction(np.pi) ** 2 for z in x]
    powers = [[Fraction(-1) ** k * s**k / math.factorial(2 * k + 3) for k in range(20)] for s in square]
    slope = [sum(-(2 * k + 2) * term for k, term in enumerate(each)) for each in powers]
    curve = [sum(-(2 * k + 1) * (2 * k + 2) * term for k, term in enumerate(each)) for each in powers]
    rtol = 40 * np.finfo(dtype).eps
    start = Tensor(x)
    (found,) = gradients(untyped.sum(np.sinc(start)), [start])
    np.testing.assert_allclose(found, np.array(slope, float) * np.pi**2 * x, rtol)
    found = hvp(lambda x: np.sinc(x).sum(), x, np.ones_like(x))
    np.testing.assert_allclose(found, np.array(curve, float) * np.pi**2, rtol)


@bp.primitive(lambda g, y, x, by: g * by)
def scaled(x: Any, by: Any) -> Any:
    return x * by


x = Tensor([1.0, 2.0])
KEPT = np.full(1, 7.0)  # nobody may write into it
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "where": (lambda: np.sum(x, where=[True, False]), r"sum has no rule .* take sum\(x, axis, keepdims\)"),
    "dtype": (lambda: np.var(x, dtype=float), r"take var\(x, axis, ddof, keepdims\)"),
    "initial": (lambda: np.max(x, initial=3.0), r"take a?max\(x, axis, keepdims\)"),
    "order": (lambda: np.reshape(x, (2, 1), order="F"), r"take reshape\(x, shape\)"),
    "subok": (lambda: np.broadcast_to(x, (2, 2), subok=True), r"take broadcast_to\(x, shape\)"),
    "several axes": (lambda: np.median(x, (0,)), "median takes one axis of a Tensor, or none"),
    "the sum of weights": (
        lambda: np.average(x, returned=True),
        r"take average\(x, axis, weights, keepdims\)",
    ),
    "convolve": (lambda: np.convolve(x, x), "convolve has no rule .*; multiply windows"),
    "interp": (lambda: np.interp(x, [1, 2], [3, 4]), "interp has no rule .*; weigh neighbours"),
    "an option, without nan": (lambda: np.nanmax(x, initial=3.0), r"take a?max\(x, axis, keepdims\)"),
    "option of another": (lambda: np.std(x, mean=0.0), "std has no rule"),
    "more than moved": (lambda: np.pad(x, 1, mode="mean"), "pad does more here than move"),
    "a ramp": (lambda: np.pad(x, 2, mode="linear_ramp"), "pad does more here than move"),
    "singular values": (lambda: np.linalg.norm(np.eye(2) * x, 2), "norm of axes .* ord=2"),
    "a norm by name": (lambda: np.linalg.norm(np.eye(2) * x, "nuc"), "ord='nuc'"),
    "a negative order": (lambda: np.linalg.norm(x, -2), "ord=-2"),
    "a singular matrix": (lambda: np.linalg.det(np.ones((2, 2)) * x), "singular"),
    "several without a rule": (lambda: np.linalg.eigh(np.eye(2) * x), "eigh has no rule"),
    "an array of them": (lambda: np.array([x, x]), "np.stack joins"),
    "masked": (lambda: Tensor(np.ma.array([1.0], mask=[True])), "numbers without a mask"),
    "masked among": (lambda: x * np.ma.array([1.0, 2.0], mask=[True, False]), "numbers without a mask"),
    "complex": (lambda: x * 1j, "got complex128"),
    "several from a checkpoint": (lambda: checkpoint(lambda x: (x, 2 * x), x), "f gives one array"),
    "a copy": (lambda: copy.deepcopy(x * 2), "y.detach()"),
    "a pickle": (lambda: pickle.dumps(x * 2), "y.detach()"),
    "a wrong attribute": (lambda: x.numel, "a Tensor has no numel; its array is .data"),
    "a method without a rule": (lambda: x.partition, "a Tensor has no partition"),
    "a function, no method": (lambda: x.stack, "a Tensor has no stack"),
    "sorted in place": (lambda: x.sort, "a Tensor has no sort"),
    "an option of a method": (
        lambda: x.sum(dtype=float),
        r"sum has no rule .* take sum\(x, axis, keepdims\)",
    ),
    "an item": (lambda: x.__setitem__(0, 1.0), "do not change in place"),
    "a filled diagonal": (lambda: np.fill_diagonal(np.eye(2) * x, 0), "do not change in place"),
    "written into an array": (lambda: np.copyto(np.zeros(2), x), "do not change in place"),
    "added at": (lambda: untyped.add.at(x, 0, 1.0), "do not change in place"),
    "reduced by a ufunc": (
        lambda: np.add.reduce(x),
        "no rule for reduce; make it of functions that have one",
    ),
    "by name": (lambda: np.linalg.inv(a=np.eye(2) * x), "inv takes a Tensor by its place, unnamed"),
    "by name, after an array": (lambda: [scaled(x, by=2.0), scaled(x, by=x)], "by its place, unnamed"),
    "moved by a Tensor": (lambda: np.roll(x, Tensor(1.5)), "roll does more here than move"),
    "taken into an array": (lambda: np.take(x, [0], out=KEPT), "do not change in place"),
    "compressed into an array": (lambda: np.compress([True], x, out=KEPT), "do not change in place"),
    "chosen into an array": (lambda: untyped.choose([0], [x[:1]], KEPT), "do not change in place"),
    "joined with nothing": (lambda: untyped.append(x, None), "expected numbers, got an array of object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_at_the_call(name: str) -> None:
    act, message = REFUSED[name]
    with pytest.raises((TypeError, AttributeError), match=message):
        act()
    assert KEPT == 7


def test_as_a_number_and_a_text() -> None:
    assert (
        x[1].item() == float(x[1].detach()) == int(x[1]) == 2
        and f"{x[1]:.3f} {x}" == "2.000 Tensor([1., 2.])"
    )


@pytest.mark.parametrize("switch", ["no", None, 2, [], np.array([1, 0])], ids=repr)
def test_only_true_and_false_say_whether_a_gradient_is_wanted(switch: Any) -> None:
    with pytest.raises(ValueError, match="Tensor: expected requires_grad to be True or False, got"):
        Tensor(X, requires_grad=switch)
    assert Tensor(X, requires_grad=np.True_).requires_grad and not Tensor(X, requires_grad=0).requires_grad


@pytest.mark.parametrize(
    "rule", [lambda g: g, lambda g, y: g, lambda g, y, a, b: g], ids=("one", "two", "four")
)
def test_a_rule_with_other_arguments_is_refused_at_the_call(rule: Any) -> None:
    right = lambda g, y, x: 2 * g  # noqa: E731, one beside the other
    for vjps, jvps in ([rule], None), ([right], [rule]), ([right, rule], None):
        double = bp.primitive(*vjps, jvps=jvps)(lambda x: 2 * x)
        with pytest.raises(TypeError, match="has no rule for this call; Tensors take"):
            double(Tensor(X))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("f", [np.power, np.logaddexp2])
def test_a_constant_of_less_precision_costs_a_gradient_none(f: Any, kind: type) -> None:
    a: np.ndarray = np.array([1.7, 2.3], kind)
    t = np.array([0.4, 1.9])
    x = Tensor(t)
    wanted = bp.numerical_gradient(lambda t: f(a.astype(float), t), t, np.ones(2), h=1e-6)
    assert np.allclose(bp.gradients(f(a, x), [x], np.ones(2))[0], wanted, rtol=1e-9, atol=0)


def test_a_product_with_a_mask_keeps_the_precision() -> None:
    x = Tensor(np.ones((2, 2), np.float32))
    y: Any = np.kron(x, np.eye(2, dtype=bool))
    assert y.dtype == np.float32 and np.array_equal(y.data, np.kron(x.data, np.eye(2)))
    assert np.array_equal(bp.gradients(y, [x], np.ones((4, 4)))[0], np.full((2, 2), 2.0))


def test_methods_are_those_of_arrays() -> None:
    t = Tensor(X)
    for name in ("sum", "mean", "max", "min", "prod", "std", "var", "cumsum", "ravel", "trace"):
        np.testing.assert_allclose(getattr(t, name)().data, getattr(X, name)(), rtol=1e-13)
    for name in ("argmax", "argmin", "any", "all", "tolist"):
        found, expected = getattr(t, name)(), getattr(X, name)()
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found, expected)
    assert t.argmax(axis=1).tolist() == X.argmax(axis=1).tolist()
    assert t.swapaxes(0, 1).shape == (4, 3) and t.clip(1, 1.5).data.max() == 1.5
    for turned in (t.transpose(1, 0), t.transpose([1, 0]), t.transpose(), t.T, t.mT):
        np.testing.assert_array_equal(turned.data, X.T)
    assert t[0].mT.shape == (4,) and np.array_equal(t.real.data, X)
    np.testing.assert_array_equal(t.flatten().data, X.flatten())


def test_where_all_is_nan_nan_comes_out_and_no_gradient() -> None:
    x = Tensor([[np.nan, np.nan], [1.0, np.nan]])
    for function in (np.nanmax, np.nanmin):
        with pytest.warns(RuntimeWarning, match="All-NaN"):
            y = function(x, axis=1)
        np.testing.assert_array_equal(y.data, [np.nan, 1.0])
        np.testing.assert_array_equal(gradients(y, [x], [1.0, 1.0])[0][:, 1], [0.0, 0.0])


def test_tensordot_does_not_stretch() -> None:
    with pytest.raises(ValueError, match="the axes differ in length"):
        np.tensordot(Tensor(np.ones((1, 2))), np.ones((3, 2)), ([0], [0]))


def test_a_complex_step_on_tensors_is_refused() -> None:
    """The size of a complex number is real, so the step would be lost, and the slope be 0."""
    with pytest.raises(TypeError, match="expected real numbers, got complex128"):
        bp.complex_step_gradient(lambda v: np.sum(np.abs(Tensor(v))).data, X)


def test_a_primitive_goes_both_ways() -> None:
    cube = bp.primitive(lambda g, y, x: 3 * g * x * x)(lambda x: x**3)
    entrywise = bp.primitive(lambda g, y, x: g * np.cos(x), jvps="entrywise")(np.sin)
    linear = bp.primitive(lambda g, y, x: 2 * g, jvps="linear")(lambda x: 2 * x)
    own = bp.primitive(lambda g, y, x: g * y, jvps=(lambda v, y, x: v * y,))(np.exp)
    v = np.ones_like(X)
    for f, slope, curve in (
        (cube, 3 * X**2, 6 * X),
        (entrywise, np.cos(X), -np.sin(X)),
        (linear, 2 + 0 * X, 0 * X),
        (own, np.exp(X), np.exp(X)),
    ):
        np.testing.assert_allclose(jvp(f, [X], [v])[1], slope, rtol=1e-13)
        np.testing.assert_allclose(hvp(lambda x, f=f: np.sum(f(x)), X, v), curve, rtol=1e-13, atol=1e-13)
        twice = jvp(lambda x, f=f: jvp(f, [x], [v])[1], [Tensor(X)], [v])[1]
        np.testing.assert_allclose(twice.data, curve, rtol=1e-13, atol=1e-13)


def test_an_option_that_a_rule_does_not_know_is_refused_at_the_call() -> None:
    scale = bp.primitive(lambda g, y, x: g)(lambda x, by=1.0: x * by)
    with pytest.raises(TypeError, match="Tensors take <lambda>"):
        scale(x, by=2.0)


def test_perturbations_are_not_confused() -> None:
    """d/dx (x · d/dy (x + y)) is 1, though x and y are perturbed at once."""

    def outer(x: Any) -> Any:
        return x * jvp(lambda y: x + y, [1.0], [1.0])[1]

    assert jvp(outer, [Tensor(1.0)], [1.0])[1].item() == 1


def test_the_derivative_of_what_is_constant_is_zero() -> None:
    x = Tensor([1.0, 2.0])
    y: Any = np.square(x)
    for _ in range(3):
        (y,) = gradients(y, [x], np.ones(2), create_graph=True)
    assert not y.data.any()


def test_changes_are_found_in_large_arrays_too() -> None:
    weights = Tensor(np.ones((100, 100)))
    y = np.sum(weights * weights)
    weights.data[3] += 1e-9
    with pytest.raises(RuntimeError, match="was changed after"):
        y.backward()
    with bp.detect_changes():
        y = np.sum(weights * weights)
    weights.data[50, 7] += 1e-9
    with pytest.raises(RuntimeError, match="was changed after"):
        y.backward()


@pytest.mark.parametrize("part", [np.s_[:, :3], np.s_[::2, 1:], np.s_[:, 0], np.s_[:, ::-1]])
def test_changes_are_found_in_parts_of_larger_arrays(part: Any) -> None:
    whole = np.ones((4000, 5))
    given = whole[part]
    y = np.sum(Tensor(2.0) * given)
    whole *= 1.0
    y.backward()
    whole += 1e-9
    with pytest.raises(RuntimeError, match="was changed after"):
        y.backward()
    assert bp._sample(given, 61).nbytes <= given.nbytes / 50


def test_what_computes_is_not_taken_for_moving() -> None:
    """Not even where the values cannot tell: the mean of zeros is one of the zeros."""
    for f in (lambda x: np.pad(x, 1, mode="mean"), lambda x: np.pad(x, 2, mode="linear_ramp")):
        with pytest.raises(TypeError, match="pad does more here than move"):
            f(Tensor(np.zeros(3)))
    constants = np.pad(Tensor(np.ones(2, np.float32)), 1, constant_values=0.1)
    np.testing.assert_array_equal(constants.data, np.array([0.1, 1, 1, 0.1], np.float32), strict=True)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (3, 2), (4, 2, 3), (1, 2, 2)])
def test_a_rule_of_another_shape_is_refused(shape: tuple) -> None:
    y = bp.primitive(lambda g, y, x: np.ones(shape))(np.copy)(Tensor(np.ones((2, 3))))
    if shape == (4, 2, 3):  # stretched: it is summed back
        assert gradients(y, [Tensor(1.0)], np.ones((2, 3)))[0] == 0
        return
    with pytest.raises(ValueError, match="a rule gave a gradient of shape"):
        y.backward(np.ones((2, 3)))


@pytest.mark.parametrize("slope", [None, 0.0, "a", np.ones((4, 2, 3)), np.ones(2)], ids=repr)
def test_a_rule_forwards_of_another_shape_is_refused(slope: Any) -> None:
    rule = bp.primitive(lambda g, y, x, z: g, None, jvps=(lambda v, y, x, z: slope, None))
    copied = rule(lambda x, z: x + 0)
    with pytest.raises(ValueError, match=r"<lambda>: expected a slope of shape \(2, 3\) from jvps, got"):
        jvp(lambda x: copied(x, 1.0), [np.ones((2, 3))], [np.ones((2, 3))])


def test_a_rule_forwards_may_stretch_or_be_left_to_the_one_backwards() -> None:
    rules = (lambda g, y, x, z: g * z, lambda g, y, x, z: g * x)
    product = bp.primitive(*rules, jvps=(None, lambda v, y, x, z: v * x[:1]))(np.multiply)
    ones = np.ones((2, 3))
    np.testing.assert_array_equal(jvp(product, [ones, 2 * ones], [ones, ones])[1], 3 * ones)


def test_nan_to_num_changes_nothing_in_place() -> None:
    x = Tensor([np.nan, 1.0])
    assert np.nan_to_num(x, copy=False, nan=3.0).data.tolist() == [3, 1] and np.isnan(x.data[0])


def test_constants_are_not_copied_with_each_use() -> None:
    import tracemalloc

    constant, x = np.ones(200_000), Tensor(1.0)
    tracemalloc.start()
    y = sum((x * constant).sum() for _ in range(20))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert y.requires_grad and used < 21 * 1.1 * constant.nbytes


def test_a_parameter_is_no_array_and_none_clears_its_gradient() -> None:
    parameter = bp.Parameter([1.0, 2.0])
    for act in (np.exp, lambda p: Tensor([1.0, 2.0]) * p, lambda p: 2 * np.ones(2) + p):
        with pytest.raises(TypeError, match=r"its numbers are \.data"):
            act(parameter)
    parameter.grad[...] = 3
    whole = parameter.grad
    parameter.grad = None
    assert parameter.grad is whole and not whole.any()


def _eigh_rule(g: Any, y: Any, a: Any) -> Any:
    (dw, dv), (w, v), one = g, y, np.eye(a.shape[-1])
    gaps = w[None, :] - w[:, None] + one
    return v @ (dw * one + (1 - one) * (v.mT @ dv) / gaps) @ v.mT


@bp.primitive(_eigh_rule)
def eigh(a: Any) -> tuple:
    return tuple(np.linalg.eigh(a))


SEVERAL: dict[str, Function] = {
    "all": lambda s: np.sum(eigh(s)[0] ** 2 * [1, 2, 3]) + np.sum(eigh(s)[1] ** 2 * [[1], [2], [4]]),
    "one of them": lambda s: np.sum(eigh(s)[1][:, 0] ** 4),
    "one by the other": lambda s: np.sum(np.exp(eigh(s)[0] / 5) * eigh(s)[1] ** 2 * [[1], [2], [4]]),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_a_primitive_with_several_results(name: str) -> None:
    def f(a: Any) -> Any:
        return SEVERAL[name](a + np.swapaxes(a, 0, 1))

    a, v = np.random.default_rng(3).normal(size=(2, 3, 3))

    def plain(a: np.ndarray) -> np.ndarray:
        start = Tensor(a)
        return gradients(f(start), [start])[0]

    found = plain(a)
    np.testing.assert_allclose(found, numeric(f, a, None), rtol=1e-6, atol=1e-8)
    assert jvp(f, [a], [v])[1] == pytest.approx(np.sum(found * v), rel=1e-10)
    second = (plain(a + 1e-5 * v) - plain(a - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(hvp(f, a, v), second, rtol=1e-6, atol=1e-6)
    found = jvp(lambda x: gradients(f(x[...]), [x], create_graph=True)[0], [Tensor(a)], [v])[1]
    np.testing.assert_allclose(found.data, second, rtol=1e-6, atol=1e-6)


def test_several_results_of_any_shape_and_precision() -> None:
    @bp.primitive(lambda g, y, x: g[0].sum() + g[1] * y[1].size + g[2] * 2 * x)
    def three(x: Any) -> list:
        return [x.sum(), np.zeros((0, 2), x.dtype), x * x]

    x = Tensor(np.array([1, 2], np.float32))
    total, empty, square = three(x)
    assert [y.shape for y in (total, empty, square)] == [(), (0, 2), (2,)]
    assert {y.dtype for y in (total, empty, square)} == {np.dtype(np.float32)}
    assert not square.data.flags.writeable


def test_several_results_of_plain_arrays_stay_plain() -> None:
    assert type(eigh(np.eye(3))[0]) is np.ndarray


LOOKALIKES = [np.arange(n) + np.random.default_rng(seed).random(n) for n in (3, 5) for seed in range(3)]
LOOKALIKES += [np.arange(3.0), np.random.default_rng(0).random(3), np.array([np.nan, np.inf, 0.0])]
JOINS: dict[str, Function] = {
    "append": lambda parts: np.append(*parts),
    "block": lambda parts: np.block(parts),
    "concatenate": np.concatenate,
    "hstack": np.hstack,
    "insert": lambda parts: np.insert(parts[0], 1, parts[1]),
    "pad": lambda parts: np.pad(parts[0], 1, constant_values=parts[1][0]),
    "select": lambda parts: np.select([[True, False, False]], [parts[0]], parts[1][0]),
}


@pytest.mark.parametrize("constant", LOOKALIKES, ids=lambda constant: str(constant.round(3)))
@pytest.mark.parametrize("name", JOINS)
def test_a_constant_is_never_taken_for_an_entry(name: str, constant: np.ndarray) -> None:
    for data in (np.array([1.0, 2.0, 3.0]), constant[:3].copy()):
        x = Tensor(data)
        y: Any = JOINS[name]([x, constant])
        np.testing.assert_array_equal(y.data, JOINS[name]([data, constant]))
        places = JOINS[name]([np.array([101.0, 102.0, 103.0]), np.zeros(constant.shape)])
        g = rng.normal(size=y.shape)
        expected = [g[places == 101 + i].sum() for i in range(3)]
        np.testing.assert_allclose(gradients(y, [x], g)[0], expected, rtol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_joined_parts_get_their_own_shares(axis: int | None) -> None:
    parts = [Tensor(rng.normal(size=(2, 3))) for _ in range(3)]
    for join in (untyped.concatenate, untyped.stack):
        if join is untyped.stack and axis is None:
            continue
        y: Any = join([*parts, np.ones((2, 3))], axis)
        g = rng.normal(size=y.shape)
        for i, found in enumerate(gradients(y, parts, g)):
            only = [np.full((2, 3), float(i == j)) for j in range(4)]
            np.testing.assert_array_equal(found.ravel(), g[join(only, axis) == 1])


OF_OTHER_ARGUMENTS = """
    where broadcast_to reshape expand_dims swapaxes inv solve einsum tensordot trace multi_dot slogdet det
    concatenate moveaxis cross zeros_like ones_like matrix_norm matrix_power matrix_transpose diagonal
""".split()
EXTREMES = np.array([0.0, -0.0, 1e-300, -1e-200, 0.3, -0.7, 1.0, 37.0, -40.0, 710.0, -1e200, 3e200, 1e300])


@pytest.mark.parametrize("function", [*bp._RULES, *bp._COMPOSED], ids=lambda function: function.__name__)
def test_values_are_those_of_numpy_at_all_magnitudes(function: Any) -> None:
    compared = 0
    with np.errstate(all="ignore"):
        for x in (EXTREMES, EXTREMES[::-1], EXTREMES[[0, 6, 11, 12]], EXTREMES[[6, 3, 12, 4]]):
            for others in ((), (x[::-1].copy(),), (0.3,)):
                try:
                    expected: Any = function(x, *others)
                    found: Any = function(Tensor(x), *others)
                except (TypeError, ValueError, IndexError, np.linalg.LinAlgError):
                    continue
                if isinstance(found, Tensor):
                    np.testing.assert_allclose(found.data, expected, rtol=1e-13, equal_nan=True)
                    compared += 1
    assert compared or function.__name__ in OF_OTHER_ARGUMENTS


SLOPES: dict[str, tuple[Function, list[float], list[float]]] = {
    "hypot": (lambda x: np.hypot(x[0], x[1]), [3e200, 4e200], [0.6, 0.8]),
    "hypot, tiny": (lambda x: np.hypot(x[0], x[1]), [3e-200, 4e-200], [0.6, 0.8]),
    "arctan2": (lambda x: np.arctan2(x[0], x[1]), [3e-200, 4e-200], [1.6e199, -1.2e199]),
    "arctan2, huge": (lambda x: np.arctan2(x[0], x[1]), [3e200, 4e200], [1.6e-201, -1.2e-201]),
    "arcsinh": (lambda x: np.arcsinh(x).sum(), [1e200, -1e200], [1e-200, 1e-200]),
    "arccosh": (lambda x: np.arccosh(x).sum(), [1e200, 1e10], [1e-200, 1e-10]),
    "arcsin near 1": (lambda x: np.arcsin(x).sum(), [1 - 2**-40], [1 / (2**-40 * (2 - 2**-40)) ** 0.5]),
    "arccos near 1": (lambda x: np.arccos(x).sum(), [2**-40 - 1], [-1 / (2**-40 * (2 - 2**-40)) ** 0.5]),
    "expm1": (lambda x: np.expm1(x).sum(), [-37.0, -40.0], [np.exp(-37.0), np.exp(-40.0)]),
    "cbrt": (lambda x: np.cbrt(x).sum(), [0.0, 8.0], [np.inf, 1 / 12]),
    "product": (np.prod, [1, 1e-200, 1e200, 2], [2, 2e200, 2e-200, 1]),
    "root of what was chosen": (lambda x: np.sqrt(np.maximum(x, 0)).sum(), [-1, 4], [0, 0.25]),
    "root of the smaller": (lambda x: np.sqrt(np.minimum(x, [0, 9])).sum(), [1, 4], [0, 0.25]),
    "root of the largest": (lambda x: np.sqrt(np.max(x)), [-3, 0, -2], [0, np.inf, 0]),
    "root of fmax": (lambda x: np.sqrt(np.fmax(x, [0, np.nan])).sum(), [-1, 4], [0, 0.25]),
    "root of clip": (lambda x: np.sqrt(np.clip(x, 0, 9)).sum(), [-1, 4, 12], [0, 0.25, 0]),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_at_far_ends_and_corners(name: str) -> None:
    f, given, expected = SLOPES[name]
    x = Tensor(np.array(given, float))
    with np.errstate(divide="ignore"):
        (found,) = gradients(f(x), [x])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_second_slopes_of_logaddexp_far_out() -> None:
    found = hvp(lambda x: np.sum(np.logaddexp(x, 0)), [40.0, -40.0], [1.0, 1.0])
    np.testing.assert_allclose(found, np.exp(-40.0), rtol=1e-12)


def test_solve_is_as_exact_as_numpys() -> None:
    hilbert = 1 / (np.arange(10)[:, None] + np.arange(10) + 1.0)
    np.testing.assert_array_equal(
        np.linalg.solve(Tensor(hilbert), np.ones(10)).data, np.linalg.solve(hilbert, np.ones(10))
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 3), (3,)), ((3, 3), (3, 2)), ((4, 3, 3), (3,)), ((4, 3, 3), (3, 2)), ((3, 3), (4, 3, 2))],
)
def test_gradients_of_solve(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = rng.normal(size=a) + 4 * np.eye(3), rng.normal(size=b)
    g = rng.normal(size=np.linalg.solve(left, right).shape)
    inputs = [Tensor(left), Tensor(right)]
    found = gradients(untyped.linalg.solve(*inputs), inputs, g)
    measured = (
        bp.numerical_gradient(lambda v: np.linalg.solve(v, right), left, g),
        bp.numerical_gradient(lambda v: np.linalg.solve(left, v), right, g),
    )
    for one, other in zip(found, measured, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def test_the_median_of_nothing_is_nan_as_numpys() -> None:
    with pytest.warns(RuntimeWarning), np.errstate(invalid="ignore"):
        assert np.isnan(np.median(Tensor(np.ones((2, 0))), axis=1).data).all()


def test_the_order_of_bytes_is_put_right() -> None:
    y = untyped.nanmean(x := Tensor(np.array([1.0, 2.0], ">f8")))
    y.backward()
    assert y.item() == 1.5 and x.grad is not None and x.grad.dtype == float and (x.grad == 0.5).all()


def test_what_primitive_refuses() -> None:
    with pytest.raises(TypeError, match="write @primitive"):
        bp.primitive(untyped.zeros(2))(abs)
    with pytest.raises(ValueError, match="jvps is 'linear' or 'entrywise', got 'entrywize'"):
        bp.primitive(None, jvps="entrywize")(abs)
    for share in (2.0, None):
        twice = bp.primitive(lambda g, y, x, share=share: share)(lambda x: 2 * x)
        with pytest.raises(TypeError, match=rf"a rule gave {share}, not an array of shape \(2,\)"):
            twice(Tensor([1.0, 2.0])).backward(np.ones(2))
