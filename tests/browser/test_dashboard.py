"""What a user does with the dashboard, on a phone and a desktop, by day and by night."""

from __future__ import annotations

import asyncio

from playwright.async_api import Request, Route, expect

from .layout import in_order, settled_look
from .setup import DASHBOARD, async_cause_fault, async_setup_battery, entry_of
from .user_session import UserSession
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import SOLAR, WINTER

SCREENS = ((390, 844), (1280, 900))  # pixels
FIRST_SECTION = "Now"
LAST_SECTION = "Diagnostics"
COLD = "Too cold to charge"
FAULT = "Active faults"
PROTECTION = "Protection"


async def async_setup_dashboard(demo: HomeAssistant, user_session: UserSession) -> None:
    """Add the dashboard as its page in the documentation says, unless it is there."""
    boards = await demo.call("lovelace/dashboards/list")
    if DASHBOARD in [board["url_path"] for board in boards]:
        return
    page = user_session.page
    await user_session.opens("/config/lovelace/dashboards")
    await user_session.clicks("Add dashboard")
    await page.get_by_role("button", name="Voltgo VLRV").click()
    await page.get_by_role("textbox", name="Title").fill("Batteries")
    await user_session.clicks("Create")
    # A dialog that closes goes back in the history of the browser.
    await page.get_by_role("link", name="Batteries").click()
    await page.wait_for_url(f"**/{DASHBOARD}/*")


async def sees_on_every_screen(
    user_session: UserSession, *texts: str
) -> dict[tuple[int, bool], list[str]]:
    """Look at the view on each screen, light and dark; return the order of the texts."""
    page, orders = user_session.page, {}
    for width, height in SCREENS:
        await page.set_viewport_size({"width": width, "height": height})
        for dark in (False, True):
            await page.emulate_media(color_scheme="dark" if dark else "light")
            found = await settled_look(page, *texts, dark=dark)
            orders[width, dark] = in_order(found, *texts)
    return orders


async def test_the_overview_fits_each_screen(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """Nothing overlaps, can be misread or is missing, and a fault is above the charge."""
    names = [
        (await async_setup_battery(demo, address))["name"]
        for address in (SOLAR, WINTER)
    ]
    await async_setup_dashboard(demo, user_session)
    await user_session.page.get_by_role("link", name="Batteries").click()
    orders = await sees_on_every_screen(user_session, *names, COLD, PROTECTION)
    phone = orders[SCREENS[0][0], False]
    assert phone.index(COLD) < phone.index(PROTECTION)


async def test_a_cold_battery_is_shown_on_each_screen(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """The fault comes first, then the cold, then the charge; the rest is below."""
    name = (await async_setup_battery(demo, WINTER))["name"]
    await async_setup_dashboard(demo, user_session)
    path = (await entry_of(demo, name)).lower()
    await user_session.opens(f"/{DASHBOARD}/{path}")
    texts = (FAULT, COLD, FIRST_SECTION, "54%", "Cells", LAST_SECTION)
    orders = await sees_on_every_screen(user_session, *texts)
    for (width, _), order in orders.items():
        first = [text for text in order if text in texts[:4]]
        assert first == list(texts[:4]), width


async def test_a_fault_is_seen_until_it_is_over(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """A short circuit makes the banner, in words and above the charge, and no longer."""
    name = (await async_setup_battery(demo, SOLAR))["name"]
    await async_setup_dashboard(demo, user_session)
    path = (await entry_of(demo, name)).lower()
    page = user_session.page
    await user_session.opens(f"/{DASHBOARD}/{path}")
    await expect(page.get_by_text(FIRST_SECTION, exact=True)).to_be_visible()
    await expect(page.get_by_text(FAULT, exact=True)).to_be_hidden()
    await async_cause_fault(demo, SOLAR, "short_circuit")
    try:
        banner = "Short-circuit protection"
        found = await settled_look(page, FAULT, banner, FIRST_SECTION, dark=False)
        order = in_order(found, FAULT, banner, FIRST_SECTION)
        assert order == [FAULT, banner, FIRST_SECTION]
    finally:
        await async_cause_fault(demo, SOLAR, "none")
    await expect(page.get_by_text(FAULT, exact=True)).to_be_hidden()


async def test_the_dashboard_is_shown_when_its_script_comes_first(
    demo: HomeAssistant, user_session: UserSession
) -> None:
    """Home Assistant itself may start later than the script of the dashboard ran."""
    name = (await async_setup_battery(demo, SOLAR))["name"]
    await async_setup_dashboard(demo, user_session)
    page, ran = user_session.page, asyncio.Event()

    def finished(request: Request) -> None:
        if "voltgo_vlrv/dashboard.js" in request.url:
            ran.set()

    async def wait(route: Route) -> None:
        await ran.wait()
        # Whatever was received before has run when this is answered.
        await page.wait_for_function("() => window.customStrategies?.length")
        await route.continue_()

    page.on("requestfinished", finished)
    await page.route("**/frontend_latest/app.*.js", wait)
    await user_session.opens(f"/{DASHBOARD}/overview")
    await settled_look(page, name, dark=False)
