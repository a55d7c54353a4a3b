"""When to reconnect a battery after failed attempts and lost connections."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Final

from ..const import MAX_AGE, MAX_BACKOFF, POLL_INTERVAL

# Up to so many short-lived connections in a row, the battery is reconnected at once.
MAX_SHORT_CONNECTIONS: Final = 3
# A connection that lasted this long was not short-lived.
STABLE_AFTER: Final = timedelta(minutes=1)
# So long it takes at most until the first advertisement after a connection is reported.
JUST_LOST: Final = timedelta(seconds=3)
# Without another loss for this long, short-lived connections no longer count.
SHORT_CONNECTION_RESET: Final = 2 * MAX_BACKOFF
# Attempts in a row without a free slot until there is a repair issue: a slot may become
# free a moment after the first.
MAX_SLOT_FAILURES: Final = 2


class ReconnectBackoff:
    """Counts failed attempts and short-lived connections of one battery.

    All times are those of the event loop in s; delays count from `now`.
    """

    def __init__(self) -> None:
        """Start without any failure."""
        self.attempt_started = 0.0
        """When the last attempt to connect began."""
        self.attempt_ended = 0.0
        """When it ended; while connected, when the connection was made."""
        self.received_sample = False
        """Whether the current or last connection delivered a sample."""
        self._failures = 0
        self._short_connections = 0
        self._slot_failures = 0
        self._last_loss = -inf
        self._loss_counted = False
        self._unresponsive_since: float | None = None

    @property
    def is_unstable(self) -> bool:
        """Return whether more than MAX_SHORT_CONNECTIONS in a row were short-lived."""
        return self._short_connections > MAX_SHORT_CONNECTIONS

    @property
    def has_failed(self) -> bool:
        """Return whether the last attempt has failed, or connections are unstable."""
        return bool(self._failures) or self.is_unstable

    @property
    def is_repeated(self) -> bool:
        """Return whether more than one attempt in a row has failed."""
        return self._failures > 1

    @property
    def lacks_slots(self) -> bool:
        """Return whether attempts in a row found no free slot."""
        return self._slot_failures >= MAX_SLOT_FAILURES

    def begin_attempt(self, now: float) -> None:
        """Record the start of an attempt to connect."""
        self.attempt_started = now
        self._loss_counted = self.received_sample = False

    def end_attempt(self, now: float) -> None:
        """Record the end of an attempt, successful or not."""
        self.attempt_ended = now

    def connected(self) -> bool:
        """Record a connection; return whether it ends the earlier failures.

        It does not if connections are short-lived, or if the battery did not reply on
        the last one.
        """
        self._slot_failures = 0
        if self.is_unstable or self._unresponsive_since is not None:
            return False
        self._failures = 0
        return True

    def was_just_lost(self, now: float) -> bool:
        """Return whether the connection was lost so lately that it may not advertise yet."""
        return now - self._last_loss < JUST_LOST.total_seconds()

    def disconnected_on_purpose(self) -> None:
        """Record a planned disconnect: the connection lasted as long as needed."""
        self._short_connections = 0

    def connection_lost(self, now: float) -> None:
        """Count the loss of a connection, once for each connection."""
        if self._loss_counted:
            return
        self._loss_counted = True
        self._last_loss = now
        if now - self.attempt_ended < STABLE_AFTER.total_seconds():
            self._short_connections += 1
        else:
            self._short_connections = 0

    def attempt_failed(self, *, no_slot: bool) -> timedelta:
        """Count a failed attempt, or a poll that lost the connection; return the delay."""
        self._failures += 1
        self._slot_failures = self._slot_failures + 1 if no_slot else 0
        return exponential_backoff(max(self._failures, self._short_connections))

    def reply_missing(self, now: float) -> bool:
        """Record a poll without a usable reply; return whether that lasts too long."""
        self._slot_failures = 0
        if self._unresponsive_since is None:
            self._unresponsive_since = now
        return now - self._unresponsive_since >= MAX_AGE.total_seconds()

    def sample_received(self, now: float) -> None:
        """Record a sample: the connection works."""
        self._failures = 0
        self.received_sample = True
        self._unresponsive_since = None
        if now - self.attempt_ended >= STABLE_AFTER.total_seconds():
            self._short_connections = 0

    def delay_while_unstable(
        self, interval: timedelta, max_age: timedelta
    ) -> timedelta:
        """Return the delay after a short-lived connection.

        If it delivered a sample, at least `interval`, and otherwise less than `max_age`,
        so that the sample does not expire before the next one.
        """
        delay = exponential_backoff(self._short_connections - MAX_SHORT_CONNECTIONS)
        if not self.received_sample:
            return delay
        return max(min(delay, max_age / 2), interval)

    def delay_after_advertisement(
        self,
        now: float,
        interval: timedelta,
        max_age: timedelta,
        *,
        failed: bool,
    ) -> timedelta:
        """Return the delay from an advertisement to the next poll; zero or less for now.

        If the last attempt has `failed`, as long as it took, 10 s at most, so that the
        other batteries can use the radio.
        """
        if now - self._last_loss > SHORT_CONNECTION_RESET.total_seconds():
            self._short_connections = 0
        if self.is_unstable:
            # An advertisement does not prove that the connection is stable again.
            delay = self.delay_while_unstable(interval, max_age)
        else:
            self._failures = 0
            duration = timedelta(seconds=self.attempt_ended - self.attempt_started)
            delay = min(duration, POLL_INTERVAL) if failed else timedelta()
        return delay - timedelta(seconds=now - self.attempt_ended)

    def reset(self) -> None:
        """Clear all counters, as after a release."""
        self._failures = self._slot_failures = self._short_connections = 0
        self._unresponsive_since = None


def exponential_backoff(failures: int) -> timedelta:
    """Return the delay after so many failures in a row: 10 s doubling to 5 minutes."""
    return min(POLL_INTERVAL * (1 << min(max(failures - 1, 0), 8)), MAX_BACKOFF)
