"""Triggers: protections, charging in the cold, and the connection.

They watch existing entities, so a target can be a battery, an area, a floor, a label
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
    BatteryTargetMixin,
)
from .connection import ConnectionState
from .event import CLEARED, TRIPPED

if TYPE_CHECKING:
    from homeassistant.helpers.trigger import NotTriggeredReasonReporter

LOST_FOR: Final = "lost_for"
# Short interruptions are normal for Bluetooth.
DEFAULT_LOST_FOR: Final = timedelta(minutes=5)


class _BatteryTrigger(BatteryTargetMixin, EntityTriggerBase):
    """A trigger on one entity of each battery."""


# --- protections ------------------------------------------------------------------------


class _ProtectionTrigger(_BatteryTrigger, StatelessEntityTriggerBase):
    """A protection that changes in one direction."""

    _domain_specs = {Platform.EVENT: DomainSpec()}
    _schema = ENTITY_STATE_TRIGGER_SCHEMA.extend(PROTECTION_OPTIONS)
    _domain = Platform.EVENT
    _key = "protection"
    _direction: ClassVar[str]

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Initialize the trigger; no selection means any protection."""
        super().__init__(hass, config)
        selected = self._options[PROTECTION] or PROTECTION_KEYS
        self._event_types = {f"{key}_{self._direction}" for key in selected}

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        # The state is a time in ms, which two protections that trip at once share.
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

    _direction = TRIPPED


class ProtectionClearedTrigger(_ProtectionTrigger):
    """A protection has cleared."""

    _direction = CLEARED


# --- states -----------------------------------------------------------------------------


class _StatePeriod(NamedTuple):
    """A time during which an entity stayed in one group of states, gaps included."""

    group: str
    since: datetime


class _ChangeTrigger(_BatteryTrigger):
    """A change from one group of states to another, unknown states in between ignored.

    A battery that was unavailable and returns in the same group has not changed; one
    that returns in another group has.
    """

    # Unavailable states are ignored here, see above.
    _excluded_from_states = frozenset()

    _state_groups: ClassVar[Mapping[str, str]]
    """The group of each state; other states are ignored."""
    _from: ClassVar[frozenset[str | None]]
    """The groups before the change, with None if it may be unknown."""
    _to: ClassVar[str]
    """The group after the change."""

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Initialize the trigger without known states."""
        super().__init__(hass, config)
        self._periods: dict[str, _StatePeriod] = {}
        self._previous: dict[str, _StatePeriod | None] = {}

    def _record(self, state: State) -> None:
        if (group := self._state_groups.get(state.state)) is None:
            return
        period = self._periods.get(state.entity_id)
        if period is None or period.group != group:
            self._previous[state.entity_id] = period
            self._periods[state.entity_id] = _StatePeriod(group, state.last_changed)

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the entities to watch, and record the states of new ones."""
        found = super().entity_filter(entities)
        for entity_id in found - self._periods.keys():
            if (state := self._hass.states.get(entity_id)) is not None:
                self._record(state)
        return found

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        self._record(state)
        return self._state_groups.get(state.state) == self._to

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        if from_state.state == to_state.state:
            return False
        if self._periods[to_state.entity_id].since != to_state.last_changed:
            return False  # still the same period
        previous = self._previous[to_state.entity_id]
        if previous is None and (group := self._state_groups.get(from_state.state)):
            # The first state of a new entity is not reported as a change.
            previous = _StatePeriod(group, from_state.last_changed)
            self._previous[to_state.entity_id] = previous
        return (None if previous is None else previous.group) in self._from


class _ColdTrigger(_ChangeTrigger):
    _domain_specs = {Platform.BINARY_SENSOR: DomainSpec()}
    _schema = ENTITY_STATE_TRIGGER_SCHEMA_WITH_BEHAVIOR
    _domain = Platform.BINARY_SENSOR
    _key = "too_cold_to_charge"
    _state_groups = {STATE_ON: STATE_ON, STATE_OFF: STATE_OFF}


class ChargingBlockedByColdTrigger(_ColdTrigger):
    """It has become too cold to charge."""

    _from = frozenset({STATE_OFF})
    _to = STATE_ON


class ChargingNoLongerBlockedByColdTrigger(_ColdTrigger):
    """It is no longer too cold to charge."""

    _from = frozenset({STATE_ON})
    _to = STATE_OFF


_CONNECTED: Final = "connected"
_LOST: Final = "lost"
_RELEASED: Final = "released"


class _ConnectionTrigger(_ChangeTrigger):
    _domain_specs = {Platform.SENSOR: DomainSpec()}
    _domain = Platform.SENSOR
    _key = "connection_status"
    # "Connecting" is neither: the outcome is unknown.
    _state_groups = {
        **dict.fromkeys(REACHABLE, _CONNECTED),
        **dict.fromkeys(UNREACHABLE, _LOST),
        ConnectionState.RELEASED: _RELEASED,
    }


class ConnectionLostTrigger(_ConnectionTrigger):
    """The connection has been lost for some time, and was not released.

    Includes a battery that was never reached since Home Assistant started.
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
    _from = frozenset({_CONNECTED, _RELEASED, None})
    _to = _LOST


class ConnectionRestoredTrigger(_ConnectionTrigger):
    """The connection is restored after it was lost for some time, not released."""

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
    _to = _CONNECTED

    @override
    def is_valid_transition(self, from_state: State, to_state: State) -> bool:
        if not super().is_valid_transition(from_state, to_state):
            return False
        lost = self._previous[to_state.entity_id]
        lost_for: timedelta = self._options[LOST_FOR]
        return lost is not None and to_state.last_changed - lost.since >= lost_for


TRIGGERS: Final[Mapping[str, type[Trigger]]] = {
    "protection_tripped": ProtectionTrippedTrigger,
    "protection_cleared": ProtectionClearedTrigger,
    "charging_blocked_by_cold": ChargingBlockedByColdTrigger,
    "charging_no_longer_blocked_by_cold": ChargingNoLongerBlockedByColdTrigger,
    "connection_lost": ConnectionLostTrigger,
    "connection_restored": ConnectionRestoredTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> Mapping[str, type[Trigger]]:
    """Return the triggers."""
    return TRIGGERS
