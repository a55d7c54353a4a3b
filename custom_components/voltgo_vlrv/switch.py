"""Switches: whether the battery may heat itself, and whether it may be connected."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, override

from homeassistant.components.switch import (
    SwitchDeviceClass,
    SwitchEntity,
    SwitchEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .battery.slow_values import SLOW
from .data import VlrvConfigEntry
from .entity import (
    RELEASED_UNTIL,
    VlrvEntity,
    async_add_supported_entities,
    keep_on_new_entity_id,
)

# One write at a time for each battery.
PARALLEL_UPDATES = 1

# With a device class, so that a form can offer the heaters without the other switches.
HEATER: Final = SwitchEntityDescription(
    key="heater", translation_key="heater", device_class=SwitchDeviceClass.SWITCH
)
CONNECTION_SWITCH: Final = SwitchEntityDescription(
    key="bluetooth_connection",
    translation_key="bluetooth_connection",
    entity_category=EntityCategory.CONFIG,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches; that of the heater if the battery reports one."""
    battery = entry.runtime_data
    async_add_entities([VlrvConnectionSwitch(battery, CONNECTION_SWITCH, SLOW)])
    async_add_supported_entities(
        entry,
        async_add_entities,
        lambda info: [HEATER] if info.heater else [],
        lambda description: VlrvHeaterSwitch(battery, description, SLOW),
    )


class VlrvHeaterSwitch(VlrvEntity, SwitchEntity):
    """Permission to heat, as the battery reports it (register 40 bit 4, C+)."""

    @override
    def _update_attrs(self) -> bool:
        status = self.coordinator.data
        is_allowed = None if status is None else status.heating_enabled
        if is_allowed is self._attr_is_on:
            return False
        self._attr_is_on = is_allowed
        return True

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Allow the battery to heat when it is cold."""
        await self.battery.settings.async_set_heater(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Prohibit the battery from heating."""
        await self.battery.settings.async_set_heater(False)


class VlrvConnectionSwitch(VlrvEntity, SwitchEntity):
    """Whether Home Assistant may connect to the battery, which takes one connection."""

    _released_until: datetime | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: the state is a decision of the user, not of the battery."""
        return True

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the connection as well."""
        await super().async_added_to_hass()
        # A release must not wait for the heater switch, which may be connecting.
        self.parallel_updates = None
        self.async_on_remove(
            self.battery.connection.async_add_listener(self._handle_coordinator_update)
        )

    @override
    def _update_attrs(self) -> bool:
        connection = self.battery.connection
        is_on, until = not connection.is_released, connection.status.released_until
        if (is_on, until) == (self._attr_is_on, self._released_until):
            return False
        self._attr_is_on, self._released_until = is_on, until
        return True

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str] | None:
        """Return when a release ends by itself."""
        until = self._released_until
        return None if until is None else {RELEASED_UNTIL: until.isoformat()}

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Resume the connection."""
        self.battery.connection.async_resume()

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Release the connection until the switch is turned on."""
        self.battery.firmware.check_not_running()
        await self.battery.connection.async_release()
