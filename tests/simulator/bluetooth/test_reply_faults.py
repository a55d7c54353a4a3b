"""Replies are lost, cut, merged, delayed and corrupted on purpose."""

from __future__ import annotations

import pytest

from .session import CHUNKS, SHORT, STATUS, CannedBattery, open_session
from simulator.adapter import VirtualAdapter
from simulator.faults import FOREVER, ConnectionFaults
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (ConnectionFaults(drop=1), []),
        (
            ConnectionFaults(corrupt=1),
            [STATUS[:43] + bytes([STATUS[43] ^ 0xFF]) + STATUS[44:]],
        ),
        (ConnectionFaults(truncate=1), [STATUS[:43]]),
        (ConnectionFaults(lead=1, junk=b"\xaa"), [b"\xaa" + STATUS]),
        (ConnectionFaults(chunk_size=20), CHUNKS),
        (ConnectionFaults(lose_chunk=1), CHUNKS[:2] + CHUNKS[3:]),
        (ConnectionFaults(duplicate=1), [STATUS, STATUS]),
        (ConnectionFaults(chunk_size=20, duplicate=1), CHUNKS + CHUNKS),
    ],
    ids=lambda value: repr(value) if isinstance(value, ConnectionFaults) else "",
)
async def test_reply_is_damaged_once(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    faults: ConnectionFaults,
    expected: list[bytes],
) -> None:
    """A counted fault strikes as often as asked, and no more."""
    session = await open_session(bluetooth_env)
    peripheral.faults = faults
    assert await session.ask() == expected
    faults.chunk_size = None
    assert await session.ask() == [STATUS]


async def test_two_replies_can_share_notification(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
) -> None:
    """The battery holds one back."""
    session = await open_session(bluetooth_env)
    battery.reply = SHORT
    peripheral.faults.merge = 1
    assert await session.ask() == []
    assert await session.ask() == [SHORT + SHORT]
    assert await session.ask() == [SHORT]


async def test_late_reply_is_overtaken(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
) -> None:
    """It arrives when another request is waiting."""
    session = await open_session(bluetooth_env)
    peripheral.faults.late = 1
    peripheral.faults.late_by = 5
    assert await session.ask(seconds=4) == []
    battery.reply = SHORT
    assert await session.ask(seconds=4) == [SHORT, STATUS]


async def test_silent_connection_stays_connected(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
) -> None:
    """Until the faults are cleared."""
    session = await open_session(bluetooth_env)
    peripheral.faults.drop = FOREVER
    for _ in range(10):
        assert await session.ask(seconds=10) == []
    assert session.client.is_connected
    assert len(battery.frames) == 10
    peripheral.faults.clear()
    assert await session.ask() == [STATUS]


async def test_air_can_lose_packets(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
) -> None:
    """A lost write command never reaches the battery."""
    session = await open_session(bluetooth_env)
    bluetooth_env.medium.lose = lambda sender, _data: sender is adapter.radio
    assert await session.ask() == []
    assert not battery.frames
    bluetooth_env.medium.lose = None
    assert await session.ask() == [STATUS]
