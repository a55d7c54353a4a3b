"""Whether and until when the user has released a battery."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..const import MAX_RELEASE


class ReleaseState:
    """A release with its end; times are UTC."""

    def __init__(self) -> None:
        """Start without a release."""
        self.released = False
        self.until: datetime | None = None
        """When it ends by itself; None if it does not, or there is none."""

    def release(self, duration: timedelta | None, now: datetime) -> None:
        """Begin a release, or replace the present one; None for no end."""
        self.released = True
        self.until = None if duration is None else now + duration

    def resume(self) -> None:
        """End the release."""
        self.released = False
        self.until = None

    def restore(self, until: datetime | None, now: datetime) -> None:
        """Restore a stored release; one that has ended meanwhile is over.

        A clock that was changed must not hold the battery back for years, so what
        remains is at most MAX_RELEASE.
        """
        if until is None:
            self.release(None, now)
        elif until > now:
            self.release(min(until - now, MAX_RELEASE), now)
        else:
            self.resume()

    def remaining(self, now: datetime) -> timedelta | None:
        """Return how long the release still lasts; None without an end."""
        return None if self.until is None else max(self.until - now, timedelta())
