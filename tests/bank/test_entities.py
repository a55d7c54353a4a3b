"""What a bank shows, over the simulated radio: true sums, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

from .harness import MAX_AGE, async_setup_bank, packs
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.history.energy import CHARGED, DISCHARGED
from custom_components.voltgo_vlrv.history.runtime import SETTLING
from simulator.battery import OPERATING_STATES
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    enable_entities,
    settle,
    wait_for_poll,
    wait_until,
)
from tests.harness import BatteryHarness
from tests.test_coordinator import writes

EXTENSIVE = (
    "current", "power", "charge_power", "discharge_power", "remaining_capacity",
    "full_capacity", "stored_energy", "energy_capacity", "time_to_empty", "time_to_full",
    "current_imbalance", "charging",
)  # fmt: skip
ON_THE_PAGE = {
    "any_protection", "battery_isolated", "battery_missing", "charging", "low_battery",
    "too_cold_to_charge",
    "bank_cell_voltage_delta", "bank_voltage", "batteries_reporting", "current",
    "current_imbalance", "energy_charged", "energy_discharged", "highest_cell_voltage",
    "highest_temperature", "lowest_cell_voltage", "lowest_temperature", "power",
    "remaining_capacity", "state_of_charge", "state_of_charge_spread", "stored_energy",
    "time_to_empty", "time_to_full",
}  # fmt: skip
PROTECTED = {
    "current": 0.0,
    "protection": 0x0008,
    "operating_state": OPERATING_STATES["protection"],
}


def states_of(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Return a list that grows with each known state of an entity."""
    seen: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is not None and state.state not in ("unknown", "unavailable"):
            seen.append(state.state)

    async_track_state_change_event(hass, entity_id, note)
    return seen


async def test_bank_entities_of_two_batteries_show_their_aggregate(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Every value, from what the two report."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.enable_all()
    bank.batteries[0].set_reported(
        current=-30.0,
        voltage=13.2,
        cell_voltages=(3.3, 3.29, 3.301, 3.309),
        state_of_charge=60,
        remaining_capacity=60.0,
        probe_temperatures=(18, 25),
        state_of_health=99,
    )
    bank.batteries[1].set_reported(
        current=-10.0,
        voltage=13.22,
        cell_voltages=(3.305, 3.305, 3.2, 3.41),
        state_of_charge=50,
        remaining_capacity=50.0,
        probe_temperatures=(16, 17),
        state_of_health=97,
    )
    await asyncio.sleep(6 * 60)
    assert {key: bank.shown(key) for key in ON_THE_PAGE} == {
        "any_protection": "off",
        "battery_isolated": "off",
        "battery_missing": "off",
        "charging": "off",
        "low_battery": "off",
        "too_cold_to_charge": "off",
        "bank_cell_voltage_delta": "210",
        "bank_voltage": "13.21",
        "batteries_reporting": "2",
        "current": "-40.0",
        "current_imbalance": "50",
        "energy_charged": "0.0",
        "energy_discharged": "0.05",
        "highest_cell_voltage": "3.41",
        "highest_temperature": "25",
        "lowest_cell_voltage": "3.2",
        "lowest_temperature": "16",
        "power": "-528",
        "remaining_capacity": "110.0",
        "state_of_charge": "55.0",
        "state_of_charge_spread": "10",
        # 60 and 50 Ah at 12.8 V, each as its own battery shows it.
        "stored_energy": "1410",
        # 110 Ah at 40 A, whatever the power, in steps of five minutes.
        "time_to_empty": "2.75",
        "time_to_full": "unknown",
    }
    assert bank.shown("charge_power") == "0"
    assert bank.shown("discharge_power") == "528"
    assert bank.shown("energy_capacity") == "2560"
    assert bank.shown("full_capacity") == "200.0"
    assert bank.shown("bank_state_of_health") == "97"
    assert bank.shown("lowest_cell") == "ZT-12.8V100Ah-0002, cell 3"
    assert bank.shown("highest_cell") == "ZT-12.8V100Ah-0002, cell 4"
    assert bank.attribute("batteries_reporting", "members") == 2


async def test_bank_entities_have_the_units_and_digits_of_a_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """So that the two can be put into one graph."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.enable_all()
    await enable_entities(hass, bank.batteries[0].entry)
    registry = er.async_get(hass)
    keys = []

    def look(item: er.RegistryEntry) -> dict[str, Any]:
        return {
            "unit": item.unit_of_measurement,
            "device_class": item.original_device_class,
            "state_class": (item.capabilities or {}).get("state_class"),
            "display": item.options.get("sensor"),
        }

    for key, item in bank.registered.items():
        own = registry.async_get_entity_id(
            item.domain, DOMAIN, f"{bank.batteries[0].address}_{key}"
        )
        # Whole percents of one battery are fractions of several.
        if own is None or key == "state_of_charge":
            continue
        single = registry.async_get(own)
        assert single is not None
        if key not in {"lowest_cell", "highest_cell"}:
            assert look(item) == look(single), key
            keys.append(key)
    assert {"time_to_empty", "time_to_full", "stored_energy", "power"} < set(keys)
    assert {"full_capacity", "remaining_capacity", "charge_power"} < set(keys)


async def test_bank_entities_enabled_by_default_are_the_listed_ones(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The page of a bank has few entities at first."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    assert {
        key for key, item in bank.registered.items() if item.disabled_by is None
    } == ON_THE_PAGE


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "nl"])
async def test_entities_in_each_language_have_distinct_names_and_states(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, language: str
) -> None:
    """No two have the same, and the names inside of a state are filled in."""
    hass.config.language = language
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.enable_all()
    items = bank.registered.values()
    names = [item.original_name or "" for item in items]
    assert all(names)
    assert "{" not in "".join(names)
    assert len(names) == len(set(names))
    for item in items:
        state = hass.states.get(item.entity_id)
        assert state is not None, item.entity_id
        assert state.state != "unavailable", item.entity_id
    cell = bank.shown("lowest_cell")
    assert cell is not None
    assert "ZT-12.8V100Ah-000" in cell
    assert "{" not in cell
    assert (", cell " in cell) is (language == "en")


async def test_bank_states_without_a_change_are_not_written(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Although the bank is recalculated after every poll."""
    pair = packs(2)
    for pack in pair:
        pack.hold = True
    await async_setup_bank(hass, bluetooth_env, pair)
    written = writes(hass)
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert written == []


# --- one or all do not report --------------------------------------------------------------


async def silenced(battery: BatteryHarness) -> None:
    """Switch a battery off, and wait until its values have expired."""
    await battery.peripheral.stop()
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)


async def released(battery: BatteryHarness) -> None:
    """Release a battery; its own entities keep their values."""
    await battery.connection.async_release()
    await settle(battery.hass)
    assert battery.shown("state_of_charge") == "50"


@pytest.mark.parametrize(
    ("lose", "missing"), [(silenced, "on"), (released, "off")], ids=["off", "released"]
)
async def test_bank_sums_without_one_battery_are_unknown_until_it_returns(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    lose: Callable[[BatteryHarness], Awaitable[None]],
    missing: str,
) -> None:
    """A member that was released on purpose is not missing."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    await bank.enable_all()
    for battery in bank.batteries:
        battery.set_reported(current=-20.0)
    await asyncio.sleep(120)
    for key in EXTENSIVE:
        assert bank.shown(key) != "unknown" or key == "time_to_full", key
    bank.batteries[2].set_reported(state_of_charge=80)
    await wait_for_poll()
    assert bank.shown("state_of_charge") == "60.0"
    gone = bank.batteries[0]
    await lose(gone)
    for key in EXTENSIVE:
        assert bank.shown(key) == "unknown", key
    assert bank.shown("state_of_charge") == "65.0"
    assert bank.shown("batteries_reporting") == "2"
    assert bank.shown("battery_missing") == missing
    assert bank.attribute("battery_missing", "batteries") == (
        ["ZT-12.8V100Ah-0001"] if missing == "on" else []
    )
    # One that is out of range may have tripped.
    assert bank.shown("any_protection") == "unknown"
    if missing == "on":
        await gone.peripheral.start()
    for battery in bank.batteries:
        battery.connection.async_resume()
    await wait_until(lambda: bank.shown("current") == "-60.0", 120)
    assert bank.shown("battery_missing") == "off"
    assert bank.shown("any_protection") == "off"


async def test_bank_values_of_an_unresponsive_member_expire_with_its_own(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One missed poll changes nothing; expired values count no longer."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.batteries[0].peripheral.stop()
    await asyncio.sleep(40)
    assert bank.shown("current") == "0.0"
    await asyncio.sleep(MAX_AGE - 40 + POLL_INTERVAL)
    assert bank.batteries[0].shown("current") == "unavailable"
    assert bank.shown("current") == "unknown"


async def test_bank_entities_without_reporting_members_are_unavailable(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What needs no battery to be true is still shown."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for battery in bank.batteries:
        await battery.peripheral.stop()
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)
    assert bank.shown("state_of_charge") == "unavailable"
    assert bank.shown("low_battery") == "unavailable"
    assert bank.shown("batteries_reporting") == "0"
    assert bank.shown("battery_missing") == "on"
    assert bank.shown("energy_charged") == "0.0"


async def test_bank_entities_leave_out_values_from_before_a_restart(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery's own entities show them for a minute; a sum of them would be wrong."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for battery in bank.batteries:
        await battery.unload()
    await bank.batteries[0].peripheral.stop()
    bank.batteries[1].set_reported(state_of_charge=80)
    charges = states_of(hass, bank.entity_id("state_of_charge"))
    await bank.batteries[1].setup()
    await bank.wait_reporting(1, 30)
    await bank.batteries[0].setup()
    await asyncio.sleep(POLL_INTERVAL)
    assert bank.batteries[0].shown("state_of_charge") == "50"
    assert bank.shown("current") == "unknown"
    assert bank.shown("battery_missing") == "unknown"
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)
    assert bank.shown("battery_missing") == "on"
    assert set(charges) == {"80.0"}


# --- one is different ---------------------------------------------------------------------


async def test_bank_entities_name_and_leave_out_an_isolated_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Its 0 % is not the bank's state of charge, and its share is not missing."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    for battery in bank.batteries[:2]:
        battery.set_reported(current=-20.0, state_of_charge=70)
    bank.batteries[2].set_reported(**PROTECTED, state_of_charge=0)
    await asyncio.sleep(400)
    assert bank.shown("battery_isolated") == "on"
    assert bank.attribute("battery_isolated", "batteries") == ["ZT-12.8V100Ah-0003"]
    assert bank.attribute("any_protection", "batteries") == ["ZT-12.8V100Ah-0003"]
    assert bank.shown("state_of_charge") == "70.0"
    assert bank.shown("state_of_charge_spread") == "70"
    assert bank.shown("current") == "-40.0"
    assert bank.shown("current_imbalance") == "0"
    # It stays isolated while the others are idle.
    for battery in bank.batteries[:2]:
        battery.set_reported(current=0.0)
    await wait_for_poll()
    assert bank.shown("battery_isolated") == "on"
    bank.batteries[2].pack.override = None
    await wait_for_poll()
    assert bank.shown("battery_isolated") == "off"
    assert bank.attribute("battery_isolated", "batteries") == []


async def test_bank_with_one_cold_battery_is_too_cold(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The charger feeds all of them."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.enable_all()
    bank.batteries[1].set_reported(probe_temperatures=(0, 4))
    await wait_for_poll()
    assert bank.shown("too_cold_to_charge") == "on"
    assert bank.shown("charging_allowed") == "off"
    assert bank.shown("discharging_allowed") == "on"
    assert bank.shown("lowest_temperature") == "0"


async def test_bank_low_battery_follows_the_bank_with_hysteresis(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """20 % at first, and 2 % more to end it."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for charges, low in (
        ((10, 31), "off"),
        ((10, 30), "on"),
        ((12, 31), "on"),
        ((13, 31), "off"),
    ):
        for battery, charge in zip(bank.batteries, charges, strict=True):
            battery.set_reported(state_of_charge=charge)
        await wait_for_poll()
        assert bank.shown("low_battery") == low, charges


# --- over time ----------------------------------------------------------------------------


async def test_bank_runtime_under_a_steady_load_is_steady(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """By less than a fifth from minute to minute, and right; unknown at idle."""
    pair = packs(2, state_of_charge=90.0)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    estimates: list[float] = []
    for pack, current in zip(pair, (-22.0, -18.0), strict=True):
        pack.demand_current = current
    await asyncio.sleep(180)
    for _ in range(8):
        await asyncio.sleep(60)
        estimates.append(float(bank.shown("time_to_empty") or ""))
    for earlier, later in pairwise(estimates):
        assert abs(later / earlier - 1) < 0.2
    remaining = sum(pack.charge for pack in pair) / 3600
    # What is shown stays while it is within 5 %, as for one battery, and each of the two
    # tells its charge in steps of 1 Ah.
    tolerance = 0.05 * estimates[-1] + 2 * 0.5 / 40
    assert estimates[-1] == pytest.approx(remaining / 40, abs=tolerance)
    for pack in pair:
        pack.demand_current = 0.0
    await wait_for_poll()
    assert bank.shown("time_to_empty") == "unknown"
    for pack in pair:
        pack.demand_current = 20.0
    await asyncio.sleep(SETTLING + 2 * POLL_INTERVAL)
    missing = 200 - sum(pack.charge for pack in pair) / 3600
    assert bank.shown("time_to_empty") == "unknown"
    to_full = float(bank.shown("time_to_full") or "")
    tolerance = 0.05 * to_full + 2 * 0.5 / 40
    assert to_full == pytest.approx(missing / 40, abs=tolerance)


async def test_current_imbalance_with_a_peak_between_two_polls_is_unchanged(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The batteries are read one after the other, so their currents are averaged."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for battery in bank.batteries:
        battery.set_reported(current=-20.0)
    await asyncio.sleep(4 * 60)
    bank.batteries[0].set_reported(current=-120.0)
    await wait_for_poll()
    bank.batteries[0].set_reported(current=-20.0)
    await wait_for_poll()
    assert bank.shown("current_imbalance") not in {"unknown", "0"}
    assert float(bank.shown("current_imbalance") or "") < 25
    for battery in bank.batteries:
        battery.set_reported(current=0.0)
    await asyncio.sleep(20 * 60)
    assert bank.shown("current_imbalance") == "unknown"


# --- energy -------------------------------------------------------------------------------


def counted(batteries: list[BatteryHarness], direction: str) -> float:
    """Return the energy in kWh that the batteries have counted together."""
    return sum(
        battery.entry.runtime_data.history.energy.total(direction)
        for battery in batteries
    )


async def test_bank_energy_sensors_show_the_sum_and_never_fall(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Through a missing battery, reloads of everything, a removal and an addition."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    first, second, third = trio = bank.batteries
    states = states_of(hass, bank.entity_id("energy_discharged"))
    for battery in trio:
        battery.pack.demand_current = -40.0
    await asyncio.sleep(300)
    energy = bank.coordinator.energy
    total = counted(trio, DISCHARGED)
    assert total > 0.1
    assert energy.total(DISCHARGED) == pytest.approx(total)
    assert energy.total(CHARGED) == pytest.approx(counted(trio, CHARGED))

    await first.peripheral.stop()
    await asyncio.sleep(120)
    assert energy.total(DISCHARGED) == pytest.approx(counted(trio, DISCHARGED))
    await first.peripheral.start()
    await asyncio.sleep(60)

    for item in (second, bank, first):
        await item.reload()
    await asyncio.sleep(60)
    energy = bank.coordinator.energy
    assert energy.total(DISCHARGED) == pytest.approx(counted(trio, DISCHARGED))

    before = energy.total(DISCHARGED)
    await third.remove()
    await settle(hass)
    assert energy.total(DISCHARGED) == pytest.approx(before, abs=0.002)
    others = counted([first, second], DISCHARGED)
    await asyncio.sleep(120)
    assert energy.total(DISCHARGED) - before == pytest.approx(
        counted([first, second], DISCHARGED) - others, abs=0.002
    )
    seen = [float(state) for state in states]
    assert seen == sorted(seen)
    assert len(seen) > 8


async def test_usage_of_a_bank_is_that_of_all_its_batteries(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And the storage advice is the most urgent one."""
    first, second = packs(2, state_of_charge=60.0, temperature=20.0)
    second.cell_temperatures, second.ambient = [4.0, 4.0], 4.0
    bank = await async_setup_bank(hass, bluetooth_env, [first, second])
    await bank.enable_all()
    usage = bank.registered["usage"].entity_id
    await wait_until(lambda: bank.shown("storage_advice") == "in_use")

    async def use(battery: int, value: str) -> None:
        entry = bank.batteries[battery].entry
        hass.config_entries.async_update_entry(entry, options={"usage": value})
        await settle(hass)

    await use(0, "stored")
    assert [hass.states.get(usage).state, bank.shown("storage_advice")] == [
        "in_use",
        "fine",
    ]
    await use(1, "stored")
    assert [hass.states.get(usage).state, bank.shown("storage_advice")] == [
        "stored",
        "too_cold",
    ]
    await hass.services.async_call(
        "select",
        "select_option",
        {"entity_id": usage, "option": "in_use"},
        blocking=True,
    )
    await settle(hass)
    assert bank.shown("storage_advice") == "in_use"
    for battery in bank.batteries:
        assert battery.entry.options["usage"] == "in_use"
