"""The last sample and the release over a restart, and how a sample is counted; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.exceptions import HomeAssistantError

from custom_components.voltgo_vlrv.history import battery_history as module
from custom_components.voltgo_vlrv.history.battery_history import BatteryHistory
from custom_components.voltgo_vlrv.history.energy import DISCHARGED
from custom_components.voltgo_vlrv.history.last_status import (
    EMPTY,
    MAX_FRAME_LENGTH,
    SAVE_DELAY,
    LastStatus,
    StoredStatus,
)
from custom_components.voltgo_vlrv.history.lifetime import DISCHARGED as CHARGE
from custom_components.voltgo_vlrv.history.routine import RoutineMaintenance
from custom_components.voltgo_vlrv.options import energy_gap
from tests.history.common import RecordedSection, RecordedStore
from tests.vlrv.samples import frame, status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(hours=4)
FRAME = frame()


class Store(RecordedStore):
    """A file of which each section is written at once, unless the disk is full."""

    def __init__(self) -> None:
        """Begin with room on the disk."""
        super().__init__()
        self.is_full = False

    def section(self, name: str, as_stored: Any, delay: float) -> RecordedSection:
        """Add a section."""
        section: Any = super().section(name, as_stored, delay)

        async def async_save() -> Any:
            if not self.is_full:
                section.stored = section.as_stored()
            return section.stored

        section.async_save = async_save
        return self.sections[name]


@pytest.fixture
def store() -> Any:
    """Return an empty file."""
    return Store()


async def test_last_status_that_was_saved_is_read_back(store: Any) -> None:
    """With the release, which is saved at once."""
    last = LastStatus(store)
    assert (last.frame, last.load()) == (b"", EMPTY)
    section = store.sections["last_status"]
    assert section.delay == SAVE_DELAY
    last.record_sample(FRAME, NOW)
    assert store.saved == {"last_status": [False]}
    assert await last.async_record_release(True, UNTIL)
    assert LastStatus(store).load() == EMPTY
    again = LastStatus(other := Store())  # type: ignore[arg-type]
    other.sections["last_status"].stored = section.stored
    assert again.load() == StoredStatus(FRAME, NOW, True, UNTIL)
    assert again.frame == FRAME
    # Each stays while the other one changes.
    again.record_sample(b"\x01", UNTIL)
    while_released = other.sections["last_status"].as_stored()
    assert while_released["released"] is True
    assert while_released == section.stored | {
        key: while_released[key] for key in ("frame", "when")
    }
    assert await again.async_record_release(False, None)
    other.sections["last_status"].stored = other.sections["last_status"].as_stored()
    assert again.load() == StoredStatus(b"\x01", UNTIL, False, None)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({}, EMPTY),
        ({"frame": "00" * MAX_FRAME_LENGTH}, EMPTY._replace(frame=bytes(87))),
        ({"frame": "00" * (MAX_FRAME_LENGTH + 1)}, EMPTY),
        ({"released": 1}, EMPTY),
        ({"released": True}, EMPTY._replace(released=True)),
    ],
)
def test_last_status_of_a_damaged_file_is_used_as_far_as_it_can_be(
    store: Any, stored: dict[str, Any], expected: StoredStatus
) -> None:
    """Its lengths are bounded."""
    last = LastStatus(store)
    store.sections["last_status"].stored = stored
    assert last.load() == expected


@pytest.mark.parametrize("before", [None, {}, {"released": False, "released_until": 0}])
async def test_release_that_is_not_in_the_file_is_not_stored(
    store: Any, before: Any
) -> None:
    """As on a full disk."""
    last = LastStatus(store)
    store.is_full = True
    store.sections["last_status"].stored = before
    assert not await last.async_record_release(True, UNTIL)
    store.sections["last_status"].stored = {
        "released": True,
        "released_until": NOW.isoformat(),
    }
    assert not await last.async_record_release(True, UNTIL)
    assert await last.async_record_release(True, NOW)


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch, store: Any) -> BatteryHistory:
    """Return the history of a battery in that file."""
    hass: Any = SimpleNamespace(loop=SimpleNamespace(time=lambda: 0.0))
    files = {(id(hass), "01A"): store}
    monkeypatch.setattr(
        module, "EntryStore", lambda of, entry_id: files[id(of), entry_id]
    )
    return BatteryHistory(hass, "01A")


async def test_release_that_is_not_stored_is_told(
    history: BatteryHistory, store: Any
) -> None:
    """The next restart would end it; that of its end does not matter."""
    await history.async_store_release(True, UNTIL, "House")
    store.is_full = True
    await history.async_store_release(False, None, "House")
    with pytest.raises(HomeAssistantError) as raised:
        await history.async_store_release(True, None, "House")
    assert raised.value.translation_domain == "voltgo_vlrv"
    assert raised.value.translation_key == "release_not_stored"
    assert raised.value.translation_placeholders == {"name": "House"}


@pytest.mark.parametrize(
    ("before", "after"), [(10, 10), (600, 600), (600, 10), (10, 600)]
)
def test_sample_is_counted_over_the_longer_interval_around_it(
    history: BatteryHistory, before: int, after: int
) -> None:
    """The user may have changed it meanwhile; over more, nothing is counted."""
    gap = energy_gap(timedelta(seconds=max(before, after))).total_seconds()
    time = 0.0
    counted = []
    for seconds, interval in ((0.0, before), (gap, after), (gap + 1, after)):
        time += seconds
        sample = status(current=-20.0)
        when = NOW + timedelta(seconds=time)
        history.add_sample(sample, when, time, timedelta(seconds=interval))
        counted.append((history.energy.total(DISCHARGED), history.care.total(CHARGE)))
        assert history.last_status.frame == sample.frame
    charge = 20.0 * gap / 3600
    assert counted[0] == (0, 0)
    assert counted[1] == counted[2]
    assert counted[1] == pytest.approx((charge * sample.voltage / 1000, charge))
    assert history.runtime.current.direction == -1


def test_routine_maintenance_is_saved_as_it_is_now(
    history: BatteryHistory, store: Any
) -> None:
    """Also once it was replaced by what was stored; a tick is saved at once."""
    section = store.sections["routine"]
    assert section.delay == 0
    history.routine = RoutineMaintenance()
    history.routine.tick_off("power_cables", NOW.date())
    assert section.as_stored() == history.routine.as_stored() != {}


def test_history_over_an_interruption_counts_nothing(history: BatteryHistory) -> None:
    """Neither energy nor charge."""
    for time in (0.0, 10.0):
        history.add_sample(status(current=-20.0), NOW, time, timedelta(seconds=10))
        history.interrupt()
    assert history.energy.total(DISCHARGED) == history.care.total(CHARGE) == 0
