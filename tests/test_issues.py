"""How repair issues are created, on versions that group them by entry and before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from script.validate.files import anchors

from custom_components.voltgo_vlrv import issues
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.translation_check import load_strings


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """Return the entry of a battery that is not set up."""
    entry = MockConfigEntry(domain=DOMAIN, unique_id="A4:C1:37:00:00:03")
    entry.add_to_hass(hass)
    return entry


def create(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Create an issue about the battery."""
    issues.async_set_issue(
        hass,
        entry,
        "no_slot_1",
        issues.RepairIssue("no_slot", {"name": "Starter", "adapters": "hci0"}),
    )


async def test_issue_on_this_version_is_registered(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """With its entry, where this version of Home Assistant knows entries of issues."""
    create(hass, entry)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "no_slot_1")
    assert issue is not None
    assert issue.translation_key == "no_slot"
    assert issue.learn_more_url is not None
    assert issue.learn_more_url.endswith(
        "/docs/troubleshooting.md#no-free-bluetooth-connection"
    )
    assert getattr(issue, "config_entry_id", entry.entry_id) == entry.entry_id


@pytest.mark.parametrize(
    ("known", "removed"), [(True, False), (True, True), (False, False)]
)
async def test_issue_entry_is_named_only_where_it_is_accepted(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,
    removed: bool,
) -> None:
    """Since 2026.11, and not while the entry is being removed."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(issues, "_ACCEPTS_CONFIG_ENTRY", known)
    monkeypatch.setattr(
        ir, "async_create_issue", lambda *_args, **arguments: calls.append(arguments)
    )
    if removed:
        await hass.config_entries.async_remove(entry.entry_id)
    create(hass, entry)
    named = known and not removed
    (arguments,) = calls
    assert arguments.get("config_entry_id") == (entry.entry_id if named else None)
    assert ("config_entry_id" in arguments) is named


def test_issue_is_created_in_one_place_only() -> None:
    """Any other call would leave the entry out."""
    folder = Path(issues.__file__).parent
    assert [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*.py"))
        if "ir.async_create_issue(" in path.read_text(encoding="utf-8")
    ] == ["issues.py"]


async def test_power_cycle_issue_with_markup_in_a_protocol_name_shows_plain_text(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The names of protocols come from the air, and the issue is Markdown."""
    issues.async_update_power_cycle_issue(
        hass,
        entry,
        ["CAN protocol: [Pylon](https://example.com)", "Module ID: 2"],
        is_not_applied=False,
    )
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["settings"] == (
        "- CAN protocol: Pylon(https example.com)\n- Module ID: 2"
    )


async def test_competing_integration_issue_with_markup_in_a_title_shows_plain_text(
    hass: HomeAssistant,
) -> None:
    """Another integration may take a title from the air without a check."""
    address = "A4:C1:37:00:00:03"
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id=address, data={CONF_ADDRESS: address}
    )
    entry.add_to_hass(hass)
    MockConfigEntry(
        domain="bms_ble", title="**JBD**<br>BMS", unique_id=address.lower()
    ).add_to_hass(hass)
    stop = issues.async_watch_competing_entries(hass, entry)
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["entry"] == "JBDbrBMS"
    stop()
    assert not ir.async_get(hass).issues


def test_every_issue_leads_to_a_heading_that_exists() -> None:
    """A link to a page without the heading ends at its top."""
    assert issues.HEADINGS.keys() == load_strings()["issues"].keys()
    found = anchors(Path("docs/troubleshooting.md"))
    assert {key: a for key, a in issues.HEADINGS.items() if a not in found} == {}
