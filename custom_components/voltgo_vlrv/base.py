"""What the entities of batteries and of banks share.

Home Assistant keeps what it has once asked an entity in that entity, and drops it again
when it changes: by that, entities come to take several times the memory they need. What
is the same for all of them is said here for the class, and what changes is not kept twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import override

from homeassistant.components.sensor import SensorEntity
from homeassistant.core import callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.typing import StateType


@callback
def keep_on_new_entity_id(_entity: Entity, _old_entity_id: str) -> None:
    """Stay added when the entity ID changes: no subscription depends on it.

    Home Assistant 2026.11 asks this of each class that has an `async_added_to_hass`, as
    its `async_entity_id_changed`; without it, it removes the entity and adds it again.
    """


class SharedEntity(Entity):
    """An entity that is told when there is something new."""

    should_poll = False
    assumed_state = False
    attribution = None
    entity_registry_visible_default = True
    force_update = False
    icon = None


class OnOffEntity(Entity):
    """A yes or no; None while it is not known."""

    entity_picture = None
    supported_features = None

    _is_on: bool | None = None

    @property
    def is_on(self) -> bool | None:
        """Return what was taken over last."""
        return self._is_on

    def _show(self, is_on: bool | None) -> bool:
        """Take it over, and return whether that is news."""
        before, self._is_on = self._is_on, is_on
        return is_on is not before


class ValueSensor(SensorEntity):
    """A sensor with one value; None while it is not known."""

    entity_picture = None
    last_reset = None
    suggested_unit_of_measurement = None
    supported_features = None

    _value: StateType | datetime = None

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return what was taken over last."""
        return self._value

    def _show(self, value: StateType | datetime) -> bool:
        """Take it over, and return whether that is news."""
        before, self._value = self._value, value
        return value != before
