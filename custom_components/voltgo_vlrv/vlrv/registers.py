"""Registers 0-40, the live values: their map, and how they become a `BatteryStatus`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from operator import itemgetter
from struct import Struct, calcsize, unpack_from
from typing import Final, NamedTuple

from .faults import HEATING_BIT, Errors, OperatingState, Protections, Warnings, is_set

MAX_CELLS: Final = 16
HEATING_ENABLED_BIT: Final = 0x0010
"""Register 40: the heater is allowed (C+)."""

MIN_RELIABLE_SOC: Final = 3
"""State of charge in % below which it proves no scale of the remaining capacity."""

MAX_REMAINING_RATIO: Final = 1.5
"""Share of the full capacity beyond which no charge is valid (C): wide enough for a
capacity that was learned too small."""

# What a temperature reads where no sensor is fitted: 0xAA as a byte or a word (A), and
# as a signed byte 0xC8 (A), 0xD8 (B). All lie outside of what a battery survives.
MIN_TEMPERATURE: Final = -39
MAX_TEMPERATURE: Final = 120


class Grade(StrEnum):
    """How well the meaning of a field is proven."""

    A = "A"  # recorded from real batteries and decoded consistently
    B = "B"  # a vendor document or another driver says so
    C = "C"  # inferred


class Register(NamedTuple):
    """One line of the map: a register, or several in a row that make one field.

    `decode_status` takes type, position and divisor of every field from here.
    """

    number: int
    field: str
    type: str
    """Format of `struct`, big-endian."""
    divisor: int
    """The raw value divided by this is in `unit`."""
    unit: str
    grade: Grade

    @property
    def span(self) -> int:
        """Return how many registers the field has."""
        return calcsize(f">{self.type}") // 2


REGISTERS: Final = (
    Register(0, "voltage", "H", 100, "V", Grade.A),
    # 0.1 A over Bluetooth (A), 0.01 A on RS485 (protocol C1); + charges the battery.
    Register(1, "current", "h", 10, "A", Grade.A),
    Register(2, "cells", "16H", 1, "mV", Grade.A),
    Register(18, "pcb_temperature", "h", 1, "°C", Grade.A),
    # The value is A, that it is the ambient sensor is C; it is no average.
    Register(19, "ambient_temperature", "h", 1, "°C", Grade.C),
    Register(20, "max_temperature", "h", 1, "°C", Grade.A),
    # 0.1 Ah on old boards, see `_remaining_scale`.
    Register(21, "remaining_capacity", "H", 1, "Ah", Grade.A),
    Register(22, "max_charge_current", "H", 1, "A", Grade.B),
    Register(23, "state_of_health", "H", 1, "%", Grade.A),
    Register(24, "state_of_charge", "H", 1, "%", Grade.A),
    Register(25, "status", "H", 1, "", Grade.A),  # bit 15: B
    Register(26, "warnings", "H", 1, "", Grade.B),
    Register(27, "protections", "H", 1, "", Grade.B),
    Register(28, "errors", "H", 1, "", Grade.B),
    # High word first (A), low word first on the ZT with 8 cells (C).
    Register(29, "cycles", "2H", 1, "", Grade.A),
    Register(31, "full_capacity", "I", 3_600_000, "Ah", Grade.A),
    Register(33, "probes", "6b", 1, "°C", Grade.A),
    Register(36, "cell_count", "H", 1, "", Grade.A),
    # 0 on some boards, 100 Ah on a 400 Ah pack: only where 31-32 say nothing.
    Register(37, "design_capacity", "H", 10, "Ah", Grade.A),
    Register(38, "balancing", "H", 1, "", Grade.B),  # bit 0 = cell 1
    Register(39, "unknown_39", "H", 1, "", Grade.C),
    Register(40, "switches", "H", 1, "", Grade.C),  # bit 4: heating enabled
)

STATUS_START: Final = 0
STATUS_COUNTS: Final = (41, 39)
"""How many registers a status read asks for: the Voltgo app 41, older apps 39."""

_BY_FIELD: Final = {register.field: register for register in REGISTERS}

_DATA_AT: Final = 3
_NO_DATA: Final = 5
"""Bytes of a reply before and after its registers."""
_SLOW_AT: Final = _DATA_AT + 2 * _BY_FIELD["pcb_temperature"].number
_REMAINING_AT: Final = _DATA_AT + 2 * _BY_FIELD["remaining_capacity"].number
# The low byte of the status word.
_STATUS_BYTE: Final = _DATA_AT + 2 * _BY_FIELD["status"].number + 1
_LAYOUTS: Final = {
    _NO_DATA + 2 * count: Struct(
        ">"
        + "".join(
            register.type
            for register in REGISTERS
            if register.number < STATUS_START + count
        )
    )
    for count in STATUS_COUNTS
}


def register_of(field: str) -> Register:
    """Return the line of the map for a field of `BatteryStatus`; KeyError without one."""
    return _BY_FIELD[field]


def _position(field: str) -> int:
    """Return where the first value of a field is among those that were unpacked."""
    format_before = "".join(
        register.type
        for register in REGISTERS
        if register.number < _BY_FIELD[field].number
    )
    return len(Struct(f">{format_before}").unpack(bytes(calcsize(f">{format_before}"))))


def _span(field: str) -> slice:
    """Return where all values of a field are among those that were unpacked."""
    start = _position(field)
    count = len(
        Struct(kind := f">{_BY_FIELD[field].type}").unpack(bytes(calcsize(kind)))
    )
    return slice(start, start + count)


# The fields that make one value each, in the order in which `decode_status` takes them.
_SINGLE_VALUES: Final = itemgetter(
    *map(
        _position,
        (
            "voltage",
            "current",
            "pcb_temperature",
            "ambient_temperature",
            "max_temperature",
            "remaining_capacity",
            "max_charge_current",
            "state_of_health",
            "state_of_charge",
            "status",
            "warnings",
            "protections",
            "errors",
            "full_capacity",
            "cell_count",
            "design_capacity",
            "balancing",
        ),
    )
)
_CELLS: Final = _position("cells")
_CYCLES: Final = _span("cycles")
_PROBES: Final = _span("probes")
_SWITCHES: Final = _position("switches")
_VOLTAGE_DIVISOR: Final = _BY_FIELD["voltage"].divisor
_FULL_CAPACITY_DIVISOR: Final = _BY_FIELD["full_capacity"].divisor
_DESIGN_CAPACITY_DIVISOR: Final = _BY_FIELD["design_capacity"].divisor

_PER_ROOT_OF_TEN: Final = 100 / sqrt(10)
_STATES: Final = {int(state): state for state in OperatingState}
_NO_WARNINGS: Final = Warnings(0)
_NO_PROTECTIONS: Final = Protections(0)
_NO_ERRORS: Final = Errors(0)


@dataclass(frozen=True, slots=True)
class BatteryStatus:
    """The values of one status reply.

    None where the battery does not report a value, or one that is out of its range (see
    `validation`). Sources: protocol 3, register map.
    """

    voltage: float
    """Pack voltage in V, resolution 0.01 V."""
    current: float
    """Pack current in A, + charging, - discharging, resolution 0.1 A."""
    cells: tuple[int, ...]
    """Cell voltages in mV, cell 1 first, one for each cell in series."""
    pcb_temperature: int | None
    """Temperature of the circuit board in °C."""
    ambient_temperature: int | None
    """Temperature of a sensor that is most likely outside the cells, in °C (C)."""
    max_temperature: int | None
    """Highest cell temperature in °C."""
    probes: tuple[int | None, ...]
    """Six temperature probes in °C, in sensor order; None where none is fitted."""
    remaining_capacity: float | None
    """Charge left in Ah; None where the board reports 0 although it is not empty, or
    more than it can hold."""
    full_capacity: float | None
    """Capacity when full in Ah."""
    max_charge_current: float | None
    """Highest charge current that the battery requests, in A (B)."""
    state_of_health: int | None
    """0-100 % (A)."""
    state_of_charge: int
    """0-100 % (A)."""
    operating_state: OperatingState | None
    """What the battery is doing; None for a code that is not known."""
    heating: bool
    """The heating film draws current (B)."""
    warnings: Warnings
    protections: Protections
    errors: Errors
    cycles: int
    """Charge cycles, 0-65535."""
    cell_count: int
    """Cells in series as reported: 4, 8 or 16 when plausible."""
    balancing: int
    """Bitmap of the cells being balanced, bit 0 = cell 1 (B)."""
    heating_enabled: bool | None
    """The heater is allowed (C+); None when the reply ends before register 40."""
    frame: bytes
    """The whole reply, checksum included."""
    current_step: float
    """Resolution of the current in A, 0.1 or 0.01."""

    @property
    def register_count(self) -> int:
        """Return how many registers the reply holds."""
        return (len(self.frame) - _NO_DATA) // 2

    @property
    def registers(self) -> tuple[int, ...]:
        """Return the raw registers, 16 bits each, register 0 first."""
        return unpack_from(f">{self.register_count}H", self.frame, _DATA_AT)

    @property
    def slow_registers(self) -> bytes:
        """Return the bytes of all registers but voltage, current and cell voltages.

        Most of the time they are the same in one sample as in the next.
        """
        return self.frame[_SLOW_AT : _DATA_AT - _NO_DATA]

    @property
    def power(self) -> int:
        """Return the power at the terminals in W, + charging."""
        return round(self.voltage * self.current)

    @property
    def charging(self) -> bool:
        """Return whether current flows into the battery."""
        return self.current > 0

    @property
    def in_protection(self) -> bool:
        """Return whether the state is a protection, also as one bit of an unknown code.

        All codes that are known are single bits (A), so codes that combine them may
        exist (C): their state is unknown, but none is taken for harmless.
        """
        return bool(self.frame[_STATUS_BYTE] & OperatingState.PROTECTION)

    @property
    def has_fault(self) -> bool:
        """Return whether anything is wrong, also by a bit whose meaning is unproven.

        The state "protection" is recorded (A), unlike any bit of a protection (B).
        """
        return bool(self.protections or self.errors or self.in_protection)

    @property
    def is_discharged(self) -> bool:
        """Return whether the battery is empty (FULL DISCHARGE of manual table 6-1).

        No bit is proven for it. The protection bit "low capacity" (B, that it is this
        row is C) counts, and so does a state of charge of 0 % (A) unless it is charging.
        """
        return is_set(self.protections, Protections.LOW_CAPACITY) or (
            self.state_of_charge == 0
            and self.operating_state is not OperatingState.CHARGING
        )

    @property
    def is_full(self) -> bool:
        """Return whether the battery is full (FULL CHARGE of manual table 6-1).

        No bit is proven for it. The warning bit "float stopped" (B, that it is this row
        is C) counts, and so does a state of charge of 100 % (A); neither does while it
        is discharging (A).
        """
        return self.operating_state is not OperatingState.DISCHARGING and (
            self.state_of_charge == 100 or is_set(self.warnings, Warnings.FLOAT_STOPPED)
        )

    @property
    def remaining_step(self) -> float:
        """Return the resolution of the remaining capacity: 1 Ah, 0.1 Ah on old boards."""
        raw = int.from_bytes(self.frame[_REMAINING_AT : _REMAINING_AT + 2], "big")
        return 1.0 if self.remaining_capacity in (None, raw) else 0.1

    @property
    def temperatures(self) -> tuple[int, ...]:
        """Return what the fitted probes measure, in °C."""
        return tuple([value for value in self.probes if value is not None])

    @property
    def balancing_cells(self) -> tuple[int, ...]:
        """Return the numbers (1 first) of the cells being balanced."""
        return tuple(
            number
            for number in range(1, self.cell_count + 1)
            if self.balancing >> (number - 1) & 1
        )


def probe_count(cell_count: int) -> int:
    """Return how many probe slots are wired: 2 up to 8 cells, else 4 (A).

    A slot beyond reads 0 like a probe at 0 °C, so that 0 is not valid there.
    """
    return 2 if cell_count <= 8 else 4


def _probes(values: tuple[int, ...], wired: int) -> tuple[int | None, ...]:
    return tuple(
        [
            value
            if MIN_TEMPERATURE <= value <= MAX_TEMPERATURE and (value or slot < wired)
            else None
            for slot, value in enumerate(values)
        ]
    )


def _remaining_capacity(
    raw: int, state_of_charge: int, full: float | None, *, counts_tenths: bool
) -> tuple[float | None, bool]:
    """Return the charge left in Ah, and whether the board counts in tenths.

    Newer boards count in 1 Ah, older ones in 0.1 Ah: what agrees with the state of
    charge and the full capacity is right (protocol C5). Near empty that tells nothing,
    there `counts_tenths` does: whether another register of the board surely counts so.
    A board that reports 0 while not empty does not measure it, and what is far beyond
    the full capacity is no charge at all.
    """
    if not full:
        return float(raw) or None, False
    if not raw:
        return (None if state_of_charge > 1 else 0.0), False
    # The two readings lie a factor of ten apart, so the border is at its root. A state
    # of charge near 0 is often forced down, and no measure for that.
    tenths = raw * _PER_ROOT_OF_TEN > full * max(state_of_charge, MIN_RELIABLE_SOC) or (
        counts_tenths and state_of_charge < MIN_RELIABLE_SOC
    )
    left = raw / 10 if tenths else float(raw)
    return (None, False) if left > MAX_REMAINING_RATIO * full else (left, tenths)


CURRENT_SCALE: Final = _BY_FIELD["current"].divisor
"""Counts of 1 A over Bluetooth (A)."""
CURRENT_SCALES: Final = (CURRENT_SCALE, 100)
"""Known scales: 10, and 100 as on RS485 (protocol C1)."""


def decode_status(frame: bytes, current_scale: int = CURRENT_SCALE) -> BatteryStatus:
    """Decode a whole, intact reply to a status read of 41 or 39 registers.

    `current_scale` is one of CURRENT_SCALES: whether it follows the link or the firmware
    is an open question, so it is an option.
    Raises ValueError when the reply has another length.
    """
    if (layout := _LAYOUTS.get(len(frame))) is None:
        raise ValueError(f"a status reply does not have {len(frame)} bytes")
    values = layout.unpack_from(frame, _DATA_AT)
    (
        voltage,
        current,
        pcb,
        ambient,
        hottest,
        remaining,
        charge_limit,
        health,
        charge,
        state,
        warnings,
        protections,
        errors,
        full,
        cell_count,
        design,
        balancing,
    ) = _SINGLE_VALUES(values)
    cycles_high, cycles_low = values[_CYCLES]
    capacity = (
        full / _FULL_CAPACITY_DIVISOR if full else design / _DESIGN_CAPACITY_DIVISOR
    )
    # No battery charges in half an hour: that board counts in tenths.
    limit_in_tenths = bool(capacity) and charge_limit > 2 * capacity
    left, tenths = _remaining_capacity(
        remaining, charge, capacity, counts_tenths=limit_in_tenths
    )
    return BatteryStatus(
        voltage / _VOLTAGE_DIVISOR,
        current / current_scale,
        values[_CELLS : _CELLS + min(cell_count, MAX_CELLS)],
        pcb if MIN_TEMPERATURE <= pcb <= MAX_TEMPERATURE else None,
        ambient if MIN_TEMPERATURE <= ambient <= MAX_TEMPERATURE else None,
        hottest if MIN_TEMPERATURE <= hottest <= MAX_TEMPERATURE else None,
        _probes(values[_PROBES], probe_count(cell_count)),
        left,
        capacity or None,
        charge_limit / 10 if tenths or limit_in_tenths else float(charge_limit),
        health,
        charge,
        _STATES.get(state & 0xFF),
        state & HEATING_BIT != 0,
        Warnings(warnings) if warnings else _NO_WARNINGS,
        Protections(protections) if protections else _NO_PROTECTIONS,
        Errors(errors) if errors else _NO_ERRORS,
        cycles_low or cycles_high,
        cell_count,
        balancing,
        (
            values[_SWITCHES] & HEATING_ENABLED_BIT != 0
            if len(values) > _SWITCHES
            else None
        ),
        frame,
        1 / current_scale,
    )
