"""Targets whose entity is hidden or disabled: refused, as they would never fire."""

from __future__ import annotations

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    condition,
    config_validation as cv,
    entity_registry as er,
    trigger,
)

from .helpers import COLD, CONNECTION_STATUS, EVENT, FAULTS
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, device_of, entity_id
from tests.harness import async_setup_battery

WATCHED = [
    ("trigger", "protection_tripped", EVENT),
    ("trigger", "charging_blocked_by_cold", COLD),
    ("trigger", "connection_lost", CONNECTION_STATUS),
    ("condition", "is_protection_active", FAULTS),
    ("condition", "is_charging_blocked_by_cold", COLD),
    ("condition", "is_reachable", CONNECTION_STATUS),
]
CHANGES = {
    "hidden": {"hidden_by": er.RegistryEntryHider.USER},
    "disabled": {"disabled_by": er.RegistryEntryDisabler.USER},
}


async def validate(
    hass: HomeAssistant, kind: str, name: str, target: dict[str, str]
) -> None:
    """Check a trigger or a condition, as Home Assistant does when it is saved."""
    config = {kind: f"{DOMAIN}.{name}", "target": target}
    if kind == "trigger":
        await trigger.async_validate_trigger_config(hass, cv.TRIGGER_SCHEMA([config]))
    else:
        await condition.async_validate_condition_config(
            hass, cv.CONDITION_SCHEMA(config)
        )


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("watching", WATCHED)
async def test_target_with_a_hidden_or_disabled_entity_is_refused(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    watching: tuple[str, str, tuple[str, str]],
    change: str,
) -> None:
    """A hidden entity still works where it is chosen itself; a disabled one does not."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    kind, name, (platform, key) = watching
    chosen = entity_id(hass, pack.address, key, platform)
    by_device = {"device_id": device_of(hass, pack.address).id}
    by_entity = {"entity_id": chosen}
    await validate(hass, kind, name, by_device)
    await validate(hass, kind, name, by_entity)

    er.async_get(hass).async_update_entity(chosen, **CHANGES[change])
    with pytest.raises(HomeAssistantError) as caught:
        await validate(hass, kind, name, by_device)
    assert caught.value.translation_key == "hidden_target"
    assert chosen in str(caught.value)
    if change == "hidden":
        await validate(hass, kind, name, by_entity)
        return
    with pytest.raises(HomeAssistantError) as caught:
        await validate(hass, kind, name, by_entity)
    assert caught.value.translation_key == "hidden_target"
