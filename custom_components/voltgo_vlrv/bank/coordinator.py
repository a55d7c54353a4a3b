"""One bank: follows its members' coordinators, and holds what they are together.

It has no link and no beat of its own. Whatever changes at a member, also that it was
polled and said the same, has the bank worked out anew once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
import logging
from typing import Final, override

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from ..battery.info import DEFAULT_MANUFACTURER, BatteryInfo
from ..const import (
    CONF_FACTS,
    CONF_INVERTER,
    CONF_LOW_BATTERY,
    DEFAULT_LOW_BATTERY,
    DOMAIN,
)
from ..data import VlrvConfigEntry, VlrvData
from ..entries import async_batteries, async_name, may_rename, members_of
from ..history.charge import charge_of
from ..history.energy import CHARGED, DISCHARGED, Flow
from ..history.runtime import Runtime
from .aggregate import BankReading, MemberReading, imbalance, read_bank
from .energy import BankEnergy
from .isolation import Isolation
from .moving_average import Average
from .notices import BankIssues

_LOGGER = logging.getLogger(__name__)

type BankConfigEntry = ConfigEntry[BankCoordinator]

AVERAGED: Final = 60.0
"""s that have to be in a mean before an imbalance is told from it."""

PATIENCE: Final = 60.0
"""s for which a battery is awaited that was called in vain; many take their turns."""

# An entry in one of these may be about to be set up.
_ON_THE_WAY: Final = frozenset(
    {
        ConfigEntryState.NOT_LOADED,
        ConfigEntryState.SETUP_IN_PROGRESS,
        ConfigEntryState.UNLOAD_IN_PROGRESS,
    }
)


class Presence(StrEnum):
    """Whether a member's values can be used, and why not."""

    REPORTS = "reports"
    AWAITED = "awaited"
    """Home Assistant has just begun, and is still trying to read it."""
    RELEASED = "released"
    """The owner has let go of it: its last values stand, but are no news."""
    UPDATING = "updating"
    """Its firmware is being installed, so it is not read: the same holds."""
    RETURNING = "returning"
    """After one of these it is about to be read: its last values stand until then."""
    MISSING = "missing"


_KEPT: Final = frozenset({Presence.RELEASED, Presence.UPDATING, Presence.RETURNING})
"""Where a member's last values stand as planned."""


@dataclass(slots=True)
class Member:
    """One battery of the bank, as far as it is there."""

    address: str
    name: str = ""
    entry: VlrvConfigEntry | None = None
    battery: VlrvData | None = None
    module_id: int | None = None
    """As it was last reported; a battery tells it only some seconds after it loads."""
    let_go: bool = False
    """Whether the owner had let go of it since it was loaded."""
    awaited: tuple[float, int] | None = None
    """Since when, on the event loop's clock, and how many polls had failed by then."""
    stop: list[CALLBACK_TYPE] = field(default_factory=list)

    @property
    def facts(self) -> BatteryInfo | None:
        """Return what is known of the battery without asking it."""
        if self.battery is not None:
            return self.battery.info
        if self.entry is None:
            return None
        return BatteryInfo.from_data(self.entry.data[CONF_FACTS])

    def pending(self, setting: str) -> int | None:
        """Return what a setting was set to and has not become yet."""
        if self.battery is None:
            return None
        value = self.battery.settings.pending.get(setting)
        return value if isinstance(value, int) else None

    def presence(self, time: float) -> Presence:
        """Return whether it reports at `time` on the event loop's clock.

        Only a sample of this run of Home Assistant counts, and no longer than its own
        entities show it: what was brought back from before a restart may be days old.
        """
        if self.entry is None or self.entry.disabled_by is not None:
            return Presence.MISSING
        battery = self.battery
        if battery is None:
            return (
                Presence.AWAITED
                if self.entry.state in _ON_THE_WAY
                else Presence.MISSING
            )
        if battery.connection.is_released:
            self.let_go, self.awaited = True, None
            return Presence.RELEASED
        # A first sample is told some moments before its values are there.
        age = None if battery.coordinator.data is None else battery.statistics.age(time)
        stands = battery.coordinator.last_update_success
        longest = battery.options.max_age.total_seconds()
        if age is not None and age <= longest and stands:
            self.awaited = None
            return Presence.REPORTS
        if battery.firmware.is_running:
            return Presence.UPDATING
        if not stands:
            return Presence.MISSING
        failed = battery.statistics.failed_polls + battery.statistics.rejected.total()
        if self.awaited is None:
            self.awaited = (time, failed)
        elif time - self.awaited[0] >= PATIENCE and failed > self.awaited[1]:
            # Its own entities may show what was kept for as long as a day.
            return Presence.MISSING
        # Where a sample is too old and yet its own entities stand, it was let go.
        if age is not None or self.let_go:
            return Presence.RETURNING
        return Presence.AWAITED

    @property
    def stands(self) -> bool:
        """Return whether its own entities show values."""
        return (
            self.battery is not None
            and self.battery.coordinator.data is not None
            and self.battery.coordinator.last_update_success
        )

    def reading(self) -> MemberReading:
        """Return what it reports, or reported last; only where that stands."""
        assert self.battery is not None
        status = self.battery.coordinator.data
        hottest = status.max_temperature
        temperatures = status.temperatures
        return MemberReading(
            key=self.address,
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
            too_cold=self.battery.info.too_cold_to_charge(status),
        )


class BankCoordinator(DataUpdateCoordinator[BankReading]):
    """Combines the samples of the members into one bank.

    A bank has no connection and does not poll. It is recalculated once after each poll
    of a member, even if the data is unchanged.
    """

    config_entry: BankConfigEntry

    def __init__(self, hass: HomeAssistant, entry: BankConfigEntry) -> None:
        """Initialize the bank; `async_start` subscribes to the members."""
        super().__init__(hass, _LOGGER, config_entry=entry, name=entry.title)
        self.members: dict[str, Member] = {}
        self.presence: dict[str, Presence] = {}
        self.readings: list[MemberReading] = []
        """Of those that report; where all were let go, what they reported last."""
        self.shows_last_values = False
        """Whether all were let go."""
        self.data = read_bank([], len(members_of(entry)))
        self.imbalance: int | None = None
        self.energy = BankEnergy(hass, entry.entry_id)
        self.runtime = Runtime()
        self._shares: dict[str, Average] = {}
        # What followed from the time when all reported.
        self._whole: tuple[Runtime, int | None] = (self.runtime, None)
        self._due: asyncio.Handle | None = None
        self.isolation = Isolation(hass, entry.entry_id)
        self.issues = BankIssues(self)

    # --- for entities ---------------------------------------------------------------

    @property
    def low_battery(self) -> int:
        """Return the state of charge in % at which the bank counts as low."""
        return int(self.config_entry.options.get(CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY))

    @property
    def has_inverter(self) -> bool:
        """Return whether the bank talks to an inverter over its data cables."""
        return bool(self.config_entry.options.get(CONF_INVERTER))

    @property
    def identifier(self) -> str:
        """Return the ID of the entry: what unique IDs of the entities begin with."""
        return self.config_entry.entry_id

    @property
    def has_values(self) -> bool:
        """Return whether a member reports, or all are released and show last values."""
        return bool(self.readings)

    def member_names(self, *presences: Presence) -> list[str]:
        """Return the names of the members of which one of these is true."""
        return sorted(
            self.member_name(address)
            for address, presence in self.presence.items()
            if presence in presences
        )

    @property
    def title(self) -> str:
        """Return what the owner calls the bank."""
        return async_name(self.hass, self.config_entry)

    def member_name(self, address: str) -> str:
        """Return what the owner calls a member."""
        member = self.members.get(address)
        return (member.name if member is not None else "") or address

    @property
    def device_info(self) -> DeviceInfo:
        """Return the bank for the device registry."""
        facts = [facts for member in self.members.values() if (facts := member.facts)]
        models = sorted({item.model for item in facts})
        makers = sorted({item.manufacturer for item in facts})
        return DeviceInfo(
            identifiers={(DOMAIN, self.config_entry.entry_id)},
            entry_type=DeviceEntryType.SERVICE,
            name=self.config_entry.title,
            manufacturer=makers[0] if len(makers) == 1 else DEFAULT_MANUFACTURER,
            model=f"{len(self.members)} × {', '.join(models)}" if models else None,
        )

    # --- start and stop -------------------------------------------------------------

    @callback
    def async_start(self) -> None:
        """Begin to follow the members, those that are there and those that come."""
        self._follow()
        self._work_out()
        self.config_entry.async_on_unload(
            async_dispatcher_connect(
                self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._on_entry
            )
        )
        self.config_entry.async_on_unload(
            self.hass.bus.async_listen(
                dr.EVENT_DEVICE_REGISTRY_UPDATED, self._on_device, may_rename
            )
        )
        self.config_entry.async_on_unload(self._stop)

    @callback
    def _stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        for member in self.members.values():
            _let_go(member)
        self.issues.async_clear()

    @callback
    def _on_entry(self, _change: ConfigEntryChange, changed: ConfigEntry) -> None:
        """Follow whoever comes, goes or is changed."""
        if changed.domain == DOMAIN and (
            changed.entry_id == self.config_entry.entry_id
            or changed.unique_id in self.members
            or changed.unique_id in members_of(self.config_entry)
        ):
            self._follow()
            self._work_out_soon()

    @callback
    def _on_device(self, _event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        """Follow what the owner calls a battery or the bank."""
        self._follow()
        self._work_out_soon()

    @callback
    def _follow(self) -> None:
        """Listen to exactly those members that are loaded."""
        entries = {entry.unique_id: entry for entry in async_batteries(self.hass)}
        wanted = members_of(self.config_entry)
        for address in [key for key in self.members if key not in wanted]:
            _let_go(self.members.pop(address))
        for address in wanted:
            member = self.members.setdefault(address, Member(address))
            entry = member.entry = entries.get(address)
            member.name = member.name if entry is None else async_name(self.hass, entry)
            battery = (
                entry.runtime_data
                if entry is not None and entry.state is ConfigEntryState.LOADED
                else None
            )
            if battery is not member.battery:
                _let_go(member)
                member.battery = battery
                if battery is not None:
                    member.stop = [
                        battery.coordinator.async_add_listener(self._work_out_soon),
                        battery.connection.async_add_listener(self._work_out_soon),
                    ]
        self._link_devices()

    @callback
    def _link_devices(self) -> None:
        """Have the registry show the members as parts of the bank, and nobody else."""
        registry = dr.async_get(self.hass)
        bank = registry.async_get_or_create(
            config_entry_id=self.config_entry.entry_id, **self.device_info
        )
        for entry in async_batteries(self.hass):
            is_member = entry.unique_id in self.members
            for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
                if is_member and device.via_device_id != bank.id:
                    registry.async_update_device(device.id, via_device_id=bank.id)
                elif not is_member and device.via_device_id == bank.id:
                    registry.async_update_device(device.id, via_device_id=None)

    # --- working it out -------------------------------------------------------------

    @callback
    def _work_out_soon(self) -> None:
        """Work the bank out when whoever calls is done.

        A poll is told before its values are there.
        """
        if self._due is None:
            self._due = self.hass.loop.call_soon(self._work_out)

    @callback
    def _work_out(self) -> None:
        self._due = None
        time = self.hass.loop.time()
        self.presence = {
            address: member.presence(time) for address, member in self.members.items()
        }
        self.shows_last_values = self._is_let_go
        used = [
            self.members[address]
            for address, presence in self.presence.items()
            if presence is Presence.REPORTS
            or (
                self.shows_last_values
                and presence in _KEPT
                and self.members[address].stands
            )
        ]
        self.readings = [member.reading() for member in used]
        before = frozenset(self.isolation.since.keys() & self.members.keys())
        reading = read_bank(
            self.readings,
            len(self.members),
            before,
            kept=self.shows_last_values,
            together=not self.shows_last_values or _together(used),
        )
        for address in sorted(reading.isolated ^ before):
            _LOGGER.info(
                "%s: %s %s",
                self.title,
                self.member_name(address),
                "has cut itself off from the others"
                if address in reading.isolated
                else "takes part again",
            )
        self.isolation.update(reading.isolated, time)
        for member in self.members.values():
            if member.battery is not None:
                module_id = member.battery.settings.module_id
                member.module_id = member.module_id if module_id is None else module_id
        self._average(time, reading)
        self.energy.update(
            self.members,
            {
                address: Flow(
                    battery.energy.total(CHARGED),
                    battery.energy.total(DISCHARGED),
                )
                for address, member in self.members.items()
                if (battery := member.battery) is not None
            },
        )
        self.issues.async_update(time)
        self.async_set_updated_data(reading)

    @override
    async def _async_update_data(self) -> BankReading:
        """Recalculate the bank now; its members are polled on their own schedule."""
        self._work_out()
        return self.data

    @property
    def _is_let_go(self) -> bool:
        """Return whether nobody reports, as planned: none of the members is missing."""
        there = set(self.presence.values())
        return not there & {Presence.REPORTS, Presence.MISSING} and bool(there & _KEPT)

    @property
    def _interval(self) -> float:
        """Return within how many seconds each member is read."""
        return max(
            member.battery.options.interval.total_seconds()
            for member in self.members.values()
            if member.battery is not None
        )

    def _average(self, time: float, reading: BankReading) -> None:
        """Take the currents into the means, or begin anew when they mean another set."""
        if not self._whole_is_last:
            self._whole = (Runtime(), None)
        if self.shows_last_values and reading.is_complete:
            # They were of the same values, however one after the other they were let go.
            self.runtime, self.imbalance = self._whole
            self._shares = {}
            return
        if reading.current is None:
            self.runtime = Runtime()
            self._shares = {}
            self.imbalance = None
            return
        self.runtime.add(
            time,
            reading.current,
            reading.usable,
            self._interval,
            max(reading.joined, 1),
        )
        joined = {
            item.key: item for item in self.readings if item.key not in reading.isolated
        }
        if joined.keys() != self._shares.keys():
            self._shares = {key: Average() for key in joined}
        for key, average in self._shares.items():
            average.add(time, joined[key].current)
        self.imbalance = (
            imbalance(
                {key: average.value or 0.0 for key, average in self._shares.items()},
                {key: item.full_capacity for key, item in joined.items()},
            )
            if all(average.covered >= AVERAGED for average in self._shares.values())
            else None
        )
        self._whole = (self.runtime, self.imbalance)

    @property
    def _whole_is_last(self) -> bool:
        """Return whether nothing but a planned release has come since all reported."""
        return {Presence.REPORTS, *_KEPT}.issuperset(self.presence.values())


def _together(members: Sequence[Member]) -> bool:
    """Return whether what members said last is of the same time.

    As much as it is while all report: within how long a value may stand.
    """
    batteries = [member.battery for member in members if member.battery is not None]
    times = [
        when for item in batteries if (when := item.statistics.last_sample) is not None
    ]
    return len(times) == len(batteries) > 0 and max(times) - min(times) <= max(
        item.options.max_age for item in batteries
    )


@callback
def _let_go(member: Member) -> None:
    for stop in member.stop:
        stop()
    member.stop = []
    member.let_go, member.awaited = False, None
    member.battery = None
