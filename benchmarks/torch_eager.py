"""The workloads in PyTorch, as its users write them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from workloads import Workload


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    torch.set_num_threads(1)
    net = nn.Sequential(*(getattr(nn, kind)(*sizes) for kind, *sizes in work.layers))
    x, target = torch.from_numpy(work.x), torch.from_numpy(work.target)
    net.to(x.dtype)
    arrays = [array for arrays in work.parameters for array in arrays]
    with torch.no_grad():
        for parameter, array in zip(net.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array.T if array.ndim == 2 else array))
    if work.optimizer:
        return _training(net, x, target, getattr(torch.optim, work.optimizer)(net.parameters(), lr=work.lr))
    return _passes(net, x.requires_grad_(), target)


def _training(
    net: nn.Module, x: torch.Tensor, labels: torch.Tensor, optimizer: torch.optim.Optimizer
) -> Callable[[], list]:
    def step() -> list:
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return [loss.item()]

    return step


def _passes(net: nn.Module, x: torch.Tensor, grad_output: torch.Tensor) -> Callable[[], list]:
    def step() -> list:
        x.grad = None
        net.zero_grad()
        y = net(x)
        y.backward(grad_output)
        return [y.detach(), x.grad, *(parameter.grad for parameter in net.parameters())]

    return step
