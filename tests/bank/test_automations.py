"""Triggers, conditions and actions with a bank, or a place where one is, as target."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    area_registry as ar,
    condition,
    device_registry as dr,
    trigger,
)

from .harness import async_setup_bank, packs
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.automations.helpers import CONDITIONS, TRIGGERS, automate
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import device_of, settle, wait_for_poll

# What a bank has an entity of its own for.
COLD_TRIGGERS = {"charging_blocked_by_cold", "charging_no_longer_blocked_by_cold"}
COLD_CONDITIONS = {"is_charging_blocked_by_cold"}
COLD = {"probe_temperatures": (0, 4)}


async def test_too_cold_trigger_for_an_area_with_a_bank_fires_once_for_each_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An area with a bank and its batteries reports each battery once."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    garage = ar.async_get(hass).async_create("Garage")
    attic = ar.async_get(hass).async_create("Attic")
    devices = [device_of(hass, battery.address) for battery in bank.batteries]
    for device in (bank.device, devices[0]):
        dr.async_get(hass).async_update_device(device.id, area_id=garage.id)
    dr.async_get(hass).async_update_device(devices[1].id, area_id=attic.id)
    every = [bank.device.id, *(device.id for device in devices)]
    targets: dict[str, dict[str, Any]] = {
        "device": {"device_id": bank.device.id},
        "entity": {"entity_id": bank.entity_id("too_cold_to_charge")},
        "bank and batteries": {"device_id": every},
        # Of the second battery, which is elsewhere, only the bank can tell there.
        "area": {"area_id": garage.id},
    }
    runs = await automate(
        hass,
        {
            name: {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.charging_blocked_by_cold",
                        "target": target,
                    }
                ]
            }
            for name, target in targets.items()
        }
        | {
            f"asked {name}": {
                "triggers": [{"trigger": "event", "event_type": "ask"}],
                "conditions": [
                    {
                        "condition": f"{DOMAIN}.is_charging_blocked_by_cold",
                        "target": target,
                    }
                ],
            }
            for name, target in targets.items()
        },
    )
    hass.bus.async_fire("ask")
    await asyncio.sleep(0.1)
    assert not runs
    bank.batteries[1].set_reported(**COLD)
    await wait_for_poll()
    assert runs == dict.fromkeys(targets, 1)
    bank.batteries[0].set_reported(**COLD)
    await wait_for_poll()
    # The bank is as cold as before; the battery is news to those who watch it.
    assert runs == {"device": 1, "entity": 1, "bank and batteries": 2, "area": 2}
    runs.clear()
    hass.bus.async_fire("ask")
    await asyncio.sleep(0.1)
    assert runs == {f"asked {name}": 1 for name in targets}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("platform", name) for name in sorted(TRIGGERS)),
        *(("condition", name) for name in sorted(CONDITIONS)),
    ],
)
async def test_automation_that_a_bank_cannot_satisfy_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, kind: str, name: str
) -> None:
    """An automation that can never run must not be saved without a word."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    config = {
        kind: f"{DOMAIN}.{name}",
        "target": {"device_id": bank.device.id},
    }

    async def validate() -> None:
        if kind == "platform":
            await trigger.async_validate_trigger_config(hass, [config])
        else:
            await condition.async_validate_conditions_config(hass, [config])

    if name in COLD_TRIGGERS | COLD_CONDITIONS:
        await validate()
        return
    with pytest.raises(HomeAssistantError) as refused:
        await validate()
    assert refused.value.translation_key == "bank_target"
    assert refused.value.translation_placeholders == {"name": "House bank"}


@pytest.mark.parametrize("by", ["device", "entity"])
async def test_release_of_a_bank_releases_its_batteries(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, by: str
) -> None:
    """All of them or, where one cannot be, none."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    target = (
        {"device_id": bank.device.id}
        if by == "device"
        else {"entity_id": bank.entity_id("state_of_charge")}
    )
    first, second = bank.batteries
    await second.unload()
    with pytest.raises(ServiceValidationError) as refused:
        await hass.services.async_call(
            DOMAIN, "release_connection", target, blocking=True
        )
    assert refused.value.translation_key == "not_loaded"
    assert not first.connection.is_released
    await second.setup()
    await hass.services.async_call(DOMAIN, "release_connection", target, blocking=True)
    await settle(hass)
    assert first.connection.is_released
    assert second.connection.is_released


async def test_release_of_a_bank_with_a_disabled_battery_succeeds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A disabled battery has no connection; as a target of its own, it is named."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    first, second, third = bank.batteries
    await third.set_disabled(True)
    await bank.release()
    assert first.connection.is_released
    assert second.connection.is_released
    with pytest.raises(ServiceValidationError) as refused:
        await third.release()
    assert refused.value.translation_key == "not_loaded"
