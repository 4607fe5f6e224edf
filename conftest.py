"""Chapters are test files: see scripts/literate/prove/pytest_plugin.py."""

import gc
import os
from collections.abc import Generator

import pytest

pytest_plugins = ["literate.prove.pytest_plugin"]

for library in ("OMP", "OPENBLAS", "MKL"):  # the tests already run side by side
    os.environ[f"{library}_NUM_THREADS"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What was collected stays until the end: nobody need look through it for what has gone.

    Nor so often through what stays a while, as chapters do that were read.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()
