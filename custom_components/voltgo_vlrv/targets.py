"""What triggers and conditions have in common: which entities they look at."""

from __future__ import annotations

from typing import Any, Final

from homeassistant.const import ATTR_ENTITY_ID, CONF_TARGET, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN
from .event import UNKNOWN
from .link import LinkState
from .vlrv.faults import FAULTS, UNKNOWN_BIT

BEHAVIOR: Final = "behavior"
PROTECTION: Final = "protection"

# As triggers.yaml, conditions.yaml and strings.json offer them.
PROTECTION_KEYS: Final = (*(fault.key for fault in FAULTS), UNKNOWN)

LINK_UP: Final = frozenset({LinkState.CONNECTED, LinkState.IDLE})
LINK_LOST: Final = frozenset(
    {LinkState.UNREACHABLE, LinkState.NO_SLOT, LinkState.NO_BLUETOOTH}
)


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
    """Return those of the entities that are the one called `key` of a battery."""
    registry = er.async_get(hass)
    return {
        entity_id
        for entity_id in entities
        if (entity := registry.async_get(entity_id)) is not None
        and _is_ours(entity, domain, key)
    }


@callback
def check_target(
    hass: HomeAssistant, config: dict[str, Any], domain: Platform, key: str
) -> None:
    """Refuse an entity that is chosen by itself and says nothing of this.

    One that is not registered may come back. Raises HomeAssistantError.
    """
    registry = er.async_get(hass)
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
