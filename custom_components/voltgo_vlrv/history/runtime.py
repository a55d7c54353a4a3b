"""Time to empty and time to full, from samples of current and charge; pure.

Nothing here knows Home Assistant or where the samples come from, so it serves one
battery as well as several in parallel.
"""

from __future__ import annotations

from math import ceil, exp, floor
from typing import Final

from .charge import Charge

MINUTES_PER_HOUR: Final = 60
_SECONDS_PER_HOUR: Final = 3600.0

IDLE_CURRENT: Final = 1.0
"""A for each battery; below about this it reports no current (B)."""
STILL_FLOWING: Final = 0.5
"""A for each battery; hysteresis: a current that flows counts as idle only below this."""
TIME_CONSTANT: Final = 180.0
"""s; time constant of the moving average."""
SETTLING: Final = 60.0
"""s; a shorter load gives no time, because most short loads end at once."""
MAX_MINUTES: Final = 96.0 * MINUTES_PER_HOUR
"""Longest time that is shown; a smaller current is too uncertain."""


class SmoothedCurrent:
    """Exponential moving average of a current in A, + charging.

    Each sample is weighted by the time since the previous one. The average restarts
    when the direction changes.
    """

    def __init__(self) -> None:
        """Start without a sample."""
        self._time: float | None = None
        self._since = 0.0
        self._sum = self._weight = 0.0
        self._direction = 0
        self._is_settled = False

    @property
    def direction(self) -> int:
        """Return 1 while charging, -1 while discharging, 0 while idle."""
        return self._direction

    @property
    def value(self) -> float | None:
        """Return the average in A; None while idle and until it has settled."""
        if not self._direction or not self._is_settled:
            return None
        return self._sum / self._weight

    def add(
        self, time: float, current: float, interval: float, batteries: int = 1
    ) -> None:
        """Add a current at monotonic time `time` in s.

        A sample is due each `interval` seconds; where that is longer than SETTLING, one
        sample is enough. The sum of several `batteries` changes with the sample of
        each, so it has settled when all of them were read.
        """
        last, self._time = self._time, time
        elapsed = interval if last is None else time - last
        direction = _direction(current / batteries, self._direction)
        if last is None or direction != self._direction:
            self._direction = direction
            self._sum = self._weight = 0.0
            self._since = time if last is None else last
        elif elapsed <= 0:
            return
        remaining = exp(-max(elapsed, 0.001) / TIME_CONSTANT)
        self._sum = self._sum * remaining + current * (1 - remaining)
        self._weight = self._weight * remaining + 1 - remaining
        one_is_enough = interval >= SETTLING and batteries == 1
        self._is_settled = one_is_enough or (
            time - self._since >= max(SETTLING, interval)
        )


def _direction(current: float, before: int) -> int:
    sign = 1 if current > 0 else -1
    least = STILL_FLOWING if sign == before else IDLE_CURRENT
    return sign if abs(current) >= least else 0


class ChargeGauge:
    """Charge in Ah, interpolated by current between two reported steps.

    Times derived from it do not jump with each step; it never leaves the reported step.
    """

    def __init__(self) -> None:
        """Start without a sample."""
        self._time = 0.0
        self.value: float | None = None
        """Ah; None where the battery reports no charge."""

    def add(self, time: float, current: float, charge: Charge | None) -> None:
        """Add the reported charge at monotonic time `time` in s."""
        elapsed, self._time = max(time - self._time, 0.0), time
        if charge is None:
            self.value = None
            return
        high = charge.high if charge.full is None else min(charge.high, charge.full)
        low = min(max(charge.low, 0.0), high)
        if self.value is None:
            self.value = (low + high) / 2
        else:
            moved = current * elapsed / _SECONDS_PER_HOUR
            self.value = min(max(self.value + moved, low), high)


class Runtime:
    """Time to empty and to full at the average current."""

    def __init__(self) -> None:
        """Start without a sample."""
        self.current = SmoothedCurrent()
        self._gauge = ChargeGauge()
        self._full: float | None = None

    def add(
        self,
        time: float,
        current: float,
        charge: Charge | None,
        interval: float,
        batteries: int = 1,
    ) -> None:
        """Add a sample: monotonic time and interval in s, current in A, + charging.

        `batteries` is the number of batteries that current and charge are the sum of.
        """
        self._gauge.add(time, current, charge)
        self._full = None if charge is None else charge.full
        self.current.add(time, current, interval, batteries)

    @property
    def minutes_to_empty(self) -> float | None:
        """Return the minutes until empty; None unless discharging, or if unknown."""
        current, left = self.current.value, self._gauge.value
        if current is None or current > 0 or left is None:
            return None
        return left / -current * MINUTES_PER_HOUR

    @property
    def charge_left(self) -> float | None:
        """Return the charge in Ah, more finely than it is reported; None if unknown."""
        return self._gauge.value

    def minutes_to_reserve(self, reserve: float) -> float | None:
        """Return the minutes until `reserve` % are left; 0 below it.

        None unless discharging, or if unknown.
        """
        minutes = self.minutes_to_empty
        if minutes is None or not reserve:
            return minutes
        left = self._gauge.value
        if not left or self._full is None:
            return None if self._full is None else 0.0
        kept = self._full * reserve / 100
        return minutes * max(left - kept, 0.0) / left

    @property
    def minutes_to_full(self) -> float | None:
        """Return the minutes until full; None unless charging, or if unknown.

        Chargers reduce their current at the end, so the true time is longer.
        """
        current, left = self.current.value, self._gauge.value
        if current is None or current < 0 or left is None or self._full is None:
            return None
        return max(self._full - left, 0.0) / current * MINUTES_PER_HOUR


_COARSE_STEP: Final = 5  # min, from an hour on
_RELATIVE_STEP: Final = 0.05  # of what is shown


def shown_minutes(minutes: float | None, before: int | None) -> int | None:
    """Return the minutes to show, `before` as long as it is close enough.

    In steps of 1 min below an hour and 5 min above; a difference below 5% or one step
    changes nothing. None if unknown or above MAX_MINUTES.
    """
    if minutes is None:
        return None
    longest = MAX_MINUTES if before is None else MAX_MINUTES * (1 + _RELATIVE_STEP)
    if minutes > longest:
        return None
    step = 1 if minutes < MINUTES_PER_HOUR else _COARSE_STEP
    if before is not None and abs(minutes - before) < max(
        step, _RELATIVE_STEP * before
    ):
        return before
    return step * floor(minutes / step + 0.5)


def as_hours(minutes: int) -> float:
    """Return minutes as hours, rounded up to 0.0001 h.

    The frontend converts them to hours and minutes and truncates: 125 minutes must not
    become 2 h 4 min.
    """
    return ceil(minutes * 10_000 / MINUTES_PER_HOUR) / 10_000
