"""What an administrator can do to the demo's batteries can be found and chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import voluptuous as vol
import yaml

from homeassistant.core import HomeAssistant, ServiceCall

from simulator.battery import HeaterAnswer, preset
from simulator.e2e.custom_components import voltgo_simulator
from simulator.e2e.custom_components.voltgo_simulator.actions import ACTIONS
from simulator.e2e.custom_components.voltgo_simulator.const import DOMAIN
from simulator.e2e.custom_components.voltgo_simulator.environment import (
    SimulatedEnvironment,
)
from tests.bluetooth_env import BluetoothEnvironment

FOLDER = Path(voltgo_simulator.__file__).parent
FORMS: dict[str, Any] = yaml.safe_load(
    (FOLDER / "services.yaml").read_text(encoding="utf-8")
)
TEXTS: dict[str, Any] = json.loads(
    (FOLDER / "translations" / "en.json").read_text(encoding="utf-8")
)["services"]
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
