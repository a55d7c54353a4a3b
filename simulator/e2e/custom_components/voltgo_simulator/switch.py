"""Shore power and a generator, for automations to turn on and off.

They charge no battery: what a battery gets is set by the simulator's actions.
"""

from __future__ import annotations

from typing import Any

from homeassistant.components.switch import SwitchEntity
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import AREA, DOMAIN

SWITCHES = {
    "shore_power": ("Shore power", "mdi:power-plug"),
    "generator": ("Generator", "mdi:engine"),
}


async def async_setup_entry(
    _hass: HomeAssistant,
    _entry: ConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches."""
    async_add_entities(
        DemoSwitch(key, name, icon) for key, (name, icon) in SWITCHES.items()
    )


class DemoSwitch(SwitchEntity):
    """A switch that only remembers its position, off at every start."""

    _attr_has_entity_name = True
    _attr_name = None
    _attr_should_poll = False
    _attr_is_on = False

    def __init__(self, key: str, name: str, icon: str) -> None:
        """Name the switch and its device."""
        self._attr_unique_id = key
        self._attr_icon = icon
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, key)},
            name=name,
            model="Simulated switch",
            suggested_area=AREA,
        )

    async def async_turn_on(self, **_kwargs: Any) -> None:
        """Turn it on."""
        self._attr_is_on = True
        self.async_write_ha_state()

    async def async_turn_off(self, **_kwargs: Any) -> None:
        """Turn it off."""
        self._attr_is_on = False
        self.async_write_ha_state()
