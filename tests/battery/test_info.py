"""What is learned of a battery, field by field, and what is read from stored data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.vlrv.faults import Protections
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from custom_components.voltgo_vlrv.vlrv.registers import MAX_CELLS, BatteryStatus
from custom_components.voltgo_vlrv.vlrv.thresholds import CHARGE_UNDERTEMPERATURE
from tests.vlrv.samples import status

INFO = BatteryInfo(
    name="ZT-25.6V100Ah-1238",
    cell_count=8,
    full_capacity=100.0,
    probes=(1, 2),
    ambient=True,
    heater=True,
    status_count=41,
)


def sample(**changes: Any) -> BatteryStatus:
    """Return a sample that adds nothing to INFO, with these changes."""
    plain = replace(
        status(),
        cell_count=8,
        probes=(20, 21, None, None, None, None),
        ambient_temperature=None,
        heating_enabled=None,
    )
    return replace(plain, **changes)


def test_info_with_a_sample_that_adds_nothing_is_the_same_object() -> None:
    """So that the config entry is not written with each poll."""
    assert INFO.with_status(sample()) is INFO
    everything = sample(ambient_temperature=20, heating_enabled=False)
    assert INFO.with_status(everything) is INFO


@pytest.mark.parametrize(
    ("before", "changes", "field", "learned"),
    [
        ({"ambient": False}, {"ambient_temperature": -3}, "ambient", True),
        ({"heater": False}, {"heating_enabled": False}, "heater", True),
        ({"cell_count": 4}, {}, "cell_count", 8),
        ({"status_count": 39}, {}, "status_count", 41),
        ({"status_count": None}, {}, "status_count", 41),
        ({"probes": (2,)}, {}, "probes", (1, 2)),
        ({}, {"probes": (20, None, 22, None, None, None)}, "probes", (1, 2, 3)),
    ],
)
def test_info_learns_a_field_alone(
    before: dict[str, Any], changes: dict[str, Any], field: str, learned: Any
) -> None:
    """Each field is enough for a change, and no other one changes with it."""
    known = replace(INFO, **before)
    after = known.with_status(sample(**changes))
    assert getattr(after, field) == learned
    assert replace(after, **{field: getattr(known, field)}) == known


@pytest.mark.parametrize("temperature", [None, 0])
def test_info_does_not_learn_an_ambient_sensor_from_a_zero(
    temperature: int | None,
) -> None:
    """The register reads 0 without the sensor, too."""
    known = replace(INFO, ambient=False)
    assert known.with_status(sample(ambient_temperature=temperature)) is known


def test_info_never_forgets_what_was_reported() -> None:
    """A sensor that fails shows no value, but its entity stays."""
    fewer = sample(cell_count=4, probes=(None,) * 6, ambient_temperature=None)
    assert INFO.with_status(fewer) is INFO


@pytest.mark.parametrize(
    ("identity", "is_taken"),
    [
        (Identity("", "", ""), False),
        (Identity("TC-8S100", "", ""), True),
        (Identity("", "Z01T20", ""), True),
        (Identity("", "", "2024-01-11"), True),
    ],
)
def test_info_takes_an_identity_unless_it_is_empty(
    identity: Identity, is_taken: bool
) -> None:
    """A board that starts reports empty texts."""
    known = replace(INFO, board="old", firmware="old", serial="old")
    after = known.with_identity(identity)
    assert (after is known) is not is_taken
    if is_taken:
        shown = (after.board, after.firmware, after.serial)
        assert shown == (identity.model, identity.firmware, identity.serial)


@pytest.mark.parametrize(
    ("threshold", "coldest", "margin"),
    [
        (None, 1, 1),
        (5.0, 5, 0),
        (-20.0, -10, 10),
        (-20.5, -10, -10),  # out of range: 0 °C instead
        (15.0, 14, -1),
        (15.5, 14, 14),
    ],
)
def test_charge_margin_uses_the_threshold_within_its_range(
    threshold: float | None, coldest: int, margin: float
) -> None:
    """Register 91 is known from other boards only."""
    thresholds = {} if threshold is None else {CHARGE_UNDERTEMPERATURE: threshold}
    known = replace(INFO, thresholds=thresholds)
    cold = sample(probes=(coldest, 40, None, None, None, None))
    assert known.charge_temperature_margin(cold) == margin
    assert known.too_cold_to_charge(cold) is (margin <= 0)


def test_too_cold_without_a_probe_is_what_the_protection_says() -> None:
    """None without both."""
    blind = sample(probes=(None,) * 6)
    assert INFO.charge_temperature_margin(blind) is None
    assert INFO.too_cold_to_charge(blind) is None
    tripped = replace(blind, protections=Protections.CHARGE_UNDERTEMPERATURE)
    assert INFO.too_cold_to_charge(tripped) is True


def test_info_that_was_stored_is_read_back_equal() -> None:
    """Every field."""
    full = replace(
        INFO,
        board="TC-8S100",
        firmware="Z01T20",
        serial="1",
        module_id=True,
        can_protocols=("P01-GRW",),
        rs485_protocols=("P02-LUX",),
        thresholds={"cell_overvoltage": 3.65},
    )
    assert BatteryInfo.from_data(full.as_data()) == full


@pytest.mark.parametrize(
    ("field", "stored"),
    [
        ("name", 1),
        ("cell_count", MAX_CELLS + 1),
        ("cell_count", True),
        ("cell_count", -1),
        ("full_capacity", 6553.6),
        ("full_capacity", "100"),
        ("probes", [1, "2"]),
        ("probes", [0, 1]),  # they count from 1
        ("status_count", 0),
        ("probes", 1),
        ("ambient", 1),
        ("can_protocols", ["P01", 2]),
        ("thresholds", {"a": "b"}),
        ("thresholds", []),
    ],
)
def test_info_leaves_out_stored_values_of_another_kind(field: str, stored: Any) -> None:
    """A file may be damaged, or of another version."""
    empty = BatteryInfo("", 0, None)
    read = BatteryInfo.from_data({field: stored, "unknown": 1})
    assert read == empty


def test_info_keeps_the_smallest_and_largest_valid_numbers() -> None:
    """They are those of real batteries."""
    for stored in ({"cell_count": MAX_CELLS}, {"cell_count": 1}):
        assert BatteryInfo.from_data(stored).cell_count == stored["cell_count"]
    assert BatteryInfo.from_data({"probes": [1]}).probes == (1,)
    assert BatteryInfo.from_data({"status_count": 1}).status_count == 1


def test_info_of_a_first_reading_has_what_the_sample_tells() -> None:
    """With the identity, where the battery answers that."""
    first = status()
    info = BatteryInfo.from_probe("ZT-1", first, None)
    assert (info.name, info.cell_count) == ("ZT-1", 8)
    assert info.full_capacity == first.full_capacity
    assert info.status_count == len(first.registers) == 41
    assert info.board == ""
    identity = Identity("TC-8S100", "Z01T20", "1")
    assert BatteryInfo.from_probe("ZT-1", first, identity).firmware == "Z01T20"


def test_label_capacity_is_that_of_the_model_table() -> None:
    """An aged battery reports less than its label says."""
    aged = replace(INFO, full_capacity=97.0)
    model = aged.catalogue_entry
    assert model is not None
    assert aged.label_capacity == model.capacity == 100.0
    assert replace(INFO, cell_count=7).label_capacity == 100.0
    assert replace(INFO, cell_count=7, full_capacity=None).label_capacity is None


def test_info_without_a_known_brand_is_named_after_its_cells() -> None:
    """Model, summary and maker, as the pages show them."""
    assert INFO.model == "VLRV2560B"
    assert INFO.summary == "8S, 100 Ah"
    other = BatteryInfo("House", 7, None, serial="1")
    assert (other.manufacturer, other.model) == ("Voltgo", "7S LiFePO4")
    assert other.summary == "7S, 1"
    branded = replace(INFO, name="BB-51.2V100Ah-0855", board="TC-8S100")
    assert branded.model == "TC-8S100"
    assert branded.manufacturer != "Voltgo"
