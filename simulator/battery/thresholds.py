"""Registers 45-104: the thresholds of the protections (B)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .reported import unsigned

THRESHOLDS_START = 45


@dataclass(frozen=True)
class Threshold:
    """One register of 45-104 with its value on a 12.8 V 400 Ah pack (B)."""

    register: int
    unit: Literal["cell", "pack", "current", "second", "percent", "temperature"]
    value: float


# Steps per unit and the offset added to the register.
_THRESHOLD_CODING: Mapping[str, tuple[float, int]] = {
    "cell": (1000, 0),
    "pack": (100, 0),
    "current": (100, 0),
    "second": (1, 0),
    "percent": (1, 0),
    "temperature": (1, 50),
}
# The pack the values come from.
_REFERENCE_CELLS = 4
REFERENCE_CURRENT = 200.0

THRESHOLDS: Mapping[str, Threshold] = {
    "balance_start": Threshold(56, "cell", 3.4),
    "balance_delta": Threshold(57, "cell", 0.04),
    "low_capacity_warning": Threshold(58, "percent", 5),
    "cell_uv_warning": Threshold(61, "cell", 2.5),
    "cell_uv_protection": Threshold(62, "cell", 2.0),
    "cell_uv_recovery": Threshold(63, "cell", 3.1),
    "pack_uv_warning": Threshold(64, "pack", 10.5),
    "pack_uv_protection": Threshold(65, "pack", 9.6),
    "pack_uv_recovery": Threshold(66, "pack", 12.0),
    "cell_ov_warning": Threshold(67, "cell", 3.6),
    "cell_ov_protection": Threshold(68, "cell", 3.9),
    "cell_ov_recovery": Threshold(69, "cell", 3.45),
    "pack_ov_warning": Threshold(70, "pack", 14.8),
    "pack_ov_protection": Threshold(71, "pack", 15.2),
    "pack_ov_recovery": Threshold(72, "pack", 14.4),
    "charge_oc_recovery": Threshold(78, "second", 60),
    "discharge_oc_recovery": Threshold(79, "second", 60),
    "charge_oc1": Threshold(80, "current", 220),
    "discharge_oc1": Threshold(81, "current", 220),
    "load_short": Threshold(82, "current", 350),
    "charge_oc2": Threshold(83, "current", 250),
    "discharge_oc2": Threshold(84, "current", 250),
    "charge_oc1_delay": Threshold(85, "second", 10),
    "charge_oc2_delay": Threshold(86, "second", 2),
    "discharge_oc1_delay": Threshold(87, "second", 10),
    "discharge_oc2_delay": Threshold(88, "second", 2),
    "charge_ut_warning": Threshold(90, "temperature", 2),
    "charge_ut_protection": Threshold(91, "temperature", 0),
    "charge_ut_recovery": Threshold(92, "temperature", 5),
    "charge_ot_warning": Threshold(93, "temperature", 70),
    "charge_ot_protection": Threshold(94, "temperature", 75),
    "charge_ot_recovery": Threshold(95, "temperature", 65),
    "discharge_ut_warning": Threshold(96, "temperature", -15),
    "discharge_ut_protection": Threshold(97, "temperature", -20),
    "discharge_ut_recovery": Threshold(98, "temperature", -10),
    "discharge_ot_warning": Threshold(99, "temperature", 70),
    "discharge_ot_protection": Threshold(100, "temperature", 75),
    "discharge_ot_recovery": Threshold(101, "temperature", 65),
    "mos_ot_warning": Threshold(102, "temperature", 95),
    "mos_ot_protection": Threshold(103, "temperature", 100),
    "mos_ot_recovery": Threshold(104, "temperature", 80),
}


def scaled_thresholds(cell_count: int, max_current: float) -> dict[str, float]:
    """Return all thresholds of a battery; `max_current` is in A."""
    factors = {
        "pack": cell_count / _REFERENCE_CELLS,
        "current": max_current / REFERENCE_CURRENT,
    }
    return {
        name: threshold.value * factors.get(threshold.unit, 1)
        for name, threshold in THRESHOLDS.items()
    }


def threshold_words(values: Mapping[str, float]) -> dict[int, int]:
    """Encode thresholds as words by register."""
    words = {}
    for name, threshold in THRESHOLDS.items():
        steps, offset = _THRESHOLD_CODING[threshold.unit]
        words[threshold.register] = unsigned(values[name] * steps + offset)
    return words
