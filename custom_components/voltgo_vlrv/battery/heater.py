"""Confirmation of a heater command by the samples that follow it."""

from __future__ import annotations

import asyncio
from typing import Final

from ..connection import ConnectionManager
from .live_values import LiveValues

# s; a heater that accepts a command reports it in its next status (design). Three polls a
# second apart are enough, slow proxies need more.
HEATER_CONFIRM: Final = 10.0
HEATER_STEP: Final = 1.0


async def async_heater_reported(
    live: LiveValues, connection: ConnectionManager, enabled: bool
) -> bool:
    """Poll until a new sample reports the heater as `enabled`; return whether one does.

    Takes about HEATER_CONFIRM s at most.
    """
    for _ in range(int(HEATER_CONFIRM / HEATER_STEP)):
        if connection.is_closed:
            break  # Home Assistant stops, and polls no more
        samples = live.statistics.samples
        await live.async_refresh()
        if live.statistics.samples > samples and live.data.heating_enabled is enabled:
            return True
        await asyncio.sleep(HEATER_STEP)
    return False
