"""A Bluetooth stack that fails: typed errors, and no connection that is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
import logging
from unittest.mock import AsyncMock, Mock, PropertyMock

from bleak.exc import BleakError
import bleak_retry_connector
import pytest

from .harness import STATUS_41, Build, ClientHarness, subscribe_and
from .samples import frame
from custom_components.voltgo_vlrv.vlrv import (
    ConnectionLostError,
    CorruptStreamError,
    FirmwareError,
    NoAnswerError,
    NotReachableError,
    RefusedError,
    VlrvError,
    close_stale_connections,
)
from custom_components.voltgo_vlrv.vlrv.errors import FirmwareFailure, FirmwareStep
from custom_components.voltgo_vlrv.vlrv.firmware import MAX_REQUEST_SIZE
from custom_components.voltgo_vlrv.vlrv.firmware_image import check_image
from custom_components.voltgo_vlrv.vlrv.frames import FIRMWARE_FAMILY
from custom_components.voltgo_vlrv.vlrv.gatt import _find_service, _reported, radio_call
from custom_components.voltgo_vlrv.vlrv.trace import ConnectionEvent
from custom_components.voltgo_vlrv.vlrv.transport import MAX_DISCARDED_BYTES
from simulator.bleak_client import VirtualClient
from simulator.clock import FastClock
from simulator.firmware import FirmwareReceiver, build_image

# What stacks were seen to raise, apart from their own errors.
ODD_ERRORS = [
    AssertionError("no reply"),
    AttributeError("'NoneType' object has no attribute 'x'"),
    KeyError("org.bluez.Device1"),
    RuntimeError("set changed size"),
    TypeError("bytes expected"),
    ValueError("not a MAC address"),
    EOFError(),
    BrokenPipeError(),
    BleakError("gone"),
]
ids = [type(error).__name__ for error in ODD_ERRORS]
OPERATIONS = {"start_notify": "subscribing", "write_gatt_char": "writing"}


@pytest.fixture(autouse=True)
def forget_reported_errors() -> None:
    """Have errors logged that another test has caused, too."""
    _reported.clear()


def assert_reported(
    caplog: pytest.LogCaptureFixture, error: Exception, operation: str
) -> None:
    """Check that the log has an error of an unexpected kind, and what was being done."""
    is_expected = isinstance(error, BleakError | EOFError | OSError)
    assert (f"Unexpected error while {operation}" in caplog.text) is not is_expected


def failing(error: Exception) -> Callable[..., Awaitable[None]]:
    """Return a method of a client that raises."""

    async def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    return fail


# Errors of any kind


@pytest.mark.parametrize("error", ODD_ERRORS, ids=ids)
async def test_error_of_any_kind_while_connecting_is_not_reachable(
    harness: ClientHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """Whatever the stack raises, the next attempt works."""
    with monkeypatch.context() as patch:
        patch.setattr(bleak_retry_connector, "establish_connection", failing(error))
        with pytest.raises(NotReachableError):
            await harness.client.connect()
    assert_reported(caplog, error, "connecting")
    await harness.assert_usable()


@pytest.mark.parametrize("error", ODD_ERRORS, ids=ids)
@pytest.mark.parametrize("method", OPERATIONS)
async def test_error_of_any_kind_on_a_connection_is_a_lost_connection(
    harness: ClientHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    error: Exception,
) -> None:
    """While subscribing and while writing."""

    async def read() -> None:
        await harness.client.connect()
        await harness.client.read_status()

    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, method, failing(error))
        with pytest.raises(ConnectionLostError):
            await read()
    assert_reported(caplog, error, OPERATIONS[method])
    await harness.client.disconnect()
    await harness.assert_usable()


async def test_error_of_any_kind_while_searching_is_not_reachable(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The callable of the caller asks the stack as well."""
    error = AssertionError("no manager")

    def find_device() -> None:
        raise error

    find = harness.client._connection.find_device
    harness.client._connection.find_device = find_device
    with pytest.raises(NotReachableError, match="no manager"):
        await harness.client.connect()
    assert_reported(caplog, error, "looking for the battery")
    harness.client._connection.find_device = find
    await harness.assert_usable()


def test_unexpected_errors_are_logged_once_with_their_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They may be faults of this library; errors of bleak are expected."""
    for error in (KeyError("x"), KeyError("y"), BleakError("z"), TimeoutError()):
        with pytest.raises(ConnectionLostError), radio_call("x", ConnectionLostError):
            raise error
    (record,) = [
        record for record in caplog.records if record.levelno >= logging.WARNING
    ]
    assert record.exc_info is not None
    assert "Unexpected error while x" in record.message
    for operation, other in (("y", KeyError("x")), ("x", TypeError("x"))):
        with (
            pytest.raises(ConnectionLostError),
            radio_call(operation, ConnectionLostError),
        ):
            raise other
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 3


async def test_error_of_any_kind_while_clearing_the_cache_is_only_logged(
    connected: ClientHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Disconnecting goes on."""
    error = KeyError("org.bluez.Device1")
    monkeypatch.setattr(VirtualClient, "clear_cache", failing(error))
    await connected.client.disconnect(clear_service_cache=True)
    assert_reported(caplog, error, "clearing the cache")
    await connected.assert_free()


def test_error_of_any_kind_while_reading_the_services_is_a_lost_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not a device without the service, which is not tried again."""
    error = KeyError("org.bluez.Device1")
    client = Mock()
    type(client).services = PropertyMock(side_effect=error)
    with pytest.raises(ConnectionLostError):
        _find_service(client)
    assert_reported(caplog, error, "reading the services")


async def test_error_of_any_kind_while_asking_for_the_connection_means_that_it_is_gone(
    connected: ClientHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is nothing left that could be disconnected."""
    error = KeyError("org.bluez.Device1")
    monkeypatch.setattr(VirtualClient, "disconnect", VirtualClient._abandon)
    with monkeypatch.context() as patch:
        is_connected = PropertyMock(side_effect=error)
        patch.setattr(VirtualClient, "is_connected", is_connected)
        await connected.client.disconnect()
        assert connected.client.is_disconnecting is False
        asked = is_connected.call_count
        assert connected.client.is_disconnecting is False
        assert is_connected.call_count == asked
    assert_reported(caplog, error, "asking for the connection")
    await connected.assert_free()


async def test_error_of_any_kind_right_after_subscribing_is_a_lost_connection(
    harness: ClientHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The stack is asked whether there still is a connection."""
    error = KeyError("org.bluez.Device1")
    with monkeypatch.context() as patch:

        async def fail_when_asked(_client: VirtualClient) -> None:
            is_connected = PropertyMock(side_effect=error)
            patch.setattr(VirtualClient, "is_connected", is_connected)

        patch.setattr(VirtualClient, "start_notify", subscribe_and(fail_when_asked))
        with pytest.raises(ConnectionLostError, match="KeyError"):
            await harness.client.connect()
    assert_reported(caplog, error, "asking for the connection")
    await harness.assert_free()


def test_radio_call_keeps_timeouts_typed_errors_and_cancellation() -> None:
    """A timeout may mean something else; what is typed stays what it is."""
    with (
        pytest.raises(ConnectionLostError, match=r"^EOFError$"),
        radio_call("x", ConnectionLostError),
    ):
        raise EOFError
    with (
        pytest.raises(NoAnswerError),
        radio_call("x", ConnectionLostError, timeout=NoAnswerError),
    ):
        raise TimeoutError
    with pytest.raises(NoAnswerError), radio_call("x", ConnectionLostError):
        raise NoAnswerError("typed")
    with pytest.raises(asyncio.CancelledError), radio_call("x", ConnectionLostError):
        raise asyncio.CancelledError


# Disconnecting


@pytest.mark.parametrize("error", [BleakError("in progress"), AssertionError(), None])
async def test_disconnect_that_fails_is_repeated_until_the_connection_is_gone(
    connected: ClientHarness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception | None,
) -> None:
    """With an error, or with an answer and a connection that stays (BlueZ)."""
    client = connected.client
    disconnect = VirtualClient.disconnect
    attempts: list[float] = []

    async def fail_twice(self: VirtualClient) -> None:
        attempts.append(connected.clock.now)
        if len(attempts) == 3:
            await disconnect(self)
        elif error is not None:
            raise error

    monkeypatch.setattr(VirtualClient, "disconnect", fail_twice)
    await client.disconnect()
    assert (client.is_connected, client.is_disconnecting) == (False, True)
    if error is not None:
        assert_reported(caplog, error, "disconnecting")
    assert connected.peripheral.is_connected
    await asyncio.sleep(1)
    assert client.is_disconnecting
    await asyncio.sleep(10)
    assert not client.is_disconnecting
    assert [later - attempts[0] for later in attempts] == pytest.approx(
        [0, 2, 6], abs=1
    )
    await connected.assert_free()
    assert connected.losses == []


async def test_disconnect_without_a_report_of_the_stack_ends(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack is asked whether the connection is gone."""
    monkeypatch.setattr(VirtualClient, "disconnect", VirtualClient._abandon)
    await connected.client.disconnect()
    assert not connected.client.is_disconnecting
    await connected.assert_free()


async def test_disconnect_that_fails_ends_with_the_report_of_the_stack(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The battery was switched off meanwhile: nothing is left to be ended."""
    client = connected.client
    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "disconnect", failing(BleakError("no")))
        await client.disconnect()
        assert client.is_disconnecting
        connected.peripheral.drop_connection()
        await asyncio.sleep(1)
        assert not client.is_disconnecting
    await connected.assert_usable()


async def test_connecting_while_a_disconnect_fails_tries_it_once_more_first(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The battery is wanted again: not after the next pause, but now."""
    client = connected.client
    await client.read_status()
    with monkeypatch.context() as patch:
        patch.setattr(VirtualClient, "disconnect", failing(BleakError("no")))
        await client.disconnect()
    assert client.is_disconnecting
    before = connected.clock.now
    await client.connect()
    assert connected.clock.now - before < 2
    assert (client.is_connected, client.is_disconnecting) == (True, False)
    assert (await client.read_status()).cell_count == 8
    await asyncio.sleep(60)
    connected.assert_held()


async def test_stale_connections_are_closed_without_ever_raising(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of a process that was killed; at the start nothing may fail."""
    asked: list[str] = []
    error = KeyError("no such device")

    async def close(address: str) -> None:
        asked.append(address)
        raise error

    monkeypatch.setattr(
        bleak_retry_connector, "close_stale_connections_by_address", close
    )
    await close_stale_connections("A4:C1:37:00:00:01")
    assert asked == ["A4:C1:37:00:00:01"]
    assert_reported(caplog, error, "closing stale connections")


async def test_stale_connections_that_are_never_closed_take_eight_seconds(
    fast_clock: FastClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of Home Assistant waits for it."""

    async def never(_address: str) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(
        bleak_retry_connector, "close_stale_connections_by_address", never
    )
    before = fast_clock.now
    await close_stale_connections("A4:C1:37:00:00:01")
    assert fast_clock.now - before == pytest.approx(8, abs=0.1)


# Data that is no frame


async def test_device_that_sends_garbage_without_end_is_disconnected(
    connected: ClientHarness,
) -> None:
    """With a typed error for the request in flight, and a report of the loss."""
    connected.battery.script[STATUS_41] = [None]
    reading = asyncio.create_task(connected.client.read_status())
    await asyncio.sleep(0.5)
    for _ in range(MAX_DISCARDED_BYTES // 200 + 1):
        connected.client._transport.handle_notification(bytearray(b"\x55" * 200))
    with pytest.raises(CorruptStreamError):
        await reading
    assert len(connected.losses) == 1
    (lost,) = [
        event["detail"]
        for event in connected.client.trace.as_dict()["events"]
        if event["event"] == ConnectionEvent.LOST
    ]
    assert lost == "the device sends data that is no frame"
    await asyncio.sleep(0.5)
    await connected.assert_free()
    await connected.assert_usable()


async def test_garbage_between_replies_ends_no_connection(
    connected: ClientHarness,
) -> None:
    """A noisy connection that answers is worth keeping."""
    transport = connected.client._transport
    for _ in range(5):
        transport.handle_notification(bytearray(b"\x55" * (MAX_DISCARDED_BYTES // 2)))
        assert (await connected.client.read_status()).cell_count == 8
    connected.assert_held()
    assert connected.client.discarded_bytes > 2 * MAX_DISCARDED_BYTES


async def test_unrequested_frames_do_not_excuse_garbage(
    connected: ClientHarness,
) -> None:
    """Only replies count: a hostile device can make frames as well."""
    transport = connected.client._transport
    for _ in range(MAX_DISCARDED_BYTES // 200 + 1):
        transport.handle_notification(bytearray(b"\x55" * 200 + frame()))
    await asyncio.sleep(0.2)
    assert not connected.client.is_connected
    await connected.assert_free()


# The size of a write


@pytest.mark.parametrize(
    ("mtu", "size"), [(78, 75), (139, 136), (140, 137), (160, 137)]
)
async def test_write_size_is_that_of_the_largest_notification(
    build: Build, mtu: int, size: int
) -> None:
    """Measured by a reply that has as many bytes as a firmware package."""
    harness = await build(max_mtu=mtu)
    assert harness.client.max_notification_size == 0
    await harness.client.connect()
    assert harness.client.max_notification_size == 0
    await harness.client.read_status()
    assert harness.client.max_notification_size == min(87, mtu - 3)
    assert await harness.client.measure_write_size() == size
    sent = len(harness.sent)
    assert await harness.client.measure_write_size() == size
    assert len(harness.sent) == sent + (size < MAX_REQUEST_SIZE)
    assert harness.client.counters.unanswered == 0
    await harness.client.disconnect()
    await harness.client.connect()
    assert harness.client.max_notification_size == 0
    await harness.client.disconnect()


@pytest.mark.parametrize("error", [NoAnswerError(), RefusedError(2)])
async def test_write_size_without_an_answer_is_what_was_received_before(
    build: Build, monkeypatch: pytest.MonkeyPatch, error: VlrvError
) -> None:
    """A battery need not answer a read of that many registers."""
    harness = await build()
    await harness.client.connect()
    await harness.client.read_status()
    size = harness.client.max_notification_size
    send = AsyncMock(side_effect=error)
    monkeypatch.setattr(harness.client._transport, "send_once", send)
    assert await harness.client.measure_write_size() == size < MAX_REQUEST_SIZE
    assert send.await_count == 1
    await harness.client.disconnect()


async def test_firmware_is_not_begun_on_a_connection_that_cannot_carry_a_package(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy told the MTU of an earlier connection; erasing would come first."""
    harness = await build(max_mtu=78)
    harness.battery.firmware_receiver = FirmwareReceiver()
    await harness.client.connect()
    image = check_image("ZTHV-M_Z01T21.bin", build_image("Z01T21", 4096))
    with pytest.raises(FirmwareError) as raised:
        await harness.client.transfer_firmware(image, lambda _percent: None)
    assert raised.value.reason is FirmwareFailure.PACKAGE_TOO_LARGE
    assert raised.value.step is FirmwareStep.SYNC
    assert not [sent for sent in harness.sent if sent[0] == FIRMWARE_FAMILY]
    await harness.client.disconnect()
    await harness.assert_free()


async def test_firmware_is_not_begun_on_a_connection_that_is_lost_at_once(
    connected: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is measured; nothing was sent, so the battery is as it was."""
    measure = AsyncMock(side_effect=ConnectionLostError("x"))
    monkeypatch.setattr(connected.client._transport, "measure_write_size", measure)
    image = check_image("ZTHV-M_Z01T21.bin", build_image("Z01T21", 4096))
    with pytest.raises(FirmwareError) as raised:
        await connected.client.transfer_firmware(image, lambda _percent: None)
    error = raised.value
    assert error.reason is FirmwareFailure.CONNECTION_LOST
    assert (error.step, error.package) == (FirmwareStep.SYNC, None)
    assert connected.sent == []


def test_typed_errors_of_a_lost_connection_have_one_base_class() -> None:
    """A caller that handles a lost connection handles a corrupt one."""
    assert issubclass(CorruptStreamError, ConnectionLostError)
    assert issubclass(CorruptStreamError, VlrvError)
