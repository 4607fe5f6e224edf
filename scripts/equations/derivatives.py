"""Derivatives through the code: its forward, changed a little at each entry."""

import ast
from collections.abc import Callable

import numpy as np

from .differences import Function
from .environment import Environment
from .errors import MathError, Redraw, RowError
from .stand_ins import any_loss_gradient

FEW = 4  # entries up to which each is differenced


def gradient(top: str, bottom: str, env: Environment) -> np.ndarray:
    """∂top/∂bottom of two symbols, through the code's forward."""
    if (top, bottom) not in env.jacobians:
        rows = env.notation.rows
        for key in (top, bottom):
            if key not in rows:
                raise MathError(f"{key} is not in the notation table")
        if rows[bottom].id not in env.notation.closure(rows[top].id):
            raise MathError(f"{top} does not depend on {bottom} in the code")
        if slope := env.notation.slope_within(rows[top].id):
            raise MathError(f"{top} rests on {slope}, a derivative; derivatives of those are not taken")
        try:
            env.jacobians[top, bottom] = _gradient(top, bottom, env)
        except Redraw:  # on a kink the slope is what the code says, as differences confirm elsewhere
            at_kink = _by_code(top, bottom, env) if env.corner else None
            if at_kink is None:
                raise
            env.jacobians[top, bottom] = at_kink
    found: np.ndarray = env.jacobians[top, bottom]
    return found


def _gradient(top: str, bottom: str, env: Environment) -> np.ndarray:
    """What the code's backward gives, where differences in random directions confirm it; else differences."""

    def value(child: Environment) -> np.ndarray:
        return np.asarray(child.value(top))

    if np.size(env.value(bottom)) > FEW and np.ndim(env.value(top)) == 0:
        found = _of_stand_in(top, bottom, env)
        if found is None:
            found = _by_code(top, bottom, env)
        one = _function(value, bottom, env)
        if found is not None and env.calculus.differences.confirmed(one, env.value(bottom), found, env.seed):
            return found
    return jacobian(value, bottom, env)


def _of_stand_in(top: str, bottom: str, env: Environment) -> np.ndarray | None:
    """The derivative of ``L = any_loss(Y, Z)`` by Y or Z."""
    row = env.notation.rows[bottom]
    match env.notation.rows[top].expression:
        case ast.Call(ast.Name("any_loss"), arguments):
            names = [argument.id if isinstance(argument, ast.Name) else "" for argument in arguments]
            others = [name for name in names if name != row.name]
            is_free = all(name and row.id not in env.notation.closure(name) for name in others)
            if row.name and len(others) == len(names) - 1 and is_free:
                values = [np.asarray(env.named(name)) for name in names]
                return any_loss_gradient(*values, by=names.index(row.name))
    return None


def _by_code(top: str, bottom: str, env: Environment) -> np.ndarray | None:
    """What the code of a gradient row computes, if it does and in the right shape."""
    row = env.notation.gradients.get((top, bottom))
    if row is None or not env.notation.slice_for(row.id):
        return None
    try:
        found = env.computed(row)
    except (MathError, RowError):
        return None
    return np.asarray(found) if np.isrealobj(found) else None


def jacobian(value: Callable[[Environment], np.ndarray], bottom: str, env: Environment) -> np.ndarray:
    """The derivative of a value by a symbol, entry by entry."""
    start = env.value(bottom)
    if start.dtype.kind == "c":
        raise MathError(f"{bottom} is complex; derivatives are taken by real numbers")
    return env.calculus.differences.jacobian(_function(value, bottom, env), start)


def _function(value: Callable[[Environment], np.ndarray], bottom: str, env: Environment) -> Function:
    child = env.overriding(env.notation.rows[bottom].id)
    return lambda x: value(child(x))
