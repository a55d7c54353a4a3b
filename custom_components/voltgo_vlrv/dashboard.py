"""Dashboard: generated from the enabled entities of all batteries and banks.

"Add dashboard" lists it as a community dashboard (Home Assistant 2026.5 or later). A few
lines of JavaScript register it and request its configuration, which is generated each
time it is opened. So it follows renamed, new and disabled entities, needs no internet
connection, and uses only Home Assistant's own cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from homeassistant.components import frontend, websocket_api
from homeassistant.components.http import StaticPathConfig
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.loader import async_get_integration

from .const import DOMAIN
from .dashboard_cards import (
    CHARGE,
    FULL,
    HEATER,
    POWER,
    QUARTER,
    SETTINGS,
    Card,
    Device,
    banners,
    charge_tile,
    gauge,
    graph,
    markdown,
    shown_while_any,
    summary,
    tile,
    tiles,
    with_whole_names,
)
from .dashboard_report import report_view
from .entries import is_bank, members_of
from .localization import async_load_translations, translations
from .vlrv.faults import FAULTS

SCRIPT: Final = Path(__file__).with_suffix(".js")
SCRIPT_URL: Final = f"/{DOMAIN}/{SCRIPT.name}"
COMMAND: Final = f"{DOMAIN}/dashboard"
SECTION_COMMAND: Final = f"{DOMAIN}/section"
URL_PATH: Final = "url_path"

# In the order in which they are asked for.
_NOW: Final = (
    "sensor.operating_state",
    "sensor.voltage",
    "sensor.bank_voltage",
    "sensor.current",
    "sensor.stored_energy",
    "sensor.remaining_capacity",
    "sensor.time_to_reserve",
    "binary_sensor.heating",
    "sensor.state_of_charge_spread",
    "sensor.current_imbalance",
    "sensor.batteries_reporting",
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
_FAULTS: Final = (
    *(f"binary_sensor.{fault.key}" for fault in FAULTS),
    "binary_sensor.warning",
    "binary_sensor.error",
)
_ENERGY: Final = ("sensor.energy_charged", "sensor.energy_discharged")
_SETTINGS: Final = (
    HEATER,
    "switch.bluetooth_connection",
    "button.release",
    *SETTINGS,
)
_DIAGNOSTICS: Final = (
    "sensor.connection_status",
    "sensor.signal_strength",
    "sensor.last_update",
    "button.refresh",
    "event.protection",
    "sensor.state_of_health",
    "sensor.bank_state_of_health",
    "sensor.cycles",
    "sensor.last_full_charge",
    "sensor.recharge_due",
    "sensor.storage_advice",
    "sensor.measured_capacity",
    "sensor.measured_health",
    "sensor.equivalent_full_cycles",
    "sensor.charge_discharged",
    "sensor.protection_trips",
    "sensor.full_charge_cell_voltage_delta",
)


async def async_setup_dashboard(hass: HomeAssistant) -> None:
    """Register the dashboard, if the frontend is set up."""
    if frontend.DOMAIN not in hass.config.components:
        return
    websocket_api.async_register_command(hass, _handle_dashboard)
    websocket_api.async_register_command(hass, _handle_section)
    await hass.http.async_register_static_paths(
        [StaticPathConfig(SCRIPT_URL, str(SCRIPT), cache_headers=False)]
    )
    version = (await async_get_integration(hass, DOMAIN)).version
    frontend.add_extra_js_url(hass, f"{SCRIPT_URL}?v={version}")


@websocket_api.websocket_command({"type": COMMAND, URL_PATH: str})
@websocket_api.async_response
async def _handle_dashboard(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> None:
    await async_load_translations(hass)
    connection.send_result(message["id"], dashboard_config(hass, message.get(URL_PATH)))


@websocket_api.websocket_command({"type": SECTION_COMMAND})
@websocket_api.async_response
async def _handle_section(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> None:
    await async_load_translations(hass)
    connection.send_result(message["id"], section_config(hass))


def dashboard_config(
    hass: HomeAssistant, url_path: str | None = None
) -> dict[str, Any]:
    """Return the configuration: an overview, a view for each bank and battery, a report.

    `url_path` is that of the dashboard, for the way from the overview to the others.
    """
    entries = _sorted_entries(hass)
    devices = [_device(hass, entry) for entry in entries]
    views = [_view(hass, device) for device in devices]
    texts = translations(hass).dashboard
    if not views:
        text = markdown(texts["no_battery"])
        views = [{"title": "Voltgo VLRV", "cards": [text]}]
    elif len(views) > 1:
        views.insert(0, _overview(devices, texts["overview"], url_path))
    if (report := report_view(hass, entries)) is not None:
        views.append(report)
    return {"views": views}


def section_config(hass: HomeAssistant) -> dict[str, Any]:
    """Return a section of the user's own page: the banks and batteries in brief."""
    devices = [_device(hass, entry) for entry in _sorted_entries(hass)]
    cards = [card for device in devices for card in _brief(device)]
    if not cards:
        cards = [markdown(translations(hass).dashboard["no_battery"])]
    return {"type": "grid", "cards": cards}


def _sorted_entries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the enabled entries: each bank with its batteries, then the others."""
    entries = hass.config_entries.async_entries(
        DOMAIN, include_ignore=False, include_disabled=False
    )
    banks = [entry for entry in entries if is_bank(entry)]
    batteries = {entry.unique_id: entry for entry in entries if not is_bank(entry)}
    ordered: list[ConfigEntry[Any]] = []
    for bank in banks:
        ordered.append(bank)
        ordered += [
            batteries.pop(address)
            for address in members_of(bank)
            if address in batteries
        ]
    return ordered + list(batteries.values())


def _device(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Device:
    prefix = f"{entry.entry_id if is_bank(entry) else entry.unique_id}_"
    registered = {
        f"{item.domain}.{item.unique_id.removeprefix(prefix)}": item
        for item in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    device = next(
        iter(dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)),
        None,
    )
    all_texts = translations(hass)
    return Device(
        name=(device and (device.name_by_user or device.name)) or entry.title,
        # It must not change when the battery is renamed.
        path=entry.entry_id.lower(),
        # Enabled and visible ones.
        entities={
            key: item.entity_id
            for key, item in registered.items()
            if item.disabled_by is None and item.hidden_by is None
        },
        entity_names={
            item.entity_id: item.name or item.original_name or ""
            for item in registered.values()
        },
        disabled=frozenset(
            key
            for key, item in registered.items()
            if item.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        ),
        texts={**all_texts.dashboard, "no_settings": all_texts.settings["none"]},
    )


def _overview(
    devices: list[Device], title: str, url_path: str | None
) -> dict[str, Any]:
    return {
        "title": title,
        "path": "overview",
        "type": "sections",
        "max_columns": 4,
        "sections": [
            {"type": "grid", "cards": list(_brief(device, url_path))}
            for device in devices
        ],
    }


def _brief(device: Device, url_path: str | None = None) -> Iterator[Card]:
    """Yield what is wrong with a device, its charge and its power, below its name."""
    heading: Card = {"type": "heading", "heading": device.name}
    if url_path is not None:
        heading["tap_action"] = {
            "action": "navigate",
            "navigation_path": f"/{url_path}/{device.path}",
        }
    yield heading
    yield from banners(device)
    yield from charge_tile(device)
    yield from tiles(device, ("sensor.operating_state",))
    yield from summary(device)


def _view(hass: HomeAssistant, device: Device) -> dict[str, Any]:
    return {
        "title": device.name,
        "path": device.path,
        "type": "sections",
        "max_columns": 4,
        "sections": list(_sections(hass, device)),
    }


def _sections(hass: HomeAssistant, device: Device) -> Iterator[dict[str, Any]]:
    """Yield the sections; a phone shows them one below the other."""
    if warnings := list(banners(device)):
        yield {
            "type": "grid",
            "column_span": 4,
            "cards": warnings,
            "visibility": shown_while_any(warnings),
        }
    # Half the width of a phone cuts off "under-" from "over-temperature protection".
    wide = {"columns": FULL}
    faults = list(tiles(device, _FAULTS, color="red", grid_options=wide))
    contents: dict[str, list[Card]] = {
        "now": [*gauge(device), *summary(device), *tiles(device, _NOW)],
        "history": [
            *_history(hass, device, [CHARGE], min_y_axis=0, max_y_axis=100),
            *_history(hass, device, [POWER]),
        ],
        "faults": faults,
        "cells": [
            *_cells(device),
            *(
                [markdown(device.texts["cells_off"])]
                if device.disabled.intersection(_CELLS)
                else ()
            ),
            *tiles(device, _DIFFERENCE),
            *_history(hass, device, _CELLS),
        ],
        "temperatures": [
            *tiles(device, _TEMPERATURES),
            *_history(hass, device, _TEMPERATURES),
        ],
        "energy": [*tiles(device, _ENERGY), *_per_day(hass, device)],
        "settings": list(tiles(device, _SETTINGS)),
        "diagnostics": list(tiles(device, _DIAGNOSTICS)),
    }
    for key, cards in contents.items():
        if cards:
            heading = {"type": "heading", "heading": device.texts[key]}
            whole = with_whole_names(device, cards)
            section = {"type": "grid", "cards": [heading, *whole]}
            if cards is faults:
                section["visibility"] = shown_while_any(faults)
            yield section


def _cells(device: Device) -> Iterator[Card]:
    """Yield a tile for each cell, four in a row, with its number as the name."""
    for number, key in enumerate(_CELLS, 1):
        if entity_id := device.entities.get(key):
            yield tile(
                entity_id,
                name=str(number),
                vertical=True,
                grid_options={"columns": QUARTER, "rows": 2},
            )


def _history(
    hass: HomeAssistant, device: Device, keys: Iterable[str], **more: Any
) -> Iterator[Card]:
    if "history" in hass.config.components:
        yield from graph(
            [device.entities[key] for key in keys if key in device.entities], **more
        )


def _per_day(hass: HomeAssistant, device: Device) -> Iterator[Card]:
    shown = [device.entities[key] for key in _ENERGY if key in device.entities]
    if shown and "recorder" in hass.config.components:
        yield {
            "type": "statistics-graph",
            "chart_type": "bar",
            "period": "day",
            "days_to_show": 7,
            "stat_types": ["change"],
            "entities": shown,
            "grid_options": {"columns": FULL},
        }
