"""A release and its end: a decision without a clock or a radio."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf
import time

import pytest

from custom_components.voltgo_vlrv.connection.release import ReleaseState, time_asleep

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG_AGO = datetime(1971, 1, 1, tzinfo=UTC)


def test_release_with_duration_has_an_end() -> None:
    """In UTC, and what remains of it falls to zero."""
    state = ReleaseState()
    state.release(HOUR, NOW, 100.0)
    assert state.released
    assert state.until == NOW + HOUR
    assert state.remaining(NOW + HOUR / 4, 1000.0) == 2700.0
    assert state.remaining(NOW + 2 * HOUR, 7300.0) == 0
    assert not state.follow_clock(NOW + HOUR / 4, 1000.0)


def test_release_without_duration_has_no_end() -> None:
    """It also replaces one that had an end."""
    state = ReleaseState()
    state.release(HOUR, NOW, 0.0)
    state.release(None, NOW, 0.0)
    assert state.released
    assert state.until is None
    assert state.remaining(NOW + 1000 * HOUR, 1e9) == inf


def test_resume_ends_the_release() -> None:
    """With its end."""
    state = ReleaseState()
    state.release(HOUR, NOW, 0.0)
    state.resume()
    assert not state.released
    assert state.until is None


def test_restore_without_end_stays_released() -> None:
    """Until the user resumes."""
    state = ReleaseState()
    state.restore(None, NOW, 0.0)
    assert (state.released, state.until) == (True, None)


def test_restore_before_the_end_keeps_the_end() -> None:
    """A restart neither shortens nor lengthens a release."""
    state = ReleaseState()
    state.restore(NOW + HOUR, NOW, 5.0)
    assert (state.released, state.until) == (True, NOW + HOUR)
    assert state.remaining(NOW, 5.0) == 3600.0


def test_restore_at_or_after_the_end_is_over() -> None:
    """Home Assistant was off for longer than that."""
    for end in (NOW, NOW - HOUR):
        state = ReleaseState()
        state.restore(end, NOW, 0.0)
        assert (state.released, state.until) == (False, None)


def test_clock_behind_at_the_start_ends_the_release_when_it_is_set() -> None:
    """A start in 1971 makes of one hour neither a day nor for ever."""
    state = ReleaseState()
    state.restore(NOW + HOUR, LONG_AGO, 0.0)
    assert state.released
    assert state.until == NOW + HOUR
    # Until the clock is set, it lasts a day at most: no release is longer.
    assert state.remaining(LONG_AGO, 0.0) == 86_400.0
    assert state.remaining(LONG_AGO + 24 * HOUR, 86_400.0) == 0
    # Two minutes later the clock is set: what remains is true again.
    assert state.remaining(NOW + HOUR / 2, 120.0) == 1800.0
    assert state.remaining(NOW + HOUR, 120.0) == 0


@pytest.mark.parametrize(
    ("began_after", "longest"),
    [
        (NOW - timedelta(minutes=5), timedelta(minutes=65)),
        (NOW - 30 * HOUR, 24 * HOUR),
        (
            LONG_AGO,
            24 * HOUR,
        ),  # the last sample was received with the clock behind, too
        (NOW + HOUR, 24 * HOUR),  # nonsense
        (NOW + 2 * HOUR, 24 * HOUR),
        (None, 24 * HOUR),
    ],
)
def test_clock_that_is_never_set_lets_a_release_last_as_long_as_it_may_have(
    began_after: datetime | None, longest: timedelta
) -> None:
    """The last sample before it tells that it had not begun yet."""
    state = ReleaseState()
    state.restore(NOW + HOUR, LONG_AGO, 50.0, began_after=began_after)
    assert state.until == NOW + HOUR
    seconds = longest.total_seconds()
    assert state.remaining(LONG_AGO, 50.0) == seconds
    assert state.remaining(LONG_AGO + longest, 50.0 + seconds) == 0


def test_clock_set_back_during_a_release_does_not_lengthen_it() -> None:
    """Loop time goes on."""
    state = ReleaseState()
    state.release(HOUR, NOW, 0.0)
    assert state.remaining(LONG_AGO, 1800.0) == 1800.0
    assert state.remaining(LONG_AGO, 3600.0) == 0


def test_clock_set_forward_during_a_release_does_not_end_it() -> None:
    """A release after a start in 1971 lasts as long as it should, and shows its end."""
    state = ReleaseState()
    state.release(HOUR, LONG_AGO, 100.0)
    assert state.remaining(NOW, 220.0) == 3480.0
    assert state.follow_clock(NOW, 220.0)
    assert state.until == NOW + HOUR - timedelta(minutes=2)
    assert not state.follow_clock(NOW + timedelta(minutes=1), 281.0)
    assert state.remaining(NOW + HOUR, 3700.0) == 0


def test_computer_that_slept_ends_a_release_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loop time stood still meanwhile; the time since the computer started did not."""
    clocks = {"CLOCK_BOOTTIME": 7300.0, "CLOCK_MONOTONIC": 100.0}
    for number, name in enumerate(clocks):
        monkeypatch.setattr(time, name, number, raising=False)
    monkeypatch.setattr(time, "clock_gettime", [*clocks.values()].__getitem__)
    assert time_asleep() == 7200.0
    state = ReleaseState()
    state.release(HOUR, NOW, 100.0)
    assert state.remaining(NOW + 2 * HOUR, 100.0 + time_asleep()) == 0
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert time_asleep() == 0


@pytest.mark.parametrize(
    ("set_by", "is_set"), [(5.0, False), (5.1, True), (-5.1, True)]
)
def test_clock_that_is_set_by_seconds_is_not_followed(
    set_by: float, is_set: bool
) -> None:
    """Both clocks are read one after the other, and drift."""
    state = ReleaseState()
    state.release(HOUR, NOW, 0.0)
    assert state.follow_clock(NOW + timedelta(seconds=set_by), 0.0) is is_set
    assert (state.until != NOW + HOUR) is is_set


def test_sleep_of_the_computer_is_told_in_tenths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two clocks are read one after the other, so it is never quite 0."""
    clocks = {time.CLOCK_BOOTTIME: 1012.34, time.CLOCK_MONOTONIC: 1000.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert time_asleep() == 12.3


@pytest.mark.parametrize("was_released", [False, True])
def test_battery_that_is_not_released_has_no_end(*, was_released: bool) -> None:
    """Before the first release, and after one that had an end."""
    state = ReleaseState()
    if was_released:
        state.release(timedelta(hours=1), NOW, 0.0)
        state.resume()
    assert (state.released, state.until) == (False, None)
    assert state.remaining(NOW, 0.0) == inf
    assert not state.follow_clock(NOW, 0.0)
