"""The measured capacity, over the simulator's cells and everything that disturbs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import json
from random import Random
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.capacity import (
    MAX_READINGS,
    CapacityMeasurement,
)
from custom_components.voltgo_vlrv.vlrv.registers import decode_status
from simulator.battery import SimulatedBattery, status_reply
from tests.history.common import HOUR

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
STEP = 60.0  # s
TOLERANCE = 0.03
LABEL = 100.0  # Ah


class Drive:
    """A pack that is charged and used, and read once in a while."""

    def __init__(self, part: float = 1.0, **options: Any) -> None:
        """Build a pack that holds a part of what is printed on it."""
        self.pack = SimulatedBattery(
            cell_count=4,
            capacity=LABEL,
            clock=lambda: 0.0,
            state_of_charge=85,
            capacity_factors=dict.fromkeys(range(1, 5), part),
            **options,
        )
        self.time = 1000.0
        self.now = NOW
        self.measurement = CapacityMeasurement()

    def read(self) -> None:
        """Read it, exactly as its registers say."""
        status = decode_status(status_reply(self.pack.registers(0, 41)))
        self.measurement.add(status, self.now, self.time)

    def passes(self, seconds: float, *, seen: bool = True) -> None:
        """Let it live, seen or not."""
        for _ in range(max(round(seconds / STEP), 1)):
            self.pack.advance(STEP)
            self.time += STEP
            self.now += timedelta(seconds=STEP)
            if seen:
                self.read()

    def charge(self) -> None:
        """Charge it until it ends that, and keep it full for a while."""
        self.pack.demand_current = 30.0
        while not self.pack.full:
            self.passes(STEP)
        self.passes(10 * STEP)

    def discharge(self, current: float = 8.0, *, to_charge: float = 0.0) -> None:
        """Use it until it cuts itself off, or until the cells hold a part."""
        # Most of it fast, to save time.
        for limit, load in ((max(to_charge, 0.2), 50.0), (to_charge, current)):
            self.pack.demand_current = -load
            while self.pack.current < 0 and self.part > limit:
                self.passes(STEP)

    def recharge(self) -> None:
        """Charge it a little, which ends a measurement."""
        self.pack.demand_current = 30.0
        self.passes(5 * STEP)

    @property
    def part(self) -> float:
        """Return what the emptiest cell holds, 1 = full."""
        return min(
            charge / capacity
            for charge, capacity in zip(
                self.pack.cell_charge, self.pack.cell_capacity, strict=True
            )
        )

    @property
    def measured(self) -> float | None:
        """Return the latest capacity in Ah."""
        last = self.measurement.last
        return None if last is None else last.capacity


@pytest.mark.parametrize("part", [1.0, 0.85, 0.6])
@pytest.mark.parametrize("to_charge", [0.0, 0.03, 0.06])
def test_capacity_of_a_worn_pack_is_found(part: float, to_charge: float) -> None:
    """Within 3 %, whatever its own counter believes and wherever the owner stops."""
    drive = Drive(part)
    drive.charge()
    drive.discharge(to_charge=to_charge)
    drive.recharge()
    assert drive.measured == pytest.approx(part * LABEL, rel=TOLERANCE)
    last = drive.measurement.last
    assert last is not None
    assert last.temperature is not None
    assert last.at is not None
    assert NOW < last.at <= drive.now


def test_capacity_after_changing_loads_and_sun_is_found() -> None:
    """A day of an RV: coffee, fridge, some sun."""
    drive = Drive(0.85)
    drive.charge()
    random = Random(7)
    while drive.part > 0.12:
        drive.pack.demand_current = random.choice((-3.0, -9.0, -60.0, -25.0, 14.0))
        drive.passes(random.uniform(2, 12) * STEP)
    drive.discharge(4.0)
    drive.recharge()
    assert drive.measured == pytest.approx(0.85 * LABEL, rel=TOLERANCE)


def test_capacity_of_a_load_that_ends_in_the_cut_off_is_found() -> None:
    """The voltage under load proves nothing, that after it does."""
    drive = Drive(0.85)
    drive.charge()
    drive.discharge(60.0)
    drive.passes(10 * STEP)
    drive.recharge()
    assert drive.measured == pytest.approx(0.85 * LABEL, rel=TOLERANCE)


@pytest.mark.parametrize("to_charge", [0.4, 0.15])
def test_capacity_in_the_flat_region_is_unknown(to_charge: float) -> None:
    """However deep the discharge was, the voltage does not tell."""
    drive = Drive()
    drive.charge()
    drive.discharge(to_charge=to_charge)
    drive.recharge()
    assert drive.measured is None


def test_capacity_by_a_counter_that_drifts_is_not_taken() -> None:
    """It says 0 % in the flat region, and 100 % long before the cells are full."""
    drive = Drive()
    drive.charge()
    drive.discharge(to_charge=0.5)
    drive.pack.charge = 0.0
    drive.passes(10 * STEP)
    drive.recharge()
    drive.pack.charge = drive.pack.capacity * 3600
    drive.passes(10 * STEP)
    drive.discharge(to_charge=0.2)
    drive.recharge()
    assert drive.measured is None


def test_capacity_without_an_observed_full_charge_is_unknown() -> None:
    """Where it began is not known."""
    drive = Drive()
    drive.discharge()
    drive.recharge()
    assert drive.measured is None


def test_capacity_after_self_consumption_below_the_dead_zone_is_unknown() -> None:
    """Hours of half an ampere that the battery does not report."""
    drive = Drive(current_dead_zone=1.0)
    drive.charge()
    drive.discharge(to_charge=0.7)
    drive.pack.demand_current = -0.5
    drive.passes(4 * HOUR)
    drive.discharge()
    drive.recharge()
    assert drive.measured is None


def test_capacity_of_a_battery_kept_full_for_hours_is_found() -> None:
    """What its charger replaces does not count."""
    drive = Drive(0.85)
    drive.charge()
    drive.pack.charger_voltage = 13.6
    for _ in range(6):
        drive.pack.full = False
        drive.passes(HOUR)
    drive.discharge()
    drive.recharge()
    assert drive.measured == pytest.approx(0.85 * LABEL, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("seconds", "spike", "known"),
    [(5 * STEP, 0.0, True), (5 * STEP, -40.0, False), (30 * STEP, 0.0, False)],
    ids=["short", "hides a load", "long"],
)
def test_capacity_over_a_gap_is_known_only_if_both_counts_agree(
    seconds: float, spike: float, *, known: bool
) -> None:
    """The battery counts meanwhile."""
    drive = Drive(0.85)
    drive.charge()
    drive.discharge(to_charge=0.6)
    current = -20.0
    drive.pack.demand_current = current
    drive.passes(STEP)
    drive.pack.demand_current += spike
    drive.passes(seconds - STEP, seen=False)
    drive.pack.demand_current = current
    drive.passes(STEP)
    drive.discharge()
    drive.recharge()
    if known:
        assert drive.measured == pytest.approx(0.85 * LABEL, rel=TOLERANCE)
    else:
        assert drive.measured is None


@pytest.mark.parametrize(("step", "is_known"), [(120.4, True), (140.0, False)])
def test_capacity_at_an_interval_is_known_up_to_two_minutes(
    step: float, *, is_known: bool
) -> None:
    """A poll is always a little late."""
    drive = Drive(0.85)
    drive.charge()
    drive.pack.demand_current = -8.0
    while drive.pack.current < 0:
        drive.pack.advance(step)
        drive.time += step
        drive.read()
    drive.recharge()
    assert (drive.measured is not None) is is_known


@pytest.mark.parametrize("what", ["restart", "release"])
def test_capacity_after_an_interruption_is_unknown(what: str) -> None:
    """What flowed meanwhile was not seen; earlier readings stay."""
    drive = Drive(0.85)
    drive.charge()
    drive.discharge()
    drive.recharge()
    before = drive.measurement.readings
    drive.charge()
    drive.discharge(to_charge=0.5)
    if what == "restart":
        stored = json.loads(json.dumps(drive.measurement.as_stored()))
        drive.measurement = CapacityMeasurement.from_stored(stored)
    else:
        drive.measurement.interrupt()
    drive.discharge()
    drive.recharge()
    assert drive.measurement.readings == before
    assert len(before) == 1


def test_capacity_in_the_cold_is_unknown() -> None:
    """Cold cells give less, and that is no wear."""
    drive = Drive(temperature=4.0, ambient=4.0)
    drive.charge()
    drive.discharge()
    drive.recharge()
    assert drive.measured is None


def test_capacity_readings_are_bounded_and_newest_last() -> None:
    """Also those of a file that was made longer."""
    item = [NOW.isoformat(), 85.0, 80.0, 3100, 20, 12.0]
    stored = {"readings": [[*item[:1], 50.0 + n, *item[2:]] for n in range(30)]}
    measurement = CapacityMeasurement.from_stored(stored)
    assert len(measurement.readings) == MAX_READINGS
    assert measurement.last is not None
    assert measurement.last.capacity == 79
    for damaged in (
        {},
        {"readings": [[1]]},
        {"readings": [[None, float("nan"), 1, 1, 1, 1]]},
        {"readings": [[None, -1.0, 1, 1, 1, 1]]},
    ):
        with pytest.raises((TypeError, ValueError, LookupError)):
            CapacityMeasurement.from_stored(damaged)


@given(
    st.lists(
        st.tuples(
            st.integers(2400, 3700),
            st.floats(-150, 150),
            st.floats(-10, 2 * HOUR),
            st.integers(0, 100),
        ),
        max_size=40,
    )
)
def test_capacity_of_any_samples_is_plausible_or_unknown(
    samples: list[tuple[int, float, float, int]],
) -> None:
    """Whatever comes, nothing else is shown."""
    drive = Drive()
    state = drive.pack.reported()
    for millivolts, current, seconds, charge in samples:
        drive.time += seconds
        drive.pack.override = type(state)(
            cell_voltages=(millivolts / 1000,) * 4,
            current=current,
            state_of_charge=charge,
            remaining_capacity=float(charge),
        )
        drive.read()
    for reading in drive.measurement.readings:
        assert 0.2 * LABEL <= reading.capacity <= 1.3 * LABEL
