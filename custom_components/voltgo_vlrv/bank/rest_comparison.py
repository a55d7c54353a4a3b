"""What batteries of a bank at rest tell by comparison; pure.

Batteries in parallel that rest have one voltage. Where they have not, at least one is not
connected to the others, and connecting it can let a very high current flow. Where they
have, but report very different states of charge, the counter of at least one has drifted,
and a full charge of the bank corrects all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from ..history.charge_trust import REST_CURRENT, REST_TIME
from .aggregate import MemberReading

MAX_SPREAD: Final = 12
"""Points between the reported states of charge; healthy counters are nearer (C)."""
END_SPREAD: Final = 8
"""Points at which the doubt ends."""
EQUAL_VOLTAGE: Final = 10
"""mV between the averages of the cells of two batteries at the same voltage."""
OTHER_VOLTAGE: Final = 25
"""mV, the same, of batteries that are not in parallel: 0.1 V of 4 cells (C)."""
MAX_PAUSE: Final = 300.0
"""s between two readings of the same rest, or three intervals where that is longer."""


class Difference(StrEnum):
    """What differs although it should not."""

    CHARGE = "charge"
    VOLTAGE = "voltage"


class RestComparison:
    """Says in what batteries differ that rest together."""

    def __init__(self) -> None:
        """Start without a difference: it is found again after a restart."""
        self.differences: frozenset[Difference] = frozenset()
        self._rest_began: float | None = None
        self._last = 0.0

    def update(
        self,
        now: float,
        readings: Sequence[MemberReading],
        interval: float,
        *,
        is_complete: bool,
    ) -> None:
        """Use the members' readings at `now` (monotonic, s).

        `interval` is the longest poll interval in s, `is_complete` whether all members
        report and none has disconnected itself.
        """
        seconds, self._last = now - self._last, now
        if not is_complete or len(readings) < 2:
            self._rest_began = None
            return
        charges = [reading.state_of_charge for reading in readings]
        spread = max(charges) - min(charges)
        if spread <= END_SPREAD:
            self.differences -= {Difference.CHARGE}
        if not all(map(_is_resting, readings)):
            self._rest_began = None
            return
        averages = [sum(reading.cells) / len(reading.cells) for reading in readings]
        volts = max(averages) - min(averages)
        if volts <= EQUAL_VOLTAGE:
            self.differences -= {Difference.VOLTAGE}
        if self._rest_began is None or seconds > max(MAX_PAUSE, 3 * interval):
            self._rest_began = now
        if now - self._rest_began < REST_TIME:
            return
        if volts > OTHER_VOLTAGE:
            self.differences |= {Difference.VOLTAGE}
        if volts <= EQUAL_VOLTAGE and spread > MAX_SPREAD:
            self.differences |= {Difference.CHARGE}


def _is_resting(reading: MemberReading) -> bool:
    return abs(reading.current) <= REST_CURRENT * (reading.full_capacity or 0.0)
