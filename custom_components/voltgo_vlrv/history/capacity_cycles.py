"""The manual's capacity test (6.7.2): three cycles, of which the last one counts; pure."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

CYCLES: Final = 3


class CapacityTest:
    """The cycles of one capacity test, from its start until the third is measured.

    A cycle that could not be measured does not count, so it is repeated.
    """

    def __init__(self) -> None:
        """Start without a test."""
        self.is_running = False
        self.capacities: list[float] = []
        """Ah, of the cycles of this or the last test."""

    @property
    def result(self) -> float | None:
        """Return the capacity of the last cycle in Ah, None before that."""
        return self.capacities[-1] if len(self.capacities) == CYCLES else None

    def start(self) -> None:
        """Start, or start again from the first cycle."""
        self.is_running, self.capacities = True, []

    def stop(self) -> None:
        """Stop, and forget the cycles of a test that was not finished."""
        self.is_running = False
        if self.result is None:
            self.capacities = []

    def add(self, capacity: float) -> None:
        """Add a capacity that was measured, in Ah; ignored while no test is running."""
        if self.is_running:
            self.capacities = [*self.capacities, capacity]
            self.is_running = self.result is None

    def as_stored(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"is_running": self.is_running, "capacities": self.capacities}

    @classmethod
    def from_stored(cls, stored: Any) -> CapacityTest:
        """Return what `as_stored` returned; raises TypeError, ValueError or LookupError."""
        test = cls()
        test.capacities = [float(capacity) for capacity in stored["capacities"]]
        if not all(isfinite(capacity) and capacity > 0 for capacity in test.capacities):
            raise ValueError("no capacity")
        is_running = bool(stored["is_running"])
        if len(test.capacities) > CYCLES or (is_running and test.result is not None):
            raise ValueError("no such test")
        test.is_running = is_running
        return test
