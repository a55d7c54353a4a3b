"""One discovered device is probed at a time, and a flood of them is bounded and slowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from .vlrv.errors import NotReachableError

MAX_WAITING: Final = 32
"""As many wait for their turn; beyond that, those that would be last are tried later."""
FLOOD: Final = 8
"""So many devices in a row that could not be probed are most likely no batteries."""
MAX_ATTEMPT_IN_FLOOD: Final = 5.0
"""s; a connection takes 1-4 s over a proxy (A)."""


class FailuresInARow:
    """Recognizes a flood: any device can advertise as many addresses as it likes."""

    def __init__(self) -> None:
        """Start without failures."""
        self._addresses: set[str] = set()

    @property
    def is_flood(self) -> bool:
        """Return whether FLOOD devices have failed since the last battery."""
        return len(self._addresses) >= FLOOD

    def add(self, address: str) -> None:
        """Record the failure of a device."""
        if not self.is_flood:
            self._addresses.add(address)

    def clear(self) -> None:
        """Record a battery."""
        self._addresses.clear()


class DiscoveryQueue:
    """Lets one discovered device be probed at a time.

    Those that have failed least often come first, among them the last discovered: a new
    battery does not wait for what was advertised before it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start empty."""
        self.failures = FailuresInARow()
        self._loop = loop
        self._is_busy = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._last_duration = 0.0

    @asynccontextmanager
    async def take(self, failures: int) -> AsyncGenerator[None]:
        """Wait for a turn and hold it; `failures` are those of this device before.

        Raises NotReachableError when more than MAX_WAITING others go first.
        In a flood, as long as the last probe took passes first: the other half of the
        time belongs to batteries that were added.
        """
        if self._is_busy:
            turn = failures, self._loop.create_future()
            self._waiting.append(turn)
            self._drop_last()
            try:
                await turn[1]
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                elif not turn[1].cancelled() and turn[1].exception() is None:
                    self._start_next()
                raise
        self._is_busy = True
        try:
            if self.failures.is_flood:
                await asyncio.sleep(self._last_duration)
            started = self._loop.time()
            try:
                yield
            finally:
                self._last_duration = self._loop.time() - started
        finally:
            self._start_next()

    def _drop_last(self) -> None:
        """Send the one that would be last away, if too many wait."""
        self._drop_canceled()
        if len(self._waiting) > MAX_WAITING:
            # Of equals the first in the list.
            turn = max(self._waiting, key=lambda each: each[0])
            self._waiting.remove(turn)
            turn[1].set_exception(NotReachableError("too many devices to probe"))

    def _drop_canceled(self) -> None:
        """Forget those that were canceled, which is before they themselves notice."""
        self._waiting = [each for each in self._waiting if not each[1].done()]

    def _start_next(self) -> None:
        self._drop_canceled()
        self._is_busy = bool(self._waiting)
        if self._waiting:
            # Of equals the last in the list.
            turn = min(reversed(self._waiting), key=lambda each: each[0])
            self._waiting.remove(turn)
            turn[1].set_result(None)
