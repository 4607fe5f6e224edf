"""The workloads in JAX: a whole step is one function, and is compiled as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax, nn
from jax import numpy as jnp

from workloads import Workload

Array = Any


def conv2d(x: Array, parameters: Sequence[Array], *sizes: int) -> Array:
    weight, bias = parameters
    *_, stride, padding = sizes
    borders = [(padding, padding)] * 2
    return lax.conv_general_dilated(x, weight, (stride, stride), borders) + bias[:, None, None]


def max_pool2d(x: Array, _: Sequence[Array], side: int) -> Array:
    window = (1, 1, side, side)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "valid")


def norm(x: Array, parameters: Sequence[Array], axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    weight, bias = (parameter.reshape(shape) for parameter in parameters)
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * weight + bias


def layer_norm(x: Array, parameters: Sequence[Array], *_: int) -> Array:
    return norm(x, parameters, (-1,), (-1,))


def lstm(x: Array, parameters: Sequence[Array], _: int, hidden: int) -> Array:
    weight, recurrent, bias = parameters

    def step(state: tuple[Array, Array], a: Array) -> tuple[tuple[Array, Array], Array]:
        h, c = state
        i, f, g, o = jnp.split(a + h @ recurrent, 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((len(x), hidden), x.dtype)
    _, states = lax.scan(step, (start, start), (x @ weight + bias).swapaxes(0, 1))
    return states.swapaxes(0, 1)


def transformer_block(x: Array, parameters: Sequence[Array], d: int, heads: int) -> Array:
    norm1, qkv, out, norm2, up, down = (parameters[i : i + 2] for i in range(0, 12, 2))
    n, steps, _ = x.shape
    parts = linear(layer_norm(x, norm1), qkv).reshape(n, steps, 3, heads, d // heads)
    q, k, v = parts.transpose(2, 0, 3, 1, 4)
    scores = q @ k.mT / (d // heads) ** 0.5
    seen = nn.softmax(jnp.where(jnp.tri(steps, dtype=bool), scores, -jnp.inf)) @ v
    x = x + linear(seen.swapaxes(1, 2).reshape(n, steps, d), out)
    return x + linear(nn.gelu(linear(layer_norm(x, norm2), up)), down)


def linear(x: Array, parameters: Sequence[Array], *_: int) -> Array:
    weight, bias = parameters
    return x @ weight + bias


LAYERS: dict[str, Callable[..., Array]] = {
    "Linear": linear,
    "ReLU": lambda x, _: nn.relu(x),
    "Conv2d": conv2d,
    "MaxPool2d": max_pool2d,
    "Flatten": lambda x, _: x.reshape(len(x), -1),
    "BatchNorm1d": lambda x, parameters, _: norm(x, parameters, (0,), (-1,)),
    "BatchNorm2d": lambda x, parameters, _: norm(x, parameters, (0, 2, 3), (-1, 1, 1)),
    "LayerNorm": layer_norm,
    "LSTM": lstm,
    "TransformerBlock": transformer_block,
}


def network(work: Workload) -> Callable[[Any, Array], Array]:
    def forward(parameters: Any, x: Array) -> Array:
        for (kind, *sizes), own in zip(work.layers, parameters, strict=True):
            x = LAYERS[kind](x, own, *sizes)
        return x

    return forward


def sgd(work: Workload, p: Array, grad: Array, state: tuple, _: Array) -> tuple[Array, tuple]:
    return p - work.lr * grad, state


def adam(work: Workload, p: Array, grad: Array, state: tuple, t: Array) -> tuple[Array, tuple]:
    mean, square = 0.9 * state[0] + 0.1 * grad, 0.999 * state[1] + 0.001 * grad**2
    root = jnp.sqrt(square / (1 - 0.999**t)) + 1e-8
    return p - work.lr / (1 - 0.9**t) * mean / root, (mean, square)


RULES = {"SGD": sgd, "Adam": adam}


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    jax.config.update("jax_enable_x64", True)  # float32 stays float32
    forward, parameters = network(work), jax.tree.map(jnp.array, work.parameters)
    if work.optimizer:
        return _training(work, forward, parameters)

    @jax.jit
    def passes(parameters: Any, x: Array, grad_output: Array) -> list:
        y, back = jax.vjp(forward, parameters, x)
        grads, dx = back(grad_output)
        return [y, dx, *jax.tree.leaves(grads)]

    x, target = jnp.array(work.x), jnp.array(work.target)
    return lambda: [np.asarray(one) for one in passes(parameters, x, target)]


def _training(work: Workload, forward: Callable[[Any, Array], Array], parameters: Any) -> Callable[[], list]:
    x, labels = jnp.array(work.x), jnp.array(work.target)
    rule = RULES[work.optimizer]

    def loss(parameters: Any, x: Array, labels: Array) -> Array:
        logs = nn.log_softmax(forward(parameters, x))
        return -jnp.take_along_axis(logs, labels[..., None], axis=-1).mean()

    @jax.jit
    def update(arrays: list, states: list, t: Array, x: Array, labels: Array) -> tuple[Array, list, list]:
        given = jax.tree.unflatten(form, arrays)
        value, grads = jax.value_and_grad(loss)(given, x, labels)
        new = [rule(work, *one, t) for one in zip(arrays, jax.tree.leaves(grads), states, strict=True)]
        return value, [p for p, _ in new], [state for _, state in new]

    arrays, form = jax.tree.flatten(parameters)
    states = [(jnp.zeros_like(p), jnp.zeros_like(p)) for p in arrays]
    kept = [arrays, states, jnp.asarray(1, x.dtype)]

    def step() -> list:
        value, kept[0], kept[1] = update(*kept, x, labels)
        kept[2] = kept[2] + 1
        return [float(value)]

    return step
