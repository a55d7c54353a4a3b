"""Frames: checksum, requests, and the assembler that cuts notifications into frames.

Three families share the link and are told apart by their first byte (protocol 2, 9):
0x01 register reads in the manner of Modbus RTU (grade A), 0x10 settings (grade A) and
0x64 firmware (grade C). All end in a CRC-16/MODBUS, low byte first.
"""

from __future__ import annotations

from functools import cache
from typing import Final

STATUS_FAMILY: Final = 0x01
SETTINGS_FAMILY: Final = 0x10
FIRMWARE_FAMILY: Final = 0x64

READ_REGISTERS: Final = 0x03
MORE_CELLS: Final = 0x04
EXCEPTION: Final = 0x80

# Modbus allows 125 registers a reply; the longest frame of all is then 255 bytes.
MAX_REGISTERS: Final = 125
BUFFER_LIMIT: Final = 512
_LONGEST_FRAME: Final = 5 + 0xFF
# What waits for its rest is shorter than the longest frame, so this keeps the limit.
_SLICE: Final = BUFFER_LIMIT - _LONGEST_FRAME

FIRMWARE_REPLY_LENGTH: Final = {1: 7, 2: 7, 3: 9, 4: 7, 5: 7}
"""Sub-command -> bytes of the whole reply; 03 repeats the package number (C)."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc16(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-16/MODBUS of `data`, 0 for a whole frame that is intact."""
    table = _CRC_TABLE
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def with_crc(body: bytes) -> bytes:
    """Return `body` with its checksum behind it."""
    return body + crc16(body).to_bytes(2, "little")


# The same few are sent over and over, and kept by every battery's trace.
@cache
def read_request(start: int, count: int) -> bytes:
    """Build the request for `count` (1-125) registers from `start` (0-65535)."""
    if not 0 <= start <= 0xFFFF or not 1 <= count <= MAX_REGISTERS:
        raise ValueError(f"no such registers: {count} from {start}")
    return with_crc(
        bytes((STATUS_FAMILY, READ_REGISTERS))
        + start.to_bytes(2, "big")
        + count.to_bytes(2, "big")
    )


def settings_request(function: int, data: bytes = b"") -> bytes:
    """Build a settings frame: `function` with up to 255 bytes of data."""
    return with_crc(bytes((SETTINGS_FAMILY, function, len(data))) + data)


def _frame_length(buffer: bytes | bytearray, at: int) -> int | None:
    """Return how long the frame that may begin at `at` is.

    0 when no frame begins like that, None when its length has not arrived yet.
    """
    available = len(buffer) - at
    family = buffer[at]
    if family == STATUS_FAMILY:
        if available < 3:
            return None
        function, size = buffer[at + 1], buffer[at + 2]
        if function == READ_REGISTERS:
            return 5 + size if size and not size & 1 else 0
        if function == MORE_CELLS:  # byte 2 is a number, byte 3 the length (B)
            return None if available < 4 else 6 + buffer[at + 3]
        return 5 if function & EXCEPTION else 0
    if family == SETTINGS_FAMILY:
        return None if available < 3 else 5 + buffer[at + 2]
    if family == FIRMWARE_FAMILY:
        return None if available < 2 else FIRMWARE_REPLY_LENGTH.get(buffer[at + 1], 0)
    return 0


class FrameAssembler:
    """Cuts what a battery notifies into whole frames with a valid checksum.

    A frame may come in pieces, several in one piece (both seen in recordings), twice,
    cut short or behind garbage. Whatever is not part of an intact
    frame is thrown away and counted in `discarded` (bytes since construction).
    """

    __slots__ = ("_buffer", "discarded")

    def __init__(self) -> None:
        """Start empty."""
        self._buffer = bytearray()
        self.discarded = 0

    def __len__(self) -> int:
        """Return how many bytes wait for the rest of their frame, at most 512."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what waits: before each request, so that no old half is completed."""
        self.discarded += len(self._buffer)
        self._buffer.clear()

    def feed(self, data: bytes | bytearray) -> list[bytes]:
        """Take one notification of any size and return the frames now complete."""
        if (
            data
            and not self._buffer
            and _frame_length(data, 0) == len(data)
            and not crc16(data)
        ):
            return [bytes(data)]  # the ordinary case: one notification, one frame
        frames: list[bytes] = []
        for start in range(0, len(data), _SLICE):
            self._buffer += data[start : start + _SLICE]
            self._cut(frames)
        return frames

    def _cut(self, frames: list[bytes]) -> None:
        """Move the intact frames from the buffer to `frames`.

        The search goes on behind a beginning that still lacks its end: it may be
        garbage that would swallow the frames behind it.
        """
        buffer = self._buffer
        size = len(buffer)
        at = done = 0
        waiting: int | None = None
        while at < size:
            length = _frame_length(buffer, at)
            if length is None or at + length > size:
                if waiting is None:
                    waiting = at
            elif length and not crc16(frame := buffer[at : at + length]):
                frames.append(bytes(frame))
                self.discarded += at - done
                at = done = at + length
                waiting = None
                continue
            at += 1
        keep = size if waiting is None else waiting
        self.discarded += keep - done
        del buffer[:keep]
