"""Moving average, and time to empty and to full."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.charge import Charge, total_charge
from custom_components.voltgo_vlrv.history.runtime import (
    MAX_MINUTES,
    SETTLING,
    TIME_CONSTANT,
    Runtime,
    SmoothedCurrent,
    as_hours,
    shown_minutes,
)
from tests.common import POLL_INTERVAL
from tests.history.common import HOUR


def smoothed(
    samples: Iterable[tuple[float, float]], interval: float = POLL_INTERVAL
) -> SmoothedCurrent:
    """Return what samples of time and current lead to."""
    current = SmoothedCurrent()
    for time, amperes in samples:
        current.add(time, amperes, interval)
    return current


def every(
    interval: float, seconds: float, amperes: float, start: float = 0.0
) -> list[tuple[float, float]]:
    """Return samples of a steady current, from `start` on, for some seconds."""
    count = int(seconds / interval)
    return [(start + number * interval, amperes) for number in range(count + 1)]


@pytest.mark.parametrize("interval", [5.0, 10.0, 30.0])
def test_average_current_after_a_step_depends_on_time_not_samples(
    interval: float,
) -> None:
    """After the time constant, as far as with any other interval."""
    steady = every(interval, HOUR, -10.0)
    step = every(interval, TIME_CONSTANT, -50.0, HOUR + interval)
    found = smoothed(steady + step[:-1], interval).value
    assert found == pytest.approx(-10 - 40 * (1 - 0.3679), rel=0.01)


def test_average_current_with_one_sample_an_hour_is_the_last() -> None:
    """Nothing is known in between, and minutes later the old one would be wrong."""
    current = smoothed(every(HOUR, 5 * HOUR, -10.0), HOUR)
    current.add(6 * HOUR, -40.0, HOUR)
    assert current.value == pytest.approx(-40, rel=1e-6)


def test_average_current_of_a_first_sample_depends_on_the_interval() -> None:
    """It is used if the next is an hour away, but not if it is ten seconds away."""
    assert smoothed([(0, -10.0)], HOUR).value == -10
    assert smoothed([(0, -10.0)], SETTLING).value == -10
    assert smoothed([(0, -10.0)], SETTLING - 1).value is None
    assert smoothed([(0, -10.0)]).value is None


@pytest.mark.parametrize("before", [10.0, 0.0, -0.9])
def test_average_current_after_a_change_of_direction_restarts(before: float) -> None:
    """With a pause, as it may be over in a moment, and without a trace of before."""
    current = smoothed(every(POLL_INTERVAL, HOUR, before))
    seen = []
    for number in range(1, 9):
        current.add(HOUR + number * POLL_INTERVAL, -20.0, POLL_INTERVAL)
        assert current.direction == -1
        seen.append(current.value)
    assert seen[: int(SETTLING / POLL_INTERVAL) - 1] == [None] * 5
    assert seen[5:] == [pytest.approx(-20)] * 3


@pytest.mark.parametrize(("interval", "settled"), [(10.0, 60.0), (300.0, 300.0)])
def test_average_current_of_a_bank_waits_for_all_batteries(
    interval: float, settled: float
) -> None:
    """They are read one after the other: until then, old and new currents are added."""
    current = SmoothedCurrent()
    current.add(0, 0.0, interval, 2)
    known: list[float] = []
    for number in range(1, 5):
        time = number * interval / 2
        # The second one has nothing new to say before its turn.
        current.add(time, -10.0 if number == 1 else -20.0, interval, 2)
        if current.value is not None:
            known.append(time)
    assert known == [
        time for time in (interval / 2 * n for n in range(1, 5)) if time >= settled
    ]


@pytest.mark.parametrize(("amperes", "flows"), [(-3.9, False), (-4.0, True)])
def test_average_current_threshold_grows_with_the_batteries(
    amperes: float, flows: bool
) -> None:
    """Each may read 0 below about an ampere."""
    current = SmoothedCurrent()
    for time, _ in every(POLL_INTERVAL, 2 * SETTLING, amperes):
        current.add(time, amperes, POLL_INTERVAL, 4)
    assert (current.value is not None) is flows


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], None),
        ([Charge(50, 50, 51, 100), None], None),
        (
            [Charge(50, 50, 51, 100), Charge(20, 19.5, 20.5, 200)],
            Charge(70, 69.5, 71.5, 300),
        ),
        (
            [Charge(50, 50, 51, None), Charge(20, 19.5, 20.5, 200)],
            Charge(70, 69.5, 71.5, None),
        ),
    ],
)
def test_charge_of_parallel_batteries_is_the_sum(
    parts: list[Charge | None], whole: Charge | None
) -> None:
    """As long as all are known."""
    assert total_charge(parts) == whole


@pytest.mark.parametrize("amperes", [0.0, 0.3, 0.99, -0.99])
def test_average_current_while_idle_is_unknown(amperes: float) -> None:
    """Below the dead zone of the batteries, however long."""
    current = smoothed(every(POLL_INTERVAL, HOUR, amperes))
    assert current.value is None
    assert current.direction == 0


def test_average_current_with_noise_around_the_dead_zone_does_not_switch() -> None:
    """A current ends at a lower threshold than the one where it starts."""
    current = smoothed(every(POLL_INTERVAL, 120, -1.1))
    for number in range(1, 50):
        current.add(
            120 + number * POLL_INTERVAL, -0.6 if number % 2 else -1.1, POLL_INTERVAL
        )
        assert current.value is not None
    current.add(1000, -0.4, POLL_INTERVAL)
    assert current.value is None


def test_average_current_with_a_time_that_goes_back_is_unchanged() -> None:
    """Two samples of one moment are one."""
    current = smoothed(every(POLL_INTERVAL, 120, -10.0))
    current.add(120, -99.0, POLL_INTERVAL)
    current.add(60, -99.0, POLL_INTERVAL)
    assert current.value == pytest.approx(-10)


def test_average_current_of_samples_in_quick_succession_counts_each() -> None:
    """As of a bank, whose batteries are read one after the other."""
    current = smoothed(every(POLL_INTERVAL, HOUR, -10.0))
    for number in range(1, 721):
        current.add(HOUR + number / 2, -50.0, POLL_INTERVAL)
    assert current.value == pytest.approx(-50 + 40 * 0.3679**2, rel=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_average_current_has_a_direction_from_the_least_current_on(sign: int) -> None:
    """Once it flows, down to half of that; before any sample there is none."""
    current = SmoothedCurrent()
    assert current.direction == 0
    assert current.value is None
    for time, amperes in enumerate((0.99, 1.0, 0.5, 0.49)):
        current.add(10.0 * time, sign * amperes, POLL_INTERVAL)
        assert current.direction == (0, sign, sign, 0)[time]


@given(
    st.lists(st.tuples(st.floats(0.001, 7200), st.floats(1, 400)), min_size=1),
    st.sampled_from([5.0, 10.0, 3600.0]),
)
def test_average_current_of_any_samples_is_between_them(
    steps: list[tuple[float, float]], interval: float
) -> None:
    """Whatever the times between."""
    current = SmoothedCurrent()
    time = 0.0
    for seconds, amperes in steps:
        time += seconds
        current.add(time, amperes, interval)
    amounts = [amperes for _, amperes in steps]
    if (found := current.value) is not None:
        assert min(amounts) * (1 - 1e-9) <= found <= max(amounts) * (1 + 1e-9)


def runtime(
    amperes: float, charge: Charge | None, seconds: float = 2 * SETTLING
) -> Runtime:
    """Return the times after a steady current."""
    found = Runtime()
    for time, current in every(POLL_INTERVAL, seconds, amperes):
        found.add(time, current, charge, POLL_INTERVAL)
    return found


def test_runtime_has_one_time_under_load_and_none_while_idle() -> None:
    """To empty while discharging, to full while charging."""
    charge = Charge(50, 50, 51, 100)
    # The fifth of an Ah that it has moved meanwhile is counted.
    away = runtime(-6, charge)
    assert away.minutes_to_full is None
    assert away.minutes_to_empty == pytest.approx(503, rel=0.001)
    to = runtime(6, charge)
    assert to.minutes_to_empty is None
    assert to.minutes_to_full == pytest.approx(493, rel=0.001)
    for idle in (runtime(0, charge), runtime(-6, None), runtime(6, None)):
        assert idle.minutes_to_empty is None
        assert idle.minutes_to_full is None


def test_time_to_a_reserve_leaves_its_charge_in_the_battery() -> None:
    """Zero below it, and all of the time without one."""
    found = runtime(-6, Charge(50, 50, 51, 100))
    left, empty = found.charge_left, found.minutes_to_empty
    assert left is not None
    assert empty is not None
    assert found.minutes_to_reserve(0) == empty
    assert found.minutes_to_reserve(20) == pytest.approx((left - 20) / 6 * 60)
    assert found.minutes_to_reserve(50.5) == 0
    assert runtime(6, Charge(50, 50, 51, 100)).minutes_to_reserve(20) is None
    assert runtime(-6, Charge(50, 50, 51, None)).minutes_to_reserve(20) is None
    assert runtime(-6, Charge(0, 0, 0, 100)).minutes_to_reserve(20) == 0


def test_time_to_full_without_a_full_capacity_is_unknown() -> None:
    """The time to empty is known."""
    charge = Charge(50, 50, 51, None)
    assert runtime(6, charge).minutes_to_full is None
    assert runtime(-6, charge).minutes_to_empty is not None


def test_time_to_full_of_a_full_battery_is_zero() -> None:
    """And never negative."""
    assert runtime(6, Charge(100, 100, 101, 100)).minutes_to_full == 0


@pytest.mark.parametrize(
    ("minutes", "before", "shown"),
    [
        (0.2, None, 0),
        (12.4, None, 12),
        (59.4, None, 59),
        (61.0, None, 60),
        (123.0, None, 125),
        (12.4, 13, 13),
        (11.9, 13, 12),
        (118.0, 120, 120),
        (114.5, 120, 120),
        (113.9, 120, 115),
        (1400.0, 1440, 1440),
        (1360.0, 1440, 1360),
        (MAX_MINUTES, None, int(MAX_MINUTES)),
        (MAX_MINUTES + 1, None, None),
        (MAX_MINUTES + 1, int(MAX_MINUTES), int(MAX_MINUTES)),
        (MAX_MINUTES * 1.06, int(MAX_MINUTES), None),
        (None, 120, None),
    ],
)
def test_runtime_is_rounded_to_its_accuracy(
    minutes: float | None, before: int | None, shown: int | None
) -> None:
    """It stays while the new value is near."""
    assert shown_minutes(minutes, before) == shown


def test_runtime_in_hours_is_displayed_as_the_right_minutes() -> None:
    """The frontend takes the whole hours, and cuts the rest to whole minutes."""
    for minutes in (*range(60), *range(60, int(MAX_MINUTES * 1.1), 5)):
        hours = as_hours(minutes)
        whole = int(hours)
        assert (whole, int(60 * (hours - whole))) == divmod(minutes, 60)


@given(
    st.lists(st.floats(-0.15, 0.15), min_size=200, max_size=400),
    st.sampled_from([5.0, 10.0, 20.0]),
    st.sampled_from([-1, 1]),
    st.floats(2, 100),
    st.floats(10, 90),
)
def test_runtime_with_noise_does_not_jump(
    noise: list[float], interval: float, sign: int, amperes: float, left: float
) -> None:
    """Under a steady load nothing that is shown moves by 20 % in a minute."""
    found = Runtime()
    history: list[tuple[float, int]] = []
    shown: int | None = None
    charge_left = left
    for number, part in enumerate(noise):
        time = number * interval
        charge_left += sign * amperes * interval / HOUR
        whole = float(int(charge_left))
        if not 5 <= whole <= 95:
            break
        found.add(
            time,
            sign * amperes * (1 + part),
            Charge(whole, whole, whole + 1, 100),
            interval,
        )
        minutes = found.minutes_to_empty if sign < 0 else found.minutes_to_full
        shown = shown_minutes(minutes, shown)
        if shown is None or shown < 20:
            continue
        for before, then in history:
            if time - before <= 60:
                assert abs(shown - then) <= 0.2 * then
        history = [*history[-12:], (time, shown)]
