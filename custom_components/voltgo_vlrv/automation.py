"""What triggers and conditions have in common: which entities they look at."""

from __future__ import annotations

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
from homeassistant.helpers.typing import ConfigType

from .connection import ConnectionState
from .const import DOMAIN
from .entries import is_bank, members_of
from .event import UNKNOWN
from .vlrv.faults import FAULTS, UNKNOWN_BIT

BEHAVIOR: Final = "behavior"
PROTECTION: Final = "protection"

# As triggers.yaml, conditions.yaml and strings.json offer them.
PROTECTION_KEYS: Final = (*(fault.key for fault in FAULTS), UNKNOWN)

# No choice means any of them.
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


class BatteryTarget:
    """Mixed into Home Assistant's triggers and conditions: one entity of each battery.

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
        """Check what the owner chose; raises HomeAssistantError, see `check_target`."""
        checked: ConfigType = await super().async_validate_config(  # type: ignore[misc]
            hass, config
        )
        check_target(hass, checked, cls._domain, cls._key)
        return checked

    def entity_filter(self, entities: set[str]) -> set[str]:
        """Return those of the entities that are the one that counts."""
        return ours(self._hass, entities, self._domain, self._key)


def _is_ours(entity: er.RegistryEntry, domain: Platform, key: str) -> bool:
    return (
        entity.platform == DOMAIN
        and entity.domain == domain
        and entity.translation_key == key
    )


@callback
def ours(
    hass: HomeAssistant, entities: set[str], domain: Platform, key: str
) -> set[str]:
    """Return those of the entities that are the one called `key` of a battery.

    Also that of a bank, unless all its batteries are among them: it has nothing to say
    beside them, and would say it twice.
    """
    registry = er.async_get(hass)
    found = {
        entity_id: hass.config_entries.async_get_entry(entity.config_entry_id)
        for entity_id in entities
        if (entity := registry.async_get(entity_id)) is not None
        and _is_ours(entity, domain, key)
        and entity.config_entry_id is not None
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
    """Refuse an entity or a bank that is chosen by itself and says nothing of this.

    What is not registered may come back. Raises HomeAssistantError.
    """
    registry = er.async_get(hass)
    for chosen in config[CONF_TARGET].get(ATTR_DEVICE_ID) or ():
        device = dr.async_get(hass).async_get(chosen)
        entry_id = None if device is None else device.config_entry_id
        entry = entry_id and hass.config_entries.async_get_entry(entry_id)
        if (
            entry
            and entry.domain == DOMAIN
            and is_bank(entry)
            and not any(
                _is_ours(entity, domain, key)
                for entity in er.async_entries_for_device(
                    registry, chosen, include_disabled_entities=True
                )
            )
        ):
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="bank_target",
                translation_placeholders={"name": entry.title},
            )
    for chosen in config[CONF_TARGET].get(ATTR_ENTITY_ID) or ():
        entity = registry.async_get(chosen)
        if entity is not None and not _is_ours(entity, domain, key):
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="wrong_target",
                translation_placeholders={"entity": entity.entity_id},
            )


def protection_key(active: str) -> str:
    """Return what an active protection is offered as: unknown bits are all one."""
    return UNKNOWN if active.startswith(UNKNOWN_BIT) else active
