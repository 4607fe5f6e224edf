"""What mkdocs and mkdocs-jupyter would load and do though no page shows it: half a second of each build."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader
from nbconvert.exporters import base, html


class Unparsed(str):
    """In place of a soup: what nbconvert would add to it, ``notebook.tidy`` takes away again."""

    def __new__(cls, page: str, **_: Any) -> Unparsed:
        return super().__new__(cls, page)

    def select(self, _: str) -> tuple[()]:
        return ()


def templates(loader: FileSystemLoader) -> list[str]:
    """All but the hidden ones, thousands of icons, each of which mkdocs would look at and leave out."""
    found: set[str] = set()
    for folder in loader.searchpath:
        for at, inside, files in os.walk(folder):
            inside[:] = [name for name in inside if not name.startswith(".")]
            found.update(Path(at, name).relative_to(folder).as_posix() for name in files)
    return sorted(found)


def spare() -> None:
    """To be called before mkdocs loads its plugins."""
    spec = importlib.util.find_spec("jupytext")
    if spec and spec.loader and "jupytext" not in sys.modules:  # our notebooks are not of its kind
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules["jupytext"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    replaced: Any = base, html, FileSystemLoader
    replaced[0].get_export_names = lambda *_: []  # which would load them all
    replaced[1].BeautifulSoup = Unparsed
    replaced[2].list_templates = templates
