"""The same page in fewer bytes: what KaTeX and Pygments write, without what no reader sees.

KaTeX writes the lengths of each box into the box, and names that its own style sheet does not know.
Here each length is a class, told once for the whole site, classes have short names, a box is a <b> where
KaTeX has a <span>, and a box without a name is none; on the screen nothing changes.
"""

import re
from collections import Counter
from typing import Any

from material.plugins.search import plugin as search

from literate.kept import across_builds

OUTER = {"katex", "katex-display", "katex-mathml", "katex-html", "katex-error"}
TAG = re.compile(r'<span(?: class="(?P<names>[^"]*)")?(?: style="(?P<style>[^"]*)")?>')
VISIBLE = '<span class="katex-html" aria-hidden="true">'
# A letter alone is read like any other text.
LETTER = re.compile(
    r'<span class="katex-base"><span [^>]*></span><span class="mord mathnormal"(?P<rest>[^>]*)>(?P<letter>.)'
    r"</span></span></span></span>"
)
IN_TEXT = '<span class="katex"><span class="katex-mathml">'
UNSEEN = re.compile(r"<annotation.*?</annotation>|</?semantics>|</?mspace[^>]*>", re.S)
SPOKEN = {"display", "mathvariant", "linethickness", "accent"}  # what MathML tells those who hear it
ATTRIBUTE = re.compile(r' (?P<name>[a-z]+)="(?P<value>[^"]*)"')
BOX = re.compile(r"<span(?P<names>[^>]*)>|(?P<end></span>)")
INSIDE = {"katex-base", "katex-sizing"}  # boxes that make no difference between what stands in them
MATH = re.compile(r"<math.*</math>", re.S)
WHOLE = re.compile(r"(<math[^>]*>)<mrow>(.*)</mrow></math>", re.S)
CLASS = re.compile(r"\.([A-Za-z][\w-]*)(?=[^{}]*\{)")  # in a style sheet
KEPT = re.compile(r"(<(?:pre|script|style|textarea)\b.*?</(?:pre|script|style|textarea)>)", re.S)
VALUE = re.compile(r'="([\w:-]+)"(?=[ >])(?=[^<>]*>)')  # of a tag, whose quotes HTML can do without
DRAWN = re.compile(r'(?<=<svg) xmlns="[^"]*"')  # which only a file of its own needs
BLANKS = re.compile(r"[ \t]*(\n)[ \t\n]*|[ \t]{2,}")
BLOCK = re.compile(r"<pre>.*?</pre>", re.S)
MARK = re.compile(r'<span(?: class="(\w+)")?>([^<]*)</span>')
RUN = re.compile(r"<i class=(\w+)>[^<]*</i>(?:\s*<i class=\1>[^<]*</i>)+")
DIGITS = "abcdefghijklmnopqrstuvwxyz"

# The marks of Pygments by the colour that Material gives them; the first stands for all. The rest is plain,
# and so are self (bp) and numbers: they stand out as they are, and marks of numbers weighed as much as prose.
COLOURS = (
    "k kd kn kp kr kt nd ni nl nt ow",
    "s s1 s2 sb sc si ss cpf l",
    "se cp sh sr sx",
    "nb no",
    "nf nc ne nn",
    "c c1 ch cm cs sd",
    "gp ge gh go gr gs gt gu",
)
COLOUR = {mark: marks.split()[0] for marks in COLOURS for mark in marks.split()}


@across_builds(lambda set_by_katex, stylesheet: (set_by_katex, stylesheet))
def formulas(set_by_katex: list[str], stylesheet: str) -> tuple[list[str], str]:
    """The formulas, light, and the style sheet that they need in the place of KaTeX's ``stylesheet``."""
    known = set(CLASS.findall(stylesheet)) - OUTER
    parts = [text.partition(VISIBLE) for text in set_by_katex]
    used: Counter[str] = Counter()
    styles: Counter[str] = Counter()
    for found in (found for _, _, seen in parts for found in TAG.finditer(seen)):
        used.update(known.intersection((found["names"] or "").split()))
        styles.update([found["style"]] if found["style"] else [])
    # By about how often they are used: one more use must not rename what stands on other pages.
    often = sorted({*used, *styles}, key=lambda one: (-(used[one] + styles[one]).bit_length(), one))
    name = {one: f"_{_letters(number)}" for number, one in enumerate(often)}

    inside = {name[one] for one in INSIDE & {*name}}

    def tag(found: re.Match[str]) -> str:
        names = [name[one] for one in (found["names"] or "").split() if one in known]
        return f"<span{_class(names + ([name[found['style']]] if found['style'] else []))}>"

    def light(unseen: str, start: str, seen: str) -> str:
        lone = LETTER.fullmatch(seen)
        if lone and unseen.startswith(IN_TEXT):
            style = re.findall(r'style="([^"]*)"', lone["rest"])
            return f"<i{_class(['katex', *(name[one] for one in style)])}>{lone['letter']}</i>"
        head = MATH.sub(lambda math: _spoken(math[0]), unseen) + start
        return head + _boxes(TAG.sub(tag, seen), inside)

    # As strong as the attribute was: its own rules must not win against these.
    rules = (
        f".{name[style]}{{{style.rstrip(';').replace(';', '!important;')}!important}}"
        for style in often
        if style in styles
    )
    boxes = CLASS.sub(lambda found: f".{name.get(found[1], found[1])}", stylesheet).replace(">span", ">b")
    return [light(*part) for part in parts], f"{boxes}.katex b{{font-weight:inherit}}{''.join(rules)}"


def _boxes(seen: str, inside: set[str]) -> str:
    """The formula with short boxes, and without those that have no name where no rule counts boxes."""
    parts, at = [], 0
    around = [(True, False)]  # of each box, whether it is written and whether it is like no box
    for found in BOX.finditer(seen):
        parts.append(seen[at : found.start()])
        at = found.end()
        if not found["end"]:
            names = re.findall(r"_[a-z]+", found["names"])
            written = bool(names) or not around[-1][1]
            around.append((written, not names or not inside.isdisjoint(names)))
            parts.append(f"<b{found['names']}>" if written else "")
        elif len(around) > 1:
            parts.append("</b>" if around.pop()[0] else "")
        else:  # of a box that begins before what is seen
            parts.append(found[0])
    return "".join([*parts, seen[at:]])


def _spoken(math: str) -> str:
    """MathML without what only those would see who do not see it."""

    def spoken(found: re.Match[str]) -> str:
        return found[0] if found["name"] in SPOKEN and found["value"] != "normal" else ""

    math = ATTRIBUTE.sub(spoken, UNSEEN.sub("", math))
    return WHOLE.sub(r"\1\2</math>", math)


def page(text: str) -> str:
    """The page without blanks, empty lines and quotes that a browser skips; nothing looks for them later."""
    parts = KEPT.split(text)
    parts[::2] = [BLANKS.sub(lambda blanks: blanks[1] or " ", part) for part in parts[::2]]
    parts[::2] = [VALUE.sub(r"=\1", DRAWN.sub("", part)) for part in parts[::2]]
    return "".join(parts)


def _class(names: list[str]) -> str:
    if len(names) > 1:
        return f' class="{" ".join(names)}"'
    return f" class={names[0]}" if names else ""


def _letters(number: int) -> str:
    text = DIGITS[number % 26]
    while number >= 26:
        number = number // 26 - 1
        text = DIGITS[number % 26] + text
    return text


def code(page: str) -> str:
    """The page with one mark for each run of code in a colour, and none for the colour of all code."""
    return BLOCK.sub(lambda block: RUN.sub(_joined, MARK.sub(_coloured, block[0])), page)


def _coloured(mark: re.Match[str]) -> str:
    colour = COLOUR.get(mark[1])
    return f"<i class={colour}>{mark[2]}</i>" if colour else mark[2]


def _joined(run: re.Match[str]) -> str:
    return f"<i class={run[1]}>{re.sub(r'<[^>]*>', '', run[0])}</i>"


# -- search ---------------------------------------------------------------------------

SPAN = re.compile(r"</?span[^>]*>")


MaterialParser = search.Parser  # before site_hook puts ours in its place


class SearchParser(search.Parser):
    """The search's own reader of pages, spared the marks of code, and pages that it has read before.

    Nothing in them is found, but they are most of a page's tags, and it reads one tag after the other.
    """

    def feed(self, page: str) -> None:
        self.data = _sections(page)


@across_builds(lambda page: page)
def _sections(page: str) -> list[Any]:
    parser = MaterialParser()
    parser.feed(BLOCK.sub(lambda block: SPAN.sub("", block[0]), page))
    parser.close()
    return list(parser.data)


# -- sets -----------------------------------------------------------------------------

TABLE_ROW = re.compile(
    r"(?m)^(\|[^|\n]*\|[^|\n]*\| *)\$([^$|\n]*)\$"
)  # a table's third column begins with a set
WORDS = {
    r"\mathbb{N}": "ℕ",
    r"\mathbb{R}": "ℝ",
    r"\mathbb{C}": "ℂ",
    r"\times": "×",
    r"\to": " → ",
    r"\dots": "…",
    r"\{": "{",
    r"\}": "}",
    ",": ", ",
    "+": " + ",
    "-": " − ",
    ">": " &gt; ",
    "'": "′",
    "⟨": "<sup>",
    "⟩": "</sup>",
    "‹": "<sub>",
    "›": "</sub>",
}
TOKEN = re.compile(r"\\mathbb\{[NRC]\}|\\[a-z]+|\\[{}]|\s+|[A-Za-z]|\d[\d.]*|[],+>()'[⟨⟩‹›-]")


def sets(text: str) -> str:
    """Sets in the tables of ``text`` as plain HTML: ℝ and its exponent need no typesetting."""

    def light(found: re.Match[str]) -> str:
        plain = plain_set(found[2])
        return found[0] if plain is None else f'{found[1]}<span class="set">{plain}</span>'

    return TABLE_ROW.sub(light, text)


def plain_set(tex: str) -> str | None:
    """The HTML of a set such as ℝ^{N×K}; None if there is more in it than these signs."""
    text = re.sub(r"_\{([^{}]*)\}", r"‹\1›", re.sub(r"\^\{([^{}]*)\}", r"⟨\1⟩", tex))
    tokens = TOKEN.findall(text)
    if "".join(tokens) != text or any(token[0] == "\\" and token not in WORDS for token in tokens):
        return None
    shown = (f"<i>{one}</i>" if one.isalpha() and one.isascii() else WORDS.get(one, one) for one in tokens)
    return "".join(one for one in shown if not one.isspace())
