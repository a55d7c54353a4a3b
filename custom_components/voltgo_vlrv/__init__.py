"""Voltgo VLRV LiFePO4 batteries over Bluetooth LE."""

from __future__ import annotations

from typing import Final

from homeassistant.components import bluetooth
from homeassistant.const import CONF_ADDRESS, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv, issue_registry as ir
from homeassistant.helpers.typing import ConfigType

from .bank.discovery import async_update_discovery
from .bank.setup import async_remove_bank, async_setup_bank, async_unload_bank
from .battery.firmware_files import FirmwareStore
from .const import DOMAIN
from .dashboard import async_setup_dashboard
from .data import VlrvConfigEntry, VlrvData
from .entries import async_drop_member, is_bank
from .history.diagnostic_log import async_remove_diagnostic_log
from .history.store import EntryStore
from .issues import async_update_full_charge_issue, power_cycle_issue
from .localization import async_load_translations
from .services import async_setup_actions

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TEXT,
    Platform.TODO,
    Platform.UPDATE,
)


CONFIG_SCHEMA: Final = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what all batteries and banks share."""
    async_setup_actions(hass)
    await async_setup_dashboard(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: VlrvConfigEntry) -> bool:
    """Set up a battery, whether it is in range or not, or a bank."""
    if is_bank(entry):
        return await async_setup_bank(hass, entry)
    await async_load_translations(hass)
    entry.runtime_data = VlrvData(hass, entry)
    await entry.runtime_data.async_load()
    entry.runtime_data.async_start()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    async_update_discovery(hass)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: VlrvConfigEntry) -> bool:
    """Unload one battery or bank."""
    if is_bank(entry):
        return await async_unload_bank(hass, entry)
    # Home Assistant reloads an entry half a minute after one of its entities was enabled:
    # a wait is better than a transfer that is interrupted.
    await entry.runtime_data.firmware.async_finish()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
    """Delete everything that was stored for a battery or a bank."""
    if is_bank(entry):
        await async_remove_bank(hass, entry)
        return
    async_drop_member(hass, entry.unique_id)
    async_update_discovery(hass)
    ir.async_delete_issue(hass, DOMAIN, power_cycle_issue(entry.entry_id))
    async_update_full_charge_issue(hass, entry, is_needed=False)
    await FirmwareStore(hass, entry.entry_id).async_remove_all()
    await async_remove_diagnostic_log(hass, entry.entry_id)
    await EntryStore(hass, entry.entry_id).async_remove()
    if bluetooth.DOMAIN in hass.config.components:
        # Home Assistant does so only for entries that were discovered.
        bluetooth.async_rediscover_address(hass, entry.data[CONF_ADDRESS])
