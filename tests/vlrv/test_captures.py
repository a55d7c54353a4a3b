"""What real batteries sent is understood."""

from __future__ import annotations

import struct

import pytest

from .captures import Capture, capture, captures, needs_captures
from custom_components.voltgo_vlrv.vlrv.faults import Errors, OperatingState
from custom_components.voltgo_vlrv.vlrv.frames import (
    FrameAssembler,
    crc16,
    read_request,
    settings_request,
)
from custom_components.voltgo_vlrv.vlrv.identity import Identity, decode_identity
from custom_components.voltgo_vlrv.vlrv.registers import BatteryStatus, decode_status
from custom_components.voltgo_vlrv.vlrv.validation import implausibilities

pytestmark = needs_captures

REPLIES = captures("status", "identity", "settings-response", "settings-request")
STATUS = captures("status", longer_than=60)
REQUESTS = captures("read-request")
CAN_NAMES = (
    "P01-GRW P02-SLK P03-DY P04-MGR P05-VCT P06-LUX P07-SMA P08-INH P09-SOL "
    "P10-AFO P11-STU"
)
BIGBATTERY = "BB-51.2V100Ah-0855"


def decoded(note: str, battery: str = "") -> BatteryStatus:
    """Return the first recorded status whose note contains this."""
    return decode_status(capture("status", note, battery))


def test_recordings_of_every_kind_exist() -> None:
    """So the tests below have something to check."""
    assert len(STATUS) >= 14
    assert len(REPLIES) >= 30
    assert REQUESTS
    assert captures("identity")
    assert captures("notification")


@pytest.mark.parametrize("entry", REPLIES, ids=lambda entry: entry.data[:3].hex())
def test_recorded_frame_in_any_pieces_is_yielded_exactly(entry: Capture) -> None:
    """In one piece, byte by byte, in pieces of 20, and twice in a row."""
    data = entry.data
    assembler = FrameAssembler()
    assert assembler.feed(data) == [data]
    assert [frame for byte in data for frame in assembler.feed(bytes((byte,)))] == [
        data
    ]
    pieces = [data[at : at + 20] for at in range(0, len(data), 20)]
    assert [frame for piece in pieces for frame in assembler.feed(piece)] == [data]
    assert assembler.feed(data + data) == [data, data]
    assert assembler.discarded == 0


@pytest.mark.parametrize("entry", REQUESTS, ids=lambda entry: entry.data.hex())
def test_recorded_read_request_is_no_reply(entry: Capture) -> None:
    """It has a good checksum, but a battery never sends it."""
    assembler = FrameAssembler()
    assert crc16(entry.data) == 0
    assert assembler.feed(entry.data) == []
    assert assembler.discarded == len(entry.data)


@pytest.mark.parametrize("entry", REQUESTS, ids=lambda entry: entry.data.hex())
def test_recorded_read_request_is_built_the_same(entry: Capture) -> None:
    """The app sends the same bytes."""
    start, count = struct.unpack_from(">HH", entry.data, 2)
    assert read_request(start, count) == entry.data


@pytest.mark.parametrize(
    "entry", captures("settings-request"), ids=lambda entry: entry.data.hex()
)
def test_recorded_settings_request_is_built_the_same(entry: Capture) -> None:
    """The app sends the same bytes."""
    assert settings_request(entry.data[1], entry.data[3:-2]) == entry.data


def test_notification_with_two_replies_is_split() -> None:
    """Module ID accepted, RS485 protocol refused with code 1."""
    data = capture("notification")
    first, second = FrameAssembler().feed(data)
    assert first + second == data
    assert (first[1], first[3]) == (0x07, 0)
    assert (second[1], second[3]) == (0x05, 1)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (0x03, "P01-GRW P02-LUX P03-SCH P04-INH P05-VOL"),
        (0x04, CAN_NAMES),
    ],
)
def test_recorded_protocol_lists_in_any_pieces_are_whole(
    function: int, names: str
) -> None:
    """Index, count, and names of ten bytes; a long frame in pieces of any size."""
    replies = [
        entry.data
        for entry in captures("settings-response", longer_than=10)
        if entry.data[1] == function
    ]
    assert len(replies) >= 2
    for reply in replies:
        assembler = FrameAssembler()
        (frame,) = [
            frame
            for at in range(0, len(reply), 157)
            for frame in assembler.feed(reply[at : at + 157])
        ]
        body = frame[3:-2]
        assert body[0] < body[1] == len(names.split())
        listed = [body[at : at + 10] for at in range(2, len(body), 10)]
        assert [name.rstrip(b"\0").decode() for name in listed] == names.split()


# Status


@pytest.mark.parametrize("entry", STATUS, ids=lambda entry: entry.data[-2:].hex())
def test_recorded_status_is_valid_and_consistent(entry: Capture) -> None:
    """What holds for every real battery (protocol 2.3 and 3)."""
    status = decode_status(entry.data)
    assert implausibilities(status) == ()
    assert status.frame == entry.data
    assert len(status.registers) == entry.data[2] // 2
    assert status.cell_count in {4, 8, 16}
    assert len(status.cells) == status.cell_count
    assert all(3000 < millivolts < 3650 for millivolts in status.cells)
    # Cut to 10 mV in all recordings but one.
    assert abs(round(status.voltage * 100) - sum(status.cells) // 10) <= 1
    assert abs(status.current) < 200
    assert 0 <= status.state_of_charge <= 100
    assert 0 <= status.state_of_health <= 100
    assert status.full_capacity in {100.0, 400.0}
    assert status.remaining_capacity == pytest.approx(
        status.full_capacity * status.state_of_charge / 100,
        abs=status.full_capacity * 0.015,
    )
    assert 0 < status.max_charge_current <= 220
    assert status.operating_state in OperatingState
    assert not status.warnings
    assert not status.protections
    assert not status.heating
    assert status.heating_enabled is (False if len(status.registers) > 40 else None)
    assert 0 <= status.cycles < 100
    assert status.balancing_cells == ()
    wired = 4 if status.cell_count == 16 else 2
    assert len(status.temperatures) in {0, wired}
    assert status.probes[wired:] == (None,) * (6 - wired)
    assert all(0 < value < 60 for value in status.temperatures)
    if status.temperatures:
        assert status.max_temperature == max(status.temperatures)
        assert not status.errors
    else:
        assert status.max_temperature is None


def test_recorded_pack_of_16_cells_is_decoded() -> None:
    """BigBattery, 51.2 V 100 Ah, at rest; 39 registers."""
    status = decoded("", BIGBATTERY)
    assert status.voltage == 53.18
    assert status.current == 0
    assert status.power == 0
    assert not status.charging
    assert len(status.cells) == 16
    assert (min(status.cells), max(status.cells)) == (3323, 3325)
    assert (status.pcb_temperature, status.ambient_temperature) == (27, 26)
    assert status.max_temperature == 25
    assert status.probes == (25, 25, 25, 25, None, None)
    assert status.remaining_capacity == 79
    assert status.full_capacity == 100
    assert status.max_charge_current == 100
    assert status.state_of_health == 100
    assert status.state_of_charge == 80
    assert status.operating_state is OperatingState.STANDBY
    assert status.cycles == 1
    assert status.heating_enabled is None


def test_recorded_pack_of_8_cells_has_cycles_low_word_first() -> None:
    """ZT, 25.6 V 100 Ah, at rest; 41 registers, of which 29 and 30 say 2 and 0."""
    status = decoded("41-register poll", "ZT-25.6V100Ah")
    assert status.voltage == 26.83
    assert status.cells == (3350, 3352, 3353, 3356, 3359, 3356, 3355, 3355)
    assert status.probes == (27, 27, None, None, None, None)
    assert (status.pcb_temperature, status.max_temperature) == (27, 27)
    assert status.remaining_capacity == 99
    assert status.full_capacity == 100
    assert status.state_of_charge == 99
    assert status.registers[29:31] == (2, 0)
    assert status.cycles == 2
    assert status.heating_enabled is False


def test_recorded_board_without_temperature_sensors_is_decoded() -> None:
    """4 cells, 400 Ah, in tenths; its error word has a bit whose meaning is unknown."""
    status = decoded("no temperature sensors")
    assert status.voltage == 13.29
    assert status.cells == (3323, 3322, 3323, 3321)
    assert status.pcb_temperature == 12
    assert status.ambient_temperature is None
    assert status.max_temperature is None
    assert status.temperatures == ()
    assert status.remaining_capacity == 400
    assert status.full_capacity == 400
    assert status.state_of_charge == 100
    assert status.operating_state is OperatingState.PROTECTION
    assert int(status.errors) == 0x0022
    assert Errors.TEMPERATURE in status.errors
    assert int(status.errors) & ~sum(Errors) == 0x0020


def test_recorded_single_register_is_no_status() -> None:
    """A recorded answer to a request for register 0 only, 26.83 V."""
    (entry,) = [entry for entry in captures("status") if len(entry.data) == 7]
    (frame,) = FrameAssembler().feed(entry.data)
    assert int.from_bytes(frame[3:5], "big") == 2683
    with pytest.raises(ValueError, match="7 bytes"):
        decode_status(frame)


def test_recorded_identity_is_read() -> None:
    """A longer read of the ZT, with NUL inside the model."""
    assert decode_identity(capture("identity")) == Identity(
        "TC-8S100-V1.0", "Z01T20", "2024-01-11"
    )
