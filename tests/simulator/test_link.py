"""The virtual battery, seen through Home Assistant's Bluetooth stack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
import gc
from itertools import pairwise
import time
from typing import Any
import weakref

from bleak import BleakClient
from bleak.exc import BleakError, BleakGATTProtocolError
from bleak_retry_connector import (
    BleakConnectionError,
    BleakNotFoundError,
    BleakOutOfConnectionSlotsError,
)
import bluetooth_data_tools
from bumble import hci
import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from simulator import clock as simulated
from simulator.adapter import VirtualAdapter
from simulator.clock import FastClock
from simulator.faults import FOREVER, LinkFaults
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment

ADDRESS = "A4:C1:37:00:00:01"
OTHER_ADDRESS = "A4:C1:37:00:00:02"
OLD_ADDRESS = "80:6F:B0:15:5E:71"
FOREIGN_ADDRESS = "A4:C1:38:00:00:01"
SECOND_PROXY = "02:00:00:00:00:02"
NAME = "ZT-25.6V100Ah-1238"

STATUS = bytes(range(87))
SHORT = b"\x10\x07\x01\x00\xb4\xb5"


def uuid(short: int) -> str:
    """Return the long form of a 16-bit UUID."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


NOTIFY = uuid(0x1007)
WRITE = uuid(0x1008)


class CannedBattery:
    """Answers everything with the same bytes."""

    def __init__(
        self, name: str = NAME, address: str = ADDRESS, generation: int = 2
    ) -> None:
        """Answer with a status reply."""
        self.name = name
        self.address = address
        self.generation = generation
        self.reply: bytes | None = STATUS
        self.frames: list[bytes] = []
        self.power_cycles = 0

    def handle(self, frame: bytes) -> bytes | None:
        """Answer."""
        self.frames.append(frame)
        return self.reply

    def power_cycle(self) -> None:
        """Come back with another name."""
        self.power_cycles += 1
        self.name = "Starboard house bank 2"


class Session:
    """A subscribed client and what it has received."""

    def __init__(self, client: BleakClient) -> None:
        """Wrap a connected client."""
        self.client = client
        self.received: list[bytes] = []

    async def subscribe(self) -> None:
        """Enable notifications."""
        await self.client.start_notify(
            NOTIFY, lambda _char, data: self.received.append(bytes(data))
        )

    async def ask(self, frame: bytes = b"?", seconds: float = 1.0) -> list[bytes]:
        """Write a frame and return what arrives within some seconds."""
        self.received.clear()
        await self.client.write_gatt_char(WRITE, frame, response=False)
        await asyncio.sleep(seconds)
        return list(self.received)


async def open_session(
    bluetooth_env: BluetoothEnvironment, address: str = ADDRESS
) -> Session:
    """Connect and subscribe."""
    session = Session(await bluetooth_env.connect(address))
    await session.subscribe()
    return session


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations() -> None:
    """Load no integration that would talk to the batteries itself."""


@pytest.fixture
def battery() -> CannedBattery:
    """Return the battery behind `peripheral`."""
    return CannedBattery()


@pytest.fixture
async def peripheral(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery
) -> Peripheral:
    """Put a second generation battery on the air."""
    return await bluetooth_env.add_battery(battery)


@pytest.fixture
async def adapter(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral
) -> VirtualAdapter:
    """Give Home Assistant an adapter that hears the battery."""
    return await bluetooth_env.add_adapter()


# Discovery


async def test_a_battery_is_discovered_with_its_name(
    bluetooth_env: BluetoothEnvironment, adapter: VirtualAdapter
) -> None:
    """The advertisement carries name and service, from a public address."""
    info = await bluetooth_env.heard(ADDRESS)
    assert info.name == NAME
    assert info.service_uuids == [uuid(0xFF00)]
    assert info.connectable
    assert info.rssi == -60
    assert info.source == adapter.source


@pytest.mark.parametrize(
    ("mode", "name"), [("active", NAME), ("passive", ADDRESS), ("auto", ADDRESS)]
)
async def test_a_name_in_the_scan_response_needs_an_active_scan(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery, mode: str, name: str
) -> None:
    """Passive scanning never asks for the scan response."""
    await bluetooth_env.add_battery(battery, name_in_scan_response=True)
    await bluetooth_env.add_adapter(mode=mode)
    await asyncio.sleep(2)
    info = await bluetooth_env.heard(ADDRESS)
    assert info.name == name
    assert info.service_uuids == [uuid(0xFF00)]


async def test_automatic_scanning_learns_the_name_in_an_active_window(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, battery: CannedBattery
) -> None:
    """An adapter in automatic mode scans actively on demand."""
    await bluetooth_env.add_battery(battery, name_in_scan_response=True)
    await bluetooth_env.add_adapter(mode="auto")
    await bluetooth.async_request_active_scan(hass, 2)
    assert (await bluetooth_env.heard(ADDRESS)).name == NAME


async def test_a_long_name_moves_to_the_scan_response(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """A legacy advertisement holds 31 bytes."""
    name = "ZT-25.6V100Ah-1238-house-bank"
    await bluetooth_env.add_battery(CannedBattery(name))
    await bluetooth_env.add_adapter()
    await asyncio.sleep(2)
    assert (await bluetooth_env.heard(ADDRESS)).name == name


async def test_a_first_generation_battery_looks_different(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """Its address is its manufacturer data; replies come in 75 bytes at most."""
    battery = CannedBattery("Z121000001", OLD_ADDRESS, generation=1)
    peripheral = await bluetooth_env.add_battery(battery)
    await bluetooth_env.add_adapter()
    info = await bluetooth_env.heard(OLD_ADDRESS)
    assert info.name == "Z121000001"
    assert info.service_uuids == [uuid(0x1000)]
    assert info.manufacturer_data == {0x6F80: bytes.fromhex("b0155e71")}

    client = await bluetooth_env.connect(OLD_ADDRESS)
    write = client.services.get_characteristic(uuid(0x1001))
    assert write is not None
    assert "write-without-response" in write.properties
    assert "write" not in write.properties
    await client.start_notify(uuid(0x1002), lambda _char, _data: None)
    await client.write_gatt_char(write, b"?", response=False)
    await asyncio.sleep(1)
    assert [len(sent.data) for sent in peripheral.notifications] == [75, 12]


async def test_a_foreign_pack_advertises_alike_but_has_other_services(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """0xFF00 proves nothing, neither does a name; the services do."""
    battery = CannedBattery("ZT-lookalike", FOREIGN_ADDRESS)
    peripheral = await bluetooth_env.add_battery(battery, profile="jbd")
    await bluetooth_env.add_adapter()
    assert (await bluetooth_env.heard(FOREIGN_ADDRESS)).service_uuids == [uuid(0xFF00)]
    client = await bluetooth_env.connect(FOREIGN_ADDRESS)
    assert client.services.get_service(uuid(0x1006)) is None
    await client.start_notify(uuid(0xFF01), lambda _char, _data: None)
    await client.write_gatt_char(uuid(0xFF02), b"?", response=False)
    await asyncio.sleep(5)
    assert not peripheral.notifications
    assert not battery.frames


async def test_the_best_heard_adapter_connects(
    bluetooth_env: BluetoothEnvironment, adapter: VirtualAdapter
) -> None:
    """Home Assistant takes the strongest path; out of range there is none."""
    second = await bluetooth_env.add_adapter(SECOND_PROXY)
    adapter.radio.rssi[ADDRESS] = -85
    second.radio.rssi[ADDRESS] = -50
    await asyncio.sleep(60)
    client = await bluetooth_env.connect(ADDRESS)
    assert (list(adapter.links), list(second.links)) == ([], [ADDRESS])
    await client.disconnect()

    second.radio.rssi[ADDRESS] = None
    await asyncio.sleep(600)
    info = await bluetooth_env.heard(ADDRESS)
    assert (info.source, info.rssi) == (adapter.source, -85)
    await bluetooth_env.connect(ADDRESS)
    assert (list(adapter.links), list(second.links)) == ([ADDRESS], [])


async def test_a_silent_battery_is_forgotten_in_time(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """Home Assistant's own ageing runs on the simulated clock."""
    await bluetooth_env.heard(ADDRESS)
    await peripheral.silence()
    assert not peripheral.is_advertising
    await asyncio.sleep(60)
    assert bluetooth_env.last_heard(ADDRESS) is not None
    await asyncio.sleep(1200)
    assert bluetooth_env.last_heard(ADDRESS) is None
    await peripheral.advertise()
    assert await bluetooth_env.heard(ADDRESS)


# One link


async def test_a_status_reply_arrives_whole(
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


async def test_a_small_mtu_splits_a_reply(
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


async def test_a_connection_interval_spaces_notifications(
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


async def test_the_battery_can_be_read(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The notify characteristic is a buffer, the other echoes; a silent one exists."""
    session = await open_session(bluetooth_env)
    await session.ask(b"last")
    assert len(await session.client.read_gatt_char(NOTIFY)) == 200
    assert await session.client.read_gatt_char(WRITE) == b"last"
    assert session.client.services.get_service(uuid(0xFA00)) is not None


async def test_the_battery_takes_one_connection_and_hides(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fast_clock: FastClock,
) -> None:
    """While connected it neither advertises nor lets anybody else in."""
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
    assert not adapter.links
    assert not second.links


async def test_a_phone_that_holds_the_link_locks_everybody_out(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The vendor's app wins until its owner closes it."""
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


# Faults of replies

CHUNKS = [STATUS[at : at + 20] for at in range(0, 87, 20)]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (LinkFaults(drop=1), []),
        (
            LinkFaults(corrupt=1),
            [STATUS[:43] + bytes([STATUS[43] ^ 0xFF]) + STATUS[44:]],
        ),
        (LinkFaults(truncate=1), [STATUS[:43]]),
        (LinkFaults(lead=1, junk=b"\xaa"), [b"\xaa" + STATUS]),
        (LinkFaults(chunk_size=20), CHUNKS),
        (LinkFaults(lose_chunk=1), CHUNKS[:2] + CHUNKS[3:]),
        (LinkFaults(duplicate=1), [STATUS, STATUS]),
        (LinkFaults(chunk_size=20, duplicate=1), CHUNKS + CHUNKS),
    ],
    ids=lambda value: repr(value) if isinstance(value, LinkFaults) else "",
)
async def test_a_reply_is_damaged_once(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    faults: LinkFaults,
    expected: list[bytes],
) -> None:
    """A counted fault strikes as often as asked, and no more."""
    session = await open_session(bluetooth_env)
    peripheral.faults = faults
    assert await session.ask() == expected
    faults.chunk_size = None
    assert await session.ask() == [STATUS]


async def test_two_replies_can_share_a_notification(
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


async def test_a_late_reply_is_overtaken(
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


async def test_a_silent_link_stays_connected(
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


async def test_the_air_can_lose_packets(
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


# Broken links


@pytest.mark.parametrize("fault", ["disconnect_on_connect", "refuse_connection"])
async def test_a_failed_connection_is_tried_again(
    bluetooth_env: BluetoothEnvironment,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fault: str,
) -> None:
    """bleak_retry_connector sees an error it knows."""
    setattr(peripheral.faults, fault, 2)
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]
    assert peripheral.connections == (3 if fault == "disconnect_on_connect" else 1)
    assert list(adapter.links) == [ADDRESS]


async def test_a_battery_that_refuses_for_good_is_given_up(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """With an error, and no slot taken."""
    peripheral.faults.refuse_connection = FOREVER
    with pytest.raises(BleakError):
        await bluetooth_env.connect(ADDRESS, max_attempts=2)
    assert not adapter.links


async def test_a_refused_subscription_is_an_att_error(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The link stays, the next attempt works."""
    session = Session(await bluetooth_env.connect(ADDRESS))
    peripheral.faults.refuse_subscription = 1
    with pytest.raises(BleakGATTProtocolError):
        await session.subscribe()
    await session.subscribe()
    assert await session.ask() == [STATUS]


async def test_a_link_lost_on_subscribing_is_a_bleak_error(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """Not a cancellation."""
    session = Session(await bluetooth_env.connect(ADDRESS))
    peripheral.faults.disconnect_on_subscribe = 1
    with pytest.raises(BleakError, match="ESP_GATT_CONN_TIMEOUT"):
        await session.subscribe()
    assert not session.client.is_connected
    assert not adapter.links


@pytest.mark.parametrize(
    ("fault", "chunk_size", "expected"),
    [
        ("disconnect_on_write", None, []),
        ("disconnect_in_reply", None, [STATUS[:44]]),
        ("disconnect_in_reply", 20, CHUNKS[:2]),
    ],
)
async def test_a_link_lost_around_a_reply(  # noqa: PLR0917
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
    peripheral.faults = LinkFaults(chunk_size=chunk_size)
    setattr(peripheral.faults, fault, 1)
    assert await session.ask() == expected
    assert battery.frames == [b"?"]
    assert lost == [session.client]
    assert not adapter.links


async def test_a_link_lost_during_a_request_is_a_bleak_error(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The caller is not cancelled, and can connect again."""
    client = await bluetooth_env.connect(ADDRESS)
    bluetooth_env.medium.lose = lambda _sender, _data: True
    asyncio.get_running_loop().call_later(3, peripheral.drop_link)
    with pytest.raises(BleakError, match="ESP_GATT_CONN_TIMEOUT"):
        await client.read_gatt_char(NOTIFY)
    with pytest.raises(BleakError):
        await client.write_gatt_char(WRITE, b"?", response=False)
    await client.disconnect()

    bluetooth_env.medium.lose = None
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]
    assert peripheral.connections == 2


async def test_a_power_cycle_breaks_the_link_and_renames(
    bluetooth_env: BluetoothEnvironment,
    battery: CannedBattery,
    peripheral: Peripheral,
    adapter: VirtualAdapter,
    fast_clock: FastClock,
) -> None:
    """Off, nothing is heard; on again, the battery has its new name."""
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


# Slots and services of the adapter


async def test_no_free_slot_is_told_apart(bluetooth_env: BluetoothEnvironment) -> None:
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


async def test_a_connection_timeout_leaves_nothing_behind(
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
    assert not adapter.links
    assert adapter.radio.pending_le_connection is None
    await peripheral.advertise()
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_a_connection_cancelled_before_the_link_is_up(
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
    assert not adapter.links
    assert adapter.radio.pending_le_connection is None
    await peripheral.advertise()
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


async def test_a_connection_cancelled_while_services_are_discovered(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """At whatever packet the caller gives up."""
    await bluetooth_env.heard(ADDRESS)
    for packets in range(1, 28, 3):  # of some 30
        task = asyncio.create_task(bluetooth_env.connect(ADDRESS))
        bluetooth_env.medium.lose = _cancel_at(packets, task)
        with pytest.raises(asyncio.CancelledError):
            await task
        bluetooth_env.medium.lose = None
        await asyncio.sleep(0.1)
        assert not adapter.links
        assert not peripheral.is_connected
    assert await (await open_session(bluetooth_env)).ask() == [STATUS]


async def test_an_adapter_that_is_unplugged_while_it_connects_holds_no_battery(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral
) -> None:
    """The battery notices that nobody is there, whatever the adapter knew by then."""
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
async def test_an_adapter_that_remembers_services_forgets_who_used_them(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """Else memory would grow with each link, and be blamed on its user."""
    session = await open_session(bluetooth_env)
    forgotten = weakref.ref(session)
    await session.client.disconnect()
    await asyncio.sleep(1)
    del session
    gc.collect()
    assert forgotten() is None


async def test_a_link_that_comes_after_everybody_left_is_ended(
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


async def test_a_battery_that_stops_answering_while_connecting_times_out(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """The link is up, the services never come."""
    await bluetooth_env.heard(ADDRESS)
    bluetooth_env.medium.lose = lambda _sender, _data: True
    with pytest.raises((BleakNotFoundError, BleakConnectionError)):
        await bluetooth_env.connect(ADDRESS, max_attempts=1)
    await asyncio.sleep(1)
    assert not adapter.links
    assert not peripheral.is_connected


# Simulated time


async def test_waiting_costs_a_jump_per_timer(
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


async def test_time_stands_still_while_there_is_work(fast_clock: FastClock) -> None:
    """A slow machine is no different from a fast one."""
    started = asyncio.get_running_loop().time()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() == started


async def test_all_clocks_agree(hass: HomeAssistant, fast_clock: FastClock) -> None:
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


async def test_an_executor_job_is_waited_for(fast_clock: FastClock) -> None:
    """No timer overtakes work in a thread."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(1):
        assert await loop.run_in_executor(None, lambda: time.sleep(0.05) or "done")
    assert fast_clock.elapsed < 1
    with fast_clock.hold():
        begin = time.perf_counter()
        await asyncio.sleep(0.05)
        assert time.perf_counter() - begin >= 0.04


async def test_time_stands_still_for_a_job(fast_clock: FastClock) -> None:
    """So that what comes next does not depend on how slow the machine is."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await loop.run_in_executor(None, lambda: time.sleep(0.05))
    assert loop.time() == begin


async def test_a_job_may_wait_for_the_loop(
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


async def test_a_clock_can_be_started_at_a_date() -> None:
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


async def test_the_clock_gives_back_what_it_took() -> None:
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


async def _wait_for_nothing() -> None:
    while True:  # noqa: ASYNC110
        await asyncio.sleep(60)


async def _spin() -> None:
    end = asyncio.get_running_loop().time() + 1
    while asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("work", [_wait_for_nothing, _spin])
def test_what_would_hang_fails(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Without the limits the loop would run for ever."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work())
    with FastClock(loop, limit=3600), pytest.raises(RuntimeError):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
