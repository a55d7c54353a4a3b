"""Base entities of batteries and of banks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import (
    BaseCoordinatorEntity,
    BaseDataUpdateCoordinatorProtocol,
)

from .battery.info import BatteryInfo
from .battery.reporting import WaitingValues
from .coordinator import VlrvCoordinator
from .data import VlrvConfigEntry, VlrvData

# Attribute: when a release ends by itself, in ISO format.
RELEASED_UNTIL: Final = "released_until"


@callback
def keep_on_new_entity_id(_entity: Entity, _old_entity_id: str) -> None:
    """Stay added when the entity ID changes: no subscription depends on it.

    Home Assistant 2026.11 asks this of each class that has an `async_added_to_hass`, as
    its `async_entity_id_changed`; without it, it removes the entity and adds it again.
    """


class DeviceCoordinator(BaseDataUpdateCoordinatorProtocol, Protocol):
    """A coordinator whose values are shown as one device: a battery or a bank."""

    @property
    def identifier(self) -> str:
        """Return what the unique IDs of the device's entities begin with."""

    @property
    def device_info(self) -> DeviceInfo:
        """Return the device for the device registry."""

    @property
    def has_values(self) -> bool:
        """Return whether there are values that may be shown."""

    @property
    def waiting(self) -> WaitingValues:
        """Return which values wait until they are shown."""

    async def async_request_refresh(self) -> None:
        """Update the values now."""


class VlrvBaseEntity[CoordinatorT: DeviceCoordinator](
    BaseCoordinatorEntity[CoordinatorT]
):
    """An entity of a battery or of a bank, available while there are values.

    Subclasses set `_attr_*` in `_update_attrs`. A state is written only when these
    attributes or the availability have changed.
    """

    # Home Assistant caches entity properties for each instance. Constants are class
    # attributes here to save that memory.
    assumed_state = False
    attribution = None
    entity_registry_visible_default = True
    force_update = False
    icon: str | None = None
    should_poll = False

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: CoordinatorT,
        description: EntityDescription,
        context: str | None = None,
    ) -> None:
        """Initialize the entity; the description's key completes its unique ID."""
        super().__init__(coordinator, context)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.identifier}_{description.key}"
        self._was_available = False
        self._update_attrs()

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the device; it is read once, so no entity stores a copy."""
        return self.coordinator.device_info

    @property
    @override
    def available(self) -> bool:
        """Return whether the coordinator has values that may be shown."""
        return self.coordinator.has_values

    def _update_attrs(self) -> bool:
        """Set `_attr_*` from the coordinator; return whether anything changed."""
        raise NotImplementedError

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe, and update the attributes; Home Assistant writes the state next."""
        await super().async_added_to_hass()
        self._update_attrs()
        self._was_available = self.available

    @override
    async def async_update(self) -> None:
        """Update the values now, as the action `homeassistant.update_entity` asks."""
        if self.enabled:
            await self.coordinator.async_request_refresh()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        available = self.available
        if self._update_attrs() or available != self._was_available:
            self._was_available = available
            self.async_write_ha_state()


class VlrvBaseBinarySensor[CoordinatorT: DeviceCoordinator](
    VlrvBaseEntity[CoordinatorT], BinarySensorEntity
):
    """A binary sensor of a battery or of a bank; unknown while its state is None."""

    entity_picture = None
    supported_features = None

    _attr_is_on: bool | None = None

    @property
    @override
    def is_on(self) -> bool | None:
        """Return the state; not cached, to save memory for each entity."""
        return self._attr_is_on

    def _set_is_on(self, is_on: bool | None) -> bool:
        """Set the state; return whether it changed."""
        if is_on is self._attr_is_on:
            return False
        self._attr_is_on = is_on
        return True


class VlrvEntity(VlrvBaseEntity[VlrvCoordinator]):
    """An entity of one battery, available while the last sample is fresh."""

    def __init__(
        self,
        battery: VlrvData,
        description: EntityDescription,
        context: str | None = None,
    ) -> None:
        """Initialize the entity of a battery; `context` is SLOW or None."""
        self.battery = battery
        super().__init__(battery.coordinator, description, context)


def async_add_supported_entities[DescriptionT: EntityDescription](
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Callable[[BatteryInfo], Iterable[DescriptionT]],
    entity: Callable[[DescriptionT], Entity],
) -> None:
    """Add the entities that the battery supports, and later ones once it reports them."""
    battery = entry.runtime_data
    added: list[str] = []
    known: BatteryInfo | None = None

    @callback
    def add_new() -> None:
        nonlocal known
        if battery.info is known:
            return
        known = battery.info
        new = [item for item in descriptions(known) if item.key not in added]
        added.extend(item.key for item in new)
        async_add_entities(entity(item) for item in new)

    add_new()
    entry.async_on_unload(battery.coordinator.async_add_listener(add_new))
