"""Means over time of values that hold until the next one comes."""

from __future__ import annotations

from math import exp
from typing import Final

WINDOW: Final = 300.0
"""s; what is older has little weight."""
SETTLE: Final = 120.0
"""s after which another load counts as the new one, and not as a peak."""
CHANGE: Final = 0.5
"""How far, relative to the mean, a current may be off and still be the same load."""


class Average:
    """The mean of a value, over all time at first and then over about WINDOW."""

    def __init__(self) -> None:
        """Start empty."""
        self._last: tuple[float, float] | None = None
        self._mean = 0.0
        self.covered = 0.0
        """s that are in the mean."""

    def add(self, time: float, value: float) -> None:
        """Take a value that holds from `time` (s) on; until then, the last one held."""
        if self._last is not None and (passed := time - self._last[0]) > 0:
            self.covered += passed
            weight = max(passed / self.covered, 1 - exp(-passed / WINDOW))
            self._mean += (self._last[1] - self._mean) * weight
        self._last = (time, value)

    @property
    def value(self) -> float | None:
        """Return the mean, None without any value."""
        if self._last is None:
            return None
        return self._mean if self.covered else self._last[1]


class SteadyCurrent:
    """A current smoothed for estimates: slow, but not slow to see another load.

    What deviates for long enough becomes the new mean at once; what begins while the
    bank is idle does so immediately. In between, nothing moves fast.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._average = Average()
        self._other: Average | None = None
        self._against = False

    def add(self, time: float, current: float, idle: float) -> None:
        """Take the current in A that flows from `time` (s) on; `idle` is none."""
        for average in (self._average, self._other):
            if average is not None:
                average.add(time, current)
        mean = self._average.value or 0.0
        self._against = abs(current) >= idle and current * mean < 0
        if abs(current - mean) <= max(idle, CHANGE * abs(mean)):
            self._other = None
        elif abs(mean) < idle:
            self._average, self._other = _started(time, current), None
            self._against = False
        elif self._other is None:
            self._other = _started(time, current)
        elif self._other.covered >= SETTLE:
            self._average, self._other = self._other, None
            self._against = False

    @property
    def value(self) -> float | None:
        """Return the smoothed current in A, None while it flows the other way."""
        return None if self._against else self._average.value


def _started(time: float, value: float) -> Average:
    average = Average()
    average.add(time, value)
    return average
