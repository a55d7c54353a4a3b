"""Energy into and out of the battery, counted from its power.

The batteries have no energy counter, so power is integrated over time, by trapezoid,
from samples that are believed. Where too much time lies between two of them nothing is
counted: what flowed meanwhile is not known, and a guess would stay in the statistics.
"""

from __future__ import annotations

import logging
from math import floor, isfinite
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant, callback

from .store import EntryStore

_LOGGER = logging.getLogger(__name__)

WATT_SECONDS_PER_KWH: Final = 3_600_000.0

CHARGED: Final = "charged"
DISCHARGED: Final = "discharged"
DIRECTIONS: Final = (CHARGED, DISCHARGED)

# A step of 10 Wh: at each poll it would be a row in the database.
STEPS_PER_KWH: Final = 100
# So that a total brought back from what was shown is not cut by one step more.
_STEP_TOLERANCE: Final = 1e-6

LARGEST_TOTAL: Final = 1_000_000.0
"""kWh; two centuries of the largest battery at its full current."""

SAVE_DELAY: Final = 300.0
"""Seconds from a change to its saving, so that an SD card lives. What a power cut
costs is at most this, and less where Home Assistant has saved the state since."""

_VERSION: Final = 1


class Flow(NamedTuple):
    """Energy in kWh, both 0 or more."""

    charged: float
    discharged: float


def flow_between(seconds: float, before: float, after: float) -> Flow:
    """Return what flows while the power goes in a straight line from one to another.

    Powers are in W, + charges the battery. Where the sign changes on the way, each side
    counts for its own direction.
    """
    if before * after >= 0:
        energy = (before + after) / 2 * seconds / WATT_SECONDS_PER_KWH
        return Flow(max(energy, 0.0), max(-energy, 0.0))
    # Of two powers far apart, rounding can put it beyond the end.
    crossing = min(seconds * before / (before - after), seconds)
    first = before / 2 * crossing / WATT_SECONDS_PER_KWH
    second = after / 2 * (seconds - crossing) / WATT_SECONDS_PER_KWH
    return Flow(max(first, second), max(-first, -second))


def in_steps(total: float) -> float:
    """Return a total in kWh as it is shown."""
    return floor(total * STEPS_PER_KWH + _STEP_TOLERANCE) / STEPS_PER_KWH


class EnergyCounter:
    """Two totals that never fall, kept across restarts."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start at zero; `async_load` brings back what was counted before."""
        self.file = EntryStore(hass, "energy", entry_id, self._as_stored, SAVE_DELAY)
        self._totals = dict.fromkeys(DIRECTIONS, 0.0)
        self._last: tuple[float, float] | None = None
        self._was_kept = False

    @property
    def was_kept(self) -> bool:
        """Return whether it goes on from a file of its own."""
        return self._was_kept

    def total(self, direction: str) -> float:
        """Return what was CHARGED or DISCHARGED since counting began, in kWh."""
        return self._totals[direction]

    @callback
    def add(self, time: float, power: float, longest: float) -> None:
        """Take the power in W at a time in s, on a clock that nobody sets.

        Nothing is counted since the last one when more than `longest` seconds lie
        between the two.
        """
        last, self._last = self._last, (time, power)
        if last is None or not 0 < time - last[0] <= longest:
            return
        flow = flow_between(time - last[0], last[1], power)
        if any(flow):
            self._totals[CHARGED] += flow.charged
            self._totals[DISCHARGED] += flow.discharged
            self.file.save_later()

    @callback
    def interrupt(self) -> None:
        """Count nothing up to the next sample: nobody knows what flows until then."""
        self._last = None

    @callback
    def raise_to(self, direction: str, total: float) -> bool:
        """Count on from a total that was shown before, unless ours is larger.

        So neither a lost file nor a power cut lets a total fall. Returns whether it
        was raised; what can be no total is not taken.
        """
        if not is_total(total) or total <= self._totals[direction]:
            return False
        self._totals[direction] = total
        self.file.save_later()
        return True

    async def async_load(self) -> None:
        """Bring back the totals; what cannot be read or be true is left out."""
        kept = await self.file.async_load(_from_stored) or {}
        self._was_kept = bool(kept)
        self._totals |= kept

    @callback
    def _as_stored(self) -> dict[str, float]:
        return dict(self._totals)


def _from_stored(stored: Any) -> dict[str, float]:
    totals = {
        direction: float(stored[direction])
        for direction in DIRECTIONS
        if direction in stored
    }
    return {key: total for key, total in totals.items() if is_total(total)}


def is_total(value: float) -> bool:
    """Return whether a number of kWh can be a total."""
    return isfinite(value) and 0 <= value <= LARGEST_TOTAL
