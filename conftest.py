"""Chapters are test files: see scripts/literate/prove/pytest_plugin.py."""

import os

pytest_plugins = ["literate.prove.pytest_plugin"]

for library in ("OMP", "OPENBLAS", "MKL"):  # the tests already run side by side
    os.environ[f"{library}_NUM_THREADS"] = "1"
