"""Text: the battery's Bluetooth name."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.text import TextEntity, TextEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .battery.settings import NAME
from .data import VlrvConfigEntry
from .entity import VlrvEntity, async_add_supported_entities
from .vlrv.settings import NAME_MAX

# One write at a time for each battery.
PARALLEL_UPDATES = 1

BLUETOOTH_NAME: Final = TextEntityDescription(
    key=NAME,
    translation_key=NAME,
    entity_category=EntityCategory.CONFIG,
    # Rarely changed, and a change needs a power cycle.
    entity_registry_enabled_default=False,
    native_min=1,
    native_max=NAME_MAX,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the name if the battery answers requests for settings."""
    battery = entry.runtime_data
    async_add_supported_entities(
        entry,
        async_add_entities,
        lambda info: [BLUETOOTH_NAME] if info.module_id else [],
        lambda description: VlrvName(battery, description),
    )


class VlrvName(VlrvEntity, TextEntity):
    """The name that the battery advertises."""

    _attr_native_value: str | None = None
    _attr_native_max = NAME_MAX

    @override
    def _update_attrs(self) -> bool:
        name = self.battery.advertisement.name
        if name == self._attr_native_value:
            return False
        # Another tool may have written a longer name, and Home Assistant refuses to show
        # a value above the maximum.
        self._attr_native_max = max(NAME_MAX, len(name or ""))
        self._attr_native_value = name
        return True

    @override
    async def async_set_value(self, value: str) -> None:
        """Write the name; the battery applies it after a power cycle."""
        await self.battery.settings.async_set_name(value)
