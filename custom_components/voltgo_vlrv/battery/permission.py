"""Whether a battery lets itself be charged and discharged; pure.

The order of the protection bits is not proven (B; the manual's order would be another):
where the two orders differ, a measured value has to confirm a protection. What is not
known is None, and never taken for allowed.
"""

from __future__ import annotations

from typing import Final

from ..vlrv.faults import OperatingState, Protections, Warnings, is_set
from ..vlrv.registers import BatteryStatus

NEARLY_FULL_CELL: Final = 3400
"""mV; only a cell above it can have caused an overvoltage protection."""
NEARLY_EMPTY_CELL: Final = 3200
"""mV; only a cell below it can have caused an undervoltage protection."""
MAX_COLD: Final = 10
"""°C; only a colder probe can have caused an undertemperature protection."""


def charge_protections(status: BatteryStatus) -> Protections:
    """Return the protections that end charging and nothing else, active or not."""
    found = Protections.CHARGE_OVERCURRENT | Protections.CHARGE_OVERTEMPERATURE
    if max(status.cells) >= NEARLY_FULL_CELL:
        found |= Protections.CELL_OVERVOLTAGE | Protections.PACK_OVERVOLTAGE
    if min(status.temperatures, default=MAX_COLD + 1) <= MAX_COLD:
        found |= Protections.CHARGE_UNDERTEMPERATURE
    return found


def discharge_protections(status: BatteryStatus) -> Protections:
    """Return the protections that end discharging and nothing else, active or not."""
    found = (
        Protections.DISCHARGE_OVERTEMPERATURE
        | Protections.LOW_CAPACITY
        | Protections.SHORT_CIRCUIT
    )
    if min(status.cells) <= NEARLY_EMPTY_CELL:
        found |= Protections.CELL_UNDERVOLTAGE | Protections.PACK_UNDERVOLTAGE
    if status.temperatures:
        found |= (
            Protections.DISCHARGE_UNDERTEMPERATURE
            if min(status.temperatures) <= MAX_COLD
            # In the manual's order this bit is the cold that ends charging.
            else Protections.DISCHARGE_OVERCURRENT
        )
    return found


def ends_only_charging(status: BatteryStatus) -> bool:
    """Return whether the active protections end charging and leave discharging possible.

    A state of protection that no bit explains is not taken for harmless.
    """
    others = int(status.protections) & ~int(charge_protections(status))
    return bool(status.protections) and not others


def may_charge(status: BatteryStatus, *, too_cold: bool | None) -> bool | None:
    """Return whether the battery may be charged; None if that is not known.

    `too_cold` is whether it is too cold for that, None where no probe tells.
    """
    if too_cold:
        return False
    if status.current > 0:
        return True
    if status.protections and status.protections & charge_protections(status):
        return False
    if status.is_full and (
        status.operating_state is OperatingState.CHARGE_LIMIT
        or is_set(status.warnings, Warnings.FLOAT_STOPPED)
    ):
        return False
    if status.operating_state is OperatingState.CHARGE_LIMIT:
        return None
    return _unless_unknown(status)


def may_discharge(status: BatteryStatus) -> bool | None:
    """Return whether the battery may be discharged; None if that is not known."""
    if status.current < 0:
        return True
    if status.protections and status.protections & discharge_protections(status):
        return False
    return _unless_unknown(status)


def _unless_unknown(status: BatteryStatus) -> bool | None:
    """Return True, but None if something else may have ended it."""
    if status.protections:
        known = charge_protections(status) | discharge_protections(status)
        is_explained = not int(status.protections) & ~int(known)
    else:
        is_explained = not status.in_protection
    is_known = status.operating_state is not None and not status.errors
    return True if is_known and is_explained else None
