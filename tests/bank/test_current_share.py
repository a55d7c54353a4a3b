"""Means over time."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.bank.current_share import WINDOW, MovingAverage


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
