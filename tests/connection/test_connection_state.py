"""Which state a connection is in, from what is known of it."""

from __future__ import annotations

import pytest

from custom_components.voltgo_vlrv.connection.state import (
    ConnectionState,
    connection_state,
)


def state(reason: str | None = None, *facts: str) -> ConnectionState:
    """Return the state where the named facts are true and all others false."""
    return connection_state(
        reason,
        is_closed="closed" in facts,
        is_released="released" in facts,
        is_connected="connected" in facts,
        is_disconnecting="disconnecting" in facts,
        is_intermittent="intermittent" in facts,
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((), "connecting"),
        (("connected",), "connected"),
        (("disconnecting",), "connecting"),
        (("intermittent",), "idle"),
        (("intermittent", "connected"), "idle"),
        (("released",), "released"),
        (("released", "connected"), "connected"),
        (("released", "disconnecting"), "connected"),
        (("released", "intermittent"), "released"),
        (("closed", "connected", "released"), "closed"),
    ],
)
def test_connection_state_without_failure_follows_the_connection(
    facts: tuple[str, ...], expected: str
) -> None:
    """A release counts only when another device can connect."""
    assert state(None, *facts) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("no_slot", "no_slot"),
        ("no_bluetooth", "no_bluetooth"),
        ("no_answer", "silent"),
        ("refused", "silent"),
        ("implausible", "silent"),
        ("busy", "unreachable"),
        ("out_of_range", "unreachable"),
    ],
)
def test_connection_state_after_a_failure_tells_its_reason(
    reason: str, expected: str
) -> None:
    """Also while connected, and between polls; a release and the end come first."""
    assert state(reason) == expected
    assert state(reason, "connected", "intermittent") == expected
    assert state(reason, "released") == ConnectionState.RELEASED
    assert state(reason, "closed") == ConnectionState.CLOSED
