"""For how long the last sample is shown; no event loop, no radio."""

from __future__ import annotations

from datetime import timedelta
from math import inf

from custom_components.voltgo_vlrv.battery.freshness import SampleFreshness

MAX_AGE = timedelta(seconds=60)


def test_freshness_without_a_sample_is_false() -> None:
    """There is nothing to show before the first sample."""
    freshness = SampleFreshness()
    assert not freshness.is_fresh(0, MAX_AGE)
    assert freshness.expires_at(MAX_AGE) == -inf


def test_sample_younger_than_the_limit_is_fresh() -> None:
    """The limit itself is too old."""
    freshness = SampleFreshness()
    freshness.sample_received(100)
    assert freshness.expires_at(MAX_AGE) == 160
    assert freshness.is_fresh(159.9, MAX_AGE)
    assert not freshness.is_fresh(160, MAX_AGE)


def test_sample_with_a_longer_limit_is_fresh_again() -> None:
    """The user may change the limit; a sample that was not declared expired counts."""
    freshness = SampleFreshness()
    freshness.sample_received(100)
    assert not freshness.is_fresh(200, MAX_AGE)
    assert freshness.is_fresh(200, 2 * MAX_AGE)


def test_sample_declared_expired_stays_expired() -> None:
    """Entities that went unavailable do not come back without a new sample."""
    freshness = SampleFreshness()
    freshness.sample_received(100)
    freshness.expire()
    assert freshness.is_expired
    assert not freshness.is_fresh(101, MAX_AGE)
    assert not freshness.is_fresh(101, 10 * MAX_AGE)
    freshness.sample_received(200)
    assert not freshness.is_expired
    assert freshness.is_fresh(201, MAX_AGE)


def test_restored_sample_is_fresh_from_the_start() -> None:
    """What was shown before a restart is shown until it is too old."""
    freshness = SampleFreshness()
    freshness.sample_restored(0)
    assert freshness.is_fresh(59, MAX_AGE)
    assert not freshness.is_fresh(60, MAX_AGE)


def test_fresh_sample_while_released_stays_fresh() -> None:
    """However long the release lasts, and from its end for another limit."""
    freshness = SampleFreshness()
    freshness.sample_received(100)
    freshness.release(110, MAX_AGE)
    assert freshness.is_fresh(1e6, MAX_AGE)
    assert freshness.resume(1e6)
    assert freshness.is_fresh(1e6 + 59, MAX_AGE)
    assert not freshness.is_fresh(1e6 + 60, MAX_AGE)


def test_stale_sample_while_released_stays_stale() -> None:
    """A release does not bring back what was no longer shown."""
    freshness = SampleFreshness()
    freshness.sample_received(100)
    freshness.release(200, MAX_AGE)
    assert not freshness.is_fresh(201, MAX_AGE)
    assert not freshness.resume(300)
    assert not freshness.is_fresh(301, MAX_AGE)


def test_release_that_is_extended_keeps_the_fresh_sample() -> None:
    """A second release with another duration changes nothing of what is shown."""
    freshness = SampleFreshness()
    freshness.sample_received(100)
    freshness.release(110, MAX_AGE)
    freshness.release(5000, MAX_AGE)
    assert freshness.is_fresh(5001, MAX_AGE)
