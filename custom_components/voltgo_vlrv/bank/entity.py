"""What all entities of a bank share."""

from __future__ import annotations

from typing import override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import EntityDescription

from ..base import SharedEntity, keep_on_new_entity_id
from .coordinator import BankCoordinator


class BankEntity(SharedEntity):
    """An entity of a bank, available while at least one member reports.

    Or all were let go on purpose: what they said last stands, as in their own entities.

    Subclasses put what they show into attributes in `_update`, and return whether it
    differs from before: an entity that did not change writes nothing.
    """

    _attr_has_entity_name = True

    def __init__(self, bank: BankCoordinator, description: EntityDescription) -> None:
        """Identify the entity by the bank's entry and the description's key."""
        self.bank = bank
        self.entity_description = description
        self._attr_unique_id = f"{bank.config_entry.entry_id}_{description.key}"
        self._was_available = False
        self._update()

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the bank; asked for once, so no entity keeps a copy."""
        return self.bank.device_info

    def _update(self) -> bool:
        """Take over what the bank holds."""
        raise NotImplementedError

    @property
    @override
    def available(self) -> bool:
        """Return whether there is anything to work a value out from."""
        return bool(self.bank.readings)

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Take over what there is by now; Home Assistant writes it next."""
        self.async_on_remove(self.bank.async_add_listener(self._handle_update))
        self._update()
        self._was_available = self.available

    @callback
    def _handle_update(self) -> None:
        available = self.available
        if self._update() or available != self._was_available:
            self._was_available = available
            self.async_write_ha_state()
