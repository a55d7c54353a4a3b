"""Batteries and one local adapter around a Home Assistant, over a simulated BlueZ."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock

from bleak.backends.bluezdbus import manager

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.bluez.daemon import Bluez
from simulator.gatt.peripheral import GattPeripheral
from simulator.module import Battery
from tests.bluetooth_env import BluetoothEnvironment


class BluezEnvironment(BluetoothEnvironment):
    """Handle for tests; everything in it goes over D-Bus.

    `reset` counts how often Home Assistant wanted to reset the adapter.
    """

    def __init__(self, hass: HomeAssistant, bluez: Bluez, reset: AsyncMock) -> None:
        """Start with one adapter; the bluetooth integration must be set up."""
        self.hass = hass
        self.bluez = bluez
        self.reset = reset
        self.medium: Any = bluez.medium
        self.peripherals: dict[str, Any] = {}
        self.adapters: dict[str, Any] = {}

    async def add_battery(
        self, battery: Battery, *, start: bool = True, **kwargs: Any
    ) -> Any:
        """Put a battery on the air; the keywords are those of `GattPeripheral`."""
        peripheral = GattPeripheral(self.medium, battery, **kwargs)
        self.peripherals[peripheral.address] = peripheral
        if start:
            await peripheral.start()
        return peripheral

    async def close(self) -> None:
        """End what uses Bluetooth, then BlueZ."""
        flows = self.hass.config_entries.flow
        for flow in flows.async_progress(include_uninitialized=True):
            flows.async_abort(flow["flow_id"])
        for domain in (DOMAIN, BLUETOOTH_DOMAIN):
            for entry in self.hass.config_entries.async_entries(domain):
                if entry.state is ConfigEntryState.LOADED:
                    await self.hass.config_entries.async_unload(entry.entry_id)
        await self.hass.async_block_till_done()
        # Before BlueZ ends: a reply that is not read would be logged as lost.
        for known in manager._global_instances.values():
            if known._bus is not None:
                known._bus.disconnect()
        await asyncio.sleep(1)
        await self.bluez.stop()
        for peripheral in self.peripherals.values():
            await peripheral.stop()
