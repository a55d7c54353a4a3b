"""Switch: whether the battery may heat itself."""

from __future__ import annotations

from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import VlrvConfigEntry
from .entity import VlrvEntity, add_when_known

# A battery is told one thing at a time.
PARALLEL_UPDATES = 1

HEATER: Final = SwitchEntityDescription(key="heater", translation_key="heater")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switch where the battery reports a heater."""
    coordinator = entry.runtime_data
    add_when_known(
        entry,
        async_add_entities,
        lambda facts: [HEATER] if facts.heater else [],
        lambda description: VlrvHeaterSwitch(coordinator, description),
    )


class VlrvHeaterSwitch(VlrvEntity, SwitchEntity):
    """Permission to heat (register 40 bit 4, C+): what the battery reports of it."""

    @override
    def _update(self) -> bool:
        status = self.coordinator.data
        enabled = None if status is None else status.heating_enabled
        changed = enabled is not self._attr_is_on
        self._attr_is_on = enabled
        return changed

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Allow the battery to heat when it is cold."""
        await self.coordinator.controls.async_set_heater(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Forbid the battery to heat."""
        await self.coordinator.controls.async_set_heater(False)
