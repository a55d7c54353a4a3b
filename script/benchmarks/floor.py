"""An empty integration with as many entities: what Home Assistant itself takes for them.

Each entity of a battery has its like: registered, enabled or not, and with the state and
the attributes that the battery's had. Nothing is behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    MockModule,
    MockPlatform,
    mock_integration,
    mock_platform,
)

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.sensor import SensorEntity, SensorEntityDescription
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigFlow
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import CONNECTION_BLUETOOTH, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

FLOOR: Final = "floor"


@dataclass(frozen=True, slots=True)
class EntityLike:
    """What Home Assistant keeps of an entity."""

    domain: str
    key: str
    name: str | None
    translation_key: str | None
    device_class: Any
    unit: str | None
    category: EntityCategory | None
    capabilities: Mapping[str, Any]
    precision: int | None
    enabled: bool
    state: Any
    """A sensor's as a number where it is one; of a binary sensor, whether it is on."""
    attributes: Mapping[str, Any]
    """Those that Home Assistant does not add itself."""


def entities_of(hass: HomeAssistant, entry: ConfigEntry) -> Iterator[EntityLike]:
    """Yield the like of each registered entity of an entry."""
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        capabilities = dict(entity.capabilities or {})
        shown_as: Mapping[str, Any] = entity.options.get("sensor", {})
        precision = shown_as.get("suggested_display_precision")
        state = hass.states.get(entity.entity_id)
        added = {
            "attribution",
            "device_class",
            "friendly_name",
            "icon",
            "supported_features",
            "unit_of_measurement",
            *capabilities,
        }
        yield EntityLike(
            domain=entity.domain,
            key=entity.unique_id.rpartition(":")[2].partition("_")[2],
            name=entity.original_name,
            translation_key=entity.translation_key,
            device_class=entity.original_device_class,
            unit=entity.unit_of_measurement,
            category=entity.entity_category,
            capabilities=capabilities,
            precision=precision,
            enabled=entity.disabled_by is None,
            state=None if state is None else _native(entity.domain, state.state),
            attributes={}
            if state is None
            else {
                key: value
                for key, value in state.attributes.items()
                if key not in added
            },
        )


def _native(domain: str, state: str) -> Any:
    if state in {"unknown", "unavailable"}:
        return None
    if domain == Platform.BINARY_SENSOR:
        return state == "on"
    if domain == Platform.SENSOR:
        try:
            return float(state)
        except ValueError:
            return state
    return state


class _FloorEntity(Entity):
    """An entity of any domain."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, number: int, like: EntityLike, description: EntityDescription
    ) -> None:
        """Take the place of an entity of battery `number`."""
        self.entity_description = description
        self.like = like
        self.number = number
        self._attr_unique_id = f"{FLOOR}_{number}_{like.key}"

    @property
    def device_info(self) -> DeviceInfo:
        """Return the device of the battery."""
        address = f"A4:C1:37:00:02:{self.number:02X}"
        return DeviceInfo(
            identifiers={(FLOOR, address)},
            connections={(CONNECTION_BLUETOOTH, address)},
            name=f"Floor {self.number}",
        )

    @property
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return what the entity had."""
        return self.like.attributes


class _FloorOther(_FloorEntity):
    """An entity of a domain with few of them."""

    @property
    def state(self) -> Any:
        """Return what the entity had."""
        return self.like.state

    @property
    def capability_attributes(self) -> dict[str, Any]:
        """Return what the entity had."""
        return dict(self.like.capabilities)


class _FloorSensor(_FloorEntity, SensorEntity):
    """A sensor; a timestamp or a text is a text."""

    @property
    def native_value(self) -> Any:
        """Return what the sensor had."""
        return self.like.state


class _FloorBinarySensor(_FloorEntity, BinarySensorEntity):
    """A binary sensor."""

    @property
    def is_on(self) -> bool | None:
        """Return what the binary sensor had."""
        return bool(self.like.state) if self.like.state is not None else None


def _description(like: EntityLike) -> EntityDescription:
    common: dict[str, Any] = {
        "key": like.key,
        "name": like.name,
        "translation_key": like.translation_key,
        "entity_category": like.category,
        "entity_registry_enabled_default": like.enabled,
    }
    if like.domain == Platform.BINARY_SENSOR:
        return BinarySensorEntityDescription(**common, device_class=like.device_class)
    if like.domain == Platform.SENSOR:
        return SensorEntityDescription(
            **common,
            # A date is shown as a text here.
            device_class=(
                None if like.device_class == "timestamp" else like.device_class
            ),
            native_unit_of_measurement=like.unit,
            state_class=like.capabilities.get("state_class"),
            options=like.capabilities.get("options"),
            suggested_display_precision=like.precision,
        )
    return EntityDescription(**common)


def _entity(number: int, like: EntityLike, description: EntityDescription) -> Entity:
    kind = {
        Platform.SENSOR: _FloorSensor,
        Platform.BINARY_SENSOR: _FloorBinarySensor,
    }.get(Platform(like.domain), _FloorOther)
    return kind(number, like, description)


class _FloorFlow(ConfigFlow, domain=FLOOR):
    """Home Assistant sets up no entry without a flow."""


class Floor:
    """The empty integration in one Home Assistant."""

    def __init__(self, hass: HomeAssistant, likes: Sequence[EntityLike]) -> None:
        """Register it; each of its entries has an entity like each of `likes`."""
        self._hass = hass
        self._entities: list[Entity] = []
        domains = sorted({like.domain for like in likes})
        described = [(like, _description(like)) for like in likes]

        async def set_up(hass: HomeAssistant, entry: ConfigEntry) -> bool:
            await hass.config_entries.async_forward_entry_setups(entry, domains)
            return True

        async def unload(hass: HomeAssistant, entry: ConfigEntry) -> bool:
            return await hass.config_entries.async_unload_platforms(entry, domains)

        mock_integration(
            hass,
            MockModule(FLOOR, async_setup_entry=set_up, async_unload_entry=unload),
        )
        mock_platform(hass, f"{FLOOR}.config_flow", None)
        for domain in domains:
            mock_platform(
                hass,
                f"{FLOOR}.{domain}",
                MockPlatform(async_setup_entry=self._set_up(domain, described)),
            )

    def _set_up(
        self, domain: str, described: Sequence[tuple[EntityLike, EntityDescription]]
    ) -> Any:
        async def set_up(
            _hass: HomeAssistant,
            entry: ConfigEntry,
            async_add_entities: AddConfigEntryEntitiesCallback,
        ) -> None:
            entities = [
                _entity(entry.data["number"], like, description)
                for like, description in described
                if like.domain == domain
            ]
            self._entities += entities
            async_add_entities(entities)

        return set_up

    async def add(self, number: int) -> ConfigEntry:
        """Add an entry and set it up."""
        entry: ConfigEntry = MockConfigEntry(
            domain=FLOOR, title=f"Floor {number}", data={"number": number}
        )
        await self._hass.config_entries.async_add(entry)
        assert entry.state is ConfigEntryState.LOADED
        await self._hass.async_block_till_done()
        return entry

    @property
    def enabled(self) -> list[Entity]:
        """Return the entities that have a state."""
        return [entity for entity in self._entities if entity.enabled]

    def poll(self) -> None:
        """Write each state, as a coordinator's entities do at each poll."""
        for entity in self.enabled:
            entity.async_write_ha_state()

    def write_states(self) -> None:
        """Write states as at polls: each changes once, and is once written unchanged.

        Home Assistant keeps the state before the last change with that change.
        """
        for available in (False, True, True):
            for entity in self.enabled:
                entity._attr_available = available  # noqa: SLF001
                entity.async_write_ha_state()
