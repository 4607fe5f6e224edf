"""The shapes that docstrings give are those of the arrays, formulas included."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprop_core as bp

TUPLE = r"\(((?:[^()]|\([^()]*\))*)\)"
SIZES: dict[str, Any] = {"N": 2, "T": 3, "L": 5, "C": 2, "H": 12, "W": 15, "…": (2, 3)}
WINDOWS: dict[str, Any] = {"kernel_size": 3, "stride": 2, "padding": 1}

# A layer's settings; the numbers stand for the names in its docstring. And how its input is drawn.
CASES: dict[type, dict[str, Any]] = {
    bp.Linear: {"in_features": 4, "out_features": 5},
    bp.BatchNorm1d: {"num_features": 4},
    bp.BatchNorm2d: {"num_features": 4},
    bp.LayerNorm: {"normalized_shape": (4, 5)},
    bp.Conv2d: {"in_channels": 4, "out_channels": 6, "dilation": 2, "groups": 2, **WINDOWS},
    bp.ConvTranspose2d: {"in_channels": 4, "out_channels": 6, "dilation": 2, "groups": 2, **WINDOWS},
    bp.MaxPool2d: WINDOWS,
    bp.RNN: {"input_size": 4, "hidden_size": 5},
    bp.Embedding: {"num_embeddings": 7, "embedding_dim": 4},
    bp.MultiHeadAttention: {"embed_dim": 6, "num_heads": 2},
    bp.TransformerBlock: {"embed_dim": 6, "num_heads": 2},
}
WHOLE = {bp.Embedding}  # takes whole numbers


def shapes(text: str, names: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """{input, output, weight, …: the shape that a docstring gives it}"""
    names = dict(names)
    for name, other in (("rows", ("H", 0)), ("columns", ("W", 1))):
        for formula in re.findall(r"\brows =\s+(.+?)(?:,| and|;|\.$|\. )", text)[:1]:
            inner = re.findall(r"\bspan =\s+(.+?),", text)
            names["span"] = number(inner[0], names) if inner else 5
            names[name] = number(re.sub(r"\bH\b", other[0], formula), names)
    found: dict[str, tuple[int, ...]] = {}
    for what, inside in re.findall(rf"\b(input|output|weight|recurrent|bias)\s+{TUPLE}", text):
        found.setdefault(what, shape(inside, names))
    for inside, what in re.findall(rf"{TUPLE} (in and\s+out|in|out)\b", text)[:2]:
        for one in re.findall("in|out", what):
            found.setdefault({"in": "input", "out": "output"}[one], shape(inside, names))
    return found


def number(formula: str, names: dict[str, Any]) -> int:
    """``(H + 2 padding - span) // stride + 1``: a product needs no sign."""
    whole = int(eval(re.sub(r"(?<=[\w)])\s+(?=[\w(])", "*", " ".join(formula.split())), {}, names))
    return whole


def shape(inside: str, names: dict[str, Any]) -> tuple[int, ...]:
    sizes: list[int] = []
    for part in filter(None, (one.strip() for one in inside.split(","))):
        value = names["…"] if part == "…" else names.get(part.lstrip("*"))
        if part.startswith("*") and not isinstance(value, tuple):
            value = (value, value)
        sizes += value if isinstance(value, tuple) else [number(part, names)]
    return tuple(sizes)


def actual(cls: type, settings: dict[str, Any], size: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    layer = cls(**settings)
    x = np.random.default_rng(0).normal(size=size)
    y = layer.forward(np.zeros(size, int) if cls in WHOLE else x)
    found = {"input": size, "output": y.shape}
    for name in ("weight", "recurrent", "bias"):
        if isinstance(parameter := getattr(layer, name, None), bp.Parameter):
            found[name] = parameter.data.shape
    return found


def said(cls: type, change: Callable[[str], str] = lambda text: text) -> dict[str, tuple[int, ...]]:
    text = " ".join(change(" ".join((inspect.getdoc(cls) or "").split())).split())
    settings = CASES[cls]
    return shapes(text, {**SIZES, **settings})


def agrees(cls: type, change: Callable[[str], str] = lambda text: text) -> bool:
    found = said(cls, change)
    if not {"input", "output"} <= found.keys():
        return False
    try:
        real = actual(cls, CASES[cls], found["input"])
    except (ValueError, TypeError):
        return False
    return all(real[name] == size for name, size in found.items())


@pytest.mark.parametrize("cls", CASES, ids=lambda cls: cls.__name__)
def test_a_docstring_gives_the_shapes_that_arrays_have(cls: type) -> None:
    assert agrees(cls), (said(cls), actual(cls, CASES[cls], said(cls)["input"]))


MISTAKES = [
    (bp.Linear, "weight (in_features, out_features)", "weight (out_features, in_features)"),
    (bp.Linear, "output (N, …, out_features)", "output (N, …, in_features)"),
    (bp.Conv2d, "(H + 2 padding - span)", "(H + padding - span)"),
    (bp.Conv2d, "dilation (kernel_size - 1) + 1", "dilation kernel_size + 1"),
    (bp.ConvTranspose2d, "- 2 padding + span", "- padding + span"),
    (bp.MaxPool2d, "// stride + 1", "// stride"),
    (bp.RNN, "output (N, T, hidden_size)", "output (T, N, hidden_size)"),
    (bp.RNN, "recurrent (hidden_size, hidden_size)", "recurrent (input_size, hidden_size)"),
    (bp.Embedding, "weight (num_embeddings, embedding_dim)", "weight (embedding_dim, num_embeddings)"),
]


@pytest.mark.parametrize(("cls", "right", "wrong"), MISTAKES)
def test_a_wrong_shape_is_found(cls: type, right: str, wrong: str) -> None:
    assert right in " ".join((inspect.getdoc(cls) or "").split())
    assert not agrees(cls, lambda text: text.replace(right, wrong))


@pytest.mark.parametrize("cls", [bp.RNN, bp.Conv2d])
def test_a_docstring_gives_the_bound_of_the_start(cls: type) -> None:
    (named,) = re.findall(r"uniform in ±1/sqrt\(([^)]+)\)", " ".join((inspect.getdoc(cls) or "").split()))
    wide = {"hidden_size": 90} if cls is bp.RNN else {"out_channels": 60}
    settings = {**CASES[cls], **wide}
    layer = cls(**settings, rng=0)
    sizes = {**settings, "number of inputs of a window": layer.weight.data[0].size}
    bound = sizes[named] ** -0.5
    for drawn in (layer.weight.data, layer.bias.data):
        assert -bound <= drawn.min() < -0.5 * bound and 0.5 * bound < drawn.max() <= bound
    assert 0.9 * bound < abs(layer.weight.data).max() and abs(layer.weight.data.mean()) < 0.2 * bound
