"""Charge and stored energy."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.charge import (
    Charge,
    charge_of,
    energy_capacity,
    stored_energy,
)
from custom_components.voltgo_vlrv.history.runtime import ChargeGauge
from tests.vlrv.samples import status


def test_charge_is_the_one_that_the_battery_counts() -> None:
    """Cut off to whole Ah, or tenths; else its share of the full capacity."""
    found = charge_of(
        status(remaining_capacity=79.0, full_capacity=100.0, state_of_charge=80)
    )
    assert found == Charge(79, 79, 80, 100)
    tenths = charge_of(
        status(
            remaining_capacity=369.8,
            remaining_scale=0.1,
            full_capacity=400.0,
            state_of_charge=92,
        )
    )
    assert tenths is not None
    assert tenths == (369.8, 369.8, pytest.approx(369.9), 400)
    even = charge_of(
        status(
            remaining_capacity=360.0,
            remaining_scale=0.1,
            full_capacity=400.0,
            state_of_charge=90,
        )
    )
    assert even is not None
    assert even.step == pytest.approx(0.1)
    share = charge_of(
        status(remaining_capacity=0.0, full_capacity=400.0, state_of_charge=60)
    )
    assert share == (240, 238, 242, 400)
    nothing = {31: 0, 32: 0, 37: 0, 21: 0}
    assert charge_of(status(nothing, state_of_charge=60)) is None


@pytest.mark.parametrize(
    ("left", "step", "cells", "energy"),
    [
        (100, 1, 4, 1280),
        (400, 1, 4, 5120),
        (100, 1, 8, 2560),
        (100, 1, 16, 5120),
        (88, 1, 4, 1130),
        (87, 1, 4, 1110),
        (369.8, 0.1, 4, 4733),
        (240, 4, 4, 3070),
        (0, 1, 4, 0),
    ],
)
def test_stored_energy_has_the_resolution_of_the_charge(
    left: float, step: float, cells: int, energy: int
) -> None:
    """Charge times nominal voltage; a full battery has what table 4-1 says."""
    charge = Charge(left, left, left + step, 400)
    assert stored_energy(charge, cells) == energy


@pytest.mark.parametrize(
    ("full_capacity", "cells", "energy"),
    [(100.0, 4, 1280.0), (200.4, 8, 5130.24), (100.0, 16, 5120.0), (None, 4, None)],
)
def test_energy_capacity_of_a_full_battery_is_the_nominal_energy(
    full_capacity: float | None, cells: int, energy: float | None
) -> None:
    """3.2 V for each cell; unknown where the battery does not know its capacity."""
    assert energy_capacity(full_capacity, cells) == pytest.approx(energy)


@given(st.integers(0, 399), st.sampled_from([4, 8, 16]))
def test_stored_energy_of_each_ampere_hour_is_distinct(left: int, cells: int) -> None:
    """Rounded, but never to the same."""
    one, two = (
        stored_energy(Charge(ah, ah, ah + 1, 400), cells) for ah in (left, left + 1)
    )
    assert one < two


def test_charge_gauge_stays_within_the_reported_step() -> None:
    """At a step it is where the step says."""
    gauge = ChargeGauge()
    gauge.add(0, -36, Charge(50, 50, 51, 100))
    assert gauge.value == 50.5
    gauge.add(10, -36, Charge(50, 50, 51, 100))
    assert gauge.value == pytest.approx(50.4)
    gauge.add(1000, -36, Charge(50, 50, 51, 100))
    assert gauge.value == 50
    gauge.add(1010, -36, Charge(49, 49, 50, 100))
    assert gauge.value == pytest.approx(49.9)
    gauge.add(1020, -36, Charge(30, 30, 31, 100))
    assert gauge.value == 31
    gauge.add(1030, 36, Charge(100, 100, 101, 100))
    assert gauge.value == 100
    gauge.add(1030, 36, Charge(100, 100, 101, 100))
    gauge.add(1040, 36, Charge(100, 100, 101, 100))
    assert gauge.value == 100
    gauge.add(1040, -3600, Charge(99, 99, 101, 100))
    assert gauge.value == 100
    gauge.add(1040, -36, Charge(0.5, 0.5, 0.6, 100))
    gauge.add(1041, -360, Charge(0.5, 0.5, 0.6, 100))
    assert gauge.value == 0.5
    gauge.add(1041, -36, None)
    assert gauge.value is None
