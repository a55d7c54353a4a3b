"""What every step of the check needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .server import DemoError

RETRY: Final = 0.1  # s


def now() -> float:
    """Return the time on the event loop's clock, in s."""
    return asyncio.get_running_loop().time()


def expect(fact: bool, otherwise: str) -> None:
    """Fail unless something is so."""
    if not fact:
        raise DemoError(otherwise)


async def until(
    done: Callable[[], Awaitable[bool]], within: float, otherwise: Callable[[], str]
) -> None:
    """Wait until something is so, looking again and again; fail after some seconds."""
    end = now() + within
    while not await done():
        if now() > end:
            raise DemoError(otherwise())
        await asyncio.sleep(RETRY)
