"""Sensors of a bank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, override

from homeassistant.components.sensor import SensorEntityDescription, SensorStateClass
from homeassistant.const import PERCENTAGE, EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..history.runtime import Runtime
from ..localization import translations
from ..sensor_base import (
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
    energy_capacity,
    measurement,
    power_sensors,
    state_of_charge,
    stored_energy,
    temperature,
    voltage,
)
from ..vlrv.resolution import CURRENT_STEP
from .aggregate import Cell
from .coordinator import BankConfigEntry, BankCoordinator
from .energy import BankEnergy

type BankSensorDescription = ValueSensorDescription[BankCoordinator]


def _cell_voltage(
    key: str, value_fn: Callable[[BankCoordinator], Cell | None]
) -> BankSensorDescription:
    def volts(bank: BankCoordinator) -> float | None:
        cell = value_fn(bank)
        return None if cell is None else cell.millivolts / 1000

    return cell_voltage(key, volts)


def _cell_place(
    key: str, value_fn: Callable[[BankCoordinator], Cell | None]
) -> BankSensorDescription:
    def value(bank: BankCoordinator) -> str | None:
        cell = value_fn(bank)
        if cell is None:
            return None
        text = translations(bank.hass).bank["cell"]
        return text.replace("{number}", str(cell.number)).replace(
            "{battery}", bank.member_name(cell.key)
        )

    return ValueSensorDescription(
        key=key,
        translation_key=key,
        entity_category=EntityCategory.DIAGNOSTIC,
        # At rest it changes with each sample, and each change is a database row.
        entity_registry_enabled_default=False,
        value_fn=value,
    )


SENSORS: Final[tuple[BankSensorDescription, ...]] = (
    state_of_charge(lambda bank: bank.data.state_of_charge, precision=0),
    voltage("bank_voltage", lambda bank: bank.data.voltage),
    current(lambda bank: bank.data.current, lambda _bank: CURRENT_STEP),
    *power_sensors(lambda bank: bank.data.power, lambda bank: bank.data.power_step),
    measurement(
        "remaining_capacity",
        lambda bank: bank.data.remaining_capacity,
        AMPERE_HOURS,
        precision=0,
    ),
    measurement(
        "full_capacity",
        lambda bank: bank.data.full_capacity,
        AMPERE_HOURS,
        precision=1,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    ),
    stored_energy(lambda bank: bank.data.stored_energy),
    energy_capacity(lambda bank: bank.data.energy_capacity),
    temperature("highest_temperature", lambda bank: bank.data.highest_temperature),
    temperature("lowest_temperature", lambda bank: bank.data.lowest_temperature),
    _cell_voltage("highest_cell_voltage", lambda bank: bank.data.highest_cell),
    _cell_voltage("lowest_cell_voltage", lambda bank: bank.data.lowest_cell),
    _cell_place("highest_cell", lambda bank: bank.data.highest_cell),
    _cell_place("lowest_cell", lambda bank: bank.data.lowest_cell),
    cell_voltage_delta("bank_cell_voltage_delta", lambda bank: bank.data.cell_delta),
    measurement(
        "bank_state_of_health",
        lambda bank: bank.data.state_of_health,
        PERCENTAGE,
        category=EntityCategory.DIAGNOSTIC,
        enabled=False,
    ),
    measurement(
        "state_of_charge_spread",
        lambda bank: bank.data.spread,
        PERCENTAGE,
        category=EntityCategory.DIAGNOSTIC,
    ),
    measurement(
        "current_imbalance",
        lambda bank: bank.trend.imbalance,
        PERCENTAGE,
        category=EntityCategory.DIAGNOSTIC,
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
    async_add_entities(BankDurationSensor(bank, sensor) for sensor in DURATION_SENSORS)
    async_add_entities([BankReportingSensor(bank, REPORTING)])
    async_add_entities(BankEnergySensor(bank, sensor) for sensor in ENERGY_SENSORS)


class BankSensor(VlrvBaseValueSensor[BankCoordinator, BankCoordinator]):
    """A value of the members together."""

    @override
    def _update_attrs(self) -> bool:
        return self._show(self.coordinator)


class BankDurationSensor(VlrvBaseDurationSensor[BankCoordinator]):
    """A time until the active members of the bank are empty or full."""

    @property
    @override
    def _runtime(self) -> Runtime:
        return self.coordinator.trend.runtime

    @property
    @override
    def _reserve(self) -> int:
        return self.coordinator.reserve


class BankReportingSensor(VlrvBaseSensor[BankCoordinator]):
    """How many batteries report, and of how many."""

    _members: int | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: that no battery reports is what it shows."""
        return True

    @property
    @override
    def extra_state_attributes(self) -> dict[str, int | None]:
        """Return of how many."""
        return {"members": self._members}

    @override
    def _update_attrs(self) -> bool:
        before, self._members = self._members, self.coordinator.data.members
        changed = self._set_value(self.coordinator.data.reporting)
        return changed or self._members != before


class BankEnergySensor(VlrvBaseEnergySensor[BankCoordinator]):
    """A total of the bank's energy."""

    @property
    @override
    def _energy(self) -> BankEnergy:
        return self.coordinator.energy

    @override
    def _update_attrs(self) -> bool:
        # From 0 to what its members have counted would be a step in the statistics.
        return (
            super()._update_attrs()
            if self.coordinator.energy.has_begun
            else self._set_value(None)
        )
