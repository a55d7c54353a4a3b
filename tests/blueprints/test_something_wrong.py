"""The blueprint "tell me when something is wrong"."""

from __future__ import annotations

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .harness import MINUTE, PHONE, BatteryScenarioHarness
from custom_components.voltgo_vlrv.vlrv.faults import Protections

BLUEPRINT = "something_wrong"


async def automate(rv: BatteryScenarioHarness, **inputs: Any) -> None:
    """Use the blueprint with the battery as it is offered, and a phone."""
    found = er.async_get(rv.hass).async_get(rv.entity("state_of_charge"))
    assert found is not None
    assert found.device_id is not None
    await rv.automate(
        BLUEPRINT, batteries=[found.device_id], notify_targets=[PHONE], **inputs
    )


async def test_fault_is_told_in_words_and_again_when_it_is_over(
    rv: BatteryScenarioHarness,
) -> None:
    """With the battery's name, on the phone and in Home Assistant."""
    await automate(rv)
    await rv.report(protection=int(Protections.SHORT_CIRCUIT))
    await asyncio.sleep(5)
    name = rv.pack.name
    assert rv.messages == [f"{name} reports a fault: Short-circuit protection."]
    assert rv.shown_here() == {name: rv.messages[0]}
    await rv.report(protection=0)
    await asyncio.sleep(5)
    assert rv.messages[1:] == [f"{name}: a fault is over. Active faults: None."]
    assert rv.shown_here() == {name: rv.messages[1]}


async def test_low_cold_and_lost_battery_are_told(rv: BatteryScenarioHarness) -> None:
    """Each once, and each when it is over."""
    await automate(rv, lost_for={"minutes": 10})
    name = rv.pack.name
    await rv.report(state_of_charge=15)
    await asyncio.sleep(5)
    await rv.report(state_of_charge=60)
    await asyncio.sleep(5)
    assert rv.messages == [f"{name} is low.", f"{name} is no longer low."]
    rv.messages.clear()
    await rv.report(probe_temperatures=(-5.0, -5.0))
    await asyncio.sleep(5)
    await rv.report(probe_temperatures=(20.0, 20.0))
    await asyncio.sleep(5)
    assert rv.messages == [
        f"{name} is too cold to charge.",
        f"{name} is warm enough to charge again.",
    ]
    rv.messages.clear()
    await rv.vanish()
    await asyncio.sleep(15 * MINUTE)
    assert rv.messages == [f"{name} cannot be reached."]
    await rv.return_()
    await asyncio.sleep(5)
    assert rv.messages[1:] == [f"{name} can be reached again."]


async def test_box_that_is_not_ticked_tells_nothing(
    rv: BatteryScenarioHarness,
) -> None:
    """The fault is told, its end and a low battery are not."""
    await automate(rv, tell_low=False, tell_over=False, show_here=False)
    await rv.report(state_of_charge=15)
    await asyncio.sleep(5)
    assert rv.messages == []
    await rv.report(protection=int(Protections.SHORT_CIRCUIT))
    await asyncio.sleep(5)
    await rv.report(protection=0)
    await asyncio.sleep(5)
    assert len(rv.messages) == 1
    assert rv.shown_here() == {}


def test_form_offers_batteries_only(
    hass: HomeAssistant, rv: BatteryScenarioHarness
) -> None:
    """By the event that only a battery has."""
    events = [
        entity
        for entity in er.async_get(hass).entities.values()
        if entity.platform == "voltgo_vlrv" and entity.domain == "event"
    ]
    devices = {entity.device_id for entity in events}
    assert len(devices) == 1
    (device_id,) = devices
    assert device_id is not None
    device = dr.async_get(hass).async_get(device_id)
    assert device is not None
    assert device.name == rv.pack.name
