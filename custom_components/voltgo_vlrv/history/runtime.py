"""What follows from the samples of a battery.

The times to empty and to full, the stored energy, when it was full, and when it has to
be charged again. Arithmetic only: nothing here knows Home Assistant, or where the
samples come from, so it serves one battery as well as several together.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import ceil, exp, floor, fsum, log10
from typing import Final, NamedTuple

from ..vlrv.registers import BatteryStatus

MINUTES_PER_HOUR: Final = 60
_SECONDS_PER_HOUR: Final = 3600.0

# --- charge and energy ------------------------------------------------------------------

NOMINAL_CELL_VOLTAGE: Final = 3.2
"""V; 12.8, 25.6 and 51.2 V with 4, 8 and 16 cells (manual table 4-1)."""


class Charge(NamedTuple):
    """What a battery reports to have left, in Ah."""

    left: float
    low: float
    """With `high`, between what it can lie: the battery reports it in steps."""
    high: float
    full: float | None
    """When full; None where the battery does not tell."""

    @property
    def step(self) -> float:
        """Return the resolution."""
        return self.high - self.low


def charge_of(status: BatteryStatus) -> Charge | None:
    """Return the charge of a battery, None where nothing tells it.

    The remaining capacity, which captures show cut off to 1 Ah (0.1 Ah on old boards);
    where it is not reported, the state of charge, rounded to 1 %, of the full capacity.
    """
    full = status.full_capacity
    if (left := status.remaining_capacity) is not None:
        return Charge(left, left, left + status.remaining_step, full)
    if full is None:
        return None
    left = full * status.state_of_charge / 100
    half = full / 200
    return Charge(left, left - half, left + half, full)


def total_charge(charges: Iterable[Charge | None]) -> Charge | None:
    """Return the charge of batteries in parallel, None where one of them is unknown."""
    known: list[Charge] = []
    for charge in charges:
        if charge is None:
            return None
        known.append(charge)
    if not known:
        return None
    capacities = [charge.full for charge in known if charge.full is not None]
    return Charge(
        fsum(charge.left for charge in known),
        fsum(charge.low for charge in known),
        fsum(charge.high for charge in known),
        fsum(capacities) if len(capacities) == len(known) else None,
    )


def stored_energy(charge: Charge, cells: int) -> int:
    """Return the nominal energy that is left, in Wh: charge times nominal voltage.

    3.2 V for each cell in series, as manual table 4-1 counts, and not what the cells
    would deliver: load and cold take from that. The batteries count in 1 Ah, 12.8 Wh
    and more, so it is rounded to 10 Wh; to 1 Wh for boards that count in 0.1 Ah.
    """
    voltage = cells * NOMINAL_CELL_VOLTAGE
    step: int = 10 ** max(floor(log10(max(charge.step * voltage, 1.0))), 0)
    return step * floor(charge.left * voltage / step + 0.5)


def energy_capacity(full_capacity: float | None, cells: int) -> float | None:
    """Return the nominal energy of a full battery, in Wh, by its full capacity in Ah."""
    if full_capacity is None:
        return None
    return full_capacity * cells * NOMINAL_CELL_VOLTAGE


# --- time to empty, time to full --------------------------------------------------------

IDLE_CURRENT: Final = 1.0
"""A for each battery, which reports no current below about this (B), so that none is
believed to flow."""
STILL_FLOWING: Final = 0.5
"""A for each; what has flowed is idle below this: noise does not switch it on and off."""
TIME_CONSTANT: Final = 180.0
"""s; a change of load shows with two thirds after this."""
SETTLING: Final = 60.0
"""s; a load that has just begun may be one that is over in a moment."""
MAX_MINUTES: Final = 96.0 * MINUTES_PER_HOUR
"""With so little current, the uncertainty of it is a matter of days."""


class SmoothedCurrent:
    """A current in A averaged over some minutes, + charging.

    Each sample counts by the time since the one before, whatever the interval. A change
    of direction, as well as none, begins anew.
    """

    def __init__(self) -> None:
        """Begin without a sample."""
        self._time: float | None = None
        self._since = 0.0
        self._sum = self._weight = 0.0
        self._direction = 0
        self._is_settled = False

    @property
    def direction(self) -> int:
        """Return 1 while charging, -1 while discharging, 0 while idle."""
        return self._direction

    @property
    def value(self) -> float | None:
        """Return the current; None while idle, and until it has flowed for a while."""
        if not self._direction or not self._is_settled:
            return None
        return self._sum / self._weight

    def add(
        self, time: float, current: float, interval: float, batteries: int = 1
    ) -> None:
        """Take a current at a time in s, on a clock that nobody sets.

        A sample is due each `interval` seconds; where that is longer than the settling,
        the first one has to do. A sum of several `batteries` changes with the sample of
        each: it has settled when all of them have been read.
        """
        last, self._time = self._time, time
        elapsed = interval if last is None else time - last
        direction = _direction(current / batteries, self._direction)
        if last is None or direction != self._direction:
            self._direction = direction
            self._sum = self._weight = 0.0
            self._since = time if last is None else last
        elif elapsed <= 0:
            return
        kept = exp(-max(elapsed, 0.001) / TIME_CONSTANT)
        self._sum = self._sum * kept + current * (1 - kept)
        self._weight = self._weight * kept + 1 - kept
        first_will_do = interval >= SETTLING and batteries == 1
        self._is_settled = first_will_do or (
            time - self._since >= max(SETTLING, interval)
        )


def _direction(current: float, before: int) -> int:
    sign = 1 if current > 0 else -1
    least = STILL_FLOWING if sign == before else IDLE_CURRENT
    return sign if abs(current) >= least else 0


class ChargeGauge:
    """The charge in Ah between the steps in which it is reported, counted by current.

    So that a time does not jump with each step, and never outside of what is reported.
    """

    def __init__(self) -> None:
        """Begin without a sample."""
        self._time = 0.0
        self.value: float | None = None
        """None where the battery tells nothing."""

    def add(self, time: float, current: float, charge: Charge | None) -> None:
        """Take what is reported at a time in s, on a clock that nobody sets."""
        elapsed, self._time = max(time - self._time, 0.0), time
        if charge is None:
            self.value = None
            return
        high = charge.high if charge.full is None else min(charge.high, charge.full)
        low = min(max(charge.low, 0.0), high)
        if self.value is None:
            self.value = (low + high) / 2
        else:
            moved = current * elapsed / _SECONDS_PER_HOUR
            self.value = min(max(self.value + moved, low), high)


class Runtime:
    """How long a battery lasts, or needs to be full, if all goes on as it does."""

    def __init__(self) -> None:
        """Begin without a sample."""
        self.current = SmoothedCurrent()
        self._gauge = ChargeGauge()
        self._full: float | None = None

    def add(
        self,
        time: float,
        current: float,
        charge: Charge | None,
        interval: float,
        batteries: int = 1,
    ) -> None:
        """Take a sample; the current in A, + charging, times and interval in s.

        The time is on a clock that nobody sets. `batteries` is of how many the current
        and the charge are the sum, each of which has a sample in each interval.
        """
        self._gauge.add(time, current, charge)
        self._full = None if charge is None else charge.full
        self.current.add(time, current, interval, batteries)

    @property
    def minutes_to_empty(self) -> float | None:
        """Return how long the charge lasts; None unless discharging, or unknown."""
        current, left = self.current.value, self._gauge.value
        if current is None or current > 0 or left is None:
            return None
        return left / -current * MINUTES_PER_HOUR

    @property
    def minutes_to_full(self) -> float | None:
        """Return how long filling takes; None unless charging, or unknown.

        Chargers take back their current at the end, which makes it longer.
        """
        current, left = self.current.value, self._gauge.value
        if current is None or current < 0 or left is None or self._full is None:
            return None
        return max(self._full - left, 0.0) / current * MINUTES_PER_HOUR


_COARSE_STEP: Final = 5  # min, from an hour on
_STEADY: Final = 0.05  # of what is shown


def shown_minutes(minutes: float | None, before: int | None) -> int | None:
    """Return the minutes to show instead of `before`, which stay while they are near.

    Whole minutes below an hour, five above; what differs by less than 5 %, or a step,
    is no news. None when unknown, and above the longest time.
    """
    if minutes is None:
        return None
    longest = MAX_MINUTES if before is None else MAX_MINUTES * (1 + _STEADY)
    if minutes > longest:
        return None
    step = 1 if minutes < MINUTES_PER_HOUR else _COARSE_STEP
    if before is not None and abs(minutes - before) < max(step, _STEADY * before):
        return before
    return step * floor(minutes / step + 0.5)


def as_hours(minutes: int) -> float:
    """Return minutes as hours.

    Rounded up, as Home Assistant's pages make hours and minutes of it and cut off what
    is left: the hours of 125 minutes must not be a hair less.
    """
    return ceil(minutes * 10_000 / MINUTES_PER_HOUR) / 10_000


# --- last full charge, recharging -------------------------------------------------------

_DAY: Final = 86_400.0  # s
_MONTH: Final = 365.25 / 12 * _DAY
_CENTURY: Final = 100 * 12 * _MONTH
_ROUNDING: Final = 1e-6


class StorageInterval(NamedTuple):
    """One line of manual table 6-2, which is the same for all voltages."""

    up_to: float  # °C
    months: int


STORAGE_INTERVALS: Final = (StorageInterval(20, 9), StorageInterval(30, 6))
# To 40 °C. Above, the manual has nothing but that batteries are not to be stored so.
HOT_MONTHS: Final = 3
UNKNOWN_MONTHS: Final = 6
"""What the manual (5.1.3) says for any long storage, without a temperature."""
_MONTHS: Final = {
    HOT_MONTHS,
    UNKNOWN_MONTHS,
    *(line.months for line in STORAGE_INTERVALS),
}

TEMPERATURE_VALID_FOR: Final = _DAY
"""s; a temperature tells nothing of what lies further from it."""
MAX_ABSENCE: Final = 2 * 12 * _MONTH
"""s; more can only be a clock that was set."""
EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less was not set since the start; the integration is younger."""


def months_at(temperature: float | None) -> int:
    """Return for how many months a full battery may stand at a temperature in °C."""
    if temperature is None:
        return UNKNOWN_MONTHS
    return next(
        (line.months for line in STORAGE_INTERVALS if temperature <= line.up_to),
        HOT_MONTHS,
    )


def _used(seconds: float, months: int) -> float:
    """Return the share of what may pass between two charges that has passed.

    `months` are those of the temperature at an end of the time.
    """
    if seconds > TEMPERATURE_VALID_FOR:
        months = min(months, UNKNOWN_MONTHS)
    return seconds / (months * _MONTH)


class StoredHistory(NamedTuple):
    """What is kept of a `ChargeHistory` over a restart."""

    last_full: datetime | None = None
    used: float = 0.0
    """Share of the time until recharging that has passed since, 1 when it is due."""
    elapsed: float = 0.0
    """Seconds since, as far as they are counted."""
    until: datetime | None = None
    """When it was kept."""
    months: int = UNKNOWN_MONTHS
    """What the last temperature allows."""
    full: bool | None = None
    """Whether the battery was full when it was seen last."""

    @property
    def is_possible(self) -> bool:
        """Return whether it can be what a `ChargeHistory` kept."""
        least, most = (
            self.elapsed / (months * _MONTH) for months in (max(_MONTHS), min(_MONTHS))
        )
        return (
            0 <= self.elapsed <= _CENTURY
            and least * (1 - _ROUNDING) <= self.used <= most * (1 + _ROUNDING)
            and self.months in _MONTHS
            and self.full in (True, False, None)
        )


class ChargeHistory:
    """When a battery was full, and when it has to be charged again if it is not used.

    Manual 6.6 wants a stored battery to be charged until the current has fallen to 5 A,
    every 9, 6 or 3 months by storage temperature (table 6-2). Time uses up more or less
    of that as it passes, by the temperature it passes at; the date is that of the end if
    it goes on as it did on average.

    Within a run time is counted on the event loop's clock, which nobody sets; only how
    long it was before is taken from the system's clock, anew each time, as that one is
    often wrong for a while after the start.
    """

    def __init__(self, started: float, kept: StoredHistory | None = None) -> None:
        """Go on from what was kept; `started` is now on the event loop's clock, in s."""
        self._kept = kept or StoredHistory()
        self._started = self._time = started
        self._used = self._elapsed = 0.0
        self._months = self._kept.months
        self._full = self._kept.full
        self._full_at: float | None = None

    def add(
        self,
        time: float,
        *,
        full: bool,
        charging: bool,
        temperature: float | None,
    ) -> bool:
        """Take a sample at a time on the event loop's clock, in s.

        Full is known by the state of charge, which stands still at 100 % while a stored
        battery slowly discharges itself. So what counts is that it becomes full, or is
        charged while it is. Returns whether anything but time has changed.
        """
        months = months_at(temperature)
        seconds = max(time - self._time, 0.0)
        self._used += _used(seconds, min(months, self._months))
        self._elapsed += seconds
        self._time, self._months = time, months
        before, self._full = self._full, full
        if full and (charging or before is False):
            self._kept = StoredHistory()
            self._used = self._elapsed = 0.0
            self._full_at = time
        return full is not before

    @property
    def is_known(self) -> bool:
        """Return whether a full charge was seen."""
        return self._full_at is not None or self._kept.last_full is not None

    def last_full(self, time: float, now: datetime) -> datetime | None:
        """Return when it was full, None when that was not seen.

        Both arguments are now, `time` on the event loop's clock. Never in the future,
        whatever the clock was then or is now.
        """
        if self._full_at is not None:
            return now - timedelta(seconds=max(time - self._full_at, 0.0))
        last = self._kept.last_full
        if last is None:
            return None
        if last < EARLIEST:
            # By a clock that was not set: what was counted since is all that is known.
            return now - timedelta(seconds=self._total(time, now)[1])
        return min(last, now)

    def used(self, time: float, now: datetime) -> float:
        """Return the share of the time until recharging that has passed."""
        return self._total(time, now)[0]

    def recharge_due(self, time: float, now: datetime) -> datetime | None:
        """Return when it has to be charged, also in the past; None when not known."""
        if not self.is_known:
            return None
        used, elapsed = self._total(time, now)
        per_second = used / elapsed if used and elapsed else _used(1, self._months)
        return now + timedelta(seconds=(1 - used) / per_second)

    def keep(self, time: float, now: datetime) -> StoredHistory:
        """Return what is to be kept."""
        used, elapsed = self._total(time, now)
        late = self._late_by(time, now)
        last = self._kept.last_full
        if self._full_at is not None or last is None or not late:
            last = self.last_full(time, now)
        return StoredHistory(
            last, used, elapsed, now + timedelta(seconds=late), self._months, self._full
        )

    def _late_by(self, time: float, now: datetime) -> float:
        """Return by how many seconds the system's clock must be late, at least.

        It cannot be before what was kept and the time of this run: or else the next
        start would count that time again. What it is behind of by more than anything
        can last was a clock that was early.
        """
        if self._kept.until is None:
            return 0.0
        late = (self._kept.until - now).total_seconds() + time - self._started
        most = MAX_ABSENCE if now >= EARLIEST else _CENTURY
        return late if 0 < late <= most else 0.0

    def _total(self, time: float, now: datetime) -> tuple[float, float]:
        """Return the share that has passed, and in how many seconds."""
        kept = self._kept
        unseen = max(time - self._time, 0.0)
        used = kept.used + self._used + _used(unseen, self._months)
        elapsed = kept.elapsed + self._elapsed + unseen
        # How long it is since what a clock showed that was not set, nobody knows.
        if kept.until is not None and kept.until >= EARLIEST:
            absence = (now - kept.until).total_seconds() - (time - self._started)
            absence = min(max(absence, 0.0), MAX_ABSENCE)
            used += _used(absence, kept.months)
            elapsed += absence
        return used, elapsed
