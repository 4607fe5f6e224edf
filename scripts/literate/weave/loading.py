"""What a page loads, and when: two style sheets, its fonts at once, and scripts when the text is there."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from literate.weave.stretches import folded, stretched

# In the order in which pages name them, behind Material's own: they become one, under the name of BOOK.
SHEETS = ("stylesheets/palette.*.css", "fonts/fonts.css", "katex/katex.min.css", "book.css", "exercises.css")
BOOK = "book.css"
EARLY = ("source-serif-4-latin-400-normal", "source-sans-3-latin-600-normal")  # what a reader sees first
URL = re.compile(r"""url\((["']?)(?!data:|#)""")
LINK = re.compile(r'<link rel="stylesheet" href="[^"]*assets/(?P<name>[^"]*)">\s*')
SCRIPT = re.compile(r'<script src="(?P<address>[^"]*)"></script>\s*')
# Material switches transitions off for a moment when it starts, for which browsers style a whole page anew.
SWITCHING = re.compile(r"\[data-md-color-switching\][^{}]*\{[^{}]*\}")
# That there are scripts is said at once: what has been drawn would have to be styled anew. A style sheet asks
# for its fonts late, and text that has been shown then moves. A page that was opened from a folder may not do
# so: the browser would refuse it, and say so.
PRELOAD = """<script>document.documentElement.className="js";if(location.protocol!="file:")\
for(const name of {names})document.head.append(Object.assign(document.createElement("link"),\
{{rel:"preload",as:"font",type:"font/woff2",crossOrigin:"",href:"{assets}fonts/"+name+".woff2"}}))</script>"""
# Material chooses the scheme of the system when its script has come: too late for the first drawing.
SCHEME = """<script>if(matchMedia("(prefers-color-scheme: dark)").matches)\
document.body.dataset.mdColorScheme="slate"</script>"""
# Scripts are asked for when the browser has drawn for the first time, so that the text need not wait for
# them; and after some seconds in any case. Material's then hears that the page is complete, which it missed.
LATER = """<script>{{let ask=()=>{{ask=()=>{{}};let last;for(const src of {addresses})\
document.body.append(last=Object.assign(document.createElement("script"),{{src,async:false}}));\
last.onload=()=>document.dispatchEvent(new Event("DOMContentLoaded",{{bubbles:true}}))}};\
new PerformanceObserver(()=>ask()).observe({{type:"paint",buffered:true}});\
setTimeout(()=>ask(),5000)}}</script>\n"""


def join_sheets(assets: Path) -> set[str]:
    """Write one style sheet in the place of several; which of them are no more."""
    sheets = [sheet for pattern in SHEETS for sheet in sorted(assets.glob(pattern))]
    names = {sheet.relative_to(assets).as_posix() for sheet in sheets}
    text = "\n".join(style(sheet, assets) for sheet in sheets)
    for sheet in sheets:
        sheet.unlink()
    (assets / BOOK).write_text(text, encoding="utf-8")
    return names - {BOOK}


def style(sheet: Path, assets: Path) -> str:
    """The text of a style sheet, its addresses as seen from ``assets``."""
    folder = sheet.parent.relative_to(assets).as_posix()
    text = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", sheet.read_text(encoding="utf-8"))
    text = SWITCHING.sub("", text)
    return text if folder == "." else URL.sub(rf"url(\1{folder}/", text)


def lightened(page: str, joined: set[str], assets: str) -> str:
    """The page without the style sheets that have been ``joined`` to another; its scripts come later."""
    page = LINK.sub(lambda link: "" if link["name"] in joined else link[0], page)
    early = PRELOAD.format(names=_list(EARLY), assets=assets)
    page = page.replace('<link rel="stylesheet"', f'{early}<link rel="stylesheet"', 1)
    page = re.sub("<body[^>]*>", lambda body: body[0] + SCHEME, page, count=1)
    later = LATER.format(addresses=_list(SCRIPT.findall(page)))
    return stretched(folded(SCRIPT.sub("", page).replace("</body>", f"{later}</body>")))


def _list(texts: Iterable[str]) -> str:
    return json.dumps(list(texts), separators=(",", ":"))
