"""The clinic: each case is named, its twin is not, and nothing is changed by looking."""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import backprop_core as bp
from literate.chapter import BOOK
from tests import clinic_grids as grids
from tests.clinic_cases import (
    Always,
    Careless,
    DividesByP,
    Forever,
    Forgets,
    Hasty,
    Options,
    Patient,
    ReturnsEarly,
    Total,
    cases,
    clouds,
    dropping,
    keeps_best,
    mlp,
    set_all,
    whole_numbers,
    with_optimizer,
    with_step,
)
from tests.clinic_grids import ACTIVATIONS, KINDS, LABELS, NUMBERS, SIZES, TABLE, R, given, trained

CASES = cases()
X, Y = clouds(400, 4, seed=3)


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_named_first_or_second(case: str) -> None:
    wanted, sick, _ = CASES[case]
    assert wanted & set(sick.names()[:2])


@pytest.mark.parametrize("case", {id(well): case for case, (_, _, well) in CASES.items()}.values())
def test_its_healthy_twin_has_no_finding(case: str) -> None:  # each once: some cases share theirs
    assert CASES[case][2].names() == []


def net(*last: bp.Layer, act: Any = bp.ReLU, loss: Any = None, hidden: int = 12) -> bp.Network:
    return mlp(6, hidden, 2, act=act, last=last, loss=loss, seed=5)


def regression(*last: bp.Layer, act: Any = bp.Tanh, loss: Any = None) -> bp.Network:
    return mlp(6, 12, 1, act=act, last=last, loss=loss or bp.MSELoss(), seed=5)


def deep(act: Any, depth: int, scale: float = 1.0) -> bp.Network:
    made = mlp(*[6, *depth * [30], 2], act=act, seed=5)
    for p in made.parameters():
        p.data *= scale
    return made


def changed(made: bp.Network, change: Callable[[list[bp.Parameter]], None]) -> bp.Network:
    change(made.parameters())
    return made


def bias(value: float) -> Callable[[list[bp.Parameter]], None]:
    def change(parameters: list[bp.Parameter]) -> None:
        parameters[1].data[...] = value

    return change


def scaled(by: float) -> Callable[[list[bp.Parameter]], None]:
    def change(parameters: list[bp.Parameter]) -> None:
        for p in parameters:
            p.data *= by

    return change


class Mute(bp.Linear):
    def accumulate(self, grad_output: Any) -> None:
        self.weight.grad += self._saved().T @ np.asarray(grad_output)  # and nothing for the bias


class Unused(bp.Linear):
    def __init__(self, *sizes: Any, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.scale = bp.Parameter(np.ones(3))


class Uncorrected(bp.Adam):
    def _direction(self) -> np.ndarray:
        m, v = self.state["m"], self.state["v"]
        m *= self.betas[0]
        m += (1 - self.betas[0]) * self._grad
        v *= self.betas[1]
        v += (1 - self.betas[1]) * self._grad**2
        return m / (np.sqrt(v) + self.eps)


class Own(bp.Optimizer):
    """Momentum whose settings are its own; with the slip it never fades."""

    slip = False

    def __init__(self, parameters: Any, lr: float = 0.1, momentum: float = 0.9) -> None:
        super().__init__(parameters, lr, momentum=momentum)
        self.velocity: Any = np.zeros_like(self._data)

    def _direction(self) -> np.ndarray:
        self.velocity = (1.0 if self.slip else self.momentum) * self.velocity + self._grad
        return self.velocity


class Raw(bp.Optimizer):
    """Adam without the correction, its averages in attributes of its own."""

    def __init__(self, params: Any, lr: float = 0.001) -> None:
        super().__init__(params, lr)
        self.params = params
        self.m = self.v = np.zeros_like(self._data)

    def _direction(self) -> np.ndarray:
        self.m = 0.9 * self.m + 0.1 * self._grad
        self.v = 0.999 * self.v + 0.001 * self._grad**2
        return self.m / (np.sqrt(self.v) + 1e-8)


class Near(bp.MSELoss):
    """How near the answers are, at most 1: without a minus it rewards those that are far off."""

    sign = 1

    def value_and_slope(self, x: Any, target: Any) -> tuple:
        near = self.sign * np.exp(-((x - target) ** 2) / 2)
        return near, (target - x) * near


class Off(Near):
    sign = -1


class Block(bp.Layer):
    """Two matrices with a ReLU between them, and a bias of this height."""

    def __init__(self, bias: float) -> None:
        draw = np.random.default_rng(0)
        self.first, self.second = (bp.Parameter(draw.normal(size=(12, 12)) / 3) for _ in range(2))
        self.bias = bp.Parameter(np.zeros(12) + bias)

    def forward(self, x: Any) -> np.ndarray:
        self.x = np.array(x)
        self.fired = np.maximum(self.x @ self.first.data + self.bias.data, 0)
        return self.fired @ self.second.data

    def backward(self, grad_output: Any) -> np.ndarray:
        grad = (grad_output @ self.second.data.T) * (self.fired > 0)
        self.second.grad += self.fired.T @ grad_output
        self.first.grad += self.x.T @ grad
        self.bias.grad += grad.sum(axis=0)
        return grad @ self.first.data.T


class Bare(bp.Layer):
    """Its weights are plain arrays, which a step of one's own moves."""

    def __init__(self, *size: int) -> None:
        self.weight = np.random.default_rng(0).normal(size=size) / 2

    def forward(self, x: Any) -> np.ndarray:
        self.x = np.array(x)
        return self.x @ self.weight

    def backward(self, grad_output: Any) -> np.ndarray:
        self.slope = self.x.T @ grad_output
        return grad_output @ self.weight.T


class Grows(bp.SGD):
    def _direction(self) -> np.ndarray:
        return self._grad - 0.1 * self._data


class Sets(bp.Linear):
    def accumulate(self, grad_output: Any) -> None:
        self.zero_grad()
        super().accumulate(grad_output)


class Frozen(bp.BatchNorm1d):
    def _track(self, *measured: Any) -> None:
        pass


class Root(bp.BatchNorm1d):
    def _track(self, mean: np.ndarray, variance: np.ndarray, n: int) -> None:
        super()._track(mean, variance * 100, n)


class OfTheBatch(bp.Layer):
    def forward(self, x: Any) -> np.ndarray:
        return x - np.mean(x, axis=0)

    def backward(self, grad_output: Any) -> np.ndarray:
        return grad_output - np.mean(grad_output, axis=0)


def between(*layers: bp.Layer) -> bp.Network:
    ends = bp.Linear(6, 12, rng=0), bp.Linear(12, 2, rng=1)
    return bp.Network(ends[0], *layers, bp.ReLU(), ends[1], loss=bp.CrossEntropyLoss())


def clip(made: bp.Network) -> None:
    bp.clip_grad_norm_(made.parameters(), 1e-3)


def stuck() -> bp.Network:
    """XOR with every hidden unit switched off by its bias, all but one answer the same."""
    made = mlp(2, 4, 1, loss=bp.BCEWithLogitsLoss(), seed=2)
    first, shift, second, last = made.parameters()
    first.data[...], shift.data[...] = abs(first.data) + 0.2, -0.05
    second.data[...], last.data[...] = -abs(second.data), 0.5
    return made


XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
WRAPPED = R.normal(0, 25, size=(100, 6)).astype(int).astype(np.uint8)
TOKENS = R.integers(7, size=(60, 9))
CURVED = (np.sum(TABLE[:, :2] ** 2, axis=1) > 1.4).astype(int)


def last_bias(value: float) -> bp.Network:
    made = net()
    made.parameters()[-1].data[0] = value
    return made


def reader(causal: bool) -> bp.Network:
    rng = np.random.default_rng(0)
    return bp.Network(
        bp.Embedding(7, 8, rng=rng),
        bp.PositionEmbedding(8, 8, rng=rng),
        bp.TransformerBlock(8, 2, causal=causal, rng=rng),
        bp.Linear(8, 7, rng=rng),
        loss=bp.CrossEntropyLoss(),
    )


def negated(kind: Any) -> Any:
    """The loss without its minus, or with one too many."""

    class Negated(kind):
        def value_and_slope(self, x: Any, target: Any) -> tuple:
            value, slope = super().value_and_slope(x, target)
            return -value, -slope

    return Negated


def uphill(made: bp.Network) -> None:
    for p in made.parameters():
        p.grad *= -1


def validates(made: bp.Network, late: bool = False) -> dict[str, Any]:
    """A step with a look at other data, before backward or where it belongs."""
    optimizer = bp.SGD(made.parameters(), lr=0.1)

    def step() -> None:
        if late:
            made.loss(-TABLE, LABELS)
        made.loss(TABLE, LABELS)
        optimizer.zero_grad()
        if not late:
            made.loss(-TABLE, LABELS)
        made.backward()
        optimizer.step()
        made.loss(-TABLE, LABELS)

    return {"step": step}


def halving(made: bp.Network) -> dict[str, Any]:
    """A schedule that halves the rate after every step."""
    optimizer = bp.SGD(made.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        optimizer.zero_grad()
        made.backward()
        optimizer.step()
        optimizer.lr *= 0.5

    return {"step": step}


class Lowers(bp.Layer):
    """Writes into the rows that it is given; the twin makes new ones."""

    in_place = True

    def forward(self, x: Any) -> np.ndarray:
        if self.in_place:
            x -= 0.5
            return x
        return x - 0.5

    def backward(self, grad_output: Any) -> np.ndarray:
        return np.asarray(grad_output)


class Lowered(Lowers):
    in_place = False


def lowering(first: bp.Layer) -> bp.Network:
    return bp.Network(first, *net().layers, loss=bp.CrossEntropyLoss())


def lowers(made: bp.Network, what: str = "x") -> dict[str, Any]:
    """A step that writes into its batch: into x, into y, or only into rows of its own."""
    optimizer = bp.SGD(made.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        x, y = (x if what == "x" else x.copy()), (y if what == "y" else y.copy())
        x -= 0.5
        y %= 1
        made.loss(x, y)
        optimizer.zero_grad()
        made.backward()
        optimizer.step()

    return {"step": step}


def spoilt(at: int | tuple, to: float, values: np.ndarray = TABLE) -> np.ndarray:
    """The values with a wild one, or a wild row, among them."""
    wild = values.copy()
    wild[at] = to
    return wild


def part(made: bp.Network) -> list[bp.Parameter]:
    return made.parameters()[2:]


def sick() -> Iterator[tuple[str, str, Patient]]:
    """For each name the probe that measures it, and somebody who has it."""
    still = TABLE.copy()
    still[:, 1] = 7.0
    order, few = np.argsort(LABELS, kind="stable"), (TABLE[:, 0] > 1.7).astype(int)
    sgd, fast = with_optimizer(bp.SGD, lr=0.1), with_optimizer(bp.Adam, lr=1.0)
    moved = Patient(net(), TABLE, LABELS, lambda _: {"x_test": TABLE + 5, "y_test": LABELS})
    yield "input-changed", "_written_signs", Patient(lowering(Lowers()), TABLE.copy(), LABELS)
    yield "outlier", "_wild_signs", Patient(net(), spoilt(7, 1e4), LABELS)
    yield "labels-shuffled", "_shuffled_signs", Patient(mlp(2, 16, 4), X, R.permutation(Y))
    torn = with_step(TABLE, np.roll(LABELS, 1))
    yield "labels-torn", "_row_signs", Patient(net(), TABLE, LABELS, torn)
    yield "labels-sorted", "_label_signs", Patient(net(), TABLE[order], LABELS[order])
    yield "labels-unbalanced", "_label_signs", Patient(net(), TABLE, few)
    yield "input-not-finite", "_input_signs", Patient(net(), spoilt((3, 2), np.inf), LABELS)
    yield "not-finite", "_finite_signs", Patient(changed(net(), bias(np.nan)), TABLE, LABELS)
    yield "input-constant-column", "_input_signs", Patient(net(), still, LABELS)
    yield "input-integer-wrapped", "_input_signs", Patient(net(), WRAPPED, LABELS[:100])
    yield "input-scale", "_scale_signs", Patient(net(), 100 * TABLE, LABELS)
    yield "input-columns-differ", "_scale_signs", Patient(net(), TABLE * [1, 1, 1, 500, 1, 1], LABELS)
    yield "test-data-differ", "_test_signs", moved
    again = Patient(net(), TABLE, LABELS, given({"x_test": TABLE[:50], "y_test": LABELS[:50]}))
    yield "test-rows-in-training", "_test_signs", again
    yield "loss-broadcast", "_loss_signs", Patient(regression(loss=Careless()), TABLE, NUMBERS[:, 0])
    yield "loss-summed", "_loss_signs", Patient(net(loss=bp.CrossEntropyLoss("sum")), TABLE, LABELS)
    yield "loss-sign", "_loss_signs", Patient(net(loss=negated(bp.CrossEntropyLoss)()), TABLE, LABELS)
    yield "softmax-twice", "_loss_signs", Patient(net(bp.Softmax()), TABLE, LABELS)
    yield "softmax-wrong-axis", "_loss_signs", Patient(net(bp.Softmax(axis=0)), TABLE, LABELS)
    yield "target-out-of-range", "_loss_signs", Patient(regression(bp.Tanh()), TABLE, 5 * NUMBERS)
    yield "output-activation", "_loss_signs", Patient(net(bp.ReLU()), TABLE, LABELS)
    yield "start-constant", "_constant_signs", Patient(set_all(net(act=bp.Tanh), 0.1), TABLE, LABELS)
    yield "start-too-large", "_start_signs", Patient(deep(bp.Tanh, 2, 40.0), TABLE, LABELS)
    yield "start-too-small", "_start_signs", Patient(deep(bp.ReLU, 3, 0.01), TABLE, LABELS)
    yield "no-hidden-layer", "_affine_signs", Patient(mlp(2, 2), TABLE[:, :2], CURVED)
    yield "activation-missing", "_affine_signs", Patient(net(act=bp.Flatten), TABLE, LABELS)
    yield "dead-from-start", "_start_signs", Patient(changed(net(), bias(-9.0)), TABLE, LABELS)
    yield "dead-from-rate", "_rate_signs", Patient(deep(bp.ReLU, 4), TABLE, LABELS, fast)
    yield "saturated", "_start_signs", Patient(changed(regression(), bias(-12.0)), TABLE, NUMBERS)
    yield "vanishing", "_start_signs", Patient(deep(bp.Sigmoid, 6), TABLE, LABELS)
    yield "exploding", "_start_signs", Patient(deep(bp.LeakyReLU, 12, 8.0), TABLE, LABELS)
    yield (
        "rate-too-large",
        "_rate_signs",
        Patient(regression(), TABLE, NUMBERS, with_optimizer(bp.SGD, lr=50.0)),
    )
    yield (
        "rate-too-small",
        "_rate_signs",
        Patient(regression(), TABLE, NUMBERS, with_optimizer(bp.SGD, lr=1e-6)),
    )
    yield (
        "gradient-wrong",
        "_gradient_signs",
        Patient(between(Total(12, 12, rng=2), bp.Tanh()), TABLE, LABELS),
    )
    yield (
        "gradient-missing",
        "_gradient_signs",
        Patient(between(bp.ReLU(), Mute(12, 12, rng=2)), TABLE, LABELS),
    )
    yield (
        "parameter-without-effect",
        "_gradient_signs",
        Patient(between(bp.Tanh(), Unused(12, 12)), TABLE, LABELS),
    )
    yield (
        "parameter-not-moved",
        "_step_signs",
        Patient(net(), TABLE, LABELS, with_optimizer(bp.SGD, part, lr=0.1)),
    )
    yield (
        "gradients-not-zeroed",
        "_zero_signs",
        Patient(net(), TABLE, LABELS, with_step(TABLE, LABELS, zero=False)),
    )
    yield (
        "weights-changed-in-backward",
        "_gradient_signs",
        Patient(between(bp.ReLU(), Hasty(12, 12)), TABLE, LABELS),
    )
    yield (
        "optimizer-correction",
        "_optimizer_signs",
        Patient(net(), TABLE, LABELS, with_optimizer(Uncorrected)),
    )
    forgets = with_optimizer(Forgets, lr=0.01, momentum=0.8)
    yield "optimizer-momentum", "_optimizer_signs", Patient(net(), TABLE, LABELS, forgets)
    yield "decay-sign", "_optimizer_signs", Patient(net(), TABLE, LABELS, with_optimizer(Grows, lr=0.01))
    yield (
        "clipping-misplaced",
        "_step_signs",
        Patient(net(), TABLE, LABELS, with_step(TABLE, LABELS, after=clip)),
    )
    yield "dropout-in-evaluation", "_batch_signs", Patient(dropping(Always, 0.2), X, Y % 3)
    yield "dropout-scale", "_dropout_signs", Patient(dropping(DividesByP, 0.2), X, Y % 3)
    yield "dropout-off", "_dropout_signs", Patient(dropping(Forever), X, Y % 3)
    rare = between(bp.Dropout(0.97, rng=0))
    yield "dropout-too-strong", "_rate_signs", Patient(rare, TABLE, LABELS, with_optimizer(bp.Adam, lr=0.01))
    yield "statistics-frozen", "_statistics_signs", Patient(between(Frozen(12)), TABLE, LABELS)
    yield "statistics-differ", "_statistics_signs", Patient(between(Root(12)), TABLE, LABELS)
    yield "batch-dependent", "_batch_signs", Patient(between(OfTheBatch()), TABLE, LABELS)
    yield "sees-the-future", "_future_signs", Patient(reader(False), TOKENS[:, :-1], TOKENS[:, 1:])
    yield "weights-shared", "_shared_signs", Patient(net(), TABLE, LABELS, keeps_best(TABLE, LABELS, False))
    yield "integer-weights", "_constant_signs", Patient(whole_numbers(net()), TABLE, LABELS)
    yield "restart-helps", "_restart_signs", Patient(stuck(), *XOR, sgd)
    decays, resting = with_optimizer(bp.SGD, lr=0.3, weight_decay=3.0), with_optimizer(bp.SGD, lr=0.0)
    far, adam = 300 + 30 * NUMBERS, with_optimizer(bp.Adam, lr=0.01)
    yield "decay-too-strong", "_rate_signs", Patient(net(), TABLE, LABELS, decays)
    yield "target-scale", "_rate_signs", Patient(regression(act=bp.ReLU), TABLE, far, adam)
    yield "stuck-at-one-answer", "_rate_signs", Patient(net(), TABLE, LABELS, halving)
    yield "first-loss-too-high", "_start_signs", Patient(last_bias(30.0), TABLE, LABELS)
    yield "rate-zero", "_step_signs", Patient(net(), TABLE, LABELS, resting)
    yield "step-uphill", "_step_signs", Patient(net(), TABLE, LABELS, with_step(TABLE, LABELS, before=uphill))
    yield "gradient-of-other-data", "_row_signs", Patient(net(), TABLE, LABELS, validates)
    sets = Patient(between(bp.Tanh(), Sets(12, 12, rng=2)), TABLE, LABELS)
    yield "gradient-overwritten", "_gradient_signs", sets


SICK = {name: (probe, patient) for name, probe, patient in sick()}


def test_every_name_has_a_patient_a_cause_and_a_section_that_exists() -> None:
    book = Path(bp.__file__).parent / "book"
    assert list(SICK) and set(SICK) == set(bp._CAUSES)
    for because, cure, section in bp._CAUSES.values():
        number, _, title = section.partition(", ")
        (chapter,) = book.glob(f"{int(number):02}-*.md")
        assert re.search(rf"^#+ {re.escape(title)}$", chapter.read_text(encoding="utf8"), re.M), section
        assert because and cure


def badly_said(sentence: str) -> bool:
    """Must not begin with code or a name, which a capital would break; must end once."""
    first = sentence.split()[0].rstrip(",:")
    is_word = first.isalpha() and first == first.capitalize()
    names = {name for name in vars(bp) if name == name.lower()}
    return not is_word or first.lower() in names or not re.search(r"[\w)…][.?]$", sentence)


def test_cures_are_sentences_that_begin_with_a_word_and_name_what_exists() -> None:
    broken = ("kaiming_normal_, with zero biases.", "Kaiming_normal_.", "P.data.copy().", "Causal=True.")
    assert all(map(badly_said, (*broken, "In order?.", "No stop", "Gradcheck it.")))
    said = [text for row in bp._CAUSES.values() for text in row[:2]]
    assert [text for text in said if badly_said(text)] == []
    named = {name for text in said for name in re.findall(r"\b[a-z]+_[a-z_]+\b", text)}
    attributes = {*dir(bp), *dir(bp.Optimizer), *dir(bp.Parameter([1.0])), "weight_decay"}
    assert len(named) > 4 and named <= attributes, named - attributes


@pytest.mark.parametrize("name", SICK)
def test_a_patient_of_each_name_is_found(name: str) -> None:
    assert name in SICK[name][1].names()[:2]


def names_without(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the patient of a name is told when its probe is left out."""
    probe, patient = SICK[name]
    others = [entry for entry in bp._PROBES if entry[1].__name__ != probe]
    assert len(others) == len(bp._PROBES) - 1
    monkeypatch.setattr(bp, "_PROBES", others)
    found = bp.diagnose(patient.net, patient.x, patient.y, **patient.options(patient.net)).findings
    return [finding.name for finding in found]


@pytest.mark.parametrize("name", list(SICK)[::8])  # the proofs take all of them
def test_without_its_measurement_the_name_is_not_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name not in names_without(name, monkeypatch)


WRITERS: dict[str, tuple[Any, Any, str]] = {
    "layer": (Lowers(), lambda made: {}, "network"),
    "layer in training": (Lowers(), lambda made: with_step(TABLE.copy(), LABELS)(made), "network"),
    "step": (Lowered(), lowers, "step"),
    "step, y": (Lowered(), partial(lowers, what="y"), "step"),
}


@pytest.mark.parametrize("rows", [6, 200, 400])
@pytest.mark.parametrize("who", WRITERS)
def test_whoever_writes_into_the_data_is_named_and_they_stay_as_they_were(who: str, rows: int) -> None:
    first, options, where = WRITERS[who]
    x, y = np.tile(TABLE, (2, 1))[:rows], np.tile(LABELS, 2)[:rows]
    given = x, y, x + 0.1, y.copy()
    before = [array.copy() for array in given]
    made = lowering(first)
    told = bp.diagnose(made, x, y, x_test=given[2], y_test=given[3], **options(made))
    assert [(one.name, one.where, one.figure) for one in told.findings] == [
        ("input-changed", where, "x or y has other values after it")
    ]
    assert all(old.tobytes() == now.tobytes() for old, now in zip(before, given, strict=True))


@pytest.mark.parametrize("mixes", [True, False])
def test_a_step_that_writes_into_the_callers_own_rows_leaves_them(mixes: bool) -> None:
    """The step takes no arguments and refers to x itself; to change the order of both is no fault."""
    made, x, y = net(), TABLE.copy(), LABELS.copy()
    optimizer, rng = bp.SGD(made.parameters(), lr=0.1), np.random.default_rng(0)

    def step() -> None:
        order = rng.permutation(len(x))
        x[...], y[...] = x[order] - (0 if mixes else 0.5), y[order]
        made.loss(x, y)
        optimizer.zero_grad()
        made.backward()
        optimizer.step()

    names = [one.name for one in bp.diagnose(made, x, y, step=step).findings]
    assert names == ([] if mixes else ["input-changed"])
    assert np.array_equal(x, TABLE) and np.array_equal(y, LABELS)


def test_a_step_that_lowers_a_copy_of_its_rows_is_no_fault() -> None:
    assert Patient(net(), TABLE + 0.5, 0 * LABELS, partial(lowers, what="")).names() == ["labels-unbalanced"]
    assert Patient(lowering(Lowered()), TABLE, LABELS).names() == []


WILD: dict[str, tuple[Any, Any, str]] = {
    "a row": (7, 1e4, "row 7"),
    "an entry": ((7, 2), 1e4, "row 7"),
    "two rows": (([7, 90],), 1e4, "row 7"),
}


@pytest.mark.parametrize("kind", WILD)
def test_one_wild_row_is_named_and_after_it_is_mended_nothing_is(kind: str) -> None:
    at, value, where = WILD[kind]
    (found,) = bp.diagnose(net(), spoilt(at, value), LABELS).findings
    assert (found.name, found.where) == ("outlier", f"x, {where}")
    kept = np.delete(np.arange(len(TABLE)), [7, 90])
    assert Patient(net(), spoilt(at, value)[kept], LABELS[kept]).names() == []


@pytest.mark.parametrize("value", [20.0, 100.0, 1000.0])
def test_one_wild_target_is_named_and_after_it_is_mended_nothing_is(value: float) -> None:
    wild, adam = spoilt(7, value * NUMBERS.std(), NUMBERS), with_optimizer(bp.Adam, lr=0.01)
    patient = Patient(regression(), TABLE, wild, adam)
    assert patient.names() == ([] if value < 100 else ["outlier"])
    kept = np.delete(np.arange(len(TABLE)), 7)
    assert Patient(regression(), TABLE[kept], NUMBERS[kept], adam).names() == []


@pytest.mark.parametrize("seed", range(4))
def test_long_tails_are_not_wild(seed: int) -> None:
    """Log-normal and t-distributed columns and targets, and what is only too wide: never an outlier."""
    rng = np.random.default_rng(seed)
    z, t = rng.normal(size=(1000, 6)), rng.standard_t(3, size=(1000, 6))

    def names(x: np.ndarray, y: np.ndarray) -> list[str]:
        return Patient(mlp(6, 24, 1, loss=bp.MSELoss()), x, y).names()

    assert names(np.exp(z), z[:, :1]) == names(z, np.exp(2 * z[:, :1])) == names(t, t[:, :1]) == []
    assert names(np.exp(2.5 * z), z[:, :1]) == ["input-scale"]


@pytest.mark.parametrize("kind", ["BCEWithLogitsLoss", "CrossEntropyLoss"])
def test_what_a_teacher_is_unsure_of_is_not_wild(kind: str) -> None:
    rng = np.random.default_rng(0)
    y = np.clip(rng.normal(0.99, 0.001, (300, 1)), 0, 1)
    y[[7, 150]] = 0.02
    many = kind == "CrossEntropyLoss"
    made = mlp(6, 24, 1 + many, loss=getattr(bp, kind)())
    found = Patient(made, rng.normal(size=(300, 6)), np.c_[y, 1 - y] if many else y).names()
    assert "outlier" not in found


class PassedBy(bp.Network):
    """Layers that backward goes past, without coming to them."""

    def backward(self, grad_output: Any = None) -> np.ndarray:
        return np.asarray(grad_output)


class Breaks(bp.Tanh):
    def backward(self, grad_output: Any) -> np.ndarray:
        raise KeyError("mask")


class OneColumn(bp.Tanh):
    def backward(self, grad_output: Any) -> np.ndarray:
        return super().backward(grad_output)[:, :1]


def faint() -> bp.Network:
    """Reads twelve steps, with so little memory that the last one knows nothing of the first."""
    memory = bp.RNN(3, 8, rng=0)
    memory.recurrent.data *= 0.01
    return bp.Network(memory, bp.Last(), bp.Linear(8, 2, rng=1), loss=bp.CrossEntropyLoss())


LONG = np.random.default_rng(8).normal(size=(100, 12, 3))
ON_THE_WAY = {
    "never": (between(PassedBy(bp.Linear(12, 12, rng=2))), TABLE[:100], "gradient-missing", "never comes"),
    "fails": (between(Breaks()), TABLE[:100], "gradient-wrong", "backward fails: 'mask'"),
    "shape": (between(OneColumn()), TABLE[:100], "gradient-wrong", r"shape \(5, 1\), not \(5, 12\)"),
    "steps": (faint(), LONG, "vanishing", "at the last step"),
}


@pytest.mark.parametrize("kind", ON_THE_WAY)
def test_a_gradient_lost_on_the_way_is_named_with_what_happened_to_it(kind: str) -> None:
    made, x, name, figure = ON_THE_WAY[kind]
    found = bp.diagnose(made, x, LABELS[:100]).findings
    assert any(one.name == name and re.search(figure, one.figure) for one in found), found


PATTERNS: dict[str, Any] = {
    "sign": lambda g: -g,
    "factor: 3": lambda g: 3 * g,
    "sum against mean": lambda g: g / 5,
    "transposed": lambda g: g.T,
    "all the same": None,
    "missing": lambda g: 0 * g,
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_pattern_of_a_wrong_gradient_is_named(pattern: str) -> None:
    class Wrong(bp.Linear):
        def accumulate(self, grad_output: Any) -> None:
            before = self.weight.grad.copy()
            super().accumulate(grad_output)
            change = PATTERNS[pattern] or (lambda g: g)
            self.weight.grad[...] = before + change(self.weight.grad - before)
            if pattern == "all the same":
                self.bias.grad[...] = np.sum(grad_output)

    made = between(bp.Tanh(), Wrong(12, 12, rng=3))
    found = bp.diagnose(made, TABLE, LABELS).findings[0]
    assert found.name in ("gradient-wrong", "gradient-missing") and found.figure.startswith(pattern)
    assert found.where.endswith("bias" if pattern == "all the same" else "weight")


def test_a_missing_mask_is_named() -> None:
    class Leaky(bp.ReLU):
        def backward(self, grad_output: Any) -> np.ndarray:
            return np.asarray(grad_output)

    found = bp.diagnose(net(act=Leaky), TABLE, LABELS).findings[0]
    assert (found.name, found.figure[:12]) == ("gradient-wrong", "missing mask")


def misled() -> Iterator[tuple[str, Patient]]:
    """Healthy, though it looks odd."""
    frozen = with_step(TABLE, LABELS, before=lambda made: made[0].zero_grad())
    clipped = with_step(TABLE, LABELS, before=clip)
    flat = mlp(6, 2)
    zero = net()
    zero[2].weight.data[...] = zero[2].bias.data[...] = 0  # type: ignore[attr-defined, attr-defined]
    yield "a frozen layer", Patient(net(), TABLE, LABELS, frozen)
    yield "clipping in time", Patient(net(), TABLE, LABELS, clipped)
    yield "an encoder", Patient(reader(False), TOKENS[:, :-1], TOKENS[:, ::-1][:, 1:])
    yield "one layer for a flat task", Patient(flat, TABLE, LABELS)
    yield "the last layer begins at zero", Patient(zero, TABLE, LABELS, with_optimizer(bp.SGD, lr=0.1))
    yield "batch norm before any training", Patient(between(bp.BatchNorm1d(12)), TABLE, LABELS)
    yield "ReLU before a count", Patient(regression(bp.ReLU()), TABLE, np.floor(abs(3 * NUMBERS)))
    yield "float32", Patient(net().to("float32"), TABLE.astype(np.float32), LABELS)
    yield "few examples", Patient(net(), TABLE[:6], LABELS[:6])
    noise = R.normal(size=(200, 40))
    yield "noise to be learnt by heart", Patient(mlp(40, 12, 2), noise, R.integers(2, size=200))
    border = np.c_[np.maximum(TABLE[:, :4] + 2, 0), np.zeros((200, 2))]
    yield "a black border", Patient(net(), border, LABELS)
    yield "exact zeros", Patient(net(), np.round(TABLE), LABELS)
    weak = np.random.default_rng(2).normal(size=(2000, 3))
    tilt, chance = 0.2 * weak[:, :1], np.random.default_rng(3)
    yield (
        "a weak signal",
        Patient(mlp(3, 16, 1, loss=bp.MSELoss()), weak, tilt + chance.normal(size=tilt.shape)),
    )
    rare = (chance.random(2000) < 1 / (1 + np.exp(-2 * tilt[:, 0]))).astype(int)
    yield "a weak signal in labels", Patient(mlp(3, 16, 2), weak, rare)


def misled_by_habit() -> Iterator[tuple[str, Patient]]:
    """Odd as well, and usual in practice."""
    still = TABLE.copy()
    still[:, 2] = 0
    squeezed = bp.Network(bp.Linear(6, 2, rng=0), bp.Linear(2, 6, rng=1), loss=bp.MSELoss())
    thirds = np.arange(300) % 3
    row = np.c_[3.0 * thirds, np.zeros(300)] + 0.3 * R.normal(size=(300, 2))
    yield "a column that was constant, standardised", Patient(net(), still, LABELS)
    yield "principal components", Patient(squeezed, TABLE, TABLE)
    yield "three classes in a row", Patient(mlp(2, 3), row, thirds)
    yield "targets far from zero", Patient(regression(), TABLE, NUMBERS + 100)
    yield "inputs of size 5", Patient(net(), TABLE + 5, LABELS)


def grouped(kind: Any, **more: float) -> Callable[[bp.Network], dict[str, Any]]:
    """An optimizer that has other settings for weights than for biases."""

    def options(made: bp.Network) -> dict[str, Any]:
        kinds: dict[bool, list[bp.Parameter]] = {True: [], False: []}
        for name, parameter in made.named_parameters():
            kinds[name.endswith("weight")].append(parameter)
        weights = {"params": kinds[True], "weight_decay": 0.01, **more}
        return {"optimizer": kind([weights, {"params": kinds[False], "weight_decay": 0.0}], lr=0.01)}

    return options


def misled_by_a_loop() -> Iterator[tuple[str, Patient]]:
    """Usual ways to freeze, to step and to keep statistics."""

    def epoch(made: bp.Network) -> dict[str, Any]:
        optimizer, loader = bp.SGD(made.parameters(), lr=0.1), bp.DataLoader(TABLE, LABELS, 20, rng=0)

        def step() -> None:
            for x, y in loader:
                made.loss(x, y)
                optimizer.zero_grad()
                made.backward()
                optimizer.step()

        return {"step": step}

    def layer_by_layer(made: bp.Network) -> dict[str, Any]:
        optimizer, loss = bp.SGD(made.parameters(), lr=0.1), made.criterion
        assert loss is not None

        def step(x: Any, y: Any) -> None:
            optimizer.zero_grad()
            loss(made(x), y)
            grad = loss.backward()
            for layer in reversed(made.layers):
                grad = layer.backward(grad)
            optimizer.step()

        return {"step": step}

    frozen = [net(), net()]
    for made in frozen:
        for p in made.parameters()[:2]:
            p.requires_grad = False
    yield "frozen parameters", Patient(frozen[0], TABLE, LABELS, with_optimizer(bp.SGD, lr=0.1))
    yield "frozen parameters in a step", Patient(frozen[1], TABLE, LABELS, with_step(TABLE, LABELS))
    yield "a step that is an epoch", Patient(net(), TABLE, LABELS, epoch)
    yield "a step that goes layer by layer", Patient(net(), TABLE, LABELS, layer_by_layer)
    yield "an optimizer of one's own", Patient(net(), TABLE, LABELS, with_optimizer(Own))

    def noisy(made: bp.Network) -> dict[str, Any]:
        optimizer, draw = bp.SGD(made.parameters(), lr=0.1), np.random.default_rng(1)

        def step() -> None:
            made.loss(TABLE + 0.1 * draw.normal(size=TABLE.shape), LABELS)
            optimizer.zero_grad()
            made.backward()
            optimizer.step()
            made.loss(-TABLE, LABELS)

        return {"step": step}

    yield "a validation before the batch", Patient(net(), TABLE, LABELS, partial(validates, late=True))
    yield "rows with noise, validated", Patient(net(), TABLE, LABELS, noisy)
    slow, decays = with_optimizer(bp.SGD, lr=0.003), with_optimizer(bp.SGD, lr=0.1, weight_decay=0.01)
    yield "a slow descent", Patient(deep(bp.Tanh, 3), TABLE, LABELS, slow)
    yield "a usual decay", Patient(net(), TABLE, LABELS, decays)
    yield (
        "a decay and a momentum for weights only",
        Patient(net(), TABLE, LABELS, grouped(bp.SGD, momentum=0.9)),
    )
    yield "another rate for weights", Patient(net(), TABLE, LABELS, grouped(bp.SGD, lr=0.03))
    yield "Adam with a decay for weights only", Patient(net(), TABLE, LABELS, grouped(bp.AdamW))
    adam = with_optimizer(bp.Adam, lr=0.01)
    yield "inputs of size 5, trained", Patient(net(), TABLE + 5, LABELS, adam)
    yield "targets of size 3, trained", Patient(regression(), TABLE, NUMBERS + 3, adam)


class Noise(bp.Layer):
    """Adds noise in training, as it should, from a generator that everybody shares."""

    def forward(self, x: Any) -> np.ndarray:
        return x + SHARED.normal(0, 0.2, np.shape(x)) if self.training else x

    def backward(self, grad_output: Any) -> np.ndarray:
        return np.asarray(grad_output)


class ByChance(Noise):
    def forward(self, x: Any) -> np.ndarray:
        self.kept = np.random.random(np.shape(x)) > 0.3 if self.training else np.ones(np.shape(x))
        return x * self.kept / (0.7 if self.training else 1.0)

    def backward(self, grad_output: Any) -> np.ndarray:
        return grad_output * self.kept / 0.7


SHARED = np.random.default_rng(12)


class Skips(Noise):
    """Leaves the layers inside out now and then, in training."""

    def __init__(self) -> None:
        self.inner = bp.Network(bp.Linear(12, 12, rng=3), bp.Tanh())

    def forward(self, x: Any) -> np.ndarray:
        self.on = (SHARED.random() < 0.8) / 0.8 if self.training else 1.0
        return x + self.on * self.inner.forward(x)

    def backward(self, grad_output: Any) -> np.ndarray:
        return grad_output + self.inner.backward(self.on * np.asarray(grad_output))


def headed(times: float, *sizes: int, act: Any = bp.ReLU, loss: Any = None) -> bp.Network:
    """A last layer whose weights start small, or at 0."""
    made = mlp(*sizes, act=act, loss=loss, seed=9)
    made.parameters()[-2].data *= times
    return made


def misled_by_a_layer() -> Iterator[tuple[str, Patient]]:
    """Layers of one's own, and what they do to x or to the answers."""
    sgd = with_optimizer(bp.SGD, lr=0.1)
    for seed in range(4):
        yield (
            f"a depth by chance, {seed}",
            Patient(between(Skips(), bp.Linear(12, 12, rng=seed)), TABLE, LABELS),
        )
    yield "noise of one's own", Patient(between(Noise()), TABLE, LABELS, with_step(TABLE, LABELS))
    yield "dropout of one's own", Patient(between(ByChance()), TABLE, LABELS, with_step(TABLE, LABELS))
    yield "a head at 0", Patient(headed(0, 6, 20, 20, 2), TABLE, LABELS, sgd)
    two = np.c_[NUMBERS, -NUMBERS]
    yield "a head at 0 for numbers", Patient(headed(0, 6, 20, 2, loss=bp.MSELoss()), TABLE, two)
    yield "a small head", Patient(headed(0.01, 6, 24, 24, 1, act=bp.Tanh, loss=bp.MSELoss()), TABLE, NUMBERS)
    yield "a tiny head", Patient(headed(1e-4, 6, 24, 2), TABLE, LABELS)
    soft = bp.TapeLayer(lambda t: 20 * np.tanh(t / 20))
    yield "a soft cap", Patient(net(soft), TABLE, LABELS)

    def logarithms(t: Any) -> Any:
        z = t - t.data.max(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    yield "shares in logarithms", Patient(net(bp.TapeLayer(logarithms)), TABLE, LABELS)
    norm = bp.BatchNorm1d(6), bp.Linear(6, 14, rng=1), bp.Tanh(), bp.Linear(14, 2, rng=2)
    raw = TABLE * [1, 1, 1, 1, 1, 500] + [0, 0, 0, 9, 0, 0]
    yield "normalised inside", Patient(bp.Network(*norm, loss=bp.CrossEntropyLoss()), raw, LABELS)
    tenth = bp.TapeLayer(lambda t: t / 200), bp.Linear(6, 14, rng=1), bp.ReLU(), bp.Linear(14, 2, rng=2)
    yield "divided inside", Patient(bp.Network(*tenth, loss=bp.CrossEntropyLoss()), 200 * TABLE, LABELS)
    damped = with_optimizer(bp.SGD, lr=0.3, momentum=0.8, dampening=0.7)
    yield "dampening", Patient(net(), TABLE, LABELS, damped)
    early, rule = between(bp.BatchNorm1d(12)), None
    rule = bp.Adam(early.parameters(), lr=0.01)
    for _ in range(9):
        early.loss(TABLE + 4, LABELS)
        rule.zero_grad()
        early.backward()
        rule.step()
    yield "batch norm after nine steps", Patient(early, TABLE + 4, LABELS)


def early_sum(series: np.ndarray) -> np.ndarray:
    return (series[:, :5, 0].sum(axis=1) > 0).astype(int)


class Weighs(bp.BCEWithLogitsLoss):
    """Those that are few count for more."""

    def value_and_slope(self, x: Any, target: Any) -> tuple:
        value, slope = super().value_and_slope(x, target)
        return (1 + 19 * target) * value, (1 + 19 * target) * slope


def alike(made: bp.Network) -> dict[str, Any]:
    """As many of the few as of the others in each batch."""
    kinds, chance = [np.flatnonzero(FEW), np.flatnonzero(1 - FEW)], np.random.default_rng(0)

    def batch() -> tuple[np.ndarray, np.ndarray]:
        at = np.concatenate([chance.choice(rows, 9) for rows in kinds])
        return TABLE[at], FEW[at]

    return {"step": stepping(made, batch)}


FEW = (TABLE[:, 0] > 1.7).astype(int)
SHARES = np.bincount(FEW) / len(FEW)


def misled_by_the_few() -> Iterator[tuple[str, Patient]]:
    """Labels of which one is seldom, and is taken care of."""
    yield "few, with more weight", Patient(net(loss=bp.CrossEntropyLoss(weight=0.5 / SHARES)), TABLE, FEW)
    yield "few, with more weight in a loss of one's own", Patient(net1(Weighs()), TABLE, FEW[:, None])
    yield "few, drawn as often", Patient(net(), TABLE, FEW, alike)


def misled_by_the_data() -> Iterator[tuple[str, Patient]]:
    """Values that are few, borders of any height, answers that lie at the end."""
    signs = np.sign(TABLE)
    yield "ones of both signs", Patient(net(), signs, (signs[:, 0] * signs[:, 2] > 0).astype(int))
    yield "a game's board", Patient(net(), np.sign(np.round(TABLE)), LABELS)
    inner = np.zeros((150, 3, 6, 6))
    inner[:, :, 1:5, 1:5] = R.uniform(size=(150, 1, 4, 4))
    side = (inner[:, 0, :, :3].sum((1, 2)) > inner[:, 0, :, 3:].sum((1, 2))).astype(int)
    coloured = (inner - np.reshape([0.5, 0.4, 0.3], (3, 1, 1))) / 0.25
    eyes = bp.Conv2d(3, 5, 3, rng=0), bp.ReLU(), bp.Flatten(), bp.Linear(80, 2, rng=1)
    yield "coloured borders", Patient(bp.Network(*eyes, loss=bp.CrossEntropyLoss()), coloured, side)
    yield "coloured borders in a row", Patient(mlp(108, 16, 2, seed=2), coloured.reshape(150, -1), side)
    yield "white borders", Patient(mlp(36, 16, 2, seed=2), (0.3 - inner[:, 0]).reshape(150, -1) / 0.4, side)
    series = np.random.default_rng(6).normal(size=(150, 35, 2))
    late = (series[:, -4:, 1].sum(axis=1) > 0).astype(int)
    for kind in (bp.RNN, bp.GRU):
        hears = bp.Network(kind(2, 12, rng=3), bp.Last(), bp.Linear(12, 2, rng=4), loss=bp.CrossEntropyLoss())
        yield f"{kind.__name__}, asked about its end", Patient(hears, series, late)
    block = bp.TransformerBlock(8, 2, causal=False, rng=1)
    blocks = bp.Linear(2, 8, rng=0), block, bp.Last(), bp.Linear(8, 2, rng=2)
    reads = bp.Network(*blocks, loss=bp.CrossEntropyLoss())
    yield "a block of which the last place answers", Patient(reads, series[:, -9:], early_sum(series[:, -9:]))
    for act in (bp.GELU, bp.SiLU):
        yield f"nine layers of {act.__name__}", Patient(deep(act, 9), TABLE, LABELS)


class Halves(bp.Layer):
    """Layers in a list that stand side by side."""

    def __init__(self) -> None:
        self.layers = [bp.Linear(6, 6, rng=0), bp.Linear(6, 6, rng=1)]

    def forward(self, x: Any) -> np.ndarray:
        return np.concatenate([layer.forward(x) for layer in self.layers], axis=1)

    def backward(self, grad_output: Any) -> np.ndarray:
        grads = np.split(np.asarray(grad_output), 2, axis=1)
        return sum(layer.backward(g) for layer, g in zip(self.layers, grads, strict=True))  # type: ignore[return-value]


class Halved(Halves):
    """Spoils a gradient of a layer inside."""

    def backward(self, grad_output: Any) -> np.ndarray:
        dx = super().backward(grad_output)
        self.layers[1].weight.grad *= 0.5
        return dx


class Silent(bp.Tanh):
    """Its backward forgets to return."""

    def backward(self, grad_output: Any) -> Any:
        super().backward(grad_output)


class Table(bp.Layer):
    """An embedding that cuts its numbers off."""

    def __init__(self) -> None:
        self.rows = bp.Parameter(np.random.default_rng(0).normal(size=(90, 8)))

    def forward(self, x: Any) -> np.ndarray:
        self.ids = np.asarray(x).astype(int)
        return self.rows.data[self.ids].mean(axis=1)

    def backward(self, grad_output: Any) -> np.ndarray:
        every = np.repeat(np.asarray(grad_output)[:, None] / self.ids.shape[1], self.ids.shape[1], axis=1)
        np.add.at(self.rows.grad, self.ids, every)
        return np.zeros(self.ids.shape)


def taped(last: Any = lambda t: t) -> bp.Network:
    """A whole network on the tape."""
    draw = np.random.default_rng(0)
    weights = bp.Parameter(draw.normal(size=(6, 12)) / 2), bp.Parameter(draw.normal(size=(12, 2)) / 3)
    layer = bp.TapeLayer(lambda t, u, v: last(np.tanh(t @ u) @ v), *weights)
    return bp.Network(layer, loss=bp.CrossEntropyLoss())


def by_hand(sign: int = -1, rows: Any = None) -> Options:
    """A step that moves the weights itself; with rows, on a few of them."""

    def make(made: bp.Network) -> dict[str, Any]:
        chance = np.random.default_rng(0)

        def step(x: Any, y: Any) -> None:
            made.loss(x, y)
            made.zero_grad()
            made.backward()
            for p in made.parameters():
                p.data += sign * 0.05 * p.grad

        def draws() -> None:
            at = chance.integers(200, size=rows)
            step(TABLE[at], LABELS[at])

        return {"step": draws if rows else step}

    return make


def turned(made: bp.Network) -> dict[str, Any]:
    """A step that makes the gradient the step, and adds that."""

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        made.zero_grad()
        made.backward()
        for p in made.parameters():
            p.grad *= -0.1
            p.data += p.grad

    return {"step": step}


def decaying(made: bp.Network) -> dict[str, Any]:
    """A small decay, written into the gradient, once next to nothing is left of that."""
    rule = bp.Adam(made.parameters(), lr=0.02)

    def step(x: Any, y: Any, decay: float = 1e-3) -> None:
        made.loss(x, y)
        made.zero_grad()
        made.backward()
        for p in made.parameters():
            p.grad += decay * p.data
        rule.step()

    for _ in range(400):
        step(TABLE, LABELS, decay=0)
    return {"step": step}


def scratch(made: bp.Network) -> dict[str, Any]:
    """A step for layers whose weights are plain arrays."""

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        made.backward()
        for layer in (made[0], made[2]):
            layer.weight -= 0.3 * layer.slope  # type: ignore[attr-defined]

    return {"step": step}


def net1(loss: bp.Loss) -> bp.Network:
    return mlp(6, 12, 1, loss=loss, seed=5)


def in_two(made: bp.Network) -> dict[str, Any]:
    """A step for whom each label has a loss of its own."""
    rule, chance, y = bp.Adam(made.parameters(), lr=0.01), np.random.default_rng(0), LABELS[:, None]

    def step() -> None:
        rule.zero_grad()
        for label in (0, 1):
            rows = chance.choice(np.flatnonzero(label == LABELS), 9)
            made.loss(TABLE[rows], y[rows])
            made.backward()
        rule.step()

    return {"step": step}


def averages(made: bp.Network) -> dict[str, Any]:
    """A step with an average of the weights, which begins as the weights themselves."""
    rule = bp.SGD(made.parameters(), lr=0.1)
    means = [p.data for p in made.parameters()]

    def update(_: bp.Network) -> None:
        for mean, p in zip(means, made.parameters(), strict=True):
            mean += 0.1 * (p.data - mean)

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        rule.zero_grad()
        made.backward()
        rule.step()
        update(made)

    return {"step": step}


def renewed(every: int) -> Options:
    """Another optimizer for each batch, or for each epoch of so many batches."""

    def make(made: bp.Network) -> dict[str, Any]:
        def step(x: Any, y: Any) -> None:
            rule = bp.Adam(made.parameters(), lr=0.003)
            for rows in np.array_split(np.arange(len(x)), every):
                made.loss(x[rows], y[rows])
                rule.zero_grad()
                made.backward()
                rule.step()

        return {"step": step}

    return make


def misled_by_a_form() -> Iterator[tuple[str, Patient]]:
    """The same networks, written in another way."""
    bare = bp.Network(Bare(6, 12), bp.Tanh(), Bare(12, 2), loss=bp.CrossEntropyLoss())
    yield "weights moved by hand", Patient(bare, TABLE, LABELS, scratch)
    yield "an optimizer for each epoch", Patient(net(), TABLE, LABELS, renewed(5))
    yield "a block of one's own", Patient(between(bp.Tanh(), Block(-1.0)), TABLE, LABELS)
    yield "how far off", Patient(regression(loss=Off()), TABLE, NUMBERS)
    yield "all of it on the tape", Patient(taped(), TABLE, LABELS)
    yield "a step of two losses", Patient(net1(bp.BCEWithLogitsLoss()), TABLE, LABELS[:, None], in_two)
    yield "in long precision", Patient(net(), TABLE.astype(np.longdouble), LABELS)
    beside = bp.Network(Halves(), bp.ReLU(), bp.Linear(12, 2, rng=2), loss=bp.CrossEntropyLoss())
    yield "layers side by side", Patient(beside, TABLE, LABELS)
    ids = np.random.default_rng(0).integers(90, size=(200, 7))
    looks_up = bp.Network(
        Table(), bp.Linear(8, 12, rng=0), bp.ReLU(), bp.Linear(12, 2, rng=1), loss=bp.CrossEntropyLoss()
    )
    yield "an embedding of one's own", Patient(looks_up, ids, (ids < 45).sum(axis=1) % 2)
    normed = between(bp.BatchNorm1d(12))
    normed[0].bias.data += 1  # type: ignore[attr-defined]
    yield "a bias before a norm", Patient(normed, TABLE, LABELS, by_hand())
    yield "small batches by hand", Patient(net(), TABLE, LABELS, by_hand(rows=9))
    yield "the gradient turned into the step", Patient(net(), TABLE, LABELS, turned)
    yield "a decay of what is fitted", Patient(net(), TABLE, LABELS, decaying)
    slow = between(bp.BatchNorm1d(12, momentum=0.001))
    yield "averages that take long", Patient(slow, TABLE, LABELS, with_optimizer(bp.SGD, lr=0.1))


def written_otherwise() -> Iterator[tuple[str, Patient]]:
    """Sick, in another form than the chapter's."""

    def shares(t: Any) -> Any:
        e = np.exp(t)
        return e / e.sum(axis=1, keepdims=True)

    def torn(made: bp.Network) -> dict[str, Any]:
        rule, chance, x = bp.SGD(made.parameters(), lr=0.1), np.random.default_rng(0), TABLE_TORN

        def step() -> None:
            chance.shuffle(x)  # and y stays
            made.loss(x, LABELS)
            rule.zero_grad()
            made.backward()
            rule.step()

        return {"step": step}

    def target(made: bp.Network) -> dict[str, Any]:
        rule, other = bp.SGD(made.parameters(), lr=0.1), net()
        for p, q in zip(other.parameters(), made.parameters(), strict=True):
            p.data = q.data

        def step(x: Any, y: Any) -> None:
            other(x)
            made.loss(x, y)
            rule.zero_grad()
            made.backward()
            rule.step()

        return {"step": step}

    def penalised(made: bp.Network) -> dict[str, Any]:
        rule = bp.SGD(made.parameters(), lr=0.01)

        def step(x: Any, y: Any) -> None:
            made.loss(x, y)
            rule.zero_grad()
            made.backward()
            bp.l2_penalty(made.parameters(), 2.0)
            rule.step()

        return {"step": step}

    def own_batches(made: bp.Network) -> dict[str, Any]:
        rule, chance = bp.Adam(made.parameters(), lr=0.003), np.random.default_rng(0)

        def step() -> None:
            at = chance.integers(200, size=40)
            made.loss(TABLE[at], 150 + 60 * NUMBERS[at])
            rule.zero_grad()
            made.backward()
            rule.step()

        return {"step": step}

    class Cuts(bp.ReLU):
        def forward(self, x: Any) -> np.ndarray:
            return super().forward(np.maximum(x, 0, out=x))  # a second time it changes nothing

    spoilt_inside = bp.Network(Halved(), bp.ReLU(), bp.Linear(12, 2, rng=2), loss=bp.CrossEntropyLoss())
    yield "gradient-wrong, inside", Patient(spoilt_inside, TABLE, LABELS)
    yield "gradient-missing, not returned", Patient(net(act=Silent), TABLE, LABELS)
    yield "input-constant-column, all of them", Patient(net(), 0 * TABLE, LABELS)
    soft = mlp(6, 12, 12, 2, act=bp.Softmax, seed=5)
    yield "saturated", Patient(soft, TABLE, LABELS, with_optimizer(bp.SGD, lr=0.1))
    yield "optimizer-momentum", Patient(net(), TABLE, LABELS, renewed(1))
    yield "optimizer-correction", Patient(net(), TABLE, LABELS, with_optimizer(Raw))
    yield "dead-from-start", Patient(between(bp.Tanh(), Block(-12.0)), TABLE, LABELS)
    yield "loss-sign", Patient(regression(loss=Near()), TABLE, NUMBERS)
    straight = bp.TapeLayer(lambda t, w: t @ w, bp.Parameter(np.eye(6) + 0.1))
    middle = bp.Network(bp.Linear(6, 6, rng=0), straight, loss=bp.CrossEntropyLoss())
    cuts = bp.Network(Cuts(), *net(), loss=bp.CrossEntropyLoss())
    tidy = between(bp.BatchNorm1d(12, momentum=0.0))
    heavy = with_optimizer(bp.AdamW, lr=0.01, weight_decay=10.0)
    yield "input-changed", Patient(cuts, TABLE, LABELS)
    yield "labels-torn", Patient(net(), TABLE_TORN, LABELS, torn)
    yield "softmax-twice", Patient(taped(shares), TABLE, LABELS)
    yield "activation-missing", Patient(middle, TABLE, LABELS)
    yield "statistics-frozen", Patient(tidy, TABLE, LABELS)
    yield "weights-shared", Patient(net(), TABLE, LABELS, target)
    yield "weights-shared, in a function that the step calls", Patient(net(), TABLE, LABELS, averages)
    yield "step-uphill", Patient(net(), TABLE, LABELS, with_optimizer(bp.Adam, lr=0.01, maximize=True))
    yield "step-uphill by hand", Patient(net(), TABLE, LABELS, by_hand(1, rows=9))
    yield "decay-too-strong", Patient(regression(), TABLE, NUMBERS, heavy)
    yield "decay-too-strong, a penalty", Patient(net(), TABLE, LABELS, penalised)
    yield "target-scale", Patient(regression(), TABLE, 150 + 60 * NUMBERS, own_batches)
    light = net(loss=bp.CrossEntropyLoss(weight=[1.0, 1.2]))
    yield "labels-unbalanced, with hardly more weight", Patient(light, TABLE, FEW)


TABLE_TORN = TABLE.copy()
OTHERWISE = dict(written_otherwise())
MISLED = dict(misled()) | dict(misled_by_habit()) | dict(misled_by_a_loop())
MISLED |= dict(misled_by_a_layer()) | dict(misled_by_the_data()) | dict(misled_by_a_form())
MISLED |= dict(misled_by_the_few())


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_is_written_otherwise_is_named_all_the_same(what: str) -> None:
    name, *_ = re.split("[ ,]", what)
    assert OTHERWISE[what].names()[0] == name
    assert np.array_equal(TABLE_TORN, TABLE)


@pytest.mark.parametrize("what", MISLED)
def test_no_false_alarm_for(what: str) -> None:
    assert MISLED[what].names() == []


def test_what_asks_for_a_memory_of_the_first_step_still_vanishes() -> None:
    series = np.random.default_rng(6).normal(size=(150, 40, 2))
    hears = bp.Network(bp.RNN(2, 12, rng=3), bp.Last(), bp.Linear(12, 2, rng=4), loss=bp.CrossEntropyLoss())
    assert Patient(hears, series, (series[:, 0, 0] > 0).astype(int)).names()[0] == "vanishing"


@pytest.mark.parametrize("kind", [Noise, ByChance])
def test_a_generator_that_a_layer_only_mentions_is_put_back(kind: Any) -> None:
    before = SHARED.bit_generator.state, np.random.get_state(legacy=False)["state"]["key"].copy()
    bp.diagnose(between(kind()), TABLE, LABELS)
    assert SHARED.bit_generator.state == before[0]
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], before[1])


def test_a_hole_in_a_picture_has_the_place_of_its_pixel() -> None:
    images = np.random.default_rng(1).normal(size=(60, 2, 5, 5))
    images[9, 1, 0, 3] = np.nan
    eyes = bp.Conv2d(2, 4, 3, rng=0), bp.ReLU(), bp.Flatten(), bp.Linear(36, 2, rng=1)
    found = bp.diagnose(bp.Network(*eyes, loss=bp.CrossEntropyLoss()), images, LABELS[:60]).findings
    assert [(one.name, one.where, one.figure) for one in found] == [
        ("input-not-finite", "column 28", "1 of 60 values")
    ]


def test_the_optimizer_of_a_copy_is_no_slow_one() -> None:
    made = net()
    found = bp.diagnose(made, TABLE, LABELS, optimizer=bp.Adam(copy.deepcopy(made).parameters(), lr=0.01))
    assert found.findings[0].name == "parameter-not-moved"


def test_a_root_at_zero_is_named_with_its_place() -> None:
    root = bp.TapeLayer(lambda t: np.sqrt(np.maximum(t, 0) - np.maximum(t, 0) + 0 * t - 1))
    found = bp.diagnose(between(root), TABLE, LABELS).findings
    assert [(one.name, one.where[:7]) for one in found] == [("not-finite", "layer 1")]


@pytest.mark.parametrize("shuffled", [True, False])
def test_sorted_labels_are_no_fault_of_a_step_that_mixes_them(shuffled: bool) -> None:
    made, order = net(), np.argsort(LABELS, kind="stable")
    x, y, at = TABLE[order], LABELS[order], [0]
    optimizer, rng = bp.SGD(made.parameters(), lr=0.1), np.random.default_rng(0)

    def step() -> None:
        at[0] += 20
        chosen = rng.permutation(200)[:20] if shuffled else np.arange(at[0], at[0] + 20) % 200
        made.loss(x[chosen], y[chosen])
        optimizer.zero_grad()
        made.backward()
        optimizer.step()

    names = [finding.name for finding in bp.diagnose(made, x, y, step=step).findings]
    assert ("labels-sorted" in names) != shuffled
    assert at == [0]


@pytest.mark.parametrize("shuffled", [True, False])
def test_a_generator_over_a_loader_is_asked_whether_it_mixes(shuffled: bool) -> None:
    made, order = net(), np.argsort(LABELS, kind="stable")
    optimizer = bp.SGD(made.parameters(), lr=0.1)
    loader = bp.DataLoader(TABLE[order], LABELS[order], 25, shuffle=shuffled, rng=1)

    def forever() -> Iterator[Any]:
        while True:
            yield from loader

    source = forever()

    def step() -> None:
        x, y = next(source)
        made.loss(x, y)
        optimizer.zero_grad()
        made.backward()
        optimizer.step()

    step()
    names = [one.name for one in bp.diagnose(made, TABLE[order], LABELS[order], step=step).findings]
    assert names == ([] if shuffled else ["labels-sorted"])
    expected = list(bp.DataLoader(TABLE[order], LABELS[order], 25, shuffle=shuffled, rng=1))
    assert np.array_equal(next(source)[0], expected[1][0])  # and no batch is lost


def _given_by(kind: str) -> Iterator[Any]:
    rng = np.random.default_rng(1)
    while True:
        rows = rng.permutation(200)[:40]
        other = rows[::-1] if "torn" in kind else rows
        yield (rows, other) if "rows" in kind else (TABLE[rows], LABELS[other])


@pytest.mark.parametrize("kind", ["rows", "batches", "torn rows", "torn batches", "batches, in place"])
def test_what_a_generator_gives_is_what_the_step_gets(kind: str) -> None:
    made, source = net(), _given_by(kind)
    rule = bp.SGD(made.parameters(), lr=0.1)

    def step() -> None:
        first, second = next(source)
        if "rows" in kind:
            first, second = TABLE[first], LABELS[second]
        if "in place" in kind:
            first *= 0.5
        made.loss(first, second)
        rule.zero_grad()
        made.backward()
        rule.step()

    told = bp.diagnose(made, TABLE, LABELS, step=step)
    assert [one.name for one in told.findings] == (["labels-torn"] if "torn" in kind else [])
    assert told.unseen == []
    for now, then in zip(itertools.islice(source, 500), _given_by(kind), strict=False):
        assert all(map(np.array_equal, now, then))  # none is lost, and none comes twice


def test_a_generator_of_one_epoch_is_looked_at_to_its_end() -> None:
    made, source = net(), itertools.islice(_given_by("batches"), 9)
    rule = bp.SGD(made.parameters(), lr=0.1)

    def step() -> None:
        made.loss(*next(source))
        rule.zero_grad()
        made.backward()
        rule.step()

    told = bp.diagnose(made, TABLE, LABELS, step=step)
    assert (told.findings, told.unseen) == ([], [])
    assert len(list(source)) == 9


def test_of_gradients_that_add_up_it_says_how_many_do() -> None:
    x, y = digits()
    made = mlp(64, 32, 10)
    rule = bp.SGD(made.parameters(), lr=0.5)

    def step() -> None:
        rule.zero_grad()
        for at in range(0, 990, 33):
            made.loss(x[at : at + 33], y[at : at + 33])
            made.backward()
        rule.step()

    (first, *_) = bp.diagnose(made, x, y, step=step).findings
    assert first.figure.endswith("; 30 backward passes in one step")


def test_a_network_that_died_and_learnt_the_mean_is_still_dead() -> None:
    _, patient, _ = cases()["S18"]
    optimizer = patient.options(patient.net)["optimizer"]
    for _ in range(300):
        patient.net.loss(patient.x, patient.y)
        optimizer.zero_grad()
        patient.net.backward()
        optimizer.step()
    found = bp.diagnose(patient.net, patient.x, patient.y, optimizer=optimizer).findings
    assert found[0].name == "dead-from-start"


def test_weights_that_ran_away_do_not_hide_a_wrong_gradient() -> None:
    _, patient, _ = cases()["S23"]
    for p in patient.net.parameters():
        p.data *= 1e19
    assert patient.names()[0] == "gradient-wrong"


def test_accumulation_on_purpose_is_no_fault() -> None:
    made, count = net(), [0]
    optimizer = bp.SGD(made.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        made.backward()
        count[0] += 1
        if count[0] % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()

    assert bp.diagnose(made, TABLE, LABELS, step=step).findings == []
    assert count == [0]


def snapshot(made: bp.Network, optimizer: bp.Optimizer) -> list[Any]:
    arrays = [*bp._named_arrays(made, optimizer).values(), *(p.grad for p in made.parameters())]
    states = [r.bit_generator.state for _, r in made._contents() if isinstance(r, np.random.Generator)]
    return [[a.tobytes() for a in arrays], copy.deepcopy(states), made.training, optimizer.lr]


def test_looking_changes_nothing_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    made = between(bp.BatchNorm1d(12), bp.ReLU(), bp.Dropout(0.3, rng=rng))
    optimizer, notes = bp.Adam(made.parameters(), lr=0.01), []
    loader = iter(bp.DataLoader(TABLE, LABELS, 20, rng=rng))
    own, old, oldest = np.random.default_rng(4), np.random.RandomState(5), random.Random(6)

    def step() -> None:
        x, y = next(loader)
        notes.append(
            made.loss(x, y) + own.random() + old.rand() + oldest.random() + np.random.rand() + random.random()
        )
        optimizer.zero_grad()
        made.backward()
        optimizer.step()

    step()
    before = snapshot(made, optimizer), own.bit_generator.state, list(notes), made.parameters()[0].data
    others = old.get_state()[1].copy(), oldest.getstate(), random.getstate()  # type: ignore[index]
    shared, yours = np.random.get_state()[1].copy(), np.random.default_rng(9)  # type: ignore[index]
    found = bp.diagnose(made, TABLE, LABELS, step=step, rng=yours)
    assert found.findings == [] and found.unseen == []
    assert (snapshot(made, optimizer), own.bit_generator.state, notes) == before[:3]
    assert made.parameters()[0].data is before[3]
    assert np.array_equal(np.random.get_state()[1], shared)  # type: ignore[index]
    assert np.array_equal(old.get_state()[1], others[0])  # type: ignore[index]
    assert (oldest.getstate(), random.getstate()) == others[1:]
    assert yours.bit_generator.state == np.random.default_rng(9).bit_generator.state
    step()  # the optimizer still holds these parameters, and the loader has gone one batch further
    assert len(notes) == 2


@pytest.mark.parametrize("arguments", ["", "x, y", "net, x, y", "net, optimizer, x, y", "batch"])
def test_a_step_may_take_what_it_needs(arguments: str) -> None:
    made = net()
    used: dict[str, Any] = {
        "made": made,
        "rule": bp.SGD(made.parameters(), lr=0.1),
        "xs": TABLE,
        "ys": LABELS,
    }
    batch = {"": "xs, ys", "batch": "*batch"}.get(arguments, "x, y")
    body = f"made.loss({batch}); made.backward(); rule.step()"  # and no zero_grad
    exec(f"def step({arguments}): {body}", used)
    names = [
        f.name for f in bp.diagnose(made, TABLE, LABELS, step=used["step"], optimizer=used["rule"]).findings
    ]
    assert names == ["gradients-not-zeroed"]


def test_a_step_that_needs_more_is_said_to_need_it() -> None:
    made = net()

    def step(a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
        raise AssertionError

    said = repr(bp.diagnose(made, TABLE, LABELS, step=step, optimizer=bp.SGD(made.parameters(), lr=0.1)))
    assert "missing 1 required positional argument: 'e'" in said


@pytest.mark.parametrize(
    "step, names",
    [
        (lambda x, y, epoch: None, "x, y, epoch"),
        (lambda x, y, z, w: None, "x, y, z, w"),
        (lambda net, batch, epoch: None, "net, batch, epoch"),
    ],
)
def test_a_step_with_other_arguments_is_said_and_the_rest_is_looked_at(step: Any, names: str) -> None:
    told = bp.diagnose(net(bp.Softmax()), TABLE, LABELS, step=step)
    (said,) = told.unseen
    assert "step takes (), (batch), (x, y), (net, x, y), (net, optimizer, x, y), not" in said
    assert said.endswith(f"not {(*names.split(', '),)}" + '")')
    assert [one.name for one in told.findings] == ["softmax-twice"]


def test_a_step_that_is_no_function_is_refused() -> None:
    three: Any = 3
    with pytest.raises(ValueError, match="diagnose: step must be a function, got 3"):
        bp.diagnose(net(), TABLE, LABELS, step=three)


def test_a_step_may_have_a_length_of_0() -> None:
    class Empty(list):
        def __call__(self, x: Any, y: Any) -> None:
            raise RuntimeError("called")

    assert bp.diagnose(net(), TABLE, LABELS, step=Empty()).unseen == [
        "the step raised RuntimeError('called')"
    ]


def digits() -> tuple[np.ndarray, np.ndarray]:
    pixels, label = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))[:1000]
    return pixels[order] / 16, label[order]


def in_order(made: bp.Network, x: Any, y: Any, lr: float) -> Callable[[], None]:
    """Fifty rows a step, one after the other."""
    rule, at = bp.SGD(made.parameters(), lr=lr), [0]

    def step() -> None:
        rows = slice(at[0], at[0] + 50)
        at[0] = (at[0] + 50) % len(x)
        made.loss(x[rows], y[rows])
        rule.zero_grad()
        made.backward()
        rule.step()

    return step


@pytest.mark.parametrize("lr", [0.5, 1.0, 3.0, 5.0])
def test_a_rate_that_kills_is_named_though_the_loss_comes_back(lr: float) -> None:
    x, y = digits()
    made, again = mlp(64, 32, 10), mlp(64, 32, 10)
    alone = bp.diagnose(made, x, y, optimizer=bp.SGD(made.parameters(), lr=lr)).findings
    own = bp.diagnose(again, x, y, step=in_order(again, x, y, lr)).findings
    for found in (alone, own):
        names = [one.name for one in found]
        if lr > 1:
            assert names[0] == "dead-from-rate"
        else:
            assert names == []


@pytest.mark.parametrize("ordered", [True, False])
def test_sorted_labels_explain_a_loss_that_jumps(ordered: bool) -> None:
    x, y = digits()
    order, made = np.argsort(y, kind="stable") if ordered else np.arange(1000), mlp(64, 32, 10)
    step = in_order(made, x[order], y[order], 0.5)
    found = bp.diagnose(made, x[order], y[order], step=step).findings
    assert [one.name for one in found] == (["labels-sorted"] if ordered else [])


@pytest.mark.parametrize(
    "order, sick",
    [
        ("zbs", False),
        ("bsz", False),
        ("zbbs", False),
        ("bbsz", False),
        ("zzbs", False),
        ("bszz", False),
        ("zbh", False),
        ("bhz", False),  # a step by hand
        ("zbmzbms", False),  # moves its weights to look around, as sharpness-aware minimisation does
        ("zlrs", False),
        ("zlzbs", False),  # a gradient of some rows is looked at, before or after
        ("zbslz", False),
        ("zbzbs", False),  # a closure that is called twice
        ("zlzrs", True),
        ("bzs", True),
    ],
)
def test_gradients_cleared_before_any_step_has_used_them_are_named(order: str, sick: bool) -> None:
    made, middle = net(), len(TABLE) // 2
    rule = bp.SGD(made.parameters(), lr=0.1)
    halves = {"b": slice(None), "l": slice(middle), "r": slice(middle, None)}

    def step(x: Any, y: Any) -> None:
        for act in order:
            if act in halves:
                made.loss(x[halves[act]], y[halves[act]])
                made.backward()
            elif act in "hm":
                for p in made.parameters():
                    p.data += -0.1 * p.grad if act == "h" else 0.01
            else:
                (rule.zero_grad if act == "z" else rule.step)()

    found = bp.diagnose(made, TABLE, LABELS, step=step, optimizer=rule).findings
    assert ("gradient-overwritten" in [one.name for one in found]) == sick


def test_a_scaler_that_skips_its_first_steps_loses_no_gradient() -> None:
    made, left = net(), [3]
    rule = bp.SGD(made.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        made.backward()
        if left[0] > 0:
            left[0] -= 1
        else:
            rule.step()
        rule.zero_grad()

    assert bp.diagnose(made, TABLE, LABELS, step=step).findings == []


def test_what_a_trainer_notes_is_put_back() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.net = net()
            self.rule = bp.SGD(self.net.parameters(), lr=0.1)
            self.notes: Any = [deque([9.0], maxlen=5), [9.0], {9.0}, Counter([9.0])]

        def step(self, x: Any, y: Any) -> None:
            loss = self.net.loss(x, y)
            self.rule.zero_grad()
            self.net.backward()
            self.rule.step()
            recent, every, seen, often = self.notes
            recent.append(loss)
            every.append(loss)
            seen.add(loss)
            often.update([loss])

    trainer = Trainer()
    assert bp.diagnose(trainer.net, TABLE, LABELS, step=trainer.step).findings == []
    assert trainer.notes == [deque([9.0]), [9.0], {9.0}, {9.0: 1}]


class Settings(dict):
    """The keys are attributes; so is every other name, with None."""

    __getattr__ = dict.get


class Strict(dict):
    __getattr__ = dict.__getitem__


class Log(list):
    """What has an end takes no more."""

    def extend(self, items: Any) -> None:
        raise RuntimeError("closed")

    __setitem__ = clear = extend  # type: ignore[assignment]  # it refuses every way to refill it


class Last(deque):
    def __init__(self, first: Any, size: int) -> None:  # a copy of it cannot be made
        super().__init__([first], size)


HOLDERS = [
    Settings(lr=0.1),
    Strict(lr=0.1),
    Counter(lr=1),
    OrderedDict(lr=0.1, x=1),
    Log([9.0]),
    Last(9.0, 3),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_what_holds_settings_is_put_back_whatever_its_class_adds(holder: Any) -> None:
    made, was = net(), list(holder.items() if isinstance(holder, dict) else holder)
    rule = bp.SGD(made.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        rule.zero_grad()
        made.backward()
        rule.step()
        if isinstance(holder, dict):
            holder["steps"] = holder.pop("lr", 0)
        else:
            holder.append(0.0)

    told = bp.diagnose(made, TABLE, LABELS, step=step)
    assert (told.findings, told.unseen) == ([], [])
    assert list(holder.items() if isinstance(holder, dict) else holder) == was


@pytest.mark.parametrize("source", [iter, itertools.cycle])
def test_an_iterator_over_a_deque_goes_on(source: Any) -> None:
    made, batches = net(), deque([(TABLE, LABELS)] * 2000)
    rule, left = bp.SGD(made.parameters(), lr=0.1), source(batches)

    def step() -> None:
        made.loss(*next(left))
        rule.zero_grad()
        made.backward()
        rule.step()

    assert bp.diagnose(made, TABLE, LABELS, step=step).unseen == []
    step()


def test_a_step_that_goes_uphill_or_trains_asleep_is_named() -> None:
    def grows(made: bp.Network) -> None:
        for p in made.parameters():
            p.grad -= 0.05 * p.data

    def asleep(made: bp.Network) -> None:
        made.eval()

    def first(made: bp.Network, **hook: Any) -> str:
        patient = Patient(made, TABLE, LABELS, with_step(TABLE, LABELS, **hook))
        return patient.names()[0]

    assert first(net(), before=uphill) == "step-uphill"
    assert first(net(), before=grows) == "decay-sign"
    assert first(net(), between=clip) == "clipping-misplaced"
    assert first(between(bp.Dropout(0.5, rng=0)), ready=asleep) == "dropout-off"
    assert first(between(bp.BatchNorm1d(12)), ready=asleep) == "statistics-frozen"


def test_what_is_hidden_from_parameters_is_named() -> None:
    class Hides(bp.Layer):
        def __init__(self) -> None:
            self.inside = {bp.Linear(12, 12, rng=0)}  # a set is not searched

        def forward(self, x: Any) -> np.ndarray:
            (layer,) = self.inside
            return layer.forward(x)

        def backward(self, grad_output: Any) -> np.ndarray:
            (layer,) = self.inside
            return layer.backward(grad_output)

    patient = Patient(between(bp.Tanh(), Hides()), TABLE, LABELS, with_optimizer(bp.SGD, lr=0.1))
    assert patient.names()[0] == "parameter-not-moved"

    made, told = bp.Network(Hides(), loss=bp.CrossEntropyLoss()), []
    (layer,) = made[0].inside  # type: ignore[attr-defined]
    for known in (layer.parameters(), [bp.Parameter(np.ones(2))]):
        found = bp.diagnose(made, np.tile(TABLE, 2), LABELS, optimizer=bp.SGD(known, lr=0.1)).findings
        told.append([one.where for one in found if one.name == "parameter-not-moved"])
    assert told == [[], ["not registered"] * 2], "nothing of it is frozen"
    (alone, *_) = bp.diagnose(made, np.tile(TABLE, 2), LABELS).findings
    assert str(alone).startswith("parameter-not-moved: network: no Parameter wants a gradient")


def test_an_optimizer_of_ones_own_is_tried_as_well() -> None:
    class Slips(Own):
        slip = True

    patient = Patient(net(), TABLE, LABELS, with_optimizer(Slips, lr=0.01))
    assert patient.names()[0] == "optimizer-momentum"


def test_a_norm_without_statistics_has_none_that_could_be_frozen() -> None:
    patient = Patient(between(bp.BatchNorm1d(12, track_running_stats=False)), TABLE, LABELS)
    assert patient.names() == ["batch-dependent"]


def test_answers_that_are_nan_do_not_differ_from_one_another() -> None:
    made = net()
    made.parameters()[2].data[...] = np.nan
    found = bp.diagnose(made, TABLE, LABELS).findings
    assert "dropout-in-evaluation" not in [finding.name for finding in found]


def test_noise_of_a_layer_with_parameters_is_found_in_evaluation() -> None:
    class Noisy(bp.Linear):
        noise = np.random.default_rng(0)

        def forward(self, x: Any) -> np.ndarray:
            return super().forward(x) + self.noise.normal(size=(len(x), 12))

    found = bp.diagnose(between(bp.Tanh(), Noisy(12, 12, rng=0)), TABLE, LABELS).findings
    named = {finding.name: finding.where for finding in found}
    assert named["dropout-in-evaluation"].startswith("layer 2 Noisy")


def test_the_report_reads_well() -> None:
    text = repr(bp.diagnose(net(bp.Softmax()), TABLE, LABELS))
    assert text == (
        "softmax-twice: layer 3 Softmax(axis=-1): each row of the output sums to 1\n"
        "  The loss has its own softmax or sigmoid; two set a floor.\n"
        "  End with the last linear layer. (Chapter 6, Which class: cross-entropy)"
    )
    well = repr(bp.diagnose(net(), TABLE, LABELS))
    assert well.startswith("Nothing found. Looked at: ") and "near copies of test rows" in well


@pytest.mark.parametrize("given", ["", "optimizer", "step", "failing", "x_test"])
def test_a_report_of_nothing_names_what_it_did_not_look_at(given: str) -> None:
    def failing() -> None:
        raise RuntimeError("mine")

    made = net()
    rule = bp.SGD(made.parameters(), lr=0.1)
    ways: dict[str, dict] = {
        "optimizer": {"optimizer": rule},
        "x_test": {"x_test": TABLE + 0.01},
        "failing": {"step": failing},
    }
    options = with_step(TABLE, LABELS)(made) if given == "step" else ways.get(given, {})
    said = re.findall(r"Not looked at: (.*)\.", repr(bp.diagnose(made, TABLE, LABELS, **options)))
    new, steps = "new data (give x_test=)", "steps (give optimizer= or step=)"
    wanted = {"": f"{steps}, {new}", "x_test": steps, "failing": f"steps (the step failed), {new}"}
    assert said == [wanted.get(given, new)]
    if given == "optimizer":
        assert "Not looked" not in repr(bp.diagnose(made, TABLE, LABELS, optimizer=rule, x_test=TABLE + 0.01))


def test_a_probe_that_fails_is_reported_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def _broken_signs(case: Any) -> Any:
        raise KeyError("x")

    monkeypatch.setattr(bp, "_PROBES", [(False, _broken_signs)])
    assert "Could not look: broken_signs: KeyError('x')" in repr(bp.diagnose(net(), TABLE, LABELS))


def test_a_step_that_raises_is_said_once_and_first() -> None:
    def step(x: Any, y: Any) -> None:
        raise RuntimeError("my own bug")

    told = bp.diagnose(net(), TABLE, LABELS, step=step)
    assert told.unseen == ["the step raised RuntimeError('my own bug')"]
    assert repr(told).startswith(
        "Could not look: the step raised RuntimeError('my own bug')\nNothing else found"
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_only_a_loss_that_prefers_wrong_answers_has_a_wrong_sign(kind: type[bp.Loss], sign: int) -> None:
    classes = kind is bp.CrossEntropyLoss
    targets = [NUMBERS, 1e6 + NUMBERS] if kind is not bp.BCEWithLogitsLoss else [NUMBERS > 0, NUMBERS * 0 + 1]
    for y in [LABELS, np.sort(LABELS), np.eye(2)[LABELS]] if classes else targets:
        loss = (kind if sign > 0 else negated(kind))()
        made = bp.Network(bp.Linear(6, 2 if classes else 1, rng=0), loss=loss)
        names = [one.name for one in bp.diagnose(made, TABLE, y).findings]
        assert ("loss-sign" in names) == (sign < 0 and len(np.unique(y)) > 1), names


class Contrastive(bp.MSELoss):
    """A target of 1 means that two things should be near, a distance of 0; of 0: apart by 2 or more."""

    def value_and_slope(self, x: Any, target: Any) -> tuple:
        short = np.maximum(0, 2 - x)
        return target * x**2 + (1 - target) * short**2, 2 * (target * x - (1 - target) * short)


class Waiting(bp.MSELoss):
    """The exponential likelihood of a time, with the logarithm of its rate."""

    def value_and_slope(self, x: Any, target: Any) -> tuple:
        return np.exp(x) * target - x, np.exp(x) * target - 1


@pytest.mark.parametrize("kind", [Contrastive, Waiting])
def test_a_loss_whose_best_answer_is_not_the_target_has_no_wrong_sign(kind: Any) -> None:
    y = (NUMBERS > 0) * 1.0 if kind is Contrastive else np.exp(NUMBERS / NUMBERS.std())
    made = bp.Network(bp.Linear(6, 12, rng=0), bp.Tanh(), bp.Linear(12, 1, rng=1), loss=kind())
    told = bp.diagnose(made, TABLE, y)
    assert told.unseen == [] and "loss-sign" not in [one.name for one in told.findings]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_rows_to_ignore_are_not_looked_at(share: float) -> None:
    y = np.where(np.random.default_rng(1).random(len(LABELS)) < share, -100, LABELS)
    heeded = y >= 0
    told = [
        bp.diagnose(net(), *rows, x_test=x_test, y_test=rows[1])
        for rows, x_test in [
            ((TABLE, y), TABLE + 0.01),
            ((TABLE[heeded], y[heeded]), TABLE[heeded] + 0.01),
            ((TABLE, y), None),
        ]
    ]
    first, *others = [(one.findings, one.unseen) for one in told]
    assert others == [first, first]
    assert "test-data-differ" not in [one.name for one in told[0].findings]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_steps_to_ignore_hide_no_future(causal: bool, one_hot: bool) -> None:
    x: Any = TOKENS[:, :-1]
    made, y = reader(causal), TOKENS[:, 1:].copy()
    if one_hot:
        layers = bp.Linear(7, 8, rng=0), *made.layers[1:]
        made, x = bp.Network(*layers, loss=bp.CrossEntropyLoss()), np.eye(7)[x]
    y[::2, -2:] = -100
    told = bp.diagnose(made, x, y)
    assert told.unseen == []
    assert ("sees-the-future" in [one.name for one in told.findings]) == (not causal)


# Each value of these grids comes once or more; the whole grids are in tests/proofs/test_clinic_grids.py.
def diagonal(*axes: Any) -> list[tuple]:
    longest = max(map(len, axes))
    return [tuple(axis[at % len(axis)] for axis in axes) for at in range(longest)]


@pytest.mark.parametrize("kind, size, columns", diagonal(KINDS[:3], SIZES, (1, 2)))
def test_no_size_of_the_targets_is_a_fault_of_the_loss(kind: Any, size: Any, columns: int) -> None:
    grids.no_size_is_a_fault(kind, size, columns)


@pytest.mark.parametrize("kind, size", diagonal(KINDS[:3], SIZES))
def test_at_every_size_of_the_targets_a_faulty_loss_is_named(kind: Any, size: Any) -> None:
    grids.at_a_size_a_faulty_loss_is_named(kind, size)


@pytest.mark.parametrize("kind, act, rule, steps", diagonal(KINDS, ACTIVATIONS, grids.RULES, (0, 5, 60)))
def test_a_network_that_its_rate_has_ruined_is_told_so(kind: Any, act: Any, rule: Any, steps: int) -> None:
    grids.a_ruined_network_is_told_so(kind, act, rule, steps)


@pytest.mark.parametrize("kind, act, steps", diagonal(KINDS, ACTIVATIONS, (0, 5, 60, 300)))
def test_a_network_that_was_trained_well_has_no_finding(kind: Any, act: Any, steps: int) -> None:
    grids.a_trained_network_has_no_finding(kind, act, steps)


@pytest.mark.parametrize("rows, at", diagonal((1, 2, 3, 9), (0, 60, 160)))
def test_a_few_new_rows_do_not_differ_from_the_data(rows: int, at: int) -> None:
    grids.new_rows_do_not_differ(rows, at)


@pytest.mark.parametrize("seed, offset", diagonal(range(4), (0, *grids.OFFSETS)))
def test_inputs_far_from_0_are_named_where_they_stop_the_learning(seed: int, offset: int) -> None:
    grids.inputs_far_from_0_are_named(seed, offset)


@pytest.mark.parametrize("kind, seed", diagonal(grids.MEMORIES, range(3)))
def test_a_wild_start_is_no_wrong_gradient(kind: Any, seed: int) -> None:
    grids.a_wild_start_is_no_wrong_gradient(kind, seed)


def test_a_pooling_layer_behind_dead_units_is_no_wrong_gradient() -> None:
    grids.pooling_behind_dead_units_is_no_wrong_gradient(0)


def test_a_rate_that_is_too_small_for_pictures_is_named() -> None:
    grids.a_rate_too_small_for_pictures_is_named(*grids.SLOW[0])


def test_a_bad_start_is_not_blamed_on_the_rate_of_an_optimizer_that_was_used() -> None:
    bad = {"start-too-large": deep(bp.Tanh, 2, 40.0), "dead-from-start": changed(net(), bias(-9.0))}
    for name, made in bad.items():
        rule = bp.Adam(made.parameters(), lr=0.001)
        trained(made, rule, LABELS, 3)
        assert Patient(made, TABLE, LABELS, given({"optimizer": rule})).names()[0] == name


def test_a_step_that_leaves_the_network_in_evaluation_mode_is_named() -> None:
    def sleeps(made: bp.Network) -> dict[str, Any]:
        return with_step(X, Y % 3, after=lambda made: made.eval())(made)

    assert "dropout-off" in Patient(dropping(bp.Dropout), X, Y % 3, sleeps).names()


@pytest.mark.parametrize("optimizer", ["Adam", bp.Adam, 0.1])
def test_what_is_no_optimizer_is_refused(optimizer: Any) -> None:
    with pytest.raises(ValueError, match=r"diagnose: optimizer must be of type Optimizer, got .*"):
        bp.diagnose(net(), TABLE, LABELS, optimizer=optimizer)


def test_labels_of_one_class_are_named() -> None:
    assert Patient(net(), TABLE, 0 * LABELS).names() == ["labels-unbalanced"]


def test_weights_that_decayed_to_nothing_are_named() -> None:
    assert Patient(changed(net(), scaled(1e-9)), TABLE, LABELS).names() == ["start-too-small"]


def test_saturated_units_do_not_vanish_as_well() -> None:
    assert Patient(changed(net(act=bp.Tanh), bias(20.0)), TABLE, LABELS).names() == ["saturated"]


def test_what_the_loss_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="expected target of shape"):
        bp.diagnose(regression(), TABLE, NUMBERS[:, 0])
    with pytest.raises(RuntimeError, match="no loss"):
        bp.diagnose(bp.Network(bp.Linear(6, 2)), TABLE, LABELS)
    masked, ragged = np.ma.masked_less(TABLE, -2), [[1.0], [2.0, 3.0]]
    with pytest.raises(TypeError, match="without a mask"):
        bp.diagnose(net(), masked, LABELS)
    with pytest.raises(ValueError, match="rows of different lengths"):
        bp.diagnose(net(), TABLE, LABELS, x_test=ragged)
    with pytest.raises(ValueError, match="diagnose: expected rows of x_test, got"):
        bp.diagnose(net(), TABLE, LABELS, x_test=TABLE[:0])


def report(made: bp.Network, x: Any = TABLE, **options: Any) -> bp.GradientReport:
    return bp.gradient_report(made, x, LABELS, **options)


def test_the_gradient_report_names_the_input_and_equal_units_before_all_else() -> None:
    raw = report(net(), 100 * TABLE, lr=0.1)
    assert raw.cause.startswith("input of size 9") or raw.cause.startswith("input of size 1")
    assert repr(raw).startswith(raw.cause) and {row.advice for row in raw} == {""}
    assert report(set_all(net(), 0.5)).cause == "layer 0 has equal units: draw its weights"
    assert report(set_all(net(), 0.0)).cause == "layer 0 has equal units: draw its weights"
    zero = net()
    zero[2].weight.data[...] = 0  # type: ignore[attr-defined]
    assert report(net()).cause == report(zero).cause == ""
    loud = R.integers(0, 256, size=(200, 6)).astype(np.uint8)
    assert report(net(), loud).cause.startswith("input of size 1")
    words = bp.gradient_report(reader(True), TOKENS[:, :-1] + 0, TOKENS[:, 1:])
    assert words.cause == ""


def test_the_gradient_report_tells_dead_units_with_huge_weights_from_others() -> None:
    assert report(changed(net(), bias(-9.0)))[1].advice.startswith("dead: if from the start")
    grown = changed(changed(net(), scaled(20.0)), bias(-500.0))
    huge = "dead: huge weights; start anew, smaller or at a lower rate"  # both, for it cannot know which
    assert report(grown)[1].advice == huge
    drawn = net()
    for weight in drawn.parameters()[::2]:
        weight.data[...] = 2 * R.normal(size=weight.shape) - 5
    start = report(drawn, np.abs(TABLE))[1]
    assert start.dead > 0.5 and start.advice == huge, "no step was taken"


def test_the_gradient_report_does_not_blame_the_input_alone_for_a_nan_weight() -> None:
    broken = net()
    broken.parameters()[0].data[0, 0] = np.nan
    assert report(broken)[0].advice == "not finite: its weights, or its input"


def test_the_gradient_report_sees_that_examples_look_alike() -> None:
    rows = report(deep(bp.ReLU, 20))
    assert rows[39].std > 0.01 > 1e-6 > rows[39].across
    assert rows[39].advice.startswith("alike")
    assert not any(row.advice.startswith(("long step", "dead: huge")) for row in rows)
    y = net()[:2](TABLE)
    assert report(net())[1].across == pytest.approx(np.sqrt(np.mean(y.var(axis=0))))


def test_the_gradient_report_takes_the_optimizers_own_step() -> None:
    made = net()
    optimizer = bp.Adam(made.parameters(), lr=0.01)
    before = snapshot(made, optimizer)
    rows = report(made, optimizer=optimizer)
    assert snapshot(made, optimizer) == before
    weight, was = made[0].weight, made[0].weight.data.copy()  # type: ignore[attr-defined]
    made.loss(TABLE, LABELS)
    optimizer.zero_grad()
    made.backward()
    assert rows[0].weight_grad == pytest.approx(np.sqrt(np.mean(weight.grad**2)))
    optimizer.step()
    assert rows[0].update == pytest.approx(np.linalg.norm(weight.data - was) / np.linalg.norm(was))
    assert np.isnan(rows[1].weight_grad) and np.isnan(rows[1].update)


def _batches() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(X[i : i + 50], Y[i : i + 50]) for i in range(0, 400, 50)]


SOURCES: dict[str, Callable[[], Iterator[Any]]] = {
    "cycle": lambda: itertools.cycle(_batches()),
    "list": lambda: iter(60 * _batches()),
    "zip": lambda: zip(60 * list(X.reshape(8, 50, -1)), 60 * list(Y.reshape(8, 50)), strict=True),
    "map": lambda: map(lambda i: _batches()[i % 8], itertools.count()),
    "chain": lambda: itertools.chain.from_iterable(itertools.repeat(_batches())),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_healthy_step_may_take_its_batches_from_any_iterator(source: str) -> None:
    healthy = mlp(2, 12, 4, seed=5)
    optimizer, batches, rounds = bp.SGD(healthy.parameters(), 0.1), SOURCES[source](), itertools.count(1)
    seen: list[int] = []

    def step() -> float:
        x, y = next(batches)
        loss = healthy.loss(x, y)
        healthy.zero_grad()
        healthy.backward()
        optimizer.step()
        seen.append(next(rounds))
        return loss

    assert bp.diagnose(healthy, X, Y, optimizer=optimizer, step=step).findings == []
    assert seen == []
    assert np.array_equal(next(batches)[0], X[:50])  # none of them is lost
    assert next(rounds) == 1


def test_a_cycle_goes_on_after_looking() -> None:
    x, y = digits()
    made, starts = mlp(64, 32, 10), itertools.cycle(range(0, 1000, 50))
    rule = bp.SGD(made.parameters(), lr=3.0)

    def step() -> None:
        rows = slice(start := next(starts), start + 50)
        made.loss(x[rows], y[rows])
        rule.zero_grad()
        made.backward()
        rule.step()

    told = bp.diagnose(made, x, y, step=step)
    assert (told.findings[0].name, told.unseen) == ("dead-from-rate", [])
    assert [next(starts) for _ in range(21)] == [*range(0, 1000, 50), 0]


def test_a_sick_step_is_found_whatever_it_takes_its_batches_from() -> None:
    sick, batches = mlp(2, 12, 4, seed=5), itertools.cycle(_batches())
    optimizer = bp.SGD(sick.parameters(), 0.1)

    def step() -> float:
        x, y = next(batches)
        loss = sick.loss(x, y)
        sick.backward()
        optimizer.step()
        return loss

    report = bp.diagnose(sick, X, Y, optimizer=optimizer, step=step)
    assert report.findings[0].name == "gradients-not-zeroed"


def test_chapter_24_opens_with_what_diagnose_prints() -> None:
    pixels, label = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))[:1000]
    x, y = pixels[order] / 16, label[order]
    first, last = bp.Linear(64, 32, rng=0), bp.Linear(32, 10, rng=2)
    always = bp.Network(first, bp.ReLU(), Always(0.5, rng=1), last, loss=bp.CrossEntropyLoss())
    text = (BOOK / "24-diagnose.md").read_text(encoding="utf-8")
    shown = f"```py\nprint(diagnose(always, x, y))\n```\n\n```text\n{bp.diagnose(always, x, y)}\n```\n"
    assert shown in text
    ends = bp.Linear(64, 32, rng=0), bp.Linear(32, 10, rng=2)
    sick = bp.Network(ends[0], bp.ReLU(), ends[1], loss=bp.CrossEntropyLoss())
    forgets = bp.diagnose(sick, x, y, **with_step(x, y, zero=False)(sick))
    assert f"forgets `zero_grad`, it says:\n\n```text\n{forgets}\n```\n" in text


def test_chapter_24_lists_every_name_once() -> None:
    text = (BOOK / "24-diagnose.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^ +\| where \| names \|\n((?: +\|.*\n)+)", text, re.M)
    assert sorted(re.findall(r"`([a-z-]+)`", table)) == sorted(bp._CAUSES)


def stepping(
    made: bp.Network, batch: Callable[[], Any], edit: Any = None, zero: bool = True, **of: Any
) -> Any:
    """A step that asks for its batches; it may edit the gradients, or be without zero_grad."""
    optimizer = bp.SGD(made.parameters(), lr=of.get("lr", 0.1))
    schedule = bp.ExponentialLR(optimizer, of.get("gamma", 1.0))

    def step() -> None:
        made.loss(*batch())
        if zero:
            optimizer.zero_grad()
        made.backward()
        for p in made.parameters() if edit else ():
            edit(p)
        optimizer.step()
        schedule.step()

    return step


def drawing(n: int, x: Any = X, y: Any = Y) -> Callable[[], Any]:
    """A few rows, drawn anew each time."""
    rng = np.random.default_rng(0)

    def batch() -> Any:
        rows = rng.permutation(len(x))[:n]
        return x[rows], y[rows]

    return batch


def epochs(x: Any = X, y: Any = Y, shuffle: bool = True) -> Callable[[], Any]:
    """A loader that is begun again where it ends."""
    loader = bp.DataLoader(x, y, 50, shuffle=shuffle, rng=0)
    batches = None

    def batch() -> Any:
        nonlocal batches
        while True:
            batches = batches or iter(loader)
            if (found := next(batches, None)) is not None:
                return found
            batches = None

    return batch


def first_of(made: bp.Network, x: Any, y: Any, **options: Any) -> str:
    told = bp.diagnose(made, x, y, **options)
    assert told.unseen == []
    return told.findings[0].name if told.findings else ""


def test_a_loader_that_the_step_begins_again_is_rewound() -> None:
    for zero, name in ((True, ""), (False, "gradients-not-zeroed")):
        made = mlp(2, 12, 4, seed=5)
        assert first_of(made, X, Y, step=stepping(made, epochs(), zero=zero)) == name


def test_rows_that_are_torn_from_the_second_batch_on_are_named() -> None:
    made, starts = mlp(2, 12, 4, seed=5), itertools.count(0, 50)

    def batch() -> Any:
        rows = slice(start := next(starts) % 400, start + 50)
        return X[rows], Y[:50]

    assert first_of(made, X, Y, step=stepping(made, batch)) == "labels-torn"


def test_numbers_in_order_are_named_where_a_step_takes_them_so() -> None:
    order = np.argsort(NUMBERS[:, 0])
    x, y = TABLE[order], NUMBERS[order]
    for shuffle, name in ((True, ""), (False, "labels-sorted")):
        made = regression()
        step = stepping(made, epochs(x, y, shuffle), lr=0.01)
        assert first_of(made, x, y, step=step) == name


@pytest.mark.parametrize(("sign", "name"), [(-1, "step-uphill"), (1, "")])
def test_uphill_is_told_from_the_noise_of_small_batches(sign: int, name: str) -> None:
    def turn(p: bp.Parameter) -> None:
        p.grad *= sign

    made = mlp(2, 12, 4, seed=5)
    assert first_of(made, X, Y, step=stepping(made, drawing(4), turn, lr=0.05)) == name


def test_a_rate_that_dies_away_is_named_though_the_loss_has_fallen() -> None:
    for gamma, name in ((0.7, "rate-too-small"), (0.99, "")):
        made = mlp(2, 12, 4, seed=5)
        assert first_of(made, X, Y, step=stepping(made, lambda: (X, Y), lr=0.05, gamma=gamma)) == name


def test_weights_that_only_steps_keep_are_named() -> None:
    made, kept = net(), list[Any]()
    rule = bp.SGD(made.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        made.loss(x, y)
        rule.zero_grad()
        made.backward()
        rule.step()
        kept.append([p.data for p in made.parameters()])

    assert first_of(made, TABLE, LABELS, step=step) == "weights-shared"
    assert kept == []


def test_rows_drawn_twice_before_the_split_are_test_rows_in_training() -> None:
    twice, levels = np.r_[TABLE, TABLE], (TABLE > 0).astype(float)
    order = np.random.default_rng(0).permutation(len(twice))
    x, y = twice[order], np.r_[LABELS, LABELS][order]
    assert first_of(net(), x[50:], y[50:], x_test=x[:50]) == "test-rows-in-training"
    assert first_of(net(), levels[50:], LABELS[50:], x_test=levels[:50]) == ""  # they repeat by chance


class Chance(bp.Loss):
    """Of probabilities, which it clips; with the slip, the likelihood itself."""

    sign = -1

    def value_and_slope(self, p: Any, t: Any) -> Any:
        q = np.clip(p, 1e-7, 1 - 1e-7)
        likely = t * np.log(q) + (1 - t) * np.log(1 - q)
        return self.sign * likely, self.sign * (t / q - (1 - t) / (1 - q))


class Likely(Chance):
    sign = 1


class Margin(bp.Loss):
    """Of targets -1 and 1; bounded, so they are no shares out of reach."""

    def value_and_slope(self, x: Any, t: Any) -> Any:
        return -np.tanh(x * t), -t * (1 - np.tanh(x * t) ** 2)


class Roots(bp.Loss):
    def value_and_slope(self, x: Any, t: Any) -> Any:
        return np.sqrt(x), 0.5 / np.sqrt(x)  # nan below 0


@pytest.mark.parametrize(
    ("loss", "last", "target", "name"),
    [
        (Chance(), (bp.Sigmoid(),), LABELS, ""),
        (Likely(), (bp.Sigmoid(),), LABELS, "loss-sign"),
        (Margin(), (), 2 * LABELS - 1, ""),
        (Roots(), (), LABELS, "not-finite"),
    ],
)
def test_losses_of_ones_own(loss: bp.Loss, last: tuple, target: Any, name: str) -> None:
    with np.errstate(all="ignore"):
        made = regression(*last, loss=loss)
        assert first_of(made, TABLE, target[:, None].astype(float)) == name


class Blocks(bp.Layer):
    """Linear layers in a container: at once, with a bend, or with a road past."""

    def __init__(self, way: str) -> None:
        self.way, self.bend = way, bp.ReLU()
        self.a, self.b, self.c = (bp.Linear(6, 6, rng=i) for i in range(3))

    def forward(self, x: Any) -> np.ndarray:
        h = self.a.forward(x)
        if self.way != "past":
            return self.b.forward(h if self.way == "at once" else self.bend.forward(h))
        return h + self.c.forward(self.bend.forward(self.b.forward(h)))

    def backward(self, grad_output: Any) -> np.ndarray:
        if self.way == "past":
            through = self.b.backward(self.bend.backward(self.c.backward(grad_output)))
            return self.a.backward(grad_output + through)
        g = self.b.backward(grad_output)
        return self.a.backward(g if self.way == "at once" else self.bend.backward(g))


@pytest.mark.parametrize(("way", "name"), [("at once", "activation-missing"), ("bend", ""), ("past", "")])
def test_linear_layers_in_a_container_of_ones_own(way: str, name: str) -> None:
    own = Blocks(way)
    if way != "past":
        del own.c  # nobody uses it
    made = bp.Network(own, bp.Tanh(), bp.Linear(6, 2, rng=4), loss=bp.CrossEntropyLoss())
    assert first_of(made, TABLE, LABELS) == name


def test_a_network_dead_before_any_step_is_not_put_down_to_the_rate() -> None:
    _, patient, _ = cases()["S18"]
    options = patient.options(patient.net)
    for seed in range(3):  # whatever the new starts are
        assert first_of(patient.net, patient.x, patient.y, rng=seed, **options) == "dead-from-start"


class Taped(bp.Layer):
    """Keeps the Tensors of its last pass, as one does who works with the tape."""

    def __init__(self, cut: bool) -> None:
        self.weight, self.cut = bp.Parameter(0.3 * R.normal(size=(12, 12))), cut

    def forward(self, x: Any) -> np.ndarray:
        self.x, self.w = bp.Tensor(x), bp.Tensor(self.weight.data)
        product: Any = self.x @ self.w
        self.y: Any = np.tanh(bp.Tensor(product.data) if self.cut else product)
        return np.array(self.y.data)

    def backward(self, grad_output: Any) -> np.ndarray:
        self.y.backward(grad_output)
        if self.w.grad is not None:
            self.weight.grad += self.w.grad
        return np.zeros_like(self.x.data) if self.x.grad is None else self.x.grad


@pytest.mark.parametrize(("cut", "name"), [(False, ""), (True, "gradient-missing")])
def test_a_layer_may_keep_the_tensors_of_its_last_pass(cut: bool, name: str) -> None:
    assert first_of(between(Taped(cut)), TABLE, LABELS) == name


def test_of_two_optimizers_the_networks_own_is_looked_at() -> None:
    made, other = net(), net()
    mine, theirs = bp.SGD(made.parameters(), lr=0.1), bp.SGD(other.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> None:
        for judged, rule in ((other, theirs), (made, mine)):
            judged.loss(x, y)
            rule.zero_grad()
            judged.backward()
            rule.step()

    assert first_of(made, TABLE, LABELS, step=step) == ""


def test_deep_layers_that_learn_after_a_while_do_not_vanish() -> None:
    assert first_of(mlp(2, *14 * [30], 4, seed=5), X, Y) == ""
    assert first_of(mlp(2, *6 * [30], 4, act=bp.Sigmoid, seed=5), X, Y) == "vanishing"


def test_a_step_with_a_loss_of_its_own_is_looked_at_all_the_same() -> None:
    made, loss = regression(), bp.MSELoss()
    rule = bp.SGD(made.parameters(), lr=0.1)

    def step() -> None:
        loss.forward(made.forward(TABLE), NUMBERS)
        rule.zero_grad()
        made.backward(loss.backward())
        rule.step()

    assert first_of(made, TABLE, NUMBERS, step=step) == ""


def test_numbers_that_are_all_the_same_are_not_sorted() -> None:
    made, same = regression(), 0 * NUMBERS + 2
    assert first_of(made, TABLE, same, step=stepping(made, epochs(TABLE, same))) == ""


class Bend(bp.Layer):
    """A ReLU of one's own."""

    def forward(self, x: Any) -> np.ndarray:
        self.fires = np.asarray(x) > 0
        return x * self.fires

    def backward(self, grad_output: Any) -> np.ndarray:
        return grad_output * self.fires


@pytest.mark.parametrize("bend", [bp.ReLU(), Bend()])
def test_a_bend_that_a_large_bias_hides_is_no_missing_one(bend: bp.Layer) -> None:
    made = changed(between(bend), bias(20.0))
    assert first_of(made, TABLE, LABELS) == "first-loss-too-high"


@pytest.mark.parametrize("before", [False, True])
def test_a_gain_of_0_is_dead_only_where_a_relu_follows(before: bool) -> None:  # as chapter 23 says
    norm = bp.LayerNorm(12)
    norm.weight.data[...] = 0
    ends, middle = (bp.Linear(6, 12, rng=0), bp.Linear(12, 2, rng=1)), [norm, bp.ReLU()]
    made = bp.Network(ends[0], *middle[:: 1 if before else -1], ends[1], loss=bp.CrossEntropyLoss())
    assert first_of(made, TABLE, LABELS) == "dead-from-start" * before


@pytest.mark.parametrize(
    ("momentum", "kept", "name"), [(0.9, False, "optimizer-momentum"), (0, False, ""), (0.9, True, "")]
)
def test_a_momentum_that_each_step_begins_anew_is_named(momentum: float, kept: bool, name: str) -> None:
    made, batch = mlp(2, 12, 4, seed=5), drawing(40)
    rule = bp.SGD(made.parameters(), lr=0.02, momentum=momentum)

    def step() -> None:
        mine = rule if kept else bp.SGD(made.parameters(), lr=0.02, momentum=momentum)
        made.loss(*batch())
        made.zero_grad()
        made.backward()
        mine.step()

    looks = bp.Optimizer._look
    assert first_of(made, X, Y, step=step) == name
    assert bp.Optimizer._look is looks


@pytest.mark.parametrize("kinds", [1, 4])
def test_batches_of_one_class_each_are_sorted_whatever_the_order_of_the_rows(kinds: int) -> None:
    made, rng = mlp(2, 12, 4, seed=5), np.random.default_rng(0)

    def batch() -> Any:
        fits = np.isin(Y, rng.permutation(4)[:kinds])
        rows = rng.choice(np.flatnonzero(fits), 20)
        return X[rows], Y[rows]

    assert first_of(made, X, Y, step=stepping(made, batch)) == ("labels-sorted" if kinds == 1 else "")


@pytest.mark.parametrize("clears", [True, False])
def test_gradients_that_gather_must_be_cleared_after_the_step(clears: bool) -> None:
    made, batch, turn = regression(), drawing(20, TABLE, NUMBERS), itertools.count(1)
    rule = bp.Adam(made.parameters(), lr=0.005)

    def step() -> None:
        made.loss(*batch())
        made.backward()
        if next(turn) % 4 == 0:
            rule.step()
            if clears:
                rule.zero_grad()

    assert first_of(made, TABLE, NUMBERS, step=step) == "gradients-not-zeroed" * (not clears)


class LogSoftmax(bp.Layer):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Any) -> np.ndarray:
        self.y = x - np.log(np.exp(x).sum(axis=self.axis, keepdims=True))
        return self.y

    def backward(self, grad_output: Any) -> np.ndarray:
        return grad_output - np.exp(self.y) * grad_output.sum(axis=self.axis, keepdims=True)


@pytest.mark.parametrize(("axis", "name"), [(0, "softmax-wrong-axis"), (-1, "")])
def test_the_axis_of_a_logarithm_of_shares(axis: int, name: str) -> None:
    assert first_of(net(LogSoftmax(axis)), TABLE, LABELS) == name


def test_what_rounding_leaves_of_a_gradient_need_move_nothing() -> None:
    eyes = (
        bp.Conv2d(1, 6, 3, padding=1, rng=0),
        bp.BatchNorm2d(6),
        bp.ReLU(),
        bp.Flatten(),
        bp.Linear(216, 2, rng=0),
    )
    made = bp.Network(*eyes, loss=bp.CrossEntropyLoss()).to("float32")
    images = R.normal(size=(100, 1, 6, 6)).astype(np.float32)
    images[LABELS[:100] == 1, 0, :3] += 1

    def step(x: Any, y: Any) -> None:  # the norm takes the first bias away: its gradient is rounding alone
        made.loss(x, y)
        made.zero_grad()
        made.backward()
        for p in made.parameters():
            p.data -= 0.02 * p.grad

    assert first_of(made, images, LABELS[:100], step=step) == ""


@pytest.mark.parametrize(("decay", "name"), [(8.0, "decay-too-strong"), (0.01, "")])
def test_a_decay_that_outweighs_a_slow_loss_is_named(decay: float, name: str) -> None:
    layers = bp.Embedding(7, 8, rng=0), bp.LSTM(8, 12, rng=0), bp.Linear(12, 7, rng=1)
    made, ordered = (
        bp.Network(*layers, loss=bp.CrossEntropyLoss()),
        (np.arange(60)[:, None] + np.arange(9)) % 7,
    )
    rule = bp.SGD(made.parameters(), lr=0.02, weight_decay=decay)
    assert first_of(made, ordered[:, :-1], ordered[:, 1:], optimizer=rule) == name


def test_what_larger_batches_alone_would_mend_is_no_decay() -> None:
    made, batch = mlp(2, *[48] * 8, 4, seed=0), drawing(4)
    rule = bp.AdamW(made.parameters(), lr=0.002)

    def step() -> None:
        made.loss(*batch())
        rule.zero_grad()
        made.backward()
        rule.step()

    assert first_of(made, X, Y, step=step) == ""


@pytest.mark.parametrize("lr", [0.01, 100.0])
def test_a_step_that_knows_the_lengths_has_another_loss(lr: float) -> None:
    rng = np.random.default_rng(0)
    moves, ends = rng.normal(size=(120, 10, 3)), rng.integers(4, 11, size=120)
    moves *= (np.arange(10) < ends[:, None])[..., None]
    says = np.array([move[:end, 0][-3:].sum() > 0 for move, end in zip(moves, ends, strict=True)]).astype(int)
    made = bp.Network(bp.LSTM(3, 12, rng=0), bp.Last(), bp.Linear(12, 2, rng=0), loss=bp.CrossEntropyLoss())
    rule = bp.Adam(made.parameters(), lr=lr)

    def step() -> None:
        rows = rng.permutation(120)[:24]
        made.loss(moves[rows], says[rows], lengths=ends[rows])
        rule.zero_grad()
        made.backward()
        rule.step()

    assert first_of(made, moves, says, step=step) == ""


@pytest.mark.parametrize(("times", "name"), [(1, ""), (6, "exploding")])
def test_large_recurrent_weights_are_named(times: float, name: str) -> None:
    memory, moves = bp.RNN(3, 16, rng=0), np.random.default_rng(0).normal(size=(150, 20, 3))
    for p in memory.parameters():
        p.data *= times if p.shape == (16, 16) else 1
    made = bp.Network(memory, bp.Last(), bp.Linear(16, 2, rng=0), loss=bp.CrossEntropyLoss())
    assert first_of(made, moves, (moves[:, -4:, 0].sum(axis=1) > 0).astype(int)) == name


@pytest.mark.parametrize(("times", "name"), [(0.6, ""), (1.8, "exploding")])
def test_an_answer_a_thousand_times_too_large_explodes_though_some_rate_would_tame_it(
    times: float, name: str
) -> None:
    memory, at = bp.RNN(1, 24, nonlinearity="relu", rng=0), np.arange(30) + np.arange(200)[:, None]
    memory.recurrent.data[...] = np.random.default_rng(0).normal(0, times / 24**0.5, (24, 24))
    made = bp.Network(memory, bp.Last(), bp.Linear(24, 1, rng=1), loss=bp.MSELoss())
    moves, rule = np.sin(at / 6) + 0.5 * np.sin(at / 2.3), bp.SGD(made.parameters(), lr=0.01)
    assert first_of(made, moves[..., None], np.roll(moves, -1, 0)[:, -1:], optimizer=rule) == name


def test_a_pool_asked_just_beside_a_bend_is_no_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    eye = bp.Network(bp.MaxPool2d(2), bp.Flatten(), bp.Linear(4, 2, rng=0), loss=bp.CrossEntropyLoss())
    x, trial = np.random.default_rng(0).normal(size=(60, 1, 4, 4)), bp._trial

    def beside(heard: Any, rng: Any) -> Any:
        layer, near = trial(heard, rng)
        if near.ndim == 4 and not seen:
            near[:, 0, 0, :2] = near.max() + np.array([1.0, 1.0 + 1e-8])
            seen.append(near)
        return layer, near

    monkeypatch.setattr(bp, "_trial", beside)
    for kind, name in ((bp.MaxPool2d, ""), (ReturnsEarly, "gradient-wrong")):
        seen: list[Any] = []
        eye.layers[0] = kind(2)
        assert first_of(eye, x, (x.sum((1, 2, 3)) > 0).astype(int)) == name and seen


def test_units_that_a_narrow_layer_loses_kill_nothing_while_it_learns() -> None:
    order = np.random.default_rng(104).permutation(1797)
    x = load_digits().data[order] / 16
    sizes = (64, 32), (32, 8), (8, 32), (32, 64)
    layers = [one for i, (a, b) in enumerate(sizes) for one in (bp.Linear(a, b, rng=100 + i), bp.ReLU())]
    made = bp.Network(*layers[:-1], bp.Sigmoid(), loss=bp.MSELoss())
    assert first_of(made, x, x.copy(), optimizer=bp.Adam(made.parameters(), lr=0.003)) == ""
