"""A Bluetooth adapter for habluetooth, Home Assistant's stack, whose radio is virtual.

It behaves like a Bluetooth proxy: a remote scanner fed with raw advertisements, and a
bleak client backend with a limited number of connection slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
import logging
from typing import Any, Final, Literal

from bleak.backends.service import BleakGATTServiceCollection
from bleak.exc import BleakError
from bleak_retry_connector.bluez import Allocations
from bluetooth_data_tools import monotonic_time_coarse
from bumble import hci
from bumble.device import Device, DeviceConfiguration
from bumble.utils import AsyncRunner
from habluetooth import (
    BaseHaRemoteScanner,
    BluetoothScanningMode,
    HaBluetoothConnector,
    get_manager,
)

from .bleak_client import VirtualClient
from .faults import ConnectionFaults
from .radio import Radio, RadioHost, RadioMedium, address_text

_LOGGER = logging.getLogger(__name__)

NO_SLOT: Final = "No free connection slot"

type Detach = Callable[[], Awaitable[None]]
type Register = Callable[[BaseHaRemoteScanner], Callable[[], None]]
"""Registers a scanner, and returns how to undo that."""


class _Central(Device):
    """A central that ends connections whose attempt was cancelled.

    `on_report` takes the advertisements and scan responses that it receives.
    """

    on_report: Callable[[hci.HCI_LE_Advertising_Report_Event.Report], None]
    _unwanted: set[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare like any device."""
        super().__init__(*args, **kwargs)
        self._unwanted = set()
        self.on_report = lambda _: None

    def on_advertising_report(
        self, report: hci.HCI_LE_Advertising_Report_Event.Report
    ) -> None:
        """Pass a report on as it is: Bumble would decode and collect it for itself."""
        self.on_report(report)

    def on_le_connection(
        self, connection_handle: int, *args: Any, **kwargs: Any
    ) -> None:
        """Take a connection; end it at once if its attempt was cancelled.

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
        """Report a disconnection, unless the connection was never reported."""
        if connection_handle in self._unwanted:
            self._unwanted.discard(connection_handle)
            return
        super().on_disconnection(connection_handle, reason)


class VirtualAdapter:
    """A Bluetooth central with its scanner.

    `source` is the adapter's address, `radio.rssi` the signal strength by address, `connections` the
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
        faults: ConnectionFaults | None = None,
    ) -> None:
        """Join the medium, still switched off; needs habluetooth's manager set up."""
        self.source = source
        self.name = name
        self.slots = slots
        self.faults = faults or ConnectionFaults()
        self.connections: dict[str, VirtualClient] = {}
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
        return 0 if self.faults.out_of_slots else self.slots - len(self.connections)

    async def attach(self, register: Register) -> Detach:
        """Register the scanner with the stack and scan; return how to undo that."""
        unregister = register(self.scanner)
        unload = self.scanner.async_setup()
        # Last: an advertisement before that would be dropped.
        await self.start()

        async def detach() -> None:
            await self.stop()
            unload()
            unregister()

        return detach

    async def start(self) -> None:
        """Power on and scan."""
        await self.device.power_on()
        self.device.on_report = self.scanner.on_report
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
        """Disconnect all clients and power off."""
        if not self.device.powered_on:
            return
        for client in list(self.connections.values()):
            with suppress(BleakError, TimeoutError):
                await client.disconnect()
        self.device.on_report = lambda _: None
        # Also a connection that is being established: the battery sees a timeout.
        self.radio.link.drop_connection(
            self.radio, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        )
        self.radio.leave()
        await self.device.power_off()

    def take_slot(self, client: VirtualClient) -> None:
        """Take a connection slot."""
        if self.free_slots <= 0:
            raise BleakError(f"{self.name}: {NO_SLOT} for {client.address}")
        self.connections[client.address] = client
        self._publish_allocations()

    def free_slot(self, client: VirtualClient) -> None:
        """Free the connection slot of a client, if it has one."""
        if self.connections.get(client.address) is client:
            del self.connections[client.address]
            self._publish_allocations()

    def _publish_allocations(self) -> None:
        get_manager().async_on_allocation_changed(self.scanner.get_allocations())


class VirtualScanner(BaseHaRemoteScanner):
    """Passes the advertisements that the radio receives to Home Assistant."""

    def __init__(
        self,
        adapter: VirtualAdapter,
        connector: HaBluetoothConnector,
        mode: BluetoothScanningMode,
    ) -> None:
        """Belong to an adapter."""
        super().__init__(adapter.source, adapter.name, connector, True, mode, None)
        self._adapter = adapter

    # Of adapters that receive a battery equally well, Home Assistant selects the first in
    # a set. With this hash it is the same one in each run.

    def __hash__(self) -> int:
        """Return a number that is the same in each run."""
        return int(self._adapter.source.replace(":", ""), 16)

    def __eq__(self, other: object) -> bool:
        """Return whether it is this very one."""
        return self is other

    def get_allocations(self) -> Allocations:
        """Return the connection slots."""
        adapter = self._adapter
        return Allocations(
            adapter.source, adapter.slots, adapter.free_slots, list(adapter.connections)
        )

    async def async_request_active_window(self, duration: float) -> bool:
        """Scan actively for some seconds, as a proxy in automatic mode does."""
        await self._adapter.scan(active=True)
        try:
            await asyncio.sleep(duration)
        finally:
            await self._adapter.scan(active=False)
        return True

    def on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        """Pass on an advertisement or a scan response."""
        self._async_on_raw_advertisement(
            address_text(report.address.address_bytes),
            report.rssi,
            bytes(report.data),
            {"address_type": int(report.address_type)},
            monotonic_time_coarse(),
        )
