"""The blueprint "battery cannot be reached"."""

from __future__ import annotations

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant

from .harness import MINUTE, OPTIONS, PHONE, SOON, BatteryScenarioHarness
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, battery, entity_id

BLUEPRINT = "battery_unreachable"
FOR = 10 * MINUTE
# So long the last values stand, at most.
KEPT = 3 * MINUTE


async def automate(rv: BatteryScenarioHarness, *more: str, **inputs: Any) -> None:
    """Use the blueprint with what a test needs."""
    await rv.automate(
        BLUEPRINT,
        batteries=[rv.entity("state_of_charge"), *more],
        missing_for={"minutes": 10},
        notify_targets=[PHONE],
        **inputs,
    )


async def test_notification_of_a_lost_battery_is_sent_once_until_it_returns(
    rv: BatteryScenarioHarness,
) -> None:
    """And again when it is lost again."""
    await automate(rv)
    await rv.vanish()
    await asyncio.sleep(FOR - MINUTE)
    assert rv.messages == []
    await asyncio.sleep(MINUTE + SOON)
    (message,) = rv.messages
    assert message.startswith(
        f"{rv.pack.name} cannot be reached. It may be out of range"
    )
    assert list(rv.shown_here()) == [rv.pack.name]
    await asyncio.sleep(3 * FOR)
    assert len(rv.messages) == 1
    await rv.return_()
    await asyncio.sleep(SOON)
    await rv.vanish()
    await asyncio.sleep(FOR + SOON)
    assert len(rv.messages) == 2


async def test_notification_of_a_short_loss_is_not_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """However often there is one."""
    await automate(rv)
    for _ in range(3):
        await rv.vanish()
        await asyncio.sleep(FOR / 2)
        await rv.return_()
        await asyncio.sleep(MINUTE)
    assert rv.messages == []


async def test_notification_of_two_lost_batteries_is_sent_for_each(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, rv: BatteryScenarioHarness
) -> None:
    """By its name, the second one while the first is still missing."""
    other = battery("solar_charging")
    peripheral = await bluetooth_env.add_battery(other)
    await add_discovered(hass, other.address)
    await automate(rv, entity_id(hass, other.address, "state_of_charge"))
    await rv.vanish()
    await asyncio.sleep(FOR + SOON)
    assert [text.split(" cannot")[0] for text in rv.messages] == [rv.pack.name]
    await peripheral.stop()
    await asyncio.sleep(KEPT + FOR + SOON)
    assert [text.split(" cannot")[0] for text in rv.messages] == [
        rv.pack.name,
        other.name,
    ]
    assert set(rv.shown_here()) == {rv.pack.name, other.name}


async def test_notification_of_a_released_battery_is_not_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """The switch shows that the user wants it so."""
    switch = rv.entity("bluetooth_connection", "switch")
    await automate(rv, connections=[switch])
    await rv.vanish()
    await rv.hass.services.async_call(
        "switch", "turn_off", {"entity_id": switch}, blocking=True
    )
    await asyncio.sleep(2 * FOR)
    assert rv.messages == []
    await rv.hass.services.async_call(
        "switch", "turn_on", {"entity_id": switch}, blocking=True
    )
    await asyncio.sleep(SOON)
    assert len(rv.messages) == 1


async def test_notification_of_a_lost_battery_with_values_is_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """The user may let values stay available for long."""
    await rv.enable_all()
    (entry,) = rv.hass.config_entries.async_entries("voltgo_vlrv")
    rv.hass.config_entries.async_update_entry(
        entry, options=OPTIONS | {"max_age": 86400}
    )
    await asyncio.sleep(MINUTE)
    await automate(rv, last_updates=[rv.entity("last_update")], too_old={"minutes": 20})
    await rv.peripheral.stop()
    await asyncio.sleep(15 * MINUTE)
    assert rv.messages == []
    await asyncio.sleep(5 * MINUTE + SOON)
    assert rv.shows("state_of_charge") == "60"
    assert len(rv.messages) == 1


async def test_notification_after_a_restart_is_sent_again(
    rv: BatteryScenarioHarness,
) -> None:
    """A battery that is unavailable from the start never changes to it."""
    await automate(rv)
    await rv.vanish()
    await asyncio.sleep(FOR / 2)
    await rv.stop()
    await rv.start()
    await asyncio.sleep(FOR + SOON)
    assert len(rv.messages) == 1
