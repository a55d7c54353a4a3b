"""What has to be done before batteries are connected in parallel.

The manual wants each battery fully charged (5.2.3), and all of exactly the same model and
capacity (5.3). It gives no limits: those below are larger than what is read differently
off equal batteries, and than what batteries in parallel differ by at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from ..battery.info import BatteryInfo
from .notices import is_mixed, kind_of

MAX_CHARGE_DIFFERENCE: Final = 5  # %
MAX_VOLTAGE_DIFFERENCE: Final = 0.1
"""V; between 20% and 90% it says less than the state of charge."""
_MAX_ROUNDING: Final = 1e-6  # V


class Finding(StrEnum):
    """What speaks against connecting batteries as they are."""

    DIFFERENT = "different"
    UNEQUAL = "unequal"
    UNKNOWN = "unknown"


class Candidate(NamedTuple):
    """One battery that is to be in a bank."""

    name: str
    info: BatteryInfo
    state_of_charge: int | None
    """%; None while the battery does not report."""
    voltage: float | None
    """V; None while the battery does not report."""


def findings(candidates: Sequence[Candidate]) -> list[Finding]:
    """Return what speaks against connecting these batteries, empty if nothing does."""
    charges = [item.state_of_charge for item in candidates]
    voltages = [item.voltage for item in candidates]
    known_charges = [charge for charge in charges if charge is not None]
    known_voltages = [voltage for voltage in voltages if voltage is not None]
    found = []
    if is_mixed([item.info for item in candidates]):
        found.append(Finding.DIFFERENT)
    if (
        _spread(known_charges) > MAX_CHARGE_DIFFERENCE
        or _spread(known_voltages) > MAX_VOLTAGE_DIFFERENCE + _MAX_ROUNDING
    ):
        found.append(Finding.UNEQUAL)
    if None in charges or None in voltages:
        found.append(Finding.UNKNOWN)
    return found


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values) if values else 0.0


def comparison(candidates: Sequence[Candidate]) -> str:
    """Return a line for each battery: model, capacity, state of charge and voltage."""
    return "\n".join(
        f"- {item.name}: {kind_of(item.info)}, "
        + ("?%" if item.state_of_charge is None else f"{item.state_of_charge}%")
        + (", ? V" if item.voltage is None else f", {item.voltage:.2f} V")
        for item in candidates
    )
