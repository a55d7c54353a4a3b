"""Whether a sample can be true, and which of its fields are unknown.

A checksum proves that a frame is what was sent, not that it is what the battery
measured: undefined registers read zero, and boards have answered with another block (A).
A sample is rejected as a whole for what proves the block foreign or spliced. A secondary
field out of its range is unknown by itself: a battery whose state of health reads 102 %
still has to be watched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from .faults import Protections, Warnings
from .frames import crc16
from .registers import (
    MAX_CELLS,
    MAX_TEMPERATURE,
    BatteryStatus,
    decode_status,
    register_of,
)

PACK_VOLTAGE_TOLERANCE: Final = 0.02
"""Share of the sum of the cells; they agree to 0.01 V in every recording (A)."""
MAX_CELL_MILLIVOLTS: Final = 4500
"""No LiFePO4 cell gets there: chargers end at 3.65 V, boards cut off at 3.9 V (C)."""
MAX_C_RATE: Final = 5
"""Current in A for each Ah of capacity; these boards trip near 1-2 (C)."""
MIN_CURRENT_BOUND: Final = 500
"""A current in A that is possible whatever the capacity, as of a short circuit (C)."""
MAX_CURRENT: Final = 2000
"""A current in A beyond which none is possible (C)."""
MIN_CAPACITY: Final = 1
"""Ah."""
MAX_CAPACITY: Final = 2000
"""Ah; the largest of the family has 400."""

# What temperature registers may read in °C, with and without a sensor (protocol 3: 170,
# -56, -40; 0x7FFF elsewhere).
_MIN_TEMPERATURE_WORD: Final = -60
_NO_SENSOR: Final = frozenset({0x00AA, 0x7FFF})


class Implausible(StrEnum):
    """Why a sample is rejected, as counted and shown in diagnostics."""

    ALL_ZERO = "all_zero"
    CELL_COUNT = "cell_count"
    CELL_VOLTAGE = "cell_voltage"
    PACK_VOLTAGE = "pack_voltage"
    CURRENT = "current"
    STATE_OF_CHARGE = "state_of_charge"


def _cells_are_possible(status: BatteryStatus) -> bool:
    """Return whether all cell voltages are possible.

    A cell at 0 mV is, if the battery itself reports a cell undervoltage in the same
    frame: that of a dead cell. Without that it is a register that was not filled.
    """
    cells = status.cells
    if not cells or max(cells) > MAX_CELL_MILLIVOLTS:
        return False
    if min(cells) > 0:
        return True
    return any(cells) and bool(
        status.protections & Protections.CELL_UNDERVOLTAGE
        or status.warnings & Warnings.CELL_UNDERVOLTAGE
    )


def _pack_is_sum_of_cells(status: BatteryStatus) -> bool:
    total = sum(status.cells)
    return abs(status.voltage * 1000 - total) <= total * PACK_VOLTAGE_TOLERANCE


def _current_is_possible(status: BatteryStatus) -> bool:
    bound = float(MAX_CURRENT)
    if (capacity := status.full_capacity) is not None and _is_capacity(capacity):
        bound = min(bound, max(MIN_CURRENT_BOUND, MAX_C_RATE * capacity))
    return abs(status.current) <= bound


def _is_capacity(capacity: float) -> bool:
    return MIN_CAPACITY <= capacity <= MAX_CAPACITY


class SampleCheck(NamedTuple):
    """A rule that every true sample meets."""

    reason: Implausible
    passes: Callable[[BatteryStatus], bool]
    why: str


SAMPLE_CHECKS: Final = (
    SampleCheck(
        Implausible.CELL_COUNT,
        lambda status: 1 <= status.cell_count <= MAX_CELLS,
        "one reply holds 16 cells; the family has 4, 8 or 16",
    ),
    SampleCheck(
        Implausible.CELL_VOLTAGE,
        _cells_are_possible,
        "cells beyond physics, or fewer than counted: another block",
    ),
    SampleCheck(
        Implausible.PACK_VOLTAGE,
        _pack_is_sum_of_cells,
        "pack and cells are one measurement: two blocks were spliced",
    ),
    SampleCheck(
        Implausible.STATE_OF_CHARGE,
        lambda status: 0 <= status.state_of_charge <= 100,
        "the register next to it is the capacity: a shifted block",
    ),
    SampleCheck(
        Implausible.CURRENT,
        _current_is_possible,
        "beyond what such cells can deliver: another block, or another scale",
    ),
)


class FieldCheck(NamedTuple):
    """The range of a secondary field."""

    field: str
    is_known: Callable[[BatteryStatus], bool]
    dependents: tuple[str, ...]
    """Fields whose scale is derived from this one."""
    why: str


def _temperature(field: str) -> FieldCheck:
    return FieldCheck(
        field,
        lambda status: (
            getattr(status, field) is not None
            or _is_temperature_word(status.registers[register_of(field).number])
        ),
        (),
        "one sensor says nothing about the others",
    )


def _is_temperature_word(word: int) -> bool:
    """Return whether a register holds a temperature, or that there is no sensor."""
    signed = word - 0x10000 if word & 0x8000 else word
    return _MIN_TEMPERATURE_WORD <= signed <= MAX_TEMPERATURE or word in _NO_SENSOR


FIELD_CHECKS: Final = (
    FieldCheck(
        "state_of_health",
        lambda status: (
            status.state_of_health is None or 0 <= status.state_of_health <= 100
        ),
        (),
        "101-105 % is a calibration overshoot (protocol 12.10)",
    ),
    FieldCheck(
        "full_capacity",
        lambda status: (
            status.full_capacity is None or _is_capacity(status.full_capacity)
        ),
        ("remaining_capacity", "max_charge_current"),
        "a learned or configured number, nothing that is measured",
    ),
    FieldCheck(
        "max_charge_current",
        lambda status: (
            status.max_charge_current is None
            or status.max_charge_current <= MAX_CURRENT
        ),
        (),
        "a request to the charger, nothing that is measured",
    ),
    _temperature("pcb_temperature"),
    _temperature("ambient_temperature"),
    _temperature("max_temperature"),
)


def implausibilities(status: BatteryStatus) -> tuple[Implausible, ...]:
    """Return every reason to reject `status`, none when it is plausible."""
    if not any(status.frame[3:-2]):
        # One reason instead of all that follow from it.
        return (Implausible.ALL_ZERO,)
    return tuple([check.reason for check in SAMPLE_CHECKS if not check.passes(status)])


def drop_unknown_fields(
    status: BatteryStatus,
) -> tuple[BatteryStatus, tuple[str, ...]]:
    """Return `status` with None for each field out of its range, and these fields.

    Fields that depend on such a field are None as well, but not named.
    """
    unknown = tuple([check for check in FIELD_CHECKS if not check.is_known(status)])
    if not unknown:
        return status, ()
    fields: dict[str, Any] = dict.fromkeys(
        name for check in unknown for name in (check.field, *check.dependents)
    )
    return (
        replace(status, **fields),
        tuple(check.field for check in unknown),
    )


def decode_valid_status(frame: bytes, current_scale: int) -> BatteryStatus | None:
    """Decode a stored or recorded status reply as `VlrvClient.read_status` does.

    `current_scale` is one of `registers.CURRENT_SCALES`. None when the frame is damaged,
    is no status reply, or cannot be true.
    """
    if crc16(frame):
        return None
    try:
        status = decode_status(frame, current_scale)
    except ValueError:
        return None
    return None if implausibilities(status) else drop_unknown_fields(status)[0]
