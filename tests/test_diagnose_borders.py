"""Borders of those probes of `diagnose` that chapter 24 has no room for: the transcripts beside this file."""

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
PRIVATE = {name: value for name, value in vars(bp).items() if not name.startswith("__")}


@pytest.fixture
def known() -> dict[str, Any]:
    """What the chapter's cells have set where its own borders end; core cells are in the module."""
    text, heading, _ = (BOOK / "24-diagnose.md").read_text(encoding="utf-8").partition("\n### The twelve\n")
    assert heading
    names = dict(PRIVATE)
    for _, tags, code in FENCE.findall(text):
        if tags.strip() == "" and not code.startswith(">>>"):
            exec(code, names)
    return names


def sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for part in re.split(r"\n(?=[A-Z][^\n]*:\n\n```)", PAGE.read_text(encoding="utf-8"))[1:]:
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
def test_each_probe_speaks_above_its_border_and_is_silent_below(title: str, known: dict[str, Any]) -> None:
    assert wrong(SECTIONS[title], known) == []


def test_a_transcript_that_is_wrong_is_found() -> None:
    assert len(SECTIONS) == 13 and sum(len(fences) for fences in SECTIONS.values()) > 15
    assert wrong([("python", "a = 1\n"), ("pycon", ">>> a\n1\n>>> a + 1\n3\n")], {}) == ["a + 1\n2\n"]
