"""The whole grids of the clinic, of which tests/test_clinic.py walks the diagonals."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests import clinic_grids as grids
from tests.test_clinic import SICK, names_without


@pytest.mark.parametrize("kind, size, columns", [*product(grids.KINDS[:3], grids.SIZES, (1, 2))])
def test_no_size_of_the_targets_is_a_fault_of_the_loss(kind: Any, size: Any, columns: int) -> None:
    grids.no_size_is_a_fault(kind, size, columns)


@pytest.mark.parametrize("kind, size", [*product(grids.KINDS[:3], grids.SIZES)])
def test_at_every_size_of_the_targets_a_faulty_loss_is_named(kind: Any, size: Any) -> None:
    grids.at_a_size_a_faulty_loss_is_named(kind, size)


@pytest.mark.parametrize("kind, act, rule", [*product(grids.KINDS, grids.ACTIVATIONS, grids.RULES)])
def test_a_network_that_its_rate_has_ruined_is_told_so(kind: Any, act: Any, rule: Any) -> None:
    for steps in (0, 5, 60):
        grids.a_ruined_network_is_told_so(kind, act, rule, steps)


@pytest.mark.parametrize("kind, act", [*product(grids.KINDS, grids.ACTIVATIONS)])
def test_a_network_that_was_trained_well_has_no_finding(kind: Any, act: Any) -> None:
    for steps in (0, 5, 60, 300):
        grids.a_trained_network_has_no_finding(kind, act, steps)


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
def test_a_few_new_rows_do_not_differ_from_the_data(rows: int) -> None:
    for at in range(0, 180, 20):
        grids.new_rows_do_not_differ(rows, at)


@pytest.mark.parametrize("seed, offset", [*product(range(4), [0, *grids.OFFSETS])])
def test_inputs_far_from_0_are_named_where_they_stop_the_learning(seed: int, offset: int) -> None:
    grids.inputs_far_from_0_are_named(seed, offset)


@pytest.mark.parametrize("kind, seed", [*product(grids.MEMORIES, range(3))])
def test_a_wild_start_is_no_wrong_gradient(kind: Any, seed: int) -> None:
    grids.a_wild_start_is_no_wrong_gradient(kind, seed)


@pytest.mark.parametrize("seed", range(8))
def test_a_pooling_layer_behind_dead_units_is_no_wrong_gradient(seed: int) -> None:
    grids.pooling_behind_dead_units_is_no_wrong_gradient(seed)


@pytest.mark.parametrize("kind, lr", grids.SLOW)
def test_a_rate_that_is_too_small_for_pictures_is_named(kind: Any, lr: float) -> None:
    grids.a_rate_too_small_for_pictures_is_named(kind, lr)


@pytest.mark.parametrize("name", SICK)
def test_without_its_measurement_a_name_is_not_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name not in names_without(name, monkeypatch)
