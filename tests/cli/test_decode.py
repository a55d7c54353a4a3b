"""Recorded frames in words, from every kind of file that users have."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
import json
from pathlib import Path
import struct
from unittest.mock import AsyncMock

import bleak
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
import pytest
from vlrv_cli.commands import EXIT_FAILED, vlrv
from vlrv_cli.explain import explain
from vlrv_cli.recordings import RecordingError, frames_of_file, parse_hex

from . import conftest  # noqa: F401 (puts the package on the path)
from simulator.battery import SimulatedBattery, build_reply, settings_frame
from tests.vlrv.captures import CAPTURES, needs_captures
from tests.vlrv.samples import frame

STATUS_REQUEST = bytes.fromhex("0103000000298414")
IDENTITY_REQUEST = bytes.fromhex("010300690017d5d8")


def values(data: bytes, **options: object) -> dict[str, str]:
    """Return what a frame is explained as, by name."""
    return {line.name: line.value for line in explain(data, **options).lines}  # type: ignore[arg-type]


def reply_to(request: bytes) -> bytes:
    """Return what the simulated battery answers."""
    reply = SimulatedBattery(clock=lambda: 0.0).handle(request)
    assert reply is not None
    return reply


# Words


def test_status_is_explained_with_its_units_and_grades() -> None:
    """The numbers of the sample; what is inferred is marked."""
    explanation = explain(frame(current=-12.5))
    assert explanation.title == "status, registers 0-40"
    shown = {line.name: (line.value, line.grade) for line in explanation.lines}
    assert shown["voltage"] == ("26.42 V", "A")
    assert shown["current"] == ("-12.5 A", "A")
    assert shown["cell 8"] == ("3307 mV", "A")
    assert shown["ambient_temperature"][1] == "C"
    assert shown["heating_enabled"][1] == "C"
    assert shown["protections"] == ("0x0000", "B")
    assert explanation.problems == []


def test_status_that_cannot_be_true_is_explained_with_the_reason() -> None:
    """And an impossible secondary number is shown raw."""
    assert explain(frame({24: 398})).problems == ["rejected: state_of_charge"]
    assert values(frame({23: 102}))["state_of_health"] == "unknown (0x0066)"


def test_faults_are_named_beside_their_word() -> None:
    """Their order is not proven, so the word stays visible."""
    shown = values(frame(protection=0x8008))
    assert shown["protections"] == "0x8008 cell_undervoltage"


@pytest.mark.parametrize(
    ("data", "title", "shown"),
    [
        (STATUS_REQUEST, "request: status, registers 0-40", {}),
        (IDENTITY_REQUEST, "request: identity, registers 105-127", {}),
        (bytes.fromhex("100200 7165"), "request: module ID", {}),
        (settings_frame(0x02, b"\x05"), "reply: module ID", {"module ID": "5"}),
        (
            settings_frame(0x07, b"\x01"),
            "set module ID",
            {"as a reply": "1: refused", "as a request": "value 1"},
        ),
        (
            settings_frame(0x04, b"\0\x01P05-VCT\0\0\0"),
            "reply: CAN protocols",
            {"0 (selected)": "P05-VCT, Victron"},
        ),
        (build_reply(b"\x01\x83\x02"), "refused", {"exception code": "2"}),
        (
            build_reply(b"\x01\x04\x01\x20" + b"\x0c\xe4" * 16),
            "cells beyond the first 16, part 1",
            {f"cell {n}": "3300 mV" for n in range(17, 33)},
        ),
        (
            build_reply(b"\x64\x02\x01\x00\x00"),
            "firmware: start write",
            {"data": "00 00"},
        ),
        (settings_frame(0x0B, b"\x01\x02"), "reply: function 0x0b", {"data": "01 02"}),
        (b"\x01\x03\x02\x00\x00\x00\x00", "7 bytes", {}),
    ],
)
def test_frame_of_each_kind_is_explained(
    data: bytes, title: str, shown: dict[str, str]
) -> None:
    """Requests, replies, refusals, what is unknown and what is damaged."""
    explanation = explain(data)
    assert explanation.title == title
    assert {line.name: line.value for line in explanation.lines} == shown


def test_identity_is_explained_without_the_serial_number() -> None:
    """A report is public."""
    shown = values(reply_to(IDENTITY_REQUEST))
    assert shown["model"] == "TC-8S100-V1.0"
    assert shown["serial"] == "(not shown)"


def test_reply_of_an_unknown_read_needs_its_request() -> None:
    """A reply does not name its registers."""
    request = build_reply(bytes.fromhex("010300780003"))
    reply = build_reply(b"\x01\x03\x06\x12\x34\0\0\x56\x78")
    assert explain(reply).title == "3 registers, from an unknown one on"
    explanation = explain(reply, request=request)
    assert explanation.title == "registers, registers 120-122"
    assert values(reply, request=request) == {
        "register 120": "0x1234",
        "register 122": "0x5678",
    }


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_with_a_checksum_are_explained(body: bytes) -> None:
    """Whatever a file holds, decoding never fails."""
    for data in (body, build_reply(body)):
        explanation = explain(data)
        assert explanation.title
        assert json.dumps(explanation.as_dict())


# Files


def btsnoop(packets: Iterable[tuple[bool, bytes]], datalink: int = 1002) -> bytes:
    """Return a Bluetooth log with these ATT packets: whether sent, and the packet."""
    data = struct.pack(">8sII", b"btsnoop\0", 1, datalink)
    for number, (sent, pdu) in enumerate(packets):
        l2cap = struct.pack("<HH", len(pdu), 4) + pdu
        # In two fragments, as a controller with small buffers makes them.
        for first, part in ((True, l2cap[:20]), (False, l2cap[20:])):
            if not part:
                continue
            head = 0x0040 | (0x2000 if first else 0x1000)
            packet = struct.pack("<HH", head, len(part)) + part
            if datalink == 1002:
                packet = b"\x02" + packet
            # Of the second adapter in the log of a monitor.
            flags = (
                (0x10004 if sent else 0x10005) if datalink == 2001 else int(not sent)
            )
            stamp = 0x00DCDDB30F2F8000 + 1_700_000_000_000_000 + number
            data += struct.pack(">IIIIq", len(packet), len(packet), flags, 0, stamp)
            data += packet
    return data


def write(value: bytes) -> tuple[bool, bytes]:
    """Return a write command."""
    return True, b"\x52\x15\x00" + value


def notify(value: bytes) -> tuple[bool, bytes]:
    """Return a notification."""
    return False, b"\x1b\x11\x00" + value


@pytest.mark.parametrize("datalink", [1001, 1002, 2001])
def test_bluetooth_log_is_taken_apart_to_frames_and_directions(datalink: int) -> None:
    """Fragments of a packet, and a reply in two notifications."""
    reply = frame()
    log = btsnoop(
        [
            write(STATUS_REQUEST),
            notify(reply[:75]),
            (False, b"\x0b\x01\x02\x03\x04"),  # the reply to a read of something else
            notify(reply[75:]),
        ],
        datalink,
    )
    found = list(frames_of_file(log))
    assert [(each.sent, each.frame) for each in found] == [
        (True, STATUS_REQUEST),
        (False, reply),
    ]
    assert found[0].source == "2023-11-14T22:13:20.000+00:00"


@given(st.integers(0, 600), st.binary(max_size=40))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_damaged_bluetooth_log_yields_frames_or_one_error(
    cut: int, noise: bytes
) -> None:
    """Cut off anywhere, as phones do, and overwritten."""
    log = btsnoop([write(STATUS_REQUEST), notify(frame()), notify(frame())])
    damaged = log[:cut] + noise + log[cut + len(noise) :]
    for data in (damaged, log[: max(8, cut)]):
        found = []
        with suppress(RecordingError):
            found = list(frames_of_file(data))
        assert {each.frame for each in found} <= {STATUS_REQUEST, frame()}


def test_text_log_with_any_separators_is_searched(tmp_path: Path) -> None:
    """App logs: bytes with blanks, colons, 0x, a reply cut over two lines."""
    reply = frame()
    text = "\n".join(
        [
            "2025-10-10 09:06:14.123 write: " + STATUS_REQUEST.hex(" "),
            "09:06:14 notify <" + reply[:75].hex(":") + ">",
            "09:06:14 notify <" + reply[75:].hex(":") + ">",
            "set: " + ", ".join(f"0x{byte:02X}" for byte in settings_frame(7, b"\0")),
            "MAC A4:C1:37:00:00:01 uuid 00001006-0000-1000-8000-00805f9b34fb",
        ]
    )
    found = list(frames_of_file(text.encode()))
    assert [(each.source, each.frame) for each in found] == [
        ("line 1", STATUS_REQUEST),
        ("line 3", reply),
        ("line 4", settings_frame(7, b"\0")),
    ]


@pytest.mark.parametrize("size", [20, 83, 87])
@pytest.mark.parametrize(
    "form",
    [
        "1764378991.123456000\t0x1b\t0x0011\t{hex}",
        "2025-10-10 09:06:14.123 A4:C1:37:00:00:01 notify <{spaced}>",
        "{hex}",
    ],
)
def test_text_log_with_times_and_addresses_yields_replies_in_pieces(
    form: str, size: int
) -> None:
    """As the tools print them; the last piece of an older board has three bytes."""
    reply = frame(count=39)
    pieces = [reply[at : at + size] for at in range(0, len(reply), size)] * 2
    text = "\n".join(
        form.format(hex=piece.hex(), spaced=piece.hex(" ")) for piece in pieces
    )
    assert [each.frame for each in frames_of_file(text.encode())] == [reply, reply]


def test_diagnostics_are_searched_with_their_directions() -> None:
    """The trace of our own download; the redacted identity is left out."""
    content = {
        "data": {
            "trace": {
                "sent": [{"time": "x", "frame": STATUS_REQUEST.hex()}],
                "received": [
                    {"time": "x", "frame": frame().hex()},
                    {
                        "time": "x",
                        "frame": reply_to(IDENTITY_REQUEST).hex()[:66] + "**" * 18,
                    },
                ],
            },
            "hash": "00" * 32,
        }
    }
    found = list(frames_of_file(json.dumps(content).encode()))
    assert [(each.source, each.sent, each.frame) for each in found] == [
        ("data.trace.sent[0].frame", True, STATUS_REQUEST),
        ("data.trace.received[0].frame", False, frame()),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[" * 100_000,
        b"btsnoop\0",
        b"btsnoop\0" + bytes(8),
        json.dumps({"format": "vlrv-dump", "version": 1}).encode(),
        json.dumps(
            {"format": "vlrv-dump", "version": 1, "registers": {"0": "x"}}
        ).encode(),
        json.dumps(
            {"format": "vlrv-dump", "version": 1, "registers": {"0": 70000}}
        ).encode(),
    ],
)
def test_broken_file_is_one_error(data: bytes) -> None:
    """A file is not trusted."""
    with pytest.raises(RecordingError):
        list(frames_of_file(data))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("01 03", b"\x01\x03"),
        ("0x01,0x03", b"\x01\x03"),
        ("01:03-FF", b"\x01\x03\xff"),
        ("013", None),
        ("battery", None),
        ("", None),
    ],
)
def test_hexadecimal_text_is_parsed(text: str, data: bytes | None) -> None:
    """As people copy it."""
    assert parse_hex(text) == data


# The command


def test_decode_command_prints_words_and_marks_what_is_not_proven() -> None:
    """Several arguments are one text of bytes."""
    result = CliRunner().invoke(vlrv, ["decode", *frame().hex(" ").split()])
    assert result.exit_code == 0
    assert "voltage: 26.42 V\n" in result.output
    assert "heating_enabled: no (0x0000)  (C, not proven)\n" in result.output


def test_decode_command_prints_json(tmp_path: Path) -> None:
    """With the frame, its direction and the grades."""
    path = tmp_path / "log.btsnoop"
    path.write_bytes(btsnoop([write(STATUS_REQUEST), notify(frame())]))
    result = CliRunner().invoke(vlrv, ["decode", "--json", str(path)])
    assert result.exit_code == 0
    request, reply = json.loads(result.output)
    assert (request["sent"], reply["sent"]) == (True, False)
    assert reply["frame"] == frame().hex()
    assert {"name": "voltage", "value": "26.42 V", "grade": "A"} in reply["values"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["decode", "nothing.log"],
            EXIT_FAILED,
            "neither hexadecimal bytes nor a file",
        ),
        (["decode"], 2, "Missing argument"),
        (["watch", "X", "--csv", "--json"], 2, "exclude each other"),
        (["read", "X", "--timeout", "0"], 2, "not in the range"),
    ],
)
def test_command_that_cannot_work_ends_with_its_code(
    arguments: list[str], code: int, message: str
) -> None:
    """And says why in one line."""
    result = CliRunner().invoke(vlrv, arguments)
    assert result.exit_code == code
    assert message in result.output + result.stderr


def test_decode_of_damaged_bytes_says_so() -> None:
    """The checksum is the first thing that a user doubts."""
    result = CliRunner().invoke(vlrv, ["decode", "0103020000ffff"])
    assert "the checksum is wrong" in result.output


@needs_captures
def test_decode_command_explains_every_recorded_frame() -> None:
    """All real frames that are intact."""
    for capture in CAPTURES:
        explanation = explain(capture.data)
        assert explanation.title
        if "checksum" not in "".join(explanation.problems):
            assert "unknown family" not in explanation.title


def test_command_without_bluetooth_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container."""
    monkeypatch.setattr(
        bleak.BleakScanner,
        "discover",
        AsyncMock(side_effect=FileNotFoundError(2, "No such file or directory")),
    )
    result = CliRunner().invoke(vlrv, ["scan"])
    assert result.exit_code == EXIT_FAILED
    assert result.stderr == (
        "vlrv: there is no usable Bluetooth: [Errno 2] No such file or directory\n"
    )
