"""All that a cell must not do, in kernels and in the tests' own processes: each takes seconds to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_limits import DYING, IN_KERNELS, kernels, short
from tests.test_limits import test_a_death_is_told_with_its_place as death
from tests.test_limits import test_in_a_kernel as misbehaviour

__all__ = ["kernels", "short"]


@pytest.mark.parametrize("name", IN_KERNELS)
def test_in_kernels(name: str, tmp_path: Path) -> None:
    misbehaviour(name, tmp_path)


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "workers"])
@pytest.mark.parametrize("name", DYING)
def test_deaths(name: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    death(name, options, tmp_path, monkeypatch)
