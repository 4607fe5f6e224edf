"""What make test tries with fewer examples."""

from __future__ import annotations

from typing import Any

import pytest

from backprop_core import Tensor, Value
from tests.test_chapter import test_mutated_chapters as mutated_chapters
from tests.test_merge import test_as_the_chain as as_the_chain
from tests.test_tape import test_depth as depth


def test_mutated_chapters() -> None:
    mutated_chapters(examples=500)


def test_as_the_chain() -> None:
    as_the_chain(examples=500)


@pytest.mark.parametrize("kind", [Value, Tensor])
def test_depth(kind: Any) -> None:
    depth(kind, depth=100_000)
