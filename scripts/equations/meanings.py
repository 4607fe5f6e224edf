"""The Meaning column against what the code does, where a word has a meaning that can be tested.

A *variance* grows fourfold when the numbers double and stays when they move; a *mean* moves with them. The
*input gate* is the first block of an LSTM. What is handed to ``out_features`` is not called *in*. What has no
such word is not checked; see README.md.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .environment import Environment
from .errors import MathError, Redraw, RowError
from .notation import Definition, Notation
from .slicing import pairs, parameters
from .syntax import Binary, Entry, Node, Number, Symbol

# Words of which a Meaning has one sort where the code's own words are of the other.
# The first pair is for sizes only.
OPPOSITES: list[tuple[set[str], set[str]]] = [
    (set("in input inputs coming fan_in".split()), set("out output outputs going fan_out".split())),
    (set("drop dropped drops zero zeroed".split()), set("keep keeps kept survive survives".split())),
    (set("weight weights kernel kernels".split()), set("bias biases".split())),
    (set("mean means average".split()), set("variance variances deviation".split())),
    (set("lr rate".split()), set("momentum velocity dampening".split())),
    (set("stride".split()), set("padding".split())),
    (set("xavier glorot".split()), set("kaiming he".split())),
    (set("l1".split()), set("l2".split())),
    (set("state recurrent".split()), set("input".split())),
    (set("query queries".split()), set("key keys".split())),
]
Draw = Callable[[int], Environment]
GATES = {"input": 1, "forget": 2, "output": 4, "reset": 1, "update": 2}  # PyTorch's order of the blocks
NEAR = 15  # lines: of the same table, or of one beside it
STOP = set("a all an and any are as at be by for from gradient has have in is it its of on one other".split())
STOP |= set("same so step that the their them they this to with what where which".split())
INPUTS = set("input inputs sequence sequences batch picture point x".split())


def meaning_complaint(notation: Notation, row: Definition, draw: Draw, is_gradient: bool) -> str | None:
    """What the Meaning of a row says and the code denies."""
    said = _words(row.row.meaning)
    found = [
        *_opposites(notation, row, said),
        *(_of_gradient(notation, row, said) if is_gradient else _of_value(notation, row, said, draw)),
    ]
    return found[0] if found else None


def _words(text: str) -> list[str]:
    return [word for part in re.findall(r"\w+", text.lower()) for word in {part, *part.split("_")} if word]


# -- the code's own words ------------------------------------------------------------


def _opposites(notation: Notation, row: Definition, said: list[str]) -> Iterator[str]:
    evidence = list(_evidence(notation, row))
    names = {word for one in evidence if one.isidentifier() for word in _words(one)}
    all_of_it = {word for one in evidence for word in _words(one)}
    for pair in OPPOSITES[0 if row.kind == "number" else 1 :]:
        for mine, other in (pair, pair[::-1]):
            wrong = [word for word in said if word in other]
            code = names if names & (mine | other) else all_of_it
            if code & mine and not code & other and wrong and not mine & set(said):
                ours = sorted(code & mine)[0]
                yield f"its meaning says {wrong[0]!r}, where the code speaks of {ours!r}"


def _evidence(notation: Notation, row: Definition) -> Iterator[str]:
    """How the code calls what this row's name stands for."""
    own = notation.slice_for(row.id)
    if row.name is None:
        yield from own.names if own else ()
        return
    if own is not None and row.expression is not None:
        yield from own.names
    trees: list[ast.AST] = [one.expression for one in notation.every_row() if one.expression]
    trees += [statement.node for _, cell in notation.cells for statement in notation._statements[cell.place]]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Call):
            yield from _parameters(notation, node, row.name)
        if isinstance(node, ast.Assign):
            for target, value in pairs(node.targets[0], node.value):
                if isinstance(value, ast.Name) and value.id == row.name:
                    yield from (part.attr for part in ast.walk(target) if isinstance(part, ast.Attribute))


def _parameters(notation: Notation, call: ast.Call, name: str) -> Iterator[str]:
    """The parameter to which a name is handed, and what the docstring says of it."""
    if not (isinstance(call.func, ast.Name) and call.func.id in notation.module):
        return
    function = notation.module[call.func.id]
    given = dict(zip(parameters(function), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    for parameter, value in given.items():
        if isinstance(value, ast.Name) and value.id == name:
            yield parameter
            sentences = re.split(r"(?<=[.;:])\s", inspect.getdoc(function) or "")
            yield from (one for one in sentences if re.search(rf"\b{re.escape(parameter)}\b", one))


# -- gradients -----------------------------------------------------------------------


def _of_gradient(notation: Notation, row: Definition, said: list[str]) -> Iterator[str]:
    """The gradient of the weights is not that of what the table calls biases."""
    bottom = next((pair[1] for pair, one in notation.gradients.items() if one is row), "")
    words = _content(said)
    if not words or bottom not in notation.rows or "upstream" in said or "backs" in said:
        return
    meanings = {key: _content(_words(one.row.meaning)) for key, one in notation.rows.items()}
    if words & meanings[bottom] or (words & INPUTS and meanings[bottom] & INPUTS):
        return
    tops = {pair[1] for pair in notation.gradients}
    others = [key for key, content in meanings.items() if words <= content and key in tops and key != bottom]
    if others:
        yield f"its meaning speaks of what the table calls ${others[0]}$, not ${bottom}$"


def _content(words: list[str]) -> set[str]:
    return {re.sub(r"(?<=...)(?:es|s)$", "", word) for word in words if word not in STOP}


# -- values --------------------------------------------------------------------------


def _of_value(notation: Notation, row: Definition, said: list[str], draw: Draw) -> Iterator[str]:
    is_computed = bool(row.label) or notation.slice_for(row.id) is not None
    text = " ".join(said)
    if re.search(r"\bso far\b", text) and is_computed:
        yield "its meaning says 'so far', but it is computed, not given"
    if re.search(r"\bafter (?:the|this) (?:step|batch)\b", text) and not is_computed:
        yield "its meaning says 'after', but it is drawn: nothing computes it"
    if not row.label and not is_computed and row.kind == "value":
        yield from _of_drawn(row, said)
    yield from _of_names(notation, row)
    yield from _of_gate(notation, row, text)
    yield from _of_axes(notation, row, text)
    yield from _of_use(notation, row, text)
    if is_computed and row.kind == "value" and set(said) & {"larger", "smaller"}:
        yield from _of_two(notation, row, "smaller" in said, draw(0))
    if is_computed and row.kind == "value" and not set(said) & {"gradient", "normalised", "running"}:
        yield from _of_numbers(notation, row, said, draw)


def _of_drawn(row: Definition, said: list[str]) -> Iterator[str]:
    low = row.set.positive or row.set.base[0] in "([" or row.set.base.startswith(r"\{")
    for word in ("variance", "probability", "probabilities", "deviation"):
        if word in said and not low and "log" not in said:
            yield f"its meaning says {word!r}, but its set has negative numbers"


def _of_names(notation: Notation, row: Definition) -> Iterator[str]:
    """A class of the module that a Meaning names is one that the code uses."""
    if row.kind != "value" or (slice_ := notation.slice_for(row.id)) is None:
        return
    used = slice_.names
    for name in re.findall(r"\b[A-Z]\w*[a-z]\w*", row.row.meaning):
        if isinstance(notation.module.get(name), type) and used & notation.module.keys() and name not in used:
            yield f"its meaning names {name}, which its code does not use"


def _of_gate(notation: Notation, row: Definition, text: str) -> Iterator[str]:
    if not (found := re.search(r"\b(\w+) gate\b", text)) or found[1] not in GATES or not row.label:
        return
    parts = notation.text(row).walk()
    entries = [part for part in parts if isinstance(part, Entry) and len(part.indices) == 3]
    blocks = {int(index.value) for part in entries for index in part.indices if isinstance(index, Number)}
    if blocks and GATES[found[1]] not in blocks:
        where = sorted(blocks)[0]
        yield f"its meaning says {found[1]!r} gate, block {GATES[found[1]]}; {row.label} takes block {where}"


def _of_use(notation: Notation, row: Definition, text: str) -> Iterator[str]:
    """What something is divided by stands below a line."""

    def uses(node: Node) -> bool:
        return any(isinstance(part, Symbol) and part.key == row.key for part in node.walk())

    if row.label and (said := re.search(r"\b(multiplied|divided) by\b", text)):
        others = [notation.text(one) for one in notation.rows.values() if one.label and one is not row]
        parts = (part for node in others for part in node.walk())
        is_below = any(isinstance(part, Binary) and part.op == "/" and uses(part.right) for part in parts)
        if any(map(uses, others)) and is_below != (said[1] == "divided"):
            they = "divide" if is_below else "multiply"
            yield f"its meaning says {said[0]!r}, but the equations {they} by it"


def _of_two(notation: Notation, row: Definition, is_smaller: bool, env: Environment) -> Iterator[str]:
    drawn = (one for one in notation.rows.values() if one.id in notation.closure(row.id) - {row.id})
    numbers = [float(env.value(one.key)) for one in drawn if one.kind == "value" and not one.set.sizes]
    if len(numbers) == 2 and float(env.value(row.key)) != (min if is_smaller else max)(numbers):
        yield f"its meaning says otherwise, but it is not the {'smaller' if is_smaller else 'larger'} one"


def _of_axes(notation: Notation, row: Definition, text: str) -> Iterator[str]:
    """Rows are counted by the last axis but one of a table, columns by the last."""
    near = [one for one in notation.every_row() if abs(one.place.line - row.place.line) <= NEAR]
    if row.set.rank == 2 and (told := re.search(r"(\w+) one (?:(\w+) )?per (row|column)\b", text)):
        counts = {one.row.symbol for one in near if (told[2] or told[1])[:5] in one.row.meaning}
        if row.set.sizes[told[3] == "row"] in counts and row.set.sizes[told[3] != "row"] not in counts:
            yield f"its meaning says 'per {told[3]}', but its set counts them along the other axis"
    tables, is_vector = [one.set.sizes for one in near if one.set.rank > 1], row.set.rank == 1
    size = row.set.sizes[0] if is_vector else row.row.symbol
    if row.set.rank > 1 or not (is_vector or row.kind == "number"):
        return
    for word, at in (("row", -2), ("column", -1)):
        says = rf"\b(?:each|per|the) {word}\b" if is_vector else rf"\b{word}s\b"
        counted = {sizes[at] for sizes in tables}, {sizes[-3 - at] for sizes in tables}
        if re.search(says, text) and size not in counted[0] and size in counted[1]:
            yield f"its meaning says {word!r}, but in the sets beside it ${size}$ counts the other axis"


def _of_numbers(notation: Notation, row: Definition, said: list[str], draw: Draw) -> Iterator[str]:
    """How the value answers when all that it is computed from doubles, or moves by one."""
    words = set(said)
    is_square = bool(words & {"variance", "square", "squared", "squares"}) and "root" not in words
    is_size = bool(words & {"deviation", "length", "norm", "absolute", "largest", "smallest"})
    is_mean = bool(words & {"mean", "average"}) and not (is_square or is_size)
    if not (is_square or is_size or is_mean):
        return
    try:
        env = draw(0)
        below = (one for one in notation.rows.values() if one.id in notation.closure(row.id))
        arrays = (one for one in below if one.kind == "value" and one.set.sizes and not one.label)
        drawn = [one for one in arrays if one.set.base == r"\mathbbR" and not notation.slice_for(one.id)]
        if not drawn:
            return
        value = np.asarray(env.value(row.key), float)
        doubled = _changed(env, row, drawn, lambda x: 2 * x)
        moved = _changed(env, row, drawn, lambda x: x + 1)
    except (MathError, Redraw, RowError):
        return
    degree = 2 if is_square else 1
    for other in {0, 1, 2} - {degree}:
        if np.allclose(doubled, 2**other * value, rtol=1e-6) and np.any(value):
            grows = "does not grow" if other == 0 else f"grows {2**other} times"
            yield f"its meaning says {_shown(words)!r}, but the value {grows} where the numbers double"
    if "variance" in words and not np.allclose(moved, value, rtol=1e-6, atol=1e-9):
        yield "its meaning says 'variance', but the value changes where all numbers move by one"
    if is_mean and len(drawn) == 1 and np.ptp(moved - value) < 1e-6 and not np.allclose(moved - value, 1):
        by = float(np.mean(moved - value))
        yield f"its meaning says {_shown(words)!r}, but it moves by {by:g} where the numbers move by one"
    if words & {"largest", "smallest"} and len(drawn) == 1:
        numbers = np.asarray(env.value(drawn[0].key), float)
        extreme = np.max if "largest" in words else np.min
        if not np.isin(value, numbers).all() or extreme(value) != extreme(numbers):
            yield f"its meaning says {_shown(words)!r}, but it is not that of ${drawn[0].key}$"


def _shown(words: set[str]) -> str:
    order = (
        "variance deviation square squared squares absolute largest smallest length norm mean average".split()
    )
    return next(word for word in order if word in words)


def _changed(
    env: Environment, row: Definition, drawn: list[Definition], change: Callable[[Any], Any]
) -> np.ndarray:
    for one in drawn:
        env = env.overriding(one.id)(change(np.asarray(env.value(one.key), float)))
    return np.asarray(env.value(row.key), float)
