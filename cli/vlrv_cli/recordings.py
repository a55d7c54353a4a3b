"""Frames in files that users have: Bluetooth logs, app logs, diagnostics, dumps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
import json
import re
from struct import Struct, error as StructError
from typing import Any, Final, NamedTuple

from vlrv_ble.frames import (
    READ_REGISTERS,
    STATUS_FAMILY,
    FrameAssembler,
    read_request,
    with_crc,
)

from .dump import BLOCKS, has_dump_format
from .explain import is_read_request

MAX_FILE_SIZE: Final = 200 * 1024 * 1024
"""Bytes of a file that is read; a day of a phone's Bluetooth log has less."""

_BTSNOOP: Final = b"btsnoop\0"
_HEADER: Final = Struct(">8sII")
_RECORD: Final = Struct(">IIIIq")
_H4, _UNENCAPSULATED, _MONITOR = 1002, 1001, 2001
_KINDS: Final = (_H4, _UNENCAPSULATED, _MONITOR)
"""Of logs: of Android and most adapters, of older tools, of Linux's `btmon -w`."""
_ACL: Final = 2
_MONITOR_ACL: Final = {4: True, 5: False}
"""Whether it was sent, by the monitor's number of the event."""
_ATT_CHANNEL: Final = 4
_NOTIFICATIONS: Final = frozenset({0x1B, 0x1D})
_WRITES: Final = frozenset({0x12, 0x52})
# btsnoop counts microseconds from the year 0.
_YEAR_0_TO_1970: Final = 0x00DCDDB30F2F8000
_MAX_RECORD: Final = 0x10000

_HEX_RUN: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:0x)?[0-9A-Fa-f]{2}[ :,\-]{0,2}){5,}(?![0-9A-Za-z])"
)
_HEX_END: Final = re.compile(
    r"(?<![0-9A-Za-z])((?:(?:0x)?[0-9A-Fa-f]{2}[ :,\-]{0,2})+)[^0-9A-Za-z]*$"
)
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}){5,}")


class RecordingError(ValueError):
    """A file holds nothing that could be read."""


class RecordedFrame(NamedTuple):
    """One intact frame of a recording."""

    source: str
    """Where in the file: a time, a line or a path."""
    sent: bool | None
    """Whether it went to the battery; None if the file does not say."""
    frame: bytes


def parse_hex(text: str) -> bytes | None:
    """Return the bytes of a hexadecimal text with any separators; None for other text."""
    digits = re.sub(r"0x|[\s:,\-]", "", text, flags=re.IGNORECASE)
    if not digits or len(digits) % 2 or not re.fullmatch(r"[0-9a-fA-F]+", digits):
        return None
    return bytes.fromhex(digits)


def frames_in(data: bytes, assembler: FrameAssembler | None = None) -> list[bytes]:
    """Return the intact frames in `data`: requests and replies, also several in a row."""
    if is_read_request(data):
        return [data]
    # An empty assembler has the length 0.
    return (FrameAssembler() if assembler is None else assembler).feed(data)


def frames_of_file(data: bytes) -> Iterator[RecordedFrame]:
    """Return the frames of a file, in its order.

    A Bluetooth log (btsnoop), JSON (diagnostics and dumps of this project) or text with
    hexadecimal bytes, as app logs have it. Raises RecordingError for a broken file.
    """
    if data.startswith(_BTSNOOP):
        yield from _btsnoop_frames(data)
        return
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    if text.lstrip()[:1] in ("{", "["):
        content = load_json(text)
        yield from (
            dump_frames(content)
            if has_dump_format(content)
            else (_json_frames(content))
        )
        return
    yield from _text_frames(text)


def load_json(text: str) -> Any:
    """Return what JSON text holds; raises RecordingError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise RecordingError(f"no valid JSON: {err}") from err


def _text_frames(text: str) -> Iterator[RecordedFrame]:
    # A reply may be cut over several lines.
    assembler = FrameAssembler()
    for number, line in enumerate(text.splitlines(), 1):
        for run, is_main in _hex_runs(line, is_cut=len(assembler) > 0):
            if (data := parse_hex(run)) is not None:
                for frame in frames_in(data, assembler if is_main else None):
                    yield RecordedFrame(f"line {number}", None, frame)


def _hex_runs(line: str, *, is_cut: bool) -> Iterator[tuple[str, bool]]:
    """Return what may be frames in a line, and whether it may be a part of one.

    Times and addresses look alike, so that is at most one: the end of the line if a reply
    was cut before, however short, else the longest.
    """
    runs = [run[0] for run in _HEX_RUN.finditer(line)]
    main = _HEX_END.search(line) if is_cut else None
    longest = main[1] if main else max(runs, key=len, default="")
    if longest not in runs:
        runs.append(longest)
    for run in runs:
        yield run, run == longest


def dump_frames(content: dict[str, Any]) -> Iterator[RecordedFrame]:
    """Return requests and replies that a dump has the registers of.

    What is left out of it, as the serial number, reads 0. Raises RecordingError.
    """
    registers = content.get("registers")
    if not isinstance(registers, dict):
        raise RecordingError("the dump has no registers")
    for start, count in BLOCKS:
        words = [
            registers.get(str(number), 0) or 0 for number in range(start, start + count)
        ]
        if not all(isinstance(word, int) and 0 <= word <= 0xFFFF for word in words):
            raise RecordingError("the dump has registers that are no 16-bit numbers")
        if str(start) in registers:
            source = f"registers {start}-{start + count - 1}"
            data = b"".join(word.to_bytes(2, "big") for word in words)
            reply = with_crc(bytes((STATUS_FAMILY, READ_REGISTERS, 2 * count)) + data)
            yield RecordedFrame(source, True, read_request(start, count))
            yield RecordedFrame(source, False, reply)


def _json_frames(content: Any) -> Iterator[RecordedFrame]:
    # Not recursive: a file decides how deep it is.
    stack: list[tuple[str, Any]] = [("", content)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            stack += reversed([(f"{path}.{key}", value) for key, value in item.items()])
        elif isinstance(item, list):
            stack += reversed(
                [(f"{path}[{number}]", value) for number, value in enumerate(item)]
            )
        elif isinstance(item, str) and _HEX.fullmatch(item):
            sent = True if ".sent[" in path else False if ".received[" in path else None
            for frame in frames_in(bytes.fromhex(item)):
                yield RecordedFrame(path.lstrip("."), sent, frame)


def _btsnoop_frames(data: bytes) -> Iterator[RecordedFrame]:
    assemblers: dict[tuple[int, int, bool], FrameAssembler] = {}
    for time, sent, handle, pdu in _att_pdus(data):
        opcode = pdu[0]
        if len(pdu) < 4 or opcode not in (_WRITES if sent else _NOTIFICATIONS):
            continue
        attribute = int.from_bytes(pdu[1:3], "little")
        assembler = assemblers.setdefault((handle, attribute, sent), FrameAssembler())
        for frame in frames_in(pdu[3:], assembler):
            yield RecordedFrame(time, sent, frame)


def _att_pdus(data: bytes) -> Iterator[tuple[str, bool, int, bytes]]:
    """Return the ATT packets of a log: time, whether sent, connection, content."""
    parts: dict[tuple[int, bool], bytes] = {}
    for time, sent, packet in _acl_packets(data):
        if len(packet) < 4:
            continue
        head = int.from_bytes(packet[:2], "little")
        handle, is_continuation = head & 0x0FFF, (head >> 12) & 3 == 1
        key = handle, sent
        whole = (parts.get(key, b"") if is_continuation else b"") + packet[4:]
        parts[key] = whole
        if len(whole) < 4 or int.from_bytes(whole[:2], "little") + 4 > len(whole):
            continue
        del parts[key]
        if int.from_bytes(whole[2:4], "little") == _ATT_CHANNEL and len(whole) > 4:
            yield time, sent, handle, whole[4:]


def _acl_packets(data: bytes) -> Iterator[tuple[str, bool, bytes]]:
    try:
        _, _, datalink = _HEADER.unpack_from(data)
    except StructError as err:
        raise RecordingError("the Bluetooth log ends within its header") from err
    if datalink not in _KINDS:
        raise RecordingError(f"a Bluetooth log of an unknown kind ({datalink})")
    at = _HEADER.size
    while at + _RECORD.size <= len(data):
        _, size, flags, _, stamp = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        packet = data[at : at + size]
        at += size
        if size > _MAX_RECORD:
            raise RecordingError("the Bluetooth log is damaged")
        if datalink == _MONITOR:
            # The number of the adapter is above that of the event.
            if (sent := _MONITOR_ACL.get(flags & 0xFFFF)) is not None:
                yield _time(stamp), sent, packet
            continue
        if datalink == _H4:
            if packet[:1] != bytes((_ACL,)):
                continue
            packet = packet[1:]
        elif flags & 2:  # a command or an event
            continue
        yield _time(stamp), not flags & 1, packet


def _time(stamp: int) -> str:
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=stamp - _YEAR_0_TO_1970
        )
    except OverflowError:
        return "?"
    return when.isoformat(timespec="milliseconds")
