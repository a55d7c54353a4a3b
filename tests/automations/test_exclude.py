"""Targets from which a battery is excluded, in an action, a trigger and a condition."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, device_registry as dr, target

from .helpers import automate
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, device_of, hold_by_other_device
from tests.harness import async_setup_battery

pytestmark = pytest.mark.skipif(
    not hasattr(target, "async_extract_excluded_entity_ids"),
    reason="a target has `exclude` since Home Assistant 2026.11",
)


async def test_excluded_battery_of_two_in_one_area_does_not_count(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Of two batteries in the garage, the second one is excluded each time."""
    area = ar.async_get(hass).async_create("Garage")
    packs = [battery(), battery(address="A4:C1:37:00:00:99")]
    harnesses = [await async_setup_battery(hass, bluetooth_env, pack) for pack in packs]
    devices = [device_of(hass, pack.address) for pack in packs]
    for device in devices:
        dr.async_get(hass).async_update_device(device.id, area_id=area.id)
    whole: dict[str, Any] = {"area_id": area.id}
    chosen = whole | {"exclude": {"device_id": devices[1].id}}
    runs = await automate(
        hass,
        {
            f"{kind} of {name}": automation
            for name, place in (("both", whole), ("one", chosen))
            for kind, automation in {
                "trigger": {
                    "triggers": [
                        {
                            "trigger": f"{DOMAIN}.connection_lost",
                            "target": place,
                            "options": {"for": {"seconds": 1}},
                        }
                    ]
                },
                "condition": {
                    "triggers": [{"trigger": "event", "event_type": "ask"}],
                    "conditions": [
                        {
                            "condition": f"{DOMAIN}.is_reachable",
                            "target": place,
                            "options": {"behavior": "all"},
                        }
                    ],
                },
            }.items()
        },
    )
    await hold_by_other_device(harnesses[1].peripheral)
    await asyncio.sleep(120)
    assert dict(runs) == {"trigger of both": 1}
    hass.bus.async_fire("ask")
    await asyncio.sleep(1)
    assert dict(runs) == {"trigger of both": 1, "condition of one": 1}

    await hass.services.async_call(DOMAIN, "release_connection", chosen, blocking=True)
    released = [
        harness.entry.runtime_data.connection.is_released for harness in harnesses
    ]
    assert released == [True, False]
