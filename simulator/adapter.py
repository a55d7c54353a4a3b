"""A Bluetooth adapter for Home Assistant whose radio is virtual.

It behaves like a Bluetooth proxy: a remote scanner fed with raw advertisements, and a
bleak client backend with a limited number of connection slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
import logging
from typing import Any, Final, Literal
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
from bleak_retry_connector.bluez import Allocations
from bluetooth_data_tools import monotonic_time_coarse
from bumble import att, core, hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt_client import Client as GattClient, ServiceProxy
from bumble.utils import AsyncRunner
from habluetooth import (
    BaseHaRemoteScanner,
    BluetoothScanningMode,
    HaBluetoothConnector,
    get_manager,
)

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from .faults import LinkFaults
from .radio import Radio, RadioHost, RadioMedium

_LOGGER = logging.getLogger(__name__)

CCCD_UUID: Final = "00002902-0000-1000-8000-00805f9b34fb"
MAX_MTU: Final = 517
DEFAULT_MTU: Final = 23
ATT_WRITE_HEADER: Final = 3  # bytes of each packet
CONNECT_TIMEOUT: Final = 20.0  # s
OPERATION_TIMEOUT: Final = 30.0  # s; the ATT transaction timeout
ABANDON_TIMEOUT: Final = 5.0  # s
CANCEL_INTERVAL: Final = 0.01  # s

NO_SLOT: Final = "No free connection slot"

# What proxies call the ends of a link; bleak_retry_connector knows these words.
LINK_ERRORS: Final = {
    0x08: "ESP_GATT_CONN_TIMEOUT",
    0x13: "ESP_GATT_CONN_TERMINATE_PEER_USER",
    0x16: "ESP_GATT_CONN_TERMINATE_LOCAL_HOST",
    0x3E: "ESP_GATT_CONN_FAIL_ESTABLISH",
}

type Detach = Callable[[], Awaitable[None]]


class _Central(Device):
    """A central that outlives attempts to connect that nobody waits for any more."""

    _unwanted: set[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare like any device."""
        super().__init__(*args, **kwargs)
        self._unwanted = set()

    def on_le_connection(
        self, connection_handle: int, *args: Any, **kwargs: Any
    ) -> None:
        """Take a connection, and end at once one that nobody waits for any more.

        Bumble would fail an assertion where the attempt was cancelled some time ago,
        and set the result of a cancelled future where it was in the same turn; both
        raise in the event loop.
        """
        if self.connect_own_address_type is None:
            self._unwanted.add(connection_handle)
            AsyncRunner.spawn(  # type: ignore[no-untyped-call]
                self.host.send_async_command(
                    hci.HCI_Disconnect_Command(
                        connection_handle=connection_handle,
                        reason=hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR,
                    )
                )
            )
            return
        with suppress(asyncio.InvalidStateError):
            super().on_le_connection(connection_handle, *args, **kwargs)

    def on_disconnection(self, connection_handle: int, reason: int) -> None:
        """Tell of the end of a link, unless nobody knew of it."""
        if connection_handle in self._unwanted:
            self._unwanted.discard(connection_handle)
            return
        super().on_disconnection(connection_handle, reason)


class VirtualAdapter:
    """A Bluetooth central with its scanner.

    `source` is the adapter's address, `radio.rssi` how well it hears whom, `links` the
    connected clients by address, `gatt_cache` the services it remembers. Of `faults`
    only those of an adapter apply.
    """

    def __init__(
        self,
        medium: RadioMedium,
        source: str,
        name: str,
        *,
        slots: int = 3,
        mode: Literal["active", "passive", "auto"] = "active",
        faults: LinkFaults | None = None,
    ) -> None:
        """Join the air, still switched off; needs the bluetooth integration set up."""
        self.source = source
        self.name = name
        self.slots = slots
        self.faults = faults or LinkFaults()
        self.links: dict[str, VirtualClient] = {}
        self.gatt_cache: dict[str, BleakGATTServiceCollection] = {}
        # A controller initiates one connection at a time.
        self.connect_lock = asyncio.Lock()
        self.radio = Radio(name, medium, source)
        self.device = _Central(
            config=DeviceConfiguration(
                name=name, address=hci.Address(f"F1{source[2:]}")
            ),
            host=RadioHost(self.radio, self.radio),
        )
        connector = HaBluetoothConnector(
            # Home Assistant only ever calls it, as it does the partials of proxies.
            client=partial(VirtualClient, adapter=self),  # type: ignore[arg-type]
            source=source,
            can_connect=lambda: self.free_slots > 0,
        )
        self.scanner = VirtualScanner(self, connector, BluetoothScanningMode(mode))

    @property
    def free_slots(self) -> int:
        """Return the number of free connection slots."""
        return 0 if self.faults.out_of_slots else self.slots - len(self.links)

    async def attach(
        self,
        hass: HomeAssistant,
        *,
        source_domain: str | None = None,
        source_model: str | None = None,
        source_config_entry_id: str | None = None,
    ) -> Detach:
        """Register with Home Assistant and scan; return how to take it back.

        With a domain and the ID of its config entry the adapter appears in the
        Bluetooth settings, as that of a proxy does.
        """
        unregister = bluetooth.async_register_scanner(
            hass,
            self.scanner,
            source_domain=source_domain,
            source_model=source_model,
            source_config_entry_id=source_config_entry_id,
        )
        unload = self.scanner.async_setup()
        # Last: what is heard before goes nowhere.
        await self.start()

        async def detach() -> None:
            await self.stop()
            unload()
            unregister()

        return detach

    async def start(self) -> None:
        """Power on and scan."""
        await self.device.power_on()
        self.device.host.on("advertising_report", self.scanner.on_report)
        await self.scan(self.scanner.requested_mode is BluetoothScanningMode.ACTIVE)

    async def scan(self, active: bool) -> None:
        """Scan from now on, actively (asking for scan responses) or passively."""
        if not self.device.powered_on:
            return
        if self.device.is_scanning:
            await self.device.stop_scanning(legacy=True)
        await self.device.start_scanning(
            legacy=True, active=active, filter_duplicates=False
        )
        self.scanner.set_current_mode(
            BluetoothScanningMode.ACTIVE if active else BluetoothScanningMode.PASSIVE
        )

    async def stop(self) -> None:
        """Disconnect everybody and power off."""
        if not self.device.powered_on:
            return
        for client in list(self.links.values()):
            with suppress(BleakError, TimeoutError):
                await client.disconnect()
        self.device.host.remove_listener("advertising_report", self.scanner.on_report)
        # Also what is being connected at this moment: a battery notices that nobody is
        # there any more.
        self.radio.link.drop_link(
            self.radio, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        )
        self.radio.leave()
        await self.device.power_off()

    def take_slot(self, client: VirtualClient) -> None:
        """Take a connection slot."""
        if self.free_slots <= 0:
            raise BleakError(f"{self.name}: {NO_SLOT} for {client.address}")
        self.links[client.address] = client
        self._publish_allocations()

    def free_slot(self, client: VirtualClient) -> None:
        """Give a connection slot back, if the client has one."""
        if self.links.get(client.address) is client:
            del self.links[client.address]
            self._publish_allocations()

    def _publish_allocations(self) -> None:
        get_manager().async_on_allocation_changed(self.scanner.get_allocations())


class VirtualScanner(BaseHaRemoteScanner):
    """Feeds what the radio hears to Home Assistant."""

    def __init__(
        self,
        owner: VirtualAdapter,
        connector: HaBluetoothConnector,
        mode: BluetoothScanningMode,
    ) -> None:
        """Belong to an adapter."""
        super().__init__(owner.source, owner.name, connector, True, mode, None)
        self._owner = owner

    # Of adapters that hear a battery equally well, Home Assistant takes the one that
    # comes first in a set. This makes it the same one each time.

    def __hash__(self) -> int:
        """Return a number that is the same in each run."""
        return int(self._owner.source.replace(":", ""), 16)

    def __eq__(self, other: object) -> bool:
        """Return whether it is this very one."""
        return self is other

    def get_allocations(self) -> Allocations:
        """Return the connection slots."""
        owner = self._owner
        return Allocations(
            owner.source, owner.slots, owner.free_slots, list(owner.links)
        )

    async def async_request_active_window(self, duration: float) -> bool:
        """Scan actively for some seconds, as a proxy in automatic mode does."""
        await self._owner.scan(active=True)
        try:
            await asyncio.sleep(duration)
        finally:
            await self._owner.scan(active=False)
        return True

    def on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        """Pass on an advertisement or a scan response."""
        self._async_on_raw_advertisement(
            report.address.to_string(False),
            report.rssi,
            bytes(report.data),
            {"address_type": int(report.address_type)},
            monotonic_time_coarse(),
        )


class VirtualClient(BaseBleakClient):
    """A bleak client backend on a virtual adapter."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice,
        *,
        adapter: VirtualAdapter,
        **kwargs: Any,
    ) -> None:
        """Remember whom to connect to."""
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
        """Return what BlueZ's backend returns and warns of: never the link's own MTU.

        What a link can carry is told by the characteristics alone.
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
        """Return whether the link is up."""
        return self._connection is not None

    @asynccontextmanager
    async def _operation(self) -> AsyncGenerator[GattClient]:
        """Use the link; raise what bleak backends raise."""
        if self._connection is None:
            raise BleakError(f"{self.address}: not connected")
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                yield self._connection.gatt_client
        except asyncio.CancelledError:
            # Bumble cancels the pending request when the link breaks. Nobody has
            # cancelled the caller, so that must not look like it.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise self._link_error() from None
        except att.ATT_Error as err:
            raise BleakGATTProtocolError(int(err.error_code)) from err
        except core.TimeoutError as err:
            raise TimeoutError(str(err)) from err
        except (core.BaseBumbleError, hci.HCI_Error) as err:
            raise BleakError(f"{self.address}: {err}") from err

    def _link_error(self) -> BleakError:
        """Return the error for a link that has ended."""
        reason = self._disconnect_reason
        error = LINK_ERRORS.get(reason, f"reason 0x{reason:02X}")
        return BleakError(f"{self.address}: disconnected, {error}")

    # Link

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
            raise self._link_error()

    async def _establish(self) -> None:
        device = self._adapter.device
        async with self._adapter.connect_lock:
            attempt = asyncio.ensure_future(device.connect(self._peer, timeout=None))
            try:
                # Neither shield() nor Bumble's own timeout: both leave an error that
                # nobody retrieves, which is logged.
                await asyncio.wait({attempt})
            except asyncio.CancelledError:
                # Our timeout, or the caller gave up: the controller must, too.
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
            raise self._link_error()
        self._connection = connection
        _ignore_answers_to_nobody(connection.gatt_client)
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
        self.services = cache[self.address] = self._to_bleak(services)

    def _to_bleak(self, services: list[ServiceProxy]) -> BleakGATTServiceCollection:
        collection = BleakGATTServiceCollection()
        max_write = self._max_write
        for service in services:
            bleak_service = BleakGATTService(
                service, service.handle, _uuid(service.uuid)
            )
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
                        BleakGATTDescriptor(
                            desc, desc.handle, _uuid(desc.type), bleak_char
                        )
                    )
        return collection

    async def _abandon(self) -> None:
        """Give up a connection that is not complete, without a callback."""
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
        _LOGGER.debug("%s: link ended, reason 0x%02X", self.address, reason)
        self._connection = None
        # What the adapter remembers of the services keeps the connection in memory; it
        # shall not keep its user there, too.
        connection.remove_listener(
            Connection.EVENT_DISCONNECTION, self._on_disconnected
        )
        connection.gatt_client.notification_subscribers.clear()
        self._disconnect_reason = reason
        # Nobody has been told of a link that is lost before it is complete.
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
            # The link may have broken just before, which is as good.
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


def _ignore_answers_to_nobody(gatt: GattClient) -> None:
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
