"""PyTorch's own samples of its modules and optimizers: ours give the same, or refuse them in a sentence."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db

import backprop_core as bp
from literate.weave.pytorch import Pair, table

# At other lengths or axes: tests/proofs/test_pytorch_sequences.py has them.
ELSEWHERE = {"RNN", "LSTM", "GRU", "MultiHeadAttention", "TransformerBlock"}
PAIRS = {pair.theirs: pair for pair in table().pairs if pair.ours not in ELSEWHERE}
MODULES = {name: info for info in module_db if (name := f"torch.nn.{info.module_cls.__name__}") in PAIRS}
OPTIMIZERS = {name: info for info in optim_db if hasattr(bp, name := info.optim_cls.__name__)}
DEVICES = {"foreach", "fused", "capturable", "differentiable"}  # change how fast a step is, not what it does


def plain(x: Any) -> Any:
    return x.detach().numpy() if isinstance(x, torch.Tensor) else x


def numbers(x: Any) -> Any:
    """Settings given as tensors of one number."""
    if isinstance(x, tuple):
        return tuple(map(numbers, x))
    return x.item() if isinstance(x, torch.Tensor) else x


def same(ours: Any, theirs: torch.Tensor) -> bool:
    return np.shape(ours) == theirs.shape and np.allclose(ours, plain(theirs), 1e-8, 1e-10, equal_nan=True)


def oriented(pair: Pair, name: str, array: np.ndarray) -> np.ndarray:
    return array.T if pair.ours == "Linear" and name == "weight" else array


def outcome(pair: Pair, sample: Any, theirs: torch.nn.Module, training: bool) -> str:
    given, inputs = sample.constructor_input, list(sample.forward_input.args)
    options = {pair.renamed.get(name, name): value for name, value in given.kwargs.items()}
    try:
        ours = getattr(bp, pair.ours)(*given.args, **options)
        for name, parameter in theirs.named_parameters():
            getattr(ours, name).data[...] = oriented(pair, name, plain(parameter))
        if isinstance(ours, bp.Layer):
            ours.train(training)
        y = ours(*map(plain, inputs), **sample.forward_input.kwargs)
    except (TypeError, ValueError) as refusal:
        assert str(refusal)
        return "refused"
    expected = theirs(*inputs)
    assert same(y, expected), f"{ours}: another output"
    upstream = torch.randn_like(expected)
    wanted = [x for x in inputs[:1] if x.requires_grad] + list(theirs.parameters())
    slopes = torch.autograd.grad(expected, wanted, upstream)
    if isinstance(ours, bp.Loss):
        found = [ours.backward(plain(upstream)) if expected.ndim else ours.backward() * plain(upstream)]
    else:
        found = [ours.backward(plain(upstream))] if inputs[0].requires_grad else []
        found += [oriented(pair, name, p.grad) for name, p in ours.named_parameters()]
        if not inputs[0].requires_grad:
            ours.backward(plain(upstream))
    assert len(found) == len(slopes) and all(map(same, found, slopes)), f"{ours}: another gradient"
    return "the same"


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    info, counts = MODULES[name], Counter[str]()
    torch.manual_seed(0)
    for training in (True, False):
        for sample in info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        ):
            given = sample.constructor_input
            if sample.forward_input is None:
                continue
            theirs = info.module_cls(*given.args, **given.kwargs).double().train(training)
            counts[outcome(PAIRS[name], sample, theirs, training)] += 1
    assert counts["the same"] > 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    info, start = OPTIMIZERS[name], np.random.default_rng(0).normal(size=(3, 2))
    for settings in info.optim_inputs_func(device="cpu", dtype=torch.float64):
        options = {k: numbers(v) for k, v in settings.kwargs.items() if k not in DEVICES}
        rng = np.random.default_rng(1)
        ours, theirs = bp.Parameter(start), torch.tensor(start, requires_grad=True)
        ours_steps, their_steps = getattr(bp, name)([ours], **options), info.optim_cls([theirs], **options)
        for _ in range(7):
            ours.grad[...] = rng.normal(size=start.shape)
            theirs.grad = torch.tensor(ours.grad)
            ours_steps.step()
            their_steps.step()
            assert same(ours.data, theirs), f"{name}({options})"
