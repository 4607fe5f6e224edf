"""The whole book as one page to print: finished pages of the site in a single file, with all they need."""

import base64
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("onefile.css")
LEFT_OUT = {"exercises", "equations", "checks", "module", "pytorch"}  # made for a screen
TAG = re.compile(r'<[a-zA-Z](?:[^>"]|"[^"]*")*>')
# What the print style does not show, and what leads to where a reader of paper cannot go.
UNPRINTED = re.compile(
    r'<details class="folded (?!aside|sets).*?</details>\s*|<a class="?headerlink"?.*?</a>'
    r'|<p class="?(?:above|to-exercises)"?>.*?</p>\s*',
    re.S,
)
DETAILS = re.compile(
    r'<details(?! class="folded sets)( class=(?:"[^"]*"|[\w-]+))?(?: name=[^ >]*)?'
)  # all are open
HEADING = re.compile(r"<h([1-6])(?=[ >])")
PRE = re.compile(r"<pre>(.*?)</pre>", re.S)
FIGURE = re.compile(r'<img src="(assets/figures/[^"]*)"([^>]*) loading="?lazy"?')
URL = re.compile(r"""url\(["']?(?!data:|#)([^"')]+)["']?\)""")
KINDS = {".woff2": "font/woff2", ".svg": "image/svg+xml", ".png": "image/png"}


def one_file(site: Path, nav: list[Any], book: str) -> str:
    """The pages of ``site`` that ``nav`` names, in its order, as one page with the title ``book``."""
    listed = [entry for entry in _listed(nav) if entry[2] not in LEFT_OUT]
    pages = {name: (site / f"{name}.html").read_text(encoding="utf-8") for _, _, name in listed}
    heads, contents, sections, before = [], [], [], ""
    for number, (part, label, name) in enumerate(listed):
        title = label or _found(r"<title>(.*?)</title>", pages[name]).removesuffix(f" - {html.escape(book)}")
        heads.append(f"@page p{number} {{ @top-right {{ content: {_css_string(title)} }} }}")
        opening = "" if part in ("", before) else f'<p class="part" role="heading" aria-level="1">{part}</p>'
        before = part
        contents += [f"<dt>{part}</dt>"] * bool(opening) + [f'<dd><a href="#{name}">{title}</a></dd>']
        text = _section(site, pages[name], name, title, bool(part))
        sections.append(f'<section id="{name}" style="page: p{number}">{opening}{text}</section>')
    first = next(iter(pages.values()))
    style = "\n".join([_styles(site, first), STYLE.read_text(encoding="utf-8"), *heads])
    source = _found(r"(Made from source \w+)", first)
    cover = f"<header><h1>{html.escape(book)}</h1>\n<p>{source}</p>\n<dl>"
    body = "\n".join([cover, *contents, "</dl></header>", *sections])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(book)}</title>\n<style>{style}</style>\n</head>\n"
        '<body data-md-color-scheme="default" class="one-file md-typeset">\n'
        f"{_without_dead_ends(body)}\n</body>\n</html>\n"
    )


def _listed(nav: list[Any], part: str = "") -> Iterator[tuple[str, str, str]]:
    """(part, label, name) of each page in mkdocs' ``nav``."""
    for entry in nav:
        label, target = next(iter(entry.items())) if isinstance(entry, dict) else ("", entry)
        if isinstance(target, list):
            yield from _listed(target, label)
        else:
            yield part, label, target.removesuffix(".md")


def _section(site: Path, page: str, name: str, title: str, in_part: bool) -> str:
    """The article of a page: its own title, headings at their level in the book, ids that are its own."""
    text = UNPRINTED.sub("", _found(r"<article[^>]*>(.*)</article>", page))
    text = re.sub(r"(<h1[^>]*>).*?</h1>", lambda start: f"{start[1]}{title}</h1>", text, count=1, flags=re.S)
    text = HEADING.sub(lambda h: f'{h[0]} aria-level="{int(h[1]) + in_part}"', text)
    text = DETAILS.sub(r"<details open\1", text)
    text = FIGURE.sub(lambda image: f'<img src="{_data_of(site / image[1])}"{image[2]}', text)
    text = PRE.sub(lambda pre: f'<pre style="--columns: {_columns(pre[1])}">{pre[1]}</pre>', text)
    return TAG.sub(lambda tag: _own(tag[0], name), text)


def _own(tag: str, name: str) -> str:
    tag = re.sub(r' id="?([^" >]*)"?', rf' id="{name}/\1"', tag)
    tag = re.sub(r'href="#([^"]*)"', rf'href="#{name}/\1"', tag)
    tag = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}/\1)", tag)
    tag = re.sub(r'href="([\w-]+)\.html#([^"]+)"', r'href="#\1/\2"', tag)
    return re.sub(r'href="([\w-]+)\.html#?"', r'href="#\1"', tag)


def _without_dead_ends(text: str) -> str:
    """The text, in which a link to what is not in the file is no link."""
    tags = TAG.findall(text)
    ids = {found[1] for tag in tags if (found := re.search(r' id="([^"]*)"', tag))}

    def alive(tag: re.Match[str]) -> str:
        href = re.search(r' href="(#?)([^"]*)"', tag[0])
        lost = href and (html.unescape(href[2]) not in ids if href[1] else "://" not in href[2])
        return tag[0].replace(href[0], "") if href and lost else tag[0]

    return re.sub(r'<a (?:[^>"]|"[^"]*")*>', alive, text)


def _columns(code: str) -> int:
    return max(map(len, html.unescape(re.sub(r"<[^>]*>", "", code)).split("\n")))


def _styles(site: Path, page: str) -> str:
    """The style sheets that a page loads, with their fonts."""
    files = [site / name for name in re.findall(r'<link rel="?stylesheet"? href="([^"]*)"', page)]
    return "\n".join(map(_style, files))


def _style(file: Path) -> str:
    return URL.sub(lambda url: _data(file.parent / url[1]), file.read_text(encoding="utf-8"))


def _data(file: Path) -> str:
    if not file.exists():  # an older form of a font, which no browser asks for
        return "url(data:,)"
    return f"url({_data_of(file)})"


def _data_of(file: Path) -> str:
    return f"data:{KINDS[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _css_string(text: str) -> str:
    return '"' + re.sub(r'["\\]', r"\\\g<0>", html.unescape(text)) + '"'


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.S)
    assert found, pattern
    return found[1]
