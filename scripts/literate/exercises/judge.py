"""What the checks of exercises are written with: it compares, and says what is wrong.

``book`` in a check is the book's module, untouched by the reader. A label in a message becomes the
equation's number and text.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from .patterns import Slips, wrong

N = 5  # examples; no other size of the checks is 5
FEWER = 4  # examples of a second run: what was made for N alone shows there
NONE = "got None: is it still to be filled in, or is there no return?"
NUMBER = int | float | np.integer | np.floating | Fraction | Decimal
PLAINLY: dict[type, str] = {
    str: "; write it without quotes, unit or words",
    tuple: "; decimals take a point, and thousands no comma",
}


class Wrong(Exception):
    """An answer that does not hold, and why. ``label`` names the equation that it breaks."""

    def __init__(self, message: str, label: str = "") -> None:
        super().__init__(message)
        self.label = label


def refuse(message: str, label: str = "") -> None:
    """Say what is wrong."""
    raise Wrong(message, label)


def agrees(
    got: object,
    expected: object,
    what: str,
    label: str = "",
    n: int | None = None,
    slips: Slips | None = None,
) -> None:
    """Refuse an array that is not the expected one. ``slips``: what comes of usual mistakes."""
    if message := wrong(got, expected, n, slips):
        raise Wrong(f"{what}: {message}", label)


def number(
    got: object, expected: float, what: str, within: float = 0.01, label: str = "", slips: Slips | None = None
) -> None:
    """Refuse a number that is farther off than this share of the expected one."""
    if got is None:
        raise Wrong(f"{what}: expected a number, {NONE}", label)
    got = _single(got)
    if isinstance(got, bool) or not isinstance(got, NUMBER):
        plainly = PLAINLY.get(type(got), "")
        raise Wrong(f"{what}: expected a number, got {type(got).__name__}: {got!r:.60}{plainly}")
    value, near = float(got), within * abs(expected) if expected else 1e-9
    if np.isfinite(value) and abs(value - expected) <= near:
        return
    for text, slip in (slips or {}).items():
        if abs(value - float(slip)) <= within * abs(float(slip)):  # type: ignore[arg-type]
            raise Wrong(f"{what}: not {value:g}; {text}", label)
    raise Wrong(f"{what}: not {value:g}; {_how_far(value, expected)}", label)


def _how_far(value: float, expected: float) -> str:
    """In which way a number is wrong."""
    if any(value == float(f"{expected:.{digits}g}") for digits in (2, 3)):
        return "right as far as it goes, but give more digits"
    if not np.isfinite(value):
        return "that is no number that can be compared"
    if value * expected < 0:
        return "the sign is wrong"
    size = "large" if abs(value) > abs(expected) else "small"
    far = " by a factor of more than ten" if value and expected and not 0.1 < value / expected < 10 else ""
    return f"that is too {size}{far}{', its sign left aside' if expected < 0 else ''}"


def _single(got: Any) -> Any:
    """The number in an array without axes; anything else as it is."""
    return got[()] if isinstance(got, np.ndarray) and not got.ndim else got


def says(got: object, expected: bool, what: str, because: str = "") -> None:
    """Refuse anything but True or False, and the wrong one of them."""
    if got is None:
        raise Wrong(f"{what}: expected True or False, {NONE}")
    got = _single(got)
    if not isinstance(got, bool | np.bool_):
        raise Wrong(f"{what}: expected True or False, got {got!r:.60}")
    if bool(got) != expected:
        raise Wrong(f"{what}: not {got}{because and '; ' + because}")


def parts(got: Any, count: int, what: str) -> list[Any]:
    """The values that an answer returns together, in a tuple, a list or an array."""
    if got is None:
        raise Wrong(f"expected {what}, got None: is there a return?")
    if not isinstance(got := _single(got), tuple | list | np.ndarray):
        raise Wrong(f"expected {what}, got {type(got).__name__}: {got!r:.60}")
    if len(got) != count:
        raise Wrong(f"expected {what}, got a {type(got).__name__} of {len(got)}")
    return list(got)


def draws(answer: Callable[[Any], Any], what: str, is_free: bool = False) -> None:
    """Refuse an answer that takes its random numbers from elsewhere than from the generator it is given.

    A free one need not be random at all.
    """
    first, again, other = (np.asarray(answer(np.random.default_rng(seed))) for seed in (11, 11, 12))
    if not np.array_equal(first, again):
        raise Wrong(
            f"{what}: the same generator, asked twice, gives two results: draw from rng, and no other"
        )
    if not is_free and np.array_equal(first, other):
        raise Wrong(f"{what}: another generator gives the same: draw from rng, and no other")


# -- backward ------------------------------------------------------------------------


def gradients(
    make: Callable[[], Any],
    right: Callable[[], Any],
    shape: Sequence[int],
    labels: Mapping[str, str],
    rest: Sequence[Any] = (),
    slips: Callable[[SimpleNamespace], Mapping[str, Slips]] | None = None,
) -> None:
    """Hold the reader's ``backward`` against the book's: parameters first, then the input.

    ``shape`` is that of the input, behind the examples; ``labels`` says which equation each gradient
    has: {"weight": "eq:…", "input": "eq:…"}. ``slips`` makes, of x, g, mine and right, the gradients
    that come of usual mistakes.
    """
    try:
        _gradients(make, right, (N, *shape), labels, rest, slips)
    except Wrong as error:
        try:
            _gradients(make, right, (1, *shape), labels, [one[:1] for one in rest], None)
        except Exception:
            raise error from None
        text = f"{error}\nWith one example it is right; it is wrong with N = {N}"
        raise Wrong(text, error.label) from None
    try:
        _gradients(make, right, (FEWER, *shape), labels, [one[:FEWER] for one in rest], slips)
    except Wrong as error:
        text = f"{error}\nWith {N} examples it is right; it is wrong with {FEWER}"
        raise Wrong(text, error.label) from None


def _gradients(
    make: Callable[[], Any],
    right: Callable[[], Any],
    shape: tuple[int, ...],
    labels: Mapping[str, str],
    rest: Sequence[Any],
    slips: Callable[[SimpleNamespace], Mapping[str, Slips]] | None,
) -> None:
    rng = np.random.default_rng(7)
    mine, twin = make(), right()
    x = rng.normal(size=shape)
    given = x.copy()
    y = mine.forward(given, *rest)
    wanted = twin.forward(x.copy(), *rest)
    agrees(y, wanted, "forward", labels.get("output", ""), len(x))
    g = rng.normal(size=np.shape(wanted))
    upstream = g.copy()
    pairs = list(_parameters(mine, twin))
    for _, p, q in pairs:
        p.grad[...] = q.grad[...] = 1.0
    before = [p.data.copy() for _, p, _ in pairs]
    sent = upstream if upstream.ndim else float(g)
    returned = mine.backward(sent)
    expected = twin.backward(g.copy() if g.ndim else float(g))
    if not np.array_equal(upstream, g):
        raise Wrong("backward changed grad_output in place: the caller may still need it; work on a copy")
    if not np.array_equal(given, x):
        raise Wrong("the input was changed in place: the caller may still need it; work on a copy")
    known = slips(SimpleNamespace(x=x, g=g, mine=mine, right=twin)) if slips else {}
    held = []
    try:
        for (name, p, q), data in zip(pairs, before, strict=True):
            if not np.array_equal(p.data, data):
                raise Wrong(f"backward changed {name}.data: only an optimizer moves parameters")
            added, label = q.grad - 1.0, labels.get(name, "")
            if np.any(added) and np.array_equal(p.grad, np.ones_like(added)):
                how = "backward adds to it (+=), and returns the gradient of the input alone"
                inside = "has backward of the layer that it belongs to been called?"
                raise Wrong(f"nothing was added to {name}.grad: {inside if '.' in name else how}", label)
            if not wrong(p.grad, added) and np.any(added):
                raise Wrong(f"{name}.grad was overwritten: backward adds to it (+=)", label)
            what = f"what was added to {name}.grad"
            agrees(np.asarray(p.grad) - 1.0, added, what, label, len(x), known.get(name))
            held.append(name)
        what, label = "what backward returns", labels.get("input", "")
        agrees(returned, expected, what, label, len(x), known.get("input"))
        added_once = [p.grad.copy() for _, p, _ in pairs]
        again = mine.backward(sent)
        rest_of_it = [(p.grad - once, once - 1.0) for (_, p, _), once in zip(pairs, added_once, strict=True)]
        if any(wrong(*pair) for pair in [(again, expected), *rest_of_it]):
            raise Wrong(
                "a second backward after the same forward differs: the first one changed what was kept"
            )
    except Wrong as error:
        fine = f"\nRight so far: {', '.join(f'{name}.grad' for name in held)}" if held else ""
        raise Wrong(f"{error}{fine}", error.label) from None


def _parameters(mine: Any, twin: Any) -> Iterator[tuple[str, Any, Any]]:
    others = dict(twin.named_parameters()) if hasattr(twin, "named_parameters") else {}
    own = dict(mine.named_parameters()) if others else {}
    for name, other in others.items():
        if name not in own:
            raise Wrong(f"the parameter {name} is gone")
        yield name, own[name], other


# -- value and slope -------------------------------------------------------------------


SILENT: Any = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}
NEAR = (-2.0, -0.7, -0.1, 0.0, 0.3, 1.1, 2.4)
BETWEEN = (3.3, 6.0, 12.0, 25.0, 60.0, 150.0)


def slopes(
    mine: Any,
    right: Any,
    labels: tuple[str, str],
    far: Sequence[float] = (-800.0, 800.0),
    slips: Callable[[np.ndarray, np.ndarray, np.ndarray], Slips] | None = None,
) -> None:
    """Hold ``value_and_slope`` of an activation against the book's, near 0 and far out.

    What overflows on the way is refused, too: the values are compared first, without a warning.
    """
    name = type(mine).__name__
    outwards = [(sign * x) for x in BETWEEN for sign in (-1, 1) if x < max(far)]
    between = np.array(outwards).reshape(2, -1)
    for where, xs in (("", np.array(NEAR)), (" farther out", between), (" far out", np.array(far))):
        with np.errstate(**SILENT):
            answer = parts(mine.value_and_slope(xs), 2, f"a pair, f(x) and f'(x), from {name}")
        value, slope = (np.asarray(part, dtype=float) for part in right.value_and_slope(xs))
        at = f" at x = {xs.tolist()}"
        if not where and not wrong(answer[0], slope) and not wrong(answer[1], value):
            raise Wrong(f"{name}: value and slope are swapped: the value comes first")
        agrees(answer[0], value, f"{name}: the value{where}{at}", labels[0])
        known = slips(xs, value, slope) if slips else {}
        agrees(answer[1], slope, f"{name}: the slope{where}{at}", labels[1], slips=known)
        mine.value_and_slope(xs)  # and once more, where warnings are errors


def losses(mine: Any, right: Any, pairs: Sequence[tuple[Any, Any]], labels: tuple[str, str]) -> None:
    """Hold ``value_and_slope(x, target)`` of a loss against the book's."""
    name = type(mine).__name__
    for x, target in pairs:
        x, target = np.array(x, float), np.array(target)
        of = f"{name} of {_short(x)} with the target {_short(target)}"
        with np.errstate(**SILENT):
            answer = parts(mine.value_and_slope(x, target), 2, f"a pair, values and slopes, from {name}")
        value, slope = right.value_and_slope(x, target)
        agrees(answer[0], value, f"{of}: the values", labels[0], len(x))
        is_whole = np.shape(answer[1]) == np.shape(slope) == target.shape
        known = {
            "prediction and target are swapped": -np.asarray(slope),
            "where the two are equal it is 0": np.where(x == target, answer[1], slope) if is_whole else slope,
        }
        agrees(answer[1], slope, f"{of}: the slopes", labels[1], len(x), known)
        mine.value_and_slope(x, target)  # and once more, where warnings are errors


def _short(array: np.ndarray) -> str:
    shown = str(np.round(array.astype(float), 2).tolist())
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


FUNCTIONS: Any = (agrees, draws, gradients, losses, number, parts, refuse, says, slopes)
VOCABULARY = {"copy": copy, "np": np} | {function.__name__: function for function in FUNCTIONS}
