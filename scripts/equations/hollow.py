"""Rows whose code does the mathematics itself: with the module poisoned, their values stay the same.

All that the code of a row calls in the module is made to return three times what it should, and to leave
three times what it should in the objects that it changes. Of a gradient only the backward is poisoned:
``dW = X.T @ dY`` gives the right value then, too, whether it stands alone, beside a call of the module,
or is written into the layer's own array.
"""

import ast
import builtins
import contextlib
import functools
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from .environment import Environment, own
from .errors import MathError, Redraw
from .notation import Definition, Notation
from .slicing import Slice

FACTOR = 3.0
BACKWARD = re.compile(r"\w*backward|(?:.*_)?(?:gradients?|slopes?|penalty|[jv]vp|hvp)")
# What the objects of a class are made for.
ACTING = ("__call__", "forward", "step", "rate", "__array_ufunc__", "__getitem__")
DEPTH = 8  # how far objects are followed


def keeps_its_value(notation: Notation, row: Definition, env: Environment, is_gradient: bool) -> bool:
    """Whether a computed row has the same value with the module poisoned. Redraw if it has none here."""
    slice_ = notation.slice_for(row.id)
    assert slice_ is not None
    inputs = {
        name: env.named(name) for name in sorted(slice_.reads) if not callable(notation.constants.get(name))
    }
    right = _run(slice_, notation.constants, inputs)
    names = _called(slice_)
    if is_gradient:
        names = {name for name in names if BACKWARD.fullmatch(name)}
    with poisoned(notation.constants, names) as constants:
        try:
            wrong = _run(slice_, constants, inputs)
        except MathError:  # it cannot do without
            return False
    return _equal(right, wrong)


def _run(slice_: Slice, constants: Any, inputs: dict[str, Any]) -> Any:
    return slice_.run({**constants, **{name: own(value) for name, value in inputs.items()}}, {})


def _equal(right: Any, wrong: Any) -> bool:
    one, other = np.asarray(right), np.asarray(wrong)
    if one.shape != other.shape or one.dtype.kind not in "biufc":
        return False
    if not np.any(one):
        raise Redraw("all of it is 0")
    return bool(np.allclose(one, other, rtol=1e-9, atol=0, equal_nan=True))


def _called(slice_: Slice) -> set[str]:
    """Names that are called, or handed on, in the statements."""
    nodes = (node for statement in slice_.nodes for node in ast.walk(statement))
    return slice_.names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


# -- poison ---------------------------------------------------------------------------


@contextlib.contextmanager
def poisoned(constants: Any, names: Collection[str]) -> Iterator[dict[str, Any]]:
    """The namespace with these functions, methods and classes changed; classes are changed in place."""
    changed = dict(constants)
    before: dict[tuple[type, str], Any] = {}
    classes = [value for value in constants.values() if isinstance(value, type)]
    for name in names:
        value = constants.get(name)
        if callable(value) and not isinstance(value, type) and name != "kronecker":
            changed[name] = _wrong(value)
    for owner in classes:
        wanted = set(names)
        if owner.__name__ in names:
            methods = {name for one in owner.__mro__ for name in vars(one)}
            wanted |= methods & set(ACTING) or {"__init__"}
        for name in wanted:
            home = next((one for one in owner.__mro__ if name in vars(one)), None)
            if home in classes and callable(vars(home)[name]):
                before[home, name] = vars(home)[name]
    try:
        for (owner, name), function in before.items():
            setattr(owner, name, _wrong(function))
        yield changed
    finally:
        for (owner, name), function in before.items():
            setattr(owner, name, function)


def _wrong(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrong(*arguments: Any, **options: Any) -> Any:
        found = function(*arguments, **options)
        seen: set[int] = {id(one) for one in arguments if isinstance(one, np.ndarray)}
        for one in (*arguments, *options.values()):
            if not isinstance(one, np.ndarray):
                _spoil(one, seen, DEPTH)
        return _scaled(found)

    return wrong


def _scaled(x: Any) -> Any:
    if isinstance(x, float | complex) or (isinstance(x, np.ndarray) and x.dtype.kind in "fc"):
        return x * FACTOR
    if isinstance(x, list | tuple):
        return type(x)(map(_scaled, x)) if type(x) in (list, tuple) else x
    _spoil(x, set(), 2)
    return x


def _spoil(x: Any, seen: set[int], depth: int) -> None:
    """Scale, in place, the arrays that an object holds."""
    if id(x) in seen or not depth:
        return
    seen.add(id(x))
    if isinstance(x, np.ndarray):
        if x.dtype.kind in "fc" and x.flags.writeable:
            x *= FACTOR
    elif isinstance(x, list | tuple | dict):
        for one in x.values() if isinstance(x, dict) else x:
            _spoil(one, seen, depth - 1)
    elif not isinstance(x, type) and type(x) not in vars(builtins).values():
        for name, value in _attributes(x):
            if isinstance(value, float) or (isinstance(value, np.ndarray) and not value.flags.writeable):
                with contextlib.suppress(AttributeError):
                    setattr(x, name, _scaled(value))
            else:
                _spoil(value, seen, depth - 1)


def _attributes(x: Any) -> list[tuple[str, Any]]:
    slots = [name for cls in type(x).__mro__ for name in getattr(cls, "__slots__", ())]
    held = {**getattr(x, "__dict__", {}), **{name: getattr(x, name) for name in slots if hasattr(x, name)}}
    return list(held.items())
