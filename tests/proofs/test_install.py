"""``pip install .`` gives the module, with NumPy alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

import backprop_core as bp
from literate.chapter import ROOT

Python = Callable[..., str]


def copied(source: Path) -> Path:
    """What the package is made of, in a folder of its own: setuptools builds in place."""
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "backprop_core.py"):
        shutil.copyfile(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Python of a new environment into which only this project was installed."""
    folder = tmp_path_factory.mktemp("install")
    source = copied(folder / "source")
    venv.create(folder / "venv", with_pip=True)

    def python(*arguments: str) -> str:
        """What it prints, errors included."""
        command = [str(folder / "venv" / "bin" / "python"), *arguments]
        ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    python("-m", "pip", "install", "--quiet", str(source))
    return python


def test_numpy_is_the_only_dependency(python: Python) -> None:
    installed = python("-c", "from importlib.metadata import *; print(*[d.name for d in distributions()])")
    assert set(installed.split()) - {"pip", "setuptools"} == {"backprop-core", "numpy"}


def test_a_wheel_is_the_same_whenever_it_is_built(
    python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    wheels = []
    for day in (1, 2):
        source = copied(tmp_path / f"source{day}")
        for path in source.iterdir():
            os.utime(path, (0, 1_700_000_000 + day * 86_400))
        made = tmp_path / f"wheel{day}"
        python("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(made), str(source))
        (wheel,) = made.iterdir()
        wheels.append((wheel.name, wheel.read_bytes()))
    assert wheels[0] == wheels[1]
    assert wheels[0][0] == f"backprop_core-{bp.__version__}-py3-none-any.whl"


def test_importing_prints_nothing(python: Python) -> None:
    assert python("-W", "error", "-c", "import backprop_core") == ""


def test_importing_loads_only_numpy_and_the_standard_library(python: Python) -> None:
    loaded = python(
        "-c",
        "import sys, numpy.random; before = set(sys.modules)\n"
        "import backprop_core\n"
        "new = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "print(*new - sys.stdlib_module_names - {'numpy'})",
    )
    assert loaded.split() == ["backprop_core"]
