"""What a page loads, and when: two style sheets, scripts that wait for the text, its fonts at once."""

from __future__ import annotations

import re
from pathlib import Path

# In the order in which pages name them, behind Material's own: they become one, under the name of BOOK.
SHEETS = ("stylesheets/palette.*.css", "fonts/fonts.css", "katex/katex.min.css", "book.css", "exercises.css")
BOOK = "book.css"
EARLY = ("source-serif-4-latin-400-normal", "source-sans-3-latin-600-normal")  # what a reader sees first
URL = re.compile(r"""url\((["']?)(?!data:|#)""")
LINK = re.compile(r'<link rel="stylesheet" href="[^"]*assets/(?P<name>[^"]*)">\s*')
SCRIPT = re.compile(r"<script (?=src=)")
# A style sheet asks for its fonts late, and text that has been shown then moves. A page that was opened from
# a folder may not ask early: the browser would refuse it, and say so.
PRELOAD = """<script>if(location.protocol!="file:")for(const name of {names})document.head.append(\
Object.assign(document.createElement("link"),{{rel:"preload",as:"font",type:"font/woff2",crossOrigin:"",\
href:"{assets}fonts/"+name+".woff2"}}))</script>"""


def lighten(site: Path) -> None:
    assets = site / "assets"
    sheets = [sheet for pattern in SHEETS for sheet in sorted(assets.glob(pattern))]
    names = {sheet.relative_to(assets).as_posix() for sheet in sheets}
    text = "\n".join(style(sheet, assets) for sheet in sheets)
    for sheet in sheets:
        sheet.unlink()
    (assets / BOOK).write_text(text, encoding="utf-8")
    for page in sorted(site.rglob("*.html")):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        page.write_text(lightened(page.read_text(encoding="utf-8"), names - {BOOK}, f"{up}assets/"), "utf-8")


def style(sheet: Path, assets: Path) -> str:
    """The text of a style sheet, its addresses as seen from ``assets``."""
    folder = sheet.parent.relative_to(assets).as_posix()
    text = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", sheet.read_text(encoding="utf-8"))
    return text if folder == "." else URL.sub(rf"url(\1{folder}/", text)


def lightened(page: str, joined: set[str], assets: str) -> str:
    """The page without the style sheets that have been ``joined`` to another."""
    page = LINK.sub(lambda link: "" if link["name"] in joined else link[0], page)
    early = PRELOAD.format(names=list(EARLY), assets=assets).replace("'", '"')
    return SCRIPT.sub("<script defer ", page).replace(
        '<link rel="stylesheet"', f'{early}<link rel="stylesheet"', 1
    )
