"""Sections "For the library" of a page, each folded as a whole, so that the argument goes on without them."""

import re

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
