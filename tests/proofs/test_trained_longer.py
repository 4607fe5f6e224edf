"""What chapters 19 and 21 say of networks that are trained otherwise than on their pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from literate.chapter import BOOK
from literate.prove.session import Session

EPOCHS = "epochs=8, validation", "epochs=24, validation"
SCHEDULE = "CosineAnnealingLR(optimizer, 8)", "CosineAnnealingLR(optimizer, 24)"


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """Those of chapter 19, up to where it compares its towers."""
    with Session.of(BOOK / "19-depth.md") as session:
        cells = session.chapter.cells
        (comparing,) = (i for i, cell in enumerate(cells) if "learned, reached" in cell.source)
        session.run_to(comparing)
        yield session.namespace


def test_a_residual_tower_learns(names: dict[str, Any]) -> None:
    assert names["learn"](*names["starts"]["residual"], 0)[1][1] > 0.5


@pytest.mark.parametrize("start", ["plain", "plain, Kaiming", "residual, Kaiming"])
def test_other_rates_do_not_help(names: dict[str, Any], start: str) -> None:
    """Chapter 19: three of its towers guess at ten times, a tenth and a hundredth of its rate, too."""
    for lr in (2e-2, 2e-4, 2e-5):
        assert names["learn"](*names["starts"][start], 0, lr)[1][1] < 0.2


def test_a_plain_tower_that_keeps_the_size_does_not_learn(
    names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chapter 19: its weights keep the size, its biases are 0, and it hardly learns."""
    drawn = names["stacked"]

    def kept(kind: Any, start: str, rng: Any) -> list:
        blocks = drawn(kind, start, rng)
        for first, _, last in blocks:
            last.weight.data /= 2**0.5
            first.bias.data[...] = last.bias.data[...] = 0
        return blocks

    monkeypatch.setitem(names, "stacked", kept)
    plain = names["Network"], "Kaiming"
    assert 0.02 < names["sizes"](*plain)[-1] < 50
    assert all(names["learn"](*plain, seed)[1][1] < 0.4 for seed in (0, 1))
    assert names["learn"](names["Residual"], "PyTorch", 0)[1][1] > 0.5


def test_three_times_as_long() -> None:
    """Chapter 21: trained three times as long, its network beats the table of triples."""
    with Session.of(BOOK / "21-attention.md") as session:
        cells = session.chapter.cells
        (training,) = (i for i, cell in enumerate(cells) if EPOCHS[0] in cell.source)
        assert SCHEDULE[0] in cells[training].source
        session.run_to(training)
        names = session.namespace
        exec(cells[training].source.replace(*EPOCHS).replace(*SCHEDULE), names)
        assert len(names["history"]) == 24
        assert names["history"][-1]["validation_loss"] < names["trigram"].mean() - 0.1
