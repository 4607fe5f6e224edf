"""Measures a training step of backprop_core beside PyTorch, plain NumPy and its own matrix products.

Prints a table of ratios in Markdown; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
THREADS["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
ALLOCATOR = {  # glibc keeps freed memory, instead of fetching the same pages again at every step
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
    "MALLOC_TOP_PAD_": "67108864",
}
OTHERS = {
    "torch_eager": "PyTorch",
    "jax_jit": "JAX",
    "naive": "naive NumPy",
    "gemm": "products alone",
    "ours": "our layers",
}
LIBRARIES = {"torch_eager": "torch", "jax_jit": "jax"}  # where they are installed
FOREIGN = 0.15  # cores that other processes may use while a round is measured
ENOUGH = 3  # rounds


class Worker:
    """A process that runs one implementation; see worker.py."""

    def __init__(self, name: str) -> None:
        self.name, self.cpu = name, 0.0
        self.process = subprocess.Popen(
            [sys.executable, HERE / "worker.py", name],
            env=os.environ | THREADS | ALLOCATOR | {"PYTHONPATH": str(HERE.parent)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, command: str, workload: str, dtype: str) -> Any:
        """What the command gives: numbers, one number, or nothing; see worker.py."""
        assert self.process.stdout
        print(json.dumps([command, workload, dtype]), file=self.process.stdin, flush=True)
        reply = self.process.stdout.readline()
        if not reply:
            sys.exit(f"{self.name} failed at workload {workload}; its message stands above")
        answer = json.loads(reply)
        self.cpu = answer["cpu"]
        return answer["value"]


def agree(workers: Iterable[Worker], workload: str) -> None:
    """Exit unless all compute the same in float64: a wrong program cannot be fast."""
    computing = [worker for worker in workers if worker.name != "gemm"]
    results = {worker.name: worker.ask("check", workload, "float64") for worker in computing}
    expected = results.pop("ours")
    for name, result in results.items():
        if not np.allclose(result, expected, rtol=1e-9, atol=1e-9):
            sys.exit(f"workload {workload}: {name} computes {result}, ours {expected}")


def busy() -> float:
    """Seconds of processor time that all processes together have used; nan if the system does not tell."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _iowait, *rest = map(int, file.readline().split()[1:9])
    except OSError:
        return math.nan
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def foreign(workers: Iterable[Worker]) -> float:
    return busy() - time.process_time() - sum(worker.cpu for worker in workers)


def measure(workers: Sequence[Worker], workload: str, dtype: str, rounds: int) -> tuple[list[dict], bool]:
    """The times of each round, and whether it was quiet meanwhile; if not, they are those of all rounds."""
    for worker in workers:
        worker.ask("block", workload, dtype)  # the first is slower, and is not counted
    clean: list[dict] = []
    disturbed: list[dict] = []
    while len(clean) < rounds and len(disturbed) < 2 * rounds:
        start, used = time.perf_counter(), foreign(workers)
        shuffled = random.sample(workers, len(workers))
        times = {worker.name: worker.ask("block", workload, dtype) for worker in shuffled}
        share = (foreign(workers) - used) / (time.perf_counter() - start)
        (disturbed if share > FOREIGN else clean).append(times)
    quiet = len(clean) >= ENOUGH
    return (clean if quiet else clean + disturbed), quiet


def ratio(rounds: list[dict], measured: str, other: str) -> str:
    """The measured one over the other: the median of the rounds, and their range."""
    ratios = [times[measured] / times[other] for times in rounds if times.get(other)]
    if not ratios or other == measured:
        return "–"
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}–{max(ratios):.2f}]"


def row(workers: dict[str, Worker], workload: str, dtype: str, rounds: int) -> str:
    work = WORKLOADS[workload]()
    taking_part = [worker for name, worker in workers.items() if name in {work.measured, *OTHERS}]
    agree(taking_part, workload)
    times, quiet = measure(taking_part, workload, dtype, rounds)
    memory = f"{workers[work.measured].ask('peak', workload, dtype) / 2**20:.2f}"
    title = f"{workload}: {work.title}" + ("" if quiet else " (noisy)")
    return f"| {' | '.join([title, *(ratio(times, work.measured, other) for other in OTHERS), memory])} |"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def blas() -> str:
    """The library that multiplies NumPy's matrices."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{built['name']} {built['version']}"
    found: dict[str, Any] = next((info for info in threadpool_info() if info["user_api"] == "blas"), {})
    return f"{found.get('internal_api')} {found.get('version')} ({found.get('architecture')})"


def heading(names: list[str], dtype: str, rounds: int) -> str:
    libraries = ["numpy", *(library for name, library in LIBRARIES.items() if name in names)]
    allocator = ", ".join(f"{name}={value}" for name, value in ALLOCATOR.items())
    columns = ["workload", *(f"ours / {title}" for title in OTHERS.values()), "peak MiB"]
    return "\n".join([
        f"{dtype}, 1 thread, {rounds} rounds; median [lowest–highest], below 1 ours is faster.",
        f"{processor()}; {', '.join(f'{name} {version(name)}' for name in libraries)}; {blas()}.",
        f"{platform.platform()}; {allocator}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ])  # fmt: skip


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = ",".join(WORKLOADS)
    parser.add_argument("--workloads", default=every, help=f"separated by commas (default: {every})")
    parser.add_argument("--rounds", type=int, default=7, help="how many undisturbed rounds (default: 7)")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    options = parser.parse_args(given)
    options.workloads = options.workloads.split(",")
    for name in options.workloads:
        if name not in WORKLOADS:
            parser.error(f"unknown workload {name!r}; there are {', '.join(WORKLOADS)}")
    if options.rounds < ENOUGH:
        parser.error(f"--rounds must be at least {ENOUGH}")
    return options


def main() -> None:
    options = arguments()
    found = [name for name, library in LIBRARIES.items() if importlib.util.find_spec(library)]
    names = ["ours", "tape", "naive", "gemm", *found]
    workers = {name: Worker(name) for name in names}
    print(heading(names, options.dtype, options.rounds), flush=True)
    for workload in options.workloads:
        print(row(workers, workload, options.dtype, options.rounds), flush=True)


if __name__ == "__main__":
    main()
