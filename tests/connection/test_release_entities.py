"""A release by switch or button, its end, and the issue about a forgotten one."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from homeassistant.core import HomeAssistant, State
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.battery.release_notice import NOTICE_AFTER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import entity_id, issues
from tests.harness import BatteryHarness, async_setup_battery

MINUTE = 60.0
HOUR = 3600.0


def switch(one: BatteryHarness) -> State:
    """Return the state of the connection switch."""
    key = entity_id(one.hass, one.pack.address, "bluetooth_connection", "switch")
    state = one.hass.states.get(key)
    assert state is not None
    return state


async def test_release_button_releases_for_fifteen_minutes(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The switch says until when; a second press begins the time again."""
    one: BatteryHarness = await async_setup_battery(hass, bluetooth_env)
    assert "released_until" not in switch(one).attributes
    button = {"entity_id": entity_id(hass, one.pack.address, "release", "button")}
    for _ in range(2):
        await hass.services.async_call("button", "press", button, blocking=True)
        end = dt_util.utcnow() + timedelta(minutes=15)
        assert one.status == "released"
        assert not one.is_connected
        assert switch(one).state == "off"
        until = datetime.fromisoformat(switch(one).attributes["released_until"])
        assert abs(until - end) < timedelta(seconds=10)
        await asyncio.sleep(10 * MINUTE)
    await asyncio.sleep(4 * MINUTE)
    assert switch(one).state == "off"
    await asyncio.sleep(3 * MINUTE)
    assert switch(one).state == "on"
    assert "released_until" not in switch(one).attributes
    assert one.is_connected


async def test_release_without_an_end_is_reported_after_some_hours(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Until it ends; one that has an end is not forgotten."""
    one: BatteryHarness = await async_setup_battery(hass, bluetooth_env)
    hours = NOTICE_AFTER / timedelta(hours=1)
    await one.set_connection(False)
    assert "released_until" not in switch(one).attributes
    await asyncio.sleep((hours - 1) * HOUR)
    assert not issues(hass, "released")
    await asyncio.sleep(2 * HOUR)
    (issue,) = issues(hass, "released")
    assert issue.translation_placeholders == {"name": one.pack.name}
    await one.set_connection(True)
    await hass.async_block_till_done()
    assert not issues(hass, "released")
    await one.release(duration={"hours": hours + 2})
    await asyncio.sleep((hours + 1) * HOUR)
    assert one.status == "released"
    assert not issues(hass, "released")
