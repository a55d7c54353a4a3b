"""Batteries and ESPHome proxies around a Home Assistant with its real `esphome`.

It has the methods of `tests.bluetooth_env`, so that a test which does not look into the
simulated adapter runs over either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

from pytest_homeassistant_custom_component.common import MockConfigEntry  # type: ignore[import-untyped]

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.esphome.const import ACTIVE, PASSIVE
from simulator.esphome.messages import address_to_int, int_to_address
from simulator.esphome.node import EsphomeNode
from simulator.gatt.peripheral import GattMedium, GattPeripheral
from simulator.module import Battery
from tests.bluetooth_env import BluetoothEnvironment

ESPHOME: Final = "esphome"


class _GattCache(MutableMapping[str, Any]):
    """The services that bleak-esphome has cached, by address."""

    def __init__(self, services: MutableMapping[int, Any]) -> None:
        self._services = services

    def __getitem__(self, address: str) -> Any:
        return self._services[address_to_int(address)]

    def __setitem__(self, address: str, services: Any) -> None:
        self._services[address_to_int(address)] = services

    def __delitem__(self, address: str) -> None:
        del self._services[address_to_int(address)]

    def __iter__(self) -> Iterator[str]:
        # The cache is an LRU that is not iterable itself.
        return iter([int_to_address(number) for number in self._services.keys()])  # noqa: SIM118

    def __len__(self) -> int:
        return len(self._services)


class Proxy(EsphomeNode):
    """A proxy with its config entry, and the attributes of a simulated adapter."""

    hass: HomeAssistant
    entry: MockConfigEntry

    @property
    def radio(self) -> Any:
        """Return what holds the signal strengths, by address."""
        return SimpleNamespace(rssi=self.ble_scanner.rssi)

    @property
    def rssi(self) -> dict[str, int | None]:
        """Return the signal strengths in dBm, by address; None is out of range."""
        return self.ble_scanner.rssi

    @property
    def gatt_cache(self) -> _GattCache:
        """Return what Home Assistant caches as long as the proxy is connected."""
        cache = self.entry.runtime_data.bluetooth_device.cache
        return _GattCache(cache._gatt_services_cache)

    def _publish_allocations(self) -> None:
        self.publish_slots()

    @property
    def scanner(self) -> Any:
        """Return Home Assistant's scanner, None while the proxy is not connected."""
        return bluetooth.async_scanner_by_source(self.hass, self.source)


class EsphomeEnvironment(BluetoothEnvironment):
    """Handle for tests; everything in it goes through TCP."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start empty; `esphome` must be set up."""
        self.hass = hass
        self.medium: Any = GattMedium()
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

    async def add_adapter(
        self,
        source: str = "02:00:00:00:00:01",
        name: str | None = None,
        *,
        wait: bool = True,
        connectable: bool = True,
        mode: str | None = None,
        encryption_key: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Add a proxy and its config entry; the keywords are those of `EsphomeNode`.

        `mode` is the scanning mode that the user has chosen for the proxy.
        """
        if "faults" in kwargs:
            raise TypeError("a proxy has faults of its own")
        node = Proxy(
            self.medium,
            name or f"proxy-{source[-2:]}",
            # The address on Bluetooth is two more.
            f"{source[:-2]}{int(source[-2:], 16) - 2 & 0xFF:02X}",
            source=source,
            features=ACTIVE if connectable else PASSIVE,
            encryption_key=encryption_key,
            **kwargs,
        )
        node.hass = self.hass
        self.adapters[source] = node
        await node.start()
        node.entry = MockConfigEntry(
            domain=ESPHOME,
            title=node.name,
            data={
                "host": "127.0.0.1",
                "port": node.port,
                "password": "",
                "noise_psk": encryption_key or "",
                "device_name": node.name,
            },
            options={
                "allow_service_calls": False,
                **({} if mode is None else {"bluetooth_scanning_mode": mode}),
            },
            unique_id=node.mac.lower(),
        )
        node.entry.add_to_hass(self.hass)
        assert await self.hass.config_entries.async_setup(node.entry.entry_id)
        if wait:
            await self.wait_online(node)
        return node

    async def wait_online(self, node: Proxy, within: float = 120.0) -> None:
        """Wait until Home Assistant uses a proxy; `within` is in seconds."""
        async with asyncio.timeout(within):
            while not node.is_subscribed or node.scanner is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def remove_adapter(self, source: str | None = None) -> None:
        """Remove a proxy's config entry, and switch it off."""
        node = self.adapters.pop(source or [*self.adapters][-1])
        await self.hass.config_entries.async_remove(node.entry.entry_id)
        await node.stop()

    async def close(self) -> None:
        """End what uses Bluetooth, then the proxies."""
        flows = self.hass.config_entries.flow
        for flow in flows.async_progress(include_uninitialized=True):
            with suppress(Exception):
                flows.async_abort(flow["flow_id"])
        for domain in (DOMAIN, ESPHOME):
            for entry in self.hass.config_entries.async_entries(domain):
                if entry.state is ConfigEntryState.LOADED:
                    await self.hass.config_entries.async_unload(entry.entry_id)
        await self.hass.async_block_till_done()
        for node in self.adapters.values():
            await node.stop()
        for peripheral in self.peripherals.values():
            await peripheral.stop()
