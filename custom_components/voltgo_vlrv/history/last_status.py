"""The last valid status reply and the release state, stored over a restart."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from homeassistant.core import callback

from .store import EntryStore, as_time

SAVE_DELAY: Final = 15 * 60.0  # s
MAX_FRAME_LENGTH: Final = 87  # bytes, a status reply of 41 registers


class StoredStatus(NamedTuple):
    """What was stored."""

    frame: bytes
    """The last valid status reply, empty if there is none."""
    when: datetime | None
    """When it was received, UTC."""
    released: bool
    released_until: datetime | None


EMPTY: Final = StoredStatus(b"", None, False, None)


class LastStatus:
    """Last valid status reply and release state of one battery."""

    def __init__(self, store: EntryStore) -> None:
        """Start empty."""
        self._section = store.section("last_status", self._as_stored, SAVE_DELAY)
        self._stored = EMPTY

    @property
    def frame(self) -> bytes:
        """Return the last valid status reply, empty before the first."""
        return self._stored.frame

    @callback
    def load(self) -> StoredStatus:
        """Return what was stored, EMPTY if that cannot be read."""
        self._stored = self._section.loaded(_from_stored) or EMPTY
        return self._stored

    @callback
    def record_sample(self, frame: bytes, when: datetime) -> None:
        """Record a valid reply; it is saved later."""
        _, _, released, until = self._stored
        self._stored = StoredStatus(frame, when, released, until)
        self._section.save_later()

    async def async_record_release(
        self, released: bool, until: datetime | None
    ) -> bool:
        """Save the release state at once, because a power cut may follow.

        Return whether the file holds it.
        """
        self._stored = self._stored._replace(released=released, released_until=until)
        saved = await self._section.async_save()
        expected = self._as_stored()
        return isinstance(saved, dict) and all(
            saved.get(key) == expected[key] for key in ("released", "released_until")
        )

    @callback
    def _as_stored(self) -> dict[str, Any]:
        frame, when, released, until = self._stored
        return {
            "frame": frame.hex(),
            "when": None if when is None else when.isoformat(),
            "released": released,
            "released_until": None if until is None else until.isoformat(),
        }


def _from_stored(stored: Any) -> StoredStatus:
    frame = bytes.fromhex(stored.get("frame", ""))
    return StoredStatus(
        frame if len(frame) <= MAX_FRAME_LENGTH else b"",
        as_time(stored.get("when")),
        stored.get("released") is True,
        as_time(stored.get("released_until")),
    )
