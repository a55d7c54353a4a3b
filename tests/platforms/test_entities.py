"""The device page as a whole."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from homeassistant.components.sensor import SensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import async_get_platforms

from custom_components.voltgo_vlrv import PLATFORMS
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, battery
from tests.platforms.test_faults import TABLE_6_1

ON_THE_PAGE = {
    "binary_sensor": {
        "charging", "heating", "low_battery", "problem", "too_cold_to_charge",
        *TABLE_6_1,
    },
    "button": {"refresh", "release"},
    "event": {"protection"},
    "select": {"can_protocol", "module_id", "rs485_protocol"},
    "sensor": {
        "active_faults", "cell_1", "cell_2", "cell_3", "cell_4", "cell_voltage_delta",
        "current", "energy_charged", "energy_discharged", "connection_status",
        "min_cell_temperature", "operating_state", "power", "remaining_capacity",
        "pending_settings", "state_of_charge",
        "stored_energy", "time_to_empty", "time_to_full", "voltage",
    },
    "switch": {"bluetooth_connection", "heater"},
    "update": {"bms_firmware"},
}  # fmt: skip
# A table of attributes with more is twice as large, and with some changes four times.
KEPT = 42


async def test_device_page_of_a_small_battery_shows_the_listed_entities(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Which ones are enabled is a decision."""
    pack = battery("solar_charging", reports_thresholds=True)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await asyncio.sleep(5)
    found: dict[str, set[str]] = {}
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        if entity.disabled_by is None:
            key = entity.unique_id.removeprefix(f"{pack.address}_")
            found.setdefault(entity.domain, set()).add(key)
    assert found == ON_THE_PAGE


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "nl"])
async def test_entities_in_each_language_have_names_and_states(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, language: str
) -> None:
    """Also the texts inside of a state."""
    hass.config.language = language
    pack = battery("winter")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await asyncio.sleep(5)
    names = []
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        assert entity.original_name, entity.unique_id
        assert "{" not in entity.original_name
        names.append(entity.original_name)
    assert len(names) == len(set(names))
    faults = hass.states.get(
        next(
            entity.entity_id
            for entity in er.async_entries_for_config_entry(
                er.async_get(hass), entry.entry_id
            )
            if entity.unique_id.endswith("active_faults")
        )
    )
    assert faults is not None
    english = "Charge under-temperature protection"
    assert (faults.state == english) is (language == "en")
    assert faults.state


async def test_entity_in_memory_stores_only_its_own_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """There are hundreds of them on a small computer."""
    pack = battery("driving_load")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    await asyncio.sleep(600)
    looked_at: list[Entity] = [
        entity
        for platform in async_get_platforms(hass, DOMAIN)
        for entity in platform.entities.values()
        if platform.domain != "update"
    ]
    assert sum(isinstance(entity, SensorEntity) for entity in looked_at) >= 15
    sizes = {entity.entity_id: len(vars(entity)) for entity in looked_at}
    assert {name: size for name, size in sizes.items() if size > KEPT} == {}


async def test_entities_after_removal_leave_no_listener(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each listens from when it is added, a disabled one never, until it is removed."""
    pack = battery("driving_load")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await asyncio.sleep(5)
    entities: list[Any] = [
        entity
        for platform in async_get_platforms(hass, DOMAIN)
        for entity in platform.entities.values()
    ]
    (coordinator,) = {entity.coordinator for entity in entities}
    listening = {
        getattr(callback, "__self__", None)
        for callback, _ in coordinator._listeners.values()
    }
    assert {one for one in listening if isinstance(one, Entity)} == {*entities}
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert coordinator._listeners == {}


def test_platforms_declare_parallel_updates() -> None:
    """A platform without that would be limited by Home Assistant's default."""
    for platform in PLATFORMS:
        module = importlib.import_module(f"custom_components.{DOMAIN}.{platform}")
        assert module.PARALLEL_UPDATES >= 0
