"""One operation of a battery at a time; no radio."""

from __future__ import annotations

import asyncio

from custom_components.voltgo_vlrv.battery.operations import Operation, OperationLock


async def test_operations_wait_for_each_other() -> None:
    """One is running, the others are wanted."""
    lock = OperationLock()
    order: list[str] = []
    release = asyncio.Event()

    async def change() -> None:
        async with lock.hold(Operation.CHANGE):
            order.append("change")
            await release.wait()

    async def firmware() -> None:
        async with lock.hold(Operation.FIRMWARE):
            order.append("firmware")
            assert lock.is_running(Operation.FIRMWARE)

    tasks = [asyncio.create_task(change()), asyncio.create_task(firmware())]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["change"]
    assert lock.is_running(Operation.CHANGE)
    assert lock.is_wanted(Operation.FIRMWARE)
    assert not lock.is_running(Operation.FIRMWARE)
    assert not lock.is_wanted(Operation.METADATA)
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["change", "firmware"]
    assert not any(lock.is_wanted(operation) for operation in Operation)


async def test_operation_that_is_cancelled_while_it_waits_is_not_wanted() -> None:
    """Otherwise every later change would be refused."""
    lock = OperationLock()

    async def change() -> None:
        async with lock.hold(Operation.CHANGE):
            pass

    async with lock.hold(Operation.METADATA):
        waiting = asyncio.create_task(change())
        await asyncio.sleep(0)
        assert lock.is_wanted(Operation.CHANGE)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not lock.is_wanted(Operation.CHANGE)
        assert lock.is_running(Operation.METADATA)
    assert not lock.is_running(Operation.METADATA)
