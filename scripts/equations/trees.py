"""Raw trees: what a factor consists of, and small questions about its parts."""

from collections.abc import Mapping, Sequence

import lark

from .errors import MathError
from .grammar import Raw, raw

# What the reader knows of a row: "number" (an integer, may be an index), "value",
# "function", "indexed" (Kronecker's delta: its subscripts are its arguments).
Kinds = Mapping[str, str]


def parts_of(factor: Raw) -> tuple[Raw, lark.Tree | None, lark.Tree | None, int]:
    """Atom, subscript, superscript and number of primes of a factor."""
    found: dict[str, lark.Tree] = {}
    primes = 0
    for script in factor.children[1:]:
        if script.data == "prime":
            primes += 1
        elif script.data in found:
            raise MathError(f"two scripts of one kind at {raw(factor)}; add brackets")
        else:
            found[script.data] = script.children[0]
    if primes and "sup" in found:
        raise MathError(f"prime and exponent at {raw(factor)}: write (f')^2")
    return unwrapped(factor.children[0]), found.get("sub"), found.get("sup"), primes


def unwrapped(atom: Raw) -> Raw:
    """``{x}_t`` is ``x_t``."""
    if has_kind(atom, "braced"):
        inner = only_child(only_product(only_total(atom.children[0])))
        if inner is not None and isinstance(inner, lark.Tree) and len(inner.children) == 1:
            return inner.children[0]
    return atom


def has_kind(tree: object, kind: str) -> bool:
    if isinstance(tree, lark.Token):
        return tree.type == kind
    return isinstance(tree, lark.Tree) and tree.data == kind


def is_letter(tree: object) -> bool:
    return has_kind(tree, "LETTER")


def is_e(atom: Raw, kinds: Kinds) -> bool:
    return is_letter(atom) and str(atom) == "e" and "e" not in kinds


def is_nameable(atom: Raw) -> bool:
    return any(has_kind(atom, kind) for kind in ("LETTER", "WORD", "accent", "TEXT"))


def only_child(tree: lark.Tree | None) -> lark.Tree | None:
    return tree.children[0] if tree is not None and len(tree.children) == 1 else None


def only_total(tree: lark.Tree | None) -> lark.Tree | None:
    return only_child(only_child(tree))


def only_product(total: lark.Tree | None) -> lark.Tree | None:
    return only_child(total)


def atom_of(item: Raw) -> Raw:
    return item.children[0] if isinstance(item, lark.Tree) and item.data == "factor" else item


def starts_with_group(items: Sequence[Raw]) -> bool:
    return bool(items) and any(has_kind(atom_of(items[0]), kind) for kind in ("round", "square", "curly"))


def is_plain_letter(item: Raw) -> bool:
    return isinstance(item, lark.Tree) and len(item.children) == 1 and is_letter(item.children[0])


def is_natural(sup: lark.Tree) -> bool:
    return raw(sup).isdigit()


def letter_of(tree: Raw) -> str:
    """The one letter that a bound index is."""
    text = raw(tree)
    leaf = next(iter(tree.scan_values(is_letter)), None) if isinstance(tree, lark.Tree) else None
    if leaf is None or str(leaf) != text:
        raise MathError(f"{text} cannot be summed over: an index is one letter")
    return text


def is_letter_total(tree: Raw) -> bool:
    return isinstance(tree, lark.Tree) and [str(leaf) for leaf in tree.scan_values(is_letter)] == [raw(tree)]


def with_commas(parts: list[lark.Tree]) -> list[Raw]:
    return [item for part in parts for item in (part, lark.Token("COMMA", ","))][:-1]


def order_of(item: Raw) -> int:
    sup = parts_of(item)[2]
    if sup is None:
        return 1
    if not is_natural(sup):
        raise MathError("the order of a derivative is a number")
    return int(raw(sup))


def without_words(relation: lark.Tree) -> lark.Tree:
    r"""Drop the word of ``\text{if } x > 0``."""
    total = relation.children[0]
    product = next(child for child in total.children if isinstance(child, lark.Tree))
    first = product.children[0]
    if not has_kind(atom_of(first), "TEXT") or len(product.children) == 1:
        return relation
    if str(atom_of(first)) not in (r"\text{if}", r"\text{for}", r"\text{where}", r"\text{when}"):
        raise MathError(f"{atom_of(first)} is not read; write \\text{{if }} before a condition")
    shorter = lark.Tree("product", product.children[1:])
    terms = [shorter if child is product else child for child in total.children]
    return lark.Tree("relation", [lark.Tree("total", terms), *relation.children[1:]])
