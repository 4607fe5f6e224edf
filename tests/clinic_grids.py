"""Checks of diagnose that hold for whole grids: the tests walk their diagonals, the proofs all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import backprop_core as bp
from tests.clinic_cases import Careless, Patient, mlp, with_optimizer

R = np.random.default_rng(7)
TABLE = R.normal(size=(200, 6))
NUMBERS = TABLE @ R.normal(size=(6, 1))
LABELS = (TABLE[:, 0] + TABLE[:, 1] > 0).astype(int)
SIDES = TABLE[:, :1] + TABLE[:, 1:2]

ACTIVATIONS = [bp.ReLU, bp.Tanh]
KINDS = [bp.MSELoss, bp.L1Loss, bp.HuberLoss, bp.CrossEntropyLoss, bp.BCEWithLogitsLoss]
MEMORIES = [bp.RNN, bp.LSTM, bp.GRU]
OFFSETS = [1, 3, 5]
RULES = [(bp.SGD, 1e3), (bp.SGD, 50.0), (bp.Adam, 10.0)]
SLOW = [(bp.SGD, 1e-4), (bp.Adam, 1e-6)]
SIZES = [  # mean and spread of the targets
    (0, 1),
    (8, 1),
    (45, 10),
    (-300, 30),
    (2020, 1),
    (1e7, 3e6),
    (1.7e9, 1e7),
    (1e9, 1),
    (0, 1e-6),
    (-3, 1e-4),
]


def given(options: dict[str, Any]) -> Callable[[bp.Network], dict[str, Any]]:
    return lambda _: options


def trained(made: bp.Network, rule: bp.Optimizer, y: np.ndarray, steps: int) -> bp.Network:
    with np.errstate(all="ignore"):
        for _ in range(steps):
            made.loss(TABLE, y)
            rule.zero_grad()
            made.backward()
            rule.step()
    return made


@cache
def of_size_1(columns: int) -> tuple[bp.Network, np.ndarray]:
    y = np.hstack([SIDES, SIDES[::-1]])[:, :columns] / 2
    made = mlp(6, 12, columns, act=bp.Tanh, loss=bp.MSELoss(), seed=4)
    return trained(made, bp.Adam(made.parameters(), lr=0.01), y, 100), y


def fitted(mean: float, wide: float, columns: int, loss: Any) -> Patient:
    """Trained on targets of size 1; then the last layer has their real size."""
    made, y = copy.deepcopy(of_size_1(columns))
    weight, bias = made.parameters()[-2:]
    weight.data *= wide
    bias.data[...] = wide * bias.data + mean
    return Patient(bp.Network(*made.layers, loss=loss), TABLE, mean + wide * y)


def no_size_is_a_fault(kind: Any, size: tuple[float, float], columns: int) -> None:
    assert fitted(*size, columns, kind()).names() == []


def at_a_size_a_faulty_loss_is_named(kind: Any, size: tuple[float, float]) -> None:
    class Flat(Careless):
        def value_and_slope(self, x: Any, target: Any) -> tuple:
            value, slope = kind().value_and_slope(x, target)
            return value, slope.sum(axis=1, keepdims=True)

    class Off(kind):
        def value_and_slope(self, x: Any, target: Any) -> tuple:
            value, slope = super().value_and_slope(x, target)
            return value, 1.1 * slope

    well = fitted(*size, 1, kind("sum"))
    assert well.names()[:1] == ["loss-summed"]
    torn = bp.Network(*well.net.layers, loss=Flat())
    assert Patient(torn, TABLE, well.y[:, 0]).names()[:1] == ["loss-broadcast"]
    off = bp.Network(*well.net.layers, loss=Off())
    assert Patient(off, TABLE, well.y).names()[:1] == ["gradient-wrong"]


def patient_of(kind: Any, act: Any) -> tuple[bp.Network, np.ndarray]:
    classes = kind is bp.CrossEntropyLoss
    y = LABELS if classes else LABELS[:, None] if kind is bp.BCEWithLogitsLoss else SIDES
    return mlp(6, 12, 12, 2 if classes else 1, act=act, loss=kind(), seed=4), y


def a_ruined_network_is_told_so(kind: Any, act: Any, rule: tuple[Any, float], steps: int) -> None:
    made, y = patient_of(kind, act)
    optimizer = rule[0](made.parameters(), lr=rule[1])
    trained(made, optimizer, y, steps)
    with np.errstate(all="ignore"):
        found = bp.diagnose(made, TABLE, y, optimizer=optimizer).findings
    assert found and {f.name for f in found} <= {"rate-too-large", "dead-from-rate"}, found


def a_trained_network_has_no_finding(kind: Any, act: Any, steps: int) -> None:
    made, y = patient_of(kind, act)
    optimizer = bp.Adam(made.parameters(), lr=0.01)
    trained(made, optimizer, y, steps)
    assert Patient(made, TABLE, y, given({"optimizer": optimizer})).names() == []


def new_rows_do_not_differ(rows: int, at: int) -> None:
    new = np.arange(at, at + rows)
    x, y = np.delete(TABLE, new, 0), np.delete(LABELS, new)
    made = mlp(6, 12, 2, seed=5)
    assert Patient(made, x, y, given({"x_test": TABLE[new]})).names() == []


def inputs_far_from_0_are_named(seed: int, offset: int) -> None:
    pixels, digits = load_digits(return_X_y=True)
    x, y = pixels[:400] / 16 + offset, digits[:400]
    made = mlp(64, 32, 10, seed=seed)
    found = bp.diagnose(made, x, y, optimizer=bp.SGD(made.parameters(), lr=0.5)).findings
    assert [one.name for one in found] == (["input-scale"] if offset else [])
    assert not offset or "mean" in found[0].figure


def a_wild_start_is_no_wrong_gradient(kind: Any, seed: int) -> None:
    memory = kind(2, 40, rng=seed)
    for p in memory.parameters():
        p.data[...] = np.random.default_rng(seed).normal(size=p.data.shape)
    made = bp.Network(memory, bp.Last(), bp.Linear(40, 2, rng=1), loss=bp.CrossEntropyLoss())
    series = np.random.default_rng(6).normal(size=(80, 22, 2))
    assert "gradient-wrong" not in Patient(made, series, LABELS[:80]).names()


def pooling_behind_dead_units_is_no_wrong_gradient(seed: int) -> None:
    first, last = bp.Conv2d(1, 6, 3, padding=1, rng=seed), bp.Linear(54, 2, rng=seed)
    first.bias.data[...] = -50
    eyes = first, bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(), last
    images = np.random.default_rng(seed).normal(size=(200, 1, 6, 6))
    made = bp.Network(*eyes, loss=bp.CrossEntropyLoss())
    assert Patient(made, images, LABELS).names() == ["dead-from-start"]


def a_rate_too_small_for_pictures_is_named(kind: Any, lr: float) -> None:
    pixels, digits = load_digits(return_X_y=True)
    images, places = pixels[300:500].reshape(-1, 1, 8, 8) / 16, digits[300:500]
    first, second = bp.Conv2d(1, 6, 3, padding=1, rng=0), bp.Conv2d(6, 10, 3, padding=1, rng=1)
    eyes = first, bp.ReLU(), bp.MaxPool2d(2), second, bp.ReLU(), bp.MaxPool2d(2), bp.Flatten()
    sees = bp.Network(*eyes, bp.Linear(40, 10, rng=1), loss=bp.CrossEntropyLoss())
    assert Patient(sees, images, places, with_optimizer(kind, lr=lr)).names() == ["rate-too-small"]
