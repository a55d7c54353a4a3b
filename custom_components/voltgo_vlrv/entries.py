"""Which entries are batteries, which are banks, and who is in which bank.

Members are noted by their Bluetooth address, the unique ID of their entry: so a battery
is the same one whatever its owner calls it.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .const import CONF_KIND, CONF_MEMBERS, DOMAIN, KIND_BANK

MIN_MEMBERS: Final = 2
MAX_MEMBERS: Final = 16
"""As many as there are module IDs."""


def is_bank(entry: ConfigEntry[Any]) -> TypeGuard[ConfigEntry[Any]]:
    """Return whether an entry is a bank; all others are batteries."""
    return entry.data.get(CONF_KIND) == KIND_BANK


def members_of(bank: ConfigEntry[Any]) -> tuple[str, ...]:
    """Return the addresses of a bank's members."""
    return tuple(bank.data[CONF_MEMBERS])


@callback
def async_batteries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries of all batteries, also those that are switched off."""
    return [entry for entry in _entries(hass) if not is_bank(entry)]


@callback
def async_poll_position(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> tuple[int, int]:
    """Return which of the loaded batteries (0 first) this one is, and how many there are.

    One that is not loaded counts as the only one.
    """
    loaded = sorted(
        battery.entry_id
        for battery in async_batteries(hass)
        if battery.state is ConfigEntryState.LOADED
    )
    if entry.entry_id not in loaded:
        return 0, 1
    return loaded.index(entry.entry_id), len(loaded)


@callback
def async_banks(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries of all banks."""
    return [entry for entry in _entries(hass) if is_bank(entry)]


def _entries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    return hass.config_entries.async_entries(DOMAIN, include_ignore=False)


@callback
def async_free_batteries(
    hass: HomeAssistant, besides: ConfigEntry[Any] | None = None
) -> list[ConfigEntry[Any]]:
    """Return the batteries that are in no bank, or in none but `besides`."""
    taken = {
        address
        for bank in async_banks(hass)
        if besides is None or bank.entry_id != besides.entry_id
        for address in members_of(bank)
    }
    return [entry for entry in async_batteries(hass) if entry.unique_id not in taken]


@callback
def async_name(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str:
    """Return what the owner calls a battery or a bank.

    Most change the name on the page of the device; it goes before that of the entry.
    """
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    names = [device.name_by_user for device in devices if device.name_by_user]
    return names[0] if names else entry.title


@callback
def may_rename(data: dr.EventDeviceRegistryUpdatedData) -> bool:
    """Return whether a device may be called something else; one that returns, too."""
    return data["action"] == "create" or (
        data["action"] == "update" and "name_by_user" in data["changes"]
    )


@callback
def async_drop_member(hass: HomeAssistant, address: str | None) -> None:
    """Let the bank of a battery that was removed go on without it."""
    for bank in async_banks(hass):
        members = members_of(bank)
        if address in members:
            hass.config_entries.async_update_entry(
                bank,
                data={
                    **bank.data,
                    CONF_MEMBERS: [member for member in members if member != address],
                },
            )
