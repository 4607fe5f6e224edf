"""The perceptrons on the tape of backprop_core: one function, the loss written out, no layers."""

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


def cross_entropy(logits: bp.Tensor, labels: np.ndarray) -> bp.Tensor:
    shifted = logits - logits.data.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    parameters = [bp.Parameter(array) for arrays in work.parameters for array in arrays]
    optimizer = getattr(bp, work.optimizer)(parameters, lr=work.lr)

    def step() -> list:
        tensors = [bp.Tensor(parameter.data) for parameter in parameters]
        loss = cross_entropy(mlp(work.x, *tensors), work.target)
        for parameter, grad in zip(parameters, bp.gradients(loss, tensors), strict=True):
            parameter.grad[...] = grad
        optimizer.step()
        return [loss.data]

    return step
