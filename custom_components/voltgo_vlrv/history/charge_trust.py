"""Whether the state of charge that a battery reports can be trusted; pure.

Its counter drifts, and only a full charge corrects it. In the flat region the cells tell
nothing; at both ends their voltage at rest contradicts a counter that is far off. By how
much a full charge corrected it tells when the next one is due.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from ..vlrv.registers import BatteryStatus
from .lifetime import SECONDS_PER_HOUR
from .totals import areas

REST_CURRENT: Final = 0.03
"""A for each Ah up to which a battery rests."""
REST_TIME: Final = 900.0
"""s after which the voltage of resting cells has settled far enough."""
MAX_PAUSE: Final = 300.0
"""s between two samples of the same rest, or the longest step where that is longer."""

NEARLY_FULL: Final = 3400
"""mV of the highest cell that a full charge reaches, as for the cell difference."""
MAX_DAYS: Final = timedelta(days=60)
"""After so long without a full charge, a battery in use should have one (C)."""
IN_USE_BELOW: Final = 90
"""% below which a battery has been used since its last full charge."""

ARMED_BELOW: Final = 95
"""% to which a battery has to be discharged before another full charge counts."""
MIN_DAYS: Final = timedelta(days=14)
"""The shortest time after which a counter that drifts fast should be corrected (C)."""

# Voltage of resting cells in mV and what the true state of charge is then at most or at
# least, in %, with a margin for cold and worn cells (C).
AT_MOST: Final = ((3000, 4), (3100, 7), (3200, 12), (3305, 75))
AT_LEAST: Final = ((3400, 95), (3275, 25))

TOLERANCE: Final = 10
"""Points by which a report may be beyond such a limit, or be corrected."""


class ChargeTrust:
    """Says when a battery should be charged fully to correct its state of charge."""

    def __init__(self, *, contradicted: bool = False, correction: float = 0.0) -> None:
        """Start without doubt, or with what was stored."""
        self.contradicted = contradicted
        """Whether the report has been contradicted since the last full charge."""
        self.correction = correction
        """Points by which the last full charge corrected the report."""
        self._rest_began: float | None = None
        self._last: tuple[float, BatteryStatus] | None = None
        self._overfull = 0.0
        self._armed = False

    def add(self, status: BatteryStatus, time: float, longest: float) -> bool:
        """Add a sample at monotonic time `time` in s; return whether anything changed.

        More than `longest` s without a sample end a rest, MAX_PAUSE where that is longer.
        """
        before = (self.contradicted, self.correction)
        last, self._last = self._last, (time, status)
        seconds = 0.0 if last is None else time - last[0]
        follows = last is not None and 0 < seconds <= max(longest, MAX_PAUSE)
        step = self._step(last[1], status, seconds) if last and follows else None
        if status.state_of_charge < ARMED_BELOW:
            self._armed = True
        is_resting = self._is_resting(status, time, follows=follows)
        if is_resting and is_contradicted(status):
            self.contradicted = True
        elif _is_full(status) and (is_resting or status.current >= 0):
            self._correct(step)
        elif self._overfull > TOLERANCE:
            self.contradicted = True
        return before != (self.contradicted, self.correction)

    def _step(
        self, before: BatteryStatus, status: BatteryStatus, seconds: float
    ) -> float:
        """Return by how many points the report rose more than what flowed explains.

        What flows into a battery that says it is full while its cells are not is added
        up. A charger that only keeps it full does not count.
        """
        full = status.full_capacity
        if not full:
            return 0.0
        charged, discharged = areas(seconds, before.current, status.current)
        points = 100 * (charged - discharged) / SECONDS_PER_HOUR / full
        if status.state_of_charge < 100:
            self._overfull = 0.0
        elif before.state_of_charge == 100 and (
            points < 0 or before.current > REST_CURRENT * full
        ):
            self._overfull = max(self._overfull + points, 0.0)
        return status.state_of_charge - before.state_of_charge - points

    def _correct(self, step: float | None) -> None:
        """End a doubt: a full charge has corrected the report, by a step if at all.

        None for a step that is not known.
        """
        if self._armed and step is not None:
            self.correction = round(max(step, self._overfull, 0.0), 1)
        self._armed = self.contradicted = False
        self._overfull = 0.0

    def _is_resting(self, status: BatteryStatus, time: float, *, follows: bool) -> bool:
        """Return whether the battery has been at rest for long enough."""
        if abs(status.current) > REST_CURRENT * (status.full_capacity or 0.0):
            self._rest_began = None
            return False
        if self._rest_began is None or not follows:
            self._rest_began = time
        return time - self._rest_began >= REST_TIME

    def needs_full_charge(
        self, state_of_charge: int, last_full: datetime | None, now: datetime
    ) -> bool:
        """Return whether a full charge is needed.

        `last_full` and `now` are UTC. Without a known full charge, time tells nothing.
        """
        if self.contradicted:
            return True
        longest = MAX_DAYS
        if self.correction > TOLERANCE:
            longest = max(MAX_DAYS * TOLERANCE / self.correction, MIN_DAYS)
        return (
            last_full is not None
            and now - last_full > longest
            and state_of_charge < IN_USE_BELOW
        )

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"contradicted": self.contradicted, "correction": self.correction}

    @classmethod
    def from_stored(cls, stored: Any) -> ChargeTrust:
        """Return what `as_stored` returned; raises TypeError, ValueError or LookupError."""
        correction = float(stored["correction"])
        if not 0 <= correction <= 100:
            raise ValueError("no correction")
        return cls(contradicted=bool(stored["contradicted"]), correction=correction)


def _is_full(status: BatteryStatus) -> bool:
    """Return whether the report and the cells say that the battery is full."""
    return status.state_of_charge == 100 and max(status.cells) >= NEARLY_FULL


def is_contradicted(status: BatteryStatus) -> bool:
    """Return whether resting cells contradict the state of charge that is reported."""
    reported = status.state_of_charge
    average = sum(status.cells) / len(status.cells)
    # A single cell that is empty before the others is worn: a full charge corrects none.
    at_most = next((part for mv, part in AT_MOST if average <= mv), 100)
    at_least = next((part for mv, part in AT_LEAST if average >= mv), 0)
    return not at_least - TOLERANCE <= reported <= at_most + TOLERANCE
