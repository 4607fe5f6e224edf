"""Every backward of the module agrees with the measured gradient, and no changed backward does."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from tests.layers import CASES, LAYERS, MUTATIONS, Memory, X, filled, network, tampered

rng = np.random.default_rng(7)


def largest_error(subject: Any, arguments: tuple, analytic: bool) -> tuple[float, float]:
    """The error that gradcheck measures, and what it may at most be."""
    if analytic:
        return bp.gradcheck(subject, *arguments, rng=3, derivative=bp.complex_step_gradient), 1e-12
    return bp.gradcheck(subject, *arguments, rng=3), 1e-7


@pytest.mark.parametrize("name", CASES)
def test_backward_agrees_with_the_measured_gradient(name: str) -> None:
    make, arguments, analytic = CASES[name]
    error, limit = largest_error(filled(make()), arguments, analytic)
    assert error <= limit


@pytest.mark.parametrize("name", sorted({*CASES} - {"TapeLayer"}))  # pickle takes no lambda of a user's
def test_a_pickle_after_a_forward_goes_back_alike(name: str) -> None:
    make, arguments, _ = CASES[name]
    subject = filled(make())
    y = subject.forward(*arguments)
    twin = pickle.loads(pickle.dumps(subject))
    dy = () if isinstance(subject, bp.Loss) else (np.cos(y),)
    assert np.array_equal(twin.backward(*dy), subject.backward(*dy))


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_changed_input_gradient_is_found(name: str, mutation: str) -> None:
    make, arguments, analytic = CASES[name]
    subject = tampered(filled(make()), "x", mutation)
    error, limit = largest_error(subject, arguments, analytic)
    assert error > limit


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("parameter", ["0.weight", "0.bias", "2.0.weight", "2.0.bias"])
def test_a_changed_parameter_gradient_is_found(parameter: str, mutation: str) -> None:
    net = tampered(network(), parameter, mutation)
    error, limit = largest_error(net, (X,), True)
    assert error > limit


def test_a_backward_that_overwrites_or_changes_its_argument_is_found() -> None:
    class Overwrites(bp.Linear):
        def backward(self, grad_output: Any) -> np.ndarray:
            self.zero_grad()
            return super().backward(grad_output)

    class Spoils(bp.ReLU):
        def backward(self, grad_output: Any) -> np.ndarray:
            grad_output *= self._saved()
            return grad_output

    class Shifts(bp.ReLU):
        def forward(self, x: Any) -> np.ndarray:
            x -= 1
            return super().forward(x)

    assert bp.gradcheck(Overwrites(4, 3, rng=0), X, rng=0) > 0.1
    for layer in (Spoils(), Shifts()):
        with pytest.raises(ValueError, match="read-only"):
            bp.gradcheck(layer, X, rng=0)


@pytest.mark.parametrize("derivative", [bp.numerical_gradient, bp.complex_step_gradient])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_output_needs_no_factor_whatever_its_shape(derivative: Any, shape: tuple) -> None:
    assert np.allclose(derivative(lambda x: np.sum(x * x).reshape(shape), [1.0, 2.0]), [2.0, 4.0])


@pytest.mark.parametrize("seed", [0, 7])
def test_the_upstream_gradient_is_not_an_input_from_the_same_seed(seed: int) -> None:
    """A batch norm sends nothing back along its own input: there 0 would be right."""

    class Nothing(bp.BatchNorm1d):
        def backward(self, grad_output: Any) -> np.ndarray:
            return 0 * super().backward(grad_output)

    x = np.random.default_rng(seed).normal(size=(5, 4))
    legacy = np.random.Generator(np.random.RandomState(seed)._bit_generator)
    for given in (seed, np.random.default_rng(seed), legacy):
        assert bp.gradcheck(Nothing(4), x, rng=given) > 0.9
    assert bp.gradcheck(bp.BatchNorm1d(4), x, rng=seed) < 1e-9
    first, again = (bp.gradcheck(bp.Tanh(), x, rng=seed) for _ in range(2))
    assert first == again


def test_a_gradient_that_is_not_a_number_is_found() -> None:
    class Lost(bp.Linear):
        def backward(self, grad_output: Any) -> np.ndarray:
            grad = super().backward(grad_output)
            self.bias.grad[...] = np.nan
            return grad

    assert np.isnan(bp.gradcheck(Lost(4, 3, rng=0), X, rng=0))


@pytest.mark.parametrize(
    "bend",
    [
        lambda g: np.clip(g, -100, 100),
        lambda g: np.where(np.abs(g) > 6, 0, g),
        lambda g: (
            g * (1 + (abs(g.flat[0]) < abs(g.flat[-1])))
        ),  # straight along any line through 0: one of the
        lambda g: g * (1 + (abs(g.flat[0]) > abs(g.flat[-1]))),  # two is right for the random vector
    ],
)
def test_a_backward_that_is_not_linear_is_found(bend: Any) -> None:
    class Bent(bp.Tanh):
        def backward(self, grad_output: Any) -> np.ndarray:
            return super().backward(bend(np.asarray(grad_output)))

    class Trained(bp.Linear):
        def backward(self, grad_output: Any) -> np.ndarray:
            grad, before = super().backward(grad_output), self.bias.grad - grad_output.sum(axis=0)
            self.bias.grad[...] = before + bend(grad_output).sum(axis=0)
            return grad

    for straight, bent in ((bp.Tanh(), Bent()), (bp.Linear(4, 3, rng=0), Trained(4, 3, rng=0))):
        assert bp.gradcheck(straight, X, rng=0) < 1e-7
        assert bp.gradcheck(bent, X, rng=0) > 1e-4


def test_the_errors_say_which_gradient_is_wrong() -> None:
    class Lagging(bp.Linear):
        part = "weight"

        def backward(self, grad_output: Any) -> np.ndarray:
            grad = super().backward(grad_output)
            if self.part == "input":
                return grad / 2
            getattr(self, self.part).grad -= 0.5 * (getattr(self, self.part).grad - 1)
            return grad

    for wrong, part in enumerate(("input", "weight", "bias")):
        layer = Lagging(4, 3, rng=0)
        layer.part = part
        errors = bp.gradient_errors(layer, X, rng=0)
        assert [error > 0.1 for error in errors] == [position == wrong for position in range(3)]
        assert max(errors) == bp.gradcheck(layer, X, rng=0)


def test_a_gradient_of_zero_beside_others_is_compared_with_theirs() -> None:
    net = bp.Network(linear := bp.Linear(4, 3, rng=0), filled(bp.BatchNorm1d(3)))  # which takes the bias away
    input_, weight, bias, *_ = bp.gradient_errors(net, X, rng=0)
    assert max(input_, weight, bias) < 1e-7
    linear.weight.data *= 1e-9  # now next to nothing arrives at the input, either
    input_, _, bias, *_ = bp.gradient_errors(net, X, rng=0)
    assert max(input_, bias) < 1e-7


def test_gradcheck_leaves_the_layer_as_it_was() -> None:
    layer = bp.Linear(4, 3, rng=0)
    layer.forward(X)
    layer.bias.grad[...] = 5.0
    assert bp.gradcheck(layer, X[:2], rng=0, derivative=bp.complex_step_gradient) < 1e-12
    assert (layer.bias.grad == 5.0).all() and layer.backward(np.ones((5, 3))).shape == X.shape


def test_every_public_layer_and_loss_is_among_the_cases() -> None:
    kinds = (bp.Layer, bp.Loss)
    abstract = {bp.Layer, bp.Loss, bp.Activation}
    integers = {bp.Embedding}  # see test_recurrent.py
    public = {getattr(bp, name) for name in bp.__all__}
    expected = {kind for kind in public if isinstance(kind, type) and issubclass(kind, kinds)}
    assert {type(make()) for make, _, _ in CASES.values()} - {Memory} == expected - abstract - integers


@pytest.mark.parametrize("name", LAYERS)
def test_accumulate_is_backward_without_the_gradient_of_the_input(name: str) -> None:
    make, (x, *_), _ = CASES[name]
    whole, spared = filled(make()), filled(make())
    grad = rng.normal(size=whole.forward(x).shape)
    spared.forward(x)
    whole.backward(grad)
    assert spared.accumulate(grad) is None
    for one, other in zip(whole.parameters(), spared.parameters(), strict=True):
        assert np.array_equal(one.grad, other.grad) and one.grad.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in LAYERS if isinstance(CASES[name][0](), bp.Activation)])
def test_a_slope_has_the_kind_of_its_input(name: str, dtype: Any) -> None:
    layer: Any = CASES[name][0]()
    assert layer.slope(np.array([-1.0, 0.0, 1.0], dtype)).dtype == layer.slope(dtype(1)).dtype == dtype


@pytest.mark.parametrize("name", LAYERS)
def test_numbers_of_32_bits_stay_so(name: str) -> None:
    make, (x, *_), _ = CASES[name]
    layer = filled(make()).to("float32")
    y = layer.forward(np.float32(x))
    dx = layer.backward(dy := np.float32(rng.normal(size=y.shape)))
    assert {y.dtype, dx.dtype, *(p.grad.dtype for p in layer.parameters())} == {np.dtype("float32")}
    grads = [p.grad.copy() for p in layer.parameters()]
    layer.zero_grad()  # a gradient in double precision changes nothing
    again = layer.backward(dy.astype(float))
    assert again.dtype == dx.dtype and np.allclose(again, dx, rtol=1e-4, atol=1e-5)
    for parameter, grad in zip(layer.parameters(), grads, strict=True):
        assert np.allclose(parameter.grad, grad, rtol=1e-4, atol=1e-4)
    expected = filled(make()).forward(x)
    assert np.allclose(y, expected, rtol=1e-4, atol=1e-5) and not np.array_equal(y, expected)
    with pytest.raises(ValueError, match="float32 or float64, got int"):
        layer.to(int)


@pytest.mark.parametrize(
    "name", [name for name in LAYERS if name not in ("Softmax axis 0", "BatchNorm2d, nothing tracked")]
)
def test_an_empty_batch_has_an_empty_gradient_and_adds_nothing(name: str) -> None:
    make, (x, *_), _ = CASES[name]
    layer = filled(make()).eval()
    y = layer.forward(x[:0])
    dx = layer.backward(np.zeros(y.shape))
    assert y.shape == (0, *layer.forward(x).shape[1:]) and dx.shape == (0, *x.shape[1:])
    assert not any(parameter.grad.any() for parameter in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_a_gradient_of_integers_is_one_of_floating_point_numbers(name: str) -> None:
    make, (x, *_), _ = CASES[name]
    one, other = filled(make()), filled(make())
    grad = np.random.default_rng(0).integers(-3, 4, one.forward(x).shape)
    other.forward(x)
    assert np.array_equal(one.backward(grad), other.backward(grad.astype(float)))
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert np.array_equal(mine.grad, its.grad)


POOLS = ["MaxPool2d", "MaxPool2d with a border", "AvgPool2d", "AvgPool2d with a border"]
COPIED = [
    *(
        "Linear",
        "Dropout",
        "BatchNorm1d",
        "BatchNorm2d",
        "LayerNorm",
        "RMSNorm",
        "Conv2d",
        "Conv2d, same size",
    ),
    *("ConvTranspose2d", "Conv2d in groups", *POOLS, "RNN", "LSTM", "GRU", "Last", "PositionEmbedding"),
]


@pytest.mark.parametrize("batch_last", [False, True])
@pytest.mark.parametrize("name", COPIED)
def test_an_input_that_is_changed_after_forward_has_no_influence(name: str, batch_last: bool) -> None:
    make, (x, *_), _ = CASES[name]
    given = x.copy()
    if batch_last:  # the order in memory in which pictures travel
        given = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    one, other = filled(make()), filled(make())
    grad = rng.normal(size=one.forward(x).shape)
    other.forward(given)
    given[...] = 99
    assert np.allclose(other.backward(grad), one.backward(grad), rtol=1e-12, atol=1e-12)
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert np.allclose(mine.grad, its.grad, rtol=1e-12, atol=1e-12)


ATTENTION = ["MultiHeadAttention", "attention with a mask", "TransformerBlock"]


@pytest.mark.parametrize("name", [*COPIED, *ATTENTION, "Flatten", "LeakyReLU", "GELU", "Softmax"])
def test_the_gradient_of_the_input_has_the_type_of_the_input(name: str) -> None:
    make, (x, *_), _ = CASES[name]
    layer = make().to("float32")
    y = layer.forward(np.float32(x))
    assert layer.backward(rng.normal(size=y.shape)).dtype == np.float32


@pytest.mark.parametrize("make", [bp.BatchNorm1d, bp.BatchNorm2d, bp.LayerNorm, bp.RMSNorm])
@pytest.mark.parametrize("eps", [-1e-5, np.nan, np.inf])
def test_a_norm_needs_an_eps_that_is_not_negative(make: Callable[..., Any], eps: float) -> None:
    with pytest.raises(ValueError, match=rf"{make.__name__}: expected 0 <= eps < inf, got"):
        make(3, eps=eps)
    assert make(3, eps=0.0).eps == 0.0


@pytest.mark.parametrize("momentum", [-0.1, 1.1, np.nan])
def test_a_running_average_gives_the_newest_batch_at_most_all_weight(momentum: float) -> None:
    with pytest.raises(ValueError, match="BatchNorm1d: expected 0 <= momentum <= 1, got"):
        bp.BatchNorm1d(4, momentum=momentum)
    layer = bp.BatchNorm1d(4, momentum=1)
    layer.forward(X)
    assert np.allclose(layer.buffers["running_mean"], X.mean(axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [bp.LayerNorm, bp.RMSNorm])
def test_a_norm_over_no_axes_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=rf"{make.__name__}: normalized_shape must be .* got \(\)"):
        make(())


def test_a_failed_forward_leaves_no_gradient_of_an_earlier_batch() -> None:
    loss = bp.CrossEntropyLoss(label_smoothing=0.1)
    loss.forward(X, np.array([0, 3, 1, 1, 2]))
    with pytest.raises(ValueError, match="label 9 at index 4"):
        loss.forward(X, np.array([0, 3, 1, 1, 9]))
    with pytest.raises(RuntimeError, match="before forward"):
        loss.backward()
