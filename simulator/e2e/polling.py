"""Waiting and checking, as every step needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from .server import DemoError

RETRY: Final = 0.1  # s


def now() -> float:
    """Return the time on the event loop's clock, in s."""
    return asyncio.get_running_loop().time()


def check(condition: bool, message: str) -> None:
    """Raise DemoError unless the condition holds."""
    if not condition:
        raise DemoError(message)


async def wait_until(
    done: Callable[[], Awaitable[bool]], within: float, message: Callable[[], str]
) -> None:
    """Poll until done, and raise DemoError after `within` seconds."""
    end = now() + within
    while not await done():
        if now() > end:
            raise DemoError(message())
        await asyncio.sleep(RETRY)


async def together[A, B](
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]
) -> tuple[A, B]:
    """Run two coroutines; the first error cancels the other, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = group.create_task(first), group.create_task(second)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return tasks[0].result(), tasks[1].result()
