"""In which way an array is wrong: what a teacher would see at a glance.

The words are those of the equation checker (``equations.compare``) and of ``diagnose`` in the clinic.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from equations.compare import difference

ALIKE = 1e-6  # relative to the largest entry; an answer may come of differences
Slips = Mapping[str, object]  # what was done: the array that comes of it


def wrong(got: object, expected: object, n: int | None = None, slips: Slips | None = None) -> str:
    """What is wrong with ``got``, or "". ``n`` is the number of examples."""
    wanted = np.asarray(expected, dtype=float)
    if got is None:
        return "expected an array, got None: is there a return?"
    try:
        found = np.asarray(got)
    except ValueError:
        found = np.asarray(None)
    if found.dtype.kind == "c":
        return f"expected real numbers, got complex ones: {_short(got)}"
    if found.dtype.kind not in "biuf":
        return f"expected numbers, got {type(got).__name__}: {_short(got)}"
    found = found.astype(float)
    for what, array in (slips or {}).items():
        if _same(found, np.asarray(array, dtype=float)) and not _same(found, wanted):
            return f"{_at(found, wanted)}; {what}"
    if found.shape != wanted.shape:
        return f"expected the shape {wanted.shape}, got {found.shape}{_misfit(found, wanted)}"
    if not np.isfinite(found).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(found))[0])
        return f"not a finite number at {_index(at)}: got {found[at]}, expected {wanted[at]:.4g}"
    if _same(found, wanted):
        return ""
    hints = [f"; {text}" for text in _patterns(found, wanted, n)]
    return "".join([_at(found, wanted), *hints[:1]])


def _same(found: np.ndarray, wanted: np.ndarray) -> bool:
    is_number = found.shape == wanted.shape and bool(np.isfinite(found).all())
    return is_number and not difference(found, wanted, ALIKE)


def _at(found: np.ndarray, wanted: np.ndarray) -> str:
    """The element that differs most."""
    if found.shape != wanted.shape:
        return f"expected the shape {wanted.shape}, got {found.shape}"
    most = difference(found, wanted, ALIKE)
    at = most[0] if most else ()
    where = f"at {_index(at)} " if at else ""
    pairs = [(f"{wanted[at]:.{digits}g}", f"{found[at]:.{digits}g}") for digits in (4, 8, 12)]
    right, mine = next((pair for pair in pairs if len(set(pair)) == 2), pairs[-1])
    return f"{where}expected {right}, got {mine}"


def _index(at: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else "the only element"


def _patterns(found: np.ndarray, wanted: np.ndarray, n: int | None) -> Iterator[str]:
    """From the most telling to the least."""
    if not found.any():
        yield "all zero"
    if (factor := _factor(found, wanted)) is not None:
        yield _by_factor(factor, found.size, n)
    if found.ndim == 2 and found.shape[0] == found.shape[1] and _same(found.T, wanted):
        yield "right, but transposed"
    for axis in range(found.ndim):
        if found.shape[axis] > 1 and _same(np.flip(found, axis), wanted):
            yield f"right, but axis {axis} runs backwards"
    if found.size > 1 and np.ptp(found - wanted) < 1e-9 * max(1.0, np.abs(wanted).max()):
        yield f"off by {np.mean(found - wanted):.4g} everywhere: a term too many, or one that is missing"
    if _same(np.abs(found), np.abs(wanted)):
        yield f"the sign is wrong in {_count(np.sign(found) != np.sign(wanted))} elements"
    silent = wanted == 0
    if silent.any() and not silent.all() and _same(np.where(silent, 0, found), wanted):
        yield f"not zero where nothing can flow ({_count(silent)} elements): the mask is missing"
    missing = (found == 0) & ~silent
    if missing.any() and not missing.all() and _same(np.where(missing, wanted, found), wanted):
        yield f"zero in {_count(missing)} elements where something flows"
    if found.size > 1 and not np.ptp(found):
        yield "the same everywhere: summed over the wrong axis?"
    if found.size > 1 and _same(np.sort(found, axis=None), np.sort(wanted, axis=None)):
        yield "the right numbers in the wrong order"
    off = np.abs(found - wanted) > 1e-6 * max(np.abs(wanted).max(initial=0), np.abs(found).max(initial=0))
    if off.any() and not off.all():
        yield f"wrong in {_count(off)} elements"


def _count(chosen: np.ndarray) -> str:
    return f"{int(chosen.sum())} of {chosen.size}"


def _factor(found: np.ndarray, wanted: np.ndarray) -> float | None:
    """found = factor · wanted, everywhere. Of a single number only a plain factor says something."""
    square = float(np.sum(wanted * wanted))
    factor = float(np.sum(found * wanted)) / square if square else 0.0
    is_plain = factor and min(abs(one - round(one)) for one in (factor, 1 / factor)) < ALIKE
    says = is_plain if found.size == 1 else not np.isclose(factor, 1, rtol=0.001)
    return factor if factor and says and _same(found, factor * wanted) else None


def _by_factor(factor: float, size: int, n: int | None) -> str:
    text = f"off by the factor {factor:.4g}" + " everywhere" * (size > 1)
    if np.isclose(factor, -1):
        return "the sign is wrong" + " everywhere" * (size > 1)
    if n and n > 1 and np.isclose(factor, 1 / n):
        return f"{text}, which is 1/N with N = {n}: a mean where a sum belongs"
    if n and n > 1 and np.isclose(factor, n):
        return f"{text}, which is N = {n}: a sum where a mean belongs"
    return text


def _misfit(found: np.ndarray, wanted: np.ndarray) -> str:
    """What would make the shapes fit."""
    if found.ndim >= 2 and _same(found.T, wanted):
        return "; right, but transposed"
    for axis in range(found.ndim):
        if _same(found.sum(axis=axis), wanted):
            what = "the batch" if axis == 0 else f"axis {axis}"
            return f"; right but for the sum over {what}"
        if _same(found.mean(axis=axis), wanted):
            return f"; right but for the mean over axis {axis}"
    for name in ("mean", "sum"):
        if found.size == 1 and _same(found.reshape(()), np.asarray(getattr(wanted, name)())):
            return f"; that is the {name} of what is wanted, taken too early"
    if found.size == wanted.size and _same(found.reshape(wanted.shape), wanted):
        return "; the right numbers in another shape"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
