"""Which values are mostly the same from one sample to the next."""

from __future__ import annotations

from typing import Final

from ..vlrv.registers import BatteryStatus, register_of

SLOW: Final = "slow"
"""Context of an entity that shows nothing but what follows from slow registers."""
_BEGIN: Final = 3 + 2 * register_of("pcb_temperature").number
"""Where they begin in a status reply: after voltage, current and cells."""
_CHECKSUM: Final = 2  # bytes


class SlowValues:
    """The slow registers of the last sample that listeners have seen."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.have_changed = True
        self._seen: bytes | None = b""

    def update(self, status: BatteryStatus | None) -> None:
        """Compare with those of a sample, of None while there are no values."""
        registers = None if status is None else status.frame[_BEGIN:-_CHECKSUM]
        self.have_changed = registers != self._seen
        self._seen = registers
