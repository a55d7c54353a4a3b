"""What is done to one battery at a time: changing a setting, firmware, reading metadata."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import Enum, auto


class Operation(Enum):
    """A conversation with the battery that no other one may interrupt."""

    CHANGE = auto()
    """A setting is written and confirmed."""
    FIRMWARE = auto()
    """Firmware is transferred, or the restart after it is awaited."""
    METADATA = auto()
    """Identity, thresholds or settings are read."""


class OperationLock:
    """Let one operation of a battery run at a time; polls are no operation."""

    def __init__(self) -> None:
        """Start without an operation."""
        self._lock = asyncio.Lock()
        self._running: Operation | None = None
        self._wanted: list[Operation] = []

    def is_running(self, operation: Operation) -> bool:
        """Return whether such an operation has begun and not ended."""
        return self._running is operation

    def is_wanted(self, operation: Operation) -> bool:
        """Return whether such an operation is running or waits for its turn."""
        return operation in self._wanted

    @asynccontextmanager
    async def hold(self, operation: Operation) -> AsyncGenerator[None]:
        """Run an operation in the block, after those that wait already."""
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
