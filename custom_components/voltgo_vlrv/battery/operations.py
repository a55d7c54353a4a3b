"""The operations of one battery that exclude each other, and the lock for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import Enum, auto


class Operation(Enum):
    """A sequence of requests that no other operation may interrupt."""

    CHANGE = auto()
    """A setting is written and confirmed."""
    FIRMWARE = auto()
    """Firmware is transferred, or the restart after it is awaited."""
    METADATA = auto()
    """Identity, thresholds or settings are read."""


class OperationLock:
    """Runs one operation of a battery at a time; a poll is not an operation."""

    def __init__(self) -> None:
        """Start without an operation."""
        self._lock = asyncio.Lock()
        self._running: Operation | None = None
        self._wanted: list[Operation] = []

    def is_running(self, operation: Operation) -> bool:
        """Return whether such an operation is running."""
        return self._running is operation

    def is_wanted(self, operation: Operation) -> bool:
        """Return whether such an operation is running or waiting."""
        return operation in self._wanted

    @asynccontextmanager
    async def hold(self, operation: Operation) -> AsyncGenerator[None]:
        """Run an operation in the block, after all that were requested before."""
        self._wanted.append(operation)
        try:
            async with self._lock:
                self._running = operation
                try:
                    yield
                finally:
                    self._running = None
        finally:
            self._wanted.remove(operation)
