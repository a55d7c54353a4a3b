"""Requests and their replies, of which some come late, damaged, or never."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from .harness import (
    ADDRESS,
    GRACE,
    IDENTITY,
    NAME,
    NO_SUCH_REGISTERS,
    STATUS_39,
    STATUS_41,
    Build,
    ClientHarness,
    ScriptedBattery,
)
from .samples import frame
from custom_components.voltgo_vlrv.vlrv.const import Timing
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    RefusedError,
)
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from simulator.battery import ReplayBattery, build_reply, status_reply
from simulator.faults import FOREVER

# Requests


async def test_status_has_the_current_in_the_scale_of_the_board(
    connected: ClientHarness,
) -> None:
    """Known from earlier samples, and told to the client."""
    connected.battery.script[STATUS_41] = [frame(current=-123.4)]
    connected.client.current_scale = 100
    assert (await connected.client.read_status()).current == -12.34


async def test_status_equals_what_the_battery_reports(connected: ClientHarness) -> None:
    """One request, one frame."""
    status = await connected.client.read_status()
    assert status.frame == status_reply(connected.battery.registers(0, 41))
    assert connected.sent == [STATUS_41]
    counters = connected.client.counters
    assert (counters.connects, counters.requests) == (1, 1)
    assert (counters.unanswered, counters.late_replies) == (0, 0)
    assert connected.client.discarded_bytes == 0


async def test_request_without_a_connection_fails_at_once(
    harness: ClientHarness,
) -> None:
    """Before connecting, and after disconnecting."""
    for read in (harness.client.read_status, harness.client.read_identity):
        with pytest.raises(ConnectionLostError):
            await read()
    await harness.client.connect()
    await harness.client.disconnect()
    before = harness.clock.now
    for read in (harness.client.read_status, harness.client.read_identity):
        with pytest.raises(ConnectionLostError):
            await read()
    assert harness.clock.now - before < 0.5
    assert harness.sent == []


async def test_requests_are_sent_one_at_a_time(build: Build) -> None:
    """F2: a second call waits for the answer to the first."""
    harness = await build(reply_latency=0.5)
    await harness.client.connect()
    status, identity, again = await asyncio.gather(
        harness.client.read_status(),
        harness.client.read_identity(),
        harness.client.read_status(),
    )
    assert harness.sent == [STATUS_41, IDENTITY, STATUS_41]
    answered = [notification.time for notification in harness.peripheral.notifications]
    assert len(answered) == 3
    for reply, following in zip(answered, harness.times[1:], strict=False):
        assert following >= reply
    assert identity.firmware == "Z01T20"
    assert status == again
    assert harness.client.counters.late_replies == 0
    await harness.client.disconnect()


async def test_frames_are_spaced(connected: ClientHarness) -> None:
    """Closer ones are lost and not applied; 150 ms, however fast the answers are."""
    for _ in range(4):
        await connected.client.read_status()
        await connected.client.read_identity()
    times = connected.times
    assert len(times) == 8
    for earlier, later in pairwise(times):
        assert 0.15 - GRACE <= later - earlier < 0.16
    assert all(write.applied for write in connected.peripheral.writes)


async def test_request_after_a_pause_is_not_delayed(connected: ClientHarness) -> None:
    """Spacing is a distance, not a delay."""
    await connected.client.read_status()
    await asyncio.sleep(5)
    before = connected.clock.now
    await connected.client.read_status()
    assert connected.times[-1] - before < 0.001


async def test_frame_that_is_first_waits_until_the_connection_has_settled(
    harness: ClientHarness,
) -> None:
    """At least 100 ms after subscribing."""
    await harness.client.connect()
    subscribed = harness.clock.now
    await harness.client.read_status()
    assert 0.1 - GRACE <= harness.times[0] - subscribed < 0.11


async def test_frames_across_a_reconnection_are_spaced(
    connected: ClientHarness,
) -> None:
    """The battery does not know that the connection is another one."""
    await connected.client.read_status()
    await connected.client.disconnect()
    await connected.client.connect()
    await connected.client.read_status()
    assert connected.times[1] - connected.times[0] >= 0.1 - GRACE


@pytest.mark.parametrize("lost", [1, 2])
async def test_request_with_a_dropped_reply_is_repeated(
    connected: ClientHarness, lost: int
) -> None:
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


async def test_request_without_a_reply_is_sent_three_times(
    connected: ClientHarness,
) -> None:
    """F6: after 6 s no caller answered; the client is usable afterwards."""
    await connected.client.read_status()
    connected.peripheral.writes.clear()
    connected.peripheral.faults.drop = FOREVER
    before = connected.clock.now
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert 6 <= connected.clock.now - before < 6.3
    assert connected.sent == [STATUS_41] * 3
    counters = connected.client.counters
    assert (counters.requests, counters.unanswered) == (4, 3)
    connected.assert_held()
    connected.peripheral.faults.clear()
    assert (await connected.client.read_status()).cell_count == 8


async def test_request_that_is_optional_is_sent_less_often(
    connected: ClientHarness,
) -> None:
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


async def test_status_of_a_silent_battery_is_requested_in_both_lengths(
    connected: ClientHarness,
) -> None:
    """F6: 41, then 39 registers, each three times; then it counts as unresponsive."""
    connected.peripheral.faults.drop = FOREVER
    before = connected.clock.now
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert connected.clock.now - before < 12.5
    assert connected.sent == [STATUS_41] * 3 + [STATUS_39] * 3
    connected.assert_held()
    connected.peripheral.faults.clear()
    assert (await connected.client.read_status()).heating_enabled is False


async def test_status_of_an_older_battery_is_requested_with_39_only(
    build: Build,
) -> None:
    """The first generation was never observed to answer a longer request."""
    harness = await build(ScriptedBattery(generation=1))
    await harness.client.connect()
    harness.peripheral.faults.drop = FOREVER
    with pytest.raises(NoAnswerError):
        await harness.client.read_status()
    assert harness.sent == [STATUS_39] * 3
    await harness.assert_usable()


async def test_status_of_a_battery_with_39_is_requested_with_39(
    build: Build,
) -> None:
    """The length that was answered once is requested from then on."""
    harness = await build(
        ReplayBattery(
            [frame(count=39), frame(count=39, current=-4.0)], name=NAME, address=ADDRESS
        )
    )
    battery = harness.peripheral.battery
    assert isinstance(battery, ReplayBattery)
    await harness.client.connect()
    status = await harness.client.read_status()
    assert status.frame == battery.current
    assert status.heating_enabled is None
    assert harness.sent == [STATUS_41] * 3 + [STATUS_39]
    assert battery.next()
    assert (await harness.client.read_status()).current == -4.0
    assert harness.sent[4:] == [STATUS_39]
    await harness.client.disconnect()
    await harness.assert_free()


async def test_status_of_a_battery_with_41_is_requested_with_41(
    connected: ClientHarness,
) -> None:
    """A few lost replies do not drop the registers of its heater."""
    await connected.client.read_status()
    connected.peripheral.faults.drop = FOREVER
    with pytest.raises(NoAnswerError):
        await connected.client.read_status()
    assert set(connected.sent) == {STATUS_41}


# Replies that come damaged, twice, late


async def test_reply_in_small_notifications_is_read(connected: ClientHarness) -> None:
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
async def test_reply_that_is_damaged_is_no_sample(
    connected: ClientHarness, fault: str, unanswered: int, late: int, discarded: int
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


async def test_reply_that_is_late_is_discarded(build: Build) -> None:
    """F2: only its length shows that it answers another request."""
    harness = await build(
        timing=Timing(attempts=1, optional_attempts=1), reply_latency=0.2
    )
    await harness.client.connect()
    await harness.client.read_status()
    harness.peripheral.faults.late = 1
    harness.peripheral.faults.late_by = 1.9
    with pytest.raises(NoAnswerError):
        await harness.client.read_status()
    # Its answer arrives 0.1 s from now, 0.1 s before that to the next request.
    identity = await harness.client.read_identity()
    assert identity == Identity("TC-8S100-V1.0", "Z01T20", "2024-01-11")
    assert harness.client.counters.late_replies == 1
    # The other way round.
    harness.peripheral.faults.late = 1
    with pytest.raises(NoAnswerError):
        await harness.client.read_identity()
    assert (await harness.client.read_status()).cell_count == 8
    assert harness.client.counters.late_replies == 2
    assert harness.client.counters.unanswered == 2
    assert harness.sent == [STATUS_41, STATUS_41, IDENTITY, IDENTITY, STATUS_41]
    await harness.client.disconnect()


async def test_reply_without_a_waiting_request_is_discarded(
    connected: ClientHarness,
) -> None:
    """F2: it arrived after the last attempt, and answers no later request."""
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


async def test_reply_that_is_a_duplicate_is_discarded(connected: ClientHarness) -> None:
    """F2: two identical replies to the first, one to the second."""
    connected.peripheral.faults.duplicate = 1
    connected.battery.script[STATUS_41] = [frame(current=1.0), frame(current=2.0)]
    assert (await connected.client.read_status()).current == 1.0
    assert (await connected.client.read_status()).current == 2.0
    assert connected.client.counters.late_replies == 1


async def test_replies_in_one_notification_count_by_the_last(
    connected: ClientHarness,
) -> None:
    """An adapter held back those before: they are as old as their requests."""
    connected.battery.script[STATUS_41] = [
        frame(current=number) for number in (1.0, 2.0, 3.0)
    ]
    connected.peripheral.faults.merge = 2
    status = await connected.client.read_status()
    assert connected.sent == [STATUS_41] * 3
    assert status.current == 3.0
    assert connected.client.counters.late_replies == 2


async def test_replies_at_one_instant_count_by_the_last(
    connected: ClientHarness,
) -> None:
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


async def test_reply_of_another_kind_is_discarded(connected: ClientHarness) -> None:
    """F2: more cells and settings in front of the answer, in one notification."""
    more_cells = build_reply(b"\x01\x04\x01\x20" + bytes(32))
    setting = build_reply(b"\x10\x07\x01\x00")
    connected.battery.script[STATUS_41] = [more_cells + setting + frame(current=3.0)]
    assert (await connected.client.read_status()).current == 3.0
    assert connected.client.counters.late_replies == 2
    assert connected.client.discarded_bytes == 0


async def test_reply_cut_before_the_request_is_not_completed(
    connected: ClientHarness,
) -> None:
    """F2: incomplete data is discarded before each request."""
    connected.peripheral.faults.truncate = 1
    connected.battery.script[STATUS_41] = [frame(), frame()[43:], frame(current=5.0)]
    assert (await connected.client.read_status()).current == 5.0
    assert connected.client.counters.unanswered == 2


# Answers that are none


async def test_exception_reply_is_a_refusal(connected: ClientHarness) -> None:
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


async def test_status_after_lost_replies_is_requested_with_all_registers(
    connected: ClientHarness,
) -> None:
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
async def test_status_after_a_refusal_of_41_is_requested_with_39(
    connected: ClientHarness, code: int
) -> None:
    """A board with fewer registers may say so instead of not answering."""
    connected.battery.script[STATUS_41] = [build_reply(bytes((0x01, 0x83, code)))]
    status = await connected.client.read_status()
    assert len(status.registers) == 39
    assert status.heating_enabled is None
    await connected.client.read_status()
    assert connected.sent == [STATUS_41, STATUS_39, STATUS_39]


async def test_status_after_a_refusal_of_its_length_is_requested_with_all(
    connected: ClientHarness,
) -> None:
    """One refusal does not drop the heater's registers for good; only other firmware may."""
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


async def test_exception_reply_to_another_function_is_no_refusal(
    connected: ClientHarness,
) -> None:
    """F3: only 0x83 answers a read."""
    other = build_reply(b"\x01\x84\x02")
    connected.battery.script[IDENTITY] = [other]
    with pytest.raises(NoAnswerError):
        await connected.client.read_identity()
    assert connected.client.counters.late_replies == len(connected.sent) > 0


async def test_status_that_is_invalid_is_an_error_with_its_reasons(
    connected: ClientHarness,
) -> None:
    """F3: intact, but the values are impossible; the next request is as usual."""
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
