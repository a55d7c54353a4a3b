"""Connecting and disconnecting: whatever happens, the client ends free or usable."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

from bleak import BleakClient
from bleak.backends.service import BleakGATTService
from bleak.exc import BleakError
import bleak_retry_connector
import pytest

from .harness import (
    ADDRESS,
    NAME,
    STATUS_39,
    STATUS_41,
    Build,
    ClientHarness,
    ScriptedBattery,
    start,
    subscribe_and,
)
from custom_components.voltgo_vlrv.vlrv.const import GATT_PROFILES, Timing
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotSentError,
    NotVlrvError,
    VlrvError,
)
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from simulator.bleak_client import VirtualClient
from simulator.faults import FOREVER
from simulator.profiles import PROFILES
from tests.radio_env import RadioEnvironment

# Connecting


@pytest.mark.parametrize(
    ("generation", "request_bytes"), [(1, STATUS_39), (2, STATUS_41)]
)
async def test_status_over_both_gatt_profiles_is_read(
    build: Build, generation: int, request_bytes: bytes
) -> None:
    """Services 0x1000 and 0x1006; 39 registers of the older, 41 of the newer."""
    harness = await build(ScriptedBattery(generation=generation))
    await harness.client.connect()
    harness.assert_held()
    status = await harness.client.read_status()
    assert harness.sent == [request_bytes]
    assert status.cells == tuple(harness.battery.reported().millivolts)
    assert len(status.registers) == (39 if generation == 1 else 41)
    assert await harness.client.read_identity() == Identity(
        "TC-8S100-V1.0", "Z01T20", "2024-01-11"
    )
    await harness.client.disconnect()
    await harness.assert_free()


def test_gatt_profile_is_detected_by_its_service() -> None:
    """Protocol 1."""
    shorts = [
        tuple(
            int(uuid[4:8], 16)
            for uuid in (profile.service, profile.write, profile.notify)
        )
        for profile in GATT_PROFILES
    ]
    assert shorts == [(0x1006, 0x1008, 0x1007), (0x1000, 0x1001, 0x1002)]


async def test_connect_twice_makes_one_connection(harness: ClientHarness) -> None:
    """Also when both calls come at once."""
    await asyncio.gather(harness.client.connect(), harness.client.connect())
    await harness.client.connect()
    assert harness.client.counters.connects == 1
    assert harness.peripheral.connections == 1
    harness.assert_held()


async def test_connect_out_of_range_is_not_reachable(build: Build) -> None:
    """At once, without an attempt."""
    harness = await build(start=False, heard=False)
    before = harness.clock.now
    with pytest.raises(NotReachableError):
        await harness.client.connect()
    assert harness.clock.now == before
    await harness.assert_free()


async def test_connect_to_an_absent_battery_fails_in_time(
    harness: ClientHarness,
) -> None:
    """Its advertisement is recent: 40 s at most, and a little to clean up."""
    await harness.peripheral.silence()
    before = harness.clock.now
    with pytest.raises(NotReachableError):
        await harness.client.connect()
    assert 10 < harness.clock.now - before < 46
    await harness.assert_free()
    await harness.peripheral.advertise()
    await harness.assert_usable()


async def test_connect_that_is_refused_is_not_reachable(harness: ClientHarness) -> None:
    """The battery advertises, and accepts no connection."""
    harness.peripheral.faults.refuse_connection = FOREVER
    before = harness.clock.now
    with pytest.raises(NotReachableError):
        await harness.client.connect()
    assert harness.clock.now - before < 46
    await harness.assert_free()
    await harness.assert_usable()


async def test_connect_makes_two_attempts_with_what_is_received_last(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second may be over another adapter; without one that receives, as the first."""
    asked: list[dict[str, Any]] = []

    async def establish(*_args: Any, **kwargs: Any) -> None:
        asked.append(kwargs)
        raise BleakError("refused")

    monkeypatch.setattr(bleak_retry_connector, "establish_connection", establish)
    first, second = object(), object()
    find_device = Mock(side_effect=[first, second, None])
    monkeypatch.setattr(harness.client._connection, "find_device", find_device)
    with pytest.raises(NotReachableError, match="refused"):
        await harness.client.connect()
    (options,) = asked
    assert options["max_attempts"] == 2
    assert options["ble_device_callback"]() is second
    assert options["ble_device_callback"]() is first


async def test_connect_without_an_answer_of_the_stack_ends(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: other batteries wait for their turn meanwhile."""

    async def never(*_args: Any, **_kwargs: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(bleak_retry_connector, "establish_connection", never)
    before = harness.clock.now
    with pytest.raises(NotReachableError):
        await harness.client.connect()
    assert harness.clock.now - before == pytest.approx(Timing().connect, abs=0.1)


async def test_connect_that_is_refused_once_is_repeated(harness: ClientHarness) -> None:
    """One call, two attempts."""
    harness.peripheral.faults.refuse_connection = 1
    await harness.client.connect()
    harness.assert_held()


async def test_connect_to_a_battery_held_by_a_phone_is_not_reachable(
    harness: ClientHarness,
) -> None:
    """It accepts one connection only, and the user's app has it."""
    await harness.peripheral.occupy()
    with pytest.raises(NotReachableError):
        await harness.client.connect()
    harness.assert_no_slot()
    await harness.peripheral.vacate()
    await harness.assert_usable()


async def test_connect_over_a_full_adapter_has_its_own_error(
    harness: ClientHarness,
) -> None:
    """The user can free a connection."""
    harness.adapter.faults.out_of_slots = True
    before = harness.clock.now
    with pytest.raises(NoSlotError, match=NAME):
        await harness.client.connect()
    assert harness.clock.now - before < 46
    assert harness.peripheral.connections == 0
    assert harness.adapter.connections == {}
    await harness.assert_usable()


async def test_connect_with_repeated_losses_is_an_error(harness: ClientHarness) -> None:
    """F7: bounded, and nothing is held."""
    harness.peripheral.faults.disconnect_on_connect = FOREVER
    before = harness.clock.now
    with pytest.raises((NotReachableError, ConnectionLostError)):
        await harness.client.connect()
    assert harness.clock.now - before < 46
    await harness.assert_free()
    assert harness.losses == []
    await harness.assert_usable()


@pytest.mark.parametrize("fault", ["refuse_subscription", "disconnect_on_subscribe"])
async def test_subscription_that_fails_leaves_no_connection(
    harness: ClientHarness, fault: str
) -> None:
    """F7, F8: a connection without notifications is useless."""
    setattr(harness.peripheral.faults, fault, FOREVER)
    with pytest.raises(ConnectionLostError):
        await harness.client.connect()
    await harness.assert_free()
    assert ADDRESS not in harness.adapter.gatt_cache
    assert harness.losses == []
    assert harness.client.counters.connects == 0
    await harness.assert_usable()


async def test_subscription_without_an_answer_times_out(harness: ClientHarness) -> None:
    """F7: after 10 s, and without a connection."""
    # ATT write requests, behind the headers of L2CAP.
    harness.bluetooth_env.medium.lose = lambda _sender, pdu: pdu[4] == 0x12
    before = harness.clock.now
    with pytest.raises(ConnectionLostError):
        await harness.client.connect()
    assert 10 <= harness.clock.now - before < 12
    await harness.assert_free()
    harness.bluetooth_env.medium.lose = None
    await harness.assert_usable()


async def test_connection_lost_right_after_subscribing_is_reported(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: the callback of the loss may be called before it is awaited."""

    async def lose(_client: VirtualClient) -> None:
        harness.peripheral.drop_connection()
        await asyncio.sleep(0.01)

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "start_notify", subscribe_and(lose))
        with pytest.raises(ConnectionLostError):
            await harness.client.connect()
    await harness.assert_free()
    await harness.assert_usable()


async def test_connection_that_is_lost_without_a_report_is_not_used(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: the callback of the loss may also be called later, or never."""
    lose = subscribe_and(VirtualClient._abandon)
    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "start_notify", lose)
        with pytest.raises(ConnectionLostError, match="lost at once"):
            await harness.client.connect()
    await harness.assert_free()


async def test_subscription_without_answer_ends_before_it_is_cancelled(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ESPHome's client library keeps the callback of a cancelled one for ever."""
    ends: list[str] = []
    limits: list[float] = []

    async def wait(_self: VirtualClient, *_args: Any, timeout: float, **_: Any) -> None:  # noqa: ASYNC109
        limits.append(timeout)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(3600)
        except (TimeoutError, asyncio.CancelledError) as err:
            ends.append(type(err).__name__)
            raise

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "start_notify", wait)
        with pytest.raises(ConnectionLostError):
            await harness.client.connect()
    assert ends == ["TimeoutError"]
    assert limits == [Timing().subscribe / 2]
    await harness.assert_usable()


async def test_connection_lost_before_service_discovery_is_reported(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: bleak then says that there are none."""
    establish = bleak_retry_connector.establish_connection

    async def establish_and_lose(*args: Any, **kwargs: Any) -> BleakClient:
        client: BleakClient = await establish(*args, **kwargs)
        harness.peripheral.drop_connection()
        await asyncio.sleep(0.01)
        return client

    with monkeypatch.context() as patch:
        patch.setattr(bleak_retry_connector, "establish_connection", establish_and_lose)
        with pytest.raises(VlrvError) as raised:
            await harness.client.connect()
    assert not isinstance(raised.value, NotVlrvError)
    await harness.assert_free()
    await harness.assert_usable()


async def test_foreign_battery_is_refused(build: Build) -> None:
    """F10: a JBD pack advertises the same; only its services differ."""
    harness = await build(profile="jbd")
    with pytest.raises(NotVlrvError):
        await harness.client.connect()
    await harness.assert_free()
    assert harness.sent == []


async def test_service_without_its_characteristics_is_foreign(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: the service alone proves nothing, and is written nothing to."""
    odd = replace(PROFILES["v2"], write=0x1009)
    monkeypatch.setitem(PROFILES, "odd", odd)
    harness = await build(profile="odd")
    with pytest.raises(NotVlrvError):
        await harness.client.connect()
    await harness.assert_free()
    assert harness.sent == []


async def test_services_in_an_outdated_cache_are_cleared_once(
    build: Build, bluetooth_env: RadioEnvironment
) -> None:
    """F7: what the adapter remembers of the device may be out of date."""
    harness = await build(profile="jbd")
    with pytest.raises(NotVlrvError):
        await harness.client.connect()
    assert ADDRESS in harness.adapter.gatt_cache
    await harness.peripheral.stop()
    harness.peripheral = await bluetooth_env.add_battery(ScriptedBattery())
    await harness.client.connect()
    harness.assert_held()
    assert harness.peripheral.connections == 2
    await harness.client.disconnect()
    # What is remembered now is right.
    await harness.client.connect()
    assert harness.peripheral.connections == 3
    assert (await harness.client.read_status()).cell_count == 8
    await harness.client.disconnect()
    await harness.assert_free()


async def test_services_of_the_same_kind_are_told_apart(
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
    harness = await build()
    await harness.client.connect()
    assert (await harness.client.read_status()).cell_count == 8
    await harness.client.disconnect()
    await harness.assert_free()


@pytest.mark.parametrize("fault", ["refuse_subscription", ""])
async def test_cache_that_is_never_cleared_times_out(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """F7: others wait for their turn to connect meanwhile."""

    async def never(_self: VirtualClient) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(VirtualClient, "clear_cache", never)
    before = harness.clock.now
    if fault:
        harness.peripheral.faults.refuse_subscription = 1
        with pytest.raises(ConnectionLostError):
            await harness.client.connect()
    else:
        await harness.client.connect()
        await harness.client.disconnect(clear_service_cache=True)
    assert harness.clock.now - before < 10
    await harness.assert_free()


async def test_disconnect_cancels_a_connection_that_waits_its_turn(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
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


# Losing the connection


@pytest.mark.parametrize("fault", ["disconnect_on_write", "disconnect_in_reply"])
async def test_connection_lost_during_a_request_ends_it_at_once(
    connected: ClientHarness, fault: str
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


async def test_connection_lost_between_requests_is_reported(
    connected: ClientHarness,
) -> None:
    """Once; later requests raise that there is no connection."""
    await connected.client.read_status()
    connected.peripheral.drop_connection()
    await asyncio.sleep(0.01)
    await connected.assert_free()
    assert len(connected.losses) == 1
    with pytest.raises(ConnectionLostError):
        await connected.client.read_status()
    await connected.assert_usable()
    assert len(connected.losses) == 1


async def test_requests_that_wait_fail_with_the_connection(build: Build) -> None:
    """F7: none of them hangs, none is sent."""
    harness = await build(reply_latency=1.0)
    await harness.client.connect()
    calls = [start(harness.client.read_status()) for _ in range(3)]
    await asyncio.sleep(0.5)
    harness.peripheral.drop_connection()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        ConnectionLostError,
        NotSentError,
        NotSentError,
    ]
    assert harness.sent == [STATUS_41]
    await harness.assert_free()


async def test_disconnect_is_not_reported_as_a_loss(connected: ClientHarness) -> None:
    """The caller knows."""
    await connected.client.disconnect()
    await asyncio.sleep(1)
    assert connected.losses == []
    await connected.assert_free()


async def test_disconnect_during_a_request_ends_it(build: Build) -> None:
    """At once; the call does not wait for its timeout."""
    harness = await build(reply_latency=1.0)
    await harness.client.connect()
    call = start(harness.client.read_status())
    await asyncio.sleep(0.5)
    before = harness.clock.now
    await harness.client.disconnect()
    with pytest.raises(ConnectionLostError, match=r"^disconnected$"):
        await call
    assert harness.clock.now - before < 0.1
    await harness.assert_free()
    harness.peripheral.reply_latency = 0
    await harness.assert_usable()


async def test_write_that_fails_is_a_lost_connection(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of bleak stay inside."""

    async def fail(*_args: Any, **_kwargs: Any) -> None:
        raise BleakError("the proxy says no")

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "write_gatt_char", fail)
        with pytest.raises(ConnectionLostError, match="the proxy says no"):
            await connected.client.read_status()
    await connected.assert_usable()


async def test_write_that_hangs_is_no_answer(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
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


# Disconnecting


async def test_disconnect_without_a_connection_does_nothing(
    harness: ClientHarness,
) -> None:
    """Never connected, and twice in a row."""
    await harness.client.disconnect()
    await harness.client.connect()
    await harness.client.disconnect()
    await harness.client.disconnect()
    await harness.assert_free()


async def test_disconnect_never_raises(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the adapter reports."""
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

        await harness.client.connect()
        with monkeypatch.context() as patch:
            patch.setattr(VirtualClient, "disconnect", fail)
            await harness.client.disconnect()
        assert len(asked) == 1
        await harness.assert_free()
    await harness.assert_usable()


async def test_disconnect_without_an_answer_times_out(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: 8 s, then the connection is left to its supervision timeout."""

    async def hang(_self: VirtualClient) -> None:
        await asyncio.sleep(3600)

    before = connected.clock.now
    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "disconnect", hang)
        await connected.client.disconnect()
    assert 8 <= connected.clock.now - before < 8.5
    assert not connected.client.is_connected
    connected.peripheral.drop_connection()
    await connected.assert_usable()


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 0.4])
async def test_disconnect_while_connecting_cancels_the_attempt(
    harness: ClientHarness, after: float
) -> None:
    """F8: nothing is held afterwards, wherever on its way it was."""
    harness.bluetooth_env.medium.connection_interval = 0.05
    connecting = start(harness.client.connect())
    await asyncio.sleep(after)
    assert not connecting.done()
    before = harness.clock.now
    await harness.client.disconnect()
    assert harness.clock.now - before < 1
    with pytest.raises(NotReachableError):
        await connecting
    await harness.assert_usable()
    await harness.client.disconnect()
    await harness.assert_free()


async def test_disconnect_twice_while_connecting_cancels_the_attempt(
    harness: ClientHarness,
) -> None:
    """F8: an unload and a stop may come together, also while it is given up."""
    harness.bluetooth_env.medium.connection_interval = 0.05
    connecting = start(harness.client.connect())
    await asyncio.sleep(0.3)
    assert not connecting.done()
    letting_go = [start(harness.client.disconnect())]
    while not letting_go[0].done():
        await asyncio.sleep(0)
        letting_go.append(start(harness.client.disconnect()))
    await asyncio.gather(*letting_go)
    assert len(letting_go) > 3
    with pytest.raises(NotReachableError):
        await connecting
    await harness.assert_free()


@pytest.mark.parametrize("error", [EOFError(), BrokenPipeError(), BleakError("gone")])
async def test_error_of_a_stopped_bluetooth_service_is_a_lost_connection(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch, error: Exception
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
    connected.peripheral.drop_connection()
    await connected.assert_usable()
