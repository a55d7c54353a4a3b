"""Batteries and Bluetooth adapters around habluetooth, without Home Assistant."""

from __future__ import annotations

import asyncio
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice
import bleak_retry_connector
from habluetooth import BluetoothServiceInfoBleak, get_manager

from simulator.adapter import Detach, Register, VirtualAdapter
from simulator.module import Battery
from simulator.peripheral import Peripheral
from simulator.radio import RadioMedium

CHECK_INTERVAL = 0.01  # s


class RadioEnvironment:
    """Handle for tests; everything in it runs on the virtual radio."""

    def __init__(self, register: Register | None = None) -> None:
        """Start empty; habluetooth's manager must be set up.

        `register` registers the scanner of an adapter, by default with that manager.
        """
        self.medium = RadioMedium()
        self.peripherals: dict[str, Peripheral] = {}
        self.adapters: dict[str, VirtualAdapter] = {}
        self._register = register or get_manager().async_register_scanner
        self._detach: dict[str, Detach] = {}

    async def add_battery(
        self, battery: Battery, *, start: bool = True, **kwargs: Any
    ) -> Peripheral:
        """Put a battery on the air; the keywords are those of `Peripheral`."""
        peripheral = Peripheral(self.medium, battery, **kwargs)
        self.peripherals[peripheral.address] = peripheral
        if start:
            await peripheral.start()
        return peripheral

    async def add_adapter(
        self, source: str = "02:00:00:00:00:01", name: str | None = None, **kwargs: Any
    ) -> VirtualAdapter:
        """Add an adapter; the keywords are those of `VirtualAdapter`."""
        adapter = VirtualAdapter(
            self.medium, source, name or f"proxy-{source[-2:]}", **kwargs
        )
        self.adapters[source] = adapter
        self._detach[source] = await adapter.attach(self._register)
        return adapter

    async def remove_adapter(self, source: str | None = None) -> None:
        """Unplug an adapter, the one that was added last unless named."""
        source = source or [*self.adapters][-1]
        del self.adapters[source]
        await self._detach.pop(source)()

    async def heard(
        self, address: str, *, after: float = 0.0, within: float = 10.0
    ) -> BluetoothServiceInfoBleak:
        """Return the newest advertisement, waiting for the first one.

        `after` asks for one heard later than that loop time; `within` is in seconds.
        """
        async with asyncio.timeout(within):
            # Polled: there is no callback for an unchanged advertisement.
            while (info := self.last_heard(address)) is None or info.time <= after:  # noqa: ASYNC110
                await asyncio.sleep(CHECK_INTERVAL)
        return info

    def last_heard(self, address: str) -> BluetoothServiceInfoBleak | None:
        """Return the newest advertisement, if the stack still counts it."""
        return get_manager().async_last_service_info(address, connectable=True)

    def find_device(self, address: str) -> BLEDevice | None:
        """Return what is connected to, None while no adapter receives it."""
        return get_manager().async_ble_device_from_address(address, connectable=True)

    async def ble_device(self, address: str) -> BLEDevice:
        """Return what is connected to, waiting until it is heard."""
        await self.heard(address)
        device = self.find_device(address)
        assert device is not None
        return device

    async def connect(self, address: str, **kwargs: Any) -> BleakClient:
        """Connect a plain client; the keywords are those of `establish_connection`."""
        return await bleak_retry_connector.establish_connection(
            # habluetooth replaces the class at set-up, so it is looked up late.
            bleak_retry_connector.BleakClientWithServiceCache,
            await self.ble_device(address),
            address,
            **kwargs,
        )

    async def close(self) -> None:
        """Switch everything off."""
        for detach in self._detach.values():
            await detach()
        for peripheral in self.peripherals.values():
            await peripheral.stop()
        self.medium.close()
