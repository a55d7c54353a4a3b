"""The demo's local adapter: a simulated BlueZ in the process of Home Assistant.

Home Assistant asks for BlueZ once, early in its start, so BlueZ is there before that.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from homeassistant import bootstrap

from .server import BUS_ADDRESS, BUS_TRANSPORT
from simulator.bluez.daemon import Bluez
from simulator.gatt.peripheral import GattMedium

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.runner import RuntimeConfig

_running: list[Bluez] = []


def bluez() -> Bluez | None:
    """Return the simulated BlueZ of this process, None where there is none."""
    return _running[0] if _running else None


def start_before_home_assistant() -> None:
    """Have BlueZ start with Home Assistant, in the same event loop."""
    set_up = bootstrap.async_setup_hass

    async def async_setup_hass(
        runtime_config: RuntimeConfig,
    ) -> HomeAssistant | None:
        path = Path(os.environ[BUS_ADDRESS].removeprefix(BUS_TRANSPORT))
        daemon = Bluez(path, GattMedium())
        await daemon.start()
        _running.append(daemon)
        hass = await set_up(runtime_config)
        # A collection through all of it may take so long on a busy machine that Home
        # Assistant calls the entity slow that is updated meanwhile.
        gc.freeze()
        return hass

    bootstrap.async_setup_hass = async_setup_hass
