"""How well polling one battery works: counters and the age of the last sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from ..const import MAX_UNANSWERED_POLLS
from ..vlrv.errors import ImplausibleError, VlrvError


@dataclass(slots=True)
class PollStatistics:
    """Counters since the entry was set up, and when the last valid sample came."""

    polls: int = 0
    """Attempts to read a sample."""
    samples: int = 0
    """Valid samples."""
    failed_polls: int = 0
    """Polls without a sample: not connected, no answer, refused."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Samples dropped as a whole, by reason; one sample may have several."""
    reconnects: int = 0
    """Connections after the first."""
    stuck: int = 0
    """How often a battery was disconnected because it repeated the same sample."""
    last_sample: datetime | None = None
    """When the last valid sample came, UTC."""
    last_sample_time: float | None = None
    """The same in loop time (s), which does not jump when the clock is set."""
    unanswered_polls: int = 0
    """Polls in a row without an answer on a connection that is there."""

    def record_sample(self, when: datetime, time: float) -> None:
        """Count a valid sample, received at `when` (UTC) and `time` (loop time, s)."""
        self.samples += 1
        self.unanswered_polls = 0
        self.last_sample = when
        self.last_sample_time = time

    def record_failure(self, err: VlrvError) -> None:
        """Count a poll that failed."""
        if isinstance(err, ImplausibleError):
            self.rejected.update(err.reasons)
            self.unanswered_polls = 0
        else:
            self.failed_polls += 1

    def record_no_answer(self) -> bool:
        """Count an unanswered poll; return whether the connection is of no use.

        The count starts again then.
        """
        self.unanswered_polls += 1
        if self.unanswered_polls < MAX_UNANSWERED_POLLS:
            return False
        self.unanswered_polls = 0
        return True

    def age(self, time: float) -> float | None:
        """Return the age of the last sample in s at loop time `time`, None before it."""
        return None if self.last_sample_time is None else time - self.last_sample_time
