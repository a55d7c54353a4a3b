"""The ways of an owner through the pages, from the login on."""

from __future__ import annotations

from playwright.async_api import expect

from .person import Person
from simulator.homeassistant.batteries import (
    DRIVING,
    MODELS,
    SIMULATOR,
    SOLAR,
    WINTER,
    add_battery,
    discovered,
    simulated,
    texts,
)
from simulator.homeassistant.client import HomeAssistant, Json
from simulator.homeassistant.waiting import until

HEATER = "Battery heater"
CELLS = 8  # in series in a VLRV2560B
CONFIRMED = 5.0  # s


async def added(demo: HomeAssistant, address: str) -> Json:
    """Have a battery added, by whatever test comes first, and return what it is."""
    battery = (await simulated(demo))[address]
    entries = await demo.call("config_entries/get", domain="voltgo_vlrv")
    if battery["name"] not in [entry["title"] for entry in entries]:
        (flow,) = await discovered(demo, {address})
        await add_battery(demo, flow)
    return battery


async def heater_stands(demo: HomeAssistant, address: str, *, on: bool) -> None:
    """Wait until the battery itself may heat, or may not."""

    async def right() -> bool:
        truth = (await simulated(demo))[address]["truth"]
        return truth["heating_enabled"] is on

    await until(right, CONFIRMED, lambda: f"the heater of {address} is not {on}")


async def test_a_discovered_battery_is_added_and_shows_its_values(
    demo: HomeAssistant, person: Person
) -> None:
    """The form says which battery it is, and its page says what the battery reports."""
    battery = (await simulated(demo))[DRIVING]
    name = battery["name"]
    await person.logs_in()
    await person.goes_to_integrations()
    await person.adds(name)
    form = person.page.locator("dialog-data-entry-flow")
    await expect(form).to_contain_text(f"Found {name}: {MODELS[DRIVING]}, ")
    await person.clicks("Submit")
    await person.clicks("Skip and finish")

    await person.sees_battery_page()
    await demo.act(f"{SIMULATOR}.hold", {"hold": True})
    try:
        truth = (await simulated(demo))[DRIVING]["truth"]
        await person.sees("State of charge", f"{truth['state_of_charge']}%")
        await person.sees("Pack voltage", f"{truth['voltage']:.2f} V")
        await person.sees("Current", f"{truth['current']:.1f} A")
        await person.sees("Power", f"{truth['power']:,.0f} W")
        await person.sees("Charging", "Not charging")
        await person.sees("Problem", "OK")
        await person.sees("Active faults", "None")
        for number in range(1, CELLS + 1):
            voltage = truth[f"cell_{number}"]
            await person.sees(f"Cell {number} voltage", f"{voltage:.3f} V")
    finally:
        await demo.act(f"{SIMULATOR}.hold", {"hold": False})


async def test_the_heater_is_switched_on_and_off(
    demo: HomeAssistant, person: Person
) -> None:
    """One click each; the battery in the cold heats, and the page says so."""
    battery = await added(demo, WINTER)
    await person.logs_in()
    await person.goes_to_battery(battery["name"])
    await person.sees_toggle(HEATER, on=False)
    await person.sees("Heating", "Off")

    await person.toggle(HEATER).click()
    await heater_stands(demo, WINTER, on=True)
    await person.sees_toggle(HEATER, on=True)
    await person.sees("Heating", "Heating")

    await person.toggle(HEATER).click()
    await heater_stands(demo, WINTER, on=False)
    await person.sees_toggle(HEATER, on=False)
    await person.sees("Heating", "Off")


async def test_a_battery_that_refuses_is_explained(
    demo: HomeAssistant, person: Person
) -> None:
    """A message says that nothing was changed, and the toggle goes back."""
    battery = await added(demo, SOLAR)
    message = (await texts(demo, "exceptions"))["heater_refused.message"].format(
        name=battery["name"], setting=HEATER, code=1
    )
    await person.logs_in()
    await person.goes_to_battery(battery["name"])
    await person.sees_toggle(HEATER, on=False)
    set_answer = f"{SIMULATOR}.set_heater_answer"
    await demo.act(set_answer, {"address": SOLAR, "answer": "refuse"})
    try:
        await person.toggle(HEATER).click()
        await expect(person.page.get_by_role("status")).to_contain_text(message)
        await person.sees_toggle(HEATER, on=False)
        await heater_stands(demo, SOLAR, on=False)
    finally:
        await demo.act(set_answer, {"address": SOLAR, "answer": "obey"})


async def test_the_interval_is_changed_in_the_options(
    demo: HomeAssistant, person: Person
) -> None:
    """The form shows what is in force, and when it is opened again, what was saved."""
    name = (await added(demo, SOLAR))["name"]
    await person.logs_in()
    await person.goes_to_batteries()
    await person.opens_options(name)
    interval = person.page.get_by_role("spinbutton", name="Read the battery every")
    await expect(interval).to_have_value("10")

    await interval.fill("30")
    await person.clicks("Submit")
    form = person.page.locator("dialog-data-entry-flow")
    await expect(form).to_contain_text("Options successfully saved.")
    await person.clicks("Finish")
    await expect(person.page.get_by_role("dialog")).to_be_hidden()

    await person.opens_options(name)
    await expect(interval).to_have_value("30")
