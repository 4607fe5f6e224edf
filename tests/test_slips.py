"""What somebody writes by habit from PyTorch: it acts, or is refused by a sentence saying what to write."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backprop_core as bp

RNG = np.random.default_rng(0)
X, OTHER = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4))
Y, LATER = np.array([0, 1, 2, 0, 1, 2]), np.array([2, 2, 1, 0, 0, 1])


def made(loss: bp.Loss | None = None, seed: int = 0) -> bp.Network:
    first, last = bp.Linear(4, 5, rng=seed), bp.Linear(5, 3, rng=seed)
    return bp.Network(first, bp.Tanh(), last, loss=loss or bp.CrossEntropyLoss())


class Members(bp.Network):
    """PyTorch's style: layers as attributes, and a forward of its own."""

    def __init__(self) -> None:
        super().__init__(loss=bp.CrossEntropyLoss())
        self.fc1, self.act, self.fc2 = bp.Linear(4, 5), bp.ReLU(), bp.Linear(5, 3)


class Early(bp.Network):
    def __init__(self) -> None:
        self.rest = [bp.Linear(4, 4)]
        super().__init__(bp.Linear(4, 3))


class Own(bp.Network):
    """A backward of its own may use what it likes."""

    def __init__(self) -> None:
        super().__init__(bp.Linear(4, 4, rng=0))
        self.skip = bp.Linear(4, 4, rng=1)

    def forward(self, x: Any, lengths: Any = None) -> np.ndarray:
        return super().forward(x) + self.skip(x)

    def backward(self, grad_output: Any = None) -> np.ndarray:
        return super().backward(grad_output) + self.skip.backward(grad_output)


@pytest.mark.parametrize(("make", "name"), [(Members, "fc1"), (Early, "rest")])
def test_a_member_that_would_not_train_is_refused(make: Callable, name: str) -> None:
    with pytest.raises(TypeError, match=rf"{make.__name__}: {name} would not train; freeze it, give it to s"):
        make()
    net: Any = made()
    net.skip = spare = [1, 2]
    with pytest.raises(TypeError, match="Network: skip would not train"):
        net.skip = bp.Linear(4, 3)
    assert net.skip is spare
    net.first = net[0]
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_only_what_is_set_and_would_train_is_blamed() -> None:
    net: Any = made()
    teacher, prior = copy.deepcopy(net), bp.Parameter(np.ones(3))
    for name, value in (("teacher", teacher), ("prior", prior)):
        with pytest.raises(TypeError, match=f"Network: {name} would not train; freeze it"):
            setattr(net, name, value)
    for parameter in (*teacher.parameters(), prior):
        parameter.requires_grad = False
    net.teacher, net.prior, net.notes = teacher, prior, {}
    net.notes["a"] = bp.Linear(2, 2)
    net.history, net.layers = [], [*net.layers, bp.Linear(3, 3)]
    assert len(net) == 4 and hasattr(net, "history")


def test_with_a_backward_of_its_own_a_network_may_have_members() -> None:
    assert bp.gradcheck(Own(), X, rng=0) < 1e-7
    assert len(Own().parameters()) == 4


def test_a_forward_does_not_look_for_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    inner: Any = bp.Network(bp.Linear(4, 3), bp.Tanh())
    outer = bp.Network(inner, bp.Linear(3, 2))
    inner.probes = {}
    inner.probes["p"] = bp.Linear(3, 2)
    monkeypatch.setattr(bp, "_entries", None)
    assert outer.forward(X).shape == (6, 2)
    with pytest.raises(TypeError, match="not callable"):
        outer.parameters()


def test_a_network_whose_forward_passes_its_layers_by_is_refused() -> None:
    class PassesBy(bp.Network):
        def forward(self, x: Any, lengths: Any = None) -> np.ndarray:
            super().forward(x)
            return bp.Network(*self.layers).forward(x)

    net = PassesBy(bp.Linear(4, 3), loss=bp.CrossEntropyLoss())
    net.loss(X, Y)
    with pytest.raises(RuntimeError, match=r"Network: Linear\(4, 3\) has run for something else since"):
        net.backward()


def test_a_loss_that_two_networks_share_is_noticed() -> None:
    loss = bp.CrossEntropyLoss()
    one, two = made(loss), made(loss, seed=1)
    one.loss(X, Y)
    two.loss(OTHER, LATER)
    with pytest.raises(RuntimeError, match=r"CrossEntropyLoss has run for something else.*its own"):
        one.backward()
    two.backward()
    one.loss(X, Y)
    one.backward()
    alone = made()
    alone.loss(X, Y)
    alone.backward()
    assert np.array_equal(one[0].weight.grad, alone[0].weight.grad)  # type: ignore[attr-defined]


@pytest.mark.parametrize("look", ["slice", "layer", "shared", "step by step"])
def test_a_look_between_loss_and_backward_is_noticed(look: str) -> None:
    net = made()
    net.loss(X, Y)
    if look == "slice":
        net[:2](OTHER)
    elif look == "layer":
        net[0](OTHER)
    elif look == "shared":
        bp.Network(net[0], bp.Linear(5, 2), loss=bp.CrossEntropyLoss()).loss(OTHER, LATER % 2)
    else:
        net[1](net[0](OTHER))
    for back in (net.backward, net.accumulate):
        with pytest.raises(
            RuntimeError, match=r"Linear\(4, 5\) has run for something else since; call forward"
        ):
            back()
    net.loss(X, Y)
    net.backward()


def test_a_look_at_a_block_inside_is_noticed() -> None:
    net = bp.Network(bp.Residual(bp.Linear(4, 4)), bp.Linear(4, 3), loss=bp.CrossEntropyLoss())
    net.loss(X, Y)
    net[0](OTHER)
    with pytest.raises(RuntimeError, match="has run for something else since"):
        net.backward()


def test_a_look_at_a_network_inside_is_noticed_beside_a_layer_that_does_not_count() -> None:
    net = bp.Network(bp.Linear(4, 4), bp.Network(Twice()), loss=bp.MSELoss())
    net.loss(X, X)
    net[0](OTHER)
    with pytest.raises(RuntimeError, match=r"Network: Linear\(4, 4\) has run for something else since"):
        net.backward()


class Twice(bp.Layer):
    """Of one's own, and it keeps no count of its runs."""

    def forward(self, x: Any) -> np.ndarray:
        return 2 * np.asarray(x)

    def backward(self, grad_output: Any) -> np.ndarray:
        return 2 * np.asarray(grad_output)


def test_layers_that_run_by_hand_need_not_count() -> None:
    net = bp.Network(bp.Linear(4, 4, rng=0), Twice(), bp.Linear(4, 3, rng=1))
    net.forward(X)
    grad = np.ones((6, 3))
    dx, y = net.backward(grad), X
    for layer in net:
        y = layer.forward(y)
    assert np.array_equal(net.backward(grad), dx)


def test_a_shared_loss_goes_by_its_own_forward() -> None:
    loss = bp.CrossEntropyLoss()
    one, two, alone = made(loss), made(loss, seed=1), made()
    y, other = one.forward(X), two.forward(X)
    loss.forward(y, Y)
    alone.loss(X, Y)
    assert np.array_equal(one.backward(), alone.backward())
    loss.forward(other, Y)
    two.backward()


def test_what_is_no_look_is_not_refused() -> None:
    net, want = made(), made()
    want.loss(X, Y)
    dx = want.backward()
    net.loss(X, Y)
    copied = copy.deepcopy(net)  # between loss and backward
    made().loss(OTHER, LATER)
    net.eval()
    net.train()
    for each in (net, copied):
        assert np.array_equal(each.backward(), dx)
        assert np.array_equal(each.backward(), dx)
    y = X
    for layer in net:  # by hand, one by one
        y = layer.forward(y)
    assert net.criterion
    net.criterion.forward(y, Y)
    assert np.array_equal(net.backward(net.criterion.backward()), dx)
    net.criterion.forward(net.forward(X), Y)
    assert np.array_equal(net.backward(), dx)


def test_a_tape_layer_refuses_a_tensor_that_it_was_not_given() -> None:
    outside, fixed = bp.Tensor(np.ones((4, 3))), {"requires_grad": False}
    said = (
        "uses a Tensor that it was not given; write an array, "
        r"Tensor\(…, requires_grad=False\) or hand over a Parameter"
    )
    for function in (lambda a: a @ outside, lambda a: outside, lambda a: a * bp.Tensor(a.data > 0)):
        with pytest.raises(ValueError, match=said):
            bp.Network(bp.TapeLayer(function)).forward(X)
    constant = bp.Tensor(np.ones((4, 3)), **fixed)
    for function in (
        lambda a: a,
        lambda a: a @ constant,
        lambda a: constant,
        lambda a: a * (a.data > 0),
        lambda a: a * bp.Tensor(a.data > 0, **fixed),
        lambda a: np.concatenate([a, np.zeros((2, 4))]),
    ):
        layer = bp.TapeLayer(function)
        layer.backward(np.ones(layer.forward(X).shape))
        with bp.no_grad():
            layer.forward(X)


WEIGHTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: bp.Linear(4, 3), "weight"), (lambda: bp.Linear(4, 3), "bias"),
    (lambda: bp.Conv2d(2, 4, 3), "weight"), (lambda: bp.ConvTranspose2d(2, 4, 3), "bias"),
    (lambda: bp.BatchNorm1d(4), "weight"), (lambda: bp.LayerNorm(4), "bias"),
    (lambda: bp.RNN(2, 3), "recurrent"), (lambda: bp.LSTM(2, 3), "weight"),
    (lambda: bp.GRU(2, 3), "recurrent_bias"), (lambda: bp.Embedding(5, 3), "weight"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name"), WEIGHTS)
def test_an_array_takes_no_parameters_place(make: Callable[[], Any], name: str) -> None:
    layer = make()
    before = getattr(layer, name)
    said = rf"{type(layer).__name__}: {name} stays \(or a Parameter of its shape takes its place\), got "
    with pytest.raises(ValueError, match=said + "array"):
        setattr(layer, name, np.ones(before.shape))
    assert getattr(layer, name) is before
    new = bp.Parameter(np.full(before.shape, 3.0))
    setattr(layer, name, new)
    twin = getattr(copy.deepcopy(layer), name)
    assert getattr(layer, name) is new is not twin and np.array_equal(twin.data, new.data)
    if "bias" in name:
        delattr(layer, name)  # or None
        assert getattr(layer, name) is None and getattr(copy.deepcopy(layer), name) is None
        layer.bias = None
    else:
        with pytest.raises(ValueError, match=said + "None"):
            setattr(layer, name, None)
        with pytest.raises(ValueError, match=said + "None"):
            delattr(layer, name)
    setattr(layer, name, before)
    assert getattr(layer, name) is before and before in layer.parameters()


FIXED: list[tuple[Callable[[], Any], str]] = [
    *[(lambda: bp.Linear(4, 3), name) for name in ("in_features", "out_features")],
    *[
        (lambda: bp.Conv2d(2, 4, 3), name)
        for name in ("in_channels", "out_channels", "kernel_size", "groups")
    ],
    (lambda: bp.BatchNorm2d(4), "num_features"),
    *[(make, "normalized_shape") for make in (lambda: bp.LayerNorm(4), lambda: bp.RMSNorm((2, 4)))],
    *[(lambda: bp.GRU(2, 3), name) for name in ("input_size", "hidden_size")],
    *[(lambda: bp.Embedding(5, 3), name) for name in ("num_embeddings", "embedding_dim")],
    *[(lambda: bp.MultiHeadAttention(4, 2), name) for name in ("embed_dim", "num_heads")],
    *[(lambda: bp.DataLoader(X, Y), name) for name in ("x", "y")],
]


@pytest.mark.parametrize(("make", "name"), FIXED)
def test_what_the_shapes_rest_on_stays_as_it_was_made(make: Callable[[], Any], name: str) -> None:
    owner = make()
    before = getattr(owner, name)
    for new in (7, (1, 1), "a", None, np.ones(3)):
        kind = type(owner).__name__
        with pytest.raises(ValueError, match=rf"{kind}: {name} stays \(make a new {kind}\), got "):
            setattr(owner, name, new)
    assert getattr(owner, name) is before


def test_an_equal_size_may_be_set_again() -> None:
    class Sized(bp.Linear):
        def __init__(self, n: int) -> None:
            self.in_features = n
            super().__init__(int(str(n)), 2)

    layer: Any = Sized(300)
    layer.in_features = int("300")
    for make, name, value in (
        (lambda: bp.LayerNorm(3), "normalized_shape", (3,)),
        (lambda: bp.Conv2d(1, 2, 3), "kernel_size", (3, 3)),
    ):  # fmt: skip
        owner = make()
        setattr(owner, name, value)
        assert getattr(owner, name) == value
    with pytest.raises(ValueError, match="in_features stays"):
        layer.in_features = 300.0


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (bp.Linear, "in_features"), (bp.Embedding, "num_embeddings"), (bp.LayerNorm, "normalized_shape"),
        (bp.RNN, "input_size"), (bp.MultiHeadAttention, "embed_dim"),
    ],
)  # fmt: skip
def test_a_layer_without_its_start_says_so(kind: Any, name: str) -> None:
    class Bare(kind):
        def __init__(self) -> None:
            self.mine = 1

    layer: Any = Bare()
    x = np.zeros((1, 2), int) if kind is bp.Embedding else X.reshape(2, 3, 4)
    with pytest.raises(AttributeError, match=rf"no {name} \(super\(\).__init__ ran\?\)"):
        layer.forward(x)
    if kind is not bp.MultiHeadAttention:
        with pytest.raises(AttributeError, match=r"no weight \(super\(\).__init__ ran\?\)"):
            layer.weight.sum()


def test_a_dilation_that_is_set_later_acts_and_is_looked_at() -> None:
    x = RNG.normal(size=(2, 2, 8, 8))
    layer, wide = bp.Conv2d(2, 4, 3, rng=0), bp.Conv2d(2, 4, 3, dilation=2, rng=0)
    assert wide.dilation == (2, 2) and "dilation=(2, 2)" in repr(wide) and "groups=1" in repr(wide)
    layer.dilation = 2
    assert np.array_equal(layer(x), wide(x))
    layer.dilation = 0
    with pytest.raises(ValueError, match="Conv2d: dilation must be"):
        layer(x)


def test_a_nonlinearity_that_changes_after_forward_does_not_touch_the_gradient() -> None:
    x, grad = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 4))
    layer, other = bp.RNN(3, 4, rng=0), bp.RNN(3, 4, rng=0)
    for each in (layer, other):
        each.forward(x)
    layer.nonlinearity = "relu"
    assert np.array_equal(layer.backward(grad), other.backward(grad))


def test_betas_are_kept_as_they_were_looked_at() -> None:
    given = [0.9, 0.999]
    adam = bp.Adam([bp.Parameter(np.ones(2))], betas=given)  # type: ignore[arg-type]
    adam.betas = more = [0.8, 0.99]
    given[0] = more[0] = 2.0
    assert adam.betas == (0.8, 0.99)


def test_a_loader_looks_at_a_batch_size_that_is_set_later() -> None:
    loader = bp.DataLoader(X, Y, batch_size=2)
    loader.batch_size = 4
    assert [len(x) for x, _ in loader] == [4, 2]
    for bad in (0, 2.5):
        with pytest.raises(ValueError, match="DataLoader: batch_size must be a whole number"):
            loader.batch_size = bad
    assert len(loader) == 2  # still the last that could be


def test_a_networks_loss_is_not_set_by_its_method() -> None:
    net = made()
    with pytest.raises(AttributeError, match="Network: loss is a method; set criterion"):
        net.loss = bp.MSELoss()  # type: ignore[method-assign]
    net.criterion = bp.MSELoss()
    assert net.loss(X, np.ones((6, 3))) == bp.MSELoss()(net(X), np.ones((6, 3)))


def everything(net: bp.Network, optimizer: bp.Optimizer, schedule: bp.Schedule) -> list[Any]:
    arrays = [*net.state_dict().values(), *optimizer.state_dict().values()]
    return [json.dumps([array.tolist() for array in arrays]), optimizer.base_lr, schedule.t]


BAD_STATES: dict[str, tuple[Any, str]] = {
    "optimizer.rates": ([np.nan, np.inf], "expected 0 <= lr < inf, got nan"),
    "optimizer.rates ": ([0.1, -1.0], "expected 0 <= lr < inf, got -1.0"),
    "optimizer.rates  ": ([-0.1, 0.1], "expected 0 <= lr < inf, got -0.1"),
    "optimizer.t": (-1, "Adam: t must be a whole number of at least 0, got -1"),
    "schedule": (-3, "checkpoint: schedule must be a whole number of at least 0, got -3"),
    "history": ("null", "history is unreadable"),
    "history ": ('{"a": 1}', "history is unreadable"),
    "history  ": ("[1]", "history is unreadable"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_a_file_with_a_bad_number_changes_nothing(name: str, tmp_path: Path) -> None:
    bad, message = BAD_STATES[name]
    name = name.strip()

    def start(seed: int) -> tuple[bp.Network, bp.Adam, bp.StepLR]:
        net = made(seed=seed)
        adam = bp.Adam(net.parameters())
        return net, adam, bp.StepLR(adam, 2)

    net, adam, schedule = start(0)
    bp.fit(net, adam, bp.DataLoader(X, Y, rng=0), 3, schedule=schedule, verbose=False)
    bp.save(net, tmp_path / "a.npz", optimizer=adam, schedule=schedule)
    stored = dict(np.load(tmp_path / "a.npz"))
    stored[name] = np.array(bad).astype(stored[name].dtype if name != "history" else str)
    np.savez(tmp_path / "b.npz", **stored)
    ours = start(1)
    before = everything(*ours)
    with pytest.raises(ValueError, match=message):
        bp.load(ours[0], tmp_path / "b.npz", optimizer=ours[1], schedule=ours[2])
    assert everything(*ours) == before
    if name.startswith("optimizer."):
        state = {
            key.removeprefix("optimizer."): stored[key] for key in stored if key.startswith("optimizer.")
        }
        with pytest.raises(ValueError, match=message):
            ours[1].load_state_dict(state)
        assert everything(*ours) == before
    bp.load(ours[0], tmp_path / "a.npz", optimizer=ours[1], schedule=ours[2])
    assert everything(*ours) == everything(net, adam, schedule)


def test_a_checkpoint_takes_the_optimizer_of_its_network(tmp_path: Path) -> None:
    net, other = made(), bp.Adam(made().parameters())
    for use in (bp.save, bp.load):
        with pytest.raises(ValueError, match="checkpoint: the optimizer has no parameter of net"):
            use(net, tmp_path / "a.npz", optimizer=other)
    assert not list(tmp_path.iterdir())


def test_a_buffer_that_is_a_numpy_scalar_is_refused_at_save(tmp_path: Path) -> None:
    layer = bp.Linear(2, 2)
    vars(layer)["buffers"] = {"scale": np.float64(2.0)}
    with pytest.raises(TypeError, match="scale is no array of numbers"):
        bp.save(layer, tmp_path / "a.npz")


def test_weights_of_classes_that_are_set_later_act_in_fit_too() -> None:
    rows = []
    for weight in ([1, 2, 3], np.array([1.0, 2.0, 3.0])):
        net = made()
        assert isinstance(net.criterion, bp.CrossEntropyLoss)
        net.criterion.weight = weight
        rows += bp.fit(net, bp.SGD(net.parameters()), bp.DataLoader(X, Y, rng=0), 1, verbose=False)
    assert rows[0] == rows[1]


class Forgot(bp.Tanh):
    def backward(self, grad_output: Any) -> np.ndarray:
        super().backward(grad_output)
        return None  # type: ignore[return-value]


class Two(bp.Tanh):
    def backward(self, grad_output: Any) -> np.ndarray:
        return super().backward(grad_output), 1.0  # type: ignore[return-value]


class Quiet(bp.Tanh):
    def forward(self, x: Any) -> np.ndarray:
        super().forward(x)
        return None  # type: ignore[return-value]


def test_gradcheck_says_what_is_no_layer_and_no_gradient() -> None:
    for kind, what in ((Forgot, "NoneType"), (Two, "tuple")):
        with pytest.raises(TypeError, match=rf"{kind.__name__}\.backward gives no array, but a {what}"):
            bp.gradcheck(kind(), X)
    for odd in (bp.Tanh, np.tanh):
        with pytest.raises(TypeError, match="expected a layer with a backward, got"):
            bp.gradcheck(odd, X)


def test_a_network_names_the_layer_that_gave_no_array() -> None:
    with pytest.raises(TypeError, match=r"Network: Quiet\(\) gave no array, but a NoneType"):
        bp.Network(Quiet()).forward(X)


def test_a_layer_may_give_a_numpy_scalar() -> None:
    class Sum(bp.Tanh):
        def forward(self, x: Any) -> Any:
            return super().forward(x).sum()

    assert bp.Network(bp.Linear(4, 3), Sum()).forward(X).shape == ()


def test_a_loss_that_is_set_later_is_one() -> None:
    net = made()
    for odd in (bp.MSELoss, "mse"):
        with pytest.raises(TypeError, match=r"Network: loss is .*, not a Loss"):
            net.criterion = odd
    assert isinstance(net.criterion, bp.CrossEntropyLoss)


def test_primitive_says_how_it_is_written() -> None:
    @bp.primitive
    def bare(x: Any) -> Any:
        return x

    with pytest.raises(TypeError, match=r"primitive: write @primitive\(rule, …\)"):
        bare(X)
    with pytest.raises(TypeError, match=r"primitive: write @primitive\(rule, …\)"):
        bp.primitive()(np.hypot)
    for jvps in (np.cos, (np.cos,), ()):
        with pytest.raises(ValueError, match="primitive: expected one of jvps for each of vjps, got"):
            bp.primitive(np.sin, np.sin, jvps=jvps)(np.hypot)


def test_an_optimizer_without_its_start_says_so() -> None:
    class Bare(bp.SGD):
        def __init__(self) -> None:
            self.rate = 1.0

    with pytest.raises(AttributeError, match=r"SGD has no learning_rate$"):
        print(bp.SGD(made().parameters()).learning_rate)
    with pytest.raises(AttributeError, match=r"Bare has no _data \(super\(\).__init__ ran\?\)"):
        Bare().step()


def test_a_history_is_one_of_fits_and_a_state_has_names(tmp_path: Path) -> None:
    net = made()
    optimizer = bp.SGD(net.parameters())
    for rows in ([{"loss": 1}], [3], ["epoch"]):
        with pytest.raises(ValueError, match="fit: expected history as fit returns it"):
            bp.fit(net, optimizer, bp.DataLoader(X, Y), 1, history=rows, verbose=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fit: no batches in validation"):
        bp.fit(net, optimizer, bp.DataLoader(X, Y), 1, validation=[], verbose=False)
    for owner in (net, optimizer):
        for odd in ("x.npz", [1]):
            with pytest.raises(ValueError, match="load_state_dict: state_dict must be of type Mapping"):
                owner.load_state_dict(odd)  # type: ignore[arg-type]
    for use in (bp.save, bp.load):
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing$"):
            use(net, tmp_path / "missing" / "a.npz")


def test_an_error_does_not_print_a_whole_array() -> None:
    x = RNG.normal(size=(2, 30, 4))
    with pytest.raises(ValueError, match="lengths") as caught:
        bp.MultiHeadAttention(4, 2)(x, x, x)
    assert len(str(caught.value)) < 500


class Forgetful(bp.Linear):
    """A backward without a return."""

    def backward(self, grad_output: Any) -> Any:
        super().backward(grad_output)


def notes(
    act: Callable, *given: Any, kind: type[Exception] = ValueError, said: str = "expected"
) -> list[str]:
    with pytest.raises(kind, match=said) as caught:
        act(*given)
    return getattr(caught.value, "__notes__", [])


def test_an_error_of_a_layer_tells_which_layer_it_was() -> None:
    wide = bp.Network(bp.Linear(4, 5), bp.ReLU(), bp.Linear(4, 3))
    assert notes(wide, X) == ["in layers[2] of the Network"]
    assert notes(bp.Network(bp.Tanh(), bp.Residual(bp.Tanh(), bp.Linear(5, 4))), X) == [
        "in layers[1] of the Residual", "in layers[1] of the Network",
    ]  # fmt: skip
    assert notes(bp.Network(bp.Tanh(), bp.Embedding(3, 2)), X, kind=TypeError) == [
        "in layers[1] of the Network"
    ]
    steps = bp.Network(bp.Linear(4, 4), bp.GRU(4, 2))
    assert notes(steps, X[None], [9]) == ["in layers[1] of the Network"]
    assert wide.layers[0](X).shape == (6, 5)  # what is right gets no note, and works


def test_an_error_on_the_way_back_tells_it_too() -> None:
    net = made()
    net(X)
    for back in (net.backward, net.accumulate):
        assert notes(back, np.ones((6, 2))) == ["in layers[2] of the Network"]
    short = bp.Network(made(), Forgetful(3, 3))
    short(X)
    said = "the backward of the layer after it gave None"
    for back in (short.backward, short.accumulate):
        assert notes(back, np.ones((6, 3)), kind=TypeError, said=said) == ["in layers[0] of the Network"]
    first = bp.Network(Forgetful(4, 3))  # nobody needs what it gives
    first(X)
    first.accumulate(np.ones((6, 3)))
    assert first.parameters()[1].grad.tolist() == [6.0] * 3


def test_accumulate_does_not_ask_for_the_gradient_of_the_input() -> None:
    class Asked(bp.Linear):
        def backward(self, grad_output: Any) -> Any:
            raise LookupError("somebody wants dL/dx")

    first, second = bp.Network(Asked(4, 3)), bp.Network(bp.Tanh(), Asked(4, 3))
    for net in (first, second):
        net(X)
    first.accumulate(np.ones((6, 3)))
    assert first.parameters()[1].grad.tolist() == [6.0] * 3
    for back in (first.backward, second.accumulate):
        with pytest.raises(LookupError, match="somebody wants dL/dx"):
            back(np.ones((6, 3)))


SWITCHES: dict[str, Callable[[dict], object]] = {
    "Linear bias": lambda on: bp.Linear(2, 2, **on),
    "Conv2d bias": lambda on: bp.Conv2d(2, 2, 3, **on),
    "ConvTranspose2d bias": lambda on: bp.ConvTranspose2d(2, 2, 3, **on),
    "BatchNorm1d affine bias track_running_stats": lambda on: bp.BatchNorm1d(2, **on),
    "LayerNorm elementwise_affine bias": lambda on: bp.LayerNorm(2, **on),
    "RMSNorm elementwise_affine": lambda on: bp.RMSNorm(2, **on),
    "GRU bias": lambda on: bp.GRU(2, 2, **on),
    "MultiHeadAttention causal": lambda on: bp.MultiHeadAttention(2, 1, **on),
    "EarlyStopping restore_best": lambda on: bp.EarlyStopping(made(), **on),
    "DataLoader shuffle drop_last": lambda on: bp.DataLoader(X, Y, **on),
}


@pytest.mark.parametrize("owner", SWITCHES)
def test_a_switch_is_true_or_false_and_no_text(owner: str) -> None:
    kind, *names = owner.split()
    for name in names:
        for odd in ("False", "", None, 2, -1, 0.5, [], [1], np.ones(2), np.random.default_rng(0)):
            with pytest.raises(ValueError, match=f"{kind}: expected {name} to be True or False, got "):
                SWITCHES[owner]({name: odd})
        for usual in (True, False, np.True_, np.False_, 0, 1):
            SWITCHES[owner]({name: usual})


def test_fit_is_talkative_or_not() -> None:
    net = made()
    with pytest.raises(ValueError, match="fit: expected verbose to be True or False, got 'no'"):
        bp.fit(net, bp.SGD(net.parameters()), bp.DataLoader(X, Y), 1, verbose="no")  # type: ignore[arg-type]


def test_a_parameter_of_another_shape_takes_no_place() -> None:
    layer = bp.Linear(4, 3)
    for name, shape in (("weight", (3, 4)), ("weight", (4,)), ("bias", (1,)), ("bias", ())):
        before = getattr(layer, name)
        with pytest.raises(ValueError, match=f"Linear: {name} stays .* of its shape .*, got Parameter"):
            setattr(layer, name, bp.Parameter(np.ones(shape)))
        assert getattr(layer, name) is before


def test_a_pair_that_is_none_and_a_limit_that_is_none() -> None:
    for odd in (np.array(0.9), 0.9, "ab", (0.9,), np.ones(3)):
        with pytest.raises(ValueError, match="Adam: expected two betas, got"):
            bp.Adam([bp.Parameter([1.0])], betas=odd)  # type: ignore[arg-type]
    parameter = bp.Parameter([3.0, 4.0])
    parameter.grad = [3.0, 4.0]
    assert bp.clip_grad_norm_([parameter], np.inf) == 5.0 and parameter.grad.tolist() == [3.0, 4.0]
    for limit in (np.ones(2), "inf", None):
        with pytest.raises(ValueError, match="expected 0 < max_norm <= inf, got"):
            bp.clip_grad_norm_([parameter], limit)  # type: ignore[arg-type]


def test_diagnose_wants_rows() -> None:
    for odd in (1.0, None, "a", np.array(3)):
        with pytest.raises(ValueError, match="diagnose: expected rows of x, got "):
            bp.diagnose(made(), odd, Y)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="diagnose: expected rows of y, got "):
            bp.diagnose(made(), X, odd)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: bp.gradient_descent(np.sin, 1.0, 0.1, 2.5),  # type: ignore[arg-type]
            "steps must be a whole number of at least 0, got 2.5",
        ),
        (lambda: bp.gradient_descent(np.sin, 1.0, None, 2), "expected -inf < lr < inf, got None"),  # type: ignore[arg-type]
        (lambda: bp.gradient_descent(3, 1.0, 0.1, 2), "gradient must be of type Callable, got 3"),  # type: ignore[arg-type]
        (lambda: bp.numerical_gradient(np.sin, 1.0, h=0), "expected 0 < h < inf, got 0"),
        (lambda: bp.numerical_gradient("f", 1.0), "f must be of type Callable, got 'f'"),  # type: ignore[arg-type]
        (lambda: bp.complex_step_gradient(np.sin, 1.0, h=1j), "expected 0 < h < inf, got 1j"),  # type: ignore[arg-type]
        (lambda: bp.gradcheck(bp.Tanh(), X, rng=1.5), "gradcheck: rng must be a whole number"),  # type: ignore[arg-type]
        (lambda: bp.gradcheck(bp.Tanh(), X, derivative=3), "derivative must be of type Callable"),  # type: ignore[arg-type]
        (lambda: made().train("eval"), "Network: expected mode to be True or False, got 'eval'"),  # type: ignore[arg-type]
        (lambda: bp.Parameter([1.0], requires_grad="no"), "expected requires_grad to be True or False"),  # type: ignore[arg-type]
        (lambda: setattr(bp.Parameter([1.0]), "requires_grad", None), "expected requires_grad to be"),
        (lambda: bp.Conv2d(1, 1, 3, padding=np.ones(2)), "Conv2d: padding must be one or two whole numbers"),  # type: ignore[arg-type]
        (lambda: setattr(bp.Dropout(), "p", 1.0), "Dropout: expected 0 <= p < 1, got 1.0"),
        (
            lambda: setattr(bp.GELU(), "approximate", "erf"),
            "GELU: approximate is 'none' or 'tanh', got 'erf'",
        ),
        (
            lambda: setattr(bp.BatchNorm1d(2), "momentum", 2),
            "BatchNorm1d: expected 0 <= momentum <= 1, got 2",
        ),
        (lambda: setattr(bp.LayerNorm(2), "eps", -1), "LayerNorm: expected 0 <= eps < inf, got -1"),
        (
            lambda: setattr(bp.DataLoader(X, Y), "shuffle", "no"),
            "expected shuffle to be True or False, got 'no'",
        ),
        (lambda: setattr(bp.DataLoader(X, Y), "drop_last", None), "expected drop_last to be True or False"),
        (
            lambda: setattr(bp.StepLR(bp.SGD(made().parameters()), 2), "gamma", -1),
            "StepLR: expected 0 <= gamma",
        ),
        (lambda: bp.EarlyStopping(made(), monitor=["loss"]), "monitor must be of type str, got ['loss']"),  # type: ignore[arg-type]
        (lambda: setattr(bp.EarlyStopping(made()), "patience", 0), "patience must be a whole number"),
        (
            lambda: setattr(bp.StepLR(bp.SGD(made().parameters()), 2), "optimizer", None),
            "must be of type Optim",
        ),
        (lambda: setattr(bp.TapeLayer(np.tanh), "function", 3), "function must be of type Callable, got 3"),
        (lambda: setattr(bp.DataLoader(X, Y), "rng", 0), "DataLoader: rng must be of type Generator, got 0"),
        (lambda: setattr(bp.MultiHeadAttention(4, 2), "causal", "no"), "expected causal to be True or False"),
        (lambda: bp.checkpoint(None, bp.Tensor(X)), "checkpoint: f must be of type Callable, got None"),  # type: ignore[arg-type]
        (lambda: bp.xavier_normal_(made()[0].weight, rng=-1), "initialiser: rng must be a whole number"),  # type: ignore[attr-defined]
    ],
)
def test_a_setting_is_named_by_whatever_refuses_it(call: Callable, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_what_gives_no_number_is_refused_and_lists_are_numbers() -> None:
    for instrument in (bp.numerical_gradient, bp.complex_step_gradient):
        with pytest.raises(TypeError, match="expected numbers, got an array of object"):
            instrument(lambda x: None, [1.0])
        found = instrument(lambda x: [x[0] ** 2, 3 * x[1]], [1.0, 2.0], [1.0, 10.0])
        assert np.allclose(found, [2.0, 30.0], atol=1e-6)


@pytest.mark.parametrize("pair", [(1, 0), (True, False), (0, True)])
@pytest.mark.parametrize("name", ["maximize", "nesterov"])
def test_a_switch_that_groups_set_as_a_number_is_one_for_all(name: str, pair: tuple) -> None:
    groups = [{"params": [p], name: on} for p, on in zip(made()[0].parameters(), pair, strict=True)]
    with pytest.raises(ValueError, match=f"SGD: {name} is a switch for all groups, got"):
        bp.SGD(groups, momentum=0.9)


def test_betas_may_be_an_array() -> None:
    parameter = bp.Parameter(np.ones(2))
    adam = bp.Adam([parameter], betas=np.array([0.9, 0.99]))  # type: ignore[arg-type]
    assert "betas=(0.9, 0.99)" in repr(adam)
    adam.betas = np.array([0.5, 0.6])
    assert adam.betas == (0.5, 0.6)


def test_a_number_of_numpys_keeps_a_float32_network_in_float32() -> None:
    x = X.astype("f4")
    for layer in (bp.LeakyReLU(), bp.ELU()):
        name = "alpha" if isinstance(layer, bp.ELU) else "negative_slope"
        setattr(layer, name, np.float64(0.25))
        assert layer(x).dtype == layer.slope(x).dtype == np.float32
        assert type(getattr(layer, name)) is float


def test_the_shape_of_a_tensor_is_not_set() -> None:
    x = bp.Tensor(X)
    with pytest.raises(AttributeError, match="shape"):
        x.shape = (4, 6)
    assert x.shape == x.reshape(6, 4).shape == (6, 4)
    assert "carries no gradient" in (bp.Tensor.item.__doc__ or "")


@pytest.mark.parametrize(
    "history",
    [[1.0, 0.5], [("epoch", 1)], {"loss": [1.0]}, "lost", 3, [{1: 0.5}], [{"a": object()}], [{"a": {1}}]],
)
def test_no_checkpoint_is_written_that_cannot_be_read(history: Any, tmp_path: Path) -> None:
    said = r"save: (history|a name in history) (must be of type (list|dict|str), got|is no plain text)"
    with pytest.raises(ValueError, match=said):
        bp.save(made(), tmp_path / "net.npz", history=history)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("row", [{"epoch": "3"}, {"epoch": None}, {"loss": 1.0}, 1.0, {"epoch": True}])
def test_fit_goes_on_from_no_epoch_that_is_no_number(row: Any) -> None:
    net = made()
    with pytest.raises(ValueError, match="fit: expected history as fit returns it, got"):
        bp.fit(net, bp.SGD(net.parameters()), bp.DataLoader(X, Y), 1, history=[row], verbose=False)


def test_a_batch_in_which_all_weighs_nothing_says_so() -> None:
    loss = bp.CrossEntropyLoss(weight=[0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="CrossEntropyLoss: the batch is empty, or all weighs 0"):
        loss(np.ones((2, 3)), np.zeros(2, int))
    loss.reduction = "sum"  # of nothing: 0, as in PyTorch
    assert loss(np.ones((2, 3)), np.zeros(2, int)) == 0 and not loss.backward().any()
    net = bp.Network(bp.Linear(4, 3), loss=bp.CrossEntropyLoss("sum", ignore_index=0))
    (row,) = bp.fit(net, bp.SGD(net.parameters()), [(X, Y * 0), (X, Y)], 1, verbose=False)
    assert row["loss"] > 0


@pytest.mark.parametrize(
    ("kind", "x", "name"),
    [
        (bp.Network, [[1.0]], "layers"),
        (bp.Residual, [[1.0]], "layers"),
        (bp.Conv2d, np.ones((1, 1, 3, 3)), "stride"),
        (bp.MaxPool2d, np.ones((1, 1, 3, 3)), "kernel_size"),
        (bp.LeakyReLU, [[1.0]], "negative_slope"),
        (bp.ELU, [[1.0]], "alpha"),
        (bp.GELU, [[1.0]], "approximate"),
        (bp.Dropout, [[1.0]], "_rng"),
        (bp.TapeLayer, [[1.0]], "weights"),
        (bp.EarlyStopping, [{"validation_loss": 1.0}], "monitor"),
        (bp.CrossEntropyLoss, ([[1.0, 2.0]], [0]), "weight"),
        (bp.Schedule, None, "optimizer"),
        (bp.StepLR, None, "optimizer"),
    ],
)
def test_who_forgets_the_constructor_of_the_base_is_told(kind: type, x: Any, name: str) -> None:
    forgetful = type("Mine", (kind,), {"__init__": lambda self: None})
    with pytest.raises(AttributeError, match=rf"no {name} \(super\(\).__init__ ran\?\)"):
        forgetful().step() if x is None else forgetful()(*x if isinstance(x, tuple) else (x,))


BOOLS: dict[str, Callable[[], Any]] = {
    "eps": lambda: bp.LayerNorm(3, False),  # meant for bias
    "momentum": lambda: bp.BatchNorm1d(3, momentum=True),
    "axis": lambda: bp.Softmax(True),
    "delta": lambda: bp.HuberLoss("sum", True),
    "weight_decay": lambda: bp.Adam([bp.Parameter([1.0])], weight_decay=True),
    "p": lambda: bp.Dropout(False),
}


@pytest.mark.parametrize("name", BOOLS)
def test_a_switch_is_no_number(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*, got (True|False)"):
        BOOLS[name]()


def test_a_negative_zero_is_a_zero() -> None:
    assert not bp.Embedding(3, 2, std=-0.0).weight.data.any()
    for start in bp.xavier_normal_, bp.xavier_uniform_:
        assert not start(bp.Parameter(np.ones((2, 2))), gain=-0.0).data.any()


@pytest.mark.parametrize(
    "go", [lambda f: bp.jvp(f, [1.0], [1.0]), lambda f: bp.hvp(f, 1.0, 1.0)], ids=("jvp", "hvp")
)
def test_what_is_no_function_is_named(go: Callable) -> None:
    with pytest.raises(ValueError, match=r"(jvp|hvp): f must be of type Callable, got 3"):
        go(3)


def test_directions_may_come_one_by_one() -> None:
    assert bp.jvp(lambda x, y: x * y, [2.0, 3.0], (v for v in (1.0, 0.0))) == (6.0, 3.0)  # type: ignore[arg-type]
