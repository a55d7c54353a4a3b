"""How far a battery is from cutting itself off, by its own thresholds; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ..vlrv.registers import BatteryStatus

CHARGE_VOLTAGE: Final = "charge_voltage_margin"
DISCHARGE_VOLTAGE: Final = "discharge_voltage_margin"
CHARGE_TEMPERATURE: Final = "charge_temperature_margin"
DISCHARGE_TEMPERATURE: Final = "discharge_temperature_margin"

MARGIN_THRESHOLDS: Final[Mapping[str, tuple[str, ...]]] = {
    CHARGE_VOLTAGE: ("cell_overvoltage_protection",),
    DISCHARGE_VOLTAGE: ("cell_undervoltage_protection",),
    CHARGE_TEMPERATURE: (
        "charge_undertemperature_protection",
        "charge_overtemperature_protection",
    ),
    DISCHARGE_TEMPERATURE: (
        "discharge_undertemperature_protection",
        "discharge_overtemperature_protection",
    ),
}
"""The thresholds that each margin is measured to, all of which have to be reported."""


def known_margins(thresholds: Iterable[str]) -> frozenset[str]:
    """Return the keys of the margins that a battery with these thresholds has."""
    known = frozenset(thresholds)
    return frozenset(
        key for key, needed in MARGIN_THRESHOLDS.items() if known.issuperset(needed)
    )


def margin(
    key: str, status: BatteryStatus, thresholds: Mapping[str, float]
) -> float | None:
    """Return a margin in V or °C, negative beyond its threshold; None if not known.

    That of the cell or the probe that is nearest to a threshold.
    """
    limits = [thresholds.get(name) for name in MARGIN_THRESHOLDS[key]]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits):
        return None
    if key == CHARGE_VOLTAGE:
        return round(known[0] - max(status.cells) / 1000, 3)
    if key == DISCHARGE_VOLTAGE:
        return round(min(status.cells) / 1000 - known[0], 3)
    if not (temperatures := status.temperatures):
        return None
    cold, hot = known
    return min(min(temperatures) - cold, hot - max(temperatures))
