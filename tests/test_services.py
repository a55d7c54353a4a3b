"""Who may call an action, and what the reset of energy totals does."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockUser

from homeassistant.components.sensor.recorder import reset_detected
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser

from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bank.harness import async_setup_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import device_of, settle


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
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    device = (
        bank.device if target == "bank" else device_of(hass, bank.batteries[0].address)
    )
    with pytest.raises(Unauthorized):
        await release(hass, Context(user_id=hass_read_only_user.id), device.id)
    with pytest.raises(UnknownUser):
        await release(hass, Context(user_id="deleted"), device.id)
    connections = [battery.connection for battery in bank.batteries]
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
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    context = Context(user_id=hass_read_only_user.id)

    def allow(*entity_ids: str) -> None:
        policy: dict[str, Any] = {
            "entities": {"entity_ids": dict.fromkeys(entity_ids, True)}
        }
        hass_read_only_user.mock_policy(policy)

    switches = [
        battery.entity_id("bluetooth_connection", "switch")
        for battery in bank.batteries
    ]
    first = device_of(hass, bank.batteries[0].address)
    allow(switches[1], bank.batteries[0].entity_id("state_of_charge"))
    with pytest.raises(Unauthorized):
        await release(hass, context, first.id)
    allow(switches[0])
    with pytest.raises(Unauthorized):
        await release(hass, context, bank.device.id)
    await release(hass, context, first.id)
    assert [battery.connection.is_released for battery in bank.batteries] == [
        True,
        False,
    ]


# --- energy totals --------------------------------------------------------------------


async def reset(
    hass: HomeAssistant, context: Context | None = None, **target: str
) -> None:
    """Call the action for a target."""
    await hass.services.async_call(
        DOMAIN, "reset_energy", target, blocking=True, context=context
    )


async def test_energy_total_that_is_reset_is_a_new_meter_for_the_statistics(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    hass_read_only_user: MockUser,
) -> None:
    """Saved before it is shown; the other total and the bank stay until they are named."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    first = bank.batteries[0]
    history = first.entry.runtime_data.history
    history.energy._totals |= {"charged": 262.0, "discharged": 5.0}
    first.entry.runtime_data.coordinator.async_update_listeners()
    await settle(hass)
    charged = first.entity_id("energy_charged")
    discharged = first.entity_id("energy_discharged")
    of_bank = bank.entity_id("energy_charged")

    def shown(name: str) -> float:
        state = hass.states.get(name)
        assert state is not None
        return float(state.state)

    assert shown(charged) == pytest.approx(262, abs=0.1)
    assert shown(of_bank) == pytest.approx(262, abs=0.1)
    with pytest.raises(Unauthorized):
        await reset(hass, Context(user_id=hass_read_only_user.id), entity_id=charged)
    with pytest.raises(ServiceValidationError):
        await reset(hass, entity_id=first.entity_id("state_of_charge"))
    before = hass.states.get(charged)
    assert before is not None
    await reset(hass, entity_id=charged)
    await settle(hass)
    assert shown(charged) < 0.1
    assert reset_detected(hass, charged, shown(charged), float(before.state), before)
    assert shown(discharged) == pytest.approx(5, abs=0.1)
    assert shown(of_bank) == pytest.approx(262, abs=0.1)
    await reset(hass, device_id=bank.device.id)
    await settle(hass)
    assert shown(of_bank) < 0.1
    assert shown(discharged) == pytest.approx(5, abs=0.1)
    # After a restart neither comes back.
    for item in (bank, first):
        await item.reload()
    await settle(hass)
    assert shown(charged) < 0.1
    assert shown(of_bank) < 0.1
