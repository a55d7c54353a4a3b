"""Another battery under the address of one that was added, over the simulated radio."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from homeassistant.components.repairs import (
    DOMAIN as REPAIRS_DOMAIN,
    repairs_flow_manager,
)
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component

from custom_components.voltgo_vlrv.const import CONF_INFO, DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, issues, wait_until
from tests.harness import BatteryHarness, async_setup_battery


async def async_exchange(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> BatteryHarness:
    """Return a battery in whose place one with another full capacity answers now."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})
    pack = battery("driving_load")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    state = pack.reported()
    pack.override = replace(
        state,
        full_capacity=2 * state.full_capacity,
        remaining_capacity=2 * state.remaining_capacity,
    )
    await wait_until(lambda: issues(hass, "other_battery"), 60)
    return harness


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


async def test_other_battery_that_is_accepted_starts_empty(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Energy that the battery before it has given is not its own."""
    harness = await async_exchange(hass, bluetooth_env)
    energy = harness.entry.runtime_data.history.energy
    energy._totals["discharged"] = 123.0
    result = await async_answer(hass, "other")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await wait_until(lambda: harness.entry.runtime_data.coordinator.data, 60)
    assert harness.entry.data[CONF_INFO]["full_capacity"] == 200
    assert harness.entry.runtime_data.history.energy.total("discharged") < 1
    await asyncio.sleep(60)
    assert not issues(hass, "other_battery")
    shown = harness.shown("energy_discharged")
    assert shown is not None
    assert float(shown) < 1
