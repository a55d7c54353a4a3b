"""Selects: module ID, the protocols of the inverter ports, and the usage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bank.coordinator import BankCoordinator
from .battery.info import BatteryInfo
from .battery.settings import CAN, MODULE_ID, RS485, SettingsCoordinator
from .battery.slow_values import SLOW
from .const import CONF_USAGE, IN_USE, STORED
from .coordinator import VlrvCoordinator
from .data import VlrvConfigEntry
from .entity import (
    DeviceCoordinator,
    VlrvBaseEntity,
    VlrvEntity,
    async_add_supported_entities,
)
from .entries import is_bank
from .options import is_in_storage
from .vlrv.settings import MODULE_IDS, brand_names

# One write at a time for each battery.
PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class VlrvSelectDescription(SelectEntityDescription):
    """A setting with a fixed list of values."""

    options_fn: Callable[[BatteryInfo], list[str]]
    """Return the values; none if the battery does not have this setting."""
    current_fn: Callable[[SettingsCoordinator], str | None]
    select_fn: Callable[[SettingsCoordinator, str], Awaitable[None]]


# Attribute: a value that waits for a power cycle.
PENDING: Final = "pending"

# The same for every battery, so created once.
_MODULE_IDS: Final = [str(number) for number in MODULE_IDS]


@lru_cache(maxsize=64)
def _brands(codes: tuple[str, ...]) -> list[str]:
    return list(brand_names(codes))


def _module_id(settings: SettingsCoordinator) -> str | None:
    return None if settings.module_id is None else str(settings.module_id)


SELECTS: Final = (
    VlrvSelectDescription(
        key=MODULE_ID,
        translation_key=MODULE_ID,
        entity_category=EntityCategory.CONFIG,
        options_fn=lambda info: _MODULE_IDS if info.module_id else [],
        current_fn=_module_id,
        select_fn=lambda settings, option: settings.async_set_module_id(int(option)),
    ),
    VlrvSelectDescription(
        key=CAN,
        translation_key=CAN,
        entity_category=EntityCategory.CONFIG,
        options_fn=lambda info: _brands(info.can_protocols),
        current_fn=lambda settings: settings.protocol(CAN),
        select_fn=lambda settings, option: settings.async_set_protocol(CAN, option),
    ),
    VlrvSelectDescription(
        key=RS485,
        translation_key=RS485,
        entity_category=EntityCategory.CONFIG,
        options_fn=lambda info: _brands(info.rs485_protocols),
        current_fn=lambda settings: settings.protocol(RS485),
        select_fn=lambda settings, option: settings.async_set_protocol(RS485, option),
    ),
)


USAGE: Final = SelectEntityDescription(
    key=CONF_USAGE,
    translation_key=CONF_USAGE,
    options=[IN_USE, STORED],
    entity_category=EntityCategory.CONFIG,
    entity_registry_enabled_default=False,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the settings that the battery has reported, or the usage of a bank."""
    if is_bank(entry):
        async_add_entities([BankUsageSelect(entry.runtime_data, USAGE)])
        return
    battery = entry.runtime_data
    async_add_entities([VlrvUsageSelect(battery, USAGE, SLOW)])
    async_add_supported_entities(
        entry,
        async_add_entities,
        lambda info: [select for select in SELECTS if select.options_fn(info)],
        lambda description: VlrvSelect(battery, description, SLOW),
    )


class VlrvSelect(VlrvEntity, SelectEntity):
    """A setting, with the value that the battery reports."""

    entity_description: VlrvSelectDescription
    _attr_options: list[str] = []
    _attr_current_option: str | None = None
    _pending: str | None = None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str] | None:
        """Return the value that the battery applies after a power cycle."""
        return None if self._pending is None else {PENDING: self._pending}

    @override
    def _update_attrs(self) -> bool:
        description = self.entity_description
        options = description.options_fn(self.battery.info)
        option = description.current_fn(self.battery.settings)
        waiting = self.battery.settings.pending.get(description.key)
        pending = None if waiting is None else str(waiting)
        if (options, option, pending) == (
            self._attr_options,
            self._attr_current_option,
            self._pending,
        ):
            return False
        self._attr_options = options
        self._pending = pending
        self._attr_current_option = option
        return True

    @override
    async def async_select_option(self, option: str) -> None:
        """Write the setting; the battery applies it after a power cycle."""
        await self.entity_description.select_fn(self.battery.settings, option)


class UsageSelect[CoordinatorT: DeviceCoordinator](
    VlrvBaseEntity[CoordinatorT], SelectEntity
):
    """Whether batteries are in use or in storage, which is an option of their entries."""

    @property
    @override
    def available(self) -> bool:
        """Return True: the state is a decision of the user, not of the battery."""
        return True

    @property
    def _entries(self) -> list[VlrvConfigEntry]:
        """Return the entries of the batteries."""
        raise NotImplementedError

    @override
    def _update_attrs(self) -> bool:
        stored = [is_in_storage(entry) for entry in self._entries]
        usage = STORED if stored and all(stored) else IN_USE
        if usage == self._attr_current_option:
            return False
        self._attr_current_option = usage
        return True

    @override
    async def async_select_option(self, option: str) -> None:
        """Change the option, which applies at once."""
        for entry in self._entries:
            self.hass.config_entries.async_update_entry(
                entry, options={**entry.options, CONF_USAGE: option}
            )


class VlrvUsageSelect(UsageSelect[VlrvCoordinator], VlrvEntity):
    """The usage of a battery."""

    @property
    @override
    def _entries(self) -> list[VlrvConfigEntry]:
        return [self.coordinator.config_entry]


class BankUsageSelect(UsageSelect[BankCoordinator]):
    """The usage of all batteries of a bank, which is stored when all of them are."""

    @property
    @override
    def _entries(self) -> list[VlrvConfigEntry]:
        members = self.coordinator.members.values()
        return [member.entry for member in members if member.entry is not None]
