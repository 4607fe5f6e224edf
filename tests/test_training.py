"""The loop: what fit counts, prints and promises, and what save and load keep."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle
import pty
import re
import signal
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jupyter_client.provisioning import KernelProvisionerFactory
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import backprop_core as bp

X = np.random.default_rng(0).normal(size=(20, 4))
LABELS = np.random.default_rng(1).integers(3, size=20)


def classifier(seed: int = 0, loss: bp.Loss | None = None) -> bp.Network:
    rng = np.random.default_rng(seed)
    layers = bp.Linear(4, 5, rng=rng), bp.ReLU(), bp.Linear(5, 3, rng=rng)
    return bp.Network(*layers, loss=loss or bp.CrossEntropyLoss())


def batches(y: Any = LABELS, **options: Any) -> bp.DataLoader:
    return bp.DataLoader(X, y, 8, rng=1, **options)


class Start:
    """All that takes part in a training."""

    def __init__(self, make: Callable[[bp.Optimizer], bp.Schedule], seed: int = 0, lr: float = 0.1) -> None:
        self.net, self.loader = classifier(seed), batches()
        self.optimizer = bp.Adam(self.net.parameters(), lr=lr)
        self.schedule = make(self.optimizer)

    def train(self, epochs: int) -> None:
        bp.fit(self.net, self.optimizer, self.loader, epochs, schedule=self.schedule, verbose=False)

    def everything(self) -> list[Any]:
        arrays = bp._named_arrays(self.net, self.optimizer, self.schedule).values()
        return [*(array.tolist() for array in arrays), self.loader.rng.bit_generator.state]


SCHEDULES: dict[str, Callable[[bp.Optimizer], bp.Schedule]] = {
    "step": lambda optimizer: bp.StepLR(optimizer, 2, 0.5),
    "exponential": lambda optimizer: bp.ExponentialLR(optimizer, 0.8),
    "cosine": lambda optimizer: bp.CosineAnnealingLR(optimizer, 5, 0.01),
    "warm-up": lambda optimizer: bp.LinearWarmup(optimizer, 4),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_copied_with_its_optimizer(name: str) -> None:
    optimizer = bp.SGD([bp.Parameter([1.0])], lr=0.1)
    schedule = SCHEDULES[name](optimizer)
    schedule.step()
    pairs = [(optimizer, schedule), copy.deepcopy((optimizer, schedule))]
    pairs.append(pickle.loads(pickle.dumps(pairs[0])))
    for _, its in pairs:
        its.step()
    assert len({its.lr for its, _ in pairs}) == 1 and optimizer.lr == schedule.rate(2)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_training_with_a_schedule_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    whole = Start(SCHEDULES[name])
    whole.train(3)
    bp.save(
        whole.net,
        tmp_path / "a.npz",
        optimizer=whole.optimizer,
        rng=whole.loader.rng,
        schedule=whole.schedule,
    )
    whole.train(2)
    other = Start(SCHEDULES[name], seed=9, lr=7.0)
    other.train(1)
    bp.load(
        other.net,
        tmp_path / "a.npz",
        optimizer=other.optimizer,
        rng=other.loader.rng,
        schedule=other.schedule,
    )
    other.train(2)
    assert other.everything() == whole.everything()


def random_net(seed: int) -> bp.Network:
    inner = bp.Network(bp.Dropout(0.3, rng=seed), bp.Linear(5, 3, rng=seed), bp.Dropout(0.1, rng=seed + 1))
    return bp.Network(
        bp.Linear(4, 5, rng=seed), bp.BatchNorm1d(5), bp.ReLU(), inner, loss=bp.CrossEntropyLoss()
    )


def test_masks_and_running_averages_go_on_bit_for_bit(tmp_path: Path) -> None:
    def train(net: bp.Network, epochs: int) -> None:
        loader = bp.DataLoader(X, LABELS, 8, shuffle=False)
        bp.fit(net, bp.SGD(net.parameters(), lr=0.1), loader, epochs, verbose=False)

    whole, resumed = random_net(0), random_net(9)
    train(whole, 2)
    bp.save(whole, tmp_path / "a.npz")
    train(whole, 2)
    bp.load(resumed, tmp_path / "a.npz")
    train(resumed, 2)
    ours, theirs = bp._named_arrays(resumed), bp._named_arrays(whole)
    assert "net.1.running_var" in ours and ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(ValueError, match=r"a\.npz: net\.1\.bias is float64 of shape .* there, missing here"):
        bp.load(bp.Network(bp.Linear(4, 5), bp.Dropout()), tmp_path / "a.npz")


def test_the_rate_is_loaded_without_a_schedule_too_and_a_new_one_begins_at_the_base(tmp_path: Path) -> None:
    first = Start(SCHEDULES["cosine"])
    first.train(4)
    bp.save(first.net, tmp_path / "a.npz", optimizer=first.optimizer, schedule=first.schedule)
    net = classifier()
    optimizer = bp.Adam(net.parameters(), lr=5.0)
    bp.load(net, tmp_path / "a.npz", optimizer=optimizer)
    assert optimizer.lr == first.optimizer.lr < 0.05
    assert bp.CosineAnnealingLR(optimizer, 5).optimizer.lr == 0.1


def test_a_first_schedule_after_loading_begins_at_the_rate_set_by_hand(tmp_path: Path) -> None:
    net = classifier()
    optimizer = bp.Adam(net.parameters(), lr=0.01)
    bp.save(net, tmp_path / "a.npz", optimizer=optimizer)
    bp.load(net, tmp_path / "a.npz", optimizer=optimizer)
    optimizer.lr = 1e-4
    assert bp.CosineAnnealingLR(optimizer, 10).base == 1e-4


def test_a_file_with_more_random_layers_does_not_fit(tmp_path: Path) -> None:
    bp.save(bp.Network(bp.Linear(4, 5, rng=0), bp.Dropout(rng=0)), tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"rng\.1\._rng is text there, missing here"):
        bp.load(bp.Network(bp.Linear(4, 5, rng=0), bp.ReLU()), tmp_path / "a.npz")


def test_a_path_may_be_bytes(tmp_path: Path) -> None:
    layer, other = bp.Linear(2, 2, rng=0), bp.Linear(2, 2, rng=1)
    bp.save(layer, os.fsencode(tmp_path / "it"))  # type: ignore[arg-type]
    bp.load(other, os.fsencode(tmp_path / "it"))  # type: ignore[arg-type]
    assert np.array_equal(layer.weight.data, other.weight.data)


def test_saving_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    bp.save(classifier(), tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink() and (tmp_path / "real.npz").is_file()


def other_generator(kind: Any) -> str:
    state = np.random.Generator(kind(1)).bit_generator.state
    return json.dumps(state, default=np.ndarray.tolist)


SPOILED: dict[str, tuple[str, Any]] = {
    "no json": ("rng", "{"),
    "no state": ("rng", "{}"),
    "a number": ("rng", 3.0),
    "another generator": ("rng", other_generator(np.random.MT19937)),
    "no generator": ("rng", None),
    "no rate": ("optimizer.rates", None),
    "rate of another kind": ("optimizer.rates", 0.1),
    "no schedule": ("schedule", None),
    "half a step": ("schedule", 1.5),
    "no average": ("optimizer.m", None),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_file_changes_nothing(name: str, tmp_path: Path) -> None:
    path, first, other = tmp_path / "a.npz", Start(SCHEDULES["step"]), Start(SCHEDULES["step"], seed=9)
    first.train(2)
    bp.save(first.net, path, optimizer=first.optimizer, rng=first.loader.rng, schedule=first.schedule)
    with np.load(path) as archive:
        arrays = dict(archive)
    key, value = SPOILED[name]
    del arrays[key]
    np.savez(path, **arrays | ({} if value is None else {key: np.array(value)}))
    before = other.everything()
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")):
        bp.load(other.net, path, optimizer=other.optimizer, rng=other.loader.rng, schedule=other.schedule)
    assert other.everything() == before


def test_a_schedule_needs_its_optimizer(tmp_path: Path) -> None:
    start = Start(SCHEDULES["step"])
    for optimizer in (None, bp.SGD(classifier().parameters(), lr=0.1)):
        with pytest.raises(ValueError, match="checkpoint: the schedule's optimizer is not given"):
            bp.save(start.net, tmp_path / "a.npz", optimizer=optimizer, schedule=start.schedule)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_generator_of_numpy_can_be_kept(kind: str, tmp_path: Path) -> None:
    first, second = (np.random.Generator(getattr(np.random, kind)(seed)) for seed in (1, 2))
    first.random(3, np.float32)
    bp.save(classifier(), tmp_path / "a.npz", rng=first)
    bp.load(classifier(), tmp_path / "a.npz", rng=second)
    assert np.array_equal(first.random(5, np.float32), second.random(5, np.float32))


def test_saving_has_the_usual_permissions_and_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    bp.save(classifier(), tmp_path / "a.npz")
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.npz", "plain")}
    assert len(modes) == 1
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        bp.save(classifier(), tmp_path / "folder")
    net = classifier()
    vars(net[1])["buffers"] = {"odd": np.array([None])}
    with pytest.raises(TypeError, match=r"1\.odd is no array of numbers"):
        bp.save(net, tmp_path / "b.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "folder", "plain"]


def test_a_save_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[str] = []

    def full(file: Any, **_: Any) -> None:
        parts.append(file.name)
        file.write(b"half of it")
        raise OSError("no space left")

    bp.save(classifier(), path := tmp_path / "a.npz")
    before = path.read_bytes()
    monkeypatch.setattr(np, "savez", full)
    for _ in range(2):
        with pytest.raises(OSError, match="no space left"):
            bp.save(classifier(1), path)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]
    assert len({*parts}) == 2  # two at once do not write into one file


def test_saving_leaves_what_another_save_is_writing(tmp_path: Path) -> None:
    other = tmp_path / "a.npz.01234567.part"
    other.touch()
    os.utime(other, (time.time() + 30,) * 2)
    bp.save(classifier(), tmp_path / "a.npz")
    assert other.exists()


def test_loading_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bp.load(classifier(), tmp_path / "a.npz")


@pytest.mark.parametrize("y", [LABELS[:, None] * [1, 2, 3], np.eye(3, dtype=int)[LABELS]])
def test_integers_that_are_not_labels_have_no_accuracy(y: np.ndarray) -> None:
    net = classifier(loss=bp.MSELoss())
    optimizer = bp.SGD(net.parameters(), lr=0.01)
    (row,) = bp.fit(net, optimizer, batches(y), 1, validation=batches(y), verbose=False)
    assert "validation_accuracy" not in row
    one = np.eye(3, dtype=int)[LABELS]
    net = classifier()
    (row,) = bp.fit(net, bp.SGD(net.parameters(), 0.01), batches(one), 1, batches(one), verbose=False)
    assert "validation_accuracy" not in row


def test_accuracy_and_loss_of_validation_are_those_of_all_examples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    net = classifier()
    (row,) = bp.fit(net, bp.SGD(net.parameters(), 0.1), batches(), 1, validation=batches())
    assert f"  validation accuracy {row['validation_accuracy']:.4f}" in capsys.readouterr().out
    assert row["validation_accuracy"] == np.mean(net(X).argmax(axis=1) == LABELS)
    assert row["validation_loss"] == pytest.approx(net.loss(X, LABELS))


@pytest.mark.parametrize("batch_size", [3, 7, 20])
def test_a_loss_that_is_a_sum_is_reported_for_one_example(batch_size: int) -> None:
    net, data = classifier(loss=bp.CrossEntropyLoss("sum")), bp.DataLoader(X, LABELS, batch_size)
    (row,) = bp.fit(net, bp.SGD(net.parameters(), 0.0), data, 1, validation=data, verbose=False)
    assert [row["loss"], row["validation_loss"]] == pytest.approx(2 * [net.loss(X, LABELS) / len(X)])


class Watched(bp.ReLU):
    """Notes in which mode it runs; may fail in evaluation."""

    def __init__(self, fails: bool = False) -> None:
        self.modes: list[bool] = []
        self.fails = fails

    def forward(self, x: Any) -> np.ndarray:
        self.modes.append(self.training)
        if self.fails and not self.training:
            raise KeyboardInterrupt
        return super().forward(x)


def watched(fails: bool = False) -> tuple[bp.Network, Watched]:
    layer = Watched(fails)
    return bp.Network(layer, bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss()), layer


def test_fit_trains_in_training_mode_and_validates_once_in_evaluation_mode() -> None:
    net, layer = watched()
    net.eval()
    bp.fit(net, bp.SGD(net.parameters(), 0.1), batches(), 2, validation=batches(), verbose=False)
    assert layer.modes == 2 * (3 * [True] + 3 * [False])
    assert net.training


@pytest.mark.parametrize("validation", [None, batches()])
def test_a_callback_finds_the_network_in_evaluation_mode(validation: Any) -> None:
    net, layer = watched()
    modes = []
    looks = [lambda _: modes.append((net.training, layer.training))]
    bp.fit(net, bp.SGD(net.parameters(), 0.1), batches(), 2, validation, looks, verbose=False)
    assert modes == 2 * [(False, False)]
    assert net.training


def test_each_callback_is_asked_although_one_before_it_stops() -> None:
    net, _ = watched()
    seen: list[int] = []
    looks: list[Any] = [lambda _: True, lambda rows: seen.append(len(rows))]
    bp.fit(net, bp.SGD(net.parameters(), 0.1), batches(), 3, callbacks=looks, verbose=False)
    assert seen == [1]


@pytest.mark.parametrize("answer", [None, False, "no", 0.93, [0], np.array([1, 1]), np.array([])], ids=repr)
def test_only_true_stops(answer: Any) -> None:
    net, _ = watched()
    for said, epochs in (answer, 2), (np.True_, 1), (1, 1):
        looks = [lambda _, said=said: said]
        assert (
            len(bp.fit(net, bp.SGD(net.parameters()), batches(), 2, callbacks=looks, verbose=False)) == epochs
        )


class Plain(bp.Network):
    def forward(self, x: Any) -> Any:  # type: ignore[override]  # as one writes it who has no sequences
        return super().forward(x)


class Distance(bp.Loss):
    def forward(self, prediction: Any, target: Any) -> float:  # type: ignore[override]  # no mask either
        self.apart = prediction - target
        return float(np.mean(self.apart**2))

    def backward(self, grad_output: Any = 1.0) -> np.ndarray:
        return 2 * self.apart / self.apart.size * grad_output


def test_a_network_and_a_loss_need_no_lengths_and_no_mask() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
    nets = [
        kind(bp.Linear(3, 3, rng=0), loss=loss)
        for kind, loss in ((Plain, Distance()), (bp.Network, bp.MSELoss()))
    ]
    rows = [bp.fit(net, bp.SGD(net.parameters()), [(x, y)], 2, [(x, y)], verbose=False) for net in nets]
    ours, usual = ([row["loss"] + row["validation_loss"] for row in each] for each in rows)
    assert np.allclose(ours, usual)


def test_a_history_that_goes_on_is_a_list_of_its_own() -> None:
    net, _ = watched()
    optimizer = bp.SGD(net.parameters(), 0.1)
    before = bp.fit(net, optimizer, batches(), 1, verbose=False)
    after = bp.fit(net, optimizer, batches(), 1, verbose=False, history=before)
    assert (len(before), len(after)) == (1, 2)


def test_an_interrupted_validation_leaves_training_mode(capsys: pytest.CaptureFixture[str]) -> None:
    net, _ = watched(fails=True)
    assert bp.fit(net, bp.SGD(net.parameters(), 0.1), batches(), 2, batches(), verbose=False) == []
    assert net.training and capsys.readouterr().err == "interrupted after 0 epochs\n"


class Pressed(bp.Adam):
    """Ctrl-C is pressed in the middle of the second step."""

    def _direction(self) -> np.ndarray:
        if self.state["t"] == 2:
            signal.raise_signal(signal.SIGINT)
        return super()._direction()


@pytest.fixture
def ctrl_c() -> Iterator[Any]:
    """What Ctrl-C calls in a terminal; where tests run in the background it may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_the_step(capsys: pytest.CaptureFixture[str], ctrl_c: Any) -> None:
    nets = classifier(), classifier()
    pressed, plain = (kind(net.parameters()) for kind, net in zip((Pressed, bp.Adam), nets, strict=True))
    assert bp.fit(nets[0], pressed, batches(), 5, verbose=False) == []
    assert capsys.readouterr().err == "interrupted after 0 epochs\n"
    assert signal.getsignal(signal.SIGINT) is ctrl_c
    bp.fit(nets[1], plain, list(batches())[:2], 1, verbose=False)
    assert pressed.state["t"] == 2
    assert np.array_equal(pressed._data, plain._data)


def test_ctrl_c_waits_until_the_epoch_is_noted_and_the_rate_is_set(ctrl_c: Any) -> None:
    def falling(base: float, t: int) -> float:
        if t == 1:
            signal.raise_signal(signal.SIGINT)
        return base * 0.5**t

    optimizer = bp.SGD((net := classifier()).parameters(), lr=0.1)
    schedule = bp.Schedule(optimizer, falling)
    history = bp.fit(net, optimizer, batches(), 5, schedule=schedule, verbose=False)
    assert (len(history), schedule.t, optimizer.lr) == (1, 1, 0.05)


def test_ctrl_c_while_an_epoch_is_printed_leaves_it_in_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: Any, file: Any = sys.stdout, **__: Any) -> None:
        if file is not sys.stderr:
            raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", pressed)
    optimizer = bp.SGD((net := classifier()).parameters(), lr=0.1)
    assert len(bp.fit(net, optimizer, batches(), 5)) == 1


def test_ctrl_c_means_what_it_meant_after_an_error_in_a_step(ctrl_c: Any) -> None:
    def fail() -> None:
        assert signal.getsignal(signal.SIGINT) is not ctrl_c
        raise ValueError("within a step")

    with pytest.raises(ValueError, match="within a step"):
        fitted(penalty=fail)
    assert signal.getsignal(signal.SIGINT) is ctrl_c


def test_fit_runs_in_another_thread() -> None:
    net, found = classifier(), []
    optimizer = bp.SGD(net.parameters(), 0.1)

    def run_it() -> None:
        found.extend(bp.fit(net, optimizer, batches(), 2, verbose=False))

    thread = threading.Thread(target=run_it)
    thread.start()
    thread.join()
    assert len(found) == 2


def test_a_gradient_that_is_not_finite_stops_before_the_step() -> None:
    class Lost(bp.ReLU):
        def backward(self, grad_output: Any) -> np.ndarray:
            return super().backward(grad_output) * np.nan

    layers = bp.Linear(4, 5, rng=0), Lost(), bp.Linear(5, 3, rng=0)
    net = bp.Network(*layers, loss=bp.CrossEntropyLoss())
    optimizer = bp.SGD(net.parameters(), 0.1)
    before = optimizer._data.copy()
    with pytest.raises(FloatingPointError, match=r"gradient of 0\.weight, 0\.bias is not finite in batch 0$"):
        bp.fit(net, optimizer, batches(), 1, verbose=False)
    assert np.array_equal(optimizer._data, before)


def test_a_penalty_that_is_not_finite_stops_before_the_step() -> None:
    net = classifier()
    optimizer = bp.SGD(net.parameters(), 0.1)
    before = optimizer._data.copy()
    with pytest.raises(FloatingPointError, match=r"the gradient of 0\.weight is not finite in batch 0"):
        bp.fit(
            net, optimizer, batches(), 1, penalty=lambda: net.parameters()[0].grad.fill(np.inf), verbose=False
        )
    assert np.array_equal(optimizer._data, before)


def test_a_schedule_by_batch_moves_on_after_the_step() -> None:
    seen: list[float] = []

    class Heard(bp.SGD):
        def step(self) -> None:
            seen.append(self.lr)
            super().step()

    optimizer = Heard((net := classifier()).parameters(), lr=0.4)
    data = bp.DataLoader(X, LABELS, len(X))
    bp.fit(
        net, optimizer, data, 3, schedule=bp.LinearWarmup(optimizer, 4), schedule_every="batch", verbose=False
    )
    assert seen == pytest.approx([0.1, 0.2, 0.3])


def test_each_epoch_has_the_order_that_the_generator_gives_next() -> None:
    loader, twin = bp.DataLoader(X, LABELS, 6, rng=3), np.random.default_rng(3)
    for _ in range(2):
        order = np.arange(20)
        twin.shuffle(order)
        assert np.array_equal(np.concatenate([x for x, _ in loader]), X[order])
    assert [len(x) for x, _ in bp.DataLoader(X[:7], LABELS[:7], 3)] == [3, 3, 1]
    assert list(bp.DataLoader(X[:2], LABELS[:2], 3, drop_last=True)) == []


def test_a_step_follows_the_gradient_of_its_own_batch() -> None:
    """What lay in grad before the call, or comes from a batch before, has no part in it."""
    net, other = classifier(), classifier()
    optimizer, its = (bp.SGD(each.parameters(), 0.1) for each in (net, other))
    optimizer._grad[...] = 7.0
    bp.fit(net, optimizer, data := list(batches()), 1, verbose=False)
    for x, y in data:
        other.zero_grad()
        other.loss(x, y)
        other.backward()
        its.step()
    assert np.array_equal(optimizer._data, its._data)


@pytest.mark.parametrize("rates", [(0.1, 0.3), (0.3, 0.1)])
def test_the_history_has_the_largest_rate_of_all_groups(rates: tuple) -> None:
    net = classifier()
    groups = [{"params": [p], "lr": lr} for p, lr in zip(net.parameters(), rates * 2, strict=True)]
    (row,) = bp.fit(net, bp.SGD(groups), batches(), 1, verbose=False)
    assert row["lr"] == 0.3


def test_only_what_the_optimizer_moves_is_clipped() -> None:
    net = classifier()
    optimizer = bp.SGD(net.parameters()[2:], lr=1.0)
    before = optimizer._data.copy()
    bp.fit(net, optimizer, [(X, LABELS)], 1, max_norm=1e-6, verbose=False)
    assert np.linalg.norm(optimizer._data - before) == pytest.approx(1e-6, rel=1e-6)


def test_an_input_that_is_not_finite_is_named() -> None:
    net, x = classifier(), X.copy()
    x[13, 2] = np.nan
    with pytest.raises(FloatingPointError, match="in batch 1: the input itself is not finite"):
        bp.fit(net, bp.SGD(net.parameters(), 0.1), bp.DataLoader(x, LABELS, 8, shuffle=False), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [0.9, -0.9])
def test_clipping_knows_no_overflow(dtype: type, exponent: float) -> None:
    scale = 10.0 ** int(exponent * np.finfo(dtype).maxexp * np.log10(2))
    parameters = [bp.Parameter(np.zeros(shape, dtype)) for shape in ((2, 2), 3)]
    for parameter in parameters:
        parameter.grad[...] = scale
    assert bp.clip_grad_norm_(parameters, 1e-40) == pytest.approx(7**0.5 * scale, rel=1e-5)
    if exponent > 0:
        bp.clip_grad_norm_(parameters, 2.0)
        assert bp.clip_grad_norm_(parameters, 2.0) < 1e-30  # the first call clipped to 1e-40


def test_clipping_leaves_what_is_not_finite_and_what_is_zero() -> None:
    parameter = bp.Parameter(np.zeros(3))
    assert bp.clip_grad_norm_([parameter], 1.0) == 0.0
    for lost in (np.nan, np.inf):
        parameter.grad[...] = [1.0, lost, 2.0]
        assert not np.isfinite(bp.clip_grad_norm_([parameter], 1.0))
        assert parameter.grad[0] == 1.0 and parameter.grad[2] == 2.0


@pytest.mark.parametrize("max_norm", [0, -1.0, np.nan])
def test_a_gradient_is_not_clipped_to_nothing(max_norm: float) -> None:
    net = classifier()
    with pytest.raises(ValueError, match="expected 0 < max_norm <= inf, got"):
        bp.fit(net, bp.SGD(net.parameters(), 0.1), batches(), 1, max_norm=max_norm)


def fitted(data: Any = None, epochs: Any = 1, **options: Any) -> None:
    net = classifier()
    bp.fit(net, bp.SGD(net.parameters(), 0.1), data or batches(), epochs, verbose=False, **options)


def other() -> Start:
    return Start(SCHEDULES["cosine"])


MISUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "arrays": (
        lambda: fitted((X, LABELS)),
        TypeError,
        "fit: expected batches (x, y); write DataLoader(x, y)",
    ),
    "half an epoch": (
        lambda: fitted(epochs=0.5),
        ValueError,
        "fit: epochs must be a whole number of at least 0, got 0.5",
    ),
    "another network": (
        lambda: bp.fit(classifier(), other().optimizer, batches(), 1),
        ValueError,
        "fit: the optimizer has no parameter of net",
    ),
    "another optimizer": (
        lambda: fitted(schedule=other().schedule),
        ValueError,
        "fit: the schedule's optimizer is not given",
    ),
    "a loader": (
        lambda: bp.save(classifier(), "a.npz", rng=batches()),  # type: ignore[arg-type]
        TypeError,
        "expected a Generator, got DataLoader; write loader.rng",
    ),
    "a network": (
        lambda: bp.clip_grad_norm_(classifier(), 1.0),  # type: ignore[arg-type]
        TypeError,
        "expected parameters, got Linear; write net.parameters()",
    ),
    "lengths differ": (
        lambda: bp.DataLoader(X, LABELS[1:]),
        ValueError,
        "DataLoader: 20 inputs, 19 targets",
    ),
    "no examples": (lambda: bp.DataLoader(X, 3), ValueError, "DataLoader: 20 inputs, no targets"),
    "gamma": (lambda: bp.ExponentialLR(other().optimizer, -0.9), ValueError, "expected 0 <= gamma < inf"),
    "eta_min": (
        lambda: bp.CosineAnnealingLR(other().optimizer, 5, np.nan),
        ValueError,
        "CosineAnnealingLR: expected 0 <= eta_min < inf, got nan",
    ),
}


@pytest.mark.parametrize("name", MISUSED)
def test_what_does_not_belong_together_is_refused(name: str) -> None:
    make, error, message = MISUSED[name]
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_no_data_is_a_clear_error() -> None:
    net = classifier()
    optimizer, once = bp.SGD(net.parameters(), 0.1), iter(batches())
    with pytest.raises(ValueError, match=r"fit: no batches in data \(.*an iterator, used up.\)"):
        bp.fit(net, optimizer, once, 2, verbose=False)
    with pytest.raises(ValueError, match="fit: no batches"):
        bp.fit(net, optimizer, batches(), 1, validation=[], verbose=False)


def test_schedules_do_not_compound() -> None:
    optimizer = bp.SGD([bp.Parameter(0.0)], lr=0.8)
    for make in (*SCHEDULES.values(), *SCHEDULES.values()):
        schedule = make(optimizer)
        assert (schedule.base, optimizer.lr) == (0.8, schedule.rate(0))
        for _ in range(3):
            schedule.step()
        assert optimizer.lr == schedule.rate(3)


PARAMETER = bp.Parameter(0.0)
OUT_OF_RANGE: dict[str, tuple[Callable[[], Any], str]] = {
    "step size": (lambda: bp.StepLR(bp.SGD([PARAMETER], 1.0), 0), "StepLR: step_size must be a whole"),
    "T_max": (lambda: bp.CosineAnnealingLR(bp.SGD([PARAMETER], 1.0), 0), "T_max must be a whole number"),
    "warm-up": (lambda: bp.LinearWarmup(bp.SGD([PARAMETER], 1.0), -1), "steps must be a whole number"),
    "batch size": (lambda: bp.DataLoader(X, LABELS, 0), "DataLoader: batch_size must be a whole number"),
    "momentum": (lambda: bp.SGD([PARAMETER], 1.0, momentum=-0.1), "SGD: expected 0 <= momentum < 1, got"),
    "momentum of 9": (lambda: bp.SGD([PARAMETER], 1.0, momentum=9), "SGD: expected 0 <= momentum < 1, got 9"),
    "a text": (lambda: bp.SGD([PARAMETER], 1.0, momentum="0.9"), "0 <= momentum < 1, got '0.9'"),  # type: ignore[arg-type]
    "one beta": (lambda: bp.AdamW([PARAMETER], betas=0.9), "AdamW: expected two betas, got 0.9"),  # type: ignore[arg-type]
    "three betas": (lambda: bp.Adam([PARAMETER], betas=(0.9, 0.9, 0.9)), "Adam: expected two betas"),  # type: ignore[arg-type]
    "decay": (lambda: bp.SGD([PARAMETER], 1.0, weight_decay=-1), "SGD: expected 0 <= weight_decay < inf"),
    "alpha": (lambda: bp.RMSprop([PARAMETER], alpha=1.0), "RMSprop: expected 0 <= alpha < 1, got 1.0"),
    "eps of RMSprop": (lambda: bp.RMSprop([PARAMETER], eps=-1e-8), "RMSprop: expected 0 <= eps < inf"),
    "eps of Adagrad": (lambda: bp.Adagrad([PARAMETER], eps=np.nan), "Adagrad: expected 0 <= eps < inf"),
    "beta1": (lambda: bp.Adam([PARAMETER], betas=(1.0, 0.9)), "Adam: expected 0 <= betas < 1, got 1.0"),
    "beta2": (lambda: bp.AdamW([PARAMETER], betas=(0.9, -0.1)), "AdamW: expected 0 <= betas < 1, got -0.1"),
    "decay of AdamW": (lambda: bp.AdamW([PARAMETER], weight_decay=-1), "AdamW: expected 0 <= weight_decay"),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_settings_out_of_range_are_refused(name: str) -> None:
    make, message = OUT_OF_RANGE[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_a_callback_finds_the_schedule_one_step_on() -> None:
    """So what it saves goes on at the rate of the next epoch."""
    net, rates = random_net(0), []
    optimizer = bp.SGD(net.parameters(), lr=0.1)

    def note(history: list) -> bool:
        rates.append(optimizer.lr)
        return len(history) == 2

    schedule = bp.ExponentialLR(optimizer, 0.5)
    bp.fit(net, optimizer, [(X, LABELS)], 9, callbacks=[note], schedule=schedule, verbose=False)
    assert rates == [0.05, 0.025] and schedule.t == 2


def test_the_report_runs_forward_once_and_measures_the_step_against_the_weight() -> None:
    runs: list[np.ndarray] = []

    class Counted(bp.ReLU):
        def forward(self, x: Any) -> np.ndarray:
            runs.append(x)
            return super().forward(x)

    net = bp.Network(Counted(), bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss())
    report = bp.gradient_report(net, X, LABELS, lr=0.5)
    assert len(runs) == 1
    net.loss(X, LABELS)
    net.accumulate()
    weight = dict(net.named_parameters())["1.weight"]
    length = 0.5 * np.sqrt((weight.grad**2).sum() / (weight.data**2).sum())
    assert report[1].update == pytest.approx(length)
    assert report[1].weight_grad == pytest.approx(np.sqrt((weight.grad**2).mean()))
    grad = net.criterion.backward()
    assert (report[1].grad_mean, report[1].grad_std) == (grad.mean(), grad.std())
    assert report[1].across == pytest.approx(np.sqrt(net(X).var(axis=0).mean()))


def test_the_report_leaves_the_training_as_it_is() -> None:
    net = random_net(0)
    net.parameters()[0].grad[...] = 7.0
    arrays, generator = bp._named_arrays(net), net[3][0]._rng.bit_generator  # type: ignore[index]
    before, state = [value.copy() for value in arrays.values()], generator.state
    bp.gradient_report(net, X, LABELS)
    assert generator.state == state and net.parameters()[0].grad.flat[0] == 7.0
    fresh = bp.gradient_report(random_net(0), X, LABELS)
    assert bp.gradient_report(net, X, LABELS) == fresh  # old gradients have no part in it
    assert all(np.array_equal(a, b) for a, b in zip(arrays.values(), before, strict=True))


def advice(*layers: bp.Layer, x: Any = X) -> tuple[list[str], str]:
    net = bp.Network(*layers, bp.Linear(5, 3, rng=0), loss=bp.CrossEntropyLoss())
    report = bp.gradient_report(net, x, LABELS)
    return [row.advice.partition(":")[0] for row in report], repr(report)


def test_the_report_says_which_layer_to_look_at() -> None:
    def layer(scale: float, bias: float = 0.0) -> bp.Linear:
        made = bp.Linear(4, 5, rng=0)
        made.weight.data *= scale
        made.bias.data += bias
        return made

    assert advice(layer(1), bp.ReLU())[0] == ["", "", ""]
    assert advice(layer(1), bp.ReLU(), x=X * np.nan)[0] == 3 * ["not finite"]
    assert advice(layer(1, -99), bp.ReLU())[0] == ["no gradient", "dead", ""]
    assert advice(layer(1, -9), bp.Sigmoid())[0][1] == advice(layer(1, 9), bp.Sigmoid())[0][1] == "saturated"
    assert advice(layer(1e5), bp.LeakyReLU())[0][:2] == ["large output", "large output"]
    assert "dead: huge weights" in advice(layer(9, -99), bp.ReLU())[1]
    assert "dead: if from the start" in advice(layer(1, -99), bp.ReLU())[1]
    assert "layer 0 has equal units" in advice(layer(0), bp.ReLU())[1]


def test_the_report_is_a_table_for_nested_networks_too() -> None:
    inner = bp.Network(bp.Linear(4, 5, rng=0), bp.Tanh())
    _, table = advice(inner, bp.Sigmoid(), x=[X[0]] * 20)
    head, *rows = [line for line in table.splitlines() if "→" not in line]
    assert [row.split()[:2] for row in rows] == [["0", "Network(…)"], ["1", "Sigmoid()"], ["2", "Linear(5,"]]
    assert "nan" not in table and len({len(row) for row in (head, *rows[::2])}) == 1


def test_only_an_activation_can_be_dead() -> None:
    layers = bp.Linear(4, 5, rng=0), bp.ReLU(), bp.Flatten(), bp.Linear(5, 3, rng=0)
    net = bp.Network(*layers, loss=bp.CrossEntropyLoss())
    layers[0].bias.data[...] = -100
    layers[3].bias.data[...] = 0
    report = bp.gradient_report(net, X, LABELS)
    assert [str(row.dead) for row in report] == ["nan", "1.0", "nan", "nan"]
    assert report[1].advice.startswith("dead")


def test_a_unit_that_answers_below_zero_is_alive() -> None:
    net = bp.Network(
        bp.Linear(4, 5, rng=0), bp.LeakyReLU(), bp.Linear(5, 3, rng=0), loss=bp.CrossEntropyLoss()
    )
    net.parameters()[1].data[...] = -100
    assert bp.gradient_report(net, X, LABELS)[1].dead == 0


INITIALISERS = bp.xavier_normal_, bp.xavier_uniform_, bp.kaiming_normal_, bp.kaiming_uniform_


@pytest.mark.parametrize("start", INITIALISERS)
def test_initialisers_take_parameters_only_and_empty_ones_too(start: Any) -> None:
    assert start(bp.Parameter(np.zeros((0, 0)))).data.shape == (0, 0)
    with pytest.raises(TypeError, match="expected parameters, got ndarray; write"):
        start(np.zeros((2, 2)))


@pytest.mark.parametrize("gain", [-1.0, np.nan, np.inf])
def test_a_gain_out_of_range_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="initialiser: expected 0 <= gain < inf, got"):
        bp.xavier_normal_(bp.Parameter(np.zeros((2, 2))), gain=gain)


def early(values: list[float], **options: Any) -> tuple[bp.EarlyStopping, int]:
    """A network whose bias counts the epochs, and after how many it was stopped."""
    layer = bp.Linear(1, 1, rng=0)
    net = bp.Network(layer)
    stopping = bp.EarlyStopping(net, monitor="number", **options)
    history: list[dict[str, float]] = []
    for epoch, value in enumerate(values):
        history.append({"epoch": epoch, "number": value})
        layer.bias.data[...] = epoch
        if stopping(history):
            break
    return stopping, len(history)


STOPS: dict[str, tuple[list[float], dict, float, int, int]] = {
    "lower is better": ([3, 2, 2.5, 2, 9, 1], {"patience": 3}, 2, 5, 1),
    "higher is better": ([0.5, 0.8, 0.7, 0.8, 0.9], {"patience": 2, "mode": "max"}, 0.8, 4, 1),
    "at least": ([3, 2.9, 2.8, 2.4, 2.3], {"patience": 2, "min_delta": 0.5}, 3, 3, 0),
    "at least, higher": ([1, 1.2, 1.6, 1.7], {"patience": 2, "min_delta": 0.5, "mode": "max"}, 1.6, 4, 2),
    "nan": ([np.nan, 4, np.nan, np.nan], {"patience": 2}, 4, 4, 1),
}


@pytest.mark.parametrize("name", STOPS)
def test_early_stopping_finds_the_best_epoch(name: str) -> None:
    values, options, best, epochs, kept = STOPS[name]
    stopping, seen = early(values, **options)
    assert (stopping.best, seen) == (best, epochs)
    stopping.restore()
    assert stopping.net.parameters()[1].data == kept


def test_early_stopping_restores_on_stopping_if_asked() -> None:
    for asked in (False, True):
        net = random_net(0)
        stopping = bp.EarlyStopping(net, patience=2, restore_best=asked)
        best = net.parameters()[0].data.copy()
        stops = []
        for epoch, value in enumerate([1.0, 2.0, 3.0]):
            stops.append(stopping([{"validation_loss": value}]))
            if epoch < 2:
                assert np.array_equal(net.parameters()[0].data, best + epoch)  # not yet
                net.parameters()[0].data += 1.0
                net(X)  # which moves the running averages
        assert stops == [False, False, True]
        assert np.array_equal(net.parameters()[0].data, best + (0.0 if asked else 2.0))
        assert dict(net.named_buffers())["1.num_batches_tracked"] == (0 if asked else 2)


def test_early_stopping_cannot_restore_what_never_was() -> None:
    stopping, _ = early([np.nan, np.nan])
    with pytest.raises(RuntimeError, match="no epoch has a finite value"):
        stopping.restore()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "auto"}, "mode is 'min' or 'max', got 'auto'"),
        ({"patience": 0}, "patience must be a whole number of at least 1, got 0"),
        ({"min_delta": -0.1}, "expected 0 <= min_delta < inf, got -0.1"),
    ],
)
def test_early_stopping_out_of_range_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"EarlyStopping: {message}"):
        bp.EarlyStopping(classifier(), **options)


SCRIPT = """
import os
import numpy as np
import backprop_core as bp

os.environ["TQDM_MININTERVAL"] = "0"  # the bar shows every batch, however fast they are
x = np.zeros((30, 2))
net = bp.Network(bp.Linear(2, 2, rng=0), loss=bp.MSELoss())
bp.fit(net, bp.SGD(net.parameters(), 0.1), bp.DataLoader(x, x, 2), epochs=2)
"""
WITHOUT = "import sys; sys.modules['tqdm'] = None\n"
LINES = ["epoch 1/2  loss", "epoch 2/2  loss"]


def run(script: str, **streams: Any) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-c", script]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(bp.__file__), *sys.path])}
    return subprocess.run(command, check=True, env=environment, **streams)


@pytest.mark.parametrize("before", ["", WITHOUT])
def test_a_pipe_gets_lines_and_nothing_else(before: str) -> None:
    done = run(before + SCRIPT, capture_output=True, text=True)
    assert [line[:15] for line in done.stdout.splitlines()] == LINES
    assert done.stderr == "" and "\r" not in done.stdout and "\x1b" not in done.stdout


def test_a_notebook_without_widgets_gets_lines_and_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(bp.__file__), *sys.path]))
    factory = KernelProvisionerFactory.instance()  # other tests may have let kernels be forked
    monkeypatch.setattr(factory, "default_provisioner_name", "local-provisioner")
    cell = new_code_cell("import sys; sys.modules['ipywidgets'] = None\n" + SCRIPT + "pass")
    NotebookClient(new_notebook(cells=[cell]), kernel_name="python3").execute()
    assert {output.get("name") for output in cell.outputs} == {"stdout"}
    lines = "".join(output.text for output in cell.outputs).splitlines()
    assert [line[:15] for line in lines] == LINES


def in_a_terminal(script: str) -> str:
    """What appears on a terminal."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    shown = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # Linux has no end of file here, but an error
            while part := os.read(master, 1024):
                shown.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        run(script, stdin=slave, stdout=slave, stderr=slave)
    finally:
        os.close(slave)
        reader.join()
        os.close(master)
    return shown.decode()


def test_a_terminal_shows_a_bar_and_keeps_the_lines() -> None:
    assert find_spec("tqdm"), "not installed; it is in requirements.lock"
    shown = in_a_terminal(SCRIPT)
    for epoch in (1, 2):
        counts = re.findall(rf"\repoch {epoch}/2: +\d+%\|[^\r]* (\d+)/15", shown)
        assert [int(count) for count in counts] == [*range(16)]
    kept = [line.rpartition("\r")[2][:15] for line in shown.split("\r\n")]
    assert kept == [*LINES, ""]


def test_a_terminal_without_the_library_gets_the_lines() -> None:
    assert [line[:15] for line in in_a_terminal(WITHOUT + SCRIPT).splitlines()] == LINES
