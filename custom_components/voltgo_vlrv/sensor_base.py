"""Sensor factories and base sensors that batteries and banks share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Protocol, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
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
    UnitOfTime,
)
from homeassistant.helpers.typing import StateType

from .entity import DeviceCoordinator, VlrvBaseEntity
from .history.energy import CHARGED, DISCHARGED, in_steps
from .history.runtime import Runtime, as_hours, shown_minutes
from .vlrv.resolution import CELL_STEP, VOLTAGE_STEP

AMPERE_HOURS: Final = "Ah"
"""Home Assistant has no unit and no device class for electric charge."""

type SensorValue = StateType | date | datetime | Decimal
_NUMBER: Final = (int, float)


@dataclass(frozen=True, kw_only=True)
class ValueSensorDescription[SourceT](SensorEntityDescription):
    """A sensor, and how its value is read from a sample, a bank or a coordinator."""

    value_fn: Callable[[SourceT], StateType | datetime]
    placeholders: dict[str, str] | None = None
    """Placeholders of the translated name, such as the number of a cell."""
    step_fn: Callable[[SourceT], float] | None = None
    """Returns the resolution: one step is noise. None where each change is shown."""
    off_fn: Callable[[SourceT, float], float] | None = None
    """Returns how far off what is shown is, where the difference does not tell it."""


# --- factories ------------------------------------------------------------------------


def measurement[SourceT](
    key: str,
    value_fn: Callable[[SourceT], StateType],
    unit: str | None,
    device_class: SensorDeviceClass | None = None,
    *,
    precision: int | None = None,
    category: EntityCategory | None = None,
    enabled: bool = True,
    translation_key: str | None = None,
    placeholders: dict[str, str] | None = None,
    step_fn: Callable[[SourceT], float] | None = None,
) -> ValueSensorDescription[SourceT]:
    """Return a sensor for a measured value, with statistics."""
    return ValueSensorDescription(
        key=key,
        translation_key=translation_key or key,
        device_class=device_class,
        native_unit_of_measurement=unit,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=precision,
        entity_category=category,
        entity_registry_enabled_default=enabled,
        value_fn=value_fn,
        placeholders=placeholders,
        step_fn=step_fn,
    )


def state_of_charge[SourceT](
    value_fn: Callable[[SourceT], float | None], *, precision: int | None = None
) -> ValueSensorDescription[SourceT]:
    """Return the sensor for the state of charge in %."""
    return measurement(
        "state_of_charge",
        value_fn,
        PERCENTAGE,
        SensorDeviceClass.BATTERY,
        precision=precision,
    )


def voltage[SourceT](
    key: str, value_fn: Callable[[SourceT], float | None]
) -> ValueSensorDescription[SourceT]:
    """Return a sensor for the voltage in V between the terminals."""
    return measurement(
        key,
        value_fn,
        UnitOfElectricPotential.VOLT,
        SensorDeviceClass.VOLTAGE,
        precision=2,
        step_fn=lambda _source: VOLTAGE_STEP,
    )


def current[SourceT](
    value_fn: Callable[[SourceT], float | None],
    step_fn: Callable[[SourceT], float],
) -> ValueSensorDescription[SourceT]:
    """Return the sensor for the current in A, positive while charging."""
    return measurement(
        "current",
        value_fn,
        UnitOfElectricCurrent.AMPERE,
        SensorDeviceClass.CURRENT,
        precision=1,
        step_fn=step_fn,
    )


def power_sensors[SourceT](
    value_fn: Callable[[SourceT], int | None],
    step_fn: Callable[[SourceT], float],
) -> tuple[ValueSensorDescription[SourceT], ...]:
    """Return sensors for the power in W, positive while charging, and for each direction.

    The energy dashboard wants a power sensor for each direction.
    """

    def charge(source: SourceT) -> int | None:
        power = value_fn(source)
        return None if power is None else max(power, 0)

    def discharge(source: SourceT) -> int | None:
        power = value_fn(source)
        return None if power is None else max(-power, 0)

    ways = (
        ("power", value_fn),
        ("charge_power", charge),
        ("discharge_power", discharge),
    )
    return tuple(
        measurement(
            key,
            power,
            UnitOfPower.WATT,
            SensorDeviceClass.POWER,
            precision=0,
            enabled=key == "power",
            step_fn=step_fn,
        )
        for key, power in ways
    )


def stored_energy[SourceT](
    value_fn: Callable[[SourceT], int | None],
) -> ValueSensorDescription[SourceT]:
    """Return the sensor for the energy in Wh that is left."""
    return measurement(
        "stored_energy",
        value_fn,
        UnitOfEnergy.WATT_HOUR,
        SensorDeviceClass.ENERGY_STORAGE,
        precision=0,
    )


def energy_capacity[SourceT](
    value_fn: Callable[[SourceT], int | None],
) -> ValueSensorDescription[SourceT]:
    """Return the sensor for the energy in Wh of a full charge.

    The energy dashboard uses it as the weight of each battery's charge.
    """
    return measurement(
        "energy_capacity",
        value_fn,
        UnitOfEnergy.WATT_HOUR,
        SensorDeviceClass.ENERGY_STORAGE,
        precision=0,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    )


def temperature[SourceT](
    key: str,
    value_fn: Callable[[SourceT], int | None],
    *,
    category: EntityCategory | None = None,
    enabled: bool = True,
    translation_key: str | None = None,
    placeholders: dict[str, str] | None = None,
) -> ValueSensorDescription[SourceT]:
    """Return a sensor for a temperature in °C."""
    return measurement(
        key,
        value_fn,
        UnitOfTemperature.CELSIUS,
        SensorDeviceClass.TEMPERATURE,
        precision=0,
        category=category,
        enabled=enabled,
        translation_key=translation_key,
        placeholders=placeholders,
    )


def cell_voltage[SourceT](
    key: str,
    value_fn: Callable[[SourceT], float | None],
    *,
    enabled: bool = True,
    translation_key: str | None = None,
    placeholders: dict[str, str] | None = None,
) -> ValueSensorDescription[SourceT]:
    """Return a sensor for the voltage of a cell in V."""
    return measurement(
        key,
        value_fn,
        UnitOfElectricPotential.VOLT,
        SensorDeviceClass.VOLTAGE,
        precision=3,
        category=EntityCategory.DIAGNOSTIC,
        enabled=enabled,
        translation_key=translation_key,
        placeholders=placeholders,
        step_fn=lambda _source: CELL_STEP / 1000,
    )


def cell_voltage_delta[SourceT](
    key: str, value_fn: Callable[[SourceT], int | None]
) -> ValueSensorDescription[SourceT]:
    """Return a sensor for the difference in mV between the cells of a battery."""
    return measurement(
        key,
        value_fn,
        UnitOfElectricPotential.MILLIVOLT,
        SensorDeviceClass.VOLTAGE,
        precision=0,
        category=EntityCategory.DIAGNOSTIC,
        step_fn=lambda _source: CELL_STEP,
    )


# --- entities -------------------------------------------------------------------------


class VlrvBaseSensor[CoordinatorT: DeviceCoordinator](
    VlrvBaseEntity[CoordinatorT], SensorEntity
):
    """A sensor of a battery or of a bank; unknown while its value is None."""

    entity_picture = None
    last_reset = None
    suggested_unit_of_measurement = None
    supported_features = None

    _attr_native_value: SensorValue = None

    @property
    @override
    def native_value(self) -> SensorValue:
        """Return the value; not cached, to save memory for each entity."""
        return self._attr_native_value

    def _set_value(self, value: SensorValue) -> bool:
        """Set the value; return whether it changed."""
        if value == self._attr_native_value:
            return False
        self._attr_native_value = value
        return True


class VlrvBaseValueSensor[CoordinatorT: DeviceCoordinator, SourceT](
    VlrvBaseSensor[CoordinatorT]
):
    """A value of a sample or a bank; one step of noise is not shown.

    What is shown is at most one step off, and for at most a minute.
    """

    entity_description: ValueSensorDescription[SourceT]

    def _show(self, source: SourceT) -> bool:
        """Show the value unless it waits; return whether what is shown changed."""
        description = self.entity_description
        value = description.value_fn(source)
        if description.step_fn is None:
            return self._set_value(value)
        if value == self._attr_native_value:
            self.coordinator.waiting.show(description.key)
            return False
        if self._waits(source, value, description.step_fn(source)):
            return False
        return self._set_value(value)

    def _waits(self, source: SourceT, value: SensorValue, step: float) -> bool:
        description, waiting = self.entity_description, self.coordinator.waiting
        shown = self._attr_native_value
        if (
            not isinstance(value, _NUMBER)
            or not isinstance(shown, _NUMBER)
            # A row is written in any case.
            or not self._was_available
        ):
            waiting.show(description.key)
            return False
        off = (
            value - shown
            if description.off_fn is None
            else description.off_fn(source, shown)
        )
        return waiting.waits(description.key, self.hass.loop.time(), off, step)


@dataclass(frozen=True, kw_only=True)
class EnergySensorDescription(SensorEntityDescription):
    """A total of energy; `direction` is CHARGED or DISCHARGED."""

    direction: str


ENERGY_SENSORS: Final = tuple(
    EnergySensorDescription(
        key=f"energy_{direction}",
        translation_key=f"energy_{direction}",
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=2,
        direction=direction,
    )
    for direction in (CHARGED, DISCHARGED)
)


class EnergyTotals(Protocol):
    """What counts energy in kWh for each direction."""

    def total(self, direction: str) -> float:
        """Return the total in kWh."""


class VlrvBaseEnergySensor[CoordinatorT: DeviceCoordinator](
    VlrvBaseSensor[CoordinatorT]
):
    """A total of energy that never falls; known also without a connection."""

    entity_description: EnergySensorDescription

    @property
    @abstractmethod
    def _energy(self) -> EnergyTotals:
        """Return what counts the energy."""

    @property
    @override
    def available(self) -> bool:
        """Return True: the total is known without a connection."""
        return True

    @override
    def _update_attrs(self) -> bool:
        total = self._energy.total(self.entity_description.direction)
        return self._set_value(in_steps(total))


@dataclass(frozen=True, kw_only=True)
class DurationSensorDescription(SensorEntityDescription):
    """A time until empty, until full or until the reserve."""

    minutes_fn: Callable[[Runtime, int], float | None]
    """Takes the reserve in % as well."""


def _duration(
    key: str,
    minutes_fn: Callable[[Runtime, int], float | None],
    *,
    enabled: bool = True,
) -> DurationSensorDescription:
    return DurationSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DURATION,
        # Shown as hours and minutes; whole minutes need four digits.
        native_unit_of_measurement=UnitOfTime.HOURS,
        suggested_display_precision=4,
        entity_registry_enabled_default=enabled,
        minutes_fn=minutes_fn,
    )


DURATION_SENSORS: Final = (
    _duration("time_to_empty", lambda runtime, _reserve: runtime.minutes_to_empty),
    _duration("time_to_full", lambda runtime, _reserve: runtime.minutes_to_full),
    # Without a reserve it is the time to empty.
    _duration(
        "time_to_reserve",
        lambda runtime, reserve: runtime.minutes_to_reserve(reserve),
        enabled=False,
    ),
)


class VlrvBaseDurationSensor[CoordinatorT: DeviceCoordinator](
    VlrvBaseSensor[CoordinatorT]
):
    """A time until empty, full or reserve in h, from the samples of some minutes."""

    entity_description: DurationSensorDescription
    _minutes: int | None = None

    @property
    @abstractmethod
    def _runtime(self) -> Runtime:
        """Return the runtime that estimates the time."""

    @property
    @abstractmethod
    def _reserve(self) -> int:
        """Return the reserve in %."""

    @override
    def _update_attrs(self) -> bool:
        self._minutes = shown_minutes(
            self.entity_description.minutes_fn(self._runtime, self._reserve),
            self._minutes,
        )
        return self._set_value(
            None if self._minutes is None else as_hours(self._minutes)
        )
