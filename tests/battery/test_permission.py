"""Whether a battery may be charged and discharged, and how far it is from neither."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.battery.margins import (
    MARGIN_THRESHOLDS,
    known_margins,
    margin,
)
from custom_components.voltgo_vlrv.battery.permission import (
    ends_only_charging,
    may_charge,
    may_discharge,
)
from tests.vlrv.samples import status

PROTECTED = 4
FULL_CELLS = {"cell_voltages": (3.5, 3.52, 3.5, 3.51)}
EMPTY_CELLS = {"cell_voltages": (3.0, 2.9, 3.0, 3.0)}
COLD = {"probe_temperatures": (-2, -1)}


@pytest.mark.parametrize(
    ("state", "charge", "discharge"),
    [
        ({}, True, True),
        ({"current": 5.0, "operating_state": 1}, True, True),
        ({"current": -5.0, "operating_state": 2}, True, True),
        ({"protection": 0x0001, **FULL_CELLS}, False, True),
        ({"protection": 0x0002, **FULL_CELLS}, False, True),
        ({"protection": 0x0010}, False, True),
        ({"protection": 0x0100}, False, True),
        ({"protection": 0x0400, **COLD}, False, True),
        ({"protection": 0x0008, **EMPTY_CELLS}, True, False),
        ({"protection": 0x000C, **EMPTY_CELLS}, True, False),
        ({"protection": 0x1000}, True, False),
        ({"protection": 0x2000}, True, False),
        ({"protection": 0x0020}, True, False),
        ({"protection": 0x0020, "probe_temperatures": (11, 20)}, True, False),
        ({"protection": 0x0800, "probe_temperatures": (10, 20)}, True, False),
        ({"protection": 0x0018, **EMPTY_CELLS}, False, False),
    ],
)
def test_permission_in_each_state_is_what_the_battery_lets_flow(
    state: dict[str, Any], charge: bool, discharge: bool
) -> None:
    """A protection ends one way, and the other stays."""
    if "protection" in state:
        state = {"operating_state": PROTECTED, **state}
    sample = status(**state)
    assert may_charge(sample, too_cold=False) is charge
    assert may_discharge(sample) is discharge


@pytest.mark.parametrize(
    "state",
    [
        {"operating_state": PROTECTED},
        {"operating_state": 3},
        {"error": 0x0022},
        {"protection": 0x0002, "operating_state": PROTECTED},
        {"protection": 0x0004, "operating_state": PROTECTED},
        {"protection": 0x0040, "operating_state": PROTECTED},
        {"protection": 0x0080, "operating_state": PROTECTED},
        {"protection": 0x8000, "operating_state": PROTECTED},
        {"protection": 0x0400, "operating_state": PROTECTED},
        {
            "protection": 0x0800,
            "operating_state": PROTECTED,
            "probe_temperatures": (11, 20),
        },
        {
            "protection": 0x0020,
            "operating_state": PROTECTED,
            "probe_temperatures": (10, 20),
        },
    ],
)
def test_permission_of_what_is_not_explained_is_unknown(state: dict[str, Any]) -> None:
    """Nor is it while a measured value contradicts the bit."""
    sample = status(**state)
    assert may_charge(sample, too_cold=False) is None
    assert may_discharge(sample) is None
    # What flows is let flow, whatever the words say.
    assert may_charge(status(**state, current=2.0), too_cold=None)
    assert may_discharge(status(**state, current=-2.0))


@pytest.mark.parametrize(
    ("state", "charge"),
    [
        ({"operating_state": 8, "state_of_charge": 100}, False),
        ({"operating_state": 8, "state_of_charge": 80}, None),
        ({"operating_state": 8, "state_of_charge": 80, "current": 1.0}, True),
        ({"operating_state": 0, "state_of_charge": 100}, True),
        ({"operating_state": 0, "state_of_charge": 99, "warning": 0x2000}, False),
    ],
)
def test_charging_of_a_full_battery_is_not_allowed_if_it_says_so(
    state: dict[str, Any], charge: bool | None
) -> None:
    """A limit that leaves some current is not known to end it."""
    sample = status(**state, remaining_capacity=float(state["state_of_charge"]))
    assert may_charge(sample, too_cold=None) is charge
    assert may_discharge(sample)


def test_charging_that_is_too_cold_is_not_allowed() -> None:
    """Also while current flows: the cells are harmed."""
    assert may_charge(status(current=5.0), too_cold=True) is False
    assert may_discharge(status(**COLD))


@given(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 2, 3, 4, 8]))
def test_permission_with_any_protection_is_never_true_for_both(
    protection: int, state: int
) -> None:
    """Something was ended."""
    sample = status(protection=protection, operating_state=state)
    if sample.has_fault:
        assert not (may_charge(sample, too_cold=None) and may_discharge(sample))


NEARLY_FULL = (3.45, 3.40, 3.35, 3.40)
HALF = (3.30, 3.30, 3.30, 3.30)


@pytest.mark.parametrize(
    ("protection", "values", "expected"),
    [
        (0x0000, {}, False),
        (0x0002, {"cell_voltages": NEARLY_FULL}, True),
        (0x0003, {"cell_voltages": NEARLY_FULL}, True),
        (0x0002, {"cell_voltages": HALF}, False),
        (0x0008, {"cell_voltages": NEARLY_FULL}, False),
        (0x000A, {"cell_voltages": NEARLY_FULL}, False),
        (0x0010, {}, True),
        (0x0100, {}, True),
        (0x0400, {"probe_temperatures": (0, 20)}, True),
        (0x0400, {"probe_temperatures": (11, 20)}, False),
        (0x0080, {}, False),
        (0x8002, {"cell_voltages": NEARLY_FULL}, False),
    ],
)
def test_protection_ends_only_charging_if_values_confirm_the_bit(
    protection: int, values: dict[str, Any], expected: bool
) -> None:
    """The order of the bits is not proven: the manual's would make 2 an undervoltage."""
    state = {"cell_voltages": HALF, "operating_state": 4, **values}
    assert ends_only_charging(status(protection=protection, **state)) is expected


def test_margins_are_measured_to_the_thresholds_of_the_battery() -> None:
    """Each to the nearer one, negative beyond it."""
    thresholds = {
        "cell_overvoltage_protection": 3.9,
        "cell_undervoltage_protection": 2.0,
        "charge_undertemperature_protection": 0.0,
        "charge_overtemperature_protection": 75.0,
        "discharge_undertemperature_protection": -20.0,
        "discharge_overtemperature_protection": 75.0,
    }
    assert known_margins(thresholds) == set(MARGIN_THRESHOLDS)
    sample = status(cell_voltages=(3.3, 3.45), probe_temperatures=(-5, 70))
    assert {key: margin(key, sample, thresholds) for key in MARGIN_THRESHOLDS} == {
        "charge_voltage_margin": 0.45,
        "discharge_voltage_margin": 1.3,
        "charge_temperature_margin": -5.0,
        "discharge_temperature_margin": 5.0,
    }


def test_margins_without_a_threshold_or_probe_are_unknown() -> None:
    """None is guessed."""
    assert known_margins(["charge_overtemperature_protection"]) == set()
    for key in MARGIN_THRESHOLDS:
        assert margin(key, status(), {}) is None
    thresholds = {
        "charge_undertemperature_protection": 0.0,
        "charge_overtemperature_protection": 75.0,
    }
    sample = status(probe_temperatures=(None, None))
    assert margin("charge_temperature_margin", sample, thresholds) is None
