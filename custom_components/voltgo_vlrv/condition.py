"""Conditions: protections, charging in the cold, and the connection.

Unknown or unavailable states and empty targets never satisfy a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.const import STATE_ON, Platform
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.condition import (
    ENTITY_STATE_CONDITION_SCHEMA_ANY_ALL,
    Condition,
    ConditionConfig,
    EntityConditionBase,
)

from .automation import (
    PROTECTION,
    PROTECTION_KEYS,
    PROTECTION_OPTIONS,
    REACHABLE,
    BatteryTargetMixin,
    protection_key,
)
from .sensor import PROTECTIONS, UP_TO_DATE


class _BatteryCondition(BatteryTargetMixin, EntityConditionBase):
    """A condition on one entity of each battery."""

    @override
    def _should_include(self, _state: State) -> bool:
        # "All batteries" includes unavailable ones.
        return True

    @override
    def _check_all_match_state(self, states: list[State]) -> bool:
        return bool(states) and super()._check_all_match_state(states)


class ProtectionActiveCondition(_BatteryCondition):
    """A protection is active: one of the selected ones, or any."""

    _domain_specs = {Platform.SENSOR: DomainSpec(value_source=PROTECTIONS)}
    _schema = ENTITY_STATE_CONDITION_SCHEMA_ANY_ALL.extend(PROTECTION_OPTIONS)
    _domain = Platform.SENSOR
    _key = "active_faults"

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Initialize the condition; no selection means any protection."""
        super().__init__(hass, config)
        options: dict[str, Any] = config.options or {}
        self._selected = frozenset(options[PROTECTION] or PROTECTION_KEYS)

    @override
    def is_valid_state(self, entity_state: State) -> bool:
        active = entity_state.attributes.get(PROTECTIONS, ())
        return any(protection_key(key) in self._selected for key in active)


class BlockedByColdCondition(_BatteryCondition):
    """It is too cold to charge."""

    _domain_specs = {Platform.BINARY_SENSOR: DomainSpec()}
    _domain = Platform.BINARY_SENSOR
    _key = "too_cold_to_charge"

    @override
    def is_valid_state(self, entity_state: State) -> bool:
        return entity_state.state == STATE_ON


class ReachableCondition(_BatteryCondition):
    """The battery is connected, or its last poll succeeded while it is idle."""

    _domain_specs = {Platform.SENSOR: DomainSpec()}
    _domain = Platform.SENSOR
    _key = "connection_status"

    @override
    def is_valid_state(self, entity_state: State) -> bool:
        return entity_state.state in REACHABLE


class DataUpToDateCondition(_BatteryCondition):
    """The values are live, not those from before a release or a restart."""

    _domain_specs = {Platform.SENSOR: DomainSpec(value_source=UP_TO_DATE)}
    _domain = Platform.SENSOR
    _key = "connection_status"

    @override
    def is_valid_state(self, entity_state: State) -> bool:
        return entity_state.attributes.get(UP_TO_DATE) is True


CONDITIONS: Final[Mapping[str, type[Condition]]] = {
    "is_protection_active": ProtectionActiveCondition,
    "is_charging_blocked_by_cold": BlockedByColdCondition,
    "is_reachable": ReachableCondition,
    "is_data_up_to_date": DataUpToDateCondition,
}


async def async_get_conditions(hass: HomeAssistant) -> Mapping[str, type[Condition]]:
    """Return the conditions."""
    return CONDITIONS
