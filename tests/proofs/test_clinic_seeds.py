"""Ten seeds: each case is named, no healthy twin and no healthy network of the book is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import backprop_core as bp
from tests.clinic_cases import Patient, cases, clouds, mlp, with_optimizer, with_step

SEEDS = range(10)


@pytest.mark.parametrize("seed", SEEDS[1:])  # tests/test_clinic.py asks the first
def test_each_case_is_named_and_its_twin_is_not(seed: int) -> None:
    found = cases(seed)
    for case, (wanted, sick, _) in found.items():
        assert wanted & set(sick.names()[:2]), case
    for case, well in {id(well): (case, well) for case, (_, _, well) in found.items()}.values():
        assert well.names() == [], case  # each once: some cases share theirs


def normed(norm: Any, rng: np.random.Generator) -> bp.Network:
    layers: list[bp.Layer] = []
    for i in range(10):
        layers += [bp.Linear(50 if i else 64, 50, rng=rng), norm(50), bp.ReLU()]
        bp.kaiming_normal_(layers[-3].weight, rng=rng)  # type: ignore[attr-defined]
    return bp.Network(*layers, bp.Linear(50, 10, rng=rng), loss=bp.CrossEntropyLoss())


def tower(depth: int, rng: np.random.Generator) -> bp.Network:
    net = mlp(*[64] * (depth + 1), 10)
    for p in net.parameters():
        p.data[...] = 0
        if p.data.ndim > 1:
            bp.kaiming_normal_(p, rng=rng)
    return net


def images(rng: np.random.Generator) -> bp.Network:
    return bp.Network(
        bp.Conv2d(1, 8, 3, padding=1, rng=rng),
        bp.BatchNorm2d(8),
        bp.ReLU(),
        bp.MaxPool2d(2),
        bp.Flatten(),
        bp.Dropout(0.3, rng=rng),
        bp.Linear(128, 10, rng=rng),
        loss=bp.CrossEntropyLoss(),
    ).to("float32")


def remembers(kind: Any, rng: np.random.Generator) -> bp.Network:
    layer = kind(1, 16, rng=rng)
    layer.bias.data[16:32] += 3  # open gates, as in chapter 20
    return bp.Network(layer, bp.Last(), bp.Linear(16, 2, rng=rng), loss=bp.CrossEntropyLoss())


def writer(rng: np.random.Generator) -> bp.Network:
    return bp.Network(
        bp.Embedding(30, 32, std=0.3, rng=rng),
        bp.PositionEmbedding(16, 32, std=0.3, rng=rng),
        bp.TransformerBlock(32, 4, rng=rng),
        bp.LayerNorm(32),
        bp.Linear(32, 30, rng=rng),
        loss=bp.CrossEntropyLoss(),
    ).to("float32")


def of_the_book(seed: int) -> Iterator[tuple[str, Patient]]:
    rng = np.random.default_rng(seed)
    pixels, label = load_digits(return_X_y=True)
    order = rng.permutation(len(pixels))
    x, y = pixels[order] / 16, label[order]
    adam, quick = with_optimizer(bp.Adam, lr=0.003), with_optimizer(bp.SGD, lr=0.5)
    seen = {"x_test": x[1400:], "y_test": y[1400:]}
    yield "7, digits", Patient(mlp(64, 256, 10, seed=seed), x[:1400], y[:1400], lambda n: quick(n) | seen)
    yield "8, He's tower", Patient(tower(20, rng), x, y, with_optimizer(bp.SGD, lr=0.02))
    for kind, settings in (
        (bp.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
        (bp.Adagrad, {"lr": 0.05}),
        (bp.RMSprop, {"lr": 0.003}),
        (bp.AdamW, {"lr": 0.003, "weight_decay": 1.0}),
    ):
        yield (
            f"9, {kind.__name__}",
            Patient(mlp(64, 64, 10, seed=seed), x, y, with_optimizer(kind, **settings)),
        )
    yield (
        "10, its own loop",
        Patient(mlp(64, 64, 10, seed=seed), x[:300], y[:300], with_step(x[:300], y[:300])),
    )
    wrong = y[:400].copy()
    wrong[::4] = (wrong[::4] + rng.integers(1, 10, 100)) % 10
    yield "11, careless labels", Patient(mlp(64, 128, 10, seed=seed), x[:400], wrong, adam)
    for norm in (bp.BatchNorm1d, bp.LayerNorm, bp.RMSNorm):
        yield (
            f"12, {norm.__name__}",
            Patient(normed(norm, rng), x, y, with_optimizer(bp.SGD, lr=0.03, momentum=0.9)),
        )
    yield "13, images", Patient(images(rng), np.float32(x.reshape(-1, 1, 8, 8)), y, adam)  # type: ignore[arg-type]
    series = rng.normal(size=(200, 40, 1))
    for kind in (bp.LSTM, bp.GRU):  # type: ignore[assignment]
        first = (series[:, 0, 0] > 0).astype(int)
        yield (
            f"16, {kind.__name__}",
            Patient(remembers(kind, rng), series, first, with_optimizer(bp.Adam, lr=0.01)),
        )
    words = rng.integers(30, size=(60, 17))
    yield "17, letters", Patient(writer(rng), words[:, :-1], words[:, 1:], with_optimizer(bp.Adam, lr=5e-3))
    yield "7, spirals", Patient(mlp(2, 32, 32, 3, seed=seed), *clouds(seed=seed), quick)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_healthy_network_of_the_book_gets_a_finding(seed: int) -> None:
    for name, patient in of_the_book(seed):
        assert patient.names() == [], f"{name}, before training"
        if patient.x.ndim == 2 and patient.x.dtype.kind == "f":
            optimizer = bp.Adam(patient.net.parameters(), lr=0.003)
            loader = bp.DataLoader(patient.x, patient.y, 32, drop_last=True, rng=seed)
            bp.fit(patient.net, optimizer, loader, epochs=3, verbose=False)
            trained = Patient(patient.net, patient.x, patient.y, patient.options)
            assert trained.names() == [], f"{name}, after training"
