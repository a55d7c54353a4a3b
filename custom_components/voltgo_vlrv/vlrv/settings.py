"""Settings: module ID, protocols towards the inverter, heater and Bluetooth name.

Frames of family 0x10 (protocol 7). What is written is reported back only after a power
cycle (manual 6.1), except for the heater. Protocols can be set only while the module ID
is 1 (C; the vendor's apps hold to it).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, count
from typing import Final, NamedTuple

from .frames import settings_request
from .text import ascii_text

GET_MODULE_ID: Final = 0x02  # A
GET_RS485: Final = 0x03  # A
GET_CAN: Final = 0x04  # A
SET_RS485: Final = 0x05  # A
SET_CAN: Final = 0x06  # A
SET_MODULE_ID: Final = 0x07  # A
SET_NAME: Final = 0x09  # C: function, layout and reply
SET_HEATER: Final = 0x0A  # C: function, value and reply

MODULE_IDS: Final = range(1, 17)
MODULE_ID_FOR_PROTOCOLS: Final = 1
NAME_MAX: Final = 22
"""Characters of a Bluetooth name (manual 6.4)."""

STATUS_REPLY_LENGTH: Final = 6
STATUS_BYTE: Final = 3
"""Where the reply to a write has its result (A: 0 success, 1 refused)."""
SUCCESS: Final = 0

_DATA_AT: Final = 3
_PROTOCOL_NAME: Final = 10  # bytes, filled up with NUL


class ProtocolList(NamedTuple):
    """The inverter protocols that a battery offers, and the selected one (A)."""

    selected: int
    """Index, from 0."""
    names: tuple[str, ...]
    """The battery's own codes, such as `P05-VCT`."""


class InverterBrand(NamedTuple):
    """One inverter brand of the manual (6.1), and its code in the battery."""

    code: str
    """What follows the number in the battery's code, or the number where the code of a
    brand was never recorded."""
    name: str


INVERTER_BRANDS: Final = (
    InverterBrand("GRW", "Growatt"),
    InverterBrand("LUX", "Luxpower"),
    InverterBrand("SCH", "Schneider"),
    InverterBrand("INH", "Inhenergy"),
    InverterBrand("VOL", "Voltronic"),
    InverterBrand("SLK", "Sol-Ark"),
    InverterBrand("DY", "Deye"),
    InverterBrand("MGR", "Megarevo"),
    InverterBrand("VCT", "Victron"),
    InverterBrand("SMA", "SMA"),
    InverterBrand("SOL", "Solis"),
    InverterBrand("AFO", "Afore"),
    InverterBrand("STU", "Studer"),
    InverterBrand("P12", "NOARK"),  # number 12 of the manual's CAN list (C)
)
_NAMES: Final = {brand.code: brand.name for brand in INVERTER_BRANDS}


def set_module_id(module_id: int) -> bytes:
    """Build the request for a module ID of 1-16; ValueError for another."""
    if module_id not in MODULE_IDS:
        raise ValueError(f"no such module ID: {module_id}")
    return settings_request(SET_MODULE_ID, bytes((module_id,)))


def set_protocol(function: int, index: int) -> bytes:
    """Build the request for a protocol by its index in the battery's own list."""
    return settings_request(function, bytes((index,)))


def set_heater(enabled: bool) -> bytes:
    """Build the request that allows or forbids the heater (C)."""
    return settings_request(SET_HEATER, bytes((enabled,)))


def set_name(name: str) -> bytes:
    """Build the request for a Bluetooth name (C).

    ValueError unless it has 1-22 printable ASCII characters.
    """
    if not 1 <= len(name) <= NAME_MAX or not all(" " <= char <= "~" for char in name):
        raise ValueError("a Bluetooth name has 1-22 printable ASCII characters")
    return settings_request(SET_NAME, name.encode())


def decode_module_id(frame: bytes) -> int:
    """Decode the module ID; ValueError when it is none of 1-16."""
    module_id = frame[_DATA_AT]
    if frame[2] != 1 or module_id not in MODULE_IDS:
        raise ValueError("no module ID")
    return module_id


def decode_protocols(frame: bytes) -> ProtocolList:
    """Decode a list of protocols; ValueError when it does not fit its own length."""
    data = frame[_DATA_AT:-2]
    if len(data) < 2:
        raise ValueError("no list of protocols")
    selected, count = data[:2]
    if len(data) != 2 + _PROTOCOL_NAME * count or (count and selected >= count):
        raise ValueError("a list of protocols that contradicts itself")
    return ProtocolList(
        selected,
        tuple(
            ascii_text(data[at : at + _PROTOCOL_NAME])
            for at in range(2, len(data), _PROTOCOL_NAME)
        ),
    )


# Called at every sample, with few different lists.
@lru_cache(maxsize=64)
def brand_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a unique label for each protocol code: its brand, or the code if unknown.

    With the code beside it where only its number in the manual tells the brand (C).
    """
    brands: list[str] = []
    for number, code in enumerate(names, 1):
        prefix, _, suffix = code.partition("-")
        brand = _NAMES.get(suffix) or code or f"#{number}"
        if suffix not in _NAMES and prefix in _NAMES:
            brand = f"{_NAMES[prefix]} ({code})"
        # One label for each code, whatever the codes look like: its place is the index.
        numbered = (f"{brand} (#{place})" for place in count(number))
        labels = chain((brand, f"{brand} ({code})"), numbered)
        brands.append(next(label for label in labels if label not in brands))
    return tuple(brands)
