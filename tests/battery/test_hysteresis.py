"""States that a relay may follow: how often they change, and how fast."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.battery.hysteresis import (
    CHARGING_HOLD,
    CLEAR_CURRENT,
    CLEAR_MARGIN,
    WARM_HOLD,
    ChargeStates,
    ChargingState,
    Hysteresis,
)
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from tests.vlrv.samples import status

POLL = 10.0
INFO = BatteryInfo(name="ZT-1", cell_count=4, full_capacity=100.0)


def changes(states: list[bool | None]) -> int:
    """Return how often a state changes."""
    return sum(before is not after for before, after in pairwise(states))


def charging(currents: list[float], members: int = 1) -> list[bool | None]:
    """Return the state after each current, one for each poll."""
    state = ChargingState()
    found = []
    for number, current in enumerate(currents):
        state.update(number * POLL, current, members)
        found.append(state.value)
    return found


def too_cold(temperatures: list[int], protection: int = 0) -> list[bool | None]:
    """Return the state after each temperature of the coldest probe."""
    states = ChargeStates()
    found = []
    for number, temperature in enumerate(temperatures):
        sample = status(
            cell_voltages=(3.3,) * 4,
            probe_temperatures=(temperature, 20),
            protection=protection,
        )
        states.add_sample(sample, INFO, number * POLL)
        found.append(states.too_cold(sample, INFO))
    return found


@pytest.mark.parametrize("pair", [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0), (0.0, 1.9)])
def test_charging_by_turns_of_a_small_current_does_not_change(
    pair: tuple[float, float],
) -> None:
    """A current of about the resolution, for eight minutes."""
    assert changes(charging([*pair] * 24)) == 0


@pytest.mark.parametrize("members", [1, 3])
def test_charging_by_turns_of_a_small_current_of_a_bank_does_not_change(
    members: int,
) -> None:
    """The sum varies by the resolution of each of its members."""
    assert changes(charging([0.0, 1.0 * members] * 24, members)) == 0


@pytest.mark.parametrize(
    ("before", "after"), [(20.0, 0.0), (0.0, CLEAR_CURRENT), (5.0, -5.0), (-9.0, 9.0)]
)
def test_charging_with_a_clear_current_changes_at_once(
    before: float, after: float
) -> None:
    """Neither the start nor the end of a charge is shown late."""
    assert charging([before, before, after]) == [before > 0, before > 0, after > 0]


def test_charging_of_a_small_current_that_stays_changes_after_the_hold_time() -> None:
    """A charge that fades out ends, and one of 1 A is one."""
    held = int(CHARGING_HOLD / POLL)
    states = charging([1.0] + [0.0] * (held + 1))
    assert states == [True] * (held + 1) + [False]
    states = charging([0.0] + [1.0] * (held + 1))
    assert states == [False] * (held + 1) + [True]


def test_charging_of_an_unknown_current_is_unknown_and_begins_again() -> None:
    """A bank of which a member is missing has no current."""
    state = ChargingState()
    state.update(0.0, 9.0)
    state.update(POLL, None)
    assert state.value is None
    state.update(2 * POLL, 0.0)
    assert state.value is False


def test_too_cold_by_turns_of_a_probe_does_not_change() -> None:
    """A probe at 0 and 1 °C by turns, for an hour."""
    assert changes(too_cold([0, 1] * 180)) == 0


def test_too_cold_begins_at_once_and_ends_with_a_clear_margin() -> None:
    """Charging in the cold harms, a delay of the charge does not."""
    clear = int(CLEAR_MARGIN)
    assert too_cold([5, 0, clear]) == [False, True, False]
    assert too_cold([0, clear - 1]) == [True, True]


def test_too_cold_near_the_threshold_ends_after_the_hold_time() -> None:
    """At a steady 1 °C a battery may be charged."""
    held = int(WARM_HOLD / POLL)
    states = too_cold([0] + [1] * (held + 1))
    assert states == [True] * (held + 1) + [False]


def test_charging_without_a_current_is_unknown_at_once() -> None:
    """A bank without a complete sum shows no old state."""
    state = ChargingState()
    state.update(0.0, 5.0)
    assert state.value is True
    state.update(1.0, None)
    assert state.value is None


def test_charge_states_hold_charging_while_the_current_flickers() -> None:
    """For some time, and no longer."""
    states = ChargeStates()
    found = []
    for now, current in ((0.0, 1.0), (POLL, 0.0), (1e5, 0.0), (2e5, 0.0)):
        sample = status(cell_voltages=(3.3,) * 4, current=current)
        states.add_sample(sample, INFO, now)
        found.append(states.charging(sample))
    assert found == [True, True, False, False]


def test_charge_states_of_a_restored_sample_are_those_of_the_sample() -> None:
    """After a restart no sample was received yet."""
    states = ChargeStates()
    cold = status(cell_voltages=(3.3,) * 4, current=1.0, probe_temperatures=(0, 20))
    warm = status(cell_voltages=(3.3,) * 4, current=0.0, probe_temperatures=(1, 20))
    assert (states.charging(cold), states.too_cold(cold, INFO)) == (True, True)
    assert (states.charging(warm), states.too_cold(warm, INFO)) == (False, False)


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.booleans()), min_size=1, max_size=60),
    st.floats(1, 200),
)
def test_hysteresis_of_any_readings_keeps_each_state_for_the_hold_time(
    steps: list[tuple[float, bool]], hold: float
) -> None:
    """Without a clear reading, two changes are at least the hold time apart."""
    state = Hysteresis(hold, hold)
    now, changed_at, before = 0.0, None, None
    for passed, value in steps:
        now += passed
        state.update(now, value, clear=False)
        if before is not None and state.value is not before:
            assert changed_at is None or now - changed_at >= hold
            assert state.value is value
            changed_at = now
        before = state.value
