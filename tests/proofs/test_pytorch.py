"""Parity with PyTorch: outputs and gradients of every layer and loss, over random shapes and options."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import backprop_core as bp

LIMIT = 1e-10  # relative, in float64
SEEDS = range(10)


def close(ours: Any, theirs: torch.Tensor) -> bool:
    theirs = theirs.numpy(force=True)
    assert np.shape(ours) == theirs.shape
    return bool(np.max(np.abs(ours - theirs)) <= LIMIT * max(np.max(np.abs(theirs)), 1e-300))


def arrays(seed: int) -> tuple[np.random.Generator, np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(seed)
    x = 3 * rng.normal(size=rng.integers(1, 7, size=2))
    return rng, x, torch.tensor(x, requires_grad=True)


LAYERS: dict[str, tuple[Callable[[], bp.Layer], torch.nn.Module]] = {
    "Sigmoid": (bp.Sigmoid, torch.nn.Sigmoid()),
    "Tanh": (bp.Tanh, torch.nn.Tanh()),
    "ReLU": (bp.ReLU, torch.nn.ReLU()),
    "LeakyReLU": (bp.LeakyReLU, torch.nn.LeakyReLU()),
    "LeakyReLU 0.3": (lambda: bp.LeakyReLU(0.3), torch.nn.LeakyReLU(0.3)),
    "ELU": (bp.ELU, torch.nn.ELU()),
    "ELU 0.5": (lambda: bp.ELU(0.5), torch.nn.ELU(0.5)),
    "Softplus": (bp.Softplus, torch.nn.Softplus(threshold=50)),
    "SiLU": (bp.SiLU, torch.nn.SiLU()),
    "GELU": (bp.GELU, torch.nn.GELU()),
    "GELU tanh": (lambda: bp.GELU("tanh"), torch.nn.GELU(approximate="tanh")),
    "Softmax": (bp.Softmax, torch.nn.Softmax(dim=-1)),
    "Softmax axis 0": (lambda: bp.Softmax(axis=0), torch.nn.Softmax(dim=0)),
    "Flatten": (bp.Flatten, torch.nn.Flatten()),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str, seed: int) -> None:
    make, theirs = LAYERS[name]
    ours = make()
    rng, x, xt = arrays(seed)
    y, yt = ours.forward(x), theirs(xt)
    assert close(y, yt)
    grad_output = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad_output))
    assert xt.grad is not None and close(ours.backward(grad_output), xt.grad)


@pytest.mark.parametrize("seed", SEEDS)
def test_linear_whose_weight_pytorch_keeps_transposed(seed: int) -> None:
    rng, x, xt = arrays(seed)
    ours = bp.Linear(x.shape[1], 3, rng=rng)
    theirs = torch.nn.Linear(x.shape[1], 3, dtype=torch.float64)
    theirs.weight.data = torch.tensor(ours.weight.data.T)
    theirs.bias.data = torch.tensor(ours.bias.data)
    grad_output = rng.normal(size=(len(x), 3))
    y, yt = ours.forward(x), theirs(xt)
    yt.backward(torch.tensor(grad_output))
    assert close(y, yt)
    assert xt.grad is not None and close(ours.backward(grad_output), xt.grad)
    assert theirs.weight.grad is not None and close(ours.weight.grad.T, theirs.weight.grad)
    assert theirs.bias.grad is not None and close(ours.bias.grad, theirs.bias.grad)


LOSSES: dict[str, tuple[Callable[[str], bp.Loss], Callable[[str], torch.nn.Module]]] = {
    "MSELoss": (bp.MSELoss, lambda reduction: torch.nn.MSELoss(reduction=reduction)),
    "L1Loss": (bp.L1Loss, lambda reduction: torch.nn.L1Loss(reduction=reduction)),
    "HuberLoss": (
        lambda reduction: bp.HuberLoss(reduction, delta=0.7),
        lambda reduction: torch.nn.HuberLoss(reduction=reduction, delta=0.7),
    ),
    "BCEWithLogitsLoss": (
        bp.BCEWithLogitsLoss,
        lambda reduction: torch.nn.BCEWithLogitsLoss(reduction=reduction),
    ),
    "CrossEntropyLoss": (
        bp.CrossEntropyLoss,
        lambda reduction: torch.nn.CrossEntropyLoss(reduction=reduction),
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name: str, reduction: str, seed: int) -> None:
    rng, x, xt = arrays(seed)
    target = bp.Softmax()(rng.normal(size=x.shape))
    ours, theirs = (make(reduction) for make in LOSSES[name])
    value: Any = theirs(xt, torch.tensor(target))
    assert close(ours.forward(x, target), value)
    grad_output = rng.normal(size=tuple(value.shape))
    value.backward(torch.tensor(grad_output))
    assert xt.grad is not None and close(ours.backward(grad_output), xt.grad)


OPTIMIZERS: dict[str, tuple[Callable[..., bp.Optimizer], Callable[..., torch.optim.Optimizer], dict]] = {
    "SGD": (bp.SGD, torch.optim.SGD, {"lr": 0.3}),
    "SGD momentum": (bp.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "SGD Nesterov": (bp.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    "SGD dampened": (bp.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    "SGD uphill": (bp.SGD, torch.optim.SGD, {"lr": 0.1, "maximize": True, "weight_decay": 0.1}),
    "Adagrad": (bp.Adagrad, torch.optim.Adagrad, {"lr": 0.1, "weight_decay": 0.01}),
    "Adagrad slower": (
        bp.Adagrad,
        torch.optim.Adagrad,
        {"lr": 0.1, "lr_decay": 0.3, "initial_accumulator_value": 0.2, "maximize": True},
    ),
    "RMSprop centered": (
        bp.RMSprop,
        torch.optim.RMSprop,
        {"lr": 0.01, "centered": True, "momentum": 0.8, "maximize": True},
    ),
    "Adam amsgrad": (bp.Adam, torch.optim.Adam, {"lr": 0.01, "amsgrad": True, "maximize": True}),
    "AdamW amsgrad": (bp.AdamW, torch.optim.AdamW, {"lr": 0.01, "amsgrad": True, "maximize": True}),
    "RMSprop": (bp.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.01}),
    "Adam": (bp.Adam, torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.01}),
    "AdamW": (bp.AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_of_training(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(16, 5)), rng.integers(3, size=16)
    net = bp.Network(
        bp.Linear(5, 8, rng=rng), bp.ReLU(), bp.Linear(8, 3, rng=rng), loss=bp.CrossEntropyLoss()
    )
    parameters = [torch.tensor(parameter.data, requires_grad=True) for parameter in net.parameters()]
    w, b, v, c = parameters
    make_ours, make_theirs, options = OPTIMIZERS[name]
    ours, theirs = make_ours(net.parameters(), **options), make_theirs(parameters, **options)
    for _ in range(10):
        net.loss(x, labels)
        net.zero_grad()
        net.backward()
        ours.step()
        theirs.zero_grad()
        logits = torch.relu(torch.tensor(x) @ w + b) @ v + c
        torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
        theirs.step()
    assert all(close(p.data, q) for p, q in zip(net.parameters(), parameters, strict=True))


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
def test_groups_with_settings_of_their_own(name: str) -> None:
    rng = np.random.default_rng(0)
    ours = [bp.Parameter(rng.normal(size=shape)) for shape in ((3, 2), 4)]
    theirs = [torch.tensor(parameter.data, requires_grad=True) for parameter in ours]
    own: list[dict[str, Any]] = [{"weight_decay": 0.1}, {"lr": 0.05}]

    def groups(parameters: list) -> list[dict[str, Any]]:
        return [{"params": [p], **settings} for p, settings in zip(parameters, own, strict=True)]

    mine = getattr(bp, name)(groups(ours), lr=0.01)
    other = getattr(torch.optim, name)(groups(theirs), lr=0.01)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad[...] = rng.normal(size=p.shape)
            q.grad = torch.tensor(p.grad)
        mine.step()
        other.step()
    assert all(close(p.data, q) for p, q in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_options_of_cross_entropy(
    reduction: str, smoothing: float, ignored: int, weighed: bool, shares: bool
) -> None:
    rng = np.random.default_rng(4)
    x, weight = rng.normal(size=(7, 4)), rng.uniform(0.5, 2, 4) if weighed else None
    xt = torch.tensor(x, requires_grad=True)
    target: Any = bp.Softmax()(rng.normal(size=(7, 4))) if shares else np.array([0, 1, 2, 3, ignored, 2, 1])
    theirs = torch.nn.CrossEntropyLoss(
        None if weight is None else torch.tensor(weight),
        ignore_index=-100 if shares else ignored, reduction=reduction, label_smoothing=smoothing,
    )  # fmt: skip
    loss = bp.CrossEntropyLoss(reduction, smoothing, weight=weight, ignore_index=ignored)
    value, expected = loss(x, target), theirs(xt, torch.tensor(target))
    assert close(value, expected)
    grad_output = rng.normal(size=np.shape(value))
    expected.backward(torch.tensor(grad_output))
    assert xt.grad is not None and close(loss.backward(grad_output), xt.grad)


SCHEDULES: dict[str, tuple[Callable[..., bp.Schedule], Callable[..., Any]]] = {
    "StepLR": (lambda o: bp.StepLR(o, 3, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
    "ExponentialLR": (
        lambda o: bp.ExponentialLR(o, 0.8),
        lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.8),
    ),
    "CosineAnnealingLR": (
        lambda o: bp.CosineAnnealingLR(o, 10, 0.01),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, 0.01),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    ours, theirs = bp.SGD([bp.Parameter([1.0])], lr=0.4), torch.optim.SGD([torch.ones(1)], lr=0.4)
    mine, other = (make(o) for make, o in zip(SCHEDULES[name], (ours, theirs), strict=True))
    for _ in range(10):
        assert abs(ours.lr - theirs.param_groups[0]["lr"]) < 1e-12
        theirs.step()
        mine.step()
        other.step()


@pytest.mark.parametrize("nonlinearity", ["linear", "sigmoid", "tanh", "relu", "leaky_relu"])
def test_gains_and_ranges_of_initialisation(nonlinearity: str) -> None:
    shape = (30, 500)
    weight = bp.kaiming_uniform_(bp.Parameter(np.zeros(shape)), 0.3, "fan_out", nonlinearity, rng=0)
    gain = torch.nn.init.calculate_gain(nonlinearity, 0.3)
    assert abs(np.abs(weight.data).max() / (gain * (3 / 500) ** 0.5) - 1) < 1e-3


def test_linear_starts_in_pytorchs_range() -> None:
    ours, theirs = bp.Linear(7, 4000, rng=0), torch.nn.Linear(7, 4000)
    for mine, other in ((ours.weight.data, theirs.weight), (ours.bias.data, theirs.bias)):
        assert abs(np.abs(mine).max() - 7**-0.5) < 1e-3
        assert abs(other.detach().abs().max().item() - 7**-0.5) < 1e-3


def _conv(rng: np.random.Generator, transposed: bool) -> tuple[bp.Layer, torch.nn.Module, tuple[int, ...]]:
    inputs, outputs = (int(size) for size in rng.integers(1, 4, size=2))
    kernel: Any = tuple(rng.integers(1, 4, size=2).tolist())
    stride: Any = tuple(rng.integers(1, 4, size=2).tolist())
    padding: Any = tuple(int(rng.integers(0, 1 + (size - 1) // 2)) for size in kernel)
    make, other = (
        (bp.ConvTranspose2d, torch.nn.ConvTranspose2d) if transposed else (bp.Conv2d, torch.nn.Conv2d)
    )
    ours = make(inputs, outputs, kernel, stride, padding, rng=rng)
    theirs = other(inputs, outputs, kernel, stride, padding)
    return ours, theirs, (int(rng.integers(1, 4)), inputs, *map(int, rng.integers(3, 9, size=2)))


def _norm(rng: np.random.Generator, name: str) -> tuple[bp.Layer, torch.nn.Module, tuple[int, ...]]:
    n, c, h, w = (int(size) for size in rng.integers(2, 6, size=4))
    shape = {"LayerNorm": (n, c, w), "BatchNorm1d": (n, c), "BatchNorm2d": (n, c, h, w)}.get(name, (n, c))
    size = shape[1:] if name == "LayerNorm" else c
    eps = {} if name == "RMSNorm" else {"eps": 1e-3}
    return getattr(bp, name)(size, **eps), getattr(torch.nn, name)(size, **eps), shape


def _option(
    name: str, shape: tuple[int, ...], *settings: Any, **options: Any
) -> Callable[[np.random.Generator], tuple[bp.Layer, torch.nn.Module, tuple[int, ...]]]:
    """A layer with settings that both libraries call alike, and the shape of an input."""
    return lambda _: (
        getattr(bp, name)(*settings, **options),
        getattr(torch.nn, name)(*settings, **options),
        shape,
    )


OPTIONS = {
    "BatchNorm1d on (N, C, L)": _option("BatchNorm1d", (4, 3, 5), 3),
    "BatchNorm1d, average of all": _option("BatchNorm1d", (6, 3), 3, 1e-3, None),
    "BatchNorm1d, no affine": _option("BatchNorm1d", (6, 3), 3, 1e-3, 0.3, False),
    "BatchNorm1d, nothing tracked": _option("BatchNorm1d", (6, 3), 3, 1e-3, 0.3, True, False),
    "BatchNorm2d, average of all": _option("BatchNorm2d", (2, 3, 6, 6), 3, 1e-3, None),
    "BatchNorm2d, no affine": _option("BatchNorm2d", (2, 3, 6, 6), 3, 1e-3, 0.8, False),
    "BatchNorm2d, nothing tracked": _option("BatchNorm2d", (2, 3, 6, 6), 3, 1e-3, 0.8, True, False),
    "BatchNorm2d, no bias": _option("BatchNorm2d", (2, 3, 6, 6), 3, bias=False),
    "LayerNorm, no affine": _option("LayerNorm", (4, 5, 5), [5], 1e-3, False),
    "LayerNorm, no bias": _option("LayerNorm", (4, 2, 2, 5), [2, 2, 5], 1e-3, bias=False),
    "RMSNorm, no affine": _option("RMSNorm", (4, 5), [5], elementwise_affine=False),
    "Conv2d, same": _option("Conv2d", (2, 4, 5, 6), 4, 5, 3, padding="same"),
    "Conv2d, same, even": _option("Conv2d", (2, 4, 5, 6), 4, 5, (2, 4), padding="same", dilation=(1, 2)),
    "Conv2d, valid": _option("Conv2d", (2, 4, 5, 6), 4, 5, 3, padding="valid", bias=False),
    "Conv2d, holes": _option("Conv2d", (2, 4, 9, 8), 4, 5, (3, 2), (2, 1), 2, dilation=(2, 3)),
    "Conv2d, groups": _option("Conv2d", (2, 4, 5, 6), 4, 6, 3, 1, 1, groups=2),
    "Conv2d, each channel alone": _option("Conv2d", (2, 4, 5, 6), 4, 8, 3, groups=4, dilation=2),
    "ConvTranspose2d, holes": _option("ConvTranspose2d", (2, 4, 5, 6), 4, 5, (3, 2), 2, 1, dilation=(2, 3)),
    "ConvTranspose2d, groups": _option("ConvTranspose2d", (2, 4, 5, 6), 4, 6, 3, 2, groups=2, bias=False),
}
WITH_PARAMETERS: dict[str, Callable[[np.random.Generator], tuple]] = {
    "Conv2d": lambda rng: _conv(rng, False),
    "ConvTranspose2d": lambda rng: _conv(rng, True),
    **{name: partial(_norm, name=name) for name in ("BatchNorm1d", "BatchNorm2d", "LayerNorm", "RMSNorm")},
    **OPTIONS,
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_layer_with_parameters(name: str, seed: int, training: bool) -> None:
    rng = np.random.default_rng(seed)
    ours, theirs, shape = WITH_PARAMETERS[name](rng)
    theirs.double()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data[...] = rng.normal(size=mine.data.shape)
        other.data = torch.tensor(mine.data)
    for _ in range(3):  # so that there are running averages
        x = 2 + 3 * rng.normal(size=shape)
        assert close(ours.forward(x), theirs(torch.tensor(x)))
    ours.train(training)
    theirs.train(training)
    xt = torch.tensor(x, requires_grad=True)
    y, yt = ours.forward(x), theirs(xt)
    grad_output = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad_output))
    assert close(y, yt)
    assert xt.grad is not None and close(ours.backward(grad_output), xt.grad)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert other.grad is not None and close(mine.grad, other.grad)
    for key, value in getattr(ours, "buffers", {}).items():
        assert close(value, theirs.get_buffer(key))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["MaxPool2d", "AvgPool2d"])
def test_pool(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel, stride = (tuple(int(size) for size in rng.integers(1, 4, size=2)) for _ in range(2))
    padding = tuple(int(rng.integers(0, size // 2 + 1)) for size in kernel) if seed % 2 else 0
    ours, theirs = (
        getattr(bp, kind)(kernel, stride, padding),
        getattr(torch.nn, kind)(kernel, stride, padding),
    )
    x = rng.integers(-3, 3, size=(2, 3, *rng.integers(3, 9, size=2))).astype(float)  # with many ties
    xt = torch.tensor(x, requires_grad=True)
    y, yt = ours.forward(x), theirs(xt)
    grad_output = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad_output))
    assert close(y, yt) and xt.grad is not None and close(ours.backward(grad_output), xt.grad)


@pytest.mark.parametrize("lost", ["a nan in the input", "an infinite gradient"])
@pytest.mark.parametrize("stride", [1, 2])
def test_pool_where_numbers_are_not_finite(lost: str, stride: int) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = bp.MaxPool2d(2, stride), torch.nn.MaxPool2d(2, stride)
    x = rng.integers(0, 3, size=(2, 3, 6, 6)).astype(float)
    grad_output = rng.normal(size=ours(x).shape)
    if lost == "a nan in the input":
        x[1, 2, 3, 3] = np.nan
    else:
        grad_output[1, 2, 1, 1] = np.inf
    xt = torch.tensor(x, requires_grad=True)
    y, yt = ours.forward(x), theirs(xt)
    yt.backward(torch.tensor(grad_output))
    assert np.array_equal(y, yt.detach().numpy(), equal_nan=True) and xt.grad is not None
    assert np.allclose(ours.backward(grad_output), xt.grad.numpy(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", [name for name in WITH_PARAMETERS if "nothing tracked" not in name])
def test_an_empty_batch(name: str) -> None:
    ours, theirs, (_, *shape) = WITH_PARAMETERS[name](np.random.default_rng(0))
    ours.eval()
    theirs.double().eval()
    xt = torch.zeros((0, *shape), dtype=torch.float64, requires_grad=True)
    y, yt = ours.forward(xt.detach().numpy()), theirs(xt)
    yt.backward(torch.zeros_like(yt))
    assert y.shape == tuple(yt.shape) and ours.backward(np.zeros(y.shape)).shape == tuple(xt.shape)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert other.grad is not None and close(mine.grad, other.grad)


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_label_smoothing(reduction: str, smoothing: float) -> None:
    rng, x, xt = arrays(3)
    labels = rng.integers(x.shape[1], size=len(x))
    ours = bp.CrossEntropyLoss(reduction, smoothing)
    theirs = torch.nn.CrossEntropyLoss(reduction=reduction, label_smoothing=smoothing)
    value = theirs(xt, torch.tensor(labels))
    value.backward()
    assert close(ours(x, labels), value) and xt.grad is not None and close(ours.backward(), xt.grad)


def test_dropout_scales_as_pytorch_does() -> None:
    x = np.ones(100_000)
    ours, theirs = bp.Dropout(0.3, rng=0)(x), torch.nn.Dropout(0.3)(torch.tensor(x))
    assert np.array_equal(np.unique(ours), np.unique(theirs.numpy()))
    assert abs(np.mean(ours == 0) - 0.3) < 0.01 and abs((theirs == 0).double().mean().item() - 0.3) < 0.01


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_convolutions_start_in_pytorchs_range(name: str) -> None:
    ours, theirs = getattr(bp, name)(30, 50, 5, rng=0), getattr(torch.nn, name)(30, 50, 5)
    assert ours.weight.data.shape == tuple(theirs.weight.shape)
    bound = theirs.weight.detach().abs().max().item()
    assert abs(np.abs(ours.weight.data).max() / bound - 1) < 1e-2


def convolutional_nets(rng: np.random.Generator) -> tuple[bp.Network, torch.nn.Module]:
    ours = bp.Network(
        bp.Conv2d(1, 3, 3, padding=1, rng=rng), bp.BatchNorm2d(3), bp.ReLU(), bp.MaxPool2d(2),
        bp.Flatten(), bp.Linear(27, 4, rng=rng), loss=bp.CrossEntropyLoss(),
    )  # fmt: skip
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(27, 4),
    ).double()  # fmt: skip
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data = torch.tensor(mine.data.T if mine.data.ndim == 2 else mine.data)
    return ours, theirs


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_of_a_convolutional_net(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    net, theirs = convolutional_nets(rng)
    make_ours, make_theirs, options = OPTIMIZERS[name]
    optimizer, other = make_ours(net.parameters(), **options), make_theirs(theirs.parameters(), **options)
    for _ in range(10):
        x, labels = rng.normal(size=(8, 1, 6, 6)), rng.integers(4, size=8)
        loss = net.loss(x, labels)
        net.zero_grad()
        net.accumulate()
        optimizer.step()
        other.zero_grad()
        expected = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels))
        expected.backward()
        other.step()
        assert abs(loss - expected.item()) <= 1e-8 * abs(loss)


def gradients_twice(
    ours: Callable[..., bp.Tensor], theirs: Callable[..., torch.Tensor], *given: np.ndarray
) -> None:
    """Value, gradients, and the gradient of the gradients in a random direction."""
    rng = np.random.default_rng(1)
    tensors = [bp.Tensor(array) for array in given]
    others = [torch.tensor(array, requires_grad=True) for array in given]
    y, z = ours(*tensors), theirs(*others)
    assert close(y.data, z)
    grad = rng.normal(size=y.shape)
    found = bp.gradients(y, tensors, grad, create_graph=True)
    expected = torch.autograd.grad(z, others, torch.tensor(grad), create_graph=True)
    assert all(close(one.data, other) for one, other in zip(found, expected, strict=True))
    assert all(map(np.array_equal, bp.gradients(y, tensors, grad), (one.data for one in found)))
    directions = [rng.normal(size=array.shape) for array in given]
    once: Any = sum((one * v).sum() for one, v in zip(found, directions, strict=True))
    other_once: Any = sum((one * torch.tensor(v)).sum() for one, v in zip(expected, directions, strict=True))
    second = [np.zeros(array.shape) for array in given]
    if once.requires_grad:
        second = bp.gradients(once, tensors)
    other_second = [torch.zeros_like(other) for other in others]
    if other_once.requires_grad:
        other_second = torch.autograd.grad(other_once, others, allow_unused=True, materialize_grads=True)
    assert all(close(one, other) for one, other in zip(second, other_second, strict=True))


TAPE_SEEDS = range(30)
BINARY: dict[str, tuple[Callable, Callable]] = {
    "add": (np.add, torch.add),
    "subtract": (np.subtract, torch.subtract),
    "multiply": (np.multiply, torch.multiply),
    "divide": (lambda a, b: a / (b * b + 1), lambda a, b: a / (b * b + 1)),
    "maximum": (np.maximum, torch.maximum),
    "minimum": (np.minimum, torch.minimum),
    "logaddexp": (np.logaddexp, torch.logaddexp),
}


@pytest.mark.parametrize("seed", TAPE_SEEDS)
@pytest.mark.parametrize("name", BINARY)
def test_tape_stretches(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    full = rng.integers(1, 4, size=rng.integers(0, 4))
    shapes = [full[rng.integers(0, len(full) + 1) :] for _ in range(2)]
    shapes = [np.where(rng.random(len(shape)) < 0.7, shape, 1) for shape in shapes]
    a, b = (np.asarray(np.round(rng.normal(size=shape), 1)) for shape in shapes)  # with ties
    gradients_twice(*BINARY[name], a, b)


@pytest.mark.parametrize("seed", TAPE_SEEDS)
def test_tape_multiplies_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(1, 4, size=3)
    lead = rng.integers(1, 4, size=rng.integers(0, 3))
    shapes = []
    for rows, columns in ((n, k), (k, m)):
        some = lead[rng.integers(0, len(lead) + 1) :]
        stack = np.where(rng.random(len(some)) < 0.6, some, 1)
        shapes.append((k,) if rng.random() < 0.25 else (*stack, rows, columns))
    a, b = (rng.normal(size=shape) for shape in shapes)
    gradients_twice(np.matmul, torch.matmul, a, b)


KEYS: dict[str, Callable[[np.random.Generator], Any]] = {
    "row": lambda rng: np.s_[1],
    "ellipsis": lambda rng: np.s_[..., 2],
    "None": lambda rng: np.s_[1:, None, ::2],
    "last": lambda rng: np.s_[:, -1],
    "two lists": lambda rng: (rng.integers(0, 3, 6), slice(None), rng.integers(-5, 5, 6)),
    "array": lambda rng: rng.integers(0, 3, (2, 2)),
    "booleans": lambda rng: rng.random((3, 4)) > 0.5,
    "slice and booleans": lambda rng: (slice(1, 2), rng.random(4) > 0.3),
    "lists that stretch": lambda rng: (rng.integers(0, 3, (2, 1)), rng.integers(0, 4, 3)),
    "the same twice": lambda rng: ([0, 0], [1, 1]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", KEYS)
def test_tape_picks(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    key, x = KEYS[name](rng), rng.normal(size=(3, 4, 5))
    parts = key if isinstance(key, tuple) else (key,)
    other = tuple(torch.tensor(part) if isinstance(part, np.ndarray) else part for part in parts)
    gradients_twice(lambda x: x[key] ** 3, lambda x: x[other] ** 3, x)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 1)])
@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_tape_reduces(name: str, axis: Any, keepdims: bool) -> None:
    theirs = getattr(torch, {"max": "amax"}.get(name, name))
    axes = (0, 1, 2) if axis is None else axis
    for seed in SEEDS:
        x = np.round(np.random.default_rng(seed).normal(size=(3, 4, 5)), 1)  # with ties
        gradients_twice(
            lambda x: getattr(x, name)(axis, keepdims) ** 2,
            lambda x: theirs(x, axes, keepdim=keepdims) ** 2,
            x,
        )


FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    **{
        name: (getattr(np, name), getattr(torch, name))
        for name in ("exp", "tanh", "sin", "cos", "abs", "sign")
    },
    "sqrt": (lambda x: np.sqrt(x * x + 0.1), lambda x: torch.sqrt(x * x + 0.1)),
    "log": (lambda x: np.log(x * x + 0.1), lambda x: torch.log(x * x + 0.1)),
    **{f"power {n}": (lambda x, n=n: x**n, lambda x, n=n: x**n) for n in (0, 1, 2, 3, 2.0)},
    "power of an array": (
        lambda x: x ** np.array([[0], [1], [4]]),
        lambda x: torch.stack([x**0, x**1, x**4]),
    ),
    "where": (lambda x: np.where(x > 0, x * x, 1.0), lambda x: torch.where(x > 0, x * x, 1.0)),
    "shapes": (
        lambda x: np.broadcast_to(np.expand_dims(np.swapaxes(x.reshape(2, -1), 0, 1), 1), (11, 3, 2)) ** 2,
        lambda x: x.reshape(2, -1).swapaxes(0, 1).unsqueeze(1).expand(11, 3, 2) ** 2,
    ),
    "transpose": (
        lambda x: x.reshape(2, 1, 11).transpose(2, 0, 1) ** 3,
        lambda x: x.reshape(2, 1, 11).permute(2, 0, 1) ** 3,
    ),
    "mT": (lambda x: x.reshape(2, 11).mT @ x[:2], lambda x: x.reshape(2, 11).mT @ x[:2]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_tape_functions(name: str, seed: int) -> None:
    x = np.concatenate([np.random.default_rng(seed).normal(size=20), [0.0, 1.0]])
    gradients_twice(*FUNCTIONS[name], x)


@pytest.mark.parametrize("seed", SEEDS)
def test_tape_differentiates_a_network_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(5, 3)), rng.integers(4, size=5)

    def ours(w: Any, b: Any, v: Any) -> Any:
        logits = np.tanh(x @ w + b) @ v
        top = logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        return (total - logits[np.arange(5), labels]).mean()

    def theirs(w: torch.Tensor, b: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        logits = torch.tanh(torch.tensor(x) @ w + b) @ v
        return torch.nn.functional.cross_entropy(logits, torch.tensor(labels))

    gradients_twice(ours, theirs, *(rng.normal(size=shape) for shape in ((3, 6), (6,), (6, 4))))
