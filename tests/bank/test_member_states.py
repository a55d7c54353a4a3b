"""What a bank makes of one member; no event loop, no radio."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.config_entries import ConfigEntryState

from custom_components.voltgo_vlrv.bank.member import (
    MISSING_GRACE_PERIOD,
    BankMember,
    Presence,
    are_simultaneous,
)
from custom_components.voltgo_vlrv.bank.sensor import SENSORS
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.battery.statistics import PollStatistics
from custom_components.voltgo_vlrv.const import CONF_INFO
from custom_components.voltgo_vlrv.history.totals import Flow
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
MAX_AGE = timedelta(seconds=60)
INFO = BatteryInfo("ZT-25.6V100Ah-1238", 8, 100.0)


def entry(state: ConfigEntryState = ConfigEntryState.LOADED, **fields: Any) -> Any:
    """Return an entry as far as a member looks at it."""
    data = {CONF_INFO: INFO.as_data()}
    defaults = {"entry_id": "01A", "disabled_by": None, "data": data}
    return SimpleNamespace(**{"state": state, **defaults, **fields})


class Battery(SimpleNamespace):
    """A loaded battery as far as a member looks at it; it was read at second 100."""

    def __init__(self, **fields: Any) -> None:
        """Begin with one that reports."""
        statistics = PollStatistics()
        statistics.record_sample(NOW, 100.0)
        self.listeners: list[Any] = []
        self.states: list[Any] = []
        defaults = {
            "info": INFO,
            "statistics": statistics,
            "coordinator": SimpleNamespace(
                data=status(),
                last_update_success=True,
                has_values=True,
                async_add_listener=self._listen,
            ),
            "connection": SimpleNamespace(
                is_released=False, async_add_listener=self._listen
            ),
            "options": SimpleNamespace(max_age=MAX_AGE),
            "firmware": SimpleNamespace(is_running=False),
            "settings": SimpleNamespace(pending={}, module_id=None),
            "charge_states": SimpleNamespace(too_cold=self._too_cold),
            "history": SimpleNamespace(
                energy=SimpleNamespace(total={"charged": 1.5, "discharged": 2.5}.get)
            ),
        }
        super().__init__(**{**defaults, **fields})

    def _too_cold(self, *asked: Any) -> bool:
        self.states.append(asked)
        return True

    def _listen(self, listener: Any) -> Any:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)


def member(battery: Battery | None = None, **fields: Any) -> BankMember:
    """Return a member with an entry and a battery."""
    found = BankMember("A", "Left", **{"entry": entry(), **fields})
    found.subscribe(battery, lambda: None)
    return found


@pytest.mark.parametrize(
    ("found", "presence"),
    [
        (None, Presence.MISSING),
        (entry(ConfigEntryState.NOT_LOADED), Presence.STARTING),
        (entry(ConfigEntryState.SETUP_IN_PROGRESS), Presence.STARTING),
        (entry(ConfigEntryState.UNLOAD_IN_PROGRESS), Presence.STARTING),
        (entry(ConfigEntryState.SETUP_ERROR), Presence.MISSING),
        (entry(ConfigEntryState.SETUP_RETRY), Presence.MISSING),
        (entry(ConfigEntryState.FAILED_UNLOAD), Presence.MISSING),
        (entry(ConfigEntryState.NOT_LOADED, disabled_by="user"), Presence.MISSING),
    ],
)
def test_member_that_is_not_loaded_is_starting_or_missing(
    found: Any, presence: Presence
) -> None:
    """By whether it may be about to be set up."""
    assert member(entry=found).presence(0.0) is presence


@pytest.mark.parametrize(
    ("now", "presence"),
    [(100.0, Presence.REPORTING), (160.0, Presence.REPORTING)],
)
def test_member_reports_as_long_as_its_sample_is_young(
    now: float, presence: Presence
) -> None:
    """The limit is the battery's own."""
    assert member(Battery()).presence(now) is presence


def test_member_without_a_young_sample_is_missing_after_failed_polls() -> None:
    """Not before a poll failed, nor within the grace period; a sample ends it."""
    battery = Battery()
    found = member(battery)
    assert found.presence(161.0) is Presence.RESUMING
    assert found.presence(161.0 + MISSING_GRACE_PERIOD) is Presence.RESUMING
    battery.statistics.failed_polls += 1
    assert found.presence(160.9 + MISSING_GRACE_PERIOD) is Presence.RESUMING
    assert found.presence(161.0 + MISSING_GRACE_PERIOD) is Presence.MISSING
    battery.statistics.record_sample(NOW, 300.0)
    assert found.presence(300.0) is Presence.REPORTING
    assert found.presence(400.0) is Presence.RESUMING
    assert found.presence(400.0 + MISSING_GRACE_PERIOD) is Presence.RESUMING
    battery.statistics.rejected.update(["checksum"])
    assert found.presence(400.0 + MISSING_GRACE_PERIOD) is Presence.MISSING


def test_member_without_any_sample_is_starting() -> None:
    """Also while the age of the first one is known before its values."""
    battery = Battery(statistics=PollStatistics())
    assert member(battery).presence(100.0) is Presence.STARTING
    early = Battery()
    early.coordinator.data = None
    assert member(early).presence(100.0) is Presence.STARTING


def test_member_that_shows_no_values_is_missing_unless_it_is_updated() -> None:
    """Its entities are unavailable, and polls wait for the firmware."""
    battery = Battery()
    battery.coordinator.last_update_success = False
    found = member(battery)
    assert found.presence(100.0) is Presence.MISSING
    battery.firmware.is_running = True
    assert found.presence(100.0) is Presence.UPDATING
    battery.coordinator.last_update_success = True
    assert found.presence(100.0) is Presence.REPORTING
    assert found.presence(161.0) is Presence.UPDATING


def test_member_after_a_release_resumes_also_without_a_sample() -> None:
    """What was waited before the release does not count."""
    battery = Battery(statistics=PollStatistics())
    found = member(battery)
    assert found.presence(0.0) is Presence.STARTING
    battery.statistics.failed_polls = 5
    battery.connection.is_released = True
    assert found.presence(500.0) is Presence.RELEASED
    battery.connection.is_released = False
    assert found.presence(500.0) is Presence.RESUMING
    # Another setup of the entry forgets the release.
    again = Battery(statistics=PollStatistics())
    found.subscribe(again, lambda: None)
    assert found.presence(500.0) is Presence.STARTING


def test_member_listens_to_the_battery_that_is_loaded_and_no_other() -> None:
    """To its samples and its connection, once each."""
    first, second = Battery(), Battery()
    found = BankMember("A", "Left", entry=entry())

    def listener() -> None:
        """Do nothing."""

    for battery in (first, first, second):
        found.subscribe(battery, listener)
        assert battery.listeners == [listener, listener]
    assert first.listeners == []
    assert found.battery is second
    found.subscribe(None, listener)
    assert (second.listeners, found.battery) == ([], None)


def test_snapshot_of_a_loaded_member_has_all_that_is_known() -> None:
    """The ID that waits for a power cycle, and the last state of charge."""
    battery = Battery()
    found = member(battery)
    battery.settings = SimpleNamespace(pending={"module_id": 3}, module_id=2)
    found.update_module_id()
    shown = found.snapshot(7.0)
    assert (shown.address, shown.name, shown.entry_id) == ("A", "Left", "01A")
    assert (shown.info, shown.isolated_for) == (INFO, 7.0)
    assert (shown.module_id, shown.pending_module_id) == (2, 3)
    assert shown.state_of_charge == 60
    battery.settings = SimpleNamespace(pending={"module_id": "three"}, module_id=None)
    battery.coordinator.data = None
    found.update_module_id()
    shown = found.snapshot(None)
    assert (shown.module_id, shown.pending_module_id) == (2, None)
    assert (shown.state_of_charge, shown.isolated_for) == (None, None)


def test_member_that_is_not_loaded_has_what_its_entry_knows() -> None:
    """And nothing without an entry."""
    found = member()
    found.update_module_id()
    assert found.info == INFO
    assert (found.energy, found.has_values, found.module_id) == (None, False, None)
    shown = found.snapshot(None)
    assert (shown.entry_id, shown.pending_module_id) == ("01A", None)
    assert shown.state_of_charge is None
    found.entry = None
    assert found.info is None
    assert found.snapshot(None).entry_id is None


def test_member_that_is_loaded_has_its_counters_and_values() -> None:
    """As its own entities show them."""
    battery = Battery()
    found = member(battery)
    assert found.energy == Flow(charged=1.5, discharged=2.5)
    assert found.has_values
    battery.coordinator.has_values = False
    assert not found.has_values


def test_reading_of_a_member_is_made_again_for_another_sample_or_battery() -> None:
    """Equal values are not enough: what they decode to may differ."""
    battery = Battery()
    found = member(battery)
    first = found.reading()
    assert found.reading() is first
    battery.coordinator.data = status()
    second = found.reading()
    assert (second == first, second is first) == (True, False)
    battery.info = replace(INFO)
    assert found.reading() is not second
    assert battery.states == [(battery.coordinator.data, INFO)] * 3


@pytest.mark.parametrize(
    ("changes", "lowest", "highest"),
    [
        ({"probe_temperatures": (5, 9)}, 5, 9),
        ({"probe_temperatures": (5, 9), "max_cell_temperature": 12}, 5, 12),
        ({"probe_temperatures": (5, 9), "max_cell_temperature": 7}, 5, 9),
        ({"probe_temperatures": (None, None), "max_cell_temperature": 12}, None, 12),
        ({"probe_temperatures": (None, None)}, None, None),
    ],
)
def test_reading_of_a_member_takes_all_temperatures_of_its_cells(
    changes: dict[str, Any], lowest: int | None, highest: int | None
) -> None:
    """The hottest cell is no probe of its own."""
    battery = Battery()
    battery.coordinator.data = status(**changes)
    reading = member(battery).reading()
    assert reading.lowest_temperature == lowest
    assert reading.highest_temperature == highest


@pytest.mark.parametrize(
    ("changes", "protected", "ends_only_charging", "may_discharge"),
    [
        ({}, False, False, True),
        ({"protection": 0x0010}, True, True, True),
        ({"operating_state": 4}, True, False, None),
        ({"operating_state": 5}, True, False, None),
    ],
)
def test_reading_of_a_member_says_what_its_protection_ends(
    changes: dict[str, Any],
    *,
    protected: bool,
    ends_only_charging: bool,
    may_discharge: bool | None,
) -> None:
    """A state of protection without a bit is one, too."""
    battery = Battery()
    battery.coordinator.data = status(**changes)
    reading = member(battery).reading()
    assert (reading.key, reading.state_of_charge, reading.current) == ("A", 60, 0.0)
    assert (reading.too_cold, reading.may_charge) == (True, False)
    assert reading.protected is protected
    assert reading.ends_only_charging is ends_only_charging
    assert reading.may_discharge is may_discharge


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([0], True),
        ([0, 60], True),
        ([60, 0], True),
        ([0, 61], False),
        ([0, None], False),
        ([], False),
    ],
)
def test_samples_are_simultaneous_within_the_age_that_they_may_have(
    seconds: list[int | None], *, expected: bool
) -> None:
    """A sum of what was read at different times would be wrong."""
    members = [member()]
    for number in seconds:
        battery = Battery()
        battery.statistics.last_sample = (
            None if number is None else NOW + timedelta(seconds=number)
        )
        members.append(member(battery))
    assert are_simultaneous(members) is expected


def test_samples_are_simultaneous_by_the_longest_age_of_them() -> None:
    """Each battery has its own interval."""
    slow = Battery(options=SimpleNamespace(max_age=10 * MAX_AGE))
    slow.statistics.last_sample = NOW + 5 * MAX_AGE
    for members in ([slow, Battery()], [Battery(), slow]):
        assert are_simultaneous([member(battery) for battery in members])


def test_sensors_of_a_bank_are_named_by_their_keys() -> None:
    """Those that change with each sample at rest are off at first."""
    assert all(sensor.translation_key == sensor.key for sensor in SENSORS)
    off = {
        sensor.key
        for sensor in SENSORS
        if sensor.entity_registry_enabled_default is False
    }
    assert off == {
        "charge_power",
        "discharge_power",
        "full_capacity",
        "energy_capacity",
        "highest_cell",
        "lowest_cell",
        "bank_state_of_health",
    }
