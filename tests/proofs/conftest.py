"""The book and what its equations say, once for all proofs."""

from __future__ import annotations

import pytest

from equations.book import Book
from literate.chapter import Chapter
from literate.reader import read_book
from literate.tangle.module import Module, tangle


@pytest.fixture(scope="session")
def chapters() -> list[Chapter]:
    return read_book()


@pytest.fixture(scope="session")
def module(chapters: list[Chapter]) -> Module:
    return tangle(chapters)


@pytest.fixture(scope="session")
def book(chapters: list[Chapter], module: Module) -> Book:
    return Book(chapters, module.namespace())


# The longest begin first: a worker takes a file at a time, and none is to wait for another at the end.
FIRST = "browser module_mutants equations_long clinic_seeds prefix processors worked_long".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = [f"test_{name}" for name in FIRST]
    items.sort(key=lambda item: names.index(item.path.stem) if item.path.stem in names else len(names))
