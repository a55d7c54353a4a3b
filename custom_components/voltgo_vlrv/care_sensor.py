"""Sensors of what a battery has been through, and how near it is to its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Final, NamedTuple, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    PERCENTAGE,
    EntityCategory,
    UnitOfElectricPotential,
    UnitOfTemperature,
)
from homeassistant.core import callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bank.coordinator import BankConfigEntry, BankCoordinator
from .battery.info import BatteryInfo
from .battery.margins import (
    CHARGE_VOLTAGE,
    DISCHARGE_VOLTAGE,
    MARGIN_THRESHOLDS,
    known_margins,
    margin,
)
from .coordinator import VlrvCoordinator
from .data import VlrvConfigEntry, VlrvData
from .entity import VlrvEntity, async_add_supported_entities
from .history.care import BatteryCare
from .history.lifetime import (
    CYCLES,
    DISCHARGED,
    HIGHEST_CELL_VOLTAGE,
    HIGHEST_TEMPERATURE,
    LOWEST_CELL_VOLTAGE,
    LOWEST_STATE_OF_CHARGE,
    LOWEST_TEMPERATURE,
)
from .history.storage import StorageAdvice, storage_advice
from .sensor_base import AMPERE_HOURS, VlrvBaseSensor
from .vlrv.registers import BatteryStatus

# Binary fractions must not cost one step.
_STEP_TOLERANCE: Final = 1e-6
_CYCLE_STEPS: Final = 10


class Dated(NamedTuple):
    """A value, and the time that belongs to it."""

    value: float | None
    at: datetime | None


@dataclass(frozen=True, kw_only=True)
class CareSensorDescription(SensorEntityDescription):
    """A sensor of a `BatteryCare`, which has a time as the attribute `time_attribute`."""

    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC
    entity_registry_enabled_default: bool = False
    time_attribute: str
    value_fn: Callable[[BatteryCare, BatteryInfo], Dated]


def _total(care: BatteryCare, key: str, steps: int) -> Dated:
    value = floor(care.total(key) * steps + _STEP_TOLERANCE) / steps
    return Dated(value, care.since)


def _extreme(
    key: str,
    unit: str,
    device_class: SensorDeviceClass | None = None,
    divisor: int = 1,
) -> CareSensorDescription:
    def value(care: BatteryCare, _info: BatteryInfo) -> Dated:
        extreme = care.extreme(key)
        if extreme is None:
            return Dated(None, None)
        return Dated(extreme.value / divisor, extreme.at)

    return CareSensorDescription(
        key=f"{key}_recorded",
        translation_key=f"{key}_recorded",
        device_class=device_class,
        native_unit_of_measurement=unit,
        suggested_display_precision=0 if divisor == 1 else 3,
        time_attribute="recorded_at",
        value_fn=value,
    )


def _cell_difference(care: BatteryCare, _info: BatteryInfo) -> Dated:
    last = care.last_full_charge
    return Dated(None, None) if last is None else Dated(last.difference, last.at)


def _capacity(care: BatteryCare, _info: BatteryInfo) -> Dated:
    last = care.last_capacity
    return Dated(None, None) if last is None else Dated(last.capacity, last.at)


def _health(care: BatteryCare, info: BatteryInfo) -> Dated:
    last = care.last_capacity
    if last is None or not (label := info.label_capacity):
        return Dated(None, None)
    return Dated(round(100 * last.capacity / label), last.at)


CARE_SENSORS: Final = (
    CareSensorDescription(
        key="measured_capacity",
        translation_key="measured_capacity",
        native_unit_of_measurement=AMPERE_HOURS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        time_attribute="measured_at",
        value_fn=_capacity,
    ),
    CareSensorDescription(
        key="measured_health",
        translation_key="measured_health",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        time_attribute="measured_at",
        value_fn=_health,
    ),
    CareSensorDescription(
        key="charge_discharged",
        translation_key="charge_discharged",
        native_unit_of_measurement=AMPERE_HOURS,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=0,
        time_attribute="counted_since",
        value_fn=lambda care, _info: _total(care, DISCHARGED, 1),
    ),
    CareSensorDescription(
        key="equivalent_full_cycles",
        translation_key="equivalent_full_cycles",
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=1,
        time_attribute="counted_since",
        value_fn=lambda care, _info: _total(care, CYCLES, _CYCLE_STEPS),
    ),
    CareSensorDescription(
        key="protection_trips",
        translation_key="protection_trips",
        state_class=SensorStateClass.TOTAL_INCREASING,
        time_attribute="last_trip",
        value_fn=lambda care, _info: Dated(care.trips.count, care.trips.last),
    ),
    _extreme(LOWEST_STATE_OF_CHARGE, PERCENTAGE),
    _extreme(
        HIGHEST_CELL_VOLTAGE,
        UnitOfElectricPotential.VOLT,
        SensorDeviceClass.VOLTAGE,
        1000,
    ),
    _extreme(
        LOWEST_CELL_VOLTAGE,
        UnitOfElectricPotential.VOLT,
        SensorDeviceClass.VOLTAGE,
        1000,
    ),
    _extreme(
        HIGHEST_TEMPERATURE, UnitOfTemperature.CELSIUS, SensorDeviceClass.TEMPERATURE
    ),
    _extreme(
        LOWEST_TEMPERATURE, UnitOfTemperature.CELSIUS, SensorDeviceClass.TEMPERATURE
    ),
    CareSensorDescription(
        key="full_charge_cell_voltage_delta",
        translation_key="full_charge_cell_voltage_delta",
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.MILLIVOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        time_attribute="measured_at",
        value_fn=_cell_difference,
    ),
)


STORAGE_ADVICE: Final = SensorEntityDescription(
    key="storage_advice",
    translation_key="storage_advice",
    device_class=SensorDeviceClass.ENUM,
    options=list(StorageAdvice),
    entity_registry_enabled_default=False,
)


def _margin(key: str) -> SensorEntityDescription:
    is_voltage = key in {CHARGE_VOLTAGE, DISCHARGE_VOLTAGE}
    return SensorEntityDescription(
        key=key,
        translation_key=key,
        # A difference of 10 °C is one of 18 °F.
        device_class=(
            SensorDeviceClass.VOLTAGE
            if is_voltage
            else SensorDeviceClass.TEMPERATURE_DELTA
        ),
        native_unit_of_measurement=(
            UnitOfElectricPotential.VOLT if is_voltage else UnitOfTemperature.CELSIUS
        ),
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2 if is_voltage else 0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    )


MARGIN_SENSORS: Final = tuple(map(_margin, MARGIN_THRESHOLDS))


def margin_descriptions(info: BatteryInfo) -> Iterator[SensorEntityDescription]:
    """Yield a sensor for each margin to a threshold that the battery reports."""
    known = known_margins(info.thresholds)
    yield from (sensor for sensor in MARGIN_SENSORS if sensor.key in known)


@callback
def async_add_bank_care_sensors(
    entry: BankConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of a bank."""
    async_add_entities([BankStorageAdviceSensor(entry.runtime_data, STORAGE_ADVICE)])


@callback
def async_add_care_sensors(
    entry: VlrvConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors, and those of margins once the battery reports thresholds."""
    battery = entry.runtime_data
    async_add_entities(VlrvCareSensor(battery, sensor) for sensor in CARE_SENSORS)
    async_add_entities([VlrvStorageAdviceSensor(battery, STORAGE_ADVICE)])
    async_add_supported_entities(
        entry,
        async_add_entities,
        margin_descriptions,
        lambda description: VlrvMarginSensor(battery, description),
    )


class VlrvStorageAdviceSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """What the battery needs while it is in storage."""

    _advice: StorageAdvice | None = None

    @override
    def _update_attrs(self) -> bool:
        self._advice = _advice(self.battery, self._advice)
        return self._set_value(self._advice)


class BankStorageAdviceSensor(VlrvBaseSensor[BankCoordinator]):
    """What the batteries of a bank need in storage: the most urgent advice of them."""

    _before: dict[str, StorageAdvice | None] = {}

    @override
    def _update_attrs(self) -> bool:
        self._before = {
            address: _advice(member.battery, self._before.get(address))
            for address, member in self.coordinator.members.items()
            if member.battery is not None
        }
        known = [advice for advice in self._before.values() if advice is not None]
        return self._set_value(min(known, key=list(StorageAdvice).index, default=None))


def _advice(battery: VlrvData, before: StorageAdvice | None) -> StorageAdvice | None:
    """Return what a battery needs, None if that is not known."""
    status: BatteryStatus | None = battery.coordinator.data
    if not battery.options.is_stored:
        return StorageAdvice.IN_USE
    if status is None:
        return None
    return storage_advice(
        status,
        before,
        recharge_is_due=battery.history.maintenance.is_recharge_due,
    )


class VlrvMarginSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """How far the battery is from cutting itself off."""

    @override
    def _update_attrs(self) -> bool:
        status: BatteryStatus | None = self.coordinator.data
        key = self.entity_description.key
        return self._set_value(
            None
            if status is None
            else margin(key, status, self.battery.info.thresholds)
        )


class VlrvCareSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """A value of the past, which stays valid while the battery is unavailable."""

    entity_description: CareSensorDescription
    _at: datetime | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: the past does not depend on the connection."""
        return True

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str | None]:
        """Return the time that belongs to the value; None where it is not known."""
        at = None if self._at is None else self._at.isoformat()
        return {self.entity_description.time_attribute: at}

    @override
    def _update_attrs(self) -> bool:
        before = self._at
        shown = self.entity_description.value_fn(
            self.battery.history.care, self.battery.info
        )
        self._at = shown.at
        return self._set_value(shown.value) or self._at != before
