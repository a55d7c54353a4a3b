"""Detects a battery or a proxy that repeats the same reply while a current flows."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# Within half an hour of load, a cell voltage changes by a millivolt.
STUCK_AFTER: Final = timedelta(minutes=30)
STUCK_SAMPLES: Final = 3


class StuckDataDetector:
    """Detects samples that stay the same; times are loop time in s."""

    def __init__(self) -> None:
        """Start without a sample."""
        self._last_frame = b""
        self._same_samples = 0
        self._same_since = 0.0

    def add(self, frame: bytes, current: float, now: float) -> bool:
        """Add a status reply and its current in A; return whether the data is stuck."""
        if not current or frame != self._last_frame:
            self._same_samples = 0
        self._last_frame = frame
        self._same_samples += 1
        if self._same_samples == 1:
            self._same_since = now
        return (
            self._same_samples >= STUCK_SAMPLES
            and now - self._same_since >= STUCK_AFTER.total_seconds()
        )

    def reset(self) -> None:
        """Start again, as after a new connection."""
        self._same_samples = 0
