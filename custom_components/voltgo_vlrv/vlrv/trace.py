"""The last frames both ways, and what became of the connection.

Kept as it came and put into words on request only, so it costs next to nothing
otherwise.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from struct import Struct
import time
from typing import Any, Final

from .frames import READ_REGISTERS, STATUS_FAMILY
from .identity import IDENTITY_COUNT, IDENTITY_START, TEXT_FIELDS

KEPT: Final = 50
"""Frames kept each way, and events."""

# The time stands in front of its frame in one piece: a pair of them takes twice the room.
_TIME: Final = Struct("<d")

_IDENTITY_LENGTH: Final = 5 + 2 * IDENTITY_COUNT
_SERIAL_AT: Final = 3 + 2 * next(
    text.number - IDENTITY_START for text in TEXT_FIELDS if text.field == "serial"
)


class ConnectionEvent(StrEnum):
    """What can become of a connection."""

    CONNECTED = "connected"
    NOT_CONNECTED = "not_connected"
    """An attempt to connect failed."""
    LOST = "lost"
    DISCONNECTED = "disconnected"
    """The connection was ended from here."""
    UNANSWERED = "unanswered"
    LATE_REPLY = "late_reply"
    """A frame without a waiting request."""
    REFUSED = "refused"
    REJECTED = "rejected"
    """An intact sample that cannot be true."""


@dataclass(slots=True)
class ConnectionCounters:
    """What happened on the connections of a client since it was created."""

    connects: int = 0
    """Connections made; the number of the current one identifies it."""
    requests: int = 0
    unanswered: int = 0
    late_replies: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)
    """Samples in which a secondary field was out of its range, by field."""


@dataclass(slots=True)
class _Event:
    """One event, or the same one several times in a row."""

    event: ConnectionEvent
    detail: str
    frame: bytes
    first: float
    last: float
    count: int = 1


class Trace:
    """The last frames each way and the last events, with wall time in s since 1970."""

    __slots__ = ("_events", "_received", "_sent")

    def __init__(self) -> None:
        """Start empty."""
        self._sent: deque[bytes] = deque(maxlen=KEPT)
        self._received: deque[bytes] = deque(maxlen=KEPT)
        self._events: deque[_Event] = deque(maxlen=KEPT)

    @property
    def last_sent(self) -> bytes:
        """Return the last frame that was written, empty before the first."""
        return self._sent[-1][_TIME.size :] if self._sent else b""

    def record_sent(self, frame: bytes) -> None:
        """Keep a frame that is being written."""
        self._sent.append(_TIME.pack(time.time()) + frame)

    def record_received(self, frame: bytes) -> None:
        """Keep a whole frame that was received, expected or not."""
        self._received.append(_TIME.pack(time.time()) + frame)

    def record_event(
        self, event: ConnectionEvent, detail: str = "", frame: bytes = b""
    ) -> None:
        """Keep an event, `frame` being the one it is about.

        The same event again is counted: a battery that is out of range for a day must not push
        out what happened before it left.
        """
        now = time.time()
        if self._events:
            last = self._events[-1]
            if last.event is event and last.detail == detail:
                last.last = now
                last.count += 1
                last.frame = frame
                return
        self._events.append(_Event(event, detail, frame, now, now))

    def record_adapter(self, name: str) -> None:
        """Add the name of the adapter to the event of the current connection.

        It is often known only a moment after that.
        """
        addition = f", adapter {name}"
        for entry in reversed(self._events):
            if entry.event is ConnectionEvent.CONNECTED:
                if not entry.detail.endswith(addition):
                    entry.detail += addition
                return

    def as_dict(self) -> dict[str, Any]:
        """Return all of it to be read, oldest first, times in UTC."""
        return {
            "sent": [_frame(entry) for entry in self._sent],
            "received": [_frame(entry) for entry in self._received],
            "events": [
                {
                    "event": str(entry.event),
                    "detail": entry.detail,
                    "frame": redacted_hex(entry.frame),
                    "first": isoformat(entry.first),
                    "last": isoformat(entry.last),
                    "count": entry.count,
                }
                for entry in self._events
            ],
        }


def _frame(entry: bytes) -> dict[str, str]:
    (when,) = _TIME.unpack_from(entry)
    return {"time": isoformat(when), "frame": redacted_hex(entry[_TIME.size :])}


def isoformat(when: float) -> str:
    """Return a time in s since 1970 as text.

    Raises ValueError, OverflowError or OSError when there is no such time.
    """
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")


def redacted_hex(frame: bytes) -> str:
    """Return a frame in hexadecimal, the serial number in it as asterisks.

    So is what follows it: a date could be found out by means of the checksum.
    """
    if len(frame) == _IDENTITY_LENGTH and frame.startswith(
        bytes((STATUS_FAMILY, READ_REGISTERS))
    ):
        return frame[:_SERIAL_AT].hex() + "**" * (len(frame) - _SERIAL_AT)
    return frame.hex()
