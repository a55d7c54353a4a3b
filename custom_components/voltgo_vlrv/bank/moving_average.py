"""Means over time of values that hold until the next one comes."""

from __future__ import annotations

from math import exp
from typing import Final

WINDOW: Final = 300.0
"""s; what is older has little weight."""


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
