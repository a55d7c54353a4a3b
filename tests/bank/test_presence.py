"""Missing batteries: none with fresh values of its own, and none unknown forever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event

from .harness import async_setup_bank, packs
from .test_entities import states_of
from custom_components.voltgo_vlrv.bank.member import MISSING_GRACE_PERIOD, Presence
from custom_components.voltgo_vlrv.connection.turns import async_turns
from simulator.firmware import FirmwareReceiver
from tests.battery.firmware_helpers import install, upload
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, settle, wait_for_poll, wait_until


async def test_missing_batteries_after_a_resume_are_none(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery's own values stay fresh until it is read, however old they are."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    seen = states_of(hass, bank.entity_id("battery_missing"))
    connection = bank.batteries[0].connection
    await connection.async_release()
    await asyncio.sleep(900)
    connection.async_resume()
    await settle(hass)
    await bank.wait_reporting(2, 120)
    await connection.async_release(timedelta(minutes=5))
    await asyncio.sleep(295)
    assert bank.shown("batteries_reporting") == "1"
    await bank.wait_reporting(2, 120)
    assert seen == []
    assert bank.shown("battery_missing") == "off"


async def test_missing_batteries_after_a_release_of_all_are_none(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They reconnect one after the other."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    seen = states_of(hass, bank.entity_id("battery_missing"))
    await bank.release(duration={"minutes": 10})
    await asyncio.sleep(590)
    assert bank.shown("batteries_reporting") == "0"
    await bank.wait_reporting(3, 120)
    assert seen == []


async def test_missing_batteries_contain_one_that_does_not_resume(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As soon as its own values have expired."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    connection = bank.batteries[0].connection
    await connection.async_release()
    await bank.batteries[0].peripheral.stop()
    await asyncio.sleep(900)
    connection.async_resume()
    await wait_for_poll()
    assert bank.batteries[0].shown("state_of_charge") == "50"
    assert bank.shown("battery_missing") == "off"
    await asyncio.sleep(60)
    assert bank.batteries[0].shown("state_of_charge") == "unavailable"
    assert bank.shown("battery_missing") == "on"


async def test_missing_batteries_after_a_restart_and_a_resume_are_none(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A release outlives a restart, and so does the sample from before it."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.batteries[0].connection.async_release()
    await bank.restart()
    await bank.wait_reporting(1, 60)
    assert bank.shown("battery_missing") == "off"
    changes: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        changes.append("" if state is None else state.state)

    async_track_state_change_event(hass, bank.entity_id("battery_missing"), note)
    bank.batteries[0].connection.async_resume()
    await bank.wait_reporting(2, 60)
    assert changes == []


async def test_missing_batteries_during_a_firmware_update_are_none(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Polling pauses, and the battery's own values stay fresh until it is read again."""
    pair = packs(2)
    pair[0].firmware_receiver = FirmwareReceiver(restart_for=45.0)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    entry = bank.batteries[0].entry
    # Over a real connection the transfer itself takes minutes.
    hass.config_entries.async_update_entry(entry, options={"max_age": 30})
    await upload(hass, entry, tmp_path)
    seen = states_of(hass, bank.entity_id("battery_missing"))
    reporting = states_of(hass, bank.entity_id("batteries_reporting"))
    task = hass.async_create_task(install(hass, pair[0]))
    await wait_until(lambda: entry.runtime_data.firmware.is_running)
    await bank.wait_reporting(1, 120)
    member = bank.coordinator.presence[bank.batteries[0].address]
    assert member is Presence.UPDATING
    await task
    await bank.wait_reporting(2, 120)
    await asyncio.sleep(POLL_INTERVAL)
    assert reporting == ["1", "2"]
    assert seen == []


@pytest.mark.parametrize("resumed", [False, True])
async def test_missing_batteries_contain_one_with_failed_attempts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, resumed: bool
) -> None:
    """However long its own values stay fresh."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    entry = bank.batteries[0].entry
    hass.config_entries.async_update_entry(entry, options={"max_age": 1800})
    await settle(hass)
    connection = entry.runtime_data.connection
    if resumed:
        await connection.async_release()
    else:
        await hass.config_entries.async_unload(entry.entry_id)
    await bank.batteries[0].peripheral.stop()
    if resumed:
        await asyncio.sleep(1900)
        connection.async_resume()
    else:
        assert await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(MISSING_GRACE_PERIOD - 5)
    assert bank.shown("battery_missing") == ("off" if resumed else "unknown")
    # Calls come at longer and longer intervals.
    await wait_until(lambda: bank.shown("battery_missing") == "on", 90)
    assert entry.runtime_data.statistics.failed_polls
    await asyncio.sleep(600)
    assert bank.shown("battery_missing") == "on"
    assert bank.batteries[0].shown("state_of_charge") == "50"
    await bank.batteries[0].peripheral.start()
    await bank.wait_reporting(2, 600)
    assert bank.shown("battery_missing") == "off"


async def test_missing_batteries_leave_out_one_that_waits_for_its_turn(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Many batteries connect one after the other: only failed attempts count."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    entry = bank.batteries[0].entry
    hass.config_entries.async_update_entry(entry, options={"max_age": 86400})
    await hass.config_entries.async_unload(entry.entry_id)
    (adapter,) = bluetooth_env.adapters
    async with async_turns(hass, adapter).take(has_failed=False):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await asyncio.sleep(3 * MISSING_GRACE_PERIOD)
        assert bank.shown("battery_missing") == "unknown"
    await bank.wait_reporting(2, 60)
