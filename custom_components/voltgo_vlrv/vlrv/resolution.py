"""Resolution of the live values: what one step of their registers is."""

from __future__ import annotations

from math import ceil
from typing import Final

from .registers import CURRENT_SCALE, register_of

VOLTAGE_STEP: Final = 1 / register_of("voltage").divisor
"""Resolution of the pack voltage in V."""
CELL_STEP: Final = 1
"""Resolution of a cell voltage in mV."""
CURRENT_STEP: Final = 1 / CURRENT_SCALE
"""Resolution of the current in A, where a battery does not report it more finely."""


def power_step(voltage: float, current: float, current_step: float) -> int:
    """Return by how many whole W the power changes with one step of each register.

    The arguments are in V and A.
    """
    # Products of floating-point numbers are not exact.
    return ceil(round(voltage * current_step + abs(current) * VOLTAGE_STEP, 6))
