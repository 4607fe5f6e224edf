"""Chapters are test files: see scripts/chapter_tests.py."""

import os

pytest_plugins = ["chapter_tests"]

for library in ("OMP", "OPENBLAS", "MKL"):  # the tests already run side by side
    os.environ[f"{library}_NUM_THREADS"] = "1"
