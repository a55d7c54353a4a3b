"""Modes and states of the Bluetooth connection to a battery."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple


class ConnectionMode(StrEnum):
    """When a battery is connected, as the user chooses it."""

    AUTOMATIC = "automatic"
    """All the time, unless that takes the adapter's last slot."""
    KEEP = "keep"
    EACH_POLL = "each_poll"

    @classmethod
    def from_option(cls, value: Any) -> ConnectionMode:
        """Return the mode of an option; AUTOMATIC for one that is missing or unknown."""
        return cls(value) if value in list(cls) else cls.AUTOMATIC


class ConnectionState(StrEnum):
    """State of the connection, by the keys of strings.json."""

    CONNECTED = "connected"
    IDLE = "idle"
    """Disconnected between polls, as planned."""
    CONNECTING = "connecting"
    """Wanted, not there yet, no failure to report."""
    RELEASED = "released"
    """Disconnected because the user released the battery."""
    UNREACHABLE = "unreachable"
    """In use by another device, out of range or switched off: these look alike."""
    UNRESPONSIVE = "silent"
    """Connected, without a usable reply for some time."""
    NO_SLOT = "no_slot"
    NO_BLUETOOTH = "no_bluetooth"
    CLOSED = "closed"
    """The entry is unloaded."""


SHOWN_STATES: Final = tuple(
    state for state in ConnectionState if state is not ConnectionState.CLOSED
)
"""States that an entity can have."""

_FAILURE_STATES: Final = {
    "no_slot": ConnectionState.NO_SLOT,
    "no_bluetooth": ConnectionState.NO_BLUETOOTH,
    "no_answer": ConnectionState.UNRESPONSIVE,
    "refused": ConnectionState.UNRESPONSIVE,
    "implausible": ConnectionState.UNRESPONSIVE,
    "other_battery": ConnectionState.UNRESPONSIVE,
}

ADAPTER_REASONS: Final = frozenset({"no_slot", "no_bluetooth"})
"""Reasons on the side of the adapters: any connection ends them."""


class ConnectionStatus(NamedTuple):
    """State of the connection, reason of a failure, and end of a release."""

    state: ConnectionState = ConnectionState.CONNECTING
    reason: str | None = None
    """Why the battery is not connected or not read: a key of `errors`; None without failure."""
    released_until: datetime | None = None
    """When a release ends by itself, UTC."""


def connection_state(
    reason: str | None,
    *,
    is_closed: bool,
    is_released: bool,
    is_connected: bool,
    is_disconnecting: bool,
    is_intermittent: bool,
) -> ConnectionState:
    """Return the state of a connection.

    `reason` is the key of a failure, None without one. `is_disconnecting` says that a
    connection that is to end is still held, `is_intermittent` that the battery is
    connected for single polls only: its slot is shared, or each connection is lost soon.
    """
    if is_closed:
        return ConnectionState.CLOSED
    if is_released:
        # Until the connection is gone no other device can connect.
        is_held = is_connected or is_disconnecting
        return ConnectionState.CONNECTED if is_held else ConnectionState.RELEASED
    if reason is not None:
        return _FAILURE_STATES.get(reason, ConnectionState.UNREACHABLE)
    if is_intermittent:
        # Also during a poll: its connection would be a database row each time.
        return ConnectionState.IDLE
    return ConnectionState.CONNECTED if is_connected else ConnectionState.CONNECTING
