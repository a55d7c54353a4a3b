"""Frames of the native API in plain text: 0x00, varint length, varint type, payload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO

from .messages import Message

PLAIN_PREAMBLE: Final = 0x00
MESSAGE_TYPES: Final = {
    proto: number for number, proto in MESSAGE_TYPE_TO_PROTO.items()
}


class Framing(Protocol):
    """How messages become bytes and bytes become messages, for one client."""

    def encode(self, message: Message) -> bytes:
        """Return a message as bytes."""

    def receive(self, data: bytes) -> tuple[list[Message], bytes]:
        """Return the messages that are complete now, and bytes to send at once.

        Raises ValueError for what is no frame.
        """


class PlainFraming:
    """Frames without encryption."""

    def __init__(self) -> None:
        """Start with an empty buffer."""
        self._buffer = bytearray()

    def encode(self, message: Message) -> bytes:
        """Return a message as bytes."""
        payload: bytes = message.SerializeToString()
        return b"".join(
            (
                bytes((PLAIN_PREAMBLE,)),
                _varint(len(payload)),
                _varint(MESSAGE_TYPES[type(message)]),
                payload,
            )
        )

    def receive(self, data: bytes) -> tuple[list[Message], bytes]:
        """Return the messages that are complete now; nothing is sent at once."""
        self._buffer += data
        return list(self._messages()), b""

    def _messages(self) -> Iterator[Message]:
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        at = 0

        def varint() -> int | None:
            nonlocal at
            number = shift = 0
            while at < len(self._buffer):
                byte = self._buffer[at]
                at += 1
                number |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    return number
            return None

        preamble, length, message_type = varint(), varint(), varint()
        if preamble is None or length is None or message_type is None:
            return None
        if preamble != PLAIN_PREAMBLE:
            raise ValueError(f"preamble 0x{preamble:02X} is not plain text")
        if len(self._buffer) < at + length:
            return None
        payload = bytes(self._buffer[at : at + length])
        del self._buffer[: at + length]
        return MESSAGE_TYPE_TO_PROTO[message_type].FromString(payload)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
