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
from homeassistant.helpers.storage import Store

from ..const import DOMAIN
from ..energy import DIRECTIONS, SAVE_DELAY, Flow, is_total
from ..storage import FOREIGN, async_delete_garbled

_LOGGER = logging.getLogger(__name__)

_VERSION: Final = 1


class BankEnergy:
    """Two totals in kWh, kept across restarts."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; `async_load` brings back what was counted before."""
        self._hass = hass
        self._store: Store[dict[str, Any]] = Store(
            hass,
            _VERSION,
            f"{DOMAIN}.bank_energy.{entry_id}",
            # The power of an RV is cut at any moment.
            atomic_writes=True,
        )
        self._seen: dict[str, Flow] = {}
        self._offset = dict.fromkeys(DIRECTIONS, 0.0)
        # What was shown before the start, of which the file may not know yet.
        self._floor = dict.fromkeys(DIRECTIONS, 0.0)
        self._is_new = self._was_lost = True
        self._changed = False
        self._save_is_due = False

    def total(self, direction: str) -> float:
        """Return what was CHARGED or DISCHARGED, in kWh."""
        return max(self._floor[direction], self._sum(direction))

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
            self._save_later()
        self._is_new = self._is_new and not counted

    def _rebase(self, key: str, flow: Flow | None) -> None:
        """Let a member count from another value on without changing the total."""
        seen = self._seen.pop(key, Flow(0.0, 0.0))
        begins = flow or Flow(0.0, 0.0)
        for direction in DIRECTIONS:
            self._offset[direction] += getattr(seen, direction) - getattr(
                begins, direction
            )
        self._save_later()

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
            self._save_later()

    # --- keeping --------------------------------------------------------------------

    async def async_load(self) -> None:
        """Bring back the totals; what cannot be read or be true is left out."""
        try:
            if await async_delete_garbled(self._hass, self._store):
                _LOGGER.debug("Energy of the bank is not readable, starting anew")
            stored: Any = await self._store.async_load()
            if stored is None:
                return
            offset = {
                direction: float(stored["offset"][direction])
                for direction in DIRECTIONS
            }
            seen = {
                str(key): Flow(*(float(flow[direction]) for direction in DIRECTIONS))
                for key, flow in stored["members"].items()
            }
        except FOREIGN as err:
            _LOGGER.debug("Energy of the bank is not ours, starting anew: %r", err)
            return
        before, self._offset, self._seen = (self._offset, self._seen), offset, seen
        numbers = [self._sum(direction) for direction in DIRECTIONS]
        numbers += [total for flow in seen.values() for total in flow]
        if not all(map(is_total, numbers)):
            self._offset, self._seen = before
            return
        self._was_lost = self._is_new = False

    @callback
    def _save_later(self) -> None:
        self._changed = True
        # Asked again, the store would put the saving off again.
        if not self._save_is_due:
            self._save_is_due = True
            self._store.async_delay_save(self._as_stored, SAVE_DELAY)

    async def async_save(self) -> None:
        """Save what is not saved yet."""
        if self._changed:
            await self._store.async_save(self._as_stored())

    async def async_remove(self) -> None:
        """Delete what was saved."""
        await self._store.async_remove()

    @callback
    def _as_stored(self) -> dict[str, Any]:
        self._changed = self._save_is_due = False
        return {
            "offset": dict(self._offset),
            "members": {key: flow._asdict() for key, flow in self._seen.items()},
        }
