"""Operating state and the warning, protection and error words (registers 25-28).

The bit order is grade B: no recording of a real battery with a warning or a
protection is public, and the manual's table 6-1 lists its names in another order.
So the words keep every bit, known or not, and are shown raw beside the names.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

HEATING_BIT = 0x8000
"""Register 25: the heating film draws current (B; never recorded set)."""


class OperatingState(IntEnum):
    """Low byte of register 25 (A, charge limit B)."""

    STANDBY = 0
    CHARGING = 1
    DISCHARGING = 2
    PROTECTION = 4
    CHARGE_LIMIT = 8


class Warnings(IntFlag):
    """Register 26 (B): a limit is near, the battery still works."""

    PACK_OVERVOLTAGE = 0x0001
    CELL_OVERVOLTAGE = 0x0002
    PACK_UNDERVOLTAGE = 0x0004
    CELL_UNDERVOLTAGE = 0x0008
    CHARGE_OVERCURRENT = 0x0010
    DISCHARGE_OVERCURRENT = 0x0020
    AMBIENT_TEMPERATURE = 0x0040
    MOS_OVERTEMPERATURE = 0x0080
    CHARGE_OVERTEMPERATURE = 0x0100
    DISCHARGE_OVERTEMPERATURE = 0x0200
    CHARGE_UNDERTEMPERATURE = 0x0400
    DISCHARGE_UNDERTEMPERATURE = 0x0800
    LOW_CAPACITY = 0x1000
    FLOAT_STOPPED = 0x2000


class Protections(IntFlag):
    """Register 27 (B): the battery has cut off charging, discharging or both."""

    PACK_OVERVOLTAGE = 0x0001
    CELL_OVERVOLTAGE = 0x0002
    PACK_UNDERVOLTAGE = 0x0004
    CELL_UNDERVOLTAGE = 0x0008
    CHARGE_OVERCURRENT = 0x0010
    DISCHARGE_OVERCURRENT = 0x0020
    AMBIENT_TEMPERATURE = 0x0040
    MOS_OVERTEMPERATURE = 0x0080
    CHARGE_OVERTEMPERATURE = 0x0100
    DISCHARGE_OVERTEMPERATURE = 0x0200
    CHARGE_UNDERTEMPERATURE = 0x0400
    DISCHARGE_UNDERTEMPERATURE = 0x0800
    LOW_CAPACITY = 0x1000
    SHORT_CIRCUIT = 0x2000


class Errors(IntFlag):
    """Register 28 (B): the battery doubts its own measurements.

    0x0022 was recorded from a board without temperature sensors (A); what bit 5
    means is unknown.
    """

    VOLTAGE = 0x0001
    TEMPERATURE = 0x0002
    CURRENT = 0x0004
    CELL_UNBALANCE = 0x0010


def is_set(word: IntFlag, bits: IntFlag) -> bool:
    """Return whether any of `bits` is set in a word.

    Nearly always none is, and each operator of an `IntFlag` makes an object.
    """
    return bool(word) and bool(int(word) & int(bits))


class Fault(NamedTuple):
    """One protection with an entity of its own.

    Which bit means which row of the manual is grade C, see above.
    """

    key: str
    manual: str
    """The status information of manual table 6-1, empty where it has no such row."""
    mask: Protections


FAULTS: Final = (
    Fault("cell_ovp", "CELL OVP", Protections.CELL_OVERVOLTAGE),
    Fault("cell_uvp", "CELL UVP", Protections.CELL_UNDERVOLTAGE),
    Fault("pack_ovp", "PACK OVP", Protections.PACK_OVERVOLTAGE),
    Fault("pack_uvp", "PACK UVP", Protections.PACK_UNDERVOLTAGE),
    Fault("charge_otp", "CHG OTP", Protections.CHARGE_OVERTEMPERATURE),
    Fault("charge_utp", "CHG UTP", Protections.CHARGE_UNDERTEMPERATURE),
    Fault("discharge_otp", "DSG OTP", Protections.DISCHARGE_OVERTEMPERATURE),
    Fault("discharge_utp", "DSG UTP", Protections.DISCHARGE_UNDERTEMPERATURE),
    Fault("charge_ocp", "CHG OCP", Protections.CHARGE_OVERCURRENT),
    Fault("discharge_ocp", "DSG OCP", Protections.DISCHARGE_OVERCURRENT),
    Fault("short_circuit", "SHORT Circuit", Protections.SHORT_CIRCUIT),
    Fault("mos_otp", "", Protections.MOS_OVERTEMPERATURE),
    Fault("ambient_temperature", "", Protections.AMBIENT_TEMPERATURE),
    Fault("low_capacity", "", Protections.LOW_CAPACITY),
)


def active_faults(protections: Protections) -> frozenset[str]:
    """Return the keys of the active protections.

    A bit without a name counts as `unknown_bit_15`, with its number.
    """
    if not protections:
        return frozenset()
    rest = int(protections)
    active = set()
    for fault in FAULTS:
        if protections & fault.mask:
            active.add(fault.key)
            rest &= ~int(fault.mask)  # of a flag, ~ would drop the unknown bits
    active.update(f"{UNKNOWN_BIT}{bit}" for bit in range(16) if rest >> bit & 1)
    return frozenset(active)


UNKNOWN_BIT: Final = "unknown_bit_"
