"""Delays after failed attempts and lost connections: a decision without a radio."""

from __future__ import annotations

from datetime import timedelta

import pytest

from custom_components.voltgo_vlrv.connection.backoff import (
    MAX_SLOT_FAILURES,
    ReconnectBackoff,
    exponential_backoff,
)

INTERVAL = timedelta(seconds=10)
MAX_AGE = timedelta(seconds=60)
MINUTE = 60.0


def seconds(delay: timedelta) -> float:
    """Return a delay in s."""
    return delay.total_seconds()


def lose(backoff: ReconnectBackoff, now: float, lasted: float, *, sample: bool) -> None:
    """Make a connection at `now`, and lose it `lasted` s later."""
    backoff.begin_attempt(now)
    backoff.end_attempt(now)
    backoff.connected()
    if sample:
        backoff.sample_received(now)
    backoff.connection_lost(now + lasted)


def unstable(*, sample: bool = True, connections: int = 4) -> ReconnectBackoff:
    """Return the backoff after so many connections of 1 s, each 10 s after the other."""
    backoff = ReconnectBackoff()
    for number in range(connections):
        lose(backoff, 10.0 * number, 1.0, sample=sample)
    return backoff


def assert_counts_from_zero(backoff: ReconnectBackoff, now: float) -> None:
    """Check that from `now` on three more connections may be short-lived, and no fourth."""
    for expected in (False, False, False, True):
        now += 10
        lose(backoff, now, 1.0, sample=False)
        assert backoff.is_unstable is expected


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(-3, 10), (0, 10), (1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (10_000, 300)],
)
def test_exponential_backoff_failures_doubles_up_to_five_minutes(
    failures: int, expected: float
) -> None:
    """Also for a count that has grown for weeks."""
    assert seconds(exponential_backoff(failures)) == expected


def test_backoff_failed_attempts_in_a_row_doubles_the_delay() -> None:
    """And starts at 10 s again after a connection."""
    backoff = ReconnectBackoff()
    delays = [seconds(backoff.attempt_failed(no_slot=False)) for _ in range(4)]
    assert delays == [10, 20, 40, 80]
    assert backoff.is_repeated
    assert backoff.connected()
    assert not backoff.is_repeated
    assert seconds(backoff.attempt_failed(no_slot=False)) == 10


def test_backoff_sample_clears_failures() -> None:
    """A connection that remained delivers one after a failed poll."""
    backoff = ReconnectBackoff()
    for _ in range(3):
        backoff.attempt_failed(no_slot=False)
    backoff.sample_received(5.0)
    assert seconds(backoff.attempt_failed(no_slot=False)) == 10


@pytest.mark.parametrize(
    ("connections", "expected"), [(3, False), (4, True), (9, True)]
)
def test_backoff_short_connections_unstable_after_three(
    connections: int, expected: bool
) -> None:
    """Whether they delivered a sample or not."""
    for sample in (True, False):
        backoff = unstable(sample=sample, connections=connections)
        assert backoff.is_unstable is expected


@pytest.mark.parametrize(("lasted", "expected"), [(59.9, True), (60.0, False)])
def test_backoff_connection_of_a_minute_counts_as_stable(
    lasted: float, expected: bool
) -> None:
    """One such connection clears those before it."""
    backoff = unstable()
    lose(backoff, 100.0, lasted, sample=False)
    assert backoff.is_unstable is expected
    if not expected:
        assert_counts_from_zero(backoff, 160.0)


def test_backoff_loss_reported_twice_counts_once() -> None:
    """By the Bluetooth stack and by the poll that failed."""
    backoff = unstable(connections=3)
    backoff.connection_lost(21.5)
    backoff.connection_lost(22.0)
    assert not backoff.is_unstable


def test_backoff_short_connections_lengthen_the_delay_of_a_failed_poll() -> None:
    """The poll that lost the connection must not be repeated at once."""
    backoff = unstable(sample=False, connections=5)
    assert seconds(backoff.attempt_failed(no_slot=False)) == 160


def test_backoff_connection_while_unstable_proves_nothing() -> None:
    """Failures stay until a sample or a stable connection."""
    backoff = unstable(sample=False)
    backoff.attempt_failed(no_slot=False)
    backoff.attempt_failed(no_slot=False)
    assert not backoff.connected()
    assert backoff.is_repeated


def test_backoff_sample_after_a_minute_ends_instability() -> None:
    """A sample of a connection that has lasted; an early one does not."""
    backoff = unstable()
    backoff.begin_attempt(100.0)
    backoff.end_attempt(100.0)
    backoff.sample_received(159.0)
    assert backoff.is_unstable
    backoff.sample_received(160.0)
    assert not backoff.is_unstable
    assert_counts_from_zero(backoff, 160.0)


def test_backoff_disconnect_on_purpose_ends_instability() -> None:
    """Such a connection lasted as long as it was needed."""
    backoff = unstable()
    backoff.disconnected_on_purpose()
    assert not backoff.is_unstable
    assert_counts_from_zero(backoff, 100.0)


@pytest.mark.parametrize(
    ("connections", "expected"), [(4, 10), (5, 20), (6, 40), (9, 300)]
)
def test_unstable_delay_without_sample_doubles(
    connections: int, expected: float
) -> None:
    """Such connections cost the radio as much as failed attempts."""
    backoff = unstable(sample=False, connections=connections)
    assert seconds(backoff.delay_while_unstable(INTERVAL, MAX_AGE)) == expected


@pytest.mark.parametrize(
    ("connections", "interval", "max_age", "expected"),
    [
        (4, 10, 60, 10),
        (5, 10, 60, 20),
        (6, 10, 60, 30),
        (9, 10, 60, 30),
        (9, 10, 3600, 300),
        (4, 600, 2400, 600),
        (9, 5, 30, 15),
    ],
)
def test_unstable_delay_with_sample_keeps_values_fresh(
    connections: int, interval: float, max_age: float, expected: float
) -> None:
    """Half the age a sample may have at most, and never before the interval."""
    delay = unstable(connections=connections).delay_while_unstable(
        timedelta(seconds=interval), timedelta(seconds=max_age)
    )
    assert seconds(delay) == expected


def advertisement(
    backoff: ReconnectBackoff, now: float, *, failed: bool = False
) -> float:
    """Return the delay after an advertisement at `now`, in s."""
    return seconds(
        backoff.delay_after_advertisement(now, INTERVAL, MAX_AGE, failed=failed)
    )


def test_advertisement_after_a_loss_connects_at_once() -> None:
    """The battery is there, and nothing speaks against it."""
    backoff = ReconnectBackoff()
    lose(backoff, 10.0, 300.0, sample=True)
    assert advertisement(backoff, 311.0) <= 0


@pytest.mark.parametrize(("duration", "expected"), [(0.5, 0.5), (4, 4), (40, 10)])
def test_advertisement_after_a_failed_attempt_waits_as_long_as_that_took(
    duration: float, expected: float
) -> None:
    """At most 10 s, for the sake of the other batteries."""
    backoff = ReconnectBackoff()
    backoff.begin_attempt(100.0)
    backoff.end_attempt(100.0 + duration)
    backoff.attempt_failed(no_slot=False)
    now = 100.0 + duration
    assert advertisement(backoff, now, failed=True) == pytest.approx(expected)
    assert advertisement(backoff, now, failed=False) <= 0


def test_advertisement_clears_failures() -> None:
    """A battery that is back is not treated as one that was away for hours."""
    backoff = ReconnectBackoff()
    for _ in range(5):
        backoff.attempt_failed(no_slot=False)
    advertisement(backoff, 1000.0, failed=True)
    assert seconds(backoff.attempt_failed(no_slot=False)) == 10


def test_advertisement_while_unstable_keeps_the_delay() -> None:
    """It does not prove that the connection is stable again."""
    backoff = unstable(sample=False, connections=6)
    # The last attempt ended at 50 s; the delay is 40 s.
    assert advertisement(backoff, 51.0) == pytest.approx(39.0)
    assert advertisement(backoff, 90.0) == pytest.approx(0.0)


@pytest.mark.parametrize(("quiet", "expected"), [(600.0, True), (600.1, False)])
def test_advertisement_ten_minutes_after_the_last_loss_ends_instability(
    quiet: float, expected: bool
) -> None:
    """A vehicle that comes home is not judged by what was on the road."""
    backoff = unstable()
    advertisement(backoff, 31.0 + quiet)
    assert backoff.is_unstable is expected
    if not expected:
        assert_counts_from_zero(backoff, 31.0 + quiet)


def test_missing_replies_for_a_minute_are_unresponsive() -> None:
    """One poll without a reply is nothing; a sample begins the time again."""
    backoff = ReconnectBackoff()
    assert not backoff.reply_missing(100.0)
    assert not backoff.reply_missing(159.9)
    assert backoff.reply_missing(160.0)
    assert not backoff.connected()  # it proves nothing about replies
    backoff.sample_received(161.0)
    assert backoff.connected()
    assert not backoff.reply_missing(170.0)


def test_slot_failures_in_a_row_lack_slots() -> None:
    """Any other failure in between, or a connection, begins the count again."""
    backoff = ReconnectBackoff()
    backoff.attempt_failed(no_slot=True)
    assert not backoff.lacks_slots
    backoff.attempt_failed(no_slot=False)
    backoff.attempt_failed(no_slot=True)
    assert not backoff.lacks_slots
    backoff.reply_missing(1.0)
    backoff.attempt_failed(no_slot=True)
    assert not backoff.lacks_slots
    backoff.connected()
    backoff.attempt_failed(no_slot=True)
    assert not backoff.lacks_slots
    backoff.attempt_failed(no_slot=True)
    assert backoff.lacks_slots


def test_reset_forgets_all_failures() -> None:
    """As after a release: what was before says nothing about the next connection."""
    backoff = unstable(sample=False, connections=6)
    backoff.attempt_failed(no_slot=True)
    backoff.attempt_failed(no_slot=True)
    backoff.reply_missing(0.0)
    backoff.reset()
    assert not backoff.is_unstable
    assert not backoff.lacks_slots
    assert not backoff.is_repeated
    assert backoff.connected()
    assert not backoff.reply_missing(1000.0)
    assert seconds(backoff.attempt_failed(no_slot=False)) == 10


def test_attempts_that_fail_are_repeated_from_the_second_on() -> None:
    """One that fails may be chance, and is not shown yet."""
    backoff = ReconnectBackoff()
    assert (backoff.has_failed, backoff.is_repeated) == (False, False)
    backoff.attempt_failed(no_slot=False)
    assert (backoff.has_failed, backoff.is_repeated) == (True, False)
    backoff.attempt_failed(no_slot=False)
    assert (backoff.has_failed, backoff.is_repeated) == (True, True)


def test_slot_failures_count_in_a_row_only() -> None:
    """A connection, a missing reply and another failure end the row."""
    for end in (
        lambda backoff: backoff.connected(),
        lambda backoff: backoff.reply_missing(0.0),
        lambda backoff: backoff.attempt_failed(no_slot=False),
    ):
        backoff = ReconnectBackoff()
        for _ in range(MAX_SLOT_FAILURES - 1):
            backoff.attempt_failed(no_slot=True)
        end(backoff)
        backoff.attempt_failed(no_slot=True)
        assert not backoff.lacks_slots
        for _ in range(MAX_SLOT_FAILURES - 1):
            backoff.attempt_failed(no_slot=True)
        assert backoff.lacks_slots


def test_reset_forgets_every_failure() -> None:
    """As after a release: the next attempt is the first."""
    backoff = unstable(sample=False)
    for _ in range(MAX_SLOT_FAILURES):
        backoff.attempt_failed(no_slot=True)
    backoff.reply_missing(0.0)
    backoff.reset()
    assert not (backoff.has_failed or backoff.is_unstable or backoff.lacks_slots)
    assert backoff.connected()
    fresh = ReconnectBackoff()
    for _ in range(MAX_SLOT_FAILURES - 1):
        assert backoff.attempt_failed(no_slot=True) == fresh.attempt_failed(
            no_slot=True
        )
        assert backoff.lacks_slots is fresh.lacks_slots is False


@pytest.mark.parametrize(
    ("after", "expected"), [(0.0, True), (2.9, True), (3.0, False)]
)
def test_loss_of_a_moment_ago_waits_for_an_advertisement(
    after: float, expected: bool
) -> None:
    """The first one is reported within that time, if the battery is in range."""
    backoff = ReconnectBackoff()
    assert not backoff.was_just_lost(0.0)
    backoff.connection_lost(100.0)
    assert backoff.was_just_lost(100.0 + after) is expected
