"""Another battery under the address of one that was added, over the simulated radio."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeassistant.components.repairs import (
    DOMAIN as REPAIRS_DOMAIN,
    repairs_flow_manager,
)
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component

from .firmware_helpers import firmware_frames, upload
from custom_components.voltgo_vlrv.battery.change_budget import (
    MAX_CHANGES,
    REFILL,
    ChangeBudget,
)
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.const import CONF_INFO, DOMAIN
from custom_components.voltgo_vlrv.history.capacity import CapacityReading
from custom_components.voltgo_vlrv.history.full_charges import FullCharge
from custom_components.voltgo_vlrv.history.lifetime import DISCHARGED
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, issues, wait_until
from tests.harness import BatteryHarness, async_setup_battery


async def async_exchange(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> BatteryHarness:
    """Return a battery in whose place one with another full capacity answers now."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})
    harness = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    exchange(harness)
    await wait_until(lambda: issues(hass, "other_battery"), 60)
    return harness


def exchange(harness: BatteryHarness) -> None:
    """Have one with twice the capacity answer from now on."""
    state = harness.pack.reported()
    harness.pack.override = replace(
        state,
        full_capacity=2 * state.full_capacity,
        remaining_capacity=2 * state.remaining_capacity,
    )


async def async_answer(hass: HomeAssistant, answer: str) -> Any:
    """Answer the question of the repair issue; return the result of the flow."""
    manager = repairs_flow_manager(hass)
    assert manager is not None
    (issue,) = issues(hass, "other_battery")
    result = await manager.async_init(DOMAIN, data={"issue_id": issue.issue_id})
    assert result["type"] is FlowResultType.MENU
    assert result["menu_options"] == ["other", "ignore"]
    return await manager.async_configure(result["flow_id"], {"next_step_id": answer})


async def test_sample_of_another_battery_is_not_shown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Neither its values nor its energy nor what it is made of are taken over."""
    harness = await async_exchange(hass, bluetooth_env)
    known = harness.entry.data[CONF_INFO]
    energy = harness.entry.runtime_data.history.energy
    counted = [energy.total(way) for way in ("charged", "discharged")]
    samples = harness.entry.runtime_data.statistics.samples
    await asyncio.sleep(300)
    assert harness.shown("state_of_charge") == STATE_UNAVAILABLE
    assert harness.entry.runtime_data.coordinator.last_failure == "other_battery"
    assert harness.entry.data[CONF_INFO] == known
    assert [energy.total(way) for way in ("charged", "discharged")] == counted
    statistics = harness.entry.runtime_data.statistics
    assert statistics.samples == samples
    assert statistics.rejected["other_battery"] >= 5
    (issue,) = issues(hass, "other_battery")
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["known"].startswith("8S, 100 Ah")
    assert issue.translation_placeholders["found"].startswith("8S, 200 Ah")


async def test_known_battery_that_answers_again_is_shown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One foreign sample changes nothing for good."""
    harness = await async_exchange(hass, bluetooth_env)
    harness.pack.override = None
    await wait_until(lambda: not issues(hass, "other_battery"), 30)
    assert harness.shown("state_of_charge") == str(
        harness.pack.reported().state_of_charge
    )


async def test_other_battery_that_is_ignored_is_shown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The user says that it is the same one: its counters go on."""
    harness = await async_exchange(hass, bluetooth_env)
    energy = harness.entry.runtime_data.history.energy
    counted = energy.total("discharged")
    await asyncio.sleep(120)
    result = await async_answer(hass, "ignore")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await wait_until(lambda: harness.shown("state_of_charge") != STATE_UNAVAILABLE, 30)
    assert harness.entry.data[CONF_INFO]["full_capacity"] == 200
    assert harness.entry.runtime_data.history.energy.total("discharged") >= counted
    await asyncio.sleep(60)
    assert not issues(hass, "other_battery")


async def test_settings_of_a_battery_that_is_ignored_are_read(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also where it was there at a restart, so that none is known, and stays connected."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})
    harness = await async_setup_battery(hass, bluetooth_env)
    await hass.config_entries.async_unload(harness.entry.entry_id)
    exchange(harness)
    await hass.config_entries.async_setup(harness.entry.entry_id)
    await wait_until(lambda: issues(hass, "other_battery"), 60)
    await asyncio.sleep(60)
    settings = harness.entry.runtime_data.settings
    assert settings.module_id is None
    connects = harness.entry.runtime_data.client.counters.connects
    await async_answer(hass, "ignore")
    await wait_until(lambda: settings.module_id == 1, 60)
    assert harness.entry.runtime_data.client.counters.connects == connects


async def test_other_battery_that_is_accepted_starts_empty(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What the battery before it has given and lived through is not its own."""
    harness = await async_exchange(hass, bluetooth_env)
    before = harness.entry.runtime_data.history.care
    before.lifetime.totals[DISCHARGED] = 123.0
    before.capacity.readings.append(CapacityReading(None, 85.0, 80.0, 3000, 20, 9.0))
    before.full_charges.readings.append(FullCharge(None, 9, 3500, 5.0, 20))
    before.trust.contradicted = True
    before.start_capacity_test()
    energy = harness.entry.runtime_data.history.energy
    energy._totals["discharged"] = 123.0
    result = await async_answer(hass, "other")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await wait_until(lambda: harness.entry.runtime_data.coordinator.data, 60)
    assert harness.entry.data[CONF_INFO]["full_capacity"] == 200
    history = harness.entry.runtime_data.history
    assert history.energy.total("discharged") < 1
    care = history.care
    assert care is not before
    assert care.total(DISCHARGED) < 1
    assert care.last_capacity is None
    assert care.last_full_charge is None
    assert not care.trust.contradicted
    assert not care.capacity_test.is_running
    await asyncio.sleep(60)
    assert not issues(hass, "other_battery")
    shown = harness.shown("energy_discharged")
    assert shown is not None
    assert float(shown) < 1


async def test_setting_of_another_battery_is_not_written(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """While the question is open, nothing is sent to a battery that may be foreign."""
    harness = await async_exchange(hass, bluetooth_env)
    with pytest.raises(HomeAssistantError) as raised:
        await harness.entry.runtime_data.settings.async_set_name("Solar")
    assert raised.value.translation_key == "change_other_battery"
    assert harness.changes == []
    await async_answer(hass, "ignore")
    await harness.entry.runtime_data.settings.async_set_name("Solar")
    assert len(harness.changes) == 1


async def test_firmware_is_not_sent_to_another_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The file was made for the known one."""
    harness = await async_exchange(hass, bluetooth_env)
    await upload(hass, harness.entry, tmp_path)
    with pytest.raises(HomeAssistantError) as raised:
        await harness.entry.runtime_data.firmware.async_install("bms", lambda _: None)
    assert raised.value.translation_key == "firmware_other_battery"
    assert firmware_frames(harness.peripheral) == []


async def async_lose_connection(harness: BatteryHarness) -> None:
    """Lose the connection, as when the battery is out of range for a moment."""
    harness.peripheral.drop_connection()
    await wait_until(lambda: not harness.is_connected)


async def test_serial_number_of_another_battery_is_read_before_its_first_sample(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One of the same kind differs in nothing else, and must not be written to."""
    pack = battery("driving_load", serial="VG21A00017")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    await harness.wait_connected()
    statistics = harness.entry.runtime_data.statistics
    await async_lose_connection(harness)
    samples = statistics.samples
    pack.identity.serial = "VG21A00018"
    with pytest.raises(HomeAssistantError) as raised:
        await harness.entry.runtime_data.settings.async_set_name("Solar")
    assert raised.value.translation_key == "change_other_battery"
    await wait_until(lambda: issues(hass, "other_battery"), 60)
    await asyncio.sleep(60)
    assert statistics.samples == samples
    assert harness.changes == []
    (issue,) = issues(hass, "other_battery")
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["found"].endswith("VG21A00018")
    # The known battery is back.
    await async_lose_connection(harness)
    pack.identity.serial = "VG21A00017"
    await wait_until(lambda: statistics.samples > samples, 60)
    assert not issues(hass, "other_battery")


# --- storage --------------------------------------------------------------------------


def test_change_budget_allows_some_changes_at_once_and_then_one_an_hour() -> None:
    """Each change is written to three registries."""
    budget = ChangeBudget()
    assert sum(budget.take(100.0) for _ in range(50)) == MAX_CHANGES
    assert not budget.take(100.0 + REFILL / 2)
    assert budget.take(100.0 + REFILL)
    day = sum(budget.take(100.0 + REFILL + 60 * minute) for minute in range(1440))
    assert day <= 24


async def test_identity_that_changes_with_each_connection_is_stored_some_times_only(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A hostile battery must not wear out a memory card."""
    harness = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    store = harness.entry.runtime_data._info
    versions = set()
    for number in range(50):
        info = replace(store.info, firmware=f"Z01T{number}")
        store.update(info)
        versions.add(BatteryInfo.from_data(harness.entry.data[CONF_INFO]).firmware)
    assert 2 < len(versions) <= MAX_CHANGES + 1
