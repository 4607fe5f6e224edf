"""Chapter 7 says that its network learns the spirals for every seed that was tried: here are ten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from literate.chapter import BOOK
from literate.prove.session import Session


@pytest.fixture(scope="module")
def chapter() -> Iterator[dict[str, Any]]:
    """The names of chapter 7 once all its cells have run."""
    with Session.of(BOOK / "07-network.md") as session:
        session.run_to(len(session.chapter.cells))
        yield session.namespace


@pytest.mark.parametrize("seed", range(10))
def test_spirals(chapter: dict[str, Any], seed: int) -> None:
    assert chapter["train_spirals"](seed) >= 97


def test_digits(chapter: dict[str, Any]) -> None:
    assert chapter["ours"] >= 97
    assert abs(chapter["ours"] - chapter["theirs"]) < 2
