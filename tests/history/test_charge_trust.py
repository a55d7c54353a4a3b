"""When a battery should be charged fully to correct its state of charge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
import json
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.charge_trust import (
    MAX_DAYS,
    REST_TIME,
    ChargeTrust,
    is_contradicted,
)
from custom_components.voltgo_vlrv.vlrv.registers import decode_status
from simulator.battery import SimulatedBattery, status_reply
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


class Owner:
    """A simulated pack whose owner uses it by day and night, read each 15 minutes."""

    STEP = 900.0  # s

    def __init__(self, capacity: float = 100.0) -> None:
        """Build a pack of four cells."""
        self.pack = SimulatedBattery(
            cell_count=4, capacity=capacity, clock=lambda: 0.0, state_of_charge=85
        )
        self.time = 1000.0
        self.trust = ChargeTrust()

    def passes(self, hours: float, current: float) -> bool:
        """Let a current flow for hours; return whether a full charge is asked for."""
        for _ in range(round(hours * HOUR / self.STEP)):
            self.pack.demand_current = current
            self.pack.advance(self.STEP)
            self.time += self.STEP
            reply = decode_status(status_reply(self.pack.registers(0, 41)))
            self.trust.add(reply, self.time, 3 * self.STEP)
            if self.trust.contradicted:
                return True
        return False


def test_full_charge_that_corrects_much_makes_the_next_one_due_sooner() -> None:
    """A counter that lost 20 points since the last one will lose them again."""
    owner = Owner()
    assert not owner.passes(6, -10.0)
    owner.pack.charge -= 20 * HOUR
    assert not owner.passes(8, 12.0)
    assert owner.trust.correction == pytest.approx(20, abs=2)
    full = NOW - timedelta(days=35)
    assert owner.trust.needs_full_charge(60, full, NOW)
    restored = ChargeTrust.from_stored(json.loads(json.dumps(owner.trust.as_stored())))
    assert restored.needs_full_charge(60, full, NOW)
    assert not restored.needs_full_charge(60, NOW - timedelta(days=27), NOW)
    # One without a step ends that.
    assert not owner.passes(3, -10.0)
    assert not owner.passes(6, 12.0)
    assert owner.trust.correction <= 2
    assert not owner.trust.needs_full_charge(60, full, NOW)


def test_report_that_is_full_long_before_the_cells_is_doubted_within_the_charge() -> (
    None
):
    """15 points too high: its charger goes on although nothing is missing."""
    owner = Owner()
    assert not owner.passes(4, -10.0)
    owner.pack.charge += 15 * HOUR
    assert owner.passes(9, 8.0)
    assert owner.pack.reported().state_of_charge == 100
    assert max(owner.pack.cell_charge) < 0.99 * 100 * HOUR


def test_charger_that_only_keeps_a_battery_full_raises_no_doubt() -> None:
    """Half an ampere for a week is no charge."""
    trust = ChargeTrust()
    sample = status(
        cell_voltages=(3.36,) * 4,
        current=0.5,
        state_of_charge=100,
        remaining_capacity=100.0,
    )
    for minute in range(0, 7 * 24 * 60, 10):
        trust.add(sample, minute * 60.0, 1800.0)
        assert not trust.contradicted


@given(
    st.lists(
        st.tuples(
            st.integers(0, 100),
            st.integers(2400, 3700),
            st.floats(-150, 150),
            st.floats(-10, HOUR),
        ),
        max_size=40,
    )
)
def test_trust_after_any_samples_can_be_stored(
    samples: list[tuple[int, int, float, float]],
) -> None:
    """And a full charge ends each doubt."""
    trust, time = ChargeTrust(), 0.0
    for charge, millivolts, current, seconds in samples:
        time += seconds
        trust.add(
            status(
                cell_voltages=(millivolts / 1000,) * 4,
                current=round(current, 1),
                state_of_charge=charge,
                remaining_capacity=float(charge),
            ),
            time,
            1800.0,
        )
        assert 0 <= trust.correction <= 100
        stored = ChargeTrust.from_stored(json.loads(json.dumps(trust.as_stored())))
        assert stored.as_stored() == trust.as_stored()
    full = status(
        cell_voltages=(3.5,) * 4,
        current=5.0,
        state_of_charge=100,
        remaining_capacity=100.0,
    )
    trust.add(full, time + 1, 1800.0)
    assert not trust.contradicted


@pytest.mark.parametrize(
    "damaged", [{}, {"contradicted": True}, {"contradicted": False, "correction": -1}]
)
def test_trust_from_a_damaged_file_is_refused(damaged: dict[str, Any]) -> None:
    """It starts without a doubt."""
    with pytest.raises((TypeError, ValueError, LookupError)):
        ChargeTrust.from_stored(damaged)


def test_healthy_pack_in_use_is_neither_doubted_nor_corrected() -> None:
    """A day of little sun, a night until it is nearly empty, and a day to the brim."""
    owner = Owner()
    for night, day in ((-3.0, 3.0), (-6.5, 12.0), (-3.0, 12.0)):
        assert not owner.passes(12, night)
        assert not owner.passes(12, day)
    assert owner.pack.full
    assert owner.trust.correction <= 2
    assert not owner.trust.needs_full_charge(60, NOW - timedelta(days=59), NOW)


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
