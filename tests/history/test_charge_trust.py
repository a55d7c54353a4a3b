"""When a battery should be charged fully to correct its state of charge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from custom_components.voltgo_vlrv.history.charge_trust import (
    MAX_DAYS,
    REST_TIME,
    ChargeTrust,
    is_contradicted,
)
from simulator.battery.cells import open_circuit_voltage
from tests.history.common import DAY, HOUR
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
GAP = 60.0


class Pack:
    """Resting cells that hold a part, and a counter that says another."""

    def __init__(self, drift: float = 0.0) -> None:
        """Let the counter be off by some points."""
        self.drift = drift
        self.time = 1000.0
        self.trust = ChargeTrust()

    def read(self, part: float, current: float = 0.0, seconds: float = 60.0) -> bool:
        """Read it; return whether a full charge is needed."""
        self.time += seconds
        charge = round(min(max(100 * part + self.drift, 0), 100))
        volts = round(open_circuit_voltage(part) + current * 0.0015, 3)
        self.trust.add(
            status(
                cell_voltages=(volts,) * 4,
                current=current,
                state_of_charge=charge,
                remaining_capacity=float(charge),
            ),
            self.time,
            GAP,
        )
        return self.trust.contradicted

    def rest(self, part: float, seconds: float = 2 * REST_TIME) -> bool:
        """Let it rest."""
        return [self.read(part) for _ in range(round(seconds / 60))][-1]


@pytest.mark.parametrize("drift", [15, 25, -15, -25])
def test_drift_is_found_within_a_day_of_use(drift: int) -> None:
    """Whichever way it is, at the end of the day that contradicts it."""
    pack = Pack(drift)
    found = []
    for quarter in range(96):
        # Down to a tenth in the evening, and up to the brim the next noon.
        part = 0.1 + 0.89 * abs(quarter - 48) / 48
        pack.read(part, current=-20.0 if quarter < 48 else 20.0)
        found.append(pack.rest(part))
        if found[-1]:
            break
    assert found[-1]


def test_healthy_pack_in_a_year_is_not_doubted() -> None:
    """Nor one that is off by a few points, at any state and rest."""
    for drift in (0, 4, -4):
        pack = Pack(drift)
        steps = count()
        while pack.time < 365 * DAY:
            part = (next(steps) * 7 % 101) / 100
            assert not pack.read(part, seconds=DAY)
            assert not pack.rest(part, REST_TIME + 120)


@pytest.mark.parametrize(
    ("cell", "reported", "expected"),
    [
        (3.15, 22, False), (3.15, 23, True), (3.05, 18, True), (3.2, 100, True),
        (3.30, 85, False), (3.30, 86, True), (3.28, 14, True), (3.28, 15, False),
        (3.42, 84, True), (3.42, 85, False), (3.33, 100, False), (3.25, 0, False),
    ],
)  # fmt: skip
def test_resting_cells_contradict_only_beyond_a_tolerance(
    cell: float, reported: int, *, expected: bool
) -> None:
    """The flat region proves little, and its ends much."""
    sample = status(
        cell_voltages=(cell,) * 4,
        state_of_charge=reported,
        remaining_capacity=float(reported),
    )
    assert is_contradicted(sample) is expected


def test_weak_cell_contradicts_nothing() -> None:
    """A full charge would not correct it."""
    sample = status(
        cell_voltages=(3.24, 3.24, 2.9, 3.24),
        state_of_charge=20,
        remaining_capacity=20.0,
    )
    assert not is_contradicted(sample)


def test_cells_under_load_or_after_a_short_rest_prove_nothing() -> None:
    """Their voltage is not theirs, and a gap begins another rest."""
    pack = Pack(40)
    for _ in range(60):
        assert not pack.read(0.1, current=-20.0)
    assert not pack.rest(0.1, REST_TIME - 60)
    pack.read(0.1, seconds=HOUR)
    assert not pack.rest(0.1, REST_TIME - 60)
    assert pack.rest(0.1)


def test_full_charge_ends_the_doubt_and_only_that() -> None:
    """A counter that says full in the flat region does not; a restart keeps it."""
    pack = Pack(40)
    assert pack.rest(0.1)
    assert pack.read(0.6, current=20.0)
    assert pack.read(0.9, current=20.0)
    stored = ChargeTrust.from_stored(pack.trust.as_stored())
    assert stored.contradicted
    assert not pack.read(1.0, current=5.0)
    assert not pack.rest(0.995)


def test_full_charge_of_long_ago_is_needed_only_in_use() -> None:
    """A full battery in storage has nothing to correct."""
    trust = ChargeTrust()
    long_ago = NOW - MAX_DAYS - timedelta(days=1)
    assert trust.needs_full_charge(60, long_ago, NOW)
    assert not trust.needs_full_charge(95, long_ago, NOW)
    assert not trust.needs_full_charge(60, NOW - timedelta(days=30), NOW)
    assert not trust.needs_full_charge(60, None, NOW)
    assert not trust.needs_full_charge(60, NOW + timedelta(days=30), NOW)
    trust.contradicted = True
    assert trust.needs_full_charge(100, None, NOW)
