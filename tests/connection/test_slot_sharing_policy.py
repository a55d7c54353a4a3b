"""Freeing the connection slot between polls: a decision without a radio."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.voltgo_vlrv.connection.sharing import (
    TURNS,
    SlotSharingPolicy,
    TurnTimes,
    are_slots_scarce,
)
from custom_components.voltgo_vlrv.connection.state import ConnectionMode
from custom_components.voltgo_vlrv.options import BatteryOptions

AUTOMATIC = ConnectionMode.AUTOMATIC
HALF_HOUR = 1800.0


@pytest.mark.parametrize(
    ("mode", "slots_scarce", "expected"),
    [
        (ConnectionMode.KEEP, False, False),
        (ConnectionMode.KEEP, True, False),
        (ConnectionMode.EACH_POLL, False, True),
        (ConnectionMode.EACH_POLL, True, True),
        (AUTOMATIC, False, False),
        (AUTOMATIC, True, True),
    ],
)
def test_policy_mode_and_slots_decide(
    mode: ConnectionMode, slots_scarce: bool, expected: bool
) -> None:
    """In automatic mode only the last slot is freed."""
    policy = SlotSharingPolicy(mode)
    assert (
        policy.should_disconnect(mode, slots_scarce=slots_scarce, now=0.0) is expected
    )
    assert policy.is_sharing is expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (ConnectionMode.KEEP, False),
        (AUTOMATIC, False),
        (ConnectionMode.EACH_POLL, True),
    ],
)
def test_policy_start_shares_only_for_each_poll(
    mode: ConnectionMode, expected: bool
) -> None:
    """Before anything is known of the slots."""
    assert SlotSharingPolicy(mode).is_sharing is expected


def test_policy_mode_change_applies_to_the_next_decision() -> None:
    """The options take effect without a reload."""
    policy = SlotSharingPolicy(ConnectionMode.EACH_POLL)
    assert not policy.should_disconnect(ConnectionMode.KEEP, slots_scarce=True, now=0.0)
    assert not policy.is_sharing


def test_policy_last_slot_freed_once_connects_again_with_another_slot() -> None:
    """One shortage is no reason to share for half an hour."""
    policy = SlotSharingPolicy(AUTOMATIC)
    assert policy.should_disconnect(AUTOMATIC, slots_scarce=True, now=0.0)
    assert not policy.should_disconnect(AUTOMATIC, slots_scarce=False, now=10.0)


def test_policy_last_slot_freed_twice_shares_for_half_an_hour() -> None:
    """Otherwise several batteries would alternate with each poll."""
    policy = SlotSharingPolicy(AUTOMATIC)
    policy.should_disconnect(AUTOMATIC, slots_scarce=True, now=0.0)
    policy.should_disconnect(AUTOMATIC, slots_scarce=False, now=10.0)
    assert policy.should_disconnect(AUTOMATIC, slots_scarce=True, now=HALF_HOUR - 1)
    freed = HALF_HOUR - 1
    assert policy.should_disconnect(
        AUTOMATIC, slots_scarce=False, now=freed + HALF_HOUR - 1
    )
    assert not policy.should_disconnect(
        AUTOMATIC, slots_scarce=False, now=freed + HALF_HOUR
    )


def test_policy_last_slot_freed_twice_an_hour_apart_does_not_settle() -> None:
    """Two shortages half an hour apart have nothing to do with each other."""
    policy = SlotSharingPolicy(AUTOMATIC)
    policy.should_disconnect(AUTOMATIC, slots_scarce=True, now=0.0)
    policy.should_disconnect(AUTOMATIC, slots_scarce=False, now=10.0)
    assert policy.should_disconnect(AUTOMATIC, slots_scarce=True, now=HALF_HOUR)
    assert not policy.should_disconnect(
        AUTOMATIC, slots_scarce=False, now=HALF_HOUR + 10
    )


def test_policy_adapter_that_stays_full_counts_once() -> None:
    """Freeing at each poll is one shortage, not many."""
    policy = SlotSharingPolicy(AUTOMATIC)
    for poll in range(20):
        assert policy.should_disconnect(AUTOMATIC, slots_scarce=True, now=10.0 * poll)
    assert not policy.should_disconnect(AUTOMATIC, slots_scarce=False, now=200.0)


@pytest.mark.parametrize(
    ("free", "waiting", "expected"),
    [
        (0, 0, True),
        (1, 0, False),
        (1, 1, False),
        (1, 2, True),
        (2, 2, False),
        (2, 9, True),
    ],
)
def test_slots_are_scarce_with_fewer_than_wait_for_one(
    free: int, waiting: int, expected: bool
) -> None:
    """And without a free one, although none of our batteries waits."""
    assert are_slots_scarce(free, waiting) is expected


def test_turn_times_the_longest_of_the_last_ones_counts() -> None:
    """One that was quick by chance does not shorten what a round takes."""
    times = TurnTimes()
    assert times.longest == 0
    for seconds in (70.0, 60.0, 2.0):
        times.add(seconds)
    assert times.longest == 70
    for _ in range(TURNS):
        times.add(3.0)
    assert times.longest == 3


@pytest.mark.parametrize(
    ("options", "turn", "max_age", "live_age"),
    [
        ({}, 0, 60, 60),
        ({}, 4, 60, 60),
        ({}, 60, 130, 130),
        ({"max_age": 90}, 60, 90, 130),
        ({"interval": 60}, 20, 240, 240),
    ],
)
def test_age_at_which_a_sample_expires_follows_the_turns(
    options: dict[str, Any], turn: float, max_age: float, live_age: float
) -> None:
    """Unless the user has set one."""
    read = BatteryOptions(MockConfigEntry(options=options))
    turn_time = timedelta(seconds=turn)
    assert read.max_age_in_turns(turn_time).total_seconds() == max_age
    assert read.live_age_in_turns(turn_time).total_seconds() == live_age
