"""Energy into and out of a battery, counted from its power.

The batteries have no energy counter, so power is integrated over time by trapezoid
from valid samples. Across a longer gap nothing is counted: what flowed is unknown, and
a guess would stay in the statistics.
"""

from __future__ import annotations

from math import floor, isfinite
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback

from .store import EntryStore
from .totals import SAVE_DELAY, TotalLimit, flow_between

CHARGED: Final = "charged"
DISCHARGED: Final = "discharged"
DIRECTIONS: Final = (CHARGED, DISCHARGED)

# Shown in steps of 10 Wh; finer steps would write a database row at each poll.
STEPS_PER_KWH: Final = 100
# Binary fractions must not cost one step.
_STEP_TOLERANCE: Final = 1e-6

MAX_TOTAL: Final = 1_000_000.0
"""kWh; two centuries of the largest battery at its full current."""


def in_steps(total: float) -> float:
    """Return a total in kWh, rounded down to the step that is shown."""
    return floor(total * STEPS_PER_KWH + _STEP_TOLERANCE) / STEPS_PER_KWH


class EnergyCounter:
    """Energy charged and discharged, stored over restarts."""

    def __init__(self, hass: HomeAssistant, store: EntryStore) -> None:
        """Start at zero; `load` restores what was counted before."""
        self._hass = hass
        self._section = store.section("energy", self._as_stored, SAVE_DELAY)
        self._totals = dict.fromkeys(DIRECTIONS, 0.0)
        self._last: tuple[float, float] | None = None
        # Totals never fall below it: as much may have been shown before a power cut.
        self._floor = dict.fromkeys(DIRECTIONS, 0.0)
        self._limits = {direction: TotalLimit() for direction in DIRECTIONS}

    def total(self, direction: str) -> float:
        """Return the energy CHARGED or DISCHARGED since counting began, in kWh."""
        return max(self._totals[direction], self._floor[direction])

    @callback
    def add(self, time: float, power: float, longest: float) -> None:
        """Add the power in W at monotonic time `time` in s.

        Nothing is counted since the previous sample if more than `longest` s passed.
        """
        last, self._last = self._last, (time, power)
        if last is None or not 0 < time - last[0] <= longest:
            return
        flow = flow_between(time - last[0], last[1], power)
        if any(flow):
            self._totals[CHARGED] += flow.charged
            self._totals[DISCHARGED] += flow.discharged
            is_beyond = any(
                limit.is_beyond(self.total(direction))
                for direction, limit in self._limits.items()
            )
            self._section.save_later(at_once=is_beyond)

    @callback
    def interrupt(self) -> None:
        """Count nothing until the next sample, because what flows is unknown."""
        self._last = None

    @callback
    def reset(self, direction: str) -> None:
        """Count CHARGED or DISCHARGED again from zero; the caller saves it."""
        self._totals[direction] = self._floor[direction] = 0.0
        self._limits[direction] = TotalLimit()

    @callback
    def load(self) -> None:
        """Restore the totals; invalid data is ignored, and counting starts at zero."""
        if (stored := self._section.loaded(totals_from_stored)) is not None:
            self._totals, self._floor = stored

    @callback
    def close(self) -> None:
        """Store the totals without upper limits from now on: nothing is counted later."""
        self._limits = {}

    @callback
    def _as_stored(self) -> dict[str, Any]:
        time = self._hass.loop.time()
        for direction, limit in self._limits.items():
            limit.update(self.total(direction), time)
        return totals_as_stored(self._totals, self._limits)


def totals_as_stored(
    totals: dict[str, float], limits: dict[str, TotalLimit]
) -> dict[str, Any]:
    """Return totals in kWh with their limits as JSON data for the store."""
    return {
        "totals": dict(totals),
        "limits": {direction: limit.value for direction, limit in limits.items()},
    }


def totals_from_stored(stored: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Return totals and limits in kWh; raises one of INVALID_DATA_ERRORS."""
    totals = {direction: float(stored["totals"][direction]) for direction in DIRECTIONS}
    limits = {
        direction: float(stored["limits"].get(direction, 0.0))
        for direction in DIRECTIONS
    }
    if not all(map(is_total, (*totals.values(), *limits.values()))):
        raise ValueError("no totals")
    return totals, limits


def is_total(value: float) -> bool:
    """Return whether a number of kWh can be a total."""
    return isfinite(value) and 0 <= value <= MAX_TOTAL
