"""What a client does with a battery: settings, cancellation, probe, firmware."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from bleak.backends.device import BLEDevice
from bumble.device import Connection
import pytest

from .harness import (
    ADDRESS,
    GRACE,
    IDENTITY,
    NO_SUCH_REGISTERS,
    STATUS_39,
    STATUS_41,
    Build,
    ClientHarness,
    cancel,
    start,
)
from .samples import frame
from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from custom_components.voltgo_vlrv.vlrv.const import Timing
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
from custom_components.voltgo_vlrv.vlrv.firmware_image import check_image
from custom_components.voltgo_vlrv.vlrv.frames import FIRMWARE_FAMILY
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from custom_components.voltgo_vlrv.vlrv.probe import ProbeResult, probe
from custom_components.voltgo_vlrv.vlrv.settings import set_module_id
from simulator.battery import build_reply, settings_frame, status_reply
from simulator.faults import FOREVER
from simulator.firmware import FirmwareReceiver, build_image

# Writing a setting


@pytest.mark.parametrize("again", [False, True])
async def test_write_for_another_connection_is_not_sent(
    build: Build, again: bool
) -> None:
    """The write depends on what was read on its connection; another battery may have another list."""
    harness = await build(timing=Timing(min_write_interval=5.0))
    await harness.client.connect()
    await harness.client.read_status()
    write = start(harness.client.write_setting(set_module_id(7)))
    await asyncio.sleep(1)
    await harness.client.disconnect()
    if again:
        await harness.client.connect()
        harness.assert_held()
    with pytest.raises(NotSentError):
        await write
    assert set_module_id(7) not in harness.sent
    await harness.client.connect()
    await harness.client.write_setting(set_module_id(7))
    assert harness.sent[-1] == set_module_id(7)
    await harness.client.disconnect()
    await harness.assert_free()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_write_without_an_answer_ends_the_connection(
    build: Build, cancelled: bool
) -> None:
    """A reply does not name the value it confirms: none may arrive late."""
    harness = await build()
    await harness.client.connect()
    harness.peripheral.faults.late = 1
    harness.peripheral.faults.late_by = 2.6
    write = start(harness.client.write_setting(set_module_id(7)))
    if cancelled:
        await asyncio.sleep(1.9)
        await cancel(write)
    else:
        with pytest.raises(NoAnswerError):
            await write
    await harness.assert_free()
    await harness.client.connect()
    harness.peripheral.faults.drop = 1
    with pytest.raises(NoAnswerError):
        await harness.client.write_setting(set_module_id(8))
    assert harness.sent == [set_module_id(7), set_module_id(8)]
    await harness.assert_usable()


async def test_write_that_is_refused_keeps_the_connection(
    connected: ClientHarness,
) -> None:
    """The battery answered; only the change was refused."""
    connected.battery.script[set_module_id(7)] = [settings_frame(7, b"\x01")]
    with pytest.raises(RefusedError) as raised:
        await connected.client.write_setting(set_module_id(7))
    assert raised.value.code == 1
    connected.assert_held()


# Being cancelled


async def test_connect_cancelled_at_any_time_leaves_nothing(
    harness: ClientHarness,
) -> None:
    """F8: wherever on its way it is cancelled, every 20 ms of it."""
    harness.bluetooth_env.medium.connection_interval = 0.05
    steps = 0
    for steps in range(1, 500):
        await harness.bluetooth_env.heard(ADDRESS, after=harness.clock.now)
        connecting = start(harness.client.connect())
        await asyncio.sleep(0.02 * steps)
        if connecting.done():
            break
        await cancel(connecting)
        await asyncio.sleep(0.5)
        await harness.assert_free()
    await connecting
    assert steps > 10
    harness.assert_held()
    await harness.assert_usable()


async def test_connect_cancelled_between_any_two_steps_leaves_nothing(
    harness: ClientHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8: after any turn of the event loop, where no time passes."""
    linked = asyncio.Event()
    on_connected = harness.peripheral._on_connected

    def tell(connection: Connection) -> None:
        on_connected(connection)
        linked.set()

    monkeypatch.setattr(harness.peripheral, "_on_connected", tell)
    await harness.peripheral.stop()
    await harness.peripheral.start()
    turns = 0
    for turns in range(0, 3000, 5):
        linked.clear()
        connecting = start(harness.client.connect())
        await linked.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        if connecting.done():
            break
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await harness.assert_free()
    await connecting
    assert turns > 50
    await harness.client.disconnect()
    await harness.assert_usable()


async def test_request_that_is_cancelled_leaves_the_connection_usable(
    build: Build,
) -> None:
    """F8: before the write, while waiting, between two attempts."""
    harness = await build(reply_latency=1.0)
    for after in (0.0, 0.05, 0.2, 0.5, 1.2, 2.5, 3.0):
        await harness.client.connect()
        harness.peripheral.faults.drop = 1
        reading = start(harness.client.read_status())
        await asyncio.sleep(after)
        await cancel(reading)
        harness.assert_held()
        harness.peripheral.faults.clear()
        assert (await harness.client.read_identity()).firmware == "Z01T20"
        assert (await harness.client.read_status()).cell_count == 8
        await harness.client.disconnect()
        await harness.assert_free()
    for earlier, later in pairwise(harness.times):
        assert later - earlier >= 0.15 - GRACE


async def test_answer_to_a_cancelled_request_is_discarded(
    build: Build,
) -> None:
    """F2: it arrives while something else is asked."""
    harness = await build(reply_latency=1.0)
    await harness.client.connect()
    reading = start(harness.client.read_status())
    await asyncio.sleep(0.5)
    await cancel(reading)
    assert (await harness.client.read_identity()).firmware == "Z01T20"
    assert harness.client.counters.late_replies == 1
    await harness.client.disconnect()


async def test_status_with_secondary_number_out_of_range_is_read_and_counted(
    connected: ClientHarness,
) -> None:
    """State of health of 102 %: one number is unknown, no other one is lost."""
    connected.battery.script[STATUS_41] = [frame({23: 102}), frame({23: 103}), frame()]
    for expected in (None, None, 100):
        status = await connected.client.read_status()
        assert status.state_of_health == expected
        assert status.cell_count == 8
    assert connected.client.counters.unknown_fields == {"state_of_health": 2}


async def test_client_from_device_connects_inside_the_context_only(
    harness: ClientHarness,
) -> None:
    """As a script uses it: with the device of a scan, and with another one later."""
    device = harness.bluetooth_env.find_device(ADDRESS)
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
    await harness.assert_free()
    with pytest.raises(ZeroDivisionError):
        async with client:
            raise ZeroDivisionError
    await harness.assert_free()


async def test_request_cancelled_while_waiting_does_not_affect_the_current_one(
    build: Build,
) -> None:
    """The one in front is answered as usual."""
    harness = await build(reply_latency=1.0)
    await harness.client.connect()
    first, second = (
        start(harness.client.read_status()),
        start(harness.client.read_identity()),
    )
    await asyncio.sleep(0.5)
    await cancel(second)
    assert (await first).cell_count == 8
    assert harness.sent == [STATUS_41]
    await harness.client.disconnect()


async def test_disconnect_that_is_cancelled_leaves_no_slot_taken(
    connected: ClientHarness,
) -> None:
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


async def test_probe_of_a_battery_returns_values_and_disconnects(
    harness: ClientHarness,
) -> None:
    """F10: what it reports, who it is."""
    proof = await probe(harness.client)
    assert proof == ProbeResult(
        proof.status, Identity("TC-8S100-V1.0", "Z01T20", "2024-01-11")
    )
    assert proof.status.frame == status_reply(harness.battery.registers(0, 41))
    assert harness.sent == [STATUS_41, IDENTITY]
    assert harness.peripheral.connections == 1
    await harness.assert_free()


@pytest.mark.parametrize("reply", [None, build_reply(b"\x01\x83\x02")])
async def test_probe_without_an_identity_succeeds(
    harness: ClientHarness, reply: bytes | None
) -> None:
    """Valid values are proof enough."""
    harness.battery.script[IDENTITY] = [reply]
    proof = await probe(harness.client)
    assert proof.identity is None
    assert proof.status.cell_count == 8
    await harness.assert_free()


async def test_probe_with_one_invalid_sample_asks_again(harness: ClientHarness) -> None:
    """A second one is asked for."""
    harness.battery.script[STATUS_41] = [status_reply([0] * 41), frame(current=2.5)]
    proof = await probe(harness.client)
    assert proof.status.current == 2.5
    await harness.assert_free()


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
async def test_probe_that_fails_disconnects(
    harness: ClientHarness,
    script: dict[bytes, list[bytes | None]],
    error: type[VlrvError],
) -> None:
    """F8, F10: with an error that says why."""
    harness.battery.script.update(script)
    with pytest.raises(error):
        await probe(harness.client)
    await harness.assert_free()
    harness.battery.script.clear()
    await harness.assert_usable()


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
async def test_probe_on_a_bad_connection_leaves_nothing(
    harness: ClientHarness, fault: str, error: type[VlrvError]
) -> None:
    """F8: every failing path ends without a connection."""
    setattr(harness.peripheral.faults, fault, FOREVER)
    with pytest.raises(error):
        await probe(harness.client)
    await harness.assert_free()
    await harness.assert_usable()


async def test_probe_of_a_foreign_battery_fails(build: Build) -> None:
    """F10: no request is sent to it."""
    harness = await build(profile="jbd")
    with pytest.raises(NotVlrvError):
        await probe(harness.client)
    assert harness.sent == []
    await harness.assert_free()


async def test_probe_that_is_cancelled_leaves_nothing(build: Build) -> None:
    """F8: the user closes the window."""
    harness = await build(reply_latency=1.0)
    harness.bluetooth_env.medium.connection_interval = 0.02
    for after in (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0):
        proving = start(probe(harness.client))
        await asyncio.sleep(after)
        await cancel(proving)
        await asyncio.sleep(0.5)
        await harness.assert_free()
    harness.peripheral.reply_latency = 0
    await harness.assert_usable()


# Errors


def test_errors_of_the_library_have_one_base_class() -> None:
    """Callers can catch all of them at once."""
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


async def test_transfer_on_another_connection_ends(
    connected: ClientHarness,
) -> None:
    """Another one may lead to a battery that has restarted."""
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
