"""Whether and until when the user has released a battery."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
from typing import Final

from ..const import MAX_RELEASE

# How often the end of a release is compared with the clock, which may be set meanwhile.
MAX_CHECK_INTERVAL: Final = 60.0  # s


class ReleaseState:
    """A release with its end, by the clock (UTC) and by loop time in s.

    The system clock may be wrong until it is set, and loop time stops while a computer
    sleeps: the release ends when one of the two reaches its end.
    """

    def __init__(self) -> None:
        """Start without a release."""
        self.released = False
        self.until: datetime | None = None
        """When it ends by itself; None if it does not, or there is none."""
        self._ends_at = inf

    def release(self, duration: timedelta | None, now: datetime, time: float) -> None:
        """Begin a release for `duration`, None for no end, or replace the present one."""
        self.released = True
        self.until = None if duration is None else now + duration
        self._ends_at = inf if duration is None else time + duration.total_seconds()

    def resume(self) -> None:
        """End the release."""
        self.released = False
        self.until = None
        self._ends_at = inf

    def restore(self, until: datetime | None, now: datetime, time: float) -> None:
        """Restore a stored release, unless it has ended meanwhile.

        It ends after MAX_RELEASE at the latest, because a clock that is behind would
        prolong it by years.
        """
        if until is None:
            self.release(None, now, time)
        elif until > now:
            self.release(min(until - now, MAX_RELEASE), now, time)
            self.until = until
        else:
            self.resume()

    def remaining(self, now: datetime, time: float) -> float:
        """Return for how many s the release lasts: 0 if it is over, inf without an end."""
        if self.until is None:
            return inf
        by_clock = (self.until - now).total_seconds()
        return max(min(by_clock, self._ends_at - time), 0.0)
