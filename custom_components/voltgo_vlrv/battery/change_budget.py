"""How often what a battery reports about itself may be written to storage."""

from __future__ import annotations

from typing import Final

MAX_CHANGES: Final = 12
"""At once, as when a battery is added or its firmware changes."""
REFILL: Final = 3600.0
"""s for one more; a battery with a new identity at each connection wears out no memory card."""


class ChangeBudget:
    """Allow MAX_CHANGES at once, and one more each REFILL s; times are in s."""

    def __init__(self) -> None:
        """Start with all of it."""
        self._left = float(MAX_CHANGES)
        self._updated = 0.0

    def take(self, now: float) -> bool:
        """Return whether one more change may be stored, and count it."""
        refilled = self._left + max(now - self._updated, 0.0) / REFILL
        self._left, self._updated = min(refilled, float(MAX_CHANGES)), now
        if self._left < 1:
            return False
        self._left -= 1
        return True
