"""Who has cut itself off from the others, and since when; known also after a restart.

A battery that is not heard is still cut off, and joining it is still dangerous: only its
own word ends that.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..history.store import EntryStore, as_time

SAVE_DELAY: Final = 5.0
"""s; it seldom changes, and in trouble the power is soon cut."""


class Isolation:
    """Keeps the keys of the isolated members of one bank."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nobody; `async_load` brings back who was isolated before."""
        self.file = EntryStore(
            hass, "bank_isolated", entry_id, self._as_stored, SAVE_DELAY
        )
        self._loop = hass.loop
        self.since: dict[str, float] = {}
        """From when on each has been isolated, on the event loop's clock."""

    @callback
    def update(self, isolated: Collection[str], time: float) -> None:
        """Take who is isolated at `time` on the event loop's clock."""
        if self.since.keys() != set(isolated):
            self.since = {key: self.since.get(key, time) for key in sorted(isolated)}
            self.file.save_later()

    async def async_load(self) -> None:
        """Bring back who was isolated; what cannot be read is left out."""
        now = dt_util.utcnow()
        kept = await self.file.async_load(_from_stored) or {}
        self.since = {
            # A clock that was set back shall not put the notice off.
            key: self._loop.time() - max((now - when).total_seconds(), 0.0)
            for key, when in kept.items()
        }

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
