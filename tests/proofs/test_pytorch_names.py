"""The page "Coming from PyTorch" says the truth about both signatures."""

from __future__ import annotations

import ast
import copy
import fnmatch
import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import backprop_core as bp
from literate.weave.pytorch import Pair, table

TABLE = table()
COMPARED = [pair for pair in TABLE.pairs if not pair.free]


def find(name: str) -> Any:
    thing: Any = torch
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


def options(function: Callable) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some of PyTorch's functions are built in
        return {}
    skipped = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return {p.name: p.default for p in parameters if p.kind not in skipped or p.name == "layers"}


@pytest.mark.parametrize("pair", TABLE.pairs, ids=lambda pair: pair.ours)
def test_both_exist(pair: Pair) -> None:
    assert callable(find(pair.theirs)) and hasattr(bp, pair.ours)


@pytest.mark.parametrize("pair", COMPARED, ids=lambda pair: pair.ours)
def test_each_option_is_shared_renamed_or_left_out_with_a_reason(pair: Pair) -> None:
    ours, theirs = options(getattr(bp, pair.ours)), options(find(pair.signature or pair.theirs))
    assert set(pair.own) <= set(ours) and set(pair.without) | set(pair.renamed) <= set(theirs)
    renamed = {pair.renamed.get(name, name): default for name, default in theirs.items()}
    left_out = set(renamed) - set(ours)
    assert left_out <= set(pair.without) | set(TABLE.everywhere), "an option without a reason"
    assert not set(pair.without) & set(ours), "a reason to leave out what is there"
    assert set(ours) - set(renamed) == set(pair.own), "options that only we have"
    differ = {name for name in set(ours) & set(renamed) if ours[name] != renamed[name]}
    assert differ == set(pair.defaults), "defaults that differ"


def stated(text: str) -> Iterator[tuple[str, Any]]:
    """What an entry says of a default: ("here", 32), ("there", 1), ("there", "relu")."""
    for value, side in re.findall(r"([\w.+-]+) (here|there)\b", text):
        if re.fullmatch(r"True|False|None|-?[\d.]+", value):
            yield side, ast.literal_eval(value)
    for value in re.findall(r"\b(?:there|always) (True|False|[\d.]+|[A-Z]\w+)$", text):
        yield (
            "there",
            ast.literal_eval(value) if value in ("True", "False") or value[0].isdigit() else value.lower(),
        )


def misstated(pair: Pair) -> list[str]:
    """Entries that give another default than the signature, or another order than the docstring."""
    ours, theirs = options(getattr(bp, pair.ours)), options(find(pair.signature or pair.theirs))
    names = {**{name: name for name in theirs}, **{mine: name for name, mine in pair.renamed.items()}}
    wrong = []
    for name, text in {**pair.defaults, **pair.without, **pair.own}.items():
        for side, value in stated(text):
            default = ours[name] if side == "here" else theirs[names[name]]
            if value != getattr(default, "__name__", default):
                wrong.append(f"{name}: {side} it is {default!r}, not {value!r}")
    for order in re.findall(r"in the order ((?:\w, )+\w)\b", pair.note):
        if f"in the order {order}" not in " ".join((inspect.getdoc(getattr(bp, pair.ours)) or "").split()):
            wrong.append(f"the order is not {order}")
    return wrong


@pytest.mark.parametrize("pair", COMPARED, ids=lambda pair: pair.ours)
def test_defaults_and_orders_are_those_of_the_signatures(pair: Pair) -> None:
    assert misstated(pair) == []


@pytest.mark.parametrize(
    ("ours", "right", "wrong"),
    [
        ("DataLoader", "32 here, 1 there", "64 here, 1 there"),
        ("DataLoader", "True here, None there", "None here, True there"),
        ("TransformerBlock", "0 here, 0.1 there", "0 here, 0.2 there"),
        ("TransformerBlock", "embed_dim here, 2048 there", "embed_dim here, 1024 there"),
        ("TransformerBlock", "always, there False", "always, there True"),
        ("TransformerBlock", "GELU, there ReLU", "GELU, there SiLU"),
        ("Flatten", "always 1", "always 2"),
        ("Softmax", "-1 here", "1 here"),
        ("GRU", "r, z, n", "z, r, n"),
    ],
)
def test_another_default_is_found(ours: str, right: str, wrong: str) -> None:
    (pair,) = (pair for pair in COMPARED if pair.ours == ours)
    fields = {name: value for name, value in vars(pair).items() if right in str(value)}
    assert fields
    changed = {name: ast.literal_eval(repr(value).replace(right, wrong)) for name, value in fields.items()}
    assert misstated(replace(pair, **changed))


X = np.random.default_rng(0).normal(size=(2, 3, 4))
SQUARE = bp.Tensor(X)


def clipped() -> bool:
    one = bp.Parameter(np.ones(3))
    one.grad[...] = 7.0
    bp.clip_grad_norm_([one], 0.5)
    return math.isclose(np.linalg.norm(one.grad), 0.5, rel_tol=1e-14)


def stops() -> bool:
    one = bp.Parameter(np.ones(3))
    one.grad[...] = np.inf
    bp.clip_grad_norm_([one], 0.5)
    net = bp.Network(bp.Linear(4, 3), loss=bp.MSELoss())
    with pytest.raises(FloatingPointError):
        bp.fit(
            net,
            bp.SGD(net.parameters(), lr=0.1),
            [(X[0] * np.nan, X[0, :, :3])],
            1,
            verbose=False,
            max_norm=0.5,
        )
    return bool(np.isinf(one.grad).all())


def warming() -> bool:
    rate = bp.LinearWarmup(bp.SGD([bp.Parameter(np.ones(3))], lr=8.0), steps=4).rate
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=8.0)
    schedule = torch.optim.lr_scheduler.LinearLR(theirs, start_factor=1 / 4, total_iters=3)
    for t in range(10):
        if abs(theirs.param_groups[0]["lr"] - rate(t)) > 1e-12:
            return False
        theirs.step()
        schedule.step()
    return (rate(0), rate(3), rate(9)) == (2.0, 8.0, 8.0)


def fading() -> bool:
    """Frozen for the second of three steps, by PyTorch's Adam: without a gradient, or with one of 0."""
    mine = bp.Parameter(np.ones(3))
    skipped, zero = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer, steps = bp.Adam([mine], lr=0.1), [torch.optim.Adam([p], lr=0.1) for p in (skipped, zero)]
    for frozen in (False, True, False):
        mine.requires_grad = not frozen
        mine.grad = np.full(3, 0.0 if frozen else 2.0)
        zero.grad = torch.full_like(zero, 0.0 if frozen else 2.0)
        skipped.grad = None if frozen else zero.grad.clone()
        before = zero.detach().clone()
        for each in (optimizer, *steps):
            each.step()
        if frozen:  # what is frozen does not move, whatever the average says
            zero.data[...] = before
    return np.allclose(mine.data, zero.detach()) and not np.allclose(mine.data, skipped.detach())


def checks() -> bool:
    net, ids = bp.Network(bp.Embedding(5, 3, rng=0), bp.Linear(3, 2, rng=0)), np.array([0, 4, 1])
    with pytest.raises(TypeError, match="expected integers"):
        bp.gradcheck(net, ids)
    return 0 < bp.gradcheck(bp.Tanh(), X, rng=0) < 1e-7 and bp.gradcheck(net[1:], net[0](ids), rng=0) < 1e-7


def one_array() -> bool:
    ours, kept = bp.Parameter(np.ones(2)), []
    for number in (1.0, 2.0):
        ours.grad = None
        ours.grad += number
        kept.append(ours.grad)
    return kept[0] is kept[1] and kept[0].tolist() == [2.0, 2.0]


def of_its_own() -> bool:
    layer = bp.Linear(4, 4, rng=0)
    forward = layer.forward
    vars(layer)["forward"] = lambda x: forward(x)
    copied = copy.deepcopy(layer)
    layer.weight.data[...] = 0.0
    still = np.array_equal(copied.forward(X), layer.forward(X))  # it runs the original's
    for name in ("parameters", "modules"):
        other = bp.Linear(4, 4)
        vars(other)[name] = [1]
        with pytest.raises(TypeError, match="not callable"):
            other.zero_grad() if name == "parameters" else other.train()
    vars(layer)["buffers"] = np.ones(2)
    with pytest.raises(AttributeError, match="items"):
        layer.state_dict()
    hooks = [name for name in dir(layer) if "hook" in name and name[0] != "_"]
    return still and not hooks and isinstance(copied.state_dict()["weight"], np.ndarray)


def own_loss() -> bool:
    loss, target = bp.MSELoss(), np.zeros((2, 3, 1))
    one, other = (bp.Network(bp.Linear(4, 1), loss=loss) for _ in range(2))
    with pytest.raises(TypeError, match="skip would not train"):
        one.skip = bp.Linear(4, 1)
    one.loss(X, target)
    other.loss(X, target)
    with pytest.raises(RuntimeError, match="give each network its own"):
        one.backward()
    return True


def no_state_dict() -> bool:
    net = bp.Network(bp.Linear(2, 2))
    optimizer = bp.SGD(net.parameters())
    schedule = bp.StepLR(optimizer, 2)
    schedule.step()
    return not hasattr(schedule, "state_dict") and bp._named_arrays(net, optimizer, schedule)["schedule"] == 1


def fan_of_rows() -> bool:
    ours, theirs = bp.Embedding(1000, 50), torch.nn.Embedding(1000, 50)
    pairs = (
        (bp.kaiming_normal_, torch.nn.init.kaiming_normal_),
        (bp.kaiming_uniform_, torch.nn.init.kaiming_uniform_),
    )
    for mine, its in pairs:
        mine(ours.weight, rng=0)
        its(theirs.weight)
        if abs(ours.weight.data.std() / (2 / 1000) ** 0.5 - 1) > 0.05:
            return False
        if abs(float(theirs.weight.detach().std()) / (2 / 50) ** 0.5 - 1) > 0.05:
            return False
    return True


def one_bias() -> bool:
    layer = bp.RNN(4, 5)
    y = layer.forward(X)
    theirs = [name for name, _ in torch.nn.RNN(4, 5).named_parameters() if "bias" in name]
    ours = [name for name, _ in layer.named_parameters() if "bias" in name]
    return (
        (len(theirs), len(ours)) == (2, 1)
        and layer.state is not None
        and np.array_equal(y[:, -1], layer.state)
    )


def refuses_rows() -> bool:
    logits, labels = np.zeros((2, 3, 4)), np.zeros((2, 3), int)
    loss = bp.CrossEntropyLoss()
    with pytest.raises(ValueError, match="probabilities"):
        loss.forward(logits, np.full((2, 3, 4), 0.3))
    return math.isclose(loss.forward(logits, labels), math.log(4))


def never_a_pickle(folder: Path) -> bool:
    bp.save(bp.Network(bp.Linear(3, 2)), folder / "a.npz")
    with np.load(folder / "a.npz", allow_pickle=False) as file:
        return all(file[name].dtype.kind != "O" for name in file.files)


def doubled() -> bool:
    double = bp.primitive(lambda g, y, x: 2 * g)(lambda x: 2 * x)
    return bool((bp.gradients(np.sum(double(SQUARE)), [SQUARE])[0] == 2).all())


# What the notes say, and each beginning and end: tried as it stands in the table.
NOTES: dict[str, Callable[[], Any]] = {
    "`weight` is (in_features, out_features), the transpose of PyTorch's": lambda: (
        bp.Linear(3, 2).weight.shape == torch.nn.Linear(3, 2).weight.T.shape == (3, 2)
    ),
    "classes stand on the last axis; a row of targets must sum to 1": refuses_rows,
    "starts at 1/steps": warming,
    "ends at 1": warming,
    "the clipped length is exactly `max_norm`": clipped,
    "no; such a gradient is left alone, and `fit` stops": stops,
    "one bias instead of two; returns the output, the state is in `.state`": one_bias,
    "as RNN; gates in the order i, f, g, o": lambda: issubclass(bp.LSTM, bp.RNN),
    "as RNN; gates in the order r, z, n, with a bias inside the reset product": lambda: (
        issubclass(bp.GRU, bp.RNN) and bp.GRU(3, 2).recurrent_bias.shape == (2,)
    ),
    "takes one sequence, and `memory` for cross-attention": lambda: (
        bp.MultiHeadAttention(4, 2).forward(X, memory=X[:, :1]).shape == X.shape
    ),
    "requires a gradient unless told otherwise; NumPy's functions work on it": lambda: (
        SQUARE.requires_grad and isinstance(np.tanh(SQUARE), bp.Tensor)
    ),
    "gives zeros for an input that was not used": lambda: (
        not bp.gradients(np.sum(SQUARE * 2), [bp.Tensor(X)])[0].any()
    ),
    "returns the error; checks a layer's `backward` against differences; "
    "what takes integers, from its second layer on": checks,
    "`grad` is one array, emptied and filled again: keep a copy, not the array": one_array,
    "a layer has a `backward` of its own, and calls none of its attributes `parameters`, `modules` or "
    "`buffers`; there are no hooks, and a `forward` wrapped on the instance is not copied with it; "
    "`state_dict` holds NumPy arrays": of_its_own,
    "a layer that is set as an attribute is refused; each network needs a loss of its own": own_loss,
    "no `state_dict`: `save` keeps the count of steps": no_state_dict,
    "`steps` - 1; there it counts from the first rate": warming,
    "the fan in of an Embedding is its number of rows; there, its width": fan_of_rows,
    "a decorator with the rules as arguments": doubled,
    "of the weights; no": lambda: "dropout" not in options(bp.MultiHeadAttention),
    "steps and averages go on for what is frozen, as for a gradient of 0; there they wait": fading,
    "returns the product alone": lambda: np.array_equal(bp.hvp(lambda x: np.sum(x * x), X, X), 2 * X),
}


def notes() -> set[str]:
    said = {pair.note for pair in TABLE.pairs} - {"", "`.npz`, never a pickle"}
    return said | {
        text for pair in TABLE.pairs for text in pair.without.values() if " at 1" in text or ";" in text
    }


def test_each_note_is_tried() -> None:
    assert notes() <= NOTES.keys(), "the table says something else now; try that here"


@pytest.mark.parametrize("note", NOTES)
def test_the_note_is_true(note: str) -> None:
    assert note in notes() and NOTES[note]()


def test_what_is_saved_is_no_pickle(tmp_path: Path) -> None:
    assert never_a_pickle(tmp_path)


def test_every_public_name_is_paired_or_left_out_for_a_reason() -> None:
    places = torch.nn, torch.optim, torch.optim.lr_scheduler
    paired = {pair.theirs.rsplit(".")[-1] for pair in TABLE.pairs}
    names = {
        name
        for place in places
        for name, thing in vars(place).items()
        if inspect.isclass(thing) and name[0].isupper() and thing.__module__.startswith("torch")
    }
    patterns = [one for patterns in TABLE.left_out for one in patterns.split("|")]
    found = {
        name for name in names - paired if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    assert found == set()
    used = {pattern for pattern in patterns for name in names if fnmatch.fnmatchcase(name, pattern)}
    assert used == set(patterns), "patterns that match nothing"
