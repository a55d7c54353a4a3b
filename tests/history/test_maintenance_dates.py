"""How the dates of a battery's maintenance are shown and stored; no event loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import json
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.history.maintenance import (
    SAVE_DELAY,
    ChargeMaintenance,
)
from tests.history.common import DAY, HOUR, MONTH, RecordedStore
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 15, tzinfo=UTC)
FULL = {"state_of_charge": 100, "current": 5.0, "operating_state": 1}
USED = {"state_of_charge": 60, "current": -5.0, "operating_state": 2}


class Stored:
    """A battery whose maintenance is shown, at 20 °C."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin at NOW."""
        self.time = 1000.0
        self.now = NOW
        self.store = RecordedStore()
        hass: Any = SimpleNamespace(loop=SimpleNamespace(time=lambda: self.time))
        store: Any = self.store
        self.maintenance = ChargeMaintenance(hass, store)
        self.section = self.store.sections["charge_history"]
        monkeypatch.setattr("homeassistant.util.dt.utcnow", lambda: self.now)

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        self.now += timedelta(seconds=seconds)

    def read(self, seconds: float = 60.0, **changes: Any) -> list[bool] | None:
        """Read the battery after some seconds; return how that is saved."""
        self.passes(seconds)
        self.maintenance.add(status(**changes), self.time)
        return self.store.saved.get("charge_history")


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Return a battery that was not read yet."""
    return Stored(monkeypatch)


def test_dates_are_unknown_before_a_full_charge(one: Stored) -> None:
    """Being full says nothing of when that began."""
    assert one.section.delay == SAVE_DELAY
    for changes in (USED, {"state_of_charge": 100}):
        one.maintenance.load()
        one.read(**changes)
        assert one.maintenance.last_full_charge is None
        assert one.maintenance.recharge_due is None
        assert not one.maintenance.is_recharge_due
        assert one.section.as_stored()["last_full"] is None


def test_change_of_full_is_saved_and_nothing_else(one: Stored) -> None:
    """A charger that keeps it full writes nothing."""
    assert [one.read(**each) for each in (USED, USED, FULL, FULL, USED)] == [
        [False], None, [False], None, [False],
    ]  # fmt: skip


def test_last_full_charge_changes_by_an_hour_at_least(one: Stored) -> None:
    """Until then it stays what was shown."""
    one.read(**USED)
    one.read(**FULL)
    shown = one.maintenance.last_full_charge
    assert shown == one.now
    one.read(HOUR - 1, **FULL)
    assert one.maintenance.last_full_charge == shown
    one.read(1, **FULL)
    assert one.maintenance.last_full_charge == one.now == shown + timedelta(hours=1)
    # A clock that is set back leaves no date in the future.
    one.now -= timedelta(minutes=1)
    assert one.maintenance.last_full_charge == one.now


@pytest.mark.parametrize(("temperature", "months"), [(20, 9), (21, 6), (31, 3)])
def test_recharge_is_due_by_the_hottest_temperature(
    one: Stored, temperature: int, months: int
) -> None:
    """At local noon of a day, from which it moves by whole days; and then it is due."""
    probes = {"probe_temperatures": (0, temperature)}
    one.read(**USED, **probes)
    one.read(**FULL, **probes)
    due = one.maintenance.recharge_due
    assert due is not None
    expected = one.now + timedelta(seconds=months * MONTH)
    assert due == dt_util.start_of_local_day(expected) + timedelta(hours=12)
    one.read(HOUR, **FULL, **probes)
    assert one.maintenance.recharge_due == due
    one.read(2 * DAY, **FULL, **probes)
    assert one.maintenance.recharge_due == due + timedelta(days=2)
    assert one.maintenance.elapsed_fraction == 0
    for _ in range(int(months * MONTH / DAY)):
        one.read(DAY, **USED, **probes)
    assert not one.maintenance.is_recharge_due
    one.passes(2 * DAY)
    assert one.maintenance.is_recharge_due
    assert one.maintenance.elapsed_fraction > 1


@pytest.mark.parametrize(
    ("hottest", "probes", "months"), [(35, (20, 20), 3), (None, (None, 35), 3)]
)
def test_recharge_is_due_by_the_register_or_else_by_the_probes(
    one: Stored, hottest: int | None, probes: tuple[int | None, ...], months: int
) -> None:
    """The hottest cell may have no probe."""
    changes = {"max_cell_temperature": hottest, "probe_temperatures": probes}
    one.read(**USED, **changes)
    one.read(**FULL, **changes)
    due = one.maintenance.recharge_due
    assert due is not None
    assert abs(due - one.now - timedelta(seconds=months * MONTH)) < timedelta(days=1)


def test_dates_that_were_saved_are_read_back(
    one: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time passes meanwhile; damaged data is ignored."""
    one.read(**USED)
    one.read(**FULL)
    for _ in range(10):
        one.read(DAY, **USED)
    assert one.maintenance.elapsed_fraction == pytest.approx(10 * DAY / (9 * MONTH))
    stored = json.loads(json.dumps(one.section.as_stored()))
    shown = one.maintenance.last_full_charge
    again = Stored(monkeypatch)
    again.now = one.now + timedelta(days=5)
    again.section.stored = stored
    again.maintenance.load()
    assert again.maintenance.last_full_charge == shown
    assert again.section.as_stored()["elapsed"] == pytest.approx(15 * DAY)
    assert again.section.as_stored()["full"] is False
    assert again.section.as_stored()["months"] in (6, 9)
    # It was full before, so that it is full again is a full charge.
    again.read(state_of_charge=100)
    assert again.maintenance.last_full_charge == again.now


@pytest.mark.parametrize("charging", [{"current": 0.1}, {"operating_state": 1}, {}])
def test_full_battery_that_is_charged_was_full_just_now(
    one: Stored, charging: dict[str, Any]
) -> None:
    """By its current or its own word; at rest it discharges itself."""
    one.read(**USED)
    one.read(**FULL)
    one.read(DAY, state_of_charge=100, **charging)
    last = one.maintenance.last_full_charge
    assert last is not None
    expected = timedelta(0) if charging else timedelta(days=1)
    assert one.now - last == expected
