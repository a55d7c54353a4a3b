"""Batteries that cannot be reached take nothing from the others."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.core import HomeAssistant

from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import set_options, wait_until
from tests.harness import BatteryHarness, async_setup_fleet

POLL = 10.0  # s
MINUTE = 60.0


async def share_of_readings(batteries: list[BatteryHarness], duration: float) -> float:
    """Return the smallest share of the readings due in `duration` s."""
    before = [one.entry.runtime_data.statistics.samples for one in batteries]
    await asyncio.sleep(duration)
    samples = [
        one.entry.runtime_data.statistics.samples - count
        for one, count in zip(batteries, before, strict=True)
    ]
    return min(samples) * POLL / duration


@pytest.mark.parametrize(
    ("connection", "slots", "fault"),
    [
        ("each_poll", 3, "refuses"),
        ("each_poll", 3, "silent"),
        ("automatic", 3, "refuses"),
        ("keep", 6, "refuses"),
    ],
)
async def test_others_two_unreachable_batteries_get_their_readings(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    connection: str,
    slots: int,
    fault: str,
) -> None:
    """95 % of them at least, over the same adapter and in each mode."""
    batteries = await async_setup_fleet(hass, bluetooth_env, 6, {"slots": slots})
    for one in batteries:
        await set_options(hass, one.entry, connection=connection)
    await asyncio.sleep(2 * MINUTE)
    for one in batteries[:2]:
        if fault == "refuses":
            one.peripheral.faults.refuse_connection = FOREVER
        else:
            await one.peripheral.stop()
        one.peripheral.drop_connection()
    for one in batteries:
        one.became_unavailable.clear()
    assert await share_of_readings(batteries[2:], 20 * MINUTE) >= 0.95
    # Each harness sees the entities of all batteries.
    unreachable = ("zt_12v_0_", "zt_12v_1_")
    assert all(
        entity.split(".")[1].startswith(unreachable)
        for entity in batteries[2].became_unavailable
    )
    for one in batteries[:2]:
        one.peripheral.faults.clear()
        await one.peripheral.start()
    await wait_until(
        lambda: all(one.status in {"connected", "idle"} for one in batteries[:2]),
        6 * MINUTE,
    )
