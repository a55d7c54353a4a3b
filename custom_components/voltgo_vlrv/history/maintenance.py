"""Last full charge and recharge due date, stored over restarts.

Both are known while the battery is out of range, because time passes anyway.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..vlrv.faults import OperatingState
from ..vlrv.registers import BatteryStatus
from .charge_history import ChargeHistory, StoredHistory
from .store import EntryStore, as_time

SAVE_DELAY: Final = 15 * 60.0
"""s from a change of "full" to its saving."""

FULL_STEP: Final = timedelta(hours=1)
"""Smallest change that is shown: a charger that keeps a battery full writes no rows."""
DUE_STEP: Final = timedelta(days=1)

_CHARGING: Final = (OperatingState.CHARGING, OperatingState.CHARGE_LIMIT)


class ChargeMaintenance:
    """Last full charge of one battery, and when it has to be recharged."""

    def __init__(self, hass: HomeAssistant, store: EntryStore) -> None:
        """Start empty; `load` restores the stored history."""
        self._hass = hass
        self._section = store.section("charge_history", self._as_stored, SAVE_DELAY)
        self._history = ChargeHistory(hass.loop.time())
        self._last_full: datetime | None = None
        self._due: datetime | None = None

    # --- for entities ---------------------------------------------------------------

    @property
    def last_full_charge(self) -> datetime | None:
        """Return when the battery was last full, None if that was not observed.

        Changes only by FULL_STEP or more, or if it is in the future.
        """
        now = dt_util.utcnow()
        last = self._history.last_full(self._hass.loop.time(), now)
        shown = self._last_full
        if (
            last is None
            or shown is None
            or shown > now
            or abs(last - shown) >= FULL_STEP
        ):
            self._last_full = last
        return self._last_full

    @property
    def recharge_due(self) -> datetime | None:
        """Return when a battery that is not used has to be recharged.

        Rounded to local noon, the accuracy of the estimate; changes only by a day or
        more. None if no full charge was observed.
        """
        due = self._history.recharge_due(self._hass.loop.time(), dt_util.utcnow())
        if due is None:
            self._due = None
        elif self._due is None or abs(due - self._due) >= DUE_STEP:
            self._due = dt_util.start_of_local_day(due) + timedelta(hours=12)
        return self._due

    @property
    def is_recharge_due(self) -> bool:
        """Return whether a battery that is not used has to be recharged now."""
        now = dt_util.utcnow()
        due = self._history.recharge_due(self._hass.loop.time(), now)
        return due is not None and due <= now

    @property
    def elapsed_fraction(self) -> float:
        """Return the fraction of the storage interval that is used up."""
        return self._history.elapsed_fraction(self._hass.loop.time(), dt_util.utcnow())

    # --- counting -------------------------------------------------------------------

    @callback
    def add(self, status: BatteryStatus, time: float) -> None:
        """Add a valid sample at monotonic time `time` in s."""
        temperature = status.max_temperature
        if temperature is None:
            temperature = max(status.temperatures, default=None)
        changed = self._history.add(
            time,
            full=status.is_full,
            charging=status.current > 0 or status.operating_state in _CHARGING,
            temperature=temperature,
        )
        if changed:
            self._section.save_later()

    # --- storing --------------------------------------------------------------------

    @callback
    def load(self) -> None:
        """Restore the stored history; invalid data is ignored."""
        stored = self._section.loaded(_from_stored)
        self._history = ChargeHistory(self._hass.loop.time(), stored)

    @callback
    def _as_stored(self) -> dict[str, Any]:
        stored = self._history.as_stored(self._hass.loop.time(), dt_util.utcnow())
        return {
            "last_full": None
            if stored.last_full is None
            else stored.last_full.isoformat(),
            "elapsed_fraction": stored.elapsed_fraction,
            "elapsed": stored.elapsed,
            "until": None if stored.until is None else stored.until.isoformat(),
            "months": stored.months,
            "full": stored.full,
        }


def _from_stored(stored: Any) -> StoredHistory:
    """Return what `_as_stored` stored; raises one of INVALID_DATA_ERRORS."""
    history = StoredHistory(
        as_time(stored["last_full"]),
        float(stored["elapsed_fraction"]),
        float(stored["elapsed"]),
        as_time(stored["until"]),
        int(stored["months"]),
        stored["full"],
    )
    if not history.is_possible:
        raise ValueError("no charge history")
    return history
