"""Sections "For the library", folded; and the text in stretches, of which browsers draw those near a reader.

Headings stand between stretches: the list of a page's headings asks where each of them is, and for an answer
a browser would have to draw what it stands in. A long text below one heading becomes several stretches.
So a folded section stands in no stretch; what is in it is cut into stretches like the rest.
"""

import re
from collections.abc import Iterator

# A heading of a chapter: those of its notebook, which stays as it is, have no title in their links.
HEADING = re.compile(
    r'(?P<text><h(?P<level>[2-4]) id="[^"]*">For the library(?P<about>:?).{0,200}?)'
    r'<a class="headerlink"[^>]* title="Permanent link">.*?</a>(?P<end></h(?P=level)>)'
)
END = r'<h[1-{}][ >]|<p class="to-exercises"|<div class="footnote"|</article>'
CELL = '<div class="core highlight">'
CLOSED = "</details><!-- library -->"
# Where a fold begins and ends.
EDGE = re.compile(rf'(<details class="library">.*?</summary>|{CLOSED})', re.S)

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


def folded(page: str) -> str:
    """The page with a fold from each such heading to the next one that is not below it."""
    parts, end = [], 0
    for heading in HEADING.finditer(page):
        if heading.start() < end:
            continue  # part of a section that is folded already
        following = re.compile(END.format(heading["level"])).search(page, heading.end())
        if not following:
            continue  # in no article
        start, text = end, page[heading.end() : (end := following.start())]
        title = heading["text"] + heading["end"]  # a summary is one thing to press, so there is no link in it
        summary = f"<summary>{title} <span>{_inside(text, told=bool(heading['about']))}</span></summary>"
        parts += [page[start : heading.start()], f'<details class="library">{summary}', text, CLOSED]
    return "".join([*parts, page[end:]])


def _inside(text: str, told: bool) -> str:
    """A few words on what is inside, unless the heading has ``told``, and how many cells."""
    cells = text.count(CELL)
    counted = [f"{cells} cell{'s' * (cells > 1)} of the module"] * bool(cells)
    return " · ".join(["options, checks, messages"] * (not told) + counted)


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
