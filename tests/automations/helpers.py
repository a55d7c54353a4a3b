"""Steps that tests of triggers and conditions share."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

from homeassistant.components.automation import DOMAIN as AUTOMATION
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery
from simulator.peripheral import Peripheral
from tests.common import POLL_INTERVAL, device_of, entity_id

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
CONNECTION_STATUS = ("sensor", "connection_status")
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
    # A battery whose poll phase just moved waits half as long again.
    await asyncio.sleep(1.5 * POLL_INTERVAL + 1)


async def leave(peripheral: Peripheral) -> None:
    """Drive the battery out of range."""
    await peripheral.silence()
    peripheral.drop_connection()


COLD_PROBES = {"probe_temperatures": (-3, -2), "max_cell_temperature": -2}
WARM_PROBES = {"probe_temperatures": (8, 9), "max_cell_temperature": 9}
