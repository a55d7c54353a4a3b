"""Protocol of what polls a battery, for the parts that are created after it."""

from __future__ import annotations

from typing import Protocol

from ..vlrv.registers import BatteryStatus
from .statistics import PollStatistics


class LiveValues(Protocol):
    """Polls the battery and calls its entities."""

    data: BatteryStatus
    statistics: PollStatistics

    async def async_refresh(self) -> None:
        """Poll now."""

    def request_poll(self) -> None:
        """Poll in the background, as soon as possible."""

    def async_update_listeners(self) -> None:
        """Call the entities."""
