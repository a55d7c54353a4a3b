"""Whether the state of charge that a battery reports can be trusted; pure.

Its counter drifts, and only a full charge corrects it. In the flat region the cells tell
nothing; at both ends their voltage at rest contradicts a counter that is far off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from ..vlrv.registers import BatteryStatus

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

# Voltage of resting cells in mV and what the true state of charge is then at most or at
# least, in %, with a margin for cold and worn cells (C).
AT_MOST: Final = ((3000, 4), (3100, 7), (3200, 12), (3305, 75))
AT_LEAST: Final = ((3400, 95), (3275, 25))

TOLERANCE: Final = 10
"""Points by which a report may be beyond such a limit."""


class ChargeTrust:
    """Says when a battery should be charged fully to correct its state of charge."""

    def __init__(self, *, contradicted: bool = False) -> None:
        """Start without doubt, or with the one that was stored."""
        self.contradicted = contradicted
        """Whether resting cells have contradicted the report since the last full charge."""
        self._rest_began: float | None = None
        self._last = 0.0

    def add(self, status: BatteryStatus, time: float, longest: float) -> bool:
        """Add a sample at monotonic time `time` in s; return whether the doubt changed.

        More than `longest` s without a sample end a rest, MAX_PAUSE where that is longer.
        """
        before = self.contradicted
        seconds, self._last = time - self._last, time
        if not self._is_resting(status, time, 0 < seconds <= max(longest, MAX_PAUSE)):
            if (
                status.state_of_charge == 100
                and status.current >= 0
                and max(status.cells) >= NEARLY_FULL
            ):
                self.contradicted = False
        elif is_contradicted(status):
            self.contradicted = True
        elif status.state_of_charge == 100 and max(status.cells) >= NEARLY_FULL:
            self.contradicted = False
        return self.contradicted is not before

    def _is_resting(self, status: BatteryStatus, time: float, follows: bool) -> bool:
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
        return (
            last_full is not None
            and now - last_full > MAX_DAYS
            and state_of_charge < IN_USE_BELOW
        )

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"contradicted": self.contradicted}

    @classmethod
    def from_stored(cls, stored: Any) -> ChargeTrust:
        """Return what `as_stored` returned; raises TypeError or LookupError."""
        return cls(contradicted=bool(stored["contradicted"]))


def is_contradicted(status: BatteryStatus) -> bool:
    """Return whether resting cells contradict the state of charge that is reported."""
    reported = status.state_of_charge
    average = sum(status.cells) / len(status.cells)
    # A single cell that is empty before the others is worn: a full charge corrects none.
    at_most = next((part for mv, part in AT_MOST if average <= mv), 100)
    at_least = next((part for mv, part in AT_LEAST if average >= mv), 0)
    return not at_least - TOLERANCE <= reported <= at_most + TOLERANCE
