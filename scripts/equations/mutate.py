"""Small mistakes to plant in a display: every one should be noticed.

A mutant is a splice of the LaTeX. What changes nothing by the laws that
everybody knows (a + b = b + a, another name for a summed index) is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from .tokens import Token, tokens

SWAPPED = {
    **{r"\exp": r"\log", r"\log": r"\exp", r"\ln": r"\exp", r"\sin": r"\cos", r"\cos": r"\sin"},
    **{r"\tanh": r"\sin", r"\max": r"\min", r"\min": r"\max", r"\sum": r"\prod", r"\prod": r"\sum"},
    **{"<": ">", ">": "<", r"\le": r"\ge", r"\leq": r"\geq", r"\ge": r"\le", r"\geq": r"\leq"},
    **{r"\ne": "=", r"\neq": "="},
}

DROPPED = {"PRIME": "drop a prime", "SQRT": "drop a root", "ACCENT": "drop an accent"}
BEFORE = set("EQUALS LBRACE LPAR LSQB LSET AMP QUAD".split())  # a sign that needs no left side


@dataclass(frozen=True)
class Mutant:
    what: str
    tex: str


def mutants(tex: str) -> list[Mutant]:
    """Every mutant once, in the order of the places changed."""
    found: dict[str, Mutant] = {}
    for what, splices in _Mutator(tex).all():
        changed = _splice(tex, splices)
        if "".join(changed.split()) != "".join(tex.split()):
            found.setdefault(changed, Mutant(what, changed))
    return list(found.values())


Splice = tuple[int, int, str]
Change = tuple[str, list[Splice]]


def _splice(tex: str, splices: list[Splice]) -> str:
    for start, end, new in sorted(splices, reverse=True):
        space = " " if new and new[-1].isalpha() else ""
        tex = tex[:start] + new + space + tex[end:]
    return tex


class _Mutator:
    def __init__(self, tex: str) -> None:
        self.tex = tex
        self.tokens = [token for token in tokens(tex) if token.kind not in ("LAYOUT", "TEXT")]
        self.ends = _group_ends(self.tokens)
        self.in_sub = _inside(self.tokens, self.ends, "SUB")
        self.names = self._names()

    def all(self) -> Iterator[Change]:
        for at, token in enumerate(self.tokens):
            yield from self.sign(at, token)
            yield from self.index(at, token)
            yield from self.symbol(at)
            yield from self.script(at, token)
            yield from self.fraction(at, token)
            yield from self.big(at, token)
            yield from self.alone(token)
        yield from self.neighbours()

    def text(self, first: int, last: int) -> str:
        """LaTeX from one token to another, both included."""
        return self.tex[self.tokens[first].start : self.tokens[last].end]

    # -- the changes -----------------------------------------------------------

    def sign(self, at: int, token: Token) -> Iterator[Change]:
        if token.kind == "SIGN":
            leads = at == 0 or self.tokens[at - 1].kind in BEFORE
            new = "" if leads else "+" if token.text != "+" else "-"
            yield "flip a sign", [(token.start, token.end, new)]
        is_last = at + 1 == len(self.tokens)
        if token.kind == "EQUALS" and token.text in "=≈" and not is_last and not self.in_sub[at]:
            following = self.tokens[at + 1]
            if following.kind != "SIGN":
                yield "flip a sign", [(following.start, following.start, "-")]

    def alone(self, token: Token) -> Iterator[Change]:
        """What asks for no other token."""
        span = token.start, token.end
        if token.kind == "NUMBER" and token.text.isdigit():
            yield "change a constant", [(*span, f"{{{int(token.text) + 1}}}")]
        if token.kind in DROPPED or token.text == r"\odot":
            yield DROPPED.get(token.kind, "drop \\odot"), [(*span, " " * (token.text == r"\odot"))]
        if new := SWAPPED.get(token.text):
            yield "swap a function or relation", [(*span, new)]

    def index(self, at: int, token: Token) -> Iterator[Change]:
        if token.kind != "LETTER" or not self.in_sub[at]:
            return
        for letter in self.index_letters():
            if letter != token.text:
                yield "replace an index", [(token.start, token.end, f"{letter} ")]
        after = at + 1
        while after < len(self.tokens) and self.tokens[after].kind == "COMMA":
            after += 1
        if after < len(self.tokens) and self.tokens[after].kind == "LETTER" and self.in_sub[after]:
            other = self.tokens[after]
            yield (
                "swap two indices",
                [(token.start, token.end, f"{other.text} "), (other.start, other.end, f"{token.text} ")],
            )

    def index_letters(self) -> list[str]:
        pairs = zip(self.tokens, self.in_sub, strict=True)
        return sorted({token.text for token, in_sub in pairs if in_sub and token.kind == "LETTER"})

    def symbol(self, at: int) -> Iterator[Change]:
        if (end := self.names.get(at)) is None:
            return
        own = self.text(at, end)
        before = self.tokens[at - 1]
        is_argument = before.kind == "LBRACE" and before.start == before.end  # \frac1N
        for other in sorted({self.text(*name) for name in self.names.items()}):
            if "".join(other.split()) != "".join(own.split()):
                new = f"{{{other}}}" if is_argument else other
                yield "replace a symbol", [(self.tokens[at].start, self.tokens[end].end, new)]

    def _names(self) -> dict[int, int]:
        """Where symbols stand: letters and accented letters outside subscripts."""
        found, at = {}, 0
        while at < len(self.tokens):
            token = self.tokens[at]
            end = self.ends[at + 1] if token.kind == "ACCENT" else at
            is_e = token.text == "e" and at + 1 < len(self.tokens) and self.tokens[at + 1].kind == "SUP"
            is_name = token.kind in ("LETTER", "ACCENT") and not is_e and token.text != "d"
            if is_name and not self.in_sub[at]:
                found[at] = end
            at = end + 1
        return found

    def script(self, at: int, token: Token) -> Iterator[Change]:
        if token.kind == "SUP":
            end = self.ends[at + 1]
            what = "drop a transpose" if self.tokens[at + 2].kind == "TOP" else "drop an exponent"
            is_limit = at and self.tokens[at - 1].kind == "RBRACE" and self._is_big_limit(at)
            if not is_limit:
                yield what, [(token.start, self.tokens[end].end, "")]
        if at in self.names:
            end = self.names[at]
            follows = self.tokens[end + 1].kind if end + 1 < len(self.tokens) else ""
            if self.tokens[at].text.isupper() and follows not in ("SUB", "SUP", "PRIME", "LPAR"):
                yield "add a transpose", [(self.tokens[end].end, self.tokens[end].end, r"^{\top}")]

    def _is_big_limit(self, at: int) -> bool:
        """Whether this superscript follows the subscript of a sum."""
        start = next(i for i, end in self.ends.items() if end == at - 1)
        return start >= 2 and self.tokens[start - 2].kind == "BIG"

    def fraction(self, at: int, token: Token) -> Iterator[Change]:
        if token.kind != "FRAC":
            return
        middle = self.ends[at + 1]
        end = self.ends[middle + 1]
        if any(t.kind == "PARTIAL" or t.text == "d" for t in self.tokens[at:end]):
            return
        above = self.text(at + 2, middle - 1)
        below = self.text(middle + 2, end - 1)
        span = token.start, self.tokens[end].end
        yield "turn a fraction over", [(*span, f"\\frac{{{below}}}{{{above}}}")]
        if above.strip() != "1":
            yield "drop a denominator", [(*span, f"{{({above})}}")]
        else:
            yield "drop a factor", [(*span, "1 ")]

    def big(self, at: int, token: Token) -> Iterator[Change]:
        if token.kind != "BIG" or at + 1 == len(self.tokens) or self.tokens[at + 1].kind != "SUB":
            return
        end = self.ends[at + 2]
        if end + 1 < len(self.tokens) and self.tokens[end + 1].kind == "SUP":
            end = self.ends[end + 2]
        yield "drop a sum", [(token.start, self.tokens[end].end, "")]

    def neighbours(self) -> Iterator[Change]:
        """Swap two neighbouring factors that are written with capitals: matrices, by custom."""
        units = [
            (at, self._unit_end(end)) for at, end in self.names.items() if self.tokens[at].text.isupper()
        ]
        for (first, first_end), (second, second_end) in pairwise(units):
            if first_end + 1 == second and not self.in_sub[first]:
                a, b = self.text(first, first_end), self.text(second, second_end)
                span = self.tokens[first].start, self.tokens[second_end].end
                yield "swap a matrix product", [(*span, f"{b} {a}")]

    def _unit_end(self, at: int) -> int:
        """The last token of a symbol with its scripts."""
        while at + 1 < len(self.tokens) and self.tokens[at + 1].kind in ("SUB", "SUP"):
            at = self.ends[at + 2]
        return at


def _group_ends(found: list[Token]) -> dict[int, int]:
    """Opening brace -> closing brace."""
    ends, stack = {}, []
    for at, token in enumerate(found):
        if token.kind == "LBRACE":
            stack.append(at)
        elif token.kind == "RBRACE" and stack:
            ends[stack.pop()] = at
    return ends


def _inside(found: list[Token], ends: dict[int, int], kind: str) -> list[bool]:
    """For each token, whether it stands in a script of this kind."""
    inside = [False] * len(found)
    for at, token in enumerate(found):
        if token.kind == kind:
            for place in range(at + 1, ends[at + 1] + 1):
                inside[place] = True
    return inside
