"""``pip install .`` gives the module, with NumPy alone."""

from __future__ import annotations

import shutil
import subprocess
import venv
from collections.abc import Callable

import pytest

from literate.chapter import ROOT

pytestmark = pytest.mark.xdist_group("install")

Python = Callable[..., str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Python of a new environment into which only this project was installed."""
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"  # setuptools builds in place
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "backprop_core.py"):
        shutil.copy(ROOT / name, source)
    venv.create(folder / "venv", with_pip=True)

    def python(*arguments: str) -> str:
        """What it prints, errors included."""
        command = [folder / "venv" / "bin" / "python", *arguments]
        ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    python("-m", "pip", "install", "--quiet", str(source))
    return python


def test_numpy_is_the_only_dependency(python: Python) -> None:
    installed = python("-c", "from importlib.metadata import *; print(*[d.name for d in distributions()])")
    assert set(installed.split()) - {"pip", "setuptools"} == {"backprop-core", "numpy"}


def test_importing_prints_nothing(python: Python) -> None:
    assert python("-W", "error", "-c", "import backprop_core") == ""


def test_importing_loads_only_numpy_and_the_standard_library(python: Python) -> None:
    loaded = python(
        "-c",
        "import sys, numpy; before = set(sys.modules)\n"
        "import backprop_core\n"
        "new = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "print(*new - sys.stdlib_module_names - {'numpy'})",
    )
    assert loaded.split() == ["backprop_core"]
