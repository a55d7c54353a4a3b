"""Fixtures: a battery behind BlueZ, in simulated time, without Home Assistant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
import sys
import tempfile

from bleak.backends.bluezdbus import manager, version
from bleak_retry_connector import bleak_manager
import pytest
import pytest_socket

from simulator.battery import SimulatedBattery
from simulator.bluez.daemon import Bluez
from simulator.clock import FastClock
from simulator.gatt.peripheral import GattMedium, GattPeripheral

# As an installed package has them: the library under its public name, and the command.
sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))

ADDRESS = "A4:C1:37:00:00:01"


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations() -> None:
    """Set no Home Assistant up for what does not know it."""


@dataclass
class Radio:
    """BlueZ with one adapter, and a battery in range of it."""

    peripheral: GattPeripheral
    battery: SimulatedBattery
    clock: FastClock


@pytest.fixture
async def radio(
    fast_clock: FastClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Radio]:
    """Return a battery that advertises; bleak finds it through its own BlueZ backend."""
    # pytest-socket lets Unix sockets be made, but connected only without restrictions.
    pytest_socket._remove_restrictions()
    asyncio.get_running_loop().set_debug(False)
    find = bleak_manager.get_global_bluez_manager_with_timeout
    monkeypatch.setattr(find, "_has_dbus_socket", True, raising=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bus"
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
        # bleak keeps one manager for each event loop, and asks a program for a version.
        manager._global_instances.clear()
        monkeypatch.setattr(version.BlueZFeatures, "checked_bluez_version", True)
        bluez = Bluez(path, GattMedium())
        await bluez.start()
        battery = SimulatedBattery(
            name="ZT-25.6V100Ah-1238", address=ADDRESS, clock=lambda: 0.0
        )
        peripheral = GattPeripheral(bluez.medium, battery)
        await peripheral.start()
        yield Radio(peripheral, battery, fast_clock)
        for known in manager._global_instances.values():
            if known._bus is not None:
                known._bus.disconnect()
        await asyncio.sleep(1)
        await bluez.stop()
        await peripheral.stop()
