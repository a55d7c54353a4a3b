"""Triggers for the connection of a battery."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from homeassistant.core import HomeAssistant

from .helpers import CONNECTION_STATUS, MINUTE, automate, leave, once, targets, watch
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, value, wait_until
from tests.harness import async_setup_battery


async def test_lost_trigger_after_its_time_fires_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It fires again at the next loss."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(
        hass, pack, CONNECTION_STATUS, "connection_lost", {"for": {"minutes": 3}}
    )
    await leave(peripheral)
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 120
    )
    await asyncio.sleep(2.9 * MINUTE)
    assert not runs
    await asyncio.sleep(0.2 * MINUTE)
    assert runs == once()
    await asyncio.sleep(60 * MINUTE)
    assert runs == once()
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 600
    )
    await leave(peripheral)
    await asyncio.sleep(6 * MINUTE)
    assert runs == Counter(dict.fromkeys(once(), 2))


async def test_lost_trigger_with_a_short_loss_does_not_fire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Short losses are normal: five minutes unless another time is selected."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, CONNECTION_STATUS, "connection_lost")
    await leave(peripheral)
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 120
    )
    await asyncio.sleep(4.5 * MINUTE)
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 20
    )
    await asyncio.sleep(30 * MINUTE)
    assert not runs
    await leave(peripheral)
    await asyncio.sleep(7 * MINUTE)
    assert runs == once()


@pytest.mark.parametrize("name", ["connection_lost", "connection_restored"])
async def test_lost_trigger_during_a_release_does_not_fire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """A release is planned, however long it lasts."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    runs = await watch(hass, pack, CONNECTION_STATUS, name)
    connection = entry.runtime_data.connection
    await connection.async_release()
    await asyncio.sleep(60 * MINUTE)
    assert value(hass, pack.address, CONNECTION_STATUS[1]) == "released"
    connection.async_resume()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 60
    )
    await asyncio.sleep(30 * MINUTE)
    assert not runs


async def test_lost_trigger_after_a_release_without_return_fires(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery was to reconnect and did not."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, CONNECTION_STATUS, "connection_lost")
    await entry.runtime_data.connection.async_release()
    await leave(peripheral)
    await asyncio.sleep(60 * MINUTE)
    assert not runs
    entry.runtime_data.connection.async_resume()
    await asyncio.sleep(10 * MINUTE)
    assert runs == once()


async def test_lost_trigger_after_a_reload_does_not_fire_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The loss was reported already."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, CONNECTION_STATUS, "connection_lost")
    await leave(peripheral)
    await asyncio.sleep(10 * MINUTE)
    assert runs == once()
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(20 * MINUTE)
    assert value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable"
    assert runs == once()


async def test_lost_trigger_without_any_connection_fires(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that was never reached is lost, too."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    places = targets(hass, pack, CONNECTION_STATUS)
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
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 300
    )
    assert not runs
    await asyncio.sleep(6 * MINUTE)
    assert runs == {"device": 1}


async def test_restored_trigger_after_a_long_loss_fires_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires once, at once, after a loss that was long enough."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(
        hass,
        pack,
        CONNECTION_STATUS,
        "connection_restored",
        {"lost_for": {"minutes": 3}},
    )
    await asyncio.sleep(10 * MINUTE)
    await leave(peripheral)
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 120
    )
    await asyncio.sleep(2 * MINUTE)
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 20
    )
    await asyncio.sleep(MINUTE)
    assert not runs  # too short
    await leave(peripheral)
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 120
    )
    await asyncio.sleep(4 * MINUTE)
    assert not runs
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 60
    )
    await asyncio.sleep(1)
    assert runs == once()
    await asyncio.sleep(30 * MINUTE)
    assert runs == once()


async def test_restored_trigger_after_a_release_does_not_fire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not even if the connection was lost before the release."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, CONNECTION_STATUS, "connection_restored")
    await leave(peripheral)
    await asyncio.sleep(10 * MINUTE)
    await entry.runtime_data.connection.async_release()
    await peripheral.advertise()
    await asyncio.sleep(MINUTE)
    entry.runtime_data.connection.async_resume()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 60
    )
    await asyncio.sleep(1)
    assert not runs


@pytest.mark.parametrize(
    ("name", "option"),
    [("connection_lost", "for"), ("connection_restored", "lost_for")],
)
async def test_restored_trigger_with_several_reasons_counts_from_the_first(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str, option: str
) -> None:
    """Also when the reason changes in between."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, CONNECTION_STATUS, name, {option: {"minutes": 8}})
    await leave(peripheral)
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 120
    )
    await asyncio.sleep(4 * MINUTE)
    await bluetooth_env.remove_adapter()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "no_bluetooth", 300
    )
    await asyncio.sleep(5 * MINUTE)
    assert runs == (once() if name == "connection_lost" else Counter())
    await bluetooth_env.add_adapter()
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 600
    )
    await asyncio.sleep(1)
    assert runs == once()
