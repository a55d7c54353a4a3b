"""What is known of a battery before it is heard again after a restart.

The last reply it gave, as it came, and whether the owner had let go of it. An SD card
wears out by writing: it is saved rarely, and when Home Assistant stops.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant, callback

from .store import EntryStore, as_time

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
        self.file = EntryStore(hass, "memory", entry_id, self._as_stored, SAVE_DELAY)
        self._kept = NOTHING

    @property
    def frame(self) -> bytes:
        """Return the last status reply that was believed, empty before the first."""
        return self._kept.frame

    async def async_load(self) -> Kept:
        """Return what was kept; nothing where it cannot be read."""
        self._kept = await self.file.async_load(_from_stored) or NOTHING
        return self._kept

    @callback
    def note_sample(self, frame: bytes, when: datetime) -> None:
        """Keep a reply, soon."""
        self._kept = self._kept._replace(frame=frame, when=when)
        self.file.save_later()

    async def async_note_release(self, released: bool, until: datetime | None) -> None:
        """Keep at once whether the battery is let go: a power cut may follow."""
        self._kept = self._kept._replace(released=released, released_until=until)
        await self.file.async_save(anyway=True)

    @callback
    def _as_stored(self) -> dict[str, Any]:
        frame, when, released, until = self._kept
        return {
            "frame": frame.hex(),
            "when": None if when is None else when.isoformat(),
            "released": released,
            "released_until": None if until is None else until.isoformat(),
        }


def _from_stored(stored: Any) -> Kept:
    frame = bytes.fromhex(stored.get("frame", ""))
    return Kept(
        frame if len(frame) <= LONGEST_FRAME else b"",
        as_time(stored.get("when")),
        stored.get("released") is True,
        as_time(stored.get("released_until")),
    )
