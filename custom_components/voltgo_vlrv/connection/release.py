"""Whether and until when the user has released a battery."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
import time
from typing import Final

from ..const import MAX_RELEASE

# How often the end of a release is compared with the clock, which may be set meanwhile.
MAX_CHECK_INTERVAL: Final = 60.0  # s


# A difference above this between both clocks means that the system clock was set.
CLOCK_TOLERANCE: Final = timedelta(seconds=5)


def time_asleep() -> float:
    """Return for how many s the computer has slept; 0 where it cannot tell.

    The event loop's time leaves these out, and the system clock may be set.
    """
    if (boot_time := getattr(time, "CLOCK_BOOTTIME", None)) is None:
        return 0.0
    asleep = time.clock_gettime(boot_time) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return round(asleep, 1)


class ReleaseState:
    """A release with its end, by the system clock (UTC) and by steady time in s.

    The system clock of a computer without a battery for it is wrong until it is set, so
    a release ends by steady time, which nothing sets and which goes on while the computer
    sleeps. Only what is left of it after a restart ends by the system clock.
    """

    def __init__(self) -> None:
        """Start without a release."""
        self.released = False
        self.until: datetime | None = None
        """When it ends by itself; None if it does not, or there is none."""
        self._ends_at = inf
        self._is_restored = False

    def release(self, duration: timedelta | None, now: datetime, time: float) -> None:
        """Begin a release for `duration`, None for no end, or replace the present one."""
        self.released = True
        self.until = None
        self._is_restored = False
        if duration is not None:
            self.until = now + duration
            self._ends_at = time + duration.total_seconds()

    def resume(self) -> None:
        """End the release."""
        self.released = False
        self.until = None

    def restore(
        self,
        until: datetime | None,
        now: datetime,
        time: float,
        *,
        began_after: datetime | None = None,
    ) -> None:
        """Restore a stored release, unless it has ended meanwhile.

        A clock that is behind would prolong it by years, so it lasts no longer than from
        `began_after`, when it had not begun yet, and than MAX_RELEASE.
        """
        if until is None:
            self.release(None, now, time)
        elif until > now:
            longest = MAX_RELEASE
            if began_after is not None and began_after < until:
                longest = min(longest, until - began_after)
            self.release(min(until - now, longest), now, time)
            self.until = until
            self._is_restored = True
        else:
            self.resume()

    def remaining(self, now: datetime, time: float) -> float:
        """Return for how many s the release lasts: 0 if it is over, inf without an end."""
        if self.until is None:
            return inf
        remaining = self._ends_at - time
        if self._is_restored:
            remaining = min(remaining, (self.until - now).total_seconds())
        return max(remaining, 0.0)

    def follow_clock(self, now: datetime, time: float) -> bool:
        """Correct `until` after the system clock was set; return whether that was so."""
        if self.until is None or self._is_restored:
            return False
        until = now + timedelta(seconds=self._ends_at - time)
        if abs(until - self.until) <= CLOCK_TOLERANCE:
            return False
        self.until = until
        return True
