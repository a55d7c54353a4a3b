"""What a walk needs to be there before it begins, by whatever walk comes first."""

from __future__ import annotations

from simulator.e2e.api import HomeAssistant, Json
from simulator.e2e.batteries import (
    BANK_MODELS,
    DOMAIN,
    SIMULATOR,
    add_bank,
    add_battery,
    device_of,
    discovered,
    entities_of,
    simulated,
)

DASHBOARD = "dashboard-batteries"


async def async_setup_battery(demo: HomeAssistant, address: str) -> Json:
    """Have a battery added, and return what it is."""
    battery = (await simulated(demo))[address]
    entries = await demo.call("config_entries/get", domain=DOMAIN)
    if battery["name"] not in [entry["title"] for entry in entries]:
        (flow,) = await discovered(demo, {address})
        await add_battery(demo, flow)
    return battery


async def async_setup_bank_batteries(demo: HomeAssistant) -> list[str]:
    """Have the two batteries of a bank added, and return their names."""
    if not BANK_MODELS.keys() & (await simulated(demo)).keys():
        await add_bank(demo)
    return [
        (await async_setup_battery(demo, address))["name"] for address in BANK_MODELS
    ]


async def async_cause_fault(demo: HomeAssistant, address: str, fault: str) -> None:
    """Cause a fault, or end all with "none"; it is read without waiting for the poll."""
    await demo.act(f"{SIMULATOR}.cause_fault", {"address": address, "fault": fault})
    entities = await entities_of(demo, await device_of(demo, address))
    await demo.act(
        "homeassistant.update_entity", {"entity_id": [entities["voltage"]["entity_id"]]}
    )


async def entry_of(demo: HomeAssistant, title: str) -> str:
    """Return the ID of a battery's or bank's config entry."""
    (entry_id,) = (
        entry["entry_id"]
        for entry in await demo.call("config_entries/get", domain=DOMAIN)
        if entry["title"] == title
    )
    found: str = entry_id
    return found
