"""Frames of the protocol: checksum, replies, requests.

Letters in brackets are evidence grades: A seen in real captures, B a vendor document or
another driver, C inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
import struct
from typing import Final

SLAVE: Final = 0x01
SETTINGS: Final = 0x10
READ_FUNCTIONS: Final = (0x03, 0x04)
MAX_READ: Final = 125


def _shifted(crc: int) -> int:
    """CRC after the eight bits of a byte."""
    for _ in range(8):
        crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


_CRC_TABLE: Final = tuple(map(_shifted, range(256)))


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS of data as the two bytes that follow it, low byte first (A)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def build_reply(body: bytes) -> bytes:
    """Body followed by its CRC."""
    return body + crc16(body)


def status_reply(words: Sequence[int]) -> bytes:
    """Reply of a register read, `01 03 N data crc`, with at most 125 words."""
    return build_reply(
        struct.pack(f">BBB{len(words)}H", SLAVE, 0x03, 2 * len(words), *words)
    )


def settings_frame(function: int, data: bytes = b"") -> bytes:
    """Build a settings frame of either direction, `10 func len data crc` (A)."""
    return build_reply(bytes((SETTINGS, function, len(data))) + data)


def read_request(
    start: int, count: int, *, function: int = 0x03, slave: int = SLAVE
) -> bytes:
    """Request for count registers from start."""
    return build_reply(struct.pack(">BBHH", slave, function, start, count))


def without_crc(frame: bytes) -> bytes | None:
    """Return a frame without its CRC, or None where the CRC is wrong."""
    body = frame[:-2]
    return body if len(frame) > 2 and crc16(body) == frame[-2:] else None


def read_range(body: bytes) -> tuple[int, int] | None:
    """Start and count of a read request, or None where it is no such request."""
    if len(body) != 6 or body[0] != SLAVE or body[1] not in READ_FUNCTIONS:
        return None
    start, count = struct.unpack_from(">HH", body, 2)
    return (start, count) if 0 < count <= MAX_READ else None
