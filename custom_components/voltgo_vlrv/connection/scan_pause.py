"""Keeps an adapter of this computer from being reset while a connection must last.

Home Assistant restarts the scan of an adapter that has received nothing for 90 s, and
resets the adapter when it still receives nothing after that, which ends all connections
(A: habluetooth 6). A battery does not advertise while it is connected, so that is what
happens where it is the only device in range. A scan that is stopped is not watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
import logging
from typing import Final, Protocol, runtime_checkable

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from ..vlrv.errors import VlrvError
from .errors import typed_errors
from .slots import SlotMonitor

# Later than other batteries are connected again to be received (session.MAX_SILENCE, and
# the poll after it), and with a check to spare before the 90 s.
PAUSE_AFTER: Final = 75.0  # s
CHECK_INTERVAL: Final = 5.0  # s

_LOGGER = logging.getLogger(__name__)


@runtime_checkable
class _Scan(Protocol):
    """A scan by an adapter of this computer."""

    source: str
    scanning: bool

    async def async_start(self) -> None:
        """Start it."""

    async def async_stop(self) -> None:
        """Stop it."""


@asynccontextmanager
async def keep_adapter(hass: HomeAssistant, slots: SlotMonitor) -> AsyncGenerator[None]:
    """Pause the scan of the connection's adapter in the block, once it is silent.

    Nothing is missed: it has received nothing for PAUSE_AFTER.
    """
    paused: _Scan | None = None

    async def watch() -> None:
        nonlocal paused
        while True:
            silence = slots.local_silence()
            scan: object = slots.connected_adapter()
            if (
                silence is not None
                and silence >= PAUSE_AFTER
                and isinstance(scan, _Scan)
                and scan.scanning  # an active scan may have been requested meanwhile
            ):
                paused = scan
                with suppress(VlrvError), typed_errors("pausing a scan"):
                    await scan.async_stop()
            await asyncio.sleep(CHECK_INTERVAL)

    task = hass.async_create_background_task(watch(), "keep a Bluetooth adapter")
    try:
        yield
    finally:
        task.cancel()
        if paused is not None:
            await _resume(hass, paused)


async def _resume(hass: HomeAssistant, scan: _Scan) -> None:
    """Start a scan again, unless its adapter was removed or set up again meanwhile."""
    present: list[object] = list(bluetooth.async_current_scanners(hass))
    if scan not in present:
        return
    try:
        with typed_errors("resuming a scan"):
            await scan.async_start()
    except VlrvError:
        _LOGGER.warning(
            "A Bluetooth adapter could not resume its scan; it is set up again"
        )
        entry = hass.config_entries.async_entry_for_domain_unique_id(
            bluetooth.DOMAIN, scan.source
        )
        if entry is not None:
            hass.config_entries.async_schedule_reload(entry.entry_id)
