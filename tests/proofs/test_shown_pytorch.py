"""PyTorch as the book shows it: its statements run and print what the page says, its names exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from literate.prove.session import Session
from literate.reader import book_files, read_chapter
from tests.books import chapter_text
from tests.shown import complaints, names, resolve, shown

CHAPTERS = book_files()
SCOPE = {"torch": torch}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_the_book_shows_of_pytorch(path: Path) -> None:
    chapter = read_chapter(path)
    for place, expression in names(chapter, "torch"):
        try:
            resolve(expression, dict(SCOPE))
        except (AttributeError, TypeError, SyntaxError) as error:
            pytest.fail(f"{place}: `{expression}`: {error}")
    if shown(chapter, "torch"):
        with Session.of(path) as session:
            assert list(complaints(session, "torch")) == []


BODY = """
```python
w = [1.0, 2.0]
```

```py
import torch
x = torch.tensor(w, requires_grad=True)
(x**2).sum().backward()
print(x.grad)
```

```text
tensor([2., 4.])
```

```py
print(torch.nn.functional.relu(x.grad - 3))
```

```text
tensor([0., 1.])
```
"""
MISTAKES = [
    ("[2., 4.]", "[2., 3.]", "but it prints"),
    ("x.grad - 3", "x.grad - 2", "but it prints"),
    ("functional.relu", "functional.rleu", "AttributeError"),
    ("(x**2).sum().backward()", "(x**2).backward()", "RuntimeError"),
    ("\n```text\ntensor([0., 1.])\n```\n", "", "show it in a ```text fence"),
]


def said(folder: Path, body: str) -> list[str]:
    path = folder / "01-sample.md"
    path.write_text(chapter_text(body), encoding="utf-8")
    with Session.of(path) as session:
        return list(complaints(session, "torch"))


def test_right_statements_pass(tmp_path: Path) -> None:
    assert said(tmp_path, BODY) == []


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_wrong_statement_is_found(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert right in BODY
    found = said(tmp_path, BODY.replace(right, wrong))
    assert message in found[0]


@pytest.mark.parametrize(
    "expression",
    [
        "torch.nn.Lineal",
        "torch.optim.SGD(params, momentun=0.9)",
        "torch.nn.CrossEntropyLoss(label_smooth=0.1)",
    ],
)
def test_a_name_that_does_not_exist_is_found(expression: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        resolve(expression, dict(SCOPE))
