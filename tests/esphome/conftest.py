"""Fixtures: Home Assistant's own ESPHome integration, in simulated time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
import importlib.util
import logging
from pathlib import Path
import sys
from unittest.mock import MagicMock, patch

import pytest

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .environment import ESPHOME, EsphomeEnvironment
from simulator.clock import DAY, FastClock

# What `esphome` depends on for voices; installing these two needs a compiler.
VOICE_PACKAGES = ("pymicro_vad", "pyspeex_noise")
QUIET = ("aioesphomeapi", "bleak_esphome", "habluetooth", "homeassistant")


class _SourceFinder:
    """Finds bleak-esphome's scanner in its source, which lies beside its compiled form.

    The scanner holds its clock in a C variable when it is compiled, so that no other
    clock could be given to it.
    """

    @staticmethod
    def find_spec(
        name: str, path: list[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """Return where the module is."""
        if name != "bleak_esphome.backend.scanner" or path is None:
            return None
        return importlib.util.spec_from_file_location(
            name, Path(path[0]) / "scanner.py"
        )


# Before anything imports it: Home Assistant does when it loads `esphome`.
assert "bleak_esphome.backend.scanner" not in sys.modules
sys.meta_path.insert(0, _SourceFinder)  # type: ignore[arg-type]
for package in VOICE_PACKAGES:
    sys.modules.setdefault(package, MagicMock())


@contextmanager
def no_ffmpeg_needed() -> Generator[None]:
    """Let `esphome` find FFmpeg, which it depends on for voices."""
    with patch("haffmpeg.tools.FFVersion.get_version", return_value="7.0"):
        yield


async def set_up_esphome(hass: HomeAssistant) -> EsphomeEnvironment:
    """Set Home Assistant up as far as proxies need it."""
    for domain in (BLUETOOTH_DOMAIN, "homeassistant", ESPHOME):
        assert await async_setup_component(hass, domain, {})
    await hass.async_block_till_done()
    return EsphomeEnvironment(hass)


@pytest.fixture
async def fast_clock(hass: HomeAssistant, fast_clock: FastClock) -> FastClock:
    """Simulate days: asyncio's record of each timer would take most of the time."""
    hass.loop.set_debug(False)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.INFO)
    fast_clock.limit = 3 * DAY
    return fast_clock


@pytest.fixture
def esphome_sockets(
    socket_enabled: None, mock_async_zeroconf: object
) -> Generator[None]:
    """Let Home Assistant connect to 127.0.0.1."""
    with no_ffmpeg_needed():
        yield


@pytest.fixture
async def bluetooth_env(
    fast_clock: FastClock, hass: HomeAssistant, esphome_sockets: None
) -> AsyncGenerator[EsphomeEnvironment]:
    """Provide batteries and proxies around Home Assistant's `esphome`."""
    environment = await set_up_esphome(hass)
    yield environment
    await environment.close()
    await hass.async_block_till_done()
