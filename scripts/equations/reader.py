"""Settle what stands side by side: names, calls, products, sums, derivatives.

The notation table decides. The longest name in it wins; a symbol whose set is
A → B is a function; everything else is multiplied. What stays ambiguous is
refused, with the spelling that would be accepted.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence

import lark

from .errors import MathError, at_side
from .grammar import Raw, parse, raw
from .syntax import (
    All,
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
    Ones,
    Reduce,
    Symbol,
    Transpose,
    bound_names,
    free_indices,
    plain,
    show,
)
from .tokens import BIG, COMPARE, OPERATORS, Token
from .trees import (
    Kinds,
    atom_of,
    has_kind,
    is_e,
    is_letter,
    is_letter_total,
    is_nameable,
    is_natural,
    is_plain_letter,
    letter_of,
    only_product,
    only_total,
    order_of,
    parts_of,
    starts_with_group,
    with_commas,
    without_words,
)

KNOWN = {
    **{rf"\{name}": name for name in "exp log sin cos tan tanh sinh cosh".split()},
    **{rf"\operatorname{{{name}}}": name for name in "sign erf diag tr".split()},
    **{
        r"\ln": "log",
        r"\operatorname{sgn}": "sign",
        r"\operatorname{Re}": "real",
        r"\operatorname{Im}": "imag",
    },
}
ONE = r"\mathbf{1}"


def read_sides(sides: Iterable[Sequence[Token]], kinds: Kinds, is_update: bool = False) -> list[Node]:
    """Read the sides of one equation; they share their free indices.

    In an update θ ← θ - ηg the left side is the symbol of the row "θ ←".
    """
    trees = []
    for position, side in enumerate(sides):
        with at_side(position):
            trees.append(parse(list(side)))
    letters = {letter for tree in trees for letter in _index_letters(tree, kinds)}
    reader = _Reader(kinds, letters)
    nodes: list[Node] = []
    for position, tree in enumerate(trees):
        with at_side(position):
            nodes.append(reader.expression(tree))
            if is_update and position == 0:
                nodes[0] = _updated(nodes[0], kinds)
            _check_indices(nodes[position], nodes[0])
    return nodes


def condition_of(tree: lark.Tree, kinds: Kinds) -> Node:
    """A condition that stands alone: 0 < a < 1."""
    return _Reader(kinds, _index_letters(tree, kinds)).condition(tree)


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


def _index_letters(tree: lark.Tree, kinds: Kinds) -> set[str]:
    """Letters in subscripts that can only be indices."""
    factors = [factor for factor in tree.find_data("factor") if not has_kind(factor.children[0], "NABLA")]
    scripts = [script for factor in factors for script in factor.children[1:]]
    scripts = [script for script in scripts if script.data == "sub"]
    letters = {str(leaf) for sub in scripts for leaf in sub.scan_values(is_letter)}
    return {letter for letter in letters if kinds.get(letter) != "number"}


class _Reader:
    """Reads the sides of an equation. Bound indices are numbered apart: j·1, j·2."""

    def __init__(self, kinds: Kinds, letters: set[str]) -> None:
        self.kinds = kinds
        self.letters = letters
        self.scope: dict[str, str] = {}  # bound letter -> its numbered name
        self.count = 0

    def expression(self, tree: lark.Tree) -> Node:
        """A list that must be a single term without relations."""
        total = only_total(tree)
        if total is None:
            raise MathError(f"expected one expression, got {raw(tree)}")
        return self.total(total)

    def total(self, tree: lark.Tree) -> Node:
        node: Node | None = None
        sign = "+"
        for child in tree.children:
            if isinstance(child, lark.Token):
                sign = child
                continue
            term = self.product(child.children)
            if node is None:
                node = Negative(term) if sign == "-" else term
            else:
                node = Binary("-" if sign == "-" else "+", node, term)
        assert node is not None
        return node

    # -- products ------------------------------------------------------------

    def product(self, items: Iterable[Raw]) -> Node:
        """Side by side first, then / · × ⊙ from left to right."""
        groups: list[list[Node]] = [[]]
        operators: list[str] = []
        rest = deque(items)
        while rest:
            item = rest[0]
            if isinstance(item, lark.Token):
                if not groups[-1]:
                    raise MathError(f"{item} has nothing on its left")
                operators.append(OPERATORS[rest.popleft()])
                groups.append([])
                continue
            if groups[-1] and has_kind(item.children[0], "NUMBER"):
                raise MathError(f"a number after a factor: write {raw(item)} first, or \\cdot {raw(item)}")
            groups[-1].append(self.take(rest))
        if not groups[-1]:
            raise MathError("a product breaks off")
        return self.combine(groups, operators)

    def combine(self, groups: list[list[Node]], operators: list[str]) -> Node:
        result = _side_by_side(groups[0])
        for position, (op, group) in enumerate(zip(operators, groups[1:], strict=True)):
            if op == "/":
                if len(group) > 1 or "/" in operators[position + 1 :]:
                    raise MathError(r"a/b c is ambiguous: write \frac{a}{b}c or \frac{a}{bc}")
                if isinstance(group[0], Reduce):
                    raise MathError(r"a/\sum is ambiguous: write \frac{a}{\sum …}")
            result = Binary(op, result, _side_by_side(group))
        return result

    def take(self, rest: deque[Raw]) -> Node:
        """The next factor, with its argument if it is a function."""
        item = rest.popleft()
        atom, sub, sup, primes = parts_of(item)
        if has_kind(atom, "BIG"):
            return self.big(item, rest)
        if has_kind(atom, "FUNCTION"):
            return self.known_function(item, rest)
        if has_kind(atom, "NABLA"):
            return self.nabla(item, rest)
        if has_kind(atom, "fraction") and (by := self.operator(atom)):
            return Derivative(self.argument(rest, raw(item)), *by)
        if raw(atom) == ONE and ONE not in self.kinds:
            return self.ones(item, rest)
        if has_kind(atom, "norm"):
            return self.scripted(self.norm(atom, sub), None, sup, primes)
        if name := self.name(item):
            if self.kinds[name[0]] == "function":
                return self.table_function(name, rest)
            key, index, power, left = name
            return self.scripted(self.symbol(key, index), None, power, left)
        node = self.atom(atom, sup)
        return self.scripted(node, sub, None if is_e(atom, self.kinds) else sup, primes)

    def scripted(self, node: Node, sub: Raw | None, sup: Raw | None, primes: int) -> Node:
        if primes:
            raise MathError("a prime belongs to a function of the table: f'(x)")
        if sub is not None:
            node = Entry(node, self.indices(sub))
        if sup is None:
            return node
        if raw(sup) in (r"\top", "T") and raw(sup) not in self.kinds:
            if isinstance(node, Entry):
                raise MathError(
                    r"an entry has no transpose: write (W^\top)_{ij} for the entry of the transpose"
                )
            return Transpose(node)
        if re.fullmatch(r"\(\w+\)", raw(sup)):
            raise MathError(f"{raw(sup)} numbers a layer; give each layer a symbol of its own, as in W_1")
        return Binary("^", node, self.expression(sup))

    def atom(self, atom: Raw, sup: Raw | None) -> Node:
        if has_kind(atom, "NUMBER"):
            return Number(float(str(atom)))
        if is_e(atom, self.kinds):
            return Call("exp", (self.expression(sup),)) if sup is not None else Number(2.718281828459045, "e")
        if has_kind(atom, "LETTER"):
            return self.letter(str(atom))
        if not isinstance(atom, lark.Tree):
            raise self.unknown(raw(atom))
        if atom.data == "fraction":
            return self.fraction(atom)
        if atom.data == "root":
            return Call("sqrt", (self.expression(atom.children[0]),))
        if atom.data == "size":
            return Call("abs", (self.expression(atom.children[0]),))
        if atom.data == "cases":
            return self.cases(atom)
        if atom.data == "square" and only_total(atom.children[0]) is None:
            return Indicator(self.condition(atom.children[0]))
        if atom.data in ("round", "square", "curly", "braced"):
            return self.expression(atom.children[0])
        raise self.unknown(raw(atom))

    def norm(self, atom: Raw, sub: Raw | None) -> Node:
        kinds = {"": "norm", "2": "norm", "F": "norm", "1": "norm1", r"\infty": "norm∞"}
        if (kind := kinds.get(raw(sub) if sub is not None else "")) is None:
            raise MathError(f"the norm with subscript {raw(sub)} is not read; known are 1, 2, F and \\infty")
        return Call(kind, (self.expression(atom.children[0]),))

    def letter(self, letter: str) -> Node:
        if letter in self.scope:
            return Index(self.scope[letter])
        if letter in self.letters:
            return Index(letter)
        if letter == r"\pi":
            return Number(3.141592653589793, r"\pi")
        raise self.unknown(letter)

    def unknown(self, name: str) -> MathError:
        if name == r"\partial":
            return MathError(r"write a derivative as \frac{\partial L}{\partial x}")
        near = [key for key in self.kinds if key.startswith(name) or key.lower() == name.lower()]
        hint = f" (it has {', '.join(sorted(near))})" if near else ""
        return MathError(f"{name} is not in the notation table{hint}")

    # -- names ---------------------------------------------------------------

    def name(self, item: Raw) -> tuple[str, Raw | None, Raw | None, int] | None:
        """The longest name of the table: (key, what is left as index, as power, as primes)."""
        atom, sub, sup, primes = parts_of(item)
        if not is_nameable(atom):
            return None
        base = raw(atom)
        above = f"^{{{raw(sup)}}}" if sup is not None else f"^{{{chr(39) * primes}}}" if primes else ""
        supers = [(above, None, 0), ("", sup, primes)] if above else [("", None, 0)]
        parts = sub.children[::2] if sub is not None else []
        for above, power, left in supers:
            for count in range(len(parts), -1, -1):
                if any(
                    str(leaf) in self.scope for part in parts[:count] for leaf in part.scan_values(is_letter)
                ):
                    continue
                below = f"_{{{','.join(raw(part) for part in parts[:count])}}}" if count else ""
                key = base + below + above
                if key in self.kinds and key not in self.scope and not (key in self.letters and not sub):
                    rest = lark.Tree("list", with_commas(parts[count:])) if parts[count:] else None
                    return key, rest, power, left
        return None

    def symbol(self, key: str, index: Raw | None) -> Node:
        kind = self.kinds[key]
        if kind == "indexed":
            if index is None or len(self.indices(index)) != 2:
                raise MathError(f"{key} is Kronecker's delta: write {key}_{{ij}}")
            return Call("kronecker", self.indices(index), key)
        node: Node = Symbol(key)
        return node if index is None else Entry(node, self.indices(index))

    def indices(self, tree: lark.Tree) -> tuple[Node, ...]:
        """``ij`` is two indices; with commas they may be expressions."""
        if (product := only_product(only_total(tree))) is not None and len(product.children) > 1:
            if not all(is_plain_letter(item) for item in product.children):
                raise MathError(f"put commas between the indices {raw(tree)}")
            return tuple(self.product([item]) for item in product.children)
        return self.arguments(tree)

    def arguments(self, tree: lark.Tree) -> tuple[Node, ...]:
        """The expressions between commas."""
        return tuple(map(self.argument_of, tree.children[::2]))

    def argument_of(self, relation: lark.Tree) -> Node:
        if len(relation.children) > 1:
            raise MathError(f"{raw(relation)} is no index")
        return self.total(relation.children[0])

    # -- functions -----------------------------------------------------------

    def table_function(self, name: tuple[str, Raw | None, Raw | None, int], rest: deque[Raw]) -> Node:
        key, index, power, order = name
        if index is not None or power is not None or not starts_with_group(rest):
            raise MathError(f"{key} is a function: write {key}(…), with scripts after the bracket")
        bracket, sub, sup, primes = parts_of(rest.popleft())
        return self.scripted(Apply(key, order, self.arguments(bracket.children[0])), sub, sup, primes)

    def known_function(self, item: Raw, rest: deque[Raw]) -> Node:
        atom, sub, sup, primes = parts_of(item)
        if sub is not None or primes or (sup is not None and not is_natural(sup)):
            raise MathError(f"write ({raw(atom)} x) and put the script after the bracket")
        call = Call(KNOWN[str(atom)], (self.argument(rest, raw(atom)),))
        return call if sup is None else Binary("^", call, self.expression(sup))

    def argument(self, rest: deque[Raw], name: str) -> Node:
        """A bracket, or one factor that nothing but a function or sum may follow."""
        if not rest or isinstance(rest[0], lark.Token):
            raise MathError(f"{name} has no argument")
        if starts_with_group(rest):
            bracket, sub, sup, primes = parts_of(rest.popleft())
            if sub is not None or sup is not None or primes:
                raise MathError(f"{name}(x)^2 is ambiguous: write ({name} x)^2 or {name}(x^2)")
            return self.expression(bracket.children[0])
        node = self.take(rest)
        if rest and not has_kind(atom_of(rest[0]), "FUNCTION"):
            raise MathError(
                f"{name} a b is ambiguous: put its argument in brackets, {name}(a) b or {name}(a b)"
            )
        return node

    def ones(self, item: Raw, rest: deque[Raw]) -> Node:
        _, sub, sup, primes = parts_of(item)
        if sub is not None:
            return self.scripted(Ones(self.expression(sub)), None, sup, primes)
        bracket = atom_of(rest[0]) if rest else None
        if not (has_kind(bracket, "square") or has_kind(bracket, "curly")):
            raise MathError(
                r"the vector of ones needs its length: write \mathbf 1_N; an indicator \mathbf 1[…]"
            )
        bracket, sub, sup, primes = parts_of(rest.popleft())
        return self.scripted(Indicator(self.condition(bracket.children[0])), sub, sup, primes)

    # -- sums ----------------------------------------------------------------

    def big(self, item: Raw, rest: deque[Raw]) -> Node:
        """A sum reaches to the end of its product."""
        atom, sub, sup, _ = parts_of(item)
        kind = BIG[str(atom)]
        if sub is None and kind in ("max", "min") and starts_with_group(rest):
            bracket, sub, sup, primes = parts_of(rest.popleft())
            node = Call(kind, self.arguments(bracket.children[0]))
            if len(node.arguments) < 2:
                raise MathError(f"write {atom}(a, b) for the larger of two, {atom}_i a_i over an index")
            return self.scripted(node, sub, sup, primes)
        if sub is None:
            raise MathError(f"{atom} needs its index: {atom}_i or {atom}_{{i=1}}^{{n}}")
        outer = dict(self.scope)
        bounds, condition = self.bounds(sub, sup)
        if not rest:
            raise MathError(f"{raw(item)} has nothing to its right")
        body = self.product(rest)
        rest.clear()
        self.scope = outer
        return Reduce(kind, bounds, condition, body)

    def bind(self, letter: str) -> str:
        if letter in self.scope:
            raise MathError(f"index {letter} is bound twice; rename one")
        self.count += 1
        self.scope[letter] = f"{letter}·{self.count}"
        return self.scope[letter]

    def bounds(self, sub: lark.Tree, sup: Raw | None) -> tuple[tuple[Bound, ...], Node | None]:
        product = only_product(only_total(sub))
        if product is not None and len(product.children) > 1:
            groups = [[item] for item in product.children]
        else:
            groups = [relation.children for relation in sub.children[::2]]
        if sup is not None:
            return (self.limits(groups, sup),), None
        if [len(group) for group in groups] == [3, 3] and not is_letter_total(groups[0][0]):
            groups = [groups[0] + groups[1][1:], groups[0][:2] + groups[1]]
        found = [self.bound(group) for group in groups]
        conditions = tuple(condition for _, condition in found if condition is not None)
        return tuple(bound for bound, _ in found), All(conditions) if conditions else None

    def limits(self, groups: list[list[Raw]], sup: Raw) -> Bound:
        if len(groups) != 1 or len(groups[0]) != 3 or groups[0][1] != "=":
            raise MathError(r"write \sum_{i=1}^{n} with one index and both limits")
        letter, _, low = groups[0]
        first, last = self.total(low), self.expression(sup)
        return Bound(self.bind(letter_of(letter)), first, last)

    def bound(self, group: list[Raw]) -> tuple[Bound, Node | None]:
        """``i``, ``j\\ne i``, ``k<t`` or ``0\\le u<q``."""
        if len(group) == 1:
            return Bound(self.bind(letter_of(group[0]))), None
        if len(group) == 3 and group[1] in COMPARE:
            name = self.bind(letter_of(group[0]))
            return Bound(name), Compare(COMPARE[group[1]], Index(name), self.total(group[2]))
        if len(group) == 5 and all(COMPARE.get(group[at]) in ("<", "≤") for at in (1, 3)):
            low, high = self.total(group[0]), self.total(group[4])
            low = low if COMPARE[group[1]] == "≤" else Binary("+", low, Number(1))
            high = high if COMPARE[group[3]] == "≤" else Binary("-", high, Number(1))
            return Bound(self.bind(letter_of(group[2])), low, high), None
        raise MathError(r"write \sum_i, \sum_{i=1}^{n}, \sum_{0\le i<n}, \sum_{j\ne i} or \sum_{j<i}")

    # -- derivatives -----------------------------------------------------------

    def fraction(self, tree: lark.Tree) -> Node:
        above, below = tree.children
        derivative = self.derivative(above, below)
        return derivative or Binary("/", self.expression(above), self.expression(below))

    def operator(self, tree: lark.Tree) -> tuple[Node, tuple[Node, ...]] | None:
        r"""``\frac{\partial}{\partial x}``: what it differentiates by."""
        items = self.differential(tree.children[0])
        return self.bottom(tree.children[1], 1) if items is not None and len(items) == 1 else None

    def differential(self, tree: lark.Tree) -> list[Raw] | None:
        r"""The factors of ∂… or d…, where d is no symbol of the table."""
        product = only_product(only_total(tree))
        if product is None:
            return None
        head = atom_of(product.children[0])
        is_d = has_kind(head, "LETTER") and str(head) == "d" and "d" not in self.kinds
        return list(product.children) if is_d or has_kind(head, "PARTIAL") else None

    def derivative(self, above: lark.Tree, below: lark.Tree) -> Node | None:
        items = self.differential(above)
        if items is None:
            return None
        order = order_of(items[0])
        if len(items) < 2 or isinstance(items[1], lark.Token):
            raise MathError(f"nothing to differentiate in {raw(above)}")
        bottom, indices = self.bottom(below, order)
        if len(items) == 2 and (name := self.name(items[1])) and self.kinds[name[0]] == "function":
            return Apply(name[0], order, (Entry(bottom, indices) if indices else bottom,))
        rest = deque(items[1:])
        top = self.take(rest)
        if rest:
            raise MathError(f"put what is differentiated in brackets: {raw(above)}")
        for _ in range(order):
            top = Derivative(top, bottom, indices)
        return top

    def bottom(self, tree: lark.Tree, order: int) -> tuple[Node, tuple[Node, ...]]:
        items = self.differential(tree)
        if items is None or len(items) != 2 or not isinstance(items[1], lark.Tree):
            raise MathError(f"{raw(tree)} must be one differential, as \\partial x_i")
        item = items[1]
        if order > 1:
            sup = parts_of(item)[2]
            if sup is None or raw(sup) != str(order):
                raise MathError(
                    f"a derivative of order {order} is written \\frac{{d^{order}y}}{{dx^{order}}}"
                )
            kept = [script for script in item.children[1:] if script.data != "sup"]
            item = lark.Tree("factor", [item.children[0], *kept])
        node = self.product([item])
        if isinstance(node, Entry) and isinstance(node.base, Symbol):
            return node.base, node.indices
        if not isinstance(node, Symbol):
            raise MathError(f"a derivative by {raw(item)}: give it a row in the table")
        return node, ()

    def nabla(self, item: Raw, rest: deque[Raw]) -> Node:
        _, sub, sup, primes = parts_of(item)
        if sub is None or sup is not None or primes:
            raise MathError(r"\nabla needs its variable: \nabla_\theta L")
        bottom = self.expression(sub)
        if not isinstance(bottom, Symbol):
            raise MathError(f"\\nabla by {raw(sub)}: give it a row in the table")
        return Derivative(self.argument(rest, raw(item)), bottom)

    # -- conditions --------------------------------------------------------------

    def condition(self, tree: lark.Tree) -> Node:
        relations = [without_words(relation) for relation in tree.children[::2]]
        found: list[Node] = []
        for relation in relations:
            parts = relation.children
            if len(parts) < 3:
                raise MathError(f"{raw(tree)} is no condition: write [a = b] or [a < b]")
            for left, op, right in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
                sign = COMPARE.get(str(op)) or ("=" if op == "=" else None)
                if sign is None:
                    raise MathError(f"{op} cannot stand in a condition")
                found.append(Compare(sign, self.total(left), self.total(right)))
        return found[0] if len(found) == 1 else All(tuple(found))

    def cases(self, tree: lark.Tree) -> Node:
        values, conditions = [], []
        for row in tree.children:
            value, condition = row.children
            values.append(self.expression(value))
            words = raw(condition)
            otherwise = words in (r"\text{otherwise}", r"\text{else}")
            conditions.append(None if otherwise else self.condition(condition))
        if None in conditions[:-1]:
            raise MathError("only the last row of cases can be 'otherwise'")
        return Cases(tuple(values), tuple(conditions))


def _side_by_side(nodes: list[Node]) -> Node:
    result = nodes[0]
    for node in nodes[1:]:
        result = Binary("*", result, node)
    return result
