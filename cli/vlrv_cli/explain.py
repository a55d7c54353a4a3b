"""A frame of the protocol in words, with the evidence for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vlrv_ble.frames import (
    EXCEPTION,
    FIRMWARE_FAMILY,
    MORE_CELLS,
    READ_REGISTERS,
    SETTINGS_FAMILY,
    STATUS_FAMILY,
    crc16,
)
from vlrv_ble.identity import IDENTITY_COUNT, IDENTITY_START, decode_identity
from vlrv_ble.registers import (
    REGISTERS,
    STATUS_COUNTS,
    BatteryStatus,
    Grade,
    Register,
    decode_status,
)
from vlrv_ble.settings import brand_names, decode_module_id, decode_protocols
from vlrv_ble.thresholds import THRESHOLD_READS, THRESHOLDS, decode_threshold_block
from vlrv_ble.validation import drop_unknown_fields, implausibilities

_DATA_AT: Final = 3
_READ_REQUEST_LENGTH: Final = 8

SETTINGS: Final = {
    0x02: ("module ID", Grade.A),
    0x03: ("RS485 protocols", Grade.A),
    0x04: ("CAN protocols", Grade.A),
    0x05: ("set RS485 protocol", Grade.A),
    0x06: ("set CAN protocol", Grade.A),
    0x07: ("set module ID", Grade.A),
    0x09: ("set Bluetooth name", Grade.C),
    0x0A: ("set heater", Grade.C),
    0x0D: ("unknown, sent by the vendor's app", Grade.C),
}
"""Settings functions with the evidence for their meaning (protocol 7)."""

FIRMWARE_STEPS: Final = {
    1: "sync",
    2: "start write",
    3: "write",
    4: "finish write",
    5: "finish",
}
"""Sub-commands of a firmware transfer, all grade C."""


class Line(NamedTuple):
    """One value of a frame."""

    name: str
    value: str
    grade: Grade | None = None
    """Evidence for the meaning; None where there is nothing to prove."""


@dataclass
class Explanation:
    """A frame in words."""

    title: str
    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Why nothing of it may be used."""

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "title": self.title,
            "values": [
                {"name": line.name, "value": line.value, "grade": line.grade}
                for line in self.lines
            ],
            "problems": self.problems,
        }


def is_read_request(frame: bytes) -> bool:
    """Return whether a frame is an intact request for registers."""
    return (
        len(frame) == _READ_REQUEST_LENGTH
        and frame[0] == STATUS_FAMILY
        and frame[1] in (READ_REGISTERS, MORE_CELLS)
        and crc16(frame) == 0
    )


def explain(
    frame: bytes, *, request: bytes | None = None, sent: bool | None = None
) -> Explanation:
    """Return a frame in words.

    `request` is the read that it may answer, as a reply does not name its registers;
    `sent` tells whether it went to the battery, where that is known.
    """
    if len(frame) < 5 or crc16(frame):
        return Explanation(
            f"{len(frame)} bytes", problems=["the checksum is wrong: damaged or cut"]
        )
    if is_read_request(frame) and sent is not False:
        start, count = _registers(frame)
        return Explanation(f"request: {_named(start, count)}")
    if frame[0] == STATUS_FAMILY:
        return _explain_status_family(frame, request)
    if frame[0] == SETTINGS_FAMILY:
        return _explain_setting(frame, sent)
    if frame[0] == FIRMWARE_FAMILY:
        step = FIRMWARE_STEPS.get(frame[1], f"unknown step {frame[1]}")
        return Explanation(
            f"firmware: {step}", [Line("data", frame[3:-2].hex(" "), Grade.C)]
        )
    return Explanation("unknown family", [Line("data", frame[:-2].hex(" "))])


def _registers(request: bytes) -> tuple[int, int]:
    return int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")


def _named(start: int, count: int) -> str:
    if start == 0 and count in STATUS_COUNTS:
        what = "status"
    elif (start, count) == (IDENTITY_START, IDENTITY_COUNT):
        what = "identity"
    elif (start, count) in THRESHOLD_READS:
        what = "thresholds"
    else:
        what = "registers"
    return f"{what}, registers {start}-{start + count - 1}"


def _explain_status_family(frame: bytes, request: bytes | None) -> Explanation:
    function = frame[1]
    if function & EXCEPTION:
        return Explanation("refused", [Line("exception code", str(frame[2]), Grade.C)])
    if function == MORE_CELLS:
        cells = frame[4:-2]
        return Explanation(
            f"cells beyond the first 16, part {frame[2]}",
            [
                Line(f"cell {16 * frame[2] + n // 2 + 1}", f"{word} mV", Grade.B)
                for n in range(0, len(cells) - 1, 2)
                if (word := int.from_bytes(cells[n : n + 2], "big"))
            ],
        )
    count = (len(frame) - 5) // 2
    start = None
    if request is not None and is_read_request(request):
        asked, wanted = _registers(request)
        start = asked if wanted == count else None
    if start is None:
        start = _start_by_length(count)
    if start is None:
        return Explanation(
            f"{count} register{'s' * (count != 1)}, from an unknown one on",
            [Line(f"+{n}", f"0x{word:04x}") for n, word in enumerate(_words(frame))],
        )
    if start == 0 and count in STATUS_COUNTS:
        return explain_status(decode_status(frame))
    explanation = Explanation(_named(start, count))
    explanation.lines += _explain_block(frame, start)
    return explanation


def _start_by_length(count: int) -> int | None:
    """Return where a reply of the known reads begins: each has a length of its own."""
    known = {
        **dict.fromkeys(STATUS_COUNTS, 0),
        IDENTITY_COUNT: IDENTITY_START,
        **{length: start for start, length in THRESHOLD_READS},
        IDENTITY_START + IDENTITY_COUNT - THRESHOLD_READS[0][0]: THRESHOLD_READS[0][0],
    }
    return known.get(count)


def _words(frame: bytes) -> tuple[int, ...]:
    data = frame[_DATA_AT:-2]
    return tuple(
        int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)
    )


def _explain_block(frame: bytes, start: int) -> Iterator[Line]:
    """Explain thresholds and identity, wherever they are in a reply."""
    data = frame[_DATA_AT:-2]
    units = {threshold.key: threshold.unit for threshold in THRESHOLDS}
    for key, value in decode_threshold_block(data, start).items():
        yield Line(key, f"{value:g} {units[key]}", Grade.B)
    named = {threshold.number for threshold in THRESHOLDS}
    at = 2 * (IDENTITY_START - start)
    if at >= 0 and len(data) >= at + 2 * IDENTITY_COUNT:
        texts = decode_identity(bytes(_DATA_AT) + data[at:] + bytes(2))
        yield Line("model", texts.model, Grade.A)
        yield Line("firmware", texts.firmware, Grade.A)
        yield Line("serial", "(not shown)" if texts.serial else "", Grade.A)
        named.update(range(IDENTITY_START, IDENTITY_START + IDENTITY_COUNT))
    for number, word in enumerate(_words(frame), start):
        if word and number not in named:
            yield Line(f"register {number}", f"0x{word:04x}", Grade.C)


def _explain_setting(frame: bytes, sent: bool | None) -> Explanation:
    function, data = frame[1], frame[_DATA_AT:-2]
    name, grade = SETTINGS.get(function, (f"function 0x{function:02x}", Grade.C))
    is_setter = name.startswith("set ")
    if not data:
        return Explanation(f"request: {name}")
    if sent or (sent is None and is_setter and len(data) != 1):
        return Explanation(f"request: {name}", [Line("value", data.hex(" "), grade)])
    lines: list[Line] = []
    problems: list[str] = []
    try:
        if function == 0x02:
            lines.append(Line(name, str(decode_module_id(frame)), grade))
        elif function in (0x03, 0x04):
            protocols = decode_protocols(frame)
            lines += [
                Line(
                    f"{index}{' (selected)' if index == protocols.selected else ''}",
                    f"{code}, {brand}",
                    grade,
                )
                for index, (code, brand) in enumerate(
                    zip(protocols.names, brand_names(protocols.names), strict=True)
                )
            ]
        elif is_setter:
            meaning = {0: "accepted", 1: "refused"}.get(data[0], "unknown result")
            lines.append(Line("as a reply", f"{data[0]}: {meaning}", grade))
            if sent is None:
                lines.append(Line("as a request", f"value {data[0]}", grade))
        else:
            lines.append(Line("data", data.hex(" "), Grade.C))
    except ValueError as err:
        problems.append(str(err))
    title = name if sent is None and is_setter else f"reply: {name}"
    return Explanation(title, lines, problems)


# --- status ---------------------------------------------------------------------------


def explain_status(status: BatteryStatus) -> Explanation:
    """Return the values of a status reply in the order of the registers."""
    explanation = Explanation(f"status, registers 0-{len(status.registers) - 1}")
    explanation.problems += [
        f"rejected: {reason}" for reason in implausibilities(status)
    ]
    status, unknown = drop_unknown_fields(status)
    for register in REGISTERS:
        explanation.lines += _status_lines(status, register, unknown)
    return explanation


def _status_lines(
    status: BatteryStatus, register: Register, unknown: tuple[str, ...]
) -> Iterator[Line]:
    name, grade, unit = register.field, register.grade, register.unit
    if register.number >= len(status.registers):
        return
    word = status.registers[register.number]
    match name:
        case "status":
            state = status.operating_state
            text = f"unknown code 0x{word & 0xFF:02x}"
            yield Line(
                "operating_state", text if state is None else state.name.lower(), grade
            )
            yield Line("heating", "yes" if status.heating else "no", Grade.B)
        case "warnings" | "protections" | "errors":
            flags = getattr(status, name)
            names = ", ".join(flag.name.lower() for flag in flags if flag.name)
            yield Line(name, f"0x{word:04x}" + (f" {names}" if names else ""), grade)
        case "switches":
            allowed = "yes" if status.heating_enabled else "no"
            yield Line("heating_enabled", f"{allowed} (0x{word:04x})", grade)
        case "unknown_39":
            if word:
                yield Line("register 39", f"0x{word:04x}", grade)
        case "design_capacity":
            yield Line(name, f"{word / register.divisor:g} {unit}", grade)
        case "balancing":
            cells = ", ".join(map(str, status.balancing_cells))
            yield Line("balancing_cells", cells or "none", grade)
        case "cells" | "probes":
            for number, item in enumerate(getattr(status, name), 1):
                if item is not None:
                    yield Line(f"{name[:-1]} {number}", f"{item} {unit}", grade)
        case _:
            value = getattr(status, name)
            if value is None:
                text = f"unknown (0x{word:04x})" if name in unknown else "not reported"
                yield Line(name, text, grade)
            else:
                digits = 2 if name == "voltage" else 1
                text = f"{value:.{digits}f}" if isinstance(value, float) else f"{value}"
                yield Line(name, f"{text} {unit}".strip(), grade)
