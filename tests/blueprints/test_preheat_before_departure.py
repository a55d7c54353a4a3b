"""The blueprint "warm up before departure"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from .harness import HOUR, MINUTE, SOON, BatteryScenarioHarness
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery

BLUEPRINT = "preheat_before_departure"
DATE = "input_datetime.departure"
DAILY = "input_datetime.daily"
CALENDAR = "calendar.trips"
ALARM = "sensor.next_alarm"
DAY = 24 * HOUR


@pytest.fixture
def hour() -> int:
    """Return the hour of the day at which a test begins."""
    return 12


@pytest.fixture
async def rv(
    hass: HomeAssistant,
    fast_clock: FastClock,
    bluetooth_env: BluetoothEnvironment,
    quiet: None,
    hour: int,
) -> AsyncGenerator[BatteryScenarioHarness]:
    """Return an RV whose battery is cold and does as it is told."""
    fast_clock.limit = 2 * DAY
    start = dt_util.now().replace(hour=hour, minute=0, second=30, microsecond=0)
    await asyncio.sleep((start - dt_util.now()).total_seconds() % DAY)
    assert await async_setup_component(
        hass,
        "input_datetime",
        {
            "input_datetime": {
                "departure": {"has_date": True, "has_time": True},
                "daily": {"has_date": False, "has_time": True},
            }
        },
    )
    rv = await BatteryScenarioHarness.with_battery(
        hass, bluetooth_env, battery("idle", state_of_charge=60, temperature=2)
    )
    yield rv
    await rv.close()


async def automate(rv: BatteryScenarioHarness, **inputs: Any) -> None:
    """Use the blueprint with what a test needs: one hour before, ten minutes after."""
    await rv.automate(
        BLUEPRINT,
        heater=rv.entity("heater", "switch"),
        battery=rv.entity("state_of_charge"),
        before={"hours": 1},
        after={"minutes": 10},
        min_time={"minutes": 0},
        **inputs,
    )


async def set_date(
    rv: BatteryScenarioHarness, at: datetime, entity: str = DATE
) -> None:
    """Let the user choose a departure."""
    await rv.hass.services.async_call(
        "input_datetime",
        "set_datetime",
        {"entity_id": entity}
        | ({"datetime": at} if entity == DATE else {"time": at.time()}),
        blocking=True,
    )


def plan(
    rv: BatteryScenarioHarness, at: datetime | None, message: str = "Trip to the sea"
) -> None:
    """Have a calendar with this event next, as its entity shows it."""
    attributes: dict[str, Any] = {}
    if at is not None:
        attributes = {
            "message": message,
            "start_time": at.strftime("%Y-%m-%d %H:%M:%S"),
            "end_time": (at + timedelta(days=9)).strftime("%Y-%m-%d %H:%M:%S"),
        }
    is_on = at is not None and at <= dt_util.now()
    rv.hass.states.async_set(CALENDAR, "on" if is_on else "off", attributes)


def heats(rv: BatteryScenarioHarness) -> bool:
    """Return whether the battery has the heater allowed."""
    return rv.pack.heating_enabled


def soon(hours: float = 2) -> datetime:
    """Return a departure so far from now."""
    return dt_util.now() + timedelta(hours=hours)


@pytest.mark.parametrize("hour", [12, 22], ids=["noon", "midnight"])
@pytest.mark.parametrize("source", [DATE, DAILY, CALENDAR, ALARM, "daily_time"])
async def test_heater_is_on_before_and_off_after_departure(
    rv: BatteryScenarioHarness, source: str
) -> None:
    """Whatever says when one leaves."""
    at = soon(2)
    if source in (DATE, DAILY):
        await set_date(rv, at, source)
    elif source == CALENDAR:
        plan(rv, at)
    elif source == ALARM:
        rv.hass.states.async_set(ALARM, dt_util.as_utc(at).isoformat())
    if source == "daily_time":
        await automate(rv, daily_time=at.strftime("%H:%M:%S"))
    else:
        await automate(rv, departure=source)
    await asyncio.sleep(58 * MINUTE)
    assert not heats(rv)
    await asyncio.sleep(2 * MINUTE + SOON)
    assert heats(rv)
    await asyncio.sleep(60 * MINUTE)
    assert heats(rv)
    await asyncio.sleep(10 * MINUTE + SOON)
    assert not heats(rv)


async def test_heater_on_days_not_selected_stays_off(
    rv: BatteryScenarioHarness,
) -> None:
    """The user works on weekdays only, or the other way round."""
    at = soon(1)
    today = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][at.weekday()]
    others = [
        day for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun") if day != today
    ]
    await automate(rv, daily_time=at.strftime("%H:%M:%S"), weekdays=others)
    await asyncio.sleep(HOUR)
    assert not heats(rv)


async def test_heater_for_events_without_the_keyword_stays_off(
    rv: BatteryScenarioHarness,
) -> None:
    """Written in whatever case."""
    plan(rv, soon(0.5), "Dentist")
    await automate(rv, departure=CALENDAR, word="trip")
    await asyncio.sleep(2 * SOON)
    assert not heats(rv)
    plan(rv, soon(0.5), "TRIP")
    await asyncio.sleep(SOON)
    assert heats(rv)


@pytest.mark.parametrize("source", [DATE, CALENDAR])
async def test_heater_with_a_postponed_departure_turns_off(
    rv: BatteryScenarioHarness, source: str
) -> None:
    """At once, until it is time again."""
    await automate(rv, departure=source)

    async def leave(at: datetime) -> None:
        if source == DATE:
            await set_date(rv, at)
        else:
            plan(rv, at)

    await leave(soon(0.5))
    await asyncio.sleep(SOON)
    assert heats(rv)
    await leave(soon(5))
    await asyncio.sleep(SOON)
    assert not heats(rv)


async def test_heater_above_the_selected_temperature_stays_off(
    rv: BatteryScenarioHarness,
) -> None:
    """Once on, it stays on to the end."""
    rv.pack.cell_temperatures = [12.0, 12.0]
    await rv.refresh()
    await set_date(rv, soon(1))
    await automate(
        rv, departure=DATE, temperatures=[rv.entity("min_cell_temperature")], cold=10
    )
    await asyncio.sleep(2 * SOON)
    assert not heats(rv)
    rv.pack.cell_temperatures = [9.0, 9.0]
    await rv.refresh()
    await asyncio.sleep(SOON)
    assert heats(rv)
    rv.pack.cell_temperatures = [12.0, 12.0]
    await rv.refresh()
    await asyncio.sleep(SOON)
    assert heats(rv)


async def test_heater_with_a_low_battery_stays_off(rv: BatteryScenarioHarness) -> None:
    """Off below, on again only some way above."""
    await set_date(rv, soon(1))
    await automate(rv, departure=DATE)
    await asyncio.sleep(SOON)
    assert heats(rv)
    for charge, expected in ((29, False), (39, False), (41, True)):
        rv.pack.charge = rv.pack.capacity * 3600 * charge / 100
        await rv.refresh()
        await asyncio.sleep(SOON)
        assert heats(rv) is expected


async def test_heater_while_unavailable_is_not_switched(
    rv: BatteryScenarioHarness,
) -> None:
    """Back too late, it is switched off then."""
    await set_date(rv, soon(1))
    await automate(rv, departure=DATE)
    await asyncio.sleep(SOON)
    assert heats(rv)
    await rv.vanish()
    await asyncio.sleep(2 * HOUR)
    assert heats(rv)
    await rv.return_()
    await asyncio.sleep(SOON)
    assert not heats(rv)


@pytest.mark.parametrize("state", ["unknown", "unavailable", "tomorrow"])
async def test_heater_without_a_departure_is_not_switched(
    rv: BatteryScenarioHarness, state: str
) -> None:
    """Whatever its state is instead."""
    rv.hass.states.async_set(ALARM, state)
    await automate(rv, departure=ALARM)
    await rv.hass.services.async_call(
        "switch",
        "turn_on",
        {"entity_id": rv.entity("heater", "switch")},
        blocking=True,
    )
    await asyncio.sleep(HOUR)
    assert heats(rv)


@pytest.mark.parametrize("off_for", [0.25, 2.0], ids=["within", "beyond"])
async def test_heater_after_a_restart_turns_off(
    rv: BatteryScenarioHarness, off_for: float
) -> None:
    """Neither one before departure nor one that lasts until after it."""
    await set_date(rv, soon(1))
    await automate(rv, departure=DATE)
    await asyncio.sleep(SOON)
    assert heats(rv)
    await rv.stop()
    await rv.vanish()
    await asyncio.sleep(off_for * HOUR)
    await rv.start()
    await rv.return_()
    await asyncio.sleep(SOON)
    assert heats(rv) is (off_for < 1)
    await asyncio.sleep(HOUR)
    assert not heats(rv)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("source", [CALENDAR, ALARM])
async def test_heater_with_a_past_departure_turns_off(
    rv: BatteryScenarioHarness, source: str, restart: bool
) -> None:
    """The calendar and the phone only show the next one."""

    def leave(at: datetime) -> None:
        if source == CALENDAR:
            plan(rv, at)
        else:
            rv.hass.states.async_set(ALARM, dt_util.as_utc(at).isoformat())

    leave(soon(1))
    await automate(rv, departure=source)
    await asyncio.sleep(SOON)
    assert heats(rv)
    if restart:
        await rv.stop()
    else:
        await rv.vanish()
    await asyncio.sleep(1.5 * HOUR)
    leave(soon(7 * 24))
    if restart:
        await rv.start()
    else:
        await rv.return_()
    await asyncio.sleep(SOON)
    assert not heats(rv)


async def test_heater_switched_on_by_the_user_stays_on(
    rv: BatteryScenarioHarness,
) -> None:
    """Outside of its times the automation decides nothing."""
    await set_date(rv, soon(0.1))
    await automate(rv, departure=DATE)
    await asyncio.sleep(30 * MINUTE)
    assert not heats(rv)
    await rv.hass.services.async_call(
        "switch",
        "turn_on",
        {"entity_id": rv.entity("heater", "switch")},
        blocking=True,
    )
    await asyncio.sleep(HOUR)
    assert heats(rv)


async def test_heater_with_thermometers_in_fahrenheit_compares_in_that_unit(
    rv: BatteryScenarioHarness,
) -> None:
    """Left empty, "Only when colder than" is 50 °F there; the first unit counts."""
    name = "sensor.beside_it"
    rv.hass.states.async_set(name, "51", {"unit_of_measurement": "°F"})
    await set_date(rv, soon(1))
    await automate(rv, departure=DATE, temperatures=[name])
    await asyncio.sleep(2 * SOON)
    assert not heats(rv)
    rv.hass.states.async_set(name, "49", {"unit_of_measurement": "°F"})
    await asyncio.sleep(2 * SOON)
    assert heats(rv)
