"""What the book says of PyTorch in its boxes "Differs from PyTorch" and in tables, asked of PyTorch itself.

Each sentence stands here as it stands in the book: who changes it there is asked to try it here.
"""

from __future__ import annotations

import gc
import inspect
import io
import math
import pickle
import re
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import backprop_core as bp
from literate.reader import read_book

ONES = np.ones((2, 3))


def linear() -> bool:
    ours, theirs = bp.Linear(3, 5), torch.nn.Linear(3, 5)
    return ours.weight.data.shape == (3, 5) and theirs.weight.shape == (5, 3)


def single_row() -> bool:
    return torch.nn.Linear(3, 5)(torch.ones(3)).shape == (5,)


def softplus() -> bool:
    x = torch.tensor([19.9, 20.1], dtype=torch.float64)
    bent = (torch.nn.Softplus()(x) - x).tolist()
    ours = bp.Softplus().forward(x.numpy()) - x.numpy()
    return "beta" in inspect.signature(torch.nn.Softplus).parameters and bent[0] > 0 == bent[1] < ours[1]


def softmax_axis() -> bool:
    names = [inspect.signature(one).parameters for one in (torch.nn.Softmax, bp.Softmax)]
    return "dim" in names[0] and "axis" in names[1]


def classes() -> bool:
    logits, labels = np.random.default_rng(0).normal(size=(2, 4, 3)), np.array([[0, 1, 2, 0], [1, 1, 0, 2]])
    theirs = torch.nn.CrossEntropyLoss()(torch.tensor(logits).movedim(2, 1), torch.tensor(labels))
    return math.isclose(theirs.item(), bp.CrossEntropyLoss().forward(logits, labels))


def free_targets() -> bool:
    logits, rows = torch.zeros(1, 2), torch.tensor([[0.9, 0.9]])
    return math.isclose(torch.nn.CrossEntropyLoss()(logits, rows).item(), 1.8 * math.log(2), rel_tol=1e-6)


def all_ignored() -> bool:
    loss = torch.nn.CrossEntropyLoss(ignore_index=0)(torch.zeros(1, 2), torch.tensor([0]))
    with pytest.raises(ValueError, match="empty"):
        bp.CrossEntropyLoss(ignore_index=0).forward(np.zeros((1, 2)), np.array([0]))
    return math.isnan(loss.item())


def shuffling() -> bool:
    theirs = inspect.signature(torch.utils.data.DataLoader).parameters["shuffle"].default
    return not theirs and inspect.signature(bp.DataLoader).parameters["shuffle"].default is True


def checking() -> bool:
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    right = torch.autograd.gradcheck(lambda x: x**2, (x,))
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(lambda x: x.detach() ** 2 + 0 * x, (x,))
    wrong = torch.autograd.gradcheck(lambda x: x.detach() ** 2 + 0 * x, (x,), raise_exception=False)
    return right is True and wrong is False and isinstance(bp.gradcheck(bp.Tanh(), ONES, rng=0), float)


class Off(torch.autograd.Function):
    """x w, with the gradients of x and w too large by the two factors."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, *factors: float) -> Any:
        ctx.save_for_backward(x, w)
        ctx.factors = factors
        return x * w

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, w), (a, b) = ctx.saved_tensors, ctx.factors
        return grads[0] * w * a, (grads[0] * x * b).sum(0), None, None


def only_what_it_is_handed() -> bool:
    x, w = torch.rand(4, 3, dtype=torch.float64, requires_grad=True), torch.rand(3, dtype=torch.float64)
    weight = torch.nn.Parameter(w)
    passes = torch.autograd.gradcheck(lambda x: Off.apply(x, weight, 1.0, 7.0), (x,))
    handed = torch.autograd.gradcheck(
        lambda x, w: Off.apply(x, w, 1.0, 7.0), (x, weight), raise_exception=False
    )
    return passes and not handed


class Backwards(torch.autograd.Function):
    """x, with the upstream gradient from end to beginning: right for one of ones."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad.flip(0)


def each_output() -> bool:
    class Turned(bp.Tanh):
        backwards = 0

        def backward(self, grad_output: Any) -> Any:
            Turned.backwards += 1
            return super().backward(grad_output)

    x = torch.rand(3, dtype=torch.float64, requires_grad=True)
    bp.gradcheck(Turned(), np.ones((2, 3)), rng=0)
    passes = torch.autograd.gradcheck(Backwards.apply, (x,), raise_exception=False)
    return not passes and Turned.backwards < 6


def leniency() -> bool:
    x, w = torch.rand(3, dtype=torch.float64, requires_grad=True), torch.rand(3, dtype=torch.float64) + 1

    def passes(factor: float, **tolerance: float) -> bool:
        said = torch.autograd.gradcheck(
            lambda x: Off.apply(x, w, factor, 1.0), (x,), raise_exception=False, **tolerance
        )
        return bool(said)

    strict = {"atol": 1e-7, "rtol": 1e-6}
    return passes(1.0009) and not passes(1.0012) and not passes(1.0009, **strict) and passes(1.0, **strict)


def time_first() -> bool:
    x = torch.ones(7, 2, 3)
    first, second = torch.nn.RNN(3, 5), torch.nn.RNN(3, 5, batch_first=True)
    ours = bp.RNN(3, 5).forward(np.ones((2, 7, 3)))
    shapes = [first(x)[1].shape[1], second(x.movedim(0, 1))[1].shape[1], ours.shape[:2]]
    wrong = first(x.movedim(0, 1))[0]  # raises nothing, and takes the examples for times
    return shapes == [2, 2, (2, 7)] and wrong.shape[:2] == (2, 7)


def masks() -> bool:
    x = torch.randn(1, 3, 4, dtype=torch.float64)
    layer = torch.nn.MultiheadAttention(4, 1, batch_first=True, dtype=torch.float64)
    hidden = torch.zeros(3, 3, dtype=torch.bool)
    hidden[:, 2] = True
    weights = layer(x, x, x, attn_mask=hidden)[1]
    ours = bp.MultiHeadAttention(4, 1, rng=0)
    other = np.concatenate([x.numpy()[:, :2], x.numpy()[:, 2:] + 1], axis=1)
    one, two = (ours.forward(each, attn_mask=hidden.numpy())[:, :2] for each in (x.numpy(), other))
    return not weights[..., 2].any() and np.array_equal(one, two)


def requiring() -> bool:
    return bp.Tensor(1.0).requires_grad and not torch.tensor(1.0).requires_grad


def equals() -> bool:
    x, ours = torch.ones(2, requires_grad=True), bp.Tensor(np.ones(2))
    x.max(0).values.backward()
    share = bp.gradients(ours.max(0), [ours])[0]
    return x.grad is not None and sorted(x.grad.tolist()) == [0, 1] and share.tolist() == [0.5, 0.5]


def states() -> bool:
    _, (h, c) = torch.nn.LSTM(3, 5)(torch.ones(7, 2, 3))
    layer = bp.LSTM(3, 5)
    y = layer.forward(np.ones((2, 7, 3)))
    state = layer.state
    return h.shape == c.shape == (1, 2, 5) and state is not None and np.array_equal(state[:, :5], y[:, -1])


def unused() -> bool:
    x, y = torch.tensor(1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(x * 2, [y])
    with torch.no_grad():
        z = x * 2
    with pytest.raises(RuntimeError):
        torch.autograd.grad(z, [x])
    a, b = bp.Tensor(1.0), bp.Tensor(1.0)
    with bp.no_grad():
        c = a * 2
    return [float(bp.gradients(*pair)[0]) for pair in ((a * 2, [b]), (c, [a]))] == [0, 0]


def may_look() -> bool:
    q, k, v = (torch.tensor(rows)[None] for rows in ([[1.0]], [[1.0], [2.0]], [[3.0], [4.0]]))
    seen = torch.tensor([[True, False]])
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen).item() == 3.0


def skipped() -> bool:
    theta, ours = torch.nn.Parameter(torch.ones(1)), bp.Parameter([1.0])
    theirs, mine = torch.optim.SGD([theta], lr=0.1, momentum=0.9), bp.SGD([ours], lr=0.1, momentum=0.9)
    theta.grad, ours.grad[...] = torch.ones(1), 1.0
    after = []
    for _ in range(2):
        theirs.step()
        mine.step()
        theirs.zero_grad()
        mine.zero_grad()
        after.append((theta.item(), float(ours.data[0])))
    (first, also_first), (second, moved) = after
    same = theta.grad is None and first == second and math.isclose(first, also_first, rel_tol=1e-6)
    return same and not ours.grad.any() and math.isclose(moved, also_first - 0.1 * 0.9)


def in_pieces() -> bool:
    layer, x = torch.nn.Linear(3, 1), torch.rand(4, 3)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    whole = layer.weight.grad.clone()
    layer.zero_grad()
    for piece in (x[:1], x[1:]):
        layer(piece).sum().backward()
    return torch.allclose(layer.weight.grad, whole)


def off_by_the_scale() -> bool:
    theta = torch.nn.Parameter(torch.zeros(1))
    optimizer, scaler = torch.optim.SGD([theta], lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    found = []
    for unscaled in (False, True):
        optimizer.zero_grad()
        scaler.scale((3 * theta).sum()).backward()
        if unscaled:
            scaler.unscale_(optimizer)
        found.append(float(torch.nn.utils.clip_grad_norm_([theta], max_norm=5.0)))
    return found == [3 * 1024, 3]


def first_the_step() -> bool:
    theta = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([theta], lr=0.8)
    first = torch.optim.lr_scheduler.LinearLR(optimizer, 0.25, total_iters=4)
    second = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        first.step()
    return optimizer.param_groups[0]["initial_lr"] == 0.8 and second.base_lrs == [0.8]


def eval_alone() -> bool:
    layer, x = torch.nn.Linear(3, 2).eval(), torch.rand(4, 3)
    alone = layer(x)
    with torch.no_grad():
        other = layer(x)
    return alone.grad_fn is not None and other.grad_fn is None and torch.equal(alone, other)


def gradients_by_hand() -> bool:
    x, w, g = torch.rand(2, 3, 5, 5), torch.rand(4, 3, 2, 2), torch.rand(2, 4, 4, 4)
    x.requires_grad = w.requires_grad = True
    torch.nn.functional.conv2d(x, w).backward(g)
    of_input = torch.nn.grad.conv2d_input(x.shape, w, g)
    of_weight = torch.nn.grad.conv2d_weight(x, w.shape, g)
    assert x.grad is not None and w.grad is not None
    return torch.allclose(of_input, x.grad, atol=1e-5) and torch.allclose(of_weight, w.grad, atol=1e-5)


def folded() -> bool:
    x = torch.ones(1, 1, 3, 3)
    seen = torch.nn.functional.fold(torch.nn.functional.unfold(x, 2), (3, 3), 2)
    return seen[0, 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def on_the_graph() -> bool:
    y = torch.nn.Conv2d(1, 1, 2)(torch.ones(1, 1, 3, 3))
    pooled = torch.nn.functional.max_pool2d_with_indices(torch.arange(4.0).reshape(1, 1, 2, 2), 2)
    nodes = [one.grad_fn for one in (y, torch.nn.MaxPool2d(2)(y))]
    names = [node.name() for node in nodes if node is not None]
    return names == ["ConvolutionBackward0", "MaxPool2DWithIndicesBackward0"] and pooled[1].item() == 3


def same_with_a_stride() -> bool:
    for package in (torch.nn, bp):
        with pytest.raises(ValueError):
            package.Conv2d(1, 1, 3, stride=2, padding="same")
    return True


def put_back() -> bool:
    small = torch.nn.Conv2d(1, 1, 3, stride=2)(torch.ones(1, 1, 8, 8))
    heights = [
        torch.nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=more)(small).shape[2] for more in (0, 1)
    ]
    return small.shape[2] == 3 and heights == [7, 8]


def uncounted() -> bool:
    """Slopes of x k where k is 3 on the way forwards and 100 on the way back, changed in three ways."""
    slopes = []
    for way in ("data", "numpy"):
        x, array = torch.ones(1, requires_grad=True), np.full(1, 3, np.float32)
        factor = torch.from_numpy(array)
        y = x * factor
        (factor.data if way == "data" else array)[0] = 100.0
        y.backward()
        slopes.append(x.grad)
    x, factor = torch.ones(1, requires_grad=True), torch.full((1,), 3.0)
    y = x * factor
    factor[0] = 100.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    return slopes == [100, 100]


def from_there_on() -> bool:
    x = torch.ones(3, requires_grad=True)
    y = x * torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    y.sum().backward()
    single = x * torch.tensor(0.1, dtype=torch.float64)
    kept = x.grad is not None and x.grad.dtype == torch.float32
    return y.dtype == torch.float64 and single.dtype == torch.float32 and kept


def in_between() -> bool:
    seen: list[Any] = []
    x = torch.ones(1, requires_grad=True)
    a = 2 * x
    a.retain_grad()
    a.register_hook(seen.append)
    (3 * a).backward()
    return a.grad == 3 and seen == [3]


def leaves_first() -> bool:
    """What is made last of three that are ready at once: the leaf's node is the oldest of them."""
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    leaf, ran = (2 * a).grad_fn.next_functions[0][0], []
    older, newer = 2 * b, 3 * b
    for name, node in (("older", older.grad_fn), ("newer", newer.grad_fn), ("leaf", leaf)):
        node.register_hook(lambda *_, name=name: ran.append(name))
    torch.cat([older, a, newer]).sum().backward()
    return ran == ["leaf", "newer", "older"]


def reach() -> bool:
    torch.manual_seed(0)
    x = torch.randn(8, 101, 4, dtype=torch.double).requires_grad_()
    torch.nn.RNN(4, 32, batch_first=True).double()(x)[0][:, -1].sum().backward()
    assert x.grad is not None
    sizes = x.grad.norm(dim=(0, 2))
    return sizes.shape == (101,) and 0.4 < (sizes[0] / sizes[80]) ** (1 / 80) < 0.7


def no_cure() -> bool:
    model, first = torch.nn.RNN(4, 8, batch_first=True), torch.zeros(1, 5, 4, requires_grad=True)
    y, h = model(first)
    y.sum().backward(retain_graph=True)
    first.grad = None
    later, h = model(torch.zeros(1, 5, 4), h)
    later.sum().backward(retain_graph=True)
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        model(torch.zeros(1, 5, 4), h)[0].sum().backward()
    return first.grad is not None and bool(first.grad.any())


def counts_as_true() -> bool:
    return bool(1e-9) and not bool(0.0) and isinstance(bp.gradcheck(bp.Tanh(), ONES, rng=0), float)


def transposed() -> bool:
    layer, x = torch.nn.Linear(3, 3).double(), np.random.default_rng(0).normal(size=(4, 3))
    theirs, right = layer.weight.detach().numpy(), []
    ours = bp.Linear(3, 3)
    ours.bias.data[...] = layer.bias.detach().numpy()
    for weight in (theirs, theirs.T):
        ours.load_state_dict(ours.state_dict() | {"weight": weight})
        right.append(np.allclose(ours.forward(x), layer(torch.tensor(x)).detach().numpy()))
    return right == [False, True]


def no_switch() -> bool:
    return bool(np.isfinite(bp.Softplus().forward([1000.0, -1000.0])).all())


def only_probabilities() -> bool:
    with pytest.raises(ValueError, match="expected probabilities"):
        bp.CrossEntropyLoss().forward(np.zeros((1, 2)), np.array([[0.9, 0.9]]))
    return True


def left_out(ours: Any, theirs: Any, *names: str) -> bool:
    """PyTorch takes these options; ours does not."""
    own, other = ({*inspect.signature(one).parameters} for one in (ours, theirs))
    return set(names) <= other - own


def no_place() -> bool:
    for function in (np.sum, lambda x: x + 1):  # their rules need no values
        y = function(x := bp.Tensor(np.ones(3)))
        x.data[0] = 5.0
        with pytest.raises(RuntimeError, match="changed"):
            y.backward(np.ones(y.shape))
    with pytest.raises(TypeError):
        x += 1
    return {"register_hook", "retain_grad"} <= {*dir(torch.Tensor)} - {*dir(bp.Tensor)}


def start_alone() -> bool:
    h = torch.zeros(1, 2, 5, requires_grad=True)
    torch.nn.RNN(3, 5)(torch.ones(7, 2, 3), h)[0].sum().backward()
    layer = bp.RNN(3, 5)
    layer.forward(np.ones((2, 7, 3)), np.zeros((2, 5)))
    return h.grad is not None and layer.backward(np.ones((2, 7, 5))).shape == (2, 7, 3)


def three_axes() -> bool:
    x = torch.ones(2, 3, 4)
    layer, ours = torch.nn.MultiheadAttention(4, 2, batch_first=True), bp.MultiHeadAttention(4, 2)
    layer(x, x, x, attn_mask=torch.zeros(2 * 2, 3, 3))
    with pytest.raises(ValueError, match="that fits"):
        ours.forward(x.numpy(), attn_mask=np.zeros((2 * 2, 3, 3)))
    mask = np.zeros((2, 1, 3, 3), bool)
    mask[1, ..., 2] = True
    ours.forward(x.numpy(), attn_mask=mask)
    assert ours.weights is not None
    return not ours.weights[1, ..., 2].any() and bool(ours.weights[0].all())


def memory_hidden() -> bool:
    ours, mask = bp.MultiHeadAttention(4, 2), np.array([False, True]).reshape(1, 1, 1, 2)
    ours.forward(np.ones((1, 3, 4)), memory=np.ones((1, 2, 4)), attn_mask=mask)
    assert ours.weights is not None
    return not ours.weights[..., 1].any()


def by_xavier() -> bool:
    torch.manual_seed(0)
    layer, plain = torch.nn.MultiheadAttention(64, 2), torch.nn.Linear(64, 64)
    bounds = [one.abs().max().item() for one in (layer.in_proj_weight, layer.out_proj.weight, plain.weight)]
    wanted = [(6 / (64 + 3 * 64)) ** 0.5, 64**-0.5, 64**-0.5]
    zero = not layer.in_proj_bias.any() and not layer.out_proj.bias.any()
    return zero and np.allclose(bounds, wanted, rtol=1e-2) and layer.in_proj_weight.shape == (192, 64)


def nothing_to_look_at() -> bool:
    x = torch.ones(1, 2, 4)
    y = torch.nn.MultiheadAttention(4, 1, batch_first=True)(x, x, x, attn_mask=torch.ones(2, 2).bool())[0]
    ours = bp.MultiHeadAttention(4, 1).forward(x.numpy(), attn_mask=np.ones((2, 2), bool))
    return bool(y.isnan().any()) and bool(np.isfinite(ours).all())


def default_start() -> bool:
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 5)
    torch.manual_seed(0)
    return torch.equal(layer.weight, torch.nn.init.kaiming_uniform_(torch.empty(5, 3), a=math.sqrt(5)))


def dropping() -> bool:
    theirs = torch.nn.Dropout(0.2)(torch.ones(10_000)).numpy()
    ours = bp.Dropout(0.2, rng=0).forward(np.ones(10_000))
    return all(abs(np.mean(y == 0) - 0.2) < 0.02 and np.isclose(y.max(), 1.25) for y in (theirs, ours))


def all_dropped() -> bool:
    with pytest.raises(ValueError, match="< 1"):
        bp.Dropout(1.0)
    return not torch.nn.Dropout(1.0)(torch.ones(9)).any()


def stepped(kind: str, grads: list[float], rates: list[float], **settings: Any) -> list[float]:
    """Where a number at 0 is after such steps, in PyTorch and here."""
    theta, ours = torch.nn.Parameter(torch.zeros(1)), bp.Parameter(np.zeros(1, np.float32))
    theirs = getattr(torch.optim, kind)([theta], lr=rates[0], **settings)
    mine = getattr(bp, kind)([ours], lr=rates[0], **settings)
    for grad, rate in zip(grads, rates, strict=True):
        theta.grad, ours.grad[...] = torch.full((1,), grad), grad
        theirs.param_groups[0]["lr"] = mine.lr = rate
        theirs.step()
        mine.step()
    return [theta.item(), float(ours.data[0])]


def walked(wanted: float, *args: Any, **settings: Any) -> bool:
    return bool(np.allclose(stepped(*args, **settings), wanted, rtol=1e-5))


@np.errstate(over="ignore")
def never_again() -> bool:
    return bool(np.equal(stepped("Adam", [1e21], [0.1]), stepped("Adam", [1e21, 1.0, 1.0], [0.1] * 3)).all())


def own_variance() -> bool:
    theirs, ours, x = torch.nn.BatchNorm1d(1), bp.BatchNorm1d(1), np.array([[0.0], [2.0]])
    for layer, y in ((theirs, theirs(torch.tensor(x).float()).detach()), (ours, ours.forward(x))):
        if abs(float(y[1, 0]) - 1) > 1e-4 or abs(float(layer.running_var[0]) - (0.9 + 0.1 * 2)) > 1e-6:
            return False
    return True


def forget_bias() -> bool:
    torch.manual_seed(0)
    biases = [getattr(torch.nn.LSTM(3, 400), f"bias_{at}_l0")[400:800] for at in ("ih", "hh")]
    return all(one.abs().max() <= 0.05 and abs(one.mean()) < 0.01 for one in biases)


def a_millionth_more() -> bool:
    theta = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    theta.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([theta], 1.0)
    return math.isclose(theta.grad.norm().item(), 5 / (5 + 1e-6), rel_tol=1e-12)


def slope_at(x: Any, function: Callable[[Any], Any]) -> list[float]:
    """PyTorch's gradient of the sum of function(x)."""
    at = torch.tensor(x, requires_grad=True)
    function(at).sum().backward()
    assert at.grad is not None
    return at.grad.ravel().tolist()


def ties() -> bool:
    share, pair = (
        slope_at([2.0, 2.0], torch.amax),
        slope_at([0.0], lambda x: torch.maximum(x, 0 * x.detach())),
    )
    ours, zero = bp.Tensor([2.0, 2.0]), bp.Tensor([0.0])
    larger: Any = np.maximum(zero, 0)
    mine = [*bp.gradients(ours.max(), [ours])[0], *bp.gradients(larger, [zero])[0]]
    return share + pair == mine == [0.5, 0.5, 0.5]


def first_wins() -> bool:
    layer = bp.MaxPool2d(2)
    layer.forward(np.ones((1, 1, 2, 2)))
    theirs = slope_at([[[[1.0, 1.0], [1.0, 1.0]]]], torch.nn.MaxPool2d(2))
    return theirs == layer.backward(np.ones((1, 1, 1, 1))).ravel().tolist() == [1, 0, 0, 0]


def no_number() -> bool:
    slope = slope_at([2.0], lambda n: torch.tensor([-2.0]) ** n)[0]
    n = bp.Value(2.0)
    (bp.Value(-2.0) ** n).backward()
    values = [torch.tensor(1.0) / 0, torch.tensor(0.0).log(), torch.tensor(-8.0) ** (1 / 3)]
    return math.isnan(slope) and math.isnan(n.grad) and not any(math.isfinite(one.item()) for one in values)


def zero_by_agreement() -> bool:
    norm = slope_at([0.0, 0.0], torch.linalg.norm)
    spread = slope_at([2.0, 2.0], lambda x: x.std(correction=0))
    x: Any = bp.Tensor([0.0, 0.0])
    c: Any = bp.Tensor([2.0, 2.0])
    ends: Any = np.linalg.norm(x), np.std(c)
    mine = [*bp.gradients(ends[0], [x])[0], *bp.gradients(ends[1], [c])[0]]
    return norm + spread == mine == [0, 0, 0, 0]


def all_with_all() -> bool:
    with pytest.warns(UserWarning, match="different to the input size"):
        loss = torch.nn.MSELoss()(torch.zeros(3, 1), torch.arange(3.0))
    return loss.shape == ()


def needed_weight() -> bool:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    loss, optimizer = net(torch.ones(3, 2)).sum(), torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    return True


def replayed() -> bool:
    from torch.utils.checkpoint import checkpoint as replay

    x, drop = torch.ones(99, requires_grad=True), torch.nn.Dropout(0.5)
    y = replay(drop, x, use_reentrant=False)
    y.sum().backward()
    return x.grad is not None and torch.equal(x.grad, y)


def kept_for_leaves() -> bool:
    layer, plain, asked = torch.nn.Linear(2, 1), torch.ones(1, 2), torch.ones(1, 2, requires_grad=True)
    (layer(plain) + layer(asked)).sum().backward()
    return None is plain.grad and None not in (layer.weight.grad, asked.grad)


def moved_between_the_passes() -> bool:
    ours, theirs = bp.Linear(3, 2), torch.nn.Linear(3, 2)
    ours.forward(ONES)
    ours.weight.data[...] = 7.0
    answers = theirs(torch.ones(2, 3, requires_grad=True))
    with torch.no_grad():
        theirs.weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        answers.sum().backward()
    return bool(np.all(ours.backward(np.ones((2, 2))) == 14.0))


def refused_after_a_change() -> bool:
    y = torch.nn.Linear(2, 1)(x := torch.ones(1, 2))
    x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    return True


def tensors_only() -> bool:
    state: Any = np.random.RandomState(0).get_state()
    torch.save(state, file := io.BytesIO())
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        torch.load(file)
    file.seek(0)
    return bool(torch.load(file, weights_only=False)[0] == state[0])


def with_its_parameters() -> bool:
    from torch.utils.checkpoint import checkpoint as replay

    layer, weight = torch.nn.Linear(2, 1), bp.Tensor(np.ones(2))
    replay(layer, torch.ones(3, 2), use_reentrant=False).sum().backward()
    with pytest.raises(ValueError, match="no input"):
        bp.checkpoint(lambda x: x @ weight, bp.Tensor(np.ones((3, 2))))
    return layer.weight.grad is not None


def drawn_on_the_cpu() -> bool:
    def draw() -> list[Any]:
        order = [int(x) for x in torch.utils.data.DataLoader([*range(20)], shuffle=True)]
        return [order, torch.nn.Dropout(0.5)(torch.ones(9)).tolist(), torch.nn.Linear(2, 2).weight.tolist()]

    state = torch.get_rng_state()
    first = draw()
    torch.set_rng_state(state)
    return draw() == first != draw()


def same_range() -> bool:
    theirs, ours = torch.nn.Linear(400, 300).weight.detach().numpy().T, bp.Linear(400, 300, rng=0).weight.data
    x = np.random.default_rng(0).normal(size=(50, 400))
    return all(0.0499 < abs(w).max() <= 0.05 and 0.3 < np.mean((x @ w) ** 2) < 0.37 for w in (theirs, ours))


def gone_with_the_last() -> bool:
    class Kept:
        pass

    kept: Any = weakref.WeakSet()
    with torch.autograd.graph.saved_tensors_hooks(lambda _: kept.add(one := Kept()) or one, lambda _: None):
        y = torch.ones(1, requires_grad=True).exp().exp()
    before = len(kept)
    del y
    gc.collect()
    return before == 2 and not kept


@torch.no_grad()
def in_both_modes() -> bool:
    """Layer norm answers alike, batch norm that tracks nothing too, group norm by itself."""
    x = np.random.default_rng(0).normal(3, 2, size=(6, 4)).astype(np.float32)
    for package, of in ((torch.nn, torch.tensor), (bp, np.asarray)):
        for layer in (package.LayerNorm(4), package.BatchNorm1d(4, track_running_stats=False)):
            trained, evaluated = (layer.train(mode)(of(x)) for mode in (True, False))
            if abs(evaluated - trained).max() > 0 or abs(float(evaluated.mean())) > 1e-6:
                return False
    groups, pictures = torch.nn.GroupNorm(2, 4), torch.rand(2, 4, 3, 3)
    apart = torch.cat([groups(pictures[:1]), groups(pictures[1:])])
    return torch.allclose(groups(pictures), apart) and abs(apart[0, :2].mean().item()) < 1e-6


def only_from_one_number() -> bool:
    for ones in (lambda: torch.ones(2, requires_grad=True), lambda: bp.Tensor(np.ones(2))):
        x: Any = ones()
        with pytest.raises((RuntimeError, ValueError)):
            (x * x).backward()
        x.sum().backward()
        if x.grad.tolist() != [1, 1]:
            return False
    return True


def raised_version() -> bool:
    x = torch.ones(2)
    x += 1
    x.data += 1
    return x._version == 1 and uncounted()


def freed() -> bool:
    x = torch.ones(1, requires_grad=True)
    once, kept = x * x, x * x
    for y, keep in ((once, False), (kept, True)):
        y.backward(retain_graph=keep)
    kept.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        once.backward()
    return x.grad is not None and x.grad.item() == 6  # three passes, added up


def dead_channels() -> bool:
    heard: list[Any] = []
    relu = torch.nn.ReLU()
    relu.register_forward_hook(lambda m, i, out: heard.append((out == 0).all(dim=(0, 2, 3)).float().mean()))
    x = torch.ones(5, 4, 3, 3)
    x[:, 0] = -1  # one channel of four
    relu(x)
    return heard == [0.25]


def clipped_before() -> bool:
    net = bp.Network(bp.Linear(2, 1, rng=0), loss=bp.MSELoss())
    before = net.state_dict()
    data = [(np.full((1, 2), 50.0), np.zeros((1, 1)))]
    bp.fit(net, bp.SGD(net.parameters(), lr=1.0), data, epochs=1, max_norm=0.5, verbose=False)
    return math.isclose(
        math.hypot(*np.concatenate([(a - before[n]).ravel() for n, a in net.state_dict().items()])), 0.5
    )


ATTENTION = bp.MultiHeadAttention, torch.nn.MultiheadAttention
BINARY = bp.BCEWithLogitsLoss, torch.nn.BCEWithLogitsLoss
SAID: dict[str, Callable[[], bool]] = {
    "in double precision set `atol=1e-7, rtol=1e-6`": leniency,
    "every error counts as true, and only a perfect 0 fails.": counts_as_true,
    "To carry weights over, transpose them (square ones load either way, and only one is right).": transposed,
    "needs no such switch because `logaddexp` does not overflow": no_switch,
    "Here each row must be probabilities": only_probabilities,
    "The binary loss has no `pos_weight` and no `weight`.": lambda: left_out(*BINARY, "pos_weight", "weight"),
    "There are no in-place operators, no hooks and no `retain_grad`.": no_place,
    "may be changed in place, even if no rule needs it: after `y = x + 1`, a change of": no_place,
    "Our batch comes first.": time_first,
    "PyTorch returns output and state;": states,
    "`start` gets no gradient here.": start_alone,
    "There is no `num_layers`: stack the layers.": lambda: left_out(bp.LSTM, torch.nn.RNNBase, "num_layers"),
    "A mask for each example has four axes here, and three there.": three_axes,
    "Instead of `key_padding_mask` there are `lengths`;": lambda: (
        "key_padding_mask" in inspect.signature(torch.nn.MultiheadAttention.forward).parameters
        and "lengths" in inspect.signature(bp.MultiHeadAttention.forward).parameters
    ),
    "parts of `memory` are hidden by a mask of shape (N, 1, 1, S).": memory_hidden,
    "`in_proj_weight` uniform by Xavier's rule, `out_proj.weight` like any `Linear`, biases 0": by_xavier,
    "Left out are `add_bias_kv`, `add_zero_attn`, `kdim`, `vdim`, and dropout of the weights.": lambda: (
        left_out(*ATTENTION, "add_bias_kv", "add_zero_attn", "kdim", "vdim", "dropout")
    ),
    "A position with nothing to look at may give `nan` there.": nothing_to_look_at,
    "`torch.nn.Linear` stores its weight as `(out_features, in_features)`": linear,
    "PyTorch's layer also takes a single row without a batch axis.": single_row,
    "`torch.nn.Softplus` has a `beta` and becomes a straight line above 20": softplus,
    "What PyTorch calls `dim` is `axis` here": softmax_axis,
    "PyTorch puts the classes on the second axis, `(N, K, …)`; here they are on the last": classes,
    "`torch.nn.CrossEntropyLoss` also takes target rows that do not sum to 1.": free_targets,
    "PyTorch's mean is `nan`; ours says that the batch is empty.": all_ignored,
    "shuffles only with `shuffle=True`. Ours takes arrays, and shuffles unless told not to": shuffling,
    "| returns | True or False, or raises | the error |": checking,
    "require a gradient, **not the module's weights** | the input and every": only_what_it_is_handed,
    "| upstream gradient | each output by itself | one random one |": each_output,
    "by default, a relative error just below 1e-3 passes;": leniency,
    "PyTorch expects time first unless `batch_first=True`; the wrong order raises nothing": time_first,
    "In an `attn_mask`, `True` hides, here and in `torch.nn.MultiheadAttention`": masks,
    "in `scaled_dot_product_attention`, the function above, it means *may look*": may_look,
    "(`requires_grad`; unlike in PyTorch, yes unless told otherwise)": requiring,
    "In `x.max(axis)` equal entries share the gradient; PyTorch's `max(dim)` picks one.": equals,
    "after an optimizer's step it fails, too (*modified by an inplace operation*)": no_cure,
    "ours keep it in `.state`, the LSTM's $h$ and $c$ side by side.": states,
    "for an unused input, and for what was made under `no_grad`, where PyTorch raises an error": unused,
    "PyTorch sets gradients to `None`, and the step skips a parameter without one; ours are zeros": skipped,
    "several before one step add up": in_pieces,
    "in mixed precision, it comes before clipping; otherwise the limit is off by the scale": off_by_the_scale,
    "in the other order PyTorch warns; its base is `initial_lr` in `param_groups`": first_the_step,
    "one gradient each, to check by hand": gradients_by_hand,
    "`fold` adds up what `unfold` has copied": folded,
    "`MaxPool2DWithIndicesBackward0` | `winner` | the indices say which pixel won": on_the_graph,
    "with a stride it is an error, as in PyTorch": same_with_a_stride,
    "`output_padding`, which puts back pixels that a stride left over": put_back,
    "through `.data`, or into the NumPy array behind `torch.from_numpy`, is not counted": uncounted,
    "PyTorch does it for an array with axes, not for a single number": from_there_on,
    "call `y.register_hook(print)` before `backward`, or `y.retain_grad()`, which keeps": in_between,
    "of those that are ready, leaves come first, then the newest": leaves_first,
    "`backward` from the last step, `x.grad.norm(dim=(0, 2))`": reach,
    "with `eval()` alone PyTorch still stores, for every held-out batch, what": eval_alone,
    # outside of boxes that say "differs"
    "In single precision, PyTorch's default,": lambda: torch.get_default_dtype() == torch.float32,
    "(At a tie each input gets one half, as in `torch.maximum`.)": ties,
    "This book, like PyTorch, gives it the shape of": lambda: (
        torch.nn.Linear(2, 3).weight.shape[::-1] == bp.Linear(2, 3).weight.grad.shape
    ),
    "PyTorch raises an error if backward needs that weight;": needed_weight,
    "We take 0, as `torch.relu` does.": lambda: slope_at([0.0], torch.relu) == [bp.ReLU().slope(0.0)] == [0],
    '`GELU("tanh")` replaces $\\Phi$ by a tanh of nearly the same shape, as in PyTorch.': lambda: np.allclose(
        torch.nn.GELU("tanh")(torch.tensor([-1.5, 0.7])), bp.GELU("tanh").forward([-1.5, 0.7])
    ),
    "PyTorch prints a warning and trains on": all_with_all,
    "`0.weight`, `0.bias`, `2.weight`, as in `torch.nn.Sequential`.": lambda: (
        [*bp.Network(*[bp.Linear(1, 1)] * 0, bp.Linear(2, 2), bp.Tanh(), bp.Linear(2, 2)).state_dict()]
        == [*torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2)).state_dict()]
    ),
    "`torch.nn.Linear` starts with `kaiming_uniform_(weight, a=math.sqrt(5))`.": default_start,
    "PyTorch and this book keep the learning rate out of the velocity": lambda: walked(
        -0.1 - 0.2 * 1.9, "SGD", [1.0, 1.0], [0.1, 0.2], momentum=0.9
    ),
    "As in PyTorch, ε is added *after* the root": lambda: walked(-0.1 * 2 / 3, "Adam", [2.0], [0.1], eps=1.0),
    "**Adam**'s first step, as in PyTorch:": lambda: walked(-0.1, "Adam", [7.0], [0.1]),
    "PyTorch's `param_groups` may change during training.": lambda: not hasattr(bp.SGD, "add_param_group"),
    "PyTorch squares first (and divides by $r+10^{-6}$).": a_millionth_more,
    "the parameter never moves again, here as in PyTorch.": never_again,
    "Here as in PyTorch `p`, our $\\rho$, is the probability of *dropping*, and the scaling": dropping,
    "PyTorch allows `p=1`.": all_dropped,
    "A weight is skipped only when its gradient is `None`, as PyTorch's `zero_grad()` leaves it.": skipped,
    "a batch is normalised with its own variance @eq:bn-variance, divided by $N$. The": own_variance,
    "as in PyTorch, the first in reading order gets everything.": first_wins,
    "will keep only those of leaves, like PyTorch.": lambda: (
        (y := 2 * torch.ones(1, requires_grad=True)).backward() is None and not y.is_leaf
    ),
    "the slope in the exponent is `nan`, as in PyTorch.": no_number,
    "the cube root of $-8$, PyTorch gives `inf` or `nan`;": no_number,
    "`np.maximum(x, 0)` has slope ½ at 0, as in PyTorch;": ties,
    "Equal entries share the gradient of a maximum over an axis, too, as in PyTorch's `amax`.": ties,
    "a length has no slope there; its gradient is 0 by agreement, as in PyTorch": zero_by_agreement,
    "| nothing to do: 0 by agreement, as in PyTorch |": zero_by_agreement,
    "The weights and biases start in the same range as PyTorch's": same_range,
    "A linear layer that starts as PyTorch's do passes on a third of the mean square": same_range,
    "`kaiming_uniform_` gives PyTorch's default, and our `Linear`'s, number for number": default_start,
    "Far out, our `Tanh` has slope 0, like PyTorch's.": lambda: (
        slope_at([30.0], torch.tanh) == [bp.Tanh().slope(30.0)] == [0]
    ),
    "the graph lives as long as its last array, as in PyTorch.": gone_with_the_last,
    "Keras's default, not PyTorch's": forget_bias,
    "`torch.utils.checkpoint.checkpoint(f, x, use_reentrant=False)`, which restores the random": replayed,
    "PyTorch allows this to a module with its parameters": with_its_parameters,
    "dropout and starting weights there; torchvision's turns and cuts | `cpu` |": drawn_on_the_cpu,
    "for pictures `.all(dim=(0, 2, 3))`": dead_channels,
    "| `track_running_stats=False` | the same | statistics of the batch also in `eval()` |": in_both_modes,
    "| `torch.nn.functional.layer_norm` | `_RowNorm` | the same in both modes |": in_both_modes,
    "| `torch.nn.GroupNorm` | none | groups of channels of one picture |": in_both_modes,
    "| `backward()` without argument: only for a single number, starts with 1 |": only_from_one_number,
    "an in-place operation is recorded and raises the version;": raised_version,
    "compares what was saved, and refuses (writing through `.data` goes unseen)": raised_version,
    "what it saved is freed, unless `retain_graph=True`; a second pass that needs it fails": freed,
    "| `grad` of leaves | `grad` | adds up until it is cleared |": freed,
    "| `clip_grad_norm_(model.parameters(), c)` | `max_norm=…` | before the step |": clipped_before,
    "as `layer.weight.grad`, and $\\frac{\\partial L}{\\partial X}$ only if you ask for it": kept_for_leaves,
    "PyTorch keeps $X$ itself, and refuses to go back if it has been changed.": refused_after_a_change,
    "PyTorch raises an error if backward needs that weight; ours goes back through the new one.": (
        moved_between_the_passes
    ),
    "PyTorch stores its weights transposed": linear,
    "The slope computed from this output is exactly 0, in PyTorch as well": lambda: (
        slope_at([40.0], torch.sigmoid) == [0] < list(bp.Sigmoid().slope([40.0]))
    ),
    "with `weights_only=True`, now the default, `torch.load` unpickles nothing but tensors": tensors_only,
    "PyTorch counts the changes of each tensor.": raised_version,
    "PyTorch keeps the graph in nodes behind its tensors, and each node names those that": lambda: (
        (y := torch.ones(1, requires_grad=True) * 2).exp().grad_fn.next_functions[0][0] is y.grad_fn
    ),
}


@pytest.fixture(scope="module")
def text() -> str:
    lines = "\n".join(chapter.text for chapter in read_book()).split("\n")
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("sentence", SAID)
def test_the_sentence_stands_in_the_book_and_is_true(text: str, sentence: str) -> None:
    assert sentence in text, "the book says something else now; try that here"
    assert SAID[sentence]()


# Sentences of boxes that say why, or what to do.
REASONS = (
    "| What | PyTorch's | Ours |",
    "hence the two `.T` above.",
    "We store `(in_features, out_features)`, because then code and @eq:linear look alike.",
    "Ours takes one sequence, and perhaps a `memory`, instead of queries, keys and values.",
)
BOX = re.compile(r'^!!! \w+ "([^"]*)"\n((?:(?:    .*)?\n)+)', re.MULTILINE)
SENTENCE = re.compile(r".+?(?:[.;)](?=\s+(?:- )?[A-Z`a-z])|\|(?= \|)|$)")  # or a row of a table
PYTORCH = re.compile(r"PyTorch|torch\.")
CLAIM = re.compile(  # outside of boxes
    r"\b(?:as|like|unlike)(?: in)? (?:PyTorch|`torch)|PyTorch's,? (?:\w+ )?default"
    r"|default,? (?:but )?not PyTorch|PyTorch (?:allows|gives|raises|squares|prints)"
    r"|PyTorch (?:keeps|stores|counts)|now the default|in PyTorch as well",
    re.IGNORECASE,
)
PLAIN = (  # what such words say beside the point
    "| PyTorch | as PyTorch draws them | it is the default;",
    "What has to change to let whole arrays onto the tape, as in PyTorch?",
    "`gradients`, like `torch.autograd.grad`, returns those of any Tensors",
    "### What PyTorch keeps",
)


def untried(text: str) -> list[str]:
    """The sentences that no claim above has a part of: all of boxes on differences, others that compare."""
    boxes = [(" ".join(box.split()), "iffer" in title) for title, box in BOX.findall(text)]
    parts = [(plain, is_apart, PYTORCH) for plain, is_apart in boxes]
    code = r"(?ms)^```.*?^```$|^\$\$.*?^\$\$.*?$|<!--.*?-->"
    parts.append((" ".join(re.sub(code, "", BOX.sub("", text)).split()), False, CLAIM))
    found = []
    for plain, is_whole, claim in parts:
        known = [one for one in (*SAID, *REASONS, *PLAIN) if one in plain]
        tried = [(plain.find(one), plain.find(one) + len(one)) for one in known]
        found += [
            one[0].strip()
            for one in SENTENCE.finditer(plain)
            if (re.search(r"\w", one[0]) if is_whole else claim.search(one[0]))
            and not any(start < one.end() and one.start() < stop for start, stop in tried)
        ]
    return found


WRONG = [
    ("has four axes here, and three there", "has three axes here, and four there"),
    ("uniform by Xavier's rule", "uniform by Kaiming's rule"),
    ("`start` gets no gradient here", "`start` gets a gradient here"),
    ("`kdim`, `vdim`, and dropout", "`kdim`, `bdim`, and dropout"),
    ("(weight, a=math.sqrt(5))`.", "(weight, a=math.sqrt(3))`."),
    ("PyTorch allows `p=1`.", "PyTorch refuses `p=1`."),
    ("Keras's default, not PyTorch's", "PyTorch's default, not Keras's"),
    ("divides by $r+10^{-6}$", "divides by $r+10^{-8}$"),
    ("with `weights_only=True`, now", "with `weights_only=False`, now"),
    ("PyTorch keeps $X$ itself", "PyTorch keeps a copy of $X$"),
    ("exactly 0, in PyTorch as well", "exactly 1, in PyTorch as well"),
]


def test_each_sentence_of_a_box_is_tried() -> None:
    whole = "\n".join(chapter.text for chapter in read_book())
    assert len(BOX.findall(whole)) > 20 and untried(whole) == []
    for right, wrong in WRONG:
        assert right in whole and untried(whole.replace(right, wrong)), right
