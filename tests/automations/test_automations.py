"""Home Assistant's own battery triggers work on the device, without templates."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeassistant.components.automation import DOMAIN as AUTOMATION
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component

from custom_components.voltgo_vlrv.const import DOMAIN
from tests.battery.firmware_helpers import upload
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    add_discovered,
    battery,
    device_of,
    entity_id,
    value,
    wait_until,
)


async def automate(
    hass: HomeAssistant, device: str, trigger: dict[str, Any]
) -> list[str]:
    """Make an automation with a trigger; return what it has done.

    The target is the device, unless the trigger has one.
    """
    done: list[str] = []

    @callback
    def note(event: Event[Any]) -> None:
        done.append(event.data["trigger"])

    hass.bus.async_listen("it_happened", note)
    name = trigger["trigger"]
    assert await async_setup_component(
        hass,
        AUTOMATION,
        {
            AUTOMATION: {
                "alias": "test",
                "triggers": [{"target": {"device_id": device}, **trigger}],
                "actions": [{"event": "it_happened", "event_data": {"trigger": name}}],
            }
        },
    )
    await hass.async_block_till_done()
    return done


@pytest.mark.parametrize(
    ("trigger", "before", "after"),
    [
        (
            {"trigger": "battery.became_low"},
            {"state_of_charge": 50},
            {"state_of_charge": 19},
        ),
        (
            {"trigger": "battery.no_longer_low"},
            {"state_of_charge": 19},
            {"state_of_charge": 30},
        ),
        (
            {"trigger": "battery.started_charging"},
            {"current": 0.0, "operating_state": 0},
            {"current": 12.0, "operating_state": 1},
        ),
        (
            {"trigger": "battery.stopped_charging"},
            {"current": 12.0, "operating_state": 1},
            {"current": -3.0, "operating_state": 2},
        ),
        (
            {
                "trigger": "battery.level_changed",
                "options": {"threshold": {"type": "any"}},
            },
            {"state_of_charge": 50},
            {"state_of_charge": 49},
        ),
        (
            {
                "trigger": "battery.level_crossed_threshold",
                "options": {"threshold": {"type": "below", "value": {"number": 30}}},
            },
            {"state_of_charge": 30},
            {"state_of_charge": 29},
        ),
        (
            {
                "trigger": "temperature.crossed_threshold",
                # Of the battery's temperatures, the first that crosses.
                "options": {
                    "behavior": "first",
                    "threshold": {
                        "type": "below",
                        "value": {"number": 3, "unit_of_measurement": "°C"},
                    },
                },
            },
            {"probe_temperatures": (3, 9), "max_cell_temperature": 9},
            {"probe_temperatures": (2, 9), "max_cell_temperature": 9},
        ),
    ],
    ids=lambda item: item.get("trigger", ""),
)
async def test_battery_triggers_of_home_assistant_at_a_change_fire_once(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    trigger: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """They apply to the device as a whole, and not before a change."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(pack.reported(), **before)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    done = await automate(hass, device_of(hass, pack.address).id, trigger)
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert done == []
    pack.override = replace(pack.reported(), **after)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert done == [trigger["trigger"]]
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert len(done) == 1


async def test_event_of_a_protection_that_changes_fires_a_state_trigger(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each fault and each way has an event type of its own."""
    pack = battery("idle")
    pack.hold = True
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    done = await automate(
        hass,
        device_of(hass, pack.address).id,
        {
            "trigger": "event.received",
            "options": {"event_type": ["charge_utp_tripped"]},
        },
    )
    pack.override = replace(pack.reported(), protection=0x0800)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert done == []
    pack.override = replace(pack.reported(), protection=0x0C00)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert done == ["event.received"]


async def test_update_trigger_after_a_firmware_upload_fires(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Its target is the entity: Home Assistant looks for no updates of a device."""
    pack = battery("idle")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await asyncio.sleep(5)
    done = await automate(
        hass,
        device_of(hass, pack.address).id,
        {
            "trigger": "update.became_available",
            "target": {
                "entity_id": entity_id(hass, pack.address, "bms_firmware", "update")
            },
        },
    )
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert done == []
    await upload(hass, entry, tmp_path)
    assert done == ["update.became_available"]


async def test_threshold_trigger_after_an_absence_does_not_fire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Unavailable and back is no crossing."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(pack.reported(), state_of_charge=10)
    peripheral = await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    await asyncio.sleep(5)
    done = await automate(
        hass,
        device_of(hass, pack.address).id,
        {
            "trigger": "battery.level_crossed_threshold",
            "options": {"threshold": {"type": "below", "value": {"number": 30}}},
        },
    )
    await peripheral.silence()
    peripheral.drop_connection()
    await wait_until(
        lambda: value(hass, pack.address, "state_of_charge") == "unavailable", 120
    )
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, "state_of_charge") == "10", 120)
    await asyncio.sleep(POLL_INTERVAL)
    assert done == []


async def test_actions_without_an_entry_are_registered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An automation that uses them is valid before the first battery is added."""
    assert await async_setup_component(hass, DOMAIN, {})
    integration = await async_get_integration(hass, DOMAIN)
    declared = yaml.safe_load((integration.file_path / "services.yaml").read_text())
    assert hass.services.async_services_for_domain(DOMAIN).keys() == declared.keys()
