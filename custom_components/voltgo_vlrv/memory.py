"""What is known of a battery before it is heard again after a restart.

The last reply it gave, as it came, and whether the owner had let go of it. An SD card
wears out by writing: it is saved rarely, and when Home Assistant stops.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .storage import FOREIGN, async_delete_garbled

STORAGE_VERSION: Final = 1
SAVE_DELAY: Final = 15 * 60.0  # s
LONGEST_FRAME: Final = 87  # bytes, a status reply of 41 registers


class Kept(NamedTuple):
    """What was kept."""

    frame: bytes
    """The last status reply that was believed, empty when there is none."""
    when: datetime | None
    """When it came, UTC."""
    released: bool
    released_until: datetime | None


NOTHING: Final = Kept(b"", None, False, None)


class Memory:
    """Keeps one battery's last reply over a restart."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty."""
        self._hass = hass
        self._store: Store[dict[str, Any]] = Store(
            hass, STORAGE_VERSION, f"{DOMAIN}.memory.{entry_id}"
        )
        self._kept = NOTHING
        self._save_is_due = False
        self._changed = False

    @property
    def frame(self) -> bytes:
        """Return the last status reply that was believed, empty before the first."""
        return self._kept.frame

    async def async_load(self) -> Kept:
        """Return what was kept; nothing where it cannot be read."""
        try:
            await async_delete_garbled(self._hass, self._store)
            stored: Any = await self._store.async_load() or {}
            frame = bytes.fromhex(stored.get("frame", ""))
            self._kept = Kept(
                frame if len(frame) <= LONGEST_FRAME else b"",
                _time(stored.get("when")),
                stored.get("released") is True,
                _time(stored.get("released_until")),
            )
        except FOREIGN:
            self._kept = NOTHING
        return self._kept

    @callback
    def note_sample(self, frame: bytes, when: datetime) -> None:
        """Keep a reply, soon."""
        self._kept = self._kept._replace(frame=frame, when=when)
        self._changed = True
        # Asked again, the store would put the saving off again.
        if not self._save_is_due:
            self._save_is_due = True
            self._store.async_delay_save(self._as_stored, SAVE_DELAY)

    async def async_note_release(self, released: bool, until: datetime | None) -> None:
        """Keep at once whether the battery is let go: a power cut may follow."""
        self._kept = self._kept._replace(released=released, released_until=until)
        await self._store.async_save(self._as_stored())

    async def async_save(self) -> None:
        """Save what is not saved yet."""
        if self._changed:
            await self._store.async_save(self._as_stored())

    async def async_remove(self) -> None:
        """Delete what was saved."""
        await self._store.async_remove()

    @callback
    def _as_stored(self) -> dict[str, Any]:
        self._changed = self._save_is_due = False
        frame, when, released, until = self._kept
        return {
            "frame": frame.hex(),
            "when": None if when is None else when.isoformat(),
            "released": released,
            "released_until": None if until is None else until.isoformat(),
        }


def _time(text: Any) -> datetime | None:
    """Return a time as it was stored; raises TypeError or ValueError."""
    if text is None:
        return None
    return dt_util.as_utc(datetime.fromisoformat(text))
