"""Who may call an action."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockUser

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized, UnknownUser

from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.entries import async_batteries
from tests.bank.common import async_setup_bank, device_of_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import device_of, entity_id


async def release(hass: HomeAssistant, context: Context, device_id: str) -> None:
    """Call the action for a device."""
    await hass.services.async_call(
        DOMAIN,
        "release_connection",
        {"device_id": device_id},
        blocking=True,
        context=context,
    )


@pytest.mark.parametrize("target", ["battery", "bank"])
async def test_release_by_a_read_only_user_is_refused(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    hass_read_only_user: MockUser,
    hass_admin_user: MockUser,
    target: str,
) -> None:
    """As the connection switch of the battery refuses it; an administrator may."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    device = (
        device_of_bank(hass, bank)
        if target == "bank"
        else device_of(hass, pair[0].address)
    )
    with pytest.raises(Unauthorized):
        await release(hass, Context(user_id=hass_read_only_user.id), device.id)
    with pytest.raises(UnknownUser):
        await release(hass, Context(user_id="deleted"), device.id)
    connections = [entry.runtime_data.connection for entry in async_batteries(hass)]
    assert not any(connection.is_released for connection in connections)
    await release(hass, Context(user_id=hass_admin_user.id), device.id)
    released = [connection.is_released for connection in connections]
    assert sum(released) == (2 if target == "bank" else 1)


async def test_release_by_a_user_with_one_entity_needs_the_connection_switch(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    hass_read_only_user: MockUser,
) -> None:
    """To control another entity, or the switch of another battery, is not enough."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    context = Context(user_id=hass_read_only_user.id)

    def allow(*entity_ids: str) -> None:
        policy: dict[str, Any] = {
            "entities": {"entity_ids": dict.fromkeys(entity_ids, True)}
        }
        hass_read_only_user.mock_policy(policy)

    switches = [
        entity_id(hass, pack.address, "bluetooth_connection", "switch") for pack in pair
    ]
    first = device_of(hass, pair[0].address)
    allow(switches[1], entity_id(hass, pair[0].address, "state_of_charge"))
    with pytest.raises(Unauthorized):
        await release(hass, context, first.id)
    allow(switches[0])
    with pytest.raises(Unauthorized):
        await release(hass, context, device_of_bank(hass, bank).id)
    await release(hass, context, first.id)
    assert [e.runtime_data.connection.is_released for e in async_batteries(hass)] == [
        True,
        False,
    ]
