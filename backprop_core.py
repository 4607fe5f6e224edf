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
import gc
import inspect
import json
import math
import operator
import os
import random
import secrets
import signal
import sys
import threading
import warnings
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar, copy_context
from functools import lru_cache, partial, reduce, wraps
from glob import escape
from inspect import signature
from itertools import chain, cycle, pairwise, tee
from numbers import Real
from pathlib import Path
from types import CellType, FunctionType, GeneratorType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple, Self
from zipfile import ZipFile

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

__version__ = "0.2.0"

__all__ = [
    "gradient_descent", "numerical_gradient", "complex_step_gradient",
    "gradient_errors", "gradcheck", "Parameter", "Layer", "Linear", "Flatten",
    "Activation", "Tanh", "Sigmoid", "ReLU", "LeakyReLU", "ELU", "Softplus",
    "SiLU", "GELU", "Softmax", "Loss", "MSELoss", "L1Loss", "HuberLoss",
    "CrossEntropyLoss", "BCEWithLogitsLoss", "Network", "Optimizer", "SGD",
    "kaiming_normal_", "kaiming_uniform_", "xavier_uniform_", "xavier_normal_",
    "LayerStatistics", "GradientReport", "gradient_report", "Adagrad",
    "RMSprop", "Adam", "AdamW", "DataLoader", "Schedule", "CosineAnnealingLR",
    "LinearWarmup", "ExponentialLR", "StepLR", "clip_grad_norm_", "fit",
    "save", "load", "EarlyStopping", "l2_penalty", "l1_penalty", "Dropout",
    "BatchNorm1d", "BatchNorm2d", "LayerNorm", "RMSNorm", "Conv2d",
    "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "Value", "Tensor",
    "gradients", "no_grad", "detect_changes", "primitive", "TapeLayer",
    "Residual", "RNN", "Last", "LSTM", "GRU", "Embedding",
    "MultiHeadAttention", "PositionEmbedding", "TransformerBlock", "jvp",
    "hvp", "checkpoint", "Finding", "Diagnosis", "diagnose",
]


# 01 What is a slope good for? · gradient-descent
def gradient_descent(
    gradient: Callable, x: ArrayLike, lr: float, steps: int
) -> np.ndarray:
    """Follow the slope downhill, eq:descent, and return the whole path.

    ``gradient`` maps a point to the slope there, in the point's shape.
    Shapes: x any, result (steps + 1, *x.shape); row 0 is x itself.
    Raises ValueError for a gradient of another shape.
    """
    path = [_floating(x)]
    for _ in _walk(gradient, lr, steps):
        slope = _of_shape(path[0].shape, gradient(path[-1]))
        path.append(path[-1] - lr * slope)  # eq:descent
    return np.stack(path)


# 01 What is a slope good for? · floating
_stepping: ContextVar[bool] = ContextVar("stepping", default=False)


def _floating(x: ArrayLike) -> np.ndarray:
    """x as an array of floating-point numbers; integers become float64.

    Half precision becomes float32: its numbers end at 65504, and sums of
    squares are soon larger. Raises TypeError for anything that is not a
    real number and for a mask, ValueError for rows of different lengths.
    """
    if type(x) is np.ndarray and x.dtype.char in "fd" and x.dtype.isnative:
        return x  # as almost always
    return _widened(_as_array(x))


# 01 What is a slope good for? · of-shape
def _of_shape(shape: tuple, x: Any, what: str = "a gradient") -> Any:
    """x as floating-point numbers; ValueError if its shape is another."""
    x = _floating(x)
    if x.shape != shape:
        raise ValueError(f"expected {what} of shape {shape}, got {x.shape}")
    return x


# 01 What is a slope good for? · as-array
def _as_array(x: ArrayLike) -> np.ndarray:
    """x as an array, of whatever kind; neither a mask nor ragged rows."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("expected numbers without a mask: x.filled(0.0)")
    try:
        return np.asarray(x)
    except ValueError:
        raise ValueError(
            "expected numbers in an array, got rows of different lengths"
        ) from None


# 01 What is a slope good for? · widened
def _widened(array: np.ndarray) -> np.ndarray:
    """Whole numbers as float64, half precision as single; bytes in order."""
    kind = array.dtype.kind
    if kind in "biu":
        return array.astype(float)
    if kind not in ("fc" if _stepping.get() else "f"):
        what = "numbers, got an array of"
        what = "real numbers, got" if kind == "c" else what
        raise TypeError(f"expected {what} {array.dtype}")
    return array.astype(np.promote_types(array.dtype, "f"), copy=False)


# 01 What is a slope good for? · guards
def _demand(owner: Any, fits: Callable, message: str, **values: Any) -> None:
    """Raise ValueError, with the name of the setting, unless it fits."""
    name = owner if isinstance(owner, str) else type(owner).__name__
    for setting, value in values.items():
        if not fits(value):
            expected = message.format(setting)
            raise ValueError(f"{name}: {expected}, got {value!r:.300}")


# 01 What is a slope good for? · guards-kinds
def _instances(
    owner: Any, kind: Any, optional: bool = False, **values: Any
) -> None:
    """Objects of that kind; None as well, if they are optional."""
    kinds = (kind, type(None)) if optional else (kind,)
    message = f"{{}} must be of type {kind.__name__}"
    _demand(owner, lambda value: isinstance(value, kinds), message, **values)


# 01 What is a slope good for? · guards-numbers
_Real = int | float | np.integer | np.floating
_SIGNS: dict[str, Callable] = {"<": operator.lt, "<=": operator.le}
_FINITE, _SHARE = "-inf < {} < inf", "0 <= {} <= 1"


@lru_cache
def _between(bounds: str) -> Callable:
    """Whether something is a number between the bounds."""
    low, above, _, below, top = bounds.split()
    def fits(value: Any) -> Any:
        real = isinstance(value, _Real) and not isinstance(value, bool)
        over = real and _SIGNS[above](float(low), value)
        return over and _SIGNS[below](value, float(top))

    return fits


# 01 What is a slope good for? · guards-bounds
def _within(owner: Any, bounds: str = "0 <= {} < inf", **values: Any) -> None:
    """Numbers between bounds, which are written as in the error."""
    _demand(owner, _between(bounds), f"expected {bounds}", **values)


# 01 What is a slope good for? · guards-sizes
_WHOLE = "{} must be a whole number"


def _is_whole(n: Any, least: float = float("-inf")) -> bool:
    whole = isinstance(n, (int, np.integer)) and not isinstance(n, bool)
    return whole and n >= least


def _positive(owner: Any, least: int = 1, **sizes: Any) -> None:
    """Whole numbers of at least ``least``."""
    wanted = f"{{}} must be a whole number of at least {least}"
    _demand(owner, lambda n: _is_whole(n, least), wanted, **sizes)


# 01 What is a slope good for? · guards-switches
def _switch(owner: Any, **on: Any) -> None:
    """True or False: the text "False" would count as true."""
    wanted = "expected {} to be True or False"
    _demand(owner, lambda x: not np.iterable(x) and x in (0, 1), wanted, **on)


# 01 What is a slope good for? · unset
class _Unset:
    """An attribute read too early: it says so (a __get__ would be slow)."""

    def __set_name__(self, kind: type, name: str) -> None:
        self.name = name

    def _refuse(self, *_: Any) -> Any:
        raise AttributeError(f"no {self.name} (super().__init__ ran?)")

    __repr__ = __getattr__ = __len__ = __iter__ = _refuse
    __le__ = __ge__ = __ne__ = __neg__ = __mul__ = __array__ = _refuse


# 01 What is a slope good for? · setting
class _Setting(_Unset):
    """An attribute that is checked whenever it is set."""
    def __init__(self, look: Callable, *how: Any) -> None:
        self.look, self.how = look, how

    def __set__(self, owner: Any, value: Any) -> None:
        self.look(owner, *self.how, **{self.name: value})
        number = isinstance(value, np.generic)
        vars(owner)[self.name] = value.item() if number else value


# 01 What is a slope good for? · in-its-place
class _InItsPlace(_Unset):
    """An array; only one of the same shape may take its place."""
    def __set__(self, owner: Any, value: Any) -> None:
        new = value if isinstance(value, np.ndarray) else _floating(value)
        old = vars(owner).get(self.name, new)
        _of_shape(old.shape, new, f"{type(owner).__name__}.{self.name}")
        vars(owner)[self.name] = new


# 01 What is a slope good for? · walk
def _walk(gradient: Any, lr: Any, steps: Any) -> range:
    """So many steps, if the settings of gradient_descent make sense."""
    _instances("gradient_descent", Callable, gradient=gradient)
    _within("gradient_descent", _FINITE, lr=lr)
    _positive("gradient_descent", least=0, steps=steps)
    return range(steps)


# 01 What is a slope good for? · generator
_Seed = np.random.Generator | int | None


def _generator(owner: Any, rng: Any) -> np.random.Generator:
    """The generator given, or a new one from a seed."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        _positive(owner, least=0, rng=rng)
    return np.random.default_rng(rng)


# 02 How do I know a derivative is right? · each-element
def _each_element(slope: Callable, x: Any, grad_output: Any) -> np.ndarray:
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
def _upstream(output: Any, grad: Any, what: str = "grad_output") -> np.ndarray:
    """One factor for each output; 1 if there is a single output."""
    shape = _floating(output).shape
    if grad is not None:
        return _of_shape(shape, grad, what)
    if np.size(output) != 1:
        raise ValueError(
            f"an output of shape {shape} needs grad_output, one factor for "
            "each entry (ones would hide mistakes)"
        )
    return np.ones(shape)


# 02 How do I know a derivative is right? · numerical-gradient
def numerical_gradient(
    f: Callable, x: ArrayLike, grad_output: ArrayLike | None = None, *,
    h: float = 1e-5,
) -> np.ndarray:
    """Gradient of sum(grad_output * f(x)) by two-sided steps, eq:central.

    Shapes: x any, grad_output as f(x), result as x, always float64.
    Raises ValueError if f has several outputs and grad_output is missing.
    """
    x = _point("numerical_gradient", f, x, h)
    def slope(direction: np.ndarray) -> np.ndarray:
        rise = np.subtract(f(x + h * direction), f(x - h * direction))
        return rise / (2 * h)

    return _each_element(slope, x, _upstream(f(x), grad_output))


# 02 How do I know a derivative is right? · complex-step-gradient
def complex_step_gradient(
    f: Callable, x: ArrayLike, grad_output: ArrayLike | None = None, *,
    h: float = 1e-20,
) -> np.ndarray:
    """Gradient of sum(grad_output * f(x)) by a complex step, eq:complex-step.

    For analytic code only: no abs, no rounding to real numbers.
    Shapes as in numerical_gradient. Raises TypeError where f returns real
    numbers. Source: Lyness and Moler, 1967; Squire and Trapp, 1998.
    """
    x = _point("complex_step_gradient", f, x, h)
    def slope(direction: np.ndarray) -> np.ndarray:
        return np.imag(_off_axis(f, x + 1j * h * direction)) / h

    return _each_element(slope, x, _upstream(f(x), grad_output))


# 02 How do I know a derivative is right? · point
def _point(owner: str, f: Any, x: ArrayLike, h: Any) -> np.ndarray:
    """x in double precision; f and h are checked."""
    _instances(owner, Callable, f=f)
    _within(owner, "0 < {} < inf", h=h)
    return _floating(x).astype(float)


# 02 How do I know a derivative is right? · off-axis
def _off_axis(f: Callable, x: np.ndarray) -> np.ndarray:
    """f at complex numbers, which guards let pass while _stepping is true."""
    inside = copy_context()
    inside.run(_stepping.set, True)
    y = inside.run(f, x)
    if not np.iscomplexobj(y):
        raise TypeError(
            "f lost the imaginary part (abs, a norm, a cast?): "
            "use numerical_gradient"
        )
    return y


# 02 How do I know a derivative is right? · relative-error
def _largest(array: np.ndarray) -> float:
    """The largest absolute value; 0 for an empty array."""
    return float(np.max(np.abs(array), initial=0.0))


def _relative_error(computed: Any, measured: Any, floor: float = 0.0) -> float:
    """eq:relative-error; ValueError where the shapes differ."""
    computed = _of_shape(np.shape(measured), computed)
    difference = _largest(computed - measured)
    largest = max(_largest(computed), _largest(measured), floor)
    return difference / largest if difference else 0.0


# 02 How do I know a derivative is right? · claimed-slopes
def _claimed(layer, x, rest, grad_output):
    """What backward says: slopes in the input, then in each parameter."""
    probe = copy.deepcopy(layer)
    probe.forward(x, *rest)
    # a layer may have none: list() is empty
    parameters: list[Any] = getattr(probe, "parameters", list)()
    for parameter in parameters:
        parameter.requires_grad = True  # frozen ones, too
        parameter.grad[...] = 1.0
    grad = probe.backward(grad_output)
    if grad is None or isinstance(grad, tuple):
        kind, name = type(grad).__name__, type(layer).__name__
        raise TypeError(f"{name}.backward gives no array, but a {kind}")
    return [grad, *(parameter.grad - 1.0 for parameter in parameters)]


# 02 How do I know a derivative is right? · output-of-a-copy
def _output(layer, x, rest, position=0, value=None):
    """The output of a copy of the layer, one parameter's data replaced."""
    trial = copy.deepcopy(layer)
    if value is not None:
        trial.parameters()[position].data = value
        x = x.astype(value.dtype)  # or the imaginary part would be dropped
    return trial.forward(x, *rest)


# 02 How do I know a derivative is right? · measured-slopes
def _by_trial(layer, x, rest, grad_output, derivative):
    """The same slopes, from nothing but forward."""
    found = [derivative(lambda v: _output(layer, v, rest), x, grad_output)]
    for i, parameter in enumerate(getattr(layer, "parameters", list)()):
        at = partial(_output, layer, x, rest, i)
        found.append(derivative(at, parameter.data, grad_output))
    return found


# 02 How do I know a derivative is right? · claimed-sums
def _sums(layer, x, rest, small):
    """Sum of two answers, answer to the sum (both / 1000)."""
    large = -1e3 * np.flip(small)
    grads = small, large, small + large
    answers = [_claimed(layer, x, rest, grad) for grad in grads]
    for one, other, both in zip(*answers):
        yield (one + other) / 1e3, both / 1e3


# 02 How do I know a derivative is right? · gradient-errors
def gradient_errors(
    layer: Any, x: ArrayLike, *rest: Any, rng: _Seed = None,
    derivative: Callable = numerical_gradient,
) -> list[float]:
    """eq:relative-error of the input's gradient, then each parameter's.

    What gradcheck finds, in parts.
    """
    if isinstance(layer, type) or not hasattr(layer, "backward"):
        raise TypeError(f"expected a layer with a backward, got {layer}")
    _instances("gradcheck", Callable, derivative=derivative)
    x = _floating(x).astype(float)
    x.flags.writeable = False
    shape = np.shape(_output(layer, x, rest))
    seed = _generator("gradcheck", rng).integers(2**63)
    own = np.random.default_rng(seed)  # x may have been drawn from rng, too
    grad = np.asarray(own.normal(size=shape))
    grad.flags.writeable = False
    measured = _by_trial(layer, x, rest, grad, derivative)
    floor = 1e-3 * max(map(_largest, measured))
    by_trial = zip(_claimed(layer, x, rest, grad), measured)
    both = zip(by_trial, _sums(layer, x, rest, grad))
    errors = [[_relative_error(u, v, floor) for u, v in two] for two in both]
    return [float(np.max(two)) for two in errors]


# 02 How do I know a derivative is right? · gradcheck
def gradcheck(
    layer: Any, x: ArrayLike, *rest: Any, rng: _Seed = None,
    derivative: Callable = numerical_gradient,
) -> float:
    """Largest relative error of ``layer.backward``.

    Compares every element of the gradients of input and parameters with
    ``derivative`` under a random upstream gradient, in which backward must
    be linear. ``rest`` is handed to forward after x. The layer itself is
    not touched. Expect below 1e-7, or 1e-12 with ``complex_step_gradient``.
    """
    found = gradient_errors(layer, x, *rest, rng=rng, derivative=derivative)
    return float(np.max(found))  # unlike max, np.max passes on a nan


# 03 Why backwards? · parameter
class Parameter:
    """Numbers that training may change, and their gradient.

    ``data`` and ``grad`` have the same shape and dtype; grad starts at 0.
    Write into them, ``data[...] = new``: others may hold on to them. But
    not between forward and backward, which reads the data again. With
    ``requires_grad`` False grad stays 0, and no optimizer moves the data.
    Raises TypeError for anything but numbers, ValueError for other shapes.
    """
    data: Any = _InItsPlace()
    requires_grad: Any = _Setting(_switch)
    def __init__(self, data: ArrayLike, requires_grad: bool = True) -> None:
        self.data = _floating(data).copy()
        self.grad: Any = np.zeros_like(self.data)
        self.requires_grad = requires_grad

    # 03 Why backwards? · parameter-grad
    @property
    def grad(self) -> np.ndarray:
        """The sum of what was added since it was last cleared."""
        if self._cleared or not self.requires_grad:  # type: ignore[has-type]
            self._grad[...] = 0.0
            self._cleared = False
        return self._grad

    @grad.setter
    def grad(self, grad: ArrayLike | None) -> None:
        if grad is not None and grad is not (mine := vars(self).get("_grad")):
            new, kind = _of_shape(self.shape, grad, "grad"), self.dtype
            if mine is None or mine.dtype != kind:
                self._grad: np.ndarray = np.empty(new.shape, kind)
            self._grad[...] = new
        self._cleared = grad is None

    # 03 Why backwards? · parameter-product
    def _add_product(self, left: np.ndarray, right: np.ndarray) -> None:
        """grad += left @ right, of at most two axes each"""
        alike = left.dtype == right.dtype == self._grad.dtype
        if self._cleared and self.requires_grad and alike:
            left.dot(right, out=self._grad)
            self._cleared = False
        else:
            self._add(left @ right)

    # 03 Why backwards? · parameter-add
    def _add(self, slopes: np.ndarray) -> None:
        """grad += slopes, in the shape of grad"""
        if self._cleared and self.requires_grad:
            self._grad[...] = slopes
            self._cleared = False
        elif self.requires_grad:
            self._grad += slopes

    # 03 Why backwards? · parameter-array
    def __repr__(self) -> str:
        return f"Parameter{self.data.shape}"

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("a Parameter is not an array: its numbers are .data")

    def __array_function__(self, *_: Any) -> None:
        self.__array__()  # np.array_equal would say False instead

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "size", "ndim", "dtype"):
            return getattr(self.data, name)
        raise AttributeError(f"a Parameter has no {name}")

    # 03 Why backwards? · parameter-size
    def numel(self) -> int:
        """How many numbers."""
        return self.data.size


# 03 Why backwards? · memory
class _Memory:
    """What layers and losses share: a memory of the last forward."""

    _cache: Any = None
    _made: Any = None  # shape and precision of the last output
    _runs = 0  # forwards since the last backward; after it, less than 0
    _fitted: tuple = ()  # the shapes that came last
    _pass: Any = None  # of the network that it ran for last, chapter 7
    takes_lengths: bool = False  # has forward(x, lengths=…), chapter 20

    def _saved(self) -> Any:
        """What the last forward kept."""
        if self._cache is None:
            raise RuntimeError(f"{self}: backward was called before forward")
        return self._cache

    # 03 Why backwards? · options
    def __call__(self, *inputs: ArrayLike, **options: Any) -> Any:
        return self.forward(*inputs, **options)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        settings = ", ".join(
            f"{name}={value!r}" for name, value in vars(self).items()
            if isinstance(value, (int, float, str, tuple))
            and name != "training" and not name.startswith("_")
        )
        return f"{type(self).__name__}({settings})"

    # 03 Why backwards? · count-runs
    def _count(self, backward: bool) -> None:
        """Notice what can only be a mistake: forward twice, then backward."""
        if not backward:  # what the last forward kept is of no more use
            self._cache = self._made = self._pass = None
            self._runs = 1 + (self._runs > 0)
            return
        if self._runs < -1:
            raise RuntimeError(
                f"{self}: two forwards, then two backwards; only the last is "
                "remembered, so call backward after each, or forward again"
            )
        self._runs = -abs(self._runs)

    # 03 Why backwards? · guards-shapes
    def _expect(self, x: Any, *shape: Any, what: str = "input") -> np.ndarray:
        """x as floating-point numbers; a name in ``shape`` fits any size."""
        array = _floating(x)
        if what == "input":
            self._count(backward=False)
        if array.shape != shape and self._fitted != (shape, array.shape):
            self._compare(array.shape, shape, what)
            self._fitted = shape, array.shape
        return array

    # 03 Why backwards? · compare-shapes
    def _compare(self, found: tuple, shape: tuple, what: str) -> None:
        """Raise ValueError unless the shape found is as expected."""
        if ... in shape:
            at = shape.index(...)
            inner = found[at : at + 1 + len(found) - len(shape)]
            shape = (*shape[:at], *inner, *shape[at + 1 :])
        fits = [isinstance(w, str) or w == n for w, n in zip(shape, found)]
        if len(found) != len(shape) or not all(fits):
            wanted = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
            raise ValueError(
                f"{self}: expected {what} of shape ({wanted}), got {found}"
            )

    # 03 Why backwards? · memory-ends
    def _leave(self, y: np.ndarray, kept: Any) -> np.ndarray:
        """The output y; ``backward`` will want what is kept."""
        self._cache, self._made = kept, (y.shape, y.dtype)
        return y

    def _received(self, grad_output: ArrayLike) -> tuple[np.ndarray, Any]:
        """The gradient of the last output, and what was kept."""
        kept, grad = self._saved(), _floating(grad_output)
        self._count(backward=True)
        shape, dtype = self._made or (grad.shape, grad.dtype)
        if grad.shape != shape:
            self._compare(grad.shape, shape, "grad_output")
        return grad.astype(dtype, copy=False), kept


# 03 Why backwards? · layer
class Layer(_Memory):
    """One step of a network: a value forwards, a gradient backwards (eq:vjp).

    ``backward`` answers for the last forward, and changes no argument.
    """

    training: bool = True  # or evaluating, chapter 12

    def forward(self, x: ArrayLike) -> np.ndarray:
        """The output for x, whose first axis counts examples."""
        raise NotImplementedError(f"{self} has no forward")

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        """dL/dx in the shape of x, from dL/dy in the shape of the output."""
        raise NotImplementedError(f"{self} has no backward")

    # 03 Why backwards? · layer-parameters
    def parameters(self) -> list[Parameter]:
        """The parameters of this layer and of those inside it, each once."""
        return [*self._named(Parameter)]

    def zero_grad(self) -> None:
        """Clear the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    # 03 Why backwards? · layer-contents
    def _own(self) -> list[tuple[Any, Any]]:
        """Its attributes, but for numbers and what the last forward left."""
        own = [p for p in vars(self).items() if type(p[1]) not in _NUMBERS]
        return [p for p in own if p[0] not in _PASSING]

    def _contents(self, prefix: str = "") -> list[tuple[str, Any]]:
        """This layer, and all that it and the layers inside hold."""
        return [(prefix, self), *_entries(self._own(), prefix, {self})]

    # 03 Why backwards? · layer-names
    def _named(self, kind: type) -> dict[Any, str]:
        """All of that kind, each with the name that is found first."""
        found: dict[Any, str] = {}
        for name, member in self._contents():
            if isinstance(member, kind):
                found.setdefault(member, name)
        return found

    def modules(self) -> list[Layer]:
        """This layer and all that it contains, each once."""
        return [*self._named(Layer)]

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """(name, parameter) pairs; inner layers' names get a prefix."""
        return [(name, p) for p, name in self._named(Parameter).items()]

    # 03 Why backwards? · layer-training
    def train(self, mode: bool = True) -> Self:
        """Switch to training (or evaluation) and return the layer."""
        _switch(self, mode=mode)
        for layer in self.modules():
            layer.training, layer._runs = mode, min(layer._runs, 0)
        return self

    def eval(self) -> Self:
        """Switch to evaluation and return the layer."""
        return self.train(False)

    def accumulate(self, grad_output: ArrayLike) -> None:
        """``backward`` where nobody asks for the gradient of the input."""
        self.backward(grad_output)

    # 03 Why backwards? · layer-dtype
    def to(self, dtype: str | type) -> Self:
        """Convert the parameters to "float32" or "float64"; returns itself.

        Before an optimizer takes them. Raises ValueError for other dtypes.
        """
        name = getattr(dtype, "__name__", str(dtype))
        if name not in ("float32", "float64", "float"):
            raise ValueError(f"expected float32 or float64, got {name}")
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(name)
            parameter.grad = parameter.grad.astype(name)
        return self

    # 03 Why backwards? · layer-buffers
    def named_buffers(self) -> list[tuple[str, Any]]:
        """(name, array) pairs of what the layers keep in ``buffers``."""
        return [
            (prefix + name, value) for prefix, layer in self._contents()
            for name, value in getattr(layer, "buffers", {}).items()
        ]

    # 03 Why backwards? · layer-arrays
    def _arrays(self) -> dict[str, np.ndarray]:
        """Parameters' data and buffers, by name; themselves, not copies."""
        found: dict[str, np.ndarray] = {}
        data = [(name, p.data) for name, p in self.named_parameters()]
        for name, array in data + self.named_buffers():
            if name in found:
                raise ValueError(f"two members have the name {name}")
            if not isinstance(array, np.ndarray) or array.dtype.hasobject:
                raise TypeError(f"{name} is no array of numbers: {array!r}")
            found[name] = array
        return found

    # 03 Why backwards? · layer-state
    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters' data and of the buffers, by name."""
        return {name: a.copy() for name, a in self._arrays().items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Write such arrays back, in place: all of them or none.

        Raises ValueError where names or shapes differ, or for no numbers.
        """
        ours = self._arrays()
        _overwrite(ours, _agreed(ours, state_dict))


# 03 Why backwards? · passing
_PASSING = {"_cache", "_made", "_fitted", "_shapes", "_pass"}
_NUMBERS = {int, float, bool, str, type(None)}


# 03 Why backwards? · entries
def _entries(pairs: Iterable, prefix: str = "", seen: Any = None) -> list:
    """Names and members, and all that lists and layers among them hold."""
    found, seen = [], set() if seen is None else seen
    for name, member in pairs:
        if isinstance(member, (list, tuple)):
            found += _entries(enumerate(member), f"{prefix}{name}.", seen)
        elif isinstance(member, dict):
            found += _entries(member.items(), f"{prefix}{name}.", seen)
        elif not isinstance(member, Layer):
            found.append((f"{prefix}{name}", member))
        elif member not in seen:
            seen.add(member)
            found.append((f"{prefix}{name}.", member))
            found += _entries(member._own(), f"{prefix}{name}.", seen)
    return found


# 03 Why backwards? · agree
def _agree(
    ours: Mapping, theirs: Mapping, kind: Callable = np.shape, what: str = ""
) -> None:
    """Raise ValueError unless both have the same kinds under all names."""
    for name in sorted(ours.keys() | theirs.keys()):
        here, there = (
            kind(each[name]) if name in each else "missing"
            for each in (ours, theirs)
        )
        if here != there:
            raise ValueError(f"{what}{name} is {there} there, {here} here")


# 03 Why backwards? · overwrite
def _agreed(ours: Mapping, theirs: Any) -> dict[str, np.ndarray]:
    """Theirs as arrays, which have the names and shapes of ours."""
    _instances("load_state_dict", Mapping, state_dict=theirs)
    new = {name: _as_array(array) for name, array in theirs.items()}
    _agree(ours, new, lambda a: a.shape if a.dtype.kind in "biuf" else a.dtype)
    return new


def _overwrite(ours: Mapping, new: Mapping) -> None:
    for name, array in ours.items():
        array[...] = new[name]


# 03 Why backwards? · fixed
class _Fixed(_Unset):
    """An attribute that is set once; a Parameter may replace a Parameter."""
    def __set__(self, owner: Any, value: Any = None) -> None:
        value = int(value) if isinstance(value, np.integer) else value
        old = vars(owner).setdefault(self.name, value)
        fits = type(old) is type(value) in (int, tuple) and old == value
        stays = f"{{}} stays (make a new {type(owner).__name__})"
        if isinstance(old, Parameter | None):
            gone = value is None and "bias" in self.name
            fits = isinstance(value, Parameter)
            fits = gone or (fits and value.shape == (old or value).shape)
            stays = "{} stays (or a Parameter of its shape takes its place)"
        _demand(owner, lambda v: v is old or fits, stays, **{self.name: value})
        vars(owner)[self.name] = value

    __delete__ = __set__


# 03 Why backwards? · fixed-attributes
def _fixed(count: int, once: bool = True) -> Any:
    """So many attributes of that kind, or that may be set again."""
    return [_Fixed() if once else _Unset() for _ in range(count)]


# 04 The linear layer · linear-forward
class Linear(Layer):
    """Fully connected layer, Y = XW + b (eq:linear).

    Shapes: input (N, …, in_features), output (N, …, out_features), weight
    (in_features, out_features), bias (out_features,) or None.
    Raises ValueError for an input of another shape.
    """
    in_features, out_features, weight, bias = _fixed(4)
    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", ..., self.in_features)
        y = _rows(x).dot(self.weight.data)
        if self.bias is not None:
            y += self.bias.data  # eq:linear
        return self._leave(_unfolded(y, x), x.copy())

    # 04 The linear layer · linear-start
    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *,
        rng: _Seed = None,
    ) -> None:
        _positive(self, in_features=in_features, out_features=out_features)
        _switch(self, bias=bias)
        self.in_features, self.out_features = in_features, out_features
        rng, bound = _generator(self, rng), 1 / in_features**0.5
        shapes = (in_features, out_features), out_features
        drawn = [Parameter(rng.uniform(-bound, bound, s)) for s in shapes]
        self.weight, self.bias = drawn[0], drawn[1] if bias else None

    # 04 The linear layer · linear-backward
    def accumulate(self, grad_output: ArrayLike) -> None:
        grad, x = map(_rows, self._received(grad_output))
        self.weight._add_product(x.T, grad)  # eq:linear-dw
        if self.bias is not None:
            ones = _ones(len(grad), grad.dtype)
            self.bias._add_product(grad.T, ones)  # eq:linear-db

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        self.accumulate(grad_output)
        grad = _rows(_floating(grad_output))
        dx = grad.dot(self.weight.data.T)  # eq:linear-dx
        return _unfolded(dx, self._saved())

    # 04 The linear layer · linear-repr
    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        sizes = f"{self.in_features}, {self.out_features}"
        return f"{type(self).__name__}({sizes}{bias})"


# 04 The linear layer · ones
@lru_cache(maxsize=16)
def _ones(size: int, dtype: np.dtype) -> np.ndarray:
    """A vector of ones; the last few are kept, so do not write into it."""
    return np.ones(size, dtype)


# 04 The linear layer · rows
def _rows(x: np.ndarray) -> np.ndarray:
    """x as a table: all axes but the last count rows."""
    if x.ndim == 2:
        return x
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _unfolded(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Such a table with the other axes of x, and in its precision."""
    if x.ndim == 2 and rows.dtype is x.dtype:
        return rows  # as almost always
    y = rows.reshape(*x.shape[:-1], rows.shape[1])
    return y.astype(x.dtype, copy=False)


# 04 The linear layer · row-sums
def _sum(rows: np.ndarray) -> np.ndarray:
    """The sum of each row, as a product with ones."""
    return rows.dot(_ones(rows.shape[-1], rows.dtype))


# 04 The linear layer · flatten
class Flatten(Layer):
    """One row for each example: (N, …) to (N, product of the rest)."""

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", ...)
        rows = x.reshape(len(x), math.prod(x.shape[1:]))
        return self._leave(rows, x.shape)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, shape = self._received(grad_output)
        return grad.reshape(shape)


# 05 Something that bends: activations · activation
_Pair = tuple[np.ndarray, np.ndarray]


class Activation(Layer):
    """A function applied to every entry alone; any shape in, same out.

    A subclass writes ``value_and_slope``. Backward is eq:elementwise.
    """

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        """f(x) and f'(x), both in the shape of x."""
        raise NotImplementedError(f"{self} has no value_and_slope")

    # 05 Something that bends: activations · activation-passes
    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, ...)
        y, slope = self.value_and_slope(x)
        return self._leave(y.astype(x.dtype, copy=False), slope)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, slope = self._received(grad_output)
        dx = grad * slope  # eq:elementwise
        return dx.astype(grad.dtype, copy=False)

    # 05 Something that bends: activations · activation-slope
    def slope(self, x: ArrayLike) -> np.ndarray:
        """f'(x), in the shape of x."""
        x = _floating(x)
        return self.value_and_slope(x)[1].astype(x.dtype, copy=False)


# 05 Something that bends: activations · tanh
class Tanh(Activation):
    """The hyperbolic tangent, eq:tanh; slope 0 where it rounds to 1 or -1."""

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        y = np.tanh(x)
        return y, 1 - y * y  # eq:tanh-slope


# 05 Something that bends: activations · sigmoid
class Sigmoid(Activation):
    """eq:sigmoid, computed as eq:sigmoid-safe, which cannot overflow.

    >>> Sigmoid()(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        e = np.exp(np.minimum(x, -x))
        total = 1 + e
        return np.maximum(e, x >= 0) / total, e / (total * total)


# 05 Something that bends: activations · relu
class ReLU(Activation):
    """Rectified linear unit, eq:relu; the slope at 0 is 0.

    >>> ReLU()(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        return x.clip(0, np.inf), x > 0  # eq:relu-slope

    # 05 Something that bends: activations · relu-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, on = self._received(grad_output)
        return _only(on, grad)


# 05 Something that bends: activations · leaky-relu
class LeakyReLU(Activation):
    """eq:leaky-relu; ``negative_slope`` is its alpha.

    Raises ValueError unless that is a finite number.
    Source: Maas, Hannun and Ng, 2013.
    """
    negative_slope: Any = _Setting(_within, _FINITE)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        slope = np.where(x > 0, x.dtype.type(1), self.negative_slope)
        return x * slope, slope  # eq:leaky-relu-slope


# 05 Something that bends: activations · elu
class ELU(Activation):
    """Exponential linear unit, eq:elu.

    Raises ValueError unless ``alpha`` is a finite number.
    Source: Clevert, Unterthiner and Hochreiter, 2016.
    """
    alpha: Any = _Setting(_within, _FINITE)
    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        low = np.minimum(x, 0)  # so expm1 cannot overflow
        y = np.where(x > 0, x, self.alpha * np.expm1(low))
        slope = np.where(x > 0, 1.0, self.alpha * np.exp(low))
        return y, slope  # eq:elu-slope


# 05 Something that bends: activations · softplus-silu
class Softplus(Activation):
    """ln(1 + e^x), eq:softplus, in a form that cannot overflow."""

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        slope, _ = Sigmoid().value_and_slope(x)
        return np.logaddexp(0, x), slope  # eq:softplus-slope


class SiLU(Activation):
    """x times sigmoid(x), eq:silu, also known as swish."""

    def value_and_slope(self, x: np.ndarray) -> _Pair:
        s, slope = Sigmoid().value_and_slope(x)
        return x * s, s + x * slope  # eq:silu-slope


# 05 Something that bends: activations · gelu
# 1 - erf, without losing digits; math has it for one number at a time
_erfc = np.vectorize(math.erfc, otypes=[float])


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    """Share of a standard normal distribution below x."""
    return (0.5 * _erfc(-x / 2**0.5)).astype(x.dtype)


# 05 Something that bends: activations · one-of
def _one_of(owner: Any, *names: str, **values: Any) -> None:
    """One of these names."""
    *most, last = map(repr, names)
    fits = f"{{}} is {', '.join(most)}{' or ' * bool(most)}{last}"
    _demand(owner, lambda x: isinstance(x, str) and x in names, fits, **values)


# 05 Something that bends: activations · gelu-slope
class GELU(Activation):
    """x times the normal distribution's share below x, eq:gelu.

    ``approximate="tanh"`` is faster and off by up to 5e-4 (eq:gelu-tanh).
    Raises ValueError for another name. Source: Hendrycks, Gimpel, 2016.
    """
    approximate: Any = _Setting(_one_of, "none", "tanh")
    def value_and_slope(self, x: np.ndarray) -> _Pair:
        near = np.clip(x, -40, 40)  # beyond, 0 or 1; no overflow
        if self.approximate != "none":
            return self._with_tanh(x, near)
        share = _normal_cdf(x)
        density = np.exp(-0.5 * near * near) / (2 * math.pi) ** 0.5
        return x * share, share + near * density  # eq:gelu-slope

    # 05 Something that bends: activations · gelu-settings
    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    # 05 Something that bends: activations · gelu-tanh
    def _with_tanh(self, x: np.ndarray, near: np.ndarray) -> _Pair:
        factor, cubic = (2 / math.pi) ** 0.5, 0.044715
        slope = near * near  # cheaper than a power
        share = factor * cubic * slope
        share += factor
        share *= near  # eq:gelu-inner
        share = np.tanh(share)
        share *= 0.5
        share += 0.5
        slope *= 6 * factor * cubic
        slope += 2 * factor
        slope *= near * share
        slope *= 1 - share
        slope += share  # eq:gelu-tanh-slope
        return x * share, slope  # eq:gelu-tanh


# 05 Something that bends: activations · softmax
class Softmax(Layer):
    """Probabilities from logits along ``axis``, eq:softmax-safe.

    Any shape in, same out. Raises ValueError for a single number, or for
    an axis that is not a whole number.
    """

    axis: Any = _Setting(_demand, _is_whole, _WHOLE)

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    # 05 Something that bends: activations · softmax-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        """The probabilities, in the shape of x.

        >>> Softmax()(np.array([1000.0, 1000.0, 0.0]))
        array([0.5, 0.5, 0. ])
        """
        x = self._expect(x, ..., "K")
        top = x.max(self.axis, keepdims=True, initial=-np.inf)  # if empty
        e = np.exp(x - top)
        p = e / e.sum(axis=self.axis, keepdims=True)
        return self._leave(p.copy(), p)

    # 05 Something that bends: activations · softmax-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, p = self._received(grad_output)
        average = (grad * p).sum(axis=self.axis, keepdims=True)
        return p * (grad - average)  # eq:softmax-vjp


# 05 Something that bends: activations · only
def _only(on: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """grad where ``on`` is true, elsewhere 0."""
    flat = grad.ravel("K")
    if abs(np.vdot(flat, flat)) < np.inf:
        return grad * on
    return np.where(on, grad, 0)  # slow, but 0 times inf would be nan


# 06 What do we want? Losses · loss
class Loss(_Memory):
    """One number for how wrong a prediction is.

    ``reduction`` is "mean" (over all entries; over examples for
    cross-entropy), "sum", or "none": then forward returns all terms, and
    backward wants a weight for each.
    Raises ValueError for another name.
    """

    reduction: str = "mean"

    def value_and_slope(self, x: np.ndarray, target: np.ndarray) -> _Pair:
        """The losses, not yet averaged, and the slope of each in x."""
        raise NotImplementedError(f"{self} has no value_and_slope")

    # 06 What do we want? Losses · loss-forward
    def forward(
        self, prediction: ArrayLike, target: ArrayLike, mask: Any = None
    ) -> Any:
        """The loss as one number; all terms if the reduction is "none".

        Only examples where ``mask`` is true count, if it is given.
        Raises ValueError where shapes differ or a mean has no terms.
        """
        values, slopes, count = self._examined(prediction, target, mask)
        scale = 1 / float(count) if self.reduction == "mean" else 1.0
        self._cache = values.shape, slopes, scale
        if self.reduction == "none":
            return values.copy()
        return scale * values.sum().item()

    # 06 What do we want? Losses · loss-backward
    def backward(self, grad_output: ArrayLike = 1.0) -> np.ndarray:
        """dL/dprediction, in the prediction's shape, times grad_output.

        Raises RuntimeError before the first forward, and where a second
        backward follows two forwards.
        """
        shape, slopes, scale = self._saved()
        self._count(backward=True)
        if self.reduction == "none":
            return self._each(slopes, shape, grad_output)
        if type(grad_output) is not float:
            grad_output = _of_shape((), grad_output, "grad_output").item()
        return scale * grad_output * slopes

    # 06 What do we want? Losses · loss-target
    def _target(self, x: np.ndarray, target: ArrayLike) -> np.ndarray:
        """The target in the form and precision of the prediction x."""
        target = _floating(target)
        if target.shape != x.shape:
            self._compare(target.shape, x.shape, "target")
        return target.astype(x.dtype, copy=False)

    def _terms(self, x: np.ndarray, target: np.ndarray) -> tuple:
        """Values, slopes, and what the mean divides by."""
        values, slopes = self.value_and_slope(x, self._target(x, target))
        return values, slopes, values.size

    # 06 What do we want? Losses · loss-examined
    def _examined(self, prediction: Any, target: Any, mask: Any) -> tuple:
        self._count(backward=False)
        if self.reduction != "mean":
            _one_of(self, "mean", "sum", "none", reduction=self.reduction)
        x, target = _floating(prediction), _as_array(target)
        values, slopes, count = self._masked(x, target, mask)
        if not count and self.reduction == "mean":
            raise ValueError(f"{self}: the batch is empty, or all weighs 0")
        return values, slopes, count

    # 06 What do we want? Losses · loss-reduction
    def __init__(self, reduction: str = "mean") -> None:
        _one_of(self, "mean", "sum", "none", reduction=reduction)
        self.reduction = reduction

    def __str__(self) -> str:
        return type(self).__name__

    def _each(self, slopes: Any, shape: tuple, grad: Any) -> np.ndarray:
        """The slopes, each term's times the gradient that it gets."""
        grad = _upstream(np.empty(shape), grad).astype(slopes.dtype)
        return slopes * grad.reshape(shape + (1,) * (slopes.ndim - grad.ndim))

    # 06 What do we want? Losses · loss-mask
    def _masked(self, x: np.ndarray, target: np.ndarray, mask: Any) -> tuple:
        """The terms of the examples that count; zeros for the others."""
        if mask is None:
            return self._terms(x, target)
        mask = _of_shape(x.shape[: np.ndim(mask)], mask, "a mask")
        if not np.isin(mask, (0, 1)).all():
            raise ValueError(f"{self}: a mask is True or False, got {mask!r}")
        mask = mask.astype(bool)
        some, its, count = self._terms(x[mask], target[mask])
        values = np.zeros(mask.shape + some.shape[1:], some.dtype)
        values[mask], slopes = some, np.zeros_like(x)
        slopes[mask] = its
        return values, slopes, count


# 06 What do we want? Losses · mse
class MSELoss(Loss):
    """Mean squared error, eq:mse; prediction and target of the same shape.

    >>> MSELoss()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    def value_and_slope(self, x: np.ndarray, target: np.ndarray) -> _Pair:
        difference = x - target
        return difference * difference, 2 * difference  # eq:mse-grad


# 06 What do we want? Losses · l1-loss
class L1Loss(Loss):
    """Mean absolute error, eq:l1-loss; the slope at 0 is 0."""

    def value_and_slope(self, x: np.ndarray, target: np.ndarray) -> _Pair:
        difference = x - target
        return np.abs(difference), np.sign(difference)  # eq:l1-loss-grad


# 06 What do we want? Losses · huber
class HuberLoss(Loss):
    """Square up to ``delta``, straight beyond (eq:huber).

    Raises ValueError unless delta is above 0. Source: Huber, 1964.
    """
    delta: Any = _Setting(_within, "0 < {} < inf")

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def value_and_slope(self, x: np.ndarray, target: np.ndarray) -> _Pair:
        difference = x - target
        slope = np.clip(difference, -self.delta, self.delta)  # eq:huber-grad
        return slope * (difference - 0.5 * slope), slope


# 06 What do we want? Losses · cross-entropy
class CrossEntropyLoss(Loss):
    """Softmax and cross-entropy in one step, eq:ce-logits.

    Shapes: logits (N, …, K); target integer labels (N, …) or
    probabilities (N, …, K). The mean is over all labels except those
    equal to ``ignore_index``; ``weight`` (K,) multiplies each class, and
    the mean of labels is then weighted. ``label_smoothing`` spreads that
    share over all classes (chapter 12, eq:label-smoothing).
    Raises ValueError for other shapes, labels outside 0…K-1, or rows that
    are not probabilities. Source: Bridle, 1990.
    """

    ignore_index, (weight,) = -100, _fixed(1, once=False)
    label_smoothing: Any = _Setting(_within, _SHARE)

    # 06 What do we want? Losses · cross-entropy-shares
    def _of_shares(self, logs: Any, p: Any, target: Any) -> _Pair:
        """The same for rows of any sum; a row of zeros does not count."""
        value = np.vecdot(target, np.where(target != 0, -logs, 0))  # eq:ce
        mass = target.sum(axis=-1, keepdims=True, dtype=p.dtype)
        return value, mass * p - target

    # 06 What do we want? Losses · cross-entropy-target
    def _target(self, x: np.ndarray, target: ArrayLike) -> np.ndarray:
        if x.ndim < 2 or not x.shape[-1]:
            raise ValueError(f"{self}: expected logits (N, K), got {x.shape}")
        given = np.asarray(target)
        if given.shape == x.shape[:-1] and given.dtype.kind in "iu":
            return _one_hot(given, x.shape[-1], self.ignore_index)
        if given.shape == x.shape:
            return _probabilities(_floating(given)).astype(x.dtype, copy=False)
        raise ValueError(
            f"{self}: expected integer labels of shape {x.shape[:-1]} or "
            f"probabilities of shape {x.shape}, got {given.dtype} of shape "
            f"{given.shape}"
        )

    # 06 What do we want? Losses · cross-entropy-slope
    def value_and_slope(self, x: np.ndarray, target: np.ndarray) -> _Pair:
        shifted = x - np.maximum.reduce(x, axis=-1, keepdims=True)
        p = np.exp(shifted)
        total = _sum(p)  # of each row
        p /= total[..., None]
        value = np.log(total)
        if target.dtype == bool and np.count_nonzero(target) == total.size:
            value -= shifted[target].reshape(value.shape)  # eq:ce-logits
            return value, p - target  # eq:ce-grad
        return self._of_shares(shifted - value[..., None], p, target)

    # 06 What do we want? Losses · cross-entropy-options
    def __init__(
        self, reduction: str = "mean", label_smoothing: float = 0.0, *,
        weight: ArrayLike | None = None, ignore_index: int = -100,
    ) -> None:
        super().__init__(reduction)
        _demand(self, _is_whole, _WHOLE, ignore_index=ignore_index)
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index
        self.weight = weight
        if weight is not None:
            self.weight = self._weights(None)

    # 06 What do we want? Losses · cross-entropy-weights
    def _weights(self, shape: Any) -> np.ndarray:
        """The weights, if there is one for each class."""
        weight = _as_array(self.weight).ravel()
        real = weight.dtype.kind in "fiu"
        fits = real and np.all((weight >= 0) & (weight < np.inf))
        _demand(self, lambda _: fits, "expected 0 <= {} < inf", weight=weight)
        if shape:
            self._compare(weight.shape, shape[-1:], "weight")
        return weight

    # 06 What do we want? Losses · cross-entropy-terms
    def _terms(self, x: np.ndarray, target: np.ndarray) -> tuple:
        table, weight = self._target(x, target), self.weight
        if weight is not None:
            weight = self._weights(x.shape)
        count: Any = math.prod(x.shape[:-1])
        if table.dtype == bool:
            count = np.count_nonzero(table)
            count = count if weight is None else (table @ weight).sum()
        if self.label_smoothing:
            table = self._smoothed(table).astype(x.dtype)
        if weight is not None:
            table = (table * weight).astype(x.dtype)
        return *self.value_and_slope(x, table), count

    # 12 Not by heart: regularisation · label-smoothing
    def _smoothed(self, table: np.ndarray) -> np.ndarray:
        share, mean = self.label_smoothing, table.mean(axis=-1, keepdims=True)
        return (1 - share) * table + share * mean  # eq:label-smoothing


# 06 What do we want? Losses · class-targets
def _first_bad(bad: Any, array: Any, what: str, wanted: str) -> None:
    """Raise ValueError for the first place that is bad, if there is one."""
    for index in np.argwhere(bad):
        found = f"{array[tuple(index)]} at index {', '.join(map(str, index))}"
        raise ValueError(f"{what} {found}: expected {wanted}")


def _one_hot(labels: np.ndarray, classes: int, ignored: int) -> np.ndarray:
    """A row for each label, true at its place; none for the ignored."""
    _demand("CrossEntropyLoss", _is_whole, _WHOLE, ignore_index=ignored)
    table = labels[..., None] == np.arange(classes)
    if 0 <= ignored < classes:
        table[..., ignored] = False
    if np.count_nonzero(table) != labels.size:
        bad = ~table.any(axis=-1) & (labels != ignored)
        _first_bad(bad, labels, "label", f"0 to {classes - 1}")
    return table


# 06 What do we want? Losses · class-probabilities
def _probabilities(rows: np.ndarray) -> np.ndarray:
    """The rows, if they are probabilities; small deviations removed."""
    total = rows.sum(axis=-1, keepdims=True)
    fits = (abs(total - 1) <= 1e-4) & (rows >= 0)
    if not fits.all():
        bad, wanted = ~fits.all(axis=-1), "probabilities that sum to 1"
        _first_bad(bad, rows, "target row", wanted)
    return rows / total


# 06 What do we want? Losses · bce
class BCEWithLogitsLoss(Loss):
    """Sigmoid and binary cross-entropy in one step, eq:bce-logits.

    Logits and targets in one shape; targets between 0 and 1.
    Raises ValueError for other shapes or targets.
    """

    def value_and_slope(self, x: np.ndarray, target: np.ndarray) -> _Pair:
        no, p = Softplus().value_and_slope(x)
        yes, q = Softplus().value_and_slope(-x)
        value = target * yes + (1 - target) * no  # eq:bce-logits
        return value, (1 - target) * p - target * q  # eq:bce-grad

    # 06 What do we want? Losses · bce-target
    def _target(self, x: np.ndarray, target: ArrayLike) -> np.ndarray:
        array = super()._target(x, target)
        bad = ~((array >= 0) & (array <= 1))
        _first_bad(bad, array, f"{self}: target", "a number from 0 to 1")
        return array


# 07 A network learns · network
class Network(Layer):
    """Layers in a row, and perhaps a loss at the end. Itself a Layer.

    ``backward`` is eq:net-ds to eq:net-dx for any layers.
    Raises TypeError for what is not a Layer or a Loss, ValueError for a
    layer object that is used twice (it remembers only its last forward).
    """

    takes_lengths = True
    criterion, layers = _fixed(2, once=False)

    def __init__(self, *layers: Layer, loss: Loss | None = None) -> None:
        self._shapes: list[tuple] = []
        self.criterion, self.layers = loss, list(layers)
        self._admit(layers)

    # 07 A network learns · network-forward
    def forward(self, x: ArrayLike, lengths: Any = None) -> np.ndarray:
        """The output of the last layer; lengths go to layers with them."""
        y = self._begin(x)
        for layer in self.layers:
            y = self._run(layer, y, lengths)
            self._shapes.append(y.shape)
        return y

    def loss(
        self, x: ArrayLike, target: ArrayLike, lengths: Any = None
    ) -> Any:
        """Forward, then the loss. Raises RuntimeError if there is none."""
        criterion, more = self._loss_at_end(), _given(lengths)
        y = self.forward(x, *more)
        mask = more and self._mask(y, target, *more)
        value = criterion.forward(y, target, *mask)
        criterion._pass = self._shapes
        return value

    # 07 A network learns · network-backward
    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        """Fill the parameters' grad; return dL/dx in the shape of x.

        Without ``grad_output``, which belongs to the output of the last
        layer, it starts at the loss computed last.
        """
        grad = self._start(grad_output)
        for layer in reversed(self.layers):
            grad = self._noted(layer, layer.backward, grad)
        return grad

    # 07 A network learns · network-guards
    def _admit(self, layers: tuple) -> None:
        seen: set[Layer] = set()
        for i, layer in enumerate(layers):
            it = f"Network: layer {i} is {layer!r},"
            if not isinstance(layer, Layer):
                raise TypeError(f"{it} not a Layer (a loss goes to loss=…)")
            if seen.intersection(layer.modules()):
                raise ValueError(f"{it} which is there twice")
            seen.update(layer.modules())
        for name, value in [*vars(self).items()]:  # set before __init__
            setattr(self, name, value)

    # 07 A network learns · network-ends
    def _begin(self, x: ArrayLike) -> np.ndarray:
        """A new pass: what the last one left behind is obsolete."""
        vars(self).update(_shapes=[], _pass=None, _runs=1)
        if self.criterion is not None:
            self.criterion._cache = self.criterion._pass = None
        return _as_array(x)

    # 07 A network learns · network-start
    def _loss_at_end(self) -> Loss:
        if self.criterion is None:
            raise RuntimeError("Network: no loss; give one with loss=…")
        return self.criterion

    def _last_loss(self) -> Loss:
        loss = self._loss_at_end()
        if loss._cache is None and type(loss).backward is Loss.backward:
            raise RuntimeError(
                "Network: no loss belongs to the last forward; call "
                "net.loss(x, y), then net.backward()"
            )
        return loss

    # 07 A network learns · network-pass
    def _start(self, grad_output: Any) -> Any:
        """The first slope, if layers and loss still know of this pass."""
        late: list = [m for m in self.layers if m._pass is not self._shapes]
        if late and not any(m._pass and m._runs for m in self.layers):
            late = []  # they ran one by one, by hand
        loss: Any = self._last_loss() if grad_output is None else None
        if loss and loss._pass and loss._pass is not self._shapes:
            late.append(loss)
        if late:
            raise RuntimeError(
                f"Network: {late[0]} has run for something else since; call "
                "forward or loss again, and give each network its own"
            )
        return loss.backward() if loss else _as_array(grad_output)

    # 07 A network learns · network-lengths
    def _run(self, layer: Any, x: np.ndarray, lengths: Any) -> Any:
        """The layer's output; it gets the lengths if it wants them."""
        act = layer.forward
        if lengths is not None and layer.takes_lengths:
            act = partial(act, lengths=lengths)
        y = self._noted(layer, act, x)
        if not isinstance(y, (np.ndarray, np.generic)):
            kind = type(y).__name__
            raise TypeError(f"Network: {layer} gave no array, but a {kind}")
        layer._pass = self._shapes
        return y

    # 07 A network learns · network-noted
    def _noted(self, layer: Any, act: Callable, given: Any) -> Any:
        """act(given); errors get a note which layer it was."""
        try:
            if given is None:
                raise TypeError("the backward of the layer after it gave None")
            return act(given)
        except (TypeError, ValueError) as error:
            place, name = self.layers.index(layer), type(self).__name__
            error.add_note(f"in layers[{place}] of the {name}")
            raise

    # 07 A network learns · network-mask
    def _mask(self, y: np.ndarray, target: ArrayLike, lengths: Any) -> tuple:
        """Which places of the output belong to a sequence; () if all."""
        steps = y.shape[:2]
        if lengths is None or y.ndim < 3 or steps != np.shape(target)[:2]:
            return ()
        return (_counting(self, lengths, *steps),)

    # 07 A network learns · network-accumulate
    def accumulate(self, grad_output: ArrayLike | None = None) -> None:
        """``backward`` without dL/dx, which training does not need."""
        grad = self._start(grad_output)
        for layer in reversed(self.layers[1:]):
            grad = self._noted(layer, layer.backward, grad)
        for first in self.layers[:1]:
            self._noted(first, first.accumulate, grad)

    # 07 A network learns · network-comfort
    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse what would take no part: all is done by the layers."""
        if name == "loss":
            raise AttributeError("Network: loss is a method; set criterion")
        if name == "criterion" and not isinstance(value, Loss | None):
            raise TypeError(f"Network: loss is {value!r}, not a Loss")
        inside = isinstance(value, (Layer, Parameter, list, tuple, dict))
        made = "layers" in vars(self) and name not in ("layers", "_pass")
        if inside and made and type(self).backward is Network.backward:
            self._involved(name, value)
        super().__setattr__(name, value)

    # 07 A network learns · network-involved
    def _involved(self, name: str, value: Any) -> None:
        its = {p for layer in self.layers for p in layer.parameters()}
        parts = _entries([(name, value)])
        new = {p for _, p in parts if isinstance(p, Parameter)} - its
        if any(p.requires_grad for p in new):
            raise TypeError(
                f"{type(self).__name__}: {name} would not train; freeze it, "
                "give it to super().__init__, or write a Layer with a backward"
            )

    # 07 A network learns · network-members
    def _own(self) -> list[tuple[Any, Any]]:
        return [*enumerate(self.layers), *super()._own()]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, position: int | slice) -> Layer:
        if isinstance(position, slice):
            return Network(*self.layers[position])
        return self.layers[position]

    # 07 A network learns · network-table
    def __repr__(self) -> str:
        rows = [("", "layer", "output", "parameters")]
        for i, layer in enumerate(self.layers):
            name, shape = repr(layer), "?"
            if isinstance(layer, Network):
                name = f"{type(layer).__name__}({len(layer)} layers)"
            if i < len(self._shapes):
                shape = f"({', '.join(['N', *map(str, self._shapes[i][1:])])})"
            size = sum(p.data.size for p in layer.parameters())
            rows.append((str(i), name, shape, f"{size:,}"))
        a, b, c, d = (max(map(len, column)) for column in zip(*rows))
        return "\n".join(
            f"{i:>{a}}  {name:{b}}  {shape:{c}}  {size:>{d}}"
            for i, name, shape, size in rows
        )


# 07 A network learns · one-number
def _one_number(owner: str, net: Any) -> None:
    """Raise ValueError unless its loss is one number."""
    _instances(owner, Network, net=net)
    its = net._loss_at_end().reduction
    _one_of(owner, "mean", "sum", reduction=its)


# 07 A network learns · network-given
def _given(lengths: Any) -> tuple:
    """What forward gets besides x: one that takes x alone will do."""
    return () if lengths is None else (lengths,)


# 07 A network learns · optimizer
class Optimizer:
    """Moves parameters against their gradients, all as one vector (eq:sgd).

    ``lr`` is the learning rate. A subclass says in which direction to go,
    and keeps in ``state`` what it has to remember from step to step. What
    is frozen does not move. Settings may change later, but not switch on
    what has to remember: momentum, nesterov, amsgrad, centered.
    Raises ValueError for settings out of range, if there are no
    parameters, if one is in two groups, or if they differ in dtype.
    """

    base_lr: Any = None  # where schedules begin, chapter 10

    # 07 A network learns · optimizer-step
    def step(self) -> None:
        """Move all parameters, in place; their gradients stay.

        Raises RuntimeError if some data has been replaced since.
        """
        self._look()
        self.state["t"] += 1
        frozen = [p for p in self.parameters if not p.requires_grad]
        kept = [(p, p.data.copy()) for p in frozen]
        theta = self._data
        theta -= np.asarray(self.lr, theta.dtype) * self._direction()  # eq:sgd
        for p, data in kept:
            p.data[...] = data

    # 07 A network learns · optimizer-direction
    def _direction(self) -> np.ndarray:
        """What ``step`` subtracts, before lr: here the gradient itself."""
        return self._slopes()

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for parameter in self.parameters:
            parameter.grad = None

    # 07 A network learns · optimizer-settings
    def __init__(
        self, parameters: Iterable, lr: float = 1e-3, **settings: Any
    ) -> None:
        groups = _groups(type(self).__name__, parameters)
        self.parameters = [p for group in groups for p in group["params"]]
        self._data, self._grad = _one_vector(self.parameters)
        self.state = {"t": np.zeros((), dtype=int)}  # steps taken
        given = {"lr": lr, "weight_decay": 0.0, "maximize": False, **settings}
        self._set(given, groups)

    # 07 A network learns · optimizer-groups
    def _set(self, settings: dict[str, Any], groups: list[dict]) -> None:
        """Make the settings attributes: a number, or a vector of them."""
        sizes = [sum(p.numel() for p in group["params"]) for group in groups]
        for name in set().union(*groups) - settings.keys() - {"params"}:
            raise ValueError(f"{type(self).__name__} has no {name!r}")
        for name, value in settings.items():
            each = [group.get(name, value) for group in groups]
            for value in each:
                self._look_at(name, value)
            same = all(np.array_equal(other, each[0]) for other in each)
            value = each[0] if same else self._each(name, each, sizes)
            setattr(self, name, value)
        self._names = list(settings)

    # 07 A network learns · optimizer-setting
    def __setattr__(self, name: str, value: Any) -> None:
        """A setting that is changed later is looked at as well."""
        pair = value.tolist() if getattr(value, "ndim", 0) == 1 else value
        if name == "betas" and isinstance(pair, list):
            value = tuple(pair)  # whose numbers stay
        if name in getattr(self, "_names", ()):
            self._look_at(name, value)
            needs = {"amsgrad": "v_max", "centered": "mean"}
            needs |= dict.fromkeys(("momentum", "nesterov"), "velocity")
            late = np.any(value) and needs.get(name, "t") not in self.state
            wanted = "{} must be given at the start"
            _demand(self, lambda _: not late, wanted, **{name: value})
        super().__setattr__(name, value)

    # 07 A network learns · optimizer-look-at
    def _look_at(self, name: str, value: Any) -> None:
        """Raise ValueError for a setting that is out of range."""
        if name in _SWITCHES:
            return _switch(self, **{name: value})
        top = 1 if name in ("momentum", "alpha", "betas") else "inf"
        known = "_names" in vars(self)
        if name == "betas":
            many = isinstance(value, (tuple, list)) or np.ndim(value)
            pair = many and len(value) == 2
            _demand(self, lambda _: pair, "expected two {}", betas=value)
        for number in value if name == "betas" else [value]:
            each = known and self._data.shape == getattr(number, "shape", None)
            for end in (np.min(number), np.max(number)) if each else [number]:
                _within(self, f"0 <= {{}} < {top}", **{name: end})

    # 07 A network learns · optimizer-each
    def _each(self, name: str, values: list, sizes: list[int]) -> np.ndarray:
        """The values of the groups, one for each number that is moved."""
        wanted, one = "{} is a switch for all groups", name in _SWITCHES
        _demand(self, lambda _: not one, wanted, **{name: values})
        return np.repeat(values, sizes, axis=0).T.astype(self._data.dtype)

    # 07 A network learns · optimizer-repr
    def __repr__(self) -> str:
        settings = ", ".join(map(self._said, self._names))
        return f"{type(self).__name__}({settings})"

    def _said(self, name: str) -> str:
        """A setting with its value, or with those of all groups."""
        value = getattr(self, name)
        if isinstance(value, np.ndarray):
            each = dict.fromkeys(np.ravel(value).tolist())
            value = " and ".join(f"{number:g}" for number in each)
        return f"{name}={value}"

    # 07 A network learns · optimizer-look
    def _look(self) -> np.ndarray:
        """The long gradient, if it still holds that of all parameters."""
        data, grad = self._data, self._grad
        for i, p in enumerate(self.parameters):
            if p.data.base is not data or p.grad.base is not grad:
                raise RuntimeError(
                    f"the data of parameter {i} was replaced or taken over by "
                    "another optimizer; write into it: parameter.data[...] = …"
                )
        return grad

    # 07 A network learns · optimizer-decay
    def _slopes(self) -> np.ndarray:
        """The gradient, plus that of the penalty on large parameters."""
        grad = -self._grad if self.maximize else self._grad
        if isinstance(self.weight_decay, np.ndarray) or self.weight_decay:
            grad = grad + self.weight_decay * self._data
        return grad

    # 07 A network learns · optimizer-state
    def _remember(self, *names: str) -> None:
        self.state |= {name: np.zeros_like(self._data) for name in names}

    def _arrays(self) -> dict[str, np.ndarray]:
        """What it remembers, and its rates; that of schedules may be inf."""
        base = math.inf if self.base_lr is None else self.base_lr
        rates = np.array(np.broadcast_arrays(self.lr, base), float)
        return {**self.state, "rates": rates}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all arrays it needs in order to go on, by name."""
        return {name: a.copy() for name, a in self._arrays().items()}

    # 07 A network learns · optimizer-load
    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Write them back, all or none.

        Raises ValueError for other names or shapes, or rates out of range.
        """
        new = _agreed(self._arrays(), state_dict)
        self._set_rates(new["rates"], new["t"])
        _overwrite(self.state, new)

    def _set_rates(self, rates: np.ndarray, t: np.ndarray) -> None:
        """Set lr and base_lr; or raise, when t or one of them is wrong."""
        each = rates.astype(self._data.dtype)
        lr, base = each if each.ndim > 1 else rates.tolist()
        base = None if np.isposinf(base).all() else base
        _positive(self, least=0, t=t.item())
        self._look_at("lr", lr if base is None else base)
        self.lr = lr  # which looks, too
        self.base_lr = base

    # 07 A network learns · optimizer-copies
    def __getattr__(self, name: str) -> Any:
        hint = "" if "_names" in vars(self) else " (super().__init__ ran?)"
        raise AttributeError(f"{type(self).__name__} has no {name}{hint}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._data, self._grad = _one_vector(self.parameters)


# 07 A network learns · one-vector
def _one_vector(parameters: list[Parameter]) -> tuple[np.ndarray, np.ndarray]:
    """Two long vectors, of which all data and all grad become views."""
    kinds = sorted({str(parameter.data.dtype) for parameter in parameters})
    if len(kinds) > 1:
        raise ValueError(f"parameters differ in dtype: {kinds}")
    data = np.concatenate([p.data.ravel() for p in parameters])
    grad = np.concatenate([p.grad.ravel() for p in parameters])
    ends = np.cumsum([p.data.size for p in parameters])[:-1]
    parts = zip(parameters, np.split(data, ends), np.split(grad, ends))
    for p, its, slopes in parts:
        p.data, p._grad = its.reshape(p.shape), slopes.reshape(p.shape)
    return data, grad


# 07 A network learns · only-parameters
def _only_parameters(things: Any) -> list[Parameter]:
    """All of them. Raises TypeError for anything but parameters."""
    found = list(things) if np.iterable(things) else [things]
    other = [type(x).__name__ for x in found if not isinstance(x, Parameter)]
    if other:
        raise TypeError(
            f"expected parameters, got {other[0]}; write net.parameters()"
        )
    return list(dict.fromkeys(found))


# 07 A network learns · groups
_SWITCHES = "maximize", "nesterov", "amsgrad", "centered"


def _groups(name: str, things: Any) -> list[dict[str, Any]]:
    """Parameters as groups; most often there is one."""
    given = list(things) if np.iterable(things) else [things]
    if not all(isinstance(group, dict) for group in given):
        given = [{"params": given}]
    parts = [{**g, "params": _only_parameters(g.get("params"))} for g in given]
    every = [p for part in parts for p in part["params"]]
    if not every or len(every) > len(set(every)):
        found = "a parameter in two groups" if every else "no parameters"
        raise ValueError(f"{name}: got {found}")
    return parts


# 07 A network learns · sgd
class SGD(Optimizer):
    """Stochastic gradient descent: straight along the gradient, eq:sgd.

    With ``momentum`` along the velocity, eq:momentum; ``dampening`` takes a
    share from each new gradient but the first. Raises ValueError for
    settings out of range, or nesterov without momentum or with dampening.
    """

    # 09 Which way, and how far? · sgd-momentum
    def _direction(self) -> np.ndarray:
        grad = self._slopes()
        if "velocity" not in self.state:
            return grad
        velocity = _fade(  # eq:momentum-velocity
            self.state["velocity"], self.momentum, self._damped(grad)
        )
        if self.nesterov:
            return grad + self.momentum * velocity  # eq:nesterov
        return velocity

    # 09 Which way, and how far? · sgd-settings
    def __init__(
        self, parameters: Iterable, lr: float = 1e-3, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0,
        nesterov: bool = False, *, maximize: bool = False,
    ) -> None:
        super().__init__(**_arguments(locals()))
        plain = not np.all(self.momentum) or np.any(self.dampening)
        if self.nesterov and plain:
            raise ValueError("SGD: nesterov needs momentum > 0, no dampening")
        self._remember(*["velocity"] * bool(np.any(self.momentum)))

    # 09 Which way, and how far? · dampening
    def _damped(self, grad: np.ndarray) -> np.ndarray:
        if self.state["t"] == 1 or not np.any(self.dampening):
            return grad
        return (1 - (self.momentum != 0) * self.dampening) * grad


# 07 A network learns · counting
def _counting(owner: Any, lengths: Any, n: int, steps: int) -> np.ndarray:
    """Which places (n, steps) belong to a sequence; all without lengths.

    Raises ValueError unless lengths are n whole numbers from 0 to steps.
    """
    ends = np.array(np.full(n, steps) if lengths is None else lengths)
    whole = ends.shape == (n,) and (ends.dtype.kind in "iu" or not n)
    fits = whole and ((ends >= 0) & (ends <= steps)).all()
    wanted = f"expected {n} {{}}, whole numbers from 0 to {steps}"
    _demand(owner, lambda _: fits, wanted, lengths=lengths)
    return np.arange(steps) < ends[:, None]


# 08 Why do gradients vanish or explode? · size
def _size(array: np.ndarray, axis: Any = None) -> Any:
    """The root of the mean square."""
    return np.sqrt(np.mean(array * array, axis=axis))


# 08 Why do gradients vanish or explode? · xavier-std
def _xavier_std(shape: tuple[int, ...], gain: float) -> float:
    _within("initialiser", gain=gain)
    return gain * (2 / sum(_fans(shape))) ** 0.5  # eq:xavier


# 08 Why do gradients vanish or explode? · kaiming-std
def _kaiming_std(shape: tuple, a: float, mode: str, bend: str) -> float:
    _within("initialiser", _FINITE, a=a)
    fans = dict(zip(("fan_in", "fan_out"), _fans(shape)))
    _one_of("initialiser", *fans, mode=mode)
    return _gain(bend, a) / fans[mode] ** 0.5  # eq:kaiming


# 08 Why do gradients vanish or explode? · kaiming-normal
def kaiming_normal_(
    parameter: Parameter, a: float = 0.0, mode: str = "fan_in",
    nonlinearity: str = "leaky_relu", rng: _Seed = None,
) -> Parameter:
    """Normal with the standard deviation of eq:kaiming, in place."""
    return _fill(parameter, False, rng, _kaiming_std, a, mode, nonlinearity)


# 08 Why do gradients vanish or explode? · fill
def _fill(
    parameter: Parameter, uniform: bool, rng: _Seed, spread: Callable,
    *settings: Any,
) -> Parameter:
    """Draw all numbers anew, with mean 0 and the deviation ``spread``."""
    _only_parameters([parameter])
    shape = parameter.data.shape
    std, rng = abs(spread(shape, *settings)), _generator("initialiser", rng)
    bound = 3**0.5 * std
    parameter.data[...] = rng.uniform(-bound, bound, shape) if uniform else (
        rng.normal(0.0, std, shape)
    )
    return parameter


# 08 Why do gradients vanish or explode? · kaiming-uniform
def kaiming_uniform_(
    parameter: Parameter, a: float = 0.0, mode: str = "fan_in",
    nonlinearity: str = "leaky_relu", rng: _Seed = None,
) -> Parameter:
    """Uniform with the standard deviation of eq:kaiming, in place.

    ``a`` is the leaky slope; mode "fan_out" takes eq:kaiming-out. Raises
    ValueError for other names or fewer than two axes. Source: He, 2015.
    """
    return _fill(parameter, True, rng, _kaiming_std, a, mode, nonlinearity)


# 08 Why do gradients vanish or explode? · xavier
def xavier_uniform_(
    parameter: Parameter, gain: float = 1.0, rng: _Seed = None
) -> Parameter:
    """Uniform with the standard deviation of eq:xavier, in place.

    Raises ValueError for fewer than two axes or a negative gain, TypeError
    for anything but a parameter. Source: Glorot, Bengio, 2010.
    """
    return _fill(parameter, True, rng, _xavier_std, gain)


# 08 Why do gradients vanish or explode? · xavier-normal
def xavier_normal_(
    parameter: Parameter, gain: float = 1.0, rng: _Seed = None
) -> Parameter:
    """Normal with the standard deviation of eq:xavier, in place."""
    return _fill(parameter, False, rng, _xavier_std, gain)


# 08 Why do gradients vanish or explode? · fans
def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers a unit adds up, and how many units an input feeds.

    (in, out) for a matrix as in Linear, (out, in, …) for a kernel.
    """
    if len(shape) < 2:
        raise ValueError(f"expected a weight of two or more axes, got {shape}")
    if len(shape) > 2:
        window = math.prod(shape[2:])
        shape = shape[1] * window, shape[0] * window
    return max(shape[0], 1), max(shape[1], 1)  # a weight may be empty


# 08 Why do gradients vanish or explode? · gain
def _gain(nonlinearity: str, a: float) -> float:
    """What to multiply the weights by so that the signal survives."""
    gains = {
        "linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": 2**0.5,
        "leaky_relu": (2 / (1 + a * a)) ** 0.5,
    }
    _one_of("initialiser", *gains, nonlinearity=nonlinearity)
    return gains[nonlinearity]


# 08 Why do gradients vanish or explode? · both-ways
def _both_ways(net: Network, x: Any, target: Any) -> tuple[list, list]:
    """What enters and leaves each layer, and the gradient of each."""
    outputs, criterion = [x], net._loss_at_end()
    for layer in net:
        outputs.append(layer.forward(outputs[-1]))
    criterion.forward(outputs[-1], target)
    grads = [criterion.backward()]
    for layer in reversed(net.layers):
        grads.append(layer.backward(grads[-1]))
    return outputs, grads[::-1]


# 08 Why do gradients vanish or explode? · across
def _across(y: np.ndarray) -> float:
    """The spread across examples, feature by feature."""
    return float(_size(y.reshape(len(y), -1).std(axis=0)))


# 08 Why do gradients vanish or explode? · layer-statistics
class LayerStatistics(NamedTuple):
    """What one layer does to a batch; nan where nothing is measured."""

    layer: str
    mean: float
    std: float
    across: float  # spread across examples, feature by feature
    grad_mean: float
    grad_std: float
    weight_grad: float = math.nan  # size of the weight's gradient
    dead: float = math.nan  # share of units; of activations
    saturated: float = math.nan  # share of answers; of Sigmoid and Tanh
    update: float = math.nan  # step over weight; of layers with parameters
    advice: str = ""


# 08 Why do gradients vanish or explode? · report-row
def _row(
    name: str, layer: Layer, y: np.ndarray, grad: np.ndarray, steps: dict
) -> LayerStatistics:
    found: dict[str, Any] = {}
    if isinstance(layer, (Sigmoid, Tanh)):
        low = 0.0 if isinstance(layer, Sigmoid) else -1.0
        found["saturated"] = float(np.mean(np.minimum(y - low, 1 - y) < 0.02))
    elif isinstance(layer, Activation):
        found["dead"] = float(np.mean(~np.any(y != 0, axis=0)))
    for p in layer.parameters()[:1]:
        found |= {"weight_grad": float(_size(p.grad)), "update": steps[p]}
    return LayerStatistics(
        name, float(y.mean()), float(y.std()), _across(y),
        float(grad.mean()), float(grad.std()), **found,
    )


# 08 Why do gradients vanish or explode? · advice
def _advice(row: LayerStatistics, last: float, kept: float, dead: str) -> str:
    """What a row suggests; last: the gradient's spread at the end of the
    network, kept: the share of x's spread that comes in."""
    start = "ReLU, kaiming_normal_"
    rules = (
        (not math.isfinite(row.std), "not finite: its weights, or its input"),
        (not math.isfinite(row.grad_std), "not finite: smaller weights"),
        (0 < kept < 1e-3, f"alike: examples look the same; {start}"),
        (row.dead > 0.5, f"dead: {dead}"),
        (row.saturated > 0.5, "saturated: smaller weights or inputs"),
        (row.grad_std == 0 < last, "no gradient: look at the next layers"),
        (row.grad_std < 1e-4 * last, f"vanishing: {start}, less depth"),
        (row.grad_std > 1e4 * last, "exploding: smaller weights, clip"),
        (row.update > 3, "long step: lower the learning rate"),
        (row.std > 1e4, "large output: smaller weights or inputs"),
    )
    return next((advice for holds, advice in rules if holds), "")


# 08 Why do gradients vanish or explode? · why-dead
def _is_grown(p: Parameter) -> bool:
    """Whether weights are far larger than any usual start."""
    fan = p.data.shape[0] if p.data.ndim == 2 else 1
    return bool(_size(p.data) * fan**0.5 > 3)


def _why_dead(grown: bool) -> str:
    if grown:
        return "huge weights; start anew, smaller or at a lower rate"
    return "if from the start: centre x, biases 0; if not: lower rate"


# 08 Why do gradients vanish or explode? · first-cause
def _first_cause(net: Network, x: np.ndarray) -> str:
    """What explains all the rest: the input's scale, or equal weights."""
    summed = any(isinstance(layer, Linear) for layer in net.layers[:1])
    words = x.dtype.kind in "iu" and x.ndim < 3 and not summed
    size = 0.0 if words else _size(x.astype(float))
    if 10 < size < math.inf:
        return f"input of size {size:.3g}: subtract its mean, divide by it"
    for i, layer in enumerate(net):
        for p in layer.parameters():
            meant = i > 0 and not p.data.any()  # a branch may start at 0
            if _are_equal(p.data) and not meant:
                return f"layer {i} has equal units: draw its weights"
    return ""


# 08 Why do gradients vanish or explode? · equal-units
def _are_equal(weight: np.ndarray) -> bool:
    """Whether all units of a matrix have the same weights."""
    several = weight.ndim == 2 and weight.shape[1] > 1
    return several and not np.ptp(weight, axis=1).any()


def _short(layer: Layer) -> str:
    """A layer in one short line."""
    text = repr(layer)
    name = f"{type(layer).__name__}(…)"
    return name if "\n" in text or len(text) > 30 else text


# 08 Why do gradients vanish or explode? · report-table
class GradientReport(list[LayerStatistics]):
    """The rows as a table; a ``cause`` explains all, and stands alone."""

    cause: str = ""

    def __repr__(self) -> str:
        head = "layer std across grad w_grad dead satur. update"
        table = [[*head.split(), ""], *map(_cells, self)]
        width = max(len(name) for name, *_ in table)
        lines = [self.cause] * bool(self.cause)
        for name, *cells, advice in table:
            columns = "".join(f"{cell:>8}" for cell in cells)
            lines.append(f"{name:<{width}}{columns}".rstrip())
            lines += [f"    → {advice}"] * bool(advice)
        return "\n".join(lines)


# 08 Why do gradients vanish or explode? · report-cells
def _cells(row: LayerStatistics) -> list[str]:
    """A row as text, and nothing where nothing is measured."""
    cells = [f"{value:.1e}" for value in row[2:4] + row[5:7]]
    cells += [f"{row.dead:.0%}", f"{row.saturated:.0%}", f"{row.update:.0e}"]
    measured = ["" if cell[:3] == "nan" else cell for cell in cells[3:]]
    return [row.layer, *cells[:3], *measured, row.advice]


# 08 Why do gradients vanish or explode? · updates
def _updates(net: Network, lr: float, optimizer: Any) -> dict:
    """How far one step moves each parameter, relative to its length."""
    before = {p: p.data.copy() for p in net.parameters()}
    moves = {p: lr * p.grad for p in before}
    if optimizer is not None:
        optimizer.step()
        moves = {p: p.data - was for p, was in before.items()}
    length = np.linalg.norm
    return {
        p: float(length(moves[p])) / max(float(length(was)), 1e-30)
        for p, was in before.items()
    }


# 08 Why do gradients vanish or explode? · report-rows
def _report(
    net: Network, outputs: list, grads: list, steps: dict[Parameter, float]
) -> GradientReport:
    """A row for each layer; advice only where no first cause was found."""
    report, grown, first = GradientReport(), False, _across(outputs[0])
    report.cause = _first_cause(net, outputs[0])
    for i, (layer, x, y) in enumerate(zip(net, outputs, outputs[1:])):
        row = _row(f"{i} {_short(layer)}", layer, y, grads[i + 1], steps)
        grown = grown or any(map(_is_grown, layer.parameters()[:1]))
        kept = _across(x) / first if first and i else 1.0
        if not report.cause:
            advice = _advice(row, grads[-1].std(), kept, _why_dead(grown))
            row = row._replace(advice=advice)
        report.append(row)
    return report


# 08 Why do gradients vanish or explode? · gradient-report
def gradient_report(
    net: Network, x: ArrayLike, target: ArrayLike, lr: float = 0.01,
    optimizer: Optimizer | None = None,
) -> GradientReport:
    """Signal and gradient of each layer for one batch, with advice.

    Works on a copy; the network, its gradients, its generators and the
    optimizer stay as they are. ``update`` is the optimizer's own step, or
    that of plain descent with ``lr``. Give it thirty examples or more: of
    few, many units look dead. Raises RuntimeError without a loss,
    ValueError for one of reduction "none".
    """
    _one_number("gradient_report", net)
    _within("gradient_report", lr=lr)
    _instances("gradient_report", Optimizer, True, optimizer=optimizer)
    net, optimizer = copy.deepcopy((net, optimizer))
    net.zero_grad()
    with np.errstate(all="ignore"):
        passed = _both_ways(net, _as_array(x), target)
        return _report(net, *passed, _updates(net, lr, optimizer))


# 09 Which way, and how far? · fade
def _fade(state: np.ndarray, keep: Any, new: np.ndarray) -> np.ndarray:
    """keep * state + new, in place."""
    state *= keep
    state += new
    return state


# 09 Which way, and how far? · arguments
def _arguments(table: dict[str, Any]) -> dict[str, Any]:
    """What ``locals()`` says at the start of a constructor, without self."""
    return {k: v for k, v in table.items() if k not in ("self", "__class__")}


# 09 Which way, and how far? · adagrad
class Adagrad(Optimizer):
    """Steps divided by the root of all squared slopes, eq:adagrad.

    ``lr_decay`` shortens step t by 1 + (t-1) lr_decay; the sum of squares
    begins at ``initial_accumulator_value``. Raises ValueError for what is
    negative. Source: Duchi, Hazan and Singer, 2011.
    """

    def _direction(self) -> np.ndarray:
        grad, square = self._slopes(), self.state["square"]
        square += grad * grad  # eq:adagrad-sum
        return grad / self._slower(np.sqrt(square) + self.eps)  # eq:adagrad

    # 09 Which way, and how far? · adagrad-settings
    def __init__(
        self, parameters: Iterable, lr: float = 0.01, lr_decay: float = 0.0,
        weight_decay: float = 0.0, initial_accumulator_value: float = 0.0,
        eps: float = 1e-10, *, maximize: bool = False,
    ) -> None:
        super().__init__(**_arguments(locals()))
        self._remember("square")
        self.state["square"] += self.initial_accumulator_value

    def _slower(self, root: np.ndarray) -> np.ndarray:
        return (1 + (int(self.state["t"]) - 1) * self.lr_decay) * root


# 09 Which way, and how far? · rmsprop
class RMSprop(Optimizer):
    """Steps divided by the root of a running mean square, eq:rmsprop.

    ``centered`` subtracts the squared mean slope under the root; with
    ``momentum`` the quotients add up to a velocity. Raises ValueError
    unless 0 <= alpha, momentum < 1, eps and weight_decay >= 0.
    Source: Tieleman and Hinton, lecture notes, 2012.
    """

    def _direction(self) -> np.ndarray:
        grad, square = self._slopes(), self.state["square"]
        _fade(square, self.alpha, (1 - self.alpha) * (grad * grad))
        root = np.sqrt(self._about_the_mean(square, grad))
        return self._gathered(grad / (root + self.eps))  # eq:rmsprop

    # 09 Which way, and how far? · rmsprop-settings
    def __init__(
        self, parameters: Iterable, lr: float = 0.01, alpha: float = 0.99,
        eps: float = 1e-8, weight_decay: float = 0.0, momentum: float = 0.0,
        centered: bool = False, *, maximize: bool = False,
    ) -> None:
        super().__init__(**_arguments(locals()))
        more = ["velocity"] * bool(np.any(self.momentum))
        self._remember("square", *["mean"] * bool(self.centered), *more)

    # 09 Which way, and how far? · rmsprop-options
    def _about_the_mean(self, square: np.ndarray, grad: np.ndarray) -> Any:
        if not self.centered:
            return square
        mean = self.state["mean"]
        mean += (1 - self.alpha) * (grad - mean)
        return np.maximum(square - mean * mean, 0)

    def _gathered(self, step: np.ndarray) -> np.ndarray:
        if "velocity" not in self.state:
            return step
        return _fade(self.state["velocity"], self.momentum, step)


# 09 Which way, and how far? · adam
class Adam(Optimizer):
    """Average slope over root of average square, eq:adam.

    ``betas`` are the shares of the two averages that survive a step;
    ``weight_decay`` is added to the gradient; ``amsgrad`` divides by the
    largest average square so far. Raises ValueError unless there are two
    betas, 0 <= beta < 1. Source: Kingma, Ba, 2015.
    """

    def _direction(self) -> np.ndarray:
        return self._adam(self._slopes())

    # 09 Which way, and how far? · adam-step
    def _adam(self, grad: np.ndarray) -> np.ndarray:
        t, (beta1, beta2) = int(self.state["t"]), self.betas
        m, v = self.state["m"], self.state["v"]
        spare = (1 - beta1) * grad
        _fade(m, beta1, spare)  # eq:adam-m
        np.multiply(grad, grad, out=spare)
        spare *= 1 - beta2
        _fade(v, beta2, spare)  # eq:adam-v
        root = np.sqrt(self._largest_so_far(v), out=spare)
        rise = 1 - beta1**t  # eq:adam-mhat, multiplied out
        root *= rise * (1 - beta2**t) ** -0.5  # eq:adam-vhat
        root += rise * self.eps
        return np.divide(m, root, out=root)

    # 09 Which way, and how far? · adam-settings
    def __init__(
        self, parameters: Iterable, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, amsgrad: bool = False, *,
        maximize: bool = False,
    ) -> None:
        super().__init__(**_arguments(locals()))
        self._remember("m", "v", *["v_max"] * bool(self.amsgrad))

    # 09 Which way, and how far? · amsgrad
    def _largest_so_far(self, v: np.ndarray) -> np.ndarray:
        if not self.amsgrad:
            return v
        return np.maximum(v, self.state["v_max"], out=self.state["v_max"])


# 09 Which way, and how far? · adamw
class AdamW(Adam):
    """Adam with decay outside of the fraction, eq:adamw.

    Source: Loshchilov and Hutter, 2019.
    """

    def _direction(self) -> np.ndarray:
        grad = -self._grad if self.maximize else self._grad
        return self._adam(grad) + self.weight_decay * self._data

    # 09 Which way, and how far? · adamw-settings
    def __init__(
        self, parameters: Iterable, lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.01, amsgrad: bool = False, *,
        maximize: bool = False,
    ) -> None:
        super().__init__(**_arguments(locals()))


# 10 The loop: training · data-loader
class DataLoader:
    """Batches of (x, y), in a new random order each time it is iterated.

    The first axis counts examples. The last batch may be smaller, unless
    ``drop_last``. With ``lengths`` (of sequences), (x, y, lengths).
    Raises ValueError where they differ in number, or for a batch_size
    below 1.
    """

    x, y = _fixed(2)
    batch_size: Any = _Setting(_positive)
    shuffle: Any = _Setting(_switch)
    drop_last: Any = _Setting(_switch)
    rng: Any = _Setting(_instances, np.random.Generator)

    # 10 The loop: training · data-loader-length
    def __len__(self) -> int:
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    # 10 The loop: training · data-loader-batches
    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        order = np.arange(len(self.x))
        if self.shuffle:
            self.rng.shuffle(order)
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield tuple(array[chosen] for array in self.arrays)

    # 10 The loop: training · data-loader-settings
    def __init__(
        self, x: ArrayLike, y: ArrayLike, batch_size: int = 32,
        shuffle: bool = True, drop_last: bool = False, rng: _Seed = None,
        lengths: ArrayLike | None = None,
    ) -> None:
        self.arrays = [_as_array(array) for array in (x, y, *_given(lengths))]
        self.x, self.y = self.arrays[:2]
        _equally_many(self.arrays)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.drop_last, self.rng = drop_last, _generator(self, rng)


# 10 The loop: training · equally-many
def _equally_many(arrays: list[np.ndarray]) -> None:
    """Raise ValueError unless all have as many examples."""
    counts = [len(array) if array.ndim else "no" for array in arrays]
    if "no" in counts or len(set(counts)) > 1:
        kinds = zip(counts, ("inputs", "targets", "lengths"))
        found = ", ".join(f"{count} {kind}" for count, kind in kinds)
        raise ValueError(f"DataLoader: {found}")


# 10 The loop: training · schedule
class Schedule:
    """Sets an optimizer's lr; call ``step`` after each epoch or batch.

    ``formula(base, t)`` gives the rate after t steps; ``base`` is the lr at
    the optimizer's first schedule. It is kept as optimizer.base_lr, and
    later schedules begin from it again. Use one schedule at a time: the
    last that was made or stepped sets the lr.
    """
    t = 0
    optimizer: Any = _Setting(_instances, Optimizer)
    formula: Any = _Setting(_instances, Callable)

    def rate(self, t: int) -> float:
        """The learning rate after t steps."""
        return self.formula(self.base, t)

    # 10 The loop: training · schedule-step
    def step(self) -> None:
        """Count one step and set the optimizer's learning rate."""
        self.t += 1
        self.optimizer.lr = self.rate(self.t)

    @property
    def base(self) -> float:
        """The rate that everything starts from."""
        return self.optimizer.base_lr

    # 10 The loop: training · schedule-settings
    def __init__(self, optimizer: Optimizer, formula: Callable) -> None:
        self.optimizer, self.formula = optimizer, formula
        if optimizer.base_lr is None:
            optimizer.base_lr = optimizer.lr
        optimizer.lr = self.rate(0)


# 10 The loop: training · cosine
class CosineAnnealingLR(Schedule):
    """From base to ``eta_min`` in T_max steps, a cosine, eq:cosine-lr.

    Beyond T_max it rises again, as PyTorch's does.
    """
    T_max: Any = _Setting(_positive)
    eta_min: Any = _Setting(_within)

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, self._cosine)

    # 10 The loop: training · cosine-formula
    def _cosine(self, base: float, t: int) -> float:
        share = 0.5 * (1 + math.cos(math.pi * t / self.T_max))
        return self.eta_min + (base - self.eta_min) * share  # eq:cosine-lr


# 10 The loop: training · warm-up
class LinearWarmup(Schedule):
    """From base / steps up to base in ``steps`` steps, eq:warmup-lr."""
    steps: Any = _Setting(_positive)

    def __init__(self, optimizer: Optimizer, steps: int) -> None:
        self.steps = steps
        super().__init__(optimizer, self._rise)

    def _rise(self, base: float, t: int) -> float:
        return base * min(1, (t + 1) / self.steps)


# 10 The loop: training · exponential-lr
class ExponentialLR(Schedule):
    """base times gamma at every step, eq:exponential-lr."""
    gamma: Any = _Setting(_within)

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer, self._decay)

    def _decay(self, base: float, t: int) -> float:
        return base * self.gamma**t


# 10 The loop: training · step-lr
class StepLR(ExponentialLR):
    """base times gamma once every ``step_size`` steps.

    All schedules raise ValueError for what is negative or not finite, or
    for numbers of steps below 1.
    """
    step_size: Any = _Setting(_positive)

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1
    ) -> None:
        self.step_size = step_size
        super().__init__(optimizer, gamma)

    # 10 The loop: training · step-lr-formula
    def _decay(self, base: float, t: int) -> float:
        return super()._decay(base, t // self.step_size)


# 10 The loop: training · clip
def clip_grad_norm_(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Shorten the gradient of all parameters to max_norm, eq:clip, in place.

    Returns its length before, and leaves alone what is not finite. Raises
    ValueError unless max_norm > 0.
    """
    _within("clip_grad_norm_", "0 < {} <= inf", max_norm=max_norm)
    grads = [p.grad for p in _only_parameters(parameters)]
    norm = largest = float(np.max([*map(_largest, grads)], initial=0.0))
    if 0 < largest < math.inf:
        norm *= math.hypot(*(np.linalg.norm(g / largest) for g in grads))
    for grad in grads if max_norm < norm < math.inf else ():
        grad *= max_norm / norm  # eq:clip
    return norm


# 10 The loop: training · first-not-finite
def _first_not_finite(net: Network, x: ArrayLike) -> str:
    """Where on the way through the network a number is first not finite."""
    y = np.asarray(x)
    if not np.isfinite(y).all():
        return "the input itself is not finite"
    for i, layer in enumerate(net):
        y = layer.forward(y)
        if not np.isfinite(y).all():
            name = f"layer {i}, {_short(layer)}"
            return f"{name}, is the first whose output is not finite"
    return "every layer's output is finite, the loss is not"


# 10 The loop: training · training
class _Training(SimpleNamespace):
    """A call of fit, its arguments as attributes."""

    # 10 The loop: training · train-batch
    def forwards_and_back(self, number: int, batch: Sequence) -> dict:
        found = _measure(self.net, *batch)
        self.watch_loss(found["loss"][0], number, batch[0])
        self.optimizer.zero_grad()
        self.net.accumulate()
        return found

    def step(self, number: int) -> None:
        self.limit()
        self.watch_gradient(number)
        self.optimizer.step()
        self.advance("batch")

    # 10 The loop: training · train-epoch
    def epoch(self, number: int, last: int) -> dict[str, Any]:
        rate = float(np.max(self.optimizer.lr))  # groups may have several
        row: dict[str, Any] = {"epoch": number, "lr": rate}
        self.net.train()
        with self.bar(f"epoch {number}/{last}") as seen:
            row |= _average(seen, self.one_batch)
        return row | self.held_out()

    # 10 The loop: training · train-held-out
    def held_out(self) -> dict[str, float]:
        self.net.eval()
        if self.validation is None:
            return {}
        found = _average(
            self.validation, lambda _, b: _measure(self.net, *b), "validation"
        )
        return {f"validation_{name}": found[name] for name in found}

    # 10 The loop: training · train-run
    def run(self, epochs: int, callbacks: Sequence, history: list) -> None:
        first = history[-1]["epoch"] + 1 if history else 1
        last = first + epochs - 1
        for number in range(first, last + 1):
            row = self.epoch(number, last)
            with _uninterrupted():
                history.append(row)
                self.advance("epoch")
            self.tell(row, last)
            # a list, so that all are called
            if any([np.array_equal(c(history), True) for c in callbacks]):
                break

    # 10 The loop: training · advance
    def advance(self, unit: str) -> None:
        if self.schedule is not None and self.schedule_every == unit:
            self.schedule.step()

    # 10 The loop: training · limit
    def limit(self) -> None:
        if self.penalty is not None:
            self.penalty()
        if self.max_norm is not None:
            clip_grad_norm_(self.optimizer.parameters, self.max_norm)

    # 10 The loop: training · watch-loss
    def watch_loss(self, loss: float, number: int, x: ArrayLike) -> None:
        if not math.isfinite(loss):
            where = f"the loss is {loss} in batch {number}: "
            raise FloatingPointError(where + _first_not_finite(self.net, x))

    # 10 The loop: training · watch-gradient
    def watch_gradient(self, number: int) -> None:
        if not np.isfinite(self.optimizer._look()).all():
            named = self.net.named_parameters()
            lost = [name for name, p in named if not np.isfinite(p.grad).all()]
            where = f"{', '.join(lost)} is not finite in batch {number}"
            raise FloatingPointError(f"the gradient of {where}")

    # 10 The loop: training · tell
    def tell(self, row: dict[str, float], last: int) -> None:
        """An epoch as one line of text."""
        title = f"epoch {row['epoch']:{len(str(last))}}/{last}"
        found = [f"{name.replace('_', ' ')} {row[name]:.4f}" for name in row]
        if self.verbose:
            print("  ".join([title, *found[2:]]), flush=True)

    # 10 The loop: training · bar
    def bar(self, title: str) -> AbstractContextManager[Iterable]:
        """The data, with a progress bar if there is somebody to see it."""
        if not self.verbose:
            return nullcontext(self.data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a notebook without widgets
                from tqdm.autonotebook import tqdm
        except ImportError:
            return nullcontext(self.data)
        return tqdm(self.data, title, leave=False, unit="batch", disable=None)

    # 10 The loop: training · whole-batch
    def one_batch(self, number: int, batch: Sequence) -> dict[str, tuple]:
        """The loss and the step, which Ctrl-C does not come between."""
        with _uninterrupted():
            with np.errstate(over="ignore", invalid="ignore"):
                found = self.forwards_and_back(number, batch)
            self.step(number)
        return found

    # 10 The loop: training · fit-kinds
    def check(self) -> None:
        kinds = {
            "net": Network, "optimizer": Optimizer, "data": Iterable,
            "callbacks": Iterable, "validation": Iterable,
            "schedule": Schedule, "penalty": Callable, "history": list,
        }
        for i, (name, kind) in enumerate(kinds.items()):
            # the last four may be left out
            _instances("fit", kind, i > 3, **{name: vars(self)[name]})
        for function in self.callbacks:
            _instances("fit", Callable, callbacks=function)
        rows = self.history or ()
        its = (isinstance(row, dict) and row.get("epoch") for row in rows)
        fits = all(map(_is_whole, its))
        wanted = "expected {} as fit returns it"
        _demand("fit", lambda _: fits, wanted, history=self.history)
        _positive("fit", least=0, epochs=self.epochs)
        _switch("fit", verbose=self.verbose)
        _one_of("fit", "epoch", "batch", schedule_every=self.schedule_every)
        _one_number("fit", self.net)
        _of_one_training("fit", self.net, self.optimizer, self.schedule)


# 10 The loop: training · fit
def fit(
    net: Network, optimizer: Optimizer, data: Iterable, epochs: int,
    validation: Iterable | None = None, callbacks: Sequence[Callable] = (),
    schedule: Schedule | None = None, max_norm: float | None = None,
    penalty: Callable | None = None, verbose: bool = True, *,
    schedule_every: str = "epoch", history: list[dict] | None = None,
) -> list[dict[str, float]]:
    """Train on batches (x, y) or (x, y, lengths); return the history.

    A row has epoch, lr, and as means over examples loss, accuracy of labels,
    and validation_… of both. ``penalty()`` may add to gradients before they
    are clipped to max_norm. A callback gets the history; True stops, as does
    Ctrl-C. Raises FloatingPointError before a step along what is not finite,
    ValueError or TypeError for no data and for what does not belong together.
    """
    training = _Training(**locals())
    training.check()
    history = list(history or [])
    try:
        training.run(epochs, callbacks, history)
    except KeyboardInterrupt:
        print(f"interrupted after {len(history)} epochs", file=sys.stderr)
    finally:
        net.train()
    return history


# 10 The loop: training · average
def _average(batches: Iterable, measure: Callable, what: str = "data") -> dict:
    """What ``measure`` finds in each batch, averaged over all examples."""
    total: dict[str, Any] = {}
    for i, batch in enumerate(batches):
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            wanted = "expected batches (x, y); write DataLoader(x, y)"
            raise TypeError(f"fit: {wanted}")
        for name, (value, size) in measure(i, batch).items():
            total[name] = total.get(name, 0) + np.array([value * size, size])
    if not total:
        raise ValueError(
            f"fit: no batches in {what} (drop_last? an iterator, used up?)"
        )
    return {name: float(a / size) for name, (a, size) in total.items()}


# 10 The loop: training · uninterrupted
@contextmanager
def _uninterrupted() -> Iterator[None]:
    """In the main thread, let Ctrl-C and SIGTERM wait for the block."""
    main = threading.current_thread() is threading.main_thread()
    numbers = [int(signal.SIGINT), int(signal.SIGTERM)] if main else []
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in numbers if signal.getsignal(number) is not None
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in arrived[:1]:
        signal.raise_signal(number)


# 10 The loop: training · measure
def _measure(net: Network, x: Any, y: Any, lengths: Any = None) -> dict:
    """The mean loss and the accuracy of labels; of how many, or what weight"""
    criterion, labels = net._loss_at_end(), np.asarray(y)
    answer = net.forward(x, *_given(lengths))
    mask = net._mask(answer, labels, lengths)
    loss = criterion.forward(answer, labels, *mask)
    counted = mask[0] if mask else np.ones(len(labels), bool)
    found, weight = {}, None
    if isinstance(criterion, CrossEntropyLoss) and labels.ndim < answer.ndim:
        inside = mask[0] if mask else True
        counted = (labels != criterion.ignore_index) & inside
        right = (answer.argmax(axis=-1) == labels) & counted
        size, weight = int(counted.sum()), criterion.weight
        found["accuracy"] = int(right.sum()) / max(size, 1), size
    size = int(counted.sum())
    if criterion.reduction == "sum":
        loss /= max(size, 1)
    elif weight is not None:
        size = np.asarray(weight)[labels[counted]].sum()
    return found | {"loss": (loss, size)}


# 10 The loop: training · of-one-training
def _of_one_training(owner: str, net: Any, rule: Any, schedule: Any) -> None:
    """Raise ValueError where they do not belong together."""
    if schedule is not None and schedule.optimizer is not rule:
        raise ValueError(f"{owner}: the schedule's optimizer is not given")
    if rule is not None and not {*rule.parameters} & {*net.parameters()}:
        raise ValueError(f"{owner}: the optimizer has no parameter of net")


# 11 To be continued: saving and resuming · named-arrays
def _named_arrays(
    net: Layer, optimizer: Any = None, schedule: Any = None
) -> dict[str, np.ndarray]:
    """What training changes, by names that stay the same."""
    _look_at(net, optimizer, schedule)
    found = {f"net.{name}": array for name, array in net._arrays().items()}
    for name, array in optimizer._arrays().items() if optimizer else ():
        found[f"optimizer.{name}"] = array
    if schedule is not None:
        found["schedule"] = np.array(schedule.t)
    return found


# 11 To be continued: saving and resuming · look-at
def _look_at(net: Any, optimizer: Any, schedule: Any) -> None:
    _instances("checkpoint", Layer, net=net)
    _instances("checkpoint", Optimizer, True, optimizer=optimizer)
    _instances("checkpoint", Schedule, True, schedule=schedule)
    _of_one_training("checkpoint", net, optimizer, schedule)


# 11 To be continued: saving and resuming · generators
def _generators(net: Layer, rng: Any) -> dict[str, np.random.Generator]:
    """The generator given, and those that layers draw from, by name."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        kind = type(rng).__name__
        raise TypeError(f"expected a Generator, got {kind}; write loader.rng")
    inside = {
        name: member for name, member in net._contents("rng.")
        if isinstance(member, np.random.Generator)
    }
    return inside if rng is None else {"rng": rng, **inside}


# 11 To be continued: saving and resuming · save
def save(
    net: Layer, path: str | os.PathLike, *, optimizer: Optimizer | None = None,
    rng: np.random.Generator | None = None, schedule: Schedule | None = None,
    history: list[dict] | None = None,
) -> None:
    """Write parameters, buffers, and what resuming needs, as .npz.

    With the optimizer's state and rate, the generator that shuffles, the
    schedule and the history, training continues bit for bit, from one epoch
    to the next. Generators of random layers are written down in any case.
    The file appears whole or not at all. Raises TypeError for a buffer that
    holds no numbers or a rng that is no generator, ValueError where names
    collide, OSError for a place that is no ordinary file.
    """
    arrays: dict[str, Any] = _named_arrays(net, optimizer, schedule)
    texts: dict[str, Any] = {"history": _saved_history(history)}
    for name, generator in _generators(net, rng).items():
        texts[name] = generator.bit_generator.state
    for name, text in texts.items():
        with _readable(f"save: {name} is no plain text and numbers"):
            text = json.dumps(text, default=lambda x: x.tolist())
        arrays[name] = np.array(text)
    _write(_ordinary(path), arrays)


# 11 To be continued: saving and resuming · saved-history
def _saved_history(history: Any) -> list[dict]:
    rows = [] if history is None else history
    _instances("save", list, history=rows)
    for row in rows:
        _instances("save", dict, history=row)
        for name in row:
            _instances("save", str, **{"a name in history": name})
    return rows


# 11 To be continued: saving and resuming · load
def load(
    net: Layer, path: str | os.PathLike, *, optimizer: Optimizer | None = None,
    rng: np.random.Generator | None = None, schedule: Schedule | None = None,
) -> list[dict[str, float]]:
    """Read what ``save`` wrote; return the history that was saved.

    Raises ValueError, and changes nothing, for a file that is no checkpoint
    of such a network; OSError for what is no ordinary file.
    """
    arrays = _named_arrays(net, optimizer, schedule)
    generators = _generators(net, rng)
    stored, texts = _read(path, arrays, generators)
    _set_back(stored, optimizer, schedule)
    _restore(arrays, stored, generators, texts)
    return texts["history"]


# 11 To be continued: saving and resuming · set-back
def _set_back(arrays: dict, optimizer: Any, schedule: Any) -> None:
    t = 0 if schedule is None else arrays["schedule"].item()
    _positive("checkpoint", least=0, schedule=t)
    if optimizer is not None:
        optimizer._set_rates(arrays["optimizer.rates"], arrays["optimizer.t"])
    if schedule is not None:
        schedule.t = t


# 11 To be continued: saving and resuming · restore
def _restore(arrays: dict, stored: dict, rngs: dict, texts: dict) -> None:
    _overwrite(arrays, stored)
    for name, generator in rngs.items():
        generator.bit_generator.state = texts[name]


# 11 To be continued: saving and resuming · write
def _write(path: Path, arrays: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with _uninterrupted():
        try:
            with open(part, "xb") as file:
                begun = os.fstat(file.fileno()).st_mtime
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())  # on the disk before it gets the name
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    for left in path.parent.glob(f"{escape(path.name)}.????????.part"):
        if left.stat().st_mtime <= begun:  # by a save that was killed
            left.unlink(missing_ok=True)


# 11 To be continued: saving and resuming · ordinary
def _ordinary(path: str | os.PathLike) -> Path:
    """Where the file really stands; behind a link, for instance."""
    path = Path(os.fsdecode(path)).resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no ordinary file")
    return path


# 11 To be continued: saving and resuming · read
def _read(path: Any, arrays: dict, generators: dict) -> tuple[dict, dict]:
    ours = {name: _kind(a.dtype, a.shape) for name, a in arrays.items()}
    ours |= dict.fromkeys(["history", *generators], "text")
    with open(_ordinary(path), "rb") as file:
        with _readable(f"{path}: not a checkpoint"):
            archive: Any = np.lib.npyio.NpzFile(file)
            kinds = _headers(archive.zip)
        _agree(ours, _asked_for(kinds, ours), str, f"{path}: ")
        with _readable(f"{path}: not a checkpoint"):
            stored = {name: archive[name] for name in ours}
    return stored, _texts(path, stored, generators)


# 11 To be continued: saving and resuming · asked-for
def _asked_for(kinds: dict[str, str], ours: dict[str, str]) -> dict[str, str]:
    """Without the optimizer's part, or the schedule's, if ours has none."""
    parts = {"optimizer.": "optimizer.rates", "schedule": "schedule"}
    unasked = tuple(p for p, name in parts.items() if name not in ours)
    return {
        name: kind for name, kind in kinds.items()
        if name in ours or not (name.startswith(unasked) or name == "rng")
    }


# 11 To be continued: saving and resuming · headers
def _kind(dtype: np.dtype, shape: tuple) -> str:
    if dtype.kind == "U" and not shape and dtype.itemsize < 2**26:
        return "text"
    return f"{dtype} of shape {shape}"


def _headers(archive: ZipFile) -> dict[str, str]:
    """What its arrays will be; they are not read."""
    kinds = {}
    for entry in archive.namelist():
        with archive.open(entry) as member:
            np.lib.format.read_magic(member)
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        kinds[entry.removesuffix(".npy")] = _kind(dtype, shape)
    return kinds


# 11 To be continued: saving and resuming · texts
def _texts(path: Any, stored: dict, generators: dict) -> dict[str, Any]:
    texts = {}
    for name in ("history", *generators):
        with _readable(f"{path}: {name} is unreadable"):
            texts[name] = json.loads(str(stored[name]))
            if name in generators:
                type(generators[name].bit_generator)().state = texts[name]
            else:
                [row.items() for row in texts[name]]
    return texts


# 11 To be continued: saving and resuming · readable
@contextmanager
def _readable(what: str) -> Iterator[None]:
    """ValueError for whatever goes wrong in reading or writing ``what``."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what} ({error!r})") from None


# 12 Not by heart: regularisation · early-stopping
class EarlyStopping:
    """Callback for fit: stop once ``monitor`` no longer improves.

    An epoch is the best if it is better than the best so far by more than
    ``min_delta``: lower for ``mode`` "min", higher for "max". Stops after
    ``patience`` epochs without one. ``restore()`` then puts the best one's
    parameters and buffers back; with ``restore_best`` stopping does that.
    One instance serves one fit. Raises ValueError for settings out of
    range or where the history has no such number, RuntimeError for restore
    before there is a best epoch.
    """
    monitor: Any = _Setting(_instances, str)
    patience: Any = _Setting(_positive)
    min_delta: Any = _Setting(_within)
    _kept: dict[str, np.ndarray] | None = None  # at the best epoch

    # 12 Not by heart: regularisation · early-stopping-settings
    def __init__(
        self, net: Layer, patience: int = 5, min_delta: float = 0.0,
        monitor: str = "validation_loss", mode: str = "min",
        restore_best: bool = False,
    ) -> None:
        _instances(self, Layer, net=net)
        _one_of(self, "min", "max", mode=mode)
        _switch(self, restore_best=restore_best)
        self.net, self.patience, self.min_delta = net, patience, min_delta
        self.monitor, self.restore_best = monitor, restore_best
        self._sign = 1 if mode == "min" else -1
        self.best, self.waited = self._sign * float("inf"), 0

    # 12 Not by heart: regularisation · early-stopping-call
    def __call__(self, history: list[dict[str, float]]) -> bool:
        value, self.waited = self._watched(history[-1]), self.waited + 1
        if self._sign * (self.best - value) > self.min_delta:
            self.best, self.waited = value, 0
            self._kept = self.net.state_dict()
        stop = self.waited >= self.patience
        if stop and self.restore_best and self._kept:
            self.restore()
        return stop

    # 12 Not by heart: regularisation · early-stopping-restore
    def restore(self) -> None:
        """Put the best parameters and buffers back, in place."""
        if not self._kept:
            raise RuntimeError("EarlyStopping: no epoch has a finite value")
        self.net.load_state_dict(self._kept)

    # 12 Not by heart: regularisation · early-stopping-restore-watched
    def _watched(self, row: dict[str, float]) -> float:
        if self.monitor not in row:
            found = f"{', '.join(row)}; did fit get validation=…?"
            raise ValueError(f"EarlyStopping: no {self.monitor} in {found}")
        return row[self.monitor]


# 12 Not by heart: regularisation · penalties
def l2_penalty(parameters: Iterable[Parameter], strength: float) -> float:
    """Half the strength times the sum of squares, eq:l2.

    Adds its gradient (eq:l2-grad) to the parameters' grad: call it once
    in a step, after backward. Raises ValueError for a negative strength,
    TypeError for what is no parameter.
    """
    total = 0.0
    for p in _penalised(parameters, strength):
        p.grad += strength * p.data  # eq:l2-grad
        total += 0.5 * strength * float(np.sum(p.data**2))  # eq:l2
    return total


# 12 Not by heart: regularisation · l1-penalty
def l1_penalty(parameters: Iterable[Parameter], strength: float) -> float:
    """The strength times the sum of absolute values, eq:l1.

    Adds its gradient, eq:l1-grad (0 at 0), and raises as l2_penalty does.
    """
    total = 0.0
    for p in _penalised(parameters, strength):
        p.grad += strength * np.sign(p.data)  # eq:l1-grad
        total += strength * float(np.sum(np.abs(p.data)))  # eq:l1
    return total


# 12 Not by heart: regularisation · penalised
def _penalised(things: Iterable, strength: float) -> list[Parameter]:
    """The parameters to be penalised, each once."""
    _within("penalty", strength=strength)
    return _only_parameters(things)


# 12 Not by heart: regularisation · dropout
class Dropout(Layer):
    """Zero a random share p of the entries in training, eq:dropout.

    Any shape in, same out; in evaluation a copy of the input. ``p`` is the
    probability of dropping. Raises ValueError unless 0 <= p < 1.
    Source: Srivastava and others, 2014.
    """
    p: Any = _Setting(_within, "0 <= {} < 1")
    (_rng,) = _fixed(1, once=False)

    def __init__(self, p: float = 0.5, *, rng: _Seed = None) -> None:
        self.p, self._rng = p, _generator(self, rng)

    # 12 Not by heart: regularisation · dropout-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, ...)
        factor = np.ones_like(x)
        if self.training:
            keep = self._rng.random(x.shape) >= self.p
            factor = keep / x.dtype.type(1 - self.p)
        return self._leave(x * factor, factor)  # eq:dropout

    # 12 Not by heart: regularisation · dropout-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, factor = self._received(grad_output)
        return grad * factor  # eq:dropout-dx


# 12 Not by heart: regularisation · array-types
_Array = np.ndarray
_Maybe = ArrayLike | None


# 13 Keeping in shape: normalisation · normalise
def _mean(rows: np.ndarray) -> np.ndarray:
    """The mean of each row, as a column."""
    return (_sum(rows) / rows.shape[1])[:, None]


def _centre(rows: np.ndarray) -> _Pair:
    """The rows less their means, eq:bn-mean; the means."""
    centred = rows - rows[:, :1]
    mean = _mean(centred)
    centred -= mean
    return centred, rows[:, :1] + mean


# 13 Keeping in shape: normalisation · dots
def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The dot product of each row of a with that of b, as a column."""
    if a.flags.c_contiguous:
        return (a[:, None] @ b[..., None])[..., 0]
    return _sum(a * b)[:, None]  # faster for columns turned into rows


# 13 Keeping in shape: normalisation · normalise-backward
def _normalise_backward(
    d: _Array, xhat: _Array, r: _Array, along: _Array, mean: _Array
) -> _Array:
    """eq:bn-dx; ``along`` and ``mean`` are its two means."""
    dx = xhat * along
    np.subtract(d, dx, out=dx)
    dx -= mean
    dx *= r
    return dx


# 13 Keeping in shape: normalisation · or-none
def _or_none(owner: Any, bounds: str = "0 <= {} < inf", **it: Any) -> None:
    _within(owner, bounds, **{k: v for k, v in it.items() if v is not None})


# 13 Keeping in shape: normalisation · batch-norm
class _BatchNorm(Layer):
    """What BatchNorm1d and BatchNorm2d have in common."""
    num_features, weight, bias = _fixed(3)
    eps: Any = _Setting(_within)
    momentum: Any = _Setting(_or_none, _SHARE)
    _axes: tuple[tuple[str, ...], ...]  # after (N, num_features)
    running_mean = property(lambda self: self.buffers.get("running_mean"))
    running_var = property(lambda self: self.buffers.get("running_var"))

    # 13 Keeping in shape: normalisation · batch-norm-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        x, fixed = self._admitted(x)
        centred, r = self._statistics(_by_feature(x), fixed)
        factor = r * _data(self.weight, 1)[:, None]
        y = centred * factor  # gamma times eq:bn-xhat
        y += _data(self.bias, 0)[:, None]  # eq:bn
        return self._leave(_by_example(y, x), (centred, r, factor, fixed))

    # 13 Keeping in shape: normalisation · batch-norm-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, (centred, r, factor, fixed) = self._received(grad_output)
        dy, n = _by_feature(grad), grad[:, 0].size
        dbeta, dgamma = _sum(dy)[:, None], r * _dots(dy, centred)
        _collect(self.bias, dbeta)  # eq:bn-dbeta
        _collect(self.weight, dgamma)  # eq:bn-dgamma
        if fixed:
            dx = dy * factor
        else:
            along, mean = r * dgamma / n, dbeta / n  # eq:bn-dx-short
            dx = _normalise_backward(dy, centred, factor, along, mean)
        return _by_example(dx, grad)

    # 13 Keeping in shape: normalisation · batch-norm-statistics
    def _statistics(self, rows: np.ndarray, fixed: bool) -> _Pair:
        """The rows less their means, and the factor r."""
        if fixed:
            kept = self.running_mean, self.running_var
            mean, var = (b[:, None].astype(rows.dtype) for b in kept)
            return rows - mean, 1 / np.sqrt(var + self.eps)  # eq:bn-eval
        centred, mean = _centre(rows)
        var = _dots(centred, centred) / rows.shape[1]  # eq:bn-variance
        if self.buffers:
            self._track(mean, var, rows.shape[1])
        return centred, 1 / np.sqrt(var + self.eps)  # eq:bn-factor

    # 13 Keeping in shape: normalisation · batch-norm-track
    def _track(self, mean: np.ndarray, variance: np.ndarray, n: int) -> None:
        kept, share = self.buffers, self.momentum
        kept["num_batches_tracked"][()] += 1
        if share is None:
            share = 1 / int(kept["num_batches_tracked"])
        new = {"running_mean": mean, "running_var": variance * (n / (n - 1))}
        for name, value in new.items():
            kept[name] = kept[name] + share * (value[:, 0] - kept[name])

    # 13 Keeping in shape: normalisation · batch-norm-settings
    def __init__(
        self, num_features: int, eps: float = 1e-5,
        momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, *, bias: bool = True,
    ) -> None:
        _positive(self, num_features=num_features)
        self.num_features, self.eps = num_features, eps
        self.momentum, zeros = momentum, np.zeros(num_features)
        _switch(self, affine=affine, track_running_stats=track_running_stats)
        _switch(self, bias=bias)
        self.weight = Parameter(zeros + 1) if affine else None
        self.bias = Parameter(zeros) if affine and bias else None
        self.buffers: dict[str, np.ndarray] = {
            "running_mean": zeros, "running_var": zeros + 1,
            "num_batches_tracked": np.array(0),
        } if track_running_stats else {}

    # 13 Keeping in shape: normalisation · batch-norm-guard
    def _admitted(self, x: ArrayLike) -> tuple[np.ndarray, bool]:
        """x if its shape fits, and whether the statistics are fixed."""
        axes = self._axes[-1 if _floating(x).ndim > 2 else 0]
        x = self._expect(x, "N", self.num_features, *axes)
        n, fixed = x[:, 0].size, bool(self.buffers) and not self.training
        if n < 2 and not fixed:
            raise ValueError(
                f"{self}: {n} value(s) per feature have no spread, {x.shape}; "
                "take larger batches (drop_last=True), or call eval() first"
            )
        return x, fixed


# 13 Keeping in shape: normalisation · turn
def _turn(x: np.ndarray) -> np.ndarray:
    """A view of x with the first axis, the batch, at the end."""
    return x.transpose(*range(1, x.ndim), 0)


def _turn_back(x: np.ndarray) -> np.ndarray:
    """A view of x with the last axis, the batch, in front."""
    return x.transpose(-1, *range(x.ndim - 1))


# 13 Keeping in shape: normalisation · by-feature
def _by_feature(x: np.ndarray) -> np.ndarray:
    """x (N, D, …) with a row for each of the D features."""
    return _turn(x).reshape(x.shape[1], -1)


def _by_example(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Such rows in the shape of x again, and in its precision."""
    turned = rows.reshape(*x.shape[1:], len(x))
    return _turn_back(turned).astype(x.dtype, copy=False)


# 13 Keeping in shape: normalisation · perhaps
def _data(parameter: Parameter | None, otherwise: float) -> np.ndarray:
    """The parameter's data, or else one number that changes nothing."""
    if parameter is None:
        return np.full(1, otherwise, np.float32)
    return parameter.data


def _collect(parameter: Parameter | None, grad: np.ndarray) -> None:
    """Add to the parameter's grad, if there is a parameter."""
    if parameter is not None:
        parameter._add(grad.reshape(parameter.data.shape))


# 13 Keeping in shape: normalisation · batch-norm-layers
class BatchNorm1d(_BatchNorm):
    """Each feature with mean 0 and variance 1 over the batch, eq:bn.

    Shapes: (N, num_features) or (N, num_features, L) in and out; weight
    and bias (num_features,), None without ``affine``, or ``bias``.
    In evaluation ``running_mean`` and ``running_var`` (divided by N-1) are
    used, eq:bn-eval, unless ``track_running_stats`` is False. ``momentum``
    is the weight of the newest batch in them; None weighs all alike.
    Raises ValueError for other shapes and settings, or for fewer than two
    values of a feature while training. Source: Ioffe and Szegedy, 2015.
    """

    _axes = (), ("L",)


# 13 Keeping in shape: normalisation · batch-norm-layers-batchnorm2d
class BatchNorm2d(_BatchNorm):
    """BatchNorm1d for images: one mean and variance per channel.

    Shapes: (N, num_features, H, W) in and out. Raises as BatchNorm1d.
    """

    _axes = (("H", "W"),)


# 13 Keeping in shape: normalisation · row-norm
class _RowNorm(Layer):
    """What LayerNorm and RMSNorm have in common: an example is a row."""
    _centred = True
    normalized_shape, weight, bias = _fixed(3)
    eps: Any = _Setting(_or_none)
    def forward(self, x: ArrayLike) -> np.ndarray:
        x, rows, eps = self._grouped(x)
        rows = _centre(rows)[0] if self._centred else rows.copy()
        r = 1 / np.sqrt(_mean(rows * rows) + eps)
        factor = r.dot(_data(self.weight, 1).reshape(1, -1))
        y = rows * factor  # eq:ln-xhat, eq:rms
        if self.bias is not None:
            y += self.bias.data.ravel()  # eq:ln
        y = y.reshape(x.shape).astype(x.dtype, copy=False)
        return self._leave(y, (rows, r, factor))

    # 13 Keeping in shape: normalisation · row-norm-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, (rows, r, factor) = self._received(grad_output)
        dy, weight = grad.reshape(rows.shape), _data(self.weight, 1).ravel()
        dx, product = dy * factor, dy * rows  # eq:ln-dxhat
        _collect(self.bias, _sum(dy.T))
        _collect(self.weight, product.T.dot(r[:, 0]))
        share = weight * _ones(rows.shape[1], rows.dtype) / rows.shape[1]
        along = product.dot(share)[:, None] * r * r * r
        dx -= np.multiply(rows, along, out=product)  # eq:ln-dx
        if self._centred:
            dx -= r * dy.dot(share)[:, None]
        return dx.reshape(grad.shape).astype(grad.dtype, copy=False)

    # 13 Keeping in shape: normalisation · row-norm-grouped
    def _grouped(self, x: ArrayLike) -> tuple[np.ndarray, np.ndarray, float]:
        """The input, its rows, and how much guards against zero."""
        x, own = _floating(x), self.normalized_shape
        leading = x.shape[: -len(own)] if x.ndim >= len(own) else ("…",)
        x = self._expect(x, *leading, *own)
        eps = np.finfo(x.dtype).eps if self.eps is None else self.eps
        return x, x.reshape(-1, math.prod(own)), float(eps)

    # 13 Keeping in shape: normalisation · row-norm-settings
    def __init__(
        self, normalized_shape: int | tuple[int, ...],
        eps: float | None = 1e-5, elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        own = normalized_shape
        own = tuple(own) if isinstance(own, (tuple, list)) else (own,)
        for size in own or [()]:
            _positive(self, normalized_shape=size)
        self.normalized_shape, self.eps = tuple(map(int, own)), eps
        _switch(self, elementwise_affine=elementwise_affine, bias=bias)
        self.weight = Parameter(np.ones(own)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(own)) if self.weight and bias else None


# 13 Keeping in shape: normalisation · layer-norm
class LayerNorm(_RowNorm):
    """Each example with mean 0 and variance 1 over its last axes, eq:ln.

    Shapes: (…, *normalized_shape) in and out; weight and bias
    normalized_shape, a number or a tuple; None without
    ``elementwise_affine``, or ``bias``. Raises ValueError for others.
    Source: Ba, Kiros and Hinton, 2016.
    """


# 13 Keeping in shape: normalisation · rms-norm
class RMSNorm(_RowNorm):
    """Each example divided by the root of its mean square, eq:rms.

    Shapes as LayerNorm; weight but no bias. ``eps`` None means the
    smallest step of the input's precision, as in PyTorch.
    Source: Zhang and Sennrich, 2019.
    """

    _centred = False

    def __init__(
        self, normalized_shape: int | tuple[int, ...],
        eps: float | None = None, elementwise_affine: bool = True,
    ) -> None:
        super().__init__(normalized_shape, eps, elementwise_affine, False)


# 14 Neighbours: convolution · pair
def _pair(layer: Layer, name: str, value: Any, least: int) -> tuple[int, int]:
    """A size for both directions, or a pair of sizes, as a pair."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 2
    fits = len(pair) == 2 and all(_is_whole(n, least) for n in pair)
    wanted = f"{{}} must be one or two whole numbers of at least {least}"
    _demand(layer, lambda _: fits, wanted, **{name: value})
    return int(pair[0]), int(pair[1])


# 14 Neighbours: convolution · pictures
_Sizes = int | tuple[int, int]
_NONE = (0, 0), (0, 0)  # the width of a border: above, below; left, right


def _batch_last(x: _Array, border: tuple = _NONE, value: float = 0) -> _Array:
    """(N, C, H, W) as a new array (C, H, W, N), with a border around."""
    turned, ((top, below), (left, right)) = _turn(x), border
    c, h, w, n = turned.shape
    shape = (c, top + h + below, left + w + right, n)
    y = np.full(shape, value, x.dtype)
    y[:, top : top + h, left : left + w] = turned
    return y


# 14 Neighbours: convolution · batch-first
def _batch_first(x: np.ndarray, border: tuple = _NONE) -> np.ndarray:
    """Back to (N, C, H, W), without the border; nothing is copied."""
    ((top, below), (left, right)), (_, h, w, _) = border, x.shape
    return _turn_back(x[:, top : h - below, left : w - right])


# 14 Neighbours: convolution · places
def _places(layer: Layer, size: tuple, window: tuple, stride: tuple) -> tuple:
    """How many places a window has, downwards and across."""
    if any(n < k for n, k in zip(size, window)):
        text = f"a window of {window} does not fit into padded {size}"
        raise ValueError(f"{layer}: {text}")
    return tuple((n - k) // s + 1 for n, k, s in zip(size, window, stride))


# 14 Neighbours: convolution · windows
def _windows(x: _Array, window: tuple[int, ...], steps: tuple) -> _Array:
    """x (C, H, W, N) by windows: (rows, C, kh, kw, columns, N), a view."""
    (s, t), (d, e) = steps  # the stride, and the dilation
    span = d * (window[0] - 1) + 1, e * (window[1] - 1) + 1
    view = sliding_window_view(x, span, axis=(1, 2))
    return view[:, ::s, ::t, :, ::d, ::e].transpose(1, 0, 4, 5, 2, 3)


# 14 Neighbours: convolution · correlate
def _correlate(x: np.ndarray, weight: np.ndarray, steps: tuple) -> np.ndarray:
    """eq:conv without the bias: (C, H, W, N) to (O, rows, columns, N)."""
    windows = _windows(x, weight.shape[2:], steps)
    groups, size = len(x) // weight.shape[1], math.prod(weight.shape[1:])
    kernels = weight.reshape(groups, len(weight) // groups, size)
    rows, columns, n = len(windows), *windows.shape[-2:]
    y = np.empty((*kernels.shape[:2], rows, columns * n), x.dtype)
    for i, row in enumerate(windows):
        np.matmul(kernels, row.reshape(groups, size, -1), out=y[:, :, i])
    return y.reshape(len(weight), rows, columns, n)


# 14 Neighbours: convolution · correlate-weight
def _correlate_weight(
    x: np.ndarray, grad: np.ndarray, weight: np.ndarray, steps: tuple
) -> np.ndarray:
    """eq:conv-dw, eq:conv-stride-dm: the gradient of the weight."""
    groups, window = len(x) // weight.shape[1], weight.shape[2:]
    size = math.prod(weight.shape[1:]), len(weight) // groups
    total = np.zeros((groups, *size), grad.dtype)
    for i, row in enumerate(_windows(x, window, steps)):
        g = grad[:, i].reshape(groups, size[1], -1)
        total += row.reshape(groups, size[0], -1) @ g.mT
    return total.mT.reshape(weight.shape)


# 14 Neighbours: convolution · spread
def _spread(grad: _Array, weight: _Array, steps: tuple, x: _Array) -> _Array:
    """eq:conv-stride-dx: add to x what outputs hand to their windows."""
    ((s, t), (d, e)), groups = steps, len(x) // weight.shape[1]
    (outputs, rows, columns, n), (h, w) = grad.shape, weight.shape[2:]
    back = weight.reshape(groups, outputs // groups, weight[0].size).mT
    parts = np.zeros((len(x), x.shape[1], w, columns, n), x.dtype)
    for i in range(rows):
        g = grad[:, i].reshape(groups, outputs // groups, columns * n)
        row = (back @ g).reshape(len(x), h, w, columns, n)
        parts[:, i * s : i * s + d * (h - 1) + 1 : d] += row
    for v in range(w):
        x[:, :, v * e : v * e + t * (columns - 1) + 1 : t] += parts[:, :, v]
    return x


# 14 Neighbours: convolution · convolution
class _Convolution(Layer):
    """What Conv2d and ConvTranspose2d have in common."""

    _transposed = False
    in_channels, out_channels, kernel_size, groups = _fixed(4)
    weight, bias = _fixed(2)
    stride, padding, dilation = _fixed(3, once=False)

    def _learned(self, grad_output: ArrayLike) -> tuple[_Array, _Array]:
        """Add to the parameters' grad; that of the output, x; batch last."""
        grad, x = self._received(grad_output)
        g = np.ascontiguousarray(_turn(grad))
        pair = x, g
        if self._transposed:
            g = _batch_last(grad, self._border)
            pair = g, x
        weight = self.weight
        weight._add(_correlate_weight(*pair, weight.data, self._steps))
        _collect(self.bias, _sum(g.reshape(len(g), -1)))  # eq:conv-db
        return g, x

    def accumulate(self, grad_output: ArrayLike) -> None:
        self._learned(grad_output)

    # 14 Neighbours: convolution · convolution-settings
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: _Sizes,
        stride: _Sizes = 1, padding: _Sizes | str = 0, *,
        dilation: _Sizes = 1, groups: int = 1, bias: bool = True,
        rng: _Seed = None,
    ) -> None:
        _positive(self, in_channels=in_channels, groups=groups)
        _positive(self, out_channels=out_channels)
        both = in_channels % groups == out_channels % groups == 0
        _switch(self, bias=bias)
        wanted = f"{{}} must divide {in_channels} and {out_channels} channels"
        _demand(self, lambda _: both, wanted, groups=groups)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = _pair(self, "kernel_size", kernel_size, 1)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self._pad()
        self.groups = groups
        self._draw(groups, bias, _generator(self, rng))

    # 14 Neighbours: convolution · convolution-padding
    def _pad(self) -> None:
        """The border around the pictures, as _batch_last takes it."""
        self.stride = _pair(self, "stride", self.stride, 1)
        self.dilation = _pair(self, "dilation", self.dilation, 1)
        self._steps, name = (self.stride, self.dilation), str(self.padding)
        sides = zip(self.kernel_size, self.dilation)
        h, w = self._span = tuple(d * (k - 1) + 1 for k, d in sides)
        if name == "same" and max(self.stride) > 1:
            raise ValueError(f"{self}: padding 'same' needs stride 1")
        self._border = ((h - 1) // 2, h // 2), ((w - 1) // 2, w // 2)
        if name != "same" or self._transposed:
            size = 0 if name == "valid" else self.padding
            top, side = self.padding = _pair(self, "padding", size, 0)
            self._border = (top, top), (side, side)

    # 14 Neighbours: convolution · convolution-start
    def _draw(self, groups: int, bias: bool, rng: Any) -> None:
        """The parameters, at their start."""
        few, many = self.in_channels, self.out_channels
        if self._transposed:
            few, many = many, few
        shape = many, few // groups, *self.kernel_size
        bound = math.prod(shape[1:]) ** -0.5
        self.weight = Parameter(rng.uniform(-bound, bound, shape))
        drawn = rng.uniform(-bound, bound, self.out_channels)
        self.bias = Parameter(drawn) if bias else None


# 14 Neighbours: convolution · conv2d
class Conv2d(_Convolution):
    """Convolution, eq:conv: windows of pictures times kernels.

    Shapes: input (N, in_channels, H, W), output (N, out_channels, rows,
    columns) with rows = (H + 2 padding - span) // stride + 1 and
    span = dilation (kernel_size - 1) + 1, weight (out_channels,
    in_channels / groups, *kernel_size), bias (out_channels,) or None.
    A size is a number or a pair (height, width); padding may be "valid",
    no border, or "same", one that keeps the size. Weight and bias start
    uniform in ±1/sqrt(number of inputs of a window).
    Raises ValueError for other shapes and where no window fits.
    """

    # 14 Neighbours: convolution · conv2d-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        self._pad()
        x = self._expect(x, "N", self.in_channels, "H", "W")
        padded = _batch_last(x, self._border)
        _places(self, padded.shape[1:3], self._span, self.stride)  # or raises
        y = _correlate(padded, self.weight.data, self._steps)  # eq:conv
        y += _data(self.bias, 0)[:, None, None, None]
        return self._leave(_batch_first(y), padded)

    # 14 Neighbours: convolution · conv2d-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g, x = self._learned(grad_output)
        dx = _spread(g, self.weight.data, self._steps, np.zeros_like(x))
        return _batch_first(dx, self._border)


# 14 Neighbours: convolution · transposed
class ConvTranspose2d(_Convolution):
    """Spreads each pixel over a window, eq:conv-transpose.

    Shapes: input (N, in_channels, H, W), output (N, out_channels, rows,
    columns) with rows = (H - 1) stride - 2 padding + span, weight
    (in_channels, out_channels / groups, *kernel_size), bias and span
    as in Conv2d. Raises ValueError for other shapes, for padding="same",
    and where padding leaves nothing.
    """

    _transposed = True

    # 14 Neighbours: convolution · transposed-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        self._pad()
        x = self._expect(x, "N", self.in_channels, "H", "W")
        sides = zip(x.shape[2:], self.stride, self._span)
        h, w = ((n - 1) * s + k for n, s, k in sides)
        y = np.zeros((self.out_channels, h, w, len(x)), x.dtype)
        shown = _batch_first(y, self._border)
        if 0 in x.shape[2:] or 0 in shown.shape[1:]:
            raise ValueError(f"{self}: {x.shape} leaves no output")
        kept = _batch_last(x)
        _spread(kept, self.weight.data, self._steps, y)
        y += _data(self.bias, 0)[:, None, None, None]
        return self._leave(shown, kept)

    # 14 Neighbours: convolution · transposed-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g, _ = self._learned(grad_output)
        return _batch_first(_correlate(g, self.weight.data, self._steps))


# 14 Neighbours: convolution · pool
class _Pool(Layer):
    """What MaxPool2d and AvgPool2d have in common."""

    _handed: Any  # the share of a window's gradient that its k-th pixel gets
    kernel_size, stride, padding = _fixed(3, once=False)

    def _pieces(self, x: np.ndarray) -> list[np.ndarray]:
        """Views of x (C, H, W, N): each window's first pixel, second, …"""
        window, (s, t), _ = self._windows
        rows, columns = _places(self, x.shape[1:3], window, (s, t))
        return [
            x[:, u:, v:][:, : s * rows : s, : t * columns : t]
            for u, v in np.ndindex(*window)
        ]

    # 14 Neighbours: convolution · pool-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, (shape, kept) = self._received(grad_output)
        g, dx = _turn(grad), np.zeros(shape, grad.dtype)
        window, stride, border = self._windows
        overlap = any(s < k for s, k in zip(stride, window))
        for k, target in enumerate(self._pieces(dx)):
            share = self._handed(g, k, kept)
            if overlap:
                share += target
            target[...] = share
        return _batch_first(dx, border)

    # 14 Neighbours: convolution · pool-settings
    def __init__(
        self, kernel_size: _Sizes, stride: _Sizes | None = None,
        padding: _Sizes = 0,
    ) -> None:
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self._settle()

    # 14 Neighbours: convolution · pool-settle
    def _settle(self) -> None:
        """The sizes as pairs, also if they have changed since."""
        for name, least in ("kernel_size", 1), ("stride", 1), ("padding", 0):
            pair = _pair(self, name, getattr(self, name), least)
            setattr(self, name, pair)
        border, window = tuple((p, p) for p in self.padding), self.kernel_size
        self._windows = window, self.stride, border
        fits = all(2 * p <= k for p, k in zip(self.padding, window))
        wanted = f"expected {{}} of at most half the kernel_size {window}"
        _demand(self, lambda _: fits, wanted, padding=self.padding)

    # 14 Neighbours: convolution · pool-settings-padded
    def _padded(self, x: ArrayLike, beyond: float) -> np.ndarray:
        """The pictures, batch last, in a border of that number."""
        self._settle()
        x = self._expect(x, "N", "C", "H", "W")
        if any(self.padding):
            return _batch_last(x, self._windows[2], beyond)
        return np.ascontiguousarray(_turn(x))

    # 14 Neighbours: convolution · pool-settings-inside
    def _inside(self, shape: tuple[int, ...]) -> np.ndarray:
        """The first pixel of each window that is no border, by its number."""
        sides = zip(self.padding, self.stride, shape[1:3])
        i, j = (np.arange(p, p - s * n, -s).clip(0) for p, s, n in sides)
        place = i[:, None] * self.kernel_size[1] + j
        return place[..., None].astype(np.int16)


# 14 Neighbours: convolution · max-pool
class MaxPool2d(_Pool):
    """The largest number of each window, eq:max-pool.

    Shapes: input (N, C, H, W), output (N, C, rows, columns) with rows =
    (H + 2 padding - kernel_size) // stride + 1; stride is kernel_size if
    not given. Where numbers tie, the first gets the gradient.
    Raises ValueError for other shapes and settings.
    """

    # 14 Neighbours: convolution · max-pool-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        padded = self._padded(x, -np.inf)
        first, *others = self._pieces(padded)
        y, winner = first.copy(), np.zeros(first.shape, np.int16)
        if any(self.padding):
            winner += self._inside(first.shape)
        for k, piece in enumerate(others, 1):
            piece = piece.copy()  # cheaper than reading the view three times
            better = (piece > y) | np.isnan(piece)
            np.maximum(winner, better * np.int16(k), out=winner)
            np.maximum(y, piece, out=y)  # eq:max-pool
        return self._leave(_batch_first(y), (padded.shape, winner))

    # 14 Neighbours: convolution · max-pool-handed
    def _handed(self, g: _Array, k: int, winner: _Array) -> _Array:
        return _only(winner == k, g)  # eq:max-pool-dx


# 14 Neighbours: convolution · average-pool
class AvgPool2d(_Pool):
    """The mean of each window, eq:avg-pool; a border counts as zeros.

    Shapes and errors as MaxPool2d.
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        padded = self._padded(x, 0.0)
        pieces = self._pieces(padded)
        y = sum(pieces[1:], pieces[0]) / len(pieces)
        return self._leave(_batch_first(y), (padded.shape, len(pieces)))

    # 14 Neighbours: convolution · average-pool-handed
    def _handed(self, g: _Array, k: int, many: int) -> _Array:
        return g / many  # eq:avg-pool-dx


# 15 A tape for numbers · value
class Value:
    """A number that remembers how it was made.

    After ``y.backward()``, ``grad`` is the slope of y with respect to this
    number. ``_parents`` are the numbers it was made from, ``_slopes`` its
    slope with respect to each, ``_sign`` what a drawing writes on it.
    """

    def __init__(self, data: float, sign: str = "", *made_from: Any) -> None:
        self.data, self.grad, self._sign = _number(data), 0.0, sign
        self._parents = tuple([parent for parent, _ in made_from])
        self._slopes = tuple([slope for _, slope in made_from])

    # 15 A tape for numbers · value-arithmetic
    def __add__(self, other: Value | float) -> Value:
        a, b = self, _value(other)
        return Value(a.data + b.data, "+", (a, 1.0), (b, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        a, b = self, _value(other)
        return Value(a.data * b.data, "×", (a, b.data), (b, a.data))

    # 15 A tape for numbers · value-functions
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

    # 15 A tape for numbers · value-backward
    def backward(self) -> None:
        """The slope of this number with respect to all it was made from.

        In leaves, grad adds up over several calls, as in Parameter; in all
        that stands between, it starts anew.
        """
        slopes = {self: 1.0}
        for node in _order(self):
            for parent, slope in zip(node._parents, node._slopes):
                share = slope * slopes[node]  # eq:chain
                slopes[parent] = slopes.get(parent, 0.0) + share  # eq:paths
        for node, slope in slopes.items():
            node.grad = slope if node._parents else node.grad + slope

    # 15 A tape for numbers · value-power
    def __pow__(self, other: Value | float) -> Value:
        a, n = self.data, _value(other).data
        y = _power(a, n)
        made_from = [(self, n * a ** (n - 1) if a else _slope_at_0(n))]
        if isinstance(other, Value):
            made_from.append((other, y * _log(a)))
        return Value(y, f"^{n:g}", *made_from)

    # 15 A tape for numbers · value-the-rest
    def __neg__(self) -> Value:
        return self * -1

    def __sub__(self, other: Value | float) -> Value:
        return self + -_value(other)

    def __truediv__(self, other: Value | float) -> Value:
        return self * _value(other) ** -1

    # 15 A tape for numbers · value-on-the-right
    def __radd__(self, other: float) -> Value:
        return self + other

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __rsub__(self, other: float) -> Value:
        return -self + other

    def __rtruediv__(self, other: float) -> Value:
        return self**-1 * other

    def __rpow__(self, base: float) -> Value:
        return _value(base) ** self

    # 15 A tape for numbers · value-repr
    def __repr__(self) -> str:
        return f"Value({self.data:g}, grad={self.grad:g})"


# 15 A tape for numbers · value-of
def _number(x: Any) -> float:
    if not isinstance(x, Real):
        raise TypeError(f"expected a number, got {type(x).__name__}")
    return float(x)


def _value(x: Any) -> Value:
    return x if isinstance(x, Value) else Value(x)


# 15 A tape for numbers · order
def _order(last: Any) -> Iterator[Any]:
    """``last`` and all it was made from, each before its parents."""
    seen: set[Any] = set()
    done: dict[Any, None] = {}  # a set that keeps its order
    waiting = [last]
    while waiting:
        node = waiting[-1]
        if node in seen:  # its parents are done by now
            done[waiting.pop()] = None
        else:
            seen.add(node)
            waiting += node._parents
    return reversed(done)


# 15 A tape for numbers · value-power-at-0
def _power(a: float, n: float) -> float:
    y: Any = a**n
    if isinstance(y, complex):
        raise ValueError(f"a negative number, {a:g}, has no power {n:g}")
    return float(y)


def _slope_at_0(n: float) -> float:
    """The slope of a**n in a, at a = 0."""
    return math.inf if 0 < n < 1 else float(n == 1)


def _log(a: float) -> float:
    """The logarithm of a positive number, 0 at 0, nan below."""
    return math.log(a) if a > 0 else math.nan if a else 0.0


# 16 A tape for arrays · unstretch
def _unstretched(g: Any, shape: tuple) -> Any:
    """The gradient of an array of this shape, summed over stretched axes.

    From a wrong rule it may have fewer axes; then _fit complains.
    """
    if g.ndim > len(shape):  # axes that were not there
        g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    if g.shape == shape:
        return g
    axes = [i for i, n in enumerate(shape[: g.ndim]) if n == 1]
    return g.sum(axis=tuple(axes), keepdims=True)


# 16 A tape for arrays · fitted
def _fit(g: Any, x: np.ndarray) -> Any:
    """The gradient in the shape and dtype of x."""
    if not hasattr(g, "shape"):
        raise TypeError(f"a rule gave {g!r}, not an array of shape {x.shape}")
    if g.shape == x.shape and g.dtype == x.dtype:
        return g  # as almost always
    share = _unstretched(g, x.shape)
    if share.shape != x.shape:
        raise ValueError(
            f"a rule gave a gradient of shape {g.shape} for an argument of "
            f"shape {x.shape}"
        )
    return share if share.dtype == x.dtype else share.astype(x.dtype)


# 16 A tape for arrays · read-only
def _read_only(array: np.ndarray) -> np.ndarray:
    """A view of the array that nobody can write to."""
    view: Any = array[...]
    view.setflags(False)  # to write: write=False would take twice as long
    return view


# 17 The engine, for use · tensor
class Tensor(NDArrayOperatorsMixin):
    """An array that remembers how it was made.

    ``data`` is the given array, not a copy; integers become float64.
    In a leaf ``grad`` is an array like data after ``backward``; else None.
    Raises TypeError for what is not an array of real numbers.
    """
    grad: np.ndarray | None = None
    requires_grad: bool = False  # _remember skips __init__
    _parents: tuple[Any, ...] = ()
    _record: Any = None
    __hash__ = object.__hash__  # although == compares entries
    shape = property(operator.attrgetter("data.shape"))
    def __init__(self, data: ArrayLike, requires_grad: Any = True) -> None:
        if type(requires_grad) is not bool:
            _switch(self, requires_grad=requires_grad)
        self.data, self.requires_grad = _real(data), requires_grad

    # 17 The engine, for use · tensor-protocols
    def __array_ufunc__(self, function, method, *args, **options):
        """NumPy asks here when an operator or ufunc meets a Tensor."""
        if options or method != "__call__":
            _refuse(function, method, options)
        if rule := _RULES.get(function):
            return _apply(rule, args, options)
        return _without_rule(function, args, options)

    # 17 The engine, for use · tensor-array-function
    def __array_function__(self, function, types, args, options):
        """NumPy asks here when any of its other functions gets a Tensor."""
        if rule := _RULES.get(function):
            return _apply(rule, args, options)
        return _without_rule(function, args, options)

    # 17 The engine, for use · tensor-methods
    def __getattr__(self, name: str) -> Any:
        """What arrays have: shapes, and methods for which there is a rule."""
        if name in _PLAIN:
            return getattr(self.data, name)
        function: Any = hasattr(np.ndarray, name) and getattr(np, name, None)
        known = function in _RULES or function in _FURTHER
        if not known or name in ("sort", "resize", "compress"):  # no twins
            raise AttributeError(f"a Tensor has no {name}; its array is .data")
        if name in ("sum", "mean", "max", "min"):  # keepdims comes second
            return lambda axis=None, keepdims=False, **options: function(
                self, axis=axis, keepdims=keepdims, **options
            )
        return function(self) if name == "real" else partial(function, self)

    # 17 The engine, for use · tensor-transposed
    @property
    def T(self) -> Any:
        """All axes in reverse."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged; a single axis stays."""
        return np.swapaxes(self, -1, -2) if self.ndim > 1 else self

    # 17 The engine, for use · tensor-shapes
    def reshape(self, *shape: Any, **options: Any) -> Any:
        shape = shape[0] if len(shape) == 1 else shape
        return np.reshape(self, shape, **options)

    def transpose(self, *axes: Any) -> Any:
        axes = axes[0] if len(axes) == 1 else axes
        return np.transpose(self, axes or None)

    def flatten(self, order: Any = "C") -> Any:
        return np.ravel(self, order)

    # 17 The engine, for use · tensor-entries
    def astype(self, dtype: Any) -> Any:
        return _astype(self, dtype)

    def __getitem__(self, key: Any) -> Any:
        return _pick(self, *(key if isinstance(key, tuple) else (key,)))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(_IN_PLACE)

    # 17 The engine, for use · tensor-item
    def item(self) -> float:
        """The number of a single entry, which carries no gradient."""
        return self.data.item()

    def detach(self) -> Any:
        """The same array, as a constant."""
        return Tensor(self.data, requires_grad=False)

    # 17 The engine, for use · tensor-as-number
    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    # 17 The engine, for use · tensor-as-float
    def __float__(self) -> float:
        if self.requires_grad and _recording.get():
            text = "a float carries no gradient; np.exp and np.stack keep it"
            warnings.warn(f"{text} (.item() drops it silently)", stacklevel=2)
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())  # whose slope is 0 anyway

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if form else str(self)

    # 17 The engine, for use · tensor-as-text
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

    # 17 The engine, for use · tensor-backward
    def backward(self, grad_output: ArrayLike | None = None) -> None:
        """Add the gradient of sum(grad_output * self) to the leaves' grad.

        A leaf is a Tensor that was not made from others. grad_output may
        be left out for a single number. Raises ValueError for another
        shape, RuntimeError if nothing was recorded or if a recorded array
        has been changed since.
        """
        pulled = _pull(self, _first(self, grad_output))
        leaves = [(x, new) for x, new in pulled if x._record is None]
        for x, new in leaves:
            x.grad = np.asarray(new + (0 if x.grad is None else x.grad))


# 17 The engine, for use · record
# vjps: a rule for each argument, or one function that gives all shares
_Rule = namedtuple("_Rule", "name function vjps jvps asked")
_Record = namedtuple("_Record", "rule args arrays options places seals")


# 17 The engine, for use · apply
def _apply(rule: _Rule, args: Sequence, options: dict[str, Any]) -> Any:
    """The rule's function of args, as a Tensor that remembers it."""
    args, arrays, places, outside = [*args], [*args], [], []
    for i, x in enumerate(args):
        if isinstance(x, Tensor):
            arrays[i] = x.data
            if x.requires_grad:
                places.append(i)
            if x._record is None:  # results are read-only
                outside.append(x.data)
        elif isinstance(x, np.ndarray):
            outside.append(x)
        elif isinstance(x, (list, tuple)):
            args[i] = arrays[i] = _own(x, rule)
    if options or (len(args), *places) not in rule.asked:
        _ask(rule, args, options, places)
        outside += [x for x in options.values() if isinstance(x, np.ndarray)]
    value = rule.function(*arrays, **options)
    every = _recording.get() if places else 0  # 0 under no_grad
    seals = [_seal(x, every) for x in outside] if every else None
    made = _Record(rule, args, arrays, options, places, seals)
    usual = type(value) is np.ndarray and value.dtype.kind == "f"
    return _remember(value, made) if usual else _unusual(value, made)


# 17 The engine, for use · remember
def _remember(value: Any, made: _Record) -> Any:
    """The value as a Tensor, with its record if anybody wants one."""
    y = Tensor.__new__(Tensor)  # without looking at the value once more
    if made.seals is None:
        y.data = value[...]  # a view: the value may be somebody's own
    else:
        y.data, y._record, y.requires_grad = _read_only(value), made, True
        y._parents = tuple([made.args[i] for i in made.places])
    return y


# 17 The engine, for use · real
def _real(x: Any) -> np.ndarray:
    array = _floating(x)
    if array.dtype.kind != "f":
        raise TypeError(f"expected real numbers, got {array.dtype}")
    return array


# 17 The engine, for use · seals-of-all
def _seal(array: np.ndarray, every: int) -> tuple:
    """An array from outside, the part of it to look at, a copy of that."""
    part = array if array.size <= 256 else _sample(array, every)
    return array, part, part.tobytes()


# 17 The engine, for use · seals
def _sample(array: np.ndarray, every: int) -> np.ndarray:
    """A view of every so many of the numbers of a large array."""
    if array.flags.forc:
        while math.gcd(array.size, every) > 1:  # or it may miss a column
            every += 1
        return array.ravel("K")[::every]
    return array.swapaxes(0, np.argmax(array.shape))[::every]


# 17 The engine, for use · recorded
_recording: ContextVar[int] = ContextVar("recording", default=61)


@contextmanager
def _recorded(every: int = 61) -> Iterator[None]:
    before = _recording.set(every)
    try:
        yield
    finally:
        _recording.reset(before)


# 17 The engine, for use · own
def _own(x: Any, rule: _Rule) -> Any:
    """A list of numbers as an array; other lists as lists of our own."""
    if not isinstance(x, (list, tuple)):
        return x
    ufunc = isinstance(getattr(np, rule.name, None), np.ufunc)
    numbers = ufunc or (rule.vjps and rule.jvps is rule.vjps)
    return np.array(x) if numbers else _deep(x, lambda x: x)


# 17 The engine, for use · deep
def _deep(thing: Any, change: Callable) -> Any:
    """The thing with every part changed, however deep in lists it is."""
    if type(thing) is dict:
        return {name: _deep(x, change) for name, x in thing.items()}
    if isinstance(thing, (list, tuple)):
        parts = [_deep(x, change) for x in thing]
        return parts if isinstance(thing, list) else tuple(parts)
    return change(thing)


# 17 The engine, for use · ask
def _ask(rule: _Rule, args: Sequence, options: dict, places: list) -> None:
    """Raise TypeError, before anything is computed, for what has no rule."""
    way = (len(args), *places, *options, *map(type, options.values()))
    if way in rule.asked:
        return
    rules = rule.vjps if isinstance(rule.vjps, tuple) else ()
    pushes = rule.jvps if isinstance(rule.jvps, (list, tuple)) else ()
    form = signature(next(filter(None, rules), rule.vjps or rule.function))
    extra = [None] * (2 * bool(rule.vjps))  # g and y
    takes = f"{rule.name}({', '.join([*form.parameters][len(extra):])})"
    try:
        form.bind(*extra, *args, **options)
        for other in filter(None, (*rules, *pushes)):
            signature(other).bind(*extra, *args, **options)
        if rules and not all([*rules, *[None] * len(args)][i] for i in places):
            takes = "a constant there, as .data"
            raise TypeError
    except TypeError:
        name = rule.name.strip("_")
        text = f"{name} has no rule for this call; Tensors take {takes}"
        raise TypeError(text) from None
    if rule.vjps and any(isinstance(x, Tensor) for x in options.values()):
        raise TypeError(f"{rule.name} takes a Tensor by its place, unnamed")
    rule.asked.add(way)


# 17 The engine, for use · plain
_IN_PLACE = "Tensors do not change in place; write a = a + b, or np.where"
_PLAIN = "ndim size dtype argmax argmin any all tolist".split()
_ELSE = "; make it of functions that have one, or give it one with primitive"
_OPTIONS = {"where": "; write np.where", "dtype": "; write x.astype(dtype)"}
_INSTEAD: dict[Callable, str] = {
    np.convolve: "; multiply windows: np.pad(a, …)[places] @ np.flip(v)",
    np.interp: "; weigh neighbours: (1 - share) * y[i] + share * y[i + 1]",
}


# 17 The engine, for use · refuse
def _refuse(function: Any, method: str, options: dict) -> None:
    if "out" in options or method == "at":
        raise TypeError(_IN_PLACE)
    given = [*options] if method == "__call__" else [method, *options]
    name, instead = function.__name__, _OPTIONS.get(given[0], _ELSE)
    raise TypeError(f"{name} has no rule for {', '.join(given)}{instead}")


def _plain(x: Any) -> Any:
    """The array in a Tensor, or an array, so that nobody can write to it."""
    x = x.data if isinstance(x, Tensor) else x
    return _read_only(x) if isinstance(x, np.ndarray) else x


# 17 The engine, for use · without-rule
def _without_rule(function: Callable, args: Any, options: dict) -> Any:
    """Functions of the other kinds; comparisons and counts give arrays."""
    try:
        if further := _FURTHER.get(function):
            _ask(further, args, options, [])
            args = [_own(x, further) for x in args]
            return further.function(*args, **options)
        value = function(*_deep(args, _plain), **_deep(options, _plain))
    except ValueError as error:
        if "read-only" in str(error):
            raise TypeError(_IN_PLACE) from None
        raise
    kinds: list = []
    _deep(value, lambda x: kinds.append(np.asarray(x).dtype.kind))
    if set(kinds) <= set("biuU"):
        return value
    instead = _INSTEAD.get(function, _ELSE)
    raise TypeError(f"{function.__name__} has no rule for Tensors{instead}")


# 17 The engine, for use · unusual
def _unusual(value: Any, made: _Record) -> Any:
    """What to remember of a value that is no array of real numbers."""
    if isinstance(value, (list, tuple)):
        return _several(value, made)
    if np.asarray(value).dtype.kind in "biu":
        return value
    return _remember(_real(value), made)


# 17 The engine, for use · several
def _several(values: Any, made: _Record) -> tuple:
    """The values as Tensors: parts of one long vector, as are g and y."""
    arrays = [np.asarray(value) for value in values]
    ends = [*zip(np.cumsum([array.size for array in arrays]), arrays)]

    def parts(x: Any) -> tuple:
        return tuple([x[n - a.size : n].reshape(a.shape) for n, a in ends])

    def cutting(vjp: Any) -> Any:
        return vjp and (lambda g, y, *x, **o: vjp(parts(g), parts(y), *x, **o))

    vjps = [*map(cutting, made.rule.vjps)]
    rule = made.rule._replace(vjps=vjps, jvps=None)
    whole = np.concatenate([array.ravel() for array in arrays])
    return parts(_unusual(whole, made._replace(rule=rule)))


# 17 The engine, for use · check
def _check(made: Any) -> None:
    """Raise RuntimeError if a line of the tape is no longer true."""
    changed = None
    for array, part, was in made.seals:
        if part.tobytes() != was:
            changed = array
    for x, array in zip(made.args, made.arrays):
        if x is not array and x.data is not array:
            changed = array
    if changed is not None:
        raise RuntimeError(
            f"{made.rule.name}: an array of shape {changed.shape} was changed "
            "after it was recorded; do that after backward, or with a copy"
        )


# 17 The engine, for use · first
def _weights(y: np.ndarray, given: Any, record: bool, what: str = "") -> Any:
    """given, one number for each of y, as an array or as a Tensor."""
    array = given.data if (taped := isinstance(given, Tensor)) else given
    array = _upstream(y, array, what or "grad_output").astype(y.dtype)
    return array if not record else given if taped else Tensor(array, False)


def _first(last: Any, given: Any, record: bool = False) -> Any:
    """The gradient of the last Tensor, from which all others come."""
    if not getattr(last, "requires_grad", False):
        raise RuntimeError(
            "backward: nothing was recorded (no_grad, detach, or no Tensor)"
        )
    return _weights(last.data, given, record)


# 17 The engine, for use · gradients
def gradients(
    y: Tensor, inputs: Sequence[Tensor], grad_output: Any = None,
    create_graph: bool = False,
) -> list[Any]:
    """The gradient of sum(grad_output * y) in each input; no grad changes.

    Arrays, of zeros where y does not depend on an input, or was made under
    no_grad; with create_graph Tensors, which can be differentiated again.
    Raises ValueError for another shape, RuntimeError if a recorded array
    has been changed since, TypeError for inputs without requires_grad.
    """
    inputs = _learning(inputs)
    found: dict = {}
    if not isinstance(y, Tensor) or y.requires_grad:
        first, wanted = _first(y, grad_output, create_graph), {*inputs}
        pulled = _pull(y, first, create_graph)
        found = {x: g for x, g in pulled if x in wanted}
    dx = [found[x] if x in found else np.zeros_like(x.data) for x in inputs]
    return [_constant(g) if create_graph else np.array(g) for g in dx]


# 17 The engine, for use · learning
def _learning(inputs: Any) -> list:
    listed = np.iterable(inputs) and not isinstance(inputs, Tensor)
    inputs = list(inputs) if listed else []
    if not inputs or not all(getattr(x, "requires_grad", 0) for x in inputs):
        raise TypeError("inputs is a list of Tensors that require a gradient")
    return inputs


def _constant(x: Any) -> Tensor:
    """x as a Tensor without a gradient, unless it is one already."""
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=False)



# 17 The engine, for use · no-grad
def no_grad() -> Any:
    """Record nothing in this block, or in a function under @no_grad().

    A generator shares the switch with its caller: a block in it ends only
    when the generator does, and @no_grad() does not cover it.
    """
    return _recorded(0)


# 17 The engine, for use · detect-changes
def detect_changes() -> Any:
    """In this block keep all of each array that is recorded, to compare.

    For debugging: slow, with a copy for each use. backward raises
    RuntimeError for an array of which any entry has changed.
    """
    return _recorded(1)


# 17 The engine, for use · primitive
def primitive(*vjps: Callable | None, jvps: Any = None) -> Callable:
    """Decorator: Tensors take this function of arrays, too.

    There is a rule for each argument that can be a Tensor:
    ``rule(g, y, *arguments)`` is its gradient, from g, that of the output y.
    Where the argument was stretched it may come out larger; it is summed
    back. ``jvps`` are such rules for slopes, or "linear" or "entrywise";
    None derives them from vjps. Where the function gives several arrays, g
    and y are tuples, and jvps are derived.
    """

    def decorate(function: Callable) -> Callable:
        push = _pushes(function, vjps, jvps)
        rule = _Rule(function.__name__, function, vjps, push, set())

        @wraps(function)
        def either(*args: Any, **options: Any) -> Any:
            for x in (*args, *options.values()):
                if isinstance(x, Tensor):
                    return _apply(rule, args, options)
            return function(*args, **options)

        return either

    return decorate


# 17 The engine, for use · pushes
def _pushes(function: Any, vjps: tuple, jvps: Any) -> Any:
    """The rules forwards, from what primitive is given."""
    given = function, *[vjp for vjp in vjps if vjp is not None]
    if not vjps or not all(map(callable, given)):
        raise TypeError("primitive: write @primitive(rule, …)")
    if isinstance(jvps, str):
        _one_of("primitive", "linear", "entrywise", jvps=jvps)
    elif jvps is not None:
        each = np.shape(vjps)
        fits = "expected one of {} for each of vjps"
        _demand("primitive", lambda it: np.shape(it) == each, fits, jvps=jvps)
    return vjps if jvps == "entrywise" else jvps


# 17 The engine, for use · pull
def _pull(last: Any, first: Any, record: bool = False) -> Iterator[tuple]:
    """Every Tensor behind ``last``, with its whole gradient."""
    found = {last: first}
    for node in _order(last):
        yield node, (g := found.pop(node))
        if node._record is None:
            continue  # a leaf
        _check(node._record)
        rule, args, arrays, options, places, _ = node._record
        g = g if isinstance(g, Tensor) else _read_only(g)
        known = (g, node, *args) if record else (g, node.data, *arrays)
        vjps = rule.vjps
        each = vjps(*known, **options) if callable(vjps) else ()
        for i in places:
            share = each[i] if each else vjps[i](*known, **options)  # eq:chain
            share, x = _fit(share, arrays[i]), args[i]
            found[x] = found[x] + share if x in found else share  # eq:paths


# 17 The engine, for use · slopes
_SLOPES: dict[Callable, Any] = {
    np.negative: -1, np.sign: 0,
    np.abs: lambda y, x: np.sign(x), np.square: lambda y, x: 2 * x,
    np.sqrt: lambda y, x: 0.5 / y, np.exp: lambda y, x: y,
    np.log: lambda y, x: 1 / x, np.tanh: lambda y, x: 1 - y * y,
}


# 17 The engine, for use · scatter
@primitive(lambda g, y, x, shape, *key: g[key], jvps="linear")
def _scatter(x, shape, *key):
    """Zeros of this shape to which x is added at the key: _pick undone."""
    whole = np.zeros(shape, x.dtype)
    once = (int, np.integer, slice, type(None), type(...))  # no entry twice
    lists = [np.asarray(part) for part in key if not isinstance(part, once)]
    if all(places.dtype == bool for places in lists):
        whole[key] = x
    else:
        np.add.at(whole, key, x)  # eq:pick-dw
    return whole


# 17 The engine, for use · pick
@primitive(lambda g, y, x, *key: _scatter(g, x.shape, *key), jvps="linear")
def _pick(x, *key):
    return x[key]  # eq:pick


# 17 The engine, for use · more-slopes
_POWERS: dict[Callable, Any] = {
    **dict.fromkeys((np.positive, np.conjugate), 1),
    **dict.fromkeys((np.floor, np.ceil, np.trunc, np.rint), 0),
    **dict.fromkeys((np.deg2rad, np.radians), math.pi / 180),
    **dict.fromkeys((np.rad2deg, np.degrees), 180 / math.pi),
    np.fabs: lambda y, x: np.sign(x), np.reciprocal: lambda y, x: -y * y,
    np.cbrt: lambda y, x: 1 / (3 * y * y), np.expm1: lambda y, x: np.exp(x),
    np.exp2: lambda y, x: y * math.log(2), np.log1p: lambda y, x: 1 / (1 + x),
    np.log2: lambda y, x: 1 / (x * math.log(2)),
    np.log10: lambda y, x: 1 / (x * math.log(10)),
}


# 17 The engine, for use · slopes-of-curves
_CURVES: dict[Callable, Any] = _POWERS | {
    np.sin: lambda y, x: np.cos(x), np.cos: lambda y, x: -np.sin(x),
    np.tan: lambda y, x: 1 + y * y, np.sinh: lambda y, x: np.cosh(x),
    np.cosh: lambda y, x: np.sinh(x), np.arctan: lambda y, x: 1 / (1 + x * x),
    np.arcsin: lambda y, x: 1 / np.sqrt((1 - x) * (1 + x)),
    np.arccos: lambda y, x: -1 / np.sqrt((1 - x) * (1 + x)),
    np.arcsinh: lambda y, x: 1 / np.hypot(1, x),
    np.arccosh: lambda y, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
    np.arctanh: lambda y, x: 1 / ((1 - x) * (1 + x)),
}


# 17 The engine, for use · base-slope
def _base_slope(y, x, n):
    if isinstance(n, (int, float)):
        return n * x ** (n - 1) if n else 0
    return n * x ** np.where((x == 0) & (n == 0), 1.0, n - 1.0)


def _exponent_slope(y, x, n):
    return y * np.log(np.where(x == 0, y.dtype.type(1), x))


def _side(a, y):
    return a / np.where(y == 0, 1, y)


# 17 The engine, for use · shares-of-sums
def _portions(exp, logaddexp):
    def portion(y, a, b):
        return exp(-logaddexp(0, b - a))  # σ(a − b), or 1 / (1 + 2^(b − a))
    return portion, lambda y, a, b: portion(y, b, a)


# 17 The engine, for use · slopes-of-pairs
_PAIRS: dict[Callable, tuple] = {
    np.add: (1, 1), np.subtract: (1, -1), np.floor_divide: (0, 0),
    np.multiply: (lambda y, a, b: b, lambda y, a, b: a),
    np.fmod: (1, lambda y, a, b: -np.trunc(a / b)),
    np.mod: (1, lambda y, a, b: -np.floor(a / b)),
    np.power: (_base_slope, _exponent_slope),
    np.logaddexp: _portions(np.exp, np.logaddexp),
    np.logaddexp2: _portions(np.exp2, np.logaddexp2),
    np.hypot: (lambda y, a, b: _side(a, y), lambda y, a, b: _side(b, y)),
    np.arctan2: (
        lambda y, a, b: b / np.hypot(a, b) / np.hypot(a, b),
        lambda y, a, b: a / -np.hypot(a, b) / np.hypot(a, b),
    ),
    np.copysign: (lambda y, a, b: np.sign(a) * np.sign(y), 0),
}


# 17 The engine, for use · chosen
def _chosen(g, y, x, other):
    """The share of x, where y is x or the other."""
    won = x == y
    tied = won == (other == y)
    share = np.where(won, g, 0) if isinstance(g, Tensor) else _only(won, g)
    return np.where(tied, g / 2, share) if np.count_nonzero(tied) else share


# 17 The engine, for use · rules-of-choices
_SHARES: dict[Callable, tuple] = {  # g times a slope may be 0 * inf, nan
    np.divide: (lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b),
    np.round: (lambda g, y, x, decimals=0: 0 * g,),
    np.around: (lambda g, y, x, decimals=0: 0 * g,),
    **dict.fromkeys((np.maximum, np.minimum, np.fmax, np.fmin), (
        _chosen, lambda g, y, a, b: _chosen(g, y, b, a),
    )),
    np.where: (
        None,
        lambda g, y, condition, a, b: np.where(condition, g, 0),
        lambda g, y, condition, a, b: np.where(condition, 0, g),
    ),
}


# 17 The engine, for use · rules-matmul
def _matrices(g, a, b):
    """A single row or column as a matrix of one, as in NumPy's products."""
    if b.ndim == 1:
        g, b = g[..., None], b[:, None]
    if a.ndim == 1:
        g, a = g[..., None, :], a[None]
    return g, a, b


def _matmul_left(g, y, a, b):
    g, _, b = _matrices(g, a, b)
    return g @ b.mT  # eq:stack-da


# 17 The engine, for use · rules-matmul-right
def _matmul_right(g, y, a, b):
    g, a, whole = _matrices(g, a, b)
    if whole.ndim == 2 < a.ndim:  # one matrix for the whole stack
        rows = math.prod(a.shape[:-1])
        a, g = a.reshape(rows, len(b)), g.reshape(rows, whole.shape[1])
    share = a.mT @ g  # eq:stack-db
    return share[..., 0] if b.ndim == 1 else share


# 17 The engine, for use · spread-out
def _spread_out(g, x, axis, keepdims):
    """What belongs to a reduction of x, with the axes that it took away."""
    gone = not (axis is None or keepdims or x.ndim == 0)
    return np.expand_dims(g, axis) if gone else g


def _cumsum_rule(g, y, x, axis=None):
    axis = axis or 0
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis).reshape(x.shape)


def _diff_rule(g, y, x, n=1, axis=-1):
    n = min(n, x.shape[axis])
    wide = [(n, n) if i == axis % x.ndim else (0, 0) for i in range(x.ndim)]
    return (-1) ** n * np.diff(np.pad(g, wide), n, axis)


# 17 The engine, for use · rules-linear
_LINEAR: dict[Callable, tuple] = {
    np.matmul: (_matmul_left, _matmul_right),
    np.sum: (lambda g, y, x, axis=None, *, keepdims=False: (
        np.broadcast_to(_spread_out(g, x, axis, keepdims), x.shape)
    ),),
    np.cumsum: (_cumsum_rule,), np.diff: (_diff_rule,),
    np.transpose: (lambda g, y, x, axes=None: np.transpose(
        g, None if axes is None else np.argsort(np.mod(axes, x.ndim))
    ),),
    np.broadcast_to: (lambda g, y, x, shape: g,),
    np.reshape: (lambda g, y, x, shape: g.reshape(x.shape),),
    np.squeeze: (lambda g, y, x, axis=None: g.reshape(x.shape),),
    np.expand_dims: (lambda g, y, x, axis: g.reshape(x.shape),),
    np.swapaxes: (lambda g, y, x, axis1, axis2: g.swapaxes(axis1, axis2),),
}


# 17 The engine, for use · astype
@primitive(lambda g, y, x, dtype: g, jvps="linear")  # _fit converts it back
def _astype(x, dtype):
    return x.astype(dtype)


# 17 The engine, for use · others
def _max_rule(g, y, x, axis=None, *, keepdims=False):
    best = (x == _spread_out(y, x, axis, keepdims)).astype(x.dtype)
    best /= best.sum(axis=axis, keepdims=True)
    # where: 0 * inf would be nan
    return np.where(best, _spread_out(g, x, axis, keepdims), 0) * best


# 17 The engine, for use · others-solve
def _solved(g, y, a, b):
    if b.ndim == 1:
        return np.linalg.solve(a.mT, g[..., None])[..., 0]
    return np.linalg.solve(a.mT, g)


def _solver(g, y, a, b):
    share = _solved(g, y, a, b)
    single = b.ndim == 1
    return -(share[..., None] * y[..., None, :] if single else share @ y.mT)


# 17 The engine, for use · table-of-others
_OTHERS: dict[Callable, tuple] = {
    **dict.fromkeys((np.max, np.amax, np.min, np.amin), (_max_rule,)),
    np.linalg.inv: (lambda g, y, a: -(y.mT @ g @ y.mT),),
    np.linalg.solve: (_solver, _solved),
}


# 17 The engine, for use · times-slope
def _times(slope: Any) -> Callable:
    """The rule of what works entry by entry: the gradient times a slope."""
    if callable(slope):
        return lambda g, y, *x: g * slope(y, *x)
    return lambda g, y, *x: g if slope == 1 else g * slope


# 17 The engine, for use · rules-together
_ENTRYWISE = _SHARES | {
    f: tuple(map(_times, slopes if isinstance(slopes, tuple) else [slopes]))
    for f, slopes in (_SLOPES | _CURVES | _PAIRS).items()
}
_KINDS = ("entrywise", _ENTRYWISE), ("linear", _LINEAR), (None, _OTHERS)
_RULES: dict[Callable, _Rule] = {
    f: _Rule(f.__name__, f, vjps, _pushes(f, vjps, kind), set())
    for kind, rules in _KINDS for f, vjps in rules.items()
}


# 17 The engine, for use · join
def _join_rule(g, y, axis, *parts):
    sizes = [x.shape[axis] for x in parts]
    before = (slice(None),) * (axis % g.ndim)
    ends = zip(sizes, np.cumsum(sizes).tolist())
    return [None, *[g[(*before, slice(end - n, end))] for n, end in ends]]


_JOIN = _Rule("join", lambda axis, *x: np.concatenate(x, axis), _join_rule,
              None, set())


# 17 The engine, for use · concatenate
def _concatenate(parts, axis=0):
    x = [x if isinstance(x, Tensor) else np.asarray(x) for x in parts]
    if axis is None:
        x, axis = [x.reshape(x.size) for x in x], 0
    return _apply(_JOIN, [axis, *x], {})


# 17 The engine, for use · move
def _move(function: Callable, *args: Any, **options: Any) -> Any:
    """The function of Tensors whose entries it only moves.

    A mark says which entry it is. A constant may look like one of these
    marks, but not like the second ones, too.
    """
    found: list = []
    _deep([args, options], lambda x: found.extend([x] * isinstance(x, Tensor)))
    parts = [x.reshape(x.size) for x in found]
    flat = _concatenate([*parts, np.zeros(1, parts[0].dtype)])

    def asked(entries: np.ndarray) -> Any:
        own = iter(np.split(entries, np.cumsum([x.size for x in found])))
        given, named = _deep([args, options], lambda x: (
            next(own).reshape(x.shape) if isinstance(x, Tensor) else _plain(x)
        ))
        return function(*given, **named)

    marks = np.random.default_rng(0).random((2, flat.size))
    marks += np.arange(flat.size)
    return _moved(function, flat, marks, *map(asked, [flat.data, *marks]))


# 17 The engine, for use · moved
def _moved(f: Callable, flat: Any, marks: Any, value: Any, *seen: Any) -> Any:
    """The entries of flat whose marks are seen; constants from value."""
    if isinstance(value, (list, tuple)):
        return [_moved(f, flat, marks, *each) for each in zip(value, *seen)]
    last, value = flat.size - 1, _real(value)
    place = np.clip(np.nan_to_num(seen[0]), 0, last).astype(int)
    moved = (marks[:, place] == seen).all(axis=0)
    there = np.where(moved, flat.data[place], seen[0]).astype(value.dtype)
    if not np.array_equal(there, value, equal_nan=True):
        raise TypeError(f"{f.__name__} does more here than move: no rule")
    y = flat[np.where(moved, place, last)]
    y = y if moved.all() else np.where(moved, y, value)
    return y if y.dtype == value.dtype else y.astype(value.dtype)


# 17 The engine, for use · moving
_MOVING = [getattr(np, name, None) or getattr(np.fft, name) for name in """
    append array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays
    choose column_stack compress copy delete diag diagflat diagonal dsplit
    dstack extract fftshift flip fliplr flipud hsplit hstack ifftshift insert
    meshgrid pad ravel real repeat resize roll rollaxis rot90 select split
    take take_along_axis tile tril triu vsplit vstack
""".split()]


# 17 The engine, for use · ravel
def _ravel(x, order="C"):
    _one_of("ravel", "C", "F", order=order)  # others ask for the memory
    return np.reshape(x if order == "C" else x.T, x.size)


# 17 The engine, for use · joins
_JOINS: dict[Callable, Callable] = {
    np.concatenate: _concatenate,
    np.stack: lambda parts, axis=0: _concatenate(
        [np.expand_dims(x, axis) for x in parts], axis
    ),
    np.moveaxis: lambda x, source, destination: np.transpose(
        x, np.moveaxis(np.empty(range(x.ndim)), source, destination).shape
    ),
    np.ravel: _ravel,
}


# 17 The engine, for use · root
def _root(x, p=0.5):
    """x to the power p > 0, with slope 0 at 0 instead of infinity."""
    return np.where(x == 0, 0, np.where(x == 0, 1, x) ** p)


# 17 The engine, for use · made-of-sums
def _average_of(x, axis=None, *, keepdims=False):
    total = np.sum(x, axis, keepdims=keepdims)
    return total / (x.size / max(total.size, 1))


def _var(x, axis=None, *, ddof=0, keepdims=False):
    apart = x - np.mean(x, axis, keepdims=True)
    total = np.sum(apart * apart, axis, keepdims=keepdims)
    return total / max(x.size / max(total.size, 1) - ddof, 0)


# 17 The engine, for use · made-by-halves
@primitive(lambda g, y, x, value: g, jvps="entrywise")
def _valued(x, value):
    """The value in place of x: NumPy's own, where rounding differs."""
    return value


# 17 The engine, for use · product
def _prod(x, axis=None, *, keepdims=False):
    value = np.asarray(np.prod(x.data, axis, keepdims=keepdims))
    whole = axis is None or not x.ndim
    axes = [*range(x.ndim)] if whole else [*np.ravel(axis)]
    y = np.moveaxis(x, axes, range(len(axes)))
    y = y.reshape(math.prod(y.shape[: len(axes)]), *y.shape[len(axes) :])
    while len(y) > 1:
        y = np.concatenate([y[0:-1:2] * y[1::2], y[len(y) // 2 * 2 :]])
    y = y[0] if len(y) else y.sum(axis=0) + 1
    return _valued(y.reshape(value.shape), value)


# 17 The engine, for use · running-product
def _cumprod(x, axis=None):
    if axis is None or not x.ndim:
        x, axis = x.reshape(x.size), 0
    y, reach = np.moveaxis(x, axis, 0), 1
    while reach < len(y):  # so many factors are in each product by now
        y = np.concatenate([y[:reach], y[reach:] * y[:-reach]])
        reach *= 2
    return _valued(np.moveaxis(y, 0, axis), np.cumprod(x.data, axis))


# 17 The engine, for use · made-of-parts
def _clip(x, a_min=None, a_max=None, *, min=None, max=None):
    low, high = a_min if min is None else min, a_max if max is None else max
    x = x if low is None else np.where(x < low, low, x)
    return x if high is None else np.where(x > high, high, x)


def _sort(x, axis=-1):
    x, axis = (x.reshape(x.size), 0) if axis is None else (x, axis)
    return np.take_along_axis(x, np.argsort(x.data, axis, "stable"), axis)


# 17 The engine, for use · rule-einsum
def _einsum_rule(i, g, y, spelled, *factors):
    """An einsum of g with all other factors, with the letters of this one."""
    names, out = spelled.split("->")
    letters = names.split(",")
    others = [out, *letters[:i], *letters[i + 1 :]]
    alone = [c for c in letters[i] if c not in "".join(others)]
    ones = np.ones([factors[i].shape[letters[i].index(c)] for c in alone])
    asked = ",".join([*others, "".join(alone)]) + "->" + letters[i]
    share = np.einsum(asked, g, *factors[:i], *factors[i + 1 :], ones)
    shape = np.broadcast_shapes(share.shape, factors[i].shape)
    return np.broadcast_to(share, shape)


# 17 The engine, for use · einsum-rule
_EINSUM = _Rule(
    "einsum", partial(np.einsum, optimize=True),
    (None, *[partial(_einsum_rule, i) for i in range(26)]), "linear", set(),
)


# 17 The engine, for use · made-of-products
def _einsum(*operands, optimize=True):
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


# 17 The engine, for use · tensordot
def _tensordot(a, b, axes=2):
    if np.ndim(axes) == 0:
        axes = range(-axes, 0), range(axes)
    left, right = [*range(np.ndim(a))], [*range(26, 26 + np.ndim(b))]
    for i, j in zip(*map(np.ravel, axes), strict=True):
        right[j] = left[i]
        if np.shape(a)[i] != np.shape(b)[j]:
            raise ValueError("tensordot: the axes differ in length")
    out = [i for i in left + right if (left + right).count(i) == 1]
    return np.einsum(a, left, b, right, out)


# 17 The engine, for use · made-inner
def _inner(a, b, axis):
    """Products along the last axis of a and this one of b."""
    single = 0 in (np.ndim(a), np.ndim(b))
    return a * b if single else np.tensordot(a, b, (-1, axis))


# 17 The engine, for use · made-cross
def _cross(a, b, *, axis=-1):
    np.linalg.cross(*_deep((a, b), _plain), axis=axis)  # looks at the shapes
    on, further = (partial(np.roll, shift=i, axis=axis) for i in (-1, -2))
    return on(a) * further(b) - further(a) * on(b)


def _trapezoid(y, x=None, dx=1.0, axis=-1):
    if x is not None:
        dx = np.diff(x if np.ndim(x) == 1 else np.moveaxis(x, axis, -1))
    y = np.moveaxis(y, axis, -1)
    return np.sum(dx * (y[..., 1:] + y[..., :-1]), axis=-1) / 2


# 17 The engine, for use · made-norm
def _length(x, *, axis=None, keepdims=False, ord=2):
    size, fold = np.abs(x), {"axis": axis, "keepdims": keepdims}
    if ord in (math.inf, -math.inf):
        return size.max(**fold) if ord == math.inf else size.min(**fold)
    if not isinstance(ord, _Real) or ord <= 0:
        raise TypeError(f"norm has no rule for ord={ord!r}")
    powers = x * x if ord == 2 else _root(size, ord)
    return _root(powers.sum(**fold), 1 / ord)


# 17 The engine, for use · made-matrix-norm
def _norm(x, ord=None, axis=None, keepdims=False):
    axes = tuple(np.ravel(range(x.ndim) if axis is None else axis).tolist())
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        x = np.abs(x).sum(axis=axes[abs(ord) != 1], keepdims=True)
        ord = math.copysign(math.inf, ord)
    elif len(axes) > 1 and ord not in (None, "fro"):
        raise TypeError(f"norm of axes {axes} has no rule for ord={ord!r}")
    ord = 2 if ord in (None, "fro") else ord
    return _length(x, axis=axes, keepdims=keepdims, ord=ord)


# 17 The engine, for use · logdet
@primitive(lambda g, y, x: g[..., None, None] * np.linalg.inv(x).mT)
def _logdet(x):
    y = np.linalg.slogdet(x)[1]
    if np.any(y == -np.inf):
        raise TypeError("det has no rule for singular matrices")
    return y


def _slogdet(x):
    return np.linalg.slogdet(x.data)._replace(logabsdet=_logdet(x))


# 17 The engine, for use · made-with-weights
def _weighted(x, axis=None, weights=None, *, keepdims=False):
    if weights is None:
        return np.mean(x, axis, keepdims=keepdims)
    np.average(*_deep((x, axis, weights), _plain))  # looks at the shapes
    x = _constant(x)
    if np.ndim(weights) < x.ndim:
        axes = [*np.mod(np.ravel(axis), x.ndim)]
        size = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        weights = np.transpose(weights, np.argsort(axes)).reshape(size)
    whole = weights * np.ones_like(x.data)
    total = np.sum(x * whole, axis, keepdims=keepdims)
    return total / np.sum(whole, axis, keepdims=keepdims)


# 17 The engine, for use · made-of-sorted
def _median(x, axis=None, *, keepdims=False):
    if isinstance(axis, (tuple, list)):
        raise TypeError("median takes one axis of a Tensor, or none")
    value = np.asarray(np.median(x.data, axis, keepdims=keepdims))
    y, along = np.sort(x, axis), axis or 0
    n, y = y.shape[along], np.moveaxis(y, along, 0)
    y = y[(n - 1) // 2 : n // 2 + 1].mean(axis=0)
    return _valued(y.reshape(value.shape), value)


def _kron(a, b):
    left = _move(np.kron, _constant(a), np.ones_like(_plain(b)))
    y = left * _move(np.kron, np.ones_like(_plain(a)), _constant(b))
    return _valued(y, np.kron(_plain(a), _plain(b)))


# 17 The engine, for use · made-sinc
def _sinc(x):
    """sin(πx) / (πx); near 0 its series, whose slopes lose no digit."""
    far = np.abs(x) > 0.3
    near, x = np.where(far, 0, x), math.pi * np.where(far, x, 1)
    square, y = (math.pi * near) ** 2, near * 0 + 1
    for n in range(16, 0, -2):
        y = 1 - square / (n * (n + 1)) * y
    return np.where(far, np.sin(x) / x, y)


# 17 The engine, for use · made-of-others
_MADE: dict[Callable, Callable] = {
    np.mean: _average_of, np.average: _weighted, np.median: _median,
    np.kron: _kron, np.var: _var, np.prod: _prod, np.clip: _clip,
    np.sort: _sort, np.einsum: _einsum, np.fix: np.trunc, np.sinc: _sinc,
    np.tensordot: _tensordot, np.linalg.norm: _norm, np.linalg.outer: np.outer,
    np.linalg.vector_norm: _length, np.linalg.matmul: np.matmul,
    np.std: lambda x, axis=None, *, ddof=0, keepdims=False: _root(
        np.var(x, axis, ddof=ddof, keepdims=keepdims)
    ),
    np.nan_to_num: lambda x, copy=True, *args, **options: np.where(
        np.isfinite(x), x, np.nan_to_num(x.data, True, *args, **options)
    ),
}


# 17 The engine, for use · table-of-products
_PRODUCTS: dict[Callable, Callable] = {
    np.dot: lambda a, b: (
        a @ b if np.ndim(a) and np.ndim(b) in (1, 2) else _inner(a, b, -2)
    ),
    np.inner: lambda a, b: _inner(a, b, -1),
    np.vdot: lambda a, b: np.reshape(a, -1) @ np.reshape(b, -1),
    np.outer: lambda a, b: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)),
    np.float_power: lambda x, n: np.power(x * np.float64(1), n),
    np.trace: lambda x, offset=0, axis1=0, axis2=1: np.sum(
        np.diagonal(x, offset, axis1, axis2), axis=-1
    ),
    np.linalg.multi_dot: lambda arrays: reduce(np.dot, arrays),
    np.linalg.slogdet: _slogdet,
    np.linalg.det: lambda a: np.linalg.slogdet(a)[0] * np.exp(_logdet(a)),
}


# 17 The engine, for use · made-of-the-rest
def _filled(f, g, fill, x, *args, **how):
    """g of what is a number; the value is that of f."""
    y = g(np.where(np.isnan(x), fill, x), *args, **how)
    return _valued(y, f(x.data, *args, **how))


# 17 The engine, for use · table-of-more
_MORE: dict[Callable, Callable] = {
    np.cumprod: _cumprod, np.trapezoid: _trapezoid,
    **dict.fromkeys((np.cross, np.linalg.cross), _cross),
    **dict.fromkeys((np.vecdot, np.linalg.vecdot), lambda a, b, axis=-1: (
        np.sum(np.multiply(a, b), axis)
    )),
    np.nansum: partial(_filled, np.nansum, np.sum, 0),
    np.nanprod: partial(_filled, np.nanprod, np.prod, 1),
    np.nanmax: partial(_filled, np.nanmax, np.max, -np.inf),
    np.nanmin: partial(_filled, np.nanmin, np.min, np.inf),
    np.ptp: lambda x, axis=None, *, keepdims=False: (
        x.max(axis, keepdims) - x.min(axis, keepdims)
    ),
    np.nanmean: lambda x, axis=None, *, keepdims=False: (
        np.nansum(x, axis, keepdims=keepdims)
        / np.sum(~np.isnan(x), axis, x.dtype, keepdims=keepdims)
    ),
    np.zeros_like: lambda x: np.zeros(x.shape, x.dtype),
    np.ones_like: lambda x: np.ones(x.shape, x.dtype),
}


# 17 The engine, for use · table-of-linalg
_COMPOSED: dict[Callable, Callable] = {
    **_MADE, **_PRODUCTS, **_MORE, **_JOINS,
    np.linalg.matrix_norm: lambda x, *, keepdims=False, ord="fro": (
        _norm(x, ord, (-2, -1), keepdims)
    ),
    np.linalg.matrix_power: lambda a, n: reduce(
        np.matmul, [np.linalg.inv(a) if n < 0 else a] * abs(n),
        0 * a + np.linalg.matrix_power(a.data, 0),
    ),
    np.linalg.tensordot: lambda a, b, *, axes=2: np.tensordot(a, b, axes),
    np.linalg.matrix_transpose: lambda x: x.mT,
    np.matrix_transpose: lambda x: x.mT,
    np.linalg.diagonal: lambda x, *, offset=0: np.diagonal(x, offset, -2, -1),
    np.linalg.trace: lambda x, *, offset=0: np.trace(x, offset, -2, -1),
}


# 17 The engine, for use · further
_FURTHER: dict[Callable, _Rule] = {
    f: _Rule(f.__name__, function, None, None, set())
    for f, function in {
        **{f: partial(_move, f) for f in _MOVING}, **_COMPOSED,
    }.items()
}


# 18 Every layer, once more · tape-layer-look-back
def _look_back(owner: Layer, y: Any, inputs: list) -> Tensor:
    """y, if it is a Tensor that comes from nothing but the inputs."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{owner}: the function's result is no Tensor")
    leaves = {n for n in _order(y) if n._record is None and n.requires_grad}
    if leaves - {*inputs}:
        raise ValueError(
            f"{owner}: the function uses a Tensor that it was not given; "
            "write an array, Tensor(…, requires_grad=False) or hand over a "
            "Parameter"
        )
    return y


# 18 Every layer, once more · tape-layer
class TapeLayer(Layer):
    """A Layer from a function; the tape finds its backward.

    ``function(x, *parameters)`` takes and returns Tensors.

    >>> weight = Parameter([1.0, 2.0])
    >>> layer = TapeLayer(lambda x, w: np.tanh(w * x), weight)
    >>> layer.forward([[0.0, 0.0]])
    array([[0., 0.]])
    """
    function: Any = _Setting(_instances, Callable)
    (weights,) = _fixed(1, once=False)

    def __init__(self, function: Callable, *weights: Parameter) -> None:
        _only_parameters(weights)  # or it raises
        self.function, self.weights = function, list(weights)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, ...)  # ... is any shape
        inputs = [Tensor(x), *[Tensor(p.data) for p in self.weights]]
        y = _look_back(self, self.function(*inputs), inputs)
        kept = y, inputs, _recording.get()
        return self._leave(y.data.copy(), kept)  # the copy may be written to

    # 18 Every layer, once more · tape-layer-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, (y, inputs, recording) = self._received(grad_output)
        if not recording:
            raise RuntimeError(f"{self}: forward has run under no_grad")
        dx, *shares = gradients(y, inputs, grad)
        for weight, share in zip(self.weights, shares):
            weight.grad += share
        return dx

    # 18 Every layer, once more · tape-layer-copies
    def __getstate__(self) -> dict:
        return {**vars(self), "_cache": None}  # a tape is not copied


# 19 Depth: residual connections · residual
class Residual(Network):
    """Layers with a road past them, y = x + f(x) (eq:residual).

    Any shape in, same out. Raises ValueError without layers and where f
    changes the shape, TypeError and ValueError as Network does.
    Source: He, Zhang, Ren and Sun, 2016.
    """

    # 19 Depth: residual connections · residual-forward
    def forward(self, x: ArrayLike, lengths: _Maybe = None) -> np.ndarray:
        x = _floating(x)
        change = super().forward(x, lengths)
        _same_shape(self, x, change)
        return x + change  # eq:residual

    def backward(self, grad_output: _Maybe = None) -> np.ndarray:
        dx = super().backward(grad_output)
        return dx + np.asarray(grad_output, dx.dtype)  # eq:residual-dx

    # 19 Depth: residual connections · residual-settings
    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("Residual: got no layers")
        super().__init__(*layers)


# 19 Depth: residual connections · same-shape
def _same_shape(layer: Layer, x: np.ndarray, change: np.ndarray) -> None:
    wanted = f"x + f(x) needs layers that keep the {{}} {x.shape}"
    _demand(layer, x.shape.__eq__, wanted, shape=change.shape)


# 20 Time: recurrent networks · activations-of-rnn
def _tanh_slope(h: np.ndarray) -> np.ndarray:
    return 1 - h * h  # no lambda, which would not pickle


_ACTIVATIONS = {  # a function, and its slope where its value is h
    "tanh": (np.tanh, _tanh_slope),
    "relu": (partial(np.maximum, 0), np.sign),
}


# 20 Time: recurrent networks · rnn
class RNN(Layer):
    """h_t = tanh(x_t W + h_{t-1} U + b), step by step (eq:rnn).

    Shapes: input (N, T, input_size), output (N, T, hidden_size): the states
    at all times. weight (input_size, hidden_size), recurrent
    (hidden_size, hidden_size), bias (hidden_size,) or None; all start
    uniform in ±1/sqrt(hidden_size). ``nonlinearity`` is "tanh" or "relu".
    forward(x, start, lengths) begins with the state ``start``, zero if there
    is none, and treats it as a constant. What comes after the ``lengths``
    of the sequences is ignored: outputs and gradients there are 0.
    ``state`` (N, hidden_size) is the last state, the start of what follows.
    Raises ValueError for other shapes. Source: Elman, 1990.
    """

    takes_lengths, nonlinearity = True, "tanh"
    input_size, hidden_size, weight, recurrent, bias = _fixed(5)
    _biases: tuple = (("bias", 1),)  # in multiples of hidden_size, as is
    _parts = 1  # the width of the state
    _activations: Any = _ACTIVATIONS

    # 20 Time: recurrent networks · rnn-walks
    def _run(self, a: np.ndarray, states: np.ndarray) -> Any:
        """Fill states[:, 1:] from states[:, 0] and a = xW + b."""
        function, slope = self._activations[self.nonlinearity]
        for h, after, z in zip(states[0], states[0, 1:], a[0]):
            after[...] = function(z + h @ self.recurrent.data)
        return slope

    def _run_backward(self, dh: _Array, states: _Array, kept: Any) -> _Pair:
        """From dL/dh, (T, N, H): dL/d(xW + b) and dL/d(hU)."""
        back, later, da = self.recurrent.data.T.copy(), 0, kept(states[0, 1:])
        for t in reversed(range(len(dh))):
            da[t] *= dh[t] + later  # eq:rnn-bptt
            later = da[t] @ back
        return da[None], da[None]

    # 20 Time: recurrent networks · rnn-backward
    def _blocks_backward(self, grad_output: ArrayLike) -> np.ndarray:
        """Add to the parameters' grad; return dL/d(xW + b), in blocks."""
        grad, (xs, states, behind, kept) = self._received(grad_output)
        dh = _time_first(grad)
        dh[behind] = 0  # beyond the lengths
        both = self._run_backward(dh, states, kept)
        x, h = _rows(xs), _rows(states[0, :-1])  # (T * N, …)
        da, du = (d.reshape(len(d), *h.shape) for d in both)
        _collect(self.weight, _joined(x.T @ da))  # eq:rnn-dw
        _collect(self.recurrent, _joined(h.T @ du))  # eq:rnn-du
        _collect(self.bias, _ones(len(h), h.dtype) @ da)  # eq:rnn-db
        return da

    # 20 Time: recurrent networks · rnn-settings
    def __init__(
        self, input_size: int, hidden_size: int, *, bias: bool = True,
        nonlinearity: str = "tanh", rng: _Seed = None,
    ) -> None:
        _positive(self, input_size=input_size, hidden_size=hidden_size)
        _one_of(self, *self._activations, nonlinearity=nonlinearity)
        _switch(self, bias=bias)
        self.input_size, self.hidden_size = input_size, hidden_size
        if nonlinearity != "tanh":
            self.nonlinearity = nonlinearity
        self.state: np.ndarray | None = None
        self._start(bias, _generator(self, rng))

    # 20 Time: recurrent networks · rnn-start
    def _start(self, bias: bool, rng: np.random.Generator) -> None:
        size, rows = self.hidden_size, (self.input_size, self.hidden_size)
        width = self._biases[0][1] * size
        for name, n in zip(("weight", "recurrent"), rows):
            drawn = rng.uniform(-1, 1, (n, width)) * size**-0.5
            setattr(self, name, Parameter(drawn))
        for name, n in self._biases:
            drawn = rng.uniform(-1, 1, n * size) * size**-0.5
            setattr(self, name, Parameter(drawn) if bias else None)

    # 20 Time: recurrent networks · rnn-passes
    def forward(
        self, x: ArrayLike, start: _Maybe = None, lengths: _Maybe = None
    ) -> np.ndarray:
        x = self._expect(x, "N", "T", self.input_size)
        _one_of(self, *self._activations, nonlinearity=self.nonlinearity)
        (n, steps, _), size = x.shape, self.hidden_size
        inside, xs = _counting(self, lengths, n, steps), _time_first(x)
        xs[~inside.T] = 0
        states = np.zeros((self._parts, steps + 1, n, size), x.dtype)
        if start is not None:
            start = self._expect(start, n, self._parts * size, what="start")
            states[:, 0] = _blocks(start, size)
        a = _rows(xs) @ _blocks(self.weight.data, size)
        if self.bias is not None:
            a += _blocks(self.bias.data, size)[:, None]
        kept = self._run(a.reshape(len(a), steps, n, size), states)
        self.state = _joined(states[:, inside.sum(axis=1), np.arange(n)])
        y = _time_first(states[0, 1:])
        y[~inside] = 0
        return self._leave(y, (xs, states, ~inside.T, kept))

    # 20 Time: recurrent networks · rnn-backward-accumulate
    def accumulate(self, grad_output: ArrayLike) -> None:
        self._blocks_backward(grad_output)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        rows, xs = self._blocks_backward(grad_output), self._saved()[0]
        dx = _joined(rows) @ self.weight.data.T  # eq:rnn-dx
        return _time_first(dx.reshape(xs.shape)).astype(xs.dtype, copy=False)


# 20 Time: recurrent networks · blocks
def _blocks(a: np.ndarray, size: int) -> np.ndarray:
    """(…, blocks * size) seen as (blocks, …, size)."""
    parts = a.reshape(*a.shape[:-1], a.shape[-1] // size, size)
    return np.moveaxis(parts, -2, 0)


def _joined(blocks: np.ndarray) -> np.ndarray:
    """The blocks side by side again, as a copy."""
    return np.concatenate([*blocks], axis=-1)


# 20 Time: recurrent networks · time-first
def _time_first(x: np.ndarray) -> np.ndarray:
    """(N, T, …) to (T, N, …), or back, as a copy in that order."""
    return x.swapaxes(0, 1).copy()


# 20 Time: recurrent networks · last
class Last(Layer):
    """The last step of each sequence: (N, T, D) in, (N, D) out.

    With ``lengths``, the last step that counts.
    Raises ValueError for other shapes and for a sequence of no steps.
    """

    takes_lengths = True

    # 20 Time: recurrent networks · last-forward
    def forward(self, x: ArrayLike, lengths: _Maybe = None) -> np.ndarray:
        x = self._expect(x, "N", "T", "D")
        ends = _counting(self, lengths, *x.shape[:2]).sum(axis=1)
        if not ends.all():
            raise ValueError("Last: a sequence of length 0 has no last step")
        at = np.arange(len(x)), ends - 1
        return self._leave(x[at], (at, x.shape))

    # 20 Time: recurrent networks · last-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, (at, shape) = self._received(grad_output)
        dx = np.zeros(shape, grad.dtype)
        dx[at] = grad
        return dx


# 20 Time: recurrent networks · lstm
class LSTM(RNN):
    """Long short-term memory: a sum, guarded by gates, eq:lstm-cell.

    Shapes as RNN, but weight, recurrent and bias have 4 * hidden_size
    columns, in the order i, f, g, o, and ``start`` and ``state`` are
    (N, 2 * hidden_size): the output h, then the cell c.
    Source: Hochreiter and Schmidhuber, 1997; Gers and others, 2000.
    """

    _biases, _parts = (("bias", 4),), 2
    _activations = ("tanh",)

    # 20 Time: recurrent networks · lstm-run
    def _run(self, a: np.ndarray, states: np.ndarray) -> tuple:
        (h, c), u = states, _blocks(self.recurrent.data, self.hidden_size)
        scale = np.array([0.5, 0.5, 1, 0.5], a.dtype).reshape(4, 1, 1)
        shown = np.empty_like(c[1:])
        for t, z in enumerate(a.swapaxes(0, 1)):
            z += h[t] @ u
            z *= scale
            np.tanh(z, out=z)
            z *= scale
            z += 1 - scale
            i, f, g, o = z  # eq:lstm-gates
            c[t + 1] = f * c[t] + i * g  # eq:lstm-cell
            h[t + 1] = o * np.tanh(c[t + 1], out=shown[t])  # eq:lstm-h
        return a, shown

    # 20 Time: recurrent networks · lstm-backward
    def _run_backward(self, dh: _Array, states: _Array, kept: tuple) -> _Pair:
        back = _blocks(self.recurrent.data, self.hidden_size).mT.copy()
        (a, shown), (_, c) = kept, states
        i, f, g, o = a
        da = a * (1 - a)  # slopes of sigmoids
        da[2] = 1 - g * g
        da *= np.stack((g, c[:-1], i, shown))
        steep = o * (1 - shown * shown)
        later = dc = np.zeros(1, dh.dtype)
        for t in reversed(range(len(dh))):
            total = dh[t] + later  # eq:lstm-dh
            dc = dc + total * steep[t]  # eq:lstm-dcell
            da[:3, t] *= dc
            da[3, t] *= total  # eq:lstm-da
            later, dc = (da[:, t] @ back).sum(axis=0), dc * f[t]
        return da, da


# 20 Time: recurrent networks · gru
class GRU(RNN):
    """Gated recurrent unit: between the old state and a new one, eq:gru.

    Shapes as RNN, but weight, recurrent and bias have 3 * hidden_size
    columns, in the order r, z, n. ``recurrent_bias`` (hidden_size,) stands
    inside the product with r, eq:gru-n, where ``bias`` cannot replace it.
    Source: Cho and others, 2014; this form is PyTorch's.
    """

    _biases = ("bias", 3), ("recurrent_bias", 1)
    (recurrent_bias,) = _fixed(1)
    _activations = ("tanh",)

    # 20 Time: recurrent networks · gru-run
    def _run(self, a: np.ndarray, states: np.ndarray) -> tuple:
        (h,), inner = states, np.empty_like(a[2])
        for t in range(len(inner)):
            u = h[t] @ _blocks(self.recurrent.data, self.hidden_size)
            sums = a[:2, t] + u[:2]
            a[:2, t] = 0.5 + 0.5 * np.tanh(0.5 * sums)  # eq:gru-gates
            r, z, n = a[:, t]
            inner[t] = u[2] + _data(self.recurrent_bias, 0)  # eq:gru-inner
            n[...] = np.tanh(n + r * inner[t])  # eq:gru-n
            h[t + 1] = (1 - z) * n + z * h[t]  # eq:gru
        return a, inner

    # 20 Time: recurrent networks · gru-backward
    def _run_backward(self, dh: _Array, states: _Array, kept: tuple) -> _Pair:
        back = _blocks(self.recurrent.data, self.hidden_size).mT.copy()
        (a, inner), (h,), later = kept, states, 0
        da, du = np.empty_like(a), np.empty_like(a)
        for t in reversed(range(len(dh))):
            r, z, n = a[:, t]
            total = dh[t] + later  # eq:gru-dh
            dn = total * (1 - z) * (1 - n * n)  # eq:gru-dn
            dz = total * (h[t] - n) * z * (1 - z)  # eq:gru-dz
            dr = dn * inner[t] * r * (1 - r)  # eq:gru-dr
            da[:, t], du[:, t] = (dr, dz, dn), (dr, dz, dn * r)
            later = total * z + (du[:, t] @ back).sum(axis=0)
        _collect(self.recurrent_bias, du[2].sum(axis=(0, 1)))
        return da, du


# 20 Time: recurrent networks · embedding
class Embedding(Layer):
    """A row of numbers for each whole number, eq:embedding.

    Shapes: integers of any shape (N, …) in, (N, …, embedding_dim) out;
    weight (num_embeddings, embedding_dim), normal with mean 0 and standard
    deviation ``std`` at first. Integers have no slope: ``backward`` returns
    zeros in their shape. Raises TypeError for what are not integers,
    ValueError for integers outside 0…num_embeddings-1.
    """
    num_embeddings, embedding_dim, weight = _fixed(3)

    def forward(self, x: ArrayLike) -> np.ndarray:
        self._count(backward=False)
        ids = self._known(_as_array(x))
        return self._leave(self.weight.data[ids], ids)  # eq:embedding

    # 20 Time: recurrent networks · embedding-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        (grad, ids), width = self._received(grad_output), self.embedding_dim
        entries = ids[..., None] * width + np.arange(width)
        whole = self.weight.grad.reshape(-1)
        np.add.at(whole, entries.ravel(), grad.ravel())  # eq:embedding-dw
        return np.zeros(ids.shape, self.weight.data.dtype)

    # 20 Time: recurrent networks · embedding-settings
    def __init__(
        self, num_embeddings: int, embedding_dim: int, *,
        std: float = 1.0, rng: _Seed = None,
    ) -> None:
        shape = num_embeddings, embedding_dim
        _positive(self, num_embeddings=shape[0], embedding_dim=shape[1])
        _within(self, std=std)
        self.num_embeddings, self.embedding_dim = shape
        self.weight = Parameter(std * _generator(self, rng).normal(size=shape))

    # 20 Time: recurrent networks · embedding-settings-known
    def _known(self, ids: np.ndarray) -> np.ndarray:
        if ids.size and ids.dtype.kind not in "iu":
            raise TypeError(f"{self}: expected integers, got {ids.dtype}")
        bad = (ids < 0) | (ids >= self.num_embeddings)
        if bad.any():
            wanted = f"0 to {self.num_embeddings - 1}"
            _first_bad(bad, ids, f"{self}: got", wanted)
        return ids.astype(np.intp)


# 21 Attention · attend
def _attend(q: _Array, k: _Array, v: _Array, hidden: Any = None) -> _Pair:
    """What each query finds, and the weights with which it looked."""
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # eq:scores
    if hidden is not None:
        scores += hidden  # -inf hides a key
    least = np.finfo(scores.dtype).min
    scores -= scores.max(axis=-1, keepdims=True, initial=least)
    np.exp(scores, out=scores)
    total = _sum(scores)[..., None]
    scores /= total + (total == 0)  # eq:attention-weights
    return scores @ v, scores  # eq:attention


# 21 Attention · attend-backward
def _attend_backward(
    dy: _Array, q: _Array, k: _Array, v: _Array, p: _Array
) -> tuple[_Array, _Array, _Array]:
    """The gradients of q, k and v from that of what was found."""
    dv = p.mT @ dy  # eq:attention-dv
    dp = dy @ v.mT  # eq:attention-dp
    dp -= np.vecdot(dp, p)[..., None]
    da = np.multiply(dp, p, out=dp)  # eq:attention-da
    da *= q.shape[-1] ** -0.5
    return da @ k, da.mT @ q, dv  # eq:attention-dq, eq:attention-dk


# 21 Attention · multi-head-attention
class MultiHeadAttention(Layer):
    """Every position of a sequence looks at every other, eq:attention.

    forward(x, lengths, attn_mask, memory). Shapes: x (N, T, embed_dim) in
    and out. It looks at x itself, or at ``memory`` (N, S, embed_dim), whose
    gradient is then in ``memory_grad``. ``causal`` hides what comes later,
    ``attn_mask`` keys where it is True; or its numbers are added to the
    scores. It fits (N, num_heads, T, S). Nobody looks beyond the
    ``lengths`` of x; outputs and gradients there are 0. ``weights`` (N,
    num_heads, T, S), read-only, are those of the last forward.
    Raises ValueError for other shapes, or if embed_dim is no multiple of
    num_heads. Source: Vaswani and others, 2017.
    """

    takes_lengths = True
    embed_dim, num_heads = _fixed(2)
    causal: Any = _Setting(_switch)
    weights: np.ndarray | None = None
    memory_grad: np.ndarray | None = None

    # 21 Attention · multi-head-attention-heads
    def _heads(self, x: np.ndarray) -> np.ndarray:
        """A view (parts, N, num_heads, T, d) of (N, T, parts * embed_dim)."""
        parts = x.shape[2] // self.embed_dim
        size = self.embed_dim // self.num_heads
        split = x.reshape(*x.shape[:2], parts, self.num_heads, size)
        return split.transpose(2, 0, 3, 1, 4)

    # 21 Attention · multi-head-attention-passes
    def forward(
        self, x: ArrayLike, lengths: _Maybe = None,
        attn_mask: _Maybe = None, memory: _Maybe = None,
    ) -> np.ndarray:
        x = self._expect(x, "N", "T", self.embed_dim)
        beyond, both, start = self._seen(x, lengths, memory)
        q, k, v = self._parts(self.qkv.forward(both), x.shape[1], start)
        # beyond[:, start:] is empty with a memory: lengths hide none of it
        hidden = self._hidden(q, k, attn_mask, beyond[:, start:])
        found, weights = _attend(q, k, v, hidden)
        weights.flags.writeable = False
        self.weights = weights
        y = self.out.forward(found.swapaxes(1, 2).reshape(x.shape))
        y[beyond] = 0
        y = y.astype(x.dtype, copy=False)
        return self._leave(y, (beyond, start, q, k, v, weights))

    # 21 Attention · multi-head-attention-parts
    def _parts(self, z: np.ndarray, steps: int, start: int) -> tuple:
        """Queries of the first steps; keys and values from start on."""
        q, k, v = self._heads(z)
        return q[:, :, :steps], k[:, :, start:], v[:, :, start:]

    # 21 Attention · multi-head-attention-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, (beyond, start, q, k, v, weights) = self._received(grad_output)
        n, steps, width = grad.shape
        if beyond.any():
            grad = np.where(beyond[..., None], 0, grad)
        dy = self.out.backward(grad)
        dqkv = np.zeros((n, start + k.shape[2], 3 * width), dy.dtype)
        found = _attend_backward(self._heads(dy)[0], q, k, v, weights)
        for into, each in zip(self._parts(dqkv, steps, start), found):
            into[...] = each
        dx = self.qkv.backward(dqkv)
        self.memory_grad = dx[:, start:] if start else None
        return dx[:, :steps]

    # 21 Attention · attention-seen
    def _seen(self, x: np.ndarray, lengths: _Maybe, memory: _Maybe) -> tuple:
        """What lies beyond the ends, x and memory in a row, and where the
        keys start in it."""
        beyond = ~_counting(self, lengths, *x.shape[:2])
        both = np.where(beyond[..., None], 0, x) if beyond.any() else x
        if memory is None:
            return beyond, both, 0
        size = len(x), "S", self.embed_dim
        other = self._expect(memory, *size, what="memory")
        return beyond, np.concatenate([both, other], axis=1), x.shape[1]

    # 21 Attention · attention-hidden
    def _hidden(
        self, q: _Array, k: _Array, attn_mask: _Maybe, beyond: _Array
    ) -> _Array | None:
        """What is added to the scores of q and k, if anything is."""
        given = self._mask(attn_mask, (*q.shape[:3], k.shape[2]))
        hide = given if given.dtype == bool else np.zeros((), bool)
        if beyond.any():
            hide = hide | beyond[:, None, None]
        if self.causal:
            hide = hide | (np.tri(q.shape[2], k.shape[2]) == 0)
        if attn_mask is None and not hide.any():
            return None
        return np.where(hide, -np.inf, given).astype(q.dtype)

    # 21 Attention · attention-mask
    def _mask(self, attn_mask: _Maybe, size: tuple) -> np.ndarray:
        """The mask, if it fits scores of this size, (N, heads, T, S)."""
        given = _as_array(False if attn_mask is None else attn_mask)
        if given.dtype.kind not in "bf" or not _stretches(given.shape, size):
            raise ValueError(
                f"{self}: expected attn_mask of bools or floats that fits "
                f"{size}, got {given.dtype} of shape {given.shape}"
            )
        return given

    # 21 Attention · attention-settings
    def __init__(
        self, embed_dim: int, num_heads: int, *, causal: bool = False,
        rng: _Seed = None,
    ) -> None:
        _positive(self, embed_dim=embed_dim, num_heads=num_heads)
        wanted = f"expected {{}} to be a multiple of num_heads {num_heads}"
        _demand(self, lambda d: not d % num_heads, wanted, embed_dim=embed_dim)
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.causal, rng = causal, _generator(self, rng)
        self.qkv = Linear(embed_dim, 3 * self.embed_dim, rng=rng)
        self.out = Linear(embed_dim, embed_dim, rng=rng)


# 21 Attention · stretches
def _stretches(shape: Any, whole: tuple) -> bool:
    """Whether an array of this shape stretches to the whole one."""
    pairs = zip(shape[::-1], whole[::-1])
    return len(shape) <= len(whole) and all(m in (1, n) for m, n in pairs)


# 21 Attention · position-embedding
class PositionEmbedding(Embedding):
    """Adds to every position of a sequence a row of its own, eq:position.

    PositionEmbedding(length, embedding_dim, std=…, rng=…). Shapes:
    (N, T, embedding_dim) in and out, T at most ``length``; weight (length,
    embedding_dim), as in Embedding. Raises ValueError for other shapes and
    for longer sequences.
    """

    # 21 Attention · position-embedding-forward
    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._expect(x, "N", "T", self.embedding_dim)
        steps, most = x.shape[1], self.num_embeddings
        if steps > most:
            raise ValueError(f"{self} takes at most {most} steps, got {steps}")
        y = x + self.weight.data[:steps]  # eq:position
        return self._leave(y.astype(x.dtype, copy=False), steps)

    # 21 Attention · position-embedding-backward
    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        grad, steps = self._received(grad_output)
        self.weight.grad[:steps] += grad.sum(axis=0)  # eq:position-dp
        return grad.copy()


# 21 Attention · transformer-block
class TransformerBlock(Network):
    """Attention, then a small network for each position; pre-norm, eq:block.

    Shapes: (N, T, embed_dim) in and out. ``hidden`` is the width of the
    small network, 4 * embed_dim unless given; ``dropout`` acts on what
    either adds. Source: Vaswani and others, 2017; Xiong and others, 2020.
    """

    # 21 Attention · transformer-block-init
    def __init__(
        self, embed_dim: int, num_heads: int, hidden: int | None = None, *,
        dropout: float = 0.0, causal: bool = True, rng: _Seed = None,
    ) -> None:
        _positive(self, embed_dim=embed_dim)
        rng, d = _generator(self, rng), int(embed_dim)
        hidden = 4 * d if hidden is None else hidden
        _positive(self, hidden=hidden)
        _within(self, "0 <= {} < 1", dropout=dropout)
        look = MultiHeadAttention(d, num_heads, causal=causal, rng=rng)
        wide, narrow = Linear(d, hidden, rng=rng), Linear(hidden, d, rng=rng)
        drop = [Dropout(dropout, rng=rng) for _ in range(2 if dropout else 0)]
        first = Residual(LayerNorm(d), look, *drop[:1])
        then = Residual(LayerNorm(d), wide, GELU("tanh"), narrow, *drop[1:])
        super().__init__(first, then)


# 22 Beyond the gradient · push
def _pushed(node: Tensor, slopes: dict, record: bool) -> Any:
    """The slope of a node from those of its parents, eq:jvp."""
    total = np.zeros((), node.dtype)
    for i, parent in zip(node._record.places, node._parents):
        if parent in slopes:
            total = total + _part(node, i, slopes[parent], record)
    return np.broadcast_to(total, node.shape).astype(node.dtype)


# 22 Beyond the gradient · follow
def _follow(y: Any, slopes: dict) -> tuple[Any, Any]:
    """y, and its slope if those of the first Tensors are these."""
    if not isinstance(y, Tensor):  # it does not depend on the inputs
        return _floating(y), np.zeros(np.shape(y))
    order, known = list(_order(y))[::-1], dict(slopes)
    record = _wanted(order, slopes)
    for node in order:
        if node not in known and any(x in known for x in node._parents):
            known[node] = _pushed(node, known, record)
    slope = known.get(y, np.zeros_like(y.data))
    return (y, _constant(slope)) if record else (y.data, slope)


# 22 Beyond the gradient · jvp
def jvp(
    f: Callable, inputs: Sequence[ArrayLike], directions: Sequence[ArrayLike]
) -> tuple[Any, Any]:
    """f(*inputs) and its slope along the directions, eq:jvp.

    Gives arrays, in lists if f gives lists; Tensors if f uses Tensors from
    outside. Raises TypeError for no list or no numbers, ValueError for a
    direction of another shape or another number of them.
    """
    _instances("jvp", Callable, f=f)
    with _recorded():
        slopes = _starts(inputs, directions)  # of each input, as a Tensor
        y = f(*slopes.keys())
    if not isinstance(y, (list, tuple)):
        return _follow(y, slopes)
    ways = [_follow(part, slopes) for part in y]
    return [value for value, _ in ways], [slope for _, slope in ways]


# 22 Beyond the gradient · wanted
def _wanted(order: list, slopes: dict) -> bool:
    """Whether the slopes depend on Tensors from outside."""
    return any(isinstance(v, Tensor) for v in slopes.values()) or any(
        x.requires_grad and not x._parents and x not in slopes for x in order
    )


# 22 Beyond the gradient · known
def _known(node: Tensor, record: bool) -> tuple:
    """What rules get: the result and the arguments, as Tensors or arrays."""
    _check(made := node._record)
    return (node, *made.args) if record else (node.data, *made.arrays)


# 22 Beyond the gradient · push-part
def _part(node: Tensor, i: int, v: Any, record: bool) -> Any:
    """v, the slope of argument i of a node, forwards through its rule."""
    rule, options = node._record.rule, node._record.options
    y, *args = _known(node, record)
    if rule.jvps == "linear":
        args[i] = v
        act = partial(_apply, rule, args, options)
        return act() if record else rule.function(*args, **options)
    if not (push := rule.jvps and rule.jvps[i]):  # neither kind
        return _transposed(node, i, v, record)
    slope = push(v, y, *args, **options)  # entry by entry
    fits = _stretches(getattr(slope, "shape", "?"), node.shape)
    wanted = f"expected a slope of shape {node.shape} from {{}}"
    _demand(rule.name, lambda _: fits, wanted, jvps=slope)
    return slope


# 22 Beyond the gradient · turn-round
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


# 22 Beyond the gradient · anew
def _anew(x: Any) -> Tensor:
    """The same numbers as a Tensor of its own; made from x, if that is one."""
    if not isinstance(x, Tensor):
        return Tensor(x)
    return x[...] if x.requires_grad else Tensor(x.data)


# 22 Beyond the gradient · starts
def _starts(inputs: Sequence, directions: Sequence) -> dict:
    """The inputs as Tensors of their own, each with its slope."""
    if not isinstance(inputs, (list, tuple)):
        raise TypeError("inputs is a list of arrays, one for each argument")
    directions = [*directions] if np.iterable(directions) else []
    wanted = f"expected one direction for each input, {len(inputs)} in all"
    _demand("jvp", len(inputs).__eq__, wanted, directions=len(directions))
    points = [_anew(x) for x in inputs]
    return {
        x: _weights(x.data, v, isinstance(v, Tensor), "a direction")
        for x, v in zip(points, directions)
    }


# 22 Beyond the gradient · hvp-number
def _number_of(y: Any) -> Tensor:
    y = _constant(y)
    if y.data.size != 1:
        raise ValueError(f"hvp: f gives one number, got shape {y.shape}")
    return y


# 22 Beyond the gradient · hvp
def hvp(f: Callable, x: ArrayLike, v: ArrayLike) -> np.ndarray:
    """The Hessian of f at x times v, eq:hvp, without the Hessian.

    f takes a Tensor and gives one number. Shapes: x any, v and the result
    as x. Raises ValueError for a v of another shape or several numbers.
    Source: Pearlmutter, 1994.

    >>> hvp(lambda x: np.sum(x * x * x), [1.0, 2.0], [1.0, 0.0])
    array([6., 0.])
    """
    _instances("hvp", Callable, f=f)
    def gradient(x: Tensor) -> Tensor:
        return gradients(_number_of(f(x)), [x], create_graph=True)[0]

    return np.array(_plain(jvp(gradient, [_plain(x)], [_plain(v)])[1]))


# 22 Beyond the gradient · replay
def _replay(f, inputs, g, y, *known):
    """The rule of a checkpoint: f once more, with a tape, and back."""
    with _recorded():
        xs = [
            _anew(x) if isinstance(given, Tensor) else x
            for given, x in zip(inputs, known)
        ]
        result = _constant(f(*xs))
    _like_before(result.data, _plain(y))
    tensors = [x for x in xs if isinstance(x, Tensor)]
    found = gradients(result, tensors, g, isinstance(g, Tensor))
    by_input = dict(zip(map(id, tensors), found))
    return [by_input.get(id(x)) for x in xs]


# 22 Beyond the gradient · like-before
def _like_before(again: np.ndarray, before: np.ndarray) -> None:
    if not np.array_equal(again, before, equal_nan=True):
        raise RuntimeError(
            "checkpoint: f gave another result the second time (random "
            "numbers, or an array that changed)"
        )


# 22 Beyond the gradient · without-tape
def _without_tape(f, inputs, *known):
    """The forward pass of a checkpoint, on Tensors that are constants."""
    y = f(*[
        Tensor(x, requires_grad=False) if isinstance(given, Tensor) else x
        for given, x in zip(inputs, known)
    ])
    if getattr(y, "requires_grad", False):
        raise ValueError("checkpoint: f uses a Tensor that is no input")
    if isinstance(y, (list, tuple)):
        raise TypeError("checkpoint: f gives one array; np.stack joins")
    return y.data if isinstance(y, Tensor) else y


# 22 Beyond the gradient · checkpoint
def checkpoint(f: Callable, *inputs: Any) -> Any:
    """f(*inputs), of which only the inputs are remembered.

    ``backward`` computes f again and goes back through that; f must give
    the same array twice; the first time it gets constants. Raises
    RuntimeError if it does not, ValueError for a Tensor that is no input.
    Source: Griewank, 1992; Chen and others, 2016.

    >>> x = Tensor([1.0, 2.0])
    >>> checkpoint(lambda x: np.sum(x * x * x), x).backward()
    >>> x.grad
    array([ 3., 12.])
    """
    _instances("checkpoint", Callable, f=f)
    forward, again = (partial(g, f, inputs) for g in (_without_tape, _replay))
    if not any(isinstance(x, Tensor) for x in inputs):
        return forward(*inputs)
    rule = _Rule("checkpoint", forward, vjps=again, jvps=None, asked=set())
    return _apply(rule, inputs, {})


# 24 The diagnosis · finding
class Finding(NamedTuple):
    """One cause: its name, the place, what was measured, what to do."""
    name: str
    where: str
    figure: str
    because: str
    cure: str
    section: str

    def __str__(self) -> str:
        head = f"{self.name}: {self.where}: {self.figure}"
        cure = f"{self.cure} (Chapter {self.section})"
        return f"{head}\n  {self.because}\n  {cure}"


# 24 The diagnosis · case
class _Case(NamedTuple):
    """All that there is to look at; xs, ys are some of the rows."""
    net: Network
    x: np.ndarray
    y: np.ndarray
    xs: np.ndarray
    ys: np.ndarray
    first: float
    zero: float
    null: float
    ids: bool  # x are whole numbers that an embedding looks up
    rng: np.random.Generator
    optimizer: Any = None
    step: Any = None
    tests: tuple = (None, None)  # x_test, y_test


# 24 The diagnosis · diagnosis
class Diagnosis:
    """What diagnose found; prints as a report.

    ``findings`` are in the order of the probes; ``unseen`` ones have failed.
    """

    def __init__(self, none: str = "Nothing found.", unseen: Any = ()) -> None:
        self.findings: list[Finding] = []
        self.unseen, self._nothing = [*unseen], none

    def __repr__(self) -> str:
        failed = [f"Could not look: {text}" for text in self.unseen]
        found = [str(finding) for finding in self.findings]
        nothing = self._nothing.replace("Nothing", "Nothing else", len(failed))
        return "\n".join(failed + (found or [nothing]))


# 24 The diagnosis · look
def _look(case: _Case) -> Diagnosis:
    noted = _noted(case[:5], case.optimizer, case.step)
    case, failed = _tried(case, noted)
    told = Diagnosis(_nothing(case, failed), failed)
    for symptoms, probe in _PROBES:
        causes = {f.name for f in told.findings} - _NO_SYMPTOMS
        if causes & _FATAL or (symptoms and causes):
            continue
        with _put_back(*noted):
            try:
                for sign in probe(case._replace(rng=copy.deepcopy(case.rng))):
                    told.findings.append(Finding(*sign, *_CAUSES[sign[0]]))
            except Exception as error:
                told.unseen.append(f"{probe.__name__[1:]}: {error!r}")
    return told


# 24 The diagnosis · diagnose
def diagnose(
    net: Network, x: ArrayLike, y: ArrayLike, *, optimizer: Any = None,
    step: Callable | None = None, x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None, rng: _Seed = None,
) -> Diagnosis:
    """Find out why a network does not learn; change nothing.

    Shapes: x (N, …) and y as net.loss takes them. ``step`` is your training
    step, ``step()`` or with any of x, y, batch, net, optimizer, run many
    times; an ``optimizer`` alone gets the usual loop, on a batch of up to 256
    rows. Network, optimizer, generators, x, y, and arrays, lists, deques, sets
    and dicts that step refers to, are put back bit for bit; what it prints or
    writes stays. ``rng`` chooses rows and directions; None: the same. Raises
    RuntimeError without a loss, ValueError for reduction "none", ValueError
    unless optimizer is an Optimizer and step callable, and as net.loss does.
    """
    _one_number("diagnose", net)
    given, tests = _heeded(net, x, y), _heeded(net, x_test, y_test)
    _demand("diagnose", np.ndim, "expected rows of {}", x=given[0], y=given[1])
    _demand("diagnose", np.size, "expected rows of {}", x_test=tests[0])
    with _as_it_was(net):
        draw = copy.deepcopy(_generator("diagnose", 0 if rng is None else rng))
        case = _case(net, *given, draw)
    case = case._replace(optimizer=_rule_of(net, optimizer, step), step=step)
    return _look(case._replace(tests=tests))


# 24 The diagnosis · nothing-found
_NOTHING = """\
Nothing found. Looked at: the data and labels, the loss, the start, the
gradients of every layer, evaluation against training, one example against
the batch, restarts; if given, steps, and new data's scale and labels.
{}Cannot be seen from here: overfitting, what shows later or only in the noise
of batches, near copies of test rows in the training, labels that mean
something else, a task that x does not determine."""


# 24 The diagnosis · nothing-found-in
def _nothing(case: _Case, failed: list[str]) -> str:
    """What to say if nothing is found; and what was not looked at, why."""
    why = "the step failed" if failed else "give optimizer= or step="
    given = {f"steps ({why})": case.optimizer or case.step,
             "new data (give x_test=)": case.tests[0]}
    left = ", ".join(name for name, it in given.items() if it is None)
    return _NOTHING.format(left and f"Not looked at: {left}.\n")


# 24 The diagnosis · tried
def _tried(case: _Case, noted: tuple) -> tuple[_Case, list[str]]:
    """The case without a step that raises, and what it raised."""
    with _put_back(*noted):
        try:
            _one_step(case)
        except Exception as error:
            said = f"the step raised {error!r}"
            return case._replace(optimizer=None, step=None), [said]
    return case, []


# 24 The diagnosis · optimizer-of
def _rule_of(net: Network, optimizer: Any, step: Any) -> Any:
    """The optimizer that is given, or that a step uses for the network."""
    if step is not None:
        _demand("diagnose", callable, "{} must be a function", step=step)
    _instances("diagnose", Optimizer, True, optimizer=optimizer)
    found = _reach(step) if optimizer is None else [optimizer]
    rules = [thing for thing in found if isinstance(thing, Optimizer)]
    own = set(net.parameters())
    return max(rules, key=lambda r: len(own & {*r.parameters}), default=None)


# 24 The diagnosis · case-rows
def _case(net: Network, x: np.ndarray, y: np.ndarray, rng: Any) -> _Case:
    ids = x.dtype.kind in "iu"
    with suppress(Exception), _as_it_was(net):
        here, near = (net.eval().forward(x[:2] + by) for by in (0, 0.4))
        ids = ids and np.array_equal(here, near)
    long = x.ndim == 3 or (ids and x.ndim == 2)
    most = 24 if long and x.shape[1] > 8 else 64 if x.ndim > 3 else 256
    rows = rng.permutation(len(x))[:most] if len(x) > most else slice(None)
    xs, ys = x[rows].copy(), y[rows].copy()
    first, out = net.loss(xs.copy(), ys.copy()), net.forward(xs.copy())
    middle = ys.mean(axis=0) if ys.shape == out.shape else 0.0
    single = [_single(net, out, ys, a) for a in (0.0, middle, out.mean(0))]
    levels = first, single[0], float(np.nanmin([*single, math.inf]))
    return _Case(net, x, y, xs, ys, *levels, ids, rng)


# 24 The diagnosis · heeded
def _heeded(net: Network, x: Any, y: Any) -> tuple[Any, Any]:
    """x and y, or y alone, without the rows that the loss ignores."""
    x, y = (a if a is None else _as_array(a) for a in (x, y))
    heeded = np.asarray(y != getattr(net.criterion, "ignore_index", None))
    same = heeded.shape == np.shape(y if x is None else x)[:1]
    if same and 0 < heeded.sum() < heeded.size:
        x, y = (a if a is None else a[heeded] for a in (x, y))
    return x, y


# 24 The diagnosis · single-answer
def _single(net: Network, out: np.ndarray, y: np.ndarray, a: Any) -> float:
    """The loss of one answer to everything; infinite if it refuses."""
    with suppress(Exception):
        return net._loss_at_end().forward(np.zeros_like(out) + a, y)
    return math.inf


# 24 The diagnosis · reach-parts
def _parts(thing: Any) -> list[Any]:
    """What a thing holds: items, attributes, what a function refers to."""
    if isinstance(thing, FunctionType):
        given = [*(thing.__closure__ or ()), *(thing.__defaults__ or ())]
        return [*given, *_variables(thing).values()]
    kinds = type(thing).__mro__ if isinstance(thing, _Memory) else ()
    methods = [f for kind in kinds for f in vars(kind).values()]
    own, held = getattr(thing, "__dict__", None), gc.get_referents(thing)
    if isinstance(thing, cycle):  # it goes on, and so must its own list
        held = [*chain(*(h if isinstance(h, list) else [h] for h in held))]
    return [*held, own, *[f for f in methods if not _is_ours(f)]]


# 24 The diagnosis · ours
def _is_ours(thing: Any) -> bool:
    """A function of this book: what it refers to does not change."""
    return type(thing) is FunctionType and thing.__module__ == "backprop_core"


# 24 The diagnosis · variables
def _variables(thing: Any) -> dict[str, Any]:
    """What a dict, a cell, or a function of the user's can set, by name."""
    if isinstance(thing, CellType) and thing != CellType():
        return {"cell_contents": thing.cell_contents}
    if not isinstance(thing, FunctionType):
        return thing if isinstance(thing, dict) else {}
    codes, names = [thing.__code__] * (not _is_ours(thing)), set[str]()
    for code in codes:
        names.update(code.co_names)
        codes += [c for c in code.co_consts if hasattr(c, "co_names")]
    known = thing.__globals__
    return {name: known[name] for name in names & known.keys()}


# 24 The diagnosis · reach
_FIXED = (type, ModuleType, str, bytes, int, float, type(None), GeneratorType)
_HOLDERS: Any = list, deque, OrderedDict, dict, set


def _reach(*roots: Any) -> list[Any]:
    """Everything that can be reached from here, each thing once."""
    found, todo = dict[int, Any](), list(roots)
    while todo:
        thing = todo.pop()
        if id(thing) not in found and not isinstance(thing, _FIXED):
            found[id(thing)] = thing
            todo += _parts(thing)
    return list(found.values())


# 24 The diagnosis · put-back
def _put(thing: Any, values: dict[str, Any]) -> None:
    if isinstance(thing, CellType):
        thing.cell_contents = values["cell_contents"]
    else:
        getattr(thing, "__globals__", thing).update(values)


def _refill(thing: Any, kind: Any, items: Any) -> None:
    """By the methods of its kind; an iterator over a deque bears no change."""
    if kind is not deque or [*map(id, thing)] != [*map(id, items)]:
        kind.clear(thing)
        (kind.extend if kind in (list, deque) else kind.update)(thing, items)


# 24 The diagnosis · way-back
_RANDOM: Any = np.random.BitGenerator, np.random.RandomState, random.Random


def _way_back(thing: Any) -> Callable[[], Any] | None:
    """What makes a thing as it is now; None for what cannot change."""
    if isinstance(thing, np.ndarray) and thing.flags.writeable:
        return partial(np.copyto, thing, thing.copy())
    if isinstance(thing, _HOLDERS):
        kind = next(kind for kind in _HOLDERS if isinstance(thing, kind))
        items = [*thing] if kind is deque else kind.copy(thing)
        return partial(_refill, thing, kind, items)
    if isinstance(thing, _RANDOM):
        return partial(thing.__setstate__, thing.__getstate__())
    known = _variables(thing)
    return partial(_put, thing, known) if known else None


# 24 The diagnosis · noted
def _noted(*roots: Any) -> tuple[list[Any], list[Callable]]:
    """Everything in reach, and what makes each thing as it is now."""
    things = _reach(*roots, np.random.mtrand._rand, random._inst)
    _replace(things, _rewindable)
    return things, [*filter(None, map(_way_back, things))]


# 24 The diagnosis · as-it-was
@contextmanager
def _put_back(things: list[Any], ways_back: list[Callable]) -> Iterator[None]:
    """Whatever happens inside, these things are put back after it."""
    try:
        _replace(things, _stand_in)
        with np.errstate(all="ignore"):
            yield
    finally:
        for way_back in ways_back:
            way_back()


def _as_it_was(*roots: Any) -> Any:
    return _put_back(*_noted(*roots))


# 24 The diagnosis · rewindable
_TEE: type = type(*tee((), 1))


def _rewindable(held: Any) -> Any:
    built_in = type(held).__module__ in ("builtins", "itertools")
    return tee(held, 1)[0] if built_in else held  # a tee stays what it is


def _handed(thing: Any) -> Any:
    """Copies of arrays that are no views: a step may write into its own."""
    if isinstance(thing, np.ndarray) and thing.base is None:
        return thing.copy()
    return (*map(_handed, thing),) if isinstance(thing, tuple) else thing


# 24 The diagnosis · tee-copies
def _stand_in(held: Any) -> Any:
    is_tee = isinstance(held, _TEE)
    return tee(map(_handed, copy.copy(held)), 1)[0] if is_tee else held


# 24 The diagnosis · stand-in
def _replace(things: list[Any], new: Callable[[Any], Any]) -> None:
    """Put something else into cells, global variables and attributes."""
    known: dict[int, tuple[Any, Any]] = {}
    for thing in things:
        for name, held in _variables(thing).items():
            if isinstance(held, Iterator):
                _, other = known.setdefault(id(held), (held, new(held)))
                _put(thing, {name: other})


# 24 The diagnosis · spy
def _spy(on: Any, name: str, before: Any = tuple, after: Any = slice) -> None:
    """From now on, tell what a method is given, and what it returns."""
    method = getattr(on, name)

    def spied(*given: Any, **options: Any) -> Any:
        before()
        result = method(*given, **options)
        after(given, result)
        return result

    setattr(on, name, spied)


# 24 The diagnosis · layers
def _layers(net: Layer) -> list[tuple[str, Layer]]:
    """Each layer inside, with its place and name."""
    held = [(at, m) for at, m in net._contents() if isinstance(m, Layer)]
    return [(f"layer {at[:-1]} {_short(m)}", m) for at, m in held[1:]]


# 24 The diagnosis · heard
class _Heard(NamedTuple):
    """What went through a layer once, forwards and backwards."""

    name: str
    layer: Layer
    x: np.ndarray
    y: np.ndarray
    dy: np.ndarray = np.zeros(0)  # empty where no gradient came
    dx: np.ndarray = np.zeros(0)


# 24 The diagnosis · listen
def _listen(case: _Case) -> list[_Heard]:
    """One loss and one backward pass, with an ear at every layer."""
    heard: dict[tuple[str, Layer], list] = {}
    with _as_it_was(case.net):
        for key in _layers(case.net):
            for n, way in enumerate(("forward", "backward")):
                _spy(key[1], way, after=partial(_note, heard, key, 2 * n))
        _gradients(case.net, case.xs, case.ys)
    return [_Heard(*key, *passed) for key, passed in heard.items()]


# 24 The diagnosis · passed
def _note(heard: dict, key: tuple, n: int, given: tuple, result: Any) -> None:
    """Note the first forward of a single argument, and the first backward."""
    passed = heard.get(key, [])
    if len(given) == 1 and len(passed) == n and result is not None:
        heard[key] = [*passed, np.array(given[0]), np.array(result)]


# 24 The diagnosis · probe-scale
_Signs = Iterator[tuple[str, str, str]]  # name, where, figure


def _scale_signs(case: _Case) -> _Signs:
    """Columns of other sizes, or all of x far from size 1."""
    x, at = _used_columns(case)  # without the border of pictures
    size = np.sqrt(np.sum(x * x, 0) / np.maximum(np.sum(x != 0, 0), 1))
    big, small, whole = size.max(), size.min(), _size(x)
    if big > 50 * small and (big > 10 or big > 200 * small):
        figure = f"of size {big:.3g}, another of {small:.3g}"
        yield "input-columns-differ", f"column {at[size.argmax()]}", figure
    elif whole > 10 or 0 < whole < 0.02 or _too_wide(case, whole):
        figure = f"root mean square {whole:.3g}, first loss {case.first:.3g}"
        yield "input-scale", "all of x", figure


# 24 The diagnosis · columns
def _columns(x: ArrayLike, ids: bool = False) -> np.ndarray:
    """The features as columns; steps of a sequence and pixels are rows."""
    x = np.zeros((1, 1)) if ids else np.asarray(x, float)
    x = np.moveaxis(x, 1, -1) if x.ndim == 4 else x
    return x.reshape((-1, x.shape[-1]) if x.ndim in (3, 4) else (len(x), -1))


# 24 The diagnosis · arriving
def _arriving(case: _Case) -> np.ndarray:
    """x as it comes to the first weights, behind a norm or a division."""
    case.net.train()
    weighed = (h.x for h in _listen(case)
               if any(p.data.ndim > 1 for p in h.layer.parameters()))
    seen = next(weighed, case.xs)
    same = np.array_equal(seen.ravel(), case.xs.ravel())
    raw = same or not np.isfinite(seen).all()
    return _columns(case.x if raw else seen, case.ids)


# 24 The diagnosis · used-columns
def _used_columns(case: _Case) -> tuple[np.ndarray, np.ndarray]:
    """Columns that are not nearly always 0, as the corner of a picture is."""
    x = _arriving(case)
    used = (np.ptp(x, axis=0) > 0) & (np.mean(x != 0, axis=0) > 0.02)
    at = np.flatnonzero(used | ~used.any())
    return x[:, at], at


# 24 The diagnosis · probe-too-wide
def _too_wide(case: _Case, size: float) -> bool:
    """Is the first loss high, and as it should be with x made smaller?"""
    high = size > 3 and case.first > 4 * case.zero
    return high and case.net.loss(case.xs / size, case.ys) < 1.25 * case.zero


# 24 The diagnosis · still-columns
def _still_columns(case: _Case) -> tuple[np.ndarray, np.ndarray]:
    """x, and its columns of one value, but for a picture's border."""
    x = _arriving(case)
    one, same = x[0], np.ptp(x, axis=0) == 0
    still, top = same & (same.all() | ~np.isin(one, (0, 1))), x[:, ~same]
    if x.shape[1] > 20 and top.size:
        usual = (abs(one) < 1.5 * abs(top).max()) & (still.sum() > 2)
        still &= ~usual & ~np.isin(one, (x.min(), top.max()))
    return x, still


# 24 The diagnosis · input-signs
def _input_signs(case: _Case) -> _Signs:
    each = case.x if case.x.ndim == 3 else case.x.reshape(len(case.x), -1)
    lost = ~np.isfinite(_columns(each, case.ids))
    blank = ~np.isfinite(case.y.reshape(len(case.y), -1)).all(axis=1)
    (x, still), net = _still_columns(case), case.net.eval()
    if lost.any():
        at, n = lost.sum(axis=0).argmax(), lost.sum(axis=0).max()
        yield "input-not-finite", f"column {at}", f"{n} of {len(lost)} values"
    elif blank.any() and np.isnan(net.loss(case.x[blank], case.y[blank])):
        yield "input-not-finite", "y", f"{blank.sum()} of {len(blank)} rows"
    elif still.any() and len(x) > 2:
        at = still.argmax()
        yield "input-constant-column", f"column {at}", f"all {x[0, at]:.3g}"
    elif _wrapped(case.x):
        yield "input-integer-wrapped", f"x, {case.x.dtype}", "near its ends"


# 24 The diagnosis · written-signs
def _written_signs(case: _Case) -> _Signs:
    """Are x and y as they were, in any order, after a pass and a step?"""
    def values() -> list[bytes]:  # + 0: -0.0 is 0.0, too
        return [np.sort(a.astype(float) + 0, 0).tobytes() for a in case[1:5]]

    was, who = values(), "network"
    _gradients(case.net, case.xs, case.ys)
    if case.step is not None and values() == was:
        who, _ = "step", case.step(*_step_arguments(case))
    if values() != was:
        yield "input-changed", who, "x or y has other values after it"


# 24 The diagnosis · wild-signs
def _wild_signs(case: _Case) -> _Signs:
    """One row, and 1% more at most, that outweigh all others."""
    held = [("x", case.x, case.xs), ("y", case.y, case.ys)]
    one = isinstance(case.net.criterion, BCEWithLogitsLoss | CrossEntropyLoss)
    for name, rows, some in held[: 2 - one]:  # such a y is from 0 to 1
        middle = np.median(some.reshape(len(some), -1), axis=0)
        away = _size(rows.reshape(len(rows), -1) - middle, axis=1)
        top = np.sort(np.append(away, 0))[-2 - len(away) // 100:]
        far = (top[1:] > 20 * top[:-1]) & (top[:-1] > 0)
        usual = top[far.argmax()]
        heavy = np.sum(away**2) < 2 * np.sum(away[away > usual] ** 2)
        if rows.dtype.kind == "f" and len(rows) > 19 and far.any() and heavy:
            figure = f"{top[-1]:.3g} from the middle, others {usual:.3g}"
            yield "outlier", f"{name}, row {away.argmax()}", figure


# 24 The diagnosis · wrapped
def _wrapped(x: np.ndarray) -> bool:
    """Do whole numbers sit at both ends of their range, none between?"""
    low, width = 0.0, 255.0 if x.max() > 1 else 1.0
    if x.dtype.kind in "iu":
        low = float(np.iinfo(x.dtype).min)
        width = float(np.iinfo(x.dtype).max) - low
    elif np.any((x < 0) | (x * (255 / width) % 1 % 0.999 > 1e-3)):
        return False
    share = (x[(x != 0) & (x != low + width)] - low) / width
    ends = np.sum(share < 0.375), np.sum((share > 0.625) & (share <= 1))
    both = min(ends) > 0.2 * len(share) and sum(ends) > 0.9 * len(share)
    return bool(len(share) > 20 and both)


# 24 The diagnosis · test-signs
def _test_signs(case: _Case) -> _Signs:
    x_test, y_test = case.tests
    kinds = y_test is not None and _labels(case) is not None
    if kinds and (new := np.mean(~np.isin(y_test, case.y))) > 0.2:
        yield "test-data-differ", "y_test", f"{new:.0%} of it is not in y"
    if x_test is None or case.ids:
        return
    x, test = _columns(case.x), _columns(x_test)
    old, rows = ([*map(bytes, np.asarray(a, float))] for a in (case.x, x_test))
    both, n, many = sum(map({*old}.__contains__, rows)), len(rows), len({*old})
    chance = many < 0.9 * len(old) and np.unique(x).size < 1.5 * many
    if both > n / 10 and many > 19 and not chance:
        yield "test-rows-in-training", "x_test", f"{both} of {n} are rows of x"
    if x.shape[1] != test.shape[1]:
        figure = f"shape {np.shape(x_test)}, x has {case.x.shape}"
        yield "test-data-differ", "x_test", figure
    else:
        yield from _moved_signs(x, test)


# 24 The diagnosis · moved-signs
def _moved_signs(x: np.ndarray, test: np.ndarray) -> _Signs:
    spread, other = x.std(0), test.std(0)
    wide = np.maximum(spread, other) * (1 + 4 / len(test) ** 0.5) + 1e-12
    moved = abs(test.mean(0) - x.mean(0)) / wide
    used = spread > 0.05 * spread.max()
    enough, at = used.any() and len(test) >= 10, moved.argmax()
    ratio = np.median(other[used] / spread[used]) if enough else 1.0
    if moved[at] > 1:
        figure = f"mean {test[:, at].mean():.3g}, in x {x[:, at].mean():.3g}"
        yield "test-data-differ", f"x_test, column {at}", figure
    elif not 1 / 3 < ratio < 3:
        yield "test-data-differ", "x_test", f"{ratio:.2g} times as wide as x"


# 24 The diagnosis · label-kinds
def _labels(case: _Case) -> np.ndarray | None:
    """One label for each example, if that is what y holds."""
    y = case.y.reshape(len(case.y), -1)
    two = np.all((y == 0) | (y == 1))
    if case.y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(1) if two and np.all(y.sum(1) == 1) else None
    classes = two or isinstance(case.net.criterion, CrossEntropyLoss)
    return y[:, 0].astype(int) if y.shape[1] == 1 and classes else None


# 24 The diagnosis · label-signs
def _label_signs(case: _Case) -> _Signs:
    labels, (width, share) = _labels(case), _batch_width(case)
    n, where = len(case.y), f"y, {len(case.y)} rows"
    names = np.arange(n) if labels is None else labels
    _, at, count = np.unique(names, return_index=True, return_counts=True)
    changes, mixed = np.sum(np.diff(names) != 0), n - np.sum(count**2) / n
    if width < 0.3 and share * (n - count.max()) > 11:
        yield "labels-sorted", where, f"a batch is {width:.0%} as wide as all"
    elif mixed > 15 and changes < 0.2 * mixed and not width > 0.5:
        figure = f"the label changes {changes} times, not some {mixed:.0f}"
        yield "labels-sorted", where, figure
    few = count.min() if len(count) > 1 else 0
    seldom = n >= max(50, 20 * len(count)) and count.max() > 8 * few
    if seldom and not width > 1.3 and not _outweighed(case, at, count):
        figure = f"{count.max()} of one, {few} of another"
        yield "labels-unbalanced", where, figure


# 24 The diagnosis · outweighed
def _outweighed(case: _Case, at: np.ndarray, count: np.ndarray) -> bool:
    """Does each kind pull about as hard at an answer 0? Row at is of it."""
    loss, out = case.net._loss_at_end(), case.net.eval().forward(case.x[at])
    with suppress(Exception):  # a loss may refuse such an answer
        loss.forward(np.zeros_like(out), case.y[at])
        pull = count * _size(loss.backward().reshape(len(at), -1), axis=1)
        return len(at) > 1 and bool(pull.max() <= 8 * pull.min())
    return False


# 24 The diagnosis · batch-width
def _batch_width(case: _Case) -> tuple[float, float]:
    """How widely y spreads in a step's own batches, and how much they hold."""
    (_, every, _), *seen = filter(None, _overheard(case, 3 * _is_alone(case)))
    parts: dict[int, list] = {}
    for _, y, weights in seen:  # not scaled by the step
        if len(y) < len(every) / 2 and np.isin(y, every).all():
            parts.setdefault(weights, []).extend(y)
    batches = [np.array(ys) for ys in parts.values() if len(ys) > 3]
    wide = [np.sum(y.std(axis=0)) for y in batches] or math.nan
    spread = float(np.median(wide) / np.sum(every.std(axis=0)))
    return spread, sum(map(len, batches)) / len(every)


# 24 The diagnosis · overheard
def _overheard(case: _Case, n: int = 1) -> list[tuple]:
    """x, y, weights (a hash) of each loss in the steps; () for a backward."""
    x, parameters = [case.x], case.net.parameters()
    told = list[tuple]([(case.x.copy(), case.y.copy(), 0)])
    _spy(case.net, "backward", before=lambda: told.append(()))
    _spy(case.net, "forward", after=lambda given, _: x.append(given[0]))
    _spy(case.net.criterion, "forward", after=lambda given, _: told.append(
        (np.array(x[-1]), np.array(given[1]),
         hash(_long(p.data for p in parameters).tobytes()))))
    for _ in range(n if case.step is not None else 0):
        if len(told) <= 2 * n:  # a step may be a whole epoch
            case.step(*_step_arguments(case))
    return told


# 24 The diagnosis · row-signs
def _row_signs(case: _Case) -> _Signs:
    """Does a loss get the y of another x? Or backward follow other rows?"""
    known, *given = ([(a.tobytes(), b.tobytes()) for a, b in zip(*pair[:2])]
                     for pair in _overheard(case, 3))  # [] for a backward
    every, (xs, ys), rows = set(known), map(set, zip(*known)), chain(*given)
    torn = [row not in every for row in rows if row[0] in xs and row[1] in ys]
    if len(torn) > 4 and 2 * len(xs) >= len(known) and np.mean(torn) > 0.2:
        figure = f"{np.mean(torn):.0%} of the rows get the y of another"
        yield "labels-torn", "step", figure
    own = [sum(x in xs for x, _ in rows) for rows in given]
    for at, other in enumerate(given[1:-1], 1):
        if own[at - 1] and own[at] < len(other) / 10 and not given[at + 1]:
            figure = f"{len(other)} rows, {own[at]} of them in x"
            yield "gradient-of-other-data", "step", figure
            return


# 24 The diagnosis · answers
def _targets(case: _Case) -> tuple[np.ndarray, float]:
    """y in columns, labels as zeros and a one; twice its variance."""
    labels, y = _labels(case), case.y.reshape(len(case.y), -1)
    y = y.astype(float) if labels is None else np.eye(max(labels) + 1)[labels]
    return y, 2 * y.var(axis=0).sum()


# 24 The diagnosis · agreement
def _agreement(case: _Case) -> tuple[float, float, float]:
    """How far neighbours agree (0: as any), its error, how near they are."""
    rows = case.rng.permutation(len(case.x))[:600]
    x = np.asarray(case.x[rows], float).reshape(len(rows), -1)
    x = ((x - x.mean(0)) / x.std(0))[:, x.std(0) > 0]
    square = np.sum(x * x, axis=1)
    far = np.maximum(square[:, None] + square - 2 * x @ x.T, 0)
    np.fill_diagonal(far, np.inf)
    near = np.median(far.min(axis=1)) / np.median(far)
    y, spread = _targets(case)
    apart = np.mean(np.sum((y[rows] - y[rows[far.argmin(1)]]) ** 2, axis=1))
    differ = 0.5 if _labels(case) is None else spread / 2  # of any two rows
    error = ((1 - differ) / differ / len(rows)) ** 0.5
    return float(1 - apart / spread), error, float(near**0.5)


# 24 The diagnosis · tilt
def _tilt(case: _Case) -> float:
    """What a plane explains beyond chance, in standard errors."""
    rows = case.rng.permutation(len(case.x))[:2000]
    y, x = _targets(case)[0][rows], case.x[rows].reshape(len(rows), -1)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    beta, _, d, _ = np.linalg.lstsq(x, y, rcond=None)
    share = np.sum((x @ beta) ** 2) / np.sum(y * y)
    return float((share * len(rows) - d) / (2 * d) ** 0.5)


# 24 The diagnosis · shuffled-signs
def _shuffled_signs(case: _Case) -> _Signs:
    """Close rows agree as if drawn at random, and no plane explains more."""
    if case.ids or len(case.x) < 100 or case.y.ndim > 2:
        return
    agree, error, near = _agreement(case)
    if near < 0.6 and abs(agree) < min(3 * error, 0.15) and _tilt(case) < 3:
        figure = f"neighbours agree {max(agree, 0):.0%} more than any two rows"
        yield "labels-shuffled", "x and y", figure


# 24 The diagnosis · answers-of-size
def _around(y: np.ndarray, shape: tuple) -> tuple[Any, Any]:
    """Where answers of this shape should lie, and how widely; labels: 0, 1."""
    axis = 0 if y.shape == shape else None
    if axis is None and y.dtype.kind != "f":
        return 0.0, 1.0
    mean = y.mean(axis=axis)
    wide = np.maximum(y.std(axis=axis), 1e-3 * abs(mean))
    return mean, np.where(wide > 0, wide, wide.max() or 1.0)


# 24 The diagnosis · loss-signs
def _loss_signs(case: _Case) -> _Signs:
    """The loss alone, on outputs drawn at random, about as large as y."""
    loss, y, rng = case.net._loss_at_end(), case.ys, case.rng
    out = case.net.eval().forward(case.xs)
    (mean, wide), mixed = _around(y, out.shape), rng.permutation(len(y))
    z = mean + wide * rng.normal(size=out.shape)
    base, name = loss.forward(z, y), type(loss).__name__

    def same(z: np.ndarray, y: np.ndarray, times: float = 1.0) -> bool:
        return abs(loss.forward(z, y) - times * base) < 1e-8 * abs(base)

    if np.any(y[mixed] != y) and same(z, y[mixed]):
        figure = f"output {out.shape}, target {y.shape}: any order will do"
        yield "loss-broadcast", name, figure
        return
    if same(np.r_[z, z], np.r_[y, y], 2.0):
        yield "loss-summed", name, "twice the examples, twice the loss"
    many, each = out.shape[-1] > 1, rng.normal(size=(*out.shape[:-1], 1))
    logits = many and same(z + wide * each, y)
    if many and not logits and same(z + (z - mean)[:1], y):
        yield "softmax-wrong-axis", name, "a whole column may be raised"
    upside_down = [*_sign_signs(case, loss, out.shape)]
    yield from upside_down or _end_signs(case, out, logits)


# 24 The diagnosis · sign-signs
def _sign_signs(case: _Case, loss: Loss, shape: tuple) -> _Signs:
    """Do right answers cost more than others, and enormous ones little?"""
    y = right = case.ys.astype(float)
    if y.shape != shape:
        if y.min() < 0 or y.max() >= shape[-1] or np.any(y % 1):
            return
        right = np.eye(shape[-1])[y.astype(int)].reshape(shape)
    wrong = np.roll(right, len(y) // 2, axis=0)
    cost, other = (loss.forward(z, case.ys) for z in (right, wrong))
    ends = [loss.forward(a * wrong, case.ys) for a in (1, -600, 600, 1e6)]
    bounded = all(abs(end) < 10 * abs(cost) for end in ends)
    falls = bounded or any(end < -10 * abs(cost) for end in ends)
    if falls and cost > other + 1e-8 * abs(other):
        figure = f"right answers cost {cost:.3g}, those of others {other:.3g}"
        yield "loss-sign", type(loss).__name__, figure


# 24 The diagnosis · layer-range
def _ends(heard: _Heard, rng: np.random.Generator) -> tuple[float, float]:
    """The range of what a layer can answer, whatever its weights."""
    # no limit may come of weights
    z, layer = rng.normal(size=heard.x.shape), _shaken(heard.layer, 1e3, rng)
    if not isinstance(layer, (_BatchNorm, _RowNorm)):
        with suppress(Exception):
            ends = np.array([layer.forward(a * z) for a in (1e6, -1e6, 1.0)])
            ends[abs(ends) > 100] *= math.inf
            if np.isfinite(ends).any():
                return float(ends.min()), float(ends.max())
    return -math.inf, math.inf


# 24 The diagnosis · answer-range
def _range(case: _Case) -> tuple[_Heard, float, float]:
    """The last layer that does not only select, and its range."""
    for heard in reversed(_listen(case)):
        low, high = _ends(heard, case.rng)
        selects = not heard.layer.parameters() and np.isin(heard.y, heard.x)
        if low > -math.inf or high < math.inf or not np.all(selects):
            break
    return heard, low, high


# 24 The diagnosis · harmless
def _is_harmless(case: _Case, last: _Heard) -> bool:
    """Does the loss of usual answers stay as it is without the layer?"""
    z = 2 * case.rng.normal(size=last.x.shape)
    given, without = (_single(case.net, a, case.ys, a)
                      for a in (last.layer.forward(z), z))
    return abs(given - without) < 0.02 * abs(without)


# 24 The diagnosis · one-sum
def _one_sum(p: np.ndarray, axis: int) -> bool:
    share = p.min() >= 0 and p.shape[axis] > 1
    return bool(share and abs(p.sum(axis=axis) - 1).max() < 1e-4)


# 24 The diagnosis · end-signs
def _end_signs(case: _Case, out: np.ndarray, logits: bool) -> _Signs:
    """What the loss expects against what the last layer can give."""
    (last, low, high), ones = _range(case), np.ones_like(out)
    limited, name = low > -math.inf or high < math.inf, last.name
    sure, one = (_single(case.net, out, ones, a) for a in (20.0, 1.0))
    two = not logits and sure < one
    axes, logs = ([axis for axis in range(out.ndim) if _one_sum(p, axis)]
                  for p in (out, np.exp(out)))
    if (wrong := axes or logs) and wrong[-1] < out.ndim - 1:
        yield "softmax-wrong-axis", name, f"shares along axis {wrong[-1]}"
    elif axes and logits:
        yield "softmax-twice", name, "each row of the output sums to 1"
    elif (two or logits) and limited and not _is_harmless(case, last):
        figure = f"answers lie between {low:.3g} and {high:.3g}"
        if two and (low, high) == (0, 1):
            yield "softmax-twice", name, figure
        yield "output-activation", name, figure
    elif case.y.shape[1:] == out.shape[1:]:
        far = 1e3 * ((case.ys > 1) - 1.0 * (case.ys < 0))
        if two and case.net._loss_at_end().forward(far, case.ys) < -100:
            low, high = 0, 1  # no minimum for targets beyond these
        yield from _outside(case.y, name, low, high)


# 24 The diagnosis · outside
def _outside(y: np.ndarray, name: str, low: float, high: float) -> _Signs:
    slack = 1e-3 * np.ptp(y)
    outside = np.mean((y < low - slack) | (y > high + slack))
    if outside > 0.01:
        figure = f"{outside:.0%} of y outside of {low:.3g} … {high:.3g}"
        yield "target-out-of-range", name, figure


# 24 The diagnosis · units
def _units(array: np.ndarray) -> np.ndarray:
    """A weight with one row for each unit: Linear's columns, a kernel's."""
    n = len(array) if array.ndim > 2 else 1
    return array.T if array.ndim == 2 else array.reshape(n, -1)


# 24 The diagnosis · constant-signs
def _constant_signs(case: _Case) -> _Signs:
    """Units that start alike and are pushed alike stay alike."""
    _gradients(case.net, case.xs, case.ys)
    for name, p in case.net.named_parameters():
        if p.data.dtype.kind != "f":
            yield "integer-weights", name, str(p.data.dtype)
            return
        units, push = _units(p.data), _units(p.grad)
        alike = len(units) > 1 and not np.ptp(units, axis=0).any()
        apart = _largest(np.ptp(push, axis=0)) > 1e-9 * _largest(push)
        if alike and (units.any() or not apart):
            yield "start-constant", name, f"{len(units)} units start alike"
            return


# 24 The diagnosis · fresh-gradients
def _gradients(net: Network, x: np.ndarray, y: np.ndarray) -> list:
    net.zero_grad()
    net.loss(x, y)
    with suppress(Exception):  # the check of each layer will tell
        net.backward()
    return [p.grad.copy() for p in net.parameters()]


# 24 The diagnosis · finite-signs
def _finite_signs(case: _Case) -> _Signs:
    """Where the first nan comes from, if x and y have none."""
    heard, gains = _listen(case), _gains(case.net)
    made = [(k, p.data, np.zeros(0)) for k, p in case.net.named_parameters()]
    made += [(h.name, h.y, h.x) for h in heard if h.name not in gains]
    name, loss = type(case.net.criterion).__name__, np.array([case.first])
    made += [(name, loss, h.y) for h in heard[-1:]]
    made += [(h.name, h.dx, h.dy) for h in heard[::-1]]
    for where, result, given in made:
        lost = result.size - np.isfinite(result).sum()
        if lost and np.isfinite(given).all():
            figure = f"{lost} of {result.size} values"
            yield from _or_rate(case, [("not-finite", where, figure)])
            return


# 24 The diagnosis · stuck
def _stuck(heard: list[_Heard]) -> tuple[dict, dict]:
    """Of activations: units that are always 0, answers at an end."""
    dead, flat = dict[str, float](), dict[str, float]()
    for name, layer, _, y, *_ in heard:
        if isinstance(layer, Activation) and y.ndim > 1:
            units = np.moveaxis(y, 1 if y.ndim == 4 else -1, 0)
            fires = np.any(units.reshape(len(units), -1), axis=1)
            low, high = layer.forward(np.array([-1e6, 1e6]))
            edge = 0.02 * (high - low)
            at_end = np.minimum(abs(y - low), abs(y - high)) < edge
            dead[name] = float(1 - np.mean(fires))
            flat[name] = float(np.mean(at_end)) if 0 < edge < 1 else 0.0
    return dead, flat


# 24 The diagnosis · gains
def _gains(net: Network) -> dict[str, float]:
    """Size of weights times sqrt(fan in): He 1.4, PyTorch's default 0.6."""
    return {name: float(_size(w.data)) * _fans(w.data.shape)[0] ** 0.5
            for name, layer in _layers(net)
            if isinstance(w := getattr(layer, "weight", None), Parameter)
            and w.data.ndim > 1 and not isinstance(layer, Embedding)}


# 24 The diagnosis · most
def _most(values: dict[str, float]) -> tuple[str, float]:
    """The place of the largest value, and the value; 0 if there is none."""
    return max(values.items(), key=lambda pair: pair[1], default=("", 0.0))


# 24 The diagnosis · start-signs
def _start_signs(case: _Case) -> _Signs:
    if case.first < 0.5 * case.null or len(case.xs) < 2:
        return
    gains, heard = _gains(case.net), _listen(case)
    dead, flat = map(_most, _stuck(heard[:-1]))
    if len(case.xs) >= 10 and dead[1] >= 0.75:
        name = "dead-from-rate" if _most(gains)[1] > 3 else "dead-from-start"
        found = [(name, dead[0], f"{dead[1]:.0%} of its units always 0")]
    else:
        found = [*_weight_signs(case, _most(gains), flat)]
        found += _depth_signs(case, gains, heard) if flat[1] <= 0.75 else []
        found = found or [*_surprise_signs(case)]
    yield from _or_rate(case, found)


# 24 The diagnosis · or-rate
def _or_rate(case: _Case, found: list[tuple]) -> list[tuple]:
    """What was found; or the rate, if a usual start fails only with it."""
    vectors = (p.data for p in case.net.parameters()[:-1] if p.data.ndim < 2)
    fresh = max(map(_largest, vectors), default=0) <= 1
    dead = [name for name, *_ in found] == ["dead-from-start"]
    if case.optimizer is None or not found or (dead and fresh):
        return found  # (the last bias follows the mean)
    with _as_it_was(case.net, case.optimizer, case.step):
        _start_anew(case)
        end, *slower = (_run(case, by)[1] for by in (1, 1 / 30, 1e-3))
    if end < 0.5 * case.null or not min(slower) < 0.9 * min(1e300, end):
        return found
    name = "dead-from-rate" if "dead" in found[0][0] else "rate-too-large"
    figure = f"{found[0][2]}; from a new start the loss goes to {end:.2g}"
    return [(name, found[0][1], figure)]


# 24 The diagnosis · start-anew
def _start_anew(case: _Case) -> None:
    """Weights of the usual size, biases 0, gains 1, no memory."""
    for name, p in case.net.named_parameters():
        p.data[...] = name.endswith("weight")
        if p.data.ndim > 1:
            xavier_normal_(p, rng=case.rng)
    for array in case.optimizer.state.values():
        array[...] = 0


# 24 The diagnosis · surprise-signs
def _surprise_signs(case: _Case) -> _Signs:
    """Does the first loss of labels exceed that of one answer by far?"""
    if case.first > 4 * case.null and _labels(case) is not None:
        largest = {k: _largest(p.data) for k, p in case.net.named_parameters()}
        figure = f"loss {case.first:.3g}, one answer costs {case.null:.3g}"
        yield "first-loss-too-high", _most(largest)[0], figure


# 24 The diagnosis · weight-signs
def _weight_signs(case: _Case, large: tuple, flat: tuple) -> _Signs:
    (where, gain), (worst, share) = large, flat
    if gain > 3 and (share > 0.5 or case.first > 2 * case.zero):
        size = f"weights {gain:.3g} times as large as usual"
        figure = f"{size}, loss {case.first:.3g}, of answer 0 {case.zero:.3g}"
        yield "start-too-large", where, figure
    if share > 0.75:
        yield "saturated", worst, f"{share:.0%} of its answers at an end"


# 24 The diagnosis · depth-signs
def _depth_signs(case: _Case, gains: dict, heard: list[_Heard]) -> _Signs:
    for h in heard:
        if h.dy.any() and not h.dx.any() and not h.layer.parameters():
            yield "vanishing", h.name, "it lets no gradient through"
        # of a sequence that only tells at its end
        last = h.dx.ndim == h.dy.ndim == 3 and not h.dy[:, :-1].any()
        if last and h.dx[:, :-1].any():  # and that looks back
            ends = _size(h.dx, axis=(0, 2))[[0, -1]]
            yield from _slope_signs(case, (h.name, "step"), ends, 1e-6)
    inner = [h for h in heard if h.name in gains and h.dy.size]
    if len(inner) < 2 or 0 in gains.values():
        return
    ends = first, last = _size(inner[0].dy), _size(inner[-1].dx)
    gain, small = min((gains[h.name], h.name) for h in inner[:-1])
    weak = _across(inner[-1].x) < 1e-3 * _across(inner[0].y)
    faint = gain < 1e-3 and not _learns(case, "start")
    if faint or (gain < 0.2 and (weak or first < 1e-3 * last)):
        yield "start-too-small", small, f"weights {gain:.2g} times the usual"
    else:
        least, place = 1e-3 if weak else 1e-6, (inner[0].name, "layer")
        yield from _slope_signs(case, place, ends, least)


# 24 The diagnosis · learns
def _learns(case: _Case, kind: str) -> bool:
    """Though the gradient fades, do some steps lower the loss?"""
    rule, losses = case.optimizer, []
    n, share = (80, 0.85) if kind == "layer" else (60, 0.45)  # depth is slow
    with _as_it_was(case.net, rule):
        if kind == "step" or not isinstance(rule, SGD):
            lr = 0.01 if kind == "step" else 0.003
            rule = Adam(case.net.parameters(), lr)
        for _ in range(n):
            at = case.rng.permutation(len(case.x))[:32]
            few = case._replace(xs=case.x[at], ys=case.y[at], step=None)
            losses.append(_one_step(few._replace(optimizer=rule)))
    least = share * min(case.null, case.first), 0.45 * case.null
    return bool(np.mean(losses[-5:]) < max(least))


# 24 The diagnosis · slope-signs
def _slope_signs(case: _Case, place: tuple, ends: Any, least: float) -> _Signs:
    (where, kind), (first, last) = place, ends
    figure = f"gradient {first:.1e}, at the last {kind} {last:.1e}"
    much = 100 if case.first > 100 * case.zero else 1e4
    faint, wild = first < least * last, first > much * last
    if wild or ((faint or first > 100 * last) and not _learns(case, kind)):
        yield "vanishing" if faint else "exploding", where, figure


# 24 The diagnosis · affine-signs
def _affine_signs(case: _Case) -> _Signs:
    """Two linear layers in a row, or a function without any bend."""
    net = case.net.eval()
    for p in net.parameters():  # a branch may start at 0, a bias be large
        kept = p.data * (p.data.ndim > 1)
        p.data = kept + 0.3 * case.rng.normal(size=p.data.shape)
    kinds = Linear | Activation
    heard = [h for h in _listen(case) if isinstance(h.layer, kinds)]
    for a, b in pairwise(heard):
        if _at_once(a, b):
            where, figure = f"after {_short(a.layer)}", _short(b.layer)
            yield "activation-missing", where, f"{figure} follows at once"
            return
    yield from () if case.ids else _middle_signs(case, net)


# 24 The diagnosis · at-once
def _at_once(a: _Heard, b: _Heard) -> bool:
    """Does b get just what a gives, and a no gradient but that of b?"""
    homes = {h.name.split()[1].rpartition(".")[0] for h in (a, b)}
    same = np.array_equal(a.y, b.x) and np.array_equal(a.dy, b.dx)
    pair = [h.layer for h in (a, b) if isinstance(h.layer, Linear)]
    in_a_row = len(homes) == 1 and len(pair) == 2 and same
    return bool(in_a_row and a.dy.any() and not _narrow(pair))


# 24 The diagnosis · middle-signs
def _middle_signs(case: _Case, net: Network) -> _Signs:
    """Is f of the middle the middle of f, whatever the weights?"""
    z = case.rng.normal(size=(2, max(9, len(case.xs)), *case.xs.shape[1:]))
    # half around 0, half where x is
    z[:, ::2] = 3 * z[:, ::2] * np.maximum(case.xs.std(0), 1) + case.xs.mean(0)
    a, b, c = map(net.forward, (*z, z.mean(axis=0)))
    flat = _largest(c - (a + b) / 2) < 1e-5 * _largest(a - b)
    weights = [k for k, p in net.named_parameters() if p.data.ndim > 1]
    if flat and len(weights) > 1 and not _narrow(net.modules()):
        figure = f"f((u+v)/2) = (f(u)+f(v))/2 through {len(weights)} layers"
        yield "activation-missing", f"after {weights[0]}", figure
    elif flat and len(weights) == 1:
        yield from _flat_signs(case, weights[0])


# 24 The diagnosis · narrow
def _narrow(layers: Sequence) -> bool:
    """A bottleneck of linear layers means something: few directions."""
    flat = [layer for layer in layers if isinstance(layer, Linear)]
    out = [layer.out_features for layer in flat]
    return len(flat) > 1 and min(out[:-1]) < min(flat[0].in_features, out[-1])


# 24 The diagnosis · flat-signs
def _flat_signs(case: _Case, name: str) -> _Signs:
    """One layer: enough unless neighbours agree on what no plane can say."""
    near = _agreement(case)[0] if len(case.x) > 20 else 1.0
    flat = _explained(case)
    if near > flat + 0.25 and case.first > 0.3 * case.null:
        figure = f"a plane explains {flat:.0%}, neighbours {near:.0%}"
        yield "no-hidden-layer", name, figure


# 24 The diagnosis · explained
def _explained(case: _Case) -> float:
    """How much a plane explains, by least squares or as it is trained."""
    y, spread = _targets(case)
    x = np.column_stack([case.x.reshape(len(y), -1), np.ones(len(y))])
    plane = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    if _labels(case) is None:
        return 1 - float(np.sum((y - plane) ** 2)) * 2 / spread / len(y)
    rule = Adam(case.net.parameters(), lr=0.05)
    for _ in range(200):
        _one_step(case._replace(step=None, optimizer=rule))
    wrong = min(np.mean(a.argmax(axis=-1) != y.argmax(axis=-1))
                for a in (plane, case.net.forward(case.x.copy())))
    return 1 - float(wrong) * 2 / spread


# 24 The diagnosis · slope-along
def _slope(f: Callable, x: np.ndarray, d: Any, h: float) -> float:
    """The slope of f at x in the direction d."""
    return float(f(x + h * d) - f(x - h * d)) / (2 * h)


# 24 The diagnosis · disagrees
def _disagrees(f: Callable, x: Any, gradient: Any, rng: Any) -> bool:
    """Do slopes that agree with each other contradict the gradient?"""
    for d in rng.choice((-1.0, 1.0), size=(3, *x.shape)):
        told, length = float(np.sum(gradient * d)), np.linalg.norm(gradient)
        last = math.nan
        for h in (1e-5, 1e-6, 1e-7, 1e-8):
            slope = _slope(f, x, d, h)
            if abs(slope - told) <= 1e-4 * (length + abs(slope)) + 1e-8:
                break
            if abs(slope - last) <= 1e-3 * abs(slope) + 1e-6:
                return True
            last = slope
    return False


# 24 The diagnosis · pattern
def _pattern(told: Any, at: Any, measured: np.ndarray, n: int) -> str:
    """In which way a gradient is wrong; empty if it is right."""
    found = told.ravel()[at]
    size = 1e-3 * max(_largest(measured), _largest(found), 1e-30)
    factor = found @ measured / max(measured @ measured, 1e-30)
    by_n = min(abs(factor / n - 1), abs(factor * n - 1)) < 0.02

    def off(one: np.ndarray, other: np.ndarray = measured) -> float:
        return _largest(one - other) / size

    scaled = off(found, factor * measured) <= 1
    masked = off(found * (abs(measured) > 1e-6 * size)) <= 1
    patterns = (
        (off(found) <= 1, ""),
        (off(found + 1) <= 1, "gone: the ones that were in grad"),
        (not told.any(), "missing: all zero"),
        (scaled and abs(factor + 1) < 1e-3, "sign: the other way"),
        (scaled and by_n, f"sum against mean: {factor:.3g} times its size"),
        (scaled, f"factor: {factor:.3g} times what it should be"),
        (off(told.T.ravel()[at]) <= 1, "transposed"),
        (len(found) > 1 and not np.ptp(told), "all the same: a wrong axis?"),
        (masked, "missing mask: not zero where nothing can flow"),
        (True, f"off by {float(f'{0.1 * off(found):.2g}'):g}%"))
    return next(text for holds, text in patterns if holds)


# 24 The diagnosis · shaken
def _shaken(layer: Layer, by: float, rng: np.random.Generator) -> Layer:
    """A copy, moved a little: its weights may have run away, or be 0."""
    # the Tensors of its last pass are left out
    left = [t for _, t in layer._contents() if isinstance(t, Tensor)]
    layer = copy.deepcopy(layer, {id(t): () for t in left}).to("float64")
    for p in layer.parameters():
        p.data[...] = np.clip(np.nan_to_num(p.data), -10, 10)
        p.data += by * rng.normal(size=p.data.shape)
        p.requires_grad = True
    return layer


# 24 The diagnosis · trial
def _trial(heard: _Heard, rng: np.random.Generator) -> tuple[Layer, Any]:
    """The layer by itself and a few examples, moved off all that is odd."""
    layer = _shaken(heard.layer, 0.1, rng)
    x = heard.x[: 5 if heard.x[:1].size < 5000 else 2]
    if x.dtype.kind not in "iu":
        x = np.clip(np.nan_to_num(x), -10, 10).astype(float)
        x += 0.3 * max(float(x.std()), 0.1) * rng.normal(size=x.shape)
    return layer, x


# 24 The diagnosis · loss-slope-signs
def _loss_slope_signs(net: Network, x: Any, y: Any, draw: Any) -> _Signs:
    loss, out = net._loss_at_end(), net.forward(x)
    (mean, wide), z = _around(y, out.shape), draw.normal(size=out.shape)
    if np.all((out >= 0) & (out <= 1)):  # may have to stay in between
        mean, wide, z = 0.5, 0.4, draw.uniform(-1, 1, size=out.shape)
    unit = loss.forward(mean + wide * z, y) or 1.0  # may be tiny, or huge
    name, told = type(loss).__name__, wide * loss.backward() / unit
    yield from _one_sign(name, lambda z: loss.forward(mean + wide * z, y)
                         / unit, z, told, len(y), draw)


# 24 The diagnosis · gradient-signs
def _gradient_signs(case: _Case) -> _Signs:
    """Layers to which no gradient comes; each alone; then the loss."""
    net, draw = case.net.train(), case.rng
    _gradients(net, case.xs, case.ys)
    for heard in _listen(case):
        own = [p.grad for p in heard.layer.parameters() if p.requires_grad]
        if own and not heard.dy.size and not any(map(np.any, own)):
            yield "gradient-missing", heard.name, "backward never comes to it"
        with suppress(Exception):  # some work with their own batch only
            found = [*_layer_signs(heard.name, *_trial(heard, draw), draw)]
            other = np.random.default_rng(1)  # x may lie just at a bend
            if found and [*_layer_signs("", *_trial(heard, other), other)]:
                yield from found
    yield from _loss_slope_signs(net, case.xs[:5], case.ys[:5], draw)


# 24 The diagnosis · with-value
def _with(layer: Layer, x: Any, g: Any, name: str, value: Any) -> float:
    """sum(g * output) with x, or the parameter of that name, replaced."""
    layer = copy.deepcopy(layer)
    if name:
        dict(layer.named_parameters())[name].data[...] = value
    return float(np.sum(g * layer.forward(x if name else value)))


# 24 The diagnosis · layer-signs
def _layer_signs(name: str, layer: Layer, x: Any, rng: Any) -> _Signs:
    used = copy.deepcopy(layer)
    for p in used.parameters():
        p.grad[...] = 1  # as if another part of the batch had been here
    g = rng.normal(size=used.forward(x).shape)
    try:
        told = {"": used.backward(g)}
    except Exception as error:
        yield "gradient-wrong", name, f"backward fails: {error}"
        return
    was, now = (dict(one.named_parameters()) for one in (layer, used))
    moved = max((_largest(now[k].data - was[k].data) for k in was), default=0)
    if moved:
        yield "weights-changed-in-backward", name, f"by up to {moved:.2g}"
    theirs = {p for m in layer.modules()[1:] for p in m.parameters()}
    own = [k for k, p in was.items() if p not in theirs]
    seen = own if _is_ours(type(layer).backward) else was
    told |= {k: now[k].grad - 1 for k in seen}
    for key, gradient in told.items():
        value, where = was[key].data if key else x, f"{name}, {key or 'input'}"
        f = partial(_with, layer, x, g, key)
        if key in own and _is_idle(f, value, rng):
            wild = partial(_with, _shaken(layer, 10, rng), x, g, key)
            yield _idle_sign(wild, value, rng), where, "any value would do"
        yield from _one_sign(where, f, value, gradient, len(x), rng)


# 24 The diagnosis · idle-sign
def _idle_sign(wild: Callable, value: np.ndarray, rng: Any) -> str:
    """Would any value do, whatever the others are?"""
    lost = _is_idle(wild, value, rng)
    return "parameter-without-effect" if lost else "dead-from-start"


# 24 The diagnosis · is-idle
def _is_idle(f: Callable, value: np.ndarray, rng: Any) -> bool:
    """Does nothing change, however far this is moved?"""
    before, after = f(value), f(value + rng.normal(size=value.shape))
    return bool(value.size and abs(after - before) <= 1e-12 * abs(before))


_OTHER = {"missing": "gradient-missing", "gone": "gradient-overwritten"}


# 24 The diagnosis · one-sign
def _one_sign(where: str, f: Callable, value: Any, gradient: Any, n: int,
              rng: Any) -> _Signs:
    gradient, name = np.asarray(gradient), "gradient-wrong"
    if value.dtype.kind != "f" or not value.size or f(value) != f(value):
        return  # nan, or another number each time
    if gradient.shape != value.shape:
        yield name, where, f"shape {gradient.shape}, not {value.shape}"
    elif _disagrees(f, value, gradient, rng) and len(
            {f(value) for _ in range(40)}) == 1:  # not drawn by chance
        at = rng.permutation(value.size)[:150]
        ones = ((np.arange(value.size) == i).reshape(value.shape) for i in at)
        measured = np.array([_slope(f, value, d, 1e-6) for d in ones])
        if pattern := _pattern(gradient, at, measured, n):
            yield _OTHER.get(pattern.split(":")[0], name), where, pattern


# 24 The diagnosis · one-setting
def _one(setting: Any) -> Any:
    """A setting; where groups differ, the largest."""
    return setting.max() if isinstance(setting, np.ndarray) else setting


# 24 The diagnosis · constant-slope
def _steps(rule: Optimizer, value: float, slope: float, n: int) -> np.ndarray:
    """How far its like, made anew, moves one number; over the rate."""
    kind, p, own = type(rule), Parameter([value]), vars(rule)
    _, *names = inspect.signature(kind).parameters  # parameters come first
    given = {k: _one(own[k]) for k in names if k in own} | {"lr": 1e-3}
    probe: Any = kind([p], **given)
    vars(probe).update({k: own[k] for k in own.keys() - vars(probe).keys()})
    probe.weight_decay *= not slope
    path = [value]
    for _ in range(n):
        p.grad[...] = slope
        probe.step()
        path.append(p.data[0])
    return -np.diff(path) / probe.lr


# 24 The diagnosis · optimizer-signs
def _optimizer_signs(case: _Case) -> _Signs:
    """Slope 0 and weight 1: does it shrink? Slope 1: how long are steps?"""
    optimizer, name = case.optimizer, type(case.optimizer).__name__
    if not isinstance(optimizer, Optimizer):
        return
    pull = _steps(optimizer, 1.0, 0.0, 1)[0]
    if pull < -1e-9:
        yield "decay-sign", name, f"slope 0, weight 1: grows at {-pull:.2g}"
    mu = float(_one(getattr(optimizer, "momentum", None)) or 0.0)
    n = 60 if not 0 < mu < 1 else min(2000, 10 + int(-7 / math.log(mu)))
    steps, steep = (_steps(optimizer, 0.0, s, n) for s in (1.0, 100.0))
    damped = 1 - float(_one(getattr(optimizer, "dampening", None)) or 0.0)
    damped *= (1 - mu**n) or 1.0  # not yet grown to 1/(1-μ)
    usual = np.array([1 - mu, 1 - mu * mu]) / damped  # or Nesterov
    figure = f"first step {steps[0]:.2g} times the rate, last {steps[-1]:.3g}"
    if steps[0] < 0:
        yield "step-uphill", name, figure
    elif np.allclose(steps, steep, rtol=1e-3):  # the slope's size is lost
        adam = {"betas", "m"} & {*vars(optimizer), *optimizer.state}
        if adam and abs(steps - 1).max() > 0.1:
            yield "optimizer-correction", name, f"{figure}, not 1"
    elif mu > 0.01 and min(abs(steps[0] / steps[-1] / usual - 1)) > 0.05:
        yield "optimizer-momentum", name, f"{figure}, with μ = {mu}"


# 24 The diagnosis · one-step
def _one_step(case: _Case) -> float:
    """The user's step, or the usual lines; the loss before it."""
    loss = case.net.loss(case.xs, case.ys)
    if case.step is not None:
        case.step(*_step_arguments(case))
    elif case.optimizer is not None:
        case.optimizer.zero_grad()
        case.net.backward()
        case.optimizer.step()
    return loss


# 24 The diagnosis · step-arguments
def _step_arguments(case: _Case) -> list[Any]:
    """What the step wants: by name, or by how much it takes."""
    every = inspect.signature(case.step).parameters.values()
    usual = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [a.name for a in every if a.kind <= usual and a.default is a.empty]
    x, y, net, rule = case.xs, case.ys, case.net, case.optimizer
    known = {"x": x, "y": y, "batch": (x, y), "net": net, "optimizer": rule}
    if known.keys() >= set(names):
        return [known[name] for name in names]
    few: list[list] = [[(x, y)], [x, y], [net, x, y], [net, rule, x, y]]
    given = few[min(len(names), len(few)) - 1]
    if any(known.get(name, it) is not it for name, it in zip(names, given)):
        ways = "(), (batch), (x, y), (net, x, y), (net, optimizer, x, y)"
        raise TypeError(f"diagnose: step takes {ways}, not {(*names,)}")
    return given


# 24 The diagnosis · is-alone
def _is_alone(case: _Case) -> bool:
    """Does the step draw its own batches?"""
    return case.step is not None and not _step_arguments(case)


# 24 The diagnosis · watch
class _Watch:
    """During one step: what happens to gradients between its calls?"""
    marked: Any = ()  # parameters whose gradients carry a mark
    asleep: Any = ()  # layers in evaluation mode
    clipped, lost = "", False  # when; were gradients cleared unused?
    made = then = weights = np.zeros(0)  # gradients after backward, at a step

    def __init__(self, case: _Case) -> None:
        self.net, self.parameters = case.net, case.net.parameters()
        both = self.wipe, self.note
        hooks = {"zero_grad": (self.clear, self.mark), "step": (self.keep,),
                 "backward": both, "accumulate": both}
        for owner in (case.net, case.net.criterion, case.optimizer):
            for name in (name for name in hooks if hasattr(owner, name)):
                _spy(owner, name, *hooks[name])

    # 24 The diagnosis · watch-marks
    def mark(self, *_: Any) -> None:
        """Just cleared: leave a mark, to see who touches it."""
        cleared = [p for p in self.parameters if not np.any(p.grad)]
        self.marked = [p for p in cleared if p.requires_grad]
        for p in self.marked:
            p.grad[...] = 1e6

    def clear(self) -> None:
        """Has no weight moved since backward, and no optimizer stepped?"""
        now = _long(p.data for p in self.parameters)
        self.lost |= np.array_equal(self.weights, now)
        self.look()

    # 24 The diagnosis · watch-wipe
    def wipe(self) -> None:
        """Backward begins: was the mark shortened? Take it away."""
        if any(np.any(p.grad != 1e6) for p in self.marked):
            self.clipped = "between clearing and backward"
        for p in self.marked:
            p.grad[...] = 0.0
        self.marked, self.weights = (), _long(p.data for p in self.parameters)
        self.asleep = [name for name, layer in _layers(self.net)
                       if isinstance(layer, (Dropout, _BatchNorm))
                       and not layer.training]

    # 24 The diagnosis · watch-looks
    def note(self, *_: Any) -> None:
        self.made = _long(p.grad for p in self.parameters)

    def keep(self) -> None:
        self.wipe()
        self.then = _long(p.grad for p in self.parameters)
        self.weights = np.zeros(0)

    def look(self) -> None:
        """After the step: are the gradients shorter than they were?"""
        now, length = _long(p.grad for p in self.parameters), np.linalg.norm
        if not self.marked and 0 < length(now) < 0.999 * length(self.then):
            self.clipped = "after the optimizer's step"


# 24 The diagnosis · long-vectors
def _long(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(a.ravel() for a in arrays)])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


# 24 The diagnosis · until-moved
def _until_moved(case: _Case) -> list[np.ndarray]:
    """Some steps, as a few may only gather; how far each parameter went."""
    parameters = case.net.parameters()
    before = [p.data.copy() for p in parameters]
    for _ in range(40):
        _one_step(case)
        moves = [p.data - b for p, b in zip(parameters, before)]
        if any(map(np.any, moves)):
            break
    return moves


# 24 The diagnosis · step-signs
def _step_signs(case: _Case) -> _Signs:
    net, given = case.net, case.step is not None
    if not given and case.optimizer is None:
        return
    weights = _long(p.data for p in net.parameters())
    with _as_it_was(net):
        fresh = _gradients(net, *case[1:3] if _is_alone(case) else case[3:5])
    watch, moves = _Watch(case), _until_moved(case)
    watch.look()
    if watch.clipped:
        yield "clipping-misplaced", "step", f"gradients change {watch.clipped}"
    first, left = _long(fresh), _long(p.grad for p in net.parameters())
    then = watch.then if watch.then.size else first if watch.marked else left
    if watch.lost and not _cosine(then, first) > 0.99:
        figure = "zero_grad clears gradients that no step has used"
        yield "gradient-overwritten", "step", figure
    yield from _still_signs(case, fresh, moves, watch)
    weights *= case.first > 0.3 * case.null  # else next to no gradient
    made = watch.made if np.any(watch.made) else first
    yield from _way_signs(_long(moves), made, then, weights)
    _one_step(case)  # does the first leave it in evaluation mode?
    for where in watch.asleep[:given]:
        name = "statistics-frozen" if "Norm" in where else "dropout-off"
        yield name, where, "in evaluation mode during the step"


# 24 The diagnosis · way-signs
def _way_signs(move: Any, fresh: Any, then: Any, weights: Any) -> _Signs:
    """Uphill? And is what was added to the gradient a share of the weights?"""
    extra, ways = then - fresh, ((move, fresh), (move, then), (-then, fresh))
    up = np.fmax.reduce([_cosine(*pair) for pair in ways])
    if up > 0.99 and _cosine(move, fresh) > -0.5:  # less may be noise
        yield "step-uphill", "step", f"cosine of step and gradient {up:.2f}"
    pull = np.linalg.norm(extra) / np.linalg.norm(fresh)
    if pull > 1e-6 and _cosine(extra, weights) < -0.999:
        yield "decay-sign", "step", "the gradient contains minus the weights"
    elif pull > 3 and _cosine(extra, weights) > 0.999:
        yield "decay-too-strong", "step", f"pulls {pull:.2g} times the loss"


# 24 The diagnosis · still-signs
def _still_signs(case: _Case, fresh: list, moves: list, watch: Any) -> _Signs:
    known = set(getattr(case.optimizer, "parameters", ()))
    named = case.net.named_parameters()
    left = case.step is not None and any(np.any(p.grad) for _, p in named)
    used, kind = np.any(watch.then), np.result_type("f2", *fresh)
    least = np.finfo(kind).eps ** 0.5 * _largest(_long(fresh))  # rounding
    idle = not any(map(np.any, moves)) or (watch.then.size and not used)
    slow = idle and used and known.issuperset(p for _, p in named)
    still = {
        name: _largest(g) for (name, p), g, m in zip(named, fresh, moves)
        if _largest(g) > least and (idle or (not np.any(m) and p not in known
        and (watch.marked or not left or np.any(p.grad))))}  # else frozen
    if still and (not slow or case.first > 0.3 * case.null):
        figure = f"gradient up to {max(still.values()):.2g}, step 0"
        name = "rate-too-small" if slow else "parameter-not-moved"
        name = "rate-zero" if slow and not np.any(case.optimizer.lr) else name
        yield name, ", ".join(still), figure


# 24 The diagnosis · hidden-signs
def _hidden_signs(case: _Case) -> _Signs:
    """Is all frozen, or a parameter not known to net.parameters()?"""
    rule, own = case.optimizer, case.net.parameters()
    asleep = not any(p.requires_grad for p in own) and (not own) == (not rule)
    if asleep and _one_step(case) == _one_step(case):  # nothing moves
        yield "parameter-not-moved", "network", "no Parameter wants a gradient"
    for it in _reach(case.net) if rule is not None else ():
        if isinstance(it, Parameter) and it not in {*own, *rule.parameters}:
            figure = f"{it} is not in net.parameters()"
            yield "parameter-not-moved", "not registered", figure


# 24 The diagnosis · zero-signs
def _zero_signs(case: _Case) -> _Signs:
    """Does what the last step left in grad change the next one?"""
    if case.step is None:
        return
    _until_moved(case)
    parameters, ends = case.net.parameters(), []
    left = _largest(_long(p.grad for p in parameters))
    for share in (1.0, 0.0):
        with _as_it_was(case.net, case.optimizer, case.step):
            for p in parameters:
                p.grad *= share
            _until_moved(case)
            ends.append(_long(p.data for p in parameters))
    if _largest(ends[0] - ends[1]) > 1e-9 * _largest(ends[0]):
        yield "gradients-not-zeroed", "step", f"{left:.2g} is left in grad"


# 24 The diagnosis · shared-signs
def _shared_signs(case: _Case) -> _Signs:
    """Two names for the same numbers, where copies were meant."""
    _overheard(case)  # only steps may keep
    yield from _anew_signs(case) if case.step is not None else ()
    named = [(name, p.data) for name, p in case.net.named_parameters()]
    held = [*named, *case.net._contents(), *_of_the_step(case)]
    pairs = ((name, other) for i, (name, data) in enumerate(named)
             for other, it in held[i + 1 :] if "._" not in f".{other}"
             and isinstance(it, np.ndarray) and np.shares_memory(it, data))
    for name, other in [*pairs][:1]:
        yield "weights-shared", other, f"the same memory as {name}"


# 24 The diagnosis · of-the-step
def _of_the_step(case: _Case) -> list[tuple]:
    """What the step's function and those it calls hold, by name."""
    parts = [getattr(c, "cell_contents", c) for c in _parts(case.step)]
    inner = [_parts(f) for f in parts if isinstance(f, FunctionType)]
    parts += [getattr(c, "cell_contents", c) for c in chain(*inner)]
    own = _entries(("step", getattr(part, "__dict__", part)) for part in parts)
    own += [(k, p.data) for k, p in own  # of a copy of the network
            if isinstance(p, Parameter) and p not in case.net.parameters()]
    return own


# 24 The diagnosis · anew-signs
def _anew_signs(case: _Case) -> _Signs:
    """Does each step make another optimizer, of a kind that remembers?"""
    # of those that only the step knows
    name, look, used = "_look", Optimizer._look, list[Any]()
    _spy(Optimizer, name, after=lambda given, _: used.append(given[0]))
    with suppress(Exception):
        _until_moved(case), _until_moved(case)
    setattr(Optimizer, name, look)
    for r in used[:1] if len(used) == len({*used}) > 1 else ():
        shapes = [getattr(a, "shape", 0) for a in (vars(r) | r.state).values()]
        if shapes.count(r._data.shape) > 2:  # data, gradient and more
            yield "optimizer-momentum", "step", "each step makes another one"


# 24 The diagnosis · dropout-signs
def _dropout_signs(case: _Case) -> _Signs:
    modes, ones = (True, True, False, True, True), np.ones((100, 100))
    for name, layer in _layers(case.net):
        if layer.parameters() or len(layer.modules()) > 1:
            continue
        with suppress(Exception):
            a, b, still, c, d = (layer.train(m).forward(ones) for m in modes)
            drops, later = np.any(a != b), np.any(c != d)
            if (drops or getattr(layer, "p", 0) > 0) and not later:
                figure = "after an evaluation" if drops else "in training"
                yield "dropout-off", name, f"nothing is dropped {figure}"
            share = b.mean() / still.mean()
            if drops and abs(share - 1) > max(0.05 * b.std(), 0.02):
                yield "dropout-scale", name, f"{share:.3g} times the mean"


# 24 The diagnosis · statistics-adrift
def _adrift(layer: Any, x: np.ndarray) -> float:
    """How far evaluation is from training, in spreads, 150 passes on."""
    for _ in range(150):
        y = layer.train().forward(x)
    return _size(layer.eval().forward(x) - y) / y.std()


# 24 The diagnosis · statistics-signs
def _statistics_signs(case: _Case) -> _Signs:
    """Do the means settle, and is evaluation then near to training?"""
    case.net.train()
    for name, layer, x, *_ in _listen(case):
        if len(x) < 8 or not (kept := getattr(layer, "buffers", {})):
            continue
        old = {k: a.copy() for k, a in kept.items() if a.dtype.kind == "f"}
        far, end = _adrift(layer, x[:64]), _adrift(layer, x[:64])
        if old and all(np.array_equal(kept[k], old[k]) for k in old):
            yield "statistics-frozen", name, "no training changes them"
        elif end > max(0.2, 0.95 * far):  # and no longer on its way
            figure = f"evaluation is {end:.2g} spreads away from training"
            yield "statistics-differ", name, figure


# 24 The diagnosis · batch-signs
def _batch_signs(case: _Case) -> _Signs:
    """The same twice? Beside itself as in company?"""
    net, x = case.net.eval(), case.xs[:16]
    heard = [*_listen(case), _Heard("network", net, x, net.forward(x))]
    whole, apart = heard[-1].y, _apart(heard[-1])
    if not np.array_equal(whole, net.forward(x), equal_nan=True):
        pairs = ([h.layer.forward(h.x) for _ in range(2)] for h in heard)
        names = (h.name for h, (a, b) in zip(heard, pairs) if np.any(a != b))
        figure = "two evaluations of one input differ"
        yield "dropout-in-evaluation", next(names), figure
    elif apart > 1e-3 * _largest(whole):
        names = (h.name for h in heard if _apart(h) > 1e-3 * _largest(h.y))
        figure = f"with other rows in the batch it differs by {apart:.2g}"
        yield "batch-dependent", next(names), figure


# 24 The diagnosis · mixes-rows
def _apart(heard: _Heard) -> float:
    """How far four rows come out otherwise, each beside itself."""
    f, rows = heard.layer.forward, heard.x[:4]
    alone = [f(np.array([row, row]))[:1] for row in rows]
    return _largest(np.concatenate(alone) - heard.y[:4])


# 24 The diagnosis · future-signs
def _future_signs(case: _Case) -> _Signs:
    """Another future: does the past of the output move?"""
    x, y, net = case.xs, case.ys, case.net.eval()
    if min(x.ndim, y.ndim) < 2 or x.shape[:2] != y.shape[:2]:
        return
    out, half = net.forward(x), x.shape[1] // 2
    if out.ndim == 3 and half and _foretells(x[:, 1:], y[:, :-1], case.ids):
        other = np.concatenate([x[:, :half], np.roll(x[:, half:], 1, 0)], 1)
        moved = _largest(net.forward(other)[:, :half] - out[:, :half])
        if moved > 1e-6 * _largest(out):
            figure = f"another future moves the past by {moved:.2g}"
            yield "sees-the-future", "output", figure


# 24 The diagnosis · foretells
def _foretells(x: np.ndarray, y: np.ndarray, ids: bool) -> bool:
    """Is the target of a step the input of the next one? (< 0: ignored)"""
    if ids or x.ndim != 3:
        return x.shape == y.shape and bool(((x == y) | ids & (y < 0)).all())
    rows, y = _columns(x), y.ravel() if y.ndim == 2 else _columns(y)
    if y.ndim == 1:
        rows, y = rows[y >= 0], np.eye(y.max() + 1)[y[y >= 0]]
    off = rows @ np.linalg.lstsq(rows, y, rcond=None)[0] - y
    return len(rows) > 2 * rows.shape[1] and np.mean(off**2) < 1e-3 * y.var()


# 24 The diagnosis · run
def _run(case: _Case, times: float = 1, n: int = 40) -> tuple:
    """Of some steps, taken back: losses, their end, dead units, the rate."""
    size = sum(p.data.size for p in case.net.parameters()) * case.xs.size
    n = 12 if size > 3e8 else n
    losses, rule = list[float](), case.optimizer
    with _as_it_was(case.net, rule, case.step):
        if times != 1:  # only in the step: a schedule may set lr anew
            _spy(rule, "step", lambda: setattr(rule, "lr", rule.lr * times),
                 lambda *_: setattr(rule, "lr", rule.lr * (1 / times)))
        with suppress(StopIteration):  # no more batches
            while len(losses) < n and np.isfinite(losses).all():
                losses.append(_one_step(case))
        dead, _ = _stuck(_listen(case))
        lr = _one(getattr(rule, "lr", None))
    return losses, float(np.median(losses[-5:])), dead, lr


# 24 The diagnosis · elsewhere
def _elsewhere(case: _Case) -> float:
    """Where 300 steps end from a new start with weights of these sizes."""
    for p in case.net.parameters():
        p.data[...] = _size(p.data) * case.rng.normal(size=p.data.shape)
    return _run(case, n=300)[0][-1]


# 24 The diagnosis · slow-signs
def _slow_signs(case: _Case, start: float, figure: str) -> _Signs:
    """It hardly moves: does it learn at a hundred times the rate, or more?"""
    lr = _one(case.optimizer.lr)
    most = max(13, 1 - int(2 * math.log10(max(lr, 1e-12))))
    for factor in 10 ** (np.arange(4, most) / 2):
        quick = _run(case, factor)[1]
        if quick < 0.9 * start:
            figure += f", at {factor:,.0f} times the rate {quick:.2g}"
            yield "rate-too-small", f"lr {lr}", figure
            return


# 24 The diagnosis · ruined-signs
def _ruined_signs(case: _Case, dead: dict, least: float, told: Any) -> _Signs:
    """Have some steps killed units? The loss rises: is a lower rate better?"""
    where, now = _most(dead)
    was = _stuck(_listen(case))[0].get(where, 1.0)
    far = 0.9 * min(least, case.null)  # it may learn all the same
    if now >= 0.75 > 0.5 >= was and not _run(case, n=200)[1] < far:
        yield "dead-from-rate", where, f"dead {was:.0%}, soon {now:.0%}"
    slower = (_run(case, factor)[1] for factor in (1 / 30, 1e-3, 1e-6))
    if told and (told[0] == "rate unknown" or any(x < least for x in slower)):
        yield "rate-too-large", *told


# 24 The diagnosis · remedies
def _remedies(case: _Case, stuck: bool = True) -> Iterator[tuple]:
    """Its like: x or y standardised; no heavy dropout, softmax, decay."""
    if stuck and not case.ids:
        yield from _standardised(case, "x", case.xs, "input-scale")
    if stuck and _labels(case) is None:
        yield from _standardised(case, "y", case.ys, "target-scale")
    for where, layer, x, y, *_ in _listen(case)[:-1]:
        p = layer.p if isinstance(layer, Dropout) else 0.0
        few, soft = p > 0.8 and (1 - p) * x[0].size < 4, _one_sum(y, -1)
        if few or (stuck and soft and layer in case.net.layers):
            vars(layer).update(forward=np.array, backward=np.array)
            name = "dropout-too-strong" if few else "saturated"
            yield name, where, "without it", case
    if (pull := _decay_pull(case)) > 1:
        where = f"weight_decay {np.max(case.optimizer.weight_decay):g}"
        case.optimizer.weight_decay = 0.0
        figure = f"it pulls {pull:.2g} times as hard as the loss; without it"
        yield "decay-too-strong", where, figure, case


# 24 The diagnosis · decay-pull
def _decay_pull(case: _Case) -> float:
    """How much harder weight decay pulls than the loss."""
    decay = np.max(getattr(case.optimizer, "weight_decay", 0.0))
    weights = _long(p.data for p in case.net.parameters())
    slope = _long(_gradients(case.net, case.xs, case.ys))
    if isinstance(case.optimizer, AdamW):  # which pulls beside such slopes
        slope = slope != 0
    return float(decay * np.linalg.norm(weights) / np.linalg.norm(slope))


# 24 The diagnosis · standardised
def _standardised(case: _Case, of: str, a: Any, name: str) -> Iterator[tuple]:
    mean, spread = a.mean(axis=0), a.std(axis=0).max()
    with suppress(ValueError):  # a loss may refuse such targets
        if spread and (_size(mean) > 2 * spread or not 0.1 < spread < 10):
            pair = {"x": case.xs, "y": case.ys, of: (a - mean) / spread}
            other = _case(case.net, pair["x"], pair["y"], case.rng)
            figure = f"mean {a.mean():.3g}, spread {spread:.3g}; standardised,"
            yield name, f"all of {of}", figure, other


# 24 The diagnosis · remedy-signs
def _remedy_signs(case: _Case, n: int, end: float) -> _Signs:
    """Does a remedy bring the loss below one answer's, or half of its end?"""
    step = None if case.optimizer and _is_alone(case) else case.step
    least, same = end / 2 or 0.8 * case.null, case._replace(step=step)
    if 0 < end < 0.4 * case.null or (  # or larger batches will do
            step is not case.step and _run(same, n=n)[1] < least):
        return
    with _as_it_was(case.net, case.optimizer):
        for name, where, said, other in _remedies(case, stuck=not end):
            other = other._replace(optimizer=case.optimizer, step=step)
            share = _run(other, n=n)[1] / other.null
            if share * case.null < least:
                by = f" the loss falls to {share:.0%} of what one answer gets"
                yield name, where, said + by
                return


# 24 The diagnosis · rest-signs
def _rest_signs(case: _Case, rest: Any, ends: tuple, told: tuple) -> _Signs:
    """Does it rest at one answer, or because its rate has died away?"""
    (last, end), (place, figure) = ends, told
    lr = _one(getattr(case.optimizer, "lr", None))
    if rest and np.ptp(rest) < 2e-3 * case.null and _learns(case, "step"):
        figure += f"; an Adam gets far below {case.null:.4g}"
        pulls = _decay_pull(case) > 1  # as hard as the loss
        yield ("stuck-at-one-answer", "decay-too-strong")[pulls], place, figure
    elif lr and last < 0.02 * lr and end > 0.3 * case.null:
        yield "rate-too-small", place, f"{figure}, the rate now {last:.2g}"


# 24 The diagnosis · heard-signs
def _heard_signs(case: _Case, found: list[tuple]) -> _Signs:
    """With how many passes; nothing of a step that knows the lengths."""
    ends = list[Any]()
    _spy(case.net, "forward", after=lambda given, _: ends.extend(given[1:]))
    n = _overheard(case).count(())
    more = f"; {n} backward passes in one step" if n > 1 else ""
    if all(end is None for end in ends):  # lengths make another loss
        yield from ((name, at, said + more) for name, at, said in found)


# 24 The diagnosis · rate-signs
def _rate_signs(case: _Case) -> _Signs:
    if case.optimizer is None and case.step is None:
        return
    lr = _one(getattr(case.optimizer, "lr", None))
    n = 24 if case.x.ndim > 3 else 40
    losses, end, dead, last = _run(case, n=n)
    start, top = losses[0], max(losses[0], case.null)
    figure = f"loss {start:.4g}, {len(losses) - 1} steps later {end:.4g}"
    told = f"lr {lr}" if lr is not None else "rate unknown"
    jumps = max(losses) > 3 * top and end > 0.8 * case.null
    rises, least = jumps or not end < 1.05 * top, 0.97 * case.null
    later = losses if jumps or end < least else _run(case, n=5 * n)[0]
    rest = later[len(losses) :]  # a large network takes only a few steps
    n, far = 5 * n if jumps or rest else n, float(np.median(later[-5:]))
    found = [*_remedy_signs(case, n, far if not jumps and far < least else 0)]
    if not end < 0.5 * case.null and not found:
        rate = rises and (told, figure)
        found = [*_ruined_signs(case, dead, min(start, end), rate)]
    if lr is not None and not rises and end > 0.995 * start > 0.3 * case.null:
        found = found or [*_slow_signs(case, start, figure)]
    if not found and not rises:
        found = [*_rest_signs(case, rest, (last, end), (told, figure))]
    yield from _heard_signs(case, found)


# 24 The diagnosis · restart-signs
def _restart_signs(case: _Case) -> _Signs:
    """Stuck on a plateau: do other starts of the same size get further?"""
    size = sum(p.data.size for p in case.net.parameters())
    if case.ids or case.x.ndim > 2 or not 0 < size < 2001:
        return
    few = case._replace(xs=case.xs[:100], ys=case.ys[:100], step=None,
                        optimizer=Adam(case.net.parameters(), lr=0.03))
    *_, end = losses = _run(few, n=300)[0]
    if end > max(0.3 * case.null, 0.95 * losses[-100:][0]):
        end = min(end, _run(few, n=1500)[1])  # did it only need patience?
        others = sorted(_elsewhere(few) for _ in range(8))
        if others[end < 0.98 * case.null] < 0.15 * end:
            figure = f"loss {end:.2g}, from other starts {others[0]:.2g}"
            yield "restart-helps", "the start", figure


# 24 The diagnosis · causes-table
def _atlas(text: str) -> dict[str, list[str]]:
    """name · because, and in the next line cure · section"""
    rows = (line.strip().split(" · ") for line in text.strip().splitlines())
    return {name: [why, *rest] for (name, why), rest in zip(rows, rows)}


# 24 The diagnosis · causes-data
_DATA = _atlas("""
    input-not-finite · One nan in x or y makes the loss and gradients nan.
    Drop or fill these values first. · 10, When the loss is nan
    input-changed · A layer or step writes into the rows that it is given.
    Write x = x - 1, not x -= 1. · 23, The same questions in PyTorch
    input-integer-wrapped · An unsigned type has no room for negative numbers.
    Make x floating-point first. · 23, The same questions in PyTorch
    outlier · One row far from all others outweighs them together.
    Look at it, mend or drop it; then ask again. · 6, In between: Huber
    input-scale · Weights are drawn for inputs of about size 1, around 0.
    Subtract the mean, divide by the deviation. · 8, A sum of many terms
    input-columns-differ · A rate that fits one column does not fit another.
    Give each mean 0, deviation 1. Are missing values −999? · 9, Momentum
    input-constant-column · One value says nothing, and acts as a large bias.
    Drop it, and never divide by its spread. · 13, Mean 0, spread 1
    test-data-differ · The test data have another shape, scale or labels.
    Prepare both alike, with the mean of the training data. · 13, In company
    test-rows-in-training · A test on rows it has learnt always goes well.
    Take them out of x. · 12, Learning what is wrong""")


# 24 The diagnosis · causes-labels
_LABELS = _atlas("""
    labels-sorted · Each batch holds one label, and the last bias follows it.
    Shuffle x and y together, or let a loader. · 10, Why batches are allowed
    labels-unbalanced · The most frequent answer is nearly always right.
    Count errors class by class, weigh them. · 6, Where losses come from
    labels-shuffled · Close rows have labels as if drawn at random.
    Was only one of x and y put in order? · 12, Learning what is wrong
    labels-torn · The step gives x the labels of other rows.
    Index x and y with the same rows. · 12, Learning what is wrong
    loss-broadcast · Every output meets every target; best is their mean.
    Compare row by row, in one shape. · 6, How far off: squared or absolute
    loss-summed · The gradient grows with the batch; the rate does not know.
    Take the mean, or a smaller rate. · 10, Why batches are allowed
    loss-sign · The loss is least where the answers are wrong.
    A likelihood needs a minus. · 6, Where losses come from
    softmax-twice · The loss has its own softmax or sigmoid; two set a floor.
    End with the last linear layer. · 6, Which class: cross-entropy
    softmax-wrong-axis · The shares of different examples sum to 1.
    Take the softmax along the last axis. · 5, Softmax mixes
    output-activation · The last layer cannot give all that the loss expects.
    End with the last linear layer. · 6, Which class: cross-entropy
    target-out-of-range · The last layer cannot answer what is asked.
    End with a linear layer, or scale y. · 5, Sigmoid and tanh saturate""")


# 24 The diagnosis · causes-start
_START = _atlas("""
    start-constant · Units that start alike get one gradient and stay alike.
    Draw the weights at random. · 8, A sum of many terms
    start-too-large · Large weights give confident, wrong answers.
    Use kaiming_normal_; after training, lower rates. · 8, A sum of many terms
    start-too-small · Layer by layer, all examples come to look alike.
    Use kaiming_normal_, zero biases, less decay. · 8, A sum of many terms
    first-loss-too-high · The answers are confident and wrong.
    Make the last weights and biases smaller. · 6, Which class: cross-entropy
    integer-weights · Whole numbers cut every small step off.
    Make them floating-point numbers; Parameter does. · 3, Why backwards?
    activation-missing · Linear layers in a row are one linear layer.
    Put an activation between them. · 5, Something that bends: activations
    no-hidden-layer · A flat function cannot follow what neighbours agree on.
    Add a hidden layer with an activation. · 7, Three spirals""")


# 24 The diagnosis · causes-signal
_SIGNAL = _atlas("""
    not-finite · One nan in a weight or a layer makes all that follows nan.
    Look for a log or root at 0, or lower the rate. · 18, Slopes that deceive
    dead-from-start · No example makes these units fire, so none learns.
    Centre x; biases 0, gains 1; draw anew; LeakyReLU. · 5, ReLU has a corner
    dead-from-rate · A step was so long that no example reaches them now.
    Lower the rate and start anew. · 9, Which way, and how far?
    saturated · Where an activation is flat its slope is 0: nothing returns.
    Use xavier_normal_, biases near 0, ReLU. · 5, Sigmoid and tanh saturate
    vanishing · Each layer takes a share of the gradient; the first get none.
    Use kaiming_normal_, Residual, a norm, LSTM. · 8, Fifty layers, four ways
    exploding · Each layer enlarges the gradient; one step throws the first.
    Take smaller weights, or clip_grad_norm_. · 8, Fifty layers, four ways
    restart-helps · Training gets stuck from this start, not from others.
    Try another seed, or more hidden units. · 7, Three spirals""")


# 24 The diagnosis · causes-gradient
_GRADS = _atlas("""
    gradient-wrong · Backward does not give the slope of forward.
    Derive it again and hold it against gradcheck. · 2, The instrument
    gradient-missing · The output depends on it; no gradient arrives.
    Look for .data or a copy on the way. · 15, Numbers that remember
    gradient-overwritten · What another part of a batch has added is lost.
    Use grad += …, and clear once a step. · 23, When gradients should add up
    parameter-without-effect · Whatever its value, the output is the same.
    Look for a name copied and not changed. · 2, Where it is blind
    gradient-of-other-data · Backward follows the last loss, not the batch's.
    Validate after the step. · 23, A validation in between
    weights-changed-in-backward · Earlier layers see weights that moved.
    Let only the optimizer change weights, after backward. · 7, The step
    rate-too-large · Each step jumps over the valley and lands higher.
    Take a tenth; of many backwards, the mean. · 1, What is a slope good for?
    rate-too-small · Each step goes the right way and nearly nowhere.
    Multiply it by 10, or clip less. · 1, What is a slope good for?
    rate-zero · At a rate of 0 nothing moves.
    Is a schedule stuck, or not yet begun? · 10, A rate that changes
    decay-too-strong · The price on weights outweighs the loss; they go to 0.
    Divide weight_decay by 10 until it learns. · 12, A price on weights
    stuck-at-one-answer · These steps learn nothing of x; others would.
    Look at the schedule, the batches, the step. · 23, What the plateau says
    target-scale · The targets are far from what the first answers are.
    Standardise y; undo it in the answers. · 23, Targets in natural units""")


# 24 The diagnosis · causes-step
_STEP = _atlas("""
    optimizer-correction · Averages start at 0: the first steps are off.
    Divide each by 1 - β^t, counting t. · 9, Adam: both, and a correction
    optimizer-momentum · Steps must grow to 1/(1-μ) times the first.
    Keep velocity = μ * velocity + gradient, one for all steps. · 9, Momentum
    decay-sign · Decay makes the weights grow.
    Add λ·w to the gradient; the step subtracts it. · 12, A price on weights
    parameter-not-moved · Its gradient never comes to the optimizer.
    Complete net, then make the optimizer; clear, backward, step. · 7, The step
    step-uphill · The step adds the gradient instead of subtracting it.
    Write data -= lr * grad. · 1, What is a slope good for?
    gradients-not-zeroed · Backward adds to the gradients of all steps before.
    Call zero_grad before every backward. · 7, The step""")


# 24 The diagnosis · causes-modes
_MODES = _atlas("""
    clipping-misplaced · The clipping comes at the wrong moment.
    Clip between backward and the optimizer's step. · 10, One bad batch
    weights-shared · What was kept is no copy: it moves on with the training.
    Keep p.data.copy(); tied layers share a Parameter. · 12, Stopping early
    dropout-in-evaluation · Units are dropped at random: no two answers agree.
    Drop only if self.training, and call net.eval(). · 12, Dropout
    dropout-scale · Training gives the next layer another mean.
    Divide what is kept by 1 - p. · 12, Dropout
    dropout-too-strong · Too few units are left to answer.
    Take 0.5 or less: p is the share dropped, not kept. · 12, Dropout
    dropout-off · Nothing is dropped in training: it learns by heart.
    Call net.train() before each epoch; eval() keeps p. · 12, Dropout
    statistics-frozen · The running mean and variance stay as at the start.
    Train in training mode, with a momentum above 0. · 13, In company
    statistics-differ · Evaluation normalises with other numbers.
    Take momentum 0.1 and larger batches; keep variances. · 13, In company
    batch-dependent · An answer depends on the other rows of the batch.
    Use nothing along axis 0 in evaluation. · 13, In company
    sees-the-future · The target of a step is visible as the next input.
    Set causal=True: -inf before the softmax. · 21, A soft look-up""")


# 24 The diagnosis · causes-all
_CAUSES = _DATA | _LABELS | _START | _SIGNAL | _GRADS | _STEP | _MODES


_NO_SYMPTOMS = {"labels-unbalanced", "labels-shuffled", "test-data-differ",
                "test-rows-in-training", "input-constant-column"}


_FATAL = {"input-changed", "input-not-finite", "outlier", "integer-weights"}


# 24 The diagnosis · probes
_PROBES = [
    *((False, probe) for probe in (
        _written_signs, _input_signs, _wild_signs, _scale_signs, _test_signs,
        _label_signs, _shuffled_signs, _row_signs, _loss_signs,
        _constant_signs, _affine_signs, _gradient_signs, _optimizer_signs,
        _hidden_signs, _zero_signs, _step_signs, _shared_signs,
        _dropout_signs, _statistics_signs, _batch_signs, _future_signs,
        _finite_signs)),
    (True, _start_signs), (True, _rate_signs), (True, _restart_signs),
]


# digest 74466c150b94826750b5ba6ff3db6ed03614ee1b0edf5213d2f45e703d55fc1e
