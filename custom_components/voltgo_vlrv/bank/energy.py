"""Energy into and out of a bank: the sum of its members' counters, never falling.

What a member has counted before it came, and what it had counted when it left, is stored
as an offset, so that neither makes a step. The same holds for a counter that fell: it
counts on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import fsum
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback

from ..history.energy import DIRECTIONS, is_total
from ..history.store import EntryStore
from ..history.totals import SAVE_DELAY, Flow, TotalLimit

# kWh; sums of binary fractions may end this far below a zero.
_ROUNDING: Final = 1e-6


class BankEnergy:
    """Energy charged and discharged by a bank in kWh; stored across restarts."""

    def __init__(self, hass: HomeAssistant, store: EntryStore) -> None:
        """Start empty; `load` restores what was counted before."""
        self._section = store.section("energy", self._as_stored, SAVE_DELAY)
        self._hass = hass
        # Totals never fall below it: as much may have been shown before a power cut.
        self._floor = dict.fromkeys(DIRECTIONS, 0.0)
        self._limits = {direction: TotalLimit() for direction in DIRECTIONS}
        self._seen: dict[str, Flow] = {}
        self._offset = dict.fromkeys(DIRECTIONS, 0.0)
        self._is_new = True

    def total(self, direction: str) -> float:
        """Return the energy CHARGED or DISCHARGED, in kWh."""
        return max(self._sum(direction), self._floor[direction])

    def _sum(self, direction: str) -> float:
        return self._offset[direction] + fsum(
            getattr(flow, direction) for flow in self._seen.values()
        )

    @property
    def has_begun(self) -> bool:
        """Return whether a member has been counted, so that the totals are known."""
        return not self._is_new

    @property
    def offset(self) -> dict[str, float]:
        """Return by how much the totals differ from the members' sum, in kWh."""
        return dict(self._offset)

    @callback
    def update(self, members: Collection[str], counted: Mapping[str, Flow]) -> None:
        """Update the totals from the counters of the members that are loaded.

        `members` are the keys of all members, `counted` the totals in kWh of the loaded
        ones by key. A new bank begins with the sum of its first members' totals.
        """
        for key in self._seen.keys() - set(members):
            self._rebase(key, None)
        for key, flow in counted.items():
            seen = self._seen.get(key)
            if flow == seen:
                continue
            if self._is_new:
                pass
            elif (
                seen is None
                or flow.charged < seen.charged
                or flow.discharged < seen.discharged
            ):
                self._rebase(key, flow)
            self._seen[key] = flow
            self._save()
        self._is_new = self._is_new and not counted

    def _rebase(self, key: str, flow: Flow | None) -> None:
        """Adjust the offset so that the bank's total stays while a member's changes.

        `flow` is the member's new total, None for a member that has left.
        """
        seen = self._seen.pop(key, Flow(0.0, 0.0))
        begins = flow or Flow(0.0, 0.0)
        for direction in DIRECTIONS:
            self._offset[direction] += getattr(seen, direction) - getattr(
                begins, direction
            )
        self._save()

    def _save(self) -> None:
        is_beyond = any(
            limit.is_beyond(self.total(direction))
            for direction, limit in self._limits.items()
        )
        self._section.save_later(at_once=is_beyond)

    @callback
    def reset(self, direction: str) -> None:
        """Count CHARGED or DISCHARGED again from zero; the caller saves it."""
        self._offset[direction] -= self._sum(direction)
        self._floor[direction] = 0.0
        self._limits[direction] = TotalLimit()

    @callback
    def load(self) -> None:
        """Restore the totals; invalid data is ignored."""
        stored = self._section.loaded(_from_stored)
        if stored is None:
            return
        before = self._offset, self._seen, self._floor
        self._offset, self._seen, self._floor = stored
        # The members first: a sum with infinity or NaN may raise.
        counted = [total for flow in self._seen.values() for total in flow]
        if not all(map(is_total, counted)) or not all(
            is_total(self._sum(direction) + _ROUNDING) for direction in DIRECTIONS
        ):
            self._offset, self._seen, self._floor = before
            return
        self._is_new = False

    @callback
    def close(self) -> None:
        """Store the totals without upper limits from now on: nothing is counted later."""
        self._limits = {}

    @callback
    def _as_stored(self) -> dict[str, Any]:
        time = self._hass.loop.time()
        for direction, limit in self._limits.items():
            limit.update(self.total(direction), time)
        return {
            "limits": {key: limit.value for key, limit in self._limits.items()},
            "offset": dict(self._offset),
            "members": {key: flow._asdict() for key, flow in self._seen.items()},
        }


def _from_stored(
    stored: Any,
) -> tuple[dict[str, float], dict[str, Flow], dict[str, float]]:
    """Return offsets, last totals of each member, and upper limits, all in kWh.

    Raises one of INVALID_DATA_ERRORS.
    """
    limits = {
        direction: float(stored["limits"].get(direction, 0.0))
        for direction in DIRECTIONS
    }
    if not all(map(is_total, limits.values())):
        raise ValueError("no limits")
    return (
        {direction: float(stored["offset"][direction]) for direction in DIRECTIONS},
        {
            str(key): Flow(*(float(flow[direction]) for direction in DIRECTIONS))
            for key, flow in stored["members"].items()
        },
        limits,
    )
