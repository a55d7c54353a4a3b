"""How far the cells differ at the end of each full charge; pure.

In the flat region of LiFePO4 all cells have the same voltage, whatever they hold. Only
near full charge does a difference tell something, and only while current flows into
them: hence one value for each full charge, comparable over months.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from ..vlrv.registers import BatteryStatus
from .lifetime import known_time, text_of, time_of

NEARLY_FULL: Final = 3400
"""mV that the highest cell has at least; the flat region ends below it."""
ARMED_BELOW: Final = 95
"""% to which a battery has to be discharged before another full charge counts."""
MAX_READINGS: Final = 60
"""Of the latest full charge of each month: five years."""


class FullCharge(NamedTuple):
    """The last reading under current of one full charge."""

    at: datetime | None
    """When (UTC); None where the clock was not set."""
    difference: int
    """mV between the highest and the lowest cell."""
    highest: int
    """mV of the highest cell."""
    current: float
    """A into the battery."""
    temperature: int | None
    """°C of the coldest probe."""


class FullCharges:
    """The cell difference of the latest full charges, the oldest first."""

    def __init__(self) -> None:
        """Start without a full charge."""
        self.readings: list[FullCharge] = []
        self._armed = False
        self._candidate: tuple[float, FullCharge] | None = None

    @property
    def last(self) -> FullCharge | None:
        """Return the latest full charge, None if none was observed."""
        return self.readings[-1] if self.readings else None

    def add(
        self, status: BatteryStatus, when: datetime, time: float, longest: float
    ) -> bool:
        """Add a sample of `when` (UTC) and `time` (monotonic, s).

        What was read more than `longest` s before the charge ended does not count.
        Returns whether a full charge has ended.
        """
        if status.state_of_charge < ARMED_BELOW:
            self._armed = True
        if status.current > 0:
            highest = max(status.cells)
            reading = FullCharge(
                known_time(when),
                highest - min(status.cells),
                highest,
                status.current,
                min(status.temperatures, default=None),
            )
            self._candidate = (time, reading) if highest >= NEARLY_FULL else None
            return False
        candidate, self._candidate = self._candidate, None
        is_full = status.is_full or status.state_of_charge == 100
        if not (self._armed and is_full) or candidate is None:
            return False
        if not 0 < time - candidate[0] <= longest:
            return False
        self._armed = False
        self._record(candidate[1])
        return True

    def _record(self, reading: FullCharge) -> None:
        if (last := self.last) is not None and (
            last.at is None
            or (
                reading.at is not None
                and (last.at.year, last.at.month) == (reading.at.year, reading.at.month)
            )
        ):
            del self.readings[-1]
        self.readings = [*self.readings, reading][-MAX_READINGS:]

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "readings": [[text_of(item.at), *item[1:]] for item in self.readings],
            "armed": self._armed,
        }

    @classmethod
    def from_stored(cls, stored: Any) -> FullCharges:
        """Return what `as_stored` returned; raises TypeError, ValueError or LookupError."""
        charges = cls()
        charges.readings = [
            FullCharge(
                time_of(at),
                int(difference),
                int(highest),
                float(current),
                None if temperature is None else int(temperature),
            )
            for at, difference, highest, current, temperature in stored["readings"]
        ][-MAX_READINGS:]
        charges._armed = bool(stored["armed"])
        return charges
