"""The text of a page in stretches, of which a browser draws only those that a reader comes near to.

Headings stand between stretches: the list of a page's headings asks where each of them is, and for an answer
a browser would have to draw what it stands in. A long text below one heading becomes several stretches.
So a folded section stands in no stretch; what is in it is cut into stretches like the rest.
"""

import re
from collections.abc import Iterator

from literate.weave.library import EDGE

ARTICLE = re.compile(r"(<article[^>]*>)(.*)(</article>)", re.S)
TAG = re.compile(r"""<(?P<end>/?)(?P<name>[a-zA-Z][\w-]*)(?:[^>"']|"[^"]*"|'[^']*')*>""")
ALONE = {"br", "col", "hr", "img", "input", "source", "wbr"}  # have no end
LONG = 2000  # bytes after which a stretch ends, as soon as something begins that can stand alone
BEGINS = re.compile(r'<p\b|<div class="eq"|<div id="code-|<details class="folded sets"')
SHORT = 1000  # not worth the bother

SHUT = re.compile(r"(<details(?! open).*?</summary>).*?(?=</details>)", re.S)
PRE = re.compile(r"<pre>.*?</pre>", re.S)
UNREAD = re.compile(r"<svg.*?</svg>|<math.*?</math>|<[^>]*>", re.S)
FIGURE = re.compile(r'<img[^>]* height="(\d+)')
# About how many pixels they are high, between a telephone and a desk.
LETTER, LINE, BLOCK, EQUATION, ROW, FOLD = 0.5, 18, 50, 50, 35, 35


def stretched(page: str) -> str:
    return ARTICLE.sub(lambda article: article[1] + "".join(_around_folds(article[2])) + article[3], page)


def _around_folds(text: str) -> Iterator[str]:
    for n, part in enumerate(EDGE.split(text)):
        yield part if n % 2 else "".join(_parts(part))


def _parts(text: str) -> Iterator[str]:
    """The headings, and what stands between them as stretches."""
    start = 0
    for name, at in [*_blocks(text), ("h1", len(text))]:
        is_heading = name[0] == "h" and name[1:].isdigit()
        if is_heading or (at - start > LONG and BEGINS.match(text, at)):
            yield _stretch(text[start:at])
            start = at
        if is_heading and at < len(text):
            start = text.index(f"</{name}>", at) + len(f"</{name}>")
            yield text[at:start]


def _blocks(text: str) -> Iterator[tuple[str, int]]:
    """The elements that stand in no other: their names, and where they begin."""
    depth = 0
    for tag in TAG.finditer(text):
        if depth == 0:
            yield tag["name"], tag.start()
        if tag["name"] not in ALONE and not tag[0].endswith("/>"):
            depth += -1 if tag["end"] else 1


def _stretch(text: str) -> str:
    if len(text) < SHORT:
        return text
    return f'<div class="stretch" style="--high:{_height(text)}px">{text}</div>'


def _height(text: str) -> int:
    """About how high it will be, for the scroll bar, until it is drawn."""
    seen = SHUT.sub(r"\1", text)
    code = PRE.findall(seen)
    lines = sum(block.count("\n") for block in code)
    letters = len(UNREAD.sub("", PRE.sub("", seen)))
    boxes = BLOCK * len(code) + EQUATION * seen.count('class="eq"')
    boxes += ROW * (seen.count("<tr>") + seen.count("<mtr>")) + FOLD * seen.count("<summary")
    figure = max(map(int, FIGURE.findall(seen)), default=0)  # of several, one is shown at a time
    return round(LETTER * letters + LINE * lines + boxes + figure)
