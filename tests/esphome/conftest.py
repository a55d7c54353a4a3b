"""Fixtures: batteries and proxies around Home Assistant's own `esphome`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
import logging
from typing import Final

import pytest

from homeassistant.core import HomeAssistant

from .environment import EsphomeEnvironment
from .integration import esphome_environment
from simulator.clock import DAY, FastClock

QUIET: Final = ("aioesphomeapi", "bleak_esphome", "habluetooth", "homeassistant")


@pytest.fixture
async def fast_clock(hass: HomeAssistant, fast_clock: FastClock) -> FastClock:
    """Simulate days: asyncio's record of each timer would take most of the time."""
    hass.loop.set_debug(False)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.INFO)
    fast_clock.limit = 3 * DAY
    return fast_clock


@pytest.fixture
async def bluetooth_env(
    fast_clock: FastClock, hass: HomeAssistant, socket_enabled: None
) -> AsyncGenerator[EsphomeEnvironment]:
    """Provide batteries and proxies around Home Assistant's `esphome`."""
    async with esphome_environment(hass) as environment:
        yield environment
