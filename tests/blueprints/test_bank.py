"""The blueprints with the entities of a bank of batteries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
import re
from typing import Any, Final

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .harness import (
    BLUEPRINTS,
    FILES,
    HOUR,
    MINUTE,
    OPTIONS,
    PHONE,
    SOON,
    ScenarioHarness,
)
from .test_blueprints import filters, load
from simulator.battery import OPERATING_STATES, SimulatedBattery
from tests.bank.harness import BankHarness, async_setup_bank, packs
from tests.bank.test_entities import PROTECTED
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import wait_until

CHARGER = "input_boolean.charger"
INTERVAL = 60.0  # s, as in the options


class BankedRv(ScenarioHarness):
    """An RV with two batteries in parallel, which it knows as a bank."""

    def __init__(
        self,
        hass: HomeAssistant,
        bluetooth_env: BluetoothEnvironment,
        batteries: list[SimulatedBattery],
    ) -> None:
        """Take what there is; `set_up` does the rest."""
        super().__init__(hass)
        self.bluetooth_env = bluetooth_env
        self.packs = batteries
        self.bank: BankHarness

    async def add(self) -> None:
        """Add the batteries and the bank, and have them read less often than usual."""
        self.bank = await async_setup_bank(self.hass, self.bluetooth_env, self.packs)
        for battery in self.bank.batteries:
            self.hass.config_entries.async_update_entry(battery.entry, options=OPTIONS)
        await asyncio.sleep(2 * MINUTE)
        await self.set_up()

    def entity(self, key: str) -> str:
        """Return an entity of the bank."""
        return self.bank.entity_id(key)

    def shows(self, key: str) -> str | None:
        """Return the state of an entity of the bank."""
        return self.bank.shown(key)

    def of_each(self, key: str, platform: str = "sensor") -> list[str]:
        """Return an entity of each of its batteries."""
        return [battery.entity_id(key, platform) for battery in self.bank.batteries]

    async def report(self, *changes: dict[str, Any]) -> None:
        """Let each battery report something else, and read it."""
        for battery, change in zip(self.bank.batteries, changes, strict=True):
            battery.set_reported(**change)
        await self.read()

    async def read(self) -> None:
        """Let each battery be read, however the polls are spread."""
        await asyncio.sleep(1.5 * INTERVAL + 2)


@pytest.fixture
async def rv(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, quiet: None
) -> AsyncGenerator[BankedRv]:
    """Return an RV with two batteries that have heaters, half full, at 20 degrees."""
    rv = BankedRv(hass, bluetooth_env, packs(2))
    for pack in rv.packs:
        pack.hold = True
    await rv.add()
    yield rv
    await rv.close()


# What a form takes of a bank, and by which key the bank has it.
OF_A_BANK: Final = {
    ("battery_unreachable", "batteries"): "state_of_charge",
    ("cell_imbalance", "battery"): "state_of_charge",
    ("cell_imbalance", "difference"): "bank_cell_voltage_delta",
    ("cold_charge_guard", "cold_sensors"): "too_cold_to_charge",
    ("low_state_of_charge", "battery"): "state_of_charge",
    ("low_state_of_charge", "doubts"): "battery_missing",
    ("preheat_before_departure", "battery"): "state_of_charge",
    ("preheat_before_departure", "temperatures"): "lowest_temperature",
    ("recharge_due", "advice"): "storage_advice",
    ("winter_heater", "battery"): "state_of_charge",
    ("winter_heater", "temperatures"): "lowest_temperature",
}


def test_forms_of_blueprints_offer_the_entities_of_a_bank(rv: BankedRv) -> None:
    """And say so; of all fields that speak of a bank."""
    registry = er.async_get(rv.hass)
    speaking = {
        (file.stem, key)
        for file in FILES
        for key, field in load(file).inputs.items()
        if re.search(r"\bbank\b", field.get("description", ""))
    }
    # Of these it takes what the batteries in the bank have.
    heaters = {
        (name, "heater") for name in ("preheat_before_departure", "winter_heater")
    }
    assert speaking == OF_A_BANK.keys() | heaters
    for (name, key), wanted in OF_A_BANK.items():
        field = load(BLUEPRINTS / f"{name}.yaml").inputs[key]
        found = registry.async_get(rv.entity(wanted))
        assert found is not None
        assert any(
            rule.get("integration") in (None, found.platform)
            and found.domain in rule["domain"]
            and found.original_device_class in rule["device_class"]
            for rule in filters(field)
        ), (name, key)


async def test_low_charge_of_a_bank_counts_all_members(rv: BankedRv) -> None:
    """Not because one of its batteries is, but when both together are."""
    await rv.automate(
        "low_state_of_charge",
        battery=rv.entity("state_of_charge"),
        notify_targets=[PHONE],
        generators=["input_boolean.generator"],
    )
    await rv.report({"state_of_charge": 60}, {"state_of_charge": 6})
    await asyncio.sleep(10 * MINUTE)
    assert rv.shows("state_of_charge") == "33.0"
    assert rv.messages == []
    await rv.report({"state_of_charge": 30}, {"state_of_charge": 6})
    await asyncio.sleep(SOON + MINUTE)
    assert rv.messages == ["House bank is low: 18% left."]
    assert rv.shown_here() == {"House bank": rv.messages[0]}
    assert rv.is_on("generator")
    await rv.report({"state_of_charge": 50}, {"state_of_charge": 40})
    await asyncio.sleep(HOUR)
    assert not rv.is_on("generator")
    assert len(rv.messages) == 1


@pytest.mark.parametrize("how", ["away", "cut off"])
async def test_low_bank_that_loses_its_emptiest_member_does_not_recover(
    rv: BankedRv, how: str
) -> None:
    """It looks fuller without it, and nothing was charged."""
    await rv.automate(
        "low_state_of_charge",
        battery=rv.entity("state_of_charge"),
        recovered=30,
        generators=["input_boolean.generator"],
        min_run={"minutes": 1},
        doubts=[rv.entity("battery_missing"), rv.entity("battery_isolated")],
    )
    await rv.report({"state_of_charge": 5}, {"state_of_charge": 34})
    await asyncio.sleep(SOON + MINUTE)
    assert rv.is_on("generator")
    peripheral = rv.bank.batteries[0].peripheral
    if how == "away":
        await peripheral.stop()
    else:
        await rv.report(PROTECTED, {"current": -20})
    await asyncio.sleep(15 * MINUTE)
    assert rv.shows("state_of_charge") == "34.0"
    assert rv.is_on("generator")
    if how == "away":
        await peripheral.start()
    charged = {"state_of_charge": 50, "current": 0.0}
    joined = {"protection": 0, "operating_state": OPERATING_STATES["standby"]}
    await rv.report(joined | charged, charged)
    await asyncio.sleep(10 * MINUTE)
    assert not rv.is_on("generator")


async def test_charger_with_one_cold_member_stays_off(rv: BankedRv) -> None:
    """The charger charges all of them; a missing one may still be cold."""
    await rv.switch("charger", "on")
    await rv.automate(
        "cold_charge_guard",
        cold_sensors=[rv.entity("too_cold_to_charge")],
        chargers=[CHARGER],
        warm_for={"minutes": 5},
        min_off={"minutes": 5},
        notify_targets=[PHONE],
    )
    await rv.report({}, {"probe_temperatures": (-2, 3)})
    assert not rv.is_on("charger")
    assert rv.messages == [
        "House bank is too cold to charge. The charger was turned off."
    ]
    peripheral = rv.bank.batteries[1].peripheral
    await peripheral.stop()
    await asyncio.sleep(HOUR)
    assert rv.shows("too_cold_to_charge") == "unknown"
    assert not rv.is_on("charger")
    await peripheral.start()
    await rv.report({}, {"probe_temperatures": (8, 9)})
    await wait_until(lambda: rv.shows("too_cold_to_charge") == "off", 20 * MINUTE)
    await asyncio.sleep(10 * MINUTE)
    assert rv.is_on("charger")
    assert len(rv.messages) == 1


async def test_imbalance_of_a_bank_follows_the_worst_member(rv: BankedRv) -> None:
    """The worst battery counts, and the charge of the bank says when to look."""
    await rv.automate(
        "cell_imbalance",
        difference=rv.entity("bank_cell_voltage_delta"),
        battery=rv.entity("state_of_charge"),
        duration={"minutes": 10},
        notify_targets=[PHONE],
    )
    apart = {"cell_voltages": (3.300, 3.300, 3.238, 3.300)}
    await rv.report({}, apart | {"state_of_charge": 96})
    await asyncio.sleep(20 * MINUTE)
    assert rv.messages == ["The cells of House bank differ by 62 mV."]
    assert list(rv.shown_here()) == ["House bank"]


async def test_unreachable_member_of_a_bank_is_reported(rv: BankedRv) -> None:
    """The bank has a value while one member is connected."""
    await rv.automate(
        "battery_unreachable",
        batteries=[*rv.of_each("state_of_charge"), rv.entity("state_of_charge")],
        missing_for={"minutes": 10},
        notify_targets=[PHONE],
    )
    names = [pack.name for pack in rv.packs]
    for number, pack in enumerate(rv.packs, 1):
        await rv.bluetooth_env.peripherals[pack.address].stop()
        await asyncio.sleep(20 * MINUTE)
        told = {text.split(" cannot")[0] for text in rv.messages}
        assert told == {*names[:number], *(["House bank"] if number == 2 else [])}
        assert len(rv.messages) == len(told)


@pytest.fixture
async def cold(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, quiet: None
) -> AsyncGenerator[BankedRv]:
    """Return an RV with two batteries that obey their heaters, with physics held."""
    rv = BankedRv(hass, bluetooth_env, packs(2, state_of_charge=60.0, temperature=12.0))
    for pack in rv.packs:
        pack.hold = True
    await rv.add()
    yield rv
    await rv.close()


def heating(rv: BankedRv) -> list[bool]:
    """Return which batteries may heat."""
    return [pack.heating_enabled for pack in rv.packs]


async def heat_in_winter(rv: BankedRv, **inputs: Any) -> None:
    """Let one automation decide over both heaters."""
    await rv.automate(
        "winter_heater",
        heater=rv.of_each("heater", "switch"),
        battery=rv.entity("state_of_charge"),
        temperatures=[rv.entity("lowest_temperature")],
        min_time={"minutes": 5},
        **inputs,
    )
    await asyncio.sleep(5 * MINUTE + SOON)


async def test_heaters_of_a_bank_follow_the_coldest_member(cold: BankedRv) -> None:
    """And all are off when the bank is low."""
    await heat_in_winter(cold)
    assert heating(cold) == [False, False]
    cold.packs[1].cell_temperatures = [3.0, 8.0]
    await cold.read()
    await asyncio.sleep(SOON)
    assert heating(cold) == [True, True]
    for pack in cold.packs:
        pack.charge = pack.capacity * 3600 * 0.29
    await cold.read()
    assert heating(cold) == [False, False]


async def test_failing_heater_of_a_bank_does_not_block_others(
    cold: BankedRv, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither when it gets cold nor when the charge runs low."""
    stubborn, _ = cold.packs
    stubborn.settings.heater_answer = "refuse"
    await heat_in_winter(cold)
    stubborn.cell_temperatures = [3.0, 8.0]
    await cold.read()
    await asyncio.sleep(SOON)
    assert heating(cold) == [False, True]
    for pack in cold.packs:
        pack.charge = pack.capacity * 3600 * 0.29
    await cold.read()
    await asyncio.sleep(SOON)
    assert heating(cold) == [False, False]
    assert "refused" in caplog.text
    caplog.clear()


async def test_unavailable_heater_of_a_bank_is_switched_later(cold: BankedRv) -> None:
    """And gets its turn when its battery is back."""
    await heat_in_winter(cold)
    first, second = cold.packs
    peripheral = cold.bluetooth_env.peripherals[first.address]
    await peripheral.stop()
    await asyncio.sleep(10 * MINUTE)
    second.cell_temperatures = [3.0, 8.0]
    await cold.read()
    await asyncio.sleep(SOON)
    assert heating(cold) == [False, True]
    await peripheral.start()
    await asyncio.sleep(20 * MINUTE)
    assert heating(cold) == [True, True]


DEPARTURE: Final = "sensor.departure"


async def leave_in(rv: BankedRv, hours: float, *more: str, **inputs: Any) -> None:
    """Have one automation warm up both before a departure; they are cold."""
    for pack in rv.packs:
        pack.cell_temperatures = [2.0, 3.0]
    await rv.read()
    put_off(rv, hours)
    await rv.automate(
        "preheat_before_departure",
        heater=[*rv.of_each("heater", "switch"), *more],
        battery=rv.entity("state_of_charge"),
        temperatures=[rv.entity("lowest_temperature")],
        departure=DEPARTURE,
        before={"hours": 1},
        after={"minutes": 10},
        min_time={"minutes": 0},
        **inputs,
    )


def put_off(rv: BankedRv, hours: float) -> None:
    """Have the departure so far from now."""
    at = dt_util.utcnow() + timedelta(hours=hours)
    rv.hass.states.async_set(DEPARTURE, at.isoformat())


async def test_preheating_of_a_bank_switches_all_heaters(cold: BankedRv) -> None:
    """Both heaters before, none after."""
    await leave_in(cold, 2)
    await asyncio.sleep(50 * MINUTE)
    assert heating(cold) == [False, False]
    await asyncio.sleep(15 * MINUTE)
    assert heating(cold) == [True, True]
    await asyncio.sleep(HOUR)
    assert heating(cold) == [True, True]
    await asyncio.sleep(15 * MINUTE)
    assert heating(cold) == [False, False]


async def test_preheating_with_an_unavailable_member_switches_it_off_later(
    cold: BankedRv,
) -> None:
    """The others in time."""
    peripheral = cold.bank.batteries[0].peripheral
    await leave_in(cold, 1.5)
    await asyncio.sleep(40 * MINUTE)
    assert heating(cold) == [True, True]
    await peripheral.stop()
    await asyncio.sleep(90 * MINUTE)
    assert heating(cold) == [True, False]
    await peripheral.start()
    await asyncio.sleep(40 * MINUTE)
    assert heating(cold) == [False, False]


@pytest.mark.parametrize("sold", [False, True])
async def test_preheating_with_a_missing_heater_ends_for_the_others(
    cold: BankedRv, sold: bool
) -> None:
    """Where the departure is put off; whether it is away or has been removed."""
    await leave_in(cold, 1.5, *(["switch.sold_battery_heater"] if sold else []))
    await asyncio.sleep(40 * MINUTE)
    assert heating(cold) == [True, True]
    if not sold:
        await cold.bank.batteries[0].peripheral.stop()
        await asyncio.sleep(7 * MINUTE)
    put_off(cold, 9 * 24)
    await asyncio.sleep(10)
    assert heating(cold) == [not sold, False]


async def test_heaters_of_a_low_bank_with_one_unavailable_turn_off(
    cold: BankedRv,
) -> None:
    """Within a moment of the reading."""
    first, second = cold.packs
    await leave_in(cold, 1.5)
    await asyncio.sleep(40 * MINUTE)
    await cold.bluetooth_env.peripherals[first.address].stop()
    await asyncio.sleep(7 * MINUTE)
    second.charge = second.capacity * 3600 * 0.25
    await cold.read()
    await asyncio.sleep(SOON)
    assert heating(cold) == [True, False]


async def test_heater_that_stays_on_is_switched_off_again(
    cold: BankedRv, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after an absence, of which there is no other sign later."""
    first = cold.packs[0]
    peripheral = cold.bluetooth_env.peripherals[first.address]
    await leave_in(cold, 1.5)
    await asyncio.sleep(40 * MINUTE)
    await peripheral.stop()
    await asyncio.sleep(90 * MINUTE)
    first.settings.heater_answer = "refuse"
    await peripheral.start()
    await asyncio.sleep(8 * MINUTE)
    assert heating(cold) == [True, False]
    refusals = [record for record in caplog.records if "refused" in record.getMessage()]
    assert 0 < len({round(record.created) for record in refusals}) <= 10
    caplog.clear()
    first.settings.heater_answer = "obey"
    await asyncio.sleep(3 * MINUTE)
    assert heating(cold) == [False, False]
