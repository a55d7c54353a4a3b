"""When a battery was full and when it has to be charged again, kept over restarts.

Time is counted whether the battery is in reach or not, so this is known without it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
import logging
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..vlrv.faults import OperatingState
from ..vlrv.registers import BatteryStatus
from .charge_history import ChargeHistory, StoredHistory
from .store import EntryStore, as_time

_LOGGER = logging.getLogger(__name__)

SAVE_DELAY: Final = 15 * 60.0
"""Seconds from when a battery became full, or is no longer, to the saving of it."""
SAVE_EVERY: Final = 12 * 3600.0
"""Seconds between savings where only time passes, which a power cut does not stop."""

FULL_STEP: Final = timedelta(hours=1)
"""A battery that is kept full by its charger is not news all the time."""
DUE_STEP: Final = timedelta(days=1)

_VERSION: Final = 1
_CHARGING: Final = (OperatingState.CHARGING, OperatingState.CHARGE_LIMIT)


class ChargeMaintenance:
    """The last full charge of one battery, and when recharging is due."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing; `async_load` brings back what was known before."""
        self._hass = hass
        self.file = EntryStore(hass, "upkeep", entry_id, self._as_stored, SAVE_DELAY)
        self._history = ChargeHistory(hass.loop.time())
        self._saved_at = hass.loop.time()
        self._last_full: datetime | None = None
        self._due: datetime | None = None

    # --- for entities ---------------------------------------------------------------

    @property
    def last_full_charge(self) -> datetime | None:
        """Return when the battery was seen full, None when it was not.

        It stays as it is until it is off by FULL_STEP, or in the future.
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
        """Return when it has to be charged, if it is not used until then.

        At noon of a day, as nobody knows it better, and the same until it is off by a
        day. None when no full charge was seen.
        """
        due = self._history.recharge_due(self._hass.loop.time(), dt_util.utcnow())
        if due is None:
            self._due = None
        elif self._due is None or abs(due - self._due) >= DUE_STEP:
            self._due = dt_util.start_of_local_day(due) + timedelta(hours=12)
        return self._due

    @property
    def elapsed_fraction(self) -> float:
        """Return the share of the time until recharging that has passed."""
        return self._history.elapsed_fraction(self._hass.loop.time(), dt_util.utcnow())

    # --- counting -------------------------------------------------------------------

    @callback
    def add(self, status: BatteryStatus, time: float) -> None:
        """Take a sample that is believed; `time` is on the event loop's clock."""
        temperature = status.max_temperature
        if temperature is None:
            temperature = max(status.temperatures, default=None)
        news = self._history.add(
            time,
            full=status.is_full,
            charging=status.current > 0 or status.operating_state in _CHARGING,
            temperature=temperature,
        )
        if news or (self._history.is_known and time - self._saved_at >= SAVE_EVERY):
            self.file.save_later()

    # --- keeping --------------------------------------------------------------------

    async def async_load(self) -> None:
        """Bring back what was kept; what cannot be read or be true is left out."""
        kept = await self.file.async_load(_from_stored)
        self._history = ChargeHistory(self._hass.loop.time(), kept)

    async def async_close(self) -> None:
        """Save for the last time, with the time that has passed."""
        await self.file.async_close(anyway=self._history.is_known)

    @callback
    def _as_stored(self) -> dict[str, Any]:
        self._saved_at = self._hass.loop.time()
        kept = self._history.as_stored(self._saved_at, dt_util.utcnow())
        return {
            "last_full": None if kept.last_full is None else kept.last_full.isoformat(),
            "used": kept.used,
            "elapsed": kept.elapsed,
            "until": None if kept.until is None else kept.until.isoformat(),
            "months": kept.months,
            "full": kept.full,
        }


def _from_stored(stored: Any) -> StoredHistory:
    """Return what `_as_stored` made; raises what is in `storage.INVALID_DATA_ERRORS`."""
    kept = StoredHistory(
        as_time(stored["last_full"]),
        float(stored["used"]),
        float(stored["elapsed"]),
        as_time(stored["until"]),
        int(stored["months"]),
        stored["full"],
    )
    if not kept.is_possible:
        raise ValueError("no charge history")
    return kept
