"""A release and its end: a decision without a clock or a radio."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from custom_components.voltgo_vlrv.connection.release import ReleaseState

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_release_with_duration_has_an_end() -> None:
    """In UTC, and what remains of it falls to zero."""
    state = ReleaseState()
    state.release(HOUR, NOW)
    assert state.released
    assert state.until == NOW + HOUR
    assert state.remaining(NOW + HOUR / 4) == HOUR * 3 / 4
    assert state.remaining(NOW + 2 * HOUR) == timedelta()


def test_release_without_duration_has_no_end() -> None:
    """It also replaces one that had an end."""
    state = ReleaseState()
    state.release(HOUR, NOW)
    state.release(None, NOW)
    assert state.released
    assert state.until is None
    assert state.remaining(NOW) is None


def test_resume_ends_the_release() -> None:
    """With its end."""
    state = ReleaseState()
    state.release(HOUR, NOW)
    state.resume()
    assert not state.released
    assert state.until is None


def test_restore_without_end_stays_released() -> None:
    """Until the user resumes."""
    state = ReleaseState()
    state.restore(None, NOW)
    assert (state.released, state.until) == (True, None)


def test_restore_before_the_end_keeps_the_end() -> None:
    """A restart neither shortens nor lengthens a release."""
    state = ReleaseState()
    state.restore(NOW + HOUR, NOW)
    assert (state.released, state.until) == (True, NOW + HOUR)


def test_restore_at_or_after_the_end_is_over() -> None:
    """Home Assistant was off for longer than that."""
    for end in (NOW, NOW - HOUR):
        state = ReleaseState()
        state.restore(end, NOW)
        assert (state.released, state.until) == (False, None)


def test_restore_with_a_clock_that_is_years_behind_lasts_a_day_at_most() -> None:
    """No release is longer than that."""
    state = ReleaseState()
    state.restore(NOW, datetime(1971, 1, 1, tzinfo=UTC))
    assert state.released
    remaining = state.remaining(datetime(1971, 1, 1, tzinfo=UTC))
    assert remaining == timedelta(hours=24)
