"""What is calculated from the samples of one battery and stored in one file."""

from __future__ import annotations

from datetime import datetime, timedelta

from homeassistant.core import HomeAssistant, callback

from ..options import energy_gap
from ..vlrv.registers import BatteryStatus
from .charge import charge_of
from .energy import EnergyCounter
from .last_status import LastStatus, StoredStatus
from .maintenance import ChargeMaintenance
from .runtime import Runtime
from .store import EntryStore


class BatteryHistory:
    """Energy, run time, charge maintenance and last status of one battery."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; `async_load` restores what was stored."""
        self.store = EntryStore(hass, entry_id)
        self.energy = EnergyCounter(hass, self.store)
        self.runtime = Runtime()
        self.maintenance = ChargeMaintenance(hass, self.store)
        self.last_status = LastStatus(self.store)

    async def async_load(self) -> StoredStatus:
        """Restore everything; return the last status and the release state."""
        await self.store.async_load()
        self.energy.load()
        self.maintenance.load()
        return self.last_status.load()

    @callback
    def add_sample(
        self,
        status: BatteryStatus,
        when: datetime,
        time: float,
        interval: timedelta,
        previous_interval: timedelta,
    ) -> None:
        """Add a valid sample, received at `when` (UTC) and `time` (monotonic, s).

        `interval` is the poll interval from now on, and `previous_interval` the longer
        one of it and of the interval before this sample.
        """
        self.last_status.record_sample(status.frame, when)
        self.energy.add(
            time,
            status.voltage * status.current,
            energy_gap(previous_interval).total_seconds(),
        )
        self.maintenance.add(status, time)
        self.runtime.add(
            time, status.current, charge_of(status), interval.total_seconds()
        )

    async def async_close(self) -> None:
        """Save for the last time."""
        self.energy.close()
        # With force: totals and elapsed times change although nothing is marked.
        await self.store.async_close(force=True)
