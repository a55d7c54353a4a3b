"""Texts from the air: Bluetooth names, protocol names, identity."""

from __future__ import annotations

from typing import Final
import unicodedata

MAX_NAME_LENGTH: Final = 64
"""Characters of a Bluetooth name that are kept; GATT allows 248 bytes."""

_FILLER: Final = b"\xff"
_SPACES: Final = "\t\n\v\f\r"


def clean_text(text: str, max_length: int = MAX_NAME_LENGTH) -> str:
    """Return a received text without control characters, at most `max_length` long.

    Control, format, private and unassigned characters and surrogates are removed, runs of
    white space become one blank, and both ends have none.
    """
    kept = (
        char
        for char in text
        if char in _SPACES or not unicodedata.category(char).startswith("C")
    )
    return " ".join("".join(kept).split())[:max_length].rstrip()


def ascii_text(data: bytes) -> str:
    """Return a text field of a reply, without anything that is no printable ASCII.

    NUL is filler and may stand inside of a text, 0xFF is filler behind one (A). A field
    that ends in 0xFF and has other bytes beyond ASCII was never written and is empty: a
    board without a serial number has 0x41F4 and 0xFFFF seven times (A).
    """
    text = data.rstrip(_FILLER)
    if len(text) < len(data) and not text.isascii():
        return ""
    return clean_text(text.decode("ascii", "ignore"), len(data))
