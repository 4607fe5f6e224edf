"""What goes wrong with an equation, as messages an author can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .text import Place

if TYPE_CHECKING:
    from .chains import Equation


class MathError(Exception):
    """The equation cannot be read or evaluated, or it does not hold.

    ``side`` says at which side of its chain, where that is known, and ``equation`` in which chain.
    """

    side: int | None = None
    equation: Equation | None = None


@contextlib.contextmanager
def at_side(side: int) -> Iterator[None]:
    """Say at which side of a chain a mistake was found."""
    try:
        yield
    except MathError as error:
        if error.side is None:
            error.side = side
        raise


class Differ(MathError):
    """Both sides have values, and these differ."""


class RowError(MathError):
    """The fault is in a row of a notation table, not in the equation."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@contextlib.contextmanager
def at_row(place: Place, what: str = "") -> Iterator[None]:
    """Say at which row of a table a mistake was found, and of what, unless that is known."""
    try:
        yield
    except RowError:
        raise
    except MathError as error:
        raise RowError(place, f"{what}{error}") from None


@contextlib.contextmanager
def told_at(place: Place, code: object) -> Iterator[None]:
    """What code of the book raises is a finding at its line."""
    try:
        yield
    except (Redraw, MathError, KeyboardInterrupt):
        raise
    except BaseException as error:  # exit() would end the check, and nobody would know
        raise RowError(place, f"`{code}` raises {type(error).__name__}: {error}") from None


class Redraw(Exception):
    """This draw shows nothing (next to a kink, or not a number): take another."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, at its line of the chapter."""

    place: Place
    what: str  # the label, or the row's symbol
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}: {self.message}"
