"""BlueZ as its D-Bus clients see it: one adapter, devices, and their GATT services."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from dbus_fast import Variant

from .bus import UNKNOWN_METHOD, Bus, BusError, Peer, Result
from .faults import BluezFaults
from .objects import (
    AGENT_MANAGER,
    CHARACTERISTIC,
    DEVICE,
    FAILED,
    IN_PROGRESS,
    NOT_CONNECTED,
    adapter_interfaces,
    device_address,
    gatt_objects,
    service_uuids,
)
from .scanning import Discovery
from simulator.gatt.connection import ATT_HEADER, DEFAULT_MTU, LOCAL_MTU
from simulator.gatt.peripheral import GattMedium, GattPeripheral
from simulator.gatt.services import CCCD, ENABLE_NOTIFICATIONS, ServiceTable

CONNECT_TIMEOUT: Final = 25.0  # s; BlueZ gives up an LE connection after that
RETRY_INTERVAL: Final = 0.5  # s; between two advertisements of a battery
DISCONNECT_LATENCY: Final = 0.1  # s

ABORTED: Final = "le-connection-abort-by-local"


class BluezConnection:
    """A connection of the adapter to a battery."""

    def __init__(self, daemon: Bluez, path: str, peripheral: GattPeripheral) -> None:
        """Prepare a connection before its services are resolved."""
        self.mtu = DEFAULT_MTU
        self.path = path
        self.peripheral = peripheral
        self.table: ServiceTable = peripheral.table
        self.handles: dict[str, int] = {}
        """Handles of the GATT objects, by path."""
        self._daemon = daemon

    def deliver(self, handle: int, data: bytes) -> None:
        """Report a notification."""
        for path, known in self.handles.items():
            if known == handle and CHARACTERISTIC in self._daemon.objects[path]:
                self._daemon.change(path, CHARACTERISTIC, Value=Variant("ay", data))

    def lose(self, _reason: int) -> None:
        """Report that the connection has ended."""
        self._daemon.handle_connection_lost(self)


class Bluez(Bus):
    """The daemon with one adapter.

    `links` holds the connections by address, `calls` counts the methods called.
    """

    service = "org.bluez"

    def __init__(
        self,
        path: Path,
        medium: GattMedium,
        address: str = "00:1A:7D:DA:71:13",
        *,
        connect_latency: float = 0.5,
        discovery_latency: float = 0.8,
    ) -> None:
        """Prepare; latencies are in seconds."""
        super().__init__(path)
        self.medium = medium
        self.address = address
        self.connect_latency = connect_latency
        self.discovery_latency = discovery_latency
        self.faults = BluezFaults()
        self.connections: dict[str, BluezConnection] = {}
        self.calls: Counter[str] = Counter()
        self._attempts: dict[str, asyncio.Task[None]] = {}
        adapter = "/org/bluez/hci0"
        self.discovery = Discovery(self, adapter, self._is_in_use)
        self.objects["/org/bluez"] = {AGENT_MANAGER: {}}
        self.objects[adapter] = adapter_interfaces(address)

    @property
    def rssi(self) -> dict[str, int | None]:
        """Return the signal strengths in dBm, by address; None is out of range."""
        return self.discovery.rssi

    async def start(self) -> None:
        """Listen to clients and to advertisements."""
        await super().start()
        self.medium.receivers.append(self.discovery)

    async def stop(self) -> None:
        """End; all connections are lost."""
        if self.discovery in self.medium.receivers:
            self.medium.receivers.remove(self.discovery)
        for connection in list(self.connections.values()):
            connection.peripheral.leave(connection)
        self.connections.clear()
        await super().stop()

    def handle_disconnected(self, peer: Peer) -> None:
        """End the discovery of a client that is gone; connections stay, as in BlueZ."""
        self.discovery.stop(peer)

    def _is_in_use(self, path: str) -> bool:
        return path in self._attempts or self._find(path) is not None

    def _find(self, path: str) -> BluezConnection | None:
        """Return the connection of a device."""
        return next(
            (one for one in self.connections.values() if one.path == path), None
        )

    # Methods

    async def call(self, peer: Peer, path: str, member: str, body: list[Any]) -> Result:
        """Do what a method does; raise BusError if it fails."""
        self.calls[member] += 1
        match member:
            case "SetDiscoveryFilter" | "RegisterAgent":
                pass
            case "StartDiscovery":
                self.discovery.start(peer)
            case "StopDiscovery":
                self.discovery.stop(peer)
            case "RemoveDevice":
                await self._disconnect(body[0])
                with suppress(KeyError):
                    self.remove(body[0])
            case "Connect":
                await self._connect(path)
            case "Disconnect":
                await self._disconnect(path)
            case "StartNotify" | "StopNotify" | "WriteValue" | "ReadValue":
                return self._operate(path, member, body)
            case _:
                raise BusError(UNKNOWN_METHOD, member)
        return "", []

    async def _connect(self, path: str) -> None:
        if path in self._attempts:
            raise BusError(IN_PROGRESS, "Operation already in progress")
        if self._find(path) is not None:
            return
        self._attempts[path] = asyncio.ensure_future(self._establish(path))
        try:
            await self._attempts[path]
        except asyncio.CancelledError:
            raise BusError(FAILED, ABORTED) from None
        finally:
            self._attempts.pop(path, None)

    async def _establish(self, path: str) -> None:
        faults = self.faults
        if faults.connect_errors:
            name, text = faults.connect_errors.popleft()
            await asyncio.sleep(faults.connect_error_after)
            raise BusError(name, text)
        address = device_address(path)
        peripheral = self.medium.peripherals.get(address)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await asyncio.sleep(self.connect_latency)
                while (  # noqa: ASYNC110
                    peripheral is None
                    or self.discovery.signal_strength(address) is None
                    or not peripheral.is_advertising
                ):
                    await asyncio.sleep(RETRY_INTERVAL)
        except TimeoutError:
            raise BusError(FAILED, ABORTED) from None
        connection = BluezConnection(self, path, peripheral)
        if not peripheral.accept(connection):
            raise BusError(FAILED, ABORTED)
        self.connections[address] = connection
        self.change(path, DEVICE, Connected=Variant("b", True))
        self.create_task(self._resolve(connection))

    async def _resolve(self, connection: BluezConnection) -> None:
        await asyncio.sleep(self.discovery_latency)
        if self.faults.never_resolve > 0:
            self.faults.never_resolve -= 1
            return
        peripheral = connection.peripheral
        if self.connections.get(peripheral.address) is not connection:
            return
        connection.mtu = min(LOCAL_MTU, peripheral.max_mtu)
        connection.table = peripheral.table
        for path, interfaces, handle in gatt_objects(
            connection.path, connection.table, connection.mtu
        ):
            connection.handles[path] = handle
            self.add(path, interfaces)
        self.change(
            connection.path,
            DEVICE,
            ServicesResolved=Variant("b", True),
            UUIDs=service_uuids(connection.table),
        )

    async def _disconnect(self, path: str) -> None:
        if (attempt := self._attempts.get(path)) is not None:
            attempt.cancel()
            return
        if (connection := self._find(path)) is None:
            raise BusError(NOT_CONNECTED, "Not Connected")
        if self.faults.ignore_disconnects > 0:
            self.faults.ignore_disconnects -= 1
            return
        await asyncio.sleep(DISCONNECT_LATENCY)
        connection.peripheral.leave(connection)
        self.handle_connection_lost(connection)

    def handle_connection_lost(self, connection: BluezConnection) -> None:
        """Report that a connection has ended."""
        address = connection.peripheral.address
        if self.connections.get(address) is not connection:
            return
        del self.connections[address]
        self.discovery.record_seen(connection.path)
        self.change(
            connection.path,
            DEVICE,
            ServicesResolved=Variant("b", False),
            Connected=Variant("b", False),
        )
        for path in sorted(connection.handles, reverse=True):
            self.remove(path)

    # GATT operations

    def _operate(self, path: str, member: str, body: list[Any]) -> Result:
        connection = next(
            (one for one in self.connections.values() if path in one.handles), None
        )
        if connection is None:
            raise BusError(FAILED, "Not connected")
        handle = connection.handles[path]
        match member:
            case "StartNotify":
                self._start_notify(connection, path, handle)
            case "StopNotify":
                self.change(path, CHARACTERISTIC, Notifying=Variant("b", False))
            case "WriteValue":
                self._write(connection, handle, bytes(body[0]), body[1].get("type"))
            case "ReadValue":
                value = connection.peripheral.read(connection, handle)
                if isinstance(value, int):
                    raise _att_error(value)
                return "ay", [value]
        return "", []

    def _start_notify(
        self, connection: BluezConnection, path: str, handle: int
    ) -> None:
        if self.faults.notify_errors:
            raise BusError(*self.faults.notify_errors.popleft())
        char = connection.table.find(handle)
        assert char is not None
        (cccd,) = (one for one in char.descriptors if one.uuid == CCCD)
        if error := connection.peripheral.write_descriptor(
            connection, cccd.handle, ENABLE_NOTIFICATIONS
        ):
            raise _att_error(error)
        self.change(path, CHARACTERISTIC, Notifying=Variant("b", True))

    def _write(
        self,
        connection: BluezConnection,
        handle: int,
        data: bytes,
        kind: Variant | None,
    ) -> None:
        if self.faults.write_errors:
            raise BusError(*self.faults.write_errors.popleft())
        size = connection.mtu - ATT_HEADER
        error = connection.peripheral.write(connection, handle, data[:size])
        if error and (kind is None or kind.value == "request"):
            raise _att_error(error)


def _att_error(error: int) -> BusError:
    return BusError(FAILED, f"Operation failed with ATT error: {error:#04x}")
