"""Entries whose data or options are damaged, foreign, or of a newer version."""

from __future__ import annotations

from dataclasses import fields
import logging
from typing import Any

from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.battery import info
from custom_components.voltgo_vlrv.battery.firmware_files import stored_files
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.battery.settings import _valid_changes
from custom_components.voltgo_vlrv.connection import ConnectionMode
from custom_components.voltgo_vlrv.const import CONF_MEMBERS, DOMAIN
from custom_components.voltgo_vlrv.diagnostics import async_get_config_entry_diagnostics
from custom_components.voltgo_vlrv.entries import members_of
from custom_components.voltgo_vlrv.options import BatteryOptions
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, log_lines

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)
OPTIONS = ("interval", "max_age", "low_battery", "reserve", "current_scale", "firmware")
SETTINGS = ("module_id", "can_protocol", "rs485_protocol", "bluetooth_name", "new")


def any_of(*keys: str) -> st.SearchStrategy[Any]:
    """Return a strategy for a mapping with some of these keys, or for anything."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, ANYTHING)) | ANYTHING


def test_each_field_of_the_information_is_checked() -> None:
    """A field without a check would never be restored."""
    assert {field.name for field in fields(BatteryInfo)} == info._IS_VALID.keys()


@given(any_of(*info._IS_VALID))
def test_information_of_any_data_is_valid(data: Any) -> None:
    """What is restored can be stored, and is the same then."""
    restored = BatteryInfo.from_data(data)
    assert BatteryInfo.from_data(restored.as_data()) == restored
    assert restored.model
    assert restored.summary


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(OPTIONS, ANYTHING)))
def test_any_options_are_read_within_their_limits(options: dict[str, Any]) -> None:
    """What is not valid is the default."""
    read = BatteryOptions(MockConfigEntry(options=options))
    assert 5 <= read.interval.total_seconds() <= 3600
    assert 30 <= read.max_age.total_seconds() <= 86_400
    assert 1 <= read.low_battery <= 99
    assert 0 <= read.reserve <= 90
    assert read.current_scale > 0
    records = stored_files(options).values()
    assert all(isinstance(record["sha256"], str) for record in records)


@given(any_of(*SETTINGS))
def test_any_pending_changes_are_those_of_known_settings(data: Any) -> None:
    """A newer version may know more settings."""
    changes = _valid_changes({"pending": data})
    assert set(changes) < set(SETTINGS)
    assert all(isinstance(value, int | str) for value in changes.values())


@given(ANYTHING)
def test_any_members_are_texts(data: Any) -> None:
    """A bank without a valid member has none."""
    entry = MockConfigEntry(data={CONF_MEMBERS: data})
    assert all(isinstance(member, str) for member in members_of(entry))


async def test_entry_with_nothing_but_damage_is_set_up_and_unloaded(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only the address counts."""
    address = battery("idle").address
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Solar",
        unique_id=address,
        data={"address": address, "info": {"cell_count": "x"}, "pending": {"new": 1}},
        options={
            "connection": "newer",
            "interval": "x",
            "max_age": -1,
            "low_battery": None,
            "reserve": None,
            "current_scale": [],
            "firmware": {"bms": {"name": 1}, "comm": 7},
        },
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data.connection.mode is ConnectionMode.AUTOMATIC
    assert (await async_get_config_entry_diagnostics(hass, entry))["entry"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert log_lines(caplog, logging.WARNING) == []
