"""Last full charge and recharge due date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.charge_history import (
    _CENTURY,
    _ROUNDING,
    EARLIEST,
    MAX_ABSENCE,
    ChargeHistory,
    StoredHistory,
    months_at,
)
from tests.history.common import DAY, HOUR, MONTH

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


class Storage:
    """A stored battery, with a clock that can be set."""

    def __init__(self, stored: StoredHistory | None = None) -> None:
        """Start Home Assistant."""
        self.time = 1000.0
        self.now = NOW
        self.history = ChargeHistory(self.time, stored)

    def passes(self, seconds: float) -> None:
        """Let time pass, unseen."""
        self.time += seconds
        self.now += timedelta(seconds=seconds)

    def add(
        self,
        temperature: float | None = 15,
        *,
        full: bool = True,
        charging: bool = False,
    ) -> None:
        """See the battery."""
        self.history.add(
            self.time, full=full, charging=charging, temperature=temperature
        )

    def rest(self, months: float, temperature: float | None) -> None:
        """See it every six hours."""
        for _ in range(round(months * MONTH / (6 * HOUR))):
            self.passes(6 * HOUR)
            self.add(temperature)

    def restarts(self, off: float = 0.0) -> None:
        """Restart Home Assistant, which is off for some seconds."""
        stored = self.history.as_stored(self.time, self.now)
        self.now += timedelta(seconds=off)
        self.time = 5.0
        self.history = ChargeHistory(self.time, stored)

    @property
    def due(self) -> float | None:
        """Return in how many months recharging is due."""
        due = self.history.recharge_due(self.time, self.now)
        return None if due is None else (due - self.now).total_seconds() / MONTH

    @property
    def last_full(self) -> datetime | None:
        """Return when it was full."""
        return self.history.last_full(self.time, self.now)


@pytest.mark.parametrize(
    ("temperature", "months"),
    [
        *((-20, 9), (10, 9), (20, 9), (20.1, 6), (25, 6), (30, 6), (31, 3), (40, 3)),
        *((55, 3), (None, 6)),
    ],
)
def test_recharge_intervals_are_those_of_the_manual(
    temperature: float | None, months: int
) -> None:
    """Table 6-2; without a temperature what 5.1.3 says for all long storage."""
    assert months_at(temperature) == months
    stored = Storage()
    stored.add(temperature, charging=True)
    assert stored.due == pytest.approx(months, rel=0.001)
    stored.rest(1, temperature)
    assert stored.due == pytest.approx(months - 1, rel=0.01)
    stored.rest(months, temperature)
    assert stored.due == pytest.approx(-1, rel=0.02)


def test_recharge_due_before_a_full_charge_is_unknown() -> None:
    """How much of the time had passed before is not known."""
    stored = Storage()
    assert stored.due is stored.last_full is None
    stored.add(full=False, charging=True)
    stored.rest(0.1, 15)
    # The transition: it was not full, and is.
    assert stored.last_full == NOW + timedelta(hours=6)

    stored = Storage()
    stored.add(full=True)
    stored.rest(0.1, 15)
    assert stored.due is stored.last_full is None


def test_full_charge_of_an_idle_full_battery_is_not_repeated() -> None:
    """Only a charger makes the date move on."""
    stored = Storage()
    stored.add(charging=True)
    stored.rest(2, 15)
    assert stored.last_full == NOW
    assert stored.due == pytest.approx(7, rel=0.01)
    stored.add(charging=True)
    assert stored.last_full == stored.now
    assert stored.due == pytest.approx(9, rel=0.01)
    stored.add(full=False)
    assert stored.due == pytest.approx(9, rel=0.01)


def test_elapsed_fraction_counts_each_day_by_its_temperature() -> None:
    """Three months in the cold use up a third, one in the heat another."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.rest(3, 15)
    stored.rest(1, 35)
    assert stored.history.elapsed_fraction(stored.time, stored.now) == pytest.approx(
        2 / 3, rel=0.01
    )
    # Going on as it did on average.
    assert stored.due == pytest.approx(2, rel=0.02)
    stored.rest(1, 35)
    assert stored.due == pytest.approx(0, abs=0.02)


def test_recharge_due_with_warm_days_and_cold_nights_is_steady() -> None:
    """Some hours count for each temperature, and not three months at once."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.rest(1, 15)
    before = stored.due
    assert before is not None
    for number in range(200):
        stored.passes(6 * HOUR)
        stored.add(15 if number % 4 < 2 else 25)
        due = stored.due
        assert due is not None
        moved = (due - before) * MONTH + 6 * HOUR
        assert abs(moved) < 1.5 * DAY
        before = due


def test_elapsed_fraction_of_a_long_absence_uses_no_temperature() -> None:
    """Cold before and after tells nothing of the summer between."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.passes(3 * MONTH)
    assert stored.due == pytest.approx(3, rel=0.01)
    stored.add(15)
    assert stored.due == pytest.approx(3, rel=0.01)
    # Where it was hot it is not taken for cooler.
    stored = Storage()
    stored.add(35, charging=True)
    stored.passes(2 * MONTH)
    assert stored.due == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("off", [0.0, 3 * HOUR, 2 * MONTH])
def test_charge_history_after_a_restart_continues(off: float) -> None:
    """Also when Home Assistant was off for a winter."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.rest(3, 15)
    stored.restarts(off)
    months = off / MONTH
    used = 3 / 9 + months / 6
    assert stored.last_full == NOW
    assert stored.history.elapsed_fraction(stored.time, stored.now) == pytest.approx(
        used, rel=0.01
    )
    stored.add(15)
    stored.rest(0.1, 15)
    stored.restarts()
    used += 0.1 / 9
    assert stored.history.elapsed_fraction(stored.time, stored.now) == pytest.approx(
        used, rel=0.01
    )
    assert stored.last_full == NOW


def test_full_charge_during_a_restart_is_recognized() -> None:
    """Not full before, full after."""
    stored = Storage()
    stored.add(full=False)
    stored.restarts(HOUR)
    stored.add(full=True)
    assert stored.last_full == stored.now


@pytest.mark.parametrize("jump", [-400, -1, 1, 400])
def test_charge_history_after_a_clock_change_keeps_durations(jump: int) -> None:
    """A past charge is as long ago as before, and the due date as far away."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.rest(1, 15)
    stored.now += timedelta(days=jump)
    assert stored.last_full == NOW + timedelta(days=jump)
    assert stored.due == pytest.approx(8, rel=0.01)


def test_charge_history_with_a_late_clock_at_the_start_loses_nothing() -> None:
    """A small computer without a battery of its own starts in the past."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.rest(1, 15)
    off = 2 * MONTH
    stored.restarts(off)
    right = stored.now
    stored.now -= timedelta(days=300)
    stored.add(15)
    assert stored.last_full == stored.now  # not in the future
    stored.passes(30)
    stored.now = right + timedelta(seconds=30)
    stored.add(15)
    assert stored.last_full == NOW
    used = 1 / 9 + 2 / 6
    assert stored.history.elapsed_fraction(stored.time, stored.now) == pytest.approx(
        used, rel=0.01
    )
    # Nor does one that was in the next century for a moment.
    stored.now += timedelta(days=36500)
    stored.add(15)
    stored.passes(30)
    stored.now = right + timedelta(seconds=60)
    stored.add(15)
    assert stored.history.elapsed_fraction(stored.time, stored.now) == pytest.approx(
        used, rel=0.01
    )


@pytest.mark.parametrize("late", [60, 365, 20000], ids=["days", "a year", "1970"])
def test_charge_history_of_runs_with_a_late_clock_loses_nothing(late: int) -> None:
    """Also where the clock is never set, as without internet, and over several runs."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.rest(1, 15)
    for _ in range(2):
        stored.restarts(60)
        stored.now -= timedelta(days=late)
        stored.add(15)
        stored.rest(0.1, 15)
        # What is stored is stored by that clock.
        stored.restarts(60)
        stored.now += timedelta(days=late)
        stored.add(15)
    assert stored.last_full == NOW
    assert stored.due == pytest.approx(9 - 1.2, rel=0.01)


def test_charge_history_stored_with_an_unset_clock_is_not_decades_old() -> None:
    """It was charged to full, and all lost power before the clock was set."""
    stored = Storage()
    stored.now -= timedelta(days=20000)
    stored.add(15, full=False, charging=True)
    stored.add(15, charging=True)
    stored.rest(1, 15)
    stored.restarts(60)
    stored.now += timedelta(days=20000)
    for _ in range(2):
        stored.add(15)
        assert stored.last_full is not None
        age = (stored.now - stored.last_full).total_seconds()
        assert age == pytest.approx(MONTH, rel=0.01)
        assert stored.due == pytest.approx(8, rel=0.01)
        # From here on what is stored is stored by a clock that was set.
        stored.restarts(60)


def test_charge_history_after_a_run_with_an_early_clock_recovers() -> None:
    """What was stored then does not stop the time for decades."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.restarts(60)
    stored.now += timedelta(days=30000)
    stored.add(15, charging=True)
    stored.restarts(60)
    stored.now -= timedelta(days=30000)
    stored.add(15)
    stored.restarts(MONTH)
    used = stored.history.elapsed_fraction(stored.time, stored.now)
    stored.restarts(MONTH)
    again = stored.history.elapsed_fraction(stored.time, stored.now)
    assert again - used == pytest.approx(1 / 6, rel=0.01)
    assert stored.last_full is not None
    assert stored.last_full <= stored.now


@given(
    st.lists(
        st.tuples(
            st.floats(0, MAX_ABSENCE / 10),
            st.floats(-1e9, 1e9),
            st.one_of(st.none(), st.floats(-40, 80)),
            st.sampled_from(["full", "charged", "used", "restart", "unseen"]),
        ),
        max_size=30,
    )
)
def test_last_full_charge_with_any_events_is_not_in_the_future(
    steps: list[tuple[float, float, float | None, str]],
) -> None:
    """The elapsed fraction stays between 0 and 1."""
    stored = Storage()
    for seconds, clock, temperature, what in steps:
        stored.passes(seconds)
        moment = NOW + timedelta(seconds=clock)
        stored.now = moment if abs(clock) > 1e8 else stored.now
        if what == "restart":
            stored.restarts()
        elif what != "unseen":
            stored.add(temperature, full=what != "used", charging=what == "charged")
        last, due = stored.last_full, stored.due
        assert (last is None) is (due is None)
        assert last is None or last <= stored.now
        assert stored.history.elapsed_fraction(stored.time, stored.now) >= 0


# The ends of ranges


def seconds(count: float) -> timedelta:
    """Return a duration."""
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("now", "late", "is_believed"),
    [
        (NOW, 0.5, True),
        (NOW, MAX_ABSENCE, True),
        (NOW, MAX_ABSENCE + 1, False),
        (EARLIEST, MAX_ABSENCE + 1, False),
        (EARLIEST - seconds(1), MAX_ABSENCE + 1, True),
        (EARLIEST - seconds(1), _CENTURY + 1, False),
    ],
)
def test_late_clock_is_believed_to_be_late_by_a_possible_time(
    now: datetime, late: float, is_believed: bool
) -> None:
    """Only an unset clock may be late by decades."""
    history = ChargeHistory(0.0, StoredHistory(until=now + seconds(late)))
    until = history.as_stored(0.0, now).until
    assert until == now + seconds(late if is_believed else 0.0)


def test_elapsed_time_without_any_is_what_was_stored() -> None:
    """Nothing is added by the restart itself."""
    stored = StoredHistory(NOW, 0.01, 100_000.0, NOW)
    again = ChargeHistory(5.0, stored).as_stored(5.0, NOW)
    assert (again.elapsed, again.elapsed_fraction) == (100_000.0, 0.01)


@pytest.mark.parametrize(("before", "counted"), [(0, DAY), (1, 0.0)])
def test_absence_counts_from_a_time_that_is_no_older_than_the_integration(
    before: float, counted: float
) -> None:
    """An earlier one was stored by a clock that was not set."""
    until = EARLIEST - seconds(before)
    history = ChargeHistory(0.0, StoredHistory(NOW, 0.0, 0.0, until))
    assert history.as_stored(0.0, until + seconds(DAY)).elapsed == counted


def test_last_full_charge_at_the_earliest_time_is_known() -> None:
    """The limit itself is a time that a clock may show."""
    stored = StoredHistory(EARLIEST, 0.0, 50.0, NOW)
    assert ChargeHistory(0.0, stored).last_full(0.0, NOW) == EARLIEST
    unset = stored._replace(last_full=EARLIEST - seconds(1))
    assert ChargeHistory(0.0, unset).last_full(0.0, NOW) == NOW - seconds(50)


def test_recharge_due_without_a_rate_uses_the_last_temperature() -> None:
    """Rounded to nothing, what was used up gives no rate."""
    history = ChargeHistory(0.0, StoredHistory(NOW, 0.0, 1.0, NOW, 9))
    assert history.recharge_due(0.0, NOW) == NOW + seconds(9 * MONTH)


LEAST, MOST = MONTH / (9 * MONTH), MONTH / (3 * MONTH)
"""What a month uses up at least and at most."""


@pytest.mark.parametrize(
    ("stored", "is_possible"),
    [
        (StoredHistory(), True),
        *((StoredHistory(full=full), True) for full in (True, False, None)),
        (StoredHistory(full="yes"), False),  # type: ignore[arg-type]
        *((StoredHistory(months=months), True) for months in (3, 6, 9)),
        (StoredHistory(months=4), False),
        (StoredHistory(elapsed=-1.0), False),
        (StoredHistory(elapsed=MONTH, elapsed_fraction=MOST * (1 + _ROUNDING)), True),
        (StoredHistory(elapsed=MONTH, elapsed_fraction=LEAST * (1 - _ROUNDING)), True),
        (StoredHistory(elapsed=MONTH, elapsed_fraction=MOST * 1.01), False),
        (StoredHistory(elapsed=MONTH, elapsed_fraction=LEAST * 0.99), False),
        (StoredHistory(elapsed=_CENTURY, elapsed_fraction=200.0), True),
        (StoredHistory(elapsed=_CENTURY + MONTH, elapsed_fraction=200.0), False),
    ],
)
def test_stored_history_is_possible_within_the_range_of_the_table(
    stored: StoredHistory, is_possible: bool
) -> None:
    """A file may be damaged: each field has its range."""
    assert stored.is_possible is is_possible
