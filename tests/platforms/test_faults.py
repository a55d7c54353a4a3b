"""Faults of manual table 6-1, tripped and cleared by the battery's physics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.const import EVENT_STATE_CHANGED, EntityCategory
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.vlrv.faults import FAULTS
from simulator.battery import SimulatedBattery
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    add_discovered,
    battery,
    enable_all,
    entity_id,
    value,
)
from tests.harness import async_setup_battery

TABLE_6_1 = (
    "cell_ovp", "cell_uvp", "pack_ovp", "pack_uvp", "charge_otp", "charge_utp",
    "discharge_otp", "discharge_utp", "charge_ocp", "discharge_ocp", "short_circuit",
    "full_charge", "full_discharge",
)  # fmt: skip


async def live(pack: SimulatedBattery, condition: Callable[[], bool]) -> None:
    """Let the battery live through minutes for each poll, a day at most."""
    for _ in range(24 * 12):
        await asyncio.sleep(POLL_INTERVAL)
        if condition():
            return
        pack.advance(300)
    raise AssertionError("the battery does not do that")


def binary(hass: HomeAssistant, pack: SimulatedBattery, key: str) -> str:
    """Return the state of a binary sensor."""
    state = value(hass, pack.address, key, "binary_sensor")
    assert state is not None, key
    return state


def icon(hass: HomeAssistant, pack: SimulatedBattery) -> str | None:
    """Return the icon of the active faults."""
    state = hass.states.get(entity_id(hass, pack.address, "active_faults"))
    assert state is not None
    return state.attributes.get("icon")


def events(hass: HomeAssistant, pack: SimulatedBattery) -> list[dict[str, Any]]:
    """Return a list that grows with the protection events."""
    entity = entity_id(hass, pack.address, "protection", "event")
    fired: list[dict[str, Any]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == entity:
            attributes = event.data["new_state"].attributes
            fired.append(
                {
                    key: attributes[key]
                    for key in ("event_type", "bit")
                    if key in attributes
                }
            )

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    return fired


def cool(pack: SimulatedBattery) -> None:
    """Let the night fall."""
    pack.ambient = -15.0


def warm(pack: SimulatedBattery) -> None:
    """Let the sun rise."""
    pack.ambient = 25.0


def heat(pack: SimulatedBattery) -> None:
    """Put it beside the engine."""
    pack.ambient = 90.0


def freeze(pack: SimulatedBattery) -> None:
    """Park it in Lapland."""
    pack.ambient = -40.0


def overcharge(pack: SimulatedBattery) -> None:
    """Let a wrong charger push."""
    pack.charger_voltage = 18.0
    pack.demand_current = 80.0


def drain(pack: SimulatedBattery) -> None:
    """Leave the fridge on."""
    pack.demand_current = -90.0


def rest(pack: SimulatedBattery) -> None:
    """Take load and charger off."""
    pack.demand_current = 0.0


def recharge(pack: SimulatedBattery) -> None:
    """Charge gently."""
    pack.charger_voltage = 14.2
    pack.demand_current = 30.0


def load_hard(pack: SimulatedBattery) -> None:
    """Start an inverter that is too big."""
    pack.demand_current = -130.0


def charge_hard(pack: SimulatedBattery) -> None:
    """Use a charger that is too big."""
    pack.demand_current = 130.0


def short(pack: SimulatedBattery) -> None:
    """Drop a spanner on the terminals."""
    pack.demand_current = -400.0


@pytest.mark.parametrize(
    ("key", "state", "trip", "clear"),
    [
        ("short_circuit", {}, short, rest),
        ("charge_utp", {}, cool, warm),
        ("charge_otp", {}, heat, warm),
        ("discharge_utp", {}, freeze, warm),
        ("discharge_otp", {}, heat, warm),
        ("pack_ovp", {"state_of_charge": 99.0}, overcharge, drain),
        (
            "cell_ovp",
            {"capacity_factors": {3: 0.7}, "resistance_factors": {3: 4.0}},
            overcharge,
            drain,
        ),
        ("pack_uvp", {"state_of_charge": 3.0}, drain, recharge),
        (
            "cell_uvp",
            {"capacity_factors": {2: 0.7}},
            drain,
            recharge,
        ),
        ("discharge_ocp", {}, load_hard, rest),
        ("charge_ocp", {"state_of_charge": 30.0}, charge_hard, rest),
    ],
)
async def test_protection_by_the_physics_trips_and_clears(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    key: str,
    state: dict[str, Any],
    trip: Callable[[SimulatedBattery], None],
    clear: Callable[[SimulatedBattery], None],
) -> None:
    """Binary sensor, summary, text and event follow the simulated battery."""
    pack = battery("idle", **state)
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    fired = events(hass, pack)
    assert binary(hass, pack, key) == "off"
    assert binary(hass, pack, "problem") == "off"
    assert value(hass, pack.address, "active_faults") == "None"
    assert icon(hass, pack) == "mdi:shield-check"

    name = hass.states.get(entity_id(hass, pack.address, key, "binary_sensor"))
    assert name is not None
    words = name.attributes["friendly_name"].removeprefix(f"{pack.name} ")

    trip(pack)
    await live(pack, lambda: binary(hass, pack, key) == "on")
    assert binary(hass, pack, "problem") == "on"
    faults = value(hass, pack.address, "active_faults")
    assert faults is not None
    assert words in faults
    assert icon(hass, pack) == "mdi:shield-alert"
    assert {"event_type": f"{key}_tripped"} in fired

    clear(pack)
    await live(pack, lambda: binary(hass, pack, key) == "off")
    assert {"event_type": f"{key}_cleared"} in fired
    assert fired.count({"event_type": f"{key}_tripped"}) == 1


@pytest.mark.parametrize(
    ("key", "charge", "trip", "clear"),
    [
        ("full_charge", 97.0, recharge, drain),
        ("full_discharge", 2.0, drain, recharge),
    ],
)
async def test_full_and_empty_follow_the_charge(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    key: str,
    charge: float,
    trip: Callable[[SimulatedBattery], None],
    clear: Callable[[SimulatedBattery], None],
) -> None:
    """States of the manual's table, by the physics of the battery."""
    pack = battery("idle", state_of_charge=charge)
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    assert binary(hass, pack, key) == "off"
    trip(pack)
    await live(pack, lambda: binary(hass, pack, key) == "on")
    clear(pack)
    await live(pack, lambda: binary(hass, pack, key) == "off")


async def test_event_with_a_protection_active_when_added_fires_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The sensors show it at once, and a reload tells nothing new."""
    pack = battery("winter")
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    await asyncio.sleep(POLL_INTERVAL + 1)
    entity = hass.states.get(entity_id(hass, pack.address, "protection", "event"))
    assert entity is not None
    assert entity.attributes["event_type"] == "charge_utp_tripped"
    fired = events(hass, pack)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(2 * POLL_INTERVAL)
    restored = hass.states.get(entity.entity_id)
    assert restored is not None
    assert restored.state == entity.state
    assert {"event_type": "charge_utp_cleared"} not in fired
    assert binary(hass, pack, "charge_utp") == "on"
    assert binary(hass, pack, "too_cold_to_charge") == "on"
    assert binary(hass, pack, "charging") == "off"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.key)
async def test_each_protection_bit_has_a_text_and_an_event(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: Any
) -> None:
    """Also those that the simulated physics never cause."""
    pack = battery("idle")
    pack.hold = True
    entry = (
        await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    ).entry
    fired = events(hass, pack)
    pack.override = replace(pack.reported(), protection=int(fault.mask))
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert binary(hass, pack, "problem") == "on"
    assert value(hass, pack.address, "protection_code") == str(int(fault.mask))
    shown = "full_discharge" if fault.key == "low_capacity" else fault.key
    for key in (*(other.key for other in FAULTS), "full_discharge"):
        if key != "low_capacity":
            assert binary(hass, pack, key) == ("on" if key == shown else "off")
    assert fired == [{"event_type": f"{fault.key}_tripped"}]
    assert entry.runtime_data.coordinator.data.protections == fault.mask


async def test_unknown_bits_are_shown_as_unknown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A newer firmware may use more than any document describes."""
    pack = battery("idle")
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    fired = events(hass, pack)
    pack.override = replace(pack.reported(), protection=0x8400)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert value(hass, pack.address, "active_faults") == (
        "Charge under-temperature protection, Unknown protection 15"
    )
    assert binary(hass, pack, "problem") == "on"
    pack.override = replace(pack.reported(), protection=0x4000)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert value(hass, pack.address, "active_faults") == "Unknown protection 14"
    assert fired == [
        {"event_type": "charge_utp_tripped"},
        {"event_type": "unknown_bit_tripped", "bit": 15},
        {"event_type": "charge_utp_cleared"},
        {"event_type": "unknown_bit_cleared", "bit": 15},
        {"event_type": "unknown_bit_tripped", "bit": 14},
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"error": 0x0022}, "Error 0022"),
        ({"operating_state": 4}, "Unnamed protection"),
        ({"operating_state": 6}, "Unnamed protection"),  # a code of no known state
        (
            {"protection": 0x0400, "error": 0x0001, "operating_state": 4},
            "Charge under-temperature protection, Error 0001",
        ),
    ],
)
async def test_active_faults_while_problem_is_on_name_it(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    change: dict[str, Any],
    text: str,
) -> None:
    """Never "None" beside a problem."""
    pack = battery("idle")
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    pack.override = replace(pack.reported(), **change)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert binary(hass, pack, "problem") == "on"
    assert value(hass, pack.address, "active_faults") == text
    protection = change.get("operating_state", 0) & 4
    assert value(hass, pack.address, "operating_state") == (
        "protection" if protection else "standby"
    )


async def test_active_faults_with_too_many_faults_are_cut(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A state has 255 characters at most."""
    pack = battery("idle")
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    pack.override = replace(pack.reported(), protection=0xFFFF)
    await asyncio.sleep(POLL_INTERVAL + 1)
    faults = value(hass, pack.address, "active_faults")
    assert faults is not None
    assert 200 < len(faults) <= 255
    assert faults.startswith(
        "Cell overvoltage protection, Cell undervoltage protection, "
    )
    assert faults.endswith(" protection, ...")


@pytest.mark.parametrize(
    ("change", "on"),
    [
        ({"warning": 0x0400}, {"warning"}),
        ({"error": 0x0022}, {"error", "problem"}),
        ({"operating_state": 4}, {"problem"}),
        ({"operating_state": 6}, {"problem"}),  # a code of no known state
        ({"warning": 0x2000}, {"warning", "full_charge"}),
        ({"warning": 0x2000, "operating_state": 2}, {"warning"}),
        ({"state_of_charge": 100, "remaining_capacity": 100.0}, {"full_charge"}),
        (
            {"state_of_charge": 100, "remaining_capacity": 100.0, "operating_state": 2},
            set(),
        ),
        (
            {"state_of_charge": 0, "remaining_capacity": 0.0},
            {"full_discharge", "low_battery"},
        ),
        ({"heating": True}, {"heating"}),
        ({"current": 5.0, "operating_state": 1}, {"charging"}),
        ({"current": -5.0, "operating_state": 2}, set()),
    ],
)
async def test_summary_sensors_in_each_state_turn_on_as_listed(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    change: dict[str, Any],
    on: set[str],
) -> None:
    """Which of the summaries a reported state turns on, and no other."""
    pack = battery("idle")
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    pack.override = replace(pack.reported(), **change)
    await asyncio.sleep(POLL_INTERVAL + 1)
    keys = {
        "warning", "error", "problem", "full_charge", "full_discharge", "heating",
        "charging", "low_battery",
    }  # fmt: skip
    assert {key for key in keys if binary(hass, pack, key) == "on"} == on


async def test_low_battery_has_a_threshold_and_a_hysteresis(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """20 % unless the user sets another value; 2 % up before it ends."""
    pack = battery("idle")
    pack.hold = True
    entry = (
        await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    ).entry

    async def report(charge: int) -> str:
        pack.override = replace(pack.reported(), state_of_charge=charge)
        await asyncio.sleep(POLL_INTERVAL + 1)
        return binary(hass, pack, "low_battery")

    assert [await report(charge) for charge in (22, 21, 20, 19, 21, 22, 21, 20)] == [
        "off", "off", "on", "on", "on", "off", "off", "on",
    ]  # fmt: skip

    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "general"}
    )
    await hass.config_entries.options.async_configure(
        result["flow_id"], {"low_battery": 10}
    )
    await hass.async_block_till_done()
    # At once, and without a new connection.
    assert binary(hass, pack, "low_battery") == "off"
    assert bluetooth_env.peripherals[pack.address].connections == 2
    assert await report(10) == "on"


@pytest.mark.parametrize(
    ("reports", "probes", "state"),
    [
        (False, (1, 3), "off"),
        (False, (0, 3), "on"),
        (False, (-1, 3), "on"),
        # 0 °C is the threshold in the battery's own registers, too.
        (True, (1, 3), "off"),
        (True, (0, 3), "on"),
    ],
)
async def test_too_cold_to_charge_follows_the_coldest_probe(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    reports: bool,
    probes: tuple[int, int],
    state: str,
) -> None:
    """The coldest probe decides."""
    pack = battery("idle", reports_thresholds=reports)
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    pack.override = replace(
        pack.reported(), probe_temperatures=probes, max_cell_temperature=max(probes)
    )
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert binary(hass, pack, "too_cold_to_charge") == state


@pytest.mark.parametrize("limit", [-50, -21, 16, 65485])
async def test_too_cold_with_an_impossible_threshold_uses_zero_degrees(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, limit: int
) -> None:
    """The register is known from other boards only."""
    pack = battery("idle", reports_thresholds=True)
    pack.thresholds["charge_ut_protection"] = limit
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    for probes, state in (((1, 3), "off"), ((0, 3), "on")):
        pack.override = replace(pack.reported(), probe_temperatures=probes)
        await asyncio.sleep(POLL_INTERVAL + 1)
        assert binary(hass, pack, "too_cold_to_charge") == state


async def test_too_cold_without_a_probe_is_unknown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An absent probe triggers nothing."""
    pack = battery("idle", missing_probes=(1, 2))
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    assert binary(hass, pack, "too_cold_to_charge") == "unknown"


async def test_thresholds_that_are_reported_become_disabled_sensors(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """In the units of the battery, switched off by default."""
    pack = battery("idle", reports_thresholds=True)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    await asyncio.sleep(5)
    registry = er.async_get(hass)
    entity = registry.async_get(
        entity_id(hass, pack.address, "threshold_charge_undertemperature_protection")
    )
    assert entity is not None
    assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    await enable_all(hass, pack.address)
    assert (
        value(hass, pack.address, "threshold_charge_undertemperature_protection")
        == "0.0"
    )
    assert value(hass, pack.address, "threshold_cell_overvoltage_protection") == "3.9"
    assert (
        value(hass, pack.address, "threshold_discharge_undertemperature_warning")
        == "-15.0"
    )
    assert value(hass, pack.address, "threshold_pack_undervoltage_recovery") == "12.0"
    assert (
        value(hass, pack.address, "threshold_discharge_overcurrent_1_delay") == "10.0"
    )
    coldest = float(value(hass, pack.address, "min_cell_temperature") or "nan")
    for key, margin in (
        ("charge_temperature_margin", coldest),
        ("discharge_temperature_margin", coldest + 20),
        ("charge_voltage_margin", 3.9 - max(pack.reported().cell_voltages)),
    ):
        shown = float(value(hass, pack.address, key) or "nan")
        assert shown == pytest.approx(margin, abs=0.01), key
    for key in ("charging_allowed", "discharging_allowed"):
        assert binary(hass, pack, key) == "on"


async def test_thresholds_that_are_zero_become_no_sensors(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All zero means "not reported"."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    entities = er.async_get(hass).entities
    assert not [key for key in entities if "threshold" in key or "margin" in key]


async def test_faults_of_the_manual_have_binary_sensors(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Eleven problems and two states, as diagnostics."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    registry = er.async_get(hass)
    for key in TABLE_6_1:
        entity = registry.async_get(entity_id(hass, pack.address, key, "binary_sensor"))
        assert entity is not None
        assert entity.disabled_by is None
        assert entity.entity_category is EntityCategory.DIAGNOSTIC
        assert entity.original_device_class == (
            None if key.startswith("full") else BinarySensorDeviceClass.PROBLEM
        )
    assert {fault.manual for fault in FAULTS if fault.manual} == {
        "CELL OVP", "CELL UVP", "PACK OVP", "PACK UVP", "CHG OTP", "CHG UTP", "DSG OTP",
        "DSG UTP", "CHG OCP", "DSG OCP", "SHORT Circuit",
    }  # fmt: skip
