"""Defaults that a sentence names, held against the signatures of the module."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .inline import FORMULA, defaults_of, number_of

NAMES = {"mu": "momentum", "beta": "betas", "epsilon": "eps", "eta": "lr"}  # of parameters, by their letters
NAME = re.compile(r"`+([A-Za-z_]\w*)(?:=[^`]*)?`+")
FIGURE = re.compile(r"(?<![\w.])(\d+\.\d+(?:e-?\d+)?|\d+e-?\d+|\d+)(?![\w.]|<!--)")


def wrong_defaults(module: Mapping[str, Any], lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """(line, message) for sentences of prose or docstrings that name a default which no signature has."""
    known = _parameters(module)
    for number, line in lines:
        for sentence in re.split(r"(?<=[.;:!?])\s", line):
            if not re.search(r"\bdefaults?\b", sentence) or re.search(
                r"\b(?:PyTorch|library|SciPy)'s\b", sentence
            ):
                continue
            plain = FORMULA.sub(_plain, re.sub(r"\[[^\]]*\]\([^)]*\)|eq:[\w-]+|\S+<!--.*?-->", "", sentence))
            names = [name for name in NAME.findall(plain) if name in known]
            said_of = re.findall(r"`(\w+)=([\d.e-]+)`", plain)
            wrong = [figure for name, figure in said_of if name in known and float(figure) not in known[name]]
            figures = FIGURE.findall(NAME.sub("", plain))
            given = {value for name in names for value in known[name]}
            if names and figures and not any(float(figure) in given for figure in figures):
                wrong += figures
            if wrong:
                said = ", ".join(f"`{name}` {' or '.join(sorted(map(str, known[name])))}" for name in names)
                yield number, f"it names the default {wrong[0]}, but the signatures have {said}"


def _plain(formula: re.Match[str]) -> str:
    """$\\alpha=0.99$ as `alpha=0.99`, $10^{-5}$ as 1e-05, and $h$ as `h`."""
    left, _, right = formula[1].rpartition("=")
    value = number_of(right)
    symbol = re.fullmatch(r"\\?([A-Za-z]+)(?:_.*)?", (left or ("" if value is not None else right)).strip())
    figure = "" if value is None else f"{value:g}"
    if not symbol:
        return figure
    name = NAMES.get(symbol[1], symbol[1])
    return f"`{name}={figure}`" if figure else f"`{name}`"


def _parameters(module: Mapping[str, Any]) -> dict[str, set[float]]:
    """Parameter -> its defaults that are numbers, wherever it occurs."""
    found: dict[str, set[float]] = {}
    for value in module.values():
        functions = [value]
        if isinstance(value, type):
            functions += [one for name, one in vars(value).items() if inspect.isfunction(one)]
        for function in functions:
            for name, numbers in defaults_of(function).items():
                found.setdefault(name, set()).update(numbers)
    return {name: numbers for name, numbers in found.items() if numbers}
