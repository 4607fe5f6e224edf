"""What docstrings say of ``settings`` and ``attributes`` is tried, sentence by sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from tests.test_docstring_claims import DOCS, LABELS, PROMISED, X, back, moved, net, number, sgd

STEPS = np.random.default_rng(1).normal(size=(2, 5, 3))
ROWS = np.random.default_rng(2).normal(size=(6, 3))  # logits


class Doubled(bp.Linear):
    def backward(self, grad_output: Any) -> np.ndarray:
        return 2 * super().backward(grad_output)


class Cube(bp.Activation):
    def value_and_slope(self, x: np.ndarray) -> Any:
        return x**3, 3 * x**2


def terms(**settings: Any) -> np.ndarray:
    """Cross-entropy of each row."""
    found = bp.CrossEntropyLoss("none", **settings).forward(ROWS, LABELS)
    return np.asarray(found)


def mean(**settings: Any) -> float:
    return float(bp.CrossEntropyLoss(**settings).forward(ROWS, LABELS))


def same_size() -> bool:
    one = bp.Parameter(np.ones((3, 2), np.float32))
    return one.grad.shape == (3, 2) and one.grad.dtype == one.data.dtype == np.float32


def held() -> bool:
    one = number()
    view = one.data
    one.data[...] = 5.0
    return bool((view == 5.0).all())


def frozen() -> bool:
    layer = bp.Linear(4, 3, rng=0)
    layer.weight.requires_grad = False
    before = layer.weight.data.copy()
    back(layer, X)
    layer.weight.requires_grad = True  # nothing has come in secretly
    stayed = not layer.weight.grad.any()
    layer.weight.requires_grad = False
    back(layer, X)
    bp.SGD(layer.parameters(), lr=0.1, momentum=0.9).step()
    stayed = stayed and not layer.weight.grad.any()
    return stayed and np.array_equal(layer.weight.data, before) and layer.bias.grad.any()


def last_forward() -> bool:
    layer, one, grad = bp.Tanh(), X.copy(), np.ones_like(X)
    layer.forward(one + 1)
    layer.forward(one)
    dx = layer.backward(grad)
    untouched = np.array_equal(one, X) and bool((grad == 1).all())
    return untouched and np.allclose(dx, 1 - np.tanh(X) ** 2)


def accumulated() -> bool:
    one, other = bp.Linear(4, 3, rng=0), bp.Linear(4, 3, rng=0)
    back(one, X)
    other.accumulate(np.ones_like(other.forward(X)))
    return np.array_equal(one.weight.grad, other.weight.grad)


def network_accumulates() -> bool:
    one, other = net(), net()
    for each in (one, other):
        each.loss(X, LABELS)
    one.backward()
    nothing: Any = other.accumulate()  # type: ignore[func-returns-value]
    same = [np.array_equal(p.grad, q.grad) for p, q in zip(one.parameters(), other.parameters(), strict=True)]
    return nothing is None and all(same)


def from_the_loss() -> bool:
    one, other = net(), net()
    one.loss(X, LABELS)
    loss = bp.CrossEntropyLoss()
    loss.forward(other.forward(X), LABELS)
    return np.allclose(one.backward(), other.backward(loss.backward()))


def reductions() -> bool:
    every, total, average = (bp.MSELoss(one).forward(X, X + X) for one in ("none", "sum", "mean"))
    rows = bp.CrossEntropyLoss("sum").forward(ROWS, LABELS) / mean()
    weights = bp.MSELoss("none")
    weights.forward(X, X + X)
    weighted = weights.backward(np.full_like(X, 3.0))
    sums = np.isclose(total, np.sum(X * X)) and np.isclose(average, np.mean(X * X)) and np.isclose(rows, 6)
    return bool(sums and np.allclose(every, X * X) and np.allclose(weighted, -6 * X))


def masked() -> bool:
    mask = np.arange(6) < 2
    return np.isclose(bp.MSELoss().forward(X, 0 * X, mask=mask), np.mean(X[:2] ** 2))


def weighed() -> bool:
    weight = np.array([1.0, 2.0, 5.0])
    each = weight[LABELS]
    return np.allclose(terms(weight=weight), each * terms()) and np.isclose(
        mean(weight=weight), np.sum(each * terms()) / each.sum()
    )


def smoothed() -> bool:
    logs = np.log(bp.Softmax().forward(ROWS))
    return np.allclose(terms(label_smoothing=0.3), 0.7 * terms() - 0.3 * logs.mean(axis=1))


def stepped(kind: Callable[..., bp.Optimizer], slopes: list[float], **settings: Any) -> list[float]:
    """Where a weight that starts at 1 stands after each step."""
    one, places = number(1.0), []
    optimizer = kind([one], lr=0.1, **settings)
    for slope in slopes:
        one.grad[...] = slope
        optimizer.step()
        places.append(float(one.data[0, 0]))
    return places


def about_the_mean() -> bool:
    square, average, place, wanted = 0.0, 0.0, 1.0, []
    for slope in (1.0, 3.0, 2.0):
        square, average = 0.5 * square + 0.5 * slope**2, 0.5 * average + 0.5 * slope
        place -= 0.1 * slope / (np.sqrt(square - average**2) + 1e-8)
        wanted.append(place)
    return np.allclose(stepped(bp.RMSprop, [1.0, 3.0, 2.0], alpha=0.5, centered=True), wanted)


def gathered() -> bool:
    plain, faster = (moved(2, bp.RMSprop, alpha=0.5, momentum=m) for m in (0.0, 0.5))
    return np.allclose(faster, [plain[0], plain[1] + 0.5 * plain[0]], atol=1e-5)


def by_hand(slopes: list[float], b1: float, b2: float, largest: bool = False) -> list[float]:
    m = v = top = 0.0
    place, places = 1.0, []
    for t, slope in enumerate(slopes, 1):
        m, v = b1 * m + (1 - b1) * slope, b2 * v + (1 - b2) * slope**2
        top = max(top, v) if largest else v
        place -= 0.1 * m / (1 - b1**t) / (np.sqrt(top / (1 - b2**t)) + 1e-8)
        places.append(place)
    return places


def decayed() -> bool:
    (there,) = stepped(bp.Adam, [0.0], weight_decay=0.5)
    return math.isclose(
        there, 0.9, rel_tol=1e-6
    )  # the slope is 0.5 then, and the first step is as long as lr


def with_lengths() -> bool:
    lengths = np.array([5, 3])
    ((x, y, n),) = bp.DataLoader(STEPS, LABELS[:2], lengths=lengths, shuffle=False)
    return np.array_equal(x, STEPS) and len(y) == 2 and np.array_equal(n, lengths)


def base() -> bool:
    optimizer = sgd()
    first = bp.Schedule(optimizer, lambda base, t: base / (1 + t))
    rates = [optimizer.lr]
    first.step()
    second = bp.ExponentialLR(optimizer, 0.5)
    return [*rates, first.rate(3), optimizer.lr, second.rate(1)] == [0.1, 0.025, 0.1, 0.05]


def warmed() -> bool:
    schedule = bp.LinearWarmup(sgd(), steps=4)
    return np.allclose([schedule.rate(t) for t in range(6)], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def penalised() -> bool:
    trained, before = net(), net()

    def penalty() -> float:
        for p in trained.parameters():
            p.grad[...] = 100.0
        return 0.0

    optimizer = bp.SGD(trained.parameters(), lr=1.0)
    bp.fit(trained, optimizer, [(X, LABELS)], 1, penalty=penalty, max_norm=1.0, verbose=False)
    pairs = zip(trained.parameters(), before.parameters(), strict=True)
    return bool(np.isclose(sum(np.sum((p.data - q.data) ** 2) for p, q in pairs), 1.0))


def dropped() -> bool:
    return 0.89 < np.mean(bp.Dropout(0.9, rng=0).forward(np.ones(10_000)) == 0) < 0.91


def stopped(losses: list[float], **settings: Any) -> tuple[int, float]:
    """After how many epochs it stops, and in which epoch's state the network is left."""
    trained = bp.Linear(4, 3, rng=0)
    stop, history = bp.EarlyStopping(trained, monitor="loss", **settings), []
    for epoch, loss in enumerate(losses, 1):
        trained.weight.data[...] = epoch
        history.append({"epoch": epoch, "loss": loss})
        if stop(history):
            break
    return len(history), float(trained.weight.data[0, 0])


def restored() -> bool:
    trained = bp.Linear(4, 3, rng=0)
    stop = bp.EarlyStopping(trained, monitor="loss")
    start = trained.weight.data.copy()
    stop([{"loss": 1.0}])
    trained.weight.data[...] = 7.0
    stop.restore()
    return np.array_equal(trained.weight.data, start)


def slope_of_value() -> bool:
    x = bp.Value(3.0)
    y = x * x + x
    y.backward()
    return x.grad == 7.0


def own_rule() -> bool:
    @bp.primitive(lambda g, y, x: g * 3 * x**2)
    def cube(x: Any) -> Any:
        return x**3

    x = bp.Tensor(X)
    np.sum(cube(x)).backward()
    return x.grad is not None and np.allclose(x.grad, 3 * X**2)


def by_tape() -> bool:
    seen: list[type] = []

    def function(x: Any, w: Any) -> Any:
        seen.extend((type(x), type(w)))
        return x * w

    back(bp.TapeLayer(function, bp.Parameter(np.ones(4))), X)
    return set(seen) == {bp.Tensor}


def starts() -> bool:
    one, other = bp.RNN(3, 2, rng=0), bp.RNN(3, 2, rng=0)
    start = np.array([[0.3, -0.4], [0.1, 0.2]])
    zero = np.array_equal(one.forward(STEPS), one.forward(STEPS, np.zeros((2, 2))))
    whole = one.forward(STEPS, start)
    other.forward(STEPS[:, :2], start)
    assert other.state is not None
    rest = other.forward(STEPS[:, 2:], other.state)
    return zero and np.allclose(whole[:, 2:], rest) and np.array_equal(other.state, rest[:, -1])


def ignored() -> bool:
    layer, other = bp.RNN(3, 2, rng=0), STEPS.copy()
    other[1, 3:] = 99.0
    y, z = (layer.forward(each, lengths=[5, 3]) for each in (STEPS, other))
    dx = layer.backward(np.ones_like(z))
    return np.array_equal(y, z) and not y[1, 3:].any() and not dx[1, 3:].any()


def last() -> bool:
    return np.array_equal(bp.Last().forward(STEPS, [5, 3]), [STEPS[0, 4], STEPS[1, 2]])


def inside_the_product() -> bool:
    """With r at 0, what stands inside the product has no effect on n; what stands outside has."""
    ends = []
    for name in ("recurrent_bias", "bias"):
        layer = bp.GRU(2, 1, rng=0)
        layer.weight.data[...] = layer.recurrent.data[...] = layer.bias.data[...] = 0
        layer.recurrent_bias.data[...] = 0
        layer.bias.data[0] = -50.0
        getattr(layer, name).data[-1] = 1.0
        ends.append(float(layer.forward(np.zeros((1, 1, 2)))[0, 0, 0]))
    return layer.recurrent_bias.data.shape == (1,) and np.allclose(ends, [0.0, np.tanh(1.0) / 2])


def remembers() -> bool:
    layer, other = bp.MultiHeadAttention(4, 2, rng=0), np.ones((2, 7, 4))
    x = np.ones((2, 5, 4))
    layer.backward(layer.forward(x))
    alone = layer.memory_grad
    layer.backward(layer.forward(x, memory=other))
    assert layer.memory_grad is not None and layer.weights is not None
    sizes = layer.memory_grad.shape == other.shape and layer.weights.shape == (2, 2, 5, 7)
    return alone is None and sizes and not layer.weights.flags.writeable


def looks_no_further() -> bool:
    layer, x = bp.MultiHeadAttention(3, 1, rng=0), STEPS
    y = layer.forward(x, lengths=[5, 3])
    assert layer.weights is not None
    beyond = layer.weights[1, :, :, 3:]
    return not beyond.any() and not y[1, 3:].any() and not layer.backward(np.ones_like(y))[1, 3:].any()


def added_only() -> bool:
    """With nearly all dropped, next to nothing is added to what goes past."""
    x = np.random.default_rng(0).normal(size=(50, 4, 8))
    left = bp.TransformerBlock(8, 2, dropout=0.999, rng=0).forward(x) == x
    return left.mean() > 0.98


def computed_again() -> bool:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.sum(x * x)

    y = bp.checkpoint(f, bp.Tensor(X))
    before = len(calls)
    y.backward()
    return before == 1 and len(calls) == 2


def report() -> bool:
    plain = bp.gradient_report(net(), X, LABELS, lr=0.01), bp.gradient_report(net(), X, LABELS, lr=0.02)
    trained = net()
    own = bp.gradient_report(trained, X, LABELS, optimizer=bp.SGD(trained.parameters(), lr=0.02))
    first, second, third = (one[0].update for one in (*plain, own))
    return bool(np.isclose(2 * first, second) and np.isclose(second, third))


SAID: dict[tuple[str, str], Callable[[], Any]] = {
    ("gradient_descent", "``gradient`` maps a point to the slope there"): lambda: (
        bp.gradient_descent(lambda x: 2 * x, [3.0], 0.1, 1)[1] == [2.4]
    ),
    ("gradcheck", "Largest relative error of ``layer.backward``"): lambda: (
        0.3 < bp.gradcheck(Doubled(4, 3, rng=0), X, rng=0) < 1.1
    ),
    ("gradcheck", "``derivative`` under a random upstream gradient"): lambda: (
        bp.gradcheck(bp.Linear(4, 3, rng=0), X, rng=0, derivative=lambda f, x, g: 0 * x) > 0.9
    ),
    ("gradcheck", "``rest`` is handed to forward after x"): lambda: (
        bp.gradcheck(bp.CrossEntropyLoss(), ROWS, LABELS, rng=0) < 1e-7
    ),
    ("Parameter", "``data`` and ``grad`` have the same shape and dtype"): same_size,
    ("Parameter", "``data[...] = new``: others may hold on to them"): held,
    ("Parameter", "With ``requires_grad`` False grad stays 0, and no optimizer moves the data"): frozen,
    ("Layer", "``backward`` answers for the last forward, and changes no argument"): last_forward,
    ("Layer.accumulate", "``backward`` where nobody asks for the gradient of the input"): accumulated,
    ("Layer.named_buffers", "(name, array) pairs of what the layers keep in ``buffers``"): lambda: (
        {name.split(".")[-1] for name, _ in bp.Network(bp.BatchNorm1d(4)).named_buffers()}
        == {"running_mean", "running_var", "num_batches_tracked"}
    ),
    ("Activation", "A subclass writes ``value_and_slope``"): lambda: bp.gradcheck(Cube(), X, rng=0) < 1e-7,
    ("LeakyReLU", "``negative_slope`` is its alpha"): lambda: bp.LeakyReLU(0.3).forward([-2.0]) == [-0.6],
    ("Softmax", "along ``axis``"): lambda: np.allclose(bp.Softmax(axis=0).forward(X).sum(axis=0), 1),
    ("Loss", '"mean" (over all entries; over examples for cross-entropy), "sum", or "none"'): reductions,
    ("Loss", "then forward returns all terms, and backward wants a weight for each"): reductions,
    ("Loss.forward", "Only examples where ``mask`` is true count"): masked,
    ("HuberLoss", "Square up to ``delta``, straight beyond"): lambda: np.allclose(
        bp.HuberLoss("none", delta=2.0).forward([1.0, -2.0, 5.0], np.zeros(3)), [0.5, 2.0, 8.0]
    ),
    ("CrossEntropyLoss", "The mean is over all labels except those equal to ``ignore_index``"): lambda: (
        np.isclose(mean(ignore_index=2), terms()[LABELS != 2].mean())
    ),
    ("CrossEntropyLoss", "``weight`` (K,) multiplies each class, and the mean of labels is then"): weighed,
    ("CrossEntropyLoss", "``label_smoothing`` spreads that share over all classes"): smoothed,
    ("Network.backward", "Without ``grad_output``, which belongs to the output of the last"): from_the_loss,
    ("Network.accumulate", "``backward`` without dL/dx"): network_accumulates,
    ("SGD", "With ``momentum`` along the velocity"): lambda: moved(3, momentum=0.5) == [0.2, 0.3, 0.35],
    ("kaiming_uniform_", "``a`` is the leaky slope; mode"): lambda: np.isclose(
        *(bp.kaiming_uniform_(number(), a=a, rng=0).data[0, 0] * (1 + a * a) ** 0.5 for a in (0.0, 2.0))
    ),
    ("gradient_report", "``update`` is the optimizer's own step, or that of plain descent with"): report,
    ("RMSprop", "``centered`` subtracts the squared mean slope under the root"): about_the_mean,
    ("RMSprop", "with ``momentum`` the quotients add up to a velocity"): gathered,
    ("Adam", "``betas`` are the shares of the two averages that survive a step"): lambda: np.allclose(
        stepped(bp.Adam, [1.0, 3.0, -2.0], betas=(0.5, 0.8)), by_hand([1.0, 3.0, -2.0], 0.5, 0.8)
    ),
    ("Adam", "``weight_decay`` is added to the gradient"): decayed,
    ("Adam", "``amsgrad`` divides by the largest average square so far"): lambda: np.allclose(
        stepped(bp.Adam, [3.0, 0.1, 0.1], betas=(0.5, 0.8), amsgrad=True),
        by_hand([3.0, 0.1, 0.1], 0.5, 0.8, largest=True),
    ),
    ("DataLoader", "With ``lengths`` (of sequences), (x, y, lengths)"): with_lengths,
    ("Schedule", "``formula(base, t)`` gives the rate after t steps"): base,
    ("Schedule", "``base`` is the lr at the optimizer's first schedule"): base,
    ("CosineAnnealingLR", "From base to ``eta_min`` in T_max steps"): lambda: np.allclose(
        [bp.CosineAnnealingLR(sgd(), 4, 0.02).rate(t) for t in (0, 2, 4)], [0.1, 0.06, 0.02]
    ),
    ("LinearWarmup", "From base / steps up to base in ``steps`` steps"): warmed,
    ("fit", "``penalty()`` may add to gradients before they are clipped to max_norm"): penalised,
    ("Dropout", "``p`` is the probability of dropping"): dropped,
    ("EarlyStopping", "stop once ``monitor`` no longer improves"): lambda: (
        stopped([3, 2, 1, 1, 0], patience=1)[0] == 4
    ),
    ("EarlyStopping", "better than the best so far by more than ``min_delta``"): lambda: (
        [stopped([4, 3.5, 3, 2.5], patience=1, min_delta=d)[0] for d in (0.4, 0.5)] == [4, 2]
    ),
    ("EarlyStopping", "Stops after ``patience`` epochs without one"): lambda: (
        [stopped([1, 2, 2, 2, 2], patience=p)[0] for p in (1, 3)] == [2, 4]
    ),
    ("EarlyStopping", "``restore()`` then puts the best one's parameters and buffers back"): restored,
    ("EarlyStopping", "with ``restore_best`` stopping does that"): lambda: (
        [stopped([1, 2], patience=1, restore_best=best)[1] for best in (False, True)] == [2, 1]
    ),
    ("BatchNorm1d", "None without ``affine``, or ``bias``"): lambda: (
        bp.BatchNorm1d(3, affine=False).weight is bp.BatchNorm1d(3, bias=False).bias is None
    ),
    ("LayerNorm", "None without ``elementwise_affine``, or ``bias``"): lambda: (
        bp.LayerNorm(3, elementwise_affine=False).weight is bp.LayerNorm(3, bias=False).bias is None
    ),
    ("Value", "After ``y.backward()``, ``grad`` is the slope of y"): slope_of_value,
    ("Tensor", "``data`` is the given array, not a copy"): lambda: bp.Tensor(X).data is X,
    ("primitive", "``rule(g, y, *arguments)`` is its gradient"): own_rule,
    ("TapeLayer", "``function(x, *parameters)`` takes and returns Tensors"): by_tape,
    ("RNN", '``nonlinearity`` is "tanh" or "relu"'): lambda: (
        (bp.RNN(3, 2, nonlinearity="relu", rng=0).forward(STEPS) >= 0).all()
        and (bp.RNN(3, 2, rng=0).forward(STEPS) < 0).any()
    ),
    ("RNN", "forward(x, start, lengths) begins with the state ``start``, zero if there is"): starts,
    ("RNN", "``state`` (N, hidden_size) is the last state, the start of what follows"): starts,
    ("RNN", "What comes after the ``lengths`` of the sequences is ignored"): ignored,
    ("Last", "With ``lengths``, the last step that counts"): last,
    ("GRU", "``recurrent_bias`` (hidden_size,) stands inside the product with r"): inside_the_product,
    ("Embedding", "normal with mean 0 and standard deviation ``std`` at first"): lambda: (
        0.45 < bp.Embedding(100, 50, std=0.5, rng=0).weight.data.std() < 0.55
    ),
    ("MultiHeadAttention", "or at ``memory`` (N, S, embed_dim), whose gradient is then in"): remembers,
    ("MultiHeadAttention", "``weights`` (N, num_heads, T, S), read-only"): remembers,
    (
        "MultiHeadAttention",
        "Nobody looks beyond the ``lengths`` of x; outputs and gradients",
    ): looks_no_further,
    ("TransformerBlock", "``dropout`` acts on what either adds"): added_only,
    ("checkpoint", "``backward`` computes f again and goes back through that"): computed_again,
}
# Sentences that are tried elsewhere, by their owner and how they begin.
ELSEWHERE = {
    ("Network", "``backward`` is eq:net-ds to eq:net-dx for any layers"): "the check of these equations",
    ("Optimizer", "A subclass says in which direction to go"): "every optimizer",
    ("GradientReport", "a ``cause`` explains all"): "tests of its advice",
    ("Schedule", "call ``step`` after each epoch or batch"): "advice",
    ("load", "Read what ``save`` wrote"): "tests/test_training.py",
    ("Value", "``_parents`` are the numbers it was made from"): "transcripts of chapter 15",
    ("primitive", "``jvps`` are such rules for slopes"): "tests/test_tape.py",
    ("PositionEmbedding", "Shapes: (N, T, embedding_dim) in and out, T at most ``length``"): "its error",
    ("Diagnosis", ""): "tests/test_clinic.py",
    ("diagnose", ""): "tests/test_clinic.py",
}


SENTENCE = re.compile(r".+?(?:[.;:](?=\s+[A-Z`a-z])|$)")


def untried(docs: dict[str, str]) -> list[str]:
    """Sentences that name something in double quotes, and claims that no docstring makes any longer."""
    found = [f"{owner}: {said}" for owner, said in [*SAID, *ELSEWHERE] if said not in docs.get(owner, "")]
    for owner, text in docs.items():
        said = [one for name, one in (*PROMISED, *SAID, *ELSEWHERE) if name == owner]
        tried = [range(text.find(one), text.find(one) + len(one or text)) for one in said if one in text]
        for one in SENTENCE.finditer(text.split(">>>")[0]):
            is_tried = any(max(one.start(), t.start) < min(one.end(), t.stop) for t in tried)
            if "``" in one[0] and not is_tried and not one[0].lstrip().startswith("Raises"):
                found.append(f"{owner}: {one[0].strip()}")
    return found


def test_each_sentence_about_a_setting_is_tried() -> None:
    assert untried(DOCS) == []


@pytest.mark.parametrize(("owner", "said"), SAID)
def test_it_does_what_it_says(owner: str, said: str) -> None:
    assert SAID[owner, said]()


MISTAKES = [
    ("Dropout", "the probability of dropping", "the probability of keeping"),
    ("RMSprop", "the squared mean slope", "the mean squared slope"),
    ("MultiHeadAttention", "(N, num_heads, T, S), read-only", "(N, num_heads, S, T), read-only"),
    ("Schedule", "the rate after t steps", "the rate before t steps"),
    ("Last", "the last step that counts", "the first step that counts"),
]


@pytest.mark.parametrize(("owner", "right", "wrong"), MISTAKES)
def test_another_sentence_is_found(owner: str, right: str, wrong: str) -> None:
    assert right in DOCS[owner] and untried({**DOCS, owner: DOCS[owner].replace(right, wrong)})
