"""Binary sensors: charging, faults (manual table 6-1) and conditions for automations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bank.binary_sensor import async_add_bank_binary_sensors
from .battery.permission import may_charge, may_discharge
from .battery.slow_values import SLOW
from .const import LOW_BATTERY_HYSTERESIS
from .coordinator import VlrvCoordinator
from .data import VlrvConfigEntry, VlrvData
from .entity import VlrvBaseBinarySensor, VlrvEntity
from .entries import is_bank
from .vlrv.faults import FAULTS, Fault, Protections, is_set
from .vlrv.registers import BatteryStatus

# Binary sensors read what the coordinator holds; nothing is sent for them.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class VlrvBinarySensorDescription(BinarySensorEntityDescription):
    """A binary sensor and how its state is read from a sample.

    `value_fn` receives the sample, the battery and the previous state.
    """

    value_fn: Callable[[BatteryStatus, VlrvData, bool | None], bool | None]
    is_slow: bool = False
    """Whether it follows from slow registers alone, see `SlowValues`."""


def _fault(fault: Fault) -> VlrvBinarySensorDescription:
    return VlrvBinarySensorDescription(
        key=fault.key,
        translation_key=fault.key,
        is_slow=True,
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        # An automation names one of the manual's; it hardly ever changes.
        entity_registry_enabled_default=bool(fault.manual),
        value_fn=lambda status, _battery, _previous: is_set(
            status.protections, fault.mask
        ),
    )


def _is_low(status: BatteryStatus, battery: VlrvData, previous: bool | None) -> bool:
    """Return whether the state of charge is at or below the user's threshold.

    Once on, it stays on until the state of charge has risen by the hysteresis.
    """
    threshold = battery.options.low_battery
    if previous:
        threshold += LOW_BATTERY_HYSTERESIS - 1
    return status.state_of_charge <= threshold


BINARY_SENSORS: Final = (
    VlrvBinarySensorDescription(
        key="problem",
        translation_key="problem",
        is_slow=True,
        device_class=BinarySensorDeviceClass.PROBLEM,
        value_fn=lambda status, _battery, _previous: status.has_fault,
    ),
    VlrvBinarySensorDescription(
        key="low_battery",
        translation_key="low_battery",
        device_class=BinarySensorDeviceClass.BATTERY,
        value_fn=_is_low,
    ),
    VlrvBinarySensorDescription(
        key="charging",
        translation_key="charging",
        device_class=BinarySensorDeviceClass.BATTERY_CHARGING,
        value_fn=lambda status, battery, _previous: battery.charge_states.charging(
            status
        ),
    ),
    VlrvBinarySensorDescription(
        key="too_cold_to_charge",
        translation_key="too_cold_to_charge",
        device_class=BinarySensorDeviceClass.COLD,
        value_fn=lambda status, battery, _previous: battery.charge_states.too_cold(
            status, battery.info
        ),
    ),
    # No device class fits; both are for automations.
    VlrvBinarySensorDescription(
        key="charging_allowed",
        translation_key="charging_allowed",
        entity_registry_enabled_default=False,
        value_fn=lambda status, battery, _previous: may_charge(
            status, too_cold=battery.charge_states.too_cold(status, battery.info)
        ),
    ),
    VlrvBinarySensorDescription(
        key="discharging_allowed",
        translation_key="discharging_allowed",
        entity_registry_enabled_default=False,
        value_fn=lambda status, _battery, _previous: may_discharge(status),
    ),
    VlrvBinarySensorDescription(
        key="heating",
        translation_key="heating",
        is_slow=True,
        value_fn=lambda status, _battery, _previous: status.heating,
    ),
    # No device class "problem": a full battery is the normal case.
    VlrvBinarySensorDescription(
        key="full_charge",
        translation_key="full_charge",
        is_slow=True,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda status, _battery, _previous: status.is_full,
    ),
    VlrvBinarySensorDescription(
        key="full_discharge",
        translation_key="full_discharge",
        is_slow=True,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda status, _battery, _previous: status.is_discharged,
    ),
    VlrvBinarySensorDescription(
        key="warning",
        translation_key="warning",
        is_slow=True,
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status, _battery, _previous: bool(status.warnings),
    ),
    VlrvBinarySensorDescription(
        key="error",
        translation_key="error",
        is_slow=True,
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status, _battery, _previous: bool(status.errors),
    ),
)


# The same for every battery, so created once.
DESCRIPTIONS: Final = (
    *BINARY_SENSORS,
    # "Full discharge" shows low capacity.
    *(_fault(fault) for fault in FAULTS if fault.mask is not Protections.LOW_CAPACITY),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of a battery or a bank."""
    if is_bank(entry):
        async_add_bank_binary_sensors(entry, async_add_entities)
        return
    async_add_entities(
        VlrvBinarySensor(
            entry.runtime_data, description, SLOW if description.is_slow else None
        )
        for description in DESCRIPTIONS
    )


class VlrvBinarySensor(VlrvEntity, VlrvBaseBinarySensor[VlrvCoordinator]):
    """A state of the last valid sample."""

    entity_description: VlrvBinarySensorDescription

    @override
    def _update_attrs(self) -> bool:
        status: BatteryStatus | None = self.coordinator.data
        return self._set_is_on(
            None
            if status is None
            else self.entity_description.value_fn(
                status, self.battery, self._attr_is_on
            )
        )
