"""What a load would leave, and when the reserve is reached."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.charge import Charge
from custom_components.voltgo_vlrv.history.estimate import Contents, estimate
from custom_components.voltgo_vlrv.history.runtime import Runtime
from tests.history.common import HOUR

BATTERY = Contents(left=160.0, full=200.0, voltage=12.8)


@pytest.mark.parametrize(
    ("power", "hours", "reserve", "charge", "hours_to_reserve"),
    [
        (-1280, 1, 0, 30.0, None),
        (-1280, 1, 20, 30.0, None),
        (-1280, 1, 40, 30.0, 0.8),
        (-1280, 1, 30, 30.0, 1.0),
        (-1280, 2, 0, 0.0, 1.6),
        (-1280, 1, 90, 30.0, 0.0),
        (0, 12, 20, 80.0, None),
        (1280, 1, 20, 100.0, None),
        (1280, 0.2, 20, 90.0, None),
        (0, 1, 85, 80.0, 0.0),
    ],
)
def test_estimate_of_a_load_is_charge_less_what_flows(
    power: float,
    hours: float,
    reserve: float,
    charge: float,
    hours_to_reserve: float | None,
) -> None:
    """Ten hours of 1 A are 10 Ah, at 12.8 V."""
    found = estimate(BATTERY, power, hours * HOUR, reserve)
    assert found.state_of_charge_now == pytest.approx(80)
    assert found.state_of_charge == pytest.approx(charge)
    expected = None if hours_to_reserve is None else hours_to_reserve * HOUR
    assert found.seconds_to_reserve == pytest.approx(expected)


@given(
    st.floats(0, 1),
    st.floats(1, 1000),
    st.floats(-100_000, 100_000),
    st.floats(0, 31 * 24 * HOUR),
    st.integers(0, 90),
)
def test_estimate_of_any_load_is_consistent(
    part: float, full: float, power: float, seconds: float, reserve: int
) -> None:
    """The reserve is reached before the end, or more than it is left."""
    contents = Contents(part * full, full, 25.6)
    found = estimate(contents, power, seconds, reserve)
    assert 0 <= found.state_of_charge <= 100 + 1e-9
    if found.seconds_to_reserve is None:
        assert found.state_of_charge >= reserve - 1e-6
    else:
        assert 0 <= found.seconds_to_reserve <= seconds * (1 + 1e-6) + 1e-6
        assert power > 0 or found.state_of_charge <= reserve + 1e-6


def discharging(left: float, full: float | None, current: float = -20.0) -> Runtime:
    """Return the runtime of a battery after minutes of a current."""
    runtime = Runtime()
    for step in range(30):
        runtime.add(step * 10.0, current, Charge(left, left, left, full), 10.0)
    return runtime


@pytest.mark.parametrize(
    ("reserve", "minutes"), [(0, 240), (20, 180), (40, 120), (80, 0), (90, 0)]
)
def test_time_to_reserve_is_that_of_what_lies_above_it(
    reserve: int, minutes: float
) -> None:
    """Without a reserve it is the time to empty, below it nothing is left."""
    found = discharging(80.0, 100.0).minutes_to_reserve(reserve)
    assert found == pytest.approx(minutes)


def test_time_to_reserve_of_what_is_not_known_is_unknown() -> None:
    """Without a full capacity a reserve in % is no charge."""
    assert discharging(80.0, None).minutes_to_reserve(20) is None
    assert discharging(0.0, None).minutes_to_reserve(20) is None
    assert discharging(80.0, None).minutes_to_reserve(0) == pytest.approx(240)
    assert discharging(0.0, 100.0).minutes_to_reserve(20) == 0
    assert discharging(80.0, 100.0, current=20.0).minutes_to_reserve(20) is None
    assert Runtime().minutes_to_reserve(20) is None
