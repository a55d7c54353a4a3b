"""The API server of a proxy: TCP, sessions, and which of them is the subscriber.

There is one subscriber of advertisements and connections, and the newest one wins
[subscribe_api_connection]. A client that disappeared without closing its connection is
noticed after 150 s.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
import logging
from typing import Any, Final

from .const import KEEPALIVE_TIMEOUT
from .messages import Message
from .wire import Framing

_LOGGER = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
READ_SIZE: Final = 4096  # bytes
LOG_LIMIT: Final = 10_000  # entries

type Handler = Callable[[ApiSession, Message], None]
type Handlers = Mapping[str, Handler]
"""What handles a message, by the name of its type."""


class ApiSession:
    """The connection of one client of the API."""

    def __init__(
        self,
        server: ApiServer,
        framing: Framing,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Prepare to serve a client that has just connected."""
        self.api_minor = 0
        self.is_lost = False
        """The client is gone, and the proxy has not noticed or has given it up."""
        self.is_leaving = False
        self.keepalive: asyncio.Task[None] | None = None
        self._server = server
        self._framing = framing
        self._reader = reader
        self._writer = writer
        self._outgoing: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Handle what the client sends, until it disconnects."""
        while data := await self._reader.read(READ_SIZE):
            messages, answer = self._framing.receive(data)
            if answer:
                self._writer.write(answer)
            for message in messages:
                self._server.handle(self, message)

    def send(self, message: Message) -> None:
        """Send a message after the latency of the network."""
        if self.is_lost or self._writer.is_closing():
            return
        loop = asyncio.get_running_loop()
        self._outgoing.append(
            (loop.time() + self._server.latency, self._framing.encode(message))
        )
        if self._timer is None:
            self._timer = loop.call_at(self._outgoing[0][0], self.flush)

    def flush(self) -> None:
        """Write what is due."""
        self._timer = None
        if self.is_lost or self._server.is_hung:
            return  # written when the network is back
        loop = asyncio.get_running_loop()
        while self._outgoing and self._outgoing[0][0] <= loop.time():
            self._writer.write(self._outgoing.popleft()[1])
        if self._outgoing:
            self._timer = loop.call_at(self._outgoing[0][0], self.flush)
        elif self.is_leaving:
            self.close()

    def pause(self) -> None:
        """Leave incoming bytes in the buffer of the operating system."""
        transport = self._writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

    def resume(self) -> None:
        """Read again, and write what is due."""
        if self.keepalive is not None:
            self.keepalive.cancel()
        transport = self._writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.resume_reading()
        self.flush()

    def close(self) -> None:
        """Close the TCP connection after what was written."""
        self._discard_outgoing()
        self._writer.close()

    def abort(self) -> None:
        """Reset the TCP connection."""
        self._discard_outgoing()
        self._writer.transport.abort()

    def lose(self) -> None:
        """Reset the TCP connection without the server taking notice."""
        self.is_lost = True
        self._writer.transport.abort()

    def _discard_outgoing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outgoing.clear()


class ApiServer:
    """The server on 127.0.0.1 with all its sessions.

    `requests` counts the messages received, by type. `port` is chosen by the system at
    the first start, and stays. `latency` is that of the network, in seconds.
    """

    def __init__(
        self,
        name: str,
        latency: float,
        create_framing: Callable[[], Framing],
        handle_subscriber_lost: Callable[[], None],
    ) -> None:
        """Prepare; `handle_subscriber_lost` is called when the proxy has no client."""
        self.latency = latency
        self.handlers: dict[str, Handler] = {}
        self.requests: Counter[str] = Counter()
        self.log: deque[tuple[float, str]] = deque(maxlen=LOG_LIMIT)
        self.port = 0
        self.is_hung = False
        self.subscriber: ApiSession | None = None
        self._name = name
        self._create_framing = create_framing
        self._handle_subscriber_lost = handle_subscriber_lost
        self._server: asyncio.Server | None = None
        self._sessions: set[ApiSession] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_on(self) -> bool:
        """Return whether the server runs."""
        return self._server is not None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._handle_client, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Reset all TCP connections, and end all tasks."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.subscriber = None
        self.is_hung = False
        self.drop_sessions()
        self._sessions.clear()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # The network

    def hang(self) -> None:
        """Lose the network: nothing arrives or leaves, and no end is told of it."""
        self.is_hung = True
        for session in self._sessions:
            session.pause()
            session.keepalive = self.create_task(self._watch_keepalive(session))

    def resume(self) -> None:
        """Restore the network before either end gave up: what was sent arrives."""
        self.is_hung = False
        for session in self._sessions:
            session.resume()

    def lose_sessions(self) -> None:
        """Restore the network after the clients have given up.

        The server keeps its sessions until a keepalive is not answered.
        """
        self.is_hung = False
        for session in self._sessions:
            session.lose()

    def drop_sessions(self) -> None:
        """Reset the TCP connections; the server notices."""
        for session in list(self._sessions):
            session.abort()

    async def _watch_keepalive(self, session: ApiSession) -> None:
        """[check_keepalive_]."""
        await asyncio.sleep(KEEPALIVE_TIMEOUT)
        holder = "the subscriber" if self.subscriber is session else "a former client"
        self.record(f"{holder} is unresponsive")
        session.lose()
        self._remove(session)

    # Messages

    def send(self, message: Message) -> None:
        """Send to the subscriber, if there is one."""
        if self.subscriber is not None:
            self.subscriber.send(message)

    def handle(self, session: ApiSession, message: Message) -> None:
        """Handle what a client sent; types without a handler are ignored."""
        name = type(message).__name__
        self.requests[name] += 1
        if (handler := self.handlers.get(name)) is not None:
            handler(session, message)

    async def _handle_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        session = ApiSession(self, self._create_framing(), reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._sessions.add(session)
        if self.is_hung:
            session.pause()
        try:
            await session.serve()
        except ValueError as err:
            self.record(f"a client is refused: {err}")
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            session.close()
            if not session.is_lost:
                self._remove(session)

    def _remove(self, session: ApiSession) -> None:
        """Handle that a client is gone [~APIConnection]."""
        self._sessions.discard(session)
        if self.subscriber is session:
            self.subscriber = None
            self._handle_subscriber_lost()

    # Helpers of all parts of a proxy

    def record(self, line: str) -> None:
        """Add a line to the log, with the time of the event loop."""
        self.log.append((asyncio.get_running_loop().time(), line))
        _LOGGER.debug("%s: %s", self._name, line)

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task that ends when the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._handle_task_done)
        return task

    def _handle_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            task.result()
