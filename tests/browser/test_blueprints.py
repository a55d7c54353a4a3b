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
from .setup import async_cause_fault, async_setup_bank_batteries, async_setup_battery
from simulator.e2e.api import HomeAssistant, Json
from simulator.e2e.batteries import (
    PORT,
    SIMULATOR,
    SOLAR,
    STARBOARD,
    WINTER,
    device_of,
    enable,
    entities_of,
    wait_for_poll,
)
from simulator.e2e.polling import wait_until

TAKE = f"{SIMULATOR}.take_by_app"
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
    """Fills in forms, and deletes what was made of them."""

    def __init__(self, demo: HomeAssistant, pages: AutomationPages) -> None:
        """Start with nothing made."""
        self.demo = demo
        self.pages = pages
        self.made: list[str] = []

    async def opens(self, blueprint: str) -> None:
        """Open the form."""
        await self.pages.selects_blueprint(f"Voltgo VLRV: {blueprint}")

    async def saves(self) -> str:
        """Save the form, and return the ID of the automation once it is on."""
        automation_id = await self.pages.saves()
        self.made.append(automation_id)
        await automation_of(self.demo, automation_id)
        return automation_id


class BlueprintBattery:
    """A battery that automations are about."""

    def __init__(
        self, blueprints: Blueprints, address: str, name: str, entities: dict[str, Json]
    ) -> None:
        """Be the battery `name` with these entities, by key."""
        self._blueprints = blueprints
        self.address = address
        self.name = name
        self.entities = entities

    def entity_id(self, key: str) -> str:
        """Return the ID of one of its entities."""
        entity_id: str = self.entities[key]["entity_id"]
        return entity_id

    async def is_picked(self, label: str, item: str) -> None:
        """Pick one of its entities in a field."""
        await self._blueprints.pages.picks_in_field(label, item, self.name)

    async def causes(self, fault: str) -> None:
        """Cause a fault."""
        await async_cause_fault(self._blueprints.demo, self.address, fault)

    async def heats(self, automation_id: str) -> None:
        """Wait until an automation has turned the heater on; it is off again afterwards."""
        demo, heater = self._blueprints.demo, self.entity_id("heater")
        await has_acted(demo, automation_id)
        try:
            await reaches(demo, heater, "on")
        finally:
            await demo.act(
                "automation.turn_off",
                {"entity_id": (await automation_of(demo, automation_id))["entity_id"]},
            )
            await demo.act("switch.turn_off", {"entity_id": heater})


async def async_battery(blueprints: Blueprints, address: str) -> BlueprintBattery:
    """Return a battery that is added."""
    demo = blueprints.demo
    name = (await async_setup_battery(demo, address))["name"]
    entities = await entities_of(demo, await device_of(demo, address))
    return BlueprintBattery(blueprints, address, name, entities)


@pytest.fixture
async def blueprints(
    demo: HomeAssistant, automation_pages: AutomationPages
) -> AsyncGenerator[Blueprints]:
    """Be ready to fill in forms; afterwards there are no automations."""
    blueprints = Blueprints(demo, automation_pages)
    yield blueprints
    for automation_id in blueprints.made:
        await demo.delete(f"config/automation/config/{automation_id}")


@pytest.fixture
async def battery(blueprints: Blueprints) -> AsyncGenerator[BlueprintBattery]:
    """Prepare a healthy battery; afterwards it is so again."""
    battery = await async_battery(blueprints, SOLAR)
    await battery.causes("none")
    await reaches(blueprints.demo, battery.entity_id("problem"), "off")
    yield battery
    await battery.causes("none")


@pytest.fixture(scope="module", autouse=True)
async def taken_battery(demo: HomeAssistant) -> AsyncGenerator[str]:
    """Let the app take a battery before the first walk, and return its name.

    Its values are kept for a minute, for which the last walk would have to wait.
    """
    name, _ = await async_setup_bank_batteries(demo)
    await wait_for_poll(demo, [PORT], ACT_TIMEOUT)
    taken = {"address": PORT, "taken": True}
    await demo.act(TAKE, taken)
    yield name
    await demo.act(TAKE, taken | {"taken": False})


async def test_something_wrong_names_the_fault(
    blueprints: Blueprints, battery: BlueprintBattery
) -> None:
    """The phone shows the fault in words."""
    await blueprints.opens("Tell me when something is wrong")
    await blueprints.pages.picks_in_field("Batteries", battery.name)
    await blueprints.pages.picks_in_field("Notify devices", PHONE)
    automation_id = await blueprints.saves()
    await battery.causes("short_circuit")
    await has_acted(blueprints.demo, automation_id)
    await blueprints.pages.sees_notification(
        f"{battery.name} reports a fault: Short-circuit protection"
    )


async def test_low_battery_says_how_much_is_left(
    blueprints: Blueprints, battery: BlueprintBattery
) -> None:
    """The phone shows it once the battery is empty."""
    await blueprints.opens("Low battery")
    await battery.is_picked("State of charge sensor", CHARGE)
    await blueprints.pages.enters("Low threshold", 30)
    await blueprints.pages.picks_in_field("Notify devices", PHONE)
    await blueprints.pages.opens_section("Advanced")
    await blueprints.pages.enters_no_time("Low for")
    automation_id = await blueprints.saves()
    await battery.causes("full_discharge")
    await has_acted(blueprints.demo, automation_id)
    await blueprints.pages.sees_notification(f"{battery.name} is low: 0% left.")


async def test_cell_imbalance_says_how_far_the_cells_are_apart(
    blueprints: Blueprints, battery: BlueprintBattery
) -> None:
    """One cell is empty, and the others are not."""
    await blueprints.opens("Cell imbalance")
    await battery.is_picked("Cell voltage difference sensor", "Cell voltage difference")
    await battery.is_picked("State of charge sensor", CHARGE)
    await blueprints.pages.enters_no_time("Exceeded for")
    automation_id = await blueprints.saves()
    await battery.causes("cell_uv")
    await has_acted(blueprints.demo, automation_id)
    await blueprints.pages.sees_notification(f"The cells of {battery.name} differ by")


async def test_storage_recharge_reminder_names_the_battery(
    blueprints: Blueprints,
) -> None:
    """Its date is set by hand, as that of a full battery is months ahead."""
    demo = blueprints.demo
    await async_setup_bank_batteries(demo)
    # Home Assistant reloads it once more, half a minute after an entity was enabled: a
    # battery of another walk could be sent something just then.
    battery = await async_battery(blueprints, STARBOARD)
    due = battery.entities["recharge_due"]
    await enable(demo, [due])
    entry_id = due["config_entry_id"]
    await demo.post(f"config/config_entries/entry/{entry_id}/reload")
    await blueprints.opens("Storage recharge reminder")
    await battery.is_picked("Recharge due sensors", "Recharge due")
    await blueprints.pages.enters_midnight("Remind at")
    automation_id = await blueprints.saves()
    yesterday = dt_util.utcnow() - timedelta(days=1)
    await demo.post(f"states/{due['entity_id']}", {"state": yesterday.isoformat()})
    await has_acted(demo, automation_id)
    await blueprints.pages.sees_notification(f"Time to recharge {battery.name}.")


async def test_stop_charging_when_cold_turns_the_charger_off(
    blueprints: Blueprints, battery: BlueprintBattery
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
    await battery.is_picked("Too cold to charge sensors", "Too cold to charge")
    await blueprints.pages.picks_in_field("Chargers", SHORE_POWER)
    automation_id = await blueprints.saves()
    await battery.causes("charge_ut")
    await has_acted(demo, automation_id)
    await reaches(demo, charger, "off")


async def test_automations_that_look_each_minute_act(
    blueprints: Blueprints, battery: BlueprintBattery, taken_battery: str
) -> None:
    """Unreachable, winter and departure; together, as each waits for its minute."""
    demo, pages = blueprints.demo, blueprints.pages
    cold = await async_battery(blueprints, WINTER)

    await blueprints.opens("Battery unreachable")
    await pages.picks_in_field("Batteries", CHARGE, taken_battery)
    await pages.enters_no_time("Unreachable for")
    unreachable = await blueprints.saves()

    # The temperature of the battery decides when none is chosen.
    await blueprints.opens("Winter heating")
    await cold.is_picked("Heaters", HEATER)
    await cold.is_picked("State of charge sensor", CHARGE)
    winter = await blueprints.saves()

    await blueprints.opens("Preheat before departure")
    await battery.is_picked("Heaters", HEATER)
    await battery.is_picked("State of charge sensor", CHARGE)
    await pages.picks_in_field("Departure", "Departure")
    await pages.opens_section("Limits")
    await pages.enters_no_time("Minimum off time")
    preheat = await blueprints.saves()
    # It moves to within the hours that were chosen.
    departure = dt_util.utcnow() + timedelta(hours=1)
    await demo.act(
        "input_datetime.set_datetime",
        {"entity_id": DEPARTURE, "timestamp": departure.timestamp()},
    )

    await cold.heats(winter)
    await battery.heats(preheat)
    await has_acted(demo, unreachable)
    await pages.sees_notification(f"{taken_battery} cannot be reached.")
