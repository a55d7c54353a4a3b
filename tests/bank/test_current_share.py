"""Means over time."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from .test_aggregate import member
from custom_components.voltgo_vlrv.bank.aggregate import read_bank
from custom_components.voltgo_vlrv.bank.current_share import (
    MIN_AVERAGE_TIME,
    WINDOW,
    CurrentTrend,
    MovingAverage,
)


def test_moving_average_weights_each_value_by_its_time() -> None:
    """Not by how often it is reported."""
    average = MovingAverage()
    assert average.value is None
    average.add(0, 10)
    assert (average.value, average.covered) == (10, 0)
    average.add(30, 99)
    average.add(30, 0)
    average.add(60, 50)
    assert average.value == pytest.approx(5)
    assert average.covered == 60


def test_moving_average_after_one_window_has_a_third_of_the_old_value() -> None:
    """Old values fade out, they do not end abruptly."""
    average = MovingAverage()
    for time in range(0, 10_000, 10):
        average.add(time, 100)
    average.add(10_000, 0)
    average.add(10_000 + WINDOW, 0)
    assert average.value == pytest.approx(100 / 2.71828, rel=0.001)


def test_moving_average_with_a_time_that_goes_back_is_unchanged() -> None:
    """The value is held from then on."""
    average = MovingAverage()
    average.add(100, 10)
    average.add(50, 20)
    assert average.value == 20
    average.add(60, 0)
    assert average.value == 20


@given(
    st.lists(
        st.tuples(st.floats(0, 600), st.floats(-500, 500)), min_size=1, max_size=50
    )
)
def test_moving_average_of_any_values_is_between_them(
    steps: list[tuple[float, float]],
) -> None:
    """However they are spaced."""
    average = MovingAverage()
    time = 0.0
    for pause, value in steps:
        time += pause
        average.add(time, value)
    values = [value for _, value in steps]
    assert average.value is not None
    assert min(values) - 1e-9 <= average.value <= max(values) + 1e-9


def update(
    trend: CurrentTrend,
    now: float,
    *currents: float,
    last_values: bool = False,
    was_complete: bool = True,
) -> None:
    """Add a current of each member."""
    readings = [
        member(key, current=current)
        for key, current in zip("ABC", currents, strict=False)
    ]
    bank = read_bank(readings, len(currents), last_values=last_values)
    trend.update(now, bank, readings, 10.0, was_complete=was_complete)


def test_current_trend_is_known_after_the_least_time() -> None:
    """One battery that carries all of the current is off by a whole share."""
    trend = CurrentTrend()
    assert trend.imbalance is None
    update(trend, 0, 10.0, 0.0)
    update(trend, MIN_AVERAGE_TIME - 1, 10.0, 0.0)
    assert trend.imbalance is None
    update(trend, MIN_AVERAGE_TIME, 10.0, 0.0)
    assert trend.imbalance == 100
    assert trend.runtime.minutes_to_full is not None


def test_current_trend_with_another_set_of_members_starts_again() -> None:
    """The average of one that was there all the time says nothing of a new one."""
    trend = CurrentTrend()
    for now in (0, MIN_AVERAGE_TIME):
        update(trend, now, 10.0, 0.0)
    update(trend, MIN_AVERAGE_TIME + 1, 10.0, 0.0, 10.0)
    assert trend.imbalance is None


def test_current_trend_of_released_members_stays_while_it_was_complete() -> None:
    """The bank shows last values then; otherwise nothing is known."""
    for was_complete, imbalance in ((True, 100), (False, None)):
        trend = CurrentTrend()
        for now in (0, MIN_AVERAGE_TIME):
            update(trend, now, 10.0, 0.0)
        runtime = trend.runtime
        update(trend, 5000, 10.0, 0.0, last_values=True, was_complete=was_complete)
        assert trend.imbalance == imbalance
        assert (trend.runtime is runtime) is was_complete
