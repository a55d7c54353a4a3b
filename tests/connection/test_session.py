"""The users of a connection: what is done once, and what for each of them."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from custom_components.voltgo_vlrv.connection import session
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import wait_until
from tests.harness import async_setup_battery


async def test_first_connection_closes_stale_ones_before_it_once(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A killed Home Assistant may have left one, which no other program closes."""
    closed: list[tuple[str, int]] = []

    async def close(address: str) -> None:
        peripheral = bluetooth_env.peripherals[address]
        closed.append((address, peripheral.connections))

    monkeypatch.setattr(session, "close_stale_connections", close)
    one = await async_setup_battery(hass, bluetooth_env)
    await one.wait_connected()
    before = one.peripheral.connections
    assert [address for address, _ in closed] == [one.pack.address]
    assert closed[0][1] < before
    one.peripheral.drop_connection()
    await one.wait_connected()
    await asyncio.sleep(60)
    assert one.peripheral.connections > before
    assert len(closed) == 1


async def test_setting_right_after_a_lost_connection_waits_for_an_advertisement(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For a moment no adapter receives the battery, which is not out of range."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.wait_connected()
    await one.peripheral.stop()
    await wait_until(lambda: not one.is_connected, 60)
    change = hass.async_create_task(one.select("module_id", "5"))
    await asyncio.sleep(3)
    await one.peripheral.start()
    await change
    assert one.changes


async def test_setting_of_a_battery_that_is_gone_is_refused_after_seconds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The wait has an end."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.wait_connected()
    await one.peripheral.stop()
    await wait_until(lambda: not one.is_connected, 60)
    started = hass.loop.time()
    with pytest.raises(HomeAssistantError):
        await one.select("module_id", "5")
    assert 5 <= hass.loop.time() - started < 8
