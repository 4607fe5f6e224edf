"""What make test tries with fewer examples."""

from __future__ import annotations

from tests.test_chapter import test_mutated_chapters as mutated_chapters


def test_mutated_chapters() -> None:
    mutated_chapters(examples=500)
