"""Whether two formulas are the same by the laws that need no check.

Sums and products of numbers commute, Kronecker's delta and equality are
symmetric, and a summed index may have any name.
"""

from functools import partial, reduce

from .syntax import Binary, Bound, Call, Compare, Index, Node, Reduce, free_indices, show

MIRRORED = {">": "<", "≥": "≤"}


def canonical(node: Node) -> str:
    """A spelling that equivalent formulas share."""
    return show(_sorted(_renamed(node, {})))


def _renamed(node: Node, names: dict[str, str]) -> Node:
    """Bound indices named by their depth and by the axes on which they stand."""
    match node:
        case Index(name):
            return Index(names.get(name, name))
        case Reduce(kind, bounds, condition, body):
            order = sorted(bounds, key=lambda bound: _uses(body, bound.name))
            inner = names | {bound.name: f"b{len(names) + at}" for at, bound in enumerate(order)}
            limits = [[limit and _renamed(limit, names) for limit in (one.low, one.high)] for one in order]
            renamed = tuple(Bound(inner[one.name], *two) for one, two in zip(order, limits, strict=True))
            return Reduce(kind, renamed, condition and _renamed(condition, inner), _renamed(body, inner))
    return node.map(lambda child: _renamed(child, names))


def _uses(body: Node, name: str) -> str:
    """Where a bound index occurs, without its name."""
    marked = _renamed(body, {one: "?" for one in free_indices(body) if one != name} | {name: "!"})
    return show(marked) if not any(isinstance(part, Reduce) for part in body.walk()) else ""


def _sorted(node: Node) -> Node:
    node = node.map(_sorted)
    match node:
        case Binary("+" | "*" | "·" | "⊙" as op, _, _):
            return reduce(partial(Binary, op), sorted(_flat(node, op), key=show))
        case Call("kronecker" | "max" | "min" | "and" as name, arguments, key):
            return Call(name, tuple(sorted(arguments, key=show)), key)
        case Compare(op, left, right):
            if op in MIRRORED:
                op, left, right = MIRRORED[op], right, left
            if op in ("=", "≠"):
                left, right = sorted((left, right), key=show)
            return Compare(op, left, right)
    return node


def _flat(node: Node, op: str) -> list[Node]:
    if isinstance(node, Binary) and node.op == op:
        return _flat(node.left, op) + _flat(node.right, op)
    return [node]
