"""Set up, unload and remove a bank."""

from __future__ import annotations

from typing import Final

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant

from ..history.store import EntryStore
from ..localization import async_load_translations
from .coordinator import BankConfigEntry, BankCoordinator
from .discovery import async_dismiss, async_update_discovery

PLATFORMS: Final = (Platform.BINARY_SENSOR, Platform.SELECT, Platform.SENSOR)


async def async_setup_bank(hass: HomeAssistant, entry: BankConfigEntry) -> bool:
    """Set up a bank, whether its members are loaded or not."""
    await async_load_translations(hass)
    bank = BankCoordinator(hass, entry)
    entry.runtime_data = bank
    await bank.store.async_load()
    bank.energy.load()
    bank.isolation.load()
    bank.async_start()
    # Save the initial totals now: after a power cut the bank would otherwise start again
    # with the members that load first.
    await bank.store.async_save()

    async def stop(_: Event) -> None:
        await _close(bank)

    # Home Assistant does not unload entries when it stops.
    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    async_update_discovery(hass)
    return True


async def async_unload_bank(hass: HomeAssistant, entry: BankConfigEntry) -> bool:
    """Unload a bank; its members stay."""
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    # After the platforms: until then, samples of the members still change the totals.
    await _close(entry.runtime_data)
    return True


async def _close(bank: BankCoordinator) -> None:
    """Save the totals exactly as they are shown, instead of their upper limits."""
    bank.energy.close()
    await bank.store.async_close(force=True)


async def async_remove_bank(hass: HomeAssistant, entry: BankConfigEntry) -> None:
    """Delete what was stored for a bank, and do not discover it again."""
    async_dismiss(hass, entry)
    await EntryStore(hass, entry.entry_id, "bank").async_remove()
