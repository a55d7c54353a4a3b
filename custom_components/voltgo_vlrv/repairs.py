"""Repair flows: what the user decides about a battery or an adapter."""

from __future__ import annotations

from typing import override

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .battery.info import BatteryInfo
from .const import CONF_INFO, CONF_PENDING, DOMAIN
from .data import VlrvConfigEntry, VlrvData
from .entries import is_bank
from .history.diagnostic_log import async_remove_diagnostic_log
from .history.store import EntryStore
from .issues import ORPHANED
from .localization import plain_text


class OtherBatteryFlow(RepairsFlow):
    """Ask whether the battery under a known address is another one."""

    def __init__(self, issue_id: str, entry_id: str) -> None:
        """Ask about the battery of this entry, for this issue."""
        self._issue_id = issue_id
        self._entry_id = entry_id

    def _battery(self) -> VlrvData | None:
        entry: VlrvConfigEntry | None = self.hass.config_entries.async_get_entry(
            self._entry_id
        )
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return None
        return entry.runtime_data

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Show a menu with both answers."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["other", "ignore"],
            description_placeholders=self._placeholders,
        )

    @property
    def _placeholders(self) -> dict[str, str]:
        """Return what the issue names, for the text of the menu."""
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self._issue_id)
        placeholders = None if issue is None else issue.translation_placeholders
        return placeholders or {}

    async def async_step_other(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Replace the battery of the entry with the other one."""
        battery = self._battery()
        if battery is None or (found := battery.other_battery()) is None:
            return self.async_abort(reason="no_other_battery")
        await _async_replace_battery(self.hass, battery.coordinator.config_entry, found)
        return self.async_create_entry(data={})

    async def async_step_ignore(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Accept the battery as the known one."""
        if (battery := self._battery()) is None:
            return self.async_abort(reason="no_other_battery")
        battery.async_accept_other_battery()
        return self.async_create_entry(data={})


class ReloadAdapterFlow(ConfirmRepairFlow):
    """Reload the config entry of an adapter that keeps a lost connection."""

    def __init__(self, entry_id: str) -> None:
        """Reload this entry when the user confirms."""
        super().__init__()
        self._entry_id = entry_id

    @override
    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Reload the entry, which closes the issue; not while it may carry firmware."""
        for entry in self.hass.config_entries.async_loaded_entries(DOMAIN):
            if not is_bank(entry) and entry.runtime_data.firmware.is_running:
                return self.async_abort(
                    reason="firmware_in_progress",
                    description_placeholders={"name": plain_text(entry.title)},
                )
        if (
            user_input is not None
            and self.hass.config_entries.async_get_entry(self._entry_id) is not None
        ):
            await self.hass.config_entries.async_reload(self._entry_id)
        return await super().async_step_confirm(user_input)


async def _async_replace_battery(
    hass: HomeAssistant, entry: VlrvConfigEntry, found: BatteryInfo
) -> None:
    """Replace the battery of an entry with another one.

    Deletes information, pending changes and all counters of the battery before it.
    """
    await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_INFO: found.as_data(), CONF_PENDING: {}}
    )
    await async_remove_diagnostic_log(hass, entry.entry_id)
    await EntryStore(hass, entry.entry_id).async_remove()
    await hass.config_entries.async_setup(entry.entry_id)


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow of an issue that can be fixed."""
    entry_id = str((data or {})["entry_id"])
    if issue_id.startswith(ORPHANED):
        return ReloadAdapterFlow(entry_id)
    return OtherBatteryFlow(issue_id, entry_id)
