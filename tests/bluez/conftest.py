"""Fixtures: a local adapter behind BlueZ, in simulated time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
import tempfile
from unittest.mock import AsyncMock, patch

from bleak.backends.bluezdbus import manager, version
from bleak_retry_connector import bleak_manager
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import pytest_socket

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .environment import BluezEnvironment
from simulator.bluez.daemon import Bluez
from simulator.clock import DAY, FastClock
from simulator.gatt.peripheral import GattMedium
from tests.esphome.harness import is_newest


@pytest.fixture(autouse=True, scope="package")
def mock_bluetooth_adapters() -> Generator[None]:
    """Find adapters over D-Bus; the kernel's own interfaces stay closed.

    This stands in for a fixture of the same name, which replaces all adapters.
    """
    bleak_manager.get_global_bluez_manager_with_timeout._has_dbus_socket = True  # type: ignore[attr-defined]
    with (
        patch(
            "habluetooth.channels.bluez.MGMTBluetoothCtl.setup",
            AsyncMock(side_effect=OSError),
        ),
        patch("habluetooth.util.recover_adapter"),
        patch("bluetooth_auto_recovery.recover_adapter"),
        patch(
            "bluetooth_adapters.systems.linux.get_adapters_from_hci", return_value={}
        ),
    ):
        yield
    bleak_manager.get_global_bluez_manager_with_timeout._has_dbus_socket = False  # type: ignore[attr-defined]


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Allow habluetooth 6 a timer of its scanner that it does not cancel."""
    return not is_newest


@pytest.fixture
async def bluetooth_env(
    fast_clock: FastClock, hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[BluezEnvironment]:
    """Set Home Assistant's bluetooth integration up over BlueZ."""
    # pytest-socket lets Unix sockets be made, but connected only without restrictions.
    pytest_socket._remove_restrictions()
    hass.loop.set_debug(False)
    fast_clock.limit = 3 * DAY
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bus"
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
        # bleak keeps one manager for each event loop, and asks a program for a version.
        manager._global_instances.clear()
        monkeypatch.setattr(version.BlueZFeatures, "checked_bluez_version", True)
        bluez = Bluez(path, GattMedium())
        await bluez.start()
        with patch(
            "habluetooth.scanner_bleak.async_reset_adapter",
            AsyncMock(return_value=True),
        ) as reset:
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
