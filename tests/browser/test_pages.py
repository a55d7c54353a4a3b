"""What a user does on Home Assistant's pages, from the login on."""

from __future__ import annotations

from playwright.async_api import expect

from .setup import async_setup_battery
from .user_session import UserSession
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import (
    DRIVING,
    MODELS,
    SIMULATOR,
    SOLAR,
    WINTER,
    simulated,
    texts,
)
from simulator.e2e.polling import wait_until

HEATER = "Battery heater"
CELLS = 8  # in series in a VLRV2560B
CONFIRMED = 5.0  # s


async def heater_stands(demo: HomeAssistant, address: str, *, on: bool) -> None:
    """Wait until the battery itself may heat, or may not."""

    async def right() -> bool:
        expected_values = (await simulated(demo))[address]["expected_values"]
        return expected_values["heating_enabled"] is on

    await wait_until(right, CONFIRMED, lambda: f"the heater of {address} is not {on}")


async def test_a_discovered_battery_is_added_and_shows_its_values(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """The form says which battery it is, and its page says what the battery reports."""
    # From the first reading on: one step of a change is shown a minute later.
    await demo.act(f"{SIMULATOR}.hold", {"hold": True})
    try:
        battery = (await simulated(demo))[DRIVING]
        await user_session.goes_to_integrations()
        await user_session.adds(battery["name"])
        form = user_session.page.locator("dialog-data-entry-flow")
        await expect(form).to_contain_text(f"Model: {MODELS[DRIVING]}")
        await user_session.clicks("Submit")
        await user_session.clicks("Skip and finish")

        await user_session.sees_battery_page()
        expected_values = battery["expected_values"]
        await user_session.sees(
            "State of charge", f"{expected_values['state_of_charge']}%"
        )
        await user_session.sees("Voltage", f"{expected_values['voltage']:.2f} V")
        await user_session.sees("Current", f"{expected_values['current']:.1f} A")
        await user_session.sees("Power", f"{expected_values['power']:,.0f} W")
        await user_session.sees("Charging", "Not charging")
        await user_session.sees("Problem", "OK")
        await user_session.sees("Active faults", "None")
        for number in range(1, CELLS + 1):
            voltage = expected_values[f"cell_{number}"]
            await user_session.sees(f"Cell {number} voltage", f"{voltage:.3f} V")
    finally:
        await demo.act(f"{SIMULATOR}.hold", {"hold": False})


async def test_the_heater_is_switched_on_and_off(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """One click each; the battery in the cold heats, and the page says so."""
    battery = await async_setup_battery(demo, WINTER)
    await user_session.goes_to_battery(battery["name"])
    await user_session.sees_toggle(HEATER, on=False)
    await user_session.sees("Heating", "Off")

    await user_session.toggle(HEATER).click()
    await heater_stands(demo, WINTER, on=True)
    await user_session.sees_toggle(HEATER, on=True)
    await user_session.sees("Heating", "Heating")

    await user_session.toggle(HEATER).click()
    await heater_stands(demo, WINTER, on=False)
    await user_session.sees_toggle(HEATER, on=False)
    await user_session.sees("Heating", "Off")


async def test_a_battery_that_refuses_is_explained(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """A message says that nothing was changed, and the toggle goes back."""
    battery = await async_setup_battery(demo, SOLAR)
    message = (await texts(demo, "exceptions"))["heater_refused.message"].format(
        name=battery["name"], setting=HEATER, code=1
    )
    await user_session.goes_to_battery(battery["name"])
    await user_session.sees_toggle(HEATER, on=False)
    set_answer = f"{SIMULATOR}.set_heater_answer"
    await demo.act(set_answer, {"address": SOLAR, "answer": "refuse"})
    try:
        await user_session.toggle(HEATER).click()
        await expect(user_session.page.get_by_role("status")).to_contain_text(message)
        await user_session.sees_toggle(HEATER, on=False)
        await heater_stands(demo, SOLAR, on=False)
    finally:
        await demo.act(set_answer, {"address": SOLAR, "answer": "obey"})


async def test_the_interval_is_changed_in_the_options(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """The form shows what is in force, and when it is opened again, what was saved."""
    name = (await async_setup_battery(demo, SOLAR))["name"]
    await user_session.goes_to_batteries()
    await user_session.opens_options(name)
    interval = user_session.page.get_by_role("spinbutton", name="Update interval")
    await expect(interval).to_have_value("10")

    await interval.fill("30")
    await user_session.clicks("Submit")
    form = user_session.page.locator("dialog-data-entry-flow")
    await expect(form).to_contain_text("Options successfully saved.")
    await user_session.clicks("Finish")
    await expect(user_session.page.get_by_role("dialog")).to_be_hidden()

    await user_session.opens_options(name)
    await expect(interval).to_have_value("30")
