"""The page of the dashboard that reports what is known of batteries, to print."""

from __future__ import annotations

import asyncio
import json

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .bluetooth_env import BluetoothEnvironment
from .common import battery, value, wait_until
from .harness import async_setup_battery
from custom_components.voltgo_vlrv.dashboard import dashboard_config
from custom_components.voltgo_vlrv.dashboard_report import PATH
from custom_components.voltgo_vlrv.history.capacity import CapacityReading
from custom_components.voltgo_vlrv.history.full_charges import FullCharge

pytestmark = pytest.mark.usefixtures("fast_clock")


def tables(hass: HomeAssistant) -> list[str]:
    """Return the texts of the page."""
    view = dashboard_config(hass)["views"][-1]
    assert view["path"] == PATH
    assert view["title"] == "Report"
    (section,) = view["sections"]
    heading, *cards = section["cards"]
    assert heading == {"type": "heading", "heading": "ZT-12.8V100Ah-0001"}
    return [card["content"] for card in cards]


async def test_report_page_shows_what_a_claim_needs(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Identity, figures, protections, capacities and cells, and no address."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await asyncio.sleep(60)
    facts, protections, capacities, charges = tables(hass)
    for line in (
        "| Model | VLRV1280A |",
        f"| Firmware | {pack.identity.firmware} |",
        "| Cells, capacity on the label | 4 S, 100 Ah |",
        "| Protection trips | 0 |",
    ):
        assert line in facts.splitlines()
    assert protections.splitlines()[-1] == "| – | 0 | – |"
    assert charges.splitlines()[-1] == capacities.splitlines()[-1] == "| – | – | – |"
    pack.demand_current = -300.0
    await wait_until(lambda: entry.runtime_data.history.care.trips.count == 1, 120)
    pack.demand_current = 0.0
    care, now = entry.runtime_data.history.care, dt_util.utcnow()
    care.capacity.readings.append(CapacityReading(now, 85.3, 80.0, 3050, 19, 9.0))
    care.full_charges.readings.append(FullCharge(now, 41, 3500, 6.0, None))
    facts, protections, capacities, charges = tables(hass)
    today = dt_util.now().date().isoformat()
    assert f"| Short-circuit protection | 1 | {today} |" in protections
    assert f"| {today} | 85.3 Ah | 19 |" in capacities
    assert f"| {today} | 41 mV | – |" in charges
    assert pack.address not in json.dumps(dashboard_config(hass)["views"][-1])
    # What is not loaded is not known.
    await hass.config_entries.async_unload(entry.entry_id)
    views = dashboard_config(hass)["views"]
    assert PATH not in [view.get("path") for view in views]
    assert value(hass, pack.address, "state_of_charge") == "unavailable"
