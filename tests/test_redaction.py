"""What is removed from diagnostics, and what stays."""

from __future__ import annotations

import json

import pytest

from homeassistant.components.diagnostics import REDACTED

from custom_components.voltgo_vlrv.redaction import Redactor, is_product_name
from simulator.battery import status_reply

SOURCE = "02:00:00:00:00:01"
SERIAL = "4S1240019050000"


@pytest.mark.parametrize(
    "text",
    [
        "A4:C1:37:00:00:01",
        "a4:c1:37:00:00:01",
        "A4-C1-37-00-00-01",
        "a4c137000001",
        "A4C137000001",
        "dev_A4_C1_37_00_00_01",
        "010000 37c1a4 010000 010000 37c1a4".replace(" ", ""),
        b"A4:C1:37:00:00:01".hex(),
        b"a4:c1:37:00:00:01".hex(),
        b"a4C137000001".hex().upper(),
        "11:22:33:aa:BB:cc",
    ],
)
def test_redactor_with_an_address_in_any_form_removes_it(text: str) -> None:
    """Frames, error messages and names write it differently."""
    redact = Redactor(["A4:C1:37:00:00:01", ""], ["hci0", SOURCE])
    found = redact(
        {f"x{text}y": [{"deep": f"before {text} after"}], "n": 5, "no": None}
    )
    assert text not in json.dumps(found)
    (key, *_) = found
    assert REDACTED in key
    deep = found[key][0]["deep"]
    assert deep.startswith("before ") and deep.endswith(" after")
    assert REDACTED in deep
    assert (found["n"], found["no"]) == (5, None)


@pytest.mark.parametrize(
    "text",
    [
        "hci0",
        "2026-01-02T10:11:12.345+00:00",
        "0000ff00-0000-1000-8000-00805f9b34fb",
        status_reply([0] * 41).hex(),
        "ZT-25.6V100Ah-1238",
        "ZT-25.6V100Ah-0001",
        "VLRV (2)",
        "code 0001",
    ],
)
def test_redactor_with_other_text_keeps_it(text: str) -> None:
    """Diagnostics must stay useful."""
    redact = Redactor(["A4:C1:37:00:00:01"], ["hci0", SOURCE])
    assert redact(text) == text


def test_redactor_with_several_adapters_numbers_them() -> None:
    """A reader has to tell them apart."""
    redact = Redactor([], [SOURCE, "02:00:00:00:00:02"])
    assert redact(["via 02:00:00:00:00:02", f"proxy ({SOURCE})"]) == [
        "via **ADAPTER 2**",
        "proxy (**ADAPTER 1**)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        SERIAL,
        SERIAL.lower(),
        SERIAL.encode().hex(),
        f"ZT_{SERIAL}",
        f"1009{SERIAL.encode().hex()}ff",
    ],
)
def test_redactor_with_a_serial_number_in_any_form_removes_it(text: str) -> None:
    """It may be a name, a part of one, or stand in a frame."""
    shown = Redactor([], [], [SERIAL])(f"before {text} after")
    assert REDACTED in shown
    assert SERIAL.lower() not in shown.lower()
    assert SERIAL.encode().hex() not in shown


@pytest.mark.parametrize("serial", ["", "0", "000000000000", "0101", "12"])
def test_redactor_with_filler_as_serial_number_keeps_frames(serial: str) -> None:
    """Boards without a serial number report filler, which is in every frame."""
    frame = status_reply([0, 257, 12, *[0] * 38]).hex()
    assert Redactor([], [], [serial])(frame) == frame


def test_redactor_with_names_numbers_them_and_keeps_keys() -> None:
    """The same name has the same number everywhere, the longest is replaced first."""
    redact = Redactor([], [], [], ["Anna", "Anna (2)", "Bo", "idle", "", "ZT-1"])
    assert redact(
        {"idle": ["Anna (2) is lost", "Anna", "Anna", "Bob", "Bo", "ZT-1"]}
    ) == {
        "idle": ["**NAME 1** is lost", *["**NAME 2**"] * 2, "Bob", "**NAME 4**", "ZT-1"]
    }
    assert redact("Annabelle") == "Annabelle"
    assert redact(f"1009{b'Anna'.hex()}") == "1009**NAME 2**"


def test_redactor_with_a_name_that_is_an_address_removes_it_as_such() -> None:
    """It must not be told apart from the address by a number."""
    redact = Redactor(["A4:C1:37:00:00:01"], [], [], ["a4c137000001"])
    assert redact("a4c137000001") == REDACTED


@pytest.mark.parametrize(
    ("name", "is_product"),
    [
        ("ZT-25.6V100Ah-1238", True),
        ("VLRV (2)", True),
        ("VLRV5120C-7", True),
        ("BB-51.2V100Ah-0855", True),
        ("ZT-Anna", False),
        ("Anna ZT-12", False),
        ("Voltgo \u0410\u043d\u043d\u0430", False),
        ("Grandma", False),
    ],
)
def test_is_product_name_with_a_word_is_false(name: str, is_product: bool) -> None:
    """Factory names have ratings and numbers; words were chosen by a user."""
    assert is_product_name(name) is is_product
