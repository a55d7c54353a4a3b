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

# A battery is told one thing at a time.
PARALLEL_UPDATES = 1

BLUETOOTH_NAME: Final = TextEntityDescription(
    key=NAME,
    translation_key=NAME,
    entity_category=EntityCategory.CONFIG,
    # Once in the life of a battery, if at all.
    entity_registry_enabled_default=False,
    native_min=1,
    native_max=NAME_MAX,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the name where the battery answers settings at all."""
    battery = entry.runtime_data
    async_add_supported_entities(
        entry,
        async_add_entities,
        lambda facts: [BLUETOOTH_NAME] if facts.module_id else [],
        lambda description: VlrvName(battery, description),
    )


class VlrvName(VlrvEntity, TextEntity):
    """The name that the battery advertises."""

    _attr_native_value: str | None = None
    _attr_native_max = NAME_MAX

    @override
    def _update_attrs(self) -> bool:
        name = self.battery.advertisement.name
        # Another tool may have given it a longer one; Home Assistant shows none longer
        # than what can be set.
        self._attr_native_max = max(NAME_MAX, len(name or ""))
        changed = name != self._attr_native_value
        self._attr_native_value = name
        return changed

    @override
    async def async_set_value(self, value: str) -> None:
        """Write the name; the battery takes it when it is switched off and on."""
        await self.battery.settings.async_set_name(value)
