"""Which entries are batteries, which are banks, and which batteries are in which bank.

A bank stores the Bluetooth addresses of its members, the unique IDs of their entries, so
that a battery stays a member when it is renamed.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .const import CONF_KIND, CONF_MEMBERS, DOMAIN, KIND_BANK
from .entry_values import texts

MIN_MEMBERS: Final = 2
MAX_MEMBERS: Final = 16
"""The number of module IDs (manual 5.3)."""


def is_bank(entry: ConfigEntry[Any]) -> TypeGuard[ConfigEntry[Any]]:
    """Return whether an entry is a bank; all others are batteries."""
    return entry.data.get(CONF_KIND) == KIND_BANK


def members_of(bank: ConfigEntry[Any]) -> tuple[str, ...]:
    """Return the addresses of a bank's members."""
    return texts(bank.data.get(CONF_MEMBERS))


@callback
def async_batteries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries of all batteries, also disabled ones."""
    return [entry for entry in _entries(hass) if not is_bank(entry)]


@callback
def async_poll_position(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> tuple[int, int]:
    """Return the position of a battery among the loaded ones, 0 first, and their number.

    A battery that is not loaded counts as the only one.
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
    """Return the user's name for a battery or a bank: of the device, else of the entry."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    names = [device.name_by_user for device in devices if device.name_by_user]
    return names[0] if names else entry.title


@callback
def may_rename(data: dr.EventDeviceRegistryUpdatedData) -> bool:
    """Return whether an event may change a device's name: renamed, created or restored."""
    return data["action"] == "create" or (
        data["action"] == "update" and "name_by_user" in data["changes"]
    )


@callback
def async_drop_member(hass: HomeAssistant, address: str | None) -> None:
    """Remove a battery from the members of its bank."""
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
