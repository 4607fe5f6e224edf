"""Convolutions and pools: the adjoint identity, ties, sizes that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backprop_core as bp

sizes = st.integers(1, 4)


@settings(deadline=None, max_examples=60)
@given(
    channels=st.tuples(sizes, sizes),
    kernel=st.tuples(sizes, sizes),
    stride=st.tuples(sizes, sizes),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    places=st.tuples(sizes, sizes),
    seed=st.integers(0, 99),
)
def test_the_transposed_convolution_is_the_adjoint(
    channels: tuple[int, int], kernel: tuple, stride: tuple, padding: tuple, places: tuple, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    size = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(places, stride, kernel, padding, strict=True)]
    if min(size) < 1:
        return
    inputs, outputs = channels
    convolution = bp.Conv2d(inputs, outputs, kernel, stride, padding, rng=rng)
    adjoint = bp.ConvTranspose2d(outputs, inputs, kernel, stride, padding)
    adjoint.weight.data[...] = convolution.weight.data
    convolution.bias.data[...] = adjoint.bias.data[...] = 0
    x, z = rng.normal(size=(2, channels[0], *size)), rng.normal(size=(2, channels[1], *places))
    y = convolution(x)
    left, right = np.vdot(y, z), np.vdot(x, adjoint(z))
    assert y.shape == z.shape and abs(left - right) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(z)
    assert np.allclose(convolution.backward(z), adjoint(z), rtol=0, atol=1e-12)


def test_a_kernel_that_is_off_by_one_is_found_by_the_adjoint() -> None:
    rng = np.random.default_rng(0)
    convolution, adjoint = bp.Conv2d(1, 1, 3, rng=0), bp.ConvTranspose2d(1, 1, 3)
    adjoint.weight.data[...] = np.roll(convolution.weight.data, 1, axis=-1)
    convolution.bias.data[...] = adjoint.bias.data[...] = 0
    x, z = rng.normal(size=(1, 1, 5, 5)), rng.normal(size=(1, 1, 3, 3))
    assert abs(np.vdot(convolution(x), z) - np.vdot(x, adjoint(z))) > 0.01


def test_of_equal_numbers_only_the_first_gets_the_gradient() -> None:
    rng = np.random.default_rng(0)
    x, pool = rng.integers(0, 2, size=(3, 2, 6, 6)).astype(float), bp.MaxPool2d(3)
    grad = rng.normal(size=pool(x).shape)
    dx = pool.backward(grad)
    for n, c, i, j in np.ndindex(grad.shape):
        at = np.s_[n, c, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3]
        expected = np.zeros(9)
        expected[x[at].argmax()] = grad[n, c, i, j]
        assert np.array_equal(dx[at].ravel(), expected)


def test_a_nan_wins_its_window_and_gets_the_gradient() -> None:
    x, pool = np.arange(16.0).reshape(1, 1, 4, 4), bp.MaxPool2d(2)
    x[0, 0, 0, 1] = np.nan
    assert np.isnan(pool(x)[0, 0, 0, 0])
    expected = np.zeros((4, 4))
    expected[[0, 1, 3, 3], [1, 3, 1, 3]] = 1, 2, 3, 4
    assert np.array_equal(pool.backward([[[[1.0, 2.0], [3.0, 4.0]]]])[0, 0], expected)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_an_infinite_gradient_goes_to_the_largest_pixel_alone(infinite: float) -> None:
    x, pool = np.array([[[[1, 3, 3], [0, 2, 5]]]], np.float32), bp.MaxPool2d(2, stride=1)
    grad = np.array([[[[infinite, 2]]]], np.float32)
    pool.forward(x)
    dx = pool.backward(grad)
    assert dx.dtype == np.float32 and dx[0, 0].tolist() == [[0, infinite, 0], [0, 0, 2]]


def test_a_layer_hands_on_the_order_that_the_next_one_wants() -> None:
    layers = bp.Conv2d(1, 2, 3, rng=0), bp.BatchNorm2d(2), bp.ReLU(), bp.MaxPool2d(2)
    y: Any = np.random.default_rng(0).normal(size=(4, 1, 6, 6))
    for layer in layers:
        y = layer(y)
        assert np.moveaxis(y, 0, -1).flags.c_contiguous, layer


X = np.zeros((2, 3, 4, 4))
WRONG: dict[str, tuple[Any, str]] = {
    "channels": (
        lambda: bp.Conv2d(2, 5, 3)(X),
        r"expected input of shape \(N, 2, H, W\), got \(2, 3, 4, 4\)",
    ),
    "window": (
        lambda: bp.Conv2d(3, 5, 5)(X),
        r"a window of \(5, 5\) does not fit into padded \(4, 4\)",
    ),
    "pool": (lambda: bp.MaxPool2d(5)(X), r"MaxPool2d\(.*\): a window of \(5, 5\) does not fit"),
    "kernel": (
        lambda: bp.Conv2d(3, 5, 0),
        "Conv2d: kernel_size must be one or two whole numbers of at least 1, got 0",
    ),
    "three": (
        lambda: bp.AvgPool2d((2, 2, 2)),  # type: ignore[arg-type]
        r"kernel_size must be .* got \(2, 2, 2\)",
    ),
    "stride": (
        lambda: bp.MaxPool2d(2, stride=1.5),  # type: ignore[arg-type]
        "stride must be .* got 1.5",
    ),
    "no stride": (lambda: bp.MaxPool2d(2, stride=0), "stride must be .* got 0"),
    "true": (
        lambda: bp.Conv2d(3, 5, True),
        "Conv2d: kernel_size must be one or two whole numbers .* got True",
    ),
    "same": (lambda: bp.Conv2d(3, 5, 3, 2, "same"), "padding 'same' needs stride 1"),
    "same, with steps across": (
        lambda: bp.Conv2d(3, 5, 3, (1, 2), "same"),
        "padding 'same' needs stride 1",
    ),
    "same, with steps down": (
        lambda: bp.Conv2d(3, 5, 3, (2, 1), "same"),
        "padding 'same' needs stride 1",
    ),
    "same, turned around": (lambda: bp.ConvTranspose2d(3, 5, 3, 1, "same"), "padding must be .* got 'same'"),
    "groups": (lambda: bp.Conv2d(4, 6, 3, groups=4), "Conv2d: groups must divide 4 and 6 channels, got 4"),
    "dilation": (
        lambda: bp.Conv2d(3, 5, 3, dilation=0),
        "dilation must be one or two whole numbers of at least 1",
    ),
    "holes": (
        lambda: bp.Conv2d(3, 5, 2, dilation=4)(X),
        r"a window of \(5, 5\) does not fit into padded \(4, 4\)",
    ),
    "half": (
        lambda: bp.MaxPool2d(3, padding=2),
        r"MaxPool2d: expected padding of at most half the kernel_size \(3, 3\), got \(2, 2\)",
    ),
    "padding": (
        lambda: bp.Conv2d(3, 5, 3, padding=-1),
        "padding must be one or two whole numbers of at least 0",
    ),
    "nothing left": (lambda: bp.ConvTranspose2d(3, 5, 2, padding=3)(X), r"\(2, 3, 4, 4\) leaves no output"),
    "no pixels": (lambda: bp.ConvTranspose2d(3, 5, 2)(X[:, :, :0]), r"\(2, 3, 0, 4\) leaves no output"),
    "no pictures": (lambda: bp.MaxPool2d(2)(X[0]), r"expected input of shape \(N, C, H, W\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(name: str) -> None:
    act, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.parametrize(
    "layer",
    [bp.Conv2d(3, 2, 3, rng=0), bp.ConvTranspose2d(3, 2, 3, rng=0), bp.MaxPool2d(2), bp.AvgPool2d(2)],
)
def test_a_gradient_of_another_shape_is_refused(layer: bp.Layer) -> None:
    shape = layer(X).shape
    with pytest.raises(ValueError, match="expected grad_output of shape"):
        layer.backward(np.zeros((*shape[:-1], shape[-1] + 1)))


def test_same_puts_the_odd_row_of_zeros_at_the_end() -> None:
    layer, x = (
        bp.Conv2d(1, 1, (2, 4), padding="same", rng=0),
        np.random.default_rng(0).normal(size=(1, 1, 5, 6)),
    )
    plain = bp.Conv2d(1, 1, (2, 4), rng=0)
    assert np.allclose(layer(x), plain(np.pad(x, ((0, 0), (0, 0), (0, 1), (1, 2)))))
    layer.dilation, plain.dilation = (2, 1), (2, 1)
    assert np.allclose(layer(x), plain(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 2)))))


def test_groups_are_convolutions_side_by_side() -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 5))
    for kind in (bp.Conv2d, bp.ConvTranspose2d):
        whole, parts = kind(4, 6, 3, groups=2, rng=0), [kind(2, 3, 3) for _ in range(2)]
        for i, part in enumerate(parts):
            half = len(whole.weight.data) // 2
            part.weight.data[...] = whole.weight.data[i * half :][:half]
            part.bias.data[...] = whole.bias.data[3 * i :][:3]
        apart = [part(each) for part, each in zip(parts, np.split(x, 2, axis=1), strict=True)]
        assert np.allclose(whole(x), np.concatenate(apart, axis=1))


@pytest.mark.parametrize("window", [(3, 2), (2, 3)])
def test_a_window_of_minus_infinity_gives_its_gradient_to_no_border(window: tuple) -> None:
    pool, x = bp.MaxPool2d(window, padding=1), np.full((1, 1, 4, 4), -np.inf)
    grad = np.ones_like(pool(x))
    assert pool.backward(grad).sum() == grad.size


@pytest.mark.parametrize(("kind", "summed"), [(bp.Conv2d, 4 * 25), (bp.ConvTranspose2d, 3 * 25)])
def test_a_convolution_starts_within_its_bound(kind: Any, summed: int) -> None:
    layer = kind(8, 6, 5, groups=2, rng=0)
    assert 0.95 < abs(layer.weight.data).max() * summed**0.5 <= 1
    assert 0.3 < abs(layer.bias.data).max() * summed**0.5 <= 1
