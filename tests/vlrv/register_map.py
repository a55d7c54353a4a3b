"""Which field each register fills."""

from __future__ import annotations

from collections.abc import Callable
import struct
from typing import Any

from hypothesis import strategies as st

from custom_components.voltgo_vlrv.vlrv.registers import BatteryStatus, Register

MIN_TEMPERATURE, MAX_TEMPERATURE = -39, 120
WORD = st.integers(0, 0xFFFF)
BYTE = st.integers(-128, 127)

# How the raw value of each line of the map shows in a `BatteryStatus`.
SHOWN: dict[str, Callable[[BatteryStatus], Any]] = {
    "voltage": lambda status: round(status.voltage * 100),
    "current": lambda status: round(status.current * 10),
    "cells": lambda status: status.cells,
    "pcb_temperature": lambda status: status.pcb_temperature,
    "ambient_temperature": lambda status: status.ambient_temperature,
    "max_temperature": lambda status: status.max_temperature,
    "remaining_capacity": lambda status: status.remaining_capacity,
    "max_charge_current": lambda status: status.max_charge_current,
    "state_of_health": lambda status: status.state_of_health,
    "state_of_charge": lambda status: status.state_of_charge,
    "warnings": lambda status: status.warnings,
    "protections": lambda status: status.protections,
    "errors": lambda status: status.errors,
    "full_capacity": lambda status: round((status.full_capacity or 0) * 3_600_000),
    "probes": lambda status: status.probes,
    "cell_count": lambda status: status.cell_count,
    "balancing": lambda status: status.balancing,
}
# Those without a value of their own: flags, two orders, a fallback, an unknown.
ELSEWHERE = {"status", "cycles", "design_capacity", "unknown_39", "switches"}


def raw(register: Register, values: list[int]) -> Any:
    """Return what the map reads from 41 registers."""
    packed = struct.pack(">41H", *values)
    found = struct.unpack_from(f">{register.type}", packed, 2 * register.number)
    return found if len(found) > 1 else found[0]
