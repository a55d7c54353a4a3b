"""What two batteries live through in the month: sun, nights, cold, full and deep cycles.

One has 85 % of its capacity and does not know it. The other one is healthy, but for some
days its counter is off by 20 points.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from .pack import WitnessedBattery

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS: Final = 30
LABEL: Final = 100.0  # Ah
WORN: Final = 0.85
OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "ZT-12.8V100Ah-0085",
        "address": "A4:C1:37:00:02:01",
        "seed": 85,
        "reports_thresholds": True,
        "capacity_factors": {1: WORN, 2: WORN + 0.004, 3: WORN + 0.002, 4: WORN},
        "state_of_charge": 70.0,
    },
    {
        "name": "ZT-12.8V100Ah-0100",
        "address": "A4:C1:37:00:02:02",
        "seed": 100,
        "state_of_charge": 72.0,
    },
)
"""Of the worn battery, and of the healthy one."""

# Days of the month, from 0 on; each begins at midnight.
FULL_DAYS: Final = (3, 9, 12, 19, 26)
DEEP_NIGHT: Final = 9
"""The evening of this day, until the worn battery cuts itself off."""
DRIFT_DAY: Final = 17
DRIFT: Final = 20.0  # points
COLD_NIGHT: Final = 21
HOT_DAY: Final = 5
RESTART_DAY: Final = 14
COMPARED_DAY: Final = 27
"""In the evening; from then on, the healthy one is stored."""

MILD: Final = 21.0  # °C
COLD: Final = -16.0  # °C
HOT: Final = 33.0  # °C

CHARGE: Final = 12.0  # A
ABSORPTION: Final = 6.0  # A; long enough to be seen
ABSORBED_FROM: Final = 0.93  # of the fullest cell
DEEP_LOAD: Final = -8.0  # A
EVENING_LOAD: Final = -5.0  # A

COARSE: Final = 1800  # s between two readings
FINE: Final = 300  # s, at the end of a charge
CLOSE: Final = 60  # s, where the present current counts
FINEST: Final = 120  # s, while capacity is measured


def ambient(day: int, hour: float) -> float:
    """Return the temperature around both, °C."""
    if (day == COLD_NIGHT and hour >= 18) or (day == COLD_NIGHT + 1 and hour < 9):
        return COLD
    return HOT if day == HOT_DAY and 11 <= hour < 17 else MILD


def demand(pack: WitnessedBattery, day: int, hour: float, *, is_worn: bool) -> float:
    """Return what flows at a time of a day where nothing blocks it, A, + charging."""
    full = max(pack.parts)
    if 8 <= hour < 17:
        if day in FULL_DAYS:
            return CHARGE if full < ABSORBED_FROM else ABSORPTION
        if not is_worn and day == DRIFT_DAY:
            return 0.0
        if full < 0.4:
            return CHARGE
        # About as much as the night takes.
        return 3.6 if full < 0.9 else 0.0
    if is_worn and (
        (day == DEEP_NIGHT and hour >= 17) or (day == DEEP_NIGHT + 1 and hour < 8)
    ):
        return DEEP_LOAD
    if not is_worn and (
        (day == DRIFT_DAY and hour >= 17) or (day == DRIFT_DAY + 1 and hour < 6)
    ):
        # Down to a tenth, and a rest before the sun rises.
        return -10.0 if min(pack.parts) > 0.1 else 0.0
    return EVENING_LOAD if 17 <= hour < 20 else -1.5


def interval(pack: WitnessedBattery, day: int, hour: float, *, is_worn: bool) -> int:
    """Return how often the battery is read, s."""
    if day == COMPARED_DAY and 17 <= hour < 20:
        return CLOSE
    if is_worn and (
        (day == DEEP_NIGHT and hour >= 16.5) or (day == DEEP_NIGHT + 1 and hour < 5)
    ):
        return FINEST
    if day in FULL_DAYS and 8 <= hour < 17 and max(pack.parts) >= 0.85:
        return FINE
    return COARSE
