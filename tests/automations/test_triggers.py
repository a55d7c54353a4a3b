"""Triggers and conditions of the integration, in real automations, without templates.

Each is tried with everything that the automation editor can take as a target at once:
a target that is missing in the answer was overlooked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from homeassistant.components.automation import DOMAIN as AUTOMATION
from homeassistant.components.websocket_api.automation import (
    async_get_conditions_for_target,
    async_get_triggers_for_target,
)
from homeassistant.core import Event, HomeAssistant, callback
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
from homeassistant.setup import async_setup_component

from custom_components.voltgo_vlrv.automation import PROTECTION_KEYS
from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, device_of, entity_id, value, wait_until
from tests.harness import async_setup_battery

MINUTE = 60.0  # s
CHARGE_UTP = 0x0400
DISCHARGE_UTP = 0x0800
SHORT_CIRCUIT = 0x2000

TRIGGERS = {
    "protection_tripped", "protection_cleared", "charging_blocked_by_cold",
    "charging_no_longer_blocked_by_cold", "connection_lost", "connection_restored",
}  # fmt: skip
CONDITIONS = {
    "is_protection_active", "is_charging_blocked_by_cold", "is_reachable",
    "is_data_up_to_date",
}  # fmt: skip
# What each looks at, by platform and key.
EVENT = ("event", "protection")
COLD = ("binary_sensor", "too_cold_to_charge")
LINK = ("sensor", "connection_status")
FAULTS = ("sensor", "active_faults")


def targets(
    hass: HomeAssistant, pack: SimulatedBattery, watched: tuple[str, str]
) -> dict[str, dict[str, str]]:
    """Put the battery into the garage, and return all that leads to it."""
    floor = fr.async_get(hass).async_create("Ground floor")
    area = ar.async_get(hass).async_create("Garage", floor_id=floor.floor_id)
    label = lr.async_get(hass).async_create("House batteries")
    device = device_of(hass, pack.address)
    dr.async_get(hass).async_update_device(
        device.id, area_id=area.id, labels={label.label_id}
    )
    platform, key = watched
    return {
        "entity": {"entity_id": entity_id(hass, pack.address, key, platform)},
        "device": {"device_id": device.id},
        "area": {"area_id": area.id},
        "floor": {"floor_id": floor.floor_id},
        "label": {"label_id": label.label_id},
    }


def once() -> Counter[str]:
    """Return what is expected when each of the targets has led to one run."""
    return Counter(("entity", "device", "area", "floor", "label"))


async def automate(
    hass: HomeAssistant, automations: dict[str, dict[str, Any]]
) -> Counter[str]:
    """Make automations that count how often they ran, by their names."""
    runs: Counter[str] = Counter()

    @callback
    def note(event: Event[Any]) -> None:
        runs[event.data["name"]] += 1

    hass.bus.async_listen("it_happened", note)
    assert await async_setup_component(
        hass,
        AUTOMATION,
        {
            AUTOMATION: [
                {
                    "alias": name,
                    "mode": "parallel",
                    "actions": [{"event": "it_happened", "event_data": {"name": name}}],
                    **automation,
                }
                for name, automation in automations.items()
            ]
        },
    )
    await hass.async_block_till_done()
    assert len(hass.states.async_entity_ids(AUTOMATION)) == len(automations)
    for entity in hass.states.async_all(AUTOMATION):
        assert entity.state == "on", entity.entity_id  # not refused
    return runs


async def watch(
    hass: HomeAssistant,
    pack: SimulatedBattery,
    watched: tuple[str, str],
    name: str,
    options: dict[str, Any] | None = None,
) -> Counter[str]:
    """Return how often a trigger fires, for each kind of target."""
    return await automate(
        hass,
        {
            kind: {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.{name}",
                        "target": target,
                        "options": options or {},
                    }
                ]
            }
            for kind, target in targets(hass, pack, watched).items()
        },
    )


async def ask(
    hass: HomeAssistant,
    pack: SimulatedBattery,
    watched: tuple[str, str],
    name: str,
    options: dict[str, Any] | None = None,
) -> Any:
    """Return a function that tells whether a condition holds, for each target."""
    runs = await automate(
        hass,
        {
            kind: {
                "triggers": [{"trigger": "event", "event_type": "ask"}],
                "conditions": [
                    {
                        "condition": f"{DOMAIN}.{name}",
                        "target": target,
                        "options": options or {},
                    }
                ],
            }
            for kind, target in targets(hass, pack, watched).items()
        },
    )

    async def holds() -> bool:
        runs.clear()
        hass.bus.async_fire("ask")
        await asyncio.sleep(0.1)
        assert runs in (Counter(), once())
        return bool(runs)

    return holds


async def report(pack: SimulatedBattery, **state: Any) -> None:
    """Have the battery report this from now on, and let it be read."""
    pack.hold = True
    pack.override = replace(pack.reported(), **state)
    # One that was just given another beat among the others waits half as long again.
    await asyncio.sleep(1.5 * POLL_INTERVAL + 1)


async def leave(peripheral: Peripheral) -> None:
    """Drive the battery out of range."""
    await peripheral.silence()
    peripheral.drop_connection()


COLD_PROBES = {"probe_temperatures": (-3, -2), "max_cell_temperature": -2}
WARM_PROBES = {"probe_temperatures": (8, 9), "max_cell_temperature": 9}


# --- protections ------------------------------------------------------------------------


async def test_a_protection_that_trips(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires once, and not for what clears, nor for what goes on."""
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


async def test_a_protection_that_clears(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires once, and not for what trips."""
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
async def test_only_the_protections_that_were_chosen(
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


async def test_two_protections_with_the_same_time(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Their time does not tell them apart, nor does a new name make one an event."""
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


async def test_two_protections_that_trip_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each is told, also those without a name."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT | 0xC000)
    assert runs == Counter(dict.fromkeys(once(), 4))


async def test_a_protection_that_was_on_before_has_not_tripped(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nor does it by being away and back, or by a reload."""
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


async def test_a_protection_that_trips_while_the_battery_is_away(
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


async def test_after_a_reload_the_next_protection_is_told(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Coming back with an old event is none; the next one is."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await report(pack, protection=CHARGE_UTP)
    runs = await watch(hass, pack, EVENT, "protection_tripped")
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(MINUTE)
    assert not runs
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT)
    assert runs == once()


# --- cold -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("charging_blocked_by_cold", WARM_PROBES, COLD_PROBES),
        ("charging_no_longer_blocked_by_cold", COLD_PROBES, WARM_PROBES),
    ],
)
async def test_cold_comes_and_goes(
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
async def test_cold_while_the_battery_is_away(
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


async def test_a_battery_that_is_added_after_its_automation(
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


async def test_cold_that_nobody_can_measure(
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


async def test_cold_of_all_batteries(
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


async def test_cold_of_something_else(
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
async def test_an_entity_that_cannot_tell_is_no_target(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, which: str
) -> None:
    """The screen names it, and says what to choose instead."""
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
    assert "its device" in str(caught.value)


# --- link -------------------------------------------------------------------------------


async def test_a_lost_link(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires after the time, once, and anew for the next loss."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, LINK, "connection_lost", {"for": {"minutes": 3}})
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(2.9 * MINUTE)
    assert not runs
    await asyncio.sleep(0.2 * MINUTE)
    assert runs == once()
    await asyncio.sleep(60 * MINUTE)
    assert runs == once()
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 600)
    await leave(peripheral)
    await asyncio.sleep(6 * MINUTE)
    assert runs == Counter(dict.fromkeys(once(), 2))


async def test_a_lost_link_that_is_soon_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Is everyday life: five minutes unless another time is chosen."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, LINK, "connection_lost")
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(4.5 * MINUTE)
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 20)
    await asyncio.sleep(30 * MINUTE)
    assert not runs
    await leave(peripheral)
    await asyncio.sleep(7 * MINUTE)
    assert runs == once()


@pytest.mark.parametrize("name", ["connection_lost", "connection_restored"])
async def test_a_release_is_no_lost_link(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """Neither its beginning nor its end, however long it lasts."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    runs = await watch(hass, pack, LINK, name)
    connection = entry.runtime_data.connection
    await connection.async_release()
    await asyncio.sleep(60 * MINUTE)
    assert value(hass, pack.address, LINK[1]) == "released"
    connection.async_resume()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(30 * MINUTE)
    assert not runs


async def test_a_battery_that_is_gone_after_a_release(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It was to come back and did not: that is a lost link."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, LINK, "connection_lost")
    await entry.runtime_data.connection.async_release()
    await leave(peripheral)
    await asyncio.sleep(60 * MINUTE)
    assert not runs
    entry.runtime_data.connection.async_resume()
    await asyncio.sleep(10 * MINUTE)
    assert runs == once()


async def test_a_reload_is_no_second_loss(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that is still away was told of already."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, LINK, "connection_lost")
    await leave(peripheral)
    await asyncio.sleep(10 * MINUTE)
    assert runs == once()
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(20 * MINUTE)
    assert value(hass, pack.address, LINK[1]) == "unreachable"
    assert runs == once()


async def test_a_battery_that_was_away_from_the_start(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Its owner wants to know, too."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    places = targets(hass, pack, LINK)
    await hass.config_entries.async_unload(entry.entry_id)
    await leave(peripheral)
    runs = await automate(
        hass,
        {
            "device": {
                "triggers": [
                    {"trigger": f"{DOMAIN}.connection_lost", "target": places["device"]}
                ]
            }
        },
    )
    await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 300)
    assert not runs
    await asyncio.sleep(6 * MINUTE)
    assert runs == {"device": 1}


async def test_the_link_is_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Fires once, at once, after a loss that was long enough."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(
        hass, pack, LINK, "connection_restored", {"lost_for": {"minutes": 3}}
    )
    await asyncio.sleep(10 * MINUTE)
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(2 * MINUTE)
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 20)
    await asyncio.sleep(MINUTE)
    assert not runs  # too short
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(4 * MINUTE)
    assert not runs
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(1)
    assert runs == once()
    await asyncio.sleep(30 * MINUTE)
    assert runs == once()


async def test_a_battery_that_is_taken_back_is_not_the_link_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also when it was lost before it was released."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    runs = await watch(hass, pack, LINK, "connection_restored")
    await leave(peripheral)
    await asyncio.sleep(10 * MINUTE)
    await entry.runtime_data.connection.async_release()
    await peripheral.advertise()
    await asyncio.sleep(MINUTE)
    entry.runtime_data.connection.async_resume()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(1)
    assert not runs


@pytest.mark.parametrize(
    ("name", "option"),
    [("connection_lost", "for"), ("connection_restored", "lost_for")],
)
async def test_a_loss_counts_from_its_beginning(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str, option: str
) -> None:
    """Also when the reason changes in between."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    runs = await watch(hass, pack, LINK, name, {option: {"minutes": 8}})
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    await asyncio.sleep(4 * MINUTE)
    await bluetooth_env.remove_adapter()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "no_bluetooth", 300)
    await asyncio.sleep(5 * MINUTE)
    assert runs == (once() if name == "connection_lost" else Counter())
    await bluetooth_env.add_adapter()
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 600)
    await asyncio.sleep(1)
    assert runs == once()


# --- conditions -------------------------------------------------------------------------


async def test_whether_a_protection_is_active(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Any of them; not a warning, and not of a battery that is away."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    holds = await ask(hass, pack, FAULTS, "is_protection_active")
    assert not await holds()
    await report(pack, warning=CHARGE_UTP)
    assert not await holds()
    await report(pack, protection=0x8000)
    assert await holds()
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, "voltage") == "unavailable", 120)
    assert not await holds()


async def test_whether_one_of_some_protections_is_active(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Only those that were chosen count."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    holds = await ask(
        hass,
        pack,
        FAULTS,
        "is_protection_active",
        {"protection": ["short_circuit", "unknown_bit"]},
    )
    await report(pack, protection=CHARGE_UTP)
    assert not await holds()
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT)
    assert await holds()
    await report(pack, protection=0x4000)
    assert await holds()


async def test_whether_a_protection_is_active_for_some_time(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Counted from when it began, whatever trips beside it."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    holds = await ask(
        hass,
        pack,
        FAULTS,
        "is_protection_active",
        {"protection": "charge_utp", "for": {"minutes": 2}},
    )
    await report(pack, protection=CHARGE_UTP)
    await asyncio.sleep(MINUTE)
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT)
    assert not await holds()
    await asyncio.sleep(MINUTE)
    assert await holds()
    await report(pack, protection=0)
    await report(pack, protection=CHARGE_UTP)
    assert not await holds()


async def test_whether_charging_is_blocked_by_cold(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not when it is warm, not known or away."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    holds = await ask(hass, pack, COLD, "is_charging_blocked_by_cold")
    assert not await holds()
    await report(pack, probe_temperatures=(None, None), max_cell_temperature=None)
    assert not await holds()
    await report(pack, **COLD_PROBES)
    assert await holds()
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, "voltage") == "unavailable", 120)
    assert not await holds()


async def test_whether_a_battery_is_reachable(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not while it is released, away or being called."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    holds = await ask(hass, pack, LINK, "is_reachable")
    assert await holds()
    await entry.runtime_data.connection.async_release()
    assert not await holds()
    entry.runtime_data.connection.async_resume()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    assert await holds()
    await leave(peripheral)
    await asyncio.sleep(1)
    assert value(hass, pack.address, LINK[1]) == "connecting"
    assert not await holds()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "unreachable", 120)
    assert not await holds()


async def test_a_battery_that_is_read_now_and_then_is_reachable(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Letting it go in between is planned."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    hass.config_entries.async_update_entry(entry, options={"connection": "each_poll"})
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "idle", 60)
    holds = await ask(hass, pack, LINK, "is_reachable")
    assert await holds()
    hass.config_entries.async_update_entry(entry, options={"connection": "keep"})
    await asyncio.sleep(3 * POLL_INTERVAL)
    await entry.runtime_data.connection.async_release()
    assert not await holds()


@pytest.mark.parametrize("tells_settings", [True, False])
async def test_whether_values_are_live(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    tells_settings: bool,
) -> None:
    """They stand for a minute without another; those kept over a release do not count."""
    pack = battery("idle")
    pack.hold = True
    if not tells_settings:  # nothing but the values is read of it
        monkeypatch.setattr(pack, "answer_setting", lambda *_: None)
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    holds = await ask(hass, pack, LINK, "is_data_up_to_date")
    assert await holds()
    connection = entry.runtime_data.connection
    await connection.async_release()
    await asyncio.sleep(5 * MINUTE)
    assert value(hass, pack.address, "voltage") not in ("unavailable", "unknown")
    assert not await holds()
    await peripheral.silence()
    connection.async_resume()
    await asyncio.sleep(POLL_INTERVAL)
    assert value(hass, pack.address, "voltage") not in ("unavailable", "unknown")
    assert not await holds()
    await peripheral.advertise()
    # Nothing has changed in it, and yet it is read anew.
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 60)
    await asyncio.sleep(1)
    assert await holds()
    await leave(peripheral)
    await asyncio.sleep(POLL_INTERVAL)
    assert await holds()
    await asyncio.sleep(MINUTE)
    assert not await holds()


@pytest.mark.parametrize("before", [False, True])
async def test_what_came_during_a_restart_is_told(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, before: bool
) -> None:
    """And what was so before it is not told again."""
    pack = battery("idle", temperature=20)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    if before:
        await report(pack, protection=CHARGE_UTP)
    await hass.config_entries.async_unload(entry.entry_id)
    runs = await automate(
        hass,
        {
            name: {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.{name}",
                        "target": {"device_id": device_of(hass, pack.address).id},
                    }
                ]
            }
            for name in ("protection_tripped", "charging_blocked_by_cold")
        },
    )
    await report(pack, protection=CHARGE_UTP)
    await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, pack.address, "active_faults") != "None"
    assert runs == (
        Counter()
        if before
        else Counter(("protection_tripped", "charging_blocked_by_cold"))
    )


async def test_values_from_before_a_restart_are_not_live(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They are shown, and come from the disk."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await hass.config_entries.async_unload(entry.entry_id)
    await leave(peripheral)
    await hass.config_entries.async_setup(entry.entry_id)
    holds = await ask(hass, pack, LINK, "is_data_up_to_date")
    assert value(hass, pack.address, "voltage") not in ("unavailable", "unknown")
    assert not await holds()
    await peripheral.advertise()
    await wait_until(lambda: value(hass, pack.address, LINK[1]) == "connected", 120)
    await asyncio.sleep(1)
    assert await holds()


async def test_all_batteries_means_all(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One that is away cannot be vouched for, nor can none at all."""
    packs = [
        battery(
            "idle",
            name=f"ZT-25.6V100AH-000{number}",
            address=f"A4:C1:37:00:00:0{number}",
        )
        for number in (1, 2)
    ]
    peripherals = []
    for pack in packs:
        peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
        peripherals.append(peripheral)
        await report(pack, **COLD_PROBES)
    empty = ar.async_get(hass).async_create("Attic")
    both = {"device_id": [device_of(hass, pack.address).id for pack in packs]}
    runs = await automate(
        hass,
        {
            name: {
                "triggers": [{"trigger": "event", "event_type": "ask"}],
                "conditions": [
                    {
                        "condition": f"{DOMAIN}.is_charging_blocked_by_cold",
                        "target": target,
                        "options": {"behavior": behavior},
                    }
                ],
            }
            for name, target, behavior in (
                ("all", both, "all"),
                ("any", both, "any"),
                ("none", {"area_id": empty.id}, "all"),
            )
        },
    )
    hass.bus.async_fire("ask")
    await asyncio.sleep(0.1)
    assert runs == {"all": 1, "any": 1}
    await leave(peripherals[0])
    await asyncio.sleep(2 * MINUTE)
    assert value(hass, packs[0].address, "voltage") == "unavailable"
    runs.clear()
    hass.bus.async_fire("ask")
    await asyncio.sleep(0.1)
    assert runs == {"any": 1}


# --- the editor -------------------------------------------------------------------------


def ours(names: Iterable[str]) -> set[str]:
    """Return those that are of this integration, without its name."""
    prefix = f"{DOMAIN}."
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


async def test_the_editor_offers_them_for_every_target(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For a battery and its places all of them, for another device none."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    places = targets(hass, pack, LINK)
    del places["entity"]

    async def offered(target: dict[str, str]) -> tuple[set[str], set[str]]:
        return (
            ours(await async_get_triggers_for_target(hass, target, False)),
            ours(await async_get_conditions_for_target(hass, target, False)),
        )

    def entity(watched: tuple[str, str]) -> dict[str, str]:
        platform, key = watched
        return {"entity_id": entity_id(hass, pack.address, key, platform)}

    for kind, target in places.items():
        assert await offered(target) == (TRIGGERS, CONDITIONS), kind
    assert await offered(entity(LINK)) == (
        {"connection_lost", "connection_restored"},
        {"is_reachable", "is_data_up_to_date", "is_protection_active"},
    )
    assert await offered(entity(COLD)) == (
        {"charging_blocked_by_cold", "charging_no_longer_blocked_by_cold"},
        {"is_charging_blocked_by_cold"},
    )
    attic = ar.async_get(hass).async_create("Attic")
    assert await offered({"area_id": attic.id}) == (set(), set())


async def test_the_editor_offers_every_protection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What can be chosen is what the code takes, in the order of the manual."""
    await async_setup_battery(hass, bluetooth_env, battery("idle"))
    triggers = await trigger.async_get_all_descriptions(hass)
    conditions = await condition.async_get_all_descriptions(hass)
    for description in (
        triggers[f"{DOMAIN}.protection_tripped"],
        triggers[f"{DOMAIN}.protection_cleared"],
        conditions[f"{DOMAIN}.is_protection_active"],
    ):
        assert description is not None
        select = description["fields"]["protection"]["selector"]["select"]
        assert tuple(select["options"]) == PROTECTION_KEYS


async def test_what_the_editor_fills_in_is_taken(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Every field has a default that the code accepts, or may be left out."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    target = {"device_id": device_of(hass, pack.address).id}
    seen = set()
    for describe, validate, kind in (
        (
            trigger.async_get_all_descriptions,
            trigger.async_validate_trigger_config,
            "platform",
        ),
        (
            condition.async_get_all_descriptions,
            condition.async_validate_conditions_config,
            "condition",
        ),
    ):
        for name, description in (await describe(hass)).items():
            if not name.startswith(f"{DOMAIN}."):
                continue
            seen |= ours([name])
            assert description is not None
            options = {
                key: field["default"]
                for key, field in description["fields"].items()
                if field.get("required")
            }
            (config,) = await validate(
                hass, [{kind: name, "target": target, "options": options}]
            )
            assert config["options"].keys() >= options.keys()
            # Nothing that the code could take is kept from the owner.
            assert config["options"].keys() <= description["fields"].keys()
    assert seen == TRIGGERS | CONDITIONS


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        *(("trigger", name, "voltage") for name in sorted(TRIGGERS)),
        *(("condition", name, "operating_state") for name in sorted(CONDITIONS)),
    ],
)
async def test_an_entity_that_tells_nothing_is_refused(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    kind: str,
    name: str,
    wrong: str,
) -> None:
    """An automation that can never run must not be saved without a word."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    chosen = entity_id(hass, pack.address, wrong)
    config = {kind: f"{DOMAIN}.{name}", "target": {"entity_id": chosen}}
    assert await async_setup_component(
        hass,
        AUTOMATION,
        {
            AUTOMATION: {
                "alias": "test",
                "triggers": [
                    config
                    if kind == "trigger"
                    else {"trigger": "event", "event_type": "ask"}
                ],
                "conditions": [config] if kind == "condition" else [],
                "actions": [],
            }
        },
    )
    (automation,) = hass.states.async_all(AUTOMATION)
    assert automation.state == "unavailable"
