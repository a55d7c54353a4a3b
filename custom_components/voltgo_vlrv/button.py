"""Buttons: read the battery now, and release it for a while."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .battery.slow_values import SLOW
from .const import DEFAULT_RELEASE, DOMAIN
from .data import VlrvConfigEntry
from .entity import VlrvEntity, keep_on_new_entity_id

# One poll at a time for each battery.
PARALLEL_UPDATES = 1

REFRESH: Final = ButtonEntityDescription(
    key="refresh", translation_key="refresh", entity_category=EntityCategory.DIAGNOSTIC
)
RELEASE: Final = ButtonEntityDescription(
    key="release", translation_key="release", entity_category=EntityCategory.CONFIG
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons."""
    battery = entry.runtime_data
    async_add_entities(
        [
            VlrvRefreshButton(battery, REFRESH, SLOW),
            VlrvReleaseButton(battery, RELEASE, SLOW),
        ]
    )


class VlrvButton(VlrvEntity, ButtonEntity):
    """A button that can be pressed also while the battery is unavailable."""

    @property
    @override
    def available(self) -> bool:
        """Return True: a press does not need values."""
        return True

    @override
    def _update_attrs(self) -> bool:
        return False


class VlrvReleaseButton(VlrvButton):
    """Releases the connection for DEFAULT_RELEASE; the switch does it without an end."""

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Do not wait for another button: a refresh may be connecting."""
        await super().async_added_to_hass()
        self.parallel_updates = None

    @override
    async def async_press(self) -> None:
        """Release the battery, or begin its release again."""
        self.battery.firmware.check_not_running()
        await self.battery.connection.async_release(DEFAULT_RELEASE)


class VlrvRefreshButton(VlrvButton):
    """Polls the battery at once, also while it is unavailable, to reconnect."""

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
