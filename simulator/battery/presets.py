"""Batteries for demonstrations and tests, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
import time
from typing import Any

from .simulated import SimulatedBattery


@dataclass(frozen=True)
class Preset:
    """Options of a battery, and how long its physics run before it is shown, s."""

    options: Mapping[str, Any]
    settle: float


PRESETS: Mapping[str, Preset] = {
    "idle": Preset(
        {
            "name": "ZT-12.8V100Ah-0001",
            "address": "A4:C1:37:00:00:01",
            "cell_count": 4,
            "capacity": 100.0,
            "state_of_charge": 83.0,
            "temperature": 21.0,
        },
        settle=60,
    ),
    "solar_charging": Preset(
        {
            "name": "ZT-12.8V200Ah-0001",
            "address": "A4:C1:37:00:00:02",
            "cell_count": 4,
            "capacity": 200.0,
            "state_of_charge": 64.0,
            "temperature": 24.0,
            "ambient": 27.0,
            "demand_current": 31.5,
            "cycles": 87,
        },
        settle=1800,
    ),
    "driving_load": Preset(
        {
            "name": "ZT-25.6V100Ah-1238",
            "address": "A4:C1:37:00:00:03",
            "cell_count": 8,
            "capacity": 100.0,
            "state_of_charge": 78.0,
            "temperature": 23.0,
            "demand_current": -42.0,
            "cycles": 41,
        },
        settle=600,
    ),
    "winter": Preset(
        {
            "name": "ZT-12.8V100Ah-0417",
            "address": "A4:C1:37:00:00:04",
            "cell_count": 4,
            "capacity": 100.0,
            "state_of_charge": 46.0,
            "temperature": 0.5,
            "ambient": -8.0,
            "demand_current": 20.0,
            "cycles": 133,
        },
        settle=24 * 3600,
    ),
    "full": Preset(
        {
            "name": "ZT-25.6V200Ah-0052",
            "address": "A4:C1:37:00:00:05",
            "cell_count": 8,
            "capacity": 200.0,
            "state_of_charge": 97.0,
            "temperature": 22.0,
            "demand_current": 25.0,
            "cycles": 9,
        },
        settle=2 * 3600,
    ),
    "empty": Preset(
        {
            "name": "ZT-12.8V400Ah-0203",
            "address": "A4:C1:37:00:00:06",
            "cell_count": 4,
            "capacity": 400.0,
            "state_of_charge": 4.0,
            "temperature": 18.0,
            "demand_current": -35.0,
            "cycles": 214,
        },
        settle=3600,
    ),
    "failing_cell": Preset(
        {
            "name": "ZT-51.2V100Ah-0855",
            "address": "A4:C1:37:00:00:07",
            "cell_count": 16,
            "capacity": 100.0,
            "state_of_charge": 42.0,
            "state_of_health": 82,
            "temperature": 26.0,
            "demand_current": -25.0,
            "cycles": 1620,
            "resistance_factors": {11: 5.0},
            "capacity_factors": {11: 0.8},
        },
        settle=600,
    ),
}


_settled: dict[str, SimulatedBattery] = {}


def preset(
    name: str, /, *, clock: Callable[[], float] = time.monotonic, **overrides: Any
) -> SimulatedBattery:
    """Build a battery of `PRESETS` with changed options; energies start at zero.

    The same once more is a copy, as it takes up to 0.4 s to settle.
    """
    chosen = PRESETS[name]
    options = {**chosen.options, **overrides}
    key = repr((name, options))
    if key not in _settled:
        battery = SimulatedBattery(**options)
        battery.advance(chosen.settle)
        battery.reset_energy()
        _settled[key] = battery
    battery = deepcopy(_settled[key])
    battery.follow(clock)
    return battery
