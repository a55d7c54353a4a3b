"""What a user does about a repair issue, from the list in Settings until it is gone."""

from __future__ import annotations

from playwright.async_api import Locator, expect

from .setup import async_setup_battery
from .user_session import UserSession
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import SIMULATOR, WINTER, device_of, entities_of
from simulator.e2e.polling import wait_until

SHOWN = 90_000  # ms; until a battery was read, and turned off and on
CAPACITY = 100  # Ah
OTHER_CAPACITY = 150
HEADING = "new-settings-wait-until-the-battery-was-turned-off-and-on"


async def sees_issue(user_session: UserSession, title: str) -> Locator:
    """Open the list of repair issues, and return one of them once it is there."""
    page = user_session.page
    await user_session.opens("/config/repairs")
    issue = page.locator("ha-config-repairs").get_by_text(title, exact=True)
    await expect(issue).to_be_visible(timeout=SHOWN)
    return issue


async def is_read(demo: HomeAssistant) -> str:
    """Wait until the battery's settings are known, and return the entity of one."""
    found: list[str] = []

    async def known() -> bool:
        entities = await entities_of(demo, await device_of(demo, WINTER))
        if (module_id := entities.get("module_id")) is None:
            return False
        found[:] = [module_id["entity_id"]]
        return (await demo.states())[found[0]]["state"] != "unavailable"

    await wait_until(known, SHOWN / 1000, lambda: "the settings stay unknown")
    return found[0]


async def test_an_exchanged_battery_is_accepted_or_ignored(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """The form says which was added and which was found; both answers end the issue."""
    name = (await async_setup_battery(demo, WINTER))["name"]
    dialog = user_session.page.locator("dialog-data-entry-flow")
    title = f"A different battery responds as {name}"
    for capacity, answer in (
        (OTHER_CAPACITY, "It is a different battery"),
        (CAPACITY, "Ignore"),
    ):
        await is_read(demo)
        exchange = {"address": WINTER, "capacity": capacity}
        await demo.act(f"{SIMULATOR}.exchange", exchange)
        issue = await sees_issue(user_session, title)
        await issue.click()
        await expect(dialog).to_contain_text(f"{capacity} Ah")
        await dialog.locator("ha-list-item").filter(has_text=answer).click()
        await user_session.clicks("Finish")
        await expect(issue).to_be_hidden()
    await user_session.goes_to_battery(name)
    await expect(user_session.row("Voltage")).to_contain_text(" V", timeout=SHOWN)


async def test_a_setting_that_waits_is_explained_until_it_is_applied(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """The steps, a link to the page about them; turning the battery off and on ends it."""
    name = (await async_setup_battery(demo, WINTER))["name"]
    await demo.act(
        "select.select_option", {"entity_id": await is_read(demo), "option": "3"}
    )
    issue = await sees_issue(
        user_session, f"Turn {name} off and on to apply its new settings"
    )
    await issue.click()
    dialog = user_session.page.locator("dialog-repairs-issue")
    await expect(dialog).to_contain_text("wait until all its LEDs are off")
    more = dialog.get_by_role("link", name="Learn more")
    address = await more.get_attribute("href") or ""
    assert address.endswith(f"docs/troubleshooting.md#{HEADING}")
    await user_session.page.keyboard.press("Escape")
    await demo.act(f"{SIMULATOR}.power_cycle", {"address": WINTER})
    await expect(issue).to_be_hidden(timeout=SHOWN)
