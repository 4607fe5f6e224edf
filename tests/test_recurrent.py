"""Recurrent layers, embedding and residual: gradients, lengths, states, guards and precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from backprop_core import GRU, LSTM, RNN, Embedding, Last, Residual
from tests.layers import MUTATIONS, filled, tampered

rng = np.random.default_rng(7)
RECURRENT = {RNN: 1, LSTM: 2, GRU: 1}  # and how many parts the state has
X = rng.normal(size=(3, 5, 2))


class Fixed(bp.Layer):
    """An embedding of fixed numbers, plus x: something that gradcheck can vary."""

    def __init__(self, embedding: Any, ids: Any) -> None:
        self.embedding, self.ids = embedding, ids

    def forward(self, x: Any) -> np.ndarray:
        return x + self.embedding.forward(self.ids)

    def backward(self, grad_output: Any) -> np.ndarray:
        zeros = self.embedding.backward(grad_output)
        assert zeros.shape == self.ids.shape and not zeros.any()
        return np.array(grad_output)


def cases() -> Iterator[tuple]:
    for kind, parts in RECURRENT.items():
        yield kind.__name__, lambda k=kind: k(2, 4, rng=0), (X,)
        yield f"{kind.__name__} start", lambda k=kind: k(2, 4, rng=0), (X, rng.normal(size=(3, 4 * parts)))
        yield f"{kind.__name__} lengths", lambda k=kind: k(2, 4, rng=0), (X, None, np.array([5, 0, 3]))
        yield f"{kind.__name__} one step", lambda k=kind: k(2, 4, rng=0), (X[:, :1],)
        yield f"{kind.__name__} one unit", lambda k=kind: k(2, 1, rng=0), (X,)
    yield "Last", Last, (X,)
    yield "Last lengths", Last, (X, np.array([5, 1, 3]))
    ids = np.array([[0, 2, 0], [4, 0, 2]])
    yield "Embedding", lambda: Fixed(Embedding(6, 4, rng=0), ids), (rng.normal(size=(2, 3, 4)),)
    yield (
        "Residual",
        lambda: Residual(bp.Linear(4, 3, rng=0), bp.Tanh(), bp.Linear(3, 4, rng=1)),
        (rng.normal(size=(2, 3, 4)),),
    )
    yield (
        "stack",
        lambda: bp.Network(
            RNN(2, 3, rng=0),
            bp.LayerNorm(3),
            LSTM(3, 4, rng=1),
            Residual(GRU(4, 4, rng=2)),
            bp.Linear(4, 2, rng=3),
        ),
        (X,),
    )


CASES = {name: (make, args) for name, make, args in cases()}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: Any) -> None:
    make, args = CASES[name]
    layer = filled(make())
    assert bp.gradcheck(layer, *args, rng=1) < 1e-7
    if name != "Embedding":
        assert bp.gradcheck(layer, *args, rng=1, derivative=bp.complex_step_gradient) < 1e-12


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize(
    ("kind", "parameter"),
    [(kind, name) for kind in RECURRENT for name in ("x", *dict(kind(2, 4).named_parameters()))],
)
def test_a_changed_gradient_is_found(kind: Any, parameter: Any, mutation: Any) -> None:
    layer = tampered(filled(kind(2, 4, rng=0)), parameter, mutation)
    assert bp.gradcheck(layer, X, rng=1, derivative=bp.complex_step_gradient) > 1e-9


@pytest.mark.parametrize("name", CASES)
def test_float32_in_float32_out(name: Any) -> None:
    make, (x, *rest) = CASES[name]
    for layer in (filled(make()).to("float32"), filled(make())):
        y = layer.forward(np.float32(x), *rest)
        dx = layer.backward(np.float32(rng.normal(size=y.shape)))
        if name != "Embedding" or layer.embedding.weight.data.dtype == np.float32:
            assert y.dtype == dx.dtype == np.float32
    layer = filled(make()).to("float32")
    y = layer.forward(np.float32(x), *rest)
    dx = layer.backward(np.float32(rng.normal(size=y.shape)))
    assert {y.dtype, dx.dtype, *(p.grad.dtype for p in layer.parameters())} == {np.dtype("float32")}
    assert np.allclose(y, filled(make()).forward(x, *rest), atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_backward_accumulates_and_spoils_nothing(name: Any) -> None:
    make, (x, *rest) = CASES[name]
    layer = filled(make())
    x = x.copy()
    x.flags.writeable = False
    y = layer.forward(x, *rest)
    grad = rng.normal(size=y.shape)
    grad.flags.writeable = False
    first = layer.backward(grad).copy()
    once = [p.grad.copy() for p in layer.parameters()]
    y[...] = 99  # the caller's own
    assert np.array_equal(layer.backward(grad), first)
    assert bool(once) is not name.startswith("Last")
    assert all(np.allclose(p.grad, 2 * g) for p, g in zip(layer.parameters(), once, strict=True))
    with pytest.raises(ValueError, match="grad_output"):
        layer.backward(grad[:-1])


@pytest.mark.parametrize("kind", RECURRENT)
def test_what_stands_behind_the_end_does_not_matter(kind: Any) -> None:
    layer = filled(kind(2, 4, rng=0))
    lengths = np.array([4, 1, 0])
    spoiled = X.copy()
    for row, end in zip(spoiled, lengths, strict=True):
        row[end:] = np.nan
    grad = rng.normal(size=(3, 5, 4))
    found = []
    for x in (X, spoiled):
        layer.zero_grad()
        y = layer.forward(x, None, lengths)
        g = grad.copy()
        for row, gr, end in zip(y, g, lengths, strict=True):
            assert not row[end:].any()
            gr[end:] = rng.choice([np.nan, np.inf, 7.0], size=gr[end:].shape)
        dx = layer.backward(g)
        assert all(not row[end:].any() for row, end in zip(dx, lengths, strict=True))
        found.append([y, dx, layer.state] + [p.grad.copy() for p in layer.parameters()])
    assert all(np.allclose(a, b, rtol=1e-13, atol=1e-13) for a, b in zip(*found, strict=True))
    for row, end, state in zip(X, lengths, found[0][2], strict=True):  # as each sequence alone
        alone = filled(kind(2, 4, rng=0))
        alone.forward(row[None, :end])
        assert np.allclose(alone.state[0], state)


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_sequence_in_two_parts(kind: Any) -> None:
    layer = filled(kind(2, 4, rng=0))
    whole = layer.forward(X)
    last = layer.state
    parts = [layer.forward(X[:, :2])]
    parts.append(layer.forward(X[:, 2:], layer.state))
    assert np.allclose(np.concatenate(parts, axis=1), whole) and np.allclose(layer.state, last)
    assert np.allclose(last[:, :4], whole[:, -1])
    again = layer.forward(X[:, :2])
    assert np.allclose(again, whole[:, :2])  # no start: from zero again


@pytest.mark.parametrize("kind", RECURRENT)
def test_empty_batches_and_sequences(kind: Any) -> None:
    layer = kind(2, 4, rng=0)
    for shape in ((0, 5), (3, 0), (0, 0)):
        assert layer.forward(np.zeros((*shape, 2)), lengths=[0] * shape[0]).shape == (*shape, 4)
        assert layer.backward(np.zeros((*shape, 4))).shape == (*shape, 2)
    assert Embedding(5, 2).forward([]).shape == (0, 2)


def test_the_zeros_of_an_embedding_are_as_precise_as_its_weights() -> None:
    layer = Embedding(5, 2).to("float32")
    assert layer.backward(layer.forward([1, 2])).dtype == np.float32


def test_messages() -> None:
    with pytest.raises(
        ValueError,
        match=r"LSTM\(input_size=2, hidden_size=4\): expected input of shape \(N, T, 2\), got \(3, 5, 7\)",
    ):
        LSTM(2, 4).forward(np.zeros((3, 5, 7)))
    with pytest.raises(ValueError, match=r"expected start of shape \(3, 8\), got \(3, 4\)"):
        LSTM(2, 4).forward(X, np.zeros((3, 4)))
    for lengths in ([1, 2], [1, 2, 6], [-1, 2, 3], [1.0, 2.0, 3.0], 3):
        with pytest.raises(ValueError, match="expected 3 lengths, whole numbers from 0 to 5"):
            GRU(2, 4).forward(X, None, lengths)
    with pytest.raises(RuntimeError, match="before forward"):
        RNN(2, 3).backward(np.zeros((1, 1, 3)))
    with pytest.raises(ValueError, match="hidden_size must be a whole number"):
        GRU(2, 0)
    with pytest.raises(TypeError, match=r"expected integers, got float64"):
        Embedding(3, 2).forward([0.0])
    with pytest.raises(TypeError, match=r"expected integers, got bool"):
        Embedding(3, 2).forward([True])
    for wrong in (3, -1):
        with pytest.raises(
            ValueError,
            match=rf"Embedding\(num_embeddings=3, embedding_dim=2\): got {wrong} at index 1, 0: expected",
        ):
            Embedding(3, 2).forward([[0, 1], [wrong, 2]])
    with pytest.raises(ValueError, match=r"Residual: got no layers"):
        Residual()
    with pytest.raises(ValueError, match=r"Embedding: expected 0 <= std < inf, got -1"):
        Embedding(3, 2, std=-1)
    with pytest.raises(TypeError, match="positional"):
        Embedding(3, 2, np.random.default_rng(0))  # type: ignore[call-arg, arg-type]
    with pytest.raises(ValueError, match="got rows of different lengths"):
        RNN(1, 2).forward([[[1.0], [2.0]], [[3.0]]])
    with pytest.raises(ValueError, match="a sequence of length 0 has no last step"):
        Last().forward(X, [5, 0, 1])
    with pytest.raises(ValueError, match=r"Residual: .* layers that keep the shape \(2, 4\), got \(2, 3\)"):
        Residual(bp.Linear(4, 3)).forward(np.zeros((2, 4)))
    shared = bp.Linear(3, 3)
    with pytest.raises(ValueError, match="there twice"):
        bp.Network(Residual(shared), shared)


def test_a_wrong_nonlinearity_is_named() -> None:
    with pytest.raises(ValueError, match="RNN: nonlinearity is 'tanh' or 'relu', got 'sigmoid'"):
        RNN(2, 3, nonlinearity="sigmoid")
    with pytest.raises(ValueError, match=r"RNN: nonlinearity is 'tanh' or 'relu', got \[\]"):
        RNN(2, 3, nonlinearity=[])  # type: ignore[arg-type]
    for kind in (LSTM, GRU):
        with pytest.raises(ValueError, match=f"{kind.__name__}: nonlinearity is 'tanh', got 'relu'"):
            kind(2, 3, nonlinearity="relu")
    assert repr(RNN(2, 3, nonlinearity="relu")) == "RNN(input_size=2, hidden_size=3, nonlinearity='relu')"


def test_start_uniform_and_within_the_bound() -> None:
    for kind, blocks in ((RNN, 1), (LSTM, 4), (GRU, 3)):
        layer = kind(50, 100, rng=0)
        assert layer.weight.data.shape == (50, 100 * blocks)
        for p in layer.parameters():
            assert 0.08 < np.abs(p.data).max() <= 0.1 and abs(p.data.std() - 0.1 / 3**0.5) < 0.01


def test_large_numbers_do_not_overflow() -> None:
    with np.errstate(all="raise"):
        for kind in RECURRENT:
            layer = kind(2, 3, rng=0)
            y = layer.forward(1e6 * X)
            assert np.isfinite(layer.backward(np.ones_like(y))).all()


def test_repeated_numbers_add_up() -> None:
    layer = Embedding(4, 3, rng=0)
    layer.forward([1, 1, 3, 1])
    grad = rng.normal(size=(4, 3))
    assert not layer.backward(grad).any()
    assert np.allclose(layer.weight.grad, [0 * grad[0], grad[0] + grad[1] + grad[3], 0 * grad[0], grad[2]])


def test_names_and_table() -> None:
    net = bp.Network(Embedding(9, 4, rng=0), Residual(bp.Linear(4, 4, rng=0)), LSTM(4, 5, rng=0))
    assert [n for n, _ in net.named_parameters()] == [
        "0.weight",
        "1.0.weight",
        "1.0.bias",
        "2.weight",
        "2.recurrent",
        "2.bias",
    ]
    net.forward(np.zeros((2, 3), int))
    assert "Residual(1 layers)" in repr(net) and "LSTM(input_size=4, hidden_size=5)" in repr(net)


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_call_takes_the_names_that_forward_takes(kind: Any) -> None:
    layer = filled(kind(2, 4, rng=0))
    assert np.array_equal(layer(X, lengths=[5, 2, 1]), layer.forward(X, None, [5, 2, 1]))


IDS, TAGS, LENGTHS = rng.integers(6, size=(4, 6)), rng.integers(3, size=(4, 6)), np.array([6, 2, 4, 1])


def bodies() -> Iterator[tuple]:
    for kind in RECURRENT:
        yield kind.__name__, lambda k=kind: [k(4, 4, rng=1)]
    yield "residual", lambda: [Residual(bp.LayerNorm(4), GRU(4, 4, rng=1))]
    for causal in (False, True):
        yield f"attention {causal}", lambda c=causal: [bp.TransformerBlock(4, 2, causal=c, rng=1)]


BODIES = dict(bodies())


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_a_filled_up_batch_is_its_sequences_one_by_one(name: Any, last: Any) -> None:
    def make() -> bp.Network:
        layers = [
            Embedding(6, 4, rng=4),
            bp.PositionEmbedding(9, 4, rng=2),
            *BODIES[name](),
            *[Last()] * last,
        ]
        return bp.Network(*layers, bp.Linear(4, 3, rng=3), loss=bp.CrossEntropyLoss())

    target = TAGS[:, 0] if last else TAGS
    net, other = make(), make()
    assert other.criterion
    together, alone = net.loss(IDS, target, LENGTHS), 0.0
    net.backward()
    for i, end in enumerate(LENGTHS):
        share = 1 / 4 if last else end / LENGTHS.sum()
        answer = target[i : i + 1] if last else target[i : i + 1, :end]
        alone += share * other.loss(IDS[i : i + 1, :end], answer)
        other.accumulate(share * other.criterion.backward())
    assert np.isclose(together, alone, rtol=1e-12)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert np.allclose(p.grad, q.grad, rtol=1e-11, atol=1e-14)
    spoiled = IDS.copy()
    spoiled[np.arange(6) >= LENGTHS[:, None]] = 5
    assert net.loss(spoiled, target, LENGTHS) == together


def test_one_answer_for_a_sequence_is_not_masked_by_its_length() -> None:
    net = bp.Network(bp.RNN(2, 4, rng=0), bp.Last(), bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss())
    labels, lengths = np.array([0, 2, 1]), [5, 1, 2]
    assert net.loss(X, np.eye(3)[labels], lengths) == pytest.approx(net.loss(X, labels, lengths))


def test_a_mean_over_steps_weighs_batches_by_their_steps() -> None:
    net = bp.Network(RNN(2, 3, rng=0), loss=bp.MSELoss())
    y, lengths = rng.normal(size=(3, 5, 3)), np.array([5, 1, 2])
    data = bp.DataLoader(X, y, 2, shuffle=False, lengths=lengths)
    (row,) = bp.fit(net, bp.SGD(net.parameters(), 0.0), data, 1, data, verbose=False)
    assert row["loss"] == row["validation_loss"] == pytest.approx(net.loss(X, y, lengths), rel=1e-13)


def test_training_with_lengths_counts_what_belongs_to_a_sequence() -> None:
    tags = np.where(np.arange(6) < LENGTHS[:, None], IDS % 3, 2 - IDS % 3)  # wrong behind the end
    layers = Embedding(6, 8, rng=0), GRU(8, 8, rng=1), bp.Linear(8, 3, rng=2)
    net = bp.Network(*layers, loss=bp.CrossEntropyLoss())
    loader = bp.DataLoader(IDS, tags, 2, rng=0, lengths=LENGTHS)
    fixed = bp.DataLoader(IDS, tags, 3, shuffle=False, lengths=LENGTHS)
    row = bp.fit(net, bp.Adam(net.parameters(), lr=0.05), loader, 60, validation=fixed, verbose=False)[-1]
    assert row["loss"] < 0.1 and row["validation_accuracy"] == 1.0
    assert np.isclose(row["validation_loss"], net.loss(IDS, tags, LENGTHS))
    net.loss(IDS, tags, LENGTHS)
    assert net.criterion
    net.criterion.forward(net.forward(IDS), tags)  # without: no memory of the lengths before
    assert net.backward().shape == IDS.shape
    with pytest.raises(ValueError, match="DataLoader: 4 inputs, 4 targets, 3 lengths"):
        bp.DataLoader(IDS, tags, lengths=LENGTHS[:3])
    with pytest.raises(ValueError, match="expected 4 lengths, whole numbers from 0 to 6"):
        net.loss(IDS, tags, LENGTHS + 1)
