"""The workloads in backprop_core."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import backprop_core as bp
from workloads import Workload


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    layers = [getattr(bp, kind)(*sizes) for kind, *sizes in work.layers]
    net = bp.Network(*layers, loss=bp.CrossEntropyLoss())
    net.to(str(work.x.dtype))
    arrays = [array for arrays in work.parameters for array in arrays]
    for parameter, array in zip(net.parameters(), arrays, strict=True):
        parameter.data[...] = array
    return _training(net, work) if work.optimizer else _passes(net, work)


def _training(net: bp.Network, work: Workload) -> Callable[[], list]:
    optimizer = getattr(bp, work.optimizer)(net.parameters(), lr=work.lr)

    def step() -> list:
        loss = net.loss(work.x, work.target)
        optimizer.zero_grad()
        net.accumulate()
        optimizer.step()
        return [loss]

    return step


def _passes(net: bp.Network, work: Workload) -> Callable[[], list]:
    x, grad = _batch_last(work.x), _batch_last(work.target)

    def step() -> list:
        net.zero_grad()
        y = net.forward(x)
        dx = net.backward(grad)
        return [y, dx, *(parameter.grad for parameter in net.parameters())]

    return step


def _batch_last(x: np.ndarray) -> np.ndarray:
    """Pictures in the order of memory in which a convolution hands them on."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0) if x.ndim == 4 else x
