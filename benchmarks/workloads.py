"""What is measured: layers by PyTorch's names, their first parameters, and one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise, product
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A network, its data, and how it is trained.

    Without an optimizer a step is a forward and a backward pass, and ``target`` is the output's gradient.
    """

    title: str
    layers: list[tuple]  # ("Linear", 64, 10): a name and what it is constructed with
    parameters: list[tuple[np.ndarray, ...]]  # one tuple for each layer
    x: np.ndarray
    target: np.ndarray
    optimizer: str = ""
    lr: float = 0.0
    measured: str = "ours"  # the implementation that the table divides by the others

    def astype(self, dtype: str) -> Workload:
        """The same in another precision; labels stay integers."""
        parameters = [tuple(array.astype(dtype) for array in arrays) for arrays in self.parameters]
        target = self.target if self.optimizer else self.target.astype(dtype)
        return replace(self, parameters=parameters, x=self.x.astype(dtype), target=target)


def _shapes(kind: str, *sizes: int) -> Iterable[tuple[int, ...]]:
    """The shapes of a layer's parameters; a matrix has one row for each input, as in the book."""
    if kind == "Linear":
        return sizes, sizes[1:]
    if kind == "Conv2d":
        inputs, outputs, side = sizes[:3]
        return (outputs, inputs, side, side), (outputs,)
    if kind in ("BatchNorm1d", "BatchNorm2d", "LayerNorm"):
        return sizes, sizes
    if kind == "LSTM":
        inputs, hidden = sizes
        return (inputs, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,)
    if kind == "TransformerBlock":
        d = sizes[0]
        attention: list[tuple[Any, ...]] = [("LayerNorm", d), ("Linear", d, 3 * d), ("Linear", d, d)]
        parts = [*attention, ("LayerNorm", d), ("Linear", d, 4 * d), ("Linear", 4 * d, d)]
        return chain.from_iterable(_shapes(*part) for part in parts)
    return ()


def _draw(rng: np.random.Generator, layers: list[tuple]) -> list[tuple[np.ndarray, ...]]:
    """Random parameters: uniform within 1, weights within one over the root of the number of inputs."""

    def uniform(shape: tuple[int, ...]) -> np.ndarray:
        inputs = shape[0] if len(shape) == 2 else math.prod(shape[1:])
        return rng.uniform(-1, 1, shape) * inputs**-0.5

    return [tuple(uniform(shape) for shape in _shapes(*layer)) for layer in layers]


def _classifier(title: str, shape: tuple, layers: list[tuple], optimizer: str, lr: float) -> Workload:
    """A network with ten classes, on random inputs with random labels; sequences have one at each step."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=shape), rng.integers(10, size=shape[:-1] if len(shape) == 3 else shape[0])
    return Workload(title, layers, _draw(rng, layers), x, labels, optimizer, lr)


def _passes(title: str, shape: tuple, layer: tuple) -> Workload:
    """One layer, forward and backward."""
    rng = np.random.default_rng(0)
    x, grad_output = rng.normal(size=(2, *shape))
    return Workload(title, [layer], _draw(rng, [layer]), x, grad_output)


def _mlp(*sizes: int) -> list[tuple]:
    layers: list[tuple] = []
    for inputs, outputs in pairwise(sizes):
        layers += [("Linear", inputs, outputs), ("ReLU",)]
    return layers[:-1]


def small_mlp(batch: int = 32) -> Workload:
    return _classifier(f"MLP 64-64-10, batch {batch}, SGD", (batch, 64), _mlp(64, 64, 10), "SGD", 0.1)


def large_mlp(batch: int = 128) -> Workload:
    title = f"MLP 784-256-128-10, batch {batch}, Adam"
    return _classifier(title, (batch, 784), _mlp(784, 256, 128, 10), "Adam", 1e-3)


def small_tape(batch: int = 32) -> Workload:
    return _taped(small_mlp(batch))


def large_tape(batch: int = 128) -> Workload:
    return _taped(large_mlp(batch))


def _taped(work: Workload) -> Workload:
    return replace(work, title=f"{work.title}, by the tape", measured="tape")


def lenet(batch: int = 64) -> Workload:
    layers = [
        ("Conv2d", 1, 6, 5, 1, 2), ("ReLU",), ("MaxPool2d", 2),
        ("Conv2d", 6, 16, 5, 1, 0), ("ReLU",), ("MaxPool2d", 2),
        ("Flatten",), *_mlp(400, 120, 84, 10),
    ]  # fmt: skip
    return _classifier(f"LeNet on 28×28, batch {batch}, SGD", (batch, 1, 28, 28), layers, "SGD", 0.1)


def conv_stack(batch: int = 32) -> Workload:
    layers: list[tuple] = []
    for inputs, outputs in (3, 16), (16, 32), (32, 64):
        layers += [("Conv2d", inputs, outputs, 3, 1, 1), ("ReLU",), ("MaxPool2d", 2)]
    layers += [("Flatten",), ("Linear", 1024, 10)]
    title = f"3×3 convolutions 3-16-32-64 on 32×32, batch {batch}, SGD"
    return _classifier(title, (batch, 3, 32, 32), layers, "SGD", 0.1)


def lstm(batch: int = 32) -> Workload:
    layers = [("LSTM", 64, 128), ("Linear", 128, 10)]
    return _classifier(f"LSTM 64-128, 32 steps, batch {batch}, Adam", (batch, 32, 64), layers, "Adam", 1e-3)


def transformer_block(batch: int = 16) -> Workload:
    layers = [("TransformerBlock", 128, 4), ("Linear", 128, 10)]
    title = f"Transformer block 128, 4 heads, 64 places, batch {batch}, Adam"
    return _classifier(title, (batch, 64, 128), layers, "Adam", 1e-3)


def batch_norm(batch: int = 128) -> Workload:
    return _passes(f"BatchNorm1d on {batch}×256", (batch, 256), ("BatchNorm1d", 256))


def batch_norm_2d(batch: int = 32) -> Workload:
    return _passes(f"BatchNorm2d on {batch}×16×32×32", (batch, 16, 32, 32), ("BatchNorm2d", 16))


def layer_norm(batch: int = 1024) -> Workload:
    return _passes(f"LayerNorm on {batch}×128", (batch, 128), ("LayerNorm", 128))


WORKLOADS = {
    "a": small_mlp,
    "b": large_mlp,
    "tape": small_tape,
    "tape-b": large_tape,
    "c1": lenet,
    "c2": conv_stack,
    "d": lstm,
    "e": transformer_block,
    "bn": batch_norm,
    "bn2d": batch_norm_2d,
    "ln": layer_norm,
}


# -- what grows ---------------------------------------------------------------


def _square(batch: int, width: int, depth: int) -> Workload:
    """Layers of one width, and ten outputs."""
    title = f"MLP, {depth} layers of {width}, batch {batch}, SGD"
    return _classifier(title, (batch, width), _mlp(*[width] * (depth + 1), 10), "SGD", 1e-3)


def _many_parameters(times: int) -> Workload:
    hidden = 256 * times
    return _classifier(f"MLP 64-{hidden}-10, batch 16, Adam", (16, 64), _mlp(64, hidden, 10), "Adam", 1e-3)


def _long_lstm(times: int) -> Workload:
    layers = [("LSTM", 32, 64), ("Linear", 64, 10)]
    title = f"LSTM 32-64, {16 * times} steps, batch 16, SGD"
    return _classifier(title, (16, 16 * times, 32), layers, "SGD", 1e-3)


def _long_block(times: int) -> Workload:
    layers = [("TransformerBlock", 64, 4), ("Linear", 64, 10)]
    title = f"Transformer block 64, 4 heads, {32 * times} places, batch 4, SGD"
    return _classifier(title, (4, 32 * times, 64), layers, "SGD", 1e-3)


GROWING: dict[str, Callable[[int], Workload]] = {
    "batch": lambda times: _square(32 * times, 128, 2),
    "width": lambda times: _square(64, 64 * times, 2),
    "depth": lambda times: _square(64, 64, 4 * times),
    "parameters": _many_parameters,
    "steps": _long_lstm,
    "places": _long_block,
}
TIMES = 1, 2, 4, 8
GROWN = {f"{what}-{n}": partial(GROWING[what], n) for what, n in product(GROWING, TIMES)}
