"""Energy into and out of a bank: the sum of its members' counters, never falling.

What a member has counted before it came, and what it had counted when it left, is kept
as an offset, so that neither makes a step. The same holds for a counter that fell: it
counts on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import logging
from math import fsum
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback

from ..history.energy import DIRECTIONS, SAVE_DELAY, Flow, is_total
from ..history.store import EntryStore

_LOGGER = logging.getLogger(__name__)

_VERSION: Final = 1


class BankEnergy:
    """Two totals in kWh, kept across restarts."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; `async_load` brings back what was counted before."""
        self.file = EntryStore(
            hass, "bank_energy", entry_id, self._as_stored, SAVE_DELAY
        )
        self._seen: dict[str, Flow] = {}
        self._offset = dict.fromkeys(DIRECTIONS, 0.0)
        # What was shown before the start, of which the file may not know yet.
        self._floor = dict.fromkeys(DIRECTIONS, 0.0)
        self._is_new = self._was_lost = True

    def total(self, direction: str) -> float:
        """Return what was CHARGED or DISCHARGED, in kWh."""
        return max(self._floor[direction], self._sum(direction))

    @property
    def has_begun(self) -> bool:
        """Return whether it is known with how much a new bank begins."""
        return not self._is_new

    @property
    def was_kept(self) -> bool:
        """Return whether it goes on from a file of its own."""
        return not self._was_lost

    @property
    def offset(self) -> dict[str, float]:
        """Return by how much the totals differ from the members' sum, in kWh."""
        return dict(self._offset)

    def _sum(self, direction: str) -> float:
        return self._offset[direction] + fsum(
            getattr(flow, direction) for flow in self._seen.values()
        )

    @callback
    def update(self, members: Collection[str], counted: Mapping[str, Flow]) -> None:
        """Take the counters of those members that are there.

        A new bank begins with their sum.
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
            self.file.save_later()
        self._is_new = self._is_new and not counted

    def _rebase(self, key: str, flow: Flow | None) -> None:
        """Let a member count from another value on without changing the total."""
        seen = self._seen.pop(key, Flow(0.0, 0.0))
        begins = flow or Flow(0.0, 0.0)
        for direction in DIRECTIONS:
            self._offset[direction] += getattr(seen, direction) - getattr(
                begins, direction
            )
        self.file.save_later()

    @callback
    def raise_to(self, direction: str, shown: float) -> None:
        """Do not fall below what was shown before; what can be no total is not taken.

        When the file was lost, the bank counts on from there; else its members know
        what has flowed since the file was written.
        """
        if not is_total(shown) or shown <= self.total(direction):
            return
        self._floor[direction] = shown
        if self._was_lost:
            self._offset[direction] += shown - self._sum(direction)
            self._is_new = False
            self.file.save_later()

    async def async_load(self) -> None:
        """Bring back the totals; what cannot be read or be true is left out."""
        kept = await self.file.async_load(_from_stored)
        if kept is None:
            return
        before, (self._offset, self._seen) = (self._offset, self._seen), kept
        # First each of them: there is no sum of numbers without limit.
        counted = [total for flow in self._seen.values() for total in flow]
        if not all(map(is_total, counted)) or not all(
            is_total(self._sum(direction)) for direction in DIRECTIONS
        ):
            self._offset, self._seen = before
            return
        self._was_lost = self._is_new = False

    @callback
    def _as_stored(self) -> dict[str, Any]:
        return {
            "offset": dict(self._offset),
            "members": {key: flow._asdict() for key, flow in self._seen.items()},
        }


def _from_stored(stored: Any) -> tuple[dict[str, float], dict[str, Flow]]:
    """Return the offsets, and what was seen of each member."""
    return (
        {direction: float(stored["offset"][direction]) for direction in DIRECTIONS},
        {
            str(key): Flow(*(float(flow[direction]) for direction in DIRECTIONS))
            for key, flow in stored["members"].items()
        },
    )
