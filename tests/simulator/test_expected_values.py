"""The demo's check of a battery accepts a value that waits, and no other."""

from __future__ import annotations

from simulator.battery import SimulatedBattery
from simulator.e2e.expected_values import compare

CELLS = (3.300, 3.304, 3.303, 3.302)


def differs(key: str, state: str) -> bool:
    """Return whether a sensor of a battery with these cells is not right."""
    battery = SimulatedBattery(cell_count=4, clock=lambda: 0.0)
    volts = {f"cell_{number}": value for number, value in enumerate(CELLS, 1)}
    expected = {
        "error_code": 0,
        "warning_code": 0,
        **battery.expected_values(),
        **volts,
        "highest_cell": 2,
        "lowest_cell": 1,
    }
    entity_id = f"sensor.{key}"
    found = compare(
        expected,
        {key: {"entity_id": entity_id, "disabled_by": None}},
        {entity_id: {"entity_id": entity_id, "state": state}},
    )
    assert found.compared == 1
    return any(item.entity_id == entity_id for item in found.differences)


def test_cell_within_a_step_of_the_highest_may_be_shown_for_it() -> None:
    """Cell 3 is 1 mV lower, cell 4 is 2 mV lower."""
    assert not differs("highest_cell", "2")
    assert not differs("highest_cell", "3")
    assert differs("highest_cell", "4")
    assert differs("highest_cell", "5")
    assert differs("highest_cell", "unknown")
    assert not differs("lowest_cell", "1")
    assert differs("lowest_cell", "4")
