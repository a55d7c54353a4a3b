"""Button: read the battery now."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .data import VlrvConfigEntry
from .entity import VlrvEntity

# One poll at a time for each battery.
PARALLEL_UPDATES = 1

REFRESH: Final = ButtonEntityDescription(
    key="refresh", translation_key="refresh", entity_category=EntityCategory.DIAGNOSTIC
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the button."""
    async_add_entities([VlrvRefreshButton(entry.runtime_data, REFRESH)])


class VlrvRefreshButton(VlrvEntity, ButtonEntity):
    """Polls the battery at once, also while it is unavailable, to reconnect."""

    @property
    @override
    def available(self) -> bool:
        """Return True: a press is also an attempt to reconnect."""
        return True

    @override
    def _update_attrs(self) -> bool:
        return False

    @override
    async def async_press(self) -> None:
        """Poll the battery; raises HomeAssistantError with the reason if that fails."""
        coordinator, battery = self.coordinator, self.battery
        samples = battery.statistics.samples
        await coordinator.async_refresh()
        if battery.statistics.samples == samples:
            if battery.firmware.is_running:
                key = "firmware_in_progress"
            elif battery.connection.is_released:
                key = "released"
            else:
                key = coordinator.last_failure
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key=key,
                translation_placeholders={"name": coordinator.name},
            )
