"""A bank and its members in the device registry."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo

from ..battery.info import DEFAULT_MANUFACTURER
from ..const import DOMAIN
from ..entries import async_batteries
from .member import BankMember


def bank_device_info(
    entry: ConfigEntry[Any], members: Collection[BankMember]
) -> DeviceInfo:
    """Return the device of a bank; its model names the number and models of members."""
    known = [info for member in members if (info := member.info)]
    models = sorted({info.model for info in known})
    makers = sorted({info.manufacturer for info in known})
    return DeviceInfo(
        identifiers={(DOMAIN, entry.entry_id)},
        entry_type=DeviceEntryType.SERVICE,
        name=entry.title,
        manufacturer=makers[0] if len(makers) == 1 else DEFAULT_MANUFACTURER,
        model=f"{len(members)} × {', '.join(models)}" if models else None,
    )


@callback
def async_update_devices(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    device_info: DeviceInfo,
    addresses: Iterable[str],
) -> None:
    """Register the bank; show its members, and no other battery, as connected via it."""
    registry = dr.async_get(hass)
    bank = registry.async_get_or_create(config_entry_id=entry.entry_id, **device_info)
    members = frozenset(addresses)
    for battery in async_batteries(hass):
        is_member = battery.unique_id in members
        for device in dr.async_entries_for_config_entry(registry, battery.entry_id):
            if is_member and device.via_device_id != bank.id:
                registry.async_update_device(device.id, via_device_id=bank.id)
            elif not is_member and device.via_device_id == bank.id:
                registry.async_update_device(device.id, via_device_id=None)
