"""Sensors: every value, its name, unit and class."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import PRESETS
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    add_discovered,
    battery,
    enable_all,
    entity_id,
    value,
    wait_until,
)
from tests.harness import async_setup_battery

MEASUREMENT = SensorStateClass.MEASUREMENT
DIAGNOSTIC = EntityCategory.DIAGNOSTIC

# key: name, unit, device class, state class, category, enabled by default
WANTED: dict[str, tuple[str, str | None, str | None, str | None, str | None, bool]] = {
    "state_of_charge": (
        "State of charge", "%", SensorDeviceClass.BATTERY, MEASUREMENT, None, True,
    ),
    "voltage": (
        "Voltage", "V", SensorDeviceClass.VOLTAGE, MEASUREMENT, None, True,
    ),
    "current": ("Current", "A", SensorDeviceClass.CURRENT, MEASUREMENT, None, True),
    "power": ("Power", "W", SensorDeviceClass.POWER, MEASUREMENT, None, True),
    "charge_power": (
        "Charge power", "W", SensorDeviceClass.POWER, MEASUREMENT, None, False,
    ),
    "discharge_power": (
        "Discharge power", "W", SensorDeviceClass.POWER, MEASUREMENT, None, False,
    ),
    "energy_charged": (
        "Energy charged", "kWh", SensorDeviceClass.ENERGY,
        SensorStateClass.TOTAL_INCREASING, None, True,
    ),
    "energy_discharged": (
        "Energy discharged", "kWh", SensorDeviceClass.ENERGY,
        SensorStateClass.TOTAL_INCREASING, None, True,
    ),
    "operating_state": (
        "Status", None, SensorDeviceClass.ENUM, None, None, True,
    ),
    "remaining_capacity": (
        "Remaining capacity", "Ah", None, MEASUREMENT, None, True,
    ),
    "stored_energy": (
        "Stored energy", "Wh", SensorDeviceClass.ENERGY_STORAGE, MEASUREMENT, None, True,
    ),
    "energy_capacity": (
        "Energy capacity", "Wh", SensorDeviceClass.ENERGY_STORAGE, MEASUREMENT,
        DIAGNOSTIC, False,
    ),
    "time_to_empty": (
        "Time to empty", "h", SensorDeviceClass.DURATION, None, None, True,
    ),
    "time_to_full": (
        "Time to full", "h", SensorDeviceClass.DURATION, None, None, True,
    ),
    "time_to_reserve": (
        "Time to reserve", "h", SensorDeviceClass.DURATION, None, None, False,
    ),
    "last_full_charge": (
        "Last full charge", None, SensorDeviceClass.TIMESTAMP, None, DIAGNOSTIC, False,
    ),
    "recharge_due": (
        "Recharge due", None, SensorDeviceClass.TIMESTAMP, None, DIAGNOSTIC, False,
    ),
    "full_capacity": ("Full capacity", "Ah", None, MEASUREMENT, DIAGNOSTIC, False),
    "state_of_health": ("State of health", "%", None, MEASUREMENT, DIAGNOSTIC, False),
    "cycles": (
        "Charge cycles", None, None, SensorStateClass.TOTAL_INCREASING, DIAGNOSTIC, False,
    ),
    "min_cell_temperature": (
        "Lowest cell temperature", "°C", SensorDeviceClass.TEMPERATURE, MEASUREMENT,
        None, True,
    ),
    "max_cell_temperature": (
        "Highest cell temperature", "°C", SensorDeviceClass.TEMPERATURE, MEASUREMENT,
        None, False,
    ),
    "probe_1": (
        "Temperature probe 1", "°C", SensorDeviceClass.TEMPERATURE, MEASUREMENT, None,
        False,
    ),
    "ambient_temperature": (
        "Ambient temperature", "°C", SensorDeviceClass.TEMPERATURE, MEASUREMENT,
        DIAGNOSTIC, False,
    ),
    "pcb_temperature": (
        "Circuit board temperature", "°C", SensorDeviceClass.TEMPERATURE, MEASUREMENT,
        DIAGNOSTIC, False,
    ),
    "highest_cell_voltage": (
        "Highest cell voltage", "V", SensorDeviceClass.VOLTAGE, MEASUREMENT, DIAGNOSTIC,
        False,
    ),
    "lowest_cell_voltage": (
        "Lowest cell voltage", "V", SensorDeviceClass.VOLTAGE, MEASUREMENT, DIAGNOSTIC,
        False,
    ),
    "average_cell_voltage": (
        "Average cell voltage", "V", SensorDeviceClass.VOLTAGE, MEASUREMENT, DIAGNOSTIC,
        False,
    ),
    "cell_voltage_delta": (
        "Cell voltage difference", "mV", SensorDeviceClass.VOLTAGE, MEASUREMENT,
        DIAGNOSTIC, True,
    ),
    "highest_cell": ("Cell with highest voltage", None, None, None, DIAGNOSTIC, False),
    "lowest_cell": ("Cell with lowest voltage", None, None, None, DIAGNOSTIC, False),
    "cell_4": (
        "Cell 4 voltage", "V", SensorDeviceClass.VOLTAGE, MEASUREMENT, DIAGNOSTIC, True,
    ),
    "full_charge_cell_voltage_delta": (
        "Cell voltage difference at full charge", "mV", SensorDeviceClass.VOLTAGE,
        MEASUREMENT, DIAGNOSTIC, False,
    ),
    "storage_advice": (
        "Storage advice", None, SensorDeviceClass.ENUM, None, None, False,
    ),
    "measured_capacity": (
        "Measured capacity", "Ah", None, MEASUREMENT, DIAGNOSTIC, False,
    ),
    "measured_health": (
        "Measured health", "%", None, MEASUREMENT, DIAGNOSTIC, False,
    ),
    "charge_discharged": (
        "Charge discharged", "Ah", None, SensorStateClass.TOTAL_INCREASING, DIAGNOSTIC,
        False,
    ),
    "equivalent_full_cycles": (
        "Equivalent full cycles", None, None, SensorStateClass.TOTAL_INCREASING,
        DIAGNOSTIC, False,
    ),
    "protection_trips": (
        "Protection trips", None, None, SensorStateClass.TOTAL_INCREASING, DIAGNOSTIC,
        False,
    ),
    "lowest_state_of_charge_recorded": (
        "Lowest state of charge recorded", "%", None, None, DIAGNOSTIC, False,
    ),
    "highest_cell_voltage_recorded": (
        "Highest cell voltage recorded", "V", SensorDeviceClass.VOLTAGE, None,
        DIAGNOSTIC, False,
    ),
    "lowest_cell_voltage_recorded": (
        "Lowest cell voltage recorded", "V", SensorDeviceClass.VOLTAGE, None,
        DIAGNOSTIC, False,
    ),
    "highest_temperature_recorded": (
        "Highest temperature recorded", "°C", SensorDeviceClass.TEMPERATURE, None,
        DIAGNOSTIC, False,
    ),
    "lowest_temperature_recorded": (
        "Lowest temperature recorded", "°C", SensorDeviceClass.TEMPERATURE, None,
        DIAGNOSTIC, False,
    ),
    "connection_status": ("Connection status", None, SensorDeviceClass.ENUM, None, DIAGNOSTIC, True),
    "last_update": (
        "Last update", None, SensorDeviceClass.TIMESTAMP, None, DIAGNOSTIC, False,
    ),
    "signal_strength": (
        "Signal strength", "dBm", SensorDeviceClass.SIGNAL_STRENGTH, MEASUREMENT,
        DIAGNOSTIC, False,
    ),
}  # fmt: skip

# Expected values that a user can read elsewhere, without a sensor of their own.
NO_SENSOR = {
    "charging", "heating", "heating_enabled", "protections", "warnings",
    "balancing_cells", "charge_energy_kwh", "discharge_energy_kwh", "model", "firmware",
    "serial", "module_id", "rs485_protocol", "can_protocol", "max_charge_current",
}  # fmt: skip


def shown(state: str) -> float | str:
    """Return a state in the form of the expected value."""
    try:
        return float(state)
    except ValueError:
        return state


@pytest.mark.parametrize("preset", PRESETS)
async def test_sensors_in_each_state_show_the_simulated_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, preset: str
) -> None:
    """Each state of the simulated battery, each value, nothing missing."""
    pack = battery(preset)
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    expected_values = pack.expected_values()
    for key in expected_values.keys() - NO_SENSOR:
        state = value(hass, pack.address, key)
        assert state is not None, key
        wanted = expected_values[key]
        assert shown(state) == (
            pytest.approx(wanted) if isinstance(wanted, float) else wanted
        ), key


@pytest.mark.parametrize("current", [-0.1, -6.2, -300.0, 0.0, 0.1, 150.0])
async def test_current_power_and_state_have_the_same_direction(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, current: float
) -> None:
    """Positive is charging, everywhere."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(pack.reported(), current=current)
    entry = (
        await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    ).entry
    assert value(hass, pack.address, "current") == str(current)
    power = float(value(hass, pack.address, "power") or "nan")
    assert power == round(entry.runtime_data.coordinator.data.voltage * current)
    # The pair that the energy dashboard takes.
    for key, wanted in (("charge_power", power), ("discharge_power", -power)):
        assert float(value(hass, pack.address, key) or "nan") == max(wanted, 0), key
    assert entry.runtime_data.coordinator.data.charging is (current > 0)


@pytest.mark.parametrize("temperature", [-1, -10, -30, 0])
async def test_temperatures_below_zero_are_negative(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, temperature: int
) -> None:
    """Below zero, and at zero, in every temperature sensor."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(
        pack.reported(),
        pcb_temperature=temperature,
        ambient_temperature=temperature or -1,
        probe_temperatures=(temperature, temperature),
        max_cell_temperature=temperature,
    )
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    for key in (
        "probe_1", "probe_2", "min_cell_temperature", "max_cell_temperature",
        "pcb_temperature",
    ):  # fmt: skip
        assert value(hass, pack.address, key) == str(temperature)
    assert value(hass, pack.address, "ambient_temperature") == str(temperature or -1)


@pytest.mark.parametrize("absent", [0xAA, 0xC8, 0xD8, 0x7F])
async def test_absent_probe_gets_no_sensor(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, absent: int
) -> None:
    """And it changes no other value."""
    pack = battery("idle", missing_probes=(2,), absent_byte=absent)
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    registry = er.async_get(hass)
    assert (
        registry.async_get_entity_id("sensor", DOMAIN, f"{pack.address}_probe_2")
        is None
    )
    expected_values = pack.expected_values()
    assert value(hass, pack.address, "probe_1") == str(expected_values["probe_1"])
    assert value(hass, pack.address, "max_cell_temperature") == str(
        expected_values["max_cell_temperature"]
    )


async def test_board_without_probes_shows_no_temperature(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As recorded from one board on a bench."""
    pack = battery("idle", missing_probes=(1, 2), ambient_sensor=False)
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    assert value(hass, pack.address, "max_cell_temperature") == "unknown"
    assert value(hass, pack.address, "min_cell_temperature") == "unknown"
    registry = er.async_get(hass)
    for key in ("probe_1", "probe_2", "ambient_temperature"):
        assert (
            registry.async_get_entity_id("sensor", DOMAIN, f"{pack.address}_{key}")
            is None
        )


async def test_ambient_sensor_with_a_later_value_is_added(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """At exactly 0 °C it looks like an absent one."""
    pack = battery("idle")
    pack.hold = True
    state = pack.reported()
    pack.override = replace(state, ambient_temperature=0, probe_temperatures=(20, None))
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    registry = er.async_get(hass)
    for key in ("probe_2", "ambient_temperature"):
        assert (
            registry.async_get_entity_id("sensor", DOMAIN, f"{pack.address}_{key}")
            is None
        )
    pack.override = replace(state, ambient_temperature=-2, probe_temperatures=(20, 19))
    await asyncio.sleep(11)
    await hass.async_block_till_done()
    await enable_all(hass, pack.address)
    assert value(hass, pack.address, "ambient_temperature") == "-2"
    assert value(hass, pack.address, "probe_2") == "19"
    # Known from now on, also at 0 °C and without the battery.
    pack.override = replace(state, ambient_temperature=0, probe_temperatures=(20, 0))
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_until(lambda: value(hass, pack.address, "ambient_temperature") == "0")
    assert value(hass, pack.address, "probe_2") == "0"


async def test_operating_state_with_an_unknown_code_is_unknown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A code that no document has is not guessed at."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(pack.reported(), operating_state=3)
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    assert value(hass, pack.address, "operating_state") == "unknown"


async def test_remaining_capacity_without_counting_is_unknown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """0 Ah at 60 % is no measurement."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(pack.reported(), remaining_capacity=0.0, state_of_charge=60)
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    assert value(hass, pack.address, "remaining_capacity") == "unknown"


@pytest.mark.parametrize(
    ("preset", "cells", "enabled"),
    [("idle", 4, True), ("driving_load", 8, True), ("failing_cell", 16, False)],
)
async def test_cells_have_sensors_enabled_up_to_eight(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    preset: str,
    cells: int,
    enabled: bool,
) -> None:
    """More would crowd the device page."""
    pack = battery(preset)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    found = {
        entity.unique_id: entity.disabled_by is None
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
        if entity.translation_key == "cell"
    }
    assert found == {
        f"{pack.address}_cell_{number}": enabled for number in range(1, cells + 1)
    }


async def test_sensors_have_the_listed_names_units_and_classes(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The whole table, as Home Assistant and the user see it."""
    pack = battery("idle")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    registry = er.async_get(hass)
    before = {
        key: registry.async_get(entity_id(hass, pack.address, key)) for key in WANTED
    }
    await enable_all(hass, pack.address)
    found: dict[str, Any] = {}
    for key, entity in before.items():
        assert entity is not None
        state = hass.states.get(entity.entity_id)
        assert state is not None, key
        attributes = state.attributes
        found[key] = (
            attributes["friendly_name"].removeprefix(f"{pack.name} "),
            attributes.get("unit_of_measurement"),
            attributes.get("device_class"),
            attributes.get("state_class"),
            entity.entity_category,
            entity.disabled_by is None,
        )
    assert found == WANTED


async def test_connection_sensors_follow_every_poll(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also while values stay the same, or the battery is unavailable."""
    pack = battery("idle")
    pack.hold = True
    peripheral = await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter()
    adapter.radio.rssi[pack.address] = -71
    await add_discovered(hass, pack.address)
    await enable_all(hass, pack.address)
    first = value(hass, pack.address, "last_update")
    assert value(hass, pack.address, "signal_strength") == "-71"
    await asyncio.sleep(11)
    second = value(hass, pack.address, "last_update")
    assert first is not None
    assert second is not None
    assert first < second
    await peripheral.stop()
    await asyncio.sleep(300)
    assert value(hass, pack.address, "voltage") == "unavailable"
    last = value(hass, pack.address, "last_update")
    assert last == second


async def test_attributes_do_not_change_with_the_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Every attribute is stored with every state."""
    pack = battery("solar_charging")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    before = {
        state.entity_id: state.attributes for state in hass.states.async_all("sensor")
    }
    await asyncio.sleep(600)
    after = {
        state.entity_id: state.attributes for state in hass.states.async_all("sensor")
    }
    assert before == after
