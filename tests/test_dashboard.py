"""The ready dashboard shows what a battery really has, with Home Assistant's own cards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
import json
from typing import Any, Final

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from homeassistant.components import frontend
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component

from .bluetooth_env import BluetoothEnvironment
from .common import add_discovered, battery, device_of, enable_all, entity_id
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.dashboard import (
    COMMAND,
    SCRIPT,
    SCRIPT_URL,
    async_setup_dashboard,
    dashboard_config,
)
from custom_components.voltgo_vlrv.localization import async_load_translations

CORE_CARDS: Final = {
    "gauge",
    "heading",
    "history-graph",
    "markdown",
    "statistics-graph",
    "tile",
}
TITLES: Final = ["Now", "Cells", "Temperatures", "Heater", "Faults", "Energy"]


def cards(view: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all cards of a view."""
    for section in view["sections"]:
        yield from section["cards"]


def shown(view: dict[str, Any]) -> set[str]:
    """Return the entities of a view."""
    found = set()
    for card in cards(view):
        if "entity" in card:
            found.add(card["entity"])
        for item in card.get("entities", ()):
            found.add(item if isinstance(item, str) else item["entity"])
    return found


def section(view: dict[str, Any], title: str) -> list[dict[str, Any]]:
    """Return the cards below a title."""
    (found,) = (
        section["cards"][1:]
        for section in view["sections"]
        if section["cards"][0]["heading"] == title
    )
    return found


async def add(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, *packs: Any
) -> None:
    """Add batteries, with graphs to be had."""
    await async_load_translations(hass)
    hass.config.components |= {"history", "recorder"}
    for pack in packs:
        await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    for pack in packs:
        await add_discovered(hass, pack.address)
    await asyncio.sleep(5)


@pytest.mark.parametrize("count", [4, 8, 16])
async def test_dashboard_for_each_size_shows_all_entities(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, count: int
) -> None:
    """Cells side by side by their numbers, heater, faults, energy; nothing is missing."""
    pack = battery("idle", cell_count=count)
    await add(hass, bluetooth_env, pack)
    await enable_all(hass, pack.address)
    (view,) = dashboard_config(hass)["views"]
    assert view["title"] == pack.name
    headings = [section["cards"][0]["heading"] for section in view["sections"]]
    assert headings == [*TITLES, "Bluetooth connection"]
    assert {card["type"] for card in cards(view)} == CORE_CARDS - {"markdown"}
    cells = section(view, "Cells")[:count]
    assert [(card["name"], card["entity"]) for card in cells] == [
        (str(number), entity_id(hass, pack.address, f"cell_{number}"))
        for number in range(1, count + 1)
    ]
    assert {card["grid_options"]["columns"] for card in cells} == {3}
    assert section(view, "Heater")[0]["entity"] == entity_id(
        hass, pack.address, "heater", "switch"
    )
    assert section(view, "Faults")[0]["entity"] == entity_id(
        hass, pack.address, "problem", "binary_sensor"
    )
    assert section(view, "Energy")[-1]["entities"] == [
        entity_id(hass, pack.address, f"energy_{direction}")
        for direction in ("charged", "discharged")
    ]
    # All of them are real.
    assert all(hass.states.get(one) is not None for one in shown(view))
    json.dumps(view)


async def test_dashboard_after_changes_of_the_user_follows_them(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Renamed entities and batteries; disabled or hidden ones are left out."""
    pack = battery("idle")
    await add(hass, bluetooth_env, pack)
    registry = er.async_get(hass)
    registry.async_update_entity(
        entity_id(hass, pack.address, "voltage"), new_entity_id="sensor.volts_in_the_rv"
    )
    off = entity_id(hass, pack.address, "power")
    hidden = entity_id(hass, pack.address, "current")
    registry.async_update_entity(off, disabled_by=er.RegistryEntryDisabler.USER)
    registry.async_update_entity(hidden, hidden_by=er.RegistryEntryHider.USER)
    dr.async_get(hass).async_update_device(
        device_of(hass, pack.address).id, name_by_user="Under the bed"
    )
    (view,) = dashboard_config(hass)["views"]
    assert view["title"] == "Under the bed"
    assert "sensor.volts_in_the_rv" in shown(view)
    assert not {off, hidden} & shown(view)
    enabled = {
        item.entity_id
        for item in registry.entities.values()
        if item.platform == DOMAIN and item.disabled_by is None
    }
    assert shown(view) <= enabled


async def test_dashboard_with_disabled_cells_explains_them(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With sixteen cells they are disabled by default."""
    pack = battery("idle", cell_count=16)
    await add(hass, bluetooth_env, pack)
    (view,) = dashboard_config(hass)["views"]
    first, second, *_ = section(view, "Cells")
    assert first["type"] == "markdown"
    assert first["content"].startswith("The cell voltage entities are disabled.")
    assert second["entity"] == entity_id(hass, pack.address, "cell_voltage_delta")


async def test_dashboard_with_equal_names_has_a_view_for_each_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also where two have the same name: the address of the view differs."""
    packs = [battery("idle", address=f"A4:C1:37:00:00:0{number}") for number in (1, 2)]
    await add(hass, bluetooth_env, *packs)
    views = dashboard_config(hass)["views"]
    assert len({view["path"] for view in views}) == 2
    assert not shown(views[0]) & shown(views[1])


async def test_dashboard_without_recorder_has_no_graphs(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They would only show an error."""
    await add(hass, bluetooth_env, battery("idle"))
    hass.config.components -= {"history", "recorder"}
    (view,) = dashboard_config(hass)["views"]
    assert {card["type"] for card in cards(view)} == {"gauge", "heading", "tile"}


async def test_dashboard_without_enabled_batteries_shows_a_hint(
    hass: HomeAssistant,
) -> None:
    """Without any there is a hint how to add one."""
    entry = MockConfigEntry(domain=DOMAIN, unique_id="A4:C1:37:00:00:01")
    entry.add_to_hass(hass)
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    await async_load_translations(hass)
    (view,) = dashboard_config(hass)["views"]
    (card,) = view["cards"]
    assert card["type"] == "markdown"
    assert card["content"].startswith("No battery has been added yet.")


async def test_dashboard_with_a_frontend_is_registered(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The script is loaded with each page, and what it asks for is answered."""
    assert await async_setup_component(hass, "http", {})
    assert await async_setup_component(hass, "websocket_api", {})
    # The pages themselves are a package of their own, which no test needs.
    hass.config.components.add(frontend.DOMAIN)
    modules: set[str] = set()
    hass.data[frontend.DATA_EXTRA_MODULE_URL] = modules  # type: ignore[assignment]
    await async_setup_dashboard(hass)
    (url,) = modules
    assert url.startswith(f"{SCRIPT_URL}?v=")
    response = await (await hass_client()).get(url)
    assert response.status == 200
    assert "javascript" in response.headers["Content-Type"]
    script = await response.text()
    assert script == await hass.async_add_executor_job(SCRIPT.read_text)
    assert f'"{COMMAND}"' in script
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": COMMAND})
    answer = await client.receive_json()
    assert answer["success"]
    assert answer["result"] == dashboard_config(hass)


async def test_dashboard_without_a_frontend_is_not_registered(
    hass: HomeAssistant,
) -> None:
    """Home Assistant can run without them."""
    await async_setup_dashboard(hass)
    assert frontend.DATA_EXTRA_MODULE_URL not in hass.data
