"""What can go wrong in BlueZ, on purpose."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

type Errors = deque[tuple[str, str]]
"""Names and texts of D-Bus errors."""


@dataclass
class BluezFaults:
    """Switches, all off by default; a number says how often a fault strikes."""

    connect_errors: Errors = field(default_factory=deque)
    """What the next connections fail with."""
    connect_error_after: float = 0.5
    """In seconds."""
    never_resolve: int = 0
    """The services are never resolved on an established connection."""
    notify_errors: Errors = field(default_factory=deque)
    """What the next subscriptions fail with."""
    write_errors: Errors = field(default_factory=deque)
    """What the next writes fail with."""
    ignore_disconnects: int = 0
    """A disconnect is answered, and the connection stays."""

    def clear(self) -> None:
        """Switch everything off."""
        for errors in (self.connect_errors, self.notify_errors, self.write_errors):
            errors.clear()
        self.never_resolve = self.ignore_disconnects = 0
