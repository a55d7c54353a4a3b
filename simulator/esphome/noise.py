"""Frames of the native API with encryption: 0x01, length, Noise message.

The protocol is Noise_NNpsk0_25519_ChaChaPoly_SHA256. The client begins with an empty
hello; the node answers with its name and address, then both exchange one handshake
message each.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from cryptography.exceptions import InvalidTag
from noise.connection import NoiseConnection  # type: ignore[import-untyped]

from .messages import Message
from .wire import MESSAGE_TYPES

PREAMBLE: Final = 0x01
HEADER_SIZE: Final = 3  # bytes
MESSAGE_HEADER_SIZE: Final = 4  # bytes: type and length
PROTOCOL: Final = b"Noise_NNpsk0_25519_ChaChaPoly_SHA256"
PROLOGUE: Final = b"NoiseAPIInit\x00\x00"
WRONG_KEY: Final = b"\x01Handshake MAC failure"


class NoiseFraming:
    """Frames with encryption, for one client."""

    def __init__(self, key: str, name: str, mac: str) -> None:
        """Wait for the client's hello; `key` has 32 bytes in Base64."""
        self._buffer = bytearray()
        self._hello = b"\x01" + name.encode() + b"\x00" + mac.encode() + b"\x00"
        self._hello_sent = False
        self._is_ready = False
        self._noise: Any = NoiseConnection.from_name(PROTOCOL)
        self._noise.set_as_responder()
        self._noise.set_psks(base64.b64decode(key))
        self._noise.set_prologue(PROLOGUE)
        self._noise.start_handshake()

    def encode(self, message: Message) -> bytes:
        """Return a message as bytes; the handshake must be complete."""
        payload: bytes = message.SerializeToString()
        header = MESSAGE_TYPES[type(message)].to_bytes(2) + len(payload).to_bytes(2)
        return _frame(self._noise.encrypt(header + payload))

    def receive(self, data: bytes) -> tuple[list[Message], bytes]:
        """Return the messages that are complete now, and the node's handshake."""
        self._buffer += data
        messages: list[Message] = []
        answer = b""
        for frame in self._frames():
            if self._is_ready:
                messages.append(self._decode(frame))
            elif not self._hello_sent:
                self._hello_sent = True
                answer += _frame(self._hello)
            else:
                answer += self._shake_hands(frame)
        return messages, answer

    def _frames(self) -> Iterator[bytes]:
        while len(self._buffer) >= HEADER_SIZE:
            if self._buffer[0] != PREAMBLE:
                raise ValueError(f"preamble 0x{self._buffer[0]:02X} is not encrypted")
            end = HEADER_SIZE + int.from_bytes(self._buffer[1:HEADER_SIZE])
            if len(self._buffer) < end:
                return
            frame = bytes(self._buffer[HEADER_SIZE:end])
            del self._buffer[:end]
            yield frame

    def _shake_hands(self, frame: bytes) -> bytes:
        try:
            self._noise.read_message(frame[1:])
        except InvalidTag:
            return _frame(WRONG_KEY)
        answer = _frame(b"\x00" + bytes(self._noise.write_message()))
        self._is_ready = True
        return answer

    def _decode(self, frame: bytes) -> Message:
        decrypted = bytes(self._noise.decrypt(frame))
        number = int.from_bytes(decrypted[:2])
        return MESSAGE_TYPE_TO_PROTO[number].FromString(decrypted[MESSAGE_HEADER_SIZE:])


def _frame(payload: bytes) -> bytes:
    return bytes((PREAMBLE,)) + len(payload).to_bytes(2) + payload
