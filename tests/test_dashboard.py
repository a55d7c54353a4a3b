"""The ready dashboard shows what a battery really has, with Home Assistant's own cards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
import json
import re
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
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component

from .bluetooth_env import BluetoothEnvironment
from .common import add_discovered, battery, device_of, enable_all, entity_id, value
from custom_components.voltgo_vlrv.const import (
    CONF_KIND,
    CONF_MAX_AGE,
    CONF_MEMBERS,
    DOMAIN,
    KIND_BANK,
)
from custom_components.voltgo_vlrv.dashboard import (
    COMMAND,
    SCRIPT,
    SCRIPT_URL,
    SECTION_COMMAND,
    URL_PATH,
    async_setup_dashboard,
    dashboard_config,
    section_config,
)
from custom_components.voltgo_vlrv.dashboard_cards import (
    FULL,
    HALF,
    Device,
    banners,
    tile,
    with_whole_names,
)
from custom_components.voltgo_vlrv.dashboard_report import PATH
from custom_components.voltgo_vlrv.localization import async_load_translations

CORE_CARDS: Final = {
    "gauge",
    "heading",
    "history-graph",
    "markdown",
    "statistics-graph",
    "tile",
}
TITLES: Final = [
    "Now", "History", "Faults", "Cells", "Temperatures", "Energy", "Settings",
    "Diagnostics",
]  # fmt: skip


def device_views(
    hass: HomeAssistant, url_path: str | None = None
) -> list[dict[str, Any]]:
    """Return the views of batteries and banks, and the overview."""
    views = dashboard_config(hass, url_path)["views"]
    return [view for view in views if view.get("path") != PATH]


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
        if section["cards"][0].get("heading") == title
    )
    return found


def is_visible(hass: HomeAssistant, item: dict[str, Any]) -> bool:
    """Return whether the frontend shows a card or a section."""
    return all(is_met(hass, condition) for condition in item.get("visibility", ()))


def is_met(hass: HomeAssistant, condition: dict[str, Any]) -> bool:
    """Return whether a condition of a visibility is met, as the frontend decides."""
    if condition["condition"] in {"or", "and"}:
        each = [is_met(hass, one) for one in condition["conditions"]]
        return any(each) if condition["condition"] == "or" else all(each)
    state = hass.states.get(condition["entity"])
    assert state is not None
    shown = state.state
    if "attribute" in condition:
        # As JavaScript writes it.
        shown = json.dumps(state.attributes.get(condition["attribute"]))
    wanted = condition.get("state", condition.get("state_not"))
    found = shown in (wanted if isinstance(wanted, list) else [wanted])
    return found is ("state" in condition)


def visible(hass: HomeAssistant, view: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cards of a view that the frontend shows."""
    return [
        card
        for section in view["sections"]
        if is_visible(hass, section)
        for card in section["cards"]
        if is_visible(hass, card)
    ]


def charge_colors(hass: HomeAssistant, view: dict[str, Any]) -> list[str]:
    """Return the colors of the one gauge that is shown."""
    (gauge,) = (card for card in visible(hass, view) if card["type"] == "gauge")
    return [segment["color"] for segment in gauge["segments"]]


def summaries(hass: HomeAssistant, view: dict[str, Any]) -> list[str]:
    """Return the texts of the markdown cards that are shown."""
    return [
        Template(card["content"], hass).async_render()
        for card in visible(hass, view)
        if card["type"] == "markdown"
    ]


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
    (view,) = device_views(hass)
    assert view["title"] == pack.name
    # The first one has banners only.
    headings = [section["cards"][0]["heading"] for section in view["sections"][1:]]
    assert headings == TITLES
    assert {card["type"] for card in cards(view)} == CORE_CARDS
    cells = section(view, "Cells")[:count]
    assert [(card["name"], card["entity"]) for card in cells] == [
        (str(number), entity_id(hass, pack.address, f"cell_{number}"))
        for number in range(1, count + 1)
    ]
    assert {card["grid_options"]["columns"] for card in cells} == {3}
    assert section(view, "Settings")[0]["entity"] == entity_id(
        hass, pack.address, "heater", "switch"
    )
    assert section(view, "Faults")[0]["entity"] == entity_id(
        hass, pack.address, "cell_ovp", "binary_sensor"
    )
    (charge, _) = section(view, "History")
    assert (charge["min_y_axis"], charge["max_y_axis"]) == (0, 100)
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
    (view,) = device_views(hass)
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
    (view,) = device_views(hass)
    first, second, *_ = section(view, "Cells")
    assert first["type"] == "markdown"
    assert first["content"].startswith("The cell voltage entities are disabled.")
    assert second["entity"] == entity_id(hass, pack.address, "cell_voltage_delta")


async def test_dashboard_of_a_healthy_battery_shows_nothing_that_is_normal(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No banner, and no tile that says Unknown, Normal or Not charging."""
    pack = battery("idle")
    pack.demand_current = -50.0
    await add(hass, bluetooth_env, pack)
    await asyncio.sleep(5 * 60)
    (view,) = device_views(hass)
    assert not is_visible(hass, view["sections"][0])
    states = {
        card["entity"]: hass.states.get(card["entity"])
        for card in visible(hass, view)
        if card["type"] == "tile" and not card["entity"].startswith("button.")
    }
    for one, state in states.items():
        assert state is not None, one
        assert state.state not in {"unknown", "unavailable"}, one
        assert one.partition(".")[0] != "binary_sensor", one
    assert "var(--success-color)" in charge_colors(hass, view)
    (text,) = summaries(hass, view)
    power = value(hass, pack.address, "power")
    assert power is not None
    assert text.startswith(f"**{power.removeprefix('-')} W** out · empty in ")
    assert re.fullmatch(r".* empty in \d+ h \d+ min, \d\d:\d\d", text)


async def test_dashboard_with_a_fault_is_red_and_names_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Above all else; no gauge is green above a fault."""
    pack = battery("winter")
    await add(hass, bluetooth_env, pack)
    (view,) = device_views(hass)
    first, second, *_ = visible(hass, view)
    assert first["entity"] == entity_id(hass, pack.address, "active_faults")
    assert second["entity"] == entity_id(
        hass, pack.address, "too_cold_to_charge", "binary_sensor"
    )
    assert charge_colors(hass, view) == ["var(--error-color)"]
    faults = [
        card["entity"] for card in section(view, "Faults") if is_visible(hass, card)
    ]
    assert faults == [entity_id(hass, pack.address, "charge_utp", "binary_sensor")]


async def test_dashboard_of_a_released_battery_is_gray_and_says_until_when(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And how old the values are."""
    pack = battery("idle")
    await add(hass, bluetooth_env, pack)
    await hass.services.async_call(
        "button",
        "press",
        {"entity_id": entity_id(hass, pack.address, "release", "button")},
        blocking=True,
    )
    await asyncio.sleep(5 * 60)
    (view,) = device_views(hass)
    assert charge_colors(hass, view) == ["var(--disabled-color)"]
    banner, _ = summaries(hass, view)
    assert re.search(r">Released\. Until \d\d:\d\d\. Values as of \d\d:\d\d<", banner)


async def test_dashboard_of_a_lost_battery_says_how_old_its_values_are(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They are kept for an hour, as the user has chosen, in gray."""
    pack = battery("idle")
    await async_load_translations(hass)
    peripheral = await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    hass.config_entries.async_update_entry(entry, options={CONF_MAX_AGE: 3600})
    await asyncio.sleep(15)
    await peripheral.silence()
    peripheral.drop_connection()
    await asyncio.sleep(5 * 60)
    (view,) = device_views(hass)
    assert charge_colors(hass, view) == ["var(--disabled-color)"]
    banner, *_ = summaries(hass, view)
    assert re.search(r">Out of range or in use\. Values as of \d\d:\d\d<", banner)


def test_banners_are_in_the_order_of_their_urgency() -> None:
    """A fault, cold, low, not live, isolated from the bank, a setting that waits."""
    keys = [
        "binary_sensor.any_protection",
        "binary_sensor.too_cold_to_charge",
        "binary_sensor.low_battery",
        "sensor.connection_status",
        "binary_sensor.battery_isolated",
        "binary_sensor.battery_missing",
        "sensor.pending_settings",
    ]
    texts = {"until": "", "as_of": "", "no_settings": "None"}
    device = Device("A", "a", {key: key for key in keys}, {}, frozenset(), texts)
    cards = [str(card) for card in banners(device)]
    assert len(cards) == len(keys)
    assert [key for card, key in zip(cards, keys, strict=True) if key in card] == keys


def test_tile_with_a_long_name_has_the_whole_width() -> None:
    """Two short names share a row, and a single one leaves no gap in it."""
    names = {
        "a": "Voltage",
        "b": "Current",
        "c": "Status",
        "d": "Cell voltage difference",
    }
    device = Device("A", "a", {}, names, frozenset(), {})
    cards = list(with_whole_names(device, [tile(one) for one in "abcda"]))
    assert [card["entity"] for card in cards] == list("abcda")
    assert [card["grid_options"]["columns"] for card in cards] == [
        HALF, HALF, FULL, FULL, FULL,
    ]  # fmt: skip


async def test_dashboard_asks_before_a_setting_can_be_selected(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And shows one that waits in a banner."""
    pack = battery("idle")
    await add(hass, bluetooth_env, pack)
    (view,) = device_views(hass)
    selects = [
        card for card in cards(view) if card.get("entity", "").startswith("select.")
    ]
    assert len(selects) == 3
    for card in selects:
        assert "features" not in card
        for action in ("tap_action", "icon_tap_action"):
            assert card[action]["confirmation"]["text"].startswith("Do you want to")
    await hass.services.async_call(
        "select",
        "select_option",
        {
            "entity_id": entity_id(hass, pack.address, "module_id", "select"),
            "option": "3",
        },
        blocking=True,
    )
    banner, *_ = summaries(hass, view)
    assert ">Module ID: 3, after the battery was turned off and on<" in banner


async def test_dashboard_with_equal_names_has_a_view_for_each_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also where two have the same name: the address of the view differs."""
    packs = [battery("idle", address=f"A4:C1:37:00:00:0{number}") for number in (1, 2)]
    await add(hass, bluetooth_env, *packs)
    overview, *views = device_views(hass, "rv")
    assert len({view["path"] for view in views}) == 2
    assert not shown(views[0]) & shown(views[1])
    assert overview["path"] == "overview"
    paths = [f"/rv/{view['path']}" for view in views]
    headings = [section["cards"][0] for section in overview["sections"]]
    assert [card["tap_action"]["navigation_path"] for card in headings] == paths
    assert shown(overview) <= shown(views[0]) | shown(views[1])
    section = section_config(hass)
    assert shown({"sections": [section]}) == shown(overview)
    assert "tap_action" not in section["cards"][0]


async def test_dashboard_with_a_bank_begins_with_it_and_its_batteries(
    hass: HomeAssistant,
) -> None:
    """The others follow; no entity has to be there yet."""
    await async_load_translations(hass)
    bank = {CONF_KIND: KIND_BANK, CONF_MEMBERS: ["B", "C"]}
    for title, data in {"A": {}, "House bank": bank, "C": {}, "B": {}}.items():
        MockConfigEntry(
            domain=DOMAIN, title=title, unique_id=title, data=data
        ).add_to_hass(hass)
    overview, *views = device_views(hass)
    names = [view["title"] for view in views]
    assert names == ["House bank", "B", "C", "A"]
    assert [section["cards"][0]["heading"] for section in overview["sections"]] == names


async def test_dashboard_without_recorder_has_no_graphs(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They would only show an error."""
    await add(hass, bluetooth_env, battery("idle"))
    hass.config.components -= {"history", "recorder"}
    (view,) = device_views(hass)
    assert {card["type"] for card in cards(view)} == CORE_CARDS - {
        "history-graph",
        "statistics-graph",
    }


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
    (view,) = device_views(hass)
    (card,) = view["cards"]
    assert card["type"] == "markdown"
    assert card["content"].startswith("No battery has been added yet.")
    assert section_config(hass)["cards"] == [card]


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
    await client.send_json_auto_id({"type": COMMAND, URL_PATH: "rv"})
    answer = await client.receive_json()
    assert answer["success"]
    assert answer["result"] == dashboard_config(hass)
    assert f'"{SECTION_COMMAND}"' in script
    await client.send_json_auto_id({"type": SECTION_COMMAND})
    answer = await client.receive_json()
    assert answer["result"] == section_config(hass)


async def test_dashboard_without_a_frontend_is_not_registered(
    hass: HomeAssistant,
) -> None:
    """Home Assistant can run without them."""
    await async_setup_dashboard(hass)
    assert frontend.DATA_EXTRA_MODULE_URL not in hass.data
