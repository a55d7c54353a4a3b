"""A connection to a simulated battery behaves as recorded."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from bleak_retry_connector import BleakNotFoundError
import pytest

from .session import (
    ADDRESS,
    NOTIFY,
    SECOND_PROXY,
    STATUS,
    WRITE,
    CannedBattery,
    open_session,
    uuid,
)
from simulator.adapter import VirtualAdapter
from simulator.clock import FastClock
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment


async def test_status_reply_arrives_whole(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """87 bytes fit the battery's MTU of 160."""
    session = await open_session(bluetooth_env)
    characteristic = session.client.services.get_characteristic(WRITE)
    assert characteristic is not None
    assert characteristic.max_write_without_response_size == 160 - 3
    with pytest.warns(UserWarning, match="default MTU"):
        assert session.client.mtu_size == 23
    assert await session.ask() == [STATUS]
    assert [(write.data, write.applied) for write in peripheral.writes] == [
        (b"?", True)
    ]
    assert [sent.data for sent in peripheral.notifications] == [STATUS]


async def test_small_mtu_splits_reply(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery
) -> None:
    """At the default MTU of 23 a notification holds 20 bytes."""
    await bluetooth_env.add_battery(battery, max_mtu=23)
    await bluetooth_env.add_adapter()
    session = await open_session(bluetooth_env)
    received = await session.ask()
    assert [len(data) for data in received] == [20, 20, 20, 20, 7]
    assert b"".join(received) == STATUS


async def test_replies_take_their_time(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery, fast_clock: FastClock
) -> None:
    """The latency lies between the write and the notification."""
    peripheral = await bluetooth_env.add_battery(battery, reply_latency=0.12)
    await bluetooth_env.add_adapter()
    session = await open_session(bluetooth_env)
    assert await session.ask() == [STATUS]
    spent = peripheral.notifications[-1].time - peripheral.writes[-1].time
    assert spent == pytest.approx(0.12)


async def test_connection_interval_spaces_notifications(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery
) -> None:
    """Data moves at connection events only, a few packets in each."""
    bluetooth_env.medium.connection_interval = 0.03
    bluetooth_env.medium.packets_per_event = 2
    await bluetooth_env.add_battery(battery, max_mtu=23)
    await bluetooth_env.add_adapter()
    client = await bluetooth_env.connect(ADDRESS)
    loop = asyncio.get_running_loop()
    arrived: list[float] = []
    await client.start_notify(NOTIFY, lambda _char, _data: arrived.append(loop.time()))
    await client.write_gatt_char(WRITE, b"?", response=False)
    await asyncio.sleep(1)
    gaps = [later - earlier for earlier, later in pairwise(arrived)]
    assert gaps == pytest.approx([0, 0.03, 0, 0.03])


async def test_battery_can_be_read(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The notify characteristic is a buffer, the other echoes; a silent one exists."""
    session = await open_session(bluetooth_env)
    await session.ask(b"last")
    assert len(await session.client.read_gatt_char(NOTIFY)) == 200
    assert await session.client.read_gatt_char(WRITE) == b"last"
    assert session.client.services.get_service(uuid(0xFA00)) is not None


async def test_battery_accepts_one_connection_and_hides(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fast_clock: FastClock,
) -> None:
    """While connected it neither advertises nor accepts another connection."""
    second = await bluetooth_env.add_adapter(SECOND_PROXY)
    await bluetooth_env.heard(ADDRESS)
    client = await bluetooth_env.connect(ADDRESS)
    assert peripheral.is_connected
    assert not peripheral.is_advertising
    connected_at = fast_clock.now
    with pytest.raises(BleakNotFoundError):
        await bluetooth_env.connect(ADDRESS, max_attempts=1)
    assert peripheral.connections == 1
    seen = bluetooth_env.last_heard(ADDRESS)
    assert seen is not None
    assert seen.time <= connected_at

    await client.disconnect()
    assert (await bluetooth_env.heard(ADDRESS, after=connected_at)).time > connected_at
    assert not adapter.connections
    assert not second.connections


async def test_phone_that_is_connected_excludes_others(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The vendor's app keeps the connection until it is closed."""
    await bluetooth_env.heard(ADDRESS)
    await peripheral.occupy()
    assert not peripheral.is_advertising
    with pytest.raises(BleakNotFoundError):
        await bluetooth_env.connect(ADDRESS, max_attempts=1)
    await peripheral.vacate()
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


async def test_writes_in_quick_succession_are_lost(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
) -> None:
    """A write within 10 ms of the one before is not applied."""
    session = await open_session(bluetooth_env)
    for frame in (b"1", b"2", b"3"):
        await session.client.write_gatt_char(WRITE, frame, response=False)
    await asyncio.sleep(0.009)
    await session.client.write_gatt_char(WRITE, b"4", response=False)
    await asyncio.sleep(0.010)
    await session.client.write_gatt_char(WRITE, b"5", response=False)
    await asyncio.sleep(1)
    assert [write.applied for write in peripheral.writes] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert battery.frames == [b"1", b"5"]
    assert session.received == [STATUS, STATUS]
