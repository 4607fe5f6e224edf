"""What mkdocs-jupyter would load and do though no page shows it: half a second of each build."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from nbconvert.exporters import base, html


class Unparsed(str):
    """In place of a soup: what nbconvert would add to it, ``notebook.tidy`` takes away again."""

    def __new__(cls, page: str, **_: Any) -> Unparsed:
        return super().__new__(cls, page)

    def select(self, _: str) -> tuple[()]:
        return ()


def spare() -> None:
    """To be called before mkdocs loads its plugins."""
    spec = importlib.util.find_spec("jupytext")
    if spec and spec.loader and "jupytext" not in sys.modules:  # our notebooks are not of its kind
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules["jupytext"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    replaced: Any = base, html
    replaced[0].get_export_names = lambda *_: []  # which would load them all
    replaced[1].BeautifulSoup = Unparsed
