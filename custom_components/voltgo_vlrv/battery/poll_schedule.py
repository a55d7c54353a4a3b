"""When a battery is polled: after its interval, at a phase of its own, or on request."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Final

# For Home Assistant, an interval of zero means not to poll at all.
MIN_DELAY: Final = 0.001  # s


# Between the end of a poll that took longer than the interval and the next one.
MIN_PAUSE: Final = 1.0  # s


def next_poll_delay(
    index: int, count: int, interval: timedelta, started: float, now: float
) -> timedelta:
    """Return the time until battery `index` (0 first) of `count` is polled next.

    Each battery has its own phase in the interval, so that not all use radio and
    processor at once. That phase is between half an interval and one and a half after
    the poll that `started`, so that one that waited long for its turn costs no reading;
    from `now`, MIN_PAUSE passes at least. Both are loop time in s.
    """
    if count < 2:
        return interval
    seconds = interval.total_seconds()
    phase = seconds * index / count
    left = (phase - started) % seconds
    due = started + (left if left >= seconds / 2 else left + seconds)
    return timedelta(seconds=max(due - now, MIN_PAUSE))


class PollSchedule:
    """The schedule of one battery's polls; times are loop time in s."""

    def __init__(self) -> None:
        """Start without a poll."""
        self._due = -inf
        self._requested_by = inf

    def request(self, by: float) -> bool:
        """Request a poll by a time; return whether the next one is later than that."""
        self._requested_by = min(by, self._requested_by)
        return by < self._due

    def next_delay(self, interval: timedelta, now: float) -> timedelta:
        """Return the time until the next poll: the interval, or less if requested.

        Never zero, also for a request whose time has passed.
        """
        requested = timedelta(
            seconds=max(min(self._requested_by - now, 1e9), MIN_DELAY)
        )
        delay = min(interval, requested)
        self._due = now + delay.total_seconds()
        return delay

    def drop_request(self) -> None:
        """Discard the request: a poll begins, or there must be none."""
        self._requested_by = inf
