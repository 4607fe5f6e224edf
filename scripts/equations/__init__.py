"""Hold the equations of a text against the code that it is about.

The LaTeX that the reader sees is read with the notation table that the reader
sees, evaluated on random draws, and compared with what the module computes.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pytest_items import Wrong, equation_items

__all__ = ["Wrong", "equation_items"]


def __getattr__(name: str) -> Any:
    """Load them when they are asked for: whoever only compares needs no grammar."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import pytest_items

    return getattr(pytest_items, name)
