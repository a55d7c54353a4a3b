"""What is calculated from the samples of one battery and stored in one file."""

from __future__ import annotations

from datetime import datetime, timedelta

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN, POLL_INTERVAL
from ..options import energy_gap
from ..vlrv.registers import BatteryStatus
from .care import BatteryCare
from .charge import charge_of
from .energy import EnergyCounter
from .last_status import LastStatus, StoredStatus
from .maintenance import ChargeMaintenance
from .routine import RoutineMaintenance
from .runtime import Runtime
from .store import EntryStore


class BatteryHistory:
    """Energy, run time, maintenance, care and last status of one battery."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; `async_load` restores what was stored."""
        self.store = EntryStore(hass, entry_id)
        self.energy = EnergyCounter(hass, self.store)
        self.runtime = Runtime()
        self.maintenance = ChargeMaintenance(hass, self.store)
        self.care = BatteryCare(hass, self.store)
        self.last_status = LastStatus(self.store)
        self.routine = RoutineMaintenance()
        self.routine_section = self.store.section(
            "routine",
            lambda: self.routine.as_stored(),  # noqa: PLW0108, it is replaced
            0.0,
        )
        self._interval_before = POLL_INTERVAL

    async def async_load(self) -> StoredStatus:
        """Restore everything; return the last status and the release state."""
        await self.store.async_load()
        self.energy.load()
        self.maintenance.load()
        self.care.load()
        routine = self.routine_section.loaded(RoutineMaintenance.from_stored)
        self.routine = routine or self.routine
        return self.last_status.load()

    @callback
    def add_sample(
        self,
        status: BatteryStatus,
        when: datetime,
        time: float,
        interval: timedelta,
    ) -> None:
        """Add a valid sample, received at `when` (UTC) and `time` (monotonic, s).

        `interval` is the poll interval from now on.
        """
        self.last_status.record_sample(status.frame, when)
        # The user may have shortened it since the sample before.
        longest = energy_gap(max(interval, self._interval_before)).total_seconds()
        self._interval_before = interval
        self.energy.add(time, status.voltage * status.current, longest)
        self.maintenance.add(status, time)
        self.care.add(status, when, time, longest)
        self.runtime.add(
            time, status.current, charge_of(status), interval.total_seconds()
        )

    def needs_full_charge(self, status: BatteryStatus, now: datetime) -> bool:
        """Return whether a full charge is needed to correct the state of charge.

        `status` is the last sample, `now` is UTC.
        """
        return self.care.trust.needs_full_charge(
            status.state_of_charge, self.maintenance.last_full_charge, now
        )

    @callback
    def interrupt(self) -> None:
        """Count nothing until the next sample, because what flows is unknown."""
        self.energy.interrupt()
        self.care.interrupt()

    async def async_store_release(
        self, released: bool, until: datetime | None, name: str
    ) -> None:
        """Save at once whether the battery is released, and until when (UTC).

        Raises HomeAssistantError, which shows `name`, for a release that is not stored:
        the next restart would end it.
        """
        stored = await self.last_status.async_record_release(released, until)
        if released and not stored:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="release_not_stored",
                translation_placeholders={"name": name},
            )

    async def async_close(self) -> None:
        """Save for the last time."""
        self.energy.close()
        self.care.close()
        # With force: totals and elapsed times change although nothing is marked.
        await self.store.async_close(force=True)
