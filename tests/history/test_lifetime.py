"""Lifetime figures: what a battery has been through, counted once and never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
import json
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.history.lifetime import (
    CYCLES,
    DISCHARGED,
    HIGHEST_CELL_VOLTAGE,
    HIGHEST_TEMPERATURE,
    LOWEST_CELL_VOLTAGE,
    LOWEST_STATE_OF_CHARGE,
    LOWEST_TEMPERATURE,
    TOTALS,
    Extreme,
    Lifetime,
    Trips,
    past_time,
)
from tests.history.common import HOUR
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
GAP = 300.0


class Life:
    """A battery that is read, and a Home Assistant that restarts."""

    def __init__(self) -> None:
        """Start Home Assistant."""
        self.time = 1000.0
        self.now = NOW
        self.lifetime = Lifetime()

    def read(self, seconds: float = 60.0, **changes: Any) -> bool:
        """Read the battery after some seconds."""
        self.time += seconds
        self.now += timedelta(seconds=seconds)
        return self.lifetime.add(status(**changes), self.now, self.time, GAP)

    def restart(self) -> None:
        """Restart Home Assistant, which stores and loads JSON."""
        stored = json.loads(json.dumps(self.lifetime.as_stored()))
        self.time = 5.0
        self.lifetime = Lifetime.from_stored(stored)


def test_discharged_charge_of_an_hour_is_current_times_time() -> None:
    """Charging adds nothing, and a cycle is the full capacity once."""
    life = Life()
    for current in (-20.0, 30.0):
        life.lifetime.interrupt()
        for _ in range(61):
            life.read(current=current)
    assert life.lifetime.totals[DISCHARGED] == pytest.approx(20)
    assert life.lifetime.totals[CYCLES] == pytest.approx(0.2)


def test_discharged_charge_over_a_gap_or_restart_is_not_counted() -> None:
    """What flowed is not known."""
    life = Life()
    life.read(current=-20.0)
    life.read(seconds=GAP + 1, current=-20.0)
    life.restart()
    life.read(current=-20.0)
    life.lifetime.interrupt()
    life.read(current=-20.0)
    assert life.lifetime.totals == dict.fromkeys(TOTALS, 0.0)


def test_cycles_after_a_learned_capacity_do_not_fall() -> None:
    """Each part counts for the capacity of its time."""
    life = Life()
    for _ in range(61):
        life.read(current=-20.0, full_capacity=100.0)
    life.read(current=-20.0, full_capacity=200.0)
    assert life.lifetime.totals[CYCLES] > 0.2


def test_extremes_are_the_values_with_their_first_dates() -> None:
    """The same value again changes no date."""
    life = Life()
    life.read(cell_voltages=(3.3, 3.31), state_of_charge=60, remaining_capacity=60.0)
    life.read(
        cell_voltages=(3.1, 3.45),
        state_of_charge=12,
        remaining_capacity=12.0,
        probe_temperatures=(-3, 41),
    )
    first = life.now
    life.read(
        cell_voltages=(3.1, 3.45),
        state_of_charge=12,
        remaining_capacity=12.0,
        probe_temperatures=(-3, 41),
    )
    life.restart()
    assert life.lifetime.extremes == {
        HIGHEST_CELL_VOLTAGE: Extreme(3450, first),
        LOWEST_CELL_VOLTAGE: Extreme(3100, first),
        HIGHEST_TEMPERATURE: Extreme(41, first),
        LOWEST_TEMPERATURE: Extreme(-3, first),
        LOWEST_STATE_OF_CHARGE: Extreme(12, first),
    }
    assert life.lifetime.since == NOW + timedelta(seconds=60)


def test_extremes_without_probes_have_no_temperature() -> None:
    """Nothing is shown that was not measured."""
    life = Life()
    life.read(probe_temperatures=(None, None))
    assert HIGHEST_TEMPERATURE not in life.lifetime.extremes


def test_trips_count_each_protection_once_also_over_a_restart() -> None:
    """The second protection of the same incident is no incident of its own."""
    life = Life()
    assert not life.read()
    assert life.read(protection=0x0008, operating_state=4)
    first = life.now
    assert not life.read(protection=0x0008, operating_state=4)
    life.restart()
    assert not life.read(protection=0x0008, operating_state=4)
    assert life.read(protection=0x0018, operating_state=4)
    second = life.now
    assert life.lifetime.trips == {
        "cell_uvp": Trips(1, first),
        "charge_ocp": Trips(1, second),
    }
    assert life.lifetime.any_trip == Trips(1, first)
    life.read()
    assert life.read(protection=0x4000, operating_state=4)
    assert life.lifetime.trips["unknown_bit_14"] == Trips(1, life.now)
    assert life.lifetime.any_trip == Trips(2, life.now)


def test_trips_without_a_named_bit_are_counted() -> None:
    """The operating state is proven, the bits are not."""
    life = Life()
    assert life.read(operating_state=4)
    assert life.lifetime.any_trip == Trips(1, life.now)
    assert life.lifetime.trips == {}


def test_dates_from_a_clock_that_was_not_set_are_unknown() -> None:
    """The value counts, and so does one of a clock that was fast."""
    life = Life()
    life.now = datetime(1970, 1, 1, tzinfo=UTC)
    life.read(protection=0x0008, operating_state=4)
    assert life.lifetime.since is None
    assert life.lifetime.any_trip == Trips(1, None)
    life.now = NOW
    life.read()
    assert life.lifetime.since == life.now
    assert past_time(NOW + timedelta(days=1), NOW) is None
    assert past_time(NOW, NOW) == NOW


@pytest.mark.parametrize(
    "damage",
    [
        {"totals": {DISCHARGED: -1, CYCLES: 0}},
        {"totals": {DISCHARGED: float("nan"), CYCLES: 0}},
        {"totals": {}},
        {"extremes": {LOWEST_TEMPERATURE: {"value": float("inf"), "at": None}}},
        {"trips": {"cell_uvp": {"count": -1, "last": None}}},
        {"since": "yesterday"},
        {"any_trip": None},
    ],
)
def test_lifetime_from_damaged_data_is_refused(damage: dict[str, Any]) -> None:
    """The store then starts empty."""
    stored = Lifetime().as_stored() | damage
    with pytest.raises((TypeError, ValueError, LookupError)):
        Lifetime.from_stored(stored)


def test_lifetime_from_foreign_keys_keeps_none() -> None:
    """A file cannot make it grow."""
    stored = Lifetime().as_stored()
    stored["trips"] = {"other": {"count": 1, "last": None}}
    stored["extremes"] = {"other": {"value": 1, "at": None}}
    stored["active"] = ["other"]
    assert Lifetime.from_stored(stored) == Lifetime()


@given(
    st.lists(
        st.tuples(
            st.floats(-10, 2 * HOUR),
            st.floats(-200, 200),
            st.sampled_from([0, 0x0008, 0x0018, 0x4000]),
            st.sampled_from(["read", "restart", "interrupt"]),
            st.floats(-1e9, 1e9),
        ),
        max_size=20,
    )
)
def test_lifetime_with_any_events_never_falls(
    steps: list[tuple[float, float, int, str, float]],
) -> None:
    """Totals, counts and extremes only move one way, whatever clock and battery do."""
    life = Life()
    seen = [Lifetime()]
    for seconds, current, protection, what, clock in steps:
        if what == "restart":
            life.restart()
        elif what == "interrupt":
            life.lifetime.interrupt()
        life.now = NOW + timedelta(seconds=clock)
        life.read(seconds, current=current, protection=protection)
        seen.append(Lifetime.from_stored(life.lifetime.as_stored()))
    for before, after in pairwise(seen):
        assert all(before.totals[key] <= after.totals[key] for key in TOTALS)
        assert before.any_trip.count <= after.any_trip.count
        assert all(
            trips.count <= after.trips[key].count for key, trips in before.trips.items()
        )
        flowed = after.totals[DISCHARGED] - before.totals[DISCHARGED]
        assert flowed <= 200 * GAP / HOUR + 1e-6
