"""Sensors of a bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    PERCENTAGE,
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfTemperature,
)
from homeassistant.core import callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..base import ValueSensor
from ..durations import DURATIONS, DurationSensor
from ..localization import words
from ..totals import TOTALS, TotalSensor
from .aggregate import Cell
from .coordinator import BankConfigEntry, BankCoordinator
from .energy import BankEnergy
from .entity import BankEntity

AMPERE_HOURS: Final = "Ah"


@dataclass(frozen=True, kw_only=True)
class BankSensorDescription(SensorEntityDescription):
    """A sensor and how it is read off a bank."""

    value_fn: Callable[[BankCoordinator], float | int | str | None]


def _power(
    key: str, value_fn: Callable[[int], int], *, enabled: bool = False
) -> BankSensorDescription:
    def value(bank: BankCoordinator) -> int | None:
        power = bank.reading.power
        return None if power is None else value_fn(power)

    return BankSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_registry_enabled_default=enabled,
        value_fn=value,
    )


def _charge(
    key: str,
    value_fn: Callable[[BankCoordinator], float | None],
    *,
    enabled: bool,
    precision: int = 0,
) -> BankSensorDescription:
    return BankSensorDescription(
        key=key,
        translation_key=key,
        # Home Assistant has no device class for electric charge.
        native_unit_of_measurement=AMPERE_HOURS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=precision,
        entity_category=None if enabled else EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=enabled,
        value_fn=value_fn,
    )


def _temperature(
    key: str, value_fn: Callable[[BankCoordinator], int | None]
) -> BankSensorDescription:
    return BankSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=value_fn,
    )


def _cell_voltage(
    key: str, value_fn: Callable[[BankCoordinator], Cell | None]
) -> BankSensorDescription:
    def value(bank: BankCoordinator) -> float | None:
        cell = value_fn(bank)
        return None if cell is None else round(cell.millivolts / 1000, 3)

    return BankSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=3,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=value,
    )


def _cell_place(
    key: str, value_fn: Callable[[BankCoordinator], Cell | None]
) -> BankSensorDescription:
    def value(bank: BankCoordinator) -> str | None:
        cell = value_fn(bank)
        if cell is None:
            return None
        text = words(bank.hass).bank["cell"]
        return text.replace("{number}", str(cell.number)).replace(
            "{battery}", bank.name(cell.key)
        )

    return BankSensorDescription(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.DIAGNOSTIC,
        # At rest it changes with each reading, and each change is kept in the history.
        entity_registry_enabled_default=False,
        value_fn=value,
    )


SENSORS: Final = (
    BankSensorDescription(
        key="state_of_charge",
        translation_key="state_of_charge",
        device_class=SensorDeviceClass.BATTERY,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=lambda bank: bank.reading.state_of_charge,
    ),
    BankSensorDescription(
        key="bank_voltage",
        translation_key="bank_voltage",
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        value_fn=lambda bank: bank.reading.voltage,
    ),
    BankSensorDescription(
        key="current",
        translation_key="current",
        device_class=SensorDeviceClass.CURRENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        value_fn=lambda bank: bank.reading.current,
    ),
    _power("power", lambda power: power, enabled=True),
    # The energy dashboard takes a pair where it takes a power.
    _power("charge_power", lambda power: max(power, 0)),
    _power("discharge_power", lambda power: max(-power, 0)),
    _charge(
        "remaining_capacity", lambda bank: bank.reading.remaining_capacity, enabled=True
    ),
    _charge(
        "full_capacity",
        lambda bank: bank.reading.full_capacity,
        enabled=False,
        precision=1,
    ),
    BankSensorDescription(
        key="stored_energy",
        translation_key="stored_energy",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=lambda bank: bank.reading.stored_energy,
    ),
    BankSensorDescription(
        key="energy_capacity",
        translation_key="energy_capacity",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda bank: bank.reading.energy_capacity,
    ),
    _temperature("highest_temperature", lambda bank: bank.reading.highest_temperature),
    _temperature("lowest_temperature", lambda bank: bank.reading.lowest_temperature),
    _cell_voltage("highest_cell_voltage", lambda bank: bank.reading.highest_cell),
    _cell_voltage("lowest_cell_voltage", lambda bank: bank.reading.lowest_cell),
    _cell_place("highest_cell", lambda bank: bank.reading.highest_cell),
    _cell_place("lowest_cell", lambda bank: bank.reading.lowest_cell),
    BankSensorDescription(
        key="bank_cell_voltage_delta",
        translation_key="bank_cell_voltage_delta",
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.MILLIVOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda bank: bank.reading.cell_delta,
    ),
    BankSensorDescription(
        key="bank_state_of_health",
        translation_key="bank_state_of_health",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda bank: bank.reading.state_of_health,
    ),
    BankSensorDescription(
        key="state_of_charge_spread",
        translation_key="state_of_charge_spread",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda bank: bank.reading.spread,
    ),
    BankSensorDescription(
        key="current_imbalance",
        translation_key="current_imbalance",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda bank: bank.imbalance,
    ),
)

REPORTING: Final = SensorEntityDescription(
    key="batteries_reporting",
    translation_key="batteries_reporting",
    state_class=SensorStateClass.MEASUREMENT,
    entity_category=EntityCategory.DIAGNOSTIC,
)


@callback
def async_add_bank_sensors(
    entry: BankConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of a bank."""
    bank = entry.runtime_data
    async_add_entities(BankSensor(bank, sensor) for sensor in SENSORS)
    async_add_entities(BankDurationSensor(bank, sensor) for sensor in DURATIONS)
    async_add_entities([BankReportingSensor(bank, REPORTING)])
    async_add_entities(BankTotalSensor(bank, sensor) for sensor in TOTALS)


class BankSensor(BankEntity, ValueSensor):
    """A value of the members together."""

    entity_description: BankSensorDescription

    @override
    def _update(self) -> bool:
        return self._show(self.entity_description.value_fn(self.bank))


class BankDurationSensor(BankEntity, DurationSensor):
    """A time until the bank is empty or full, by its batteries that are not isolated."""

    @override
    def _update(self) -> bool:
        return self._show_time(self.bank.runtime)


class BankReportingSensor(BankEntity, ValueSensor):
    """How many batteries report, and of how many."""

    _members: int | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: that nobody reports is what it is there to say."""
        return True

    @property
    @override
    def extra_state_attributes(self) -> dict[str, int | None]:
        """Return of how many."""
        return {"members": self._members}

    @override
    def _update(self) -> bool:
        before, self._members = self._members, self.bank.reading.members
        changed = self._show(self.bank.reading.reporting)
        return changed or self._members != before


class BankTotalSensor(TotalSensor, BankEntity):
    """A total of the bank's energy."""

    @property
    @override
    def _counter(self) -> BankEnergy:
        return self.bank.energy

    @property
    @override
    def _counts_from(self) -> datetime:
        """Return since when there is the bank: one before may have had its name."""
        return self.bank.config_entry.created_at

    @override
    def _update(self) -> bool:
        # From 0 to what its members have counted would be a step in the statistics.
        return super()._update() if self.bank.energy.has_begun else self._show(None)
