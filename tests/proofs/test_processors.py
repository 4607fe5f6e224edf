"""What the text says of trained networks holds on other processors, too.

Sums are added up in another order there, exponentials end in another bit, and many steps of training multiply
the difference. The settings choose OpenBLAS's kernels and forbid NumPy some of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np

from literate.chapter import ROOT
from literate.reader import read_book

TRAINS = ("SGD", "Adam", "fit(")  # one of them stands in a cell
FOUND: Any = np.show_config(mode="dicts")
OTHER = {
    "OPENBLAS_CORETYPE": "Sandybridge",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4" if "X86_V4" in FOUND["SIMD Extensions"].get("found", []) else "",
}
TRAINED = "not eq: and not notation"  # tables and equations are held against random numbers
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TRAINED]


def test_numbers_of_trained_networks() -> None:
    texts = {one.path: "".join(cell.source for cell in one.python[1:]) for one in read_book()}
    trained = [str(path) for path, text in texts.items() if any(word in text for word in TRAINS)]
    assert len(trained) > 10
    done = subprocess.run(
        [*PYTEST, *trained], cwd=ROOT, env=os.environ | OTHER, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:]
