"""One request in flight: spacing, matching of replies, repetition of reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from bleak.backends.device import BLEDevice

from .const import GattProfile, Timing
from .errors import (
    ConnectionLostError,
    CorruptStreamError,
    NoAnswerError,
    NotSentError,
    RefusedError,
)
from .frames import (
    EXCEPTION,
    READ_REGISTERS,
    SETTINGS_FAMILY,
    STATUS_FAMILY,
    FrameAssembler,
    read_request,
)
from .gatt import GattConnection
from .trace import ConnectionCounters, ConnectionEvent, Trace

MAX_DISCARDED_BYTES: Final = 8192
"""Bytes that are part of no frame, since the last reply to a request, after which a
connection is closed (C): 90 damaged status replies in a row, and below 1 s of what a
device that sends without end needs."""


class ExpectedReply(NamedTuple):
    """Which frame answers a request: a reply names neither register nor request."""

    family: int
    function: int
    length: int | None
    """Bytes of the whole frame; None where only the battery knows."""

    def matches(self, frame: bytes) -> bool:
        """Return whether `frame` is the reply."""
        return (
            frame[0] == self.family
            and frame[1] == self.function
            and (self.length is None or len(frame) == self.length)
        )

    def is_refused_by(self, frame: bytes) -> bool:
        """Return whether `frame` is a Modbus exception in place of the reply."""
        return (
            self.family == STATUS_FAMILY
            and frame[0] == STATUS_FAMILY
            and frame[1] == self.function | EXCEPTION
        )


@dataclass(slots=True)
class _Pending:
    """A request that waits for its reply."""

    expected: ExpectedReply
    done: asyncio.Future[None]
    frame: bytes = b""
    """The reply; when several arrived at once, the last, which is the most recent."""


class Transport:
    """Sends requests over one battery's connection and matches the replies.

    One request is in flight at a time. Reads are repeated, nothing else is.
    """

    def __init__(
        self,
        name: str,
        find_device: Callable[[], BLEDevice | None],
        *,
        timing: Timing,
        counters: ConnectionCounters,
        trace: Trace,
        on_connected: Callable[[GattProfile], None],
        on_lost: Callable[[], None] | None,
        on_settings_frame: Callable[[bytes], None] | None,
    ) -> None:
        """Prepare; `on_settings_frame` gets every settings frame, requested or not."""
        self.connection = GattConnection(
            name, find_device, self, timing=timing, counters=counters, trace=trace
        )
        self.assembler = FrameAssembler()
        self._timing = timing
        self._counters = counters
        self._trace = trace
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_settings_frame = on_settings_frame
        # Keeps a second request from being sent before the reply of the first.
        self._lock = asyncio.Lock()
        self._pending: _Pending | None = None
        self._last_write = 0.0
        # Value of `assembler.discarded` at the last reply.
        self._discarded_before = 0

    # --- events of the connection -----------------------------------------------------

    def handle_connected(self, profile: GattProfile) -> None:
        """Delay the first frame by `Timing.settle_delay`."""
        self._last_write = (
            asyncio.get_running_loop().time()
            + self._timing.settle_delay
            - self._timing.min_write_interval
        )
        self._discarded_before = self.assembler.discarded
        self._on_connected(profile)

    def handle_closed(self, error: ConnectionLostError, *, lost: bool) -> None:
        """Fail the request in flight."""
        self.assembler.clear()
        if self._pending is not None and not self._pending.done.done():
            self._pending.done.set_exception(error)
        if lost and self._on_lost is not None:
            self._on_lost()

    def handle_notification(self, data: bytearray) -> None:
        """Take the frames out of a notification."""
        for frame in self.assembler.feed(data):
            self._trace.record_received(frame)
            if frame[0] == SETTINGS_FAMILY and self._on_settings_frame is not None:
                self._on_settings_frame(frame)
            # A reply to a request that was cancelled, or the same one twice.
            if (late := self._match_reply(frame)) is not None:
                self._counters.late_replies += 1
                self._trace.record_event(ConnectionEvent.LATE_REPLY, frame=late)
        if self.assembler.discarded - self._discarded_before > MAX_DISCARDED_BYTES:
            self.connection.abort(
                CorruptStreamError("the device sends data that is no frame")
            )

    def _match_reply(self, frame: bytes) -> bytes | None:
        """Match a frame to the request; return a frame that is no reply.

        That is `frame`, or the reply it replaces: an adapter may hold replies back and
        deliver them together. A battery answers in order, so the last one is current.
        """
        if (pending := self._pending) is None:
            return frame
        if pending.expected.matches(frame):
            if not pending.done.done():
                pending.frame = frame
                pending.done.set_result(None)
                self._discarded_before = self.assembler.discarded
                return None
            if pending.frame:
                late, pending.frame = pending.frame, frame
                return late
        elif not pending.done.done() and pending.expected.is_refused_by(frame):
            pending.done.set_exception(RefusedError(frame[2]))
            self._trace.record_event(ConnectionEvent.REFUSED, f"code {frame[2]}", frame)
            return None
        return frame

    # --- requests ---------------------------------------------------------------------

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[int]:
        """Keep others from sending; return the number of the current connection."""
        async with self._lock:
            yield self._counters.connects

    async def request(
        self, request: bytes, expected: ExpectedReply, attempts: int
    ) -> bytes:
        """Send a read and return its reply, repeating it when there is none.

        Raises NoAnswerError, RefusedError, ConnectionLostError or NotSentError.
        """
        async with self._lock:
            for _ in range(attempts):
                with suppress(NoAnswerError):
                    return await self.send_once(request, expected)
            raise NoAnswerError(f"no answer to {attempts} requests")

    async def read_registers(self, start: int, count: int, attempts: int) -> bytes:
        """Read `count` registers from `start`; return the reply, checksum included.

        Raises as `request` does.
        """
        return await self.request(
            read_request(start, count),
            ExpectedReply(STATUS_FAMILY, READ_REGISTERS, 5 + 2 * count),
            attempts,
        )

    async def measure_write_size(self, wanted: int, connection: int) -> int:
        """Return the bytes of the largest notification of this connection.

        If that is less than `wanted`, a read of status registers is sent whose reply has
        as many bytes: undefined registers read 0 (A). Call it inside `exclusive` only.
        """
        if self.connection.max_notification_size < wanted:
            count = (wanted - 4) // 2
            with suppress(NoAnswerError, RefusedError):
                await self.send_once(
                    read_request(0, count),
                    ExpectedReply(STATUS_FAMILY, READ_REGISTERS, 5 + 2 * count),
                    connection=connection,
                )
        return self.connection.max_notification_size

    async def send_once(
        self,
        request: bytes,
        expected: ExpectedReply,
        max_wait: float | None = None,
        connection: int | None = None,
    ) -> bytes:
        """Send a frame once and return the reply; call it inside `exclusive` only.

        Waits `max_wait` s, by default `Timing.request`. With `connection` the frame is
        sent on the connection of that number only. Raises NotSentError when it surely
        was not sent, NoAnswerError, RefusedError or ConnectionLostError.
        """
        loop = asyncio.get_running_loop()
        wait = self._last_write + self._timing.min_write_interval - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        if not self.connection.is_connected:
            raise NotSentError("not connected")
        if connection not in (None, self._counters.connects):
            raise NotSentError("this is another connection")
        self.assembler.clear()
        self._pending = pending = _Pending(expected, loop.create_future())
        self._counters.requests += 1
        try:
            async with asyncio.timeout(max_wait or self._timing.request):
                self._last_write = loop.time()
                self._trace.record_sent(request)
                await self.connection.write(request)
                await pending.done
                return pending.frame
        except (TimeoutError, NoAnswerError):
            self._counters.unanswered += 1
            self._trace.record_event(ConnectionEvent.UNANSWERED, frame=request)
            raise NoAnswerError("no answer") from None
        finally:
            self._pending = None
            if pending.done.done() and not pending.done.cancelled():
                # Marks the exception as retrieved, also when the caller was cancelled.
                pending.done.exception()
