"""Layers and losses with inputs for them, and ways to spoil a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import backprop_core as bp

rng = np.random.default_rng(7)
X = rng.normal(size=(5, 4))
SEQUENCES = rng.normal(size=(2, 5, 4))
IMAGES = rng.normal(size=(2, 2, 3, 4))
SHARES = bp.Softmax()(rng.normal(size=(5, 4)))


def network() -> bp.Network:
    inner = bp.Network(bp.Linear(3, 4, rng=2), bp.SiLU())
    return bp.Network(bp.Linear(4, 3, rng=1), bp.Tanh(), inner, bp.Softmax())


class Memory(bp.MultiHeadAttention):
    """Cross-attention as a function of what is looked at."""

    def __init__(self) -> None:
        super().__init__(4, 2, rng=0)

    def forward(self, memory: Any) -> np.ndarray:  # type: ignore[override]
        return super().forward(SEQUENCES[: len(memory)].astype(memory.dtype), memory=memory)

    def backward(self, grad_output: Any) -> Any:
        super().backward(grad_output)
        return self.memory_grad


# What is checked, on which input, with which further arguments of forward; can it take complex numbers?
CASES: dict[str, tuple[Callable[[], Any], tuple, bool]] = {
    "Linear": (lambda: bp.Linear(4, 3, rng=0), (X,), True),
    "Flatten": (bp.Flatten, (rng.normal(size=(3, 2, 2)),), True),
    "Sigmoid": (bp.Sigmoid, (X,), True),
    "Tanh": (bp.Tanh, (X,), True),
    "ReLU": (bp.ReLU, (X,), True),
    "LeakyReLU": (lambda: bp.LeakyReLU(0.2), (X,), True),
    "ELU": (lambda: bp.ELU(0.7), (X,), False),
    "Softplus": (bp.Softplus, (X,), False),
    "SiLU": (bp.SiLU, (X,), True),
    "GELU": (bp.GELU, (X,), False),
    "GELU tanh": (lambda: bp.GELU("tanh"), (X,), True),
    "Softmax": (bp.Softmax, (X,), True),
    "Softmax axis 0": (lambda: bp.Softmax(axis=0), (X,), True),
    "MSELoss": (bp.MSELoss, (X, X[::-1] + 0.3), True),
    "MSELoss sum": (lambda: bp.MSELoss("sum"), (X, X[::-1] + 0.3), True),
    "L1Loss": (bp.L1Loss, (X, X[::-1] + 0.3), False),
    "HuberLoss": (lambda: bp.HuberLoss(delta=0.6), (X, X[::-1] + 0.3), False),
    "BCEWithLogitsLoss": (bp.BCEWithLogitsLoss, (X, SHARES), False),
    "CrossEntropyLoss labels": (bp.CrossEntropyLoss, (X, np.array([0, 3, 1, 1, 2])), True),
    "CrossEntropyLoss shares": (lambda: bp.CrossEntropyLoss("sum"), (X, SHARES), True),
    "Network": (network, (X,), True),
    "BatchNorm1d": (lambda: bp.BatchNorm1d(4), (X,), True),
    "BatchNorm1d eval": (lambda: bp.BatchNorm1d(4).eval(), (X,), True),
    "BatchNorm2d": (lambda: bp.BatchNorm2d(2), (IMAGES,), True),
    "BatchNorm1d of sequences": (lambda: bp.BatchNorm1d(5), (SEQUENCES,), True),
    "BatchNorm1d, no affine": (lambda: bp.BatchNorm1d(4, affine=False), (X,), True),
    "BatchNorm1d, no bias": (lambda: bp.BatchNorm1d(4, bias=False), (X,), True),
    "BatchNorm2d, nothing tracked": (
        lambda: bp.BatchNorm2d(2, track_running_stats=False).eval(),
        (IMAGES,),
        True,
    ),
    "LayerNorm": (lambda: bp.LayerNorm(4), (X,), True),
    "LayerNorm, no affine": (lambda: bp.LayerNorm(4, elementwise_affine=False), (X,), True),
    "LayerNorm, no bias": (lambda: bp.LayerNorm((3, 4), bias=False), (IMAGES,), True),
    "RMSNorm, no affine": (lambda: bp.RMSNorm(4, elementwise_affine=False), (X,), True),
    "LayerNorm of two axes": (lambda: bp.LayerNorm((3, 4)), (IMAGES,), True),
    "RMSNorm": (lambda: bp.RMSNorm(4), (X,), True),
    "Conv2d": (lambda: bp.Conv2d(2, 3, 3, padding=1, rng=0), (IMAGES,), True),
    "Conv2d with strides": (lambda: bp.Conv2d(2, 3, (2, 3), (1, 2), (1, 0), rng=0), (IMAGES,), True),
    "ConvTranspose2d": (lambda: bp.ConvTranspose2d(2, 3, (3, 2), 2, 1, rng=0), (IMAGES,), True),
    "Conv2d with holes": (lambda: bp.Conv2d(2, 3, 2, 1, 1, dilation=(2, 3), rng=0), (IMAGES,), True),
    "Conv2d in groups": (lambda: bp.Conv2d(2, 4, 2, groups=2, bias=False, rng=0), (IMAGES,), True),
    "Conv2d, same size": (
        lambda: bp.Conv2d(2, 3, (2, 3), padding="same", dilation=2, rng=0),
        (IMAGES,),
        True,
    ),
    "ConvTranspose2d with holes, in groups": (
        lambda: bp.ConvTranspose2d(2, 4, (2, 3), (2, 1), 1, dilation=(3, 2), groups=2, bias=False, rng=0),
        (IMAGES,),
        True,
    ),
    "MaxPool2d with a border": (lambda: bp.MaxPool2d(3, 2, (1, 0)), (IMAGES,), False),
    "AvgPool2d with a border": (lambda: bp.AvgPool2d((3, 2), 1, 1), (IMAGES,), True),
    "MaxPool2d": (lambda: bp.MaxPool2d(2), (IMAGES,), False),
    "MaxPool2d of windows that overlap": (lambda: bp.MaxPool2d((2, 3), 1), (IMAGES,), False),
    "AvgPool2d of windows that overlap across": (lambda: bp.AvgPool2d(2, (2, 1)), (IMAGES,), True),
    "AvgPool2d": (lambda: bp.AvgPool2d(2), (IMAGES,), True),
    "AvgPool2d of windows that overlap": (lambda: bp.AvgPool2d((3, 2), 1), (IMAGES,), True),
    "TapeLayer": (lambda: bp.TapeLayer(lambda x, w: w * np.tanh(x), bp.Parameter(X[0])), (X,), False),
    "Residual": (lambda: bp.Residual(bp.Linear(4, 3, rng=0), bp.Tanh(), bp.Linear(3, 4, rng=1)), (X,), True),
    "Last": (bp.Last, (SEQUENCES,), True),
    "RNN": (lambda: bp.RNN(4, 3, rng=0), (SEQUENCES,), True),
    "LSTM": (lambda: bp.LSTM(4, 3, rng=0), (SEQUENCES,), True),
    "GRU": (lambda: bp.GRU(4, 3, rng=0), (SEQUENCES,), True),
    "RNN relu": (lambda: bp.RNN(4, 3, nonlinearity="relu", rng=2), (SEQUENCES,), True),
    "RNN, no bias": (lambda: bp.RNN(4, 3, bias=False, rng=0), (SEQUENCES,), True),
    "LSTM, no bias": (lambda: bp.LSTM(4, 3, bias=False, rng=0), (SEQUENCES,), True),
    "GRU, no bias": (lambda: bp.GRU(4, 3, bias=False, rng=0), (SEQUENCES,), True),
    "attention with a mask": (
        lambda: bp.MultiHeadAttention(4, 2, rng=0),
        (SEQUENCES, None, rng.random((2, 1, 5, 5)) < 0.4),
        True,
    ),
    "attention with numbers as mask": (
        lambda: bp.MultiHeadAttention(4, 2, causal=True, rng=0),
        (SEQUENCES, [5, 3], rng.normal(size=(5, 5))),
        True,
    ),
    "attention elsewhere": (
        lambda: bp.MultiHeadAttention(4, 2, rng=0),
        (SEQUENCES, [5, 3], None, rng.normal(size=(2, 3, 4))),
        True,
    ),
    "memory of attention": (Memory, (rng.normal(size=(2, 3, 4)),), True),
    "MultiHeadAttention": (lambda: bp.MultiHeadAttention(4, 2, rng=0), (SEQUENCES,), True),
    "one causal head": (lambda: bp.MultiHeadAttention(4, 1, causal=True, rng=0), (SEQUENCES,), True),
    "PositionEmbedding": (lambda: bp.PositionEmbedding(6, 4, rng=0), (SEQUENCES,), True),
    "TransformerBlock": (lambda: bp.TransformerBlock(4, 2, hidden=5, rng=0), (SEQUENCES,), True),
    "Dropout": (lambda: bp.Dropout(0.4, rng=1), (X,), True),
    "CrossEntropyLoss smoothed": (lambda: bp.CrossEntropyLoss(label_smoothing=0.3), (X, SHARES), True),
}

LAYERS = [name for name, (make, _, _) in CASES.items() if isinstance(make(), bp.Layer)]

MUTATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zero": lambda g: 0 * g,
    "minus": lambda g: -g,
    "twice": lambda g: 2 * g,
    "slightly too large": lambda g: g * (1 + 1e-5),
    "one element lost": lambda g: np.where(np.abs(g) == np.abs(g).max(), 0, g),
    "reversed": lambda g: g[::-1] if len(g) > 1 else -g,
}


def filled(layer: Any, seed: int = 5) -> Any:
    """With parameters that are not all alike: a weight of 1 would hide that it is left out."""
    start = np.random.default_rng(seed)
    for p in getattr(layer, "parameters", list)():
        p.data += start.uniform(0.1, 0.5, p.data.shape) * start.choice([-1, 1], p.data.shape)
    return layer


def tampered(layer: Any, parameter: str, mutation: str) -> Any:
    """The layer or loss with one gradient changed: that of a parameter, or "x", that of the input."""

    class Changed(type(layer)):  # type: ignore[misc]
        def backward(self, *grad_output: Any) -> np.ndarray:
            if parameter == "x":
                return MUTATIONS[mutation](super().backward(*grad_output))
            changed = dict(self.named_parameters())[parameter]
            before = changed.grad.copy()
            dx = super().backward(*grad_output)
            changed.grad[...] = before + MUTATIONS[mutation](changed.grad - before)
            return dx

    layer.__class__ = Changed
    return layer
