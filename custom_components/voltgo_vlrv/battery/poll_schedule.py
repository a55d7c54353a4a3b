"""When several batteries are polled: each at a phase of its own."""

from __future__ import annotations

from datetime import timedelta


def next_poll_delay(
    index: int, count: int, interval: timedelta, now: float
) -> timedelta:
    """Return the time until battery `index` (0 first) of `count` is polled next.

    Polls are spread over the interval, so that radio and processor are not wanted by
    all batteries at once. The delay is the one to the battery's phase that is nearest
    to a whole interval: half to one and a half intervals. `now` is loop time in s.
    """
    if count < 2:
        return interval
    seconds = interval.total_seconds()
    phase = seconds * index / count
    left = (phase - now) % seconds
    return timedelta(seconds=left if left >= seconds / 2 else left + seconds)
