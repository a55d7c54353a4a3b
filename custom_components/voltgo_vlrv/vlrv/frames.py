"""Frames: checksum, requests, and the assembler that cuts notifications into frames.

Three families share the connection and are distinguished by their first byte (protocol 2, 9):
0x01 register reads in the manner of Modbus RTU (grade A), 0x10 settings (grade A) and
0x64 firmware (grade C). All end in a CRC-16/MODBUS, low byte first.
"""

from __future__ import annotations

from array import array
from collections import deque
from functools import cache
from itertools import chain
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
_MAX_FRAME_SIZE: Final = 5 + 0xFF
# What waits for its rest is shorter than the longest frame, so this keeps the limit.
_SLICE: Final = BUFFER_LIMIT - _MAX_FRAME_SIZE

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


@cache
def _zeros_table(length: int) -> tuple[array[int], array[int]]:
    """Return how `length` zero bytes change a checksum, by its high and its low byte.

    The checksum is linear: that of any part of a buffer follows from the checksums of
    two beginnings of it, in constant time. About 1 kB for each length, at most 260.
    """
    basis = []
    for bit in range(16):
        crc = 1 << bit
        for _ in range(length):
            crc = (crc >> 8) ^ _CRC_TABLE[crc & 0xFF]
        basis.append(crc)
    low, high = array("H", [0]), array("H", [0])
    for table, images in ((low, basis[:8]), (high, basis[8:])):
        for image in images:
            table.extend([value ^ image for value in table])
    return high, low


class FrameAssembler:
    """Cuts what a battery notifies into whole frames with a valid checksum.

    A frame may come in pieces, several in one piece (A), twice, cut short or behind
    garbage. Bytes that are part of no intact frame are removed and counted in `discarded`
    (since construction). Work and memory are bounded for each byte, whatever it is: a
    frame may begin anywhere, but each beginning is looked at once and checked once.
    """

    __slots__ = (
        "_buffer",
        "_by_end",
        "_checksums",
        "_offset",
        "_open",
        "_unclassified",
        "discarded",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.discarded = 0
        self._buffer = bytearray()
        # Positions count from the construction on; this is that of the buffer's first.
        self._offset = 0
        # Checksum of everything since some byte before the buffer, up to each position.
        self._checksums = [0]
        # Possible beginnings of frames that lack their end, with that, by position ...
        self._open: deque[tuple[int, int]] = deque()
        # ... and by the end.
        self._by_end: dict[int, list[int]] = {}
        # Positions with too few bytes behind them to tell; at most the last three.
        self._unclassified: list[int] = []

    def __len__(self) -> int:
        """Return how many bytes wait for the rest of their frame, at most 512."""
        return len(self._buffer)

    def clear(self) -> None:
        """Discard what waits: before each request, so that no old half is completed."""
        self.discarded += len(self._buffer)
        self._restart()

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
            self._extend(data[start : start + _SLICE], frames)
        return frames

    def _restart(self) -> None:
        self._offset += len(self._buffer)
        self._buffer.clear()
        self._checksums = [0]
        self._open.clear()
        self._by_end.clear()
        self._unclassified.clear()

    def _extend(self, data: bytes | bytearray, frames: list[bytes]) -> None:
        """Append `data`, and move the frames that are complete by it to `frames`.

        The earliest beginning counts. One that still lacks its end does not keep frames
        behind it waiting: it may be garbage that would swallow them.
        """
        known_end = self._offset + len(self._buffer)
        self._buffer += data
        end = self._offset + len(self._buffer)
        table = _CRC_TABLE
        crc = self._checksums[-1]
        for byte in data:
            crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
            self._checksums.append(crc)
        # Beginnings whose end or length has arrived by now, then those that are new.
        earlier = self._unclassified
        if self._by_end:
            for position in range(known_end + 1, end + 1):
                earlier += self._by_end.pop(position, ())
            earlier.sort()
        self._unclassified = []
        begin = self._offset
        for start in chain(earlier, range(known_end, end)):
            if start < begin:
                continue
            length = _frame_length(self._buffer, start - self._offset)
            if length is None:
                self._unclassified.append(start)
            elif start + length > end:
                self._by_end.setdefault(start + length, []).append(start)
                # In order: a later beginning never has its length before an earlier one.
                self._open.append((start, start + length))
            elif length and self._is_intact(start, length):
                at = start - self._offset
                frames.append(bytes(self._buffer[at : at + length]))
                self.discarded += start - begin
                begin = start + length
        self._trim(begin, end)

    def _is_intact(self, start: int, length: int) -> bool:
        """Return whether the checksum of `length` bytes from `start` is right."""
        at = start - self._offset
        before = self._checksums[at] ^ 0xFFFF
        high, low = _zeros_table(length)
        return self._checksums[at + length] == high[before >> 8] ^ low[before & 0xFF]

    def _trim(self, begin: int, end: int) -> None:
        """Discard what is before the first beginning that may still become a frame."""
        while self._open and (self._open[0][0] < begin or self._open[0][1] <= end):
            self._open.popleft()
        keep = min(
            self._open[0][0] if self._open else end,
            self._unclassified[0] if self._unclassified else end,
        )
        self.discarded += keep - begin
        if keep == end:
            self._restart()
        elif keep > self._offset:
            del self._buffer[: keep - self._offset]
            del self._checksums[: keep - self._offset]
            self._offset = keep
