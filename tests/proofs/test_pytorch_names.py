"""The page "Coming from PyTorch" says the truth about both signatures."""

from __future__ import annotations

import ast
import fnmatch
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

import backprop_core as bp
from literate.weave.pytorch import Pair, table

TABLE = table()
COMPARED = [pair for pair in TABLE.pairs if not pair.free]


def find(name: str) -> Any:
    thing: Any = torch
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


def options(function: Callable) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some of PyTorch's functions are built in
        return {}
    skipped = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return {p.name: p.default for p in parameters if p.kind not in skipped or p.name == "layers"}


@pytest.mark.parametrize("pair", TABLE.pairs, ids=lambda pair: pair.ours)
def test_both_exist(pair: Pair) -> None:
    assert callable(find(pair.theirs)) and hasattr(bp, pair.ours)


@pytest.mark.parametrize("pair", COMPARED, ids=lambda pair: pair.ours)
def test_each_option_is_shared_renamed_or_left_out_with_a_reason(pair: Pair) -> None:
    ours, theirs = options(getattr(bp, pair.ours)), options(find(pair.signature or pair.theirs))
    assert set(pair.own) <= set(ours) and set(pair.without) | set(pair.renamed) <= set(theirs)
    renamed = {pair.renamed.get(name, name): default for name, default in theirs.items()}
    left_out = set(renamed) - set(ours)
    assert left_out <= set(pair.without) | set(TABLE.everywhere), "an option without a reason"
    assert not set(pair.without) & set(ours), "a reason to leave out what is there"
    assert set(ours) - set(renamed) == set(pair.own), "options that only we have"
    differ = {name for name in set(ours) & set(renamed) if ours[name] != renamed[name]}
    assert differ == set(pair.defaults), "defaults that differ"


def stated(text: str) -> Iterator[tuple[str, Any]]:
    """What an entry says of a default: ("here", 32), ("there", 1), ("there", "relu")."""
    for value, side in re.findall(r"([\w.+-]+) (here|there)\b", text):
        if re.fullmatch(r"True|False|None|-?[\d.]+", value):
            yield side, ast.literal_eval(value)
    for value in re.findall(r"\b(?:there|always) (True|False|[\d.]+|[A-Z]\w+)$", text):
        yield (
            "there",
            ast.literal_eval(value) if value in ("True", "False") or value[0].isdigit() else value.lower(),
        )


def misstated(pair: Pair) -> list[str]:
    """Entries that give another default than the signature, or another order than the docstring."""
    ours, theirs = options(getattr(bp, pair.ours)), options(find(pair.signature or pair.theirs))
    names = {**{name: name for name in theirs}, **{mine: name for name, mine in pair.renamed.items()}}
    wrong = []
    for name, text in {**pair.defaults, **pair.without, **pair.own}.items():
        for side, value in stated(text):
            default = ours[name] if side == "here" else theirs[names[name]]
            if value != getattr(default, "__name__", default):
                wrong.append(f"{name}: {side} it is {default!r}, not {value!r}")
    for order in re.findall(r"in the order ((?:\w, )+\w)\b", pair.note):
        if f"in the order {order}" not in " ".join((inspect.getdoc(getattr(bp, pair.ours)) or "").split()):
            wrong.append(f"the order is not {order}")
    return wrong


@pytest.mark.parametrize("pair", COMPARED, ids=lambda pair: pair.ours)
def test_defaults_and_orders_are_those_of_the_signatures(pair: Pair) -> None:
    assert misstated(pair) == []


@pytest.mark.parametrize(
    ("ours", "right", "wrong"),
    [
        ("DataLoader", "32 here, 1 there", "64 here, 1 there"),
        ("DataLoader", "True here, None there", "None here, True there"),
        ("TransformerBlock", "0 here, 0.1 there", "0 here, 0.2 there"),
        ("TransformerBlock", "embed_dim here, 2048 there", "embed_dim here, 1024 there"),
        ("TransformerBlock", "always, there False", "always, there True"),
        ("TransformerBlock", "GELU, there ReLU", "GELU, there SiLU"),
        ("Flatten", "always 1", "always 2"),
        ("Softmax", "-1 here", "1 here"),
        ("GRU", "r, z, n", "z, r, n"),
    ],
)
def test_another_default_is_found(ours: str, right: str, wrong: str) -> None:
    (pair,) = (pair for pair in COMPARED if pair.ours == ours)
    fields = {name: value for name, value in vars(pair).items() if right in str(value)}
    assert fields
    changed = {name: ast.literal_eval(repr(value).replace(right, wrong)) for name, value in fields.items()}
    assert misstated(replace(pair, **changed))


def test_every_public_name_is_paired_or_left_out_for_a_reason() -> None:
    places = torch.nn, torch.optim, torch.optim.lr_scheduler
    paired = {pair.theirs.rsplit(".")[-1] for pair in TABLE.pairs}
    names = {
        name
        for place in places
        for name, thing in vars(place).items()
        if inspect.isclass(thing) and name[0].isupper() and thing.__module__.startswith("torch")
    }
    patterns = [one for patterns in TABLE.left_out for one in patterns.split("|")]
    found = {
        name for name in names - paired if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    assert found == set()
    used = {pattern for pattern in patterns for name in names if fnmatch.fnmatchcase(name, pattern)}
    assert used == set(patterns), "patterns that match nothing"
