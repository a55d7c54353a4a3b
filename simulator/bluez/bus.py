"""As much of a D-Bus message bus as one service on it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
import io
from pathlib import Path
from typing import Any, Final, Literal

from dbus_fast import Message, MessageFlag, MessageType, Variant
from dbus_fast._private.unmarshaller import Unmarshaller

BUS: Final = "org.freedesktop.DBus"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
UNKNOWN_METHOD: Final = "org.freedesktop.DBus.Error.UnknownMethod"
UNKNOWN_OBJECT: Final = "org.freedesktop.DBus.Error.UnknownObject"
SERVICE_OWNER: Final = ":1.0"
GUID: Final = "0123456789abcdef0123456789abcdef"

_HEADER_SIZE: Final = 16  # bytes
_BODY_SIZE_AT: Final = 4
_FIELDS_SIZE_AT: Final = 12
_SIGNATURES: Final = {
    "PropertiesChanged": "sa{sv}as",
    "InterfacesAdded": "oa{sa{sv}}",
    "InterfacesRemoved": "oas",
}

type Interfaces = dict[str, dict[str, Variant]]
"""Properties by interface."""
type Objects = dict[str, Interfaces]
"""Interfaces by path."""
type Result = tuple[str, list[Any]]
"""Signature and body of a reply."""


class BusError(Exception):
    """The error that a method call is answered with."""

    def __init__(self, name: str, text: str = "") -> None:
        """Remember the name of the error and its text."""
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Peer:
    """The connection of one client."""

    def __init__(
        self, bus: Bus, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Prepare to serve a client that has just connected."""
        self.name = f":1.{bus.next_number()}"
        self.has_match_rules = False
        self.writer = writer
        self._bus = bus
        self._reader = reader

    async def serve(self) -> None:
        """Authenticate the client, then handle its messages until it disconnects."""
        await self._authenticate()
        while True:
            data = await self._reader.readexactly(_HEADER_SIZE)
            order: Literal["little", "big"] = "little" if data[:1] == b"l" else "big"
            body, fields = (
                int.from_bytes(data[at : at + 4], order)
                for at in (_BODY_SIZE_AT, _FIELDS_SIZE_AT)
            )
            data += await self._reader.readexactly(-(-fields // 8) * 8 + body)
            # Annotated as a socket's file, though any stream of bytes is read.
            stream: Any = io.BytesIO(data)
            message = Unmarshaller(stream).unmarshall()
            if message is not None:
                self._bus.handle(self, message)

    async def _authenticate(self) -> None:
        while True:
            line = (await self._reader.readline()).strip(b"\0\r\n").decode()
            if not line:
                raise EOFError
            match line.split()[0]:
                case "AUTH":
                    self.writer.write(f"OK {GUID}\r\n".encode())
                case "NEGOTIATE_UNIX_FD":
                    self.writer.write(b"AGREE_UNIX_FD\r\n")  # none is ever sent
                case "BEGIN":
                    return

    def send(self, message: Message) -> None:
        """Send a message."""
        message.serial = self._bus.next_number()
        with suppress(OSError):
            self.writer.write(bytes(message._marshall(False)))  # noqa: SLF001


class Bus:
    """A bus on a Unix socket with one service on it, whose methods subclasses answer."""

    service = ""

    def __init__(self, path: Path) -> None:
        """Prepare a bus; `path` is that of its socket."""
        self.path = path
        self.objects: Objects = {}
        self.peers: set[Peer] = set()
        self._number = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def next_number(self) -> int:
        """Return a number that was not used yet."""
        self._number += 1
        return self._number

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._handle_client, self.path)

    async def stop(self) -> None:
        """Disconnect all clients."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for peer in list(self.peers):
            peer.writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _handle_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = Peer(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.peers.add(peer)
        try:
            await peer.serve()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.peers.discard(peer)
            writer.close()
            self.handle_disconnected(peer)

    def handle_disconnected(self, peer: Peer) -> None:
        """Handle that a client is gone; subclasses may do so."""

    def create_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that ends when the bus stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Messages

    def handle(self, peer: Peer, message: Message) -> None:
        """Answer a call; other messages are ignored."""
        if message.message_type is not MessageType.METHOD_CALL:
            return
        if message.destination == BUS:
            self._answer_for_bus(peer, message)
            return
        self.create_task(self._answer(peer, message))

    def _reply(self, peer: Peer, message: Message, result: Result = ("", [])) -> None:
        if MessageFlag.NO_REPLY_EXPECTED in message.flags:
            return
        signature, body = result
        peer.send(
            Message(
                message_type=MessageType.METHOD_RETURN,
                reply_serial=message.serial,
                destination=peer.name,
                sender=message.destination or BUS,
                signature=signature,
                body=body,
            )
        )

    def _answer_for_bus(self, peer: Peer, message: Message) -> None:
        result: Result = ("", [])
        match message.member:
            case "Hello":
                result = "s", [peer.name]
            case "AddMatch":
                peer.has_match_rules = True
            case "GetNameOwner":
                result = "s", [SERVICE_OWNER]
            case "NameHasOwner":
                result = "b", [message.body[0] == self.service]
            case "RequestName":
                result = "u", [1]
        self._reply(peer, message, result)

    async def _answer(self, peer: Peer, message: Message) -> None:
        try:
            result = await self._call(peer, message)
        except BusError as err:
            peer.send(
                Message(
                    message_type=MessageType.ERROR,
                    error_name=err.name,
                    reply_serial=message.serial,
                    destination=peer.name,
                    sender=message.destination,
                    signature="s",
                    body=[err.text],
                )
            )
        else:
            self._reply(peer, message, result)

    async def _call(self, peer: Peer, message: Message) -> Result:
        path, member = message.path or "", message.member or ""
        if member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [self.objects]
        if path not in self.objects:
            raise BusError(UNKNOWN_OBJECT, path)
        interfaces = self.objects[path]
        if message.interface == PROPERTIES:
            match member:
                case "GetAll":
                    return "a{sv}", [interfaces[message.body[0]]]
                case "Get":
                    return "v", [interfaces[message.body[0]][message.body[1]]]
                case _:  # Set
                    interfaces[message.body[0]][message.body[1]] = message.body[2]
                    return "", []
        return await self.call(peer, path, member, message.body)

    async def call(self, peer: Peer, path: str, member: str, body: list[Any]) -> Result:
        """Do what a method of the service does; raise BusError if it fails."""
        raise BusError(UNKNOWN_METHOD, member)

    # Objects

    def _send_signal(self, path: str, interface: str, member: str, *body: Any) -> None:
        for peer in list(self.peers):
            if peer.has_match_rules:
                peer.send(
                    Message(
                        message_type=MessageType.SIGNAL,
                        path=path,
                        interface=interface,
                        member=member,
                        sender=SERVICE_OWNER,
                        signature=_SIGNATURES[member],
                        body=list(body),
                    )
                )

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Add an object, and tell the clients."""
        self.objects[path] = interfaces
        self._send_signal("/", OBJECT_MANAGER, "InterfacesAdded", path, interfaces)

    def remove(self, path: str) -> None:
        """Remove an object, and tell the clients."""
        interfaces = self.objects.pop(path)
        self._send_signal("/", OBJECT_MANAGER, "InterfacesRemoved", path, [*interfaces])

    def change(self, path: str, interface: str, **changed: Variant) -> None:
        """Change properties, and tell the clients."""
        if path not in self.objects:
            return
        self.objects[path][interface].update(changed)
        self._send_signal(path, PROPERTIES, "PropertiesChanged", interface, changed, [])
