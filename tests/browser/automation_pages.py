"""The pages on which a user makes automations, and where their messages appear."""

from __future__ import annotations

from playwright.async_api import Locator, expect

from .user_session import UserSession
from simulator.e2e.api import HomeAssistant, Json
from simulator.e2e.polling import wait_until

ACT_TIMEOUT = 150.0  # s; values that are kept for a minute, and the next minute
PHONE = "Demo phone"


class AutomationPages(UserSession):
    """Fills in the editor of automations, with or without a blueprint."""

    # --- the editor -----------------------------------------------------------------

    async def creates_automation(self) -> None:
        """Open the editor with an empty automation."""
        await self.page.get_by_role("link", name="Settings").click()
        await self.page.get_by_text("Automations & scenes").click()
        await self.clicks("Create automation")
        await self.page.get_by_text("Create new automation").click()

    async def selects_of_device(self, button: str, device: str, item: str) -> None:
        """Add a trigger or an action of a device, which has no area."""
        await self.clicks(button)
        tree = self.page.get_by_role("treeitem", name="Devices", exact=True)
        await tree.click()
        await self.page.get_by_role("treeitem", name=device, exact=True).click()
        # Below its name is that of the device.
        await self.clicks(f"{item} {device}")

    async def enters_message(self, text: str) -> None:
        """Fill in the message of the action that is open."""
        sidebar = self.page.locator("ha-automation-sidebar")
        await sidebar.get_by_role("textbox").first.fill(text)

    async def saves(self, name: str | None = None) -> str:
        """Select Save, enter a name where one is asked for, and return the ID."""
        await self.clicks("Save")
        if name is not None:
            await self.page.get_by_role("textbox", name="Name").fill(name)
            dialog = self.page.locator("ha-dialog-automation-save")
            await dialog.get_by_role("button", name="Save", exact=True).click()
        await self.page.wait_for_url(lambda url: url.rpartition("/")[2].isdigit())
        return self.page.url.rpartition("/")[2]

    # --- the form of a blueprint ----------------------------------------------------

    async def selects_blueprint(self, name: str) -> None:
        """Open the form of a blueprint."""
        await self.opens("/config/blueprint/dashboard")
        await self.page.get_by_text(name, exact=True).click()
        await expect(self.page.get_by_role("heading", name="Blueprint")).to_be_visible()

    def field(self, label: str) -> Locator:
        """Return a field of the form."""
        return self.page.locator("ha-settings-row").filter(
            has=self.page.get_by_text(label, exact=True)
        )

    async def opens_section(self, name: str) -> None:
        """Open a section of the form."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def picks_in_field(self, label: str, item: str, device: str = "") -> None:
        """Pick an entity or a device from those that a field offers."""
        await self.picks(self.field(label), item, device)

    async def enters(self, label: str, number: float) -> None:
        """Fill in a number."""
        box = self.field(label).get_by_role("spinbutton")
        await box.fill(f"{number:g}")
        # It counts once another field has the cursor.
        await box.press("Tab")

    async def enters_no_time(self, label: str) -> None:
        """Set a duration to nothing."""
        for unit in ("hh", "mm", "ss"):
            box = self.field(label).get_by_role("spinbutton", name=unit)
            await box.fill("0")
            await box.press("Tab")

    async def enters_midnight(self, label: str) -> None:
        """Set a time of the day to its beginning, which a clock of 12 hours calls 12."""
        field = self.field(label)
        half = field.get_by_text("AM", exact=True)
        for unit in ("hh", "mm", "ss"):
            box = field.get_by_role("spinbutton", name=unit)
            is_twelve = unit == "hh" and await half.count()
            await box.fill("12" if is_twelve else "0")
            await box.press("Tab")

    # --- messages -------------------------------------------------------------------

    async def sees_notification(self, text: str) -> None:
        """Open the notifications, and read one."""
        # Before the word is how many there are.
        await self.page.get_by_role("button", name="Notifications").first.click()
        drawer = self.page.locator("notification-drawer")
        await expect(
            drawer.locator("persistent-notification-item").filter(has_text=text).first
        ).to_be_visible(timeout=ACT_TIMEOUT * 1000)
        await self.page.keyboard.press("Escape")


async def automation_of(demo: HomeAssistant, automation_id: str) -> Json:
    """Return the state of an automation, once it is there."""
    found: list[Json] = []

    async def there() -> bool:
        found[:] = [
            state
            for state in (await demo.states()).values()
            if state["entity_id"].startswith("automation.")
            and state["attributes"].get("id") == automation_id
        ]
        return bool(found) and found[0]["state"] == "on"

    await wait_until(there, ACT_TIMEOUT, lambda: f"no automation {automation_id}")
    return found[0]


async def has_acted(demo: HomeAssistant, automation_id: str) -> None:
    """Wait until an automation was triggered."""

    async def triggered() -> bool:
        automation = await automation_of(demo, automation_id)
        return automation["attributes"]["last_triggered"] is not None

    await wait_until(triggered, ACT_TIMEOUT, lambda: "the automation does not act")
