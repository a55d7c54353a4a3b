"""A bleak client backend on a virtual adapter, as Home Assistant has for proxies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
import logging
from typing import Any, Final, Protocol
import warnings

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CHARACTERISTIC_PROPERTIES
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble import att, core, hci
from bumble.device import Connection, Device
from bumble.gatt_client import Client as GattClient, ServiceProxy

_LOGGER = logging.getLogger(__name__)

CCCD_UUID: Final = "00002902-0000-1000-8000-00805f9b34fb"
MAX_MTU: Final = 517
DEFAULT_MTU: Final = 23
ATT_WRITE_HEADER: Final = 3  # bytes of each packet
CONNECT_TIMEOUT: Final = 20.0  # s
OPERATION_TIMEOUT: Final = 30.0  # s; the ATT transaction timeout
ABANDON_TIMEOUT: Final = 5.0  # s
CANCEL_INTERVAL: Final = 0.01  # s


# Names of disconnect reasons, as proxies report them to bleak_retry_connector.
DISCONNECT_ERRORS: Final = {
    0x08: "ESP_GATT_CONN_TIMEOUT",
    0x13: "ESP_GATT_CONN_TERMINATE_PEER_USER",
    0x16: "ESP_GATT_CONN_TERMINATE_LOCAL_HOST",
    0x3E: "ESP_GATT_CONN_FAIL_ESTABLISH",
}


class ConnectingScanner(Protocol):
    """A scanner that knows when its adapter connects."""

    def connecting(self) -> AbstractContextManager[None]:
        """Pause scanning while a connection is being established."""


class ClientAdapter(Protocol):
    """What a client needs of its adapter."""

    connect_lock: asyncio.Lock
    gatt_cache: dict[str, BleakGATTServiceCollection]

    @property
    def device(self) -> Device:
        """The Bluetooth central."""

    @property
    def scanner(self) -> ConnectingScanner:
        """The adapter's scanner."""

    def take_slot(self, client: VirtualClient) -> None:
        """Take a connection slot; raises BleakError where none is free."""

    def free_slot(self, client: VirtualClient) -> None:
        """Free the client's connection slot, if it has one."""


class VirtualClient(BaseBleakClient):
    """A bleak client backend on a virtual adapter."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice,
        *,
        adapter: ClientAdapter,
        **kwargs: Any,
    ) -> None:
        """Store the address to connect to."""
        super().__init__(
            address_or_ble_device, **{"timeout": CONNECT_TIMEOUT, **kwargs}
        )
        self._adapter = adapter
        self._connection: Connection | None = None
        self._disconnect_reason = 0
        self._name = address_or_ble_device.name or self.address
        self._peer = hci.Address(
            self.address,
            hci.AddressType(address_or_ble_device.details["address_type"]),
        )

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._name

    @property
    def mtu_size(self) -> int:
        """Return the default MTU and warn, as BlueZ's backend does.

        The usable size is a property of each characteristic.
        """
        warnings.warn("Using default MTU value.", stacklevel=2)
        return DEFAULT_MTU

    @property
    def _max_write(self) -> int:
        """Return how many bytes a write command can carry."""
        mtu = self._connection.att_mtu if self._connection else DEFAULT_MTU
        return mtu - ATT_WRITE_HEADER

    @property
    def is_connected(self) -> bool:
        """Return whether the client is connected."""
        return self._connection is not None

    @asynccontextmanager
    async def _operation(self) -> AsyncGenerator[GattClient]:
        """Use the connection; raise what bleak backends raise."""
        if self._connection is None:
            raise BleakError(f"{self.address}: not connected")
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                yield self._connection.gatt_client
        except asyncio.CancelledError:
            # Bumble cancels the pending request when the connection is lost. The caller
            # was not cancelled, so this must not look like it.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise self._disconnect_error() from None
        except att.ATT_Error as err:
            raise BleakGATTProtocolError(int(err.error_code)) from err
        except core.TimeoutError as err:
            raise TimeoutError(str(err)) from err
        except (core.BaseBumbleError, hci.HCI_Error) as err:
            raise BleakError(f"{self.address}: {err}") from err

    def _disconnect_error(self) -> BleakError:
        """Return the error for a connection that has ended."""
        reason = self._disconnect_reason
        error = DISCONNECT_ERRORS.get(reason, f"reason 0x{reason:02X}")
        return BleakError(f"{self.address}: disconnected, {error}")

    # Connection

    async def connect(
        self,
        pair: bool,
        dangerous_use_bleak_cache: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
        **kwargs: Any,
    ) -> None:
        """Connect, agree on the MTU and discover the services."""
        adapter = self._adapter
        adapter.take_slot(self)
        try:
            async with asyncio.timeout(timeout or self._timeout):
                with adapter.scanner.connecting():
                    await self._establish()
                await self._discover(dangerous_use_bleak_cache)
        except BaseException:
            await self._abandon()
            raise
        if self._connection is None:
            raise self._disconnect_error()

    async def _establish(self) -> None:
        device = self._adapter.device
        async with self._adapter.connect_lock:
            attempt = asyncio.ensure_future(device.connect(self._peer, timeout=None))
            try:
                # Neither shield() nor Bumble's own timeout: both leave an error that
                # is never retrieved, which is logged.
                await asyncio.wait({attempt})
            except asyncio.CancelledError:
                # The attempt was cancelled or timed out: the controller must stop, too.
                await self._cancel(attempt)
                raise
            try:
                connection = attempt.result()
            except core.BaseBumbleError as err:
                raise BleakError(f"{self.address}: {err}") from err
        if device.lookup_connection(connection.handle) is not connection:
            self._disconnect_reason = (
                hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
            )
            raise self._disconnect_error()
        self._connection = connection
        _ignore_late_responses(connection.gatt_client)
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnected)

    async def _cancel(self, attempt: asyncio.Future[Connection]) -> None:
        device = self._adapter.device
        while not attempt.done():
            # Repeated, as the command to connect may still be on its way itself.
            with suppress(core.BaseBumbleError, hci.HCI_Error):
                await device.cancel_connection()  # type: ignore[no-untyped-call]
            await asyncio.wait({attempt}, timeout=CANCEL_INTERVAL)
        if attempt.exception() is None:
            self._connection = attempt.result()

    async def _discover(self, use_cache: bool) -> None:
        cache = self._adapter.gatt_cache
        async with self._operation() as gatt:
            await gatt.request_mtu(MAX_MTU)
            if use_cache and (cached := cache.get(self.address)) is not None:
                self.services = cached
                return
            services = await gatt.discover_services()
            for service in services:
                for char in await gatt.discover_characteristics([], service):
                    await gatt.discover_descriptors(char)
        self.services = cache[self.address] = _bleak_services(services, self._max_write)

    async def _abandon(self) -> None:
        """Disconnect before the connection was reported, without a callback."""
        connection, self._connection = self._connection, None
        self._adapter.free_slot(self)
        if connection is not None:
            with suppress(
                core.BaseBumbleError,
                hci.HCI_Error,
                TimeoutError,
                asyncio.CancelledError,
            ):
                async with asyncio.timeout(ABANDON_TIMEOUT):
                    await connection.disconnect()

    def _on_disconnected(self, reason: int) -> None:
        if (connection := self._connection) is None:
            return
        _LOGGER.debug("%s: disconnected, reason 0x%02X", self.address, reason)
        self._connection = None
        # What the adapter remembers of the services keeps the connection in memory; it
        # must not keep its user there, too.
        connection.remove_listener(
            Connection.EVENT_DISCONNECTION, self._on_disconnected
        )
        connection.gatt_client.notification_subscribers.clear()
        self._disconnect_reason = reason
        # A connection that is lost while it is established was never reported.
        complete, self.services = self.services is not None, None
        self._adapter.free_slot(self)
        if complete and self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """Disconnect, if connected."""
        if (connection := self._connection) is None:
            return
        try:
            async with self._operation():
                await connection.disconnect()
        except BleakError:
            # The connection may have been lost just before.
            if self._connection is not None:
                raise

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: these batteries know no pairing."""
        raise NotImplementedError

    async def unpair(self) -> None:
        """Refuse: these batteries know no pairing."""
        raise NotImplementedError

    async def clear_cache(self) -> bool:
        """Forget the services of the device."""
        self._adapter.gatt_cache.pop(self.address, None)
        return True

    # GATT

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **kwargs: Any,
    ) -> bytearray:
        """Read a characteristic."""
        async with self._operation() as gatt:
            return bytearray(await gatt.read_value(characteristic.handle))

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,
        **kwargs: Any,
    ) -> bytearray:
        """Read a descriptor."""
        async with self._operation() as gatt:
            return bytearray(await gatt.read_value(descriptor.handle))

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Write a characteristic."""
        value = bytes(data)
        if not response and len(value) > self._max_write:
            raise BleakError(f"{len(value)} bytes do not fit into a write command")
        async with self._operation() as gatt:
            await gatt.write_value(characteristic.handle, value, response)

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a descriptor."""
        async with self._operation() as gatt:
            await gatt.write_value(descriptor.handle, bytes(data), True)

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **kwargs: Any,
    ) -> None:
        """Subscribe to a characteristic."""
        if "notify" not in characteristic.properties:
            raise BleakError(f"{characteristic.uuid} does not notify")
        if (cccd := characteristic.get_descriptor(CCCD_UUID)) is None:
            raise BleakError(f"{characteristic.uuid} has no CCCD")
        handle = characteristic.handle
        async with self._operation() as gatt:
            subscribers = gatt.notification_subscribers
            if subscribers.get(handle):
                raise BleakError(f"{characteristic.uuid} notifies already")
            subscribers[handle] = {lambda data: callback(bytearray(data))}
            try:
                await gatt.write_value(cccd.handle, b"\x01\x00", True)
            except BaseException:
                subscribers.pop(handle, None)
                raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe from a characteristic."""
        cccd = characteristic.get_descriptor(CCCD_UUID)
        async with self._operation() as gatt:
            subscribed = gatt.notification_subscribers.pop(characteristic.handle, None)
            if subscribed and cccd is not None:
                await gatt.write_value(cccd.handle, b"\x00\x00", True)


def _ignore_late_responses(gatt: GattClient) -> None:
    """Drop the response to a request whose caller was cancelled in the same turn.

    Bumble would set the result of the cancelled future and raise in the event loop.
    """
    receive = gatt.on_gatt_pdu

    def on_gatt_pdu(pdu: att.ATT_PDU) -> None:
        waiting = gatt.pending_response
        if pdu.op_code in att.ATT_RESPONSES and waiting is not None and waiting.done():
            return
        receive(pdu)

    gatt.on_gatt_pdu = on_gatt_pdu  # type: ignore[method-assign, assignment]


def _uuid(uuid: core.UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))


def _bleak_services(
    services: list[ServiceProxy], max_write: int
) -> BleakGATTServiceCollection:
    """Return discovered services as bleak has them; `max_write` is in bytes."""
    collection = BleakGATTServiceCollection()
    for service in services:
        bleak_service = BleakGATTService(service, service.handle, _uuid(service.uuid))
        collection.add_service(bleak_service)
        for char in service.characteristics:
            bleak_char = BleakGATTCharacteristic(
                char,
                char.handle,
                _uuid(char.uuid),
                [
                    name
                    for mask, name in CHARACTERISTIC_PROPERTIES.items()
                    if int(char.properties) & mask
                ],
                lambda: max_write,
                bleak_service,
            )
            collection.add_characteristic(bleak_char)
            for desc in char.descriptors:
                collection.add_descriptor(
                    BleakGATTDescriptor(desc, desc.handle, _uuid(desc.type), bleak_char)
                )
    return collection
