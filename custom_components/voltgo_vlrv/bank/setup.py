"""Set up and unload a bank."""

from __future__ import annotations

from typing import Final

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant

from ..localization import async_load_translations
from .coordinator import BankConfigEntry, BankCoordinator
from .discovery import async_decline, async_review_offers
from .energy import BankEnergy
from .isolation import Isolation

PLATFORMS: Final = (Platform.BINARY_SENSOR, Platform.SENSOR)


async def async_setup_bank(hass: HomeAssistant, entry: BankConfigEntry) -> bool:
    """Set up a bank, whether its members are there or not."""
    await async_load_translations(hass)
    bank = BankCoordinator(hass, entry)
    entry.runtime_data = bank
    await bank.energy.async_load()
    await bank.isolation.async_load()
    bank.async_start()
    # What a new bank begins with is the only thing that nobody else knows: a power cut
    # soon after must not let it begin anew, with those that happen to load first.
    await bank.energy.file.async_save()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    async_review_offers(hass)
    return True


async def async_unload_bank(hass: HomeAssistant, entry: BankConfigEntry) -> bool:
    """Let a bank go; its members stay."""
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    # Its members go on, and have it worked out until it is gone.
    await entry.runtime_data.energy.file.async_close()
    await entry.runtime_data.isolation.file.async_close()
    return True


async def async_remove_bank(hass: HomeAssistant, entry: BankConfigEntry) -> None:
    """Delete what was kept for a bank, and do not offer it again."""
    async_decline(hass, entry)
    await BankEnergy(hass, entry.entry_id).file.async_remove()
    await Isolation(hass, entry.entry_id).file.async_remove()
