"""The workloads as NumPy code is often written: correct and short, with no thought for speed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from workloads import Workload


class Layer:
    """A layer; its parameters are set by ``build``."""

    parameters: list[np.ndarray]
    gradients: list[np.ndarray]

    def __init__(self, *sizes: int) -> None:
        self.parameters, self.gradients = [], []


class Linear(Layer):
    def forward(self, x: np.ndarray) -> np.ndarray:
        weight, bias = self.parameters
        self.shape, self.x = x.shape, x.reshape(-1, len(weight))
        return (self.x @ weight + bias).reshape(*x.shape[:-1], -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        weight, bias = self.parameters
        dy = dy.reshape(-1, len(bias))
        self.gradients = [self.x.T @ dy, dy.sum(axis=0)]
        return (dy @ weight.T).reshape(self.shape)


class ReLU(Layer):
    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dx = dy.copy()
        dx[self.x <= 0] = 0
        return dx


class Flatten(Layer):
    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy.reshape(self.shape)


class Conv2d(Layer):
    """Every window of the whole batch becomes one row of a large matrix."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.side, self.stride, self.padding = side, stride, padding

    def forward(self, x: np.ndarray) -> np.ndarray:
        weight, bias = self.parameters
        p, k, s = self.padding, self.side, self.stride
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        windows = sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        windows = windows.transpose(0, 2, 3, 1, 4, 5)  # N, rows, columns, C, k, k
        self.padded_shape, self.windows_shape = padded.shape, windows.shape
        self.rows = windows.reshape(-1, weight[0].size)
        y = self.rows @ weight.reshape(len(weight), -1).T + bias
        return y.reshape(*windows.shape[:3], -1).transpose(0, 3, 1, 2)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        weight, _ = self.parameters
        dy = dy.transpose(0, 2, 3, 1).reshape(-1, len(weight))
        self.gradients = [(dy.T @ self.rows).reshape(weight.shape), dy.sum(axis=0)]
        dwindows = (dy @ weight.reshape(len(weight), -1)).reshape(self.windows_shape)
        return self._add_windows(dwindows.transpose(0, 3, 1, 2, 4, 5))

    def _add_windows(self, dwindows: np.ndarray) -> np.ndarray:
        """Add up, for each pixel, what the windows that contain it say."""
        dx = np.zeros(self.padded_shape, dwindows.dtype)
        height, width, k, _ = dwindows.shape[2:]
        i = np.arange(height)[:, None] * self.stride + np.arange(k)
        j = np.arange(width)[:, None] * self.stride + np.arange(k)
        place: Any = np.s_[:, :, i[:, None, :, None], j[None, :, None, :]]
        np.add.at(dx, place, dwindows)
        p, (rows, columns) = self.padding, dx.shape[2:]
        return dx[:, :, p : rows - p, p : columns - p]


class MaxPool2d(Layer):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: np.ndarray) -> np.ndarray:
        k, (n, channels, height, width) = self.side, x.shape
        windows = x.reshape(n, channels, height // k, k, width // k, k).transpose(0, 1, 2, 4, 3, 5)
        windows = windows.reshape(*windows.shape[:4], k * k)
        self.shape, self.place = x.shape, windows.argmax(axis=-1)[..., None]
        return windows.max(axis=-1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        k = self.side
        windows = np.zeros((*dy.shape, k * k), dy.dtype)
        np.put_along_axis(windows, self.place, dy[..., None], axis=-1)
        return windows.reshape(*dy.shape, k, k).transpose(0, 1, 2, 4, 3, 5).reshape(self.shape)


class LayerNorm(Layer):
    """Mean 0 and variance 1 over ``axes``, then a factor and a shift that belong to the other axes."""

    axes: tuple[int, ...] = (-1,)
    trailing = 0  # how many axes follow that of the factors

    def _spread(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, *[1] * self.trailing)

    def forward(self, x: np.ndarray) -> np.ndarray:
        weight, bias = map(self._spread, self.parameters)
        self.mean = x.mean(axis=self.axes, keepdims=True)
        self.variance = x.var(axis=self.axes, keepdims=True)
        self.std = np.sqrt(self.variance + 1e-5)
        self.normal = (x - self.mean) / self.std
        return weight * self.normal + bias

    def backward(self, dy: np.ndarray) -> np.ndarray:
        shared = tuple(i for i in range(dy.ndim) if i != dy.ndim - 1 - self.trailing)
        self.gradients = [(dy * self.normal).sum(axis=shared), dy.sum(axis=shared)]
        d = dy * self._spread(self.parameters[0])
        mean = d.mean(axis=self.axes, keepdims=True)
        slope = (d * self.normal).mean(axis=self.axes, keepdims=True)
        return (d - mean - self.normal * slope) / self.std


class BatchNorm1d(LayerNorm):
    axes: tuple[int, ...] = (0,)

    def __init__(self, features: int) -> None:
        super().__init__()
        self.running_mean, self.running_variance = np.zeros(features), np.ones(features)

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = super().forward(x)
        n = x.size // len(self.running_mean)
        self.running_mean = 0.9 * self.running_mean + 0.1 * self.mean.ravel()
        self.running_variance = 0.9 * self.running_variance + 0.1 * n / (n - 1) * self.variance.ravel()
        return y


class BatchNorm2d(BatchNorm1d):
    axes = (0, 2, 3)
    trailing = 2


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class LSTM(Layer):
    """One step after the other, and in it one gate after the other."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        blocks = self._blocks(self.parameters)
        h = c = np.zeros((len(x), len(self.parameters[1])), x.dtype)
        self.x, self.kept, states = x, [], []
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ weight + h @ recurrent + bias for weight, recurrent, bias in blocks)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            before = h, c
            c = f * c + i * g
            h = o * np.tanh(c)
            self.kept.append((*before, i, f, g, o, c))
            states.append(h)
        return np.stack(states, axis=1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.gradients = [np.zeros_like(parameter) for parameter in self.parameters]
        blocks, into = self._blocks(self.parameters), self._blocks(self.gradients)
        dx = np.zeros_like(self.x)
        dh: Any = 0
        dc: Any = 0
        for t in reversed(range(dy.shape[1])):
            h, c_before, i, f, g, o, c = self.kept[t]
            dh, m = dh + dy[:, t], np.tanh(c)
            dc = dc + dh * o * (1 - m**2)
            di, df = dc * g * i * (1 - i), dc * c_before * f * (1 - f)
            dg, do = dc * i * (1 - g**2), dh * m * o * (1 - o)
            dh, dc = 0, dc * f
            for da, block, grads in zip((di, df, dg, do), blocks, into, strict=True):
                grads[0][...] += self.x[:, t].T @ da
                grads[1][...] += h.T @ da
                grads[2][...] += da.sum(axis=0)
                dx[:, t] += da @ block[0].T
                dh = dh + da @ block[1].T
        return dx

    @staticmethod
    def _blocks(arrays: list[np.ndarray]) -> list[tuple[np.ndarray, ...]]:
        """Weight, recurrent weight and bias of each gate, as views."""
        return list(zip(*(np.split(array, 4, axis=-1) for array in arrays), strict=True))


class Attention(Layer):
    """One head after the other, from queries, keys and values side by side; nobody sees what comes later."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: np.ndarray) -> np.ndarray:
        parts, visible = np.split(x, 3 * self.heads, axis=-1), np.tri(x.shape[1], dtype=bool)
        self.kept, found = [], []
        for head in range(self.heads):
            q, k, v = parts[head :: self.heads]
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
            p = softmax(np.where(visible, scores, -np.inf))
            self.kept.append((q, k, v, p))
            found.append(p @ v)
        return np.concatenate(found, axis=-1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        gradients = []
        for dfound, (q, k, v, p) in zip(np.split(dy, self.heads, axis=-1), self.kept, strict=True):
            dv = p.transpose(0, 2, 1) @ dfound
            ds = softmax_backward(p, dfound @ v.transpose(0, 2, 1)) / math.sqrt(q.shape[-1])
            gradients.append((ds @ k, ds.transpose(0, 2, 1) @ q, dv))
        return np.concatenate([part for parts in zip(*gradients, strict=True) for part in parts], axis=-1)


class GELU(Layer):
    """By the formula with tanh."""

    factor = math.sqrt(2 / math.pi)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x, self.t = x, np.tanh(self.factor * (x + 0.044715 * x**3))
        return 0.5 * x * (1 + self.t)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        inner = self.factor * (1 + 3 * 0.044715 * self.x**2)
        return dy * (0.5 * (1 + self.t) + 0.5 * self.x * (1 - self.t**2) * inner)


class TransformerBlock(Layer):
    """Two rows of layers, each with a road past it."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        attention = [LayerNorm(), Linear(), Attention(heads), Linear()]
        self.rows: tuple[list[Any], ...] = attention, [LayerNorm(), Linear(), GELU(), Linear()]
        layers = [layer for row in self.rows for layer in row]
        self.learning = [layer for layer in layers if isinstance(layer, LayerNorm | Linear)]

    def forward(self, x: np.ndarray) -> np.ndarray:
        for i, learning in enumerate(self.learning):
            learning.parameters = self.parameters[2 * i : 2 * i + 2]
        for row in self.rows:
            change = x
            for layer in row:
                change = layer.forward(change)
            x = x + change
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        for row in reversed(self.rows):
            change = dy
            for layer in reversed(row):
                change = layer.backward(change)
            dy = dy + change
        self.gradients = [grad for layer in self.learning for grad in layer.gradients]
        return dy


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(p: np.ndarray, dp: np.ndarray) -> np.ndarray:
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def cross_entropy(p: np.ndarray, labels: np.ndarray) -> float:
    return -np.log(p[np.arange(len(p)), labels]).mean()


def cross_entropy_backward(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    dp = np.zeros_like(p)
    chosen = np.arange(len(p)), labels
    dp[chosen] = -1 / p[chosen] / len(p)
    return dp


class SGD:
    def __init__(self, layers: list[Layer], lr: float) -> None:
        self.layers, self.lr = layers, lr

    def step(self) -> None:
        for layer in self.layers:
            for parameter, grad in zip(layer.parameters, layer.gradients, strict=True):
                parameter -= self.lr * grad


class Adam:
    def __init__(self, layers: list[Layer], lr: float) -> None:
        self.layers, self.lr, self.t = layers, lr, 0
        self.m = [[np.zeros_like(p) for p in layer.parameters] for layer in layers]
        self.v = [[np.zeros_like(p) for p in layer.parameters] for layer in layers]

    def step(self) -> None:
        self.t += 1
        for layer, m, v in zip(self.layers, self.m, self.v, strict=True):
            for i, grad in enumerate(layer.gradients):
                m[i] = 0.9 * m[i] + (1 - 0.9) * grad
                v[i] = 0.999 * v[i] + (1 - 0.999) * grad**2
                m_hat = m[i] / (1 - 0.9**self.t)
                v_hat = v[i] / (1 - 0.999**self.t)
                layer.parameters[i] -= self.lr * m_hat / (np.sqrt(v_hat) + 1e-8)


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    layers = [globals()[kind](*sizes) for kind, *sizes in work.layers]
    for layer, arrays in zip(layers, work.parameters, strict=True):
        layer.parameters = [array.copy() for array in arrays]
    return _training(layers, work) if work.optimizer else _passes(layers, work)


def _training(layers: list, work: Workload) -> Callable[[], list]:
    optimizer, labels = globals()[work.optimizer](layers, work.lr), work.target.ravel()

    def step() -> list:
        y = work.x
        for layer in layers:
            y = layer.forward(y)
        p = softmax(y.reshape(labels.size, -1))
        grad = softmax_backward(p, cross_entropy_backward(p, labels)).reshape(y.shape)
        for layer in reversed(layers):
            grad = layer.backward(grad)
        optimizer.step()
        return [cross_entropy(p, labels)]

    return step


def _passes(layers: list, work: Workload) -> Callable[[], list]:
    (layer,) = layers

    def step() -> list:
        return [layer.forward(work.x), layer.backward(work.target), *layer.gradients]

    return step
