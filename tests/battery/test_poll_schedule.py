"""When one battery among several is polled; no event loop, no radio."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.battery.poll_schedule import (
    PollSchedule,
    next_poll_delay,
)

TEN = timedelta(seconds=10)


def test_delay_of_a_single_battery_is_the_interval() -> None:
    """It has no phase to keep."""
    assert next_poll_delay(0, 1, TEN, 123.4, 123.5) == TEN


@pytest.mark.parametrize(
    ("index", "now", "expected"), [(0, 100.0, 10.0), (1, 100.0, 5.0), (1, 101.0, 14.0)]
)
def test_delay_of_two_batteries_leads_to_their_phases(
    index: int, now: float, expected: float
) -> None:
    """Half an interval apart, at the phase nearest to a whole interval from now."""
    delay = next_poll_delay(index, 2, TEN, now, now)
    assert delay.total_seconds() == pytest.approx(expected)


@pytest.mark.parametrize(("took", "expected"), [(0.5, 9.5), (7.0, 3.0), (25.0, 1.0)])
def test_delay_after_a_poll_that_took_long_leads_to_the_same_phase(
    took: float, expected: float
) -> None:
    """A battery that waits for its turn loses no reading by it."""
    delay = next_poll_delay(0, 2, TEN, 100.0, 100.0 + took)
    assert delay.total_seconds() == pytest.approx(expected)


@given(
    count=st.integers(2, 16),
    seconds=st.integers(5, 3600),
    now=st.floats(0, 1e7),
    data=st.data(),
)
def test_delay_is_half_to_one_and_a_half_intervals_and_ends_at_the_phase(
    count: int, seconds: int, now: float, data: st.DataObject
) -> None:
    """Whatever the time is: no battery is skipped, none is polled twice."""
    index = data.draw(st.integers(0, count - 1))
    delay = next_poll_delay(index, count, timedelta(seconds=seconds), now, now)
    left = delay.total_seconds()
    assert seconds / 2 - 1e-3 <= left <= 1.5 * seconds + 1e-3
    off = (now + left - seconds * index / count) % seconds
    assert min(off, seconds - off) < 1e-3


def test_next_poll_without_a_request_is_after_the_interval() -> None:
    """A request that was dropped counts no more."""
    schedule = PollSchedule()
    assert schedule.next_delay(TEN, 100) == TEN
    schedule.request(103)
    schedule.drop_request()
    assert schedule.next_delay(TEN, 100) == TEN


def test_request_before_the_next_poll_comes_first() -> None:
    """One that is over by now is due at once; the soonest counts."""
    schedule = PollSchedule()
    assert not schedule.request(99)  # when none is scheduled
    schedule.drop_request()
    schedule.next_delay(TEN, 100)
    assert not schedule.request(111)
    assert not schedule.request(110)  # when it is due anyway
    assert schedule.request(104)
    assert schedule.next_delay(TEN, 101) == timedelta(seconds=3)
    assert not schedule.request(108)
    assert schedule.next_delay(TEN, 102) == timedelta(seconds=2)


@pytest.mark.parametrize("now", [104, 105, 1e6])
def test_request_whose_time_has_passed_is_due_at_once_but_never_zero(
    now: float,
) -> None:
    """Home Assistant stops polling at an interval of zero."""
    schedule = PollSchedule()
    schedule.next_delay(TEN, 100)
    schedule.request(104)
    assert timedelta() < schedule.next_delay(TEN, now) <= timedelta(seconds=0.01)
