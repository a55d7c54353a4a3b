"""What a user does to be told by an automation."""

from __future__ import annotations

from .automation_pages import PHONE, AutomationPages, automation_of
from .setup import async_cause_fault, async_setup_battery
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import SOLAR

MESSAGE = "The battery is low."


async def test_the_first_automation_of_the_readme_sends_its_message(
    demo: HomeAssistant, automation_pages: AutomationPages
) -> None:
    """It is made as README.md says; then the battery runs low."""
    name = (await async_setup_battery(demo, SOLAR))["name"]
    await automation_pages.creates_automation()
    await automation_pages.selects_of_device("Add trigger", name, "Battery became low")
    await automation_pages.selects_of_device(
        "Add action", PHONE, "Send a notification message"
    )
    await automation_pages.enters_message(MESSAGE)
    automation_id = await automation_pages.saves("Low battery")
    try:
        await automation_of(demo, automation_id)
        await async_cause_fault(demo, SOLAR, "full_discharge")
        await automation_pages.sees_notification(MESSAGE)
    finally:
        await demo.delete(f"config/automation/config/{automation_id}")
        await async_cause_fault(demo, SOLAR, "none")
