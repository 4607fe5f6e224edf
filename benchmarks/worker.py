"""One implementation in a process of its own, for as long as the benchmark runs.

``run.py`` writes a request as one line of JSON, [command, workload, dtype], and reads one line back:
{"value": …, "cpu": seconds of processor time that this process has used}.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np

from workloads import GROWN, WORKLOADS, Workload

BLOCK = 0.06  # seconds


@cache
def load(name: str, dtype: str) -> Workload:
    return (WORKLOADS | GROWN)[name]().astype(dtype)


def check(implementation: ModuleType, work: Workload) -> list[float]:
    """What four steps compute: the losses; an array becomes one number, the product with a fixed vector."""
    step = implementation.build(work)
    results = [np.ravel(result) for _ in range(4) for result in step()]
    return [float(result @ np.cos(np.arange(result.size))) for result in results]


def block(implementation: ModuleType, work: Workload) -> float | None:
    """The median time of a step, over at least three steps and 60 ms; training starts anew."""
    step = implementation.build(work)
    if step is None:
        return None
    times = [time.perf_counter()]
    while len(times) <= 3 or times[-1] - times[0] < BLOCK:
        step()
        times.append(time.perf_counter())
    return float(np.median(np.diff(times)))


def peak(implementation: ModuleType, work: Workload) -> int:
    """The most bytes that NumPy and Python hold at once during the second step, without the data."""
    tracemalloc.start()
    step = implementation.build(work)
    step()
    gc.collect()  # what was needed for building only
    tracemalloc.reset_peak()
    step()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


COMMANDS: dict[str, Callable] = {"check": check, "block": block, "peak": peak}


def main(name: str) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for line in sys.stdin:
        implementation = importlib.import_module(name)
        command, *workload = json.loads(line)
        value = COMMANDS[command](implementation, load(*workload))
        print(json.dumps({"value": value, "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
