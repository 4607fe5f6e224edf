"""Chapters are test files: see scripts/literate/prove/pytest_plugin.py."""

import gc
import os

import pytest

pytest_plugins = ["literate.prove.pytest_plugin"]

for library in ("OMP", "OPENBLAS", "MKL"):  # the tests already run side by side
    os.environ[f"{library}_NUM_THREADS"] = "1"


def pytest_collection() -> None:
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected stays until the end: nobody need look through it for what has gone."""
    gc.freeze()
    gc.enable()
