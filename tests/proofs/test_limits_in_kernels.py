"""All that a cell must not do, in kernels: each takes seconds to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_limits import IN_KERNELS, kernels, short
from tests.test_limits import test_in_a_kernel as check

__all__ = ["kernels", "short"]


@pytest.mark.parametrize("name", IN_KERNELS)
def test_in_kernels(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)
