"""Members that have cut themselves off, and since when; stored over restarts.

A member that does not report is still cut off, and connecting it to the others is still
dangerous: only a sample of its own ends that.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..history.store import EntryStore, as_time

SAVE_DELAY: Final = 5.0
"""s; it changes rarely, and then the power may soon be cut."""


class Isolation:
    """Stores the keys of the isolated members of one bank."""

    def __init__(self, hass: HomeAssistant, store: EntryStore) -> None:
        """Initialize without members; `load` restores them."""
        self._section = store.section("isolation", self._as_stored, SAVE_DELAY)
        self._loop = hass.loop
        self.since: dict[str, float] = {}
        """Since when each is isolated (monotonic, s)."""

    @callback
    def update(self, isolated: Collection[str], time: float) -> None:
        """Store which members are isolated at `time` (monotonic, s)."""
        if self.since.keys() != set(isolated):
            self.since = {key: self.since.get(key, time) for key in sorted(isolated)}
            self._section.save_later()

    @callback
    def load(self) -> None:
        """Restore the isolated members; invalid data is left out."""
        now = dt_util.utcnow()
        stored = self._section.loaded(_from_stored) or {}
        self.since = {
            # A clock that was set back must not delay the repair issue.
            key: self._loop.time() - max((now - when).total_seconds(), 0.0)
            for key, when in stored.items()
        }

    def isolated_for(self, key: str, now: float) -> float | None:
        """Return for how long (s) a member is isolated at `now`, None if it is not."""
        since = self.since.get(key)
        return None if since is None else now - since

    @callback
    def _as_stored(self) -> dict[str, Any]:
        now, time = dt_util.utcnow(), self._loop.time()
        return {
            "since": {
                key: (now - timedelta(seconds=time - since)).isoformat()
                for key, since in self.since.items()
            }
        }


def _from_stored(stored: Any) -> dict[str, datetime]:
    """Return since when each was isolated, UTC."""
    return {
        str(key): when
        for key, text in stored["since"].items()
        if (when := as_time(text)) is not None
    }
