"""What mkdocs and mkdocs-jupyter would load and do though no page shows it: half a second of each build."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

from jinja2 import FileSystemLoader
from nbconvert.exporters import html


class Unparsed(str):
    """In place of a soup: what nbconvert would add to it, ``notebook.tidy`` takes away again."""

    def __new__(cls, page: str, **_: Any) -> Unparsed:
        return super().__new__(cls, page)

    def select(self, _: str) -> tuple[()]:
        return ()


def listed(loader: FileSystemLoader) -> list[str]:
    """The files of a theme, but for those in hidden folders, which mkdocs leaves out: 14,000 icons."""
    found = set()
    for path in loader.searchpath:
        for folder, inner, names in os.walk(path, followlinks=loader.followlinks):
            inner[:] = [name for name in inner if not name.startswith(".")]
            found |= {os.path.relpath(os.path.join(folder, name), path) for name in names}
    return sorted(name.replace(os.path.sep, "/") for name in found)


def spare() -> None:
    """For the process of a build, before mkdocs loads its plugins."""
    html.BeautifulSoup = Unparsed  # type: ignore[misc, assignment]  # there is no switch for it
    FileSystemLoader.list_templates = listed  # type: ignore[assignment]  # nor for this
    spec = importlib.util.find_spec("jupytext")
    if spec and spec.loader and "jupytext" not in sys.modules:  # loaded when asked for, and nobody asks
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules["jupytext"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
