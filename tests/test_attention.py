"""Attention, position embedding, transformer block: gradients, masks, order, guards and precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from backprop_core import MultiHeadAttention, PositionEmbedding, TransformerBlock
from tests.layers import MUTATIONS, filled, tampered

rng = np.random.default_rng(7)
X = rng.normal(size=(2, 5, 6))
LENGTHS = np.array([3, 5])
BEHIND = np.arange(5) >= LENGTHS[:, None]
CASES = {
    "attention": (lambda: MultiHeadAttention(6, 2, rng=0), (X,)),
    "one head": (lambda: MultiHeadAttention(6, 1, rng=0), (X,)),
    "six heads": (lambda: MultiHeadAttention(6, 6, rng=0), (X,)),
    "causal": (lambda: MultiHeadAttention(6, 3, causal=True, rng=0), (X,)),
    "lengths": (lambda: MultiHeadAttention(6, 2, rng=0), (X, LENGTHS)),
    "a length of 0": (lambda: MultiHeadAttention(6, 2, rng=0), (X, np.array([0, 2]))),
    "causal lengths": (lambda: MultiHeadAttention(6, 2, causal=True, rng=0), (X, LENGTHS)),
    "one place": (lambda: MultiHeadAttention(6, 2, rng=0), (X[:, :1],)),
    "position": (lambda: PositionEmbedding(7, 6, rng=0), (X,)),
    "block": (lambda: TransformerBlock(6, 2, rng=0), (X,)),
    "block, all see all": (lambda: TransformerBlock(6, 2, hidden=5, causal=False, rng=0), (X,)),
    "block, dropout": (lambda: TransformerBlock(6, 2, dropout=0.3, rng=0), (X,)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: Any) -> None:
    make, args = CASES[name]
    layer = filled(make())
    assert bp.gradcheck(layer, *args, rng=1) < 1e-7
    assert bp.gradcheck(layer, *args, rng=1, derivative=bp.complex_step_gradient) < 1e-12


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("parameter", ["x", "qkv.weight", "qkv.bias", "out.weight", "out.bias"])
def test_a_changed_gradient_is_found(parameter: Any, mutation: Any) -> None:
    layer = tampered(filled(MultiHeadAttention(6, 2, causal=True, rng=0)), parameter, mutation)
    assert bp.gradcheck(layer, X, rng=1, derivative=bp.complex_step_gradient) > 1e-9


@pytest.mark.parametrize("name", CASES)
def test_float32_and_nothing_spoiled(name: Any) -> None:
    make, (x, *rest) = CASES[name]
    for layer in (filled(make()).to("float32"), filled(make())):
        y = layer.forward(np.float32(x), *rest)
        assert y.dtype == layer.backward(np.float32(rng.normal(size=y.shape))).dtype == np.float32
    layer = filled(make()).to("float32")
    x32 = np.float32(x)
    x32.flags.writeable = False
    y = layer.forward(x32, *rest)
    grad = np.float32(rng.normal(size=y.shape))
    grad.flags.writeable = False
    first = layer.backward(grad).copy()
    once = [p.grad.copy() for p in layer.parameters()]
    y[...] = 99
    assert np.array_equal(layer.backward(grad), first)
    assert all(np.allclose(p.grad, 2 * g, atol=1e-6) for p, g in zip(layer.parameters(), once, strict=True))
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype("float32")}


def test_weights_are_shares_and_the_mask_is_exact() -> None:
    layer = filled(MultiHeadAttention(6, 2, causal=True, rng=0))
    layer.forward(X, LENGTHS)
    w = layer.weights
    assert w.shape == (2, 2, 5, 5) and np.allclose(w.sum(axis=-1), 1)
    assert not np.triu(w, 1).any() and (np.tril(np.ones((5, 5))) - (w[1] > 0) == 0).all()
    assert not w[0][:, :, 3:].any()
    with pytest.raises(ValueError, match="read-only"):
        w[...] = 0
    layer.forward(X, memory=rng.normal(size=(2, 7, 6)))  # as PyTorch's is_causal has it
    assert layer.weights.shape == (2, 2, 5, 7) and not np.triu(layer.weights, 1).any()
    assert (layer.weights[..., 0, 0] == 1).all()


def test_the_future_and_what_is_behind_the_end_do_not_matter() -> None:
    layer = filled(TransformerBlock(6, 2, rng=0))
    y = layer.forward(X)
    changed = X.copy()
    changed[:, 3:] = 50
    assert np.allclose(layer.forward(changed)[:, :3], y[:, :3], atol=1e-14) and not np.allclose(
        layer.forward(changed)[:, 3:], y[:, 3:]
    )
    dy = np.zeros_like(X)
    dy[:, 2] = 1.0
    assert not layer.backward(dy)[:, 3:].any()
    attention = filled(MultiHeadAttention(6, 2, rng=0))
    y = attention.forward(X, LENGTHS)
    changed = X.copy()
    changed[BEHIND] = np.nan
    assert np.array_equal(attention.forward(changed, LENGTHS), y) and not y[BEHIND].any()
    dy = rng.normal(size=X.shape)
    dy[BEHIND] = np.nan
    dx = attention.backward(dy)
    assert np.isfinite(dx).all() and not dx[BEHIND].any()
    assert all(np.isfinite(p.grad).all() for p in attention.parameters())
    assert np.allclose(attention.forward(X[:1, :3]), y[:1, :3], atol=1e-14)


def test_without_mask_a_permutation_goes_through() -> None:
    layer, order = filled(MultiHeadAttention(6, 2, rng=0)), np.array([3, 0, 4, 1, 2])
    y = layer.forward(X)
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    assert np.allclose(layer.forward(X[:, order]), y[:, order], atol=1e-14)
    assert np.allclose(layer.backward(dy[:, order]), dx[:, order], atol=1e-14)
    causal = filled(MultiHeadAttention(6, 2, causal=True, rng=0))
    assert not np.allclose(causal.forward(X[:, order]), causal.forward(X)[:, order])
    placed = bp.Network(filled(PositionEmbedding(5, 6, rng=0)), layer)
    assert not np.allclose(placed.forward(X[:, order]), placed.forward(X)[:, order])


@pytest.mark.parametrize("causal", [False, True])
def test_a_query_that_may_see_nothing_finds_nothing(causal: bool) -> None:
    layer = filled(MultiHeadAttention(6, 2, causal=causal, rng=0))
    mask = np.zeros((5, 5), bool)
    mask[2] = True
    y = layer.forward(X, attn_mask=mask)
    assert not layer.weights[:, :, 2].any() and np.allclose(y[:, 2], layer.out.bias.data)
    assert np.allclose(np.delete(layer.weights.sum(axis=-1), 2, axis=2), 1)
    assert np.isfinite(layer.backward(rng.normal(size=y.shape))).all()
    assert bp.gradcheck(layer, X, None, mask, rng=1, derivative=bp.complex_step_gradient) < 1e-12


def test_a_mask_hides_what_stands_there() -> None:
    layer = filled(MultiHeadAttention(6, 2, rng=0))
    causal = filled(MultiHeadAttention(6, 2, causal=True, rng=0))
    later = ~np.tri(5, dtype=bool)
    assert np.array_equal(layer.forward(X, attn_mask=later), causal.forward(X))
    assert np.array_equal(layer.forward(X, attn_mask=np.where(later, -np.inf, 0.0)), causal.forward(X))
    shorter = layer.forward(X, memory=X[:, :3])
    inside = layer.forward(X, LENGTHS, memory=X[:, ::-1])[~BEHIND]  # all of the memory is seen
    assert np.allclose(inside, layer.forward(X, memory=X[:, ::-1])[~BEHIND], rtol=0, atol=1e-14)
    hidden = np.arange(5) >= 3
    assert np.allclose(layer.forward(X, attn_mask=hidden), shorter, rtol=0, atol=1e-14)
    for wrong in (later[:4], later.astype(int), np.zeros((3, 1, 5, 5), bool), [["a"]]):
        with pytest.raises(ValueError, match=r"expected attn_mask of bools or floats"):
            layer.forward(X, attn_mask=wrong)
    with pytest.raises(ValueError, match=r"expected memory of shape \(2, S, 6\), got \(1, 5, 6\)"):
        layer.forward(X, memory=X[:1])


def test_attention_by_its_definition() -> None:
    layer = filled(MultiHeadAttention(6, 2, rng=0))
    q, k, v = (np.split(part, 2, axis=-1) for part in np.split(layer.qkv(X), 3, axis=-1))
    heads = [bp.Softmax()(a @ b.mT / 3**0.5) @ c for a, b, c in zip(q, k, v, strict=True)]
    assert np.allclose(layer(X), layer.out(np.concatenate(heads, axis=-1)), rtol=0, atol=1e-14)


def test_parts_from_one_seed_start_apart() -> None:
    block = TransformerBlock(6, 2, hidden=6, rng=0)
    weights = [p.data.ravel()[:36] for name, p in block.named_parameters() if "weight" in name and p.ndim > 1]
    assert len(weights) == 4 and len({w.tobytes() for w in weights}) == 4
    attention = MultiHeadAttention(6, 2, rng=0)
    assert not np.array_equal(attention.qkv.weight.data.ravel()[:36], attention.out.weight.data.ravel())


def test_no_places() -> None:
    for shape in ((2, 0, 6), (0, 3, 6)):
        layer = TransformerBlock(6, 2, rng=0)
        assert layer.forward(np.zeros(shape)).shape == layer.backward(np.zeros(shape)).shape == shape


def test_huge_scores_are_safe() -> None:
    layer = MultiHeadAttention(6, 2, causal=True, rng=0)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = layer.forward(1e100 * X)
        assert np.isfinite(y).all() and np.isfinite(layer.backward(np.ones_like(y))).all()
    for shift in (-1e4, 1e4):  # of all scores
        assert np.allclose(layer.forward(X, attn_mask=np.full((1, 1), shift)), layer.forward(X), rtol=1e-9)


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"expected embed_dim to be a multiple of num_heads 4, got 6"):
        MultiHeadAttention(6, 4)
    layer = MultiHeadAttention(6, 2, causal=True, rng=0)
    assert repr(layer) == "MultiHeadAttention(embed_dim=6, num_heads=2, causal=True)"
    with pytest.raises(ValueError, match=r"expected input of shape \(N, T, 6\), got \(2, 5, 4\)"):
        layer.forward(X[..., :4])
    for wrong in (BEHIND, [3], [3, 6], [2.0, 3.0]):
        with pytest.raises(ValueError, match=r"expected 2 lengths, whole numbers from 0 to 5"):
            layer.forward(X, wrong)
    kinds: tuple[Any, ...] = MultiHeadAttention, PositionEmbedding
    for kind in kinds:
        with pytest.raises(TypeError, match="positional"):
            kind(6, 2, rng)
    with pytest.raises(ValueError, match=r"TransformerBlock: hidden must be a whole number"):
        TransformerBlock(6, 2, rng)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected grad_output of shape \(2, 5, 6\), got \(2, 4, 6\)"):
        layer.forward(X) is None or layer.backward(X[:, :4])
    with pytest.raises(RuntimeError, match="before forward"):
        MultiHeadAttention(6, 2).backward(X)
    with pytest.raises(ValueError, match="at most 4 steps, got 5"):
        PositionEmbedding(4, 6).forward(X)
    with pytest.raises(ValueError, match=r"hidden must be a whole number"):
        TransformerBlock(6, 2, hidden=0)


def test_cross_entropy_over_places() -> None:
    logits, labels = rng.normal(size=(2, 5, 3)), rng.integers(3, size=(2, 5))
    for make in (bp.CrossEntropyLoss, lambda: bp.CrossEntropyLoss(label_smoothing=0.2)):
        whole, flat = make(), make()
        assert np.isclose(whole(logits, labels), flat(logits.reshape(-1, 3), labels.ravel()), rtol=1e-14)
        assert np.allclose(whole.backward(), flat.backward().reshape(2, 5, 3), rtol=1e-14)
    assert bp.gradcheck(bp.CrossEntropyLoss(), logits, labels, rng=0) < 1e-7
    with pytest.raises(ValueError, match="label 3 at index 1, 4: expected 0 to 2"):
        labels[1, 4] = 3
        bp.CrossEntropyLoss()(logits, labels)
    with pytest.raises(ValueError, match="label 3 at index 1: expected 0 to 2"):
        bp.CrossEntropyLoss()(logits[0, :2], [0, 3])


def test_linear_and_dropout_on_sequences() -> None:
    x = rng.normal(size=(2, 3, 5, 4))
    assert bp.gradcheck(bp.Linear(4, 3, rng=0), x, rng=0, derivative=bp.complex_step_gradient) < 1e-12
    assert bp.gradcheck(bp.Dropout(0.4, rng=0), x, rng=0) < 1e-7
    layer = bp.Linear(4, 3, rng=0)
    y = layer.forward(x)
    assert y.shape == (2, 3, 5, 3) and np.allclose(y.reshape(-1, 3), layer.forward(x.reshape(-1, 4)))
    with pytest.raises(
        ValueError, match=r"Linear\(4, 3\): expected input of shape \(N, 3, 5, 4\), got \(2, 3, 5, 2\)"
    ):
        layer.forward(x[..., :2])
    with pytest.raises(ValueError, match=r"Linear\(4, 3\): expected input of shape \(N, 4\), got \(10, 3\)"):
        layer.forward(np.zeros((10, 3)))
    assert layer.forward(np.zeros((0, 5, 4))).shape == (0, 5, 3)


def test_a_gradient_of_the_memory_belongs_to_the_last_pass() -> None:
    layer, x = MultiHeadAttention(4, 2, rng=0), np.ones((2, 3, 4))
    layer.forward(x, memory=np.ones((2, 5, 4)))
    layer.backward(x)
    assert layer.memory_grad is not None and layer.memory_grad.shape == (2, 5, 4)
    layer.forward(x)
    layer.backward(x)
    assert layer.memory_grad is None
