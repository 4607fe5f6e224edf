"""What users of the module rely on: shapes, precision, errors, and nothing changed behind their back."""

from __future__ import annotations

import ast
import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backprop_core as bp

SIZE = st.integers(1, 6)
ACTIVATIONS = [bp.Sigmoid, bp.Tanh, bp.ReLU, bp.LeakyReLU, bp.ELU, bp.Softplus, bp.SiLU, bp.GELU]
LAYERS = [*ACTIVATIONS, lambda: bp.GELU("tanh"), bp.Softmax, bp.Flatten, lambda: bp.Linear(4, 4, rng=0)]
LOSSES = [bp.MSELoss, bp.L1Loss, bp.HuberLoss, bp.BCEWithLogitsLoss, bp.CrossEntropyLoss]


def batch(dtype: type = float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 4)).astype(dtype)


def classifier(**options: Any) -> bp.Network:
    return bp.Network(bp.Linear(4, 5, rng=0), bp.ReLU(), bp.Linear(5, 3, rng=1), **options)


def test_the_examples_of_the_docstrings_run_on_the_whole_module() -> None:
    failed, tried = doctest.testmod(bp)
    assert failed == 0 and tried == Path(bp.__file__).read_text(encoding="utf-8").count(">>> ") > 0


# What takes any layer with a backward; what NumPy calls; what goes through any function, and back.
ANYTHING = ["_claimed", "_output", "_by_trial", "_sums", "__array_ufunc__", "__array_function__"]
ANYTHING += ["_replay", "_without_tape"]


def test_only_rules_of_the_tape_say_no_types() -> None:
    """mypy lets any function of the module go without; it is for those that take whatever NumPy takes."""
    tree, engine = ast.parse(Path(bp.__file__).read_text(encoding="utf-8")), False
    found: dict[bool, list[str]] = {True: [], False: []}
    for node in tree.body:
        engine |= ast.unparse(node).startswith("_SLOPES: ")  # the first of the tables
        engine &= ast.unparse(node)[:9] != "_FURTHER:"  # the last
        names = [f.name for f in ast.walk(node) if isinstance(f, ast.FunctionDef) and f.returns is None]
        found[engine] += names
    assert found[False] == ANYTHING, f"without a type: {sorted({*found[False]} ^ {*ANYTHING})}"
    assert "_max_rule" in found[True]


@settings(deadline=None)
@given(count=SIZE, inputs=SIZE, outputs=SIZE, seed=st.integers(0, 99))
def test_linear_for_any_sizes(count: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = bp.Linear(inputs, outputs, rng=rng)
    x = rng.normal(size=(count, inputs))
    assert layer(x).shape == (count, outputs)
    assert bp.gradcheck(layer, x, rng=rng, derivative=bp.complex_step_gradient) < 1e-12


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_layer_answers_in_the_precision_of_the_question(make: Any, dtype: type) -> None:
    layer = make()
    y = layer.forward(batch(dtype))
    grad = layer.backward(y)
    assert y.dtype == grad.dtype == dtype


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_is_a_float_and_its_gradient_in_the_precision_of_the_prediction(
    make: Any, dtype: type
) -> None:
    loss = make()
    assert type(loss(batch(dtype), bp.Softmax()(batch(seed=1)))) is float
    assert loss.backward().dtype == dtype


@pytest.mark.parametrize("make", LAYERS)
def test_backward_changes_neither_input_nor_upstream_gradient(make: Any) -> None:
    layer, x = make(), batch()
    grad_output = np.array(layer.forward(x))
    kept = x.copy(), grad_output.copy()
    layer.backward(grad_output)
    assert np.array_equal(x, kept[0]) and np.array_equal(grad_output, kept[1])


def test_a_residual_block_does_not_write_into_what_a_layer_hands_on() -> None:
    class Same(bp.Layer):
        def forward(self, x: Any) -> np.ndarray:
            return np.asarray(x)

        def backward(self, grad_output: Any) -> np.ndarray:
            return np.asarray(grad_output)

    block, x, g = bp.Residual(Same()), batch(), batch(seed=1)
    kept = x.copy(), g.copy()
    assert np.array_equal(block.forward(x), 2 * kept[0]) and np.array_equal(block.backward(g), 2 * kept[1])
    assert np.array_equal(x, kept[0]) and np.array_equal(g, kept[1])


@pytest.mark.parametrize("size", [1, 3])  # NumPy would stretch the one, and refuse the other in its own words
def test_a_block_that_changes_the_shape_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"Residual: .* keep the shape \(5, 4\), got \(5, {size}\)"):
        bp.Residual(bp.Linear(4, size, rng=0)).forward(np.ones((5, 4)))


@pytest.mark.parametrize("make", LAYERS)
def test_integers_and_lists_are_taken_as_numbers(make: Any) -> None:
    layer = make()
    assert np.array_equal(layer.forward([[1, 2, 3, 4]]), make().forward(np.array([[1.0, 2.0, 3.0, 4.0]])))


@pytest.mark.parametrize("make", LAYERS)
def test_objects_are_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="expected numbers, got an array of object"):
        make().forward(np.array([[None] * 4], dtype=object))


@pytest.mark.parametrize("make", [*LAYERS, classifier])
def test_backward_before_forward_is_a_clear_error(make: Any) -> None:
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        make().backward(batch())


@pytest.mark.parametrize("make", LOSSES)
def test_a_loss_before_forward_is_a_clear_error(make: Any) -> None:
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        make().backward()


def test_gradients_accumulate_until_they_are_cleared() -> None:
    net, x, labels = classifier(loss=bp.CrossEntropyLoss()), batch(), [0, 2, 1]
    net.loss(x, labels)
    net.backward()
    once = [parameter.grad.copy() for parameter in net.parameters()]
    net.backward()
    assert all(np.allclose(p.grad, 2 * g) for p, g in zip(net.parameters(), once, strict=True))
    net.zero_grad()
    assert not any(parameter.grad.any() for parameter in net.parameters())


def test_the_gradient_of_a_batch_is_the_sum_over_its_parts() -> None:
    net, x, labels = classifier(loss=bp.CrossEntropyLoss("sum")), batch(), np.array([0, 2, 1])
    net.loss(x, labels)
    whole = net.backward()
    total = [parameter.grad.copy() for parameter in net.parameters()]
    net.zero_grad()
    parts = []
    for part in (slice(0, 1), slice(1, 3)):
        net.loss(x[part], labels[part])
        parts.append(net.backward())
    assert np.allclose(np.concatenate(parts), whole)
    assert all(np.allclose(p.grad, g) for p, g in zip(net.parameters(), total, strict=True))


def test_the_optimizer_changes_parameters_in_place_and_not_their_gradients() -> None:
    parameter = bp.Parameter([1.0, 2.0])
    optimizer = bp.SGD([parameter, parameter], lr=0.1)
    data = parameter.data
    parameter.grad[...] = [10.0, 20.0]
    optimizer.step()
    assert parameter.data is data and data.tolist() == [0.0, 0.0]
    assert parameter.grad.tolist() == [10.0, 20.0]


def test_the_optimizer_notices_replaced_data() -> None:
    net = classifier()
    optimizer = bp.SGD(net.parameters(), lr=0.1)
    net.parameters()[2].data = np.zeros((5, 3))
    with pytest.raises(RuntimeError, match="the data of parameter 2 was replaced"):
        optimizer.step()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_new_gradient_is_written_where_the_optimizer_looks(dtype: str) -> None:
    net = classifier().to(dtype)
    optimizer = bp.SGD(net.parameters(), lr=0.5)
    p = net.parameters()[2]
    p.data[...], given = 0.0, np.full(p.shape, 2.0)
    p.grad = given
    given[...] = 99.0  # a copy was taken
    optimizer.step()
    assert np.all(p.data == -1)
    assert p.grad.dtype == p.data.dtype == dtype and np.all(p.grad == 2)
    p.grad = [[1.0] * 3] * 5
    p.grad += 1
    optimizer.step()
    assert np.all(p.data == -2)
    optimizer.zero_grad()
    with pytest.raises(ValueError, match="expected grad of shape"):
        p.grad = np.ones(2)
    optimizer.step()
    assert np.all(p.data == -2)


def test_single_precision_stays_single_through_training() -> None:
    net = classifier(loss=bp.CrossEntropyLoss())
    for parameter in net.parameters():
        parameter.data, parameter.grad = parameter.data.astype(np.float32), parameter.grad.astype(np.float32)
    optimizer = bp.SGD(net.parameters(), lr=0.1)
    net.loss(batch(np.float32), [0, 1, 2])
    assert net.backward().dtype == np.float32
    optimizer.step()
    assert {array.dtype for p in net.parameters() for array in (p.data, p.grad)} == {np.dtype(np.float32)}


OPTIMIZERS = [
    bp.SGD,
    lambda p, lr: bp.SGD(p, lr, momentum=0.9),
    lambda p, lr: bp.Adagrad(p, 10 * lr),
    bp.RMSprop,
    bp.Adam,
    bp.AdamW,
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_an_optimizer_changes_no_gradient_and_finds_the_lowest_point(make: Any) -> None:
    parameter = bp.Parameter(np.array([3.0, -2.0]))
    optimizer = make([parameter], lr=0.05)
    for _ in range(1000):
        parameter.grad[...] = 2 * (parameter.data - [1.0, 2.0])
        kept = parameter.grad.copy()
        optimizer.step()
        assert np.array_equal(parameter.grad, kept)
    assert np.allclose(parameter.data, [1.0, 2.0], atol=0.1)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_optimizers_keep_single_precision(make: Any) -> None:
    parameter = bp.Parameter(np.ones(3, np.float32))
    optimizer = make([parameter], lr=0.1)
    parameter.grad[...] = 1
    optimizer.step()
    kept = [a for a in optimizer.state.values() if a.ndim]
    assert bool(kept) is (make is not bp.SGD)
    assert {parameter.data.dtype, *(a.dtype for a in kept)} == {np.dtype(np.float32)}


def trained(path: Path | None = None) -> tuple[bp.Network, bp.Adam, bp.DataLoader]:
    rng = np.random.default_rng(0)
    loader = bp.DataLoader(rng.normal(size=(20, 4)), rng.integers(3, size=20), 8, rng=1)
    net = classifier(loss=bp.CrossEntropyLoss())
    optimizer = bp.Adam(net.parameters())
    bp.fit(net, optimizer, loader, epochs=2, verbose=False)
    if path:
        bp.save(net, path, optimizer=optimizer, rng=loader.rng)
    return net, optimizer, loader


def test_a_resumed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    net, optimizer, loader = trained(tmp_path / "net.npz")
    bp.fit(net, optimizer, loader, epochs=2, verbose=False)
    other, again, reloader = trained()
    for parameter in other.parameters():
        parameter.data[...] = 0
    reloader.rng.random(7)
    bp.load(other, tmp_path / "net.npz", optimizer=again, rng=reloader.rng)
    bp.fit(other, again, reloader, epochs=2, verbose=False)
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    assert all(np.array_equal(a.data, b.data) for a, b in pairs)
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


@pytest.mark.parametrize("spoil", ["cut off", "not an archive", "another network", "a pickle"])
def test_a_file_that_does_not_fit_changes_nothing(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "net.npz"
    net, optimizer, _ = trained(path)
    if spoil == "cut off":
        path.write_bytes(path.read_bytes()[:300])
    elif spoil == "not an archive":
        path.write_text("hello", encoding="utf-8")
    elif spoil == "another network":
        bp.save(bp.Network(bp.Linear(4, 6, rng=0)), path)
    else:
        np.savez(path, **{"net.0.weight": np.array([{}], dtype=object)}, allow_pickle=True)
    before = [array.copy() for array in bp._named_arrays(net, optimizer).values()]
    with pytest.raises(ValueError, match=r"net\.npz: "):
        bp.load(net, path, optimizer=optimizer)
    after = bp._named_arrays(net, optimizer).values()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_fit_stops_for_a_callback_and_returns_the_history(capsys: pytest.CaptureFixture[str]) -> None:
    net, optimizer, loader = trained()
    history = bp.fit(
        net, optimizer, loader, 9, validation=loader, callbacks=[lambda history: len(history) == 3]
    )
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert set(history[0]) == {
        "epoch",
        "lr",
        "accuracy",
        "loss",
        "validation_loss",
        "validation_accuracy",
    }
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "epoch 1/9",
        "epoch 2/9",
        "epoch 3/9",
    ]


def test_ctrl_c_returns_the_history_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    def stop(history: list) -> None:
        if len(history) == 2:
            raise KeyboardInterrupt

    net, optimizer, loader = trained()
    assert len(bp.fit(net, optimizer, loader, 9, callbacks=[stop], verbose=False)) == 2
    assert capsys.readouterr().err == "interrupted after 2 epochs\n"


def test_a_lost_number_is_traced_to_its_layer() -> None:
    net, optimizer, loader = trained()
    dict(net.named_parameters())["2.weight"].data[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"in batch 0: layer 2, Linear\(5, 3\), is the first"):
        bp.fit(net, optimizer, loader, 1)


def test_the_report_names_what_is_wrong_with_a_layer() -> None:
    def advice(scale: float, activation: Any, depth: int = 8) -> list[str]:
        rng = np.random.default_rng(0)
        layers = [layer for _ in range(depth) for layer in (bp.Linear(20, 20, rng=rng), activation())]
        net = bp.Network(*layers, bp.Linear(20, 3, rng=rng), loss=bp.CrossEntropyLoss())
        for parameter in net.parameters():
            parameter.data *= scale
        report = bp.gradient_report(net, rng.normal(size=(30, 20)), rng.integers(3, size=30))
        return [row.advice.partition(":")[0] for row in report]

    assert advice(1.0, bp.Sigmoid)[0] == "vanishing"
    assert advice(12.0, bp.LeakyReLU)[0] == "exploding"
    assert advice(40.0, bp.Tanh)[1] == "saturated"
    assert advice(1.0, bp.Tanh, depth=2) == [""] * 5


def test_training_and_evaluation_reach_inner_layers() -> None:
    inner = classifier()
    net = bp.Network(inner, bp.Softmax())
    assert net.eval() is net
    assert not any(layer.training for layer in (net, inner, *inner, net[1]))
    assert net.train().training and inner[0].training


def test_layers_in_lists_and_dictionaries_are_found_and_shared_parameters_once() -> None:
    class Tree(bp.Layer):
        def __init__(self) -> None:
            first = bp.Linear(2, 2, rng=0)
            self.cells: list[Any] = [first, {"inner": bp.Linear(2, 1, rng=0)}]
            self.again = first.weight

    names = [name for name, _ in Tree().named_parameters()]
    assert names == ["cells.0.weight", "cells.0.bias", "cells.1.inner.weight", "cells.1.inner.bias"]
    tree = Tree()
    tree.eval()
    assert not tree.cells[1]["inner"].training
    held = [parameter for _, parameter in tree.named_parameters()]
    assert [id(parameter) for parameter in tree.parameters()] == [id(parameter) for parameter in held]


def test_a_forward_leaves_nothing_that_a_walk_over_the_layers_must_pass_through() -> None:
    net = classifier(loss=bp.CrossEntropyLoss())
    before = {name for name, _ in net._contents()}
    net.loss(batch(), [1, 0, 2])
    net.backward()
    left = {name for name, _ in net._contents()} - before
    assert not left


def test_relu_of_what_is_not_finite() -> None:
    x = np.array([-np.inf, -1.0, np.nan, 1.0, np.inf], np.float32)
    relu = bp.ReLU()
    y = relu(x)
    np.testing.assert_array_equal(y, np.array([0, 0, np.nan, 1, np.inf], np.float32))
    np.testing.assert_array_equal(relu.backward(np.ones_like(x)), np.array([0, 0, 0, 1, 1], np.float32))
    assert y.dtype == np.float32 and not np.signbit(y[:2]).any()


def test_what_linear_layers_share_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    grads = rng.normal(size=(2, 3, 5))
    for grad in grads:
        layer = bp.Linear(4, 5, rng=0)
        layer.forward(batch())
        layer.backward(grad)
        layer.bias.grad *= 7.0
        np.testing.assert_allclose(layer.bias.grad, 7 * grad.sum(axis=0), rtol=1e-14)


def test_a_network_names_its_parameters_and_prints_as_a_table() -> None:
    net = bp.Network(classifier(), bp.Softmax())
    assert [name for name, _ in net.named_parameters()] == [
        "0.0.weight",
        "0.0.bias",
        "0.2.weight",
        "0.2.bias",
    ]
    net(batch())
    assert repr(net[0]).splitlines()[1:] == [
        "0  Linear(4, 5)  (N, 5)          25",
        "1  ReLU()        (N, 5)           0",
        "2  Linear(5, 3)  (N, 3)          18",
    ]


@pytest.mark.parametrize("target", [np.array([1, 0, 2]), np.eye(3)[[1, 0, 2]], [1, 0, 2]])
def test_labels_and_one_hot_rows_mean_the_same(target: Any) -> None:
    logits = batch()[:, :3]
    loss = bp.CrossEntropyLoss()
    assert np.isclose(loss(logits, target), bp.CrossEntropyLoss()(logits, np.array([1, 0, 2])))


def test_a_forbidden_class_has_no_share_in_loss_and_gradient() -> None:
    loss = bp.CrossEntropyLoss()
    assert np.isclose(loss([[-np.inf, 0.0, 1.0]], [1]), np.log(1 + np.e))
    assert np.allclose(loss.backward(), bp.Softmax()([[-np.inf, 0.0, 1.0]]) - [[0, 1, 0]])


def test_the_output_of_dropout_in_evaluation_is_a_copy() -> None:
    x = np.ones((2, 3))
    bp.Dropout().eval()(x)[...] = 7.0
    assert (x == 1).all()


def test_changing_the_output_of_softmax_does_not_change_its_backward() -> None:
    layer, g = bp.Softmax(), batch(seed=1)
    layer(batch())
    expected = layer.backward(g)
    layer(batch())[...] = 0
    assert np.array_equal(layer.backward(g), expected)


def test_options_are_shown() -> None:
    things = [bp.ReLU(), bp.ELU(0.5), bp.GELU("tanh"), bp.Softmax(), bp.Linear(2, 3), bp.HuberLoss()]
    assert [repr(thing) for thing in things] == [
        "ReLU()",
        "ELU(alpha=0.5)",
        "GELU(approximate='tanh')",
        "Softmax(axis=-1)",
        "Linear(2, 3)",
        "HuberLoss(reduction='mean', delta=1.0)",
    ]


def test_logits_of_any_size_give_finite_losses_and_gradients() -> None:
    for loss, target in ((bp.CrossEntropyLoss(), [0, 1]), (bp.BCEWithLogitsLoss(), np.eye(2))):
        assert np.isfinite(loss([[1e4, -1e4], [1e4, -1e4]], target))
        assert np.isfinite(loss.backward()).all()


def linear() -> bp.Linear:
    layer = bp.Linear(64, 32, rng=0)
    layer(np.zeros((10, 64)))
    return layer


def stale() -> bp.Network:
    net = classifier(loss=bp.CrossEntropyLoss())
    net.loss(batch(), [0, 1, 2])
    net(batch(seed=1))
    return net


def unfolded() -> bp.Flatten:
    layer = bp.Flatten()
    layer(np.zeros((2, 3, 2)))
    return layer


# What a caller may do wrong, and what the module says to it.
MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "features": (
        lambda: linear()(np.zeros((10, 63))),
        ValueError,
        "Linear(64, 32): expected input of shape (N, 64), got (10, 63)",
    ),
    "upstream": (
        lambda: linear().backward(np.zeros((10, 31))),
        ValueError,
        "Linear(64, 32): expected grad_output of shape (10, 32), got (10, 31)",
    ),
    "features of sequences": (
        lambda: linear()(np.zeros((10, 5, 63))),
        ValueError,
        "Linear(64, 32): expected input of shape (N, 5, 64), got (10, 5, 63)",
    ),
    "no batch": (
        lambda: bp.Flatten()(1.0),
        ValueError,
        "Flatten(): expected input of shape (N,), got ()",
    ),
    "size": (
        lambda: bp.Linear(0, 3),
        ValueError,
        "Linear: in_features must be a whole number of at least 1, got 0",
    ),
    "fraction": (
        lambda: bp.Linear(2, 3.0),  # type: ignore[arg-type]
        ValueError,
        "Linear: out_features must be a whole number of at least 1, got 3.0",
    ),
    "softmax": (lambda: bp.Softmax()(1.0), ValueError, ": expected input of shape (K,), got ()"),
    "gelu": (lambda: bp.GELU("erf"), ValueError, "GELU: approximate is 'none' or 'tanh', got 'erf'"),
    "broadcast": (
        lambda: bp.MSELoss()(np.zeros((3, 1)), np.zeros(3)),
        ValueError,
        "MSELoss: expected target of shape (3, 1), got (3,)",
    ),
    "reduction": (lambda: bp.L1Loss("max"), ValueError, "reduction is 'mean', 'sum' or 'none', got 'max'"),
    "empty": (
        lambda: bp.MSELoss()(np.zeros((0, 3)), np.zeros((0, 3))),
        ValueError,
        "MSELoss: the batch is empty, or all weighs 0",
    ),
    "label": (
        lambda: bp.CrossEntropyLoss()(np.zeros((2, 3)), [1, 3]),
        ValueError,
        "label 3 at index 1: expected 0 to 2",
    ),
    "share": (
        lambda: bp.CrossEntropyLoss()(np.zeros((2, 2)), [[0.5, 0.5], [0.5, 0.6]]),
        ValueError,
        "target row [0.5 0.6] at index 1: expected probabilities that sum to 1",
    ),
    "yes or no": (
        lambda: bp.BCEWithLogitsLoss()([0.0], [2.0]),
        ValueError,
        "BCEWithLogitsLoss: target 2.0 at index 0: expected a number from 0 to 1",
    ),
    "not a layer": (
        lambda: bp.Network(np.tanh),  # type: ignore[arg-type]
        TypeError,
        "Network: layer 0 is <ufunc 'tanh'>, not a Layer (a loss goes to loss=…)",
    ),
    "twice": (
        lambda: bp.Network(*[bp.ReLU()] * 2),
        ValueError,
        "Network: layer 1 is ReLU(), which is there twice",
    ),
    "no loss": (
        lambda: classifier().loss(batch(), [0, 1, 2]),
        RuntimeError,
        "Network: no loss; give one with loss=…",
    ),
    "a network": (
        lambda: bp.SGD(classifier(), lr=0.1),
        TypeError,
        "expected parameters, got Linear; write net.parameters()",
    ),
    "a class": (
        lambda: classifier(loss=bp.MSELoss),
        TypeError,
        "Network: loss is <class 'backprop_core.MSELoss'>, not a Loss",
    ),
    "too small a share": (
        lambda: bp.CrossEntropyLoss()(np.zeros((1, 2)), [[0.5, 0.4]]),
        ValueError,
        "target row [0.5 0.4] at index 0: expected probabilities that sum to 1",
    ),
    "neither yes nor no": (
        lambda: bp.BCEWithLogitsLoss()([0.0], [np.nan]),
        ValueError,
        "BCEWithLogitsLoss: target nan at index 0: expected a number from 0 to 1",
    ),
    "nan": (
        lambda: bp.CrossEntropyLoss()(np.zeros((1, 2)), [[np.nan, 1]]),
        ValueError,
        "target row [nan  1.] at index 0: expected probabilities that sum to 1",
    ),
    "stale": (lambda: stale().backward(), RuntimeError, "call net.loss(x, y), then net.backward()"),
    "no parameters": (lambda: bp.SGD([], lr=0.1), ValueError, "SGD: got no parameters"),
    "uphill": (
        lambda: bp.SGD(classifier().parameters(), lr=-1),
        ValueError,
        "SGD: expected 0 <= lr < inf, got -1",
    ),
    "nesterov": (
        lambda: bp.SGD(classifier().parameters(), lr=0.1, nesterov=True),
        ValueError,
        "SGD: nesterov needs momentum > 0, no dampening",
    ),
    "lengths": (
        lambda: bp.DataLoader(np.zeros(3), np.zeros(4)),
        ValueError,
        "DataLoader: 3 inputs, 4 targets",
    ),
    "fans": (
        lambda: bp.xavier_normal_(bp.Parameter([1.0])),
        ValueError,
        "expected a weight of two or more axes, got (1,)",
    ),
    "gain": (
        lambda: bp.kaiming_normal_(bp.Parameter(np.ones((2, 2))), nonlinearity="gelu"),
        ValueError,
        "nonlinearity is 'linear', 'sigmoid', 'tanh', 'relu' or 'leaky_relu', got 'gelu'",
    ),
    "mixed": (
        lambda: bp.SGD([bp.Parameter([1.0]), bp.Parameter(np.ones(1, np.float32))], lr=0.1),
        ValueError,
        "parameters differ in dtype: ['float32', 'float64']",
    ),
    "folding": (
        lambda: unfolded().backward(np.zeros((6, 2))),
        ValueError,
        "Flatten(): expected grad_output of shape (2, 6), got (6, 2)",
    ),
    "one slope for two": (
        lambda: bp.gradient_descent(np.sum, [1.0, 2.0], 0.1, 1),
        ValueError,
        "expected a gradient of shape (2,), got ()",
    ),
    "real": (
        lambda: bp.complex_step_gradient(np.abs, 1.0),
        TypeError,
        "f lost the imaginary part (abs, a norm, a cast?): use numerical_gradient",
    ),
    "no upstream": (
        lambda: bp.numerical_gradient(np.tanh, [1.0, 2.0]),
        ValueError,
        "an output of shape (2,) needs grad_output, one factor for each entry (ones would hide mistakes)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name: str) -> None:
    mistake, error, message = MISTAKES[name]
    with pytest.raises(error) as caught:
        mistake()
    assert str(caught.value).endswith(message)


def test_a_loss_of_ones_own_may_be_called_by_hand() -> None:
    class Own(bp.Loss):
        def forward(self, prediction: Any, target: Any, mask: Any = None) -> float:
            self.apart = prediction - target
            return float((self.apart**2).mean())

        def backward(self, grad_output: Any = 1.0) -> Any:
            return 2 * self.apart / self.apart.size

    made = bp.Network(bp.Linear(3, 2, rng=0), loss=Own())
    x, y = np.ones((4, 3)), np.zeros((4, 2))
    made.loss(x, y)
    wanted = made.backward()
    made.criterion.forward(made(x), y)
    assert np.array_equal(made.backward(), wanted)
