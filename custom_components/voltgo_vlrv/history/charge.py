"""Charge in Ah and nominal energy in Wh of one or several batteries; pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, fsum, log10
from typing import Final, NamedTuple

from ..vlrv.registers import BatteryStatus

NOMINAL_CELL_VOLTAGE: Final = 3.2
"""V; 12.8, 25.6 and 51.2 V with 4, 8 and 16 cells (manual table 4-1)."""


class Charge(NamedTuple):
    """Remaining charge of a battery in Ah, as it reports it."""

    left: float
    low: float
    """Lower bound of the true value; the battery reports it in steps."""
    high: float
    full: float | None
    """Full capacity; None where the battery does not report it."""

    @property
    def step(self) -> float:
        """Return the resolution."""
        return self.high - self.low


def charge_of(status: BatteryStatus) -> Charge | None:
    """Return the charge of a battery, None where it reports neither register.

    The remaining capacity (register 21, A), which is cut off to 1 Ah (0.1 Ah on old
    boards); without it, the state of charge, rounded to 1%, of the full capacity.
    """
    full = status.full_capacity
    if (left := status.remaining_capacity) is not None:
        return Charge(left, left, left + status.remaining_step, full)
    if full is None:
        return None
    left = full * status.state_of_charge / 100
    half = full / 200
    return Charge(left, left - half, left + half, full)


def total_charge(charges: Iterable[Charge | None]) -> Charge | None:
    """Return the total charge of batteries in parallel, None if one is unknown."""
    known: list[Charge] = []
    for charge in charges:
        if charge is None:
            return None
        known.append(charge)
    if not known:
        return None
    capacities = [charge.full for charge in known if charge.full is not None]
    return Charge(
        fsum(charge.left for charge in known),
        fsum(charge.low for charge in known),
        fsum(charge.high for charge in known),
        fsum(capacities) if len(capacities) == len(known) else None,
    )


def stored_energy(charge: Charge, cells: int) -> int:
    """Return the remaining nominal energy in Wh: charge times nominal voltage.

    3.2 V for each cell in series (manual table 4-1); the cells deliver less under load
    and in the cold. Rounded to the power of ten below one step of the reported charge:
    10 Wh for batteries that report 1 Ah, 1 Wh for boards that report 0.1 Ah.
    """
    voltage = cells * NOMINAL_CELL_VOLTAGE
    step: int = 10 ** floor(log10(max(charge.step * voltage, 1.0)))
    return step * floor(charge.left * voltage / step + 0.5)


def energy_capacity(full_capacity: float | None, cells: int) -> float | None:
    """Return the nominal energy of a full battery, in Wh, by its full capacity in Ah."""
    if full_capacity is None:
        return None
    return full_capacity * cells * NOMINAL_CELL_VOLTAGE
