"""The client over the virtual link: whatever happens, it ends free or usable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService
from bleak.exc import BleakError
import bleak_retry_connector
from bumble.device import Connection
from habluetooth import get_manager
import pytest

from homeassistant.components import bluetooth

from .samples import frame
from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from custom_components.voltgo_vlrv.vlrv.const import GATT_PROFILES, Timing
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    FirmwareError,
    ImplausibleError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotSentError,
    NotVlrvError,
    RefusedError,
    VlrvError,
)
from custom_components.voltgo_vlrv.vlrv.firmware import check_image
from custom_components.voltgo_vlrv.vlrv.frames import FIRMWARE_FAMILY
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from custom_components.voltgo_vlrv.vlrv.probe import ProbeResult, probe
from custom_components.voltgo_vlrv.vlrv.settings import set_module_id
from simulator.adapter import VirtualAdapter
from simulator.battery import (
    ReplayBattery,
    SimulatedBattery,
    build_reply,
    settings_frame,
    status_reply,
)
from simulator.bleak_client import VirtualClient
from simulator.clock import FastClock
from simulator.faults import FOREVER
from simulator.firmware import FirmwareReceiver, build_image
from simulator.peripheral import Battery, Peripheral
from simulator.profiles import PROFILES
from tests.bluetooth_env import BluetoothEnvironment

ADDRESS = "A4:C1:37:00:00:01"
NAME = "House bank"
SOURCE = "02:00:00:00:00:01"

STATUS_41 = bytes.fromhex("0103000000298414")
STATUS_39 = bytes.fromhex("01030000002705d0")
IDENTITY = bytes.fromhex("010300690017d5d8")
NO_SUCH_REGISTERS = build_reply(b"\x01\x83\x02")

GRACE = 1e-6  # s; loop times are sums of floats


def still_clock() -> float:
    """Return the same time for ever, so that a battery does not change."""
    return 0.0


class ScriptedBattery(SimulatedBattery):
    """A battery at rest that answers some requests as told instead.

    `script` holds replies, None for silence, by request; each is used once, the last
    one for ever.
    """

    def __init__(self, **options: Any) -> None:
        """Start as an ordinary battery."""
        super().__init__(name=NAME, address=ADDRESS, clock=still_clock, **options)
        self.script: dict[bytes, list[bytes | None]] = {}

    def handle(self, frame: bytes) -> bytes | None:
        """Answer."""
        if replies := self.script.get(frame):
            return replies.pop(0) if len(replies) > 1 else replies[0]
        return super().handle(frame)


@dataclass
class Link:
    """A battery, an adapter that hears it, and a client."""

    bluetooth_env: BluetoothEnvironment
    clock: FastClock
    peripheral: Peripheral
    adapter: VirtualAdapter
    client: VlrvClient
    losses: list[float] = field(default_factory=list)

    @property
    def battery(self) -> ScriptedBattery:
        """Return the battery as the one that takes a script."""
        battery = self.peripheral.battery
        assert isinstance(battery, ScriptedBattery)
        return battery

    @property
    def sent(self) -> list[bytes]:
        """Return what the battery was asked."""
        return [write.data for write in self.peripheral.writes]

    @property
    def times(self) -> list[float]:
        """Return when."""
        return [write.time for write in self.peripheral.writes]

    def assert_no_slot(self) -> None:
        """Check that the client holds nothing, as the adapter and the manager see it."""
        assert not self.client.is_connected
        assert self.adapter.links == {}
        allocations = get_manager().async_current_allocations(SOURCE)
        assert allocations is not None
        # Home Assistant 2026.8 lists an adapter only once it has connected to something.
        assert [slots.allocated for slots in allocations] in ([], [[]])

    async def assert_free(self) -> None:
        """Check that nothing is held: neither a slot, nor the battery."""
        self.assert_no_slot()
        # The battery hears of it a moment later.
        await asyncio.sleep(0.2)
        self.assert_no_slot()
        assert not self.peripheral.is_connected

    def assert_held(self) -> None:
        """Check that the link stands and takes one slot."""
        assert self.client.is_connected
        assert list(self.adapter.links) == [ADDRESS]
        assert self.peripheral.is_connected

    async def assert_usable(self) -> None:
        """Check that a good reading comes about, from whatever state, and let go."""
        self.peripheral.faults.clear()
        self.adapter.faults.clear()
        await asyncio.sleep(3)
        await self.client.connect()
        self.assert_held()
        assert (await self.client.read_status()).cell_count == 8
        assert (await self.client.read_identity()).firmware == "Z01T20"
        await self.client.disconnect()
        await self.assert_free()


type Build = Callable[..., Coroutine[Any, Any, Link]]


@pytest.fixture(name="build")
async def build_fixture(
    bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> Build:
    """Return what makes a link of any kind; keywords are those of a peripheral."""

    async def build(
        battery: Battery | None = None,
        *,
        timing: Timing | None = None,
        heard: bool = True,
        **kwargs: Any,
    ) -> Link:
        peripheral = await bluetooth_env.add_battery(
            battery or ScriptedBattery(), **kwargs
        )
        adapter = await bluetooth_env.add_adapter(SOURCE)
        losses: list[float] = []
        client = VlrvClient(
            NAME,
            lambda: bluetooth.async_ble_device_from_address(
                bluetooth_env.hass, ADDRESS, True
            ),
            on_disconnect=lambda: losses.append(fast_clock.now),
            timing=timing,
        )
        if heard:
            await bluetooth_env.heard(ADDRESS)
        return Link(bluetooth_env, fast_clock, peripheral, adapter, client, losses)

    return build


@pytest.fixture(name="link")
async def link_fixture(build: Build) -> AsyncGenerator[Link]:
    """Return a client that is not connected yet; afterwards it lets go."""
    link = await build()
    yield link
    await link.client.disconnect()
    await link.assert_free()


@pytest.fixture(name="connected")
async def connected_fixture(link: Link) -> Link:
    """Return a connected client."""
    await link.client.connect()
    return link


def start[T](work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Let a call run beside the test."""
    return asyncio.get_running_loop().create_task(work)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a call that must not have ended, and wait for its end."""
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Connecting


@pytest.mark.parametrize(
    ("generation", "request_bytes"), [(1, STATUS_39), (2, STATUS_41)]
)
async def test_both_generations_are_read(
    build: Build, generation: int, request_bytes: bytes
) -> None:
    """Services 0x1000 and 0x1006; 39 registers of the older, 41 of the newer."""
    link = await build(ScriptedBattery(generation=generation))
    await link.client.connect()
    link.assert_held()
    status = await link.client.read_status()
    assert link.sent == [request_bytes]
    assert status.cells == tuple(link.battery.reported().millivolts)
    assert len(status.registers) == (39 if generation == 1 else 41)
    assert await link.client.read_identity() == Identity(
        "TC-8S100-V1.0", "Z01T20", "2024-01-11"
    )
    await link.client.disconnect()
    await link.assert_free()


def test_the_generations_are_told_by_their_service() -> None:
    """Protocol 1."""
    shorts = [
        tuple(
            int(uuid[4:8], 16)
            for uuid in (profile.service, profile.write, profile.notify)
        )
        for profile in GATT_PROFILES
    ]
    assert shorts == [(0x1006, 0x1008, 0x1007), (0x1000, 0x1001, 0x1002)]


async def test_connecting_twice_makes_one_link(link: Link) -> None:
    """Also when both calls come at once."""
    await asyncio.gather(link.client.connect(), link.client.connect())
    await link.client.connect()
    assert link.client.counters.connects == 1
    assert link.peripheral.connections == 1
    link.assert_held()


async def test_a_battery_that_is_not_heard_is_not_reachable(build: Build) -> None:
    """At once, without an attempt."""
    link = await build(start=False, heard=False)
    before = link.clock.now
    with pytest.raises(NotReachableError):
        await link.client.connect()
    assert link.clock.now == before
    await link.assert_free()


async def test_a_battery_that_went_away_is_given_up_in_time(link: Link) -> None:
    """Heard a moment ago, silent now: 40 s at most, and a little to clean up."""
    await link.peripheral.silence()
    before = link.clock.now
    with pytest.raises(NotReachableError):
        await link.client.connect()
    assert 10 < link.clock.now - before < 46
    await link.assert_free()
    await link.peripheral.advertise()
    await link.assert_usable()


async def test_a_refused_connection_is_not_reachable(link: Link) -> None:
    """The battery advertises, and takes nobody."""
    link.peripheral.faults.refuse_connection = FOREVER
    before = link.clock.now
    with pytest.raises(NotReachableError):
        await link.client.connect()
    assert link.clock.now - before < 46
    await link.assert_free()
    await link.assert_usable()


async def test_a_connection_refused_once_is_tried_again(link: Link) -> None:
    """One call, two attempts."""
    link.peripheral.faults.refuse_connection = 1
    await link.client.connect()
    link.assert_held()


async def test_a_battery_held_by_a_phone_is_not_reachable(link: Link) -> None:
    """One link only: the owner's app has it."""
    await link.peripheral.occupy()
    with pytest.raises(NotReachableError):
        await link.client.connect()
    link.assert_no_slot()
    await link.peripheral.vacate()
    await link.assert_usable()


async def test_a_full_adapter_is_told_apart(link: Link) -> None:
    """An owner can do something about it, so it has an error of its own."""
    link.adapter.faults.out_of_slots = True
    before = link.clock.now
    with pytest.raises(NoSlotError):
        await link.client.connect()
    assert link.clock.now - before < 46
    assert link.peripheral.connections == 0
    assert link.adapter.links == {}
    await link.assert_usable()


async def test_a_link_that_breaks_whenever_it_is_up_is_an_error(link: Link) -> None:
    """F7: bounded, and nothing is held."""
    link.peripheral.faults.disconnect_on_connect = FOREVER
    before = link.clock.now
    with pytest.raises((NotReachableError, ConnectionLostError)):
        await link.client.connect()
    assert link.clock.now - before < 46
    await link.assert_free()
    assert link.losses == []
    await link.assert_usable()


@pytest.mark.parametrize("fault", ["refuse_subscription", "disconnect_on_subscribe"])
async def test_a_failed_subscription_leaves_no_link(link: Link, fault: str) -> None:
    """F7, F8: a link without notifications is useless."""
    setattr(link.peripheral.faults, fault, FOREVER)
    with pytest.raises(ConnectionLostError):
        await link.client.connect()
    await link.assert_free()
    assert link.losses == []
    assert link.client.counters.connects == 0
    await link.assert_usable()


async def test_a_subscription_that_is_never_answered_is_given_up(link: Link) -> None:
    """F7: after 10 s, and without a link."""
    # ATT write requests, behind the headers of L2CAP.
    link.bluetooth_env.medium.lose = lambda _sender, pdu: pdu[4] == 0x12
    before = link.clock.now
    with pytest.raises(ConnectionLostError):
        await link.client.connect()
    assert 10 <= link.clock.now - before < 12
    await link.assert_free()
    link.bluetooth_env.medium.lose = None
    await link.assert_usable()


async def test_a_link_lost_right_after_subscribing_is_noticed(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: the callback of the loss may come before anybody waits for it."""
    subscribe = VirtualClient.start_notify

    async def subscribe_and_lose(
        self: VirtualClient, *args: Any, **kwargs: Any
    ) -> None:
        await subscribe(self, *args, **kwargs)
        link.peripheral.drop_link()
        await asyncio.sleep(0.01)

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "start_notify", subscribe_and_lose)
        with pytest.raises(ConnectionLostError):
            await link.client.connect()
    await link.assert_free()
    await link.assert_usable()


async def test_a_link_lost_before_its_services_are_looked_at_is_noticed(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: bleak then says that there are none."""
    establish = bleak_retry_connector.establish_connection

    async def establish_and_lose(*args: Any, **kwargs: Any) -> BleakClient:
        client: BleakClient = await establish(*args, **kwargs)
        link.peripheral.drop_link()
        await asyncio.sleep(0.01)
        return client

    with monkeypatch.context() as patch:
        patch.setattr(bleak_retry_connector, "establish_connection", establish_and_lose)
        with pytest.raises(VlrvError) as raised:
            await link.client.connect()
    assert not isinstance(raised.value, NotVlrvError)
    await link.assert_free()
    await link.assert_usable()


async def test_a_foreign_battery_is_refused(build: Build) -> None:
    """F10: a JBD pack advertises the same; only its services tell."""
    link = await build(profile="jbd")
    with pytest.raises(NotVlrvError):
        await link.client.connect()
    await link.assert_free()
    assert link.sent == []


async def test_a_service_without_its_characteristics_is_foreign(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: the service alone proves nothing, and is written nothing to."""
    odd = replace(PROFILES["v2"], write=0x1009)
    monkeypatch.setitem(PROFILES, "odd", odd)
    link = await build(profile="odd")
    with pytest.raises(NotVlrvError):
        await link.client.connect()
    await link.assert_free()
    assert link.sent == []


async def test_services_from_before_an_update_are_forgotten_once(
    build: Build, bluetooth_env: BluetoothEnvironment
) -> None:
    """F7: what the adapter remembers of the device may be out of date."""
    link = await build(profile="jbd")
    with pytest.raises(NotVlrvError):
        await link.client.connect()
    assert ADDRESS in link.adapter.gatt_cache
    await link.peripheral.stop()
    link.peripheral = await bluetooth_env.add_battery(ScriptedBattery())
    await link.client.connect()
    link.assert_held()
    assert link.peripheral.connections == 2
    await link.client.disconnect()
    # What is remembered now is right.
    await link.client.connect()
    assert link.peripheral.connections == 3
    assert (await link.client.read_status()).cell_count == 8
    await link.client.disconnect()
    await link.assert_free()


async def test_a_second_service_of_the_same_kind_does_no_harm(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: the one with the characteristics is it."""
    discover = VirtualClient._discover

    async def twice(self: VirtualClient, *args: Any) -> None:
        await discover(self, *args)
        services = self.services
        assert services is not None
        services.add_service(BleakGATTService(None, 0x4000, GATT_PROFILES[0].service))

    monkeypatch.setattr(VirtualClient, "_discover", twice)
    link = await build()
    await link.client.connect()
    assert (await link.client.read_status()).cell_count == 8
    await link.client.disconnect()
    await link.assert_free()


@pytest.mark.parametrize("fault", ["refuse_subscription", ""])
async def test_an_adapter_that_never_forgets_does_not_hold_up(
    link: Link, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """F7: others wait for their turn to connect meanwhile."""

    async def never(_self: VirtualClient) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(VirtualClient, "clear_cache", never)
    before = link.clock.now
    if fault:
        link.peripheral.faults.refuse_subscription = 1
        with pytest.raises(ConnectionLostError):
            await link.client.connect()
    else:
        await link.client.connect()
        await link.client.disconnect(clear_service_cache=True)
    assert link.clock.now - before < 10
    await link.assert_free()


async def test_letting_go_also_gives_up_a_connection_that_waits_its_turn(
    connected: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8: it must not be made first, which takes up to 40 s, and ended then."""
    disconnect = VirtualClient.disconnect

    async def slow(self: VirtualClient) -> None:
        await asyncio.sleep(5)
        await disconnect(self)

    monkeypatch.setattr(VirtualClient, "disconnect", slow)
    connections = connected.peripheral.connections
    letting_go = [start(connected.client.disconnect())]
    await asyncio.sleep(1)
    connecting = start(connected.client.connect())
    await asyncio.sleep(1)
    letting_go.append(start(connected.client.disconnect()))
    with pytest.raises(NotReachableError):
        await connecting
    await asyncio.gather(*letting_go)
    assert connected.peripheral.connections == connections
    await connected.assert_free()


# Requests


async def test_a_status_is_what_the_battery_reports(connected: Link) -> None:
    """One request, one frame."""
    status = await connected.client.read_status()
    assert status.frame == status_reply(connected.battery.registers(0, 41))
    assert connected.sent == [STATUS_41]
    counters = connected.client.counters
    assert (counters.connects, counters.requests) == (1, 1)
    assert (counters.unanswered, counters.late_replies) == (0, 0)
    assert connected.client.discarded_bytes == 0


async def test_requests_without_a_link_fail_at_once(link: Link) -> None:
    """Before connecting, and after letting go."""
    for read in (link.client.read_status, link.client.read_identity):
        with pytest.raises(ConnectionLostError):
            await read()
    await link.client.connect()
    await link.client.disconnect()
    before = link.clock.now
    for read in (link.client.read_status, link.client.read_identity):
        with pytest.raises(ConnectionLostError):
            await read()
    assert link.clock.now - before < 0.5
    assert link.sent == []


async def test_one_request_is_in_flight_at_a_time(build: Build) -> None:
    """F2: a second call waits for the answer to the first."""
    link = await build(reply_latency=0.5)
    await link.client.connect()
    status, identity, again = await asyncio.gather(
        link.client.read_status(),
        link.client.read_identity(),
        link.client.read_status(),
    )
    assert link.sent == [STATUS_41, IDENTITY, STATUS_41]
    answered = [notification.time for notification in link.peripheral.notifications]
    assert len(answered) == 3
    for reply, following in zip(answered, link.times[1:], strict=False):
        assert following >= reply
    assert identity.firmware == "Z01T20"
    assert status == again
    assert link.client.counters.late_replies == 0
    await link.client.disconnect()


async def test_frames_keep_their_distance(connected: Link) -> None:
    """Closer ones are lost and not applied; 150 ms, however fast the answers are."""
    for _ in range(4):
        await connected.client.read_status()
        await connected.client.read_identity()
    times = connected.times
    assert len(times) == 8
    for earlier, later in pairwise(times):
        assert 0.15 - GRACE <= later - earlier < 0.16
    assert all(write.applied for write in connected.peripheral.writes)


async def test_a_request_after_a_pause_is_not_delayed(connected: Link) -> None:
    """Spacing is a distance, not a delay."""
    await connected.client.read_status()
    await asyncio.sleep(5)
    before = connected.clock.now
    await connected.client.read_status()
    assert connected.times[-1] - before < 0.001


async def test_the_first_frame_waits_until_the_link_has_settled(link: Link) -> None:
    """At least 100 ms after subscribing."""
    await link.client.connect()
    subscribed = link.clock.now
    await link.client.read_status()
    assert 0.1 - GRACE <= link.times[0] - subscribed < 0.11


async def test_spacing_holds_across_a_reconnection(connected: Link) -> None:
    """The battery does not know that the link is another one."""
    await connected.client.read_status()
    await connected.client.disconnect()
    await connected.client.connect()
    await connected.client.read_status()
    assert connected.times[1] - connected.times[0] >= 0.1 - GRACE


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_dropped_reply_is_asked_for_again(connected: Link, lost: int) -> None:
    """27 answers to 37 polls were recorded; each try waits for 2 s."""
    connected.peripheral.faults.drop = lost
    before = connected.clock.now
    status = await connected.client.read_status()
    assert status.cell_count == 8
    assert connected.sent == [STATUS_41] * (lost + 1)
    assert connected.client.counters.unanswered == lost
    assert 2 * lost <= connected.clock.now - before < 2 * lost + 0.2
    for earlier, later in pairwise(connected.times):
        assert later - earlier == pytest.approx(2, abs=0.01)


async def test_three_tries_are_enough(connected: Link) -> None:
    """F6: after 6 s nobody answered; the client is usable afterwards."""
    await connected.client.read_status()
    connected.peripheral.writes.clear()
    connected.peripheral.faults.drop = FOREVER
    before = connected.clock.now
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert 6 <= connected.clock.now - before < 6.3
    assert connected.sent == [STATUS_41] * 3
    assert connected.client.counters.unanswered == 3
    connected.assert_held()
    connected.peripheral.faults.clear()
    assert (await connected.client.read_status()).cell_count == 8


async def test_what_is_optional_is_asked_for_less_often(connected: Link) -> None:
    """F6: no live value may wait for long because of it."""
    tries = Timing().optional_attempts
    connected.peripheral.faults.drop = FOREVER
    before = connected.clock.now
    with pytest.raises(NoAnswerError):
        await connected.client.read_identity()
    assert connected.clock.now - before < 2 * tries + 0.3
    assert connected.sent == [IDENTITY] * tries
    connected.assert_held()
    connected.peripheral.faults.clear()
    assert (await connected.client.read_status()).cell_count == 8


async def test_a_silent_battery_is_asked_for_both_lengths(connected: Link) -> None:
    """F6: 41, then 39 registers, each three times; then it counts as silent."""
    connected.peripheral.faults.drop = FOREVER
    before = connected.clock.now
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert connected.clock.now - before < 12.5
    assert connected.sent == [STATUS_41] * 3 + [STATUS_39] * 3
    connected.assert_held()
    connected.peripheral.faults.clear()
    assert (await connected.client.read_status()).heating_enabled is False


async def test_an_older_battery_is_only_asked_for_39(build: Build) -> None:
    """Generation 1 was never asked for more."""
    link = await build(ScriptedBattery(generation=1))
    await link.client.connect()
    link.peripheral.faults.drop = FOREVER
    with pytest.raises(NoAnswerError):
        await link.client.read_status()
    assert link.sent == [STATUS_39] * 3
    await link.assert_usable()


async def test_a_battery_that_only_knows_39_is_not_asked_for_41_again(
    build: Build,
) -> None:
    """What it answered once is what it is asked from then on."""
    link = await build(
        ReplayBattery(
            [frame(count=39), frame(count=39, current=-4.0)], name=NAME, address=ADDRESS
        )
    )
    battery = link.peripheral.battery
    assert isinstance(battery, ReplayBattery)
    await link.client.connect()
    status = await link.client.read_status()
    assert status.frame == battery.current
    assert status.heating_enabled is None
    assert link.sent == [STATUS_41] * 3 + [STATUS_39]
    assert battery.next()
    assert (await link.client.read_status()).current == -4.0
    assert link.sent[4:] == [STATUS_39]
    await link.client.disconnect()
    await link.assert_free()


async def test_a_battery_that_answered_41_is_not_asked_for_39(connected: Link) -> None:
    """A bad minute does not make it lose its heater."""
    await connected.client.read_status()
    connected.peripheral.faults.drop = FOREVER
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert set(connected.sent) == {STATUS_41}


# Replies that come damaged, twice, late


async def test_replies_in_small_notifications_are_read(connected: Link) -> None:
    """F1: 20 bytes at an MTU of 23."""
    for size in (1, 7, 20, 75):
        connected.peripheral.faults.chunk_size = size
        assert (await connected.client.read_status()).cell_count == 8
        assert (await connected.client.read_identity()).serial == "2024-01-11"
    assert len(connected.peripheral.notifications) > 87 + 13 + 5 + 2
    assert connected.client.counters.unanswered == 0
    assert connected.client.discarded_bytes == 0


@pytest.mark.parametrize(
    ("fault", "unanswered", "late", "discarded"),
    [
        ("corrupt", 1, 0, 87),
        ("truncate", 1, 0, 43),
        ("lose_chunk", 1, 0, 67),
        ("lead", 0, 0, 3),
        ("duplicate", 0, 1, 0),
        ("merge", 1, 1, 0),
    ],
)
async def test_a_damaged_reply_is_never_a_sample(
    connected: Link, fault: str, unanswered: int, late: int, discarded: int
) -> None:
    """F1: asked for again where need be; every loss is counted."""
    setattr(connected.peripheral.faults, fault, 1)
    status = await connected.client.read_status()
    assert status.frame == status_reply(connected.battery.registers(0, 41))
    await asyncio.sleep(1)
    counters = connected.client.counters
    assert counters.unanswered == unanswered
    assert counters.late_replies == late
    assert connected.client.discarded_bytes == discarded
    assert (await connected.client.read_identity()).firmware == "Z01T20"


async def test_a_late_reply_is_not_taken_for_another_answer(build: Build) -> None:
    """F2: it has another length, and nothing else that would tell."""
    link = await build(
        timing=Timing(attempts=1, optional_attempts=1), reply_latency=0.2
    )
    await link.client.connect()
    await link.client.read_status()
    link.peripheral.faults.late = 1
    link.peripheral.faults.late_by = 1.9
    with pytest.raises(NoAnswerError):
        await link.client.read_status()
    # Its answer arrives 0.1 s from now, 0.1 s before that to the next request.
    identity = await link.client.read_identity()
    assert identity == Identity("TC-8S100-V1.0", "Z01T20", "2024-01-11")
    assert link.client.counters.late_replies == 1
    # The other way round.
    link.peripheral.faults.late = 1
    with pytest.raises(NoAnswerError):
        await link.client.read_identity()
    assert (await link.client.read_status()).cell_count == 8
    assert link.client.counters.late_replies == 2
    assert link.client.counters.unanswered == 2
    assert link.sent == [STATUS_41, STATUS_41, IDENTITY, IDENTITY, STATUS_41]
    await link.client.disconnect()


async def test_a_reply_that_nobody_waits_for_is_discarded(connected: Link) -> None:
    """F2: it came when all tries were over, and answers nothing later."""
    connected.battery.script[STATUS_41] = [
        *[frame(current=8.0)] * 4,
        frame(current=9.0),
    ]
    await connected.client.read_status()
    connected.peripheral.faults.late = 3
    connected.peripheral.faults.late_by = 7.0
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert connected.client.counters.late_replies == 0
    await asyncio.sleep(10)
    assert connected.client.counters.late_replies == 3
    assert (await connected.client.read_status()).current == 9.0


async def test_a_duplicate_does_not_answer_the_next_request(connected: Link) -> None:
    """F2: two identical replies to the first, one to the second."""
    connected.peripheral.faults.duplicate = 1
    connected.battery.script[STATUS_41] = [frame(current=1.0), frame(current=2.0)]
    assert (await connected.client.read_status()).current == 1.0
    assert (await connected.client.read_status()).current == 2.0
    assert connected.client.counters.late_replies == 1


async def test_of_answers_that_come_together_the_last_counts(connected: Link) -> None:
    """An adapter held back those before: they are as old as their requests."""
    connected.battery.script[STATUS_41] = [
        frame(current=number) for number in (1.0, 2.0, 3.0)
    ]
    connected.peripheral.faults.merge = 2
    status = await connected.client.read_status()
    assert connected.sent == [STATUS_41] * 3
    assert status.current == 3.0
    assert connected.client.counters.late_replies == 2


async def test_of_answers_at_one_instant_the_last_counts(connected: Link) -> None:
    """Also as notifications of their own, and what comes later answers nothing."""
    client = connected.client
    connected.peripheral.faults.drop = 1
    reading = asyncio.create_task(client.read_status())
    await asyncio.sleep(0.5)
    for number in (1.0, 2.0):
        client._transport.handle_notification(bytearray(frame(current=number)))
    assert (await reading).current == 2.0
    assert client.counters.late_replies == 1
    client._transport.handle_notification(bytearray(frame(current=5.0)))
    assert client.counters.late_replies == 2


async def test_frames_of_another_kind_are_discarded(connected: Link) -> None:
    """F2: more cells and settings in front of the answer, in one notification."""
    more_cells = build_reply(b"\x01\x04\x01\x20" + bytes(32))
    setting = build_reply(b"\x10\x07\x01\x00")
    connected.battery.script[STATUS_41] = [more_cells + setting + frame(current=3.0)]
    assert (await connected.client.read_status()).current == 3.0
    assert connected.client.counters.late_replies == 2
    assert connected.client.discarded_bytes == 0


async def test_half_a_frame_from_before_is_not_completed(connected: Link) -> None:
    """F2: what waits is forgotten before each request."""
    connected.peripheral.faults.truncate = 1
    connected.battery.script[STATUS_41] = [frame(), frame()[43:], frame(current=5.0)]
    assert (await connected.client.read_status()).current == 5.0
    assert connected.client.counters.unanswered == 2


# Answers that are none


async def test_an_exception_reply_is_a_refusal(connected: Link) -> None:
    """F3: at once, with its code, and not asked again."""
    for code in (1, 4, 6):
        connected.battery.script[STATUS_41] = [build_reply(bytes((0x01, 0x83, code)))]
        before = connected.clock.now
        with pytest.raises(RefusedError) as raised:
            await connected.client.read_status()
        assert raised.value.code == code
        assert connected.clock.now - before < 0.5
        connected.assert_held()
    assert connected.sent == [STATUS_41] * 3
    connected.battery.script.clear()
    assert (await connected.client.read_status()).cell_count == 8


async def test_all_registers_are_asked_for_once_more(connected: Link) -> None:
    """Replies may have been lost; from then on the battery is asked for all of them."""
    connected.battery.script[STATUS_41] = [None]
    assert len((await connected.client.read_status()).registers) == 39
    with pytest.raises(NoAnswerError):
        await connected.client.probe_status_length()
    assert len((await connected.client.read_status()).registers) == 39
    connected.battery.script.clear()
    await connected.client.probe_status_length()
    assert len((await connected.client.read_status()).registers) == 41
    asked = len(connected.sent)
    await connected.client.probe_status_length()
    assert len(connected.sent) == asked


@pytest.mark.parametrize("code", [2, 3])
async def test_a_battery_that_refuses_41_is_asked_for_39(
    connected: Link, code: int
) -> None:
    """A board with fewer registers may say so instead of being silent."""
    connected.battery.script[STATUS_41] = [build_reply(bytes((0x01, 0x83, code)))]
    status = await connected.client.read_status()
    assert len(status.registers) == 39
    assert status.heating_enabled is None
    await connected.client.read_status()
    assert connected.sent == [STATUS_41, STATUS_39, STATUS_39]


async def test_a_battery_that_refuses_what_it_answered_is_asked_anew(
    connected: Link,
) -> None:
    """One bad reply does not make it lose its heater; another firmware may."""
    await connected.client.read_status()
    connected.battery.script[STATUS_41] = [NO_SUCH_REGISTERS]
    with pytest.raises(RefusedError):
        await connected.client.read_status()
    assert len((await connected.client.read_status()).registers) == 39
    assert connected.sent == [STATUS_41] * 3 + [STATUS_39]
    connected.battery.script[STATUS_39] = [NO_SUCH_REGISTERS]
    with pytest.raises(RefusedError):
        await connected.client.read_status()
    connected.battery.script.clear()
    assert len((await connected.client.read_status()).registers) == 41
    assert connected.sent[4:] == [STATUS_39, STATUS_41]


async def test_an_exception_to_another_function_is_no_refusal(connected: Link) -> None:
    """F3: only 0x83 answers a read."""
    other = build_reply(b"\x01\x84\x02")
    connected.battery.script[IDENTITY] = [other]
    with pytest.raises(NoAnswerError):
        await connected.client.read_identity()
    assert connected.client.counters.late_replies == len(connected.sent) > 0


async def test_an_implausible_sample_is_an_error_with_its_reasons(
    connected: Link,
) -> None:
    """F3: intact, and yet not true; the next one is asked as ever."""
    for reply, reasons in (
        (status_reply([0] * 41), ("all_zero",)),
        (frame({24: 398}), ("state_of_charge",)),
        (frame({2: 0}), ("cell_voltage", "pack_voltage")),
        (frame({0: 1200}), ("pack_voltage",)),
    ):
        connected.peripheral.writes.clear()
        connected.battery.script[STATUS_41] = [reply, frame(current=-1.5)]
        with pytest.raises(ImplausibleError) as raised:
            await connected.client.read_status()
        assert raised.value.reasons == reasons
        assert all(reason in str(raised.value) for reason in reasons)
        connected.assert_held()
        assert (await connected.client.read_status()).current == -1.5
        assert connected.sent == [STATUS_41] * 2


# Losing the link


@pytest.mark.parametrize("fault", ["disconnect_on_write", "disconnect_in_reply"])
async def test_a_link_that_breaks_ends_the_request_at_once(
    connected: Link, fault: str
) -> None:
    """F7: not after the timeout, and not asked again."""
    setattr(connected.peripheral.faults, fault, 1)
    before = connected.clock.now
    with pytest.raises(ConnectionLostError):
        await connected.client.read_status()
    assert connected.clock.now - before < 0.5
    await connected.assert_free()
    assert len(connected.losses) == 1
    assert connected.sent == [STATUS_41]
    assert connected.client.counters.unanswered == 0
    await connected.assert_usable()


async def test_a_link_that_breaks_between_requests_is_reported(connected: Link) -> None:
    """Once; what comes after says that there is no link."""
    await connected.client.read_status()
    connected.peripheral.drop_link()
    await asyncio.sleep(0.01)
    await connected.assert_free()
    assert len(connected.losses) == 1
    with pytest.raises(ConnectionLostError):
        await connected.client.read_status()
    await connected.assert_usable()
    assert len(connected.losses) == 1


async def test_calls_that_wait_their_turn_fail_with_the_link(build: Build) -> None:
    """F7: none of them hangs, none is sent."""
    link = await build(reply_latency=1.0)
    await link.client.connect()
    calls = [start(link.client.read_status()) for _ in range(3)]
    await asyncio.sleep(0.5)
    link.peripheral.drop_link()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        ConnectionLostError,
        NotSentError,
        NotSentError,
    ]
    assert link.sent == [STATUS_41]
    await link.assert_free()


async def test_letting_go_is_not_reported_as_a_loss(connected: Link) -> None:
    """The caller knows."""
    await connected.client.disconnect()
    await asyncio.sleep(1)
    assert connected.losses == []
    await connected.assert_free()


async def test_letting_go_ends_a_request(build: Build) -> None:
    """At once; the call does not wait for its timeout."""
    link = await build(reply_latency=1.0)
    await link.client.connect()
    call = start(link.client.read_status())
    await asyncio.sleep(0.5)
    before = link.clock.now
    await link.client.disconnect()
    with pytest.raises(ConnectionLostError):
        await call
    assert link.clock.now - before < 0.1
    await link.assert_free()
    link.peripheral.reply_latency = 0
    await link.assert_usable()


async def test_a_write_that_fails_is_a_lost_link(
    connected: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of bleak stay inside."""

    async def fail(*_args: Any, **_kwargs: Any) -> None:
        raise BleakError("the proxy says no")

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "write_gatt_char", fail)
        with pytest.raises(ConnectionLostError, match="the proxy says no"):
            await connected.client.read_status()
    await connected.assert_usable()


async def test_a_write_that_hangs_is_no_answer(
    connected: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: bounded like any other request."""

    async def hang(*_args: Any, **_kwargs: Any) -> None:
        await asyncio.sleep(3600)

    before = connected.clock.now
    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "write_gatt_char", hang)
        with pytest.raises(NoAnswerError):
            await connected.client.read_identity()
    assert connected.clock.now - before < 6.5
    await connected.assert_usable()


# Writing a setting


@pytest.mark.parametrize("again", [False, True])
async def test_a_write_is_sent_on_the_connection_it_was_meant_for(
    build: Build, again: bool
) -> None:
    """What it is based on was read there; another one may know another list."""
    link = await build(timing=Timing(min_write_interval=5.0))
    await link.client.connect()
    await link.client.read_status()
    write = start(link.client.write_setting(set_module_id(7)))
    await asyncio.sleep(1)
    await link.client.disconnect()
    if again:
        await link.client.connect()
        link.assert_held()
    with pytest.raises(NotSentError):
        await write
    assert set_module_id(7) not in link.sent
    await link.client.connect()
    await link.client.write_setting(set_module_id(7))
    assert link.sent[-1] == set_module_id(7)
    await link.client.disconnect()
    await link.assert_free()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_write_without_an_answer_ends_the_link(
    build: Build, cancelled: bool
) -> None:
    """A reply does not say which value it confirms: on this link none may come late."""
    link = await build()
    await link.client.connect()
    link.peripheral.faults.late = 1
    link.peripheral.faults.late_by = 2.6
    write = start(link.client.write_setting(set_module_id(7)))
    if cancelled:
        await asyncio.sleep(1.9)
        await cancel(write)
    else:
        with pytest.raises(NoAnswerError):
            await write
    await link.assert_free()
    await link.client.connect()
    link.peripheral.faults.drop = 1
    with pytest.raises(NoAnswerError):
        await link.client.write_setting(set_module_id(8))
    assert link.sent == [set_module_id(7), set_module_id(8)]
    await link.assert_usable()


async def test_a_write_that_is_refused_keeps_the_link(connected: Link) -> None:
    """It was answered."""
    connected.battery.script[set_module_id(7)] = [settings_frame(7, b"\x01")]
    with pytest.raises(RefusedError):
        await connected.client.write_setting(set_module_id(7))
    connected.assert_held()


# Letting go


async def test_letting_go_without_a_link_does_nothing(link: Link) -> None:
    """Never connected, and twice in a row."""
    await link.client.disconnect()
    await link.client.connect()
    await link.client.disconnect()
    await link.client.disconnect()
    await link.assert_free()


async def test_letting_go_never_raises(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the adapter says."""
    disconnect = VirtualClient.disconnect
    for error in (BleakError("gone"), TimeoutError("no answer"), EOFError()):
        asked: list[VirtualClient] = []

        async def fail(
            self: VirtualClient,
            error: Exception = error,
            asked: list[VirtualClient] = asked,
        ) -> None:
            asked.append(self)
            await disconnect(self)
            raise error

        await link.client.connect()
        with monkeypatch.context() as patch:
            patch.setattr(VirtualClient, "disconnect", fail)
            await link.client.disconnect()
        assert len(asked) == 1
        await link.assert_free()
    await link.assert_usable()


async def test_letting_go_does_not_hang(
    connected: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: 8 s, then the link is left to its supervision timeout."""

    async def hang(_self: VirtualClient) -> None:
        await asyncio.sleep(3600)

    before = connected.clock.now
    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "disconnect", hang)
        await connected.client.disconnect()
    assert 8 <= connected.clock.now - before < 8.5
    assert not connected.client.is_connected
    connected.peripheral.drop_link()
    await connected.assert_usable()


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 0.4])
async def test_letting_go_gives_up_a_connection_that_is_being_made(
    link: Link, after: float
) -> None:
    """F8: nothing is held afterwards, wherever on its way it was."""
    link.bluetooth_env.medium.connection_interval = 0.05
    connecting = start(link.client.connect())
    await asyncio.sleep(after)
    assert not connecting.done()
    before = link.clock.now
    await link.client.disconnect()
    assert link.clock.now - before < 1
    with pytest.raises(NotReachableError):
        await connecting
    await link.assert_usable()
    await link.client.disconnect()
    await link.assert_free()


async def test_letting_go_twice_of_a_connection_in_the_making_does_no_harm(
    link: Link,
) -> None:
    """F8: an unload and a stop may come together, also while it is given up."""
    link.bluetooth_env.medium.connection_interval = 0.05
    connecting = start(link.client.connect())
    await asyncio.sleep(0.3)
    assert not connecting.done()
    letting_go = [start(link.client.disconnect())]
    while not letting_go[0].done():
        await asyncio.sleep(0)
        letting_go.append(start(link.client.disconnect()))
    await asyncio.gather(*letting_go)
    assert len(letting_go) > 3
    with pytest.raises(NotReachableError):
        await connecting
    await link.assert_free()


@pytest.mark.parametrize("error", [EOFError(), BrokenPipeError(), BleakError("gone")])
async def test_whatever_a_dying_bluetooth_service_raises_is_a_lost_link(
    connected: Link, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """F7: callers see the errors of this package, nothing else."""

    async def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "write_gatt_char", fail)
        with pytest.raises(ConnectionLostError):
            await connected.client.read_status()
        patch.setattr(VirtualClient, "disconnect", fail)
        await connected.client.disconnect()
    connected.peripheral.drop_link()
    await connected.assert_usable()


# Being cancelled


async def test_a_cancelled_connection_leaves_nothing(link: Link) -> None:
    """F8: wherever on its way it is cancelled, every 20 ms of it."""
    link.bluetooth_env.medium.connection_interval = 0.05
    steps = 0
    for steps in range(1, 500):
        await link.bluetooth_env.heard(ADDRESS, after=link.clock.now)
        connecting = start(link.client.connect())
        await asyncio.sleep(0.02 * steps)
        if connecting.done():
            break
        await cancel(connecting)
        await asyncio.sleep(0.5)
        await link.assert_free()
    await connecting
    assert steps > 10
    link.assert_held()
    await link.assert_usable()


async def test_a_connection_cancelled_between_any_two_steps_leaves_nothing(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8: from the link on, after any turn of the event loop; no time passes there."""
    linked = asyncio.Event()
    on_connected = link.peripheral._on_connected

    def tell(connection: Connection) -> None:
        on_connected(connection)
        linked.set()

    monkeypatch.setattr(link.peripheral, "_on_connected", tell)
    await link.peripheral.stop()
    await link.peripheral.start()
    turns = 0
    for turns in range(0, 3000, 5):
        linked.clear()
        connecting = start(link.client.connect())
        await linked.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        if connecting.done():
            break
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await link.assert_free()
    await connecting
    assert turns > 50
    await link.client.disconnect()
    await link.assert_usable()


async def test_a_cancelled_request_leaves_the_link_usable(build: Build) -> None:
    """F8: before the write, while waiting, between two tries."""
    link = await build(reply_latency=1.0)
    for after in (0.0, 0.05, 0.2, 0.5, 1.2, 2.5, 3.0):
        await link.client.connect()
        link.peripheral.faults.drop = 1
        reading = start(link.client.read_status())
        await asyncio.sleep(after)
        await cancel(reading)
        link.assert_held()
        link.peripheral.faults.clear()
        assert (await link.client.read_identity()).firmware == "Z01T20"
        assert (await link.client.read_status()).cell_count == 8
        await link.client.disconnect()
        await link.assert_free()
    for earlier, later in pairwise(link.times):
        assert later - earlier >= 0.15 - GRACE


async def test_the_answer_to_a_cancelled_request_is_not_taken_for_another(
    build: Build,
) -> None:
    """F2: it arrives while something else is asked."""
    link = await build(reply_latency=1.0)
    await link.client.connect()
    reading = start(link.client.read_status())
    await asyncio.sleep(0.5)
    await cancel(reading)
    assert (await link.client.read_identity()).firmware == "Z01T20"
    assert link.client.counters.late_replies == 1
    await link.client.disconnect()


async def test_status_with_secondary_number_out_of_range_is_read_and_counted(
    connected: Link,
) -> None:
    """State of health of 102 %: one number is unknown, no other one is lost."""
    connected.battery.script[STATUS_41] = [frame({23: 102}), frame({23: 103}), frame()]
    for expected in (None, None, 100):
        status = await connected.client.read_status()
        assert status.state_of_health == expected
        assert status.cell_count == 8
    assert connected.client.counters.unknown_fields == {"state_of_health": 2}


async def test_client_from_device_connects_inside_the_context_only(
    link: Link,
) -> None:
    """As a script uses it: with the device of a scan, and with another one later."""
    device = bluetooth.async_ble_device_from_address(
        link.bluetooth_env.hass, ADDRESS, True
    )
    assert device is not None
    unknown = BLEDevice("A4:C1:37:00:00:99", "ZT-99", device.details)
    client = VlrvClient.from_device(unknown)
    assert client.name == "ZT-99"
    client.set_ble_device(device)
    async with client:
        assert client.is_connected
        assert (await client.read_status()).cell_count == 8
        assert client.max_notification_size == 87
        assert await client.read_registers(24, 1) == (
            (await client.read_status()).state_of_charge,
        )
    assert not client.is_connected
    await link.assert_free()
    with pytest.raises(ZeroDivisionError):
        async with client:
            raise ZeroDivisionError
    await link.assert_free()


async def test_a_call_that_waits_its_turn_can_be_cancelled(build: Build) -> None:
    """The one in front does not notice."""
    link = await build(reply_latency=1.0)
    await link.client.connect()
    first, second = (
        start(link.client.read_status()),
        start(link.client.read_identity()),
    )
    await asyncio.sleep(0.5)
    await cancel(second)
    assert (await first).cell_count == 8
    assert link.sent == [STATUS_41]
    await link.client.disconnect()


async def test_a_cancelled_disconnection_leaves_no_slot_taken(connected: Link) -> None:
    """F8: the adapter has been told already."""
    connected.bluetooth_env.medium.connection_interval = 0.05
    letting_go = start(connected.client.disconnect())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    letting_go.cancel()
    await asyncio.gather(letting_go, return_exceptions=True)
    await asyncio.sleep(1)
    await connected.client.disconnect()
    await connected.assert_free()
    await connected.assert_usable()


# ProbeResult


async def test_a_battery_is_proved_and_let_go(link: Link) -> None:
    """F10: what it reports, who it is."""
    proof = await probe(link.client)
    assert proof == ProbeResult(
        proof.status, Identity("TC-8S100-V1.0", "Z01T20", "2024-01-11")
    )
    assert proof.status.frame == status_reply(link.battery.registers(0, 41))
    assert link.sent == [STATUS_41, IDENTITY]
    assert link.peripheral.connections == 1
    await link.assert_free()


@pytest.mark.parametrize("reply", [None, build_reply(b"\x01\x83\x02")])
async def test_a_battery_without_an_identity_is_proved(
    link: Link, reply: bytes | None
) -> None:
    """Its values are proof enough."""
    link.battery.script[IDENTITY] = [reply]
    proof = await probe(link.client)
    assert proof.identity is None
    assert proof.status.cell_count == 8
    await link.assert_free()


async def test_one_implausible_sample_is_bad_luck(link: Link) -> None:
    """A second one is asked for."""
    link.battery.script[STATUS_41] = [status_reply([0] * 41), frame(current=2.5)]
    proof = await probe(link.client)
    assert proof.status.current == 2.5
    await link.assert_free()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ({STATUS_41: [status_reply([0] * 41)]}, ImplausibleError),
        (
            {STATUS_41: [NO_SUCH_REGISTERS], STATUS_39: [NO_SUCH_REGISTERS]},
            NotVlrvError,
        ),
        (
            {STATUS_41: [status_reply([0] * 41), NO_SUCH_REGISTERS]},
            RefusedError,  # it has spoken the language before
        ),
        ({STATUS_41: [None], STATUS_39: [None]}, NoAnswerError),
    ],
)
async def test_a_battery_that_fails_the_proof_is_let_go(
    link: Link, script: dict[bytes, list[bytes | None]], error: type[VlrvError]
) -> None:
    """F8, F10: with an error that says why."""
    link.battery.script.update(script)
    with pytest.raises(error):
        await probe(link.client)
    await link.assert_free()
    link.battery.script.clear()
    await link.assert_usable()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("refuse_connection", NotReachableError),
        ("refuse_subscription", ConnectionLostError),
        ("disconnect_on_subscribe", ConnectionLostError),
        ("disconnect_on_write", ConnectionLostError),
        ("disconnect_in_reply", ConnectionLostError),
        ("drop", NoAnswerError),
        ("corrupt", NoAnswerError),
    ],
)
async def test_a_proof_on_a_bad_link_leaves_nothing(
    link: Link, fault: str, error: type[VlrvError]
) -> None:
    """F8: every failing path ends without a link."""
    setattr(link.peripheral.faults, fault, FOREVER)
    with pytest.raises(error):
        await probe(link.client)
    await link.assert_free()
    await link.assert_usable()


async def test_a_foreign_battery_fails_the_proof(build: Build) -> None:
    """F10: politely; it is asked nothing."""
    link = await build(profile="jbd")
    with pytest.raises(NotVlrvError):
        await probe(link.client)
    assert link.sent == []
    await link.assert_free()


async def test_a_cancelled_proof_leaves_nothing(build: Build) -> None:
    """F8: the owner closes the window."""
    link = await build(reply_latency=1.0)
    link.bluetooth_env.medium.connection_interval = 0.02
    for after in (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0):
        proving = start(probe(link.client))
        await asyncio.sleep(after)
        await cancel(proving)
        await asyncio.sleep(0.5)
        await link.assert_free()
    link.peripheral.reply_latency = 0
    await link.assert_usable()


# Errors


def test_every_error_is_one_of_ours() -> None:
    """One door for callers, and some that a caller may treat as one."""
    for error in (
        NotVlrvError,
        NotReachableError,
        ConnectionLostError,
        NoAnswerError,
        RefusedError,
        ImplausibleError,
    ):
        assert issubclass(error, VlrvError)
    assert issubclass(NoSlotError, NotReachableError)
    assert issubclass(NotSentError, ConnectionLostError)
    assert str(RefusedError(7)) == "refused by the battery (code 7)"


# Firmware


async def test_a_transfer_goes_on_only_on_the_connection_it_began_on(
    connected: Link,
) -> None:
    """One that was made anew may lead to a battery that has restarted."""
    connected.battery.firmware_receiver = FirmwareReceiver()
    image = check_image("ZTHV-M_Z01T21.bin", build_image("Z01T21", 4096))
    client = connected.client

    def reconnect(percent: int) -> None:
        if percent >= 50:
            client.counters.connects += 1

    with pytest.raises(FirmwareError) as raised:
        await client.transfer_firmware(image, reconnect)
    assert not raised.value.may_restart
    sent = [frame for frame in connected.sent if frame[0] == FIRMWARE_FAMILY]
    assert 2 < len(sent) < 4096 // 128
