"""GATT operations of a proxy's clients.

- Services are reported once for each connection, and only if it was made without cache.
- A write without response is confirmed, too, and lost if its handle is wrong.
- To register for notifications is a local matter: the client writes the CCCD itself.
"""

from __future__ import annotations

from .api import ApiServer, ApiSession, Handlers
from .const import MAX_SERVICES_SIZE, NOT_CONNECTED, SHORT_UUID_API_MINOR
from .faults import NodeFaults
from .messages import Message, int_to_address, pb, services
from .slots import ProxyConnection, Slot, SlotPool
from simulator.gatt.connection import ATT_HEADER


class GattClient:
    """Passes operations on to the batteries that the slots are connected to."""

    def __init__(self, api: ApiServer, pool: SlotPool, faults: NodeFaults) -> None:
        """Work on the connections of these slots."""
        self._api = api
        self._pool = pool
        self._faults = faults

    @property
    def handlers(self) -> Handlers:
        """Return what handles which message."""
        return {
            "BluetoothGATTGetServicesRequest": self._handle_get_services,
            "BluetoothGATTReadRequest": self._handle_read,
            "BluetoothGATTReadDescriptorRequest": self._handle_read,
            "BluetoothGATTWriteRequest": self._handle_write,
            "BluetoothGATTWriteDescriptorRequest": self._handle_write_descriptor,
            "BluetoothGATTNotifyRequest": self._handle_notify,
            "BluetoothSetConnectionParamsRequest": self._handle_connection_params,
        }

    def _usable(
        self, message: Message, handle: int
    ) -> tuple[Slot, ProxyConnection] | None:
        """Return the slot of an address; without one the client gets an error."""
        slot = self._pool.find(int_to_address(message.address))
        if slot is None or not slot.is_usable or slot.connection is None:
            self._send_error(message.address, handle, NOT_CONNECTED)
            return None
        return slot, slot.connection

    def _send_error(self, address: int, handle: int, error: int) -> None:
        self._api.send(
            pb.BluetoothGATTErrorResponse(address=address, handle=handle, error=error)
        )

    def _handle_get_services(self, session: ApiSession, message: Message) -> None:
        if (found := self._usable(message, 0)) is None:
            return
        slot, _ = found
        table, slot.table = slot.table, None
        if self._faults.fail_services > 0:
            self._faults.fail_services -= 1
            table = None
        if table is not None:
            short = session.api_minor >= SHORT_UUID_API_MINOR
            self._send_services(message.address, services(table, short=short))
        self._api.send(pb.BluetoothGATTGetServicesDoneResponse(address=message.address))

    def _send_services(self, address: int, found: list[Message]) -> None:
        """Send services in as few messages as they fit into."""
        batches: list[list[Message]] = [[]]
        for service in found:
            size = sum(one.ByteSize() for one in (*batches[-1], service))
            if batches[-1] and size > MAX_SERVICES_SIZE:
                batches.append([])
            batches[-1].append(service)
        for batch in batches:
            self._api.send(
                pb.BluetoothGATTGetServicesResponse(address=address, services=batch)
            )

    def _handle_read(self, _session: ApiSession, message: Message) -> None:
        if (found := self._usable(message, message.handle)) is None:
            return
        _, connection = found
        value = connection.peripheral.read(connection, message.handle)
        if isinstance(value, int):
            self._send_error(message.address, message.handle, value)
        else:
            self._api.send(
                pb.BluetoothGATTReadResponse(
                    address=message.address, handle=message.handle, data=value
                )
            )

    def _handle_write(self, _session: ApiSession, message: Message) -> None:
        if (found := self._usable(message, message.handle)) is None:
            return
        _, connection = found
        data = message.data
        if not message.response:
            # The stack cuts what does not fit into a write command.
            data = data[: connection.mtu - ATT_HEADER]
        error = connection.peripheral.write(connection, message.handle, data)
        self._send_written(message, error if message.response else 0)

    def _handle_write_descriptor(self, _session: ApiSession, message: Message) -> None:
        if (found := self._usable(message, message.handle)) is None:
            return
        _, connection = found
        self._send_written(
            message,
            connection.peripheral.write_descriptor(
                connection, message.handle, message.data
            ),
        )

    def _send_written(self, message: Message, error: int) -> None:
        if error:
            self._send_error(message.address, message.handle, error)
            return
        self._api.send(
            pb.BluetoothGATTWriteResponse(
                address=message.address, handle=message.handle
            )
        )

    def _handle_notify(self, _session: ApiSession, message: Message) -> None:
        if (found := self._usable(message, message.handle)) is None:
            return
        slot, _ = found
        if message.enable:
            slot.registered.add(message.handle)
        else:
            slot.registered.discard(message.handle)
        self._api.send(
            pb.BluetoothGATTNotifyResponse(
                address=message.address, handle=message.handle
            )
        )

    def _handle_connection_params(self, _session: ApiSession, message: Message) -> None:
        self._api.send(pb.BluetoothSetConnectionParamsResponse(address=message.address))
