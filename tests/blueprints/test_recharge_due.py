"""The blueprint "recharge in storage"."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from homeassistant.util import dt as dt_util

from .harness import HOUR, MINUTE, PHONE, ScenarioHarness
from simulator.clock import FastClock

BLUEPRINT = "recharge_due"
SENSOR = "sensor.recharge_due"
ADVICE = "sensor.storage_advice"
DAY = 24 * HOUR


@pytest.fixture(autouse=True)
async def morning(fast_clock: FastClock) -> None:
    """Begin at six in the morning, and let some days pass."""
    fast_clock.limit = 30 * DAY
    now = dt_util.now()
    six = now.replace(hour=6, minute=0, second=0, microsecond=0)
    await asyncio.sleep(((six - now).total_seconds() + DAY) % DAY)


def due_in(home: ScenarioHarness, days: float, *, time: bool) -> None:
    """Let the sensor show a date, or a point in time, so far from now."""
    at = dt_util.now() + timedelta(days=days)
    home.hass.states.async_set(
        SENSOR, at.isoformat() if time else at.date().isoformat()
    )


async def automate(
    home: ScenarioHarness, due: str | list[str] = SENSOR, **inputs: Any
) -> None:
    """Use the blueprint with what a test needs."""
    await home.automate(BLUEPRINT, due=due, **{"notify_targets": [PHONE], **inputs})


@pytest.mark.parametrize("time", [False, True], ids=["date", "timestamp"])
async def test_reminder_from_the_due_date_is_sent_daily(
    home: ScenarioHarness, time: bool
) -> None:
    """At the time of the day, until it is done."""
    due_in(home, 2, time=time)
    await automate(home)
    await asyncio.sleep(2 * DAY + 2 * HOUR)
    assert home.messages == []
    await asyncio.sleep(HOUR + MINUTE)
    assert home.messages == ["Time to recharge sensor.recharge_due."]
    assert home.shown_here() == {SENSOR: home.messages[0]}
    await asyncio.sleep(HOUR * 20)
    assert len(home.messages) == 1
    await asyncio.sleep(HOUR * 5)
    assert len(home.messages) == 2
    due_in(home, 90, time=time)
    await asyncio.sleep(3 * DAY)
    assert len(home.messages) == 2


async def test_reminder_with_other_settings_is_sent_as_set(
    home: ScenarioHarness,
) -> None:
    """As the user likes."""
    due_in(home, 5, time=False)
    await automate(home, days_before=3, every=2)
    await asyncio.sleep(1 * DAY + 5 * HOUR)
    assert home.messages == []
    await asyncio.sleep(1 * DAY)
    assert len(home.messages) == 1
    await asyncio.sleep(1 * DAY)
    assert len(home.messages) == 1
    await asyncio.sleep(1 * DAY)
    assert len(home.messages) == 2


async def test_reminder_with_a_binary_sensor_is_sent_while_on(
    home: ScenarioHarness,
) -> None:
    """On means that it is time."""
    home.hass.states.async_set("binary_sensor.due", "off")
    await automate(home, "binary_sensor.due")
    await asyncio.sleep(DAY)
    assert home.messages == []
    home.hass.states.async_set("binary_sensor.due", "on")
    await asyncio.sleep(DAY)
    assert len(home.messages) == 1


@pytest.mark.parametrize("state", ["unknown", "unavailable", "soon", None])
async def test_reminder_without_a_date_is_not_sent(
    home: ScenarioHarness, state: str | None
) -> None:
    """Whatever its state is instead."""
    if state is not None:
        home.hass.states.async_set(SENSOR, state)
    await automate(home)
    await asyncio.sleep(2 * DAY)
    assert home.messages == []


async def test_reminder_missed_by_a_restart_is_sent_once(
    home: ScenarioHarness,
) -> None:
    """Home Assistant was off in the morning, and is started often after that."""
    due_in(home, -1, time=False)
    await automate(home)
    await home.stop()
    await asyncio.sleep(8 * HOUR)
    await home.start()
    await asyncio.sleep(15 * MINUTE)
    assert len(home.messages) == 1
    await home.stop()
    await home.start()
    await asyncio.sleep(3 * HOUR)
    assert len(home.messages) == 1
    await asyncio.sleep(DAY)
    assert len(home.messages) == 2


async def test_reminder_after_its_time_of_day_is_sent_once_due(
    home: ScenarioHarness,
) -> None:
    """A battery that is found in the afternoon does not wait for the next morning."""
    due_in(home, 5, time=True)
    await automate(home)
    await asyncio.sleep(8 * HOUR)
    due_in(home, -1, time=True)
    await asyncio.sleep(1)
    assert len(home.messages) == 1
    due_in(home, -2, time=True)
    await asyncio.sleep(HOUR)
    assert len(home.messages) == 1


async def test_reminder_of_several_batteries_is_sent_once(
    home: ScenarioHarness,
) -> None:
    """With the names of those that are due, whatever the others are."""
    second, third = "sensor.recharge_due_2", "sensor.recharge_due_3"
    due_in(home, 0, time=True)
    home.hass.states.async_set(second, dt_util.now().isoformat())
    home.hass.states.async_set(third, "unknown")
    await automate(home, [SENSOR, second, third])
    await asyncio.sleep(3 * HOUR + MINUTE)
    assert home.messages == [f"Time to recharge {SENSOR}, {second}."]
    due_in(home, 90, time=True)
    await asyncio.sleep(DAY)
    assert home.messages[1:] == [f"Time to recharge {second}."]
    home.hass.states.async_set(second, "unknown")
    await asyncio.sleep(2 * DAY)
    assert len(home.messages) == 2


@pytest.mark.parametrize("state", ["charge", "discharge", "too_warm", "too_cold"])
async def test_reminder_about_advice_is_sent_daily_until_it_is_followed(
    home: ScenarioHarness, state: str
) -> None:
    """Beside the one about the date, which is not due."""
    due_in(home, 90, time=True)
    home.hass.states.async_set(ADVICE, state)
    await automate(home, advice=[ADVICE])
    await asyncio.sleep(DAY)
    assert home.messages == [f"In storage: {ADVICE}: {state}."]
    await asyncio.sleep(DAY)
    assert len(home.messages) == 2
    home.hass.states.async_set(ADVICE, "fine")
    await asyncio.sleep(2 * DAY)
    assert len(home.messages) == 2


@pytest.mark.parametrize("state", ["fine", "in_use", "unknown", "unavailable"])
async def test_reminder_without_advice_is_not_sent(
    home: ScenarioHarness, state: str
) -> None:
    """Nothing has to be done, or it is not known what."""
    home.hass.states.async_set(ADVICE, state)
    await automate(home, [], advice=[ADVICE])
    await asyncio.sleep(2 * DAY)
    assert home.messages == []


async def test_reminder_about_a_recharge_by_its_advice_alone_is_sent(
    home: ScenarioHarness,
) -> None:
    """And both reminders where one battery is due and another one needs something."""
    home.hass.states.async_set(ADVICE, "recharge_due")
    due_in(home, -1, time=True)
    await automate(home, advice=[ADVICE])
    await asyncio.sleep(DAY)
    assert home.messages == [
        "Time to recharge sensor.recharge_due.",
        f"In storage: {ADVICE}: recharge_due.",
    ]
