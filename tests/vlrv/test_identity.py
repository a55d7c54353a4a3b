"""Who a battery is, and which model of the manual; what the language depends on."""

from __future__ import annotations

import ast
from pathlib import Path
import struct
from typing import Any

import pytest

from custom_components.voltgo_vlrv import vlrv
from custom_components.voltgo_vlrv.vlrv.frames import read_request
from custom_components.voltgo_vlrv.vlrv.identity import (
    IDENTITY_COUNT,
    IDENTITY_START,
    MODELS,
    TEXT_FIELDS,
    Identity,
    decode_identity,
    find_model,
)
from simulator.battery import SimulatedBattery, status_reply

SOURCES = sorted(Path(vlrv.__file__).parent.glob("*.py"))

# Manual V2.8, table 4-1; the number of cells is the voltage over 3.2 V.
TABLE_4_1 = """
VLRV1280A	12.8	100	1280	308	172	220	11.2
VLRV2560A	12.8	200	2560	460	220	213	24
VLRV5120A	12.8	400	5120	460	320	247	43
VLRV2560B	25.6	100	2560	460	220	213	24
VLRV5120B	25.6	200	5120	460	320	247	43.5
VLRV5120C	51.2	100	5120	460	320	247	44
"""
CONNECTED = {"client", "discovery", "gatt", "transport"}
"""Modules that use Bluetooth; `probe` and the package itself only import them."""
PURE = [source for source in SOURCES if source.stem not in CONNECTED]


def reply(text: bytes, count: int = IDENTITY_COUNT) -> bytes:
    """Return an identity reply whose registers begin with this text."""
    return status_reply(struct.unpack(f">{count}H", text.ljust(2 * count, b"\0")))


def answer(**options: Any) -> Identity:
    """Return how a simulated battery introduces itself."""
    battery = SimulatedBattery(**options)
    frame = battery.handle(read_request(IDENTITY_START, IDENTITY_COUNT))
    assert frame is not None
    return decode_identity(frame)


def test_identity_texts_fill_the_registers_of_the_request() -> None:
    """105 to 127, without a gap (protocol 5)."""
    number = IDENTITY_START
    for text in TEXT_FIELDS:
        assert text.number == number
        number += text.length // 2
    assert number == IDENTITY_START + IDENTITY_COUNT == 128


def test_identity_of_a_battery_is_decoded() -> None:
    """The model of the ZT contains a NUL, which does not end it."""
    assert answer(
        model="TC\0\0-8S100-V1.0", firmware="Z01T20", serial="2024-01-11"
    ) == Identity("TC-8S100-V1.0", "Z01T20", "2024-01-11")


def test_identity_texts_of_full_length_are_decoded() -> None:
    """24, 6 and 16 characters, none of which leaks into the next field."""
    assert answer(model="M" * 24, firmware="F" * 6, serial="S" * 16) == Identity(
        "M" * 24, "F" * 6, "S" * 16
    )


def test_identity_of_zeros_has_empty_texts() -> None:
    """Undefined registers read zero."""
    assert decode_identity(reply(b"")) == Identity("", "", "")


def test_identity_with_unprintable_characters_drops_them() -> None:
    """Control characters and anything beyond ASCII, also blanks at both ends."""
    text = b" \x01D-4S\xff\x7f\xe4400\r\n ".ljust(24, b"\0") + b"\xff" * 6 + b" 016 "
    assert decode_identity(reply(text)) == Identity("D-4S400", "", "016")


def test_identity_with_unwritten_serial_has_no_serial() -> None:
    """A real board: 0x41F4 and fillers; dropping what is no ASCII left an "A"."""
    serial = bytes.fromhex("41f4") + b"\xff" * 14
    text = b"LFP-51.2V100Ah-V1.0".ljust(24, b"\0") + b"Z02T11" + serial
    assert decode_identity(reply(text)) == Identity("LFP-51.2V100Ah-V1.0", "Z02T11", "")


def test_identity_with_fillers_behind_a_text_keeps_the_text() -> None:
    """0xFF fills up like NUL."""
    text = b"D-4S".ljust(24, b"\xff") + b"Z02T11" + b"016".ljust(16, b"\xff")
    assert decode_identity(reply(text)) == Identity("D-4S", "Z02T11", "016")


@pytest.mark.parametrize("count", [23, 32, 35, 46])
def test_identity_in_a_longer_reply_is_decoded(count: int) -> None:
    """Other programs ask for more registers; the texts stay where they are."""
    text = b"LFP-51.2V100Ah-V1.0".ljust(24, b"\0") + b"Z02T04" + b"2022-10-26"
    assert decode_identity(reply(text, count)) == Identity(
        "LFP-51.2V100Ah-V1.0", "Z02T04", "2022-10-26"
    )


@pytest.mark.parametrize("count", [1, 22])
def test_identity_in_a_shorter_reply_is_refused(count: int) -> None:
    """Half a serial number is worse than none."""
    with pytest.raises(ValueError, match="an identity reply does not have"):
        decode_identity(reply(b"", count))


# Models


def test_models_are_those_of_the_manual() -> None:
    """Table 4-1, line by line."""
    printed = [line.split("\t") for line in TABLE_4_1.strip().splitlines()]
    assert [model.name for model in MODELS] == [line[0] for line in printed]
    for model, line in zip(MODELS, printed, strict=True):
        assert [*map(float, line[1:])] == [
            model.nominal_voltage,
            model.capacity,
            model.energy,
            model.width,
            model.depth,
            model.height,
            model.weight,
        ]
        assert model.cells == round(model.nominal_voltage / 3.2)
        assert model.energy == round(model.nominal_voltage * model.capacity)


@pytest.mark.parametrize(
    ("cell_count", "capacity", "name"),
    [
        (4, 100, "VLRV1280A"),
        (4, 200, "VLRV2560A"),
        (4, 400, "VLRV5120A"),
        (8, 100, "VLRV2560B"),
        (8, 200, "VLRV5120B"),
        (16, 100, "VLRV5120C"),
    ],
)
def test_model_is_found_by_cells_and_capacity(
    cell_count: int, capacity: int, name: str
) -> None:
    """Also when the battery has learned another capacity than the printed one."""
    for percent in (90, 97, 100, 105, 110):
        model = find_model(cell_count, capacity * percent / 100)
        assert model is not None
        assert model.name == name


@pytest.mark.parametrize(
    ("cell_count", "capacity"),
    [
        (4, 50),
        (4, 89),
        (4, 111),
        (4, 150),
        (4, 300),
        (8, 50),
        (8, 314),
        (8, 400),
        (12, 100),
        (16, 200),
        (0, 100),
        (4, 0),
        (4, None),
    ],
)
def test_model_of_a_pack_outside_the_manual_is_unknown(
    cell_count: int, capacity: float | None
) -> None:
    """Others of the family exist; none of them is called a VLRV."""
    assert find_model(cell_count, capacity) is None


# What the language depends on


def imported(source: Path) -> list[tuple[int, str]]:
    """Return every import of a file: how many levels up, and the module."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
    return found


def test_sources_of_the_library_are_all_checked() -> None:
    """So the next test has something to check."""
    names = {source.stem for source in SOURCES}
    assert names >= {"client", "errors", "faults", "frames", "identity", "registers"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_library_imports_nothing_of_home_assistant(source: Path) -> None:
    """Nor of the integration around it: no import leaves the package upwards."""
    for level, module in imported(source):
        assert level <= 1, module
        assert level or module.split(".")[0] not in {
            "homeassistant",
            "custom_components",
            "habluetooth",
        }


@pytest.mark.parametrize("source", PURE, ids=lambda source: source.stem)
def test_pure_modules_import_no_bluetooth(source: Path) -> None:
    """Bytes become values without a connection."""
    tops = {module.split(".")[0] for level, module in imported(source) if not level}
    assert not tops & {"asyncio", "bleak", "bleak_retry_connector"}
