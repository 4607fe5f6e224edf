"""A figure as Matplotlib saves it, made part of a page: its colours follow light and dark."""

from __future__ import annotations

import html
import re

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
LETTER = re.compile(r'<path id="(?P<id>figure-[\w-]+)" (?P<outline>d="[^"]*" transform="[^"]*")/>\s*')
SMALLEST = 0.58  # how far a figure shrinks before it scrolls in its own box


def inline_svg(svg: str, name: str, alt: str) -> str:
    """``svg`` without head and global style, ids made unique by ``name``, described by ``alt``."""
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    if not size:
        raise ValueError("not a figure saved by Matplotlib")
    width, height = (float(number) * 4 / 3 for number in size.groups())
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    body = body[body.index(">", body.index("<svg")) + 1 :]
    body = re.sub(r'((?:\bid="|url\(#|href="#))', rf"\1{name}-", body)
    body = re.sub(r"(?<=[ :\"])#[0-9a-f]{6}\b", lambda found: COLOURS.get(found[0], found[0]), body)
    body = re.sub(r"\n\s*", "\n", body)
    view = f'viewBox="0 0 {width * 0.75:g} {height * 0.75:g}"'
    style = (
        f"width: {width:.0f}px; min-width: {width * SMALLEST:.0f}px; aspect-ratio: {width:.0f} / {height:.0f}"
    )
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" {view} style="{style}" fill="currentColor" '
        f'stroke-linejoin="round" xmlns:xlink="http://www.w3.org/1999/xlink">{body.strip()}'
    )


def with_shared_letters(page: str) -> str:
    """The page with each letter's outline once: its figures hold the same letters again and again."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}

    def once(found: re.Match[str]) -> str:
        kept = first.setdefault(found["outline"], found["id"])
        same[found["id"]] = kept
        return found[0] if kept == found["id"] else ""

    page = LETTER.sub(once, page)
    return re.sub(r'href="#([\w-]+)"', lambda found: f'href="#{same.get(found[1], found[1])}"', page)
