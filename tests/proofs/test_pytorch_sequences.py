"""Parity with PyTorch for sequences: recurrent layers, embedding, attention, a whole block."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import backprop_core as bp

LIMIT = 1e-10  # relative, in float64
SEEDS = range(20)
Pairs = Iterable[tuple[np.ndarray, Any]]


def assert_close(ours: np.ndarray, theirs: torch.Tensor) -> None:
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    scale = max(np.max(np.abs(expected), initial=0), 1e-3)  # the keys' bias has gradient 0
    assert np.max(np.abs(ours - expected), initial=0) <= LIMIT * scale


def copied(pairs: Pairs) -> None:
    for ours, theirs in pairs:
        theirs.data = torch.tensor(ours.copy())


def assert_gradients(pairs: Iterable[tuple[np.ndarray, torch.nn.Parameter]]) -> None:
    for ours, theirs in pairs:
        assert theirs.grad is not None
        assert_close(ours, theirs.grad)


RECURRENT: dict[str, tuple[Any, Any, int]] = {
    "RNN": (bp.RNN, torch.nn.RNN, 1),
    "LSTM": (bp.LSTM, torch.nn.LSTM, 2),
    "GRU": (bp.GRU, torch.nn.GRU, 1),
    "RNN relu": (partial(bp.RNN, nonlinearity="relu"), partial(torch.nn.RNN, nonlinearity="relu"), 1),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layer(name: str, seed: int) -> None:
    make, make_theirs, parts = RECURRENT[name]
    rng = np.random.default_rng(seed)
    n, steps, size, hidden = rng.integers(1, 7, size=4).tolist()
    ours, theirs = make(size, hidden, rng=rng), make_theirs(size, hidden, batch_first=True).double()
    weights = [(ours.weight, theirs.weight_ih_l0), (ours.recurrent, theirs.weight_hh_l0)]
    copied((mine.data.T, other) for mine, other in weights)
    copied([(ours.bias.data, theirs.bias_ih_l0)])
    theirs.bias_hh_l0.data.zero_()  # PyTorch's second bias; the GRU needs a third of it
    if name == "GRU":
        theirs.bias_hh_l0.data[2 * hidden :] = torch.tensor(ours.recurrent_bias.data)
    x = rng.normal(size=(n, steps, size))
    start = rng.normal(size=(n, parts * hidden)) if seed % 2 else None
    lengths = rng.integers(1, steps + 1, size=n) if seed % 3 == 0 else None
    begin: Any = None
    if start is not None:
        pieces = tuple(torch.tensor(piece.copy())[None] for piece in np.split(start, parts, axis=1))
        begin = pieces if parts > 1 else pieces[0]
    xt = torch.tensor(x, requires_grad=True)
    if lengths is None:
        yt, end = theirs(xt, begin)
    else:
        packed = pack_padded_sequence(xt, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        found, end = theirs(packed, begin)
        yt, _ = pad_packed_sequence(found, batch_first=True, total_length=steps)
    y = ours.forward(x, start, lengths)
    grad = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad))
    assert_close(y, yt)
    assert_close(ours.state, torch.cat([piece[0] for piece in end], 1) if parts > 1 else end[0])
    assert_gradients([(ours.backward(grad), xt)])
    assert_gradients((mine.grad.T, other) for mine, other in weights)
    assert_gradients([(ours.bias.grad, theirs.bias_ih_l0)])
    if name == "GRU":
        assert_close(ours.recurrent_bias.grad, theirs.bias_hh_l0.grad[2 * hidden :])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layer_without_bias(name: str, seed: int) -> None:
    make, make_theirs, _ = RECURRENT[name]
    rng = np.random.default_rng(seed)
    n, steps, size, hidden = rng.integers(1, 7, size=4).tolist()
    ours = make(size, hidden, bias=False, rng=rng)
    theirs = make_theirs(size, hidden, bias=False, batch_first=True).double()
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    copied((mine.data.T, other) for mine, other in pairs)
    x = rng.normal(size=(n, steps, size))
    xt = torch.tensor(x, requires_grad=True)
    y, (yt, _) = ours.forward(x), theirs(xt)
    grad = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad))
    assert_close(y, yt)
    assert_gradients([(ours.backward(grad), xt)])
    assert_gradients((mine.grad.T, other) for mine, other in pairs)


@pytest.mark.parametrize("make", [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU])
def test_a_state_with_its_history_cannot_be_kept_alive(make: Any) -> None:
    """Chapter 20: without detach the second backward fails, and retain_graph=True is no way out."""
    for retain, message in ((False, "through the graph a second"), (True, "by an inplace operation")):
        net = make(3, 4, batch_first=True)
        optimizer, state = torch.optim.Adam(net.parameters()), None
        with pytest.raises(RuntimeError, match=message):
            for _ in range(2):
                y, state = net(torch.randn(2, 5, 3), state)
                y.square().sum().backward(retain_graph=retain)
                optimizer.step()


def test_a_short_sequence_reads_its_padding_unless_packed() -> None:
    net, x = torch.nn.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3)
    for packed in (False, True):
        ends = []
        for padding in (0.0, 1.0):
            x[1, 2:] = padding
            given = pack_padded_sequence(x, [5, 2], batch_first=True) if packed else x
            ends.append(net(given)[1][0, 1])
        assert torch.equal(*ends) is packed


@pytest.mark.parametrize("seed", SEEDS)
def test_embedding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words, size = rng.integers(1, 7, size=2).tolist()
    ids = rng.integers(words, size=rng.integers(1, 6, size=2))
    ours, theirs = bp.Embedding(words, size, rng=rng), torch.nn.Embedding(words, size).double()
    copied([(ours.weight.data, theirs.weight)])
    y, yt = ours.forward(ids), theirs(torch.tensor(ids))
    grad = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad))
    ours.backward(grad)
    assert_close(y, yt)
    assert_gradients([(ours.weight.grad, theirs.weight)])


def attention_pairs(ours: bp.MultiHeadAttention, theirs: torch.nn.MultiheadAttention) -> list[tuple]:
    """Parameters side by side, and whether PyTorch's are transposed."""
    return [
        (ours.qkv.weight, theirs.in_proj_weight, True),
        (ours.qkv.bias, theirs.in_proj_bias, False),
        (ours.out.weight, theirs.out_proj.weight, True),
        (ours.out.bias, theirs.out_proj.bias, False),
    ]


def turned(pairs: list[tuple], what: str) -> Iterable[tuple]:
    return ((getattr(p, what).T if flip else getattr(p, what), q) for p, q, flip in pairs)


def mask_of(steps: int, causal: bool) -> torch.Tensor | None:
    return torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1) if causal else None


@pytest.mark.parametrize("seed", SEEDS)
def test_attention(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, steps, heads, size = rng.integers(1, 6, size=4).tolist()
    causal = bool(seed % 2)
    ours = bp.MultiHeadAttention(heads * size, heads, causal=causal, rng=rng)
    theirs = torch.nn.MultiheadAttention(heads * size, heads, batch_first=True).double()
    pairs = attention_pairs(ours, theirs)
    copied(turned(pairs, "data"))
    x, lengths = rng.normal(size=(n, steps, heads * size)), np.full(n, steps)
    if seed % 3 == 0:
        lengths = rng.integers(1, steps + 1, size=n)
    behind = np.arange(steps) >= lengths[:, None]
    xt = torch.tensor(x, requires_grad=True)
    yt, weights = theirs(
        xt, xt, xt,
        key_padding_mask=torch.tensor(behind),
        attn_mask=mask_of(steps, causal), average_attn_weights=False,
    )  # fmt: skip
    y = ours.forward(x, lengths)
    grad = np.where(behind[..., None], 0, rng.normal(size=y.shape))
    yt.backward(torch.tensor(grad))
    assert_close(y, yt * torch.tensor(~behind[..., None]))
    inside = ~behind[:, None, :, None]  # for what asks from behind the end there is no rule
    assert ours.weights is not None
    assert_close(ours.weights * inside, weights * torch.tensor(inside))
    assert_gradients([(ours.backward(grad), xt)])
    assert_gradients(turned(pairs, "grad"))


@pytest.mark.parametrize("kind", ["truth values", "numbers", "a mask for each head"])
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_attention_with_a_mask_and_a_memory(seed: int, elsewhere: bool, kind: str) -> None:
    rng = np.random.default_rng(seed)
    n, steps, others, heads, size = rng.integers(1, 6, size=5).tolist()
    others = others if elsewhere else steps
    ours = bp.MultiHeadAttention(heads * size, heads, rng=rng)
    theirs = torch.nn.MultiheadAttention(heads * size, heads, batch_first=True).double()
    pairs = attention_pairs(ours, theirs)
    copied(turned(pairs, "data"))
    mask: Any = rng.random((n, heads, steps, others)) < 0.4
    if kind != "a mask for each head":
        mask = mask[0, 0]
    mask[..., rng.integers(others)] = False  # PyTorch gives nan where a query may see nothing
    if kind == "numbers":
        mask = rng.normal(size=mask.shape)
    x, memory = rng.normal(size=(n, steps, heads * size)), rng.normal(size=(n, others, heads * size))
    xt, mt = (torch.tensor(array, requires_grad=True) for array in (x, memory))
    looked_at = mt if elsewhere else xt
    given = torch.tensor(mask.reshape(-1, steps, others) if mask.ndim > 2 else mask)
    yt, weights = theirs(xt, looked_at, looked_at, attn_mask=given, average_attn_weights=False)
    y = ours.forward(x, attn_mask=mask, memory=memory if elsewhere else None)
    grad = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad))
    assert_close(y, yt)
    assert ours.weights is not None
    assert_close(ours.weights, weights)
    assert_gradients([(ours.backward(grad), xt)])
    assert_gradients(turned(pairs, "grad"))
    if elsewhere:
        assert ours.memory_grad is not None and mt.grad is not None
        assert_close(ours.memory_grad, mt.grad)
    else:
        assert ours.memory_grad is None


@pytest.mark.parametrize("seed", SEEDS)
def test_transformer_block(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, steps, heads, size = rng.integers(1, 5, size=4).tolist()
    causal, hidden, width = bool(seed % 2), int(rng.integers(1, 9)), heads * size
    ours = bp.TransformerBlock(width, heads, hidden, causal=causal, rng=rng)
    for parameter in ours.parameters():
        parameter.data += rng.uniform(-0.3, 0.3, parameter.data.shape)
    theirs = torch.nn.TransformerEncoderLayer(
        width, heads, hidden, 0.0, lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
        batch_first=True, norm_first=True,
    ).double()  # fmt: skip
    rows: Any = ours
    (first, attention), (second, wide, _, narrow) = rows[0], rows[1]
    pairs = attention_pairs(attention, theirs.self_attn)
    for mine, other, flip in (
        (first, theirs.norm1, False), (second, theirs.norm2, False),
        (wide, theirs.linear1, True), (narrow, theirs.linear2, True),
    ):  # fmt: skip
        pairs += [(mine.weight, other.weight, flip), (mine.bias, other.bias, False)]
    copied(turned(pairs, "data"))
    x = rng.normal(size=(n, steps, width))
    xt = torch.tensor(x, requires_grad=True)
    y, yt = ours.forward(x), theirs(xt, src_mask=mask_of(steps, causal))
    grad = rng.normal(size=y.shape)
    yt.backward(torch.tensor(grad))
    assert_close(y, yt)
    assert_gradients([(ours.backward(grad), xt)])
    assert_gradients(turned(pairs, "grad"))
