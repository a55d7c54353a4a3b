"""In which order discovered devices are probed, and what a flood of them costs."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from custom_components.voltgo_vlrv.discovery_queue import (
    FLOOD,
    MAX_WAITING,
    DiscoveryQueue,
    FailuresInARow,
)
from custom_components.voltgo_vlrv.vlrv.errors import NotReachableError
from simulator.clock import FastClock


async def probe(queue: DiscoveryQueue) -> None:
    """Probe a device that never failed, for a second."""
    async with queue.take(0):
        await asyncio.sleep(1)


async def probe_all(queue: DiscoveryQueue, failures: list[int]) -> list[int]:
    """Probe devices with so many failures, each for a second; return their order.

    Those for which the queue is too long are left out.
    """
    order = []

    async def take(number: int) -> None:
        with suppress(NotReachableError):
            async with queue.take(failures[number]):
                order.append(number)
                await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        for number in range(len(failures)):
            group.create_task(take(number))
            await asyncio.sleep(0)
    return order


async def test_queue_takes_who_failed_least_and_came_last(
    fast_clock: FastClock,
) -> None:
    """The first one is being probed while the others come."""
    queue = DiscoveryQueue(asyncio.get_running_loop())
    assert await probe_all(queue, [5, 0, 0, 1, 0]) == [0, 4, 2, 1, 3]


async def test_queue_with_a_new_battery_among_ghosts_takes_it_next(
    fast_clock: FastClock,
) -> None:
    """Five hundred that advertise and accept no connection were two hours ahead of it."""
    queue = DiscoveryQueue(asyncio.get_running_loop())
    order = await probe_all(queue, [0] * 500)
    assert order.index(499) == 1
    # The first is being probed; of the others the last ones are left.
    assert order == [0, *range(499, 499 - MAX_WAITING, -1)]


async def test_queue_that_is_full_sends_away_who_failed_most(
    fast_clock: FastClock,
) -> None:
    """A device that appears again does not displace a new one."""
    queue = DiscoveryQueue(asyncio.get_running_loop())
    order = await probe_all(queue, [0, *range(MAX_WAITING), MAX_WAITING])
    assert order == list(range(MAX_WAITING + 1))
    order = await probe_all(queue, [0, *range(MAX_WAITING), 0])
    assert order == [0, MAX_WAITING + 1, *range(1, MAX_WAITING)]


async def test_queue_goes_on_after_flows_that_are_canceled_at_once(
    fast_clock: FastClock,
) -> None:
    """The one that is probed notices first, and the next has been canceled, too."""
    queue = DiscoveryQueue(asyncio.get_running_loop())
    tasks = [asyncio.ensure_future(probe(queue)) for _ in range(3)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        await probe(queue)


async def test_queue_goes_on_after_a_flow_that_is_sent_away_and_canceled(
    fast_clock: FastClock,
) -> None:
    """Its turn had not come, so no other takes it."""
    queue = DiscoveryQueue(asyncio.get_running_loop())
    active: list[int] = []

    async def take(number: int) -> None:
        async with queue.take(0):
            active.append(number)
            await asyncio.sleep(1)
            assert active.pop() == number

    tasks = [asyncio.ensure_future(take(each)) for each in range(MAX_WAITING + 1)]
    await asyncio.sleep(0.5)
    tasks.append(asyncio.ensure_future(take(len(tasks))))
    await asyncio.sleep(0)  # the second one is sent away
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results if each is not None] == [
        asyncio.CancelledError
    ]


async def test_queue_in_a_flood_uses_half_of_the_time(fast_clock: FastClock) -> None:
    """The batteries that were added need the radio, too."""
    loop = asyncio.get_running_loop()
    queue = DiscoveryQueue(loop)
    for number in range(FLOOD):
        queue.failures.add(str(number))
    started = loop.time()
    await probe_all(queue, [0] * 10)
    assert loop.time() - started == pytest.approx(19, abs=0.1)


async def test_queue_goes_on_after_a_flow_that_is_canceled_at_its_turn(
    fast_clock: FastClock,
) -> None:
    """While it waits, and at the moment of its turn."""
    queue = DiscoveryQueue(asyncio.get_running_loop())
    tasks = [asyncio.ensure_future(probe(queue)) for _ in range(3)]
    await asyncio.sleep(0.5)
    tasks[1].cancel()
    tasks[0].cancel()
    await asyncio.sleep(0)  # the turn is given to the third one
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        await probe(queue)


def test_failures_of_one_device_are_no_flood() -> None:
    """A battery that the phone app holds fails again and again."""
    failures = FailuresInARow()
    for _ in range(100):
        failures.add("A4:C1:37:00:00:01")
    assert not failures.is_flood
    for number in range(FLOOD):
        failures.add(str(number))
    assert failures.is_flood
    failures.clear()
    assert not failures.is_flood
