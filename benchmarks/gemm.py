"""The limit: only the matrix products that a step cannot do without.

Shapes and transposes are those of the layers, and all buffers exist beforehand. A convolution is taken one
image at a time, which is the fastest, its windows already laid out as columns. The first layer needs no
gradient of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from workloads import Workload

Product = tuple[np.ndarray, np.ndarray, np.ndarray]


def build(work: Workload) -> Callable[[], list] | None:
    """A function that does the products of one step; None where there are none."""
    found = list(products(work))

    def step() -> list:
        for left, right, out in found:
            np.matmul(left, right, out=out)
        return []

    return step if found else None


def products(work: Workload) -> Iterator[Product]:
    """Left and right factor of each product of a step, and room for the result."""
    (batch, *between), side, dtype = work.x.shape[:-1], work.x.shape[-1], work.x.dtype
    for position, (kind, *sizes) in enumerate(work.layers):
        if kind == "Linear":
            inputs, outputs = sizes
            yield from _product((work.target.size, inputs), (inputs, outputs), dtype, first=position == 0)
        elif kind == "LSTM":
            (steps,), (inputs, hidden) = between, sizes
            yield from _lstm(batch, steps, inputs, hidden, dtype)
        elif kind == "TransformerBlock":
            (steps,), (d, heads) = between, sizes
            yield from _transformer_block(batch, steps, d, heads, dtype)
        elif kind == "Conv2d":
            inputs, outputs, k, stride, padding = sizes
            side = (side + 2 * padding - k) // stride + 1
            image = list(_convolution(inputs * k * k, outputs, side * side, position == 0, dtype))
            yield from image * batch
        elif kind == "MaxPool2d":
            side //= sizes[0]


def _product(left: tuple, right: tuple, dtype: np.dtype, first: bool = False) -> Iterator[Product]:
    """A product of these shapes; then the gradients of its right factor and, unless it is first, its left."""
    x, dx = np.ones((2, *left), dtype)
    weight, dweight = np.ones((2, *right), dtype)
    y, dy = np.ones((2, *left[:-1], right[-1]), dtype)
    yield x, weight, y
    yield x.mT, dy, dweight
    if not first:
        yield dy, weight.mT, dx


def _lstm(batch: int, steps: int, inputs: int, hidden: int, dtype: np.dtype) -> Iterator[Product]:
    """The inputs of all steps at once, but one state after the other; the first is 0."""
    gates, later = 4 * hidden, steps - 1
    yield from _product((steps * batch, inputs), (inputs, gates), dtype, first=True)
    forward, _, backward = _product((batch, hidden), (hidden, gates), dtype)
    yield from [forward] * later + [backward] * later
    _, dweight = _product((later * batch, hidden), (hidden, gates), dtype, first=True)
    yield dweight


def _transformer_block(batch: int, steps: int, d: int, heads: int, dtype: np.dtype) -> Iterator[Product]:
    """Four linear layers, and two products for each head of each example."""
    for inputs, outputs in (d, 3 * d), (d, d), (d, 4 * d), (4 * d, d):
        yield from _product((batch * steps, inputs), (inputs, outputs), dtype)
    many, size = (batch, heads), d // heads
    yield from _product((*many, steps, size), (*many, size, steps), dtype)
    yield from _product((*many, steps, steps), (*many, steps, size), dtype)


def _convolution(window: int, outputs: int, pixels: int, first: bool, dtype: np.dtype) -> Iterator[Product]:
    columns, dcolumns = np.ones((2, window, pixels), dtype)
    weight, dweight = np.ones((2, outputs, window), dtype)
    y, dy = np.ones((2, outputs, pixels), dtype)
    yield weight, columns, y
    yield dy, columns.T, dweight
    if not first:
        yield weight.T, dy, dcolumns
