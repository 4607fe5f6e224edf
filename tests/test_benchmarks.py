"""What the benchmark compares computes the same; how long it takes is not tested."""

from __future__ import annotations

import runpy
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import backprop_core as bp
import book
import gemm
import naive
import ours
import tape
from literate.chapter import ROOT
from worker import check, peak
from workloads import GROWING, WORKLOADS, Workload, lenet, lstm, small_mlp, transformer_block

RUN = runpy.run_path(str(ROOT / "benchmarks" / "run.py"))


@pytest.mark.parametrize("name", WORKLOADS)
def test_naive_numpy_computes_the_same(name: str) -> None:
    work = WORKLOADS[name](batch=4)
    np.testing.assert_allclose(check(naive, work), check(ours, work), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("what", GROWING)
def test_what_grows_computes_the_same_and_grows(what: str) -> None:
    work = GROWING[what](1)
    np.testing.assert_allclose(check(naive, work), check(ours, work), rtol=1e-9, atol=1e-9)
    once, twice, four = (multiplications(GROWING[what](n)) for n in (1, 2, 4))
    assert twice > 1.6 * once and four > 1.8 * twice


TAPED = [name for name in WORKLOADS if WORKLOADS[name]().measured == "tape"]


@pytest.mark.parametrize("name", TAPED)
def test_the_tape_computes_the_same(name: str) -> None:
    work = WORKLOADS[name](batch=4)
    np.testing.assert_allclose(check(tape, work), check(ours, work), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["d", "e"])
def test_the_gradients_matter(name: str) -> None:
    first, *_, last = check(ours, WORKLOADS[name](batch=4))
    assert last < first - 0.01


@pytest.mark.parametrize(
    ("implementation", "name"),
    [*product([ours, naive], WORKLOADS), *product([tape], TAPED)],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_float32_stays_float32(implementation: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work = WORKLOADS[name](batch=4).astype("float32")
    inside = []  # ours returns the loss as a float, so its networks are watched

    class Watched(bp.Network):
        def forward(self, *x: Any) -> np.ndarray:
            y = super().forward(*x)
            inside.extend([y, *(array for p in self.parameters() for array in (p.data, p.grad))])
            return y

        def accumulate(self, *grad_output: Any) -> None:
            super().accumulate(*grad_output)
            assert self.criterion
            inside.append(self.criterion.backward())

    if implementation is ours:
        monkeypatch.setattr(bp, "Network", Watched)
    results = implementation.build(work)()
    results = [*(result for result in results if hasattr(result, "dtype")), *inside]
    assert {result.dtype for result in results} == {np.dtype("float32")}


def test_workers_agree() -> None:
    workers = [RUN["Worker"]("ours"), RUN["Worker"]("naive")]
    RUN["agree"](workers, "a")
    for worker in workers:
        worker.process.communicate()


def test_a_wrong_program_is_refused() -> None:
    def fake(name: str, losses: list[float]) -> SimpleNamespace:
        return SimpleNamespace(name=name, ask=lambda *request: losses)

    with pytest.raises(SystemExit, match="workload a: naive computes"):
        RUN["agree"]([fake("ours", [2.0, 1.0]), fake("naive", [2.0, 1.00000001])], "a")


@pytest.mark.parametrize(
    ("given", "message"),
    [(["--workloads", "a,z"], "unknown workload 'z'; there are a, b"), (["--rounds", "2"], "at least 3")],
)
def test_wrong_options_are_named(given: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        RUN["arguments"](given)
    assert message in capsys.readouterr().err


def test_ratios_are_taken_within_a_round() -> None:
    rounds = [{"ours": 1.0, "naive": 2.0}, {"ours": 8.0, "naive": 4.0}, {"ours": 3.0, "naive": 3.0}]
    assert RUN["ratio"](rounds, "ours", "naive") == "1.00 [0.50–2.00]"
    assert RUN["ratio"](rounds, "ours", "torch_eager") == "–"
    assert RUN["ratio"](rounds, "ours", "ours") == "–"


def multiplications(work: Workload) -> int:
    return sum(out.size * left.shape[-1] for left, _, out in gemm.products(work))


def test_only_the_unavoidable_products() -> None:
    shapes = [(left.shape, right.shape) for left, right, _ in gemm.products(small_mlp())]
    assert shapes == [
        ((32, 64), (64, 64)), ((64, 32), (32, 64)),  # no gradient of the data
        ((32, 64), (64, 10)), ((64, 32), (32, 10)), ((32, 10), (10, 64)),
    ]  # fmt: skip
    assert multiplications(lstm()) == 31 * 32 * 128 * 512 * 3 + 1024 * (64 * 512 * 2 + 128 * 10 * 3)
    assert multiplications(transformer_block()) == 1024 * 3 * (128 * 1536 + 2 * 64 * 128 + 128 * 10)
    forward = [(left.shape, right.shape) for left, right, _ in gemm.products(lenet(batch=1))][:5:2]
    assert forward == [((6, 25), (25, 784)), ((16, 150), (150, 100)), ((150, 16), (16, 100))]


def test_the_peak_of_memory_repeats() -> None:
    work = small_mlp().astype("float32")
    peak(ours, work)  # what is made once stays
    # Other threads of the test run may hold some hundred bytes.
    assert peak(ours, work) == pytest.approx(peak(ours, work), rel=0.01, abs=2048)


@pytest.mark.parametrize("edit", [book.SENTENCE, book.EQUATION, book.CELL])
def test_what_the_benchmark_changes_stands_in_the_book(edit: tuple[str, str, str]) -> None:
    file, old, new = edit
    assert old in (ROOT / file).read_text(encoding="utf-8") and old != new
