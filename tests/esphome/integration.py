"""Home Assistant's own ESPHome integration, in simulated time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib.machinery import ModuleSpec
import importlib.util
from pathlib import Path
import sys
from typing import Final
from unittest.mock import AsyncMock, MagicMock, patch

from zeroconf import Zeroconf
from zeroconf._cache import DNSCache
from zeroconf.asyncio import AsyncZeroconf

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .environment import ESPHOME, EsphomeEnvironment

# What `esphome` depends on for voices; installing these two needs a compiler.
VOICE_PACKAGES: Final = ("pymicro_vad", "pyspeex_noise")
SCANNER: Final = "bleak_esphome.backend.scanner"


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
        if name != SCANNER or path is None:
            return None
        return importlib.util.spec_from_file_location(
            name, Path(path[0]) / "scanner.py"
        )


# Before anything imports it: Home Assistant does when it loads `esphome`.
assert SCANNER not in sys.modules
sys.meta_path.insert(0, _SourceFinder)  # type: ignore[arg-type]
for package in VOICE_PACKAGES:
    sys.modules.setdefault(package, MagicMock())


@contextmanager
def _stubbed_dependencies() -> Generator[None]:
    """Let `esphome` start without FFmpeg and without mDNS on the real network."""
    with (
        patch("haffmpeg.tools.FFVersion.get_version", return_value="7.0"),
        patch("homeassistant.components.zeroconf.HaZeroconf"),
        patch(
            "homeassistant.components.zeroconf.HaAsyncZeroconf", spec=AsyncZeroconf
        ) as zeroconf,
    ):
        instance = zeroconf.return_value
        instance.zeroconf = MagicMock(spec=Zeroconf)
        instance.zeroconf.done = False
        # Its type is checked by compiled code.
        instance.zeroconf.cache = DNSCache()
        for method in ("async_close", "ha_async_close"):
            setattr(instance, method, AsyncMock())
        instance.zeroconf.async_wait_for_start = AsyncMock()
        yield


@asynccontextmanager
async def esphome_environment(
    hass: HomeAssistant,
) -> AsyncGenerator[EsphomeEnvironment]:
    """Set Home Assistant up as far as proxies need it; sockets must be allowed."""
    with _stubbed_dependencies():
        for domain in (BLUETOOTH_DOMAIN, "homeassistant", ESPHOME):
            assert await async_setup_component(hass, domain, {})
        await hass.async_block_till_done()
        environment = EsphomeEnvironment(hass)
        yield environment
        await environment.close()
        await hass.async_block_till_done()
