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
    batch, side = len(work.x), work.x.shape[-1]
    for position, (kind, *sizes) in enumerate(work.layers):
        if kind == "Linear":
            yield from _linear(batch, *sizes, first=position == 0, dtype=work.x.dtype)
        elif kind == "Conv2d":
            inputs, outputs, k, stride, padding = sizes
            side = (side + 2 * padding - k) // stride + 1
            image = list(_convolution(inputs * k * k, outputs, side * side, position == 0, work.x.dtype))
            yield from image * batch
        elif kind == "MaxPool2d":
            side //= sizes[0]


def _linear(batch: int, inputs: int, outputs: int, first: bool, dtype: np.dtype) -> Iterator[Product]:
    x, dx = np.ones((2, batch, inputs), dtype)
    weight, dweight = np.ones((2, inputs, outputs), dtype)
    y, dy = np.ones((2, batch, outputs), dtype)
    yield x, weight, y
    yield x.T, dy, dweight
    if not first:
        yield dy, weight.T, dx


def _convolution(window: int, outputs: int, pixels: int, first: bool, dtype: np.dtype) -> Iterator[Product]:
    columns, dcolumns = np.ones((2, window, pixels), dtype)
    weight, dweight = np.ones((2, outputs, window), dtype)
    y, dy = np.ones((2, outputs, pixels), dtype)
    yield weight, columns, y
    yield dy, columns.T, dweight
    if not first:
        yield weight.T, dy, dcolumns
