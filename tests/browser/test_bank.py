"""What a user does to see batteries in parallel as one."""

from __future__ import annotations

from playwright.async_api import expect

from .setup import async_setup_bank_batteries, async_setup_battery
from .user_session import UserSession
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import (
    SOLAR,
    discovered_banks,
    expected_bank_values,
    holding,
)
from simulator.e2e.polling import wait_until

BANK = "House bank"
FOUND = 60.0  # s


async def test_a_suggested_bank_is_added_and_shows_its_values(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """The form has the batteries of the same model, and the page the sum of both."""
    other = (await async_setup_battery(demo, SOLAR))["name"]
    names = await async_setup_bank_batteries(demo)

    async def suggested() -> bool:
        return bool(await discovered_banks(demo))

    await wait_until(suggested, FOUND, lambda: "no bank is suggested")
    await user_session.goes_to_integrations()
    page = user_session.page
    await user_session.adds("Battery bank")
    await page.get_by_role("textbox", name="Name").fill(BANK)
    form = page.locator("dialog-data-entry-flow")
    # Of the same model, but it may not be wired to them.
    members = page.get_by_role("checkbox", name="(VLRV2560B)")
    for name in names:
        await expect(page.get_by_role("checkbox", name=name)).to_be_checked()
    await expect(page.get_by_role("checkbox", name=other)).not_to_be_checked()
    for text in await form.get_by_text("(VLRV2560B)").all():
        words = await text.inner_text()
        if not any(name in words for name in names):
            await text.click()
    await expect(members.and_(page.locator(":checked"))).to_have_count(len(names))
    await user_session.clicks("Submit")
    await user_session.clicks("Skip and finish")

    await user_session.sees_battery_page()
    await user_session.sees("Batteries online", "2")
    await user_session.sees("Battery isolated", "OK")
    async with holding(demo):
        charge = (await expected_bank_values(demo))["state_of_charge"]
        await user_session.sees("State of charge", f"{charge:.0f}%")
