"""What the coordinator of a battery needs from whatever uses its samples."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from ..vlrv.registers import BatteryStatus


class PollDelegate(Protocol):
    """What uses the samples of one battery."""

    @property
    def is_polling_paused(self) -> bool:
        """Return whether something else uses the battery, and polls have to wait."""

    def check_sample(self, status: BatteryStatus) -> None:
        """Raise VlrvError for a sample that must not be used."""

    def handle_sample(
        self, status: BatteryStatus, when: datetime, time: float, interval: timedelta
    ) -> None:
        """Use a sample that was received at `when` (UTC) and `time` (loop time, s).

        `interval` is the time between two polls around it.
        """

    def handle_disconnected(self) -> None:
        """Handle that the battery is not connected: anything may happen to it."""

    def handle_forced_reconnect(self) -> None:
        """Handle that a useless connection is about to be closed."""
