"""Connections fail and are lost on purpose."""

from __future__ import annotations

import asyncio

from bleak import BleakClient
from bleak.exc import BleakError, BleakGATTProtocolError
import pytest

from .session import (
    ADDRESS,
    CHUNKS,
    NOTIFY,
    STATUS,
    WRITE,
    CannedBattery,
    Session,
    open_session,
)
from simulator.adapter import VirtualAdapter
from simulator.clock import FastClock
from simulator.faults import FOREVER, ConnectionFaults
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment


@pytest.mark.parametrize("fault", ["disconnect_on_connect", "refuse_connection"])
async def test_failed_connection_is_tried_again(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fault: str,
) -> None:
    """bleak_retry_connector sees an error it knows."""
    setattr(peripheral.faults, fault, 2)
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]
    assert peripheral.connections == (3 if fault == "disconnect_on_connect" else 1)
    assert list(adapter.connections) == [ADDRESS]


async def test_battery_that_refuses_for_good_is_given_up(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """With an error, and no slot taken."""
    peripheral.faults.refuse_connection = FOREVER
    with pytest.raises(BleakError):
        await bluetooth_env.connect(ADDRESS, max_attempts=2)
    assert not adapter.connections


async def test_refused_subscription_is_att_error(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The connection stays, the next attempt works."""
    session = Session(await bluetooth_env.connect(ADDRESS))
    peripheral.faults.refuse_subscription = 1
    with pytest.raises(BleakGATTProtocolError):
        await session.subscribe()
    await session.subscribe()
    assert await session.ask() == [STATUS]


async def test_connection_lost_on_subscribing_is_bleak_error(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """Not a cancellation."""
    session = Session(await bluetooth_env.connect(ADDRESS))
    peripheral.faults.disconnect_on_subscribe = 1
    with pytest.raises(BleakError, match="ESP_GATT_CONN_TIMEOUT"):
        await session.subscribe()
    assert not session.client.is_connected
    assert not adapter.connections


@pytest.mark.parametrize(
    ("fault", "chunk_size", "expected"),
    [
        ("disconnect_on_write", None, []),
        ("disconnect_in_reply", None, [STATUS[:44]]),
        ("disconnect_in_reply", 20, CHUNKS[:2]),
    ],
)
async def test_connection_lost_around_reply_leaves_it_incomplete(  # noqa: PLR0917
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fault: str,
    chunk_size: int | None,
    expected: list[bytes],
) -> None:
    """The request was applied, the reply is missing or incomplete."""
    lost: list[BleakClient] = []
    session = Session(
        await bluetooth_env.connect(ADDRESS, disconnected_callback=lost.append)
    )
    await session.subscribe()
    peripheral.faults = ConnectionFaults(chunk_size=chunk_size)
    setattr(peripheral.faults, fault, 1)
    assert await session.ask() == expected
    assert battery.frames == [b"?"]
    assert lost == [session.client]
    assert not adapter.connections


async def test_connection_lost_during_request_is_bleak_error(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The caller is not cancelled, and can connect again."""
    client = await bluetooth_env.connect(ADDRESS)
    bluetooth_env.medium.lose = lambda _sender, _data: True
    asyncio.get_running_loop().call_later(3, peripheral.drop_connection)
    with pytest.raises(BleakError, match="ESP_GATT_CONN_TIMEOUT"):
        await client.read_gatt_char(NOTIFY)
    with pytest.raises(BleakError):
        await client.write_gatt_char(WRITE, b"?", response=False)
    await client.disconnect()

    bluetooth_env.medium.lose = None
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]
    assert peripheral.connections == 2


async def test_power_cycle_ends_connection_and_renames(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fast_clock: FastClock,
) -> None:
    """While off, it does not advertise; when on again, the battery has its new name."""
    session = await open_session(bluetooth_env)
    switched_off = fast_clock.now
    await peripheral.power_cycle(off_for=30)
    assert fast_clock.now == pytest.approx(switched_off + 30, abs=0.1)
    assert not session.client.is_connected
    assert battery.power_cycles == 1
    info = await bluetooth_env.heard(ADDRESS, after=switched_off)
    assert info.time >= switched_off + 30
    assert info.name == "Starboard house bank 2"
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]
