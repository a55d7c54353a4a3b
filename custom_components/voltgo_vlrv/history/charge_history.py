"""When a battery was last full and when it has to be recharged; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

_DAY: Final = 86_400.0  # s
_MONTH: Final = 365.25 / 12 * _DAY
_CENTURY: Final = 100 * 12 * _MONTH
_ROUNDING: Final = 1e-6


class StorageInterval(NamedTuple):
    """One row of manual table 6-2, which is the same for all voltages."""

    up_to: float  # °C
    months: int


STORAGE_INTERVALS: Final = (StorageInterval(20, 9), StorageInterval(30, 6))
# Up to 40 °C; the manual forbids storage above that.
HOT_MONTHS: Final = 3
UNKNOWN_MONTHS: Final = 6
"""Manual 5.1.3, for storage at an unknown temperature."""
_MONTHS: Final = {
    HOT_MONTHS,
    UNKNOWN_MONTHS,
    *(line.months for line in STORAGE_INTERVALS),
}

TEMPERATURE_VALID_FOR: Final = _DAY
"""s; a temperature is not applied to a longer time."""
MAX_ABSENCE: Final = 2 * 12 * _MONTH
"""s; a longer absence can only be a clock that was set."""
EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""An earlier time comes from a clock that was not set; the integration is younger."""


def months_at(temperature: float | None) -> int:
    """Return the months of storage that a full battery allows at a temperature in °C."""
    if temperature is None:
        return UNKNOWN_MONTHS
    return next(
        (line.months for line in STORAGE_INTERVALS if temperature <= line.up_to),
        HOT_MONTHS,
    )


def _fraction_used(seconds: float, months: int) -> float:
    """Return the fraction of the storage interval that `seconds` use up.

    `months` belongs to the temperature at one end of that time.
    """
    if seconds > TEMPERATURE_VALID_FOR:
        months = min(months, UNKNOWN_MONTHS)
    return seconds / (months * _MONTH)


class StoredHistory(NamedTuple):
    """What a `ChargeHistory` stores over a restart."""

    last_full: datetime | None = None
    elapsed_fraction: float = 0.0
    """Fraction of the storage interval used up since then; 1 when recharging is due."""
    elapsed: float = 0.0
    """s since then, as far as counted."""
    until: datetime | None = None
    """When it was stored."""
    months: int = UNKNOWN_MONTHS
    """Storage interval at the last temperature."""
    full: bool | None = None
    """Whether the battery was full at the last sample."""

    @property
    def is_possible(self) -> bool:
        """Return whether a `ChargeHistory` can have stored this."""
        least, most = (
            self.elapsed / (months * _MONTH) for months in (max(_MONTHS), min(_MONTHS))
        )
        return (
            0 <= self.elapsed <= _CENTURY
            and least * (1 - _ROUNDING)
            <= self.elapsed_fraction
            <= most * (1 + _ROUNDING)
            and self.months in _MONTHS
            and self.full in (True, False, None)
        )


class ChargeHistory:
    """Last full charge, and when a stored battery has to be recharged.

    Manual 6.6: every 9, 6 or 3 months by storage temperature (table 6-2). The allowance
    is used up faster at higher temperatures; the due date extrapolates the average rate.

    Time within a run is monotonic. Only the absence before it comes from the system
    clock, and is calculated each time, because that clock is often set after the start.
    """

    def __init__(self, started: float, stored: StoredHistory | None = None) -> None:
        """Continue from stored data; `started` is the monotonic time now, in s."""
        self._stored = stored or StoredHistory()
        self._started = self._time = started
        self._used = self._elapsed = 0.0
        self._months = self._stored.months
        self._full = self._stored.full
        self._full_at: float | None = None

    def add(
        self,
        time: float,
        *,
        full: bool,
        charging: bool,
        temperature: float | None,
    ) -> bool:
        """Add a sample at monotonic time `time` in s; return whether `full` changed.

        The state of charge stays at 100% while a stored battery discharges itself, so
        only becoming full, or being charged while full, counts as a full charge.
        """
        months = months_at(temperature)
        seconds = max(time - self._time, 0.0)
        self._used += _fraction_used(seconds, min(months, self._months))
        self._elapsed += seconds
        self._time, self._months = time, months
        before, self._full = self._full, full
        if full and (charging or before is False):
            self._stored = StoredHistory()
            self._used = self._elapsed = 0.0
            self._full_at = time
        return full is not before

    @property
    def is_known(self) -> bool:
        """Return whether a full charge was observed."""
        return self._full_at is not None or self._stored.last_full is not None

    def last_full(self, time: float, now: datetime) -> datetime | None:
        """Return when it was last full, None if that was not observed.

        Both arguments are now: monotonic in s, and UTC. The result is never in the
        future, whatever the system clock showed.
        """
        if self._full_at is not None:
            return now - timedelta(seconds=max(time - self._full_at, 0.0))
        last = self._stored.last_full
        if last is None:
            return None
        if last < EARLIEST:
            # The clock was not set then, so only the counted time is known.
            return now - timedelta(seconds=self._total(time, now)[1])
        return min(last, now)

    def elapsed_fraction(self, time: float, now: datetime) -> float:
        """Return the fraction of the storage interval that is used up."""
        return self._total(time, now)[0]

    def recharge_due(self, time: float, now: datetime) -> datetime | None:
        """Return when recharging is due, possibly in the past; None if unknown."""
        if not self.is_known:
            return None
        used, elapsed = self._total(time, now)
        per_second = (
            used / elapsed if used and elapsed else _fraction_used(1, self._months)
        )
        return now + timedelta(seconds=(1 - used) / per_second)

    def as_stored(self, time: float, now: datetime) -> StoredHistory:
        """Return what has to be stored."""
        used, elapsed = self._total(time, now)
        late = self._late_by(time, now)
        last = self._stored.last_full
        if self._full_at is not None or last is None or not late:
            last = self.last_full(time, now)
        return StoredHistory(
            last, used, elapsed, now + timedelta(seconds=late), self._months, self._full
        )

    def _late_by(self, time: float, now: datetime) -> float:
        """Return by how many seconds the system clock is late, at least.

        It cannot be earlier than the stored time plus this run; otherwise the next
        start would count that time twice. A larger difference than MAX_ABSENCE means
        that the stored time came from a clock that was fast.
        """
        if self._stored.until is None:
            return 0.0
        late = (self._stored.until - now).total_seconds() + time - self._started
        most = MAX_ABSENCE if now >= EARLIEST else _CENTURY
        return late if 0 < late <= most else 0.0

    def _total(self, time: float, now: datetime) -> tuple[float, float]:
        """Return the used fraction, and the seconds it took."""
        stored = self._stored
        unseen = max(time - self._time, 0.0)
        used = (
            stored.elapsed_fraction + self._used + _fraction_used(unseen, self._months)
        )
        elapsed = stored.elapsed + self._elapsed + unseen
        # A time stored before the clock was set cannot be compared with now.
        if stored.until is not None and stored.until >= EARLIEST:
            absence = (now - stored.until).total_seconds() - (time - self._started)
            absence = min(max(absence, 0.0), MAX_ABSENCE)
            used += _fraction_used(absence, stored.months)
            elapsed += absence
        return used, elapsed
