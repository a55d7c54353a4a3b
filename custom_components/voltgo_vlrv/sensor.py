"""Sensors: what the battery measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    PERCENTAGE,
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfTemperature,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bank.sensor import async_add_bank_sensors
from .base import ValueSensor, keep_on_new_entity_id
from .battery.info import BatteryInfo
from .connection.state import SHOWN_STATES
from .coordinator import VlrvConfigEntry, VlrvCoordinator
from .durations import DURATIONS, DurationSensor
from .entity import VlrvEntity, async_add_supported_entities
from .entries import is_bank
from .history.energy import EnergyCounter
from .history.maintenance import ChargeMaintenance
from .history.runtime import charge_of, energy_capacity, stored_energy
from .localization import fault_list, words
from .totals import TOTALS, TotalSensor
from .vlrv.faults import OperatingState, active_faults
from .vlrv.registers import BatteryStatus
from .vlrv.thresholds import THRESHOLDS

# Sensors read what the coordinator holds; nothing is sent for them.
PARALLEL_UPDATES = 0

AMPERE_HOURS: Final = "Ah"
# Attributes that conditions read.
PROTECTIONS: Final = "protections"
UP_TO_DATE: Final = "up_to_date"
# More cells than this would crowd the device page: the others are there, switched off.
CELLS_ENABLED_UP_TO: Final = 8


@dataclass(frozen=True, kw_only=True)
class VlrvSensorDescription(SensorEntityDescription):
    """A sensor and how it is read off a sample."""

    value_fn: Callable[[BatteryStatus], float | int | str | None]
    exists_fn: Callable[[BatteryInfo], bool] = lambda _: True
    placeholders: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class VlrvLinkSensorDescription(SensorEntityDescription):
    """A sensor of the link, read off the coordinator at every poll."""

    value_fn: Callable[[VlrvCoordinator], datetime | int | None]


def _volts(millivolts: float) -> float:
    return round(millivolts / 1000, 3)


def _stored_energy(status: BatteryStatus) -> int | None:
    charge = charge_of(status)
    return None if charge is None else stored_energy(charge, status.cell_count)


def _energy_capacity(status: BatteryStatus) -> int | None:
    energy = energy_capacity(status.full_capacity, status.cell_count)
    return None if energy is None else round(energy)


def _state(status: BatteryStatus) -> str | None:
    state = status.operating_state
    return None if state is None else state.name.lower()


def _temperature(
    key: str,
    value_fn: Callable[[BatteryStatus], int | None],
    *,
    translation_key: str | None = None,
    category: EntityCategory | None = None,
    exists_fn: Callable[[BatteryInfo], bool] = lambda _: True,
    placeholders: dict[str, str] | None = None,
    enabled: bool = True,
) -> VlrvSensorDescription:
    return VlrvSensorDescription(
        key=key,
        translation_key=translation_key or key,
        device_class=SensorDeviceClass.TEMPERATURE,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=category,
        entity_registry_enabled_default=enabled,
        value_fn=value_fn,
        exists_fn=exists_fn,
        placeholders=placeholders,
    )


def _cell_voltage(
    key: str,
    value_fn: Callable[[BatteryStatus], float | None],
    *,
    translation_key: str | None = None,
    placeholders: dict[str, str] | None = None,
    enabled: bool = True,
) -> VlrvSensorDescription:
    return VlrvSensorDescription(
        key=key,
        translation_key=translation_key or key,
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=3,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=enabled,
        value_fn=value_fn,
        placeholders=placeholders,
    )


def _power(key: str, value_fn: Callable[[BatteryStatus], int]) -> VlrvSensorDescription:
    return VlrvSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_fn=value_fn,
    )


SENSORS: Final = (
    VlrvSensorDescription(
        key="state_of_charge",
        translation_key="state_of_charge",
        device_class=SensorDeviceClass.BATTERY,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda status: status.state_of_charge,
    ),
    VlrvSensorDescription(
        key="voltage",
        translation_key="voltage",
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        value_fn=lambda status: status.voltage,
    ),
    VlrvSensorDescription(
        key="current",
        translation_key="current",
        device_class=SensorDeviceClass.CURRENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        value_fn=lambda status: status.current,
    ),
    VlrvSensorDescription(
        key="power",
        translation_key="power",
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=lambda status: status.power,
    ),
    # The energy dashboard takes a pair where it takes a power.
    _power("charge_power", lambda status: max(status.power, 0)),
    _power("discharge_power", lambda status: max(-status.power, 0)),
    VlrvSensorDescription(
        key="operating_state",
        translation_key="operating_state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.name.lower() for state in OperatingState],
        # "Charging", "Problem" and the current say most of it.
        entity_registry_enabled_default=False,
        value_fn=_state,
    ),
    # Home Assistant has no device class for electric charge.
    VlrvSensorDescription(
        key="remaining_capacity",
        translation_key="remaining_capacity",
        native_unit_of_measurement=AMPERE_HOURS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.remaining_capacity,
    ),
    VlrvSensorDescription(
        key="stored_energy",
        translation_key="stored_energy",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value_fn=_stored_energy,
    ),
    # The energy dashboard weighs the charge of several batteries by it.
    VlrvSensorDescription(
        key="energy_capacity",
        translation_key="energy_capacity",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_energy_capacity,
    ),
    VlrvSensorDescription(
        key="full_capacity",
        translation_key="full_capacity",
        native_unit_of_measurement=AMPERE_HOURS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        # The register counts mA·s; a tenth of an Ah is what it can mean.
        value_fn=lambda status: (
            None if status.full_capacity is None else round(status.full_capacity, 1)
        ),
    ),
    VlrvSensorDescription(
        key="state_of_health",
        translation_key="state_of_health",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.state_of_health,
    ),
    VlrvSensorDescription(
        key="cycles",
        translation_key="cycles",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.cycles,
    ),
    # The coldest decides whether the battery may be charged.
    _temperature(
        "min_cell_temperature", lambda status: min(status.temperatures, default=None)
    ),
    _temperature(
        "max_cell_temperature", lambda status: status.max_temperature, enabled=False
    ),
    _temperature(
        "ambient_temperature",
        lambda status: status.ambient_temperature,
        category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda facts: facts.ambient,
        enabled=False,
    ),
    _temperature(
        "pcb_temperature",
        lambda status: status.pcb_temperature,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    ),
    _cell_voltage(
        "highest_cell_voltage", lambda status: _volts(max(status.cells)), enabled=False
    ),
    _cell_voltage(
        "lowest_cell_voltage", lambda status: _volts(min(status.cells)), enabled=False
    ),
    _cell_voltage(
        "average_cell_voltage",
        lambda status: _volts(sum(status.cells) / len(status.cells)),
        enabled=False,
    ),
    VlrvSensorDescription(
        key="cell_voltage_delta",
        translation_key="cell_voltage_delta",
        device_class=SensorDeviceClass.VOLTAGE,
        native_unit_of_measurement=UnitOfElectricPotential.MILLIVOLT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda status: max(status.cells) - min(status.cells),
    ),
    VlrvSensorDescription(
        key="highest_cell",
        translation_key="highest_cell",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.cells.index(max(status.cells)) + 1,
    ),
    VlrvSensorDescription(
        key="lowest_cell",
        translation_key="lowest_cell",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.cells.index(min(status.cells)) + 1,
    ),
)


# The words as they come, for who knows better what a bit means.
def _word(key: str, value_fn: Callable[[BatteryStatus], int]) -> VlrvSensorDescription:
    return VlrvSensorDescription(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=value_fn,
    )


RAW_WORDS: Final = (
    _word("warning_word", lambda status: int(status.warnings)),
    _word("protection_word", lambda status: int(status.protections)),
    _word("error_word", lambda status: int(status.errors)),
)

ACTIVE_FAULTS: Final = SensorEntityDescription(
    key="active_faults",
    translation_key="active_faults",
    entity_category=EntityCategory.DIAGNOSTIC,
)

LINK_SENSORS: Final = (
    VlrvLinkSensorDescription(
        key="last_update",
        translation_key="last_update",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda coordinator: coordinator.health.last_sample,
    ),
    VlrvLinkSensorDescription(
        key="signal_strength",
        translation_key="signal_strength",
        device_class=SensorDeviceClass.SIGNAL_STRENGTH,
        native_unit_of_measurement=SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda coordinator: coordinator.signal_strength,
    ),
)


LINK_STATUS: Final = SensorEntityDescription(
    key="connection_status",
    translation_key="connection_status",
    device_class=SensorDeviceClass.ENUM,
    options=[state.value for state in SHOWN_STATES],
    entity_category=EntityCategory.DIAGNOSTIC,
)


@dataclass(frozen=True, kw_only=True)
class VlrvUpkeepDescription(SensorEntityDescription):
    """A date in the life of a battery."""

    value_fn: Callable[[ChargeMaintenance], datetime | None]


def _date(
    key: str, value_fn: Callable[[ChargeMaintenance], datetime | None]
) -> VlrvUpkeepDescription:
    return VlrvUpkeepDescription(
        key=key,
        translation_key=key,
        # Home Assistant's time trigger takes it.
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=value_fn,
    )


UPKEEP: Final = (
    _date("last_full_charge", lambda upkeep: upkeep.last_full_charge),
    _date("recharge_due", lambda upkeep: upkeep.recharge_due),
)


_LIMIT_CLASSES: Final = {
    "V": SensorDeviceClass.VOLTAGE,
    "A": SensorDeviceClass.CURRENT,
    "°C": SensorDeviceClass.TEMPERATURE,
    "s": SensorDeviceClass.DURATION,
}


def limit_descriptions(facts: BatteryInfo) -> Iterator[SensorEntityDescription]:
    """Yield a sensor for each threshold that the battery reports."""
    for limit in THRESHOLDS:
        if limit.key in facts.limits:
            yield SensorEntityDescription(
                key=f"limit_{limit.key}",
                translation_key=f"limit_{limit.key}",
                device_class=_LIMIT_CLASSES.get(limit.unit),
                native_unit_of_measurement=limit.unit,
                entity_category=EntityCategory.DIAGNOSTIC,
                entity_registry_enabled_default=False,
            )


# The same for all batteries, so made once.
@cache
def _probe(number: int) -> VlrvSensorDescription:
    return _temperature(
        f"probe_{number}",
        lambda status: status.probes[number - 1],
        translation_key="probe",
        placeholders={"number": str(number)},
        # The coldest of them is on the page.
        enabled=False,
    )


@cache
def _cell(number: int, *, enabled: bool) -> VlrvSensorDescription:
    return _cell_voltage(
        f"cell_{number}",
        lambda status: (
            _volts(status.cells[number - 1]) if number <= len(status.cells) else None
        ),
        translation_key="cell",
        placeholders={"number": str(number)},
        enabled=enabled,
    )


def descriptions(facts: BatteryInfo) -> Iterator[VlrvSensorDescription]:
    """Yield the sensors of a battery: only what is fitted in it."""
    yield from (sensor for sensor in SENSORS if sensor.exists_fn(facts))
    yield from RAW_WORDS
    for number in facts.probes:
        yield _probe(number)
    for number in range(1, facts.cell_count + 1):
        yield _cell(number, enabled=facts.cell_count <= CELLS_ENABLED_UP_TO)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors, and later those of a probe that shows its first value."""
    if is_bank(entry):
        async_add_bank_sensors(entry, async_add_entities)
        return
    coordinator = entry.runtime_data
    async_add_supported_entities(
        entry,
        async_add_entities,
        descriptions,
        lambda description: VlrvSensor(coordinator, description),
    )
    async_add_supported_entities(
        entry,
        async_add_entities,
        limit_descriptions,
        lambda description: VlrvLimitSensor(coordinator, description),
    )
    async_add_entities([VlrvActiveFaults(coordinator, ACTIVE_FAULTS)])
    async_add_entities(VlrvLinkSensor(coordinator, sensor) for sensor in LINK_SENSORS)
    async_add_entities([VlrvLinkStatus(coordinator, LINK_STATUS)])
    async_add_entities(VlrvTotalSensor(coordinator, sensor) for sensor in TOTALS)
    async_add_entities(VlrvDurationSensor(coordinator, sensor) for sensor in DURATIONS)
    async_add_entities(VlrvUpkeepSensor(coordinator, sensor) for sensor in UPKEEP)


class VlrvSensor(VlrvEntity, ValueSensor):
    """A value of the last believed sample."""

    entity_description: VlrvSensorDescription

    def __init__(
        self, coordinator: VlrvCoordinator, description: VlrvSensorDescription
    ) -> None:
        """Name the sensor, with its number where it has one."""
        if description.placeholders is not None:
            self._attr_translation_placeholders = description.placeholders
        super().__init__(coordinator, description)

    @override
    def _update(self) -> bool:
        status: BatteryStatus | None = self.coordinator.data
        return self._show(
            None if status is None else self.entity_description.value_fn(status)
        )


class VlrvActiveFaults(VlrvEntity, ValueSensor):
    """What is wrong: in words, and protections by their keys for conditions."""

    _shown: tuple[frozenset[str], int, bool] | None = None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, list[str]]:
        """Return the keys of the protections."""
        return {} if self._shown is None else {PROTECTIONS: sorted(self._shown[0])}

    @override
    def _update(self) -> bool:
        status: BatteryStatus | None = self.coordinator.data
        shown = None if status is None else _faults(status)
        if shown == self._shown:
            return False
        self._shown = shown
        if shown is None:
            self._show(None)
        else:
            active, errors, in_protection = shown
            self._show(
                fault_list(
                    words(self.coordinator.hass).faults,
                    active,
                    errors=errors,
                    in_protection=in_protection,
                )
            )
        return True


def _faults(status: BatteryStatus) -> tuple[frozenset[str], int, bool]:
    return (
        active_faults(status.protections),
        int(status.errors),
        status.in_protection,
    )


class VlrvLimitSensor(VlrvEntity, ValueSensor):
    """A threshold of the battery's own, read once for each connection."""

    @override
    def _update(self) -> bool:
        key = self.entity_description.key.removeprefix("limit_")
        return self._show(self.coordinator.facts.limits.get(key))


class VlrvLinkSensor(VlrvEntity, ValueSensor):
    """A value of the link, which has one also while the battery is away."""

    entity_description: VlrvLinkSensorDescription

    @property
    @override
    def available(self) -> bool:
        """Return whether there is something to show."""
        return self._value is not None

    @override
    def _update(self) -> bool:
        return self._show(self.entity_description.value_fn(self.coordinator))


class VlrvLinkStatus(VlrvEntity, ValueSensor):
    """What the link is doing, until when the battery is let go, if values are live."""

    _shown: tuple[datetime | None, bool] | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: that there is no link is what it is there to say."""
        return True

    @property
    @override
    def extra_state_attributes(self) -> dict[str, bool | str]:
        """Return whether the values are live, and when a release ends."""
        if self._shown is None:
            return {}
        until, live = self._shown
        return {UP_TO_DATE: live} | (
            {} if until is None else {"released_until": until.isoformat()}
        )

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the link."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.coordinator.connection.async_add_listener(
                self._handle_coordinator_update
            )
        )

    @override
    def _update(self) -> bool:
        before = self._shown
        status = self.coordinator.connection.status
        self._shown = (status.released_until, self.coordinator.is_live)
        changed = self._show(status.state.value)
        return changed or self._shown != before


class VlrvTotalSensor(TotalSensor, VlrvEntity):
    """A total of the energy counter."""

    @property
    @override
    def _counter(self) -> EnergyCounter:
        return self.coordinator.energy

    @property
    @override
    def _counts_from(self) -> datetime:
        """Return since when it is here: one before may have had its Bluetooth name."""
        return self.coordinator.config_entry.created_at


class VlrvDurationSensor(VlrvEntity, DurationSensor):
    """A time to empty or to full, which goes on while all samples are the same."""

    @override
    def _update(self) -> bool:
        return self._show_time(self.coordinator.runtime)


class VlrvUpkeepSensor(VlrvEntity, ValueSensor):
    """A date that stands also while the battery is away."""

    entity_description: VlrvUpkeepDescription

    @property
    @override
    def available(self) -> bool:
        """Return True: it is known without the battery."""
        return True

    @override
    def _update(self) -> bool:
        return self._show(self.entity_description.value_fn(self.coordinator.upkeep))
