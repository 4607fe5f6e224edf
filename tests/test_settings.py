"""Every setting of the constructors and functions of chapters 1 to 10: taken, or refused by its name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
from tests.layers import CASES, filled

BAD: list[Any] = [None, "x", -1, float("nan"), float("inf"), [], True, object()]
X = np.random.default_rng(0).normal(size=(20, 4))
LABELS = np.random.default_rng(1).integers(3, size=20)


def net() -> bp.Network:
    return bp.Network(bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss())


def parameter() -> bp.Parameter:
    return bp.Parameter(np.ones((3, 2)))


def sgd() -> bp.SGD:
    return bp.SGD([parameter()], lr=0.1)


def fitted(**settings: Any) -> Any:
    ours = settings.setdefault("net", net())
    own = ours.parameters() if isinstance(ours, bp.Layer) else net().parameters()
    settings.setdefault("optimizer", bp.SGD(own, lr=0.1))
    return bp.fit(**{"data": bp.DataLoader(X, LABELS), "epochs": 1, "verbose": False, **settings})


# What is called, with arguments that it takes; each of the others is tried with its default and with BAD.
MADE: dict[str, tuple[Callable, Callable[[], dict[str, Any]]]] = {
    "Linear": (bp.Linear, lambda: {"in_features": 3, "out_features": 2}),
    "Softmax": (bp.Softmax, dict),
    **{kind.__name__: (kind, dict) for kind in (bp.LeakyReLU, bp.ELU, bp.GELU)},
    **{
        kind.__name__: (kind, dict)
        for kind in (bp.MSELoss, bp.L1Loss, bp.HuberLoss, bp.BCEWithLogitsLoss, bp.CrossEntropyLoss)
    },
    "Network": (lambda loss=None: bp.Network(bp.Linear(2, 2), loss=loss), dict),
    **{
        kind.__name__: (kind, lambda: {"parameters": [parameter()]})
        for kind in (bp.SGD, bp.Adagrad, bp.RMSprop, bp.Adam, bp.AdamW)
    },
    **{
        start.__name__: (start, lambda: {"parameter": parameter()})
        for start in (bp.xavier_normal_, bp.xavier_uniform_, bp.kaiming_normal_, bp.kaiming_uniform_)
    },
    "gradient_report": (bp.gradient_report, lambda: {"net": net(), "x": X, "target": LABELS}),
    "DataLoader": (bp.DataLoader, lambda: {"x": X, "y": LABELS}),
    "StepLR": (bp.StepLR, lambda: {"optimizer": sgd(), "step_size": 2}),
    "ExponentialLR": (bp.ExponentialLR, lambda: {"optimizer": sgd(), "gamma": 0.9}),
    "CosineAnnealingLR": (bp.CosineAnnealingLR, lambda: {"optimizer": sgd(), "T_max": 5}),
    "LinearWarmup": (bp.LinearWarmup, lambda: {"optimizer": sgd(), "steps": 5}),
    "clip_grad_norm_": (bp.clip_grad_norm_, lambda: {"parameters": [parameter()], "max_norm": 1.0}),
    "to": (lambda dtype: net().to(dtype), lambda: {"dtype": "float32"}),
    "fit": (
        lambda net=None, optimizer=None, data=None, epochs=1, validation=None, callbacks=(), schedule=None,
        max_norm=None, penalty=None, schedule_every="epoch", history=(): None,
        dict,
    ),
}  # fmt: skip
DATA = {"x", "y", "target", "verbose"}  # are no settings
CALLED = {
    "data": "batches",
    "validation": "batches",
    "to": "float32 or float64",
    "parameters": "parameters",
    "parameter": "parameters",
}


def cases() -> Iterator[tuple[str, str, Any]]:
    for name, (make, given) in MADE.items():
        names = set(inspect.signature(make).parameters) | set(given())
        for setting in sorted(names - DATA):
            for bad in BAD:
                yield name, setting, bad


@pytest.mark.parametrize(("name", "setting", "bad"), list(cases()))
def test_a_setting_is_taken_or_refused_by_its_name(name: str, setting: str, bad: Any) -> None:
    make, given = MADE[name]
    if name == "fit":
        make = fitted
    try:
        make(**{**given(), setting: bad})
    except (TypeError, ValueError) as error:
        message = str(error)
        words = setting, CALLED.get(name), CALLED.get(setting)
        assert any(word in message for word in words if word)


@pytest.mark.parametrize("betas", [(0.9,), 0.9, (0.9, 1.0), (0.9, "x"), (None, 0.9), "ab"])
def test_betas_are_two_numbers_below_one(betas: Any) -> None:
    with pytest.raises(ValueError, match="betas"):
        bp.Adam([parameter()], betas=betas)


@pytest.mark.parametrize("part", ["net", "optimizer", "schedule"])
def test_a_checkpoint_is_of_a_network_an_optimizer_and_a_schedule(part: str, tmp_path: Any) -> None:
    for bad in (3, "x", object()):
        parts: dict[str, Any] = {"net": net(), "optimizer": sgd(), part: bad}
        for use in (bp.save, bp.load):
            with pytest.raises(ValueError, match=f"checkpoint: {part} must be of type"):
                use(path=tmp_path / "a.npz", **parts)
    assert not list(tmp_path.iterdir())


def test_a_group_has_only_settings_that_the_optimizer_has() -> None:
    with pytest.raises(ValueError, match="SGD has no 'momentun'"):
        bp.SGD([{"params": [parameter()], "momentun": 0.9}], lr=0.1)
    with pytest.raises(ValueError, match="expected 0 <= momentum < 1, got 2"):
        bp.SGD([{"params": [parameter()], "momentum": 2}], lr=0.1)
    with pytest.raises(ValueError, match="a parameter in two groups"):
        bp.SGD([{"params": [p := parameter()]}, {"params": [p]}], lr=0.1)


def masked() -> np.ndarray:
    return np.ma.masked_greater(np.ones((3, 4)), 2)


class OfDoubles(bp.Activation):
    """What a reader may write, without a thought for single precision."""

    def value_and_slope(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x * np.pi * np.ones(x.shape), np.full(x.shape, np.pi)


LAYERS: list[Callable[[], Any]] = [
    OfDoubles,
    lambda: bp.Linear(4, 4, rng=0), bp.Flatten, bp.Sigmoid, bp.Tanh, bp.ReLU, bp.LeakyReLU, bp.ELU,
    bp.Softplus, bp.SiLU, bp.GELU, lambda: bp.GELU("tanh"), bp.Softmax,
    lambda: bp.Network(bp.Linear(4, 3, rng=0)), lambda: bp.Residual(bp.Linear(4, 4, rng=0)),
    lambda: bp.LayerNorm(4), lambda: bp.RMSNorm(4),
]  # fmt: skip
LOSSES = [bp.MSELoss, bp.L1Loss, bp.HuberLoss, bp.BCEWithLogitsLoss, bp.CrossEntropyLoss]


@pytest.mark.parametrize("make", LAYERS)
def test_layers_refuse_masks_and_complex_numbers(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="without a mask"):
        make().forward(masked())
    with pytest.raises(TypeError, match="expected real numbers, got complex128"):
        make().forward(np.ones((3, 4)) * 1j)


@pytest.mark.parametrize("make", LOSSES)
def test_losses_refuse_masks_and_complex_numbers(make: Callable[[], Any]) -> None:
    target = bp.Softmax()(X[:3])
    for bad, message in ((masked(), "without a mask"), (np.ones((3, 4)) * 1j, "expected real numbers")):
        with pytest.raises(TypeError, match=message):
            make()(bad, target)
        with pytest.raises(TypeError, match=message):
            make()(target, bad)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_the_gradient_of_an_input_has_its_precision(make: Callable[[], Any], shape: tuple) -> None:
    layer = make()
    y = layer.forward(np.ones(shape, np.float32))
    assert y.dtype == layer.backward(np.ones(y.shape)).dtype == np.float32


@pytest.mark.parametrize("make", LAYERS)
def test_what_happens_to_the_input_later_does_not_change_the_gradient(make: Callable[[], Any]) -> None:
    layer, other = make(), make()
    x = X[:3].copy()
    grad = np.random.default_rng(3).normal(size=layer.forward(x).shape)
    other.forward(x.copy())
    x[...] = 0
    assert np.array_equal(layer.backward(grad), other.backward(grad))
    for mine, its in zip(layer.parameters(), other.parameters(), strict=True):
        assert np.array_equal(mine.grad, its.grad)


@pytest.mark.parametrize("make", [LAYERS[0], LAYERS[-1], bp.Flatten, bp.ReLU, bp.Softmax])
def test_two_forwards_and_two_backwards_are_noticed(make: Callable[[], Any]) -> None:
    layer = make()
    grad = np.ones(layer.forward(X).shape)
    layer.backward(grad)
    layer.backward(grad)  # the same once more
    layer.forward(X)
    layer.forward(X)
    layer.backward(grad)
    with pytest.raises(RuntimeError, match="two forwards, then two backwards"):
        layer.backward(grad)
    layer.forward(X)
    layer.backward(grad)


@pytest.mark.parametrize("name", [*CASES, "Embedding", "Dropout at rest"])
def test_everything_notices_two_forwards_and_two_backwards(name: str) -> None:
    odd = {
        "Embedding": (lambda: bp.Embedding(5, 3, rng=0), (LABELS,), False),
        "Dropout at rest": (lambda: bp.Dropout().eval(), (X,), False),
    }
    make, given, _ = (CASES | odd)[name]
    layer = make()
    for _ in range(2):
        y = np.asarray(layer.forward(*given))
    layer.backward(np.ones(y.shape))
    with pytest.raises(RuntimeError, match="two forwards, then two backwards"):
        layer.backward(np.ones(y.shape))


@pytest.mark.parametrize("name", [name for name in CASES if name != "memory of attention"])
def test_what_is_no_array_of_numbers_is_refused_in_one_sentence(name: str) -> None:
    make, (x, *rest), _ = CASES[name]
    bad: list[Any] = [[[1.0], [1.0, 2.0]], np.ma.masked_greater(x, 0), x * 1j, "x", None, x.astype(str)]
    for it in bad:
        with pytest.raises((TypeError, ValueError), match=r"expected"):
            make().forward(it, *rest)
        if isinstance(make(), bp.Loss):
            with pytest.raises((TypeError, ValueError), match=r"expected"):
                make().forward(x, it)
    layer = make()
    y = np.asarray(layer.forward(x, *rest))
    for it in bad:
        with pytest.raises((TypeError, ValueError), match=r"expected"):
            layer.backward("x" if it is None and isinstance(layer, bp.Network) else it)
    with pytest.raises(ValueError, match=r"expected grad_output of shape \("):
        layer.backward(np.ones((2, *y.shape)))


def test_a_mask_is_lost_nowhere() -> None:
    hidden = np.ma.masked_greater(np.arange(4), 2)
    for act in (
        lambda: bp.Embedding(5, 3, rng=0).forward(hidden),
        lambda: bp.DataLoader(X[:4], hidden),
        lambda: bp.gradient_report(net(), np.ma.masked_greater(X, 0), LABELS),
        lambda: bp.MultiHeadAttention(4, 2).forward(X[None, :4], attn_mask=hidden),
    ):
        with pytest.raises(TypeError, match="without a mask"):
            act()


@pytest.mark.parametrize("name", CASES)
def test_nothing_of_double_precision_is_kept_of_single(name: str) -> None:
    make, given, _ = CASES[name]
    layer = filled(make())
    if isinstance(layer, bp.Layer):
        layer.to("float32")
    given = tuple(np.float32(a) if isinstance(a, np.ndarray) and a.dtype == float else a for a in given)
    y = np.asarray(layer.forward(*given))
    found: list[np.ndarray] = []

    def look(thing: Any) -> None:
        if isinstance(thing, np.ndarray):
            found.append(thing)
        for part in (
            thing
            if isinstance(thing, (list, tuple))
            else vars(thing).values()
            if hasattr(thing, "__dict__")
            else ()
        ):
            look(part)

    look(layer)
    assert not [a.shape for a in found if a.dtype == float and a.size > 1]
    assert np.asarray(layer.backward(np.ones(y.shape))).dtype == np.float32


def test_a_memory_is_no_second_forward() -> None:
    layer, x = bp.MultiHeadAttention(4, 2, rng=0), np.ones((2, 3, 4))
    y = layer.forward(x, memory=x)
    first = layer.backward(np.ones(y.shape))
    np.testing.assert_array_equal(layer.backward(np.ones(y.shape)), first)


@pytest.mark.parametrize("make", [lambda: bp.Linear(4, 3, rng=0), lambda: bp.LayerNorm(4)])
def test_a_forward_that_is_refused_leaves_no_old_gradient(make: Callable[[], Any]) -> None:
    layer = make()
    grad = np.ones(layer.forward(X).shape)
    with pytest.raises(ValueError, match="expected input of shape"):
        layer.forward(X[:, :2])
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        layer.backward(grad)


def test_two_losses_and_two_backwards_are_noticed() -> None:
    loss = bp.MSELoss()
    loss(X, X + 1)
    loss(X, X + 2)
    loss.backward()
    with pytest.raises(RuntimeError, match="two forwards, then two backwards"):
        loss.backward()


def test_a_layer_that_knows_itself_is_walked_once() -> None:
    layer = bp.Linear(3, 2, rng=0)
    vars(layer)["parent"] = layer
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert layer.modules() == [layer] and layer.eval() is layer and not layer.training
    assert copy.deepcopy(layer).state_dict().keys() == {"weight", "bias"}


def test_names_that_collide_are_refused(tmp_path: Any) -> None:
    class Keys(bp.Layer):
        def __init__(self, cells: dict) -> None:
            self.cells = cells

    same = Keys({0: bp.Linear(2, 2), "0": bp.Linear(2, 2)})
    dotted = Keys({"a.b": parameter(), "a": {"b": parameter()}})
    for layer in (same, dotted):
        for use in (bp.Layer.state_dict, lambda layer: bp.save(layer, tmp_path / "a.npz")):
            with pytest.raises(ValueError, match=r"two members have the name cells\."):
                use(layer)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("buffer", [3, 2.5, [1, 2], None, np.array([None])])
def test_a_buffer_is_an_array(buffer: Any, tmp_path: Any) -> None:
    layer = bp.Linear(2, 2)
    vars(layer)["buffers"] = {"count": buffer}
    with pytest.raises(TypeError, match="count is no array of numbers"):
        bp.save(layer, tmp_path / "a.npz")


def test_a_parameter_can_be_looked_at_but_does_not_compute() -> None:
    p = bp.Parameter([[1.0, 2.0]])
    assert (p.shape, p.size, p.ndim, p.dtype, p.numel()) == ((1, 2), 2, 2, np.dtype(float), 2)
    with pytest.raises(AttributeError, match="a Parameter has no colour"):
        _ = p.colour
    with pytest.raises(ValueError, match=r"expected grad of shape \(1, 2\), got \(3,\)"):
        p.grad = np.ones(3)
    p.grad += 1
    p.grad = None
    assert p.grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((2, 1)), r"expected Parameter\.data of shape \(1, 2\), got \(2, 1\)"),  # as in PyTorch
        (0, r"expected Parameter\.data of shape \(1, 2\), got \(\)"),
        (None, "expected numbers"),
        (np.ones((1, 2)) * 1j, "expected real numbers, got complex128"),
        (np.ma.ones((1, 2)), "expected numbers without a mask"),
    ],
    ids=str,
)
def test_only_numbers_of_the_same_shape_take_the_place_of_the_old(data: Any, message: str) -> None:
    p = bp.Parameter([[1.0, 2.0]])
    with pytest.raises((ValueError, TypeError), match=message):
        p.data = data
    assert p.data.tolist() == [[1.0, 2.0]]
    p.data = [[3, 4]]
    assert p.data.dtype == float
    single = bp.Parameter(2.0)
    single.data = 2 * single.data  # a number, in NumPy
    assert isinstance(single.data, np.ndarray)
    p.requires_grad = False
    p.grad += 1
    assert p.grad.tolist() == [[0.0, 0.0]]


def test_an_error_shows_the_first_300_characters_of_a_long_value() -> None:
    with pytest.raises(ValueError) as error:
        bp.Dropout("x" * 999)  # type: ignore[arg-type]
    assert str(error.value).endswith("got '" + 299 * "x")
