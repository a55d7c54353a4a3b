"""Freeing the connection slot between polls: a decision without a radio."""

from __future__ import annotations

import pytest

from custom_components.voltgo_vlrv.connection.sharing import SlotSharingPolicy
from custom_components.voltgo_vlrv.connection.state import ConnectionMode

AUTOMATIC = ConnectionMode.AUTOMATIC
HALF_HOUR = 1800.0


@pytest.mark.parametrize(
    ("mode", "adapter_full", "expected"),
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
    mode: ConnectionMode, adapter_full: bool, expected: bool
) -> None:
    """In automatic mode only the last slot is freed."""
    policy = SlotSharingPolicy(mode)
    assert (
        policy.should_disconnect(mode, adapter_full=adapter_full, now=0.0) is expected
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
    assert not policy.should_disconnect(ConnectionMode.KEEP, adapter_full=True, now=0.0)
    assert not policy.is_sharing


def test_policy_last_slot_freed_once_connects_again_with_another_slot() -> None:
    """One shortage is no reason to share for half an hour."""
    policy = SlotSharingPolicy(AUTOMATIC)
    assert policy.should_disconnect(AUTOMATIC, adapter_full=True, now=0.0)
    assert not policy.should_disconnect(AUTOMATIC, adapter_full=False, now=10.0)


def test_policy_last_slot_freed_twice_shares_for_half_an_hour() -> None:
    """Otherwise several batteries would alternate with each poll."""
    policy = SlotSharingPolicy(AUTOMATIC)
    policy.should_disconnect(AUTOMATIC, adapter_full=True, now=0.0)
    policy.should_disconnect(AUTOMATIC, adapter_full=False, now=10.0)
    assert policy.should_disconnect(AUTOMATIC, adapter_full=True, now=HALF_HOUR - 1)
    freed = HALF_HOUR - 1
    assert policy.should_disconnect(
        AUTOMATIC, adapter_full=False, now=freed + HALF_HOUR - 1
    )
    assert not policy.should_disconnect(
        AUTOMATIC, adapter_full=False, now=freed + HALF_HOUR
    )


def test_policy_last_slot_freed_twice_an_hour_apart_does_not_settle() -> None:
    """Two shortages half an hour apart have nothing to do with each other."""
    policy = SlotSharingPolicy(AUTOMATIC)
    policy.should_disconnect(AUTOMATIC, adapter_full=True, now=0.0)
    policy.should_disconnect(AUTOMATIC, adapter_full=False, now=10.0)
    assert policy.should_disconnect(AUTOMATIC, adapter_full=True, now=HALF_HOUR)
    assert not policy.should_disconnect(
        AUTOMATIC, adapter_full=False, now=HALF_HOUR + 10
    )


def test_policy_adapter_that_stays_full_counts_once() -> None:
    """Freeing at each poll is one shortage, not many."""
    policy = SlotSharingPolicy(AUTOMATIC)
    for poll in range(20):
        assert policy.should_disconnect(AUTOMATIC, adapter_full=True, now=10.0 * poll)
    assert not policy.should_disconnect(AUTOMATIC, adapter_full=False, now=200.0)
