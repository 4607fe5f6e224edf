"""What the site says of the equations' checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from literate.chapter import BookError
from literate.reader import parse_chapter, read_book
from literate.weave import marks

CHAPTER = """\
---
jupyter:
  jupytext:
    text_representation:
      extension: .md
      format_name: markdown
---

# Twice

```python
import numpy as np
```

| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $x$ | a number | $\\mathbb{R}$ | `x` |
| $y$ | twice that | $\\mathbb{R}$ | `twice(x)` |

$$
y = 2x
$$ {#eq:twice}

```python tags=["core"] name="twice"
def twice(x):
    return 2 * x  # eq:twice
```
"""


def found(text: str, cache: Path) -> dict:
    return marks.checks([parse_chapter(text, cache / "01-twice.md")], cache)


def test_a_mark_says_against_what_an_equation_was_checked(tmp_path: Path) -> None:
    ((label, (title, kind)),) = found(CHAPTER, tmp_path)["marks"].items()
    assert (label, kind) == ("eq:twice", "checked")
    assert title.startswith("checked against backprop_core.twice: 5 draws, ")


def test_what_was_found_is_kept_until_code_or_equation_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in (CHAPTER, CHAPTER.replace("that |", "it |"), CHAPTER.replace("2 * x", "x + x")):
        found(text, tmp_path)
    assert capsys.readouterr().out == "checking the equations\n" * 2


def test_a_wrong_equation_ends_the_build_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"01-twice.md:20: eq:twice: the two sides differ"):
        found(CHAPTER.replace("y = 2x", "y = 3x"), tmp_path)


def test_the_slips_on_the_page_are_noticed_for_the_stated_reason(tmp_path: Path) -> None:
    chapters = read_book()
    module = marks.tangle(chapters).text
    book = marks.Book(chapters, marks.namespace_of(module))
    said = [message for _, _, _, message in marks._slips(book, module)]
    reasons = ["(ratio", "the factor 2", "index i runs over", "matrix product of shapes", "`db` is not"]
    assert [reason in message for reason, message in zip(reasons, said, strict=True)] == [True] * 5
