"""Dashboard: generated from the enabled entities of all batteries and banks.

"Add dashboard" lists it as a community dashboard (Home Assistant 2026.5 or later). A few
lines of JavaScript register it and request its configuration, which is generated each
time it is opened. So it follows renamed, new and disabled entities, needs no internet
connection, and uses only Home Assistant's own cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from homeassistant.components import frontend, websocket_api
from homeassistant.components.http import StaticPathConfig
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.loader import async_get_integration

from .const import DOMAIN
from .entries import is_bank
from .localization import async_load_translations, translations
from .vlrv.faults import FAULTS

SCRIPT: Final = Path(__file__).with_suffix(".js")
SCRIPT_URL: Final = f"/{DOMAIN}/{SCRIPT.name}"
COMMAND: Final = f"{DOMAIN}/dashboard"

type Card = dict[str, Any]
type Entities = Mapping[str, str]

_NOW: Final = (
    "sensor.voltage",
    "sensor.bank_voltage",
    "sensor.current",
    "sensor.power",
    "sensor.stored_energy",
    "sensor.time_to_empty",
    "sensor.time_to_full",
    "sensor.remaining_capacity",
    "sensor.operating_state",
    "binary_sensor.charging",
    "binary_sensor.low_battery",
    "sensor.state_of_charge_spread",
    "sensor.current_imbalance",
    "sensor.batteries_reporting",
    "sensor.state_of_health",
    "sensor.bank_state_of_health",
    "sensor.cycles",
    "sensor.last_full_charge",
    "sensor.recharge_due",
)
_CELLS: Final = tuple(f"sensor.cell_{number}" for number in range(1, 17))
_DIFFERENCE: Final = (
    "sensor.cell_voltage_delta",
    "sensor.bank_cell_voltage_delta",
    "sensor.highest_cell_voltage",
    "sensor.lowest_cell_voltage",
    "sensor.highest_cell",
    "sensor.lowest_cell",
)
_TEMPERATURES: Final = (
    *(f"sensor.probe_{number}" for number in range(1, 7)),
    "sensor.min_cell_temperature",
    "sensor.max_cell_temperature",
    "sensor.highest_temperature",
    "sensor.lowest_temperature",
    "sensor.ambient_temperature",
    "sensor.pcb_temperature",
)
_HEATER: Final = (
    "switch.heater",
    "binary_sensor.heating",
    "binary_sensor.too_cold_to_charge",
)
_FAULTS: Final = (
    "binary_sensor.problem",
    "binary_sensor.any_protection",
    "binary_sensor.battery_missing",
    "binary_sensor.battery_isolated",
    "sensor.active_faults",
    "event.protection",
    *(f"binary_sensor.{fault.key}" for fault in FAULTS),
    "binary_sensor.warning",
    "binary_sensor.error",
)
_ENERGY: Final = ("sensor.energy_charged", "sensor.energy_discharged")
_CONNECTION: Final = (
    "sensor.connection_status",
    "sensor.last_update",
    "sensor.signal_strength",
    "switch.bluetooth_connection",
    "button.refresh",
)
# A section is twelve columns wide.
_HALF: Final = 6
_QUARTER: Final = 3
_FULL: Final = "full"
# State of charge in %: the gauge is red below the first, yellow below the second.
_LOW: Final = 20
_MEDIUM: Final = 40


async def async_setup_dashboard(hass: HomeAssistant) -> None:
    """Register the dashboard, if the frontend is set up."""
    if frontend.DOMAIN not in hass.config.components:
        return
    websocket_api.async_register_command(hass, _handle_dashboard)
    await hass.http.async_register_static_paths(
        [StaticPathConfig(SCRIPT_URL, str(SCRIPT), cache_headers=False)]
    )
    version = (await async_get_integration(hass, DOMAIN)).version
    frontend.add_extra_js_url(hass, f"{SCRIPT_URL}?v={version}")


@websocket_api.websocket_command({"type": COMMAND})
@websocket_api.async_response
async def _handle_dashboard(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> None:
    await async_load_translations(hass)
    connection.send_result(message["id"], dashboard_config(hass))


def dashboard_config(hass: HomeAssistant) -> dict[str, Any]:
    """Return the configuration: one view for each bank and battery."""
    entries = hass.config_entries.async_entries(
        DOMAIN, include_ignore=False, include_disabled=False
    )
    # Banks first: they summarize their batteries.
    entries.sort(key=is_bank, reverse=True)
    views = [_view(hass, entry) for entry in entries]
    if not views:
        text = translations(hass).dashboard["no_battery"]
        views = [{"title": "Voltgo VLRV", "cards": [_markdown(text)]}]
    return {"views": views}


def _view(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Any]:
    device = next(
        iter(dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)),
        None,
    )
    name = (device and (device.name_by_user or device.name)) or entry.title
    return {
        "title": name,
        # The path must not change when the battery is renamed.
        "path": entry.entry_id.lower(),
        "type": "sections",
        "max_columns": 4,
        "sections": list(_sections(hass, entry)),
    }


def _sections(hass: HomeAssistant, entry: ConfigEntry) -> Iterator[dict[str, Any]]:
    prefix = f"{entry.entry_id if is_bank(entry) else entry.unique_id}_"
    registered = {
        f"{item.domain}.{item.unique_id.removeprefix(prefix)}": item
        for item in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    # Enabled and visible entities by platform and key.
    entities = {
        key: item.entity_id
        for key, item in registered.items()
        if item.disabled_by is None and item.hidden_by is None
    }
    titles = translations(hass).dashboard
    contents = {
        "now": [
            *_gauge(entities),
            *_tiles(entities, _NOW),
            *_history(hass, entities, ["sensor.state_of_charge"]),
            *_history(hass, entities, ["sensor.power"]),
        ],
        "cells": [
            *_cells(entities),
            *(
                [_markdown(titles["cells_off"])]
                if _has_disabled_cells(registered)
                else ()
            ),
            *_tiles(entities, _DIFFERENCE),
            *_history(hass, entities, _CELLS),
        ],
        "temperatures": [
            *_tiles(entities, _TEMPERATURES),
            *_history(hass, entities, _TEMPERATURES),
        ],
        "heater": list(_tiles(entities, _HEATER)),
        "faults": list(_tiles(entities, _FAULTS)),
        "energy": [*_tiles(entities, _ENERGY), *_per_day(hass, entities)],
        "connection": list(_tiles(entities, _CONNECTION)),
    }
    for key, cards in contents.items():
        if cards:
            heading = {"type": "heading", "heading": titles[key]}
            yield {"type": "grid", "cards": [heading, *cards]}


def _markdown(text: str) -> Card:
    return {"type": "markdown", "content": text, "grid_options": {"columns": _FULL}}


def _tile(entity_id: str, **more: Any) -> Card:
    return {
        "type": "tile",
        "entity": entity_id,
        # Without the name of the battery, which is the title of the view.
        "name": {"type": "entity"},
        "grid_options": {"columns": _HALF},
        **more,
    }


def _tiles(entities: Entities, keys: Iterable[str]) -> Iterator[Card]:
    for key in keys:
        if (entity_id := entities.get(key)) is None:
            continue
        if key.startswith("switch."):
            yield _tile(entity_id, features=[{"type": "toggle"}])
        elif key == "sensor.active_faults":
            yield _tile(entity_id, grid_options={"columns": _FULL})
        else:
            yield _tile(entity_id)


def _gauge(entities: Entities) -> Iterator[Card]:
    if entity_id := entities.get("sensor.state_of_charge"):
        yield {
            "type": "gauge",
            "entity": entity_id,
            "name": {"type": "entity"},
            "severity": {"red": 0, "yellow": _LOW, "green": _MEDIUM},
            "grid_options": {"columns": _FULL},
        }


def _cells(entities: Entities) -> Iterator[Card]:
    """Yield a tile for each cell, four in a row, with its number as the name."""
    for number, key in enumerate(_CELLS, 1):
        if entity_id := entities.get(key):
            yield _tile(
                entity_id,
                name=str(number),
                vertical=True,
                grid_options={"columns": _QUARTER, "rows": 2},
            )


def _has_disabled_cells(registered: Mapping[str, er.RegistryEntry]) -> bool:
    """Return whether some cells are missing because they are disabled by default."""
    return any(
        registered[key].disabled_by is er.RegistryEntryDisabler.INTEGRATION
        for key in _CELLS
        if key in registered
    )


def _history(
    hass: HomeAssistant, entities: Entities, keys: Iterable[str]
) -> Iterator[Card]:
    shown = [entities[key] for key in keys if key in entities]
    if shown and "history" in hass.config.components:
        yield {
            "type": "history-graph",
            "hours_to_show": 24,
            "entities": [
                {"entity": entity_id, "name": {"type": "entity"}} for entity_id in shown
            ],
            "grid_options": {"columns": _FULL},
        }


def _per_day(hass: HomeAssistant, entities: Entities) -> Iterator[Card]:
    shown = [entities[key] for key in _ENERGY if key in entities]
    if shown and "recorder" in hass.config.components:
        yield {
            "type": "statistics-graph",
            "chart_type": "bar",
            "period": "day",
            "days_to_show": 7,
            "stat_types": ["change"],
            "entities": shown,
            "grid_options": {"columns": _FULL},
        }
