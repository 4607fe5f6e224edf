"""Settle what stands side by side: names, calls, products, sums, derivatives.

The notation table decides. The longest name in it wins; a symbol whose set is
A → B is a function; everything else is multiplied. What stays ambiguous is
refused, with the spelling that would be accepted.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import pairwise

from .errors import MathError, at_side
from .grammar import GROUPS, JOINS, Group, Item, is_product, leaves, letters, listed, parse, raw, split
from .syntax import (
    Apply,
    Binary,
    Bound,
    Call,
    Cases,
    Compare,
    Derivative,
    Entry,
    Index,
    Indicator,
    Negative,
    Node,
    Number,
    Reduce,
    Symbol,
    Transpose,
    bound_names,
    free_indices,
    plain,
    show,
)
from .tokens import BIG, COMPARE, EQUALS, FUNCTIONS, OPERATORS, Token

# What the reader knows of a row: "number" (an integer, may be an index), "value",
# "function", "indexed" (Kronecker's delta: its subscripts are its arguments).
Kinds = Mapping[str, str]
Chain = list[tuple[str, Group]]  # terms, each with the sign before it
ONE = r"\mathbf{1}"


def read_sides(sides: Iterable[Sequence[Token]], kinds: Kinds, is_update: bool = False) -> list[Node]:
    """Read the sides of one equation; they share their free indices.

    In an update θ ← θ - ηg the left side is the symbol of the row "θ ←".
    """
    groups = []
    for position, side in enumerate(sides):
        with at_side(position):
            groups.append(parse(side))
    reader = _Reader(kinds, groups)
    nodes: list[Node] = []
    for position, group in enumerate(groups):
        with at_side(position):
            nodes.append(reader.expression(group))
            if is_update and position == 0:
                nodes[0] = _updated(nodes[0], kinds)
            _check_indices(nodes[position], nodes[0])
    return nodes


def condition_of(side: Iterable[Token], kinds: Kinds) -> Node:
    """A condition that stands alone: 0 < a < 1."""
    group = parse(side)
    return _Reader(kinds, [group]).condition(group)


def _updated(node: Node, kinds: Kinds) -> Node:
    """The new value of what stands left of an arrow."""
    if isinstance(node, Entry):
        return Entry(_updated(node.base, kinds), node.indices)
    if not isinstance(node, Symbol) or f"{node.key} ←" not in kinds:
        raise MathError(rf"the new value needs a row of its own, with the symbol ${show(node)} \leftarrow$")
    return Symbol(f"{node.key} ←")


def _check_indices(node: Node, left: Node) -> None:
    free = free_indices(node)
    bound = {plain(name) for name in bound_names(node)}
    if both := sorted(bound & (free | free_indices(left))):
        raise MathError(f"index {both[0]} is both summed over and free; rename the summed one")
    if new := sorted(free - free_indices(left)):
        raise MathError(f"index {new[0]} is free here but does not appear on the left")


class _Reader:
    """Reads the sides of an equation. Bound indices are numbered apart: j·1, j·2."""

    def __init__(self, kinds: Kinds, sides: Iterable[Group]) -> None:
        self.kinds = kinds
        items = (item for side in sides for item in leaves(side))
        subs = [item.sub for item in items if item.sub and item.kind != "NABLA"]
        # Letters in subscripts that can only be indices.
        self.letters = {one for sub in subs for one in letters(sub) if kinds.get(one) != "number"}
        self.scope: dict[str, str] = {}  # bound letter -> its numbered name
        self.count = 0

    def expression(self, group: Group) -> Node:
        """A list that must be a single term without relations."""
        if len(split(group, *JOINS)) > 1:
            raise MathError(f"expected one expression, got {raw(group)}")
        return self.total(group)

    def total(self, group: Group) -> Node:
        (_, first), *others = split(group, "SIGN")
        node = self.product(first) if first else None  # unless a sign leads
        for sign, items in others:
            term = self.product(items)
            node = Binary(sign, node, term) if node else Negative(term) if sign == "-" else term
        assert node is not None
        return node

    # -- products ------------------------------------------------------------

    def product(self, items: Iterable[Item]) -> Node:
        """Side by side first, then / · × ⊙ from left to right."""
        groups: list[tuple[str, list[Node]]] = [("", [])]
        rest = deque(items)
        while rest:
            item, group = rest[0], groups[-1][1]
            if item.kind == "TIMES" and not group:
                raise MathError(f"{item.text} has nothing on its left")
            if item.kind == "TIMES":
                groups.append((OPERATORS[rest.popleft().text], []))
            elif group and item.kind == "NUMBER":
                raise MathError(f"a number after a factor: write {raw(item)} first, or \\cdot {raw(item)}")
            else:
                group.append(self.take(rest))
        if not groups[-1][1]:
            raise MathError("a product breaks off")
        result, divided = reduce(partial(Binary, "*"), groups[0][1]), False
        for op, group in groups[1:]:
            if (divided and op == "/") or (op == "/" and len(group) > 1):
                raise MathError(r"a/b c is ambiguous: write \frac{a}{b}c or \frac{a}{bc}")
            if op == "/" and isinstance(group[0], Reduce):
                raise MathError(r"a/\sum is ambiguous: write \frac{a}{\sum …}")
            divided = divided or op == "/"
            result = Binary(op, result, reduce(partial(Binary, "*"), group))
        return result

    def take(self, rest: deque[Item]) -> Node:
        """The next factor, with its argument if it is a function."""
        item = rest.popleft().bare
        match item.kind:
            case "BIG":
                return self.big(item, rest)
            case "FUNCTION":
                return self.known_function(item, rest)
            case "NABLA":
                return self.nabla(item, rest)
            case "LNORM":
                return self.norm(item)
            case "FRAC" if by := self.operator(item):
                return Derivative(self.argument(rest, raw(item)), *by)
        if item.kind == "ACCENT" and raw(item.alone) == ONE and ONE not in self.kinds:
            return self.ones(item, rest)
        if name := self.name(item):
            return self.named(*name, rest)
        if item.sup and item.kind == "LETTER" and item.text == "e" and "e" not in self.kinds:
            return self.scripted(Call("exp", (self.expression(item.sup),)), replace(item, sup=None))
        return self.scripted(self.atom(item), item)

    def scripted(self, node: Node, item: Item) -> Node:
        """With the scripts of this item."""
        if item.primes:
            raise MathError("a prime belongs to a function of the table: f'(x)")
        if item.sub:
            node = Entry(node, self.indices(item.sub))
        if not item.sup:
            return node
        power = raw(item.sup)
        if power in (r"\top", "T") and power not in self.kinds:
            if isinstance(node, Entry):
                raise MathError(
                    r"an entry has no transpose: write (W^\top)_{ij} for the entry of the transpose"
                )
            return Transpose(node)
        if re.fullmatch(r"\(\w+\)", power):
            raise MathError(f"{power} numbers a layer; give each layer a symbol of its own, as in W_1")
        return Binary("^", node, self.expression(item.sup))

    def atom(self, item: Item) -> Node:
        inside = item.parts[0] if item.parts else ()
        match item.kind:
            case "NUMBER":
                return Number(float(item.text))
            case "LETTER":
                return self.letter(item.text)
            case "FRAC":
                return self.fraction(item)
            case "SQRT":
                return Call("sqrt", (self.expression(inside),))
            case "LVERT":
                return Call("abs", (self.expression(inside),))
            case "LCASES":
                return self.cases(item)
            case "LSQB" if len(split(inside, *JOINS)) > 1:
                return Indicator(self.condition(inside))
            case "LPAR" | "LSQB" | "LSET" | "LBRACE":
                return self.expression(inside)
        raise self.unknown(raw(item.alone))

    def norm(self, item: Item) -> Node:
        kinds = {"": "norm", "2": "norm", "F": "norm", "1": "norm1", r"\infty": "norm∞"}
        which = raw(item.sub or ())
        if which not in kinds:
            raise MathError(f"the norm with subscript {which} is not read; known are 1, 2, F and \\infty")
        found = Call(kinds[which], (self.expression(item.parts[0]),))
        return self.scripted(found, replace(item, sub=None))

    def letter(self, letter: str) -> Node:
        if letter == "e" and "e" not in self.kinds:
            return Number(math.e, "e")
        if letter in self.scope:
            return Index(self.scope[letter])
        if letter in self.letters:
            return Index(letter)
        if letter == r"\pi":
            return Number(math.pi, r"\pi")
        raise self.unknown(letter)

    def unknown(self, name: str) -> MathError:
        if name == r"\partial":
            return MathError(r"write a derivative as \frac{\partial L}{\partial x}")
        near = [key for key in self.kinds if key.startswith(name) or key.lower() == name.lower()]
        hint = f" (it has {', '.join(sorted(near))})" if near else ""
        return MathError(f"{name} is not in the notation table{hint}")

    # -- names ---------------------------------------------------------------

    def name(self, item: Item) -> tuple[str, Item] | None:
        """The longest name of the table, and the item with those of its scripts that are no part of it."""
        if item.kind not in ("LETTER", "WORD", "ACCENT", "TEXT"):
            return None
        above = f"^{{{raw(item.sup)}}}" if item.sup else f"^{{{chr(39) * item.primes}}}" * bool(item.primes)
        parts = listed(item.sub or ())
        for sup in dict.fromkeys((above, "")):
            for count in range(len(parts), -1, -1):
                if any(letter in self.scope for part in parts[:count] for letter in letters(part)):
                    continue
                below = f"_{{{','.join(map(raw, parts[:count]))}}}" if count else ""
                key = raw(item.alone) + below + sup
                if key in self.kinds and key not in self.scope and not (key in self.letters and not item.sub):
                    left = [one for part in parts[count:] for one in (Item("COMMA", ","), *part)][1:]
                    return key, replace(item.alone if sup else item, sub=tuple(left))
        return None

    def named(self, key: str, item: Item, rest: deque[Item]) -> Node:
        """A symbol of the table with its scripts, or a function with its arguments."""
        if self.kinds[key] == "function":
            if item.sub or item.sup or not _has_bracket(rest):
                raise MathError(f"{key} is a function: write {key}(…), with scripts after the bracket")
            bracket = rest.popleft()
            return self.scripted(Apply(key, item.primes, self.arguments(bracket.parts[0])), bracket)
        if self.kinds[key] != "indexed":
            return self.scripted(Symbol(key), item)
        if len(indices := self.indices(item.sub or ())) != 2:
            raise MathError(f"{key} is Kronecker's delta: write {key}_{{ij}}")
        return self.scripted(Call("kronecker", indices, key), replace(item, sub=None))

    def indices(self, group: Group) -> tuple[Node, ...]:
        """``ij`` is two indices; with commas they may be expressions."""
        if len(group) < 2 or not is_product(group):
            return self.arguments(group)
        if not all(one.kind == "LETTER" and one == one.alone for one in group):
            raise MathError(f"put commas between the indices {raw(group)}")
        return tuple(self.product([item]) for item in group)

    def arguments(self, group: Group) -> tuple[Node, ...]:
        """The expressions between commas."""
        return tuple(map(self.expression, listed(group)))

    # -- functions -----------------------------------------------------------

    def known_function(self, item: Item, rest: deque[Item]) -> Node:
        name = raw(item.alone)
        if item.sub or item.primes or (item.sup and not raw(item.sup).isdigit()):
            raise MathError(f"write ({name} x) and put the script after the bracket")
        call = Call(FUNCTIONS[item.text], (self.argument(rest, name),))
        return Binary("^", call, self.expression(item.sup)) if item.sup else call

    def argument(self, rest: deque[Item], name: str) -> Node:
        """A bracket, or one factor that nothing but a function or sum may follow."""
        if not rest or rest[0].kind == "TIMES":
            raise MathError(f"{name} has no argument")
        if _has_bracket(rest):
            bracket = rest.popleft()
            if bracket != bracket.alone:
                raise MathError(f"{name}(x)^2 is ambiguous: write ({name} x)^2 or {name}(x^2)")
            return self.expression(bracket.parts[0])
        node = self.take(rest)
        if rest and rest[0].kind != "FUNCTION":
            raise MathError(
                f"{name} a b is ambiguous: put its argument in brackets, {name}(a) b or {name}(a b)"
            )
        return node

    def ones(self, item: Item, rest: deque[Item]) -> Node:
        if item.sub:
            return self.scripted(Call("ones", (self.expression(item.sub),)), replace(item, sub=None))
        if not rest or rest[0].kind not in ("LSQB", "LSET"):
            raise MathError(
                r"the vector of ones needs its length: write \mathbf 1_N; an indicator \mathbf 1[…]"
            )
        bracket = rest.popleft()
        return self.scripted(Indicator(self.condition(bracket.parts[0])), bracket)

    # -- sums ----------------------------------------------------------------

    def big(self, item: Item, rest: deque[Item]) -> Node:
        """A sum reaches to the end of its product."""
        name, kind = item.text, BIG[item.text]
        if item.sub is None and kind in ("max", "min") and _has_bracket(rest):
            bracket = rest.popleft()
            node = Call(kind, self.arguments(bracket.parts[0]))
            if len(node.arguments) < 2:
                raise MathError(f"write {name}(a, b) for the larger of two, {name}_i a_i over an index")
            return self.scripted(node, bracket)
        if item.sub is None:
            raise MathError(f"{name} needs its index: {name}_i or {name}_{{i=1}}^{{n}}")
        outer = dict(self.scope)
        bounds, condition = self.bounds(item.sub, item.sup)
        if not rest:
            raise MathError(f"{raw(item)} has nothing to its right")
        body = self.product(rest)
        rest.clear()
        self.scope = outer
        return Reduce(kind, bounds, condition, body)

    def bind(self, items: Group) -> str:
        """The one letter that a bound index is."""
        letter = raw(items)
        if letters(items)[:1] != [letter]:
            raise MathError(f"{letter} cannot be summed over: an index is one letter")
        if letter in self.scope:
            raise MathError(f"index {letter} is bound twice; rename one")
        self.count += 1
        self.scope[letter] = f"{letter}·{self.count}"
        return self.scope[letter]

    def bounds(self, sub: Group, sup: Group | None) -> tuple[tuple[Bound, ...], Node | None]:
        if is_product(sub):
            chains: list[Chain] = [[("", (item,))] for item in sub]
        else:
            chains = [split(part, "EQUALS", "COMPARE") for part in listed(sub)]
        match chains:
            case [[(_, index), ("=", low)]] if sup:
                first, last = self.total(low), self.expression(sup)
                return (Bound(self.bind(index), first, last),), None
            case _ if sup:
                raise MathError(r"write \sum_{i=1}^{n} with one index and both limits")
            case [[low, (sign, first)], [(_, second), high]] if letters(low[1]) != [raw(low[1])]:
                chains = [[low, (sign, one), high] for one in (first, second)]  # 0 <= u, v < q
        found = [self.bound(chain) for chain in chains]
        conditions = tuple(condition for _, condition in found if condition is not None)
        return tuple(bound for bound, _ in found), Call("and", conditions) if conditions else None

    def bound(self, chain: Chain) -> tuple[Bound, Node | None]:
        """``i``, ``j\\ne i``, ``k<t`` or ``0\\le u<q``."""
        match [(COMPARE.get(sign, sign), items) for sign, items in chain]:
            case [(_, index)]:
                return Bound(self.bind(index)), None
            case [(_, index), (sign, other)] if sign in COMPARE.values():
                name = self.bind(index)
                return Bound(name), Compare(sign, Index(name), self.total(other))
            case [(_, first), ("<" | "≤" as above, index), ("<" | "≤" as below, last)]:
                low, high = self.total(first), self.total(last)
                low = low if above == "≤" else Binary("+", low, Number(1))
                high = high if below == "≤" else Binary("-", high, Number(1))
                return Bound(self.bind(index), low, high), None
        raise MathError(r"write \sum_i, \sum_{i=1}^{n}, \sum_{0\le i<n}, \sum_{j\ne i} or \sum_{j<i}")

    # -- derivatives -----------------------------------------------------------

    def fraction(self, item: Item) -> Node:
        above, below = item.parts
        return self.derivative(above, below) or Binary("/", self.expression(above), self.expression(below))

    def operator(self, item: Item) -> tuple[Node, tuple[Node, ...]] | None:
        r"""``\frac{\partial}{\partial x}``: what it differentiates by."""
        above, below = item.parts
        return self.bottom(below, 1) if len(above) == 1 and self.is_differential(above) else None

    def is_differential(self, group: Group) -> bool:
        r"""Whether it is ∂… or d…, where d is no symbol of the table."""
        is_d = (group[0].kind, group[0].text) == ("LETTER", "d") and "d" not in self.kinds
        return (is_d or group[0].kind == "PARTIAL") and is_product(group)

    def derivative(self, above: Group, below: Group) -> Node | None:
        if not self.is_differential(above):
            return None
        order = raw(above[0].sup or ()) or "1"
        if not order.isdigit():
            raise MathError("the order of a derivative is a number")
        rest = deque(above[1:])
        if not rest or rest[0].kind == "TIMES":
            raise MathError(f"nothing to differentiate in {raw(above)}")
        bottom, indices = self.bottom(below, int(order))
        if len(rest) == 1 and (name := self.name(rest[0].bare)) and self.kinds[name[0]] == "function":
            return Apply(name[0], int(order), (Entry(bottom, indices) if indices else bottom,))
        top = self.take(rest)
        if rest:
            raise MathError(f"put what is differentiated in brackets: {raw(above)}")
        for _ in range(int(order)):
            top = Derivative(top, bottom, indices)
        return top

    def bottom(self, group: Group, order: int) -> tuple[Node, tuple[Node, ...]]:
        if not self.is_differential(group) or len(group) != 2 or group[1].kind == "TIMES":
            raise MathError(f"{raw(group)} must be one differential, as \\partial x_i")
        item = group[1].bare
        if order > 1:
            if raw(item.sup or ()) != str(order):
                raise MathError(
                    f"a derivative of order {order} is written \\frac{{d^{order}y}}{{dx^{order}}}"
                )
            item = replace(item, sup=None)
        node = self.product([item])
        if isinstance(node, Entry) and isinstance(node.base, Symbol):
            return node.base, node.indices
        if not isinstance(node, Symbol):
            raise MathError(f"a derivative by {raw(item)}: give it a row in the table")
        return node, ()

    def nabla(self, item: Item, rest: deque[Item]) -> Node:
        if item.sub is None or item.sup is not None or item.primes:
            raise MathError(r"\nabla needs its variable: \nabla_\theta L")
        bottom = self.expression(item.sub)
        if not isinstance(bottom, Symbol):
            raise MathError(f"\\nabla by {raw(item.sub)}: give it a row in the table")
        return Derivative(self.argument(rest, raw(item)), bottom)

    # -- conditions --------------------------------------------------------------

    def condition(self, group: Group) -> Node:
        found: list[Node] = []
        for part in listed(group):
            chain = split(_without_word(part), "EQUALS", "COMPARE")
            if len(chain) < 2:
                raise MathError(f"{raw(group)} is no condition: write [a = b] or [a < b]")
            for (_, left), (op, right) in pairwise(chain):
                if (sign := COMPARE.get(op, op)) in EQUALS.values() and sign != "=":
                    raise MathError(f"{op} cannot stand in a condition")
                found.append(Compare(sign, self.total(left), self.total(right)))
        return found[0] if len(found) == 1 else Call("and", tuple(found))

    def cases(self, item: Item) -> Node:
        values, conditions = [], []
        for value, condition in zip(item.parts[::2], item.parts[1::2], strict=True):
            values.append(self.expression(value))
            otherwise = raw(condition) in (r"\text{otherwise}", r"\text{else}")
            conditions.append(None if otherwise else self.condition(condition))
        if None in conditions[:-1]:
            raise MathError("only the last row of cases can be 'otherwise'")
        return Cases(tuple(values), tuple(conditions))


def _has_bracket(rest: Sequence[Item]) -> bool:
    return bool(rest) and rest[0].kind in GROUPS


def _without_word(part: Group) -> Group:
    r"""Drop the word of ``\text{if } x > 0``."""
    if part[0].kind != "TEXT" or len(part) == 1 or not is_product(part[:2]):
        return part
    if part[0].text not in (r"\text{if}", r"\text{for}", r"\text{where}", r"\text{when}"):
        raise MathError(f"{part[0].text} is not read; write \\text{{if }} before a condition")
    return part[1:]
