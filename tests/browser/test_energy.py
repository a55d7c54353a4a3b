"""What a user does to see a battery on the energy dashboard."""

from __future__ import annotations

from playwright.async_api import expect

from .setup import async_setup_battery
from .user_session import UserSession
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import SOLAR, device_of, entities_of
from simulator.e2e.polling import wait_until

CAPACITY = "2.56"  # kWh
SAVED = 30.0  # s


async def test_a_battery_is_added_to_the_energy_dashboard(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """Each sensor that the documentation names is offered, and what is entered is saved."""
    name = (await async_setup_battery(demo, SOLAR))["name"]
    page = user_session.page
    await user_session.opens("/config/energy")
    await user_session.clicks("Add battery system")
    picker = page.locator("ha-statistic-picker")
    for label, sensor in (
        ("Energy discharged from the battery", "Energy discharged"),
        ("Energy charged into the battery", "Energy charged"),
    ):
        await user_session.picks(picker.filter(has_text=label), sensor, name)
    await page.get_by_role("radio", name="Inverted").click()
    await user_session.picks(picker.filter(has_text="Battery power"), "Power", name)
    await user_session.picks(
        picker.filter(has_text="Battery state of charge sensor"),
        "State of charge",
        name,
    )
    await page.get_by_role("spinbutton", name="Battery capacity").fill(CAPACITY)
    await user_session.clicks("Save")
    await expect(page.locator("ha-dialog ha-statistic-picker")).to_have_count(0)

    entities = await entities_of(demo, await device_of(demo, SOLAR))
    expected = {
        "stat_energy_from": entities["energy_discharged"]["entity_id"],
        "stat_energy_to": entities["energy_charged"]["entity_id"],
    }

    async def saved() -> bool:
        sources = (await demo.call("energy/get_prefs"))["energy_sources"]
        return any(expected.items() <= source.items() for source in sources)

    await wait_until(saved, SAVED, lambda: "the energy preferences lack the battery")
    await user_session.opens("/energy/overview")
    await expect(page.get_by_text("Energy").first).to_be_visible()
