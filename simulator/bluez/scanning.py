"""Discovery: which devices BlueZ knows because it has received them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dbus_fast import Variant

from .bus import Bus, BusError, Peer
from .objects import ADAPTER, DEVICE, IN_PROGRESS, device_interfaces, device_path
from simulator.gatt.connection import DEFAULT_RSSI
from simulator.gatt.peripheral import GattPeripheral

TEMPORARY_TIMEOUT: Final = 30.0  # s; BlueZ's default for devices that are not paired


class Discovery:
    """Receives advertisements while at least one client has started discovery.

    `rssi` maps an address to its signal strength in dBm; None is out of range. Scanning
    is active: the simulated BlueZ has no advertisement monitor.
    """

    def __init__(
        self, bus: Bus, adapter: str, is_connected: Callable[[str], bool]
    ) -> None:
        """Prepare; `is_connected` tells whether the device of a path is in use."""
        self.rssi: dict[str, int | None] = {}
        self._bus = bus
        self._adapter = adapter
        self._is_connected = is_connected
        self._received: dict[str, float] = {}
        self._clients: set[Peer] = set()

    def signal_strength(self, address: str) -> int | None:
        """Return the signal strength of a battery in dBm, None if out of range."""
        return self.rssi.get(address, DEFAULT_RSSI)

    def start(self, peer: Peer) -> None:
        """Scan for a client; each can do so once."""
        if peer in self._clients:
            raise BusError(IN_PROGRESS, "Operation already in progress")
        self._clients.add(peer)
        self._show()

    def stop(self, peer: Peer) -> None:
        """Scan no longer for a client."""
        self._clients.discard(peer)
        self._show()

    def _show(self) -> None:
        self._bus.change(
            self._adapter, ADAPTER, Discovering=Variant("b", bool(self._clients))
        )

    def receive(self, peripheral: GattPeripheral) -> None:
        """Report an advertisement."""
        self._remove_expired()
        rssi = self.signal_strength(peripheral.address)
        if rssi is None or not self._clients:
            return
        path = device_path(self._adapter, peripheral.address)
        self.record_seen(path)
        if path in self._bus.objects:
            self._bus.change(path, DEVICE, RSSI=Variant("n", rssi))
        else:
            self._bus.add(path, device_interfaces(peripheral, self._adapter, rssi))

    def record_seen(self, path: str) -> None:
        """Keep the object of a device for a while longer."""
        self._received[path] = asyncio.get_running_loop().time()

    def _remove_expired(self) -> None:
        """Remove devices that were not received for a while [temporary devices]."""
        now = asyncio.get_running_loop().time()
        for path, when in list(self._received.items()):
            if now - when > TEMPORARY_TIMEOUT and not self._is_connected(path):
                del self._received[path]
                self._bus.remove(path)
