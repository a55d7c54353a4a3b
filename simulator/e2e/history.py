"""Gives the demo's Home Assistant a simulated week of history.

Statistics are imported by the command that Home Assistant has for it; states are written
by an action of the simulator, as there is no other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from statistics import fmean
from typing import Any, Final, NamedTuple

from homeassistant.util import dt as dt_util, slugify

from .api import HomeAssistant, Json
from .batteries import SIMULATOR
from .week import LIVES, live
from simulator.battery import PRESETS


class Sensor(NamedTuple):
    """What the recorder knows of a sensor beside its states."""

    key: str
    name: str
    unit: str | None
    device_class: str | None
    unit_class: str | None = None


MEASURED: Final = (
    Sensor("state_of_charge", "State of charge", "%", "battery", "unitless"),
    Sensor("voltage", "Voltage", "V", "voltage", "voltage"),
    Sensor("current", "Current", "A", "current", "electric_current"),
    Sensor("power", "Power", "W", "power", "power"),
    Sensor("remaining_capacity", "Remaining capacity", "Ah", None),
    Sensor("stored_energy", "Stored energy", "Wh", "energy_storage", "energy"),
    Sensor(
        "min_cell_temperature",
        "Lowest cell temperature",
        "°C",
        "temperature",
        "temperature",
    ),
    Sensor("cell_voltage_delta", "Cell voltage difference", "mV", "voltage", "voltage"),
)
METERS: Final = (
    Sensor("energy_charged", "Energy charged", "kWh", "energy", "energy"),
    Sensor("energy_discharged", "Energy discharged", "kWh", "energy", "energy"),
)
STATUS: Final = Sensor("operating_state", "Status", None, "enum")


def cells(count: int) -> tuple[Sensor, ...]:
    """Return the sensors of this many cells."""
    return tuple(
        Sensor(f"cell_{number}", f"Cell {number} voltage", "V", "voltage", "voltage")
        for number in range(1, count + 1)
    )


def entity_id(battery_name: str, sensor: Sensor) -> str:
    """Return the entity ID that a sensor gets, or has, where it was never renamed."""
    return f"sensor.{slugify(f'{battery_name} {sensor.name}')}"


async def write_week(api: HomeAssistant) -> None:
    """Write the week before now, for batteries that were added and that are not yet."""
    now = dt_util.utcnow()
    for preset in LIVES:
        samples = await asyncio.to_thread(lambda name: list(live(name, now)), preset)
        options = PRESETS[preset].options
        measured = MEASURED + cells(options["cell_count"])
        for sensor in (*measured, *METERS, STATUS):
            values = [(sample.time, sample.values[sensor.key]) for sample in samples]
            await _write(api, entity_id(options["name"], sensor), sensor, values)


async def _write(
    api: HomeAssistant, entity: str, sensor: Sensor, values: list[tuple[datetime, Any]]
) -> None:
    is_meter = sensor in METERS
    if sensor.unit is not None:
        await api.call(
            "recorder/import_statistics",
            metadata={
                "statistic_id": entity,
                "source": "recorder",
                "name": None,
                "mean_type": 0 if is_meter else 1,
                "has_sum": is_meter,
                "unit_class": sensor.unit_class,
                "unit_of_measurement": sensor.unit,
            },
            stats=list(hours(values, is_meter=is_meter)),
        )
    if is_meter:
        # The meter of the battery begins at zero: it would seem to be reset.
        return
    changed = [
        values[0],
        *(new for old, new in pairwise(values) if new[1] != old[1]),
    ]
    attributes = {
        "unit_of_measurement": sensor.unit,
        "device_class": sensor.device_class,
        "state_class": None if sensor.unit is None else "measurement",
    }
    await api.act(
        f"{SIMULATOR}.write_states",
        {
            "entity_id": entity,
            "attributes": {
                key: value for key, value in attributes.items() if value is not None
            },
            "states": [[time.timestamp(), str(value)] for time, value in changed],
        },
    )


def hours(values: list[tuple[datetime, float]], *, is_meter: bool) -> Iterator[Json]:
    """Yield the statistics of each full hour; the sums of a meter end at zero."""

    def hour(item: tuple[datetime, float]) -> datetime:
        # A sample is what an interval ended with.
        return (item[0] - timedelta(seconds=1)).replace(minute=0, second=0)

    grouped = [
        (start, [value for _, value in group]) for start, group in groupby(values, hour)
    ]
    ending = grouped[-2][1][-1] if is_meter else 0.0
    for start, of_hour in grouped[:-1]:
        row: Json = {"start": start.isoformat()}
        if is_meter:
            row |= {"state": of_hour[-1], "sum": of_hour[-1] - ending}
        else:
            row |= {
                "mean": round(fmean(of_hour), 4),
                "min": min(of_hour),
                "max": max(of_hour),
            }
        yield row
