"""Time to empty, time to full and stored energy, in Home Assistant."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.history.runtime import MAX_MINUTES, SETTLING
from simulator.battery import SimulatedBattery
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, entity_id, value, wait_until
from tests.harness import async_setup_battery
from tests.history.common import DAY, HOUR, changes_of, true_minutes
from tests.test_coordinator import set_interval

TOLERANCE = 0.07
"""Of a time that is shown: 5 % without news, the rest rounding and steps of 1 Ah."""


def minutes_shown(
    hass: HomeAssistant, pack: SimulatedBattery, key: str
) -> float | None:
    """Return what a time sensor shows, in minutes."""
    state = value(hass, pack.address, key)
    assert state is not None
    assert state != "unavailable"
    return None if state == "unknown" else float(state) * 60


@pytest.mark.parametrize(
    ("preset", "key", "other"),
    [
        ("driving_load", "time_to_empty", "time_to_full"),
        ("solar_charging", "time_to_full", "time_to_empty"),
    ],
)
async def test_runtime_sensors_under_steady_load_are_right(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    preset: str,
    key: str,
    other: str,
) -> None:
    """By the battery's exact charge, for half an hour; the other time is unknown."""
    pack = battery(preset)
    await async_setup_battery(hass, bluetooth_env, pack)
    assert minutes_shown(hass, pack, key) is None
    await asyncio.sleep(SETTLING + POLL_INTERVAL)
    changes = changes_of(hass, entity_id(hass, pack.address, key))
    for _ in range(6):
        shown = minutes_shown(hass, pack, key)
        assert shown == pytest.approx(true_minutes(pack, key), rel=TOLERANCE)
        assert minutes_shown(hass, pack, other) is None
        await asyncio.sleep(300)
    # Of 180 samples.
    assert 1 <= len(changes) <= 10


async def test_runtime_sensors_near_the_end_are_right(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also of the last Ah, in whole minutes."""
    pack = battery("driving_load")
    pack.charge = 3.0 * 3600
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(SETTLING + POLL_INTERVAL)
    while true_minutes(pack, "time_to_empty") > 0.5:
        shown = minutes_shown(hass, pack, "time_to_empty")
        assert shown == pytest.approx(true_minutes(pack, "time_to_empty"), abs=1.6)
        await asyncio.sleep(20)


async def test_runtime_sensors_after_a_change_of_direction_follow_the_next_poll(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No time is left from before."""
    pack = battery("driving_load", current_dead_zone=1.0)
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(2 * SETTLING)
    assert minutes_shown(hass, pack, "time_to_empty") is not None
    pack.demand_current = -0.9
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert minutes_shown(hass, pack, "time_to_empty") is None
    assert minutes_shown(hass, pack, "time_to_full") is None
    pack.demand_current = -20
    await asyncio.sleep(2 * SETTLING)
    shown = minutes_shown(hass, pack, "time_to_empty")
    assert shown == pytest.approx(true_minutes(pack, "time_to_empty"), rel=TOLERANCE)
    pack.demand_current = 20
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert minutes_shown(hass, pack, "time_to_empty") is None
    await asyncio.sleep(2 * SETTLING)
    shown = minutes_shown(hass, pack, "time_to_full")
    assert shown == pytest.approx(true_minutes(pack, "time_to_full"), rel=TOLERANCE)


async def test_runtime_sensors_under_a_noisy_load_change_little(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A third up and down each few seconds: at most 20 % a minute, few lines."""
    pack = battery("driving_load")
    await set_up_noise(hass, bluetooth_env, pack)
    name = entity_id(hass, pack.address, "time_to_empty")
    changes = changes_of(hass, name)
    random = Random(1)
    for _ in range(600):
        pack.demand_current = -20 * (1 + random.uniform(-0.33, 0.33))
        await asyncio.sleep(4)
    assert 2 <= len(changes) <= 30  # of 240 samples
    known = [(time, float(state)) for time, state in changes]
    for number, (time, hours) in enumerate(known):
        for then, before in known[:number]:
            # An estimate is shown until the next one.
            following = known[known.index((then, before)) + 1][0]
            if time - following <= 60:
                assert abs(hours - before) <= 0.2 * before


async def set_up_noise(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Add a battery and wait until it shows how long it lasts."""
    pack.demand_current = -20.0
    await async_setup_battery(hass, bluetooth_env, pack)
    await wait_until(
        lambda: value(hass, pack.address, "time_to_empty") != "unknown", 120
    )


async def test_runtime_sensors_with_an_hourly_interval_are_right(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The time is known with the reading, and right."""
    pack = battery("driving_load")
    pack.demand_current = -2.0
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await set_interval(hass, entry, 3600)
    await asyncio.sleep(30)
    for _ in range(3):
        shown = minutes_shown(hass, pack, "time_to_empty")
        assert shown == pytest.approx(
            true_minutes(pack, "time_to_empty"), rel=TOLERANCE
        )
        await asyncio.sleep(HOUR)
    pack.demand_current = -4.0
    await asyncio.sleep(HOUR)
    shown = minutes_shown(hass, pack, "time_to_empty")
    assert shown == pytest.approx(true_minutes(pack, "time_to_empty"), rel=TOLERANCE)


async def test_runtime_sensors_at_a_very_small_load_are_unknown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Above the cap, the time is unknown."""
    pack = battery("idle", capacity=400.0, demand_current=-1.5)
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(2 * SETTLING)
    assert true_minutes(pack, "time_to_empty") > MAX_MINUTES
    assert minutes_shown(hass, pack, "time_to_empty") is None


async def test_runtime_sensors_without_a_counted_charge_use_the_state_of_charge(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With the full capacity; the stored energy as well."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(
        pack.reported(),
        remaining_capacity=0.0,
        state_of_charge=60,
        current=-10.0,
        operating_state=2,
    )
    await async_setup_battery(hass, bluetooth_env, pack)
    assert value(hass, pack.address, "stored_energy") == "770"
    await asyncio.sleep(2 * SETTLING)
    assert minutes_shown(hass, pack, "time_to_empty") == pytest.approx(360, abs=6)


async def test_runtime_sensors_are_available_while_released_but_not_while_away(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They accompany the values they come from."""
    pack = battery("driving_load")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await asyncio.sleep(2 * SETTLING)
    shown = {
        key: value(hass, pack.address, key)
        for key in ("time_to_empty", "stored_energy")
    }
    assert "unknown" not in shown.values()
    await entry.runtime_data.connection.async_release(timedelta(minutes=15))
    await asyncio.sleep(600)
    assert shown == {key: value(hass, pack.address, key) for key in shown}
    await asyncio.sleep(400)
    again = minutes_shown(hass, pack, "time_to_empty")
    assert again == pytest.approx(true_minutes(pack, "time_to_empty"), rel=TOLERANCE)
    await peripheral.stop()
    await asyncio.sleep(120)
    for key in shown:
        assert value(hass, pack.address, key) == "unavailable"


@pytest.mark.parametrize("jump", [-DAY, DAY])
async def test_runtime_sensors_after_a_clock_change_are_right(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    fast_clock: FastClock,
    jump: float,
) -> None:
    """They use monotonic time."""
    pack = battery("driving_load")
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(2 * SETTLING)
    before = minutes_shown(hass, pack, "time_to_empty")
    fast_clock.epoch += jump
    await asyncio.sleep(30)
    after = minutes_shown(hass, pack, "time_to_empty")
    assert before is not None
    assert after == pytest.approx(before, rel=TOLERANCE)
