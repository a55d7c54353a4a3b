"""Binary sensors of a bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntityDescription,
)
from homeassistant.core import callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..const import LOW_BATTERY_HYSTERESIS
from ..entity import VlrvBaseBinarySensor
from .coordinator import BankConfigEntry, BankCoordinator
from .member import Presence


@dataclass(frozen=True, kw_only=True)
class BankBinarySensorDescription(BinarySensorEntityDescription):
    """A binary sensor and how it is read off a bank.

    `value_fn` gets the bank and what the sensor was before; `names_fn` returns the
    batteries that it is about.
    """

    value_fn: Callable[[BankCoordinator, bool | None], bool | None]
    names_fn: Callable[[BankCoordinator], list[str]] | None = None


def _low(bank: BankCoordinator, before: bool | None) -> bool | None:
    """Return whether the state of charge is at the user's threshold or below.

    It has to rise by the hysteresis before that ends.
    """
    if (charge := bank.data.state_of_charge) is None:
        return None
    if before:
        return charge < bank.low_battery + LOW_BATTERY_HYSTERESIS
    return charge <= bank.low_battery


def _missing(bank: BankCoordinator, _before: bool | None) -> bool | None:
    """Return whether a battery is missing that should be there.

    A released battery is not missing: it does not report, but for a known reason.
    """
    if Presence.MISSING in bank.presence.values():
        return True
    return None if Presence.STARTING in bank.presence.values() else False


def _isolated(bank: BankCoordinator, _before: bool | None) -> bool | None:
    """Return whether a battery is isolated; unknown while one does not report.

    An isolated battery that no longer reports is still isolated.
    """
    if bank.data.isolated:
        return True
    return False if bank.data.is_complete else None


BINARY_SENSORS: Final = (
    BankBinarySensorDescription(
        key="battery_missing",
        translation_key="battery_missing",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value_fn=_missing,
        names_fn=lambda bank: bank.member_names(Presence.MISSING),
    ),
    BankBinarySensorDescription(
        key="battery_isolated",
        translation_key="battery_isolated",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value_fn=_isolated,
        names_fn=lambda bank: sorted(map(bank.member_name, bank.data.isolated)),
    ),
    BankBinarySensorDescription(
        key="any_protection",
        translation_key="any_protection",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value_fn=lambda bank, _before: bank.data.protected,
        names_fn=lambda bank: sorted(
            bank.member_name(reading.key)
            for reading in bank.readings
            if reading.protected
        ),
    ),
    BankBinarySensorDescription(
        key="low_battery",
        translation_key="low_battery",
        device_class=BinarySensorDeviceClass.BATTERY,
        value_fn=_low,
    ),
    BankBinarySensorDescription(
        key="charging",
        translation_key="charging",
        device_class=BinarySensorDeviceClass.BATTERY_CHARGING,
        value_fn=lambda bank, _before: bank.charging.value,
    ),
    BankBinarySensorDescription(
        key="too_cold_to_charge",
        translation_key="too_cold_to_charge",
        device_class=BinarySensorDeviceClass.COLD,
        value_fn=lambda bank, _before: bank.data.too_cold,
    ),
    BankBinarySensorDescription(
        key="charging_allowed",
        translation_key="charging_allowed",
        entity_registry_enabled_default=False,
        value_fn=lambda bank, _before: bank.data.may_charge,
    ),
    BankBinarySensorDescription(
        key="discharging_allowed",
        translation_key="discharging_allowed",
        entity_registry_enabled_default=False,
        value_fn=lambda bank, _before: bank.data.may_discharge,
    ),
)


@callback
def async_add_bank_binary_sensors(
    entry: BankConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of a bank."""
    async_add_entities(
        BankBinarySensor(entry.runtime_data, description)
        for description in BINARY_SENSORS
    )


class BankBinarySensor(VlrvBaseBinarySensor[BankCoordinator]):
    """A yes or no of the members together, with the names it is about."""

    entity_description: BankBinarySensorDescription
    _names: list[str] | None = None

    @property
    @override
    def available(self) -> bool:
        """Return whether there is a state, also while no battery reports.

        An isolated battery is as dangerous while it is out of range.
        """
        key = self.entity_description.key
        return (
            super().available
            or key == "battery_missing"
            or (key == "battery_isolated" and bool(self.coordinator.data.isolated))
        )

    @property
    @override
    def extra_state_attributes(self) -> dict[str, list[str]] | None:
        """Return which batteries, where it is about some of them."""
        return None if self._names is None else {"batteries": self._names}

    @override
    def _update_attrs(self) -> bool:
        description = self.entity_description
        names = self._names
        if description.names_fn is not None:
            self._names = description.names_fn(self.coordinator)
        changed = self._set_is_on(
            description.value_fn(self.coordinator, self._attr_is_on)
        )
        return changed or names != self._names
