"""The manual's routine maintenance as a to-do list."""

from __future__ import annotations

from datetime import date
from typing import Final, override

from homeassistant.components.todo import (
    TodoItem,
    TodoItemStatus,
    TodoListEntity,
    TodoListEntityFeature,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .data import VlrvConfigEntry
from .entity import VlrvEntity
from .localization import translations

PARALLEL_UPDATES = 0

MAINTENANCE: Final = EntityDescription(
    key="maintenance",
    translation_key="maintenance",
    entity_registry_enabled_default=False,
)


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the list."""
    async_add_entities([VlrvMaintenanceList(entry.runtime_data, MAINTENANCE)])


class VlrvMaintenanceList(VlrvEntity, TodoListEntity):
    """What has to be checked, and when; ticking an item off sets its next date."""

    _attr_supported_features = TodoListEntityFeature.UPDATE_TODO_ITEM
    _shown_on: date | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: cables have to be checked whether the battery answers or not."""
        return True

    @override
    def _update_attrs(self) -> bool:
        today = dt_util.now().date()
        if today == self._shown_on:
            return False
        self._shown_on = today
        texts = translations(self.coordinator.hass).maintenance
        added = dt_util.as_local(self.coordinator.config_entry.created_at).date()
        self._attr_todo_items = [
            TodoItem(
                summary=texts[item.key],
                uid=item.key,
                status=TodoItemStatus.NEEDS_ACTION
                if item.is_open
                else TodoItemStatus.COMPLETED,
                due=item.due,
                description=texts[f"{item.key}_details"],
            )
            for item in self.battery.history.routine.items(added, today)
        ]
        return True

    @override
    async def async_update_todo_item(self, item: TodoItem) -> None:
        """Tick an item off, or take that back; its texts are not the user's to change."""
        # Home Assistant has checked that there is such an item.
        key = item.uid
        shown = next(ours for ours in self.todo_items or [] if ours.uid == key)
        if key is None or item.status == shown.status:
            return
        history = self.battery.history
        if item.status == TodoItemStatus.NEEDS_ACTION:
            history.routine.undo(key)
        else:
            try:
                history.routine.tick_off(key, dt_util.now().date())
            except ValueError as err:
                raise ServiceValidationError(
                    translation_domain=DOMAIN, translation_key="clock_not_set"
                ) from err
        history.routine_section.save_later()
        self._shown_on = None
        self._update_attrs()
        self.async_write_ha_state()
