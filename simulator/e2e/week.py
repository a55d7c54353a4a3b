"""The week before the demo: what a battery lived through, by its own physics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, pi, sin
from typing import Any, Final, NamedTuple

from .expected_values import expected
from simulator.battery import PRESETS, SimulatedBattery

DAYS: Final = 7
SAMPLE: Final = timedelta(minutes=10)
# How much sun each day has; the week is repeated.
SUN: Final = (1.0, 0.55, 0.9, 0.8, 0.35, 1.0, 0.85)
SUNRISE: Final = 7.0  # h
SUNSET: Final = 19.0  # h
SETTLED: Final = timedelta(minutes=30)
CORRECTED: Final = timedelta(days=2)
COOKING: Final = 0.5  # h, from 18:00 on


@dataclass(frozen=True, kw_only=True)
class Life:
    """What surrounds a battery: currents in A, temperatures in °C."""

    sun: float
    """At noon."""
    night: float
    evening: float
    cooking: float
    mild: float
    """Around the battery when the week ends, unless that is in the cold night."""
    frost: float
    """By how much the cold night is colder than any other one, K."""
    cold: int
    """How many days before the end the cold night ends; 0: it goes on."""


LIVES: Final = {
    "driving_load": Life(
        sun=5.0, night=0.5, evening=1.5, cooking=25.0, mild=23.0, frost=28.0, cold=2
    ),
    "solar_charging": Life(
        sun=12.0, night=1.7, evening=4.5, cooking=30.0, mild=25.0, frost=30.0, cold=2
    ),
    "winter": Life(
        sun=5.0, night=0.8, evening=1.8, cooking=8.0, mild=5.0, frost=14.0, cold=0
    ),
}
"""By preset."""


class Sample(NamedTuple):
    """What a battery's entities show at a time, by their key."""

    time: datetime
    values: dict[str, Any]


def _hour(time: datetime) -> float:
    return time.hour + time.minute / 60


def _sun(life: Life, time: datetime) -> float:
    """Return the current from the panels, A."""
    day = (_hour(time) - SUNRISE) / (SUNSET - SUNRISE)
    if not 0 < day < 1:
        return 0.0
    return life.sun * SUN[time.toordinal() % len(SUN)] * sin(pi * day)


def _load(life: Life, time: datetime) -> float:
    """Return the current into the loads, A."""
    if 18 <= _hour(time) < 18 + COOKING:
        return life.cooking
    return life.evening if 17 <= _hour(time) < 23 else life.night


def _ambient(life: Life, time: datetime, now: datetime) -> float:
    """Return the temperature around the battery, °C."""

    def daily(hour: float) -> float:
        return 5 * cos(pi * (hour - 15) / 12)

    usual = life.mild + daily(_hour(time)) - daily(_hour(now))
    midnight = now.replace(hour=0, minute=0) - timedelta(days=life.cold)
    morning = midnight + timedelta(hours=9) if life.cold else now
    is_cold = midnight - timedelta(hours=4) <= time < morning
    return usual - life.frost if is_cold else usual


def live(preset_name: str, now: datetime, days: int = DAYS) -> Iterator[Sample]:
    """Let a battery of `PRESETS` live through the days until now, full minutes.

    It ends about as the demo's battery of this preset begins: as much is used as the sun
    brings, and the last days make up for what the cold kept out.
    """
    life, preset = LIVES[preset_name], PRESETS[preset_name]
    now = now.replace(second=0, microsecond=0)
    start = (now - timedelta(days=days)).replace(minute=0)
    times = [start + SAMPLE * step for step in range((now - start) // SAMPLE)]
    brought = sum(_sun(life, time) for time in times)
    share = brought / sum(_load(life, time) for time in times)
    options = {
        key: preset.options[key]
        for key in ("name", "address", "cell_count", "capacity", "state_of_charge")
    }
    battery = SimulatedBattery(
        **options, temperature=life.mild, cycles=preset.options["cycles"]
    )
    target = battery.charge / 3600
    # What a battery of this preset goes through before it is on the air.
    settled = min(timedelta(seconds=preset.settle), SETTLED) // SAMPLE
    present = times[-settled]
    hours = SAMPLE / timedelta(hours=1)
    for number, time in enumerate(times):
        if time >= present:
            battery.demand_current = preset.options["demand_current"]
        else:
            current = _sun(life, time) - share * _load(life, time)
            if time >= present - CORRECTED:
                left = [later for later in times[number:] if later < present]
                current += _correction(battery, life, target, left, share)
            battery.demand_current = current
        battery.ambient = _ambient(life, time, now)
        battery.advance(hours * 3600)
        reported, values = battery.reported(), battery.expected_values()
        words = {"warning_code": reported.warning, "error_code": reported.error}
        yield Sample(
            time + SAMPLE,
            {
                **expected(values | words),
                "operating_state": values["operating_state"],
                "energy_charged": battery.charge_energy_kwh,
                "energy_discharged": battery.discharge_energy_kwh,
            },
        )


def _correction(
    battery: SimulatedBattery,
    life: Life,
    target: float,
    times: list[datetime],
    share: float,
) -> float:
    """Return the current, A, that brings the charge to the target (Ah) in time."""
    planned = sum(_sun(life, time) - share * _load(life, time) for time in times)
    hours = SAMPLE / timedelta(hours=1)
    missing = target - battery.charge / 3600 - planned * hours
    return missing / (len(times) * hours)
