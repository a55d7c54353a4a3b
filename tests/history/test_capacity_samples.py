"""Each limit of the measured capacity, over exact samples."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.voltgo_vlrv.history.capacity import (
    LONGEST_STEP,
    CapacityMeasurement,
    CapacityReading,
)
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
STEP = 120.0  # s
LOAD = -60.0  # A, 2 Ah in each step
EMPTY = 2500  # mV, nothing is left


class Meter:
    """A battery of 100 Ah that is read each STEP."""

    def __init__(self, **always: Any) -> None:
        """Start; `always` are fields of each status."""
        self.always: dict[str, Any] = {"full_capacity": 100.0} | always
        self.time = 1000.0
        self.measurement = CapacityMeasurement()

    def read(
        self,
        millivolts: int,
        current: float = 0.0,
        *,
        seconds: float = STEP,
        probes: tuple[int | None, ...] = (20, 20),
        **fields: Any,
    ) -> bool:
        """Read it after some seconds; return whether there is a new reading."""
        self.time += seconds
        sample = status(
            cell_voltages=(millivolts / 1000,) * 4,
            current=current,
            probe_temperatures=probes,
        )
        when = NOW + timedelta(seconds=self.time)
        sample = replace(sample, **(self.always | fields))
        return self.measurement.add(sample, when, self.time)

    def fill(self, **fields: Any) -> None:
        """Charge it fully."""
        for _ in range(2):
            assert not self.read(3450, **fields)
        assert self.is_running

    def use(self, charge: float = 90.0, **fields: Any) -> None:
        """Take some even number of Ah, and rest."""
        for _ in range(round(charge / 2)):
            self.read(3200, LOAD, **fields)
        self.read(3200, **fields)

    def end(self, millivolts: int = EMPTY) -> CapacityReading | None:
        """Let it rest at a voltage, and charge it; return what was found."""
        for _ in range(2):
            self.read(millivolts)
        found = self.read(3200, 20.0)
        assert found is bool(self.measurement.readings)
        return self.measurement.last

    @property
    def is_running(self) -> bool:
        """Return whether a full charge was seen, and nothing that ends the counting."""
        return self.measurement.phase == "discharge"


def test_capacity_reading_says_what_was_found_and_how() -> None:
    """The coldest probe on the way, the lowest cell at its end, one digit."""
    meter = Meter()
    meter.read(3450)
    meter.read(3450, probes=(25, 24))
    meter.read(3200, LOAD, probes=(12, 30))
    meter.use(86.0)
    for _ in range(2):
        meter.read(3017, -4.0, cells=(3200, 3017, 3100, 3300))
    when = NOW + timedelta(seconds=meter.time)
    assert meter.measurement.phase == "recharge"
    assert meter.measurement.last is None
    assert meter.read(3200, 20.0)
    # At rest the lowest cell would have 3025 mV, at which 3.5 % are left.
    expected = CapacityReading(when, 91.4, 88.2, 3017, 12, 1.6)
    assert meter.measurement.last == expected


@pytest.mark.parametrize(
    ("millivolts", "current", "is_full"),
    [
        (3420, 0.0, True), (3419, 0.0, False), (3420, 10.0, True),
        (3420, 10.1, False), (3500, -0.1, False),
    ],
)  # fmt: skip
def test_full_charge_is_proven_by_cells_under_a_small_charging_current(
    millivolts: int, current: float, *, is_full: bool
) -> None:
    """Twice in a row, since the voltage still falls after a large one."""
    meter = Meter()
    meter.read(millivolts, current)
    assert meter.measurement.phase == "charge"
    meter.read(millivolts, current)
    assert meter.is_running is is_full


def test_full_charge_that_is_seen_once_proves_nothing() -> None:
    """Nor twice with anything else in between."""
    meter = Meter()
    for millivolts in (3450, 3300, 3450):
        meter.read(millivolts)
        assert not meter.is_running


@pytest.mark.parametrize(
    ("before", "millivolts", "current", "counted"),
    [
        ((), 3370, 0.0, 90.0),
        ((), 3370, -10.0, 90.2),
        ((), 3369, -10.0, 90.3),
        ((), 3370, -10.1, 90.3),
        # A quarter of an Ah each way in each step.
        ((-15.0,), 3370, 0.0, 90.0),
        ((-15.1,), 3370, 0.0, 90.5),
        ((15.0,), 3370, 0.0, 90.0),
        ((15.1,), 3370, 0.0, 89.5),
    ],
)
def test_counting_begins_when_the_cells_last_proved_that_they_are_full(
    before: tuple[float, ...], millivolts: int, current: float, counted: float
) -> None:
    """With a small current, and as long as half a percent has not flowed."""
    meter = Meter()
    meter.fill()
    for earlier in before:
        meter.read(3300, earlier)
    meter.read(millivolts, current)
    meter.use()
    found = meter.end()
    assert found is not None
    assert found.counted == counted


@pytest.mark.parametrize(
    ("millivolts", "capacity"),
    [
        (2400, 90.0), (2500, 90.0), (2650, 90.5), (2800, 90.9), (2875, 91.4),
        (2950, 91.8), (3025, 93.3), (3100, 94.7), (3125, 96.0), (3150, 97.3),
        (3151, None),
    ],
)  # fmt: skip
def test_charge_that_is_left_follows_the_voltage_of_the_lowest_cell(
    millivolts: int, capacity: float | None
) -> None:
    """Between the points of the curve, and not above it."""
    meter = Meter()
    meter.fill()
    meter.use()
    found = meter.end(millivolts)
    assert (found and found.capacity) == capacity


@pytest.mark.parametrize(
    ("currents", "is_low"),
    [
        ((-10.0, -10.0), True),
        ((-10.0, -10.1), False),
        ((0.1, 0.0), False),
        ((0.0, 0.1), False),
        ((0.0, -20.0, 0.0), False),
        ((0.0, -20.0, 0.0, 0.0), True),
    ],
)
def test_low_voltage_counts_twice_in_a_row_under_a_small_load(
    currents: tuple[float, ...], *, is_low: bool
) -> None:
    """Right after a large load it is still rising."""
    meter = Meter()
    meter.fill()
    meter.use()
    for current in currents:
        meter.read(3000, current)
    assert meter.is_running is not is_low


@pytest.mark.parametrize(
    ("charge", "is_plausible"),
    [(18.0, False), (20.0, True), (130.0, True), (132.0, False)],
)
def test_capacity_far_from_what_the_battery_reports_is_not_taken(
    charge: float, *, is_plausible: bool
) -> None:
    """From a fifth to thirteen tenths."""
    meter = Meter()
    meter.fill()
    meter.use(charge)
    found = meter.end()
    assert (found and found.capacity) == (charge if is_plausible else None)


@pytest.mark.parametrize(
    ("first", "later", "lowest"),
    [
        ((10, 20), (20, 20), 10),
        ((9, 20), (20, 20), "too cold"),
        ((20, 20), (10, 20), 10),
        ((20, 20), (9, 20), "too cold"),
        ((20, 20), (None, None), 20),
        ((None, None), (15, 20), 15),
        ((None, None), (None, None), None),
    ],
)
def test_capacity_belongs_to_the_coldest_probe_on_the_way(
    first: tuple[int | None, ...], later: tuple[int | None, ...], lowest: Any
) -> None:
    """Below 10 °C it is not taken, and without probes nothing speaks against it."""
    meter = Meter()
    meter.fill(probes=first)
    meter.use(probes=later)
    for _ in range(2):
        meter.read(EMPTY, probes=later)
    meter.measurement.interrupt()
    last = meter.measurement.last
    if lowest == "too cold":
        assert last is None
    else:
        assert last is not None
        assert last.temperature == lowest


@pytest.mark.parametrize(
    ("seconds", "current", "charges", "is_known"),
    [
        (0.0, 0.0, (60.0, 60.0), False),
        (-1.0, 0.0, (60.0, 60.0), False),
        (0.1, 0.0, (60.0, 60.0), True),
        # Up to LONGEST_STEP the battery's own counter does not matter.
        (LONGEST_STEP, -3.0, (60.0, 0.0), True),
        (LONGEST_STEP, -3.0, (None, None), True),
        (LONGEST_STEP + 1, -3.0, (60.0, 0.0), False),
        (LONGEST_STEP + 1, -3.0, (None, 60.0), False),
        (LONGEST_STEP + 1, -3.0, (60.0, None), False),
        # Half an Ah flows, and one step and a half is what both may differ by.
        (600.0, -3.0, (62.0, 60.0), True),
        (600.0, -3.0, (63.0, 60.0), False),
        (600.0, -3.0, (59.0, 60.0), True),
        (600.0, -3.0, (58.0, 60.0), False),
        (601.0, -3.0, (60.0, 60.0), False),
    ],
)
def test_counting_over_a_gap_ends_unless_both_counts_agree(
    seconds: float,
    current: float,
    charges: tuple[float | None, float | None],
    *,
    is_known: bool,
) -> None:
    """Nothing else says what has flowed."""
    before, after = charges
    meter = Meter()
    meter.fill()
    meter.read(3300, current, remaining_capacity=before)
    meter.read(3300, current, seconds=seconds, remaining_capacity=after)
    assert meter.is_running is is_known


@pytest.mark.parametrize(("capacity", "is_known"), [(75.0, True), (74.0, False)])
def test_counting_over_gaps_ends_beyond_a_fiftieth_of_the_capacity(
    capacity: float, *, is_known: bool
) -> None:
    """Each may hide one step and a half."""
    meter = Meter(full_capacity=capacity)
    meter.fill()
    # The resting current after the full charge hides something itself.
    meter.read(3370, -1.0)
    meter.read(3300, -1.0, seconds=LONGEST_STEP + 1, remaining_capacity=60.0)
    assert meter.is_running is is_known
    meter.read(3300, -1.0, seconds=LONGEST_STEP + 1, remaining_capacity=60.0)
    assert not meter.is_running


def test_counting_over_gaps_of_a_battery_with_small_steps_lasts_longer() -> None:
    """Old boards report tenths of an Ah."""
    meter = Meter()
    meter.fill()
    meter.read(3300, -0.1, remaining_capacity=6.0)
    for _ in range(5):
        meter.read(3300, -0.1, seconds=LONGEST_STEP + 1, remaining_capacity=6.0)
        assert meter.is_running


@pytest.mark.parametrize(
    ("currents", "is_known"),
    [
        ((-1.0, -1.0), True),
        ((0.0, -1.0), False),
        ((-1.0, 0.0), False),
        ((0.0, 0.0), False),
    ],
)
def test_counting_while_no_current_is_reported_ends_after_two_hours(
    currents: tuple[float, float], *, is_known: bool
) -> None:
    """Up to 1 A of a battery of 100 Ah is not seen."""
    meter = Meter()
    meter.fill()
    for number in range(59):
        meter.read(3300, currents[number % 2])
    assert meter.is_running
    for number in range(1, 4):
        meter.read(3300, currents[number % 2])
    assert meter.is_running is is_known


def test_counting_without_a_known_capacity_ends() -> None:
    """What was found until then stays."""
    meter = Meter()
    meter.fill()
    assert not meter.read(3300, full_capacity=None)
    assert not meter.is_running
    meter.fill()
    meter.use()
    meter.read(EMPTY)
    meter.read(EMPTY)
    assert meter.read(3300, full_capacity=0.0)
    assert meter.measurement.phase == "charge"


@pytest.mark.parametrize("what", ["charge", "gap", "full", "gap and full", "interrupt"])
def test_measurement_ends_once_with_whatever_follows_the_low_voltage(
    what: str,
) -> None:
    """The reading is told once."""
    meter = Meter()
    meter.fill()
    meter.use()
    for _ in range(4):
        assert not meter.read(EMPTY)
    told = {
        "charge": lambda: [meter.read(3200, 0.1)],
        "gap": lambda: [meter.read(3200, seconds=601)],
        "full": lambda: [meter.read(3450), meter.read(3450)],
        "gap and full": lambda: [meter.read(3450), meter.read(3450, seconds=601)],
        "interrupt": lambda: [meter.measurement.interrupt()],
    }[what]()
    assert told == [*[False] * (len(told) - 1), True]
    assert meter.is_running is ("full" in what)
    assert not meter.measurement.interrupt()
    assert len(meter.measurement.readings) == 1


def test_deeper_discharge_replaces_what_was_found_before() -> None:
    """The lowest voltage says most."""
    meter = Meter()
    meter.fill()
    meter.use()
    meter.read(3100)
    meter.read(3100)
    meter.use(2.0)
    found = meter.end()
    assert found is not None
    assert (found.counted, found.lowest) == (92.0, EMPTY)


def test_capacity_readings_after_a_restart_are_the_same() -> None:
    """Also those without a time or probes."""
    readings = [
        CapacityReading(NOW, 93.5, 90.2, 3017, 12, 1.7),
        CapacityReading(None, 92.5, 90.1, 3018, None, 1.5),
    ]
    measurement = CapacityMeasurement()
    measurement.readings = readings
    stored = json.loads(json.dumps(measurement.as_stored()))
    assert CapacityMeasurement.from_stored(stored).readings == readings


@pytest.mark.parametrize("capacity", [0.0, -1.0, float("inf"), float("nan"), None])
def test_capacity_that_can_be_none_is_refused(capacity: float | None) -> None:
    """The file may be damaged."""
    stored = {"readings": [[None, capacity, 1.0, 3000, 20, 1.0]]}
    with pytest.raises((TypeError, ValueError)):
        CapacityMeasurement.from_stored(stored)
