"""Connecting again because another adapter is much better: a decision without a radio."""

from __future__ import annotations

from datetime import timedelta

import pytest

from custom_components.voltgo_vlrv.connection.reconnect import AdapterMovePolicy

HALF_HOUR = 1800.0
HOUR = 3600.0
DAY = 86_400.0
INTERVAL = timedelta(seconds=10)
NEAR, FAR = "near", "far"


def policy_over_far(near: int = -50, far: int = -88) -> AdapterMovePolicy:
    """Return a policy for a battery that is connected over the far adapter since 0 s."""
    policy = AdapterMovePolicy()
    policy.record_signal(NEAR, near, 0.0)
    policy.record_signal(FAR, far, 0.0)
    assert not should_move(policy, 0.0)
    return policy


def should_move(
    policy: AdapterMovePolicy,
    now: float,
    *,
    adapter: str = FAR,
    others: tuple[str, ...] = (NEAR,),
    interval: timedelta = INTERVAL,
) -> bool:
    """Return what the policy decides after a poll."""
    return policy.should_move(adapter, others, interval=interval, now=now)


@pytest.mark.parametrize(
    ("near", "far", "expected"),
    [
        (-50, -88, True),
        (-60, -75, True),
        (-60, -74, False),
        (-60, -60, False),
        (-88, -50, False),
        (127, -88, False),
        (0, -88, False),
        (-50, 127, False),
    ],
)
def test_move_much_better_signal_decides(near: int, far: int, expected: bool) -> None:
    """15 dB; a strength that is not known decides nothing."""
    assert should_move(policy_over_far(near, far), HALF_HOUR) is expected


@pytest.mark.parametrize(("after", "expected"), [(1799.0, False), (1800.0, True)])
def test_move_connection_is_new_waits(after: float, expected: bool) -> None:
    """Home Assistant has just chosen that adapter, most often for a reason."""
    assert should_move(policy_over_far(), after) is expected


@pytest.mark.parametrize(("seconds", "expected"), [(5, False), (10, True), (300, True)])
def test_move_frequent_polls_stays(seconds: int, expected: bool) -> None:
    """The next reading would be late."""
    interval = timedelta(seconds=seconds)
    assert should_move(policy_over_far(), HALF_HOUR, interval=interval) is expected


def test_move_better_adapter_is_full_or_gone_stays() -> None:
    """Only those with a free slot come into question."""
    policy = policy_over_far()
    assert not should_move(policy, HALF_HOUR, others=())
    assert not should_move(policy, HALF_HOUR, others=("unknown",))
    assert should_move(policy, HALF_HOUR)


def test_move_signals_of_yesterday_are_forgotten() -> None:
    """Who knows where the battery is by now."""
    policy = policy_over_far()
    assert should_move(policy, DAY - 1)
    assert not should_move(policy, DAY)


def test_move_without_effect_is_tried_less_and_less_often() -> None:
    """30 minutes, then one hour, two, and so on up to a day."""
    policy = policy_over_far()
    now, delays = HALF_HOUR, []
    for _ in range(8):
        assert should_move(policy, now)
        policy.begin_move()
        ended = now
        while True:
            policy.record_signal(NEAR, -50, now)
            policy.record_signal(FAR, -88, now)
            if should_move(policy, now):
                break
            now += HALF_HOUR
        delays.append((now - ended) / HOUR)
    assert delays == [1, 2, 4, 8, 16, 24, 24, 24]


def test_move_with_effect_may_return_after_half_an_hour() -> None:
    """If by then the first adapter is as much better."""
    policy = policy_over_far()
    assert should_move(policy, HALF_HOUR)
    policy.begin_move()
    policy.record_signal(FAR, -30, HALF_HOUR)
    assert not should_move(policy, HALF_HOUR + 5, adapter=NEAR, others=(FAR,))
    assert not should_move(policy, HOUR, adapter=NEAR, others=(FAR,))
    assert should_move(policy, HOUR + 5, adapter=NEAR, others=(FAR,))
