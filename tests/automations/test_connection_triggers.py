"""Triggers for the connection of a battery."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from homeassistant.core import HomeAssistant

from .helpers import LINK, MINUTE, automate, leave, once, targets, watch
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, value, wait_until
from tests.harness import async_setup_battery


async def test_a_lost_link(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires after the time, once, and again for the next loss."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, LINK, "connection_lost", {"for": {"minutes": 3}})
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(2.9 * MINUTE)
    assert not runs
    await asyncio.sleep(0.2 * MINUTE)
    assert runs == once()
    await asyncio.sleep(60 * MINUTE)
    assert runs == once()
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 600)
    await leave(peripheral)
    await asyncio.sleep(6 * MINUTE)
    assert runs == Counter(dict.fromkeys(once(), 2))


async def test_a_lost_link_that_is_soon_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Is everyday life: five minutes unless another time is chosen."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, LINK, "connection_lost")
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(4.5 * MINUTE)
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 20)
    await asyncio.sleep(30 * MINUTE)
    assert not runs
    await leave(peripheral)
    await asyncio.sleep(7 * MINUTE)
    assert runs == once()


@pytest.mark.parametrize("name", ["connection_lost", "connection_restored"])
async def test_a_release_is_no_lost_link(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """Neither its beginning nor its end, however long it lasts."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    runs = await watch(hass, pack, LINK, name)
    connection = entry.runtime_data.connection
    await connection.async_release()
    await asyncio.sleep(60 * MINUTE)
    assert value(hass, pack.address, LINK[1]) == "released"
    connection.async_resume()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(30 * MINUTE)
    assert not runs


async def test_a_battery_that_is_gone_after_a_release(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It was to come back and did not: that is a lost link."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, LINK, "connection_lost")
    await entry.runtime_data.connection.async_release()
    await leave(peripheral)
    await asyncio.sleep(60 * MINUTE)
    assert not runs
    entry.runtime_data.connection.async_resume()
    await asyncio.sleep(10 * MINUTE)
    assert runs == once()


async def test_a_reload_is_no_second_loss(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that is still away was told of already."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, LINK, "connection_lost")
    await leave(peripheral)
    await asyncio.sleep(10 * MINUTE)
    assert runs == once()
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(20 * MINUTE)
    assert value(hass, pack.address, LINK[1]) == "unreachable"
    assert runs == once()


async def test_a_battery_that_was_away_from_the_start(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Its owner wants to know, too."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    places = targets(hass, pack, LINK)
    await hass.config_entries.async_unload(entry.entry_id)
    await leave(peripheral)
    runs = await automate(
        hass,
        {
            "device": {
                "triggers": [
                    {"trigger": f"{DOMAIN}.connection_lost", "target": places["device"]}
                ]
            }
        },
    )
    await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 300)
    assert not runs
    await asyncio.sleep(6 * MINUTE)
    assert runs == {"device": 1}


async def test_the_link_is_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires once, at once, after a loss that was long enough."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(
        hass, pack, LINK, "connection_restored", {"lost_for": {"minutes": 3}}
    )
    await asyncio.sleep(10 * MINUTE)
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(2 * MINUTE)
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 20)
    await asyncio.sleep(MINUTE)
    assert not runs  # too short
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(4 * MINUTE)
    assert not runs
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(1)
    assert runs == once()
    await asyncio.sleep(30 * MINUTE)
    assert runs == once()


async def test_a_battery_that_is_taken_back_is_not_the_link_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also when it was lost before it was released."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, LINK, "connection_restored")
    await leave(peripheral)
    await asyncio.sleep(10 * MINUTE)
    await entry.runtime_data.connection.async_release()
    await peripheral.advertise()
    await asyncio.sleep(MINUTE)
    entry.runtime_data.connection.async_resume()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(1)
    assert not runs


@pytest.mark.parametrize(
    ("name", "option"),
    [("connection_lost", "for"), ("connection_restored", "lost_for")],
)
async def test_a_loss_counts_from_its_beginning(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str, option: str
) -> None:
    """Also when the reason changes in between."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, LINK, name, {option: {"minutes": 8}})
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(4 * MINUTE)
    await bluetooth_env.remove_adapter()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "no_bluetooth", 300)
    await asyncio.sleep(5 * MINUTE)
    assert runs == (once() if name == "connection_lost" else Counter())
    await bluetooth_env.add_adapter()
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 600)
    await asyncio.sleep(1)
    assert runs == once()
