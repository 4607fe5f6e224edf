"""Small books for the tests: texts, chapters read from them, and books in a folder."""

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
"""
MARK = re.compile(r" # (<\d>)$")
CONTINUATION = re.compile(r"class (\w+)\(\1\):$")
ONE = (
    r"""
Twice is @eq:twice and @eq:thrice comes later.

$$
y = 2x
$$ {#eq:twice unchecked="a sample"}

```python tags=["core"] name="double"
class Double:
    """
    + '''"""Twice, eq:twice."""'''.strip()
    + r"""

    def forward(self, x):
        return 2 * x  # eq:twice
```

```python
Double().forward(np.arange(3))
```
"""
)
TWO = """
By @eq:twice, 4 is 4<!-- = Double().forward(2) -->.

$$
y = 3x
$$ {#eq:thrice unchecked="a sample"}

```python tags=["core"] name="double-backward"
class Double(Double):
    def backward(self, g):
        return 2 * g
```

```python raises="TypeError: ."
Double().forward(2) + "a"
```
"""


def fence(source: str, attributes: str = "") -> str:
    return f"```python{' ' * bool(attributes)}{attributes}\n{source.strip()}\n```\n"


def core(source: str, name: str) -> str:
    return fence(source, f'tags=["core"] name="{name}"')


def chapter_text(
    body: str, number: int = 1, imports: str = "import numpy as np", title: str | None = None
) -> str:
    """A chapter: its header, its imports, an empty line and its body."""
    title = title or f"Sample {number}"
    return f"{HEADER}\n# {title}\n\n```python\n{imports.strip()}\n```\n\n{body}"


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


def write_book(folder: Path, one: str = ONE, two: str = TWO) -> Path:
    """A preface and two chapters, for the runner, the weaver and the site."""
    folder.mkdir(parents=True, exist_ok=True)
    preface = chapter_text("[One](01-one.md)\n\n<!-- generated: map -->\n", title="Sample")
    later = "import numpy as np\nfrom backprop_core import Double"
    texts = {
        "index": preface,
        "01-one": chapter_text(one, title="One"),
        "02-two": chapter_text(two, imports=later, title="Two"),
    }
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def line_of(path: Path, text: str) -> int:
    """The number of the first line that holds ``text``."""
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1) if text in line)


def saying(text: str, chapters: Sequence[Chapter]) -> Chapter:
    """The first chapter in which this stands, for a test that plants a mistake there."""
    found = next((one for one in chapters if text in one.text), None)
    assert found, f"no chapter says {text!r} any more: take another sentence of the book for this test"
    return found
