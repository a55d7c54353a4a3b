"""The medium between the radios, and the radios: Bumble with its gaps closed.

Bumble's virtual link delivers at once and under the wrong sender address, receives
everybody at the same strength, knows no scan responses, and can neither cancel nor
lose a connection. Failures in the field come from exactly these.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
import logging
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.host import Host
from bumble.link import LocalLink

_LOGGER = logging.getLogger(__name__)

DEFAULT_RSSI = -60  # dBm
LE_META_EVENT = bytes((hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT))
REPORT = hci.HCI_LE_ADVERTISING_REPORT_EVENT
DATA_LENGTH = 251  # bytes; a modern chip does not cut PDUs into pieces of 27


@dataclass(eq=False, slots=True)
class _Queue:
    """PDUs that wait for the next connection event of one direction of a link."""

    receiver: Connection
    timer: asyncio.TimerHandle | None = None
    packets: deque[bytes] = field(default_factory=deque)


class RadioMedium(LocalLink):
    """The medium: it carries advertisements, connections and data between radios.

    `connection_interval` (seconds) delays data to the next connection event, of which
    each takes at most `packets_per_event` PDUs per direction. With 0 delivery is
    immediate.

    `lose`, if set, sees every data PDU with its sender; True loses the PDU.
    """

    def __init__(
        self, connection_interval: float = 0.0, packets_per_event: int = 4
    ) -> None:
        """Start without radios."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.connection_interval = connection_interval
        self.packets_per_event = packets_per_event
        self.lose: Callable[[Controller, bytes], bool] | None = None
        # By identity of the receiving end, which is not hashable.
        self._queues: dict[int, _Queue] = {}

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Deliver one L2CAP PDU in order, at the next connection event."""
        sent_over = sender_controller.le_connections.get(destination_address)
        if sent_over is None or (receiver := self.other_end(sent_over)) is None:
            _LOGGER.debug("PDU lost, %s is gone", destination_address)
            return
        if self.lose is not None and self.lose(sender_controller, data):
            return
        loop = asyncio.get_running_loop()
        if not self.connection_interval:
            loop.call_soon(self._deliver, receiver, data)
            return
        if (queue := self._queues.get(id(receiver))) is None:
            queue = self._queues[id(receiver)] = _Queue(receiver)
            interval = self.connection_interval
            self._schedule(queue, (loop.time() // interval + 1) * interval)
        queue.packets.append(data)

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Let the other radios receive a PDU, in the next turn of the loop."""
        # Bumble takes one handle for each of them, most of which do not listen.
        others = [other for other in self.controllers if other is not sender_controller]
        asyncio.get_running_loop().call_soon(self._send_to, others, packet)

    @staticmethod
    def _send_to(radios: list[Controller], packet: ll.AdvertisingPdu) -> None:
        for radio in radios:
            if isinstance(packet, ll.ConnectInd):
                radio.on_le_connect_ind(packet)
            elif isinstance(packet, ll.AdvInd | ll.AdvExtInd) and (
                radio.le_scan_enable or radio.pending_le_connection is not None
            ):
                radio.on_advertising_pdu(packet)

    def other_end(self, connection: Connection) -> Connection | None:
        """Return the same link as seen from the other radio."""
        for other in self.controllers:
            if other is connection.controller:
                continue
            back = other.le_connections.get(connection.self_address)
            if back is not None and back.self_address == connection.peer_address:
                return back
        return None

    def drop_connection(self, controller: Controller, reason: int) -> int:
        """Break every link of one radio at both ends; return how many there were."""
        connections = list(controller.le_connections.values())
        for connection in connections:
            other = self.other_end(connection)
            controller.on_le_disconnected(connection, reason)
            if other is not None:
                other.controller.on_le_disconnected(other, reason)
        return len(connections)

    def close(self) -> None:
        """Drop all PDUs that are not delivered yet."""
        for queue in self._queues.values():
            if queue.timer is not None:
                queue.timer.cancel()
        self._queues.clear()

    def _schedule(self, queue: _Queue, event: float) -> None:
        loop = asyncio.get_running_loop()
        queue.timer = loop.call_at(event, self._connection_event, queue, event)

    def _connection_event(self, queue: _Queue, event: float) -> None:
        for _ in range(min(len(queue.packets), self.packets_per_event)):
            self._deliver(queue.receiver, queue.packets.popleft())
        if queue.packets:
            self._schedule(queue, event + self.connection_interval)
        else:
            del self._queues[id(queue.receiver)]

    @staticmethod
    def _deliver(receiver: Connection, data: bytes) -> None:
        radio = receiver.controller
        if radio.le_connections.get(receiver.peer_address) is receiver:
            radio.on_link_acl_data(receiver.peer_address, receiver.transport, data)


class Radio(Controller):
    """A Bluetooth LE controller that receives others at different strengths.

    `rssi` maps an address to its signal strength here, in dBm; None is out of
    range, which stops advertisements and new connections but not an existing link.
    `refuse` is asked for each incoming connection; True lets the attempt fail.
    """

    link: RadioMedium

    def __init__(self, name: str, medium: RadioMedium, public_address: str) -> None:
        """Join the medium; needs the running event loop."""
        self._number = int(public_address.replace(":", ""), 16)
        super().__init__(name, link=medium, public_address=public_address)
        self.le_acl_data_packet_length = DATA_LENGTH
        self.rssi: dict[str, int | None] = {}
        self.refuse: Callable[[], bool] = lambda: False

    # Bumble keeps radios in a set. With this hash, the order in which they receive a packet
    # is the same in each run.

    def __hash__(self) -> int:
        """Return a number that is the same in each run."""
        return self._number

    def __eq__(self, other: object) -> bool:
        """Return whether it is this very one."""
        return self is other

    # Bumble writes every packet out in full for a debug line, whether anybody wants the
    # line or not: half of a simulated day went there. These four do not.

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Send to the host."""
        if self.host:
            asyncio.get_running_loop().call_soon(self.host.on_packet, bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Take what the host sends."""
        match packet:
            case hci.HCI_Command():
                self.on_hci_command_packet(packet)
            case hci.HCI_AclDataPacket():
                self.on_hci_acl_data_packet(packet)
            case _:
                super().on_hci_packet(packet)

    def rssi_of(self, address: hci.Address) -> int | None:
        """Return the strength at which this radio receives an address, in dBm."""
        return self.rssi.get(address_text(address.address_bytes), DEFAULT_RSSI)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report an advertisement, then the scan response if scanning actively."""
        address = pdu.advertiser_address
        if (rssi := self.rssi_of(address)) is None:
            return
        if self.le_scan_enable:
            types = hci.HCI_LE_Advertising_Report_Event.EventType
            self._report(types.ADV_IND, address, pdu.data, rssi)
            if self.le_scan_type == 1 and (response := self._scan_response(address)):
                self._report(types.SCAN_RSP, address, response, rssi)
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == address:
            self.create_le_connection(address)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Connect; fails if the advertiser accepted another central or refused."""
        super().create_le_connection(peer_address)
        connection = self.le_connections[peer_address]
        # Runs after the advertiser has seen the connection request.
        asyncio.get_running_loop().call_soon(self._check_established, connection)

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Accept a connection, unless told to refuse it."""
        if packet.advertiser_address == self.public_address and self.refuse():
            return
        super().on_le_connect_ind(packet)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Cancel for real: the host waits for a connection complete event."""
        if (pending := self.pending_le_connection) is None:
            return hci.HCI_StatusReturnParameters(
                hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR
            )
        self.pending_le_connection = None
        asyncio.get_running_loop().call_soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def leave(self) -> None:
        """Stop advertising and leave the medium."""
        self.le_legacy_advertiser.stop()
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        self.link.controllers.discard(self)

    def _report(
        self, event_type: int, address: hci.Address, data: bytes, rssi: int
    ) -> None:
        if self.host:
            packet = _encoded_report(
                event_type, address.address_bytes, address.address_type, data, rssi
            )
            asyncio.get_running_loop().call_soon(self.host.on_packet, packet)

    def _scan_response(self, address: hci.Address) -> bytes:
        for other in self.link.controllers:
            for advertiser in other.advertising_sets.values():
                own = advertiser.address
                if (
                    advertiser.enabled
                    and own is not None
                    # Cheaper than the address, of which this is asked for each report.
                    and own.address_bytes == address.address_bytes
                ):
                    return bytes(advertiser.scan_response_data)
        return b""

    def _check_established(self, connection: Connection) -> None:
        if self.le_connections.get(connection.peer_address) is not connection:
            return
        if self.link.other_end(connection) is None:
            self.on_le_disconnected(
                connection,
                hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR,
            )


@lru_cache(maxsize=1024)
def address_text(address: bytes) -> str:
    """Return the text of an address whose lowest byte comes first."""
    return hci.Address(address).to_string(False)


# A battery sends the same advertisement for hours: it is encoded and decoded once.


@lru_cache(maxsize=1024)
def _encoded_report(
    event_type: int,
    address: bytes,
    address_type: hci.AddressType,
    data: bytes,
    rssi: int,
) -> bytes:
    """Return the HCI event that reports an advertisement; RSSI in dBm."""
    report = hci.HCI_LE_Advertising_Report_Event.Report(
        event_type=event_type,
        address_type=address_type,
        address=hci.Address(address, address_type),
        data=data,
        rssi=rssi,
    )
    return bytes(hci.HCI_LE_Advertising_Report_Event([report]))


@lru_cache(maxsize=1024)
def _decoded_report(packet: bytes) -> hci.HCI_LE_Advertising_Report_Event:
    """Return the event that a packet with advertising reports contains."""
    event = hci.HCI_Packet.from_bytes(packet)
    assert isinstance(event, hci.HCI_LE_Advertising_Report_Event)
    return event


class RadioHost(Host):
    """The host side of a radio, whose callers may be cancelled at any time."""

    def on_packet(self, packet: bytes) -> None:
        """Take the bytes that the controller sends."""
        if self.ready and packet.startswith(LE_META_EVENT) and packet[3] == REPORT:
            self.on_hci_le_advertising_report_event(_decoded_report(packet))
        else:
            super().on_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Send to the controller."""
        if self.hci_sink:
            self.hci_sink.on_packet(bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Take what the controller sends."""
        match packet:
            case hci.HCI_Event():
                self.on_hci_event_packet(packet)
            case hci.HCI_AclDataPacket():
                self.on_hci_acl_data_packet(packet)
            case _:
                super().on_hci_packet(packet)

    def on_command_processed(
        self, event: hci.HCI_Command_Complete_Event[Any] | hci.HCI_Command_Status_Event
    ) -> None:
        """Ignore the response to a command whose caller was cancelled."""
        waiting, command = self.pending_response, self.pending_command
        if waiting is None or waiting.done() or command is None:
            return
        if command.op_code == event.command_opcode:
            super().on_command_processed(event)
