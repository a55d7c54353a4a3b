"""When a battery is disconnected between polls."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from math import inf
from typing import Final

from .state import ConnectionMode

# Hysteresis: a battery that freed the last slot twice within this time keeps doing so for
# as long. Otherwise several batteries alternate, and each change is a database row.
SHARING_HYSTERESIS: Final = timedelta(minutes=30)

# So many turns tell how long a round of all batteries takes.
TURNS: Final = 4


def are_slots_scarce(free: int, waiting: int) -> bool:
    """Return whether an adapter with `free` slots has none for all that need one.

    One stays free for another device. `waiting` batteries wait for their turn to connect:
    with fewer slots than that, batteries that stay connected would be read far more often
    than those that share what is left.
    """
    return free < max(waiting, 1)


class TurnTimes:
    """How long a battery waits until it is connected, while many share few slots."""

    def __init__(self) -> None:
        """Start without a measurement."""
        self._times: deque[float] = deque(maxlen=TURNS)

    def add(self, seconds: float) -> None:
        """Record a connection: the wait for a turn and for the connection itself, in s."""
        self._times.append(seconds)

    @property
    def longest(self) -> float:
        """Return the longest of the last TURNS times in s, 0 before the first."""
        return max(self._times, default=0.0)


class SlotSharingPolicy:
    """Decides whether one battery frees its connection slot after use."""

    def __init__(self, mode: ConnectionMode) -> None:
        """Start with what `mode` says, as the slots are not known yet."""
        self.is_sharing = mode is ConnectionMode.EACH_POLL
        """Whether the battery is disconnected between polls as planned."""
        self._shared_at = -inf
        self._shared_until = -inf

    def should_disconnect(
        self, mode: ConnectionMode, *, slots_scarce: bool, now: float
    ) -> bool:
        """Return whether to disconnect now that the connection is not in use.

        `slots_scarce` is what `are_slots_scarce` says of its adapter; `now` is in s.
        """
        self.is_sharing = mode is ConnectionMode.EACH_POLL or (
            mode is ConnectionMode.AUTOMATIC and self._frees_slot(slots_scarce, now)
        )
        return self.is_sharing

    def _frees_slot(self, slots_scarce: bool, now: float) -> bool:
        if not slots_scarce:
            return now < self._shared_until
        if not self.is_sharing:
            if now - self._shared_at < SHARING_HYSTERESIS.total_seconds():
                self._shared_until = now + SHARING_HYSTERESIS.total_seconds()
            self._shared_at = now
        return True
