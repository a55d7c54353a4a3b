"""The manual's routine maintenance, and the to-do list that shows it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
import json
from typing import Any

from hypothesis import given, strategies as st
import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.history.routine import (
    INTERVALS,
    NOTICE,
    RoutineItem,
    RoutineMaintenance,
    add_months,
)
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery
from tests.harness import BatteryHarness, async_setup_battery

ADDED = date(2026, 3, 31)
UNSET = date(2025, 12, 31)
DAYS = st.dates(date(2026, 1, 1), date(2100, 1, 1))


def item(
    routine: RoutineMaintenance, today: date, key: str = "power_cables"
) -> RoutineItem:
    """Return one item of a battery that was added on ADDED."""
    return next(found for found in routine.items(ADDED, today) if found.key == key)


def test_item_never_done_is_due_an_interval_after_the_battery_was_added() -> None:
    """September has no 31st day."""
    items = RoutineMaintenance().items(ADDED, ADDED)
    assert [found.key for found in items] == list(INTERVALS)
    assert all(found.is_open for found in items)
    half, year = date(2026, 9, 30), date(2027, 3, 31)
    assert [found.due for found in items] == [half, year, year, half, half]


def test_item_ticked_off_is_done_until_shortly_before_its_next_date() -> None:
    """Whatever its previous date was."""
    routine = RoutineMaintenance()
    done = date(2026, 11, 29)
    routine.tick_off("power_cables", done)
    due = date(2027, 5, 29)
    assert item(routine, done) == ("power_cables", due, False)
    assert item(routine, due - NOTICE - timedelta(days=1)) == (
        "power_cables", due, False,
    )  # fmt: skip
    assert item(routine, due - NOTICE) == ("power_cables", due, True)
    assert item(routine, due + timedelta(days=900)) == ("power_cables", due, True)
    assert item(routine, done, "system_status").is_open


def test_item_taken_back_has_its_previous_date() -> None:
    """A tick can be a mistake."""
    routine = RoutineMaintenance()
    routine.tick_off("power_cables", date(2026, 6, 1))
    before = item(routine, date(2026, 12, 1))
    routine.tick_off("power_cables", date(2026, 12, 1))
    routine.undo("power_cables")
    assert item(routine, date(2026, 12, 1)) == before
    routine.undo("power_cables")
    assert item(routine, date(2026, 12, 1)) == item(
        RoutineMaintenance(), date(2026, 12, 1)
    )
    routine.undo("power_cables")
    assert routine.as_stored() == {}


def test_items_without_a_set_clock_have_no_dates() -> None:
    """A wrong date is worse than none."""
    routine = RoutineMaintenance()
    routine.tick_off("power_cables", date(2026, 6, 1))
    assert {found.due for found in routine.items(ADDED, UNSET)} == {None}
    with pytest.raises(ValueError, match="clock"):
        routine.tick_off("power_cables", UNSET)
    assert item(routine, date(2026, 6, 2)).due == date(2026, 12, 1)
    added_without_clock = RoutineMaintenance().items(UNSET, date(2026, 6, 2))
    assert {found.due for found in added_without_clock} == {None}


def test_date_from_a_fast_clock_does_not_count() -> None:
    """The time before it does, and a battery that was added in the future has none."""
    routine = RoutineMaintenance()
    routine.tick_off("power_cables", date(2026, 6, 1))
    routine.tick_off("power_cables", date(2036, 1, 1))
    assert item(routine, date(2026, 6, 2)) == ("power_cables", date(2026, 12, 1), False)
    routine.tick_off("power_cables", date(2026, 7, 1))
    routine.undo("power_cables")
    assert item(routine, date(2026, 7, 1)).due == date(2026, 12, 1)
    assert item(RoutineMaintenance(), ADDED - timedelta(days=1)).due is None


@given(DAYS, st.sampled_from([6, 12]))
def test_months_added_lead_to_the_same_day_or_the_last_of_the_month(
    day: date, months: int
) -> None:
    """Never into the month after."""
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later + timedelta(days=1)).day == 1


@given(st.dictionaries(st.sampled_from([*INTERVALS]), st.lists(DAYS, min_size=1)), DAYS)
def test_dates_stored_and_restored_are_the_same(
    ticked: dict[str, list[date]], today: date
) -> None:
    """Over any number of restarts."""
    routine = RoutineMaintenance()
    for key, days in ticked.items():
        for day in days:
            routine.tick_off(key, day)
    restored = RoutineMaintenance.from_stored(
        json.loads(json.dumps(routine.as_stored()))
    )
    assert restored.items(ADDED, today) == routine.items(ADDED, today)


@pytest.mark.parametrize(
    "stored", [[], {"power_cables": ["soon", None]}, {"power_cables": [None, None]}]
)
def test_dates_that_are_damaged_are_refused(stored: Any) -> None:
    """With the errors that the store expects."""
    with pytest.raises((AttributeError, TypeError, ValueError)):
        RoutineMaintenance.from_stored(stored)


async def shown(harness: BatteryHarness) -> dict[str, tuple[str, str | None]]:
    """Return status and due date of each item, as the action returns them."""
    entity = harness.entity_id("maintenance", "todo")
    found: Any = await harness.hass.services.async_call(
        "todo",
        "get_items",
        {"entity_id": entity},
        blocking=True,
        return_response=True,
    )
    return {
        part["summary"]: (part["status"], part.get("due"))
        for part in found[entity]["items"]
    }


async def test_list_ticked_off_keeps_its_dates_over_a_reload(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is there without the battery, and refuses dates of a clock that is not set."""
    harness = await async_setup_battery(
        hass, bluetooth_env, battery("idle"), all_entities=True
    )
    text, today = "Check the power cables", dt_util.now().date()
    due = add_months(today, 6).isoformat()
    assert (await shown(harness))[text] == ("needs_action", due)
    assert harness.shown("maintenance", "todo") == "5"

    await harness.act(
        "todo", "update_item", "maintenance", item=text, status="completed"
    )
    assert (await shown(harness))[text] == ("completed", due)
    assert harness.shown("maintenance", "todo") == "4"
    await harness.reload()
    assert (await shown(harness))[text] == ("completed", due)
    # Its texts are not the user's to change.
    await harness.act("todo", "update_item", "maintenance", item=text, rename="Mine")
    assert (await shown(harness))[text] == ("completed", due)
    await harness.act(
        "todo", "update_item", "maintenance", item=text, status="needs_action"
    )
    assert harness.shown("maintenance", "todo") == "5"

    not_set = datetime(1970, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(dt_util, "now", lambda *_args: not_set)
    with pytest.raises(ServiceValidationError):
        await harness.act(
            "todo", "update_item", "maintenance", item=text, status="completed"
        )
