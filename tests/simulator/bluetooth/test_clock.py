"""Simulated time advances only when there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
import time
from typing import Any

import bluetooth_data_tools
import pytest

from homeassistant import config_entries
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from simulator import clock as simulated
from simulator.clock import FastClock


async def test_clock_jumps_once_for_each_timer(
    fast_clock: FastClock,
) -> None:
    """Sixty seconds are one jump, and timers fire in their order."""
    fired: list[str] = []
    loop = asyncio.get_running_loop()
    loop.call_later(30, fired.append, "second")
    loop.call_later(10, fired.append, "first")
    jumps, started = fast_clock.jumps, fast_clock.now
    await asyncio.sleep(60)
    assert fired == ["first", "second"]
    assert fast_clock.jumps - jumps == 3
    assert fast_clock.now - started == pytest.approx(60)


async def test_clock_stands_still_while_there_is_work(fast_clock: FastClock) -> None:
    """A slow machine is no different from a fast one."""
    started = asyncio.get_running_loop().time()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() == started


async def test_clocks_of_all_kinds_agree(
    hass: HomeAssistant, fast_clock: FastClock
) -> None:
    """Wall clock, monotonic clocks and Home Assistant's timers move together."""
    begin = dt_util.utcnow()
    fired: list[timedelta] = []

    @callback
    def on_time(now: object) -> None:
        fired.append(dt_util.utcnow() - begin)

    async_track_point_in_utc_time(hass, on_time, begin + timedelta(hours=1))
    before = (
        time.time(),
        time.monotonic(),
        bluetooth_data_tools.monotonic_time_coarse(),
    )
    await asyncio.sleep(7200)
    after = (
        time.time(),
        time.monotonic(),
        bluetooth_data_tools.monotonic_time_coarse(),
    )
    assert [
        late - early for early, late in zip(before, after, strict=True)
    ] == pytest.approx([7200, 7200, 7200])
    assert dt_util.utcnow() - begin == timedelta(hours=2)
    assert dt_util.now().timestamp() == pytest.approx(time.time(), abs=1e-5)
    assert len(fired) == 1
    assert timedelta(0) <= fired[0] - timedelta(hours=1) < timedelta(seconds=1)


async def test_executor_job_is_waited_for(fast_clock: FastClock) -> None:
    """No timer overtakes work in a thread."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(1):
        assert await loop.run_in_executor(None, lambda: time.sleep(0.05) or "done")
    assert fast_clock.elapsed < 1
    with fast_clock.hold():
        begin = time.perf_counter()
        await asyncio.sleep(0.05)
        assert time.perf_counter() - begin >= 0.04


async def test_clock_stands_still_for_a_job(fast_clock: FastClock) -> None:
    """So that what comes next does not depend on how slow the machine is."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await loop.run_in_executor(None, lambda: time.sleep(0.05))
    assert loop.time() == begin


async def test_job_may_wait_for_loop(
    fast_clock: FastClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then time goes on at its real speed after a while."""
    monkeypatch.setattr(simulated, "STILL", 0.05)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    sleep = asyncio.sleep(0.1, "slept")
    assert (
        await loop.run_in_executor(
            None, lambda: asyncio.run_coroutine_threadsafe(sleep, loop).result()
        )
        == "slept"
    )
    assert loop.time() - begin >= 0.1


async def test_clock_can_be_started_at_date() -> None:
    """The loop's time then is the same each time, too, but for whole days."""
    start = datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)
    with FastClock(start=start) as clock:
        assert dt_util.utcnow() == start
        assert time.time() == start.timestamp()
        assert asyncio.get_running_loop().time() % 86_400 == pytest.approx(
            4 * 3600 + 5 * 60 + 6
        )
        assert clock.elapsed == 0
    assert dt_util.utcnow() != start


async def test_clock_restores_the_real_functions() -> None:
    """After that, the real functions are in place and the loop has not gone back."""
    loop = asyncio.get_running_loop()
    real = (time.time, time.monotonic, dt_util.utcnow, dt_util.now)
    with FastClock() as clock:
        assert time.monotonic is not real[1]
        with pytest.raises(RuntimeError):
            FastClock().install()
        await asyncio.sleep(100)
        end = clock.now
    assert (time.time, time.monotonic, dt_util.utcnow, dt_util.now) == real
    assert loop.time() >= end
    await asyncio.sleep(0.01)


async def test_clock_after_a_patch_that_ended_late_is_followed_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Undone after the clock, it puts the clock's function in place of the real one."""
    with FastClock():
        left_behind = dt_util.utcnow
    monkeypatch.setattr(dt_util, "utcnow", left_behind)
    start = datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)
    with FastClock(start=start):
        assert dt_util.utcnow() == config_entries.utcnow() == start


async def _wait_for_nothing() -> None:
    while True:  # noqa: ASYNC110
        await asyncio.sleep(60)


async def _spin() -> None:
    end = asyncio.get_running_loop().time() + 1
    while asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("work", [_wait_for_nothing, _spin])
def test_clock_fails_a_test_that_would_hang(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Without the limits the loop would run for ever."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work())
    with FastClock(loop, limit=3600), pytest.raises(RuntimeError):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
