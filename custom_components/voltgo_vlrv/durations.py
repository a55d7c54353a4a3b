"""How the times to empty and to full are shown, of one battery or of a bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from homeassistant.components.sensor import SensorDeviceClass, SensorEntityDescription
from homeassistant.const import UnitOfTime

from .base import ValueSensor
from .history.runtime import Runtime, as_hours, shown_minutes


@dataclass(frozen=True, kw_only=True)
class DurationSensorDescription(SensorEntityDescription):
    """A time that the charge lasts or takes."""

    minutes_fn: Callable[[Runtime], float | None]


def _duration(
    key: str, minutes_fn: Callable[[Runtime], float | None]
) -> DurationSensorDescription:
    return DurationSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DURATION,
        # Shown as hours and minutes; the digits are what the minutes need.
        native_unit_of_measurement=UnitOfTime.HOURS,
        suggested_display_precision=4,
        minutes_fn=minutes_fn,
    )


DURATIONS: Final = (
    _duration("time_to_empty", lambda runtime: runtime.minutes_to_empty),
    _duration("time_to_full", lambda runtime: runtime.minutes_to_full),
)


class DurationSensor(ValueSensor):
    """A time that follows from the samples of some minutes."""

    entity_description: DurationSensorDescription
    _minutes: int | None = None

    def _show_time(self, runtime: Runtime) -> bool:
        """Take over the time, and return whether that is news."""
        self._minutes = shown_minutes(
            self.entity_description.minutes_fn(runtime), self._minutes
        )
        return self._show(None if self._minutes is None else as_hours(self._minutes))
