"""Whether a sample or an identity belongs to the battery of an entry."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ..vlrv.identity import Identity
from ..vlrv.registers import BatteryStatus
from .info import BatteryInfo

# Share of the full capacity; the BMS lowers it by some percent over the years.
MAX_CAPACITY_CHANGE: Final = 0.25

_DATES: Final = ("%Y%m%d", "%y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d")


def is_same_battery(info: BatteryInfo, status: BatteryStatus) -> bool:
    """Return whether cell count and full capacity are those of the known battery.

    One that is not known, or not reported, agrees with any.
    """
    if info.cell_count and status.cell_count != info.cell_count:
        return False
    known, found = info.full_capacity, status.full_capacity
    return (
        known is None
        or found is None
        or abs(found - known) <= MAX_CAPACITY_CHANGE * known
    )


def has_other_serial(info: BatteryInfo, identity: Identity) -> bool:
    """Return whether the serial number is that of another battery.

    A date does not count: batteries made on one day share it, and boards are replaced.
    """
    serials = (info.serial, identity.serial)
    return serials[0] != serials[1] and all(is_proof(serial) for serial in serials)


def is_proof(serial: str) -> bool:
    """Return whether a serial number can prove which battery it is; see above."""
    return bool(serial) and not _is_date(serial)


def _is_date(serial: str) -> bool:
    for layout in _DATES:
        try:
            datetime.strptime(serial.strip(), layout)  # noqa: DTZ007
        except ValueError:
            continue
        return True
    return False
