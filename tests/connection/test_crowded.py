"""Many batteries on few connection slots of a slow adapter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.core import HomeAssistant

from simulator.bleak_client import VirtualClient
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import issues, wait_until
from tests.harness import async_setup_fleet

MINUTE = 60.0


async def test_sixteen_batteries_on_three_slow_slots_keep_their_values(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each gets its turn, a value stands as long as a round takes, one issue says so."""
    connect = VirtualClient.connect

    async def slow(client: VirtualClient, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(4)
        return await connect(client, *args, **kwargs)

    batteries = await async_setup_fleet(hass, bluetooth_env, 16, {"slots": 3})
    monkeypatch.setattr(VirtualClient, "connect", slow)
    await asyncio.sleep(5 * MINUTE)
    data = [one.entry.runtime_data for one in batteries]
    became_unavailable = batteries[0].became_unavailable
    became_unavailable.clear()
    before = [each.statistics.samples for each in data]
    await asyncio.sleep(10 * MINUTE)
    samples = [
        each.statistics.samples - count
        for each, count in zip(data, before, strict=True)
    ]
    # A round takes about 70 s, and none stays connected at the cost of the others.
    assert min(samples) >= 8, samples
    assert min(samples) >= 0.8 * sum(samples) / len(samples), samples
    assert became_unavailable == []
    assert len(issues(hass)) == 1
    (issue,) = issues(hass, "crowded")
    assert issue.translation_placeholders == {"adapters": "proxy-01"}
    for one in batteries[1:]:
        await one.entry.runtime_data.connection.async_release()
    await wait_until(lambda: not issues(hass, "crowded"), 5 * MINUTE)
