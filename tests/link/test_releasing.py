"""Letting go and taking back at the worst moment: nothing spins, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .test_sharing import Shared, shared
from simulator.adapter import VirtualClient
from tests.helpers import battery, enable_all, until
from tests.world import World

POLL = 10.0  # s
MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
SLOW_CARD = 0.5  # s to save a file
SPINNING = 500  # calls of one timer in five minutes


def slow_memory(monkeypatch: pytest.MonkeyPatch, one: Shared) -> None:
    """Have the SD card take its time."""
    file = one.entry.runtime_data.memory.file
    save: Callable[..., Awaitable[None]] = file.async_save

    async def slow(**kwargs: Any) -> None:
        await asyncio.sleep(SLOW_CARD)
        await save(**kwargs)

    monkeypatch.setattr(file, "async_save", slow)


def slow_disconnect(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have the adapter take its time to let go."""
    disconnect = VirtualClient.disconnect

    async def slow(client: VirtualClient) -> None:
        await asyncio.sleep(seconds)
        await disconnect(client)

    monkeypatch.setattr(VirtualClient, "disconnect", slow)


async def test_a_reading_under_way_during_a_release_leaves_nothing_running(
    hass: HomeAssistant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No timer that is set again for a time that is over, until somebody takes back."""
    one = await shared(hass, world)
    coordinator = one.entry.runtime_data
    calls = 0
    on_age = coordinator._on_age

    def counted(now: datetime) -> None:
        nonlocal calls
        calls += 1
        if calls < SPINNING:
            on_age(now)

    monkeypatch.setattr(coordinator, "_on_age", counted)
    slow_memory(monkeypatch, one)
    one.peripheral.faults.delay = 0.3
    requests = coordinator.client.counters.requests
    await until(lambda: coordinator.client.counters.requests > requests, POLL + 5)
    await one.switch(False)
    await asyncio.sleep(5 * MINUTE)
    assert calls <= 1
    assert one.status == "released"
    assert one.lost == []


async def test_a_reading_that_ends_after_a_release_sets_no_timer(
    hass: HomeAssistant, world: World
) -> None:
    """Whatever came before: while released, the age of the values is not watched."""
    one = await shared(hass, world)
    coordinator = one.entry.runtime_data
    await one.switch(False)
    coordinator._watch_age()
    assert coordinator._cancel_expiry is None


async def test_the_battery_is_free_before_the_card_is_written(
    hass: HomeAssistant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lets go has the phone in the hand."""
    one = await shared(hass, world)
    slow_memory(monkeypatch, one)
    release = hass.async_create_task(one.switch(False))
    await asyncio.sleep(SLOW_CARD / 2)
    assert not one.peripheral.is_connected
    assert not release.done()
    await release
    assert one.entry.runtime_data.memory._kept.released


async def test_taking_back_while_the_release_is_saved_keeps_the_new_link(
    hass: HomeAssistant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last word counts, for the link and for what is kept."""
    one = await shared(hass, world)
    file = one.entry.runtime_data.memory.file
    save = file.async_save

    async def slow(**kwargs: Any) -> None:
        await asyncio.sleep(5)
        await save(**kwargs)

    monkeypatch.setattr(file, "async_save", slow)
    release = hass.async_create_task(one.release())
    await asyncio.sleep(1)
    await one.switch(True)
    await until(lambda: one.is_connected, 3)
    connections = one.peripheral.connections
    await release
    await asyncio.sleep(MINUTE)
    assert (one.status, one.is_connected) == ("connected", True)
    assert one.peripheral.connections == connections
    assert not one.entry.runtime_data.memory._kept.released


async def test_taking_back_while_the_adapter_lets_go_is_the_last_word(
    hass: HomeAssistant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is connected again after that, and not kept as released."""
    one = await shared(hass, world)
    slow_disconnect(monkeypatch, 4)
    release = hass.async_create_task(one.release())
    await asyncio.sleep(1)
    await one.switch(True)
    await release
    await until(lambda: one.is_connected, 15)
    await asyncio.sleep(MINUTE)
    assert (one.status, one.is_connected) == ("connected", True)
    assert not one.entry.runtime_data.memory._kept.released


# --- a winter ---------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_time_alone_changes_goes_on_while_released(
    hass: HomeAssistant, world: World, restarted: bool
) -> None:
    """A battery in winter storage: when to recharge it is worked out all the same."""
    pack = battery("full", temperature=15.0, ambient=15.0)
    pack.cell_temperatures = [15.0, 15.0]
    one = await shared(hass, world, pack)
    await enable_all(hass, pack.address)
    await until(lambda: one.shown("recharge_due") not in {None, "unknown"}, MINUTE)

    def months() -> float:
        due = dt_util.parse_datetime(one.shown("recharge_due") or "")
        assert due is not None
        return (due - dt_util.utcnow()) / timedelta(days=30.4)

    assert 8.8 < months() < 9.2
    await one.switch(False)
    if restarted:
        assert await hass.config_entries.async_reload(one.entry.entry_id)
    coordinator = one.entry.runtime_data
    connections = one.peripheral.connections
    polls = coordinator.health.polls
    await asyncio.sleep(1.1 * DAY)
    # After a day nobody knows how warm it is.
    assert 5.8 < months() < 6.1
    assert one.peripheral.connections == connections
    assert coordinator.health.polls == polls
    assert one.status == "released"

    await one.switch(True)
    await until(lambda: one.is_connected, 5)
    await asyncio.sleep(POLL / 2)
    polls = coordinator.health.polls
    await asyncio.sleep(10 * POLL)
    assert coordinator.health.polls - polls == 10
