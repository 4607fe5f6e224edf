"""A tiny book in a folder, for the tests of the runner, the weaver and the site."""

from __future__ import annotations

from pathlib import Path

HEADER = """\
---
jupyter:
  jupytext:
    text_representation:
      extension: .md
      format_name: markdown
---

"""
IMPORTS = """
```python
import numpy as np
{imports}
```

"""
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

```python raises="TypeError"
Double().forward(2) + "a"
```
"""


def chapter(title: str, body: str, imports: str = "") -> str:
    return f"{HEADER}# {title}\n{IMPORTS.format(imports=imports)}{body}"


def write_book(folder: Path, one: str = ONE, two: str = TWO) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.md").write_text(
        chapter("Sample", "[One](01-one.md)\n\n<!-- generated: map -->\n"), encoding="utf-8"
    )
    (folder / "01-one.md").write_text(chapter("One", one), encoding="utf-8")
    (folder / "02-two.md").write_text(
        chapter("Two", two, "from backprop_core import Double"), encoding="utf-8"
    )
    return folder


def line_of(path: Path, text: str) -> int:
    """The number of the first line that holds ``text``."""
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1) if text in line)
