"""Targets whose entity is hidden, which still works, or disabled, which is refused."""

from __future__ import annotations

from typing import Any

import pytest

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    condition,
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
    trigger,
)

from .helpers import COLD, CONNECTION_STATUS, EVENT, FAULTS
from custom_components.voltgo_vlrv.automation import battery_entities
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, device_of, entity_id
from tests.harness import BatteryHarness, async_setup_battery

WATCHED = [
    ("trigger", "protection_tripped", EVENT),
    ("trigger", "charging_blocked_by_cold", COLD),
    ("trigger", "connection_lost", CONNECTION_STATUS),
    ("condition", "is_protection_active", FAULTS),
    ("condition", "is_charging_blocked_by_cold", COLD),
    ("condition", "is_reachable", CONNECTION_STATUS),
]


@pytest.fixture
async def one(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> BatteryHarness:
    """Return a battery."""
    return await async_setup_battery(hass, bluetooth_env, battery("idle"))


def targets(hass: HomeAssistant, one: BatteryHarness) -> list[dict[str, str]]:
    """Return the battery as a device, in an area, on a floor and with a label."""
    floor = fr.async_get(hass).async_create("Ground floor")
    area = ar.async_get(hass).async_create("Garage", floor_id=floor.floor_id)
    label = lr.async_get(hass).async_create("Batteries")
    device = device_of(hass, one.pack.address)
    dr.async_get(hass).async_update_device(
        device.id, area_id=area.id, labels={label.label_id}
    )
    return [
        {"device_id": device.id},
        {"area_id": area.id},
        {"floor_id": floor.floor_id},
        {"label_id": label.label_id},
    ]


async def validate(
    hass: HomeAssistant, kind: str, name: str, target: dict[str, str]
) -> Any:
    """Check a trigger or a condition, as Home Assistant does when it is saved."""
    config = {kind: f"{DOMAIN}.{name}", "target": target}
    if kind == "trigger":
        return await trigger.async_validate_trigger_config(
            hass, cv.TRIGGER_SCHEMA([config])
        )
    return await condition.async_validate_condition_config(
        hass, cv.CONDITION_SCHEMA(config)
    )


@pytest.mark.parametrize("watching", WATCHED)
async def test_target_with_a_disabled_entity_is_refused(
    hass: HomeAssistant,
    one: BatteryHarness,
    watching: tuple[str, str, tuple[str, str]],
) -> None:
    """At once, however the battery is selected: the entity would never have a state."""
    kind, name, (platform, key) = watching
    chosen = entity_id(hass, one.pack.address, key, platform)
    selections = [*targets(hass, one), {"entity_id": chosen}]
    for target in selections:
        await validate(hass, kind, name, target)
    er.async_get(hass).async_update_entity(
        chosen, disabled_by=er.RegistryEntryDisabler.USER
    )
    for target in selections:
        with pytest.raises(HomeAssistantError) as caught:
            await validate(hass, kind, name, target)
        assert caught.value.translation_key == "disabled_target"
        assert chosen in str(caught.value)


@pytest.mark.parametrize("watching", WATCHED)
async def test_hidden_entity_of_a_selected_battery_is_watched(
    hass: HomeAssistant,
    one: BatteryHarness,
    watching: tuple[str, str, tuple[str, str]],
) -> None:
    """Any entity that is not hidden stands for its battery."""
    kind, name, (platform, key) = watching
    chosen = entity_id(hass, one.pack.address, key, platform)
    er.async_get(hass).async_update_entity(chosen, hidden_by=er.RegistryEntryHider.USER)
    await validate(hass, kind, name, {"entity_id": chosen})
    for target in targets(hass, one):
        await validate(hass, kind, name, target)
    entry = er.async_get(hass).async_get(chosen)
    assert entry is not None
    found = battery_entities(
        hass, {one.entity_id("voltage")}, platform, str(entry.translation_key)
    )
    assert found == {chosen}


@pytest.mark.parametrize("is_hidden", [False, True])
async def test_condition_on_a_device_with_a_hidden_entity_tells_the_truth(
    hass: HomeAssistant, one: BatteryHarness, is_hidden: bool
) -> None:
    """It was never true, without a word."""
    chosen = one.entity_id("connection_status")
    er.async_get(hass).async_update_entity(
        chosen, hidden_by=er.RegistryEntryHider.USER if is_hidden else None
    )
    await one.wait_connected()
    assert one.shown("voltage") != STATE_UNAVAILABLE
    for target in targets(hass, one):
        config = await validate(hass, "condition", "is_reachable", target)
        check = await condition.async_from_config(hass, config)
        assert check(hass)
