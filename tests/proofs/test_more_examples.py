"""What make test tries with fewer examples."""

from __future__ import annotations

from tests.test_merge import test_as_the_chain as as_the_chain


def test_as_the_chain() -> None:
    as_the_chain(examples=500)
