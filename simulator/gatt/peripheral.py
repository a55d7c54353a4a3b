"""A battery's Bluetooth module as adapters see it: advertisements, GATT, one connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from math import isinf
from typing import Protocol

from .connection import ATT_HEADER, Connection
from .services import (
    ENABLE_NOTIFICATIONS,
    INVALID_HANDLE,
    REQUEST_NOT_SUPPORTED,
    SERVICE_TABLES,
    WRITE_NOT_PERMITTED,
)
from simulator.faults import ARRIVAL, ConnectionFaults
from simulator.module import (
    READ_BUFFER,
    SUPERVISION_TIMEOUT,
    TERMINATED_BY_PEER,
    Battery,
    BatteryModule,
)


class Receiver(Protocol):
    """An adapter that scans."""

    def receive(self, peripheral: GattPeripheral) -> None:
        """Handle one advertisement."""


class GattMedium:
    """All adapters and batteries; each adapter knows how well it receives a battery."""

    def __init__(self) -> None:
        """Start without batteries and adapters."""
        self.receivers: list[Receiver] = []
        self.peripherals: dict[str, GattPeripheral] = {}


@dataclass(slots=True)
class _State:
    """What a module is doing."""

    is_on: bool = False
    held_by_phone: bool = False
    connection: Connection | None = None
    subscribed: bool = False


class GattPeripheral(BatteryModule):
    """A battery that adapters can receive and connect to.

    It takes one connection and does not advertise while that lasts. It has the public
    attributes of `simulator.peripheral.Peripheral`. `table` holds its services; replace
    it while the battery is off, as an update of the module would.
    """

    def __init__(
        self,
        medium: GattMedium,
        battery: Battery,
        *,
        advertising_interval: float = 1.0,
        max_mtu: int | None = None,
        name_in_scan_response: bool = False,
        reply_latency: float = 0.1,
        profile: str | None = None,
        faults: ConnectionFaults | None = None,
    ) -> None:
        """Prepare a battery that is still switched off."""
        super().__init__(
            battery,
            advertising_interval=advertising_interval,
            max_mtu=max_mtu,
            name_in_scan_response=name_in_scan_response,
            reply_latency=reply_latency,
            profile=profile,
            faults=faults,
        )
        self.medium = medium
        self.table = SERVICE_TABLES[profile or f"v{battery.generation}"]
        self._state = _State()
        self._timer: asyncio.TimerHandle | None = None
        medium.peripherals[self.address] = self

    @property
    def is_on(self) -> bool:
        """Return whether the module has power."""
        return self._state.is_on

    @property
    def is_connected(self) -> bool:
        """Return whether an adapter holds the connection."""
        return self._state.connection is not None

    @property
    def is_advertising(self) -> bool:
        """Return whether it can be received and connected to now."""
        state = self._state
        return (
            state.is_on
            and self._advertising.is_in_range
            and state.connection is None
            and not state.held_by_phone
        )

    # Power and presence

    async def start(self) -> None:
        """Switch the module on."""
        self._state.is_on = True
        if self._timer is not None:
            self._timer.cancel()
        self._advertise()

    async def stop(self) -> None:
        """Switch the module off; a connection is lost."""
        self._state.is_on = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.drop_connection()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def power_cycle(self, off_for: float = 5.0) -> None:
        """Switch the battery off and, after `off_for` seconds, on again."""
        await self.stop()
        if (power_cycle := getattr(self.battery, "power_cycle", None)) is not None:
            power_cycle()
        if isinf(off_for):
            return
        await asyncio.sleep(off_for)
        await self.start()

    async def silence(self) -> None:
        """Stop advertising, as out of range; an existing connection stays."""
        self._advertising.is_in_range = False

    async def advertise(self) -> None:
        """Advertise again; while connected, after the connection has ended."""
        self._advertising.is_in_range = True

    async def occupy(self) -> None:
        """Let a phone app connect and keep the connection."""
        if not self.is_advertising:
            raise RuntimeError(f"{self.name} cannot be connected to now")
        self._state.held_by_phone = True

    async def vacate(self) -> None:
        """Let the phone disconnect."""
        self._state.held_by_phone = False

    def drop_connection(self, reason: int = SUPERVISION_TIMEOUT) -> None:
        """Lose the connection, if there is one, for an HCI reason."""
        connection = self._state.connection
        self._clear_connection()
        if connection is not None:
            connection.lose(reason)

    # Advertising

    def advertisement(self) -> tuple[bytes, bytes]:
        """Return the advertising data and the scan response."""
        return self._advertising.payload(self.battery, self.profile)

    def _advertise(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(
            self._advertising.interval, self._advertise
        )
        if self.is_advertising:
            for receiver in list(self.medium.receivers):
                receiver.receive(self)

    # The connection

    def accept(self, connection: Connection) -> bool:
        """Take a connection; return False if it is refused and nothing has changed."""
        if not self.is_advertising or self.faults.take("refuse_connection"):
            return False
        self._state.connection = connection
        self.traffic.connections += 1
        if self.faults.take("disconnect_on_connect"):
            self._drop_later(ARRIVAL, TERMINATED_BY_PEER)
        return True

    def leave(self, connection: Connection) -> None:
        """Handle that the adapter has disconnected."""
        if self._state.connection is connection:
            self._clear_connection()

    def _clear_connection(self) -> None:
        self._state.connection = None
        self._state.subscribed = False
        self.faults.held = b""

    def read(self, connection: Connection, handle: int) -> bytes | int:
        """Return a value, or the ATT error."""
        if self._state.connection is not connection or self.table.find(handle) is None:
            return INVALID_HANDLE
        if handle == self.table.write:
            return self.writes[-1].data if self.writes else b""
        return bytes(READ_BUFFER)

    def write_descriptor(self, connection: Connection, handle: int, data: bytes) -> int:
        """Handle a write to a descriptor; return the ATT error, 0 for none."""
        state, table = self._state, self.table
        if state.connection is not connection or not table.is_descriptor(handle):
            return INVALID_HANDLE if table.find(handle) is None else WRITE_NOT_PERMITTED
        if handle != table.cccd:
            return 0
        if data == ENABLE_NOTIFICATIONS and self.faults.take("refuse_subscription"):
            return REQUEST_NOT_SUPPORTED
        state.subscribed = data == ENABLE_NOTIFICATIONS
        if state.subscribed and self.faults.take("disconnect_on_subscribe"):
            self._drop_later(0.0, SUPERVISION_TIMEOUT)
        return 0

    def write(self, connection: Connection, handle: int, data: bytes) -> int:
        """Handle a write; return the ATT error of a request, 0 for none."""
        if self._state.connection is not connection or self.table.find(handle) is None:
            return INVALID_HANDLE
        if handle != self.table.write:
            return 0  # the second service accepts everything and never replies
        reply, outage = self._handle_write(data)
        if reply is not None or outage is not None:
            self._create_task(self._respond(connection, reply, outage))
        return 0

    async def _respond(
        self, connection: Connection, reply: bytes | None, outage: float | None
    ) -> None:
        """Send the reply, if any, then disappear for `outage` seconds."""
        if reply is not None:
            await self._reply(connection, reply)
        if outage is None:
            return
        await asyncio.sleep(ARRIVAL)
        if outage:
            await self.power_cycle(outage)
        else:
            self.drop_connection()

    async def _reply(self, connection: Connection, reply: bytes) -> None:
        # The exchange of the MTU may come later: the size is that of this moment.
        size = connection.mtu - ATT_HEADER
        for part in self.faults.send(reply, size, self.reply_latency):
            if part.delay:
                await asyncio.sleep(part.delay)
            if self._state.connection is not connection:
                return
            if part.data is None:
                self.drop_connection()
                return
            if self._state.subscribed:
                connection.deliver(self.table.notify, part.data)
                self._record_notification(part.data)

    def _drop_later(self, seconds: float, reason: int) -> None:
        async def drop() -> None:
            await asyncio.sleep(seconds)
            self.drop_connection(reason)

        self._create_task(drop())

    def _handle_task_done(self, task: asyncio.Task[None]) -> None:
        super()._handle_task_done(task)
        with suppress(asyncio.CancelledError):
            task.result()
