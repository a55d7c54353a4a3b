"""The arithmetic of the start's benchmark; what it measures is no matter of a test."""

from __future__ import annotations

import asyncio

import pytest

from script.benchmarks.start import SetUp, Start, fastest, missed, timed_steps

FLOOR = SetUp(200.0, 200.0)


def test_fastest_set_up_takes_the_least_of_each() -> None:
    """Total and longest block may be of different rounds."""
    set_ups = [SetUp(300.0, 9.0), SetUp(280.0, 14.0), SetUp(290.0, 8.0)]
    assert fastest(set_ups) == SetUp(280.0, 8.0)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (SetUp(300.0, 20.0), []),
        (SetUp(301.0, 1.0), ["start_ratio is 1.505, must be at most 1.5"]),
        (SetUp(200.0, 20.1), ["longest_block_ms is 20.10, must be at most 20"]),
    ],
)
def test_targets_are_met_up_to_their_limits(ours: SetUp, expected: list[str]) -> None:
    """Each by itself; the empty integration may block for longer."""
    assert list(missed(Start(ours, FLOOR))) == expected


def test_start_line_has_a_fixed_form() -> None:
    """Names, order and form are fixed."""
    assert str(Start(SetUp(265.0, 13.26), FLOOR)) == (
        "start start_ratio=1.325 longest_block_ms=13.26"
    )


async def test_timed_steps_are_those_that_end_inside() -> None:
    """One for each step, and none once the measurement is over."""
    with timed_steps() as steps:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(steps) == 1
    await asyncio.sleep(0)
    assert len(steps) == 2
    assert all(nanoseconds >= 0 for nanoseconds in steps)
