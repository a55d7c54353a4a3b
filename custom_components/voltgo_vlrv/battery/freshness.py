"""How long the last sample of a battery may be shown."""

from __future__ import annotations

from datetime import timedelta
from math import inf


class SampleFreshness:
    """Decide whether the last sample may still be shown.

    Times are the event loop's, in s. `max_age` is an argument because the user may
    change it at any time.
    """

    def __init__(self) -> None:
        """Start without a sample."""
        self._valid_from: float | None = None
        self._expired = False
        self._released = False
        self._fresh_at_release = False

    @property
    def is_expired(self) -> bool:
        """Return whether the last sample was declared expired; only a new one ends it."""
        return self._expired

    @property
    def is_released(self) -> bool:
        """Return whether the user has released the battery."""
        return self._released

    def sample_received(self, now: float) -> None:
        """Start again with a sample that was received at `now`."""
        self._valid_from = now
        self._expired = False

    def sample_restored(self, now: float) -> None:
        """Show a sample from before a restart as if it were received at `now`."""
        self._valid_from = now

    def expires_at(self, max_age: timedelta) -> float:
        """Return when the last sample expires, -inf before the first."""
        if self._valid_from is None:
            return -inf
        return self._valid_from + max_age.total_seconds()

    def is_fresh(self, now: float, max_age: timedelta) -> bool:
        """Return whether the last sample may be shown.

        While the battery is released it stays as it was at the release.
        """
        if self._released:
            return self._fresh_at_release
        return not self._expired and now < self.expires_at(max_age)

    def expire(self) -> None:
        """Declare the last sample expired."""
        self._expired = True

    def release(self, now: float, max_age: timedelta) -> None:
        """Keep what is shown while the user has released the battery."""
        self._fresh_at_release = self.is_fresh(now, max_age)
        self._released = True

    def resume(self, now: float) -> bool:
        """End the release; return whether there is a sample that counts as fresh now."""
        self._released = False
        if self._fresh_at_release:
            self._valid_from = now
        return self._fresh_at_release
