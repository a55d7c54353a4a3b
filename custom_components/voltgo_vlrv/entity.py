"""What all entities of a battery share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .base import SharedEntity, keep_on_new_entity_id
from .battery.info import BatteryInfo
from .coordinator import VlrvConfigEntry, VlrvCoordinator


class VlrvEntity(SharedEntity, CoordinatorEntity[VlrvCoordinator]):
    """An entity of one battery, available while the last sample is young enough.

    Subclasses put what they show into attributes in `_update`, and return whether it
    differs from before: an entity that did not change writes nothing.
    """

    _attr_has_entity_name = True

    def __init__(
        self, coordinator: VlrvCoordinator, description: EntityDescription
    ) -> None:
        """Identify the entity by the battery's address and the description's key."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.address}_{description.key}"
        self._was_available = False
        self._update()

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the battery; asked for once, so no entity keeps a copy."""
        return self.coordinator.device_info

    def _update(self) -> bool:
        """Take over what the coordinator holds."""
        raise NotImplementedError

    @property
    @override
    def available(self) -> bool:
        """Return whether there is a sample and it is young enough."""
        return super().available and self.coordinator.data is not None

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Take over what there is by now; Home Assistant writes it next."""
        await super().async_added_to_hass()
        self._update()
        self._was_available = self.available

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        available = self.available
        if self._update() or available != self._was_available:
            self._was_available = available
            self.async_write_ha_state()


def async_add_supported_entities[DescriptionT: EntityDescription](
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Callable[[BatteryInfo], Iterable[DescriptionT]],
    entity: Callable[[DescriptionT], Entity],
) -> None:
    """Add what the battery is known to have, and later what it turns out to have."""
    coordinator = entry.runtime_data
    added: list[str] = []
    known: BatteryInfo | None = None

    @callback
    def add_new() -> None:
        nonlocal known
        if coordinator.facts is known:
            return
        known = coordinator.facts
        new = [item for item in descriptions(known) if item.key not in added]
        added.extend(item.key for item in new)
        async_add_entities(entity(item) for item in new)

    add_new()
    entry.async_on_unload(coordinator.async_add_listener(add_new))
