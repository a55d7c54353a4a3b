"""The arithmetic of the air benchmark; what it measures is no matter of a test."""

from __future__ import annotations

import pytest

from script.benchmarks.air import Air, Crowd, missed, worst


def crowd(*readings: int, unavailable: float = 0.0, connects: int = 0) -> Crowd:
    """Return an hour of batteries with so many readings."""
    return Crowd(1, 4.0, readings, unavailable, connects)


def test_crowd_compares_the_least_with_the_mean() -> None:
    """One battery that is left out shows, however many there are."""
    measured = crowd(90, 120, 120, 150, connects=240)
    assert measured.fairness == 0.75
    assert measured.round_seconds == 40.0
    assert measured.connects_per_reading == 0.5


def test_crowd_without_any_reading_is_as_bad_as_can_be() -> None:
    """Not an error of the arithmetic."""
    measured = crowd(0, 0, connects=10)
    assert measured.fairness == 0.0
    assert measured.connects_per_reading == 10.0


def test_worst_leaves_gaps_of_rounds_that_are_too_long_out() -> None:
    """They are no target; fairness and connects are, however long a round takes."""
    slow = crowd(50, 60, unavailable=0.3, connects=110)
    quick = crowd(200, 200, unavailable=0.01, connects=200)
    assert worst([slow, quick]) == Air(
        slow.fairness, quick.unavailable, slow.connects_per_reading
    )
    assert worst([slow]).unavailable == 0.0


@pytest.mark.parametrize(
    ("air", "names"),
    [
        (Air(0.8, 0.0, 1.0), []),
        (Air(0.79, 0.0, 1.0), ["fairness"]),
        (Air(0.8, 0.0001, 1.0), ["unavailable"]),
        (Air(0.8, 0.0, 1.001), ["connects_per_reading"]),
    ],
)
def test_air_beyond_a_target_is_named(air: Air, names: list[str]) -> None:
    """And nothing else is."""
    assert [each.split()[0] for each in missed(air)] == names


def test_air_line_has_a_fixed_form() -> None:
    """Names, order and form are fixed."""
    assert str(Air(0.915, 0.0, 0.999)) == (
        "air fairness=0.92 unavailable=0.0000 connects_per_reading=1.00"
    )
