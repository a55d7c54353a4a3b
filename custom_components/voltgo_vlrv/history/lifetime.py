"""What a battery has been through since it was added: totals, extremes, trips; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from ..vlrv.faults import FAULTS, UNKNOWN_BIT, active_faults
from ..vlrv.registers import BatteryStatus
from .charge_history import EARLIEST
from .totals import areas

SECONDS_PER_HOUR: Final = 3600.0

DISCHARGED: Final = "discharged"
"""Total in Ah."""
CYCLES: Final = "cycles"
"""Total of what was discharged as a part of the full capacity."""
TOTALS: Final = (DISCHARGED, CYCLES)
MAX_TOTAL: Final = 1e9
"""Ah; a century at the largest current of a battery."""

HIGHEST_CELL_VOLTAGE: Final = "highest_cell_voltage"
LOWEST_CELL_VOLTAGE: Final = "lowest_cell_voltage"
HIGHEST_TEMPERATURE: Final = "highest_temperature"
LOWEST_TEMPERATURE: Final = "lowest_temperature"
LOWEST_STATE_OF_CHARGE: Final = "lowest_state_of_charge"
_EXTREMES: Final[Mapping[str, bool]] = {
    HIGHEST_CELL_VOLTAGE: True,
    LOWEST_CELL_VOLTAGE: False,
    HIGHEST_TEMPERATURE: True,
    LOWEST_TEMPERATURE: False,
    LOWEST_STATE_OF_CHARGE: False,
}
"""Whether the highest value counts, by key."""

_PROTECTIONS: Final = frozenset(
    [*(fault.key for fault in FAULTS), *(f"{UNKNOWN_BIT}{bit}" for bit in range(16))]
)


@dataclass(frozen=True, slots=True)
class Extreme:
    """The highest or lowest value that was read."""

    value: float
    """mV, °C or %."""
    at: datetime | None
    """When it was first read (UTC); None where the clock was not set."""

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"value": self.value, "at": text_of(self.at)}


@dataclass(frozen=True, slots=True)
class Trips:
    """How often a protection has tripped."""

    count: int = 0
    last: datetime | None = None
    """When it tripped last (UTC); None where it never did or the clock was not set."""

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"count": self.count, "last": text_of(self.last)}


@dataclass(slots=True)
class Lifetime:
    """The lifetime figures of one battery, as far as its samples show them."""

    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TOTALS, 0.0))
    extremes: dict[str, Extreme] = field(default_factory=dict)
    trips: dict[str, Trips] = field(default_factory=dict)
    """By the key of the protection."""
    any_trip: Trips = field(default_factory=Trips)
    """How often the battery went from no protection to one or several."""
    since: datetime | None = None
    """When counting began (UTC); None until the clock was set."""
    active: frozenset[str] = frozenset()
    """Keys of the protections that were active in the last sample."""
    was_protected: bool = False
    """Whether the last sample was that of a battery in protection."""
    _last: tuple[float, float] | None = None

    def add(
        self, status: BatteryStatus, when: datetime, time: float, longest: float
    ) -> bool:
        """Add a sample of `when` (UTC) and `time` (monotonic, s).

        Nothing is counted since the previous sample if more than `longest` s passed.
        Returns whether a protection has tripped.
        """
        at = known_time(when)
        self.since = self.since or at
        self._count(status, time, longest)
        for key, value in _values(status).items():
            known = self.extremes.get(key)
            if known is None or (
                value > known.value if _EXTREMES[key] else value < known.value
            ):
                self.extremes[key] = Extreme(value, at)
        return self._add_protections(status, at)

    def _count(self, status: BatteryStatus, time: float, longest: float) -> None:
        last, self._last = self._last, (time, status.current)
        if last is None or not 0 < time - last[0] <= longest:
            return
        area = areas(time - last[0], last[1], status.current)[1]
        discharged = area / SECONDS_PER_HOUR
        self.totals[DISCHARGED] += discharged
        if status.full_capacity:
            self.totals[CYCLES] += discharged / status.full_capacity

    def _add_protections(self, status: BatteryStatus, at: datetime | None) -> bool:
        was_any = self.active or self.was_protected
        if not (was_any or status.protections or status.in_protection):
            return False
        active = active_faults(status.protections)
        tripped = active - self.active
        for key in tripped:
            self.trips[key] = Trips(self.trips.get(key, Trips()).count + 1, at)
        is_protected = bool(active) or status.in_protection
        is_new = is_protected and not self.was_protected
        if is_new:
            self.any_trip = Trips(self.any_trip.count + 1, at)
        self.active, self.was_protected = active, is_protected
        return bool(tripped) or is_new

    def interrupt(self) -> None:
        """Count nothing until the next sample, because what flows is unknown."""
        self._last = None

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "totals": dict(self.totals),
            "extremes": {key: item.as_stored() for key, item in self.extremes.items()},
            "trips": {key: item.as_stored() for key, item in self.trips.items()},
            "any_trip": self.any_trip.as_stored(),
            "since": text_of(self.since),
            "active": sorted(self.active),
            "was_protected": self.was_protected,
        }

    @classmethod
    def from_stored(cls, stored: Any) -> Lifetime:
        """Return what `as_stored` returned; raises TypeError, ValueError or LookupError."""
        return cls(
            totals={key: as_total(stored["totals"][key]) for key in TOTALS},
            extremes={
                key: Extreme(_finite(item["value"]), time_of(item["at"]))
                for key in _EXTREMES
                if (item := stored["extremes"].get(key)) is not None
            },
            trips={
                key: _trips_of(item)
                for key, item in stored["trips"].items()
                if key in _PROTECTIONS
            },
            any_trip=_trips_of(stored["any_trip"]),
            since=time_of(stored["since"]),
            active=frozenset(stored["active"]) & _PROTECTIONS,
            was_protected=bool(stored["was_protected"]),
        )


def _values(status: BatteryStatus) -> dict[str, float]:
    """Return the values of a sample whose extremes are kept, by key."""
    values: dict[str, float] = {
        HIGHEST_CELL_VOLTAGE: max(status.cells),
        LOWEST_CELL_VOLTAGE: min(status.cells),
        LOWEST_STATE_OF_CHARGE: status.state_of_charge,
    }
    if temperatures := status.temperatures:
        values |= {
            HIGHEST_TEMPERATURE: max(temperatures),
            LOWEST_TEMPERATURE: min(temperatures),
        }
    return values


def known_time(when: datetime) -> datetime | None:
    """Return a time, None if it comes from a clock that was not set."""
    return when if when >= EARLIEST else None


def past_time(when: datetime | None, now: datetime) -> datetime | None:
    """Return a time, None if it can only come from a clock that was fast."""
    return None if when is None or when > now else when


def text_of(when: datetime | None) -> str | None:
    """Return a time as JSON data."""
    return None if when is None else when.isoformat()


def time_of(text: Any) -> datetime | None:
    """Return a time as `text_of` returned it; raises TypeError or ValueError."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def as_total(value: Any) -> float:
    """Return a stored total; raises TypeError or ValueError if it can be none."""
    total = float(value)
    if not 0 <= total <= MAX_TOTAL:
        raise ValueError("no total")
    return total


def _finite(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError("no number")
    return number


def _trips_of(stored: Any) -> Trips:
    count = int(stored["count"])
    if count < 0:
        raise ValueError("no count")
    return Trips(count, time_of(stored["last"]))
