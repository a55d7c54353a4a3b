"""The trace of a connection: enough to understand a fault that is long gone."""

from __future__ import annotations

import asyncio
from datetime import datetime
import time

import pytest

from .samples import frame
from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from custom_components.voltgo_vlrv.vlrv.errors import (
    ImplausibleError,
    NoAnswerError,
    NotReachableError,
    RefusedError,
)
from custom_components.voltgo_vlrv.vlrv.settings import set_module_id, set_protocol
from custom_components.voltgo_vlrv.vlrv.trace import (
    KEPT,
    ConnectionEvent,
    Trace,
    redacted_hex,
)
from simulator.battery import SimulatedBattery, build_reply, status_reply
from simulator.faults import FOREVER
from simulator.peripheral import Peripheral
from tests.radio_env import RadioEnvironment

SOURCE = "02:00:00:00:00:01"
STATUS_READ = "0103000000298414"
LATENCY = 0.1  # s


def events(trace: Trace) -> list[str]:
    """Return what happened, in order."""
    return [entry["event"] for entry in trace.as_dict()["events"]]


@pytest.fixture(name="pack")
def pack_fixture(fast_clock: object) -> SimulatedBattery:
    """Return a battery that does not change."""
    return SimulatedBattery(clock=lambda: 0.0)


@pytest.fixture(name="peripheral")
async def peripheral_fixture(
    bluetooth_env: RadioEnvironment, pack: SimulatedBattery
) -> Peripheral:
    """Return the battery on the air, heard by an adapter."""
    peripheral = await bluetooth_env.add_battery(pack, reply_latency=LATENCY)
    await bluetooth_env.add_adapter(SOURCE)
    await bluetooth_env.heard(pack.address)
    return peripheral


@pytest.fixture(name="client")
def client_fixture(
    bluetooth_env: RadioEnvironment, pack: SimulatedBattery, peripheral: Peripheral
) -> VlrvClient:
    """Return a client that is not connected yet."""
    return VlrvClient(
        pack.name,
        lambda: bluetooth_env.find_device(pack.address),
    )


def test_trace_without_events_is_empty() -> None:
    """Nothing is made up."""
    trace = Trace()
    assert trace.as_dict() == {"sent": [], "received": [], "events": []}
    assert trace.last_sent == b""


def test_trace_contains_the_last_fifty_frames_each_way() -> None:
    """Oldest first, and the size stays what it is."""
    trace = Trace()
    for number in range(120):
        trace.record_sent(bytes((1, number)))
        trace.record_received(bytes((2, number)))
        trace.record_event(ConnectionEvent.REJECTED, str(number))
    found = trace.as_dict()
    assert KEPT == 50
    assert [entry["frame"] for entry in found["sent"]] == [
        bytes((1, number)).hex() for number in range(70, 120)
    ]
    assert [entry["frame"] for entry in found["received"]] == [
        bytes((2, number)).hex() for number in range(70, 120)
    ]
    assert [entry["detail"] for entry in found["events"]] == [
        str(number) for number in range(70, 120)
    ]
    assert trace.last_sent == bytes((1, 119))


async def test_trace_counts_a_repeated_event(fast_clock: object) -> None:
    """A day out of range does not push out what was before."""
    trace = Trace()
    started = time.time()
    trace.record_event(ConnectionEvent.LOST)
    for _ in range(1000):
        trace.record_event(ConnectionEvent.NOT_CONNECTED, "out of range", b"\x01")
        await asyncio.sleep(10)
    trace.record_event(ConnectionEvent.NOT_CONNECTED, "no slot")
    broke, away, slot = trace.as_dict()["events"]
    assert broke["event"] == "lost"
    assert (away["count"], away["detail"], away["frame"]) == (
        1000,
        "out of range",
        "01",
    )
    first = datetime.fromisoformat(away["first"])
    assert first.timestamp() == pytest.approx(started, abs=0.01)
    assert (datetime.fromisoformat(away["last"]) - first).total_seconds() == (
        pytest.approx(9990, abs=0.01)
    )
    assert slot["count"] == 1


def test_trace_hides_the_serial_number() -> None:
    """Neither is the checksum, from which a date could be guessed."""
    texts = b"MODEL".ljust(24, b"\0") + b"Z01T20" + b"2024-01-11".ljust(16, b"\0")
    reply = build_reply(bytes((1, 3, 46)) + texts)
    text = redacted_hex(reply)
    assert len(text) == 2 * len(reply)
    assert text.startswith(reply[:33].hex())
    assert text[66:] == "*" * 36
    assert b"2024".hex() not in text
    # Another reply of any kind is shown as it is.
    assert redacted_hex(frame()) == frame().hex()
    assert redacted_hex(b"") == ""


async def test_trace_contains_both_directions_with_their_times(
    client: VlrvClient, pack: SimulatedBattery
) -> None:
    """As they went over the air."""
    await client.connect()
    before = time.time()
    await client.read_status()
    found = client.trace.as_dict()
    (sent,) = found["sent"]
    (received,) = found["received"]
    assert sent["frame"] == STATUS_READ
    assert received["frame"] == status_reply(pack.registers(0, 41)).hex()
    times = [
        datetime.fromisoformat(entry["time"]).timestamp() for entry in (sent, received)
    ]
    assert before <= times[0] + 0.001
    assert LATENCY <= times[1] - times[0] + 0.001 < LATENCY + 0.5
    await client.disconnect()


async def test_trace_contains_a_connection_from_start_to_end(
    client: VlrvClient, peripheral: Peripheral
) -> None:
    """With the service that was found, and who ended it."""
    await client.connect()
    await client.connect()
    await client.disconnect()
    await client.disconnect()
    assert events(client.trace) == ["connected", "disconnected"]
    assert client.trace.as_dict()["events"][0]["detail"] == "service 0x1006"
    await asyncio.sleep(2)
    await client.connect()
    peripheral.drop_connection()
    await asyncio.sleep(1)
    assert events(client.trace) == ["connected", "disconnected", "connected", "lost"]


async def test_trace_contains_the_reason_of_a_failed_attempt(
    client: VlrvClient, peripheral: Peripheral
) -> None:
    """A connection that was never made has no end."""
    peripheral.faults.refuse_subscription = 1
    with pytest.raises(Exception, match="no notifications"):
        await client.connect()
    await peripheral.stop()
    await asyncio.sleep(1200)
    for _ in range(3):
        with pytest.raises(NotReachableError):
            await client.connect()
    first, second = client.trace.as_dict()["events"]
    assert first["event"] == second["event"] == "not_connected"
    assert first["detail"] == "ConnectionLostError: no notifications from the battery"
    assert second["detail"] == "NotReachableError: no adapter receives the battery"
    assert second["count"] == 3


async def test_trace_separates_missing_and_late_answers(
    client: VlrvClient, peripheral: Peripheral
) -> None:
    """The request that got no answer, and the answer that came too late."""
    await client.connect()
    peripheral.faults.drop = FOREVER
    with pytest.raises(NoAnswerError):
        await client.read_module_id()
    (_, unanswered) = client.trace.as_dict()["events"]
    assert (unanswered["event"], unanswered["count"]) == ("unanswered", 2)
    assert unanswered["frame"] == "1002007165"
    peripheral.faults.clear()
    peripheral.faults.duplicate = 1
    await client.read_module_id()
    await asyncio.sleep(1)
    late = client.trace.as_dict()["events"][-1]
    assert (late["event"], late["frame"][:8]) == ("late_reply", "10020101")
    received = client.trace.as_dict()["received"]
    assert [entry["frame"][:8] for entry in received] == ["10020101"] * 2
    await client.disconnect()


async def test_trace_contains_a_rejected_sample_with_its_reasons(
    client: VlrvClient, pack: SimulatedBattery
) -> None:
    """It is no longer among the last fifty frames when diagnostics are downloaded."""
    await client.connect()
    wrong = status_reply([*pack.registers(0, 24), 398, *pack.registers(25, 16)])
    answer = pack.handle
    vars(pack)["handle"] = lambda _: wrong
    with pytest.raises(ImplausibleError):
        await client.read_status()
    vars(pack)["handle"] = answer
    for _ in range(60):
        await client.read_status()
    rejected = client.trace.as_dict()["events"][-1]
    assert rejected["event"] == "rejected"
    assert "state_of_charge" in rejected["detail"]
    assert rejected["frame"] == wrong.hex()
    assert wrong.hex() not in str(client.trace.as_dict()["received"])
    await client.disconnect()


@pytest.mark.parametrize("family", ["register", "setting"])
async def test_trace_contains_a_refusal_with_its_code(
    client: VlrvClient, pack: SimulatedBattery, family: str
) -> None:
    """Of a read as of a write."""
    await client.connect()
    if family == "register":
        refusal = build_reply(bytes((1, 0x83, 2)))
        vars(pack)["handle"] = lambda _: refusal
        with pytest.raises(RefusedError):
            await client.read_status()
    else:
        pack.settings.module_id = 2
        refusal = build_reply(bytes((0x10, 6, 1, 1)))
        with pytest.raises(RefusedError):
            await client.write_setting(set_protocol(6, 1))
    refused = client.trace.as_dict()["events"][-1]
    assert refused["event"] == "refused"
    assert refused["detail"] == f"code {refusal[2 if family == 'register' else 3]}"
    assert refused["frame"] == refusal.hex()
    await client.disconnect()


async def test_trace_passes_every_settings_frame_on(
    bluetooth_env: RadioEnvironment, pack: SimulatedBattery, peripheral: Peripheral
) -> None:
    """Also one that comes twice; a status never."""
    passed: list[bytes] = []
    client = VlrvClient(
        pack.name,
        lambda: bluetooth_env.find_device(pack.address),
        on_settings_frame=passed.append,
    )
    await client.connect()
    await client.read_status()
    peripheral.faults.duplicate = 1
    await client.write_setting(set_module_id(3))
    await asyncio.sleep(1)
    assert passed == [build_reply(bytes((0x10, 7, 1, 0)))] * 2
    await client.disconnect()


def test_adapter_is_added_to_event_of_current_connection_once() -> None:
    """It is reported again with each change of its slots."""
    trace = Trace()
    trace.record_adapter("nowhere")
    for adapter in ("hci0", "proxy"):
        trace.record_event(ConnectionEvent.CONNECTED, "service 0xfff0")
        trace.record_event(ConnectionEvent.UNANSWERED)
        trace.record_adapter(adapter)
        trace.record_adapter(adapter)
    assert [
        entry["detail"]
        for entry in trace.as_dict()["events"]
        if entry["event"] == "connected"
    ] == ["service 0xfff0, adapter hci0", "service 0xfff0, adapter proxy"]
