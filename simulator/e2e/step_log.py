"""Steps of a scenario and what was observed, for the printed report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .api import HomeAssistant
from .output import print_line, table
from .polling import now
from .server import DemoError


class StepLog:
    """Steps that were done so far, in `rows`."""

    def __init__(self, api: HomeAssistant, who: str) -> None:
        """Start without steps; `who` runs them."""
        self._api = api
        self._who = who
        self.rows: list[tuple[str, str, str]] = []

    @asynccontextmanager
    async def _step(self, what: str) -> AsyncGenerator[list[str]]:
        """Do one step; what is put into the list was observed."""
        observed: list[str] = []
        started = now()
        try:
            yield observed
        except DemoError as err:
            self.rows.append((what, f"FAILED after: {', '.join(observed) or '-'}", "-"))
            raise DemoError(f"{self._who} {what}: {err}") from None
        self.rows.append((what, ", ".join(observed), f"{now() - started:.2f}"))

    def print(self, title: str) -> None:
        """Print all of it, or what was done before it failed."""
        print_line(f"\n{title}")
        header = (f"What {self._who} does", "Observed", "Seconds")
        print_line(table(header, self.rows))
