"""The same page in fewer bytes: what KaTeX and Pygments write, without what no reader sees.

KaTeX writes the lengths of each box into the box, and names that its own style sheet does not know.
Here each length is a class, told once for the whole site; on the screen nothing changes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from material.plugins.search import plugin as search

TAG = re.compile(r'<span(?: class="(?P<names>[^"]*)")?(?: style="(?P<style>[^"]*)")?>')
VISIBLE = '<span class="katex-html" aria-hidden="true">'
UNSEEN = re.compile(r'<annotation.*?</annotation>|</?semantics>|(?<=<math) xmlns="[^"]*"', re.S)
PLAIN_CODE = re.compile(r'<span class="[nw]">([^<]*)</span>')  # names and blanks have the colour of all code
BLOCK = re.compile(r"<pre>.*?</pre>", re.S)
DIGITS = "abcdefghijklmnopqrstuvwxyz"


def formulas(set_by_katex: Iterable[str], stylesheet: str) -> tuple[list[str], str]:
    """The formulas, light, and what must be added to KaTeX's ``stylesheet`` for them."""
    known = set(re.findall(r"\.([A-Za-z][\w-]*)", re.sub(r"\{[^}]*\}", " ", stylesheet)))
    parts = [text.partition(VISIBLE) for text in set_by_katex]
    styles = Counter(found["style"] for _, _, seen in parts for found in TAG.finditer(seen) if found["style"])
    often = sorted(styles, key=lambda style: (-styles[style], style))
    name = {style: f"_{_letters(number)}" for number, style in enumerate(often)}

    def tag(found: re.Match[str]) -> str:
        names = [one for one in (found["names"] or "").split() if one in known]
        names += [name[found["style"]]] if found["style"] else []
        return f'<span class="{" ".join(names)}">' if len(names) > 1 else f"<span{_one(names)}>"

    light = [UNSEEN.sub("", unseen) + start + TAG.sub(tag, seen) for unseen, start, seen in parts]
    # As strong as the attribute was: its own rules must not win against these.
    rules = (
        f".{name[style]}{{{style.rstrip(';').replace(';', '!important;')}!important}}" for style in often
    )
    return light, "".join(rules)


def _one(names: list[str]) -> str:
    return f" class={names[0]}" if names else ""


def _letters(number: int) -> str:
    text = DIGITS[number % 26]
    while number >= 26:
        number = number // 26 - 1
        text = DIGITS[number % 26] + text
    return text


def code(page: str) -> str:
    """The page without marks in its code that change no colour."""
    return BLOCK.sub(lambda block: PLAIN_CODE.sub(r"\1", block[0]), page)


# -- search ---------------------------------------------------------------------------

FIGURE = re.compile(r"<svg\b.*?</svg>", re.S)
BETWEEN = re.compile(r">\s+<")  # which the search would keep as one blank
SPAN = re.compile(r"</?span[^>]*>")


class SearchParser(search.Parser):
    """The search's own reader of pages, spared the marks of code and the lines of figures.

    Nothing in them is found, but they are most of a page's tags, and it reads one tag after the other.
    """

    def feed(self, page: str) -> None:
        page = FIGURE.sub(lambda figure: " " if BETWEEN.search(figure[0]) else "", page)
        super().feed(BLOCK.sub(lambda block: SPAN.sub("", block[0]), page))


# -- sets -----------------------------------------------------------------------------

ROW = re.compile(r"(?m)^(\|[^|\n]*\|[^|\n]*\| *)\$([^$|\n]*)\$")  # a table's third column begins with a set
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
}
TOKEN = re.compile(r"\\mathbb\{[NRC]\}|\\[a-z]+|\\[{}]|\s+|[\^_]|[{}]|[A-Za-z]|\d[\d.]*|[,+>()-]")


def sets(text: str) -> str:
    """Sets in the tables of ``text`` as plain HTML: ℝ and its exponent need no typesetting."""

    def light(found: re.Match[str]) -> str:
        plain = plain_set(found[2])
        return found[0] if plain is None else f'{found[1]}<span class="set">{plain}</span>'

    return ROW.sub(light, text)


def plain_set(tex: str) -> str | None:
    """The HTML of a set such as ℝ^{N×K}; None if there is more in it than these signs."""
    tokens = TOKEN.findall(tex)
    if "".join(tokens) != tex:
        return None
    parts: list[str] = []
    raised: list[str] = []  # the tags that braces close
    script = ""
    for token in tokens:
        if token in "^_":
            script = "sup" if token == "^" else "sub"
        elif token == "{":
            raised.append(script)
            parts.append(f"<{script}>" if script else "")
            script = ""
        elif token == "}":
            if not raised:
                return None
            tag = raised.pop()
            parts.append(f"</{tag}>" if tag else "")
        elif script:
            return None
        elif token.isalpha() and token.isascii():
            parts.append(f"<i>{token}</i>")
        elif token in WORDS or not token.startswith("\\"):
            parts.append("" if token.isspace() else WORDS.get(token, token))
        else:
            return None
    return None if raised or script else "".join(parts)
