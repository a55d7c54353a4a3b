"""How the data flow does: age and counters of one battery."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class PollStatistics:
    """Counters since the entry was set up, and when the last good sample came."""

    polls: int = 0
    """Attempts to get a sample."""
    samples: int = 0
    """Samples that were believed."""
    missed: int = 0
    """Polls without a sample: no link, no answer, refused."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Samples dropped as a whole, by reason; one sample may have several."""
    reconnects: int = 0
    """Connections after the first."""
    frozen: int = 0
    """How often a battery that repeated itself was called anew."""
    last_sample: datetime | None = None
    """When the last believed sample came, UTC."""
    last_sample_time: float | None = None
    """The same on the event loop's clock, in s, which no change of time moves."""
    silent_polls: int = 0
    """Unanswered polls in a row on a link that stands."""

    def accept(self, when: datetime, time: float) -> None:
        """Note a sample that is believed."""
        self.samples += 1
        self.silent_polls = 0
        self.last_sample = when
        self.last_sample_time = time

    def age(self, time: float) -> float | None:
        """Return the age of the data in s at loop time `time`, None before the first."""
        return None if self.last_sample_time is None else time - self.last_sample_time
