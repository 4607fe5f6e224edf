"""What docstrings claim is tried: the errors they name, limits from both sides, and what else they promise.

Each claim stands here as it stands there: who changes it there is asked to try it here.
"""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import backprop_core as bp

Call = Callable[[], Any]
X, OTHER = np.random.default_rng(0).normal(size=(2, 6, 4))
LABELS = np.array([0, 1, 2, 0, 1, 2])
IMAGES, LOGITS = np.ones((2, 3, 4, 4)), np.zeros((6, 3))
WORD: Any = "x"  # of a kind that nobody expects
NOT_FINITE = np.full((1, 4), np.nan)


def net(loss: bool = True) -> bp.Network:
    return bp.Network(bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss() if loss else None)


def by_terms() -> bp.Network:
    return bp.Network(bp.Linear(4, 3, rng=0), loss=bp.CrossEntropyLoss("none"))


def number(value: Any = 1.0) -> bp.Parameter:
    return bp.Parameter(np.full((3, 2), value))


def sgd(**settings: Any) -> bp.SGD:
    return bp.SGD([number()], lr=0.1, **settings)


def fitted(data: Any, **settings: Any) -> Any:
    trained = net()
    return bp.fit(trained, bp.SGD(trained.parameters(), lr=0.1), data, 1, verbose=False, **settings)


def twice_after_two() -> None:
    loss = bp.MSELoss()
    loss.forward(X, X)
    loss.forward(X, X)
    loss.backward()
    loss.backward()


def replaced() -> None:
    one = number()
    optimizer = bp.SGD([one], lr=0.1)
    one.data = np.zeros((3, 2))
    optimizer.step()


def two_groups() -> None:
    one = number()
    bp.SGD([{"params": [one]}, {"params": [one]}], lr=0.1)


def changed(back: Any = lambda y, x: y.backward()) -> None:
    data = np.ones(3)
    x = bp.Tensor(data)
    y = np.sum(x * x)
    data[0] = 5.0
    back(y, x)


def watched() -> None:
    with bp.detect_changes():
        changed()


def stopping(**row: float) -> None:
    bp.EarlyStopping(net(), monitor="loss")([row])


def unsteady() -> None:
    values = iter([1.0, 2.0])
    bp.checkpoint(lambda x: np.sum(x * next(values)), bp.Tensor(X)).backward()


def hidden_input() -> None:
    outside = bp.Tensor(X)
    bp.checkpoint(lambda x: np.sum(x * outside), bp.Tensor(X)).backward()


# Owner -> what it says after "Raises", which begins with the error, and calls that must raise exactly that.
RAISED: dict[str, dict[str, list[Call]]] = {
    "gradient_descent": {
        "ValueError for a gradient of another shape": [
            lambda: bp.gradient_descent(lambda x: np.ones(2), np.ones(3), 0.1, 1)
        ]
    },
    "numerical_gradient": {
        "ValueError if f has several outputs and grad_output is missing": [
            lambda: bp.numerical_gradient(np.tanh, X)
        ]
    },
    "complex_step_gradient": {
        "TypeError where f returns real numbers": [
            lambda: bp.complex_step_gradient(lambda x: np.sum(np.abs(x)), X)
        ]
    },
    "Parameter": {
        "TypeError for anything but numbers": [lambda: bp.Parameter(WORD), lambda: bp.Parameter([WORD])],
        "ValueError for other shapes": [
            lambda: setattr(number(), "grad", np.ones(2)),
            lambda: setattr(number(), "data", np.ones((2, 3))),
        ],
    },
    "Layer.to": {"ValueError for other dtypes": [lambda: net().to("float16"), lambda: net().to("int64")]},
    "Layer.load_state_dict": {
        "ValueError where names or shapes differ, or for no numbers": [
            lambda: net().load_state_dict({}),
            lambda: net().load_state_dict({name: a.astype(str) for name, a in net().state_dict().items()}),
            lambda: net().load_state_dict({name: array[:1] for name, array in net().state_dict().items()}),
        ]
    },
    "Linear": {
        "ValueError for an input of another shape": [lambda: bp.Linear(4, 3).forward(np.ones((2, 5)))]
    },
    "LeakyReLU": {
        "ValueError unless that is a finite number": [
            lambda: bp.LeakyReLU(np.inf),
            lambda: bp.LeakyReLU(WORD),
        ]
    },
    "ELU": {"ValueError unless ``alpha`` is a finite number": [lambda: bp.ELU(np.nan), lambda: bp.ELU(WORD)]},
    "GELU": {"ValueError for another name": [lambda: bp.GELU("sigmoid")]},
    "Softmax": {
        "ValueError for a single number, or for an axis that is not a whole number": [
            lambda: bp.Softmax().forward(1.0),
            lambda: bp.Softmax(axis=WORD),
        ]
    },
    "Loss": {"ValueError for another name": [lambda: bp.MSELoss(reduction="average")]},
    "Loss.forward": {
        "ValueError where shapes differ or a mean has no terms": [
            lambda: bp.MSELoss().forward(X, X[:2]),
            lambda: bp.MSELoss().forward(X[:0], X[:0]),
            lambda: bp.MSELoss().forward(X, X, mask=np.ones(len(X) + 1, bool)),
        ]
    },
    "Loss.backward": {
        "RuntimeError before the first forward": [lambda: bp.MSELoss().backward()],
        "and where a second backward follows two forwards": [twice_after_two],
    },
    "HuberLoss": {
        "ValueError unless delta is above 0": [
            lambda: bp.HuberLoss(delta=0.0),
            lambda: bp.HuberLoss(delta=-1),
        ]
    },
    "CrossEntropyLoss": {
        "ValueError for other shapes, labels outside 0…K-1, or rows that are not probabilities": [
            lambda: bp.CrossEntropyLoss().forward(LOGITS, LABELS[:2]),
            lambda: bp.CrossEntropyLoss().forward(LOGITS, LABELS + 1),
            lambda: bp.CrossEntropyLoss().forward(LOGITS, LABELS - 1),
            lambda: bp.CrossEntropyLoss().forward(LOGITS, LOGITS + 0.5),
            lambda: bp.CrossEntropyLoss().forward(LOGITS, LOGITS + 1 / 3 + 1e-4),
        ]
    },
    "BCEWithLogitsLoss": {
        "ValueError for other shapes or targets": [
            lambda: bp.BCEWithLogitsLoss().forward(X, X[:2] * 0),
            lambda: bp.BCEWithLogitsLoss().forward(X, X * 0 + 1.1),
        ]
    },
    "Network": {
        "TypeError for what is not a Layer or a Loss": [
            lambda: bp.Network(WORD),
            lambda: bp.Network(loss=WORD),
        ],
        "ValueError for a layer object that is used twice": [lambda: bp.Network(*[bp.Linear(2, 2)] * 2)],
    },
    "Network.loss": {"RuntimeError if there is none": [lambda: net(loss=False).loss(X, LABELS)]},
    "Optimizer": {
        "ValueError for settings out of range, if there are no parameters, if one is in two groups, "
        "or if they differ in dtype": [
            lambda: bp.SGD([number()], lr=-1.0),
            lambda: bp.SGD([], lr=0.1),
            two_groups,
            lambda: bp.SGD([number(), bp.Parameter(np.ones(2, np.float32))], lr=0.1),
        ]
    },
    "Optimizer.step": {"RuntimeError if some data has been replaced since": [replaced]},
    "Optimizer.load_state_dict": {
        "ValueError for other names or shapes, or rates out of range": [
            lambda: sgd(momentum=0.9).load_state_dict({}),
            lambda: sgd().load_state_dict(sgd().state_dict() | {"rates": [-1.0, np.inf]}),
            lambda: sgd().load_state_dict(sgd().state_dict() | {"t": -1}),
        ]
    },
    "SGD": {
        "ValueError for settings out of range, or nesterov without momentum or with dampening": [
            lambda: sgd(momentum=1.0),
            lambda: sgd(nesterov=True),
            lambda: sgd(nesterov=True, momentum=0.9, dampening=0.1),
        ]
    },
    "kaiming_uniform_": {
        "ValueError for other names or fewer than two axes": [
            lambda: bp.kaiming_uniform_(number(), mode="fan"),
            lambda: bp.kaiming_uniform_(bp.Parameter(np.ones(3))),
        ]
    },
    "xavier_uniform_": {
        "ValueError for fewer than two axes or a negative gain": [
            lambda: bp.xavier_uniform_(bp.Parameter(np.ones(3))),
            lambda: bp.xavier_uniform_(number(), gain=-1),
        ],
        "TypeError for anything but a parameter": [lambda: bp.xavier_uniform_(WORD)],
    },
    "gradient_report": {
        "RuntimeError without a loss": [lambda: bp.gradient_report(net(loss=False), X, LABELS)],
        'ValueError for one of reduction "none"': [lambda: bp.gradient_report(by_terms(), X, LABELS)],
    },
    "Adagrad": {
        "ValueError for what is negative": [
            lambda: bp.Adagrad([number()], lr_decay=-0.1),
            lambda: bp.Adagrad([number()], initial_accumulator_value=-0.1),
        ]
    },
    "RMSprop": {
        "ValueError unless 0 <= alpha, momentum < 1, eps and weight_decay >= 0": [
            *(
                lambda bad=bad: bp.RMSprop([number()], **bad)
                for bad in (
                    {"alpha": -0.1},
                    {"alpha": 1.0},
                    {"momentum": -0.1},
                    {"momentum": 1.0},
                    {"eps": -1},
                    {"weight_decay": -1},
                )
            )
        ]
    },
    "Adam": {
        "ValueError unless there are two betas, 0 <= beta < 1": [
            *(lambda bad=bad: bp.Adam([number()], betas=bad) for bad in ((0.9,), (-0.1, 0.9), (0.9, 1.0)))
        ]
    },
    "DataLoader": {
        "ValueError where they differ in number, or for a batch_size below 1": [
            lambda: bp.DataLoader(X, LABELS[:2]),
            lambda: bp.DataLoader(X, LABELS, batch_size=0),
        ]
    },
    "StepLR": {
        "ValueError for what is negative or not finite, or for numbers of steps below 1": [
            lambda: bp.StepLR(sgd(), step_size=2, gamma=-0.1),
            lambda: bp.ExponentialLR(sgd(), gamma=np.inf),
            lambda: bp.CosineAnnealingLR(sgd(), T_max=0),
            lambda: bp.LinearWarmup(sgd(), steps=0),
        ]
    },
    "clip_grad_norm_": {
        "ValueError unless max_norm > 0": [
            lambda: bp.clip_grad_norm_([number()], 0.0),
            lambda: bp.clip_grad_norm_([number()], -1),
        ]
    },
    "fit": {
        "FloatingPointError before a step along what is not finite": [
            lambda: fitted([(NOT_FINITE, LABELS[:1])])
        ],
        "ValueError or TypeError for no data and for what does not belong together": [
            lambda: fitted([]),
            lambda: fitted([5]),
            lambda: bp.fit(net(), sgd(), [(X, LABELS)], 1, verbose=False),
        ],
    },
    "l2_penalty": {
        "ValueError for a negative strength": [lambda: bp.l2_penalty([number()], -1)],
        "TypeError for what is no parameter": [lambda: bp.l2_penalty([WORD], 1)],
    },
    "Dropout": {"ValueError unless 0 <= p < 1": [lambda: bp.Dropout(-0.1), lambda: bp.Dropout(1.0)]},
    "EarlyStopping": {
        "ValueError for settings out of range or where the history has no such number": [
            lambda: bp.EarlyStopping(net(), patience=0),
            lambda: stopping(accuracy=1.0),
        ],
        "RuntimeError for restore before there is a best epoch": [lambda: bp.EarlyStopping(net()).restore()],
    },
    "BatchNorm1d": {
        "ValueError for other shapes and settings, or for fewer than two values of a feature "
        "while training": [
            lambda: bp.BatchNorm1d(3).forward(X),
            lambda: bp.BatchNorm1d(0),
            lambda: bp.BatchNorm1d(4).forward(X[:1]),
        ]
    },
    "LayerNorm": {"ValueError for others": [lambda: bp.LayerNorm(3).forward(X)]},
    "Conv2d": {
        "ValueError for other shapes and where no window fits": [
            lambda: bp.Conv2d(2, 3, 2).forward(IMAGES),
            lambda: bp.Conv2d(3, 3, 5).forward(IMAGES),
        ]
    },
    "ConvTranspose2d": {
        'ValueError for other shapes, for padding="same", and where padding leaves nothing': [
            lambda: bp.ConvTranspose2d(2, 3, 2).forward(IMAGES),
            lambda: bp.ConvTranspose2d(3, 3, 2, padding="same"),
            lambda: bp.ConvTranspose2d(3, 3, 2, padding=3).forward(IMAGES),
        ]
    },
    "MaxPool2d": {
        "ValueError for other shapes and settings": [
            lambda: bp.MaxPool2d(2).forward(X),
            lambda: bp.MaxPool2d(0),
        ]
    },
    "Tensor": {
        "TypeError for what is not an array of real numbers": [
            lambda: bp.Tensor(WORD),
            lambda: bp.Tensor([1j]),
        ]
    },
    "Tensor.backward": {
        "ValueError for another shape": [lambda: (bp.Tensor(X) * 2).backward(np.ones(3))],
        "RuntimeError if nothing was recorded or if a recorded array has been changed since": [
            lambda: bp.Tensor(1.0, requires_grad=False).backward(),
            changed,
        ],
    },
    "gradients": {
        "ValueError for another shape": [lambda: bp.gradients((x := bp.Tensor(X)) * 2, [x], np.ones(3))],
        "RuntimeError if a recorded array has been changed since": [
            lambda: changed(lambda y, x: bp.gradients(y, [x]))
        ],
        "TypeError for inputs without requires_grad": [
            lambda: bp.gradients(bp.Tensor(2.0) * 2, [bp.Tensor(1.0, requires_grad=False)])
        ],
    },
    "detect_changes": {"RuntimeError for an array of which any entry has changed": [watched]},
    "Residual": {
        "ValueError without layers and where f changes the shape": [
            lambda: bp.Residual(),
            lambda: bp.Residual(bp.Linear(4, 3)).forward(X),
        ],
        "TypeError and ValueError as Network does": [
            lambda: bp.Residual(WORD),
            lambda: bp.Residual(*[bp.Linear(2, 2)] * 2),
        ],
    },
    "RNN": {"ValueError for other shapes": [lambda: bp.RNN(3, 2).forward(np.ones((2, 5, 4)))]},
    "Embedding": {
        "TypeError for what are not integers": [lambda: bp.Embedding(3, 2).forward([0.5])],
        "ValueError for integers outside 0…num_embeddings-1": [
            lambda: bp.Embedding(3, 2).forward([3]),
            lambda: bp.Embedding(3, 2).forward([-1]),
        ],
    },
    "Last": {
        "ValueError for other shapes and for a sequence of no steps": [
            lambda: bp.Last().forward(X),
            lambda: bp.Last().forward(np.ones((2, 0, 3))),
        ]
    },
    "MultiHeadAttention": {
        "ValueError for other shapes, or if embed_dim is no multiple of num_heads": [
            lambda: bp.MultiHeadAttention(4, 2).forward(np.ones((2, 5, 3))),
            lambda: bp.MultiHeadAttention(4, 3),
        ]
    },
    "PositionEmbedding": {
        "ValueError for other shapes and for longer sequences": [
            lambda: bp.PositionEmbedding(5, 4).forward(np.ones((2, 5, 3))),
            lambda: bp.PositionEmbedding(5, 4).forward(np.ones((2, 6, 4))),
        ]
    },
    "jvp": {
        "TypeError for no list or no numbers": [
            lambda: bp.jvp(np.tanh, WORD, [X]),
            lambda: bp.jvp(np.tanh, [X], WORD),
            lambda: bp.jvp(lambda x: {"y": x}, [X], [X]),
        ],
        "ValueError for a direction of another shape or another number of them": [
            lambda: bp.jvp(np.tanh, [X], [X[:2]]),
            lambda: bp.jvp(np.tanh, [X], [X, X]),
            lambda: bp.jvp(np.tanh, [X], []),
        ],
    },
    "hvp": {
        "ValueError for a v of another shape or several numbers": [
            lambda: bp.hvp(lambda x: np.sum(x * x), X, X[:2]),
            lambda: bp.hvp(np.tanh, X, X),
        ]
    },
    "checkpoint": {
        "RuntimeError if it does not": [unsteady],
        "ValueError for a Tensor that is no input": [hidden_input],
    },
    "diagnose": {
        "RuntimeError without a loss": [lambda: bp.diagnose(net(loss=False), X, LABELS)],
        'ValueError for reduction "none"': [lambda: bp.diagnose(by_terms(), X, LABELS)],
        "ValueError unless optimizer is an Optimizer and step callable": [
            lambda: bp.diagnose(net(), X, LABELS, optimizer="Adam"),
            lambda: bp.diagnose(net(), X, LABELS, optimizer=bp.Adam),
            lambda: bp.diagnose(net(), X, LABELS, step=3),  # type: ignore[arg-type]  # no function
        ],
    },
}
# Owners whose errors need files: tests/test_training.py, test_options.py and test_settings.py try them.
ELSEWHERE = {"save", "load"}
# What is on the right side of a limit.
TAKEN: list[Call] = [
    lambda: bp.Dropout(0.0),
    lambda: bp.Dropout(0.999),
    lambda: bp.HuberLoss(delta=1e-9),
    lambda: bp.RMSprop([number()], alpha=0.0, momentum=0.999, eps=0.0, weight_decay=0.0),
    lambda: bp.Adam([number()], betas=(0.0, 0.999)),
    lambda: bp.DataLoader(X, LABELS, batch_size=1),
    lambda: bp.clip_grad_norm_([number()], 1e-9),
    lambda: bp.StepLR(sgd(), step_size=1, gamma=0.0),
    lambda: bp.l2_penalty([number()], 0.0),
    lambda: bp.xavier_uniform_(number(), gain=0.0),
    lambda: bp.BatchNorm1d(4).forward(X[:2]),
    lambda: bp.Embedding(3, 2).forward([0, 2]),
    lambda: bp.CrossEntropyLoss().forward(LOGITS, LABELS),
    lambda: bp.CrossEntropyLoss().forward(LOGITS, LOGITS + 1 / 3 + 1e-5),
    lambda: bp.PositionEmbedding(5, 4).forward(np.ones((2, 5, 4))),
]


def off_by() -> bool:
    x = np.linspace(-8, 8, 100_001)
    return 4e-4 < np.abs(bp.GELU("tanh").forward(x) - bp.GELU().forward(x)).max() <= 5e-4


def found_error() -> bool:
    layers = bp.Linear(4, 3, rng=0), bp.Tanh(), bp.LayerNorm(4)
    two_sided = max(bp.gradcheck(layer, X, rng=0) for layer in layers)
    complex_step = max(
        bp.gradcheck(layer, X, rng=0, derivative=bp.complex_step_gradient) for layer in layers[:2]
    )
    return 1e-13 < two_sided < 1e-7 and 1e-17 < complex_step < 1e-12


def gates() -> bool:
    """One block of the bias is made large: what becomes of the output and the cell says which gate it is."""
    states = []
    for block in range(4):
        layer = bp.LSTM(2, 1, rng=0)
        layer.weight.data[...] = layer.recurrent.data[...] = layer.bias.data[...] = 0
        layer.bias.data[block] = 50.0
        layer.forward(np.zeros((1, 1, 2)), np.array([[0.0, 0.8]]))
        assert layer.state is not None
        states.append(layer.state[0].round(3).tolist())
    i, f, g, o = states  # the cell is 0.8 before; gates stand at a half, the candidate at 0
    return i[1] == 0.4 and f[1] == 0.8 and g[1] == 0.9 and o == [round(float(np.tanh(0.4)), 3), 0.4]


def updates() -> bool:
    states = []
    for block in range(3):
        layer = bp.GRU(2, 1, rng=0)
        layer.weight.data[...] = layer.recurrent.data[...] = layer.bias.data[...] = 0
        layer.recurrent_bias.data[...] = 1.0
        layer.bias.data[block] = 50.0
        states.append(float(layer.forward(np.zeros((1, 1, 2)), np.array([[0.7]]))[0, 0, 0]))
    # an open r lets all of the inner bias into n; an open z keeps the old state; the last block makes n 1
    wanted = (np.tanh(1.0) / 2 + 0.35, 0.7, 0.85)
    return bool(np.allclose(states, wanted))


def unbiased() -> bool:
    layer = bp.BatchNorm1d(4, momentum=None)
    layer.forward(X)
    return np.allclose(layer.running_var, X.var(axis=0, ddof=1))


def newest() -> bool:
    layer = bp.BatchNorm1d(4, momentum=0.25)
    layer.forward(X + 8)
    return np.allclose(layer.running_mean, 0.25 * (X + 8).mean(axis=0))


def back(layer: Any, x: Any, *rest: Any) -> Any:
    """What backward gives for ones, or for nothing in case of a loss."""
    y = layer.forward(x, *rest)
    return layer.backward() if isinstance(layer, bp.Loss) else layer.backward(np.ones_like(y))


def kept_by_leaves() -> bool:
    x = bp.Tensor(X)
    y = x * 2
    before = x.grad
    y.sum().backward()
    return before is None and y.grad is None and x.grad is not None and x.grad.shape == X.shape


def no_slopes() -> bool:
    x, other = bp.Tensor(X), bp.Tensor(X)
    with bp.no_grad():
        y = (x * 2).sum()
    return not bp.gradients(y, [x])[0].any() and not bp.gradients((x * 2).sum(), [other])[0].any()


def clipped(value: float) -> tuple[float, np.ndarray]:
    """The length before, and the gradient after."""
    one = number()
    one.grad[...] = value
    return bp.clip_grad_norm_([one], 1.0), one.grad


def smallest_step() -> bool:
    x = X * 1e-8
    square = (x * x).mean(axis=1, keepdims=True)
    return np.allclose(bp.RMSNorm(4).forward(x), x / np.sqrt(square + np.finfo(float).eps))


def rises_again() -> bool:
    schedule = bp.CosineAnnealingLR(sgd(), T_max=5)
    return schedule.rate(6) > schedule.rate(5) < schedule.rate(4)


def hides() -> bool:
    layer = bp.MultiHeadAttention(4, 2)
    layer.forward(np.ones((1, 2, 4)), attn_mask=np.array([[False, True]] * 2))
    assert layer.weights is not None
    return not layer.weights[..., 1].any() and bool(layer.weights[..., 0].all())


def improves() -> bool:
    """Under "min" the third epoch is the first without a better loss; under "max" the second is."""
    stops = []
    for mode in ("min", "max"):
        stop = bp.EarlyStopping(net(), monitor="loss", mode=mode, patience=1)
        history: list[dict[str, float]] = []
        for epoch, loss in enumerate([2.0, 1.0, 3.0], 1):
            history.append({"epoch": epoch, "loss": loss})
            if stop(history):
                break
        stops.append(len(history))
    return stops == [3, 2]


def normalised_before() -> bool:
    """What is added does not change when the input is stretched, since the norms stand before."""
    block = bp.TransformerBlock(4, 2, rng=0)
    x = 100 * np.random.default_rng(3).normal(size=(1, 3, 4))
    added = block.forward(x) - x
    return bool(np.allclose(block.forward(10 * x) - 10 * x, added, rtol=1e-3, atol=1e-3))


def moved(steps: int, kind: Callable[..., bp.Optimizer] = bp.SGD, **settings: Any) -> list[float]:
    """How far a weight goes in each step along the slope 2."""
    one, ways = number(0.0), []
    optimizer = kind([one], lr=0.1, **settings)
    for _ in range(steps):
        before = one.data[0, 0]
        one.grad[...] = 2.0
        optimizer.step()
        ways.append(round(float(before - one.data[0, 0]), 6))
    return ways


def decays() -> bool:
    plain, shorter = (moved(3, bp.Adagrad, lr_decay=decay, eps=0.5) for decay in (0.0, 0.5))
    return np.allclose(np.divide(plain, shorter), [1.0, 1.5, 2.0], atol=1e-4)


def counts() -> bool:
    optimizer = sgd()
    schedule = bp.StepLR(optimizer, step_size=2, gamma=0.5)
    rates = [optimizer.lr]
    for _ in range(4):
        schedule.step()
        rates.append(optimizer.lr)
    return np.allclose(rates, [0.1, 0.1, 0.05, 0.05, 0.025])


def last_batch() -> bool:
    sizes = [
        [len(x) for x, _ in bp.DataLoader(X, LABELS, batch_size=4, drop_last=drop)] for drop in (False, True)
    ]
    return sizes == [[4, 2], [4]]


def path() -> bool:
    found = bp.gradient_descent(lambda x: x, X, 0.1, 3)
    single = bp.gradient_descent(np.negative, np.float32(X), 0.1, 3)
    return found.shape == (4, 6, 4) and np.array_equal(found[0], X) and single.dtype == np.float32


def always_float64() -> bool:
    return bp.numerical_gradient(np.sum, X.astype(np.float32)).dtype == np.float64


def wide() -> bool:
    return (6, 24) in [one.shape for one in bp.TransformerBlock(6, 2).parameters()]


def penalty(kind: Callable[..., float]) -> tuple[float, np.ndarray]:
    """Of the numbers 3, 0 and -4 at strength a half, and what it adds to the gradient 1."""
    one = bp.Parameter([3.0, 0.0, -4.0])
    one.grad[...] = 1.0
    return kind([one], 0.5), one.grad


def dropped(p: float) -> float:
    return float(np.mean(bp.Dropout(p, rng=0).forward(np.ones(100_000)) == 0))


def starts(layer: bp.Layer, bound: float) -> bool:
    """All weights are uniform in ±bound."""
    return all(0.95 * bound < np.abs(one.data).max() <= bound for one in layer.parameters())


def standard(y: np.ndarray, axis: Any) -> bool:
    return np.allclose(y.mean(axis=axis), 0, atol=1e-6) and np.allclose(y.var(axis=axis), 1, atol=1e-3)


def frozen_stays() -> bool:
    layer = bp.Linear(4, 3, rng=0)
    before = layer.weight.data.copy()
    layer.weight.requires_grad = False
    optimizer = bp.SGD(layer.parameters(), lr=0.1, momentum=0.5, weight_decay=0.1)
    back(layer, X)
    optimizer.step()
    return not layer.weight.grad.any() and np.array_equal(layer.weight.data, before)


def stays_after_step() -> bool:
    one = number()
    one.grad[...] = 2.0
    bp.SGD([one], lr=0.1).step()
    return bool((one.grad == 2).all())


def masked() -> bool:
    """Only the first example counts, in the value and on the way back."""
    loss = bp.MSELoss()
    value = loss.forward(X, OTHER, mask=np.arange(6) == 0)
    return np.isclose(value, np.mean((X - OTHER)[0] ** 2)) and not loss.backward()[1:].any()


def weighted() -> bool:
    """Terms of a class count by its weight; what is ignored does not count."""
    terms = bp.CrossEntropyLoss("none").forward(X[:, :3], LABELS)
    weight = np.array([1.0, 2.0, 4.0])
    loss = bp.CrossEntropyLoss(weight=weight, ignore_index=0)
    here, counts = LABELS != 0, weight[LABELS]
    return np.isclose(loss.forward(X[:, :3], LABELS), (terms * counts)[here].sum() / counts[here].sum())


def rates(schedule: bp.Schedule, *steps: int) -> list[float]:
    return [round(schedule.rate(t), 6) for t in steps]


def added_to(decay: float) -> list[float]:
    """Weights of 1 after a step of Adam at slope -2: a decay of 2 cancels it."""
    one = number()
    optimizer = bp.Adam([one], lr=0.1, weight_decay=decay)
    one.grad[...] = -2.0
    optimizer.step()
    return one.data.ravel().tolist()


def fan() -> bool:
    """400 inputs, 100 outputs; a slope of 1 on both sides halves the square of the bound."""
    bounds = []
    for settings in ({}, {"a": 1.0}, {"mode": "fan_out"}):
        one = bp.Parameter(np.zeros((400, 100)))
        bp.kaiming_uniform_(one, rng=0, **settings)
        bounds.append(np.abs(one.data).max())
    return np.allclose(np.square(bounds), [6 / 400, 3 / 400, 6 / 100], rtol=1e-2)


def gathered() -> tuple[list[float], list[float]]:
    """RMSprop at slope 2: without and with the mean under the root, then with momentum."""
    settings: dict[str, Any] = {"alpha": 0.75, "eps": 0.0}
    plain, apart = (moved(1, bp.RMSprop, centered=centered, **settings) for centered in (False, True))
    return plain + apart, moved(2, bp.RMSprop, momentum=0.5, **settings)


def largest_so_far() -> bool:
    """After a slope of 4, that of 1 is divided by the 4's average."""
    ways = []
    for amsgrad in (False, True):
        one = number(0.0)
        optimizer = bp.Adam([one], lr=1.0, betas=(0.0, 0.0), eps=0.0, amsgrad=amsgrad)
        for slope in (4.0, 1.0):
            before, one.grad[...] = one.data[0, 0], slope
            optimizer.step()
        ways.append(float(before - one.data[0, 0]))
    return ways == [1.0, 0.25]


def in_a_new_order() -> bool:
    loader = bp.DataLoader(np.arange(50.0), np.arange(50), 50, rng=0)
    (first, _), (second, _) = (next(iter(loader)) for _ in range(2))
    return not np.array_equal(first, second) and set(first) == set(second) == set(range(50))


def waits(patience: int) -> int:
    """Epochs until it stops, if only the first is better, and the others by too little."""
    stop = bp.EarlyStopping(net(), patience, min_delta=0.5, monitor="loss")
    return next(n for n in range(1, 20) if stop([{"loss": 3.0 - 0.1 * n}]))


def later_is_hidden() -> bool:
    layer = bp.MultiHeadAttention(4, 2, causal=True, rng=0)
    layer.forward(np.cos(np.arange(12.0)).reshape(1, 3, 4))
    assert layer.weights is not None
    return not np.triu(layer.weights[0, 0], 1).any() and bool(np.tril(layer.weights[0, 0] + 1).any())


def last_state() -> bool:
    layer, x = bp.RNN(4, 3, rng=0), np.cos(np.arange(24.0)).reshape(1, 6, 4)
    y = layer.forward(x)
    assert layer.state is not None
    ends = np.array_equal(layer.state, y[:, -1])
    two = layer.forward(x, None, [2])
    return bool(ends and not two[:, 2:].any() and not layer.backward(np.ones_like(two))[:, 2:].any())


def counted() -> bool:
    x = np.arange(12.0).reshape(1, 6, 2)
    return bp.Last().forward(x, [3]).tolist() == [[4.0, 5.0]]


def exchanged() -> bool:
    shapes = [bp.Tensor(np.ones((2, 3, 4))).mT.shape, bp.Tensor(np.ones((2, 3, 4))).T.shape]
    return [*shapes, bp.Tensor(np.ones(3)).mT.shape] == [(2, 4, 3), (4, 3, 2), (3,)]


def adds_up() -> bool:
    x = bp.Value(3.0)
    between = x * x
    y = between * 2.0
    y.backward()
    y.backward()
    return x.grad == 24.0 and between.grad == 2.0


PROMISED: dict[tuple[str, str], Callable[[], Any]] = {
    ("l2_penalty", "Half the strength times the sum of squares"): lambda: penalty(bp.l2_penalty)[0] == 6.25,
    ("l2_penalty", "Adds its gradient"): lambda: penalty(bp.l2_penalty)[1].tolist() == [2.5, 1.0, -1.0],
    ("l1_penalty", "The strength times the sum of absolute values"): lambda: penalty(bp.l1_penalty)[0] == 3.5,
    ("l1_penalty", "(0 at 0)"): lambda: penalty(bp.l1_penalty)[1].tolist() == [1.5, 1.0, 0.5],
    ("Dropout", "Zero a random share p of the entries in training"): lambda: abs(dropped(0.2) - 0.2) < 0.01,
    ("Dropout", "``p`` is the probability of dropping"): lambda: abs(dropped(0.9) - 0.9) < 0.01,
    ("Dropout", "in evaluation a copy of the input"): lambda: np.array_equal(bp.Dropout(0.5).eval()(X), X),
    ("BatchNorm1d", "Each feature with mean 0 and variance 1 over the batch"): lambda: standard(
        bp.BatchNorm1d(4).forward(9 * X), 0
    ),
    ("BatchNorm2d", "one mean and variance per channel"): lambda: standard(
        bp.BatchNorm2d(3).forward(np.cos(np.arange(96.0)).reshape(2, 3, 4, 4)), (0, 2, 3)
    ),
    ("LayerNorm", "Each example with mean 0 and variance 1 over its last axes"): lambda: standard(
        bp.LayerNorm(4).forward(9 * X), 1
    ),
    ("RMSNorm", "divided by the root of its mean square"): lambda: np.allclose(
        (bp.RMSNorm(4).forward(X + 3) ** 2).mean(axis=1), 1
    ),
    ("Conv2d", "Weight and bias start uniform in ±1/sqrt(number of inputs of a window)"): lambda: starts(
        bp.Conv2d(4, 99, 3, rng=0), 1 / 6
    ),
    ("RNN", "all start uniform in ±1/sqrt(hidden_size)"): lambda: starts(bp.RNN(30, 100, rng=0), 0.1),
    ("RNN", "outputs and gradients there are 0"): last_state,
    ("RNN", "is the last state, the start of what follows"): last_state,
    ("RNN", "begins with the state ``start``, zero if there is none"): lambda: np.array_equal(
        bp.RNN(4, 3, rng=0).forward(X[None]), bp.RNN(4, 3, rng=0).forward(X[None], np.zeros((1, 3)))
    ),
    ("Last", "With ``lengths``, the last step that counts"): counted,
    ("Embedding", "normal with mean 0 and standard deviation ``std`` at first"): lambda: (
        abs(bp.Embedding(1000, 10, std=0.5, rng=0).weight.data.std() - 0.5) < 0.01
    ),
    ("MultiHeadAttention", "``causal`` hides what comes later"): later_is_hidden,
    ("Residual", "y = x + f(x)"): lambda: np.allclose(bp.Residual(bp.Tanh())(X), X + np.tanh(X)),
    ("Parameter", "With ``requires_grad`` False grad stays 0, and no optimizer moves the data"): frozen_stays,
    ("Optimizer", "What is frozen does not move"): frozen_stays,
    ("Optimizer.step", "their gradients stay"): stays_after_step,
    ("Layer.to", "returns itself"): lambda: (lambda one: one.to("float32") is one)(net()),
    ("Layer.state_dict", "Copies of all parameters' data"): lambda: (
        lambda one: not np.shares_memory(one.state_dict()["0.weight"], one.parameters()[0].data)
    )(net()),
    ("Tanh", "slope 0 where it rounds to 1 or -1"): lambda: (
        not bp.Tanh().slope(np.array([-40.0, 40.0])).any()
    ),
    ("LeakyReLU", "``negative_slope`` is its alpha"): lambda: bp.LeakyReLU(negative_slope=0.3)(-2.0) == -0.6,
    ("HuberLoss", "Square up to ``delta``, straight beyond"): lambda: (
        bp.HuberLoss(delta=2.0).value_and_slope(np.array([1.0, 2.0, 9.0]), np.zeros(3))[1].tolist()
        == [1.0, 2.0, 2.0]
    ),
    ("Loss", '"mean" (over all entries; over examples for cross-entropy)'): lambda: np.allclose(
        [bp.MSELoss("sum")(X, OTHER) / 24, bp.CrossEntropyLoss("sum")(LOGITS, LABELS) / 6],
        [bp.MSELoss()(X, OTHER), bp.CrossEntropyLoss()(LOGITS, LABELS)],
    ),
    ("Loss.forward", "Only examples where ``mask`` is true count"): masked,
    ("CrossEntropyLoss", "The mean is over all labels except those equal to ``ignore_index``"): weighted,
    ("CrossEntropyLoss", "multiplies each class, and the mean of labels is then weighted"): weighted,
    ("kaiming_uniform_", '``a`` is the leaky slope; mode "fan_out" takes eq:kaiming-out'): fan,
    ("RMSprop", "``centered`` subtracts the squared mean slope under the root"): lambda: (
        gathered()[0] == [0.2, 0.23094]
    ),
    ("RMSprop", "with ``momentum`` the quotients add up to a velocity"): lambda: (
        gathered()[1] == [0.2, round(0.1 + 0.2 / np.sqrt(1.75), 6)]
    ),
    ("Adam", "``weight_decay`` is added to the gradient"): lambda: added_to(2.0) == [1.0] * 6,
    ("Adam", "``amsgrad`` divides by the largest average square so far"): largest_so_far,
    ("DataLoader", "in a new random order each time it is iterated"): in_a_new_order,
    ("CosineAnnealingLR", "From base to ``eta_min`` in T_max steps"): lambda: (
        rates(bp.CosineAnnealingLR(sgd(), 5, eta_min=0.02), 0, 5) == [0.1, 0.02]
    ),
    ("LinearWarmup", "From base / steps up to base in ``steps`` steps"): lambda: (
        rates(bp.LinearWarmup(sgd(), 4), 0, 3, 9) == [0.025, 0.1, 0.1]
    ),
    ("ExponentialLR", "base times gamma at every step"): lambda: (
        rates(bp.ExponentialLR(sgd(), 0.5), 0, 1, 2) == [0.1, 0.05, 0.025]
    ),
    ("clip_grad_norm_", "Shorten the gradient of all parameters to max_norm"): lambda: np.isclose(
        np.linalg.norm(clipped(2.0)[1]), 1
    ),
    ("EarlyStopping", "better than the best so far by more than ``min_delta``"): lambda: waits(2) == 3,
    ("EarlyStopping", "Stops after ``patience`` epochs without one"): lambda: waits(5) == 6,
    ("Tensor.mT", "The last two axes exchanged; a single axis stays"): exchanged,
    ("Tensor.T", "All axes in reverse"): exchanged,
    ("Value.backward", "In leaves, grad adds up over several calls"): adds_up,
    ("Value.backward", "in all that stands between, it starts anew"): adds_up,
    ("gradcheck", "Expect below 1e-7, or 1e-12 with ``complex_step_gradient``"): found_error,
    ("numerical_gradient", "result as x, always float64"): always_float64,
    ("gradient_descent", "result (steps + 1, *x.shape); row 0 is x itself"): path,
    ("ReLU", "the slope at 0 is 0"): lambda: bp.ReLU().slope(np.zeros(1)) == 0,
    ("L1Loss", "the slope at 0 is 0"): lambda: not back(bp.L1Loss(), X, X).any(),
    ("GELU", "off by up to 5e-4"): off_by,
    ("Parameter", "grad starts at 0"): lambda: not number().grad.any(),
    ("Tensor", "integers become float64"): lambda: bp.Tensor([1, 2]).data.dtype == np.float64,
    ("Tensor", "In a leaf ``grad`` is an array like data after ``backward``; else None"): kept_by_leaves,
    ("gradients", "of zeros where y does not depend on an input, or was made under no_grad"): no_slopes,
    ("LSTM", "columns, in the order i, f, g, o"): gates,
    ("LSTM", "the output h, then the cell c"): gates,
    ("GRU", "columns, in the order r, z, n"): updates,
    ("BatchNorm1d", "``running_var`` (divided by N-1)"): unbiased,
    ("BatchNorm1d", "``momentum`` is the weight of the newest batch in them"): newest,
    ("RMSNorm", "``eps`` None means the smallest step of the input's precision"): smallest_step,
    ("MaxPool2d", "stride is kernel_size if not given"): lambda: (
        bp.MaxPool2d(2).forward(IMAGES).shape[3] == 2
    ),
    ("MaxPool2d", "Where numbers tie, the first gets the gradient"): lambda: (
        back(bp.MaxPool2d(4), IMAGES)[0, 0].nonzero() == (0, 0)
    ),
    ("AvgPool2d", "a border counts as zeros"): lambda: (
        bp.AvgPool2d(2, padding=1).forward(IMAGES)[0, 0, 0, 0] == 0.25
    ),
    ("TransformerBlock", "4 * embed_dim unless given"): wide,
    ("Embedding", "``backward`` returns zeros in their shape"): lambda: (
        back(bp.Embedding(3, 2), [0, 2]).tolist() == [0, 0]
    ),
    ("clip_grad_norm_", "leaves alone what is not finite"): lambda: np.isinf(clipped(np.inf)[1]).all(),
    ("clip_grad_norm_", "Returns its length before"): lambda: np.isclose(clipped(2.0)[0], 24**0.5),
    ("Optimizer", "``lr`` is the learning rate"): lambda: moved(2) == [0.2, 0.2],
    ("SGD", "``dampening`` takes a share from each new gradient but the first"): lambda: (
        moved(2, momentum=0.5, dampening=0.25) == [0.2, 0.25]
    ),
    ("Adagrad", "``lr_decay`` shortens step t by 1 + (t-1) lr_decay"): decays,
    ("Adagrad", "the sum of squares begins at ``initial_accumulator_value``"): lambda: (
        moved(1, bp.Adagrad, initial_accumulator_value=12.0) == [0.05]
    ),
    ("Schedule.step", "Count one step and set the optimizer's learning rate"): counts,
    ("StepLR", "base times gamma once every ``step_size`` steps"): counts,
    ("DataLoader", "The last batch may be smaller, unless ``drop_last``"): last_batch,
    ("EarlyStopping", 'lower for ``mode`` "min", higher for "max"'): improves,
    ("TransformerBlock", "pre-norm"): normalised_before,
    ("CosineAnnealingLR", "Beyond T_max it rises again"): rises_again,
    ("MultiHeadAttention", "``attn_mask`` keys where it is True"): hides,
}


def owners() -> Iterator[tuple[str, str]]:
    """(name, docstring in one line) of all that is public."""
    for name, thing in vars(bp).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != bp.__name__ or not callable(thing):
            continue
        found = {name: thing}
        if inspect.isclass(thing):
            found |= {f"{name}.{key}": one for key, one in vars(thing).items() if key[0] != "_"}
        for key, one in found.items():
            if isinstance(getattr(one, "__doc__", None), str):
                yield key, " ".join(inspect.cleandoc(one.__doc__).split())


DOCS = dict(owners())


# What may stand between claims: it joins them, refers to another docstring, or explains.
BETWEEN = re.compile(
    r"All schedules|as \w+(?:\.\w+)?(?: does)?(?=[.;,])"
    r"|\(it remembers only its last forward\)|\b(?:[Rr]aises?|and|or)\b|[.,; ]"
)


def untold(docs: dict[str, str]) -> list[str]:
    """What is claimed here and not there, and errors that are named there and not tried here."""
    claims = [(owner, said) for owner, all_said in RAISED.items() for said in all_said]
    gone = [f"{owner}: {said}" for owner, said in [*claims, *PROMISED] if said not in docs.get(owner, "")]
    for owner, text in docs.items():
        sentences = re.findall(r"(?:All schedules )?\b[Rr]aises? .*?(?:\.(?= [A-Z>])|$)", text)
        named = re.findall(r"[A-Z]\w+Error", " ".join(sentences))
        tried = re.findall(r"[A-Z]\w+Error", " ".join(RAISED.get(owner, {})))
        if owner not in ELSEWHERE and sorted(named) != sorted(tried):
            gone.append(f"{owner} names {named}, tried are {tried}")
        rest = " ".join(sentences)
        for said in sorted(RAISED.get(owner, {}), key=len, reverse=True):
            rest = rest.replace(said, "")
        if owner not in ELSEWHERE and BETWEEN.sub("", rest):
            gone.append(f"{owner}: {rest} is not tried")
    return gone


def test_each_claim_stands_in_its_docstring_and_each_error_here() -> None:
    assert untold(DOCS) == []


@pytest.mark.parametrize("owner", RAISED)
def test_it_raises_what_it_says(owner: str) -> None:
    for said, calls in RAISED[owner].items():
        errors = re.findall(r"[A-Z]\w+Error", said) or re.findall(r"[A-Z]\w+Error", " ".join(RAISED[owner]))
        raised = set()
        for call in calls:
            with pytest.raises(Exception) as caught:
                call()
            raised.add(caught.type)
        named = {getattr(builtins, error) for error in errors}
        assert raised <= named and (raised == named or not re.search("Error", said)), said


@pytest.mark.parametrize("call", TAKEN)
def test_on_the_other_side_of_a_limit_it_does_not(call: Call) -> None:
    call()


@pytest.mark.parametrize(("owner", "said"), PROMISED)
def test_it_does_what_it_says(owner: str, said: str) -> None:
    assert PROMISED[owner, said]()


MISTAKES = [
    ("complex_step_gradient", "Raises TypeError where f", "Raises ValueError where f"),
    ("Dropout", "0 <= p < 1", "0 < p <= 1"),
    ("BatchNorm1d", "while training", "in evaluation"),
    ("Optimizer", "differ in dtype", "differ in shape"),
    ("l1_penalty", "as l2_penalty does", "KeyError for a word"),
    ("DataLoader", "batch_size below 1", "batch_size below 2"),
    ("fit", "Raises FloatingPointError before", "Raises ValueError before"),
    ("Linear", "Raises ValueError for an input of another shape.", ""),
    ("Flatten", "One row", "Raises TypeError for a scalar. One row"),
    ("GELU", "5e-4", "5e-5"),
    ("LSTM", "i, f, g, o", "i, f, o, g"),
    ("l2_penalty", "Half the strength", "The strength"),
    ("l1_penalty", "0 at 0", "1 at 0"),
    ("Dropout", "probability of dropping", "probability of keeping"),
    ("Conv2d", "1/sqrt(number", "1/(number"),
    ("Adam", "added to the gradient", "added to the step"),
    ("EarlyStopping", "the best so far by", "the one before by"),
]


@pytest.mark.parametrize(("owner", "right", "wrong"), MISTAKES)
def test_another_claim_is_found(owner: str, right: str, wrong: str) -> None:
    assert right in DOCS[owner]
    assert untold({**DOCS, owner: DOCS[owner].replace(right, wrong)})
