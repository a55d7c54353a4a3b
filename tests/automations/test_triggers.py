"""Triggers for protections and for cold batteries."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    config_validation as cv,
    entity_registry as er,
    trigger,
)

from .helpers import (
    CHARGE_UTP,
    COLD,
    COLD_PROBES,
    DISCHARGE_UTP,
    EVENT,
    MINUTE,
    SHORT_CIRCUIT,
    WARM_PROBES,
    automate,
    leave,
    once,
    report,
    targets,
    watch,
)
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, device_of, entity_id, value, wait_until
from tests.harness import async_setup_battery

# --- protections ----------------------------------------------------------------------


async def test_tripped_trigger_fires_once_when_a_protection_trips(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One that clears or stays active is not reported."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert not runs
    await report(pack, protection=CHARGE_UTP)
    assert runs == once()
    await asyncio.sleep(3 * POLL_INTERVAL)
    await report(pack, protection=0)
    assert runs == once()


async def test_cleared_trigger_fires_once_when_a_protection_clears(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One that trips is not reported."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    runs = await watch(hass, pack, EVENT, "protection_cleared")
    await report(pack, protection=CHARGE_UTP)
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert not runs
    await report(pack, protection=0)
    assert runs == once()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("protection_tripped", 0, CHARGE_UTP | SHORT_CIRCUIT),
        ("protection_cleared", CHARGE_UTP | SHORT_CIRCUIT, 0),
    ],
)
async def test_protection_trigger_with_selection_ignores_others(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    name: str,
    before: int,
    after: int,
) -> None:
    """One of two that change at once, or an unknown one."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    await report(pack, protection=before)
    runs = await watch(
        hass, pack, EVENT, name, {"protection": ["short_circuit", "unknown_bit"]}
    )
    await report(pack, protection=before ^ DISCHARGE_UTP)
    await report(pack, protection=before)
    assert not runs
    await report(pack, protection=after)
    assert runs == once()
    await report(pack, protection=after ^ 0x8000)
    await report(pack, protection=after)
    assert runs == Counter(dict.fromkeys(once(), 2))


async def test_protection_trigger_with_equal_times_tells_events_apart(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The time does not tell them apart, and a new name is no event."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    entity = entity_id(hass, pack.address, EVENT[1], EVENT[0])
    for attributes in (
        {"event_type": "charge_utp_tripped"},
        {"event_type": "unknown_bit_tripped", "bit": 14},
        {"event_type": "unknown_bit_tripped", "bit": 15},
        {"event_type": "unknown_bit_tripped", "bit": 15, "friendly_name": "New"},
    ):
        hass.states.async_set(entity, "2026-11-24T20:00:00.000+00:00", attributes)
        await hass.async_block_till_done()
    assert runs == Counter(dict.fromkeys(once(), 3))


async def test_tripped_trigger_with_two_protections_at_once_fires_for_each(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also for those without a name."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT | 0xC000)
    assert runs == Counter(dict.fromkeys(once(), 4))


async def test_tripped_trigger_with_an_active_protection_does_not_fire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Neither an absence nor a reload trips it."""
    pack = battery("winter")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    assert value(hass, pack.address, "problem", "binary_sensor") == "on"
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, "voltage") == "unavailable", 120)
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, "voltage") != "unavailable", 120)
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(MINUTE)
    assert value(hass, pack.address, "problem", "binary_sensor") == "on"
    assert not runs


async def test_tripped_trigger_after_an_absence_fires_for_a_new_protection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Is told when it is back."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    await leave(peripheral)
    await report(pack, protection=CHARGE_UTP)
    await asyncio.sleep(2 * MINUTE)
    assert not runs
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, "voltage") != "unavailable", 120)
    await asyncio.sleep(1)
    assert runs == once()


async def test_tripped_trigger_after_a_reload_fires_for_the_next_protection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The restored event is no new one."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await report(pack, protection=CHARGE_UTP)
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(MINUTE)
    assert not runs
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT)
    assert runs == once()


# --- cold -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("charging_blocked_by_cold", WARM_PROBES, COLD_PROBES),
        ("charging_no_longer_blocked_by_cold", COLD_PROBES, WARM_PROBES),
    ],
)
async def test_cold_triggers_fire_once_for_their_direction(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    name: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """Fires once for its own way."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    await report(pack, **before)
    runs = await watch(hass, pack, COLD, name)
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert not runs
    await report(pack, **after)
    assert runs == once()
    await report(pack, **before)
    assert runs == once()
    await report(pack, **after)
    assert runs == Counter(dict.fromkeys(once(), 2))


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("charging_blocked_by_cold", WARM_PROBES, COLD_PROBES),
        ("charging_no_longer_blocked_by_cold", COLD_PROBES, WARM_PROBES),
    ],
)
async def test_cold_triggers_after_an_absence_fire_only_for_a_change(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    name: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """Away and back is no change; back with a change is one."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    await report(pack, **before)
    runs = await watch(hass, pack, COLD, name)

    async def drive_away_and_back(state: dict[str, Any]) -> None:
        await leave(peripheral)
        await report(pack, **state)
        await asyncio.sleep(2 * MINUTE)
        assert value(hass, pack.address, COLD[1], COLD[0]) == "unavailable"
        await peripheral.advertise()
        await wait_until(
            lambda: value(hass, pack.address, "voltage") != "unavailable", 120
        )
        await asyncio.sleep(1)

    await drive_away_and_back(after)
    assert runs == once()
    await drive_away_and_back(after)
    assert runs == once()
    await drive_away_and_back(before)
    assert runs == once()
    await drive_away_and_back(after)
    assert runs == Counter(dict.fromkeys(once(), 2))


async def test_cold_triggers_with_a_new_battery_ignore_its_first_state(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Its first value is no change, the next one is."""
    pack = battery("idle")
    name = pack.name.lower().replace("-", "_").replace(".", "_")
    runs = await automate(
        hass,
        {
            kind: {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.{kind}",
                        "target": {"entity_id": f"{watched[0]}.{name}_{watched[1]}"},
                    }
                ]
            }
            for kind, watched in (
                ("charging_blocked_by_cold", COLD),
                ("protection_tripped", EVENT),
            )
        },
    )
    await async_setup_battery(hass, bluetooth_env, pack)
    assert not runs
    await report(pack, protection=CHARGE_UTP, **COLD_PROBES)
    assert runs == {"charging_blocked_by_cold": 1, "protection_tripped": 1}


async def test_cold_triggers_with_an_unknown_temperature_do_not_fire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Unknown triggers nothing, neither coming nor going."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    await report(pack, **COLD_PROBES)
    runs = await watch(hass, pack, COLD, "charging_blocked_by_cold")
    await report(pack, probe_temperatures=(None, None), max_cell_temperature=None)
    assert value(hass, pack.address, COLD[1], COLD[0]) == "unknown"
    await report(pack, **COLD_PROBES)
    assert value(hass, pack.address, COLD[1], COLD[0]) == "on"
    assert not runs


async def test_cold_trigger_for_all_batteries_fires_at_the_last(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """When the last one of several is too cold."""
    packs = [
        battery(
            "idle",
            name=f"ZT-25.6V100AH-000{number}",
            address=f"A4:C1:37:00:00:0{number}",
        )
        for number in (1, 2)
    ]
    for pack in packs:
        await async_setup_battery(hass, bluetooth_env, pack)
        await report(pack, **WARM_PROBES)
    devices = [device_of(hass, pack.address).id for pack in packs]
    runs = await automate(
        hass,
        {
            behavior: {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.charging_blocked_by_cold",
                        "target": {"device_id": devices},
                        "options": {"behavior": behavior},
                    }
                ]
            }
            for behavior in ("each", "first", "all")
        },
    )
    await report(packs[0], **COLD_PROBES)
    assert runs == {"each": 1, "first": 1}
    await report(packs[1], **COLD_PROBES)
    assert runs == {"each": 2, "first": 1, "all": 1}


async def test_cold_trigger_ignores_other_devices(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A fridge in the same garage is no battery."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    places = targets(hass, pack, COLD)
    registry = er.async_get(hass)
    fridge = registry.async_get_or_create(
        "binary_sensor",
        "fridge",
        "1",
        original_device_class="cold",
        translation_key="too_cold_to_charge",
    )
    registry.async_update_entity(fridge.entity_id, area_id=places["area"]["area_id"])
    runs = await automate(
        hass,
        {
            "garage": {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.charging_blocked_by_cold",
                        "target": places["area"],
                    }
                ]
            }
        },
    )
    for state in ("off", "on"):
        hass.states.async_set(fridge.entity_id, state, {"device_class": "cold"})
        await hass.async_block_till_done()
    assert not runs
    await report(pack, **COLD_PROBES)
    assert runs == {"garage": 1}


@pytest.mark.parametrize("which", ["voltage", "charging"])
async def test_trigger_on_an_unsuitable_entity_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, which: str
) -> None:
    """The message names it, and says what to select instead."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    platform = "sensor" if which == "voltage" else "binary_sensor"
    chosen = entity_id(hass, pack.address, which, platform)
    config = cv.TRIGGER_SCHEMA(
        [
            {
                "trigger": f"{DOMAIN}.protection_tripped",
                "target": {"entity_id": [chosen]},
                "options": {"protection": ["cell_ovp"]},
            }
        ]
    )
    with pytest.raises(HomeAssistantError) as caught:
        await trigger.async_validate_trigger_config(hass, config)
    assert caught.value.translation_domain == DOMAIN
    assert caught.value.translation_key == "wrong_target"
    assert chosen in str(caught.value)
    assert "the device or the area" in str(caught.value)
