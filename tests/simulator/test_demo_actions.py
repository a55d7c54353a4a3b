"""What an administrator can do to the demo's batteries can be found and chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import voluptuous as vol
import yaml

from homeassistant.core import HomeAssistant, ServiceCall

from simulator.bank import PAIR
from simulator.battery import PRESETS, HeaterAnswer, preset
from simulator.battery.causes import CAUSES
from simulator.e2e.custom_components import voltgo_simulator
from simulator.e2e.custom_components.voltgo_simulator.actions import ACTIONS
from simulator.e2e.custom_components.voltgo_simulator.const import DOMAIN
from simulator.e2e.custom_components.voltgo_simulator.environment import (
    SimulatedEnvironment,
)
from simulator.e2e.folder import TEMPLATE
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import wait_until

FOLDER = Path(voltgo_simulator.__file__).parent
FORMS: dict[str, Any] = yaml.safe_load(
    (FOLDER / "services.yaml").read_text(encoding="utf-8")
)
WORDS: dict[str, Any] = json.loads(
    (FOLDER / "translations" / "en.json").read_text(encoding="utf-8")
)
TEXTS: dict[str, Any] = WORDS["services"]
SELECTORS: dict[str, Any] = WORDS["selector"]
ANSWERS: tuple[str, ...] = get_args(HeaterAnswer.__value__)


@pytest.mark.parametrize("name", ACTIONS)
def test_action_has_form_and_words_for_each_field(name: str) -> None:
    """The three tables name the same actions, with the same fields."""
    assert FORMS.keys() == TEXTS.keys() == ACTIONS.keys()
    fields = {str(key) for key in ACTIONS[name].fields}
    assert (FORMS[name] or {}).get("fields", {}).keys() == fields
    assert TEXTS[name].get("fields", {}).keys() == fields


async def test_answer_of_heater_is_chosen(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Every answer of the form reaches the battery, and there are no others."""
    demo = SimulatedEnvironment(hass)
    battery = preset("winter")
    await demo.add(battery)
    action = ACTIONS["set_heater_answer"]
    schema = vol.Schema(action.fields)

    form = FORMS["set_heater_answer"]["fields"]["answer"]["selector"]["select"]
    assert sorted(form["options"]) == sorted(ANSWERS)
    for answer in ANSWERS:
        data = schema({"address": battery.address, "answer": answer})
        await action.run(demo, ServiceCall(hass, DOMAIN, "set_heater_answer", data))
        assert battery.settings.heater_answer == answer
    with pytest.raises(vol.Invalid):
        schema({"address": battery.address, "answer": "later"})
    await demo.peripherals[battery.address].stop()


def test_fault_of_form_is_in_table_and_has_words() -> None:
    """Every row of the manual's table can be chosen, and that there is no fault."""
    form = FORMS["cause_fault"]["fields"]["fault"]["selector"]["select"]

    assert form["options"] == [*CAUSES, "none"]
    assert SELECTORS["fault"]["options"].keys() == {*CAUSES, "none"}


def test_picker_offers_batteries_of_demo_in_their_order() -> None:
    """Those of the configuration come first, and then the two of the bank."""
    template = (TEMPLATE / "configuration.yaml").read_text(encoding="utf-8")
    names = yaml.safe_load(template.partition(f"\n{DOMAIN}:")[2])["batteries"]
    batteries = [PRESETS[name].options for name in names] + list(PAIR)
    picker = FORMS["cause_fault"]["fields"]["address"]["selector"]["select"]

    assert [option["value"] for option in picker["options"]] == [
        battery["address"] for battery in batteries
    ]
    assert [option["label"].partition(" ")[0] for option in picker["options"]] == [
        battery["name"] for battery in batteries
    ]


async def test_app_takes_battery_and_leaves_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """While the app is connected, the battery does not advertise."""
    demo = SimulatedEnvironment(hass)
    battery = preset("idle")
    await demo.add(battery)
    peripheral = demo.peripheral(battery.address)

    await demo.take_by_app(battery.address, taken=True)
    assert not peripheral.is_advertising
    await demo.take_by_app(battery.address, taken=False)
    await wait_until(lambda: peripheral.is_advertising)
    assert peripheral.is_connected is False
    await peripheral.stop()


async def test_exchanged_battery_has_other_capacity_and_same_charge(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As full as the one before it, at the same voltage, and larger."""
    demo = SimulatedEnvironment(hass)
    battery = preset("idle")
    await demo.add(battery)
    action = ACTIONS["exchange"]
    before, voltages = battery.expected_values(), battery.rest_voltages
    data = {"address": battery.address, "capacity": 150}
    call = ServiceCall(hass, DOMAIN, "exchange", vol.Schema(action.fields)(data))
    await action.run(demo, call)
    await demo.peripherals[battery.address].stop()
    after = battery.expected_values()
    assert battery.capacity == 150
    assert after["state_of_charge"] == before["state_of_charge"]
    # Reported in whole Ah.
    assert after["remaining_capacity"] == pytest.approx(
        1.5 * before["remaining_capacity"], abs=1.5
    )
    assert battery.rest_voltages == pytest.approx(voltages)
