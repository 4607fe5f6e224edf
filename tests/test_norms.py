"""Penalties and norms: what they refuse, and the precision in which they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprop_core as bp

X = 3 + 2 * np.random.default_rng(0).normal(size=(6, 4))
PENALTIES = [bp.l1_penalty, bp.l2_penalty]
NORMS = [bp.BatchNorm1d, bp.LayerNorm, bp.RMSNorm]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_penalty_takes_parameters_only(penalty: Callable) -> None:
    for wrong, name in ((bp.Network(bp.Linear(2, 2)), "Linear"), ([X], "ndarray")):
        with pytest.raises(TypeError, match=f"expected parameters, got {name}"):
            penalty(wrong, 0.1)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("strength", [-0.1, np.nan, "0.1", None])
def test_a_strength_is_not_negative_even_for_no_parameters(penalty: Callable, strength: Any) -> None:
    with pytest.raises(ValueError, match="penalty: expected 0 <= strength < inf"):
        penalty([], strength)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_penalty_adds_to_a_gradient_that_was_cleared_and_to_none_that_is_frozen(penalty: Callable) -> None:
    free, frozen = bp.Parameter([1.0]), bp.Parameter([1.0], requires_grad=False)
    free.grad[...] = 5.0
    free.grad = None
    penalty([free, frozen], 0.5)
    assert (free.grad.item(), frozen.grad.item()) == (0.5, 0.0)


def test_penalties_are_sums_over_all_parameters() -> None:
    pair = [bp.Parameter([1.0, -2.0]), bp.Parameter([[0.0, 3.0]])]
    pair[0].grad[...] = 7.0
    assert np.isclose(bp.l2_penalty(pair, 0.5), 0.25 * 14) and np.isclose(bp.l1_penalty(pair, 0.5), 3.0)
    assert np.allclose(pair[0].grad, [8.0, 5.5]) and np.allclose(pair[1].grad, [[0.0, 2.0]])


@pytest.mark.parametrize("make", NORMS)
def test_half_precision_is_too_short_for_sums_of_squares(make: Callable[..., Any]) -> None:
    x = np.array([[300, -300, 0], [0, 300, -300]], np.float16)
    y = make(3).forward(x)
    assert y.dtype == np.float32 and np.array_equal(y, make(3).forward(np.float32(x)))
    assert abs(y).max() > 0.9


@pytest.mark.parametrize("many", [0, 1])
def test_a_batch_without_spread_is_refused_in_training(many: int) -> None:
    layer = bp.BatchNorm1d(4)
    with pytest.raises(
        ValueError, match=rf"{many} value\(s\) per feature have no spread, \({many}, 4\); .*drop_last"
    ):
        layer.forward(X[:many])
    assert layer.eval().forward(X[:many]).shape == (many, 4)


def test_one_picture_has_a_spread_and_without_a_gain_it_is_tracked_too() -> None:
    layer, x = bp.BatchNorm2d(2, affine=False), X.reshape(1, 2, 3, 4)
    assert layer(x).std(axis=(0, 2, 3)) == pytest.approx(1, rel=1e-4) and layer.parameters() == []
    assert layer.running_mean == pytest.approx(0.1 * x.mean(axis=(0, 2, 3)))


@pytest.mark.parametrize("make", [bp.LayerNorm, bp.BatchNorm1d])
def test_an_eps_of_0_is_none(make: Callable[..., Any]) -> None:
    assert make(4, eps=0.0)(1e-10 * X).std(axis=int(make is bp.LayerNorm)) == pytest.approx(1, rel=1e-6)


def test_rms_norm_has_no_bias_and_an_eps_of_its_input_s_precision() -> None:
    for dtype in (np.float32, np.float64):
        layer, x = bp.RMSNorm(4).to(np.dtype(dtype).name), np.full((1, 4), 1e-4, dtype)
        assert layer.bias is None and len(layer.parameters()) == 1
        assert layer(x) == pytest.approx(1e-4 / (1e-8 + np.finfo(dtype).eps) ** 0.5, rel=1e-6)


def test_evaluation_stays_in_single_precision_and_knows_its_averages_by_name() -> None:
    layer = bp.BatchNorm1d(4)
    layer.to("float32").forward(np.float32(X))
    expected = layer.eval().forward(np.float32(X))
    assert layer._cache[0].dtype == np.float32 and layer.buffers["running_mean"].dtype == np.float64
    layer.buffers = dict(reversed(layer.buffers.items()))
    assert np.array_equal(layer.forward(np.float32(X)), expected)


@pytest.mark.parametrize("make", [bp.LayerNorm, bp.RMSNorm])
def test_too_few_axes_are_named(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"expected input of shape \(…, 2, 3\), got \(3,\)"):
        make((2, 3)).forward(np.zeros(3))
    assert make((2, 3)).forward(np.zeros((2, 3))).shape == (2, 3)


def test_rms_norm_of_centred_rows_is_layer_norm() -> None:
    layer, rms = bp.LayerNorm(4, eps=0.1), bp.RMSNorm(4, eps=0.1)
    centred = X - X.mean(axis=1, keepdims=True)
    assert np.allclose(layer.forward(X), rms.forward(centred), rtol=0, atol=1e-12)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e4])
@pytest.mark.parametrize("make", [bp.LayerNorm, bp.BatchNorm1d])
def test_single_precision_far_from_zero(make: Callable[..., Any], mean: float) -> None:
    x = np.float32(mean + np.random.default_rng(0).normal(size=(2, 500_000)))
    given = x if make is bp.LayerNorm else np.ascontiguousarray(x.T)
    y = make(given.shape[1]).to("float32").forward(given)
    rows, found = x.astype(float), y if make is bp.LayerNorm else y.T
    expected = (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    limit = 3e-6 if make is bp.LayerNorm else 1e-3  # its features lie across memory
    assert found.dtype == np.float32 and abs(found - expected).max() < limit


@pytest.mark.parametrize("make", [bp.LayerNorm, bp.BatchNorm1d])
@pytest.mark.parametrize("first", [1e3, -1e6, 1e9])
def test_an_outlier_in_front_costs_no_precision(make: Callable[..., Any], first: float) -> None:
    rows = np.random.default_rng(0).normal(size=(8, 1000)).astype(np.float32)
    rows[:, 0] = first
    layer = make(1000 if make is bp.LayerNorm else 8).to("float32")
    y = layer.forward(rows) if make is bp.LayerNorm else layer.forward(rows.T.copy()).T
    exact = rows.astype(float)
    expected = (exact - exact.mean(axis=1, keepdims=True)) / np.sqrt(exact.var(axis=1, keepdims=True) + 1e-5)
    assert abs(y - expected).max() < 3e-6 * abs(expected).max()


@pytest.mark.parametrize("make", [bp.BatchNorm1d, bp.LayerNorm, bp.RMSNorm])
def test_no_array_of_a_small_network_is_in_double_precision(make: Callable[..., Any]) -> None:
    layer = make(4).to("float32")
    layer.backward(layer.forward(np.float32(X)))
    assert {a.dtype for a in layer._cache if isinstance(a, np.ndarray)} == {np.dtype("float32")}


def test_running_averages_are_attributes_that_cannot_be_replaced() -> None:
    layer = bp.BatchNorm1d(4, momentum=None)
    for batch in (X[:2], X[2:4], X[4:]):
        layer.forward(batch)
    means = [X[i : i + 2].mean(axis=0) for i in (0, 2, 4)]
    assert layer.running_mean is layer.buffers["running_mean"] and layer.buffers["num_batches_tracked"] == 3
    assert np.allclose(layer.running_mean, np.mean(means, axis=0), rtol=0, atol=1e-12)
    with pytest.raises(AttributeError):
        layer.running_mean = X[0]
    usual = bp.BatchNorm1d(4)
    usual.forward(X)
    assert usual.buffers["num_batches_tracked"] == 1  # as PyTorch counts
    untracked = bp.BatchNorm1d(4, track_running_stats=False).eval()
    assert untracked.running_mean is None and not untracked.buffers
    assert np.allclose(untracked.forward(X), bp.BatchNorm1d(4).forward(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("wrong", ["0.1", [0.1], 1.5, np.nan])
def test_a_wrong_share_is_named(wrong: Any) -> None:
    with pytest.raises(ValueError, match="BatchNorm1d: expected 0 <= momentum <= 1, got"):
        bp.BatchNorm1d(4, momentum=wrong)
    with pytest.raises(ValueError, match="expected 0 <= label_smoothing <= 1, got"):
        bp.CrossEntropyLoss(label_smoothing=wrong)


def test_true_is_no_size() -> None:
    with pytest.raises(ValueError, match="num_features must be a whole number of at least 1, got True"):
        bp.BatchNorm1d(True)


@pytest.mark.parametrize("kind", [bp.LayerNorm, bp.RMSNorm])
def test_without_a_gain_the_gradient_is_that_of_a_gain_of_one(kind: Any) -> None:
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=(2, 4, 5))
    plain, gained = kind(5, elementwise_affine=False), kind(5)
    np.testing.assert_allclose(plain(x), gained(x), rtol=0, atol=1e-14)
    np.testing.assert_allclose(plain.backward(grad), gained.backward(grad), rtol=0, atol=1e-14)
