"""Estimates: times, stored energy, last full charge, recharging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, strategies as st
import pytest

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.coordinator import VlrvConfigEntry
from custom_components.voltgo_vlrv.diagnostics import async_get_config_entry_diagnostics
from custom_components.voltgo_vlrv.history.maintenance import (
    SAVE_DELAY,
    ChargeMaintenance,
)
from custom_components.voltgo_vlrv.history.runtime import (
    MAX_ABSENCE,
    MAX_MINUTES,
    SETTLING,
    TIME_CONSTANT,
    Charge,
    ChargeGauge,
    ChargeHistory,
    Runtime,
    SmoothedCurrent,
    StoredHistory,
    as_hours,
    charge_of,
    energy_capacity,
    months_at,
    shown_minutes,
    stored_energy,
    total_charge,
)
from simulator.battery import SimulatedBattery
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    battery,
    enable_all,
    entity_id,
    value,
    wait_until,
)
from tests.harness import async_setup_battery
from tests.test_coordinator import set_interval
from tests.vlrv.samples import status

HOUR = 3600.0
DAY = 24 * HOUR
MONTH = 365.25 / 12 * DAY
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
ENTRY = "01TEST"
TOLERANCE = 0.07
"""Of a time that is shown: 5 % without news, the rest rounding and steps of 1 Ah."""

UPKEEP = ("last_full_charge", "recharge_due")


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


# --- the smoothed current --------------------------------------------------------------


def smoothed(
    samples: Iterable[tuple[float, float]], interval: float = POLL_INTERVAL
) -> SmoothedCurrent:
    """Return what samples of time and current lead to."""
    current = SmoothedCurrent()
    for time, amperes in samples:
        current.add(time, amperes, interval)
    return current


def every(
    interval: float, seconds: float, amperes: float, start: float = 0.0
) -> list[tuple[float, float]]:
    """Return samples of a steady current, from `start` on, for some seconds."""
    count = int(seconds / interval)
    return [(start + number * interval, amperes) for number in range(count + 1)]


@pytest.mark.parametrize("interval", [5.0, 10.0, 30.0])
def test_a_step_shows_by_time_and_not_by_number_of_samples(interval: float) -> None:
    """After the time constant, as far as with any other interval."""
    steady = every(interval, HOUR, -10.0)
    step = every(interval, TIME_CONSTANT, -50.0, HOUR + interval)
    found = smoothed(steady + step[:-1], interval).value
    assert found == pytest.approx(-10 - 40 * (1 - 0.3679), rel=0.01)


def test_with_one_sample_an_hour_the_last_one_counts() -> None:
    """Nothing is known in between, and minutes later the old one would be wrong."""
    current = smoothed(every(HOUR, 5 * HOUR, -10.0), HOUR)
    current.add(6 * HOUR, -40.0, HOUR)
    assert current.value == pytest.approx(-40, rel=1e-6)


def test_the_first_sample_has_to_do_where_the_next_is_an_hour_away() -> None:
    """But not where it is ten seconds away."""
    assert smoothed([(0, -10.0)], HOUR).value == -10
    assert smoothed([(0, -10.0)]).value is None


@pytest.mark.parametrize("before", [10.0, 0.0, -0.9])
def test_another_direction_begins_anew(before: float) -> None:
    """With a pause, as it may be over in a moment, and without a trace of before."""
    current = smoothed(every(POLL_INTERVAL, HOUR, before))
    seen = []
    for number in range(1, 9):
        current.add(HOUR + number * POLL_INTERVAL, -20.0, POLL_INTERVAL)
        assert current.direction == -1
        seen.append(current.value)
    assert seen[: int(SETTLING / POLL_INTERVAL) - 1] == [None] * 5
    assert seen[5:] == [pytest.approx(-20)] * 3


@pytest.mark.parametrize(("interval", "settled"), [(10.0, 60.0), (300.0, 300.0)])
def test_a_sum_has_settled_when_all_its_batteries_were_read(
    interval: float, settled: float
) -> None:
    """They are read one after the other: until then, old and new currents are added."""
    current = SmoothedCurrent()
    current.add(0, 0.0, interval, 2)
    known: list[float] = []
    for number in range(1, 5):
        time = number * interval / 2
        # The second one has nothing new to say before its turn.
        current.add(time, -10.0 if number == 1 else -20.0, interval, 2)
        if current.value is not None:
            known.append(time)
    assert known == [
        time for time in (interval / 2 * n for n in range(1, 5)) if time >= settled
    ]


@pytest.mark.parametrize(("amperes", "flows"), [(-3.9, False), (-4.0, True)])
def test_each_battery_of_a_sum_may_hide_an_ampere(amperes: float, flows: bool) -> None:
    """What is idle grows with their number."""
    current = SmoothedCurrent()
    for time, _ in every(POLL_INTERVAL, 2 * SETTLING, amperes):
        current.add(time, amperes, POLL_INTERVAL, 4)
    assert (current.value is not None) is flows


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], None),
        ([Charge(50, 50, 51, 100), None], None),
        (
            [Charge(50, 50, 51, 100), Charge(20, 19.5, 20.5, 200)],
            Charge(70, 69.5, 71.5, 300),
        ),
        (
            [Charge(50, 50, 51, None), Charge(20, 19.5, 20.5, 200)],
            Charge(70, 69.5, 71.5, None),
        ),
    ],
)
def test_charges_in_parallel_add_up(
    parts: list[Charge | None], whole: Charge | None
) -> None:
    """As long as all are known."""
    assert total_charge(parts) == whole


@pytest.mark.parametrize("amperes", [0.0, 0.3, 0.99, -0.99])
def test_idle_has_no_current(amperes: float) -> None:
    """Below the dead zone of the batteries, however long."""
    current = smoothed(every(POLL_INTERVAL, HOUR, amperes))
    assert current.value is None
    assert current.direction == 0


def test_noise_around_the_dead_zone_does_not_switch() -> None:
    """What flows goes on a little below of where it began."""
    current = smoothed(every(POLL_INTERVAL, 120, -1.1))
    for number in range(1, 50):
        current.add(
            120 + number * POLL_INTERVAL, -0.6 if number % 2 else -1.1, POLL_INTERVAL
        )
        assert current.value is not None
    current.add(1000, -0.4, POLL_INTERVAL)
    assert current.value is None


def test_a_time_that_stands_or_goes_back_changes_nothing() -> None:
    """Two samples of one moment are one."""
    current = smoothed(every(POLL_INTERVAL, 120, -10.0))
    current.add(120, -99.0, POLL_INTERVAL)
    current.add(60, -99.0, POLL_INTERVAL)
    assert current.value == pytest.approx(-10)


@given(
    st.lists(st.tuples(st.floats(0.001, 7200), st.floats(1, 400)), min_size=1),
    st.sampled_from([5.0, 10.0, 3600.0]),
)
def test_the_average_lies_between_what_was_measured(
    steps: list[tuple[float, float]], interval: float
) -> None:
    """Whatever the times between."""
    current = SmoothedCurrent()
    time = 0.0
    for seconds, amperes in steps:
        time += seconds
        current.add(time, amperes, interval)
    amounts = [amperes for _, amperes in steps]
    if (found := current.value) is not None:
        assert min(amounts) * (1 - 1e-9) <= found <= max(amounts) * (1 + 1e-9)


# --- charge ----------------------------------------------------------------------------


def test_the_charge_is_what_the_battery_counts() -> None:
    """Cut off to whole Ah, or tenths; else its share of the full capacity."""
    found = charge_of(
        status(remaining_capacity=79.0, full_capacity=100.0, state_of_charge=80)
    )
    assert found == Charge(79, 79, 80, 100)
    tenths = charge_of(
        status(
            remaining_capacity=369.8,
            remaining_scale=0.1,
            full_capacity=400.0,
            state_of_charge=92,
        )
    )
    assert tenths is not None
    assert tenths == (369.8, 369.8, pytest.approx(369.9), 400)
    even = charge_of(
        status(
            remaining_capacity=360.0,
            remaining_scale=0.1,
            full_capacity=400.0,
            state_of_charge=90,
        )
    )
    assert even is not None
    assert even.step == pytest.approx(0.1)
    share = charge_of(
        status(remaining_capacity=0.0, full_capacity=400.0, state_of_charge=60)
    )
    assert share == (240, 238, 242, 400)
    nothing = {31: 0, 32: 0, 37: 0, 21: 0}
    assert charge_of(status(nothing, state_of_charge=60)) is None


@pytest.mark.parametrize(
    ("left", "step", "cells", "energy"),
    [
        (100, 1, 4, 1280),
        (400, 1, 4, 5120),
        (100, 1, 8, 2560),
        (100, 1, 16, 5120),
        (88, 1, 4, 1130),
        (87, 1, 4, 1110),
        (369.8, 0.1, 4, 4733),
        (240, 4, 4, 3070),
        (0, 1, 4, 0),
    ],
)
def test_stored_energy_is_as_fine_as_the_battery_counts(
    left: float, step: float, cells: int, energy: int
) -> None:
    """Charge times nominal voltage; a full battery has what table 4-1 says."""
    charge = Charge(left, left, left + step, 400)
    assert stored_energy(charge, cells) == energy


@pytest.mark.parametrize(
    ("full_capacity", "cells", "energy"),
    [(100.0, 4, 1280.0), (200.4, 8, 5130.24), (100.0, 16, 5120.0), (None, 4, None)],
)
def test_energy_capacity_full_battery_has_the_nominal_energy(
    full_capacity: float | None, cells: int, energy: float | None
) -> None:
    """3.2 V for each cell; unknown where the battery does not know its capacity."""
    assert energy_capacity(full_capacity, cells) == pytest.approx(energy)


@given(st.integers(0, 399), st.sampled_from([4, 8, 16]))
def test_each_ampere_hour_shows(left: int, cells: int) -> None:
    """Rounded, but never to the same."""
    one, two = (
        stored_energy(Charge(ah, ah, ah + 1, 400), cells) for ah in (left, left + 1)
    )
    assert one < two


def test_the_gauge_runs_between_the_steps_and_never_beyond() -> None:
    """At a step it is where the step says."""
    gauge = ChargeGauge()
    gauge.add(0, -36, Charge(50, 50, 51, 100))
    assert gauge.value == 50.5
    gauge.add(10, -36, Charge(50, 50, 51, 100))
    assert gauge.value == pytest.approx(50.4)
    gauge.add(1000, -36, Charge(50, 50, 51, 100))
    assert gauge.value == 50
    gauge.add(1010, -36, Charge(49, 49, 50, 100))
    assert gauge.value == pytest.approx(49.9)
    gauge.add(1020, -36, Charge(30, 30, 31, 100))
    assert gauge.value == 31
    gauge.add(1030, 36, Charge(100, 100, 101, 100))
    assert gauge.value == 100
    gauge.add(1040, -36, None)
    assert gauge.value is None


# --- times -----------------------------------------------------------------------------


def runtime(
    amperes: float, charge: Charge | None, seconds: float = 2 * SETTLING
) -> Runtime:
    """Return the times after a steady current."""
    found = Runtime()
    for time, current in every(POLL_INTERVAL, seconds, amperes):
        found.add(time, current, charge, POLL_INTERVAL)
    return found


def test_only_one_of_the_times_is_known_and_none_while_idle() -> None:
    """To empty while discharging, to full while charging."""
    charge = Charge(50, 50, 51, 100)
    # The fifth of an Ah that it has moved meanwhile is counted.
    away = runtime(-6, charge)
    assert away.minutes_to_full is None
    assert away.minutes_to_empty == pytest.approx(503, rel=0.001)
    to = runtime(6, charge)
    assert to.minutes_to_empty is None
    assert to.minutes_to_full == pytest.approx(493, rel=0.001)
    for idle in (runtime(0, charge), runtime(-6, None), runtime(6, None)):
        assert idle.minutes_to_empty is None
        assert idle.minutes_to_full is None


def test_without_a_full_capacity_the_time_to_full_is_not_known() -> None:
    """The time to empty is."""
    charge = Charge(50, 50, 51, None)
    assert runtime(6, charge).minutes_to_full is None
    assert runtime(-6, charge).minutes_to_empty is not None


def test_a_full_battery_that_is_charged_needs_no_time() -> None:
    """And no negative one."""
    assert runtime(6, Charge(100, 100, 101, 100)).minutes_to_full == 0


@pytest.mark.parametrize(
    ("minutes", "before", "shown"),
    [
        (0.2, None, 0),
        (12.4, None, 12),
        (59.4, None, 59),
        (61.0, None, 60),
        (123.0, None, 125),
        (12.4, 13, 13),
        (11.9, 13, 12),
        (118.0, 120, 120),
        (114.5, 120, 120),
        (113.9, 120, 115),
        (1400.0, 1440, 1440),
        (1360.0, 1440, 1360),
        (MAX_MINUTES + 1, None, None),
        (MAX_MINUTES + 1, int(MAX_MINUTES), int(MAX_MINUTES)),
        (MAX_MINUTES * 1.06, int(MAX_MINUTES), None),
        (None, 120, None),
    ],
)
def test_a_time_is_shown_as_exactly_as_it_is_known(
    minutes: float | None, before: int | None, shown: int | None
) -> None:
    """And stays while it is near."""
    assert shown_minutes(minutes, before) == shown


def test_the_pages_make_the_right_minutes_of_the_hours() -> None:
    """They take the whole hours, and cut what is left to whole minutes."""
    for minutes in (*range(60), *range(60, int(MAX_MINUTES * 1.1), 5)):
        hours = as_hours(minutes)
        whole = int(hours)
        assert (whole, int(60 * (hours - whole))) == divmod(minutes, 60)


@given(
    st.lists(st.floats(-0.15, 0.15), min_size=200, max_size=400),
    st.sampled_from([5.0, 10.0, 20.0]),
    st.sampled_from([-1, 1]),
    st.floats(2, 100),
    st.floats(10, 90),
)
def test_no_jump_by_noise(
    noise: list[float], interval: float, sign: int, amperes: float, left: float
) -> None:
    """Under a steady load nothing that is shown moves by 20 % in a minute."""
    found = Runtime()
    history: list[tuple[float, int]] = []
    shown: int | None = None
    charge_left = left
    for number, part in enumerate(noise):
        time = number * interval
        charge_left += sign * amperes * interval / HOUR
        whole = float(int(charge_left))
        if not 5 <= whole <= 95:
            break
        found.add(
            time,
            sign * amperes * (1 + part),
            Charge(whole, whole, whole + 1, 100),
            interval,
        )
        minutes = found.minutes_to_empty if sign < 0 else found.minutes_to_full
        shown = shown_minutes(minutes, shown)
        if shown is None or shown < 20:
            continue
        for before, then in history:
            if time - before <= 60:
                assert abs(shown - then) <= 0.2 * then
        history = [*history[-12:], (time, shown)]


# --- last full charge, recharging ------------------------------------------------------


class Storage:
    """A battery that stands somewhere, with a clock that can be set."""

    def __init__(self, kept: StoredHistory | None = None) -> None:
        """Start Home Assistant."""
        self.time = 1000.0
        self.now = NOW
        self.history = ChargeHistory(self.time, kept)

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

    def stands(self, months: float, temperature: float | None) -> None:
        """See it every six hours."""
        for _ in range(round(months * MONTH / (6 * HOUR))):
            self.passes(6 * HOUR)
            self.add(temperature)

    def restarts(self, off: float = 0.0) -> None:
        """Restart Home Assistant, which is off for some seconds."""
        kept = self.history.keep(self.time, self.now)
        self.now += timedelta(seconds=off)
        self.time = 5.0
        self.history = ChargeHistory(self.time, kept)

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
def test_the_intervals_are_those_of_the_manual(
    temperature: float | None, months: int
) -> None:
    """Table 6-2; without a temperature what 5.1.3 says for all long storage."""
    assert months_at(temperature) == months
    stored = Storage()
    stored.add(temperature, charging=True)
    assert stored.due == pytest.approx(months, rel=0.001)
    stored.stands(1, temperature)
    assert stored.due == pytest.approx(months - 1, rel=0.01)
    stored.stands(months, temperature)
    assert stored.due == pytest.approx(-1, rel=0.02)


def test_nothing_is_known_until_it_was_seen_full() -> None:
    """How much of the time had passed before is not known."""
    stored = Storage()
    assert stored.due is stored.last_full is None
    stored.add(full=False, charging=True)
    stored.stands(0.1, 15)
    # The transition: it was not full, and is.
    assert stored.last_full == NOW + timedelta(hours=6)

    stored = Storage()
    stored.add(full=True)
    stored.stands(0.1, 15)
    assert stored.due is stored.last_full is None


def test_a_battery_that_stands_full_is_not_charged_by_that() -> None:
    """Only a charger makes the date move on."""
    stored = Storage()
    stored.add(charging=True)
    stored.stands(2, 15)
    assert stored.last_full == NOW
    assert stored.due == pytest.approx(7, rel=0.01)
    stored.add(charging=True)
    assert stored.last_full == stored.now
    assert stored.due == pytest.approx(9, rel=0.01)
    stored.add(full=False)
    assert stored.due == pytest.approx(9, rel=0.01)


def test_each_day_counts_by_its_own_temperature() -> None:
    """Three months in the cold use up a third, one in the heat another."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.stands(3, 15)
    stored.stands(1, 35)
    assert stored.history.used(stored.time, stored.now) == pytest.approx(
        2 / 3, rel=0.01
    )
    # Going on as it did on average.
    assert stored.due == pytest.approx(2, rel=0.02)
    stored.stands(1, 35)
    assert stored.due == pytest.approx(0, abs=0.02)


def test_day_and_night_do_not_make_the_date_jump() -> None:
    """Warm days and cold nights: some hours each, and not three months at once."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.stands(1, 15)
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


def test_a_long_absence_counts_as_the_manual_does_without_temperature() -> None:
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
def test_a_restart_goes_on(off: float) -> None:
    """Also when Home Assistant was off for a winter."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.stands(3, 15)
    stored.restarts(off)
    months = off / MONTH
    used = 3 / 9 + months / 6
    assert stored.last_full == NOW
    assert stored.history.used(stored.time, stored.now) == pytest.approx(used, rel=0.01)
    stored.add(15)
    stored.stands(0.1, 15)
    stored.restarts()
    used += 0.1 / 9
    assert stored.history.used(stored.time, stored.now) == pytest.approx(used, rel=0.01)
    assert stored.last_full == NOW


def test_a_charge_that_a_restart_hides_shows_by_what_was_before() -> None:
    """Not full before, full after."""
    stored = Storage()
    stored.add(full=False)
    stored.restarts(HOUR)
    stored.add(full=True)
    assert stored.last_full == stored.now


@pytest.mark.parametrize("jump", [-400, -1, 1, 400])
def test_a_clock_that_is_set_moves_no_duration(jump: int) -> None:
    """A charge that was seen stays as long ago as it is, and the rest as far away."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.stands(1, 15)
    stored.now += timedelta(days=jump)
    assert stored.last_full == NOW + timedelta(days=jump)
    assert stored.due == pytest.approx(8, rel=0.01)


def test_a_clock_that_is_late_after_a_start_costs_nothing() -> None:
    """A small computer without a battery of its own starts in the past."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.stands(1, 15)
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
    assert stored.history.used(stored.time, stored.now) == pytest.approx(used, rel=0.01)
    # Nor does one that was in the next century for a moment.
    stored.now += timedelta(days=36500)
    stored.add(15)
    stored.passes(30)
    stored.now = right + timedelta(seconds=60)
    stored.add(15)
    assert stored.history.used(stored.time, stored.now) == pytest.approx(used, rel=0.01)


@pytest.mark.parametrize("late", [60, 365, 20000], ids=["days", "a year", "1970"])
def test_a_run_with_a_late_clock_costs_nothing(late: int) -> None:
    """Also where nobody sets it, as without internet; nor do several."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.stands(1, 15)
    for _ in range(2):
        stored.restarts(60)
        stored.now -= timedelta(days=late)
        stored.add(15)
        stored.stands(0.1, 15)
        # What is kept is kept by that clock.
        stored.restarts(60)
        stored.now += timedelta(days=late)
        stored.add(15)
    assert stored.last_full == NOW
    assert stored.due == pytest.approx(9 - 1.2, rel=0.01)


def test_what_was_kept_by_a_clock_that_was_not_set_is_not_decades_old() -> None:
    """It was charged to full, and all lost power before the clock was set."""
    stored = Storage()
    stored.now -= timedelta(days=20000)
    stored.add(15, full=False, charging=True)
    stored.add(15, charging=True)
    stored.stands(1, 15)
    stored.restarts(60)
    stored.now += timedelta(days=20000)
    for _ in range(2):
        stored.add(15)
        assert stored.last_full is not None
        age = (stored.now - stored.last_full).total_seconds()
        assert age == pytest.approx(MONTH, rel=0.01)
        assert stored.due == pytest.approx(8, rel=0.01)
        # From here on what is kept is kept by a clock that was set.
        stored.restarts(60)


def test_a_run_with_an_early_clock_is_got_over() -> None:
    """What was kept then does not stop the time for decades."""
    stored = Storage()
    stored.add(15, charging=True)
    stored.restarts(60)
    stored.now += timedelta(days=30000)
    stored.add(15, charging=True)
    stored.restarts(60)
    stored.now -= timedelta(days=30000)
    stored.add(15)
    stored.restarts(MONTH)
    used = stored.history.used(stored.time, stored.now)
    stored.restarts(MONTH)
    again = stored.history.used(stored.time, stored.now)
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
def test_whatever_happens_the_last_full_charge_is_not_in_the_future(
    steps: list[tuple[float, float, float | None, str]],
) -> None:
    """And what has passed since is a share of what may pass."""
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
        assert stored.history.used(stored.time, stored.now) >= 0


# --- in Home Assistant: times and energy -----------------------------------------------


def minutes_shown(
    hass: HomeAssistant, pack: SimulatedBattery, key: str
) -> float | None:
    """Return what a time sensor shows, in minutes."""
    state = value(hass, pack.address, key)
    assert state is not None
    assert state != "unavailable"
    return None if state == "unknown" else float(state) * 60


def true_minutes(pack: SimulatedBattery, key: str) -> float:
    """Return the time by the exact charge and the exact current."""
    charge = (
        pack.charge if key == "time_to_empty" else pack.capacity * 3600 - pack.charge
    )
    return charge / abs(pack.current) / 60


def changes_of(hass: HomeAssistant, name: str) -> list[tuple[float, str]]:
    """Return a list that grows with each state of an entity, and when it was written."""
    seen: list[tuple[float, str]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == name and event.data["new_state"] is not None:
            seen.append((hass.loop.time(), event.data["new_state"].state))

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    return seen


@pytest.mark.parametrize(
    ("preset", "key", "other"),
    [
        ("driving_load", "time_to_empty", "time_to_full"),
        ("solar_charging", "time_to_full", "time_to_empty"),
    ],
)
async def test_the_time_is_right_under_steady_load(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    preset: str,
    key: str,
    other: str,
) -> None:
    """By the battery's exact charge, for half an hour; the other time is unknown."""
    pack = battery(preset)
    await async_setup_battery(hass, bluetooth_env, pack)
    assert minutes_shown(hass, pack, key) is None
    await asyncio.sleep(SETTLING + POLL_INTERVAL)
    changes = changes_of(hass, entity_id(hass, pack.address, key))
    for _ in range(6):
        shown = minutes_shown(hass, pack, key)
        assert shown == pytest.approx(true_minutes(pack, key), rel=TOLERANCE)
        assert minutes_shown(hass, pack, other) is None
        await asyncio.sleep(300)
    # Of 180 samples.
    assert 1 <= len(changes) <= 10


async def test_the_time_is_right_down_to_the_end(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also of the last Ah, in whole minutes."""
    pack = battery("driving_load")
    pack.charge = 3.0 * 3600
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(SETTLING + POLL_INTERVAL)
    while true_minutes(pack, "time_to_empty") > 0.5:
        shown = minutes_shown(hass, pack, "time_to_empty")
        assert shown == pytest.approx(true_minutes(pack, "time_to_empty"), abs=1.6)
        await asyncio.sleep(20)


async def test_idle_and_a_change_of_direction_show_with_the_next_poll(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No time is left from before."""
    pack = battery("driving_load", current_dead_zone=1.0)
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(2 * SETTLING)
    assert minutes_shown(hass, pack, "time_to_empty") is not None
    pack.demand_current = -0.9
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert minutes_shown(hass, pack, "time_to_empty") is None
    assert minutes_shown(hass, pack, "time_to_full") is None
    pack.demand_current = -20
    await asyncio.sleep(2 * SETTLING)
    shown = minutes_shown(hass, pack, "time_to_empty")
    assert shown == pytest.approx(true_minutes(pack, "time_to_empty"), rel=TOLERANCE)
    pack.demand_current = 20
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert minutes_shown(hass, pack, "time_to_empty") is None
    await asyncio.sleep(2 * SETTLING)
    shown = minutes_shown(hass, pack, "time_to_full")
    assert shown == pytest.approx(true_minutes(pack, "time_to_full"), rel=TOLERANCE)


async def test_a_noisy_load_neither_jumps_nor_floods(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A third up and down each few seconds: at most 20 % a minute, few lines."""
    pack = battery("driving_load")
    await set_up_noise(hass, bluetooth_env, pack)
    name = entity_id(hass, pack.address, "time_to_empty")
    changes = changes_of(hass, name)
    random = Random(1)
    for _ in range(600):
        pack.demand_current = -20 * (1 + random.uniform(-0.33, 0.33))
        await asyncio.sleep(4)
    assert 2 <= len(changes) <= 30  # of 240 samples
    known = [(time, float(state)) for time, state in changes]
    for number, (time, hours) in enumerate(known):
        for then, before in known[:number]:
            # One stands until the next.
            following = known[known.index((then, before)) + 1][0]
            if time - following <= 60:
                assert abs(hours - before) <= 0.2 * before


async def set_up_noise(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Add a battery and wait until it shows how long it lasts."""
    pack.demand_current = -20.0
    await async_setup_battery(hass, bluetooth_env, pack)
    await wait_until(
        lambda: value(hass, pack.address, "time_to_empty") != "unknown", 120
    )


async def test_an_hour_between_two_readings_is_enough(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The time is known with the reading, and right."""
    pack = battery("driving_load")
    pack.demand_current = -2.0
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await set_interval(hass, entry, 3600)
    await asyncio.sleep(30)
    for _ in range(3):
        shown = minutes_shown(hass, pack, "time_to_empty")
        assert shown == pytest.approx(
            true_minutes(pack, "time_to_empty"), rel=TOLERANCE
        )
        await asyncio.sleep(HOUR)
    pack.demand_current = -4.0
    await asyncio.sleep(HOUR)
    shown = minutes_shown(hass, pack, "time_to_empty")
    assert shown == pytest.approx(true_minutes(pack, "time_to_empty"), rel=TOLERANCE)


async def test_a_trickle_lasts_longer_than_anyone_can_say(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Above the cap it is unknown."""
    pack = battery("idle", capacity=400.0, demand_current=-1.5)
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(2 * SETTLING)
    assert true_minutes(pack, "time_to_empty") > MAX_MINUTES
    assert minutes_shown(hass, pack, "time_to_empty") is None


async def test_a_board_that_does_not_count_its_charge_has_times_and_energy(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """By state of charge and full capacity."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(
        pack.reported(),
        remaining_capacity=0.0,
        state_of_charge=60,
        current=-10.0,
        operating_state=2,
    )
    await async_setup_battery(hass, bluetooth_env, pack)
    assert value(hass, pack.address, "stored_energy") == "770"
    await asyncio.sleep(2 * SETTLING)
    assert minutes_shown(hass, pack, "time_to_empty") == pytest.approx(360, abs=6)


async def test_a_released_battery_keeps_its_times_and_one_that_is_away_does_not(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They stand beside the values they come from."""
    pack = battery("driving_load")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await asyncio.sleep(2 * SETTLING)
    shown = {
        key: value(hass, pack.address, key)
        for key in ("time_to_empty", "stored_energy")
    }
    assert "unknown" not in shown.values()
    await entry.runtime_data.connection.async_release(timedelta(minutes=15))
    await asyncio.sleep(600)
    assert shown == {key: value(hass, pack.address, key) for key in shown}
    await asyncio.sleep(400)
    again = minutes_shown(hass, pack, "time_to_empty")
    assert again == pytest.approx(true_minutes(pack, "time_to_empty"), rel=TOLERANCE)
    await peripheral.stop()
    await asyncio.sleep(120)
    for key in shown:
        assert value(hass, pack.address, key) == "unavailable"


@pytest.mark.parametrize("jump", [-DAY, DAY])
async def test_a_clock_that_is_set_does_not_break_the_times(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    fast_clock: FastClock,
    jump: float,
) -> None:
    """They are taken on the event loop's clock."""
    pack = battery("driving_load")
    await async_setup_battery(hass, bluetooth_env, pack)
    await asyncio.sleep(2 * SETTLING)
    before = minutes_shown(hass, pack, "time_to_empty")
    fast_clock.epoch += jump
    await asyncio.sleep(30)
    after = minutes_shown(hass, pack, "time_to_empty")
    assert before is not None
    assert after == pytest.approx(before, rel=TOLERANCE)


# --- in Home Assistant: upkeep ---------------------------------------------------------


def file_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where the history of an entry is stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.upkeep.{entry_id}"))


def moment(hass: HomeAssistant, pack: SimulatedBattery, key: str) -> datetime | None:
    """Return a time that is shown."""
    state = value(hass, pack.address, key)
    assert state is not None
    return None if state == "unknown" else datetime.fromisoformat(state)


async def with_upkeep(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    pack: SimulatedBattery,
    **kwargs: Any,
) -> tuple[VlrvConfigEntry, Callable[[], Any]]:
    """Add a battery, and switch on what is off by default."""
    harness = await async_setup_battery(hass, bluetooth_env, pack, **kwargs)
    entry, peripheral = harness.entry, harness.peripheral
    await enable_all(hass, pack.address)
    await wait_until(lambda: value(hass, pack.address, UPKEEP[0]) is not None, 60)
    return entry, peripheral.stop


async def test_a_charge_to_full_sets_both_dates(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Unknown before; then they stand while the battery is away."""
    pack = battery("full", state_of_charge=90.0)
    pack.full = False
    pack.charge = pack.capacity * 3600 * 0.9
    pack.demand_current = 0.0
    _, stop = await with_upkeep(hass, bluetooth_env, pack)
    assert [moment(hass, pack, key) for key in UPKEEP] == [None, None]
    pack.full = True
    pack.charge = pack.capacity * 3600
    began = dt_util.utcnow()
    await asyncio.sleep(2 * POLL_INTERVAL)
    last, due = (moment(hass, pack, key) for key in UPKEEP)
    assert last is not None
    assert due is not None
    assert timedelta() <= last - began <= timedelta(seconds=POLL_INTERVAL + 1)
    # Cells above 20 °C.
    assert 181 <= (due - last).days <= 183
    assert dt_util.as_local(due).hour == 12
    await stop()
    await asyncio.sleep(180)
    assert value(hass, pack.address, "stored_energy") == "unavailable"
    assert [moment(hass, pack, key) for key in UPKEEP] == [last, due]


async def test_a_charger_that_keeps_it_full_writes_a_line_an_hour(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Although each sample is one of a full battery that is charged."""
    pack = battery("full")
    entry, _ = await with_upkeep(hass, bluetooth_env, pack)
    await set_interval(hass, entry, 60)
    changes = changes_of(hass, entity_id(hass, pack.address, "last_full_charge"))
    moved = changes_of(hass, entity_id(hass, pack.address, "recharge_due"))
    await asyncio.sleep(3 * HOUR + 60)
    assert len(changes) == 3
    assert len(moved) <= 1
    last = moment(hass, pack, "last_full_charge")
    assert last is not None
    assert dt_util.utcnow() - last < timedelta(minutes=10)


async def test_both_dates_outlive_a_restart_and_a_winter(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """Home Assistant off for three months: half of the six without a temperature."""
    pack = battery("full")
    entry, stop = await with_upkeep(hass, bluetooth_env, pack)
    last = moment(hass, pack, "last_full_charge")
    assert last is not None
    await stop()
    await asyncio.sleep(180)
    await hass.config_entries.async_unload(entry.entry_id)
    fast_clock.epoch += 3 * MONTH
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    again, due = (moment(hass, pack, key) for key in UPKEEP)
    assert due is not None
    assert again is not None
    assert abs(again - last) < timedelta(hours=1)
    left = (due - dt_util.utcnow()).total_seconds()
    assert left == pytest.approx(3 * MONTH, abs=1.1 * DAY)


async def test_a_battery_that_is_away_gets_older_all_the_same(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """After a day nobody knows how cold it is: six months, no longer nine."""
    fast_clock.limit = 2 * DAY
    pack = battery("full", temperature=15.0, ambient=15.0)
    pack.cell_temperatures = [15.0, 15.0]
    _, stop = await with_upkeep(hass, bluetooth_env, pack)
    due = moment(hass, pack, "recharge_due")
    assert due is not None
    assert (due - dt_util.utcnow()).total_seconds() == pytest.approx(9 * MONTH, abs=DAY)
    await stop()
    left = dt_util.utcnow()
    await asyncio.sleep(1.1 * DAY)
    due = moment(hass, pack, "recharge_due")
    assert due is not None
    assert (due - left).total_seconds() == pytest.approx(6 * MONTH, abs=1.6 * DAY)


async def test_the_diagnostics_tell_what_the_times_come_from(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For a report of a time that is wrong."""
    pack = battery("driving_load")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await asyncio.sleep(2 * SETTLING)
    found = (await async_get_config_entry_diagnostics(hass, entry))["battery"][
        "estimates"
    ]
    assert found["smoothed_current"] == pytest.approx(pack.current, rel=0.01)
    assert found["minutes_to_empty"] == pytest.approx(
        true_minutes(pack, "time_to_empty"), rel=0.02
    )
    assert found["minutes_to_full"] is found["last_full_charge"] is None


@pytest.mark.parametrize("jump", [-30 * DAY, -600.0, 30 * DAY])
async def test_a_clock_that_is_set_leaves_no_charge_in_the_future(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    fast_clock: FastClock,
    jump: float,
) -> None:
    """It moves with the clock it was taken by."""
    pack = battery("full")
    await with_upkeep(hass, bluetooth_env, pack)
    pack.demand_current = 0.0
    await asyncio.sleep(60)
    fast_clock.epoch += jump
    await asyncio.sleep(2 * POLL_INTERVAL)
    last = moment(hass, pack, "last_full_charge")
    assert last is not None
    assert timedelta() <= dt_util.utcnow() - last < timedelta(hours=1)


KEPT = {
    "last_full": "2026-01-01T00:00:00+00:00",
    "used": 0.1,
    "elapsed": 1e6,
    "until": "2026-02-01T00:00:00+00:00",
    "months": 6,
    "full": False,
}


def as_file(data: Any) -> str:
    """Return what Home Assistant would have written."""
    return json.dumps({"version": 1, "minor_version": 1, "key": "k", "data": data})


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"version": 1, "da',
        "[]",
        as_file([1, 2]),
        as_file({}),
        as_file(KEPT | {"last_full": 7}),
        as_file(KEPT | {"last_full": "yesterday"}),
        as_file(KEPT | {"until": "2026-13-01"}),
        as_file(KEPT | {"used": -1}),
        as_file(KEPT | {"used": "x"}),
        as_file(KEPT | {"used": 1e300}),
        as_file(KEPT | {"used": 1e-300}),
        as_file(KEPT | {"elapsed": None}),
        as_file(KEPT | {"elapsed": 1e300}),
        as_file(KEPT | {"months": 7}),
        as_file(KEPT | {"full": "no"}),
        '{"version": 9, "minor_version": 1, "key": "k", "data": {}}',
    ],
)
async def test_a_damaged_file_starts_anew(hass: HomeAssistant, content: str) -> None:
    """Nothing raises, and no date is taken that can be none."""

    def put() -> None:
        path = file_of(hass, ENTRY)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    await hass.async_add_executor_job(put)
    upkeep = ChargeMaintenance(hass, ENTRY)
    await upkeep.async_load()
    assert upkeep.last_full_charge is None
    assert upkeep.recharge_due is None
    full = status(state_of_charge=100, operating_state=1, current=5.0)
    upkeep.add(full, hass.loop.time())
    assert upkeep.last_full_charge is not None
    await upkeep.file.async_save(anyway=True)
    other = ChargeMaintenance(hass, ENTRY)
    await other.async_load()
    assert other.recharge_due == upkeep.recharge_due


async def test_an_intact_file_is_taken(hass: HomeAssistant) -> None:
    """What the one above is damaged from."""

    def put() -> None:
        path = file_of(hass, ENTRY)
        path.parent.mkdir(exist_ok=True)
        path.write_text(as_file(KEPT))

    await hass.async_add_executor_job(put)
    upkeep = ChargeMaintenance(hass, ENTRY)
    await upkeep.async_load()
    assert upkeep.last_full_charge == datetime(2026, 1, 1, tzinfo=UTC)


async def test_it_is_saved_rarely(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Once when it became full, and then twice a day at most."""
    pack = battery("full")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await set_interval(hass, entry, 60)
    path = file_of(hass, entry.entry_id)
    await asyncio.sleep(SAVE_DELAY + 60)
    first = await hass.async_add_executor_job(path.read_text)
    assert json.loads(first)["data"]["last_full"]
    await asyncio.sleep(3 * HOUR)
    assert await hass.async_add_executor_job(path.read_text) == first
    # And when Home Assistant stops.
    await entry.runtime_data.async_shutdown()
    assert await hass.async_add_executor_job(path.read_text) != first


async def test_removing_the_battery_removes_its_history(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing of it is left behind."""
    pack = battery("full")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await entry.runtime_data.upkeep.file.async_save(anyway=True)
    path = file_of(hass, entry.entry_id)
    assert await hass.async_add_executor_job(path.exists)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not await hass.async_add_executor_job(path.exists)
