"""A figure as Matplotlib saves it, made lighter, in a file of its own. Its colours follow light and dark.

A browser asks for the file when a reader comes near; it takes the colours of the page from the page's
``color-scheme``.
"""

import base64
import functools
import hashlib
import html
import io
import re
from dataclasses import dataclass

from PIL import Image

from literate.kept import across_builds

COLOURS = {
    "#000000": "currentColor",
    "#ffffff": "var(--figure-paper)",
    "#808080": "var(--figure-grey)",
    "#0072b2": "var(--figure-1)",
    "#d55e00": "var(--figure-2)",
    "#009e73": "var(--figure-3)",
    "#cc79a7": "var(--figure-4)",
    "#b8860b": "var(--figure-5)",
    "#7a5fb5": "var(--figure-6)",
}
NUMBER = re.compile(r'(?:scale|matrix)\([^)]*\)|style="[^"]*"|-?\d+\.\d{2,}')
PIXELS = re.compile(r"(?<=data:image/png;base64,)[\w+/=\s]+")
NAME = re.compile(r' id="([\w.-]+)"|(?<=url\(#)[\w.-]+|(?<= href="#)[\w.-]+')
SMALLEST = 0.58  # how far a figure shrinks before it scrolls in its own box
SCHEMES = {"default": "{}", "slate": "@media(prefers-color-scheme:dark){{{}}}"}


@dataclass(frozen=True)
class Figure:
    name: str  # of its file
    text: str
    alt: str
    size: str  # attributes of its image

    def image(self, folder: str, alt: str = "") -> str:
        """It on a page from which its file is in ``folder``."""
        return (
            f'<figure class="figure"><img src="{folder}{self.name}" {self.size} loading="lazy" '
            f'alt="{alt or self.alt}"></figure>'
        )


@across_builds(lambda svg, alt, style: (svg, alt, style))
def figure(svg: str, alt: str, style: str) -> Figure:
    """A figure as Matplotlib saved it, with these ``colours``."""
    points = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    if not points:
        raise ValueError("not a figure saved by Matplotlib")
    wide, high = map(float, points.groups())
    width = round(wide * 4 / 3)
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" fill="currentColor" '
        f'stroke-linejoin="round"><style>{style}</style>{drawn(svg)}'
    )
    least = f"min-width: {wide * 4 / 3 * SMALLEST:.0f}px"
    size = f'width="{width}" height="{round(width * high / wide)}" style="{least}"'
    return Figure(f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.svg", text, html.escape(alt), size)


def drawn(svg: str) -> str:
    """What is in ``svg``, without head and style, in the colours of the page."""
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    body = body[body.index(">", body.index("<svg")) + 1 :].strip()
    body = re.sub(r"(?<=[ :\"])#[0-9a-f]{6}\b", lambda found: COLOURS.get(found[0], found[0]), body)
    body = PIXELS.sub(lambda found: _fewer_colours(found[0]), body)
    body = NUMBER.sub(_rounded, body).replace("xlink:href", "href")
    return with_short_names(re.sub(r"\n\s*", "\n", body))


def _rounded(found: re.Match[str]) -> str:
    """A coordinate to a tenth of a point, small ones to a hundredth; factors and styles stay as they are."""
    if not found[0][-1].isdigit():
        return found[0]
    number = float(found[0])
    return f"{round(number, 1 if abs(number) > 10 else 2) + 0.0:g}"


@functools.cache
def _fewer_colours(png: str) -> str:
    """The picture with at most 256 colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    small = io.BytesIO()
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(small, "png", optimize=True)
    return min(png, base64.b64encode(small.getvalue()).decode(), key=len)


def colours(css: str) -> str:
    """The colours of figures in light and dark, from the style sheet of the book."""
    rules = []
    for scheme, frame in SCHEMES.items():
        block = css[css.index(f'[data-md-color-scheme="{scheme}"]') :].partition("}")[0]
        value = dict(re.findall(r"--([\w-]+):\s*([^;]+);", block))
        figure = {f"--{name}": colour for name, colour in value.items() if name.startswith("figure-")}
        own = {"color": value["ink"], "--figure-paper": value["paper"], "--figure-grey": value["ink-soft"]}
        rules.append(frame.format(f"svg{{{';'.join(f'{k}:{v}' for k, v in (own | figure).items())}}}"))
    return "".join(rules)


def with_short_names(svg: str) -> str:
    """The figure with short names for what its parts refer to, and none for the rest."""
    used = {found[0] for found in NAME.finditer(svg) if not found[1]}
    short = {name: f"f{number:x}" for number, name in enumerate(sorted(used))}

    def renamed(found: re.Match[str]) -> str:
        if not found[1]:
            return short[found[0]]
        return f' id="{short[found[1]]}"' if found[1] in used else ""

    return NAME.sub(renamed, svg)
