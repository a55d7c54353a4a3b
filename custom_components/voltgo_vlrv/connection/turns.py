"""Turns to connect: one attempt at a time over each adapter, working batteries first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..vlrv.errors import NotReachableError

# An attempt that takes longer ends if a working battery waits: connecting takes 1-4 s over
# a proxy (A), an attempt that fails up to 40 s.
MAX_ATTEMPT: Final = 10.0  # s
MAX_ATTEMPT_AFTER_FAILURE: Final = 5.0  # s
# A battery whose last attempt failed has its turn last, but waits no longer than this.
MAX_WAIT_AFTER_FAILURE: Final = 60.0  # s
# One that is not added yet goes last, too, but a user may be waiting for it.
MAX_WAIT_NEW: Final = 15.0  # s

_TURNS: HassKey[dict[str, AdapterTurns]] = HassKey(f"{DOMAIN}_turns")


@callback
def async_turns(hass: HomeAssistant, adapter: str) -> AdapterTurns:
    """Return the turns over the adapter with this source, empty if it is unknown."""
    turns = hass.data.setdefault(_TURNS, {})
    if adapter not in turns:
        turns[adapter] = AdapterTurns(hass.loop)
    return turns[adapter]


class Turn:
    """One attempt to connect, waiting or running."""

    def __init__(self, *, has_failed: bool, now: float, is_new: bool = False) -> None:
        """Start waiting at `now` (loop time, s).

        `has_failed` says that the battery's last attempt failed, `is_new` that it is not
        added yet.
        """
        self.has_failed = has_failed
        self.goes_last = has_failed or is_new
        self.waiting_since = now
        self.started = 0.0
        self.granted = asyncio.Event()
        self._limit: asyncio.Timeout | None = None

    def rank(self, now: float) -> int:
        """Return the rank among the waiting turns, 0 first."""
        if not self.goes_last:
            return 1
        max_wait = MAX_WAIT_AFTER_FAILURE if self.has_failed else MAX_WAIT_NEW
        return 0 if now - self.waiting_since >= max_wait else 2

    @property
    def gives_way_at(self) -> float:
        """Return the loop time (s) at which the attempt ends if a working battery waits."""
        return self.started + (
            MAX_ATTEMPT_AFTER_FAILURE if self.has_failed else MAX_ATTEMPT
        )

    @contextmanager
    def _limited(self, limit: asyncio.Timeout) -> Generator[None]:
        self._limit = limit
        try:
            yield
        finally:
            self._limit = None

    @asynccontextmanager
    async def attempt(self, max_duration: float | None = None) -> AsyncGenerator[None]:
        """Connect in the block, for `max_duration` s at most.

        Raises NotReachableError after it, or if another battery needs the turn.
        """
        try:
            async with asyncio.timeout(max_duration) as limit:
                with self._limited(limit):
                    yield
        except TimeoutError as err:
            raise NotReachableError("took too long while others wait") from err

    def give_way(self, now: float) -> None:
        """End the attempt, if it is running and not ending already."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(now)


class AdapterTurns:
    """The turns over one adapter, one at a time: attempts disturb each other on the radio."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with no attempt."""
        self._loop = loop
        self._current: Turn | None = None
        self._waiting: list[Turn] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Return how many batteries wait for their turn."""
        return len(self._waiting)

    @asynccontextmanager
    async def take(
        self, *, has_failed: bool, is_new: bool = False
    ) -> AsyncGenerator[Turn]:
        """Wait for a turn and hold it while the block lasts; arguments as for `Turn`."""
        turn = Turn(has_failed=has_failed, now=self._loop.time(), is_new=is_new)
        self._waiting.append(turn)
        try:
            self._update()
            await turn.granted.wait()
            yield turn
        finally:
            if turn is self._current:
                self._current = None
            else:
                self._waiting.remove(turn)
            self._update()

    def _update(self) -> None:
        """Grant the next turn, and limit the current one if a working battery waits."""
        now = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._current is None and self._waiting:
            # Among equal ranks the one that has waited longest.
            turn = min(self._waiting, key=lambda each: each.rank(now))
            self._waiting.remove(turn)
            self._current = turn
            turn.started = now
            turn.granted.set()
        if self._current is not None and not all(
            turn.goes_last for turn in self._waiting
        ):
            self._timer = self._loop.call_at(
                max(now, self._current.gives_way_at), self._end_current
            )

    def _end_current(self) -> None:
        self._timer = None
        if self._current is not None:
            self._current.give_way(self._loop.time())
