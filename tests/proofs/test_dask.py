"""The listing of chapter 22 that runs on Dask does what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import backprop_core as bp
from literate.chapter import ROOT

LISTING = re.compile(r"^```py\n(.*?)^```$", re.S | re.M)


def test_the_gradient_of_shards_on_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "book" / "22-beyond.md").read_text()
    (listing,) = (found for found in LISTING.findall(text) if "import dask" in found)
    (tmp_path / "listing.py").write_text(listing)
    monkeypatch.syspath_prepend(tmp_path)  # the worker processes import it by its name
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    import listing as shown  # type: ignore[import-not-found]

    assert sys.modules["listing"] is shown
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(10, 4)), rng.integers(3, size=10)
    net = bp.Network(bp.Linear(4, 5, rng=0), bp.Tanh(), bp.Linear(5, 3, rng=1), loss=bp.CrossEntropyLoss())
    net.loss(x, labels)
    net.accumulate()
    whole = np.concatenate([p.grad.ravel() for p in net.parameters()])
    for workers in (1, 3):
        found = shown.dask_gradient(net, x, labels, workers)
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-15)
