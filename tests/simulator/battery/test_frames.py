"""The simulated battery answers frames as recorded batteries do."""

import struct

import pytest

from .helpers import STATUS_39, STATUS_41, Clock, pick, recorded, words
from simulator.battery import (
    ReplayBattery,
    ReportedState,
    SimulatedBattery,
    build_reply,
    read_request,
    settings_frame,
    status_reply,
)

# --- frames ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [39, 41])
def test_status_request_is_answered_with_registers(
    battery: SimulatedBattery, count: int
) -> None:
    """A status reply has the size of its request and carries the expected values."""
    reply = battery.handle({39: STATUS_39, 41: STATUS_41}[count])

    assert reply is not None
    assert len(reply) == 5 + 2 * count
    assert reply == status_reply(battery.registers(0, count))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(STATUS_41[:2], id="fragment"),
        pytest.param(STATUS_41[:-1] + b"\x15", id="bad CRC"),
        pytest.param(settings_frame(2)[:-1] + b"\x00", id="bad settings CRC"),
        pytest.param(read_request(0, 41, slave=2), id="another slave"),
        pytest.param(read_request(0, 41, slave=0x10), id="master as slave"),
        pytest.param(read_request(0, 41, function=1), id="function 01"),
        pytest.param(read_request(0, 41, function=6), id="function 06"),
        pytest.param(read_request(0, 0), id="no registers"),
        pytest.param(read_request(0, 126), id="too many registers"),
        pytest.param(build_reply(bytes.fromhex("01030000002900")), id="too long"),
        pytest.param(build_reply(bytes.fromhex("0103000029")), id="too short"),
        pytest.param(build_reply(bytes.fromhex("100701")), id="value missing"),
        pytest.param(build_reply(bytes.fromhex("10020101ff")), id="value too long"),
        pytest.param(build_reply(bytes.fromhex("1002")), id="length missing"),
        pytest.param(settings_frame(2, b"\x01"), id="get with a value"),
        pytest.param(settings_frame(7, b"\x01\x02"), id="set with two values"),
        pytest.param(settings_frame(8), id="08"),
        pytest.param(settings_frame(0x0B), id="0B"),
        pytest.param(settings_frame(0x0D), id="0D"),
    ],
)
def test_unknown_frame_is_not_answered(battery: SimulatedBattery, frame: bytes) -> None:
    """No exception and no error reply for a frame the battery does not support."""
    assert battery.handle(frame) is None


def test_function_04_is_answered_as_03(battery: SimulatedBattery) -> None:
    """Both read functions give the same bytes."""
    reply = battery.handle(read_request(0, 41, function=4))

    assert reply == battery.handle(STATUS_41)
    assert reply is not None
    assert reply[1] == 3


def test_undefined_registers_read_zero(battery: SimulatedBattery) -> None:
    """Gaps, absent thresholds and the end of the address space hold zeros."""
    assert words(battery.handle(read_request(41, 64))) == [0] * 64
    assert words(battery.handle(read_request(128, 125))) == [0] * 125
    assert words(battery.handle(read_request(0xFFFF, 2))) == [0, 0]


def test_reads_may_start_anywhere(battery: SimulatedBattery) -> None:
    """Single registers and reads across regions are answered."""
    everything = battery.registers(0, 125)

    assert words(battery.handle(read_request(0, 125))) == everything
    assert words(battery.handle(read_request(24, 1))) == [60]


# --- recorded frames ------------------------------------------------------------------


def state_of(frame: bytes) -> ReportedState:
    """Read a recorded status frame, knowing only the register table."""
    data = words(frame)
    cell_count = data[36]
    probes = struct.pack(">3H", *data[33:36])[: 4 if cell_count == 16 else 2]
    low_first = cell_count == 8
    full = (data[31] << 16 | data[32]) / 3_600_000
    scale = 1.0 if abs(data[21] - full * data[24] / 100) < 2 else 0.1
    switches = data[40] if len(data) > 40 else 0
    return ReportedState(
        voltage=data[0] / 100 if data[28] else None,
        current=struct.unpack(">h", frame[5:7])[0] / 10,
        cell_voltages=tuple(word / 1000 for word in data[2 : 2 + cell_count]),
        pcb_temperature=data[18],
        ambient_temperature=None if data[19] == 0xAA else data[19],
        probe_temperatures=tuple(None if p == 0xAA else p for p in probes),
        remaining_capacity=data[21] * scale,
        remaining_scale=scale,
        max_charge_current=data[22],
        state_of_health=data[23],
        state_of_charge=data[24],
        operating_state=data[25] & 0xFF,
        heating=bool(data[25] & 0x8000),
        warning=data[26],
        protection=data[27],
        error=data[28],
        cycles=data[29] if low_first else data[30],
        cycles_low_word_first=low_first,
        full_capacity=full,
        design_capacity=data[37] / 10,
        balancing=data[38],
        heating_enabled=bool(switches & 0x10),
    )


def test_recorded_states_encode_to_recorded_bytes(
    captures: list[dict[str, str]],
) -> None:
    """Every recorded status frame can be said again, byte for byte."""
    frames = [frame for frame in recorded(captures, "status") if frame[2] > 2]

    assert frames
    for frame in frames:
        registers = state_of(frame).to_registers()
        assert status_reply(registers[: frame[2] // 2]).hex() == frame.hex()


def test_settings_are_answered_as_recorded(captures: list[dict[str, str]]) -> None:
    """The conversation of a 16-cell pack, in its recorded bytes."""
    battery = SimulatedBattery(cell_count=16, clock=Clock())

    def answers(request: str, reply: str) -> None:
        frame = recorded(captures, "settings-request", request)[0]
        expected = recorded(captures, "settings-response", reply)[0]
        assert battery.handle(frame) == expected

    answers("get module id", "module id = 1")
    answers("get RS485", "get RS485 protocol: selected index 0")
    answers("get CAN", "get CAN protocol: selected index 0")
    answers("set CAN protocol -> 5", "set CAN protocol: OK")
    answers("set RS485 protocol -> 0", "set RS485 protocol: OK")
    battery.power_cycle()
    answers("get CAN", "get CAN protocol: selected index 5")
    answers("set module id -> 2", "set module id: OK")
    battery.power_cycle()
    answers("get module id", "module id = 2")
    answers("set RS485 protocol -> 1", "set RS485 protocol: FAILED")
    answers("set module id -> 1", "set module id: OK")
    battery.power_cycle()
    battery.handle(recorded(captures, "settings-request", "set RS485 protocol -> 1")[0])
    battery.power_cycle()
    answers("get RS485", "get RS485 protocol: selected index 1")


def test_identity_of_default_battery_is_recorded_one(
    captures: list[dict[str, str]],
) -> None:
    """Model with NULs inside, firmware and serial stand where they were seen."""
    frame = recorded(captures, "identity")[0]
    battery = SimulatedBattery(clock=Clock())

    assert battery.handle(read_request(105, frame[2] // 2)) == frame
    assert pick(battery, "model", "firmware", "serial") == [
        "TC-8S100-V1.0",
        "Z01T20",
        "2024-01-11",
    ]


def test_recorded_reads_are_understood(captures: list[dict[str, str]]) -> None:
    """Every read other programs send gets a reply of its size."""
    battery = SimulatedBattery(clock=Clock())

    for frame in recorded(captures, "read-request"):
        assert len(words(battery.handle(frame))) == frame[5]


# --- replay ---------------------------------------------------------------------------


def test_replay_gives_recorded_frames_in_turn() -> None:
    """Only what was recorded is answered."""
    first = status_reply(SimulatedBattery(clock=Clock()).registers(0, 39))
    second = status_reply(
        SimulatedBattery(state_of_charge=30, clock=Clock()).registers(0, 39)
    )
    identity = status_reply(SimulatedBattery(clock=Clock()).registers(105, 32))
    battery = ReplayBattery([first, second], identity=identity)

    assert battery.handle(STATUS_39) == first
    assert battery.handle(STATUS_41) is None
    assert battery.handle(STATUS_39[:-1] + b"\0") is None
    assert battery.handle(settings_frame(2)) is None
    assert battery.handle(read_request(105, 32)) == identity
    assert words(battery.handle(read_request(105, 23))) == words(identity)[:23]
    assert battery.handle(read_request(105, 33)) is None
    assert battery.next()
    assert battery.handle(STATUS_39) == second
    assert not battery.next()
    assert battery.handle(STATUS_39) == second
    assert ReplayBattery([first]).handle(read_request(105, 23)) is None
