"""Small books for the tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from literate.chapter import ROOT, BookError, Chapter
from literate.reader import parse_chapter

HEADER = """\
---
jupyter:
  jupytext:
    text_representation:
      extension: .md
      format_name: markdown
---

# Sample {number}

```python
{imports}
```
"""
MARK = re.compile(r" # (<\d>)$")
CONTINUATION = re.compile(r"class (\w+)\(\1\):$")


def fence(source: str, attributes: str = "") -> str:
    return f"```python{' ' * bool(attributes)}{attributes}\n{source.strip()}\n```\n"


def core(source: str, name: str) -> str:
    return fence(source, f'tags=["core"] name="{name}"')


def chapter_text(body: str, number: int = 1, imports: str = "import numpy as np") -> str:
    return f"{HEADER.format(number=number, imports=imports.strip())}\n{body}"


def chapter(
    body: str, number: int = 1, imports: str = "import numpy as np", folder: Path | None = None
) -> Chapter:
    path = (folder or ROOT / "book") / f"{number:02}-sample.md"
    return parse_chapter(chapter_text(body, number, imports), path)


def core_chapter(cells: Sequence[str], number: int = 1, imports: str = "import numpy as np") -> Chapter:
    """A chapter of core cells, named 1-1, 1-2, …"""
    body = "\n".join(core(cell, f"{number}-{position}") for position, cell in enumerate(cells, 1))
    return chapter(body, number, imports)


def core_book(text: str) -> list[Chapter]:
    """Chapters from a sketch: --- between cells, === between chapters, each perhaps with imports above."""
    chapters = []
    for number, sketch in enumerate(text.split("===\n"), 1):
        first, *rest = sketch.strip().split("---\n")
        imports = first if first.startswith(("import ", "from ")) else "import numpy as np"
        cells = rest if imports == first else [first, *rest]
        chapters.append(core_chapter(cells, number, imports))
    return chapters


def complaint(error: BookError, chapters: Sequence[Chapter]) -> str:
    """The message, with <1> for the place of the line that ends in # <1>, <A+> for that of class A(A)."""
    message = str(error)
    for item in chapters:
        for number, line in enumerate(item.text.split("\n"), 1):
            if found := MARK.search(line) or CONTINUATION.match(line):
                mark = found[1] if found.re is MARK else f"<{found[1]}+>"
                message = re.sub(rf"{re.escape(str(item.place(number)))}\b", mark, message)
    return message
