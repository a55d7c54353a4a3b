"""Create and delete the repair issues of batteries and banks.

Each is deleted once its cause is gone; the flows of those that can be fixed are in
`repairs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
import inspect
from typing import Any, Final, NamedTuple

from homeassistant.components import bluetooth
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.loader import IntegrationNotLoaded, async_get_loaded_integration
from homeassistant.util.hass_dict import HassKey

from .connection.errors import describe_adapters
from .connection.slots import adapter_name
from .const import DOMAIN
from .entries import async_name
from .localization import MAX_ADAPTERS_TEXT, plain_text

FULL_CHARGE: Final = "full_charge_needed_"
ORPHANED: Final = "orphaned_"
"""Start of the ID of the issue about a lost connection that an adapter keeps."""

CROWDED: Final = timedelta(minutes=2)
"""Time between two samples, by what turns take, above which the user is told."""
MIN_CROWDED: Final = 2
"""Batteries; a single one has another reason to wait."""
# Adapter by entry of the batteries that wait long for their turn.
_CROWDED: HassKey[dict[str, str]] = HassKey(f"{DOMAIN}_crowded")

# Integrations that recognize these batteries as another brand's and connect to them.
COMPETING_INTEGRATIONS: Final = frozenset({"bms_ble"})

_PAGE: Final = (
    "https://github.com/voltgo-vlrv/voltgo_vlrv/blob/main/docs/troubleshooting.md"
)
HEADINGS: Final[Mapping[str, str]] = {
    "bank_full_charge_needed": "charge-fully-to-correct-the-state-of-charge",
    "bank_isolated": "a-battery-disconnected-itself-from-the-bank",
    "bank_mixed": "the-bank-contains-different-batteries",
    "bank_module_ids": "module-ids-need-to-be-changed",
    "bank_not_parallel": "the-batteries-of-the-bank-are-not-at-the-same-voltage",
    "bank_too_small": "the-bank-has-fewer-than-two-batteries",
    "competing_integration": "another-integration-also-connects-to-the-battery",
    "crowded": "batteries-wait-long-for-their-turn",
    "full_charge_needed": "charge-fully-to-correct-the-state-of-charge",
    "no_slot": "no-free-bluetooth-connection",
    "orphaned": "a-lost-connection-is-still-held",
    "other_battery": "a-different-battery-responds",
    "power_cycle": "new-settings-wait-until-the-battery-was-turned-off-and-on",
    "power_cycle_without_effect": "new-settings-were-not-applied",
    "released": "a-battery-is-still-released",
}
"""The anchor of each repair issue on the page about troubleshooting."""

# Since Home Assistant 2026.11 an issue can name its config entry, by which the user
# interface groups issues.
_ACCEPTS_CONFIG_ENTRY: Final = (
    "config_entry_id" in inspect.signature(ir.async_create_issue).parameters
)


class RepairIssue(NamedTuple):
    """A repair issue as it is shown."""

    translation_key: str
    placeholders: dict[str, str]
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING
    fixed_entry_id: str | None = None
    """Of the entry that its flow in `repairs.py` fixes; None where it has no flow."""


@callback
def async_set_issue(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    issue_id: str,
    issue: RepairIssue | None,
) -> None:
    """Show a repair issue about a battery or a bank; delete it where `issue` is None."""
    if issue is None:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    more: dict[str, Any] = {}
    if issue.fixed_entry_id is not None:
        more["data"] = {"entry_id": issue.fixed_entry_id}
    # The issue registry refuses an entry that is being removed.
    if _ACCEPTS_CONFIG_ENTRY and hass.config_entries.async_get_entry(entry.entry_id):
        more["config_entry_id"] = entry.entry_id
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=issue.fixed_entry_id is not None,
        learn_more_url=f"{_PAGE}#{HEADINGS[issue.translation_key]}",
        severity=issue.severity,
        translation_key=issue.translation_key,
        translation_placeholders=issue.placeholders,
        **more,
    )


class EntryIssues:
    """The repair issues that follow from the state of one battery or bank."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Initialize without any issue."""
        self._hass = hass
        self._entry = entry
        self._shown: Mapping[str, RepairIssue] = {}

    @callback
    def async_update(self, wanted: Mapping[str, RepairIssue]) -> None:
        """Show exactly the issues in `wanted`, by their IDs; set only what changed."""
        for issue_id in self._shown.keys() | wanted.keys():
            issue = wanted.get(issue_id)
            if self._shown.get(issue_id) != issue:
                async_set_issue(self._hass, self._entry, issue_id, issue)
        self._shown = wanted

    @callback
    def async_clear(self) -> None:
        """Delete all issues."""
        self.async_update({})


@callback
def async_update_slot_issue(
    hass: HomeAssistant, entry: ConfigEntry, exhausted: bool
) -> None:
    """Report that no adapter in range has a free slot; clear the report if one has."""
    issue = None
    if exhausted:
        adapters = describe_adapters(hass, entry.data[CONF_ADDRESS])
        issue = RepairIssue(
            "no_slot",
            {
                "name": async_name(hass, entry),
                "adapters": plain_text(adapters, MAX_ADAPTERS_TEXT),
            },
        )
    async_set_issue(hass, entry, f"no_slot_{entry.entry_id}", issue)


@callback
def async_update_released_issue(
    hass: HomeAssistant, entry: ConfigEntry[Any], forgotten: bool
) -> None:
    """Report that a battery is still released; clear the report if it is not."""
    issue = RepairIssue("released", {"name": async_name(hass, entry)})
    async_set_issue(
        hass, entry, f"released_{entry.entry_id}", issue if forgotten else None
    )


@callback
def async_update_other_battery_issue(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    known_and_found: tuple[str, str] | None,
) -> None:
    """Ask whether the battery under the known address is another one; None: it is not.

    Both are described by cells, full capacity and serial number.
    """
    issue = None
    if known_and_found is not None:
        known, found = known_and_found
        issue = RepairIssue(
            "other_battery",
            {
                "name": async_name(hass, entry),
                "known": plain_text(known),
                "found": plain_text(found),
            },
            ir.IssueSeverity.ERROR,
            fixed_entry_id=entry.entry_id,
        )
    async_set_issue(hass, entry, f"other_battery_{entry.entry_id}", issue)


def power_cycle_issue(entry_id: str) -> str:
    """Return the ID of the issue that a battery waits for a power cycle."""
    return f"power_cycle_{entry_id}"


@callback
def async_update_power_cycle_issue(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    changes: Sequence[str],
    *,
    is_not_applied: bool,
) -> None:
    """Show which changes wait for a power cycle; delete the issue if there are none.

    `is_not_applied` says that the battery has reconnected without one of them.
    """
    issue = None
    if changes:
        issue = RepairIssue(
            "power_cycle_without_effect" if is_not_applied else "power_cycle",
            {
                "name": async_name(hass, entry),
                "settings": "\n".join(f"- {plain_text(change)}" for change in changes),
            },
        )
    async_set_issue(hass, entry, power_cycle_issue(entry.entry_id), issue)


@callback
def async_update_orphan_issue(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    adapter: bluetooth.BaseHaScanner | None,
) -> None:
    """Report the adapter that keeps a lost connection; clear the report for None.

    The fix reloads the adapter's config entry: an ESPHome proxy then disconnects.
    """
    issue = None
    if adapter is not None:
        bluetooth_entry = hass.config_entries.async_entry_for_domain_unique_id(
            bluetooth.DOMAIN, adapter.source
        )
        if bluetooth_entry is None:
            return
        issue = RepairIssue(
            "orphaned",
            {
                "name": async_name(hass, entry),
                "adapter": plain_text(adapter_name(adapter)),
            },
            # The entry of the proxy, or of the local adapter itself.
            fixed_entry_id=bluetooth_entry.data.get(
                "source_config_entry_id", bluetooth_entry.entry_id
            ),
        )
    async_set_issue(hass, entry, f"{ORPHANED}{entry.entry_id}", issue)


@callback
def async_update_full_charge_issue(
    hass: HomeAssistant, entry: ConfigEntry[Any], *, is_needed: bool
) -> None:
    """Report that a battery should be charged fully, or that it no longer should."""
    issue_id = f"{FULL_CHARGE}{entry.entry_id}"
    is_reported = ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None
    if is_needed is not is_reported:
        issue = RepairIssue("full_charge_needed", {"name": async_name(hass, entry)})
        async_set_issue(hass, entry, issue_id, issue if is_needed else None)


@callback
def async_update_crowded_issue(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    adapter: bluetooth.BaseHaScanner | None = None,
    round_time: timedelta = timedelta(),
) -> None:
    """Report that batteries wait long for their turn on an adapter; one issue for all.

    `round_time` is the longest time between two samples of this battery. Without an
    adapter it does not wait.
    """
    crowded = hass.data.setdefault(_CROWDED, {})
    if adapter is None and entry.entry_id not in crowded:
        return
    before = _crowded_adapters(crowded)
    if adapter is not None and round_time > CROWDED:
        crowded[entry.entry_id] = plain_text(adapter_name(adapter))
    elif adapter is None or round_time < CROWDED / 2:
        crowded.pop(entry.entry_id, None)
    adapters = _crowded_adapters(crowded)
    if adapters != before:
        issue = RepairIssue("crowded", {"adapters": adapters})
        async_set_issue(hass, entry, "crowded", issue if adapters else None)


def _crowded_adapters(crowded: Mapping[str, str]) -> str:
    """Return the names of crowded adapters, empty unless several batteries wait."""
    if len(crowded) < MIN_CROWDED:
        return ""
    return ", ".join(sorted({*crowded.values()}))


@callback
def async_watch_competing_entries(
    hass: HomeAssistant, entry: ConfigEntry
) -> CALLBACK_TYPE:
    """Report other integrations that connect to the battery, until the result is called."""
    issue_id = f"competing_integration_{entry.entry_id}"
    address = _digits(entry.data[CONF_ADDRESS])

    @callback
    def update_issue() -> None:
        competing = [
            other
            for domain in sorted(COMPETING_INTEGRATIONS)
            for other in hass.config_entries.async_entries(
                domain, include_ignore=False, include_disabled=False
            )
            if _digits(other.unique_id or "") == address
        ]
        issue = None
        if competing:
            issue = RepairIssue(
                "competing_integration",
                {
                    "name": async_name(hass, entry),
                    "entry": plain_text(competing[0].title),
                    "integration": plain_text(_name(hass, competing[0].domain)),
                },
                ir.IssueSeverity.ERROR,
            )
        async_set_issue(hass, entry, issue_id, issue)

    @callback
    def handle_change(_change: ConfigEntryChange, changed: ConfigEntry) -> None:
        if changed.domain in COMPETING_INTEGRATIONS:
            update_issue()

    disconnect = async_dispatcher_connect(
        hass, SIGNAL_CONFIG_ENTRY_CHANGED, handle_change
    )

    @callback
    def stop() -> None:
        disconnect()
        async_set_issue(hass, entry, issue_id, None)

    update_issue()
    return stop


def _name(hass: HomeAssistant, domain: str) -> str:
    """Return the display name of an integration, its domain while it is not loaded."""
    try:
        return async_get_loaded_integration(hass, domain).name
    except IntegrationNotLoaded:
        return domain


def _digits(address: str) -> str:
    """Return an address in lower case, without separators."""
    return "".join(digit for digit in address.lower() if digit.isalnum())
