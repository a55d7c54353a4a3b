"""Settings that were written and wait for a power cycle of the battery."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class PendingChanges:
    """Decide which changes are pending, and which ones the battery did not apply.

    The manual wants the battery switched off and on after a change (6.1). A change is
    pending until the battery reports the new value. One that was pending while the
    battery was disconnected, perhaps for a power cycle, and still is not reported when
    the settings are read again, was not applied.
    """

    def __init__(self, stored: Mapping[str, int | str]) -> None:
        """Start with the changes that were stored, by setting."""
        self.wanted: dict[str, int | str] = dict(stored)
        self._pending_at_disconnect: set[str] = set()
        self._not_applied: set[str] = set()

    @property
    def is_not_applied(self) -> bool:
        """Return whether a change outlasted what may have been a power cycle."""
        return bool(self._not_applied)

    def add(self, setting: str, value: int | str) -> None:
        """Add a change that the battery has confirmed, or replace an earlier one."""
        self.wanted[setting] = value
        self._pending_at_disconnect.discard(setting)
        self._not_applied.discard(setting)

    def discard(self, setting: str) -> None:
        """Remove a change that is not wanted any more."""
        self.wanted.pop(setting, None)

    def handle_reconnect(self) -> None:
        """Handle a connection after the battery was disconnected."""
        self._pending_at_disconnect = set(self.wanted)

    def update(
        self,
        reported: Callable[[str], int | str | None],
        *,
        settings_were_read: bool = False,
    ) -> None:
        """Remove what the battery reports by now.

        `reported` returns the value of a setting, None while it is not known;
        `settings_were_read` tells that all of them were read after a connection.
        """
        self.wanted = {
            setting: value
            for setting, value in self.wanted.items()
            if reported(setting) != value
        }
        if settings_were_read:
            self._not_applied |= self._pending_at_disconnect
            self._pending_at_disconnect = set()
        self._not_applied &= self.wanted.keys()
