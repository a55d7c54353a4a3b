"""What a user does with blueprints: fill in its form, save it, and see it act."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from homeassistant.util import dt as dt_util

from .automation_pages import (
    ACT_TIMEOUT,
    PHONE,
    AutomationPages,
    automation_of,
    has_acted,
)
from .setup import async_setup_battery
from simulator.e2e.api import HomeAssistant, Json
from simulator.e2e.batteries import SIMULATOR, SOLAR, device_of, entities_of
from simulator.e2e.polling import wait_until

CAUSE = f"{SIMULATOR}.cause_fault"
HEATER = "Battery heater"
CHARGE = "State of charge"
DEPARTURE = "input_datetime.departure"
SHORE_POWER = "Shore power"


async def reaches(demo: HomeAssistant, entity_id: str, state: str) -> None:
    """Wait until an entity has a state."""

    async def there() -> bool:
        return bool((await demo.states())[entity_id]["state"] == state)

    await wait_until(there, ACT_TIMEOUT, lambda: f"{entity_id} is not {state}")


class Blueprints:
    """Fills in forms about one battery, and deletes what was made of them."""

    def __init__(
        self,
        demo: HomeAssistant,
        pages: AutomationPages,
        name: str,
        entities: dict[str, Json],
    ) -> None:
        """Be about the battery `name` with these entities, by key."""
        self.demo = demo
        self.pages = pages
        self.name = name
        self.entities = entities
        self.made: list[str] = []

    def entity_id(self, key: str) -> str:
        """Return the ID of one of the battery's entities."""
        entity_id: str = self.entities[key]["entity_id"]
        return entity_id

    async def opens(self, blueprint: str) -> None:
        """Open the form."""
        await self.pages.selects_blueprint(f"Voltgo VLRV: {blueprint}")

    async def picks(self, label: str, item: str) -> None:
        """Pick one of the battery's entities."""
        await self.pages.picks_in_field(label, item, self.name)

    async def saves(self) -> str:
        """Save the form, and return the ID of the automation once it is on."""
        automation_id = await self.pages.saves()
        self.made.append(automation_id)
        await automation_of(self.demo, automation_id)
        return automation_id

    async def causes(self, fault: str) -> None:
        """Cause a fault of the battery."""
        await self.demo.act(CAUSE, {"address": SOLAR, "fault": fault})

    async def heats(self, automation_id: str) -> None:
        """Wait until an automation has turned the heater on; it is off again afterwards."""
        heater = self.entity_id("heater")
        await has_acted(self.demo, automation_id)
        try:
            await reaches(self.demo, heater, "on")
        finally:
            await self.demo.act("automation.turn_off", {"entity_id": "all"})
            await self.demo.act("switch.turn_off", {"entity_id": heater})


@pytest.fixture
async def blueprints(
    demo: HomeAssistant, automation_pages: AutomationPages
) -> AsyncGenerator[Blueprints]:
    """Prepare a healthy battery; afterwards it is so again."""
    name = (await async_setup_battery(demo, SOLAR))["name"]
    entities = await entities_of(demo, await device_of(demo, SOLAR))
    blueprints = Blueprints(demo, automation_pages, name, entities)
    await blueprints.causes("none")
    await reaches(demo, blueprints.entity_id("problem"), "off")
    yield blueprints
    for automation_id in blueprints.made:
        await demo.delete(f"config/automation/config/{automation_id}")
    await blueprints.causes("none")


async def test_something_wrong_names_the_fault(blueprints: Blueprints) -> None:
    """The phone shows the fault in words."""
    await blueprints.opens("Tell me when something is wrong")
    await blueprints.pages.picks_in_field("Batteries", blueprints.name)
    await blueprints.pages.picks_in_field("Notify devices", PHONE)
    automation_id = await blueprints.saves()
    await blueprints.causes("short_circuit")
    await has_acted(blueprints.demo, automation_id)
    await blueprints.pages.sees_notification(
        f"{blueprints.name} reports a fault: Short-circuit protection"
    )


async def test_low_battery_says_how_much_is_left(blueprints: Blueprints) -> None:
    """The phone shows it once the battery is empty."""
    await blueprints.opens("Low battery")
    await blueprints.picks("State of charge sensor", CHARGE)
    await blueprints.pages.enters("Low threshold", 30)
    await blueprints.pages.picks_in_field("Notify devices", PHONE)
    await blueprints.pages.opens_section("Advanced")
    await blueprints.pages.enters_no_time("Low for")
    automation_id = await blueprints.saves()
    await blueprints.causes("full_discharge")
    await has_acted(blueprints.demo, automation_id)
    await blueprints.pages.sees_notification(f"{blueprints.name} is low: 0% left.")


async def test_stop_charging_when_cold_turns_the_charger_off(
    blueprints: Blueprints,
) -> None:
    """Shore power is on until the battery is too cold."""
    demo = blueprints.demo
    (charger,) = (
        entity_id
        for entity_id, state in (await demo.states()).items()
        if state["attributes"].get("friendly_name") == SHORE_POWER
    )
    await demo.act("switch.turn_on", {"entity_id": charger})
    await blueprints.opens("Stop charging when cold")
    await blueprints.picks("Too cold to charge sensors", "Too cold to charge")
    await blueprints.pages.picks_in_field("Chargers", SHORE_POWER)
    automation_id = await blueprints.saves()
    await blueprints.causes("charge_ut")
    await has_acted(demo, automation_id)
    await reaches(demo, charger, "off")


async def test_winter_heating_turns_the_heater_on(blueprints: Blueprints) -> None:
    """The temperature of the battery decides when none is chosen."""
    await blueprints.opens("Winter heating")
    await blueprints.picks("Heaters", HEATER)
    await blueprints.picks("State of charge sensor", CHARGE)
    automation_id = await blueprints.saves()
    await blueprints.causes("charge_ut")
    await blueprints.heats(automation_id)


async def test_preheat_before_departure_turns_the_heater_on(
    blueprints: Blueprints,
) -> None:
    """The time of departure moves to within the hours that were chosen."""
    await blueprints.opens("Preheat before departure")
    await blueprints.picks("Heaters", HEATER)
    await blueprints.picks("State of charge sensor", CHARGE)
    await blueprints.pages.picks_in_field("Departure", "Departure")
    await blueprints.pages.opens_section("Limits")
    await blueprints.pages.enters_no_time("Minimum off time")
    automation_id = await blueprints.saves()
    departure = dt_util.utcnow() + timedelta(hours=1)
    await blueprints.demo.act(
        "input_datetime.set_datetime",
        {"entity_id": DEPARTURE, "timestamp": departure.timestamp()},
    )
    await blueprints.heats(automation_id)
