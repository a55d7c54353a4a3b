"""Entities whose entity ID the user changes while they are shown."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity, entity_registry as er
from homeassistant.helpers.entity_platform import async_get_platforms

from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bank.harness import async_setup_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, battery, entity_id

ADD_METHODS = {
    "async_prepare_to_add_to_hass",
    "async_added_to_hass",
    "async_will_remove_from_hass",
}


async def test_entity_class_that_subscribes_handles_a_new_entity_id(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Otherwise Home Assistant removes and adds again, and from 2027.11 on refuses."""
    await async_setup_bank(hass, bluetooth_env, packs(2))
    classes = {
        type(shown)
        for platform in async_get_platforms(hass, DOMAIN)
        for shown in platform.entities.values()
    }
    assert len(classes) > 10
    ours = {
        base
        for kind in classes
        for base in kind.__mro__
        if base.__module__.startswith("custom_components.")
    }
    assert [
        base.__qualname__
        for base in ours
        if ADD_METHODS & vars(base).keys()
        and "async_entity_id_changed" not in vars(base)
    ] == []
    # The rule of Home Assistant itself, where it has one.
    requires_readd = getattr(entity, "_entity_class_requires_readd", lambda _: False)
    assert [kind.__qualname__ for kind in classes if requires_readd(kind)] == []


@pytest.mark.parametrize(
    ("key", "platform"),
    [
        ("power", "sensor"),
        ("energy_discharged", "sensor"),
        ("connection_status", "sensor"),
        ("bluetooth_connection", "switch"),
    ],
)
async def test_entity_with_a_new_entity_id_goes_on_there(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, key: str, platform: str
) -> None:
    """The value is there at once, and follows the battery and the connection."""
    pack = battery("driving_load", demand_current=-40.0)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    await asyncio.sleep(60)
    before = entity_id(hass, pack.address, key, platform)
    shown = hass.states.get(before)
    assert shown is not None
    renamed = f"{platform}.renamed"
    er.async_get(hass).async_update_entity(before, new_entity_id=renamed)
    await hass.async_block_till_done()
    assert hass.states.get(before) is None
    state = hass.states.get(renamed)
    assert state is not None
    assert state.state == shown.state
    pack.demand_current = -20.0
    await asyncio.sleep(300)
    state = hass.states.get(renamed)
    assert state is not None
    if platform == "sensor" and key != "connection_status":
        assert abs(float(state.state)) > 0
        assert state.state != shown.state
        return
    switch = entity_id(hass, pack.address, "bluetooth_connection", "switch")
    await hass.services.async_call(
        "switch", "turn_off", {"entity_id": switch}, blocking=True
    )
    state = hass.states.get(renamed)
    assert state is not None
    assert shown.state in (STATE_ON, "connected")
    assert state.state in (STATE_OFF, "released")
