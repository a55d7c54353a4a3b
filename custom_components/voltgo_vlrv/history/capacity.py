"""How much charge a battery really holds, from a full charge to nearly empty; pure.

Between both ends the voltage of LiFePO4 is flat and tells nothing, so the current is
counted. Both ends are proven by the cells and not by the battery's own counter, which
drifts: full by a high voltage at a small current at the end of a charge, and low by a
voltage below the flat region at a small current. What happens on the way that could not
be counted makes the result unknown.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from typing import Any, Final, NamedTuple

from ..vlrv.registers import BatteryStatus
from .lifetime import SECONDS_PER_HOUR, known_time, text_of, time_of
from .totals import areas

SMALL_CURRENT: Final = 0.1
"""A for each Ah; up to here the voltage of a cell tells what it holds."""
CELL_RESISTANCE: Final = 0.2
"""Ohm for a cell of 1 Ah: 2 milliohm at 100 Ah (C)."""
FULL_VOLTAGE: Final = 3420
"""mV, average of the cells at the end of a full charge (C; manual 6.6: up to 3.5 V)."""
REST_FULL_VOLTAGE: Final = 3370
"""mV, average of cells that are still full, without or with a small current (C)."""
STILL_FULL: Final = 0.005
"""Part of the capacity that may have flowed from a battery that is still full."""

LOW_CURVE: Final = (
    (2500, 0.00),
    (2800, 0.01),
    (2950, 0.02),
    (3100, 0.05),
    (3150, 0.075),
)
"""mV of a resting cell, and which part of its charge it then holds (C)."""

LONGEST_STEP: Final = 130.0
"""s between two samples over which the current is taken for linear: an interval of two
minutes, and by how much a poll may be late."""
LONGEST_GAP: Final = 600.0
"""s; over a longer time, nothing proves what flowed."""
GAP_STEPS: Final = 1.5
"""Steps of the reported charge by which a gap may differ from what was counted."""
UNSEEN_CURRENT: Final = 1.0
"""A that may flow while none is reported (B: dead zone)."""
MAX_UNSEEN: Final = 0.02
"""Part of the full capacity that may not have been seen."""

LEAST_TEMPERATURE: Final = 10
"""°C of the coldest probe; cold cells give less, and are not worn for that."""
PLAUSIBLE: Final = (0.2, 1.3)
"""Parts of the full capacity that a battery reports."""
MAX_READINGS: Final = 10


class CapacityReading(NamedTuple):
    """One measured capacity."""

    at: datetime | None
    """When it was nearly empty (UTC); None where the clock was not set."""
    capacity: float
    """Ah."""
    counted: float
    """Ah that were counted since it was full."""
    lowest: int
    """mV of the lowest cell when it was nearly empty."""
    temperature: int | None
    """°C of the coldest probe, the lowest on the way."""
    hours: float
    """Since it was full."""


class CapacityPhase(StrEnum):
    """What the next measurement needs."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    RECHARGE = "recharge"
    """It is nearly empty; a charge ends the measurement."""


class _Run:
    """What has flowed since a full charge."""

    def __init__(self, time: float, status: BatteryStatus) -> None:
        self.began = time
        self.last = time, status
        self.counted = 0.0
        self.unseen = 0.0
        self.temperature: int | None = min(status.temperatures, default=None)
        self.was_low = False
        self.reading: CapacityReading | None = None

    def count(self, status: BatteryStatus, time: float, full: float) -> bool:
        """Count what has flowed since the last sample; return whether that is known."""
        (before, one), self.last = self.last, (time, status)
        seconds = time - before
        if not 0 < seconds <= LONGEST_GAP:
            return False
        charged, discharged = areas(seconds, one.current, status.current)
        flowed = (discharged - charged) / SECONDS_PER_HOUR
        if seconds > LONGEST_STEP:
            # The battery counts meanwhile: both have to agree.
            if one.remaining_capacity is None or status.remaining_capacity is None:
                return False
            tolerance = GAP_STEPS * status.remaining_step
            reported = one.remaining_capacity - status.remaining_capacity
            if abs(reported - flowed) > tolerance:
                return False
            self.unseen += tolerance
        if not one.current or not status.current:
            self.unseen += UNSEEN_CURRENT * seconds / SECONDS_PER_HOUR
        self.counted += flowed
        known = () if self.temperature is None else (self.temperature,)
        self.temperature = min((*status.temperatures, *known), default=None)
        return self.unseen <= MAX_UNSEEN * full


class CapacityMeasurement:
    """Measures the capacity of one battery; the oldest reading is first."""

    def __init__(self) -> None:
        """Start without a reading."""
        self.readings: list[CapacityReading] = []
        self._run: _Run | None = None
        self._full_before = False

    @property
    def last(self) -> CapacityReading | None:
        """Return the latest reading, None if none was possible."""
        return self.readings[-1] if self.readings else None

    @property
    def phase(self) -> CapacityPhase:
        """Return what the measurement that is under way needs."""
        if self._run is None:
            return CapacityPhase.CHARGE
        if self._run.reading is None:
            return CapacityPhase.DISCHARGE
        return CapacityPhase.RECHARGE

    def add(self, status: BatteryStatus, when: datetime, time: float) -> bool:
        """Add a sample of `when` (UTC) and `time` (monotonic, s).

        Returns whether there is a new reading.
        """
        full = status.full_capacity
        if not full:
            return self._finish()
        has_reading = False
        if self._run is not None and not self._run.count(status, time, full):
            has_reading = self._finish()
        run = self._run
        was_full = run is not None and abs(run.counted) <= STILL_FULL * full
        if not _is_full(status, full, was_full=was_full):
            self._full_before = False
        elif was_full or self._full_before:
            has_reading = self._finish() or has_reading
            self._run = _Run(time, status)
            return has_reading
        else:
            # The voltage right after a large current is still falling.
            self._full_before = True
        if run is None:
            return has_reading
        if run.reading is not None and status.current > 0:
            return self._finish()
        self._measure(run, status, when, time, full)
        return False

    def interrupt(self) -> bool:
        """End the run: what flows is unknown from here on.

        Returns whether there is a new reading.
        """
        return self._finish()

    def _measure(
        self,
        run: _Run,
        status: BatteryStatus,
        when: datetime,
        time: float,
        full: float,
    ) -> None:
        """Keep what the cells prove, the lowest state of a run."""
        left = _part_left(status, full)
        # The voltage right after a load is still rising.
        was_low, run.was_low = run.was_low, left is not None
        if left is None or not was_low:
            return
        if run.temperature is not None and run.temperature < LEAST_TEMPERATURE:
            return
        capacity = run.counted / (1 - left)
        least, most = PLAUSIBLE
        if least * full <= capacity <= most * full:
            run.reading = CapacityReading(
                known_time(when),
                round(capacity, 1),
                round(run.counted, 1),
                min(status.cells),
                run.temperature,
                round((time - run.began) / SECONDS_PER_HOUR, 1),
            )

    def _finish(self) -> bool:
        """End the run; return whether it has given a reading."""
        run, self._run = self._run, None
        if run is None or run.reading is None:
            return False
        self.readings = [*self.readings, run.reading][-MAX_READINGS:]
        return True

    def as_stored(self) -> dict[str, Any]:
        """Return the readings as JSON data; a run does not outlive a restart."""
        return {"readings": [[text_of(item.at), *item[1:]] for item in self.readings]}

    @classmethod
    def from_stored(cls, stored: Any) -> CapacityMeasurement:
        """Return what `as_stored` returned; raises TypeError, ValueError or LookupError."""
        measurement = cls()
        measurement.readings = [_reading_of(item) for item in stored["readings"]][
            -MAX_READINGS:
        ]
        return measurement


def _reading_of(item: Any) -> CapacityReading:
    at, capacity, counted, lowest, temperature, hours = item
    reading = CapacityReading(
        time_of(at),
        float(capacity),
        float(counted),
        int(lowest),
        None if temperature is None else int(temperature),
        float(hours),
    )
    if not (isfinite(reading.capacity) and reading.capacity > 0):
        raise ValueError("no capacity")
    return reading


def _is_full(status: BatteryStatus, full: float, *, was_full: bool) -> bool:
    """Return whether the cells prove that the battery is full, or still is."""
    if abs(status.current) > SMALL_CURRENT * full:
        return False
    average = sum(status.cells) / len(status.cells)
    if was_full:
        return average >= REST_FULL_VOLTAGE
    return status.current >= 0 and average >= FULL_VOLTAGE


def _part_left(status: BatteryStatus, full: float) -> float | None:
    """Return which part the lowest cell still holds, None above the steep region."""
    if not -SMALL_CURRENT * full <= status.current <= 0:
        return None
    resting = min(status.cells) - 1000 * status.current * CELL_RESISTANCE / full
    for (low, low_part), (high, high_part) in pairwise(LOW_CURVE):
        if resting <= high:
            part = low_part + (high_part - low_part) * (resting - low) / (high - low)
            return max(part, 0.0)
    return None
