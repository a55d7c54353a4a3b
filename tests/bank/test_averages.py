"""Means over time, and a current that is fit for estimates."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.bank.averages import (
    SETTLE,
    WINDOW,
    Average,
    SteadyCurrent,
)

POLL = 10.0  # s
IDLE = 1.0  # A


def test_a_value_holds_until_the_next_one() -> None:
    """By time, not by how often it is told."""
    average = Average()
    assert average.value is None
    average.add(0, 10)
    assert (average.value, average.covered) == (10, 0)
    average.add(30, 99)
    average.add(30, 0)
    average.add(60, 50)
    assert average.value == pytest.approx(5)
    assert average.covered == 60


def test_after_a_while_old_values_are_forgotten() -> None:
    """Not abruptly: a third is left after one window."""
    average = Average()
    for time in range(0, 10_000, 10):
        average.add(time, 100)
    average.add(10_000, 0)
    average.add(10_000 + WINDOW, 0)
    assert average.value == pytest.approx(100 / 2.71828, rel=0.001)


def test_a_clock_that_goes_back_counts_nothing() -> None:
    """The value is held from then on."""
    average = Average()
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
def test_a_mean_lies_between_its_values(steps: list[tuple[float, float]]) -> None:
    """However they are spaced."""
    average = Average()
    time = 0.0
    for pause, value in steps:
        time += pause
        average.add(time, value)
    values = [value for _, value in steps]
    assert average.value is not None
    assert min(values) - 1e-9 <= average.value <= max(values) + 1e-9


def run(
    steady: SteadyCurrent,
    start: float,
    seconds: float,
    current: float,
    noise: float = 0,
) -> list[float | None]:
    """Return the smoothed current after each poll of a load."""
    random = Random(1)
    values = []
    time = start
    while time < start + seconds:
        steady.add(time, current * (1 + random.uniform(-noise, noise)), IDLE)
        values.append(steady.value)
        time += POLL
    return values


def test_a_load_shows_at_once_when_nothing_flowed_before() -> None:
    """The mean with nothing would promise days."""
    steady = SteadyCurrent()
    assert steady.value is None
    assert run(steady, 0, 600, 0)[-1] == 0
    assert run(steady, 600, 10, -40) == [-40]


def test_another_load_counts_as_soon_as_it_has_settled() -> None:
    """And a peak does not."""
    steady = SteadyCurrent()
    run(steady, 0, 3600, -10)
    peak = run(steady, 3600, 60, -100)[-1]
    assert peak is not None
    assert -30 < peak < -10
    back = run(steady, 3660, 600, -10)[-1]
    assert back == pytest.approx(-10, rel=0.2)
    settled = run(steady, 4260, SETTLE + POLL, -100)
    assert settled[-1] == pytest.approx(-100)


def test_a_change_of_direction_is_unknown_until_it_has_settled() -> None:
    """A cloud does not turn "full in two hours" into "empty in a day" and back."""
    steady = SteadyCurrent()
    run(steady, 0, 3600, 20)
    cloud = run(steady, 3600, 50, -5)
    assert set(cloud) == {None}
    sun = run(steady, 3650, 60, 20)
    assert all(value is not None and value > 10 for value in sun)
    night = run(steady, 3710, SETTLE + POLL, -5)
    assert night[:5] == [None] * 5
    assert night[-1] == pytest.approx(-5)


@pytest.mark.parametrize("before", [0.0, -2.0, -9.0, -12.0, -30.0, -200.0, 50.0])
def test_a_steady_load_moves_an_estimate_slowly(before: float) -> None:
    """By less than a fifth in a minute, once it is steady, and whatever was before.

    An estimate is a charge divided by this current.
    """
    steady = SteadyCurrent()
    run(steady, 0, 1800, before, noise=0.05)
    values = run(steady, 1800, 3600, -10.0, noise=0.1)
    settled = values[int(SETTLE / POLL) + 1 :]
    assert None not in settled
    for earlier, later in pairwise(settled[:: int(60 / POLL)]):
        assert later is not None
        assert earlier is not None
        assert abs(earlier / later - 1) < 0.2
    assert settled[-1] == pytest.approx(-10, rel=0.1)
