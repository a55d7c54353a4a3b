"""Where the known information about a battery is kept: config entry and registry."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import CONNECTION_BLUETOOTH, DeviceInfo

from ..const import CONF_FACTS, DOMAIN
from .info import BatteryInfo


class InfoStore:
    """Hold what is known about one battery, and store what is new."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        on_change: CALLBACK_TYPE,
    ) -> None:
        """Start with what the entry holds; `on_change` is called after each change."""
        self._hass = hass
        self._entry = entry
        self._on_change = on_change
        self.info = BatteryInfo.from_data(entry.data[CONF_FACTS])

    @property
    def device_info(self) -> DeviceInfo:
        """Return the battery for the device registry."""
        address = self._entry.data[CONF_ADDRESS]
        info = self.info
        return DeviceInfo(
            identifiers={(DOMAIN, address)},
            connections={(CONNECTION_BLUETOOTH, address)},
            name=self._entry.title,
            manufacturer=info.manufacturer,
            model=info.model,
            model_id=info.board or None,
            serial_number=info.serial or None,
            sw_version=info.firmware or None,
        )

    @callback
    def update(self, info: BatteryInfo) -> None:
        """Store what is new, in the entry and in the device registry."""
        if info == self.info:
            return
        self.info = info
        self._hass.config_entries.async_update_entry(
            self._entry, data={**self._entry.data, CONF_FACTS: info.as_data()}
        )
        registry = dr.async_get(self._hass)
        for device in dr.async_entries_for_config_entry(registry, self._entry.entry_id):
            registry.async_update_device(
                device.id,
                model=info.model,
                model_id=info.board or None,
                serial_number=info.serial or None,
                sw_version=info.firmware or None,
            )
        self._on_change()
