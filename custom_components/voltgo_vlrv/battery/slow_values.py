"""Which values are mostly the same from one sample to the next."""

from __future__ import annotations

from typing import Final

from ..vlrv.registers import BatteryStatus, register_of

SLOW: Final = "slow"
"""Context of a listener that shows nothing but what follows from slow registers."""
_BEGIN: Final = 3 + 2 * register_of("pcb_temperature").number
"""Where they begin in a status reply: after voltage, current and cells."""
_CHECKSUM: Final = 2  # bytes


class SlowValues:
    """The slow registers of the last sample that listeners have seen."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._seen: bytes | None = b""

    def have_changed(self, status: BatteryStatus | None) -> bool:
        """Return whether they differ from the last call; `status` is None for no values."""
        registers = None if status is None else status.frame[_BEGIN:-_CHECKSUM]
        before, self._seen = self._seen, registers
        return registers != before
