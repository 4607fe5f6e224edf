"""What chapter 23 says that PyTorch's messages mean: each is provoked by the cause that its row names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from literate.chapter import BOOK

X = torch.ones(3)


def weight() -> torch.Tensor:
    return torch.ones(3, requires_grad=True)


def under_no_grad() -> None:
    with torch.no_grad():
        loss = (weight() * X).sum()
    loss.backward()


def through_item() -> None:
    torch.tensor((weight() * X).sum().item()).backward()


def through_argmax() -> None:
    (weight() * X).argmax().backward()


def carried_state() -> None:
    w, state = weight(), X
    for _ in range(2):
        state = torch.tanh(w * state)
        state.sum().backward()


def two_losses() -> None:
    shared = torch.tanh(weight())
    shared.sum().backward()
    shared.prod().backward()


def added_in_place() -> None:
    y = torch.tanh(weight())
    y += 1
    y.sum().backward()


def bent_in_place() -> None:
    y = torch.tanh(weight())
    torch.nn.functional.relu(y, inplace=True)
    y.sum().backward()


def stepped_between() -> None:
    w = weight()
    loss = (w * w).sum()
    torch.optim.SGD([w], lr=0.1).step(lambda: loss.backward(retain_graph=True))
    loss.backward()


def changed_by_hand() -> None:
    w = weight()
    w += 1


def many_numbers() -> None:
    torch.tanh(weight()).backward()


NO_GRAPH = "element 0 of tensors does not require grad and does not have a grad_fn"
AGAIN = "Trying to backward through the graph a second time"
IN_PLACE = "modified by an inplace operation"
CAUSES: list[tuple[str, Callable[[], None]]] = [
    (NO_GRAPH, under_no_grad),
    (NO_GRAPH, through_item),
    (NO_GRAPH, through_argmax),
    (AGAIN, carried_state),
    (AGAIN, two_losses),
    (IN_PLACE, added_in_place),
    (IN_PLACE, bent_in_place),
    (IN_PLACE, stepped_between),
    ("a leaf Variable that requires grad is being used in an in-place operation", changed_by_hand),
    ("grad can be implicitly created only for scalar outputs", many_numbers),
]


@pytest.mark.parametrize(("message", "cause"), CAUSES)
def test_the_message_has_that_cause(message: str, cause: Callable[[], None]) -> None:
    assert f"| `{message}` |" in (BOOK / "23-clinic.md").read_text(encoding="utf-8")
    with pytest.raises(RuntimeError, match=message):
        cause()


def test_a_gradient_of_what_is_no_leaf_is_not_kept() -> None:
    message = "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed"
    assert f"| `{message}` |" in (BOOK / "23-clinic.md").read_text(encoding="utf-8")
    y = torch.tanh(weight())
    y.sum().backward()
    with pytest.warns(UserWarning, match=message):
        assert y.grad is None


@pytest.mark.parametrize("cut", ["data", "new"])
def test_a_graph_is_cut_without_a_word(cut: str) -> None:
    text = (BOOK / "23-clinic.md").read_text(encoding="utf-8")
    assert "`.data`, `.detach()` or `torch.tensor(loss.item(), requires_grad=True)` cuts the graph" in text
    w, bias = weight(), weight()
    if cut == "data":
        (torch.tanh(w).data * bias).sum().backward()
        assert bias.grad is not None
    else:
        torch.tensor((w * X).sum().item(), requires_grad=True).backward()
    assert w.grad is None


def test_a_target_of_another_shape_only_warns() -> None:
    text = (BOOK / "23-clinic.md").read_text(encoding="utf-8")
    assert "*Using a target size* | output $(N,1)$, target $(N)$" in text
    with pytest.warns(UserWarning, match="Using a target size"):
        loss = torch.nn.functional.mse_loss(torch.zeros(3, 1), torch.tensor([1.0, 2.0, 3.0]))
    assert loss.item() == pytest.approx((1 + 4 + 9) / 3)


def test_the_cures() -> None:
    w, state = weight(), X
    for _ in range(2):
        state = torch.tanh(w * state.detach())
        state.sum().backward()
    y = torch.tanh(weight())
    y.retain_grad()
    y.mean().backward()
    assert y.grad is not None
    with torch.no_grad():
        w += 1
    x = torch.zeros(2, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="nan"), pytest.warns():
        torch.where(x > 0, x.sqrt() * x, x).sum().backward()
