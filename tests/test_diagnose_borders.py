"""The borders of the probes of `diagnose`, a page beside this file: chapter 24 has no room for them."""

from __future__ import annotations

import doctest
import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import backprop_core as bp
from literate.chapter import BOOK

PAGE = Path(__file__).with_name("diagnose_borders.md")
FENCE = re.compile(r"^```(python|pycon)([^\n]*)\n(.*?)^```$", re.M | re.S)
HEAD, *PARTS = re.split(r"\n(?=[A-Z][^\n]*:\n\n```)", PAGE.read_text(encoding="utf-8"))


def known(module: dict[str, Any]) -> dict[str, Any]:
    """What the chapter's cells and the page's first have set; core cells are in the module."""
    text, heading, _ = (BOOK / "24-diagnose.md").read_text(encoding="utf-8").partition("\n### The twelve\n")
    assert heading
    names = {name: value for name, value in module.items() if not name.startswith("__")}
    for kind, tags, code in FENCE.findall(text + HEAD):
        if kind == "python" and not tags.strip():
            exec(code, names)
    return names


def sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for part in PARTS:
        yield part.split(":\n")[0], [(kind, code) for kind, _, code in FENCE.findall(part)]


def wrong(fences: list[tuple[str, str]], names: dict[str, Any]) -> list[str]:
    """The examples that print something else than the page says."""
    found = []
    for kind, code in fences:
        if kind == "python":
            exec(code, names)
            continue
        for example in doctest.DocTestParser().get_examples(code):
            with redirect_stdout(io.StringIO()) as said:
                exec(compile(example.source, "a transcript", "single"), names)
            if said.getvalue() != example.want:
                found.append(f"{example.source}{said.getvalue()}")
    return found


SECTIONS = dict(sections())


@pytest.mark.parametrize("title", SECTIONS)
def test_each_probe_speaks_above_its_border_and_is_silent_below(title: str) -> None:
    assert wrong(SECTIONS[title], known(vars(bp))) == []


def test_a_transcript_that_is_wrong_is_found() -> None:
    assert len(SECTIONS) == 27 and sum(len(fences) for fences in SECTIONS.values()) > 40
    assert wrong([("python", "a = 1\n"), ("pycon", ">>> a\n1\n>>> a + 1\n3\n")], {}) == ["a + 1\n2\n"]
