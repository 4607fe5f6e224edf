"""From what mkdocs has written to what a browser gets: formulas set, and nothing that nobody needs."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from literate.chapter import Chapter
from literate.kept import across_builds
from literate.weave import light, panels
from literate.weave.katex import Formula, formulas_of, search_text, typeset, with_formulas
from literate.weave.loading import join_sheets, lightened

DIGEST = "<!-- the digest of the source -->"  # not known to the page: it would have to be made again
SCRIPT = re.compile(r"<script(?P<attributes>(?![^>]*\bsrc=)[^>]*)>(?P<text>.*?)</script>", re.S)


def finish(site: Path, chapters: Sequence[Chapter], digest: str, cache: Path) -> None:
    """Finish all pages. ``cache`` is the file that keeps formulas for the next build."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    own = {path: formulas_of(text) for path, text in pages.items()}
    style = site / "assets" / "katex" / "katex.min.css"
    done, lighter = typeset(sorted(set().union(*own.values())), chapters, cache, style.read_text("utf-8"))
    style.write_text(lighter, encoding="utf-8")
    joined = join_sheets(site / "assets")
    for path, text in pages.items():
        assets = "../" * (len(path.relative_to(site).parts) - 1) + "assets/"
        formulas = {formula: done[formula] for formula in sorted(own[path])}
        path.write_text(finished(text, formulas, joined, assets).replace(DIGEST, digest[:12]), "utf-8")
    search_text(site / "search" / "search_index.json", done)
    panels.write_scripts(site)


@across_builds(lambda page, formulas, joined, assets: (page, formulas, sorted(joined), assets))
def finished(page: str, formulas: Mapping[Formula, str], joined: set[str], assets: str) -> str:
    page = lightened(light.code(with_formulas(page, formulas)), joined, assets)
    return with_policy(light.page(page))


def with_policy(page: str) -> str:
    """The page, which may run the site's files and the inline scripts that Material wrote into it."""
    own = sorted({digest(found["text"]) for found in SCRIPT.finditer(page) if _runs(found["attributes"])})
    allowed = " ".join(["'self'", "file:", *own])  # file: for the site opened from a folder
    policy = f"script-src {allowed}; worker-src 'self' file: blob:; object-src 'none'; base-uri 'self'"
    return page.replace(
        "<meta charset=utf-8>",
        f'<meta charset=utf-8><meta http-equiv="Content-Security-Policy" content="{policy}">',
        1,
    )


def _runs(attributes: str) -> bool:
    return "type=" not in attributes or "javascript" in attributes or "module" in attributes


def digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
