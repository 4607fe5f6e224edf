"""The perceptrons on the tape of backprop_core: one function and a loss, no layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import backprop_core as bp
from workloads import Workload


def mlp(x: np.ndarray, *parameters: bp.Tensor) -> bp.Tensor:
    """Linear layers with ReLU between them."""
    y: Any = x @ parameters[0] + parameters[1]
    for weight, bias in zip(parameters[2::2], parameters[3::2], strict=True):
        y = np.maximum(y, 0) @ weight + bias
    return y


def cross_entropy() -> Callable[[bp.Tensor, np.ndarray], bp.Tensor]:
    """The loss of chapter 6, which has a backward already: it is one function on the tape, as in PyTorch."""
    loss = bp.CrossEntropyLoss()

    @bp.primitive(lambda g, y, logits, labels: g * loss.backward())
    def forward(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.asarray(loss.forward(logits, labels), logits.dtype)

    return forward


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    parameters = [bp.Parameter(array) for arrays in work.parameters for array in arrays]
    optimizer = getattr(bp, work.optimizer)(parameters, lr=work.lr)
    criterion = cross_entropy()
    tensors = [bp.Tensor(parameter.data) for parameter in parameters]

    def step() -> list:
        loss = criterion(mlp(work.x, *tensors), work.target)
        for parameter, grad in zip(parameters, bp.gradients(loss, tensors), strict=True):
            parameter.grad[...] = grad
        optimizer.step()
        return [loss.data]

    return step
