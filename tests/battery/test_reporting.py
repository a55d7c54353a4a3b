"""When a value that is one step off is shown."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.battery.reporting import (
    LATE,
    STANDING,
    WaitingValues,
    standing_limit,
)

INTERVAL = 10.0
STEP = 0.1


def shown(
    values: list[float], interval: float = INTERVAL, step: float = STEP
) -> list[float]:
    """Return what is shown of samples with a time between them."""
    waiting = WaitingValues(standing_limit(LATE * interval))
    found = [values[0]]
    for number, value in enumerate(values[1:], 1):
        now, last = number * interval, found[-1]
        if value == last:
            waiting.show("voltage")
        elif waiting.waits("voltage", now, value - last, step):
            value = last
        found.append(value)
    return found


def test_value_that_alternates_between_two_steps_is_shown_once() -> None:
    """One step back and forth is noise, however long it lasts."""
    assert shown([1.0, 1.1] * 50) == [1.0] * 100


def test_value_that_differs_by_more_than_a_step_is_shown_at_once() -> None:
    """Also when the steps add up over some samples."""
    assert shown([1.0, 1.2, 1.3, 1.4]) == [1.0, 1.2, 1.2, 1.4]


def test_value_that_stands_at_another_step_is_shown_within_a_minute() -> None:
    """Not at once, and it need not be the same step all the time."""
    assert shown([1.0, *[1.1] * 7]) == [1.0] * 6 + [1.1] * 2
    assert shown([1.0, *[1.1, 0.9] * 3]) == [1.0] * 6 + [0.9]


def test_value_that_returns_starts_the_minute_again() -> None:
    """A minute of noise is not a minute at another step."""
    assert shown([1.0, *[1.1] * 5, 1.0, *[1.1] * 5]) == [1.0] * 12


@pytest.mark.parametrize("interval", [40.0, 60.0, 3600.0])
def test_value_is_shown_at_once_where_the_next_sample_may_come_too_late(
    interval: float,
) -> None:
    """A late sample is noticed when it is late, not before."""
    assert standing_limit(LATE * interval) is None
    assert shown([1.0, 1.1, 1.0], interval) == [1.0, 1.1, 1.0]


def test_value_waits_as_long_as_if_it_were_the_only_one() -> None:
    """Each has its own minute."""
    waiting = WaitingValues(standing_limit(LATE * INTERVAL))
    assert waiting.waits("voltage", 0.0, 0.1, STEP)
    assert waiting.waits("current", 30.0, 0.1, STEP)
    assert not waiting.waits("voltage", 60.0, 0.1, STEP)
    assert waiting.waits("current", 60.0, 0.1, STEP)


def test_value_that_is_not_off_stays_shown_and_waits_no_more() -> None:
    """Also where no value may wait: what is shown is as right as the other."""
    waiting = WaitingValues(standing_limit(LATE * INTERVAL))
    assert waiting.waits("highest_cell", 0.0, 1, 1)
    assert waiting.waits("highest_cell", 50.0, 0, 1)
    assert waiting.waits("highest_cell", 60.0, 1, 1)
    assert not waiting.waits("highest_cell", 106.0, 1, 1)
    assert WaitingValues().waits("highest_cell", 0.0, 0, 1)


def test_value_that_is_off_does_not_wait_where_every_change_is_wanted() -> None:
    """The limit stays that of the samples."""
    waiting = WaitingValues(standing_limit(LATE * INTERVAL), every_change=True)
    assert not waiting.waits("voltage", 0.0, 0.1, STEP)


@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=60),
    st.sampled_from([5.0, 10.0, 25.0, 30.0, 39.0, 40.0, 59.0, 300.0]),
    st.sampled_from([0.01, 0.1, 1.0, 2.0, 5.5]),
)
def test_shown_value_is_within_a_step_and_exact_before_a_minute(
    samples: list[int], interval: float, step: float
) -> None:
    """Whatever the samples are, however far apart, and also when no other one comes."""
    values = [sample * step for sample in samples]
    off_since = None
    for number, (value, found) in enumerate(
        zip(values, shown(values, interval, step), strict=True)
    ):
        now = number * interval
        assert abs(found - value) <= step * 1.01
        if found == value:
            off_since = None
        else:
            off_since = now if off_since is None else off_since
            # Then the next sample is late, and every value is shown exactly.
            assert now + LATE * interval - off_since <= STANDING
