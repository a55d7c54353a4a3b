"""How the totals of energy are shown, of one battery or of a bank."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import UnitOfEnergy

from .base import ValueSensor, keep_on_new_entity_id
from .history.energy import CHARGED, DISCHARGED, in_steps


@dataclass(frozen=True, kw_only=True)
class TotalSensorDescription(SensorEntityDescription):
    """A total of energy; `direction` is CHARGED or DISCHARGED."""

    direction: str


def _total(direction: str) -> TotalSensorDescription:
    return TotalSensorDescription(
        key=f"energy_{direction}",
        translation_key=f"energy_{direction}",
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=2,
        direction=direction,
    )


TOTALS: Final = (_total(CHARGED), _total(DISCHARGED))


class Counter(Protocol):
    """What counts energy in kWh, for each direction."""

    @property
    def was_kept(self) -> bool:
        """Return whether it goes on from a file of its own."""

    def total(self, direction: str) -> float:
        """Return what was counted, in kWh."""

    def raise_to(self, direction: str, total: float, /) -> object:
        """Do not fall below a total that was shown before."""


class TotalSensor(ValueSensor, RestoreSensor):
    """A total that never falls, and stands also while no battery is there."""

    entity_description: TotalSensorDescription

    @property
    @abstractmethod
    def _counter(self) -> Counter:
        """Return what counts."""

    @property
    @abstractmethod
    def _counts_from(self) -> datetime:
        """Return from when on it counts; a total shown before may be of another."""

    @property
    @override
    def available(self) -> bool:
        """Return True: what was counted is known without the batteries."""
        return True

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Count on from what was shown."""
        last = await self.async_get_last_sensor_data()
        state = await self.async_get_last_state()
        if (
            last is not None
            and isinstance(last.native_value, int | float)
            # A clock that is behind after a start makes its own total look older.
            and (
                self._counter.was_kept
                or state is None
                or state.last_updated >= self._counts_from
            )
        ):
            self._counter.raise_to(
                self.entity_description.direction, float(last.native_value)
            )
        await super().async_added_to_hass()

    def _update(self) -> bool:
        return self._show(
            in_steps(self._counter.total(self.entity_description.direction))
        )
