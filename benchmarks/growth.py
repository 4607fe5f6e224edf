"""How a training step grows: its time and its memory beside those of its matrix products alone.

Prints a table in Markdown and draws growth.svg, beside this file; see README.md there.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from run import Worker, agree, measure
from workloads import GROWING, TIMES

FIGURE = Path(__file__).with_suffix(".svg")
ROUNDS = 15
COLUMNS = ["what grows", "with 1 ×", *(f"time, {n} ×" for n in TIMES), *(f"memory, {n} ×" for n in TIMES)]


def ratios(what: str, ours: Worker, naive: Worker, products: Worker) -> tuple[list[float], list[float], bool]:
    """Our time and our memory, divided by those of the products, at each size; and whether it was quiet."""
    times, peaks, quiet = [], [], True
    for n in TIMES:
        name = f"{what}-{n}"
        agree([ours, naive], name)
        rounds, undisturbed = measure([ours, products], name, "float32", ROUNDS)
        times.append(statistics.median(one["ours"] / one["gemm"] for one in rounds))
        peaks.append(ours.ask("peak", name, "float32") / products.ask("peak", name, "float32"))
        quiet &= undisturbed
    return times, peaks, quiet


def draw(found: dict[str, tuple[list[float], list[float]]]) -> None:
    """Level or falling lines: what is not a product does not grow faster than the products."""
    plt.rcParams |= {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 9}
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharex=True)
    for at, (ax, title) in enumerate(zip(axes, ("time of a step", "memory at its peak"), strict=True)):
        for what, values in found.items():
            ax.plot(TIMES, values[at], marker=".", label=what)
        ax.set(xscale="log", title=f"{title}, ours / products alone", xlabel="times as large")
        ax.set_xticks(TIMES, [f"{n} ×" for n in TIMES])
        ax.minorticks_off()
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    fig.tight_layout()
    fig.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    workers = [Worker(name) for name in ("ours", "naive", "gemm")]
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    found = {}
    for what, make in GROWING.items():
        times, peaks, quiet = ratios(what, *workers)
        title = what if quiet else f"{what} (noisy)"
        print(f"| {' | '.join([title, make(1).title, *(f'{n:.2f}' for n in times + peaks)])} |", flush=True)
        found[what] = times, peaks
    draw(found)


if __name__ == "__main__":
    main()
