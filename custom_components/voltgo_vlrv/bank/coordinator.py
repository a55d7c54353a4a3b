"""The coordinator of a bank: combines its members' samples and is pushed by them.

A bank has no connection and does not poll. It is recalculated once after each poll of a
member, even if the data is unchanged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import override

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from ..battery.hysteresis import ChargingState
from ..battery.reporting import WaitingValues
from ..const import CONF_INVERTER, DOMAIN
from ..entries import async_batteries, async_name, may_rename, members_of
from ..history.store import EntryStore
from ..issues import EntryIssues, RepairIssue
from ..options import low_battery, records_every_change, reserve
from .aggregate import BankReading, MemberReading, read_bank
from .current_share import CurrentTrend
from .devices import async_update_devices, bank_device_info
from .energy import BankEnergy
from .isolation import Isolation
from .member import PLANNED_ABSENCE, BankMember, Presence, are_simultaneous
from .notices import BankSnapshot, notices
from .rest_comparison import RestComparison

_LOGGER = logging.getLogger(__name__)

type BankConfigEntry = ConfigEntry[BankCoordinator]


class BankCoordinator(DataUpdateCoordinator[BankReading]):
    """Combines the last samples of the members; `data` always holds a reading."""

    config_entry: BankConfigEntry

    def __init__(self, hass: HomeAssistant, entry: BankConfigEntry) -> None:
        """Initialize the bank; `async_start` subscribes to the members."""
        super().__init__(hass, _LOGGER, config_entry=entry, name=entry.title)
        self.data = read_bank([], len(members_of(entry)))
        self.members: dict[str, BankMember] = {}
        """By address."""
        self.presence: dict[str, Presence] = {}
        self.readings: list[MemberReading] = []
        """Of the members that report; if all are released, their last ones."""
        self.store = EntryStore(hass, entry.entry_id, "bank")
        self.energy = BankEnergy(hass, self.store)
        self.isolation = Isolation(hass, self.store)
        self.trend = CurrentTrend()
        self.charging = ChargingState()
        self.at_rest = RestComparison()
        self.waiting = WaitingValues()
        """None wait while the samples of all members are late."""
        self._issues = EntryIssues(hass, entry)
        self._recalculation: asyncio.Handle | None = None

    # --- for entities -----------------------------------------------------------------

    @property
    def identifier(self) -> str:
        """Return the ID of the entry: what unique IDs of the entities begin with."""
        return self.config_entry.entry_id

    @property
    def has_values(self) -> bool:
        """Return whether a member reports, or all are released and show last values."""
        return bool(self.readings)

    @property
    def low_battery(self) -> int:
        """Return the state of charge in % at which the bank counts as low."""
        return low_battery(self.config_entry)

    @property
    def reserve(self) -> int:
        """Return the state of charge in % to keep in the bank."""
        return reserve(self.config_entry)

    @property
    def has_inverter(self) -> bool:
        """Return whether the bank communicates with an inverter by data cable."""
        return bool(self.config_entry.options.get(CONF_INVERTER))

    @property
    def title(self) -> str:
        """Return the user's name for the bank."""
        return async_name(self.hass, self.config_entry)

    def member_name(self, address: str) -> str:
        """Return the user's name for a member, or its address."""
        member = self.members.get(address)
        return address if member is None else member.name

    def member_names(self, presence: Presence) -> list[str]:
        """Return the names of the members with a presence, sorted."""
        return sorted(
            self.member_name(address)
            for address, present in self.presence.items()
            if present is presence
        )

    @property
    def device_info(self) -> DeviceInfo:
        """Return the bank for the device registry."""
        return bank_device_info(self.config_entry, self.members.values())

    # --- start and stop ---------------------------------------------------------------

    @callback
    def async_start(self) -> None:
        """Subscribe to the members that are loaded, and to changes of their entries."""
        self._update_subscriptions()
        self._recalculate()
        self.config_entry.async_on_unload(
            async_dispatcher_connect(
                self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._handle_entry_change
            )
        )
        self.config_entry.async_on_unload(
            self.hass.bus.async_listen(
                dr.EVENT_DEVICE_REGISTRY_UPDATED, self._handle_rename, may_rename
            )
        )
        self.config_entry.async_on_unload(self._stop)

    @callback
    def _stop(self) -> None:
        if self._recalculation is not None:
            self._recalculation.cancel()
            self._recalculation = None
        for member in self.members.values():
            member.unsubscribe()
        self._issues.async_clear()

    @callback
    def _handle_entry_change(
        self, _change: ConfigEntryChange, changed: ConfigEntry
    ) -> None:
        if changed.domain == DOMAIN and (
            changed.entry_id == self.config_entry.entry_id
            or changed.unique_id in self.members
            or changed.unique_id in members_of(self.config_entry)
        ):
            self._update_subscriptions()
            self._schedule_recalculation()

    @callback
    def _handle_rename(self, _event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        self._update_subscriptions()
        self._schedule_recalculation()

    @callback
    def _update_subscriptions(self) -> None:
        """Subscribe to exactly those members that are loaded, and update the names."""
        entries = {entry.unique_id: entry for entry in async_batteries(self.hass)}
        addresses = members_of(self.config_entry)
        for address in self.members.keys() - set(addresses):
            self.members.pop(address).unsubscribe()
        for address in addresses:
            member = self.members.setdefault(address, BankMember(address, address))
            entry = member.entry = entries.get(address)
            if entry is None:
                member.unsubscribe()
                continue
            member.name = async_name(self.hass, entry)
            is_loaded = entry.state is ConfigEntryState.LOADED
            member.subscribe(
                entry.runtime_data if is_loaded else None, self._schedule_recalculation
            )
        async_update_devices(
            self.hass, self.config_entry, self.device_info, self.members
        )

    # --- recalculation ----------------------------------------------------------------

    @callback
    def _schedule_recalculation(self) -> None:
        """Recalculate after the caller: a first sample is announced before its data."""
        if self._recalculation is None:
            self._recalculation = self.hass.loop.call_soon(self._recalculate)

    @override
    async def _async_update_data(self) -> BankReading:
        """Recalculate the bank now; its members are polled on their own schedule."""
        self._recalculate()
        return self.data

    @callback
    def _recalculate(self) -> None:
        if self._recalculation is not None:
            self._recalculation.cancel()
            self._recalculation = None
        now = self.hass.loop.time()
        self.presence = {
            address: member.presence(now) for address, member in self.members.items()
        }
        last_values = self._all_released
        used = [
            self.members[address]
            for address, presence in self.presence.items()
            if presence is Presence.REPORTING
            or (
                last_values
                and presence in PLANNED_ABSENCE
                and self.members[address].has_values
            )
        ]
        self.readings = [member.reading() for member in used]
        before = frozenset(self.isolation.since.keys() & self.members.keys())
        reading = read_bank(
            self.readings,
            len(self.members),
            before,
            last_values=last_values,
            simultaneous=not last_values or are_simultaneous(used),
        )
        self._log_isolation(before, reading.isolated)
        self.isolation.update(reading.isolated, now)
        for member in self.members.values():
            member.update_module_id()
        self.trend.update(
            now,
            reading,
            self.readings,
            self._interval,
            was_complete={Presence.REPORTING, *PLANNED_ABSENCE}.issuperset(
                self.presence.values()
            ),
        )
        self.charging.update(now, reading.current, max(reading.active, 1))
        self.at_rest.update(
            now,
            self.readings,
            self._interval,
            is_complete=reading.is_complete
            and not (reading.isolated or reading.shows_last_values),
        )
        self.energy.update(
            self.members,
            {
                address: energy
                for address, member in self.members.items()
                if (energy := member.energy) is not None
            },
        )
        self._update_issues(now)
        self.waiting.every_change = records_every_change(self.config_entry)
        self.waiting.limit = min(
            (
                limit
                for member in self.members.values()
                if (limit := member.standing_limit) is not None
            ),
            default=None,
        )
        self.async_set_updated_data(reading)

    @property
    def _all_released(self) -> bool:
        """Return whether no member reports, all as planned: none is missing."""
        found = set(self.presence.values())
        return not found & {Presence.REPORTING, Presence.MISSING} and bool(
            found & PLANNED_ABSENCE
        )

    @property
    def _interval(self) -> float:
        """Return the longest poll interval of the loaded members in s, 0 without any."""
        return max(
            (
                member.battery.options.interval.total_seconds()
                for member in self.members.values()
                if member.battery is not None
            ),
            default=0.0,
        )

    def _log_isolation(self, before: frozenset[str], isolated: frozenset[str]) -> None:
        for address in sorted(isolated ^ before):
            _LOGGER.info(
                "%s: %s %s",
                self.title,
                self.member_name(address),
                "has cut itself off from the others"
                if address in isolated
                else "is active again",
            )

    @callback
    def _update_issues(self, now: float) -> None:
        snapshot = BankSnapshot(
            entry_id=self.config_entry.entry_id,
            title=self.title,
            has_inverter=self.has_inverter,
            differ_at_rest=self.at_rest.differences,
            members=[
                member.snapshot(self.isolation.isolated_for(member.address, now))
                for member in self.members.values()
            ],
        )
        self._issues.async_update(
            {
                notice.issue_id: RepairIssue(
                    notice.translation_key,
                    notice.placeholders,
                    ir.IssueSeverity(notice.severity),
                )
                for notice in notices(snapshot)
            }
        )
