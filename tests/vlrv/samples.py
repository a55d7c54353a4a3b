"""Status replies made by the simulator's encoder, which is not the code under test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custom_components.voltgo_vlrv.vlrv.registers import BatteryStatus, decode_status
from simulator.battery import ReportedState, status_reply

CELLS = (3.300, 3.301, 3.302, 3.303, 3.304, 3.305, 3.306, 3.307)


def words(registers: Mapping[int, int] | None = None, **changes: Any) -> list[int]:
    """Return registers 0-40 of a state, single ones replaced by raw words."""
    state = ReportedState(**{"cell_voltages": CELLS, **changes})
    values = state.to_registers()
    for number, value in (registers or {}).items():
        values[number] = value
    return values


def frame(
    registers: Mapping[int, int] | None = None, *, count: int = 41, **changes: Any
) -> bytes:
    """Return the reply to a status request for `count` registers."""
    return status_reply(words(registers, **changes)[:count])


def status(
    registers: Mapping[int, int] | None = None, *, count: int = 41, **changes: Any
) -> BatteryStatus:
    """Return what such a reply decodes to."""
    return decode_status(frame(registers, count=count, **changes))
