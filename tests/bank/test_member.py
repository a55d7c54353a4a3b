"""Members of a bank: their readings, and when they are created."""

from __future__ import annotations

import asyncio

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .harness import async_setup_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, issues, settle, wait_for_poll


async def test_member_reading_is_created_once_for_each_sample(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Recalculating the bank, as after a poll of another member, creates none."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for battery in bank.batteries:
        battery.set_reported(current=-3.0)
    await wait_for_poll()
    coordinator = bank.coordinator
    before = list(coordinator.readings)
    await coordinator.async_refresh()
    assert list(map(id, coordinator.readings)) == list(map(id, before))
    bank.batteries[1].set_reported(current=-7.0)
    await wait_for_poll()
    assert [reading.current for reading in coordinator.readings] == [-3.0, -7.0]
    assert coordinator.readings[1] is not before[1]


async def test_bank_entity_update_action_recalculates_and_polls_no_member(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """`homeassistant.update_entity` is offered for each entity of Home Assistant."""
    assert await async_setup_component(hass, "homeassistant", {})
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    told: list[float] = []
    bank.coordinator.async_add_listener(lambda: told.append(hass.loop.time()))
    await asyncio.sleep(POLL_INTERVAL)
    polls = {
        address: member.battery.statistics.polls
        for address, member in bank.coordinator.members.items()
        if member.battery is not None
    }
    assert len(polls) == 2
    told.clear()
    await hass.services.async_call(
        "homeassistant",
        "update_entity",
        {"entity_id": bank.entity_id("state_of_charge")},
        blocking=True,
    )
    assert told
    await settle(hass)
    assert bank.coordinator.last_update_success
    assert polls == {
        address: member.battery.statistics.polls
        for address, member in bank.coordinator.members.items()
        if member.battery is not None
    }


async def test_bank_at_full_charge_has_no_isolated_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One of three packs stops at its cell overvoltage while the others still charge."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    for battery in bank.batteries[:2]:
        battery.set_reported(current=20.0, state_of_charge=99)
    bank.batteries[2].set_reported(
        current=0.0,
        protection=0x0002,
        operating_state=4,
        cell_voltages=(3.65, 3.45, 3.44, 3.45),
        state_of_charge=100,
    )
    await asyncio.sleep(180)
    assert bank.shown("battery_isolated") == "off"
    assert bank.shown("any_protection") == "on"
    assert bank.shown("state_of_charge") == "99.3"
    assert bank.shown("current_imbalance") == "0"
    assert issues(hass, "bank_isolated") == []
