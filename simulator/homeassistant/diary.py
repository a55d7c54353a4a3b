"""What somebody does, step by step, and what is seen; kept for the printed report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .client import HomeAssistant
from .output import say, table
from .server import DemoError
from .waiting import now


class Diary:
    """Who does it; `rows` says what was done so far."""

    def __init__(self, api: HomeAssistant, who: str) -> None:
        """Begin with nothing done; `who` does it."""
        self._api = api
        self._who = who
        self.rows: list[tuple[str, str, str]] = []

    @asynccontextmanager
    async def _does(self, what: str) -> AsyncGenerator[list[str]]:
        """Do one thing; what is put into the list was seen."""
        seen: list[str] = []
        started = now()
        try:
            yield seen
        except DemoError as err:
            self.rows.append((what, f"FAILED after: {', '.join(seen) or '-'}", "-"))
            raise DemoError(f"{self._who} {what}: {err}") from None
        self.rows.append((what, ", ".join(seen), f"{now() - started:.2f}"))

    def tell(self, title: str) -> None:
        """Print all of it, or what was done before it failed."""
        say(f"\n{title}")
        header = (f"What {self._who} does", "What was seen", "Seconds")
        say(table(header, self.rows))
