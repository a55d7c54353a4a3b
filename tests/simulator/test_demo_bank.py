"""The demo can have a bank, and an administrator can change it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import voluptuous as vol

from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import ServiceValidationError

from simulator.bank import PAIR
from simulator.e2e.batteries import BANK_MODELS, PORT, STARBOARD
from simulator.e2e.custom_components.voltgo_simulator.actions import ACTIONS
from simulator.e2e.custom_components.voltgo_simulator.const import DOMAIN
from simulator.e2e.custom_components.voltgo_simulator.environment import (
    SimulatedEnvironment,
)
from tests.bluetooth_env import BluetoothEnvironment


class Demo:
    """The simulated environment of the demo, and its actions."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start without batteries."""
        self.hass = hass
        self.bluetooth_env = SimulatedEnvironment(hass)

    async def act(self, name: str, **data: Any) -> Any:
        """Do what is offered under Developer tools, as Home Assistant would."""
        action = ACTIONS[name]
        checked = vol.Schema(action.fields)(data)
        return await action.run(
            self.bluetooth_env, ServiceCall(self.hass, DOMAIN, name, checked)
        )

    async def bank(self) -> Any:
        """Return what is true of the bank."""
        return (await self.act("list_batteries"))["bank"]


@pytest.fixture(name="empty")
async def empty_fixture(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> Demo:
    """Return an empty environment; Home Assistant's Bluetooth is that of `bluetooth_env`."""
    return Demo(hass)


@pytest.fixture(name="demo")
async def demo_fixture(empty: Demo) -> AsyncGenerator[Demo]:
    """Return an environment with a bank."""
    demo = empty
    assert await demo.bank() is None
    await demo.act("add_bank")
    yield demo
    for peripheral in demo.bluetooth_env.peripherals.values():
        await peripheral.stop()


async def test_bank_is_two_more_batteries(demo: Demo) -> None:
    """They are on the air beside the others, once."""
    answer = await demo.act("list_batteries")

    assert [battery["address"] for battery in answer["batteries"]] == list(BANK_MODELS)
    assert [battery["name"] for battery in answer["batteries"]] == [
        options["name"] for options in PAIR
    ]
    assert all(battery["on"] for battery in answer["batteries"])
    values = [battery["expected_values"] for battery in answer["batteries"]]
    assert answer["bank"]["current"] == pytest.approx(
        sum(expected_values["current"] for expected_values in values)
    )
    assert answer["bank"]["isolated"] == []
    with pytest.raises(ServiceValidationError):
        await demo.act("add_bank")


async def test_bank_shares_current(demo: Demo) -> None:
    """It is asked as a whole, not battery by battery."""
    await demo.act("set_bank_current", demand_current=50)

    assert (await demo.bank())["current"] == pytest.approx(50, abs=0.1)
    with pytest.raises(ServiceValidationError):
        await demo.act("set_surroundings", address=PORT, demand_current=-5)
    assert (await demo.bank())["current"] == pytest.approx(50, abs=0.1)
    await demo.act("set_surroundings", address=PORT, ambient=-5)
    assert demo.bluetooth_env.simulated(PORT).ambient == -5


async def test_battery_of_bank_is_cut_off_and_comes_back(demo: Demo) -> None:
    """The other battery carries the load."""
    await demo.act("cut_off", address=PORT, cut_off=True)
    bank = await demo.bank()
    assert bank["isolated"] == [PORT]
    assert bank["currents"] == {STARBOARD: -24.0}

    await demo.act("cut_off", address=PORT, cut_off=False)
    assert (await demo.bank())["isolated"] == [PORT]
    await demo.act("advance", address=STARBOARD, minutes=5)
    bank = await demo.bank()
    assert bank["isolated"] == []
    assert bank["current"] == pytest.approx(-24, abs=0.1)


async def test_battery_of_bank_is_loosened_and_fastened(demo: Demo) -> None:
    """Its own values do not show it."""
    await demo.act("loosen", address=STARBOARD, loose=True)
    assert (await demo.bank())["fastened"] == [PORT]
    expected_values = demo.bluetooth_env.simulated(STARBOARD).expected_values()
    assert (expected_values["current"], expected_values["protections"]) == (0, ())

    await demo.act("loosen", address=STARBOARD, loose=False)
    assert (await demo.bank())["fastened"] == [PORT, STARBOARD]


async def test_battery_of_bank_is_weakened(demo: Demo) -> None:
    """It then carries less."""
    before = (await demo.bank())["currents"]
    await demo.act("weaken", address=PORT, resistance=3)

    after = (await demo.bank())["currents"]
    assert after[PORT] == pytest.approx(before[PORT] / 2, abs=2)
    assert sum(after.values()) == pytest.approx(-24, abs=0.1)
    assert demo.bluetooth_env.simulated(PORT).cell_capacity[0] > 100 * 3600
    await demo.act("weaken", address=PORT, capacity=0.5)
    assert demo.bluetooth_env.simulated(PORT).cell_capacity[0] < 51 * 3600


async def test_action_for_a_missing_bank_is_refused(empty: Demo) -> None:
    """Neither the bank nor one of its batteries exists."""
    for name, data in (
        ("set_bank_current", {"demand_current": 1}),
        ("cut_off", {"address": PORT, "cut_off": True}),
        ("loosen", {"address": PORT, "loose": True}),
        ("weaken", {"address": PORT}),
    ):
        with pytest.raises(ServiceValidationError):
            await empty.act(name, **data)
