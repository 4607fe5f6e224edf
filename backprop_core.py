"""Backpropagation in NumPy: the layers, losses and optimizers that the book derives.

Generated from book/*.md by scripts/tangle.py; edit the book, not this file. A comment
like "04 The linear layer · linear-forward" names the chapter and the cell that follow.

>>> import numpy as np
>>> from backprop_core import SGD, CrossEntropyLoss, Linear, Network, ReLU
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(60, 4))
>>> labels = x[:, :3].argmax(axis=1)
>>> net = Network(
...     Linear(4, 16, rng=rng), ReLU(), Linear(16, 3, rng=rng),
...     loss=CrossEntropyLoss(),
... )
>>> optimizer = SGD(net.parameters(), lr=0.5)
>>> for step in range(200):
...     loss = net.loss(x, labels)
...     net.zero_grad()
...     grad = net.backward()
...     optimizer.step()
>>> loss < 0.05
True
"""

from __future__ import annotations

import copy
import json
import math
import os
import secrets
import signal
import sys
import threading
import warnings
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial, reduce, wraps
from inspect import signature
from numbers import Real
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

__version__ = "0.1.0"

__all__ = [
    "gradient_descent",
    "numerical_gradient",
    "complex_step_gradient",
    "gradcheck",
    "Parameter",
    "Layer",
    "Linear",
    "Flatten",
    "Activation",
    "Sigmoid",
    "Tanh",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "Softplus",
    "SiLU",
    "GELU",
    "Softmax",
    "Loss",
    "MSELoss",
    "L1Loss",
    "HuberLoss",
    "CrossEntropyLoss",
    "BCEWithLogitsLoss",
    "Network",
    "Optimizer",
    "SGD",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "LayerStatistics",
    "GradientReport",
    "gradient_report",
    "Adagrad",
    "RMSprop",
    "Adam",
    "AdamW",
    "DataLoader",
    "Schedule",
    "StepLR",
    "ExponentialLR",
    "CosineAnnealingLR",
    "LinearWarmup",
    "clip_grad_norm_",
    "fit",
    "save",
    "load",
    "l2_penalty",
    "l1_penalty",
    "Dropout",
    "EarlyStopping",
    "BatchNorm1d",
    "BatchNorm2d",
    "LayerNorm",
    "RMSNorm",
    "Conv2d",
    "ConvTranspose2d",
    "MaxPool2d",
    "AvgPool2d",
    "Value",
    "Tensor",
    "no_grad",
    "gradients",
    "detect_changes",
    "primitive",
    "TapeLayer",
    "Residual",
    "Embedding",
    "RNN",
    "LSTM",
    "GRU",
    "Last",
    "MultiHeadAttention",
    "PositionEmbedding",
    "TransformerBlock",
    "jvp",
    "hvp",
    "checkpoint",
]


# 01 What is a slope good for? · floating
def _floating(x: ArrayLike) -> np.ndarray:
    """x as an array of floating-point numbers; integers become float64.

    Half precision becomes float32: its numbers end at 65504, and sums of
    squares are soon larger. Raises TypeError for anything that is not a
    number, ValueError for rows of different lengths.
    """
    try:
        array = np.asarray(x)
    except ValueError:
        raise ValueError(
            "expected numbers in an array, got rows of different lengths"
        ) from None
    if array.dtype.kind in "biu":
        return array.astype(float)
    if array.dtype.kind not in "fc":
        raise TypeError(f"expected numbers, got an array of {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float16 else array


# 01 What is a slope good for? · gradient-descent
def gradient_descent(
    gradient: Callable, x: ArrayLike, lr: float, steps: int
) -> np.ndarray:
    """Follow the slope downhill, eq:descent, and return the whole path.

    ``gradient`` maps a point to the slope there, in the point's shape.
    Shapes: x any, result (steps + 1, *x.shape); row 0 is x itself.
    Raises ValueError for a gradient of another shape.

    >>> gradient_descent(lambda x: 2 * x, 1.0, lr=0.25, steps=3)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    path = [_floating(x)]
    for _ in range(steps):
        slope = _floating(gradient(path[-1]))
        if slope.shape != path[0].shape:
            raise ValueError(
                f"expected a gradient of shape {path[0].shape}, "
                f"got {slope.shape}"
            )
        path.append(path[-1] - lr * slope)
    return np.stack(path)


# 02 How do I know a derivative is right? · each-element
def _each_element(
    slope: Callable, x: np.ndarray, grad_output: np.ndarray
) -> np.ndarray:
    """Gradient of sum(grad_output * f) in x, eq:upstream.

    ``slope(direction)`` is the derivative of f along one axis of x.
    """
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        direction = np.zeros(x.shape)
        direction[index] = 1.0
        gradient[index] = np.sum(grad_output * slope(direction))
    return gradient


# 02 How do I know a derivative is right? · upstream
def _upstream(
    output: np.ndarray, grad_output: ArrayLike | None,
    what: str = "grad_output",
) -> np.ndarray:
    """One weight for each output; 1 if there is a single output."""
    shape = np.shape(output)
    if grad_output is None and np.size(output) == 1:
        return np.ones(shape)
    if grad_output is None:
        raise ValueError(
            f"an output of shape {shape} needs grad_output, one weight for "
            "each entry (ones would hide mistakes)"
        )
    given = np.asarray(grad_output)
    if given.shape != shape:
        raise ValueError(
            f"expected {what} of shape {shape}, got {given.shape}"
        )
    return given


# 02 How do I know a derivative is right? · numerical-gradient
def numerical_gradient(
    f: Callable, x: ArrayLike, grad_output: ArrayLike | None = None, *,
    h: float = 1e-5,
) -> np.ndarray:
    """Gradient of sum(grad_output * f(x)) by two-sided steps, eq:central.

    Shapes: x any, grad_output as f(x), result as x, always float64.
    Good for about ten digits where x and f are of order one.
    Raises ValueError if f has several outputs and grad_output is missing.

    >>> numerical_gradient(np.sum, [1.0, 2.0, 3.0]).round(6)
    array([1., 1., 1.])
    """
    x = np.asarray(x, dtype=float)

    def slope(direction: np.ndarray) -> np.ndarray:
        return (f(x + h * direction) - f(x - h * direction)) / (2 * h)

    return _each_element(slope, x, _upstream(f(x), grad_output))


# 02 How do I know a derivative is right? · complex-step-gradient
def complex_step_gradient(
    f: Callable, x: ArrayLike, grad_output: ArrayLike | None = None, *,
    h: float = 1e-20,
) -> np.ndarray:
    """Gradient of sum(grad_output * f(x)) without cancellation.

    Steps along the imaginary axis, eq:complex-step.
    For analytic code only: no abs, no rounding to real numbers.
    Shapes as in numerical_gradient. Raises TypeError where f returns real
    numbers. Source: Lyness and Moler, 1967; Squire and Trapp, 1998.

    >>> complex_step_gradient(lambda x: x**3, [1.0, 2.0], [1.0, 1.0])
    array([ 3., 12.])
    """
    x = np.asarray(x, dtype=float)

    def slope(direction: np.ndarray) -> np.ndarray:
        y = f(x + 1j * h * direction)
        if not np.iscomplexobj(y):
            raise TypeError(
                "f lost the imaginary part (abs, a norm, a cast?): "
                "use numerical_gradient"
            )
        return np.imag(y) / h

    return _each_element(slope, x, _upstream(f(x), grad_output))


# 02 How do I know a derivative is right? · relative-error
def _largest(array: np.ndarray) -> float:
    """The largest absolute value; 0 for an empty array."""
    return float(np.max(np.abs(array), initial=0.0))


def _relative_error(
    computed: np.ndarray, measured: np.ndarray, floor: float = 0.0
) -> float:
    """Largest difference over largest entry, eq:relative-error.

    Raises ValueError where the shapes differ: a gradient has the shape of
    its variable.
    """
    if np.shape(computed) != np.shape(measured):
        raise ValueError(
            f"expected a gradient of shape {np.shape(measured)}, "
            f"got {np.shape(computed)}"
        )
    difference = _largest(computed - measured)
    largest = max(_largest(computed), _largest(measured), floor)
    return difference / largest if difference else 0.0


# 02 How do I know a derivative is right? · output-of-a-copy
def _output(
    layer: Any, x: np.ndarray, rest: tuple, position: int | None = None,
    value: np.ndarray | None = None,
) -> np.ndarray:
    """The output of a copy of the layer, one parameter's data replaced."""
    trial = copy.deepcopy(layer)
    if position is not None and value is not None:
        trial.parameters()[position].data = value
        x = x.astype(value.dtype)
    return trial.forward(x, *rest)


# 02 How do I know a derivative is right? · gradcheck
def gradcheck(
    layer: Any, x: ArrayLike, *rest: Any,
    rng: np.random.Generator | int | None = None,
    derivative: Callable = numerical_gradient,
) -> float:
    """Largest relative error (eq:relative-error) of ``layer.backward``.

    Compares every element of the gradients of the input and of each
    parameter with ``derivative``, under a random upstream gradient.
    ``rest`` is handed to forward after x. The layer itself is not touched.
    Expect below 1e-7, and below 1e-12 with ``complex_step_gradient``.
    """
    x, probe = np.array(x, dtype=float), copy.deepcopy(layer)
    x.flags.writeable = False
    shape = np.shape(probe.forward(x, *rest))
    grad_output = np.asarray(np.random.default_rng(rng).normal(size=shape))
    grad_output.flags.writeable = False
    parameters: list[Any] = getattr(probe, "parameters", list)()
    for parameter in parameters:
        parameter.grad[...] = 1.0
    computed = [probe.backward(grad_output)]
    computed += [parameter.grad - 1.0 for parameter in parameters]
    measured = [derivative(lambda v: _output(layer, v, rest), x, grad_output)]
    for i, parameter in enumerate(parameters):
        at = partial(_output, layer, x, rest, i)
        measured.append(derivative(at, parameter.data, grad_output))
    floor = 1e-3 * max(map(_largest, measured))
    errors = [_relative_error(*p, floor) for p in zip(computed, measured)]
    return float(np.max(errors))  # unlike max, np.max passes on a nan


# 03 Why backwards? · parameter
class Parameter:
    """Numbers that training may change, and their gradient.

    ``data`` and ``grad`` have the same shape and dtype; grad starts at 0.
    Change them inside: ``data[...] = new``; others may hold on to them.
    Integers become float64. Raises TypeError for what is not a number.

    >>> Parameter([1, 2]).grad
    array([0., 0.])
    """

    def __init__(self, data: ArrayLike) -> None:
        self.data = _floating(data).copy()
        self.grad = np.zeros_like(self.data)

    def __repr__(self) -> str:
        return f"Parameter{self.data.shape}"

    # 03 Why backwards? · parameter-guards
    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise TypeError("a Parameter is no array; its numbers are .data")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "grad" and value is None:
            self.grad[...], value = 0, self.grad
        object.__setattr__(self, name, value)


# 03 Why backwards? · options
def _options(thing: Any) -> str:
    """Its public settings, numbers, texts or tuples: alpha=0.1, …"""
    return ", ".join(
        f"{name}={value!r}"
        for name, value in vars(thing).items()
        if isinstance(value, (int, float, str, tuple))
        and not name.startswith("_")
        and name != "training"
    )


# 03 Why backwards? · layer
class Layer:
    """One step of a network: a value forwards, a gradient backwards (eq:vjp).

    A subclass writes ``forward(x)``, which leaves in ``_cache`` what
    ``backward(grad_output)`` needs. ``backward`` adds to the parameters'
    grad, returns the gradient of the input, and changes no argument.
    """

    training: bool = True
    takes_lengths: bool = False  # has forward(x, lengths=…), chapter 16
    _cache: Any = None

    def forward(self, x: ArrayLike) -> np.ndarray:
        """The output for x, an array whose first axis counts examples."""
        raise NotImplementedError(f"{self} has no forward")

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        """dL/dx in the shape of x, from dL/dy in the shape of the output.

        Raises RuntimeError before the first forward.
        """
        raise NotImplementedError(f"{self} has no backward")

    def __call__(self, *inputs: ArrayLike, **options: Any) -> np.ndarray:
        return self.forward(*inputs, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_options(self)})"

    # 03 Why backwards? · layer-parameters
    def _members(self) -> Iterator[tuple[str, Any]]:
        """What this layer is made of: its attributes, by name."""
        for name, member in vars(self).items():
            yield from _entries(name, member)

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """(name, parameter) pairs; inner layers' names get a prefix."""
        found: dict[Parameter, str] = {}
        for name, member in self._members():
            if isinstance(member, Parameter):
                found.setdefault(member, name)
            elif isinstance(member, Layer):
                for below, parameter in member.named_parameters():
                    found.setdefault(parameter, f"{name}.{below}")
        return [(name, parameter) for parameter, name in found.items()]

    def parameters(self) -> list[Parameter]:
        """The parameters of this layer and of those inside it."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero."""
        for parameter in self.parameters():
            parameter.grad[...] = 0.0

    # 03 Why backwards? · layer-training
    def train(self, mode: bool = True) -> Layer:
        """Switch to training (or evaluation) and return the layer."""
        self.training = mode
        for _, member in self._members():
            if isinstance(member, Layer):
                member.train(mode)
        return self

    def eval(self) -> Layer:
        """Switch to evaluation and return the layer."""
        return self.train(False)

    # 03 Why backwards? · layer-cheaper
    def to(self, dtype: str | type) -> Layer:
        """Convert the parameters to "float32" or "float64"; returns itself.

        Before an optimizer takes them. Raises ValueError for other dtypes.
        """
        kind = np.dtype(dtype)
        if kind not in (np.float32, np.float64):
            raise ValueError(f"expected float32 or float64, got {kind}")
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(kind)
            parameter.grad = parameter.grad.astype(kind)
        return self

    def accumulate(self, grad_output: ArrayLike) -> None:
        """``backward`` where nobody asks for the gradient of the input."""
        self.backward(grad_output)

    # 03 Why backwards? · layer-guards
    def _saved(self) -> Any:
        """What the last forward kept."""
        if self._cache is None:
            raise RuntimeError(f"{self}: backward was called before forward")
        return self._cache

    def _expect(
        self, x: ArrayLike, *shape: int | str, what: str = "input"
    ) -> np.ndarray:
        """x as floating-point numbers; a name in ``shape`` fits any size."""
        array = _floating(x)
        fits = array.ndim == len(shape) and all(
            isinstance(wanted, str) or wanted == size
            for wanted, size in zip(shape, array.shape)
        )
        if not fits:
            wanted = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
            raise ValueError(
                f"{self}: expected {what} of shape ({wanted}), "
                f"got {array.shape}"
            )
        return array


# 03 Why backwards? · entries
def _entries(name: str, member: Any) -> Iterator[tuple[str, Any]]:
    """The member, or what a list or dictionary holds, each with a name."""
    if isinstance(member, dict):
        items: Iterable = member.items()
    elif isinstance(member, (list, tuple)):
        items = enumerate(member)
    else:
        yield name, member
        return
    for key, item in items:
        yield from _entries(f"{name}.{key}", item)


# 04 The linear layer · positive
def _positive(owner: object, **sizes: Any) -> None:
    """Raise ValueError unless every size is a whole number of at least 1."""
    for name, size in sizes.items():
        whole = isinstance(size, (int, np.integer)) and size is not True
        if not whole or size < 1:
            raise ValueError(
                f"{type(owner).__name__}: {name} must be a whole number "
                f"of at least 1, got {size!r}"
            )


# 04 The linear layer · rows
def _rows(x: np.ndarray) -> np.ndarray:
    """x as a table: all axes but the last count rows."""
    if x.ndim == 2:
        return x
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _sum(rows: np.ndarray) -> np.ndarray:
    """The sum of each row, as a product with ones."""
    return rows @ np.ones(rows.shape[1], rows.dtype)


# 04 The linear layer · linear-forward
class Linear(Layer):
    """Fully connected layer, Y = XW + b (eq:linear).

    Shapes: input (N, …, in_features), output (N, …, out_features), weight
    (in_features, out_features), bias (out_features,). Weights and biases
    start uniform in ±1/sqrt(in_features), as PyTorch's do.
    Raises ValueError for an input of another shape.

    >>> layer = Linear(3, 2, rng=0)
    >>> layer.forward(np.zeros((4, 3))).shape
    (4, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        _positive(self, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        rng = np.random.default_rng(rng)
        shape = (in_features, out_features)
        bound = 1 / in_features**0.5
        self.weight = Parameter(rng.uniform(-bound, bound, shape))
        self.bias = Parameter(rng.uniform(-bound, bound, out_features))

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({self.in_features}, {self.out_features})"

    def forward(self, x: ArrayLike) -> np.ndarray:
        between = np.shape(x)[1:-1]
        x = self._cache = self._expect(x, "N", *between, self.in_features)
        y = _rows(x) @ self.weight.data
        y += self.bias.data  # eq:linear
        y = y.reshape(*x.shape[:-1], self.out_features)
        return y.astype(x.dtype, copy=False)

    # 04 The linear layer · linear-backward
    def accumulate(self, grad_output: ArrayLike) -> None:
        x = self._saved()
        shape = (*x.shape[:-1], self.out_features)
        grad = _rows(self._expect(grad_output, *shape, what="grad_output"))
        self.weight.grad += _rows(x).T @ grad  # eq:linear-dw
        self.bias.grad += _sum(grad.T)  # eq:linear-db

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        self.accumulate(grad_output)
        x, grad = self._saved(), _rows(_floating(grad_output))
        dx = grad @ self.weight.data.T  # eq:linear-dx
        return dx.reshape(x.shape).astype(x.dtype, copy=False)


# 04 The linear layer · flatten
class Flatten(Layer):
    """One row for each example: (N, …) to (N, product of the rest).

    >>> Flatten().forward(np.zeros((5, 3, 2, 2))).shape
    (5, 12)
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = _floating(x)
        if x.ndim == 0:
            raise ValueError("Flatten(): expected a batch, got one number")
        self._cache = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        shape = self._saved()
        rows = (shape[0], math.prod(shape[1:]))
        grad = self._expect(grad_output, *rows, what="grad_output")
        return grad.reshape(shape)


# 05 Something that bends · activation
class Activation(Layer):
    """A function applied to every entry alone; any shape in, same out.

    A subclass writes ``value_and_slope``. Backward is eq:elementwise.
    """

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(x) and f'(x), both in the shape of x."""
        raise NotImplementedError(f"{self} has no value_and_slope")

    def forward(self, x: ArrayLike) -> np.ndarray:
        y, self._cache = self.value_and_slope(_floating(x))
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        slope = self._saved()
        grad = self._expect(grad_output, *slope.shape, what="grad_output")
        return grad * slope

    def slope(self, x: ArrayLike) -> np.ndarray:
        """f'(x), in the shape of x."""
        x = _floating(x)
        return self.value_and_slope(x)[1].astype(x.dtype, copy=False)


# 05 Something that bends · sigmoid-tanh
class Sigmoid(Activation):
    """eq:sigmoid, computed as eq:sigmoid-tanh, which cannot overflow.

    >>> Sigmoid()(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = 0.5 * (1 + np.tanh(0.5 * x))
        return y, y * (1 - y)  # eq:sigmoid-slope


class Tanh(Activation):
    """The hyperbolic tangent, eq:tanh."""

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = np.tanh(x)
        return y, 1 - y * y  # eq:tanh-slope


# 05 Something that bends · relu
class ReLU(Activation):
    """Rectified linear unit, eq:relu; the slope at 0 is 0.

    >>> ReLU()(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.maximum(x, 0), x > 0  # eq:relu-slope


class LeakyReLU(Activation):
    """eq:leaky-relu; ``negative_slope`` is its alpha."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = float(negative_slope)

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one = x.dtype.type(1)
        slope = np.where(x > 0, one, self.negative_slope)
        return x * slope, slope  # eq:leaky-relu-slope


class ELU(Activation):
    """Exponential linear unit, eq:elu."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = float(alpha)

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below = self.alpha * np.expm1(np.minimum(x, 0))
        y = np.where(x > 0, x, below)
        return y, np.where(x > 0, 1.0, below + self.alpha)  # eq:elu-slope


# 05 Something that bends · softplus-silu
class Softplus(Activation):
    """ln(1 + e^x), eq:softplus, in a form that cannot overflow."""

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.logaddexp(0, x), Sigmoid()(x)  # eq:softplus-slope


class SiLU(Activation):
    """x times sigmoid(x), eq:silu, also known as swish."""

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s = Sigmoid()(x)
        y = x * s
        return y, s + y * (1 - s)  # eq:silu-slope


# 05 Something that bends · gelu
_erfc = np.vectorize(math.erfc, otypes=[float])


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    """Share of a standard normal distribution below x."""
    return (0.5 * _erfc(-x / 2**0.5)).astype(x.dtype)


class GELU(Activation):
    """x times the normal distribution's share below x, eq:gelu.

    ``approximate="tanh"`` is faster and off by up to 5e-4 (eq:gelu-tanh).
    Raises ValueError for another name. Source: Hendrycks, Gimpel, 2016.
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(
                f"GELU: approximate is 'none' or 'tanh', got {approximate!r}"
            )
        self.approximate = approximate

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.approximate == "none":
            share = _normal_cdf(x)
            density = np.exp(-0.5 * x * x) / (2 * math.pi) ** 0.5
            return x * share, share + x * density  # eq:gelu-slope
        factor, square = (2 / math.pi) ** 0.5, x * x
        u = x * (factor + 0.044715 * factor * square)  # eq:gelu-inner
        share = 0.5 + 0.5 * np.tanh(u)
        y = x * share  # eq:gelu-tanh
        slope = 2 * factor + 0.26829 * factor * square
        slope *= y
        slope *= 1 - share
        slope += share  # eq:gelu-tanh-slope
        return y, slope


# 05 Something that bends · softmax
class Softmax(Layer):
    """Probabilities from logits along ``axis``, eq:softmax-safe.

    Any shape in, same out. Raises ValueError for a single number.

    >>> Softmax()(np.array([1000.0, 1000.0, 0.0]))
    array([0.5, 0.5, 0. ])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = _floating(x)
        if x.ndim == 0:
            raise ValueError("Softmax(): expected several logits, got one")
        top = x.max(axis=self.axis, keepdims=True, initial=-np.inf)
        e = np.exp(x - top)
        self._cache = e / e.sum(axis=self.axis, keepdims=True)
        return self._cache.copy()

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        p = self._saved()
        grad = self._expect(grad_output, *p.shape, what="grad_output")
        average = (grad * p).sum(axis=self.axis, keepdims=True)
        return p * (grad - average)  # eq:softmax-vjp


# 06 What do we want? · loss
class Loss:
    """One number for how wrong a prediction is.

    ``reduction`` is "mean" (over all entries, or over examples where the
    entries of an example belong together) or "sum".
    Raises ValueError for another name.
    """

    reduction: str = "mean"
    _cache: np.ndarray | None = None

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"reduction is 'mean' or 'sum', got {reduction!r}"
            )
        self.reduction = reduction

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_options(self)})"

    def value_and_slope(
        self, x: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The losses to be averaged, and the slope of each in x."""
        raise NotImplementedError(f"{self} has no value_and_slope")

    def _target(self, x: np.ndarray, target: ArrayLike) -> np.ndarray:
        """The target in the form and precision of the prediction x."""
        target = _floating(target)
        if target.shape != x.shape:
            raise ValueError(
                f"{self}: expected a target of shape {x.shape}, "
                f"got {target.shape}"
            )
        return target.astype(x.dtype, copy=False)

    # 06 What do we want? · loss-forward-backward
    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        """The loss as one number.

        Raises ValueError where shapes differ or the batch is empty.
        """
        self._cache = None
        x = _floating(prediction)
        values, slopes = self.value_and_slope(x, self._target(x, target))
        if values.size == 0:
            raise ValueError(f"{self}: the batch is empty")
        scale = 1 / values.size if self.reduction == "mean" else 1.0
        self._cache = scale * slopes
        return (scale * values.sum()).item()

    def __call__(self, prediction: ArrayLike, target: ArrayLike) -> float:
        return self.forward(prediction, target)

    def backward(self, grad_output: float = 1.0) -> np.ndarray:
        """dL/dprediction, in the prediction's shape, times grad_output.

        Raises RuntimeError before the first forward.
        """
        if self._cache is None:
            raise RuntimeError(f"{self}: backward was called before forward")
        return float(grad_output) * self._cache


# 06 What do we want? · regression-losses
class MSELoss(Loss):
    """Mean squared error, eq:mse; prediction and target in one shape.

    >>> MSELoss()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    def value_and_slope(
        self, x: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        difference = x - target
        return difference * difference, 2 * difference  # eq:mse-grad


class L1Loss(Loss):
    """Mean absolute error, eq:l1-loss; the slope at 0 is 0."""

    def value_and_slope(
        self, x: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        difference = x - target
        return np.abs(difference), np.sign(difference)  # eq:l1-loss-grad


class HuberLoss(Loss):
    """Square up to ``delta``, straight beyond (eq:huber)."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"HuberLoss: delta must be > 0, got {delta}")
        self.delta = float(delta)

    def value_and_slope(
        self, x: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        difference = x - target
        slope = np.clip(difference, -self.delta, self.delta)  # eq:huber-grad
        return slope * (difference - 0.5 * slope), slope


# 06 What do we want? · class-targets
def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """A row for each label, with a 1 at its place."""
    for index in np.argwhere((labels < 0) | (labels >= classes)):
        raise ValueError(
            f"label {labels[tuple(index)]} at index {_place(index)}: "
            f"expected 0 to {classes - 1}"
        )
    return labels[..., None] == np.arange(classes)


def _probabilities(rows: np.ndarray) -> np.ndarray:
    """The rows, if they are probabilities; small deviations removed."""
    total = rows.sum(axis=-1, keepdims=True)
    fits = (abs(total - 1) <= 1e-4) & (rows >= 0)
    for index in np.argwhere(~fits.all(axis=-1)):
        raise ValueError(
            f"target row {_place(index)} is not a row of probabilities: "
            f"{rows[tuple(index)]}"
        )
    return rows / total


def _place(index: np.ndarray) -> str:
    return ", ".join(map(str, index))


# 06 What do we want? · cross-entropy
class CrossEntropyLoss(Loss):
    """Softmax and cross-entropy in one step, eq:ce-logits.

    Shapes: logits (N, …, K); target integer labels (N, …) or
    probabilities (N, …, K). The mean is over all labels;
    ``label_smoothing`` spreads that share over all classes,
    eq:label-smoothing.
    Raises ValueError for other shapes, labels outside 0…K-1, or rows that
    are not probabilities.

    >>> round(CrossEntropyLoss()([[0.0, 0.0]], [1]), 4)
    0.6931
    """

    def value_and_slope(
        self, x: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        shifted = x - x.max(axis=-1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=-1, keepdims=True)
        chosen = np.vecdot(target, np.where(target > 0, shifted, 0))
        value = np.log(total[..., 0]) - chosen
        return value, e / total - target  # eq:ce-grad

    def _target(self, x: np.ndarray, target: ArrayLike) -> np.ndarray:
        if x.ndim < 2 or not x.shape[-1]:
            raise ValueError(
                f"{self}: expected logits of shape (N, K), got {x.shape}"
            )
        given = np.asarray(target)
        if given.shape == x.shape[:-1] and given.dtype.kind in "iu":
            table = _one_hot(given, x.shape[-1])
        elif given.shape == x.shape:
            table = _probabilities(_floating(given))
        else:
            raise ValueError(
                f"{self}: expected integer labels of shape {x.shape[:-1]} or "
                f"probabilities of shape {x.shape}, "
                f"got {given.dtype} of shape {given.shape}"
            )
        return table.astype(x.dtype, copy=False)

    # 11 Not by heart · label-smoothing
    def __init__(
        self, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                f"expected 0 <= label_smoothing <= 1, got {label_smoothing}"
            )
        self.label_smoothing = float(label_smoothing)

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> float:
        self._cache = None
        share = self.label_smoothing
        if share:
            x = _floating(prediction)
            table = self._target(x, target)
            target = (1 - share) * table + share / x.shape[-1]
        return Loss.forward(self, prediction, target)  # eq:label-smoothing


# 06 What do we want? · bce
class BCEWithLogitsLoss(Loss):
    """Sigmoid and binary cross-entropy in one step, eq:bce-logits.

    Logits and targets in one shape; targets between 0 and 1.
    Raises ValueError for other shapes or targets.
    """

    def value_and_slope(
        self, x: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        value, slope = Softplus().value_and_slope(x)
        return value - target * x, slope - target  # eq:bce-grad

    def _target(self, x: np.ndarray, target: ArrayLike) -> np.ndarray:
        array = super()._target(x, target)
        if array.size and not 0 <= array.min() <= array.max() <= 1:
            raise ValueError(
                f"{self}: expected targets between 0 and 1, got values "
                f"from {array.min()} to {array.max()}"
            )
        return array


# 07 A network learns · inside
def _inside(layer: Layer) -> Iterator[Layer]:
    """The layer and all layers that it contains."""
    yield layer
    for _, member in layer._members():
        if isinstance(member, Layer):
            yield from _inside(member)


# 07 A network learns · network
class Network(Layer):
    """Layers in a row, and perhaps a loss at the end. Itself a Layer.

    ``backward`` is eq:net-ds to eq:net-dx for any layers.
    Raises TypeError for what is not a Layer or a Loss, ValueError for a
    layer object that is used twice (it remembers only its last forward).
    """

    takes_lengths = True
    _counted: np.ndarray | None = None  # the places that the loss looks at

    def __init__(self, *layers: Layer, loss: Loss | None = None) -> None:
        if loss is not None and not isinstance(loss, Loss):
            raise TypeError(f"Network: loss is {loss!r}, not a Loss")
        seen: set[Layer] = set()
        for position, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"Network: layer {position} is {layer!r}, not a Layer "
                    "(a loss is given as loss=…)"
                )
            inside = set(_inside(layer))
            if inside & seen:
                raise ValueError(
                    f"Network: layer {position}, {layer!r}, is there twice"
                )
            seen |= inside
        self.layers, self.criterion = list(layers), loss
        self._shapes: list[tuple] = []

    def _members(self) -> Iterator[tuple[str, Any]]:
        for name, member in super()._members():
            yield name.removeprefix("layers."), member

    # 07 A network learns · network-passes
    def forward(
        self, x: ArrayLike, lengths: ArrayLike | None = None
    ) -> np.ndarray:
        """The output of the last layer.

        >>> net = Network(Linear(2, 3, rng=0), ReLU(), Linear(3, 2, rng=1))
        >>> net.forward(np.zeros((5, 2))).shape
        (5, 2)
        """
        y = np.asarray(x)
        if self.criterion is not None:
            self.criterion._cache = None
        self._shapes, self._counted = [], None
        known = {} if lengths is None else {"lengths": lengths}
        for layer in self.layers:
            y = layer.forward(y, **known if layer.takes_lengths else {})
            self._shapes.append(y.shape)
        return y

    def _loss_at_end(self) -> Loss:
        if self.criterion is None:
            raise RuntimeError("Network: no loss; give one with loss=…")
        return self.criterion

    def _answers(
        self, x: ArrayLike, target: ArrayLike, lengths: ArrayLike | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Output and target, at the places that belong to a sequence."""
        y, target = self.forward(x, lengths), np.asarray(target)
        steps = y.shape[:2]
        if lengths is None or y.ndim < 3 or steps != target.shape[:2]:
            return y, target
        self._counted = _counting(self, lengths, *steps)
        return y[self._counted], target[self._counted]

    def loss(
        self, x: ArrayLike, target: ArrayLike, lengths: ArrayLike | None = None
    ) -> float:
        """Forward, then the loss. Raises RuntimeError if there is none."""
        criterion = self._loss_at_end()
        return criterion.forward(*self._answers(x, target, lengths))

    def _start(self, grad_output: ArrayLike | None) -> np.ndarray:
        if grad_output is not None:
            return np.asarray(grad_output)
        grad = self._loss_at_end().backward()
        if self._counted is None:
            return grad
        whole = np.zeros(self._shapes[-1], grad.dtype)
        whole[self._counted] = grad
        return whole

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        """Fill the parameters' grad; return dL/dx in the shape of x.

        Without ``grad_output`` it starts at the loss computed last.
        """
        grad = self._start(grad_output)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def accumulate(self, grad_output: ArrayLike | None = None) -> None:
        """``backward`` without dL/dx, which training does not need."""
        grad = self._start(grad_output)
        for layer in reversed(self.layers[1:]):
            grad = layer.backward(grad)
        for first in self.layers[:1]:
            first.accumulate(grad)

    # 07 A network learns · network-comfort
    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, position: int | slice) -> Layer:
        if isinstance(position, slice):
            return Network(*self.layers[position])
        return self.layers[position]

    def __repr__(self) -> str:
        rows = [("", "layer", "output", "parameters")]
        for i, layer in enumerate(self.layers):
            name = repr(layer)
            if isinstance(layer, Network):
                name = f"{type(layer).__name__}({len(layer)} layers)"
            shape = "?"
            if i < len(self._shapes):
                shape = f"({', '.join(['N', *map(str, self._shapes[i][1:])])})"
            size = sum(p.data.size for p in layer.parameters())
            rows.append((str(i), name, shape, f"{size:,}"))
        width = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(
            f"{i:>{width[0]}}  {name:{width[1]}}  {shape:{width[2]}}"
            f"  {size:>{width[3]}}"
            for i, name, shape, size in rows
        )


# 07 A network learns · counting
def _counting(
    owner: object, lengths: ArrayLike | None, n: int, steps: int
) -> np.ndarray:
    """Which places (n, steps) belong to a sequence; all without lengths.

    Raises ValueError unless lengths are n whole numbers from 0 to steps.
    """
    ends = np.array(np.full(n, steps) if lengths is None else lengths)
    whole = ends.shape == (n,) and (ends.dtype.kind in "iu" or not n)
    if not whole or not ((ends >= 0) & (ends <= steps)).all():
        raise ValueError(
            f"{type(owner).__name__}: expected {n} lengths, whole numbers "
            f"from 0 to {steps}, got {lengths!r}"
        )
    return np.arange(steps) < ends[:, None]


# 07 A network learns · one-vector
def _one_vector(parameters: list[Parameter]) -> tuple[np.ndarray, np.ndarray]:
    """Two long vectors, of which all data and all grad become views."""
    kinds = sorted({str(parameter.data.dtype) for parameter in parameters})
    if len(kinds) > 1:
        raise ValueError(f"parameters differ in dtype: {kinds}")
    data = np.concatenate([p.data.ravel() for p in parameters])
    grad = np.concatenate([p.grad.ravel() for p in parameters])
    start = 0
    for p in parameters:
        shape, end = p.data.shape, start + p.data.size
        p.data = data[start:end].reshape(shape)
        p.grad = grad[start:end].reshape(shape)
        start = end
    return data, grad


# 07 A network learns · only-parameters
def _only_parameters(things: Iterable[Parameter]) -> list[Parameter]:
    """All of them. Raises TypeError for anything but parameters."""
    found = list(things)
    for thing in found:
        if not isinstance(thing, Parameter):
            raise TypeError(
                f"expected parameters, got {type(thing).__name__}; "
                "write net.parameters()"
            )
    return found


# 07 A network learns · optimizer
class Optimizer:
    """Moves parameters against their gradients, all as one vector (eq:sgd).

    ``lr`` is the learning rate. A subclass says in which direction to go,
    and keeps in ``state`` what it has to remember from step to step.
    Raises ValueError if lr is negative, if there are no parameters, or if
    they differ in dtype.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        name = type(self).__name__
        self.parameters = list(dict.fromkeys(_only_parameters(parameters)))
        if not self.parameters:
            raise ValueError(f"{name}: got no parameters")
        if not lr >= 0:
            raise ValueError(f"{name}: expected lr >= 0, got {lr}")
        self.lr = lr
        self.state: dict[str, np.ndarray] = {}
        self._data, self._grad = _one_vector(self.parameters)
        self._step = np.empty_like(self._data)

    def _direction(self) -> np.ndarray:
        """Where the parameters go, times -lr: here the gradient itself."""
        return self._grad

    # 07 A network learns · optimizer-step
    def step(self) -> None:
        """Move all parameters, in place; their gradients stay.

        Raises RuntimeError if some data or grad has been replaced since.
        """
        for i, parameter in enumerate(self.parameters):
            for name, whole in (("data", self._data), ("grad", self._grad)):
                if getattr(parameter, name).base is not whole:
                    raise RuntimeError(
                        f"the {name} of parameter {i} was replaced, or "
                        "another optimizer has taken it over; write into it "
                        f"instead: parameter.{name}[...] = …"
                    )
        np.multiply(self._direction(), self.lr, out=self._step)
        self._data -= self._step

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self._grad[...] = 0.0


# 07 A network learns · sgd
class SGD(Optimizer):
    """Stochastic gradient descent: straight along the gradient, eq:sgd."""

    # 09 Better steps · sgd-momentum
    def __init__(
        self, parameters: Iterable[Parameter], lr: float,
        momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        _within(self, weight_decay=weight_decay)
        _within(self, 1, momentum=momentum)
        if nesterov and not momentum > 0:
            raise ValueError("SGD: nesterov needs momentum > 0")
        self.momentum, self.nesterov = momentum, nesterov
        self.weight_decay = weight_decay
        if momentum:
            self.state["velocity"] = np.zeros_like(self._data)

    def _direction(self) -> np.ndarray:
        grad = _decayed(self._grad, self._data, self.weight_decay)
        if not self.momentum:
            return grad
        velocity = self.state["velocity"]
        velocity *= self.momentum
        velocity += grad  # eq:momentum-velocity
        if self.nesterov:
            return grad + self.momentum * velocity  # eq:nesterov
        return velocity


# 08 Why do gradients vanish or explode? · fans
def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers enter and leave one unit.

    (in, out) for a matrix as in Linear, (out, in, …) for a kernel.
    """
    if len(shape) < 2:
        raise ValueError(
            f"expected a weight of two or more axes, got shape {shape}"
        )
    if len(shape) > 2:
        window = math.prod(shape[2:])
        shape = shape[1] * window, shape[0] * window
    return max(shape[0], 1), max(shape[1], 1)  # a weight may be empty


def _gain(nonlinearity: str, a: float) -> float:
    """What to multiply the weights by so that the signal survives."""
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": 2**0.5,
        "leaky_relu": (2 / (1 + a * a)) ** 0.5,
    }
    if nonlinearity not in gains:
        raise ValueError(
            f"nonlinearity is one of {', '.join(gains)}, got {nonlinearity!r}"
        )
    return gains[nonlinearity]


def _xavier_std(shape: tuple[int, ...], gain: float) -> float:
    fan_in, fan_out = _fans(shape)
    return gain * (2 / (fan_in + fan_out)) ** 0.5  # eq:xavier


def _kaiming_std(
    shape: tuple[int, ...], a: float, mode: str, nonlinearity: str
) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(shape)))
    if mode not in fans:
        raise ValueError(f"mode is 'fan_in' or 'fan_out', got {mode!r}")
    return _gain(nonlinearity, a) / fans[mode] ** 0.5  # eq:kaiming


# 08 Why do gradients vanish or explode? · initialisers
def _fill(
    parameter: Parameter, std: float, uniform: bool,
    rng: np.random.Generator | int | None,
) -> Parameter:
    """Draw all numbers anew, with mean 0 and this standard deviation."""
    _only_parameters([parameter])
    if not 0 <= std < math.inf:
        raise ValueError(f"expected a finite gain >= 0, got std {std}")
    rng = np.random.default_rng(rng)
    shape, bound = parameter.data.shape, 3**0.5 * std
    drawn = rng.uniform(-bound, bound, shape) if uniform else (
        rng.normal(0.0, std, shape)
    )
    parameter.data[...] = drawn
    return parameter


def xavier_uniform_(
    parameter: Parameter, gain: float = 1.0,
    rng: np.random.Generator | int | None = None,
) -> Parameter:
    """Uniform with the standard deviation of eq:xavier, in place.

    Raises ValueError for fewer than two axes or a gain that is negative, and
    TypeError for anything but a parameter. Source: Glorot, Bengio, 2010.
    """
    std = _xavier_std(parameter.data.shape, gain)
    return _fill(parameter, std, True, rng)


def xavier_normal_(
    parameter: Parameter, gain: float = 1.0,
    rng: np.random.Generator | int | None = None,
) -> Parameter:
    """Normal with the standard deviation of eq:xavier, in place."""
    std = _xavier_std(parameter.data.shape, gain)
    return _fill(parameter, std, False, rng)


def kaiming_uniform_(
    parameter: Parameter, a: float = 0.0, mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: np.random.Generator | int | None = None,
) -> Parameter:
    """Uniform with the standard deviation of eq:kaiming, in place.

    ``a`` is the leaky slope; mode "fan_out" takes eq:kaiming-out. Raises
    ValueError for other names or fewer than two axes. Source: He, 2015.
    """
    std = _kaiming_std(parameter.data.shape, a, mode, nonlinearity)
    return _fill(parameter, std, True, rng)


def kaiming_normal_(
    parameter: Parameter, a: float = 0.0, mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: np.random.Generator | int | None = None,
) -> Parameter:
    """Normal with the standard deviation of eq:kaiming, in place."""
    std = _kaiming_std(parameter.data.shape, a, mode, nonlinearity)
    return _fill(parameter, std, False, rng)


# 08 Why do gradients vanish or explode? · layer-statistics
class LayerStatistics(NamedTuple):
    """What one layer does to a batch; nan where nothing is measured."""

    layer: str
    mean: float
    std: float
    grad_mean: float
    grad_std: float
    dead: float  # share of units; of activations
    saturated: float  # share of answers; of Sigmoid and Tanh
    update: float  # step over weight; of layers with parameters
    advice: str = ""


def _shares(layer: Layer, y: np.ndarray) -> tuple[float, float]:
    """The shares of dead units and of saturated answers."""
    if isinstance(layer, (Sigmoid, Tanh)):
        low = 0.0 if isinstance(layer, Sigmoid) else -1.0
        return math.nan, float(np.mean(np.minimum(y - low, 1 - y) < 0.02))
    if isinstance(layer, Activation):
        return float(np.mean(~np.any(y != 0, axis=0))), math.nan
    return math.nan, math.nan


def _short(layer: Layer) -> str:
    """A layer in one short line."""
    text = repr(layer)
    name = f"{type(layer).__name__}(…)"
    return name if "\n" in text or len(text) > 30 else text


# 08 Why do gradients vanish or explode? · advice
def _advice(row: LayerStatistics, last: float) -> str:
    """What the numbers of a layer suggest; empty if nothing is wrong."""
    rules = (
        (not math.isfinite(row.std), "not finite: look at what comes in"),
        (not math.isfinite(row.grad_std), "not finite: clip the gradient"),
        (row.dead > 0.5, "dead: lower the learning rate, or LeakyReLU"),
        (row.saturated > 0.5, "saturated: smaller weights or inputs"),
        (row.grad_std == 0 < last, "no gradient: look at the next layers"),
        (row.grad_std < 1e-4 * last, "vanishing: ReLU, kaiming_, less depth"),
        (row.grad_std > 1e4 * last, "exploding: smaller weights, clip"),
        (row.update > 0.1, "long step: lower the learning rate"),
        (row.std > 1e4, "large output: smaller weights or inputs"),
    )
    return next((advice for holds, advice in rules if holds), "")


class GradientReport(list[LayerStatistics]):
    """The rows of gradient_report; prints as a table."""

    def __repr__(self) -> str:
        names = ("mean", "std", "grad mean", "grad std", "dead", "satur.")
        table: list[tuple[str, ...]] = [("layer", *names, "update", "")]
        for row in self:
            exact = [f"{v:.1e}" for v in row[1:5]]
            rough = [f"{v:.0%}" for v in row[5:7]] + [f"{row.update:.0e}"]
            shown = ["" if cell[:3] == "nan" else cell for cell in rough]
            table.append((row.layer, *exact, *shown, row.advice))
        width = max(len(name) for name, *_ in table)
        return "\n".join(
            f"{name:<{width}}{''.join(f'{cell:>10}' for cell in cells)}"
            f"  {advice}".rstrip() for name, *cells, advice in table
        )


# 08 Why do gradients vanish or explode? · gradient-report
def gradient_report(
    net: Network, x: ArrayLike, target: ArrayLike, lr: float = 0.01
) -> GradientReport:
    """Signal and gradient of each layer for one batch, with advice.

    Works on a copy; the network, its gradients and its generators stay as
    they are. Give it thirty examples or more: of few, many units look dead.
    Raises RuntimeError if the network has no loss.
    """
    net = copy.deepcopy(net)
    criterion, outputs = net._loss_at_end(), [np.asarray(x)]
    with np.errstate(all="ignore"):
        for layer in net:
            outputs.append(layer.forward(outputs[-1]))
        criterion.forward(outputs[-1], target)
        net.zero_grad()
        grad = criterion.backward()
        rows, last = GradientReport(), float(grad.std())
        for i, layer in reversed(list(enumerate(net))):
            y, upstream = outputs[i + 1], grad
            grad = layer.backward(grad)
            row = _statistics(f"{i} {_short(layer)}", layer, y, upstream, lr)
            rows.insert(0, row._replace(advice=_advice(row, last)))
    return rows


def _statistics(
    name: str, layer: Layer, y: np.ndarray, grad: np.ndarray, lr: float
) -> LayerStatistics:
    """The numbers for an output y and the gradient that arrives there."""
    update = math.nan
    for p in layer.parameters()[:1]:
        size = max(float(np.linalg.norm(p.data)), 1e-30)
        update = lr * float(np.linalg.norm(p.grad)) / size
    return LayerStatistics(
        name, float(y.mean()), float(y.std()), float(grad.mean()),
        float(grad.std()), *_shares(layer, y), update,
    )


# 09 Better steps · decayed
def _decayed(
    grad: np.ndarray, data: np.ndarray, weight_decay: float
) -> np.ndarray:
    """The gradient, plus that of the penalty on large parameters."""
    return grad + weight_decay * data if weight_decay else grad


# 09 Better steps · within
def _within(owner: object, top: float = math.inf, **values: float) -> None:
    """Raise ValueError unless 0 <= value < top for every value."""
    for name, value in values.items():
        number = isinstance(value, (int, float, np.number))
        if not number or not 0 <= value < top:
            raise ValueError(
                f"{type(owner).__name__}: expected 0 <= {name} < {top}, "
                f"got {value!r}"
            )


# 09 Better steps · adagrad-rmsprop
class Adagrad(Optimizer):
    """Steps divided by the root of all squared slopes, eq:adagrad.

    Raises ValueError if eps or weight_decay is negative.
    Source: Duchi, Hazan and Singer, 2011.
    """

    def __init__(
        self, parameters: Iterable[Parameter], lr: float = 0.01,
        eps: float = 1e-10, weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        _within(self, eps=eps, weight_decay=weight_decay)
        self.eps, self.weight_decay = eps, weight_decay
        self.state["square"] = np.zeros_like(self._data)

    def _direction(self) -> np.ndarray:
        grad = _decayed(self._grad, self._data, self.weight_decay)
        square = self.state["square"]
        square += grad * grad  # eq:adagrad-sum
        return grad / (np.sqrt(square) + self.eps)


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean square, eq:rmsprop.

    Raises ValueError unless 0 <= alpha < 1, eps and weight_decay >= 0.
    Source: Tieleman and Hinton, lecture notes, 2012.
    """

    def __init__(
        self, parameters: Iterable[Parameter], lr: float = 0.01,
        alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        _within(self, eps=eps, weight_decay=weight_decay)
        _within(self, 1, alpha=alpha)
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay
        self.state["square"] = np.zeros_like(self._data)

    def _direction(self) -> np.ndarray:
        grad = _decayed(self._grad, self._data, self.weight_decay)
        square = self.state["square"]
        square *= self.alpha
        square += (1 - self.alpha) * grad * grad  # eq:rmsprop-average
        return grad / (np.sqrt(square) + self.eps)


# 09 Better steps · adam
class Adam(Optimizer):
    """Average slope over root of average square, eq:adam.

    ``betas`` are the shares of the two averages that survive a step;
    ``weight_decay`` is added to the gradient. Raises ValueError unless there
    are two betas, 0 <= beta < 1. Source: Kingma, Ba, 2015.
    """

    def __init__(
        self, parameters: Iterable[Parameter], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        _within(self, eps=eps, weight_decay=weight_decay)
        if np.shape(betas) != (2,):
            raise ValueError(f"Adam: expected two betas, got {betas!r}")
        _within(self, 1, beta1=betas[0], beta2=betas[1])
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.state["m"] = np.zeros_like(self._data)
        self.state["v"] = np.zeros_like(self._data)
        self.state["t"] = np.zeros((), dtype=int)
        self._work = np.empty_like(self._data)

    def _direction(self) -> np.ndarray:
        grad = _decayed(self._grad, self._data, self.weight_decay)
        return self._adam(grad)

    def _adam(self, grad: np.ndarray) -> np.ndarray:
        m, v, w = self.state["m"], self.state["v"], self._work
        self.state["t"] += 1
        t, (beta1, beta2) = int(self.state["t"]), self.betas
        m *= beta1
        m += np.multiply(grad, 1 - beta1, out=w)  # eq:adam-m
        v *= beta2
        np.multiply(grad, grad, out=w)
        w *= 1 - beta2
        v += w  # eq:adam-v
        np.sqrt(v, out=w)
        w *= (1 - beta2**t) ** -0.5  # eq:adam-vhat
        w += self.eps
        np.divide(m, w, out=w)
        w *= 1 / (1 - beta1**t)  # eq:adam-mhat
        return w


class AdamW(Adam):
    """Adam with decay outside of the fraction, eq:adamw.

    Source: Loshchilov and Hutter, 2019.
    """

    def __init__(
        self, parameters: Iterable[Parameter], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _direction(self) -> np.ndarray:
        return self._adam(self._grad) + self.weight_decay * self._data


# 10 The loop · data-loader
class DataLoader:
    """Batches of (x, y), in a new random order each time it is iterated.

    The first axis counts examples. The last batch may be smaller, unless
    ``drop_last``. With ``lengths`` (of sequences), (x, y, lengths).
    Raises ValueError where they differ in number, or for a batch_size
    below 1.

    >>> loader = DataLoader(np.zeros((10, 3)), np.zeros(10), 4, rng=0)
    >>> [len(x) for x, y in loader], len(loader)
    ([4, 4, 2], 3)
    """

    def __init__(
        self, x: ArrayLike, y: ArrayLike, batch_size: int = 32,
        shuffle: bool = True, drop_last: bool = False,
        rng: np.random.Generator | int | None = None,
        lengths: ArrayLike | None = None,
    ) -> None:
        given = (x, y) if lengths is None else (x, y, lengths)
        self.arrays = [np.asarray(array) for array in given]
        self.x, self.y = self.arrays[:2]
        counts = [len(array) if array.ndim else "no" for array in self.arrays]
        if "no" in counts or len(set(counts)) > 1:
            kinds = zip(counts, ("inputs", "targets", "lengths"))
            found = ", ".join(f"{count} {kind}" for count, kind in kinds)
            raise ValueError(f"DataLoader: {found}")
        _positive(self, batch_size=batch_size)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.drop_last, self.rng = drop_last, np.random.default_rng(rng)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        order = np.arange(len(self.x))
        if self.shuffle:
            self.rng.shuffle(order)
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield tuple(array[chosen] for array in self.arrays)


# 10 The loop · schedules
class Schedule:
    """Sets an optimizer's lr; call ``step`` after each epoch or batch.

    ``formula(base, t)`` gives the rate after t steps; ``base`` is the lr at
    the optimizer's first schedule. It is kept as optimizer.base_lr, and
    later schedules begin from it again. Use one schedule at a time: the
    last that was made or stepped sets the lr.
    """

    def __init__(
        self, optimizer: Optimizer, formula: Callable[[float, int], float]
    ) -> None:
        vars(optimizer).setdefault("base_lr", optimizer.lr)
        self.optimizer, self.formula, self.t = optimizer, formula, 0
        optimizer.lr = self.rate(0)

    @property
    def base(self) -> float:
        """The rate that everything starts from."""
        return vars(self.optimizer)["base_lr"]

    def rate(self, t: int) -> float:
        """The learning rate after t steps."""
        return self.formula(self.base, t)

    def step(self) -> None:
        """Count one step and set the optimizer's learning rate."""
        self.t += 1
        self.optimizer.lr = self.rate(self.t)


class StepLR(Schedule):
    """base times gamma once every ``step_size`` steps.

    This and the others raise ValueError for numbers of steps below 1, and
    for what is negative or not finite.
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1
    ) -> None:
        _positive(self, step_size=step_size)
        _within(self, gamma=gamma)
        super().__init__(
            optimizer, lambda base, t: base * gamma ** (t // step_size)
        )


class ExponentialLR(Schedule):
    """base times gamma at every step, eq:exponential-lr."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        _within(self, gamma=gamma)
        super().__init__(optimizer, lambda base, t: base * gamma**t)


class CosineAnnealingLR(Schedule):
    """From base to ``eta_min`` in T_max steps, a cosine, eq:cosine-lr.

    Beyond T_max it rises again, as PyTorch's does.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0
    ) -> None:
        _positive(self, T_max=T_max)
        _within(self, eta_min=eta_min)
        super().__init__(optimizer, lambda base, t: eta_min + (
            (base - eta_min) * 0.5 * (1 + math.cos(math.pi * t / T_max))
        ))


class LinearWarmup(Schedule):
    """From base / steps up to base in ``steps`` steps, eq:warmup-lr."""

    def __init__(self, optimizer: Optimizer, steps: int) -> None:
        _positive(self, steps=steps)
        super().__init__(
            optimizer, lambda base, t: base * min(1.0, (t + 1) / steps)
        )


# 10 The loop · clip
def clip_grad_norm_(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Shorten the gradient of all parameters to max_norm, eq:clip, in place.

    Returns its length before. Not finite: left alone, for the caller to see.
    Raises ValueError unless max_norm > 0.
    """
    if not max_norm > 0:
        raise ValueError(f"expected max_norm > 0, got {max_norm}")
    grads = [parameter.grad for parameter in _only_parameters(parameters)]
    norm = float(np.max([_largest(grad) for grad in grads], initial=0.0))
    if 0 < norm < math.inf:  # divided by the largest, no square overflows
        norm *= math.hypot(*(np.linalg.norm(grad / norm) for grad in grads))
    if max_norm < norm < math.inf:
        for grad in grads:
            grad *= max_norm / norm
    return norm


# 10 The loop · first-not-finite
def _first_not_finite(net: Network, x: ArrayLike) -> str:
    """Where on the way through the network numbers are lost first."""
    y = np.asarray(x)
    if not np.isfinite(y).all():
        return "the input itself is not finite"
    for i, layer in enumerate(net):
        y = layer.forward(y)
        if not np.isfinite(y).all():
            name = f"layer {i}, {_short(layer)}"
            return f"{name}, is the first whose output is not finite"
    return "every layer's output is finite, the loss is not"


# 10 The loop · uninterrupted
@contextmanager
def _uninterrupted() -> Iterator[None]:
    """In the main thread, let Ctrl-C wait until the block is done."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)


# 10 The loop · bar
def _bar(
    data: Iterable, title: str, verbose: bool
) -> AbstractContextManager[Iterable]:
    """The data, with a progress bar if there is somebody to see it."""
    if not verbose:
        return nullcontext(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a notebook without widgets
            from tqdm.autonotebook import tqdm
    except ImportError:
        return nullcontext(data)
    return tqdm(data, desc=title, leave=False, unit="batch", disable=None)


# 10 The loop · evaluate
def _average(
    batches: Iterable, measure: Callable[..., tuple[int, dict[str, float]]]
) -> dict[str, float]:
    """What ``measure`` finds in each batch, averaged over all examples."""
    total: dict[str, float] = {}
    count = 0
    for i, batch in enumerate(batches):
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                "fit: expected batches (x, y); wrap arrays in DataLoader(x, y)"
            )
        size, found = measure(i, batch)
        for name, value in found.items():
            total[name] = total.get(name, 0.0) + value * size
        count += size
    if not count:
        raise ValueError(
            "fit: no batches (no examples? drop_last? an iterator serves "
            "one epoch only)"
        )
    return {name: value / count for name, value in total.items()}


def _measure(net: Network, batch: Sequence) -> tuple[int, dict[str, float]]:
    """How many examples, their mean loss; accuracy of labels in eval()."""
    criterion = net._loss_at_end()
    answer, y = net._answers(*batch)
    loss = criterion.forward(answer, y)
    found = {"loss": loss / len(y) if criterion.reduction == "sum" else loss}
    labels = isinstance(criterion, CrossEntropyLoss) and y.ndim < answer.ndim
    if labels and not net.training:
        found["accuracy"] = float(np.mean(answer.argmax(axis=-1) == y))
    return len(y), found


# 10 The loop · train-epoch
def _train_batch(
    net: Network, optimizer: Optimizer, max_norm: float | None,
    penalty: Callable | None, number: int, batch: Sequence,
) -> tuple[int, dict[str, float]]:
    """One step, unless the loss or the gradient is not finite."""
    with _uninterrupted():
        with np.errstate(over="ignore", invalid="ignore"):
            size, found = _measure(net, batch)
            if not math.isfinite(found["loss"]):
                raise FloatingPointError(
                    f"the loss is {found['loss']} in batch {number}: "
                    + _first_not_finite(net, batch[0])
                )
            optimizer.zero_grad()
            net.accumulate()
        if penalty is not None:
            penalty()
        if max_norm is not None:
            clip_grad_norm_(optimizer.parameters, max_norm)
        if not np.isfinite(optimizer._grad).all():
            named = net.named_parameters()
            lost = [name for name, p in named if not np.isfinite(p.grad).all()]
            raise FloatingPointError(
                f"the gradient of {', '.join(lost)} is not finite "
                f"in batch {number}"
            )
        optimizer.step()
    return size, found


# 10 The loop · fit
def fit(
    net: Network, optimizer: Optimizer, data: Iterable, epochs: int,
    validation: Iterable | None = None, callbacks: Sequence[Callable] = (),
    schedule: Schedule | None = None, max_norm: float | None = None,
    penalty: Callable | None = None, verbose: bool = True,
) -> list[dict[str, float]]:
    """Train for some epochs and return the history, one dict for each.

    ``data`` and ``validation`` give batches (x, y), as a DataLoader does,
    or (x, y, lengths).
    The schedule steps once an epoch; gradients are clipped to max_norm.
    ``penalty()`` may add to the gradients of each batch before that.
    A callback gets the history and stops the training by returning True.
    Raises FloatingPointError, saying where, when a loss or gradient is not
    finite, before a step along it; the steps before may have spoiled the
    weights. Raises ValueError when there are no data, or when optimizer or
    schedule belong elsewhere, and TypeError for other batches.
    Ctrl-C returns the history so far, after the batch at hand.
    """
    _belongs(net, optimizer, schedule, epochs)
    history: list[dict[str, float]] = []
    train = partial(_train_batch, net, optimizer, max_norm, penalty)
    try:
        for epoch in range(1, epochs + 1):
            row = {"epoch": epoch, "lr": optimizer.lr}
            net.train()
            with _bar(data, f"epoch {epoch}/{epochs}", verbose) as seen:
                row |= _average(seen, train)
            if validation is not None:
                net.eval()
                found = _average(validation, lambda _, b: _measure(net, b))
                row |= {f"validation_{name}": found[name] for name in found}
            with _uninterrupted():
                history.append(row)
                if schedule is not None:
                    schedule.step()
            if verbose:
                print(_line(row, epochs), flush=True)
            if any([callback(history) for callback in callbacks]):
                break
    except KeyboardInterrupt:
        print(f"interrupted after {len(history)} epochs", file=sys.stderr)
    finally:
        net.train()
    return history


def _belongs(
    net: Network, optimizer: Optimizer, schedule: Schedule | None, epochs: int
) -> None:
    """Raise ValueError where fit would train nothing."""
    if not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ValueError(f"fit: epochs is a whole number >= 0, got {epochs!r}")
    if not set(optimizer.parameters) & set(net.parameters()):
        raise ValueError("fit: the optimizer has no parameter of this network")
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("fit: the schedule belongs to another optimizer")


def _line(row: dict[str, float], epochs: int) -> str:
    """An epoch as one line of text."""
    found = [f"{name.replace('_', ' ')} {row[name]:.4f}" for name in row]
    title = f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}"
    return "  ".join([title, *found[2:]])


# 10 The loop · named-arrays
def _contents(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All that a layer and the layers in it are made of, by name."""
    for name, member in layer._members():
        if isinstance(member, Layer):
            yield from _contents(member, f"{prefix}{name}.")
        else:
            yield prefix + name, member


def _named_arrays(
    net: Layer, optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
) -> dict[str, np.ndarray]:
    """What training changes, by names that stay the same."""
    arrays = {f"net.{name}": p.data for name, p in net.named_parameters()}
    for name, member in _contents(net):
        if "buffers" in name.split("."):
            arrays["buffer." + name.replace("buffers.", "")] = member
    if optimizer is not None:
        for name, value in optimizer.state.items():
            arrays[f"optimizer.{name}"] = value
        rates = optimizer.lr, vars(optimizer).get("base_lr", math.inf)
        arrays["rates"] = np.array(rates, float)
    if schedule is not None:
        if schedule.optimizer is not optimizer:
            raise ValueError("give the schedule's optimizer as well")
        arrays["schedule"] = np.array(schedule.t)
    return arrays


# 10 The loop · generators
def _generators(
    net: Layer, rng: np.random.Generator | None
) -> dict[str, np.random.Generator]:
    """The generator given, and those that layers draw from, by name."""
    found = {} if rng is None else {"rng": rng}
    if not all(isinstance(r, np.random.Generator) for r in found.values()):
        kind = type(rng).__name__
        raise TypeError(f"expected a Generator, got {kind}; write loader.rng")
    for name, member in _contents(net, "rng."):
        if isinstance(member, np.random.Generator):
            found[name] = member
    return found


# 10 The loop · save
def save(
    net: Layer, path: str | os.PathLike, optimizer: Optimizer | None = None,
    rng: np.random.Generator | None = None, schedule: Schedule | None = None,
) -> None:
    """Write parameters, buffers, and what resuming needs, as .npz.

    With the optimizer's state and rate, the generator that shuffles and the
    schedule, training continues bit for bit, from one epoch to the next.
    Generators of random layers are written down in any case.
    The file appears whole or not at all.
    Raises TypeError for a buffer that holds no numbers, or a rng that is no
    generator.
    """
    arrays: dict[str, Any] = _named_arrays(net, optimizer, schedule)
    for name, value in arrays.items():
        if np.asarray(value).dtype.hasobject:
            raise TypeError(f"save: {name} holds objects, not numbers")
    for name, generator in _generators(net, rng).items():
        state = generator.bit_generator.state
        arrays[name] = np.array(json.dumps(state, default=np.ndarray.tolist))
    path = Path(path).resolve()  # behind a link stands the file
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it gets the name
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


# 10 The loop · load
def load(
    net: Layer, path: str | os.PathLike, optimizer: Optimizer | None = None,
    rng: np.random.Generator | None = None, schedule: Schedule | None = None,
) -> None:
    """Read what ``save`` wrote, into the same kind of network.

    What is not asked for stays in the file. Raises ValueError, and changes
    nothing, if the file is no such archive, if names, shapes or dtypes
    differ, or if the state is that of another kind of generator.
    """
    arrays = _named_arrays(net, optimizer, schedule)
    generators, states = _generators(net, rng), {}
    with open(path, "rb") as file, _readable(path):
        stored = dict(np.load(file, allow_pickle=False))
    for name, generator in generators.items():
        with _readable(f"{path}: the state of {name}"):
            states[name] = json.loads(str(stored.pop(name)))
            type(generator.bit_generator)().state = states[name]
    stored.pop("rng", None)
    parts = {"optimizer.": optimizer, "rates": optimizer, "schedule": schedule}
    unasked = tuple(name for name, part in parts.items() if part is None)
    for name in sorted(arrays.keys() | stored.keys()):
        ours, theirs = (_kind(each.get(name)) for each in (arrays, stored))
        if ours != theirs and not name.startswith(unasked):
            raise ValueError(
                f"{path}: {name} is {theirs} in the file, {ours} here"
            )
    for name, array in arrays.items():
        array[...] = stored[name]
    for name, generator in generators.items():
        generator.bit_generator.state = states[name]
    if optimizer is not None:
        optimizer.lr, base = arrays["rates"].tolist()
        if math.isfinite(base):
            vars(optimizer)["base_lr"] = base
    if schedule is not None:
        schedule.t = int(arrays["schedule"])


def _kind(array: np.ndarray | None) -> str:
    if array is None:
        return "missing"
    return f"{array.dtype} of shape {array.shape}"


@contextmanager
def _readable(what: object) -> Iterator[None]:
    """ValueError for whatever goes wrong in reading ``what``."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{what}: not as save writes it ({error!r})"
        ) from None


# 11 Not by heart · penalties
def l2_penalty(parameters: Iterable[Parameter], strength: float) -> float:
    """Half the strength times the sum of squares, eq:l2.

    Adds its gradient (eq:l2-grad) to the parameters' grad: call it once
    in a step, after backward. Raises ValueError for a negative strength,
    TypeError for what is no parameter.
    """
    return 0.5 * _penalty(parameters, strength, np.positive)


def l1_penalty(parameters: Iterable[Parameter], strength: float) -> float:
    """The strength times the sum of absolute values, eq:l1.

    Adds its gradient, eq:l1-grad (0 at 0), and raises as l2_penalty does.
    """
    return _penalty(parameters, strength, np.sign)


def _penalty(
    parameters: Iterable[Parameter], strength: float, pull: Callable
) -> float:
    """Add each slope, strength * pull(w); the sum of all slopes times w."""
    if not strength >= 0:
        raise ValueError(f"expected a strength >= 0, got {strength}")
    total = 0.0
    for p in _only_parameters(parameters):
        slope = strength * pull(p.data)
        p.grad += slope
        total += float(np.vdot(slope, p.data))
    return total


# 11 Not by heart · dropout
class Dropout(Layer):
    """Zero a random share p of the entries in training, eq:dropout.

    Any shape in, same out; in evaluation a copy of the input. ``p`` is the
    probability of dropping. Raises ValueError unless 0 <= p < 1.
    Source: Srivastava and others, 2014.
    """

    def __init__(
        self, p: float = 0.5, *, rng: np.random.Generator | int | None = None
    ) -> None:
        _within(self, top=1, p=p)
        self.p, self._rng = float(p), np.random.default_rng(rng)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = _floating(x)
        factor = np.ones_like(x)
        if self.training:
            keep = self._rng.random(x.shape) >= self.p
            factor = keep / x.dtype.type(1 - self.p)
        self._cache = factor
        return x * factor  # eq:dropout

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        factor = self._saved()
        grad = self._expect(grad_output, *factor.shape, what="grad_output")
        dx = grad * factor  # eq:dropout-dx
        return dx.astype(factor.dtype, copy=False)


# 11 Not by heart · early-stopping
class EarlyStopping:
    """Callback for fit: stop once ``monitor`` no longer improves.

    An epoch is the best if it is better than the best so far by more than
    ``min_delta``: lower for ``mode`` "min", higher for "max". Stops after
    ``patience`` epochs without one. ``restore()`` then puts the best one's
    parameters and buffers back. One instance serves one fit.
    Raises ValueError for settings out of range or where the history has
    no such number, RuntimeError for restore before there is a best epoch.
    """

    def __init__(
        self, net: Layer, patience: int = 5, min_delta: float = 0.0,
        monitor: str = "validation_loss", mode: str = "min",
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(
                f"EarlyStopping: mode is 'min' or 'max', got {mode!r}"
            )
        _positive(self, patience=patience)
        _within(self, min_delta=min_delta)
        self.net, self.patience = net, patience
        self.min_delta, self.monitor = min_delta, monitor
        self._sign = 1 if mode == "min" else -1
        self.best, self.waited = self._sign * float("inf"), 0
        self._kept: dict[str, np.ndarray] = {}

    def __call__(self, history: list[dict[str, float]]) -> bool:
        if self.monitor not in history[-1]:
            raise ValueError(
                f"EarlyStopping: no {self.monitor} in the history, which has "
                f"{', '.join(history[-1])}; did fit get validation=…?"
            )
        value, self.waited = history[-1][self.monitor], self.waited + 1
        if self._sign * (self.best - value) > self.min_delta:
            self.best, self.waited = value, 0
            arrays = _named_arrays(self.net, None)
            self._kept = {name: a.copy() for name, a in arrays.items()}
        return self.waited >= self.patience

    def restore(self) -> None:
        """Put the best parameters and buffers back, in place."""
        if not self._kept:
            raise RuntimeError(
                "EarlyStopping: no epoch with a finite value yet"
            )
        for name, array in _named_arrays(self.net, None).items():
            array[...] = self._kept[name]


# 12 In shape all the time · normalise
def _mean(rows: np.ndarray) -> np.ndarray:
    """The mean of each row, as a column."""
    return (_sum(rows) / max(rows.shape[1], 1))[:, None]


def _mean_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean of each row of a times b, as a column."""
    total = np.einsum("ij,ij->i", a, b)
    return (total / max(a.shape[1], 1))[:, None]


def _normalise(
    rows: np.ndarray, eps: float, centred: bool = True
) -> tuple[np.ndarray, ...]:
    """Each row normalised; its factor r, mean and variance as columns."""
    mean = _mean(rows) if centred else np.zeros(1)  # eq:bn-mean
    xhat = rows - mean
    variance = _mean_product(xhat, xhat)  # eq:bn-variance
    r = 1 / np.sqrt(variance + eps)  # eq:bn-factor
    xhat *= r  # eq:bn-xhat
    return xhat, r, mean, variance


def _normalise_backward(
    d: np.ndarray, xhat: np.ndarray, r: np.ndarray, centred: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of the rows from d, that of xhat; and both means."""
    mean, along = _mean(d), _mean_product(d, xhat)
    dx = xhat * along
    np.subtract(d, dx, out=dx)
    if centred:
        dx -= mean
    dx *= r  # eq:bn-dx
    return dx, mean, along


# 12 In shape all the time · batch-norm
class _BatchNorm(Layer):
    """What BatchNorm1d and BatchNorm2d have in common."""

    _axes: tuple[str, ...] = ()  # the axes after (N, num_features)

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        _positive(self, num_features=num_features)
        _within(self, eps=eps)
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"{type(self).__name__}: expected 0 <= momentum <= 1, "
                f"got {momentum}"
            )
        self.num_features, self.eps = num_features, eps
        self.momentum = momentum
        self.weight = Parameter(np.ones(num_features))
        self.bias = Parameter(np.zeros(num_features))
        self.buffers = {
            "running_mean": np.zeros(num_features),
            "running_var": np.ones(num_features),
        }

    def _track(self, mean: np.ndarray, variance: np.ndarray, n: int) -> None:
        new = {"running_mean": mean, "running_var": variance * n / (n - 1)}
        for name, value in new.items():
            old = self.buffers[name]
            self.buffers[name] = old + self.momentum * (value[:, 0] - old)

    def _statistics(self, x: np.ndarray, rows: np.ndarray) -> tuple:
        """The normalised rows and their factor."""
        if not self.training:
            kept = [self.buffers[f"running_{of}"] for of in ("mean", "var")]
            mean, var = (b[:, None].astype(rows.dtype) for b in kept)
            r = 1 / np.sqrt(var + self.eps)
            return (rows - mean) * r, r  # eq:bn-eval
        if rows.shape[1] < 2:
            raise ValueError(
                f"{self}: {rows.shape[1]} value(s) per feature have no "
                f"spread, got {x.shape}; train on larger batches "
                "(DataLoader: drop_last=True), or call eval() first"
            )
        xhat, r, mean, variance = _normalise(rows, self.eps)
        self._track(mean, variance, rows.shape[1])
        return xhat, r

    # 12 In shape all the time · batch-norm-passes
    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", self.num_features, *self._axes)
        turned = np.moveaxis(x, 0, -1)
        rows = turned.reshape(self.num_features, -1)
        xhat, r = self._statistics(x, rows)
        self._cache = xhat, r, turned.shape, x.dtype, self.training
        y = xhat * self.weight.data[:, None]
        y += self.bias.data[:, None]
        y = np.moveaxis(y.reshape(turned.shape), -1, 0)  # eq:bn
        return y.astype(x.dtype, copy=False)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        xhat, r, shape, dtype, trained = self._saved()
        shape_in = (shape[-1], *shape[:-1])
        grad = self._expect(grad_output, *shape_in, what="grad_output")
        dy = np.moveaxis(grad, 0, -1).reshape(xhat.shape)
        factor, n = r * self.weight.data[:, None], dy.shape[1]
        if trained:
            dx, mean, along = _normalise_backward(dy, xhat, factor)
        else:
            mean, along = _mean(dy), _mean_product(dy, xhat)
            dx = dy * factor
        self.bias.grad += n * mean[:, 0]  # eq:bn-dbeta
        self.weight.grad += n * along[:, 0]  # eq:bn-dgamma
        dx = np.moveaxis(dx.reshape(shape), -1, 0)
        return dx.astype(dtype, copy=False)


# 12 In shape all the time · batch-norm-layers
class BatchNorm1d(_BatchNorm):
    """Each feature with mean 0 and spread 1 over the batch, eq:bn.

    Shapes: (N, num_features) in and out; weight and bias (num_features,).
    In evaluation running averages are used, eq:bn-eval: ``momentum`` is
    the weight of the newest batch in ``buffers``, running_mean and
    running_var (divided by N-1). Raises ValueError for other shapes, or
    for fewer than two examples while training.
    Source: Ioffe and Szegedy, 2015.
    """


class BatchNorm2d(_BatchNorm):
    """BatchNorm1d for images: one mean and spread per channel.

    Shapes: (N, num_features, H, W) in and out. Raises as BatchNorm1d.
    """

    _axes = ("H", "W")


# 12 In shape all the time · row-norm
class _RowNorm(Layer):
    """What LayerNorm and RMSNorm have in common: an example is a row."""

    _centred = True

    def __init__(
        self, normalized_shape: int | tuple[int, ...],
        eps: float | None = 1e-5,
    ) -> None:
        shape = normalized_shape
        own = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if not own:
            raise ValueError(
                f"{type(self).__name__}: normalized_shape is empty"
            )
        for size in own:
            _positive(self, normalized_shape=size)
        _within(self, eps=eps or 0.0)
        self.normalized_shape, self.eps = own, eps
        self.weight = Parameter(np.ones(own))
        if self._centred:
            self.bias = Parameter(np.zeros(own))

    def forward(self, x: ArrayLike) -> np.ndarray:
        x, own = _floating(x), self.normalized_shape
        few = x.ndim < len(own)
        leading = ("…",) if few else x.shape[: x.ndim - len(own)]
        rows = self._expect(x, *leading, *own).reshape(-1, math.prod(own))
        eps = np.finfo(x.dtype).eps if self.eps is None else self.eps
        xhat, r, *_ = _normalise(rows, float(eps), self._centred)
        self._cache = xhat, r, x.shape, x.dtype
        y = xhat * self.weight.data.ravel()  # eq:rms
        if self._centred:
            y += self.bias.data.ravel()  # eq:ln
        return y.reshape(x.shape).astype(x.dtype, copy=False)

    # 12 In shape all the time · row-norm-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        xhat, r, shape, dtype = self._saved()
        grad = self._expect(grad_output, *shape, what="grad_output")
        dy, own = grad.reshape(xhat.shape), self.normalized_shape
        if self._centred:
            self.bias.grad += _sum(dy.T).reshape(own)
        share = len(dy) * _mean_product(dy.T, xhat.T)
        self.weight.grad += share.reshape(own)
        d = dy * self.weight.data.ravel()  # eq:ln-dxhat
        dx, *_ = _normalise_backward(d, xhat, r, self._centred)  # eq:ln-dx
        return dx.reshape(shape).astype(dtype, copy=False)


# 12 In shape all the time · layer-norm
class LayerNorm(_RowNorm):
    """Each example with mean 0 and spread 1 over its last axes, eq:ln.

    Shapes: (…, *normalized_shape) in and out; weight and bias
    normalized_shape, a number or a tuple. Raises ValueError for others.
    Source: Ba, Kiros and Hinton, 2016.
    """


# 12 In shape all the time · rms-norm
class RMSNorm(_RowNorm):
    """Each example divided by the root of its mean square, eq:rms.

    Shapes as LayerNorm; weight but no bias. ``eps`` None means the
    smallest step of the input's precision, as in PyTorch.
    Source: Zhang and Sennrich, 2019.
    """

    _centred = False

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float | None = None
    ) -> None:
        super().__init__(normalized_shape, eps)


# 13 Neighbours · pictures
def _pair(layer: Layer, name: str, value: Any, least: int) -> tuple[int, int]:
    """A size for both directions, or a pair of sizes, as a pair."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 2
    whole = all(isinstance(size, (int, np.integer)) for size in pair)
    if len(pair) != 2 or not whole or min(pair) < least:
        raise ValueError(
            f"{type(layer).__name__}: {name} must be a whole number of at "
            f"least {least}, or a pair of them, got {value!r}"
        )
    return pair


def _batch_last(x: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """(N, C, H, W) as (C, H + 2p, W + 2q, N) in memory, zeros around."""
    p, q = padding
    turned = np.moveaxis(x, 0, -1)
    if p or q:
        return np.pad(turned, ((0, 0), (p, p), (q, q), (0, 0)))
    return np.ascontiguousarray(turned)


def _batch_first(x: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """Back to (N, C, H, W), without the border; nothing is copied."""
    (p, q), (_, h, w, _) = padding, x.shape
    return np.moveaxis(x[:, p : h - p, q : w - q], -1, 0)


# 13 Neighbours · windows
def _places(
    layer: Layer, size: tuple[int, ...], window: tuple[int, int],
    stride: tuple[int, int],
) -> tuple[int, ...]:
    """How many places a window has, downwards and across."""
    if any(n < k for n, k in zip(size, window)):
        raise ValueError(
            f"{layer}: a window of {window} does not fit into {size}, "
            "padding included"
        )
    return tuple((n - k) // s + 1 for n, k, s in zip(size, window, stride))


def _windows(
    x: np.ndarray, window: tuple[int, ...], stride: tuple[int, int]
) -> np.ndarray:
    """x (C, H, W, N) by windows: (rows, C, kh, kw, columns, N), a view."""
    view = sliding_window_view(x, window, axis=(1, 2))
    view = view[:, :: stride[0], :: stride[1]]
    return view.transpose(1, 0, 4, 5, 2, 3)


# 13 Neighbours · correlate
def _correlate(
    x: np.ndarray, weight: np.ndarray, stride: tuple[int, int]
) -> np.ndarray:
    """eq:conv without the bias: (C, H, W, N) to (O, rows, columns, N)."""
    windows = _windows(x, weight.shape[2:], stride)
    kernels = weight.reshape(len(weight), -1)
    rows, columns, n = len(windows), *windows.shape[-2:]
    y = np.empty((len(kernels), rows, columns * n), x.dtype)
    for i, row in enumerate(windows):
        np.matmul(kernels, row.reshape(kernels.shape[1], -1), out=y[:, i])
    return y.reshape(len(kernels), rows, columns, n)


def _correlate_weight(
    x: np.ndarray, grad: np.ndarray, shape: tuple[int, ...],
    stride: tuple[int, int],
) -> np.ndarray:
    """eq:conv-dw, eq:conv-stride-dm: the gradient of the weight."""
    total = np.zeros((shape[0], math.prod(shape[1:])), grad.dtype)
    for i, row in enumerate(_windows(x, shape[2:], stride)):
        g = grad[:, i].reshape(shape[0], -1)
        total += g @ row.reshape(total.shape[1], -1).T
    return total.reshape(shape)


def _spread(
    grad: np.ndarray, weight: np.ndarray, stride: tuple[int, int],
    x: np.ndarray,
) -> np.ndarray:
    """eq:conv-stride-dx: add to x what outputs hand to their windows."""
    (outputs, c, h, w), (s, t) = weight.shape, stride
    _, rows, columns, n = grad.shape
    back = weight.reshape(outputs, -1).T
    for i in range(rows):
        row = back @ grad[:, i].reshape(outputs, -1)
        row = row.reshape(c, h, w, columns, n)
        for v in range(w):
            across = slice(v, v + t * (columns - 1) + 1, t)
            x[:, i * s : i * s + h, across] += row[:, :, v]
    return x


# 13 Neighbours · convolution
class _Convolution(Layer):
    """What Conv2d and ConvTranspose2d have in common."""

    _transposed = False

    def __init__(
        self, in_channels: int, out_channels: int,
        kernel_size: int | tuple[int, int], stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0, *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        _positive(self, in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = _pair(self, "kernel_size", kernel_size, 1)
        self.stride = _pair(self, "stride", stride, 1)
        self.padding = _pair(self, "padding", padding, 0)
        channels = (out_channels, in_channels)
        if self._transposed:
            channels = channels[::-1]
        shape, rng = (*channels, *self.kernel_size), np.random.default_rng(rng)
        bound = math.prod(shape[1:]) ** -0.5
        self.weight = Parameter(rng.uniform(-bound, bound, shape))
        self.bias = Parameter(rng.uniform(-bound, bound, out_channels))


class Conv2d(_Convolution):
    """Convolution, eq:conv: windows of pictures times kernels.

    Shapes: input (N, in_channels, H, W), output (N, out_channels, rows,
    columns) with rows = (H + 2 padding - kernel) // stride + 1, weight
    (out_channels, in_channels, kernel, kernel), bias (out_channels,).
    A size is a number or a pair (height, width). Weight and bias start
    uniform in ±1/sqrt(in_channels · kernel · kernel).
    Raises ValueError for other shapes and where no window fits.
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", self.in_channels, "H", "W")
        padded = _batch_last(x, self.padding)
        kernel, stride = self.kernel_size, self.stride
        places = _places(self, padded.shape[1:3], kernel, stride)
        self._cache = padded, (len(x), self.out_channels, *places)
        y = _correlate(padded, self.weight.data, stride)  # eq:conv
        y += self.bias.data[:, None, None, None]
        return _batch_first(y, (0, 0))

    def accumulate(self, grad_output: ArrayLike) -> None:
        x, shape = self._saved()
        grad = self._expect(grad_output, *shape, what="grad_output")
        g, kernels = _batch_last(grad, (0, 0)), self.weight.grad
        kernels += _correlate_weight(x, g, kernels.shape, self.stride)
        self.bias.grad += _sum(g.reshape(len(g), -1))  # eq:conv-db

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        self.accumulate(grad_output)
        x, _ = self._saved()
        g = _batch_last(_floating(grad_output), (0, 0))
        dx = _spread(g, self.weight.data, self.stride, np.zeros_like(x))
        return _batch_first(dx, self.padding)


# 13 Neighbours · transposed
class ConvTranspose2d(_Convolution):
    """Spreads each pixel over a window, eq:conv-transpose.

    Shapes: input (N, in_channels, H, W), output (N, out_channels, rows,
    columns) with rows = (H - 1) stride - 2 padding + kernel, weight
    (in_channels, out_channels, kernel, kernel), bias (out_channels,).
    Raises ValueError for other shapes and where padding leaves nothing.
    """

    _transposed = True

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", self.in_channels, "H", "W")
        sides = zip(x.shape[2:], self.stride, self.kernel_size)
        h, w = ((n - 1) * s + k for n, s, k in sides)
        p, q = self.padding
        if 0 in x.shape[2:] or min(h - 2 * p, w - 2 * q) < 1:
            raise ValueError(f"{self}: {x.shape} leaves nothing to give out")
        turned, size = _batch_last(x, (0, 0)), (self.out_channels, h, w)
        self._cache = turned, (len(x), size[0], h - 2 * p, w - 2 * q)
        y = np.zeros((*size, len(x)), x.dtype)
        y = _spread(turned, self.weight.data, self.stride, y)
        y += self.bias.data[:, None, None, None]
        return _batch_first(y, self.padding)

    def accumulate(self, grad_output: ArrayLike) -> None:
        x, shape = self._saved()
        grad = self._expect(grad_output, *shape, what="grad_output")
        g, kernels = _batch_last(grad, self.padding), self.weight.grad
        kernels += _correlate_weight(g, x, kernels.shape, self.stride)
        self.bias.grad += _sum(g.reshape(len(g), -1))

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        self.accumulate(grad_output)
        g = _batch_last(_floating(grad_output), self.padding)
        dx = _correlate(g, self.weight.data, self.stride)
        return _batch_first(dx.astype(self._saved()[0].dtype), (0, 0))


# 13 Neighbours · pool
class _Pool(Layer):
    """What MaxPool2d and AvgPool2d have in common."""

    def __init__(
        self, kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
    ) -> None:
        self.kernel_size = _pair(self, "kernel_size", kernel_size, 1)
        stride = self.kernel_size if stride is None else stride
        self.stride = _pair(self, "stride", stride, 1)

    def _pieces(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Views of x (C, H, W, N): each window's first pixel, second, …"""
        size, (s, t) = x.shape[1:3], self.stride
        rows, columns = _places(self, size, self.kernel_size, self.stride)
        for u, v in np.ndindex(*self.kernel_size):
            down = slice(u, u + s * (rows - 1) + 1, s)
            across = slice(v, v + t * (columns - 1) + 1, t)
            yield x[:, down, across]


class MaxPool2d(_Pool):
    """The largest number of each window, eq:max-pool; no padding.

    Shapes: input (N, C, H, W), output (N, C, rows, columns) with rows =
    (H - kernel) // stride + 1; stride is kernel_size if not given. Where
    numbers tie, the first gets the gradient. ValueError for other shapes.
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        turned = _batch_last(self._expect(x, "N", "C", "H", "W"), (0, 0))
        first, *others = self._pieces(turned)
        y = first.copy()
        for piece in others:
            np.maximum(y, piece, out=y)  # eq:max-pool
        self._cache = turned, y
        return _batch_first(y, (0, 0)).copy(order="K")

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        x, y = self._saved()
        shape = (y.shape[-1], *y.shape[:-1])
        grad = self._expect(grad_output, *shape, what="grad_output")
        g, dx = np.moveaxis(grad, 0, -1), np.zeros_like(x)
        free, finite = np.ones(y.shape, bool), np.isfinite(g).all()
        for piece, target in zip(self._pieces(x), self._pieces(dx)):
            won = free & ((piece == y) | np.isnan(piece))  # eq:max-pool-dx
            target += g * won if finite else np.where(won, g, 0)
            free ^= won
        return _batch_first(dx, (0, 0))


class AvgPool2d(_Pool):
    """The mean of each window, eq:avg-pool. Shapes as MaxPool2d."""

    def forward(self, x: ArrayLike) -> np.ndarray:
        turned = _batch_last(self._expect(x, "N", "C", "H", "W"), (0, 0))
        pieces = list(self._pieces(turned))
        y = sum(pieces[1:], pieces[0]) / len(pieces)
        self._cache = turned.shape, y.shape, y.dtype
        return _batch_first(y, (0, 0))

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        x, y, dtype = self._saved()
        shape = (y[-1], *y[:-1])
        grad = self._expect(grad_output, *shape, what="grad_output")
        share = _batch_last(grad, (0, 0)) / math.prod(self.kernel_size)
        dx = np.zeros(x, dtype)
        for target in self._pieces(dx):
            target += share  # eq:avg-pool-dx
        return _batch_first(dx, (0, 0))


# 14 A tape for numbers · value
class Value:
    """A number that remembers how it was made.

    ``grad`` is the slope, in this number, of what ``backward`` was called
    on. ``_parents`` are the numbers it was made from, ``_slopes`` its
    slope in each of them, ``_sign`` the sign of the operation.
    """

    def __init__(
        self, data: float, sign: str = "", *made_from: tuple[Any, float]
    ) -> None:
        self.data, self.grad = float(data), 0.0
        self._sign = sign
        self._parents = tuple(parent for parent, _ in made_from)
        self._slopes = tuple(slope for _, slope in made_from)

    def __repr__(self) -> str:
        return f"Value({self.data:g}, grad={self.grad:g})"

    # 14 A tape for numbers · value-arithmetic
    def __add__(self, other: Value | float) -> Value:
        a, b = self, _value(other)
        return Value(a.data + b.data, "+", (a, 1.0), (b, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        a, b = self, _value(other)
        return Value(a.data * b.data, "×", (a, b.data), (b, a.data))

    # 14 A tape for numbers · value-power
    def __pow__(self, other: Value | float) -> Value:
        a, n = self.data, _value(other).data
        steep = a ** (n - 1) if a or n >= 1 else math.inf
        made_from = [(self, n * steep if n else 0.0)]
        if isinstance(other, Value):
            made_from.append((other, a**n * math.log(a) if a else 0.0))
        return Value(a**n, f"^{n:g}", *made_from)

    def __rpow__(self, base: float) -> Value:
        return _value(base) ** self

    # 14 A tape for numbers · value-functions
    def exp(self) -> Value:
        y = math.exp(self.data)
        return Value(y, "exp", (self, y))

    def log(self) -> Value:
        return Value(math.log(self.data), "log", (self, 1 / self.data))

    def tanh(self) -> Value:
        y = math.tanh(self.data)
        return Value(y, "tanh", (self, 1 - y * y))  # eq:tanh-slope

    def relu(self) -> Value:
        slope = float(self.data > 0)
        return Value(max(self.data, 0.0), "relu", (self, slope))

    # 14 A tape for numbers · value-the-rest
    def __neg__(self) -> Value:
        return self * -1

    def __sub__(self, other: Value | float) -> Value:
        return self + -other

    def __truediv__(self, other: Value | float) -> Value:
        return self * _value(other) ** -1

    def __radd__(self, other: float) -> Value:
        return self + other

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __rsub__(self, other: float) -> Value:
        return -self + other

    def __rtruediv__(self, other: float) -> Value:
        return self**-1 * other

    # 14 A tape for numbers · value-backward
    def backward(self) -> None:
        """The slope of this number in all it was made from, in their grad.

        A number that was made gets a fresh grad. In those that stand at
        the beginning grad adds up over the calls, as in Parameter.

        >>> a = Value(3.0)
        >>> b = a * a + 1
        >>> b.backward()
        >>> b.data, a.grad
        (10.0, 6.0)
        """
        slopes = {self: 1.0}
        for node in _order(self):
            for parent, slope in zip(node._parents, node._slopes):
                step = slope * slopes[node]  # eq:chain
                slopes[parent] = slopes.get(parent, 0.0) + step  # eq:paths
        for node, slope in slopes.items():
            node.grad = slope if node._parents else node.grad + slope


# 14 A tape for numbers · value-of
def _value(x: Any) -> Value:
    if not isinstance(x, (Value, Real)):
        raise TypeError(f"expected a number, got {type(x).__name__}")
    return x if isinstance(x, Value) else Value(float(x))


# 14 A tape for numbers · order
def _order(last: Any) -> Iterator[Any]:
    """``last`` and all it was made from, each before its parents.

    Without recursion, which would end at a depth of about a thousand.
    """
    seen: set[Any] = set()
    done: dict[Any, None] = {}  # a set that keeps its order
    waiting = [last]
    while waiting:
        node = waiting[-1]
        if node in seen:  # and so are all its parents
            done[waiting.pop()] = None
        else:
            seen.add(node)
            waiting += node._parents
    return reversed(done)


# 15 A tape for arrays · tensor
class Tensor(NDArrayOperatorsMixin):
    """An array that remembers how it was made.

    ``data`` is the given array, not a copy; integers become float64.
    ``grad`` is None until ``backward``, then an array like data.
    Raises TypeError for what is not an array of real numbers.
    """

    grad: np.ndarray | None = None
    requires_grad: bool = False
    _parents: tuple[Any, ...] = ()
    _record: Any = None

    def __init__(self, data: ArrayLike, requires_grad: bool = True) -> None:
        self.data, self.requires_grad = _real(data), requires_grad

    __hash__ = object.__hash__  # although == compares entries
    shape = property(attrgetter("data.shape"))
    ndim = property(attrgetter("data.ndim"))
    size = property(attrgetter("data.size"))
    dtype = property(attrgetter("data.dtype"))
    T = property(lambda self: np.transpose(self), doc="All axes in reverse.")

    # 15 A tape for arrays · tensor-protocols
    def __array_ufunc__(
        self, function: Any, method: str, *args: Any, **options: Any
    ) -> Any:
        """NumPy asks here when an operator or ufunc meets a Tensor."""
        if "out" in options:
            raise TypeError("Tensors do not change in place; write a = a + b")
        if options or method != "__call__":
            given = ", ".join([method.strip("_"), *options])
            raise TypeError(f"{function.__name__} has no rule for {given}")
        return _apply(_RULES.get(function, function), args, options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple, options: dict
    ) -> Any:
        """NumPy asks here when any other function of its gets a Tensor."""
        return _apply(_RULES.get(function, function), args, options)

    # 15 A tape for arrays · tensor-backward
    def backward(self, grad_output: ArrayLike | None = None) -> None:
        """Add the gradient of sum(grad_output * self) to the leaves' grad.

        A leaf is a Tensor that was not made from others. grad_output may
        be left out for a single number. Raises ValueError for another
        shape, RuntimeError if nothing was recorded or if a recorded array
        has been changed since.
        """
        pulled = _pull(self, grad_output)
        leaves = [(x, new) for x, new in pulled if x._record is None]
        for x, new in leaves:
            x.grad = np.asarray(new + (0 if x.grad is None else x.grad))

    def item(self) -> float:
        """The number in a Tensor that holds only one."""
        return self.data.item()

    def detach(self) -> Any:
        """The same array, as a constant."""
        return Tensor(self.data, requires_grad=False)

    # 15 A tape for arrays · tensor-methods
    def __getattr__(self, name: str) -> Any:
        """The methods of arrays for which there is a rule: var, ravel, …"""
        function = getattr(np, name, None) if hasattr(np.ndarray, name) else 0
        if function not in _RULES or name == "sort":  # which sorts in place
            raise AttributeError(f"a Tensor has no {name}")
        return partial(function, self)

    def __getitem__(self, key: Any) -> Any:
        return _pick(self, *(key if isinstance(key, tuple) else (key,)))

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        axes = axes[0] if len(axes) == 1 else axes
        return np.transpose(self, axes or None)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged; a single axis stays."""
        return np.swapaxes(self, -1, -2) if self.ndim > 1 else self

    def astype(self, dtype: Any) -> Any:
        return _astype(self, dtype)

    # 15 A tape for arrays · tensor-reductions
    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.min(self, axis=axis, keepdims=keepdims)

    # 15 A tape for arrays · tensor-as-number
    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    def __float__(self) -> float:
        return float(self.item())

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if form else str(self)

    # 15 A tape for arrays · tensor-as-text
    def __repr__(self) -> str:
        return f"Tensor({np.array2string(self.data, separator=', ')})"

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise TypeError(
            "this takes no Tensor; the array in it is .data (np.stack joins)"
        )

    def __getstate__(self) -> dict[str, Any]:
        if self._record is not None:
            raise TypeError("a computed Tensor has no copy; take y.detach()")
        return vars(self)


# 15 A tape for arrays · real
def _real(x: Any) -> np.ndarray:
    array, masked = _floating(x), isinstance(x, np.ma.MaskedArray)
    if masked or array.dtype.kind != "f":
        given = "a masked array" if masked else array.dtype
        raise TypeError(f"expected real numbers, got {given}")
    return array


# 15 A tape for arrays · record
_Rule = namedtuple("_Rule", "name function vjps jvps asked")
_Record = namedtuple("_Record", "rule args arrays options places seals")


# 15 A tape for arrays · apply
def _apply(rule: Any, args: Sequence, options: dict[str, Any]) -> Any:
    """The rule's function of args, as a Tensor that remembers it."""
    if not isinstance(rule, _Rule):
        return _without_rule(rule, args, options)
    args, arrays, places, others = list(args), [], [], []
    if options:
        others += [x for x in options.values() if isinstance(x, np.ndarray)]
    for i, x in enumerate(args):
        if isinstance(x, Tensor):
            if x.requires_grad:
                places.append(i)
            if x._record is None:
                others.append(x.data)
            x = x.data
        elif isinstance(x, (list, tuple)):
            args[i] = x = _own(x, rule)
        elif isinstance(x, np.ndarray):
            others.append(x)
        arrays.append(x)
    if (len(args), *places, *options) not in rule.asked:
        _ask(rule, args, options, places)
    if rule.vjps is None:
        return rule.function(*args, **options)
    value = rule.function(*arrays, **options)
    return _remember(value, others, rule, args, arrays, options, places)


# 15 A tape for arrays · remember
def _remember(value: Any, others: list, *how: Any) -> Any:
    """The value as a Tensor, with its record; whole numbers stay plain.

    ``others`` are arrays that the tape did not compute; they get a seal.
    """
    if type(value) is not np.ndarray or value.dtype.kind != "f":
        if np.asarray(value).dtype.kind in "biu":
            return value
        value = _real(value)
    y, every = Tensor.__new__(Tensor), _recording.get()
    y.data = value
    if every and how[-1]:
        seals = [(x, every, _seal(x, every)) for x in others]
        y._record = made = _Record._make((*how, seals))
        y._parents = tuple([made.args[i] for i in made.places])
        y.data, y.requires_grad = value.view(), True
        y.data.flags.writeable = False
    return y


# 15 A tape for arrays · no-grad
_recording: ContextVar[int] = ContextVar("recording", default=61)


@contextmanager
def _recorded(every: int = 61) -> Iterator[None]:
    before = _recording.set(every)
    try:
        yield
    finally:
        _recording.reset(before)


def no_grad() -> Any:
    """Record nothing in this block, or in a function under @no_grad().

    A generator shares the switch with its caller: a block in it ends only
    when the generator does, and @no_grad() does not cover it.
    """
    return _recorded(0)


# 15 A tape for arrays · pull
def _pull(
    last: Any, grad_output: Any, record: bool = False
) -> Iterator[tuple[Tensor, Any]]:
    """Every Tensor behind ``last`` with its whole gradient, eq:paths.

    The rules get arrays, or Tensors if the gradients shall be recorded.
    """
    if not getattr(last, "requires_grad", False):
        raise RuntimeError(
            "backward: nothing was recorded (no_grad, detach, or no Tensor)"
        )
    order = list(_order(last))
    _check(order)
    found = {last: _weights(last.data, grad_output, record)}
    for node in order:
        gradient = found.pop(node)
        yield node, gradient
        if node._record is None:
            continue
        shares = _handed_on(node, gradient, record)
        for parent, share in zip(node._parents, shares):
            share = _fit(share, parent.data)  # eq:chain
            if parent in found:
                share = found[parent] + share  # eq:paths
            found[parent] = share


# 15 A tape for arrays · handed-on
def _known(node: Tensor, record: bool) -> list:
    """What rules get: the result and the arguments, as Tensors or arrays."""
    made = node._record
    return [node, *made.args] if record else [node.data, *made.arrays]


def _handed_on(node: Tensor, g: Any, record: bool) -> list:
    """What the rules hand on to each parent of a node, of its gradient g."""
    rule, *_, options, places, _ = node._record
    known = _known(node, record)
    if not record:
        g = np.asarray(g).view()
        g.flags.writeable = False  # others may get the same array
    if callable(rule.vjps):
        shares = rule.vjps(g, *known, **options)
        return [shares[i] for i in places]
    return [rule.vjps[i](g, *known, **options) for i in places]


# 15 A tape for arrays · unstretch
def _fit(gradient: Any, x: np.ndarray) -> Any:
    """The gradient in the shape and dtype of x: stretching undone."""
    shape = gradient.shape
    if shape != x.shape:
        new = len(shape) - x.ndim
        small = (1,) * new + x.shape
        axes = [i for i, n in enumerate(shape) if i < new or n != small[i]]
        if new < 0 or any(small[i] != 1 for i in axes):
            raise ValueError(
                f"a rule gave a gradient of shape {shape} for an argument of "
                f"shape {x.shape}"
            )
        gradient = gradient.sum(axis=tuple(axes)).reshape(x.shape)
    same = gradient.dtype == x.dtype
    return gradient if same else gradient.astype(x.dtype)


def _weights(y: np.ndarray, given: Any, record: bool, what: str = "") -> Any:
    """given, one number for each of y, as an array or as a Tensor."""
    taped = isinstance(given, Tensor)
    array = given.data if taped else given
    array = _upstream(y, array, what or "grad_output").astype(y.dtype)
    return array if not record else given if taped else Tensor(array, False)


# 15 A tape for arrays · gradients
def gradients(
    y: Tensor, inputs: Sequence[Tensor], grad_output: Any = None,
    create_graph: bool = False,
) -> list[Any]:
    """The gradient of sum(grad_output * y) in each input; no grad changes.

    Arrays, of zeros where y does not depend on an input; with create_graph
    Tensors, which can be differentiated again.
    Raises as Tensor.backward; TypeError for inputs without requires_grad.
    """
    inputs = [] if isinstance(inputs, Tensor) else list(inputs)
    if not inputs or not all(getattr(x, "requires_grad", 0) for x in inputs):
        raise TypeError("inputs is a list of Tensors that require a gradient")
    constant, wanted = isinstance(y, Tensor) and not y.requires_grad, {*inputs}
    pulled = () if constant else _pull(y, grad_output, create_graph)
    found = {x: g for x, g in pulled if x in wanted}
    grads = [found.get(x, np.zeros_like(x.data)) for x in inputs]
    return [_constant(g) if create_graph else np.array(g) for g in grads]


def _constant(x: Any) -> Tensor:
    """x as a Tensor without a gradient, unless it is one already."""
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=False)


# 15 A tape for arrays · own
def _own(x: Any, rule: Any) -> Any:
    """A list of numbers as an array; other lists as lists of our own."""
    numbers = isinstance(rule.function, np.ufunc) or rule.jvps is rule.vjps
    return np.array(x) if numbers and rule.vjps else _deep(x, lambda x: x)


def _deep(thing: Any, change: Callable) -> Any:
    """The thing with every part changed, however deep in lists it is."""
    if type(thing) is dict:
        return {name: _deep(x, change) for name, x in thing.items()}
    if isinstance(thing, (list, tuple)):
        parts = [_deep(x, change) for x in thing]
        return parts if isinstance(thing, list) else tuple(parts)
    return change(thing)


# 15 A tape for arrays · ask
def _ask(rule: Any, args: Sequence, options: dict, places: list) -> None:
    """Raise TypeError, before anything is computed, for what has no rule."""
    rules, skip = [rule.vjps or rule.function], 2 * bool(rule.vjps)
    if isinstance(rule.vjps, tuple):
        rules = [dict(enumerate(rule.vjps)).get(i) for i in places]
        rules = rules or [vjp for vjp in rule.vjps if vjp][:1]
    for each in rules:
        takes = "there a constant, as .data"
        if each is not None:
            known = [*signature(each).parameters][skip:]
            takes = f"{rule.name}({', '.join(known)})"
        try:
            signature(each).bind(*[None] * skip, *args, **options)
        except TypeError:
            raise TypeError(
                f"{rule.name} has no rule for this call; Tensors take {takes}"
            ) from None
    rule.asked.add((len(args), *places, *options))


# 15 A tape for arrays · without-rule
def _plain(x: Any) -> Any:
    """The array in a Tensor, or an array, so that nobody can write to it."""
    x = x.data if isinstance(x, Tensor) else x
    return np.broadcast_to(x, x.shape) if isinstance(x, np.ndarray) else x


def _without_rule(function: Callable, args: Any, options: dict) -> Any:
    """Comparisons and counts, of the plain arrays."""
    value = function(*_deep(args, _plain), **_deep(options, _plain))
    kinds: list = []
    _deep(value, lambda x: kinds.append(np.asarray(x).dtype.kind))
    if not set(kinds) <= set("biuU"):
        raise TypeError(
            f"{function.__name__} has no rule for Tensors; make it of "
            "functions that have one, or give it one with primitive"
        )
    return value


# 15 A tape for arrays · seals
def detect_changes() -> Any:
    """In this block keep all of each array that is recorded, to compare.

    For debugging: slow, with a copy for each use. backward raises
    RuntimeError for an array of which any entry has changed.
    """
    return _recorded(1)


def _seal(array: np.ndarray, every: int) -> bytes:
    """What an array looks like now."""
    if array.size > 256 and every > 1:
        flat = array.ravel("K") if array.flags.forc else array.flat
        return flat[::every].tobytes()
    return array.tobytes()


# 15 A tape for arrays · check
def _check(nodes: Sequence[Tensor]) -> None:
    """Raise RuntimeError if a recorded array was changed or replaced."""
    for made in [node._record for node in nodes if node._record is not None]:
        wrong = [a for a, n, seal in made.seals if _seal(a, n) != seal]
        for x, array in zip(made.args, made.arrays):
            if x is not array and x.data is not array:
                wrong.append(array)
        for array in wrong:
            raise RuntimeError(
                f"{made.rule.name}: an array of shape {array.shape} was "
                "changed after it was recorded; do that after backward, or "
                "with a copy"
            )


# 15 A tape for arrays · primitive
def primitive(*vjps: Callable | None, jvps: Any = None) -> Callable:
    """Decorator: Tensors take this function of arrays, too.

    There is a rule for each argument that can be a Tensor:
    ``rule(g, y, *arguments)`` is its gradient if g is that of the output y
    and may have a larger shape; it is summed back. ``jvps`` are such rules
    for slopes, or "linear" or "entrywise"; None derives them from vjps.
    """

    def decorate(function: Callable) -> Callable:
        push = vjps if jvps == "entrywise" else jvps
        rule = _Rule(function.__name__, function, vjps, push, set())

        @wraps(function)
        def either(*args: Any, **options: Any) -> Any:
            for x in (*args, *options.values()):
                if isinstance(x, Tensor):
                    return _apply(rule, args, options)
            return function(*args, **options)

        return either

    return decorate


# 15 A tape for arrays · pick
@primitive(lambda g, y, x, shape, *key: g[key], jvps="linear")
def _scatter(x: Any, shape: tuple, *key: Any) -> np.ndarray:
    """Zeros of this shape to which x is added at the key: _pick undone."""
    whole = np.zeros(shape, x.dtype)
    once = (int, np.integer, slice, type(None), type(...))  # one place each
    lists = [np.asarray(part) for part in key if not isinstance(part, once)]
    if any(places.dtype != bool for places in lists):
        np.add.at(whole, key, x)  # eq:pick-dw
    else:
        whole[key] = x
    return whole


@primitive(lambda g, y, x, *key: _scatter(g, x.shape, *key), jvps="linear")
def _pick(x: Any, *key: Any) -> Any:
    return x[key]  # eq:pick


@primitive(lambda g, y, x, dtype: g, jvps="linear")
def _astype(x: Any, dtype: Any) -> np.ndarray:
    return x.astype(dtype)


# 15 A tape for arrays · slopes
_STEPS = (np.sign, np.floor, np.ceil, np.trunc, np.rint)
_SLOPES: dict[Callable, Callable] = {
    **dict.fromkeys(_STEPS, lambda y, x: 0),
    **dict.fromkeys((np.deg2rad, np.radians), lambda y, x: math.pi / 180),
    **dict.fromkeys((np.rad2deg, np.degrees), lambda y, x: 180 / math.pi),
    **dict.fromkeys((np.abs, np.fabs), lambda y, x: np.sign(x)),
    **dict.fromkeys((np.positive, np.conjugate), lambda y, x: 1),
    np.negative: lambda y, x: -1, np.square: lambda y, x: 2 * x,
    np.exp: lambda y, x: y, np.exp2: lambda y, x: y * math.log(2),
    np.expm1: lambda y, x: y + 1, np.log: lambda y, x: 1 / x,
    np.log2: lambda y, x: 1 / (x * math.log(2)),
    np.log10: lambda y, x: 1 / (x * math.log(10)),
    np.log1p: lambda y, x: 1 / (1 + x), np.sqrt: lambda y, x: 0.5 / y,
    np.reciprocal: lambda y, x: -y * y, np.cbrt: lambda y, x: y / (3 * x),
    np.sin: lambda y, x: np.cos(x), np.cos: lambda y, x: -np.sin(x),
    np.tan: lambda y, x: 1 + y * y, np.tanh: lambda y, x: 1 - y * y,
    np.sinh: lambda y, x: np.cosh(x), np.cosh: lambda y, x: np.sinh(x),
    np.arcsin: lambda y, x: 1 / np.sqrt(1 - x * x),
    np.arccos: lambda y, x: -1 / np.sqrt(1 - x * x),
    np.arctan: lambda y, x: 1 / (1 + x * x),
    np.arcsinh: lambda y, x: 1 / np.sqrt(1 + x * x),
    np.arccosh: lambda y, x: 1 / np.sqrt((x - 1) * (x + 1)),
    np.arctanh: lambda y, x: 1 / ((1 - x) * (1 + x)),
}


# 15 A tape for arrays · pairs
def _base_rule(g: Any, y: Any, x: Any, n: Any) -> Any:
    if isinstance(n, (int, float)):
        return g * (n * x ** (n - 1)) if n else 0 * g
    return g * (n * x ** np.where((x == 0) & (n == 0), 1.0, n - 1.0))


def _exponent_rule(g: Any, y: Any, x: Any, n: Any) -> Any:
    return g * (y * np.log(np.where(x == 0, 1.0, x)))


@primitive(lambda g, y, x: g * y * (1 - y), jvps="entrywise")
def _logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)), without an overflow."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _chosen(wins: Callable) -> tuple:
    """Rules of a function that chooses one of its two arguments."""

    def share(g: Any, a: Any, b: Any) -> Any:
        return g * (0.5 * np.add(wins(a, b), ~wins(b, a), dtype=g.dtype))

    return lambda g, y, a, b: share(g, a, b), lambda g, y, a, b: share(g, b, a)


# 15 A tape for arrays · rules-of-pairs
_PAIRS: dict[Callable, tuple] = {
    np.add: (lambda g, y, a, b: g, lambda g, y, a, b: g),
    np.subtract: (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    np.multiply: (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    np.divide: (lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b),
    np.fmod: (lambda g, y, a, b: g, lambda g, y, a, b: -g * np.trunc(a / b)),
    np.mod: (lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor(a / b)),
    np.floor_divide: (lambda g, y, a, b: 0 * g, lambda g, y, a, b: 0 * g),
    np.power: (_base_rule, _exponent_rule),
    np.logaddexp2: (
        lambda g, y, a, b: g * _logistic((a - b) * math.log(2)),
        lambda g, y, a, b: g * _logistic((b - a) * math.log(2)),
    ),
    np.logaddexp: (
        lambda g, y, a, b: g * _logistic(a - b),
        lambda g, y, a, b: g * _logistic(b - a),
    ),
    np.arctan2: (
        lambda g, y, a, b: g * b / (a * a + b * b),
        lambda g, y, a, b: -g * a / (a * a + b * b),
    ),
}


# 15 A tape for arrays · rules-of-choices
_CHOICES: dict[Callable, tuple] = {
    np.maximum: _chosen(lambda a, b: a > b),
    np.minimum: _chosen(lambda a, b: a < b),
    np.fmax: _chosen(lambda a, b: (a > b) | (b != b)),
    np.fmin: _chosen(lambda a, b: (a < b) | (b != b)),
    np.where: (
        None,
        lambda g, y, condition, a, b: np.where(condition, g, 0),
        lambda g, y, condition, a, b: np.where(condition, 0, g),
    ),
}


# 15 A tape for arrays · adjoints
def _spread_out(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """What belongs to a reduction of x, with the axes that it took away."""
    gone = not (axis is None or keepdims or x.ndim == 0)
    return np.expand_dims(g, axis) if gone else g


def _sum_rule(
    g: Any, y: Any, x: Any, axis: Any = None, *, keepdims: bool = False
) -> Any:
    return np.broadcast_to(_spread_out(g, x, axis, keepdims), x.shape)


def _cumsum_rule(g: Any, y: Any, x: Any, axis: int | None = None) -> Any:
    axis = axis or 0
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis).reshape(x.shape)


def _transpose_rule(g: Any, y: Any, x: Any, axes: Any = None) -> Any:
    back = None if axes is None else np.argsort(np.mod(axes, x.ndim))
    return np.transpose(g, back)


# 15 A tape for arrays · rules-matmul
def _matmul_left(g: Any, y: Any, a: Any, b: Any) -> Any:
    """g Bᵀ, eq:stack-da."""
    if b.ndim == 1:
        g, b = g[..., None], b[:, None]
    if a.ndim == 1:
        g = g[..., None, :]
    return g @ b.mT


def _matmul_right(g: Any, y: Any, a: Any, b: Any) -> Any:
    """Aᵀ g; one matrix b gathers it over the whole stack, eq:stack-db."""
    if b.ndim == 1:
        return _matmul_left(g, y, b, a.mT if a.ndim > 1 else a)
    if b.ndim == 2:
        rows = math.prod(y.shape[:-1])
        a, g = a.reshape(rows, len(b)), g.reshape(rows, b.shape[1])
    elif a.ndim == 1:
        a, g = a[None, :], g[..., None, :]
    return a.mT @ g


# 15 A tape for arrays · rules-linear
def _einsum_rule(i: int, g: Any, y: Any, spelled: str, *factors: Any) -> Any:
    names, out = spelled.split("->")
    letters = names.split(",")
    others = [out, *letters[:i], *letters[i + 1 :]]
    alone = [c for c in letters[i] if c not in "".join(others)]
    ones = np.ones([factors[i].shape[letters[i].index(c)] for c in alone])
    asked = ",".join([*others, "".join(alone)]) + "->" + letters[i]
    share = np.einsum(asked, g, *factors[:i], *factors[i + 1 :], ones)
    shape = np.broadcast_shapes(share.shape, factors[i].shape)
    return np.broadcast_to(share, shape)


_LINEAR: dict[Callable, tuple] = {
    np.matmul: (_matmul_left, _matmul_right),
    np.sum: (_sum_rule,),
    np.cumsum: (_cumsum_rule,),
    np.transpose: (_transpose_rule,),
    np.broadcast_to: (lambda g, y, x, shape: g,),
    np.reshape: (lambda g, y, x, shape: g.reshape(x.shape),),
    np.squeeze: (lambda g, y, x, axis=None: g.reshape(x.shape),),
    np.expand_dims: (lambda g, y, x, axis: g.reshape(x.shape),),
    np.swapaxes: (lambda g, y, x, axis1, axis2: g.swapaxes(axis1, axis2),),
}


# 15 A tape for arrays · einsum-rule
_EINSUM = _Rule(
    "einsum", partial(np.einsum, optimize=True),
    (None, *[partial(_einsum_rule, i) for i in range(26)]), "linear", set(),
)


# 15 A tape for arrays · join
def _join_rule(g: Any, y: Any, *parts: Any) -> list:
    ends = np.cumsum([part.size for part in parts])
    return [g[end - x.size : end] for end, x in zip(ends, parts)]


_JOIN = _Rule(
    "join", lambda *x: np.concatenate(x), _join_rule, None, set()
)


# 15 A tape for arrays · move
def _move(function: Callable, *args: Any, **options: Any) -> Any:
    """The function of Tensors whose entries it only moves."""
    found: list = []
    _deep([args, options], lambda x: found.extend([x] * isinstance(x, Tensor)))
    ends = np.cumsum([x.size for x in found])
    flat = found[0].reshape(-1)
    if len(found) > 1:
        flat = _apply(_JOIN, [x.reshape(-1) for x in found], {})

    def asked(entries: np.ndarray) -> Any:
        parts = iter(np.split(entries, ends))
        given = _deep(
            [args, options],
            lambda x: next(parts).reshape(x.shape)
            if isinstance(x, Tensor) else x,
        )
        return function(*given[0], **given[1])

    places = np.arange(1.0, flat.size + 1)
    values = asked(flat.data), asked(places), asked(places + flat.size + 1)
    return _moved(function.__name__, flat, *values)


# 15 A tape for arrays · moved
def _moved(name: str, flat: Any, value: Any, one: Any, other: Any) -> Any:
    """The entries of flat at these places, and the constants in value."""
    if isinstance(value, (list, tuple)):
        return [_moved(name, flat, *each) for each in zip(value, one, other)]
    moved, fixed = other - one == flat.size + 1, (one == other) | (one != one)
    y = flat[:0].sum() + value
    if moved.any():
        picked = flat[(np.where(moved, one - 1, 0) % flat.size).astype(int)]
        y = picked if moved.all() else np.where(moved, picked, value)
    same = np.array_equal(y.data, value, equal_nan=True)
    if not same or not (moved | fixed).all():
        raise TypeError(f"{name} does more here than move, and has no rule")
    return y if y.dtype == value.dtype else y.astype(value.dtype)


_MOVING = """
    append array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays
    choose column_stack compress concatenate copy delete diag diagflat
    diagonal dsplit
    dstack extract flip fliplr flipud hsplit hstack insert meshgrid moveaxis
    pad ravel real repeat resize roll rollaxis rot90 select split stack take
    take_along_axis tile tril triu vsplit vstack
""".split()


# 15 A tape for arrays · made-of-sums
def _root(x: Any, p: float = 0.5) -> Any:
    """x to the power p > 0, with slope 0 at 0 instead of infinity."""
    return np.where(x == 0, 0, np.where(x == 0, 1, x) ** p)


def _average_of(x: Any, *args: Any, **options: Any) -> Any:
    total = np.sum(x, *args, **options)
    return total / (x.size / max(total.size, 1))


def _var(
    x: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False
) -> Any:
    apart = x - np.mean(x, axis, keepdims=True)
    total = np.sum(apart * apart, axis, keepdims=keepdims)
    return total / max(x.size / max(total.size, 1) - ddof, 0)


# 15 A tape for arrays · made-by-halves
def _prod(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    shape, axes = np.sum(x.data, axis, keepdims=keepdims).shape, range(x.ndim)
    axes = np.ravel(axis) % x.ndim if x.ndim and axis is not None else axes
    kept = [i for i in range(x.ndim) if i not in axes]
    y = np.transpose(x, [*axes, *kept])
    y = y.reshape(math.prod(y.shape[: len(axes)]), *y.shape[len(axes) :])
    while len(y) > 1:
        y = np.concatenate([y[0:-1:2] * y[1::2], y[len(y) // 2 * 2 :]])
    return (y[0] if len(y) else 1 + y.sum(axis=0)).reshape(shape)


# 15 A tape for arrays · made-of-parts
def _diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        ends = np.arange(1, x.shape[axis])
        x = np.take(x, ends, axis) - np.take(x, ends - 1, axis)
    return x


def _clip(
    x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None,
    max: Any = None,
) -> Any:
    low, high = a_min if min is None else min, a_max if max is None else max
    x = x if low is None else np.where(x < low, low, x)
    return x if high is None else np.where(x > high, high, x)


def _sort(x: Any, axis: int | None = -1) -> Any:
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return np.take_along_axis(x, np.argsort(x.data, axis, "stable"), axis)


# 15 A tape for arrays · made-of-products
def _einsum(*operands: Any, optimize: Any = True) -> Any:
    story = np.einsum_path(*_deep(operands, _plain))[1].splitlines()[0]
    names, out = story.split(":")[1].strip().split("->")
    texts = isinstance(operands[0], str)
    factors = [*operands[1:]] if texts else [*operands[:-1:2]]
    letters = names.split(",")
    for i, own in enumerate(letters):
        once = "".join(dict.fromkeys(own))
        if once != own:  # a letter twice picks the diagonal
            sizes = [np.shape(factors[i])[own.index(c)] for c in once]
            mesh = np.ix_(*map(range, sizes))
            key = tuple([mesh[once.index(c)] for c in own])
            letters[i], factors[i] = once, factors[i][key]
    return _apply(_EINSUM, (f"{','.join(letters)}->{out}", *factors), {})


# 15 A tape for arrays · tensordot
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if np.ndim(axes) == 0:
        axes = range(-axes, 0), range(axes)
    left, right = [*range(np.ndim(a))], [*range(26, 26 + np.ndim(b))]
    for i, j in zip(*map(np.ravel, axes), strict=True):
        right[j] = left[i]
        if np.shape(a)[i] != np.shape(b)[j]:
            raise ValueError("tensordot: the axes differ in length")
    out = [i for i in left + right if (left + right).count(i) == 1]
    return np.einsum(a, left, b, right, out)


# 15 A tape for arrays · made-norm
def _norm(
    x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """Norms of vectors, and those of matrices that need no singular values."""
    axes = tuple(np.ravel(range(x.ndim) if axis is None else axis).tolist())
    size, fold = np.abs(x), {"axis": axes, "keepdims": keepdims}
    if ord in (None, "fro") or (ord == 2 and len(axes) == 1):
        return _root((x * x).sum(**fold))
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        size = size.sum(axis=axes[abs(ord) != 1], keepdims=True)
        ord = math.copysign(np.inf, ord)
    if ord in (np.inf, -np.inf):
        return size.max(**fold) if ord > 0 else size.min(**fold)
    if isinstance(ord, str) or ord <= 0 or len(axes) > 1:
        raise TypeError(f"norm of axes {axes} has no rule for ord={ord!r}")
    return _root(_root(size, ord).sum(**fold), 1 / ord)


# 15 A tape for arrays · made-of-others
_MADE: dict[Callable, Callable] = {
    np.mean: _average_of, np.var: _var, np.prod: _prod, np.diff: _diff,
    np.clip: _clip, np.sort: _sort, np.einsum: _einsum,
    np.tensordot: _tensordot, np.linalg.norm: _norm, np.fix: np.trunc,
    np.std: lambda x, *args, **options: _root(np.var(x, *args, **options)),
    np.round: lambda x, decimals=0: np.sign(x) * 0 + x.data.round(decimals),
    np.sinc: lambda x: np.where(
        x == 0, 1 - (math.pi * x) ** 2 / 6,
        np.sin(math.pi * x) / (math.pi * np.where(x == 0, 1, x)),
    ),
    np.nan_to_num: lambda x, copy=True, nan=0, posinf=None, neginf=None: (
        np.where(
            np.isfinite(x), x,
            np.nan_to_num(x.data, True, nan, posinf, neginf),
        )
    ),
}


# 15 A tape for arrays · made-of-matrices
@primitive(lambda g, y, x: g[..., None, None] * np.linalg.inv(x).mT)
def _logdet(x: Any) -> Any:
    y = np.linalg.slogdet(x)[1]
    if np.any(y == -np.inf):
        raise TypeError("det has no rule for singular matrices")
    return y


# 15 A tape for arrays · table-of-products
_PRODUCTS: dict[Callable, Callable] = {
    np.dot: lambda a, b: (
        a * b if 0 in (np.ndim(a), np.ndim(b)) else
        a @ b if np.ndim(b) < 3 else np.tensordot(a, b, (-1, -2))
    ),
    np.inner: lambda a, b: (
        a * b if 0 in (np.ndim(a), np.ndim(b)) else
        np.tensordot(a, b, (-1, -1))
    ),
    np.vdot: lambda a, b: np.reshape(a, -1) @ np.reshape(b, -1),
    np.vecdot: lambda a, b: np.sum(a * b, axis=-1),
    np.outer: lambda a, b: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)),
    np.hypot: lambda a, b: _root(a * a + b * b),
    np.float_power: lambda x, n: np.power(x * np.float64(1), n),
    np.trace: lambda x, offset=0, axis1=0, axis2=1: np.sum(
        np.diagonal(x, offset, axis1, axis2), axis=-1
    ),
    np.linalg.multi_dot: lambda arrays: reduce(np.dot, arrays),
    np.linalg.solve: lambda a, b: np.linalg.inv(a) @ b,
    np.linalg.slogdet: lambda a: (np.linalg.slogdet(a.data)[0], _logdet(a)),
    np.linalg.det: lambda a: (
        np.linalg.slogdet(a.data)[0] * np.exp(_logdet(a))
    ),
}


# 15 A tape for arrays · rules
def _max_rule(
    g: Any, y: Any, x: Any, axis: Any = None, *, keepdims: bool = False
) -> Any:
    best = (x == _spread_out(y, x, axis, keepdims)).astype(x.dtype)
    share = best / best.sum(axis=axis, keepdims=True)
    return _spread_out(g, x, axis, keepdims) * share


# 15 A tape for arrays · rules-together
def _times_slope(slope: Callable) -> tuple:
    return (lambda g, y, x: g * slope(y, x),)


_OTHERS: dict[Callable, tuple] = {
    **dict.fromkeys((np.max, np.amax, np.min, np.amin), (_max_rule,)),
    np.linalg.inv: (lambda g, y, a: -(y.mT @ g @ y.mT),),
}
_ENTRYWISE = _PAIRS | _CHOICES | {
    f: _times_slope(slope) for f, slope in _SLOPES.items()
}
_FROM_OTHERS = _MADE | _PRODUCTS | {
    getattr(np, name): partial(_move, getattr(np, name)) for name in _MOVING
}
_RULES: dict[Callable, Any] = {
    f: _Rule(f.__name__, *rule, set())
    for f, rule in {
        **{f: (f, vjps, vjps) for f, vjps in _ENTRYWISE.items()},
        **{f: (f, vjps, "linear") for f, vjps in _LINEAR.items()},
        **{f: (f, vjps, None) for f, vjps in _OTHERS.items()},
        **{f: (made, None, None) for f, made in _FROM_OTHERS.items()},
    }.items()
}


# 15 A tape for arrays · tape-layer
class TapeLayer(Layer):
    """A Layer from a function; the tape finds its backward.

    ``function(x, *parameters)`` takes and returns Tensors.

    >>> weight = Parameter([1.0, 2.0])
    >>> layer = TapeLayer(lambda x, w: np.tanh(w * x), weight)
    >>> layer.forward([[0.0, 0.0]])
    array([[0., 0.]])
    """

    def __init__(self, function: Callable, *weights: Parameter) -> None:
        self.function, self.weights = function, list(weights)

    def forward(self, x: ArrayLike) -> np.ndarray:
        arrays = [x, *(weight.data for weight in self.weights)]
        inputs = [Tensor(array) for array in arrays]
        y = self.function(*inputs)
        if not isinstance(y, Tensor):
            raise TypeError(f"{self}: the function's result is no Tensor")
        self._cache = y, inputs
        return y.data.copy()

    # 15 A tape for arrays · tape-layer-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        y, inputs = self._saved()
        grad = self._expect(grad_output, *y.shape, what="grad_output")
        dx, *shares = gradients(y, inputs, grad)
        for weight, share in zip(self.weights, shares):
            weight.grad += share
        return dx

    def __getstate__(self) -> dict:
        return {**vars(self), "_cache": None}  # a tape is not copied


# 16 Depth and time · residual
class Residual(Network):
    """Layers with a road past them, y = x + f(x) (eq:residual).

    Any shape in, same out. Raises ValueError without layers and where f
    changes the shape, TypeError and ValueError as Network does.
    Source: He, Zhang, Ren and Sun, 2016.
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("Residual: got no layers")
        super().__init__(*layers)

    def forward(
        self, x: ArrayLike, lengths: ArrayLike | None = None
    ) -> np.ndarray:
        x = _floating(x)
        change = super().forward(x, lengths)
        if change.shape != x.shape:
            raise ValueError(
                f"Residual: the layers turn shape {x.shape} into "
                f"{change.shape}; x + f(x) needs the same shape"
            )
        return x + change  # eq:residual

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        dx = super().backward(grad_output)
        return dx + np.asarray(grad_output, dx.dtype)  # eq:residual-dx


# 16 Depth and time · embedding
class Embedding(Layer):
    """A row of numbers for each whole number, eq:embedding.

    Shapes: integers of any shape (N, …) in, (N, …, dim) out; weight
    (num_embeddings, dim), normal with mean 0 and spread ``std`` at first.
    Integers have no slope: ``backward`` returns zeros in their shape.
    Raises TypeError for what are not integers, ValueError for integers
    outside 0…num_embeddings-1.

    >>> Embedding(5, 2, rng=0).forward([[4, 0, 4]]).shape
    (1, 3, 2)
    """

    def __init__(
        self, num_embeddings: int, dim: int, *, std: float = 1.0,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        _positive(self, num_embeddings=num_embeddings, dim=dim)
        if not std >= 0:
            raise ValueError(f"{type(self).__name__}: std is {std}, below 0")
        self.num_embeddings, self.dim = num_embeddings, dim
        rng = np.random.default_rng(rng)
        shape = (num_embeddings, dim)
        self.weight = Parameter(rng.normal(0.0, std, shape))

    def forward(self, x: ArrayLike) -> np.ndarray:
        ids = np.array(x)
        if ids.size and ids.dtype.kind not in "iu":
            raise TypeError(f"{self}: expected integers, got {ids.dtype}")
        for index in np.argwhere((ids < 0) | (ids >= self.num_embeddings)):
            raise ValueError(
                f"{self}: got {ids[tuple(index)]} at index {_place(index)}, "
                f"expected 0 to {self.num_embeddings - 1}"
            )
        self._cache = ids.astype(np.intp)
        return self.weight.data[self._cache]  # eq:embedding

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        ids = self._saved()
        shape = (*ids.shape, self.dim)
        grad = self._expect(grad_output, *shape, what="grad_output")
        entries = ids[..., None] * self.dim + np.arange(self.dim)
        whole = self.weight.grad.reshape(-1)
        np.add.at(whole, entries.ravel(), grad.ravel())  # eq:embedding-dw
        return np.zeros(ids.shape, self.weight.data.dtype)


# 16 Depth and time · rnn
class RNN(Layer):
    """h_t = tanh(x_t W + h_{t-1} U + b), step by step (eq:rnn).

    Shapes: input (N, T, input_size), output (N, T, hidden_size): the states
    at all times. weight (input_size, hidden_size), recurrent
    (hidden_size, hidden_size), bias (hidden_size,); all start uniform in
    ±1/sqrt(hidden_size).
    forward(x, start, lengths) begins with the state ``start``, zero if there
    is none, and takes it for a constant. What comes after the ``lengths``
    of the sequences is ignored: outputs and gradients there are 0.
    ``state`` (N, hidden_size) is the last state, the start of what follows.
    Raises ValueError for other shapes. Source: Elman, 1990.
    """

    takes_lengths = True
    _blocks = 1  # of hidden_size columns, in the weights
    _parts = 1  # of hidden_size columns, in the state

    def __init__(
        self, input_size: int, hidden_size: int, *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        _positive(self, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        rng = np.random.default_rng(rng)
        bound, columns = hidden_size**-0.5, self._blocks * hidden_size
        shapes = (input_size, columns), (hidden_size, columns), columns
        self.weight, self.recurrent, self.bias = (
            Parameter(rng.uniform(-bound, bound, shape)) for shape in shapes
        )
        self.state: np.ndarray | None = None

    def _run(self, a: np.ndarray, states: np.ndarray) -> Any:
        """Fill states[1:] from states[0] and a = xW + b, time first."""
        for t in range(len(a)):
            s = a[t] + states[t] @ self.recurrent.data
            states[t + 1] = np.tanh(s)  # eq:rnn

    def _run_backward(
        self, dh: np.ndarray, states: np.ndarray, kept: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """From dL/dh of the outputs: dL/d(xW + b) and dL/d(hU)."""
        back, da = self.recurrent.data.T.copy(), np.empty_like(dh)
        later: Any = 0
        for t in reversed(range(len(dh))):
            h = states[t + 1]
            da[t] = (dh[t] + later) * (1 - h * h)  # eq:rnn-bptt
            later = da[t] @ back
        return da, da

    # 16 Depth and time · rnn-passes
    def forward(
        self, x: ArrayLike, start: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> np.ndarray:
        x = self._expect(x, "N", "T", self.input_size)
        n, steps, _ = x.shape
        inside, xs = _counting(self, lengths, n, steps), _time_first(x)
        behind = ~inside.T
        xs[behind] = 0
        width = self._parts * self.hidden_size
        states = np.zeros((steps + 1, n, width), x.dtype)
        if start is not None:
            states[0] = self._expect(start, n, width, what="start")
        a = _rows(xs) @ self.weight.data
        a += self.bias.data
        kept = self._run(a.reshape(steps, n, a.shape[1]), states)
        self._cache = xs, states, behind, kept
        self.state = states[inside.sum(axis=1), np.arange(n)]
        y = _time_first(states[1:, :, : self.hidden_size])
        y[behind.T] = 0
        return y

    def _rows_backward(self, grad_output: ArrayLike) -> np.ndarray:
        """Add to the parameters' grad; return the rows of dL/d(xW + b)."""
        xs, states, behind, kept = self._saved()
        shape = (*xs.shape[1::-1], self.hidden_size)
        grad = self._expect(grad_output, *shape, what="grad_output")
        dh = _time_first(grad)
        dh[behind] = 0
        da, du = self._run_backward(dh, states, kept)
        h, rows = states[:-1, :, : self.hidden_size], _rows(da)
        self.weight.grad += _rows(xs).T @ rows  # eq:rnn-dw
        self.recurrent.grad += _rows(h).T @ _rows(du)  # eq:rnn-du
        self.bias.grad += _sum(rows.T)  # eq:rnn-db
        return rows

    def accumulate(self, grad_output: ArrayLike) -> None:
        self._rows_backward(grad_output)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        dx = self._rows_backward(grad_output) @ self.weight.data.T  # eq:rnn-dx
        xs = self._saved()[0]
        return _time_first(dx.reshape(xs.shape)).astype(xs.dtype, copy=False)


# 16 Depth and time · time-first
def _time_first(x: np.ndarray) -> np.ndarray:
    """(N, T, …) to (T, N, …), or back, as a copy in that order."""
    return x.swapaxes(0, 1).copy()


# 16 Depth and time · split
def _split(a: np.ndarray, blocks: int) -> np.ndarray:
    """(…, N, blocks * H) seen as (…, blocks, N, H): a block each."""
    parts = a.reshape(*a.shape[:-1], blocks, a.shape[-1] // blocks)
    return parts.swapaxes(-2, -3)


# 16 Depth and time · lstm
class LSTM(RNN):
    """Long short-term memory: a sum, guarded by gates, eq:lstm-cell.

    Shapes as RNN, but weight, recurrent and bias have 4 * hidden_size
    columns, in the order i, f, g, o, and ``start`` and ``state`` are
    (N, 2 * hidden_size): the output h, then the cell c.
    Source: Hochreiter and Schmidhuber, 1997; Gers and others, 2000.
    """

    _blocks, _parts = 4, 2

    def _scale(self, a: np.ndarray) -> np.ndarray:
        """For each column 1/2 where the gate is a sigmoid, 1 for tanh."""
        scale = np.array([0.5, 0.5, 1, 0.5], a.dtype)
        return np.repeat(scale, self.hidden_size)

    def _run(self, a: np.ndarray, states: np.ndarray) -> np.ndarray:
        h, c = np.split(states, 2, axis=2)
        gates, scale = _split(a, 4), self._scale(a)
        for t, z in enumerate(a):
            z += h[t] @ self.recurrent.data
            z *= scale
            np.tanh(z, out=z)
            z *= scale
            z += 1 - scale  # eq:lstm-gates
            i, f, g, o = gates[t]
            c[t + 1] = f * c[t] + i * g  # eq:lstm-cell
            h[t + 1] = o * np.tanh(c[t + 1])  # eq:lstm-h
        return a

    def _run_backward(
        self, dh: np.ndarray, states: np.ndarray, kept: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        c, back = np.split(states, 2, axis=2)[1], self.recurrent.data.T.copy()
        gates, m, da = _split(kept, 4), np.tanh(c[1:]), np.empty_like(kept)
        parts, is_tanh = _split(da, 4), 2 * self._scale(kept) - 1
        later: tuple[Any, Any] = 0, 0
        for t in reversed(range(len(da))):
            i, f, g, o = gates[t]
            total = dh[t] + later[0]  # eq:lstm-dh
            dc = later[1] + total * o * (1 - m[t] * m[t])  # eq:lstm-dcell
            parts[t] = dc * g, dc * c[t], dc * i, total * m[t]
            da[t] *= (1 - kept[t]) * (kept[t] + is_tanh)  # eq:lstm-da
            later = da[t] @ back, dc * f
        return da, da


# 16 Depth and time · gru
class GRU(RNN):
    """Gated recurrent unit: between the old state and a new one, eq:gru.

    Shapes as RNN, but weight, recurrent and bias have 3 * hidden_size
    columns, in the order r, z, n. ``recurrent_bias`` (hidden_size,) stands
    inside the product with r, eq:gru-n, where ``bias`` cannot replace it.
    Source: Cho and others, 2014; this form is PyTorch's.
    """

    _blocks = 3

    def __init__(
        self, input_size: int, hidden_size: int, *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        rng = np.random.default_rng(rng)
        super().__init__(input_size, hidden_size, rng=rng)
        inner = rng.uniform(-1, 1, hidden_size) * hidden_size**-0.5
        self.recurrent_bias = Parameter(inner)

    def _run(self, a: np.ndarray, states: np.ndarray) -> tuple:
        gates, inner = _split(a, 3), np.empty_like(states[1:])
        for t, h in enumerate(states[:-1]):
            u = _split(h @ self.recurrent.data, 3)
            s = gates[t, :2] + u[:2]
            gates[t, :2] = 0.5 + 0.5 * np.tanh(0.5 * s)  # eq:gru-gates
            r, z, n = gates[t]
            inner[t] = u[2] + self.recurrent_bias.data  # eq:gru-inner
            n[...] = np.tanh(n + r * inner[t])  # eq:gru-n
            states[t + 1] = (1 - z) * n + z * h  # eq:gru
        return gates, inner

    def _run_backward(
        self, dh: np.ndarray, states: np.ndarray, kept: tuple
    ) -> tuple[np.ndarray, np.ndarray]:
        (gates, inner), back = kept, self.recurrent.data.T.copy()
        da = np.empty((*dh.shape[:2], len(back)), dh.dtype)
        du = np.empty_like(da)
        into_a, into_u = _split(da, 3), _split(du, 3)
        later: Any = 0
        for t in reversed(range(len(dh))):
            r, z, n = gates[t]
            total = dh[t] + later  # eq:gru-dh
            dn = total * (1 - z) * (1 - n * n)  # eq:gru-dn
            dz = total * (states[t] - n) * z * (1 - z)  # eq:gru-dz
            dr = dn * inner[t] * r * (1 - r)  # eq:gru-dr
            into_a[t], into_u[t] = (dr, dz, dn), (dr, dz, dn * r)
            later = total * z + du[t] @ back
        self.recurrent_bias.grad += into_u[:, 2].sum(axis=(0, 1))
        return da, du


# 16 Depth and time · last
class Last(Layer):
    """The last step of each sequence: (N, T, D) in, (N, D) out.

    With ``lengths``, the step before the end of each.
    Raises ValueError for other shapes and for a sequence of no steps.
    """

    takes_lengths = True

    def forward(
        self, x: ArrayLike, lengths: ArrayLike | None = None
    ) -> np.ndarray:
        x = self._expect(x, "N", "T", "D")
        ends = _counting(self, lengths, *x.shape[:2]).sum(axis=1)
        if not ends.all():
            raise ValueError("Last: a sequence of length 0 has no last step")
        self._cache = x.shape, (np.arange(len(x)), ends - 1)
        return x[self._cache[1]]

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        (n, steps, dim), at = self._saved()
        grad = self._expect(grad_output, n, dim, what="grad_output")
        dx = np.zeros((n, steps, dim), grad.dtype)
        dx[at] = grad
        return dx


# 17 Attention · attend
def _attend(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, visible: ArrayLike = True
) -> tuple[np.ndarray, np.ndarray]:
    """What each query finds, and the weights with which it looked.

    Shapes: q (…, T, d), k (…, S, d), v (…, S, e); out (…, T, e) and
    (…, T, S). ``visible`` says which keys a query may see.
    Raises ValueError for other shapes.
    """
    alike = q.shape[:-2] + q.shape[-1:] == k.shape[:-2] + k.shape[-1:]
    if min(q.ndim, k.ndim) < 2 or not alike or k.shape[:-1] != v.shape[:-1]:
        raise ValueError(
            "expected q (…, T, d), k (…, S, d), v (…, S, e), "
            f"got {q.shape}, {k.shape}, {v.shape}"
        )
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5  # eq:scores
    if visible is not True:
        scores = np.where(visible, scores, -np.inf)
    weights = Softmax().forward(scores)  # eq:attention-weights
    return weights @ v, weights  # eq:attention


def _attend_backward(
    dy: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of q, k and v from that of what was found."""
    dv = weights.swapaxes(-1, -2) @ dy  # eq:attention-dv
    dp = dy @ v.swapaxes(-1, -2)  # eq:attention-dp
    total = (dp * weights).sum(axis=-1, keepdims=True)
    ds = weights * (dp - total)  # eq:attention-ds
    ds *= q.shape[-1] ** -0.5
    dk = ds.swapaxes(-1, -2) @ q  # eq:attention-dk
    return ds @ k, dk, dv  # eq:attention-dq


# 17 Attention · multi-head-attention
class MultiHeadAttention(Layer):
    """Every place of a sequence looks at every other, eq:attention.

    Shapes: (N, T, embed_dim) in and out. ``causal`` hides what comes later.
    Nobody looks behind the ``lengths``; outputs and gradients there are 0.
    ``weights`` (N, num_heads, T, T), read-only, are those of the last
    forward. Raises ValueError for other shapes, or if embed_dim is no
    multiple of num_heads. Source: Vaswani and others, 2017.
    """

    takes_lengths = True

    def __init__(
        self, embed_dim: int, num_heads: int, *, causal: bool = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        _positive(self, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiHeadAttention: embed_dim {embed_dim} is no multiple "
                f"of num_heads {num_heads}"
            )
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.causal, rng = causal, np.random.default_rng(rng)
        self.qkv = Linear(embed_dim, 3 * embed_dim, rng=rng)
        self.out = Linear(embed_dim, embed_dim, rng=rng)
        self.weights: np.ndarray | None = None

    def _heads(self, x: np.ndarray) -> np.ndarray:
        """A view (parts, N, num_heads, T, d) of (N, T, parts * embed_dim)."""
        parts = x.shape[2] // self.embed_dim
        size = self.embed_dim // self.num_heads
        split = x.reshape(*x.shape[:2], parts, self.num_heads, size)
        return split.transpose(2, 0, 3, 1, 4)

    # 17 Attention · multi-head-attention-passes
    def forward(
        self, x: ArrayLike, lengths: ArrayLike | None = None
    ) -> np.ndarray:
        x = self._expect(x, "N", "T", self.embed_dim)
        n, steps, _ = x.shape
        behind = ~_counting(self, lengths, n, steps)
        visible: Any = np.tri(steps, dtype=bool) if self.causal else True
        if lengths is not None:
            x = np.where(behind[..., None], 0, x)
            visible = visible & ~behind[:, None, None]
            visible[..., :1] = True  # for a sequence of no places
        q, k, v = self._heads(self.qkv.forward(x))
        found, weights = _attend(q, k, v, visible)
        weights.flags.writeable = False
        self._cache, self.weights = (behind, q, k, v, weights), weights
        y = self.out.forward(found.swapaxes(1, 2).reshape(x.shape))
        y[behind] = 0
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        behind, *cache = self._saved()
        shape = (*behind.shape, self.embed_dim)
        grad = self._expect(grad_output, *shape, what="grad_output")
        dy = self.out.backward(np.where(behind[..., None], 0, grad))
        dqkv = np.empty((*shape[:2], 3 * self.embed_dim), dy.dtype)
        grads = _attend_backward(self._heads(dy)[0], *cache)
        for into, grad in zip(self._heads(dqkv), grads):
            into[...] = grad
        return self.qkv.backward(dqkv)


# 17 Attention · position-embedding
class PositionEmbedding(Embedding):
    """Adds to every place of a sequence a row of its own, eq:position.

    PositionEmbedding(length, dim, std=…, rng=…). Shapes: (N, T, dim) in and
    out, T at most ``length``; weight (length, dim), as in Embedding.
    Raises ValueError for other shapes and for longer sequences.
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", "T", self.dim)
        if x.shape[1] > self.num_embeddings:
            raise ValueError(
                f"{self}: expected at most {self.num_embeddings} places, "
                f"got {x.shape[1]}"
            )
        self._cache = x.shape, x.dtype
        y = x + self.weight.data[: x.shape[1]]  # eq:position
        return y.astype(x.dtype, copy=False)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        shape, dtype = self._saved()
        grad = self._expect(grad_output, *shape, what="grad_output")
        self.weight.grad[: shape[1]] += grad.sum(axis=0)  # eq:position-dp
        return grad.astype(dtype)


# 17 Attention · transformer-block
class TransformerBlock(Network):
    """Attention, then a small network for each place; pre-norm, eq:block.

    Shapes: (N, T, embed_dim) in and out. ``hidden`` is the width of the
    small network, 4 * embed_dim unless given; ``dropout`` acts on what
    either adds. Source: Vaswani and others, 2017; Xiong and others, 2020.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, hidden: int | None = None, *,
        dropout: float = 0.0, causal: bool = True,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        rng = np.random.default_rng(rng)
        hidden = 4 * embed_dim if hidden is None else hidden
        drop = [Dropout(dropout, rng=rng) for _ in range(2 * (dropout != 0))]
        look = MultiHeadAttention(embed_dim, num_heads, causal=causal, rng=rng)
        think = (
            Linear(embed_dim, hidden, rng=rng), GELU("tanh"),
            Linear(hidden, embed_dim, rng=rng),
        )
        super().__init__(
            Residual(LayerNorm(embed_dim), look, *drop[:1]),
            Residual(LayerNorm(embed_dim), *think, *drop[1:]),
        )


# 18 Beyond the gradient · push
def _pushed(node: Tensor, slopes: dict, record: bool) -> Any:
    """The slope of a node from those of its parents, eq:jvp."""
    rule, *_, options, places, _ = node._record
    total, (y, *known) = np.zeros((), node.dtype), _known(node, record)
    for i, parent in zip(places, node._parents):
        if (v := slopes.get(parent)) is None:
            continue
        if rule.jvps is None:
            part = _transposed(node, i, v, record)
        elif rule.jvps == "linear":
            args = *known[:i], v, *known[i + 1 :]
            part = (
                _apply(rule, args, options) if record
                else rule.function(*args, **options)
            )
        else:
            part = rule.jvps[i](v, y, *known, **options)
        total = total + part
    return np.broadcast_to(total, node.shape).astype(node.dtype)


# 18 Beyond the gradient · turn-round
def _transposed(node: Tensor, i: int, v: Any, record: bool) -> Any:
    """v through argument i of a node, forwards: its vjp transposed."""
    u = Tensor(np.zeros_like(node.data))
    made, known = node._record, _known(node, record)
    vjps = made.rule.vjps
    with _recorded():
        found = vjps if callable(vjps) else vjps[i]
        share = found(u, *known, **made.options)
        share = share[i] if callable(vjps) else share
        share = _constant(_fit(share, made.arrays[i]))
    return gradients(share, [u], v, record)[0]


# 18 Beyond the gradient · follow
def _follow(y: Any, slopes: dict) -> tuple[Any, Any]:
    """y, and its slope if those of the first Tensors are these."""
    if not isinstance(y, Tensor):  # it does not depend on the inputs
        return np.asarray(y), np.zeros(np.shape(y))
    order, known = list(_order(y))[::-1], dict(slopes)
    record = any(isinstance(v, Tensor) for v in slopes.values()) or any(
        x.requires_grad and not x._parents and x not in slopes for x in order
    )
    for node in order:
        if node not in known and any(x in known for x in node._parents):
            known[node] = _pushed(node, known, record)
    slope = known.get(y, np.zeros_like(y.data))
    return (y, _constant(slope)) if record else (y.data, slope)


def _anew(x: Any) -> Tensor:
    """The same numbers as a Tensor of its own; made from x, if that is one."""
    if not isinstance(x, Tensor):
        return Tensor(x)
    return x[...] if x.requires_grad else Tensor(x.data)


# 18 Beyond the gradient · jvp
def jvp(
    f: Callable, inputs: Sequence[ArrayLike], directions: Sequence[ArrayLike]
) -> tuple[Any, Any]:
    """f(*inputs) and its slope along the directions, eq:jvp.

    Arrays, or lists as f gives; Tensors, where others play a part. Raises
    TypeError for no list, ValueError for a direction of another shape.

    >>> y, slope = jvp(lambda x: x * x, [3.0], [1.0])
    >>> float(y), float(slope)
    (9.0, 6.0)
    """
    if not isinstance(inputs, (list, tuple)):
        raise TypeError("inputs is a list of arrays, one for each argument")
    with _recorded():
        points = [_anew(x) for x in inputs]
        slopes = {
            x: _weights(x.data, v, isinstance(v, Tensor), "a direction")
            for x, v in zip(points, directions, strict=True)
        }
        y = f(*points)
    if not isinstance(y, (list, tuple)):
        return _follow(y, slopes)
    ways = [_follow(part, slopes) for part in y]
    return [value for value, _ in ways], [slope for _, slope in ways]


# 18 Beyond the gradient · hvp
def hvp(f: Callable, x: ArrayLike, v: ArrayLike) -> np.ndarray:
    """The Hessian of f at x times v, eq:hvp, without the Hessian.

    f takes a Tensor and gives one number. Shapes: x any, v and the result
    as x. Raises ValueError for a v of another shape.
    Source: Pearlmutter, 1994, who pushes v forwards; here it is pulled
    back, which is the same for a symmetric matrix.

    >>> hvp(lambda x: np.sum(x * x * x), [1.0, 2.0], [1.0, 0.0])
    array([6., 0.])
    """
    point = Tensor(x)
    (slope,) = gradients(f(point), [point], create_graph=True)
    direction = _weights(point.data, v, False, "a direction")
    return gradients(slope, [point], direction)[0]


# 18 Beyond the gradient · replay
def _replay(
    f: Callable, inputs: Sequence, g: Any, y: Any, *known: Any
) -> list:
    """The rule of a checkpoint: f once more, with a tape, and back."""
    with _recorded():
        xs = [
            _anew(x) if isinstance(given, Tensor) else x
            for given, x in zip(inputs, known)
        ]
        result = _constant(f(*xs))
    if not np.array_equal(result.data, _plain(y), equal_nan=True):
        raise RuntimeError(
            "checkpoint: f gave another result the second time (random "
            "numbers, or an array that changed)"
        )
    tensors = [x for x in xs if isinstance(x, Tensor)]
    found = gradients(result, tensors, g, isinstance(g, Tensor))
    by_input = dict(zip(map(id, tensors), found))
    return [by_input.get(id(x)) for x in xs]


# 18 Beyond the gradient · checkpoint
def checkpoint(f: Callable, *inputs: Any) -> Any:
    """f(*inputs), of which only the inputs are remembered.

    ``backward`` computes f again and goes back through that; f must give
    the same array twice. Raises RuntimeError if it does not, ValueError
    for a Tensor that is no input. Source: Chen and others, 2016.

    >>> x = Tensor([1.0, 2.0])
    >>> checkpoint(lambda x: np.sum(x * x * x), x).backward()
    >>> x.grad
    array([ 3., 12.])
    """

    def forward(*arrays: Any) -> Any:
        y = f(*arrays)
        if isinstance(y, Tensor):
            raise ValueError("checkpoint: f uses a Tensor that is no input")
        if isinstance(y, (list, tuple)):
            raise TypeError("checkpoint: f gives one array; np.stack joins")
        return y

    if not any(isinstance(x, Tensor) for x in inputs):
        return forward(*inputs)
    again = partial(_replay, f, inputs)
    return _apply(_Rule("checkpoint", forward, again, None, set()), inputs, {})


# digest 17cbf060d24a892dab18b1b80efa55fd7d35d131c7c5283461ef499fb1d45e6a
