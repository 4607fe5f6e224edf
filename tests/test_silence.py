"""What must not pass in silence or fail in foreign words: masks, zeros, settings, states, borders."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backprop_core as bp

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
SHARES = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)

LOSSES: dict[str, tuple[Callable[[], bp.Loss], np.ndarray]] = {
    "mse": (bp.MSELoss, X[::-1]),
    "l1": (bp.L1Loss, X[::-1]),
    "huber": (bp.HuberLoss, X[::-1]),
    "bce": (bp.BCEWithLogitsLoss, SHARES),
    "labels": (bp.CrossEntropyLoss, LABELS),
    "shares": (bp.CrossEntropyLoss, SHARES),
}
TRUE = np.array([True, False, True, True, False, False])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("mask", [TRUE, TRUE.tolist(), TRUE.astype(int), TRUE.astype(float)])
def test_a_mask_says_which_examples_count_in_whatever_form(name: str, mask: Any) -> None:
    make, target = LOSSES[name]
    loss, alone = make(), make()
    assert loss.forward(X, target, mask) == pytest.approx(alone.forward(X[TRUE], target[TRUE]), rel=1e-14)
    expected = np.zeros_like(X)
    expected[TRUE] = alone.backward()
    np.testing.assert_array_equal(loss.backward(), expected)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("mask", [[True, False], [0, 2], np.ones(7, bool), np.ones((6, 2), bool)])
def test_a_mask_of_another_shape_is_refused(name: str, mask: Any) -> None:
    make, target = LOSSES[name]
    with pytest.raises(ValueError, match="expected a mask of shape"):
        make().forward(X, target, mask)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("mask", [[0, 2, 1, 0, 1, 1], [-1, 0, 1, 1, 1, 1], [np.nan, 0, 1, 1, 1, 1]])
def test_a_mask_of_other_numbers_is_refused(name: str, mask: Any) -> None:
    make, target = LOSSES[name]
    with pytest.raises(ValueError, match="a mask is True or False"):
        make().forward(X, target, mask)


@pytest.mark.parametrize("turn", [0, 24])  # the first is infinite, or not
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinity_does_not_pass_where_a_relu_is_off(dtype: Any, turn: int) -> None:
    layer, x = bp.ReLU(), np.array([-2000.0, -0.0, 0.5, 2000.0] * 8, dtype)
    layer.forward(x)
    grad = np.tile(np.array([np.inf, -np.inf, 3.0, np.nan], dtype), 8).reshape(4, 8).T.ravel()
    with np.errstate(all="raise"):
        dx = layer.backward(grad := np.roll(grad, turn))
    np.testing.assert_array_equal(dx, np.where(x > 0, grad, 0))
    assert dx.dtype == dtype


@pytest.mark.parametrize("size", [1e-30, 1e30, np.inf])
def test_gradients_of_any_size_pass_a_relu_and_a_pool_without_a_warning(size: float) -> None:
    x = np.arange(-8, 8, dtype=np.float32).reshape(1, 1, 4, 4)
    grad = np.float32(size) * np.where(x % 2, 1, -1).astype(np.float32)
    with np.errstate(all="raise"):
        for layer in bp.ReLU(), bp.MaxPool2d(1):
            on = layer.forward(x) > (0 if isinstance(layer, bp.ReLU) else -np.inf)
            np.testing.assert_array_equal(layer.backward(grad), np.where(on, grad, 0))


@pytest.mark.parametrize("make", [bp.ReLU, lambda: bp.MaxPool2d(2)])
def test_a_complex_step_passes_backward_too_without_a_warning(make: Callable[[], bp.Layer]) -> None:
    def squares(x: np.ndarray) -> np.ndarray:
        layer = make()
        y = layer.forward(x)
        return layer.backward(y * y)

    x, weights = np.random.default_rng(0).normal(size=(2, 2, 1, 4, 4))
    exact = bp.complex_step_gradient(squares, x, weights)
    np.testing.assert_allclose(exact, bp.numerical_gradient(squares, x, weights), rtol=1e-7, atol=1e-9)


def moved(make: Callable[[list], bp.Optimizer], steps: int = 4, starts: int = 2) -> list[np.ndarray]:
    """Where parameters arrive; ``make`` gets them."""
    rng = np.random.default_rng(1)
    found = [bp.Parameter(rng.normal(size=3)) for _ in range(starts)]
    optimizer = make(found)
    for _ in range(steps):
        for parameter in found:
            parameter.grad[...] = np.cos(3 * parameter.data)
        optimizer.step()
    return [parameter.data for parameter in found]


GROUPS: list[tuple[Any, dict, dict]] = [
    (bp.SGD, {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.0}),
    (bp.SGD, {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.5, "dampening": 0.0}),
    (bp.SGD, {"momentum": 0.0, "dampening": 0.5}, {"momentum": 0.9}),
    (bp.SGD, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.4}),
    (bp.SGD, {"weight_decay": 0.1}, {"weight_decay": 0.0, "lr": 0.5}),
    (bp.RMSprop, {"momentum": 0.9, "centered": True}, {"momentum": 0.0, "alpha": 0.5}),
    (bp.RMSprop, {"eps": 1e-3}, {"eps": 1e-8, "weight_decay": 0.1}),
    (bp.Adagrad, {"initial_accumulator_value": 1.0}, {"initial_accumulator_value": 0.0, "lr_decay": 0.1}),
    (bp.Adam, {"betas": (0.9, 0.99), "amsgrad": True}, {"betas": (0.5, 0.6)}),
    (bp.AdamW, {"weight_decay": 0.1}, {"weight_decay": 0.0, "lr": 0.5}),
]


@pytest.mark.parametrize(("kind", "settings", "own"), GROUPS)
def test_a_group_moves_as_with_an_optimizer_of_its_own(kind: Any, settings: dict, own: dict) -> None:
    together = moved(lambda ps: kind([{"params": ps[0]}, {"params": ps[1], **own}], lr=0.1, **settings))
    alone = [moved(lambda ps: kind([ps[0]], lr=0.1, **settings))[0]]
    alone.append(moved(lambda ps: kind([ps[1]], **{"lr": 0.1, **settings, **own}))[1])
    np.testing.assert_allclose(together, alone, rtol=1e-13)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (bp.SGD, {"momentum": 0.9, "nesterov": True}),
        (bp.RMSprop, {"centered": True, "momentum": 0.5}),
        (bp.Adagrad, {"initial_accumulator_value": 2.0}),
        (bp.Adam, {"amsgrad": True, "betas": (0.5, 0.6)}),
        (bp.AdamW, {"amsgrad": True, "maximize": True}),
    ],
)
def test_what_the_only_group_says_holds_for_the_optimizer(kind: Any, settings: dict) -> None:
    by_group = moved(lambda ps: kind([{"params": ps, **settings}], lr=0.1))
    np.testing.assert_array_equal(by_group, moved(lambda ps: kind(ps, lr=0.1, **settings)))


def test_nesterov_in_a_group_needs_momentum_too() -> None:
    free: list[Any] = [{"params": [bp.Parameter(1.0)]}, {"params": [bp.Parameter(1.0)], "momentum": 0.9}]
    for groups, nesterov in (([{**free[0], "nesterov": True}], False), (free, True)):
        with pytest.raises(ValueError, match="nesterov needs momentum"):
            bp.SGD(groups, nesterov=nesterov)


def test_dampening_keeps_an_infinite_gradient_infinite() -> None:
    parameter = bp.Parameter([0.0])
    optimizer = bp.SGD([parameter], lr=1.0, momentum=0.9, dampening=0.5)
    for slope in (1.0, np.inf):
        parameter.grad[...] = slope
        optimizer.step()
    assert parameter.data == -np.inf


KINDS: list[Any] = [bp.SGD, bp.Adagrad, bp.RMSprop, bp.Adam, bp.AdamW]
BAD: list[Any] = [None, -1, float("nan"), float("inf"), "x", [0.1], object(), np.array([0.1, -1.0, 0.1])]
BAD += [np.array([0.1, 0.2, 0.3, 0.4]), np.array([]), [[1], [2, 3]], np.array([[0.1]])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", BAD)
def test_a_setting_changed_later_is_refused_by_its_name(kind: Any, bad: Any) -> None:
    optimizer = kind([bp.Parameter(np.ones(3))], lr=0.1)
    for name in optimizer._names:
        before = getattr(optimizer, name)
        with pytest.raises(ValueError, match=rf"{kind.__name__}: expected .*\b{name}\b"):
            setattr(optimizer, name, bad)
        assert getattr(optimizer, name) is before


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (bp.SGD, "momentum", 0.9),
        (bp.SGD, "nesterov", True),
        (bp.RMSprop, "momentum", 0.9),
        (bp.RMSprop, "centered", True),
        (bp.Adam, "amsgrad", True),
        (bp.AdamW, "amsgrad", True),
    ],
)
def test_what_has_to_remember_is_not_switched_on_later(kind: Any, name: str, value: Any) -> None:
    optimizer = kind([bp.Parameter(1.0)], lr=0.1)
    with pytest.raises(ValueError, match=f"{name} must be given at the start"):
        setattr(optimizer, name, value)
    setattr(optimizer, name, 0)  # as it was
    on = kind([bp.Parameter(1.0)], **({"momentum": 0.9} if name == "nesterov" else {}), **{name: value})
    setattr(on, name, 0)
    setattr(on, name, value)  # it has its memory
    optimizer.step()
    on.step()


def test_a_setting_changed_later_acts() -> None:
    def make(ps: list) -> bp.Optimizer:
        optimizer = bp.SGD(ps, lr=0.3, momentum=0.1, dampening=0.5)
        optimizer.lr, optimizer.momentum, optimizer.weight_decay = 0.1, 0.9, np.float64(0.2)
        optimizer.dampening, optimizer.maximize = 0.0, True
        return optimizer

    settings: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "maximize": True}
    np.testing.assert_array_equal(moved(make), moved(lambda ps: bp.SGD(ps, **settings)))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", ["Sum", None, 1])
def test_a_reduction_changed_later_is_refused_at_the_next_use(name: str, bad: Any) -> None:
    make, target = LOSSES[name]
    loss = make()
    loss.reduction = bad
    with pytest.raises(ValueError, match=rf"{type(loss).__name__}: reduction is .* got {bad!r}"):
        loss.forward(X, target)
    loss.reduction = "sum"
    assert loss.forward(X, target) == pytest.approx(make().forward(X, target) * loss._terms(X, target)[2])


PICTURES = np.random.default_rng(5).normal(size=(2, 2, 6, 6))
SEQUENCES = np.random.default_rng(6).normal(size=(2, 3, 4))
LATER: dict[str, tuple[Callable[[], Any], str, list, tuple]] = {  # what is changed, to what it must not be
    "Dropout": (bp.Dropout, "p", [1.0, -0.1, np.nan, None, "x"], (X,)),
    "LeakyReLU": (bp.LeakyReLU, "negative_slope", [np.nan, np.inf, None, "x"], (X,)),
    "ELU": (bp.ELU, "alpha", [np.nan, -np.inf, None, "x"], (X,)),
    "GELU": (bp.GELU, "approximate", ["Tanh", None, 1], (X,)),
    "Softmax": (bp.Softmax, "axis", [None, "x", 0.5, (0, 1)], (X,)),
    "ignored": (bp.CrossEntropyLoss, "ignore_index", [None, "x", 2.5, np.nan], (X, [0] * len(X))),
    "HuberLoss": (bp.HuberLoss, "delta", [0.0, -1.0, np.nan, None, "x"], (X, X)),
    "smoothing": (bp.CrossEntropyLoss, "label_smoothing", [1.5, -0.1, np.nan, "x"], (X, [0] * len(X))),
    "weight": (bp.CrossEntropyLoss, "weight", [[-1.0, 1.0], [np.nan, 1.0], "x"], (X[:, :2], [0] * len(X))),
    "BatchNorm1d": (lambda: bp.BatchNorm1d(4), "eps", [-1.0, np.nan, None, "x"], (SEQUENCES[:, 0],)),
    "momentum": (lambda: bp.BatchNorm1d(4), "momentum", [-0.1, 1.1, np.nan, "x"], (SEQUENCES[:, 0],)),
    "LayerNorm": (lambda: bp.LayerNorm(4), "eps", [-1.0, np.nan, "x"], (SEQUENCES,)),
    "RNN": (lambda: bp.RNN(4, 2), "nonlinearity", ["Tanh", None, 1], (SEQUENCES,)),
    "LSTM": (lambda: bp.LSTM(4, 2), "nonlinearity", ["relu", None], (SEQUENCES,)),
    **{
        f"{setting} of {kind.__name__}": (partial(kind, *sizes), setting, bad, (PICTURES,))
        for kind, *sizes in (
            (bp.Conv2d, 2, 3, 2),
            (bp.ConvTranspose2d, 2, 3, 2),
            (bp.MaxPool2d, 2),
            (bp.AvgPool2d, 2),
        )
        for setting, bad in (("stride", [0, (1, 0), None, "x"]), ("padding", [-1, (1, 2, 3), None, 1.5]))
    },
}


@pytest.mark.parametrize("name", LATER)
def test_a_setting_changed_later_is_refused_at_the_latest_when_it_is_used(name: str) -> None:
    make, setting, worse, given = LATER[name]
    for bad in worse:
        owner = make()
        owner.forward(*given)
        with pytest.raises(ValueError, match=rf"{type(owner).__name__}.* {setting}"):
            setattr(owner, setting, bad)
            owner.forward(*given)


@pytest.mark.parametrize("kind", [bp.Conv2d, bp.ConvTranspose2d, bp.MaxPool2d, bp.AvgPool2d])
def test_windows_changed_later_act(kind: Any) -> None:
    sizes = (2, 3, 3) if kind in (bp.Conv2d, bp.ConvTranspose2d) else (3,)
    seed = {"rng": 0} if len(sizes) == 3 else {}
    later, given = kind(*sizes, **seed), kind(*sizes, 2, 1, **seed)
    later.forward(PICTURES)
    later.stride, later.padding = 2, (1, 1)
    y = given.forward(PICTURES)
    np.testing.assert_array_equal(later.forward(PICTURES), y)
    np.testing.assert_array_equal(later.backward(np.cos(y)), given.backward(np.cos(y)))
    assert repr(later) == repr(given)


@pytest.mark.parametrize("kind", [bp.MaxPool2d, bp.AvgPool2d, lambda *sizes: bp.Conv2d(2, 3, *sizes, rng=0)])
@pytest.mark.parametrize(
    ("name", "value"),
    [("stride", 2), ("stride", (1, 1)), ("kernel_size", 2), ("padding", 1), ("padding", "x")],
)
def test_windows_changed_in_between_act_at_the_next_forward(kind: Any, name: str, value: Any) -> None:
    layer, alike = kind(3), kind(3)
    grad = np.cos(layer.forward(PICTURES))
    alike.forward(PICTURES)
    if isinstance(layer, bp.Conv2d) and name == "kernel_size":
        with pytest.raises(ValueError, match="Conv2d: kernel_size stays"):
            setattr(layer, name, value)
    else:
        setattr(layer, name, value)
    np.testing.assert_array_equal(layer.backward(grad), alike.backward(grad))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((3,), "TapeLayer: function must be of type Callable, got 3"),
        ((np.multiply, np.ones(3)), "expected parameters, got ndarray"),
        ((np.multiply, [bp.Parameter(1.0)]), "expected parameters, got list"),
    ],
)
def test_a_layer_of_the_tape_is_made_of_a_function_and_parameters(given: tuple, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bp.TapeLayer(*given)


def test_a_schedule_must_give_a_rate() -> None:
    def forgetful(base: Any, t: int) -> Any:
        if t < 2:
            return base

    schedule = bp.Schedule(bp.SGD([bp.Parameter(1.0)], lr=0.1), forgetful)
    schedule.step()
    with pytest.raises(ValueError, match="SGD: expected 0 <= lr < inf, got None"):
        schedule.step()


@pytest.mark.parametrize("order", [1, -1])
def test_groups_and_parameters_are_not_mixed(order: int) -> None:
    mixture = [{"params": [bp.Parameter(1.0)]}, bp.Parameter(1.0)]
    with pytest.raises(TypeError, match="expected parameters, got dict"):
        bp.SGD(mixture[::order])


@pytest.mark.parametrize("betas", [0.9, (0.9, 0.9, 0.9), (0.9,), None, "ab"])
def test_the_betas_of_a_group_are_two(betas: Any) -> None:
    groups = [{"params": bp.Parameter(1.0), "betas": betas}, {"params": bp.Parameter(1.0)}]
    for given in (groups, groups[::-1], groups[:1]):
        with pytest.raises(ValueError, match="Adam: expected two betas, got"):
            bp.Adam(given)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_of_groups_come_back_in_their_precision(dtype: str, tmp_path: Path) -> None:
    net = bp.Network(bp.Linear(3, 2, rng=0)).to(dtype)
    weight, bias = net.parameters()
    optimizer = bp.SGD([{"params": weight, "lr": 0.1}, {"params": bias}], lr=0.3)
    schedule = bp.CosineAnnealingLR(optimizer, 7)
    schedule.step()
    bp.save(net, tmp_path / "a.npz", optimizer=optimizer, schedule=schedule)
    rates = []
    for _ in range(2):
        bp.load(net, tmp_path / "a.npz", optimizer=optimizer, schedule=schedule)
        for _ in range(3):
            schedule.step()
        rates.append(optimizer.lr)
    other = bp.SGD([{"params": weight, "lr": 0.1}, {"params": bias}], lr=0.3)
    unbroken = bp.CosineAnnealingLR(other, 7)
    for _ in range(4):
        unbroken.step()
    for lr in rates:
        np.testing.assert_array_equal(lr, other.lr, strict=True)
    state = other.state_dict()
    state["rates"][1, 0] = np.inf  # no start for one, which a state without a schedule has for all
    with pytest.raises(ValueError, match="expected 0 <= lr < inf"):
        other.load_state_dict(state)
    alone = bp.SGD(net.parameters(), lr=0.1)
    alone.load_state_dict(alone.state_dict())
    assert alone.lr == 0.1  # to the last digit, in single precision, too


def test_what_was_predicted_in_evaluation_is_no_forward_of_training() -> None:
    net = bp.Network(bp.Linear(3, 2, rng=0), bp.ReLU(), bp.LayerNorm(2))
    net.eval()
    for _ in range(2):
        net(X)
    net.train()
    net(X[:1])
    rows = [net.backward(np.eye(2)[[i]]) for i in range(2)]
    net(X[:1])
    np.testing.assert_array_equal(rows[1], net.backward(np.eye(2)[[1]]))
    for mode in (net.train, net.eval):
        mode()
        net(X)
        net(X[:1])
        net.backward(np.ones((1, 2)))
        mode()  # which does not bring back what the first forward kept
        with pytest.raises(RuntimeError, match=r"two forwards, then two backwards.* or forward again"):
            net.backward(np.ones((1, 2)))


WRONG: list[Any] = [["a", "b"], [None, 1.0], [1j, 0.0], np.array(["1", "2"]), np.array([1, 2], "M8[s]")]


@pytest.mark.parametrize("bad", WRONG)
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_state_that_is_no_numbers_is_refused_whole(bad: Any, name: str) -> None:
    layer = bp.Linear(1, 2, rng=0)
    before = layer.state_dict()
    state = {"weight": np.zeros((1, 2)), "bias": np.zeros(2)}
    state[name] = np.reshape(np.array(bad), state[name].shape)
    with pytest.raises(ValueError, match=rf"{name} is .* there, \({'1, ' * (name == 'weight')}2"):
        layer.load_state_dict(state)
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    optimizer = bp.SGD([layer.bias], momentum=0.9)
    with pytest.raises(ValueError, match="velocity is"):
        optimizer.load_state_dict({**optimizer.state_dict(), "velocity": bad})
    hidden = np.ma.masked_greater([1.0, 2.0], 1.5)
    with pytest.raises(TypeError, match="without a mask"):
        layer.load_state_dict({**before, "bias": hidden})


def pooled(x: np.ndarray, size: int, stride: int, padding: int) -> np.ndarray:
    """The gradient of the sum of all maxima, window by window, looking at the picture only."""
    dx, (height, width) = np.zeros_like(x), x.shape
    for top in range(-padding, height + padding - size + 1, stride):
        for left in range(-padding, width + padding - size + 1, stride):
            best = None
            for i in range(max(top, 0), min(top + size, height)):
                for j in range(max(left, 0), min(left + size, width)):
                    if best is None or x[i, j] > x[best]:
                        best = i, j
            assert best is not None
            dx[best] += 1
    return dx


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 1), (3, 1, 1), (3, 2, 1), (4, 1, 2), (5, 2, 2)]
)
@pytest.mark.parametrize("seed", range(4))
def test_a_border_wins_nothing(size: int, stride: int, padding: int, seed: int) -> None:
    x = np.random.default_rng(seed).choice([-np.inf, 0.0, 1.0], (7, 6), p=[0.8, 0.1, 0.1])
    x = np.full((7, 6), -np.inf) if seed == 0 else x
    pool = bp.MaxPool2d(size, stride, padding)
    y = pool.forward(x[None, None])
    dx = pool.backward(np.ones(y.shape))[0, 0]
    np.testing.assert_array_equal(dx, pooled(x, size, stride, padding))


def test_who_needs_one_number_says_so() -> None:
    net = bp.Network(bp.Linear(3, 2, rng=0), loss=bp.MSELoss("none"))
    y, optimizer = X[:, :2], bp.SGD(net.parameters())
    calls: dict[str, Callable[[], Any]] = {
        "fit": lambda: bp.fit(net, optimizer, bp.DataLoader(X, y), 1),
        "diagnose": lambda: bp.diagnose(net, X, y),
        "gradient_report": lambda: bp.gradient_report(net, X, y),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"{name}: reduction is 'mean' or 'sum', got 'none'"):
            call()
    with pytest.raises(ValueError, match="diagnose: net must be of type Network, got None"):
        bp.diagnose(None, X, y)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match="EarlyStopping: net must be of type Layer, got 'net'"):
        bp.EarlyStopping("net")  # type: ignore[arg-type]  # wrong on purpose


SEEDED: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda rng: bp.Linear(2, 2, rng=rng),
    "Dropout": lambda rng: bp.Dropout(rng=rng),
    "Conv2d": lambda rng: bp.Conv2d(1, 1, 2, rng=rng),
    "RNN": lambda rng: bp.RNN(2, 2, rng=rng),
    "Embedding": lambda rng: bp.Embedding(2, 2, rng=rng),
    "MultiHeadAttention": lambda rng: bp.MultiHeadAttention(2, 1, rng=rng),
    "DataLoader": lambda rng: bp.DataLoader(X, LABELS, rng=rng),
    "initialiser": lambda rng: bp.kaiming_normal_(bp.Parameter(X), rng=rng),
    "diagnose": lambda rng: bp.diagnose(bp.Network(bp.Linear(3, 3), loss=bp.MSELoss()), X, X, rng=rng),
}


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", [1.5, -1, "x", np.float64(2.0), [1]])
def test_a_seed_is_a_whole_number(name: str, seed: Any) -> None:
    message = f"{name}: rng must be a whole number of at least 0, got {seed!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        SEEDED[name](seed)


def test_a_history_of_numpy_numbers_is_saved(tmp_path: Path) -> None:
    net = bp.Linear(2, 2, rng=0)
    row = {"loss": np.float32(0.5), "epoch": np.int64(3), "best": np.bool_(True), "each": np.arange(2)}
    bp.save(net, tmp_path / "a.npz", history=[row])
    assert bp.load(net, tmp_path / "a.npz") == [{"loss": 0.5, "epoch": 3, "best": True, "each": [0, 1]}]


@pytest.mark.parametrize("history", ["x", {"epoch": 1}, np.ones(2), 3])
def test_what_could_not_be_loaded_is_not_saved(history: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save: history must be of type list"):
        bp.save(bp.Linear(2, 2), tmp_path / "a.npz", history=history)
    assert not any(tmp_path.iterdir())


SMALL: dict[str, tuple[Callable[[Any], Any], Any]] = {  # sizes whose multiples need more than eight bits
    "pools": (lambda n: bp.MaxPool2d(n(3), n(2), n(1)), PICTURES),
    "LSTM": (lambda n: bp.LSTM(n(4), n(70), rng=0), SEQUENCES),
    "attention": (lambda n: bp.MultiHeadAttention(n(100), n(2), rng=0), np.ones((1, 2, 100))),
    "block": (lambda n: bp.TransformerBlock(n(100), n(2), rng=0), np.ones((1, 2, 100))),
    "LayerNorm": (lambda n: bp.LayerNorm((n(20), n(20))), np.arange(400.0).reshape(1, 20, 20)),
    "batches": (lambda n: lambda x: np.stack([*bp.DataLoader(x, x, n(100), rng=0)][3]), np.arange(400.0)),
}


@pytest.mark.parametrize("name", SMALL)
def test_sizes_of_few_bits_do_not_overflow(name: str) -> None:
    make, x = SMALL[name]
    np.testing.assert_array_equal(make(np.uint8)(x), make(int)(x))


@pytest.mark.parametrize("share", [np.float32(0.5), np.float64(0.5)])
def test_a_block_drops_with_a_share_of_numpys(share: Any) -> None:
    x = np.ones((1, 2, 4))
    blocks = [bp.TransformerBlock(4, 2, dropout=p, rng=0) for p in (share, 0.5)]
    np.testing.assert_array_equal(blocks[0](x), blocks[1](x))


HIDDEN = np.ma.masked_greater([1.0, 2.0], 1.5)
TRIALS: list[tuple[Callable[[Any], Any], Any, str]] = [
    (lambda x: bp.numerical_gradient(np.sum, x), HIDDEN, "without a mask"),
    (lambda x: bp.numerical_gradient(np.sum, x), np.array([1j]), "got complex128"),
    (lambda x: bp.complex_step_gradient(np.sum, x), HIDDEN, "without a mask"),
    (lambda x: bp.gradcheck(bp.Tanh(), x), HIDDEN, "without a mask"),
    (lambda x: bp.gradcheck(bp.Tanh(), x), None, "expected numbers, got an array of object"),
    (lambda x: bp.CrossEntropyLoss(weight=x), HIDDEN, "without a mask"),
    (lambda x: bp.CrossEntropyLoss(weight=x), bp.Tensor([1.0]), "the array in it is .data"),
    (bp.CrossEntropyLoss, np.ones(2), "reduction is 'mean', 'sum' or 'none', got array"),
    (bp.SGD, np.array(1.0), "expected parameters, got ndarray"),
    (lambda d: bp.TransformerBlock(d, 2), None, "embed_dim must be a whole number"),
]


@pytest.mark.parametrize(("act", "given", "message"), TRIALS)
def test_what_is_no_number_is_named(act: Callable[[Any], Any], given: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        act(given)


def test_the_same_size_needs_stride_1() -> None:
    for stride in (2, (1, 2)):
        with pytest.raises(ValueError, match="padding 'same' needs stride 1"):
            bp.Conv2d(1, 1, 3, stride=stride, padding="same")
    assert bp.Conv2d(1, 1, 3, padding="same").forward(np.ones((1, 1, 4, 5))).shape == (1, 1, 4, 5)


@pytest.mark.parametrize("given", [{"y": 1.0}, None, "x", object()])
def test_a_slope_forwards_is_that_of_numbers(given: Any) -> None:
    for f in (lambda x: given, lambda x: [x, given]):
        with pytest.raises(TypeError, match="expected numbers"):
            bp.jvp(f, [3.0], [1.0])
    assert bp.jvp(lambda x: 7, [3.0], [1.0]) == (7, 0)


@pytest.mark.parametrize("directions", [[1.0], [1.0, 1.0, 1.0], [], 1.0, None, np.float64(1.0)])
def test_each_input_has_a_direction(directions: Any) -> None:
    with pytest.raises(ValueError, match="jvp: expected one direction for each input, 2 in all, got"):
        bp.jvp(lambda x, y: x * y, [3.0, 2.0], directions)


OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("other", ["x", None, [1.0], 1j, object()])
def test_a_value_meets_numbers_only(operation: Callable, other: Any) -> None:
    message = f"expected a number, got {type(other).__name__}"
    for pair in ((bp.Value(2.0), other), (other, bp.Value(2.0))):
        with pytest.raises(TypeError, match=message):
            operation(*pair)


READERS: dict[str, Callable[[bp.Parameter, bp.Tensor], Any]] = {
    "a product": lambda p, t: t * p,
    "the other product": lambda p, t: p * t,
    "a matrix product": lambda p, t: t @ p,
    "an array's sum": lambda p, t: t.data + p,
    "a list": lambda p, t: np.add(t, [p, p]),
    "exp": lambda p, t: np.exp(p),
    "mean": lambda p, t: np.mean(p),
    "joined": lambda p, t: np.concatenate([t, p]),
    "joined, first": lambda p, t: np.concatenate([p, t]),
    "stacked": lambda p, t: np.stack([p, t.data]),
    "where": lambda p, t: np.where([True, False], p, t),
    "where, a list": lambda p, t: np.where([True, False], [p, p], t),
    "einsum": lambda p, t: np.einsum("i,i->", t, p),
    "a Tensor": lambda p, t: bp.Tensor(p),
    "an array": lambda p, t: np.asarray(p),
    "an answer, yes or no": lambda p, t: np.array_equal(p, p),
}


@pytest.mark.parametrize("reads", READERS.values(), ids=READERS)
def test_nothing_reads_a_parameter_behind_the_tape(reads: Callable) -> None:
    """It would pass for a constant, and its gradient would stay 0."""
    with pytest.raises(TypeError, match=r"a Parameter is not an array: its numbers are \.data"):
        reads(bp.Parameter([1.0, 2.0]), bp.Tensor([3.0, 4.0]))


def test_a_hessian_of_tensors_and_of_a_constant() -> None:
    x, v = np.array([1.0, 2.0]), np.array([1.0, 0.5])
    expected = bp.hvp(lambda x: np.sum(x * x * x), x, v)
    np.testing.assert_array_equal(expected, 6 * x * v)
    for point in (bp.Tensor(x), bp.Tensor(x, requires_grad=False)):
        found = bp.hvp(lambda x: np.sum(x * x * x), point, bp.Tensor(v))
        assert type(found) is np.ndarray and point.grad is None
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(bp.hvp(lambda x: 3.0, x, v), np.zeros(2))


@pytest.mark.parametrize("shape", [(305, 2), (122, 31), (610, 4), (915, 15), (305, 2, 3)])
def test_a_change_of_any_column_is_found(shape: tuple) -> None:
    """Where 61, the step of a seal, divides the size, it must not become one that meets the same columns.

    An array with fewer rows than that may still lose a column, which chapter 17 says.
    """
    for column in range(shape[-1]):
        given = np.ones(shape)
        y = np.sum(bp.Tensor(2.0) * given)
        given[..., column] = 100.0
        with pytest.raises(RuntimeError, match=r"multiply: an array of shape .* was changed"):
            y.backward()


def test_what_a_layer_remembers_is_that_of_its_last_forward() -> None:
    softmax, linear = bp.Softmax(), bp.Linear(3, 3, rng=0)
    x, grad = np.arange(12.0).reshape(4, 3), np.eye(4, 3)
    y = softmax.forward(x)
    want = softmax.backward(grad)
    y *= 0
    np.testing.assert_array_equal(softmax.backward(grad), want)
    linear.forward(x)
    with pytest.raises(ValueError, match="of shape"):
        linear.forward(x.T)
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        linear.backward(grad)


def test_a_target_of_probabilities_has_none_below_0() -> None:
    with pytest.raises(ValueError, match=r"target row \[ ?1\.5 -0\.5\] at index 1: expected probabilities"):
        bp.CrossEntropyLoss().forward(np.zeros((2, 2)), [[0.5, 0.5], [1.5, -0.5]])
