"""Sick networks with a known cause, each with its healthy twin."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import backprop_core as bp

Options = Callable[[bp.Network], dict[str, Any]]


def nothing(net: bp.Network) -> dict[str, Any]:
    return {}


class Patient(NamedTuple):
    """What diagnose is given; the options are made for the network."""

    net: bp.Network
    x: np.ndarray
    y: np.ndarray
    options: Options = nothing

    def names(self) -> list[str]:
        found = bp.diagnose(self.net, self.x, self.y, **self.options(self.net))
        assert not found.unseen, found.unseen
        return [finding.name for finding in found.findings]


def clouds(n: int = 300, k: int = 3, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """k round clouds on a circle of radius 3; labels 0…k-1."""
    r = np.random.default_rng(seed)
    y = r.integers(k, size=n)
    angle = 2 * np.pi * y / k
    centre = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centre + spread * r.normal(size=(n, 2)), y


def mlp(*sizes: int, act: Any = bp.ReLU, last: tuple = (), loss: Any = None, seed: int = 0) -> bp.Network:
    layers: list[bp.Layer] = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers += [bp.Linear(a, b, rng=seed + i), act()]
    return bp.Network(*layers[:-1], *last, loss=loss or bp.CrossEntropyLoss())


def with_optimizer(kind: Any, part: Any = None, **settings: Any) -> Options:
    """An optimizer of the network's parameters, or of a part of them."""

    def make(net: bp.Network) -> dict[str, Any]:
        return {"optimizer": kind(part(net) if part else net.parameters(), **settings)}

    return make


def with_step(
    x: np.ndarray,
    y: np.ndarray,
    lr: float = 0.3,
    zero: bool = True,
    before: Any = None,
    after: Any = None,
    between: Any = None,
    ready: Any = None,
) -> Options:
    """The user's own loop as a function without arguments; hooks make it sick."""

    def make(net: bp.Network) -> dict[str, Any]:
        optimizer = bp.SGD(net.parameters(), lr=lr)

        def step() -> None:
            if ready:
                ready(net)
            net.loss(x, y)
            if zero:
                optimizer.zero_grad()
            if between:
                between(net)
            net.backward()
            if before:
                before(net)
            optimizer.step()
            if after:
                after(net)

        return {"step": step}

    return make


class Careless(bp.MSELoss):
    def _target(self, x: Any, target: Any) -> np.ndarray:
        return np.asarray(target, float)

    def value_and_slope(self, x: Any, target: Any) -> tuple:
        d = x - target
        return d * d, 2 * d.sum(axis=1, keepdims=True)


class OwnOutput(bp.Linear):
    def accumulate(self, grad_output: Any) -> None:
        y = self.forward(self._saved())
        self.weight.grad += y.T @ grad_output
        self.bias.grad += grad_output.sum(0)


class Hasty(bp.Linear):
    def backward(self, grad_output: Any) -> np.ndarray:
        x = self._saved()
        self.weight.data -= 0.05 * x.T @ grad_output
        self.bias.data -= 0.05 * grad_output.sum(0)
        return grad_output @ self.weight.data.T


class Total(bp.Linear):
    def accumulate(self, grad_output: Any) -> None:
        self.weight.grad += self._saved().T @ grad_output
        self.bias.grad += grad_output.sum()


class Rows(bp.Linear):
    def accumulate(self, grad_output: Any) -> None:
        self.weight.grad += self._saved().T @ grad_output
        self.bias.grad += grad_output.sum(axis=1)  # fits only where N == M


class ReturnsEarly(bp.MaxPool2d):
    def backward(self, grad_output: Any) -> np.ndarray:
        dx = np.zeros_like(full := super().backward(grad_output))
        dx[:, :, :2, :2] = full[:, :, :2, :2]
        return dx


class Gates(bp.Layer):
    """Three gates, multiplied; with the typo all have the first one's bias."""

    def __init__(self, typo: bool, seed: int) -> None:
        r = np.random.default_rng(seed)
        self.weights = {k: bp.Parameter(r.normal(size=(5, 3))) for k in "ofu"}
        self.biases = {k: bp.Parameter(r.normal(size=3)) for k in "ofu"}
        self.typo = typo

    def bias(self, k: str) -> bp.Parameter:
        return self.biases["o" if self.typo else k]

    def forward(self, x: Any) -> np.ndarray:
        gates = [bp.Sigmoid()(x @ self.weights[k].data + self.bias(k).data) for k in "ofu"]
        self._cache = x, gates
        return gates[0] * gates[1] * gates[2]

    def backward(self, grad_output: Any) -> np.ndarray:
        x, gates = self._saved()
        y, dx = gates[0] * gates[1] * gates[2], np.zeros_like(x)
        for k, gate in zip("ofu", gates, strict=True):
            d = grad_output * y * (1 - gate)
            self.weights[k].grad += x.T @ d
            self.bias(k).grad += d.sum(0)
            dx += d @ self.weights[k].data.T
        return dx


class NeverDecays(bp.SGD):
    def _direction(self) -> np.ndarray:
        self.state["velocity"] += self.momentum * self._grad
        return self.state["velocity"]


class Forgets(bp.SGD):
    def _direction(self) -> np.ndarray:
        self.state["velocity"] = self._grad.copy()
        return self.state["velocity"]


class Always(bp.Dropout):
    def forward(self, x: Any) -> np.ndarray:
        self.training = True
        return super().forward(x)


class Forever(bp.Dropout):
    def forward(self, x: Any) -> np.ndarray:
        if not self.training:
            self.p = 0.0
        return super().forward(x)


class DividesByP(bp.Dropout):
    def forward(self, x: Any) -> np.ndarray:
        y = super().forward(x)
        factor = (1 - self.p) / self.p if self.training else 1.0
        self._cache = self._cache * factor
        return y * factor


def dropping(kind: Any, p: float = 0.5, seed: int = 0) -> bp.Network:
    return bp.Network(
        bp.Linear(2, 32, rng=seed),
        bp.ReLU(),
        kind(p, rng=1),
        bp.Linear(32, 3, rng=2),
        loss=bp.CrossEntropyLoss(),
    )


def keeps_best(x: np.ndarray, y: np.ndarray, copied: bool) -> Options:
    def make(net: bp.Network) -> dict[str, Any]:
        optimizer, best = bp.Adam(net.parameters(), lr=0.1), {"loss": 9.0, "weights": []}

        def step() -> None:
            loss = net.loss(x, y)
            optimizer.zero_grad()
            net.backward()
            if loss < best["loss"]:
                best["loss"] = loss
                best["weights"] = [p.data.copy() if copied else p.data for p in net.parameters()]
            optimizer.step()

        step()
        return {"step": step}

    return make


def only_weights(net: bp.Network) -> list[bp.Parameter]:
    return [p for name, p in net.named_parameters() if name.endswith("weight")]


def set_all(net: bp.Network, value: float) -> bp.Network:
    for p in net.parameters():
        p.data[...] = value
    return net


def unlucky(seed: int) -> bp.Network:
    net = mlp(5, 2, 1, loss=bp.MSELoss(), seed=seed)
    net.parameters()[0].data[...] *= -np.sign(net.parameters()[0].data)
    net.parameters()[1].data[...] = -0.1
    return net


def whole_numbers(net: bp.Network) -> bp.Network:
    for p in net.parameters():
        p.data = np.round(3 * p.data).astype(int)
    return net


def data_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    r = np.random.default_rng(seed)
    x = r.normal(size=(100, 2))
    y = 10 + 9 * x[:, 0] - 2 * x[:, 1]
    line = partial(bp.Linear, 2, 1, rng=seed)
    yield (
        "S01",
        {"loss-broadcast"},
        Patient(bp.Network(line(), loss=Careless()), x, y),
        Patient(bp.Network(line(), loss=bp.MSELoss()), x, y[:, None]),
    )
    x, y = clouds(600, 6, 0.7, seed)
    order = np.argsort(y, kind="stable")
    net = partial(mlp, 2, 16, 6, seed=seed)
    yield "S03", {"labels-sorted"}, Patient(net(), x[order], y[order]), Patient(net(), x, y)
    x, y = r.integers(0, 256, size=(200, 784)).astype(float), r.integers(10, size=200)  # type: ignore[assignment]
    wide = [bp.Network(bp.Linear(784, 10, rng=seed), loss=bp.CrossEntropyLoss()) for _ in range(2)]
    for one in wide:
        one.parameters()[0].data[...] = np.random.default_rng(seed).normal(size=(784, 10)) / 28
    yield "S05", {"input-scale"}, Patient(wide[0], x, y), Patient(wide[1], x / 255, y)
    x, y = clouds(seed=seed)
    constant = np.c_[x, np.full(len(x), 20.0)]
    with np.errstate(invalid="ignore"):
        z = (constant - constant.mean(0)) / constant.std(0)
    well = Patient(mlp(2, 16, 3, seed=seed), z[:, :2], y)
    yield "S06", {"input-not-finite"}, Patient(mlp(3, 16, 3, seed=seed), z, y), well
    yield "S06, before", {"input-constant-column"}, Patient(mlp(3, 16, 3, seed=seed), constant, y), well


def loss_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    x, y = clouds(200, 4, 0.3, seed)
    net = partial(mlp, 2, 32, 4, act=bp.Tanh, seed=seed)
    yield "S09", {"softmax-twice"}, Patient(net(last=(bp.Softmax(),)), x, y), Patient(net(), x, y)
    x = np.linspace(-3, 3, 100)[:, None]
    net, adam = (
        partial(mlp, 1, 32, 1, act=bp.Tanh, loss=bp.MSELoss(), seed=seed),
        with_optimizer(bp.Adam, lr=0.01),
    )
    yield (
        "S11",
        {"target-out-of-range"},
        Patient(net(last=(bp.Sigmoid(),)), x, np.sin(x), adam),
        Patient(net(), x, np.sin(x), adam),
    )
    r = np.random.default_rng(seed)
    x = r.normal(size=(500, 2))
    y, sgd = x @ [[1.0], [2.0]] + 0.1 * r.normal(size=(500, 1)), with_optimizer(bp.SGD, lr=0.1)
    net = partial(bp.Network, bp.Linear(2, 1, rng=seed))
    yield (
        "S13",
        {"loss-summed"},
        Patient(net(loss=bp.MSELoss("sum")), x, y, sgd),
        Patient(bp.Network(bp.Linear(2, 1, rng=seed), loss=bp.MSELoss()), x, y, sgd),
    )


def start_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    x, y = clouds(seed=seed)
    sgd = with_optimizer(bp.SGD, lr=0.1)
    for value in (0.0, 0.5):
        sick = set_all(mlp(2, 8, 3, seed=seed), value)
        yield (
            f"S15, {value}",
            {"start-constant"},
            Patient(sick, x, y, sgd),
            Patient(mlp(2, 8, 3, seed=seed), x, y, sgd),
        )
    deep = partial(mlp, 2, 50, 50, 50, 50, 3, seed=seed)
    yield "S20", {"vanishing"}, Patient(deep(act=bp.Sigmoid), x, y, sgd), Patient(deep(), x, y, sgd)
    x = np.random.default_rng(seed).uniform(1, 6, size=(50, 5))
    y, sgd = x.sum(axis=1, keepdims=True), with_optimizer(bp.SGD, lr=0.05)
    yield (
        "S18",
        {"dead-from-start"},
        Patient(unlucky(seed), x, y, sgd),
        Patient(unlucky(seed), (x - x.mean(0)) / x.std(0), y, sgd),
    )
    x, y = clouds(500, 10, 0.3, seed)
    x = x @ np.random.default_rng(seed).normal(size=(2, 20)) / 2
    net = partial(mlp, 20, 32, 32, 32, 32, 10, seed=seed)
    fast, slow = (with_optimizer(bp.Adam, lr=lr) for lr in (1.0, 0.001))
    yield "S19", {"dead-from-rate", "rate-too-large"}, Patient(net(), x, y, fast), Patient(net(), x, y, slow)


def gradient_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    r, wrong = np.random.default_rng(seed), {"gradient-wrong"}
    x, y = np.array([[-3.0], [-2], [2], [3]]), np.array([[0.0], [0], [1], [1]])
    pair = [bp.Network(kind(1, 1, rng=seed), loss=bp.BCEWithLogitsLoss()) for kind in (OwnOutput, bp.Linear)]
    for net in pair:
        net.parameters()[0].data[...] = -0.5
    yield "S23", wrong, Patient(pair[0], x, y), Patient(pair[1], x, y)
    x, y = clouds(seed=seed)

    def two(kind: Any, end: Any) -> bp.Network:
        layers = kind(2, 16, rng=seed), bp.ReLU(), end(16, 3, rng=seed + 1)
        return bp.Network(*layers, loss=bp.CrossEntropyLoss())

    well = Patient(two(bp.Linear, bp.Linear), x + 5, y)
    yield "S24", {"weights-changed-in-backward"}, Patient(two(bp.Linear, Hasty), x, y), well
    yield "S26", wrong, Patient(two(Total, Total), x + 5, y), well
    x, y = r.normal(size=(3, 4)), r.normal(size=(3, 3))
    square = [bp.Network(kind(4, 3, rng=seed), loss=bp.MSELoss()) for kind in (Rows, bp.Linear)]
    yield "S26, rows", wrong, Patient(square[0], x, y), Patient(square[1], x, y)
    x, y = r.normal(size=(40, 1, 6, 6)), r.integers(3, size=40)
    pooled = [
        bp.Network(
            bp.Conv2d(1, 4, 3, padding=1, rng=seed),
            bp.ReLU(),
            pool(2),
            bp.Flatten(),
            bp.Linear(36, 3, rng=seed),
            loss=bp.CrossEntropyLoss(),
        )
        for pool in (ReturnsEarly, bp.MaxPool2d)
    ]
    yield "S28", wrong, Patient(pooled[0], x, y), Patient(pooled[1], x, y)
    x, y = r.normal(size=(40, 5)), r.normal(size=(40, 1))
    gates = [
        bp.Network(Gates(typo, seed), bp.Linear(3, 1, rng=seed), loss=bp.MSELoss()) for typo in (True, False)
    ]
    yield "S30", {"parameter-without-effect"}, Patient(gates[0], x, y), Patient(gates[1], x, y)


def step_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    x, y = clouds(seed=seed)

    def patient(options: Options, at: np.ndarray = x, net: bp.Network | None = None) -> Patient:
        return Patient(net or mlp(2, 16, 3, seed=seed), at, y, options)

    sgd, still = with_optimizer(bp.SGD, lr=0.1), {"parameter-not-moved"}
    yield "S32", {"gradients-not-zeroed"}, patient(with_step(x, y, zero=False)), patient(with_step(x, y))
    part = with_optimizer(bp.SGD, lambda net: net[2].parameters(), lr=0.1)
    yield "S33", still, patient(part), patient(sgd)
    yield "S41", still, patient(with_optimizer(bp.SGD, only_weights, lr=0.1), x + 5), patient(sgd, x + 5)
    for kind in (NeverDecays, Forgets):
        sick, well = (with_optimizer(each, lr=0.1, momentum=0.9) for each in (kind, bp.SGD))
        yield f"S35, {kind.__name__}", {"optimizer-momentum"}, patient(sick), patient(well)
    best = [keeps_best(x, y, copied) for copied in (False, True)]
    yield "S46", {"weights-shared"}, patient(best[0]), patient(best[1])
    whole = whole_numbers(mlp(2, 16, 3, seed=seed))
    yield "S48", {"integer-weights"}, patient(nothing, net=whole), patient(nothing)


def mode_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    x, y = clouds(spread=1.5, seed=seed)
    for case, name, kind, p in (
        ("S38", "dropout-in-evaluation", Always, 0.5),
        ("S43", "dropout-scale", DividesByP, 0.1),
        ("S50", "dropout-off", Forever, 0.5),
    ):
        pair = [Patient(dropping(each, p, seed), x, y) for each in (kind, bp.Dropout)]
        yield case, {name}, *pair  # type: ignore[misc]
    place = np.broadcast_to(np.eye(8), (64, 8, 8))
    tokens = np.random.default_rng(seed).integers(5, size=(64, 9))
    x = np.concatenate([np.eye(5)[tokens[:, :-1]], place, np.zeros((64, 8, 3))], axis=2)
    readers = [
        bp.Network(
            bp.MultiHeadAttention(16, 2, causal=causal, rng=seed),
            bp.Linear(16, 5, rng=1),
            loss=bp.CrossEntropyLoss(),
        )
        for causal in (False, True)
    ]
    pair = [Patient(net, x, tokens[:, 1:], with_optimizer(bp.Adam, lr=0.02)) for net in readers]
    yield "S40", {"sees-the-future"}, *pair  # type: ignore[misc]


def ordered(words: str, lr: float = 0.2, decay: float = 0.0) -> Options:
    """A step of the user's own with random batches, its lines in this order."""

    def make(net: bp.Network) -> dict[str, Any]:
        optimizer, rng = bp.SGD(net.parameters(), lr=lr, weight_decay=decay), np.random.default_rng(4)
        x, y = clouds(seed=5)

        def loss() -> None:
            rows = rng.permutation(len(x))[:50]
            net.loss(x[rows], y[rows])

        def step() -> None:
            calls: dict[str, Callable[[], Any]] = {
                "loss": loss,
                "zero": optimizer.zero_grad,
                "back": net.backward,
                "step": optimizer.step,
            }
            for word in words.split():
                calls[word]()

        return {"step": step}

    return make


def scheduled(gamma: float) -> Options:
    def make(net: bp.Network) -> dict[str, Any]:
        x, y = clouds(seed=5)
        optimizer = bp.SGD(net.parameters(), lr=0.002)
        schedule = bp.ExponentialLR(optimizer, gamma)

        def step() -> None:
            net.loss(x, y)
            optimizer.zero_grad()
            net.backward()
            optimizer.step()
            schedule.step()

        for _ in range(30):
            step()
        return {"step": step}

    return make


def pairing(x: np.ndarray, y: np.ndarray, kept: bool) -> Options:
    def make(net: bp.Network) -> dict[str, Any]:
        optimizer, rng = bp.Adam(net.parameters(), lr=0.01), np.random.default_rng(2)

        def step() -> None:
            rows = rng.permutation(len(x))[:40]
            net.loss(x[rows], y[rows if kept else rng.permutation(rows)])
            optimizer.zero_grad()
            net.backward()
            optimizer.step()

        return {"step": step}

    return make


def lost_cases(seed: int) -> Iterator[tuple[str, set[str], Patient, Patient]]:
    """What never arrives: numbers, gradients, steps, the y that belongs to an x."""
    r = np.random.default_rng(seed)
    x, y = clouds(seed=5)
    table = r.normal(size=(120, 5))
    sums, holes = table[:, :1] - table[:, 1:2], table[:, :1] - table[:, 1:2]
    holes[[3, 40]] = np.nan
    line = partial(mlp, 5, 12, 1, act=bp.Tanh, loss=bp.MSELoss(), seed=seed)
    yield "nan in y", {"input-not-finite"}, Patient(line(), table, holes), Patient(line(), table, sums)
    net = partial(mlp, 2, 14, 3, seed=seed)
    ran_away = net()
    ran_away.parameters()[2].data[1, 1] = np.inf
    yield "inf in a weight", {"not-finite"}, Patient(ran_away, x, y), Patient(net(), x, y)
    well = Patient(net(), x, y, ordered("loss zero back step"))
    for words in ("loss back zero step", "zero loss step back", "loss zero back", "zero loss step"):
        yield words, {"parameter-not-moved"}, Patient(net(), x, y, ordered(words)), well
    yield "no gradient", {"parameter-not-moved"}, Patient(net(), x, y, ordered("zero step", 0.2, 0.01)), well
    yield "rate 0", {"rate-zero"}, Patient(net(), x, y, ordered("loss zero back step", 0.0)), well
    fades, stays = (Patient(net(), x, y, scheduled(gamma)) for gamma in (0.6, 0.999))
    yield "a schedule that ends", {"rate-too-small"}, fades, stays
    torn, kept = (Patient(net(), x, y, pairing(x, y, kept)) for kept in (False, True))
    yield "torn pairs", {"labels-torn"}, torn, kept
    alone = mlp(5, 10, 1, last=(bp.Softmax(),), loss=bp.BCEWithLogitsLoss(), seed=seed)
    yes = (sums > 0).astype(int)
    well = Patient(mlp(5, 10, 1, loss=bp.BCEWithLogitsLoss(), seed=seed), table, yes)
    yield "softmax of one", {"output-activation"}, Patient(alone, table, yes), well
    walks = r.normal(size=(100, 9, 2))
    far = 2.5 * walks[:, :, :1].sum(axis=1)
    bare = bp.Network(bp.GRU(2, 1, rng=seed), bp.Last(), loss=bp.MSELoss())
    ends = bp.GRU(2, 6, rng=seed), bp.Last(), bp.Linear(6, 1, rng=seed)
    well = Patient(bp.Network(*ends, loss=bp.MSELoss()), walks, far)
    yield "a recurrent end", {"target-out-of-range"}, Patient(bare, walks, far), well


GROUPS = data_cases, loss_cases, start_cases, gradient_cases, step_cases, mode_cases, lost_cases


def cases(seed: int = 0) -> dict[str, tuple[set[str], Patient, Patient]]:
    """Each case's names, the sick one and its healthy twin."""
    return {name: (names, sick, well) for group in GROUPS for name, names, sick, well in group(seed)}
