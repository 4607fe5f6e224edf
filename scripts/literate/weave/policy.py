"""A page's Content-Security-Policy: scripts of the site, and those of its own that Material wrote into it."""

import base64
import hashlib
import re

SCRIPT = re.compile(r"<script(?P<attributes>(?![^>]*\bsrc=)[^>]*)>(?P<text>.*?)</script>", re.S)


def with_policy(page: str) -> str:
    """The page, which allows no script but the site's files and the inline ones that it has now."""
    own = sorted({digest(found["text"]) for found in SCRIPT.finditer(page) if _runs(found["attributes"])})
    allowed = " ".join(["'self'", "file:", *own])  # file: for the site opened from a folder
    policy = f"script-src {allowed}; worker-src 'self' file: blob:; object-src 'none'; base-uri 'self'"
    return page.replace(
        '<meta charset="utf-8">',
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">',
        1,
    )


def _runs(attributes: str) -> bool:
    return "type=" not in attributes or "javascript" in attributes or "module" in attributes


def digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
