"""When a value is shown that is one step of its resolution off what is shown.

A reading alternates between two steps while nothing changes, and each change that is
shown is a row in Home Assistant's database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

STANDING: Final = 60.0
"""s for which what is shown may be one step off."""
LATE: Final = 1.5
"""Poll intervals after which the next sample is late."""
_ROUNDING: Final = 1e-3
"""Of a step: differences of floating-point numbers are not exact."""


def standing_limit(late: float) -> float | None:
    """Return for how many s a value that is one step off may wait for the next sample.

    That one comes within `late` s, or is late, and then no value waits: so none is off
    for longer than `STANDING`. None if no value may wait.
    """
    return STANDING - late if late < STANDING else None


@dataclass(slots=True)
class WaitingValues:
    """Which values of a battery or of a bank are one step off what is shown, and wait."""

    limit: float | None = None
    """What `standing_limit` returns; None while no value may wait."""
    every_change: bool = False
    """Whether the user wants to see each change, so that no value waits."""
    _since: dict[str, float] = field(default_factory=dict)
    """By the key of the value, in s (monotonic)."""

    def waits(self, key: str, now: float, difference: float, step: float) -> bool:
        """Return whether a value waits at `now` (monotonic, s), and is not shown yet.

        `difference` is what the shown value is off, `step` the resolution of the value.
        """
        if not difference:
            # What is shown is as right, such as one of two cells with the same voltage.
            self.show(key)
            return True
        if (
            self.limit is not None
            and not self.every_change
            and abs(difference) <= step * (1 + _ROUNDING)
        ):
            since = self._since.setdefault(key, now)
            if now - since <= self.limit:
                return True
        self.show(key)
        return False

    def show(self, key: str) -> None:
        """Let a value wait no longer: what is shown is what was measured."""
        self._since.pop(key, None)
