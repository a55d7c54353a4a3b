"""The demo's week of history comes from the batteries' own physics."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simulator.battery import PRESETS, preset
from simulator.e2e.history import MEASURED, METERS, STATUS, cells, hours
from simulator.e2e.week import LIVES, Sample, live

NOW = datetime(2026, 11, 29, 7, 45, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Return two days, of which the first begins with the end of a cold night."""
    return list(live("solar_charging", NOW, days=2))


def test_week_ends_where_battery_of_demo_begins(samples: list[Sample]) -> None:
    """The charge goes up by day and down by night, and meets that of the preset."""
    charges = [sample.values["state_of_charge"] for sample in samples]
    begins = preset("solar_charging").expected_values()["state_of_charge"]

    assert abs(charges[-1] - begins) <= 3
    assert max(charges) - min(charges) >= 15
    assert samples[-1].time <= NOW


def test_every_sensor_has_a_value_in_every_sample(samples: list[Sample]) -> None:
    """What is written of a sensor is never empty."""
    count = PRESETS["solar_charging"].options["cell_count"]
    keys = {sensor.key for sensor in (*MEASURED, *METERS, STATUS, *cells(count))}

    assert all(sample.values[key] is not None for sample in samples for key in keys)
    assert set(LIVES) <= set(PRESETS)


def test_hours_of_meter_end_at_zero(samples: list[Sample]) -> None:
    """The meter of the battery begins there, so no hour jumps."""
    values = [(sample.time, sample.values["energy_charged"]) for sample in samples]

    rows = list(hours(values, is_meter=True))

    sums = [row["sum"] for row in rows]
    assert sums == sorted(sums)
    assert sums[-1] == 0
    assert all(row["start"].endswith(":00:00+00:00") for row in rows)


def test_hours_of_measurement_have_their_extremes(samples: list[Sample]) -> None:
    """Mean, lowest, and highest value of each hour, of which the last is not over."""
    values = [(sample.time, sample.values["voltage"]) for sample in samples]

    rows = list(hours(values, is_meter=False))

    assert len(rows) == 48
    assert all(row["min"] <= row["mean"] <= row["max"] for row in rows)
