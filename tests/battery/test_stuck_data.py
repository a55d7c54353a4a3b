"""Replies that repeat themselves; no event loop, no radio."""

from __future__ import annotations

from custom_components.voltgo_vlrv.battery.stuck_data import (
    STUCK_AFTER,
    STUCK_SAMPLES,
    StuckDataDetector,
)

HALF_HOUR = STUCK_AFTER.total_seconds()


def test_same_replies_under_load_are_stuck_after_half_an_hour() -> None:
    """Not a second before."""
    detector = StuckDataDetector()
    assert not detector.add(b"a", 5.0, 0)
    assert not detector.add(b"a", 5.0, HALF_HOUR - 1)
    assert detector.add(b"a", 5.0, HALF_HOUR)


def test_same_replies_without_a_current_are_not_stuck() -> None:
    """A battery at rest may say the same for hours."""
    detector = StuckDataDetector()
    assert not any(detector.add(b"a", 0.0, 600.0 * turn) for turn in range(20))


def test_few_same_replies_are_not_stuck() -> None:
    """One that is read each hour has to repeat itself more than once."""
    detector = StuckDataDetector()
    results = [detector.add(b"a", -3.0, 3600.0 * turn) for turn in range(STUCK_SAMPLES)]
    assert results == [False] * (STUCK_SAMPLES - 1) + [True]


def test_another_reply_starts_the_time_again() -> None:
    """One register that changes proves that the battery is alive."""
    detector = StuckDataDetector()
    detector.add(b"a", 5.0, 0)
    detector.add(b"a", 5.0, HALF_HOUR - 1)
    assert not detector.add(b"b", 5.0, HALF_HOUR)
    assert not detector.add(b"b", 5.0, HALF_HOUR + 1)
    assert not detector.add(b"b", 5.0, 2 * HALF_HOUR - 1)
    assert detector.add(b"b", 5.0, 2 * HALF_HOUR)


def test_reset_starts_the_time_again() -> None:
    """A new connection may end it; that needs time to show."""
    detector = StuckDataDetector()
    for turn in range(STUCK_SAMPLES):
        detector.add(b"a", 5.0, HALF_HOUR * turn)
    detector.reset()
    assert not detector.add(b"a", 5.0, 10 * HALF_HOUR)
    assert not detector.add(b"a", 5.0, 11 * HALF_HOUR - 1)
    assert detector.add(b"a", 5.0, 11 * HALF_HOUR)
