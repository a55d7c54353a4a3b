"""One member of a bank: whether it reports, and its last values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, callback

from ..battery.info import BatteryInfo
from ..battery.permission import ends_only_charging, may_charge, may_discharge
from ..battery.settings import MODULE_ID
from ..const import CONF_INFO
from ..data import VlrvConfigEntry, VlrvData
from ..history.charge import charge_of
from ..history.energy import CHARGED, DISCHARGED
from ..history.totals import Flow
from ..vlrv.registers import BatteryStatus
from .aggregate import MemberReading
from .notices import MemberSnapshot

MISSING_GRACE_PERIOD: Final = 60.0
"""s before a member that could not be read counts as missing; many take turns."""

# An entry in one of these states may be about to be set up.
_STARTING: Final = frozenset(
    {
        ConfigEntryState.NOT_LOADED,
        ConfigEntryState.SETUP_IN_PROGRESS,
        ConfigEntryState.UNLOAD_IN_PROGRESS,
    }
)


class Presence(StrEnum):
    """Whether a member's values can be used, and why not."""

    REPORTING = "reporting"
    STARTING = "starting"
    """Home Assistant has just started and is still trying to read it."""
    RELEASED = "released"
    """The user released its connection: its last values stay, but are not current."""
    UPDATING = "updating"
    """Its firmware is being installed, so it is not polled; its last values stay."""
    RESUMING = "resuming"
    """After a release or an update its next sample is due; its last values stay."""
    MISSING = "missing"


PLANNED_ABSENCE: Final = frozenset(
    {Presence.RELEASED, Presence.UPDATING, Presence.RESUMING}
)
"""A member's last values stay as planned."""


@dataclass(slots=True)
class BankMember:
    """One battery of a bank, loaded or not."""

    address: str
    name: str
    """The user's name for the battery, or its address while it has no entry."""
    entry: VlrvConfigEntry | None = None
    battery: VlrvData | None = None
    """None while the battery's entry is not loaded."""
    module_id: int | None = None
    """Last reported ID; a battery reports it some seconds after it is loaded."""
    _was_released: bool = False
    """Whether the connection was released since the entry was loaded."""
    _waiting: tuple[float, int] | None = None
    """Since when (monotonic, s) a sample is due, and how many polls had failed then."""
    _unsubscribe: list[CALLBACK_TYPE] = field(default_factory=list)
    _cached: tuple[BatteryStatus, BatteryInfo, MemberReading] | None = None

    @callback
    def subscribe(self, battery: VlrvData | None, listener: CALLBACK_TYPE) -> None:
        """Call `listener` when the battery or its connection changes."""
        if battery is self.battery:
            return
        self.unsubscribe()
        self.battery = battery
        if battery is not None:
            self._unsubscribe = [
                battery.coordinator.async_add_listener(listener),
                battery.connection.async_add_listener(listener),
            ]

    @callback
    def unsubscribe(self) -> None:
        """Drop the battery's parts and what depends on them."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []
        self._was_released, self._waiting, self._cached = False, None, None
        self.battery = None

    @property
    def info(self) -> BatteryInfo | None:
        """Return what is known of the battery; None while it has no entry."""
        if self.battery is not None:
            return self.battery.info
        if self.entry is None:
            return None
        return BatteryInfo.from_data(self.entry.data.get(CONF_INFO))

    @property
    def _pending_module_id(self) -> int | None:
        if self.battery is None:
            return None
        value = self.battery.settings.pending.get(MODULE_ID)
        return value if isinstance(value, int) else None

    def snapshot(self, isolated_for: float | None) -> MemberSnapshot:
        """Return what the repair issues of the bank need to know of the member."""
        # As last reported, however long ago.
        status = None if self.battery is None else self.battery.coordinator.data
        return MemberSnapshot(
            address=self.address,
            name=self.name,
            entry_id=None if self.entry is None else self.entry.entry_id,
            info=self.info,
            module_id=self.module_id,
            pending_module_id=self._pending_module_id,
            isolated_for=isolated_for,
            state_of_charge=None if status is None else status.state_of_charge,
            voltage=None if status is None else status.voltage,
        )

    @callback
    def update_module_id(self) -> None:
        """Remember the module ID if the battery has reported one."""
        if self.battery is not None:
            reported = self.battery.settings.module_id
            self.module_id = self.module_id if reported is None else reported

    @property
    def energy(self) -> Flow | None:
        """Return the battery's energy totals in kWh; None while it is not loaded."""
        if self.battery is None:
            return None
        counter = self.battery.history.energy
        return Flow(counter.total(CHARGED), counter.total(DISCHARGED))

    @property
    def standing_limit(self) -> float | None:
        """Return how long a value may wait for the next sample; None while it is late."""
        return None if self.battery is None else self.battery.coordinator.waiting.limit

    def presence(self, now: float) -> Presence:
        """Return whether the member reports at `now` (monotonic, s).

        Only a sample of this run of Home Assistant counts, and no longer than the
        battery's own entities show it: a restored sample may be days old.
        """
        if self.entry is None or self.entry.disabled_by is not None:
            return Presence.MISSING
        battery = self.battery
        if battery is None:
            is_starting = self.entry.state in _STARTING
            return Presence.STARTING if is_starting else Presence.MISSING
        if battery.connection.is_released:
            self._was_released, self._waiting = True, None
            return Presence.RELEASED
        # The age of a first sample is known some moments before its values.
        age = None if battery.coordinator.data is None else battery.statistics.age(now)
        is_fresh = battery.coordinator.last_update_success
        max_age = battery.options.max_age.total_seconds()
        if age is not None and age <= max_age and is_fresh:
            self._waiting = None
            return Presence.REPORTING
        if battery.firmware.is_running:
            return Presence.UPDATING
        if not is_fresh:
            return Presence.MISSING
        failed = battery.statistics.failed_polls + battery.statistics.rejected.total()
        if self._waiting is None:
            self._waiting = (now, failed)
        elif (
            now - self._waiting[0] >= MISSING_GRACE_PERIOD and failed > self._waiting[1]
        ):
            # Its own entities may show stored values for as long as a day.
            return Presence.MISSING
        # A stale sample whose entities are available was fresh at its release.
        if age is not None or self._was_released:
            return Presence.RESUMING
        return Presence.STARTING

    @property
    def has_values(self) -> bool:
        """Return whether the battery's own entities show values."""
        return self.battery is not None and self.battery.coordinator.has_values

    def reading(self) -> MemberReading:
        """Return the values of the last sample, created once for each sample.

        Only for a member with `has_values`.
        """
        assert self.battery is not None
        status, info = self.battery.coordinator.data, self.battery.info
        if (
            self._cached is None
            or self._cached[0] is not status
            or self._cached[1] is not info
        ):
            self._cached = (
                status,
                info,
                _member_reading(
                    self.address,
                    status,
                    self.battery.charge_states.too_cold(status, info),
                ),
            )
        return self._cached[2]


def _member_reading(
    address: str, status: BatteryStatus, too_cold: bool | None
) -> MemberReading:
    hottest = status.max_temperature
    temperatures = status.temperatures
    return MemberReading(
        key=address,
        state_of_charge=status.state_of_charge,
        voltage=status.voltage,
        current=status.current,
        cells=status.cells,
        lowest_temperature=min(temperatures, default=None),
        highest_temperature=max(
            temperatures if hottest is None else (*temperatures, hottest),
            default=None,
        ),
        state_of_health=status.state_of_health,
        remaining_capacity=status.remaining_capacity,
        full_capacity=status.full_capacity,
        charge=charge_of(status),
        protected=bool(status.protections or status.in_protection),
        too_cold=too_cold,
        may_charge=may_charge(status, too_cold=too_cold),
        may_discharge=may_discharge(status),
        ends_only_charging=ends_only_charging(status),
    )


def are_simultaneous(members: Iterable[BankMember]) -> bool:
    """Return whether the members' last samples are of about the same time.

    The limit is the one that holds while all report: the age a sample may have.
    """
    batteries = [member.battery for member in members if member.battery is not None]
    times = [
        when for item in batteries if (when := item.statistics.last_sample) is not None
    ]
    return len(times) == len(batteries) > 0 and max(times) - min(times) <= max(
        item.options.max_age for item in batteries
    )
