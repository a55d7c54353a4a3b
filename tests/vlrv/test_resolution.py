"""One step of each register."""

from __future__ import annotations

import pytest

from custom_components.voltgo_vlrv.vlrv.resolution import (
    CELL_STEP,
    CURRENT_STEP,
    VOLTAGE_STEP,
    power_step,
)


def test_steps_of_voltage_current_and_cells_are_those_of_their_registers() -> None:
    """In V, A and mV."""
    assert (VOLTAGE_STEP, CURRENT_STEP, CELL_STEP) == (0.01, 0.1, 1)


@pytest.mark.parametrize(
    ("voltage", "current", "current_step", "expected"),
    [
        (26.4, 0.0, 0.1, 3),
        (26.4, 10.0, 0.1, 3),
        (26.4, 40.0, 0.1, 4),
        (26.4, -40.0, 0.1, 4),
        (26.4, 40.0, 0.01, 1),
        # 1.3 + 0.7: exactly two, whatever the sum of the two in floating point.
        (13.0, 70.0, 0.1, 2),
        (0.0, 0.0, 0.1, 0),
    ],
)
def test_power_step_is_what_a_step_of_voltage_and_of_current_make(
    voltage: float, current: float, current_step: float, expected: int
) -> None:
    """Whole W, rounded up."""
    assert power_step(voltage, current, current_step) == expected
