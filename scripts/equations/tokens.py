r"""Cut LaTeX into tokens in which every argument and script is braced.

TeX reads ``\frac12`` as ``\frac{1}{2}`` and ``x^12`` as ``x^{1}2``; so do we.
Sizes (``\left``, ``\Bigl``), spacing and line layout carry no mathematics and
are dropped here.
"""

import itertools
import re
from dataclasses import dataclass

from .errors import MathError

SCAN = re.compile(
    r"""(?P<space>\s+|~|\\[,;:!>]|\\\ |%[^\n]*|\\(?:left|right|middle|[bB]igg?[lr]?)(?![A-Za-z])\s*\.?
          |\\(?:displaystyle|textstyle|limits|nolimits|nonumber|notag)(?![A-Za-z]))
      |(?P<text>\\(?:text|textrm|textit|mbox)\s*\{(?P<words>[^{}]*)\})
      |(?P<name>\\(?:operatorname\*?|mathrm|mathsf|mathtt)\s*(?:\{(?P<letters>[^{}]*)\}|(?P<letter>[A-Za-z])))
      |(?P<environment>\\(?P<side>begin|end)\s*\{(?P<which>[a-z]+\*?)\})
      |(?P<command>\\(?:[A-Za-z]+|.))
      |(?P<number>\d+(?:\.\d+)?)
      |(?P<letter1>[A-Za-z])
      |(?P<other>.)""",
    re.X | re.S,
)

GREEK = (
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa "
    r"\lambda \mu \nu \xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon \phi \varphi \chi "
    r"\psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega \ell"
)
FUNCTIONS = {
    **{rf"\{name}": name for name in "exp log sin cos tan tanh sinh cosh".split()},
    **{rf"\operatorname{{{name}}}": name for name in "sign erf diag tr".split()},
    **{r"\ln": "log", r"\operatorname{sgn}": "sign"},
    **{r"\operatorname{Re}": "real", r"\operatorname{Im}": "imag"},
}
BIG = {r"\sum": "sum", r"\prod": "prod", r"\max": "max", r"\min": "min"}
OPERATORS = {r"\cdot": "·", r"\times": "×", r"\odot": "⊙", "/": "/"}
EQUALS = {
    **{"=": "=", r"\coloneqq": "=", r"\equiv": "="},
    **{r"\leftarrow": "←", r"\approx": "≈", r"\in": "∈"},
}
COMPARE = {
    **{"<": "<", r"\lt": "<", ">": ">", r"\gt": ">", r"\ne": "≠", r"\neq": "≠"},
    **{r"\le": "≤", r"\leq": "≤", r"\ge": "≥", r"\geq": "≥"},
}
WORDS = {  # of each kind
    "LETTER": rf"{GREEK} \infty",
    "ACCENT": r"\hat \bar \tilde \widehat \widetilde \overline \vec \dot \mathring "
    r"\mathbf \boldsymbol \bm \mathcal \mathbb \mathfrak \mathit \mathscr",
    **{"SIGN": "+ - −", "QUAD": r"\quad \qquad", "NEWLINE": r"\\", "FRAC": r"\frac \dfrac \tfrac"},
    **{"SQRT": r"\sqrt", "PARTIAL": r"\partial", "NABLA": r"\nabla", "TOP": r"\top \intercal"},
    **{"TO": r"\to", "BAR2": r"\|", "SUP": "^", "SUB": "_", "PRIME": "'", "AMP": "&"},
    **{"COMMA": ",", "COLON": ":", "DOT": ".", "LBRACE": "{", "RBRACE": "}", "LPAR": "(", "RPAR": ")"},
    **{"LSQB": r"[ \lbrack", "RSQB": r"] \rbrack", "LSET": r"\{ \lbrace", "RSET": r"\} \rbrace"},
    **{"LVERT": r"\lvert", "RVERT": r"\rvert", "LNORM": r"\lVert", "RNORM": r"\rVert"},
    **{"LCASES": r"\begin{cases}", "RCASES": r"\end{cases}"},
}
KINDS = {word: kind for kind, words in WORDS.items() for word in words.split()}
for kind, table in (("FUNCTION", FUNCTIONS), ("BIG", BIG), ("TIMES", OPERATORS), ("COMPARE", COMPARE)):
    KINDS |= dict.fromkeys(table, kind)
KINDS |= dict.fromkeys(EQUALS, "EQUALS")
MEANT = {**EQUALS, "−": "-", r"\intercal": r"\top"}  # by another spelling
OPENING = {kind for kind in WORDS if kind[0] == "L" and kind != "LETTER"}
CLOSING = {"R" + kind[1:] for kind in OPENING}
ARGUMENTS = {"FRAC": 2, "SQRT": 1, "SUP": 1, "SUB": 1, "ACCENT": 1}
MOST, DEEPEST = 400, 40  # signs of a formula; its brackets within brackets
LAYOUT = {"aligned", "align", "align*", "gathered", "gather", "split"}

REFUSED = {
    "|": r"a bare | may open or close: write \lvert x \rvert",
    r"\mid": r"write \lvert x \rvert for an absolute value; conditional probabilities are not read",
    r"\pm": r"\pm states two equations; write them both",
    r"\mp": r"\mp states two equations; write them both",
    r"\int": r'integrals are not read; give the display {unchecked="reason"}',
    r"\lim": r'limits are not read; give the display {unchecked="reason"}',
    r"\circ": r"write f(g(x)) for a composition and \odot for an entrywise product",
    "!": r"factorials are not read; write \prod with bounds",
    "*": r"write \cdot for a product",
    ";": "write a comma, or \\quad between two equations",
}
DOTS = r"\dots \cdots \ldots \vdots".split()
REFUSED |= dict.fromkeys(DOTS, r"dots cannot be evaluated; write \sum or \prod with bounds")
STATED = r'only equations are checked; give the display {unchecked="reason"}'
REFUSED |= dict.fromkeys((r"\sim", r"\propto"), STATED)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


def tokens(tex: str) -> list[Token]:
    """All tokens of a display or of a symbol, arguments and scripts braced."""
    found = _scan(tex)
    if len(found) > MOST:
        raise MathError(f"a formula of {len(found)} signs, at most {MOST}; break it up")
    steps = ((token.kind in OPENING) - (token.kind in CLOSING) for token in found)
    if max(itertools.accumulate(steps), default=0) > DEEPEST:
        raise MathError(f"brackets within brackets, more than {DEEPEST} deep; break it up")
    return _brace(_without_row_commas(found))


def _scan(tex: str) -> list[Token]:
    found: list[Token] = []
    norms = itertools.cycle(("LNORM", "RNORM"))
    for match in SCAN.finditer(tex):
        if match["space"]:
            continue
        kind, text = _classify(match)
        if text == "=" and found and found[-1].text == ":" and found[-1].end == match.start():
            found.pop()
        kind = next(norms) if kind == "BAR2" else kind
        found.append(Token(kind, text, match.start(), match.end()))
    return found


def _classify(match: re.Match[str]) -> tuple[str, str]:
    text = match[0]
    if match["text"]:
        return "TEXT", f"\\text{{{match['words'].strip(' .,;')}}}"
    if match["name"]:
        letters = (match["letters"] or match["letter"] or "").replace(r"\,", "").strip()
        return _classify_name(letters)
    if match["environment"]:
        if match["which"] in LAYOUT:
            return "LAYOUT", f"\\{match['side']}"
        text = f"\\{match['side']}{{{match['which']}}}"
        if text not in KINDS:
            raise MathError(f"the environment {match['which']} is not read; write aligned or cases")
    if match["number"]:
        return "NUMBER", text
    if match["letter1"]:
        return "LETTER", text
    if text not in KINDS:
        raise MathError(REFUSED.get(text, f"{text} is not read"))
    return KINDS[text], MEANT.get(text, text)


def _classify_name(letters: str) -> tuple[str, str]:
    if letters == "T":
        return "TOP", r"\top"
    if letters in ("d", "e"):
        return "LETTER", letters
    text = f"\\operatorname{{{letters}}}"
    return KINDS.get(text, "WORD"), text


def _without_row_commas(found: list[Token]) -> list[Token]:
    """A comma or full stop before a column or a line break is punctuation."""
    ends = {"AMP", "NEWLINE", "RCASES", "LAYOUT", "QUAD"}
    pairs = zip(found, [*(token.kind for token in found), "LAYOUT"][1:], strict=True)
    return [token for token, after in pairs if token.kind not in ("COMMA", "DOT") or after not in ends]


def _brace(found: list[Token]) -> list[Token]:
    result: list[Token] = []
    rest = list(reversed(found))
    while rest:
        _take(rest, result)
    return result


def _take(rest: list[Token], result: list[Token]) -> None:
    """Move one token with its arguments, or one braced group."""
    token = rest.pop()
    result.append(token)
    if token.kind == "LBRACE":
        while rest and rest[-1].kind != "RBRACE":
            _take(rest, result)
        if not rest:
            raise MathError("a { is never closed")
        result.append(rest.pop())
    if token.text == r"\sqrt" and rest and rest[-1].kind == "LSQB":
        raise MathError("write a^{1/n} for an n-th root")
    for _ in range(ARGUMENTS.get(token.kind, 0)):
        _take_argument(token, rest, result)


def _take_argument(owner: Token, rest: list[Token], result: list[Token]) -> None:
    if not rest or rest[-1].kind in CLOSING or rest[-1].kind in ("AMP", "NEWLINE", "SUP", "SUB"):
        raise MathError(f"{owner.text} has no argument")
    first = rest[-1]
    if first.kind == "LBRACE":
        _take(rest, result)
        return
    result.append(Token("LBRACE", "{", first.start, first.start))
    if first.kind == "NUMBER" and len(first.text) > 1:
        if "." in first.text:
            raise MathError(f"write {owner.text}{{{first.text}}}: TeX takes the first digit only")
        rest[-1] = Token("NUMBER", first.text[1:], first.start + 1, first.end)
        result.append(Token("NUMBER", first.text[0], first.start, first.start + 1))
    else:
        _take(rest, result)
    end = result[-1].end
    result.append(Token("RBRACE", "}", end, end))
