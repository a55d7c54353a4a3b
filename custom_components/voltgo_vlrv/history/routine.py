"""Routine maintenance of a battery, and when each item is due; pure.

The items and intervals are those of the manual (section 7.2, table 7-2).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .charge_history import EARLIEST

INTERVALS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "power_cables": 6,
        "communication_cables": 12,
        # "6-12 months": this is the latest.
        "cleanliness": 12,
        "system_status": 6,
        "charge_test": 6,
    }
)
"""Months between two times, by item, in the manual's order."""
NOTICE: Final = timedelta(days=14)
"""An item that was done is open again for so long before it is due."""


class RoutineItem(NamedTuple):
    """One item as it is on a day."""

    key: str
    due: date | None
    """None where it is not known when the interval began."""
    is_open: bool


class RoutineMaintenance:
    """When each item was done last; all dates are local."""

    def __init__(self) -> None:
        """Start with nothing done."""
        # The last time and the one before it, for a tick that was a mistake.
        self._done: dict[str, tuple[date, date | None]] = {}

    def items(self, began: date, today: date) -> list[RoutineItem]:
        """Return all items on a day, without dates if the clock is not set.

        What was never done is due an interval after `began`.
        """
        if not is_known(today):
            return [RoutineItem(key, None, is_open=True) for key in INTERVALS]
        return [self._item(key, began, today) for key in INTERVALS]

    def _item(self, key: str, began: date, today: date) -> RoutineItem:
        done = self._last_done(key, today)
        start = done or began
        # A date that is still to come was set by a clock that was fast.
        if not is_known(start) or start > today:
            return RoutineItem(key, None, is_open=True)
        due = add_months(start, INTERVALS[key])
        return RoutineItem(key, due, is_open=done is None or due - today <= NOTICE)

    def _last_done(self, key: str, today: date) -> date | None:
        return next(
            (day for day in self._done.get(key, ()) if day and day <= today), None
        )

    def tick_off(self, key: str, today: date) -> None:
        """Record that an item was done; raises ValueError while the clock is not set."""
        if not is_known(today):
            raise ValueError("the clock is not set")
        self._done[key] = (today, self._last_done(key, today))

    def undo(self, key: str) -> None:
        """Forget that an item was done the last time."""
        if (done := self._done.pop(key, None)) is not None and done[1] is not None:
            self._done[key] = (done[1], None)

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            key: [day and day.isoformat() for day in days]
            for key, days in self._done.items()
        }

    @classmethod
    def from_stored(cls, stored: Any) -> RoutineMaintenance:
        """Return what `as_stored` returned; raises TypeError, ValueError or LookupError."""
        routine = cls()
        for key in INTERVALS.keys() & stored.keys():
            last, before = stored[key]
            routine._done[key] = (
                date.fromisoformat(last),
                None if before is None else date.fromisoformat(before),
            )
        return routine


def is_known(day: date) -> bool:
    """Return whether a day comes from a clock that was set."""
    return day >= EARLIEST.date()


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later, or the last one of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
