"""Sensors of a battery: its values, thresholds, totals and its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
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
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bank.sensor import async_add_bank_sensors
from .battery.info import BatteryInfo
from .battery.slow_values import SLOW
from .care_sensor import async_add_bank_care_sensors, async_add_care_sensors
from .connection import ConnectionState
from .connection.state import SHOWN_STATES
from .coordinator import VlrvCoordinator
from .data import VlrvConfigEntry, VlrvData
from .entity import (
    RELEASED_UNTIL,
    VlrvEntity,
    async_add_supported_entities,
    keep_on_new_entity_id,
)
from .entries import is_bank
from .history.charge import charge_of, energy_capacity, stored_energy
from .history.energy import EnergyCounter
from .history.maintenance import ChargeMaintenance
from .history.runtime import Runtime
from .localization import fault_list, pending_text, translations
from .sensor_base import (
    AMPERE_HOURS,
    DURATION_SENSORS,
    ENERGY_SENSORS,
    ValueSensorDescription,
    VlrvBaseDurationSensor,
    VlrvBaseEnergySensor,
    VlrvBaseSensor,
    VlrvBaseValueSensor,
    cell_voltage,
    cell_voltage_delta,
    current,
    energy_capacity as energy_capacity_sensor,
    measurement,
    power_sensors,
    state_of_charge,
    stored_energy as stored_energy_sensor,
    temperature,
    voltage,
)
from .vlrv.faults import OperatingState, active_faults
from .vlrv.registers import BatteryStatus
from .vlrv.resolution import CELL_STEP, power_step
from .vlrv.thresholds import THRESHOLDS

# Sensors read the coordinator's data; no request is sent.
PARALLEL_UPDATES = 0

# Attributes that conditions read.
PROTECTIONS: Final = "protections"
UP_TO_DATE: Final = "up_to_date"
# Attribute: when values that are not live were read, in ISO format.
VALUES_AS_OF: Final = "values_as_of"
# More cells would crowd the device page: they are disabled by default.
CELLS_ENABLED_UP_TO: Final = 8

type StatusSensorDescription = ValueSensorDescription[BatteryStatus]


def _stored_energy(status: BatteryStatus) -> int | None:
    charge = charge_of(status)
    return None if charge is None else stored_energy(charge, status.cell_count)


def _energy_capacity(status: BatteryStatus) -> int | None:
    energy = energy_capacity(status.full_capacity, status.cell_count)
    return None if energy is None else round(energy)


def _state(status: BatteryStatus) -> str | None:
    # An unknown code may have the bit of a protection.
    state = (
        OperatingState.PROTECTION if status.in_protection else status.operating_state
    )
    return None if state is None else state.name.lower()


def _power_step(status: BatteryStatus) -> int:
    return power_step(status.voltage, status.current, status.current_step)


def _cell_number(
    key: str, millivolts_fn: Callable[[BatteryStatus], int]
) -> StatusSensorDescription:
    def off(status: BatteryStatus, number: float) -> float:
        shown = int(number)
        # Another battery may have fewer cells.
        at_shown = status.cells[shown - 1] if shown <= len(status.cells) else 0
        return at_shown - millivolts_fn(status)

    return ValueSensorDescription(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.cells.index(millivolts_fn(status)) + 1,
        # The noise of a step makes now one and now another cell the highest.
        step_fn=lambda _status: CELL_STEP,
        off_fn=off,
    )


SENSORS: Final[tuple[StatusSensorDescription, ...]] = (
    state_of_charge(lambda status: status.state_of_charge),
    voltage("voltage", lambda status: status.voltage),
    current(lambda status: status.current, lambda status: status.current_step),
    *power_sensors(lambda status: status.power, _power_step),
    ValueSensorDescription(
        key="operating_state",
        translation_key="operating_state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.name.lower() for state in OperatingState],
        value_fn=_state,
    ),
    measurement(
        "remaining_capacity",
        lambda status: status.remaining_capacity,
        AMPERE_HOURS,
        precision=0,
    ),
    stored_energy_sensor(_stored_energy),
    energy_capacity_sensor(_energy_capacity),
    measurement(
        "full_capacity",
        # The register counts mA·s; a tenth of an Ah is what it can mean.
        lambda status: (
            None if status.full_capacity is None else round(status.full_capacity, 1)
        ),
        AMPERE_HOURS,
        precision=1,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    ),
    measurement(
        "state_of_health",
        lambda status: status.state_of_health,
        PERCENTAGE,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    ),
    ValueSensorDescription(
        key="cycles",
        translation_key="cycles",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda status: status.cycles,
    ),
    # The coldest decides whether the battery may be charged.
    temperature(
        "min_cell_temperature", lambda status: min(status.temperatures, default=None)
    ),
    temperature(
        "max_cell_temperature", lambda status: status.max_temperature, enabled=False
    ),
    temperature(
        "pcb_temperature",
        lambda status: status.pcb_temperature,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    ),
    cell_voltage(
        "highest_cell_voltage", lambda status: max(status.cells) / 1000, enabled=False
    ),
    cell_voltage(
        "lowest_cell_voltage", lambda status: min(status.cells) / 1000, enabled=False
    ),
    cell_voltage(
        "average_cell_voltage",
        lambda status: round(sum(status.cells) / len(status.cells) / 1000, 3),
        enabled=False,
    ),
    cell_voltage_delta(
        "cell_voltage_delta", lambda status: max(status.cells) - min(status.cells)
    ),
    _cell_number("highest_cell", lambda status: max(status.cells)),
    _cell_number("lowest_cell", lambda status: min(status.cells)),
)

AMBIENT_TEMPERATURE: Final[StatusSensorDescription] = temperature(
    "ambient_temperature",
    lambda status: status.ambient_temperature,
    category=EntityCategory.DIAGNOSTIC,
    enabled=False,
)


def _register_sensor(
    key: str, value_fn: Callable[[BatteryStatus], int]
) -> StatusSensorDescription:
    return ValueSensorDescription(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=value_fn,
    )


# The registers as they are read, for users who know more about a bit.
RAW_REGISTERS: Final = (
    _register_sensor("warning_code", lambda status: int(status.warnings)),
    _register_sensor("protection_code", lambda status: int(status.protections)),
    _register_sensor("error_code", lambda status: int(status.errors)),
)

ACTIVE_FAULTS: Final = SensorEntityDescription(
    key="active_faults", translation_key="active_faults"
)
# The state is a text in the system language, which icons.json cannot name.
NO_FAULT_ICON: Final = "mdi:shield-check"
FAULT_ICON: Final = "mdi:shield-alert"


PENDING_SETTINGS: Final = SensorEntityDescription(
    key="pending_settings",
    translation_key="pending_settings",
    entity_category=EntityCategory.DIAGNOSTIC,
)

CONNECTION_SENSORS: Final[tuple[ValueSensorDescription[VlrvData], ...]] = (
    ValueSensorDescription(
        key="last_update",
        translation_key="last_update",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda battery: battery.statistics.last_sample,
    ),
    ValueSensorDescription(
        key="signal_strength",
        translation_key="signal_strength",
        device_class=SensorDeviceClass.SIGNAL_STRENGTH,
        native_unit_of_measurement=SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda battery: battery.advertisement.signal_strength,
    ),
)


CONNECTION_STATUS: Final = SensorEntityDescription(
    key="connection_status",
    translation_key="connection_status",
    device_class=SensorDeviceClass.ENUM,
    options=[state.value for state in SHOWN_STATES],
    entity_category=EntityCategory.DIAGNOSTIC,
)


def _date(
    key: str, value_fn: Callable[[ChargeMaintenance], datetime | None]
) -> ValueSensorDescription[ChargeMaintenance]:
    return ValueSensorDescription(
        key=key,
        translation_key=key,
        # Home Assistant's time trigger accepts a timestamp.
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=value_fn,
    )


MAINTENANCE_SENSORS: Final = (
    _date("last_full_charge", lambda maintenance: maintenance.last_full_charge),
    _date("recharge_due", lambda maintenance: maintenance.recharge_due),
)


_THRESHOLD_CLASSES: Final = {
    "V": SensorDeviceClass.VOLTAGE,
    "A": SensorDeviceClass.CURRENT,
    "°C": SensorDeviceClass.TEMPERATURE,
    "s": SensorDeviceClass.DURATION,
}


def threshold_descriptions(info: BatteryInfo) -> Iterator[SensorEntityDescription]:
    """Yield a sensor for each threshold that the battery reports."""
    for threshold in THRESHOLDS:
        if threshold.key in info.thresholds:
            yield SensorEntityDescription(
                key=f"threshold_{threshold.key}",
                translation_key=f"threshold_{threshold.key}",
                device_class=_THRESHOLD_CLASSES.get(threshold.unit),
                native_unit_of_measurement=threshold.unit,
                entity_category=EntityCategory.DIAGNOSTIC,
                entity_registry_enabled_default=False,
            )


# The same for all batteries, so created once.
@cache
def _probe(number: int) -> StatusSensorDescription:
    return temperature(
        f"probe_{number}",
        lambda status: status.probes[number - 1],
        translation_key="probe",
        placeholders={"number": str(number)},
        # The minimum of them is enabled.
        enabled=False,
    )


@cache
def _cell(number: int, *, enabled: bool) -> StatusSensorDescription:
    return cell_voltage(
        f"cell_{number}",
        lambda status: (
            status.cells[number - 1] / 1000 if number <= len(status.cells) else None
        ),
        translation_key="cell",
        placeholders={"number": str(number)},
        enabled=enabled,
    )


def status_descriptions(info: BatteryInfo) -> Iterator[StatusSensorDescription]:
    """Yield the sensors of a battery: only what is fitted in it."""
    yield from SENSORS
    yield from RAW_REGISTERS
    if info.ambient:
        yield AMBIENT_TEMPERATURE
    for number in info.probes:
        yield _probe(number)
    for number in range(1, info.cell_count + 1):
        yield _cell(number, enabled=info.cell_count <= CELLS_ENABLED_UP_TO)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors, and later those of a probe that shows its first value."""
    if is_bank(entry):
        async_add_bank_sensors(entry, async_add_entities)
        async_add_bank_care_sensors(entry, async_add_entities)
        return
    battery = entry.runtime_data
    # To add them all takes too long for one step of the event loop.
    await asyncio.sleep(0)
    async_add_supported_entities(
        entry,
        async_add_entities,
        status_descriptions,
        lambda description: VlrvSensor(battery, description),
    )
    await asyncio.sleep(0)
    async_add_supported_entities(
        entry,
        async_add_entities,
        threshold_descriptions,
        lambda description: VlrvThresholdSensor(battery, description, SLOW),
    )
    async_add_entities(
        [
            VlrvActiveFaults(battery, ACTIVE_FAULTS, SLOW),
            VlrvPendingSettings(battery, PENDING_SETTINGS, SLOW),
        ]
    )
    async_add_entities(
        VlrvConnectionSensor(battery, sensor) for sensor in CONNECTION_SENSORS
    )
    async_add_entities([VlrvConnectionStatusSensor(battery, CONNECTION_STATUS)])
    async_add_entities(VlrvEnergySensor(battery, sensor) for sensor in ENERGY_SENSORS)
    async_add_entities(
        VlrvDurationSensor(battery, sensor) for sensor in DURATION_SENSORS
    )
    async_add_entities(
        VlrvMaintenanceSensor(battery, sensor) for sensor in MAINTENANCE_SENSORS
    )
    async_add_care_sensors(entry, async_add_entities)


class VlrvSensor(VlrvEntity, VlrvBaseValueSensor[VlrvCoordinator, BatteryStatus]):
    """A value of the last valid sample."""

    def __init__(self, battery: VlrvData, description: StatusSensorDescription) -> None:
        """Initialize the sensor, with its number where it has one."""
        if description.placeholders is not None:
            self._attr_translation_placeholders = description.placeholders
        # All with a step follow from the current, the voltage or the cells.
        super().__init__(
            battery, description, SLOW if description.step_fn is None else None
        )

    @override
    def _update_attrs(self) -> bool:
        status: BatteryStatus | None = self.coordinator.data
        return self._set_value(None) if status is None else self._show(status)


class VlrvActiveFaults(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """The active faults as text, with the keys of the protections for conditions."""

    _shown: tuple[frozenset[str], int, bool] | None = None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, list[str]]:
        """Return the keys of the protections."""
        return {} if self._shown is None else {PROTECTIONS: sorted(self._shown[0])}

    @override
    def _update_attrs(self) -> bool:
        status: BatteryStatus | None = self.coordinator.data
        shown = None if status is None else _faults(status)
        if shown == self._shown:
            return False
        self._shown = shown
        if shown is None:
            self.icon = None
            self._set_value(None)
        else:
            active, errors, in_protection = shown
            self.icon = FAULT_ICON if any(shown) else NO_FAULT_ICON
            self._set_value(
                fault_list(
                    translations(self.coordinator.hass).faults,
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


class VlrvPendingSettings(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """The settings that the battery applies after a power cycle, as text.

    The entities of the settings go on showing what the battery reports.
    """

    @property
    @override
    def available(self) -> bool:
        """Return True: the changes are known without a connection."""
        return True

    @override
    def _update_attrs(self) -> bool:
        return self._set_value(
            pending_text(
                translations(self.coordinator.hass).settings,
                self.battery.settings.pending,
            )
        )


class VlrvThresholdSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """A threshold that the battery reports, read after connecting."""

    @override
    def _update_attrs(self) -> bool:
        key = self.entity_description.key.removeprefix("threshold_")
        return self._set_value(self.battery.info.thresholds.get(key))


class VlrvConnectionSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """A value of the connection, known also without one."""

    entity_description: ValueSensorDescription[VlrvData]

    @property
    @override
    def available(self) -> bool:
        """Return whether there is something to show."""
        return self._attr_native_value is not None

    @override
    def _update_attrs(self) -> bool:
        return self._set_value(self.entity_description.value_fn(self.battery))


class VlrvConnectionStatusSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """State of the connection, end of a release, and whether values are current."""

    _shown: tuple[datetime | None, bool, str | None, datetime | None] | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: it also shows that there is no connection."""
        return True

    @property
    @override
    def extra_state_attributes(self) -> dict[str, bool | str]:
        """Return whether values are live or of when, the adapter, and a release's end."""
        if self._shown is None:
            return {}
        until, live, adapter, sampled = self._shown
        return (
            {UP_TO_DATE: live}
            | ({} if adapter is None else {"adapter": adapter})
            | ({} if until is None else {RELEASED_UNTIL: until.isoformat()})
            | ({} if sampled is None else {VALUES_AS_OF: sampled.isoformat()})
        )

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the connection as well."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.battery.connection.async_add_listener(self._handle_coordinator_update)
        )

    @override
    def _update_attrs(self) -> bool:
        before = self._shown
        status = self.battery.connection.status
        if status.state is ConnectionState.CLOSED:
            return False  # the entry is unloaded: no state that a user should see
        # Between polls there is none, and each change of it would be a database row.
        adapter = (
            self.battery.advertisement.adapter_name
            if status.state is ConnectionState.CONNECTED
            else None
        )
        live = self.coordinator.is_live
        # While they are live, it changes with each poll.
        sampled = None if live else self.battery.statistics.last_sample
        self._shown = (status.released_until, live, adapter, sampled)
        changed = self._set_value(status.state.value)
        return changed or self._shown != before


class VlrvEnergySensor(VlrvEntity, VlrvBaseEnergySensor[VlrvCoordinator]):
    """A total of the energy counter."""

    @property
    @override
    def _energy(self) -> EnergyCounter:
        return self.battery.history.energy


class VlrvDurationSensor(VlrvEntity, VlrvBaseDurationSensor[VlrvCoordinator]):
    """The time to empty or to full, which also changes while samples stay the same."""

    @property
    @override
    def _runtime(self) -> Runtime:
        return self.battery.history.runtime

    @property
    @override
    def _reserve(self) -> int:
        return self.battery.options.reserve


class VlrvMaintenanceSensor(VlrvEntity, VlrvBaseSensor[VlrvCoordinator]):
    """A date, which stays valid while the battery is unavailable."""

    entity_description: ValueSensorDescription[ChargeMaintenance]

    @property
    @override
    def available(self) -> bool:
        """Return True: the date does not depend on the connection."""
        return True

    @override
    def _update_attrs(self) -> bool:
        return self._set_value(
            self.entity_description.value_fn(self.battery.history.maintenance)
        )
