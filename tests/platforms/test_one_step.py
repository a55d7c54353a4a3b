"""Values that are one step of their resolution off what is shown."""

from __future__ import annotations

import asyncio

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.battery.reporting import LATE, STANDING
from custom_components.voltgo_vlrv.const import CONF_RECORD_EVERY_CHANGE
from simulator.faults import FOREVER
from tests.bank.harness import async_setup_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, enable_entities, settle, wait_until
from tests.harness import BatteryHarness, async_setup_battery

BASE = {"current": 10.0, "cell_voltages": (3.3,) * 8, "voltage": 26.4}
ONE_STEP = {"current": 10.1, "cell_voltages": (3.3,) * 8, "voltage": 26.4}


async def _set_up(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> BatteryHarness:
    """Return a battery that shows `BASE` since its last poll, a second ago."""
    harness = await async_setup_battery(hass, bluetooth_env, battery())
    harness.set_reported(**BASE)
    await asyncio.sleep(STANDING)
    statistics = harness.entry.runtime_data.statistics
    samples = statistics.samples
    await wait_until(lambda: statistics.samples > samples)
    await asyncio.sleep(1)
    assert harness.shown("current") == "10.0"
    return harness


async def test_value_one_step_off_is_shown_within_a_minute_and_a_larger_one_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What the integration calculates with is the last sample."""
    harness = await _set_up(hass, bluetooth_env)
    data = harness.entry.runtime_data
    harness.set_reported(**ONE_STEP)
    await asyncio.sleep(POLL_INTERVAL)
    assert (harness.shown("current"), harness.shown("power")) == ("10.0", "264")
    assert data.coordinator.data.current == 10.1
    await asyncio.sleep(STANDING - POLL_INTERVAL)
    assert (harness.shown("current"), harness.shown("power")) == ("10.1", "267")
    harness.set_reported(**{**ONE_STEP, "current": 10.3})
    await asyncio.sleep(POLL_INTERVAL)
    assert (harness.shown("current"), harness.shown("power")) == ("10.3", "272")


async def test_number_of_a_cell_within_a_step_of_the_highest_stays_for_a_minute(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Of cells with the same voltage the one that is shown is as right as another."""
    harness = await _set_up(hass, bluetooth_env)
    await enable_entities(hass, harness.entry)
    # Home Assistant reloads it once more.
    await asyncio.sleep(STANDING)
    statistics = harness.entry.runtime_data.statistics

    async def shown_with(*millivolts: int) -> str | None:
        """Return what is shown after the next sample with these cells."""
        cells = [3300, *millivolts, *[3300] * (7 - len(millivolts))]
        harness.set_reported(
            **{**BASE, "cell_voltages": tuple(each / 1000 for each in cells)}
        )
        samples = statistics.samples
        await wait_until(lambda: statistics.samples > samples)
        await asyncio.sleep(0)
        return harness.shown("highest_cell")

    assert await shown_with(3303) == "2"
    assert await shown_with(3303, 3304) == "2"
    assert await shown_with(3303, 3305) == "3"
    for _ in range(20):
        assert await shown_with(3305, 3305) == "3"
    found = [await shown_with(3306, 3305) for _ in range(7)]
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == ("3", "2")


async def test_value_one_step_off_is_shown_when_the_next_sample_is_late(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It may be the last one for a long time."""
    harness = await _set_up(hass, bluetooth_env)
    harness.set_reported(**ONE_STEP)
    await asyncio.sleep(POLL_INTERVAL)
    harness.peripheral.faults.drop = FOREVER
    assert harness.shown("current") == "10.0"
    await asyncio.sleep(LATE * POLL_INTERVAL - 2)
    assert harness.shown("current") == "10.0"
    await asyncio.sleep(2)
    assert harness.shown("current") == "10.1"


async def test_value_one_step_off_is_shown_at_once_where_every_change_is_recorded(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also what waits when the option is turned on."""
    harness = await _set_up(hass, bluetooth_env)
    harness.set_reported(**ONE_STEP)
    await asyncio.sleep(POLL_INTERVAL)
    assert harness.shown("current") == "10.0"
    hass.config_entries.async_update_entry(
        harness.entry, options={CONF_RECORD_EVERY_CHANGE: True}
    )
    await asyncio.sleep(0)
    assert harness.shown("current") == "10.1"
    harness.set_reported(**BASE)
    await asyncio.sleep(POLL_INTERVAL)
    assert harness.shown("current") == "10.0"


async def test_value_of_a_bank_waits_unless_every_change_of_it_is_recorded(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One step of a battery is one of the bank."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    first, second = bank.batteries
    for each in (first, second):
        each.set_reported(current=5.0, cell_voltages=(3.3,) * 4, voltage=13.2)
    await asyncio.sleep(STANDING)
    assert bank.shown("current") == "10.0"
    first.set_reported(current=5.1, cell_voltages=(3.3,) * 4, voltage=13.2)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert bank.shown("current") == "10.0"
    assert bank.coordinator.data.current == 10.1
    await asyncio.sleep(STANDING - POLL_INTERVAL)
    assert bank.shown("current") == "10.1"
    second.set_reported(current=5.1, cell_voltages=(3.3,) * 4, voltage=13.2)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert bank.shown("current") == "10.1"
    hass.config_entries.async_update_entry(
        bank.entry, options={CONF_RECORD_EVERY_CHANGE: True}
    )
    await settle(hass)
    assert bank.shown("current") == "10.2"
    assert first.shown("current") == "5.1"
    assert second.shown("current") == "5.0"


async def test_value_of_a_bank_is_shown_when_the_samples_of_all_members_are_late(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No other one comes with which it might change."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for each in bank.batteries:
        each.set_reported(current=5.0, cell_voltages=(3.3,) * 4, voltage=13.2)
    await asyncio.sleep(STANDING)
    bank.batteries[0].set_reported(current=5.1, cell_voltages=(3.3,) * 4, voltage=13.2)
    await asyncio.sleep(POLL_INTERVAL + 1)
    for each in bank.batteries:
        each.peripheral.faults.drop = FOREVER
    assert bank.shown("current") == "10.0"
    await asyncio.sleep(LATE * POLL_INTERVAL)
    assert bank.shown("current") == "10.1"
