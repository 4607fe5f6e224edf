"""The meaning of a formula as a small tree, and how to show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Node:
    def children(self) -> Iterator[Node]:
        for value in vars(self).values():
            if isinstance(value, Node):
                yield value
            elif isinstance(value, tuple):
                yield from (item for item in value if isinstance(item, Node))

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children():
            yield from child.walk()

    def map(self, change: Callable[[Node], Node]) -> Node:
        """A copy in which every child went through ``change``."""
        new: dict[str, object] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, Node):
                new[part.name] = change(value)
            elif isinstance(value, tuple):
                new[part.name] = tuple(change(item) if isinstance(item, Node) else item for item in value)
        return replace(self, **new) if new else self


@dataclass(frozen=True)
class Number(Node):
    value: float
    name: str = ""


@dataclass(frozen=True)
class Symbol(Node):
    """A row of the table."""

    key: str


@dataclass(frozen=True)
class Index(Node):
    """An index used as a number, bound by a sum or free."""

    name: str


@dataclass(frozen=True)
class Entry(Node):
    base: Node
    indices: tuple[Node, ...]


@dataclass(frozen=True)
class Negative(Node):
    value: Node


@dataclass(frozen=True)
class Binary(Node):
    """One of + - / ^ ⊙, * (side by side, a matrix product too), · and × as written."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call(Node):
    """A function that everybody knows: exp, |x|, √, ones (a vector), and; ``key`` if the table names it."""

    name: str
    arguments: tuple[Node, ...]
    key: str = ""


@dataclass(frozen=True)
class Apply(Node):
    """A function of the table, differentiated ``primes`` times."""

    function: str
    primes: int
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Bound(Node):
    """One index of a sum, with its limits if they are written."""

    name: str
    low: Node | None = None
    high: Node | None = None


@dataclass(frozen=True)
class Reduce(Node):
    """sum, prod, max or min over indices, under a condition."""

    kind: str
    bounds: tuple[Bound, ...]
    condition: Node | None
    body: Node


@dataclass(frozen=True)
class Derivative(Node):
    """∂top/∂bottom[indices]; bottom is a Symbol."""

    top: Node
    bottom: Node
    indices: tuple[Node, ...] = ()

    @property
    def pair(self) -> tuple[str, str]:
        """(L, W) of ∂L/∂W; "" for what is no symbol."""
        return getattr(base_of(self.top), "key", ""), getattr(self.bottom, "key", "")


@dataclass(frozen=True)
class Transpose(Node):
    value: Node


@dataclass(frozen=True)
class Compare(Node):
    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Indicator(Node):
    condition: Node


@dataclass(frozen=True)
class Cases(Node):
    """Values and their conditions; a condition of None is 'otherwise'."""

    values: tuple[Node, ...]
    conditions: tuple[Node | None, ...]


def base_of(node: Node) -> Node:
    """What an entry is taken from; anything else as it is."""
    return node.base if isinstance(node, Entry) else node


def show(node: Node | None) -> str:
    """How a formula was read, fully bracketed."""
    match node:
        case Number(value, name):
            return name or f"{value:g}"
        case Symbol(key):
            return key
        case Index(name):
            return plain(name)
        case Entry(base, indices):
            return f"{show(base)}[{_list(indices)}]"
        case Negative(value):
            return f"-{show(value)}"
        case Binary(op, left, right):
            return f"({show(left)} {op} {show(right)})"
        case Call("and", conditions):
            return " and ".join(map(show, conditions))
        case Call(name, arguments):
            return f"{name}({_list(arguments)})"
        case Apply(function, primes, arguments):
            return f"{function}{chr(39) * primes}({_list(arguments)})"
        case Bound(name, low, high):
            return f"{plain(name)}={show(low)}..{show(high)}" if low else plain(name)
        case Reduce(kind, bounds, condition, body):
            under = f" if {show(condition)}" if condition else ""
            return f"{kind}[{_list(bounds)}{under}]({show(body)})"
        case Derivative(top, bottom, indices):
            below = show(bottom) + (f"[{_list(indices)}]" if indices else "")
            return f"d {show(top)} / d {below}"
        case Transpose(value):
            return f"{show(value)}ᵀ"
        case Compare(op, left, right):
            return f"{show(left)} {op} {show(right)}"
        case Indicator(condition):
            return f"1[{show(condition)}]"
        case Cases(values, conditions):
            rows = (
                f"{show(v)} if {show(c)}" if c else f"{show(v)} otherwise"
                for v, c in zip(values, conditions, strict=True)
            )
            return f"cases({'; '.join(rows)})"
    raise AssertionError(node)


def _list(nodes: tuple[Node, ...]) -> str:
    return ", ".join(map(show, nodes))


def plain(index: str) -> str:
    """The letter as printed; the reader numbers bound indices apart."""
    return index.split("·")[0]


def bound_names(node: Node) -> set[str]:
    return {part.name for part in node.walk() if isinstance(part, Bound)}


def free_indices(node: Node) -> set[str]:
    return {part.name for part in node.walk() if isinstance(part, Index)} - bound_names(node)
