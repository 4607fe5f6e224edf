"""The page "Coming from PyTorch" says the truth about both signatures."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable
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
