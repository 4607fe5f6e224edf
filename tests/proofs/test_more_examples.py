"""What make test tries with fewer examples."""

from __future__ import annotations

from tests.test_chapter import test_mutated_chapters as mutated_chapters
from tests.test_merge import test_as_the_chain as as_the_chain


def test_as_the_chain() -> None:
    as_the_chain(examples=500)


def test_mutated_chapters() -> None:
    mutated_chapters(examples=500)
