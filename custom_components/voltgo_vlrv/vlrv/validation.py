"""Whether a sample can be true.

A checksum proves that a frame is what was sent, not that it is what the battery
measured: undefined registers read zero, and boards have answered with another block.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from .frames import crc16
from .registers import MAX_CELLS, MAX_TEMPERATURE, BatteryStatus, decode_status

# Pack voltage is the sum of the cells, cut to 0.01 V, in every recording (A).
PACK_VOLTAGE_TOLERANCE: Final = 0.02
CELL_MAX_MILLIVOLTS: Final = 5000
# The BMS trips near 1-2 C; ten times the capacity in an hour is no battery current.
MAX_C_RATE: Final = 10
MAX_CURRENT_UNKNOWN_CAPACITY: Final = 2000
CAPACITY_MIN: Final = 1  # Ah; 0 is a board that does not tell
CAPACITY_MAX: Final = 2000
# What the words of the temperature registers may read, in °C, with and without a sensor
# (protocol 3: 170, -56, -40; 0x7FFF elsewhere). Anything else is another block.
_LOWEST_WORD: Final = -60
_NO_SENSOR: Final = frozenset({0x00AA, 0x7FFF})
_TEMPERATURE_REGISTERS: Final = (18, 19, 20)


class Implausible(StrEnum):
    """Why a sample is rejected, as counted and shown in diagnostics."""

    ALL_ZERO = "all_zero"
    CELL_COUNT = "cell_count"
    CELL_VOLTAGE = "cell_voltage"
    PACK_VOLTAGE = "pack_voltage"
    CURRENT = "current"
    STATE_OF_CHARGE = "state_of_charge"
    STATE_OF_HEALTH = "state_of_health"
    CAPACITY = "capacity"
    TEMPERATURE = "temperature"


def implausibilities(status: BatteryStatus) -> tuple[Implausible, ...]:
    """Return every reason not to believe `status`, none when it is plausible."""
    cells = status.cells
    total = sum(cells)
    if not total and not any(status.frame[3:-2]):
        return (Implausible.ALL_ZERO,)
    reasons = []
    if not 1 <= status.cell_count <= MAX_CELLS:
        reasons.append(Implausible.CELL_COUNT)
    if not cells or min(cells) <= 0 or max(cells) > CELL_MAX_MILLIVOLTS:
        reasons.append(Implausible.CELL_VOLTAGE)
    if abs(status.voltage * 1000 - total) > total * PACK_VOLTAGE_TOLERANCE:
        reasons.append(Implausible.PACK_VOLTAGE)
    if not 0 <= status.state_of_charge <= 100:
        reasons.append(Implausible.STATE_OF_CHARGE)
    if not 0 <= status.state_of_health <= 100:
        reasons.append(Implausible.STATE_OF_HEALTH)
    capacity = status.full_capacity
    if capacity is not None and not CAPACITY_MIN <= capacity <= CAPACITY_MAX:
        reasons.append(Implausible.CAPACITY)
    if abs(status.current) > (
        max(500, MAX_C_RATE * capacity) if capacity else MAX_CURRENT_UNKNOWN_CAPACITY
    ):
        reasons.append(Implausible.CURRENT)
    if (
        status.pcb_temperature is None
        or status.ambient_temperature is None
        or status.max_temperature is None
    ) and not all(map(_temperature_word, _words(status))):
        reasons.append(Implausible.TEMPERATURE)
    return tuple(reasons)


def decode_valid_status(frame: bytes, current_scale: int) -> BatteryStatus | None:
    """Decode a status reply that was kept; None when it is damaged or implausible.

    `current_scale` is one of CURRENT_SCALES.
    """
    if crc16(frame):
        return None
    try:
        status = decode_status(frame, current_scale)
    except ValueError:
        return None
    return None if implausibilities(status) else status


def _words(status: BatteryStatus) -> list[int]:
    registers = status.registers
    return [registers[number] for number in _TEMPERATURE_REGISTERS]


def _temperature_word(word: int) -> bool:
    """Return whether a register holds a temperature or says that it has no sensor."""
    signed = word - 0x10000 if word & 0x8000 else word
    return _LOWEST_WORD <= signed <= MAX_TEMPERATURE or word in _NO_SENSOR
