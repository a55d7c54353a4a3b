"""The cell difference at the end of each full charge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.voltgo_vlrv.history.full_charges import MAX_READINGS, FullCharges
from simulator.battery import SimulatedBattery
from tests.history.common import HOUR
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
GAP = 300.0

USED = {"state_of_charge": 60, "current": 20.0}
TOP = {
    "cell_voltages": (3.50, 3.46, 3.49, 3.49),
    "state_of_charge": 99,
    "remaining_capacity": 99.0,
    "current": 5.0,
    "operating_state": 1,
}
FULL = {
    "cell_voltages": (3.40, 3.39, 3.40, 3.40),
    "state_of_charge": 100,
    "remaining_capacity": 100.0,
    "current": 0.0,
}


class Charger:
    """Reads a battery that is charged."""

    def __init__(self) -> None:
        """Start."""
        self.time = 1000.0
        self.now = NOW
        self.charges = FullCharges()

    def read(self, changes: dict[str, Any], seconds: float = 30.0) -> bool:
        """Read the battery after some seconds."""
        self.time += seconds
        self.now += timedelta(seconds=seconds)
        return self.charges.add(status(**changes), self.now, self.time, GAP)

    @property
    def differences(self) -> list[int]:
        """Return what was measured, in mV."""
        return [reading.difference for reading in self.charges.readings]


def test_full_charge_is_read_while_current_flows_last() -> None:
    """At rest the cells approach each other within minutes."""
    charger = Charger()
    assert not charger.read(USED)
    assert not charger.read(TOP)
    assert charger.read(FULL)
    last = charger.charges.last
    assert last is not None
    assert (last.difference, last.highest, last.current) == (40, 3500, 5.0)
    assert last.at == NOW + timedelta(seconds=60)
    assert last.temperature == 20


def test_full_charge_is_not_read_at_rest() -> None:
    """A battery that was found at rest near full has no current to compare by."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP | {"current": 0.0})
    assert not charger.read(FULL)
    assert charger.differences == []


def test_full_charge_of_a_battery_kept_full_is_read_once() -> None:
    """A charger that tops it up each hour is no other full charge."""
    charger = Charger()
    for _ in range(3):
        charger.read(TOP)
        assert not charger.read(FULL)
    charger.read(USED)
    charger.read(TOP)
    assert charger.read(FULL)
    charger.read(TOP)
    assert not charger.read(FULL)
    assert charger.differences == [40]


@pytest.mark.parametrize(
    "end",
    [
        FULL | {"state_of_charge": 97, "remaining_capacity": 97.0},
        TOP | {"cell_voltages": (3.35, 3.34, 3.34, 3.35)},
    ],
    ids=["not full", "flat region"],
)
def test_full_charge_that_did_not_end_full_is_not_read(end: dict[str, Any]) -> None:
    """Nor one that only a counter believes in."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP)
    charger.read(end)
    assert not charger.read(FULL)
    assert charger.charges.last is None


def test_full_charge_after_a_gap_is_not_read() -> None:
    """What the cells did at its end is not known."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP)
    assert not charger.read(FULL, GAP + 1)
    assert charger.charges.last is None


@pytest.mark.parametrize(
    ("seconds", "is_read"), [(0.0, False), (0.5, True), (GAP, True), (GAP + 1, False)]
)
def test_full_charge_is_read_if_its_end_was_seen_soon_enough(
    seconds: float, *, is_read: bool
) -> None:
    """Two samples of one moment are one."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP)
    assert charger.read(FULL, seconds) is is_read


def test_full_charge_without_probes_has_no_temperature() -> None:
    """The difference of the cells counts."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP | {"probe_temperatures": (None, None)})
    assert charger.read(FULL)
    last = charger.charges.last
    assert last is not None
    assert (last.difference, last.temperature) == (40, None)


def test_full_charge_that_ends_with_a_load_is_read() -> None:
    """The battery says that it is full, and that it is discharging by now."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP)
    assert charger.read(FULL | {"current": -5.0, "operating_state": 2})


def test_full_charges_of_a_month_are_one_and_years_are_bounded() -> None:
    """The latest of each month; the oldest month goes first."""
    charger = Charger()
    for month in range(MAX_READINGS + 4):
        for cycle in range(2):
            charger.now = NOW + timedelta(days=month * 31 + cycle)
            charger.read(USED)
            charger.read(TOP)
            charger.read(FULL)
    assert len(charger.charges.readings) == MAX_READINGS
    charger.now = datetime(1970, 1, 1, tzinfo=UTC)
    for _ in range(2):
        charger.read(USED)
        charger.read(TOP)
        charger.read(FULL)
    assert [item.at for item in charger.charges.readings].count(None) == 1


def test_full_charges_after_a_restart_are_the_same() -> None:
    """Also that a full charge counts only after a discharge."""
    charger = Charger()
    charger.read(USED)
    charger.read(TOP)
    charger.read(FULL)
    stored = json.loads(json.dumps(charger.charges.as_stored()))
    before, charger.charges = charger.charges, FullCharges.from_stored(stored)
    assert charger.charges.readings == before.readings
    charger.read(TOP)
    assert not charger.read(FULL)


@pytest.mark.parametrize(
    "stored", [{}, {"readings": [[1, 2]], "armed": True}, {"readings": None}]
)
def test_full_charges_from_damaged_data_are_refused(stored: Any) -> None:
    """The store then starts empty."""
    with pytest.raises((TypeError, ValueError, LookupError)):
        FullCharges.from_stored(stored)


@pytest.mark.parametrize(("factor", "least", "most"), [(1.0, 0, 30), (0.97, 60, 800)])
def test_full_charge_of_a_pack_with_a_weak_cell_differs_more(
    factor: float, least: int, most: int
) -> None:
    """The weak cell is full first."""
    pack = SimulatedBattery(
        cell_count=4,
        clock=lambda: 0.0,
        capacity_factors={2: factor},
        state_of_charge=70,
        demand_current=20.0,
    )
    pack.cell_charge[1] += (1 - factor) * pack.capacity * 3600 / 2
    charger = Charger()
    for _ in range(round(3 * HOUR / 60)):
        pack.advance(60)
        state = pack.reported()
        charger.read(vars(state), 60)
    assert charger.charges.last is not None
    assert least <= charger.charges.last.difference <= most
