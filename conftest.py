"""Chapters are test files: see scripts/literate/prove/pytest_plugin.py."""

import gc
import os
from collections.abc import Generator

import pytest
from _pytest.runner import runtestprotocol

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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A worker sends one report of a test that passes, not six messages: they cost more than most tests."""
    if not hasattr(item.config, "workerinput"):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or report.duration > 0.01:  # as --durations wants it
            item.ihook.pytest_runtest_logreport(report=report)
    return True
