"""The workloads in PyTorch, as its users write them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from workloads import Workload


class LSTM(nn.LSTM):
    """Examples first, the output at all steps, and one bias: the second stays 0."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, batch_first=True)
        nn.init.zeros_(self.bias_hh_l0).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[0]


class TransformerBlock(nn.Module):
    """Causal attention, then a small network for each place; the norms come first."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.norm2, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, steps, d = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, steps, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(found.transpose(1, 2).reshape(n, steps, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


OWN = {"LSTM": LSTM, "TransformerBlock": TransformerBlock}


def build(work: Workload) -> Callable[[], list]:
    """A function that does one step and returns what it computed."""
    torch.set_num_threads(1)
    net = nn.Sequential(*((OWN.get(kind) or getattr(nn, kind))(*sizes) for kind, *sizes in work.layers))
    x, target = torch.from_numpy(work.x), torch.from_numpy(work.target)
    net.to(x.dtype)
    arrays = [array for arrays in work.parameters for array in arrays]
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter, array in zip(learning, arrays, strict=True):
            parameter.copy_(torch.from_numpy(array.T if array.ndim == 2 else array))
    if work.optimizer:
        return _training(net, x, target, getattr(torch.optim, work.optimizer)(learning, lr=work.lr))
    return _passes(net, x.requires_grad_(), target)


def _training(
    net: nn.Module, x: torch.Tensor, labels: torch.Tensor, optimizer: torch.optim.Optimizer
) -> Callable[[], list]:
    def step() -> list:
        loss = F.cross_entropy(net(x).flatten(0, -2), labels.flatten())
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
