"""Home Assistant's own Bluetooth integration with one adapter behind BlueZ."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
import os
from pathlib import Path
import tempfile
from typing import Final
from unittest.mock import AsyncMock, patch

from bleak.backends.bluezdbus import manager, version
from bleak_retry_connector import bleak_manager
from bluetooth_adapters.systems.linux import LinuxAdapters
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .environment import BluezEnvironment
from simulator.bluez.daemon import Bluez
from simulator.gatt.peripheral import GattMedium

# As imported, before any test runs.
_REFRESH: Final = LinuxAdapters.refresh
_ADAPTERS: Final = LinuxAdapters.__dict__["adapters"]


@contextmanager
def adapters_over_dbus() -> Generator[None]:
    """Find adapters over D-Bus only; the kernel's own interfaces stay closed."""
    get_manager = bleak_manager.get_global_bluez_manager_with_timeout
    with (
        patch.object(get_manager, "_has_dbus_socket", True, create=True),
        patch(
            "habluetooth.channels.bluez.MGMTBluetoothCtl.setup",
            AsyncMock(side_effect=OSError),
        ),
        patch("habluetooth.util.recover_adapter"),
        patch("bluetooth_auto_recovery.recover_adapter"),
        patch(
            "bluetooth_adapters.systems.linux.get_adapters_from_hci", return_value={}
        ),
        # Other tests of this process may have replaced all adapters for the session.
        patch.object(LinuxAdapters, "refresh", _REFRESH),
        patch.object(LinuxAdapters, "adapters", _ADAPTERS),
    ):
        yield


@asynccontextmanager
async def bluez_environment(hass: HomeAssistant) -> AsyncGenerator[BluezEnvironment]:
    """Set `bluetooth` up over BlueZ, inside of `adapters_over_dbus`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bus"
        # bleak keeps one manager for each event loop.
        manager._global_instances.clear()
        bluez = Bluez(path, GattMedium())
        await bluez.start()
        with (
            patch.dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={path}"),
            # bleak asks a program for the version of BlueZ.
            patch.object(version.BlueZFeatures, "checked_bluez_version", True),
            patch(
                "habluetooth.scanner_bleak.async_reset_adapter",
                AsyncMock(return_value=True),
            ) as reset,
        ):
            assert await async_setup_component(hass, BLUETOOTH_DOMAIN, {})
            await hass.async_block_till_done()
            entry = MockConfigEntry(
                domain=BLUETOOTH_DOMAIN,
                title="hci0",
                unique_id=bluez.address,
                options={},
            )
            entry.add_to_hass(hass)
            assert await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done()
            environment = BluezEnvironment(hass, bluez, reset)
            yield environment
            await environment.close()
            await hass.async_block_till_done()
