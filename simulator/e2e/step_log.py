"""What somebody does, step by step, and what is seen; kept for the printed report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .api import HomeAssistant
from .output import print_line, table
from .polling import now
from .server import DemoError


class StepLog:
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
        print_line(f"\n{title}")
        header = (f"What {self._who} does", "What was seen", "Seconds")
        print_line(table(header, self.rows))
