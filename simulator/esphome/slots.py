"""The connection slots of a proxy, and how connections are made and ended.

- A slot is reserved when a connection is requested, not when it is established, and is
  reported with the address that holds it.
- Without a cache, `connected` is reported when MTU and services are known. With a cache
  it is reported at once with an MTU of 23, and the exchange continues meanwhile.
- One connection is made at a time. The only time limit is that of the stack (20 s).
- Without a subscriber all connections end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .api import ApiServer, ApiSession, Handlers
from .const import (
    CONNECTION_CANCELED,
    CONNECTION_TIMEOUT,
    DISCONNECT_TIMEOUT,
    ESTABLISH_TIMEOUT,
    FAILED_TO_ESTABLISH,
    NOT_CONNECTED,
    TERMINATED_BY_HOST,
)
from .faults import NodeFaults
from .messages import Message, address_to_int, int_to_address, pb
from .scanning import Scanner
from simulator.gatt.connection import DEFAULT_MTU, LOCAL_MTU
from simulator.gatt.peripheral import GattMedium, GattPeripheral
from simulator.gatt.services import ServiceTable

RETRY_INTERVAL: Final = 0.5  # s; between two advertisements of a battery
REFUSAL_LATENCY: Final = 1.0  # s
DISCONNECT_LATENCY: Final = 0.1  # s
NEVER: Final = 3600.0  # s; longer than any client waits

_CONNECT: Final = "CONNECT_V3_WITHOUT_CACHE"
_CONNECT_CACHED: Final = "CONNECT_V3_WITH_CACHE"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionOptions:
    """How connections of a proxy behave; latencies in seconds."""

    caches_services: bool = True
    """The stack keeps services in flash, until it is told to clear its cache."""
    cancels_open: bool = True
    """False as before ESP-IDF 5.5.5: a connection in the making cannot be canceled."""
    connect_latency: float = 0.3
    mtu_latency: float = 0.06
    discovery_latency: float = 0.6


class SlotState(Enum):
    """What a slot is doing."""

    FREE = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    """The connection is established; MTU and services are not known yet."""
    ESTABLISHED = auto()
    DISCONNECTING = auto()


class Slot:
    """One connection of the proxy [BluetoothConnection]."""

    def __init__(self) -> None:
        """Start free."""
        self.state = SlotState.FREE
        self.address = ""
        self.with_cache = False
        self.table: ServiceTable | None = None
        """Services that were not reported yet."""
        self.registered: set[int] = set()
        """Handles whose notifications are passed on."""
        self.connection: ProxyConnection | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Return whether GATT operations are possible."""
        return self.connection is not None and self.state in (
            SlotState.CONNECTED,
            SlotState.ESTABLISHED,
        )


class ProxyConnection:
    """The connection of a slot to a battery."""

    def __init__(self, pool: SlotPool, slot: Slot, peripheral: GattPeripheral) -> None:
        """Prepare a connection before its MTU is known."""
        self.mtu = DEFAULT_MTU
        self.peripheral = peripheral
        self._pool = pool
        self._slot = slot

    def deliver(self, handle: int, data: bytes) -> None:
        """Pass a notification on, if the client registered for it."""
        if self._slot.connection is self and handle in self._slot.registered:
            self._pool.send_notification(self._slot, handle, data)

    def lose(self, reason: int) -> None:
        """Report that the connection has ended."""
        if self._slot.connection is self:
            self._pool.handle_connection_lost(self._slot, reason)


class SlotPool:
    """All slots of a proxy; `flash` holds the services that the stack has cached."""

    def __init__(
        self,
        api: ApiServer,
        medium: GattMedium,
        scanner: Scanner,
        faults: NodeFaults,
        options: ConnectionOptions,
        *,
        slots: int,
    ) -> None:
        """Start with free slots."""
        self.flash: dict[str, ServiceTable] = {}
        self.options = options
        self._api = api
        self._medium = medium
        self._scanner = scanner
        self._faults = faults
        self._slots = [Slot() for _ in range(slots)]
        self._connecting = asyncio.Lock()

    @property
    def handlers(self) -> Handlers:
        """Return what handles which message."""
        return {
            "SubscribeBluetoothConnectionsFreeRequest": self._handle_subscribe,
            "BluetoothDeviceRequest": self._handle_device_request,
        }

    @property
    def is_connecting(self) -> bool:
        """Return whether a connection is being made."""
        return self._connecting.locked()

    @property
    def used(self) -> dict[str, Slot]:
        """Return the slots in use, by the address that holds them."""
        return {
            slot.address: slot
            for slot in self._slots
            if slot.state is not SlotState.FREE
        }

    @property
    def size(self) -> int:
        """Return the number of slots; setting it removes none that is in use."""
        return len(self._slots)

    @size.setter
    def size(self, wanted: int) -> None:
        free = [slot for slot in self._slots if slot.state is SlotState.FREE]
        while len(self._slots) > wanted and free:
            self._slots.remove(free.pop())
        self._slots += [Slot() for _ in range(wanted - len(self._slots))]
        self.publish()

    @property
    def free(self) -> int:
        """Return the number of free slots."""
        return 0 if self._faults.out_of_slots else self.size - len(self.used)

    def find(self, address: str) -> Slot | None:
        """Return the slot that holds an address."""
        return next((slot for slot in self._slots if slot.address == address), None)

    def publish(self) -> None:
        """Report how many slots are free [send_connections_free]."""
        self._api.send(self._connections_free())

    def send_notification(self, slot: Slot, handle: int, data: bytes) -> None:
        """Pass a notification of a battery on."""
        self._api.send(
            pb.BluetoothGATTNotifyDataResponse(
                address=address_to_int(slot.address), handle=handle, data=data
            )
        )

    def release_all(self) -> None:
        """Lose all connections without a word, as when the power is cut."""
        for slot in self._slots:
            self._free(slot)

    def disconnect_all(self) -> None:
        """End all connections, as when no subscriber is left to use them."""
        for slot in self._slots:
            self._disconnect(slot)

    # Reports

    def _connections_free(self) -> Message:
        allocated = [address_to_int(address) for address in self.used]
        if self._faults.out_of_slots:
            # Addresses of devices that others use.
            allocated += range(1, 1 + self.size - len(allocated))
        return pb.BluetoothConnectionsFreeResponse(
            free=self.size - len(allocated), limit=self.size, allocated=allocated
        )

    def _send_connection(
        self, address: str, connected: bool, mtu: int = 0, error: int = 0
    ) -> None:
        self._api.record(f"{address} connected={connected} mtu={mtu} error=0x{error:X}")
        if not connected and self._faults.lose_disconnects > 0:
            self._faults.lose_disconnects -= 1
            return
        self._api.send(
            pb.BluetoothDeviceConnectionResponse(
                address=address_to_int(address),
                connected=connected,
                mtu=mtu,
                error=error,
            )
        )

    # Requests

    def _handle_subscribe(self, session: ApiSession, _message: Message) -> None:
        session.send(self._connections_free())

    def _handle_device_request(self, _session: ApiSession, message: Message) -> None:
        """[bluetooth_device_request]."""
        kind = pb.BluetoothDeviceRequestType.Name(message.request_type)
        kind = kind.removeprefix("BLUETOOTH_DEVICE_REQUEST_TYPE_")
        address = int_to_address(message.address)
        self._api.requests[kind] += 1
        self._api.record(f"{address} {kind}")
        match kind:
            case "CONNECT_V3_WITH_CACHE" | "CONNECT_V3_WITHOUT_CACHE":
                self._connect(address, with_cache=kind == _CONNECT_CACHED)
            case "DISCONNECT" if (slot := self.find(address)) is not None:
                self._disconnect(slot)
            case "DISCONNECT":
                self._send_connection(address, False)
                self.publish()
            case "PAIR":
                self._api.send(
                    pb.BluetoothDevicePairingResponse(
                        address=message.address, paired=False, error=NOT_CONNECTED
                    )
                )
            case "UNPAIR":
                self._api.send(
                    pb.BluetoothDeviceUnpairingResponse(
                        address=message.address, success=True
                    )
                )
            case "CLEAR_CACHE":
                self._clear_cache(address)
            case _:  # CONNECT: removed from the firmware
                self._send_connection(address, False)

    def _clear_cache(self, address: str) -> None:
        if self._faults.ignore_clear_cache > 0:
            self._faults.ignore_clear_cache -= 1
            return
        self.flash.pop(address, None)
        self._api.send(
            pb.BluetoothDeviceClearCacheResponse(
                address=address_to_int(address), success=True
            )
        )

    def _connect(self, address: str, *, with_cache: bool) -> None:
        slot = self.find(address)
        if slot is None and self.free:
            slot = next(one for one in self._slots if one.state is SlotState.FREE)
        if slot is None:
            self._send_connection(address, False)  # and no more than that
            return
        if slot.is_usable and slot.connection is not None:
            # Also if an earlier client made the connection.
            self._send_connection(address, True, slot.connection.mtu)
            self.publish()
            return
        if slot.state is not SlotState.FREE:
            return  # the firmware does not answer
        slot.address = address
        slot.state = SlotState.CONNECTING
        slot.with_cache = with_cache
        slot.table = None
        slot.registered.clear()
        self.publish()
        slot.task = self._api.create_task(self._establish(slot))

    # Connections

    async def _establish(self, slot: Slot) -> None:
        async with self._connecting:
            error = await self._open(slot)
        if error:
            self._report_end(slot, error)
            return
        slot.state = SlotState.CONNECTED
        if slot.with_cache:
            slot.state = SlotState.ESTABLISHED
            self._send_connection(slot.address, True, DEFAULT_MTU)
            self.publish()
        connection = slot.connection
        assert connection is not None
        await asyncio.sleep(self.options.mtu_latency)
        connection.mtu = min(LOCAL_MTU, connection.peripheral.max_mtu)
        if slot.with_cache:
            return
        slot.table = await self._discover(connection.peripheral)
        slot.state = SlotState.ESTABLISHED
        self._send_connection(slot.address, True, connection.mtu)
        self.publish()

    async def _discover(self, peripheral: GattPeripheral) -> ServiceTable:
        """Return the services, from the flash if the stack keeps them there."""
        known = self.flash.get(peripheral.address)
        if known is None or not self.options.caches_services:
            await asyncio.sleep(self.options.discovery_latency)
            known = peripheral.table
            if self.options.caches_services:
                self.flash[peripheral.address] = known
        return known

    async def _open(self, slot: Slot) -> int:
        """Make the connection; return the error, 0 for none."""
        faults = self._faults
        if faults.ignore_connects > 0:
            faults.ignore_connects -= 1
            await asyncio.sleep(NEVER)
        if faults.connect_errors:
            error = faults.connect_errors.popleft()
            await asyncio.sleep(faults.connect_error_after)
            return error
        peripheral = self._medium.peripherals.get(slot.address)
        try:
            async with asyncio.timeout(ESTABLISH_TIMEOUT):
                await asyncio.sleep(self.options.connect_latency)
                while (  # noqa: ASYNC110
                    peripheral is None
                    or self._scanner.signal_strength(peripheral) is None
                    or not peripheral.is_advertising
                ):
                    await asyncio.sleep(RETRY_INTERVAL)
        except TimeoutError:
            return CONNECTION_CANCELED
        connection = ProxyConnection(self, slot, peripheral)
        if not peripheral.accept(connection):
            await asyncio.sleep(REFUSAL_LATENCY)
            return FAILED_TO_ESTABLISH
        slot.connection = connection
        return 0

    def _disconnect(self, slot: Slot) -> None:
        """[BluetoothConnection::disconnect]."""
        if slot.state in (SlotState.FREE, SlotState.DISCONNECTING):
            return
        was_connecting = slot.state is SlotState.CONNECTING
        slot.state = SlotState.DISCONNECTING
        if slot.task is not None:
            slot.task.cancel()
        latency, error = DISCONNECT_LATENCY, TERMINATED_BY_HOST
        if was_connecting:
            error = CONNECTION_CANCELED
            if not self.options.cancels_open:
                latency, error = DISCONNECT_TIMEOUT, CONNECTION_TIMEOUT
        slot.task = self._api.create_task(self._close(slot, error, latency))

    async def _close(self, slot: Slot, error: int, latency: float) -> None:
        await asyncio.sleep(latency)
        self._report_end(slot, error)

    def handle_connection_lost(self, slot: Slot, reason: int) -> None:
        """Handle that a battery has disconnected or is gone."""
        slot.connection = None
        if slot.task is not None and slot.task is not asyncio.current_task():
            slot.task.cancel()
        self._report_end(slot, reason)

    def _report_end(self, slot: Slot, error: int) -> None:
        """[reset_connection_slot_]."""
        address = slot.address
        self._free(slot)
        self._send_connection(address, False, 0, error)
        self.publish()

    def _free(self, slot: Slot) -> None:
        connection, slot.connection = slot.connection, None
        if connection is not None:
            connection.peripheral.leave(connection)
        task, slot.task = slot.task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        slot.state = SlotState.FREE
        slot.address = ""
        slot.table = None
        slot.registered.clear()
