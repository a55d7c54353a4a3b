"""Connection slots and the service cache of the simulated adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import gc
import weakref

from bleak import BleakClient
from bleak_retry_connector import (
    BleakConnectionError,
    BleakNotFoundError,
    BleakOutOfConnectionSlotsError,
)
from bumble import hci
import pytest

from .session import ADDRESS, OTHER_ADDRESS, STATUS, CannedBattery, open_session
from simulator.adapter import VirtualAdapter
from simulator.clock import FastClock
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment


async def test_connection_without_a_free_slot_has_its_own_error(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """Home Assistant and bleak_retry_connector recognise what proxies say."""
    await bluetooth_env.add_battery(CannedBattery())
    await bluetooth_env.add_battery(CannedBattery("ZT-other", OTHER_ADDRESS))
    adapter = await bluetooth_env.add_adapter(slots=1)
    first = await bluetooth_env.connect(ADDRESS)
    assert adapter.scanner.get_allocations().free == 0
    with pytest.raises(BleakOutOfConnectionSlotsError):
        await bluetooth_env.connect(OTHER_ADDRESS, max_attempts=1)
    await first.disconnect()
    second = await bluetooth_env.connect(OTHER_ADDRESS)
    await second.disconnect()

    adapter.faults.out_of_slots = True
    with pytest.raises(BleakOutOfConnectionSlotsError):
        await bluetooth_env.connect(ADDRESS, max_attempts=1)
    assert adapter.scanner.get_allocations().allocated == []


async def test_services_are_remembered_until_cleared(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """A second connection costs fewer packets than the first."""
    packets: list[bytes] = []

    def count(_sender: object, data: bytes) -> bool:
        packets.append(data)
        return False

    bluetooth_env.medium.lose = count
    costs = []
    for clear in (False, True, False):
        packets.clear()
        client = await bluetooth_env.connect(ADDRESS)
        costs.append(len(packets))
        if clear:
            await client.clear_cache()
        await client.disconnect()
    first, cached, cleared = costs
    assert cached <= 2 < first == cleared


async def test_connection_timeout_leaves_nothing_behind(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fast_clock: FastClock,
) -> None:
    """A battery that has gone quiet costs 20 s per attempt and no slot."""
    await bluetooth_env.heard(ADDRESS)
    await peripheral.silence()
    started = fast_clock.now
    with pytest.raises(BleakNotFoundError):
        await bluetooth_env.connect(ADDRESS, max_attempts=2)
    assert 40 <= fast_clock.now - started < 50
    assert not adapter.connections
    assert adapter.radio.pending_le_connection is None
    await peripheral.advertise()
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_connection_cancelled_before_it_is_established_leaves_nothing(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    turns: int,
) -> None:
    """After some turns of the event loop; the battery is not there."""
    await bluetooth_env.heard(ADDRESS)
    await peripheral.silence()
    task = asyncio.create_task(bluetooth_env.connect(ADDRESS))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not adapter.connections
    assert adapter.radio.pending_le_connection is None
    await peripheral.advertise()
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


async def test_connection_cancelled_while_services_are_discovered_leaves_nothing(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """At any packet."""
    await bluetooth_env.heard(ADDRESS)
    for packets in range(1, 28, 3):  # of some 30
        task = asyncio.create_task(bluetooth_env.connect(ADDRESS))
        bluetooth_env.medium.lose = _cancel_at(packets, task)
        with pytest.raises(asyncio.CancelledError):
            await task
        bluetooth_env.medium.lose = None
        await asyncio.sleep(0.1)
        assert not adapter.connections
        assert not peripheral.is_connected
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


async def test_adapter_that_is_unplugged_while_it_connects_holds_no_battery(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral
) -> None:
    """The battery sees a timeout, whatever the adapter knew by then."""
    for turns in range(0, 40, 3):
        await bluetooth_env.add_adapter()
        await bluetooth_env.heard(ADDRESS, after=asyncio.get_running_loop().time())
        linked = asyncio.Event()
        assert peripheral._device is not None
        peripheral._device.once("connection", lambda _link, now=linked: now.set())
        connecting = asyncio.create_task(bluetooth_env.connect(ADDRESS))
        await linked.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        await bluetooth_env.remove_adapter()
        await asyncio.sleep(1)
        assert not peripheral.is_connected
        connecting.cancel()
        await asyncio.wait({connecting})
    await bluetooth_env.add_adapter()
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


@pytest.mark.usefixtures("adapter", "peripheral")
async def test_adapter_that_remembers_services_forgets_who_used_them(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """Otherwise memory would grow with each connection."""
    session = await open_session(bluetooth_env)
    forgotten = weakref.ref(session)
    await session.client.disconnect()
    await asyncio.sleep(1)
    del session
    gc.collect()
    assert forgotten() is None


async def test_connection_made_after_its_task_ended_is_closed(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The task that connects dies without telling the controller, as at shutdown."""
    await bluetooth_env.heard(ADDRESS)
    await peripheral.silence()
    attempt = asyncio.create_task(
        adapter.device.connect(hci.Address(f"{ADDRESS}/P"), timeout=None)
    )
    await asyncio.sleep(1)
    attempt.cancel()
    await peripheral.advertise()
    await asyncio.sleep(2)
    assert adapter.radio.pending_le_connection is None
    assert not peripheral.is_connected
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


def _cancel_at(
    packets: int, task: asyncio.Task[BleakClient]
) -> Callable[[object, bytes], bool]:
    countdown = iter(range(packets - 1, -1, -1))

    def lose(_sender: object, _data: bytes) -> bool:
        if next(countdown, None) == 0:
            task.cancel()
        return False

    return lose


async def test_battery_that_stops_answering_while_connecting_times_out(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The connection is established, the services never arrive."""
    await bluetooth_env.heard(ADDRESS)
    bluetooth_env.medium.lose = lambda _sender, _data: True
    with pytest.raises((BleakNotFoundError, BleakConnectionError)):
        await bluetooth_env.connect(ADDRESS, max_attempts=1)
    await asyncio.sleep(1)
    assert not adapter.connections
    assert not peripheral.is_connected
