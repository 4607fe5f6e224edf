"""Accuracy far out, freezing, groups, copies, reductions: what users expect of chapters 3 to 10."""

from __future__ import annotations

import copy
import math
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backprop_core as bp


def member(net: bp.Network, at: int) -> Any:
    return net[at]


rng = np.random.default_rng(5)
X, LABELS = rng.normal(size=(12, 4)), rng.integers(3, size=12)
FAR = [-85.0, -37.0, -18.0, -17.0, -15.0, -5.0, -0.5, 0.0, 0.5, 5.0, 15.0, 37.0, 85.0]


def exactly(x: float) -> dict[str, Decimal]:
    """Values and slopes with fifty digits."""
    with localcontext() as context:
        context.prec = 80
        d, one = Decimal(x), Decimal(1)
        s, minus = one / (one + (-d).exp()), one / (one + d.exp())
        return {
            "sigmoid": s, "sigmoid slope": s * minus, "silu": d * s, "silu slope": s + d * s * minus,
            "softplus": (one + d.exp()).ln() if x < 0 else d + (one + (-d).exp()).ln(),
            "elu slope": d.exp() if x <= 0 else one,
            "no": s, "yes": -minus,
            "no value": (one + d.exp()).ln() if x < 0 else d + (one + (-d).exp()).ln(),
            "yes value": (one + (-d).exp()).ln() if x > 0 else -d + (one + d.exp()).ln(),
        }  # fmt: skip


def bce(target: float) -> Callable[[np.ndarray], tuple]:
    return lambda x: bp.BCEWithLogitsLoss("sum").value_and_slope(x, np.full_like(x, target))


COMPUTED: dict[str, tuple[Callable, int]] = {
    "sigmoid": (bp.Sigmoid().value_and_slope, 0), "sigmoid slope": (bp.Sigmoid().value_and_slope, 1),
    "silu": (bp.SiLU().value_and_slope, 0), "silu slope": (bp.SiLU().value_and_slope, 1),
    "softplus": (bp.Softplus().value_and_slope, 0), "elu slope": (bp.ELU().value_and_slope, 1),
    "no": (bce(0), 1), "yes": (bce(1), 1), "no value": (bce(0), 0), "yes value": (bce(1), 0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPUTED)
def test_no_digit_is_lost_far_out(name: str, dtype: Any) -> None:
    function, which = COMPUTED[name]
    found = function(np.array(FAR, dtype))[which]
    expected = np.array([dtype(exactly(x)[name]) for x in FAR])
    assert found.dtype == dtype
    assert (np.abs(found - expected) <= 4 * np.spacing(np.abs(expected))).all(), found / expected - 1


@pytest.mark.parametrize("layer", [bp.GELU("tanh"), bp.GELU()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_of_huge_numbers(layer: bp.GELU, dtype: Any) -> None:
    huge = np.array([1e3, 1e18, 1e30], dtype) * (1e100 if dtype is np.float64 else 1)
    for x, slope in ((huge, 1), (-huge, 0)):
        assert np.array_equal(layer.slope(x), np.full(3, slope))
        assert np.array_equal(layer(x), x * slope)
    with np.errstate(invalid="ignore"):  # of the value, 0 times infinity
        assert np.array_equal(layer.slope(np.array([-np.inf, np.inf], dtype)), [0, 1])


@pytest.mark.parametrize("x", [-30.0, -9.0, -1.0, 0.0, 2.0])
def test_gelu_has_all_its_digits(x: float) -> None:
    assert bp.GELU()(x) == pytest.approx(x * 0.5 * math.erfc(-x / 2**0.5), rel=1e-13, abs=0)


def test_each_row_of_logits_has_a_largest_of_its_own() -> None:
    rows = np.array([[1000.0, 1001.0], [-1000.0, -999.0], [0.0, 1.0]])
    assert np.allclose(bp.Softmax()(rows), bp.Softmax()(rows[2]), rtol=1e-12)
    assert np.allclose(bp.Softmax(axis=0)(rows.T).T, bp.Softmax()(rows), rtol=1e-12)


def classifier(**options: Any) -> bp.Network:
    layers = bp.Linear(4, 5, rng=0), bp.ReLU(), bp.Linear(5, 3, rng=1)
    return bp.Network(*layers, loss=bp.CrossEntropyLoss(**options))


def steps(net: bp.Network, optimizer: bp.Optimizer, count: int = 3) -> None:
    for _ in range(count):
        net.loss(X, LABELS)
        optimizer.zero_grad()
        net.accumulate()
        optimizer.step()


OPTIMIZERS: dict[str, Callable[..., bp.Optimizer]] = {
    "SGD": lambda p: bp.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "plain": lambda p: bp.SGD(p, lr=0.1),
    "Adagrad": lambda p: bp.Adagrad(p, lr=0.1, weight_decay=0.1),
    "RMSprop": lambda p: bp.RMSprop(p, centered=True, momentum=0.5, weight_decay=0.1),
    "Adam": lambda p: bp.Adam(p, lr=0.1, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda p: bp.AdamW(p, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_frozen_gets_no_gradient_and_does_not_move(name: str, when: str) -> None:
    net, other = classifier(), classifier()
    optimizer = OPTIMIZERS[name](net.parameters())
    free = OPTIMIZERS[name](other.parameters())
    if when == "after":
        steps(net, optimizer)
        steps(other, free)
    member(net, 0).weight.requires_grad = False
    before = member(net, 0).weight.data.copy()
    steps(net, optimizer, 1)
    steps(other, free, 1)
    assert np.array_equal(member(net, 0).weight.data, before) and not member(net, 0).weight.grad.any()
    assert bp.clip_grad_norm_([member(net, 0).weight], 1.0) == 0.0
    assert "0.weight" in dict(net.named_parameters())
    for mine, its in zip(net.parameters()[1:], other.parameters()[1:], strict=True):
        assert np.array_equal(mine.data, its.data) and mine.grad.any()
    member(net, 0).weight.requires_grad = True
    steps(net, optimizer, 1)
    assert not np.array_equal(member(net, 0).weight.data, before)


def test_gradcheck_looks_at_frozen_parameters_too() -> None:
    net = classifier()
    member(net, 0).weight.requires_grad = False
    assert bp.gradcheck(net, X, rng=0, derivative=bp.complex_step_gradient) < 1e-12
    assert not member(net, 0).weight.requires_grad


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("copied", ["deepcopy", "pickle"])
def test_a_copy_of_network_and_optimizer_trains_alike(name: str, copied: str) -> None:
    net = classifier()
    optimizer = OPTIMIZERS[name](net.parameters())
    steps(net, optimizer)
    twin, its = (
        copy.deepcopy((net, optimizer))
        if copied == "deepcopy"
        else (pickle.loads(pickle.dumps((net, optimizer))))
    )
    before = member(twin, 0).weight.data.copy()
    steps(twin, its)
    assert not np.array_equal(member(twin, 0).weight.data, before)
    assert np.array_equal(member(net, 0).weight.data, before)
    steps(net, optimizer)
    assert all(
        np.array_equal(a.data, b.data) for a, b in zip(net.parameters(), twin.parameters(), strict=True)
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_as_dictionaries_of_arrays(name: str) -> None:
    net, other = classifier(), classifier()
    optimizer, its = OPTIMIZERS[name](net.parameters()), OPTIMIZERS[name](other.parameters())
    steps(net, optimizer)
    schedule = bp.ExponentialLR(optimizer, 0.5)
    schedule.step()
    state, memory = net.state_dict(), optimizer.state_dict()
    assert all(isinstance(array, np.ndarray) for array in (*state.values(), *memory.values()))
    steps(net, optimizer)
    other.load_state_dict(state)
    its.load_state_dict(memory)
    assert (its.lr, its.base_lr) == (optimizer.lr, optimizer.base_lr)
    steps(other, its)
    pairs = zip(net.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    before = other.state_dict()
    changed = {"more": np.ones(1)}, {"2.bias": np.ones(4)}
    for bad in (*({**state, **change} for change in changed), {"0.weight": np.ones((4, 5))}):
        with pytest.raises(ValueError, match=r"there, .* here"):
            other.load_state_dict(bad)
    after = other.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before | after)


def test_a_group_may_do_without_decay_and_with_another_rate() -> None:
    def separate(net: bp.Network) -> tuple[list, list]:
        parameters = net.parameters()
        return parameters[::2], parameters[1::2]

    net, other = classifier(), classifier()
    (weights, biases), (its_weights, its_biases) = separate(net), separate(other)
    groups = [{"params": weights, "weight_decay": 0.3}, {"params": biases, "lr": 0.01, "momentum": 0.0}]
    one = bp.SGD(groups, lr=0.1, momentum=0.9)
    two = bp.SGD(its_weights, lr=0.1, momentum=0.9, weight_decay=0.3), bp.SGD(its_biases, lr=0.01)
    schedules = [bp.ExponentialLR(optimizer, 0.5) for optimizer in (one, *two)]
    for _ in range(4):
        steps(net, one, 1)
        other.loss(X, LABELS)
        other.zero_grad()
        other.accumulate()
        for optimizer in two:
            optimizer.step()
        for schedule in schedules:
            schedule.step()
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    assert all(np.allclose(a.data, b.data, rtol=1e-12) for a, b in pairs)
    single = classifier().to("float32")
    some = [{"params": separate(single)[0]}, {"params": separate(single)[1], "betas": (0.5, 0.9), "lr": 0.1}]
    grouped = bp.AdamW(some)
    steps(single, grouped)
    assert grouped._direction().dtype == np.float32


@pytest.mark.parametrize("kind", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.0]])
def test_cross_entropy_by_its_definition(kind: str, smoothing: float, weight: Any) -> None:
    logits, labels = X[:, :3], np.where(LABELS == 1, -100, LABELS)
    loss = bp.CrossEntropyLoss(kind, smoothing, weight=weight)
    found = loss(logits, labels)
    w = np.ones(3) if weight is None else np.array(weight)
    logp, kept = np.log(bp.Softmax()(logits)), labels != -100
    table = np.eye(3)[np.where(kept, labels, 0)] * kept[:, None]
    smooth = (1 - smoothing) * table + smoothing / 3 * kept[:, None]
    terms = -(smooth * w * logp).sum(axis=1)
    expected = {"none": terms, "sum": terms.sum(), "mean": terms.sum() / (table * w).sum()}[kind]
    assert np.allclose(found, expected, rtol=1e-13)
    grad_output = rng.normal(size=np.shape(found))
    slope = bp.numerical_gradient(lambda z: loss.forward(z, labels), logits, grad_output)
    loss.forward(logits, labels)
    assert np.allclose(loss.backward(grad_output), slope, atol=1e-8)


@pytest.mark.parametrize("make", [bp.MSELoss, bp.CrossEntropyLoss])
def test_what_is_masked_may_be_anything(make: Any) -> None:
    mask = np.arange(12) < 7
    x, target = np.where(mask[:, None], X, np.nan), bp.Softmax()(X)
    loss = make()
    assert loss(x, target, mask) == pytest.approx(make()(X[:7], target[:7]), rel=1e-14)
    assert np.isfinite(loss.backward()).all() and not loss.backward()[7:].any()


def test_a_class_may_itself_be_ignored_and_weights_must_fit() -> None:
    loss = bp.CrossEntropyLoss(ignore_index=1)
    kept = LABELS != 1
    assert loss(X[:, :3], LABELS) == pytest.approx(bp.CrossEntropyLoss()(X[kept, :3], LABELS[kept]))
    with pytest.raises(ValueError, match="the batch is empty"):
        loss(X[:2, :3], [1, 1])
    beside = bp.CrossEntropyLoss(ignore_index=3)  # the first number that is no class
    assert beside(X[:2, :3], [0, 3]) == pytest.approx(bp.CrossEntropyLoss()(X[:1, :3], [0]))
    with pytest.raises(ValueError, match=r"expected weight of shape \(3,\), got \(2,\)"):
        bp.CrossEntropyLoss(weight=[1.0, 2.0])(X[:, :3], LABELS)
    with pytest.raises(ValueError, match=r"expected weight of shape \(3,\), got \(1,\)"):
        bp.CrossEntropyLoss(weight=[2.0])(X[:, :3], LABELS)


@pytest.mark.parametrize("options", [{}, {"weight": [1.0, 2.0, 3.0]}, {"label_smoothing": 0.1}])
def test_the_gradient_has_the_precision_of_the_logits_where_a_label_is_ignored(options: Any) -> None:
    loss = bp.CrossEntropyLoss(ignore_index=0, **options)
    loss(X[:, :3].astype("float32"), LABELS)
    assert (LABELS == 0).any() and loss.backward().dtype == np.float32


@pytest.mark.parametrize("make", [bp.MSELoss, bp.L1Loss, bp.HuberLoss, bp.BCEWithLogitsLoss])
def test_all_terms_and_a_weight_for_each(make: Any) -> None:
    x, target = X, bp.Softmax()(X[::-1])
    terms, mean = make("none"), make()
    values = terms(x, target)
    assert values.shape == x.shape and mean(x, target) == pytest.approx(values.mean(), rel=1e-14)
    weights = rng.normal(size=x.shape)
    assert np.allclose(terms.backward(weights), weights * x.size * mean.backward(), rtol=1e-12)
    terms(x, target)
    with pytest.raises(ValueError, match=r"expected grad_output of shape \(12, 4\), got \(12,\)"):
        terms.backward(np.ones(12))


def test_a_linear_layer_without_bias() -> None:
    layer = bp.Linear(4, 3, bias=False, rng=0)
    assert layer.bias is None and repr(layer) == "Linear(4, 3, bias=False)"
    assert np.array_equal(layer(X), X @ layer.weight.data)
    assert bp.gradcheck(layer, X, rng=0, derivative=bp.complex_step_gradient) < 1e-12
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_a_schedule_by_batch_and_a_history_that_goes_on(tmp_path: Path) -> None:
    def start() -> tuple:
        net = classifier()
        optimizer = bp.Adam(net.parameters())
        return net, optimizer, bp.DataLoader(X, LABELS, 5, rng=1), bp.LinearWarmup(optimizer, 10)

    def train(epochs: int, history: Any, net: Any, optimizer: Any, loader: Any, schedule: Any) -> list:
        return bp.fit(
            net, optimizer, loader, epochs, schedule=schedule, schedule_every="batch", verbose=False,
            history=history,
        )  # fmt: skip

    whole = start()
    history = train(4, None, *whole)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4] and whole[3].t == 12
    assert [row["lr"] for row in history] == pytest.approx([0.0001, 0.0004, 0.0007, 0.001])
    assert 0 <= history[0]["accuracy"] <= 1
    half = start()
    kept = train(2, None, *half)
    net, optimizer, loader, schedule = half
    parts = {"optimizer": optimizer, "rng": loader.rng, "schedule": schedule}
    bp.save(net, tmp_path / "a.npz", history=kept, **parts)
    net, optimizer, loader, schedule = again = start()
    parts = {"optimizer": optimizer, "rng": loader.rng, "schedule": schedule}
    found = bp.load(net, tmp_path / "a.npz", **parts)
    assert found == kept and train(2, found, *again) == history
    assert train(1, history[-1:], *start())[-1]["epoch"] == 5  # though the list is shorter
    with pytest.raises(TypeError):
        bp.save(net, tmp_path / "b.npz", optimizer)  # type: ignore[call-arg]


def test_a_training_counts_what_is_not_ignored() -> None:
    labels = np.where(LABELS == 0, -100, LABELS)
    net = classifier()
    data = bp.DataLoader(X, labels, 12, shuffle=False)
    (row,) = bp.fit(net, bp.SGD(net.parameters(), lr=0.0), data, 1, validation=data, verbose=False)
    kept = labels >= 0
    assert row["accuracy"] == np.mean(net(X[kept]).argmax(axis=1) == labels[kept])
    assert row["loss"] == pytest.approx(net.loss(X[kept], labels[kept]))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_weighted_loss_is_that_of_the_whole_set_however_it_is_divided(reduction: str) -> None:
    labels = np.where(LABELS == 0, -100, LABELS)
    net = classifier(weight=[5e-4, 1e-3, 0.02], reduction=reduction)  # all weigh less than 1
    rows = []
    for size in (12, 5):
        data = bp.DataLoader(X, labels, size, shuffle=False)
        rows += bp.fit(net, bp.SGD(net.parameters(), lr=0.0), data, 1, validation=data, verbose=False)
    whole = net.loss(X, labels) / (np.sum(labels >= 0) if reduction == "sum" else 1)
    found = [row[name] for row in rows for name in ("loss", "validation_loss")]
    assert found == pytest.approx(4 * [whole], rel=1e-13)
    assert rows[0]["accuracy"] == pytest.approx(rows[1]["accuracy"], rel=1e-13)


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def header(shape: tuple, dtype: str) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


BOMBS = {
    "a large array": ("net.0.weight.npy", (2**15, 2**15), "<f8"),
    "an array that is not asked for": ("net.9.weight.npy", (2**15, 2**15), "<f8"),
    "a long text": ("history.npy", (), "<U400000000"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_unpack_to_gigabytes_is_refused_by_its_header(name: str, tmp_path: Path) -> None:
    import tracemalloc

    net, path = classifier(), tmp_path / "a.npz"
    bp.save(net, path)
    entry, shape, dtype = BOMBS[name]
    kept = members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in kept.keys() - {entry}:
            archive.writestr(other, kept[other])
        with archive.open(entry, "w") as file:
            file.write(header(shape, dtype))
            for _ in range(200):
                file.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.npz: "):
        bp.load(net, path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**24


def test_what_is_no_archive_is_not_a_checkpoint(tmp_path: Path) -> None:
    for content in (b"", b"hello", b"\x80\x04K\x01."):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npz: not a checkpoint") as caught:
            bp.load(classifier(), tmp_path / "a.npz")
        assert "pickle" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_or_a_device_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path / "link", Path(os.devnull)):
        for use in (bp.save, bp.load):
            with pytest.raises(OSError, match="is no ordinary file"):
                use(classifier(), place)
    assert (tmp_path / "pipe").is_fifo() and not Path(os.devnull).is_file()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_save_removes_what_an_earlier_one_left(tmp_path: Path) -> None:
    for name in ("a.npz.01234567.part", "b.npz.01234567.part", "a.npz.part"):
        (tmp_path / name).touch()
    bp.save(classifier(), tmp_path / "a.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.npz.part", "b.npz.01234567.part"]


def test_a_save_that_is_terminated_finishes_first(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, backprop_core as bp\n"
        "import numpy as np\n"
        "def savez(*args, kept=np.savez, **arrays):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    kept(*args, **arrays)\n"
        "np.savez = savez\n"
        f"bp.save(bp.Linear(2, 2), {str(tmp_path / 'a.npz')!r})\n"
        "print('went on')\n"
    )
    environment = os.environ | {"PYTHONPATH": os.path.dirname(bp.__file__)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM and done.stdout == "" and done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    bp.load(bp.Linear(2, 2), tmp_path / "a.npz")


def test_a_learning_rate_of_another_precision_keeps_single_precision_fast() -> None:
    net = classifier().to("float32")
    optimizer = bp.SGD(net.parameters(), lr=np.float64(0.1))
    steps(net, optimizer)
    assert {p.data.dtype for p in net.parameters()} == {np.dtype("float32")} and math.isfinite(optimizer.lr)


@pytest.mark.parametrize("name", ["maximize", "nesterov"])
def test_groups_cannot_differ_in_a_switch(name: str) -> None:
    layer = bp.Linear(2, 3, rng=0)
    groups = [{"params": layer.weight, name: True}, {"params": layer.bias}]
    with pytest.raises(ValueError, match=f"SGD: {name} is a switch for all groups, got .True, False"):
        bp.SGD(groups, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("owner", ["SGD nesterov maximize", "RMSprop centered", "Adam amsgrad"])
def test_a_switch_of_an_optimizer_is_true_or_false(owner: str) -> None:
    kind, *names = owner.split()
    settings = {"momentum": 0.9} if kind == "SGD" else {}
    for name in names:
        for odd in (1.5, 0.5, -1, "no", None, [True], np.ones(3)):
            with pytest.raises(ValueError, match=f"{kind}: expected {name} to be True or False, got "):
                getattr(bp, kind)([bp.Parameter(np.ones(3))], **settings, **{name: odd})
        optimizer = getattr(bp, kind)([bp.Parameter(np.ones(3))], **settings, **{name: np.True_})
        with pytest.raises(ValueError, match=f"{kind}: expected {name} to be True or False, got 1.5"):
            setattr(optimizer, name, 1.5)
        setattr(optimizer, name, False)


@pytest.mark.parametrize("odd", [1.5, 1.0, np.nan, True, "1", None, [1]])
def test_the_label_that_does_not_count_is_a_whole_number(odd: Any) -> None:
    with pytest.raises(ValueError, match="CrossEntropyLoss: ignore_index must be a whole number, got "):
        bp.CrossEntropyLoss(ignore_index=odd)
    whole: Any = np.int64(-1)
    assert bp.CrossEntropyLoss(ignore_index=whole).ignore_index == -1


def test_an_optimizer_says_its_settings() -> None:
    layer = bp.Linear(2, 3, rng=0)
    assert repr(bp.SGD(layer.parameters(), lr=0.1, momentum=0.9)) == (
        "SGD(lr=0.1, weight_decay=0.0, maximize=False, momentum=0.9, dampening=0.0, nesterov=False)"
    )
    assert "weight_decay=0.01," in repr(bp.AdamW(layer.parameters()))  # as PyTorch's
    assert "eps=1e-10" in repr(bp.Adagrad(layer.parameters()))
    groups = [{"params": layer.weight, "lr": 0.5}, {"params": layer.bias}]
    assert repr(bp.Adam(groups, lr=0.1)).startswith("Adam(lr=0.5 and 0.1, ")


def test_a_slope_that_never_changes_has_no_spread_below_zero() -> None:
    """Rounding drives the average square below the square of the average, here within 60 steps."""
    parameter = bp.Parameter([0.7, 1.1, 0.1])
    optimizer = bp.RMSprop([parameter], lr=1e-9, alpha=0.5, centered=True)
    slopes, below = parameter.data.copy(), 0
    for _ in range(60):
        parameter.grad, before = slopes, parameter.data.copy()
        optimizer.step()
        lost = optimizer.state["square"] < optimizer.state["mean"] ** 2
        assert np.allclose((before - parameter.data)[lost], 0.1 * slopes[lost])  # lr / eps: no spread at all
        below += int(lost.any())
    assert below and np.isfinite(parameter.data).all()


@pytest.mark.parametrize("kind", [bp.SGD, bp.AdamW])
def test_uphill_decay_shrinks_as_well(kind: Any) -> None:
    parameters = bp.Parameter([1.0, -1.0]), bp.Parameter([1.0, -1.0])
    for parameter, decay in zip(parameters, (0.0, 0.1), strict=True):
        optimizer = kind([parameter], lr=0.1, weight_decay=decay, maximize=True)
        for slope in (2.0, 1.0):
            parameter.grad = np.full(2, slope)
            optimizer.step()
    free, decayed = (parameter.data for parameter in parameters)
    assert np.all(free > [1.0, -1.0]) and decayed[0] < free[0] and decayed[1] > free[1]


def test_a_schedule_loads_its_first_step(tmp_path: Path) -> None:
    net = bp.Network(bp.Linear(2, 2, rng=0), loss=bp.MSELoss())
    optimizer = bp.SGD(net.parameters(), lr=1.0)
    schedule = bp.ExponentialLR(optimizer, 0.5)
    bp.save(net, tmp_path / "start.npz", optimizer=optimizer, schedule=schedule)
    schedule.step()
    bp.load(net, tmp_path / "start.npz", optimizer=optimizer, schedule=schedule)
    assert (schedule.t, optimizer.lr) == (0, 1.0)


USUAL: dict[str, Any] = dict.fromkeys(bp.LayerStatistics._fields, 0.1) | {"layer": "Tanh()", "advice": ""}


@pytest.mark.parametrize(
    ("name", "quiet", "loud", "said"),
    [
        ("dead", 0.5, 0.51, "dead"),
        ("saturated", 0.5, 0.51, "saturated"),
        ("grad_std", 1e-5, 0.9e-5, "vanishing"),
        ("grad_std", 1e3, 1.1e3, "exploding"),
        ("update", 3.0, 3.1, "long step"),
        ("std", 1e4, 1.1e4, "large output"),
    ],
)
def test_where_the_report_begins_to_advise(name: str, quiet: float, loud: float, said: str) -> None:
    for value, wanted in ((quiet, ""), (loud, said)):
        row = bp.LayerStatistics(**{**USUAL, name: value})
        assert bp._advice(row, 0.1, 1.0, "why").split(":")[0] == wanted


@pytest.mark.parametrize("kind", [bp.MSELoss, bp.HuberLoss, bp.BCEWithLogitsLoss])
def test_weights_of_terms_keep_single_precision(kind: Any) -> None:
    x = np.full((2, 3), 0.5, np.float32)
    for reduction, grad in (("none", np.ones((2, 3))), ("mean", np.float64(2)), ("sum", 2)):
        loss = kind(reduction)
        assert reduction != "none" or loss(x, 0 * x).dtype == np.float32
        loss(x, 0 * x)
        assert loss.backward(grad).dtype == np.float32
