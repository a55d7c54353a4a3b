"""Targets and schemas that triggers and conditions share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import voluptuous as vol

from homeassistant.const import (
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    CONF_OPTIONS,
    CONF_TARGET,
    Platform,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.target import (
    TargetSelection,
    async_extract_referenced_entity_ids,
)
from homeassistant.helpers.typing import ConfigType

from .connection import ConnectionState
from .const import DOMAIN
from .entries import is_bank, members_of
from .event import UNKNOWN
from .vlrv.faults import FAULTS, UNKNOWN_BIT

PROTECTION: Final = "protection"

# As triggers.yaml, conditions.yaml and strings.json offer them.
PROTECTION_KEYS: Final = (*(fault.key for fault in FAULTS), UNKNOWN)

# No selection means any protection.
PROTECTION_OPTIONS: Final = {
    vol.Required(CONF_OPTIONS, default={}): {
        vol.Optional(PROTECTION, default=[]): vol.All(
            cv.ensure_list, [vol.In(PROTECTION_KEYS)]
        ),
    },
}

REACHABLE: Final = frozenset({ConnectionState.CONNECTED, ConnectionState.IDLE})
UNREACHABLE: Final = frozenset(
    {
        ConnectionState.UNREACHABLE,
        ConnectionState.UNRESPONSIVE,
        ConnectionState.NO_SLOT,
        ConnectionState.NO_BLUETOOTH,
    }
)


class BatteryTargetMixin:
    """Select one entity of each battery, for Home Assistant's triggers and conditions.

    A target can be a battery, an area, a floor, a label or the entity itself.
    """

    _hass: HomeAssistant
    _primary_entities_only = False
    _domain: ClassVar[Platform]
    _key: ClassVar[str]

    @classmethod
    async def async_validate_config(
        cls, hass: HomeAssistant, config: ConfigType
    ) -> ConfigType:
        """Return the validated configuration; raises what `check_target` does."""
        checked: ConfigType = await super().async_validate_config(  # type: ignore[misc]
            hass, config
        )
        check_target(hass, checked, cls._domain, cls._key)
        return checked

    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return the entities that this trigger or condition is about."""
        return battery_entities(self._hass, entities, self._domain, self._key)


def _matches(entity: er.RegistryEntry, domain: Platform, key: str) -> bool:
    return (
        entity.platform == DOMAIN
        and entity.domain == domain
        and entity.translation_key == key
    )


def _watched(
    hass: HomeAssistant, entities: set[str], domain: Platform, key: str
) -> Iterator[er.RegistryEntry]:
    """Yield the entities to watch of the batteries and banks that `entities` belong to.

    Home Assistant leaves hidden entities out of the target of a device, an area, a floor
    or a label. Any other entity stands for its battery, so that hiding one, which is
    only about looks, does not silence an automation.
    """
    registry = er.async_get(hass)
    entries = {
        entity.config_entry_id
        for entity_id in entities
        if (entity := registry.async_get(entity_id)) is not None
        and entity.platform == DOMAIN
        and entity.config_entry_id is not None
    }
    for entry_id in entries:
        for entity in er.async_entries_for_config_entry(registry, entry_id):
            if _matches(entity, domain, key):
                yield entity


@callback
def battery_entities(
    hass: HomeAssistant, entities: set[str], domain: Platform, key: str
) -> set[str]:
    """Return the entities with the translation key `key` of batteries and banks.

    A bank is left out if all its members are included: it would repeat what they report.
    """
    found = {
        entity.entity_id: hass.config_entries.async_get_entry(
            entity.config_entry_id or ""
        )
        for entity in _watched(hass, entities, domain, key)
        if not entity.disabled
    }
    addresses = {entry.unique_id for entry in found.values() if entry is not None}
    return {
        entity_id
        for entity_id, entry in found.items()
        if entry is None
        or not is_bank(entry)
        or not addresses.issuperset(members_of(entry))
    }


@callback
def check_target(
    hass: HomeAssistant, config: dict[str, Any], domain: Platform, key: str
) -> None:
    """Check that directly selected devices and entities can tell what is asked for.

    Entities that are not registered are accepted, as they may be added again. Raises
    HomeAssistantError.
    """
    registry = er.async_get(hass)
    for selected in config[CONF_TARGET].get(ATTR_DEVICE_ID) or ():
        device = dr.async_get(hass).async_get(selected)
        entry_id = None if device is None else device.config_entry_id
        entry = entry_id and hass.config_entries.async_get_entry(entry_id)
        if not entry or entry.domain != DOMAIN:
            continue
        found = [
            item
            for item in er.async_entries_for_device(
                registry, selected, include_disabled_entities=True
            )
            if _matches(item, domain, key)
        ]
        if is_bank(entry) and not found:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="bank_target",
                translation_placeholders={"name": entry.title},
            )
    for selected in config[CONF_TARGET].get(ATTR_ENTITY_ID) or ():
        entity = registry.async_get(selected)
        if entity is None:
            continue
        if not _matches(entity, domain, key):
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="wrong_target",
                translation_placeholders={"entity": entity.entity_id},
            )
    # A disabled entity has no state, and would silence the trigger or the condition.
    target = async_extract_referenced_entity_ids(
        hass, TargetSelection(config[CONF_TARGET]), expand_group=False
    )
    entities = target.referenced | target.indirectly_referenced
    for watched in _watched(hass, entities, domain, key):
        if watched.disabled:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="disabled_target",
                translation_placeholders={"entity": watched.entity_id},
            )


def protection_key(active: str) -> str:
    """Return the option that stands for a protection: one for all unknown bits."""
    return UNKNOWN if active.startswith(UNKNOWN_BIT) else active
