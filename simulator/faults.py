"""What can go wrong on a Bluetooth connection, on purpose.

A reply of the battery is a list of parts on its way to the client. Each fault of
`REPLY_FAULTS` is a function from such a list to another one; a new fault is a
function, a line in the table and a switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import batched
import sys
from typing import Final

FOREVER: Final = sys.maxsize
SMALL_CHUNK: Final = 20  # bytes; what one notification holds at the default MTU of 23
ARRIVAL: Final = 0.1  # s; more than what was sent before needs to arrive


@dataclass(frozen=True, slots=True)
class Part:
    """One notification, or where the connection is lost (`data` is None).

    `delay` is in seconds, counted from the part before.
    """

    data: bytes | None
    delay: float = 0.0


@dataclass(slots=True)
class ConnectionFaults:
    """Switches, all off by default.

    A number says how often a fault strikes: for so many replies, connections or
    subscriptions. `FOREVER` stays on.
    """

    # Replies
    drop: int = 0
    """The reply is never sent: with `FOREVER`, an unresponsive battery that stays connected."""
    merge: int = 0
    """The reply is held back and sent in one notification with the next."""
    corrupt: int = 0
    """A byte in the middle of the reply is wrong."""
    truncate: int = 0
    """The second half of the reply is missing."""
    lead: int = 0
    """The reply follows `junk` in the same notification."""
    lose_chunk: int = 0
    """A notification from the middle of the reply is missing."""
    duplicate: int = 0
    """The whole reply is sent twice."""
    late: int = 0
    """The reply is sent `late_by` seconds late."""
    disconnect_on_write: int = 0
    """The request is applied, but the connection is lost before the reply."""
    disconnect_in_reply: int = 0
    """The connection is lost after half of the reply."""

    # Connection
    disconnect_on_connect: int = 0
    """The connection is lost as soon as it is established."""
    disconnect_on_subscribe: int = 0
    """The connection is lost when notifications are enabled."""
    refuse_connection: int = 0
    """The battery advertises but does not take the connection."""
    refuse_subscription: int = 0
    """Enabling notifications is answered with an ATT error."""
    out_of_slots: bool = False
    """All connection slots of the adapter are taken by others."""

    # How
    delay: float = 0.0
    """Added to the latency of every reply, in seconds."""
    late_by: float = 5.0
    """How late a `late` reply is, in seconds."""
    chunk_size: int | None = None
    """Every reply is cut into notifications of this many bytes at most."""
    junk: bytes = b"\xff\x00\x55"
    """What `lead` puts in front of a reply."""

    held: bytes = field(default=b"", repr=False)
    """What `merge` holds back; lost with the connection."""

    def take(self, name: str) -> bool:
        """Tell whether a counted fault strikes now, and count it."""
        if (left := getattr(self, name)) <= 0:
            return False
        setattr(self, name, left - 1)
        return True

    def clear(self) -> None:
        """Switch everything off."""
        harmless = ConnectionFaults()
        for switch in fields(self):
            setattr(self, switch.name, getattr(harmless, switch.name))

    def send(self, reply: bytes, size: int, latency: float = 0.0) -> list[Part]:
        """Return how a reply gets onto the air.

        `size` is what a notification can hold, in bytes; `latency` is the time the
        battery takes to answer, in seconds.
        """
        parts = [Part(reply, latency + self.delay)]
        for name, fault in REPLY_FAULTS:
            if not parts:
                break
            if name is None or self.take(name):
                parts = fault(self, parts, size)
        return parts


type ReplyFault = Callable[[ConnectionFaults, list[Part], int], list[Part]]


def _joined(parts: list[Part]) -> bytes:
    return b"".join(part.data or b"" for part in parts)


def _cut(data: bytes, size: int, delay: float) -> list[Part]:
    """Cut into parts; only the first has to wait."""
    chunks = [bytes(chunk) for chunk in batched(data, size, strict=False)]
    return [Part(chunk, 0.0 if at else delay) for at, chunk in enumerate(chunks)]


def _drop(_faults: ConnectionFaults, _parts: list[Part], _size: int) -> list[Part]:
    return []


def _hold(faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    faults.held += _joined(parts)
    return []


def _release(faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    held, faults.held = faults.held, b""
    return [Part(held + _joined(parts), parts[0].delay)]


def _corrupt(_faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    data = bytearray(_joined(parts))
    data[len(data) // 2] ^= 0xFF
    return [Part(bytes(data), parts[0].delay)]


def _truncate(_faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    data = _joined(parts)
    return [Part(data[: len(data) // 2], parts[0].delay)]


def _lead(faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    return [Part(faults.junk + _joined(parts), parts[0].delay)]


def _split(faults: ConnectionFaults, parts: list[Part], size: int) -> list[Part]:
    # The ATT layer truncates what does not fit, so the sender has to cut.
    return _cut(_joined(parts), min(size, faults.chunk_size or size), parts[0].delay)


def _lose_chunk(_faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    if len(parts) < 3:
        parts = _cut(_joined(parts), SMALL_CHUNK, parts[0].delay)
    middle = len(parts) // 2
    return parts[:middle] + parts[middle + 1 :]


def _duplicate(_faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    return parts + [Part(part.data) for part in parts]


def _late(faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    return [Part(parts[0].data, parts[0].delay + faults.late_by), *parts[1:]]


def _disconnect(_faults: ConnectionFaults, parts: list[Part], _size: int) -> list[Part]:
    return [Part(None, parts[0].delay)]


def _disconnect_midway(
    _faults: ConnectionFaults, parts: list[Part], _size: int
) -> list[Part]:
    if len(parts) == 1:
        data = _joined(parts)
        parts = _cut(data, (len(data) + 1) // 2, parts[0].delay)
    return [*parts[: len(parts) // 2], Part(None, ARRIVAL)]


# In this order: whether there is a reply, its bytes, how these are cut into
# notifications, when those are sent, whether the connection lasts until then. What has no
# name is no fault but always done.
REPLY_FAULTS: Final[tuple[tuple[str | None, ReplyFault], ...]] = (
    ("drop", _drop),
    ("merge", _hold),
    (None, _release),
    ("corrupt", _corrupt),
    ("truncate", _truncate),
    ("lead", _lead),
    (None, _split),
    ("lose_chunk", _lose_chunk),
    ("duplicate", _duplicate),
    ("late", _late),
    ("disconnect_in_reply", _disconnect_midway),
    ("disconnect_on_write", _disconnect),
)
