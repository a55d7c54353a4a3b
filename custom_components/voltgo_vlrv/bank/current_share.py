"""How the members of a bank share the current, and how long its charge lasts.

Moving averages, because currents differ by the moment at which they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, fsum
from typing import Final

from ..history.runtime import Runtime
from .aggregate import BankReading, MemberReading

WINDOW: Final = 300.0
"""s; older values have little weight."""

MIN_AVERAGE_TIME: Final = 60.0
"""s that an average has to cover before an imbalance is derived from it."""

MIN_IMBALANCE_CURRENT: Final = 5.0
"""A in total; below it the resolution of the currents looks like imbalance."""


class MovingAverage:
    """The average of a value: over all time at first, then over about WINDOW."""

    def __init__(self) -> None:
        """Initialize an average without values."""
        self._last: tuple[float, float] | None = None
        self._mean = 0.0
        self.covered = 0.0
        """s that the average covers."""

    def add(self, time: float, value: float) -> None:
        """Add a value that holds from `time` (monotonic, s) until the next one."""
        if self._last is not None and (passed := time - self._last[0]) > 0:
            self.covered += passed
            weight = max(passed / self.covered, 1 - exp(-passed / WINDOW))
            self._mean += (self._last[1] - self._mean) * weight
        self._last = (time, value)

    @property
    def value(self) -> float | None:
        """Return the average, None without any value."""
        if self._last is None:
            return None
        return self._mean if self.covered else self._last[1]


def imbalance(
    currents: Mapping[str, float], capacities: Mapping[str, float | None]
) -> int | None:
    """Return the largest deviation from a fair share of the current, in % of the share.

    Takes average currents in A and full capacities in Ah of the active members. A share
    is fair by capacity, or an equal one where a capacity is unknown. None below
    MIN_IMBALANCE_CURRENT, and for a single battery.
    """
    total = fsum(currents.values())
    if len(currents) < 2 or abs(total) < MIN_IMBALANCE_CURRENT:
        return None
    weights = {key: capacities.get(key) or 0.0 for key in currents}
    if not all(weights.values()):
        weights = dict.fromkeys(currents, 1.0)
    whole = fsum(weights.values())
    return round(
        100
        * max(
            abs(current / (total * weights[key] / whole) - 1)
            for key, current in currents.items()
        )
    )


class CurrentTrend:
    """Runtime and imbalance of a bank, from its currents over some minutes."""

    def __init__(self) -> None:
        """Initialize without values; they need samples of all members."""
        self.runtime = Runtime()
        self.imbalance: int | None = None
        """% of a fair share, see `imbalance`."""
        self._averages: dict[str, MovingAverage] = {}
        self._last_complete: tuple[Runtime, int | None] = (self.runtime, None)

    def update(
        self,
        now: float,
        reading: BankReading,
        readings: Sequence[MemberReading],
        interval: float,
        *,
        was_complete: bool,
    ) -> None:
        """Add the currents at `now` (monotonic, s); start again for another set.

        `interval` is the longest poll interval of the members in s. `was_complete` says
        that nothing but a planned absence came since all members reported: then the
        values of that time stay while the bank shows last values.
        """
        if not was_complete:
            self._last_complete = (Runtime(), None)
        if reading.shows_last_values and reading.is_complete:
            self.runtime, self.imbalance = self._last_complete
            self._averages = {}
            return
        if reading.current is None:
            self.runtime, self.imbalance = Runtime(), None
            self._averages = {}
            return
        self.runtime.add(
            now, reading.current, reading.usable, interval, max(reading.active, 1)
        )
        # A member whose protection ends charging takes no share of the charge.
        active = {
            item.key: item
            for item in readings
            if item.key not in reading.isolated and not item.is_blocked
        }
        if active.keys() != self._averages.keys():
            self._averages = {key: MovingAverage() for key in active}
        for key, average in self._averages.items():
            average.add(now, active[key].current)
        self.imbalance = (
            imbalance(
                {key: average.value or 0.0 for key, average in self._averages.items()},
                {key: item.full_capacity for key, item in active.items()},
            )
            if all(
                average.covered >= MIN_AVERAGE_TIME
                for average in self._averages.values()
            )
            else None
        )
        self._last_complete = (self.runtime, self.imbalance)
