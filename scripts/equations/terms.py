r"""Formulas in the running text that state nothing by themselves: $1-\eta a$, $\frac{\eta}{1-\alpha}$.

"Every step multiplies the distance by $1-\eta a$" is a claim all the same, and nothing evaluates it. So
such a formula is part of a display of its chapter or of a formula that is held to account; or it
is listed with its reason, letter by letter, so that a change of it is seen.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from .inline import Inline, formulas, relations, spelled
from .text import Text

ONE = re.compile(  # a symbol with its marks, a number, a bracket of names like (N,T,D)
    r"-?\\?[A-Za-z]+(?:[_^'](?:\w|\\[a-z]+|\{[^{}]*\})?)*|\\(?:hat|bar|dot|tilde)\s*\w(?:_\w|_\{\w+\})?|-?\d+"
)


def terms(chapter: Text, prose: Sequence[str]) -> Iterator[Inline]:
    """The formulas without a relation that are more than a symbol or a number."""
    for inline in formulas(chapter, prose):
        if not inline.has_relation and not ONE.fullmatch(inline.tex.strip()):
            yield inline


def loose_terms(chapter: Text, prose: Sequence[str], listed: Collection[str]) -> Iterator[tuple[Inline, str]]:
    """Those that stand in no display or relation of the chapter, nor in the list; and what to do."""
    known = [display.tex for display in chapter.displays]
    known += [inline.tex for inline in relations(chapter, prose)]
    known += [row.symbol for table in chapter.tables for row in table.rows]
    plain, reasons = [spelled(tex) for tex in known], {*map(spelled, listed)}
    for inline in terms(chapter, prose):
        tex = spelled(inline.tex)
        if tex not in reasons and not any(_is_part(tex, whole) for whole in plain):
            yield (
                inline,
                f"${inline.shown}$ is no part of any display of this chapter, so nothing holds it to "
                "account. Write it as a display does, or list it with its reason in book/unbound.toml",
            )


def _is_part(part: str, whole: str) -> bool:
    """Not of a power or a longer name: 1-e is no part of 1-e^2."""
    no_command = r"(?<!\\)" if part[0].isalpha() else ""
    return bool(re.search(rf"{no_command}{re.escape(part)}(?![\^_'!])", whole))
