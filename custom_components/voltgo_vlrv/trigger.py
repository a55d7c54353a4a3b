"""Triggers: a protection, charging in the cold, and the link, for the automation editor.

They watch entities that exist, so a target can be a battery, an area, a floor, a label
or the entity itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, override

import voluptuous as vol

from homeassistant.components.event import ATTR_EVENT_TYPE
from homeassistant.const import CONF_FOR, CONF_OPTIONS, STATE_OFF, STATE_ON, Platform
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.trigger import (
    ENTITY_STATE_TRIGGER_SCHEMA,
    ENTITY_STATE_TRIGGER_SCHEMA_WITH_BEHAVIOR,
    EntityTriggerBase,
    StatelessEntityTriggerBase,
    Trigger,
    TriggerConfig,
)

from .automation import (
    PROTECTION,
    PROTECTION_KEYS,
    PROTECTION_OPTIONS,
    REACHABLE,
    UNREACHABLE,
    BatteryTarget,
)
from .connection import ConnectionState
from .event import CLEARED, TRIPPED

if TYPE_CHECKING:
    from homeassistant.helpers.trigger import NotTriggeredReasonReporter

LOST_FOR: Final = "lost_for"
# A short loss is everyday life on the air.
DEFAULT_LOST_FOR: Final = timedelta(minutes=5)


class _BatteryTrigger(BatteryTarget, EntityTriggerBase):
    """Watches one entity of each battery."""


# --- protections ------------------------------------------------------------------------


class _ProtectionTrigger(_BatteryTrigger, StatelessEntityTriggerBase):
    """An event of the battery's protections, going one way."""

    _domain_specs = {Platform.EVENT: DomainSpec()}
    _schema = ENTITY_STATE_TRIGGER_SCHEMA.extend(PROTECTION_OPTIONS)
    _domain = Platform.EVENT
    _key = "protection"
    _way: ClassVar[str]

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Wait for those that were chosen, for all of them where none is."""
        super().__init__(hass, config)
        chosen = self._options[PROTECTION] or PROTECTION_KEYS
        self._event_types = {f"{key}_{self._way}" for key in chosen}

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        # Two that trip at once may have the same time, in ms, for their state.
        return from_state.state != to_state.state or any(
            from_state.attributes.get(key) != to_state.attributes.get(key)
            for key in (ATTR_EVENT_TYPE, "bit")
        )

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        return state.attributes.get(ATTR_EVENT_TYPE) in self._event_types


class ProtectionTrippedTrigger(_ProtectionTrigger):
    """A protection has tripped."""

    _way = TRIPPED


class ProtectionClearedTrigger(_ProtectionTrigger):
    """A protection has cleared."""

    _way = CLEARED


# --- states -----------------------------------------------------------------------------


class _Spell(NamedTuple):
    """A time during which an entity said the same, with gaps in which it said nothing."""

    what: str
    since: datetime


class _ChangeTrigger(_BatteryTrigger):
    """From one meaning to another, whatever the entity does not know in between.

    A battery that is out of reach for a while and comes back the same has not changed;
    one that comes back different has.
    """

    # Being away is bridged, see above.
    _excluded_from_states = frozenset()

    _meanings: ClassVar[Mapping[str, str]]
    """What states mean; those that are not named mean nothing."""
    _from: ClassVar[frozenset[str | None]]
    """Meanings to come from, None where it need not be known."""
    _to: ClassVar[str]

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Begin without a memory."""
        super().__init__(hass, config)
        self._spells: dict[str, _Spell] = {}
        self._before: dict[str, _Spell | None] = {}

    def _note(self, state: State) -> None:
        if (what := self._meanings.get(state.state)) is None:
            return
        spell = self._spells.get(state.entity_id)
        if spell is None or spell.what != what:
            self._before[state.entity_id] = spell
            self._spells[state.entity_id] = _Spell(what, state.last_changed)

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the entities to watch, and note what those that are new say now."""
        found = super().entity_filter(entities)
        for entity_id in found - self._spells.keys():
            if (state := self._hass.states.get(entity_id)) is not None:
                self._note(state)
        return found

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        self._note(state)
        return self._meanings.get(state.state) == self._to

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        if from_state.state == to_state.state:
            return False
        if self._spells[to_state.entity_id].since != to_state.last_changed:
            return False  # it goes on
        before = self._before[to_state.entity_id]
        if before is None and (what := self._meanings.get(from_state.state)):
            # The first state of a new entity is no change, so it was not noted.
            before = _Spell(what, from_state.last_changed)
            self._before[to_state.entity_id] = before
        return (None if before is None else before.what) in self._from


class _ColdTrigger(_ChangeTrigger):
    _domain_specs = {Platform.BINARY_SENSOR: DomainSpec()}
    _schema = ENTITY_STATE_TRIGGER_SCHEMA_WITH_BEHAVIOR
    _domain = Platform.BINARY_SENSOR
    _key = "too_cold_to_charge"
    _meanings = {STATE_ON: STATE_ON, STATE_OFF: STATE_OFF}


class BlockedByColdTrigger(_ColdTrigger):
    """It has become too cold to charge."""

    _from = frozenset({STATE_OFF})
    _to = STATE_ON


class NoLongerBlockedByColdTrigger(_ColdTrigger):
    """It is no longer too cold to charge."""

    _from = frozenset({STATE_ON})
    _to = STATE_OFF


_UP: Final = "up"
_LOST: Final = "lost"
_RELEASED: Final = "released"


class _LinkTrigger(_ChangeTrigger):
    _domain_specs = {Platform.SENSOR: DomainSpec()}
    _domain = Platform.SENSOR
    _key = "connection_status"
    # While it is being connected, nobody knows yet.
    _meanings = {
        **dict.fromkeys(REACHABLE, _UP),
        **dict.fromkeys(UNREACHABLE, _LOST),
        ConnectionState.RELEASED: _RELEASED,
    }


class ConnectionLostTrigger(_LinkTrigger):
    """A battery that should be connected has not been for a while.

    Also one that was never reached since Home Assistant started.
    """

    _schema = ENTITY_STATE_TRIGGER_SCHEMA_WITH_BEHAVIOR.extend(
        {
            vol.Required(CONF_OPTIONS, default={}): {
                vol.Required(CONF_FOR, default=DEFAULT_LOST_FOR): (
                    cv.positive_time_period
                ),
            },
        }
    )
    _from = frozenset({_UP, _RELEASED, None})
    _to = _LOST


class ConnectionRestoredTrigger(_LinkTrigger):
    """The link is back, after it was lost for a while and not released."""

    _schema = ENTITY_STATE_TRIGGER_SCHEMA_WITH_BEHAVIOR.extend(
        {
            vol.Required(CONF_OPTIONS, default={}): {
                vol.Required(LOST_FOR, default=DEFAULT_LOST_FOR): (
                    cv.positive_time_period
                ),
            },
        }
    )
    _from = frozenset({_LOST})
    _to = _UP

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        if not super().is_valid_transition(from_state, to_state):
            return False
        lost = self._before[to_state.entity_id]
        lost_for: timedelta = self._options[LOST_FOR]
        return lost is not None and to_state.last_changed - lost.since >= lost_for


TRIGGERS: Final[Mapping[str, type[Trigger]]] = {
    "protection_tripped": ProtectionTrippedTrigger,
    "protection_cleared": ProtectionClearedTrigger,
    "charging_blocked_by_cold": BlockedByColdTrigger,
    "charging_no_longer_blocked_by_cold": NoLongerBlockedByColdTrigger,
    "connection_lost": ConnectionLostTrigger,
    "connection_restored": ConnectionRestoredTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> Mapping[str, type[Trigger]]:
    """Return the triggers."""
    return TRIGGERS
