"""Members of a bank: their readings, and when they are created."""

from __future__ import annotations

import asyncio

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .common import async_setup_bank, entity, packs, set_reported, settle, wait_for_poll
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL


async def test_reading_of_a_member_is_created_once_for_each_sample(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Recalculating the bank, as after a poll of another member, creates none."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    for pack in pair:
        set_reported(pack, current=-3.0)
    await wait_for_poll()
    coordinator = bank.runtime_data
    before = list(coordinator.readings)
    await coordinator.async_refresh()
    assert list(map(id, coordinator.readings)) == list(map(id, before))
    set_reported(pair[1], current=-7.0)
    await wait_for_poll()
    assert [reading.current for reading in coordinator.readings] == [-3.0, -7.0]
    assert coordinator.readings[1] is not before[1]


async def test_update_action_of_a_bank_entity_recalculates_and_polls_no_member(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """`homeassistant.update_entity` is offered for each entity of Home Assistant."""
    assert await async_setup_component(hass, "homeassistant", {})
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    told: list[float] = []
    bank.runtime_data.async_add_listener(lambda: told.append(hass.loop.time()))
    await asyncio.sleep(POLL_INTERVAL)
    polls = {
        address: member.battery.statistics.polls
        for address, member in bank.runtime_data.members.items()
        if member.battery is not None
    }
    assert len(polls) == 2
    told.clear()
    await hass.services.async_call(
        "homeassistant",
        "update_entity",
        {"entity_id": entity(bank, hass, "state_of_charge")},
        blocking=True,
    )
    assert told
    await settle(hass)
    assert bank.runtime_data.last_update_success
    assert polls == {
        address: member.battery.statistics.polls
        for address, member in bank.runtime_data.members.items()
        if member.battery is not None
    }
