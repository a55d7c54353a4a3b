"""Processor time of an event loop's thread, by the client that the work was for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import selectors
import time
from typing import Final

BUSY_SLICE: Final = 0.001  # s, real
BUSY_SLICES: Final = 5


@dataclass(slots=True)
class Share:
    """Processor time of one client's instants."""

    instants: int = 0
    nanoseconds: int = 0

    @property
    def milliseconds(self) -> float:
        """Return the mean of an instant."""
        return self.nanoseconds / max(1, self.instants) / 1e6


class Meter(selectors.DefaultSelector):
    """The selector of an event loop; measures the thread's processor time.

    `client` names the client whose instant it is; empty: the simulation's own. While
    `is_busy` says that another thread has work left, the selector waits for it before the
    next instant begins.
    """

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__()
        self.instant: Callable[[], int] = lambda: 0
        self.is_busy: Callable[[], bool] = lambda: False
        self.client = ""
        self.shares: dict[str, Share] = {}
        self._used = 0
        self._number = 0
        self._since = time.thread_time_ns()

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Add the time of the turn that ends, then wait for events."""
        used = time.thread_time_ns() - self._since
        if (number := self.instant()) != self._number:
            # Only here, when the first turn of the next instant is over.
            self._number = number
            self._close()
        self._used += used
        events = super().select(timeout)
        # Not for long, as the other thread may wait for this one.
        for _ in range(BUSY_SLICES):
            if events or not self.is_busy():
                break
            events = super().select(BUSY_SLICE)
        self._since = time.thread_time_ns()
        return events

    def assign(self, client: str) -> None:
        """Assign the current instant to a client; RuntimeError if another has it."""
        if self._number != self.instant():
            self._number = self.instant()
            self._close()
        if self.client not in {"", client}:
            raise RuntimeError(f"{client} and {self.client} at the same instant")
        self.client = client

    def _close(self) -> None:
        share = self.shares.setdefault(self.client, Share())
        share.instants += 1
        share.nanoseconds += self._used
        self.client = ""
        self._used = 0

    def take(self) -> dict[str, Share]:
        """Return the shares since the last call, by client."""
        shares, self.shares = self.shares, {}
        return shares
