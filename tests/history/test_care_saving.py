"""What of a battery's figures is saved, when, and how it is read back; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_components.voltgo_vlrv.history.capacity import CapacityReading
from custom_components.voltgo_vlrv.history.care import RARE_SAVE_DELAY, BatteryCare
from custom_components.voltgo_vlrv.history.charge_trust import REST_TIME
from custom_components.voltgo_vlrv.history.full_charges import FullCharge
from custom_components.voltgo_vlrv.history.lifetime import (
    CYCLES,
    DISCHARGED,
    HIGHEST_TEMPERATURE,
    Extreme,
    Trips,
)
from custom_components.voltgo_vlrv.history.totals import SAVE_DELAY
from tests.history.common import HOUR, RecordedStore
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
GAP = 600.0
READING = CapacityReading(NOW, 93.5, 90.2, 3017, 12, 1.7)
TOP = {"cell_voltages": (3.50, 3.46), "current": 5.0, "state_of_charge": 99}
FULL = {"cell_voltages": (3.40, 3.39), "state_of_charge": 100}


class Kept:
    """The figures of a battery, and what of them would be saved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin with nothing, at NOW."""
        self.time = 1000.0
        self.now = NOW
        self.store = RecordedStore()
        hass: Any = SimpleNamespace(loop=SimpleNamespace(time=lambda: self.time))
        self.care = BatteryCare(hass, cast("Any", self.store))
        monkeypatch.setattr("homeassistant.util.dt.utcnow", lambda: self.now)

    def read(self, seconds: float = 60.0, **changes: Any) -> dict[str, list[bool]]:
        """Read the battery after some seconds; return what was saved."""
        self.time += seconds
        self.now += timedelta(seconds=seconds)
        sample = status(**{"cell_voltages": (3.3, 3.3), **changes})
        self.care.add(sample, self.now, self.time, GAP)
        return self.store.saved

    def save(self) -> None:
        """Save all of it."""
        for section in self.store.sections.values():
            section.stored = json.loads(json.dumps(section.as_stored()))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Return the figures of a battery that was read once."""
    found = Kept(monkeypatch)
    assert found.read() == {"lifetime": [False]}
    return found


def test_care_saves_totals_sooner_than_what_changes_rarely(kept: Kept) -> None:
    """A power cut loses no more than that."""
    assert {name: item.delay for name, item in kept.store.sections.items()} == {
        "lifetime": SAVE_DELAY,
        "full_charges": RARE_SAVE_DELAY,
        "capacity": RARE_SAVE_DELAY,
        "capacity_test": RARE_SAVE_DELAY,
        "charge_trust": RARE_SAVE_DELAY,
    }


def test_care_of_a_battery_at_rest_saves_nothing(kept: Kept) -> None:
    """It writes no memory card full."""
    for _ in range(3):
        assert kept.read() == {}


def test_care_with_another_extreme_saves_it_later(kept: Kept) -> None:
    """No total depends on it."""
    assert kept.read(cell_voltages=(3.31, 3.3)) == {"lifetime": [False]}
    assert kept.read(cell_voltages=(3.31, 3.3)) == {}


def test_care_saves_a_total_at_once_that_the_file_does_not_cover(kept: Kept) -> None:
    """From then on, until what it allows has flowed."""
    assert kept.read(current=-20.0) == {"lifetime": [True]}
    kept.save()
    kept.read(current=-20.0)
    kept.save()
    # The limit is what flows in SAVE_DELAY at the rate of before.
    for _ in range(int(SAVE_DELAY / 60) - 1):
        assert kept.read(current=-20.0) == {"lifetime": [False]}
    kept.read(current=-20.0)
    assert kept.read(current=-20.0) == {"lifetime": [True]}


def test_care_saves_a_trip_at_once(kept: Kept) -> None:
    """Whether a bit names it or not; not again while it lasts."""
    tripped = {"protection": 0x0008, "operating_state": 4}
    assert kept.read(**tripped) == {"lifetime": [True]}
    assert kept.read(**tripped) == {}
    assert kept.read() == {}
    assert kept.read(operating_state=4) == {"lifetime": [True]}
    assert kept.care.trips == Trips(2, kept.now)


def test_care_saves_a_full_charge_later(kept: Kept) -> None:
    """Once."""
    kept.read(**TOP)
    assert kept.read(**FULL)["full_charges"] == [False]
    assert kept.read(**FULL) == {}
    assert kept.care.last_full_charge == FullCharge(
        kept.now - timedelta(seconds=120), 40, 3500, 5.0, 20
    )


def test_care_saves_a_doubt_later(kept: Kept) -> None:
    """When it begins, and when a full charge ends it."""
    empty = {"cell_voltages": (3.1, 3.1)}
    saved = [
        kept.read(**empty).get("charge_trust") for _ in range(int(REST_TIME / 60) + 2)
    ]
    assert saved.count([False]) == 1
    assert kept.care.trust.contradicted
    assert kept.read(**TOP | {"state_of_charge": 100})["charge_trust"] == [False]
    assert not kept.care.trust.contradicted


def measure(kept: Kept) -> None:
    """Discharge the battery fully from a full charge, which a charge would end."""
    for _ in range(2):
        kept.read(120.0, cell_voltages=(3.45, 3.45))
    for _ in range(45):
        kept.read(120.0, current=-60.0, cell_voltages=(3.2, 3.2))
    for _ in range(2):
        kept.read(120.0, cell_voltages=(2.5, 2.5))
    assert kept.care.capacity.phase == "recharge"


@pytest.mark.parametrize("end", ["charge", "interrupt", "close"])
@pytest.mark.parametrize("is_running", [True, False])
def test_care_saves_a_measured_capacity_as_a_cycle_of_a_test(
    kept: Kept, end: str, *, is_running: bool
) -> None:
    """Only of one that is running."""
    if is_running:
        kept.care.start_capacity_test()
    measure(kept)
    assert kept.care.last_capacity is None
    if end == "charge":
        saved = kept.read(current=20.0)
    else:
        getattr(kept.care, end)()
        saved = kept.store.saved
    expected = {"capacity": [False]}
    if is_running:
        expected["capacity_test"] = [False]
    assert {key: how for key, how in saved.items() if key != "lifetime"} == expected
    assert kept.care.capacity_test.capacities == ([90.0] if is_running else [])
    last = kept.care.last_capacity
    assert last is not None
    assert (last.capacity, last.lowest) == (90.0, 2500)
    assert last.at is not None


def test_care_counts_nothing_over_an_interruption(kept: Kept) -> None:
    """What flowed is not known."""
    kept.read(current=-20.0)
    before = kept.care.total(DISCHARGED)
    kept.care.interrupt()
    kept.read(current=-20.0)
    assert kept.care.total(DISCHARGED) == before > 0


def test_capacity_test_begins_with_the_next_full_charge(kept: Kept) -> None:
    """What was measured until then is no cycle of it; both changes are saved at once."""
    measure(kept)
    kept.care.start_capacity_test()
    assert kept.store.saved == {"capacity": [False], "capacity_test": [True]}
    assert kept.care.capacity_test.capacities == []
    assert kept.care.capacity_test.is_running
    kept.care.stop_capacity_test()
    assert kept.store.saved == {"capacity_test": [True]}
    assert not kept.care.capacity_test.is_running


def test_care_that_was_saved_is_read_back(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All sections, and totals no lower than they may have been shown."""
    kept.care.start_capacity_test()
    kept.save()
    measure(kept)
    kept.read(current=20.0)
    kept.care.trust.contradicted = True
    kept.read(**TOP)
    kept.read(**FULL)
    kept.save()
    again = Kept(monkeypatch)
    again.now = kept.now
    for name, section in kept.store.sections.items():
        again.store.sections[name].stored = section.stored
    again.care.load()
    before, after = kept.care.as_stored(), again.care.as_stored()
    assert (
        after.pop("lifetime").pop("totals")
        == again.store.sections["lifetime"].stored["limits"]
    )
    before.pop("lifetime")
    assert after == before
    assert after["capacity_test"]["capacities"] == [90.0]
    assert after["full_charges"]["readings"]
    assert again.care.extreme(HIGHEST_TEMPERATURE) == kept.care.extreme(
        HIGHEST_TEMPERATURE
    )
    assert again.care.total(CYCLES) > kept.care.total(CYCLES) > 0.9


def test_care_without_anything_stored_stays_as_it_is(kept: Kept) -> None:
    """It began empty."""
    before = kept.care.as_stored()
    kept.care.load()
    assert kept.care.as_stored() == before


def test_care_that_was_closed_stores_no_limit_beyond_what_is_shown(
    kept: Kept,
) -> None:
    """Nothing is counted after it."""
    kept.read(current=-20.0)
    lifetime = kept.store.sections["lifetime"]
    assert lifetime.as_stored()["limits"].keys() == {DISCHARGED, CYCLES}
    kept.care.close()
    assert lifetime.as_stored()["limits"] == {}


def test_times_of_a_clock_that_was_fast_are_not_shown(kept: Kept) -> None:
    """They would be in the future; what was measured stays."""
    care = kept.care
    later = kept.now + timedelta(seconds=1)
    for at in (kept.now, later):
        shown = None if at is later else at
        care.lifetime.extremes[HIGHEST_TEMPERATURE] = Extreme(41, at)
        care.lifetime.since = at
        care.lifetime.any_trip = Trips(3, at)
        care.full_charges.readings = [FullCharge(at, 40, 3500, 5.0, 20)]
        care.capacity.readings = [READING._replace(at=at)]
        assert care.extreme(HIGHEST_TEMPERATURE) == Extreme(41, shown)
        assert care.since == shown
        assert care.trips == Trips(3, shown)
        assert care.last_full_charge == FullCharge(shown, 40, 3500, 5.0, 20)
        assert care.last_capacity == READING._replace(at=shown)


def test_figures_that_were_not_measured_are_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And totals are zero."""
    care = Kept(monkeypatch).care
    assert care.extreme(HIGHEST_TEMPERATURE) is None
    assert (care.since, care.last_full_charge, care.last_capacity) == (None,) * 3
    assert care.trips == Trips(0, None)
    assert (care.total(CYCLES), care.total(DISCHARGED)) == (0, 0)


def test_cycles_are_the_charge_by_the_capacity(kept: Kept) -> None:
    """As far as that is known."""
    kept.read(current=-20.0)
    for _ in range(6):
        kept.read(HOUR / 6, current=-20.0)
    assert kept.care.total(CYCLES) == pytest.approx(kept.care.total(DISCHARGED) / 100.0)
