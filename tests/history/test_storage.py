"""What a battery in storage needs, and how the select puts it there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.connection import ConnectionMode
from custom_components.voltgo_vlrv.const import MAX_INTERVAL, POLL_INTERVAL
from custom_components.voltgo_vlrv.history.storage import storage_advice
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, entity_id, value, wait_until
from tests.harness import async_setup_battery
from tests.history.common import HOUR
from tests.vlrv.samples import status


@pytest.mark.parametrize(
    ("charge", "temperatures", "before", "due", "expected"),
    [
        (60, (20, 22), None, False, "fine"),
        (60, (20, 22), None, True, "recharge_due"),
        (48, (20, 22), "fine", False, "fine"),
        (47, (20, 22), "fine", False, "charge"),
        (49, (20, 22), "charge", False, "charge"),
        (50, (20, 22), "charge", False, "fine"),
        (72, (20, 22), "fine", False, "fine"),
        (73, (20, 22), "fine", False, "discharge"),
        (71, (20, 22), "discharge", False, "discharge"),
        (70, (20, 22), "discharge", False, "fine"),
        (60, (20, 38), "fine", False, "too_warm"),
        (60, (20, 36), "too_warm", False, "too_warm"),
        (60, (20, 35), "too_warm", False, "fine"),
        (30, (20, 38), "fine", False, "too_warm"),
        (60, (7, 12), "fine", False, "too_cold"),
        (60, (8, 12), "fine", False, "fine"),
        (60, (9, 12), "too_cold", False, "too_cold"),
        (30, (5, 12), "fine", False, "charge"),
        (60, (None, None), None, False, "fine"),
    ],
)
def test_storage_advice_is_that_of_the_manual(
    charge: int,
    temperatures: tuple[int | None, ...],
    before: str | None,
    expected: str,
    *,
    due: bool,
) -> None:
    """The most urgent first, and none that alternates at a limit."""
    sample = status(
        state_of_charge=charge,
        remaining_capacity=float(charge),
        probe_temperatures=temperatures,
    )
    assert storage_advice(sample, before, recharge_is_due=due) == expected


async def test_battery_put_into_storage_is_read_each_hour(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With a connection for each reading, until it is used again."""
    pack = battery("idle", state_of_charge=90)
    harness = await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    data: Any = harness.entry.runtime_data

    async def use(option: str) -> None:
        select = entity_id(hass, pack.address, "usage", "select")
        await hass.services.async_call(
            "select",
            "select_option",
            {"entity_id": select, "option": option},
            blocking=True,
        )
        await asyncio.sleep(60)
        assert value(hass, pack.address, "usage", "select") == option

    assert value(hass, pack.address, "storage_advice") == "in_use"
    await use("stored")
    assert data.options.interval == MAX_INTERVAL
    assert data.connection.mode is ConnectionMode.EACH_POLL
    assert not data.client.is_connected
    assert value(hass, pack.address, "storage_advice") == "discharge"
    polls = data.statistics.polls
    await asyncio.sleep(3 * HOUR)
    assert 2 <= data.statistics.polls - polls <= 4
    # The last values stand between two readings.
    assert value(hass, pack.address, "state_of_charge") == "90"

    await use("in_use")
    assert data.options.interval == POLL_INTERVAL
    assert data.connection.mode is ConnectionMode.AUTOMATIC
    await wait_until(lambda: bool(data.client.is_connected), 60)
    assert value(hass, pack.address, "storage_advice") == "in_use"
