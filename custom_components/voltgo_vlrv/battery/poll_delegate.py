"""Protocol of what a battery's coordinator reports its polls to."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ..vlrv.registers import BatteryStatus


class PollDelegate(Protocol):
    """Receives the samples of one battery."""

    @property
    def is_polling_paused(self) -> bool:
        """Return whether polls have to wait, as during a firmware installation."""

    async def async_check_sample(self, status: BatteryStatus) -> None:
        """Raise VlrvError for a sample that must not be used."""

    def handle_sample(self, status: BatteryStatus, when: datetime, time: float) -> None:
        """Use a sample that was received at `when` (UTC) and `time` (loop time, s)."""

    def handle_disconnected(self) -> None:
        """Handle a missing connection: firmware and settings may change meanwhile."""

    def handle_forced_reconnect(self) -> None:
        """Handle a connection that is about to be closed because it does not work."""
