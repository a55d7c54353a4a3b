"""Actions of a user on Home Assistant's pages, and what is read there.

Everything waits for what is on the page. Only names that a user can read are searched
for, and the few elements of the frontend that hold them together.
"""

from __future__ import annotations

from contextlib import suppress

from playwright.async_api import (
    Locator,
    Page,
    TimeoutError as PlaywrightTimeoutError,
    expect,
)

from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import DISCOVERY_TIMEOUT
from simulator.e2e.folder import PASSWORD, USERNAME
from simulator.e2e.polling import wait_until

TIMEOUT = 30_000  # ms; a slow machine takes some seconds for the first page

CLICK_TIMEOUT = 2_000  # ms

expect.set_options(timeout=TIMEOUT)


class UserSession:
    """Drives a browser; the methods return when the page shows the result."""

    def __init__(self, page: Page, api: HomeAssistant) -> None:
        """Use a page on which no user is logged in."""
        self.page = page
        self._url = api.url
        page.set_default_timeout(TIMEOUT)

    async def opens(self, path: str) -> None:
        """Open an address."""
        await self.page.goto(self._url + path)

    async def clicks(self, name: str) -> None:
        """Click a button."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def logs_in(self) -> None:
        """Fill in the login form."""
        await self.page.get_by_label("Username").fill(USERNAME)
        await self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await self.clicks("Log in")
        await expect(self.page.get_by_role("link", name="Settings")).to_be_visible()

    async def picks(self, place: Locator, item: str, device: str = "") -> None:
        """Open the list of a picker, and pick what has this name and is of this device."""
        field = place.locator("ha-picker-field").first
        await field.click()
        await self.page.get_by_placeholder("Search").last.fill(item)
        row = (
            self.page.locator("ha-picker-combo-box ha-combo-box-item")
            .filter(has=self.page.get_by_text(item, exact=True))
            .filter(has_text=device)
            .first
        )
        await expect(row).to_be_visible()

        async def picked() -> bool:
            # A click is lost where the list is drawn again for what was typed.
            with suppress(PlaywrightTimeoutError, AssertionError):
                if await row.is_visible():
                    await row.click(timeout=CLICK_TIMEOUT)
                await expect(field).to_contain_text(item, timeout=CLICK_TIMEOUT)
                return True
            return False

        await wait_until(picked, TIMEOUT / 1000, lambda: f"{item} cannot be picked")

    # --- Settings > Devices & services ----------------------------------------------

    async def goes_to_integrations(self) -> None:
        """Open the page with all integrations."""
        await self.page.get_by_role("link", name="Settings").click()
        await self.page.get_by_text("Devices & services").click()

    async def goes_to_batteries(self) -> None:
        """Open the integration's page, which lists the batteries that were added."""
        await self.goes_to_integrations()
        await self.page.get_by_role("link", name="Voltgo VLRV").click()

    async def adds(self, name: str) -> None:
        """Click Add on what was discovered, once it is."""
        card = self.page.locator("ha-config-flow-card").filter(has_text=name)
        await card.get_by_role("button", name="Add").click(
            timeout=DISCOVERY_TIMEOUT * 1000
        )

    async def opens_options(self, name: str) -> None:
        """Click the gear beside a battery, and choose the first form."""
        row = self.page.locator("ha-config-entry-row").filter(has_text=name)
        await row.get_by_role("button", name="Configure").click()
        await self.page.get_by_text("General", exact=True).click()

    async def goes_to_battery(self, name: str) -> None:
        """Open a battery's device page."""
        await self.goes_to_batteries()
        row = self.page.locator("ha-config-entry-row").filter(has_text=name)
        await row.get_by_role("listitem").filter(has_text=name).click()
        await self.sees_battery_page()

    # --- a battery's device page ----------------------------------------------------

    async def sees_battery_page(self) -> None:
        """Wait until the page of a device is there."""
        await self.page.wait_for_url("**/config/devices/device/*")

    def row(self, entity: str) -> Locator:
        """Return the line of an entity on the device page."""
        return self.page.locator("hui-generic-entity-row").filter(
            has=self.page.get_by_title(entity, exact=True)
        )

    def toggle(self, entity: str) -> Locator:
        """Return the toggle of an entity on the device page, which takes a click."""
        return self.row(entity).locator("ha-switch")

    async def sees(self, entity: str, value: str) -> None:
        """Read the value of an entity on the device page."""
        # Playwright reads what is put into an element before the element's own text.
        await expect(self.row(entity)).to_have_text(f"{value} {entity}")

    async def sees_toggle(self, entity: str, *, on: bool) -> None:
        """Return whether a toggle is on."""
        toggle = self.toggle(entity).get_by_role("switch")
        await expect(toggle).to_be_checked(checked=on)
