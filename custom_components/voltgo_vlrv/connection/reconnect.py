"""When a connection is made again although it works: it is better over another adapter."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from math import inf
from typing import Final

# Signal strengths vary by some dB from one advertisement to the next, and by 10 dB when
# somebody walks by.
MUCH_BETTER: Final = 15  # dB
# From a new adapter to the next move; doubled when the move has changed nothing.
MIN_STAY: Final = timedelta(minutes=30)
MAX_STAY: Final = timedelta(days=1)
# A battery does not advertise while it is connected, so what is known is from before.
REMEMBERED: Final = timedelta(days=1)
# A reconnection takes up to 7 s (A), so with polls more often than this one would be late.
MIN_INTERVAL_FOR_MOVE: Final = timedelta(seconds=10)


class AdapterMovePolicy:
    """Decides when to connect again because another adapter receives much better.

    Adapters are named by their source; times are those of the event loop in s.
    """

    def __init__(self) -> None:
        """Start without having received anything."""
        self._received: dict[str, tuple[int, float]] = {}
        self._adapter: str | None = None
        self._next = inf
        self._stay = MIN_STAY
        self._is_moving = False

    def record_signal(self, adapter: str, rssi: int, now: float) -> None:
        """Record with how many dBm an adapter has received the battery."""
        if rssi < 0:  # else unknown
            self._received[adapter] = (rssi, now)

    def should_move(
        self, adapter: str, others: Collection[str], *, interval: timedelta, now: float
    ) -> bool:
        """Return whether to connect again, right after a poll of every `interval`.

        `adapter` has the connection, `others` are those with a free slot. Home Assistant
        chooses the adapter; where it has chosen the same one again, it is tried less
        often.
        """
        if adapter != self._adapter:
            self._adapter = adapter
            self._stay = MIN_STAY
            self._next = now + self._stay.total_seconds()
        elif self._is_moving:
            self._stay = min(2 * self._stay, MAX_STAY)
            self._next = now + self._stay.total_seconds()
        self._is_moving = False
        if interval < MIN_INTERVAL_FOR_MOVE or now < self._next:
            return False
        signals = {
            each: rssi
            for each, (rssi, when) in self._received.items()
            if now - when < REMEMBERED.total_seconds()
        }
        best = max((signals[each] for each in others if each in signals), default=-inf)
        return adapter in signals and best - signals[adapter] >= MUCH_BETTER

    def begin_move(self) -> None:
        """Record that the connection is closed for a better one."""
        self._is_moving = True
