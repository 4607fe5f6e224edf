"""Equations about every layer l, or summed over layers: one equation for each l."""

from __future__ import annotations

from collections.abc import Sequence

from .environment import Environment
from .errors import MathError
from .evaluate import evaluate_number
from .sets import layers_of
from .syntax import Binary, Index, Layer, Node, Number, Reduce, bound_names, free_indices, substituted


def unroll(sides: Sequence[Node], env: Environment) -> list[tuple[str, list[Node]]]:
    """The equation for each layer, with the name of the layer."""
    whole = [_expanded(side, env) for side in sides]
    letters = sorted({name for side in whole for name in _layer_letters(side)})
    if not letters:
        return [("", whole)]
    if len(letters) > 1:
        raise MathError(f"layers numbered by both {letters[0]} and {letters[1]}; use one letter")
    letter = letters[0]
    found = []
    for value in range(1 + max(layer for side in whole for layer in _numbers(side, env))):
        one = [substituted(side, letter, value) for side in whole]
        if all(_exists(part, env) for side in one for part in side.walk() if isinstance(part, Layer)):
            found.append((f"layer {letter}={value}: ", one))
    if not found:
        raise MathError(f"there is no {letter} for which all these layers exist")
    return found


def _layer_letters(side: Node) -> set[str]:
    layers = [part for part in side.walk() if isinstance(part, Layer)]
    return {name for part in layers for name in free_indices(part.number)} - bound_names(side)


def _numbers(side: Node, env: Environment) -> list[int]:
    layers = [part for part in side.walk() if isinstance(part, Layer)]
    return [layers_of(env.notation.rows[part.key].set)[-1] for part in layers] or [0]


def _exists(part: Layer, env: Environment) -> bool:
    return round(evaluate_number(part.number, env)) in layers_of(env.notation.rows[part.key].set)


def _expanded(node: Node, env: Environment) -> Node:
    """Sums over layers written out."""
    node = node.map(lambda child: _expanded(child, env))
    if not isinstance(node, Reduce):
        return node
    layers = [part for part in node.body.walk() if isinstance(part, Layer)]
    bound = next(
        (b for b in node.bounds if any(Index(b.name) in part.number.walk() for part in layers)), None
    )
    if bound is None:
        return node
    if node.kind != "sum" or node.condition or len(node.bounds) > 1:
        raise MathError(r"over layers only \sum_l or \sum_{l=1}^{n} is read")
    terms = [
        substituted(node.body, bound.name, value) for value in _values(bound.low, bound.high, layers, env)
    ]
    result: Node = Number(0)
    for term in terms:
        result = Binary("+", result, term) if result != Number(0) else term
    return result


def _values(low: Node | None, high: Node | None, layers: list[Layer], env: Environment) -> range:
    if low is None or high is None:
        return layers_of(env.notation.rows[layers[0].key].set)
    return range(round(evaluate_number(low, env)), round(evaluate_number(high, env)) + 1)
