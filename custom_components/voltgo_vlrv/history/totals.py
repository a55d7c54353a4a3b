"""How totals are counted from samples, and why they never fall; pure."""

from __future__ import annotations

from typing import Final, NamedTuple

WATT_SECONDS_PER_KWH: Final = 3_600_000.0

SAVE_DELAY: Final = 300.0
"""s from a change to its saving. A power cut loses at most what flowed in this time."""


class Flow(NamedTuple):
    """Energy in kWh, both 0 or more."""

    charged: float
    discharged: float


def flow_between(seconds: float, before: float, after: float) -> Flow:
    """Return the energy that flows while the power changes linearly in `seconds`.

    Powers are in W, + charging.
    """
    charged, discharged = areas(seconds, before, after)
    return Flow(charged / WATT_SECONDS_PER_KWH, discharged / WATT_SECONDS_PER_KWH)


def areas(seconds: float, before: float, after: float) -> tuple[float, float]:
    """Return the areas above and below zero of a value that changes linearly.

    Both are 0 or more, in the unit of the value times s. Where the sign changes, each
    part counts for its own direction.
    """
    if before * after >= 0:
        area = (before + after) / 2 * seconds
        return max(area, 0.0), max(-area, 0.0)
    # Rounding can put the crossing beyond the end.
    crossing = min(seconds * before / (before - after), seconds)
    first = before / 2 * crossing
    second = after / 2 * (seconds - crossing)
    return max(first, second), max(-first, -second)


class TotalLimit:
    """Upper limit of what a total can have shown when the power is cut.

    The file is behind what is shown. A total that falls would count as a reset of the
    meter, and the statistics would add all of it again. So the file also holds a limit,
    is saved at once when the total passes it, and after a power cut the total waits
    there until counting has caught up.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.value = 0.0
        self._saved: tuple[float, float] | None = None

    def is_beyond(self, total: float) -> bool:
        """Return whether the limit in the file no longer covers a total."""
        return total > self.value

    def update(self, total: float, time: float) -> None:
        """Raise the limit for a save at monotonic time `time` in s.

        By as much as flows until the next save at the rate since the last one.
        """
        rate = 0.0
        if self._saved is not None and time > self._saved[1]:
            rate = (total - self._saved[0]) / (time - self._saved[1])
        self.value = max(self.value, total + max(rate, 0.0) * SAVE_DELAY)
        self._saved = (total, time)
